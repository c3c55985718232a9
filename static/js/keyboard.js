// The keyboard first: / search, j k Enter x in tables, g and a letter for a screen, ? for help, Esc to leave.
"use strict";
(() => {
  const GO_FOR_MS = 1500;
  const shell = document.querySelector(".shell");
  let going = 0;

  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  const shown = (element) => element.offsetParent !== null;

  function search() {
    const field = [...document.querySelectorAll("[data-search]")].find(shown);
    field?.focus();
    field?.select();
  }

  const rows = () => {
    const table = [...document.querySelectorAll("table[data-rows]")].find(shown);
    return table ? [...table.querySelectorAll("tbody tr:not([data-fixed])")].filter(shown) : [];
  };
  const current = (all) => all.findIndex((row) => row.contains(document.activeElement));

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = current(all);
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
    const target = next.querySelector("[data-row-link]") || next.querySelector("a, button, input");
    target?.focus({ preventScroll: true, focusVisible: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function tick() {
    const all = rows();
    all[current(all)]?.querySelector("input[type=checkbox]")?.click();
  }

  function stopGoing() {
    clearTimeout(going);
    going = 0;
    shell?.removeAttribute("data-going");
  }

  function startGoing() {
    shell?.setAttribute("data-going", "");
    going = setTimeout(stopGoing, GO_FOR_MS);
  }

  function go(letter) {
    stopGoing();
    [...document.querySelectorAll("[data-go]")].find((link) => link.dataset.go === letter)?.click();
  }

  const ACTS = {
    "/": search,
    j: () => move(1),
    k: () => move(-1),
    x: tick,
    g: startGoing,
    "?": () => Cachedeck.openDialog("help"),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !(event.target instanceof Element)) return;
    if (event.key === "Escape" && typing(event.target) && !event.target.closest("dialog")) return event.target.blur();
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    if (going && event.key.length === 1) {
      event.preventDefault();
      return go(event.key);
    }
    const act = Object.hasOwn(ACTS, event.key) && ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // The help lists the screens which this operator has.
  const pattern = document.querySelector("[data-go-help]");
  for (const link of pattern ? document.querySelectorAll("[data-go]") : []) {
    const line = pattern.cloneNode(true);
    line.hidden = false;
    line.querySelector("kbd + kbd").textContent = link.dataset.go;
    line.querySelector("dd").textContent = link.dataset.goLabel;
    pattern.before(line);
  }
})();

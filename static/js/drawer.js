// The rail as a drawer on a narrow screen.
"use strict";
(() => {
  const rail = document.getElementById("rail");
  const opener = document.querySelector("[data-drawer]");
  if (!rail || !opener) return;

  function set(open) {
    rail.classList.toggle("is-open", open);
    opener.setAttribute("aria-expanded", String(open));
    if (open) rail.querySelector("a, button")?.focus();
    else if (rail.contains(document.activeElement)) opener.focus();
  }

  opener.addEventListener("click", () => set(true));
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-drawer-close]")) set(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && rail.classList.contains("is-open")) set(false);
  });
})();

// [data-copy] puts its text on the clipboard and says so.
"use strict";
(() => {
  // The clipboard API is only there on https and on localhost.
  function byHand(text) {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "sr";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return byHand(text);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = (button.dataset.label ||= button.textContent);
    const done = await copy(button.dataset.copy);
    button.focus();
    button.textContent = done ? "Copied" : "Not copied";
    button.classList.toggle("is-done", done);
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("is-done");
    }, 1500);
  });
})();

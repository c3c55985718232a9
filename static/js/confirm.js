// A typed confirmation wakes its button. The server checks the text again.
"use strict";
(() => {
  function check(input) {
    const act = input.form?.querySelector("[data-confirm-act]");
    if (act) act.disabled = input.value.trim() !== input.dataset.confirm;
  }
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-confirm]")) check(event.target);
  });
  Cachedeck.whenThere("[data-confirm]", check);
})();

// A typed confirmation wakes its button, several do together. The server checks the texts again.
"use strict";
(() => {
  function check(input) {
    const act = input.form?.querySelector("[data-confirm-act]");
    const asked = [...(input.form?.querySelectorAll("[data-confirm]") ?? [])];
    if (act) act.disabled = asked.some((one) => one.value.trim() !== one.dataset.confirm);
  }
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-confirm]")) check(event.target);
  });
  Cachedeck.whenThere("[data-confirm]", check);
})();

// A row of a choice, [data-choice]: who types into a field of it means this row, so its radio button is chosen.
"use strict";
document.addEventListener("input", (event) => {
  const row = event.target.closest("[data-choice]");
  const button = row && row.querySelector("input[type=radio]");
  if (!button || button === event.target || button.checked) return;
  button.checked = true;
  button.dispatchEvent(new Event("change", { bubbles: true }));
});

// Ticked rows: all at once by [data-select-all], and what can be done with them appears with them.
"use strict";
(() => {
  const boxes = (scope) => [...scope.querySelectorAll("input[data-select]")];
  const scopeOf = (element) => element.closest("[data-selectable]") || document;

  function refresh(scope) {
    const all = boxes(scope);
    const ticked = all.filter((box) => box.checked).length;
    for (const head of scope.querySelectorAll("input[data-select-all]")) {
      head.checked = ticked > 0 && ticked === all.length;
      head.indeterminate = ticked > 0 && ticked < all.length;
    }
    for (const bar of scope.querySelectorAll("[data-selected]")) bar.hidden = ticked === 0;
    for (const count of scope.querySelectorAll("[data-selected-count]")) {
      const noun = count.dataset.selectedCount && ` ${count.dataset.selectedCount}${ticked === 1 ? "" : "s"}`;
      count.textContent = Cachedeck.number(ticked) + noun;
    }
  }

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("input[data-select], input[data-select-all]")) return;
    const scope = scopeOf(box);
    if (box.matches("[data-select-all]")) for (const other of boxes(scope)) other.checked = box.checked;
    refresh(scope);
  });
  Cachedeck.whenThere("[data-selectable]", refresh);
})();

// TTLs count down by the server's clock.
"use strict";
Cachedeck.everySecond(() => {
  const now = Cachedeck.now();
  for (const cell of document.querySelectorAll("[data-expires-at]")) {
    const left = Number.parseFloat(cell.dataset.expiresAt) - now;
    const text = left > 0 ? Cachedeck.clock(left) : cell.dataset.expired ?? "expired";
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("ttl-gone", left <= 0);
    const sorted = cell.closest("td[data-value]");
    if (sorted) sorted.dataset.value = String(Math.max(0, left));
  }
});

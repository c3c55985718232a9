// Sorts the rows that are loaded by any column whose head says how: th[data-sort="text|number"].
"use strict";
(() => {
  const chosen = new Map(); // id of a table -> [column, direction], to outlive a swap of the whole table
  const collator = new Intl.Collator(undefined, { numeric: true });

  function valueOf(row, column, kind) {
    const cell = row.cells[column];
    const text = cell ? (cell.dataset.value ?? cell.textContent.trim()) : "";
    if (kind !== "number") return text;
    return text === "inf" ? Infinity : Number.parseFloat(text);
  }

  function compare(a, b, kind, sign) {
    if (kind !== "number") return sign * collator.compare(a, b);
    // What has no value stands last in either direction.
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a === b ? 0 : sign * (a < b ? -1 : 1);
  }

  function sort(table, column, direction) {
    const heads = [...table.tHead.rows[0].cells];
    const kind = heads[column].dataset.sort;
    const sign = direction === "descending" ? -1 : 1;
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", direction);
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.hasAttribute("data-fixed"));
      const fixed = [...body.rows].filter((row) => row.hasAttribute("data-fixed"));
      const focused = document.activeElement;
      const keyed = rows.map((row, place) => [valueOf(row, column, kind), place, row]);
      keyed.sort((a, b) => compare(a[0], b[0], kind, sign) || a[1] - b[1]);
      if (keyed.some(([, place], index) => place !== index)) body.append(...keyed.map((each) => each[2]), ...fixed);
      if (body.contains(focused)) focused.focus({ preventScroll: true });
    }
    table.dataset.sorted = "true";
    if (table.id) chosen.set(table.id, [column, direction]);
  }

  document.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-sort] button")?.closest("th");
    if (!head) return;
    const first = head.dataset.sort === "number" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    sort(head.closest("table"), head.cellIndex, head.getAttribute("aria-sort") === first ? other : first);
  });

  document.addEventListener("htmx:after:swap", () => {
    for (const table of document.querySelectorAll("table.data")) {
      const head = table.dataset.sorted && table.tHead?.querySelector("th[aria-sort]");
      if (head) sort(table, head.cellIndex, head.getAttribute("aria-sort"));
      else if (chosen.has(table.id) && table.tHead) sort(table, ...chosen.get(table.id));
    }
  });
})();

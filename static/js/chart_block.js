// One chart block: heading, what it shows now or under the crosshair, caption, plot, and the same as a table.
"use strict";
(() => {
  const TABLE_ROWS = 30;

  function element(tag, className, text = "") {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.textContent = text;
    return made;
  }

  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const clock = (at) => (Cachedeck.now() - at > 20 * 3600 ? `${Cachedeck.day(at)} ${Cachedeck.hour(at).slice(0, 5)}` : Cachedeck.hour(at));

  function build(figure) {
    const head = element("div", "chart-head");
    const title = element("h2");
    const now = element("span", "chart-now");
    head.append(title, now);
    const caption = element("figcaption", "chart-caption");
    const place = element("div", "chart-plot");
    place.setAttribute("role", "img");
    const details = element("details", "chart-table");
    const holder = element("div");
    holder.tabIndex = 0;
    details.append(element("summary", "", "As a table"), holder);
    figure.replaceChildren(head, caption, place, details);
    return { title, now, caption, place, details, holder };
  }

  // The figure of each line, at a moment under the crosshair or the newest.
  function drawNow(parts, series, values, at) {
    const several = series.lines.length > 1;
    const pieces = series.lines.flatMap((line, index) => {
      const value = values[index];
      const [figure, unit] = value === null || value === undefined ? ["–", ""] : Cachedeck.figure(value, series.format, several ? "" : series.unit);
      const piece = element("span", "chart-piece");
      if (several) piece.append(element("span", "quiet", `${line.label} `));
      piece.append(element("strong", "", figure));
      if (unit) piece.append(element("span", "unit", `\u202f${unit}`));
      return [piece];
    });
    if (at) pieces.unshift(element("span", "chart-at", clock(at)));
    parts.now.replaceChildren(...pieces);
  }

  const newest = (line) => line.values.findLast((value) => value !== null && value !== undefined) ?? null;

  function table(series) {
    const made = element("table", "data");
    const head = made.createTHead().insertRow();
    for (const label of ["Time", ...series.lines.map((line) => line.label)]) {
      const cell = element("th", label === "Time" ? "" : "num", label);
      cell.scope = "col";
      head.append(cell);
    }
    const body = made.createTBody();
    const step = Math.max(1, Math.ceil(series.x.length / TABLE_ROWS));
    for (let index = series.x.length - 1; index >= 0; index -= step) {
      const row = body.insertRow();
      row.insertCell().textContent = clock(series.x[index]);
      for (const line of series.lines) {
        const cell = row.insertCell();
        cell.className = "num";
        const value = line.values[index];
        cell.textContent = value === null || value === undefined ? "–" : Cachedeck.text(value, series.format, series.unit);
      }
    }
    return made;
  }

  class Block {
    constructor(figure, window) {
      this.parts = build(figure);
      this.window = window;
      this.series = null;
      this.plot = null;
      this.hovered = null;
      this.parts.details.addEventListener("toggle", () => {
        this.parts.holder.replaceChildren();
        this.tabulate();
      });
      new ResizeObserver(() => this.plot?.resize()).observe(this.parts.place);
    }

    show(series) {
      const same = this.plot && Cachedeck.plot.shape(series) === Cachedeck.plot.shape(this.series);
      this.series = series;
      put(this.parts.title, series.title);
      put(this.parts.caption, series.caption || "");
      this.parts.place.setAttribute("aria-label", `${series.title}: ${series.caption || "chart"}`);
      if (same && this.filled()) this.plot.update();
      else this.redraw();
      if (!this.hovered) drawNow(this.parts, series, series.lines.map(newest), null);
      this.tabulate();
    }

    // Made when it is opened and then left alone: a table that changes under a reader cannot be read.
    tabulate() {
      const { details, holder } = this.parts;
      if (details.open && this.series && !holder.hasChildNodes()) holder.append(table(this.series));
    }

    filled() {
      return this.series.lines.some((line) => newest(line) !== null);
    }

    redraw() {
      if (!this.series) return;
      this.plot?.destroy();
      this.plot = null;
      this.parts.place.replaceChildren(...(this.filled() ? [] : [element("p", "chart-none", "Nothing measured yet")]));
      if (this.filled()) this.plot = Cachedeck.plot.make(this.parts.place, () => this.series, this.window, (index, plot) => this.hover(index, plot));
    }

    hover(index, plot) {
      const at = index === null ? null : plot.data[0][index];
      this.hovered = at;
      const values = index === null ? this.series.lines.map(newest) : plot.data.slice(1).map((column) => column[index]);
      drawNow(this.parts, this.series, values, at);
    }
  }

  Cachedeck.ChartBlock = Block;
})();

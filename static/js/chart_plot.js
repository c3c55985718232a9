// One plot of one series on uPlot: axes, shared crosshair, limit, and labels at the ends of the lines.
"use strict";
(() => {
  const SYNC = uPlot.sync("cachedeck");
  const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  const LABEL_HEIGHT = 14; // CSS px between two labels at the end of lines
  const GAP = 4; // times the usual distance between samples: no line is drawn across what nobody measured
  const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);
  const TIMES = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000]; // s
  const STEPS = { bytes: BINARY, seconds: TIMES };

  const hues = new Map(); // label -> hue, so that a name keeps its hue on every chart of a page
  function hueOf(label) {
    if (!hues.has(label)) hues.set(label, hues.size % 8);
    return hues.get(label);
  }

  // light-dark() is only resolved on an element, so the colours are read from elements that use them.
  function inks() {
    let swatches = document.querySelector(".chart-ink");
    if (!swatches) {
      swatches = document.createElement("div");
      swatches.className = "chart-ink";
      for (const name of ["axis", "grid", "limit", "paper", 0, 1, 2, 3, 4, 5, 6, 7]) {
        const swatch = document.createElement("i");
        swatch.dataset.ink = name;
        swatches.append(swatch);
      }
      document.body.append(swatches);
    }
    return Object.fromEntries([...swatches.children].map((each) => [each.dataset.ink, getComputedStyle(each).color]));
  }

  const sheer = (colour, share) => colour.replace(/^rgb\(([^)]+)\)$/, `rgba($1, ${share})`);

  // A null between samples that lie far apart breaks the line there.
  function withGaps(x, lines) {
    const steps = x.slice(1).map((at, index) => at - x[index]).sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] || 0;
    const data = [[], ...lines.map(() => [])];
    x.forEach((at, index) => {
      if (index && usual && at - x[index - 1] > GAP * usual) {
        data[0].push(x[index - 1] + usual);
        for (const column of data.slice(1)) column.push(null);
      }
      data[0].push(at);
      lines.forEach((line, place) => data[place + 1].push(line.values[index] ?? null));
    });
    return data;
  }

  function extent(series) {
    const all = series.lines.flatMap((line) => line.values).filter((value) => value !== null && value !== undefined);
    if (series.format === "percent") {
      // A hit ratio lives near its top: the floor is a whole tenth below the lowest, never less than 20 points.
      const low = all.length ? Math.min(...all) : 0.8;
      return [Math.max(0, Math.min(0.8, Math.floor(low * 10 - 0.2) / 10)), 1];
    }
    const high = Math.max(0, ...all, series.limit ?? 0);
    return [0, high ? high * 1.08 : 1];
  }

  // Where more than two days are shown, a day's beginning has its date.
  function clockTicks(plot, ticks) {
    const days = plot.scales.x.max - plot.scales.x.min > 2 * 86400;
    return ticks.map((at) => (days && new Date(at * 1000).getHours() === 0 ? Cachedeck.day(at) : Cachedeck.hour(at).slice(0, 5)));
  }

  function axes(series, ink) {
    const common = { stroke: ink.axis, font: FONT, ticks: { show: false } };
    const grid = { stroke: ink.grid, width: 1 };
    return [
      { ...common, grid: { show: false }, size: 22, gap: 4, space: 72, values: clockTicks, incrs: [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400] },
      {
        ...common,
        grid,
        size: 54,
        gap: 6,
        space: 34,
        ...(STEPS[series.format] ? { incrs: STEPS[series.format] } : {}),
        values: (plot, ticks) => ticks.map((n) => Cachedeck.text(n, series.format).replace(".0\u202f", "\u202f")),
      },
    ];
  }

  const several = (series) => series.lines.length > 1;
  const colourOf = (series, line, ink) => ink[several(series) ? hueOf(line.label) : 0];

  function lastPoint(plot, column) {
    const values = plot.data[column];
    for (let index = values.length - 1; index >= 0; index -= 1) if (values[index] !== null) return values[index];
    return null;
  }

  // Labels at the ends of their lines, pushed apart so that none covers another.
  function drawLabels(plot, series, ink) {
    if (!several(series)) return;
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const step = LABEL_HEIGHT * ratio;
    const labels = series.lines
      .map((line, index) => ({ line, value: lastPoint(plot, index + 1) }))
      .filter(({ value }) => value !== null)
      .map(({ line, value }) => ({ line, y: plot.valToPos(value, "y", true) }))
      .sort((a, b) => a.y - b.y);
    labels.forEach((label, index) => {
      if (index) label.y = Math.max(label.y, labels[index - 1].y + step);
    });
    const overflow = labels.length ? labels.at(-1).y - (bbox.top + bbox.height) : 0;
    labels.reverse().forEach((label, index) => {
      if (overflow > 0) label.y = Math.min(label.y, index ? labels[index - 1].y - step : bbox.top + bbox.height);
      ctx.fillStyle = colourOf(series, label.line, ink);
      ctx.fillText(label.line.label, bbox.left + bbox.width + 6 * ratio, label.y);
    });
  }

  function drawLimit(plot, series, ink) {
    if (series.limit === null || series.limit === undefined) return;
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const y = Math.round(plot.valToPos(series.limit, "y", true));
    ctx.strokeStyle = ink.limit;
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    const words = `${series.limit_label || "limit"} ${Cachedeck.text(series.limit, series.format, series.unit)}`;
    const width = ctx.measureText(words).width;
    ctx.fillStyle = ink.paper;
    ctx.fillRect(bbox.left + 4 * ratio, y - 7 * ratio, width + 8 * ratio, 14 * ratio);
    ctx.fillStyle = ink.limit;
    ctx.fillText(words, bbox.left + 8 * ratio, y);
  }

  function drawWords(plot, series, ink) {
    const { ctx } = plot;
    ctx.save();
    ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    drawLimit(plot, series, ink);
    drawLabels(plot, series, ink);
    ctx.restore();
  }

  function room(series) {
    if (!several(series)) return 10;
    const ctx = document.createElement("canvas").getContext("2d");
    ctx.font = FONT;
    return Math.min(160, 12 + Math.max(...series.lines.map((line) => ctx.measureText(line.label).width)));
  }

  // place: element; read(): the series as it is now; window(): [from, until]; hover(index|null).
  function make(place, read, window, hover) {
    const series = read();
    const ink = inks();
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height: place.clientHeight,
        padding: [8, room(series), 0, 0],
        legend: { show: false },
        cursor: { sync: { key: SYNC.key }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true, range: () => window() }, y: { range: () => extent(read()) } },
        axes: axes(series, ink),
        series: [
          {},
          ...series.lines.map((line) => {
            const stroke = colourOf(series, line, ink);
            return { label: line.label, stroke, width: 1.5, points: { show: false }, fill: several(series) ? undefined : sheer(stroke, 0.1) };
          }),
        ],
        hooks: { draw: [(u) => drawWords(u, read(), ink)], setCursor: [(u) => hover(u.cursor.idx ?? null, u)] },
      },
      withGaps(series.x, series.lines),
      place,
    );
    return {
      update: () => plot.setData(withGaps(read().x, read().lines)),
      resize: () => plot.setSize({ width: place.clientWidth, height: place.clientHeight }),
      destroy: () => plot.destroy(),
    };
  }

  Cachedeck.plot = { make, shape: (series) => `${series.format} ${series.lines.map((line) => line.label).join("\n")}` };
})();

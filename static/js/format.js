// How figures are written, as in dashboard/views/filters.py, and what time it is on the server.
"use strict";
window.Cachedeck = (() => {
  const THIN = "\u202f";
  let offset = 0; // seconds the server's clock is ahead of this one

  function number(n, digits = 0) {
    const [whole, fraction] = Math.abs(n).toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
    return (n < 0 ? "-" : "") + grouped + (fraction ? "." + fraction : "");
  }

  // One decimal below 100 unless it is a zero; "1 M", never "1000 k".
  function scaled(n, base, units) {
    let size = n;
    let step = 0;
    while (Math.abs(size) >= base * 0.9995 && step < units.length - 1) {
      size /= base;
      step += 1;
    }
    return [number(size, Math.abs(size) < 99.95 ? 1 : 0).replace(/\.0$/, ""), units[step]];
  }

  const shortParts = (n) => scaled(n, 1000, ["", "k", "M", "G", "T"]);
  const bytesParts = (n) => scaled(n, 1024, ["B", "kB", "MB", "GB", "TB"]);
  const percentParts = (n) => [number(n * 100, 1), "%"];
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const unitOf = (seconds) => UNITS.find((each) => seconds >= each[1]) || ["s", 1];
  function secondsParts(n) {
    const [unit, size] = unitOf(Math.abs(n));
    return [number(n / size, Math.abs(n) < 99.95 * size ? 1 : 0).replace(/\.0$/, ""), unit];
  }
  const parts = { number: shortParts, bytes: bytesParts, percent: percentParts, seconds: secondsParts };
  const OWN_UNIT = ["bytes", "percent", "seconds"];

  // format: "number", "bytes", "percent" (of a ratio) or "seconds"; gives [figure, unit].
  function figure(n, format, unit = "") {
    const [value, prefix] = (parts[format] || shortParts)(n);
    const own = OWN_UNIT.includes(format) ? "" : unit;
    return [value, [prefix, own].filter(Boolean).join(THIN)];
  }
  const text = (n, format, unit) => figure(n, format, unit).filter(Boolean).join(THIN);

  function clock(seconds) {
    const left = Math.max(0, Math.ceil(seconds));
    const two = (n) => String(n).padStart(2, "0");
    if (left >= 86400) return `${Math.floor(left / 86400)}${THIN}d ${Math.floor((left % 86400) / 3600)}${THIN}h`;
    if (left >= 3600) return `${Math.floor(left / 3600)}:${two(Math.floor((left % 3600) / 60))}:${two(left % 60)}`;
    return `${Math.floor(left / 60)}:${two(left % 60)}`;
  }

  // An age in its largest unit: 43 s, 12 min, 3 h, 2 d.
  function age(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [unit, size] = unitOf(whole);
    return `${Math.floor(whole / size)}${THIN}${unit}`;
  }

  // Of an epoch second, in the reader's zone: 13:05:07, and Mon 24.
  const hour = (at) => new Date(at * 1000).toTimeString().slice(0, 8);
  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  function day(at) {
    const moment = new Date(at * 1000);
    return `${DAYS[moment.getDay()]} ${moment.getDate()}`;
  }

  // Epoch seconds on the server. Its clock and the reader's may differ by minutes.
  const now = () => Date.now() / 1000 + offset;
  function setNow(server, here = Date.now() / 1000) {
    if (Number.isFinite(server)) offset = server - here;
  }

  const navigation = performance.getEntriesByType("navigation")[0];
  const answered = navigation && navigation.responseStart ? performance.timeOrigin + navigation.responseStart : Date.now();
  setNow(Number.parseFloat(document.body.dataset.now), answered / 1000);
  // What came with the page is as old as the page: only what is swapped in later tells the time anew.
  for (const known of document.querySelectorAll("main [data-now]")) known.dataset.nowSeen = "true";
  document.addEventListener("htmx:after:swap", () => {
    const fresh = document.querySelector("main [data-now]");
    if (fresh && !fresh.dataset.nowSeen) {
      fresh.dataset.nowSeen = "true";
      setNow(Number.parseFloat(fresh.dataset.now));
    }
  });

  // For each element now here, and for each that htmx brings later.
  function whenThere(selector, act) {
    const run = () => document.querySelectorAll(selector).forEach(act);
    run();
    document.addEventListener("htmx:after:swap", run);
  }

  // Once a second while the page is seen, and at once when it is seen again.
  function everySecond(act) {
    setInterval(() => document.hidden || act(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || act());
    document.addEventListener("htmx:after:swap", act);
    act();
  }

  return { number, figure, text, clock, hour, day, age, now, setNow, whenThere, everySecond };
})();

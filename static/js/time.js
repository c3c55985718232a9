// Moments in the reader's own zone; the server writes UTC for those without JavaScript.
"use strict";
(() => {
  const two = (n) => String(n).padStart(2, "0");
  const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  const hour = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const milliseconds = (d) => `${hour(d)}.${String(d.getMilliseconds()).padStart(3, "0")}`;
  const ago = (at) => `${Cachedeck.age(Cachedeck.now() - at)} ago`;

  function draw(element) {
    // A busy list has hundreds of moments, and every swap comes by here: what stands needs no second look.
    if (element.dataset.drawn === element.dateTime && element.dataset.time !== "ago") return;
    element.dataset.drawn = element.dateTime;
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    const style = element.dataset.time;
    element.title = `${day(moment)} ${hour(moment)} here, ${element.dateTime} UTC`;
    const drawn = { ago: () => ago(moment.getTime() / 1000), clock: () => hour(moment), ms: () => milliseconds(moment) };
    const text = (drawn[style] || (() => `${day(moment)} ${hour(moment)}`))();
    if (element.textContent !== text) element.textContent = text;
  }

  Cachedeck.whenThere("time[data-time]", draw);
  Cachedeck.everySecond(() => document.querySelectorAll('time[data-time="ago"]').forEach(draw));
})();

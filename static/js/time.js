// Moments in the reader's own zone; the server writes UTC for those without JavaScript.
"use strict";
(() => {
  const two = (n) => String(n).padStart(2, "0");
  const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  const hour = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const ago = (at) => `${Cachedeck.age(Cachedeck.now() - at)} ago`;

  function draw(element) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    const style = element.dataset.time;
    element.title = `${day(moment)} ${hour(moment)} here, ${element.dateTime} UTC`;
    const text = style === "ago" ? ago(moment.getTime() / 1000) : style === "clock" ? hour(moment) : `${day(moment)} ${hour(moment)}`;
    if (element.textContent !== text) element.textContent = text;
  }

  Cachedeck.whenThere("time[data-time]", draw);
  Cachedeck.everySecond(() => document.querySelectorAll('time[data-time="ago"]').forEach(draw));
})();

// Sections of charts: <section data-charts data-src="..." data-every="2" data-span="900"> around <figure data-chart="id">.
"use strict";
(() => {
  const STALE_AFTER = 10; // seconds without a new sample, or so many times their usual distance:
  const MISSED = 2.5; // a chart of a day has a sample a minute
  const GIVE_UP_MS = 8000;
  const sections = new WeakMap();

  function distance(x) {
    const steps = x.slice(-20).map((at, index, last) => (index ? at - last[index - 1] : 0)).slice(1);
    return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] || 0;
  }

  class Section {
    constructor(element) {
      this.element = element;
      this.every = Number.parseFloat(element.dataset.every) || 2;
      this.span = Number.parseFloat(element.dataset.span) || 900;
      this.newest = null;
      this.usual = 0;
      this.trouble = "";
      this.note = this.makeNote();
      this.blocks = new Map();
      for (const figure of element.querySelectorAll("figure[data-chart]"))
        this.blocks.set(figure.dataset.chart, new Cachedeck.ChartBlock(figure, () => this.window()));
      this.poll();
    }

    makeNote() {
      const note = this.element.querySelector("[data-charts-note]") || document.createElement("p");
      note.classList.add("charts-note");
      if (!note.isConnected) this.element.prepend(note);
      return note;
    }

    window() {
      const until = this.newest ?? Cachedeck.now();
      return [until - this.span, until];
    }

    async poll() {
      if (!this.element.isConnected) return;
      if (!document.hidden) await this.fetch();
      this.timer = setTimeout(() => this.poll(), this.every * 1000);
    }

    async fetch() {
      try {
        const response = await fetch(this.element.dataset.src, {
          headers: { Accept: "application/json" },
          signal: AbortSignal.timeout(GIVE_UP_MS),
        });
        const json = /\bjson\b/.test(response.headers.get("Content-Type") || "");
        if (response.redirected || response.status === 401) this.trouble = "You are no longer signed in: reload the page.";
        else if (!response.ok || !json) this.trouble = `Cachedeck answered ${response.status}.`;
        else this.take(await response.json());
      } catch {
        this.trouble = "Cachedeck does not answer.";
      }
      this.say();
    }

    take(data) {
      this.trouble = data.trouble || "";
      Cachedeck.setNow(data.now);
      if (this.trouble) return;
      const ends = data.series.map((series) => series.x.at(-1)).filter(Number.isFinite);
      this.newest = ends.length ? Math.max(...ends) : null;
      this.usual = Math.max(0, ...data.series.map((series) => distance(series.x)));
      for (const series of data.series) this.blocks.get(series.id)?.show(series);
    }

    say() {
      const age = this.newest === null ? null : Cachedeck.now() - this.newest;
      const stale = this.trouble !== "" || (age !== null && age > Math.max(STALE_AFTER, MISSED * this.usual));
      this.element.classList.toggle("is-stale", stale);
      const words = [];
      if (stale && age !== null) words.push(`Stale: the newest sample is ${Cachedeck.age(age)} old.`);
      if (this.trouble) words.push(this.trouble);
      if (!stale && age === null) words.push(this.element.dataset.none || "No sample yet: the worker takes one every few seconds.");
      if (!stale && age !== null) words.push(`Live, redrawn every ${this.every}\u202fs.`);
      // role=status only for what deserves to be announced
      if (stale) this.note.setAttribute("role", "status");
      else this.note.removeAttribute("role");
      const text = words.join(" ");
      if (this.note.textContent !== text) this.note.textContent = text;
    }

    redraw() {
      for (const block of this.blocks.values()) block.redraw();
    }
  }

  Cachedeck.whenThere("[data-charts][data-src]", (element) => {
    if (!sections.has(element)) sections.set(element, new Section(element));
  });
  const all = () => [...document.querySelectorAll("[data-charts][data-src]")].map((element) => sections.get(element)).filter(Boolean);
  Cachedeck.everySecond(() => all().forEach((section) => section.say()));
  document.addEventListener("cachedeck:theme", () => all().forEach((section) => section.redraw()));
})();

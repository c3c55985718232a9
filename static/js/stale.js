// What carries data-at and data-stale-after says in words when it has become old.
"use strict";
Cachedeck.everySecond(() => {
  for (const block of document.querySelectorAll("[data-at][data-stale-after]")) {
    const age = Cachedeck.now() - Number.parseFloat(block.dataset.at);
    const old = age > Number.parseFloat(block.dataset.staleAfter);
    block.classList.toggle("is-stale", old);
    let note = block.querySelector("[data-stale-note]");
    if (!note && old) {
      note = document.createElement("p");
      note.dataset.staleNote = "";
      note.setAttribute("role", "status");
      block.prepend(note);
    }
    if (!note) continue;
    note.classList.toggle("stale-note", old);
    const text = old ? `Stale: these figures are ${Cachedeck.age(age)} old.` : note.dataset.fresh || "";
    if (note.textContent !== text && (old || note.dataset.wasStale)) note.textContent = text;
    if (old) note.dataset.wasStale = "true";
  }
});

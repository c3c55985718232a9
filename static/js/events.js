// The console's stream: live or paused, how long the list is, and what to do when the session or the connection ends.
"use strict";
(() => {
  const stream = document.getElementById("event-stream");
  if (!stream) return;
  const list = document.getElementById("event-rows");
  const state = document.querySelector("[data-event-state]");
  const pause = document.querySelector("[data-event-pause]");
  const most = Number.parseInt(stream.dataset.most, 10);
  let pausedAt = ""; // the id of the last message that was shown; "" while live
  let goOnFrom = "";
  let latest = "";

  function say(words, level) {
    if (state.textContent === words) return;
    state.textContent = words;
    state.className = `badge badge-${level}`;
  }
  const number = (id) => Number.parseInt(id.split(".")[1], 10) || 0;
  const waiting = () => Math.max(0, number(latest) - number(pausedAt));

  function tell() {
    if (pausedAt) say(`paused, ${Cachedeck.number(waiting())} new`, "warn");
    // The stream is there all the same, and says so of the server.
    else if (document.querySelector(".event-meter[data-silent]")) say("nothing heard", "bad");
    else say("live", "ok");
  }

  pause.hidden = false;
  say("connecting", "quiet");
  latest = new URL(stream.dataset.stream, location.href).searchParams.get("from") || "";

  pause.addEventListener("click", () => {
    const paused = !pausedAt;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) {
      pausedAt = latest || "-";
    } else {
      // The server has what came meanwhile: it is asked again from there, as after a lost connection.
      goOnFrom = pausedAt === "-" ? "" : pausedAt;
      pausedAt = "";
      stream._htmx?.sse?.reader?.cancel();
    }
    tell();
  });

  stream.addEventListener("htmx:sse:before:connection", (event) => {
    if (!goOnFrom) return;
    event.detail.connection.lastEventId = goOnFrom;
    goOnFrom = "";
  });
  stream.addEventListener("htmx:sse:after:connection", tell);
  stream.addEventListener("htmx:sse:before:message", (event) => {
    const { message } = event.detail;
    if (message.event) return;
    if (goOnFrom) {
      event.detail.cancelled = true; // of the connection that is being left
      return;
    }
    if (!message.id) return;
    latest = message.id;
    if (!pausedAt) return;
    event.detail.cancelled = true;
    tell();
  });
  stream.addEventListener("htmx:sse:after:message", () => {
    if (!pausedAt) tell();
    // Counted once, and with the blanks between rows: looking past those that are left took most of the tab's time.
    let extra = list.childElementCount - most;
    while (extra > 0) {
      if (list.lastChild.nodeType === Node.ELEMENT_NODE) extra -= 1;
      list.lastChild.remove();
    }
  });
  stream.addEventListener("session-ended", () => location.reload());
  for (const name of ["htmx:sse:error", "htmx:sse:close"]) {
    stream.addEventListener(name, (event) => {
      if (event.detail.status === 401) location.reload();
      else if (!pausedAt) say("connecting again", "warn");
    });
  }

  // Connected here and not by markup: htmx looks at the page in a timer, perhaps before its extension or this script is
  // there, perhaps after. A timer that is set now comes after that one, so it is connected once.
  setTimeout(() => {
    stream.setAttribute("hx-sse:connect", stream.dataset.stream);
    htmx.process(stream);
  });
})();

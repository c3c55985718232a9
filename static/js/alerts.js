// No request fails in silence: what went wrong lands in #alerts, and leaves it when the same request succeeds.
"use strict";
(() => {
  const BY_STATUS = {
    400: ["This page is too old to send that.", "Reload it and try again."],
    401: ["You are no longer signed in.", "Reload the page to sign in."],
    403: ["Your role does not allow that.", "Ask an admin of Cachedeck."],
    404: ["That is no longer there.", "Reload the page to see what is."],
    405: ["That cannot be done here.", "Reload the page."],
    413: ["That is more than Cachedeck takes at once.", ""],
    419: ["This page is too old to send that.", "Reload it and try again."],
    429: ["Too many requests.", "Wait a moment and try again."],
    500: ["Cachedeck failed at that.", "Its log says why."],
    502: ["The proxy cannot reach Cachedeck.", "It may be restarting."],
    503: ["Cachedeck is not ready.", "It may be starting."],
    504: ["Cachedeck took too long to answer the proxy.", ""],
  };
  const RELOAD = new Set([400, 401, 404, 405, 419]);
  const box = () => document.getElementById("alerts");
  const worded = new Map(); // request -> the problem which the server last answered it with
  const seen = new WeakMap(); // element of an alert -> how often it came

  const source = (ctx) => `${ctx.request.method} ${ctx.request.action.split("?")[0]}`;
  const polls = (ctx) => ctx.sourceEvent?.type === "every";
  const changes = (ctx) => ctx.request.method !== "GET";

  function button(label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "btn btn-small";
    made.textContent = label;
    made.addEventListener("click", act);
    return made;
  }

  function dismisser() {
    const made = button("Dismiss", () => {});
    made.classList.add("btn-quiet");
    made.dataset.dismiss = "";
    return made;
  }

  function again(ctx) {
    return button("Try again", (event) => {
      event.target.closest(".alert").remove();
      htmx.ajax("GET", ctx.request.action, { source: ctx.sourceElement, target: ctx.target, swap: ctx.swap });
    });
  }

  function show(from, sentence, advice, action) {
    const known = [...box().children].find((alert) => alert.dataset.from === from);
    if (known && known.dataset.sentence === sentence) {
      const times = (seen.get(known) || 1) + 1;
      seen.set(known, times);
      known.querySelector(".alert-times").textContent = `${times} times`;
      return;
    }
    known?.remove();
    const alert = document.createElement("div");
    alert.className = "alert alert-bad";
    alert.dataset.from = from;
    alert.dataset.sentence = sentence;
    const words = document.createElement("p");
    const strong = document.createElement("strong");
    strong.textContent = sentence;
    words.append(strong, ` ${advice}`);
    const times = document.createElement("span");
    times.className = "alert-times";
    alert.append(words, times, ...(action ? [action] : []), dismisser());
    box().append(alert);
  }

  function clear(from) {
    worded.delete(from);
    for (const alert of [...box().children]) if (alert.dataset.from === from) alert.remove();
  }

  // What to do next depends on whether it comes again by itself and on whether something may have changed.
  function hint(ctx) {
    if (polls(ctx)) return "It is tried again by itself.";
    return changes(ctx) ? "It may or may not have been done: look before trying again." : "";
  }

  const reload = () => button("Reload", () => location.reload());
  const action = (ctx) => (polls(ctx) || changes(ctx) ? null : again(ctx));

  // A whole page where a piece was asked for: a proxy's error page, or the login page after a redirect.
  const wholePage = (ctx) =>
    /^\s*(<!doctype|<html)/i.test(ctx.text) && ctx.target !== document.body && !ctx.select && !ctx.hx.retarget;
  const notHtml = (ctx) => ctx.text !== "" && !/^text\/html\b/i.test(ctx.response.headers.get("Content-Type") || "");
  const handled = (ctx) => ctx.hx.redirect || ctx.hx.refresh || ctx.hx.location;

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (handled(ctx)) return;
    const { status } = ctx.response;
    if (!wholePage(ctx) && !notHtml(ctx)) {
      if (status < 400) clear(source(ctx));
      else if (ctx.text.trim() === "") refuse(ctx, status);
      return;
    }
    event.preventDefault(); // not ours to swap
    if (status >= 400) refuse(ctx, status);
    else if (ctx.response.raw.redirected) show(source(ctx), "You are no longer signed in.", "Reload the page to sign in.", reload());
    else show(source(ctx), "The answer was not what this page expected.", "Reload it; if that does not help, the log says more.", reload());
  });

  function refuse(ctx, status) {
    const known = BY_STATUS[status] || [`The request was refused (${status}).`, ""];
    const advice = [known[1], RELOAD.has(status) || status === 403 ? "" : hint(ctx)].filter(Boolean).join(" ");
    show(source(ctx), known[0], advice, RELOAD.has(status) ? reload() : action(ctx));
    if (ctx.text.trim() === "") ctx.hx.reswap = "none"; // an empty error must not empty the page
  }

  // The server words the problem itself (HX-Retarget: #alerts): mark where it came from, to clear it on recovery.
  document.addEventListener("htmx:response:error", (event) => {
    const { ctx } = event.detail;
    if (ctx.hx.retarget !== "#alerts") return;
    // Polling brings the same words again and again: they are announced once, and once dismissed they stay away.
    ctx.hx.reswap = worded.get(source(ctx)) === ctx.text ? "none" : "innerHTML";
    worded.set(source(ctx), ctx.text);
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    if (ctx.hx?.retarget !== "#alerts") return;
    for (const alert of box().children) alert.dataset.from ||= source(ctx);
  });

  document.addEventListener("htmx:error", (event) => {
    const { ctx, error } = event.detail;
    if (!box()) return;
    if (!ctx?.request) return show("page", "Something on this page failed.", "Reload it.", reload());
    if (ctx.request.signal?.reason === "timeout" || error === "timeout")
      return show(source(ctx), "Cachedeck did not answer in time.", hint(ctx), action(ctx));
    if (ctx.response) return show(source(ctx), "The answer broke off or could not be shown.", hint(ctx), action(ctx));
    return show(source(ctx), "Cachedeck cannot be reached.", hint(ctx), action(ctx));
  });

  document.addEventListener("click", (event) => {
    const dismissed = event.target.closest("[data-dismiss]");
    if (dismissed) dismissed.closest(".alert, .result")?.remove();
  });
})();

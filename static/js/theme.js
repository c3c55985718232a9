// The theme: system, light or dark. Runs in <head> before any style is applied, so that no page flashes.
"use strict";
(() => {
  const root = document.documentElement;
  const read = () => {
    try {
      return localStorage.getItem("cachedeck-theme") || "system";
    } catch {
      return "system"; // storage may be forbidden; the page must still work
    }
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    document.dispatchEvent(new CustomEvent("cachedeck:theme"));
  };

  apply(read());
  addEventListener("storage", (event) => {
    if (event.key === "cachedeck-theme") apply(read());
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(read()));

  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("[data-theme-switch] input")) input.checked = input.value === read();
  });
  document.addEventListener("change", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    try {
      localStorage.setItem("cachedeck-theme", event.target.value);
    } catch {
      // holds for this page only
    }
    apply(event.target.value);
  });
})();

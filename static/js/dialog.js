// Dialogs: opened by [data-dialog-open], closed by [data-dialog-close], a click beside them, or their own success.
"use strict";
(() => {
  function open(dialog) {
    if (!dialog || dialog.open) return;
    dialog.showModal();
    dialog.querySelector("[autofocus], .dialog-body input:not([type=hidden]), .dialog-body select")?.focus();
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog-open]");
    if (opener) return open(document.getElementById(opener.dataset.dialogOpen));
    if (event.target.closest("[data-dialog-close]")) return event.target.closest("dialog")?.close();
  });
  // Enter in a field of a form that goes around the dialog does what the dialog is about, and nothing else of the form.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("dialog input:not(dialog form *)")) return;
    event.preventDefault();
    event.target.closest("dialog").querySelector("button[type=submit]:not(:disabled)")?.click();
  });
  // pointerdown, not click: a selection dragged out of a field must not close the dialog.
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof HTMLDialogElement && event.target.open) event.target.close();
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.response.status < 400 && ctx.request.method !== "GET") ctx.sourceElement.closest("dialog")?.close();
  });
  Cachedeck.whenThere("dialog[data-dialog-auto]", open);
  Cachedeck.openDialog = (id) => open(document.getElementById(id));
})();

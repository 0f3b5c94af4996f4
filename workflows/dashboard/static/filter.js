"use strict";
// The form #filter of a page and the part of it that is fetched anew: a table, say. What the form does
// not ask for is not in the address, and an answer that came late does not undo a later wish.

(() => {
  const filter = document.getElementById("filter");
  if (!filter) return;
  const part = document.querySelector(filter.getAttribute("hx-target"));

  const address = (text) => new URL(text, location.href).href;

  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement !== filter) return;
    const fields = ctx.request.body;
    for (const [name, value] of [...fields]) if (value === "") fields.delete(name);
  });

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement.id !== part.id) return;
    if (address(ctx.request.action) !== location.href.split("#")[0]) event.preventDefault();
  });
})();

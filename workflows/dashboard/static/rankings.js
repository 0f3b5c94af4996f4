"use strict";
// The table of the ranking and its plot: a box in the plot filters the table, and what the table
// shows stands out in the plot. The plot itself stays as it is.

(() => {
  const filter = document.getElementById("filter");
  const clear = document.getElementById("clear-box");
  const table = () => document.getElementById("ranking");
  const plot = () => document.querySelector("figure.plot[data-select]");
  const SIDES = ["min_window_V", "max_window_V", "min_y", "max_y"];
  const DIGITS = 3;
  let marked = null; // id of the row that is pointed at, in a list
  let told = "null";

  // Three digits are enough, but no point that is in the box may fall out.
  function outward(value, isLow) {
    const step = 10 ** (Math.floor(Math.log10(Math.abs(value) || 1)) - DIGITS + 1);
    const whole = isLow ? Math.floor(value / step) : Math.ceil(value / step);
    const rounded = Number((whole * step).toPrecision(DIGITS + 1));
    return rounded !== 0 && Math.abs(rounded) < 1e-3 ? rounded.toExponential() : String(rounded);
  }

  function ask(sides) {
    for (const [place, name] of SIDES.entries()) filter.elements[name].value = sides?.[place] ?? "";
    filter.elements.bounds.checked = Boolean(sides); // a box finds what is drawn in it, arrows too
    filter.requestSubmit();
  }

  const hasBox = () => SIDES.some((name) => filter.elements[name].value !== "");

  document.addEventListener("plot:select", (event) => {
    const { ranges } = event.detail;
    if (!ranges) {
      if (hasBox()) ask(null);
      return;
    }
    const [x, y] = [ranges.x, ranges.y].map((ends) => [...ends].sort((one, other) => one - other));
    ask([outward(x[0], true), outward(x[1], false), outward(y[0], true), outward(y[1], false)]);
  });

  // What is best known may become another quantity while a campaign goes on: limits say of which.
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    const fields = ctx.request.body;
    if (ctx.sourceElement !== filter || !(fields.get("min_y") || fields.get("max_y"))) return;
    if (!fields.get("y")) fields.set("y", filter.elements.y.dataset.plotted);
  });

  clear.addEventListener("click", () => ask(null));

  function highlight() {
    const shown = table()?.dataset.marked;
    clear.hidden = !hasBox();
    const ids = marked ? JSON.stringify(marked) : (shown ?? "null");
    if (ids === told) return;
    told = ids;
    const detail = { ids: JSON.parse(ids) };
    plot()?.dispatchEvent(new CustomEvent("plot:highlight", { detail }));
  }

  function point(event) {
    const row = event.target.closest?.("#ranking tr[data-id]");
    const ids = row && (event.type === "mouseover" || event.type === "focusin") ? [row.dataset.id] : null;
    if (ids?.[0] === marked?.[0]) return;
    marked = ids;
    highlight();
  }

  for (const kind of ["mouseover", "focusin", "focusout"]) document.addEventListener(kind, point);

  // After each change of the table, also those every few seconds.
  new MutationObserver(highlight).observe(document.querySelector(".ranking-table"), {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-marked"],
  });
  highlight();
})();

"use strict";
// Draws every <figure class="plot" data-src="URL">, also those that come into the page later.
//
//   data-src     JSON with data, layout and summary, for plotly
//   data-live    asked again every few seconds
//   data-select  a box drawn in the plot is told as an event plot:select: {ids, ranges}, where ranges
//                is {x: [low, high], y: [low, high]}; both are null once the box is gone
//
// The event plot:highlight with {ids} makes these points stand out, with {ids: null} all alike again.
// Ids are the traces' customdata. A click on a point leads to its page, if layout.meta.url says where.

(() => {
  const EVERY_MS = 5000;
  const DOUBLE_CLICK_MS = 350;
  const FADED = "0.12";
  const ID_IN_URL = "CANDIDATE";
  const states = new Map(); // figure -> what is known of it
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Plotly gives parts of its texts, such as raised digits, a style attribute, which the page's
  // Content-Security-Policy forbids. The same through the object model is allowed.
  SVGElement.prototype.setAttribute = function setAttribute(name, value) {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };

  // ---- colours of the page

  function pageColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      of: (text) => text.replace(/var\(--([\w-]+)\)/g, (_, name) => colour(name)),
      text: colour("text"),
      muted: colour("muted"),
      grid: colour("grid"),
      surface: colour("surface"),
    };
  }

  // A copy in which names of the style sheet's colours are what they stand for.
  function coloured(value, colours) {
    if (typeof value === "string") return value.startsWith("var(") ? colours.of(value) : value;
    if (Array.isArray(value)) {
      return typeof value[0] === "object" ? value.map((part) => coloured(part, colours)) : value;
    }
    if (value === null || typeof value !== "object") return value;
    const copy = {};
    for (const [key, part] of Object.entries(value)) copy[key] = coloured(part, colours);
    return copy;
  }

  function themed(layout, colours, isSelectable) {
    const font = { color: colours.text, family: getComputedStyle(document.body).fontFamily, size: 13 };
    const copy = {
      uirevision: "kept",
      paper_bgcolor: colours.surface,
      plot_bgcolor: colours.surface,
      hoverlabel: { bgcolor: colours.surface, bordercolor: colours.muted, font },
      modebar: { bgcolor: colours.surface, color: colours.muted, activecolor: colours.text },
      newselection: { line: { color: colours.text } },
      activeselection: { fillcolor: colours.muted, opacity: 0.1 },
      ...coloured(layout, colours),
      font,
      autosize: true,
    };
    if (!isSelectable && copy.dragmode === "select") copy.dragmode = "zoom";
    for (const key of Object.keys(copy)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      copy[key] = {
        gridcolor: colours.grid,
        linecolor: colours.muted,
        tickcolor: colours.muted,
        zerolinecolor: colours.grid,
        showline: true,
        ticks: "outside",
        automargin: true,
        ...copy[key],
      };
    }
    return copy;
  }

  function config(isSelectable, isFixed) {
    const buttons = ["zoom2d", "pan2d", ...(isSelectable ? ["select2d"] : []), "resetScale2d"];
    return {
      displaylogo: false,
      showSendToCloud: false,
      plotlyServerURL: "",
      displayModeBar: isFixed ? false : "hover",
      modeBarButtons: [buttons],
    };
  }

  // ---- one figure

  function canvasOf(figure) {
    let canvas = figure.querySelector(":scope > .canvas");
    if (!canvas) {
      canvas = document.createElement("div");
      canvas.className = "canvas";
      figure.prepend(canvas);
    }
    return canvas;
  }

  function say(figure, text) {
    let message = figure.querySelector(":scope > .plot-message");
    if (!text) {
      message?.remove();
      return;
    }
    if (!message) {
      message = document.createElement("p");
      message.className = "plot-message";
      message.setAttribute("role", "status");
      canvasOf(figure).after(message);
    }
    message.textContent = text;
  }

  async function draw(figure) {
    const state = states.get(figure);
    const { data, layout, summary } = state.plot;
    const canvas = canvasOf(figure);
    const caption = figure.querySelector("figcaption .summary");
    if (caption) caption.textContent = summary;
    if (data.length === 0) {
      erase(figure);
      canvas.hidden = true;
      say(figure, summary);
      return;
    }
    canvas.hidden = false;
    say(figure, "");
    const colours = pageColours();
    const isSelectable = figure.hasAttribute("data-select");
    const isFixed = layout.dragmode === false;
    canvas.style.height = layout.height ? `${layout.height}px` : "";
    canvas.style.minHeight = layout.height ? "0" : "";
    const height = layout.height ?? canvas.clientHeight;
    const wanted = { ...themed(layout, colours, isSelectable), height, width: canvas.clientWidth };
    await Plotly.react(canvas, coloured(data, colours), wanted, config(isSelectable, isFixed));
    // The summary stands for what is drawn; the buttons beside it can be reached.
    canvas.setAttribute("role", "group");
    canvas.setAttribute("aria-label", summary);
    for (const svg of canvas.querySelectorAll(".main-svg")) svg.setAttribute("aria-hidden", "true");
    figure.dataset.drawn = "";
    if (!state.listens) listen(figure, canvas);
  }

  function listen(figure, canvas) {
    const state = states.get(figure);
    state.listens = true;
    let leaving = null; // a double click removes the box or the zoom, and leads nowhere
    canvas.on("plotly_doubleclick", () => clearTimeout(leaving));
    canvas.on("plotly_click", ({ points }) => {
      const url = state.plot.layout.meta?.url;
      const id = points[0]?.customdata;
      clearTimeout(leaving);
      if (!url || typeof id !== "string") return;
      const target = url.replace(ID_IN_URL, encodeURIComponent(id));
      leaving = setTimeout(() => window.location.assign(target), DOUBLE_CLICK_MS);
    });
    canvas.on("plotly_afterplot", () => {
      if (state.highlighted) highlight(figure, state.highlighted);
    });
    const tell = (detail) =>
      figure.dispatchEvent(new CustomEvent("plot:select", { bubbles: true, detail }));
    if (figure.hasAttribute("data-select")) {
      canvas.on("plotly_selected", (chosen) => {
        if (!chosen?.range) return;
        const ids = chosen.points.map((point) => point.customdata).filter((id) => id !== undefined);
        tell({ ids: [...new Set(ids)], ranges: { x: chosen.range.x, y: chosen.range.y } });
      });
      canvas.on("plotly_deselect", () => tell({ ids: null, ranges: null }));
    }
  }

  // Fades all other points. They are changed one by one: plotly's own way, restyle with
  // selectedpoints, computes the whole plot anew, which takes seconds for ten thousand of them.
  function highlight(figure, ids) {
    states.get(figure).highlighted = ids;
    const wanted = ids && new Set(ids);
    for (const group of canvasOf(figure).querySelectorAll(".scatterlayer .trace")) {
      const named = group.__data__?.[0]?.trace?.customdata;
      if (!named) continue;
      for (const point of group.querySelectorAll(".point")) {
        const stands = !wanted || wanted.has(named[point.__data__.i]);
        point.style.opacity = stands ? "" : FADED;
      }
    }
  }

  function erase(figure) {
    if (!("drawn" in figure.dataset)) return;
    Plotly.purge(canvasOf(figure));
    delete figure.dataset.drawn;
    states.get(figure).listens = false;
  }

  // ---- fetching

  async function refresh(figure) {
    const state = states.get(figure);
    if (!state) return;
    state.request?.abort();
    const request = new AbortController();
    state.request = request;
    const url = figure.dataset.src;
    try {
      const answer = await fetch(url, { cache: "no-cache", signal: request.signal });
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const text = await answer.text();
      if (text === state.text) {
        say(figure, state.plot.data.length ? "" : state.plot.summary);
      } else {
        state.plot = JSON.parse(text);
        state.text = text;
        await draw(figure);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      const reason = error instanceof TypeError ? "the dashboard does not answer" : error.message;
      say(
        figure,
        state.plot ? `This plot may be old: ${reason}.` : `This plot cannot be shown: ${reason}.`,
      );
    } finally {
      if (state.request === request) state.request = null;
    }
  }

  function poll() {
    if (document.hidden) return;
    for (const [figure, state] of states) {
      if (figure.hasAttribute("data-live") && state.wasSeen && !state.request) refresh(figure);
    }
  }

  // ---- figures that come and go

  // What is folded away or far below is drawn once it comes into view.
  const views = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const state = states.get(target);
        if (!isIntersecting || !state || state.wasSeen) continue;
        state.wasSeen = true;
        refresh(target);
      }
    },
    { rootMargin: "50%" },
  );

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const canvas = canvasOf(target);
      const size = canvas._fullLayout;
      if (!("drawn" in target.dataset) || !size || !canvas.clientWidth) continue;
      const width = canvas.clientWidth;
      if (Math.abs(size.width - width) > 1) Plotly.relayout(canvas, { width });
    }
  });

  function add(figure) {
    if (states.has(figure)) return;
    states.set(figure, { wasSeen: false });
    figure.addEventListener("plot:highlight", (event) => highlight(figure, event.detail.ids));
    views.observe(figure);
    sizes.observe(figure);
  }

  function forget() {
    for (const figure of [...states.keys()].filter((known) => !known.isConnected)) {
      states.get(figure).request?.abort();
      erase(figure);
      views.unobserve(figure);
      sizes.unobserve(figure);
      states.delete(figure);
    }
  }

  function look() {
    forget();
    document.querySelectorAll("figure.plot[data-src]").forEach(add);
  }

  new MutationObserver((changes) => {
    const isOfPlot = (node) => node.parentElement?.closest("figure.plot");
    const others = changes.filter(({ target, type }) => type === "childList" && !isOfPlot(target));
    if (others.length) look();
    for (const { target, type } of changes) {
      if (type === "attributes" && states.get(target)?.wasSeen) refresh(target);
    }
  }).observe(document.documentElement, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-src"],
  });

  dark.addEventListener("change", () => {
    for (const [figure, state] of states) if (state.plot) draw(figure);
  });
  document.addEventListener("visibilitychange", poll);
  setInterval(poll, EVERY_MS);
  look();
})();

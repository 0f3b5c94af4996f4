"use strict";
// Parts of a page that are fetched anew: what goes wrong must neither empty them nor go unseen.

const liveState = document.getElementById("live-state");

function tell(text) {
  if (liveState && liveState.textContent !== text) liveState.textContent = text;
}

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const part = ctx.sourceElement;
  if (!part.hasAttribute("data-live")) return;
  if (ctx.response.status >= 400) {
    event.preventDefault();
    tell("What is shown may be old: the dashboard cannot read the campaign just now.");
    return;
  }
  tell("");
  // The page has become another one, such as the first results where there were none.
  const wanted = part.getAttribute("hx-select").slice(1);
  if (!ctx.text.includes(`id="${wanted}"`)) {
    event.preventDefault();
    location.reload();
  }
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.sourceElement?.hasAttribute("data-live")) {
    tell("What is shown may be old: the dashboard does not answer. Is it still running?");
  }
});

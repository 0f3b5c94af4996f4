"use strict";
// Buttons that copy a command, and logs that grow while one reads.

(() => {
  document.documentElement.classList.add("scripted");

  // ---- copying

  function mark(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      mark(code); // without https a page may not copy
      button.textContent = "Marked";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });

  // ---- logs

  // Who is at the end stays there; who reads further up keeps what is read in place: what only
  // grows may grow, what moves up waits.
  const SLACK_PX = 8;
  const logsIn = (part) => [...part.querySelectorAll("pre[data-follow]")];
  const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < SLACK_PX;
  const following = new WeakSet();

  function follow(part) {
    for (const log of logsIn(part)) {
      if (following.has(log)) log.scrollTop = log.scrollHeight;
    }
  }

  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    const part = ctx.sourceElement;
    if (!part.hasAttribute("data-live")) return;
    for (const log of logsIn(part)) {
      if (isAtEnd(log)) {
        following.add(log);
        continue;
      }
      following.delete(log);
      const page = new DOMParser().parseFromString(ctx.text, "text/html");
      const next = page.querySelector(`${part.getAttribute("hx-select")} pre[data-follow]`);
      if (next && !next.textContent.startsWith(log.textContent)) event.preventDefault();
    }
  });

  document.addEventListener("htmx:after:swap", (event) => {
    const { sourceElement } = event.detail.ctx;
    // What was folded up and comes into the page begins at its end.
    for (const log of logsIn(sourceElement)) {
      if (!sourceElement.hasAttribute("data-live")) following.add(log);
    }
    follow(sourceElement);
  });

  for (const log of logsIn(document)) following.add(log);
  follow(document);
})();

"use strict";
// A button that does something opens a dialog that says what; without this script, a page.

(() => {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "confirmation-title");
  document.body.append(dialog);

  async function ask(address) {
    const answer = await fetch(address, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = page.getElementById("confirmation");
    if (!answer.ok || !question) throw new Error("the page says why");
    dialog.replaceChildren(document.adoptNode(question));
    dialog.showModal();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (dialog.contains(form)) {
      // Twice pressed is once asked.
      setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
      return;
    }
    if (!form.matches("form[data-action]")) return;
    event.preventDefault();
    const address = new URL(form.action);
    address.search = new URLSearchParams(new FormData(form)).toString();
    ask(address).catch(() => location.assign(address));
  });

  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-dismiss]")) return;
    event.preventDefault();
    dialog.close();
  });
})();

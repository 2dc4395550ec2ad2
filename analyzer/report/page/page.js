"use strict";
// What makes the page handier: filters, buttons to copy, everything open on paper. All text is
// there without it.
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  const say = (text) => { byId("said").textContent = text; };

  // --- filter ---
  const cases = all("[data-case]").map((node) => ({
    node,
    kinds: node.dataset.kind.split(" "),
    sure: node.dataset.sure,
    text: null,
  }));
  const groups = all("[data-group]");
  const bar = byId("filter");

  const filter = () => {
    const words = byId("f-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = byId("f-kind").value;
    const sure = byId("f-sure").value;
    const any = words.length || kind || sure;
    let shown = 0;
    for (const one of cases) {
      if (words.length && one.text === null) one.text = one.node.textContent.toLowerCase();
      const fits = (!kind || one.kinds.includes(kind)) && (!sure || one.sure === sure) &&
        words.every((word) => one.text.includes(word));
      if (one.node.hidden === fits) one.node.hidden = !fits;
      shown += fits;
    }
    for (const group of groups) {
      const left = group.querySelector("[data-case]:not([hidden])");
      group.hidden = any && !left;
      if (any && left) group.open = true;
    }
    byId("f-none").hidden = shown > 0;
    byId("f-count").textContent = `${shown.toLocaleString("en")} of ${cases.length.toLocaleString("en")} shown`;
  };

  if (bar) {
    bar.hidden = false;
    let wait = 0;
    byId("f-text").addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(filter, 120);
    });
    byId("f-kind").addEventListener("change", filter);
    byId("f-sure").addEventListener("change", filter);
    const turn = (open) => all(".case, .group").forEach((one) => { if (!one.hidden) one.open = open; });
    byId("open").addEventListener("click", () => turn(true));
    byId("close").addEventListener("click", () => turn(false));
    filter();
  }

  // --- copy ---
  const copy = async (text, node) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Where the browser forbids it to a file, the text is selected at least.
      getSelection().selectAllChildren(node);
      document.execCommand("copy");
    }
    say(`Copied: ${text}`);
  };
  for (const box of all(".copy")) {
    const code = box.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${code.textContent.slice(0, 60)}`);
    button.addEventListener("click", async () => {
      await copy(code.textContent, code);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    box.prepend(button);
  }
  document.addEventListener("click", (event) => {
    const number = event.target.closest?.(".ladder title + text tspan")?.textContent.match(/\d+$/);
    if (number) copy(`frame.number == ${number}`, event.target);
  });

  // --- a link to an incident opens it ---
  const reveal = () => {
    const target = /^#[\w-]+$/.test(location.hash) && document.querySelector(location.hash);
    if (!target) return;
    target.hidden = false;
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // --- on paper everything is open ---
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => {
    closed.forEach((one) => { one.open = false; });
    closed = [];
  });
})();

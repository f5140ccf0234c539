// Foldable code in the lectures, and a place in the keyboard's order for whatever scrolls.

function fold() {
  const cells = [...document.querySelectorAll("div.cell_input")];
  if (!cells.length) return;
  for (const cell of cells) {
    const details = document.createElement("details");
    details.className = "code";
    details.open = true;
    const summary = document.createElement("summary");
    summary.textContent = "Code";
    cell.replaceWith(details);
    details.append(summary, cell);
  }
  const button = document.createElement("button");
  button.className = "fold-all";
  button.type = "button";
  const say = () => {
    button.textContent = document.querySelector("details.code[open]") ? "Hide all code" : "Show all code";
  };
  button.addEventListener("click", () => {
    const open = !document.querySelector("details.code[open]");
    for (const each of document.querySelectorAll("details.code")) each.open = open;
    say();
  });
  say();
  document.querySelector("article h1")?.after(button);
}

function reachable() {
  for (const box of document.querySelectorAll(
    "div.highlight pre, .table-wrapper, div.math, mjx-container, div.highlight"
  )) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  }
}

fold();
window.addEventListener("load", () => {
  const typeset = window.MathJax?.startup?.promise ?? Promise.resolve();
  typeset.then(reachable);
});
window.addEventListener("resize", reachable);

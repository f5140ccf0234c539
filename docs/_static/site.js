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

// The menus of furo are labels of boxes that are not displayed: no key reaches them.
const MENUS = { __navigation: "Menu of the site", __toc: "Contents of this page" };

function pressable() {
  for (const label of document.querySelectorAll("label[for]")) {
    const box = document.getElementById(label.htmlFor);
    if (box?.type !== "checkbox" || label.classList.contains("overlay")) continue;
    const of = label.parentElement.querySelector("a.reference")?.textContent;
    label.tabIndex = 0;
    label.setAttribute("role", "button");
    label.setAttribute("aria-label", MENUS[box.id] ?? `Pages below ${of}`);
    label.setAttribute("aria-expanded", box.checked);
    box.addEventListener("change", () => label.setAttribute("aria-expanded", box.checked));
    label.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      box.click();
    });
  }
}

// A page that was opened from a disk may not read others, of which a search would show parts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Sphinx calls the captions of the menu headings, but not of which level.
for (const caption of document.querySelectorAll("p.caption[role=heading]"))
  caption.setAttribute("aria-level", "2");

fold();
pressable();
window.addEventListener("load", () => {
  const typeset = window.MathJax?.startup?.promise ?? Promise.resolve();
  typeset.then(reachable);
});
window.addEventListener("resize", reachable);

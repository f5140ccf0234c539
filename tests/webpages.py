"""What is asked of a page of the site: each question returns the faults that it found."""

from __future__ import annotations

import importlib
import os
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]

# ------------------------------------------------------------------------- links, by a parser


class Links(HTMLParser):
    """Anchors of a page, and where its links, pictures and scripts lead."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes) -> None:
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value is not None and not _outside(value):
                self.targets.append(value)


def _outside(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc)


#: By their paths as words: to ask the disk about each link would take minutes.
links = cache(Links)
is_file = cache(os.path.isfile)


def dead_links(path: Path) -> list[str]:
    """Links of a page to files or anchors that are not there."""
    dead = []
    for target in links(str(path)).targets:
        parts = urlsplit(target)
        there = str(path)
        if parts.path:
            there = os.path.normpath(os.path.join(path.parent, unquote(parts.path)))
        anchor = unquote(parts.fragment) if there.endswith(".html") else ""
        if not is_file(there) or (anchor and anchor not in links(there).anchors):
            dead.append(target)
    return dead


# ------------------------------------------------------------------------------- in a browser


def remember_errors(page) -> None:
    """What a page says on the console, or what it throws, is in ``page.said``."""
    page.said = []
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on(
        "console",
        lambda message: message.type == "error" and page.said.append(message.text),
    )


def opened(page, path: Path) -> None:
    """Open a page and wait for its formulas."""
    page.said.clear()
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise")


#: Formulas that are not set, TeX in the text, TeX's errors, pixels too many, pictures without alt.
FAULTS = r"""() => {
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const raw = [];
    while (words.nextNode()) {
        const at = words.currentNode.parentElement;
        if (at.closest("pre, code, script, style, noscript, mjx-container")) continue;
        if (/\$\$|\\\(|\\\[/.test(words.currentNode.data)) raw.push(words.currentNode.data);
    }
    // The root hides what is too wide, because furo lets the whole content scroll in its place.
    const frames = [...document.querySelectorAll("html, .content")];
    return {
        unset: [...document.querySelectorAll(".math")]
            .filter(each => !each.querySelector("mjx-container svg")).length,
        raw,
        wrong: [...document.querySelectorAll("[data-mjx-error]")].map(e => e.dataset.mjxError),
        wide: Math.max(...frames.map(each => each.scrollWidth - each.clientWidth)),
        nameless: [...document.images].filter(each => !each.alt).map(each => each.src),
    };
}"""


def faults(page, path: Path) -> dict[str, object]:
    """Faults of a page as it opens; what it said on the console among them."""
    opened(page, path)
    found = page.evaluate(FAULTS)
    found["said"] = page.said.copy()
    return {fault: value for fault, value in found.items() if value}


def found_by_search(page, site: Path, words: str) -> list[str]:
    """Titles of the pages that are found for words that somebody types on the front page."""
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.locator(".search-summary", has_text="Search finished").or_(
        page.locator(".search-summary", has_text="did not match any")
    ).wait_for()
    return page.locator("ul.search li a").all_inner_texts()


REACHABLE = """() => {
    const wanted = new Set();
    for (const each of document.querySelectorAll(
        "a[href], button, input, summary, [role=button], [tabindex]"
    )) {
        const box = each.getBoundingClientRect();
        const style = getComputedStyle(each);
        if (box.width && box.height && style.visibility === "visible" && each.tabIndex >= 0
            && !each.disabled && !each.closest("[inert]")) wanted.add(each);
    }
    document.addEventListener("focusin", event => wanted.delete(event.target));
    window.wanted = wanted;
    return wanted.size;
}"""
LEFT = "() => [...window.wanted].map(each => each.outerHTML.slice(0, 120))"


def not_reached(page, path: Path) -> list[str]:
    """What can be clicked and is never reached by the key Tab."""
    opened(page, path)
    count = page.evaluate(REACHABLE)
    assert count > 10
    for _ in range(count + 30):
        page.keyboard.press("Tab")
    return page.evaluate(LEFT)


# MathJax's own elements, thousands of them, are not asked; without their insides, which keep their
# place, axe takes half the time.
EMPTIED = """() => {
    for (const svg of document.querySelectorAll("mjx-container > svg")) svg.replaceChildren();
    for (const twin of document.querySelectorAll("mjx-assistive-mml")) twin.remove();
}"""
WHERE = "{exclude: ['mjx-container']}"
#: In the dark only the colours differ.
RULES = {
    "light": "{resultTypes: ['violations']}",
    "dark": "{resultTypes: ['violations'], runOnly: ['color-contrast']}",
}


@cache
def axe() -> Path:
    """The file of axe-core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        npm = importlib.import_module("npm")
    try:
        return npm.fetched(npm.AXE)
    except OSError as error:
        pytest.fail(f"axe-core is not here yet, and npm, which has it, was not reached: {error}")


def inaccessible(page, path: Path) -> list[str]:
    """Serious faults that axe finds: all its rules in the light, colours in the dark as well."""
    opened(page, path)
    page.evaluate(EMPTIED)
    page.add_script_tag(path=str(axe()))
    serious = []
    for scheme, rules in RULES.items():
        page.emulate_media(color_scheme=scheme)
        for each in page.evaluate(f"() => axe.run({WHERE}, {rules})")["violations"]:
            if each["impact"] in ("serious", "critical"):
                where = [node["html"][:160] for node in each["nodes"][:3]]
                serious.append(f"{scheme}: {each['id']}, {len(each['nodes'])} times: {where}")
    return serious

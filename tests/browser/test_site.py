"""Every page of the site: opens offline, typeset, on a phone, links, search, keyboard, axe."""

from __future__ import annotations

import importlib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.browser

#: Pages of every kind, for what takes long.
KINDS = [
    "index.html",
    "lectures/README.html",
    "lectures/00_start_here.html",
    "lectures/06_three_cases.html",
    "lectures/SLIDES.html",
    "lectures/HOMES.html",
    "lectures/ERRATA.html",
    "ledger/index.html",
    "ledger/errata.html",
    "api/index.html",
    "api/ddrm_coefficients.html",
    "api/SVDOperator.html",
    "api/modules/ddrm_edu.law.html",
    "_modules/ddrm_edu/ddrm.html",
    "source/tests/ledger/slides_11_16.py.html",
    "benchmarks/results/gaps.html",
    "docs/own_h.html",
    "docs/commands.html",
    "docs/gallery.html",
    "docs/teach/index.html",
    "docs/project/bibliography.html",
    "search.html",
]
OPENED = {
    # What a page must be asked in the browser: formulas that are not set, and its width.
    "unset": """() => [...document.querySelectorAll(".math")]
        .filter(each => !each.querySelector("mjx-container svg")).length""",
    "raw": r"""() => {
        const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const found = [];
        while (words.nextNode()) {
            const at = words.currentNode.parentElement;
            if (at.closest("pre, code, script, style, noscript, mjx-container")) continue;
            if (/\$\$|\\\(|\\\[/.test(words.currentNode.data)) found.push(words.currentNode.data);
        }
        return found;
    }""",
    "wrong": """() => [...document.querySelectorAll("[data-mjx-error]")]
        .map(each => each.dataset.mjxError)""",
    "width": "() => document.documentElement.scrollWidth",
    "nameless": """() => [...document.images].filter(each => !each.alt).map(each => each.src)""",
}


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


class Links(HTMLParser):
    """Anchors of a page, and where its links, pictures and scripts lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes) -> None:
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value is not None:
                self.targets.append(value)


def test_every_link_inside_the_site_leads_to_a_page_and_an_anchor(site):
    known = {path: Links(path) for path in pages(site)}
    assert len(known) > 200
    broken, count = [], 0
    for path, links in known.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            file, anchor = urldefrag(target)
            file = unquote(urlsplit(file).path)
            there = (path.parent / file).resolve() if file else path
            lost = anchor and there in known and unquote(anchor) not in known[there].anchors
            if lost or not there.is_file():
                broken.append(f"{path.relative_to(site)}: {target}")
    assert count > 10_000
    assert not broken, "\n".join(sorted(set(broken)))


def test_nothing_is_fetched_from_the_web(site):
    """Neither script nor style nor picture; links to papers are no fetches."""
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        for tag in ("<script", "<link", "<img"):
            for part in text.split(tag)[1:]:
                head = part.partition(">")[0]
                assert "//" not in head.replace("<!--", ""), f"{path.relative_to(site)}: {head}"


@pytest.mark.parametrize("share", range(4))
def test_every_page_opens_offline_typeset_and_fits_a_phone(site, browser, listen, share):
    """All but the texts of source files, of which every tenth is opened."""
    every = [p for p in pages(site) if p.relative_to(site).parts[0] not in ("source", "_modules")]
    sources = [p for p in pages(site) if p not in every]
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    listen(page)
    faults = []
    for path in [*every, *sources[::10]][share::4]:
        page.goto(path.as_uri())
        page.evaluate("() => window.MathJax?.startup?.promise")
        found = {name: page.evaluate(code) for name, code in OPENED.items()}
        found["width"] -= min(found["width"], 390)
        found["said"] = page.said.copy()
        page.said.clear()
        if any(found.values()):
            faults.append(f"{path.relative_to(site)}: { {k: v for k, v in found.items() if v} }")
    context.close()
    assert not faults, "\n".join(faults)


def test_search_finds_singular_value(site, page):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("singular value")
    page.keyboard.press("Enter")
    page.wait_for_selector("ul.search li a")
    page.wait_for_timeout(1000)
    found = page.locator("ul.search li a").all_inner_texts()
    assert len(found) >= 5
    assert any("SVD" in text or "oordinates" in text for text in found), found
    assert not page.said


# ---------------------------------------------------------------------------------- keyboard

REACHABLE = """() => {
    const seen = new Set();
    for (const each of document.querySelectorAll(
        "a[href], button, input, summary, [role=button], [tabindex]"
    )) {
        const box = each.getBoundingClientRect();
        const style = getComputedStyle(each);
        if (box.width && box.height && style.visibility === "visible" && each.tabIndex >= 0
            && !each.disabled && !each.closest("[inert]")) seen.add(each);
    }
    window.wanted = seen;
    return seen.size;
}"""
NEXT = """() => {
    const at = document.activeElement;
    if (at === document.body) return false;
    window.wanted.delete(at);
    return true;
}"""
LEFT = "() => [...window.wanted].map(each => each.outerHTML.slice(0, 120))"


@pytest.mark.parametrize("name", ["index.html", "api/restore.html", "lectures/SLIDES.html"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_keyboard_reaches_everything(site, page, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / name).as_uri())
    page.evaluate("() => window.MathJax.startup.promise")
    count = page.evaluate(REACHABLE)
    assert count > 10
    for _ in range(count + 30):
        page.keyboard.press("Tab")
        if not page.evaluate(NEXT):
            break
    assert page.evaluate(LEFT) == []


def test_the_first_tab_offers_the_content(site, page):
    page.goto((site / "lectures/06_three_cases.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#furo-main-content")


def test_menus_of_a_phone_open_by_the_keyboard(site, page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site / "index.html").as_uri())
    link = page.locator(".sidebar-tree a", has_text="01 · Linear inverse problems")
    assert link.bounding_box()["x"] < 0  # outside
    page.locator(".nav-overlay-icon").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert link.bounding_box()["x"] >= 0


def test_code_of_a_lecture_folds(site, page):
    page.goto((site / "lectures/01_linear_inverse_problems.html").as_uri())
    cell = page.locator("div.cell_input").first
    assert cell.is_visible()
    page.locator("details.code > summary").first.focus()
    page.keyboard.press("Enter")
    assert not cell.is_visible()
    page.get_by_role("button", name="Hide all code").click()
    assert page.locator("div.cell_input:visible").count() == 0
    page.get_by_role("button", name="Show all code").click()
    assert cell.is_visible()


def test_previous_and_next_lead_through_the_lectures(site):
    lectures = sorted((site / "lectures").glob("[0-9]*.html"))
    assert len(lectures) >= 15
    for one, other in pairwise(lectures):
        assert f'<a class="next-page" href="{other.name}">' in one.read_text(encoding="utf-8")
        assert f'<a class="prev-page" href="{one.name}">' in other.read_text(encoding="utf-8")


# --------------------------------------------------------------------------------------- axe

WHERE = "{exclude: ['mjx-container']}"  # MathJax's own, of thousands of nodes
RULES = {
    "light": "{resultTypes: ['violations']}",
    "dark": "{resultTypes: ['violations'], runOnly: ['color-contrast']}",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(site, browser, scheme, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    npm = importlib.import_module("npm")

    try:
        axe = npm.fetched(npm.AXE)
    except OSError as error:
        pytest.fail(f"axe-core is not here yet, and npm, which has it, was not reached: {error}")
    faults = []
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    for name in KINDS:
        page.goto((site / name).as_uri())
        page.evaluate("() => window.MathJax?.startup?.promise")
        page.add_script_tag(path=str(axe))
        found = page.evaluate(f"() => axe.run({WHERE}, {RULES[scheme]})")
        for each in found["violations"]:
            if each["impact"] in ("serious", "critical"):
                where = [node["html"][:160] for node in each["nodes"][:3]]
                faults.append(f"{name}: {each['id']}, {len(each['nodes'])} times: {where}")
    context.close()
    assert not faults, "\n".join(faults)

"""Every page of the site: opens offline, typeset, on a phone, links, search, keyboard, axe."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from webpages import dead_links, faults, found_by_search, inaccessible, links, not_reached

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
    "source/tests/test_gpu.py.html",
    "benchmarks/results/gaps.html",
    "docs/own_h.html",
    "docs/commands.html",
    "docs/gallery.html",
    "docs/teach/index.html",
    "docs/project/bibliography.html",
    "search.html",
]
SHARES = 4  # parts of what takes long, for processes that work side by side


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_link_inside_the_site_leads_to_a_page_and_an_anchor(site):
    every = pages(site)
    dead = [f"{page.relative_to(site)}: {link}" for page in every for link in dead_links(page)]
    assert len(every) > 200
    assert sum(len(links(str(page)).targets) for page in every) > 10_000
    assert not dead, "\n".join(sorted(set(dead)))


def test_nothing_is_fetched_from_the_web(site):
    """Neither script nor style nor picture; links to papers are no fetches."""
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        for tag in ("<script", "<link", "<img"):
            for part in text.split(tag)[1:]:
                head = part.partition(">")[0]
                assert "//" not in head.replace("<!--", ""), f"{path.relative_to(site)}: {head}"


@pytest.mark.parametrize("share", range(SHARES))
def test_every_page_opens_offline_typeset_and_fits_a_phone(site, page, share):
    """All but the texts of source files, of which every tenth is opened."""
    page.set_viewport_size({"width": 390, "height": 844})
    every = [p for p in pages(site) if p.relative_to(site).parts[0] not in ("source", "_modules")]
    sources = [p for p in pages(site) if p not in every]
    found = {
        path.relative_to(site).as_posix(): faults(page, path)
        for path in [*every, *sources[::10]][share::SHARES]
    }
    wrong = [f"{name}: {what}" for name, what in found.items() if what]
    assert not wrong, "\n".join(wrong)


def test_search_finds_singular_value(site, page):
    found = found_by_search(page, site, "singular value")
    assert len(found) >= 5
    assert any("SVD" in text or "oordinates" in text for text in found), found
    assert not page.said


@pytest.mark.parametrize("name", ["index.html", "api/restore.html", "lectures/SLIDES.html"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_keyboard_reaches_everything(site, page, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert not_reached(page, site / name) == []


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


@pytest.mark.parametrize("share", range(SHARES))
def test_axe_finds_no_serious_fault(site, page, share):
    found = {name: inaccessible(page, site / name) for name in KINDS[share::SHARES]}
    assert not any(found.values()), "\n".join(f"{name}: {found[name]}" for name in found)

"""Faults that are planted in a copy of the site, one at a time: each is found."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from webpages import dead_links, faults, found_by_search, inaccessible, not_reached

pytestmark = pytest.mark.browser


@pytest.fixture
def plant(site, tmp_path):
    """Puts words behind the first heading of the front page of a copy, and returns its path."""
    copy = shutil.copytree(site, tmp_path / "html", copy_function=os.symlink)

    def planted(words: str) -> Path:
        page = copy / "index.html"
        text = page.read_text(encoding="utf-8")
        page.unlink()  # a link to the page of the site, which stays as it is
        before, heading, after = text.partition("</h1>")
        assert heading
        page.write_text(f"{before}{heading}{words}{after}", encoding="utf-8")
        return page

    return planted


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("said", "<script>nobody.defined(this)</script>"),
        ("said", '<script src="_static/nowhere.js"></script>'),
        ("said", '<img alt="from the web" src="https://example.org/picture.png">'),
        ("unset", '<div class="math notranslate nohighlight">x_0</div>'),
        ("raw", r"<p>The picture \(x_0\)</p>"),
        ("wrong", r'<div class="math notranslate nohighlight">\[\frac{x_0}\]</div>'),
        ("wide", '<div style="width: 500px">wide</div>'),
        ("nameless", '<img src="_static/x0.png">'),
    ],
)
def test_a_fault_is_seen_when_a_page_opens(plant, page, fault, words):
    page.set_viewport_size({"width": 390, "height": 844})
    assert fault in faults(page, plant(words))


@pytest.mark.parametrize("link", ["lectures/99_nothing.html", "search.html#nowhere", "#nowhere"])
def test_a_dead_link_is_found(plant, link):
    assert dead_links(plant(f'<p><a href="{link}">Read on</a></p>')) == [link]


def test_a_search_without_its_word_finds_nothing(plant, page):
    site = plant("").parent
    index = site / "searchindex.js"
    text = index.read_text(encoding="utf-8")
    index.unlink()
    index.write_text(text.replace("singular", "plural"), encoding="utf-8")
    assert found_by_search(page, site, "singular value") == []


@pytest.mark.parametrize(
    "words",
    [
        "<button onkeydown=\"event.key === 'Tab' && event.preventDefault()\">Stay</button>",
        "<a href='#' onfocus=\"document.querySelector('.skip-to-content').focus()\">Back</a>",
    ],
    ids=["it keeps the key", "it sends back"],
)
def test_a_trap_of_the_keyboard_is_found(plant, page, words):
    assert not_reached(page, plant(words))


DARK = "<style>@media (prefers-color-scheme: dark) { %s { color: #333 !important } }</style>"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("dark: color-contrast", DARK % "article p"),
        ("dark: color-contrast", DARK % ".highlight .kn"),
        ("light: color-contrast", '<p style="background: #fff; color: #ccc">Pale</p>'),
        ("light: image-alt", '<img src="_static/x0.png">'),
        ("light: button-name", "<button></button>"),
    ],
)
def test_axe_finds_a_fault(plant, page, rule, words):
    found = inaccessible(page, plant(words))
    assert any(each.startswith(f"{rule},") for each in found), found
    if rule.startswith("dark"):
        assert all(each.startswith(rule) for each in found)

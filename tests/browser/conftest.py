"""The site in a real browser: only where `-m browser` asks for it, and then nothing is skipped."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from webpages import remember_errors

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("DDRM_EDU_SITE", ROOT / "build" / "site" / "html"))


def pytest_collection_modifyitems(config, items):
    """`make test` has no browser and must not count these as skipped."""
    if "browser" in config.option.markexpr:
        return
    here = [item for item in items if "browser" in item.keywords]
    config.hook.pytest_deselected(items=here)
    items[:] = [item for item in items if "browser" not in item.keywords]


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the site."""
    if not (SITE / "index.html").exists():
        pytest.fail(f"There is no site in {SITE}: build it with make site.")
    return SITE


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, driven by playwright."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        chromium = importlib.import_module("chromium")
    program = chromium.found()
    if program is None:
        pytest.fail(f"There is no chromium here. {chromium.OTHERWISE}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container there is no sandbox for root; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """An empty page of 1,280 pixels without network; what it says on the console is in ``said``."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    remember_errors(page)
    yield page
    context.close()

"""Every page that is generated."""

from __future__ import annotations

from . import ROOT, api, bibliography, gallery, ledger, news, sources


def pages() -> dict[str, str]:
    """Place on the site, and text, of every page that nobody writes."""
    lectures = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
    found = dict(api.api_pages(lectures))
    found |= dict(ledger.ledger_pages(api.cited_ids()))
    found |= dict(sources.source_pages(sorted(sources.linked_files() | ledger.law_files())))
    found |= gallery.page(lectures) | bibliography.page(lectures) | news.page(lectures)
    found["lectures/solutions/index.md"] = SOLUTIONS
    return found


SOLUTIONS = """# Solutions

Each with its derivation, in a cell that stands alone.

```{toctree}
:glob:

[0-9]*
```
"""

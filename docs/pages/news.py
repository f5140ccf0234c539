"""What is new: what was not released yet, and names that moved."""

from __future__ import annotations

import ddrm_edu

from . import ROOT

HEAD = "## Unreleased"


def page() -> dict[str, str]:
    """Place and text of the page."""
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = log.partition(f"{HEAD}\n")[2].partition("\n## ")[0].strip()
    rows = [
        f"| `ddrm_edu.{old}` | `ddrm_edu.{new}` |\n" for old, new in sorted(ddrm_edu._MOVED.items())
    ]
    return {
        "docs/project/news.md": (
            f"# What is new\n\nSince version {ddrm_edu.__version__}; older ones stand in the "
            f"[changelog](../../CHANGELOG.md).\n\n{unreleased}\n\n## Names that moved\n\n"
            "The error of an old name says the same.\n\n| was | is |\n|---|---|\n" + "".join(rows)
        )
    }

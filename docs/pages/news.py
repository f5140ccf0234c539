"""What is new: what was not released yet, names that moved, old and new exercises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import ddrm_edu
from ddrm_edu.course.engine import Exercise, load

from . import ROOT

HEAD = "## Unreleased"
LINK = re.compile(r"\]\((?!\w+:|#)")  # to a file, from the root of the repository
#: The exercises of the last release.  None has changed its number or title since, which was seen by
#: comparison with the commit of that version; to be renewed with the next one.
RELEASED = ("0.2.0", {f"{lecture:02}.{k}" for lecture in range(14) for k in (1, 2, 3)})


def page(lectures: list[Path]) -> dict[str, str]:
    """Place and text of the page."""
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = log.partition(f"{HEAD}\n")[2].partition("\n## ")[0].strip()
    unreleased = LINK.sub(r"](../../", unreleased)
    moved = [
        f"| `ddrm_edu.{old}` | `ddrm_edu.{new}` |\n" for old, new in sorted(ddrm_edu._MOVED.items())
    ]
    return {
        "docs/project/news.md": (
            f"# What is new\n\nSince version {ddrm_edu.__version__}; older ones stand in the "
            f"[changelog](../../CHANGELOG.md).\n\n{unreleased}\n\n## Names that moved\n\n"
            "The error of an old name says the same.\n\n| was | is |\n|---|---|\n"
            + "".join(moved)
            + "\n## Exercises, old and new\n\nNo exercise has changed its number or title; where a "
            "lecture was divided, it stands in one of the parts.\n\n"
            "| exercise | title | stands in | |\n|---|---|---|---|\n"
            + "".join(_exercises(lectures))
        )
    }


def exercises(lectures: list[Path]) -> dict[Path, list[Exercise]]:
    """Of each lecture, or part of one."""
    return {path: load(path.stem.partition("_")[0]) for path in lectures}


def _exercises(lectures: list[Path]) -> Iterator[str]:
    version, old = RELEASED
    for path, here in exercises(lectures).items():
        place = f"[{path.stem.replace('_', ' ')}](../../lectures/{path.name}#exercises)"
        for each in here:
            since = f"as in {version}" if each.id in old else "**new**"
            yield f"| {each.id} | {each.title} | {place} | {since} |\n"

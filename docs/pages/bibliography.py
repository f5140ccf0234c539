"""What the course and the library build upon, and where each source is named."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat

import ddrm_edu

from . import ROOT

FILE = ROOT / "docs" / "references.toml"


def references() -> list[dict]:
    """Each with ``text`` in Markdown and ``named``, the patterns that find it in other texts."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))["reference"]


def places(lectures: list[Path]) -> Iterator[tuple[str, str]]:
    """A link to each place where sources are named, and its text."""
    for path in lectures:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        yield f"[lecture {path.stem[:2]}](../../lectures/{path.name})", text
    for name in ddrm_edu.__all__:
        value = getattr(ddrm_edu, name)
        texts = [inspect.getdoc(value) or ""]
        if inspect.isclass(value):
            texts += [inspect.getdoc(each) or "" for each in vars(value).values()]
        yield f"[`{name}`](../../api/{name}.rst)", "\n".join(texts)


def page(lectures: list[Path]) -> dict[str, str]:
    """Place and text of the page."""
    known = [(link, " ".join(text.split())) for link, text in places(lectures)]
    parts = [
        "# Bibliography\n\nWhat the course and the library build upon, and where it is named.\n\n"
    ]
    for entry in references():
        found = [link for link, text in known if any(re.search(p, text) for p in entry["named"])]
        where = f" Named in: {', '.join(found)}." if found else ""
        parts.append(f"* {entry['text']}{where}\n")
    return {"docs/project/bibliography.md": "".join(parts)}

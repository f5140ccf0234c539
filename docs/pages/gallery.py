"""The figures of all lectures on one page, each with the words that its lecture has for it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from PIL import Image

from . import ROOT

INTRODUCTION = """# Gallery

Every figure of the course, as `make figures` draws it; a heading leads to the lecture.

"""


def page(lectures: list[Path]) -> dict[str, str]:
    """Place and text of the page."""
    parts = [INTRODUCTION]
    for path in lectures:
        title = re.match(r"# (.+)", nbformat.read(path, as_version=4).cells[0].source)[1]
        parts.append(f"## [{title}](../lectures/{path.name})\n\n")
        number = path.stem.partition("_")[0]
        parts += [_entry(figure) for figure in sorted(ROOT.glob(f"figures/{number}_*.png"))]
    return {"docs/gallery.md": "".join(parts)}


def _entry(figure: Path) -> str:
    with Image.open(figure) as image:
        text = image.info["Description"]
    place = f"../{figure.relative_to(ROOT).as_posix()}"
    return f"```{{figure}} {place}\n:alt: {text}\n:loading: lazy\n\n{text}\n```\n\n"

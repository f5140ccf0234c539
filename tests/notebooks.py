"""The lectures and their solutions as tests read them.

A long lecture has parts, 07a and 07b; sections, exercises and figures are numbered through both.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
LECTURES = {path.name.split("_")[0]: path for path in FILES}  # "06", "07a", "07b" ...
PARTS: dict[str, list[str]] = {}  # of each number: ["06"], ["07a", "07b"] ...
for key in LECTURES:
    PARTS.setdefault(key[:2], []).append(key)
SOLUTIONS = {path.name[:2]: path for path in sorted((ROOT / "lectures/solutions").glob("*.ipynb"))}


@cache
def read(path: Path) -> nbformat.NotebookNode:
    """A notebook in the current format."""
    return nbformat.read(path, as_version=4)


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    """The cells of kind "code" or "markdown"."""
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    """True for a cell that carries the tag."""
    return tag in cell.metadata.get("tags", ())


def exercise_cells(path: Path) -> dict[str, str]:
    """Source of each cell that ends in ``exercise("NN.k", ...)``, by the number NN.k."""
    found = {}
    for cell in cells(path, "code"):
        if match := re.search(r'^exercise\("([\d.]+)"', cell.source, re.MULTILINE):
            assert match[1] not in found, f"{path.name} has exercise {match[1]} twice"
            found[match[1]] = cell.source
    return found

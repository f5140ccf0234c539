"""Run each lecture, and then every cell once more, from the last one up.

A reader who scrolls back and runs a cell again must find that it works: a cell that needs what a
later one has replaced is told, with its number and its error.

python scripts/again.py lectures/07a_the_theorem.ipynb ...
"""

from __future__ import annotations

import copy
import itertools
import sys
from pathlib import Path

import nbformat
from kernels import execute, two_at_a_time


def complaints(path: Path) -> list[str]:
    """One for each cell that does something else when it is run after the last one."""
    notebook = nbformat.read(path, as_version=4)
    first = [cell for cell in notebook.cells if cell.cell_type == "code"]
    second = [copy.deepcopy(cell) for cell in reversed(first)]
    for number, cell in enumerate([*first, *second]):
        cell["id"] = f"cell-{number}"
    notebook.cells = [*first, *second]
    execute(notebook, path.parent, allow_errors=True)
    found = []
    for number, (before, after) in enumerate(zip(first, reversed(second), strict=True), 1):
        was, now = error(before), error(after)
        if was.split(":")[0] != now.split(":")[0]:
            found.append(
                f"{path.name}, In [{number}]: {now or 'no error'} (at first {was or 'none'})"
            )
    return found


def error(cell: nbformat.NotebookNode) -> str:
    """Name and text of the error that a cell ended in; empty if it did not."""
    found = [output for output in cell.outputs if output.output_type == "error"]
    return f"{found[0].ename}: {found[0].evalue}" if found else ""


def main() -> None:
    """Print what was found."""
    of_each = two_at_a_time(complaints, [Path(name) for name in sys.argv[1:]])
    found = list(itertools.chain(*of_each))
    print(*(found or ["Every cell can be run again after the last one."]), sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

"""Where each statement of the lecture lives: writes the table lectures/HOMES.md from the notebooks.

A statement's home is the lecture in which its ID is written as the tag of a formula or in bold.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "lectures" / "HOMES.md"
#: The tag of a formula, an ID in bold, or the head of an aside such as **Erratum E3 (a misprint).**
_HOME = re.compile(r"(?:\\tag\{|\*\*|\*\*Erratum )([SXGYE]\d+(?:\.\d)?)(?:\}|\*\*| \()")


class Home(NamedTuple):
    """A place where a statement stands, and the cells of that lecture that check it."""

    path: Path
    section: str
    cell: int
    checks: list[int]


def homes(ids: list[str]) -> dict[str, list[Home]]:
    """Every place that says to be the home of an ID; cells are counted from 1, as In [n] is."""
    found: dict[str, list[Home]] = {id: [] for id in ids}
    for path in sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        section = ""
        for number, cell in enumerate(cells, 1):
            if cell.cell_type != "markdown":
                continue
            for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
                if heading := re.match(r"## (.+)", part):
                    section = heading[1]
                for id in _HOME.findall(part):
                    known = found.setdefault(id, [])
                    if path not in [home.path for home in known]:
                        known.append(Home(path, section, number, _checks(cells, id)))
    return found


def _checks(cells: list, id: str) -> list[int]:
    """Execution counts of the cells that cite the ID in a string."""
    cited = re.compile(rf"[\"'].*\b{re.escape(id)}\b")
    code = [cell for cell in cells if cell.cell_type == "code"]
    return [cell.execution_count for cell in code if cited.search(cell.source)]


def table(items: list, theorems: dict) -> str:
    """The table in Markdown, one row for each ID, in the ledger's order."""
    statements: dict[str, str] = {}
    for item in items:
        statements.setdefault(item.id, item.statement)
    lines = [
        "# Where each statement lives",
        "",
        "Made by `make homes` from the notebooks and the equation ledger: S = slide.statement,",
        "X = beyond the slides, G = linear-Gaussian theory, Y = denoisers that see y, E = erratum.",
        "*kernel*: the theorem of [proofs](../proofs/README.md) that Coq has checked.",
        "A test keeps the table complete.",
        "",
        "| ID | statement | lecture and section | checked in | kernel |",
        "|---|---|---|---|---|",
    ]
    for id, places in homes(list(statements)).items():
        theorem = theorems.get(id)
        kernel = f"[{theorem.name}](../proofs/{theorem.file})" if theorem else ""
        for home in places:
            where = f"[{home.path.name.split('_')[0]}]({home.path.name}) {home.section}"
            cells = ", ".join(f"In [{count}]" for count in home.checks)
            lines.append(f"| {id} | {_plain(statements[id])} | {where} | {cells} | {kernel} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    from ledger.kernel import first_theorems
    from ledger.registry import all_items

    TABLE.write_text(table(all_items(), first_theorems()))
    print(f"Wrote {TABLE.relative_to(ROOT)}")

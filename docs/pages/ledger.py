"""The equation ledger as pages: each statement with its laws, wrong versions, home and proof."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from homes import homes
from ledger.kernel import first_theorems
from ledger.registry import IDS, Item, all_items
from mdit_py_plugins.anchors.index import slugify

from . import ROOT, labels, sources

FAMILIES = {
    "slides": ("S", "Statements of the slides"),
    "beyond": ("X", "Beyond the slides"),
    "gaussian_theory": ("G", "Linear-Gaussian theory"),
    "sees_y": ("Y", "Denoisers that see y"),
    "errata": ("E", "Errata"),
}
INTRODUCTION = """# The equation ledger

Each statement of the lecture, and of what the course adds, has an ID and at least one *law*: a
function that measures how far a formula is from the truth. `make verify` runs every law on the
right version, which must be exact up to rounding, and on wrong versions, which must be clearly
off; `make verify ID=S11` shows the numbers of slide 11. These pages are generated from those laws,
and an ID in any text of this site leads here.

"""


def ledger_pages(cited: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Place and text of each page; ``cited`` has the links to what cites an ID."""
    laws: dict[str, list[Item]] = defaultdict(list)
    for item in all_items():
        laws[item.id].append(item)
    theorems, places = first_theorems(), homes(IDS)
    for name, (letter, title) in FAMILIES.items():
        parts = [f"# {title}\n\n"]
        slide = None
        for id in (id for id in IDS if id[0] == letter):
            if letter == "S" and slide != id[1:3]:
                slide = id[1:3]
                parts.append(
                    f"({labels.slide(int(slide), 'ledger')})=\n## Slide {int(slide)}\n\n"
                    f"[The slide in our words](#{labels.slide(int(slide))})\n\n"
                )
            level = "###" if letter == "S" else "##"
            parts.append(f"({labels.label(id)})=\n{level} {id}\n\n")
            parts += _entry(laws[id], places[id], theorems.get(id), cited.get(id, []))
        yield f"ledger/{name}.md", "".join(parts)
    yield "ledger/index.md", INTRODUCTION + "".join(_contents(laws))


def _contents(laws: Mapping[str, list[Item]]) -> Iterator[str]:
    yield "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(FAMILIES) + "\n```\n\n"
    yield "| ID | statement | laws | wrong versions |\n|---|---|---|---|\n"
    for id in IDS:
        wrong = sum(len(item.wrong) for item in laws[id])
        statement = laws[id][0].statement.replace("|", "\\|")
        entry = f"[{id}](#{labels.label(id)})"
        yield f"| {entry} | {_escaped(statement)} | {len(laws[id])} | {wrong} |\n"


def _entry(laws, places, theorem, cited) -> Iterator[str]:
    for item in laws:
        yield f"{_escaped(item.statement)}\n\n"
        wrong = ", ".join(f"*{_escaped(name)}*" for name in item.wrong)
        yield f": right within {item.bound:.0e}; rejected: {wrong}; law: {_law(item)}\n\n"
    for place in places:
        anchor = slugify(re.sub(r"\$[^$]*\$", "", place.section))  # as MyST does, without formulas
        file = place.path.relative_to(ROOT).as_posix()
        yield f"- Home: [{place.path.name[:2]}, {place.section}](../{file}#{anchor})"
        if place.checks:
            yield ", checked in " + ", ".join(f"In \\[{count}\\]" for count in place.checks)
        yield "\n"
    if theorem:
        file = ROOT / "proofs" / theorem.file
        yield f"- Checked by Coq's kernel: [{theorem.name}](../{sources.shown(file)})\n"
    if cited:
        yield "- Cited by: " + ", ".join(cited) + "\n"
    yield "\n"


def _law(item: Item) -> str:
    path = Path(item.law.__code__.co_filename)
    name = item.law.__name__
    where = f"`{path.name}::{name}`"
    return f"[{where}](#{sources.label(path, name)})" if name.isidentifier() else where


def law_files() -> set[Path]:
    """The files in which the laws and Coq's theorems stand."""
    found = {Path(inspect.getfile(item.law)) for item in all_items()}
    return found | {ROOT / "proofs" / each.file for each in first_theorems().values()}


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_`<\[\]$|~^])", r"\\\1", text)

"""One click to run: badges for Colab and Binder, and a first cell that installs what is missing.

python scripts/badges.py            # in README.md, in every lecture, in the notebooks of docs
python scripts/badges.py --check    # say what is not as this script would write it

The address of the repository stands in pyproject.toml, under ``[project.urls]``, and nowhere else
by hand.  Badges are files of the repository, so that pages show them without a network.  No
notebook is run: outputs stay, and their numbers move on by the new cell.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import nbformat

ROOT = Path(__file__).resolve().parents[1]
INSTALL = "install"  # tag and id of the cell
NOISE = "Exception reporting mode: Minimal\n"  # what the magic line said that the cell replaces

CELL = """\
# An error is told in one line; where the package is missing, as on Colab, it is installed.
from importlib.util import find_spec

get_ipython().InteractiveTB.set_mode("Minimal")
if find_spec("ddrm_edu") is None:
    get_ipython().run_line_magic("pip", "install --quiet git+{address}")"""

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" \
aria-label="{left} {right}">
  <title>{left} {right}</title>
  <clipPath id="round"><rect width="{width}" height="20" rx="3"/></clipPath>
  <g clip-path="url(#round)">
    <rect width="{cut}" height="20" fill="#444"/>
    <rect x="{cut}" width="{rest}" height="20" fill="{colour}"/>
  </g>
  <g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
    <text x="6" y="14" textLength="{left_text}">{left}</text>
    <text x="{start}" y="14" textLength="{right_text}">{right}</text>
  </g>
</svg>
"""


class Badge(NamedTuple):
    """Two words, the colour behind the second, and where a click leads."""

    left: str
    right: str
    colour: str
    link: str  # with {project} and {path}

    @property
    def file(self) -> str:
        """Its picture."""
        return f"figures/run-{self.left.split()[-1]}-{self.right}.svg".lower()

    def svg(self) -> str:
        """The picture, with the widths of Verdana at 11 pixels, nearly."""
        left, right = (7 * len(word) - 2 for word in (self.left, self.right))
        return SVG.format(
            **self._asdict(),
            left_text=left,
            right_text=right,
            cut=left + 12,
            rest=right + 12,
            start=left + 18,
            width=left + right + 24,
        )


BADGES = (
    Badge(
        "run in", "Colab", "#8a4b00", "https://colab.research.google.com/github/{project}/{blob}"
    ),
    Badge(
        "run on", "Binder", "#1f5f99", "https://mybinder.org/v2/gh/{project}/main?labpath={path}"
    ),
)


def address() -> str:
    """Of the repository, from the one place where it stands."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"]


def line(path: str, up: str) -> str:
    """The badges that run the notebook at a path; ``up`` leads to the root of the repository."""
    project = urlsplit(address()).path.strip("/")
    places = {"project": project, "blob": f"blob/main/{path}", "path": quote(path, safe="")}
    return " ".join(
        f"[![{badge.left.capitalize()} {badge.right}]({up}{badge.file})]"
        f"({badge.link.format(**places)})"
        for badge in BADGES
    )


def with_badges(text: str, badges: str) -> str:
    """The text with this line below its title, instead of an older one."""
    title, *rest = text.split("\n")
    start = f"[![{BADGES[0].left.capitalize()} "
    while rest and (not rest[0] or rest[0].startswith(start)):
        rest.pop(0)
    return "\n".join([title, "", badges, "", *rest]).rstrip("\n") + "\n" * text.endswith("\n")


def with_install_cell(notebook: nbformat.NotebookNode) -> None:
    """Put the cell before the first code, or renew it; the others keep their outputs."""
    code = CELL.format(address=address())
    first = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    if INSTALL in notebook.cells[first].metadata.get("tags", ()):
        notebook.cells[first].source = code
    else:
        cell = nbformat.v4.new_code_cell(code, id=INSTALL, metadata={"tags": [INSTALL]})
        quiet(notebook.cells[first])
        notebook.cells.insert(first, cell)
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def quiet(cell: nbformat.NotebookNode) -> None:
    """Take out the magic line for short errors, and what it printed."""
    cell.source = cell.source.removeprefix("%xmode Minimal\n")
    for output in cell.outputs:
        if output.output_type == "stream":
            output.text = output.text.replace(NOISE, "")
    cell.outputs = [output for output in cell.outputs if output.get("text", "...")]


def lecture(path: Path) -> str:
    """The notebook at the path, as it should be."""
    notebook = nbformat.read(path, as_version=4)
    title = notebook.cells[0]
    place = path.relative_to(path.parents[1]).as_posix()
    title.source = with_badges(title.source, line(place, "../"))
    with_install_cell(notebook)
    return nbformat.writes(notebook) + "\n"


def wanted(root: Path) -> dict[Path, str]:
    """All files that are written, and their text."""
    readme = root / "README.md"
    found = {root / badge.file: badge.svg() for badge in BADGES}
    first, *_ = lectures = sorted((root / "lectures").glob("[0-9][0-9]*_*.ipynb"))
    found[readme] = with_badges(
        readme.read_text(encoding="utf-8"), line(f"lectures/{first.name}", "")
    )
    others = sorted((root / "docs").glob("*.ipynb"))
    return found | {path: lecture(path) for path in [*lectures, *others]}


def stale(root: Path) -> dict[Path, str]:
    """Those that are not yet so."""
    return {
        path: text
        for path, text in wanted(root).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    changed = stale(ROOT)
    for path, text in changed.items():
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and changed:
        sys.exit("These are not as python scripts/badges.py writes them.")


if __name__ == "__main__":
    main()

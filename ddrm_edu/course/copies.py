"""Copies of the lectures, with the files that they lead to: ``ddrm-edu lectures FOLDER``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LECTURES = "lectures/[0-9][0-9]*_*.ipynb"
SOLUTIONS = "lectures/solutions/[0-9][0-9]*_*.ipynb"
LINK = re.compile(r"\[([^][]*)\]\((?!\w+:|#)([^()#\s]+)(?:#[^()\s]*)?\)")
READ = (  # by the code of lectures 00 and 10
    "benchmarks/results/photographs.csv",
    "benchmarks/results/photographs-astronaut-noise.jpg",
    "benchmarks/results/quality-*.csv",
)


def source() -> Path:
    """The folder that holds ``lectures``: in an installed package, or the repository.

    Raises
    ------
    FileNotFoundError
        If the package was installed in some way that left the lectures out.

    Examples
    --------
    >>> sorted(path.name for path in source().glob("lectures/0[01]_*.ipynb"))
    ['00_start_here.ipynb', '01_linear_inverse_problems.ipynb']
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "notebooks", here.parents[2]):
        if any(folder.glob(LECTURES)):
            return folder
    raise FileNotFoundError(
        "this installation has no lectures: they come with the wheel of ddrm-edu, or with a clone "
        "of its repository; install one of these"
    )


def markdown(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells with text."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


def led_to(root: Path, notebooks: dict[Path, dict[str, Any]]) -> Iterator[Path]:
    """The other files that go along: what the notebooks link to or read, but no solutions."""
    for path, notebook in notebooks.items():
        for cell in markdown(notebook):
            for _, target in LINK.findall("".join(cell["source"])):
                linked = _from(path.parent, target)
                if linked.is_file() and "solutions" not in linked.parts:
                    yield linked
    for pattern in READ:
        yield from root.glob(pattern)


def without_dead_links(text: str, folder: Path, files: Iterable[Path]) -> str:
    """The text of a file in ``folder``; a link to none of the ``files`` is its words only."""
    there = set(files)
    return LINK.sub(lambda link: link[0] if _from(folder, link[2]) in there else link[1], text)


def _from(folder: Path, target: str) -> Path:
    """Where a relative link leads from a file in the folder."""
    return Path(os.path.normpath(folder / target))


def copy_lectures(folder: Path, *, solutions: bool = False, force: bool = False) -> list[Path]:
    """Copy the lectures to ``folder/lectures``, and beside it what they link to and read.

    Links to what is not copied become plain words.  The copies write no files when they run:
    figures appear in the notebook.

    Parameters
    ----------
    folder : Path
        It is made if it does not exist.
    solutions : bool
        Copy the notebooks with the solutions, too.
    force : bool
        Replace files that exist.

    Returns
    -------
    list of Path
        The copies of the notebooks.

    Raises
    ------
    FileExistsError
        If a file would be replaced, by default; nothing is written then.
    ValueError
        If the folder is the one that the lectures are in.
    """
    root, folder = source(), folder.resolve()
    if folder == root:
        raise ValueError(f"{folder} holds the lectures themselves: name another folder")
    paths = sorted(root.glob(LECTURES)) + (sorted(root.glob(SOLUTIONS)) if solutions else [])
    notebooks = {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    others = {*led_to(root, notebooks), *root.glob("lectures/*.md")}
    copies = {path: folder / path.relative_to(root) for path in [*paths, *sorted(others)]}
    known = [copy for copy in copies.values() if copy.exists()]
    if known and not force:
        raise FileExistsError(
            f"{known[0]} exists already, and so do {len(known) - 1} other files: somebody may "
            "have worked in them; name another folder, or replace them with --force"
        )
    files = set(copies.values())
    for path, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path in notebooks:
            for cell in markdown(notebooks[path]):
                cell["source"] = without_dead_links("".join(cell["source"]), copy.parent, files)
            text = json.dumps(notebooks[path], indent=1, ensure_ascii=False)
            copy.write_text(text + "\n", encoding="utf-8")
        elif path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            copy.write_text(without_dead_links(text, copy.parent, files), encoding="utf-8")
        else:
            copy.write_bytes(path.read_bytes())
    return [copies[path] for path in paths]

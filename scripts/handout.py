"""Student copies of the lectures: no outputs, no solutions, and no links that lead nowhere.

Writes build/handout, with the folders that the lectures refer to beside them.  ``--check`` then
runs every copy as it is, where each exercise must say "your turn", and grades every copy with the
solutions pasted in, where each must be right.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from kernels import execute, two_at_a_time
from nbconvert.preprocessors import ClearOutputPreprocessor

from ddrm_edu.course.copies import led_to, markdown, without_dead_links
from ddrm_edu.course.grading import HEADING, grade

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "handout"
LECTURES = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
CALL = re.compile(r'^exercise\("([\d.]+)"', re.MULTILINE)
RUN = "*For marks only the set-up (the imports) and the cells below this heading are run.*"


def student_copy(path: Path) -> nbformat.NotebookNode:
    """The lecture without outputs, and with a word on what is run for marks."""
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    for cell in markdown(notebook):
        if HEADING.search(cell.source):
            cell.source += f"\n\n{RUN}"
    return notebook


def write() -> None:
    """Make the folder anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    notebooks = {path: student_copy(path) for path in LECTURES}
    others = sorted(set(led_to(ROOT, notebooks)))
    files = {OUT / path.relative_to(ROOT) for path in [*notebooks, *others]}
    for path in [*notebooks, *others]:
        copy = OUT / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for path, notebook in notebooks.items():
        copy = OUT / path.relative_to(ROOT)
        for cell in markdown(notebook):
            cell.source = without_dead_links(cell.source, copy.parent, files)
        nbformat.write(notebook, copy)
    for copy in OUT.rglob("*.md"):
        copy.write_text(without_dead_links(copy.read_text(), copy.parent, files))
    print(f"Wrote {len(LECTURES)} lectures and {len(others)} other files to {OUT}")


def exercises(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """The cell of each exercise, by its number."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {call[1]: cell for cell in code if (call := CALL.search(cell.source))}


def untouched(path: Path) -> list[str]:
    """Complaints about the copy as it is: it must run, and each exercise say "your turn"."""
    notebook = nbformat.read(path, as_version=4)
    try:
        execute(notebook, path.parent)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    complaints = []
    for number, cell in exercises(notebook).items():
        said = "".join(o.text for o in cell.outputs if o.output_type == "stream").strip()
        if said != f"{number}  your turn":
            complaints.append(f"{number}: {said!r}")
    return complaints


def solved(folder: Path) -> Iterator[str]:
    """Complaints about the marks of the copies with the solutions pasted in."""
    for path in LECTURES:
        notebook = nbformat.read(OUT / "lectures" / path.name, as_version=4)
        solutions = ROOT / "lectures" / "solutions" / f"{path.name[:2]}_solutions.ipynb"
        answers = exercises(nbformat.read(solutions, as_version=4))
        for number, cell in exercises(notebook).items():
            cell.source = answers[number].source
        nbformat.write(notebook, folder / path.name)
    for mark in grade(folder, unsafe=True):  # they are ours
        if mark.status != "right":
            yield f"{mark.copy} {mark.exercise}: {mark.status}, {mark.message}"


def main() -> None:
    """Write the folder, and check it if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="run every copy, grade the solutions")
    asked = parser.parse_args()
    write()
    if not asked.check:
        return
    with TemporaryDirectory() as folder:
        complaints = list(solved(Path(folder)))
    copies = [OUT / "lectures" / path.name for path in LECTURES]
    for path, found in zip(copies, two_at_a_time(untouched, copies), strict=True):
        complaints += [f"{path.name} {complaint}" for complaint in found]
    print(*(complaints or ["Every copy runs, and every solution is right."]), sep="\n")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()

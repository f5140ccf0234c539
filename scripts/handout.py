"""Student copies of the lectures: no outputs, no solutions, exercises marked for nbgrader.

Writes build/handout.  ``--check`` then runs every copy twice: as it is, where each exercise must
say "your turn", and with the solutions pasted in, where each must be accepted.  ``--grade FOLDER``
runs the copies that students handed in and prints which exercises are right, as CSV.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import ClearOutputPreprocessor
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "handout"
LECTURES = sorted((ROOT / "lectures").glob("[0-9][0-9]_*.ipynb"))
CALL = re.compile(r'^exercise\("([\d.]+)"', re.MULTILINE)


def student_copy(path: Path) -> nbformat.NotebookNode:
    """The lecture without outputs; nbgrader sees each exercise as an answer worth one point."""
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    for cell in notebook.cells:
        if cell.cell_type == "code" and (call := CALL.search(cell.source)):
            cell.metadata["nbgrader"] = {
                "grade": True,
                "grade_id": f"exercise-{call[1].replace('.', '-')}",
                "locked": False,
                "points": 1,
                "schema_version": 3,
                "solution": True,
                "task": False,
            }
    return notebook


def exercises(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """The cell of each exercise, by its number."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {call[1]: cell for cell in code if (call := CALL.search(cell.source))}


def run(notebook: nbformat.NotebookNode, **options) -> dict[str, str]:
    """What each exercise of the notebook says when it is run from top to bottom."""
    folder = {"metadata": {"path": str(ROOT / "lectures")}}
    NotebookClient(notebook, timeout=600, resources=folder, **options).execute()
    said = {}
    for number, cell in exercises(notebook).items():
        said[number] = "".join(o.text for o in cell.outputs if o.output_type == "stream").strip()
    return said


def check(path: Path) -> list[str]:
    """Complaints about the copy of one lecture; none if it is as it should be."""
    untouched = run(nbformat.read(OUT / path.name, as_version=4))
    solved = nbformat.read(OUT / path.name, as_version=4)
    solutions = ROOT / "lectures" / "solutions" / f"{path.name[:2]}_solutions.ipynb"
    answers = exercises(nbformat.read(solutions, as_version=4))
    for number, cell in exercises(solved).items():
        cell.source = answers[number].source
    accepted = run(solved)
    complaints = [f"{n}: {text!r}" for n, text in untouched.items() if text != f"{n}  your turn"]
    complaints += [f"{n}: {t!r}" for n, t in accepted.items() if not t.startswith(f"{n}  right")]
    return complaints


def grade(folder: Path) -> None:
    """Print one row for each exercise of each notebook in the folder, and below it."""
    rows = csv.writer(sys.stdout)
    rows.writerow(["notebook", "exercise", "right"])
    for path in tqdm(sorted(folder.rglob("[0-9][0-9]_*.ipynb"))):
        for number, text in run(nbformat.read(path, as_version=4), allow_errors=True).items():
            rows.writerow([path.relative_to(folder), number, int(f"{number}  right" in text)])


def main() -> None:
    """Write the folder, and check it if that is asked for; or grade another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="run every copy twice")
    parser.add_argument("--grade", type=Path, metavar="FOLDER", help="of what students handed in")
    asked = parser.parse_args()
    if asked.grade:
        return grade(asked.grade)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for path in LECTURES:
        nbformat.write(student_copy(path), OUT / path.name)
    shutil.copy(ROOT / "lectures" / "ERRATA.md", OUT)
    print(f"Wrote {len(LECTURES)} lectures to {OUT.relative_to(ROOT)}")
    if asked.check:
        with ThreadPoolExecutor(2) as pool:
            results = list(tqdm(pool.map(check, LECTURES), total=len(LECTURES)))
        for path, complaints in zip(LECTURES, results, strict=True):
            print(path.name, *(complaints or ["ok"]), sep="\n  ")
        sys.exit(any(results))


if __name__ == "__main__":
    main()

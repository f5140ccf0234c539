"""Student copies of the lectures: nothing that tells a solution, nothing that leads nowhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import nbformat
import pytest
from notebooks import LECTURES, ROOT, exercise_cells

from ddrm_edu.course.grading import cells_to_run

LINK = re.compile(r"\]\((?!\w+:|#)([^()#\s]+)")


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The folder that is handed out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        handout = importlib.import_module("handout")
        patch.setattr(handout, "OUT", tmp_path_factory.mktemp("handout"))
        handout.write()
        return handout.OUT


def texts(folder: Path) -> dict[Path, str]:
    """What a student reads: Markdown files, and the cells of the notebooks that are no code."""
    found = {path: path.read_text() for path in folder.rglob("*.md")}
    for path in folder.rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        found[path] = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    return found


def test_every_link_leads_to_a_file_that_was_handed_out(copies):
    links = [
        (path, target) for path, text in texts(copies).items() for target in LINK.findall(text)
    ]
    assert len(links) > 10
    assert [link for link in links if not (link[0].parent / link[1]).exists()] == []


def test_nothing_is_handed_out_that_tells_a_solution(copies):
    assert not [path for path in copies.rglob("*") if "solution" in path.name]
    for path in copies.rglob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs")


@pytest.mark.parametrize("lecture", LECTURES)
def test_set_up_and_exercises_of_a_copy_are_what_is_run_for_marks(lecture, copies):
    path = copies / "lectures" / LECTURES[lecture].name
    code, found = cells_to_run(path)
    assert found == lecture
    assert code[1:] == list(exercise_cells(LECTURES[lecture]).values())
    assert texts(path.parent)[path].count("For marks only the set-up") == 1


def test_the_files_that_lecture_10_reads_are_there(copies):
    assert list(copies.glob("benchmarks/results/quality-natural.csv"))

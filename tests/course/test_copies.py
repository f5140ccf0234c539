"""`ddrm-edu lectures`: copies that stand alone, and nothing of the user's is replaced."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from notebooks import LECTURES, ROOT, SOLUTIONS

from ddrm_edu.cli import main
from ddrm_edu.course import copies

LINK = re.compile(r"\]\((?!\w+:|#)([^()#\s]+)")


def texts(folder):
    """What is read in each file: Markdown, and the cells of the notebooks that are no code."""
    found = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.md")}
    for path in folder.rglob("*.ipynb"):
        cells = copies.markdown(json.loads(path.read_text(encoding="utf-8")))
        found[path] = "\n".join("".join(cell["source"]) for cell in cells)
    return found


@pytest.mark.parametrize("solutions", [False, True])
def test_the_copies_are_the_lectures_and_every_link_leads_to_a_file(tmp_path, solutions):
    made = copies.copy_lectures(tmp_path / "new", solutions=solutions)
    wanted = [*LECTURES.values(), *(SOLUTIONS.values() if solutions else [])]
    assert made == [tmp_path / "new" / path.relative_to(ROOT) for path in wanted]
    for path, copy in zip(wanted, made, strict=True):
        one, other = (json.loads(each.read_text(encoding="utf-8")) for each in (path, copy))
        code = [[c for c in each["cells"] if c["cell_type"] == "code"] for each in (one, other)]
        assert code[0] == code[1]
    links = [
        (path, target) for path, text in texts(tmp_path).items() for target in LINK.findall(text)
    ]
    assert len(links) > 10
    assert [link for link in links if not (link[0].parent / link[1]).is_file()] == []
    assert (tmp_path / "new/benchmarks/results/quality-natural.csv").exists()
    assert (tmp_path / "new/lectures/solutions").exists() == solutions


def test_work_in_a_copy_is_not_lost(tmp_path):
    """Nothing at all is written where one file would be replaced; the sentence names it."""
    edited = tmp_path / "lectures" / next(iter(LECTURES.values())).name
    edited.parent.mkdir()
    edited.write_text("my answers")
    with pytest.raises(FileExistsError, match=rf"{edited.name} exists already, .*--force"):
        copies.copy_lectures(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [edited]
    assert edited.read_text() == "my answers"
    (tmp_path / "lectures" / "notes.txt").write_text("kept")
    copies.copy_lectures(tmp_path, force=True)
    assert json.loads(edited.read_text(encoding="utf-8"))["cells"]
    assert (tmp_path / "lectures" / "notes.txt").read_text() == "kept"


def test_the_lectures_themselves_are_not_written_over():
    with pytest.raises(ValueError, match="holds the lectures themselves"):
        copies.copy_lectures(ROOT, force=True)


def test_an_installed_package_brings_its_own(tmp_path, monkeypatch):
    """In a wheel they lie below the module; without them the sentence says where they are."""
    module = tmp_path / "site" / "ddrm_edu" / "course" / "copies.py"
    monkeypatch.setattr(copies, "__file__", str(module))
    with pytest.raises(FileNotFoundError, match="this installation has no lectures"):
        copies.source()
    lectures = module.parent / "notebooks" / "lectures"
    lectures.mkdir(parents=True)
    (lectures / "00_a.ipynb").write_text('{"cells": []}')
    assert copies.source() == module.parent / "notebooks"
    assert copies.copy_lectures(tmp_path / "out") == [tmp_path / "out/lectures/00_a.ipynb"]


def test_the_command_says_where_to_begin_and_refuses_in_a_sentence(tmp_path):
    said = CliRunner().invoke(main, ["lectures", str(tmp_path)])
    first = tmp_path / "lectures" / "00_start_here.ipynb"
    assert said.exit_code == 0
    assert said.output == (
        f"wrote {len(LECTURES)} notebooks below {tmp_path}; begin with {first}\n"
    )
    again = CliRunner().invoke(main, ["lectures", str(tmp_path)])
    assert again.exit_code == 1
    assert again.output.startswith(f"Error: {first} exists already, and so do ")

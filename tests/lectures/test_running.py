"""`make lectures`: quiet, loud when a cell fails, in any folder and locale, and twice at once."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from notebooks import ROOT
from PIL import Image, PngImagePlugin

CODE = """
from ddrm_edu.course.figures import draw
draw.show(draw.panel(width=2.0, height=2.0)[0], "00_panel", alt="Пустая панель: α, σ.")
"""


@pytest.fixture(scope="module")
def lectures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("lectures")


@pytest.fixture
def course(tmp_path):
    """A copy of the course in an awkward place, with lectures that take a second."""
    root = tmp_path / "мой курс (1)"
    root.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (root / "lectures").mkdir()
    shutil.copy(ROOT / "figures" / "run-in-colab.svg", root)
    write(root / "lectures" / "00_first.ipynb", "print('σ, Привет')", CODE)
    return root


def write(path: Path, *cells: str) -> None:
    """A notebook with a badge and these code cells."""
    v4 = nbformat.v4
    badge = v4.new_markdown_cell(
        "# 00 · Первая\n\n[![Run](../run-in-colab.svg)](https://example.com) "
        "[itself](00_first.ipynb) [errata](ERRATA.md)"
    )
    code = [v4.new_code_cell(cell) for cell in cells]
    nbformat.write(v4.new_notebook(cells=[badge, *code]), path)


def make(root: Path, **environment: str) -> subprocess.Popen:
    """`make lectures` there with the packages of this interpreter, no home and an ASCII locale."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    command = ["make", "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", "lectures"]
    return subprocess.Popen(
        command,
        cwd=root,
        env={**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def test_two_runs_in_a_path_with_spaces_and_cyrillic_without_home_and_locale(course):
    """Both succeed, one after the other, and say nothing that was not asked for."""
    runs = [make(course), make(course)]
    said = sorted((run.communicate()[0] for run in runs), key=len)
    assert [run.returncode for run in runs] == [0, 0], said
    offline = "npm was not reached"  # where the tests run without a network
    quick, waited = (
        [line for line in text.splitlines() if not line.startswith(offline)] for text in said
    )
    assert [line for line in waited if line.startswith("Waiting for another run")]
    assert len(quick) == 5, quick
    assert quick[0] == "Running 1 lectures, two at a time:"
    assert quick[1].split()[:2] == ["1/1", "00_first"]
    assert quick[2].startswith("Made 1 pages in build/lectures and 1 figures in figures, in ")
    page = (course / "build" / "lectures" / "00_first.html").read_text(encoding="utf-8")
    assert "<title>00 · Первая</title>" in page
    assert 'href="00_first.html"' in page
    assert 'href="../../lectures/ERRATA.md"' in page
    assert "σ, Привет" in page
    assert re.search(r'<img[^>]* src="data:image/svg\+xml;base64,', page)
    assert "run-in-colab" not in page
    assert 'alt="Пустая панель: α, σ."' in page
    with Image.open(course / "figures" / "00_panel.png") as picture:
        assert picture.info["Description"] == "Пустая панель: α, σ."
    made = sorted(path.name for path in course.iterdir())
    assert made == [
        *("Makefile", "build", "constraints.txt", "figures", "lectures", "pyproject.toml"),
        *("run-in-colab.svg", "scripts"),
    ]
    assert sorted(os.listdir(course / "figures")) == ["00_panel.png"]
    made = set(os.listdir(course / "build" / "lectures")) - {"mathjax"}  # if npm is reached
    assert made == {"00_first.html"}


@pytest.mark.parametrize(
    ("given", "used"), [("C", "C.UTF-8"), ("POSIX", "C.UTF-8"), ("de_DE.UTF-8", "de_DE.UTF-8")]
)
def test_an_interpreter_finds_an_editable_installation_in_a_cyrillic_path(course, given, used):
    """Python 3.11 reads its path by the locale: ASCII would end the interpreter at its start."""
    interpreter = course / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.write_text("#!/bin/sh\necho $LC_ALL $PYTHONUTF8\n")
    interpreter.chmod(0o755)
    command = ["make", "-o", ".venv/.ready", "BIN=bin", "lectures"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": given}
    said = subprocess.check_output(command, cwd=course, env=environment, text=True)
    assert said == f"{used} 1\n"


def test_a_cell_that_fails_is_told_and_the_other_lectures_run_on(course):
    folder = course / "lectures"
    write(folder / "01_wrong.ipynb", "a = 1", "assert a == 2, 'one is not two'")
    write(folder / "02_dead.ipynb", "import os", "os._exit(3)")
    run = make(course)
    said = run.communicate()[0]
    assert run.returncode != 0
    assert "01_wrong  FAILED in code cell 2:\nassert a == 2, 'one is not two'\n" in said
    assert "AssertionError: one is not two" in said
    # A kernel may be gone before the reply to the cell before is read: then that one is named.
    assert re.search(r"02_dead  FAILED in code cell [12]:\n.*\n\nDeadKernelError", said), said
    assert "2 of 3 lectures FAILED, see above: " in said
    assert "\x1b" not in said
    made = set(os.listdir(course / "build" / "lectures")) - {"mathjax"}  # if npm is reached
    assert made == {"00_first.html"}


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(lectures, tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    root = os.geteuid() == 0  # to whom no folder is shut
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(SystemExit, match=r"lectures: cannot write to .*make BUILD=FOLDER"):
            lectures.main(["--pages", str(shut / "pages"), "--figures", str(tmp_path)])
    finally:
        if root:
            os.seteuid(0)


def picture(path: Path, grey: int, description: str = "A grey picture.") -> Path:
    told = PngImagePlugin.PngInfo()
    told.add_text("Description", description)
    Image.fromarray(np.full((4, 5), grey, np.uint8)).save(path, pnginfo=told)
    return path


@pytest.mark.parametrize(
    ("grey", "description", "replaced"),
    [
        (100, "A grey picture.", False),
        (102, "A grey picture.", False),
        (110, "A grey picture.", True),
        (100, "Another description.", True),
    ],
)
def test_a_figure_that_looks_the_same_is_left_alone(
    lectures, tmp_path, grey, description, replaced
):
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir(), old.mkdir()
    known = picture(old / "00_a.png", 100)
    before = known.read_bytes()
    drawn = picture(new / "00_a.png", grey, description)
    picture(new / "00_b.png", 7)
    assert lectures.taken_over(new, old) == 2
    assert known.read_bytes() == (drawn.read_bytes() if replaced else before)
    assert (old / "00_b.png").exists()


def test_a_set_up_that_fails_shows_the_end_of_its_log(course):
    """pip refuses these constraints before it asks for anything."""
    (course / "constraints.txt").write_text("torch = the newest\n")
    command = [sys.executable, "scripts/environment.py", "new", "lectures"]
    run = subprocess.run(command, cwd=course, capture_output=True, encoding="utf-8")
    log = (course / "build" / "setup.log").read_text()
    assert run.returncode == 1
    assert run.stdout.startswith("Setting up new: about 2 minutes the first time; log: ")
    assert len(run.stdout.splitlines()) == 1
    assert log.splitlines()[-1] in run.stderr
    assert run.stderr.splitlines()[-1].startswith("The set-up failed, see above")
    assert not (course / "new" / ".ready").exists()

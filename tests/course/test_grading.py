"""Grading: a class of copies, some of them hostile; every other copy gets its marks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ddrm_edu.cli import main
from ddrm_edu.course import cage as cages
from ddrm_edu.course import grading
from ddrm_edu.course.cage import Cage, Limits, chosen, library
from ddrm_edu.course.grading import Mark, cells_to_run, grade, page, totals, write

SETUP = "%xmode Minimal\nimport torch\n\nfrom ddrm_edu import exercise"
RIGHT = {
    "00.1": 'answer_1 = lambda r: 1 / r\nexercise("00.1", answer_1)',
    "00.2": 'mask = (torch.arange(32) % 2 == 0).expand(32, 32)\nexercise("00.2", mask)',
    "00.3": 'exercise("00.3", 2)',
}  # fmt: skip
LIMITS = Limits(seconds=6.0, copy=120.0, memory=2**29, processes=24, files=2**22)


def notebook(*sources: str) -> str:
    """A copy: text, cells, the heading of the exercises, cells."""
    code = [{"cell_type": "code", "source": source, "metadata": {}} for source in sources]
    heading = {"cell_type": "markdown", "source": "## Exercises\n", "metadata": {}}
    dear = {"cell_type": "code", "source": "raise RuntimeError('not run')", "metadata": {}}
    return json.dumps({"cells": [code[0], dear, heading, *code[1:]], "nbformat": 4})


def copy_with(**instead: str) -> str:
    """A copy with right answers, but for the exercises named ``e1``, ``e2``, ``e3``."""
    cells = {**RIGHT, **{f"00.{name[1:]}": source for name, source in instead.items()}}
    return notebook(SETUP, *cells.values())


def of(marks: list[Mark], copy: str) -> list[str]:
    """The statuses of a copy, in the order of its exercises."""
    return [mark.status for mark in marks if mark.copy == f"{copy}.ipynb"]


def said(marks: list[Mark], copy: str) -> str:
    """All that is said of a copy."""
    return " ".join(mark.message for mark in marks if mark.copy == f"{copy}.ipynb")


def can_use(kind: str) -> str:
    """Why a cage cannot be tried here; empty if it can."""
    if kind == "none":
        return ""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    with library() as files:
        leaks = cages._leaks(Cage("bubblewrap", files), [], [])
    return f"bubblewrap is not permitted here: {leaks}" if leaks else ""


FORGED = """
import json, os, socket
def frame(answer):
    given = {"is": "dict", "of": [["00.1", answer], ["00.2", answer], ["00.3", answer]]}
    data = json.dumps({"value": {"is": "tuple", "of": [given, None]}, "to": 1}).encode()
    return len(data).to_bytes(4, "big") + data
for number in range(3, 30):
    try:
        os.write(number, frame("right") * 5)
    except OSError:
        pass
"""
BOMB = """
import os, time
for _ in range(12):
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
"""
DELETES = """
import shutil
for path in ({0!r}, {1!r}):
    shutil.rmtree(path, ignore_errors=True)
open({0!r} + "/new", "w")
"""
HOSTILE = {  # a cell in the place of exercise 3, and what the three exercises get
    "loop": ("while True: pass", "right right error"),
    "sleep": ("import time\ntime.sleep(1000)", "right right error"),
    "deaf": (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
        "right right error",
    ),
    "exit": ("import os\nos._exit(0)", "right right error"),
    "polite-exit": ("raise SystemExit", "right right error"),
    "crash": ("import ctypes\nctypes.string_at(0)", "right right error"),
    "hog": ("keep = []\nwhile True: keep.append(bytearray(2**26))", "right right error"),
    "huge": ("torch.ones(10**12)", "right right error"),
    "disk": (
        "with open('much', 'wb') as file:\n    while True: file.write(bytes(2**20))",
        "right right error",
    ),
    "garbage": (
        "import os\nfor number in range(3, 30):\n    try: os.write(number, b'\\xff' * 999)\n"
        "    except OSError: pass",
        "right right error",
    ),
    "bomb": (BOMB, "right right error"),
    "print": ("print('00.3  right    1 case')", "right right missing"),
    "import": (
        "from ddrm_edu.course.exercises.lecture_00 import smallest_t_that_sees_the_misprint",
        "right right error",
    ),
    "redefine": ("def exercise(id, answer):\n    print(id, ' right')", "right right missing"),
    "patch": (
        "import ddrm_edu.course.engine as engine\nengine._difference = lambda *_: ''\n"
        "engine.Exercise.examine = lambda *_: 'right'\ntorch.equal = lambda *_: True\n"
        'exercise("00.3", torch.tensor(1))',
        "right right wrong",
    ),
    "nan": ('exercise("00.3", float("nan"))', "right right wrong"),
    "dots": ('exercise("00.3", ...)', "right right empty"),
    "mistake": ('exercise("00.3", 500)', "right right wrong"),
}  # fmt: skip


@pytest.fixture
def precious(tmp_path):
    """A folder that no copy may touch."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    return tmp_path / "precious"


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_whatever_others_do_each_copy_gets_its_marks(kind, tmp_path, precious, monkeypatch):
    """A class of thirty; where there is no bubblewrap, a part of it that harms nobody."""
    if reason := can_use(kind):
        pytest.skip(reason)
    folder = tmp_path / "copies"
    (folder / "late").mkdir(parents=True)
    everybody = {
        **HOSTILE,
        "deletes": (DELETES.format(str(precious), str(folder)), "right right error"),
        "forges": (FORGED, "right right error"),
    }
    if kind == "none":
        everybody = {name: HOSTILE[name] for name in ("loop", "exit")}
    expected = {name: ["error"] for name in ("broken", "deep", "link")}
    (folder / "broken.ipynb").write_text('{"cells": [')
    (folder / "deep.ipynb").write_text("[" * 100_000)
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    for name, (cell, statuses) in everybody.items():
        answered = "exercise(" in cell or "missing" in statuses
        last = cell if answered else f'{cell}\nexercise("00.3", 2)'
        (folder / f"{name}.ipynb").write_text(copy_with(e3=last))
        expected[name] = statuses.split()
    # Who loses the process in the middle gets the rest from a new one.
    (folder / "middle.ipynb").write_text(copy_with(e2='import os\nos.abort()\nexercise("00.2", 1)'))
    expected["middle"] = ["right", "error", "right"]
    honest = 30 - len(expected) if kind == "bubblewrap" else 1
    for number in range(honest):
        (folder / "late" / f"honest {number}.ipynb").write_text(copy_with())
        expected[f"late/honest {number}"] = ["right"] * 3

    before = fingerprint(tmp_path)
    monkeypatch.setattr(
        grading, "chosen", lambda files, limits, *_, **__: Cage(kind, files, limits)
    )
    start = time.monotonic()
    marks = grade(folder, limits=LIMITS, jobs=2)
    print(f"{len(expected)} copies in {time.monotonic() - start:.0f} s")

    found = {name: of(marks, name) for name in expected}
    if kind == "bubblewrap":  # which of the bomb's processes answers first is chance
        expected["bomb"][2] = found["bomb"][2]
    assert found == expected, marks
    assert len(totals(marks)) == len(expected)
    assert fingerprint(tmp_path) == before
    told = {
        "loop": "did not end within 6 s",
        "exit": "its process ended",
        "import": "No module named 'ddrm_edu.course.exercises'",
        "hog": "MemoryError",
        "print": "there is no exercise",
        "mistake": "there is a smaller t",
        "broken": "no notebook",
        "link": "a link",
    }
    for name in told.keys() & expected.keys():
        assert told[name] in said(marks, name)


def fingerprint(folder: Path) -> dict[str, str]:
    """A hash of each file below the folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_without_a_cage_it_refuses_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(cages.shutil, "which", lambda _: None)
    monkeypatch.setattr(cages.os, "getuid", lambda: 1000)
    (tmp_path / "00_copy.ipynb").write_text(copy_with())
    result = CliRunner().invoke(main, ["grade", str(tmp_path), "--out", str(tmp_path / "marks")])
    assert result.exit_code == 1
    for words in ("bwrap is not installed", "only root can", "--unsafe", "apt install bubblewrap"):
        assert words in result.output
    assert not (tmp_path / "marks").exists()


def test_a_cage_that_leaks_is_not_used(tmp_path):
    """The probe itself: with limits only, a process reads, writes, and is whoever started it."""
    with library() as files, Cage("none", files).student() as peer:
        leaks = peer.ask("leaks", secrets=[str(cages.PACKAGE)], places=[str(tmp_path)])
    assert f"it can read {cages.PACKAGE}" in leaks
    assert f"it can write to {tmp_path}" in leaks
    assert ("it is root" in leaks) == (os.getuid() == 0)
    assert not list(tmp_path.iterdir())


def test_the_library_of_a_student_has_no_exercises():
    with library() as files:
        assert (files / "ddrm_edu" / "course" / "candidate.py").exists()
        assert not list(files.rglob("lecture_*")) or not list(files.rglob("exercises"))


def test_bubblewrap_shows_no_exercises_no_copies_and_no_network(tmp_path):
    if reason := can_use("bubblewrap"):
        pytest.skip(reason)
    with library() as files:
        assert chosen(files, LIMITS, [tmp_path], unsafe=False).kind == "bubblewrap"


CONTAINER = """
import sys
from pathlib import Path
from ddrm_edu.course import cage, grading

def refused():
    with cage.library() as files:
        try:
            return cage.chosen(files, cage.Limits(), [copies], unsafe=False).kind
        except ValueError as error:
            return " ".join(str(error).split())

if __name__ == "__main__":
    copies = Path(sys.argv[1])
    for path, careless, careful in ((cage.PACKAGE / "course/exercises", 0o755, 0o700),
                                    (Path("/tmp"), 0o777, 0o755), (copies, 0o755, 0o700)):
        path.chmod(careless)
        print("refused", refused(), sep="|")
        path.chmod(careful)
    print("used", refused(), sep="|")
    limits = cage.Limits(seconds=6, memory=2**29, processes=24)
    for mark in grading.grade(copies, limits=limits, jobs=2):
        print("mark", *mark, sep="|")
"""


def test_in_a_container_each_copy_is_a_user_of_its_own(tmp_path):
    """As lectures/GRADING.md says: root, read-only, no network, exercises that only root reads."""
    if reason := can_use("bubblewrap"):
        pytest.skip(f"a container is imitated by bubblewrap, but {reason}")
    if os.getuid() != 0:
        pytest.skip("the imitated container needs root")
    if Path(sys.prefix).is_relative_to("/tmp"):
        pytest.skip("the imitated container has a /tmp of its own, and Python is installed in ours")
    room = tmp_path / "room"
    (room / "copies").mkdir(parents=True)
    escape = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(999)\n"
    for name, copy in {
        "honest": copy_with(),
        "bomb": copy_with(e2=f'{BOMB}\nexercise("00.2", 1)'),
        "stays": copy_with(e2=escape + RIGHT["00.2"]),
    }.items():
        (room / "copies" / f"{name}.ipynb").write_text(copy)
    shutil.copytree(cages.PACKAGE, room / "ddrm_edu")
    for path in ("copies", "ddrm_edu/course/exercises"):
        (room / path).chmod(0o700)
    (room / "main.py").write_text(CONTAINER)

    # What a container has: some rights of root, a world of its own, and no bubblewrap.
    extra = ["--perms", "755", "--tmpfs", "/tmp", "--perms", "755", "--dir", "/tmp/room"]
    extra += ["--bind", str(room), "/tmp/room"]
    for right in ("CHOWN", "KILL", "DAC_OVERRIDE"):
        extra += ["--cap-add", f"CAP_{right}"]
    with library() as files:
        wrapping = Cage("bubblewrap", files)._wrapping(1)
        there = wrapping.index("--proc")
        bwrap = shutil.which("bwrap")
        command = [bwrap, *wrapping[1:there], *extra, *wrapping[there:], sys.executable]
        result = subprocess.run(
            [*command, "/tmp/room/main.py", "/tmp/room/copies"],
            env={"PYTHONPATH": "/tmp/room", "PATH": "/nowhere", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    rows = [line.split("|") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == 3 * ["refused"] + ["used"] + 9 * ["mark"], result.stderr
    leaks = (
        "it can read /tmp/room/ddrm_edu",
        "it can write to /tmp",
        "it can read /tmp/room/copies",
    )
    for row, leak in zip(rows, leaks, strict=False):
        assert f"user: {leak}" in row[1]
    assert rows[3] == ["used", "user"]
    statuses = [row[3] for row in rows[4:]]
    assert statuses[:1] + statuses[3:] == ["right"] * 7  # and the bomb's own: chance
    assert statuses[1] in ("wrong", "error")


def test_the_cells_that_run_are_the_set_up_and_the_exercises(tmp_path):
    path = tmp_path / "anna_00_start.ipynb"
    path.write_text(notebook("first", "helper = 1", 'exercise("00.1", 2)'))
    assert cells_to_run(path) == (["first", "helper = 1", 'exercise("00.1", 2)'], "00")
    tagged = {"cell_type": "code", "source": ["a\n", "b"], "metadata": {"tags": ["setup"]}}
    dear = {"cell_type": "code", "source": "dear", "metadata": {}}
    called = {"cell_type": "code", "source": "  exercise('07.2', f)", "metadata": {}}
    install = {"cell_type": "code", "source": "pip", "metadata": {"tags": ["install"]}}
    path.write_text(json.dumps({"cells": [install, dear, dear, tagged, dear, called]}))
    assert cells_to_run(path) == (["dear", "a\nb", "  exercise('07.2', f)"], "07a")


@pytest.mark.parametrize(
    ("name", "calls", "lecture"),
    [
        ("07a_the_theorem.ipynb", [], "07a"),
        ("07b_the_whole_vector-Anna.ipynb", [], "07b"),
        ("07_all.ipynb", [], "07"),
        ("homework.ipynb", ["07.3"], "07b"),
        ("07b_wrong_name.ipynb", ["07.1", "07.2"], "07a"),
        ("both.ipynb", ["07.1", "07.2", "07.3"], "07"),
        ("06_and_a_glance_at_07.ipynb", ["06.1", "06.2", "07.4"], "06"),
        ("06_after_a_glance_at_07.ipynb", ["07.4", "06.1", "06.2"], "06"),
    ],
)
def test_a_copy_of_a_part_is_told_by_its_exercises_or_else_by_its_name(
    name, calls, lecture, tmp_path
):
    path = tmp_path / name
    path.write_text(notebook("first", *(f'exercise("{id}", ...)' for id in calls)))
    assert cells_to_run(path)[1] == lecture


def test_copies_of_both_parts_get_marks_for_what_is_due_in_each(tmp_path):
    own = {"a": ["07.1", "07.2"], "b": ["07.3", "07.4"]}
    for part, ids in own.items():
        stub = f'exercise("{ids[0]}", ...)'
        (tmp_path / f"07{part}_copy.ipynb").write_text(notebook(SETUP, stub))
    marks = grade(tmp_path, limits=LIMITS, unsafe=True)
    found = {part: [(m.exercise, m.status) for m in marks if part in m.copy[:3]] for part in own}
    assert found == {
        part: [(first, "empty"), (second, "missing")] for part, (first, second) in own.items()
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("00_a.ipynb", "", "no notebook"),
        ("00_a.ipynb", "[]", "no notebook"),
        ("00_a.ipynb", '{"cells": [1]}', "no notebook"),
        ("00_a.ipynb", '{"cells": [{"cell_type": "code", "source": 1}]}', "no notebook"),
        ("homework.ipynb", '{"cells": []}', "no lecture can be told"),
        ("99_a.ipynb", '{"cells": []}', "no lecture can be told"),
    ],
)
def test_what_is_no_copy_is_refused_in_words(name, text, words, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        cells_to_run(tmp_path / name)


def test_a_folder_without_notebooks_is_refused(tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "00_a.ipynb").write_text(copy_with())
    with pytest.raises(ValueError, match="no notebooks"):
        grade(tmp_path)


def test_an_error_in_a_cell_before_is_told_with_the_error_it_causes(tmp_path):
    path = tmp_path / "00_a.ipynb"
    path.write_text(notebook("import torche", 'exercise("00.1", exercise)'))
    with library() as files:
        found = {id: (status, said) for id, status, said in
                 grading.examined(path, Cage("none", files, LIMITS))}  # fmt: skip
    status, message = found["00.1"]
    assert status == "error"
    assert "NameError" in message
    assert "No module named 'torche'" in message
    assert found["00.2"][0] == "missing"


MARKS = [
    Mark("a b.ipynb", "00.1", "right", "3 cases"),
    Mark("a b.ipynb", "00.2", "wrong", "<script>alert(1)</script> & more"),
    Mark("=cmd|'/C calc'!A0.ipynb", "all", "error", "the file is no notebook"),
]


def test_reports_count_escape_and_are_no_formulas(tmp_path):
    files = write(MARKS, tmp_path / "new")
    assert [file.name for file in files] == ["marks.csv", "totals.csv", "marks.html"]
    rows, sums, html = (file.read_text() for file in files)
    assert rows.splitlines()[1] == "a b.ipynb,00.1,right,3 cases"
    assert "\n'=cmd" in rows
    assert sums.splitlines()[:2] == ["copy,right,wrong,empty,missing,error", "a b.ipynb,1,1,0,0,0"]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "a b.ipynb: 1 right, 1 wrong" in html
    assert "2 copies" in page(MARKS)
    named = [Mark(f"{first}1<b>.ipynb", "all", "error", "") for first in "=+-@"]
    rows, _, html = (file.read_text() for file in write(named, tmp_path / "new"))
    assert [line[:3] for line in rows.splitlines()[1:]] == ["'=1", "'+1", "'-1", "'@1"]
    assert "<b>" not in html


def test_the_command_writes_the_marks_of_a_folder(tmp_path, monkeypatch):
    asked = {}

    def remembered(folder, **options):
        asked.update(options, folder=folder)
        return MARKS

    monkeypatch.setattr(grading, "grade", remembered)
    options = ["--unsafe", "--jobs", "3", "--seconds", "7", "--memory", "0.5"]
    out = ["--out", str(tmp_path / "marks")]
    result = CliRunner().invoke(main, ["grade", str(tmp_path), *options, *out])
    assert result.exit_code == 0, result.output
    limits = Limits(seconds=7.0, memory=2**29)
    assert asked == {"folder": tmp_path, "limits": limits, "jobs": 3, "unsafe": True}
    assert "a b.ipynb: 1 right, 1 wrong" in result.output
    assert len(list((tmp_path / "marks").iterdir())) == 3

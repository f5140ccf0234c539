"""``pytest --H FILE.py:NAME``: one test for each claim about H, sentences and no tracebacks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from ddrm_edu.checks.own_h import SECTIONS
from ddrm_edu.cli import main

ROOT = Path(__file__).parents[1]
CLAIMS = [name for names in SECTIONS.values() for name in names]
MY_H = '''
import numpy as np
import torch
from scipy.sparse import random_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from ddrm_edu import Dense, SVDOperator, SuperResolution

rng = np.random.default_rng(3)
wide = rng.standard_normal((4, 9))
tall = wide.T
square = rng.standard_normal((6, 6))
deficient = wide[:, :2] @ wide[:2, :]
zero_rows = np.vstack([wide, np.zeros((2, 9))])
one_row = [[1.0, -2.0, 0.5]]
badly_conditioned = np.diag(np.logspace(0, -7, 8))
sparse = random_array((9, 12), density=0.3, rng=rng)
operator_of_scipy = aslinearoperator(wide)

def differences(x):
    return x[..., 1:] - x[..., :-1]

def adjoint(y):
    zero = torch.zeros_like(y[..., :1])
    return torch.cat([zero, y], -1) - torch.cat([y, zero], -1)

pair = differences, adjoint

def make():
    return SuperResolution((1, 4, 6), 2)

class Shuffled(SVDOperator):
    """Mine: every other pixel of a vector, the even ones first."""

    def __init__(self):
        self.in_shape, self.out_shape = (6,), (3,)
        self.s = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        self.order = torch.tensor([0, 2, 4, 1, 3, 5])

    def Vt(self, x): return x[:, self.order]
    def V(self, x): return x[:, self.order.argsort()]
    def U(self, x): return x[:, :3].clone()
    def Ut(self, y): return torch.nn.functional.pad(y, (0, 3))

every_other = np.eye(6)[::2]

def too_large(x):
    return x[..., ::2]

# ---- broken

class SameOrder(Shuffled):
    def V(self, x): return x[:, self.order]

class Exchanged(Dense):
    def __init__(self): super().__init__(wide)
    def V(self, x): return super().Vt(x)
    def Vt(self, x): return super().V(x)

def clipped(x):
    return x.clamp(-1, 1)

def not_the_adjoint(y):
    return 2 * adjoint(y)

wrong_pair = differences, not_the_adjoint

def lost():
    raise OSError("no such camera")

def test_that_is_not_collected():
    assert False
'''


class Result(NamedTuple):
    """What a run of pytest ended with, and the words of its last line by their numbers."""

    code: int
    out: str
    error: str

    @property
    def outcomes(self) -> dict[str, int]:
        last = self.out.strip().splitlines()[-1]
        return {what: int(count) for count, what in re.findall(r"(\d+) ([a-z]+)", last)}


@pytest.fixture
def my_h(tmp_path, monkeypatch, capsys):
    """A folder with my_h.py and another test, and pytest as a stranger runs it there.

    In this process, but not by pytester: it forgets every module that a run imports, and torch
    cannot be imported twice.
    """
    (tmp_path / "my_h.py").write_text(MY_H)
    (tmp_path / "test_other.py").write_text("def test_other(): assert False")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*arguments) -> Result:
        capsys.readouterr()
        plugins = ["-p", "no:cacheprovider", "-p", "ddrm_edu.pytest_plugin"]
        # Of the plugin that the outer run has imported, which pytest before 9.2 warns about:
        plugins += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        code = pytest.main([*plugins, *map(str, arguments)])
        return Result(int(code), *capsys.readouterr())

    return run


GOOD = {
    "wide": [],
    "tall": [],
    "square": [],
    "deficient": [],
    "zero_rows": [],
    "one_row": [],
    "badly_conditioned": [],
    "sparse": [],
    "operator_of_scipy": [],
    "differences": ["--H-in-shape", "1,3,4"],
    "pair": ["--H-in-shape", "1,3,4"],
    "make": [],
    "Shuffled": ["--H-truth", "every_other"],
    "too_large": ["--H-in-shape", "1,256,256"],
}
BROKEN = {
    "SameOrder": ([], "Vt(V(x)) = x", "x[:, order.argsort()]"),
    "Exchanged": (["--H-truth", "wide"], "U diag(s) V^T = H", "V and Vt are exchanged"),
    "wrong_pair": (
        ["--H-in-shape", "1,3,4"],
        "the adjoint that came with H is its transpose",
        "it is 2 times the transpose",
    ),
    "clipped": (["--H-in-shape", "5"], "H is a real linear map of images", "Clipping"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_right_h_passes(my_h, name):
    result = my_h("--H", f"my_h.py:{name}", *GOOD[name])
    assert result.code == 0, result.out
    assert {*result.outcomes} <= {"passed", "skipped"}
    assert sum(result.outcomes.values()) == len(CLAIMS)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_h_fails_with_a_sentence_and_no_traceback(my_h, name):
    options, claim, words = BROKEN[name]
    result = my_h("--H", f"my_h.py:{name}", *options)
    assert result.code == 1
    assert words in result.out
    assert f"FAILED H::{claim}" in result.out
    for noise in ("Traceback", "pytest_plugin.py:", "_Broken"):
        assert noise not in result.out


@pytest.mark.parametrize("name", ["Exchanged", "SameOrder", "wide"])
def test_the_command_line_says_the_same(my_h, name):
    """One text for the function, the plugin and ``ddrm-edu check``."""
    options = BROKEN.get(name, ([],))[0]
    printed = my_h("--H", f"my_h.py:{name}", *options).out
    command = ["check", f"my_h.py:{name}"]
    result = CliRunner().invoke(main, command + [o.replace("--H-", "--") for o in options])
    failures = [line for line in result.output.splitlines() if line.startswith("  FAILED")]
    assert result.exit_code == bool(failures)
    for line in failures:
        claim, sentence = line.removeprefix("  FAILED  ").split(": ", 1)
        assert f"H::{claim}" in printed
        assert sentence in printed


def test_exactly_the_claims_are_collected_with_readable_ids(my_h):
    result = my_h("--H", "my_h.py:wide", "--collect-only", "-q")
    ids = [line for line in result.out.splitlines() if "::" in line]
    assert ids == [f"H::{name}" for name in CLAIMS]


def test_what_was_printed_as_failed_may_be_asked_again_alone(my_h):
    """An id behind the command chooses; so does -k."""
    result = my_h("--H", "my_h.py:Exchanged", "--H-truth", "wide", "H::U diag(s) V^T = H")
    assert result.outcomes == {"failed": 1}
    result = my_h("--H", "my_h.py:wide", "-k", "adjoint")
    assert result.outcomes == {"passed": 1, "skipped": 1, "deselected": len(CLAIMS) - 2}


def test_assumptions_that_do_not_hold_are_told_after_the_tests(my_h):
    title = "assumptions that do not hold for H, which is no error"
    result = my_h("--H", "my_h.py:badly_conditioned", "--H-sigma-y", 0.1, "-q")
    assert result.code == 0
    told = result.out.split(title)[1]
    assert "every measured coordinate starts at y_spec" in told
    assert "Of 8 measured coordinates 5 have" in told
    assert "H is well conditioned: The singular values run from" in told
    assert title not in my_h("--H", "my_h.py:wide").out


def test_reasons_of_what_was_not_asked_are_told(my_h):
    text = my_h("--H", "my_h.py:Exchanged", "--H-truth", "wide", "-rs").out
    assert "they wait for the claims of the operator." in text
    text = my_h("--H", "my_h.py:make", "-rs").out
    assert "H was not given a second time, as truth." in text
    assert "it does not apply to this H." in text


def test_the_header_tells_what_is_tested(my_h):
    assert "\nH: Dense((9,) -> (4,), rank 4) of my_h.py\n" in my_h("--H", "my_h.py:wide").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--H", "other.py:H"], "There is no file 'other.py'"),
        (["--H", "my_h.py"], "Expected FILE.py:NAME"),
        (["--H", "my_h.py:nothing"], "my_h.py defines no 'nothing'; it defines"),
        (["--H", "my_h.py:lost"], "lost() raised OSError: no such camera."),
        (["--H", "my_h.py:differences"], "in_shape=(channels, height, width)"),
        (["--H", "my_h.py:differences", "--H-in-shape", "4x4"], "integers with commas"),
        (["--H", "my_h.py:np"], "but was of type module"),
        (["--H", "my_h.py:wide", "--H-truth", "nothing"], "defines no 'nothing'"),
        (["--H", "my_h.py:wide", "--H-sigma-y", "-1"], "at least 0"),
        (["--H", "broken.py:H"], "broken.py could not be run, it raised ZeroDivisionError"),
    ],
)
def test_wrong_usage_is_a_sentence(my_h, tmp_path, arguments, words):
    (tmp_path / "broken.py").write_text("1 / 0")
    result = my_h(*arguments)
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert words in result.error
    assert len(result.error.strip().splitlines()) == 1
    assert "Traceback" not in result.error


def test_strict_settings_of_a_project_are_obeyed(my_h, tmp_path):
    """No warning, no marker, no test file is asked of the project."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config --doctest-modules\n"
        "filterwarnings = error\ntestpaths = test_other.py\nxfail_strict = true\n"
    )
    result = my_h("--H", "my_h.py:wide")
    assert result.code == 0
    assert "warning" not in result.out


def run_in_a_new_process(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_the_option_nothing_heavy_is_imported(tmp_path):
    """torch takes seconds, and the plugin is loaded in every run of pytest."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'ddrm_edu.pytest_plugin' in sys.modules\n"
        "    assert not {'torch', 'numpy', 'scipy', 'ddrm_edu.checks'} & sys.modules.keys()"
    )
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert "1 passed" in run_in_a_new_process(tmp_path, "-p", "ddrm_edu.pytest_plugin", **alone)


def test_pytest_finds_the_plugin_by_itself(tmp_path):
    """The entry point has the module's own name, so that ``-p`` beside it is harmless."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["pytest11"] == {"ddrm_edu.pytest_plugin": "ddrm_edu.pytest_plugin"}
    (tmp_path / "my_h.py").write_text("H = [[1.0, 2.0]]")
    assert " passed" in run_in_a_new_process(tmp_path, "-p", "no:nbval", "--H", "my_h.py:H")

"""The command line, run in this process by click's own test runner."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from PIL import Image

from ddrm_edu import SuperResolution, data, load_denoiser, restoring_files
from ddrm_edu.checks.report import Finding
from ddrm_edu.cli import main
from ddrm_edu.pretrained import training
from ddrm_edu.pretrained.loading import WEIGHTS

FOUR_TASKS = ["denoise", "inpaint", "superres", "colorize"]
BROKEN = """
import torch
from ddrm_edu import Dense, SuperResolution

H = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
matrix = H.numpy()
good = SuperResolution((1, 4, 6), 2)

def make():
    return Dense(H)

class Broken(Dense):
    def V(self, x): return super().Vt(x)
    def Vt(self, x): return super().V(x)

broken = Broken(H)

def differences(x):
    return x[..., 1:] - x[..., :-1]

def clipped(x):
    return x.clamp(-1, 1)
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "cat.png"
    picture = data.load_images("natural", 64)[0].numpy()
    Image.fromarray(data.to_uint8(picture).transpose(1, 2, 0)).save(path)
    return path


@pytest.fixture
def operators(tmp_path):
    path = tmp_path / "my_operators.py"
    path.write_text(BROKEN)
    return path


def test_train_hands_on_every_option(monkeypatch, tmp_path):
    asked = {}

    def train(name, run, **options):
        asked.update(name=name, run=run, **options)
        return tmp_path / "fashion.safetensors"

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(restoring_files, "device_of", lambda text: text)
    options = ["--images", 99, "--batch", 3, "--learning-rate", 0.2, "--widths", "8,16"]
    options += ["--blocks", 1, "--seed", 4, "--device", "cuda", "--enlarged", 0.5]
    result = run("train", "fashion", "--run", tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert asked == {
        "name": "fashion",
        "run": tmp_path,
        "total_images": 99,
        "batch": 3,
        "learning_rate": 0.2,
        "widths": (8, 16),
        "blocks": 1,
        "seed": 4,
        "enlarged": 0.5,
        "start": None,
        "device": "cuda",
    }
    assert f"folder={str(tmp_path)!r}" in result.output


@pytest.mark.parametrize("source", ["natural", WEIGHTS / "natural.safetensors"], ids=type)
def test_train_goes_on_from_a_model_or_a_file(monkeypatch, tmp_path, source):
    asked = {}

    def train(name, run, **options):
        asked.update(options)
        return tmp_path / "natural.safetensors"

    monkeypatch.setattr(training, "train", train)
    result = run("train", "natural", "--run", tmp_path, "--from", source)
    assert result.exit_code == 0, result.output
    assert asked["start"].card == load_denoiser("natural").card


@pytest.mark.parametrize("source", ["naturel", "naturel.safetensors"])
def test_train_from_weights_that_are_not_there_is_refused(tmp_path, source):
    result = run("train", "natural", "--run", tmp_path, "--from", source)
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1
    assert "There is no model 'naturel' in" in result.output


def test_python_runs_the_package_as_the_command_line():
    command = [sys.executable, "-m", "ddrm_edu", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith("Usage: python -m ddrm_edu [OPTIONS] COMMAND")


@pytest.mark.parametrize("name", ["good", "make", "matrix"])
def test_check_accepts_operators_functions_and_matrices(operators, name):
    result = run("check", f"{operators}:{name}")
    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.output


def test_check_fails_for_a_broken_operator(operators):
    result = run("check", f"{operators}:broken", "--truth", "H")
    assert result.exit_code == 1
    assert "FAILED  U diag(s) V^T = H" in result.output
    assert "V and Vt are exchanged" in result.output


def test_check_takes_a_function_with_a_shape_and_a_noise(operators):
    result = run("check", f"{operators}:differences", "--in-shape", "1,4,6", "--sigma-y", 100)
    assert result.exit_code == 0, result.output
    assert "Operator Dense((1, 4, 6) -> (1, 4, 5), rank 20)" in result.output
    assert "note    every measured coordinate starts at y_spec" in result.output
    result = run("check", f"{operators}:differences")
    assert result.exit_code == 1
    assert "in_shape=" in result.output


def test_check_does_not_call_an_h_good_that_it_could_not_examine(operators):
    result = run("check", f"{operators}:differences", "--in-shape", "3,256,256")
    assert result.exit_code == 2
    assert result.output.strip().endswith("see the reasons above.")
    assert "NOT EXAMINED" in result.output


def test_check_reports_what_ddrm_does_with_h(operators):
    result = run("check", f"{operators}:good")
    for title in ("Assumptions", "Marginals", "Sampler", "Recovery"):
        assert f"\n{title}\n" in result.output


@pytest.mark.parametrize("target", ["nowhere.py:op", "nothing", "{path}:missing"])
def test_check_says_what_it_expected(operators, target):
    result = run("check", target.format(path=operators))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1


# -- check --json ----------------------------------------------------------------------------------


def checked(path, name, *options):
    """Exit status and JSON of a check, and the text that it prints otherwise."""
    human, machine = (run("check", f"{path}:{name}", *options, *how) for how in ([], ["--json"]))
    assert machine.exit_code == human.exit_code
    return machine.exit_code, json.loads(machine.stdout, parse_constant=pytest.fail), human.output


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("good", [], 0),
        ("differences", ["--in-shape", "1,4,6", "--sigma-y", 100], 0),
        ("broken", ["--truth", "H"], 1),
        ("clipped", ["--in-shape", "5"], 1),
        ("differences", ["--in-shape", "3,256,256"], 2),
    ],
)
def test_check_prints_the_same_findings_for_machines(operators, name, options, status):
    """Each line of the text is that of a finding of the JSON, and the other way round."""
    code, reports, text = checked(operators, name, *options)
    assert code == status
    assert (reports["ok"], reports["examined"]) == (status != 1, name == "broken" or status == 0)
    findings = [finding for report in reports["reports"] for finding in report["findings"]]
    lines = [str(Finding(**finding | {"error": finding["error"] or 0.0})) for finding in findings]
    assert [line for line in text.splitlines() if line.startswith("  ")] == [
        f"  {line}" for line in lines
    ]


def test_causes_and_fixes_stand_apart_in_the_json(operators):
    _, reports, _ = checked(operators, "broken", "--truth", "H")
    broken = [finding for finding in reports["reports"][0]["findings"] if finding["cause"]]
    assert [finding["name"] for finding in broken] == ["U diag(s) V^T = H"]
    assert broken[0]["status"] == "broken"
    assert broken[0]["cause"] == "V and Vt are exchanged."
    assert broken[0]["fix"].startswith("torch.linalg.svd and numpy.linalg.svd return Vh")


def test_what_the_file_prints_does_not_disturb_the_json(tmp_path):
    (tmp_path / "loud.py").write_text("print('hello')\ndef H(x):\n    print('H')\n    return x")
    result = run("check", f"{tmp_path / 'loud.py'}:H", "--in-shape", "3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"]
    assert "hello" in result.stderr


def test_without_an_h_there_is_no_json(tmp_path):
    (tmp_path / "gone.py").write_text("import sys\ndef H():\n    sys.exit(0)")
    result = run("check", f"{tmp_path / 'gone.py'}:H", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: H() raised SystemExit: 0.\n"


def test_a_students_h_is_examined_once(tmp_path):
    """Black images are shown by one claim of linearity only; the rest compares and decomposes."""
    (tmp_path / "my_h.py").write_text(
        "def H(x):\n"
        "    with open(__file__ + '.calls', 'a') as calls:\n"
        "        calls.write('black\\n' if (x == 0).all() else 'other\\n')\n"
        "    return x[..., 1:] - x[..., :-1]\n"
    )
    result = run("check", f"{tmp_path / 'my_h.py'}:H", "--in-shape", "1,8,8")
    assert result.exit_code == 0, result.output
    calls = (tmp_path / "my_h.py.calls").read_text().split()
    assert calls.count("black") == 1
    assert len(calls) <= 15


def test_operator_named_in_the_report_is_the_one_that_was_checked(operators):
    result = run("check", f"{operators}:good")
    assert repr(SuperResolution((1, 4, 6), 2)) in result.output


LEAVING = """
import sys
import torch
from ddrm_edu import Denoising, SVDOperator

def leave(x):
    sys.exit(0)

def leave_late(x):
    return x if len(x) < 4 else sys.exit()

pair = (lambda x: x, leave)

def maker():
    return leave

class Own(Denoising):
    def Vt(self, x):
        sys.exit(0)

own = Own((3, 8, 8))

def denoiser(x, sigma):
    sys.exit(0)
"""


@pytest.fixture
def leaving(tmp_path):
    (tmp_path / "leaving.py").write_text(LEAVING)
    Image.new("RGB", (8, 8), (9, 99, 199)).save(tmp_path / "y.png")
    return tmp_path


@pytest.mark.parametrize("name", ["leave", "leave_late", "pair", "maker", "own"])
def test_a_check_does_not_end_unheard_where_h_calls_sys_exit(leaving, name):
    """Status 1 and a broken claim; sys.exit(0) in H would have looked like a check that passed."""
    result = run("check", f"{leaving / 'leaving.py'}:{name}", "--in-shape", "3,8,8")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "raised SystemExit" in result.stdout


@pytest.mark.parametrize("name", ["leave", "own"])
def test_restore_tells_that_an_own_h_called_sys_exit(leaving, name):
    words = ["--task", f"{leaving / 'leaving.py'}:{name}", "--in-shape", "3,8,8"]
    result = run("restore", leaving / "y.png", *words)
    assert result.exit_code == 1
    assert "Error: sys.exit(" in result.stderr or "raised SystemExit" in result.stderr
    assert sorted(path.name for path in leaving.glob("*.png")) == ["y.png"]


def test_evaluate_tells_that_an_own_denoiser_called_sys_exit(leaving):
    words = ["--task", "denoise", "--method", "ddrm", "--count", 2, "--steps", 2]
    words += ["--model", f"{leaving / 'leaving.py'}:denoiser", "--out", leaving / "runs"]
    result = run("evaluate", "natural", *words)
    assert result.exit_code == 1
    assert "Error: sys.exit(0) was called in your own code" in result.stderr


TRAIN = ["train", "fashion", "--images", 16, "--run"]
EVALUATE = ["evaluate", "natural", "--count", 1, "--out"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([*TRAIN, "{}/run", "--device", "nowhere"], "--device nowhere cannot be used here"),
        ([*TRAIN, "{}/y.png"], "is a file"),
        ([*TRAIN, "{}/run", "--seed", 10**30], "'--seed'"),
        ([*TRAIN, "{}/run", "--seed", -1], "'--seed'"),
        ([*EVALUATE, "{}/y.png"], "is a file"),
        ([*EVALUATE, "{}/runs", "--seed", 10**30], "'--seed'"),
        (["restore", "{}/y.png", "--task", "denoise", "--seed", 10**30], "'--seed'"),
        (["restore", "{}/y.png", "--task", "denoise", "--tile", 0], "'--tile'"),
        (["grade", "{}", "--out", "{}/y.png"], "is a file"),
    ],
    ids=str,
)
def test_what_no_command_can_do_is_refused_in_a_sentence(leaving, command, words):
    """Before anything is fetched, computed or written; never by a traceback."""
    before = sorted(leaving.iterdir())
    result = run(*(str(word).format(leaving) for word in command))
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert sorted(leaving.iterdir()) == before

"""The command line, run in this process by click's own test runner."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ddrm_edu import SuperResolution, data
from ddrm_edu.cli import main

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


@pytest.mark.parametrize("task", FOUR_TASKS)
def test_restore_writes_a_picture_and_prints_scores(photograph, task, tmp_path):
    out = tmp_path / "out.png"
    result = run("restore", photograph, "--task", task, "--steps", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert "PSNR" in result.output
    assert "|H x - y| / |y|" in result.output
    with Image.open(out) as written:
        assert min(written.size) > 100


def test_restore_keeps_what_was_measured(photograph):
    result = run("restore", photograph, "--task", "superres", "--steps", 4)
    residual = float(result.output.split("|y| = ")[1].split()[0])
    assert residual < 1e-5
    assert photograph.with_name("cat-superres.png").exists()


def test_restore_is_the_same_for_the_same_seed(photograph):
    outputs = [
        run("restore", photograph, "--task", "inpaint", "--steps", 2, "--seed", seed).output
        for seed in (1, 1, 2)
    ]
    scores = [output.split("DDRM  ")[1].splitlines()[0] for output in outputs]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("task", ["denoise", "superres", "colorize"])
def test_restore_takes_a_picture_for_the_measurement(tmp_path, task):
    path, out = tmp_path / "small.png", tmp_path / "out.png"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    result = run(
        "restore", path, "--task", task, "--measured", "--sigma-y", 0.1, "--steps", 2, "--out", out
    )
    assert result.exit_code == 0, result.output
    assert "PSNR" not in result.output
    assert out.exists()


def test_restore_inpaints_a_measured_picture_with_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("picture", (16, 24, 3)), ("mask", (16, 24))):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    options = ["--task", "inpaint", "--measured", "--steps", 2, "--out", tmp_path / "out.png"]
    result = run("restore", tmp_path / "picture.png", *options, "--mask", tmp_path / "mask.png")
    assert result.exit_code == 0, result.output
    result = run("restore", tmp_path / "picture.png", *options)
    assert result.exit_code == 1
    assert "--mask" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--eta", 1.5], "eta must lie in [0, 1]"),
        (["--sigma-y", -1], "at least 0"),
        (["--steps", 0], "steps must be an integer from 1"),
        (["--size", 60], "multiples of 8"),
        (["--size", 128], "larger than the picture"),
        (["--model", "nobody"], "no model 'nobody'"),
    ],
)
def test_bad_options_end_in_one_line_and_status_1(photograph, options, words):
    result = run("restore", photograph, "--task", "denoise", *options)
    assert result.exit_code == 1
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output


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


def test_operator_named_in_the_report_is_the_one_that_was_checked(operators):
    result = run("check", f"{operators}:good")
    assert repr(SuperResolution((1, 4, 6), 2)) in result.output

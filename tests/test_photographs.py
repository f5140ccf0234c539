"""The stored numbers of the photographs and of the recommendations are those of the library."""

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import evaluate  # noqa: E402
import photographs  # noqa: E402  the scripts that wrote the tables
import recommendations  # noqa: E402
from measuring import RESULTS, Continued  # noqa: E402

from ddrm_edu import load_denoiser  # noqa: E402

ROWS = Continued(RESULTS / "photographs.csv", photographs.COLUMNS, photographs.NUMBERS).rows
DERIVED = Continued(
    RESULTS / "recommendations.csv", recommendations.COLUMNS, recommendations.NUMBERS
).rows


@pytest.mark.parametrize(
    ("motif", "task", "method"),
    [
        ("coffee", "scratches", photographs.PAPER),
        ("astronaut", "enlarged 2 x", photographs.RECOMMENDED),
        ("chelsea", "scratches", "biharmonic"),
        ("astronaut", "noise", "nlm"),
    ],
)
def test_a_small_cut_is_restored_again(motif, task, method):
    side = photographs.CUT
    problem, truth = photographs.tasks(side)[task], photographs.photograph(motif, side)
    y = photographs.measurement(problem, truth)
    x = photographs.FEW[method](load_denoiser("natural"), problem.op, y, problem.sigma_y).float()
    got = photographs.numbers(x, truth, problem, y, 0.0)
    stored = ROWS[motif, str(side), task, method]
    assert got["psnr"] == pytest.approx(float(stored["psnr"]), abs=0.05)
    assert got["ssim"] == pytest.approx(float(stored["ssim"]), abs=2e-3)
    assert got["sharpness"] == pytest.approx(float(stored["sharpness"]), rel=0.01)


def test_a_cut_is_the_middle_of_the_photograph():
    whole, cut = photographs.photograph("chelsea"), photographs.photograph("chelsea", 64)
    assert torch.equal(whole[..., 96:160, 96:160], cut)


def test_every_picture_has_its_numbers():
    wanted = {
        (motif, str(side), task, name)
        for motif in photographs.CORNERS
        for side in (photographs.CUT, photographs.SIDE)
        for task, problem in photographs.tasks(side).items()
        for name in photographs.FEW
        if photographs.applies(name, problem.op)
    }
    assert wanted <= set(ROWS)


@pytest.mark.parametrize(
    ("task", "method", "eta"),
    [
        ("denoise", "ddrm", "own"),
        ("inpaint:0.7", "moment-matching", "1"),
        ("box:12", "ddrm", "0.85/1"),
        ("superres:2", "pigdm", "own"),
        ("deblur:gaussian:1", "ddnm+", "own"),
    ],
)
def test_a_derived_gap_is_computed_again(task, method, eta):
    (problem,) = [p for p in recommendations.PROBLEMS if p.task == task]
    prior = recommendations.patch_prior()
    sigma_y = float(problem.sigma_y)
    got = recommendations.derived(prior, problem.small, sigma_y, method, eta, 20)
    stored = DERIVED[problem.task, problem.sigma_y, method, eta, "20"]
    for name in recommendations.NUMBERS:
        assert got[name] == pytest.approx(float(stored[name]), rel=2e-5)


def test_at_equal_seconds_moment_matching_has_half_of_the_steps():
    found = {
        ("ddrm", "own", 20): 26.3,
        ("moment-matching", "1", 20): 26.2,
        ("moment-matching", "1", 10): 25.9,
        ("nlm", "", 0): 23.5,
        ("wiener", "", 0): 25.6,
    }
    rows = [
        {"task": "denoise", "method": method, "eta": eta, "steps": str(steps), "psnr": str(psnr)}
        for (method, eta, steps), psnr in found.items()
    ]
    lines = evaluate.at_equal_costs(rows).splitlines()
    assert "| denoise | 20 | **26.30** | - | - | 26.20 | 25.90 | wiener 25.60 |" in lines
    assert "| denoise | 50 | - | - | - | - | - | **wiener 25.60** |" in lines
    assert not any(line.startswith("| box") for line in lines)

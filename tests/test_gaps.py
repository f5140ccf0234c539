"""The stored gaps of all methods are those of the library, and show what the lecture says."""

import functools
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import gaps  # noqa: E402  the script that wrote the table
from measuring import Continued  # noqa: E402

from ddrm_edu import MomentMatching  # noqa: E402

ROWS = Continued(gaps.RESULTS / "gaps.csv", gaps.COLUMNS, gaps.NUMBERS).rows
NAMES = list(dict.fromkeys(key[0] for key in ROWS))


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_cell_is_computed_again(name):
    """One of five steps for each method, another operator for each."""
    prior, ops = gaps.patch_prior(), gaps.operators()
    op = list(ops)[NAMES.index(name) % len(ops)]
    stored = ROWS[name, op, "0.1", "cosine", "5"]
    sigmas = gaps.SCHEDULES["cosine"]().sigmas(5)
    got = gaps.cells(gaps.methods(prior)[name], prior, {op: ops[op]}, 0.1, sigmas)[op]
    for part in ("relative_w2", "mean", "mse_ratio"):
        assert got[part] == pytest.approx(float(stored[part]), rel=2e-5, abs=1e-9)


def side_by_side_and_alone(run):
    """Relative W2 of some patches in one image, and of each alone."""
    prior, ops = gaps.patch_prior(), gaps.operators()
    some = {name: ops[name] for name in ("superresolution", "blur", "compressed sensing")}
    sigmas = gaps.SCHEDULES["cosine"]().sigmas(4)
    together = gaps.cells(run, prior, some, 0.02, sigmas)
    alone = [gaps.cells(run, prior, {name: some[name]}, 0.02, sigmas)[name] for name in some]
    return [[of["relative_w2"] for of in found] for found in (together.values(), alone)]


@pytest.mark.parametrize("name", ["DDRM, eta .85", "DDNM+", "moment matching, Chebyshev 3"])
def test_patches_side_by_side_have_the_gaps_of_patches_alone(name):
    together, alone = side_by_side_and_alone(gaps.methods(gaps.patch_prior())[name])
    assert together == pytest.approx(alone, rel=1e-9)


def test_coefficients_that_follow_from_all_singular_values_are_seen():
    prior = gaps.patch_prior()
    bounds = (float(prior.eigenvalues[0]), float(prior.eigenvalues[-1]))
    options = {"iteration": "chebyshev", "eigenvalues": bounds, "cg_steps": 3}
    run = gaps.that_sees_y(functools.partial(MomentMatching, **options))
    together, alone = side_by_side_and_alone(run)
    assert together != pytest.approx(alone, rel=1e-3)


def test_where_one_diverges_each_is_run_alone():
    sizes = []

    def too_large(denoiser, op, y, sigmas, **known):
        sizes.append(op.in_shape[0])
        return iter([op.pinv(y) * (1e6 if op.m > 16 else 1.0)])

    prior, ops = gaps.patch_prior(), gaps.operators()
    some = {name: ops[name] for name in ("denoising", "superresolution")}
    found = gaps.cells(too_large, prior, some, 0.1, torch.tensor([1.0, 0.0]))
    assert sizes[0] == 2
    assert sizes[-1] == 1
    assert all(numbers["relative_w2"] < gaps.DIVERGES for numbers in found.values())


def test_the_table_has_every_method_on_every_problem_up_to_100_steps():
    wanted = {
        (name, op, str(sigma_y), levels, str(steps))
        for name in gaps.methods(gaps.patch_prior())
        for op in gaps.operators()
        for sigma_y in gaps.NOISES
        for levels in gaps.SCHEDULES
        for steps in gaps.STEPS
        if steps <= 100
    }
    assert wanted <= set(ROWS)


def test_moment_matching_ends_at_the_posterior_and_the_others_do_not():
    """1,000 linear levels, sigma_y = 0.1: its gap is a quarter of that at 100."""
    of = lambda name, op, steps: float(ROWS[name, op, "0.1", "linear", steps]["relative_w2"])  # noqa: E731
    for op in gaps.operators():
        solved = of("moment matching, solved", op, "1000")
        assert solved < 0.25 * of("moment matching, solved", op, "100")
        assert of("DDRM, eta .85", op, "1000") > 3 * solved

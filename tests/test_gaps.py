"""The stored gaps of all methods are those of the library, and show what the lecture says."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import gaps  # noqa: E402  the script that wrote the table
from measuring import Continued  # noqa: E402

ROWS = Continued(gaps.RESULTS / "gaps.csv", gaps.COLUMNS, gaps.NUMBERS).rows
NAMES = list(dict.fromkeys(key[0] for key in ROWS))


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_cell_is_computed_again(name):
    """One of five steps for each method, another operator for each."""
    prior, ops = gaps.patch_prior(), gaps.operators()
    op = list(ops)[NAMES.index(name) % len(ops)]
    stored = ROWS[name, op, "0.1", "cosine", "5"]
    sigmas = gaps.SCHEDULES["cosine"]().sigmas(5)
    got = gaps.cell(gaps.methods(prior)[name], prior, ops[op], 0.1, sigmas)
    for part in ("relative_w2", "mean", "mse_ratio"):
        assert got[part] == pytest.approx(float(stored[part]), rel=2e-5, abs=1e-9)


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

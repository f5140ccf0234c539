"""check takes no NaN for a number, check_mc fails as often as it claims when a claim is true.

Both name the entry when it is not, and one finding of many comparisons tells the worst of them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ddrm_edu.checks import check, check_mc
from ddrm_edu.checks.scores import (
    FALSE_ALARM,
    Chance,
    Exact,
    apart,
    covariance_scores,
    cross_scores,
    mc_finding,
    variance_scores,
)

# -- check -----------------------------------------------------------------------------------------


def test_check_prints_the_bound_and_not_the_error(capsys):
    check("claim", [1.0, 2.0 + 1e-9], [1.0, 2.0], atol=1e-8)
    check("claim", torch.full((3,), 0.5), 0.5, atol=0)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "ok  claim    max|diff| <= 1e-08"
    assert second == "ok  claim    max|diff| <= 0e+00"


def test_check_names_the_largest_difference_and_its_place():
    words = r"claim: expected 3 but got 3.5 at flat index 2; max\|diff\| = 0.5, allowed 1e-01"
    with pytest.raises(AssertionError, match=words):
        check("claim", [[1.0, 2.2], [3.5, 4.0]], [[1.0, 2.0], [3.0, 4.0]], atol=0.1)
    with pytest.raises(AssertionError, match=r"got 3\.5 at flat index 2"):
        check("claim", [1.0, 1.1, 3.5], 1.0, atol=0.1)


@pytest.mark.parametrize("atol", [0.0, 1e-9, 1e9], ids=str)
@pytest.mark.parametrize(
    ("got", "want"),
    [
        ([1.0, math.nan], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, math.nan]),
        ([1.0, math.nan], [1.0, math.nan]),
        ([1.0, math.nan], 1.0),
        ([1.0, math.inf], [1.0, math.inf]),
        (math.nan, 0.0),
    ],
    ids=["got", "want", "both", "number", "inf - inf", "one"],
)
def test_what_is_not_a_number_passes_no_check(got, want, atol):
    """The docstring's promise, at any tolerance: NaN is no small difference."""
    with pytest.raises(AssertionError, match=r"claim: .*max\|diff\| = nan"):
        check("claim", got, want, atol=atol)


def test_a_tolerance_that_everything_would_meet_is_refused():
    with pytest.raises(ValueError, match=r"atol .* must be finite"):
        check("claim", [1.0, math.nan], 1.0, atol=math.inf)


def test_an_infinite_difference_is_a_difference():
    with pytest.raises(AssertionError, match="got inf at flat index 1"):
        check("claim", [1.0, math.inf], [1.0, 2.0], atol=1e9)


def test_check_refuses_two_shapes():
    with pytest.raises(ValueError, match=r"claim: .* one shape, but have \(2,\) and \(3,\)"):
        check("claim", [1.0, 2.0], [1.0, 2.0, 3.0], atol=1.0)


# -- check_mc --------------------------------------------------------------------------------------

MEAN = np.array([1.0, -2.0, 0.3])
FACTOR = np.array([[2.0, 0.0, 0.0], [0.7, 0.3, 0.0], [-0.1, 0.4, 5.0]])
COV = FACTOR @ FACTOR.T


def normal_draws(N: int, seed: int) -> np.ndarray:
    return MEAN + np.random.default_rng(seed).standard_normal((N, 3)) @ FACTOR.T


def alarms(claim, repeats: int) -> int:
    """How many of ``claim(seed)``, seed = 0, 1, ..., fail."""
    count = 0
    for seed in range(repeats):
        try:
            claim(seed)
        except AssertionError:
            count += 1
    return count


@pytest.mark.parametrize("N", [2, 5, 40, 2000])
@pytest.mark.parametrize("claimed", [{"mean": MEAN, "cov": COV}, {"cov": COV}], ids=["both", "cov"])
def test_a_true_claim_about_normal_draws_fails_as_often_as_is_said_at_any_number(N, claimed):
    """Chi-square and regression are exact, also where no covariance is near its normal limit.

    At 5 % more than 36 of 400 true claims fail with a probability below 5e-4 (binomial).  The six
    to nine scores are nearly independent, so that Bonferroni is nearly sharp: fewer than 6 failures
    would have a probability below 2e-3 at 4 %.
    """
    claim = lambda seed: check_mc("", normal_draws(N, seed), **claimed, false_alarm=0.05)  # noqa: E731
    assert 6 <= alarms(claim, 400) <= 36


def test_a_true_mean_of_draws_that_are_not_normal_fails_as_often_as_is_said():
    def claim(seed):
        draws = np.random.default_rng(seed).exponential(size=(2000, 3))
        check_mc("", draws, mean=[1, 1, 1], false_alarm=0.05)

    assert 6 <= alarms(claim, 400) <= 36


def test_check_mc_prints_the_bound_and_the_number_of_draws(capsys):
    check_mc("S12.1", normal_draws(20_000, 0), mean=MEAN, cov=COV)
    check_mc("S12.1", normal_draws(20_000, 1), mean=MEAN, cov=COV)
    line = "ok  S12.1    N = 20,000: every |z| <= 5.3, false alarm < 1e-6\n"
    assert capsys.readouterr().out == 2 * line


@pytest.mark.parametrize(
    ("mean", "cov", "words"),
    [
        (MEAN + np.array([0, 0.1, 0]), COV, r"mean \[1\] is -1.99.* but should be -1.9, .*; z = -"),
        (
            MEAN,
            COV + np.diag([0, 0, 2.0]),
            r"covariance \[2, 2\] is 25.* but should be 27.17, .*; z = -",
        ),
        (MEAN, np.diag(np.diag(COV)), r"covariance \[0, 1\] is 1.39.* but should be 0, .*; z = "),
        (None, np.diag(np.diag(COV)), r"covariance \[0, 1\] is 1.39.* but should be 0, .*; z = "),
        (MEAN + np.array([0, 0, 1.0]), None, r"mean \[2\] is 0.29.* but should be 1.3, .*; z = -"),
    ],
)
def test_check_mc_names_the_entry_that_is_wrong(mean, cov, words):
    with pytest.raises(AssertionError, match=words + r".*N = 20,000, false alarm < 1e-6"):
        check_mc("claim", normal_draws(20_000, 0), mean=mean, cov=cov)


def test_check_mc_sees_a_wrong_sign_of_one_covariance_and_a_scalar_noise():
    """FULL covariances: every variance is right in both."""
    draws = normal_draws(20_000, 0)
    flipped = COV * np.array([[1, -1, 1], [-1, 1, 1], [1, 1, 1]])
    with pytest.raises(AssertionError, match=r"covariance \[0, 1\]"):
        check_mc("claim", draws, mean=MEAN, cov=flipped)
    one = np.random.default_rng(0).standard_normal((20_000, 1)) * np.ones((1, 3))
    with pytest.raises(AssertionError, match=r"covariance \[\d, \d\] is"):
        check_mc("claim", one, cov=np.eye(3))


def test_what_has_no_variance_must_be_met_to_rounding():
    draws = normal_draws(2000, 0)
    draws[:, 1] = MEAN[1]
    cov = COV.copy()
    cov[1], cov[:, 1] = 0, 0
    check_mc("constant", draws, mean=MEAN, cov=cov)
    check_mc("constant", draws, cov=cov)
    check_mc("constant", draws, mean=MEAN)
    draws[7, 1] += 1e-9
    with pytest.raises(AssertionError, match="entry 1 has variance 0 by the claim, but differs"):
        check_mc("constant", draws, mean=MEAN, cov=cov)
    with pytest.raises(AssertionError, match="off by 1e-09; z = inf"):
        check_mc("constant", draws * 0 + MEAN + 1e-9, mean=MEAN)


def test_a_singular_covariance_holds_the_draws_on_its_plane():
    plane = np.array([[1.0, 0.2, 1.2], [0.0, 0.9, 0.9]])  # the third is the sum of the others
    draws = np.random.default_rng(0).standard_normal((2000, 2)) @ plane
    check_mc("plane", draws, mean=np.zeros(3), cov=plane.T @ plane)
    draws[:, 2] += 1e-5 * np.random.default_rng(1).standard_normal(2000)
    with pytest.raises(AssertionError, match="a combination of the entries is constant"):
        check_mc("plane", draws, mean=np.zeros(3), cov=plane.T @ plane)


def test_one_column_may_be_given_by_numbers():
    draws = np.random.default_rng(0).standard_normal(5000)
    check_mc("scalar", draws, mean=0.0, cov=1.0)
    with pytest.raises(AssertionError, match=r"covariance \[0, 0\]"):
        check_mc("scalar", draws, mean=0.0, cov=1.3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing is claimed"),
        ({"mean": [0, 0]}, r"mean must have shape \(3,\)"),
        ({"cov": np.eye(2)}, r"cov must have shape \(3, 3\)"),
        ({"cov": np.triu(np.ones((3, 3)))}, "symmetric"),
        ({"cov": -np.eye(3)}, "negative eigenvalues"),
        ({"samples": normal_draws(999, 0), "mean": MEAN}, "at least 1,000 draws, but N = 999"),
        ({"samples": normal_draws(1, 0), "cov": COV}, "N >= 2"),
        ({"samples": np.zeros((5, 2, 2)), "cov": COV}, "Flatten images"),
        ({"samples": np.full((5, 3), np.nan), "cov": COV}, "must be finite"),
    ],
)
def test_check_mc_refuses_what_it_cannot_compare(arguments, words):
    with pytest.raises(ValueError, match=words):
        check_mc(**{"name": "claim", "samples": normal_draws(2000, 0)} | arguments)


def test_the_finding_is_what_check_mc_prints_or_raises(capsys):
    """Neither printed nor raised, with the same words."""
    held = mc_finding("claim", normal_draws(2000, 0), mean=MEAN, cov=COV)
    assert held.holds
    assert held.error <= held.bound
    check_mc("claim", normal_draws(2000, 0), mean=MEAN, cov=COV)
    assert capsys.readouterr().out == f"ok  claim    {held.within}\n"
    broken = mc_finding("claim", normal_draws(2000, 0), mean=MEAN + 1, cov=COV)
    assert broken.status == "broken"
    assert broken.error > broken.bound
    with pytest.raises(AssertionError) as raised:
        check_mc("claim", normal_draws(2000, 0), mean=MEAN + 1, cov=COV)
    assert str(raised.value) == f"claim: {broken.sentence}"
    assert capsys.readouterr().out == ""
    varies = mc_finding("claim", normal_draws(2000, 0), cov=0 * COV)
    assert varies.status == "broken"
    assert varies.found.startswith("entry 2 has variance 0 by the claim")
    with pytest.raises(ValueError, match="at least 1,000 draws"):
        mc_finding("claim", normal_draws(999, 0), mean=MEAN)


# -- scores ----------------------------------------------------------------------------------------


def test_a_variance_score_has_the_tail_of_its_chi_square():
    count = 50
    sums = torch.tensor([20.0, 45.0, 50.0, 70.0, 110.0], dtype=torch.float64)
    z = variance_scores(sums, count)
    assert np.allclose(stats.norm.cdf(z.numpy()), stats.chi2.cdf(sums.numpy(), count), rtol=1e-9)


def test_variance_scores_grow_beyond_the_smallest_number():
    """Where the tail is 0 in floating point, the worse of two still has the larger score."""
    count = 100_000
    ratios = torch.tensor([0.0, 1e-9, 0.1, 0.5, 0.8, 1.0, 1.2, 2.0, 10.0], dtype=torch.float64)
    z = variance_scores(ratios * count, count)
    assert (z.diff() > 0).all()
    assert z[0] == -math.inf
    assert (z[[3, 7]].abs() > 100).all()
    # Halved noise: sqrt(N (1/2 - 1 + log 2)).
    assert z[3].item() == pytest.approx(-math.sqrt(count * (math.log(2) - 0.5)), rel=1e-12)


def test_variance_scores_are_continuous_where_the_likelihood_ratio_takes_over():
    count = 100_000
    z = variance_scores(count * torch.linspace(1.15, 1.2, 2001, dtype=torch.float64), count)
    assert z[0] < 37 < z[-1]
    assert (z.diff() >= 0).all()
    assert z.diff().max() < 0.1


def test_scores_of_what_is_known_exactly_say_nothing():
    r = torch.randn(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    r[:, 1] = 0
    given = torch.cat([r[:, 1:2], r[:, :1]], 1)
    assert (cross_scores(r, given)[:, 0] == 0).all()
    cov = torch.diag(torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    z = covariance_scores(r, cov, len(r))
    assert (z[1] == 0).all()
    assert (z[:, 1] == 0).all()
    assert z.isfinite().all()


# -- one finding of many comparisons ---------------------------------------------------------------


def test_exact_tells_the_largest_difference_for_its_bound():
    exact = Exact()
    exact.add(torch.tensor([[0.1, 0.2], [0.3, 0.0]]), 1.0, lambda i, off: f"first {i}, {off:.1f}.")
    assert exact.finding("claim").holds
    assert exact.finding("claim").bound == 1.0
    exact.add(torch.tensor([0.001, -0.02, 0.0]), 0.01, lambda i, off: f"second {i}, {off:.2f}.")
    exact.add(torch.tensor([1.5]), 1.0, lambda i, off: "third.")
    finding = exact.finding("claim", "Cause.", "Fix.")
    assert finding.status == "broken"
    assert finding.sentence == "second 1, 0.02. Cause. Fix."
    assert (finding.error, finding.bound) == (pytest.approx(0.02), 0.01)


def test_exact_takes_no_nan_for_a_small_difference():
    exact = Exact()
    exact.add(torch.tensor([0.0, math.nan]), 1.0, lambda i, off: f"{i} is {off}.")
    assert exact.finding("claim").found == "1 is inf."


def test_chance_tells_the_largest_score_and_counts_them():
    chance = Chance(500)
    chance.add(torch.tensor([1.0, -2.0]), "none of these")
    assert chance.finding("claim").holds
    chance.add(torch.tensor([[3.0, 4.0], [-9.0, 5.0]]), lambda i: f"entry {i}")
    finding = chance.finding("claim", "Cause.")
    assert chance.count == 6
    assert finding.bound == pytest.approx(stats.norm.isf(FALSE_ALARM / 6 / 12))
    assert finding.sentence == f"entry 2 (|z| = 9, due <= {finding.bound:.1f}). Cause."
    chance.add(torch.tensor([math.nan]), "not a number")
    assert chance.finding("claim").found.startswith("not a number (|z| = inf")


@pytest.mark.parametrize("judge", [Exact(), Chance(1000)], ids=["exact", "chance"])
def test_a_claim_of_which_nothing_could_be_compared_was_not_asked(judge):
    judge.add(torch.zeros(5, 0), *([1.0] if isinstance(judge, Exact) else []), "nothing")
    finding = judge.finding("claim", "Cause.")
    assert str(finding) == "--      claim: it does not occur in your problem."


@pytest.mark.parametrize(
    ("found", "due", "rounding", "told"),
    [
        (0.5, 0.25, 0.0, ("0.5", "0.25")),
        (0.28341, 0.28339, 0.0, ("0.28341", "0.28339")),
        (0.7000007, 0.7, 1e-12, ("0.700001", "0.7")),
        (0.7000007, 0.7, 1e-5, ("0.7", "0.7")),
        (3e-17, 0.5, 1e-12, ("0", "0.5")),
        (1.0, 1.0, 0.0, ("1", "1")),
        (1 + 2**-52, 1.0, 0.0, ("1.0000000000000002", "1")),
    ],
)
def test_two_numbers_are_told_apart_unless_they_differ_by_rounding(found, due, rounding, told):
    assert apart(found, due, rounding) == told

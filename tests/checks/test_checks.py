"""check_operator passes right operators (for wrong ones see ``meta/test_broken_operators.py``).

check_mc fails as often as it claims when a claim is true, and names the entry when it is not.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from strategies import operators, seeds

from ddrm_edu import Denoising, Dense, Inpainting, check_operator
from ddrm_edu.checks import check_mc
from ddrm_edu.checks.operator import OPERATOR_CLAIMS

RNG = np.random.default_rng(11)
H = RNG.standard_normal((4, 3)) @ RNG.standard_normal((3, 6))  # wide and of rank 3, s all distinct

TRUTH = "U diag(s) V^T = H"


def failed(report) -> set[str]:
    return {finding.name for finding in report.failures}


# -- right operators -------------------------------------------------------------------------------


@given(operators(), seeds)
def test_every_operator_passes_against_its_independent_matrix(case, seed):
    """S09.1-S09.5."""
    report = check_operator(case.op, case.H, seed=seed % 2**31)
    assert report.ok, str(report)
    assert not report.failures
    assert TRUTH in {finding.name for finding in report.asked}


@given(operators())
def test_every_operator_passes_without_a_truth(case):
    report = check_operator(case.op)
    assert report.ok, str(report)
    assert [finding.name for finding in report.not_asked] == [TRUTH]


@pytest.mark.parametrize(
    "truth",
    [
        H,
        torch.from_numpy(H),
        scipy.sparse.csr_array(H),
        lambda x: x @ torch.from_numpy(H.T),
        Dense(H),
    ],
    ids=["numpy", "torch", "scipy", "function", "operator"],
)
def test_the_truth_may_come_in_any_form(truth):
    assert check_operator(Dense(H), truth).ok
    assert failed(check_operator(Dense(2 * H), truth)) == {TRUTH}


def test_the_report_tells_every_claim_and_counts_them():
    report = check_operator(Dense(H), H)
    lines = str(report).splitlines()
    assert lines[0] == "Operator Dense((6,) -> (4,), rank 3)"
    assert [line.split()[0] for line in lines[1:-1]] == ["ok"] * len(report.asked)
    assert lines[-1] == f"{len(report.asked)} of {len(report.asked)} claims hold."


def test_the_report_is_the_same_for_the_same_seed():
    assert check_operator(Dense(H), H, seed=3) == check_operator(Dense(H), H, seed=3)


def test_a_tiny_error_in_one_of_many_entries_is_found():
    """An error of 1e-9 is no rounding in float64, however badly H is conditioned."""
    wrong = H.copy()
    wrong[2, 1] += 1e-9
    assert failed(check_operator(Dense(H), wrong)) == {TRUTH}
    bad = np.diag([1.0, 1e-3, 1e-9])
    assert check_operator(Dense(bad), bad).ok
    assert failed(check_operator(Dense(bad), np.diag([1.0, 1e-3, 1e-9 + 1e-11]))) == {TRUTH}


def test_a_kronecker_product_in_the_wrong_order_needs_the_truth():
    """M38: B (x) A instead of A (x) B, for row-major images that are not square."""
    A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 5))
    op = Dense(np.kron(B, A), in_shape=(1, 3, 5))
    assert check_operator(op).ok
    assert failed(check_operator(op, np.kron(A, B))) == {TRUTH}


def test_a_report_does_not_change_the_operator():
    op = Dense(H)
    before = {name: value.clone() for name, value in vars(op).items() if torch.is_tensor(value)}
    check_operator(op, H)
    for name, value in before.items():
        assert torch.equal(getattr(op, name), value)


def test_the_names_of_the_claims_are_known_before_they_are_asked():
    names = [finding.name for finding in check_operator(Dense(H), H).findings]
    assert tuple(names) == OPERATOR_CLAIMS
    assert len(set(names)) == len(names)


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


def test_a_truth_of_another_size_is_no_proof_of_another_matrix():
    report = check_operator(Dense(torch.ones(2, 3)), torch.ones(2, 5))
    (finding,) = report.failures
    assert "must take 3 numbers per image" in str(finding)
    assert "return 2. Is it transposed" in str(finding)
    assert "another matrix" not in str(finding)


def test_beyond_the_size_of_a_diagnosis_a_smaller_image_is_advised():
    op, other = Denoising((1, 40, 40)), Inpainting(torch.rand(1, 40, 40) > 0.5)
    report = check_operator(op, lambda x: other.pinv(other(x)))
    (finding,) = report.failures
    assert "Make the same from smaller images, up to 1024 numbers" in str(finding)

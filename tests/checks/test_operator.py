"""check_operator passes right operators (for wrong ones see ``meta/test_broken_operators.py``)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from scipy.sparse.linalg import aslinearoperator
from strategies import operators, seeds

from ddrm_edu import Denoising, Dense, Inpainting, check_operator
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
        H.tolist(),
        lambda x: x @ torch.from_numpy(H.T),
        lambda x: x.astype(float) @ H.T,
        lambda: H,
        aslinearoperator(H),
        Dense(H),
    ],
    ids=["numpy", "torch", "scipy", "lists", "torch function", "numpy function", "maker",
         "LinearOperator", "operator"],
)  # fmt: skip
def test_the_truth_may_come_in_any_form(truth):
    assert check_operator(Dense(H), truth).ok
    assert failed(check_operator(Dense(2 * H), truth)) == {TRUTH}


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


def test_numbers_that_differ_late_are_shown_to_differ():
    """Weights .3333 in the place of 1 / 3."""
    wrong, due = ([[a, b, a]] for a, b in ((0.3333, 0.3334), (1 / 3, 1 / 3)))
    found = str(check_operator(Dense(wrong), due).failures[0])
    assert "which is 0.3333 here and must be 0.33333." in found

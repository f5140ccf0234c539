"""check_operator passes right operators and names the broken law of wrong ones, in a sentence.

check_mc fails as often as it claims when a claim is true, and names the entry when it is not.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from strategies import operators, random_images, seeds

from ddrm_edu import Dense, Inpainting, SuperResolution, SVDOperator, check_operator
from ddrm_edu.checks import check_mc

RNG = np.random.default_rng(11)
H = RNG.standard_normal((4, 3)) @ RNG.standard_normal((3, 6))  # wide and of rank 3, s all distinct

ARGUMENTS = "arguments are left as they were"
BATCH = "a batch is a stack of single images"
DTYPE = "float32 in, float32 out, and the same numbers"
LINEAR = "H(2 x - 3 a) = 2 H x - 3 H a"
PENROSE1, PENROSE2 = "H H^+ H = H", "H^+ H H^+ = H^+"
SINGULAR = "s: finite, not negative, one per coordinate, no more positive ones than measurements"
TRUTH = "U diag(s) V^T = H"
U_IGNORES = "U(x) ignores coordinates with s = 0"
U_ORTHONORMAL = "Ut(U(x)) = x where s > 0, 0 elsewhere"
U_TRANSPOSE = "<U a, y> = <a, Ut y>"
V_INVERSE, V_ONTO = "Vt(V(x)) = x", "V(Vt(x)) = x"
V_ORTHOGONAL = "<V a, x> = <a, Vt x>"
ADJOINT = "<H x, y> = <x, adjoint(y)>"


def failed(report) -> set[str]:
    return {law.name for law in report.failures}


# -- right operators -------------------------------------------------------------------------------


@given(operators(), seeds)
def test_every_operator_passes_against_its_independent_matrix(case, seed):
    """S09.1-S09.5."""
    report = check_operator(case.op, case.H, seed=seed % 2**31)
    assert report.ok, str(report)
    assert not report.failures
    assert TRUTH in {law.name for law in report.laws}


@given(operators())
def test_every_operator_passes_without_a_truth(case):
    report = check_operator(case.op)
    assert report.ok, str(report)
    assert TRUTH not in {law.name for law in report.laws}


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


def test_the_report_tells_every_law_and_counts_them():
    report = check_operator(Dense(H), H)
    lines = str(report).splitlines()
    assert lines[0] == "Operator Dense((6,) -> (4,), rank 3)"
    assert [line.split()[0] for line in lines[1:-1]] == ["ok"] * len(report.laws)
    assert lines[-1] == f"{len(report.laws)} of {len(report.laws)} laws hold."


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


# -- wrong operators -------------------------------------------------------------------------------


class SwappedV(Dense):
    def V(self, x):
        return super().Vt(x)

    def Vt(self, x):
        return super().V(x)


class ThinV(Dense):
    """The null space is dropped (M13)."""

    def V(self, x):
        return x[:, : self.rank] @ self._V[:, : self.rank].T.to(x)

    def Vt(self, x):
        return (self.s > 0) * super().Vt(x)


class ThinShapedV(Dense):
    """As ThinV, but with coordinates of length rank, as numpy.linalg.svd returns them."""

    def Vt(self, x):
        return x @ self._V[:, : self.rank].to(x)


class SameV(Dense):
    """V and Vt are one matrix, which is not symmetric."""

    def V(self, x):
        return super().Vt(x)


class ReversedS(Dense):
    """Singular values listed in another order than the columns, on the right coordinates."""

    def __init__(self, matrix):
        super().__init__(matrix)
        self.s[: self.rank] = self.s[: self.rank].flip(0)


class ReversedSOnWrongCoordinates(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s = self.s.flip(0)


class SignOfU(Dense):
    def U(self, x):
        return super().U(x * torch.tensor([-1, 1, 1, 1, 1, 1]))


class UnmaskedU(Dense):
    """A full orthogonal U, its columns not 0 where s = 0; one zero of s lies among them."""

    def __init__(self, matrix):
        super().__init__(matrix)
        self._U = torch.linalg.svd(torch.from_numpy(matrix)).U


class UnmaskedUt(UnmaskedU):
    def U(self, x):
        return super().U((self.s > 0) * x)


class UnnormalisedV(Dense):
    """Inverse, but not orthogonal: the factor 1/2 sits in one of the two."""

    def V(self, x):
        return 2 * super().V(x)

    def Vt(self, x):
        return super().Vt(x) / 2


class UnnormalisedU(Dense):
    def U(self, x):
        return 2 * super().U(x)

    def Ut(self, y):
        return 2 * super().Ut(y)


class Affine(Dense):
    def U(self, x):
        return super().U(x) + 0.5


class Clipping(Dense):
    def __call__(self, x):
        return super().__call__(x).clamp(-1, 1)


class OwnAdjoint(Dense):
    """A hand-written adjoint that forgot a factor."""

    def adjoint(self, y):
        return super().adjoint(y) / 2


class OwnPinv(Dense):
    """The transpose for the pseudo-inverse: right only where every s is 1."""

    def pinv(self, y):
        return self.adjoint(y)


class WritesInPlace(Dense):
    """The reflection of the first coordinate, done in the caller's memory."""

    def Vt(self, x):
        x[:, 0] *= -1
        return super().Vt(x)

    def V(self, x):
        x = super().V(x)
        x[:, 0] *= -1
        return x


class ReturnsItsArgument(Inpainting):
    def V(self, x):
        return x


class ReturnsAView(Inpainting):
    def Ut(self, y):
        return y.reshape(-1, *self.in_shape)


class MixesTheBatch(Dense):
    def Vt(self, x):
        return super().Vt(x).flip(0)

    def V(self, x):
        return super().V(x.flip(0))


class SeesOneImageOnly(Dense):
    def U(self, x):
        return super().U(x[:1]).expand(len(x), -1)


class Float64Only(Dense):
    def V(self, x):
        return x @ self._V.T


class ReturnsFloat64(Dense):
    def Ut(self, y):
        return super().Ut(y.double())


class NanInFloat32(Dense):
    """Overflow in float32 alone: infinity minus infinity."""

    def Ut(self, y):
        return super().Ut(y) + 0 * (y.sum() * 1e30 * 1e30)


class NegativeS(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s = -self.s


class NanS(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s[1] = float("nan")


class TooManySingularValues(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s = self.s + 0.1


class SOfAnotherShape(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s = self.s[:4]  # as numpy.linalg.svd returns it


class SOfNumpy(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        self.s = self.s.numpy()


class NoOutShape(Dense):
    def __init__(self, matrix):
        super().__init__(matrix)
        del self.out_shape


class UOfAnotherShape(Dense):
    def U(self, x):
        return super().U(x)[:, :-1]


class RaisesSomething(Dense):
    def V(self, x):
        raise KeyError("pixels")


FULL = np.ones((2, 3), dtype=bool)

BROKEN = [
    # operator, laws that must fail (the first of them first), words of the first sentence
    (SwappedV(H), [TRUTH], "perfect SVD of another matrix"),
    (ReversedS(H), [TRUTH], "order of the singular values"),
    (ThinV(H), [V_INVERSE, V_ONTO], "Is V thin"),
    (ThinShapedV(H), [V_INVERSE, V_ONTO, V_ORTHOGONAL, TRUTH], "full_matrices=True"),
    (SameV(H), [V_INVERSE, V_ONTO, V_ORTHOGONAL, ADJOINT], "the same matrix"),
    (
        ReversedSOnWrongCoordinates(H),
        [U_ORTHONORMAL, U_IGNORES, TRUTH],
        "U and s must list them alike",
    ),
    (SignOfU(H), [U_ORTHONORMAL, U_TRANSPOSE, ADJOINT, PENROSE1, TRUTH], "orthonormal where s > 0"),
    (UnmaskedU(H), [U_IGNORES], "U must be 0 where s = 0"),
    (UnmaskedUt(H), [U_TRANSPOSE], "Ut is not the transpose of U"),
    (UnnormalisedV(H), [V_ORTHOGONAL, ADJOINT], "normalisation"),
    (UnnormalisedU(H), [U_ORTHONORMAL, PENROSE1, PENROSE2, TRUTH], "scaling"),
    (Affine(H), [U_ORTHONORMAL, U_IGNORES, LINEAR, TRUTH], "U and s must list them alike"),
    (Clipping(H), [ADJOINT, LINEAR, TRUTH], "drop them"),
    (OwnAdjoint(H), [ADJOINT], "If you wrote adjoint"),
    (OwnPinv(H), [PENROSE1, PENROSE2], "s^+ must be 1 / s"),
    (WritesInPlace(H), [ARGUMENTS], "writes into its argument"),
    (ReturnsItsArgument(FULL), [ARGUMENTS], "returns a view of it"),
    (ReturnsAView(FULL), [ARGUMENTS], "Work on x.clone()"),
    (MixesTheBatch(H), [BATCH, V_ORTHOGONAL], "mixes or ignores the first axis"),
    (SeesOneImageOnly(H), [BATCH, U_ORTHONORMAL, TRUTH], "mixes or ignores the first axis"),
    (Float64Only(H), [DTYPE], "Convert stored tensors"),
    (ReturnsFloat64(H), [DTYPE], "float32 came back as torch.float64"),
    (NanInFloat32(H), [DTYPE], "off by nan"),
    (NegativeS(H), [SINGULAR], "3 singular values are wrong"),
    (NanS(H), [SINGULAR, PENROSE1, TRUTH], "1 singular values are wrong"),
    (TooManySingularValues(H), [SINGULAR], "2 singular values are wrong"),
    (SOfAnotherShape(H), [SINGULAR], "s must broadcast to in_shape"),
    (SOfNumpy(H), [SINGULAR], "It raised"),
    (NoOutShape(H), [SINGULAR], "out_shape"),
    (UOfAnotherShape(H), [U_ORTHONORMAL, U_IGNORES, U_TRANSPOSE, TRUTH], "It raised"),
    (RaisesSomething(H), [V_INVERSE, V_ONTO, V_ORTHOGONAL, DTYPE], "It raised: 'pixels'"),
]


@pytest.mark.parametrize(
    ("op", "laws", "words"), BROKEN, ids=[type(broken[0]).__name__ for broken in BROKEN]
)
def test_a_broken_operator_fails_the_law_that_it_breaks(op, laws, words):
    """M13 and its relatives: the report goes on, names the law and says what to look for."""
    truth = np.eye(6) if isinstance(op, Inpainting) else H
    report = check_operator(op, truth)
    assert not report.ok
    assert set(laws) <= failed(report)
    text = str(report)
    for law in laws:
        assert f"FAILED  {law}: off by " in text
    sentence = next(line for line in text.splitlines() if line.startswith(f"  FAILED  {laws[0]}"))
    assert words in sentence
    assert sentence.endswith((".", "?"))
    assert text.endswith(
        f"{len(report.laws) - len(report.failures)} of {len(report.laws)} laws hold."
    )


ALONE = {SwappedV, ReversedS, OwnAdjoint, ReturnsItsArgument, ReturnsAView, Float64Only} | {
    ReturnsFloat64,
    NanInFloat32,
}


@pytest.mark.parametrize(
    ("op", "law"),
    [(op, laws[0]) for op, laws, _ in BROKEN if type(op) in ALONE],
    ids=[type(op).__name__ for op, _, _ in BROKEN if type(op) in ALONE],
)
def test_one_fault_fails_one_law_alone(op, law):
    truth = np.eye(6) if isinstance(op, Inpainting) else H
    assert failed(check_operator(op, truth)) == {law}


@pytest.mark.parametrize("op", [SwappedV(H), ReversedS(H)], ids=lambda op: type(op).__name__)
def test_a_perfect_svd_of_another_matrix_passes_unless_the_truth_is_given(op):
    """The trap of the field: measured and restored with one wrong H, nothing looks wrong."""
    assert check_operator(op).ok
    assert failed(check_operator(op, H)) == {TRUTH}


@pytest.mark.parametrize(
    ("op", "law"),
    [(op, laws[0]) for op, laws, _ in BROKEN],
    ids=[type(op).__name__ for op, _, _ in BROKEN],
)
def test_the_first_failure_is_the_most_telling_one(op, law):
    truth = np.eye(6) if isinstance(op, Inpainting) else H
    assert check_operator(op, truth).failures[0].name == law


def test_a_kronecker_product_in_the_wrong_order_needs_the_truth():
    """M38: B (x) A instead of A (x) B, for row-major images that are not square."""
    A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 5))
    op = Dense(np.kron(B, A), in_shape=(1, 3, 5))
    assert check_operator(op).ok
    assert failed(check_operator(op, np.kron(A, B))) == {TRUTH}


def test_a_truth_of_another_shape_is_a_failed_law_not_a_crash():
    report = check_operator(SuperResolution((1, 4, 4), 2), np.eye(3))
    assert failed(report) == {TRUTH}
    assert "It raised" in str(report)


def test_a_report_does_not_change_the_operator():
    op = Dense(H)
    before = {name: value.clone() for name, value in vars(op).items() if torch.is_tensor(value)}
    check_operator(op, H)
    for name, value in before.items():
        assert torch.equal(getattr(op, name), value)


def test_broken_operators_are_wrong_in_one_place_only():
    """The bases of the wrong versions are right: what fails above is the change itself."""
    assert check_operator(Dense(H), H).ok
    assert check_operator(Inpainting(FULL), np.eye(6)).ok
    assert isinstance(Dense(H), SVDOperator)
    x = random_images((6,), 1)
    assert (ReversedS(H)(x) - Dense(H)(x)).abs().max() > 0.1


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

"""The truncated SVD: against LAPACK, its account of what is lost, and what that means for DDRM."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from memory import peak_bytes, stored_bytes
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from strategies import random_images, seeds

from ddrm_edu import (
    GaussianPrior,
    SeparableBlur,
    SuperResolution,
    TruncatedSVD,
    check_operator,
    restore,
)

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(41)


def decaying(m: int, n: int, rate: float, seed: int = 0) -> np.ndarray:
    """A matrix with the singular values 1, rate, rate^2, ..."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((m, min(m, n))))
    right, _ = np.linalg.qr(rng.standard_normal((n, min(m, n))))
    return left * rate ** np.arange(min(m, n)) @ right.T


def largest_part(H: np.ndarray, k: int) -> np.ndarray:
    U, s, Vt = np.linalg.svd(H, full_matrices=False)
    return U[:, :k] * s[:k] @ Vt[:k]


def gaussian_blur(side: int, std: float) -> SeparableBlur:
    taps = torch.arange(-4, 5, dtype=torch.float64)
    weights = torch.exp(-(taps**2) / (2 * std**2))
    return SeparableBlur((1, side, side), weights / weights.sum())


BIG = decaying(70, 90, 0.8, seed=1)
SMALL = decaying(12, 9, 0.8, seed=2)


# -- the decomposition -----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 7, 30, 34, 35, 69, 70])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_largest_singular_values_are_those_of_lapack(k, transposed):
    """On both sides of 2 k + 1 = min(m, n), where ARPACK takes over from LAPACK; tall and wide."""
    H = BIG.T if transposed else BIG
    op = TruncatedSVD(H, k, largest_loss=1.0)
    want = np.linalg.svd(H, compute_uv=False)[:k]
    assert op.rank == k
    assert np.abs(op.s[:k].numpy() - want).max() <= 50 * EPS
    # A subspace errs by rounding over the gap, here 0.2 s_k, and enters with the weight s_k.
    assert np.linalg.norm(op.matrix().numpy() - largest_part(H, k), 2) <= 500 * EPS
    assert check_operator(op, largest_part(H, k)).ok


@pytest.mark.parametrize("k", [1, 2])
def test_no_sign_is_lost_at_the_smallest_ranks(k):
    """One reflection, whose sign is LAPACK's: by ARPACK and by LAPACK, of H and of -H."""
    for H in (BIG, -BIG, SMALL[:3], -SMALL[:3]):
        op = TruncatedSVD(H, k, largest_loss=1.0)
        assert np.linalg.norm(op.matrix().numpy() - largest_part(H, k), 2) <= 500 * EPS


def matrix(H):
    return H


def pair(H):
    columns = torch.from_numpy(H)
    return lambda x: x.flatten(1) @ columns.T, lambda y: (y @ columns).reshape(-1, 9, 10)


CONTAINERS = [matrix, torch.from_numpy, scipy.sparse.csr_array, aslinearoperator, pair]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container.__name__)
@pytest.mark.parametrize("rank", [5, 60])
def test_operators_of_every_kind_are_decomposed(container, rank):
    op = TruncatedSVD(container(BIG), rank, in_shape=(9, 10), out_shape=(7, 10), largest_loss=1.0)
    assert (op.in_shape, op.out_shape) == ((9, 10), (7, 10))
    assert np.linalg.norm(op.matrix().numpy() - largest_part(BIG, rank), 2) <= 500 * EPS


def test_an_operator_of_the_library_keeps_its_shapes():
    full = SeparableBlur((2, 6, 5), [0.3, 0.5, 0.1], [0.4, 0.7])
    op = TruncatedSVD(full, 60)
    assert (op.in_shape, op.out_shape) == (full.in_shape, full.out_shape)
    assert check_operator(op, full.matrix()).ok


def test_single_precision_matrices_are_decomposed_in_double_precision():
    H = BIG.astype(np.float32)
    op = TruncatedSVD(scipy.sparse.csr_array(H), 6, largest_loss=1.0)
    error = np.linalg.norm(op.matrix().numpy() - largest_part(H.astype(float), 6), 2)
    assert error <= 500 * EPS


def test_zeros_among_the_singular_values_that_were_asked_for_are_exact():
    H = decaying(60, 80, 0.5)[:, :3] @ RNG.standard_normal((3, 80))
    for k in (10, 40):  # ARPACK, LAPACK
        op = TruncatedSVD(H, k)
        assert op.rank == 3
        assert check_operator(op, H).ok
    assert TruncatedSVD(np.diag([1.0, 0.3, 1e-3]), 3, rtol=0.01).rank == 2


def test_many_equal_singular_values_are_no_obstacle():
    """All of them are kept here; of equal ones at the cut, which are kept is up to rounding."""
    full = SuperResolution((1, 16, 16), 2)
    assert check_operator(TruncatedSVD(full, 64), full.matrix()).ok
    some = TruncatedSVD(full, 20, largest_loss=1.0)
    assert check_operator(some).ok
    assert (some.s[some.s > 0] - 0.5).abs().max() <= 10 * EPS


def test_the_same_seed_gives_the_same_operator():
    x = random_images((90,), 1)
    first, again = (TruncatedSVD(BIG, 8, largest_loss=1.0, seed=3) for _ in range(2))
    assert torch.equal(first.Vt(x), again.Vt(x))
    assert first.discarded == again.discarded
    assert first.discarded != TruncatedSVD(BIG, 8, largest_loss=1.0, seed=4).discarded


# -- memory ----------------------------------------------------------------------------------------


def test_memory_is_that_of_k_vectors():
    """n = 12,288: V as a matrix would take 1.1 GiB."""
    shape, k = (3, 64, 64), 20
    n = 3 * 64 * 64
    H = scipy.sparse.diags_array(0.8 ** np.arange(n))
    op = TruncatedSVD(H, k, shape)
    assert sum(map(stored_bytes, vars(op).values())) <= 8 * (2 * k + 1) * n + 8192
    x = random_images(shape, 2, batch=4)
    assert peak_bytes(lambda: op.V(x)) <= 8 * k * n + 4 * x.nbytes
    assert (op.Vt(op.V(x)) - x).norm() <= 100 * EPS * x.norm() * n**0.5


# -- what is lost ----------------------------------------------------------------------------------


@given(st.integers(1, 11), st.integers(1, 11), seeds)
def test_the_loss_is_exact_for_small_matrices_and_within_its_error_for_others(m, n, seed):
    H = np.random.default_rng(seed).standard_normal((m, n))
    k = max(1, min(m, n) // 2)
    op = TruncatedSVD(H, k, largest_loss=1.0)
    s = np.linalg.svd(H, compute_uv=False)
    rest = (s[k:] ** 2).sum()
    assert op.discarded_error == 0
    assert abs(op.discarded - rest) <= 100 * EPS * s[0] ** 2
    assert abs(op.loss - rest / (s**2).sum()) <= 100 * EPS


def test_gaussian_probes_estimate_the_loss_within_its_standard_error():
    """200 estimates: their mean within 5 of its standard errors, their spread as it is stated."""
    rest = (np.linalg.svd(BIG, compute_uv=False)[8:] ** 2).sum()
    made = [TruncatedSVD(BIG, 8, largest_loss=1.0, seed=seed) for seed in range(200)]
    estimates = np.array([op.discarded for op in made])
    stated = np.array([op.discarded_error for op in made])
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - rest) <= 5 * spread / 200**0.5
    # A standard deviation of 200 numbers errs by 1 / sqrt(400), 5 %.
    assert abs(np.sqrt((stated**2).mean()) / spread - 1) <= 0.25
    assert (stated > 0).all()


def test_the_estimate_is_the_mean_over_the_probes_to_rounding():
    """What 200 estimates cannot tell, an error of 3 %: H - H_k times the 32 probes of the seed."""
    op = TruncatedSVD(BIG, 8, largest_loss=1.0, seed=5)
    rng = np.random.default_rng(5)
    rng.standard_normal(min(BIG.shape))  # where svds starts
    probes = rng.standard_normal((BIG.shape[1], 32))
    energies = (((BIG - op.matrix().numpy()) @ probes) ** 2).sum(0)
    assert abs(op.discarded / energies.mean() - 1) <= 1e-9
    assert abs(op.discarded_error / (energies.std(ddof=1) / 32**0.5) - 1) <= 1e-9
    kept = (op.s**2).sum().item()
    assert abs(op.loss / (op.discarded / (op.discarded + kept)) - 1) <= 1e-9


def test_too_large_a_loss_is_refused_with_the_numbers():
    """0.8^16 = 2.8 % of the energy is beyond the first 8 singular values."""
    with pytest.raises(ValueError, match=r"rank 8 of 70 .* 0\.02\d+ of the energy") as refused:
        TruncatedSVD(BIG, 8)
    for words in ("standard error", "largest_loss = 0.01", "from 1 to 0.21", "raise the rank"):
        assert words in str(refused.value)
    assert TruncatedSVD(BIG, 8, largest_loss=0.05).rank == 8
    assert TruncatedSVD(BIG, 12).loss <= 0.01  # 0.8^24 = 0.5 %


def test_the_noise_level_is_what_white_images_lose():
    """The root mean square of an entry of y - H_k x over 20,000 images."""
    sigma_y, x_std = 0.03, 0.4
    op = TruncatedSVD(SMALL, 5, largest_loss=1.0)
    rng = np.random.default_rng(3)
    x = x_std * rng.standard_normal((20000, 9))
    y = x @ SMALL.T + sigma_y * rng.standard_normal((20000, 12))
    squares = ((y - op(torch.from_numpy(x)).numpy()) ** 2).mean(1)
    error = squares.std() / 20000**0.5
    assert abs(squares.mean() - op.noise_level(sigma_y, x_std) ** 2) <= 5 * error
    assert op.noise_level(sigma_y, 0) == sigma_y
    for bad in ((-1.0, 0.5), (0.1, np.nan)):
        with pytest.raises(ValueError, match="standard deviation"):
            op.noise_level(*bad)


@pytest.mark.parametrize("k", [8, 50])
def test_what_is_cut_off_does_not_disturb_what_is_kept(k):
    """U_k^T (H - H_k) = 0, so the spectral measurement is that of the whole operator."""
    op = TruncatedSVD(BIG, k, largest_loss=1.0)
    U = op.U(torch.eye(90, dtype=torch.float64))[:k].numpy()
    assert np.linalg.norm(U @ (BIG - op.matrix().numpy()), 2) <= 50 * EPS


def mean_square_error(prior: GaussianPrior, op, H: torch.Tensor, sigma_y: float, told: float):
    """Exact, per pixel, of the posterior mean that takes y = H x + z for one of ``op``."""
    gain, _ = prior.posterior_map(op, sigma_y=told)
    unit = torch.eye(op.m, dtype=torch.float64).reshape(-1, *op.out_shape)
    restoring = gain @ op.measure_spec(unit).flatten(1).T
    left = torch.eye(op.n) - restoring @ H
    noise = sigma_y**2 * (restoring**2).sum()
    return ((left @ prior.cov * left).sum() + noise).item() / op.n


def smooth_prior(side: int) -> GaussianPrior:
    place = torch.cartesian_prod(*2 * [torch.arange(side, dtype=torch.float64)])
    cov = 0.25 * torch.exp(-(torch.cdist(place, place) ** 2) / 18)
    cov += 1e-6 * torch.eye(side**2)
    return GaussianPrior(torch.zeros(1, side, side, dtype=torch.float64), cov)


def test_a_blur_of_fast_decay_is_restored_as_well_by_a_quarter_of_its_singular_values():
    """Those below sigma_y / x_std say next to nothing; sigma_y itself stays right."""
    full, prior, sigma_y = gaussian_blur(16, 1.5), smooth_prior(16), 0.05
    H = full.matrix()
    best = mean_square_error(prior, full, H, sigma_y, sigma_y)
    op = TruncatedSVD(full, 64)
    kept = mean_square_error(prior, op, H, sigma_y, sigma_y)
    told = mean_square_error(prior, op, H, sigma_y, op.noise_level(sigma_y, 0.5))
    assert best <= kept <= 1.001 * best
    # More noise than there is cannot help a posterior mean, but here it does no harm either.
    assert kept <= told <= 1.001 * best
    few = TruncatedSVD(full, 20, largest_loss=1.0)
    assert mean_square_error(prior, few, H, sigma_y, sigma_y) > 2 * best, "the test can fail"


def test_ddrm_restores_with_a_truncated_operator_as_well():
    """100 images; paired differences of the squared errors, within 5 standard errors of 2 %."""
    full, prior, sigma_y = gaussian_blur(12, 1.5), smooth_prior(12), 0.05
    op = TruncatedSVD(full, 50)
    generator = torch.Generator().manual_seed(6)
    x = prior.sample(100, generator=generator)
    y = full(x)
    y = y + sigma_y * torch.randn(y.shape, generator=generator, dtype=y.dtype)
    errors = [
        (restore(prior, each, y, sigma_y=level, generator=generator.manual_seed(7)) - x)
        .square()
        .mean((1, 2, 3))
        for each, level in ((full, sigma_y), (op, op.noise_level(sigma_y, 0.5)))
    ]
    worse = errors[1] - errors[0]
    assert worse.mean() - 0.02 * errors[0].mean() <= 5 * worse.std() / 100**0.5


# -- what is refused -------------------------------------------------------------------------------


def with_rmatvec(H, Ht):
    return LinearOperator(H.shape, matvec=lambda x: H @ x, rmatvec=lambda y: Ht @ y, dtype=float)


SQUARE = RNG.standard_normal((6, 6))
REFUSED = {
    "rank 0": (BIG, 0, {}, ["from 1 to min(m, n) = 70", "was 0"]),
    "too large a rank": (BIG, 71, {}, ["was 71"]),
    "half a rank": (BIG, 2.5, {}, ["integer", "2.5"]),
    "rtol": (BIG, 3, {"rtol": 1.0}, ["[0, 1)"]),
    "in_shape": (BIG, 3, {"in_shape": (9, 9)}, ["81", "90 columns"]),
    "out_shape": (BIG, 3, {"out_shape": (9, 9)}, ["81", "70 rows"]),
    "complex": (1j * BIG, 3, {}, ["real", "complex"]),
    "no operator": ("blur", 3, {}, ["LinearOperator", "str"]),
    "a function": (lambda x: x, 3, {"in_shape": (6,)}, ["from_function", "pair"]),
    "zero": (np.zeros((40, 30)), 3, {}, ["zero"]),
    "NaN": (BIG * np.nan, 3, {}, ["finite"]),
    "no transpose": (
        LinearOperator((6, 6), matvec=lambda x: SQUARE @ x, dtype=float),
        2,
        {},
        ["rmatvec", "pair"],
    ),
    "H for its transpose": (with_rmatvec(SQUARE, SQUARE), 2, {}, ["<A x, y>", "transpose"]),
    "inverse for the transpose": (
        with_rmatvec(SQUARE, np.linalg.inv(SQUARE)),
        2,
        {},
        ["not the transpose", "inverse"],
    ),
    "pair without shape": ((abs, abs), 2, {}, ["in_shape"]),
    "three functions": ((abs, abs, abs), 2, {"in_shape": (4,)}, ["two functions"]),
    "pair of no functions": ((SQUARE, SQUARE.T), 2, {"in_shape": (6,)}, ["two functions"]),
    "pair that is not linear": (
        (lambda x: x, lambda y: y + 1),
        2,
        {"in_shape": (6,)},
        ["ft is not linear", "ft(0) = 0"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_decomposed_is_refused_in_a_sentence(name):
    A, rank, options, words = REFUSED[name]
    with pytest.raises(ValueError, match=r"[.?]$") as refused:
        TruncatedSVD(A, rank, **options)
    for word in words:
        assert word in str(refused.value), str(refused.value)

"""Kronecker products, separable blurs and bicubic reduction against scipy, torch and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import torch
from comparing import assert_near, convolved, largest_norm, rounding, spectrum, times
from hypothesis import given
from hypothesis import strategies as st
from memory import peak_bytes, stored_bytes
from oracles import blur_matrix, kronecker_matrix
from PIL import Image
from strategies import random_images, seeds, small_matrices

from ddrm_edu import BicubicSuperResolution, Kronecker, SeparableBlur
from ddrm_edu.operators import kronecker
from ddrm_edu.operators.base import dense_map

RNG = np.random.default_rng(59)


# -- Kronecker products ----------------------------------------------------------------------------


@given(st.data(), seeds)
def test_kronecker_is_a_x_b_transposed(data, seed):
    """X10: no factor is transposed, and A mixes rows, B columns; also for tall and wide factors."""
    p, h, q, w = (data.draw(st.integers(1, 7)) for _ in range(4))
    A, B = data.draw(small_matrices(p, h)), data.draw(small_matrices(q, w))
    op = Kronecker(A, B, channels=2)
    x = random_images(op.in_shape, seed)
    norms = np.linalg.norm(A, 2), np.linalg.norm(B, 2)
    assert op.out_shape == (2, p, q)
    bound = rounding(torch.float64, op.n, *norms, largest_norm(x))
    assert_near(op(x), A @ x.numpy() @ B.T, bound)
    H = np.kron(np.eye(2), np.kron(A, B))
    assert_near(op(x), times(H, x), bound)


SIDES = {"even": (6, 4), "odd": (5, 7), "wide": (2, 7), "tall": (9, 4), "single": (1, 2)}


@pytest.mark.parametrize("columns", [(6, 6), (3, 5)], ids=["symmetric", "any"])
@pytest.mark.parametrize("rank", ["full", "lost"])
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES.keys())
def test_even_and_odd_halves_make_the_whole(sides, rank, columns, monkeypatch):
    """X10 for matrices that are the same when both sides are reversed, at sides of a test."""
    monkeypatch.setattr(kronecker, "HALVES_FROM", 1)
    A, B = RNG.standard_normal(sides), RNG.standard_normal(columns)
    A = A + A[::-1, ::-1]
    if rank == "lost":
        A[:, 0] = A[:, -1] = 0.0
    if columns[0] == columns[1]:
        B = B + B[::-1, ::-1]
    op = Kronecker(A, B)
    assert [len(op._V_A), len(op._V_B)] == [2, 2 if columns[0] == columns[1] else 1]
    H, eye = np.kron(A, B), np.eye(op.n)
    V, Vt, U = (dense_map(f, op.in_shape) for f in (op.V, op.Vt, op.U))
    Ut, s, unit = dense_map(op.Ut, op.out_shape), op.s.flatten(), rounding(torch.float64, op.n)
    bound = unit * np.linalg.norm(A, 2) * np.linalg.norm(B, 2)
    for got, want, error in (
        (U * s @ Vt, H, bound),
        (s.sort(descending=True).values[None], spectrum(H), bound),
        (V @ V.T, eye, unit),
        (Vt, V.T, unit),
        (Ut, U.T, unit),
        (Ut @ U, np.diag(1.0 * (s > 0)), unit),
    ):
        assert_near(got, want, error)
    assert not U[:, s == 0].any()
    assert not Ut[s == 0].any()


def test_large_symmetric_blurs_keep_halves_only():
    """Real sizes: half the numbers, the same measurement, and V is orthogonal."""
    kernel = [0.1, 0.2, 0.4, 0.2, 0.1]
    op = SeparableBlur((2, 260, 257), kernel)
    lopsided = SeparableBlur((2, 260, 257), [*kernel, 1e-9])  # the same up to its sixth tap
    kept, all_kept = (stored_bytes(list(vars(each).values())) for each in (op, lopsided))
    factors = 8 * 2 * (260**2 + 257**2)
    assert all_kept - kept == pytest.approx(factors / 2, rel=0.01)
    x = random_images(op.in_shape, 3)
    bound = rounding(torch.float64, 520, largest_norm(x))
    assert_near(op(x), convolved(x, np.outer(kernel, kernel), "fill"), bound)
    assert_near(op.Vt(op.V(x)), x, bound)


def test_the_rank_is_cut_on_products_of_singular_values():
    """Each factor has full rank; the product 1e-20 of two small values is rounding to H."""
    op = Kronecker(np.diag([1.0, 1e-10]), np.diag([1.0, 1e-10, 0.5]))
    assert op.rank == np.linalg.matrix_rank(op.matrix().numpy()) == 5
    lost = op.s == 0
    assert lost.tolist() == [[False, False, False], [False, False, True]]
    assert not op.U(lost * random_images(op.in_shape, 1)).any()
    assert not op.Ut(random_images(op.out_shape, 2))[..., lost].any()


def test_what_is_not_measured_cannot_spoil_what_is():
    """U leaves coordinates with s = 0 out; it does not multiply them by 0."""
    op = Kronecker(np.diag([1.0, 1e-10]), np.diag([1.0, 1e-10, 0.5]))
    spec = random_images(op.in_shape, 1)
    want = op.U(spec)
    spec[:, op.s[None] == 0] = torch.inf
    assert torch.equal(op.U(spec), want)


def test_rtol_moves_the_cut():
    """S09.2: the threshold is relative and the caller's to choose, 0 included; s == cut is cut."""
    A, B = np.diag([4.0, 1.0]), np.diag([2.0, 1.0])
    ranks = [Kronecker(A, B, rtol=rtol).rank for rtol in (0, 0.12, 0.125, 0.25, 0.5)]
    assert ranks == [4, 4, 3, 2, 1]
    assert Kronecker(np.diag([1, 1e-30]), [[1.0]], rtol=0).rank == 2
    by_default = [Kronecker(np.diag([1, s]), np.eye(64)).rank for s in (2e-14, 1e-14)]
    assert by_default == [128, 64], "66 rounding units are 1.5e-14"
    kernel = [0.25, 0.5, 0.25]
    full, cut = SeparableBlur((1, 9, 9), kernel), SeparableBlur((1, 9, 9), kernel, rtol=0.3)
    assert cut.rank == (full.s > 0.3 * full.s.max()).sum() < full.rank == 81


@pytest.mark.parametrize("container", [np.array, torch.tensor, np.ndarray.tolist])
def test_factors_come_in_any_container(container):
    A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 2))
    want = kronecker_matrix(A, B, 1)
    for sparse in (np.asarray, scipy.sparse.csr_array, scipy.sparse.coo_matrix):
        op = Kronecker(container(A), sparse(B))
        assert_near(op.matrix().T, want.T, rounding(torch.float64, op.n, np.linalg.norm(want, 2)))


def test_tall_factors_need_no_square_of_their_rows():
    """U has at most as many columns as V, and a full one is not computed on the way either."""
    tall = np.ones((10_000, 2))
    for A, B in ((tall, np.eye(3)), (np.eye(3), tall), (tall, tall)):
        op = Kronecker(A, B)
        large = (len(A) > 3) + (len(B) > 3)
        assert sum(map(stored_bytes, vars(op).values())) <= 8 * 10_000 * large + 2000
        assert peak_bytes(lambda A=A, B=B: Kronecker(A, B)) <= 20 * 8 * 10_000 * large


# -- separable blurs -------------------------------------------------------------------------------


TAPS = [1, 2, 3, 4, 7, 8, 9, 20, 21]


@pytest.mark.parametrize("columns", [1, 4, 9])
@pytest.mark.parametrize("rows", TAPS)
def test_separable_blur_is_scipys_convolution_with_the_outer_product(rows, columns):
    """X10: odd and even kernels, symmetric in nothing, also longer than a side of the image."""
    k, other = RNG.standard_normal(rows), RNG.standard_normal(columns)
    op = SeparableBlur((2, 8, 11), k, other)
    x = random_images(op.in_shape, rows)
    norm = np.abs(k).sum() * np.abs(other).sum()
    bound = rounding(torch.float64, op.n, norm, largest_norm(x))
    assert_near(op(x), convolved(x, np.outer(k, other), "fill"), bound)


@pytest.mark.parametrize(
    ("border", "mode", "padded"),
    [
        ("zero", "constant", "constant"),
        ("mirror", "reflect", "symmetric"),
        ("replicate", "nearest", "edge"),
        ("wrap", "wrap", "wrap"),
    ],
)
@pytest.mark.parametrize("taps", [1, 2, 5, 8])
def test_every_border_is_that_of_scipy_and_numpy(border, mode, padded, taps):
    """Of odd and even kernels; scipy calls the mirror "reflect", and numpy "symmetric"."""
    rows, columns = RNG.standard_normal(taps), RNG.standard_normal(3)
    op = SeparableBlur((2, 8, 11), rows, columns, border=border)
    x = random_images(op.in_shape, taps)
    want = scipy.ndimage.convolve1d(x.numpy(), rows, 2, mode=mode, origin=-((taps + 1) % 2))
    want = scipy.ndimage.convolve1d(want, columns, 3, mode=mode)
    bound = rounding(
        torch.float64, op.n, np.abs(rows).sum() * np.abs(columns).sum(), largest_norm(x)
    )
    assert_near(op(x), want, bound)
    wide = np.pad(x.numpy(), [(0, 0), (0, 0), (8, 8), (8, 8)], mode=padded)
    whole = convolved(torch.from_numpy(wide), np.outer(rows, columns), "fill")
    assert_near(op(x), whole[..., 8:-8, 8:-8], bound)


def test_one_kernel_serves_both_directions():
    k, x = RNG.standard_normal(4), random_images((1, 6, 7), 3)
    assert torch.equal(SeparableBlur((1, 6, 7), k)(x), SeparableBlur((1, 6, 7), k, k)(x))


def test_every_tap_of_the_kernel_is_used():
    """A point in the middle becomes the kernel, both ends of it included."""
    for taps in (9, 8):
        k = np.arange(1.0, taps + 1)
        x = torch.zeros(1, 1, 1, 31, dtype=torch.float64)
        x[..., 15] = 1.0
        first = 15 - (taps - 1) // 2
        y = SeparableBlur((1, 1, 31), [1.0], k)(x)[0, 0, 0, first : first + taps]
        assert np.abs(y.numpy() - k).max() <= rounding(torch.float64, 31, k.sum())


def test_rank_of_a_blur_is_the_product_of_the_ranks_of_its_factors():
    """The mean over 9 pixels of a row of 32 forgets 4 of them, dark borders and all."""
    row = blur_matrix((1, 1, 32), np.full((1, 9), 1 / 9), wrap=False)
    rank = np.linalg.matrix_rank(row)
    assert SeparableBlur((3, 32, 32), np.full(9, 1 / 9)).rank == 3 * rank**2 < 3 * 32**2


# -- bicubic reduction -----------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_bicubic_reduction_is_that_of_torch(factor):
    x = random_images((3, 24, 48), factor)
    size = (24 // factor, 48 // factor)
    want = torch.nn.functional.interpolate(x, size, mode="bicubic", antialias=True)
    op = BicubicSuperResolution((3, 24, 48), factor)
    assert_near(op(x), want, rounding(torch.float64, op.n, 2, largest_norm(x)))


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_bicubic_reduction_is_that_of_pillow(factor):
    """Its images of floating-point numbers are float32."""
    x = random_images((1, 24, 48), factor, batch=1)
    image = Image.fromarray(x[0, 0].float().numpy())
    want = np.array(image.resize((48 // factor, 24 // factor), Image.Resampling.BICUBIC))
    op = BicubicSuperResolution((1, 24, 48), factor)
    assert_near(op(x), want, rounding(torch.float32, op.n, 2, largest_norm(x)))


def test_bicubic_reduction_keeps_constants():
    """Weights that are cut off at the border are normalised again."""
    y = BicubicSuperResolution((2, 8, 12), 4)(torch.full((1, 2, 8, 12), 0.7, dtype=torch.float64))
    assert (y - 0.7).abs().max() <= rounding(torch.float64, 8 * 12)

"""Hypothesis strategies: small operators of every class, each with its independent matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.sparse.linalg
import torch
from hypothesis import assume
from hypothesis import strategies as st
from oracles import (
    bicubic_rows,
    block_matrix,
    blur_decimation_matrix,
    blur_matrix,
    colorization_matrix,
    compressed_sensing_matrix,
    cosine_matrix,
    diagonal_matrix,
    direct_sum_matrix,
    fourier_mask_matrix,
    inpainting_matrix,
    kronecker_matrix,
    patch_functional_matrix,
    permutation_matrix,
    stacked_matrix,
    super_resolution_matrix,
    transposition_matrix,
    weighted_matrix,
)
from torch import Tensor

from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    BlurDecimation,
    ChangeOfBasis,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    Diagonal,
    DirectSum,
    FourierMask,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SelectedRows,
    SeparableBlur,
    Stacked,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    TruncatedSVD,
    WeightedRows,
)

seeds = st.integers(0, 2**32 - 1)
channel_counts = st.sampled_from([1, 3, 4])
dtypes = st.sampled_from([torch.float32, torch.float64])


class OperatorCase(NamedTuple):
    """An operator and the matrix that it claims to be, built without it."""

    op: SVDOperator
    H: np.ndarray


def random_images(
    shape: tuple[int, ...], seed: int, *, batch: int = 3, dtype: torch.dtype = torch.float64
) -> Tensor:
    """A batch of images of independent standard normal numbers, ``(batch, *shape)``."""
    numbers = np.random.default_rng(seed).standard_normal((batch, *shape))
    return torch.from_numpy(numbers).to(dtype)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_like(like: Tensor, seed: int = 0) -> Tensor:
    """Standard normal numbers in float32, as many as ``like`` has."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=generator)


def argument(op: SVDOperator, side: str, seed: int, *, batch=3, dtype=torch.float64) -> Tensor:
    """Random images of the shape that a method takes: "in" (pixels of x) or "out" (of y)."""
    shape = op.in_shape if side == "in" else op.out_shape
    return random_images(shape, seed, batch=batch, dtype=dtype)


def image_shapes(max_side: int = 6, channels: st.SearchStrategy[int] = channel_counts):
    """(channels, height, width), not square as a rule."""
    side = st.integers(1, max_side)
    return st.tuples(channels, side, side)


@st.composite
def matrices(draw) -> np.ndarray:
    """Wide, tall and square; of full rank, rank-deficient and zero; s spread, repeated or tiny."""
    m, n = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(seeds))
    rank = draw(st.integers(0, min(m, n)))
    if draw(st.booleans()):
        # Products of small integers are exact, so the rank is what it says even to the last bit.
        left, right = rng.integers(-3, 4, (m, rank)), rng.integers(-3, 4, (rank, n))
        return (left @ right).astype(np.float64)
    values = st.sampled_from([3.0, 1.7, 0.6, 0.6, 0.05, 1e-4, 1e-7])  # 0.6 twice: repeated
    s = np.array(draw(st.lists(values, min_size=rank, max_size=rank)))
    left, _ = np.linalg.qr(rng.standard_normal((m, m)))
    right, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return left[:, :rank] @ (s[:, None] * right[:rank])


def _factorisations(number: int) -> list[tuple[int, ...]]:
    """Ways to write a count of entries as the shape of an array."""
    pairs = [(a, number // a) for a in range(1, number + 1) if number % a == 0]
    return [(number,), *pairs, *[(1, a, b) for a, b in pairs]]


@st.composite
def dense(draw) -> OperatorCase:
    H = draw(matrices())
    m, n = H.shape
    container = draw(
        st.sampled_from([np.array, torch.tensor, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
    )
    op = Dense(
        container(H),
        in_shape=draw(st.sampled_from([None, *_factorisations(n)])),
        out_shape=draw(st.sampled_from([None, *_factorisations(m)])),
    )
    return OperatorCase(op, H)


@st.composite
def denoising(draw) -> OperatorCase:
    shape = draw(image_shapes())
    return OperatorCase(Denoising(shape), np.eye(int(np.prod(shape))))


def _masks(draw, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.random.default_rng(draw(seeds)).random(shape) < draw(st.floats(0.05, 1.0))
    mask.flat[draw(st.integers(0, mask.size - 1))] = True  # at least one pixel is measured
    return mask


@st.composite
def inpainting(draw) -> OperatorCase:
    shape = draw(image_shapes())
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    if draw(st.booleans()):
        mask = _masks(draw, shape)
        return OperatorCase(Inpainting(container(mask)), inpainting_matrix(mask))
    channels, *plane = shape
    mask = _masks(draw, tuple(plane))
    stacked = np.stack([mask] * channels)
    return OperatorCase(Inpainting(container(mask), channels=channels), inpainting_matrix(stacked))


@st.composite
def super_resolution(draw) -> OperatorCase:
    factor = draw(st.integers(1, 4))
    channels, rows, columns = draw(image_shapes(max_side=7 // factor))
    shape = (channels, rows * factor, columns * factor)
    return OperatorCase(SuperResolution(shape, factor), super_resolution_matrix(shape, factor))


def _weights(draw, shape: tuple[int, ...]) -> np.ndarray:
    """Positive, negative and zero weights, never all zero."""
    rng = np.random.default_rng(draw(seeds))
    weights = rng.standard_normal(shape) * (rng.random(shape) < draw(st.floats(0.3, 1.0)))
    weights.flat[draw(st.integers(0, weights.size - 1))] = draw(st.sampled_from([-1.3, 0.4]))
    return weights


@st.composite
def diagonal(draw) -> OperatorCase:
    shape = draw(image_shapes())
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    if draw(st.booleans()):
        weights = _weights(draw, shape) if draw(st.booleans()) else _masks(draw, shape)
        return OperatorCase(Diagonal(container(weights)), diagonal_matrix(weights))
    channels, *plane = shape
    weights = _weights(draw, tuple(plane))
    H = diagonal_matrix(np.stack([weights] * channels))
    return OperatorCase(Diagonal(container(weights), channels=channels), H)


@st.composite
def colorization(draw) -> OperatorCase:
    shape = draw(image_shapes())
    weights = _weights(draw, (shape[0],))
    container = draw(st.sampled_from([np.array, torch.tensor, tuple]))
    return OperatorCase(
        Colorization(shape, container(weights)), colorization_matrix(shape, weights)
    )


@st.composite
def patch_functional(draw) -> OperatorCase:
    patch = draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)))
    counts = draw(st.tuples(*[st.integers(1, 2)] * 3))
    shape = tuple(p * count for p, count in zip(patch, counts, strict=True))
    k = _weights(draw, patch)
    return OperatorCase(PatchFunctional(shape, k), patch_functional_matrix(shape, k))


@st.composite
def small_matrices(draw, m: int, n: int) -> np.ndarray:
    """Matrices of any rank; the product of two of their singular values is far above rounding."""
    rng, rank = np.random.default_rng(draw(seeds)), draw(st.integers(0, min(m, n)))
    if draw(st.booleans()):
        left, right = rng.integers(-3, 4, (m, rank)), rng.integers(-3, 4, (rank, n))
        return (left @ right).astype(np.float64)
    left, _ = np.linalg.qr(rng.standard_normal((m, m)))
    right, _ = np.linalg.qr(rng.standard_normal((n, n)))
    values = st.sampled_from([3.0, 0.6, 0.05, 1e-4])
    s = np.array(draw(st.lists(values, min_size=rank, max_size=rank)))
    return left[:, :rank] @ (s[:, None] * right[:rank])


@st.composite
def kronecker(draw) -> OperatorCase:
    p, h, q, w = (draw(st.integers(1, 4)) for _ in range(4))
    A, B = draw(small_matrices(p, h)), draw(small_matrices(q, w))
    channels = draw(channel_counts)
    container = draw(
        st.sampled_from([np.array, torch.tensor, np.ndarray.tolist, scipy.sparse.csr_array])
    )
    op = Kronecker(container(A), container(B), channels)
    return OperatorCase(op, kronecker_matrix(A, B, channels))


@st.composite
def separable_blur(draw) -> OperatorCase:
    shape = draw(image_shapes(max_side=5))
    rows, columns = (draw(_weight_lists()) for _ in range(2))
    if draw(st.booleans()):
        H = blur_matrix(shape, np.outer(rows, rows))
        return OperatorCase(SeparableBlur(shape, rows), H)
    border = draw(st.sampled_from(["zero", "mirror", "replicate", "wrap"]))
    H = blur_matrix(shape, np.outer(rows, columns), border=border)
    assume(np.abs(H).max() > 1e-6)  # on an image of one column a difference is 0
    op = SeparableBlur(shape, torch.tensor(rows), columns.tolist(), border=border)
    return OperatorCase(op, H)


@st.composite
def symmetric_blur(draw) -> OperatorCase:
    """Odd kernels of any size, the same upside down and left to right, with a null space or not."""
    shape = draw(image_shapes())
    quarter = _weights(draw, draw(st.tuples(st.integers(1, 4), st.integers(1, 4))))
    if draw(st.booleans()):
        quarter = np.ones_like(quarter)
    half = np.concatenate([quarter[:0:-1], quarter])
    kernel = np.concatenate([half[:, :0:-1], half], axis=1)
    H = blur_matrix(shape, kernel, border="mirror")
    assume(np.abs(H).max() > 1e-6)
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    return OperatorCase(SymmetricBlur(shape, container(kernel)), H)


@st.composite
def _weight_lists(draw) -> np.ndarray:
    """One-dimensional kernels, even and odd, symmetric and not, longer than an image as well."""
    taps = draw(st.integers(1, 8))
    if draw(st.booleans()):
        return np.full(taps, 1 / taps)
    return _weights(draw, (taps,))


@st.composite
def bicubic_super_resolution(draw) -> OperatorCase:
    factor = draw(st.integers(1, 4))
    channels, rows, columns = draw(image_shapes(max_side=7 // factor))
    shape = (channels, rows * factor, columns * factor)
    H = kronecker_matrix(*(bicubic_rows(side, factor) for side in shape[1:]), channels)
    return OperatorCase(BicubicSuperResolution(shape, factor), H)


@st.composite
def circular_blur(draw) -> OperatorCase:
    shape = draw(image_shapes())
    kernel = draw(_kernels())
    H = blur_matrix(shape, kernel, wrap=True)
    assume(H.any())  # on an image of one column a difference is 0
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    return OperatorCase(CircularBlur(shape, container(kernel)), H)


@st.composite
def blur_decimation(draw) -> OperatorCase:
    factor = draw(st.integers(1, 4))
    channels, rows, columns = draw(image_shapes(max_side=7 // factor))
    shape, kernel = (channels, rows * factor, columns * factor), draw(_kernels())
    H = blur_decimation_matrix(shape, kernel, factor)
    assume(H.any())
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    return OperatorCase(BlurDecimation(shape, container(kernel), factor), H)


@st.composite
def _kernels(draw) -> np.ndarray:
    taps = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    # Equal weights and differences vanish at whole frequencies, so that there is a null space.
    return draw(
        st.sampled_from([np.full(taps, 0.25), np.array([[1.0, -1.0]]), _weights(draw, taps)])
    )


@st.composite
def fourier_mask(draw) -> OperatorCase:
    _, *plane = draw(image_shapes())
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    mask = draw(st.sampled_from([_masks, _weights]))(draw, tuple(plane))
    centred = draw(st.booleans())
    return OperatorCase(
        FourierMask(container(mask), centred=centred), fourier_mask_matrix(mask, centred=centred)
    )


@st.composite
def compressed_sensing(draw) -> OperatorCase:
    shape, seed = draw(image_shapes()), draw(st.integers(0, 2**31))
    assume(shape != (3, 5, 5))  # 75 is odd and larger than 64
    n = int(np.prod(shape))
    m = draw(st.integers(1, n))
    draws = [torch.Generator().manual_seed(seed) for _ in range(2)]
    order, kept = torch.randperm(n, generator=draws[0]), torch.randperm(n, generator=draws[0])[:m]
    op = CompressedSensing(shape, m, generator=draws[1])
    H = compressed_sensing_matrix(order.tolist(), sorted(kept.tolist()))
    return OperatorCase(op, H)


@st.composite
def block_operator(draw) -> OperatorCase:
    patch = draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)))
    counts = draw(st.tuples(*[st.integers(1, 2)] * 3))
    shape = tuple(p * count for p, count in zip(patch, counts, strict=True))
    K = draw(small_matrices(draw(st.integers(1, 5)), int(np.prod(patch))))
    by_default = patch == (shape[0], 1, 1)
    op = BlockOperator(K, shape) if by_default else BlockOperator(K, shape, patch)
    return OperatorCase(op, block_matrix(shape, K, patch))


@st.composite
def direct_sum(draw) -> OperatorCase:
    """One to four rectangles out of a cross of four, in any order; the rest is not measured."""
    channels, height, width = shape = draw(image_shapes())
    rows, columns = draw(st.integers(1, height)), draw(st.integers(1, width))
    parts, matrices_ = [], []
    for top, h in ((0, rows), (rows, height - rows)):
        for left, w in ((0, columns), (columns, width - columns)):
            if h and w:
                op, H = draw(_operators_on((channels, h, w)))
                parts.append((op, top, left))
                matrices_.append((H, op.in_shape, top, left))
    order = draw(st.permutations(range(len(parts))))[: draw(st.integers(1, 4))]
    op = DirectSum(shape, [parts[i] for i in order])
    return OperatorCase(op, direct_sum_matrix(shape, [matrices_[i] for i in order]))


@st.composite
def _operators_on(draw, shape: tuple[int, int, int]) -> OperatorCase:
    """Operators of several structures for images of a given shape, of which none divides it."""
    n, rng = int(np.prod(shape)), np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from([Dense, Denoising, Inpainting, Colorization, CircularBlur]))
    if kind is Dense:
        H = draw(small_matrices(draw(st.integers(1, 4)), n))
        return OperatorCase(Dense(H, shape), H)
    if kind is Denoising:
        return OperatorCase(Denoising(shape), np.eye(n))
    if kind is Inpainting:
        mask = _masks(draw, shape)
        return OperatorCase(Inpainting(mask), inpainting_matrix(mask))
    if kind is Colorization:
        weights = _weights(draw, shape[:1])
        return OperatorCase(Colorization(shape, weights), colorization_matrix(shape, weights))
    kernel = rng.standard_normal((2, 3))
    return OperatorCase(CircularBlur(shape, kernel), blur_matrix(shape, kernel, wrap=True))


@st.composite
def change_of_basis(draw) -> OperatorCase:
    """Pixels in another order, images on their side, cosine coefficients, any orthogonal matrix."""
    channels, height, width = shape = draw(image_shapes(max_side=4))
    op, H = draw(_operators_on(shape))
    n, rng = op.n, np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["order", "transposed", "cosine", "matrix"]))
    if kind == "order":
        order = torch.from_numpy(rng.permutation(n))
        back = order.argsort()
        changed = ChangeOfBasis(
            op,
            lambda x: x.flatten(1)[:, order].reshape(x.shape),
            lambda x: x.flatten(1)[:, back].reshape(x.shape),
        )
        return OperatorCase(changed, H @ permutation_matrix(order.tolist()))
    if kind == "transposed":
        own = (channels, width, height)
        changed = ChangeOfBasis(op, lambda x: x.mT, lambda x: x.mT, in_shape=own)
        return OperatorCase(changed, H @ transposition_matrix(own))
    if kind == "cosine":
        rows = torch.from_numpy(scipy.fft.dct(np.eye(width), axis=0, norm="ortho"))
        changed = ChangeOfBasis(op, lambda x: x @ rows.to(x).T, lambda x: x @ rows.to(x))
        return OperatorCase(changed, H @ np.kron(np.eye(channels * height), cosine_matrix(width)))
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    own = draw(st.sampled_from([None, (n,)]))
    return OperatorCase(ChangeOfBasis(op, container(Q), in_shape=own), H @ Q)


@st.composite
def selected_rows(draw) -> OperatorCase:
    kinds = (denoising, inpainting, super_resolution, colorization, patch_functional)
    op, H = draw(st.one_of(*(kind() for kind in (*kinds, compressed_sensing))))
    keep = _masks(draw, op.out_shape)
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    rows = [row for row, kept in enumerate(keep.reshape(-1)) if kept]
    return OperatorCase(SelectedRows(op, container(keep)), H[rows])


@st.composite
def stacked(draw) -> OperatorCase:
    """Masks and weights, circular blurs, or one of any structure, with the identity among them."""
    shape, count = draw(image_shapes(max_side=4)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["pixels", "blurs", "any"]))
    if kind == "any":
        op, H = draw(_operators_on(shape))
        cases = [OperatorCase(op, H), OperatorCase(Denoising(shape), np.eye(op.n))][:count]
    elif kind == "pixels":
        drawn = [draw(st.sampled_from([_masks, _weights]))(draw, shape) for _ in range(count)]
        cases = [
            OperatorCase(Inpainting(w), inpainting_matrix(w))
            if w.dtype == bool
            else OperatorCase(Diagonal(w), diagonal_matrix(w))
            for w in drawn
        ]
    else:
        kernels = [draw(_kernels()) for _ in range(count)]
        matrices_ = [blur_matrix(shape, kernel, wrap=True) for kernel in kernels]
        assume(all(H.any() for H in matrices_))
        cases = [
            OperatorCase(CircularBlur(shape, kernel), H)
            for kernel, H in zip(kernels, matrices_, strict=True)
        ]
    cases = draw(st.permutations(cases))
    weights = [draw(st.sampled_from([1.0, 0.3, 7.0])) for _ in cases]
    container = draw(st.sampled_from([list, tuple, np.array]))
    op = Stacked([case.op for case in cases], container(weights))
    return OperatorCase(op, stacked_matrix([case.H for case in cases], weights))


@st.composite
def weighted_rows(draw) -> OperatorCase:
    """Any weights, zeros among them, where U moves entries; one weight for all of y elsewhere."""
    kinds = (denoising, inpainting, diagonal, super_resolution, colorization, patch_functional)
    if draw(st.booleans()):
        op, H = draw(st.one_of(*(kind() for kind in (*kinds, fourier_mask, compressed_sensing))))
        weights = np.abs(_weights(draw, op.out_shape))
    else:
        op, H = draw(st.one_of(dense(), circular_blur(), kronecker()))
        weights = np.full(op.out_shape, draw(st.sampled_from([0.3, 20.0])))
    container = draw(st.sampled_from([np.array, torch.tensor, np.ndarray.tolist]))
    return OperatorCase(WeightedRows(op, container(weights)), weighted_matrix(H, weights))


@st.composite
def truncated_svd(draw) -> OperatorCase:
    """Distinct singular values, so that the largest k are well defined; any k, all of them too."""
    m, n = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(seeds))
    left, _ = np.linalg.qr(rng.standard_normal((m, m)))
    right, _ = np.linalg.qr(rng.standard_normal((n, n)))
    number = draw(st.integers(1, min(m, n, 6)))
    s = np.array([3.0, 1.7, 0.6, 0.25, 0.05, 1e-4])[:number]
    H = left[:, :number] @ (s[:, None] * right[:number])
    k = draw(st.integers(1, min(m, n)))
    container = draw(
        st.sampled_from(
            [np.array, scipy.sparse.csr_array, scipy.sparse.linalg.aslinearoperator, Dense, _pair]
        )
    )
    op = TruncatedSVD(container(H), k, in_shape=(n,), largest_loss=1.0)
    return OperatorCase(op, left[:, :number][:, :k] @ (s[:k, None] * right[:number][:k]))


def _pair(H: np.ndarray) -> tuple[Callable, Callable]:
    """A matrix and its transpose as functions of batches."""
    return lambda x: x @ torch.from_numpy(H.T.copy()), lambda y: y @ torch.from_numpy(H)


OPERATORS: dict[type[SVDOperator], Callable[[], st.SearchStrategy[OperatorCase]]] = {
    Dense: dense,
    Denoising: denoising,
    Inpainting: inpainting,
    Diagonal: diagonal,
    SuperResolution: super_resolution,
    Colorization: colorization,
    PatchFunctional: patch_functional,
    BlockOperator: block_operator,
    Kronecker: kronecker,
    SeparableBlur: separable_blur,
    BicubicSuperResolution: bicubic_super_resolution,
    CircularBlur: circular_blur,
    SymmetricBlur: symmetric_blur,
    BlurDecimation: blur_decimation,
    FourierMask: fourier_mask,
    CompressedSensing: compressed_sensing,
    DirectSum: direct_sum,
    ChangeOfBasis: change_of_basis,
    SelectedRows: selected_rows,
    Stacked: stacked,
    WeightedRows: weighted_rows,
    TruncatedSVD: truncated_svd,
}


def operators() -> st.SearchStrategy[OperatorCase]:
    """Any operator of the package, at most 196 numbers per image, with its independent matrix."""
    return st.one_of(dense(), *(strategy() for strategy in OPERATORS.values()))  # Dense twice

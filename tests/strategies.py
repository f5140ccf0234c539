"""Hypothesis strategies: small operators of every class, each with its independent matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from hypothesis import strategies as st
from oracles import (
    colorization_matrix,
    inpainting_matrix,
    patch_functional_matrix,
    super_resolution_matrix,
)
from torch import Tensor

from ddrm_edu import (
    Colorization,
    Denoising,
    Dense,
    Inpainting,
    PatchFunctional,
    SuperResolution,
    SVDOperator,
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


OPERATORS: dict[type[SVDOperator], Callable[[], st.SearchStrategy[OperatorCase]]] = {
    Dense: dense,
    Denoising: denoising,
    Inpainting: inpainting,
    SuperResolution: super_resolution,
    Colorization: colorization,
    PatchFunctional: patch_functional,
}


def operators() -> st.SearchStrategy[OperatorCase]:
    """Any operator of the package, at most 196 numbers per image, with its independent matrix."""
    return st.one_of(dense(), *(strategy() for strategy in OPERATORS.values()))  # Dense twice

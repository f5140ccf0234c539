"""Batches of images against matrices: norms, and bounds derived from the rounding unit."""

from __future__ import annotations

import numpy as np
import scipy.signal
import torch
from torch import Tensor

EPS64 = torch.finfo(torch.float64).eps


def rounding(dtype: torch.dtype, n: int, *norms: float) -> float:
    """``10 eps sqrt(n)`` of the arithmetic and 50 units of the decomposition, times the norms."""
    eps = torch.finfo(dtype).eps
    return (10 * eps * n**0.5 + 50 * EPS64) * float(np.prod(norms))


def assert_near(got: Tensor, want: Tensor | np.ndarray, bound: float) -> None:
    """Every image of the batch is within ``bound`` of the truth in the Euclidean norm."""
    want = torch.as_tensor(np.asarray(want)).reshape(got.shape)
    assert (got.double() - want.double()).flatten(1).norm(dim=1).max() <= bound


def times(matrix: np.ndarray, x: Tensor) -> np.ndarray:
    """The matrix applied to each flattened image of a batch, in float64."""
    return x.double().flatten(1).numpy() @ matrix.T


def largest_norm(x: Tensor) -> float:
    return x.double().flatten(1).norm(dim=1).max().item()


def dense_of(method, shape: tuple[int, ...]) -> np.ndarray:
    """Matrix of a method, column by column."""
    unit = torch.eye(int(np.prod(shape)), dtype=torch.float64)
    return method(unit.reshape(-1, *shape)).flatten(1).T.numpy()


def convolved(x: torch.Tensor, kernel: np.ndarray, boundary: str) -> np.ndarray:
    """scipy's convolution of every channel of every image."""
    planes = x.double().reshape(-1, *x.shape[-2:]).numpy()
    blurred = [
        scipy.signal.convolve2d(plane, kernel, mode="same", boundary=boundary) for plane in planes
    ]
    return np.stack(blurred).reshape(x.shape)


def spectrum(H: np.ndarray) -> np.ndarray:
    """All n singular values of H in decreasing order, zeros for the null space."""
    s = np.linalg.svd(H, compute_uv=False)[: H.shape[1]]
    return np.concatenate([s, np.zeros(H.shape[1] - len(s))])


def rank_cut(H: np.ndarray) -> float:
    """numpy.linalg.matrix_rank's relative cut, which is also the default of Dense."""
    return max(H.shape) * EPS64


def pinv_bound(H: np.ndarray, dtype: torch.dtype, y: Tensor, rcond: float) -> float:
    """Rounding of the product, and of the two float64 decompositions magnified by the condition."""
    s = spectrum(H)
    kept = s[s > rcond * s[0]]
    if not len(kept):
        return 0.0
    condition, norms = kept[0] / kept[-1], (1 / kept[-1], largest_norm(y))
    n = max(H.shape)
    return rounding(dtype, n, *norms) + rounding(torch.float64, n, condition, *norms)

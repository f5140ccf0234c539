"""Batches of images against matrices: norms, and bounds derived from the rounding unit."""

from __future__ import annotations

import numpy as np
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

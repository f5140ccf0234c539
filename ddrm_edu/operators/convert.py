"""Operators from a Python function or a scipy operator, whose linearity is tested first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..validation import positive_shape
from .dense import Dense
from .lowrank import TruncatedSVD, with_shapes
from .probing import ImageMap, normal_images
from .recognise import recognise

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["from_function", "from_scipy", "memory_needed"]

GIB = 2**30


def memory_needed(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> int:
    """Bytes that :func:`from_function` takes at its peak for images of these shapes.

    The matrix and its copies in the decomposition, LAPACK's workspace, V (n x n), U, and 16 MiB of
    buffers.

    Examples
    --------
    >>> memory_needed((1, 32, 32), (1, 16, 16)) / 2**20
    35.5
    >>> round(memory_needed((3, 256, 256), (3, 64, 64)) / 2**30)
    381
    """
    n, m = (math.prod(positive_shape(shape, "shape")) for shape in (in_shape, out_shape))
    k = min(m, n)
    return 8 * (5 * m * n + n * n + m * k + 2 * k * k) + 2**24


def from_function(
    f: Callable[[Any], Any],
    in_shape: tuple[int, ...],
    *,
    out_shape: tuple[int, ...] | None = None,
    rtol: float | None = None,
    memory_limit: float = 2 * GIB,
    batch: int = 256,
) -> Dense:
    """The operator of any linear Python function on images: your own H.

    First the function is tried on random images, and refused with a sentence if it is not linear.
    Then its matrix is built from unit images and decomposed (slide 9, ledger S09.1).

    Parameters
    ----------
    f : callable
        ``(batch, *in_shape) -> (batch, *out)``, for torch tensors or numpy arrays.
    in_shape : tuple of int
        Shape of one image, such as ``(1, 32, 32)``.
    out_shape : tuple of int, optional
        Shape of one measurement; by default that of what f returns.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0, as in :class:`Dense`.  By
        default ``max(m, n)`` times the rounding unit of what f returns, or 10 times the rounding
        that was seen when its linearity was tried, if that is more.
    memory_limit : float
        Bytes that may be used; see :func:`memory_needed`.
    batch : int
        Number of unit images in one call of f.

    Returns
    -------
    Dense

    Raises
    ------
    ValueError
        If f cannot be called on a batch, is not linear (the message says in what way, and by how
        much), or needs too much memory; then the message names a fast operator that does the same,
        if one was recognised.

    Examples
    --------
    >>> def differences(x):
    ...     return x[..., 1:] - x[..., :-1]
    >>> from_function(differences, (1, 4, 4))
    Dense((1, 4, 4) -> (1, 4, 3), rank 12)
    >>> from_function(abs, (1, 4, 4))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ValueError: f is not linear: f(-x) = -f(x) fails ...
    """
    return _dense(ImageMap(f, in_shape, "f"), out_shape, rtol, memory_limit, batch)


def from_scipy(
    A: LinearOperator | Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    rank: int | None = None,
    rtol: float | None = None,
    memory_limit: float = 2 * GIB,
    batch: int = 256,
) -> Dense | TruncatedSVD:
    """The operator of a scipy or pylops ``LinearOperator`` or a sparse matrix.

    Parameters
    ----------
    A : LinearOperator, sparse matrix or array (m, n)
        Acts on images flattened row by row.
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and one y; by default ``A.dims`` and ``A.dimsd`` if A comes from pylops,
        else ``(n,)`` and ``(m,)``.
    rank : int, optional
        Keep so many of the largest singular values, without ever building the matrix: see
        :class:`TruncatedSVD`, which also has more options.
    rtol, memory_limit, batch
        As in :func:`from_function`.

    Returns
    -------
    Dense, or TruncatedSVD if ``rank`` is given

    Raises
    ------
    ValueError
        As :func:`from_function`.

    Examples
    --------
    >>> import scipy.sparse
    >>> from_scipy(scipy.sparse.diags_array([1.0, 0.5, 0.0]))
    Dense((3,) -> (3,), rank 2)
    """
    if rank is not None:
        return TruncatedSVD(A, rank, in_shape, out_shape)
    A, in_shape, out_shape = with_shapes(A, in_shape, out_shape)
    on_images = ImageMap(lambda x: A.matmat(x.flatten(1).T.numpy()).T, in_shape, "A")
    return _dense(on_images, out_shape, rtol, memory_limit, batch)


def _dense(
    f: ImageMap,
    out_shape: tuple[int, ...] | None,
    rtol: float | None,
    memory_limit: float,
    batch: int,
) -> Dense:
    """The operator of a map that is linear, as it turns out, and not too large."""
    if batch < 1:
        raise ValueError(f"batch must be at least 1, the images in one call, but was {batch}.")
    f.require_linear()
    _require_affordable(f, memory_limit)
    H = _matrix(f, batch)
    # The rounding of f must not pass for singular values.
    rtol = f.smallest if rtol is None else rtol
    return Dense(H, f.in_shape, f.out_shape if out_shape is None else out_shape, rtol=rtol)


def _require_affordable(f: ImageMap, limit: float) -> None:
    """Raise ``ValueError`` with the bytes, the time and a better operator, above the limit."""
    needed = memory_needed(f.in_shape, f.out_shape)
    if needed <= limit:
        return
    k = min(f.m, f.n)
    minutes = 3e-10 * k * f.n * (f.m + f.n) / 60  # measured on one core with MKL, n = 256 to 2048
    advice = recognise(f) or (
        "No structure of this library was recognised. Take a smaller image, or keep the largest "
        "singular values only, by TruncatedSVD."
    )
    raise ValueError(
        f"A dense operator from {f.in_shape} to {f.out_shape} needs about {needed / GIB:.3g} GiB "
        f"and for its decomposition roughly {minutes:.2g} minutes on one core, more than "
        f"memory_limit = {limit / GIB:.3g} GiB. {advice}"
    )


def _matrix(f: ImageMap, batch: int) -> Tensor:
    """H, column by column, and the proof that it does what f does."""
    H = torch.empty(f.m, f.n, dtype=torch.float64)
    for start in range(0, f.n, batch):
        count = min(batch, f.n - start)
        unit = torch.zeros(count, f.n, dtype=torch.float64)
        unit[:, start : start + count].fill_diagonal_(1.0)
        H[:, start : start + count] = f(unit.reshape(-1, *f.in_shape)).flatten(1).T
    x = normal_images(f.in_shape, seed=2)
    y = f(x).flatten(1)
    worst = (x.flatten(1) @ H.T - y).abs().max().item()
    if not worst <= f.rounding * (y.abs().max().item() or 1.0):
        raise ValueError(
            f"{f.name} is not linear: its answers to unit images do not add up to those to random "
            f"images, by {worst:.3g}. It treats images with few bright pixels, or those of a large "
            "batch, differently."
        )
    return H

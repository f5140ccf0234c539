"""Operators from a Python function or a scipy operator, whose linearity is tested first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..validation import positive_shape
from .dense import Dense
from .lowrank import TruncatedSVD, real_linear_operator
from .probing import ImageMap, normal_images
from .recognise import recognise

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["from_function", "from_scipy", "memory_needed"]

GIB = 2**30


def memory_needed(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> int:
    """Bytes that :class:`Dense` takes at its peak for images of these shapes.

    The matrix and its copies in the decomposition, LAPACK's workspace, V (n x n) and U; an upper
    estimate, by about a fifth for large matrices.

    Examples
    --------
    >>> memory_needed((1, 32, 32), (1, 16, 16)) / 2**20
    19.5
    >>> round(memory_needed((3, 256, 256), (3, 64, 64)) / 2**30)
    381
    """
    n, m = (math.prod(positive_shape(shape, "shape")) for shape in (in_shape, out_shape))
    k = min(m, n)
    return 8 * (5 * m * n + n * n + m * k + 2 * k * k)


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
        default ``max(m, n)`` times the rounding unit of what f returns.
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
    linear = ImageMap(f, in_shape, "f")
    linear.require_linear()
    if out_shape is None:
        out_shape = linear.out_shape
    _require_affordable(linear, memory_limit)
    if rtol is None and linear.eps > torch.finfo(torch.float64).eps:
        rtol = max(linear.n, linear.m) * linear.eps  # rounding must not pass for singular values
    return Dense(_matrix(linear, batch), linear.in_shape, out_shape, rtol=rtol)


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
    A = real_linear_operator(A)
    m, n = A.shape
    in_shape = getattr(A, "dims", (n,)) if in_shape is None else in_shape
    out_shape = getattr(A, "dimsd", (m,)) if out_shape is None else out_shape
    return from_function(
        lambda x: A.matmat(x.flatten(1).T.numpy()).T,
        in_shape,
        out_shape=out_shape,
        rtol=rtol,
        memory_limit=memory_limit,
        batch=batch,
    )


def _require_affordable(f: ImageMap, limit: float) -> None:
    """Raise ``ValueError`` with the bytes, the time and a better operator, above the limit."""
    needed = memory_needed(f.in_shape, f.out_shape)
    if needed <= limit:
        return
    k = min(f.m, f.n)
    minutes = 3e-10 * k * f.n * (f.m + f.n) / 60  # measured on one core with MKL, n = 256 to 2048
    advice = recognise(f) or (
        "No structure of this library was recognised. Take a smaller image, or keep the largest "
        "singular values only: TruncatedSVD((f, its adjoint), rank)."
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
            f"f is not linear: its answers to unit images do not add up to those to random images, "
            f"by {worst:.3g}. It treats images with few bright pixels, or the images of a large "
            "batch, differently."
        )
    return H

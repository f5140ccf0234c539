"""Any matrix, by a dense singular value decomposition (slide 9)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..validation import EPS, positive_shape, real_matrix, require_rtol
from .base import SVDOperator


class Dense(SVDOperator):
    r"""The operator of an explicit matrix H; stores n^2 numbers.

    Slide 9 (ledger S09.1, S09.2).  All of V is kept, the null space included: the thin V of an
    economy-size decomposition forgets the coordinates that were not measured.

    Parameters
    ----------
    H : array (m, n)
        numpy array, torch tensor, nested list or scipy sparse matrix; real and finite.
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and of one y; by default ``(n,)`` and ``(m,)``.
    rtol : float, optional
        Singular values up to ``rtol * s_max`` count as 0; by default ``max(m, n)`` times the
        float64 rounding unit.

    Raises
    ------
    ValueError
        If H is not a finite real matrix or the shapes do not fit it.

    Examples
    --------
    >>> op = Dense([[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    >>> op
    Dense((3,) -> (2,), rank 2)
    >>> op(torch.tensor([[1.0, 5.0, 1.0]]))
    tensor([[3., 4.]])
    """

    def __init__(
        self,
        H: Any,
        in_shape: tuple[int, ...] | None = None,
        out_shape: tuple[int, ...] | None = None,
        *,
        rtol: float | None = None,
    ):
        H = real_matrix(H, "H")
        m, n = H.shape
        self.in_shape = fitting("in_shape", in_shape, n, "columns")
        self.out_shape = fitting("out_shape", out_shape, m, "rows")
        U, s, self._V = full_svd(H)
        self.s = exact_zeros(s, require_rtol(rtol, max(m, n) * EPS)).reshape(self.in_shape)
        self._U = U[:, : self.rank].contiguous()

    def V(self, x: Tensor) -> Tensor:
        return self._times(x, self._V.T, self.in_shape)

    def Vt(self, x: Tensor) -> Tensor:
        return self._times(x, self._V, self.in_shape)

    def U(self, x: Tensor) -> Tensor:
        return self._times(x.flatten(1)[:, : self._U.shape[1]], self._U.T, self.out_shape)

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), self.n)
        spec[:, : self._U.shape[1]] = self._times(y, self._U, self._U.shape[1:])
        return spec.reshape(-1, *self.in_shape)

    @staticmethod
    def _times(x: Tensor, matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
        # The images take the dtype of the matrix, and back: they are fewer numbers to convert.
        product = x.flatten(1).to(matrix.dtype) @ matrix.to(x.device)
        return product.to(x.dtype).reshape(len(x), *shape)


def full_svd(H: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, s and all of V: s has one entry, and V one column, for each of the n columns of H.

    Of U there are n columns at most; the others are never used.
    """
    m, n = H.shape
    U, s, Vt = torch.linalg.svd(H, full_matrices=m < n)
    return U, torch.cat([s, s.new_zeros(n - len(s))]), Vt.T.contiguous()


def exact_zeros(s: Tensor, rtol: float) -> Tensor:
    """Singular values ``s`` with zeros for all those up to ``rtol`` times the largest."""
    return torch.where(s > rtol * s.max(), s, 0.0)


def fitting(name: str, shape: tuple[int, ...] | None, count: int, side: str) -> tuple[int, ...]:
    shape = (count,) if shape is None else positive_shape(shape, name)
    if math.prod(shape) != count:
        raise ValueError(
            f"{name} = {shape} holds {math.prod(shape)} numbers, but H has {count} {side}. "
            "H acts on the image flattened row by row; the two counts must agree "
            "(is H transposed?)."
        )
    return shape

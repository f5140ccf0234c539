r"""Operators that act on rows and columns separately: :math:`H=A\otimes B` (ledger X10).

For a row-major image X, :math:`(A\otimes B)\,\mathrm{vec}(X)=\mathrm{vec}(AXB^\top)`, so that two
small decompositions make the large one: :math:`V=V_A\otimes V_B`, :math:`s=s_A\otimes s_B`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..validation import EPS, finite_tensor, image_shape, is_integer, real_matrix, require_rtol
from .base import SVDOperator
from .blocks import require_factor
from .dense import exact_zeros, full_svd


class Kronecker(SVDOperator):
    r""":math:`y=AXB^\top` on every channel: A mixes the rows of the image, B its columns.

    Ledger X10; H is :math:`I\otimes A\otimes B` on images flattened row by row, in this order.
    Stored are s and the SVDs of A and B: :math:`hw+2(h^2+w^2)` numbers if both are square.

    Parameters
    ----------
    A : array (p, h)
    B : array (q, w)
        numpy arrays, torch tensors, nested lists or scipy.sparse matrices, of any rank.
    channels : int
        The image has the shape (channels, h, w), the measurement (channels, p, q).
    rtol : float, optional
        Products of singular values up to ``rtol`` times the largest count as 0; by default the
        float64 rounding unit times the sum of the larger sides of A and B.

    Raises
    ------
    ValueError
        If A or B is not a finite real matrix, ``channels`` is no positive integer, or ``rtol`` not
        in [0, 1).

    Notes
    -----
    The cut is made on the products, not on the factors: two small singular values, each well
    above the rounding of its own matrix, can have a product far below that of H.

    Examples
    --------
    >>> op = Kronecker([[1.0, 1.0]], [[1.0, -1.0, 0.0]])
    >>> op
    Kronecker((1, 2, 3) -> (1, 1, 1), rank 1)
    >>> op(torch.arange(6.0).reshape(1, 1, 2, 3)).round()
    tensor([[[[-2.]]]])
    """

    def __init__(self, A: Any, B: Any, channels: int = 1, *, rtol: float | None = None):
        A = real_matrix(A, "A")
        B = real_matrix(B, "B").to(A.device)
        if not is_integer(channels) or channels < 1:
            raise ValueError(
                "channels must be a positive integer, the number of planes of an image on which "
                f"A and B act alike, but was {channels!r}."
            )
        self.in_shape = (int(channels), A.shape[1], B.shape[1])
        self.out_shape = (int(channels), A.shape[0], B.shape[0])
        (U_A, s_A, self._V_A), (U_B, s_B, self._V_B) = full_svd(A), full_svd(B)
        rtol = require_rtol(rtol, (max(A.shape) + max(B.shape)) * EPS)
        self.s = exact_zeros(torch.outer(s_A, s_B), rtol)
        # A row or column without any positive product is never measured: U needs no vector for it.
        rows, columns = int((self.s[:, 0] > 0).sum()), int((self.s[0] > 0).sum())
        self._U_A, self._U_B = U_A[:, :rows].clone(), U_B[:, :columns].clone()

    def V(self, x: Tensor) -> Tensor:
        return self._V_A.to(x) @ x @ self._V_B.to(x).T

    def Vt(self, x: Tensor) -> Tensor:
        return self._V_A.to(x).T @ x @ self._V_B.to(x)

    def U(self, x: Tensor) -> Tensor:
        rows, columns = self._U_A.shape[1], self._U_B.shape[1]
        seen = torch.where(self.s.to(x.device) > 0, x, 0.0)[..., :rows, :columns]
        return self._U_A.to(x) @ seen @ self._U_B.to(x).T

    def Ut(self, y: Tensor) -> Tensor:
        rows, columns = self._U_A.shape[1], self._U_B.shape[1]
        spec = y.new_zeros(len(y), *self.in_shape)
        spec[..., :rows, :columns] = self._U_A.to(y).T @ y @ self._U_B.to(y)
        return torch.where(self.s.to(y.device) > 0, spec, 0.0)


class SeparableBlur(Kronecker):
    r"""Blur by a kernel that is a product, with black beyond the border: same size (ledger X10).

    It is the convolution with ``outer(kernel_rows, kernel_cols)``, every tap of odd and even
    kernels included, exactly as ``scipy.signal.convolve2d(x, kernel, mode="same")``.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width).
    kernel_rows : array (k,)
        Weights along the row index, that is downwards.
    kernel_cols : array (l,), optional
        Weights along the column index; by default ``kernel_rows``.
    rtol : float, optional
        As in :class:`Kronecker`.  Smooth kernels have singular values down to rounding; where the
        measurement is noiseless but in float32, those below about 1e-6 carry no information.

    Raises
    ------
    ValueError
        If a kernel is empty, not one-dimensional, not finite or zero everywhere.

    Examples
    --------
    >>> blur = SeparableBlur((1, 3, 3), [0.25, 0.5, 0.25], [1.0])
    >>> x = torch.zeros(1, 1, 3, 3)
    >>> x[0, 0, 0, 1] = 4.0
    >>> blur(x)[0, 0].round()
    tensor([[0., 2., 0.],
            [0., 1., 0.],
            [0., 0., 0.]])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        kernel_rows: Any,
        kernel_cols: Any = None,
        *,
        rtol: float | None = None,
    ):
        channels, height, width = image_shape(in_shape)
        rows = _kernel(kernel_rows, "kernel_rows")
        columns = rows if kernel_cols is None else _kernel(kernel_cols, "kernel_cols")
        A, B = _convolution(height, rows), _convolution(width, columns)
        super().__init__(A, B, channels, rtol=rtol)


class BicubicSuperResolution(Kronecker):
    r"""Bicubic reduction with antialiasing, the usual way in which pictures are made smaller.

    The same numbers as Pillow's ``resize`` with ``BICUBIC`` and as torch's ``interpolate`` with
    ``antialias=True``: the cubic kernel of Keys (1981) with a = -1/2, widened by the factor; at
    the border its weights are cut off and normalised again.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of the large image.
    factor : int
        Divides height and width.

    Raises
    ------
    ValueError
        If the factor does not divide height and width.

    Examples
    --------
    >>> BicubicSuperResolution((3, 32, 32), 4)
    BicubicSuperResolution((3, 32, 32) -> (3, 8, 8), rank 192)
    """

    def __init__(self, in_shape: tuple[int, ...], factor: int):
        channels, height, width = image_shape(in_shape)
        require_factor(factor, (channels, height, width))
        super().__init__(_bicubic(height, factor), _bicubic(width, factor), channels)


def _kernel(kernel: Any, what: str) -> Tensor:
    kernel = finite_tensor(kernel, what)
    if kernel.ndim != 1 or not len(kernel):
        raise ValueError(
            f"{what} must be a list of weights, one for each tap, but had shape "
            f"{tuple(kernel.shape)}. A kernel of two dimensions is separable only if it is the "
            "outer product of two lists; CircularBlur takes any other."
        )
    if not kernel.any():
        raise ValueError(
            f"{what} is zero everywhere, so nothing would be measured. Give it a weight."
        )
    return kernel


def _convolution(n: int, kernel: Tensor) -> Tensor:
    """Matrix (n, n) of the convolution with ``kernel``, centred, with zeros beyond the border."""
    index = torch.arange(n, device=kernel.device)
    tap = index[:, None] - index + (len(kernel) - 1) // 2
    inside = (tap >= 0) & (tap < len(kernel))
    return torch.where(inside, kernel[tap.clamp(0, len(kernel) - 1)], 0.0)


def _bicubic(n: int, factor: int) -> Tensor:
    """Matrix (n / factor, n) of the reduction of one side."""
    unit = torch.eye(n, dtype=torch.float64)[None, None]
    size = (n // factor, n)
    return torch.nn.functional.interpolate(unit, size, mode="bicubic", antialias=True)[0, 0]

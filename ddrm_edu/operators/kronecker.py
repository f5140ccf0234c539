r"""Operators that act on rows and columns separately: :math:`H=A\otimes B` (ledger X10).

For a row-major image X, :math:`(A\otimes B)\,\mathrm{vec}(X)=\mathrm{vec}(AXB^\top)`, so that two
small decompositions make the large one: :math:`V=V_A\otimes V_B`, :math:`s=s_A\otimes s_B`.
"""

from __future__ import annotations

import math
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
    Stored are s and the SVDs of A and B: :math:`hw+2(h^2+w^2)` numbers if both are square, and half
    of a large factor that is symmetric about its centre (see below).

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

    A factor with a side of at least 256 that reversing its rows and columns leaves the same to the
    last bit, as that of a symmetric blur, has even and odd singular vectors, of which only halves
    are kept and multiplied; the even ones come first.

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
        (self._U_A, s_A, self._V_A), (self._U_B, s_B, self._V_B) = _svd(A), _svd(B)
        rtol = require_rtol(rtol, (max(A.shape) + max(B.shape)) * EPS)
        self.s = exact_zeros(torch.outer(s_A, s_B), rtol)

    def V(self, x: Tensor) -> Tensor:
        return _times(self._V_B, _times(self._V_A, x, ROWS), COLUMNS)

    def Vt(self, x: Tensor) -> Tensor:
        return _transposed_times(self._V_B, _transposed_times(self._V_A, x, ROWS), COLUMNS)

    def U(self, x: Tensor) -> Tensor:
        return _times(self._U_B, _times(self._U_A, self._seen(x), ROWS), COLUMNS)

    def Ut(self, y: Tensor) -> Tensor:
        spec = _transposed_times(self._U_B, _transposed_times(self._U_A, y, ROWS), COLUMNS)
        return self._seen(spec)

    def _seen(self, spec: Tensor) -> Tensor:
        return torch.where(self.s.to(spec.device) > 0, spec, 0.0)


class SeparableBlur(Kronecker):
    r"""Blur by a kernel that is a product, whatever lies beyond the border: same size (ledger X10).

    It is the convolution with ``outer(kernel_rows, kernel_cols)``, every tap of odd and even
    kernels included, exactly as ``scipy.signal.convolve2d(x, kernel, mode="same")``, by default
    with 0 beyond the border: mid-grey on the scale [-1, 1], black on [0, 1].

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width).
    kernel_rows : array (k,)
        Weights along the row index, that is downwards.
    kernel_cols : array (l,), optional
        Weights along the column index; by default ``kernel_rows``.
    border : {"zero", "mirror", "replicate", "wrap"}
        What is taken beyond the border: 0, the mirror image with the last pixel twice
        (``numpy.pad`` calls it "symmetric"), the last pixel again and again ("edge"), or the other
        end of the image.
    rtol : float, optional
        As in :class:`Kronecker`.  Smooth kernels have singular values down to rounding; where the
        measurement is noiseless but in float32, those below about 1e-6 carry no information.

    Raises
    ------
    ValueError
        If a kernel is empty, not one-dimensional, not finite or zero everywhere, or there is no
        such border.

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
        border: str = "zero",
        rtol: float | None = None,
    ):
        if border not in BORDERS:
            raise ValueError(f"border must be one of {', '.join(BORDERS)}, but was {border!r}.")
        channels, height, width = image_shape(in_shape)
        rows = _kernel(kernel_rows, "kernel_rows")
        columns = rows if kernel_cols is None else _kernel(kernel_cols, "kernel_cols")
        A, B = _convolution(height, rows, border), _convolution(width, columns, border)
        sides = (A, rows), (B, columns)
        if border != "zero" and any(M.abs().max() <= 8 * EPS * k.abs().sum() for M, k in sides):
            raise ValueError(
                "The weights of a kernel cancel where they meet at the border, so nothing would be "
                f"measured of {height} x {width} pixels. Give it other weights or a larger image."
            )
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


# ------------------------------------------------------------------------- even and odd halves
# A matrix that stays the same when its rows and its columns are both reversed, such as that of a
# symmetric blur, maps even vectors to even ones and odd ones to odd ones.  So its singular vectors
# can be chosen even or odd: half of each says it all, and products cost half as much.  A matrix M
# of singular vectors is therefore kept as blocks, [M] or [upper half of the even ones, of the odd].

ROWS, COLUMNS = -2, -1  # the axis on which a matrix acts

HALVES_FROM = 256
"""Smallest side that is worth it: on smaller ones taking halves costs more than products save."""

Blocks = list[Tensor]


def _svd(A: Tensor) -> tuple[Blocks, Tensor, Blocks]:
    """U, s and V with one column for each column of A; first the even ones, if there are such."""
    if max(A.shape) < HALVES_FROM or not torch.equal(A, A.flip(0, 1)):
        U, s, V = _padded_svd(A)
        return [U], s, [V]
    Us, ss, Vs = [], [], []
    for i, (left, right) in enumerate(zip(_norms(A, ROWS), _norms(A, COLUMNS), strict=True)):
        half = _folded(_folded(A, ROWS)[i], COLUMNS)[i]
        U, s, V = _padded_svd(half / left / right.T)
        Us.append(U / left)
        ss.append(s)
        Vs.append(V / right)
    return Us, torch.cat(ss), Vs


def _padded_svd(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``full_svd`` with zero columns in the place of those that U lacks."""
    U, s, V = full_svd(A)
    return torch.nn.functional.pad(U, (0, len(s) - U.shape[1])), s, V


def _norms(A: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Norms of the vectors e_i + e_-i and e_i - e_-i along an axis of A, as columns."""
    n = A.shape[axis]
    even = A.new_full((n - n // 2, 1), math.sqrt(2))
    even[n // 2 :] = 1.0  # an odd n has a middle, which is its own mirror image
    return even, even[: n // 2]


def _folded(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """x_i + x_-i and x_i - x_-i for the first half of an axis, to which a middle counts as even."""
    half = x.shape[axis] // 2
    outer, middle, mirrored = x.tensor_split([half, x.shape[axis] - half], axis)
    mirrored = mirrored.flip(axis)
    even, odd = outer + mirrored, torch.sub(outer, mirrored, out=mirrored)
    return (torch.cat([even, middle], axis) if middle.shape[axis] else even), odd


def _times(blocks: Blocks, x: Tensor, axis: int) -> Tensor:
    """The matrix that ``blocks`` stand for times ``x``, along rows or columns of each image."""
    if len(blocks) == 1:
        return _product(blocks[0], x, axis)
    even, odd = x.tensor_split([blocks[0].shape[1]], axis)
    even, odd = _product(blocks[0], even, axis), _product(blocks[1], odd, axis)
    outer = even.narrow(axis, 0, len(blocks[1]))
    mirrored = (outer - odd).flip(axis)
    outer += odd
    del odd  # of large batches, memory counts
    return torch.cat([even, mirrored], axis)


def _transposed_times(blocks: Blocks, x: Tensor, axis: int) -> Tensor:
    """The transpose of that matrix times ``x``."""
    if len(blocks) == 1:
        return _product(blocks[0].T, x, axis)
    even, odd = _folded(x, axis)
    even = _product(blocks[0].T, even, axis)
    odd = _product(blocks[1].T, odd, axis)
    return torch.cat([even, odd], axis)


def _product(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    matrix = matrix.to(x)
    return matrix @ x if axis == ROWS else x @ matrix.T


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


BORDERS = ("zero", "mirror", "replicate", "wrap")


def _convolution(n: int, kernel: Tensor, border: str) -> Tensor:
    """Matrix (n, n) of the convolution with ``kernel``, centred."""
    index, taps = torch.arange(n, device=kernel.device), torch.arange(len(kernel))
    source = index[:, None] + (len(kernel) - 1) // 2 - taps.to(index)
    beyond = (source < 0) | (source >= n)
    weights = kernel.expand(source.shape)
    if border == "zero":
        weights = weights.masked_fill(beyond, 0.0)
    if border == "mirror":
        source = source % (2 * n)
        source = torch.minimum(source, 2 * n - 1 - source)
    source = source % n if border == "wrap" else source.clamp(0, n - 1)
    matrix = kernel.new_zeros(n, n)
    return matrix.index_put_((index[:, None], source), weights, accumulate=True)


def _bicubic(n: int, factor: int) -> Tensor:
    """Matrix (n / factor, n) of the reduction of one side."""
    unit = torch.eye(n, dtype=torch.float64)[None, None]
    size = (n // factor, n)
    return torch.nn.functional.interpolate(unit, size, mode="bicubic", antialias=True)[0, 0]

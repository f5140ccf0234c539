r"""Operators that a fast orthogonal transform diagonalises: O(n) numbers, O(n log n) time.

The transforms are real and orthonormal: Hartley's for circular blurs, Walsh's and Hadamard's for
compressed sensing (ledger X11).
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..validation import image_shape, real_matrix
from .base import SVDOperator

__all__ = ["CircularBlur", "CompressedSensing"]


class CircularBlur(SVDOperator):
    r"""Convolution with any real kernel on an image that is repeated periodically.

    A circular convolution is diagonal in the Fourier basis, with the kernel's transform
    :math:`\lambda_k` on the diagonal.  In the real Hartley basis
    :math:`a_k=\mathrm{Re}\,\hat x_k-\mathrm{Im}\,\hat x_k`, which is orthonormal, symmetric and its
    own inverse, H scales and rotates each pair :math:`(a_k,a_{-k})`:

    .. math:: (U\,\mathrm{diag}(s)\,a)_k\ \leftrightarrow\
              |\lambda_k|\,(\cos\varphi_k\,a_k-\sin\varphi_k\,a_{-k}),\qquad
              \lambda_k=|\lambda_k|e^{i\varphi_k},

    so that V is the transform, s the modulus and U the rotation followed by the transform.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width); every channel is blurred alike.
    kernel : array (k, l)
        Any size; a kernel larger than the image wraps around it.  Its centre is the entry
        ``((k - 1) // 2, (l - 1) // 2)``, as for ``scipy.signal.convolve2d(x, kernel,
        mode="same", boundary="wrap")``, which computes the same.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0; by default 8 times the
        float64 rounding unit times the root of the number of pixels.

    Raises
    ------
    ValueError
        If the kernel is not a finite real matrix, or zero everywhere.

    Examples
    --------
    A shift to the right, which no symmetric kernel can make:

    >>> op = CircularBlur((1, 2, 3), [[0.0, 0.0, 1.0]])
    >>> op(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])).round()
    tensor([[[[3., 1., 2.],
              [6., 4., 5.]]]])
    """

    def __init__(self, in_shape: tuple[int, ...], kernel: Any, *, rtol: float | None = None):
        self.in_shape = self.out_shape = image_shape(in_shape)
        kernel = real_matrix(kernel, "kernel")
        _, height, width = self.in_shape
        if rtol is None:
            rtol = 8 * torch.finfo(torch.float64).eps * math.sqrt(height * width)
        if not 0 <= rtol < 1:
            raise ValueError(f"rtol must lie in [0, 1), but was {rtol:g}.")
        response = torch.zeros(height, width, dtype=torch.float64)  # to a point at the origin
        rows = (torch.arange(len(kernel)) - (len(kernel) - 1) // 2) % height
        columns = (torch.arange(kernel.shape[1]) - (kernel.shape[1] - 1) // 2) % width
        response.index_put_((rows[:, None], columns), kernel, accumulate=True)
        eigenvalues = torch.fft.fft2(response)
        # Even and odd to the last bit under k -> -k: then the rotation of a pair is orthogonal.
        real, imaginary = eigenvalues.real, eigenvalues.imag
        real, imaginary = (real + _mirrored(real)) / 2, (imaginary - _mirrored(imaginary)) / 2
        s = torch.hypot(real, imaginary)
        if not s.any():
            raise ValueError(
                "kernel is zero everywhere (or its parts cancel where it wraps around the image), "
                "so nothing would be measured."
            )
        self.s = torch.where(s > rtol * s.max(), s, 0.0)
        scale = torch.where(self.s > 0, s, 1.0)
        self._cos = torch.where(self.s > 0, real / scale, 0.0)
        self._sin = torch.where(self.s > 0, imaginary / scale, 0.0)

    def V(self, x: Tensor) -> Tensor:
        return _hartley(x)

    def Vt(self, x: Tensor) -> Tensor:
        return _hartley(x)

    def U(self, x: Tensor) -> Tensor:
        return _hartley(self._cos.to(x) * x - self._sin.to(x) * _mirrored(x))

    def Ut(self, y: Tensor) -> Tensor:
        spec = _hartley(y)
        return self._cos.to(y) * spec + self._sin.to(y) * _mirrored(spec)


class CompressedSensing(SVDOperator):
    r"""Random coordinates of a mixed image: pixels are shuffled, transformed, and few are kept.

    The transform is the normalised one of Walsh and Hadamard (ledger X11), with all s = 1.  It
    exists for powers of two; for :math:`n=p\,2^k` with an odd p it is joined with the cosine
    transform of length p, so that colour images have one as well.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width), of which n is the product.
    measurements : int
        From 1 to n.
    generator : torch.Generator, optional
        Of the order of the pixels and the choice of coordinates.

    Raises
    ------
    ValueError
        If ``measurements`` is out of range, or the odd part p of n is larger than 64: its
        transform would not be fast.

    Examples
    --------
    >>> CompressedSensing((3, 32, 32), 512, generator=torch.Generator().manual_seed(0))
    CompressedSensing((3, 32, 32) -> (512,), rank 512)
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        measurements: int,
        generator: torch.Generator | None = None,
    ):
        self.in_shape = image_shape(in_shape)
        n = math.prod(self.in_shape)
        if not isinstance(measurements, Integral) or not 1 <= measurements <= n:
            raise ValueError(
                f"measurements must be an integer from 1 to the number of entries of an image, "
                f"{n}, but was {measurements!r}."
            )
        self._factors = _orthogonal_factors(n, self.in_shape)
        self._order = torch.randperm(n, generator=generator)
        self._place = self._order.argsort()  # the inverse of the order
        self._kept = torch.randperm(n, generator=generator)[:measurements].sort().values
        self.out_shape = (int(measurements),)
        self.s = torch.zeros(n, dtype=torch.float64)
        self.s[self._kept] = 1.0
        self.s = self.s.reshape(self.in_shape)

    def V(self, x: Tensor) -> Tensor:
        mixed = _apply_factors([F.T for F in self._factors], x.flatten(1))
        return mixed.index_select(1, self._place.to(x.device)).reshape(x.shape)

    def Vt(self, x: Tensor) -> Tensor:
        shuffled = x.flatten(1).index_select(1, self._order.to(x.device))
        return _apply_factors(self._factors, shuffled).reshape(x.shape)

    def U(self, x: Tensor) -> Tensor:
        return x.flatten(1).index_select(1, self._kept.to(x.device))

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), self.n).index_copy(1, self._kept.to(y.device), y)
        return spec.reshape(-1, *self.in_shape)


def _mirrored(a: Tensor) -> Tensor:
    """``a`` at the frequency -k in the place of k, over the last two axes."""
    return a.flip(-2, -1).roll((1, 1), (-2, -1))


def _hartley(x: Tensor) -> Tensor:
    """Orthonormal Hartley transform over the last two axes: symmetric, its own inverse."""
    transformed = torch.fft.fft2(x, norm="ortho")
    return transformed.real - transformed.imag


def _orthogonal_factors(n: int, shape: tuple[int, ...]) -> list[Tensor]:
    """Orthogonal matrices of at most 64 rows whose Kronecker product has n rows."""
    from scipy.fft import dct
    from scipy.linalg import hadamard

    twos = (n & -n).bit_length() - 1
    odd = n >> twos
    if odd > 64:
        raise ValueError(
            f"An image of shape {shape} has {n} = {odd} x 2^{twos} entries, and a fast transform "
            f"needs an odd part of at most 64, not {odd}. Crop or pad height and width to "
            "multiples of a power of two, such as 32."
        )
    factors = [torch.from_numpy(dct(torch.eye(odd).double().numpy(), norm="ortho", axis=0))]
    while twos:
        size = 2 ** min(twos, 5)  # products with 32 x 32 matrices beat butterflies
        factors.append(torch.from_numpy(hadamard(size, dtype=float) / math.sqrt(size)))
        twos -= min(twos, 5)
    return factors


def _apply_factors(factors: list[Tensor], x: Tensor) -> Tensor:
    """Kronecker product of ``factors`` times each row of ``x (batch, n)``."""
    for factor in factors:  # each acts on the first axis, which then becomes the last
        columns = x.reshape(len(x), len(factor), -1)
        x = (factor.to(x) @ columns).transpose(1, 2).flatten(1)
    return x

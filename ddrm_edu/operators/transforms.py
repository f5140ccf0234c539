r"""Operators that a fast orthogonal transform diagonalises: O(n) numbers, O(n log n) time.

The transforms are real and orthonormal: Hartley's for circular blurs, Walsh's and Hadamard's for
compressed sensing (ledger X11).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..validation import EPS, finite_tensor, image_shape, is_integer, real_matrix, require_rtol
from .base import SVDOperator, in_single
from .blocks import require_factor
from .dense import exact_zeros
from .pixels import Diagonal, SelectedCoordinates


class CircularBlur(SVDOperator):
    r"""Convolution with any real kernel on an image that is repeated periodically.

    A circular convolution is diagonal in the Fourier basis, with the kernel's transform
    :math:`\lambda_k` on the diagonal.  In the real basis of Hartley (Bracewell 1983),
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
        float64 rounding unit times the root of the number of pixels, a bound on the FFT's rounding.

    Raises
    ------
    ValueError
        If the kernel is not a finite real matrix, or zero everywhere, or ``rtol`` not in [0, 1).

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
        s, real, imaginary = _eigenvalues(kernel, *self.in_shape[1:])
        self.s = exact_zeros(s, require_rtol(rtol, _fft_rounding(s)))
        scale = s.where(self.s > 0, torch.inf)
        self._cos, self._sin = real / scale, imaginary / scale

    def V(self, x: Tensor) -> Tensor:
        return _hartley(x)

    Vt = V  # symmetric

    def U(self, x: Tensor) -> Tensor:
        return _hartley(self._cos.to(x) * x - self._sin.to(x) * _mirrored(x))

    def Ut(self, y: Tensor) -> Tensor:
        spec = _hartley(y)
        return self._cos.to(y) * spec + self._sin.to(y) * _mirrored(spec)


class SymmetricBlur(SVDOperator):
    r"""Convolution of the mirrored image with any kernel that is symmetric along both axes.

    Beyond its border the image goes on as its mirror image, with the last pixel twice.  Kernels
    with :math:`K_{ab}=K_{-a,b}=K_{a,-b}`, products or not, are then diagonal in the cosine basis
    (DCT-II; Ng, Chan and Tang 1999, "A fast algorithm for deblurring models with Neumann boundary
    conditions"):

    .. math:: \lambda_{kl}=\sum_{a,b}K_{ab}\cos\frac{\pi ka}{h}\cos\frac{\pi lb}{w},

    so that V is the transform's inverse, :math:`s=|\lambda|`, and U carries the sign.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width); every channel is blurred alike.
    kernel : array (k, l)
        Both sides odd, of any length; as for ``scipy.signal.convolve2d(x, kernel, mode="same",
        boundary="symm")``, which computes the same where the kernel is no larger than the image.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0; by default as for
        :class:`CircularBlur`.

    Raises
    ------
    ValueError
        If the kernel is not a finite real matrix, not symmetric along both axes, or nothing would
        be measured, or ``rtol`` is not in [0, 1).

    Examples
    --------
    A disc out of focus, which is no product of a column and a row:

    >>> disc = [[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 0.0]]
    >>> SymmetricBlur((3, 32, 32), disc)
    SymmetricBlur((3, 32, 32) -> (3, 32, 32), rank 3072)
    """

    def __init__(self, in_shape: tuple[int, ...], kernel: Any, *, rtol: float | None = None):
        self.in_shape = self.out_shape = _, height, width = image_shape(in_shape)
        kernel = real_matrix(kernel, "kernel")
        mirrored = kernel.flip(0), kernel.flip(1)
        odd = all(side % 2 for side in kernel.shape)
        largest = kernel.abs().max()
        if not odd or any((kernel - m).abs().max() > 8 * EPS * largest for m in mirrored):
            raise ValueError(
                "kernel must have odd sides and be the same upside down and left to right, but the "
                f"one of shape {tuple(kernel.shape)} is not. With a mirrored border other kernels "
                "are exact where they are the product of a column and a row: "
                "SeparableBlur(in_shape, column, row, border='mirror'). For the rest "
                "restore(method='diffpir') needs H and H^T only, as a LinearMap."
            )
        cosines = [_cosines(n, side) for n, side in zip((height, width), kernel.shape, strict=True)]
        eigenvalues = cosines[0].to(kernel) @ kernel @ cosines[1].to(kernel).T
        s = eigenvalues.abs()
        rounding = _fft_rounding(s)
        if not s.max() > rounding * kernel.abs().sum():
            raise ValueError(
                "kernel is zero everywhere, or its weights cancel where they meet around the "
                f"mirrored image of {height} x {width} pixels, so nothing would be measured. "
                "Give it other weights or a larger image."
            )
        self.s = exact_zeros(s, require_rtol(rtol, rounding))
        self._sign = eigenvalues.sign().where(self.s > 0, 0.0)

    def V(self, x: Tensor) -> Tensor:
        return _planes(lambda x: _inverse_cosine(_inverse_cosine(x).mT).mT, x)

    def Vt(self, x: Tensor) -> Tensor:
        return _planes(lambda x: _cosine(_cosine(x).mT).mT, x)

    def U(self, x: Tensor) -> Tensor:
        return self.V(self._sign.to(x) * x)

    def Ut(self, y: Tensor) -> Tensor:
        return self._sign.to(y) * self.Vt(y)


class BlurDecimation(SVDOperator):
    r"""Circular blur, then every r-th pixel of every r-th row: super-resolution by any kernel.

    Decimation adds up :math:`r^2` frequencies of the blurred image, those that differ by multiples
    of h / r and w / r (Zhao et al. 2016, "Fast single image super-resolution", lemma 1).  In
    Hartley's coordinates (:class:`CircularBlur`), after the rotation of the pairs
    :math:`(a_k,a_{-k})` by the phase of :math:`\lambda_k`,

    .. math:: \bar y_j=\frac1r\sum_{k\equiv j}|\lambda_k|\,a'_k,

    one row for each block of r^2 numbers, whose SVD is a Householder reflection as in
    :class:`PatchFunctional`.  So :math:`s_j=\frac1r\sqrt{\sum_{k\equiv j}|\lambda_k|^2}`, and U is
    the Hartley transform of the small image.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of the large image; every channel is treated alike.
    kernel : array (k, l)
        As for :class:`CircularBlur`, its centre included:
        ``y = CircularBlur(in_shape, kernel)(x)[..., ::factor, ::factor]``.
    factor : int
        r, which divides height and width.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0; by default as for
        :class:`CircularBlur`.

    Notes
    -----
    Where the pixels that are kept are others than 0, r, 2 r, ..., shift the kernel.

    Raises
    ------
    ValueError
        If the kernel is not a finite real matrix, or zero everywhere, ``factor`` does not divide
        the sides, or ``rtol`` is not in [0, 1).

    Examples
    --------
    A mean over 3 x 3 pixels, of which every second is kept, so that the blocks overlap:

    >>> BlurDecimation((3, 32, 32), torch.full((3, 3), 1 / 9), 2)
    BlurDecimation((3, 32, 32) -> (3, 16, 16), rank 768)
    """

    def __init__(
        self, in_shape: tuple[int, ...], kernel: Any, factor: int, *, rtol: float | None = None
    ):
        self.in_shape = channels, height, width = image_shape(in_shape)
        require_factor(factor, self.in_shape)
        self._factor = int(factor)
        self.out_shape = channels, height // factor, width // factor
        kernel = real_matrix(kernel, "kernel")
        size, real, imaginary = _eigenvalues(kernel, height, width)
        rounding = _fft_rounding(size)
        size = exact_zeros(size, rounding)
        seen = size > 0
        scale = size.where(seen, 1.0)
        # The rotation is part of V, so it is orthogonal where nothing is measured, too.
        self._cos, self._sin = (real / scale).where(seen, 1.0), (imaginary / scale).where(seen, 0.0)
        blocks = self._blocks(size / size.max())  # a sum of squares would overflow otherwise
        norm = blocks.square().sum((0, 2), keepdim=True).sqrt()
        s = exact_zeros(norm, require_rtol(rtol, rounding)) * size.max() / factor
        self.s = torch.zeros(height, width, dtype=torch.float64, device=s.device)
        self._first(self.s).copy_(s[0, :, 0])
        # u + e_1 never cancels: all entries of u are moduli.  Reflection = I - mirror mirror^T.
        mirror = blocks / norm.where(s > 0, torch.inf)
        cosine = mirror[:1, :, :1].clone()
        mirror[:1, :, :1] += (s > 0).double()
        self._mirror = (mirror / (1 + cosine).sqrt()).reshape(height, width)

    def V(self, x: Tensor) -> Tensor:
        x = self._reflected(x)
        opposite = _mirrored(x)
        x.mul_(self._cos.to(x)).addcmul_(opposite, self._sin.to(x))
        del opposite
        return _hartley(x, out=None if x.requires_grad else x)

    def Vt(self, x: Tensor) -> Tensor:
        x = _hartley(x)
        opposite = _mirrored(x)
        x.mul_(self._cos.to(x)).addcmul_(opposite, self._sin.to(x), value=-1)
        del opposite
        return self._reflected(x)

    def U(self, x: Tensor) -> Tensor:
        return _hartley(self._first(-x) * (self._first(self.s) > 0).to(x))

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), *self.in_shape)
        self._first(spec).copy_(-_hartley(y) * (self._first(self.s) > 0).to(y))
        return spec

    def _reflected(self, x: Tensor) -> Tensor:
        """A new ``x``, in which every block of frequencies that are added up is reflected."""
        mirror = self._blocks(self._mirror.to(x))
        blocks = self._blocks(x)
        along = (blocks * mirror).sum((-4, -2), keepdim=True)
        return torch.addcmul(blocks, along, mirror, value=-1).reshape(x.shape)

    def _blocks(self, x: Tensor) -> Tensor:
        """View (..., r, h / r, r, w / r): the numbers of a block along the axes of length r."""
        r = self._factor
        return x.unflatten(-1, (r, self.out_shape[2])).unflatten(-3, (r, self.out_shape[1]))

    def _first(self, x: Tensor) -> Tensor:
        """View of the first number of every block, (..., h / r, w / r)."""
        _, rows, columns = self.out_shape
        return x[..., :rows, :columns]


class FourierMask(Diagonal):
    r"""Some frequencies of a complex image are measured, as in magnetic resonance imaging.

    A complex image is two real channels, its real and its imaginary part.  Its orthonormal Fourier
    transform is orthogonal on them, and one coil without a sensitivity measures
    :math:`y=MFx`, the :math:`F_u` of Lustig, Donoho and Pauly (2007, "Sparse MRI").  So
    :math:`V=F^\top`, s is the mask, and U = I where it is 1.

    Parameters
    ----------
    mask : array (h, w)
        True where the frequency is measured; or real weights of any sign, as of :class:`Diagonal`.
    centred : bool
        By default frequency 0 is the first entry of the mask and of y, and the image's origin its
        first pixel, as for ``torch.fft.fft2(..., norm="ortho")``.  If True, both are in the middle,
        at ``(h // 2, w // 2)``, as in most files of scanners:
        ``fftshift(fft2(ifftshift(x), norm="ortho"))``.
    per_image : bool
        If True, mask is (batch, h, w): each image of a batch has a mask of its own.

    Notes
    -----
    ``in_shape`` and ``out_shape`` are ``(2, h, w)``: y is the k-space with zeros where nothing was
    measured, as such data are stored, and what stands there is ignored; so all masks of a size have
    measurements of one shape.  ``SelectedRows(op, keep)``, with ``keep`` the mask of both channels,
    lists the measured numbers alone.

    A picture without an imaginary part is not known to be one: its prior has to say so.

    Raises
    ------
    ValueError
        If the mask is not real, finite and of two dimensions, or 0 everywhere.

    Examples
    --------
    >>> op = FourierMask([[True, False, True], [True, False, False]])
    >>> op
    FourierMask((2, 2, 3) -> (2, 2, 3), rank 6)
    >>> op(torch.ones(1, 2, 2, 3))[0, 0, 0, 0]  # frequency 0: the sum over the root of 6
    tensor(2.4495)
    """

    def __init__(self, mask: Any, *, centred: bool = False, per_image: bool = False):
        mask = finite_tensor(mask, "mask")
        if mask.ndim != 2 + per_image or 0 in mask.shape:
            shape = "(batch, height, width)" if per_image else "(height, width)"
            raise ValueError(
                f"mask must be of shape {shape}, alike for the real and the imaginary part, "
                f"but had shape {tuple(mask.shape)}. For lines of k-space repeat them: "
                "lines.expand(height, width). One mask for each image takes per_image=True."
            )
        if not mask.any():
            raise ValueError(
                "mask measures no frequency at all (True or a weight = measured, 0 = lost). Is it "
                "inverted? Then pass ~mask."
            )
        super().__init__(mask, channels=2, per_image=per_image)
        self._centred = bool(centred)

    def V(self, x: Tensor) -> Tensor:
        return self._transformed(torch.fft.ifft2, x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._transformed(torch.fft.fft2, x)

    def _transformed(self, transform: Callable[..., Tensor], x: Tensor) -> Tensor:
        """The transform of the complex images whose parts are the channels of ``x``."""
        if not len(x):
            return x.clone()  # the FFT library refuses to transform nothing
        if self._centred:
            x = torch.fft.ifftshift(x, (-2, -1))
        z = transform(torch.complex(*in_single(x).unbind(1)), norm="ortho")
        x = torch.stack([z.real, z.imag], dim=1).to(x)
        del z  # its memory, before another copy of x is made
        return torch.fft.fftshift(x, (-2, -1)) if self._centred else x


class CompressedSensing(SelectedCoordinates):
    r"""Few random coordinates of a mixed image: the pixels are shuffled, transformed, and picked.

    The transform is the normalised one of Walsh and Hadamard (ledger X11), so that all s are 1.  It
    exists for powers of two.  For :math:`n=p\,2^k` with an odd p it is
    :math:`C_p\otimes W_{2^k}`, where :math:`C_p` is the orthonormal cosine transform (DCT-II) of
    length p: colour images have one as well.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width), of which n is the product.
    measurements : int
        From 1 to n.
    generator : torch.Generator, optional
        Draws the order of the pixels, then the coordinates that are kept; by default torch's
        global one.

    Raises
    ------
    ValueError
        If ``measurements`` is out of range, or the odd part p of n is larger than 64, which would
        make the transform slow; the message names a crop that helps.

    Notes
    -----
    Row r of H is row ``kept[r]`` of the transform applied to ``x.flatten()[order]``, with ``order``
    the first ``torch.randperm(n)`` and ``kept`` the first entries of the second, sorted.

    Examples
    --------
    >>> CompressedSensing((3, 32, 32), 512, generator=torch.Generator().manual_seed(0))
    CompressedSensing((3, 32, 32) -> (512,), rank 512)
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        measurements: int,
        *,
        generator: torch.Generator | None = None,
    ):
        self.in_shape = image_shape(in_shape)
        n = math.prod(self.in_shape)
        if not is_integer(measurements) or not 1 <= measurements <= n:
            raise ValueError(
                f"measurements must be an integer from 1 to the number of entries of an image, "
                f"here {n}, but was {measurements!r}. A fraction f of them is int(f * {n})."
            )
        self._factors = _orthogonal_factors(self.in_shape)
        self._order = torch.randperm(n, generator=generator)
        self._place = self._order.argsort()  # the inverse of the order
        self._kept = torch.randperm(n, generator=generator)[:measurements].sort().values
        self.out_shape = (int(measurements),)
        self.s = torch.zeros(n, dtype=torch.float64).index_fill(0, self._kept, 1.0)
        self.s = self.s.reshape(self.in_shape)

    def V(self, x: Tensor) -> Tensor:
        mixed = _apply_factors([F.T for F in self._factors], x.flatten(1))
        return mixed.index_select(1, self._place.to(x.device)).reshape(x.shape)

    def Vt(self, x: Tensor) -> Tensor:
        shuffled = x.flatten(1).index_select(1, self._order.to(x.device))
        return _apply_factors(self._factors, shuffled).reshape(x.shape)


def _eigenvalues(kernel: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Modulus, real and imaginary part of the transform of a kernel on an image of that size.

    To the last bit the same at k and -k, except for the sign of the last: then the rotation of a
    pair is orthogonal.
    """
    eigenvalues = torch.fft.fft2(_wrapped(kernel, height, width))
    real, imaginary = eigenvalues.real, eigenvalues.imag
    real, imaginary = (real + _mirrored(real)) / 2, (imaginary - _mirrored(imaginary)) / 2
    size = torch.hypot(real, imaginary)
    size = torch.maximum(size, _mirrored(size))  # a vectorised hypot rounds the last few otherwise
    if not size.max() > _fft_rounding(size) * kernel.abs().sum():
        raise ValueError(
            "kernel is zero everywhere, or its weights cancel where they meet around the "
            f"image of {height} x {width} pixels, so nothing would be measured. "
            "Give it other weights or a larger image."
        )
    return size, real, imaginary


def _fft_rounding(eigenvalues: Tensor) -> float:
    """Bound on the relative rounding of an FFT of so many numbers."""
    return 8 * EPS * math.sqrt(eigenvalues.numel())


def _wrapped(kernel: Tensor, height: int, width: int) -> Tensor:
    """The blurred image of a point at the origin: the kernel, centred there and wrapped around."""
    response = kernel.new_zeros(height, width)
    rows, columns = (
        (torch.arange(taps, device=kernel.device) - (taps - 1) // 2) % side
        for taps, side in zip(kernel.shape, (height, width), strict=True)
    )
    return response.index_put_((rows[:, None], columns), kernel, accumulate=True)


def _mirrored(a: Tensor) -> Tensor:
    """``a`` at the frequency -k in the place of k, over the last two axes."""
    return a.flip(-2, -1).roll(1, -2).roll(1, -1)  # both at once would need a third copy


def _hartley(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Orthonormal Hartley transform over the last two axes: symmetric, its own inverse.

    ``out`` may be x.
    """
    if not len(x):
        return x.clone()  # the FFT library refuses to transform nothing
    # The frequencies 0 to width // 2 of the last axis; those left out are conjugate to these.
    half = torch.fft.rfft2(in_single(x), norm="ortho")
    real, imaginary, width = half.real, half.imag, x.shape[-1]
    left_out = (real + imaginary)[..., 1 : (width + 1) // 2].flip(-2, -1).roll(1, -2)
    return torch.cat([real - imaginary, left_out], -1, out=out).to(x.dtype)


def _cosines(n: int, taps: int) -> Tensor:
    """cos(pi k a / n) for frequencies k and offsets a of a kernel around its middle."""
    offsets = torch.arange(taps) - taps // 2
    angle = torch.arange(n)[:, None] * offsets % (2 * n)  # whole numbers, before they are rounded
    return torch.cos(math.pi / n * angle.double())


PLANES_AT_ONCE = 2**18  # numbers: what a transform needs beside its result is a few times as much


def _planes(transform: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``transform`` of the last two axes, of few planes at a time."""
    result = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if len(x):
        parts = x.reshape(-1, *x.shape[-2:]).split(max(1, PLANES_AT_ONCE // x[0, 0].numel()))
        planes, done = result.view(-1, *x.shape[-2:]), 0
        for part in parts:  # a slice at a time: into the pieces of a split no gradient goes
            planes[done : done + len(part)] = transform(part)
            done += len(part)
    return result


def _cosine(x: Tensor) -> Tensor:
    """Orthonormal cosine transform (DCT-II) over the last axis, by one real FFT (Makhoul 1980)."""
    n, x = x.shape[-1], in_single(x)
    half = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1))
    half = half * _turns(n, x)
    rest = half[..., 1 : (n + 1) // 2].imag.flip(-1)
    return torch.cat([half.real, -rest], -1)


def _inverse_cosine(x: Tensor) -> Tensor:
    """The inverse of :func:`_cosine`, which is its transpose."""
    n, x = x.shape[-1], in_single(x)
    kept = x[..., : n // 2 + 1]
    rest = torch.cat([torch.zeros_like(x[..., :1]), x[..., (n + 1) // 2 :].flip(-1)], -1)
    half = torch.complex(kept, -rest)
    y = torch.fft.irfft(half / _turns(n, x), n)
    result = torch.empty_like(x)
    result[..., ::2], result[..., 1::2] = y[..., : (n + 1) // 2], y[..., (n + 1) // 2 :].flip(-1)
    return result


def _turns(n: int, like: Tensor) -> Tensor:
    """By what the frequencies 0 to n // 2 of the FFT are turned and scaled."""
    k = torch.arange(n // 2 + 1, device=like.device).double()
    turns = torch.polar(torch.full_like(k, math.sqrt(2 / n)), -math.pi / (2 * n) * k)
    turns[0] /= math.sqrt(2)
    return turns.to(torch.promote_types(like.dtype, torch.complex64))


LARGEST_ODD = 64
"""Longest cosine transform: it costs as many products for each entry of an image."""


def _orthogonal_factors(shape: tuple[int, int, int]) -> list[Tensor]:
    """Small orthogonal matrices whose Kronecker product has as many rows as an image entries."""
    from scipy.fft import dct
    from scipy.linalg import hadamard

    odd, twos = _odd_and_twos(math.prod(shape))
    if odd > LARGEST_ODD:
        crop = _largest_crop(shape)
        advice = f"Crop the image to {crop}" if crop else "Measure fewer channels at a time"
        raise ValueError(
            f"An image of shape {shape} has {math.prod(shape)} = {odd} x 2^{twos} entries, and the "
            f"transform is fast only for an odd part of at most {LARGEST_ODD}, not {odd}. "
            f"{advice}, or pad its sides to powers of two."
        )
    count = math.ceil(twos / 5)  # products with at most 32 x 32 matrices beat butterflies
    powers = [2 ** ((twos + i) // count) for i in range(count)]
    factors = [torch.from_numpy(hadamard(size) / math.sqrt(size)) for size in powers]
    if odd > 1 or not factors:
        factors.insert(0, torch.from_numpy(dct(np.eye(odd), norm="ortho", axis=0)))
    return factors


def _odd_and_twos(n: int) -> tuple[int, int]:
    """p and k of n = p 2^k with an odd p."""
    twos = (n & -n).bit_length() - 1
    return n >> twos, twos


def _largest_crop(shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Largest part of an image, of all its channels, whose transform is fast; None if none is."""
    channels, height, width = shape
    crops = itertools.product([channels], range(1, height + 1), range(1, width + 1))
    fast = (crop for crop in crops if _odd_and_twos(math.prod(crop))[0] <= LARGEST_ODD)
    return max(fast, key=math.prod, default=None)


def _apply_factors(factors: list[Tensor], x: Tensor) -> Tensor:
    """Kronecker product of ``factors`` times each row of ``x (batch, n)``."""
    *outer, inner = factors
    mixed = x.reshape(-1, len(inner)) @ inner.to(x).T
    size = x.shape[1]
    for factor in outer:
        size //= len(factor)  # entries between two neighbours along the axis of this factor
        mixed = factor.to(x) @ mixed.reshape(-1, len(factor), size)
    return mixed.reshape(x.shape)

r"""Classical restorations to compare with: no network, no draws.

Each is ``baseline(op, y, sigma_y) -> x``, images of the shape that H takes, on [-1, 1].
The arithmetic of total variation, non-local means and biharmonic interpolation is scikit-image's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .operators import (
    BicubicSuperResolution,
    CircularBlur,
    Denoising,
    SuperResolution,
    SVDOperator,
)

COLOUR_COVARIANCE = (
    (0.2452, 0.2203, 0.2047),
    (0.2203, 0.2391, 0.2337),
    (0.2047, 0.2337, 0.2761),
)
EXPONENT, CORNER = 2.75, 0.014
"""Spectrum ``(CORNER^2 + |f|^2)^(-EXPONENT / 2)``, f in cycles per pixel: with the covariance of
the colours what fits 5,000 training images of CIFAR-10 (correlation .91, .64 and .20 of grey levels
1, 4 and 16 pixels apart; the images have .92, .64 and .28)."""
FLOOR = 0.005  # standard deviation that stands for sigma_y = 0 where a method divides by it
CONVERGED = 1e-5  # relative residual at which conjugate gradients stop


def pinv(op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
    r"""The pseudo-inverse :math:`H^+y`."""
    return op.pinv(y)


def wiener(op: SVDOperator, y: Tensor, sigma_y: float, *, steps: int = 300) -> Tensor:
    r"""The posterior mean for a Gaussian prior with the power-law spectrum of photographs.

    :math:`CH^\top(HCH^\top+\sigma_y^2I)^{-1}y`, by conjugate gradients, for any H.  C is stationary
    (not periodic), its spectrum and the covariance of the colours are those stated above, its mean
    is mid-grey.  At sigma_y = 0 a noise of 0.005 stands for none.  Large pictures that have lost
    pixels, or were made smaller, need more steps than the default: the residual H x - y tells.

    Parameters
    ----------
    op : SVDOperator
    y : Tensor, shape (batch, *out_shape)
    sigma_y : float
    steps : int
        Most conjugate gradient steps.

    Examples
    --------
    >>> from ddrm_edu import Inpainting
    >>> op = Inpainting(torch.tensor([[True, False, True]]), channels=1)
    >>> print(wiener(op, torch.tensor([[0.5, 0.3]]), 0.0).numpy().round(1))
    [[[[0.5 0.4 0.3]]]]
    """
    y64, op64 = y.double(), op.to(y.double())
    covariance = _power_law(op.in_shape)
    noise = max(sigma_y, FLOOR) ** 2
    shape = (-1, *[1] * len(op.out_shape))

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1).reshape(shape)

    solved = _nearly_solved(op64, noise)
    tiny = torch.finfo(torch.float64).tiny
    w, r = torch.zeros_like(y64), y64.clone()
    z = solved(r)
    p, rz = z.clone(), dot(r, z)
    first = dot(r, r)
    for _ in range(steps):
        if bool((dot(r, r) <= CONVERGED**2 * first).all()):
            break
        Ap = op64(covariance(op64.adjoint(p))) + noise * p
        step = rz / dot(p, Ap).clamp(min=tiny)
        w, r = w + step * p, r - step * Ap
        z = solved(r)
        new = dot(r, z)
        p, rz = z + new / rz.clamp(min=tiny) * p, new
    return covariance(op64.adjoint(w)).to(y)


def _nearly_solved(op: SVDOperator, noise: float) -> Callable[[Tensor], Tensor]:
    """A preconditioner: the textbook's Wiener filter of pictures that wrap, where H is a filter."""
    if not isinstance(op, CircularBlur | Denoising):
        return lambda r: r
    channels, height, width = op.in_shape
    delta = torch.zeros(1, *op.in_shape, dtype=torch.float64)
    delta[..., 0, 0] = 1
    response = torch.fft.rfft2(op(delta)).abs().square()[:, :1]
    f = [torch.fft.fftfreq(height).double(), torch.fft.rfftfreq(width).double()]
    power = (CORNER**2 + f[0][:, None] ** 2 + f[1][None] ** 2) ** (-EXPONENT / 2)
    variances, axes = torch.linalg.eigh(_colours(channels))
    # The mean of the power over all frequencies is the variance of a pixel, which is 1.
    full = [torch.fft.fftfreq(side).double() for side in (height, width)]
    all_of_it = (CORNER**2 + full[0][:, None] ** 2 + full[1][None] ** 2) ** (-EXPONENT / 2)
    gain = 1 / (variances[:, None, None] * response * power / all_of_it.mean() + noise)

    def solved(r: Tensor) -> Tensor:
        own = torch.einsum("dc,bdhw->bchw", axes, r)
        filtered = torch.fft.irfft2(torch.fft.rfft2(own) * gain, (height, width))
        return torch.einsum("cd,bdhw->bchw", axes, filtered)

    return solved


def _colours(channels: int) -> Tensor:
    colours = torch.tensor(COLOUR_COVARIANCE, dtype=torch.float64)
    return colours if channels == 3 else colours.mean() * torch.eye(channels, dtype=torch.float64)


def _power_law(shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """v -> C v for images (batch, *shape): by Fourier transforms of twice the size."""
    channels, height, width = shape
    colours = _colours(channels)
    # The correlation on a grid that is large beside 1 / CORNER, cut to the lags of the picture.
    lags = (2 * height, 2 * width)
    grid = [max(256, 2 * side) for side in lags]
    f = [torch.fft.fftfreq(side, dtype=torch.float64) for side in grid]
    power = (CORNER**2 + f[0][:, None] ** 2 + f[1][None] ** 2) ** (-EXPONENT / 2)
    correlation = torch.fft.ifft2(power).real
    correlation = correlation / correlation[0, 0]
    rows, columns = (
        torch.cat([torch.arange(side // 2), torch.arange(-(side // 2), 0)]) for side in lags
    )
    spectrum = torch.fft.rfft2(correlation[rows][:, columns])

    def covariance(v: Tensor) -> Tensor:
        coloured = torch.einsum("cd,bdhw->bchw", colours, v)
        filtered = torch.fft.irfft2(torch.fft.rfft2(coloured, lags) * spectrum, lags)
        return filtered[..., :height, :width]

    return covariance


def tv(
    op: SVDOperator, y: Tensor, sigma_y: float, *, weight: float = 0.25, steps: int = 60
) -> Tensor:
    r"""Total variation: :math:`\arg\min_x\frac12\|y-Hx\|^2+\lambda\,TV(x)`, for any H.

    :math:`\lambda` is ``weight * sigma_y``; at sigma_y = 0 a noise of 0.005 stands for none.  By
    FISTA (Beck and Teboulle 2009) from the pseudo-inverse; its inner step is scikit-image's
    ``denoise_tv_chambolle``.  For H = I that is the answer.
    """
    from skimage.restoration import denoise_tv_chambolle

    curvature = float(op.spectrum().max()) ** 2 or 1.0
    strength = weight * max(sigma_y, FLOOR) / curvature

    def smoothed(x: Tensor) -> Tensor:
        return _each(x, lambda image: denoise_tv_chambolle(image, strength, channel_axis=0))

    if isinstance(op, Denoising):
        return smoothed(y)
    x = ahead = _filled(op, y)
    inertia = 1.0
    for _ in range(steps):
        new = smoothed(ahead - op.adjoint(op(ahead) - y) / curvature)
        following = (1 + math.sqrt(1 + 4 * inertia**2)) / 2
        ahead = new + (inertia - 1) / following * (new - x)
        x, inertia = new, following
    return x


def nlm(op: SVDOperator, y: Tensor, sigma_y: float, *, h: float = 0.8) -> Tensor:
    """Non-local means of a noisy picture; ``h`` in sigma_y, as scikit-image recommends."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 3, "patch_distance": 7, "h": h * sigma_y, "sigma": sigma_y}
    return _each(y, lambda image: denoise_nl_means(image, channel_axis=0, **options))


def biharmonic(op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
    """Biharmonic interpolation of lost pixels, the same ones in each channel."""
    from skimage.restoration import inpaint_biharmonic

    lost = (op.spectrum()[0] == 0).cpu().numpy()
    return _each(op.pinv(y), lambda image: inpaint_biharmonic(image, lost, channel_axis=0))


def bicubic(op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
    """Bicubic enlargement of a small picture."""
    from skimage.transform import resize

    options: dict[str, Any] = {"order": 3, "mode": "edge", "anti_aliasing": False}
    return _each(y, lambda image: resize(image, op.in_shape, **options))


class Baseline(NamedTuple):
    """A classical method, and which operators it knows something of."""

    run: Callable[..., Tensor]
    applies: Callable[[SVDOperator], bool]


def _always(op: SVDOperator) -> bool:
    return True


def _is_noise(op: SVDOperator) -> bool:
    return isinstance(op, Denoising)


def _loses_pixels(op: SVDOperator) -> bool:
    known = op.spectrum() > 0
    return op.pixel_basis and not bool(known.all()) and bool((known == known[:1]).all())


def _is_smaller(op: SVDOperator) -> bool:
    return isinstance(op, SuperResolution | BicubicSuperResolution)


BASELINES: dict[str, Baseline] = {
    "pinv": Baseline(pinv, _always),
    "wiener": Baseline(wiener, _always),
    "tv": Baseline(tv, _always),
    "nlm": Baseline(nlm, _is_noise),
    "biharmonic": Baseline(biharmonic, _loses_pixels),
    "bicubic": Baseline(bicubic, _is_smaller),
}
"""What ``ddrm-edu evaluate`` compares the methods with."""


def _filled(op: SVDOperator, y: Tensor) -> Tensor:
    """A first guess for an iteration: interpolated where that is known, else H^T y, scaled."""
    for name in ("bicubic", "biharmonic"):
        if BASELINES[name].applies(op):
            return BASELINES[name].run(op, y, 0.0)
    return op.adjoint(y) / max(float(op.spectrum().max()) ** 2, 1e-12)


def _each(images: Tensor, method: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """``method`` of every image as a numpy array (c, h, w), in float64."""
    results = np.stack([method(image) for image in images.detach().cpu().double().numpy()])
    # Some methods of scikit-image drop a single channel, others keep it.
    results = results if results.ndim == 4 else results[:, None]
    return torch.from_numpy(np.ascontiguousarray(results)).to(images)

"""How close restored images, one or several draws, are to the truth.

The arithmetic of SSIM is scikit-image's.  The scores of draws are *proper* (Gneiting and Raftery
2007): no other law has a better expected value than that of the truth itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .boundary import checked
from .validation import LARGEST, require_finite, require_floating, require_positive

AT_ONCE = 2**19  # numbers that are in float64 at a time: a photograph may have fifty times as many
WINDOW = 11  # pixels, of SSIM


@checked
def psnr(x: Tensor, truth: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, one number per image.

    Parameters
    ----------
    x, truth : Tensor, shape (batch, c, h, w) or (c, h, w)
    data_range : float
        Distance between the darkest and the brightest value; 2 for images in [-1, 1].

    Returns
    -------
    Tensor of float64, shape (batch,) or ()
        Infinite for equal images.

    Examples
    --------
    >>> psnr(torch.full((1, 1, 8, 8), 0.2), torch.zeros(1, 1, 8, 8))  # 20 log10(2 / 0.2)
    tensor([20.0000], dtype=torch.float64)
    """
    x, truth = _pair(x, truth)
    data_range = require_positive(data_range, "data_range")
    error = torch.zeros(x.shape[:-3], dtype=torch.float64)
    pieces = (image.flatten(-3).split(AT_ONCE, -1) for image in (x, truth))
    for a, b in zip(*pieces, strict=True):
        error += (a.double() - b.double()).square().sum(-1)
    return 10 * torch.log10(data_range**2 / (error / math.prod(x.shape[-3:])))


@checked
def ssim(x: Tensor, truth: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Structural similarity (Wang et al. 2004, Gaussian window of 11 pixels), one number per image.

    Parameters and return value as in :func:`psnr`; 1 for equal images.

    Raises
    ------
    ValueError
        If an image is smaller than the window.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    >>> ssim(x, x)
    tensor([1.], dtype=torch.float64)
    """
    from skimage.metrics import structural_similarity

    x, truth = _pair(x, truth)
    data_range = require_positive(data_range, "data_range")
    channels, height, width = x.shape[-3:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f"ssim compares windows of 11 x 11 pixels, but the image is {(height, width)}. "
            "Use psnr for images this small."
        )
    # The mean over windows is taken by bands of their rows, which share the rows that both see.
    rows = max(1, AT_ONCE // (channels * width))
    windows = height - WINDOW + 1
    pairs = list(zip(*(a.reshape(-1, *x.shape[-3:]) for a in (truth, x)), strict=True))
    values = torch.zeros(len(pairs), dtype=torch.float64)
    for i, pair in enumerate(pairs):
        for top in range(0, windows, rows):
            count = min(rows, windows - top)
            band = (image[:, top : top + count + WINDOW - 1].double().numpy() for image in pair)
            values[i] += count * structural_similarity(
                *band,
                data_range=data_range,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
    return (values / windows).reshape(x.shape[:-3])


def sharpness(x: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, over that of the truth; 1 is as sharp.

    Noise and ringing raise it as well as detail.  Shapes as in :func:`psnr`.
    """

    def variation(image: Tensor) -> Tensor:
        down, along = image.diff(dim=-2).abs(), image.diff(dim=-1).abs()
        return down.sum((-3, -2, -1)) + along.sum((-3, -2, -1))

    x, truth = (image.double() for image in _pair(x, truth))
    return variation(x) / variation(truth)


def energy_score(draws: Tensor, truth: Tensor) -> Tensor:
    r"""Energy score :math:`E\lVert X-x_0\rVert-\frac12E\lVert X-X'\rVert` over :math:`\sqrt n`.

    The smaller the better, and proper.  Both means are estimated without bias (of K draws the
    second one is over K (K - 1) pairs); one draw counts as a law without any spread, of which this
    is the root mean square error.

    Parameters
    ----------
    draws : Tensor, shape (K, batch, c, h, w)
    truth : Tensor, shape (batch, c, h, w)

    Returns
    -------
    Tensor of float64, shape (batch,)

    Examples
    --------
    >>> truth = torch.zeros(1, 1, 1, 2)
    >>> draws = torch.tensor([1.0, -1.0])[:, None, None, None, None].expand(2, 1, 1, 1, 2)
    >>> print(energy_score(draws, truth))  # |X - x_0| = sqrt 2, |X - X'| = 2 sqrt 2
    tensor([0.], dtype=torch.float64)
    """
    draws, truth = _draws(draws, truth)
    return _kernel_score(draws, truth, lambda x: x.square().mean((-3, -2, -1)).sqrt())


def crps(draws: Tensor, truth: Tensor) -> Tensor:
    r"""Continuous ranked probability score of each pixel, averaged over the image.

    :math:`E|X-x_0|-\frac12E|X-X'|`: the energy score of single pixels, which sees the spread of
    each and not how they depend on each other.  Arguments and return value as :func:`energy_score`.
    """
    draws, truth = _draws(draws, truth)
    return _kernel_score(draws, truth, lambda x: x.abs().mean((-3, -2, -1)))


def coverage(draws: Tensor, truth: Tensor, where: Tensor | None = None) -> Tensor:
    """Share of pixels whose truth lies between the smallest and the largest of K draws.

    For draws of the truth's own law it is (K - 1) / (K + 1) on average.  Pixels must not be chosen
    by the truth: that alone would change the expected value.

    Parameters
    ----------
    draws, truth
        As :func:`energy_score`, K at least 2.
    where : Tensor of bool, shape (c, h, w), optional
        The pixels that count, such as those that were not measured exactly.

    Returns
    -------
    Tensor of float64, shape (batch,)
        NaN where no pixel counts.
    """
    draws, truth = _draws(draws, truth)
    if len(draws) < 2:
        raise ValueError("coverage needs at least 2 draws of each image, but was given 1.")
    inside = (draws.amin(0) <= truth) & (truth <= draws.amax(0))
    keep = torch.ones(truth.shape[1:], dtype=torch.bool) if where is None else where.cpu()
    return inside[:, keep].double().mean(1)


def _kernel_score(draws: Tensor, truth: Tensor, distance: Callable[[Tensor], Tensor]) -> Tensor:
    K = len(draws)
    apart = torch.stack([distance(x - truth) for x in draws]).mean(0)
    if K == 1:
        return apart
    pairs = [distance(draws[i] - draws[j]) for i in range(K) for j in range(i)]
    return apart - 0.5 * torch.stack(pairs).mean(0)


def _draws(draws: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    require_floating(draws, "draws")
    require_floating(truth, "truth")
    if truth.ndim != 4 or not len(draws) or draws.shape[1:] != truth.shape:
        raise ValueError(
            "Draws must have the shape (K, batch, c, h, w) with K at least 1, and the truth "
            f"(batch, c, h, w), but they had {tuple(draws.shape)} and {tuple(truth.shape)}. Of one "
            "draw pass x[None]."
        )
    draws, truth = draws.detach().cpu().double(), truth.detach().cpu().double()
    for what, images in (("draws", draws), ("truth", truth)):
        require_finite(images, what)
        if images.numel() and images.abs().max() > LARGEST:
            raise ValueError(f"{what} must be at most {LARGEST:g}, so that squares are numbers.")
    return draws, truth


def _pair(x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the CPU, after checking that they can be compared."""
    require_floating(x, "x")
    require_floating(truth, "truth")
    if x.shape != truth.shape or x.ndim not in (3, 4):
        raise ValueError(
            "The two images must have one shape, (batch, c, h, w) or (c, h, w), "
            f"but had {tuple(x.shape)} and {tuple(truth.shape)}."
        )
    x, truth = x.detach().cpu(), truth.detach().cpu()
    for what, images in (("x", x), ("truth", truth)):
        low, high = images.aminmax() if images.numel() else (0.0, 0.0)
        if not (low >= -LARGEST and high <= LARGEST):
            require_finite(images.double(), what)
    return x, truth

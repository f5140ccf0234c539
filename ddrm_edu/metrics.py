"""How close a restored image is to the truth; the arithmetic of SSIM is scikit-image's."""

from __future__ import annotations

import torch
from torch import Tensor

from .boundary import checked
from .validation import require_finite, require_floating, require_positive


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
    """
    x, truth = _pair(x, truth)
    data_range = require_positive(data_range, "data_range")
    return 10 * torch.log10(data_range**2 / (x - truth).square().mean((-3, -2, -1)))


@checked
def ssim(x: Tensor, truth: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Structural similarity (Wang et al. 2004, Gaussian window of 11 pixels), one number per image.

    Parameters and return value as in :func:`psnr`; 1 for equal images.

    Raises
    ------
    ValueError
        If an image is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    x, truth = _pair(x, truth)
    data_range = require_positive(data_range, "data_range")
    if min(x.shape[-2:]) < 11:
        raise ValueError(
            f"ssim compares windows of 11 x 11 pixels, but the image is {tuple(x.shape[-2:])}. "
            "Use psnr for images this small."
        )
    images = (batch.reshape(-1, *x.shape[-3:]).numpy() for batch in (truth, x))
    values = [
        structural_similarity(
            *pair,
            data_range=data_range,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in zip(*images, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64).reshape(x.shape[:-3])


def _pair(x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64 on the CPU, after checking that they can be compared."""
    require_floating(x, "x")
    require_floating(truth, "truth")
    if x.shape != truth.shape or x.ndim not in (3, 4):
        raise ValueError(
            "The two images must have one shape, (batch, c, h, w) or (c, h, w), "
            f"but had {tuple(x.shape)} and {tuple(truth.shape)}."
        )
    x, truth = x.detach().cpu().double(), truth.detach().cpu().double()
    require_finite(x, "x")
    require_finite(truth, "truth")
    return x, truth

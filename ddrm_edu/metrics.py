"""How close a restored image is to the truth; the arithmetic is scikit-image's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .validation import require_floating

__all__ = ["psnr", "ssim"]


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
    from skimage.metrics import peak_signal_noise_ratio

    def one(image: np.ndarray, reference: np.ndarray) -> float:
        if (image == reference).all():
            return float("inf")
        return peak_signal_noise_ratio(reference, image, data_range=data_range)

    return _per_image(one, x, truth)


def ssim(x: Tensor, truth: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Structural similarity (Wang et al. 2004, Gaussian window of 11 pixels), one number per image.

    Parameters and return value as in :func:`psnr`; 1 for equal images.

    Raises
    ------
    ValueError
        If an image is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    _require_pair(x, truth)
    if min(x.shape[-2:]) < 11:
        raise ValueError(
            f"ssim compares windows of 11 x 11 pixels, but the image is {tuple(x.shape[-2:])}. "
            "Use psnr for images this small."
        )

    def one(image: np.ndarray, reference: np.ndarray) -> float:
        return structural_similarity(
            reference,
            image,
            data_range=data_range,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )

    return _per_image(one, x, truth)


def _per_image(
    measure: Callable[[np.ndarray, np.ndarray], float], x: Tensor, truth: Tensor
) -> Tensor:
    _require_pair(x, truth)
    images, references = (i.detach().cpu().double().numpy() for i in (x, truth))
    if x.ndim == 3:
        return torch.tensor(measure(images, references), dtype=torch.float64)
    values = [measure(*pair) for pair in zip(images, references, strict=True)]
    return torch.tensor(values, dtype=torch.float64)


def _require_pair(x: Tensor, truth: Tensor) -> None:
    require_floating(x, "x")
    require_floating(truth, "truth")
    if x.shape != truth.shape or x.ndim not in (3, 4):
        raise ValueError(
            "The two images must have one shape, (batch, c, h, w) or (c, h, w), "
            f"but had {tuple(x.shape)} and {tuple(truth.shape)}."
        )

"""What is measured of restored images beside the truth, in numbers for each image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..metrics import coverage, crps, energy_score, psnr, sharpness, ssim
from ..operators import SVDOperator


def scores(
    draws: Tensor, truth: Tensor, op: SVDOperator, y: Tensor, sigma_y: float, lpips: bool = False
) -> dict[str, list[float]]:
    """Everything that is measured of draws (K, batch, c, h, w), a list with a number per image.

    PSNR, SSIM and sharpness are of single draws, clipped as a screen shows them, averaged over the
    draws; ``ssim`` is that of pictures on [0, 1], ``ssim_symmetric`` of the same on [-1, 1].
    The scores of draws are of what the method returned, not clipped.
    """
    draws, truth, y = draws.double(), truth.double(), y.double()
    shown, single = draws.clamp(-1, 1), op.to(y)
    large = min(truth.shape[-2:]) >= 11

    def similarity(x: Tensor) -> Tensor:
        if not large:
            return torch.full((len(truth),), math.nan, dtype=torch.float64)
        return ssim((x + 1) / 2, (truth + 1) / 2, data_range=1.0)

    def over(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        return torch.stack([score(x) for x in images]).mean(0)

    found = {
        "psnr": over(lambda x: psnr(x, truth), shown),
        "ssim": over(similarity, shown),
        "sharpness": over(lambda x: sharpness(x, truth), shown),
        "residual": over(lambda x: (single(x) - y).flatten(1).square().mean(1).sqrt(), draws),
        "energy": energy_score(draws, truth),
        "crps": crps(draws, truth),
    }
    if large:
        found["ssim_symmetric"] = over(lambda x: ssim(x, truth), shown)
    if lpips:
        found["lpips"] = over(lambda x: perceptual(x, truth), shown)
    if len(draws) > 1:
        mean = draws.mean(0).clamp(-1, 1)
        exact = op.pixel_basis and sigma_y == 0
        where = op.spectrum() == 0 if exact else None
        found |= {
            "mean_psnr": psnr(mean, truth),
            "mean_ssim": similarity(mean),
            "coverage": coverage(draws, truth, where),
            "spread": draws.std(0).flatten(1).square().mean(1).sqrt(),
        }
    return {name: values.tolist() for name, values in found.items()}


def perceptual(x: Tensor, truth: Tensor) -> Tensor:
    """LPIPS by torchmetrics, whose weights are its own affair; ``ValueError`` without them."""
    try:
        from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

        values = [
            learned_perceptual_image_patch_similarity(a[None].float(), b[None].float())
            for a, b in zip(x, truth, strict=True)
        ]
    except (ImportError, OSError) as error:
        raise ValueError(
            "--lpips needs torchmetrics with torchvision and their weights, which are not part of "
            f"this package (pip install torchmetrics torchvision), but: {error}. Leave it out."
        ) from error
    return torch.stack(values).double()

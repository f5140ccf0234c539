"""The small convolutional network behind the pretrained denoisers (slides 6 and 19).

A U-Net in about a hundred lines: the image is folded 2 x 2 into channels, so that the
first convolution already works at half the resolution (this is what makes the network
fast on a CPU); three levels of residual blocks go down and up again; the noise level
enters every block as a scale and a shift.  There is no attention and no fixed size, so
the network also runs on images larger than those it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FOLD = 2  #: side of the square of pixels that is folded into channels
GROUPS = 8  #: groups of every group normalisation
LAYOUT: dict[str, Any] = {"memory_format": torch.channels_last}  #: fastest for convolutions


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with all weights 0: a block that starts as the identity trains at once."""
    for weights in layer.parameters():
        nn.init.zeros_(weights)
    return layer


class NoiseLevelEmbedding(nn.Module):
    """Sines and cosines of log sigma, mixed by two layers: ``(batch,) -> (batch, width)``."""

    omega: Tensor

    def __init__(self, width: int, frequencies: int = 32) -> None:
        super().__init__()
        # Periods from 2 pi * 8 (the whole useful range of log sigma) down to a small part of it.
        self.register_buffer("omega", torch.logspace(-3, 3, frequencies, base=2.0))
        self.mix = nn.Sequential(
            nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, sigma: Tensor) -> Tensor:
        angle = sigma.log()[:, None] * self.omega
        waves = torch.cat([angle.cos(), angle.sin()], dim=1)
        return self.mix(waves.to(self.omega.dtype))  # after .half(), sigma is more precise


class ResidualBlock(nn.Module):
    """Two convolutions, modulated by the noise level between them, added to the input."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * width)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv2 = _zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        return x + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class UNet(nn.Module):
    """Predicts ``v`` from a variance-preserving image and its noise level.

    Parameters
    ----------
    channels : int
        Channels of the image.
    widths : sequence of int
        Channels of each level, finest first; each level halves the resolution.
    blocks : int
        Residual blocks per level, on the way down and again on the way up.
    """

    def __init__(
        self, channels: int, widths: Sequence[int] = (64, 96, 128), blocks: int = 2
    ) -> None:
        super().__init__()
        self.in_channels = channels
        self.config = {"channels": channels, "widths": list(widths), "blocks": blocks}
        self.granularity = FOLD * 2 ** (len(widths) - 1)  # height and width are multiples of it
        embedding = 4 * widths[0]
        folded = channels * FOLD**2

        def level(width: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(width, embedding) for _ in range(blocks))

        steps = list(pairwise(widths))
        self.embed = NoiseLevelEmbedding(embedding)
        self.enter = nn.Conv2d(folded, widths[0], 3, padding=1)
        self.down = nn.ModuleList(level(width) for width in widths)
        self.coarsen = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.refine = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in steps)
        self.up = nn.ModuleList(level(width) for width in widths)
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, widths[0]),
            nn.SiLU(),
            _zeroed(nn.Conv2d(widths[0], folded, 3, padding=1)),
        )

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``v`` from ``x``, both ``(batch, channels, h, w)``, at the levels ``sigma (batch,)``."""
        embedding = self.embed(sigma)
        h = self.enter(F.pixel_unshuffle(x, FOLD))
        skips = []
        down, up = (cast(list[nn.ModuleList], part) for part in (self.down, self.up))
        for depth, blocks in enumerate(down):
            if depth:
                skips.append(h)
                h = self.coarsen[depth - 1](h)
            for block in blocks:
                h = block(h, embedding)
        for depth in reversed(range(len(up))):
            for block in up[depth]:
                h = block(h, embedding)
            if depth:
                # Skips are added, not concatenated: half the arithmetic for the same depth.
                h = F.interpolate(self.refine[depth - 1](h), scale_factor=2) + skips.pop()
        return F.pixel_shuffle(self.leave(h), FOLD)

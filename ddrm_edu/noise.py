"""Standard normal noise, one source for every sampler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Generators", "standard_normal"]

Generators = torch.Generator | Sequence[torch.Generator] | None
"""One generator for the whole batch, one per image, or None for torch's global one."""


def standard_normal(like: Tensor, generator: Generators = None) -> Tensor:
    """Noise z ~ N(0, I) of the shape, dtype and device of ``like``.

    With one generator per image, the noise of an image does not depend on its batch, bit for bit.
    The numbers are drawn in float32 on the generator's own device and then converted, so that runs
    in another precision or on another device see the same noise.  Processors of another kind draw
    the same noise up to its last digits: AVX2 and AVX-512 agree, plain code is up to 2.3e-6 off.

    Raises
    ------
    ValueError
        If the number of generators is not the batch size.
    """
    if generator is None or isinstance(generator, torch.Generator):
        device = like.device if generator is None else generator.device
        z = torch.randn(like.shape, generator=generator, dtype=torch.float32, device=device)
        return z.to(like)
    if len(generator) != len(like):
        raise ValueError(
            f"generator must be one torch.Generator or one per image, here {len(like)}, "
            f"but {len(generator)} were given."
        )
    return torch.stack([standard_normal(x, g) for x, g in zip(like, generator, strict=True)])

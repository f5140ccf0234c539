"""Standard normal noise, one source for every sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .boundary import require_generators
from .validation import FLOATS

Generators = torch.Generator | Sequence[torch.Generator] | None
"""One generator for the whole batch, one per image, or None for torch's global one."""


def standard_normal(like: Any, generator: Any = None) -> Tensor:
    """Noise z ~ N(0, I) of the shape, dtype and device of ``like``.

    With one generator per image, the noise of an image does not depend on its batch, bit for bit.
    The numbers are those of ``torch.randn`` in the dtype of ``like``, at least float32, on the
    generator's own device, so that runs on another device see the same noise; in float64 it is
    another noise than in float32.  Processors of another kind draw the same noise up to its last
    digits (in float32 plain code differs from AVX2 and AVX-512 by 2e-6).

    Raises
    ------
    ValueError
        If ``like`` is no tensor of floating-point numbers, if ``generator`` is none and no list of
        them, or if their number is not the batch size.
    """
    if not isinstance(like, Tensor):  # one without numbers will do: they are not looked at
        raise ValueError(
            f"like must be a tensor of the shape that is due, but was of type "
            f"{type(like).__name__}. torch.empty(shape) is one."
        )
    if like.dtype not in FLOATS:
        raise ValueError(
            f"like must be of a dtype that holds normal numbers, but was {like.dtype}. Pass "
            "like.float()."
        )
    if generator is None or isinstance(generator, torch.Generator):
        device = like.device if generator is None else generator.device
        dtype = torch.promote_types(like.dtype, torch.float32)
        z = torch.randn(like.shape, generator=generator, dtype=dtype, device=device)
        return z.to(like)
    generator = require_generators(generator, "generator")
    images = len(like) if like.ndim else 0
    if len(generator) != images or not like.ndim:
        raise ValueError(
            f"generator must be one torch.Generator or one per image, here {images}, "
            f"but {len(generator)} were given."
        )
    return torch.stack([standard_normal(x, g) for x, g in zip(like, generator, strict=True)])

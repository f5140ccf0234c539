"""What DDPM, DDIM and DDRM share: coefficients -> step -> loop (Algorithms 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .noise import Generators, standard_normal

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""``denoiser(x, sigma) -> x0_hat``; x of shape ``(batch, *image_shape)``, sigma 0-dimensional."""


class StepCoefficients(NamedTuple):
    """Float64 numbers per coordinate: ``x0 + xt + y == 1``, ``noise`` is a standard deviation."""

    x0: Tensor
    xt: Tensor
    y: Tensor
    noise: Tensor


class Step(NamedTuple):
    """State after one step.

    ``t`` counts down to 0 along the run's own levels, ``sigma`` is the level of ``x`` (a
    0-dimensional float64 tensor on the CPU), and ``x0_hat`` is the clean image predicted from the
    level above, t + 1, as on slides 6 and 17.  Both images are the run's own: clone them before
    you change them in place.
    """

    t: int
    sigma: Tensor
    x: Tensor
    x0_hat: Tensor


def same(x: Tensor) -> Tensor:
    return x


def combine(
    c: StepCoefficients,
    x0_hat: Tensor,
    x: Tensor,
    y_spec: Tensor,
    z: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """``c.x0 * x0_hat + c.xt * x + c.y * y_spec + c.noise * z``, in the dtype of ``x``.

    ``out`` may be ``z``, which is then overwritten.
    """
    total = torch.mul(c.noise.to(x), z, out=out)
    for weight, part in ((c.x0, x0_hat), (c.xt, x), (c.y, y_spec)):
        if weight.ndim or weight:  # one number for all coordinates may be 0
            total = torch.addcmul(total, weight.to(x), part, out=out)
    return total


def diffusion_steps(
    denoiser: Denoiser,
    x_spec: Tensor,
    levels: Tensor,
    table: Iterable[StepCoefficients],
    *,
    y_spec: Tensor | float = 0.0,
    to_pixels: Callable[[Tensor], Tensor] = same,
    to_spec: Callable[[Tensor], Tensor] = same,
    generator: Generators = None,
) -> Iterator[Step]:
    """The loop over ``levels``, from noise to image; one network evaluation per step.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``, on images.
    x_spec : Tensor, shape (batch, *image_shape)
        The start, at level ``levels[0]``, in the coordinates in which steps are taken.
    levels : Tensor, shape (N + 1,)
        Decreasing, ending in 0.
    table : iterable of StepCoefficients
        One for each step.
    y_spec : Tensor
        Measurement in the same coordinates as ``x_spec``.
    to_pixels, to_spec : callable
        The orthogonal change of coordinates and its inverse; by default there is none.
    """
    x, y_spec = to_pixels(x_spec), torch.as_tensor(y_spec).to(x_spec)
    for t, c in zip(reversed(range(len(levels) - 1)), table, strict=True):
        sigma, sigma_next = levels[-2 - t].clone(), levels[-1 - t].clone()
        with torch.no_grad():
            # Copies on both sides: a denoiser may work in place, and keep what it takes or gives.
            x0_hat = denoiser(x.clone(), sigma)
            if x0_hat.shape != x.shape:
                raise ValueError(
                    "The denoiser must return an image of the shape it was given, "
                    f"{tuple(x.shape)}, but returned {tuple(x0_hat.shape)}. Does the network have "
                    "another number of channels, or predict a variance as well?"
                )
            x0_hat = x0_hat.to(x.dtype, copy=True)  # the run's own dtype, whatever the network's
            h = to_spec(x0_hat)
            noisy = c.noise.ndim or c.noise  # the last step is not
            z = standard_normal(x_spec, generator) if noisy else torch.zeros_like(x_spec)
            x_spec = combine(c, h, x_spec, y_spec, z, out=z)
            del h, z  # their memory is soon asked for again
            x = to_pixels(x_spec)
        yield Step(t, sigma_next, x, x0_hat)
        del x0_hat

"""What DDPM, DDIM and DDRM share: coefficients -> step -> loop (Algorithms 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from .noise import Generators, standard_normal

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""``denoiser(x, sigma) -> x0_hat``; x of shape ``(batch, *image_shape)``, sigma 0-dimensional."""


class StepCoefficients(NamedTuple):
    """Numbers per coordinate: ``x0 + xt + y == 1``, and ``noise`` is a standard deviation.

    In a run they have its dtype, and a weight that is 0 in all coordinates may be a single 0.
    """

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
    total = torch.mul(c.noise.to(x, non_blocking=True), z, out=out)
    for weight, part in ((c.x0, x0_hat), (c.xt, x), (c.y, y_spec)):
        if _counts(weight):
            total = torch.addcmul(total, weight.to(x, non_blocking=True), part, out=out)
    return total


def _counts(weight: Tensor) -> bool:
    """False for the single 0 of a weight that is 0 in all coordinates."""
    return weight.ndim > 0 or bool(weight)


def predict(denoiser: Denoiser, x: Tensor, sigma: Tensor) -> Tensor:
    """The denoiser's x0_hat, of the shape and dtype of ``x``, whatever the network's dtype."""
    # Copies on both sides: a denoiser may work in place, and keep what it takes or gives.
    x0_hat = denoiser(x.clone(), sigma.clone())
    if x0_hat.shape != x.shape:
        raise ValueError(
            "The denoiser must return an image of the shape it was given, "
            f"{tuple(x.shape)}, but returned {tuple(x0_hat.shape)}. Does the network have "
            "another number of channels, or predict a variance as well?"
        )
    return x0_hat.to(x.dtype, copy=True)


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
) -> Generator[Step, Tensor | None, None]:
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

    Notes
    -----
    ``run.send(x)`` in the place of ``next(run)`` goes on from another state, images of the shape
    of ``step.x`` at its level; the loop keeps nothing else from step to step.
    """
    x, y_spec = to_pixels(x_spec), torch.as_tensor(y_spec).to(x_spec, non_blocking=True)
    steps = zip(reversed(range(len(levels) - 1)), levels[:-1], levels[1:], table, strict=True)
    for t, sigma, sigma_next, c in steps:
        with torch.no_grad():
            x0_hat = predict(denoiser, x, sigma)
            x0_hat_spec = to_spec(x0_hat)
            noisy = _counts(c.noise)  # the last step often is not
            z = standard_normal(x_spec, generator) if noisy else torch.zeros_like(x_spec)
            x_spec = combine(c, x0_hat_spec, x_spec, y_spec, z, out=z)
            del x0_hat_spec, z  # their memory is soon asked for again
            x = to_pixels(x_spec)
        sent = yield Step(t, sigma_next.clone(), x, x0_hat)
        del x0_hat
        if sent is not None:
            x = sent.to(x, copy=True)
            x_spec = to_spec(x)
            del sent

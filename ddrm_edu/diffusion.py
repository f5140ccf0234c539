"""What DDPM, DDIM and DDRM share: coefficients -> step -> loop (Algorithms 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .noise import Generators, standard_normal
from .validation import FLOATS, largest_of

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


class WrongImage(ValueError):
    """What is raised where a denoiser, or a score, returns what is no image."""


def predict(denoiser: Denoiser, x: Tensor, sigma: Tensor) -> Tensor:
    """The denoiser's x0_hat, of the shape and dtype of ``x``, whatever the network's dtype."""
    # Copies on both sides: a denoiser may work in place, and keep what it takes or gives.
    x0_hat = denoiser(x.clone(), sigma.clone())
    require_image(x0_hat, x)
    x0_hat = x0_hat.to(x.dtype, copy=True)
    if x.device.type == "cpu":  # elsewhere that would wait for the device: see EndOfRun
        require_finite_image(x0_hat, x, sigma)
    return x0_hat


def require_image(x0_hat: Any, x: Tensor, what: str = "The denoiser") -> None:
    """Raise ``WrongImage`` unless ``x0_hat`` is a tensor of real numbers of the shape of x."""
    if not isinstance(x0_hat, Tensor):
        raise WrongImage(
            f"{what} must return a torch tensor, but returned a {type(x0_hat).__name__}. Pick the "
            "tensor out of it: lambda x, sigma: torch.as_tensor(net(x, sigma)[0]), for example."
        )
    if x0_hat.shape != x.shape:
        raise WrongImage(
            f"{what} must return an image of the shape it was given, "
            f"{tuple(x.shape)}, but returned {tuple(x0_hat.shape)}. Does the network have "
            "another number of channels, or predict a variance as well?"
        )
    empty = x0_hat.device.type == "meta" != x.device.type
    wrong = empty or x0_hat.layout is not torch.strided
    if x0_hat.dtype not in FLOATS or wrong:
        raise WrongImage(
            f"{what} must return a dense tensor of real floating-point numbers, but returned "
            f"{x0_hat.dtype} ({x0_hat.layout}, on {x0_hat.device}). Images live on the scale "
            "[-1, 1]: to round, or to drop an imaginary part, would lose them."
        )


def require_finite_image(
    x0_hat: Tensor, x: Tensor, sigma: Tensor | float, what: str = "The denoiser"
) -> None:
    """Raise ``WrongImage`` where ``x0_hat`` is not finite; one pass over it if it is."""
    most = largest_of(x0_hat.dtype)
    if not x0_hat.numel():
        return
    low, high = (extreme.item() for extreme in x0_hat.detach().aminmax())
    if -most <= low and high <= most:
        return
    wrong = ~(x0_hat.detach().abs() <= most).flatten(1)
    image = int(wrong.any(1).int().argmax())
    given = "" if bool(torch.isfinite(x).all()) else " It was given such numbers itself."
    raise WrongImage(
        f"{what} must return finite numbers (of at most {most:g} in size), but for image "
        f"{image} of the batch (of {len(x)}, counted from 0), at the level sigma = "
        f"{float(sigma):.6g}, {int(wrong[image].sum())} of {wrong.shape[1]} were NaN, infinite or "
        f"larger.{given} Half precision overflows at large levels; else look at the network."
    )


class at_step:  # a context by itself, not a generator, which would cost a step ten times that
    """Adds to what is said of a wrong image in which step it was; t counts down to 0."""

    def __init__(self, t: int, steps: int) -> None:
        self._t, self._steps = t, steps

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, WrongImage):
            told = f"{error} That was step {self._steps - self._t} of {self._steps}."
            raise WrongImage(told) from None


class EndOfRun:
    """Remembers on the device, image by image, what was not finite; asked once, at the end.

    A GPU works behind the program that feeds it.  To look at each x0_hat would let it run dry.
    """

    def __init__(self, levels: Tensor) -> None:
        self._levels = levels
        self._fine: list[Tensor] = []

    def note(self, x0_hat: Tensor) -> None:
        if x0_hat.device.type != "cpu" and x0_hat.numel():
            low, high = x0_hat.flatten(1).aminmax(dim=1)
            most = largest_of(x0_hat.dtype)
            self._fine.append((low >= -most) & (high <= most))

    def ask(self) -> None:
        """Raise ``WrongImage`` for the first step in which an image was not finite."""
        if not self._fine:
            return
        fine = torch.stack(self._fine)
        if fine.device.type == "meta" or fine.all():
            return
        step = int(fine.all(1).int().argmin())
        image = int(fine[step].int().argmin())
        raise WrongImage(
            f"The denoiser must return finite numbers, but for image {image} of the batch (of "
            f"{fine.shape[1]}, counted from 0), at the level sigma = "
            f"{float(self._levels[step]):.6g}, some were NaN or infinite. Half precision overflows "
            f"at large levels; else look at the network. That was step {step + 1} of "
            f"{len(self._levels) - 1}."
        )


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
    count, end = len(levels) - 1, EndOfRun(levels)
    steps = zip(reversed(range(count)), levels[:-1], levels[1:], table, strict=True)
    for t, sigma, sigma_next, c in steps:
        with torch.no_grad(), at_step(t, count):
            x0_hat = predict(denoiser, x, sigma)
            end.note(x0_hat)
            x0_hat_spec = to_spec(x0_hat)
            noisy = _counts(c.noise)  # the last step often is not
            z = standard_normal(x_spec, generator) if noisy else torch.zeros_like(x_spec)
            x_spec = combine(c, x0_hat_spec, x_spec, y_spec, z, out=z)
            del x0_hat_spec, z  # their memory is soon asked for again
            x = to_pixels(x_spec)
        if not t:
            end.ask()
        sent = yield Step(t, sigma_next.clone(), x, x0_hat)
        del x0_hat
        if sent is not None:
            x = sent.to(x, copy=True)
            x_spec = to_spec(x)
            del sent

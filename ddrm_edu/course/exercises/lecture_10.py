"""Exercises of lecture 10: a mean of draws, a camera of one's own, an unknown noise level."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.course.operator_cases import an_operator
from ddrm_edu.operators import (
    Colorization,
    Dense,
    Inpainting,
    PatchFunctional,
    SuperResolution,
    SVDOperator,
)
from ddrm_edu.priors import GaussianPrior
from ddrm_edu.restoration import restore


@question("10.1", "What a mean of draws should gain", kind="paper", part="a", of="v, k")
@hints(
    "The error is x_0 minus the mean of the draws. Which of the two are random, given y?",
    "Given y both have the same expectation, so the expected square is a variance.",
    "They are independent: add the variance v of the truth and the variance of the mean.",
)
@mistakes(
    lambda v, k: v / k,
    "That is the variance of the mean alone: the truth varies, too.",
    lambda v, k: 2 * v,
    "That is the error of one draw; the mean of k draws varies less.",
    lambda v, k: v * (1 - 1 / k),
    "Variances of independent numbers add; none is subtracted.",
    lambda v, k: v * (1 + k),
    "The mean divides by k, so its variance is that of the sum / k^2.",
    lambda v, k: v * (1 + 1 / k**0.5),
    "Standard errors go with the root of k, but variances with k.",
    lambda v, k: v,
    "That is the error of the posterior mean, the limit of many draws.",
)
def error_of_a_mean_of_draws(answer: Answer) -> Cases:
    for v, k in ((1.0, 1), (1.0, 2), (0.3, 4), (0.07, 16)):
        weights = tensor([1.0] + k * [-1 / k])
        cov = v * torch.eye(k + 1, dtype=torch.float64)
        yield f"v = {v:g}, k = {k}", answer(v, k), weights @ cov @ weights


_LUMINANCE = tensor([0.299, 0.587, 0.114])


def _camera(weights: Any, height: int, width: int, scale: float = 1.0) -> Answer:
    """Operator of a weighted sum of channels, averaged over blocks; times ``scale``."""
    k = torch.as_tensor(weights, dtype=torch.float64)[:, None, None] * scale / (height * width)
    return lambda in_shape: PatchFunctional(in_shape, k.expand(3, height, width))


def _seen(x: Tensor) -> Tensor:
    """The measurement of the exercise, by sums."""
    grey = torch.einsum("nchw,c->nhw", x, _LUMINANCE)
    n, h, w = grey.shape
    return grey.reshape(n, h // 2, 2, w // 4, 4).mean((2, 4))[:, None]


@question("10.2", "A camera of your own", kind="code", part="a", of="in_shape")
@hints(
    "One number is measured for each patch of the image: which operator does that?",
    "PatchFunctional(in_shape, k) takes the weights k of one patch, of shape (3, 2, 4).",
    "k[c] is the weight of channel c, divided by the 8 pixels of a block.",
)
@mistakes(
    _camera(_LUMINANCE, 2, 4, 8.0),
    "The block is averaged, not added up: divide by 8.",
    _camera([1 / 3] * 3, 2, 4),
    "The three channels do not weigh the same.",
    _camera(_LUMINANCE, 4, 2),
    "2 pixels high and 4 wide: the height comes first in a shape.",
    _camera(_LUMINANCE.flip(0), 2, 4),
    "The channels are in the order red, green, blue.",
    _camera(_LUMINANCE, 2, 4, 1 / 3),
    "The weights of the channels add up to 1: the mean is over the 8 pixels of a block only.",
    _camera(_LUMINANCE, 2, 4, 2.0),
    "The block has 2 x 4 = 8 pixels.",
    lambda in_shape: Colorization(in_shape, _LUMINANCE.tolist()),
    "The channels are mixed, but the blocks are not averaged.",
    lambda in_shape: SuperResolution(in_shape, 2),
    "That is one mean for each channel of 2 x 2 blocks. One number for a block is measured.",
)
def camera_of_grey_blocks(answer: Answer) -> Cases:
    noise = torch.Generator().manual_seed(0)
    for shape in ((3, 2, 4), (3, 6, 16)):
        op = an_operator(answer(shape))
        x0 = torch.randn((2, *shape), generator=noise, dtype=torch.float64)
        y = _seen(x0)
        yield f"numbers measured of an image of shape {shape}", op.m, y[0].numel()
        yield f"measurement of an image of shape {shape}", op(x0).flatten(), y.flatten()
        seed = torch.Generator().manual_seed(1)
        x = restore(lambda x, sigma: 0.3 * x, op, op(x0), sigma_y=0.0, steps=4, generator=seed)
        yield "Hx of the restored image, without noise", _seen(x), y


def _log_ratio(rms: float, sigma: float) -> float:
    return abs(math.log(rms / sigma))


def _choose(residual: Answer, key: Answer = _log_ratio) -> Answer:
    """The candidate whose residual, a function of (y - Hx, x), is closest to it."""

    def answer(y: Tensor, op: SVDOperator, restored: Answer, candidates: list[float]) -> float:
        def distance(sigma: float) -> float:
            x = restored(sigma)
            return key(float(residual(y - op(x), x)), sigma)

        return min(candidates, key=distance)

    return answer


def _rms(residual: Tensor, x: Tensor) -> Tensor:
    return residual.square().mean().sqrt()


def _first_crossing(y: Tensor, op: SVDOperator, restored: Answer, candidates: list[float]) -> float:
    crossed = (each for each in sorted(candidates) if _rms(y - op(restored(each)), y) <= each)
    return next(crossed, max(candidates))


# The root mean square of the residual for each candidate, its direction, and the right choice.
_EVEN, _PEAK, _SHIFT = [1.0, -1.0, 1.0, -1.0], [2.0, 0.0, 0.0, 0.0], [1.4, 0.2, 1.4, 0.2]
_RESIDUALS = (
    ("the smaller difference is the larger ratio", {0.1: 0.2, 0.3: 0.18}, _EVEN, 0.3),
    ("twice too large against less than half", {0.1: 0.2, 0.4: 0.18}, _EVEN, 0.1),
    ("nearly right below the crossing", {0.4: 0.1, 0.2: 0.1, 0.1: 0.12}, _EVEN, 0.1),
    ("all of the residual in one pixel", {0.1: 0.22, 0.2: 0.19}, _PEAK, 0.2),
    ("a residual of mean 0.8 times its size", {0.1: 0.13, 0.2: 0.24}, _SHIFT, 0.2),
)


def _with_residuals(
    op: SVDOperator, y: Tensor, sizes: dict[float, float], direction: list[float]
) -> Answer:
    """Restorations whose residuals are known; a sigma in float32 counts as the nearest."""

    def restored(sigma: float) -> Tensor:
        nearest = min(sizes, key=lambda known: abs(known - float(sigma)))
        return op.pinv(y - sizes[nearest] * tensor(direction).reshape(y.shape))

    return restored


@question("10.3", "An unknown noise level", kind="code", part="b", of="y, op, restored, candidates")
@hints(
    "Compute the residual y - op(restored(sigma)) for each candidate, and one number from it.",
    "The root mean square is the root of the mean of the squares over all entries of y.",
    "min(candidates, key=...) with the absolute value of log(rms / sigma) as the key.",
)
@mistakes(
    lambda y, op, restored, candidates: min(
        candidates, key=lambda sigma: (y - op(restored(sigma))).norm()
    ),
    "The smallest residual belongs to the smallest candidate: it fits the noise as well.",
    _choose(lambda r, x: r.norm()),
    "A norm grows with the number of measurements: take the root of the mean square.",
    _choose(lambda r, x: r.norm() / x.numel() ** 0.5),
    "Divide by the number of entries of y, not of x: the noise lives in y.",
    _choose(lambda r, x: r.square().mean()),
    "That is the mean square; sigma is a standard deviation, so take the root.",
    _choose(lambda r, x: r.abs().mean()),
    "That is the mean of the absolute values; the root of the mean of the squares is asked for.",
    _choose(lambda r, x: r.std(correction=0)),
    "std subtracts the mean of the residual, but a residual of mean 0.1 is a residual.",
    _choose(_rms, lambda rms, sigma: abs(rms - sigma)),
    "Levels are compared by their ratio: the difference of 0.01 and 0.02 would seem smaller than "
    "that of 0.5 and 0.55.",
    _choose(_rms, lambda rms, sigma: abs(rms / sigma - 1)),
    "Twice too large and half as large are to count alike: take the logarithm of the ratio.",
    _choose(_rms, lambda rms, sigma: math.log(rms / sigma)),
    "The absolute value is missing: the most negative logarithm is not the closest to 0.",
    _first_crossing,
    "The first candidate above its residual need not be the closest one.",
)
def noise_level_by_discrepancy(answer: Answer) -> Cases:
    candidates = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]

    def slow(op: SVDOperator, y: Tensor) -> Answer:
        """Restorations whose residual has the root mean square 0.2 (sigma / 0.2)^(1/4)."""
        return lambda sigma: op.pinv(y - 0.2 * (float(sigma) / 0.2) ** 0.25)

    kept = torch.arange(16) % 4 == 0
    operators: dict[str, SVDOperator] = {
        "inpainting of 4 of 16 pixels": Inpainting(kept.reshape(1, 4, 4)),
        "super-resolution of 8 x 8 pixels": SuperResolution((1, 8, 8), 4),
    }
    for name, op in operators.items():
        y = torch.linspace(-1, 1, op.m, dtype=torch.float64).reshape(1, *op.out_shape)
        yield name, answer(y, op, slow(op, y), candidates), 0.2
    op = operators["inpainting of 4 of 16 pixels"]
    y = tensor([[0.3, -0.5, 0.8, 0.1]]).reshape(1, *op.out_shape)
    for name, sizes, direction, want in _RESIDUALS:
        yield name, answer(y, op, _with_residuals(op, y, sizes, direction), list(sizes)), want

    noise = torch.Generator().manual_seed(3)
    place = torch.arange(24, dtype=torch.float64)
    prior = GaussianPrior(torch.zeros(24), torch.exp(-(((place[:, None] - place) / 16) ** 2)))
    op = Dense(torch.eye(24)[::2])
    y = op(prior.sample(40, generator=noise))
    y = y + 0.1 * torch.randn(y.shape, generator=noise, dtype=torch.float64)
    z = torch.randn(40, 24, generator=noise, dtype=torch.float64)

    def restored(sigma: float) -> Tensor:
        """Draws of the exact posterior of smooth signals."""
        law = prior.posterior(op, y, sigma_y=float(sigma))
        variances, axes = torch.linalg.eigh(law.cov)
        return law.mean + z @ (axes * variances.clamp(min=0).sqrt()).T

    yield "smooth signals, exact posterior, noise 0.1", answer(y, op, restored, candidates), 0.1

"""Gaussian problems, and how far samplers are from their posterior and from each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ddrm_edu import (
    Dense,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    SVDOperator,
    gap,
    law_of,
    monte_carlo_law,
    posterior_law,
)
from ddrm_edu.law import AffineLaw
from ddrm_edu.noise import standard_normal
from ddrm_edu.probing import NoExactLaw, _Draws, last_image

STEPS, N = 20, 8
RUNS, DRAWS = 8, 4_000  # of a Monte Carlo law
SAME = 256  # images for which two samplers are given the same noise

Sampler = Callable[..., Any]
"""``sampler(denoiser, op, y, *, sigmas, sigma_y, generator)``."""


@dataclass(frozen=True)
class Problem:
    name: str
    op: SVDOperator
    sigma_y: float
    prior: GaussianPrior
    sigmas: Tensor = field(default_factory=lambda: NoiseSchedule.linear().sigmas(STEPS))

    def bound(self, sampler: Sampler) -> Sampler:
        return partial(sampler, sigmas=self.sigmas, sigma_y=self.sigma_y)

    @property
    def posterior(self) -> AffineLaw:
        return posterior_law(self.prior, self.op, sigma_y=self.sigma_y)


def problems() -> list[Problem]:
    """Correlated priors with a mean; sigma_y is exact in float32, in which deepinv keeps it."""
    draw = torch.Generator().manual_seed(12)
    normal = partial(torch.randn, generator=draw, dtype=torch.float64)

    def matrix(m: int, s: Sequence[float]) -> Tensor:
        U, V = (torch.linalg.qr(normal(size, len(s)))[0] for size in (m, N))
        return U * torch.tensor(s, dtype=torch.float64) @ V.T

    def prior() -> GaussianPrior:
        axes, spread = torch.linalg.qr(normal(N, N))[0], torch.linspace(0.3, 1.6, N).double()
        return GaussianPrior(normal(N), factor=axes * spread)

    near = torch.arange(N, dtype=torch.float64)
    smooth = GaussianPrior(normal(N), (-(near[:, None] - near).abs() / 3).exp())
    mask = torch.tensor([1, 0, 0, 1, 1, 0, 1, 0]).bool()
    circle = torch.eye(N, dtype=torch.float64)
    blur = circle / 2 + (circle.roll(1, 0) + circle.roll(-1, 0)) / 4
    return [
        Problem("rank 3 of 5 x 8", Dense(matrix(5, [1.9, 0.8, 0.2])), 0.3125, prior()),
        Problem("rank 4 of 10 x 8", Dense(matrix(10, [1.3, 0.9, 0.5, 0.25])), 0.125, prior()),
        Problem("inpainting", Inpainting(mask), 0.3125, smooth),
        Problem("blur", Dense(blur), 0.0625, smooth),
    ]


def noiseless() -> Problem:
    inpainting = problems()[2]
    return Problem("inpainting, no noise", inpainting.op, 0.0, inpainting.prior)


@dataclass(frozen=True)
class Distance:
    """Relative W2 of a law to the posterior; ``error`` is 0 where the law is exact."""

    value: float
    error: float = 0.0
    why: str = ""  # there is no exact law

    def __str__(self) -> str:
        large = self.value >= 100
        digits = f"{self.value:.1e}" if large else f"{self.value:.3f}"
        return digits + (f" ± {self.error:{'.0e' if large else '.3f'}}" if self.error else "")


def w2(problem: Problem, sampler: Sampler) -> Distance:
    """By ``law_of``, or from draws where a sampler is not affine."""
    try:
        law = law_of(problem.bound(sampler), problem.prior, problem.op, sigma_y=problem.sigma_y)
    except NoExactLaw as error:
        return estimated(problem, sampler, str(error))
    return Distance(gap(law, problem.posterior).relative_w2)


def estimated(problem: Problem, sampler: Sampler, why: str = "") -> Distance:
    """W2 between Gaussians of the first two moments: the jackknife over ``RUNS`` estimates."""
    laws = [
        monte_carlo_law(
            problem.bound(sampler),
            problem.prior,
            problem.op,
            sigma_y=problem.sigma_y,
            draws=DRAWS,
            generator=torch.Generator().manual_seed(seed),
        ).law
        for seed in range(RUNS)
    ]
    posterior = problem.posterior

    def squared(some: list[AffineLaw]) -> float:
        A, c, cov = (
            torch.stack([getattr(law, name) for law in some]).mean(0) for name in ("A", "c", "cov")
        )
        pooled = AffineLaw(A, c, cov, posterior.y_spec, problem.op)
        return gap(pooled, posterior).relative_w2 ** 2

    whole = squared(laws)
    without = torch.tensor([squared(laws[:k] + laws[k + 1 :]) for k in range(RUNS)])
    value = math.sqrt(max(RUNS * whole - (RUNS - 1) * float(without.mean()), 0.0))
    spread = math.sqrt((RUNS - 1) * float(without.var(correction=0)))
    return Distance(value, spread / (2 * max(value, math.sqrt(spread))), why)


def apart(problem: Problem, one: Sampler, two: Sampler, images: int = SAME) -> float:
    """Root mean square difference of two samplers with the same y and noise, in relative W2.

    Whatever their laws, W2 between them is at most that, up to the error of ``images`` draws.
    """
    draw = torch.Generator().manual_seed(1)
    y = problem.op(problem.prior.sample(images, generator=draw))
    y = y + problem.sigma_y * standard_normal(y, draw)

    def noise(k: int, size: int) -> Tensor:
        own = torch.Generator().manual_seed(100 + k)
        return torch.randn(images, size, generator=own, dtype=torch.float64)

    found = []
    for sampler in (one, two):
        with _Draws(images, noise):
            run = problem.bound(sampler)(
                problem.prior, problem.op, y.clone(), generator=torch.Generator()
            )
            found.append(last_image(run).double())
    spread = float(problem.posterior.cov.trace())
    return math.sqrt(float((found[0] - found[1]).square().sum(1).mean()) / spread)


def between_laws(problem: Problem, one: Sampler, two: Sampler) -> float:
    """Relative W2 between two exact laws, for samplers that draw in another order."""
    laws = [
        law_of(problem.bound(sampler), problem.prior, problem.op, sigma_y=problem.sigma_y)
        for sampler in (one, two)
    ]
    scale = float(laws[1].cov.trace() / problem.posterior.cov.trace())
    return gap(*laws).relative_w2 * math.sqrt(scale)

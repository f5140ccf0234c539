"""Our samplers, and those that are like ours but for one thing that another package does."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ddrm_edu import (
    DiffPIR,
    ExactDenoiser,
    MomentMatching,
    NoiseSchedule,
    PiGDM,
    ddpm_samples,
    ddrm_samples,
    dps_samples,
    pigdm_samples,
    repaint_samples,
)
from ddrm_edu.diffusion import StepCoefficients, diffusion_steps
from ddrm_edu.guidance import Cost, Measured, SeesY
from ddrm_edu.noise import standard_normal
from ddrm_edu.probing import last_image

from .problems import STEPS, Problem, Sampler


def in_the_loop(make: Callable[..., Any]) -> Sampler:
    """DDPM's loop on the denoiser that sees y of ``make(denoiser, op, y, sigma_y=)``."""

    def sampler(denoiser, op, y, *, sigmas, sigma_y, generator):
        guided, shape = make(denoiser, op, y, sigma_y=sigma_y), (len(y), *op.in_shape)
        return ddpm_samples(guided, shape, sigmas, generator=generator, dtype=y.dtype)

    return sampler


def ours(samples: Callable[..., Any], **options: Any) -> Sampler:
    """A sampler of the package with the levels as its fourth argument."""

    def sampler(denoiser, op, y, *, sigmas, sigma_y, generator):
        given = {"sigma_y": sigma_y, "generator": generator, **options}
        return samples(denoiser, op, y, sigmas, **given)

    return sampler


class Plain(MomentMatching):
    """Moment matching as for an H without an SVD: no preconditioner."""

    def _measured(self, x0_hat, sigma):
        return Measured(self.op, self.op.adjoint, self.sigma_y**2, self.y - self.op(x0_hat))


class OneGMRES(Plain):
    """The step along the residual r after which what is left of it, r - a A r, is shortest."""

    def guided(self, x0_hat, sigma, covariance):
        forward, adjoint, noise, left = self._measured(x0_hat, sigma)
        step = covariance(adjoint(left))
        A_left = forward(step) + noise * left
        return x0_hat + step * ((left * A_left).sum(1) / A_left.square().sum(1))[:, None]


class RowSums(SeesY):
    """TMPD with a diagonal of row sums: H K H^T 1 + sigma_y^2 divides y - H x0_hat."""

    needs, cost = "H, H^T and gradient", Cost(evaluations=1, vjps=2)

    def guided(self, x0_hat, sigma, covariance):
        seen = lambda w: self.op(covariance(self.op.adjoint(w)))  # noqa: E731
        variance = seen(torch.ones_like(self.y)) + self.sigma_y**2
        return x0_hat + covariance(self.op.adjoint((self.y - self.op(x0_hat)) / variance))


class Pull(SeesY):
    """x0_hat + sigma^2 J^T H^T r / |r| with r = y - H x0_hat: DPS as a denoiser that sees y."""

    needs, cost = "H, H^T and gradient", Cost(evaluations=1, vjps=1)

    def guided(self, x0_hat, sigma, covariance):
        left = self.y - self.op(x0_hat)
        return x0_hat + covariance(self.op.adjoint(left / left.norm(dim=1, keepdim=True)))


def diffpir_at(
    levels: Callable[[Problem], Tensor], zeta: float, lambda_: float, *, ends: bool = False
) -> Callable[[Problem], Sampler]:
    """DiffPIR's steps, whose noise is zeta of the variance; ``ends``: those of deepinv's run."""

    def of(problem: Problem) -> Sampler:
        steps = levels(problem)
        half, middle = problem_width(problem) / 2, problem.prior.mean  # of its [-1, 1]

        def sampler(denoiser, op, y, *, sigmas, sigma_y, generator):
            guided = DiffPIR(denoiser, op, y, sigma_y=sigma_y, lambda_=lambda_)
            x = steps[0] * standard_normal(y.new_empty(len(y), *op.in_shape), generator)
            ratio = steps[1:] / steps[:-1]
            kept = math.sqrt(1 - zeta) * ratio
            table = (1 - kept, kept, torch.zeros_like(kept), math.sqrt(zeta) * steps[1:])
            rows = list(map(StepCoefficients._make, zip(*table, strict=True)))
            if not ends:
                return diffusion_steps(guided, x, steps, rows, generator=generator)
            low = (middle - half)[None]
            x = x * (1 - (sigma_y / steps[0]) ** 2).sqrt() + low + op.adjoint(y - op(low))
            run = diffusion_steps(guided, x, steps[:-1], rows[:-1], generator=generator)
            alpha = (1 + (steps[-2] / half) ** 2).rsqrt()
            return middle + alpha * (last_image(run) - middle)

        return sampler

    return of


def problem_width(problem: Problem) -> float:
    return 8 * float(problem.prior.cov.diagonal().max().sqrt())


def levels_of_deepinv(problem: Problem) -> Tensor:
    """Those of its DiffPIR in the units of x, and a 0."""
    t = 1000 - torch.linspace(0, 1000**2, STEPS).sqrt().int()
    t[-1] = 1
    sigma = NoiseSchedule.linear().sigma[t.long()]
    return torch.cat([problem_width(problem) / 2 * sigma, torch.zeros(1).double()])


def same(sampler: Sampler) -> Callable[[Problem], Sampler]:
    """In every problem."""
    return lambda problem: sampler


OURS: dict[str, Callable[[Problem], Sampler]] = {
    "pigdm_samples": same(ours(pigdm_samples)),
    "pigdm_samples, sigma_y 0, eta 0.6": same(ours(pigdm_samples, sigma_y=0.0, eta_ddim=0.6)),
    "PiGDM": same(in_the_loop(PiGDM)),
    "MomentMatching, 1 step": same(in_the_loop(MomentMatching)),
    "MomentMatching, 3 steps": same(in_the_loop(partial(MomentMatching, cg_steps=3))),
    "MomentMatching, solved": same(in_the_loop(partial(MomentMatching, cg_steps=None))),
    "ExactDenoiser": same(in_the_loop(ExactDenoiser)),
    "DiffPIR": same(in_the_loop(DiffPIR)),
    "DiffPIR, lambda 7, zeta 0.1, its levels": diffpir_at(levels_of_deepinv, 0.1, 7.0),
    "ddrm_samples": same(ours(ddrm_samples)),
    "dps_samples, zeta 1/2": same(ours(dps_samples, zeta=0.5)),
    "repaint_samples, 3 resamplings": same(ours(repaint_samples, resamplings=3)),
}
"""What of this package stands beside theirs, by name."""

"""Restoration samplers of deepinv as samplers of this package, each in a few lines.

Its SDEs have images s(t) (x_0 + sigma(t) z): with ``schedule="vp"`` ours times
:math:`(1+\\sigma^2)^{-1/2}`; ``times`` are those at which sigma(t) takes our levels.  Its denoisers
are called in float32, so images come back in it.
"""

from __future__ import annotations

from typing import Any

import torch
from deepinv.optim.data_fidelity import L2
from deepinv.physics import DecomposablePhysics, GaussianNoise
from deepinv.sampling import (
    DDRM,
    DPS,
    DiffPIR,
    MomentMatchingDataFidelity,
    PiGDMDataFidelity,
    PosteriorDiffusion,
    VariancePreservingDiffusion,
)
from deepinv.sampling.sde_solver import DDPMSolver
from torch import Tensor

from .global_noise import global_noise


class Translated(torch.nn.Module):
    """A denoiser for deepinv, which may ask at sigma = 0, where an image is clean."""

    def __init__(self, denoiser: Any) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: Tensor, sigma: Any, **kwargs: Any) -> Tensor:
        level = torch.as_tensor(sigma).flatten()[0]
        return self.denoiser(x, level) if level > 0 else x


def physics_of(op: Any, sigma_y: float) -> DecomposablePhysics:
    parts = {"U": op.U, "U_adjoint": op.Ut, "V": op.V, "V_adjoint": op.Vt}
    noise = GaussianNoise(torch.tensor(sigma_y, dtype=torch.float64))
    return DecomposablePhysics(**parts, mask=op.s[None], noise_model=noise)


def times(sigmas: Tensor) -> Tensor:
    """t with 0.1 t + 9.95 t^2 = log(1 + sigma^2), of VariancePreservingDiffusion's defaults."""
    return ((0.01 + 39.8 * (sigmas**2).log1p()).sqrt() - 0.1) / 19.9


def ddrm(denoiser, op, y, *, sigmas, sigma_y, generator, cls=DDRM, **options):
    sampler = cls(Translated(denoiser), sigmas.numpy(), **options)
    with global_noise(generator):
        return sampler(y.clone(), physics_of(op, sigma_y))


def dps(denoiser, op, y, *, sigmas, sigma_y, generator, weight=1.0):
    solver = DDPMSolver(times(sigmas))
    sampler = DPS(Translated(denoiser), solver=solver, weight=weight, minus_one_one=False)
    sampler.data_fidelity.clip = None  # to [-1, 1], where our images are not
    with global_noise(generator):
        return sampler(y, physics_of(op, sigma_y)).float()


def posterior(fidelity, denoiser, op, y, *, sigmas, sigma_y, generator):
    sde, solver = VariancePreservingDiffusion(), DDPMSolver(times(sigmas))
    net = Translated(denoiser)
    sampler = PosteriorDiffusion(fidelity, net, sde, solver, minus_one_one=False)
    with global_noise(generator):
        return sampler(y, physics_of(op, sigma_y)).float()


def pigdm(denoiser, op, y, **run):
    return posterior(PiGDMDataFidelity(), denoiser, op, y, **run)


def moment_matching(denoiser, op, y, *, cls=MomentMatchingDataFidelity, **run):
    return posterior(cls(), denoiser, op, y, **run)


def diffpir(denoiser, op, y, *, sigmas, sigma_y, generator, cls=DiffPIR, lambda_=7.0, zeta=0.1):
    """On levels of its own; its images are in [0, 1], where four of the prior's deviations go."""
    low, width = units(denoiser)
    net = Translated(lambda u, sigma: (denoiser(low + width * u, width * sigma) - low) / width)
    steps, noise = len(sigmas) - 1, sigma_y / width
    sampler = cls(net, L2(), sigma=noise, max_iter=steps, zeta=zeta, lambda_=lambda_)
    with global_noise(generator):
        u = sampler((y - op(low[None])) / width, physics_of(op, noise))
    return low + width * u


def units(prior: Any) -> tuple[Tensor, float]:
    """low (n,) and width of ``x = low + width u`` with u in [0, 1]."""
    width = 8 * float(prior.cov.diagonal().max().sqrt())
    return prior.mean - width / 2, width

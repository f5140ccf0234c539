"""Restoration samplers of azula as samplers of this package, each in a few lines.

azula's images are :math:`\\alpha_tx_0+\\sigma_tz`; ours are :math:`x_0+\\sigma z`.  With
:math:`\\alpha=(1+\\sigma^2)^{-1/2}` and :math:`\\sigma_t=\\alpha\\sigma`, its VP images are ours
times alpha, at the same levels.  Its start is drawn with ``var=0``: N(0, sigma_T^2 I) in ours.
"""

from __future__ import annotations

from typing import Any

import torch
from azula.denoise import Denoiser, DiracPosterior
from azula.guidance import (
    DiffPIRDenoiser,
    DPSSampler,
    JFPSDenoiser,
    MMPSDenoiser,
    PGDMSampler,
    RePaintSampler,
    TMPDenoiser,
)
from azula.linalg.covariance import FullCovariance, IsotropicCovariance
from azula.noise import Schedule
from azula.sample import DDIMSampler
from torch import Tensor

from .global_noise import global_noise


class Levels(Schedule):
    """Time k / N is level k of a run of N steps, counted from the clean image."""

    def __init__(self, sigmas: Tensor) -> None:
        self.sigmas = sigmas.flip(0)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        sigma = self.sigmas[(t * (len(self.sigmas) - 1)).round().long()]
        alpha = (1 + sigma**2).rsqrt()
        return alpha, alpha * sigma


class Translated(Denoiser):
    """A denoiser of images x_0 + sigma z, for azula."""

    def __init__(self, denoiser: Any, sigmas: Tensor) -> None:
        super().__init__()
        self.denoiser, self.schedule = denoiser, Levels(sigmas)

    def forward(self, x_t: Tensor, t: Tensor, **kwargs: Any) -> DiracPosterior:
        alpha, sigma = self.schedule(t)
        return DiracPosterior(self.denoiser(x_t / alpha, sigma / alpha))


def run(make: Any, op: Any, y: Tensor, sigmas: Tensor, generator: Any, **options: Any) -> Tensor:
    """One run of the sampler that ``make(steps=...)`` makes, from azula's own start."""
    sampler = make(steps=len(sigmas) - 1, dtype=torch.float64, silent=True, **options)
    with global_noise(generator):
        return sampler(sampler.init((len(y), *op.in_shape), var=0.0, dtype=y.dtype))


def pgdm(denoiser, op, y, *, sigmas, sigma_y, generator, eta=1.0, cls=PGDMSampler):
    D = Translated(denoiser, sigmas)
    make = lambda **steps: cls(D, y, op, op.pinv, eta=eta, **steps)  # noqa: E731
    return run(make, op, y, sigmas, generator)


def dps(denoiser, op, y, *, sigmas, sigma_y, generator, zeta=1.0, cls=DPSSampler):
    D = Translated(denoiser, sigmas)
    return run(lambda **steps: cls(D, y, op, zeta, **steps), op, y, sigmas, generator)


def repaint(denoiser, op, y, *, sigmas, sigma_y, generator, iterations=3, cls=RePaintSampler):
    D, known = Translated(denoiser, sigmas), op.s > 0
    make = lambda **steps: cls(D, op.adjoint(y), known, iterations, **steps)  # noqa: E731
    return run(make, op, y, sigmas, generator, eta=1.0)


def in_the_loop(guided, op, y, sigmas, generator):
    return run(lambda **steps: DDIMSampler(guided, eta=1.0, **steps), op, y, sigmas, generator)


def mmps(denoiser, op, y, *, sigmas, sigma_y, generator, solver="gmres", iterations=1):
    D, noise = Translated(denoiser, sigmas), IsotropicCovariance(sigma_y**2)
    guided = MMPSDenoiser(D, y, op, noise, solver, iterations)
    return in_the_loop(guided, op, y, sigmas, generator)


def tmpd(denoiser, op, y, *, sigmas, sigma_y, generator):
    guided = TMPDenoiser(Translated(denoiser, sigmas), y, op, sigma_y**2)
    return in_the_loop(guided, op, y, sigmas, generator)


def diffpir(denoiser, op, y, *, sigmas, sigma_y, generator, lmbda=1.0, iterations=1):
    D = Translated(denoiser, sigmas)
    guided = DiffPIRDenoiser(D, y, op, sigma_y**2, lmbda, iterations=iterations)
    return in_the_loop(guided, op, y, sigmas, generator)


def jfps(prior, op, y, *, sigmas, sigma_y, generator, solver="cg", iterations=1):
    noise, cov = IsotropicCovariance(sigma_y**2), FullCovariance(prior.axes, prior.eigenvalues)
    D = Translated(prior, sigmas)
    guided = JFPSDenoiser(D, y, op, noise, cov, solver, iterations)
    return in_the_loop(guided, op, y, sigmas, generator)

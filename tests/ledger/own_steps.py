r"""Methods with a step of their own: where they tend to, and whether their noise adds up.

Each law runs the library's sampler, or a recursion that another law has found equal to it.
"""

from __future__ import annotations

import itertools
import math
from unittest import mock

import numpy as np
import torch
from laws import largest, noise_of_measurement, numbers, probe

from ddrm_edu import (
    Dense,
    GaussianPrior,
    Inpainting,
    ddnm_plus_samples,
    ddpm_law,
    dps_samples,
    particle_samples,
    pigdm_samples,
    repaint_samples,
)
from ddrm_edu import samplers as samplers_module
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.law import posterior_law
from ddrm_edu.samplers import ddnm_plus_coefficients

from .registry import item
from .scenes import ETA, LEVELS, SIGMA_Y, S

# -------------------------------------- Y08, Y13: a pull that does not shrink with the step

SCALAR = {"C": 1.7, "s": 0.8, "sigma_y": 0.4}  # one coordinate, measured, its prior N(0, C)
ZETA = 0.2


def pull_of_dps(sigma, sigma_next, G, s, sigma_y):
    """Weight of (ybar - x0_hat) in a step of DPS whose zeta is fixed."""
    return 2 * ZETA * math.sqrt((1 + sigma**2) * (1 + sigma_next**2)) * G * s**2


def pull_of_pigdm(sigma, sigma_next, G, s, sigma_y):
    """The same in a step of pseudo-inverse guidance as published."""
    r2 = sigma**2 / (1 + sigma**2)
    return r2 * G * s**2 / (r2 * s**2 + sigma_y**2)


def scalar_law(pull, levels, C, s, sigma_y) -> np.ndarray:
    """Gain on ybar and variance: x' = F x + w ybar + z, DDPM's step and the pull."""
    gain, variance = 0.0, levels[0] ** 2
    for sigma, sigma_next in itertools.pairwise(levels):
        ratio, G = (sigma_next / sigma) ** 2, C / (C + sigma**2)
        w = pull(sigma, sigma_next, G, s, sigma_y)
        F = ratio + (1 - ratio) * G - w * G
        gain, variance = F * gain + w, F**2 * variance + sigma_next**2 * (1 - ratio)
    return np.array([gain, variance])


def of_the_library(samples, levels, **options) -> np.ndarray:
    """Gain on ybar and variance of one coordinate, by unit vectors."""
    prior = GaussianPrior(torch.zeros(1), torch.tensor([[SCALAR["C"]]], dtype=torch.float64))
    op = Dense(np.array([[SCALAR["s"]]]))

    def run(y):
        *_, last = samples(prior, op, y, levels, sigma_y=SCALAR["sigma_y"], **options)
        return [last]

    law = probe(run, (1,), 1, len(levels) - 1)
    return np.array([law.gain.item() * SCALAR["s"], law.cov.item()])


@item(
    "Y08",
    "DPS, zeta fixed: a step adds 2 zeta sqrt((1+s_t^2)(1+s_{t-1}^2)) J^T H^T (y - H x_theta)",
    right=pull_of_dps,
    wrong={
        "as if VP images were VE images": lambda *a: (
            pull_of_dps(*a) / math.sqrt((1 + a[0] ** 2) * (1 + a[1] ** 2))
        ),
        "the level entered left out": lambda *a: pull_of_dps(*a) / math.sqrt(1 + a[1] ** 2),
        "half the gradient": lambda *a: pull_of_dps(*a) / 2,
        "J left out": lambda sigma, below, G, *a: pull_of_dps(sigma, below, 1.0, *a),
    },
    bound=1e-10,
)
def step_of_dps(pull) -> float:
    """The law of seven levels, one coordinate."""
    got = of_the_library(dps_samples, LEVELS, zeta=ZETA, normalised=False)
    return largest(scalar_law(pull, LEVELS, **SCALAR) - got)


def posterior_of_scalar() -> tuple[float, float]:
    gain = SCALAR["C"] / (SCALAR["C"] + (SCALAR["sigma_y"] / SCALAR["s"]) ** 2)
    return gain, SCALAR["C"] * (1 - gain)


GAIN, VARIANCE = posterior_of_scalar()


@item(
    "Y08",
    "DPS, zeta s^2 < 1 fixed, C <= 2, more and more steps: one coordinate is ybar, no spread",
    right=(1.0, 0.0),
    wrong={
        "the posterior": (GAIN, VARIANCE),
        "its mean without spread": (GAIN, 0.0),
        "y with the noise of y": (1.0, (SCALAR["sigma_y"] / SCALAR["s"]) ** 2),
    },
    bound=1e-6,  # at 300 levels the variance is 1e-7 and falls as one over their number
)
def limit_of_dps(limit) -> float:
    """The library's own run of 300 levels, evenly in log sigma from 100 to 0.001."""
    levels = [*np.geomspace(100, 1e-3, 300), 0.0]
    return largest(of_the_library(dps_samples, levels, zeta=ZETA, normalised=False) - limit)


@item(
    "Y13",
    "PiGDM as published: DDIM unguided plus r^2 J^T H^T (r^2 H H^T + s_y^2)^-1 (y - H x_theta)",
    right=pull_of_pigdm,
    wrong={
        "sigma^2 for r^2": lambda *a: pull_of_pigdm(*a) * (1 + a[0] ** 2),
        "the gradient without r^2": lambda *a: pull_of_pigdm(*a) * (1 + a[0] ** -2),
        "J left out": lambda sigma, below, G, *a: pull_of_pigdm(sigma, below, 1.0, *a),
        "shrinks with the step": lambda *a: pull_of_pigdm(*a) * (1 - (a[1] / a[0]) ** 2),
    },
    bound=1e-10,
)
def step_of_pigdm(pull) -> float:
    """The law of seven levels, one coordinate."""
    got = of_the_library(pigdm_samples, LEVELS)
    return largest(scalar_law(pull, LEVELS, **SCALAR) - got)


@item(
    "Y13",
    "PiGDM as published, more and more steps: a measured coordinate is ybar, no spread",
    right=(1.0, 0.0),
    wrong={
        "the posterior": (GAIN, VARIANCE),
        "its mean without spread": (GAIN, 0.0),
        "y with the noise of y": (1.0, (SCALAR["sigma_y"] / SCALAR["s"]) ** 2),
    },
    bound=1e-5,
)
def limit_of_pigdm(limit) -> float:
    """The recursion, evenly in log sigma; the variance falls as one over the number of levels."""
    few, many = (
        scalar_law(pull_of_pigdm, [*np.geomspace(100, 1e-3, N), 0.0], **SCALAR)
        for N in (4000, 8000)
    )
    return largest(2 * many - few - limit)


# -------------------------------------------------------------- Y09, Y10: the noise of DDNM+


def variance_of_ddnm_plus(a, k, b, sigma, noise, variance, kappa):
    """Of x_t given x_0, and of its covariance with ybar, after a step with these shares."""
    return a**2 * b + k**2 * variance + 2 * a * k * kappa + noise**2, a * b + k * kappa


@item(
    "Y09",
    "DDNM+: y is in x_t already, Var[x_t | x_0] = a^2 b + k^2 V + 2 a k kappa + v, above s_t^2",
    right=variance_of_ddnm_plus,
    wrong={
        "the paper's budget": lambda a, k, b, sigma, noise, variance, kappa: (
            a**2 * b + k**2 * sigma**2 + noise**2,
            0.0,
        ),
        "counted once": lambda a, k, b, sigma, noise, variance, kappa: (
            variance_of_ddnm_plus(a, k, b, sigma, noise, variance, kappa / 2)[0],
            a * b + k * kappa,
        ),
        "kappa not carried on": lambda a, k, b, sigma, noise, variance, kappa: (
            variance_of_ddnm_plus(a, k, b, sigma, noise, variance, kappa)[0],
            a * b,
        ),
    },
    bound=1e-10,
)
def budget_of_ddnm_plus(step) -> float:
    """The library's run with a denoiser that knows x_0, at every level, in units of sigma_t^2."""
    s = S[:5]
    op, x0 = Dense(s.diag().numpy()), torch.linspace(-1, 1, 5, dtype=torch.float64)
    b = noise_of_measurement(s, SIGMA_Y) ** 2

    def run(y):
        return ddnm_plus_samples(
            lambda x, sigma: x0.expand_as(x), op, y, LEVELS, sigma_y=SIGMA_Y, eta_ddim=1.0
        )

    law = probe(run, (5,), 5, len(LEVELS) - 1)
    total = SIGMA_Y**2 * law.gain @ law.gain.T + law.cov
    variance, kappa, errors = np.full(5, LEVELS[0] ** 2), np.zeros(5), []
    for t, (sigma, below) in enumerate(itertools.pairwise(LEVELS[:-1])):
        c = ddnm_plus_coefficients(s, sigma, below, SIGMA_Y, eta_ddim=1.0)
        a, k, noise = (number.numpy() for number in (c.y, c.xt, c.noise))
        variance, kappa = step(a, k, b, sigma, noise, variance, kappa)
        # Dense may order its coordinates otherwise; in pixels, here those of s, it does not matter.
        got = np.diag(total)[5 * t : 5 * t + 5]
        errors.append((got - variance) / below**2)
    return largest(*errors)


def by_svd(s, sigma, sigma_next, sigma_y, eta, *, mixed=False):
    """DDNM+ for operators given by an SVD: Lambda, Lambda_noise and eq. 51, in VP images."""
    abar, before = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    a, std, kept = math.sqrt(before), math.sqrt(1 - before), math.sqrt(1 - eta**2)
    rows = []
    for each in s.tolist():
        share, fresh, old = 0.0, eta * std, kept * std
        if each > 0:
            tau = a * sigma_y / each
            above = std > tau
            share = 1.0 if above else kept * std / tau
            fresh = math.sqrt(std**2 - tau**2) if above else eta * std
            old = old if mixed else 0.0
        of_xt = old / math.sqrt(1 - abar) * math.sqrt(abar) / a  # of eps = (x_t - x0_hat) / sigma
        rows.append([1 - share - of_xt, of_xt, share, fresh / a])
    return np.array(rows).T


@item(
    "Y10",
    "the authors' code of DDNM+ by SVD, sigma_y > 0, is DDRM's table with eta_b = 1 everywhere",
    right=by_svd,
    wrong={
        "eq. 17-19, DDPM's kernel": lambda s, sigma, below, sigma_y, eta: np.stack(
            [
                number.expand(s.shape).numpy()
                for number in ddnm_plus_coefficients(s, sigma, below, sigma_y, eta_ddim=1.0)
            ]
        ),
        "eps kept where measured": lambda *args: by_svd(*args, mixed=True),
        "the level left for that entered": lambda s, sigma, below, *rest: by_svd(
            s, 2 * sigma, sigma, *rest
        ),
    },
    bound=1e-13,
)
def ddnm_plus_by_svd(step) -> float:
    """All three cases, at levels where no singular value is on the boundary."""
    errors = []
    for sigma, below in itertools.pairwise(LEVELS[:-1]):
        want = numbers(ddrm_coefficients, S, sigma, below, SIGMA_Y, ETA, 1.0)
        got = step(S, sigma, below, SIGMA_Y, ETA)
        errors.append((got - want) / np.array([1, 1, 1, below])[:, None])
    return largest(*errors)


# ----------------------------------------------------------------------- Y11: RePaint


RHO = 0.8


def stationary(sigma, below, *, known=True):
    """Of the lost pixel of a pair: gain on y and variance after the step to ``below``."""
    det = (1 + sigma**2) ** 2 - RHO**2
    own, other = 1 - sigma**2 * (1 + sigma**2) / det, sigma**2 * RHO / det  # weights of x0_hat
    ratio = (below / sigma) ** 2
    phi, of_known = ratio + (1 - ratio) * own, (1 - ratio) * other
    # What changes in one round: the step's noise, that of the known pixel, and the way up.
    fresh = below**2 * (1 - ratio) + sigma**2 - below**2 + known * of_known**2 * sigma**2
    return RHO / (1 + sigma**2), fresh / (1 - phi**2) - (sigma**2 - below**2)


@item(
    "Y11",
    "RePaint, many resamplings: the lost pixel's mean is E[u_t | k_t = y], rho y / (1 + s_t^2)",
    right=stationary,
    wrong={
        "given y": lambda *a: (RHO, stationary(*a)[1]),
        "the prior's mean": lambda *a: (0.0, stationary(*a)[1]),
        "known pixels without noise": lambda *a: stationary(*a, known=False),
        "the posterior": lambda sigma, below: (RHO, 1 - RHO**2 + below**2),
    },
    bound=1e-12,
)
def harmony_of_repaint(law) -> float:
    """The library's run, 60 resamplings between sigma 1.5 and 0.9: gain and variance."""
    prior = GaussianPrior(
        torch.zeros(2), torch.tensor([[1.0, RHO], [RHO, 1.0]], dtype=torch.float64)
    )
    op, levels, rounds = Inpainting(torch.tensor([True, False])), [1.5, 0.9, 0.0], 60
    options = {"sigma_y": 0.0, "jump": 1, "resamplings": rounds}

    def run(y):
        return [list(repaint_samples(prior, op, y, levels, **options))[-2]]

    got = probe(run, (2,), 1, 2 * rounds)
    gain, variance = law(1.5, 0.9)
    return largest(got.gain[1, 0] - gain, got.cov[1, 1] - variance)


# ---------------------------------------------------------------------- Y12: particles


CHAIN = [8.0, 2.0, 0.7, 0.2, 0.0]
PAIR = GaussianPrior(torch.tensor([0.4, -0.9]), torch.tensor([[1.0, 0.6], [0.6, 0.5]]))
ROW, Y = Dense(np.array([[0.9, -0.3]])), torch.tensor([[1.4]], dtype=torch.float64)


def target(prior) -> tuple[np.ndarray, np.ndarray]:
    given = posterior_law(prior, ROW, sigma_y=SIGMA_Y).given(Y)
    return given.mean[0].numpy(), given.cov.numpy()


def law_of_the_chain() -> GaussianPrior:
    law = ddpm_law(PAIR, CHAIN)
    return GaussianPrior(law.mean, law.cov)


def every_particle(weights, generator):
    return torch.arange(weights.shape[1]).expand(weights.shape)


@item(
    "Y12",
    "particles draw from p_theta(x_0) p(y | x_0) of the chain of N steps, not of the prior",
    right=(lambda: target(law_of_the_chain()), samplers_module._stratified),
    wrong={
        "the prior's posterior": (lambda: target(PAIR), samplers_module._stratified),
        "the chain without y": (
            lambda: (law_of_the_chain().mean.numpy(), law_of_the_chain().cov.numpy()),
            samplers_module._stratified,
        ),
        "weights forgotten": (lambda: target(law_of_the_chain()), every_particle),
    },
    bound=0.0,
)
def target_of_particles(version) -> float:
    """20,000 images of 64 particles, 5 numbers of mean and covariance: z beyond 5 (p < 3e-6)."""
    want, resample = version
    mean, cov = want()
    with mock.patch.object(samplers_module, "_stratified", resample):
        *_, last = particle_samples(
            PAIR,
            ROW,
            Y.expand(20_000, 1),
            CHAIN,
            sigma_y=SIGMA_Y,
            particles=64,
            generator=torch.Generator().manual_seed(4),
        )
    centred, variance = last.x.numpy() - mean, np.diag(cov)
    spread = np.sqrt((np.outer(variance, variance) + cov**2) / 20_000)
    z = largest(
        centred.mean(0) / np.sqrt(variance / 20_000),
        (centred.T @ centred / 20_000 - cov) / spread,
    )
    return max(0.0, z - 5)

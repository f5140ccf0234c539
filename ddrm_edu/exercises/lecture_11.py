"""Exercises of lecture 11: a temperature, the law of one pixel, two sources in one step."""

from __future__ import annotations

import itertools
import math

import torch

from .. import Dense, GaussianNetwork, GaussianPrior, NoiseSchedule, sampler_law
from .engine import Cases, question


@question(
    "11.1",
    "The rate of a temperature",
    kind="paper",
    hints=(
        "Solve for the square root first.",
        "sqrt(1 - eta^2) = 2 tau - 1, which lies between 0 and 1.",
        "eta^2 = 1 - (2 tau - 1)^2 = 4 tau (1 - tau).",
    ),
    mistakes=[
        (lambda tau: 4 * tau * (1 - tau), "That is eta^2. Take its root."),
        (lambda tau: 2 * tau - 1, "That is sqrt(1 - eta^2), the share that is kept, not eta."),
        (lambda tau: math.sqrt(1 - tau**2), "tau is the mean of 1 and the root, not the root."),
        (
            lambda tau: math.sqrt(1 - (1 - 2 * tau)),
            "The square is missing: eta^2 = 1 - (2 tau - 1)^2.",
        ),
    ],
)
def rate_of_a_temperature(answer) -> Cases:
    for eta in (1.0, 0.85, 0.6, 0.1):
        tau = (1 + math.sqrt(1 - eta**2)) / 2
        yield f"tau = {tau:.4g}", answer(tau), eta


def _variance(C, levels, eta, *, kept=math.sqrt, at_next=False, square=True, start=1.0):
    """Slide 16 and G01 for one pixel, with typical slips."""
    var = start * levels[0] ** 2
    for sigma, below in itertools.pairwise(levels):
        L = kept(1 - eta**2) * below / sigma
        level = below if at_next else sigma
        F = (1 - L) * C / (C + level**2) + L
        var = (F**2 if square else F) * var + (eta * below) ** 2
    return var


@question(
    "11.2",
    "The law of one pixel",
    kind="code",
    hints=(
        "Write the step as a multiple F of x plus fresh noise plus a constant.",
        "With L = sqrt(1 - eta^2) sigma' / sigma the prediction has the share 1 - L, and x_theta = "
        "C / (C + sigma^2) x.",
        "F = (1 - L) C / (C + sigma^2) + L and S = F^2 S + (eta sigma')^2, from S = sigma_T^2.",
    ),
    mistakes=[
        (
            lambda C, levels, eta: _variance(C, levels, eta, at_next=True),
            "The denoiser works at the level that x has, sigma_{t+1}, not at the one it goes to.",
        ),
        (
            lambda C, levels, eta: _variance(C, levels, eta, square=False),
            "A variance is multiplied by F^2.",
        ),
        (
            lambda C, levels, eta: _variance(C, levels, eta, kept=lambda value: value),
            "The share that is kept is sqrt(1 - eta^2).",
        ),
        (
            lambda C, levels, eta: _variance(C, levels, eta, start=0.0),
            "The chain starts with variance sigma_T^2, not from a fixed point.",
        ),
        (
            lambda C, levels, eta: C,
            "That is the prior's variance, which DDRM was meant to reach.",
        ),
    ],
)
def law_of_one_pixel(answer) -> Cases:
    runs = [[1.3, 0.0], [2.0, 0.7, 0.0], NoiseSchedule.linear().sigmas(20).tolist()]
    for (C, eta), levels in itertools.product(((1.7, 0.6), (0.4, 1.0)), runs):
        prior = GaussianPrior(torch.zeros(1), torch.tensor([[C]], dtype=torch.float64))
        law = sampler_law(prior, Dense([[0.0]]), levels, sigma_y=0.1, eta=eta)
        where = f"C = {C}, eta = {eta}, {len(levels) - 1} steps"
        yield where, answer(C, levels, eta), law.cov.item()


def _largest_share(sigma_next, sigma, b, kappa, l):  # noqa: E741
    return (math.sqrt((l * kappa) ** 2 + b * (sigma_next**2 - (l * sigma) ** 2)) - l * kappa) / b


@question(
    "11.3",
    "How much of both",
    kind="paper",
    hints=(
        "v >= 0 is a quadratic inequality in a.",
        "b a^2 + 2 l kappa a - (sigma_t^2 - l^2 sigma_{t+1}^2) <= 0: take the positive root.",
        "a = (sqrt(l^2 kappa^2 + b (sigma_t^2 - l^2 sigma_{t+1}^2)) - l kappa) / b.",
    ),
    mistakes=[
        (
            lambda sigma_next, sigma, b, kappa, l: (  # noqa: E741
                math.sqrt(sigma_next**2 - (l * sigma) ** 2) / math.sqrt(b)
            ),
            "The noises of ybar and x_{t+1} are correlated: kappa is missing.",
        ),
        (
            lambda sigma_next, sigma, b, kappa, l: (  # noqa: E741
                _largest_share(sigma_next, sigma, b, kappa / 2, l)
            ),
            "The mixed term of the variance is 2 a l kappa: a factor 2 is missing.",
        ),
        (
            lambda sigma_next, sigma, b, kappa, l: (  # noqa: E741
                _largest_share(sigma_next, sigma, b, -kappa, l)
            ),
            "The correlation takes variance away from the fresh noise: mind the sign of l kappa.",
        ),
        (
            lambda sigma_next, sigma, b, kappa, l: sigma_next / math.sqrt(b),  # noqa: E741
            "That is the limit for l = 0, DDRM's case 1. What x_{t+1} uses is missing.",
        ),
    ],
)
def how_much_of_both(answer) -> Cases:
    """At the right share nothing is left for fresh noise, and the law is that of slide 12."""
    settings = [
        (1.1, 1.7, 0.16, 0.16, 0.0),
        (1.1, 1.7, 0.16, 0.16, 0.2),
        (0.5, 0.8, 0.3, 0.11, 0.4),
    ]
    for sigma_next, sigma, b, kappa, l in settings:  # noqa: E741
        where = f"sigma_t = {sigma_next}, sigma = {sigma}, b = {b}, kappa = {kappa}, l = {l}"
        a = answer(sigma_next, sigma, b, kappa, l)
        yield where, a, _largest_share(sigma_next, sigma, b, kappa, l)
        network = GaussianNetwork()
        network.add("y", offset=[0.0], cov=b)
        network.add("x", {"y": kappa / b}, cov=sigma**2 - kappa**2 / b)
        network.add("next", {"y": a, "x": l})
        yield f"variance of x_t, {where}", network.joint("next").cov.item(), sigma_next**2

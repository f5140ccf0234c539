"""Exercises of lecture 11: a temperature, the law of one pixel, two sources in one step."""

from __future__ import annotations

import itertools
import math

import torch

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.gaussian import GaussianNetwork
from ddrm_edu.law import sampler_law
from ddrm_edu.operators import Dense
from ddrm_edu.priors import GaussianPrior
from ddrm_edu.schedule import NoiseSchedule


@question("11.1", "The rate of a temperature", kind="paper", part="a", of="tau")
@hints(
    "Solve for the square root first.",
    "sqrt(1 - eta^2) = 2 tau - 1, which lies between 0 and 1.",
    "eta^2 = 1 - (2 tau - 1)^2 = 4 tau (1 - tau).",
)
@mistakes(
    lambda tau: 4 * tau * (1 - tau),
    "That is eta^2. Take its root.",
    lambda tau: 2 * tau - 1,
    "That is sqrt(1 - eta^2), the share that is kept, not eta.",
    lambda tau: math.sqrt(1 - tau**2),
    "tau is the mean of 1 and the root, not the root.",
    lambda tau: math.sqrt(1 - (1 - 2 * tau)),
    "The square is missing: eta^2 = 1 - (2 tau - 1)^2.",
    lambda tau: math.sqrt(tau * (1 - tau)),
    "A factor 2 is missing: 1 - (2 tau - 1)^2 = 4 tau (1 - tau).",
    lambda tau: 2 - 2 * tau,
    "That is 1 - sqrt(1 - eta^2): squares add up to 1, not the numbers themselves.",
    lambda tau: 1 - tau,
    "tau = 1/2 is to give eta = 1, where nothing is kept.",
)
def rate_of_a_temperature(answer: Answer) -> Cases:
    for eta in (1.0, 0.85, 0.6, 0.3):
        tau = (1 + math.sqrt(1 - eta**2)) / 2
        yield f"tau = {tau:.4g}", answer(tau), eta


def _variance(
    *,
    kept: Answer = math.sqrt,
    at_next: bool = False,
    square: bool = True,
    start: float = 1.0,
    noise: int = 2,
) -> Answer:
    """Slide 16 and G01 for one pixel, with typical slips."""

    def variance(C: float, levels: list[float], eta: float) -> float:
        var = start * levels[0] ** 2
        for sigma, below in itertools.pairwise(levels):
            L = kept(1 - eta**2) * below / sigma
            level = below if at_next else sigma
            F = (1 - L) * C / (C + level**2) + L
            var = (F**2 if square else F) * var + (eta * below) ** noise
        return var

    return variance


@question("11.2", "The law of one pixel", kind="code", part="a", of="C, levels, eta")
@hints(
    "Write the step as a multiple F of x plus fresh noise plus a constant.",
    "With L = sqrt(1 - eta^2) sigma' / sigma the prediction has the share 1 - L, and "
    "x_theta = C / (C + sigma^2) x.",
    "F = (1 - L) C / (C + sigma^2) + L and S = F^2 S + (eta sigma')^2, from S = sigma_T^2.",
)
@mistakes(
    _variance(at_next=True),
    "The denoiser works at the level that x has, sigma_{t+1}, not at the one it goes to.",
    _variance(square=False),
    "A variance is multiplied by F^2.",
    _variance(kept=lambda value: value),
    "The share that is kept is sqrt(1 - eta^2).",
    _variance(start=0.0),
    "The chain starts with variance sigma_T^2, not from a fixed point.",
    lambda C, levels, eta: C,
    "That is the prior's variance, which DDRM was meant to reach.",
    _variance(noise=1),
    "The variance of eta sigma' xi is (eta sigma')^2.",
    lambda C, levels, eta: _variance()(C, levels[:-1], eta),
    "A step is missing: the last one enters the level 0.",
    lambda C, levels, eta: (1 + math.sqrt(1 - eta**2)) / 2 * C,
    "That is tau C, the limit of many steps. Here the number of steps is finite.",
)
def law_of_one_pixel(answer: Answer) -> Cases:
    runs = [[1.3, 0.0], [2.0, 0.7, 0.0], NoiseSchedule.linear().sigmas(20).tolist()]
    for (C, eta), levels in itertools.product(((1.7, 0.6), (0.4, 1.0)), runs):
        prior = GaussianPrior(torch.zeros(1), tensor([[C]]))
        law = sampler_law(prior, Dense([[0.0]]), levels, sigma_y=0.1, eta=eta)
        where = f"C = {C}, eta = {eta}, {len(levels) - 1} steps"
        yield where, answer(C, levels, eta), law.cov.item()


def _largest_share(times: float = 1.0) -> Answer:
    """The solution, with kappa multiplied."""

    def share(sigma_next: float, sigma: float, b: float, kappa: float, of_x: float) -> float:
        mixed = of_x * kappa * times
        return (math.sqrt(mixed**2 + b * (sigma_next**2 - (of_x * sigma) ** 2)) - mixed) / b

    return share


@question("11.3", "How much of both", kind="paper", part="b", of="sigma_next, sigma, b, kappa, l")
@hints(
    "v >= 0 is a quadratic inequality in a.",
    "b a^2 + 2 l kappa a - (sigma_t^2 - l^2 sigma_{t+1}^2) <= 0: take the positive root.",
    "a = (sqrt(l^2 kappa^2 + b (sigma_t^2 - l^2 sigma_{t+1}^2)) - l kappa) / b.",
)
@mistakes(
    _largest_share(0.0),
    "The noises of ybar and x_{t+1} are correlated: kappa is missing.",
    _largest_share(0.5),
    "The mixed term of the variance is 2 a l kappa: a factor 2 is missing.",
    _largest_share(-1.0),
    "The correlation takes variance away from the fresh noise: mind the sign of l kappa.",
    lambda sigma_next, sigma, b, kappa, of_x: sigma_next / math.sqrt(b),
    "That is the limit for l = 0, DDRM's case 1. What x_{t+1} uses is missing.",
    lambda *numbers: _largest_share()(*numbers) * numbers[2],
    "The quadratic inequality starts with b a^2: divide by b at the end.",
    lambda *numbers: -_largest_share()(*numbers) - 2 * numbers[4] * numbers[3] / numbers[2],
    "That is the other root, the smallest a.",
)
def how_much_of_both(answer: Answer) -> Cases:
    """At the right share nothing is left for fresh noise, and the law is that of slide 12."""
    settings = [
        (1.1, 1.7, 0.16, 0.16, 0.0),
        (1.1, 1.7, 0.16, 0.16, 0.2),
        (0.5, 0.8, 0.3, 0.11, 0.4),
    ]
    for sigma_next, sigma, b, kappa, of_x in settings:
        where = f"sigma_t = {sigma_next}, sigma = {sigma}, b = {b}, kappa = {kappa}, l = {of_x}"
        a = answer(sigma_next, sigma, b, kappa, of_x)
        yield where, a, _largest_share()(sigma_next, sigma, b, kappa, of_x)
        network = GaussianNetwork()
        network.add("y", offset=[0.0], cov=b)
        network.add("x", {"y": kappa / b}, cov=sigma**2 - kappa**2 / b)
        network.add("next", {"y": a, "x": of_x})
        yield f"variance of x_t, {where}", network.joint("next").cov.item(), sigma_next**2

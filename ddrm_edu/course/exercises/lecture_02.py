"""Exercises of lecture 02: jumps between times, a schedule from its levels, a valley that fills."""

from __future__ import annotations

import torch
from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.gaussian import GaussianNetwork
from ddrm_edu.schedule import NoiseSchedule

_BETA = tensor([0, 0.1, 0.25, 0.05, 0.3, 0.15, 0.4])


@question("02.1", "From one time to a later one", kind="paper", of="alpha_bar_s, alpha_bar_t")
@hints(
    "The later image is the earlier one times a number, plus noise independent of it.",
    "f sqrt(alpha_bar_s) must be sqrt(alpha_bar_t); then compare the variances given x_0.",
    "f^2 (1 - alpha_bar_s) + v = 1 - alpha_bar_t, with f^2 = alpha_bar_t / alpha_bar_s.",
)
@mistakes(
    lambda a, b: (b / a, 1 - b / a),
    "This f is the factor of the variances. The factor of the image is its square root.",
    lambda a, b: ((b / a) ** 0.5, a - b),
    "The variances of x_t and x_s differ by that, but the noise in x_s shrinks on the way.",
    lambda a, b: (b**0.5, 1 - b),
    "That is the jump from time 0. Part of its way is done already at time s.",
    lambda a, b: ((b / a) ** 0.5, 1 - b),
    "The factor is right. The variance is smaller, because x_s has noise in it already.",
    lambda a, b: ((b / a) ** 0.5, (1 - b / a) ** 0.5),
    "The second number is a standard deviation, and v is the variance.",
    lambda a, b: (1 - b / a, (b / a) ** 0.5),
    "The pair is (f, v), in this order.",
    lambda a, b: ((a / b) ** 0.5, 1 - a / b),
    "Upside down: alpha_bar falls with time, and the image shrinks.",
    lambda a, b: ((b / a) ** 0.5, b / a),
    "The first number is right. v is what is missing to 1: data of variance 1 keep it.",
    lambda a, b: ((b / a) ** 0.5, (a - b) ** 0.5),
    "v is a variance, and that of x_s shrinks on the way: a difference of the two is not enough.",
)
def jump_between(answer: Answer) -> Cases:
    alpha_bar = NoiseSchedule(_BETA).alpha_bar
    for s, t in ((0, 1), (3, 4), (2, 5)):
        network = GaussianNetwork()
        network.add("x", offset=[0.0], cov=1.0)
        for each in range(s + 1, t + 1):
            name = "x" if each == s + 1 else f"x{each - 1}"
            network.add(f"x{each}", {name: (1 - _BETA[each]).sqrt()}, cov=_BETA[each])
        law = network.joint("x", f"x{t}")
        want = law.cov[0, 1], law.cov[1, 1] - law.cov[0, 1] ** 2
        yield f"s = {s}, t = {t}: (f, v)", answer(*alpha_bar[[s, t]].tolist()), want


def _ratio_upside_down(sigma: Tensor) -> Tensor:
    level = 1 + sigma**2
    return torch.cat([sigma[:1], 1 - level[1:] / level[:-1]])


def _of_ve(sigma: Tensor) -> Tensor:
    return torch.cat([sigma[:1], sigma[1:] ** 2 - sigma[:-1] ** 2])


def _without_placeholder(sigma: Tensor) -> Tensor:
    level = 1 + sigma**2
    return 1 - level[:-1] / level[1:]


@question("02.2", "A schedule from its noise levels", kind="code", of="sigma")
@hints(
    "First alpha_bar_t from sigma_t, then alpha_t from two neighbours of alpha_bar.",
    "alpha_bar_t = 1 / (1 + sigma_t^2), and alpha_t = alpha_bar_t / alpha_bar_{t-1}.",
    "beta_t = 1 - (1 + sigma_{t-1}^2) / (1 + sigma_t^2) for t >= 1, and 0 in front.",
)
@mistakes(
    lambda sigma: sigma**2 / (1 + sigma**2),
    "That is 1 - alpha_bar_t, the noise of all the steps so far. One step is asked.",
    _of_ve,
    "That is the noise that one step adds in the coordinates x_0 + sigma_t eps. The chain of slide "
    "3 also shrinks.",
    _ratio_upside_down,
    "These are negative: the ratio is upside down.",
    _without_placeholder,
    "The values are right, but one is missing: a 0 in front, for t = 0.",
    lambda sigma: 1 - torch.cat([sigma[:1], _without_placeholder(sigma)]),
    "These are the alphas: beta = 1 - alpha.",
    lambda sigma: torch.cat([sigma[:1], -(1 / (1 + sigma**2)).diff()]),
    "alpha_bar is a product: divide its neighbours, and do not subtract them.",
    lambda sigma: torch.cat([sigma[:1], 1 - (1 + sigma[:-1]) / (1 + sigma[1:])]),
    "alpha_bar = 1 / (1 + sigma^2): the square is missing.",
    lambda sigma: 1 / (1 + sigma**2),
    "That is alpha_bar, the product of all the alphas so far.",
)
def betas(answer: Answer) -> Cases:
    two = tensor([0.0, 0.5, 1.5])
    yield "sigma = (0, 0.5, 1.5)", answer(two), tensor([0, 1 - 1 / 1.25, 1 - 1.25 / 3.25])
    for name, schedule in {
        "the levels of a chain of six steps": NoiseSchedule(_BETA),
        "the levels of the cosine schedule": NoiseSchedule.cosine(50),
    }.items():
        yield name, answer(schedule.sigma), schedule.beta


@question("02.3", "When does the valley vanish?", kind="paper", of="m, c")
@hints(
    "A hill N(mu, v) has at 0 the second derivative (mu^2 / v^2 - 1 / v) N(0; mu, v).",
    "So the sign changes where mu^2 = v, with mu and v of the hills of x_t.",
    "alpha_bar m^2 = alpha_bar c + 1 - alpha_bar; in VE: m^2 = c + sigma^2.",
)
@mistakes(
    lambda m, c: 1 / (1 + m**2),
    "The hills have a width of their own, c, which shrinks.",
    lambda m, c: 1 / (m**2 - c),
    "At level alpha_bar the noise has variance 1 - alpha_bar, not 1.",
    lambda m, c: (m**2 - c) ** 0.5,
    "That is the noise level sigma in VE coordinates; alpha_bar = 1 / (1 + sigma^2).",
    lambda m, c: 1 / (1 + m - c),
    "Compare the variance with the square of the mean.",
    lambda m, c: 1 / (1 + m**2 + c),
    "Check the sign of c: wide hills lose their valley sooner.",
    lambda m, c: (1 + m**2 - c) ** -0.5,
    "That is the root of alpha_bar, by which the image is multiplied.",
    lambda m, c: m**2 - c,
    "That is sigma^2 in VE coordinates; alpha_bar = 1 / (1 + sigma^2).",
    lambda m, c: 1 - 1 / (1 + m**2 - c),
    "That is 1 - alpha_bar, the share of the noise.",
)
def valley(answer: Answer) -> Cases:
    for m, c in ((1.0, 0.0), (1.3, 0.2), (0.7, 0.3)):
        low, high = 0.0, 1.0  # flat with noise only, a valley without any
        for _ in range(60):
            a = (low + high) / 2
            curved = a * m**2 > a * c + 1 - a
            low, high = (low, a) if curved else (a, high)
        yield f"m = {m}, c = {c}", answer(m, c), low

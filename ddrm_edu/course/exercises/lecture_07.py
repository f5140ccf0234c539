"""Exercises of lecture 07: dependent noise, shares of a variance, both parents, a statement."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddrm_edu.course.answers import Unfit, described, numbers, parts
from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.gaussian import Gaussian


def _std_of_fresh(sigma: float, b: float, eta_b: float) -> float:
    return math.sqrt(sigma**2 - eta_b**2 * b)


@question(
    "07.1", "Fresh noise that is not so fresh", kind="paper", part="a", of="sigma, b, eta_b, rho"
)
@hints(
    "Write x_t - x_0 as a sum of two terms, each a number times a unit noise.",
    "Var(A + B) = Var A + Var B + 2 Cov(A, B), and the first two add up to sigma_t^2.",
    "Cov(A, B) = rho times the two standard deviations: eta_b sqrt(b) and "
    "sqrt(sigma_t^2 - eta_b^2 b).",
)
@mistakes(
    lambda sigma, b, eta_b, rho: sigma**2,
    "That is Hint 2, whose condition, independence, has just been removed.",
    lambda sigma, b, eta_b, rho: sigma**2 + rho * eta_b * b**0.5 * _std_of_fresh(sigma, b, eta_b),
    "Nearly: the covariance enters the variance of a sum twice.",
    lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * b**0.5 * _std_of_fresh(sigma, b, eta_b),
    "The noise of ybar arrives in x_t multiplied by eta_b, in the covariance as well.",
    lambda sigma, b, eta_b, rho: (
        sigma**2 + 2 * rho * eta_b**2 * b * _std_of_fresh(sigma, b, eta_b) ** 2
    ),
    "A covariance is rho times standard deviations, not times variances.",
    lambda sigma, b, eta_b, rho: (
        sigma**2 - 2 * rho * eta_b * b**0.5 * _std_of_fresh(sigma, b, eta_b)
    ),
    "The variance of a sum has plus twice the covariance.",
    lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * eta_b * b**0.5 * sigma,
    "The fresh noise has the standard deviation sqrt(sigma^2 - eta_b^2 b), not sigma.",
    lambda sigma, b, eta_b, rho: math.sqrt(
        sigma**2 + 2 * rho * eta_b * b**0.5 * _std_of_fresh(sigma, b, eta_b)
    ),
    "That is the standard deviation.",
    lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * eta_b * b * _std_of_fresh(sigma, b, eta_b),
    "b is the variance of ybar; a covariance contains its root.",
)
def dependent_noise(answer: Answer) -> Cases:
    for sigma, b, eta_b, rho in (
        (1.0, 0.25, 1.0, 0.0),
        (1.0, 0.25, 1.0, 0.5),
        (0.8, 0.09, 0.7, 0.3),
        (0.9, 0.16, 1.4, -0.6),
    ):
        terms = tensor([[eta_b * b**0.5, _std_of_fresh(sigma, b, eta_b)]])
        total = Gaussian(torch.zeros(2), tensor([[1.0, rho], [rho, 1.0]])).push(terms)
        case = f"sigma = {sigma}, b = {b}, eta_b = {eta_b}, rho = {rho}"
        yield case, answer(sigma, b, eta_b, rho), total.cov[0, 0]


def _parts(
    s: Tensor,
    sigma: float,
    sigma_next: float,
    sigma_y: float,
    eta: float,
    eta_b: float,
    *,
    strict: bool = False,
    power: int = 2,
    unit: bool = True,
    rows: int = 3,
    above: float | None = None,
) -> Tensor:
    """The shares of one step, right with the defaults."""
    level = s * (sigma_next if above is None else above)
    first = level > sigma_y if strict else level >= sigma_y
    b = torch.where(s > 0, sigma_y / s, 0.0) ** 2
    from_y = torch.where(first, eta_b**power * b, (1 - eta**2) * sigma_next**2)
    from_above = torch.where(s > 0, 0.0, from_y)
    from_y = torch.where(s > 0, from_y, 0.0)
    if rows == 2:  # what is not fresh is said to come from ybar
        from_y, from_above = from_y + from_above, 0 * from_y
    fresh = sigma_next**2 - from_y - from_above
    return torch.stack([fresh, from_y, from_above]) / (sigma_next**2 if unit else 1.0)


@question(
    "07.2",
    "The bars of one step",
    kind="code",
    part="a",
    of="s, sigma, sigma_next, sigma_y, eta, eta_b",
)
@hints(
    "Each share is (weight times standard deviation)^2 / sigma_next^2, case by case.",
    "Where s > 0 the share of ybar is eta_b^2 b / sigma_next^2 in case 1 and 1 - eta^2 in case 2; "
    "where s = 0 the share of x_{t+1} is 1 - eta^2.",
    "Compute above = s * sigma_next >= sigma_y, then use torch.where twice and "
    "torch.stack([1 - from_y - from_above, from_y, from_above]).",
)
@mistakes(
    lambda *step: _parts(*step, strict=True),
    "Look at the boundary s sigma_next == sigma_y: slide 11 has >= there, not >.",
    lambda *step: _parts(*step, power=1),
    "Your shares add up to 1, but the variance of eta_b ybar is not eta_b b.",
    lambda *step: _parts(*step, unit=False),
    "These are variances; divide by sigma_next^2 for shares.",
    lambda *step: _parts(*step, rows=2),
    "Where s = 0 there is no ybar: what is kept comes from the level above.",
    lambda *step: _parts(*step)[[1, 0, 2]],
    "The rows are fresh, ybar, x_{t+1}, in this order.",
    lambda *step: _parts(*step).sqrt(),
    "A share is one of a variance. Yours are standard deviations: their squares add up to 1.",
    lambda s, sigma, sigma_next, sigma_y, eta, eta_b: _parts(
        s, sigma, sigma_next, sigma_y, eta**0.5, eta_b
    ),
    "The fresh share is eta^2, and what is kept is 1 - eta^2.",
    lambda s, sigma, *step: _parts(s, sigma, *step, above=sigma),
    "The case is that of the level which is entered: compare s sigma_next with sigma_y.",
)
def shares(answer: Answer) -> Cases:
    two, generic = [2.0, 0.1], [1.7, 0.8, 0.5, 0.31, 0.04, 0.0, 0.0]
    for name, values, *step in (
        ("one coordinate in case 1, one in case 2", two, 1.5, 0.8, 0.5, 0.6, 0.7),
        ("s = 0", [0.0], 1.5, 0.8, 0.5, 0.6, 0.7),
        ("the boundary", [0.5], 0.8, 0.5, 0.25, 0.6, 0.7),
        ("seven coordinates", generic, 2.1, 0.8, 0.31, 0.85, 0.9),
    ):
        s = tensor(values)
        sigma, sigma_next, sigma_y, eta, eta_b = step
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
        tau = torch.where(s > 0, sigma_y / s, 0.0)
        parts = torch.stack([c.noise, c.y * tau, c.xt * sigma]) ** 2
        yield name, answer(s, *step), parts / sigma_next**2


def _both(*, mixed: float = 2.0, direct_only: bool = False, at_next: bool = False) -> Answer:
    """The variance of the fresh noise and the covariance with ybar, with one thing changed."""

    def answer(
        sigma: float, sigma_next: float, b: float, kappa: float, a_y: float, a_x: float
    ) -> tuple[float, float]:
        of_x = a_x**2 * (sigma_next if at_next else sigma) ** 2
        v = sigma_next**2 - a_y**2 * b - of_x - mixed * a_y * a_x * kappa
        return v, a_y * b + (0.0 if direct_only else a_x * kappa)

    return answer


@question(
    "07.3",
    "A kernel that uses both",
    kind="paper",
    part="b",
    of="sigma, sigma_next, b, kappa, a_y, a_x",
)
@hints(
    "Given x_0, only three terms of x_t are random: a_y ybar, a_x x_{t+1} and the fresh noise.",
    "The first two are correlated: their sum has the variance "
    "a_y^2 b + a_x^2 sigma_{t+1}^2 + 2 a_y a_x kappa.",
    "v is what is missing to sigma_t^2, and Cov(ybar, x_t) = a_y b + a_x kappa.",
)
@mistakes(
    _both(mixed=0.0),
    "Hint 2 without its condition: ybar and x_{t+1} are correlated, by kappa.",
    _both(mixed=1.0),
    "The covariance of the two terms enters the variance of their sum twice.",
    _both(direct_only=True),
    "Your v is right. But x_t depends on ybar in two ways: directly and through x_{t+1}.",
    _both(at_next=True),
    "The variance of x_{t+1} is sigma_{t+1}^2, that of the level above.",
    lambda *numbers: _both()(*numbers)[::-1],
    "The pair is (v, covariance), in this order.",
    _both(mixed=-2.0),
    "The mixed term adds to the variance of the sum, so it is taken from v.",
    lambda *numbers: _both()(*numbers)[0],
    "That is v. The covariance with ybar is asked for as well: enter the pair.",
)
def both_parents(answer: Answer) -> Cases:
    for sigma, sigma_next, b, kappa, a_y, a_x in (
        (2.0, 1.0, 0.25, 0.25, 1.0, 0.0),
        (2.0, 1.0, 0.25, 0.25, 0.5, 0.25),
        (1.9, 0.8, 0.36, 0.3, 0.7, 0.2),
        (0.9, 0.7, 1.21, -0.4, 0.3, 0.5),
    ):
        parents = tensor([[b, kappa], [kappa, sigma**2]])
        law = Gaussian(torch.zeros(2), parents).joint(tensor([[a_y, a_x]])).cov
        want = sigma_next**2 - law[2, 2], law[0, 2]
        case = f"sigma = {sigma}, sigma_next = {sigma_next}, b = {b}, kappa = {kappa}, "
        case += f"a_y = {a_y}, a_x = {a_x}"
        yield case, answer(sigma, sigma_next, b, kappa, a_y, a_x), want


@question("07.4", "Read a statement", kind="paper", part="b")
@hints(
    "Ask of each part of the formula whether it makes sense under the hypotheses: a division, a "
    "root, a variance.",
    "The variance of the fresh noise must not be negative, and nothing that is written "
    "prevents it.",
    "Take s = sigma_y = sigma_t = 1 and an eta_b above 1.",
)
@mistakes(
    (1.0, 1.0, 1.0, 1.0),
    "Here the fresh variance is not negative, so the statement holds.",
    (1.0, 2.0, 1.0, 1.0),
    "These numbers break a hypothesis that is there: sigma_y / s is above sigma_t.",
    (1.0, 1.0, 1.0, -2.0),
    "These numbers break a hypothesis that is there: eta_b is negative.",
    (1.0, -5.0, 1.0, 1.0),
    "These numbers break a hypothesis that is there: sigma_y is negative.",
    (0.0, 1.0, 1.0, 2.0),
    "These numbers break a hypothesis that is there: 0 < s.",
)
def missing_hypothesis(answer: Answer) -> Cases:
    four = [numbers(part) for part in parts(answer, "s, sigma_y, sigma_t, eta_b")]
    if not all(each is not None and each.ndim == 0 and each.isfinite() for each in four):
        raise Unfit(f"four finite numbers are due, but your answer is {described(answer)}")
    s, sigma_y, sigma_t, eta_b = (float(number) for number in four if number is not None)
    yield "0 <= sigma_y", sigma_y >= 0, True
    yield "0 < s", s > 0, True
    if s <= 0:
        return
    yield "sigma_y / s <= sigma_t", sigma_y / s <= sigma_t, True
    yield "0 <= eta_b", eta_b >= 0, True
    b = (sigma_y / s) ** 2
    variance = eta_b**2 * b + max(sigma_t**2 - eta_b**2 * b, 0.0)
    yield "the statement fails", abs(variance - sigma_t**2) > 1e-9, True

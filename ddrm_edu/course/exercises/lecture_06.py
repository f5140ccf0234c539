"""Exercises of lecture 06: the largest eta_b, slide 11 as a table, crossing the boundary."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import inference_network


@question("06.1", "The largest weight of a measurement", kind="paper", of="sigma, s, sigma_y")
@hints(
    "What does slide 11 subtract from sigma^2 in case 1, and when is the difference negative?",
    "sigma^2 - eta_b^2 sigma_y^2 / s^2 >= 0. Solve for eta_b.",
    "eta_b <= s sigma / sigma_y.",
)
@mistakes(
    lambda sigma, s, sigma_y: 1.0,
    "That is the range of slide 11. The variance stays positive beyond it.",
    lambda sigma, s, sigma_y: (s * sigma / sigma_y) ** 2,
    "That is the largest eta_b^2.",
    lambda sigma, s, sigma_y: sigma_y / (s * sigma),
    "Upside down: the better the measurement, the larger the range.",
    lambda sigma, s, sigma_y: 2 * (s * sigma) ** 2 / ((s * sigma) ** 2 + sigma_y**2),
    "That is the choice of Theorem 3.2, inside of the range. Where does the range end?",
    lambda sigma, s, sigma_y: sigma / sigma_y,
    "The noise of ybar is sigma_y / s: where is s?",
    lambda sigma, s, sigma_y: (s * sigma / sigma_y) ** 0.5,
    "The variance contains eta_b^2, and all else is squared there, too: the roots cancel.",
    lambda sigma, s, sigma_y: sigma**2 - (sigma_y / s) ** 2,
    "That is the variance of the fresh noise at eta_b = 1. For which eta_b does it become 0?",
)
def largest_eta_b(answer: Answer) -> Cases:
    for sigma, s, sigma_y in ((0.5, 1.0, 0.25), (0.9, 1.7, 0.31), (12.5, 0.31, 0.2)):
        limit, beyond = answer(sigma, s, sigma_y), s * sigma / sigma_y
        yield f"sigma = {sigma}, s = {s}, sigma_y = {sigma_y}", limit, beyond


def _root(eta: float) -> float:
    return math.sqrt(1 - eta**2)


def _by_table(
    strict: bool = False,
    root: Answer = _root,
    square: bool = True,
    zero_as_2: bool = False,
    left: bool = False,
) -> Answer:
    """Slide 11 with one thing changed."""

    def table(
        s: Tensor, sigma: float, sigma_next: float, sigma_y: float, eta: float, eta_b: float
    ) -> Tensor:
        product, kept, zero = s * sigma_next, root(eta), torch.zeros_like(s)
        level = s * sigma if left else product
        first = (s > 0) & (level > sigma_y if strict else level >= sigma_y)
        second = (s > 0) & ~first | (zero_as_2 & (s == 0))
        below = kept * product / (sigma_y or 1.0)
        y = torch.where(first, zero + eta_b, torch.where(second, below, zero))
        xt = torch.where(first | second, zero, zero + kept * sigma_next / sigma)
        b = (sigma_y / torch.where(first, s, zero + 1)) ** 2
        variance = sigma_next**2 - (eta_b**2 if square else eta_b) * b
        variance = torch.where(first, variance.clamp(min=0), (eta * sigma_next) ** 2)
        return torch.stack([1 - xt - y, xt, y, variance.sqrt()])

    return table


def _variances(*arguments: Any) -> Tensor:
    c = _by_table()(*arguments)
    return torch.cat([c[:3], c[3:] ** 2])


@question(
    "06.2",
    "Slide 11 as a table",
    kind="code",
    of="s, sigma, sigma_next, sigma_y, eta, eta_b",
)
@hints(
    "Fill the weight of ybar and that of x_{t+1} first; x_0 gets what is left of 1.",
    "Compare s * sigma_next with sigma_y, equality included; and s = 0 is case 3 always.",
    "y: eta_b, c s sigma_next / sigma_y, 0. xt: 0, 0, c sigma_next / sigma. Noise: the root of "
    "sigma_next^2 - (eta_b sigma_y / s)^2, then eta sigma_next twice; c = sqrt(1 - eta^2).",
)
@mistakes(
    _by_table(strict=True),
    "On the boundary, s sigma_next = sigma_y, the slide says >=: that is case 1.",
    _by_table(root=lambda eta: math.sqrt(1 - eta)),
    "The weight that is kept is sqrt(1 - eta^2), so that its square and eta^2 add to 1.",
    _by_table(root=lambda eta: 1 - eta),
    "Variances add up, not standard deviations: keep sqrt(1 - eta^2), not 1 - eta.",
    _by_table(square=False),
    "The noise of eta_b ybar has the variance eta_b^2 sigma_y^2 / s^2.",
    _variances,
    "The last row is a standard deviation; these are variances.",
    _by_table(zero_as_2=True),
    "Where s = 0 there is no measurement: that coordinate looks at x_{t+1}.",
    _by_table(left=True),
    "The case is that of the level which is entered: compare s sigma_next with sigma_y.",
    lambda *arguments: _by_table()(*arguments)[[1, 0, 2, 3]],
    "The rows are the weights of x_0, of x_{t+1} and of ybar, in this order, and the noise.",
    _by_table(root=lambda eta: 1 - eta**2),
    "1 - eta^2 is the share of the variance; a weight is its root.",
)
def slide_11_as_a_table(answer: Answer) -> Cases:
    names = ("of x_0", "of x_{t+1}", "of ybar", "of the noise")
    for values, sigma, sigma_next, sigma_y, eta, eta_b in (
        ([1.0, 0.25, 0.0], 1.0, 0.5, 0.25, 0.6, 0.7),
        ([1.75, 0.875, 0.5, 0.0], 2.5, 0.625, 0.3125, 0.85, 0.4),
        ([0.5, 0.3, 0.1], 4.0, 0.75, 0.1875, 0.3, 1.0),
        ([0.8, 0.0], 1.0, 0.5, 0.0, 0.6, 0.7),
    ):
        s = tensor(values)
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
        got = answer(s, sigma, sigma_next, sigma_y, eta, eta_b)
        where = f"s = {s.tolist()}, from {sigma} to {sigma_next}, sigma_y = {sigma_y}"
        yield f"{where}, rows {', '.join(names)}", got, torch.stack(c)


@question("06.3", "Crossing the boundary", kind="paper", of="sigma_above, tau, eta, eta_b")
@hints(
    "Given x_0 both levels contain the noise of ybar. With which weights?",
    "x_{t+1} contains eta_b tau xi_y, and x_t contains sqrt(1 - eta^2) sigma_t xi_y.",
    "Divide the product of the two weights by sigma_t sigma_{t+1}.",
)
@mistakes(
    lambda sigma_above, tau, eta, eta_b: math.sqrt(1 - eta**2),
    "That is the correlation in case 3, where x_t looks at x_{t+1}.",
    lambda sigma_above, tau, eta, eta_b: 1 - eta**2,
    "That is the correlation if both levels are in case 2.",
    lambda sigma_above, tau, eta, eta_b: eta_b * tau / sigma_above,
    "Case 2 keeps only a part of the noise of ybar; where is eta?",
    lambda sigma_above, tau, eta, eta_b: 0.0,
    "They are uncorrelated given x_0 and y. Here y is not given.",
    lambda sigma_above, tau, eta, eta_b: eta_b * (tau / sigma_above) * math.sqrt(1 - eta**2) * tau,
    "In case 2 the weight of xi_y is sqrt(1 - eta^2) sigma_t: tau cancels there.",
    lambda sigma_above, tau, eta, eta_b: eta_b * (1 - eta**2) * tau / sigma_above,
    "1 - eta^2 is the share of a variance. xi_y enters x_t with its root.",
    lambda sigma_above, tau, eta, eta_b: eta_b * math.sqrt(1 - eta**2) * tau,
    "That is a covariance, in units of sigma_t. Divide by the deviation of x_{t+1}, too.",
)
def crossing_the_boundary(answer: Answer) -> Cases:
    for s, above, sigma, sigma_y, eta, eta_b in (
        (1.0, 0.8, 0.2, 0.5, 0.6, 1.0),
        (0.6, 1.1, 0.3, 0.31, 0.85, 0.7),
        (0.2, 4.0, 0.5, 0.3, 0.3, 1.4),
    ):
        spectrum = tensor([s])
        known = Gaussian(tensor([0.7]), tensor([[0.0]]))
        levels = tensor([9.0, above, sigma, 0.0])
        rates = {"eta": eta, "eta_b": eta_b}
        network = inference_network(known, spectrum, levels, sigma_y=sigma_y, **rates)
        cov = network.joint("x1", "x2").cov
        want = cov[0, 1] / (cov[0, 0] * cov[1, 1]).sqrt()
        tau = sigma_y / s
        description = f"sigma_(t+1) = {above}, tau = {tau:.4g}, eta = {eta}, eta_b = {eta_b}"
        yield description, answer(above, tau, eta, eta_b), want

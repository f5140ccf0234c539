"""Exercises of lecture 01: the pseudo-inverse, coloured noise, the step of Langevin dynamics."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddrm_edu.course.answers import Unfit, described, numbers, parts
from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, normal, question, tensor
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.langevin import langevin_law, stationary_law
from ddrm_edu.operators import Dense
from ddrm_edu.priors import GaussianPrior


def _covariance(seed: int, n: int) -> Tensor:
    root = normal(seed, n, n)
    return root @ root.T / n + 0.1 * torch.eye(n, dtype=torch.float64)


_SPECTRA = (
    ("s = (2,)", [2.0], [1.5], 0.6),
    ("s = (2, 0)", [2.0, 0.0], [1.5, 0.7], 0.6),
    ("s = (1.3, 0, 0.2, 0.5)", [1.3, 0.0, 0.2, 0.5], [0.9, 2.0, 1.1, 0.3], 0.25),
)


def _on(measured: Answer, lost: Answer) -> Answer:
    """The sum of ``measured`` where s > 0 and of ``lost`` elsewhere."""

    def answer(s: Tensor, c: Tensor, sigma_y: float) -> Tensor:
        seen = s > 0
        return measured(s[seen], c[seen], sigma_y).sum() + lost(c[~seen]).sum()

    return answer


_cost = _on(lambda s, c, sigma_y: sigma_y**2 / s**2, lambda c: c)


@question("01.1", "What the pseudo-inverse costs", kind="paper", of="s, c, sigma_y")
@hints(
    "Look at one coordinate with s > 0, then at one with s = 0; errors of both kinds add up.",
    "Where s > 0 the coordinate of H^+ y is x_i + z_i / s_i; where s = 0 it is 0.",
    "sigma_y^2 / s_i^2 for each s_i > 0, and c_i for each s_i = 0.",
)
@mistakes(
    _on(lambda s, c, sigma_y: sigma_y**2 / s**2, lambda c: 0 * c),
    "The lost coordinates are set to 0, and the truth is not 0 there.",
    _on(lambda s, c, sigma_y: sigma_y / s, lambda c: c),
    "sigma_y / s is the standard deviation; squared errors need the variance.",
    _on(lambda s, c, sigma_y: sigma_y**2 * s**2, lambda c: c),
    "H multiplies by s and H^+ divides by it: small s makes large noise.",
    _on(lambda s, c, sigma_y: 1 / (1 / c + s**2 / sigma_y**2), lambda c: c),
    "That is the risk of the posterior mean, the best that is possible, not that of H^+.",
    _on(lambda s, c, sigma_y: sigma_y**2 / s**2 + c, lambda c: c),
    "Where s > 0 the coordinate itself comes back exactly: only the noise is an error.",
    lambda s, c, sigma_y: _cost(s, c, sigma_y) / len(s),
    "That is the mean over the coordinates. The square of a length is their sum.",
    lambda s, c, sigma_y: (sigma_y**2 / s**2).sum(),
    "Where s = 0, H^+ does not divide: it puts 0, which is wrong by the coordinate itself.",
)
def cost_of_the_pseudo_inverse(answer: Answer) -> Cases:
    for description, values, variances, sigma_y in _SPECTRA:
        s, c = tensor(values), tensor(variances)
        op = Dense(torch.diag(s))
        units = torch.eye(len(s), dtype=torch.float64)
        of_noise = op.pinv(units).T  # how the error depends on z, and on x
        of_x = op.pinv(op(units)).T - units
        want = sigma_y**2 * of_noise.square().sum() + (of_x.square() * c).sum()
        yield f"{description}, sigma_y = {sigma_y}", answer(s, c, sigma_y), want


_NOISY = (
    ("one measurement", normal(0, 1, 2), normal(1, 1), tensor([[0.3]])),
    ("two, uncorrelated", normal(2, 2, 3), normal(3, 2), tensor([0.3, 2.0]).diag()),
    ("three, correlated", normal(4, 3, 2), normal(5, 3), _covariance(6, 3)),
    ("four, correlated", normal(7, 4, 6), normal(8, 4), _covariance(9, 4)),
)


def _times(matrix: Callable[[Tensor], Tensor], *, also_y: bool = True) -> Answer:
    """The pair that ``matrix(R)`` makes of H and y."""
    return lambda H, y, R: (matrix(R) @ H, matrix(R) @ y if also_y else y)


def _pair(answer: Answer, n: int) -> tuple[Tensor, Tensor]:
    """The new H, of shape (m, n), and the new y, of shape (m,)."""
    H, y = (numbers(part) for part in parts(answer, "H_new, y_new"))
    if H is None or y is None or H.numel() != n * y.numel():
        due = f"the pair of H_new, of shape (k, {n}), and y_new, of shape (k,), is due"
        raise Unfit(f"{due}, but your answer is {described(answer)}")
    return H.reshape(-1, n), y.reshape(-1)


def _inverse_factor(R: Tensor) -> Tensor:
    return torch.linalg.inv(torch.linalg.cholesky(R))


@question("01.2", "Make the noise isotropic", kind="code", of="H, y, R")
@hints(
    "Multiply the equation by a matrix W from the left. Which W makes Cov(W z) = I?",
    "Cov(W z) = W R W^T. With a Cholesky factor, R = L L^T.",
    "W = L^{-1}: return inv(cholesky(R)) @ H and inv(cholesky(R)) @ y.",
)
@mistakes(
    _times(torch.linalg.cholesky),
    "Cov(L z) = L R L^T. You want to undo the colouring L, not to repeat it.",
    _times(torch.linalg.inv),
    "Cov(R^{-1} z) = R^{-1}: take a root of R^{-1}, not all of it.",
    _times(_inverse_factor, also_y=False),
    "The equation has two sides: y must be multiplied by the same matrix as H.",
    _times(lambda R: torch.diag(R.diagonal().rsqrt())),
    "This gives every entry variance 1, but leaves them correlated.",
    _times(lambda R: _inverse_factor(R).T),
    "W R W^T = I asks for W = L^{-1}; its transpose does not solve it.",
    lambda H, y, R: (H, y),
    "Nothing is changed: the noise still has the covariance R.",
    _times(lambda R: torch.diag(1 / R.diagonal())),
    "Divide by standard deviations, not by variances; and the correlations are still there.",
)
def isotropic_noise(answer: Answer) -> Cases:
    for description, H, y, R in _NOISY:
        H_new, y_new = _pair(answer(H, y, R), H.shape[1])
        inverse = torch.linalg.inv(R)
        name = f"{description}: what y says, H^T H of the new pair"
        yield name, H_new.T @ H_new, H.T @ inverse @ H
        prior = GaussianPrior(torch.ones(H.shape[1]), _covariance(10, H.shape[1]))
        mean = prior.posterior(Dense(H_new), y_new[None], sigma_y=1.0).mean[0]
        gain = prior.cov @ H.T @ torch.linalg.inv(H @ prior.cov @ H.T + R)
        name = f"{description}: posterior mean for some prior"
        yield name, mean, prior.mean + gain @ (y - H @ prior.mean)


_TARGETS = (
    ("variance 1", torch.eye(1).double(), 0.1, 0.01),
    ("variances 0.2 and 3", tensor([0.2, 3.0]).diag(), 0.05, 0.05),
    ("a full covariance of 4 x 4", _covariance(11, 4), 0.2, 0.02),
)


def _budget(step_of: Answer, steps_of: Answer) -> Answer:
    """Answers that take a step from the variances and a number of steps from the step."""

    def answer(C: Tensor, bias: float, left: float) -> tuple[float, int]:
        variances = torch.linalg.eigvalsh(C)
        step = step_of(variances, bias)
        return step, steps_of(variances, step, left)

    return answer


def _steps(index: int) -> Answer:
    return lambda v, step, left: math.ceil(math.log(left) / math.log(1 - step / v[index].item()))


def _step(index: int, factor: float) -> Answer:
    return lambda v, bias: factor * v[index].item() * bias / (1 + bias)


_largest_budget = _budget(_step(0, 2.0), _steps(-1))


def _fewer(step: float, steps: int) -> tuple[float, int]:
    return step, steps - 1


@question("01.3", "A budget for Langevin dynamics", kind="code", of="C, bias, left")
@hints(
    "The narrowest direction limits the step, the widest one sets the time.",
    "Variance c becomes c / (1 - step / (2 c)); the mean keeps (1 - step / c) per step.",
    "step = 2 c_min bias / (1 + bias); steps = ceil(log(left) / log(1 - step / c_max)).",
)
@mistakes(
    _budget(_step(0, 2.0), _steps(0)),
    "The step is right. But the narrowest direction is the first to forget; wait for the widest.",
    _budget(_step(0, 1.0), _steps(-1)),
    "The factor is 1 / (1 - step / (2 c)): the slide's noise is sqrt(2 step), not sqrt(step), and "
    "a 2 is missing.",
    _budget(lambda v, bias: 2 * v[0].item() * bias, _steps(-1)),
    "1 / (1 - a) = 1 + bias gives a = bias / (1 + bias); a = bias is its first order.",
    _budget(lambda v, bias: 2 * v[0].item(), _steps(-1)),
    "That is the limit of stability. There the bias is infinite.",
    lambda C, bias, left: _largest_budget(C, bias, left)[::-1],
    "The pair is (step, steps), in this order.",
    lambda C, bias, left: _fewer(*_largest_budget(C, bias, left)),
    "One step too few: the last one is not complete, so round up.",
    _budget(
        _step(0, 2.0), lambda v, step, left: math.log(left) / math.log(1 - step / v[-1].item())
    ),
    "The number of steps is to be a whole one: round up.",
    lambda C, bias, left: _largest_budget(C.diagonal().diag(), bias, left),
    "The diagonal holds the variances along the axes. The narrowest and the widest direction of a "
    "full covariance are its eigenvectors.",
)
def langevin_budget(answer: Answer) -> Cases:
    for description, C, bias, left in _TARGETS:
        step, steps = parts(answer(C, bias, left), "step, steps")
        target = Gaussian(torch.zeros(len(C)), C)
        due = _bisected(target, bias)
        yield f"{description}: the step", step, due
        yield f"{description}: the number of steps", steps, _waited(target, due, left)


def _bisected(target: Gaussian, bias: float) -> float:
    """The step at which the largest relative excess of a stationary variance is ``bias``."""
    low, high = 0.0, 2 * torch.linalg.eigvalsh(target.cov)[0].item()
    for _ in range(60):
        middle = (low + high) / 2
        try:
            ended = stationary_law(target, step=middle).cov
            excess = torch.linalg.eigvals(torch.linalg.solve(target.cov, ended)).real.max() - 1
            low, high = (middle, high) if excess <= bias else (low, middle)
        except ValueError:
            high = middle
    return low


def _waited(target: Gaussian, step: float, left: float) -> int:
    """The first number of steps after which no start keeps more than ``left`` of its distance."""
    axes = torch.linalg.eigh(target.cov)[1]
    start = Gaussian(axes[:, -1], torch.zeros_like(target.cov))
    return 1 + bisect.bisect_left(
        range(1, 100_000),
        True,
        key=lambda k: bool(langevin_law(target, start, step=step, steps=k).mean.norm() <= left),
    )

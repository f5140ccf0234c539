"""Exercises of lecture 14: the weights of x_t and y, moment matching, where DDIM ends."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, normal, question, tensor
from ddrm_edu.guidance import ExactDenoiser
from ddrm_edu.law import ddpm_law
from ddrm_edu.operators import Dense
from ddrm_edu.priors import GaussianPrior


def _weights(
    *, prior: float = 1.0, state: float = 1.0, power: int = 2, in_y: bool = False
) -> Answer:
    """Shares of x_t and ybar by precisions, with typical slips."""

    def weights(C: float, s: float, sigma: float, sigma_y: float) -> tuple[float, float]:
        of_x, of_y = state / sigma**power, (s / sigma_y) ** power
        total = prior / C + of_x + of_y
        return of_x / total, of_y / total / (s if in_y else 1.0)

    return weights


@question("14.1", "The weights of x_t and y", kind="paper", of="C, s, sigma, sigma_y")
@hints(
    "Three independent pieces of news about x_0: the prior, x_t and ybar. Precisions add.",
    "The precisions are 1/C, 1/sigma^2 and s^2/sigma_y^2.",
    "a = (1/sigma^2) / (1/C + 1/sigma^2 + s^2/sigma_y^2), and b has s^2/sigma_y^2 above.",
)
@mistakes(
    _weights(prior=0.0),
    "The prior knows something, too: its precision 1/C is missing below.",
    _weights(state=0.0),
    "x_t is forgotten, as in DDRM's cases 1 and 2. Its precision is 1/sigma^2.",
    _weights(power=1),
    "A precision is one over a variance, not over a standard deviation.",
    _weights(in_y=True),
    "That is the weight of y. ybar = y / s has noise of variance sigma_y^2 / s^2.",
    lambda C, s, sigma, sigma_y: _weights()(C, s, sigma, sigma_y)[::-1],
    "The two weights are exchanged: that of x_t comes first.",
    lambda C, s, sigma, sigma_y: _weights()(C, 1.0, sigma, sigma_y),
    "The singular value is missing: ybar has noise sigma_y / s.",
    lambda C, s, sigma, sigma_y: (C / (C + sigma**2), C / (C + (sigma_y / s) ** 2)),
    "Each weight is right if the other were not seen. Together they must share.",
)
def weights_of_x_and_y(answer: Answer) -> Cases:
    settings = [(1.0, 1.0, 1.0, 1.0), (1.7, 0.8, 0.6, 0.4), (0.3, 0.2, 2.5, 0.15)]
    for C, s, sigma, sigma_y in settings:
        prior, op = GaussianPrior(tensor([0.0]), tensor([[C]])), Dense(tensor([[s]]))
        y, x = tensor([[0.0], [s]]), tensor([[1.0], [0.0]])
        want = ExactDenoiser(prior, op, y, sigma_y=sigma_y)(x, sigma)
        where = f"C = {C}, s = {s}, sigma = {sigma}, sigma_y = {sigma_y}"
        yield where, answer(C, s, sigma, sigma_y), (want[0, 0], want[1, 0])


def _matched(x0_hat: Tensor, K: Tensor, H: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    inner = H @ K @ H.T + noise
    return x0_hat + K @ H.T @ torch.linalg.solve(inner, y - H @ x0_hat)


def _with_noise(times: float = 1.0, power: int = 2) -> Answer:
    def guided(x0_hat: Tensor, K: Tensor, H: Tensor, y: Tensor, sigma_y: float) -> Tensor:
        return _matched(x0_hat, K, H, y, times * sigma_y**power * torch.eye(len(y), dtype=y.dtype))

    return guided


def _unit_inside(x0_hat: Tensor, K: Tensor, H: Tensor, y: Tensor, sigma_y: float) -> Tensor:
    inner = H @ H.T + sigma_y**2 * torch.eye(len(y), dtype=y.dtype)
    return x0_hat + K @ H.T @ torch.linalg.solve(inner, y - H @ x0_hat)


def _unit_outside(x0_hat: Tensor, K: Tensor, H: Tensor, y: Tensor, sigma_y: float) -> Tensor:
    inner = H @ K @ H.T + sigma_y**2 * torch.eye(len(y), dtype=y.dtype)
    return x0_hat + H.T @ torch.linalg.solve(inner, y - H @ x0_hat)


def _replaced(x0_hat: Tensor, K: Tensor, H: Tensor, y: Tensor, sigma_y: float) -> Tensor:
    return x0_hat + torch.linalg.pinv(H) @ (y - H @ x0_hat)


@question("14.2", "Moment matching", kind="code", of="x0_hat, K, H, y, sigma_y")
@hints(
    "It is formula Y01, for one image: x0_hat is a vector (n,), y a vector (m,).",
    "torch.linalg.solve(A, r) gives the w of A w = r; A = H K H^T + sigma_y^2 I has m rows.",
    "x0_hat + K @ H.T @ torch.linalg.solve(H @ K @ H.T + sigma_y**2 * I, y - H @ x0_hat).",
)
@mistakes(
    _with_noise(0.0),
    "y has noise: sigma_y^2 I is missing in the system.",
    _with_noise(power=1),
    "The noise enters by its variance, sigma_y^2.",
    _unit_inside,
    "In the inverse stands H K H^T, not H H^T. With r^2 H H^T it would be PiGDM.",
    _unit_outside,
    "K is missing on the left, and so what was not measured directly is not told.",
    _replaced,
    "That is DDNM: what was measured is replaced, with its noise.",
    lambda x0_hat, K, H, y, sigma_y: 2 * x0_hat - _with_noise()(x0_hat, K, H, y, sigma_y),
    "The sign: the prediction moves towards y, by y - H x0_hat.",
    lambda x0_hat, K, H, y, sigma_y: _with_noise()(x0_hat, K, H, y, sigma_y) - x0_hat,
    "That is how far the prediction moves. Add x0_hat.",
    lambda x0_hat, K, H, y, sigma_y: _with_noise()(x0_hat, K, H, y + H @ x0_hat, sigma_y),
    "y - H x0_hat, not y: what the prediction knows already is no news.",
)
def moment_matching(answer: Answer) -> Cases:
    for seed, (n, m), sigma_y in ((1, (1, 1), 0.5), (2, (3, 2), 0.3), (3, (5, 3), 1.4)):
        root, H = normal(seed, n, n), normal(seed + 10, m, n)
        K, x0_hat, y = root @ root.T / n, normal(seed + 20, n), normal(seed + 30, m)
        at_x0 = GaussianPrior(x0_hat, K).posterior(Dense(H), y[None], sigma_y=sigma_y)
        where = f"n = {n}, m = {m}, sigma_y = {sigma_y}"
        yield where, answer(x0_hat, K, H, y, sigma_y), at_x0.mean[0]


def _end(
    *,
    at_next: bool = False,
    power: int = 2,
    last: int | None = None,
    start: str = "0",
    fresh: bool = False,
) -> Answer:
    """DDIM with E[x_0 | x_t, y] of one coordinate, with typical slips."""

    def end(mu: float, v: float, levels: list[float]) -> tuple[float, float]:
        mean = mu if start == "mu" else 0.0
        var = levels[0] ** 2 + (v if start == "v" else 0.0)
        for sigma, below in list(itertools.pairwise(levels))[:last]:
            kept = below / sigma
            kept = kept**2 if fresh else kept
            level = below if at_next else sigma
            F = kept + (1 - kept) * v / (v + level**2)
            mean, var = mu + F * (mean - mu), F**power * var
            var += below**2 * (1 - kept) if fresh else 0.0
        return mean, var

    return end


@question("14.3", "Where DDIM ends", kind="code", of="mu, v, levels")
@hints(
    "x - mu is multiplied by a number F in each step; there is no fresh noise.",
    "x' = x0_hat + (sigma' / sigma) (x - x0_hat) with x0_hat - mu = v / (v + sigma^2) (x - mu).",
    "F = g + (1 - g) sigma' / sigma, g = v / (v + sigma^2); mean' - mu = F (mean - mu) from 0.",
)
@mistakes(
    _end(at_next=True),
    "The prediction is made at the level that x has, sigma, not at the one it goes to.",
    _end(power=1),
    "A variance is multiplied by F^2.",
    _end(last=-1),
    "A step is missing: the last one enters the level 0 and lands on the prediction.",
    _end(start="mu"),
    "The start does not know mu: its mean is 0.",
    _end(start="v"),
    "The start is N(0, sigma_T^2): the image's own variance v is not in it.",
    _end(fresh=True),
    "That is DDPM, eta = 1. With eta = 0 all of the old noise is kept, and there is no fresh one.",
    lambda mu, v, levels: (mu, v),
    "That is where it should end. It never quite does.",
    lambda mu, v, levels: (_end()(mu, v, levels)[0], math.sqrt(_end()(mu, v, levels)[1])),
    "The variance is asked for, not the standard deviation.",
)
def end_of_ddim(answer: Answer) -> Cases:
    runs = [[1.3, 0.0], [2.0, 0.7, 0.0], [9.0, 4.0, 1.5, 0.4, 0.1, 0.0]]
    for (mu, v), levels in itertools.product(((0.8, 1.7), (-1.2, 0.3)), runs):
        law = ddpm_law(GaussianPrior(tensor([mu]), tensor([[v]])), tensor(levels), eta_ddim=0.0)
        where = f"mu = {mu}, v = {v}, {len(levels) - 1} steps"
        yield where, answer(mu, v, levels), (law.mean.item(), law.cov.item())

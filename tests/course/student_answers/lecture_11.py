"""Answers to the exercises of lecture 11 as students give them."""

import cmath
import itertools
import math

import numpy as np
import torch

from ddrm_edu import Dense, GaussianPrior, sampler_law


def rate_by_bisection(tau):
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        too_warm = (1 + math.sqrt(1 - middle**2)) / 2 > tau
        low, high = (middle, high) if too_warm else (low, middle)
    return low


def variance(C, levels, eta):
    S = levels[0] ** 2
    for sigma, below in itertools.pairwise(levels):
        kept = (1 - eta**2) ** 0.5 * below / sigma
        F = (1 - kept) * C / (C + sigma**2) + kept
        S = F**2 * S + (eta * below) ** 2
    return S


def variance_in_numpy(C, levels, eta):
    levels = np.array(levels)
    kept = np.sqrt(1 - eta**2) * levels[1:] / levels[:-1]
    F = kept + (1 - kept) * C / (C + levels[:-1] ** 2)
    noise = np.concatenate([levels[:1] ** 2, (eta * levels[1:]) ** 2])
    onwards = np.append(np.cumprod(F[::-1])[::-1], 1.0)
    return np.float32(np.sum(onwards**2 * noise))


def variance_in_single_precision(C, levels, eta):
    C, eta = torch.tensor(C), torch.tensor(eta)  # float32, as torch makes them
    S = torch.tensor(levels[0]) ** 2
    for sigma, below in itertools.pairwise(torch.tensor(levels)):
        kept = (1 - eta**2).sqrt() * below / sigma
        F = (1 - kept) * C / (C + sigma**2) + kept
        S = F**2 * S + (eta * below) ** 2
    return S


def variance_by_the_library(C, levels, eta):
    prior = GaussianPrior([0.0], [[C]])
    return sampler_law(prior, Dense([[0.0]]), levels, sigma_y=1.0, eta=eta).cov


def variance_by_recursion(C, levels, eta):
    *above, sigma, below = levels
    kept = math.sqrt(1 - eta**2) * below / sigma
    F = 1 - (1 - kept) * sigma**2 / (C + sigma**2)
    before = variance_by_recursion(C, [*above, sigma], eta) if above else sigma**2
    return F**2 * before + (eta * below) ** 2


def another(*, kept=math.sqrt, late=False, power=2, start=1.0, noise=2, last=None):
    def answer(C, levels, eta):
        S = start * levels[0] ** 2
        for sigma, below in list(itertools.pairwise(levels))[:last]:
            L = kept(1 - eta**2) * below / sigma
            F = (1 - L) * C / (C + (below if late else sigma) ** 2) + L
            S = F**power * S + (eta * below) ** noise
        return S

    return answer


def share(t, s, b, kappa, of_x):
    room = t**2 - (of_x * s) ** 2
    return (((of_x * kappa) ** 2 + b * room) ** 0.5 - of_x * kappa) / b


def share_by_numpy(t, s, b, kappa, of_x):
    return np.roots([b, 2 * of_x * kappa, of_x**2 * s**2 - t**2]).max()


def share_by_bisection(t, s, b, kappa, of_x):
    low, high = 0.0, 100.0
    for _ in range(100):
        a = (low + high) / 2
        v = t**2 - a**2 * b - of_x**2 * s**2 - 2 * a * of_x * kappa
        low, high = (a, high) if v >= 0 else (low, a)
    return low


def share_the_other_way(t, s, b, kappa, of_x):
    room = t**2 - (of_x * s) ** 2
    return cmath.sqrt(room / b + (of_x * kappa / b) ** 2) - of_x * kappa / b


RIGHT = {
    "11.1": [
        lambda tau: 2 * (tau * (1 - tau)) ** 0.5,
        lambda tau: math.sqrt(1 - (2 * tau - 1) ** 2),
        lambda tau: math.sin(math.acos(2 * tau - 1)),
        rate_by_bisection,
        lambda tau: torch.tensor([4 * tau - 4 * tau**2]).double().sqrt(),
    ],
    "11.2": [
        variance,
        variance_in_numpy,
        variance_in_single_precision,
        variance_by_the_library,
        variance_by_recursion,
    ],
    "11.3": [share, share_by_numpy, share_by_bisection, share_the_other_way],
}
WRONG = {
    "11.1": [
        lambda tau: 4 * tau * (1 - tau),
        lambda tau: 2 * tau - 1,
        lambda tau: math.sqrt(1 - tau**2),
        lambda tau: math.sqrt(2 * tau),
        lambda tau: math.sqrt(tau * (1 - tau)),
        lambda tau: 2 - 2 * tau,
        lambda tau: math.sqrt(2 - 2 * tau),
        lambda tau: (1 + math.sqrt(1 - tau**2)) / 2,
        lambda tau: 1 - tau,
        lambda tau: torch.sqrt(tau),
    ],
    "11.2": [
        another(late=True),
        another(power=1),
        another(kept=lambda value: value),
        another(start=0),
        lambda C, levels, eta: C,
        another(noise=1),
        another(last=-1),
        lambda C, levels, eta: math.sqrt(variance(C, levels, eta)),
        lambda C, levels, eta: (1 + math.sqrt(1 - eta**2)) / 2 * C,
        lambda C, levels, eta: variance(C, levels[::-1], eta),
        lambda C, levels, eta: variance(C, levels, 0),
    ],
    "11.3": [
        lambda t, s, b, kappa, of_x: math.sqrt((t**2 - (of_x * s) ** 2) / b),
        lambda t, s, b, kappa, of_x: share(t, s, b, kappa / 2, of_x),
        lambda t, s, b, kappa, of_x: share(t, s, b, -kappa, of_x),
        lambda t, s, b, kappa, of_x: t / math.sqrt(b),
        lambda t, s, b, kappa, of_x: share(t, s, b, kappa, of_x) * b,
        lambda t, s, b, kappa, of_x: np.roots([b, 2 * of_x * kappa, of_x**2 * s**2 - t**2]).min(),
        lambda t, s, b, kappa, of_x: share(t, s, b, kappa, of_x) / 2,
        lambda t, s, b, kappa, of_x: share(s, t, b, kappa, 0),
        lambda t, s, b, kappa, of_x: (t - of_x * s) / math.sqrt(b),
        lambda t, s, b, kappa, of_x: share(t, s, b**0.5, kappa, of_x),
    ],
}

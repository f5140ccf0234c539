"""Answers to the exercises of lecture 02 as students give them."""

import math

import numpy as np
import sympy
import torch

from ddrm_edu import NoiseSchedule


def betas(sigma):
    alpha_bar = 1 / (1 + sigma**2)
    return torch.cat([torch.zeros_like(sigma[:1]), 1 - alpha_bar[1:] / alpha_bar[:-1]])


def betas_by_a_loop(sigma):
    found = [0.0]
    for t in range(1, len(sigma)):
        found.append(float((sigma[t] ** 2 - sigma[t - 1] ** 2) / (1 + sigma[t] ** 2)))
    return found


def betas_by_logarithms(sigma):
    level = np.log1p(np.asarray(sigma) ** 2)
    return -np.expm1(-np.diff(level, prepend=0.0))


def betas_by_rolling(sigma):
    level = 1 + sigma**2
    beta = 1 - level.roll(1) / level
    beta[0] = 0
    return beta


def valley_by_bisection(m, c):
    def curvature(a):
        v = a * c + 1 - a
        return a * m**2 / v**2 - 1 / v

    low, high = 1e-9, 1 - 1e-9
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if curvature(middle) < 0 else (low, middle)
    return low


def valley_by_sympy(m, c):
    a = sympy.symbols("a", positive=True)
    equation = sympy.Eq(a * sympy.nsimplify(m) ** 2, a * sympy.nsimplify(c) + 1 - a)
    return sympy.solve(equation, a)[0]


def jump_by_two_means(a, b):
    f = math.sqrt(b) / math.sqrt(a)
    return f, 1 - b - f**2 * (1 - a)


RIGHT = {
    "02.1": [
        lambda a, b: ((b / a) ** 0.5, 1 - b / a),
        jump_by_two_means,
        lambda a, b: {"f": math.exp((math.log(b) - math.log(a)) / 2), "v": (a - b) / a},
        lambda a, b: np.array([np.sqrt(b / a), -np.expm1(np.log(b / a))], dtype=np.float32),
        lambda alpha_bar_s, alpha_bar_t: torch.tensor(
            [[alpha_bar_t**0.5 * alpha_bar_s**-0.5], [1 - alpha_bar_t / alpha_bar_s]]
        ),
    ],
    "02.2": [betas, betas_by_a_loop, betas_by_logarithms, betas_by_rolling],
    "02.3": [
        lambda m, c: 1 / (1 + m**2 - c),
        valley_by_bisection,
        valley_by_sympy,
        lambda m, c: 1 / (1 + (m - c**0.5) * (m + c**0.5)),
    ],
}
WRONG = {
    "02.1": [
        lambda a, b: (b / a, 1 - b / a),
        lambda a, b: (math.sqrt(b / a), a - b),
        lambda a, b: (math.sqrt(b), 1 - b),
        lambda a, b: (math.sqrt(b / a), 1 - b),
        lambda a, b: (math.sqrt(b / a), math.sqrt(1 - b / a)),
        lambda a, b: (1 - b / a, math.sqrt(b / a)),
        lambda a, b: (math.sqrt(a / b), 1 - a / b),
        lambda a, b: (math.sqrt(b / a), math.sqrt(a - b)),
        lambda a, b: math.sqrt(b / a),
        lambda a, b: (math.sqrt(b / a), b / a),
    ],
    "02.2": [
        lambda sigma: 1 - 1 / (1 + sigma**2),
        lambda sigma: torch.cat([sigma[:1], sigma[1:] ** 2 - sigma[:-1] ** 2]),
        lambda sigma: torch.cat([sigma[:1], 1 - (1 + sigma[1:] ** 2) / (1 + sigma[:-1] ** 2)]),
        lambda sigma: betas(sigma)[1:],
        lambda sigma: 1 - betas(sigma),
        lambda sigma: torch.cat([sigma[:1], (1 / (1 + sigma**2))[:-1] - (1 / (1 + sigma**2))[1:]]),
        lambda sigma: 1 / (1 + sigma**2),
        lambda sigma: betas(sigma**0.5),
        lambda sigma: NoiseSchedule.linear(len(sigma) - 1).beta,
        lambda sigma: torch.cat([betas(sigma)[1:], sigma[:1]]),
    ],
    "02.3": [
        lambda m, c: 1 / (m**2 + 1),
        lambda m, c: 1 / (m**2 - c),
        lambda m, c: math.sqrt(m**2 - c),
        lambda m, c: 1 / (1 + m - c),
        lambda m, c: 1 / (1 + m**2 + c),
        lambda m, c: math.sqrt(1 / (1 + m**2 - c)),
        lambda m, c: m**2 - c,
        lambda m, c: 1 / (1 + m**2 - c**2),
        lambda m, c: 1 - 1 / (1 + m**2 - c),
    ],
}

"""Answers to the exercises of lecture 03 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu.gaussian import Gaussian


def variance_by_conditioning(V, alpha_bar, beta):
    S = alpha_bar * V + 1 - alpha_bar
    shared = math.sqrt(1 - beta) * S
    return S - shared**2 / ((1 - beta) * S + beta)


def variance_by_the_library(V, alpha_bar, beta):
    S = alpha_bar * V + 1 - alpha_bar
    x = Gaussian(torch.zeros(1), torch.tensor([[S]]).double())
    joint = x.joint([[(1 - beta) ** 0.5]], cov=[[beta]])
    cov = np.asarray(joint.cov)
    return 1 / np.linalg.inv(cov)[0, 0]


def long_step(a, b):
    ratio = b / a
    c_0 = a**0.5 * (1 - ratio) / (1 - b)
    c_t = ratio**0.5 * (1 - a) / (1 - b)
    return c_0, c_t, (1 - a) / (1 - b) * (1 - ratio)


def long_step_by_precisions(alpha_bar_s, alpha_bar_t):
    ratio = alpha_bar_t / alpha_bar_s
    v = 1 / (1 / (1 - alpha_bar_s) + ratio / (1 - ratio))
    c_0 = v * math.sqrt(alpha_bar_s) / (1 - alpha_bar_s)
    return c_0, v * math.sqrt(ratio) / (1 - ratio), v


def long_step_by_conditioning(a, b):
    f = np.sqrt(b / a)
    gain = f * (1 - a) / (1 - b)  # of x_t - sqrt(b) x_0
    return np.float32([np.sqrt(a) - gain * np.sqrt(b), gain, (1 - a) * (1 - gain * f)])


def long_step_in_ve(a, b):
    low, high = 1 / a - 1, 1 / b - 1
    share = 1 - low / high  # of x_0 in x_s / sqrt(a)
    return {
        "c_0": math.sqrt(a) * share,
        "c_t": math.sqrt(a / b) * (1 - share),
        "v": a * low * share,
    }


def price(m, V, a):
    S = a * V + 1 - a
    return (S + a * m**2 - 1 - math.log(S)) / 2


def price_by_torch(m, V, alpha_bar):
    start = torch.distributions.Normal(alpha_bar**0.5 * m, (alpha_bar * V + 1 - alpha_bar) ** 0.5)
    return torch.distributions.kl_divergence(start, torch.distributions.Normal(0.0, 1.0))


def price_by_an_integral(m, V, a):
    S = a * V + 1 - a
    x = np.linspace(-12, 12, 20_001)
    q = np.exp(-((x - math.sqrt(a) * m) ** 2) / (2 * S)) / math.sqrt(2 * math.pi * S)
    p = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return np.sum(q * np.log(np.maximum(q, 1e-300) / p)) * (x[1] - x[0])


def price_by_entropies(m, V, a):
    S = a * V + 1 - a
    crossed = (math.log(2 * math.pi) + S + a * m**2) / 2
    return crossed - math.log(2 * math.pi * math.e * S) / 2


def changed(place, number):
    def answer(a, b):
        numbers = list(long_step(a, b))
        numbers[place] = number(a, b)
        return tuple(numbers)

    return answer


RIGHT = {
    "03.1": [
        lambda V, a, b: b * (a * V + 1 - a) / ((1 - b) * (a * V + 1 - a) + b),
        lambda V, a, b: 1 / (1 / (a * V + 1 - a) + (1 - b) / b),
        variance_by_conditioning,
        variance_by_the_library,
        lambda V, a, b: b * (1 - b / ((1 - b) * (a * V + 1 - a) + b)) / (1 - b),
    ],
    "03.2": [long_step, long_step_by_precisions, long_step_by_conditioning, long_step_in_ve],
    "03.3": [price, price_by_torch, price_by_an_integral, price_by_entropies],
}
WRONG = {
    "03.1": [
        lambda V, a, b: (1 - a) / (1 - a * (1 - b)) * b,
        lambda V, a, b: b,
        lambda V, a, b: 1 / (1 / V + (1 - b) / b),
        lambda V, a, b: (a * V + 1 - a) * (1 - (1 - b) * (a * V + 1 - a)),
        lambda V, a, b: math.sqrt(variance_by_conditioning(V, a, b)),
        lambda V, a, b: 1 / (1 / (a * V + 1 - a) + 1 / b),
        lambda V, a, b: (1 - b) * (a * V + 1 - a) + b,
        lambda V, a, b: variance_by_conditioning(V, a, 1 - b),
        lambda V, a, b: 1 / (a * V + 1 - a) + (1 - b) / b,
        lambda V, a, b: a * V + 1 - a,
    ],
    "03.2": [
        lambda a, b: (long_step(a, b)[1], long_step(a, b)[0], long_step(a, b)[2]),
        changed(2, lambda a, b: 1 - b / a),
        changed(0, lambda a, b: math.sqrt(b) * (1 - b / a) / (1 - b)),
        changed(1, lambda a, b: b / a * (1 - a) / (1 - b)),
        changed(2, lambda a, b: math.sqrt((1 - a) / (1 - b) * (1 - b / a))),
        lambda a, b: long_step(a, b)[:2],
        lambda a, b: long_step(b, a),
        lambda a, b: (math.sqrt(a), 0, 1 - a),
        changed(1, lambda a, b: math.sqrt(b) * (1 - a) / (1 - b)),
        changed(2, lambda a, b: (1 - b) / (1 - a) * (1 - b / a)),
    ],
    "03.3": [
        lambda m, V, a: (a * (m**2 + V) - a - math.log(1 - a)) / 2,
        lambda m, V, a: price(0, V, a),
        lambda m, V, a: 2 * price(m, V, a),
        lambda m, V, a: 0,
        lambda m, V, a: price(m, V, a) + math.log(a * V + 1 - a),
        lambda m, V, a: ((1 + a * m**2) / (a * V + 1 - a) + math.log(a * V + 1 - a) - 1) / 2,
        lambda m, V, a: (V + m**2 - 1 - math.log(V)) / 2,
        lambda m, V, a: (a * V + 1 - a + math.sqrt(a) * m - 1 - math.log(a * V + 1 - a)) / 2,
        lambda m, V, a: price(m, V, a) + math.log(2 * math.pi * math.e * V) / 2,
        lambda m, V, a: -price(m, V, a),
    ],
}

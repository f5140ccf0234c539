"""Answers to the exercises of lecture 04 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu.denoisers import score_from_x0, x0_from_v


def weight_by_a_divergence(sigma, sigma_next):
    K = 1 - sigma_next**2 / sigma**2
    return K**2 / (2 * sigma_next**2 * K)


def weight_by_snr(sigma, sigma_next):
    before, after = (a / (1 - a) for a in (1 / (1 + sigma**2), 1 / (1 + sigma_next**2)))
    return np.float32(0.5) * (after - before)


def x0_from(x, sigma, v):
    return (x - sigma * (1 + sigma**2) ** 0.5 * v) / (1 + sigma**2)


def score_by_eps(x, sigma, v):
    a = 1 / (1 + sigma**2)
    eps = math.sqrt(a) * v + math.sqrt(1 - a) * math.sqrt(a) * x
    return -eps / sigma


def score_by_equations(x, sigma, v):
    A = np.array([[1, sigma], [-sigma, 1]])
    b = np.stack([np.asarray(x)[0], math.sqrt(1 + sigma**2) * np.asarray(v)[0]])
    return -np.linalg.solve(A, b)[1] / sigma


def ddim(x, eps, abar, abar_next, eta, z):
    x_theta = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
    v = eta**2 * (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)
    return abar_next**0.5 * x_theta + (1 - abar_next - v) ** 0.5 * eps + v**0.5 * z


def ddim_in_one_formula(x, eps, abar, abar_next, eta, z):
    f = math.sqrt(abar_next / abar)
    v = eta**2 * (1 - abar_next) * (abar_next - abar) / ((1 - abar) * abar_next)
    return f * x + (math.sqrt(1 - abar_next - v) - f * math.sqrt(1 - abar)) * eps + math.sqrt(v) * z


def ddim_in_numpy(x, eps, abar, abar_next, eta, z):
    x, eps, z = (np.asarray(each, dtype=np.float32) for each in (x, eps, z))
    x_theta = (x - np.sqrt(1 - abar) * eps) / np.sqrt(abar)
    s = eta * np.sqrt((1 - abar_next) / (1 - abar)) * np.sqrt(1 - abar / abar_next)
    return np.sqrt(abar_next) * x_theta + np.sqrt(1 - abar_next - s**2) * eps + s * z


def ddim_in_ve(x, eps, abar, abar_next, eta, z):
    sigma, below = (math.sqrt(1 / a - 1) for a in (abar, abar_next))
    x0 = x / abar**0.5 - sigma * eps
    fresh = eta * below * math.sqrt(1 - below**2 / sigma**2)
    return abar_next**0.5 * (x0 + math.sqrt(below**2 - fresh**2) * eps + fresh * z)


def another_ddim(fresh=None, old=None, scale=True, z_too=True, level=None):
    def step(x, eps, abar, abar_next, eta, z):
        tilde = (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)
        v = eta**2 * tilde if fresh is None else fresh(eta, tilde, abar_next)
        x_theta = (x - math.sqrt(1 - abar) * eps) / math.sqrt(abar if level is None else abar_next)
        kept = math.sqrt(1 - abar_next - v) if old is None else old(abar_next, v)
        first = x_theta * (math.sqrt(abar_next) if scale else 1)
        return first + kept * eps + math.sqrt(v) * (z if z_too else 0)

    return step


RIGHT = {
    "04.1": [
        lambda sigma, sigma_next: (1 / sigma_next**2 - 1 / sigma**2) / 2,
        weight_by_a_divergence,
        weight_by_snr,
        lambda s, t: (s - t) * (s + t) / (2 * s**2 * t**2),
        lambda s, t: torch.tensor([s, t]).double().pow(-2).diff() / 2,
    ],
    "04.2": [
        lambda x, sigma, v: -(x + (1 + sigma**2) ** 0.5 / sigma * v) / (1 + sigma**2),
        lambda x, sigma, v: (x0_from(x, sigma, v) - x) / sigma**2,
        score_by_eps,
        score_by_equations,
        lambda x, sigma, v: score_from_x0(x, sigma, x0_from_v(x, sigma, v)),
    ],
    "04.3": [ddim, ddim_in_one_formula, ddim_in_numpy, ddim_in_ve],
}
WRONG = {
    "04.1": [
        lambda s, t: 1 / t**2 - 1 / s**2,
        lambda s, t: (1 - t**2 / s**2) ** 2 / 2,
        lambda s, t: (1 / s**2 - 1 / t**2) / 2,
        lambda s, t: s**2 * (1 / t**2 - 1 / s**2) / 2,
        lambda s, t: (1 - t**2 / s**2) ** 2 / (2 * t**2),
        lambda s, t: (s**2 - t**2) / 2,
        lambda s, t: (1 / t - 1 / s) / 2,
        lambda s, t: 1 / (2 * t**2),
        lambda s, t: (1 - t**2 / s**2) / t**2,
    ],
    "04.2": [
        x0_from,
        lambda x, sigma, v: (x - x0_from(x, sigma, v)) / sigma**2,
        lambda x, sigma, v: (x0_from(x, sigma, v) - x) / sigma,
        lambda x, sigma, v: -v / sigma,
        lambda x, sigma, v: (
            ((x / (1 + sigma**2) ** 0.5 - sigma * v / (1 + sigma**2) ** 0.5) - x) / sigma**2
        ),
        lambda x, sigma, v: -(x + v / sigma) / (1 + sigma**2),
        lambda x, sigma, v: -x / (1 + sigma**2),
        lambda x, sigma, v: -(x - (1 + sigma**2) ** 0.5 / sigma * v) / (1 + sigma**2),
        lambda x, sigma, v: -(sigma * x + (1 + sigma**2) ** 0.5 * v) / (1 + sigma**2),
        lambda x, sigma, v: -torch.sqrt(sigma) * v,
    ],
    "04.3": [
        another_ddim(old=lambda a, v: math.sqrt(1 - a)),
        another_ddim(fresh=lambda eta, tilde, a: eta * tilde),
        another_ddim(fresh=lambda eta, tilde, a: eta**2 * (1 - a)),
        another_ddim(z_too=False),
        another_ddim(scale=False),
        another_ddim(fresh=lambda eta, tilde, a: eta**2 * tilde**2),
        another_ddim(old=lambda a, v: math.sqrt(1 - a) - math.sqrt(v)),
        another_ddim(level="next"),
        lambda x, eps, abar, abar_next, eta, z: ddim(x, z, abar, abar_next, eta, eps),
        lambda x, eps, abar, abar_next, eta, z: ddim(x, eps, abar_next, abar, eta, z),
    ],
}

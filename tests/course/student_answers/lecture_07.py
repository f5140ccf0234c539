"""Answers to the exercises of lecture 07 as students give them."""

import math
from fractions import Fraction

import numpy as np
import torch


def variance(sigma, b, eta_b, rho):
    fresh = (sigma**2 - eta_b**2 * b) ** 0.5
    return sigma**2 + 2 * rho * eta_b * b**0.5 * fresh


def variance_by_a_quadratic_form(sigma, b, eta_b, rho):
    w = np.array([eta_b * np.sqrt(b), np.sqrt(sigma**2 - eta_b**2 * b)])
    return w @ np.array([[1, rho], [rho, 1]]) @ w


def variance_by_squares(sigma, b, eta_b, rho):
    old, fresh = eta_b * math.sqrt(b), math.sqrt(sigma**2 - eta_b**2 * b)
    return (old + rho * fresh) ** 2 + (1 - rho**2) * fresh**2


def parts(s, sigma, sigma_next, sigma_y, eta, eta_b):
    above = s * sigma_next >= sigma_y
    kept = torch.full_like(s, 1 - eta**2)
    from_y = torch.where(above, (eta_b * sigma_y / (s * sigma_next)) ** 2, kept)
    from_y = torch.where(s > 0, from_y, torch.zeros_like(s))
    from_above = torch.where(s > 0, torch.zeros_like(s), kept)
    return torch.stack([1 - from_y - from_above, from_y, from_above])


def parts_by_a_loop(s, sigma, sigma_next, sigma_y, eta, eta_b):
    rows = []
    for one in s:
        if one == 0:
            rows.append((eta**2, 0, 1 - eta**2))
        elif one * sigma_next >= sigma_y:
            share = float((eta_b * sigma_y / one / sigma_next) ** 2)
            rows.append((1 - share, share, 0))
        else:
            rows.append((eta**2, 1 - eta**2, 0))
    return list(zip(*rows, strict=True))


def parts_by_variances(s, sigma, sigma_next, sigma_y, eta, eta_b):
    s = np.asarray(s)
    tau = sigma_y / np.where(s > 0, s, 1)
    first, third = (s > 0) & (s * sigma_next >= sigma_y), s == 0
    weight_y = np.where(first, eta_b, np.sqrt(1 - eta**2) * sigma_next / tau) * ~third
    weight_x = np.sqrt(1 - eta**2) * sigma_next / sigma * third
    old, above = (weight_y * tau) ** 2, (weight_x * sigma) ** 2
    return {
        "fresh": 1 - (old + above) / sigma_next**2,
        "y": old / sigma_next**2,
        "x": above / sigma_next**2,
    }


def parts_by_sorting_the_cases(s, sigma, sigma_next, sigma_y, eta, eta_b):
    case = torch.where(s == 0, 2, torch.where(s * sigma_next < sigma_y, 1, 0))
    columns = torch.tensor([[0, eta**2, eta**2], [0, 1 - eta**2, 0], [0, 0, 1 - eta**2]])
    out = columns[:, case].double()
    share = (eta_b * sigma_y / (s[case == 0] * sigma_next)) ** 2
    out[0, case == 0], out[1, case == 0] = 1 - share, share
    return out.float()


def another(*, strict=False, power=2, unit=2, swapped=False, s_0=True, level=False):
    def answer(s, sigma, sigma_next, sigma_y, eta, eta_b):
        rows = []
        entered = sigma if level else sigma_next
        for one in s.tolist():
            first = one * entered > sigma_y if strict else one * entered >= sigma_y
            if one == 0:
                rows.append((eta**2, 0, 1 - eta**2) if s_0 else (eta**2, 1 - eta**2, 0))
            elif first:
                share = eta_b**power * (sigma_y / one / sigma_next) ** 2
                rows.append((1 - share, share, 0))
            else:
                rows.append((eta**2, 1 - eta**2, 0))
        out = np.array(rows).T * sigma_next ** (2 - unit)
        return out[::-1].copy() if swapped else out

    return answer


def both(sigma, sigma_next, b, kappa, a_y, a_x):
    v = sigma_next**2 - a_y**2 * b - a_x**2 * sigma**2 - 2 * a_y * a_x * kappa
    return v, a_y * b + a_x * kappa


def both_by_matrices(sigma, sigma_next, b, kappa, a_y, a_x):
    C, a = np.array([[b, kappa], [kappa, sigma**2]]), np.array([a_y, a_x])
    return sigma_next**2 - a @ C @ a, (C @ a)[0]


def both_by_a_root(sigma, sigma_next, b, kappa, a_y, a_x):
    L = torch.linalg.cholesky(torch.tensor([[b, kappa], [kappa, sigma**2]]))
    mixed = torch.tensor([a_y, a_x]) @ L
    return torch.stack([sigma_next**2 - mixed.square().sum(), mixed[0] * L[0, 0]])


def both_by_completing_a_square(sigma, sigma_next, b, kappa, a_y, a_x):
    after = a_y * b + a_x * kappa
    return {"v": sigma_next**2 - after**2 / b - a_x**2 * (sigma**2 - kappa**2 / b), "cov": after}


RIGHT = {
    "07.1": [
        variance,
        variance_by_a_quadratic_form,
        variance_by_squares,
        lambda sigma, b, eta_b, rho: (
            sigma**2 + 2 * rho * math.sqrt(eta_b**2 * b * (sigma**2 - eta_b**2 * b))
        ),
    ],
    "07.2": [parts, parts_by_a_loop, parts_by_variances, parts_by_sorting_the_cases],
    "07.3": [both, both_by_matrices, both_by_a_root, both_by_completing_a_square],
    "07.4": [
        (1, 1, 1, 2),
        (0.5, 0.25, 0.5, 1.5),
        {"s": 2.0, "sigma_y": 1.0, "sigma_t": 0.75, "eta_b": 1.75},
        [Fraction(1, 3), Fraction(1, 4), Fraction(3, 4), Fraction(3, 2)],
        torch.tensor([1.0, 0.1, 0.2, 5.0]),
    ],
}
WRONG = {
    "07.1": [
        lambda sigma, b, eta_b, rho: sigma**2,
        lambda sigma, b, eta_b, rho: (sigma**2 + variance(sigma, b, eta_b, rho)) / 2,
        lambda sigma, b, eta_b, rho: (
            sigma**2 + 2 * rho * math.sqrt(b) * math.sqrt(sigma**2 - eta_b**2 * b)
        ),
        lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * eta_b**2 * b * (sigma**2 - eta_b**2 * b),
        lambda sigma, b, eta_b, rho: variance(sigma, b, eta_b, -rho),
        lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * eta_b * math.sqrt(b) * sigma,
        lambda sigma, b, eta_b, rho: math.sqrt(variance(sigma, b, eta_b, rho)),
        lambda sigma, b, eta_b, rho: sigma**2 * (1 + rho),
        lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho,
        lambda sigma, b, eta_b, rho: (
            sigma**2 + 2 * rho * eta_b * b * math.sqrt(sigma**2 - eta_b**2 * b)
        ),
    ],
    "07.2": [
        another(strict=True),
        another(power=1),
        another(unit=0),
        another(s_0=False),
        lambda *step: parts(*step)[[1, 0, 2]],
        another(swapped=True),
        another(level=True),
        lambda *step: torch.sqrt(parts(*step)),
        lambda *step: parts(*step).T,
        lambda s, sigma, sigma_next, sigma_y, eta, eta_b: parts(
            s, sigma, sigma_next, sigma_y, 1 - eta, eta_b
        ),
    ],
    "07.3": [
        lambda s, t, b, kappa, a_y, a_x: (
            t**2 - a_y**2 * b - a_x**2 * s**2,
            a_y * b + a_x * kappa,
        ),
        lambda s, t, b, kappa, a_y, a_x: (
            t**2 - a_y**2 * b - a_x**2 * s**2 - a_y * a_x * kappa,
            a_y * b + a_x * kappa,
        ),
        lambda s, t, b, kappa, a_y, a_x: (both(s, t, b, kappa, a_y, a_x)[0], a_y * b),
        lambda s, t, b, kappa, a_y, a_x: both(t, t, b, kappa, a_y, a_x),
        lambda *numbers: both(*numbers)[::-1],
        lambda s, t, b, kappa, a_y, a_x: (
            t**2 - a_y**2 * b - a_x**2 * s**2 + 2 * a_y * a_x * kappa,
            a_y * b + a_x * kappa,
        ),
        lambda *numbers: both(*numbers)[0],
        lambda s, t, b, kappa, a_y, a_x: (
            both(s, t, b, kappa, a_y, a_x)[0],
            a_y * b + a_x * s**2,
        ),
        lambda s, t, b, kappa, a_y, a_x: both(s, t, b**0.5, kappa, a_y, a_x),
        lambda s, t, b, kappa, a_y, a_x: both(t, s, b, kappa, a_y, a_x),
    ],
    "07.4": [
        (1, 1, 1, 1),
        (1, 1, 1, 0.5),
        (1, 2, 1, 1),
        (1, 1, 1, -2),
        (1, -5, 1, 1),
        (0, 1, 1, 2),
        (1, 1, 2, 2),
        (1, 0, 1, 5),
        (1, 1, 1),
        "eta_b <= 1",
        (1, 1, 1, math.nan),
    ],
}

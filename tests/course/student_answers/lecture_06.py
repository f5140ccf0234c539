"""Answers to the exercises of lecture 06 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu import ddrm_coefficients


def limit_by_bisection(sigma, s, sigma_y):
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        exists = sigma**2 - middle**2 * sigma_y**2 / s**2 >= 0
        low, high = (middle, high) if exists else (low, middle)
    return low


def table(s, sigma, sigma_next, sigma_y, eta, eta_b):
    k = (1 - eta**2) ** 0.5
    case_1 = (s > 0) & (s * sigma_next >= sigma_y)
    zero = torch.zeros_like(s)
    below = torch.where(s > 0, k * s * sigma_next / (sigma_y or 1), zero)
    y = torch.where(case_1, zero + eta_b, below)
    xt = torch.where(s > 0, zero, zero + k * sigma_next / sigma)
    tau = sigma_y / torch.where(case_1, s, zero + 1)
    variance = torch.where(
        case_1, sigma_next**2 - (eta_b * tau) ** 2, zero + (eta * sigma_next) ** 2
    )
    return torch.stack([1 - xt - y, xt, y, variance.sqrt()])


def table_by_a_loop(s, sigma, sigma_next, sigma_y, eta, eta_b):
    columns, k = [], math.sqrt(1 - eta**2)
    for one in s.tolist():
        if one == 0:
            w = k * sigma_next / sigma
            columns.append([1 - w, w, 0, eta * sigma_next])
        elif one * sigma_next >= sigma_y:
            noise = math.sqrt(sigma_next**2 - (eta_b * sigma_y / one) ** 2)
            columns.append([1 - eta_b, 0, eta_b, noise])
        else:
            w = k * one * sigma_next / sigma_y
            columns.append([1 - w, 0, w, eta * sigma_next])
    return np.array(columns, dtype=np.float32).T


def table_by_masks(s, sigma, sigma_next, sigma_y, eta, eta_b):
    s, k = np.asarray(s), np.sqrt(1 - eta**2)
    out = np.zeros((4, len(s)))
    first, third = (s > 0) & (s * sigma_next >= sigma_y), s == 0
    second = ~first & ~third
    out[2, first], out[2, second] = eta_b, k * s[second] * sigma_next / max(sigma_y, 1e-300)
    out[1, third] = k * sigma_next / sigma
    out[3] = eta * sigma_next
    out[3, first] = np.sqrt(sigma_next**2 - (eta_b * sigma_y / s[first]) ** 2)
    out[0] = 1 - out[1] - out[2]
    return out


def table_by_the_library(s, sigma, sigma_next, sigma_y, eta, eta_b):
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return {"x0": c.x0, "xt": c.xt, "y": c.y, "noise": c.noise}


def another_table(*, case_1=None, root=None, variance=False, sqrt=True, level="next", s_0=True):
    root = root or (lambda eta: math.sqrt(1 - eta**2))

    def answer(s, sigma, sigma_next, sigma_y, eta, eta_b):
        columns, k = [], root(eta)
        entered = sigma_next if level == "next" else sigma
        for one in s.tolist():
            if one == 0 and s_0:
                columns.append(
                    [1 - k * sigma_next / sigma, k * sigma_next / sigma, 0, eta * sigma_next]
                )
            elif one > 0 and (
                one * entered >= sigma_y if case_1 is None else case_1(one * entered, sigma_y)
            ):
                b = (sigma_y / one) ** 2
                noise = max(sigma_next**2 - (eta_b**2 if sqrt else eta_b) * b, 0) ** 0.5
                columns.append([1 - eta_b, 0, eta_b, noise])
            else:
                w = k * one * sigma_next / (sigma_y or 1)
                columns.append([1 - w, 0, w, eta * sigma_next])
        out = torch.tensor(columns).double().T
        if variance:
            out[3] = out[3] ** 2
        return out

    return answer


def table_that_divides_by_0(s, sigma, sigma_next, sigma_y, eta, eta_b):
    columns, k = [], math.sqrt(1 - eta**2)
    for one in s.tolist():
        of_y = {1: eta_b, 2: k * one * sigma_next / sigma_y, 3: 0.0}
        case = 3 if one == 0 else 1 if one * sigma_next >= sigma_y else 2
        of_x = k * sigma_next / sigma if case == 3 else 0.0
        noise = eta * sigma_next
        if case == 1:
            noise = math.sqrt(sigma_next**2 - (eta_b * sigma_y / one) ** 2)
        columns.append([1 - of_x - of_y[case], of_x, of_y[case], noise])
    return torch.tensor(columns).T


def table_with_nan(s, sigma, sigma_next, sigma_y, eta, eta_b):
    out = table(s, sigma, sigma_next, sigma_y, eta, eta_b)
    out[3] = (sigma_next**2 - (eta_b * sigma_y / s) ** 2).sqrt()
    return out


RIGHT = {
    "06.1": [
        lambda sigma, s, sigma_y: s * sigma / sigma_y,
        limit_by_bisection,
        lambda sigma, s, sigma_y: (sigma**2 / (sigma_y**2 / s**2)) ** 0.5,
        lambda sigma, s, sigma_y: sigma / (sigma_y / s),
        lambda sigma, s, sigma_y: np.exp(np.log(s) + np.log(sigma) - np.log(sigma_y)),
    ],
    "06.2": [table, table_by_a_loop, table_by_masks, table_by_the_library],
    "06.3": [
        lambda above, tau, eta, eta_b: eta_b * (1 - eta**2) ** 0.5 * tau / above,
        lambda above, tau, eta, eta_b: (
            np.array([eta_b * tau, (above**2 - (eta_b * tau) ** 2) ** 0.5, 0])
            @ np.array([(1 - eta**2) ** 0.5, 0, eta])
            / above
        ),
        lambda above, tau, eta, eta_b: eta_b * math.cos(math.asin(eta)) / (above / tau),
        lambda above, tau, eta, eta_b: (
            torch.tensor((1 - eta) * (1 + eta)).sqrt() * eta_b * tau / above
        ),
    ],
}
WRONG = {
    "06.1": [
        lambda sigma, s, sigma_y: 1,
        lambda sigma, s, sigma_y: s**2 * sigma**2 / sigma_y**2,
        lambda sigma, s, sigma_y: sigma_y / s / sigma,
        lambda sigma, s, sigma_y: 2 / (1 + sigma_y**2 / (s * sigma) ** 2),
        lambda sigma, s, sigma_y: sigma / sigma_y,
        lambda sigma, s, sigma_y: sigma * sigma_y / s,
        lambda sigma, s, sigma_y: math.sqrt(s * sigma / sigma_y),
        lambda sigma, s, sigma_y: min(1, s * sigma / sigma_y),
        lambda sigma, s, sigma_y: sigma / (s * sigma_y),
        lambda sigma, s, sigma_y: sigma**2 - sigma_y**2 / s**2,
    ],
    "06.2": [
        another_table(case_1=lambda product, sigma_y: product > sigma_y),
        another_table(root=lambda eta: math.sqrt(1 - eta)),
        another_table(root=lambda eta: 1 - eta),
        another_table(sqrt=False),
        another_table(variance=True),
        another_table(level="left"),
        table_that_divides_by_0,
        table_with_nan,
        lambda *step: table(*step)[[1, 0, 2, 3]],
        lambda *step: table(*step).T,
        another_table(root=lambda eta: 1 - eta**2),
    ],
    "06.3": [
        lambda above, tau, eta, eta_b: math.sqrt(1 - eta**2),
        lambda above, tau, eta, eta_b: 1 - eta**2,
        lambda above, tau, eta, eta_b: eta_b * tau / above,
        lambda above, tau, eta, eta_b: 0,
        lambda above, tau, eta, eta_b: eta_b * tau**2 / above * math.sqrt(1 - eta**2),
        lambda above, tau, eta, eta_b: eta_b * tau * math.sqrt(1 - eta**2),
        lambda above, tau, eta, eta_b: eta_b * math.sqrt(1 - eta**2) * above / tau,
        lambda above, tau, eta, eta_b: eta_b * eta * tau / above,
        lambda above, tau, eta, eta_b: eta_b * (1 - eta**2) * tau / above,
        lambda above, tau, eta, eta_b: eta_b * math.sqrt(1 - eta**2),
    ],
}

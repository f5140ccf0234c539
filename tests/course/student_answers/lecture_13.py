"""Answers to the exercises of lecture 13 as students give them."""

import numpy as np
import torch

from ddrm_edu import ddrm_coefficients
from ddrm_edu.diffusion import combine


def start(s, sigma_T, sigma_y):
    return sigma_T**2 + sigma_y**2 / s**2


def step(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    tau = sigma_y / torch.where(s > 0, s, torch.ones_like(s))
    kept = (1 - eta**2) ** 0.5 * sigma_next
    first, lost = (s > 0) & (s * sigma_next >= sigma_y), s == 0
    mean = torch.where(
        lost, x0_hat + kept / sigma * (x - x0_hat), x0_hat + kept / tau * (y_spec - x0_hat)
    )
    mean = torch.where(first, (1 - eta_b) * x0_hat + eta_b * y_spec, mean)
    var = torch.where(
        first, sigma_next**2 - (eta_b * tau) ** 2, torch.full_like(s, (eta * sigma_next) ** 2)
    )
    return mean + var.clamp(min=0).sqrt() * z


def step_by_a_loop(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    out = np.empty(tuple(x.shape))
    x, x0_hat, y_spec, z = (np.asarray(each) for each in (x, x0_hat, y_spec, z))
    k = np.sqrt(1 - eta**2)
    for i, one in enumerate(s.tolist()):
        if one > 0 and one * sigma_next >= sigma_y:
            mean = (1 - eta_b) * x0_hat[:, i] + eta_b * y_spec[:, i]
            std = np.sqrt(max(sigma_next**2 - (eta_b * sigma_y / one) ** 2, 0))
        elif one > 0:
            mean = x0_hat[:, i] + k * one * sigma_next / sigma_y * (y_spec - x0_hat)[:, i]
            std = eta * sigma_next
        else:
            mean = x0_hat[:, i] + k * sigma_next / sigma * (x - x0_hat)[:, i]
            std = eta * sigma_next
        out[:, i] = mean + std * z[:, i]
    return out


def step_by_the_library(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return combine(c, x0_hat, x, y_spec, z)


def step_by_slide_11(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return c.x0 * x0_hat + c.xt * x + c.y * y_spec - c.noise * z  # -z has the law of z


def another(kept=lambda eta: (1 - eta**2) ** 0.5, noise=lambda eta: eta, strict=False, z_of=None):
    def answer(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
        tau = sigma_y / torch.where(s > 0, s, torch.ones_like(s))
        k = kept(eta) * sigma_next
        entered = s * sigma_next
        first = (s > 0) & (entered > sigma_y if strict else entered >= sigma_y)
        to_x, to_y = x0_hat + k / sigma * (x - x0_hat), x0_hat + k / tau * (y_spec - x0_hat)
        mean = torch.where(s == 0, to_x, to_y)
        mean = torch.where(first, (1 - eta_b) * x0_hat + eta_b * y_spec, mean)
        fresh = torch.full_like(s, noise(eta) * sigma_next)
        std = torch.where(first, (sigma_next**2 - (eta_b * tau) ** 2).clamp(min=0).sqrt(), fresh)
        return mean + std * (z if z_of is None else z_of(z))

    return answer


def by_argsort(x, order):
    return x[:, order.argsort()]


def by_writing(x, order):
    out = torch.empty_like(x)
    out[:, order] = x
    return out


def by_a_matrix(x, order):
    P = torch.eye(len(order), dtype=torch.float64)[order]
    return x @ P


def by_a_loop(x, order):
    columns = [None] * len(order)
    for i, place in enumerate(order.tolist()):
        columns[place] = x[:, i]
    return torch.stack(columns, dim=1)


def by_numpy(x, order):
    return np.asarray(x)[:, np.argsort(np.asarray(order))]


RIGHT = {
    "13.1": [
        ("start", start),
        ("Start", lambda s, sigma_T, sigma_y: sigma_T**2 + (sigma_y / s) ** 2),
        ["start", lambda s, sigma_T, sigma_y: float(sigma_T**2 + sigma_y**2 / float(s) ** 2)],
        ("start ", lambda s, sigma_T, sigma_y: np.hypot(sigma_T, sigma_y / s.numpy()) ** 2),
        {
            "word": "start",
            "variance": lambda s, sigma_T, sigma_y: (
                torch.tensor([sigma_T, sigma_y / s.item()]).square().sum()
            ),
        },
    ],
    "13.2": [
        ("weights", step),
        ("Weights", step_by_a_loop),
        ["weights", step_by_the_library],
        ("weights", step_by_slide_11),
        ("weights", another()),
    ],
    "13.3": [
        ("inverse", by_argsort),
        ("Inverse", by_writing),
        ["inverse", by_a_matrix],
        ("inverse", by_a_loop),
        ("inverse", by_numpy),
        ("inverse", lambda x, order: x.gather(1, order.argsort().expand_as(x))),
        ("inverse", lambda x, order: torch.zeros_like(x).index_copy(1, order, x)),
    ],
}
WRONG = {
    "13.1": [
        ("noise", start),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2 - sigma_y**2 / s**2),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2),
        ("start", lambda s, sigma_T, sigma_y: (sigma_T + sigma_y / s) ** 2),
        ("start", lambda s, sigma_T, sigma_y: (sigma_T**2 + sigma_y**2 / s**2) ** 0.5),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2 * s**2),
        ("start", lambda s, sigma_T, sigma_y: sigma_T + sigma_y / s),
        ("weights", start),
        start,
        ("start", "sigma_T^2 + sigma_y^2 / s^2"),
    ],
    "13.2": [
        ("noise", step),
        ("weights", another(kept=lambda eta: (1 - eta) ** 0.5)),
        ("weights", another(lambda eta: (1 - eta) ** 0.5, lambda eta: eta**0.5)),
        ("weights", another(kept=lambda eta: 1 - eta**2)),
        ("boundary", step),
        ("weights", another(strict=True)),
        ("weights", another(z_of=torch.abs)),
        ("weights", another(z_of=lambda z: 0 * z)),
        ("weights", another(kept=lambda eta: 1 - eta)),
        step,
        ("weights", another(noise=lambda eta: (1 - (1 - eta)) ** 0.5)),
    ],
    "13.3": [
        ("truth", by_argsort),
        ("inverse", lambda x, order: x[:, order]),
        ("inverse", lambda x, order: x[:, order.flip(0)]),
        ("inverse", lambda x, order: x),
        ("batch", by_argsort),
        ("linear", by_argsort),
        ("inverse", lambda x, order: x[order.argsort()]),
        ("inverse", lambda x, order: x.argsort(1)),
        ("inverse", lambda x, order: x.sort(1).values),
        ("inverse", lambda x, order: x[:, order[order]]),
        by_argsort,
    ],
}

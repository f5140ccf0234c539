"""Answers to the exercises of lecture 14 as students give them."""

import itertools
import math

import numpy as np
import torch

from ddrm_edu import Dense, GaussianPrior, ddpm_law


def weights(C, s, sigma, sigma_y):
    p = np.array([1 / C, 1 / sigma**2, s**2 / sigma_y**2])
    return tuple(p[1:] / p.sum())


def weights_without_fractions(C, s, sigma, sigma_y):
    b = (sigma_y / s) ** 2
    below = sigma**2 * b + C * b + C * sigma**2
    return C * b / below, C * sigma**2 / below


def weights_one_after_the_other(C, s, sigma, sigma_y):
    g = C / (C + sigma**2)
    K = sigma**2 * g
    gain = K / (K + (sigma_y / s) ** 2)
    return (1 - gain) * g, gain


def weights_by_regression(C, s, sigma, sigma_y):
    cov = np.array([[C + sigma**2, C], [C, C + sigma_y**2 / s**2]])
    return np.linalg.solve(cov, [C, C])


def weights_of_y_itself(C, s, sigma, sigma_y):
    a, b = weights(C, s, sigma, sigma_y)
    return a, b / s


def guided(x0_hat, K, H, y, sigma_y):
    A = H @ K @ H.T + sigma_y**2 * torch.eye(len(y))
    return x0_hat + K @ H.T @ torch.linalg.solve(A, y - H @ x0_hat)


def guided_by_inverse(x0_hat, K, H, y, sigma_y):
    cov_y = H @ K @ H.mT + torch.full(y.shape, sigma_y**2).diag()
    return x0_hat + K @ H.mT @ cov_y.inverse() @ (y - H @ x0_hat)


def guided_in_numpy(x0_hat, K, H, y, sigma_y):
    x0_hat, K, H, y = (np.asarray(a) for a in (x0_hat, K, H, y))
    w = np.linalg.lstsq(H @ K @ H.T + sigma_y**2 * np.eye(len(y)), y - H @ x0_hat, rcond=None)[0]
    return x0_hat + K @ (H.T @ w)


def guided_by_precisions(x0_hat, K, H, y, sigma_y):
    precision = torch.linalg.inv(K) + H.T @ H / sigma_y**2
    return torch.linalg.solve(precision, torch.linalg.solve(K, x0_hat) + H.T @ y / sigma_y**2)


def guided_by_the_library(x0_hat, K, H, y, sigma_y):
    return GaussianPrior(x0_hat, K).posterior(Dense(H), y[None], sigma_y=sigma_y).mean


def end(mu, v, levels):
    mean, var = 0.0, levels[0] ** 2
    for sigma, below in itertools.pairwise(levels):
        g = v / (v + sigma**2)
        F = g + (1 - g) * below / sigma
        mean, var = mu + F * (mean - mu), F**2 * var
    return mean, var


def end_by_product(mu, v, levels):
    high, low = np.array(levels[:-1]), np.array(levels[1:])
    f = np.prod(1 - (1 - low / high) * high**2 / (v + high**2))
    return mu * (1 - f), (levels[0] * f) ** 2


def end_of_two_starts(mu, v, levels):
    x = torch.tensor([0.0, levels[0]])
    for sigma, below in itertools.pairwise(levels):
        x0_hat = mu + v / (v + sigma**2) * (x - mu)
        x = x0_hat + below * (x - x0_hat) / sigma
    return x[0], (x[1] - x[0]) ** 2


def end_by_the_library(mu, v, levels):
    law = ddpm_law(GaussianPrior([mu], [[v]]), levels, eta_ddim=0.0)
    return law.mean, law.cov


def another(*, late=False, power=2, mean=0.0, more=0.0, last=None, eta=0.0):
    def answer(mu, v, levels):
        at, var = mean * mu, levels[0] ** 2 + more * v
        for sigma, below in list(itertools.pairwise(levels))[:last]:
            kept = math.sqrt(1 - eta**2 * (1 - (below / sigma) ** 2)) * below / sigma
            g = v / (v + (below if late else sigma) ** 2)
            F = g + (1 - g) * kept
            at, var = mu + F * (at - mu), F**power * var + below**2 - (kept * sigma) ** 2
        return at, var

    return answer


RIGHT = {
    "14.1": [
        weights,
        weights_without_fractions,
        weights_one_after_the_other,
        weights_by_regression,
    ],
    "14.2": [
        guided,
        guided_by_inverse,
        guided_in_numpy,
        guided_by_precisions,
        guided_by_the_library,
    ],
    "14.3": [end, end_by_product, end_of_two_starts, end_by_the_library],
}
WRONG = {
    "14.1": [
        lambda C, s, sigma, sigma_y: weights(1e30, s, sigma, sigma_y),
        lambda C, s, sigma, sigma_y: (0.0, C / (C + (sigma_y / s) ** 2)),
        lambda C, s, sigma, sigma_y: weights(C, s**0.5, sigma**0.5, sigma_y**0.5),
        weights_of_y_itself,
        lambda C, s, sigma, sigma_y: weights(C, s, sigma, sigma_y)[::-1],
        lambda C, s, sigma, sigma_y: weights(C, 1, sigma, sigma_y),
        lambda C, s, sigma, sigma_y: (C / (C + sigma**2), C / (C + (sigma_y / s) ** 2)),
        lambda C, s, sigma, sigma_y: weights(C, s, sigma, 0.3)[0],
        lambda C, s, sigma, sigma_y: weights(C**2, s, sigma, sigma_y),
        lambda C, s, sigma, sigma_y: (1 / sigma**2, s**2 / sigma_y**2),
    ],
    "14.2": [
        lambda x0_hat, K, H, y, sigma_y: guided(x0_hat, K, H, y, 0),
        lambda x0_hat, K, H, y, sigma_y: guided(x0_hat, K, H, y, sigma_y**0.5),
        lambda x0_hat, K, H, y, sigma_y: x0_hat + torch.linalg.pinv(H) @ (y - H @ x0_hat),
        lambda x0_hat, K, H, y, sigma_y: 2 * x0_hat - guided(x0_hat, K, H, y, sigma_y),
        lambda x0_hat, K, H, y, sigma_y: guided(x0_hat, K, H, y, sigma_y) - x0_hat,
        lambda x0_hat, K, H, y, sigma_y: (
            x0_hat
            + H.T @ torch.inverse(H @ K @ H.T + sigma_y**2 * torch.eye(len(y))) @ (y - H @ x0_hat)
        ),
        lambda x0_hat, K, H, y, sigma_y: (
            x0_hat
            + K @ H.T @ torch.inverse(H @ H.T + sigma_y**2 * torch.eye(len(y))) @ (y - H @ x0_hat)
        ),
        lambda x0_hat, K, H, y, sigma_y: x0_hat,
        lambda x0_hat, K, H, y, sigma_y: guided(x0_hat, K @ K, H, y, sigma_y),
        lambda x0_hat, K, H, y, sigma_y: guided(x0_hat, K, H, y + H @ x0_hat, sigma_y),
    ],
    "14.3": [
        another(late=True),
        another(power=1),
        another(last=-1),
        another(mean=1.0),
        another(more=1.0),
        another(eta=1.0),
        lambda mu, v, levels: (mu, v),
        lambda mu, v, levels: (end(mu, v, levels)[0], math.sqrt(end(mu, v, levels)[1])),
        lambda mu, v, levels: end(mu, v**2, levels),
        lambda mu, v, levels: (0.0, end(mu, v, levels)[1]),
        lambda mu, v, levels: end(mu, v, levels)[::-1],
    ],
}

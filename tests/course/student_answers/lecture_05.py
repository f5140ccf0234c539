"""Answers to the exercises of lecture 05 as students give them."""

import numpy as np
import torch

from ddrm_edu import Dense


def by_the_svd(r, length, sigma_y):
    H = np.outer(np.ones(r), [length, 0, 0])
    return sigma_y / np.linalg.svd(H)[1][0]


def noise(H, sigma_y):
    P = torch.linalg.pinv(H)
    return sigma_y**2 * P @ P.T


def noise_in_numpy(H, sigma_y):
    H = np.asarray(H)
    return sigma_y**2 * np.linalg.pinv(H.T @ H, rcond=1e-10)


def noise_by_the_svd(H, sigma_y):
    _, s, Vt = torch.linalg.svd(H, full_matrices=False)
    seen = s > 1e-10 * s[0]
    return (Vt[seen].T * (sigma_y / s[seen]) ** 2) @ Vt[seen]


def noise_by_the_library(H, sigma_y):
    P = Dense(H).pinv(sigma_y * torch.eye(len(H)).double())
    return torch.einsum("ki,kj->ij", P, P)


def covariance_by_the_schur_complement(a1, a2, a3, b, sigma_2):
    C = b * np.outer([a3, a2, a1], [a3, a2, a1])
    C[1, 1] = sigma_2**2
    return C[0, 2] - C[0, 1] * C[1, 2] / C[1, 1]


def covariance_by_what_is_learned_of_y(a1, a2, a3, b, sigma_2):
    left = b - (a2 * b) ** 2 / sigma_2**2  # the variance of ybar given x_2
    return a1 * a3 * left


def covariance_by_precisions(a1, a2, a3, b, sigma_2):
    fresh = sigma_2**2 - a2**2 * b
    return np.matrix(a1 * a3 / (1 / b + a2**2 / fresh))


RIGHT = {
    "05.1": [
        lambda r, length, sigma_y: sigma_y / (r**0.5 * length),
        by_the_svd,
        lambda r, length, sigma_y: (sigma_y**2 / (r * length**2)) ** 0.5,
        lambda r, length, sigma_y: torch.tensor(sigma_y) / torch.full((r,), length).norm(),
    ],
    "05.2": [noise, noise_in_numpy, noise_by_the_svd, noise_by_the_library],
    "05.3": [
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / sigma_2**2),
        covariance_by_the_schur_complement,
        covariance_by_what_is_learned_of_y,
        covariance_by_precisions,
    ],
}
WRONG = {
    "05.1": [
        lambda r, length, sigma_y: sigma_y / length,
        lambda r, length, sigma_y: sigma_y / r / length,
        lambda r, length, sigma_y: sigma_y**2 / r / length**2,
        lambda r, length, sigma_y: np.sqrt(r) * length * sigma_y,
        lambda r, length, sigma_y: sigma_y / np.sqrt(r),
        lambda r, length, sigma_y: sigma_y / np.sqrt(r * length),
        lambda r, length, sigma_y: sigma_y * np.sqrt(r) / length,
        lambda r, length, sigma_y: sigma_y / (np.sqrt(r) * length**2),
        lambda r, length, sigma_y: torch.sqrt(r) * length,
        lambda r, length, sigma_y: sigma_y,
    ],
    "05.2": [
        lambda H, sigma_y: sigma_y**2 * np.linalg.inv(H.numpy().T @ H.numpy()),
        lambda H, sigma_y: sigma_y**2 * H.T @ H,
        lambda H, sigma_y: noise(H, sigma_y) / sigma_y,
        lambda H, sigma_y: sigma_y**2 * torch.linalg.pinv(H @ H.T, rtol=1e-10),
        lambda H, sigma_y: sigma_y**2 * torch.linalg.pinv(H) @ H,
        lambda H, sigma_y: noise(H, sigma_y).diagonal(),
        lambda H, sigma_y: sigma_y**2 * torch.linalg.pinv(H),
        lambda H, sigma_y: sigma_y**2 * torch.eye(H.shape[1]),
        lambda H, sigma_y: torch.diag(noise(H, sigma_y).diagonal()),
        lambda H, sigma_y: noise_by_the_svd(H, sigma_y) ** 0.5,
    ],
    "05.3": [
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b,
        lambda a1, a2, a3, b, sigma_2: 0,
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / (sigma_2**2 + b)),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 + a2**2 * b / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / (sigma_2**2 - a2**2 * b)),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2 * b / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * (1 - a2**2 * b / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b**2 / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / sigma_2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b**0.5 * (1 - a2**2 * b / sigma_2**2),
    ],
}

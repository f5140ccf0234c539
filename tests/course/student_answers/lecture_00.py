"""Answers to the exercises of lecture 00 as students give them."""

import numpy as np
import sympy
import torch

from ddrm_edu import NoiseSchedule, SuperResolution


def from_the_matrix(r):
    H = np.kron(np.eye(2), np.full((1, r * r), 1 / r**2))
    return np.linalg.svd(H)[1].min()


def from_the_gram_matrix(r):
    row = torch.ones(r * r) / r**2
    return torch.sqrt(row @ row)


def mask(keep):
    return [[bool(keep(i, j)) for j in range(32)] for i in range(32)]


def by_slices():
    lost = np.zeros((32, 32), dtype=bool)
    lost[:, 1::2] = True
    return ~lost


def smallest(differ):
    schedule = NoiseSchedule.linear()
    return next(t for t in range(1, 1001) if differ(schedule, t))


RIGHT = {
    "00.1": [
        lambda r: 1 / r,
        lambda r: (r**2 * (1 / r**2) ** 2) ** 0.5,
        from_the_matrix,
        from_the_gram_matrix,
        lambda r: SuperResolution((1, 12, 12), r).s.max(),
        lambda r: sympy.Rational(1, r),
    ],
    "00.2": [
        torch.arange(32).expand(32, 32) % 2 == 0,
        mask(lambda i, j: j % 2 == 0),
        by_slices(),
        torch.tensor([True, False]).repeat(32, 16),
        np.indices((32, 32))[1] % 2 == 0,
        1 - torch.arange(32).remainder(2).repeat(32, 1),
    ],
    "00.3": [
        2,
        smallest(lambda schedule, t: schedule.alpha[t] != schedule.alpha_bar[t]),
        torch.nonzero(NoiseSchedule.linear().alpha != NoiseSchedule.linear().alpha_bar)[0],
        np.argmax(NoiseSchedule.linear().alpha.numpy() > NoiseSchedule.linear().alpha_bar.numpy()),
    ],
}
WRONG = {
    "00.1": [
        lambda r: r**-2,  # the eigenvalue
        lambda r: np.ones(r) / r**2,  # and a vector
        lambda r: 1,
        lambda r: r,
        lambda r: np.float64(r) ** -4,
        lambda r: 1 / np.sqrt(r),
        lambda r: 1 / (2 * r),
        lambda r: 1 / (r + 1),
        lambda r: 1 / 2,  # for r = 2 only
    ],
    "00.2": [
        mask(lambda i, j: j % 2 == 1),
        mask(lambda i, j: i % 2 == 0),
        np.ones((32, 32), dtype=bool),
        mask(lambda i, j: (i + j) % 2 == 0),
        mask(lambda i, j: j < 16),
        mask(lambda i, j: j % 3 == 0),
        torch.arange(0, 32, 2),  # the columns by their numbers
        torch.zeros(32, 32, dtype=torch.bool),
        mask(lambda i, j: i % 2 == 0 and j % 2 == 0),
    ],
    "00.3": [
        1,
        0,
        500,
        3,
        1000,
        smallest(lambda schedule, t: schedule.alpha[t] - schedule.alpha_bar[t] > 0.01),
        "2",
        True,
        None,
        torch.tensor([2, 3]),
    ],
}

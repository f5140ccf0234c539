"""Answers to the exercises of lecture 08 as students give them."""

import itertools
import math

import numpy as np
import torch


def steps(s, sigma_y, sigmas):
    return ((s * sigmas[1:] >= sigma_y) & (s > 0)).sum()


def steps_by_a_loop(s, sigma_y, sigmas):
    count = 0
    for _, entered in itertools.pairwise(sigmas.tolist()):
        if s > 0 and entered >= sigma_y / s:
            count += 1
    return count


def steps_by_sorting(s, sigma_y, sigmas):
    if s == 0:
        return 0
    rising = np.asarray(sigmas)[:0:-1]
    return len(rising) - np.searchsorted(rising, sigma_y / s, side="left")


def steps_by_subtraction(s, sigma_y, sigmas):
    noise = sigma_y / s if s else math.inf
    return len(sigmas) - 1 - sum(float(sigma) < noise for sigma in sigmas[1:])


def smallest_by_a_grid(error, n):
    """A golden-section search for the best variance."""
    term = lambda v: error / (2 * v) + n / 2 * math.log(2 * math.pi * v)  # noqa: E731
    low, high = -20.0, 20.0
    for _ in range(200):
        a, b = low + (high - low) * 0.382, low + (high - low) * 0.618
        low, high = (low, b) if term(math.exp(a)) < term(math.exp(b)) else (a, high)
    return term(math.exp(low))


def smallest_by_entropy(error, n):
    cov = np.eye(n) * error / n
    return np.linalg.slogdet(2 * np.pi * np.e * cov)[1] / 2


def smallest_by_torch(error, n):
    scale = torch.tensor(error / n).sqrt()
    return n * torch.distributions.Normal(0.0, scale).entropy()


def correlation_by_a_chain(case, eta, k):
    kept, shared = math.sqrt(1 - eta**2), 1.0
    if case == 2:
        return kept * kept
    for _ in range(k):
        shared *= kept
    return shared


def correlation_by_covariances(case, eta, k):
    """Unit noises: of y (or of the start) first, then one for each step."""
    rows = [np.eye(k + 2)[0]]
    for step in range(k + 1):
        parent = np.eye(k + 2)[0] if case == 2 else rows[-1]
        rows.append(np.sqrt(1 - eta**2) * parent + eta * np.eye(k + 2)[step + 1])
    return rows[1] @ rows[-1]


RIGHT = {
    "08.1": [steps, steps_by_a_loop, steps_by_sorting, steps_by_subtraction],
    "08.2": [
        lambda error, n: n / 2 * (1 + math.log(2 * math.pi * error / n)),
        lambda error, n: n / 2 + n / 2 * math.log(2 * math.pi) + n / 2 * math.log(error / n),
        smallest_by_a_grid,
        smallest_by_entropy,
        smallest_by_torch,
    ],
    "08.3": [
        lambda case, eta, k: 1 - eta**2 if case == 2 else (1 - eta**2) ** (k / 2),
        correlation_by_a_chain,
        correlation_by_covariances,
        lambda case, eta, k: math.exp(math.log1p(-(eta**2)) * (1 if case == 2 else k / 2)),
    ],
}
WRONG = {
    "08.1": [
        lambda s, sigma_y, sigmas: sum(s > 0 and s * float(v) > sigma_y for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: sum(s > 0 and s * float(v) >= sigma_y for v in sigmas[:-1]),
        lambda s, sigma_y, sigmas: sum(s > 0 and s * float(v) >= sigma_y for v in sigmas),
        lambda s, sigma_y, sigmas: sum(s * float(v) >= sigma_y for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: sum(s > 0 and float(v) >= s * sigma_y for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: sum(float(v) >= sigma_y / s for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: sum(s > 0 and s * float(v) < sigma_y for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: sum(s > 0 and float(v) >= sigma_y for v in sigmas[1:]),
        lambda s, sigma_y, sigmas: steps(s, sigma_y, sigmas) > 0,
        lambda s, sigma_y, sigmas: s * sigmas[1:] >= sigma_y,
    ],
    "08.2": [
        lambda error, n: error / n,
        lambda error, n: n / 2 * math.log(2 * math.pi * error / n),
        lambda error, n: n / 2 * (1 + math.log(2 * math.pi * error)),
        lambda error, n: (1 + math.log(2 * math.pi * error / n)) / 2,
        lambda error, n: n / 2 * (1 + math.log(error / n)),
        lambda error, n: -n / 2 * (1 + math.log(2 * math.pi * error / n)),
        lambda error, n: n * (1 + math.log(2 * math.pi * error / n)),
        lambda error, n: n / 2 * (1 + math.log10(2 * math.pi * error / n)),
        lambda error, n: error / 2 + n / 2 * math.log(2 * math.pi),
        lambda error, n: n / 2 * (1 + torch.log(2 * math.pi * error / n)),
    ],
    "08.3": [
        lambda case, eta, k: math.sqrt(1 - eta**2) ** k,
        lambda case, eta, k: 1 - eta**2,
        lambda case, eta, k: 1 - eta**2 if case == 2 else (1 - eta**2) ** k,
        lambda case, eta, k: math.sqrt(1 - eta**2) if case == 2 else math.sqrt(1 - eta**2) ** k,
        lambda case, eta, k: 1 - eta**2 if case == 3 else math.sqrt(1 - eta**2) ** k,
        lambda case, eta, k: (1 - eta) ** 2 if case == 2 else (1 - eta) ** k,
        lambda case, eta, k: 0 if case == 2 else math.sqrt(1 - eta**2) ** k,
        lambda case, eta, k: 1 - eta**2 if case == 2 else math.sqrt(1 - eta**2) ** (k - 1),
        lambda case, eta, k: eta**2 if case == 2 else eta**k,
        lambda case, eta, k: 1 - eta**2 if case == 2 else math.sqrt(1 - eta**2) / k,
    ],
}

"""Answers to the exercises of lecture 01 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu.gaussian import Gaussian
from ddrm_edu.langevin import stationary_law


def cost(s, c, sigma_y):
    seen = s > 0
    return (sigma_y**2 / s[seen] ** 2).sum() + c[~seen].sum()


def cost_by_a_loop(s, c, sigma_y):
    total = 0.0
    for i in range(len(s)):
        total += sigma_y**2 / s[i] ** 2 if s[i] > 0 else c[i]
    return total


def cost_in_numpy(s, c, sigma_y):
    s, c = np.array(s), np.array(c)
    return np.sum(np.where(s > 0, sigma_y**2 / np.where(s > 0, s, 1) ** 2, c))


def cost_by_traces(s, c, sigma_y):
    H = torch.diag(s)
    P = torch.linalg.pinv(H)
    rest = P @ H - torch.eye(len(s)).double()
    return sigma_y**2 * torch.trace(P @ P.T) + torch.trace(rest @ torch.diag(c) @ rest.T)


def cost_with_a_mistake_of_its_own(s, c, sigma_y):
    s[s == 0] = float("inf")  # the argument is changed, and its 0 forgotten
    return (sigma_y**2 / s**2).sum()


def whiten(H, y, R):
    W = torch.linalg.inv(torch.linalg.cholesky(R))
    return W @ H, W @ y


def whiten_by_a_root(H, y, R):
    values, axes = torch.linalg.eigh(R)
    W = axes @ torch.diag(values**-0.5) @ axes.T
    return W @ H, W @ y


def whiten_by_eigenvectors(H, y, R):
    values, axes = np.linalg.eigh(R.numpy())
    W = np.diag(1 / np.sqrt(values)) @ axes.T
    return W @ H.numpy(), W @ y.numpy()


def whiten_by_solving(H, y, R):
    L = torch.linalg.cholesky(R)
    both = torch.linalg.solve_triangular(L, torch.cat([H, y[:, None]], 1), upper=False)
    return {"H": both[:, :-1], "y": both[:, -1:]}


def whiten_by_a_factor_of_the_precision(H, y, R):
    W = torch.linalg.cholesky(torch.linalg.inv(R)).T
    return [(W @ H).tolist(), (W @ y).tolist()]


def times(W, *, y_too=True):
    return lambda H, y, R: (W(R) @ H, W(R) @ y if y_too else y)


def largest_step(C, bias):
    return 2 * float(torch.linalg.eigvalsh(C).min()) * bias / (1 + bias)


def budget(C, bias, left):
    step = largest_step(C, bias)
    slow = 1 - step / float(torch.linalg.eigvalsh(C).max())
    return step, math.ceil(math.log(left) / math.log(slow))


def budget_by_counting(C, bias, left):
    step, kept, steps = largest_step(C, bias), 1.0, 0
    slow = 1 - step / float(torch.linalg.eigvalsh(C).max())
    while kept > left:
        kept, steps = kept * slow, steps + 1
    return step, steps


def budget_in_numpy(C, bias, left):
    c = np.linalg.eigvalsh(np.asarray(C))
    step = 2 * c[0] * (1 - 1 / (1 + bias))
    return np.array([step, np.ceil(np.log(left) / np.log1p(-step / c[-1]))])


def budget_by_precisions(C, bias, left):
    precisions = torch.linalg.svdvals(torch.linalg.inv(C))
    step = bias / (1 + bias) * 2 / precisions[0]
    kept = torch.log(1 - step * precisions[-1])
    return torch.stack([step, torch.ceil(math.log(left) / kept)])


def budget_by_search(C, bias, left):
    low, high = 0.0, 2 * float(torch.linalg.eigvalsh(C).min())
    target = Gaussian(torch.zeros(len(C)), C)
    for _ in range(50):
        middle = (low + high) / 2
        ended = stationary_law(target, step=middle).cov
        excess = torch.linalg.eigvals(torch.linalg.solve(C, ended)).real.max() - 1
        low, high = (middle, high) if excess <= bias else (low, middle)
    slow = 1 - low / float(torch.linalg.eigvalsh(C).max())
    return low, math.ceil(math.log(left) / math.log(slow))


def another_budget(step=largest_step, pick=-1, rounded=math.ceil):
    def answer(C, bias, left):
        a = step(C, bias)
        c = torch.linalg.eigvalsh(C)[pick].item()
        return a, rounded(math.log(left) / math.log(1 - a / c))

    return answer


RIGHT = {
    "01.1": [cost, cost_by_a_loop, cost_in_numpy, cost_by_traces],
    "01.2": [
        whiten,
        whiten_by_a_root,
        whiten_by_eigenvectors,
        whiten_by_solving,
        whiten_by_a_factor_of_the_precision,
    ],
    "01.3": [budget, budget_by_counting, budget_in_numpy, budget_by_precisions, budget_by_search],
}
WRONG = {
    "01.1": [
        cost_with_a_mistake_of_its_own,
        lambda s, c, sigma_y: sum(sigma_y / s[i] if s[i] > 0 else c[i] for i in range(len(s))),
        lambda s, c, sigma_y: sum(
            (sigma_y * s[i]) ** 2 if s[i] > 0 else c[i] for i in range(len(s))
        ),
        lambda s, c, sigma_y: (c * sigma_y**2 / (sigma_y**2 + c * s**2)).sum(),
        lambda s, c, sigma_y: sum(
            c[i] + (sigma_y**2 / s[i] ** 2 if s[i] > 0 else 0) for i in range(len(s))
        ),
        lambda s, c, sigma_y: (sigma_y**2 / s**2).sum(),  # infinite
        lambda s, c, sigma_y: cost(s, c, sigma_y) / len(s),
        lambda s, c, sigma_y: cost(s, c**2, sigma_y),
        lambda s, c, sigma_y: cost(s, c, sigma_y) ** 0.5,
        lambda s, c, sigma_y: cost(s, c, sigma_y) - c[s > 0].sum(),
    ],
    "01.2": [
        times(torch.linalg.cholesky),
        times(lambda R: torch.from_numpy(np.linalg.inv(R.numpy()))),
        times(lambda R: torch.linalg.inv(torch.linalg.cholesky(R)), y_too=False),
        times(lambda R: torch.diag(1 / R.diagonal().sqrt())),
        times(lambda R: torch.linalg.inv(torch.linalg.cholesky(R)).T),
        lambda H, y, R: (H, y),
        lambda H, y, R: H,
        times(lambda R: torch.diag(1 / R.diagonal())),
        times(lambda R: R**-0.5),
        lambda H, y, R: whiten(H, y, R)[::-1],
    ],
    "01.3": [
        another_budget(pick=0),
        another_budget(step=lambda C, bias: largest_step(C, bias) / 2),
        another_budget(step=lambda C, bias: 2 * torch.linalg.eigvalsh(C)[0].item() * bias),
        another_budget(step=lambda C, bias: 2 * torch.linalg.eigvalsh(C)[0].item()),
        lambda C, bias, left: budget(C, bias, left)[::-1],
        another_budget(rounded=math.floor),
        another_budget(rounded=lambda steps: steps),
        another_budget(rounded=round),
        lambda C, bias, left: budget(torch.diag(torch.diag(C)), bias, left),
        another_budget(step=lambda C, bias: 2 * torch.linalg.eigvalsh(C)[-1].item() * bias / 9),
        lambda C, bias, left: largest_step(C, bias),
    ],
}

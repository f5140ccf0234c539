"""What y makes of x0_hat, by plain linear algebra on dense matrices: the references of guidance.

Moments of x_0 given x_t and y come from the joint Gaussian law of
all three, in 60 digits; iterations are written as textbooks write them, on w in the space of y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np
import torch
from laws import GaussianCase

from ddrm_edu.operators.linear_map import LinearMap, linear_map


def tweedie(case: GaussianCase, x: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """E[x_0 | x_t = x] for each row of x, and Cov[x_0 | x_t]."""
    gain = np.linalg.solve(case.cov + sigma**2 * np.eye(len(case.cov)), case.cov).T
    return case.mean + (x - case.mean) @ gain.T, sigma**2 * gain


def given_x_and_y(case: GaussianCase, x: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
    """E[x_0 | x_t = x, y] for each row, from the joint Gaussian law in 60 digits.

    Without noise only the numbers of y that are independent are taken: those along U.
    """
    H = case.H
    if case.sigma_y == 0:
        U, s, _ = np.linalg.svd(H)
        U = U[:, : int((s > 1e-10 * s.max(initial=0)).sum())]
        H, y = U.T @ H, y @ U
    n = len(case.mean)
    with mpmath.workdps(60):
        A = mpmath.matrix(np.concatenate([np.eye(n), H]).tolist())
        C = mpmath.matrix(case.cov.tolist())
        noise = [mpmath.mpf(sigma) ** 2] * n + [mpmath.mpf(case.sigma_y) ** 2] * len(H)
        gain = C * A.T * mpmath.inverse(A * C * A.T + mpmath.diag(noise))
        gain = np.array(gain.tolist(), dtype=object).astype(float)
    seen = np.concatenate([x - case.mean, y - case.mean @ H.T], axis=1)
    return case.mean + seen @ gain.T


def proximal_gain(case: GaussianCase, v: float) -> np.ndarray:
    """v H^T (v H H^T + sigma_y^2 I)^-1 in 60 digits: at large v the inverse has none left of 16."""
    with mpmath.workdps(60):
        H = mpmath.matrix(case.H.tolist())
        noise = mpmath.diag([mpmath.mpf(case.sigma_y) ** 2] * len(case.H))
        gain = v * H.T * mpmath.inverse(v * H * H.T + noise)
        return np.array(gain.tolist(), dtype=object).astype(float)


class System(NamedTuple):
    """(H K H^T + sigma_y^2 I) w = y - H x0_hat, and P, the preconditioner."""

    x0_hat: np.ndarray  #: (batch, n)
    to_x: np.ndarray  #: K H^T (n, m)
    A: np.ndarray  #: (m, m)
    P: np.ndarray  #: (m, m)
    apart: np.ndarray  #: (batch, m); the part in H's range if that was asked for

    def moved(self, w: np.ndarray) -> np.ndarray:
        """What x0_hat becomes, for rows w (batch, m)."""
        return self.x0_hat + w @ self.to_x.T


def system(
    case: GaussianCase, x: np.ndarray, y: np.ndarray, sigma: float, r2=None, *, plain: bool = False
) -> System:
    """For a Gaussian prior; P = (r^2 H H^T + sigma_y^2 I)^+ with r^2 = sigma^2 / (1 + sigma^2).

    ``plain``: P = I, and y with what of it lies outside H's range.
    """
    r2 = sigma**2 / (1 + sigma**2) if r2 is None else r2
    x0_hat, K = tweedie(case, x, sigma)
    noise = case.sigma_y**2 * np.eye(len(case.H))
    to_x = K @ case.H.T
    P = np.linalg.pinv(r2 * case.H @ case.H.T + noise, rcond=1e-10, hermitian=True)
    apart = y - x0_hat @ case.H.T
    if plain:
        return System(x0_hat, to_x, case.H @ to_x + noise, np.eye(len(noise)), apart)
    in_range = case.H @ np.linalg.pinv(case.H, rcond=1e-10)
    return System(x0_hat, to_x, case.H @ to_x + noise, P, apart @ in_range.T)


def richardson(problem: System, steps: int) -> np.ndarray:
    """w <- w + P (y - H x0_hat - A w), from 0."""
    w = 0 * problem.apart
    for _ in range(steps):
        w = w + (problem.apart - w @ problem.A.T) @ problem.P.T
    return problem.moved(w)


def krylov(problem: System, steps: int) -> np.ndarray:
    """What conjugate gradients find: the least error in the norm of A, over P A P A ... P b."""
    rows = []
    for b in problem.apart:
        basis = [problem.P @ b]
        for _ in range(steps - 1):
            basis.append(problem.P @ (problem.A @ basis[-1]))
        Q = np.linalg.qr(np.stack(basis, axis=1))[0]
        rows.append(Q @ np.linalg.lstsq(Q.T @ problem.A @ Q, Q.T @ b, rcond=None)[0])
    return problem.moved(np.stack(rows))


def chebyshev(problem: System, steps: int, low: float, high: float) -> np.ndarray:
    """Residuals damped by T_k((c - lambda) / d) / T_k(c / d), c +- d = high, low; P regular."""
    values, axes = np.linalg.eigh(problem.P)
    root = axes * np.sqrt(values.clip(min=0)) @ axes.T
    values, axes = np.linalg.eigh(root @ problem.A @ root)
    if low == high:
        return problem.moved(problem.apart @ problem.P.T / low)
    T = np.polynomial.chebyshev.Chebyshev.basis(steps)
    centre, radius = (high + low) / 2, (high - low) / 2
    left = T((centre - values) / radius) / T(centre / radius)
    gain = np.divide(1 - left, values, out=np.zeros_like(values), where=values > 1e-12)
    return problem.moved(problem.apart @ (root @ (axes * gain) @ axes.T @ root).T)


def observed(
    case: GaussianCase, sigma: float, seed: int = 0, batch: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """x_t = x_0 + sigma eps and y = H x_0 + sigma_y z, rows of a batch, from draws of the prior."""
    rng = np.random.default_rng(seed)
    m, n = case.H.shape
    x0 = rng.multivariate_normal(case.mean, case.cov, batch)
    y = x0 @ case.H.T + case.sigma_y * rng.standard_normal((batch, m))
    return x0 + sigma * rng.standard_normal((batch, n)), y


def error_of(
    guide: Callable, case: GaussianCase, want: Callable, sigma: float, *, seed: int = 0
) -> float:
    """Largest difference of ``guide(case, x, y)(x, sigma)`` and ``want(case, x, y, sigma)``.

    Both are functions of numpy arrays; relative to 1 or the largest entry that is wanted.
    """
    x, y = observed(case, sigma, seed)
    right = want(case, x, y, sigma)
    got = guide(case, y)(x, sigma)
    return float(np.abs(got - right).max() / max(1.0, np.abs(right).max()))


# ------------------------------------------------------------------------- what a method is given


def products(H: np.ndarray) -> LinearMap:
    """H and H^T as two functions."""
    matrix = torch.as_tensor(H)
    return linear_map((lambda x: x @ matrix.T, lambda y: y @ matrix), (H.shape[1],))


class _Seen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, owner):
        ctx.owner = owner
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.owner.vjps += 1
        return gradient, None


class Counted:
    """A denoiser that counts its evaluations and its vector-Jacobian products."""

    def __init__(self, denoiser):
        self.denoiser, self.evaluations, self.images, self.vjps = denoiser, 0, 0, 0

    def __call__(self, x, sigma):
        self.evaluations += 1
        self.images += len(x)
        return self.denoiser(_Seen.apply(x, self), sigma)

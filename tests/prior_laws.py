"""Laws of priors and of Langevin dynamics: each takes the implementation and returns its error.

As in ``laws.py``, the ordinary tests ask that the error be rounding and the wrong versions of
``meta/test_wrong_priors.py`` that it be large.  The references use nothing of the package but its
operators: integrals are sums over a fine grid, densities are scipy's, gradients are torch's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import mpmath
import numpy as np
import scipy.linalg
import torch
from laws import largest, relative
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from ddrm_edu import Dense
from ddrm_edu import langevin as langevin_module
from ddrm_edu.gaussian import Gaussian


class MixtureCase(NamedTuple):
    """sum_k pi_k N(m_k, C_k) of flat images."""

    weights: np.ndarray  #: (K,)
    means: np.ndarray  #: (K, n)
    covs: np.ndarray  #: (K, n, n)


def random_mixture(K: int, n: int, seed: int) -> MixtureCase:
    """Unequal weights, overlapping components, full covariances of different sizes."""
    rng = np.random.default_rng(seed)
    weights = 0.2 + rng.random(K)
    A = rng.standard_normal((K, n, n))
    size = rng.uniform(0.3, 1.2, (K, 1, 1))
    covs = size * (A @ A.transpose(0, 2, 1) / n + 0.2 * np.eye(n))
    return MixtureCase(weights / weights.sum(), 1.5 * rng.standard_normal((K, n)), covs)


def made(make: Callable, case: MixtureCase):
    """``make(weights, means, covs)``, a function like ``GaussianMixture``, with torch's arrays."""
    return make(*map(torch.as_tensor, case))


# -------------------------------------------------------------------- Bayes' rule in many digits


def posterior_in_many_digits(
    factor: np.ndarray, H: np.ndarray, sigma_y: float, *, digits: int = 80
) -> tuple[np.ndarray, np.ndarray]:
    """Gain (n, m) from y to the mean and covariance for N(0, L L^T), by the textbook's formula.

    C - C H^T (H C H^T + sigma_y^2 I)^-1 H C loses 30 digits at most where the others here are
    small.  With ``sigma_y = 0`` a noise of 1e-40 stands for its limit.
    """
    with mpmath.workdps(digits if sigma_y else 3 * digits):
        L, A = (mpmath.matrix(each.tolist()) for each in (factor, H))
        noise = mpmath.mpf(sigma_y) if sigma_y else mpmath.mpf(10) ** -40
        C = L * L.T
        seen = A * C * A.T + noise**2 * mpmath.eye(A.rows)
        gain = C * A.T * mpmath.inverse(seen)
        return _rounded(gain), _rounded(C - gain * A * C)


def exact_operators(n: int) -> dict[str, np.ndarray]:
    """Matrices H with n columns, a multiple of 4, whose entries and ranks float64 holds exactly."""
    rng = np.random.default_rng(n)
    generic = rng.integers(-8, 9, (n + 4, n)) / 16
    blocks = np.kron(np.diag(0.5 ** np.arange(n // 4)), scipy.linalg.hadamard(4) / 2)
    return {
        "H = I": np.eye(n),
        "square": generic[:n],
        "wide": generic[: n // 2],
        "tall": generic,
        "rank-deficient": generic[:, :5] @ rng.integers(-4, 5, (5, n)) / 4,
        "repeated s": np.concatenate([blocks[:-4], 0 * blocks[:2]]),
    }


class PosteriorErrors(NamedTuple):
    """Largest errors, relative to the posterior's trace and to the gain's largest entry."""

    trace: float
    cov: float
    gain: float
    negative: float  #: the most negative eigenvalue of the covariance, in units of the largest


def posterior_errors(
    posterior_map: Callable, factor: np.ndarray, H: np.ndarray, sigma_y: float
) -> PosteriorErrors:
    """S02.3: distance of ``posterior_map(op, sigma_y=)`` from the same in many digits.

    At ``sigma_y = 0`` the covariance is compared with that of the prior, since nothing may be left,
    and the gain by what it makes of measurements that can occur: no other has a posterior.
    """
    want_gain, want_cov = posterior_in_many_digits(factor, H, sigma_y)
    op = Dense(H)
    gain, cov = posterior_map(op, sigma_y=sigma_y)
    possible = np.eye(len(H)) if sigma_y else H @ factor
    of_y = gain @ op.measure_spec(torch.as_tensor(possible.T)).flatten(1).T
    scale = np.trace(want_cov if sigma_y else factor @ factor.T)
    eigenvalues = torch.linalg.eigvalsh(cov)
    return PosteriorErrors(
        abs(float(cov.trace()) - np.trace(want_cov)) / scale,
        largest(cov.numpy() - want_cov) / scale,
        relative(of_y, want_gain @ possible),
        max(0.0, -float(eigenvalues[0])) / max(float(eigenvalues[-1]), 1e-300),
    )


def random_factor(n: int, rank: int | None, seed: int = 0) -> np.ndarray:
    """L of a prior with n coordinates of several sizes in a plane of ``rank`` dimensions.

    Without a rank all dimensions are filled, with standard deviations from 1 to 1e-9.
    """
    rng = np.random.default_rng(seed)
    if rank is None:
        return np.linalg.qr(rng.standard_normal((n, n)))[0] * np.geomspace(1, 1e-9, n)
    return rng.standard_normal((n, rank)) * np.geomspace(2, 0.2, n)[:, None]


def _rounded(matrix: mpmath.matrix) -> np.ndarray:
    return np.array(matrix.tolist(), dtype=object).astype(float)


# ---------------------------------------------------------------------- Bayes' rule on a fine grid


def grid_posterior(case: MixtureCase, H: np.ndarray, y: np.ndarray, sigma_y: float):
    """Mean and covariance of p(x | y) for images of one or two pixels, by summing over a grid.

    The sum of a Gaussian over a grid of spacing h differs from its integral by the factor
    exp(-2 pi^2 w^2 / h^2) at most, w its smallest standard deviation: 4e-18 for h = 0.7 w.  Beyond
    9 standard deviations lie 2e-19 of the mass.
    """
    covs = np.linalg.inv(np.linalg.inv(case.covs) + H.T @ H / sigma_y**2)
    sources = np.linalg.solve(case.covs, case.means[..., None])[..., 0] + H.T @ y / sigma_y**2
    means = np.einsum("kij,kj->ki", covs, sources)  # these say where the grid must be, no more
    spread = 9 * np.sqrt(np.diagonal(covs, axis1=1, axis2=2))
    h = 0.7 * math.sqrt(np.linalg.eigvalsh(covs).min())
    lower, upper = (means - spread).min(0), (means + spread).max(0)
    sides = [np.arange(a, b + h, h) for a, b in zip(lower, upper, strict=True)]
    x = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(lower))

    log_p = log_mixture(case, x) - ((y - x @ H.T) ** 2).sum(1) / (2 * sigma_y**2)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ x
    return mean, (p[:, None] * (x - mean)).T @ (x - mean)


def log_mixture(case: MixtureCase, x: np.ndarray, sigma: float = 0.0) -> np.ndarray:
    """log p_sigma at each row of x, by scipy."""
    noise = sigma**2 * np.eye(x.shape[1])
    parts = [
        multivariate_normal(mean, cov + noise).logpdf(x).reshape(len(x)) + math.log(weight)
        for weight, mean, cov in zip(*case, strict=True)
    ]
    return logsumexp(parts, axis=0)


def _points(case: MixtureCase, sigma: float, seed: int, *, batch: int = 3) -> np.ndarray:
    """Images near and between the components, at level sigma."""
    rng = np.random.default_rng(seed)
    centres = case.means[rng.integers(len(case.means), size=batch)]
    return centres + (0.8 + sigma) * rng.standard_normal(centres.shape)


# ------------------------------------------------------------------------------------------ priors


def denoiser_error(make: Callable, case: MixtureCase, sigma: float, *, seed: int = 0) -> float:
    """G03: distance of ``make(...)(x, sigma)`` from the integral of x_0 p(x_0 | x_t = x)."""
    x = _points(case, sigma, seed)
    want = [grid_posterior(case, np.eye(x.shape[1]), row, sigma)[0] for row in x]
    return relative(made(make, case)(torch.as_tensor(x), sigma), np.stack(want))


def density_error(make: Callable, case: MixtureCase, sigma: float, *, seed: int = 0) -> float:
    """G03: distance of the log density from scipy's."""
    x = _points(case, sigma, seed)
    return relative(
        made(make, case).log_density(torch.as_tensor(x), sigma), log_mixture(case, x, sigma)
    )


def score_error(make: Callable, case: MixtureCase, sigma: float, *, seed: int = 0) -> float:
    """S02.5: distance of the score from the gradient of torch's own log density."""
    x = torch.as_tensor(_points(case, sigma, seed))
    want = _gradient(torch_mixture(case, sigma).log_prob, x)
    return relative(made(make, case).score(x, sigma), want)


def torch_mixture(case: MixtureCase, sigma: float = 0.0) -> MixtureSameFamily:
    weights, means, covs = map(torch.as_tensor, case)
    noise = sigma**2 * torch.eye(means.shape[1], dtype=torch.float64)
    return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, covs + noise))


def _gradient(log_density: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_density(x).sum(), x)[0]


def _measurement(case: MixtureCase, H: np.ndarray, sigma_y: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = _points(case, 0.0, seed)
    return x @ H.T + sigma_y * rng.standard_normal((len(x), len(H)))


def posterior_error(
    make: Callable, case: MixtureCase, H: np.ndarray, sigma_y: float, *, seed: int = 0
) -> float:
    """S02.3: distance of mean and covariance from Bayes' rule on a grid; one or two pixels."""
    y = _measurement(case, H, sigma_y, seed)
    got = made(make, case).posterior(Dense(H), torch.as_tensor(y), sigma_y=sigma_y)
    means, covs = zip(*[grid_posterior(case, H, row, sigma_y) for row in y], strict=True)
    return max(relative(got.mean, np.stack(means)), relative(got.cov, np.stack(covs)))


def posterior_weights_error(
    make: Callable, case: MixtureCase, H: np.ndarray, sigma_y: float, *, seed: int = 0
) -> float:
    """G03: distance of the weights from pi_k N(y; H m_k, H C_k H^T + sigma_y^2 I), in pixels."""
    y = _measurement(case, H, sigma_y, seed)
    of_y = MixtureCase(
        case.weights,
        case.means @ H.T,
        H @ case.covs @ H.T + sigma_y**2 * np.eye(len(H)),
    )
    one = lambda k: MixtureCase(*(array[k : k + 1] for array in of_y))  # noqa: E731
    parts = np.stack([log_mixture(one(k), y) for k in range(len(case.weights))], axis=1)
    want = np.exp(parts - logsumexp(parts, axis=1, keepdims=True))
    got = made(make, case).posterior(Dense(H), torch.as_tensor(y), sigma_y=sigma_y)
    return largest(got.weights.numpy() - want)


def empirical_denoiser_error(make: Callable, images: np.ndarray, sigma: float) -> float:
    """G03: distance of ``make(images)(x, sigma)`` from Bayes' rule, written image by image."""
    rng = np.random.default_rng(1)
    x = images[:3] + (0.3 + sigma) * rng.standard_normal(images[:3].shape)
    want = [_bayes(images, row, sigma) @ images.reshape(len(images), -1) for row in x]
    got = make(torch.as_tensor(images))(torch.as_tensor(x), sigma)
    return relative(got.flatten(1), np.stack(want))


def empirical_posterior_error(
    make: Callable, images: np.ndarray, H: np.ndarray, sigma_y: float
) -> float:
    """S02.3: distance of the weights from Bayes' rule, written image by image; flat images."""
    rng = np.random.default_rng(2)
    y = images[:3] @ H.T + sigma_y * rng.standard_normal((3, len(H)))
    want = [_bayes(images @ H.T, row, sigma_y) for row in y]
    got = make(torch.as_tensor(images)).posterior(Dense(H), torch.as_tensor(y), sigma_y=sigma_y)
    return largest(got.weights.numpy() - np.stack(want))


def _bayes(seen: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
    """p(x_i | y) for y = seen_i + sigma z and equally probable images, as products of densities."""
    log_p = np.array([norm.logpdf(y, loc=row, scale=sigma).sum() for row in seen])
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


# ---------------------------------------------------------------------------------------- Langevin


def posterior_score_error(
    make: Callable, prior: Callable, case: MixtureCase, H: np.ndarray, sigma_y: float
) -> float:
    """S02.5: distance of ``make(prior, op, y, sigma_y=)`` from the gradient of log p(x, y)."""
    y = torch.as_tensor(_measurement(case, H, sigma_y, 3))
    x = torch.as_tensor(_points(case, 0.0, 4))
    of_y = lambda x: MultivariateNormal(  # noqa: E731
        x @ torch.as_tensor(H).T, sigma_y**2 * torch.eye(len(H), dtype=torch.float64)
    )
    want = _gradient(lambda x: torch_mixture(case).log_prob(x) + of_y(x).log_prob(y), x)
    return relative(make(made(prior, case), Dense(H), y, sigma_y=sigma_y)(x), want)


def random_target(n: int, seed: int) -> Gaussian:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    return Gaussian(rng.standard_normal(n), A @ A.T / n + 0.3 * np.eye(n))


def langevin_step_error(samples: Callable, target: Gaussian, step: float) -> float:
    """S02.4: distance of one step of ``samples``, as an affine map of x and z, from the slide's."""
    n, P = target.n, np.linalg.inv(target.cov.numpy())
    units = torch.as_tensor(np.eye(1 + 2 * n, 2 * n, -1))  # 0, each unit x, each unit z

    def noise(like: Tensor, generator=None) -> Tensor:
        return units[:, n:]

    score = lambda x: -(x - target.mean) @ torch.as_tensor(P)  # noqa: E731
    with mock.patch.object(langevin_module, "standard_normal", noise):
        (x,) = samples(score, units[:, :n], step=step, steps=1)
    x = x.numpy()
    offset, of_x, of_z = x[0], (x[1 : n + 1] - x[0]).T, (x[n + 1 :] - x[0]).T
    return largest(
        offset - step * P @ target.mean.numpy(),
        of_x - (np.eye(n) - step * P),
        of_z @ of_z.T - 2 * step * np.eye(n),
    )


def stationary_error(law: Callable, target: Gaussian, step: float) -> float:
    """S02.4: distance from the fixed point S = A S A^T + 2 step I, solved by scipy."""
    A = np.eye(target.n) - step * np.linalg.inv(target.cov.numpy())
    want = scipy.linalg.solve_discrete_lyapunov(A, 2 * step * np.eye(target.n))
    got = law(target, step=step)
    return max(largest(got.mean - target.mean), relative(got.cov, want))


def transient_error(
    law: Callable, target: Gaussian, start: Gaussian, step: float, steps: int
) -> float:
    """S02.4: distance from the recursion of mean and covariance, step after step."""
    P = np.linalg.inv(target.cov.numpy())
    A = np.eye(target.n) - step * P
    mean, cov = start.mean.numpy(), start.cov.numpy()
    for _ in range(steps):
        mean = mean - step * P @ (mean - target.mean.numpy())
        cov = A @ cov @ A.T + 2 * step * np.eye(target.n)
    got = law(target, start, step=step, steps=steps)
    return max(relative(got.mean, mean), relative(got.cov, cov))


def monte_carlo_error(x: Tensor, mean, cov) -> float:
    """Largest z-score of the sample mean and the full sample covariance, from any law."""
    centred = x.flatten(1).numpy() - np.asarray(mean).ravel()
    cov = np.asarray(cov)
    pairs = itertools.product(range(centred.shape[1]), repeat=2)
    errors = [*centred.T, *(centred[:, i] * centred[:, j] - cov[i, j] for i, j in pairs)]
    return largest([e.mean() / (e.std() / math.sqrt(len(e))) for e in errors])

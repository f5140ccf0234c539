"""Slides 2-4: linear inverse problems, Langevin dynamics, adding noise, the reverse chain.

Brute force here means: every variable is a matrix acting on (1, independent standard normals), so
that its full covariance is one product.  Chains are kept in the slides' own, variance-preserving
coordinates; the library's are others.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import prior_laws
import scipy.linalg
import sympy
import torch
from laws import (
    GaussianCase,
    default_schedule,
    exact_alpha_bar,
    jump_kernel_error,
    largest,
    random_case,
    relative,
    schedule_error,
)
from laws import posterior_law as brute_posterior
from prior_laws import MixtureCase, grid_posterior, random_mixture, random_target
from scipy.stats import multivariate_normal

from ddrm_edu import Denoising, Dense, GaussianMixture, GaussianPrior, NoiseSchedule
from ddrm_edu import langevin as langevin_module
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.gaussian import Gaussian, GaussianNetwork
from ddrm_edu.langevin import langevin_samples, posterior_score, stationary_law
from ddrm_edu.law import posterior_law
from ddrm_edu.schedule import to_ve, to_vp

from .gaussian_theory import EXTRAPOLATION, limit
from .registry import item
from .scenes import prior_of, symbolic

SCHEDULE = default_schedule()
ROUNDING = 1e-13  # some hundred roundings of a number of order 1
SOLVED = 1e-11  # matrices are inverted whose condition numbers are up to 1e4

# Wide, tall and square, of full rank and rank-deficient; s from 1.3 to 0.07.
CASES = [
    random_case(n, m, rank, 0.3, seed=n + m)
    for n, m, rank in [(5, 3, 2), (3, 6, 3), (4, 4, 4), (4, 1, 1), (4, 6, 2)]
]
NOISELESS = random_case(5, 3, 3, 0.0, seed=4)  # of full row rank, so that y has a density


def eye(n: int) -> torch.Tensor:
    return torch.eye(n, dtype=torch.float64)


def measurements(case: GaussianCase, seed: int = 0) -> torch.Tensor:
    """Three draws of y = H x + z."""
    rng = np.random.default_rng(seed)
    x = rng.multivariate_normal(case.mean, case.cov, 3)
    return torch.as_tensor(x @ case.H.T + case.sigma_y * rng.standard_normal((3, len(case.H))))


# ------------------------------------------------------------------ slide 2: y = H x + z


def joint_of_x_and_y(case: GaussianCase) -> tuple[np.ndarray, np.ndarray]:
    """Mean of (x, y), and the matrix by which it depends on n + m independent normals."""
    m, n = case.H.shape
    of_x = np.hstack([np.linalg.cholesky(case.cov), np.zeros((n, m))])
    of_z = case.sigma_y * np.eye(m, n + m, n)
    mean = np.concatenate([case.mean, case.H @ case.mean])
    return mean, np.vstack([of_x, case.H @ of_x + of_z])


@item(
    "S02.1",
    "y = H x + z with z ~ N(0, sigma_y^2 I): E y = H m, Cov y = H C H^T + sigma_y^2 I",
    right=lambda x, op, sigma_y: x.joint(op.matrix(), cov=sigma_y**2),
    wrong={
        "sigma_y for sigma_y^2": lambda x, op, sigma_y: x.joint(op.matrix(), cov=sigma_y),
        "noise added to x": lambda x, op, sigma_y: x.joint(
            op.matrix(), cov=sigma_y**2 * op.matrix() @ op.matrix().T
        ),
        "one number z for all of y": lambda x, op, sigma_y: x.joint(
            op.matrix(), cov=sigma_y**2 * torch.ones(op.m, op.m)
        ),
        "without noise": lambda x, op, sigma_y: x.joint(op.matrix()),
    },
    bound=ROUNDING,
)
def forward_model(joint) -> float:
    """Mean and FULL covariance of (x, y) against one matrix of independent normals."""
    errors = []
    for case in CASES:
        mean, random = joint_of_x_and_y(case)
        x = Gaussian(torch.as_tensor(case.mean), torch.as_tensor(case.cov))
        got = joint(x, Dense(case.H), case.sigma_y)
        errors += [relative(got.mean, mean), relative(got.cov, random @ random.T)]
    return largest(errors)


@item(
    "S02.1",
    "sigma_y is on the scale of x: for 2 x - 1 and 2 y - H 1 it is 2 sigma_y",
    right=lambda sigma_y: 2 * sigma_y,
    wrong={
        "not rescaled": lambda sigma_y: sigma_y,
        "rescaled as a variance": lambda sigma_y: 4 * sigma_y,
        "by the root of 2": lambda sigma_y: math.sqrt(2) * sigma_y,
    },
    bound=SOLVED,
)
def scale_of_the_noise(rescaled) -> float:
    """The library's posterior of 2 x - 1, mapped back, against that of x."""
    errors = []
    for case in CASES:
        prior, op, y = prior_of(case), Dense(case.H), measurements(case)
        want = prior.posterior(op, y, sigma_y=case.sigma_y)
        other = GaussianPrior(2 * prior.mean - 1, 4 * prior.cov)
        y = 2 * y - op(torch.ones_like(prior.mean)[None])
        got = other.posterior(op, y, sigma_y=rescaled(case.sigma_y))
        errors += [relative((got.mean + 1) / 2, want.mean), relative(got.cov / 4, want.cov)]
    return largest(errors)


# ------------------------------------------------------------------ slide 2: supervised, Bayes


@item(
    "S02.2",
    "x_theta = f(y) trained by squared loss is the posterior mean m + B (y - H m)",
    right=lambda prior, op, y, sigma_y: prior.posterior(op, y, sigma_y=sigma_y).mean,
    wrong={
        "H^+ y": lambda prior, op, y, sigma_y: op.pinv(y),
        "sigma_y for sigma_y^2": lambda prior, op, y, sigma_y: (
            prior.posterior(op, y, sigma_y=math.sqrt(sigma_y)).mean
        ),
        "mean of the data forgotten": lambda prior, op, y, sigma_y: (
            GaussianPrior(0 * prior.mean, prior.cov).posterior(op, y, sigma_y=sigma_y).mean
        ),
        "y taken for exact where possible": lambda prior, op, y, sigma_y: (
            prior.mean + op.pinv(y - op(prior.mean[None]))
        ),
    },
    bound=SOLVED,
)
def supervised_solution(f) -> float:
    """Least squares on pairs (x_i, y_i) whose first two moments are exactly those of the law."""
    errors = []
    for case in CASES:
        mean, random = joint_of_x_and_y(case)
        k, n = len(mean), len(case.mean)
        offsets = math.sqrt(k) * np.hstack([random, -random]).T
        x, y = np.split(mean + offsets, [n], axis=1)
        affine = lambda y: np.hstack([np.ones((len(y), 1)), y])  # noqa: E731
        weights = np.linalg.lstsq(affine(y), x, rcond=None)[0]
        new = measurements(case)
        got = f(prior_of(case), Dense(case.H), new, case.sigma_y)
        errors.append(relative(got, affine(new.numpy()) @ weights))
    return largest(errors)


BIMODAL = MixtureCase(  # one pixel, far apart for the noise: the posterior has two modes
    np.array([0.35, 0.65]), np.array([[-1.2], [1.1]]), np.array([[[0.09]], [[0.16]]])
)


@item(
    "S02.2",
    "it is the MEAN also where the posterior has two modes, between which it lies",
    right=lambda posterior: posterior.mean,
    wrong={
        "the higher mode": lambda posterior: posterior.means[
            torch.arange(len(posterior.means)), posterior.weights.argmax(1)
        ],
        "mean of the modes": lambda posterior: posterior.means.mean(1),
    },
    bound=1e-12,  # the sum over a grid, see grid_posterior
)
def mean_not_mode(f) -> float:
    """Zero gradient of E[(x - f)^2 | y], the expectation as a sum over a fine grid."""
    H, y, sigma_y = np.array([[0.8]]), np.array([[0.1], [-0.2], [0.5]]), 0.9
    posterior = GaussianMixture(*map(torch.as_tensor, BIMODAL)).posterior(
        Dense(H), torch.as_tensor(y), sigma_y=sigma_y
    )
    mean = np.stack([grid_posterior(BIMODAL, H, row, sigma_y)[0] for row in y])
    return largest(f(posterior).numpy() - mean)


@item(
    "S02.2",
    "Cov f(y) = C - Cov[x | y]: restorations vary less than the data",
    right=lambda C, posterior: C - posterior,
    wrong={
        "as much as the data": lambda C, posterior: C,
        "as much as the posterior": lambda C, posterior: posterior,
        "more than the data": lambda C, posterior: C + posterior,
    },
    bound=SOLVED,
)
def spread_of_restorations(cov_of_f) -> float:
    """From the library's posterior covariance, against B Cov(y) B^T by brute force."""
    errors = []
    for case in CASES:
        _, random = joint_of_x_and_y(case)
        of_y, B = random[len(case.mean) :], brute_posterior(case).gain
        _, cov = prior_of(case).posterior_map(Dense(case.H), sigma_y=case.sigma_y)
        got = cov_of_f(case.cov, cov.numpy())
        errors.append(relative(got, B @ of_y @ of_y.T @ B.T))
    return largest(errors)


def bayes(precision, source):
    """A posterior in information form, from what y adds to the precision and to P m."""

    def posterior(prior, op, y, *, sigma_y):
        P, H = torch.linalg.inv(prior.cov), op.matrix()
        cov = torch.linalg.inv(P + precision(H, sigma_y))
        return (P @ prior.mean + source(H, y, sigma_y)) @ cov, cov

    return posterior


@item(
    "S02.3",
    "p(x | y) is proportional to p(x) p(y | x), for sigma_y > 0",
    right=lambda prior, op, y, *, sigma_y: prior.posterior(op, y, sigma_y=sigma_y),
    wrong={
        "precision H^T H / sigma_y": bayes(
            lambda H, sigma_y: H.T @ H / sigma_y, lambda H, y, sigma_y: y @ H / sigma_y
        ),
        "y without its noise level": bayes(lambda H, sigma_y: H.T @ H, lambda H, y, sigma_y: y @ H),
        "H^+ y for H^T y": bayes(
            lambda H, sigma_y: H.T @ H / sigma_y**2,
            lambda H, y, sigma_y: y @ torch.linalg.pinv(H, rtol=1e-9).T / sigma_y**2,
        ),
        "the prior twice": lambda prior, op, y, *, sigma_y: GaussianPrior(
            prior.mean, prior.cov / 2
        ).posterior(op, y, sigma_y=sigma_y),
    },
    bound=SOLVED,
)
def bayes_rule(posterior) -> float:
    """log p(x | y) - log p(x) - log p(y | x), by scipy's densities, does not depend on x."""
    errors = []
    for case in CASES:
        ys = measurements(case)
        means, cov = posterior(prior_of(case), Dense(case.H), ys, sigma_y=case.sigma_y)
        x = np.random.default_rng(1).multivariate_normal(case.mean, case.cov, 12)
        prior = multivariate_normal(case.mean, case.cov).logpdf(x)
        noise = multivariate_normal(np.zeros(len(case.H)), case.sigma_y**2 * np.eye(len(case.H)))
        for mean, y in zip(means.numpy(), ys.numpy(), strict=True):
            after = multivariate_normal(mean, cov.numpy()).logpdf(x)
            terms = after - prior - noise.logpdf(y - x @ case.H.T)
            errors.append(np.ptp(terms) / np.abs(after).max())
    return largest(errors)


def library_posterior(case: GaussianCase, y: torch.Tensor):
    law = posterior_law(prior_of(case), Dense(case.H), sigma_y=case.sigma_y)
    return law.given(y)


def completed(case: GaussianCase, y: torch.Tensor):
    """H^+ y where measured and the prior where not, as if the two were independent."""
    op, prior = Dense(case.H), prior_of(case)
    lost = eye(op.n) - torch.linalg.pinv(op.matrix(), rtol=1e-9) @ op.matrix()
    return op.pinv(y) + prior.mean @ lost, lost @ prior.cov @ lost


@item(
    "S02.3",
    "spectral form = conditional of the joint law, also for sigma_y = 0, where H x = y",
    right=library_posterior,
    wrong={
        "H^+ y completed by the prior": completed,
        "covariance of the prior": lambda case, y: (
            library_posterior(case, y).mean,
            prior_of(case).cov,
        ),
        "mean of the prior": lambda case, y: (
            prior_of(case).mean.expand(len(y), -1),
            library_posterior(case, y).cov,
        ),
    },
    bound=SOLVED,
)
def conditional_of_the_joint(posterior) -> float:
    """Means and FULL covariance, against numpy's conditional of (x, y) in pixels."""
    errors = []
    for case in [*CASES, NOISELESS]:
        y, want = measurements(case), brute_posterior(case)
        mean, cov = posterior(case, y)
        errors.append(relative(mean, y.numpy() @ want.gain.T + want.offset))
        errors.append(largest(cov.numpy() - want.cov) / largest(case.cov))
    return largest(errors)


MIXTURE = random_mixture(3, 2, seed=1)
H_OF_MIXTURE = np.array([[0.9, -0.4], [0.3, 0.2], [0.5, 1.1]])
LATENT_SIGMA_Y = 0.6


def mixture_with(weights):
    """A mixture whose posterior has other weights, ``weights(prior, op, y, sigma_y)``."""

    class Other(GaussianMixture):
        def posterior(self, op, y, *, sigma_y):
            right = super().posterior(op, y, sigma_y=sigma_y)
            return right._replace(weights=weights(self, right, op, y, sigma_y))

    return Other


def evidence_of_the_means(prior, right, op, y, sigma_y):
    """pi_k N(y; H m_k, sigma_y^2 I)."""
    distances = torch.cdist(y, op(prior.means)) ** 2
    return (prior.weights.log() - distances / (2 * sigma_y**2)).softmax(dim=1)


@item(
    "S02.3",
    "Bayes' rule for a mixture: weights pi_k N(y; H m_k, H C_k H^T + sigma_y^2 I)",
    right=GaussianMixture,
    wrong={
        "weights of the prior": mixture_with(
            lambda prior, right, *_: prior.weights.expand_as(right.weights)
        ),
        "spread of the components forgotten": mixture_with(evidence_of_the_means),
        "the likeliest component alone": mixture_with(
            lambda prior, right, *_: (
                right.weights == right.weights.max(1, keepdim=True).values
            ).double()
        ),
    },
    bound=1e-11,  # the sum over a grid, see grid_posterior
)
def bayes_rule_on_a_grid(make) -> float:
    """Mean and covariance against p(x) p(y | x) summed over a grid in the plane."""
    return max(
        prior_laws.posterior_error(make, MIXTURE, H, LATENT_SIGMA_Y)
        for H in (H_OF_MIXTURE, H_OF_MIXTURE[:1])
    )


# ------------------------------------------------------------------ slide 2: Langevin dynamics

TARGET, STEP = random_target(3, 0), 0.11


def dynamics(update):
    """Langevin dynamics with ``update(x, score, z, step)``."""

    def samples(score, x, *, step, steps, generator=None):
        for _ in range(steps):
            x = update(x, score(x), langevin_module.standard_normal(x, generator), step)
            yield x

    return samples


@item(
    "S02.4",
    "x_{t+1} = x_t + alpha grad log p(x_t | y) + sqrt(2 alpha) z_t",
    right=langevin_samples,
    wrong={
        "noise sqrt(alpha)": dynamics(lambda x, score, z, a: x + a * score + math.sqrt(a) * z),
        "half the drift": dynamics(lambda x, score, z, a: x + a / 2 * score + math.sqrt(2 * a) * z),
        "descent": dynamics(lambda x, score, z, a: x - a * score + math.sqrt(2 * a) * z),
        "one number z for all pixels": dynamics(
            lambda x, score, z, a: x + a * score + math.sqrt(2 * a) * z[:, :1]
        ),
    },
    bound=ROUNDING,
)
def langevin_step(samples) -> float:
    """One step as an affine map of x and z, found by unit vectors, against the slide's."""
    return prior_laws.langevin_step_error(samples, TARGET, STEP)


def wider(change):
    """A stationary law whose covariance is ``change(C, P, I, step)``."""

    def law(target, *, step):
        C = target.cov
        return Gaussian(target.mean, change(C, torch.linalg.inv(C), eye(len(C)), step))

    return law


@item(
    "S02.4",
    "for N(m, P^-1) it ends in the covariance [P (I - alpha P / 2)]^-1",
    right=stationary_law,
    wrong={
        "the target itself": wider(lambda C, P, unit, a: C),
        "temperature 1/2, as with noise sqrt(alpha)": wider(
            lambda C, P, unit, a: torch.linalg.inv(P @ (unit - a / 2 * P)) / 2
        ),
        "alpha P for alpha P / 2": wider(
            lambda C, P, unit, a: torch.linalg.inv(P @ (unit - a * P))
        ),
        "first order in alpha": wider(lambda C, P, unit, a: C + a / 2 * unit),
    },
    bound=SOLVED,
)
def stationary_covariance(law) -> float:
    """Mean and FULL covariance against the fixed point that scipy solves for."""
    return prior_laws.stationary_error(law, TARGET, STEP)


@item(
    "S02.4",
    "fixed point of v <- (1 - alpha P)^2 v + 2 alpha: v = 1 / (P (1 - alpha P / 2))",
    right=lambda P, a: 1 / (P * (1 - a * P / 2)),
    wrong={
        "1 / P": lambda P, a: 1 / P,
        "noise sqrt(alpha)": lambda P, a: 1 / (2 * P * (1 - a * P / 2)),
        "1 / P + alpha": lambda P, a: 1 / P + a,
    },
    bound=0.0,
)
def stationary_variance_symbolically(variance) -> float:
    """Put into the recursion of slide 2."""
    P, a = sympy.symbols("P alpha", positive=True)
    v = variance(P, a)
    return symbolic((1 - a * P) ** 2 * v + 2 * a - v)


def largest_step(target: Gaussian) -> float:
    """The step from which on the library refuses, by bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        try:
            stationary_law(target, step=middle)
            low = middle
        except ValueError:
            high = middle
    return low


@item(
    "S02.4",
    "the chain is stable if and only if alpha < 2 / lambda_max(P)",
    right=largest_step,
    wrong={
        "1 / lambda_max(P)": lambda target: float(torch.linalg.eigvalsh(target.cov)[0]),
        "2 / lambda_min(P)": lambda target: 2 * float(torch.linalg.eigvalsh(target.cov)[-1]),
        "2 lambda_max(P)": lambda target: 2 / float(torch.linalg.eigvalsh(target.cov)[0]),
    },
    bound=1e-12,
)
def stability(limit) -> float:
    """There the largest eigenvalue of I - alpha P, in absolute value, is 1."""
    P = np.linalg.inv(TARGET.cov.numpy())
    return largest(np.abs(np.linalg.eigvals(np.eye(TARGET.n) - limit(TARGET) * P)).max() - 1)


def score_with(change):
    """A posterior score, ``change(prior, op, y, sigma_y, x)``."""

    def make(prior, op, y, *, sigma_y):
        return functools.partial(change, prior, op, y, sigma_y)

    return make


WRONG_SCORES = {
    "H^T (y - H x) / sigma_y": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.adjoint(y - op(x)) / sigma_y
    ),
    "likelihood of the other sign": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) - op.adjoint(y - op(x)) / sigma_y**2
    ),
    "H^+ for H^T": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.pinv(y - op(x)) / sigma_y**2
    ),
    "prior forgotten": score_with(
        lambda prior, op, y, sigma_y, x: op.adjoint(y - op(x)) / sigma_y**2
    ),
}


@item(
    "S02.4",
    "with the score of p(x | y) it ends around E[x | y], with P = Cov[x | y]^-1",
    right=posterior_score,
    wrong={k: WRONG_SCORES[k] for k in ("H^T (y - H x) / sigma_y", "H^+ for H^T")}
    | {"likelihood forgotten": score_with(lambda prior, op, y, sigma_y, x: prior.score(x))},
    bound=SOLVED,
)
def langevin_for_the_posterior(make) -> float:
    """Fixed point of the chain, its drift found by unit vectors, against numpy's posterior."""
    step, errors = 0.02, []
    for case in CASES[:3]:
        op, y, n = Dense(case.H), measurements(case)[:1], len(case.mean)
        score = make(prior_of(case), op, y, sigma_y=case.sigma_y)
        at_zero, *at_units = score(torch.as_tensor(np.eye(n + 1, n, -1))).numpy()
        drift = (np.stack(at_units) - at_zero).T
        want = brute_posterior(case)
        P, unit = np.linalg.inv(want.cov), np.eye(n)
        errors.append(
            relative(
                scipy.linalg.solve_discrete_lyapunov(unit + step * drift, 2 * step * unit),
                np.linalg.inv(P @ (unit - step / 2 * P)),
            )
        )
        mean = want.offset + want.gain @ y[0].numpy()
        errors.append(relative(-np.linalg.solve(drift, at_zero), mean))
    return largest(errors)


@item(
    "S02.5",
    "grad log p(x | y) = grad log p(x) + H^T (y - H x) / sigma_y^2",
    right=posterior_score,
    wrong=WRONG_SCORES,
    bound=1e-12,
)
def score_of_the_posterior(make) -> float:
    """For a mixture, against torch's gradient of log p(x) + log p(y | x)."""
    return max(
        prior_laws.posterior_score_error(make, GaussianMixture, MIXTURE, H, LATENT_SIGMA_Y)
        for H in (H_OF_MIXTURE, H_OF_MIXTURE[:1])
    )


def likelihood_at_level(prior, op, y, x, sigma, sigma_y, *, spread=1.0, jacobian=True):
    """Score of p(y | x_t) = N(H D(x_t), sigma_y^2 I + H Cov[x_0 | x_t] H^T); D = E[x_0 | x_t]."""
    H, n = op.matrix(), op.n
    cov = prior.posterior(Denoising((n,)), x, sigma_y=sigma).cov
    of_y = sigma_y**2 * eye(op.m) + spread * H @ cov @ H.T
    gain = prior(eye(n), sigma) - prior(torch.zeros(n, n).double(), sigma)  # rows D'(x) e_i
    back = torch.linalg.solve(of_y, (y - op(prior(x, sigma))).T).T @ H
    return back @ gain.T if jacobian else back


@item(
    "S02.5",
    "at level t: p(y | x_t) = N(H D(x_t), sigma_y^2 I + H Cov[x_0 | x_t] H^T)",
    right=likelihood_at_level,
    wrong={
        "H^T (y - H x_t) / sigma_y^2": lambda prior, op, y, x, sigma, sigma_y: (
            op.adjoint(y - op(x)) / sigma_y**2
        ),
        "H^T (y - H D(x_t)) / sigma_y^2": lambda prior, op, y, x, sigma, sigma_y: (
            op.adjoint(y - op(prior(x, sigma))) / sigma_y**2
        ),
        "Cov[x_0 | x_t] forgotten": functools.partial(likelihood_at_level, spread=0.0),
        "derivative of D forgotten": functools.partial(likelihood_at_level, jacobian=False),
    },
    bound=SOLVED,
)
def score_at_a_level(likelihood) -> float:
    """The prior's score at level t plus it, against the conditional law of x_t given y."""
    errors = []
    for case, sigma in itertools.product(CASES, (0.4, 2.3)):
        prior, op, y = prior_of(case), Dense(case.H), measurements(case)
        x = torch.as_tensor(case.mean) + sigma * measurements(CASES[2])[:, :1]
        got = prior.score(x, sigma) + likelihood(prior, op, y, x, sigma, case.sigma_y)
        cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(op.m)
        gain = np.linalg.solve(cov_y, case.H @ case.cov).T
        mean = case.mean + (y.numpy() - case.H @ case.mean) @ gain.T
        cov = case.cov - gain @ case.H @ case.cov + sigma**2 * np.eye(op.n)
        errors.append(relative(got, -np.linalg.solve(cov, (x.numpy() - mean).T).T))
    return largest(errors)


# ------------------------------------------------------------------ slide 3: adding noise

# Five steps of generic size; alpha-bar from the 50-digit product, not from the library.
SHORT = NoiseSchedule(torch.tensor([0.0, 0.06, 0.17, 0.11, 0.3, 0.41], dtype=torch.float64))
T, BETA = SHORT.T, SHORT.beta.numpy()
ABAR = np.array([float(a) for a in exact_alpha_bar(SHORT.beta)])


def library_noising(x, eps, t: int):
    """One step of q(x_t | x_{t-1}) through the library's coordinates and levels."""
    sigma, below = SHORT.sigma[t], SHORT.sigma[t - 1]
    return to_vp(to_ve(x, below) + (sigma**2 - below**2).sqrt() * eps, sigma)


@item(
    "S03.1",
    "q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I), one step after the other",
    right=library_noising,
    wrong={
        "no roots": lambda x, eps, t: (1 - BETA[t]) * x + BETA[t] * eps,
        "noise of std beta_t": lambda x, eps, t: math.sqrt(1 - BETA[t]) * x + BETA[t] * eps,
        "x_{t-1} not shrunk": lambda x, eps, t: x + math.sqrt(BETA[t]) * eps,
        "beta_{t-1}": lambda x, eps, t: (
            math.sqrt(1 - BETA[t - 1]) * x + math.sqrt(BETA[t - 1]) * eps
        ),
    },
    bound=ROUNDING,
)
def noising_chain(step) -> float:
    """All means and the FULL covariance of (x_1, ..., x_T) given x_0, in 50-digit closed form."""
    x = torch.eye(T + 1, dtype=torch.float64)[:, :1]  # of x_0 = 1, or of each unit noise
    rows = []
    for t in range(1, T + 1):
        x = step(x, torch.eye(T + 1, dtype=torch.float64)[:, t : t + 1], t)
        rows.append(x[:, 0].numpy())
    rows = np.stack(rows)
    a = ABAR[1:]
    s, t = np.minimum.outer(a, a), np.maximum.outer(a, a)  # abar of the later and earlier level
    return largest(rows[:, 0] - np.sqrt(a), rows[:, 1:] @ rows[:, 1:].T - np.sqrt(s / t) * (1 - t))


@item(
    "S03.1",
    "Cov(x_s, x_t | x_0) = sqrt(abar_t / abar_s) (1 - abar_s) I for s <= t",
    right=lambda a_s, a_t: math.sqrt(a_t / a_s) * (1 - a_s),
    wrong={
        "factor sqrt(abar_t)": lambda a_s, a_t: math.sqrt(a_t) * (1 - a_s),
        "abar_t / abar_s without the root": lambda a_s, a_t: a_t / a_s * (1 - a_s),
        "one eps for all levels": lambda a_s, a_t: math.sqrt((1 - a_s) * (1 - a_t)),
        "levels independent": lambda a_s, a_t: (1 - a_s) * (a_s == a_t),
    },
    bound=ROUNDING,
)
def covariance_of_two_levels(cov) -> float:
    """Levels of the library's schedule, against a network of the slide's one-step kernels."""
    network = GaussianNetwork()
    network.add("x0", offset=[1.3, -0.4])
    for t in range(1, T + 1):
        network.add(f"x{t}", {f"x{t - 1}": math.sqrt(1 - BETA[t])}, cov=BETA[t])
    a = SHORT.alpha_bar.tolist()
    return largest(
        [
            network.joint(f"x{s}", f"x{t}").cov[:2, 2:].numpy() - cov(a[s], a[t]) * np.eye(2)
            for t in range(1, T + 1)
            for s in range(1, t + 1)
        ]
    )


@item(
    "S03.2",
    "q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I)",
    right=lambda x0, eps, sigma: to_vp(x0 + sigma * eps, sigma),
    wrong={
        "both square roots missing": lambda x0, eps, sigma: (x0 + sigma**2 * eps) / (1 + sigma**2),
        "noise of variance (1 - abar)^2": lambda x0, eps, sigma: (
            to_vp(x0, sigma) + sigma**2 / (1 + sigma**2) * eps
        ),
    },
    bound=1e-12,  # 120 steps, each with a few roundings
)
def jump_kernel(jump) -> float:
    """The jump to level t equals t steps of q(x_t | x_{t-1})."""
    return jump_kernel_error(jump, SCHEDULE)


@item(
    "S03.3",
    "alpha_t = 1 - beta_t, abar_t = product of alpha_s over s <= t",
    right=lambda beta: NoiseSchedule(beta).alpha_bar,
    wrong={
        "product of beta": lambda beta: torch.cat([torch.ones(1), beta[1:].cumprod(0)]),
        "off by one": lambda beta: torch.cat([torch.ones(2), (1 - beta[1:-1]).cumprod(0)]),
    },
    bound=1e-13,
)
@item(
    "E20",
    "slide 3: abar_0 = 1, the empty product, which the last step of Algorithm 1 needs",
    right=lambda beta: NoiseSchedule(beta).alpha_bar,
    wrong={"as printed": lambda beta: torch.cat([(1 - beta[1:]).cumprod(0), torch.zeros(1)])},
    bound=1e-13,
)
def alpha_bar(of_beta) -> float:
    """Against the product in 50-digit decimal arithmetic."""
    return schedule_error(of_beta, NoiseSchedule.linear(50, 0.01, 0.3).beta)


# ------------------------------------------------------------------ slide 4: the reverse chain

DATA = random_case(3, 2, 2, 0.3, seed=8)
N, VAR_0 = len(DATA.mean), 0.23
PRIOR = prior_of(DATA)


def kernel_given_x0(t: int) -> tuple[float, float, float]:
    """q(x_t | x_{t+1}, x_0): weights of x_0 and x_{t+1} and the variance, by conditioning."""
    cross = math.sqrt(1 - BETA[t + 1]) * (1 - ABAR[t])
    gain = cross / (1 - ABAR[t + 1])
    return math.sqrt(ABAR[t]) - gain * math.sqrt(ABAR[t + 1]), gain, 1 - ABAR[t] - gain * cross


def exact_prediction(x: np.ndarray, t: int) -> np.ndarray:
    """E[x_0 | x_t] under the prior, on rows acting on (1, normals)."""
    cov = ABAR[t] * DATA.cov + (1 - ABAR[t]) * np.eye(N)
    gain = math.sqrt(ABAR[t]) * np.linalg.solve(cov, DATA.cov).T
    offset = DATA.mean - math.sqrt(ABAR[t]) * gain @ DATA.mean
    return gain @ x + offset[:, None] @ np.eye(1, x.shape[1])


def model_chain(var_T: float) -> np.ndarray:
    """p_theta of slide 4 with x_T ~ N(0, var_T I): x_T, ..., x_0 acting on (1, their noises)."""
    width = 1 + N * (T + 1)
    noise = [np.eye(N, width, 1 + k * N) for k in range(T + 1)]
    path = [math.sqrt(var_T) * noise[0]]
    for t in reversed(range(T)):
        of_x0, of_x, variance = kernel_given_x0(t) if t else (1.0, 0.0, VAR_0)
        mean = of_x0 * exact_prediction(path[-1], t + 1) + of_x * path[-1]
        path.append(mean + math.sqrt(variance) * noise[T - t])
    return np.concatenate(path)


POINT = [math.sqrt(ABAR[t]) * DATA.mean + 0.8 * np.sin(t + np.arange(N)) for t in range(T + 1)]


def log_start(variance: float = 1.0) -> float:
    """log p(x_T) at POINT."""
    law = Gaussian(torch.zeros(N), variance * eye(N))
    return float(law.log_density(torch.as_tensor(POINT[T])[None]))


def log_kernel(t: int, *, predict=PRIOR) -> float:
    """The library's log p_theta(x_t | x_{t+1}) at POINT; N(x_theta, VAR_0 I) for t = 0."""
    sigma, sigma_next = SHORT.sigma[t + 1], SHORT.sigma[t]
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0)
    above = to_ve(torch.as_tensor(POINT[t + 1]), sigma)[None]
    mean = to_vp(c.x0 * predict(above, sigma) + c.xt * above, sigma_next)[0]
    variance = to_vp(c.noise, sigma_next) ** 2 if t else VAR_0
    return float(Gaussian(mean, variance * eye(N)).log_density(torch.as_tensor(POINT[t])[None]))


@item(
    "S04.1",
    "p_theta(x_0:T) = p(x_T) prod_{t=1..T} p_theta(x_{t-1} | x_t)",
    right=lambda start, kernel: start() + sum(kernel(t - 1) for t in range(1, T + 1)),
    wrong={
        "factor of t = 1 dropped": lambda start, kernel: (
            start() + sum(kernel(t - 1) for t in range(2, T + 1))
        ),
        "p(x_T) dropped": lambda start, kernel: sum(kernel(t - 1) for t in range(1, T + 1)),
        "x_0 itself in place of x_theta": lambda start, kernel: (
            start()
            + sum(
                kernel(t - 1, predict=lambda x, sigma: torch.as_tensor(POINT[0])[None])
                for t in range(1, T + 1)
            )
        ),
    },
    bound=SOLVED,
)
@item(
    "S05.4",
    "p_theta(x_0:T) = p(x_T) prod_{t=0..T-1} p_theta(x_t | x_{t+1}), the same with t shifted",
    right=lambda start, kernel: start() + sum(kernel(t) for t in range(T)),
    wrong={
        "limits of q, t = 1..T-1": lambda start, kernel: (
            start() + sum(kernel(t) for t in range(1, T))
        ),
        "t = 0..T-2": lambda start, kernel: start() + sum(kernel(t) for t in range(T - 1)),
        "p(x_T) = q(x_T | x_0 = 0)": lambda start, kernel: (
            start(1 - ABAR[T]) + sum(kernel(t) for t in range(T))
        ),
    },
    bound=SOLVED,
)
def factors_of_p(product) -> float:
    """The library's kernels against one density of all levels from one full covariance matrix."""
    rows = model_chain(1.0)
    law = multivariate_normal(rows[:, 0], rows[:, 1:] @ rows[:, 1:].T)
    want = law.logpdf(np.concatenate(POINT[::-1]))
    return largest(product(log_start, log_kernel) / want - 1)


def gaussian_kl(x0: torch.Tensor, a: float) -> float:
    """The library's KL(q(x_T | x_0) || N(0, I))."""
    n = len(x0)
    return Gaussian(math.sqrt(a) * x0, (1 - a) * eye(n)).kl(Gaussian(torch.zeros(n), eye(n)))


@item(
    "S04.2",
    "N(0, I) is not q(x_T): KL = (abar_T |x_0|^2 - n abar_T - n log(1 - abar_T)) / 2 > 0",
    right=gaussian_kl,
    wrong={
        "KL = 0": lambda x0, a: 0.0,
        "KL the other way": lambda x0, a: Gaussian(torch.zeros(len(x0)), eye(len(x0))).kl(
            Gaussian(math.sqrt(a) * x0, (1 - a) * eye(len(x0)))
        ),
        "the mean alone": lambda x0, a: a * float(x0 @ x0) / 2,
        "sqrt(abar_T) for abar_T": lambda x0, a: gaussian_kl(x0, math.sqrt(a)),
    },
    bound=1e-10,  # relative: 1e-15 of log(1 - abar_T) against its square, abar_T = 4e-5
)
def terminal_prior(divergence) -> float:
    """For 1000 linear steps, abar_T = 4.04e-5, and for short schedules; the logarithm by log1p."""
    x0 = torch.tensor([0.9, -0.3, 0.2, 0.4, -0.7], dtype=torch.float64)
    errors = []
    for schedule in (NoiseSchedule.linear(), SCHEDULE, SHORT):
        a, square = float(exact_alpha_bar(schedule.beta)[-1]), float(x0 @ x0)
        want = (a * square - len(x0) * (a + math.log1p(-a))) / 2
        errors.append(divergence(x0, schedule.alpha_bar[-1].item()) / want - 1)
    return largest(errors)


def library_reverse_kernel(x, t: int, *, cov=lambda c, posterior: posterior * c.x0**2):
    """Mean and covariance of the data's own q(x_t | x_{t+1}) in VP, from the library's parts.

    The exact kernel given x_0, averaged over p(x_0 | x_{t+1}): the law of total variance.
    """
    sigma, sigma_next = SHORT.sigma[t + 1], SHORT.sigma[t]
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0)
    x = to_ve(x, sigma)
    known = PRIOR.posterior(Denoising((N,)), x, sigma_y=float(sigma))
    total = c.noise**2 * eye(N) + cov(c, known.cov)
    scale = to_vp(torch.ones((), dtype=torch.float64), sigma_next)
    return scale * (c.x0 * known.mean + c.xt * x), scale**2 * total


def reverse_with(cov):
    return functools.partial(library_reverse_kernel, cov=cov)


@item(
    "S04.3",
    "Gaussian data: q(x_t | x_{t+1}) is Gaussian, Cov = S_t - alpha S_t S_{t+1}^-1 S_t",
    right=library_reverse_kernel,
    wrong={
        "isotropic, beta-tilde I": reverse_with(lambda c, posterior: 0 * posterior),
        "isotropic, of the right trace": reverse_with(
            lambda c, posterior: c.x0**2 * posterior.trace() / N * eye(N)
        ),
        "Cov[x_0 | x_{t+1}] whole": reverse_with(lambda c, posterior: posterior),
    },
    bound=SOLVED,
)
def reverse_kernel_of_gaussian_data(kernel) -> float:
    """Mean and FULL covariance, against the conditional of (x_t, x_{t+1}) of the forward chain."""
    errors = []
    for t in range(1, T):
        below, above = (a * DATA.cov + (1 - a) * np.eye(N) for a in ABAR[t : t + 2])
        cross = math.sqrt(1 - BETA[t + 1]) * below
        gain = np.linalg.solve(above, cross).T
        x = POINT[t + 1]
        mean = math.sqrt(ABAR[t]) * DATA.mean
        mean = mean + gain @ (x - math.sqrt(ABAR[t + 1]) * DATA.mean)
        got = kernel(torch.as_tensor(x)[None], t)
        errors += [relative(got[0][0], mean), relative(got[1], below - gain @ cross)]
    return largest(errors)


def bell(mean: float, variance: float, x: np.ndarray) -> np.ndarray:
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def posterior_of_level(sigma_next: float, sigma: float, x: float):
    """Library: p(x_t | x_{t+1} = x) in VE, where x_t is a wider mixture and x its measurement."""
    weights, means, covs = map(torch.as_tensor, BIMODAL)
    prior = GaussianMixture(weights, means, covs + sigma_next**2)
    y = torch.tensor([[x]], dtype=torch.float64)
    return prior.posterior(Denoising((1,)), y, sigma_y=math.sqrt(sigma**2 - sigma_next**2))


def mixture_kernel(sigma_next, sigma, x, grid):
    posterior = posterior_of_level(sigma_next, sigma, x)
    parts = zip(
        posterior.weights[0], posterior.means[0, :, 0], posterior.covs[:, 0, 0], strict=True
    )
    return sum(float(w) * bell(float(m), float(v), grid) for w, m, v in parts)


def moment_matched(sigma_next, sigma, x, grid):
    posterior = posterior_of_level(sigma_next, sigma, x)
    return bell(posterior.mean.item(), posterior.cov.item(), grid)


def ddpm_kernel(sigma_next, sigma, x, grid):
    """The kernel of Algorithm 1: beta-tilde around mu-tilde(x_{t+1}, E[x_0 | x_{t+1}])."""
    prior = GaussianMixture(*map(torch.as_tensor, BIMODAL))
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0)
    x0_hat = prior(torch.tensor([[x]], dtype=torch.float64), sigma).item()
    return bell(float(c.x0) * x0_hat + float(c.xt) * x, float(c.noise) ** 2, grid)


@item(
    "S04.3",
    "two modes: q(x_t | x_{t+1}) is a mixture, no Gaussian kernel is exact",
    right=mixture_kernel,
    wrong={
        "Gaussian of the right mean and variance": moment_matched,
        "the Gaussian of Algorithm 1": ddpm_kernel,
    },
    bound=1e-11,  # the normalisation is a sum over a grid, exact to rounding for smooth densities
)
def reverse_kernel_of_two_modes(density) -> float:
    """The density on a grid against p(x_t) q(x_{t+1} | x_t), normalised there."""
    sigma_next, sigma, x = 0.5, 1.6, 0.2
    grid = np.linspace(-9, 9, 3001)
    weights, means, covs = BIMODAL
    marginal = sum(
        w * bell(m[0], C[0, 0] + sigma_next**2, grid)
        for w, m, C in zip(weights, means, covs, strict=True)
    )
    product = marginal * bell(x, sigma**2 - sigma_next**2, grid)
    return relative(density(sigma_next, sigma, x, grid), product / np.trapezoid(product, grid))


def excess_kurtosis(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> float:
    """Of a mixture in one dimension."""
    away = means - weights @ means
    second = weights @ (away**2 + variances)
    fourth = weights @ (away**4 + 6 * away**2 * variances + 3 * variances**2)
    return float(fourth / second**2 - 3)


@item(
    "S04.3",
    "as beta_t -> 0 it becomes N(x_{t+1} + beta_t score, beta_t I), Gaussian after all",
    right=lambda score, kurtosis: (score, 1.0, 0.0),
    wrong={
        "no drift": lambda score, kurtosis: (0.0, 1.0, 0.0),
        "half the drift": lambda score, kurtosis: (score / 2, 1.0, 0.0),
        "half the variance": lambda score, kurtosis: (score, 0.5, 0.0),
        "never Gaussian": lambda score, kurtosis: (score, 1.0, kurtosis),
    },
    bound=EXTRAPOLATION,
)
def reverse_kernel_of_small_steps(limits) -> float:
    """Drift and variance over beta, and excess kurtosis, extrapolated in beta."""
    sigma, x, betas = 0.5, 0.2, (0.016, 0.008, 0.004, 0.002)
    found = []
    for beta in betas:
        posterior = posterior_of_level(sigma, math.sqrt(sigma**2 + beta), x)
        parts = posterior.weights[0], posterior.means[0, :, 0], posterior.covs[:, 0, 0]
        kurtosis = excess_kurtosis(*(part.numpy() for part in parts))
        found.append([(posterior.mean.item() - x) / beta, posterior.cov.item() / beta, kurtosis])
    here = torch.tensor([[x]], dtype=torch.float64)
    score = GaussianMixture(*map(torch.as_tensor, BIMODAL)).score(here, sigma).item()
    marginal = BIMODAL.covs[:, 0, 0] + sigma**2
    of_data = excess_kurtosis(BIMODAL.weights, BIMODAL.means[:, 0], marginal)
    return largest(limit(found, betas) - np.array(limits(score, of_data)))

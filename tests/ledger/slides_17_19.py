"""Slides 17-19: the reverse process of DDRM, Algorithm 2, the two noising dynamics."""

from __future__ import annotations

import functools
import itertools
import math
from inspect import unwrap as of_symbols  # the formula behind the door that asks for numbers
from unittest import mock

import numpy as np
import sympy
import torch
from laws import (
    consistency_error,
    default_schedule,
    eps_denoiser_error,
    exact_alpha_bar,
    known_noise,
    largest,
    literal_algorithm_2,
    nonlinear_denoiser,
    random_case,
    relative,
    row_by_row,
    sampler_law_error,
    slide_11,
    vp_error,
)
from scipy.stats import multivariate_normal
from torch.distributions import MultivariateNormal

from ddrm_edu import Dense, EpsDenoiser, GaussianPrior, ddrm_coefficients, ddrm_samples
from ddrm_edu import ddrm as ddrm_module
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.elbo import ddrm_nelbo, step_weights
from ddrm_edu.gaussian import GaussianNetwork
from ddrm_edu.priors import GaussianMixture
from ddrm_edu.schedule import alpha_bar_of, to_vp

from .registry import item

# Measurements of which numpy's pseudo-inverse is all that is needed: wide and tall, both of rank 3,
# with noise of 0.15, 0.66 and 2.9 in their three coordinates.
CASES = [random_case(6, 5, 3, 0.2, seed=0), random_case(4, 6, 3, 0.2, seed=1)]
LEVELS = [3.1, 3.05, 0.6, 0.21, 0.02, 0.0]  # each of the three cases occurs
ETAS = {"eta": 0.6, "eta_b": 0.7}
S = torch.tensor([1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0], dtype=torch.float64)
SCHEDULE = default_schedule()
MODEL = random_case(6, 1, 1, 0.0, seed=5)  # another Gaussian, whose denoiser predicts


# ---------------------------------------------------------------------------------- brute force


def pseudo_inverse(H: np.ndarray) -> np.ndarray:
    return np.linalg.pinv(H, rcond=1e-10)


def matrix_of(apply, shape: tuple[int, ...]) -> np.ndarray:
    """Matrix of a linear map of vectors, column by column."""
    unit = torch.eye(math.prod(shape), dtype=torch.float64)
    return apply(unit.reshape(-1, *shape)).flatten(1).T.numpy()


def prior_of(case) -> GaussianPrior:
    return GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))


def kl(mean: np.ndarray, other: np.ndarray, cov: np.ndarray) -> float:
    """KL divergence of two Gaussians of one covariance."""
    difference = mean - other
    return difference @ np.linalg.solve(cov, difference) / 2


def exact_mean(function, mean: np.ndarray, cov: np.ndarray) -> float:
    """E function(x) for x ~ N(mean, cov) and a polynomial of degree 3 at most, by 2 n points."""
    root = math.sqrt(len(mean)) * np.linalg.cholesky(cov).T
    return float(np.mean([function(mean + step) for step in (*root, *-root)]))


def numpy_svd(H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All n singular values and V^T."""
    _, s, Vt = np.linalg.svd(H)
    s = np.pad(s, (0, len(Vt) - len(s)))
    return np.where(s > 1e-10, s, 0), Vt


# ------------------------------------------------------------------------------- wrong versions


def changed(function, **numbers):
    """The library's coefficients, some of them replaced: ``name=new(s, sigma_t, sigma_y)``."""

    def coefficients(s, sigma, sigma_y):
        c = function(s, sigma, sigma_y)
        return c._replace(**{name: new(s, sigma, sigma_y) for name, new in numbers.items()})

    return coefficients


def strict_boundary(s, sigma, sigma_next, sigma_y, **rates):
    """Strict '>' in case 1: equality is treated as if nothing had been measured."""
    equal = s * float(sigma_next) == sigma_y
    return ddrm_coefficients(s.where(~equal, 0 * s), sigma, sigma_next, sigma_y, **rates)


def sampler_with(coefficients):
    """ddrm_samples on another table."""

    def samples(*args, **kwargs):
        with mock.patch.object(ddrm_module, "ddrm_coefficients", row_by_row(coefficients)):
            yield from ddrm_samples(*args, **kwargs)

    return samples


def step_noise_as(change):
    """ddrm_samples with the fresh noise of its steps changed."""

    def samples(*args, **kwargs):
        drawn = diffusion_module.standard_normal
        noise = lambda like, generator=None: change(drawn(like, generator))  # noqa: E731
        with mock.patch.object(diffusion_module, "standard_normal", noise):
            yield from ddrm_samples(*args, **kwargs)

    return samples


def prediction_as(change):
    """ddrm_samples whose prediction is ``change(denoiser, x, sigma)``."""

    def samples(denoiser, *args, **kwargs):
        return ddrm_samples(lambda x, sigma: change(denoiser, x, sigma), *args, **kwargs)

    return samples


def measurement_ignored(denoiser, op, y, sigmas, **kwargs):
    return ddrm_samples(denoiser, op, 0 * y, sigmas, **kwargs)


def rates_exchanged(*args, eta, eta_b, **kwargs):
    return ddrm_samples(*args, eta=eta_b, eta_b=eta, **kwargs)


class ThinV(Dense):
    """The V of an economy-size decomposition: coordinates that were not measured are dropped."""

    def V(self, x):
        return super().V(x * (self.s > 0))

    def Vt(self, x):
        return super().Vt(x) * (self.s > 0)


class TransposedV(Dense):
    """An SVD routine's V^T taken for its V."""

    Vt, V = Dense.V, Dense.Vt


class PixelsForCoordinates(Dense):
    """No change of coordinates at all."""

    def V(self, x):
        return x.clone()

    Vt = V


def in_coordinates_of(make):
    """ddrm_samples with an operator made from the same matrix."""

    def samples(denoiser, op, *args, **kwargs):
        return ddrm_samples(denoiser, make(op.matrix()), *args, **kwargs)

    return samples


# ------------------------------------------------------------------------------------- slide 17


@item(
    "S17.1",
    "p(xbar_T^i | y) = N(ybar^i, sigma_T^2 - sigma_y^2 / s_i^2), or N(0, sigma_T^2) if s_i = 0",
    right=ddrm_start_coefficients,
    wrong={
        "noise of y not subtracted": changed(
            ddrm_start_coefficients, noise=lambda s, sigma, sigma_y: torch.full_like(s, sigma)
        ),
        "N(0, sigma_T^2) in every coordinate": lambda s, sigma, sigma_y: ddrm_start_coefficients(
            0 * s, sigma, sigma_y
        ),
        "sigma_y^2 s^2 subtracted": changed(
            ddrm_start_coefficients,
            noise=lambda s, sigma, sigma_y: (sigma**2 - (sigma_y * s) ** 2).sqrt(),
        ),
        "standard deviations subtracted": changed(
            ddrm_start_coefficients,
            noise=lambda s, sigma, sigma_y: sigma - sigma_y * s.pow(-1).where(s > 0, 0),
        ),
    },
    bound=1e-12,  # condition number of H (19), squared in the covariance
)
def start(coefficients) -> float:
    """Mean map H^+ and covariance sigma_T^2 I - sigma_y^2 H^+ H^+T in pixels, without any SVD."""
    errors = []
    for case in CASES:
        op, pinv = Dense(case.H), pseudo_inverse(case.H)
        c, V = coefficients(op.s, LEVELS[0], case.sigma_y), matrix_of(op.V, op.in_shape)
        to_spec = matrix_of(op.measure_spec, op.out_shape)
        want = LEVELS[0] ** 2 * np.eye(op.n) - case.sigma_y**2 * pinv @ pinv.T
        errors.append(relative(V @ (c.y[:, None].numpy() * to_spec), pinv))
        errors.append(relative(V * c.noise.numpy() ** 2 @ V.T, want))
    return largest(errors)


def second_moments(prior, op) -> torch.Tensor:
    V = torch.as_tensor(matrix_of(op.V, op.in_shape))
    return (V.T @ (prior.cov + prior.mean.outer(prior.mean)) @ V).diagonal()


@item(
    "S17.1",
    "KL(q(x_T | x_0, y) || p(x_T | y)) = sum over s_i = 0 of E (xbar_0^i)^2 / (2 sigma_T^2)",
    right=lambda prior, op, sigma_y: (
        ddrm_nelbo(prior, op, LEVELS, sigma_y=sigma_y, var_0=1.0, **ETAS).start
    ),
    wrong={
        "sum over all coordinates": lambda prior, op, sigma_y: (
            second_moments(prior, op).sum() / (2 * LEVELS[0] ** 2)
        ),
        "factor 1/2 forgotten": lambda prior, op, sigma_y: (
            second_moments(prior, op)[op.s == 0].sum() / LEVELS[0] ** 2
        ),
        "variance for the second moment": lambda prior, op, sigma_y: (
            ddrm_nelbo(
                GaussianPrior(0 * prior.mean, prior.cov),
                op,
                LEVELS,
                sigma_y=sigma_y,
                var_0=1.0,
                **ETAS,
            ).start
        ),
        "start taken for exact": lambda prior, op, sigma_y: 0.0,
    },
    bound=1e-12,
)
def start_divergence(divergence) -> float:
    """Against the mean over x_0 of the divergence of two full Gaussians in pixels."""
    errors = []
    for case in CASES:
        pinv, n = pseudo_inverse(case.H), len(case.mean)
        cov = LEVELS[0] ** 2 * np.eye(n) - case.sigma_y**2 * pinv @ pinv.T
        unseen = np.eye(n) - pinv @ case.H  # both means contain H^+ y, which cancels
        term = lambda x0, unseen=unseen, cov=cov: kl(unseen @ x0, 0 * x0, cov)  # noqa: E731
        want = exact_mean(term, case.mean, case.cov)
        got = divergence(prior_of(case), Dense(case.H), case.sigma_y)
        errors.append(float(got) / want - 1)
    return largest(errors)


@item(
    "S17.2",
    "KL(q(x_t | x_{t+1}, x_0, y) || p_theta(x_t | ..)) = sum of w_i (xbar_0 - xbar_theta)_i^2",
    right=step_weights,
    wrong={
        "1 / (2 sigma_t^2) at any eta, eta_b": lambda s, sigma, sigma_next, sigma_y, **rates: (
            torch.full_like(s, 1 / (2 * sigma_next**2))
        ),
        "weight of the prediction forgotten": lambda *args, **rates: (
            1 / (2 * ddrm_coefficients(*args, **rates).noise ** 2)
        ),
        "standard deviation for the variance": lambda *args, **rates: (
            ddrm_coefficients(*args, **rates).x0 ** 2
            / (2 * ddrm_coefficients(*args, **rates).noise)
        ),
    },
    bound=1e-11,  # cancellation in 1 - weight and in sigma^2 - eta_b^2 b, both at most hundredfold
)
def divergence_of_a_step(weights) -> float:
    """Against the divergence of the two full Gaussians of slides 11 and 17 in pixels."""
    rng, errors = np.random.default_rng(2), []
    for case, pair in itertools.product(CASES, itertools.pairwise(LEVELS[:-1])):
        s, Vt = numpy_svd(case.H)
        table = [slide_11(si, *pair, case.sigma_y, **ETAS) for si in s]
        of_x0, _, _, variance = np.array(table).T
        x0, x_theta = rng.standard_normal((2, len(s)))
        means = (Vt.T @ (of_x0 * (Vt @ x)) for x in (x0, x_theta))  # the rest of both is the same
        want = kl(*means, Vt.T * variance @ Vt)
        w = weights(torch.as_tensor(s), *pair, case.sigma_y, **ETAS).numpy()
        errors.append(w @ (Vt @ (x0 - x_theta)) ** 2 / want - 1)
    return largest(errors)


@item(
    "S17.2",
    "p_theta(xbar_t | x_{t+1}, y) = q(xbar_t | x_{t+1}, x_0 = x_theta, y)",
    right=ddrm_samples,
    wrong={
        "x_theta is the noisy image itself": prediction_as(lambda denoiser, x, sigma: x),
        "x_theta forgotten": prediction_as(lambda denoiser, x, sigma: 0 * x),
        "y forgotten": measurement_ignored,
        "eta and eta_b exchanged": rates_exchanged,
        "noise twice": step_noise_as(lambda z: 2 * z),
    },
    bound=1e-12,
)
def kernel(samples) -> float:
    """Mean and full covariance of one step from a known state, for a denoiser that is not affine.

    The first image of the batch gets no fresh noise, image 1 + i the i-th unit vector.
    """
    errors = []
    for case, pair in itertools.product(CASES, [(3.1, 0.9), (3.1, 0.2), (9.0, 3.0)]):
        rng, (m, n) = np.random.default_rng(3), case.H.shape
        op, pinv, (s, Vt) = Dense(case.H), pseudo_inverse(case.H), numpy_svd(case.H)
        y, xi = rng.standard_normal(m), torch.as_tensor(rng.standard_normal(n))
        fresh = torch.cat([torch.zeros(1, n), torch.eye(n)]).double()
        std = (pair[0] ** 2 - (case.sigma_y / op.s).where(op.s > 0, 0) ** 2).sqrt()
        x = pinv @ y + op.V((std * xi)[None])[0].numpy()
        with known_noise(torch.stack([xi.expand(n + 1, n), fresh, fresh])):
            batch, levels = torch.as_tensor(y).expand(n + 1, m), [*pair, 0.0]
            run = samples(nonlinear_denoiser, op, batch, levels, sigma_y=case.sigma_y, **ETAS)
            got, _ = (step.x.numpy() for step in run)  # both: half a run would stay patched
        x_theta = nonlinear_denoiser(torch.as_tensor(x)[None], pair[0])[0].numpy()
        table = np.array([slide_11(si, *pair, case.sigma_y, **ETAS) for si in s])
        parts = np.stack([Vt @ x_theta, Vt @ x, Vt @ pinv @ y], axis=1)
        random = got[1:] - got[0]
        errors.append(relative(got[0], Vt.T @ (table[:, :3] * parts).sum(1)))
        errors.append(relative(random.T @ random, Vt.T * table[:, 3] @ Vt))
    return largest(errors)


@item(
    "S17.3",
    "sigma_0 = 0: x_0 = x_theta; if sigma_y = 0, (1 - eta_b) x_theta + eta_b ybar where s_i > 0",
    right=ddrm_coefficients,
    wrong={
        "strict > at the boundary": strict_boundary,
        "last level not 0 but 0.01": lambda s, sigma, sigma_next, sigma_y, **rates: (
            ddrm_coefficients(s, sigma, 0.01, sigma_y, **rates)
        ),
        "ybar also where s_i = 0": lambda s, *args, **rates: ddrm_coefficients(
            s.clamp(min=0.01), *args, **rates
        ),
    },
    bound=0.0,
)
def last_step(coefficients) -> float:
    """The four numbers of the step to sigma_0 = 0, with and without noise in y."""
    seen, errors = (S > 0).double(), []
    for sigma_y, of_y in ((0.31, 0 * seen), (0.0, ETAS["eta_b"] * seen)):
        got = coefficients(S, 0.6, 0.0, sigma_y, **ETAS)
        want = (1 - of_y, 0 * seen, of_y, 0 * seen)
        errors += [largest(g - w) for g, w in zip(got, want, strict=True)]
    return largest(errors)


@item(
    "S17.3",
    "sigma_y = 0 and eta_b = 1: the restored image satisfies H x = y",
    right=ddrm_samples,
    wrong={
        "strict > at the boundary": sampler_with(strict_boundary),
        "eta_b = 0.99": lambda *args, eta_b, **kwargs: ddrm_samples(*args, eta_b=0.99, **kwargs),
        "run stopped one step early": lambda denoiser, op, y, sigmas, **kwargs: itertools.islice(
            ddrm_samples(denoiser, op, y, sigmas, **kwargs), len(sigmas) - 2
        ),
    },
    bound=1e-13,  # n eps times the condition number of H, 19
)
def measured_is_kept(samples) -> float:
    """The residual, for images that the denoiser does not know."""
    errors = []
    for case in CASES:
        x0 = torch.as_tensor(np.random.default_rng(4).standard_normal((3, len(case.mean))))
        errors.append(consistency_error(samples, Dense(case.H), x0, LEVELS, eta=0.6))
    return largest(errors)


COARSE = [3.1, 0.9, 0.0]  # sigma_1 is large enough for it to matter whose denoiser predicts


def last_of_bound(prior, model, op, var_0) -> float:
    rates = {"sigma_y": 0.2, **ETAS}
    return ddrm_nelbo(prior, op, COARSE, var_0=var_0, denoiser=model, **rates).last


def dirac(prior, model, op, var_0) -> float:
    """The sampler's own last kernel, of variance sigma_0^2 = 0, in the place of N(x_theta, v_0)."""
    n = len(prior.mean)
    x_theta = model(prior.mean[None], COARSE[-2])[0].numpy()
    kernel = multivariate_normal(x_theta, np.zeros((n, n)), allow_singular=True)
    return -kernel.logpdf(prior.mean.numpy())


@item(
    "E7",
    "slide 17: sigma_0 = 0, so the last term of the bound needs a variance v_0 > 0 of its own",
    right=last_of_bound,
    wrong={
        "as printed": dirac,
        "v_0 as a standard deviation": lambda prior, model, op, var_0: last_of_bound(
            prior, model, op, var_0**2
        ),
        "error of the best denoiser, not of this one": lambda prior, model, op, var_0: (
            last_of_bound(prior, prior, op, var_0)
        ),
        "logarithm of one pixel only": lambda prior, model, op, var_0: (
            last_of_bound(prior, model, op, var_0)
            - (len(prior.mean) - 1) / 2 * math.log(2 * math.pi * var_0)
        ),
    },
    bound=1e-12,
)
def last_term(term) -> float:
    """-E log N(x_0; x_theta(x_1), v_0 I) over the joint law of (x_0, x_1), by scipy's density."""
    case, sigma, var_0, n = CASES[0], COARSE[-2], 0.03, 6
    gain = MODEL.cov @ np.linalg.inv(MODEL.cov + sigma**2 * np.eye(n))
    joint = np.block([[case.cov, case.cov], [case.cov, case.cov + sigma**2 * np.eye(n)]])

    def log_density(both: np.ndarray) -> float:
        x_theta = MODEL.mean + gain @ (both[n:] - MODEL.mean)
        return multivariate_normal(x_theta, var_0 * np.eye(n)).logpdf(both[:n])

    want = -exact_mean(log_density, np.tile(case.mean, 2), joint)
    return largest(term(prior_of(case), prior_of(MODEL), Dense(case.H), var_0) / want - 1)


# ------------------------------------------------------------------------------------- slide 18


@item(
    "S18.1",
    "Algorithm 2: the law of all its steps given y, with the exact denoiser",
    right=ddrm_samples,
    wrong={
        "thin V": in_coordinates_of(ThinV),
        "fresh noise divided by sqrt 2": step_noise_as(lambda z: z / math.sqrt(2)),
        "one random number for all coordinates": step_noise_as(
            lambda z: z[..., :1].expand(z.shape).clone()
        ),
        "network told the level that is entered": prediction_as(
            lambda denoiser, x, sigma: denoiser(x, LEVELS[LEVELS.index(sigma) + 1])
        ),
        "y used in the start only": sampler_with(
            lambda s, *args, **kwargs: ddrm_coefficients(0 * s, *args, **kwargs)
        ),
        "eta and eta_b exchanged": rates_exchanged,
    },
    bound=1e-11,
)
def algorithm_2(samples) -> float:
    """Offset, gain in y and full cross-time covariance against matrices written off the slide."""
    return largest([sampler_law_error(samples, case, LEVELS, **ETAS) for case in CASES])


@item(
    "S18.2",
    "x_t = V xbar_t and xbar_theta = V^T x_theta, where V diagonalises H^T H and V V^T = I",
    right=Dense,
    wrong={
        "thin V": ThinV,
        "V and V^T exchanged": TransposedV,
        "pixels taken for coordinates": PixelsForCoordinates,
    },
    bound=1e-13,
)
def coordinates(make) -> float:
    """V^T V = V V^T = I and V^T (H^T H) V = diag(s^2), with H itself and not the operator's."""
    errors = []
    for case in CASES:
        op = make(case.H)
        V, Vt = (matrix_of(apply, op.in_shape) for apply in (op.V, op.Vt))
        unit = np.eye(op.n)
        errors.append(largest(Vt @ V - unit, V @ Vt - unit, Vt - V.T))
        errors.append(largest(Vt @ case.H.T @ case.H @ V - np.diag(op.s.numpy() ** 2)))
    return largest(errors)


# ------------------------------------------------------------------------------------- slide 19


@item(
    "S19.1",
    "abar_t = 1 / (1 + sigma_t^2), x_VP = x_VE / sqrt(1 + sigma_t^2)",
    right=(alpha_bar_of, of_symbols(to_vp)),
    wrong={
        "1 / (1 + sigma)": (lambda sigma: 1 / (1 + sigma), of_symbols(to_vp)),
        "square root forgotten": (alpha_bar_of, lambda x, sigma: x / (1 + sigma**2)),
        "divided by 1 + sigma": (alpha_bar_of, lambda x, sigma: x / (1 + sigma)),
        "VE image taken for the VP image": (alpha_bar_of, lambda x, sigma: x),
    },
    # abar is e^-9 at the end: a product of 120 factors, whose logarithm is rounded to 9 eps.
    bound=1e-13,
)
def change_of_coordinates(version) -> float:
    """Against sqrt(abar) x_0 + sqrt(1 - abar) eps with abar = prod (1 - beta) in 50 digits."""
    of_sigma, rescale = version
    x0, eps, errors = 0.8, -1.7, []
    for a, sigma in zip(exact_alpha_bar(SCHEDULE.beta), SCHEDULE.sigma.tolist(), strict=True):
        want = float(a.sqrt()) * x0 + float((1 - a).sqrt()) * eps
        errors.append(of_sigma(sigma) / float(a) - 1)
        errors.append(rescale(x0 + sigma * eps, sigma) - want)
    return largest(errors)


@item(
    "S19.1",
    "(x_0 + sigma eps) / sqrt(1 + sigma^2) = sqrt(abar) x_0 + sqrt(1 - abar) eps",
    right=of_symbols(alpha_bar_of),
    wrong={
        "1 / (1 + sigma)": lambda sigma: 1 / (1 + sigma),
        "1 - sigma^2": lambda sigma: 1 - sigma**2,
        "sigma^2 / (1 + sigma^2)": lambda sigma: sigma**2 / (1 + sigma**2),
    },
    bound=0.0,
)
def change_of_coordinates_symbolically(of_sigma) -> float:
    """0 if sympy proves it, else the difference at one point."""
    sigma, x0, eps = sympy.symbols("sigma x0 epsilon", positive=True)
    a = of_sigma(sigma)
    vp = sympy.sqrt(a) * x0 + sympy.sqrt(1 - a) * eps
    difference = sympy.simplify(vp - (x0 + sigma * eps) / sympy.sqrt(1 + sigma**2))
    return abs(complex(difference.subs({sigma: 0.6, x0: 0.8, eps: 1.7})))


@item(
    "S19.1",
    "beta_t = (sigma_t^2 - sigma_{t-1}^2) / (1 + sigma_t^2)",
    right=lambda before, after: (after**2 - before**2) / (1 + after**2),
    wrong={
        "denominator of the level before": lambda before, after: (
            (after**2 - before**2) / (1 + before**2)
        ),
        "no denominator": lambda before, after: after**2 - before**2,
        "levels, not variances": lambda before, after: (after - before) ** 2 / (1 + after**2),
    },
    bound=1e-13,
)
def variance_added_in_a_step(of_levels) -> float:
    """The beta from which the levels were made."""
    return largest(of_levels(SCHEDULE.sigma[:-1], SCHEDULE.sigma[1:]) - SCHEDULE.beta[1:])


def ve_image_to_network(net, schedule):
    """Slide 18 word by word: the network is given x_t = x_0 + sigma_t eps."""
    denoiser = EpsDenoiser(net, schedule)
    return lambda x, sigma: (
        denoiser(x * (1 + sigma**2) ** 0.5, sigma) + x * (1 - (1 + sigma**2) ** 0.5)
    )


def one_time_late(net, schedule):
    return EpsDenoiser(lambda x, t: net(x, (t + 1).clamp(max=schedule.T - 1)), schedule)


def vp_residual(net, schedule):
    """x_0 = x_VP - sqrt(1 - abar) eps, not divided by sqrt(abar)."""
    denoiser = EpsDenoiser(net, schedule)
    return lambda x, sigma: to_vp(denoiser(x, sigma), sigma)


@item(
    "S19.2",
    "D_VE(x, sigma) = D_VP(x / sqrt(1 + sigma^2), abar): one network serves both (Gaussian)",
    right=EpsDenoiser,
    wrong={
        "network called one time late": one_time_late,
        "not divided by sqrt(abar)": vp_residual,
        "network given x / (1 + sigma^2)": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x * schedule.alpha_bar[t + 1][:, None].sqrt(), t), schedule
        ),
    },
    bound=1e-11,
)
@item(
    "E17",
    "slides 18-19: the network is given x_t / sqrt(1 + sigma_t^2), not the x_t of the sampler",
    right=EpsDenoiser,
    wrong={"as printed": ve_image_to_network},
    bound=1e-11,
)
def network_of_a_gaussian(make) -> float:
    """The exact VP network of a Gaussian, wrapped, against E[x_0 | x_t] in VE coordinates."""
    return eps_denoiser_error(make, SCHEDULE)


def mixture_network(mixture, schedule):
    """eps = -sqrt(1 - abar) grad log p(x_VP), by automatic differentiation of the VP density."""

    def net(x, t):
        a = schedule.alpha_bar[t[0] + 1]
        x, eye = x.detach().requires_grad_(), torch.eye(x.shape[1]).double()
        with torch.enable_grad():
            parts = zip(mixture.means, mixture.covs, strict=True)
            laws = [MultivariateNormal(a.sqrt() * m, a * C + (1 - a) * eye) for m, C in parts]
            joint = torch.stack([law.log_prob(x) for law in laws]) + mixture.weights.log()[:, None]
            (score,) = torch.autograd.grad(joint.logsumexp(0).sum(), x)
        return -(1 - a).sqrt() * score

    return net


@item(
    "S19.2",
    "D_VE(x, sigma) = D_VP(x / sqrt(1 + sigma^2), abar), same eps (mixture of Gaussians)",
    right=EpsDenoiser,
    wrong={
        "network given the VE image": ve_image_to_network,
        "network called one time late": one_time_late,
        "not divided by sqrt(abar)": vp_residual,
        "eps rescaled like the image": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, t) * schedule.alpha_bar[t + 1][:, None].sqrt(), schedule
        ),
    },
    bound=1e-11,
)
def network_of_a_mixture(make) -> float:
    """Against the mixture's denoiser by responsibilities in VE coordinates; not affine in x."""
    rng = np.random.default_rng(6)
    means, roots = rng.standard_normal((3, 2)), 0.4 * rng.standard_normal((3, 2, 2))
    covs = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(2)
    mixture = GaussianMixture(
        torch.tensor([0.5, 0.3, 0.2]).double(), *map(torch.as_tensor, (means, covs))
    )
    denoiser, errors = make(mixture_network(mixture, SCHEDULE), SCHEDULE), []
    for sigma in SCHEDULE.sigma[1::7]:
        x = torch.as_tensor(means + float(sigma) * rng.standard_normal((3, 2)))
        errors.append(relative(denoiser(x, sigma), mixture(x, sigma)))
    return largest(errors)


@item(
    "E17",
    "slide 19: x_VP = x_VE / sqrt(1 + sigma_t^2) are two images; the steps are taken in x_VE",
    right=literal_algorithm_2,
    wrong={"as printed": functools.partial(literal_algorithm_2, to_ve=lambda x, a: x)},
    bound=1e-11,
)
def two_images_of_one_name(algorithm) -> float:
    """Algorithm 2 word by word on the network's images against ``ddrm_samples``; same noise.

    "x_t = x_t / sqrt(1 + sigma_t^2)" read as an assignment leaves the network's image in case 3.
    """
    return vp_error(algorithm, CASES[0], SCHEDULE, 6, **ETAS)


def markov(sigma: float, sigma_next: float) -> float:
    return math.sqrt(1 - (sigma_next / sigma) ** 2)


@item(
    "S19.3",
    "DDRM's q is the Markov noising chain iff s = 0 and eta^2 = 1 - sigma_t^2/sigma_{t+1}^2",
    right=(0.0, markov),
    wrong={
        "any eta": (0.0, lambda sigma, sigma_next: 0.85),
        "DDIM's eta = 1 is DDRM's": (0.0, lambda sigma, sigma_next: 1.0),
        "without a square root": (0.0, lambda sigma, sigma_next: 1 - (sigma_next / sigma) ** 2),
        "a measured coordinate, too": (0.5, markov),
    },
    bound=1e-12,
)
def two_dynamics(version) -> float:
    """Covariances of all pairs of levels given x_0, against slide 3's Markov chain step by step."""
    s, rule = version
    levels, b = SCHEDULE.sigmas(6).tolist(), 0.31
    start = ddrm_start_coefficients(torch.tensor(s), levels[0], b)
    network = GaussianNetwork()
    network.add("y", offset=[0.0], cov=(b / s) ** 2 if s else 0.0)
    network.add("x0", {"y": start.y}, cov=start.noise**2)
    for k, pair in enumerate(itertools.pairwise(levels[:-1])):
        c = ddrm_coefficients(torch.tensor(s), *pair, b, eta=rule(*pair), eta_b=0.7)
        network.add(f"x{k + 1}", {"y": c.y, f"x{k}": c.xt}, cov=c.noise**2)
    got = network.joint(*(f"x{k}" for k in range(6))).cov.numpy()

    row, rows = np.zeros(SCHEDULE.T + 1), {}  # x_t as a combination of e_1, ..., e_T
    for t in range(1, SCHEDULE.T + 1):
        beta = float(SCHEDULE.beta[t])
        row = math.sqrt(1 - beta) * row + math.sqrt(beta) * np.eye(SCHEDULE.T + 1)[t]
        rows[t] = row / math.sqrt(SCHEDULE.alpha_bar[t])
    chain = np.stack([rows[t] for t in SCHEDULE.timesteps(6)])
    std = np.array(levels[:-1])
    return largest((got - chain @ chain.T) / np.outer(std, std))

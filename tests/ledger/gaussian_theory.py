r"""Exact Gaussian theory: denoisers, the law of DDRM, its gap, its limits of many steps.

A limit is extrapolated to an infinite number of steps from four runs of the exact law, and refused
unless its last correction is below ``EXTRAPOLATION``.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from unittest import mock

import numpy as np
import prior_laws
import scipy.linalg
import scipy.optimize
import scipy.signal
import torch
from laws import (
    AffineLaw,
    GaussianCase,
    ddrm_law,
    largest,
    noise_of_measurement,
    random_case,
    random_orthogonal,
    slide_11,
)

from ddrm_edu import Dense, GaussianMixture, GaussianPrior, NoiseSchedule
from ddrm_edu import law as law_module
from ddrm_edu.ddrm import ddrm_coefficients, ddrm_start_coefficients
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import ddpm_law, gap, inference_network, sampler_law
from ddrm_edu.schedule import sigma_of, to_ve

from .registry import item
from .scenes import (
    ETA,
    ETA_B,
    LEVELS,
    PROBLEMS,
    column,
    prior_of,
)

# -------------------------------------------------------------- G01, G02: one Gaussian, two clocks

ONE = random_case(4, 1, 1, 0.6, seed=11)  # only its prior
POINT = torch.tensor([[-1.2, 0.8, 0.3, 1.9]], dtype=torch.float64)


class StdForVariance(GaussianPrior):
    """C (C + sigma I)^-1."""

    def __call__(self, x, sigma):
        return super().__call__(x, math.sqrt(float(sigma)))


class MeanForgotten(GaussianPrior):
    """The gain applied to x itself."""

    def __call__(self, x, sigma):
        return super().__call__(x + self.mean, sigma) - self.mean


class CoordinateByCoordinate(GaussianPrior):
    """Only the variances of C."""

    def __init__(self, mean, cov):
        super().__init__(mean, cov.diagonal().diag())


@item(
    "G01",
    "Gaussian prior: E[x_0 | x_t] = m + G (x_t - m) with G = C (C + sigma_t^2 I)^-1",
    right=GaussianPrior,
    wrong={
        "sigma_t for sigma_t^2": StdForVariance,
        "not centred": MeanForgotten,
        "diagonal of C": CoordinateByCoordinate,
    },
    bound=1e-12,
)
def gaussian_denoiser(make) -> float:
    """Conditional of the joint law of (x_0, x_0 + sigma eps), at three levels."""
    mean, cov = torch.as_tensor(ONE.mean), torch.as_tensor(ONE.cov)
    errors = []
    for sigma in (0.3, 1.7, 9.0):
        both = Gaussian(mean, cov).joint(1.0, cov=sigma**2)
        errors.append(
            make(mean, cov)(POINT, sigma)[0] - both.conditional(slice(4, 8), POINT[0]).mean
        )
    return largest(*errors)


def uncertainty(C, x, sigma):
    """Covariance of x_0 and mean of the noise, given x - m at level sigma."""
    gain = np.linalg.solve(C + sigma**2 * np.eye(len(C)), C).T
    return sigma**2 * gain, (x - gain @ x) / sigma


@item(
    "G01",
    "Cov[x_0 | x_t] = sigma_t^2 G, E[eps | x_t] = sigma_t (C + sigma_t^2 I)^-1 (x_t - m)",
    right=uncertainty,
    wrong={
        "sigma_t G": lambda C, x, sigma: (uncertainty(C, x, sigma)[0] / sigma, (x - x) / sigma),
        "C - G": lambda C, x, sigma: (
            C - uncertainty(C, x, sigma)[0] / sigma**2,
            uncertainty(C, x, sigma)[1],
        ),
        "noise not divided by sigma_t": lambda C, x, sigma: (
            uncertainty(C, x, sigma)[0],
            sigma * uncertainty(C, x, sigma)[1],
        ),
    },
    bound=1e-12,
)
def gaussian_uncertainty(formula) -> float:
    """Conditional of the joint law of (x_0, eps, x_0 + sigma eps) by numpy."""
    C, n, errors = ONE.cov, 4, []
    x = POINT[0].numpy() - ONE.mean
    for sigma in (0.3, 1.7, 9.0):
        seen = C + sigma**2 * np.eye(n)
        cross = np.vstack([C, sigma * np.eye(n)])
        cov, eps = formula(C, x, sigma)
        errors += [
            cov - (C - C @ np.linalg.solve(seen, C)),
            eps - (cross @ np.linalg.solve(seen, x))[n:],
        ]
    return largest(*errors)


def vp_denoiser(m, C, x, abar):
    """Section 4: clean image and noise from x = sqrt(abar) x_0 + sqrt(1 - abar) eps."""
    inverse = np.linalg.inv(abar * C + (1 - abar) * np.eye(len(C)))
    centred = inverse @ (x - math.sqrt(abar) * m)
    return m + math.sqrt(abar) * C @ centred, math.sqrt(1 - abar) * centred


def vp_by_the_library(m, C, x, abar):
    """The VE denoiser at sigma(abar), fed with x / sqrt(abar)."""
    prior, sigma = GaussianPrior(torch.as_tensor(m), torch.as_tensor(C)), sigma_of(abar)
    x_ve = to_ve(torch.as_tensor(x)[None], sigma)
    x0 = prior(x_ve, sigma)
    return x0[0].numpy(), ((x_ve - x0) / sigma)[0].numpy()


@item(
    "G02",
    "VP: E[x_0 | x] = m + sqrt(abar) C (abar C + (1 - abar) I)^-1 (x - sqrt(abar) m)",
    right=vp_by_the_library,
    wrong={
        "abar for its root": lambda m, C, x, abar: (
            m + math.sqrt(abar) * (vp_denoiser(m, C, x, abar)[0] - m),
            vp_denoiser(m, C, x, abar)[1],
        ),
        "m for sqrt(abar) m": lambda m, C, x, abar: vp_denoiser(
            m, C, x - (1 - math.sqrt(abar)) * m, abar
        ),
        "x not rescaled": lambda m, C, x, abar: vp_by_the_library(m, C, x * math.sqrt(abar), abar),
        "noise 1 - abar": lambda m, C, x, abar: (
            vp_denoiser(m, C, x, abar)[0],
            math.sqrt(1 - abar) * vp_denoiser(m, C, x, abar)[1],
        ),
    },
    bound=1e-12,
)
def gaussian_denoiser_in_vp(formula) -> float:
    """Conditional of the joint law of (x_0, eps, x), and the formula of section 4, at 3 times."""
    n, errors = 4, []
    x = POINT[0].numpy()
    for abar in (0.97, 0.4, 0.02):
        mean, cov = torch.as_tensor(ONE.mean), torch.as_tensor(ONE.cov)
        zero, unit = torch.zeros(n).double(), torch.eye(n).double()
        pair = Gaussian(torch.cat([mean, zero]), torch.block_diag(cov, unit))
        three = pair.joint(torch.cat([abar**0.5 * unit, (1 - abar) ** 0.5 * unit], 1))
        want = three.conditional(slice(2 * n, 3 * n), POINT[0]).mean.numpy()
        errors.append(np.concatenate(formula(ONE.mean, ONE.cov, x, abar)) - want)
        errors.append(np.concatenate(vp_denoiser(ONE.mean, ONE.cov, x, abar)) - want)
    return largest(*errors)


# -------------------------------------------------------------------- G03, G05: denoisers


class PriorWeights(GaussianMixture):
    """Forgets that x tells of its component."""

    def responsibilities(self, x, sigma):
        return self.weights.expand(len(x), -1)


class NearestComponent(GaussianMixture):
    """Only the most probable component."""

    def responsibilities(self, x, sigma):
        right = super().responsibilities(x, sigma)
        return (right == right.max(1, True).values).double()


class NoNormalisation(GaussianMixture):
    """Densities without their determinants."""

    def _log_joint(self, x, sigma):
        logdets = [
            torch.linalg.slogdet(C + float(sigma) ** 2 * torch.eye(len(C))).logabsdet
            for C in self.covs
        ]
        return super()._log_joint(x, sigma) + torch.stack(logdets) / 2


class CleanDensities(GaussianMixture):
    """N(x; m_k, C_k): the noise of x_t forgotten."""

    def responsibilities(self, x, sigma):
        return super().responsibilities(x, 0.0)


MIXTURE = prior_laws.random_mixture(3, 2, seed=4)


@item(
    "G03",
    "mixture: E[x_0 | x_t] = sum of r_k E_k[x_0 | x_t], r_k ~ pi_k N(x_t; m_k, C_k + sigma^2 I)",
    right=GaussianMixture,
    wrong={
        "pi_k for r_k": PriorWeights,
        "nearest component": NearestComponent,
        "determinants forgotten": NoNormalisation,
        "C_k for C_k + sigma^2 I": CleanDensities,
    },
    bound=1e-12,
)
def mixture_denoiser(make) -> float:
    """Integral of x_0 p(x_0 | x_t) by summing over a grid, at three levels."""
    return largest(
        [prior_laws.denoiser_error(make, MIXTURE, sigma, seed=2) for sigma in (0.4, 1.1, 3.0)]
    )


def mixture_posterior(cov_of_y):
    """GaussianMixture whose posterior weights come from another covariance of y."""

    class Changed(GaussianMixture):
        def posterior(self, op, y, *, sigma_y):
            right, H = super().posterior(op, y, sigma_y=sigma_y), op.matrix()
            eye = torch.eye(op.m, dtype=torch.float64)
            logs = [
                torch.distributions.MultivariateNormal(
                    H @ m, cov_of_y(H, C, sigma_y, eye)
                ).log_prob(y)
                for m, C in zip(self.means, self.covs, strict=True)
            ]
            logits = torch.stack(logs, dim=1) + self.weights.log()
            return right._replace(weights=logits.softmax(dim=1))

    return Changed


@item(
    "G03",
    "its posterior is a mixture with weights ~ pi_k N(y; H m_k, H C_k H^T + sigma_y^2 I)",
    right=GaussianMixture,
    wrong={
        "sigma_y for sigma_y^2": mixture_posterior(lambda H, C, sy, eye: H @ C @ H.T + sy * eye),
        "spread of the component forgotten": mixture_posterior(
            lambda H, C, sy, eye: sy**2 * eye + 0 * (H @ C @ H.T)
        ),
        "C_k = I": mixture_posterior(lambda H, C, sy, eye: H @ H.T + sy**2 * eye),
    },
    bound=1e-12,
)
def mixture_weights_of_the_posterior(make) -> float:
    """Mean and covariance of p(x | y) by summing over a grid; two numbers, of rank 1 and 2."""
    flat = np.array([[0.8, -0.5], [1.6, -1.0]])  # rank 1
    full = np.array([[0.8, -0.5], [0.2, 0.9]])
    return largest(
        [prior_laws.posterior_error(make, MIXTURE, H, 0.45, seed=5) for H in (flat, full)]
    )


SEEN = random_case(4, 1, 1, 0.6, seed=9)  # only its prior and its noise, in spectral coordinates
SEEN_S = torch.tensor([1.3, 0.5, 0.0, 0.2], dtype=torch.float64)
SEEN_LEVELS = [6.0, 2.0, 1.4, 0.9, 0.0]


def independent_given_x0(network, y, x, sigma):
    """The product of prior, N(x; x_0, sigma^2) and N(ybar; x_0, b), as if they had no more."""
    seen = (SEEN_S > 0).double()
    precision = torch.linalg.inv(torch.as_tensor(SEEN.cov)) + torch.diag(
        seen * (SEEN_S / SEEN.sigma_y) ** 2 + 1 / sigma**2
    )
    cov = torch.linalg.inv(precision)
    source = torch.linalg.solve(torch.as_tensor(SEEN.cov), torch.as_tensor(SEEN.mean))
    source = source + seen * (SEEN_S / SEEN.sigma_y) ** 2 * y + x / sigma**2
    return Gaussian(cov @ source, (cov + cov.T) / 2)


@item(
    "G05",
    "the unrestricted optimum of KL_t is E_q[x_0 | x_{t+1}, y], not E[x_0 | x_{t+1}]",
    right=lambda network, y, x, sigma: network.conditional(["x0"], {"y": y, "x2": x}),
    wrong={
        "y-blind E[x_0 | x_{t+1}]": lambda network, y, x, sigma: network.conditional(
            ["x0"], {"x2": x}
        ),
        "E[x_0 | y]": lambda network, y, x, sigma: network.conditional(["x0"], {"y": y}),
        "y and x_{t+1} independent given x_0": independent_given_x0,
    },
    bound=1e-11,
)
def predictor_that_sees_y(predictor) -> float:
    """Least squares over affine maps of (ybar, x_{t+1}); Cov(ybar, x | x_0) = kappa from X09."""
    C, seen, n, sigma = SEEN.cov, SEEN_S.numpy() > 0, 4, SEEN_LEVELS[2]
    b = noise_of_measurement(SEEN_S, SEEN.sigma_y) ** 2
    kappa = b * (SEEN_S.numpy() * SEEN_LEVELS[0] >= SEEN.sigma_y)
    for above, level in itertools.pairwise(SEEN_LEVELS[:3]):
        _, kept, a, _ = np.array(
            [slide_11(s, above, level, SEEN.sigma_y, ETA, ETA_B) for s in SEEN_S.tolist()]
        ).T
        kappa = a * b + kept * kappa
    cross = (C + np.diag(kappa))[seen]
    observed = np.block(
        [[(C + np.diag(b))[np.ix_(seen, seen)], cross], [cross.T, C + sigma**2 * np.eye(n)]]
    )
    gain = np.linalg.solve(observed, np.vstack([C[seen], C])).T
    y, x = np.array([0.9, -0.6, 0.0, 1.4]), np.array([-1.2, 0.8, 0.3, 1.9])
    want = SEEN.mean + gain @ np.concatenate([(y - SEEN.mean)[seen], x - SEEN.mean])
    x0 = Gaussian(torch.as_tensor(SEEN.mean), torch.as_tensor(C))
    rates = {"sigma_y": SEEN.sigma_y, "eta": ETA, "eta_b": ETA_B}
    network = inference_network(x0, SEEN_S, SEEN_LEVELS, **rates)
    got = predictor(network, torch.as_tensor(y), torch.as_tensor(x), sigma)
    cov = C - gain @ np.vstack([C[seen], C])
    return largest(got.mean.numpy() - want, got.cov.numpy() - cov)


# ------------------------------------------------------------ limits of infinitely many steps

EXTRAPOLATION = 3e-4  # largest last correction of a limit; a wrong version is off by 1e-3 or more
COUNTS = (75, 150, 300, 600)


def limit(values, h) -> np.ndarray:
    """Values at h = 0 by Neville's scheme; the last correction is its error, and is checked.

    A run whose error is not a power series in h makes corrections that do not shrink.
    """
    rows = [np.asarray(value, dtype=np.float64) for value in values]
    last = rows[-1]
    for j in range(1, len(h)):
        rows = [
            (h[i] * rows[i + 1] - h[i + j] * rows[i]) / (h[i] - h[i + j])
            for i in range(len(rows) - 1)
        ]
        last, before = rows[-1], last
    assert largest(last - before) <= EXTRAPOLATION, f"no limit: {largest(last - before):.1e}"
    return last


def quiet_levels(steps: int, top: float, power: float) -> torch.Tensor:
    """Levels k^-power with power <= 1/2.

    Their relative change in a step, 1/k, becomes small beside the pull of the prediction, sigma^2
    a step (and beside that of the measurement in case 2, sigma a step), so that the chain stays in
    the stationary law of its level, which is a power series in sigma^2 (in sigma).
    """
    k = torch.arange(1, steps + 1, dtype=torch.float64)
    return torch.cat([top * k**-power, torch.zeros(1, dtype=torch.float64)])


def quiet_limit(law_at, *, top: float, power: float, order: int = 2) -> np.ndarray:
    """Limit of ``law_at(levels)`` as the last level above 0 tends to 0; series in sigma^order."""
    runs = [quiet_levels(steps, top, power) for steps in COUNTS]
    return limit([law_at(levels) for levels in runs], [run[-2].item() ** order for run in runs])


def flat(gain, offset, cov) -> np.ndarray:
    return np.concatenate([np.ravel(gain), np.ravel(offset), np.ravel(cov)])


def in_pixels(law) -> np.ndarray:
    """Gain on y, offset and covariance of a library law."""
    zero, unit = (f(law.op.m, dtype=torch.float64) for f in (torch.zeros, torch.eye))
    given = law.given(zero[None])
    return flat((law.given(unit).mean - given.mean).T, given.mean, given.cov)


def posterior_of(case: GaussianCase) -> AffineLaw:
    """p(x | y) by brute force, for measurements without noise or of a low rank as well."""
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
    gain = case.cov @ case.H.T @ np.linalg.pinv(cov_y, rcond=1e-10)
    kept = np.eye(len(case.cov)) - gain @ case.H
    return AffineLaw(kept @ case.mean, gain, kept @ case.cov)


def posterior_at(case: GaussianCase, temperature: float) -> np.ndarray:
    """It, its covariance times a temperature."""
    law = posterior_of(case)
    return flat(law.gain, law.offset, temperature * law.cov)


def limit_case(sigma_y: float, s=(1.0, 0.6, 0.0)) -> GaussianCase:
    """Four pixels, three numbers of rank 2, a prior with correlations in H's coordinates."""
    rng = np.random.default_rng(5)
    Q, U, V = (random_orthogonal(k, rng) for k in (4, 3, 4))
    H = U * np.array(s) @ V.T[:3]
    return GaussianCase(np.array([0.4, -0.3, 0.6, 0.2]), Q * [0.5, 0.7, 1.0, 1.4] @ Q.T, H, sigma_y)


def scalar_case(s: float) -> GaussianCase:
    return GaussianCase(np.array([0.4]), np.array([[1.0]]), np.array([[s]]), 1.2)


def law_in_pixels(case, eta, eta_b=1.0, coefficients=ddrm_coefficients):
    """``levels -> numbers`` of the library's exact law, on another table."""

    def law_at(levels) -> np.ndarray:
        with mock.patch.object(law_module, "ddrm_coefficients", coefficients):
            law = sampler_law(
                prior_of(case), Dense(case.H), levels, sigma_y=case.sigma_y, eta=eta, eta_b=eta_b
            )
        return in_pixels(law)

    return law_at


def temperature(eta: float) -> float:
    return (1 + math.sqrt(1 - eta**2)) / 2


WRONG_TEMPERATURES = {
    "1, that of the prior": lambda eta: 1.0,
    "its square root": lambda eta: math.sqrt(temperature(eta)),
    "1 - eta/2": lambda eta: 1 - eta / 2,
    "1 - eta^2/2": lambda eta: 1 - eta**2 / 2,
    "sqrt(1 - eta^2)": lambda eta: math.sqrt(1 - eta**2),
}


@functools.cache
def unmeasured_limit(eta: float) -> np.ndarray:
    return quiet_limit(law_in_pixels(scalar_case(0.0), eta), top=1.5, power=0.3)


@item(
    "G07",
    "unmeasured scalar, infinitely many steps: N(m, tau C) with tau = (1 + sqrt(1 - eta^2))/2",
    right=temperature,
    wrong=WRONG_TEMPERATURES,
    bound=EXTRAPOLATION,
)
def temperature_of_the_unmeasured(tau) -> float:
    """The library's exact law of 75 to 600 steps, extrapolated in the last sigma^2."""
    case = scalar_case(0.0)
    return largest(
        [unmeasured_limit(eta) - flat([0.0], case.mean, tau(eta) * case.cov) for eta in (0.8, 1.0)]
    )


@functools.cache
def measured_limit(eta: float) -> np.ndarray:
    case = scalar_case(0.8)
    return quiet_limit(law_in_pixels(case, eta), top=1.0, power=0.5, order=1)


def scalar_posterior(temperature_: float):
    def law(case, eta):
        return posterior_at(case, temperature_)

    return law


def measured_law(case, eta) -> np.ndarray:
    """A Dirac at ybar = y / s, but for eta = 1 y is forgotten."""
    if eta == 1:
        return flat([0.0], case.mean, case.cov / 2)
    return flat(1 / case.H, [0.0], [0.0])


@item(
    "G08",
    "measured scalar, sigma_y > 0: a Dirac at ybar if eta < 1, N(m, C/2) if eta = 1",
    right=measured_law,
    wrong={
        "the posterior": scalar_posterior(1.0),
        "the posterior, its covariance halved": scalar_posterior(0.5),
        "a Dirac for eta = 1 too": lambda case, eta: measured_law(case, 0.5),
        "y forgotten for every eta": lambda case, eta: measured_law(case, 1),
        "N(m, C) for eta = 1": lambda case, eta: (
            measured_law(case, eta) if eta < 1 else flat([0.0], case.mean, case.cov)
        ),
    },
    bound=EXTRAPOLATION,
)
def limit_of_the_measured(law) -> float:
    """The library's exact law of 75 to 600 steps, extrapolated in the last sigma."""
    return largest([measured_limit(eta) - law(scalar_case(0.8), eta) for eta in (0.6, 1)])


@functools.cache
def noiseless_limit(eta: float) -> np.ndarray:
    return quiet_limit(law_in_pixels(limit_case(0.0), eta), top=1.5, power=0.3)


@item(
    "G14",
    "sigma_y = 0, eta_b = 1, infinitely many steps: N(E[x|y], tau Cov[x|y]) for any C",
    right=temperature,
    wrong=WRONG_TEMPERATURES,
    bound=EXTRAPOLATION,
)
def temperature_without_noise(tau) -> float:
    """Gain, offset and FULL covariance, extrapolated, against the brute-force posterior."""
    return largest(
        [noiseless_limit(eta) - posterior_at(limit_case(0.0), tau(eta)) for eta in (0.85, 1.0)]
    )


@item(
    "G14",
    "hence relative W2 to the posterior tends to 1 - sqrt(tau): 0.126 at eta = 0.85",
    right=lambda eta: 1 - math.sqrt(temperature(eta)),
    wrong={
        "0: the steps were too few": lambda eta: 0.0,
        "1 - tau": lambda eta: 1 - temperature(eta),
        "sqrt(1 - tau)": lambda eta: math.sqrt(1 - temperature(eta)),
    },
    bound=EXTRAPOLATION,
)
def distance_without_noise(w2) -> float:
    """The library's gap of the posterior to itself at the extrapolated covariance."""
    case, errors = limit_case(0.0), []
    posterior = law_module.posterior_law(prior_of(case), Dense(case.H), sigma_y=0.0)
    Vt = posterior.op.Vt(torch.eye(4, dtype=torch.float64)).T
    for eta in (0.85, 1.0):
        cov = torch.as_tensor(noiseless_limit(eta)[-16:].reshape(4, 4))
        cold = dataclasses.replace(posterior, cov=Vt @ cov @ Vt.T)
        errors.append(gap(cold, posterior).relative_w2 - w2(eta))
    return largest(errors)


@functools.cache
def tight_limit() -> np.ndarray:
    return quiet_limit(law_in_pixels(limit_case(1.2), "tight"), top=1.0, power=0.25)


@item(
    "G12",
    "case 2 with eta^2 = 1 - s_t^2/b, case 3 with eta = 1: N(E[x|y], Cov[x|y] / 2) for any H, C",
    right=lambda case: posterior_at(case, 0.5),
    wrong={
        "the posterior": lambda case: posterior_at(case, 1.0),
        "half of the standard deviation": lambda case: posterior_at(case, 0.25),
        "half of the prior's covariance": lambda case: flat(
            posterior_at(case, 0.5)[:12], posterior_at(case, 0.5)[12:16], case.cov / 2
        ),
        "a Dirac where it was measured": lambda case: posterior_at(case._replace(sigma_y=0.0), 0.5),
    },
    bound=EXTRAPOLATION,
)
def tight_rates(law) -> float:
    """The library's rule "tight": gain, offset and FULL covariance, extrapolated in sigma^2."""
    return largest(tight_limit() - law(limit_case(1.2)))


ETA_3 = 0.95


def tight_and(eta_3: float):
    """Case 2 at its least weight, case 3 at ``eta_3``."""

    def coefficients(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
        snr = (s * float(sigma_next) / sigma_y).clamp(max=1)
        rate = torch.where(s > 0, (1 - snr**2).sqrt(), eta_3)
        return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=rate, eta_b=eta_b)

    return coefficients


@functools.cache
def mixed_limit() -> np.ndarray:
    law_at = law_in_pixels(limit_case(1.2), 1.0, coefficients=tight_and(ETA_3))
    return quiet_limit(law_at, top=1.0, power=0.25)


def stationary(drift, noise):
    """V of D L V + V L D = Q for the precision L, by scipy; D and Q per coordinate."""
    c = math.sqrt(1 - ETA_3**2)

    def cov(precision: np.ndarray, seen: np.ndarray) -> np.ndarray:
        D, Q = np.diag(np.where(seen, 1, drift(c))), np.diag(np.where(seen, 1, noise(c)))
        return scipy.linalg.solve_continuous_lyapunov(D @ precision, Q)

    return cov


@item(
    "G15",
    "any eta in case 3: D L V + V L D = Q, L = Cov[x|y]^-1, D = 1 - c, Q = eta^2 where s = 0",
    right=stationary(lambda c: 1 - c, lambda c: 1 - c**2),
    wrong={
        "D = 1": stationary(lambda c: 1, lambda c: 1 - c**2),
        "Q = 2 D, as in Langevin dynamics": stationary(lambda c: 1 - c, lambda c: 2 * (1 - c)),
        "Q = eta": stationary(lambda c: 1 - c, lambda c: math.sqrt(1 - c**2)),
        "temperature tau for all": lambda precision, seen: (
            temperature(ETA_3) * np.linalg.inv(precision)
        ),
        "Cov[x|y] / 2": lambda precision, seen: np.linalg.inv(precision) / 2,
    },
    bound=EXTRAPOLATION,
)
def stationary_covariance(cov) -> float:
    """Gain, offset and FULL covariance of the library's law, extrapolated in sigma^2."""
    case = limit_case(1.2)
    posterior, (_, s, Vt) = posterior_of(case), np.linalg.svd(case.H)
    precision = Vt @ np.linalg.inv(posterior.cov) @ Vt.T
    V = cov(precision, np.array([*s, 0.0]) > 1e-10)
    want = flat(posterior.gain, posterior.offset, Vt.T @ V @ Vt)
    return largest(mixed_limit() - want)


# ------------------------------------- G10, G13: samplers whose limit is the posterior

TO_POSTERIOR = (16, 32, 64, 128)


def euler_limit(law_at, levels_of) -> np.ndarray:
    """Limit of ``law_at(levels)`` as the levels are refined, their error a series in 1 / N."""
    runs = [law_at(levels_of(N)) for N in TO_POSTERIOR]
    return limit(runs, [1 / N for N in TO_POSTERIOR])


def refined_levels(N: int, knots, power: float = 3.0) -> torch.Tensor:
    """N levels between each two knots, evenly in log sigma, and N from the last one to 0."""
    u = torch.arange(N, dtype=torch.float64) / N
    parts = [above * (below / above) ** u for above, below in itertools.pairwise(knots)]
    end = torch.zeros(1, dtype=torch.float64)
    return torch.cat([*parts, knots[-1] * (1 - u) ** power, end])


Y = torch.tensor([[0.7, -1.1, 0.4]], dtype=torch.float64)


def seen_posterior(case: GaussianCase, *, sigma_y: float | None = None) -> GaussianPrior:
    """The library's p(x | y) as a prior: its denoiser is E[x_0 | x_t, y]."""
    sigma_y = case.sigma_y if sigma_y is None else sigma_y
    posterior = prior_of(case).posterior(Dense(case.H), Y, sigma_y=sigma_y)
    return GaussianPrior(posterior.mean[0], posterior.cov)


def ddim_limit(prior_given_y) -> np.ndarray:
    """Mean and covariance of DDIM, eta = 0, whose denoiser is that of ``prior_given_y(case)``."""
    prior = prior_given_y(limit_case(1.2))

    def law_at(levels) -> np.ndarray:
        law = ddpm_law(prior, levels, eta_ddim=0.0)
        return np.concatenate([law.mean, law.cov.flatten()])

    return euler_limit(law_at, lambda N: refined_levels(N, [1e6, 30.0, 1.0]))


def at_y(numbers_: np.ndarray) -> np.ndarray:
    """Mean and covariance for the measurement Y of a law of four pixels and three numbers."""
    mean = numbers_[:12].reshape(4, 3) @ Y[0].numpy() + numbers_[12:16]
    return np.concatenate([mean, numbers_[16:]])


@item(
    "G10",
    "DDIM with E[x_0 | x_t, y] tends to the posterior: DDRM's gap is not that of finite steps",
    right=lambda: ddim_limit(seen_posterior),
    wrong={
        "DDRM at its least weights": lambda: at_y(tight_limit()),
        "y-blind E[x_0 | x_t]": lambda: ddim_limit(prior_of),
        "sigma_y for sigma_y^2": lambda: ddim_limit(
            lambda case: seen_posterior(case, sigma_y=math.sqrt(case.sigma_y))
        ),
        "y counted twice": lambda: ddim_limit(
            lambda case: seen_posterior(case, sigma_y=case.sigma_y / math.sqrt(2))
        ),
    },
    bound=EXTRAPOLATION,
)
def ddim_that_sees_y(limit_law) -> float:
    """The library's exact law of up to 384 steps, extrapolated in 1/N, against brute force."""
    return largest(limit_law() - at_y(posterior_at(limit_case(1.2), 1.0)))


def bridge_then_ddpm(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """DDRM-M: the chain of a Markov noising process that has ybar at the level sigma_y / s.

    Case 1 with eta_b = 1 above that level, the bridge from ybar in the step that crosses it, and
    DDPM's own step below it and where s = 0.
    """
    sigma, sigma_next = float(sigma), float(sigma_next)
    used = (s > 0) & (s * sigma >= sigma_y * (1 - 1e-12))
    snr = (s * sigma_next / sigma_y).clamp(max=1)
    rate = torch.where(used, (1 - snr**2).sqrt(), math.sqrt(1 - (sigma_next / sigma) ** 2))
    return ddrm_coefficients(
        torch.where(used, s, 0.0), sigma, sigma_next, sigma_y, eta=rate, eta_b=1.0
    )


def bridge_at_every_step(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta="tight", eta_b=1.0)


@functools.cache
def denoising_limit(coefficients) -> np.ndarray:
    case = limit_case(1.2)._replace(H=np.eye(4))
    law_at = law_in_pixels(case, 1.0, coefficients=coefficients)
    return euler_limit(law_at, lambda N: refined_levels(N, [3.0, 1.2]))


@item(
    "G13",
    "DDRM-M (bridge from ybar, then DDPM's steps) with the plain denoiser is exact for H = I",
    right=bridge_then_ddpm,
    wrong={
        "the bridge from ybar at every step": bridge_at_every_step,
        "no noise after the bridge": lambda s, sigma, sigma_next, sigma_y, **rates: (
            bridge_then_ddpm(s, sigma, sigma_next, sigma_y, **rates)._replace(noise=0 * s)
        ),
        "noise of DDPM halved": lambda s, sigma, sigma_next, sigma_y, **rates: (
            lambda c: c._replace(noise=c.noise / math.sqrt(2))
        )(bridge_then_ddpm(s, sigma, sigma_next, sigma_y, **rates)),
    },
    bound=EXTRAPOLATION,
)
def markov_ddrm_for_denoising(coefficients) -> float:
    """Gain, offset and FULL covariance of the library's law, extrapolated in 1/N."""
    case = limit_case(1.2)._replace(H=np.eye(4))
    return largest(denoising_limit(coefficients) - posterior_at(case, 1.0))


def sharper_view(sigma: float, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of x and variance of what is seen: the other view is a noisier copy of this one."""
    x = sigma < tau * (1 - 1e-12)
    return x.astype(float), np.where(x, sigma, tau) ** 2


def blind_view(sigma: float, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(len(tau)), np.full(len(tau), sigma**2)


def both_views(sigma: float, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As if the noise of x and that of ybar were independent."""
    share = 1 / (1 + (sigma / tau) ** 2)
    return share, sigma**2 * share


def markov_law(case: GaussianCase, levels, *, view) -> np.ndarray:
    """Exact law of DDRM-M given y whose denoiser sees x at sigma and ybar at tau = sigma_y / s."""
    op, sigma_y, n = Dense(case.H), case.sigma_y, len(case.mean)
    s, V, unit = op.s, op.V(torch.eye(n, dtype=torch.float64)).T.numpy(), np.eye(n)
    tau = np.divide(sigma_y, s.numpy(), out=np.full(n, math.inf), where=s.numpy() > 0)
    C, m = V.T @ case.cov @ V, V.T @ case.mean
    start = ddrm_start_coefficients(s, levels[0], sigma_y)
    gain, offset, cov = start.y.diag().numpy(), np.zeros(n), start.noise.diag().numpy() ** 2
    for sigma, sigma_next in itertools.pairwise(levels.tolist()):
        c = bridge_then_ddpm(s, sigma, sigma_next, sigma_y, eta=1.0, eta_b=1.0)
        K, L, M, noise = (number.numpy()[:, None] * unit for number in c)
        share, var = view(sigma, tau)
        KG = K @ np.linalg.solve(C + np.diag(var), C).T
        F = KG * share + L
        gain = F @ gain + KG * (1 - share) + M
        offset = F @ offset + (K - KG) @ m
        cov = F @ cov @ F.T + noise**2
    to_y_spec = op.measure_spec(torch.eye(op.m, dtype=torch.float64)).T.numpy()
    return flat(V @ gain @ to_y_spec, V @ offset, V @ cov @ V.T)


@functools.cache
def markov_limit(law_at) -> np.ndarray:
    levels_of = lambda N: refined_levels(N, [300.0, 2.0, 1.2])  # noqa: E731
    return euler_limit(functools.partial(law_at, limit_case(1.2)), levels_of)


@item(
    "G13",
    "with E[x_0 | x_{t+1}, y] it is exact for any H: its error is the price of not seeing y",
    right=functools.partial(markov_law, view=sharper_view),
    wrong={
        "y-blind denoiser": functools.partial(markov_law, view=blind_view),
        "y and x independent given x_0": functools.partial(markov_law, view=both_views),
    },
    bound=EXTRAPOLATION,
)
def markov_ddrm_that_sees_y(law_at) -> float:
    """sigma_y / s are levels, so that no step jumps over them; extrapolated in 1/N."""
    return largest(markov_limit(law_at) - posterior_at(limit_case(1.2), 1.0))


# ------------------------------------------------ G04, G06, G09, G11: recursion, posterior, gap


def recursion(step, start=lambda c: (c.y, c.noise**2)):
    """Exact law in pixels by ``step(K, L, N, gain, S) -> F, S``, in numpy."""

    def law(case: GaussianCase, levels) -> np.ndarray:
        op, n = Dense(case.H), len(case.mean)
        s, V = op.s, op.V(torch.eye(n, dtype=torch.float64)).T.numpy()
        C, m, unit = V.T @ case.cov @ V, V.T @ case.mean, np.eye(n)
        y, S = start(ddrm_start_coefficients(s, levels[0], case.sigma_y))
        A, c, S = y.diag().numpy(), np.zeros(n), S.diag().numpy()
        for sigma, sigma_next in itertools.pairwise(levels):
            table = ddrm_coefficients(s, sigma, sigma_next, case.sigma_y, eta=ETA, eta_b=ETA_B)
            K, L, M, N = (number.diag().numpy() for number in table)
            G = np.linalg.solve(C + sigma**2 * unit, C).T
            F, S = step(K, L, N, G, S)
            A, c = F @ A + M, F @ c + K @ (m - G @ m)
        to_y_spec = op.measure_spec(torch.eye(op.m, dtype=torch.float64)).T.numpy()
        return flat(V @ A @ to_y_spec, V @ c, V @ S @ V.T)

    return law


def right_step(K, L, N, G, S):
    F = K @ G + L
    return F, F @ S @ F.T + N @ N


def library_law(case: GaussianCase, levels) -> np.ndarray:
    return law_in_pixels(case, ETA, ETA_B)(levels)


@item(
    "G04",
    "each step is affine: F = K G + L; mu <- F mu + K (I - G) m + M ybar, S <- F S F^T + N",
    right=library_law,
    wrong={
        "K forgotten: F = G + L": recursion(
            lambda K, L, N, G, S: right_step(np.eye(len(G)), L, N, G, S)
        ),
        "L forgotten: F = K G": recursion(lambda K, L, N, G, S: right_step(K, 0 * L, N, G, S)),
        "F S + N": recursion(lambda K, L, N, G, S: (K @ G + L, (K @ G + L) @ S + N @ N)),
        "standard deviation for N": recursion(
            lambda K, L, N, G, S: (K @ G + L, right_step(K, L, 0 * N, G, S)[1] + N)
        ),
        "order of G and K": recursion(
            lambda K, L, N, G, S: right_step(np.eye(len(G)), L, N, G @ K, S)
        ),
        "only variances carried on": recursion(
            lambda K, L, N, G, S: right_step(K, L, N, G, np.diag(np.diag(S)))
        ),
        "start N(ybar, sigma_T^2)": recursion(
            right_step, start=lambda c: (c.y, c.noise**2 + 0.5 * c.y)
        ),
    },
    bound=1e-10,
)
def affine_recursion(law) -> float:
    """Gain, offset and FULL covariance against the brute-force joint law of all steps."""
    errors, runs = [], [[4.0, 2.5, 1.2, 0.5, 0.21, 0.0], [0.9, 0.4, 0.0]]
    for case, levels in itertools.product(PROBLEMS, runs):
        want = ddrm_law(case, levels, ETA, ETA_B, only_last=True)
        want = flat(want.gain, want.offset, want.cov)
        errors += [law(case, levels) - want, recursion(right_step)(case, levels) - want]
    return largest(*errors)


def spectral_posterior(weight):
    """(C^-1 + diag(weight))^-1 in spectral coordinates, in pixels."""

    def law(case: GaussianCase) -> np.ndarray:
        op, n = Dense(case.H), len(case.mean)
        V = op.V(torch.eye(n, dtype=torch.float64)).T.numpy()
        precision, w = V.T @ np.linalg.inv(case.cov) @ V, weight(op.s.numpy(), case.sigma_y)
        cov = np.linalg.inv(precision + np.diag(w))
        to_y_spec = op.measure_spec(torch.eye(op.m, dtype=torch.float64)).T.numpy()
        return flat(
            V @ cov @ np.diag(w) @ to_y_spec, V @ cov @ precision @ V.T @ case.mean, V @ cov @ V.T
        )

    return law


def library_posterior(case: GaussianCase) -> np.ndarray:
    return in_pixels(law_module.posterior_law(prior_of(case), Dense(case.H), sigma_y=case.sigma_y))


@item(
    "G06",
    "posterior in spectral coordinates: Cov = (C^-1 + diag(s^2/sigma_y^2))^-1",
    right=library_posterior,
    wrong={
        "s/sigma_y": spectral_posterior(lambda s, sigma_y: s / sigma_y),
        "1/(s sigma_y)^2 where s > 0": spectral_posterior(
            lambda s, sigma_y: np.where(s > 0, 1 / (s.clip(1e-9) * sigma_y) ** 2, 0)
        ),
        "one noise for all: 1/sigma_y^2": spectral_posterior(
            lambda s, sigma_y: (s > 0) / sigma_y**2
        ),
        "prior's covariance kept": lambda case: flat(
            posterior_of(case)[1], posterior_of(case)[0], case.cov
        ),
    },
    bound=1e-10,
)
def posterior_in_spectral_coordinates(law) -> float:
    """Gain, offset and FULL covariance against Bayes' rule in pixels; the formula as well."""
    formula, errors = spectral_posterior(lambda s, sigma_y: (s / sigma_y) ** 2), []
    for case in PROBLEMS:
        want = posterior_of(case)
        want = flat(want.gain, want.offset, want.cov)
        errors += [law(case) - want, formula(case) - want]
    return largest(*errors)


@item(
    "G06",
    "without noise: mean m + C_o (C_oo + diag b)^-1 (ybar - m)_o still holds, with b = 0",
    right=library_posterior,
    wrong={
        "only what was measured changes": lambda case: flat(
            np.linalg.pinv(case.H),
            case.mean - np.linalg.pinv(case.H) @ case.H @ case.mean,
            posterior_of(case).cov,
        ),
        "H^+ y, the pseudo-inverse": lambda case: flat(
            np.linalg.pinv(case.H), 0 * case.mean, posterior_of(case).cov
        ),
        "spread left where it was measured": lambda case: library_posterior(
            case._replace(sigma_y=0.1)
        ),
    },
    bound=1e-10,
)
def posterior_without_noise(law) -> float:
    """A measurement of rank 2 without noise; the limit of small noise, by numpy's pinv."""
    case = limit_case(0.0)
    want = posterior_of(case)
    return largest(law(case) - flat(want.gain, want.offset, want.cov))


def changed_gap(change):
    """The library's gap of changed laws."""

    def of(law, posterior) -> tuple[float, float, float]:
        return tuple(gap(*change(law, posterior))[k] for k in (0, 3, 4))

    return of


@item(
    "G09",
    "E_y W2^2 = |dA E ybar + dc|^2 + tr dA Cov(ybar) dA^T + Bures^2; E_y KL likewise",
    right=changed_gap(lambda law, posterior: (law, posterior)),
    wrong={
        "means alone": changed_gap(
            lambda law, posterior: (dataclasses.replace(law, cov=posterior.cov), posterior)
        ),
        "covariances alone": changed_gap(
            lambda law, posterior: (
                dataclasses.replace(law, A=posterior.A, c=posterior.c),
                posterior,
            )
        ),
        "at the mean of ybar only": changed_gap(
            lambda law, posterior: (
                law,
                dataclasses.replace(
                    posterior, y_spec=Gaussian(posterior.y_spec.mean, 0 * posterior.cov)
                ),
            )
        ),
        "prior mean 0": changed_gap(
            lambda law, posterior: (
                law,
                dataclasses.replace(
                    posterior, y_spec=Gaussian(0 * posterior.c, posterior.y_spec.cov)
                ),
            )
        ),
        "divergences exchanged": lambda law, posterior: tuple(
            gap(law, posterior)[k] for k in (0, 4, 3)
        ),
        "root of the product for the root of roots": lambda law, posterior: (
            math.sqrt(
                gap(law, posterior).mean ** 2
                + float(
                    (law.cov.diagonal().sqrt() - posterior.cov.diagonal().sqrt()).square().sum()
                )
                / float(posterior.cov.trace())
            ),
            *gap(law, posterior)[3:5],
        ),
    },
    bound=1e-9,
)
def gap_in_closed_form(formula) -> float:
    """Averages over y of distances at single y, each by scipy's root and numpy's determinants.

    All are quadratic in y, so 2 k points, the mean plus and minus the columns of a root of
    k Cov(y), average them exactly.
    """
    errors, levels = [], [4.0, 2.5, 1.2, 0.5, 0.21, 0.0]
    for case in PROBLEMS[::2]:
        prior, op = prior_of(case), Dense(case.H)
        rates = {"sigma_y": case.sigma_y, "eta": ETA, "eta_b": ETA_B}
        laws = (
            sampler_law(prior, op, levels, **rates),
            law_module.posterior_law(prior, op, sigma_y=case.sigma_y),
        )
        one, other = ddrm_law(case, levels, ETA, ETA_B, only_last=True), posterior_of(case)
        cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
        steps = math.sqrt(len(cov_y)) * np.linalg.cholesky(cov_y)
        points = (case.H @ case.mean)[:, None] + np.hstack([steps, -steps])
        shifts = (one.gain - other.gain) @ points + (one.offset - other.offset)[:, None]
        second = shifts @ shifts.T / points.shape[1]
        cross = scipy.linalg.sqrtm(one.cov @ other.cov).real
        w2 = np.trace(second + one.cov + other.cov - 2 * cross)
        want = [math.sqrt(w2 / np.trace(other.cov))]
        for S, P in ((one.cov, other.cov), (other.cov, one.cov)):
            logs = np.linalg.slogdet(P)[1] - np.linalg.slogdet(S)[1]
            want.append((np.trace(np.linalg.solve(P, S + second)) - len(S) + logs) / 2)
        errors.append(np.array(formula(*laws)) / want - 1)
    return largest(*errors)


STEPS, LINEAR = (5, 20, 100, 400), NoiseSchedule.linear()
EIGHT = GaussianCase(  # correlated pixels, singular values from 1 to 0.1, three pixels unseen
    np.linspace(-0.4, 0.5, 8),
    0.7 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8))),
    np.array([1.0, 0.8, 0.5, 0.25, 0.1])[:, None]
    * random_orthogonal(8, np.random.default_rng(3))[:, :5].T,
    0.1,
)


def gap_of_steps(case: GaussianCase) -> np.ndarray:
    """Relative W2 of the library's exact laws of STEPS steps at the recommended rates."""
    prior, op = prior_of(case), Dense(case.H)
    posterior = law_module.posterior_law(prior, op, sigma_y=case.sigma_y)
    runs = [LINEAR.sigmas(steps) for steps in STEPS]
    laws = [sampler_law(prior, op, levels, sigma_y=case.sigma_y) for levels in runs]
    return np.array([gap(law, posterior).relative_w2 for law in laws])


@item(
    "G11",
    "the gap is U-shaped in the number of steps and does not vanish: 400 steps are worse than 20",
    right=gap_of_steps,
    wrong={
        "as 1/N": lambda case: gap_of_steps(case)[0] * STEPS[0] / np.array(STEPS),
        "as 1/sqrt(N)": lambda case: gap_of_steps(case)[0] * np.sqrt(STEPS[0] / np.array(STEPS)),
        "falls, then constant": lambda case: np.minimum.accumulate(gap_of_steps(case)),
        "that of the mean alone": lambda case: gap_of_steps(case) * [0.9, 0.6, 0.6, 0.6],
    },
    bound=1e-9,
)
def gap_against_steps(curve) -> float:
    """Brute-force recursion in numpy, and W2 by scipy's root of a product."""
    case, want = EIGHT, []
    other = posterior_of(case)
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
    with mock.patch.multiple(f"{__name__}", ETA=0.85, ETA_B=1.0):
        laws = [recursion(right_step)(case, LINEAR.sigmas(steps).tolist()) for steps in STEPS]
    for law in laws:
        gain, offset, S = law[:40].reshape(8, 5), law[40:48], law[48:].reshape(8, 8)
        dA = gain - other.gain
        shift = dA @ case.H @ case.mean + offset - other.offset
        cross = scipy.linalg.sqrtm(S @ other.cov).real
        w2 = shift @ shift + np.trace(dA @ cov_y @ dA.T + S + other.cov - 2 * cross)
        want.append(math.sqrt(w2 / np.trace(other.cov)))
    assert want[0] > want[1] < want[2] < want[3]
    assert min(want) > 0.25
    return largest(curve(case) - want)


# ------------------------------------------------------------- G16: the error rewards the bias


def ratio_of(formula):
    def ratio(law, posterior) -> float:
        return formula(gap(law, posterior), law.cov.trace().item(), posterior.cov.trace().item())

    return ratio


@item(
    "G16",
    "E|x - x_0|^2 = E|mean - E[x|y]|^2 + tr S + tr Cov[x|y]; for the posterior 2 tr Cov[x|y]",
    right=lambda law, posterior: gap(law, posterior).mse_ratio,
    wrong={
        "spreads alone": ratio_of(lambda g, S, P: S / P),
        "bias of the mean forgotten": ratio_of(lambda g, S, P: (S + P) / (2 * P)),
        "1 + W2^2": ratio_of(lambda g, S, P: 1 + g.relative_w2**2),
        "relative to the best estimate": ratio_of(lambda g, S, P: 2 * g.mse_ratio),
    },
    bound=1e-11,
)
def error_of_a_draw(ratio) -> float:
    """Joint law of (x_0, z, x) in pixels: trace of E (x - x_0)(x - x_0)^T, by numpy."""
    errors = []
    for case in PROBLEMS:
        n, levels = len(case.mean), [*LEVELS[1:6], 0.0]
        prior, op, rates = prior_of(case), Dense(case.H), {"eta": ETA, "eta_b": ETA_B}
        mean_squares = []
        for law in (ddrm_law(case, levels, ETA, ETA_B, only_last=True), posterior_of(case)):
            kept = law.gain @ case.H - np.eye(n)
            shift = law.offset + kept @ case.mean
            parts = kept @ case.cov @ kept.T, case.sigma_y**2 * law.gain @ law.gain.T, law.cov
            mean_squares.append(shift @ shift + sum(map(np.trace, parts)))
        posterior = law_module.posterior_law(prior, op, sigma_y=case.sigma_y)
        got = ratio(sampler_law(prior, op, levels, sigma_y=case.sigma_y, **rates), posterior)
        errors.append(got / (mean_squares[0] / mean_squares[1]) - 1)
    return largest(errors)


@item(
    "G16",
    "at temperature tau < 1 the error of a draw is (1 + tau)/2 of that of the posterior: less",
    right=lambda tau: (1 + tau) / 2,
    wrong={
        "more, by the distance": lambda tau: 1 + (1 - math.sqrt(tau)) ** 2,
        "the same: the mean is right": lambda tau: 1.0,
        "tau": lambda tau: tau,
        "sqrt(tau)": lambda tau: math.sqrt(tau),
    },
    bound=1e-13,
)
def error_at_a_temperature(ratio) -> float:
    """The library's gap of a posterior whose covariance is scaled, the mean left as it is."""
    case, errors = PROBLEMS[0], []
    posterior = law_module.posterior_law(prior_of(case), Dense(case.H), sigma_y=case.sigma_y)
    for tau in (0.5, 0.7634, 0.9):
        cold = gap(dataclasses.replace(posterior, cov=tau * posterior.cov), posterior)
        assert cold.relative_w2 > 0
        errors.append(cold.mse_ratio - ratio(tau))
    return largest(errors)


# ------------------------------------------------------------- G17: mixtures are cooled as well

TWO = prior_laws.MixtureCase(
    np.array([0.683, 0.317]), np.array([[-3.0], [3.0]]), np.full((2, 1, 1), 0.32)
)
GRID = np.arange(-16, 16.05, 0.1)


def by_the_library(x: np.ndarray, sigma: float, sigma_next: float, eta: float):
    """Mean and standard deviation of a step of an unmeasured pixel."""
    prior = GaussianMixture(*map(torch.as_tensor, TWO))
    c = ddrm_coefficients(column(0.0), sigma, sigma_next, 0.1, eta=eta, eta_b=1.0)
    x0 = prior(torch.as_tensor(x)[:, None], sigma)[:, 0].numpy()
    return c.x0.item() * x0 + c.xt.item() * x, c.noise.item()


def by_hand(x: np.ndarray, sigma: float, sigma_next: float, eta: float):
    """The same from slide 16 and Tweedie's formula on the mixture's log density."""
    means, var = TWO.means[:, 0], 0.32 + sigma**2
    p = TWO.weights * np.exp(-((x[:, None] - means) ** 2) / (2 * var))
    x0 = x + sigma**2 * (p @ means / p.sum(1) - x) / var
    return x0 + math.sqrt(1 - eta**2) * sigma_next / sigma * (x - x0), eta * sigma_next


def mixture_run(levels, eta: float, step) -> np.ndarray:
    """Weight of the minor mode and the spreads in both, by summing densities over a grid.

    The last level's prediction is the sample.  The density is carried on by the trapezoidal rule,
    exact to rounding because each kernel is wider than the grid's spacing (exp(-2 pi^2 w^2/h^2)).
    """
    levels = [float(level) for level in levels]
    p = np.exp(-(GRID**2) / (2 * levels[0] ** 2))
    for sigma, sigma_next in itertools.pairwise(levels[:-1]):
        mean, std = step(GRID, sigma, sigma_next, eta)
        near = p > 1e-25 * p.max()
        kernel = np.exp(-((GRID[:, None] - mean[near]) ** 2) / (2 * std**2)) / std
        p = kernel @ (p[near] / p.max())
    x, _ = step(GRID, levels[-2], 0.0, 0.0)
    spreads = []
    for side in (x > 0, x < 0):
        q, z = p[side] / p[side].sum(), x[side]
        spreads.append(math.sqrt(q @ (z - q @ z) ** 2 / 0.32))
    return np.array([p[x > 0].sum() / p.sum(), *spreads])


@functools.cache
def mixture_limit(eta: float) -> np.ndarray:
    """Spreads in the modes, extrapolated in the last sigma^2."""
    return quiet_limit(
        lambda levels: mixture_run(levels, eta, by_the_library)[1:], top=1.2, power=0.3
    )


@item(
    "G17",
    "mixture, infinitely many steps: within a mode the spread is sqrt(tau) of the true one",
    right=lambda eta: math.sqrt(temperature(eta)),
    wrong={
        "1, that of the prior": lambda eta: 1.0,
        "tau": temperature,
        "sqrt(1/2) whatever eta": lambda eta: math.sqrt(0.5) if eta < 1 else 0.5,
        "eta": lambda eta: eta / 2,
    },
    bound=EXTRAPOLATION,
)
def spread_within_a_mode(ratio) -> float:
    """Density of an unmeasured pixel, 75 to 600 steps, two modes ten spreads apart."""
    return largest([mixture_limit(eta) - ratio(eta) for eta in (0.8, 1.0)])


@item(
    "G17",
    "and the minor mode loses weight: at eta = 1 and 0.85, in 20 and 60 steps, less than its 0.317",
    right=lambda levels, eta: mixture_run(levels, eta, by_the_library)[0],
    wrong={
        "its weight is kept": lambda levels, eta: 0.317,
        "weights^(1/tau), as at equilibrium": lambda levels, eta: (
            0.317 ** (1 / temperature(eta))
            / (0.317 ** (1 / temperature(eta)) + 0.683 ** (1 / temperature(eta)))
        ),
        "gains": lambda levels, eta: 0.634 - mixture_run(levels, eta, by_the_library)[0],
        "modes as likely": lambda levels, eta: 0.5,
    },
    bound=1e-10,
)
def weight_of_the_minor_mode(weight) -> float:
    """Slide 16 and Tweedie's formula in numpy instead of the library's table and denoiser."""
    errors = []
    for eta, steps in itertools.product((0.85, 1.0), (20, 60)):
        levels = [*np.geomspace(4.0, 0.25, steps).tolist(), 0.0]
        want = mixture_run(levels, eta, by_hand)[0]
        assert 0.1 < want < 0.31
        errors.append(weight(levels, eta) - want)
    return largest(errors)

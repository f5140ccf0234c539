r"""Beyond the slides: Theorem 3.2, weights, limits of DDRM, and exact Gaussian theory.

Bounds: 1e-14 is fifty roundings of a number of order 1; 1e-12 where matrices are inverted or
nearly equal numbers subtracted.  A limit is extrapolated to an infinite number of steps from four
runs of the exact law, and refused unless its last correction is below ``EXTRAPOLATION``.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from decimal import Decimal, localcontext
from unittest import mock

import numpy as np
import prior_laws
import scipy.linalg
import scipy.optimize
import scipy.signal
import sympy
import torch
from laws import (
    AffineLaw,
    GaussianCase,
    ddpm_law_error,
    ddrm_law,
    default_schedule,
    eps_denoiser_error,
    exact_alpha_bar,
    largest,
    literal_algorithm_2,
    marginal_error,
    noise_of_measurement,
    numbers,
    random_case,
    random_orthogonal,
    relative,
    slide_11,
    vp_error,
)
from torch.distributions import Normal, kl_divergence

from ddrm_edu import Dense, EpsDenoiser, GaussianMixture, GaussianPrior, NoiseSchedule
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu import law as law_module
from ddrm_edu.ddrm import ddrm_coefficients, ddrm_start_coefficients
from ddrm_edu.diffusion import diffusion_steps
from ddrm_edu.elbo import ddpm_nelbo, ddrm_nelbo, ddrm_nelbo_direct, noise_loss, step_weights
from ddrm_edu.gaussian import Gaussian, GaussianNetwork
from ddrm_edu.law import ddpm_law, gap, inference_network, sampler_law

from .registry import item

SIGMA_Y, ETA, ETA_B = 0.31, 0.6, 0.7
KEPT = math.sqrt(1 - ETA**2)
S = torch.tensor([1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0], dtype=torch.float64)
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]  # all three cases, some only at some levels
RATES = {"sigma_y": SIGMA_Y, "eta": ETA, "eta_b": ETA_B}
SCHEDULE = default_schedule()


# -------------------------------------------------------------------------------------- helpers


def symbolic(difference: sympy.Expr) -> float:
    """0 if the expression vanishes identically, else its size at a generic point."""
    difference = sympy.simplify(difference)
    names = sorted(difference.free_symbols, key=str)
    point = {name: sympy.Rational(13, 10 + 7 * k) for k, name in enumerate(names)}
    return abs(float(difference.subs(point)))


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def prior_of(case: GaussianCase) -> GaussianPrior:
    return GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))


def dirac(n: int) -> Gaussian:
    """A generic x_0, known exactly."""
    return Gaussian(torch.linspace(-1.3, 2.1, n, dtype=torch.float64), torch.zeros(n, n))


def network_of(coefficients, s, levels, **rates) -> GaussianNetwork:
    """The library's chain of slide 11 given a generic x_0, on another table."""
    with mock.patch.object(law_module, "ddrm_coefficients", coefficients):
        return inference_network(dirac(len(s)), s, levels, **rates)


def table(where, **change):
    """The library's table, some numbers replaced where ``where(s, sigma, sigma_next, sigma_y)``."""

    def coefficients(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
        chosen = where(s, float(sigma), float(sigma_next), sigma_y)
        scene = {"s": s, "sigma": float(sigma), "sigma_next": float(sigma_next), "eta": eta}
        new = {name: value(c, **scene) for name, value in change.items()}
        return c._replace(**{k: torch.where(chosen, v, getattr(c, k)) for k, v in new.items()})

    return coefficients


def case_2(s, sigma, sigma_next, sigma_y):
    return (s > 0) & (s * sigma_next < sigma_y)


def case_3(s, sigma, sigma_next, sigma_y):
    return s == 0


def equality(s, sigma, sigma_next, sigma_y):
    return (s > 0) & ((s * sigma_next - sigma_y).abs() <= 1e-12 * sigma_y)


def everywhere(s, sigma, sigma_next, sigma_y):
    return s >= 0


# ------------------------------------------------------------------- X01-X04: Theorem 3.2

# s, sigma_t, sigma_y in case 1, from close to the boundary to far from it
IN_CASE_1 = [(0.8, 0.41, 0.31), (1.7, 0.9, 0.31), (0.04, 9.0, 0.3), (0.31, 12.5, 0.2)]
A, B = sympy.symbols("a b", positive=True)  # sigma_t^2 and sigma_y^2 / s^2


def library_rate(s: float, sigma: float, sigma_y: float) -> float:
    """The library's eta_b of Theorem 3.2."""
    return ddrm_coefficients(
        column(s), 2 * sigma, sigma, sigma_y, eta=1.0, eta_b="theorem"
    ).y.item()


WRONG_RATES = {
    "standard deviations for variances": lambda s, sigma, sigma_y: (
        2 * sigma / (sigma + sigma_y / s)
    ),
    "sigma_t and sigma_y/s exchanged": lambda s, sigma, sigma_y: (
        2 * sigma_y**2 / ((s * sigma) ** 2 + sigma_y**2)
    ),
    "s forgotten": lambda s, sigma, sigma_y: 2 * sigma**2 / (sigma**2 + sigma_y**2),
    "slide 11: at most 1": lambda s, sigma, sigma_y: 1.0,
}


@item(
    "X01",
    "eta_b* = 2 sigma_t^2 / (sigma_t^2 + sigma_y^2/s^2) gives case 1 the weight 1/(2 sigma_t^2)",
    right=library_rate,
    wrong=WRONG_RATES,
    bound=1e-12,  # of a root whose function is known to 1e-16 and has a slope of order 1
)
def rate_of_the_theorem(rate) -> float:
    """Where torch's divergence of two kernels of case 1 reaches 1 / 2 sigma_t^2, by bisection."""
    errors = []
    for s, sigma, sigma_y in IN_CASE_1:
        tau = sigma_y / s

        def excess(eta_b, sigma=sigma, tau=tau) -> float:
            std = torch.sqrt(column((sigma - eta_b * tau) * (sigma + eta_b * tau)))
            kernels = Normal(column(1 - eta_b), std), Normal(column(0.0), std)
            return 2 * sigma**2 * kl_divergence(*kernels).item() - 1

        root = scipy.optimize.brentq(excess, 1.0, sigma / tau * (1 - 1e-9), xtol=1e-15)
        errors.append(rate(s, sigma, sigma_y) - root)
    return largest(errors)


@item(
    "X01",
    "a (1 - eta_b)^2 = a - b eta_b^2 has exactly the two roots 0 and 2 a / (a + b)",
    right=lambda a, b: [0, 2 * a / (a + b)],
    wrong={
        "eta_b* alone": lambda a, b: [2 * a / (a + b)],
        "0 and 1": lambda a, b: [0, 1],
        "1 and eta_b*": lambda a, b: [1, 2 * a / (a + b)],
        "plus and minus": lambda a, b: [2 * a / (a + b), -2 * a / (a + b)],
    },
    bound=0.0,
)
def roots_symbolically(roots) -> float:
    """A polynomial is its leading coefficient times the factors of all of its roots."""
    eta_b = sympy.Symbol("eta_b")
    claimed = (A + B) * sympy.prod([eta_b - root for root in roots(A, B)])
    return symbolic(claimed - (A * (1 - eta_b) ** 2 - A + B * eta_b**2))


@item(
    "X01",
    "eta_b* lies in [1, 2): 1 at the case boundary, 2 only without noise",
    right=(1.0, 2.0),
    wrong={"slide 11: (0, 1]": (0.0, 1.0), "up to sqrt(2)": (1.0, math.sqrt(2))},
    bound=1e-14,
)
def range_of_the_rate(ends) -> float:
    """The library's rule from equality, s sigma_t = sigma_y, to a millionfold, and at no noise."""
    rates = [library_rate(0.5, 0.625 * k, 0.3125) for k in np.geomspace(1, 1e6, 40)]
    noiseless = library_rate(0.5, 0.625, 0.0)
    monotone = np.diff([*rates, noiseless]).min()
    assert max(rates) < noiseless
    return largest(rates[0] - ends[0], noiseless - ends[1], min(monotone, 0.0))


@item(
    "X02",
    "sigma_t s/sigma_y - eta_b* >= 0: arithmetic mean >= geometric mean of the two variances",
    right=library_rate,
    wrong=WRONG_RATES
    | {"the largest admissible": lambda s, sigma, sigma_y: s * sigma / sigma_y}
    | {"their ratio": lambda s, sigma, sigma_y: (s * sigma / sigma_y) ** 2},
    bound=1e-14,
)
def admissible_rate(rate) -> float:
    """Its distance from the limit is snr (1 - GM / AM), in 50-digit decimals; 0 at equality."""
    errors = []
    with localcontext() as context:
        context.prec = 50
        for s, sigma, sigma_y in [*IN_CASE_1, (0.5, 0.625, 0.3125)]:
            si, new, noise = map(Decimal, (s, sigma, sigma_y))
            a, b = new**2, (noise / si) ** 2
            room = si * new / noise * (1 - (a * b).sqrt() / ((a + b) / 2))
            assert room >= 0
            found = si * new / noise - Decimal(rate(s, sigma, sigma_y))
            errors.append(float((found - room) * noise / (si * new)))
    return largest(errors)


@item(
    "X02",
    "the variance of case 1 at eta_b* is a perfect square: a (a - b)^2 / (a + b)^2 >= 0",
    right=lambda a, b: a * (a - b) ** 2 / (a + b) ** 2,
    wrong={
        "eta_b for eta_b^2": lambda a, b: a * (a - b) / (a + b),
        "the factor 2 of eta_b* not squared": lambda a, b: a * (a**2 + b**2) / (a + b) ** 2,
        "without the factor a": lambda a, b: (a - b) ** 2 / (a + b) ** 2,
    },
    bound=0.0,
)
def variance_symbolically(variance) -> float:
    """a - b eta_b*^2 with the root eta_b* of X01 found by sympy."""
    eta_b = sympy.Symbol("eta_b", positive=True)
    (root,) = sympy.solve(sympy.Eq(A * (1 - eta_b) ** 2, A - B * eta_b**2), eta_b)
    return symbolic(variance(A, B) - (A - B * root**2))


# A measurement of rank 3 that sees 6 pixels in 5 numbers, one of more numbers than pixels, one of
# full rank; and another Gaussian, whose denoiser predicts.
PROBLEMS = [random_case(6, 5, 3, 0.2, seed=0), random_case(4, 6, 3, 0.2, seed=1)]
PROBLEMS += [random_case(4, 4, 4, 0.05, seed=2)]
LOW_LEVELS = LEVELS[2:]


def theorem_terms(case: GaussianCase, model: GaussianCase, levels, var_0: float) -> np.ndarray:
    """The right side of Theorem 3.2, in pixels, where nothing is known of an operator's cases."""
    n, terms = len(case.mean), []
    _, s, Vt = np.linalg.svd(case.H)
    unseen = Vt[int((s > 1e-10).sum()) :]
    second = case.cov + np.outer(case.mean, case.mean)
    terms.append(np.trace(unseen @ second @ unseen.T) / (2 * levels[0] ** 2))
    for sigma, sigma_next in itertools.pairwise(levels):
        gain = model.cov @ np.linalg.inv(model.cov + sigma**2 * np.eye(n))
        kept = np.eye(n) - gain
        shift = kept @ (case.mean - model.mean)
        error = np.trace(kept @ case.cov @ kept.T + sigma**2 * gain @ gain.T) + shift @ shift
        terms.append(error / (2 * (sigma_next**2 or var_0)))
    terms[-1] += n / 2 * math.log(2 * math.pi * var_0)
    return np.array(terms)


def theorem_error(bound, reduce) -> float:
    """Over three operators and two predictors; relative, term by term unless added up."""
    errors, var_0 = [], 0.05
    for case in PROBLEMS:
        other = random_case(len(case.mean), 1, 1, 0.0, seed=5)
        for model in (case, other):
            got = bound(
                prior_of(case),
                Dense(case.H),
                LOW_LEVELS,
                sigma_y=case.sigma_y,
                var_0=var_0,
                denoiser=prior_of(model),
            )
            want = reduce(theorem_terms(case, model, LOW_LEVELS, var_0))
            errors.append((got - want) / np.where(want == 0, 1, want))
    return largest(*errors)


def terms_at(eta, eta_b):
    def bound(*args, **kwargs) -> np.ndarray:
        got = ddrm_nelbo(*args, eta=eta, eta_b=eta_b, **kwargs)
        return np.array([got.start, *got.steps.tolist(), got.last])

    return bound


def terms_of_ddpm(prior, op, levels, *, sigma_y, **kwargs) -> np.ndarray:
    """DDPM's weights for the steps, everything else as in the theorem."""
    right = terms_at(1.0, "theorem")(prior, op, levels, sigma_y=sigma_y, **kwargs)
    return np.array([right[0], *ddpm_nelbo(prior, levels, **kwargs).steps.tolist(), right[-1]])


@item(
    "X03",
    "Theorem 3.2: bound = KL_T + sum of E|x_0 - f(x_{t+1})|^2 / 2 sigma_t^2 for eta = 1, eta_b*",
    right=terms_at(1.0, "theorem"),
    wrong={
        "eta = 0.85": terms_at(0.85, "theorem"),
        "eta_b = 1": terms_at(1.0, 1.0),
        "eta_b = 0.9": terms_at(1.0, 0.9),
        "DDPM's own weights": terms_of_ddpm,
    },
    bound=1e-11,  # 1e-16 over (a - b) / (a + b) = 0.06 at the level closest to equality, and sums
)
def theorem_3_2(bound) -> float:
    """Each term for three operators and two predictors against numpy in pixels."""
    return theorem_error(bound, lambda terms: terms)


def direct_at(eta, eta_b):
    return functools.partial(ddrm_nelbo_direct, eta=eta, eta_b=eta_b)


@item(
    "X03",
    "Theorem 3.2 for the bound as it is defined, E_q[log q(x_1:T | x_0, y) - log p_theta]",
    right=direct_at(1.0, "theorem"),
    wrong={
        "eta = 0.85": direct_at(0.85, "theorem"),
        "eta_b = 0.9": direct_at(1.0, 0.9),
        "eta_b = 0.5": direct_at(1.0, 0.5),
    },
    bound=1e-9,  # variances of 0.02^2 from covariances of 3.1^2: 2e-12 each, 200 of them
)
def theorem_3_2_from_the_definition(bound) -> float:
    """The sum of all terms for three operators and two predictors against numpy in pixels."""
    return theorem_error(bound, np.sum)


@item(
    "X03",
    "with eta = 1 and eta_b* the weights of all three cases are 1/(2 sigma_t^2), symbolically",
    right=lambda a, b: (1, 2 * a / (a + b)),
    wrong={
        "the paper's (0.85, 1)": lambda a, b: (sympy.Rational(17, 20), 1),
        "eta_b = 1": lambda a, b: (1, 1),
        "eta for case 2 only": lambda a, b: (sympy.sqrt(1 - a / b), 2 * a / (a + b)),
        "a / (a + b)": lambda a, b: (1, a / (a + b)),
    },
    bound=0.0,
)
def weights_symbolically(rates) -> float:
    """K^2 / 2v of slide 11 with K and v collected from the means by sympy."""
    x0, y, above, sigma_next = sympy.symbols("x0 y x_above sigma_above", positive=True)
    eta, eta_b = rates(A, B)
    kept = sympy.sqrt(1 - eta**2)
    kernels = [
        ((1 - eta_b) * x0 + eta_b * y, A - eta_b**2 * B),
        (x0 + kept * sympy.sqrt(A / B) * (y - x0), eta**2 * A),
        (x0 + kept * sympy.sqrt(A) * (above - x0) / sigma_next, eta**2 * A),
    ]
    weights = [sympy.diff(mean, x0) ** 2 / (2 * v) for mean, v in kernels]
    return max(symbolic(A * w - sympy.Rational(1, 2)) for w in weights)


# Equality in floating-point numbers, and up to rounding.
AT_EQUALITY = [(0.5, 0.625, 0.3125), (1 / 3, 0.3, 0.1), (0.7, 0.1 / 0.7, 0.1)]


@item(
    "X04",
    "at sigma_t = sigma_y/s with eta_b = 1 = eta_b* case 1 has variance 0: x_t is ybar itself",
    right=ddrm_coefficients,
    wrong={
        "equality left to case 2": table(
            equality,
            x0=lambda c, **_: 0 * c.x0 + 1 - KEPT,
            y=lambda c, **_: 0 * c.y + KEPT,
            noise=lambda c, sigma_next, **_: 0 * c.noise + ETA * sigma_next,
        ),
        "fresh noise of case 2": table(
            equality, noise=lambda c, sigma_next, **_: 0 * c.noise + ETA * sigma_next
        ),
        "variance clamped from below": table(
            equality, noise=lambda c, sigma_next, **_: c.noise.clamp(min=0.1 * sigma_next)
        ),
    },
    bound=1e-14,
)
def variance_at_the_boundary(coefficients) -> float:
    """The joint law of (x_t, ybar) given x_0 is that of (ybar, ybar)."""
    errors = []
    for (s, sigma, sigma_y), eta_b in itertools.product(AT_EQUALITY, (1.0, "theorem")):
        levels = [4 * sigma, sigma, 0.0]
        rates = {"sigma_y": sigma_y, "eta": ETA, "eta_b": eta_b}
        law = network_of(coefficients, column(s), levels, **rates).joint("x1", "y")
        difference = law.push(column(1.0, -1.0)[None])
        errors += [difference.mean.item(), difference.cov.item() / sigma**2]
        errors.append(law.cov[1, 1].item() / (sigma_y / s) ** 2 - 1)
    return largest(errors)


@item(
    "X04",
    "as sigma_t -> sigma_y/s the weight is 0/0: 1/(2b) along eta_b*, 0 along eta_b = 1",
    right=lambda b, k: (1 / (2 * b), 0, (1 - k) / (2 * b * (1 + k))),
    wrong={
        "1/(2b) along every way": lambda b, k: (1 / (2 * b),) * 3,
        "0 along every way": lambda b, k: (0, 0, 0),
        "eta_b = k: numerator only": lambda b, k: (1 / (2 * b), 0, (1 - k) ** 2 / (2 * b)),
    },
    bound=0.0,
)
def weight_at_the_boundary_symbolically(limits) -> float:
    """sympy's limits of (1 - eta_b)^2 / 2 (a - eta_b^2 b) for a -> b: eta_b*, 1 and k < 1."""
    k = sympy.Symbol("k", positive=True)
    ways = (2 * A / (A + B), sympy.Integer(1), k)
    weights = [sympy.cancel((1 - e) ** 2 / (2 * (A - e**2 * B))) for e in ways]
    found = [sympy.limit(w, A, B) for w in weights]
    return max(symbolic(f - limit) for f, limit in zip(found, limits(B, k), strict=True))


@item(
    "X04",
    "with eta_b* the weight is 1/(2 sigma_t^2) near sigma_t = sigma_y/s, and 0 at equality",
    right=functools.partial(step_weights, eta_b="theorem"),
    wrong={
        "its limit at equality": lambda s, sigma, sigma_next, sigma_y, **_: (
            0 * s + 1 / (2 * sigma_next**2)
        ),
        "0 nearby, as for eta_b = 1": functools.partial(step_weights, eta_b=1.0),
        "0/0 not defined": lambda *args, **kwargs: step_weights(
            *args, eta_b="theorem", **kwargs
        ).where(args[0] * args[2] != args[3], torch.nan),
    },
    bound=1e-11,  # the variance at 1.01 sigma_y / s is 5e-5 of what cancels: 1e-16 / 5e-5
)
def weight_near_the_boundary(weights) -> float:
    """Two equal Diracs have no divergence; beside them the weight is what X03 says."""
    s, sigma, sigma_y = AT_EQUALITY[0]
    here = Gaussian([sigma], [[0.0]]).kl(Gaussian([sigma], [[0.0]]))
    at = weights(column(s), 4 * sigma, sigma, sigma_y, eta=1.0).item()
    near = 1.01 * sigma
    beside = weights(column(s), 4 * near, near, sigma_y, eta=1.0).item() * 2 * near**2
    return largest(at - here, beside - 1)


# ---------------------------------------------------------------------- X05, X15, X16: weights


def weights_as(formula):
    """Weights from the library's coefficients by another formula."""

    def weights(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
        return formula(c, s, sigma, sigma_next)

    return weights


@item(
    "X05",
    "KL_t = sum of w_i (x_0 - x_theta)_i^2, w = K^2 / 2v, K the share of x_0, v the variance",
    right=step_weights,
    wrong={
        "1/(2 sigma_t^2) whatever the rates": weights_as(
            lambda c, s, sigma, sigma_next: 0 * s + 1 / (2 * sigma_next**2)
        ),
        "std for the variance": weights_as(lambda c, *_: c.x0**2 / (2 * c.noise)),
        "factor 1/2 missing": weights_as(lambda c, *_: (c.x0 / c.noise) ** 2),
        "K not squared": weights_as(lambda c, *_: c.x0 / (2 * c.noise**2)),
        "case 3 without 1/sigma_{t+1}": weights_as(
            lambda c, s, sigma, sigma_next: (
                torch.where(s > 0, c.x0, 1 - (1 - c.x0) * sigma) ** 2 / (2 * c.noise**2)
            )
        ),
    },
    bound=1e-12,
)
def weights_of_the_three_cases(weights) -> float:
    """torch's divergence of the kernels with x_0 and x_theta, their numbers read off slide 11."""
    errors = []
    for sigma, sigma_next in itertools.pairwise(LEVELS[:-1]):
        got = weights(S, sigma, sigma_next, SIGMA_Y, eta=ETA, eta_b=ETA_B)
        for s, weight in zip(S.tolist(), got.tolist(), strict=True):
            x0, _, _, variance = slide_11(s, sigma, sigma_next, SIGMA_Y, ETA, ETA_B)
            std = column(variance).sqrt()
            kernels = Normal(x0 * column(1.3), std), Normal(x0 * column(-0.4), std)
            want = kl_divergence(*kernels).item()
            errors.append(weight * (1.3 + 0.4) ** 2 / want - 1)
    return largest(errors)


def markov_weight(sigma: float, sigma_next: float) -> float:
    """The library's weight of case 3 at the eta that makes the chain Markov."""
    eta = math.sqrt(1 - (sigma_next / sigma) ** 2)
    return step_weights(column(0.0), sigma, sigma_next, SIGMA_Y, eta=eta, eta_b=1.0).item()


@item(
    "X15",
    "DDPM's own weight (sigma_t^-2 - sigma_{t+1}^-2)/2: case 3 at eta^2 = 1 - (s_t/s_{t+1})^2",
    right=markov_weight,
    wrong={
        "1/(2 sigma_t^2), as in Theorem 3.2": lambda sigma, sigma_next: 1 / (2 * sigma_next**2),
        "1/(2 sigma_t sigma_{t+1})": lambda sigma, sigma_next: 1 / (2 * sigma * sigma_next),
        "eta^2 = 1 - sigma_t / sigma_{t+1}": lambda sigma, sigma_next: step_weights(
            column(0.0),
            sigma,
            sigma_next,
            SIGMA_Y,
            eta=math.sqrt(1 - sigma_next / sigma),
            eta_b=1.0,
        ).item(),
        "a fixed eta": lambda sigma, sigma_next: step_weights(
            column(0.0), sigma, sigma_next, SIGMA_Y, eta=0.85, eta_b=1.0
        ).item(),
    },
    bound=1e-13,  # 1e-16 over 1 - abar_1 = 0.001
)
def weight_of_ddpm(weight) -> float:
    """Divergence of the exact kernels of the Markov chain, and the loss of slide 6 in eps."""
    levels, errors = SCHEDULE.sigma.tolist(), []
    for t in range(1, SCHEDULE.T, 13):
        sigma, sigma_next = levels[t + 1], levels[t]
        kernels = []
        for x0 in (1.3, -0.4):  # in units of sigma_t; x_{t+1} = x_t + a fresh increment
            both = Gaussian([x0 * sigma_next], [[sigma_next**2]]).joint(
                1.0, cov=sigma**2 - sigma_next**2
            )
            kernels.append(both.conditional([1], [0.9 * sigma]))
        want = kernels[0].kl(kernels[1]) / (1.7 * sigma_next) ** 2
        of_eps = noise_loss(SCHEDULE, t).weight / sigma**2  # x_0 - x_theta = sigma (eps' - eps)
        got = weight(sigma, sigma_next)
        errors += [got / want - 1, got / of_eps - 1]
    return largest(errors)


def least(s: float, sigma_next: float, sigma_y: float) -> float:
    """The library's weight of case 2 under the rule that makes it least."""
    arguments = column(s), 2 * sigma_next, sigma_next, sigma_y
    return step_weights(*arguments, eta="tight", eta_b=1.0).item()


IN_CASE_2 = [(0.31, 0.6, 0.31), (0.8, 0.21, 0.31), (0.04, 5.0, 0.31), (1.7, 0.18, 0.31)]


@item(
    "X16",
    "the least weight of case 2 over eta is (1/sigma_t^2 - s^2/sigma_y^2)/2",
    right=least,
    wrong={
        "eta = 1: 1/(2 sigma_t^2)": lambda s, sigma_next, sigma_y: 1 / (2 * sigma_next**2),
        "eta = 0.85": lambda s, sigma_next, sigma_y: step_weights(
            column(s), 2 * sigma_next, sigma_next, sigma_y, eta=0.85, eta_b=1.0
        ).item(),
        "eta^2 = 1 - sigma_t s / sigma_y": lambda s, sigma_next, sigma_y: step_weights(
            column(s),
            2 * sigma_next,
            sigma_next,
            sigma_y,
            eta=math.sqrt(1 - s * sigma_next / sigma_y),
            eta_b=1.0,
        ).item(),
        "standard deviations subtracted": lambda s, sigma_next, sigma_y: (
            (1 / sigma_next - s / sigma_y) ** 2 / 2
        ),
    },
    bound=1e-11,  # a minimum is flat: an eta known to 1e-7 gives it to 1e-14
)
def least_weight(weight) -> float:
    """Minimum over eta of K^2 / 2v, read off slide 11, by scipy."""
    errors = []
    for s, sigma_next, sigma_y in IN_CASE_2:

        def of_eta(eta, arguments=(s, 2 * sigma_next, sigma_next, sigma_y)) -> float:
            x0, _, _, variance = slide_11(*arguments, eta, 1.0)
            return x0**2 / (2 * variance)

        found = scipy.optimize.minimize_scalar(
            of_eta, bounds=(1e-3, 1.0), method="bounded", options={"xatol": 1e-9}
        )
        errors.append(weight(s, sigma_next, sigma_y) / found.fun - 1)
    return largest(errors)


def tight_kernel(s: float, sigma_next: float, sigma_y: float) -> tuple[float, float]:
    """The library's share of y and variance of case 2 under its rule "tight"."""
    c = ddrm_coefficients(column(s), 2 * sigma_next, sigma_next, sigma_y, eta="tight", eta_b=1.0)
    return c.y.item(), c.noise.item() ** 2


def kernel_at(eta_of):
    def kernel(s, sigma_next, sigma_y) -> tuple[float, float]:
        eta = eta_of(s * sigma_next / sigma_y)
        return math.sqrt(1 - eta**2) * s * sigma_next / sigma_y, (eta * sigma_next) ** 2

    return kernel


@item(
    "X16",
    "it is reached at eta^2 = 1 - s^2 sigma_t^2/sigma_y^2: the bridge from ybar at sigma_y/s",
    right=tight_kernel,
    wrong={
        "eta = 1": kernel_at(lambda snr: 1.0),
        "eta = 0.85": kernel_at(lambda snr: 0.85),
        "eta^2 = 1 - s sigma_t / sigma_y": kernel_at(lambda snr: math.sqrt(1 - snr)),
        "eta = 1 - s^2 sigma_t^2 / sigma_y^2": kernel_at(lambda snr: 1 - snr**2),
    },
    bound=1e-13,
)
def bridge(kernel) -> float:
    """Conditioning a Markov chain that has x_t at level sigma_t and ybar at level sigma_y/s."""
    errors = []
    for s, sigma_next, sigma_y in IN_CASE_2:
        b, x0, y_spec = (sigma_y / s) ** 2, 0.7, -1.1
        both = Gaussian([x0], [[sigma_next**2]]).joint(1.0, cov=b - sigma_next**2)
        want = both.conditional([1], [y_spec])
        gain, variance = kernel(s, sigma_next, sigma_y)
        errors.append(x0 + gain * (y_spec - x0) - want.mean.item())
        errors.append((variance - want.cov.item()) / sigma_next**2)
    return largest(errors)


# ----------------------------------------------------------- X06: measurements without noise

PAIRS = list(itertools.pairwise([3.1, 0.6, 0.02, 0.0]))


@item(
    "X06",
    "sigma_y = 0: N((1-eta_b) x_theta + eta_b ybar, sigma_t^2) where s > 0, and eta_b* = 2",
    right=ddrm_coefficients,
    wrong={
        "measured coordinates with eta^2 sigma_t^2": table(
            lambda s, *_: s > 0, noise=lambda c, sigma_next, **_: 0 * c.noise + ETA * sigma_next
        ),
        "strict >: the last step is case 3": table(
            lambda s, sigma, sigma_next, sigma_y: (s > 0) & (sigma_next == 0),
            x0=lambda c, **_: 0 * c.x0 + 1,
            y=lambda c, **_: 0 * c.y,
        ),
        "variance (1 - eta_b^2) sigma_t^2": table(
            lambda s, *_: s > 0,
            noise=lambda c, sigma_next, **_: sigma_next * (1 - c.y**2).clamp(min=0).sqrt(),
        ),
        "infinitely precise y counts as 1": table(
            lambda s, *_: s > 0, x0=lambda c, **_: 0 * c.x0, y=lambda c, **_: 0 * c.y + 1
        ),
    },
    bound=1e-11,  # with noise: b / a = 6e-14 at s = 0.04, sigma_t = 0.02, a few times
)
def table_without_noise(coefficients) -> float:
    """At sigma_y = 0, and as the limit of sigma_y = 2e-10 wherever sigma_t > 0."""
    errors = []
    for (sigma, sigma_next), eta_b in itertools.product(PAIRS, (ETA_B, "theorem")):
        share = ETA_B if eta_b == ETA_B else (2.0 if sigma_next else 1.0)
        xt = KEPT * sigma_next / sigma
        seen = [1 - share, 0.0, share, 1.0]
        want = np.array([seen if s > 0 else [1 - xt, xt, 0.0, ETA**2] for s in S]).T
        for sigma_y in (0.0, 2e-10 if sigma_next else 0.0):
            got = numbers(coefficients, S, sigma, sigma_next, sigma_y, ETA, eta_b)
            scale = sigma_next**2
            errors += [got[:3] - want[:3], (got[3] ** 2 - want[3] * scale) / (scale or 1)]
    return largest(*errors)


NOISELESS = random_case(6, 5, 3, 0.0, seed=3)


@item(
    "X06",
    "sigma_y = 0, eta_b = 1: what was measured is kept exactly, H x_0 = y",
    right=functools.partial(sampler_law, eta=ETA, eta_b=1.0),
    wrong={
        "eta_b = 0.9": functools.partial(sampler_law, eta=ETA, eta_b=0.9),
        "eta_b = 2 in the last step too": functools.partial(sampler_law, eta=ETA, eta_b=2.0),
        "y known to 0.1": lambda prior, op, levels, sigma_y: sampler_law(
            prior, op, levels, sigma_y=0.1, eta=ETA, eta_b=1.0
        ),
    },
    bound=1e-12,
)
def measurement_is_kept(law_of) -> float:
    """H of the library's law given y: gain I on the range of H, no offset, no covariance."""
    case, op = NOISELESS, Dense(NOISELESS.H)
    law = law_of(prior_of(case), op, LEVELS, sigma_y=0.0)
    y = case.H @ np.random.default_rng(4).standard_normal((6, 3))  # noiseless measurements
    given = law.given(torch.as_tensor(y.T.copy()))
    H_cov = case.H @ given.cov.numpy() @ case.H.T
    return largest(relative(case.H @ given.mean.numpy().T, y), H_cov)


# ------------------------------------------------------------------------- X07, X08: DDIM, DDPM


def ddim_by_ddrm(eta_of):
    """ddpm_samples made of DDRM's steps without a measurement, eta = eta_of(eta_ddim, ratio)."""

    def samples(denoiser, shape, sigmas, *, eta_ddim, dtype):
        zeros, levels = torch.zeros(shape[1:], dtype=torch.float64), torch.as_tensor(sigmas)

        def coefficients(sigma, sigma_next):
            eta = eta_of(eta_ddim, float(sigma_next / sigma))
            return ddrm_coefficients(zeros, sigma, sigma_next, SIGMA_Y, eta=eta, eta_b=ETA_B)

        start = ddrm_start_coefficients(zeros, levels[0], SIGMA_Y)
        x = start.noise * diffusion_module.standard_normal(torch.empty(shape, dtype=dtype))
        return diffusion_steps(denoiser, x, levels, coefficients)

    return samples


@item(
    "X07",
    "H = 0: DDRM is DDIM with eta = eta_ddim sqrt(1 - (s_t/s_{t+1})^2); DDPM: eta_ddim = 1",
    right=ddim_by_ddrm(lambda eta, ratio: eta * math.sqrt(1 - ratio**2)),
    wrong={
        "the same eta": ddim_by_ddrm(lambda eta, ratio: eta),
        "ratio not squared": ddim_by_ddrm(lambda eta, ratio: eta * math.sqrt(1 - ratio)),
        "root forgotten": ddim_by_ddrm(lambda eta, ratio: eta * (1 - ratio**2)),
        "ratio of alpha-bar": ddim_by_ddrm(lambda eta, ratio: eta * ratio),
    },
    bound=1e-12,
)
def ddim_without_measurement(samples) -> float:
    """The law of all steps, cross-time too, against DDIM as its authors state it, in VP form."""
    case = random_case(3, 1, 1, 0.0, seed=6)
    levels = SCHEDULE.sigmas(6)
    return largest(
        [
            ddpm_law_error(samples, case.mean, case.cov, levels, eta_ddim=eta_ddim)
            for eta_ddim in (0.0, 0.7, 1.0)
        ]
    )


def with_network(change):
    """Algorithm 2 word by word whose network is called with other arguments."""
    return lambda net, *args: literal_algorithm_2(change(net), *args)


@item(
    "X08",
    "Algorithm 2 in VP images equals the one in VE images step by step: x_t / sqrt(abar_t)",
    right=literal_algorithm_2,
    wrong={
        "x_t not divided by sqrt(abar_t)": functools.partial(
            literal_algorithm_2, to_ve=lambda x, a: x
        ),
        "divided by abar_t": functools.partial(literal_algorithm_2, to_ve=lambda x, a: x / a),
        "network called at the time below": with_network(
            lambda net: lambda x, t: net(x, (t - 1).clamp(min=0))
        ),
    },
    bound=1e-12,
)
def vp_implementation(algorithm_2) -> float:
    """Word by word in VP images, with an eps-network, against the library; eta is not 1."""
    return largest(
        [vp_error(algorithm_2, case, SCHEDULE, 6, eta=ETA, eta_b=ETA_B) for case in PROBLEMS[:2]]
    )


def rescaled(factor):
    """EpsDenoiser whose network sees another image."""
    return lambda net, schedule: EpsDenoiser(
        lambda x, t: net(x * factor(schedule.alpha_bar[t[0] + 1]), t), schedule
    )


@item(
    "X08",
    "the network is called as eps(x / sqrt(1 + sigma^2), t(sigma)) with the training index",
    right=EpsDenoiser,
    wrong={
        "next index": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, (t + 1).clamp(max=schedule.T - 1)), schedule
        ),
        "VE image": rescaled(lambda abar: abar**-0.5),
        "scaled twice": rescaled(lambda abar: abar**0.5),
        "every second index": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, t // 2), schedule
        ),
    },
    bound=1e-11,  # x_0 = x - sigma eps cancels at sigma = 80
)
def network_call(make) -> float:
    """Wrapped network of a Gaussian against E[x_0 | x_t] in VE form, at every level."""
    return eps_denoiser_error(make, SCHEDULE)


@item(
    "X08",
    "t(sigma) = argmin over t >= 1 of |sigma_t - sigma|",
    right=lambda schedule, sigma: schedule.nearest_t(sigma),
    wrong={
        "next level above": lambda schedule, sigma: int((schedule.sigma < sigma).sum()),
        "next level below": lambda schedule, sigma: int((schedule.sigma <= sigma).sum()) - 1,
        "counted from 0": lambda schedule, sigma: schedule.nearest_t(sigma) - 1,
        "closest in sigma^2": lambda schedule, sigma: (
            int((schedule.sigma[1:] ** 2 - sigma**2).abs().argmin()) + 1
        ),
    },
    bound=1e-12,
)
def timestep_of_a_level(nearest) -> float:
    """Off the grid: how much farther than the closest level in 50-digit decimals, in spacings."""
    schedule = NoiseSchedule.linear(12, 0.02, 0.6)
    with localcontext() as context:
        context.prec = 50
        exact = [((1 - a) / a).sqrt() for a in exact_alpha_bar(schedule.beta)]
        errors = []
        for (below, above), share in itertools.product(
            itertools.pairwise(exact[1:]), (0.02, 0.49, 0.505, 0.98)
        ):
            sigma = float(below) + share * float(above - below)
            got = abs(exact[nearest(schedule, sigma)] - Decimal(sigma))
            least_distance = min(abs(level - Decimal(sigma)) for level in exact[1:])
            errors.append(float((got - least_distance) / (above - below)))
    return largest(errors)


# ---------------------------------------------------------------------- X09: the linear family


def general_kernel(a, k, b, sigma, sigma_next, kappa):
    """Variance and next kappa of N(x_0 + a (ybar - x_0) + l (x_{t+1} - x_0), v)."""
    variance = sigma_next**2 - a**2 * b - k**2 * sigma**2 - 2 * a * k * kappa
    return variance, a * b + k * kappa


WRONG_KERNELS = {
    "kappa dropped": lambda a, k, b, sigma, sigma_next, kappa: general_kernel(
        a, k, b, sigma, sigma_next, 0.0
    ),
    "counted once": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa / 2)[0],
        a * b + k * kappa,
    ),
    "kappa not carried on": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa)[0],
        a * b,
    ),
    "kappa of the start throughout": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa)[0],
        b,
    ),
}


@item(
    "X09",
    "mean x_0 + a (ybar-x_0) + k (x_{t+1}-x_0): v = s_t^2 - a^2 b - k^2 s_{t+1}^2 - 2 a k kappa",
    right=general_kernel,
    wrong=WRONG_KERNELS,
    bound=1e-13,
)
def linear_family(kernel) -> float:
    """FULL covariance of (ybar, x_t) given x_0 at every level of a generic chain, by a network."""
    b, pairs = 0.4**2, list(itertools.pairwise([3.0, 1.7, 1.1, 0.8, 0.5]))
    shares = [(0.3, 0.2), (0.25, 0.15), (0.5, 0.1), (0.2, 0.3)]
    network, kappa, errors = GaussianNetwork(), b, []
    network.add("x0", offset=[0.7])
    network.add("y", {"x0": 1.0}, cov=b)
    network.add("x5", {"y": 1.0}, cov=3.0**2 - b)
    for t, ((a, k), (sigma, sigma_next)) in enumerate(zip(shares, pairs, strict=True)):
        v, kappa = kernel(a, k, b, sigma, sigma_next, kappa)
        network.add(f"x{4 - t}", {"x0": 1 - a - k, "y": a, f"x{5 - t}": k}, cov=v)
        law = network.joint("y", f"x{4 - t}")
        want = np.array([[b, kappa], [kappa, sigma_next**2]])
        errors += [relative(law.cov, want), law.mean.numpy() - 0.7]
    return largest(*errors)


@item(
    "X09",
    "DDRM's cases are its corners: (a, k) = (eta_b, 0), (c s_t/tau, 0), (0, c s_t/s_{t+1})",
    right=ddrm_coefficients,
    wrong={
        "case 2 keeps x_{t+1} as well": table(
            case_2,
            xt=lambda c, sigma, sigma_next, **_: 0 * c.xt + KEPT * sigma_next / sigma,
            x0=lambda c, sigma, sigma_next, **_: c.x0 - KEPT * sigma_next / sigma,
        ),
        "fresh noise eta sigma_{t+1} in case 3": table(
            case_3, noise=lambda c, sigma, **_: 0 * c.noise + ETA * sigma
        ),
        "c = sqrt(1 - eta) in case 2": table(
            case_2, y=lambda c, **_: c.y / KEPT * math.sqrt(1 - ETA)
        ),
    },
    bound=1e-13,
)
def corners_of_the_family(coefficients) -> float:
    """v and kappa of the family at the table's shares, kappa against the library's own network."""
    network = network_of(coefficients, S, LEVELS, **RATES)
    spread = noise_of_measurement(S, SIGMA_Y)
    b, kappa, errors = spread**2, spread**2, []
    for k, (sigma, sigma_next) in enumerate(itertools.pairwise(LEVELS[:-1])):
        got = numbers(coefficients, S, sigma, sigma_next, SIGMA_Y, ETA, ETA_B)
        variance, new = general_kernel(got[2], got[1], b, sigma, sigma_next, kappa)
        kappa = np.where(S > 0, new, 0)
        name, n = f"x{len(LEVELS) - 2 - k}", len(S)
        cross = network.joint("y", name).cov[:n, n:].numpy()
        scale = sigma_next * np.where(spread > 0, spread, 1)
        errors += [(got[3] ** 2 - variance) / sigma_next**2, (cross - np.diag(kappa)) / scale]
    return largest(*errors)


# ------------------------------------------------- X10, X11: operators of two factors, butterflies


def kronecker_svd(first: np.ndarray, second: np.ndarray):
    """U, s and V^T of X -> A X B^T for images flattened row by row; s decreasing."""
    (Ua, sa, Va), (Ub, sb, Vb) = np.linalg.svd(first), np.linalg.svd(second)
    s = np.kron(sa, sb)
    order = np.argsort(-s, kind="stable")
    return np.kron(Ua, Ub)[:, order], s[order], np.kron(Va, Vb)[order]


def kronecker_unsorted(first, second):
    s = kronecker_svd(first, second)[1]
    (Ua, _, Va), (Ub, _, Vb) = np.linalg.svd(first), np.linalg.svd(second)
    return np.kron(Ua, Ub), s, np.kron(Va, Vb)


def blur_matrix(kernel: np.ndarray, size: int) -> np.ndarray:
    """Convolution of a row of ``size`` pixels, dark beyond its ends."""
    return np.stack([np.convolve(row, kernel, mode="same") for row in np.eye(size)], axis=1)


def transposed(triple):
    U, s, Vt = triple
    return U, s, Vt.T


@item(
    "X10",
    "blur X -> A X B^T of rows of pixels is A (x) B: U, s, V are Kronecker products, s sorted",
    right=kronecker_svd,
    wrong={
        "B (x) A, columns of pixels": lambda first, second: kronecker_svd(second, first),
        "s sorted, U and V not": kronecker_unsorted,
        "V for V^T": lambda first, second: transposed(kronecker_svd(first, second)),
        "B for B^T": lambda first, second: kronecker_svd(first, second.T),
    },
    bound=1e-13,
)
def separable_blur(svd) -> float:
    """scipy's convolution of each pixel of a 4 x 6 image with a kernel that has no symmetry."""
    h, w, kernel_h, kernel_w = 4, 6, np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.6, 0.25])
    units = np.eye(h * w).reshape(-1, h, w)
    kernel = np.outer(kernel_h, kernel_w)
    H = np.stack([scipy.signal.convolve2d(x, kernel, mode="same").ravel() for x in units], axis=1)
    U, s, Vt = svd(blur_matrix(kernel_h, h), blur_matrix(kernel_w, w))
    orthogonal = [M @ M.T - np.eye(h * w) for M in (U, Vt)]
    return largest(U * s @ Vt - H, s - np.linalg.svd(H)[1], *orthogonal)


def by_factors(apply):
    """X -> A X B^T through the two small decompositions alone, and how many numbers they hold."""

    def blur(first, second, image):
        factors = [*np.linalg.svd(first), *np.linalg.svd(second)]
        return apply(image, *factors), sum(factor.size for factor in factors if factor.ndim == 2)

    return blur


@item(
    "X10",
    "its U and V are held as factors, 2 (h^2 + w^2) numbers, never as h w x h w matrices",
    right=by_factors(
        lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.outer(sa, sb) * (Va @ X @ Vb.T)) @ Ub.T
    ),
    wrong={
        "factors exchanged": by_factors(
            lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.outer(sa, sb) * (Va @ X @ Vb)) @ Ub
        ),
        "s_A + s_B": by_factors(
            lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.add.outer(sa, sb) * (Va @ X @ Vb.T)) @ Ub.T
        ),
        "by the dense matrix": lambda first, second, image: (
            first @ image @ second.T,
            2 * np.kron(first, second).size,
        ),
    },
    bound=1e-13,
)
def factors_of_a_blur(blur) -> float:
    """scipy's convolution of an image, and the count of numbers."""
    h, w, kernel_h, kernel_w = 4, 6, np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.6, 0.25])
    image = np.random.default_rng(7).standard_normal((h, w))
    want = scipy.signal.convolve2d(image, np.outer(kernel_h, kernel_w), mode="same")
    got, count = blur(blur_matrix(kernel_h, h), blur_matrix(kernel_w, w), image)
    return largest(relative(got, want), count / (2 * (h**2 + w**2)) - 1)


def butterflies(x: np.ndarray, *, stop: int | None = None) -> np.ndarray:
    """Walsh-Hadamard transform in log2(n) passes of sums and differences, times 1 / sqrt(n)."""
    n, half = len(x), 1
    for _ in range(stop or int(math.log2(n))):
        pairs = x.reshape(-1, 2, half)
        x = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        half *= 2
    return x / math.sqrt(n)


def back(x: np.ndarray, perm: np.ndarray) -> np.ndarray:
    """V of a permutation, then butterflies: butterflies, then every entry back to its place."""
    result = np.empty_like(x)
    result[perm] = butterflies(x)
    return result


HADAMARD = (lambda x, perm: butterflies(x[perm]), back)


@item(
    "X11",
    "Walsh-Hadamard sensing: V^T = W P / sqrt(n) by butterflies, all s = 1, V = P^T W / sqrt(n)",
    right=HADAMARD,
    wrong={
        "divided by n": (
            lambda x, perm: butterflies(x[perm]) / math.sqrt(len(x)),
            lambda x, perm: back(x, perm) * math.sqrt(len(x)),
        ),
        "not normalised": (
            lambda x, perm: butterflies(x[perm]) * math.sqrt(len(x)),
            lambda x, perm: back(x, perm) / math.sqrt(len(x)),
        ),
        "last pass forgotten": (lambda x, perm: butterflies(x[perm], stop=3), back),
        "P for P^T on the way back": (HADAMARD[0], lambda x, perm: butterflies(x)[perm]),
        "inverse permutation": (
            lambda x, perm: butterflies(x[np.argsort(perm)]),
            lambda x, perm: back(x, np.argsort(perm)),
        ),
    },
    bound=1e-14,
)
def walsh_hadamard(transforms) -> float:
    """scipy's dense Hadamard matrix; V V^T = I; five of sixteen rows have five s = 1."""
    n, m = 16, 5
    perm = np.random.default_rng(8).permutation(n)
    Vt, V = (np.stack([f(unit, perm) for unit in np.eye(n)], axis=1) for f in transforms)
    dense = scipy.linalg.hadamard(n)[:, np.argsort(perm)] / math.sqrt(n)
    s = np.linalg.svd(Vt[:m])[1]
    return largest(Vt - dense, V @ Vt - np.eye(n), s - 1)


# ---------------------------------------------------------- X12-X14: start, small s, eta = 1


def start_as(change):
    """The start as printed, where sigma_T < sigma_y / s, with its variance changed."""

    def start(s, sigma, sigma_y):
        c, sigma = ddrm_start_coefficients(s, sigma, sigma_y), float(sigma)
        hidden = (s > 0) & (s * sigma < sigma_y)
        x0, y, variance = change(sigma, torch.where(s > 0, sigma_y / s, 0.0) ** 2)
        new = c._replace(x0=x0 + 0 * s, y=y + 0 * s, noise=(variance + 0 * s).sqrt())
        return c._replace(
            **{k: torch.where(hidden, getattr(new, k), getattr(c, k)) for k in c._fields}
        )

    return start


@item(
    "X12",
    "sigma_T < sigma_y/s: the coordinate starts like an unmeasured one, N(xbar_0, sigma_T^2)",
    right=ddrm_start_coefficients,
    wrong={
        "negative variance clamped": start_as(lambda sigma, b: (0, 1, (sigma**2 - b).clamp(min=0))),
        "its absolute value": start_as(lambda sigma, b: (0, 1, (sigma**2 - b).abs())),
        "at ybar with sigma_T^2": start_as(lambda sigma, b: (0, 1, sigma**2)),
        "at x_0 without noise": start_as(lambda sigma, b: (1, 0, 0.0)),
    },
    bound=1e-12,
)
def start_below_the_noise(start) -> float:
    """Proposition 3.1 for a chain from sigma_T = 2 while sigma_y / s is up to 7.75."""
    return marginal_error(
        ddrm_coefficients, start, S, [2.0, 0.9, 0.35, 0.1, 0.0], SIGMA_Y, eta=ETA, eta_b=ETA_B
    )


def correlations(coefficients, s: float) -> tuple[float, float]:
    """Of x_t with x_{t+1} given x_0, and Var x_t / sigma_t^2, one coordinate in cases 2 or 3."""
    network = network_of(coefficients, column(s), [4.0, 1.5, 0.5, 0.0], **RATES)
    cov = network.joint("x1", "x2").cov
    share = cov[0, 1] / (cov[0, 0] * cov[1, 1]).sqrt()
    return share.item(), cov[0, 0].item() / 0.5**2


def zero_as_case_2(s, *args, **kwargs):
    """s = 0 kept among the singular values: case 2 with ybar = 0 for a measurement."""
    return ddrm_coefficients(s.clamp(min=1e-8), *args, **kwargs)


@item(
    "X13",
    "s = 0 is case 3, never case 2: corr(x_t, x_{t+1} | x_0) = sqrt(1 - eta^2), all noise kept",
    right=ddrm_coefficients,
    wrong={
        "s = 0 as case 2": zero_as_case_2,
        "s = 0 without its old noise": table(
            case_3, xt=lambda c, **_: 0 * c.xt, x0=lambda c, **_: 0 * c.x0 + 1
        ),
        "ybar = 0 pulls towards 0": table(
            case_3,
            y=lambda c, **_: 0 * c.y + KEPT,
            x0=lambda c, **_: 0 * c.x0 + 1 - KEPT,
            xt=lambda c, **_: 0 * c.xt,
        ),
    },
    bound=1e-14,
)
def unmeasured_coordinate(coefficients) -> float:
    """Exact law of two levels where s = 0, mean included."""
    share, variance = correlations(coefficients, 0.0)
    mean = network_of(coefficients, column(0.0), [4.0, 1.5, 0.5, 0.0], **RATES).joint("x1").mean
    return largest(share - KEPT, variance - 1, mean.item() + 1.3)


@item(
    "X13",
    "s -> 0 of case 2 is not case 3: corr(x_t, x_{t+1} | x_0) tends to 1 - eta^2, not its root",
    right=1 - ETA**2,
    wrong={
        "continuous in s": KEPT,
        "independent levels": 0.0,
        "eta^2": ETA**2,
    },
    bound=1e-13,
)
def limit_of_small_s(limit) -> float:
    """The library's network at s = 1e-6 and 1e-9, both levels of which are in case 2."""
    found = [correlations(ddrm_coefficients, s) for s in (1e-6, 1e-9)]
    return largest([(share - limit, variance - 1) for share, variance in found])


def shares_exchanged(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """The roles of eta and sqrt(1 - eta^2) exchanged."""
    c = math.sqrt(1 - eta**2)
    return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=c, eta_b=eta_b)


@item(
    "X14",
    "eta = 1: cases 2 and 3 use neither y nor x_{t+1}; case 1 still uses y",
    right=ddrm_coefficients,
    wrong={
        "eta = 0.99": lambda *args, eta, eta_b: ddrm_coefficients(*args, eta=0.99, eta_b=eta_b),
        "eta and sqrt(1 - eta^2) exchanged": shares_exchanged,
        "case 1 forgets y too": table(
            lambda s, sigma, sigma_next, sigma_y: s * sigma_next >= sigma_y,
            x0=lambda c, **_: 0 * c.x0 + 1,
            y=lambda c, **_: 0 * c.y,
            noise=lambda c, sigma_next, **_: 0 * c.noise + sigma_next,
        ),
    },
    bound=1e-14,
)
def nothing_is_kept(coefficients) -> float:
    """FULL covariance of (ybar, x_{t+1}, x_t) given x_0 at each step: ybar's share in case 1."""
    network = network_of(coefficients, S, LEVELS, sigma_y=SIGMA_Y, eta=1.0, eta_b=ETA_B)
    tau, n, errors = noise_of_measurement(S, SIGMA_Y), len(S), []
    for t in range(1, len(LEVELS) - 1):
        sigma, above = LEVELS[-1 - t], LEVELS[-2 - t]
        cov = network.joint("y", f"x{t + 1}", f"x{t}").cov.numpy()
        kept, kept_above = (
            np.where((S > 0) & (S * x >= SIGMA_Y), ETA_B, 0) for x in (sigma, above)
        )
        if above == LEVELS[0]:
            kept_above = S.numpy() > 0  # the start keeps all of ybar
        want = np.hstack(
            [np.diag(kept * tau**2), np.diag(kept * kept_above * tau**2), sigma**2 * np.eye(n)]
        )
        scale = sigma * np.concatenate([np.where(tau > 0, tau, 1), np.full(n, above), [sigma] * n])
        errors.append((cov[2 * n :] - want) / scale)
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

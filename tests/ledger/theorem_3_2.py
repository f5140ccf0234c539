r"""Theorem 3.2 and the weights of the bound, beyond the slides.

Bounds: 1e-14 is fifty roundings of a number of order 1; 1e-12 where matrices are inverted or
nearly equal numbers subtracted.
"""

from __future__ import annotations

import functools
import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.signal
import sympy
import torch
from laws import (
    GaussianCase,
    largest,
    random_case,
    slide_11,
)
from torch.distributions import Normal, kl_divergence

from ddrm_edu import Dense
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.elbo import ddpm_nelbo, ddrm_nelbo, ddrm_nelbo_direct, noise_loss, step_weights
from ddrm_edu.gaussian import Gaussian

from .registry import item
from .scenes import (
    ETA,
    ETA_B,
    KEPT,
    LEVELS,
    PROBLEMS,
    SCHEDULE,
    SIGMA_Y,
    S,
    column,
    equality,
    network_of,
    prior_of,
    symbolic,
    table,
)

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

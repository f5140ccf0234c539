"""Slides 11-16: the inference chain of DDRM and the four-fold proof of Proposition 3.1.

Each part of the proof is given twice: symbolically, where a variable is integrated out of a product
of densities, and exactly, as the full covariance of the library's chain.

Bounds: 1e-14 is fifty roundings of a number of order 1, all that these short formulas make; 1e-12
where matrices are inverted or singular values down to 0.04 divide; 0 for an identity of symbols.
"""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext
from unittest import mock

import numpy as np
import scipy.optimize
import sympy
import torch
from laws import (
    largest,
    marginal_error,
    numbers,
    probe,
    random_case,
    relative,
    theorem_eta_b,
)

from ddrm_edu import Dense, ddrm_coefficients, ddrm_samples
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu import law as law_module
from ddrm_edu.ddrm import ddrm_start_coefficients as start_coefficients
from ddrm_edu.diffusion import StepCoefficients
from ddrm_edu.elbo import step_weights
from ddrm_edu.gaussian import Gaussian, GaussianNetwork, hint_1, hint_2
from ddrm_edu.law import inference_network

from .registry import item

SIGMA_Y, ETA, ETA_B = 0.31, 0.6, 0.7
KEPT = math.sqrt(1 - ETA**2)
S = torch.tensor([1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0], dtype=torch.float64)
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]  # all three cases, some only at some levels

# Spectra whose coordinates are in one case at all levels of PAIR, at sigma_y = 0.31.
PAIR = [2.0, 0.9, 0.7, 0.0]
ONLY_1, ONLY_2, ONLY_3 = (
    torch.tensor(s, dtype=torch.float64) for s in ([1.7, 0.8, 0.8], [0.3, 0.17, 0.17], [0.0, 0.0])
)


def chain(coefficients=ddrm_coefficients, start=start_coefficients, *, s=S, levels=PAIR):
    """The library's network of slide 11 given a generic x_0, its table replaced by a version."""
    x0 = Gaussian(torch.linspace(-1.3, 2.1, len(s)), torch.zeros(len(s), len(s)))
    with (
        mock.patch.object(law_module, "ddrm_coefficients", coefficients),
        mock.patch.object(law_module, "ddrm_start_coefficients", start),
    ):
        return inference_network(x0, s, levels, sigma_y=SIGMA_Y, eta=ETA, eta_b=ETA_B)


def correlation_error(network: GaussianNetwork, names, stds, correlations) -> float:
    """Distance of means from x_0 and of the FULL covariance, in units of the stds.

    Stds and correlations of one coordinate, each a number or one per coordinate; between different
    coordinates there are none.  Where the std is 0 the mean is 0 as well: y-bar where s = 0.
    """
    law, x0 = network.joint(*names), network.joint("x0").mean.numpy()
    stds = [np.broadcast_to(std, len(x0)) for std in stds]
    want = np.block(
        [
            [np.diag(rho * std * other) for rho, other in zip(row, stds, strict=True)]
            for row, std in zip(correlations, stds, strict=True)
        ]
    )
    means, stds = np.concatenate([(std > 0) * x0 for std in stds]), np.concatenate(stds)
    scale = np.where(stds > 0, stds, 1)
    return largest(
        (law.mean.numpy() - means) / scale, (law.cov.numpy() - want) / np.outer(scale, scale)
    )


def changed(where=lambda s: s >= 0, **change):
    """The library's table with some of its numbers changed where a condition on s holds."""

    def coefficients(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
        scene = {"s": s, "sigma": sigma, "sigma_next": sigma_next, "tau": sigma_y / s}
        new = {name: f(getattr(c, name), **scene) for name, f in change.items()}
        return c._replace(**{k: torch.where(where(s), v, getattr(c, k)) for k, v in new.items()})

    return coefficients


def balanced(where=lambda s: s >= 0, **change):
    """The same with the weight of x_0 adjusted, so that the mean given x_0 stays right."""
    table = changed(where, **change)

    def coefficients(*args, **kwargs):
        c = table(*args, **kwargs)
        return c._replace(x0=1 - c.xt - c.y)

    return coefficients


# --------------------------------------------------------------------------- slide 11, the start


def start_with(x0, y, variance):
    """A start made of functions of (seen, sigma_T, b)."""

    def start(s, sigma, sigma_y) -> StepCoefficients:
        seen, b = s > 0, torch.where(s > 0, sigma_y / s, 0.0) ** 2
        parts = (f(seen, float(sigma), b) + 0.0 * s for f in (x0, y, variance))
        weight_x0, weight_y, var = parts
        return StepCoefficients(weight_x0, 0 * s, weight_y, var.sqrt())

    return start


UNSEEN, SEEN = (lambda seen, sigma, b: ~seen), (lambda seen, sigma, b: seen)


@item(
    "S11.1",
    "q(x_T | x_0, y): N(ybar, sigma_T^2 - sigma_y^2/s^2) if s > 0, else N(xbar_0, sigma_T^2)",
    right=start_coefficients,
    wrong={
        "noise of y counted twice": start_with(UNSEEN, SEEN, lambda seen, sigma, b: sigma**2),
        "standard deviations subtracted": start_with(
            UNSEEN, SEEN, lambda seen, sigma, b: (sigma - b.sqrt()) ** 2
        ),
        "sampler's 0 for x_0 where s = 0": start_with(
            lambda seen, sigma, b: 0.0, SEEN, lambda seen, sigma, b: sigma**2 - b
        ),
        "y ignored": start_with(
            lambda seen, sigma, b: 1.0, lambda seen, sigma, b: 0.0, lambda seen, sigma, b: sigma**2
        ),
    },
    bound=1e-14,
)
def start_of_the_chain(start) -> float:
    """FULL joint law of (ybar, x_T) given x_0: the noise of ybar is a part of that of x_T."""
    tau = np.array([SIGMA_Y / s if s else 0.0 for s in S.tolist()])
    network, share = chain(start=start, levels=[9.0, 0.0]), tau / 9.0
    return correlation_error(network, ["y", "x1"], [tau, 9.0], [[1, share], [share, 1]])


def as_printed_at_the_start(s, sigma, sigma_y) -> tuple:
    seen, b = s > 0, torch.where(s > 0, sigma_y / s, 0.0) ** 2
    return (~seen).double(), seen.double(), float(sigma) ** 2 - b


def library_start(s, sigma, sigma_y) -> tuple:
    c = start_coefficients(s, sigma, sigma_y)
    return c.x0, c.y, c.noise**2


def clamped_start(s, sigma, sigma_y) -> tuple:
    x0, y, variance = as_printed_at_the_start(s, sigma, sigma_y)
    return x0, y, variance.clamp(min=0)


@item(
    "E5",
    "slide 11: the start needs sigma_T >= sigma_y / s_i; else the coordinate counts as unseen",
    right=library_start,
    wrong={
        "as printed": as_printed_at_the_start,
        "as printed, negative variance clamped": clamped_start,
        "as printed, its absolute value": lambda *args: (
            *as_printed_at_the_start(*args)[:2],
            as_printed_at_the_start(*args)[2].abs(),
        ),
    },
    bound=1e-14,
)
def start_from_a_low_level(start) -> float:
    """At sigma_T = 2 < sigma_y / s = 7.75: no negative variance, and Proposition 3.1 holds."""
    x0, y, variance = start(S, 2.0, SIGMA_Y)
    b = torch.where(S > 0, SIGMA_Y / S, 0.0) ** 2
    gain = x0 + y * (S > 0)
    return largest(variance.clamp(max=0) / 4, (y**2 * b + variance) / 4 - 1, gain - 1)


# -------------------------------------------------------------------------- slide 11, the steps


def slide_in_decimals(s, sigma, sigma_next, sigma_y, eta, eta_b) -> list[Decimal]:
    """Mean for (x_0, x_{t+1}, ybar) = (1, 0, 0), (0, 1, 0), (0, 0, 1) and variance, 50 digits."""
    s, old, new, noise, eta, eta_b = map(Decimal, (s, sigma, sigma_next, sigma_y, eta, eta_b))
    kept, result = (1 - eta**2).sqrt(), []
    for x0, xt, y in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        if s == 0:
            result.append(x0 + kept * new * (xt - x0) / old)
        elif new >= noise / s:
            result.append(x0 * (1 - eta_b) + eta_b * y)
        else:
            result.append(x0 + kept * new * (y - x0) / (noise / s))
    first = s > 0 and new >= noise / s
    variance = new**2 - (noise / s * eta_b) ** 2 if first else (eta * new) ** 2
    return [*result, variance]


def step_error(coefficients, s, levels, sigma_y=SIGMA_Y) -> float:
    """Largest distance of the four numbers from the slide's; variances in units of sigma_t^2."""
    errors = []
    with localcontext() as context:
        context.prec = 50
        for sigma, sigma_next in itertools.pairwise(levels):
            got = numbers(coefficients, s, sigma, sigma_next, sigma_y, ETA, ETA_B)
            got[3] = got[3] ** 2
            for si, column in zip(s, got.T, strict=True):
                want = slide_in_decimals(si, sigma, sigma_next, sigma_y, ETA, ETA_B)
                scales = [1, 1, 1, sigma_next**2]
                errors += [
                    (float(Decimal(float(g)) - w)) / scale
                    for g, w, scale in zip(column, want, scales, strict=True)
                ]
    return largest(errors)


def case_2_at_equality(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    below = math.nextafter(float(sigma_next), 0.0) * (1 - 1e-9)  # past the tolerance for equality
    return ddrm_coefficients(s, sigma, below, sigma_y, eta=eta, eta_b=eta_b)


def seen(s):
    return s > 0


@item(
    "S11.2",
    "sigma_t >= sigma_y/s: N((1-eta_b) x_0 + eta_b ybar, sigma_t^2 - eta_b^2 sigma_y^2/s^2)",
    right=ddrm_coefficients,
    wrong={
        "eta_b not squared": changed(
            noise=lambda c, sigma_next, tau, **_: (sigma_next**2 - ETA_B * tau**2).sqrt()
        ),
        "weights of x_0 and ybar exchanged": changed(
            x0=lambda c, **_: 0 * c + ETA_B, y=lambda c, **_: 0 * c + 1 - ETA_B
        ),
        "b = sigma_y^2 s^2": changed(
            noise=lambda c, s, sigma_next, **_: (sigma_next**2 - (ETA_B * SIGMA_Y * s) ** 2).sqrt()
        ),
        "equality left to case 2": case_2_at_equality,
    },
    bound=1e-14,
)
def case_1(coefficients) -> float:
    """Against the slide in 50-digit decimals; the last coordinate and level meet in equality."""
    return step_error(coefficients, [1.75, 0.875, 0.875, 0.5], [31.0, 3.0, 0.75, 0.625], 0.3125)


@item(
    "S11.3",
    "sigma_t < sigma_y/s: N(x_0 + c sigma_t (ybar-x_0) s/sigma_y, eta^2 sigma_t^2), c^2+eta^2=1",
    right=ddrm_coefficients,
    wrong={
        "c = sqrt(1 - eta)": balanced(y=lambda c, **_: c / KEPT * math.sqrt(1 - ETA)),
        "divided by sigma_y^2 / s^2": balanced(y=lambda c, tau, **_: c / tau),
        "s forgotten: divided by sigma_y": balanced(y=lambda c, s, **_: c / s),
        "fresh noise eta sigma_{t+1}": changed(noise=lambda c, sigma, **_: 0 * c + ETA * sigma),
    },
    bound=1e-14,
)
def case_2(coefficients) -> float:
    """Against the slide in 50-digit decimals."""
    return step_error(coefficients, [0.31, 0.17, 0.17, 0.04], [7.0, 0.99, 0.6, 0.21, 0.02])


@item(
    "S11.4",
    "s = 0: N(x_0 + c sigma_t (x_{t+1} - x_0)/sigma_{t+1}, eta^2 sigma_t^2), c^2 + eta^2 = 1",
    right=ddrm_coefficients,
    wrong={
        "division by sigma_{t+1} forgotten": balanced(xt=lambda c, sigma, **_: c * sigma),
        "old noise kept at full size": balanced(xt=lambda c, **_: 0 * c + KEPT),
        "fresh noise eta sigma_{t+1}": changed(noise=lambda c, sigma, **_: 0 * c + ETA * sigma),
        "s = 0 as case 2, ybar = 0 for a measurement": lambda s, *args, **kwargs: ddrm_coefficients(
            s + 1e-6, *args, **kwargs
        ),
        "DDIM's eta": changed(
            noise=lambda c, sigma, sigma_next, **_: c * math.sqrt(1 - (sigma_next / sigma) ** 2)
        ),
    },
    bound=1e-14,
)
def case_3(coefficients) -> float:
    """Against the slide in 50-digit decimals."""
    return step_error(coefficients, [0.0, 0.0], LEVELS[:-1])


def accepted(s: float, sigma: float, sigma_y: float) -> float:
    """The largest eta_b that the library takes, by bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        try:
            ddrm_coefficients(
                torch.tensor([s], dtype=torch.float64),
                2 * sigma,
                sigma,
                sigma_y,
                eta=ETA,
                eta_b=middle,
            )
            low = middle
        except ValueError:
            high = middle
    return low


@item(
    "S11.5",
    "eta_b is admissible from 0 to sigma_t s / sigma_y, which is at least 1 in case 1",
    right=accepted,
    wrong={
        "slide 11: at most 1": lambda s, sigma, sigma_y: 1.0,
        "at most 2, the bound of Theorem 3.2": lambda s, sigma, sigma_y: 2.0,
        "square root forgotten": lambda s, sigma, sigma_y: (sigma * s / sigma_y) ** 2,
    },
    bound=1e-11,  # the library takes a relative excess of 1e-12 for equality
)
def admissible(limit) -> float:
    """Where the joint law of (x_t, ybar) given x_0 ends: its smallest eigenvalue becomes 0."""
    errors = []
    for s, sigma, sigma_y in ((1.7, 0.9, 0.31), (0.8, 0.41, 0.31), (0.31, 12.5, 0.2)):
        b = (sigma_y / s) ** 2

        def smallest(eta_b, b=b, sigma=sigma):
            return np.linalg.eigvalsh([[sigma**2, eta_b * b], [eta_b * b, b]])[0]

        truth = scipy.optimize.brentq(smallest, 0.0, 100.0, xtol=1e-14, rtol=1e-14)
        errors.append(limit(s, sigma, sigma_y) / truth - 1)
    return largest(errors)


def at_most_1(s, sigma, sigma_next, sigma_y):
    rule = torch.tensor([theorem_eta_b(si, sigma_next, sigma_y) for si in s.tolist()])
    return step_weights(s, sigma, sigma_next, sigma_y, eta=1.0, eta_b=rule.clamp(max=1))


@item(
    "E15",
    "slide 11: Theorem 3.2 needs eta_b = 2 sigma_t^2/(sigma_t^2 + sigma_y^2/s^2), from 1 to 2",
    right=lambda *args: step_weights(*args, eta=1.0, eta_b="theorem"),
    wrong={
        "as printed": at_most_1,
        "eta_b = 0.9": lambda *args: step_weights(*args, eta=1.0, eta_b=0.9),
    },
    bound=1e-12,
)
def weights_of_theorem_3_2(weights) -> float:
    """KL divergence of kernels per |x_0 - x_theta|^2 against 1 / (2 sigma_t^2), in all cases."""
    errors = []
    for sigma, sigma_next in itertools.pairwise(LEVELS[:-1]):
        errors.append(weights(S, sigma, sigma_next, SIGMA_Y) * 2 * sigma_next**2 - 1)
    return largest(*errors)


@item(
    "S11.6",
    "cases 1 and 2 agree at sigma_t = sigma_y / s if and only if eta^2 + eta_b^2 = 1",
    right=lambda eta: math.sqrt(1 - eta**2),
    wrong={
        "the default eta_b = 1": lambda eta: 1.0,
        "eta + eta_b = 1": lambda eta: 1 - eta,
        "eta_b = eta": lambda eta: eta,
    },
    bound=1e-9,  # the limit from below is taken at a distance of 1e-10
)
def continuity(eta_b_of) -> float:
    """The library's table on the boundary against its limit from below."""
    sigma, errors = 0.5, []
    for eta in (0.3, 0.6, 0.85):
        rates = {"eta": eta, "eta_b": eta_b_of(eta)}
        s = torch.tensor([0.31 / sigma, 0.31 / sigma * (1 - 1e-10)], dtype=torch.float64)
        c = ddrm_coefficients(s, 0.9, sigma, 0.31, **rates)
        errors += [number[0] - number[1] for number in (c.x0, c.xt, c.y, c.noise)]
    return largest(errors)


# --------------------------------------------------- the library's sampler as a law given x_0

CASE = random_case(5, 4, 3, SIGMA_Y, seed=16)
# In the null space q starts at x_0 and the sampler, which does not know it, at 0 (slides 11, 17);
# for an x_0 without a part there the two are one.
X0 = np.linalg.pinv(CASE.H, rcond=1e-12) @ CASE.H @ np.linspace(-1.0, 2.0, 5)
FEW = [9.0, 2.1, 0.8, 0.0]


def sampled_law(change):
    """ddrm_samples with a denoiser that knows x_0, as an affine law given y, its noise changed."""
    known, op = torch.as_tensor(X0), Dense(CASE.H)
    rates = {"sigma_y": CASE.sigma_y, "eta": ETA, "eta_b": ETA_B}

    def run(y):
        true = diffusion_module.standard_normal
        noise = lambda *args: change(true(*args))  # noqa: E731
        with mock.patch.object(diffusion_module, "standard_normal", noise):
            yield from ddrm_samples(lambda x, sigma: known.expand(x.shape), op, y, FEW, **rates)

    return probe(run, op.in_shape, op.m, len(FEW))


def untouched(z):
    return z


def one_number(z):
    return z[:, :1].expand(z.shape).clone()


def shared_with_neighbour(z):
    return (z + z.roll(1, dims=1)) / math.sqrt(2)


@item(
    "S11.7",
    "q(xbar_t | x_{t+1}, x_0, y) is a product over the coordinates i",
    right=untouched,
    wrong={
        "one normal number for all coordinates": one_number,
        "each number shared with the next coordinate": shared_with_neighbour,
    },
    bound=1e-12,
)
def product_kernel(change) -> float:
    """FULL spectral covariance of a sampler's step given the last, against slide 11's diagonal."""
    law, op, errors = sampled_law(change), Dense(CASE.H), []
    Vt = op.Vt(torch.eye(5, dtype=torch.float64)).T.numpy()
    cov = np.kron(np.eye(3), Vt) @ law.cov @ np.kron(np.eye(3), Vt.T)
    for t in (0, 1):  # from the first step's image to the second, and from that to the last
        above, here = slice(5 * t, 5 * t + 5), slice(5 * t + 5, 5 * t + 10)
        gain = cov[here, above] @ np.linalg.pinv(cov[above, above], rcond=1e-12)
        got = cov[here, here] - gain @ cov[above, here]
        rates = (CASE.sigma_y, ETA, ETA_B)
        want = [slide_variance(si, FEW[t + 1], FEW[t + 2], *rates) for si in op.s.tolist()]
        errors.append(got - np.diag(want))
    return largest(*errors)


def slide_variance(*args) -> float:
    return float(slide_in_decimals(*args)[3])


@item(
    "E19",
    "slides 13-16: Proposition 3.1 needs independence over i as well, of the noise and of z",
    right=(untouched, np.eye(4)),
    wrong={
        "as printed": (one_number, np.eye(4)),
        "noise shared with the next coordinate": (shared_with_neighbour, np.eye(4)),
        "z independent, of unequal size": (untouched, np.diag([1.6, 0.4, 1.2, 0.8])),
    },
    bound=1e-12,
)
def full_covariance(version) -> float:
    """FULL covariance of every x_t of the library's sampler given x_0, pixels, in sigma_t^2."""
    change, shape_of_z = version
    law, errors = sampled_law(change), []
    mean = law.offset + law.gain @ CASE.H @ X0
    cov = law.cov + CASE.sigma_y**2 * law.gain @ shape_of_z @ law.gain.T
    for t, sigma in enumerate(FEW[1:]):
        block = slice(5 * t, 5 * t + 5)
        errors.append(mean[block] - X0)
        errors.append((cov[block, block] - sigma**2 * np.eye(5)) / (sigma**2 or 1.0))
    return largest(*errors)


# ----------------------------------------------------------------------------------- slide 12


@item(
    "S12.1",
    "q(x_t | x_0) = N(x_0, sigma_t^2 I) for all t, eta, eta_b, H (Proposition 3.1)",
    right=ddrm_coefficients,
    wrong={
        "injected noise divided by sqrt 2": changed(noise=lambda c, **_: c / math.sqrt(2)),
        "case 1 keeps all of the prediction": changed(
            seen, x0=lambda c, sigma_next, tau, **_: torch.where(sigma_next >= tau, 1.0, c)
        ),
        "divided by the variance of ybar in case 2": balanced(
            seen, y=lambda c, sigma_next, tau, **_: torch.where(sigma_next < tau, c / tau, c)
        ),
        "levels t and t + 1 exchanged in case 3": balanced(
            lambda s: s == 0,
            xt=lambda c, sigma, sigma_next, **_: 0 * c + KEPT * sigma / (sigma_next or math.inf),
        ),
    },
    bound=1e-12,
)
def proposition_3_1(coefficients) -> float:
    """FULL covariance of every x_t given x_0, spectral and in pixels, for all kinds of rates."""
    rates = [(ETA, ETA_B), (0.0, 0.4), (1.0, 1.0), (0.85, theorem_eta_b)]
    return largest(
        [
            marginal_error(
                coefficients, start_coefficients, S, LEVELS, SIGMA_Y, eta=eta, eta_b=eta_b
            )
            for eta, eta_b in rates
        ]
    )


@item(
    "S12.2",
    "x_t ~ N(x_0, sigma_t^2 I) if and only if xbar_t ~ N(xbar_0, sigma_t^2 I)",
    right=lambda op: (op.V(torch.eye(5).double()).T, torch.ones(5)),
    wrong={
        "variances that differ between coordinates": lambda op: (
            op.V(torch.eye(5).double()).T,
            torch.linspace(0.9, 1.1, 5),
        ),
        "axes that are not orthogonal": lambda op: (
            op.V(torch.eye(5).double()).T + 0.1 * torch.eye(5).roll(1, 0),
            torch.ones(5),
        ),
        "thin V": lambda op: (op.V(torch.eye(5).double()).T * (op.s > 0), torch.ones(5)),
    },
    bound=1e-14,
)
def rotation(version) -> float:
    """N(xbar_0, sigma^2) pushed through V and N(x_0, sigma^2) through V^T; FULL covariances."""
    op, x0, sigma = Dense(CASE.H), torch.linspace(-1, 2, 5).double(), 1.3
    V, shares = version(op)
    x0_spec = op.Vt(x0[None])[0]
    there = Gaussian(x0_spec, sigma**2 * shares.double().diag()).push(V)
    back = Gaussian(x0, sigma**2 * torch.eye(5).double()).push(V.T)
    return largest(
        there.mean - x0,
        there.cov / sigma**2 - torch.eye(5),
        back.mean - x0_spec,
        back.cov / sigma**2 - torch.eye(5),
    )


# ----------------------------------------------------------------- slide 13, the hints


def brute_hint(alpha, V1, V2, gamma=0.0) -> tuple[float, float]:
    """Factor of z_0 and variance of z_2 given z_0, by regression in the joint law of all three."""
    z0, z1 = np.array([1.0, 0, 0]), np.array([1.0, math.sqrt(V1), 0])
    z2 = alpha * z1 + gamma * z0 + np.array([0, 0, math.sqrt(V2)])
    joint = np.array([z0, z1, z2]) @ np.array([z0, z1, z2]).T
    factor = joint[0, 2] / joint[0, 0]
    return factor, joint[2, 2] - factor * joint[0, 2]


@item(
    "S13.1",
    "Hint 1: N(z0, V1) and N(alpha z1, V2) give z2 | z0 ~ N(alpha z0, alpha^2 V1 + V2)",
    right=hint_1,
    wrong={
        "alpha not squared": lambda V1, alpha, V2: (alpha, alpha * V1 + V2),
        "alpha lost in the mean": lambda V1, alpha, V2: (1.0, alpha**2 * V1 + V2),
        "noise of the first step forgotten": lambda V1, alpha, V2: (alpha, V2),
    },
    bound=1e-14,
)
def first_hint(hint) -> float:
    """Against a regression in the joint law of (z_0, z_1, z_2)."""
    args = (0.6, -1.7, 0.35)
    return largest(np.subtract(hint(*args), brute_hint(args[1], args[0], args[2])))


@item(
    "E16",
    "withdrawn: the charitable reading is right (slide 14: hint 1 for eta_b ybar, then hint 2); "
    "remark: a mean alpha z1 + gamma z0 gives (alpha + gamma) z0 at once",
    right=lambda V1, alpha, V2, gamma: hint_1(V1, alpha, V2, gamma=gamma),
    wrong={
        "hint 1 without hint 2 after it": lambda V1, alpha, V2, gamma: hint_1(V1, alpha, V2),
        "gamma in the variance as well": lambda V1, alpha, V2, gamma: hint_1(V1, alpha + gamma, V2),
    },
    bound=1e-14,
)
def first_hint_with_both_parents(hint) -> float:
    """Against a regression in the joint law of (z_0, z_1, z_2)."""
    args = (0.6, -1.7, 0.35, 0.9)
    return largest(np.subtract(hint(*args), brute_hint(args[1], args[0], args[2], args[3])))


z0, z1, z2, x0, y, x, above = sympy.symbols("z0 z1 z2 x0 y x x_above", real=True)
V1, V2, alpha, gamma, b = sympy.symbols("V1 V2 alpha gamma b", positive=True)
level, old, eta, eta_b = sympy.symbols("sigma_t sigma_above eta eta_b", positive=True)
GENERIC = {z0: -0.7, x0: 1.3, V1: 0.6, V2: 0.35, alpha: 1.7, gamma: 0.9, y: 0.4}
GENERIC |= {b: 0.23, level: 0.81, old: 1.9, eta: 0.6, eta_b: 0.7}


def log_normal(value, mean, var):
    return -((value - mean) ** 2) / (2 * var) - sympy.log(2 * sympy.pi * var) / 2


def mean_and_variance(log_density, variable) -> tuple:
    """Of a Gaussian log density, from its exponent."""
    var = -1 / sympy.diff(log_density, variable, 2)
    return log_density.diff(variable).subs(variable, 0) * var, var


def integrated(log_density, variable):
    """log of the integral of exp(quadratic): Laplace's method, exact for Gaussians."""
    top, var = mean_and_variance(log_density, variable)
    return log_density.subs(variable, top) + sympy.log(2 * sympy.pi * var) / 2


def distance(got, want) -> float:
    """0 if all expressions are identical, else the largest difference at a generic point."""
    differences = [g - w for g, w in zip(got, want, strict=True)]
    at_a_point = max(abs(float(d.subs(GENERIC))) for d in differences)
    if at_a_point > 1e-9:  # no rounding explains it, and nothing is left to prove
        return at_a_point
    return 0.0 if all(sympy.cancel(d) == 0 for d in differences) else math.inf


@item(
    "S13.1",
    "Hint 1, symbolically, with gamma z0 in the mean as well",
    right=lambda V1, alpha, V2, gamma: hint_1(V1, alpha, V2, gamma=gamma),
    wrong={
        "alpha not squared": lambda V1, alpha, V2, gamma: (alpha + gamma, alpha * V1 + V2),
        "variances multiplied": lambda V1, alpha, V2, gamma: (alpha + gamma, alpha**2 * V1 * V2),
    },
    bound=0.0,
)
def first_hint_symbolically(hint) -> float:
    """z_1 integrated out of the product of the two densities, for all parameters."""
    product = log_normal(z1, z0, V1) + log_normal(z2, alpha * z1 + gamma * z0, V2)
    mean, var = mean_and_variance(integrated(product, z1), z2)
    return distance(hint(V1, alpha, V2, gamma), (mean / z0, var))


KERNEL_1 = ((1 - eta_b) * x0 + eta_b * y, level**2 - eta_b**2 * b)
KERNEL_2 = (x0 + sympy.sqrt(1 - eta**2) * level * (y - x0) / sympy.sqrt(b), eta**2 * level**2)


@item(
    "S11.6",
    "the same symbolically: equal mean and variance at b = sigma_t^2, for all parameters",
    right=sympy.sqrt(1 - eta**2),
    wrong={"the default eta_b = 1": sympy.Integer(1), "eta + eta_b = 1": 1 - eta},
    bound=0.0,
)
def continuity_symbolically(rate) -> float:
    """Case 1 with this eta_b against case 2, both at the boundary."""
    at = {b: level**2}
    first = [expression.subs(eta_b, rate).subs(at) for expression in KERNEL_1]
    return distance(first, [expression.subs(at) for expression in KERNEL_2])


def pair_of(correlation: float) -> Gaussian:
    """Joint law of two vectors of two coordinates with generic covariances."""
    A, B = np.array([[1.0, 0.4], [0.4, 0.7]]), np.array([[0.5, -0.2], [-0.2, 1.3]])
    cross = correlation * np.linalg.cholesky(A) @ np.linalg.cholesky(B).T
    return Gaussian([1.0, -2.0, 0.3, 0.8], np.block([[A, cross], [cross.T, B]]))


def sum_by_hint(pair: Gaussian) -> Gaussian:
    """The library's Hint 2; where it refuses, what its message advises."""
    try:
        return hint_2(pair)
    except ValueError:
        return pair.push(torch.cat([torch.eye(2), torch.eye(2)], 1))


def sum_with(cov):
    def version(pair: Gaussian) -> Gaussian:
        A, B = pair.cov[:2, :2], pair.cov[2:, 2:]
        return Gaussian(pair.mean[:2] + pair.mean[2:], cov(A, B))

    return version


def sum_error(version, pair: Gaussian) -> float:
    """Distance from the law of [I I] (z_1, z_2), in numpy."""
    got, both = version(pair), np.hstack([np.eye(2), np.eye(2)])
    return largest(
        got.mean.numpy() - both @ pair.mean.numpy(),
        got.cov.numpy() - both @ pair.cov.numpy() @ both.T,
    )


@item(
    "S13.2",
    "Hint 2: z1 + z2 ~ N(mu1 + mu2, V1 + V2) if z1 and z2 are independent",
    right=hint_2,
    wrong={
        "standard deviations added": sum_with(
            lambda A, B: A + B + (A.diagonal() * B.diagonal()).sqrt().diag() * 2
        ),
        "law of the mean": sum_with(lambda A, B: (A + B) / 4),
        "diagonals only": sum_with(lambda A, B: (A + B).diagonal().diag()),
    },
    bound=1e-14,
)
def second_hint(version) -> float:
    """FULL covariance of an independent pair of vectors."""
    return sum_error(version, pair_of(0.0))


@item(
    "E6",
    "slide 13: Hint 2 is false without independence, e.g. for z2 = -z1",
    right=sum_by_hint,
    wrong={"as printed": sum_with(lambda A, B: A + B)},
    bound=1e-14,
)
def second_hint_for_correlated(version) -> float:
    """z_2 = -z_1, and correlations 0.4 and 0.9; here the library's hint must refuse."""
    cov = pair_of(0.0).cov[:2, :2]
    opposite = Gaussian([1.0, -2.0, -1.0, 2.0], torch.kron(torch.tensor([[1, -1], [-1, 1]]), cov))
    return max(sum_error(version, pair) for pair in (opposite, pair_of(0.4), pair_of(0.9)))


@item(
    "E6",
    "slide 13: nor do uncorrelated summands suffice, e.g. z2 = z1 or -z1 by a coin",
    right=lambda V: 24 * V**2,
    wrong={"as printed": lambda V: 3 * (2 * V) ** 2, "fourth moment of 2 z1": lambda V: 48 * V**2},
    bound=1e-12,
)
def second_hint_for_uncorrelated(fourth_moment) -> float:
    """E (z_1 + z_2)^4 by quadrature over z_1 and both sides of the coin; Cov(z_1, z_2) = 0."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    z, weights = math.sqrt(0.6) * nodes, weights / weights.sum()
    moments = [np.mean([weights @ f(z, side * z) for side in (1, -1)]) for f in (_product, _fourth)]
    return largest(moments[0], fourth_moment(0.6) / moments[1] - 1)


def _product(a, b):
    return a * b


def _fourth(a, b):
    return (a + b) ** 4


# ------------------------------------------------------- slides 13-16, the four parts of the proof


def library_gain(s, sigma_y) -> tuple:
    """Regression of ybar on xbar_0 in the library's network: gain (n, n) and rest (n, n)."""
    n = len(s)
    x0 = Gaussian(torch.zeros(n), torch.eye(n) + 0.3 * torch.ones(n, n))
    network = inference_network(x0, s, [50.0, 0.0], sigma_y=sigma_y, eta=ETA, eta_b=ETA_B)
    cov = network.joint("y", "x0").cov
    gain = torch.linalg.solve(cov[n:, n:], cov[n:, :n]).T
    return gain, cov[:n, :n] - gain @ cov[n:, :n]


def printed_gain(s, sigma_y) -> tuple:
    return torch.eye(len(s)), torch.where(s > 0, (sigma_y / s) ** 2, 0.0).diag()


def gain_with(gain, variance):
    return lambda s, sigma_y: (gain(s).diag(), torch.where(s > 0, variance(s, sigma_y), 0.0).diag())


@item(
    "S13.3",
    "ybar^i | x_0 ~ N(xbar_0^i, sigma_y^2 / s_i^2) where s_i > 0, and ybar^i = 0 where s_i = 0",
    right=library_gain,
    wrong={
        "mean s xbar_0": gain_with(lambda s: s, lambda s, sigma_y: (sigma_y / s) ** 2),
        "variance sigma_y^2": gain_with(lambda s: (s > 0).double(), lambda s, sigma_y: sigma_y**2),
    },
    bound=1e-12,
)
@item(
    "E4",
    "slides 13-16: where s_i = 0, ybar^i is 0 and not xbar_0^i",
    right=library_gain,
    wrong={"as printed": printed_gain},
    bound=1e-12,
)
def third_hint(version) -> float:
    """Gain on xbar_0 and rest against V^T H^+ H V and Cov V^T H^+ z, for an H with null space."""
    op = Dense(CASE.H)
    Vt = op.Vt(torch.eye(5, dtype=torch.float64)).T.numpy()
    to_spec = Vt @ np.linalg.pinv(CASE.H, rcond=1e-12)
    gain, rest = version(op.s, CASE.sigma_y)
    want = CASE.sigma_y**2 * to_spec @ to_spec.T
    return largest(gain.numpy() - to_spec @ CASE.H @ Vt.T, relative(rest, want))


@item(
    "E4",
    "slide 16: ybar says nothing of a coordinate with s_i = 0, whose variance stays the prior's",
    right=library_gain,
    wrong={"as printed": printed_gain},
    bound=1e-12,
)
def nothing_is_known_where_s_is_0(version) -> float:
    """Posterior variance given ybar, where s = 0, of independent coordinates: the prior's."""
    op, prior = Dense(CASE.H), torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
    gain, rest = version(op.s, CASE.sigma_y)
    gain = gain.double()
    seen = gain * prior @ gain.T + rest
    left = prior.diag() - prior[:, None] * gain.T @ torch.linalg.pinv(seen) @ gain * prior
    return largest((left.diagonal() / prior - 1)[op.s == 0])


def error_after(kernel, parent, var) -> float:
    """x_t given x_0 against N(x_0, sigma_t^2), the parent of variance var integrated out."""
    product = log_normal(parent, x0, var) + log_normal(x, *kernel(parent))
    return distance(mean_and_variance(integrated(product, parent), x), (x0, level**2))


@item(
    "S13.4",
    "base of the proof, symbolically: sigma_y^2/s^2 + (sigma_T^2 - sigma_y^2/s^2) = sigma_T^2",
    right=lambda y: (y, level**2 - b),
    wrong={
        "noise of y counted twice": lambda y: (y, level**2),
        "standard deviations subtracted": lambda y: (y, (level - sympy.sqrt(b)) ** 2),
        "b squared": lambda y: (y, level**2 - b**2),
    },
    bound=0.0,
)
def base_symbolically(kernel) -> float:
    """ybar integrated out of N(ybar; x_0, b) N(x_T; kernel), for all parameters."""
    return error_after(kernel, y, b)


@item(
    "S13.4",
    "base of the proof, exactly: q(x_T | x_0) = N(x_0, sigma_T^2 I)",
    right=start_coefficients,
    wrong={
        "noise of y counted twice": start_with(UNSEEN, SEEN, lambda seen, sigma, b: sigma**2),
        "half of ybar, half of x_0": start_with(
            lambda seen, sigma, b: torch.where(seen, 0.5, 1.0),
            lambda seen, sigma, b: 0.5 * seen,
            lambda seen, sigma, b: sigma**2 - b,
        ),
        "no noise of y to subtract where s = 0, but some elsewhere": start_with(
            UNSEEN, SEEN, lambda seen, sigma, b: sigma**2 - b.max()
        ),
    },
    bound=1e-14,
)
def base_exactly(start) -> float:
    """FULL covariance of x_T in the library's chain, 7 coordinates, two of them unseen."""
    network = chain(start=start, levels=[9.0, 0.0])
    return correlation_error(network, ["x1"], [9.0], [[1.0]])


@item(
    "S14.1",
    "case 1, symbolically: mean x_0, variance (sigma_t^2 - eta_b^2 b) + eta_b^2 b = sigma_t^2",
    right=lambda y: ((1 - eta_b) * x0 + eta_b * y, level**2 - eta_b**2 * b),
    wrong={
        "eta_b b": lambda y: ((1 - eta_b) * x0 + eta_b * y, level**2 - eta_b * b),
        "x_0 kept whole": lambda y: (x0 + eta_b * y, level**2 - eta_b**2 * b),
        "variance sigma_t^2": lambda y: ((1 - eta_b) * x0 + eta_b * y, level**2),
    },
    bound=0.0,
)
def case_1_symbolically(kernel) -> float:
    """ybar integrated out of N(ybar; x_0, b) N(x_t; kernel), for all parameters."""
    return error_after(kernel, y, b)


@item(
    "S14.1",
    "case 1, exactly: q(x_t | x_0) = N(x_0, sigma_t^2 I), Cov(x_t, ybar | x_0) = eta_b b",
    right=ddrm_coefficients,
    wrong={
        "eta_b not squared": changed(
            noise=lambda c, sigma_next, tau, **_: (sigma_next**2 - ETA_B * tau**2).sqrt()
        ),
        "x_0 kept whole": changed(x0=lambda c, **_: 0 * c + 1),
        "treated as case 3: right marginals, but y unused": lambda s, *args, **kwargs: (
            ddrm_coefficients(0 * s, *args, **kwargs)
        ),
    },
    bound=1e-14,
)
def case_1_exactly(coefficients) -> float:
    """FULL joint covariance of (ybar, x_2, x_1) given x_0, three coordinates, closed form."""
    tau = SIGMA_Y / ONLY_1.numpy()
    r2, r1 = (ETA_B * tau / sigma for sigma in PAIR[1:3])
    want = [[1, r2, r1], [r2, 1, r1 * r2], [r1, r1 * r2, 1]]
    network = chain(coefficients, s=ONLY_1)
    return correlation_error(network, ["y", "x2", "x1"], [tau, *PAIR[1:3]], want)


@item(
    "S15.1",
    "case 2, symbolically: mean x_0, variance eta^2 sigma_t^2 + (1 - eta^2) sigma_t^2",
    right=lambda y: (
        x0 + sympy.sqrt(1 - eta**2) * level * (y - x0) / sympy.sqrt(b),
        eta**2 * level**2,
    ),
    wrong={
        "sqrt(1 - eta)": lambda y: (
            x0 + sympy.sqrt(1 - eta) * level * (y - x0) / sympy.sqrt(b),
            eta**2 * level**2,
        ),
        "divided by the variance of ybar": lambda y: (
            x0 + sympy.sqrt(1 - eta**2) * level * (y - x0) / b,
            eta**2 * level**2,
        ),
        "eta sigma_t^2": lambda y: (
            x0 + sympy.sqrt(1 - eta**2) * level * (y - x0) / sympy.sqrt(b),
            eta * level**2,
        ),
    },
    bound=0.0,
)
def case_2_symbolically(kernel) -> float:
    """ybar integrated out of N(ybar; x_0, b) N(x_t; kernel), for all parameters."""
    return error_after(kernel, y, b)


@item(
    "S15.1",
    "case 2, exactly: q(x_t | x_0) = N(x_0, sigma_t^2 I), corr(x_t, ybar) = sqrt(1 - eta^2)",
    right=ddrm_coefficients,
    wrong={
        "sqrt(1 - eta)": balanced(y=lambda c, **_: c / KEPT * math.sqrt(1 - ETA)),
        "divided by the variance of ybar": balanced(y=lambda c, tau, **_: c / tau),
        "fresh noise eta sigma_{t+1}": changed(noise=lambda c, sigma, **_: 0 * c + ETA * sigma),
        "treated as case 3: right marginals, but y unused": lambda s, *args, **kwargs: (
            ddrm_coefficients(0 * s, *args, **kwargs)
        ),
    },
    bound=1e-14,
)
def case_2_exactly(coefficients) -> float:
    """FULL joint covariance of (ybar, x_2, x_1) given x_0, three coordinates, closed form."""
    c, tau = KEPT, SIGMA_Y / ONLY_2.numpy()
    network = chain(coefficients, s=ONLY_2)
    want = [[1, c, c], [c, 1, c**2], [c, c**2, 1]]
    return correlation_error(network, ["y", "x2", "x1"], [tau, *PAIR[1:3]], want)


@item(
    "S16.1",
    "case 3, symbolically: from N(x_0, sigma_{t+1}^2) to N(x_0, sigma_t^2), the induction step",
    right=lambda above: (
        x0 + sympy.sqrt(1 - eta**2) * level * (above - x0) / old,
        eta**2 * level**2,
    ),
    wrong={
        "division by sigma_{t+1} forgotten": lambda above: (
            x0 + sympy.sqrt(1 - eta**2) * level * (above - x0),
            eta**2 * level**2,
        ),
        "fresh noise eta sigma_{t+1}": lambda above: (
            x0 + sympy.sqrt(1 - eta**2) * level * (above - x0) / old,
            eta**2 * old**2,
        ),
        "x_{t+1} not centred": lambda above: (
            x0 + sympy.sqrt(1 - eta**2) * level * above / old,
            eta**2 * level**2,
        ),
    },
    bound=0.0,
)
def case_3_symbolically(kernel) -> float:
    """x_{t+1} integrated out of N(x_{t+1}; x_0, sigma_{t+1}^2) N(x_t; kernel)."""
    return error_after(kernel, above, old**2)


@item(
    "S16.1",
    "case 3, exactly: q(x_t | x_0) = N(x_0, sigma_t^2 I), corr(x_t, x_{t+1}) = sqrt(1 - eta^2)",
    right=ddrm_coefficients,
    wrong={
        "division by sigma_{t+1} forgotten": balanced(xt=lambda c, sigma, **_: c * sigma),
        "fresh noise eta sigma_{t+1}": changed(noise=lambda c, sigma, **_: 0 * c + ETA * sigma),
        "old noise dropped, fresh noise sigma_t: right marginals": lambda *args, **kwargs: (
            ddrm_coefficients(*args, **kwargs | {"eta": 1.0})
        ),
    },
    bound=1e-14,
)
def case_3_exactly(coefficients) -> float:
    """FULL joint covariance of (ybar, x_3, x_2, x_1) given x_0, two coordinates, closed form."""
    c = KEPT
    want = [[0, 0, 0, 0], [0, 1, c, c**2], [0, c, 1, c], [0, c**2, c, 1]]
    network = chain(coefficients, s=ONLY_3)
    return correlation_error(network, ["y", "x3", "x2", "x1"], [0.0, *PAIR[:3]], want)


def library_mean(x_above, x0_value, sigma, sigma_next):
    c = ddrm_coefficients(ONLY_3[:1], sigma, sigma_next, SIGMA_Y, eta=ETA, eta_b=ETA_B)
    return c.x0.item() * x0_value + c.xt.item() * x_above


@item(
    "E18",
    "slide 16: the fraction is a factor of sigma_t, not its exponent",
    right=library_mean,
    wrong={
        "as printed": lambda above, x0, sigma, sigma_next: (
            x0 + KEPT * sigma_next ** ((above - x0) / sigma)
        ),
        "sigma_t in the denominator": lambda above, x0, sigma, sigma_next: (
            x0 + KEPT * sigma * (above - x0) / sigma_next
        ),
    },
    bound=1e-12,
)
def factor_not_exponent(mean_of) -> float:
    """Mean and variance of x_t given x_0 by quadrature over x_{t+1}, in units of sigma_t."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights, errors = weights / weights.sum(), []
    for sigma, sigma_next in itertools.pairwise(PAIR[:3]):
        means = mean_of(1.3 + sigma * nodes, 1.3, sigma, sigma_next)
        mean = weights @ means
        variance = weights @ (means - mean) ** 2 + (ETA * sigma_next) ** 2
        errors += [(mean - 1.3) / sigma_next, variance / sigma_next**2 - 1]
    return largest(errors)

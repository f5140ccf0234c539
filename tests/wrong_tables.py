"""The table of slide 11 with one mistake each: what tests must notice, and Coq refute.

Each row is a small change that a student or a hasty implementer makes (numbers M.. are those of
the ledger, section 5), with the law that must see it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from laws import identity_error, marginal_error, table_error

from ddrm_edu import ddrm_coefficients
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.diffusion import StepCoefficients

# Generic on purpose: s spread, repeated and zero, sigma_y > 0, eta and eta_b not 0 or 1, and
# coordinates in each of the three cases at some level.
S = [1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0]
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]
SIGMA_Y, ETAS = 0.31, {"eta": 0.6, "eta_b": 0.7}


def marginals(coefficients) -> float:
    return marginal_error(coefficients, ddrm_start_coefficients, S, LEVELS, SIGMA_Y, **ETAS)


def marginals_without_noise(coefficients) -> float:
    return marginal_error(coefficients, ddrm_start_coefficients, S, LEVELS, 0.0, **ETAS)


def identities(coefficients) -> float:
    return max(identity_error(coefficients, S, *pair, SIGMA_Y, **ETAS) for pair in pairs())


def table(coefficients) -> float:
    return max(table_error(coefficients, S, *pair, SIGMA_Y, **ETAS) for pair in pairs())


def pairs() -> Iterator[tuple[float, float]]:
    return itertools.pairwise(LEVELS)


def table_of_slide_11(  # every place where a mistake is made is an argument
    s,
    sigma,
    sigma_next,
    sigma_y,
    *,
    eta,
    eta_b,
    tau=lambda s, sigma_y: sigma_y / s,
    case_1=lambda s, sigma, sigma_next, tau: (s > 0) & (sigma_next >= tau),
    case_2=lambda s: s > 0,
    variance_1=lambda sigma_next, eta_b, tau: sigma_next**2 - eta_b**2 * tau**2,
    kept=lambda eta: math.sqrt(1 - eta**2),
    fresh_2=lambda eta, sigma, sigma_next: eta * sigma_next,
    fresh_3=lambda eta, sigma, sigma_next: eta * sigma_next,
    weight_1=lambda eta_b: eta_b,
    weight_2=lambda kept, sigma_next, tau: kept * sigma_next / tau,
    weight_3=lambda kept, sigma, sigma_next: kept * sigma_next / sigma,
    x0=lambda xt, y: 1 - xt - y,
) -> StepCoefficients:
    sigma, sigma_next = float(sigma), float(sigma_next)
    spread, c = tau(s, sigma_y), kept(eta)
    first = case_1(s, sigma, sigma_next, spread)
    second = case_2(s) & ~first
    third = ~first & ~second
    y = torch.zeros_like(s)
    y[first], y[second] = weight_1(eta_b), weight_2(c, sigma_next, spread[second])
    xt = torch.zeros_like(s)
    xt[third] = weight_3(c, sigma, sigma_next)
    noise = torch.empty_like(s)
    noise[first] = variance_1(sigma_next, eta_b, spread[first]).sqrt()
    noise[second] = fresh_2(eta, sigma, sigma_next)
    noise[third] = fresh_3(eta, sigma, sigma_next)
    return StepCoefficients(x0(xt, y), xt, y, noise)


def coefficients_with(**change) -> Callable:
    """The table with one of its pieces replaced."""

    def coefficients(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
        return table_of_slide_11(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b, **change)

    return coefficients


def changed(**numbers: Callable) -> Callable:
    """The library's coefficients, one of them changed afterwards."""

    def coefficients(*args, **kwargs):
        c = ddrm_coefficients(*args, **kwargs)
        return c._replace(**{name: change(getattr(c, name)) for name, change in numbers.items()})

    return coefficients


def _case_1_of_no_return(s, sigma, sigma_next, tau):
    return (s > 0) & (sigma >= tau)  # asks the level that is left, not the one that is entered


def _clamped(sigma_next, eta_b, tau):
    return (sigma_next**2 - eta_b**2 * tau**2).clamp(min=0)


def strict_boundary(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """M33: strict '>' and '<': equality falls to case 3.

    So in functions/denoising.py, lines 74 and 75, of bahjat-kawar/ddrm (2022, commit 32b6b3c).
    """
    change = {
        "case_1": lambda s, sigma, level, tau: (s > 0) & (level > tau),
        "case_2": lambda s: (s > 0) & (sigma_next < sigma_y / s),
    }
    return table_of_slide_11(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b, **change)


COEFFICIENTS = {
    "M17 noise of y multiplied by s instead of divided": (
        marginals,
        coefficients_with(tau=lambda s, sigma_y: torch.where(s > 0, sigma_y * s, math.inf)),
    ),
    "M19 case 1 subtracts eta_b times tau^2, not squared": (
        marginals,
        coefficients_with(variance_1=lambda level, eta_b, tau: level**2 - eta_b * tau**2),
    ),
    "M19 is seen by the identities as well": (
        identities,
        coefficients_with(variance_1=lambda level, eta_b, tau: level**2 - eta_b * tau**2),
    ),
    "M21 sqrt(1 - eta) instead of sqrt(1 - eta^2)": (
        marginals,
        coefficients_with(kept=lambda eta: math.sqrt(1 - eta)),
    ),
    "M24 fresh noise of size eta sigma_{t+1} in case 3": (
        marginals,
        coefficients_with(fresh_3=lambda eta, sigma, sigma_next: eta * sigma),
    ),
    "M24 fresh noise of size eta sigma_{t+1} in case 2": (
        marginals,
        coefficients_with(fresh_2=lambda eta, sigma, sigma_next: eta * sigma),
    ),
    "M26 injected noise divided by sqrt 2": (
        marginals,
        changed(noise=lambda noise: noise / math.sqrt(2)),
    ),
    "X13 s = 0 routed to case 2": (
        marginals,
        coefficients_with(case_2=lambda s: s >= 0),
    ),
    "measurement ignored but its noise still subtracted": (
        marginals,
        coefficients_with(weight_1=lambda eta_b: 0.0),
    ),
    "measurement of case 2 ignored": (
        marginals,
        coefficients_with(weight_2=lambda kept, level, tau: torch.zeros_like(tau)),
    ),
    "measurement of case 2 scaled by s / sigma_y twice": (
        marginals,
        coefficients_with(weight_2=lambda kept, level, tau: kept * level / tau**2),
    ),
    "S16.1 division by sigma_{t+1} forgotten": (
        marginals,
        coefficients_with(weight_3=lambda kept, sigma, level: kept * level),
    ),
    "case 3 keeps the old noise at full size": (
        marginals,
        coefficients_with(weight_3=lambda kept, sigma, level: kept),
    ),
    "case 3 adds to the state instead of interpolating": (
        marginals,
        coefficients_with(x0=lambda xt, y: 1 - y),
    ),
    "case 1 keeps the whole prediction": (
        marginals,
        coefficients_with(x0=lambda xt, y: 1 - xt),
    ),
    "the case is chosen by the level that is left": (
        marginals,
        coefficients_with(case_1=_case_1_of_no_return, variance_1=_clamped),
    ),
    "variance used as a standard deviation": (
        marginals,
        changed(noise=lambda noise: noise**2),
    ),
    "X06 noiseless measurement still fresh-noised by eta": (
        marginals_without_noise,
        coefficients_with(variance_1=lambda level, eta_b, tau: (0.6 * level) ** 2 + 0 * tau),
    ),
    "S11.3 cases 1 and 2 exchanged, marginals clamped": (
        table,
        coefficients_with(
            case_1=lambda s, sigma, level, tau: (s > 0) & (level < tau), variance_1=_clamped
        ),
    ),
    "all observed coordinates treated as DDIM": (  # right marginals, but no restoration at all
        table,
        coefficients_with(
            case_1=lambda s, sigma, level, tau: torch.zeros_like(s, dtype=torch.bool),
            case_2=lambda s: torch.zeros_like(s, dtype=torch.bool),
        ),
    ),
    "eta_b halved, consistently": (  # right marginals, wrong weight
        table,
        coefficients_with(
            weight_1=lambda eta_b: eta_b / 2,
            variance_1=lambda level, eta_b, tau: level**2 - (eta_b / 2 * tau) ** 2,
        ),
    ),
}

"""Scenes that several files beyond the slides share: numbers, priors, changed tables."""

from __future__ import annotations

import math
from unittest import mock

import sympy
import torch
from laws import GaussianCase, default_schedule, random_case

from ddrm_edu import GaussianPrior
from ddrm_edu import law as law_module
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.gaussian import Gaussian, GaussianNetwork
from ddrm_edu.law import inference_network

SIGMA_Y, ETA, ETA_B = 0.31, 0.6, 0.7
KEPT = math.sqrt(1 - ETA**2)
S = torch.tensor([1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0], dtype=torch.float64)
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]  # all three cases, some only at some levels
RATES = {"sigma_y": SIGMA_Y, "eta": ETA, "eta_b": ETA_B}
SCHEDULE = default_schedule()
PROBLEMS = [random_case(6, 5, 3, 0.2, seed=0), random_case(4, 6, 3, 0.2, seed=1)]
PROBLEMS += [random_case(4, 4, 4, 0.05, seed=2)]


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

"""Slides 2-4: linear inverse problems, Langevin dynamics, adding noise, the reverse chain."""

from __future__ import annotations

import torch
from laws import default_schedule, jump_kernel_error, schedule_error

from ddrm_edu import NoiseSchedule
from ddrm_edu.schedule import to_vp

from .registry import item

SCHEDULE = default_schedule()


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
    "slide 3: abar_0 = 1, which the slides need and do not state",
    right=lambda beta: NoiseSchedule(beta).alpha_bar,
    wrong={"as printed": lambda beta: torch.cat([(1 - beta[1:]).cumprod(0), torch.zeros(1)])},
    bound=1e-13,
)
def alpha_bar(of_beta) -> float:
    """Against the product in 50-digit decimal arithmetic."""
    return schedule_error(of_beta, NoiseSchedule.linear(50, 0.01, 0.3).beta)

"""Error of the exact posterior as the noise of the measurement goes to 0.

    python benchmarks/posterior.py

Writes ``benchmarks/results/posterior.md``: relative errors of the posterior's trace for priors of
every rank, given by a factor or by their covariance, beside the textbook's difference
C - C H^T (H C H^T + sigma_y^2 I)^-1 H C in the same float64.  The truth is that difference in 80
digits.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import GaussianPrior, SVDOperator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from prior_laws import exact_operators, posterior_errors, random_factor  # noqa: E402  the oracle

N = 16
RANKS = [1, N // 2, N - 1, N]
NOISES = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]

PosteriorMap = Callable[..., tuple[Tensor, Tensor]]


def textbook(L: np.ndarray) -> PosteriorMap:
    """Gain and covariance by a solve and a difference of covariances."""
    C = torch.as_tensor(L @ L.T)

    def posterior_map(op: SVDOperator, *, sigma_y: float) -> tuple[Tensor, Tensor]:
        H = op.matrix()
        seen = H @ C @ H.T + sigma_y**2 * torch.eye(op.m, dtype=torch.float64)
        gain = torch.linalg.solve(seen, H @ C).T
        unit = torch.eye(op.n, dtype=torch.float64)
        return gain @ op(op.V(unit)).T, C - gain @ H @ C

    return posterior_map


FORMS: dict[str, Callable[[np.ndarray], PosteriorMap]] = {
    "by a factor": lambda L: GaussianPrior(np.zeros(N), factor=L).posterior_map,
    "by its covariance": lambda L: GaussianPrior(np.zeros(N), L @ L.T).posterior_map,
    "textbook": textbook,
}


def worst(form: str, rank: int, sigma_y: float) -> float:
    """Largest relative error of the trace over the six matrices of ``exact_operators``."""
    L = random_factor(N, rank)
    make = FORMS[form](L)
    return max(posterior_errors(make, L, H, sigma_y).trace for H in exact_operators(N).values())


def allowed(rank: int, sigma_y: float) -> float:
    """10 n eps lambda_max / sigma_y^2: what the rounding of the covariance explains."""
    eps = float(np.finfo(float).eps)
    return 10 * N * eps * float(np.linalg.norm(random_factor(N, rank), 2)) ** 2 / sigma_y**2


def main() -> None:
    head = "| prior | rank | " + " | ".join(f"{sigma_y:g}" for sigma_y in NOISES) + " |"
    lines = [
        "# Error of the exact posterior",
        "",
        "Written by `python benchmarks/posterior.py`: error of tr Cov[x | y] in shares of it,",
        f"the largest over {', '.join(exact_operators(N))}; n = {N}, and the columns are sigma_y.",
        f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}.",
        "",
        head,
        "|---" * (2 + len(NOISES)) + "|",
    ]
    for form in tqdm(FORMS, leave=False):
        for rank in RANKS:
            errors = [worst(form, rank, sigma_y) for sigma_y in NOISES]
            lines.append(f"| {form} | {rank} | " + " | ".join(f"{e:.0e}" for e in errors) + " |")
    for rank in RANKS:
        bounds = " | ".join(f"{allowed(rank, sigma_y):.0e}" for sigma_y in NOISES)
        lines.append(f"| 10 n eps lambda_max / sigma_y^2 | {rank} | {bounds} |")
    (ROOT / "benchmarks" / "results" / "posterior.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

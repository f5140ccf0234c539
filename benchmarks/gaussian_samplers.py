"""Published exact errors of samplers for the Gaussian of CIFAR-10, found again by ``law_of``.

    python benchmarks/gaussian_samplers.py [--points 50,250] [--out FILE.csv]

E. Pierret and B. Galerne, Diffusion models for Gaussian distributions: exact solutions and
Wasserstein errors (ICML 2025, arXiv 2405.14250), give W2 between N(0, C), C the covariance of the
CIFAR-10 training images on [-1, 1], and what six schemes sample from it without any measurement
when the score is exact: in closed form, eigenvalue by eigenvalue.  Here each scheme is a sampler of
a few lines that calls a denoiser, and its law is found by running it.  Writes
``benchmarks/results/gaussian_samplers.csv`` and ``.md``; a file that is there is continued.
Fetches CIFAR-10 (170 MB).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from measuring import RESULTS, Continued, machine
from scipy.interpolate import CubicSpline
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import Denoising, GaussianPrior, law_of
from ddrm_edu.data import cifar10

AT_ONCE = 64  # eigenvalues of one call of law_of; all schemes act on each by itself
NODES = 128  # eigenvalues at which the law is found, see ``w2``
COLUMNS, NUMBERS = ["scheme", "epsilon", "points"], ["w2"]

# W2 from N(0, I) at t = 1, by scheme and truncation, at 50 / 250 / 500 / 1,000 points in time: the
# paper's table, as in the authors' repository
# (emilePi/Diffusion-models-for-Gaussian-distributions-Exact-solutions-and-Wasserstein-errors at
# 8d02029, Figures_readme/table.png).
POINTS = [50, 250, 500, 1000]
PUBLISHED = {
    ("EM", 0.0): [4.78, 0.66, 0.32, 0.16],
    ("EM", 1e-3): [4.68, 0.70, 0.40, 0.27],
    ("EI", 0.0): [2.81, 0.57, 0.30, 0.16],
    ("EI", 1e-3): [2.91, 0.67, 0.41, 0.29],
    ("DDPM", 0.0): [6.82, 0.97, 0.47, 0.23],
    ("DDPM", 1e-3): [6.74, 1.00, 0.53, 0.32],
    ("Euler", 0.0): [1.78, 0.44, 0.26, 0.17],
    ("Euler", 1e-3): [1.79, 0.48, 0.32, 0.25],
    ("Heun", 1e-3): [0.59, 0.15, 0.18, 0.19],
    ("RK4", 1e-3): [2.60, 0.12, 0.17, 0.19],
}

INTRODUCTION = """# Exact errors of samplers, published and found again

Written by `python benchmarks/gaussian_samplers.py`. W2 between the Gaussian N(0, C) of the CIFAR-10
training images on [-1, 1] and what a scheme samples from it, with the exact denoiser, from N(0, I)
at t = 1 down to t = epsilon, without any measurement. *Published*: E. Pierret and B. Galerne, ICML
2025 (arXiv 2405.14250), by a recursion for each scheme and eigenvalue. *Found*: `law_of` runs the
scheme as a sampler and finds its law, with eigenvalues computed here from the images; at 128
variances over their range, between which a spline loses at most 1e-5 of a distance.

NFE is the number of points in time, from which a scheme takes one step fewer. In the row RK4 it is
divided by 4, as each step calls the score four times; in the row Heun it is not halved (notebook
`code/Gaussian_diffusion_W2.ipynb` of the authors' repository at 8d02029: of `if scheme == 'Heun'
... if scheme == 'RK4' ... else` the last branch runs for Heun as well), so that Heun has about
twice the calls of its column; with half of the points it has 2.05, 0.15, 0.15 and 0.18. Computed as
published the cells agree to 0.02, and to 0.05 for Heun and RK4 at 50 points: there the smallest
eigenvalues count, which the authors' file (`code/cifar10.npy`) holds rounded, many of them to 0.
With that file the same recursions give each printed digit of these cells."""


# The schemes in the paper's variance-preserving time: dx = -beta(t) x dt + sqrt(2 beta(t)) dw.


def beta(t: float) -> float:
    return 0.05 + t * (10 - 0.05)


def integral(t: float) -> float:
    """Of beta from 0 to t."""
    return 0.05 * t + (10 - 0.05) * t**2 / 2


def score(denoiser: Any, x: Tensor, t: float) -> Tensor:
    """Of the image that t has left: x = a x_0 + sqrt(1 - a^2) eps, by Tweedie's formula."""
    a = math.exp(-integral(t))
    variance = -math.expm1(-2 * integral(t))
    if variance == 0:  # at t = 0 no denoiser knows it; its callers do not ask for it
        raise ValueError("The score at t = 0 is that of the data.")
    return (a * denoiser(x / a, variance**0.5 / a) - x) / variance


def times(points: int, epsilon: float) -> list[float]:
    return [1 - (1 - epsilon) * k / (points - 1) for k in range(points)]


def stochastic(step: Callable[[float, float], tuple[float, float, float]]) -> Callable:
    """x <- kept x + pull score + spread z, with the three numbers of ``step(t, t_next)``."""

    def run(denoiser: Any, x: Tensor, ts: list[float], generator: Any) -> Iterator[Tensor]:
        for t, t_next in itertools.pairwise(ts):
            kept, pull, spread = step(t, t_next)
            z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            x = kept * x + pull * score(denoiser, x, t) + spread * z
            sent = yield x
            x = x if sent is None else sent

    return run


def euler_maruyama(t: float, t_next: float) -> tuple[float, float, float]:
    size = (t - t_next) * beta(t)
    return 1 + size, 2 * size, (2 * size) ** 0.5


def exponential_integrator(t: float, t_next: float) -> tuple[float, float, float]:
    size = integral(t) - integral(t_next)
    return math.exp(size), 2 * math.expm1(size), math.expm1(2 * size) ** 0.5


def ancestral(t: float, t_next: float) -> tuple[float, float, float]:
    """DDPM with the variance beta_t of the forward step."""
    beta_t = 2 * (t - t_next) * beta(t)
    return (1 - beta_t) ** -0.5, beta_t * (1 - beta_t) ** -0.5, beta_t**0.5


def runge_kutta(nodes: list[float], weights: list[float]) -> Callable:
    """A method for the flow's equation, each stage of which starts from the one before."""

    def run(denoiser: Any, x: Tensor, ts: list[float], generator: Any) -> Iterator[Tensor]:
        for t, t_next in itertools.pairwise(ts):
            size, slope, total = t - t_next, torch.zeros_like(x), torch.zeros_like(x)
            for node, weight in zip(nodes, weights, strict=True):
                at = t - node * size
                slope = beta(at) * (stage := x + node * size * slope) + beta(at) * score(
                    denoiser, stage, at
                )
                total = total + weight * slope
            x = x + size * total
            sent = yield x
            x = x if sent is None else sent

    return run


SCHEMES = {
    "EM": stochastic(euler_maruyama),
    "EI": stochastic(exponential_integrator),
    "DDPM": stochastic(ancestral),
    "Euler": runge_kutta([0.0], [1.0]),
    "Heun": runge_kutta([0.0, 1.0], [0.5, 0.5]),
    "RK4": runge_kutta([0.0, 0.5, 0.5, 1.0], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}


def eigenvalues() -> Tensor:
    """Of the covariance of the training images on [-1, 1]."""
    images = cifar10("train").reshape(50_000, -1).astype(np.float64) / 127.5 - 1
    return torch.from_numpy(np.linalg.eigvalsh(np.cov(images.T)))  # the smallest is 6e-6


def found(scheme: str, variances: Tensor, epsilon: float, points: int) -> Tensor:
    """Variances of what the scheme samples from N(0, diag(variances))."""
    n = len(variances)
    prior = GaussianPrior(torch.zeros(1, 1, n), factor=variances.sqrt().diag())
    op = Denoising((1, 1, n))  # whose y no scheme looks at
    ts = times(points // 4 if scheme == "RK4" else points, epsilon)

    def sampler(denoiser: Any, op: Any, y: Tensor, *, generator: Any) -> Iterator[Tensor]:
        x = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        yield from SCHEMES[scheme](denoiser, x, ts, generator)

    return law_of(sampler, prior, op, sigma_y=1.0).cov.diagonal()


def w2(scheme: str, variances: Tensor, epsilon: float, points: int) -> float:
    """Between N(0, diag(variances)) and what the scheme samples from it.

    A scheme makes of each variance a rational function of it, which is found at NODES of them
    and is a spline between them: of the distances at most 1e-5 is lost.
    """
    ends = (math.log10(float(end)) for end in variances.aminmax())
    nodes = torch.logspace(*ends, NODES, dtype=torch.float64)
    parts = [found(scheme, some, epsilon, points) for some in nodes.split(AT_ONCE)]
    ratios = CubicSpline(nodes.log(), torch.cat(parts) / nodes)(variances.log())
    own = torch.from_numpy(ratios).clamp(min=0) * variances
    # Both are diagonal in the same coordinates, for which the distance has this form.
    return float((own.sqrt() - variances.sqrt()).norm())


def page(rows: dict[tuple[str, ...], dict[str, str]]) -> str:
    lines = [INTRODUCTION, "", machine() + ".", ""]
    lines += ["| scheme | epsilon | " + " | ".join(f"NFE = {n}" for n in POINTS) + " |"]
    lines += ["|---" * (2 + len(POINTS)) + "|"]
    for (scheme, epsilon), published in PUBLISHED.items():
        cells = []
        for points, value in zip(POINTS, published, strict=True):
            row = rows.get((scheme, str(epsilon), str(points)))
            cells.append(f"{float(row['w2']):.3f} ({value:.2f})" if row else f"- ({value:.2f})")
        lines.append(f"| {scheme} | {epsilon:g} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "Found, and in brackets published.", ""])


@click.command(help=__doc__)
@click.option("--points", default=",".join(map(str, POINTS)), show_default=True)
@click.option("--out", default=RESULTS / "gaussian_samplers.csv", type=click.Path(path_type=Path))
def main(points: str, out: Path) -> None:
    torch.set_num_threads(1)
    variances, done = eigenvalues(), Continued(out, COLUMNS, NUMBERS)
    wanted = list(itertools.product(map(int, points.split(",")), PUBLISHED))
    for count, (scheme, epsilon) in tqdm(wanted):
        key = (scheme, str(epsilon), str(count))
        if key not in done.rows:
            done.add(key, {"w2": w2(scheme, variances, epsilon, count)})
            out.with_suffix(".md").write_text(page(done.rows))


if __name__ == "__main__":
    main()

"""How far each method is from the exact posterior of a mixture of 25 Gaussians, by draws.

    python benchmarks/mixtures.py [--dims 8,80] [--problems 10] [--steps 20] [--draws 1000]

Writes ``benchmarks/results/mixtures.csv``, one line per method and problem, and ``mixtures.md``.
A file that is there is continued.  The problems are made after Cardoso et al. 2024 (MCG-diff):
component (i, j), with i and j from -2 to 2, is N(m, I) with m = (8 i, 8 j, 8 i, ...);
its weight is a chi-squared number over their sum; H has random orthogonal factors and singular
values drawn uniformly from (0, 1); sigma_y is a uniform number times the largest of them.  One
measurement of one image for each problem, 1,000 draws of each method, and 1,000 of the posterior.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from measuring import RESULTS, Continued
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import Dense, ExactDenoiser, GaussianMixture, MomentMatching, NoiseSchedule, restore
from ddrm_edu.restoration import METHODS
from ddrm_edu.samplers import dps_samples, particle_samples

COLUMNS = ["method", "d_x", "d_y", "problem", "steps", "draws"]
NUMBERS = ["sliced_w2", "max_sliced_w2"]
PROJECTIONS = 100

Restore = Callable[..., Tensor]

INTRODUCTION = """# Draws from the posterior of a mixture of 25 Gaussians

Written by `python benchmarks/mixtures.py`; how the problems are made, after Cardoso et al.
2024, is said at its top. Each cell is the sliced W2 distance over 100 random directions
between the draws of a method and as many of the exact posterior, mean over the problems and, in
brackets, its standard error; then the largest over the directions. The first row is the distance
of two sets of exact draws: below it nobody gets with this number of draws. The denoiser is exact;
"sees y, exact" has E[x_0 | x_t, y] in the place of E[x_0 | x_t], in DDPM's loop."""


def mixture(d_x: int, generator: torch.Generator) -> GaussianMixture:
    """25 components with unit covariances, on a grid of spacing 8 along two directions."""
    chi_squared = torch.randn(25, generator=generator, dtype=torch.float64).square()
    grid = torch.cartesian_prod(torch.arange(-2, 3), torch.arange(-2, 3)).double()
    means = 8 * grid.repeat(1, d_x // 2)
    covs = torch.eye(d_x, dtype=torch.float64).expand(25, d_x, d_x)
    return GaussianMixture(chi_squared / chi_squared.sum(), means, covs)


def measurement(d_x: int, d_y: int, generator: torch.Generator) -> tuple[Dense, float]:
    """H with singular values in (0, 1), and sigma_y."""
    normal = partial(torch.randn, generator=generator, dtype=torch.float64)
    U, V = torch.linalg.qr(normal(d_y, d_y)).Q, torch.linalg.qr(normal(d_x, d_y)).Q
    s, u = torch.rand(d_y + 1, generator=generator, dtype=torch.float64).split([d_y, 1])
    return Dense(U @ s.diag() @ V.T), float(u * s.max())


def sliced(x: Tensor, reference: Tensor, seed: int) -> dict[str, float]:
    """Sliced and max-sliced W2 of two sets of as many draws, over the same random directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(x.shape[1], PROJECTIONS, generator=generator, dtype=x.dtype)
    directions = directions / directions.norm(dim=0)
    apart = (x @ directions).sort(dim=0).values - (reference @ directions).sort(dim=0).values
    squares = apart.square().mean(0)
    return {"sliced_w2": math.sqrt(squares.mean()), "max_sliced_w2": math.sqrt(squares.max())}


def methods() -> dict[str, Any]:
    """What ``restore`` is given as its method."""
    names = ["ddrm", "ddrm-markov", "ddnm+", "diffpir", "dps", "pigdm", "pigdm-published"]
    known: dict[str, Any] = {name: METHODS[name].make for name in names}
    known["dps, zeta .3"] = partial(dps_samples, zeta=0.3)
    known["moment matching, 1 step"] = partial(MomentMatching, cg_steps=1)
    known["moment matching, solved"] = partial(MomentMatching, cg_steps=None)
    known["sees y, exact"] = ExactDenoiser
    known["particles, 64"] = partial(particle_samples, particles=64, spread=11.3)
    return known


def page(rows: dict[tuple[str, ...], dict[str, str]]) -> str:
    sizes = list(dict.fromkeys(key[1:3] for key in rows))
    heads = [f"d_x = {d_x}, d_y = {d_y}" for d_x, d_y in sizes]
    lines = [INTRODUCTION, ""]
    first = next(iter(rows))
    lines += [f"{first[4]} steps along DDPM's linear levels, {first[5]} draws.", ""]
    lines += ["| method | " + " | ".join(heads) + " |", "|---" * (1 + len(sizes)) + "|"]
    for name in dict.fromkeys(key[0] for key in rows):
        cells = []
        for size in sizes:
            mine = [row for key, row in rows.items() if key[0] == name and key[1:3] == size]
            if not mine:
                cells.append("")
                continue
            values = torch.tensor([[float(row[number]) for number in NUMBERS] for row in mine])
            mean, error = values.mean(0), values.std(0) / math.sqrt(max(len(mine), 1))
            cells.append(f"{mean[0]:.2f} ({error[0]:.2f}); {mean[1]:.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    problems = len({key[3] for key in rows})
    return "\n".join([*lines, "", f"{problems} problems.", ""])


@click.command(help=__doc__)
@click.option("--dims", default="8,80", show_default=True)
@click.option("--problems", default=10, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--draws", default=1000, show_default=True)
@click.option("--out", default=RESULTS / "mixtures.csv", type=click.Path(path_type=Path))
def main(dims: str, problems: int, steps: int, draws: int, out: Path) -> None:
    torch.set_num_threads(1)
    done, schedule = Continued(out, COLUMNS, NUMBERS), NoiseSchedule.linear()
    cases = [
        (problem, d_x, d_y)
        for problem in range(problems)
        for d_x in map(int, dims.split(","))
        for d_y in (1, 2, 4)
    ]
    for problem, d_x, d_y in tqdm(cases):
        keys = {
            name: (name, *map(str, (d_x, d_y, problem, steps, draws)))
            for name in ["exact draws", *methods()]
        }
        left = {name: key for name, key in keys.items() if key not in done.rows}
        if not left:
            continue
        generator = torch.Generator().manual_seed(1000 * problem + 10 * d_x + d_y)
        prior = mixture(d_x, generator)
        op, sigma_y = measurement(d_x, d_y, generator)
        truth = prior.sample(1, generator=generator)
        y = op(truth) + sigma_y * torch.randn(1, d_y, generator=generator, dtype=torch.float64)
        ys = y.expand(draws, -1)
        posterior = prior.posterior(op, ys, sigma_y=sigma_y)
        reference, other = (posterior.sample(generator=generator) for _ in range(2))
        for name, key in left.items():
            x = other
            if name != "exact draws":
                x = restore(
                    prior,
                    op,
                    ys,
                    sigma_y=sigma_y,
                    method=methods()[name],
                    steps=steps,
                    schedule=schedule,
                    generator=torch.Generator().manual_seed(problem),
                )
            done.add(key, sliced(x, reference, problem))
    out.with_suffix(".md").write_text(page(done.rows))


if __name__ == "__main__":
    main()

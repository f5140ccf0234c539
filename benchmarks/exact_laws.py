"""Time of exact laws and decompositions beside the linear algebra that they cannot do without.

    python benchmarks/exact_laws.py

``sampler_law`` with 20 steps in multiples of 20 products of two n x n matrices, ``from_function``
in multiples of the bare singular value decomposition of its matrix.  Writes
``benchmarks/results/exact_laws.md``.  One thread, float64; everybody takes turns.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import click
import numpy as np
import torch
from measuring import in_folder, machine, seconds, table, written
from torch import Tensor

from ddrm_edu import Dense, GaussianPrior, NoiseSchedule, from_function, sampler_law

STEPS = 20


def law(n: int, rounds: int) -> dict[str, float]:
    """A prior without structure and an H of half as many rows."""
    draw = torch.Generator().manual_seed(0)
    A, H = (torch.randn(k, n, generator=draw, dtype=torch.float64) / n**0.5 for k in (n, n // 2))
    prior, op = GaussianPrior(torch.zeros(n), A @ A.T), Dense(H)
    levels = NoiseSchedule.linear().sigmas(STEPS)

    def products() -> None:
        for _ in range(STEPS):
            A @ A

    calls = {"products": products, "law": lambda: sampler_law(prior, op, levels, sigma_y=0.1)}
    return seconds(calls, rounds)


def decomposition(n: int, rounds: int) -> dict[str, float]:
    """A function of images of which n numbers are seen as n numbers."""
    draw = torch.Generator().manual_seed(0)
    H = torch.randn(n, n, generator=draw, dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        return x @ H.to(x).T

    calls = {"svd": lambda: torch.linalg.svd(H), "function": lambda: from_function(f, (n,))}
    return seconds(calls, rounds)


def exponents(rows: list[dict]) -> list[float]:
    """Growth from the size before to this one, as a power of n; none for the first."""
    pairs = itertools.pairwise(rows)
    return [math.nan, *(float(np.log(b["s"] / a["s"]) / np.log(b["n"] / a["n"])) for a, b in pairs)]


@click.command()
@click.option("--rounds", default=3, help="Times each call takes its turn.")
@click.option("--law", "laws", type=int, multiple=True, default=[256, 1024], show_default=True)
@click.option("--svd", "svds", type=int, multiple=True, default=[768, 3072], show_default=True)
@in_folder
def main(rounds: int, laws: list[int], svds: list[int], out: Path) -> None:
    """Measure both tables."""
    torch.set_num_threads(1)
    pages = []
    for title, measure, sizes, floor, ours in (
        (f"`sampler_law`, {STEPS} steps", law, laws, "products", "law"),
        ("`from_function`", decomposition, svds, "svd", "function"),
    ):
        found = [(n, measure(n, rounds)) for n in sizes]
        growth = exponents([{"n": n, "s": each[ours]} for n, each in found])
        rows = [
            {
                "n": n,
                f"{floor}, s": each[floor],
                "ours, s": each[ours],
                f"ours / {floor}": each[ours] / each[floor],
                "time ~ n^": "-" if math.isnan(power) else f"{power:.1f}",
            }
            for (n, each), power in zip(found, growth, strict=True)
        ]
        pages.append(f"## {title}\n\n{table(rows)}")
    head = (
        f"{machine()}; float64, one thread. Processor times, the shortest of {rounds}, taken in\n"
        f"turn. The floor of the law is {STEPS} products of two n x n matrices, that of a function "
        "the SVD\nof its matrix.\n"
    )
    written("\n".join([head, *pages]), out, "exact_laws.md")


if __name__ == "__main__":
    main()

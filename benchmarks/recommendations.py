"""Which method, eta and number of steps suit which task: derived without a draw, then confirmed.

    python benchmarks/recommendations.py

Derived: the exact law of each method (``law_of``) for a Gaussian prior with mean and covariance of
8 x 8 patches of the shipped photographs.  Confirmed: ``evaluate.csv`` and ``evaluate-draws.csv`` of
``ddrm-edu evaluate``, with the shipped network on held-out images that the choice has not seen.
Writes ``benchmarks/results/recommendations.csv``, which is continued, and ``.md``.
"""

from __future__ import annotations

import csv
import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from measuring import RESULTS, Continued
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    GaussianPrior,
    MomentMatching,
    NoiseSchedule,
    SVDOperator,
    gap,
    law_of,
    load_images,
    posterior_law,
    restore,
)
from ddrm_edu.evaluation.grid import eta_of, operator_of

SIDE = 8
STEPS = [20, 50, 100]
COLUMNS = ["task", "sigma_y", "method", "eta", "steps"]
NUMBERS = ["relative_w2", "mse_ratio"]
RATES = {
    "ddrm": ["own", "1", "tight", "0.7", "0.85/1", "1/0.85"],
    "moment-matching": ["own", "1"],
    "pigdm": ["own", "1"],
    "ddnm+": ["own"],
}
CLASSICAL = ("pinv", "wiener", "tv", "nlm", "biharmonic", "bicubic")


class Problem(NamedTuple):
    """A task of the evaluation, on 32 x 32 pixels, and what stands for it on 8 x 8."""

    task: str
    sigma_y: str
    small: str


PROBLEMS = [
    Problem("denoise", "0.25", "denoise"),
    Problem("inpaint:0.7", "0.0", "inpaint:0.7"),
    Problem("box:12", "0.0", "box:3"),
    Problem("superres:2", "0.05", "superres:2"),
    Problem("deblur:gaussian:1", "0.05", "deblur:gaussian:1"),
]

INTRODUCTION = """# Which method, eta and number of steps: derived, then confirmed

Written by `python benchmarks/recommendations.py`. Derived: for a Gaussian prior with mean and
covariance of all 8 x 8 grey patches of the shipped photographs and its exact denoiser, the law of
each method along the cosine levels is found by running it (`law_of`), without a draw. "dB" is the
mean squared error of one restoration, as dB above that of a draw from the exact posterior: a method
above 0 draws with less spread than it should, the mean of the posterior alone has +3.01. "W2" is
the distance to the posterior, relative to its spread. Measured: PSNR of one draw and the energy
score of eight by the shipped network, from [evaluate](evaluate.md) and
[evaluate-draws](evaluate-draws.md): other images, another prior, and a denoiser that is none of the
exact ones. Only what both have can disagree. Moment matching has one Chebyshev step on the derived
side, one of conjugate gradients on the measured one, which has no exact law. On 8 x 8 pixels a box
of 3 x 3 stands for one of 12 x 12 on 32 x 32.

Two questions, two answers: one restoration near to the truth (dB), or draws with the right law (W2,
energy score). The number before a method is its rank among those that were measured."""


def patch_prior(side: int = SIDE) -> GaussianPrior:
    """Mean and covariance of all patches of grey levels in the shipped photographs."""
    grey = load_images("natural").double().mean(1, keepdim=True)
    patches = torch.nn.functional.unfold(grey, side).transpose(1, 2).reshape(-1, side**2)
    return GaussianPrior(patches.mean(0).reshape(1, side, side), patches.T.cov())


def derived(
    prior: GaussianPrior, small: str, sigma_y: float, method: str, eta: str, steps: int
) -> dict[str, float]:
    """Gap of a method to the posterior."""
    op = operator_of(small, (1, SIDE, SIDE))
    bounds = (float(prior.eigenvalues[0]), float(prior.eigenvalues[-1]))
    make: Any = method
    if method == "moment-matching":
        make = partial(MomentMatching, iteration="chebyshev", eigenvalues=bounds, cg_steps=1)

    def sampler(denoiser: Any, op: SVDOperator, y: Tensor, *, generator: Any) -> Tensor:
        return restore(
            denoiser, op, y, sigma_y=sigma_y, method=make, eta=eta_of(eta, op), steps=steps,
            schedule=NoiseSchedule.cosine(), generator=generator,
        )  # fmt: skip

    found = gap(
        law_of(sampler, prior, op, sigma_y=sigma_y), posterior_law(prior, op, sigma_y=sigma_y)
    )
    return {name: getattr(found, name) for name in NUMBERS}


def measured(path: Path, number: str) -> dict[tuple[str, ...], float]:
    """A column of a table of ``ddrm-edu evaluate``, by cell."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            tuple(row[name] for name in COLUMNS): float(row[number])
            for row in csv.DictReader(file)
            if row.get(number)
        }


def dB(row: dict[str, str]) -> float:
    return -10 * math.log10(float(row["mse_ratio"]))


def name_of(key: tuple[str, ...]) -> str:
    return f"{key[2]}, eta {key[3]}, {key[4]} steps"


def ranks(values: dict[tuple[str, ...], float], *, most: bool) -> dict[tuple[str, ...], int]:
    order = sorted(values, key=lambda key: -values[key] if most else values[key])
    return {key: place + 1 for place, key in enumerate(order)}


def section(
    problem: Problem,
    rows: dict[tuple[str, ...], dict[str, str]],
    psnr: dict[tuple[str, ...], float],
    energy: dict[tuple[str, ...], float],
) -> list[str]:
    """Both rankings of a task, and where they disagree."""
    here = {key: row for key, row in rows.items() if key[:2] == problem[:2]}
    lines = [f"## {problem.task}, sigma_y = {float(problem.sigma_y):g}", ""]
    best = {
        "one restoration": max(here, key=lambda key: dB(here[key])),
        "draws": min(here, key=lambda key: float(here[key]["relative_w2"])),
    }
    for question, key in best.items():
        lines.append(f"* Derived for {question}, of all that were computed: {name_of(key)}.")
    near = {key: dB(row) for key, row in here.items() if key in psnr}
    far = {key: float(row["relative_w2"]) for key, row in here.items() if key in energy}
    for question, exact, found, most in (
        ("one restoration", near, psnr, True),
        ("draws", far, energy, False),
    ):
        if len(exact) < 3:
            continue
        pick = (max if most else min)(exact, key=lambda key: exact[key])
        won = (max if most else min)(exact, key=lambda key: found[key])
        agreement = spearmanr(
            [exact[key] for key in exact], [found[key] for key in exact]
        ).statistic
        unit = " dB" if most else ""
        verdict = (
            "confirmed"
            if pick == won
            else f"not confirmed: {name_of(won)} is better by "
            f"{abs(found[won] - found[pick]):.3g}{unit}"
        )
        lines.append(
            f"* Of what was measured, for {question}: derived {name_of(pick)}; {verdict}. Rank "
            f"correlation of {len(exact)} methods: {agreement:.2f}."
        )
    rivals = {k: v for k, v in psnr.items() if k[:2] == problem[:2] and k[2].startswith(CLASSICAL)}
    if rivals and near:
        rival, mine = max(rivals, key=lambda k: rivals[k]), max(near, key=lambda k: psnr[k])
        lines.append(
            f"* The best classical one, {rival[2]}, has {rivals[rival]:.2f} dB; the best measured "
            f"one draw {psnr[mine]:.2f} dB ({name_of(mine)})."
        )
    shown = sorted(here, key=lambda key: (key not in psnr, -dB(here[key])))
    places = {
        "dB": ranks(near, most=True),
        "psnr": ranks({key: psnr[key] for key in near}, most=True),
        "w2": ranks(far, most=False),
        "energy": ranks({key: energy[key] for key in far}, most=False),
    }
    lines += ["", "| method | eta | steps | dB, derived | PSNR, measured | W2, derived | "]
    lines[-1] += "energy score, measured |"
    lines += ["|---" * 7 + "|"]

    def ranked(kind: str, key: tuple[str, ...], text: str) -> str:
        place = places[kind].get(key)
        return f"{place}. {text}" if place else text

    for key in shown:
        cells = [
            ranked("dB", key, f"{dB(here[key]):+.2f}"),
            ranked("psnr", key, f"{psnr[key]:.2f}") if key in psnr else "-",
            ranked("w2", key, f"{float(here[key]['relative_w2']):.3f}"),
            ranked("energy", key, f"{energy[key]:.4f}") if key in energy else "-",
        ]
        lines.append(f"| {' | '.join([*key[2:], *cells])} |")
    return [*lines, ""]


def page(rows: dict[tuple[str, ...], dict[str, str]], folder: Path = RESULTS) -> str:
    psnr = measured(folder / "evaluate.csv", "psnr")
    energy = measured(folder / "evaluate-draws.csv", "energy")
    lines = [INTRODUCTION, ""]
    for problem in PROBLEMS:
        lines += section(problem, rows, psnr, energy)
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--out", default=RESULTS / "recommendations.csv", type=click.Path(path_type=Path))
def main(out: Path) -> None:
    torch.set_num_threads(1)
    prior, done = patch_prior(), Continued(out, COLUMNS, NUMBERS)
    cells = [
        (problem, method, eta, steps)
        for steps, problem in itertools.product(STEPS, PROBLEMS)
        for method, rates in RATES.items()
        for eta in rates
    ]
    for problem, method, eta, steps in tqdm(cells):
        key = (problem.task, problem.sigma_y, method, eta, str(steps))
        if key not in done.rows:
            numbers = derived(prior, problem.small, float(problem.sigma_y), method, eta, steps)
            done.add(key, numbers)
    out.with_suffix(".md").write_text(page(done.rows))


if __name__ == "__main__":
    main()

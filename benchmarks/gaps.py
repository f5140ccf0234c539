"""How far each method is from the exact posterior: for a Gaussian prior, without a single draw.

    python benchmarks/gaps.py [--steps 5,20,100] [--noise 0.1] [--out FILE.csv]

Writes ``benchmarks/results/gaps.csv``, one line per method, operator, noise, schedule and number of
steps, and ``gaps.md``, tables of it.  A file that is there is continued: what it has is not
computed again.  The prior is N(m, C) with mean and covariance of the 4 x 4 patches of the shipped
photographs, the denoiser is the exact one, and the law of each method is found by ``law_of``,
which runs the method itself.

A run of so small an image takes the time that torch needs to be asked, whatever the size of the
arrays, and ``law_of`` looks at every question.  So one run restores a patch of each operator, side
by side in one image; the patches have nothing to do with each other, and each has its own law.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from measuring import RESULTS, Continued, machine
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    DDNM,
    CircularBlur,
    CompressedSensing,
    Denoising,
    DiffPIR,
    ExactDenoiser,
    GaussianPrior,
    Inpainting,
    MomentMatching,
    NoiseSchedule,
    PiGDM,
    SuperResolution,
    SVDOperator,
    ddnm_plus_samples,
    ddpm_samples,
    ddrm_samples,
    dps_samples,
    gap,
    law_of,
    load_images,
    markov_ddrm_samples,
    pigdm_samples,
    posterior_law,
)
from ddrm_edu.diffusion import Step
from ddrm_edu.law import AffineLaw
from ddrm_edu.operators.base import dense_map

SIDE = 4
NOISES = [0.02, 0.1, 0.5]
STEPS = [5, 10, 20, 50, 100, 200, 500, 1000]
DIVERGES = 100  # a relative distance above it
SCHEDULES = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}
COLUMNS = ["method", "operator", "sigma_y", "levels", "steps"]
NUMBERS = ["relative_w2", "mean", "cov", "kl", "kl_reverse", "mse_ratio"]

INTRODUCTION = """# How far each method is from the exact posterior

Written by `python benchmarks/gaps.py`: `law_of` runs each method and finds its law, so that there
is no Monte Carlo error. Prior: N(m, C) of the 4 x 4 grey patches of the shipped photographs, with
its exact denoiser. Each cell is the relative W2 distance sqrt(E_y W2^2 / tr Cov[x | y]) at the
numbers of steps in the heading; a posterior mean without any spread has 1. The best of each column
and number of steps is bold. `gaps.csv` has more numbers of steps, the parts of mean and covariance,
and the divergences: `kl` is KL(sampler || posterior) and `kl_reverse` the other; both are infinite
where a method draws nothing in some direction, as DDNM in the measured ones."""

Run = Callable[..., Iterator[Step]]


def patch_prior() -> GaussianPrior:
    """Mean and covariance of all 4 x 4 patches of grey levels in the shipped photographs."""
    grey = load_images("natural", 64).double().mean(1, keepdim=True)
    patches = torch.nn.functional.unfold(grey, SIDE).transpose(1, 2).reshape(-1, SIDE**2)
    return GaussianPrior(patches.mean(0).reshape(1, SIDE, SIDE), patches.T.cov())


def operators() -> dict[str, SVDOperator]:
    shape = (1, SIDE, SIDE)
    generator = torch.Generator().manual_seed(0)
    seen = torch.rand(SIDE, SIDE, generator=generator) < 0.4
    bell = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    return {
        "denoising": Denoising(shape),
        "inpainting": Inpainting(seen, 1),
        "superresolution": SuperResolution(shape, 2),
        "blur": CircularBlur(shape, torch.outer(bell, bell)),
        "compressed sensing": CompressedSensing(shape, 6, generator=generator),
    }


def that_sees_y(make: Callable[..., Any], eta_ddim: float = 1.0) -> Run:
    """DDPM's loop (DDIM's with another eta) with a denoiser that sees y."""

    def run(denoiser: Any, op: Any, y: Tensor, sigmas: Tensor, **known: Any) -> Iterator[Step]:
        guided = make(denoiser, op, y, sigma_y=known["sigma_y"])
        return ddpm_samples(
            guided,
            (len(y), *op.in_shape),
            sigmas,
            eta_ddim=eta_ddim,
            generator=known["generator"],
            dtype=y.dtype,
        )

    return run


def methods(prior: GaussianPrior) -> dict[str, Run]:
    bounds = (float(prior.eigenvalues[0]), float(prior.eigenvalues[-1]))
    chebyshev = partial(PatchByPatch, iteration="chebyshev", eigenvalues=bounds)
    return {
        "DDRM, eta .85": ddrm_samples,
        "DDRM, eta 1": partial(ddrm_samples, eta=1.0),
        'DDRM, "tight"': partial(ddrm_samples, eta="tight"),
        "DDRM-M": markov_ddrm_samples,
        "DDNM": that_sees_y(DDNM),
        "DDNM+": ddnm_plus_samples,
        "DiffPIR": that_sees_y(DiffPIR),
        "DPS, fixed weight .3": partial(dps_samples, zeta=0.3, normalised=False),
        "PiGDM": that_sees_y(PiGDM),
        "PiGDM, published": pigdm_samples,
        "moment matching, Chebyshev 1": that_sees_y(partial(chebyshev, cg_steps=1)),
        "moment matching, Chebyshev 3": that_sees_y(partial(chebyshev, cg_steps=3)),
        "moment matching, solved": that_sees_y(ExactDenoiser),
        "moment matching, solved, DDIM": that_sees_y(ExactDenoiser, eta_ddim=0.0),
    }


class SideBySide(SVDOperator):
    """Patches in one image, each measured by an operator of its own; by matrices, as n is small.

    ``DirectSum`` is the same of large ones, part by part.
    """

    def __init__(self, ops: list[SVDOperator]) -> None:
        self.in_shape = (len(ops), *ops[0].in_shape)
        self.out_shape = (sum(op.m for op in ops),)
        self.s = torch.stack([op.spectrum() for op in ops])
        self._V, self._U = (
            torch.block_diag(*(dense_map(getattr(op, name), op.in_shape) for op in ops))
            for name in "VU"
        )

    def V(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self._V.T).reshape(x.shape)

    def Vt(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self._V).reshape(x.shape)

    def U(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self._U.T

    def Ut(self, y: Tensor) -> Tensor:
        return (y @ self._U).reshape(-1, *self.in_shape)


class PatchByPatch(MomentMatching):
    """Chebyshev's coefficients follow from all singular values of H; here from those of a patch."""

    def _bounds(self, sigma: float) -> Any:
        std, g = self._white(sigma)
        low, high = (value * sigma**2 / (value + sigma**2) for value in self.eigenvalues or ())
        noise = ((self.sigma_y / std) ** 2).where(g > 0, 1.0)
        of_patch = {"dim": (1, 2, 3), "keepdim": True}
        return (low * g**2 + noise).amin(**of_patch), (high * g**2 + noise).amax(**of_patch)


def cells(
    run: Run, prior: GaussianPrior, ops: dict[str, SVDOperator], sigma_y: float, sigmas: Tensor
) -> dict[str, dict[str, float]]:
    """The gap of one method to the posterior of each operator; infinities where it diverges."""

    def sampler(denoiser: Any, op: Any, y: Tensor, *, generator: Any) -> Iterator[Step]:
        return run(denoiser, op, y, sigmas, sigma_y=sigma_y, generator=generator)

    parts = len(ops)
    mean, cov = prior.mean.expand(parts, *prior.shape), torch.block_diag(*[prior.cov] * parts)
    try:
        whole = law_of(
            sampler, GaussianPrior(mean, cov), SideBySide(list(ops.values())), sigma_y=sigma_y
        )
    except ValueError as error:
        if "not finite" not in str(error) and "finite numbers" not in str(error):
            raise
        found = {name: dict.fromkeys(NUMBERS, math.inf) for name in ops}
    else:
        found = {}
        for (name, op), where in zip(
            ops.items(), torch.arange(whole.op.n).chunk(parts), strict=True
        ):
            posterior = posterior_law(prior, op, sigma_y=sigma_y)
            A, cov = (matrix[where][:, where] for matrix in (whole.A, whole.cov))
            law = AffineLaw(A, whole.c[where], cov, posterior.y_spec, op)
            found[name] = gap(law, posterior)._asdict()
    if parts > 1 and max(numbers["relative_w2"] for numbers in found.values()) > DIVERGES:
        # Beside what diverges the rounding of the others' numbers would be seen.
        found = {}
        for name, op in ops.items():
            found |= cells(run, prior, {name: op}, sigma_y, sigmas)
    return found


def table(rows: dict[tuple[str, ...], dict[str, str]], levels: str, sigma_y: str) -> list[str]:
    """Relative W2 of each method at 20, 100 and 500 or 1,000 steps, operator by operator."""
    names = list(dict.fromkeys(key[0] for key in rows))
    ops = list(dict.fromkeys(key[1] for key in rows))
    here = [key[4] for key in rows if key[2:4] == (sigma_y, levels)]
    whole = len(names) * len(ops)  # what is half done is not shown
    done = [steps for steps in ("20", "100", "500", "1000") if here.count(steps) == whole]
    shown = done[:2] + done[2:][-1:]
    lines = [
        f"## sigma_y = {sigma_y}, {levels} levels: {' / '.join(shown)} steps",
        "",
        "| method | " + " | ".join(ops) + " |",
        "|---" * (1 + len(ops)) + "|",
    ]
    best = {
        (op, steps): min(
            float(row["relative_w2"])
            for key, row in rows.items()
            if key[1:] == (op, sigma_y, levels, steps)
        )
        for op in ops
        for steps in shown
    }
    for name in names:
        cells = []
        for op in ops:
            values = []
            for steps in shown:
                row = rows.get((name, op, sigma_y, levels, steps))
                value = float(row["relative_w2"]) if row else float("nan")
                text = f"{value:.3f}" if value < DIVERGES else "diverges"
                values.append(f"**{text}**" if value == best[op, steps] else text)
            cells.append(" / ".join(values))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def page(rows: dict[tuple[str, ...], dict[str, str]]) -> str:
    levels = list(dict.fromkeys(key[3] for key in rows))
    noises = list(dict.fromkeys(key[2] for key in rows))
    lines = [INTRODUCTION, "", machine() + ".", ""]
    for name, sigma_y in itertools.product(levels, noises):
        lines += table(rows, name, sigma_y)
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--steps", default=",".join(map(str, STEPS)), show_default=True)
@click.option("--noise", default=",".join(map(str, NOISES)), show_default=True)
@click.option("--out", default=RESULTS / "gaps.csv", type=click.Path(path_type=Path))
def main(steps: str, noise: str, out: Path) -> None:
    torch.set_num_threads(1)
    prior, done = patch_prior(), Continued(out, COLUMNS, NUMBERS)
    runs, ops = methods(prior), operators()
    wanted = itertools.product(map(int, steps.split(",")), SCHEDULES, map(float, noise.split(",")))
    for (count, levels, sigma_y), name in tqdm(list(itertools.product(wanted, runs))):
        keys = {op: (name, op, str(sigma_y), levels, str(count)) for op in ops}
        left = {op: ops[op] for op, key in keys.items() if key not in done.rows}
        if left:
            sigmas = SCHEDULES[levels]().sigmas(count)
            for op, numbers in cells(runs[name], prior, left, sigma_y, sigmas).items():
                done.add(keys[op], numbers)
    out.with_suffix(".md").write_text(page(done.rows))


if __name__ == "__main__":
    main()

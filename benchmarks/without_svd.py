"""A mask after a blur at 256 x 256, which has no fast SVD, by the methods that need H and H^T.

    python benchmarks/without_svd.py [--size 256] [--steps 20]

Writes ``benchmarks/results/without_svd.md``.  The photograph is a cut of scikit-image's coffee (by
Rachel Michetti, public domain), the network the shipped one for 32 x 32 images.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from measuring import RESULTS, machine, table, written
from native import bell
from photographs import photograph
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    CircularBlur,
    DiffPIR,
    LinearMap,
    MomentMatching,
    load_denoiser,
    memory_needed,
    psnr,
    restore,
)

INTRODUCTION = """# Without an SVD

Written by `python benchmarks/without_svd.py`: a {size} x {size} cut of scikit-image's coffee,
blurred by a bell of standard deviation 1.6 and with half of the pixels lost *after* that, noise of
{sigma_y}. A dense SVD of this H would need {gib:,.0f} GiB. {steps} steps with eta 1, one draw from
seed 0. Residual is the root mean square of y - H x over sigma_y; "system" is what conjugate
gradients had left in the last step, of what they began with; seconds are processor time on one
thread. {machine}.

"""


def methods() -> dict[str, Any]:
    moments = lambda k: partial(MomentMatching, cg_steps=k)  # noqa: E731
    proximal = lambda k: partial(DiffPIR, cg_steps=k)  # noqa: E731
    return {
        "DiffPIR, up to 10": proximal(10),
        "DiffPIR, up to 100": proximal(100),
        "moment matching, 1": moments(1),
        "moment matching, 3": moments(3),
    }


def told(make: Any, seen: list[float]) -> Any:
    """The same method, which writes down the residual of its system."""

    def made(denoiser: Any, op: Any, y: Tensor, *, sigma_y: float) -> Any:
        guided = make(denoiser, op, y, sigma_y=sigma_y)

        def guess(x: Tensor, sigma: Any) -> Tensor:
            x0_hat = guided(x, sigma)
            seen.append(guided.residual)
            return x0_hat

        return guess

    return made


@click.command(help=__doc__)
@click.option("--size", default=256, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path))
def main(size: int, steps: int, out: Path) -> None:
    torch.set_num_threads(1)
    shape, truth, sigma_y = (3, size, size), photograph(size), 0.02
    blur = CircularBlur(shape, bell())
    known = torch.rand(size, size, generator=torch.Generator().manual_seed(0)) < 0.5
    H = LinearMap(lambda x: blur(x)[..., known], shape)
    y = H(truth).float()
    y += sigma_y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    # The known pixels where they are, and means of known neighbours, weighted by a bell, elsewhere.
    seen, weights = torch.zeros_like(truth), bell().float()[None, None]
    seen[..., known] = y
    spread = lambda a: torch.nn.functional.conv2d(a, weights, padding=6)  # noqa: E731
    filled = spread(seen.transpose(0, 1)) / spread(known[None, None].float())
    filled = torch.where(known, seen, filled.transpose(0, 1))
    rows = [{"method, steps of its iteration": "weighted neighbours", "dB": _dB(filled, truth)}]
    rows[0] |= {"residual": "", "system": "", "s": ""}
    denoiser = load_denoiser("natural")
    for name, make in tqdm(methods().items()):
        left: list[float] = []
        begin, generator = time.process_time(), torch.Generator().manual_seed(0)
        options = {"sigma_y": sigma_y, "steps": steps, "eta": 1.0, "generator": generator}
        x = restore(denoiser, H, y, method=told(make, left), **options)
        seconds = time.process_time() - begin
        apart = float((H(x) - y).square().mean().sqrt()) / sigma_y
        row = {"method, steps of its iteration": name, "dB": _dB(x.clamp(-1, 1), truth)}
        rows.append(row | {"residual": apart, "system": f"{left[-1]:.1e}", "s": f"{seconds:.0f}"})
    gib = memory_needed(shape, H.out_shape) / 2**30
    numbers = {"size": size, "sigma_y": sigma_y, "gib": gib, "steps": steps, "machine": machine()}
    written(INTRODUCTION.format(**numbers) + table(rows), out, "without_svd.md")


def _dB(x: Tensor, truth: Tensor) -> str:
    return f"{float(psnr(x, truth)):.1f}"


if __name__ == "__main__":
    main()

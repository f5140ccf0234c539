"""Time and memory of ``restore`` beside the floor, and beside other implementations of DDRM.

    python benchmarks/restore.py --official FOLDER

The floor is what no sampler of this kind can do without: the noise of every step, drawn in float32,
one multiplication and one addition.  The denoiser is ``0.5 * x``, so that what is measured is the
sampler.  FOLDER is a checkout of the paper's authors; without it, or where deepinv cannot be
imported, that column stays empty.  Writes ``benchmarks/results/restore.md`` and ``restore.csv``.
One thread, float32; everybody takes turns, so that all meet the same neighbours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import torch
from measuring import (
    beside,
    imported,
    in_folder,
    machine,
    on_device,
    peak,
    seconds,
    write_csv,
    written,
)
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    CircularBlur,
    Colorization,
    Denoising,
    Inpainting,
    NoiseSchedule,
    SeparableBlur,
    SuperResolution,
    SVDOperator,
    restore,
)

BATCH, STEPS, SIGMA_Y = 4, 20, 0.05
PEERS = ["official", "deepinv"]


def operators(side: int) -> dict[str, SVDOperator]:
    """The tasks, for colour images of ``side x side`` pixels."""
    shape = (3, side, side)
    draw = torch.Generator().manual_seed(0)
    mask = torch.rand(side, side, generator=draw) < 0.5
    return {
        "denoising": Denoising(shape),
        "inpainting": Inpainting(mask, channels=3),
        "super-resolution x 4": SuperResolution(shape, 4),
        "colorization": Colorization(shape),
        "circular blur, 9 x 9": CircularBlur(shape, torch.rand(9, 9, generator=draw)),
        "separable blur, 9 taps": SeparableBlur(shape, torch.full((9,), 1 / 9)),
    }


def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    return x * 0.5


def floor(x: Tensor, other: Tensor) -> None:
    for _ in range(STEPS):
        x.normal_().mul_(0.5).add_(other)


def ours(op: SVDOperator, device: str = "cpu") -> Callable[[], Tensor]:
    y = torch.randn(BATCH, *op.out_shape, generator=torch.Generator().manual_seed(1)).to(device)
    return partial(restore, denoiser, op, y, sigma_y=SIGMA_Y, steps=STEPS)


# -- others ----------------------------------------------------------------------------------------


def official_calls(folder: Path, side: int) -> dict[str, Callable]:
    """The authors' loop over their own operators, with the same levels and denoiser."""
    sys.path.insert(0, str(folder / "functions"))
    svd, loop = imported("svd_replacement"), ModuleType("denoising")
    if svd is None:
        return {}
    # Their loop names a CUDA device, and imports torchvision for what it does not do here.
    text = (folder / "functions" / "denoising.py").read_text().replace("'cuda'", "'cpu'")
    exec(text.replace("import torchvision.utils as tvu", ""), vars(loop))
    vars(loop)["tqdm"] = list  # no bar
    n = 3 * side**2
    draw = torch.Generator().manual_seed(0)
    lost = (torch.rand(side, side, generator=draw) < 0.5).repeat(3, 1, 1).flatten()
    # Its constructor looks every pixel up among the missing ones, for minutes at this size.
    inpainting = svd.Inpainting.__new__(svd.Inpainting)
    inpainting.channels, inpainting.img_dim = 3, side
    inpainting._singulars = torch.ones(int((~lost).sum()))
    everything = torch.arange(n)
    inpainting.missing_indices, inpainting.kept_indices = everything[lost], everything[~lost]
    found = {
        "denoising": svd.Denoising(3, side, "cpu"),
        "inpainting": inpainting,
        "super-resolution x 4": svd.SuperResolution(3, side, 4, "cpu"),
        "colorization": svd.Colorization(side, "cpu"),
        "separable blur, 9 taps": svd.Deblurring(torch.full((9,), 1 / 9), 3, side, "cpu"),
    }
    betas = NoiseSchedule.linear().beta[1:].float()
    times = [t - 1 for t in reversed(NoiseSchedule.linear().timesteps(STEPS))]

    def eps(x: Tensor, t: Tensor) -> Tensor:
        """The noise that the same denoiser would find in their variance-preserving image."""
        a = (1 - betas).cumprod(0)[t.long()[0]]
        return (x - a.sqrt() * denoiser(x / a.sqrt(), a)) / (1 - a).sqrt()

    def run(op: SimpleNamespace) -> Tensor:
        with torch.no_grad():
            y = op.H(torch.randn(BATCH, n))
            x = torch.randn(BATCH, 3, side, side)
            return loop.efficient_generalized_steps(
                x, times, eps, betas, op, y, SIGMA_Y, etaB=1, etaA=0.85, etaC=0.85
            )

    return {name: partial(run, op) for name, op in found.items()}


def deepinv_calls(deepinv: ModuleType, side: int) -> dict[str, Callable]:
    """DDRM of deepinv on its own operators, with the same number of levels and denoiser."""
    physics, shape = deepinv.physics, (3, side, side)
    draw = torch.Generator().manual_seed(0)
    mask = (torch.rand(shape, generator=draw) < 0.5).float()
    found = {
        "denoising": physics.Denoising(),
        "inpainting": physics.Inpainting(shape, mask),
        "colorization": physics.Decolorize(),
        "circular blur, 9 x 9": physics.BlurFFT(shape, torch.rand(1, 1, 9, 9, generator=draw)),
    }
    sampler = deepinv.sampling.DDRM(
        lambda x, sigma, **_: denoiser(x, sigma), sigmas=torch.linspace(1, 0, STEPS).numpy()
    )

    def run(op: object) -> Tensor:
        op.noise_model = deepinv.physics.GaussianNoise(SIGMA_Y)
        with torch.no_grad():
            return sampler(op.A(torch.randn(BATCH, *shape)), op)

    return {name: partial(run, op) for name, op in found.items()}


def running(calls: dict[str, Callable]) -> dict[str, Callable]:
    """Those that run: some combinations of others raise."""
    able = {}
    for name, call in calls.items():
        try:
            call()
        except Exception as error:  # of foreign code, anything
            click.echo(f"{name}: {type(error).__name__}: {error}", err=True)
        else:
            able[name] = call
    return able


# -- results ---------------------------------------------------------------------------------------


def measured(
    side: int, rounds: int, device: str, official: Path | None, deepinv: ModuleType | None
) -> list[dict]:
    """One row for each task; others run on the CPU only."""
    x, other = torch.zeros(2, BATCH, 3, side, side, device=device)
    rows = []
    theirs = {"official": official_calls(official, side)} if official else {}
    if deepinv:
        theirs["deepinv"] = deepinv_calls(deepinv, side)
    for name, op in tqdm(operators(side).items(), desc=f"3 x {side} x {side}", leave=False):
        calls = {who: found[name] for who, found in theirs.items() if name in found}
        calls = {"floor": partial(floor, x, other), "ours": ours(op, device)} | running(calls)
        shortest = seconds(calls, rounds, device)
        row = {"task": name, "side": side}
        row |= {f"{who} ms": 1e3 * shortest[who] for who in calls}
        row["ours / floor"] = shortest["ours"] / shortest["floor"]
        row |= {f"{who} / ours": shortest[who] / shortest["ours"] for who in PEERS if who in calls}
        row["ours peak / batch"] = peak(calls["ours"], device) / x.nbytes
        rows.append(row)
    return rows


def report(rows: list[dict], versions: str, device: str) -> str:
    columns = ["ours / floor", "ours peak / batch", *(f"{who} / ours" for who in PEERS)]
    lines = [
        f"{versions}; float32{', one thread' * (device == 'cpu')}.",
        f"{BATCH} colour images, {STEPS} steps, the denoiser is 0.5 x. Times "
        f"{'of the processor' if device == 'cpu' else 'until the device is done'}, the",
        f"shortest of several taken in turn with the floor: {STEPS} times the noise of a step in",
        "float32, one multiplication and one addition. A dash: no such task, it raises, or not "
        "measured.",
        "",
        f"| side | task | floor, ms | ours, ms | {' | '.join(columns)} |",
        "|---|---|---|---|" + "---|" * len(columns),
    ]
    for row in rows:
        cells = [f"{row[key]:.1f}" for key in ("floor ms", "ours ms")]
        cells += [f"{row[column]:.1f}" if column in row else "-" for column in columns]
        lines.append(f"| {row['side']} | {row['task']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@click.command()
@beside
@on_device
@click.option("--rounds", default=7, help="Times each call takes its turn.")
@click.option("--side", "sides", type=int, multiple=True, default=[64, 256], show_default=True)
@in_folder
def main(official: Path | None, device: str, rounds: int, sides: list[int], out: Path) -> None:
    """Measure the table."""
    torch.set_num_threads(1)
    deepinv = imported("deepinv") if device == "cpu" else None
    theirs = official if device == "cpu" else None
    rows = [row for side in sides for row in measured(side, rounds, device, theirs, deepinv)]
    versions = machine(device) + (f", deepinv {deepinv.__version__}" if deepinv else "")
    name = "restore" if device == "cpu" else f"restore-{device}"
    written(report(rows, versions, device), out, f"{name}.md")
    write_csv(out / f"{name}.csv", rows)


if __name__ == "__main__":
    main()

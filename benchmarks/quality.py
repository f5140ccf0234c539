"""Restoration quality on held-out images: pseudo-inverse, classical baseline, DDRM.

    python benchmarks/quality.py natural     # CIFAR-10 test images, fetched if they are not there
    python benchmarks/quality.py fashion     # Fashion-MNIST test images

Writes ``benchmarks/results/quality-NAME.csv`` and ``.md``.  The classical baseline of a row is the
best, by its mean PSNR on these very images, of those of ``ddrm_edu.baselines`` over a grid of their
parameters: an advantage that DDRM, run with one setting throughout, does not have.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    Colorization,
    Denoising,
    Inpainting,
    NoiseSchedule,
    SuperResolution,
    SVDOperator,
    data,
    load_denoiser,
    psnr,
    restore,
    ssim,
)
from ddrm_edu import baselines as classical
from ddrm_edu.noise import standard_normal

RESULTS = Path(__file__).parent / "results"
METHODS = ["pseudo-inverse", "classical", "DDRM", "mean of 4"]


class Task(NamedTuple):
    name: str
    op: SVDOperator
    sigma_y: float


def tasks(shape: tuple[int, int, int]) -> list[Task]:
    """The rows of the table; random masks are the same for every image and channel."""
    channels, height, width = shape
    uniform = torch.rand(height, width, generator=torch.Generator().manual_seed(0))
    box = torch.ones(height, width, dtype=torch.bool)
    box[10:22, 10:22] = False
    noiseless = {
        "inpainting, 50 % missing": Inpainting(uniform > 0.5, channels),
        "inpainting, 70 % missing": Inpainting(uniform > 0.7, channels),
        "inpainting, 12 x 12 box": Inpainting(box, channels),
        "super-resolution x 2": SuperResolution(shape, 2),
        "super-resolution x 4": SuperResolution(shape, 4),
    }
    if channels > 1:
        noiseless["colorization"] = Colorization(shape)
    rows = [Task("denoising", Denoising(shape), sigma_y) for sigma_y in (0.25, 0.5)]
    return rows + [Task(n, op, sigma_y) for n, op in noiseless.items() for sigma_y in (0.0, 0.05)]


def baselines(task: Task, y: Tensor) -> dict[str, Tensor]:
    """Name -> restored images of every classical method that applies to the task."""
    op, sigma_y = task.op, task.sigma_y
    if isinstance(op, Denoising):
        return total_variation(y, sigma_y) | {"non-local means": classical.nlm(op, y, sigma_y)}
    if isinstance(op, Inpainting):
        name, filled = "biharmonic", classical.biharmonic(op, y, sigma_y)
    elif isinstance(op, SuperResolution):
        name, filled = "bicubic", classical.bicubic(op, y, sigma_y)
    else:
        return {}
    smoothed = total_variation(filled, sigma_y) if sigma_y else {}
    return {name: filled} | {f"{name} + {key}": value for key, value in smoothed.items()}


def total_variation(images: Tensor, sigma_y: float) -> dict[str, Tensor]:
    """TV denoising over a grid of weights around the noise level."""
    op = Denoising(tuple(images.shape[1:]))
    return {
        f"TV ({f:g} sigma_y)": classical.tv(op, images, sigma_y, weight=f)
        for f in (0.25, 0.5, 0.75, 1.0, 1.5)
    }


def scores(images: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean PSNR and SSIM of the images as a screen shows them, clipped to [-1, 1]."""
    images = images.double().clamp(-1, 1)
    return psnr(images, truth.double()).mean().item(), ssim(images, truth.double()).mean().item()


def measure(task: Task, truth: Tensor, denoiser, *, steps: int, eta: float) -> dict:
    """One row of the table."""
    generator = torch.Generator().manual_seed(1)
    y = task.op(truth)
    y = y + task.sigma_y * standard_normal(y, generator)
    samples = [
        restore(
            denoiser, task.op, y, sigma_y=task.sigma_y, steps=steps, eta=eta, generator=generator
        )
        for _ in range(4)
    ]
    found = {
        "pseudo-inverse": scores(task.op.pinv(y), truth),
        "DDRM": scores(samples[0], truth),
        "mean of 4": scores(torch.stack(samples).mean(0), truth),
    }
    rivals = {name: scores(images, truth) for name, images in baselines(task, y).items()}
    best = max(rivals, key=lambda name: rivals[name][0], default="none")
    found["classical"] = rivals.get(best, (float("nan"), float("nan")))
    row = {"task": task.name, "sigma_y": task.sigma_y, "baseline": best}
    for method in METHODS:
        row[f"{method} PSNR"], row[f"{method} SSIM"] = found[method]
    residual = torch.cat([task.op(x) - y for x in samples]).norm() / torch.cat([y] * 4).norm()
    return row | {"residual": residual.item()}


def markdown(rows: list[dict], head: str) -> str:
    """The table as Markdown: PSNR in dB and SSIM, best PSNR of a row in bold."""
    lines = [
        head,
        "",
        f"| task | sigma_y | {' | '.join(METHODS)} | baseline |",
        "|---|---|" + "---|" * (len(METHODS) + 1),
    ]
    for row in rows:
        top = max(row[f"{m} PSNR"] for m in METHODS if np.isfinite(row[f"{m} PSNR"]))
        cells = []
        for method in METHODS:
            value, similarity = row[f"{method} PSNR"], row[f"{method} SSIM"]
            text = f"{value:.2f} / {similarity:.3f}" if np.isfinite(value) else "-"
            cells.append(f"**{text}**" if value == top else text)
        lines.append(
            f"| {row['task']} | {row['sigma_y']:g} | {' | '.join(cells)} | {row['baseline']} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("name", type=click.Choice(["natural", "fashion"]))
@click.option("--images", default=64, help="Held-out images, the first of the test split.")
@click.option("--steps", default=20)
@click.option("--eta", default=0.85)
@click.option(
    "--schedule",
    "levels",
    type=click.Choice(["own", "linear"]),
    default="own",
    help="Noise levels: the model's own (cosine), or DDPM's linear ones.",
)
@click.option("--weights", type=click.Path(path_type=Path), default=None, help="Folder of weights.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(
    name: str, images: int, steps: int, eta: float, levels: str, weights: Path | None, out: Path
):
    """Measure NAME's table on its test split."""
    fetch = {"natural": data.cifar10, "fashion": data.fashion_mnist}[name]
    truth = torch.from_numpy(data.to_float(fetch("test")[:images])).float()
    denoiser = load_denoiser(name, folder=weights)
    if levels == "linear":
        denoiser.schedule = NoiseSchedule.linear()
    rows = [
        measure(task, truth, denoiser, steps=steps, eta=eta)
        for task in tqdm(tasks(tuple(truth.shape[1:])), desc=name, unit="task")
    ]
    out.mkdir(parents=True, exist_ok=True)
    stem = f"quality-{name}" + ("" if levels == "own" else f"-{levels}")
    with open(out / f"{stem}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    head = (
        f"Mean PSNR in dB / SSIM on the first {images} test images of {denoiser.card['data']}; "
        f"DDRM with {steps} steps, eta = {eta:g}, eta_b = 1, on the scale [-1, 1], along the "
        f"{'cosine' if levels == 'own' else levels} schedule; "
        f"weights {denoiser.card['sha256'][:12]}."
    )
    (out / f"{stem}.md").write_text(markdown(rows, head))
    click.echo(markdown(rows, head))


if __name__ == "__main__":
    main()

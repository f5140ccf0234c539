"""A photograph of 600 x 400 at its native size by every task, and one of 4,000 x 3,000 in tiles.

    python benchmarks/native.py [--steps 20] [--large-steps 3]

Writes ``benchmarks/results/native.md`` and ``native.png``.  The photograph is scikit-image's coffee
(by Rachel Michetti, public domain), which the network has not seen; the network is the shipped one
for 32 x 32 images.  Each task runs in a process of its own, whose memory is looked at.
"""

from __future__ import annotations

import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import skimage.data
import skimage.restoration
import skimage.transform
import torch
from measuring import RESULTS, machine, table, written
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    CircularBlur,
    Colorization,
    Denoising,
    Inpainting,
    SuperResolution,
    SVDOperator,
    load_denoiser,
    psnr,
    restore,
    ssim,
)
from ddrm_edu.tasks import bayer

SHAPE = (3, 400, 600)
GREY = (0.299, 0.587, 0.114)

INTRODUCTION = """# A photograph at its native size

Written by `python benchmarks/native.py`: scikit-image's coffee, {width} x {height} pixels, {steps}
steps, one draw from seed 0; the shipped network was trained on 32 x 32 pixels. dB is PSNR and SSIM
has the data range 2 of images on [-1, 1]. eta .85 is the paper's, eta 1 is nearer to the mean.
Seconds are processor time of one run on one thread, and MiB what the process grew by at its peak.
One photograph shows what can happen, not what does on average: `quality` has means. {machine}.
"""

LARGE = """
## 4,000 x 3,000 pixels in tiles

The same photograph, enlarged to 4,000 x 3,000 and with half of its pixels lost, by the command

    {command}

Before the run it said: *{said}*. At its peak the process held {peak:.2f} GiB, libraries and scores
included; it took {minutes:.0f} minutes of processor time. With so few steps this is about memory.
"""


def photograph() -> Tensor:
    """(1, 3, 400, 600) on [-1, 1]."""
    pixels = torch.from_numpy(skimage.data.coffee().copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def as_pixels(x: Tensor) -> np.ndarray:
    return ((x[0].clamp(-1, 1) + 1) / 2).permute(1, 2, 0).double().numpy()


def as_image(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() * 2 - 1


def bell() -> Tensor:
    x = torch.arange(-6, 7).double()
    kernel = torch.exp(-(x[:, None] ** 2 + x**2) / (2 * 1.6**2))
    return kernel / kernel.sum()


def problems() -> dict[str, tuple[SVDOperator, float]]:
    """H and sigma_y of every task."""
    known = torch.rand(SHAPE[1:], generator=torch.Generator().manual_seed(2)) < 0.3
    return {
        "denoise": (Denoising(SHAPE), 0.2),
        "inpaint": (Inpainting(known, 3), 0.0),
        "superres 2 x": (SuperResolution(SHAPE, 2), 0.0),
        "colorize": (Colorization(SHAPE, GREY), 0.0),
        "deblur": (CircularBlur(SHAPE, bell()), 0.02),
        "demosaic": (Inpainting(bayer("RGGB", *SHAPE[1:])), 0.0),
    }


def classical(task: str, op: SVDOperator, y: Tensor, sigma_y: float) -> tuple[str, Tensor]:
    """A rival without a network: its name and its picture."""
    if task == "denoise":
        best = skimage.restoration.denoise_tv_chambolle(as_pixels(y), 0.12, channel_axis=-1)
        return "total variation", as_image(best)
    if task == "superres 2 x":
        large = torch.nn.functional.interpolate(y, scale_factor=2, mode="bicubic")
        return "bicubic enlargement", large
    if task == "colorize":
        return "grey", y.expand(-1, 3, -1, -1)
    if task == "deblur":
        pixels = as_pixels(y)
        sharp = [
            skimage.restoration.wiener(pixels[..., c], bell().numpy(), 0.01, clip=False)
            for c in range(3)
        ]
        return "Wiener filter", as_image(np.stack(sharp, axis=-1))
    # Holes of single pixels: means of the known neighbours, weighted by a bell.
    seen, known = op.pinv(y), op.spectrum()[None].float()
    weights = bell().float().expand(3, 1, -1, -1)
    near = [torch.nn.functional.conv2d(a, weights, padding=6, groups=3) for a in (seen, known)]
    return "weighted neighbours", torch.where(known > 0, seen, near[0] / near[1])


def measured(task: str) -> tuple[SVDOperator, Tensor, float]:
    op, sigma_y = problems()[task]
    y = op(photograph())
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return op, y + sigma_y * noise, sigma_y


def restored(task: str, eta: float, steps: int) -> tuple[Tensor, float, float]:
    """In a process of its own: the picture, seconds, and bytes that the run added at its peak."""
    torch.set_num_threads(1)
    op, y, sigma_y = measured(task)
    denoiser = load_denoiser("natural")
    denoiser(torch.zeros(1, 3, 8, 8), 1.0)  # what the first call loads is no part of the run
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before, begin = _most_held(), time.process_time()
    generator = torch.Generator().manual_seed(0)
    x = restore(denoiser, op, y, sigma_y=sigma_y, eta=eta, steps=steps, generator=generator)
    return x, time.process_time() - begin, _most_held() - before


def _most_held() -> int:
    """Bytes of this process at its peak (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])


def row(task: str, name: str, x: Tensor, **numbers: Any) -> dict[str, Any]:
    x, truth = x.clamp(-1, 1), photograph()
    scores = {"dB": f"{psnr(x, truth)[0]:.1f}", "SSIM": f"{ssim(x, truth)[0]:.3f}"}
    return {"task": task, "by": name} | scores | {"s": "", "MiB": ""} | numbers


def large(steps: int) -> str:
    """The command line on 12 million pixels: what it states, and what it takes."""
    with tempfile.TemporaryDirectory() as folder:
        clean, out = Path(folder, "clean.png"), Path(folder, "restored.png")
        enlarged = skimage.transform.resize(skimage.data.coffee(), (3000, 4000), order=3)
        Image.fromarray((enlarged * 255).round().astype(np.uint8)).save(clean)
        words = ["restore", str(clean), "--task", "inpaint", "--degrade", "--missing", "0.5"]
        words += ["--steps", str(steps), "-o", str(out)]
        command = [sys.executable, "-m", "ddrm_edu", *words]
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
    said = next(line for line in done.stdout.splitlines() if "GiB" in line)
    seconds = end.ru_utime - begin.ru_utime
    stated = float(re.search(r"([\d.]+) GiB", said)[1])
    if end.ru_maxrss / 2**20 > stated:
        raise click.ClickException(f"{end.ru_maxrss / 2**20:.2f} GiB were taken, {stated} stated.")
    return LARGE.format(
        command=f"ddrm-edu {' '.join(words)}".replace(f"{folder}/", ""),
        said=said.strip(),
        peak=end.ru_maxrss / 2**20,
        minutes=seconds / 60,
    )


@click.command(help=__doc__)
@click.option("--steps", default=20, show_default=True)
@click.option("--large-steps", default=3, show_default=True, help="0 leaves the large one out.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path))
def main(steps: int, large_steps: int, out: Path) -> None:
    torch.set_num_threads(1)
    # Before the others: the peak of child processes is that of the largest one.
    end = large(large_steps) if large_steps else ""
    rows, strips = [], []
    spawn = multiprocessing.get_context("spawn")
    for task in tqdm(problems()):
        op, y, sigma_y = measured(task)
        begin = time.process_time()
        name, rival = classical(task, op, y, sigma_y)
        rows.append(row(task, name, rival, s=f"{time.process_time() - begin:.2g}"))
        for eta in (0.85, 1.0):
            with spawn.Pool(1) as pool:
                x, seconds, grown = pool.apply(restored, (task, eta, steps))
            numbers = {"s": f"{seconds:.0f}", "MiB": f"{grown / 2**20:.0f}"}
            rows.append(row(task, f"DDRM, eta {eta:g}".replace("0.", "."), x, **numbers))
        # A y of one channel is a picture too, and shown in grey.
        seen = y.expand(-1, 3, -1, -1) if tuple(y.shape[2:]) == SHAPE[1:] else op.pinv(y)
        parts = [as_pixels(picture)[80:280, 180:480] for picture in (seen, rival.float(), x)]
        strips.append(np.concatenate(parts, axis=1))
    picture = (np.concatenate(strips) * 255).round().astype(np.uint8)
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).quantize(256).save(out / "native.png", optimize=True)
    text = INTRODUCTION.format(width=SHAPE[2], height=SHAPE[1], steps=steps, machine=machine())
    told = "Measured (its pseudo-inverse where y is no picture), classical, DDRM with eta 1"
    text += (
        f"\n{table(rows)}\n![{told}](native.png)\n\n{told}; rows are the tasks, cut to 300 x 200.\n"
    )
    written(text + end, out, "native.md")


if __name__ == "__main__":
    main()

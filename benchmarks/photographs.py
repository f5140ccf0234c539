"""One photograph at its native size by each method: PSNR, SSIM, residual, seconds, and a picture.

    python benchmarks/photographs.py [--size 256] [--steps 20] [--threads 1]

Writes ``benchmarks/results/photographs.md`` and a picture for each task,
``photographs-TASK.png``.  The photograph is a cut of scikit-image's coffee (by Rachel Michetti,
public domain), which the network has not seen; the network is the shipped one for 32 x 32 images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import skimage.data
import skimage.restoration
import skimage.transform
import torch
from measuring import RESULTS, machine
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    CircularBlur,
    Inpainting,
    MomentMatching,
    SuperResolution,
    SVDOperator,
    load_denoiser,
    psnr,
    restore,
    ssim,
)

INTRODUCTION = """# One photograph by each method

Written by `python benchmarks/photographs.py`: a {size} x {size} cut of scikit-image's coffee, the
shipped network for 32 x 32 images, {steps} steps, one draw from seed 0. dB is PSNR and SSIM has the
data range 2 of images on [-1, 1]; residual is the root mean square of y - H x, over sigma_y where
there is noise; seconds are of one run on {threads} thread, beside whatever else the machine did.
One photograph shows what can happen, not what does on average: `quality` has means. The classical
row is biharmonic interpolation, bicubic enlargement or total variation. {machine}."""


def photograph(size: int) -> Tensor:
    """(1, 3, size, size) on [-1, 1]."""
    pixels = skimage.data.coffee()[60 : 60 + size, 160 : 160 + size]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def scratched(size: int) -> Tensor:
    """True where a pixel is known: twelve scratches and a box are not."""
    generator = np.random.default_rng(0)
    known = np.ones((size, size), dtype=bool)
    for _ in range(12):
        (r0, r1), (c0, c1) = generator.integers(0, size, (2, 2))
        length = max(abs(r1 - r0), abs(c1 - c0), 1)
        rows, columns = (np.linspace(a, b, 2 * length).astype(int) for a, b in ((r0, r1), (c0, c1)))
        for shift in (0, 1):
            known[np.minimum(rows + shift, size - 1), columns] = False
    known[size // 3 : size // 3 + 30, size // 2 : size // 2 + 40] = False
    return torch.from_numpy(known)


def as_pixels(x: Tensor) -> np.ndarray:
    return ((x[0].clamp(-1, 1) + 1) / 2).permute(1, 2, 0).numpy()


def as_image(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() * 2 - 1


def tasks(size: int) -> dict[str, tuple[SVDOperator, float, Callable[[SVDOperator, Tensor], Any]]]:
    """H, sigma_y and a classical rival of each."""
    known = scratched(size)
    x = torch.arange(-6, 7).double()
    bell = torch.exp(-(x**2) / (2 * 1.6**2))
    kernel = torch.outer(bell, bell)

    def biharmonic(op: SVDOperator, y: Tensor) -> Tensor:
        seen = as_pixels(op.pinv(y))
        filled = skimage.restoration.inpaint_biharmonic(seen, ~known.numpy(), channel_axis=-1)
        return as_image(filled)

    def bicubic(op: SVDOperator, y: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(y, scale_factor=2, mode="bicubic")

    def total_variation(op: SVDOperator, y: Tensor) -> Tensor:
        smooth = skimage.restoration.denoise_tv_chambolle(as_pixels(y), 0.005, channel_axis=-1)
        return as_image(smooth)

    shape = (3, size, size)
    return {
        "scratches and a box": (Inpainting(known, 3), 0.0, biharmonic),
        "enlarged 2 x": (SuperResolution(shape, 2), 0.0, bicubic),
        "blur and noise": (CircularBlur(shape, kernel / kernel.sum()), 0.02, total_variation),
    }


def methods(sigma_y: float) -> dict[str, dict[str, Any]]:
    """Options of ``restore``; eta 1 is that of DDRM, also for denoisers that see y."""
    moments = lambda k: partial(MomentMatching, cg_steps=k)  # noqa: E731
    return {
        "DDRM, eta .85 (the paper's)": {},
        "DDRM, eta 1": {"eta": 1.0},
        'DDRM, "tight"': {"eta": "tight"},
        "DDRM-M": {"method": "ddrm-markov"},
        "DDNM+": {"method": "ddnm+"},
        "DiffPIR": {"method": "diffpir", "eta": 1.0},
        "DPS, published": {"method": "dps"},
        "PiGDM": {"method": "pigdm", "eta": 1.0},
        "moment matching, 1 step": {"method": moments(1), "eta": 1.0},
        "moment matching, 1 step, DDPM": {"method": moments(1)},
        "moment matching, 3 steps": {"method": moments(3), "eta": 1.0},
    }


def row(name: str, x: Tensor, truth: Tensor, problem: Any, seconds: float) -> str:
    op, y, sigma_y = problem
    residual = float((op(x) - y).square().mean().sqrt())
    told = f"{residual / sigma_y:.2f} sigma_y" if sigma_y else f"{residual:.1e}"
    values = float(psnr(x.clamp(-1, 1), truth)), float(ssim(x.clamp(-1, 1), truth))
    return f"| {name} | {values[0]:.1f} | {values[1]:.3f} | {told} | {seconds:.2g} |"


@click.command(help=__doc__)
@click.option("--size", default=256, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path))
def main(size: int, steps: int, threads: int, out: Path) -> None:
    torch.set_num_threads(threads)
    denoiser, truth = load_denoiser("natural"), photograph(size)
    lines = [INTRODUCTION.format(size=size, steps=steps, threads=threads, machine=machine()), ""]
    for task, (op, sigma_y, classical) in tasks(size).items():
        generator = torch.Generator().manual_seed(1)
        y = op(truth) + sigma_y * torch.randn(op(truth).shape, generator=generator)
        problem = op, y, sigma_y
        lines += [f"## {task}", "", "| method | dB | SSIM | residual | s |", "|---" * 5 + "|"]
        begin = time.perf_counter()
        seen, rival = op.pinv(y) if not sigma_y else y, classical(op, y).float()
        lines += [row("classical", rival, truth, problem, time.perf_counter() - begin)]
        pictures = [truth, seen, rival]
        for name, options in tqdm(methods(sigma_y).items(), desc=task):
            begin = time.perf_counter()
            generator = torch.Generator().manual_seed(0)
            x = restore(
                denoiser, op, y, sigma_y=sigma_y, steps=steps, generator=generator, **options
            )
            lines += [row(name, x, truth, problem, time.perf_counter() - begin)]
            if name in ("DDRM, eta .85 (the paper's)", "moment matching, 1 step"):
                pictures.append(x)
        strip = np.concatenate([as_pixels(x) for x in pictures], axis=1)
        file = f"photographs-{task.replace(' ', '-')}.png"
        Image.fromarray((strip * 255).round().astype(np.uint8)).save(out / file)
        told = "truth, measured, classical, DDRM (the paper's), moment matching (1 step)"
        lines += ["", f"![{told}]({file})", "", f"From left to right: {told}.", ""]
        (out / "photographs.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()

"""Photographs at their native size: restored, measured and drawn.

    python benchmarks/photographs.py [--motif coffee] [--every]

Three motifs, four tasks; the classical rivals, the paper's DDRM and the recommended method; with
``--every`` other methods as well.  Writes ``benchmarks/results/photographs.csv``, which is
continued where it stopped, ``photographs.md``, a picture of each motif and task,
``photographs-MOTIF-TASK.jpg``, and ``figures/photographs.jpg``, the README's.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import skimage.data
import torch
from measuring import RESULTS, ROOT, Continued, machine
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    CircularBlur,
    Denoising,
    Inpainting,
    MomentMatching,
    SuperResolution,
    SVDOperator,
    load_denoiser,
    psnr,
    restore,
    ssim,
)
from ddrm_edu.baselines import BASELINES
from ddrm_edu.metrics import sharpness
from ddrm_edu.tasks import kernel_of

SIDE = 256
CUT = 64  # what lectures compute again
CORNERS = {"coffee": (60, 160), "astronaut": (8, 110), "chelsea": (16, 96)}
COLUMNS = ["motif", "side", "task", "method"]
NUMBERS = ["psnr", "ssim", "sharpness", "residual", "seconds"]
PAPER, RECOMMENDED = "DDRM (the paper's)", "moment matching"
CLASSICAL = ("biharmonic", "bicubic", "nlm", "tv", "wiener")

INTRODUCTION = """# Photographs at their native size

Written by `make photographs`: cuts of 256 x 256 pixels of scikit-image's coffee (Rachel Michetti,
CC0), astronaut (NASA, public domain) and chelsea (Stefan van der Walt, CC0), not reduced, and the
shipped network for 32 x 32 images, which has not seen them; 20 steps, one draw. dB is PSNR, SSIM
that of pictures on [0, 1] with data range 1; sharpness is the mean difference of neighbouring
pixels over that of the truth; residual is the root mean square of y - H x, over sigma_y where there
is noise; seconds are the processor's, on one thread. "{paper}" is DDRM with eta .85, and
"{recommended}" a denoiser that sees y by one vector-Jacobian product (1 conjugate gradient step,
eta 1). A picture has the classical method with the best PSNR on that very picture, an advantage
that the others do not have. Three photographs show what can happen, not what does on average:
[evaluate](evaluate.md) has means. {machine}.

Seen at full size: deblurring and denoising are convincing, by both, where the classical methods
leave grain or smooth hair and skin away; enlargement is a little sharper than bicubic, with a fine
grid in DDRM's; all methods close the scratches, but none fills the box of 30 x 40 pixels, in which
DDRM leaves a dark patch, moment matching a faint one and biharmonic interpolation a blur."""


class Problem(NamedTuple):
    op: SVDOperator
    sigma_y: float


def photograph(motif: str, side: int = SIDE) -> Tensor:
    """(1, 3, side, side) on [-1, 1]: the cut, or the middle of it."""
    row, column = (corner + (SIDE - side) // 2 for corner in CORNERS[motif])
    pixels = getattr(skimage.data, motif)()[row : row + side, column : column + side]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def scratched(side: int) -> Tensor:
    """True where a pixel is known: scratches, twelve of them on 256 pixels, and a box are not."""
    generator = np.random.default_rng(0)
    known = np.ones((side, side), dtype=bool)
    for _ in range(max(3, 12 * side // SIDE)):
        (r0, r1), (c0, c1) = generator.integers(0, side, (2, 2))
        length = max(abs(r1 - r0), abs(c1 - c0), 1)
        rows, columns = (np.linspace(a, b, 2 * length).astype(int) for a, b in ((r0, r1), (c0, c1)))
        for shift in (0, 1):
            known[np.minimum(rows + shift, side - 1), columns] = False
    top, left = side // 3, side // 2
    known[top : top + 30 * side // SIDE, left : left + 40 * side // SIDE] = False
    return torch.from_numpy(known)


def tasks(side: int = SIDE) -> dict[str, Problem]:
    shape = (3, side, side)
    return {
        "scratches": Problem(Inpainting(scratched(side), 3), 0.0),
        "enlarged 2 x": Problem(SuperResolution(shape, 2), 0.0),
        "blur and noise": Problem(CircularBlur(shape, kernel_of("gaussian:1.6")), 0.02),
        "noise": Problem(Denoising(shape), 0.25),
    }


def measurement(problem: Problem, truth: Tensor) -> Tensor:
    y = problem.op(truth)
    generator = torch.Generator().manual_seed(1)
    return y + problem.sigma_y * torch.randn(y.shape, generator=generator)


def by_network(**options: Any) -> Callable[..., Tensor]:
    def run(denoiser: Any, op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return restore(denoiser, op, y, sigma_y=sigma_y, steps=20, generator=generator, **options)

    return run


def by_hand(name: str) -> Callable[..., Tensor]:
    options = {"weight": 0.75} if name == "tv" else {}  # the best of quality.py for noise alone
    return lambda denoiser, op, y, sigma_y: BASELINES[name].run(op, y, sigma_y, **options)


def moments(steps: int) -> Any:
    return partial(MomentMatching, cg_steps=steps)


FEW = {name: by_hand(name) for name in CLASSICAL} | {
    PAPER: by_network(),
    "DDRM, eta 1": by_network(eta=1.0),
    RECOMMENDED: by_network(method=moments(1), eta=1.0),
}
EVERY = FEW | {
    'DDRM, "tight"': by_network(eta="tight"),
    "DDRM-M": by_network(method="ddrm-markov"),
    "DDNM+": by_network(method="ddnm+"),
    "DiffPIR": by_network(method="diffpir", eta=1.0),
    "DPS, published": by_network(method="dps"),
    "PiGDM": by_network(method="pigdm", eta=1.0),
    "moment matching, DDPM": by_network(method=moments(1)),
    "moment matching, 3 steps": by_network(method=moments(3), eta=1.0),
}


def numbers(
    x: Tensor, truth: Tensor, problem: Problem, y: Tensor, seconds: float
) -> dict[str, float]:
    shown = x.clamp(-1, 1)
    return {
        "psnr": float(psnr(shown, truth)),
        "ssim": float(ssim((shown + 1) / 2, (truth + 1) / 2, data_range=1.0)),
        "sharpness": float(sharpness(shown, truth)),
        "residual": float((problem.op(x) - y).square().mean().sqrt()) / (problem.sigma_y or 1),
        "seconds": seconds,
    }


# ----------------------------------------------------------------------------------- pictures


def pixels_of(x: Tensor) -> np.ndarray:
    return ((x[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def seen(problem: Problem, y: Tensor, lost: int = 255) -> np.ndarray:
    """y as a picture: lost pixels white, small ones enlarged without smoothing."""
    shown = pixels_of(problem.op.pinv(y) if y.ndim != 4 else y)
    if problem.op.pixel_basis:
        shown = shown.copy()
        shown[(problem.op.spectrum()[0] == 0).numpy()] = lost
    return shown.repeat(SIDE // len(shown), 0).repeat(SIDE // shown.shape[1], 1)


def strip(pictures: dict[str, np.ndarray]) -> Image.Image:
    """Pictures side by side, each with its words below, pixel for pixel."""
    font, gap, foot = ImageFont.load_default(13), 6, 36
    side = next(iter(pictures.values())).shape[0]
    sheet = Image.new("RGB", ((side + gap) * len(pictures) - gap, side + foot), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (words, pixels) in enumerate(pictures.items()):
        left = place * (side + gap)
        sheet.paste(Image.fromarray(pixels), (left, 0))
        pen.multiline_text((left + 2, side + 3), words, fill="#1b1b1b", font=font, spacing=1)
    return sheet


def stacked(strips: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (strips[0].width, sum(s.height for s in strips)), "white")
    top = 0
    for one in strips:
        sheet.paste(one, (0, top))
        top += one.height
    return sheet


def picture_of(motif: str, task: str, rows: dict[tuple[str, ...], dict[str, str]]) -> Image.Image:
    """Measured, best classical, the paper's, the recommended, truth; dB and SSIM below."""
    here = {key[3]: row for key, row in rows.items() if key[:3] == (motif, str(SIDE), task)}
    problem, truth = tasks()[task], photograph(motif)

    def pixels(method: str) -> np.ndarray:
        return np.asarray(Image.open(kept(motif, task, method)))

    def told(method: str, name: str) -> str:
        row = here[method]
        return f"{name}\n{float(row['psnr']):.1f} dB, SSIM {float(row['ssim']):.3f}"

    rivals = [method for method in CLASSICAL if method in here]
    best = max(rivals, key=lambda name: float(here[name]["psnr"]))
    noise = f", sigma_y = {problem.sigma_y:g}" if problem.sigma_y else ""
    return strip(
        {
            f"{task}{noise}\nmeasured": seen(problem, measurement(problem, truth)),
            told(best, f"classical: {best}"): pixels(best),
            told(PAPER, PAPER): pixels(PAPER),
            told(RECOMMENDED, RECOMMENDED): pixels(RECOMMENDED),
            "truth\n ": pixels_of(truth),
        }
    )


README = (("coffee", "blur and noise"), ("astronaut", "noise"), ("chelsea", "scratches"))


def page(rows: dict[tuple[str, ...], dict[str, str]]) -> str:
    told = {"paper": PAPER, "recommended": RECOMMENDED, "machine": machine()}
    lines = [INTRODUCTION.format(**told), ""]
    for task, problem in tasks(CUT).items():
        for motif in CORNERS:
            here = {k[3]: row for k, row in rows.items() if k[:3] == (motif, str(SIDE), task)}
            if not here:
                continue
            lines += [f"## {motif}, {task}", ""]
            lines += ["| method | dB | SSIM | sharpness | residual | s |", "|---" * 6 + "|"]
            best = max(float(row["psnr"]) for row in here.values())
            for name, row in here.items():
                value = {number: float(row[number]) for number in NUMBERS}
                residual = value["residual"]
                told_residual = f"{residual:.2f} sigma_y" if problem.sigma_y else f"{residual:.1e}"
                dB = f"{value['psnr']:.2f}"
                dB = f"**{dB}**" if value["psnr"] == best else dB
                lines.append(
                    f"| {name} | {dB} | {value['ssim']:.3f} | {value['sharpness']:.2f} | "
                    f"{told_residual} | {value['seconds']:.2g} |"
                )
            file = f"photographs-{motif}-{task.replace(' ', '-')}.jpg"
            lines += ["", f"![{motif}, {task}: measured, classical, DDRM, moment matching]({file})"]
            lines += [""]
    return "\n".join(lines)


def applies(name: str, op: SVDOperator) -> bool:
    """The classical methods that are made for a task; the others' iterations are slow at 256."""
    if name not in BASELINES:
        return True
    if isinstance(op, Inpainting | SuperResolution):
        return name in ("biharmonic", "bicubic") and BASELINES[name].applies(op)
    return name == "wiener" or (isinstance(op, Denoising) and name in ("nlm", "tv"))


def kept(motif: str, task: str, name: str) -> Path:
    """Where the pixels of a restored picture stay until they are drawn."""
    words = f"{motif}-{task}-{name}".replace(" ", "-").replace(",", "")
    return ROOT / "build" / "photographs" / f"{words}.png"


@click.command(help=__doc__)
@click.option("--motif", "motifs", multiple=True, type=click.Choice(list(CORNERS)))
@click.option("--every", is_flag=True, help="All methods, not only those that are drawn.")
@click.option("--threads", default=1, show_default=True)
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path))
def main(motifs: tuple[str, ...], every: bool, threads: int, out: Path) -> None:
    torch.set_num_threads(threads)
    denoiser, done = load_denoiser("natural"), Continued(out / "photographs.csv", COLUMNS, NUMBERS)
    kept("", "", "").parent.mkdir(parents=True, exist_ok=True)
    methods = EVERY if every else FEW
    work = [
        (motif, side, task, name)
        for motif in motifs or CORNERS
        for side in (CUT, SIDE)
        for task, problem in tasks(side).items()
        for name in methods
        if applies(name, problem.op)
    ]
    for motif, side, task, name in tqdm(work):
        key = (motif, str(side), task, name)
        if key in done.rows and (side == CUT or kept(motif, task, name).exists()):
            continue
        problem, truth = tasks(side)[task], photograph(motif, side)
        y = measurement(problem, truth)
        begin = time.process_time()
        x = methods[name](denoiser, problem.op, y, problem.sigma_y).float()
        seconds = time.process_time() - begin
        if side == SIDE:
            Image.fromarray(pixels_of(x)).save(kept(motif, task, name))
        if key not in done.rows:
            done.add(key, numbers(x, truth, problem, y, seconds))
    (out / "photographs.md").write_text(page(done.rows))
    sheets = {}
    for motif, task in itertools.product(CORNERS, tasks()):
        if (motif, str(SIDE), task, RECOMMENDED) in done.rows:
            sheets[motif, task] = sheet = picture_of(motif, task, done.rows)
            file = f"photographs-{motif}-{task.replace(' ', '-')}.jpg"
            sheet.save(out / file, quality=88, subsampling=0, optimize=True)
    if set(README) <= set(sheets):
        whole = stacked([sheets[pair] for pair in README])
        whole.save(ROOT / "figures" / "photographs.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()

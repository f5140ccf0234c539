"""Command line: ``ddrm-edu restore``, ``check``, ``train`` and ``grade``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import ddrm_edu  # its names are imported when they are asked for

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TASKS: dict[str, Callable[..., ddrm_edu.SVDOperator]] = {  # H of images of this shape
    "denoise": lambda shape, factor, kept: ddrm_edu.Denoising(shape),
    "inpaint": lambda shape, factor, kept: ddrm_edu.Inpainting(kept, channels=shape[0]),
    "superres": lambda shape, factor, kept: ddrm_edu.SuperResolution(shape, factor),
    "colorize": lambda shape, *_: ddrm_edu.Colorization(shape, (1 / shape[0],) * shape[0]),
}


class _OneLineErrors(click.Group):
    """Bad input ends in one sentence and exit status 1, not in a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(
    cls=_OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="ddrm-edu")
def main() -> None:
    """Restore images by denoising diffusion restoration models (DDRM)."""


@main.command()
@click.argument("image", type=FILE)
@click.option("--task", type=click.Choice(list(TASKS)), required=True, help="What was lost.")
@click.option("--measured", is_flag=True, help="IMAGE is the measurement itself, truth unknown.")
@click.option("--sigma-y", type=float, default=None, help="Noise, on the scale [-1, 1].")
@click.option("--factor", type=int, default=2, help="superres: side of the averaged block.")
@click.option("--missing", type=float, default=0.5, help="inpaint: share of pixels lost at random.")
@click.option(
    "--mask", type=FILE, help="inpaint: picture of the image's size, white where it was measured."
)
@click.option("--model", default="natural", help="Pretrained prior: natural or fashion.")
@click.option("--size", type=int, default=32, help="Reduce the photograph to SIZE x SIZE first.")
@click.option("--steps", type=int, default=20, help="Network evaluations.")
@click.option("--eta", type=float, default=0.85)
@click.option("--eta-b", type=float, default=1.0)
@click.option("--seed", type=int, default=0)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="New file to write, PNG unless its suffix says otherwise.  [default: IMAGE-TASK.png]",
)
def restore(
    image: Path, task: str, measured: bool, size: int, out: Path | None, **options: Any
) -> None:
    """Degrade IMAGE, restore it, and write truth, measurement and restoration side by side.

    With --measured, IMAGE is taken for the measurement y, at its own size, and nothing is degraded.
    A file that exists is never overwritten.
    """
    import matplotlib

    matplotlib.use("Agg")
    import torch

    from .noise import standard_normal
    from .pictures import format_of_new, read_picture, restoration_grid, write_new

    out = out or image.with_name(f"{image.stem}-{task}.png").absolute()
    format_of_new(out)  # a name that cannot be written is refused before the network runs
    factor, mask, missing, model, seed, device, sigma_y = (
        options.pop(name)
        for name in ("factor", "mask", "missing", "model", "seed", "device", "sigma_y")
    )
    denoiser = ddrm_edu.load_denoiser(model, device=device)
    sigma_y = (0.25 if task == "denoise" else 0.0) if sigma_y is None else sigma_y
    generator = torch.Generator().manual_seed(seed)

    channels = denoiser.net.in_channels
    grey = measured and task == "colorize"
    picture = read_picture(image, 1 if grey else channels, None if measured else size)
    reduced = factor if measured and task == "superres" else 1
    shape = (channels, *(side * reduced for side in picture.shape[-2:]))
    kept = None
    if task == "inpaint":
        kept = _kept(shape[1:], mask, None if measured else missing, generator)
    op = TASKS[task](shape, factor, kept)
    if measured:
        y = picture[:, op.s > 0] if task == "inpaint" else picture
    else:
        y = op(picture)
        y = y + sigma_y * standard_normal(y, generator)
    x = ddrm_edu.restore(
        denoiser, op, y.to(device), sigma_y=sigma_y, generator=generator, progress=True, **options
    ).cpu()

    start = op.pinv(y)
    seen = start.masked_fill(op.s == 0, float("nan")) if task == "inpaint" else y
    columns = {"measurement": [seen[0]], "DDRM": [x[0]]}
    captions = {}
    if not measured:
        plain, score = (
            f"PSNR {ddrm_edu.psnr(of, picture).item():.2f} dB  "
            f"SSIM {ddrm_edu.ssim(of, picture).item():.3f}"
            for of in (start, x)
        )
        columns = {"truth": [picture[0]], **columns}
        captions["DDRM"] = [score.replace("  ", "\n")]
        click.echo(f"pseudo-inverse  {plain}\nDDRM            {score}")
    residual = float((op(x) - y).norm() / y.norm())
    click.echo(f"|H x - y| / |y| = {residual:.1e}  (noise in y: sigma_y = {sigma_y:g})")
    write_new(out, restoration_grid(columns, [task], captions))
    click.echo(f"wrote {out}")


def _kept(
    shape: tuple[int, ...], mask: Path | None, missing: float | None, generator: torch.Generator
) -> Tensor:
    """The pixels (h, w) that were measured: those of the mask, or a random share."""
    import torch

    from .pictures import read_picture

    if mask:
        kept = read_picture(mask, 1)[0, 0] > 0
        if kept.shape != shape:
            raise ValueError(
                f"The mask is {tuple(kept.shape)} pixels, but the image {shape}. "
                "Save the mask at the size of the (reduced) image."
            )
        return kept
    if missing is None:
        raise ValueError("--measured --task inpaint needs --mask, to know which pixels count.")
    if not 0 <= missing < 1:
        raise ValueError(f"--missing must lie in [0, 1), but was {missing:g}.")
    return torch.rand(shape, generator=generator, dtype=torch.float64) >= missing


@main.command()
@click.argument("target", metavar="FILE.py:NAME")
@click.option("--truth", metavar="NAME", help="Name in FILE.py of H, built another way.")
@click.option("--in-shape", metavar="C,H,W", help="Shape of one image, if H is a function.")
@click.option("--sigma-y", type=float, default=0.05, help="Noise in y.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports for machines.")
def check(
    target: str, truth: str | None, in_shape: str | None, sigma_y: float, as_json: bool
) -> None:
    """Test your own H: the claims of its SVD, its assumptions, and what DDRM does with it.

    NAME is a matrix, an SVDOperator, a scipy LinearOperator, a function of images, a pair of
    functions (forward, adjoint), or a function without arguments that makes one of these.
    The same as tests: pytest --H FILE.py:NAME
    """
    from .checks import check_H
    from .operators.convert import attribute_of, loaded, shape_of

    # What FILE.py prints must not stand in the middle of the JSON.
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        H, module = loaded(target)
        reports = check_H(
            H,
            in_shape=shape_of(in_shape),
            truth=attribute_of(module, truth),
            sigma_y=sigma_y,
        )
    click.echo(json.dumps(reports.to_dict(), indent=2) if as_json else reports)
    if not reports.ok:
        raise SystemExit(1)
    if not reports.examined:
        click.echo(
            "\nNOT EXAMINED: no claim of an operator was asked, see the reasons above.", err=True
        )
        raise SystemExit(2)


@main.command()
@click.argument("name", type=click.Choice(["natural", "fashion"]))
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Folder of this run.")
@click.option("--images", "total_images", type=int, default=800_000, help="Images to see in all.")
@click.option("--batch", type=int, default=64)
@click.option("--learning-rate", type=float, default=1e-3)
@click.option("--widths", default="64,96,128", help="Channels of each level, finest first.")
@click.option("--blocks", type=int, default=2, help="Residual blocks per level.")
@click.option("--seed", type=int, default=0)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option("--threads", type=int, default=None, help="CPU threads; all by default.")
def train(name: str, run: Path, widths: str, threads: int | None, **options: Any) -> None:
    """Train a prior on CIFAR-10 (natural) or Fashion-MNIST (fashion), or go on with a stopped run.

    The data is fetched on the first use.  Stop the command whenever you like: it keeps a checkpoint
    every few minutes, and the same command continues from there.
    """
    import torch

    from .pretrained.training import train

    if threads:
        torch.set_num_threads(threads)
    levels = tuple(int(width) for width in widths.split(","))
    weights = train(name, run, widths=levels, **options)
    click.echo(f"wrote {weights}; use it with load_denoiser({name!r}, folder={str(run)!r})")


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default="marks", help="Folder to write.")
@click.option("--jobs", type=click.IntRange(1, 500), help="Copies at a time.  [default: cores]")
@click.option("--seconds", type=float, default=30.0, help="For one cell, or one call.")
@click.option("--memory", type=float, default=2.0, help="GiB of one process, beyond the libraries.")
@click.option("--unsafe", is_flag=True, help="Run them with your rights where no cage holds.")
def grade(
    folder: Path, out: Path, jobs: int | None, seconds: float, memory: float, unsafe: bool
) -> None:
    """Mark the exercises in all notebooks of FOLDER, each in a process that can do no harm."""
    from .course import grading

    limits = grading.Limits(seconds=seconds, memory=int(memory * 2**30))
    marks = grading.grade(folder, limits=limits, jobs=jobs, unsafe=unsafe)
    for copy, count in grading.totals(marks):
        click.echo(f"{copy}: " + ", ".join(f"{n} {status}" for status, n in count.items()))
    click.echo("wrote " + ", ".join(map(str, grading.write(marks, out))))

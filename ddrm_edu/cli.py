"""Command line: ``restore``, ``evaluate``, ``check``, ``train``, ``grade`` and ``lectures``."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)  # what torch, numpy and their sums take


class _OneLineErrors(click.Group):
    """Bad input ends in one sentence and exit status 1, not in a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except SystemExit as error:  # of a reader's own code: the commands themselves never do
            raise click.ClickException(
                f"sys.exit({error.code!r}) was called in your own code, where it ends nothing. "
                "Return a result, or raise an exception that says what is wrong."
            ) from error


@click.group(
    cls=_OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="ddrm-edu")
def main() -> None:
    """Restore images by denoising diffusion restoration models (DDRM)."""


@main.command()
@click.argument("source", metavar="FILE|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--task",
    required=True,
    metavar="TASK",
    help="What was lost: denoise, inpaint, superres, colorize, deblur, demosaic, "
    "compressed-sensing, or FILE.py:NAME of your own H.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="New PNG, TIFF or NPY file, or folder for a folder.  [default: FILE-TASK]",
)
@click.option(
    "--sigma-y",
    metavar="S|MAP",
    help="Noise in y: 0.1 on the scale [-1, 1]; 20/255 or 5% of the file's own range; or a map of "
    "it, NPY or TIFF, a number for each pixel in the units of FILE, infinite where it was not "
    "measured.  "
    "[default: estimated for denoise, else the file is exact up to its rounding]",
)
@click.option(
    "--range",
    "value_range",
    metavar="LOW,HIGH",
    help="Black and white in the numbers of FILE.  [default: all of 8 or 16 bits, 0,1 for floats]",
)
@click.option("--mask", type=FILE, help="inpaint: picture of that size, white where measured.")
@click.option("--factor", type=int, default=2, help="superres: how many times larger.")
@click.option(
    "--kernel",
    help="superres: mean or bicubic.  deblur: gaussian:SIGMA, motion:LENGTH,ANGLE, or a file.",
)
@click.option(
    "--border",
    type=click.Choice(["wrap", "zero", "mirror", "replicate"]),
    default="wrap",
    help="deblur: beyond its border the picture is repeated, black, mirrored, or its last pixel.",
)
@click.option(
    "--weights", default="rec601", help="colorize: grey of R,G,B: rec601, mean or three numbers."
)
@click.option(
    "--pattern",
    type=click.Choice(["RGGB", "BGGR", "GRBG", "GBRG"]),
    default="RGGB",
    help="demosaic: colours of the first four pixels.",
)
@click.option(
    "--in-shape", metavar="C,H,W", help="Shape of x: compressed-sensing, or H that is a function."
)
@click.option("--h-seed", type=SEED, default=0, help="compressed-sensing: seed of H.")
@click.option(
    "--degrade", is_flag=True, help="FILE is clean: measure it first, and compare with it."
)
@click.option("--missing", type=float, default=0.5, help="--degrade inpaint: share of pixels lost.")
@click.option("--share", type=float, default=0.25, help="--degrade compressed-sensing: m / n.")
@click.option("--size", type=int, help="--degrade: reduce the centre to SIZE x SIZE first.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw the comparison, too.")
@click.option(
    "--model",
    default="natural",
    help="Pretrained prior: natural or fashion; or a model of diffusers: FOLDER, or OWNER/NAME on "
    "the Hugging Face hub.",
)
@click.option("--method", default="ddrm", help="Method of the library's restore.")
@click.option("--steps", type=int, default=20, help="Network evaluations.")
@click.option("--eta", type=float, default=0.85)
@click.option("--eta-b", type=float, default=1.0)
@click.option("--seed", type=SEED, default=0)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option(
    "--tile",
    type=click.IntRange(1),
    help="Side of the parts that the network sees.  [default: 512 if large]",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.pass_context
def restore(context: click.Context, source: Path, out: Path | None, **options: Any) -> None:
    """Restore a measured FILE, or each one of a FOLDER, at its own size, depth and scale.

    FILE is y = H x + z, and x is written.  PNG, TIFF, JPEG, WebP, BMP, GIF and NPY of 8 or 16 bits
    or floats are read; orientation is applied, alpha and colour profile are kept.
    """
    import matplotlib

    matplotlib.use("Agg")
    from .restoration import METHODS
    from .restoring_files import Options, restore_files
    from .tasks import Task

    default = click.core.ParameterSource.DEFAULT
    given = {name for name in options if context.get_parameter_source(name) != default}
    words = ("mask", "factor", "kernel", "border", "weights", "pattern", "in_shape", "share")
    method = options["method"]
    task = Task(
        name=options.pop("task"),
        svd=method not in METHODS or "svd" in METHODS[method].needs,
        **{word: options.pop(word) for word in (*words, "h_seed")},
    )
    restore_files(source, out, Options(task=task, given=frozenset(given), **options), click.echo)


def _numbers(kind: type) -> Any:
    """Numbers with commas, such as 20,50."""

    def read(context: click.Context, parameter: click.Parameter, text: str) -> list[Any]:
        try:
            return [kind(word) for word in text.split(",")]
        except ValueError:
            raise ValueError(
                f"{parameter.opts[0]} expects numbers with commas, such as "
                f"{'20,50' if kind is int else '0,0.05'}, but was {text!r}."
            ) from None

    return read


@main.command()
@click.argument("images", metavar="[IMAGES|FOLDER]", default="natural")
@click.option("-o", "--out", type=NEW_FOLDER, required=True, help="Folder of results.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    default=("denoise", "inpaint:0.5", "superres:2"),
    help="denoise, inpaint:SHARE, box:SIDE, superres:FACTOR, deblur:gaussian:SIGMA, colorize, "
    "compressed-sensing:SHARE, FILE.py:NAME ...; may be repeated.",
)
@click.option("--sigma-y", "noises", callback=_numbers(float), default="0.05", help="On [-1, 1].")
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=("pinv", "wiener", "tv", "nlm", "biharmonic", "bicubic", "ddrm", "moment-matching"),
    help="A method of restore with options, such as moment-matching:cg_steps=3, or a classical "
    "one; may be repeated.",
)
@click.option(
    "--eta",
    "etas",
    default="own",
    help="With commas: own (the method's), tight, numbers, A/B (measured / not measured).",
)
@click.option("--steps", callback=_numbers(int), default="20", help="With commas.")
@click.option("--draws", type=int, default=1, help="Draws of each image: energy score, coverage.")
@click.option("--count", type=int, help="The first so many images.  [default: all; 64 of a split]")
@click.option("--size", type=int, help="FOLDER: reduce the centre of each to SIZE x SIZE.")
@click.option("--chunk", type=int, default=16, help="Images of one unit of work.")
@click.option("--seed", type=SEED, default=0)
@click.option(
    "--model",
    default="natural",
    help="Pretrained prior: natural or fashion; a model of diffusers; or FILE.py:NAME, a denoiser.",
)
@click.option("--device", default="cpu", help="cpu or cuda; each process takes its own GPU.")
@click.option("--lpips", is_flag=True, help="LPIPS, too: needs torchmetrics and its weights.")
@click.option("--tables", "only_tables", is_flag=True, help="Only write the tables anew.")
def evaluate(**options: Any) -> None:
    """Measure restoration over held-out images: tasks x noise x methods x eta x steps.

    IMAGES are natural, natural:64, natural:128 or fashion, which ship with the package; the test
    split cifar10 or fashion-mnist; or a FOLDER of your own pictures.

    \b
    ddrm-edu evaluate natural --task inpaint:0.7 --task superres:2 --sigma-y 0,0.05 \\
      --method biharmonic --method ddrm --method moment-matching --eta own,1 --steps 20,50 -o runs

    The folder gets images.csv, table.csv, table.md and figure.png.  Stop it whenever you like: the
    same command goes on, and more tasks, methods and steps may be added to a folder, but a folder
    of other images, models or draws is refused.  Many processes, here or on other machines that
    see the folder, share the work: torchrun --nproc-per-node 2 -m ddrm_edu evaluate ...
    """
    from .evaluation.command import evaluate

    evaluate(**options, say=click.echo)


@main.command()
@click.argument("target", metavar="FILE.py:NAME")
@click.option("--truth", metavar="NAME", help="Name in FILE.py of H, built another way.")
@click.option("--in-shape", metavar="C,H,W", help="Shape of one image, if H is a function.")
@click.option("--sigma-y", type=float, default=0.05, help="Noise in y.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports for machines.")
@click.pass_context
def check(
    context: click.Context,
    target: str,
    truth: str | None,
    in_shape: str | None,
    sigma_y: float,
    as_json: bool,
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
        context.exit(1)
    if not reports.examined:
        click.echo(
            "\nNOT EXAMINED: no claim of an operator was asked, see the reasons above.", err=True
        )
        context.exit(2)


@main.command()
@click.argument("name", type=click.Choice(["natural", "fashion"]))
@click.option("--run", type=NEW_FOLDER, required=True, help="Folder of this run.")
@click.option(
    "--images",
    "total_images",
    type=click.IntRange(1),
    default=800_000,
    help="Images to see in all.",
)
@click.option("--batch", type=click.IntRange(1), default=64)
@click.option("--learning-rate", type=float, default=1e-3)
@click.option("--widths", default="64,96,128", help="Channels of each level, finest first.")
@click.option("--blocks", type=int, default=2, help="Residual blocks per level.")
@click.option("--seed", type=SEED, default=0)
@click.option("--enlarged", type=float, default=0.0, help="Share of images enlarged by 1 to 4.")
@click.option(
    "--from", "source", metavar="NAME|FILE", help="Weights to start from: a model, or .safetensors."
)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option(
    "--threads", type=click.IntRange(1, 1024), default=None, help="CPU threads; all by default."
)
def train(
    name: str, run: Path, widths: str, source: str | None, threads: int | None, **options: Any
) -> None:
    """Train a prior on CIFAR-10 (natural) or Fashion-MNIST (fashion), or go on with a stopped run.

    The data is fetched on the first use.  Stop the command whenever you like: it keeps a checkpoint
    every few minutes, and the same command continues from there.
    """
    import torch

    from .pretrained import load_denoiser
    from .pretrained.training import train
    from .restoring_files import device_of

    device_of(options["device"])
    if threads:
        torch.set_num_threads(threads)
    try:
        levels = tuple(int(width) for width in widths.split(","))
    except ValueError:
        raise click.BadParameter(
            f"--widths expects whole numbers with commas between them, such as 64,96,128, but was "
            f"{widths!r}."
        ) from None
    start = None
    if source:
        file = Path(source)
        own = file.suffix == ".safetensors"
        start = load_denoiser(file.stem if own else source, folder=file.parent if own else None)
    weights = train(name, run, widths=levels, start=start, **options)
    click.echo(f"wrote {weights}; use it with load_denoiser({name!r}, folder={str(run)!r})")


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=NEW_FOLDER, default="marks", help="Folder to write.")
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


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--solutions", is_flag=True, help="The notebooks with the solutions, too.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def lectures(folder: Path, solutions: bool, force: bool) -> None:
    """Copy the lectures to FOLDER, to read them, run them and write in them."""
    from .course.copies import copy_lectures

    copies = copy_lectures(folder, solutions=solutions, force=force)
    click.echo(f"wrote {len(copies)} notebooks below {folder}; begin with {copies[0]}")

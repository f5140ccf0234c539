"""Command line: ``ddrm-edu restore``, ``ddrm-edu check``, ``ddrm-edu train``."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor

TASKS = ["denoise", "inpaint", "superres", "colorize"]


def _one_line_errors(command):
    """Bad input ends in one sentence and exit status 1, not in a traceback."""

    @functools.wraps(command)
    def guarded(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error

    return guarded


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="ddrm-edu")
def main():
    """Restore images by denoising diffusion restoration models (DDRM)."""


@main.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", type=click.Choice(TASKS), required=True, help="What was lost.")
@click.option("--measured", is_flag=True, help="IMAGE is the measurement itself, truth unknown.")
@click.option("--sigma-y", type=float, default=None, help="Noise, on the scale [-1, 1].")
@click.option("--factor", type=int, default=2, help="superres: side of the averaged block.")
@click.option("--missing", type=float, default=0.5, help="inpaint: share of pixels lost at random.")
@click.option(
    "--mask",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="inpaint: picture of the image's size, white where it was measured.",
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
@_one_line_errors
def restore(image, task, measured, sigma_y, factor, missing, mask, model, size, out, **options):
    """Degrade IMAGE, restore it, and write truth, measurement and restoration side by side.

    With --measured, IMAGE is taken for the measurement y, at its own size, and nothing is degraded.
    A file that exists is never overwritten.
    """
    import matplotlib

    matplotlib.use("Agg")
    import torch

    from .ddrm import restore
    from .metrics import psnr, ssim
    from .pictures import restoration_grid
    from .pretrained import load_denoiser

    out = out or image.with_name(f"{image.stem}-{task}.png").absolute()
    _require_new(out)
    kind = _format_of(out)
    denoiser = load_denoiser(model, device=options["device"])
    sigma_y = (0.25 if task == "denoise" else 0.0) if sigma_y is None else sigma_y
    generator = torch.Generator().manual_seed(options["seed"])

    picture = _read(image, denoiser.in_channels if not (measured and task == "colorize") else 1)
    picture = picture if measured else _square(picture, size)
    kept = _read_mask(mask, picture.shape[-2:]) if mask else None
    op = _operator(task, picture, measured, denoiser.in_channels, factor, missing, kept, generator)
    if measured:
        y = picture[:, op.s > 0] if task == "inpaint" else picture
    else:
        from .noise import standard_normal

        y = op(picture)
        y = y + sigma_y * standard_normal(y, generator)
    x = restore(
        denoiser,
        op,
        y.to(options["device"]),
        sigma_y=sigma_y,
        steps=options["steps"],
        eta=options["eta"],
        eta_b=options["eta_b"],
        generator=generator,
        progress=True,
    ).cpu()

    seen = op.pinv(y).masked_fill(op.s == 0, float("nan")) if task == "inpaint" else y
    columns = {"measurement": [seen[0]], "DDRM": [x[0]]}
    captions = {}
    residual = float((op(x) - y).norm() / y.norm())
    if not measured:
        columns = {"truth": [picture[0]], **columns}
        score = f"PSNR {psnr(x, picture).item():.2f} dB  SSIM {ssim(x, picture).item():.3f}"
        start = op.pinv(y)
        plain = f"PSNR {psnr(start, picture).item():.2f} dB  SSIM {ssim(start, picture).item():.3f}"
        captions = {"DDRM": [score.replace("  ", "\n")]}
        click.echo(f"pseudo-inverse  {plain}\nDDRM            {score}")
    click.echo(f"|H x - y| / |y| = {residual:.1e}  (noise in y: sigma_y = {sigma_y:g})")
    content = io.BytesIO()
    restoration_grid(columns, [task], captions).savefig(content, dpi=150, format=kind)
    _write_new(out, content.getvalue())
    click.echo(f"wrote {out}")


def _operator(task, picture, measured, channels, factor, missing, kept, generator):
    """The operator of a task for this picture (the truth, or with ``measured`` the measurement)."""
    import torch

    from .operators import Colorization, Denoising, Inpainting, SuperResolution

    shape = (channels, *picture.shape[-2:])
    if task == "denoise":
        return Denoising(shape)
    if task == "colorize":
        return Colorization(shape, (1 / channels,) * channels)
    if task == "superres":
        height, width = (side * (factor if measured else 1) for side in shape[1:])
        return SuperResolution((channels, height, width), factor)
    if kept is None:
        if measured:
            raise ValueError("--measured --task inpaint needs --mask, to know which pixels count.")
        if not 0 <= missing < 1:
            raise ValueError(f"--missing must lie in [0, 1), but was {missing:g}.")
        kept = torch.rand(shape[1:], generator=generator, dtype=torch.float64) >= missing
    return Inpainting(kept, channels=channels)


def _require_new(path: Path) -> None:
    """Refuse a name that is taken, or whose folder takes no file, before the network runs."""
    if os.path.lexists(path):  # a link that leads nowhere is somebody's file, too
        raise ValueError(
            f"restore writes its picture to a new file, but {path} exists already and is left as "
            "it is. Give another name with --out, or move that file away."
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"--out expects a file in a folder that exists, but there is no folder {path.parent}. "
            "Make it first, or give another --out."
        )
    if not os.access(path.parent, os.W_OK):
        raise ValueError(
            f"--out expects a folder that you may write to, but {path.parent} is read-only for "
            "you. Give another --out."
        )


def _format_of(path: Path) -> str:
    """The format that a name asks for: its suffix, PNG without one."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    kind = path.suffix[1:].lower() or "png"
    if kind not in known:
        raise ValueError(
            f"--out expects a name that ends in one of {', '.join(known)}, or in nothing (which "
            f"gives a PNG), but was {path}. Give another --out."
        )
    return kind


def _write_new(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and never over another one.

    The name is taken by an exclusive creation, which fails if the file appeared during the run;
    hard links would do it in one step, but not every file system has them.
    """
    with tempfile.TemporaryDirectory(prefix=".ddrm-edu-", dir=path.parent) as folder:
        whole = Path(folder, "picture")
        whole.write_bytes(content)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            _require_new(path)
            raise
        whole.replace(path)


def _read(path: Path, channels: int) -> Tensor:
    """Image file as a float tensor (1, channels, h, w) in [-1, 1]."""
    import numpy as np
    import torch
    from PIL import Image

    from .data import to_float

    # As a stream: Pillow maps an uncompressed TIFF into memory by its path, in the rotated shape.
    with path.open("rb") as stream, Image.open(stream) as file:
        picture = _upright_8_bit(file, path.name)
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    pixels = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(to_float(pixels)).float()[None]


# Pillow's modes of 8 bits per value whose conversion to grey or RGB keeps the range 0..255.
MODES_8_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


def _upright_8_bit(file: Picture, name: str) -> Picture:
    """The picture the way up that its EXIF entry says, if converting it changes no value's meaning.

    Raises
    ------
    ValueError
        For more than 8 bits per value or floats (Pillow's ``convert`` clips them to 0..255), for
        modes that are not understood, and for transparent pixels (their colour is arbitrary).
    """
    from PIL import ImageOps

    # Pillow opens colours of 16 bits in the mode of 8; only the layout in the file tells.
    if file.format == "TIFF":
        deep = max(file.tag_v2.get(258, (1,))) > 8  # BitsPerSample
    else:
        deep = any(";16B" in str(tile[3]) for tile in getattr(file, "tile", []))
    if deep or file.mode in ("I", "F") or file.mode.startswith("I;"):
        raise ValueError(
            f"restore expects a picture with 8 bits per value (0..255), but {name} has 16 or more, "
            f"or floats (Pillow's mode {file.mode}), and would be clipped or cut off. "
            "Save it as an 8-bit PNG first: round(255 * value / largest possible value)."
        )
    if file.mode not in MODES_8_BIT:
        raise ValueError(
            f"restore expects a grey, RGB, CMYK or palette picture, but {name} has Pillow's mode "
            f"{file.mode}, whose values mean something else. Save it as an RGB PNG first."
        )
    picture = ImageOps.exif_transpose(file)
    alpha = "A" in picture.getbands() or "transparency" in picture.info
    if alpha and picture.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise ValueError(
            f"restore expects a picture whose pixels all have a colour, but {name} has "
            "transparent ones. Put it on a background and save it without alpha channel first."
        )
    return picture


def _read_mask(path: Path, shape):
    mask = _read(path, 1)[0, 0] > 0
    if mask.shape != shape:
        raise ValueError(
            f"The mask is {tuple(mask.shape)} pixels, but the image {tuple(shape)}. "
            "Save the mask at the size of the (reduced) image."
        )
    return mask


def _square(picture, size: int):
    """The centre square of a picture, reduced to ``size x size`` with anti-aliasing."""
    import numpy as np
    import torch
    from PIL import Image

    from .data import to_uint8

    side = min(picture.shape[-2:])
    if side < size:
        raise ValueError(
            f"--size {size} is larger than the picture ({side} pixels on its short side)."
        )
    top, left = ((length - side) // 2 for length in picture.shape[-2:])
    square = to_uint8(picture[0, :, top : top + side, left : left + side].numpy())
    reduced = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.LANCZOS))
        for plane in square
    ]
    return torch.from_numpy(np.stack(reduced)).float()[None] / 127.5 - 1


@main.command()
@click.argument("target", metavar="FILE.py:NAME")
@click.option("--truth", metavar="NAME", help="Name in FILE.py of H, built another way.")
@click.option("--in-shape", metavar="C,H,W", help="Shape of one image, if H is a function.")
@click.option("--sigma-y", type=float, default=0.05, help="Noise in y.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports for machines.")
@_one_line_errors
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
@_one_line_errors
def train(name, run, widths, threads, **options):
    """Train a prior on CIFAR-10 (natural) or Fashion-MNIST (fashion), or go on with a stopped run.

    The data is fetched on the first use.  Stop the command whenever you like: it keeps a checkpoint
    every few minutes, and the same command continues from there.
    """
    import torch

    from .pretrained.training import train

    if threads:
        torch.set_num_threads(threads)
    widths = tuple(int(width) for width in widths.split(","))
    weights = train(name, run, widths=widths, **options)
    click.echo(f"wrote {weights}; use it with load_denoiser({name!r}, folder={str(run)!r})")

"""Pictures: files as images and back, one image drawn, and a grid of restorations."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor

from .data import to_float

INK, MUTED = "#1b1b1b", "#6f6f6f"


def axes_grid(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of the given size in inches and its array (rows, columns) of axes.

    ``options`` go to ``plt.subplots``.
    """
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)


def draw_image(ax: Axes, image: Tensor, title: str = "", caption: str = "") -> None:
    """Draw one image (c, h, w) in [-1, 1]; pixels that are NaN (not measured) appear hatched."""
    pixels = np.moveaxis(np.asarray(image.detach().cpu(), dtype=float), 0, -1)
    lost = np.isnan(pixels).any(-1)
    shown = np.clip(np.nan_to_num(pixels) / 2 + 0.5, 0, 1).repeat(3 // pixels.shape[-1], axis=-1)
    rgba = np.concatenate([shown, np.where(lost, 0.0, 1.0)[..., None]], axis=-1)
    ax.add_patch(
        plt.Rectangle((0, 0), 1, 1, transform=ax.transAxes, fc="w", ec="#c8c8c8", hatch="//////")
    )
    ax.imshow(rgba, interpolation="nearest", zorder=2)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10, color=INK)
    ax.set_xlabel(caption, fontsize=8, color=MUTED, labelpad=3)
    ax.spines[:].set_visible(False)


def restoration_grid(
    columns: Mapping[str, Sequence[Tensor]],
    row_titles: Sequence[str],
    captions: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
) -> Figure:
    """One row per task, one column per stage (truth, measurement, pseudo-inverse, DDRM ...).

    Parameters
    ----------
    columns : mapping
        Column title to one image (c, h, w) per row; sizes may differ from cell to cell.
    row_titles : sequence of str
    captions : mapping, optional
        Column title to one line of text per row, drawn below the images.
    title : str

    Returns
    -------
    Figure
        Of matplotlib: ``figure.savefig("restored.png")`` writes it.

    Examples
    --------
    >>> import torch
    >>> truth, y = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 4, 4)
    >>> figure = restoration_grid({"truth": truth, "y": y}, ["cat", "dog"])
    >>> [ax.get_title() for ax in figure.axes]
    ['truth', 'y', '', '']
    """
    rows = len(row_titles)
    figure, axes = axes_grid(rows, len(columns), (1.45 * len(columns) + 0.4, 1.6 * rows + 0.4))
    for column, (name, images) in enumerate(columns.items()):
        notes = (captions or {}).get(name, [""] * rows)
        for row, image in enumerate(images):
            draw_image(axes[row, column], image, name if row == 0 else "", notes[row])
    for row, text in enumerate(row_titles):
        axes[row, 0].set_ylabel(text, fontsize=10, color=INK)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def read_picture(path: Path, channels: int, size: int | None = None) -> Tensor:
    """A picture file as an image, the way up that its EXIF entry says.

    Parameters
    ----------
    path : Path
    channels : int
        1 for grey; else the colours red, green and blue.
    size : int, optional
        The centre square is reduced to ``size x size`` with anti-aliasing.

    Returns
    -------
    Tensor of float32, shape (1, channels, h, w), in [-1, 1]

    Raises
    ------
    ValueError
        For more than 8 bits per value or floats (Pillow's ``convert`` clips them to 0..255), for
        modes that are not understood, for transparent pixels (their colour is arbitrary), and for
        pictures smaller than ``size``.
    """
    # As a stream: Pillow maps an uncompressed TIFF into memory by its path, in the rotated shape.
    with path.open("rb") as stream, Image.open(stream) as file:
        picture = _upright_8_bit(file, path.name).convert("L" if channels == 1 else "RGB")
    if size is not None:
        side = min(picture.size)
        if side < size:
            raise ValueError(
                f"--size {size} is larger than the picture ({side} pixels on its short side)."
            )
        left, top = ((length - side) // 2 for length in picture.size)
        square = picture.crop((left, top, left + side, top + side))
        picture = square.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)
    return torch.from_numpy(to_float(pixels)).float()[None]


# Pillow's modes of 8 bits per value whose conversion to grey or RGB keeps the range 0..255.
MODES_8_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


def _upright_8_bit(file: Image.Image, name: str) -> Image.Image:
    """The picture the right way up, if converting it to grey or RGB changes no value's meaning."""
    # Pillow opens colours of 16 bits in the mode of 8; only the layout in the file tells.
    bits_per_sample = getattr(file, "tag_v2", {}).get(258, (1,))  # of a TIFF
    layout = str([tile[3] for tile in getattr(file, "tile", [])])
    deep = max(bits_per_sample) > 8 or ";16B" in layout
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
    if alpha and picture.convert("RGBA").getchannel("A").getextrema()[0] != 255:
        raise ValueError(
            f"restore expects a picture whose pixels all have a colour, but {name} has "
            "transparent ones. Put it on a background and save it without alpha channel first."
        )
    return picture


def format_of_new(path: Path) -> str:
    """The format of matplotlib that a new file's suffix asks for, PNG without one.

    Raises
    ------
    ValueError
        For a name that is taken or has an unknown suffix, and a folder that takes no file.
    """
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
    known = sorted(Figure().canvas.get_supported_filetypes())
    kind = path.suffix[1:].lower() or "png"
    if kind not in known:
        raise ValueError(
            f"--out expects a name that ends in one of {', '.join(known)}, or in nothing (which "
            f"gives a PNG), but was {path}. Give another --out."
        )
    return kind


def write_new(path: Path, figure: Figure) -> None:
    """Write a figure whole or not at all, and never over a file: errors as `format_of_new`.

    The name is taken by an exclusive creation, which fails if the file has just appeared; hard
    links would do it in one step, but not every file system has them.
    """
    kind = format_of_new(path)
    with tempfile.TemporaryDirectory(prefix=".ddrm-edu-", dir=path.parent) as folder:
        whole = Path(folder, "picture")
        figure.savefig(whole, dpi=150, format=kind)
        path.touch(exist_ok=False)
        whole.replace(path)

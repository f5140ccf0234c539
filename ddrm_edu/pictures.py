"""Figures of images: one image drawn, a grid of restorations, written to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .files import new_file, require_new

INK, MUTED = "#1b1b1b", "#6f6f6f"


def axes_grid(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of the given size in inches and its array (rows, columns) of axes.

    ``options`` go to ``plt.subplots``.  Pyplot forgets the figure at once: of those that it knows
    a slider would show one again, beside the picture that it was given.
    """
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained", **options
    )
    plt.close(figure)
    return figure, axes


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


def format_of_new(path: Path, *, force: bool = False) -> str:
    """The format of matplotlib that a new figure's suffix asks for, PNG without one.

    Raises
    ------
    ValueError
        For an unknown suffix, or as ``files.require_new``.
    """
    known = sorted(Figure().canvas.get_supported_filetypes())
    kind = path.suffix[1:].lower() or "png"
    if kind not in known:
        raise ValueError(
            f"--figure expects a name that ends in one of {', '.join(known)}, or in nothing (which "
            f"gives a PNG), but was {path}. Give another --figure."
        )
    require_new(path, force=force, option="--figure")
    return kind


def write_new(path: Path, figure: Figure, *, force: bool = False) -> None:
    """Write a figure whole or not at all, and never over a file: errors as `format_of_new`."""
    kind = format_of_new(path, force=force)
    with new_file(path, force=force) as whole:
        figure.savefig(whole, dpi=150, format=kind)

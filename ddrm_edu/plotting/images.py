"""Images, grids of restorations, and the training of the networks (lectures 00 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from .style import ACCENT, INK, MUTED, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = ["draw_image", "image_grid", "loss_curve", "restoration_grid"]


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
    for spine in ax.spines.values():
        spine.set_visible(False)


def image_grid(images: Tensor, columns: int = 8, title: str = "") -> Figure:
    """A contact sheet of images (N, c, h, w), in reading order."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns, rows + 0.3), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, images, strict=False):
        ax.set_axis_on()
        draw_image(ax, image)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


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
    """
    rows = len(row_titles)
    figure, axes = plt.subplots(
        rows,
        len(columns),
        figsize=(1.45 * len(columns) + 0.4, 1.6 * rows + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for column, (name, images) in enumerate(columns.items()):
        notes = (captions or {}).get(name, [""] * rows)
        for row, image in enumerate(images):
            draw_image(axes[row, column], image, name if row == 0 else "", notes[row])
    for row, text in enumerate(row_titles):
        axes[row, 0].set_ylabel(text, fontsize=10, color=INK)
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def loss_curve(logs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Training and validation loss against the number of images seen, one panel per model.

    Each log maps ``images``, ``train_loss`` and ``validation_loss`` to sequences of one length.
    """
    figure, axes = panels(1, len(logs))
    for ax, (name, log) in zip(axes[0], logs.items(), strict=True):
        thousands = np.asarray(log["images"]) / 1000
        ax.plot(thousands, log["train_loss"], color=MUTED, lw=1, label="training")
        held_out = {"color": ACCENT, "lw": 2, "ls": "--", "label": "held out, averaged weights"}
        ax.plot(thousands, log["validation_loss"], **held_out)
        ax.set(title=name, xlabel="images seen (thousands)", ylabel="mean squared error of v")
        ax.set_yscale("log")
        ax.legend(frameon=False)
    return figure

"""Lecture 00: a run from noise to an image, draws, samples of the networks, their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import axes_grid, draw_image
from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import show as show
from .draw import stored as stored
from .style import ACCENT, INK, MUTED


def image_grid(images: Tensor, columns: int = 8, title: str = "") -> Figure:
    """A contact sheet of images (N, c, h, w), in reading order."""
    rows = -(-len(images) // columns)
    figure, axes = axes_grid(rows, columns, (columns, rows + 0.3))
    for ax, image in zip(draw.in_use(axes.flat, len(images)), images, strict=True):
        draw_image(ax, image)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def noise_to_image(
    strips: Mapping[str, Sequence[Tensor]], levels: Sequence[float], last: Mapping[str, Tensor]
) -> Figure:
    """Runs from noise to an image as strips, and what the measurement was beside the last ones.

    Parameters
    ----------
    strips : mapping
        Name of a strip to its images (1, h, w), one per level.
    levels : sequence of float
        Noise levels, above the columns.
    last : mapping
        Title to image: the last column of the last strips.
    """
    titles = [rf"$\sigma={level:.2g}$" for level in levels]
    size = (1.2 * len(titles) + 2.2, 1.28 * len(strips) + 0.2)
    figure, axes = axes_grid(len(strips), len(titles) + 1, size)
    for i, (name, images) in enumerate(strips.items()):
        for ax, image, title in zip(axes[i], images, titles, strict=False):
            draw_image(ax, image, "" if i else title)
        axes[i, 0].set_ylabel(name, fontsize=10, color=INK)
    for ax in axes[: -len(last), -1]:
        ax.set_axis_off()
    for ax, (title, image) in zip(axes[-len(last) :, -1], last.items(), strict=True):
        draw_image(ax, image, title)
    return figure


def draws_and_spread(images: Mapping[str, Tensor], spread: Tensor) -> Figure:
    """A row of images (c, h, w), and the standard deviation (h, w) of each pixel with a scale."""
    figure, axes = axes_grid(1, len(images) + 1, (1.25 * len(images) + 1.9, 1.7))
    for ax, (title, image) in zip(axes[0], images.items(), strict=False):
        draw_image(ax, image, title)
    last = axes[0, -1]
    picture = last.imshow(spread, cmap="cividis", vmin=0)
    last.set(xticks=[], yticks=[])
    last.set_title("deviation", fontsize=10, color=INK)
    figure.colorbar(picture, ax=last)
    return figure


def loss_curve(logs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Training and validation loss against the number of images seen, one panel per model.

    Each log maps ``images``, ``train_loss`` and ``validation_loss`` to sequences of one length.
    """
    figure, axes = draw.panels(1, len(logs))
    for ax, (name, log) in zip(axes[0], logs.items(), strict=True):
        thousands = np.asarray(log["images"]) / 1000
        ax.plot(thousands, log["train_loss"], color=MUTED, lw=1, label="training")
        held_out = {"color": ACCENT, "lw": 2, "ls": "--", "label": "held out (averaged weights)"}
        ax.plot(thousands, log["validation_loss"], **held_out)
        ax.set(title=name, xlabel="images seen (thousands)", ylabel="mean squared error of v")
        ax.set_yscale("log")
        draw.ticks(ax, y=[0.1, 0.2, 0.4, 0.6])
        ax.legend(frameon=False)
    return figure

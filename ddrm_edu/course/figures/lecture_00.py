"""Lecture 00: samples of the networks and their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import axes_grid, draw_image
from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import show as show
from .style import ACCENT, INK, MUTED


def image_grid(images: Tensor, columns: int = 8, title: str = "") -> Figure:
    """A contact sheet of images (N, c, h, w), in reading order."""
    rows = -(-len(images) // columns)
    figure, axes = axes_grid(rows, columns, (columns, rows + 0.3))
    for ax, image in zip(draw.in_use(axes.flat, len(images)), images, strict=True):
        draw_image(ax, image)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def loss_curve(logs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Training and validation loss against the number of images seen, one panel per model.

    Each log maps ``images``, ``train_loss`` and ``validation_loss`` to sequences of one length.
    """
    figure, axes = draw.panels(1, len(logs))
    for ax, (name, log) in zip(axes[0], logs.items(), strict=True):
        thousands = np.asarray(log["images"]) / 1000
        ax.plot(thousands, log["train_loss"], color=MUTED, lw=1, label="training")
        held_out = {"color": ACCENT, "lw": 2, "ls": "--", "label": "held out, averaged weights"}
        ax.plot(thousands, log["validation_loss"], **held_out)
        ax.set(title=name, xlabel="images seen (thousands)", ylabel="mean squared error of v")
        ax.set_yscale("log")
        ax.legend(frameon=False)
    return figure

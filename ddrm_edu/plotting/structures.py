"""Operators without matrices: their structure, memory and time (lecture 09)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = ["matrix_grid", "memory_and_time"]


def draw_matrix(ax: Axes, matrix: Tensor, title: str, blocks: tuple[int, int] | None) -> None:
    """Draw a matrix with white for 0, blue above it and red below, and lines between blocks."""
    entries = np.asarray(matrix, dtype=float)
    rows, columns = entries.shape
    scale = np.abs(entries).max()
    ax.imshow(entries, cmap="RdBu", vmin=-scale, vmax=scale, interpolation="nearest")
    if blocks:
        for place in range(blocks[0], rows, blocks[0]):
            ax.axhline(place - 0.5, color=MUTED, lw=0.5)
        for place in range(blocks[1], columns, blocks[1]):
            ax.axvline(place - 0.5, color=MUTED, lw=0.5)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10, color=INK)
    ax.set_xlabel(rf"${rows}\times{columns}$", fontsize=8.5, color=MUTED, labelpad=2)
    for spine in ax.spines.values():
        spine.set(visible=True, color=MUTED, linewidth=0.8)


def matrix_grid(
    rows: Sequence[Mapping[str, tuple[Tensor, tuple[int, int] | None]]], *, pixel: float = 0.12
) -> Figure:
    """Matrices as small pictures, all at one scale: blue positive, red negative, white 0.

    Parameters
    ----------
    rows : sequence of mappings
        One mapping for each row of the figure, from a title to (matrix (m, n), shape of a block),
        the second None for no lines between blocks.
    pixel : float
        Side of one entry, in inches.
    """
    heights = [max(len(matrix) for matrix, _ in row.values()) for row in rows]
    widths = [sum(matrix.shape[1] for matrix, _ in row.values()) for row in rows]
    gap = 0.35 * max(len(row) for row in rows)
    figure = plt.figure(
        figsize=(pixel * max(widths) + gap, pixel * sum(heights) + 0.6 * len(rows)),
        layout="constrained",
    )
    grid = figure.add_gridspec(len(rows), 1, height_ratios=[pixel * h + 0.5 for h in heights])
    for place, row in enumerate(rows):
        columns = [matrix.shape[1] for matrix, _ in row.values()]
        cells = grid[place].subgridspec(1, len(row), width_ratios=columns)
        for cell, (title, (matrix, blocks)) in zip(cells, row.items(), strict=True):
            draw_matrix(figure.add_subplot(cell), matrix, title, blocks)
    return figure


def memory_and_time(
    n: Tensor, memory: Mapping[str, Tensor], timed: Tensor, seconds: Mapping[str, Tensor]
) -> Figure:
    """Bytes and seconds of several forms of V^T against the number of pixels.

    Parameters
    ----------
    n : Tensor, shape (k,)
        Numbers per image.
    memory : mapping of label to Tensor, shape (k,)
        Bytes.
    timed : Tensor, shape (j,)
        Numbers per image of the runs that were timed.
    seconds : mapping of label to Tensor
        The first entries of ``timed`` may be all that was possible: shape (i,), i <= j.
    """
    figure, axes = panels(1, 2, width=4.3, height=3.3)
    looks = [(CONTRAST, "--", "s"), (THIRD, ":", "^"), (ACCENT, "-", "o")]
    for ax, x, curves in ((axes[0, 0], n, memory), (axes[0, 1], timed, seconds)):
        for (label, y), look in zip(
            curves.items(), looks if len(curves) > 2 else looks[::2], strict=False
        ):
            color, ls, marker = look
            ax.plot(x[: len(y)], y, color=color, ls=ls, marker=marker, ms=5, label=label)
        ax.set(xscale="log", yscale="log", xlabel=r"$n$, numbers per image")
        ax.legend(fontsize=8.5, loc="upper left", facecolor="w", framealpha=1, edgecolor="none")
    for name, size in (("1 MiB", 2**20), ("1 GiB", 2**30), ("1 TiB", 2**40)):
        axes[0, 0].axhline(size, color="#d5d5d5", lw=0.8, zorder=0)
        axes[0, 0].text(
            float(n[-1]) * 1.3, size, name, fontsize=8, color=MUTED, ha="left", va="center"
        )
    axes[0, 0].set_ylabel("bytes stored")
    axes[0, 1].set_ylabel(r"seconds for one $V^\top x$")
    return figure

"""Lecture 09: the structure of operators without matrices, their memory and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import Curves
from .draw import show as show
from .style import FAINT, LINES, MUTED


def matrix_grid(
    rows: Sequence[Mapping[str, tuple[Tensor, tuple[int, int] | None]]], *, pixel: float = 0.12
) -> Figure:
    """Matrices as small pictures, one scale in each row: blue positive, red negative, white 0.

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
        figsize=(pixel * max(widths) + gap + 0.9, pixel * sum(heights) + 0.6 * len(rows) + 0.3),
        layout="constrained",
    )
    ratios = {"height_ratios": [pixel * h + 0.5 for h in heights]}
    ratios["width_ratios"] = [pixel * max(widths) + gap, 0.12]
    grid = figure.add_gridspec(len(rows), 2, **ratios)
    for place, row in enumerate(rows):
        columns = [matrix.shape[1] for matrix, _ in row.values()]
        cells = grid[place, 0].subgridspec(1, len(row), width_ratios=columns)
        for k, (title, (matrix, blocks)) in enumerate(row.items()):
            draw.matrix(figure.add_subplot(cells[k]), matrix, title, blocks)
    scale = ScalarMappable(Normalize(-1, 1), "RdBu")
    key = figure.colorbar(scale, cax=figure.add_subplot(grid[0, 1]), ticks=[-1, 0, 1])
    key.set_label("entry / largest entry", fontsize=8.5)
    key.ax.tick_params(labelsize=8.5)
    draw.spaced(figure, h_pad=0.16)
    return figure


def memory_and_time(n: Tensor, memory: Curves, timed: Tensor, seconds: Curves) -> Figure:
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
    figure, axes = draw.panels(1, 2, width=4.3, height=3.3)
    left, right = axes[0]
    dense, stored, free = LINES[1], LINES[2], LINES[0]
    for ax, x, curves in ((left, n, memory), (right, timed, seconds)):
        lines = [dense, stored, free] if len(curves) > 2 else [dense, free]
        draw.curves(ax, x, curves, lines, ms=5)
        ax.set(xscale="log", yscale="log", xlabel=r"$n$, numbers per image")
        ax.legend(fontsize=8.5, loc="upper left", facecolor="w", framealpha=1, edgecolor="none")
    for name, size in (("1 MiB", 2**20), ("1 GiB", 2**30), ("1 TiB", 2**40)):
        left.axhline(size, color=FAINT, lw=0.8, zorder=0)
        text = {"fontsize": 8, "color": MUTED, "ha": "left", "va": "center"}
        left.text(float(n[-1]) * 1.3, size, name, **text)
    left.set_ylabel("bytes stored")
    right.set_ylabel(r"seconds for one $V^\top x$")
    return figure

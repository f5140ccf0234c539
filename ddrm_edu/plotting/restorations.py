"""Sweeps, spreads and failures of restorations (lecture 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from .images import draw_image
from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = [
    "benchmark_dots",
    "compact",
    "draws_and_maps",
    "rank_bars",
    "rates_map",
    "steps_curves",
    "told_noise_curves",
]

_LINES = (
    {"color": ACCENT, "ls": "-", "marker": "o"},
    {"color": CONTRAST, "ls": "--", "marker": "s"},
    {"color": THIRD, "ls": ":", "marker": "^"},
    {"color": INK, "ls": "-.", "marker": "D"},
)


def draws_and_maps(images: Mapping[str, Tensor], maps: Mapping[str, Tensor]) -> Figure:
    """Images in a row, then maps of one number per pixel, with one colour bar for all the maps.

    Parameters
    ----------
    images : mapping
        Title to image (c, h, w) in [-1, 1]; NaN where nothing was measured.
    maps : mapping
        Title to array (h, w), not negative.
    """
    columns = len(images) + len(maps)
    figure, axes = plt.subplots(
        1, columns, figsize=(1.2 * columns + 0.7, 1.65), layout="constrained"
    )
    for ax, (title, image) in zip(axes, images.items(), strict=False):
        draw_image(ax, image, title)
    largest = max(float(np.max(np.asarray(values))) for values in maps.values())
    for ax, (title, values) in zip(axes[len(images) :], maps.items(), strict=True):
        shown = ax.imshow(np.asarray(values), cmap="cividis", vmin=0, vmax=largest)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=10, color=INK)
    bar = figure.colorbar(shown, ax=axes[len(images) :], shrink=0.8, pad=0.02)
    bar.set_label("grey value in [-1, 1]", fontsize=8, color=MUTED)
    bar.ax.tick_params(labelsize=8)
    return figure


def rank_bars(shares: Mapping[str, Sequence[float]]) -> Figure:
    """Histograms of the rank of the truth among k draws, one panel each; dashed: all ranks alike.

    Each of the ``shares`` is an array (k + 1,) with sum 1.
    """
    figure, axes = panels(1, len(shares), width=3.1, height=2.6, sharey=True)
    for ax, (title, share) in zip(axes[0], shares.items(), strict=True):
        ranks = np.arange(len(share))
        ends = np.isin(ranks, (0, len(share) - 1))
        colours = np.where(ends, CONTRAST, ACCENT)
        ax.bar(ranks, share, width=0.82, color=list(colours), edgecolor=INK, linewidth=0.5)
        ax.axhline(1 / len(share), color=INK, ls="--", lw=1.2)
        ax.set(xticks=ranks, xlabel="draws below the truth")
        ax.set_title(title, fontsize=10, color=INK)
    axes[0, 0].set_ylabel("share of the pixels")
    return figure


def compact(figure: Figure, factor: float, levels: int = 36) -> Figure:
    """The same figure with a smaller file: both sides times ``factor``, images of fewer colours.

    Text keeps its size; each colour channel of an image is rounded to one of ``levels`` values.
    """
    figure.set_size_inches(factor * figure.get_size_inches())
    for ax in figure.axes:
        for image in ax.images:
            image.set_data(np.round(image.get_array() * (levels - 1)) / (levels - 1))
    return figure


def steps_curves(steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """PSNR in dB against the number of network evaluations (logarithmic), one curve per task."""
    figure, axes = panels(1, 1, width=5.0, height=2.9)
    ax = axes[0, 0]
    for (name, values), style in zip(curves.items(), _LINES, strict=False):
        ax.plot(steps, values, lw=2, label=name, **style)
    ax.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.42), handlelength=3)
    ax.set_xscale("log")
    ax.set_xticks(steps, [str(n) for n in steps])
    ax.minorticks_off()
    ax.set(xlabel="steps (network evaluations)", ylabel="mean PSNR of one draw [dB]")
    return figure


def rates_map(
    etas: Sequence[float], eta_bs: Sequence[float], maps: Mapping[str, np.ndarray]
) -> Figure:
    r"""Numbers over the rates: rows :math:`\eta`, columns :math:`\eta_b`, one panel per quantity.

    Each of the ``maps`` is an array (len(etas), len(eta_bs)); its values are written into it.
    """
    figure, axes = panels(1, len(maps), width=3.6, height=2.7)
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        values = np.asarray(values)
        ax.imshow(values, cmap="cividis", aspect="auto", origin="lower")
        middle = (values.min() + values.max()) / 2
        for (row, column), value in np.ndenumerate(values):
            colour = INK if value > middle else "w"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=9)
        ax.set_xticks(range(len(eta_bs)), [f"{rate:g}" for rate in eta_bs])
        ax.set_yticks(range(len(etas)), [f"{rate:g}" for rate in etas])
        ax.set(xlabel=r"$\eta_b$", ylabel=r"$\eta$")
        ax.set_title(title, fontsize=10, color=INK)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    return figure


def benchmark_dots(tasks: Sequence[str], scores: Mapping[str, Sequence[float]]) -> Figure:
    """PSNR in dB of several methods, one line per task; NaN where a method does not apply."""
    figure, axes = panels(1, 1, width=6.2, height=0.24 * len(tasks) + 1.0)
    ax = axes[0, 0]
    rows = np.arange(len(tasks))[::-1]
    table = np.array([list(values) for values in scores.values()])
    ax.hlines(rows, np.nanmin(table, 0), np.nanmax(table, 0), color="#d0d0d0", lw=1, zorder=1)
    looks = (
        {"color": MUTED, "marker": "|", "s": 80},
        {"color": CONTRAST, "marker": "s", "s": 36},
        {"color": ACCENT, "marker": "o", "s": 36, "facecolors": "w"},
        {"color": ACCENT, "marker": "o", "s": 36},
    )
    for (name, values), look in zip(scores.items(), looks, strict=True):
        ax.scatter(values, rows, label=name, zorder=2, **look)
    ax.set_yticks(rows, tasks, fontsize=9)
    ax.set(xlabel="mean PSNR [dB]")
    ax.grid(axis="x", color="#ececec")
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.legend(
        frameon=False, ncols=len(scores), loc="lower center", bbox_to_anchor=(0.4, 1), fontsize=9
    )
    return figure


def told_noise_curves(
    told: Sequence[float], psnr: Sequence[float], residual: Sequence[float], true: float
) -> Figure:
    r"""What happens if :math:`\sigma_y` is told wrongly; the dotted line marks the true value.

    Parameters
    ----------
    told : sequence of float, length k
        The values given to the method.
    psnr, residual : sequences of float, length k
        PSNR in dB, and root mean square of y - Hx.
    true : float
        Standard deviation of the noise in y.
    """
    figure, axes = panels(1, 2, width=3.8, height=2.6)
    left, right = axes[0]
    left.plot(told, psnr, lw=2, **_LINES[0])
    left.set(ylabel="mean PSNR [dB]")
    right.plot(told, residual, lw=2, **_LINES[1])
    right.plot(told, told, color=INK, lw=1.2)
    right.annotate("residual = told", (told[-2], told[-2]), xytext=(-6, 2), ha="right", va="bottom",
                   textcoords="offset points", fontsize=9, color=INK)  # fmt: skip
    right.annotate("found", (told[-1], residual[-1]), xytext=(0, -12), ha="right", va="top",
                   textcoords="offset points", fontsize=9, color="#9a6500")  # fmt: skip
    right.set(ylabel="rms of $y - Hx$", yscale="log")
    for ax in (left, right):
        ax.axvline(true, color=MUTED, ls=":", lw=1.2)
        ax.set_xscale("log")
        ax.set_xticks(told, [f"{value:.3g}" for value in told])
        ax.minorticks_off()
        ax.set(xlabel=r"$\sigma_y$ told to the method")
    right.set_yticks(told, [f"{value:.3g}" for value in told])
    right.minorticks_off()
    return figure

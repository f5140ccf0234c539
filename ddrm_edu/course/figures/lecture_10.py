"""Lecture 10: sweeps, spreads and failures of restorations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ddrm_edu.pictures import axes_grid, draw_image
from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import Curves, Images
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CONTRAST, DARK, INK, LINES, MUTED, Look


def draws_and_maps(images: Images, maps: Curves) -> Figure:
    """Images in a row, then maps of one number per pixel, with one colour bar for all the maps.

    Parameters
    ----------
    images : mapping
        Title to image (c, h, w) in [-1, 1]; NaN where nothing was measured.
    maps : mapping
        Title to array (h, w), not negative.
    """
    columns = len(images) + len(maps)
    figure, axes = axes_grid(1, columns, (1.2 * columns + 0.7, 1.65))
    left, right = axes[0, : len(images)], axes[0, len(images) :]
    for ax, (title, image) in zip(left, images.items(), strict=True):
        draw_image(ax, image, title)
    largest = max(float(np.max(np.asarray(values))) for values in maps.values())
    for ax, values in draw.titled(right, maps):
        shown = ax.imshow(np.asarray(values), cmap="cividis", vmin=0, vmax=largest)
        ax.set(xticks=[], yticks=[])
    bar = figure.colorbar(shown, ax=right, shrink=0.8, pad=0.02)
    bar.set_label("grey value in [-1, 1]", fontsize=8, color=MUTED)
    bar.ax.tick_params(labelsize=8)
    return figure


def rank_bars(shares: Mapping[str, Sequence[float]]) -> Figure:
    """Histograms of the rank of the truth among k draws, one panel each; dashed: all ranks alike.

    Each of the ``shares`` is an array (k + 1,) with sum 1.
    """
    figure, axes = draw.panels(1, len(shares), width=3.1, height=2.6, sharey=True)
    for ax, share in draw.titled(axes[0], shares):
        ranks = np.arange(len(share))
        ends = np.isin(ranks, (0, len(share) - 1))
        colours = np.where(ends, CONTRAST, ACCENT)
        ax.bar(ranks, share, width=0.82, color=list(colours), edgecolor=INK, linewidth=0.5)
        ax.axhline(1 / len(share), color=INK, ls="--", lw=1.2)
        ax.set(xticks=ranks, xlabel="draws below the truth")
    axes[0, 0].set_ylabel("share of the pixels")
    return figure


def compact(figure: Figure, factor: float, levels: int = 36) -> Figure:
    """The same figure with a smaller file: both sides times ``factor``, images of fewer colours.

    Text keeps its size; each colour channel of an image is rounded to one of ``levels`` values.
    """
    figure.set_size_inches(*(factor * figure.get_size_inches()))
    for ax in figure.axes:
        for image in ax.images:
            if (pixels := image.get_array()) is not None:
                image.set_data(np.round(pixels * (levels - 1)) / (levels - 1))
    return figure


def steps_curves(steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """PSNR in dB against the number of network evaluations (logarithmic), one curve per task."""
    figure, ax = draw.panel(width=5.0, height=2.9)
    draw.curves(ax, steps, curves, lw=2)
    ax.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.42), handlelength=3)
    ax.set_xscale("log")
    draw.ticks(ax, x=steps)
    ax.set(xlabel="steps (network evaluations)", ylabel="mean PSNR of one draw [dB]")
    return figure


def rates_map(etas: Sequence[float], eta_bs: Sequence[float], maps: Curves) -> Figure:
    r"""Numbers over the rates: rows :math:`\eta`, columns :math:`\eta_b`, one panel per quantity.

    Each of the ``maps`` is an array (len(etas), len(eta_bs)); its values are written into it. Its
    colours span the middle 70 % of them: one value that lies far away does not take them all.
    """
    figure, axes = draw.panels(1, len(maps), width=3.6, height=2.7)
    for ax, values in draw.titled(axes[0], maps):
        low, high = np.quantile(np.asarray(values), [0.15, 0.85])
        look: Look = {"cmap": "cividis", "aspect": "auto", "origin": "lower", "fontsize": 9}
        look |= {"vmin": low, "vmax": high}
        draw.heat_map(ax, values, "{:.2f}".format, np.asarray(values) <= (low + high) / 2, **look)
        ax.set_xticks(range(len(eta_bs)), [f"{rate:g}" for rate in eta_bs])
        ax.set_yticks(range(len(etas)), [f"{rate:g}" for rate in etas])
        ax.set(xlabel=r"$\eta_b$", ylabel=r"$\eta$")
        draw.frameless(ax)
    return figure


def benchmark_dots(tasks: Sequence[str], scores: Mapping[str, Sequence[float]]) -> Figure:
    """PSNR in dB of several methods, one line per task; NaN where a method does not apply."""
    figure, ax = draw.panel(width=6.2, height=0.24 * len(tasks) + 1.0)
    rows = np.arange(len(tasks))[::-1]
    table = np.array([list(values) for values in scores.values()])
    ax.hlines(rows, np.nanmin(table, 0), np.nanmax(table, 0), color="#d0d0d0", lw=1, zorder=1)
    looks: list[Look] = [
        {"color": MUTED, "marker": "|", "s": 80},
        {"color": CONTRAST, "marker": "s", "s": 36},
        {"color": ACCENT, "marker": "o", "s": 36, "facecolors": "w"},
        {"color": ACCENT, "marker": "o", "s": 36},
    ]
    for (name, values), look in zip(scores.items(), looks, strict=True):
        ax.scatter(values, rows, label=name, zorder=2, **look)
    ax.set_yticks(rows, tasks, fontsize=9)
    ax.set(xlabel="mean PSNR [dB]")
    ax.grid(axis="x", color="#ececec")
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    place: Look = {"loc": "lower center", "bbox_to_anchor": (0.4, 1), "fontsize": 9}
    ax.legend(frameon=False, ncols=len(scores), **place)
    return figure


def waterfall(rows: Mapping[str, tuple[float, float]], found: Sequence[float]) -> Figure:
    """PSNR in dB of one restoration after another, and how many of 32 an exact denoiser finds.

    ``rows``: name to (dB, sharpness), the last one a method without a network; ``found`` has a
    number for each row, NaN where there is none.
    """
    figure, axes = draw.panels(1, 2, width=4.0, height=0.34 * len(rows) + 0.9, sharey=True)
    places = np.arange(len(rows))[::-1]
    colours = [ACCENT] * (len(rows) - 1) + [CONTRAST]
    left, right = axes[0]
    start = min(value for value, _ in rows.values()) - 3
    for place, colour, (value, sharp), number in zip(
        places, colours, rows.values(), found, strict=True
    ):
        left.barh(place, value - start, left=start, height=0.62, color=colour)
        left.text(start + 0.1, place, f"sharpness {sharp:.2f}", va="center", fontsize=8, color="w")
        left.text(value + 0.1, place, f"{value:.1f}", va="center", fontsize=9)
        if np.isnan(number):
            right.text(0.4, place, "not asked", va="center", fontsize=8, color=INK)
        else:
            right.barh(place, number, height=0.62, color=colour)
            right.text(number + 0.4, place, f"{number:.0f}", va="center", fontsize=9)
    highest = max(value for value, _ in rows.values())
    left.set(title="the network", xlabel="PSNR [dB]", xlim=(start, highest + 1))
    right.axvline(32, color=INK, ls="--", lw=1.2)
    right.set(title="an exact denoiser", xlabel="pictures found, of 32", xlim=(0, 35))
    left.set_yticks(places, list(rows), fontsize=9)
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
    figure, axes = draw.panels(1, 2, width=3.8, height=2.6)
    left, right = axes[0]
    left.plot(told, psnr, lw=2, **LINES[0])
    left.set(ylabel="mean PSNR [dB]")
    right.plot(told, residual, lw=2, **LINES[1])
    right.plot(told, told, color=INK, lw=1.2)
    above, below = ({"ha": "right", "va": va, "fontsize": 9} for va in ("bottom", "top"))
    draw.note(right, "residual = told", (told[-2], told[-2]), (-6, 2), color=INK, **above)
    draw.note(right, "found", (told[-1], residual[-1]), (0, -12), color=DARK, **below)
    right.set(ylabel="rms of $y - Hx$", yscale="log")
    for ax in (left, right):
        ax.axvline(true, color=MUTED, ls=":", lw=1.2)
        ax.set(xscale="log", xlabel=r"$\sigma_y$ told to the method")
        draw.ticks(ax, x=told, form=".3g")
    draw.ticks(right, y=told, form=".3g")
    return figure

"""Lecture 02: schedules, density strips, images through time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import axes_grid

from . import draw
from .draw import Curves
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, INK, MUTED, PLAIN


def jump_band(t: Tensor, paths: Tensor, mean: Tensor, std: Tensor) -> Figure:
    """Paths of the chain from one pixel, and mean and two standard deviations of the jump.

    Parameters
    ----------
    t : Tensor, shape (T + 1,)
    paths : Tensor, shape (T + 1, k)
        ``k`` independent paths.
    mean, std : Tensor, shape (T + 1,)
        Of the jump kernel.
    """
    figure, ax = draw.panel(width=7.0, height=2.9)
    ax.fill_between(t, mean - 2 * std, mean + 2 * std, color=ACCENT, alpha=0.16, lw=0)
    for k, path in enumerate(paths.T):
        ax.plot(t, path, color=MUTED, lw=0.5, label=None if k else "paths of the chain")
    label = "mean of the jump ± 2 standard deviations"
    ax.plot(t, mean - 2 * std, color=ACCENT, lw=1.4, ls="--")
    ax.plot(t, mean + 2 * std, color=ACCENT, lw=1.4, ls="--", label=label)
    ax.plot(t, mean, color=INK, lw=2, label="mean of the jump")
    ax.set(xlabel="time $t$", ylabel="pixel $x_t$", xlim=(t[0], t[-1]))
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def times_correlation(t: Tensor, correlation: Tensor) -> Figure:
    """Correlation of one pixel at two times, given the clean pixel.

    Parameters
    ----------
    t : Tensor, shape (k,)
    correlation : Tensor, shape (k, k)
    """
    figure, ax = draw.panel(width=4.9, height=3.9)
    mesh = ax.pcolormesh(t, t, correlation, cmap="cividis", vmin=0, vmax=1, rasterized=True)
    lines = ax.contour(t, t, correlation, levels=[0.1, 0.5], colors="white", linewidths=1)
    ax.clabel(lines, fmt="%.1f", fontsize=8)
    ax.set(xlabel="time $t$", ylabel="time $s$", aspect="equal")
    figure.colorbar(mesh, ax=ax, label="correlation of $x_s$ and $x_t$ given $x_0$")
    draw.spaced(figure, w_pad=0.1)
    return figure


def schedule_curves(t: Tensor, beta: Curves, alpha_bar: Curves, snr: Curves) -> Figure:
    """Three panels: beta, alpha-bar and the ratio of signal to noise of some schedules.

    Parameters
    ----------
    t : Tensor, shape (T,)
        Times from 1 on.
    beta, alpha_bar, snr : mapping from the name of a schedule to a Tensor of shape (T,)
    """
    figure, axes = draw.panels(1, 3, width=3.1, height=2.8)
    what = (beta, alpha_bar, snr)
    labels = (r"$\beta_t$", r"$\bar\alpha_t$", r"$\bar\alpha_t/(1-\bar\alpha_t)$")
    for ax, values, label in zip(axes[0], what, labels, strict=True):
        draw.curves(ax, t, values, PLAIN, lw=2)
        ax.set(xlabel="time $t$", title=label)
    left, middle, right = axes[0]
    left.set_yscale("log")
    middle.legend(frameon=False, fontsize=9)
    right.set(yscale="log", ylim=(1e-5, 1e5))
    right.axhline(1, color=MUTED, lw=0.8)
    edge = {"xycoords": ("axes fraction", "data"), "ha": "right"}
    draw.note(right, "signal = noise", (1, 1), (0, 3), fontsize=8, color=MUTED, **edge)
    return figure


def density_strip(
    t: Tensor, x: Tensor, density: Tensor, normal: Tensor, paths: Tensor | None = None
) -> Figure:
    """The law of one pixel at all times: x vertical, t horizontal, density as colour.

    Parameters
    ----------
    t : Tensor, shape (k,)
    x : Tensor, shape (m,)
    density : Tensor, shape (m, k)
    normal : Tensor, shape (m,)
        Density of N(0, 1), dashed in the right margin.
    paths : Tensor, shape (k, j), optional
        Sample paths, drawn on top.
    """
    figure, axes = axes_grid(1, 3, (8.4, 3.4), width_ratios=[1, 6, 1], sharey=True)
    first, ax, last = axes[0]
    norm = PowerNorm(0.6, vmin=0)
    mesh = ax.pcolormesh(t, x, density, cmap="cividis", norm=norm, rasterized=True)
    if paths is not None:
        ax.plot(t, paths, color="white", lw=0.7, alpha=0.85)
    ax.set(xlabel="time $t$", xlim=(t[0], t[-1]), ylim=(x[0], x[-1]))
    for side, column, name in ((first, 0, f"$t={int(t[0])}$"), (last, -1, f"$t={int(t[-1])}$")):
        side.fill_betweenx(x, 0, density[:, column], color=ACCENT, alpha=0.25, lw=0)
        side.plot(density[:, column], x, color=ACCENT, lw=1.6)
        side.set(xlim=(0, 1.05 * density.max()), xticks=[], xlabel=name)
        side.spines[["top", "right", "bottom"]].set_visible(False)
        side.tick_params(left=False)
    last.plot(normal, x, color=INK, lw=1.4, ls="--")
    place = {"xycoords": "axes fraction", "ha": "center"}
    last.annotate("$N(0,1)$", (0.5, 0.78), fontsize=9, color=INK, **place)
    first.invert_xaxis()
    first.spines["left"].set_visible(False)
    first.set_ylabel("pixel $x_t$")
    figure.colorbar(mesh, ax=axes, label="density", pad=0.01)
    return figure


def images_through_time(rows: Mapping[str, Sequence[Tensor]], titles: Sequence[str]) -> Figure:
    """One image at some times, one row per system of coordinates.

    Parameters
    ----------
    rows : mapping from the name of a row to its images, each (c, h, w) in [-1, 1]
    titles : sequence of str
        One per column.
    """
    return draw.image_rows(rows, titles, (1.35 * len(titles), 1.3 * len(rows) + 0.2))[0]


def distance_to_noise(share: Tensor, curves: Curves) -> Figure:
    """Divergence from N(0, 1) against the share of the steps done, on a logarithmic axis.

    Parameters
    ----------
    share : Tensor, shape (k,)
        t / T.
    curves : mapping from the name of a curve to a Tensor of shape (k,)
    """
    figure, ax = draw.panel(width=6.4, height=3.0)
    draw.curves(ax, share, curves, PLAIN, lw=2)
    ax.set(xlabel="share of the steps done, $t/T$", ylabel="divergence from $N(0,1)$, nats")
    ax.set(yscale="log", xlim=(0, 1), ylim=(1e-6, 10))
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return figure

"""Lecture 04: what a network predicts, the weights of its loss, the law of DDPM's samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

from ddrm_edu.pictures import axes_grid, draw_image

from . import draw
from .draw import Curves, Images, Pair, Pairs
from .draw import show as show
from .style import ACCENT, CONTRAST, INK, LINES, MUTED, PLAIN


def four_units(x: Tensor, units: Mapping[str, Sequence[Tensor]], sigmas: Sequence[float]) -> Figure:
    """The best prediction of a scalar in four units, one panel per unit, one line per level.

    Two panels in a row: four would be too small on a phone.

    Parameters
    ----------
    x : Tensor, shape (N,)
        The noisy scalar in units of the variance-preserving chain, the same for all levels.
    units : mapping
        Label of a unit to one curve of shape (N,) per level.
    sigmas : sequence of float
    """
    figure, axes = draw.panels(-(-len(units) // 2), 2, width=3.2, height=2.4)
    names = [rf"$\sigma = {sigma:g}$" for sigma in sigmas]
    for ax, (unit, values) in zip(draw.in_use(axes.flat, len(units)), units.items(), strict=True):
        ax.axhline(0, color=MUTED, lw=0.6)
        draw.curves(ax, x, dict(zip(names, values, strict=True)), PLAIN, lw=2)
        ax.set(xlabel=r"$x_t=x/\sqrt{1+\sigma^2}$", ylabel=unit, xlim=(float(x[0]), float(x[-1])))
    draw.legend(figure, axes[0, 0], 3, "upper")
    return figure


def predicted_images(
    rows: Mapping[str, Sequence[Tensor]], times: Sequence[int], time: str = "t+1"
) -> Figure:
    """One row per kind of image, one column per time.

    Parameters
    ----------
    rows : mapping
        Title of a row to one image (c, h, w) per time.
    times : sequence of int
    time : str
        What the columns count.
    """
    size = (1.3 * len(times) + 1.1, 1.32 * len(rows) + 0.2)
    return draw.image_rows(rows, [f"${time} = {t}$" for t in times], size)[0]


def training(losses: Sequence[float], best: float, clouds: Images) -> Figure:
    """The loss of a training against its steps, and points in the plane, one panel per cloud.

    Parameters
    ----------
    losses : sequence of float
        One per step; drawn as means over 50 steps.
    best : float
        The smallest loss that is possible, a dashed line.
    clouds : mapping
        Title of a panel to points (N, 2).
    """
    figure, axes = draw.panels(1, 1 + len(clouds), width=2.9, height=3.1)
    left = axes[0, 0]
    means = np.asarray(losses)[: len(losses) // 50 * 50].reshape(-1, 50).mean(1)
    left.plot(50 * np.arange(1, len(means) + 1), means, color=ACCENT, lw=2, label="network")
    left.axhline(best, color=INK, lw=1.4, ls="--", label="exact denoiser")
    left.set(xlabel="step", ylabel="mean squared error of the noise", ylim=(0, None))
    left.legend(frameon=False, fontsize=9)
    for ax, points in draw.titled(axes[0, 1:], clouds):
        ax.plot(*np.asarray(points).T, ".", color=ACCENT, ms=2, alpha=0.5)
        ax.set(xlabel="$x^1$", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal")
    axes[0, 1].set_ylabel("$x^2$")
    draw.spaced(figure, h_pad=0.1)
    return figure


def loss_weights(t: Tensor, weights: Curves, shares: Curves, halves: Sequence[int]) -> Figure:
    """Weights of the noise loss against time, and the share of all weight up to a time.

    Parameters
    ----------
    t : Tensor, shape (N,)
    weights, shares : mapping
        Label of a loss to a curve of shape (N,); at most three, the same labels in both.
    halves : sequence of int
        For each loss the time at which its share reaches one half.
    """
    figure, axes = draw.panels(1, 2, width=4.4, height=3.1)
    left, right = axes[0]
    for ax, values in ((left, weights), (right, shares)):
        draw.curves(ax, t, values, PLAIN, lw=2)
        ax.set_xlabel("$t$")
    left.set(xscale="log", yscale="log", ylabel="weight (nats)")
    left.legend(frameon=False, loc="upper right")
    right.set(ylabel="share of the weight up to $t$", ylim=(0, 1.02), xlim=(0, None))
    right.axhline(0.5, color=MUTED, lw=0.6)
    for half, look in zip(halves, LINES, strict=False):
        right.plot([half], [0.5], **look, ms=7, mec=INK)
    return figure


def sample_ellipses(
    data: Pair, laws: Pairs, steps: Sequence[int], distance: Sequence[float]
) -> Figure:
    """Laws of samples as ellipses of two standard deviations, and a distance against steps.

    Parameters
    ----------
    data : pair
        Mean (2,) and covariance (2, 2) of the data.
    laws : mapping
        Label to mean and covariance of the samples; at most three.
    steps : sequence of int
    distance : sequence of float
        Relative distance of each number of steps.
    """
    figure, axes = draw.panels(1, 2, width=4.2, height=3.2)
    left, right = axes[0]
    left.plot(*draw.ellipse(*data, 2.0), color=INK, lw=4, alpha=0.3, label="data")
    for (name, law), look in zip(laws.items(), PLAIN, strict=False):
        left.plot(*draw.ellipse(*law, 2.0), **look, lw=2, label=name)
    left.set(xlabel="$x^1$", ylabel="$x^2$", aspect="equal")
    left.legend(frameon=False, loc="lower right", fontsize=9)
    left.margins(x=0.06, y=0.12)
    right.plot(steps, distance, color=ACCENT, marker="o", ms=5, lw=2)
    middle = len(steps) // 2
    line = distance[middle] * steps[middle] / np.asarray(steps)
    right.plot(steps, line, color=MUTED, ls=":", lw=1.2)
    draw.note(right, "slope $-1$", (steps[-3], line[-3]), (8, 10), color=MUTED, fontsize=9)
    right.set(xscale="log", yscale="log", xlabel="number of steps", ylabel="relative $W_2$")
    return figure


def ddim_paths(
    paths: Pairs, steps: Sequence[int], distances: Mapping[str, Sequence[float]]
) -> Figure:
    """Paths of samples from noise to data, one panel per sampler, and distances against steps.

    Parameters
    ----------
    paths : mapping
        Title of a panel to the times (N + 1,) and the paths (N + 1, batch).
    steps : sequence of int
    distances : mapping
        Label to one relative distance per number of steps; at most three.
    """
    figure, axes = draw.panels(1, len(paths) + 1, width=3.2, height=2.9)
    for ax, (t, x) in draw.titled(axes[0, :-1], paths):
        for k, path in enumerate(np.asarray(x).T):
            ax.plot(t, path, color=(ACCENT, CONTRAST)[int(path[-1] > 0)], lw=0.9, alpha=0.8)
            ax.plot(t[-1:], path[-1:], ".", color=INK, ms=4, zorder=3 + k)
        for color, name in ((CONTRAST, "ends in the right bump"), (ACCENT, "ends in the left one")):
            ax.plot([], [], color=color, label=name)
        ax.set(xlabel="$t$", ylabel="$x_t$", ylim=(-3.9, 3.9))
        ax.invert_xaxis()
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    last = axes[0, -1]
    draw.curves(last, steps, distances, lw=1.8, ms=4)
    last.set(xscale="log", yscale="log", xlabel="number of steps", ylabel="relative $W_2$")
    last.yaxis.set_minor_formatter(NullFormatter())
    last.legend(frameon=False)
    return figure


def samples_and_neighbours(groups: Mapping[str, tuple[Tensor, Tensor, Sequence[float]]]) -> Figure:
    """For each group of samples two rows: the samples, and below each its nearest image.

    Parameters
    ----------
    groups : mapping
        Name to samples (N, c, h, w), neighbours (N, c, h, w), and the distances of the pairs,
        which are written below them.
    """
    columns = max(len(samples) for samples, *_ in groups.values())
    size = (1.08 * columns + 0.5, 2.35 * len(groups))
    figure, axes = axes_grid(2 * len(groups), columns, size)
    for k, (name, (samples, neighbours, distances)) in enumerate(groups.items()):
        above, below = axes[2 * k], axes[2 * k + 1]
        for j, distance in enumerate(distances):
            draw_image(above[j], samples[j])
            draw_image(below[j], neighbours[j], caption=f"{distance:.2f}")
        above[0].set_ylabel(name, fontsize=10, color=INK)
        below[0].set_ylabel("nearest", fontsize=10, color=MUTED)
    return figure

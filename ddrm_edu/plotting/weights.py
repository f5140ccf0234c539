"""What a network predicts, the weights of its loss, and the law of DDPM samples (lecture 04)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

from .images import draw_image
from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = [
    "ddim_paths",
    "four_units",
    "loss_weights",
    "predicted_images",
    "sample_ellipses",
    "samples_and_neighbours",
]

_LINES = (
    {"color": ACCENT, "ls": "-", "marker": "o"},
    {"color": CONTRAST, "ls": "--", "marker": "s"},
    {"color": THIRD, "ls": ":", "marker": "^"},
)


def four_units(x: Tensor, units: Mapping[str, Sequence[Tensor]], sigmas: Sequence[float]) -> Figure:
    """The best prediction of a scalar in four units, one panel per unit, one line per level.

    Parameters
    ----------
    x : Tensor, shape (N,)
    units : mapping
        Label of a unit to one curve of shape (N,) per level.
    sigmas : sequence of float
    """
    figure, axes = panels(1, len(units), width=2.75, height=2.7)
    for ax, (name, curves) in zip(axes[0], units.items(), strict=True):
        ax.axhline(0, color=MUTED, lw=0.6)
        for curve, sigma, style in zip(curves, sigmas, _LINES, strict=True):
            line = {"color": style["color"], "ls": style["ls"], "lw": 2}
            ax.plot(x, curve, label=rf"$\sigma = {sigma:g}$", **line)
        ax.set(xlabel="$x$", ylabel=name, xlim=(float(x[0]), float(x[-1])))
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncol=3, frameon=False
    )
    return figure


def predicted_images(rows: Mapping[str, Sequence[Tensor]], times: Sequence[int]) -> Figure:
    """One row per kind of image, one column per time.

    Parameters
    ----------
    rows : mapping
        Title of a row to one image (c, h, w) per time.
    times : sequence of int
    """
    figure, axes = plt.subplots(
        len(rows),
        len(times),
        figsize=(1.3 * len(times) + 1.1, 1.32 * len(rows) + 0.2),
        squeeze=False,
        layout="constrained",
    )
    for i, (name, images) in enumerate(rows.items()):
        for ax, t, image in zip(axes[i], times, images, strict=True):
            draw_image(ax, image, f"$t+1 = {t}$" if i == 0 else "")
        axes[i, 0].set_ylabel(name, fontsize=10, color=INK)
    return figure


def loss_weights(
    t: Tensor, weights: Mapping[str, Tensor], shares: Mapping[str, Tensor], halves: Sequence[int]
) -> Figure:
    """Weights of the noise loss against time, and the share of all weight up to a time.

    Parameters
    ----------
    t : Tensor, shape (N,)
    weights, shares : mapping
        Label of a loss to a curve of shape (N,); at most three, the same labels in both.
    halves : sequence of int
        For each loss the time at which its share reaches one half.
    """
    figure, axes = panels(1, 2, width=4.4, height=3.1)
    for ax, curves in zip(axes[0], (weights, shares), strict=True):
        for (name, curve), style in zip(curves.items(), _LINES, strict=False):
            ax.plot(t, curve, color=style["color"], ls=style["ls"], lw=2, label=name)
        ax.set_xlabel("$t$")
    axes[0, 0].set(xscale="log", yscale="log", ylabel="weight (nats)")
    axes[0, 0].legend(frameon=False, loc="upper right")
    axes[0, 1].set(ylabel="share of the weight up to $t$", ylim=(0, 1.02), xlim=(0, None))
    axes[0, 1].axhline(0.5, color=MUTED, lw=0.6)
    for half, style in zip(halves, _LINES, strict=False):
        axes[0, 1].plot([half], [0.5], ms=7, mec=INK, color=style["color"], marker=style["marker"])
    return figure


def _ellipse(ax: Axes, mean: Tensor, cov: Tensor, **style) -> None:
    """The ellipse of two standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    outline = np.asarray(mean)[:, None] + 2 * np.linalg.cholesky(np.asarray(cov)) @ circle
    ax.plot(*outline, **style)


def sample_ellipses(
    data: tuple[Tensor, Tensor],
    laws: Mapping[str, tuple[Tensor, Tensor]],
    steps: Sequence[int],
    distance: Sequence[float],
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
    figure, axes = panels(1, 2, width=4.2, height=3.2)
    left, right = axes[0]
    _ellipse(left, *data, color=INK, lw=4, alpha=0.3, label="data")
    for (name, law), style in zip(laws.items(), _LINES, strict=False):
        _ellipse(left, *law, color=style["color"], ls=style["ls"], lw=2, label=name)
    left.set(xlabel="$x^1$", ylabel="$x^2$", aspect="equal")
    left.legend(frameon=False, loc="lower right", fontsize=9)
    left.margins(x=0.06, y=0.12)
    right.plot(steps, distance, color=ACCENT, marker="o", ms=5, lw=2)
    middle = len(steps) // 2
    line = distance[middle] * steps[middle] / np.asarray(steps)
    right.plot(steps, line, color=MUTED, ls=":", lw=1.2)
    right.annotate(
        "slope $-1$",
        (steps[-3], line[-3]),
        xytext=(8, 10),
        textcoords="offset points",
        color=MUTED,
        fontsize=9,
    )
    right.set(xscale="log", yscale="log", xlabel="number of steps", ylabel="relative $W_2$")
    return figure


def ddim_paths(
    paths: Mapping[str, tuple[Tensor, Tensor]],
    steps: Sequence[int],
    distances: Mapping[str, Sequence[float]],
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
    figure, axes = panels(1, len(paths) + 1, width=3.2, height=2.9)
    for ax, (name, (t, x)) in zip(axes[0], paths.items(), strict=False):
        for k, path in enumerate(np.asarray(x).T):
            ax.plot(t, path, color=(ACCENT, CONTRAST)[int(path[-1] > 0)], lw=0.9, alpha=0.8)
            ax.plot(t[-1:], path[-1:], ".", color=INK, ms=4, zorder=3 + k)
        ax.set(xlabel="$t$", ylabel="$x_t$", ylim=(-3.9, 3.9))
        ax.set_title(name, fontsize=10, color=INK)
        ax.invert_xaxis()
    last = axes[0, -1]
    for (name, distance), style in zip(distances.items(), _LINES, strict=False):
        last.plot(steps, distance, **style, lw=1.8, ms=4, label=name)
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
    figure, axes = plt.subplots(
        2 * len(groups),
        columns,
        figsize=(1.08 * columns + 0.5, 2.35 * len(groups)),
        squeeze=False,
        layout="constrained",
    )
    for k, (name, (samples, neighbours, distances)) in enumerate(groups.items()):
        above, below = axes[2 * k], axes[2 * k + 1]
        for j, distance in enumerate(distances):
            draw_image(above[j], samples[j])
            draw_image(below[j], neighbours[j], caption=f"{distance:.2f}")
        above[0].set_ylabel(name, fontsize=10, color=INK)
        below[0].set_ylabel("nearest", fontsize=10, color=MUTED)
    return figure

"""Adding noise: schedules, density strips, images through time (lecture 02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
from matplotlib.colors import PowerNorm

from .images import draw_image
from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = [
    "density_strip",
    "distance_to_noise",
    "images_through_time",
    "jump_band",
    "schedule_curves",
    "times_correlation",
]

_LINES = (
    {"color": ACCENT, "ls": "-"},
    {"color": CONTRAST, "ls": "--"},
    {"color": THIRD, "ls": ":"},
)


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
    figure, axes = panels(width=7.0, height=2.9)
    ax = axes[0, 0]
    ax.fill_between(t, mean - 2 * std, mean + 2 * std, color=ACCENT, alpha=0.16, lw=0)
    for k in range(paths.shape[1]):
        ax.plot(t, paths[:, k], color=MUTED, lw=0.5, label="paths of the chain" if k == 0 else None)
    for sign in (-2, 2):
        label = "mean of the jump ± 2 standard deviations" if sign == 2 else None
        ax.plot(t, mean + sign * std, color=ACCENT, lw=1.4, ls="--", label=label)
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
    figure, axes = panels(width=4.9, height=3.9)
    ax = axes[0, 0]
    mesh = ax.pcolormesh(t, t, correlation, cmap="cividis", vmin=0, vmax=1, rasterized=True)
    lines = ax.contour(t, t, correlation, levels=[0.1, 0.5], colors="white", linewidths=1)
    ax.clabel(lines, fmt="%.1f", fontsize=8)
    ax.set(xlabel="time $t$", ylabel="time $s$", aspect="equal")
    figure.colorbar(mesh, ax=ax, label="correlation of $x_s$ and $x_t$ given $x_0$")
    return figure


def schedule_curves(
    t: Tensor,
    beta: Mapping[str, Tensor],
    alpha_bar: Mapping[str, Tensor],
    snr: Mapping[str, Tensor],
) -> Figure:
    """Three panels: beta, alpha-bar and the ratio of signal to noise of some schedules.

    Parameters
    ----------
    t : Tensor, shape (T,)
        Times from 1 on.
    beta, alpha_bar, snr : mapping from the name of a schedule to a Tensor of shape (T,)
    """
    figure, axes = panels(1, 3, width=3.1, height=2.8)
    what = (beta, alpha_bar, snr)
    labels = (r"$\beta_t$", r"$\bar\alpha_t$", r"$\bar\alpha_t/(1-\bar\alpha_t)$")
    for ax, curves, label in zip(axes[0], what, labels, strict=True):
        for style, (name, values) in zip(_LINES, curves.items(), strict=False):
            ax.plot(t, values, lw=2, label=name, **style)
        ax.set(xlabel="time $t$", title=label)
    axes[0, 0].set_yscale("log")
    axes[0, 2].set_yscale("log")
    axes[0, 2].set_ylim(1e-5, 1e5)
    axes[0, 2].axhline(1, color=MUTED, lw=0.8)
    axes[0, 2].annotate(
        "signal = noise",
        (1, 1),
        (0, 3),
        xycoords=("axes fraction", "data"),
        ha="right",
        textcoords="offset points",
        fontsize=8,
        color=MUTED,
    )
    axes[0, 1].legend(frameon=False, fontsize=9)
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
    figure, axes = plt.subplots(
        1, 3, figsize=(8.4, 3.4), width_ratios=[1, 6, 1], sharey=True, layout="constrained"
    )
    first, ax, last = axes
    mesh = ax.pcolormesh(
        t, x, density, cmap="cividis", norm=PowerNorm(0.6, vmin=0), rasterized=True
    )
    for k in range(0 if paths is None else paths.shape[1]):
        ax.plot(t, paths[:, k], color="white", lw=0.7, alpha=0.85)
    ax.set(xlabel="time $t$", xlim=(t[0], t[-1]), ylim=(x[0], x[-1]))
    for side, column, name in ((first, 0, f"$t={int(t[0])}$"), (last, -1, f"$t={int(t[-1])}$")):
        side.fill_betweenx(x, 0, density[:, column], color=ACCENT, alpha=0.25, lw=0)
        side.plot(density[:, column], x, color=ACCENT, lw=1.6)
        side.set(xlim=(0, 1.05 * density.max()), xticks=[], xlabel=name)
        side.spines[["top", "right", "bottom"]].set_visible(False)
    last.plot(normal, x, color=INK, lw=1.4, ls="--")
    last.annotate(
        "$N(0,1)$", (0.5, 0.78), xycoords="axes fraction", ha="center", fontsize=9, color=INK
    )
    first.invert_xaxis()
    first.spines["left"].set_visible(False)
    first.tick_params(left=False)
    first.set_ylabel("pixel $x_t$")
    last.tick_params(left=False)
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
    figure, axes = plt.subplots(
        len(rows),
        len(titles),
        figsize=(1.35 * len(titles), 1.3 * len(rows) + 0.2),
        squeeze=False,
        layout="constrained",
    )
    for i, (name, images) in enumerate(rows.items()):
        for ax, image, title in zip(axes[i], images, titles, strict=True):
            draw_image(ax, image, title if i == 0 else "")
        axes[i, 0].set_ylabel(name, fontsize=10, color=INK)
    return figure


def distance_to_noise(share: Tensor, curves: Mapping[str, Tensor]) -> Figure:
    """Divergence from N(0, 1) against the share of the steps done, on a logarithmic axis.

    Parameters
    ----------
    share : Tensor, shape (k,)
        t / T.
    curves : mapping from the name of a curve to a Tensor of shape (k,)
    """
    figure, axes = panels(width=6.4, height=3.0)
    ax = axes[0, 0]
    for style, (name, values) in zip(_LINES, curves.items(), strict=False):
        ax.plot(share, values, lw=2, label=name, **style)
    ax.set(xlabel="share of the steps done, $t/T$", ylabel="divergence from $N(0,1)$, nats")
    ax.set(yscale="log", xlim=(0, 1), ylim=(1e-6, 10))
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return figure

"""What a sampler really samples: its distance from the posterior (lecture 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = [
    "bound_against_truth",
    "cooled_modes",
    "error_against_distance",
    "repairs",
    "temperature_limits",
    "two_laws",
    "u_curve",
    "w2_map",
]

STYLES = [
    {"color": ACCENT, "ls": "-", "marker": "o"},
    {"color": CONTRAST, "ls": "--", "marker": "s"},
    {"color": THIRD, "ls": ":", "marker": "^"},
    {"color": INK, "ls": "-.", "marker": "D"},
    {"color": MUTED, "ls": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
]


def two_laws(
    laws: Mapping[str, tuple[ArrayLike, ArrayLike]], truth: ArrayLike, pairs: Sequence[Sequence]
) -> Figure:
    r"""Ellipses that hold 90 % of two-dimensional marginals of Gaussian laws, one panel per pair.

    Parameters
    ----------
    laws : mapping from name to (mean, covariance)
        Arrays of shape (n,) and (n, n).
    truth : array (n,)
        The image that was measured, drawn as a star.
    pairs : sequence of (i, j, label of i, label of j)
    """
    figure, axes = panels(1, len(pairs), width=3.4, height=3.1)
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.sqrt(2 * np.log(10)) * np.stack([np.cos(angle), np.sin(angle)])
    for ax, (i, j, x_label, y_label) in zip(axes[0], pairs, strict=True):
        for style, (name, (mean, cov)) in zip(STYLES, laws.items(), strict=False):
            mean, cov = np.asarray(mean)[[i, j]], np.asarray(cov)[np.ix_([i, j], [i, j])]
            line = mean[:, None] + np.linalg.cholesky(cov) @ circle
            ax.plot(*line, color=style["color"], ls=style["ls"], lw=2, label=name)
            ax.plot(*mean, style["marker"], color=style["color"], ms=6)
        ax.plot(*np.asarray(truth)[[i, j]], "*", color=INK, ms=12, label="$x_0$")
        ax.set(xlabel=x_label, ylabel=y_label)
        ax.margins(0.08)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(laws) + 1, frameon=False)
    return figure


def u_curve(
    steps: Sequence[int], distances: Mapping[str, ArrayLike], *, main: str, parts: str = ""
) -> Figure:
    """Relative W2 against the number of steps, on two logarithmic axes.

    Parameters
    ----------
    steps : sequence of int
    distances : mapping from name to array (len(steps),)
    main : str
        The curve that is drawn thick and whose values are written beside the points.
    parts : str
        Names that start so are drawn thin: the two parts of the distance.
    """
    figure, axes = panels(width=5.8, height=3.7)
    ax: Axes = axes[0, 0]
    for style, (name, values) in zip(STYLES, distances.items(), strict=False):
        thin = bool(parts) and name.startswith(parts)
        ax.plot(steps, values, **style, lw=1.2 if thin else 2.2, ms=4 if thin else 6, label=name)
    for n, value in zip(steps, distances[main], strict=True):
        falls = value > distances[main][-1] or n == steps[1]
        place = {"xytext": (9, 3), "ha": "left"} if falls else {"xytext": (0, 8), "ha": "center"}
        ax.annotate(f"{value:.3f}", (n, value), textcoords="offset points", fontsize=8, **place)
    ax.set(xscale="log", xlabel="network evaluations $N$", ylabel="relative $W_2$ to the posterior")
    ax.set_xticks(steps, [str(n) for n in steps])
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=len(distances), frameon=False)
    return figure


def temperature_limits(
    eta: ArrayLike,
    tau: ArrayLike,
    found: Mapping[str, tuple[ArrayLike, ArrayLike]],
    levels: ArrayLike,
    paths: Mapping[str, tuple[ArrayLike, ArrayLike]],
    posterior: tuple[float, float],
) -> Figure:
    r"""Limits of one pixel: left not measured, right measured with noise.

    Parameters
    ----------
    eta, tau : arrays (k,)
        The curve of the temperature.
    found : mapping from name to (eta, variance)
        Variances of finite runs, in units of the prior's, drawn as markers on the left.
    levels : array (m,)
        Numbers of steps of the runs on the right.
    paths : mapping from name to (gain, variance), arrays (m,)
        Weight of the measurement and variance of the output, one entry for each eta.
    posterior : (gain, variance)
    """
    figure, axes = panels(1, 3, width=3.5, height=3.3)
    left, *right = axes[0]
    left.plot(eta, tau, color=INK, lw=1.5, label=r"$\tau$, the limit")
    for style, (name, (x, y)) in zip(STYLES, found.items(), strict=False):
        left.plot(
            x, y, style["marker"], color=style["color"], ms=6, mfc="none", mew=1.6, label=name
        )
    left.axhline(1, color=MUTED, lw=1, ls=":")
    left.annotate("the prior", (0.02, 1.005), fontsize=8, color=MUTED, va="bottom")
    left.set(xlabel=r"$\eta$", ylabel="variance / that of the prior", ylim=(0.45, 1.06))
    left.legend(frameon=False, loc="lower left")
    for k, (ax, label) in enumerate(zip(right, ("gain on $\\bar y$", "variance"), strict=True)):
        for style, (name, path) in zip(STYLES, paths.items(), strict=False):
            ax.plot(levels, path[k], **style, ms=5, label=name)
        ax.axhline(posterior[k], color=INK, lw=1, ls=(0, (1, 1)))
        ax.annotate(
            "posterior",
            (levels[-1], posterior[k]),
            (0, -4 if k == 0 else 3),
            textcoords="offset points",
            fontsize=9,
            ha="right",
            va="top" if k == 0 else "bottom",
        )
        ax.set(xscale="log", xlabel="network evaluations $N$", ylabel=label)
        ax.set_ylim(-0.03, 1.08 if k == 0 else None)
    right[1].legend(frameon=False)
    return figure


def error_against_distance(
    cooled: tuple[ArrayLike, ArrayLike],
    samplers: Mapping[str, tuple[ArrayLike, ArrayLike]],
    marks: Sequence[tuple[float, float, str, tuple[float, float]]],
    ends: Sequence[str],
) -> Figure:
    """Squared error of a draw against its distance from the posterior.

    Parameters
    ----------
    cooled : (distance, error), arrays (k,)
        Of the posterior with a scaled covariance.
    samplers : mapping from name to (distance, error)
        Curves of samplers, one point a setting.
    marks : sequence of (distance, error, text, offset in points)
        Points that are named.
    ends : two str
        Texts at the first and the last point of every sampler.
    """
    figure, axes = panels(width=6.4, height=3.8)
    ax: Axes = axes[0, 0]
    ax.plot(*cooled, color=MUTED, lw=1.4, ls=":", label=r"posterior at temperature $\tau < 1$")
    for style, (name, (x, y)) in zip(STYLES, samplers.items(), strict=False):
        ax.plot(x, y, **style, lw=1.6, ms=4, label=name)
        for k, text in zip((0, -1), ends, strict=True):
            ax.annotate(text, (x[k], y[k]), (7, 3), textcoords="offset points", fontsize=8)
    ax.axhline(1, color=MUTED, lw=0.8)
    for x, y, text, offset in marks:
        ax.plot(x, y, "*", color=INK, ms=11, zorder=5)
        ax.annotate(text, (x, y), offset, textcoords="offset points", fontsize=9, color=INK)
    ax.set(xlabel="relative $W_2$ to the posterior", ylabel="squared error / that of the posterior")
    ax.set_xlim(-0.02, 1.06)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def w2_map(
    eta: ArrayLike, eta_b: ArrayLike, distance: ArrayLike, error: ArrayLike, mark: Sequence[float]
) -> Figure:
    """Two maps over (eta, eta_b), contours filled: relative W2, and the ratio of squared errors.

    Parameters
    ----------
    eta, eta_b : arrays (k,), (l,)
    distance, error : arrays (l, k)
    mark : (eta, eta_b)
        The recommended setting, a star; the least value of each map is a white dot.
    """
    figure, axes = panels(1, 2, width=4.3, height=3.3, sharey=True)
    labels = ("relative $W_2$", "squared error / that of the posterior")
    for ax, values, label in zip(axes[0], (distance, error), labels, strict=True):
        values = np.asarray(values)
        edges = np.linspace(values.min(), np.quantile(values, 0.97), 13)
        picture = ax.contourf(eta, eta_b, values, levels=edges, cmap="cividis", extend="max")
        ax.contour(eta, eta_b, values, levels=edges, colors="w", linewidths=0.4)
        row, column = np.unravel_index(values.argmin(), values.shape)
        best = {"mfc": "w", "mec": INK, "ms": 9, "clip_on": False, "zorder": 4}
        ax.plot(np.asarray(eta)[column], np.asarray(eta_b)[row], "o", **best)
        ax.plot(*mark, "*", color=CONTRAST, mec=INK, ms=14, clip_on=False, zorder=5)
        ax.set(xlabel=r"$\eta$")
        figure.colorbar(picture, ax=ax, label=label, format="%.2f")
    axes[0, 0].set_ylabel(r"$\eta_b$")
    return figure


def cooled_modes(x: ArrayLike, densities: Mapping[str, ArrayLike]) -> Figure:
    """Densities on the line; the first one is the truth, and is filled.

    Parameters
    ----------
    x : array (k,)
    densities : mapping from name to array (k,)
    """
    figure, axes = panels(width=5.8, height=3.2)
    ax: Axes = axes[0, 0]
    (name, truth), *others = densities.items()
    ax.fill_between(x, truth, color=MUTED, alpha=0.35, lw=0, label=name)
    for style, (name, values) in zip(STYLES, others, strict=False):
        ax.plot(x, values, color=style["color"], ls=style["ls"], lw=2, label=name)
    ax.set(xlabel="$x_0$", ylabel="density", ylim=(0, None))
    ax.legend(frameon=False)
    return figure


def bound_against_truth(
    sigma: ArrayLike,
    weights: Mapping[str, ArrayLike],
    boundary: float,
    points: Sequence[tuple[float, float, str]],
) -> Figure:
    r"""Left, weights of a measured coordinate; right, the bound against the true divergence.

    Parameters
    ----------
    sigma : array (k,)
        Levels that are entered.
    weights : mapping from name to array (k,)
        In units of :math:`1/2\sigma_t^2`.
    boundary : float
        :math:`\sigma_y/s`, where case 1 begins.
    points : sequence of (divergence, bound, name)
        The bound as it is in nats, one entry for each setting.
    """
    figure, axes = panels(1, 2, width=4.6, height=3.4)
    left, right = axes[0]
    for style, (name, values) in zip(STYLES, weights.items(), strict=False):
        left.plot(sigma, values, color=style["color"], ls=style["ls"], lw=2, label=name)
    left.axvline(boundary, color=MUTED, lw=1)
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
    left.annotate(r"$\sigma_y/s$", (boundary, 0.3), (4, 0), color=INK, **place)
    left.set(xscale="log", xlabel=r"level $\sigma_t$", ylabel=r"weight $\times\ 2\sigma_t^2$")
    left.legend(frameon=False, fontsize=8)
    for style, (x, y, name) in zip(STYLES, points, strict=False):
        right.plot(x, y, style["marker"], color=style["color"], ms=9)
        right.annotate(name, (x, y), (8, 5), textcoords="offset points", fontsize=9, color=INK)
    right.set(xlabel="true divergence (nats)", ylabel="bound (nats)")
    right.margins(x=0.3, y=0.15)
    return figure


def repairs(steps: Sequence[int], distances: Mapping[str, ArrayLike]) -> Figure:
    """Relative W2 against the number of steps for several samplers, named at their ends.

    Parameters
    ----------
    steps : sequence of int
    distances : mapping from name to array (len(steps),)
    """
    figure, axes = panels(width=6.6, height=3.9)
    ax: Axes = axes[0, 0]
    lowest = np.inf
    order = sorted(distances, key=lambda name: -distances[name][-1])
    styles = dict(zip(distances, STYLES, strict=False))
    for name in order:
        values, style = distances[name], styles[name]
        ax.plot(steps, values, **style, lw=1.8, ms=5)
        lowest = min(values[-1], 0.8 * lowest)  # the height of a line of text
        ax.annotate(
            name, (steps[-1], lowest), (9, 0), textcoords="offset points", va="center",
            fontsize=9, color=style["color"],
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="network evaluations $N$")
    ax.set_ylabel("relative $W_2$ to the posterior")
    ax.set_xticks(steps, [str(n) for n in steps])
    ticks = [0.01, 0.03, 0.1, 0.3, 1.0]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    return figure

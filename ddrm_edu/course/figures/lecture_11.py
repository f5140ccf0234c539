"""Lecture 11: what a sampler really samples, its distance from the posterior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import Array, Curves, Pair, Pairs
from .draw import interact as interact
from .draw import show as show
from .style import CONTRAST, INK, LINES, MUTED, PLAIN


def two_laws(laws: Pairs, truth: Array, pairs: Sequence[Sequence]) -> Figure:
    r"""Ellipses that hold 90 % of two-dimensional marginals of Gaussian laws, one panel per pair.

    Parameters
    ----------
    laws : mapping from name to (mean, covariance)
        Arrays of shape (n,) and (n, n). The axes are those of the first, so that pictures of other
        laws beside it can be compared.
    truth : array (n,)
        The image that was measured, drawn as a star.
    pairs : sequence of (i, j, label of i, label of j)
    """
    figure, axes = draw.panels(1, len(pairs), width=3.4, height=3.1)
    radius, first = np.sqrt(2 * np.log(10)), next(iter(laws.values()))
    for ax, (i, j, x_label, y_label) in zip(axes[0], pairs, strict=True):
        for look, (name, (mean, cov)) in zip(LINES, laws.items(), strict=False):
            centre, part = np.asarray(mean)[[i, j]], np.asarray(cov)[np.ix_([i, j], [i, j])]
            line = draw.ellipse(centre, part, radius)
            ax.plot(*line, color=look["color"], ls=look["ls"], lw=2, label=name)
            ax.plot(*centre, look["marker"], color=look["color"], ms=6)
        ax.plot(*np.asarray(truth)[[i, j]], "*", color=INK, ms=12, label="$x_0$")
        mean, cov = (np.asarray(part) for part in first)
        half = 1.5 * radius * np.sqrt(np.diag(cov)[[i, j]])
        x_limits, y_limits = zip(mean[[i, j]] - half, mean[[i, j]] + half, strict=True)
        ax.set(xlabel=x_label, ylabel=y_label, xlim=x_limits, ylim=y_limits)
    draw.legend(figure, axes[0, 0], len(laws) + 1, "upper")
    return figure


def u_curve(steps: Sequence[int], distances: Curves, *, main: str, parts: str = "") -> Figure:
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
    figure, ax = draw.panel(width=5.8, height=3.7)
    for style, (name, values) in zip(LINES, distances.items(), strict=False):
        thin = bool(parts) and name.startswith(parts)
        ax.plot(steps, values, **style, lw=1.2 if thin else 2.2, ms=4 if thin else 6, label=name)
    for n, value in zip(steps, distances[main], strict=True):
        falls = value > distances[main][-1] or n == steps[1]
        offset, ha = ((9, 3), "left") if falls else ((0, 8), "center")
        draw.note(ax, f"{value:.3f}", (n, value), offset, ha=ha, fontsize=8)
    ax.set(xscale="log", xlabel="network evaluations $N$", ylabel="relative $W_2$ to the posterior")
    draw.ticks(ax, x=steps)
    ax.set_ylim(0, None)
    ax.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=len(distances), frameon=False)
    return figure


def temperature_limits(
    eta: Array,
    tau: Array,
    found: Pairs,
    levels: Array,
    paths: Pairs,
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
    figure, axes = draw.panels(1, 3, width=3.5, height=3.3)
    left, *right = axes[0]
    left.plot(eta, tau, color=INK, lw=1.5, label=r"$\tau$, the limit")
    for style, (name, (x, y)) in zip(LINES, found.items(), strict=False):
        left.plot(x, y, **{**style, "ls": ""}, ms=6, mfc="none", mew=1.6, label=name)
    left.axhline(1, color=MUTED, lw=1, ls=":")
    left.annotate("the prior", (0.02, 1.005), fontsize=8, color=MUTED, va="bottom")
    left.set(xlabel=r"$\eta$", ylabel="variance / that of the prior", ylim=(0.45, 1.06))
    left.legend(frameon=False, loc="lower left")
    for k, (ax, label) in enumerate(zip(right, ("gain on $\\bar y$", "variance"), strict=True)):
        draw.curves(ax, levels, {name: path[k] for name, path in paths.items()}, ms=5)
        ax.axhline(posterior[k], color=INK, lw=1, ls=(0, (1, 1)))
        shift, va = (3, "bottom") if k else (-4, "top")
        end = (np.asarray(levels)[-1], posterior[k])
        draw.note(ax, "posterior", end, (0, shift), fontsize=9, ha="right", va=va)
        ax.set(xscale="log", xlabel="network evaluations $N$", ylabel=label)
        ax.set_ylim(-0.03, 1.08 if k == 0 else None)
    right[1].legend(frameon=False)
    return figure


def error_against_distance(
    cooled: Pair,
    samplers: Pairs,
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
    figure, ax = draw.panel(width=6.4, height=3.8)
    ax.plot(*cooled, color=MUTED, lw=1.4, ls=":", label=r"posterior at temperature $\tau < 1$")
    for style, (name, (x, y)) in zip(LINES, samplers.items(), strict=False):
        ax.plot(x, y, **style, lw=1.6, ms=4, label=name)
        for k, text in zip((0, -1), ends, strict=True):
            draw.note(ax, text, (x[k], y[k]), (7, 3), fontsize=8)
    ax.axhline(1, color=MUTED, lw=0.8)
    for *point, text, offset in marks:
        ax.plot(*point, "*", color=INK, ms=11, zorder=5)
        draw.note(ax, text, point, offset, fontsize=9, color=INK)
    ax.set(xlabel="relative $W_2$ to the posterior", ylabel="squared error / that of the posterior")
    ax.set_xlim(-0.02, 1.06)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def w2_map(
    eta: Array, eta_b: Array, distance: Array, error: Array, mark: Sequence[float]
) -> Figure:
    """Two maps over (eta, eta_b), contours filled: relative W2, and the ratio of squared errors.

    Parameters
    ----------
    eta, eta_b : arrays (k,), (l,)
    distance, error : arrays (l, k)
    mark : (eta, eta_b)
        The recommended setting, a star; the least value of each map is a white dot.
    """
    figure, axes = draw.panels(1, 2, width=4.3, height=3.3, sharey=True)
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


def cooled_modes(x: Array, densities: Curves) -> Figure:
    """Densities on the line; the first one is the truth, and is filled.

    Parameters
    ----------
    x : array (k,)
    densities : mapping from name to array (k,)
    """
    figure, ax = draw.panel(width=5.8, height=3.2)
    (name, truth), *others = densities.items()
    ax.fill_between(x, truth, color=MUTED, alpha=0.35, lw=0, label=name)
    draw.curves(ax, x, dict(others), PLAIN, lw=2)
    ax.set(xlabel="$x_0$", ylabel="density", ylim=(0, None))
    ax.legend(frameon=False)
    return figure


def bound_against_truth(
    sigma: Array, weights: Curves, boundary: float, points: Sequence[tuple[float, float, str]]
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
    figure, axes = draw.panels(1, 2, width=4.6, height=3.4)
    left, right = axes[0]
    draw.curves(left, sigma, weights, PLAIN, lw=2)
    left.axvline(boundary, color=MUTED, lw=1)
    place = {"xycoords": ("data", "axes fraction"), "va": "top"}
    draw.note(left, r"$\sigma_y/s$", (boundary, 0.3), (4, 0), color=INK, **place)
    left.set(xscale="log", xlabel=r"level $\sigma_t$", ylabel=r"weight $\times\ 2\sigma_t^2$")
    left.legend(frameon=False, fontsize=8)
    for style, (x, y, name) in zip(LINES, points, strict=False):
        right.plot(x, y, style["marker"], color=style["color"], ms=9)
        draw.note(right, name, (x, y), (8, 5), fontsize=9, color=INK)
    right.set(xlabel="true divergence (nats)", ylabel="bound (nats)")
    right.margins(x=0.3, y=0.15)
    return figure


def repairs(steps: Sequence[int], distances: Curves) -> Figure:
    """Relative W2 against the number of steps for several samplers, named at their ends.

    Parameters
    ----------
    steps : sequence of int
    distances : mapping from name to array (len(steps),)
    """
    figure, ax = draw.panel(width=6.6, height=3.9)
    lowest = np.inf
    order = sorted(distances, key=lambda name: -distances[name][-1])
    styles = dict(zip(distances, LINES, strict=False))
    for name in order:
        values, style = distances[name], styles[name]
        ax.plot(steps, values, **style, lw=1.8, ms=5)
        lowest = min(float(values[-1]), 0.8 * lowest)  # the height of a line of text
        text = {"va": "center", "fontsize": 9, "color": style["color"]}
        draw.note(ax, name, (steps[-1], lowest), (9, 0), **text)
    ax.set(xscale="log", yscale="log", xlabel="network evaluations $N$")
    ax.set_ylabel("relative $W_2$ to the posterior")
    draw.ticks(ax, x=steps, y=[0.01, 0.03, 0.1, 0.3, 1.0])
    return figure

"""Lecture 07: the induction of slides 13-16 and the variances that add up."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import draw
from .draw import Array, Curves
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CASES, CONTRAST, INK, MUTED, THIRD, Look

_BELOW: Look = {"loc": "outside lower center", "ncols": 3, "frameon": False}


def kernels_given_y(x0: Array, centres: Array, covs: Array, sigmas: Array) -> Figure:
    """Ellipses of q(x_t | x_0, y) for some y, and their average over y beside q(x_t | x_0).

    Parameters
    ----------
    x0 : array, shape (2,)
    centres : array, shape (L, Y, 2)
        Means given each of Y equally likely measurements, at L levels; every ninth is drawn.
    covs : array, shape (L, 2, 2)
        Covariances, which do not depend on y.
    sigmas : array, shape (L,)
        Radii of the circles.
    """
    figure, axes = draw.panels(1, len(sigmas), width=3.7, height=3.5)
    for ax, means, cov, sigma in zip(axes[0], centres, covs, sigmas, strict=True):
        for mean in means[4::9]:
            ax.plot(*draw.ellipse(mean, cov), color=ACCENT, lw=1.0, zorder=1)
        ax.plot(*means[4::9].T, ls="", marker="o", ms=3, color=ACCENT)
        reach = 2.05 * sigma
        _contour_of_average(ax, x0, means, cov, float(sigma), reach)
        circle = draw.ellipse(x0, sigma**2 * np.eye(2))
        ax.plot(*circle, color=INK, lw=2.2, ls=(0, (5, 2)), zorder=4)
        ax.plot(*x0, marker="+", ms=11, mew=2, color=INK)
        ax.set(xlim=x0[0] + np.array([-1, 1]) * reach, ylim=x0[1] + np.array([-1, 1]) * reach)
        ax.set(aspect="equal", xlabel="first pixel")
        ax.set_title(rf"$\sigma_t = {sigma:g}$", fontsize=11)
    axes[0, 0].set_ylabel("second pixel")
    handles = [
        Line2D([], [], color=ACCENT, marker="o", ms=3, label=r"$q(x_t\mid x_0,y)$, seven $y$"),
        Line2D([], [], color=CONTRAST, lw=4, alpha=0.7, label="its average over $y$"),
        Line2D([], [], color=INK, lw=2.2, ls=(0, (5, 2)), label=r"$q(x_t\mid x_0)$"),
        Line2D([], [], color=INK, ls="", marker="+", ms=10, mew=2, label=r"$x_0$"),
    ]
    figure.legend(handles=handles, **{**_BELOW, "ncols": 4})
    return figure


def _contour_of_average(
    ax: Axes, x0: Array, means: Array, cov: Array, sigma: float, reach: float
) -> None:
    """Where the average of the laws has the density that N(x0, sigma^2 I) has at one sigma.

    Laws without width along one direction have no density, and no contour is drawn.
    """
    if np.linalg.eigvalsh(cov)[0] < (0.04 * sigma) ** 2:
        return
    side = np.linspace(-reach, reach, 90)
    points = np.stack(np.meshgrid(x0[0] + side, x0[1] + side), axis=-1)
    off = points[:, :, None] - np.asarray(means)
    square = np.einsum("abyi,ij,abyj->aby", off, np.linalg.inv(cov), off)
    density = np.exp(-square / 2).mean(-1) / (2 * np.pi * np.linalg.det(cov) ** 0.5)
    edge = np.exp(-0.5) / (2 * np.pi * sigma**2)
    style: Look = {"colors": [CONTRAST], "linewidths": 4, "alpha": 0.7, "zorder": 3}
    ax.contour(points[..., 0], points[..., 1], density, levels=[edge], **style)


def sums_of_normals(grid: Array, cdfs: Curves) -> Figure:
    """Distribution functions of sums of two normal numbers; the first is the independent one.

    Parameters
    ----------
    grid : array, shape (K,)
    cdfs : mapping from label to array, shape (K,)
        At most three.
    """
    figure, ax = draw.panel(width=5.4, height=3.1)
    styles = [(INK, "-", 2.4), (ACCENT, "--", 1.9), (CONTRAST, "-.", 1.9)]
    for (label, values), (color, ls, lw) in zip(cdfs.items(), styles, strict=False):
        ax.plot(grid, values, color=color, ls=ls, lw=lw, label=label)
    ax.set(xlabel=r"$a$", ylabel=r"$P(z_1 + z_2 \leq a)$", ylim=(-0.03, 1.03))
    ax.set(xlim=(grid[0], grid[-1]))
    ax.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def induction_ladder(cases: Array, s: Array, sigmas: Array) -> Figure:
    """What the law of each coordinate at each level is proved from.

    Parameters
    ----------
    cases : array of 1, 2 and 3, shape (n, T)
        Case of coordinate i at level t; the first column is the start.
    s : array, shape (n,)
        Singular values.
    sigmas : array, shape (T,)
        Levels from sigma_T down.
    """
    n, T = cases.shape
    figure, ax = draw.panel(width=7.8, height=0.62 * n + 1.1)
    ax.axis("off")
    head = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 8, "lw": 1.4, "mutation_scale": 11}
    for i in range(n):
        row, seen = n - 1 - i, s[i] > 0
        ax.text(-0.37, row, f"$s_{i + 1} = {s[i]:g}$", ha="right", va="center", fontsize=10)
        if seen:  # the rail of ybar, with one stub up to every level
            ax.plot([-0.3, T - 1], [row - 0.37] * 2, color=MUTED, lw=1.2)
            ax.text(-0.37, row - 0.37, rf"$\bar y^{i + 1}$", ha="right", va="center", fontsize=9)
        for t in range(T):
            kind = CASES[int(cases[i, t])]
            ax.plot(t, row, marker=kind["marker"], ms=11, color=kind["color"], mec=INK, zorder=3)
            if seen:
                arrow = head | {"color": MUTED, "shrinkB": 7}
                ax.annotate("", (t, row), (t, row - 0.37), arrowprops=arrow)
            elif t:
                arrow = head | {"color": kind["color"], "shrinkA": 8, "lw": 1.9}
                ax.annotate("", (t, row), (t - 1, row), arrowprops=arrow)
    for t, sigma in enumerate(sigmas):
        name = "T" if t == 0 else f"{T - t}"
        label = rf"$\sigma_{name}$" + "\n" + f"{sigma:g}"
        ax.text(t, n - 0.42, label, ha="center", va="bottom", fontsize=10)
    ax.set(xlim=(-1.0, T - 0.8), ylim=(-0.5, n + 0.35))
    _case_legend(figure)
    return figure


def _case_legend(figure: Figure) -> None:
    names = {
        1: r"case 1, and the start: from $\bar y$",
        2: r"case 2: from $\bar y$",
        3: r"case 3: from $\bar x_{t+1}$; its start: from $\bar x_0$ alone",
    }
    handles = [
        Line2D([], [], ls="", ms=9, mec=INK, color=kind["color"], marker=kind["marker"])
        for kind in CASES.values()
    ]
    figure.legend(handles, names.values(), fontsize=9, columnspacing=1.2, **_BELOW)


def variance_bars(parts: Array, cases: Array, s: Array, sigmas: Array) -> Figure:
    r"""Where the variance of each coordinate comes from, level by level; three panels in a row.

    Parameters
    ----------
    parts : array, shape (3, n, T)
        Shares of :math:`\sigma_t^2`: fresh noise, from y-bar, from the level above.
    cases : array, shape (n, T)
    s : array, shape (n,)
    sigmas : array, shape (T,)
    """
    n, T = cases.shape
    figure, axes = draw.panels(-(-n // 3), 3, width=2.35, height=2.6, sharey=True)
    styles = [
        ("fresh noise of this step", "white", "....", MUTED),
        (r"inherited from $\bar y$", ACCENT, "", INK),
        (r"inherited from $\bar x_{t+1}$", THIRD, "///", INK),
    ]
    for i, ax in enumerate(draw.in_use(axes.flat, n)):
        bottom = np.zeros(T)
        for share, (_, color, hatch, ec) in zip(parts[:, i], styles, strict=True):
            ax.bar(range(T), share, 0.8, bottom, color=color, hatch=hatch, ec=ec, lw=0.7)
            bottom = bottom + share
        ax.axhline(1, color=INK, lw=1.6)
        for t in range(T):
            ax.text(t, 1.02, str(cases[i, t]) if t else "T", ha="center", va="bottom", fontsize=9)
        ax.set_xticks(range(T), [f"{sigma:g}" for sigma in sigmas], fontsize=8.5)
        ax.set(xlabel=r"level $\sigma_t$", ylim=(0, 1.12))
        ax.set_title(f"$s = {s[i]:g}$", fontsize=11)
    for first in axes[:, 0]:
        first.set_ylabel(r"share of $\sigma_t^2$")
    handles = [Patch(fc=color, hatch=hatch, ec=ec, label=name) for name, color, hatch, ec in styles]
    figure.legend(handles=handles, **_BELOW)
    return figure


def level_correlations(maps: Curves) -> Figure:
    r"""Heat maps of covariances of x_t given x_0, in units of :math:`\sigma_t^2`.

    Parameters
    ----------
    maps : mapping from title to array, shape (n, n)
        Colours end at -1 and 1; every entry is printed.
    """
    figure, axes = draw.panels(1, len(maps), width=2.75, height=2.9)
    for ax, (title, matrix) in zip(axes[0], maps.items(), strict=True):
        options: Look = {"fontsize": 7.5, "cmap": "RdBu", "vmin": -1, "vmax": 1}
        picture = draw.heat_map(ax, matrix, _short, np.abs(matrix) > 0.6, **options)
        ax.set_title(title, fontsize=10.5)
        draw.matrix_ticks(ax, range(1, len(matrix) + 1))
        ax.set_xlabel("coordinate $j$")
    axes[0, 0].set_ylabel("coordinate $i$")
    label = r"covariance in units of $\sigma_t^2$"
    figure.colorbar(picture, ax=axes, label=label, shrink=0.8, ticks=[-1, 0, 1], extend="both")
    return figure


def _short(value: float) -> str:
    """The number of one entry, as far as it is not 0: .73, short enough for its square."""
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) > 0.005 else ""


def scores_against_normal(quantiles: Array, scores: Curves, bound: float) -> Figure:
    """Sorted z-scores against the quantiles of the normal law.

    Parameters
    ----------
    quantiles : array, shape (K,)
        Where K ordered standard normal numbers lie.
    scores : mapping from label to array, shape (K,)
        Sorted scores, at most three sets.
    bound : float
        Largest score that chance allows.
    """
    figure, ax = draw.panel(width=5.6, height=3.5)
    ax.axhspan(-bound, bound, color=MUTED, alpha=0.12, lw=0)
    ax.plot(quantiles, quantiles, color=INK, lw=1.2)
    looks = [("o", ACCENT, "none", 8), ("^", THIRD, THIRD, 5), ("s", CONTRAST, CONTRAST, 4)]
    for (label, values), (marker, mec, mfc, ms) in zip(scores.items(), looks, strict=False):
        style: Look = {"marker": marker, "mec": mec, "mfc": mfc, "ms": ms, "mew": 1.3}
        ax.plot(quantiles, values, ls="", label=label, **style)
    end = (float(quantiles[-1]), -bound + 0.25)
    ax.text(*end, "what chance allows", color=MUTED, fontsize=9, ha="right")
    ax.set(xlabel="quantile of N(0, 1)", ylabel="z-score")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    return figure

"""The induction of slides 13-16 and the variances that add up (lecture 07)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch

from .style import ACCENT, CASES, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "induction_ladder",
    "kernels_given_y",
    "level_correlations",
    "scores_against_normal",
    "sums_of_normals",
    "variance_bars",
]


def kernels_given_y(
    x0: np.ndarray, centres: np.ndarray, covs: np.ndarray, sigmas: np.ndarray
) -> Figure:
    """Ellipses of q(x_t | x_0, y) for several y, inside the circle of q(x_t | x_0).

    Parameters
    ----------
    x0 : array, shape (2,)
    centres : array, shape (L, Y, 2)
        Means given each of Y measurements, at L levels.
    covs : array, shape (L, 2, 2)
        Covariances, which do not depend on y.
    sigmas : array, shape (L,)
        Radii of the circles.
    """
    figure, axes = panels(1, len(sigmas), width=3.7, height=3.5)
    for ax, means, cov, sigma in zip(axes[0], centres, covs, sigmas, strict=True):
        for mean in means:
            ax.add_patch(_ellipse(mean, cov, facecolor=ACCENT, alpha=0.13, lw=0))
            ax.add_patch(_ellipse(mean, cov, fill=False, ec=ACCENT, lw=1.1))
        ax.plot(*means.T, ls="", marker="o", ms=3, color=ACCENT)
        circle = sigma**2 * np.eye(2)
        ax.add_patch(_ellipse(x0, circle, fill=False, ec=INK, lw=2.2, ls=(0, (5, 2))))
        ax.plot(*x0, marker="+", ms=11, mew=2, color=INK)
        reach = 2.05 * sigma
        ax.set(xlim=x0[0] + np.array([-1, 1]) * reach, ylim=x0[1] + np.array([-1, 1]) * reach)
        ax.set(aspect="equal", xlabel="first pixel")
        ax.set_title(rf"$\sigma_t = {sigma:g}$", fontsize=11)
    axes[0, 0].set_ylabel("second pixel")
    handles = [
        Line2D([], [], color=ACCENT, marker="o", ms=3, label=r"$q(x_t\mid x_0,y)$, seven $y$"),
        Line2D([], [], color=INK, lw=2.2, ls=(0, (5, 2)), label=r"$q(x_t\mid x_0)$"),
        Line2D([], [], color=INK, ls="", marker="+", ms=10, mew=2, label=r"$x_0$"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _ellipse(mean: np.ndarray, cov: np.ndarray, **style) -> Ellipse:
    """The points one standard deviation from the mean."""
    values, axes = np.linalg.eigh(cov)
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    return Ellipse(mean, 2 * values[1] ** 0.5, 2 * values[0] ** 0.5, angle=angle, **style)


def sums_of_normals(grid: np.ndarray, cdfs: Mapping[str, np.ndarray]) -> Figure:
    """Distribution functions of sums of two normal numbers; the first is the independent one.

    Parameters
    ----------
    grid : array, shape (K,)
    cdfs : mapping from label to array, shape (K,)
        At most three.
    """
    figure, axes = panels(width=5.4, height=3.1)
    styles = [(INK, "-", 2.4), (ACCENT, "--", 1.9), (CONTRAST, "-.", 1.9)]
    for (label, values), (color, ls, lw) in zip(cdfs.items(), styles, strict=False):
        axes[0, 0].plot(grid, values, color=color, ls=ls, lw=lw, label=label)
    axes[0, 0].set(xlabel=r"$a$", ylabel=r"$P(z_1 + z_2 \leq a)$", ylim=(-0.03, 1.03))
    axes[0, 0].set(xlim=(grid[0], grid[-1]))
    axes[0, 0].legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def induction_ladder(cases: np.ndarray, s: np.ndarray, sigmas: np.ndarray) -> Figure:
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
    figure, axes = panels(width=7.8, height=0.62 * n + 1.1)
    ax = axes[0, 0]
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
    where = {"loc": "outside lower center", "ncols": 3, "frameon": False}
    figure.legend(handles, names.values(), fontsize=9, columnspacing=1.2, **where)


def variance_bars(
    parts: np.ndarray, cases: np.ndarray, s: np.ndarray, sigmas: np.ndarray
) -> Figure:
    r"""Where the variance of each coordinate comes from, level by level.

    Parameters
    ----------
    parts : array, shape (3, n, T)
        Shares of :math:`\sigma_t^2`: fresh noise, from y-bar, from the level above.
    cases : array, shape (n, T)
    s : array, shape (n,)
    sigmas : array, shape (T,)
    """
    n, T = cases.shape
    figure, axes = panels(1, n, width=2.25, height=3.0, sharey=True)
    styles = [
        ("fresh noise of this step", "white", "....", MUTED),
        (r"inherited from $\bar y$", ACCENT, "", INK),
        (r"inherited from $\bar x_{t+1}$", THIRD, "///", INK),
    ]
    for i, ax in enumerate(axes[0]):
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
    axes[0, 0].set_ylabel(r"share of $\sigma_t^2$")
    handles = [Patch(fc=color, hatch=hatch, ec=ec, label=name) for name, color, hatch, ec in styles]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def level_correlations(maps: Mapping[str, np.ndarray]) -> Figure:
    r"""Heat maps of covariances of x_t given x_0, in units of :math:`\sigma_t^2`.

    Parameters
    ----------
    maps : mapping from title to array, shape (n, n)
        Colours end at -1 and 1; every entry is printed.
    """
    figure, axes = panels(1, len(maps), width=2.75, height=2.9)
    for ax, (title, matrix) in zip(axes[0], maps.items(), strict=True):
        picture = ax.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
        ax.set_title(title, fontsize=10.5)
        ax.set_xticks(range(len(matrix)), range(1, len(matrix) + 1))
        ax.set_yticks(range(len(matrix)), range(1, len(matrix) + 1))
        ax.set_xlabel("coordinate $j$")
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                _entry(ax, i, j, value)
    axes[0, 0].set_ylabel("coordinate $i$")
    label = r"covariance in units of $\sigma_t^2$"
    figure.colorbar(picture, ax=axes, label=label, shrink=0.8, ticks=[-1, 0, 1], extend="both")
    return figure


def _entry(ax: Axes, i: int, j: int, value: float) -> None:
    """The number of one entry, as far as it is not 0."""
    if abs(value) > 0.005:
        color = "white" if abs(value) > 0.6 else INK
        number = f"{value:.2f}".replace("0.", ".", 1)  # .73: short enough for its square
        ax.text(j, i, number, ha="center", va="center", fontsize=7.5, color=color)


def scores_against_normal(
    quantiles: np.ndarray, scores: Mapping[str, np.ndarray], bound: float
) -> Figure:
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
    figure, axes = panels(width=5.6, height=3.5)
    ax = axes[0, 0]
    ax.axhspan(-bound, bound, color=MUTED, alpha=0.12, lw=0)
    ax.plot(quantiles, quantiles, color=INK, lw=1.2)
    looks = [("o", ACCENT, "none", 8), ("^", THIRD, THIRD, 5), ("s", CONTRAST, CONTRAST, 4)]
    for (label, values), (marker, mec, mfc, ms) in zip(scores.items(), looks, strict=False):
        style = {"marker": marker, "mec": mec, "mfc": mfc, "ms": ms, "mew": 1.3}
        ax.plot(quantiles, values, ls="", label=label, **style)
    ax.text(quantiles[-1], -bound + 0.25, "what chance allows", color=MUTED, fontsize=9, ha="right")
    ax.set(xlabel="quantile of N(0, 1)", ylabel="z-score")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    return figure

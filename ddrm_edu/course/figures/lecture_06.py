"""Lecture 06: the three cases of slide 11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import draw
from .draw import Array, Curves, Pairs
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CASES, CONTRAST, INK, LINES, MUTED, PALE, THIRD, Look, looks, tint


def weights_along_a_run(
    sigmas: Array, weights: Mapping[str, Curves], changes: Mapping[str, float]
) -> Figure:
    """The weights of x_0, x_{t+1} and ybar of some coordinates, level by level.

    Parameters
    ----------
    sigmas : array (N,)
        Levels entered, decreasing.
    weights : mapping
        Title of the panel, to name of the weight, to its values (N,).
    changes : mapping
        Title to the noise sigma_y / s of ybar, drawn as a vertical line, for some of the panels.
    """
    figure, axes = draw.panels(1, len(weights), width=3.0, height=2.7, sharey=True)
    styles = looks((INK, "-", "o"), (THIRD, ":", "^"), (ACCENT, "--", "s"))
    for ax, curves in draw.titled(axes[0], weights):
        change = changes.get(ax.get_title(), 0.0)
        for side in (np.asarray(sigmas) >= change, np.asarray(sigmas) < change):
            cut = {name: np.asarray(values)[side] for name, values in curves.items()}
            draw.curves(
                ax, np.asarray(sigmas)[side], cut, styles, ms=4, lw=1.6
            )  # a jump is no line
        ax.set(xscale="log", xlabel=r"level entered, $\sigma_t$", ylim=(-0.08, 1.18))
        if change:
            ax.axvline(change, color=MUTED, lw=1, zorder=0)
            corner = {"ha": "right", "va": "top", "fontsize": 9}
            draw.note(ax, r"$\sigma_y/s$", (change, 1.16), (-4, -2), color=INK, **corner)
    axes[0, 0].set_ylabel("weight in the mean")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles[:3], names[:3], loc="outside lower center", ncols=3, frameon=False)
    draw.spaced(figure, h_pad=0.08)
    return figure


def case_plane(
    sigma: Array, s: Array, weights: Array, sigma_y: float, spectrum: Array, levels: Array
) -> Figure:
    """The plane of level and singular value: which case applies, and the weight of ybar there.

    Parameters
    ----------
    sigma : array (k,)
        Increasing grid of levels.
    s : array (l,)
        Increasing grid of positive singular values.
    weights : array (l, k)
        Weight of ybar.
    sigma_y : float
    spectrum : array
        Positive singular values of an operator, drawn as ticks on the right.
    levels : array
        Levels of a run, drawn as ticks at the top.
    """
    figure, axes = draw.panels(
        2, 2, width=4.0, height=1.9, sharex=True, height_ratios=[7, 1], gridspec_kw={"hspace": 0.02}
    )
    sigma, s = np.asarray(sigma), np.asarray(s)
    for ax in axes[0]:
        ax.plot(sigma, sigma_y / sigma, color=INK, lw=1.6)
        ax.set(xscale="log", yscale="log", xlim=sigma[[0, -1]], ylim=s[[0, -1]])
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(axis="x", which="both", length=0)
    _regions(axes[0, 0], sigma, s, sigma_y, spectrum, levels)
    shown = axes[0, 1].pcolormesh(sigma, s, weights, cmap="cividis", vmin=0, vmax=1, zorder=0)
    figure.colorbar(shown, ax=axes[:, 1], label=r"weight of $\bar y$", aspect=24)
    lowest = matplotlib.colormaps["cividis"](0.0)
    names = (r"$s=0$: case 3", r"$s=0$: weight 0")
    colors = (tint(CASES[3]["color"]), lowest)
    for ax, color, ink, name in zip(axes[1], colors, (INK, "w"), names, strict=True):
        ax.set(facecolor=color, yticks=[], ylim=(0, 1), xlabel=r"level entered, $\sigma_t$")
        ax.text(0.5, 0.45, name, transform=ax.transAxes, ha="center", va="center", color=ink)
    axes[0, 0].set_ylabel("singular value s")
    return figure


def _regions(
    ax: Axes, sigma: np.ndarray, s: np.ndarray, sigma_y: float, spectrum: Array, levels: Array
) -> None:
    """Cases 1 and 2 as areas, with ticks for an operator and a run."""
    edge = np.clip(sigma_y / sigma, s[0], s[-1])
    ax.fill_between(sigma, edge, s[-1], color=tint(CASES[1]["color"]), lw=0, zorder=0)
    ax.fill_between(sigma, s[0], edge, color=tint(CASES[2]["color"]), lw=0, zorder=0)
    style: Look = {"color": INK, "ms": 12, "mew": 0.8, "clip_on": True, "zorder": 4}
    at_right, at_top = ax.get_yaxis_transform(), ax.get_xaxis_transform()
    ax.plot(np.ones(len(spectrum)), spectrum, "_", transform=at_right, **style)
    ax.plot(levels, np.ones(len(levels)), "|", transform=at_top, **style)
    text: Look = {"ha": "center", "va": "center", "transform": ax.transAxes, "color": INK}
    ax.text(0.72, 0.78, "case 1\n" + r"$\sigma_t\geq\sigma_y/s$", **text)
    ax.text(0.24, 0.2, "case 2\n" + r"$\sigma_t<\sigma_y/s$", **text)


def start_variances(s: Array, variances: Curves, sigma_T: float) -> Figure:
    """The variance of x_T by several versions of the start, against s.

    Parameters
    ----------
    s : array (k,)
    variances : mapping
        Name of the version to the variance given x_0 that it leads to, or claims, (k,).
    sigma_T : float
    """
    figure, ax = draw.panel(width=6.0, height=3.0)
    styles: list[Look] = [
        {"color": CONTRAST, "ls": "--", "lw": 2.2},
        {"color": MUTED, "ls": "-.", "lw": 2.0},
        {"color": ACCENT, "ls": "-", "lw": 3.0},
    ]
    ax.axhspan(-10, 0, color="#f0f0f0", lw=0, zorder=0)
    for (name, values), style in zip(variances.items(), styles, strict=True):
        ax.plot(s, np.asarray(values) / sigma_T**2, label=name, **style)
    ax.text(0.99, 0.04, "not a variance", transform=ax.transAxes, ha="right", fontsize=9, color=INK)
    ax.set(xscale="log", xlabel="singular value s", ylabel=r"in units of $\sigma_T^2$")
    ax.set(ylim=(-1.5, 3.2), xlim=np.asarray(s)[[0, -1]])
    ax.legend(frameon=False, loc="upper right", fontsize=9.5)
    return figure


def admissible_weights(ratio: Array, limit: Array, theorem: Array, printed: float = 1.0) -> Figure:
    """The range of eta_b that case 1 admits, and two choices in it.

    Parameters
    ----------
    ratio : array (k,)
        s sigma_t / sigma_y, from 1.
    limit, theorem : arrays (k,)
        Largest admissible eta_b; that of Theorem 3.2.
    printed : float
        Largest eta_b of slide 11.
    """
    figure, ax = draw.panel(width=5.6, height=3.1)
    color = CASES[1]["color"]
    ax.fill_between(ratio, 0, limit, color=tint(color), lw=0, label="admissible")
    ax.plot(ratio, limit, color=color, lw=2.4)
    ax.plot(ratio, theorem, color=CONTRAST, ls="--", lw=2.4)
    ax.axhline(printed, color=INK, ls=":", lw=1.8)
    dots: Look = {"facecolor": "none", "edgecolor": PALE, "hatch": "...", "lw": 0, "zorder": 1}
    ax.fill_between(ratio, 0, printed, **dots)
    ax.text(2.05, 2.3, r"limit $s\sigma_t/\sigma_y$", rotation=52, color=INK, fontsize=9.5)
    ax.text(3.9, 1.66, r"$\eta_b^*$ of Theorem 3.2", color=INK, fontsize=9.5, ha="center")
    box = {"fc": "w", "ec": "none", "pad": 1.5}
    ax.text(3.9, 0.42, "range of slide 11", color=INK, fontsize=9.5, ha="center", bbox=box)
    ax.set(xlim=(1, 5), ylim=(0, 3.2), xlabel=r"$s\,\sigma_t/\sigma_y$", ylabel=r"$\eta_b$")
    return figure


def jump_at_the_boundary(ratio: Array, settings: Mapping[str, Curves]) -> Figure:
    """Weights and fresh noise against s, through the boundary of cases 1 and 2.

    Parameters
    ----------
    ratio : array (k,)
        s sigma_t / sigma_y, increasing, below and above 1.
    settings : mapping
        Title to name of the number to its values (k,); three numbers.
    """
    figure, axes = draw.panels(1, len(settings), width=3.6, height=2.9, sharey=True)
    ratio = np.asarray(ratio)
    styles = looks((ACCENT, "-", ""), (INK, ":", ""), (CONTRAST, "--", ""))
    for ax, (title, curves) in zip(axes[0], settings.items(), strict=True):
        for side, named in ((ratio < 1, False), (ratio >= 1, True)):  # a jump is not a line
            for (name, values), style in zip(curves.items(), styles, strict=True):
                label = name if named else None
                ax.plot(ratio[side], np.asarray(values)[side], **style, lw=2, label=label)
        ax.axvspan(ratio[0], 1, color=tint(CASES[2]["color"]), lw=0, zorder=0)
        ax.axvspan(1, ratio[-1], color=tint(CASES[1]["color"]), lw=0, zorder=0)
        ax.text(0.02, 1.03, "case 2", transform=ax.transAxes, fontsize=9, color=INK)
        ax.text(0.98, 1.03, "case 1", transform=ax.transAxes, fontsize=9, color=INK, ha="right")
        ax.set(xlabel=r"$s\,\sigma_t/\sigma_y$", xlim=ratio[[0, -1]], ylim=(-0.05, 1.08))
        ax.set_title(title, fontsize=10, color=INK, pad=10)
    draw.legend(figure, axes[0, 0], 3)
    draw.spaced(figure, h_pad=0.08)
    return figure


def product_or_shared_noise(matrices: Curves, unit: str) -> Figure:
    """Covariances of all coordinates at one level, side by side.

    Parameters
    ----------
    matrices : mapping
        Title to a covariance (n, n) in the given unit.
    unit : str
    """
    figure, axes = draw.panels(1, len(matrices), width=2.9, height=2.7)
    for ax, matrix in draw.titled(axes[0], matrices):
        white = np.abs(matrix) > 0.6
        shown = draw.heat_map(ax, matrix, _one_digit, white, cmap="RdBu", vmin=-1, vmax=1)
        draw.matrix_ticks(ax, range(1, len(np.asarray(matrix)) + 1))
        ax.set(xlabel="coordinate", ylabel="coordinate")
        draw.frameless(ax)
    figure.colorbar(shown, ax=axes, label=f"covariance / {unit}", shrink=0.85)
    return figure


def _one_digit(value: float) -> str:
    return f"{value:.1f}" if abs(value) > 1e-9 else "0"


def matching_eta(runs: Pairs, eta: float) -> Figure:
    """DDRM's eta that equals DDPM's noise, level by level, for several numbers of steps.

    Parameters
    ----------
    runs : mapping
        Name to the levels entered (N,) and the matching eta (N,).
    eta : float
        A fixed eta, for comparison.
    """
    figure, ax = draw.panel(width=6.0, height=3.0)
    styles = [*LINES[:2], {**LINES[2], "marker": ""}]
    for (name, (sigma, values)), style in zip(runs.items(), styles, strict=True):
        ax.plot(sigma, values, **style, ms=4, lw=2, label=name)
    ax.axhline(eta, color=INK, lw=1.2, label=rf"$\eta={eta:g}$, fixed")
    ax.set(xscale="log", xlabel=r"level entered, $\sigma_t$", ylabel=r"DDRM's $\eta$ for DDPM")
    ax.set(ylim=(0, 1.03))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9.5)
    return figure


def memory_of_a_coordinate(
    s: Array, correlation: Array, cases: Sequence[str], at_zero: float
) -> Figure:
    """Correlation of two successive levels given x_0, against s, and at s = 0.

    Parameters
    ----------
    s : array (k,)
        Increasing, positive.
    correlation : array (k,)
    cases : sequence of k str
        Cases of the two levels, such as ``"1, 2"``.
    at_zero : float
        The correlation at s = 0.
    """
    figure, axes = draw.panels(1, 2, width=3.2, height=3.0, sharey=True, width_ratios=[1, 6])
    s, correlation = np.asarray(s), np.asarray(correlation)
    left, right = axes[0]
    left.plot([0], [at_zero], color=CASES[3]["color"], marker=CASES[3]["marker"], ms=9)
    draw.note(left, "case 3", (0, at_zero), (0, 9), ha="center")
    left.set(xlim=(-1, 1), xticks=[], ylabel=r"corr$(x_t,\,x_{t+1}\mid x_0)$", ylim=(0, 1))
    left.set_xlabel("s = 0")
    mixed = {"color": MUTED, "ls": "-."}
    for name in dict.fromkeys(cases):
        one, other = (CASES[int(case)] for case in name.split(", "))
        style = {"color": one["color"], "ls": one["ls"]} if one is other else mixed
        side = np.array([each == name for each in cases])
        right.plot(s[side], correlation[side], **style, lw=2.5, label=f"cases {name}")
    right.set(xscale="log", xlabel="singular value s", xlim=s[[0, -1]])
    right.legend(frameon=False, loc="upper right", fontsize=9.5, title=r"at $t+1$ and $t$")
    return figure

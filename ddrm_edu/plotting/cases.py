"""The three cases of slide 11 (lecture 06)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import ACCENT, CASES, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = [
    "admissible_weights",
    "case_plane",
    "jump_at_the_boundary",
    "matching_eta",
    "memory_of_a_coordinate",
    "product_or_shared_noise",
    "start_variances",
    "weights_along_a_run",
]

TINTS = {1: "#cfe3f1", 2: "#faeccb", 3: "#cdeae1"}


def weights_along_a_run(
    sigmas: ArrayLike, weights: Mapping[str, Mapping[str, ArrayLike]], changes: Mapping[str, float]
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
    figure, axes = panels(1, len(weights), width=3.0, height=2.7, sharey=True)
    styles = [
        {"color": INK, "ls": "-", "marker": "o"},
        {"color": THIRD, "ls": ":", "marker": "^"},
        {"color": ACCENT, "ls": "--", "marker": "s"},
    ]
    for ax, (title, curves) in zip(axes[0], weights.items(), strict=True):
        for (name, values), style in zip(curves.items(), styles, strict=True):
            ax.plot(sigmas, values, ms=4, lw=1.6, label=name, **style)
        if title in changes:
            ax.axvline(changes[title], color=MUTED, lw=1, zorder=0)
            at = {
                "xytext": (-4, -2),
                "ha": "right",
                "textcoords": "offset points",
                "va": "top",
                "fontsize": 9,
            }
            ax.annotate(r"$\sigma_y/s$", (changes[title], 1.16), color=INK, **at)
        ax.set(xscale="log", xlabel=r"level entered, $\sigma_t$", ylim=(-0.08, 1.18))
        ax.set_title(title, fontsize=10, color=INK)
    axes[0, 0].set_ylabel("weight in the mean")
    _legend_below(figure, axes[0, 0], 3)
    return figure


def case_plane(
    sigma: ArrayLike,
    s: ArrayLike,
    weights: ArrayLike,
    sigma_y: float,
    spectrum: ArrayLike,
    levels: ArrayLike,
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
    figure, axes = panels(
        2, 2, width=4.0, height=1.9, sharex=True, height_ratios=[7, 1], gridspec_kw={"hspace": 0.02}
    )
    sigma, s = np.asarray(sigma), np.asarray(s)
    for ax in axes[0]:
        ax.plot(sigma, sigma_y / sigma, color=INK, lw=1.6)
        ax.set(xscale="log", yscale="log", xlim=sigma[[0, -1]], ylim=s[[0, -1]])
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(axis="x", which="both", length=0)
    _regions(axes[0, 0], sigma, s, sigma_y, np.asarray(spectrum), np.asarray(levels))
    shown = axes[0, 1].pcolormesh(sigma, s, weights, cmap="cividis", vmin=0, vmax=1, zorder=0)
    figure.colorbar(shown, ax=axes[:, 1], label=r"weight of $\bar y$", aspect=24)
    names = (r"$s=0$: case 3", r"$s=0$: weight 0")
    for ax, color, ink, name in zip(axes[1], (TINTS[3], "#00224e"), (INK, "w"), names, strict=True):
        ax.set(facecolor=color, yticks=[], ylim=(0, 1), xlabel=r"level entered, $\sigma_t$")
        ax.text(0.5, 0.45, name, transform=ax.transAxes, ha="center", va="center", color=ink)
    axes[0, 0].set_ylabel("singular value s")
    return figure


def _regions(
    ax: Axes, sigma: np.ndarray, s: np.ndarray, sigma_y: float, spectrum: np.ndarray, levels
) -> None:
    """Cases 1 and 2 as areas, with ticks for an operator and a run."""
    edge = np.clip(sigma_y / sigma, s[0], s[-1])
    ax.fill_between(sigma, edge, s[-1], color=TINTS[1], lw=0, zorder=0)
    ax.fill_between(sigma, s[0], edge, color=TINTS[2], lw=0, zorder=0)
    ax.plot(np.ones(len(spectrum)), spectrum, "_", color=INK, ms=12, mew=0.8, **_along(ax, "y"))
    ax.plot(levels, np.ones(len(levels)), "|", color=INK, ms=12, mew=0.8, **_along(ax, "x"))
    text = {"ha": "center", "va": "center", "transform": ax.transAxes, "color": INK}
    ax.text(0.72, 0.78, "case 1\n" + r"$\sigma_t\geq\sigma_y/s$", **text)
    ax.text(0.24, 0.2, "case 2\n" + r"$\sigma_t<\sigma_y/s$", **text)


def _along(ax: Axes, axis: str) -> dict:
    """Data coordinates on one axis, the frame's on the other."""
    transform = ax.get_yaxis_transform() if axis == "y" else ax.get_xaxis_transform()
    return {"transform": transform, "clip_on": True, "zorder": 4}


def start_variances(s: ArrayLike, variances: Mapping[str, ArrayLike], sigma_T: float) -> Figure:
    """The variance of x_T by several versions of the start, against s.

    Parameters
    ----------
    s : array (k,)
    variances : mapping
        Name of the version to the variance given x_0 that it leads to, or claims, (k,).
    sigma_T : float
    """
    figure, axes = panels(1, 1, width=6.0, height=3.0)
    ax = axes[0, 0]
    styles = [
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


def admissible_weights(
    ratio: ArrayLike, limit: ArrayLike, theorem: ArrayLike, printed: float = 1.0
) -> Figure:
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
    figure, axes = panels(1, 1, width=5.6, height=3.1)
    ax = axes[0, 0]
    ax.fill_between(ratio, 0, limit, color=TINTS[1], lw=0, label="admissible")
    ax.plot(ratio, limit, color=ACCENT, lw=2.4)
    ax.plot(ratio, theorem, color=CONTRAST, ls="--", lw=2.4)
    ax.axhline(printed, color=INK, ls=":", lw=1.8)
    ax.fill_between(
        ratio, 0, printed, facecolor="none", edgecolor="#9db9cc", hatch="...", lw=0, zorder=1
    )
    ax.text(2.05, 2.3, r"limit $s\sigma_t/\sigma_y$", rotation=52, color=INK, fontsize=9.5)
    ax.text(3.9, 1.66, r"$\eta_b^*$ of Theorem 3.2", color=INK, fontsize=9.5, ha="center")
    box = {"fc": "w", "ec": "none", "pad": 1.5}
    ax.text(3.9, 0.42, "range of slide 11", color=INK, fontsize=9.5, ha="center", bbox=box)
    ax.set(xlim=(1, 5), ylim=(0, 3.2), xlabel=r"$s\,\sigma_t/\sigma_y$", ylabel=r"$\eta_b$")
    return figure


def jump_at_the_boundary(
    ratio: ArrayLike, settings: Mapping[str, Mapping[str, ArrayLike]]
) -> Figure:
    """Weights and fresh noise against s, through the boundary of cases 1 and 2.

    Parameters
    ----------
    ratio : array (k,)
        s sigma_t / sigma_y, increasing, below and above 1.
    settings : mapping
        Title to name of the number to its values (k,); three numbers.
    """
    figure, axes = panels(1, len(settings), width=3.6, height=2.9, sharey=True)
    ratio = np.asarray(ratio)
    sides = {2: ratio < 1, 1: ratio >= 1}
    colors = [(ACCENT, "-"), (INK, ":"), (CONTRAST, "--")]
    for ax, (title, curves) in zip(axes[0], settings.items(), strict=True):
        for (name, values), (color, ls) in zip(curves.items(), colors, strict=True):
            for case, side in sides.items():
                label = name if case == 1 else None
                ax.plot(
                    ratio[side], np.asarray(values)[side], color=color, ls=ls, lw=2, label=label
                )
        ax.axvspan(ratio[0], 1, color=TINTS[2], lw=0, zorder=0)
        ax.axvspan(1, ratio[-1], color=TINTS[1], lw=0, zorder=0)
        ax.text(0.02, 1.03, "case 2", transform=ax.transAxes, fontsize=9, color=INK)
        ax.text(0.98, 1.03, "case 1", transform=ax.transAxes, fontsize=9, color=INK, ha="right")
        ax.set(xlabel=r"$s\,\sigma_t/\sigma_y$", xlim=ratio[[0, -1]], ylim=(-0.05, 1.08))
        ax.set_title(title, fontsize=10, color=INK, pad=10)
    _legend_below(figure, axes[0, 0], 3)
    return figure


def product_or_shared_noise(matrices: Mapping[str, ArrayLike], unit: str) -> Figure:
    """Covariances of all coordinates at one level, side by side.

    Parameters
    ----------
    matrices : mapping
        Title to a covariance (n, n) in the given unit.
    unit : str
    """
    figure, axes = panels(1, len(matrices), width=2.9, height=2.7)
    for ax, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        shown = ax.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
        n = len(matrix)
        ax.set(xticks=range(n), yticks=range(n), xlabel="coordinate", ylabel="coordinate")
        ax.set_xticklabels(range(1, n + 1))
        ax.set_yticklabels(range(1, n + 1))
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for (i, j), value in np.ndenumerate(np.asarray(matrix)):
            color = "w" if abs(value) > 0.6 else INK
            text = f"{value:.1f}" if abs(value) > 1e-9 else "0"
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
        ax.set_title(title, fontsize=10, color=INK)
    figure.colorbar(shown, ax=axes, label=f"covariance / {unit}", shrink=0.85)
    return figure


def matching_eta(runs: Mapping[str, tuple[ArrayLike, ArrayLike]], eta: float) -> Figure:
    """DDRM's eta that equals DDPM's noise, level by level, for several numbers of steps.

    Parameters
    ----------
    runs : mapping
        Name to the levels entered (N,) and the matching eta (N,).
    eta : float
        A fixed eta, for comparison.
    """
    figure, axes = panels(1, 1, width=6.0, height=3.0)
    ax = axes[0, 0]
    styles = [(ACCENT, "-", "o"), (CONTRAST, "--", "s"), (THIRD, ":", "")]
    for (name, (sigma, values)), (color, ls, marker) in zip(runs.items(), styles, strict=True):
        ax.plot(sigma, values, color=color, ls=ls, marker=marker, ms=4, lw=2, label=name)
    ax.axhline(eta, color=INK, lw=1.2, label=rf"$\eta={eta:g}$, fixed")
    ax.set(xscale="log", xlabel=r"level entered, $\sigma_t$", ylabel=r"DDRM's $\eta$ for DDPM")
    ax.set(ylim=(0, 1.03))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9.5)
    return figure


def memory_of_a_coordinate(
    s: ArrayLike, correlation: ArrayLike, cases: Sequence[str], at_zero: float
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
    figure, axes = panels(1, 2, width=3.2, height=3.0, sharey=True, width_ratios=[1, 6])
    s, correlation = np.asarray(s), np.asarray(correlation)
    left, right = axes[0]
    case = CASES[3]
    left.plot([0], [at_zero], color=case["color"], marker=case["marker"], ms=9)
    left.annotate("case 3", (0, at_zero), (0, 9), textcoords="offset points", ha="center")
    left.set(xlim=(-1, 1), xticks=[], ylabel=r"corr$(x_t,\,x_{t+1}\mid x_0)$", ylim=(0, 1))
    left.set_xlabel("s = 0")
    names = sorted(set(cases), key=list(cases).index)
    styles = [(CONTRAST, "--"), (MUTED, "-."), (ACCENT, "-")]
    for name, (color, ls) in zip(names, styles, strict=False):
        side = np.array([each == name for each in cases])
        right.plot(s[side], correlation[side], color=color, ls=ls, lw=2.5, label=f"cases {name}")
    right.set(xscale="log", xlabel="singular value s", xlim=s[[0, -1]])
    right.legend(frameon=False, loc="upper right", fontsize=9.5, title=r"at $t+1$ and $t$")
    return figure


def _legend_below(figure: Figure, ax: Axes, columns: int) -> None:
    """One legend for all panels, below them, and room for the titles."""
    handles, labels = ax.get_legend_handles_labels()
    options = {"ncols": columns, "frameon": False, "fontsize": 10}
    figure.legend(handles, labels, loc="outside lower center", **options)
    figure.get_layout_engine().set(h_pad=0.08)

"""Paths of coordinates through the reverse process (lecture 08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from .images import draw_image
from .style import ACCENT, CASES, CONTRAST, INK, MUTED, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = [
    "coordinate_paths",
    "correlations_of_levels",
    "last_term_of_bound",
    "residuals_of_runs",
    "run_strip",
    "two_images_of_a_state",
    "weights_of_cases",
]


def weights_of_cases(
    ratio: Tensor, below: Mapping[str, Tensor], above: Mapping[str, Tensor]
) -> Figure:
    """Weights of a prediction's error on both sides of the case boundary.

    Parameters
    ----------
    ratio : Tensor, shape (k,)
        Levels in units of the deviation of the measurement's noise, increasing.
    below, above : mapping of label to Tensor, shape (k,)
        Weights in units of 1 / (2 sigma_t^2) in cases 2 and 1; NaN where the case does not apply.
    """
    figure, axes = panels(width=6.0, height=3.3)
    ax = axes[0, 0]
    for case, curves in ((2, below), (1, above)):
        shades = np.linspace(1.0, 0.55, len(curves))
        for (label, curve), shade in zip(curves.items(), shades, strict=True):
            curve, x = np.asarray(curve, dtype=float), np.asarray(ratio, dtype=float)
            style = {"color": CASES[case]["color"], "ls": CASES[case]["ls"]}
            ax.plot(x, curve, lw=0.8 + 1.8 * shade, alpha=0.35 + 0.65 * shade, **style)
            place = np.flatnonzero(np.isfinite(curve))[0 if case == 2 else -1]
            ha, shift = ("right", -4) if case == 2 else ("left", 4)
            ax.annotate(
                label, (x[place], curve[place]), (shift, 0), textcoords="offset points",
                ha=ha, va="center", fontsize=8.5, color=INK,
            )  # fmt: skip
    ax.axvline(1, color=MUTED, lw=0.8)
    for text, x, ha in (("case 2", 0.93, "right"), ("case 1", 1.07, "left")):
        ax.text(x, 1.0, text, transform=ax.get_xaxis_transform(), ha=ha, va="bottom", color=MUTED)
    ax.set(xscale="log", xlabel=r"$\sigma_t\,/\,(\sigma_y/s_i)$", ylabel=r"$2\sigma_t^2\,w_{t,i}$")
    ax.set_xlim(float(ratio[0]) * 0.45, float(ratio[-1]) * 2.6)
    ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    ax.minorticks_off()
    return figure


def last_term_of_bound(var_0: Tensor, value: Tensor, best: float, least: float) -> Figure:
    """The last term of the bound against the variance given to the last kernel.

    Parameters
    ----------
    var_0, value : Tensor, shape (k,)
    best, least : float
        Where the term is smallest, and its value there.
    """
    figure, axes = panels(width=5.4, height=2.9)
    ax = axes[0, 0]
    ax.plot(var_0, value, color=ACCENT, lw=2)
    ax.plot([best], [least], marker="o", ms=7, color=CONTRAST, mec=INK)
    ax.annotate(
        r"$v_0=\frac{1}{n}E\|x_0-x_\theta\|^2$", (best, least), (0, 34),
        textcoords="offset points", ha="center", va="bottom", color=INK,
        arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.8},
    )  # fmt: skip
    ax.annotate(
        r"$v_0\to\sigma_0^2=0$", (float(var_0[0]), float(value[0])), (12, -2),
        textcoords="offset points", ha="left", va="center", color=INK,
    )  # fmt: skip
    ax.set(xscale="log", xlabel=r"$v_0$", ylabel=r"$-E\,\log\,p_\theta(x_0\mid x_1,y)$  [nats]")
    return figure


def coordinate_paths(
    levels: Tensor, paths: Tensor, cases: Tensor, truth: Tensor, y_spec: Tensor, tau: Tensor
) -> Figure:
    """Every coordinate on its way from noise to image, each step in the colour of its case.

    Parameters
    ----------
    levels : Tensor, shape (N + 1,)
        Decreasing, ending in 0.
    paths : Tensor, shape (draws, N + 1, d)
        States in spectral coordinates at every level.
    cases : Tensor of int, shape (N, d)
        Case of the step that enters ``levels[1:]``.
    truth, y_spec : Tensor, shape (d,)
    tau : Tensor, shape (d,)
        Deviation of the noise of y_spec; infinite where nothing was measured.
    """
    d, N = len(truth), len(levels) - 1
    figure, axes = panels(1, d, width=3.1, height=3.4, sharey=True)
    x = np.append(np.log10(levels[:-1]), 2 * np.log10(levels[-2]) - np.log10(levels[-3]))
    span = x[0] - x[-1]
    x[-1] -= 0.05 * span
    low, high = float(truth.min()) - 3, float(truth.max()) + 3
    for i, ax in enumerate(axes[0]):
        if np.isfinite(tau[i]):
            ax.axhspan(y_spec[i] - tau[i], y_spec[i] + tau[i], color="#d9d9d9", lw=0, zorder=0)
            ax.axhline(y_spec[i], color=MUTED, lw=1, zorder=1)
            if x[0] > np.log10(max(float(tau[i]), 1e-12)) > x[-1]:
                ax.axvline(np.log10(tau[i]), color=INK, lw=0.8, ls=(0, (1, 2)))
                ax.text(
                    np.log10(tau[i]), 0.02, r" $\sigma_y/s$", transform=ax.get_xaxis_transform(),
                    fontsize=8.5, color=INK, va="bottom",
                )  # fmt: skip
        for path in paths[:, :, i]:
            for j in range(N):
                style = CASES[int(cases[j, i])]
                ax.plot(x[j : j + 2], path[j : j + 2], color=style["color"], lw=1.0, alpha=0.8)
            for case in np.unique(cases[:, i]):
                at = np.flatnonzero(np.asarray(cases[:, i]) == case) + 1
                style = {"color": CASES[case]["color"], "marker": CASES[case]["marker"]}
                ax.plot(x[at], path[at], ls="none", ms=2.6, alpha=0.8, **style)
        ax.plot([x[-1] - 0.045 * span], [truth[i]], "k*", ms=9, clip_on=False, zorder=5)
        ticks = [v for v in (10, 3, 1, 0.3, 0.1, 0.03, 0.01) if x[-2] <= np.log10(v) <= x[0]]
        ax.set_xticks([*np.log10(ticks), x[-1]], [*(f"{v:g}" for v in ticks), "0"])
        ax.set(xlim=(x[0], x[-1] - 0.09 * span), ylim=(low, high), xlabel=r"level $\sigma_t$")
    axes[0, 0].set_ylabel(r"coordinate $\bar x_t^i$")
    _legend_of_cases(figure, axes[0, 0])
    plt.close(figure)  # a slider shows what it is given, and pyplot would show it once more
    return figure


def _legend_of_cases(figure: Figure, ax: Axes) -> None:
    names = {1: "step of case 1", 2: "step of case 2", 3: "step of case 3"}
    handles = [
        ax.plot([], [], color=CASES[k]["color"], marker=CASES[k]["marker"], ms=4, lw=1.4)[0]
        for k in names
    ]
    band = ax.fill_between([], [], color="#d9d9d9")
    star = ax.plot([], [], "k*", ms=9, ls="none")[0]
    figure.legend(
        [*handles, band, star],
        [*names.values(), r"$\bar y^i\pm\sigma_y/s_i$", r"truth $\bar x_0^i$"],
        loc="outside upper center", ncols=5, frameon=False, fontsize=8.5,
    )  # fmt: skip


def run_strip(levels: Sequence[float], noisy: Tensor, predicted: Tensor) -> Figure:
    """A run seen by the network: what it is given (above) and what it predicts (below).

    Parameters
    ----------
    levels : sequence of k numbers
    noisy, predicted : Tensor, shape (k, c, h, w)
        Variance-preserving images at these levels, and the clean images predicted from them.
    """
    figure, axes = panels(2, len(levels), width=1.25, height=1.4)
    for column, sigma in enumerate(levels):
        draw_image(axes[0, column], noisy[column], rf"$\sigma={float(sigma):.2g}$")
        draw_image(axes[1, column], predicted[column])
    rows = (r"$x_{t+1}\,/\sqrt{1+\sigma_{t+1}^2}$", r"$x_{\theta,t}$")
    for ax, name in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(name, fontsize=9, color=INK)
    return figure


def residuals_of_runs(levels: Tensor, residuals: Mapping[str, Tensor]) -> Figure:
    """Root mean square of H x_t - y along a run, for several rules.

    Parameters
    ----------
    levels : Tensor, shape (N + 1,)
        Decreasing, ending in 0.
    residuals : mapping of label to Tensor, shape (N + 1,)
    """
    figure, axes = panels(width=5.6, height=3.0)
    ax, place = axes[0, 0], np.arange(len(levels))
    looks = [(CONTRAST, "--", "s"), (ACCENT, "-", "o"), (MUTED, ":", "^")]
    for (label, values), (color, ls, marker) in zip(residuals.items(), looks, strict=False):
        values = np.maximum(np.asarray(values, dtype=float), 1e-17)
        ax.plot(place, values, color=color, ls=ls, marker=marker, label=label)
    ax.set_xticks(place, [f"{float(v):g}" for v in levels])
    ax.set(yscale="log", xlabel=r"level $\sigma_t$", ylabel=r"rms of $Hx_t-y$")
    ax.legend(frameon=False, loc="lower left")
    return figure


def two_images_of_a_state(levels: Tensor, ve: Tensor, vp: Tensor) -> Figure:
    """The same runs in the images of the two dynamics.

    Parameters
    ----------
    levels : Tensor, shape (N + 1,)
        Decreasing, ending in 0.
    ve, vp : Tensor, shape (draws, N + 1)
        One pixel of every run, variance exploding and variance preserving.
    """
    figure, axes = panels(1, 2, width=3.6, height=2.9)
    place = np.arange(len(levels))
    spread = np.sqrt(1 + np.asarray(levels) ** 2)
    for ax, paths, band, name in (
        (axes[0, 0], ve, spread, r"$x_t$"),
        (axes[0, 1], vp, np.ones(len(levels)), r"$x_t\,/\sqrt{1+\sigma_t^2}$"),
    ):
        ax.fill_between(place, -2 * band, 2 * band, color="#e3e3e3", lw=0)
        ax.plot(place, np.asarray(paths).T, color=ACCENT, lw=0.9, alpha=0.8)
        ax.set_xticks(place[::4], [f"{float(f'{float(v):.2g}'):g}" for v in levels[::4]])
        ax.set(xlabel=r"level $\sigma_t$", ylabel=name, xlim=(0, place[-1]))
    return figure


def correlations_of_levels(levels: Tensor, correlations: Mapping[str, Tensor]) -> Figure:
    """Correlation matrices of the states of one coordinate at all levels, given x_0.

    Parameters
    ----------
    levels : Tensor, shape (k,)
    correlations : mapping of title to Tensor, shape (k, k)
    """
    figure, axes = panels(1, len(correlations), width=3.0, height=2.9)
    ticks = range(0, len(levels), 4)
    for ax, (title, matrix) in zip(axes[0], correlations.items(), strict=True):
        picture = ax.imshow(matrix, vmin=0, vmax=1, cmap="cividis")
        ax.set_title(title, fontsize=9.5, color=INK)
        ax.set_xticks(ticks, [f"{float(levels[k]):.2g}" for k in ticks], fontsize=8)
        ax.set_yticks(ticks, [f"{float(levels[k]):.2g}" for k in ticks], fontsize=8)
        ax.set_xlabel(r"level $\sigma_t$")
        ax.spines[:].set_visible(False)
    axes[0, 0].set_ylabel(r"level $\sigma_{t'}$")
    figure.colorbar(picture, ax=axes, shrink=0.8, label="correlation")
    return figure

"""Lecture 08: paths of coordinates through the reverse process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from . import draw
from .draw import Curves
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CASES, CONTRAST, INK, MUTED, THIRD, Look, looks

_BAND = "#d9d9d9"  # what the measurement says of a coordinate


def weights_of_cases(ratio: Tensor, below: Curves, above: Curves) -> Figure:
    """Weights of a prediction's error on both sides of the case boundary.

    Parameters
    ----------
    ratio : Tensor, shape (k,)
        Levels in units of the deviation of the measurement's noise, increasing.
    below, above : mapping of label to Tensor, shape (k,)
        Weights in units of 1 / (2 sigma_t^2) in cases 2 and 1; NaN where the case does not apply.
    """
    figure, ax = draw.panel(width=6.0, height=3.3)
    for case, curves in ((2, below), (1, above)):
        shades = np.linspace(1.0, 0.55, len(curves))
        for (label, values), shade in zip(curves.items(), shades, strict=True):
            curve, x = np.asarray(values, dtype=float), np.asarray(ratio, dtype=float)
            style = {"color": CASES[case]["color"], "ls": CASES[case]["ls"]}
            ax.plot(x, curve, lw=0.8 + 1.8 * shade, alpha=0.35 + 0.65 * shade, **style)
            place = np.flatnonzero(np.isfinite(curve))[0 if case == 2 else -1]
            ha, shift = ("right", -4) if case == 2 else ("left", 4)
            text = {"ha": ha, "va": "center", "fontsize": 8.5, "color": INK}
            draw.note(ax, label, (x[place], curve[place]), (shift, 0), **text)
    ax.axvline(1, color=MUTED, lw=0.8)
    top: Look = {"transform": ax.get_xaxis_transform(), "va": "bottom", "color": MUTED}
    ax.text(0.93, 1.0, "case 2", ha="right", **top)
    ax.text(1.07, 1.0, "case 1", ha="left", **top)
    ax.set(xscale="log", xlabel=r"$\sigma_t\,/\,(\sigma_y/s_i)$", ylabel=r"$2\sigma_t^2\,w_{t,i}$")
    ax.set_xlim(float(ratio[0]) * 0.45, float(ratio[-1]) * 2.6)
    draw.ticks(ax, x=[0.1, 0.3, 1, 3, 10])
    return figure


def last_term_of_bound(var_0: Tensor, value: Tensor, best: float, least: float) -> Figure:
    """The last term of the bound against the variance given to the last kernel.

    Parameters
    ----------
    var_0, value : Tensor, shape (k,)
    best, least : float
        Where the term is smallest, and its value there.
    """
    figure, ax = draw.panel(width=5.4, height=2.9)
    ax.plot(var_0, value, color=ACCENT, lw=2)
    ax.plot([best], [least], marker="o", ms=7, color=CONTRAST, mec=INK)
    line = {"arrowstyle": "-", "color": MUTED, "lw": 0.8}
    above = {"ha": "center", "va": "bottom", "color": INK, "arrowprops": line}
    draw.note(ax, r"$v_0=\frac{1}{n}E\|x_0-x_\theta\|^2$", (best, least), (0, 34), **above)
    start = (float(var_0[0]), float(value[0]))
    draw.note(ax, r"$v_0\to\sigma_0^2=0$", start, (12, -2), ha="left", va="center", color=INK)
    ax.set(xscale="log", xlabel=r"$v_0$", ylabel=r"$-E\,\log\,p_\theta(x_0\mid x_1,y)$  [nats]")
    return figure


def coordinate_paths(
    levels: Tensor,
    paths: Tensor,
    cases: Tensor,
    truth: Tensor,
    y_spec: Tensor,
    tau: Tensor,
    titles: Sequence[str],
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
    titles : sequence of d str
    """
    d, N = len(truth), len(levels) - 1
    figure, axes = draw.panels(1, d, width=3.1, height=3.4, sharey=True)
    x = np.log10(np.asarray(levels[:-1]))
    x = np.append(x, 2 * x[-1] - x[-2])  # where the level 0 is drawn
    at_noise = np.log10(np.maximum(np.asarray(tau), 1e-12))
    span = x[0] - x[-1]
    x[-1] -= 0.05 * span
    low, high = float(truth.min()) - 3, float(truth.max()) + 3
    for i, ax in enumerate(axes[0]):
        ax.set_title(titles[i], fontsize=10.5, color=INK)
        if np.isfinite(at_noise[i]):
            ax.axhspan(y_spec[i] - tau[i], y_spec[i] + tau[i], color=_BAND, lw=0, zorder=0)
            ax.axhline(y_spec[i], color=MUTED, lw=1, zorder=1)
            if x[0] > at_noise[i] > x[-1]:
                ax.axvline(at_noise[i], color=INK, lw=0.8, ls=(0, (1, 2)))
                foot = {"transform": ax.get_xaxis_transform(), "va": "bottom", "color": INK}
                ax.text(at_noise[i], 0.02, r" $\sigma_y/s$", fontsize=8.5, **foot)
        for path in paths[:, :, i]:
            for j in range(N):
                style = CASES[int(cases[j, i])]
                ax.plot(x[j : j + 2], path[j : j + 2], color=style["color"], lw=1.0, alpha=0.8)
            for case in np.unique(np.asarray(cases[:, i])):
                at = np.flatnonzero(np.asarray(cases[:, i]) == case) + 1
                style = {"color": CASES[case]["color"], "marker": CASES[case]["marker"]}
                ax.plot(x[at], path[at], ls="none", ms=2.6, alpha=0.8, **style)
        ax.plot([x[-1] - 0.045 * span], [truth[i]], "k*", ms=9, clip_on=False, zorder=5)
        marks = [v for v in (10, 3, 1, 0.3, 0.1, 0.03, 0.01) if x[-2] <= np.log10(v) <= x[0]]
        ax.set_xticks([*np.log10(marks), x[-1]], [*(f"{v:g}" for v in marks), "0"])
        ax.set(xlim=(x[0], x[-1] - 0.09 * span), ylim=(low, high), xlabel=r"level $\sigma_t$")
    axes[0, 0].set_ylabel(r"coordinate $\bar x_t^i$")
    _legend_of_cases(figure, axes[0, 0])
    plt.close(figure)  # a slider shows what it is given, and pyplot would show it once more
    return figure


def _legend_of_cases(figure: Figure, ax: Axes) -> None:
    """Lines of the three cases, the band of the measurement and the star of the truth."""
    for k, case in CASES.items():
        look = {"color": case["color"], "marker": case["marker"], "ms": 4, "lw": 1.4}
        ax.plot([], [], label=f"step of case {k}", **look)
    ax.fill_between([], [], color=_BAND, label=r"$\bar y^i\pm\sigma_y/s_i$")
    ax.plot([], [], "k*", ms=9, ls="none", label=r"truth $\bar x_0^i$")
    draw.legend(figure, ax, 5, "upper", fontsize=8.5)


def run_strip(
    levels: Sequence[float], noisy: Tensor, predicted: Tensor, ends: Sequence[tuple[str, Tensor]]
) -> Figure:
    """A run seen by the network: what it is given (above) and what it predicts (below).

    Parameters
    ----------
    levels : sequence of k numbers
    noisy, predicted : Tensor, shape (k, c, h, w)
        Variance-preserving images at these levels, and the clean images predicted from them.
    ends : sequence of two (str, Tensor of shape (c, h, w))
        Names and images of a first column, above and below: what was measured, and the truth.
    """
    first = [image for _, image in ends]
    rows = {
        r"$x_{t+1}\,/\sqrt{1+\sigma_{t+1}^2}$": [first[0], *noisy],
        r"$x_{\theta,t}$": [first[1], *predicted],
    }
    titles = [ends[0][0], *(rf"$\sigma={float(sigma):.2g}$" for sigma in levels)]
    figure, axes = draw.image_rows(rows, titles, (1.25 * len(titles), 2.95))
    for (end, ax), name in zip(axes[:, :2], rows, strict=True):
        end.set_ylabel("")
        ax.set_ylabel(name, fontsize=9, color=INK)
    axes[1, 0].set_title(ends[1][0], fontsize=10, color=INK)
    return figure


def residuals_of_runs(levels: Tensor, residuals: Curves) -> Figure:
    """Root mean square of H x_t - y along a run, for several rules.

    Parameters
    ----------
    levels : Tensor, shape (N + 1,)
        Decreasing, ending in 0.
    residuals : mapping of label to Tensor, shape (N + 1,)
    """
    figure, ax = draw.panel(width=5.6, height=3.0)
    place = np.arange(len(levels))
    seen = {name: np.maximum(np.asarray(rms), 1e-17) for name, rms in residuals.items()}
    lines = looks((CONTRAST, "--", "s"), (THIRD, ":", "^"), (ACCENT, "-", "o"))
    draw.curves(ax, place, seen, lines)
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
    figure, axes = draw.panels(1, 2, width=3.6, height=2.9)
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


def correlations_of_levels(levels: Tensor, correlations: Curves) -> Figure:
    """Correlation matrices of the states of one coordinate at all levels, given x_0.

    Parameters
    ----------
    levels : Tensor, shape (k,)
    correlations : mapping of title to Tensor, shape (k, k)
    """
    figure, axes = draw.panels(1, len(correlations), width=3.0, height=2.9)
    places = range(0, len(levels), 4)
    names = [f"{float(levels[k]):.2g}" for k in places]
    for ax, (title, matrix) in zip(axes[0], correlations.items(), strict=True):
        picture = ax.imshow(matrix, vmin=0, vmax=1, cmap="cividis")
        ax.set_title(title, fontsize=9.5, color=INK)
        ax.set_xticks(places, names, fontsize=8)
        ax.set_yticks(places, names, fontsize=8)
        ax.set_xlabel(r"level $\sigma_t$")
        ax.spines[:].set_visible(False)
    axes[0, 0].set_ylabel(r"level $\sigma_{t'}$")
    figure.colorbar(picture, ax=axes, shrink=0.8, label="correlation")
    return figure

"""Lecture 01: null space, posterior, Langevin dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import draw_image
from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import Curves, Images, Pair
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CONTRAST, INK, LINES, MUTED, PLAIN, THIRD, looks

# The second curve in green, the third one in orange.
_LINES = [LINES[0], LINES[2], LINES[1]]


def null_space_sums(rows: Mapping[str, Sequence[Tensor]]) -> Figure:
    """Image plus null-space image gives another image of the same measurement; one row per H.

    Parameters
    ----------
    rows : mapping
        Name of the operator to five images (c, h, w): x, v with H v = 0, x + v, H x, H(x + v).
    """
    titles = ["$x$", "$v$", "$x+v$", "$Hx$", "$H(x+v)$"]
    figure, axes = draw.image_rows(rows, titles, (7.6, 1.3 * len(rows) + 0.3))
    draw.spaced(figure, wspace=0.14)
    for row in axes:
        for ax, sign in zip(row, ["+", "=", "", "="], strict=False):
            place = {"xy": (1.1, 0.5), "xycoords": "axes fraction", "ha": "center", "va": "center"}
            ax.annotate(sign, fontsize=15, color=INK, annotation_clip=False, **place)
    return figure


def noise_amplification(
    s: Tensor, signal: Tensor, levels: Sequence[float], images: Images
) -> Figure:
    """Noise and signal of the pseudo-inverse in each singular direction, above its images.

    Parameters
    ----------
    s : Tensor (r,)
        Positive singular values in decreasing order.
    signal : Tensor (r,)
        Root mean square of the photographs along the same singular vectors.
    levels : sequence of float
        Noise levels sigma_y; sigma_y / s is drawn for each.
    images : mapping
        Title to image (c, h, w).
    """
    figure = plt.figure(figsize=(8.2, 4.9), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.7, 1], squeeze=False)[:, 0]
    ax = upper.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    index = np.arange(1, len(s) + 1)
    label = "photographs, rms along $v_i$"
    ax.semilogy(index, signal, ".", color=MUTED, ms=2.5, label=label)
    noises = {rf"noise $\sigma_y/s_i$ for $\sigma_y={level:g}$": level / s for level in levels}
    draw.curves(ax, index, noises, PLAIN, lw=2)
    ax.set(xlabel="singular direction $i$", ylabel="standard deviation (pixel units)")
    ax.set_xlim(0, len(s))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=3)
    places = lower.subplots(1, len(images), squeeze=False)[0]
    for place, (title, image) in zip(places, images.items(), strict=True):
        draw_image(place, image, title)
    return figure


def posterior_in_the_plane(
    prior: Pair, h: Tensor, y: float, pseudo_inverse: Tensor, posteriors: Mapping[float, Pair]
) -> Figure:
    """Prior, measurement and posterior of two unknowns seen through one number, a panel per noise.

    Parameters
    ----------
    prior : mean (2,), covariance (2, 2)
    h : Tensor (2,)
        The row of H.
    y : float
    pseudo_inverse : Tensor (2,)
    posteriors : mapping
        sigma_y to mean (2,) and covariance (2, 2) of p(x | y).
    """
    figure, axes = draw.panels(1, len(posteriors), width=2.9, height=3.6, sharex=True, sharey=True)
    row = np.asarray(h)
    length = np.hypot(*row)
    foot, along = y * row / length**2, np.array([-row[1], row[0]]) / length
    line = foot[:, None] + along[:, None] * np.array([-9.0, 9.0])
    for ax, (sigma_y, law) in zip(axes[0], posteriors.items(), strict=True):
        for k, alpha in ((2, 0.22), (1, 0.3)):
            edge = (k * sigma_y / length * row / length)[:, None]
            band = np.concatenate([line + edge, (line - edge)[:, ::-1]], axis=1)
            ax.fill(*band, color=CONTRAST, alpha=alpha, lw=0)
        ax.plot(*line, color=CONTRAST, lw=1.2, label="$hx=y$, and its noise")
        for both, color, ls, name in (
            (prior, MUTED, "--", "prior"),
            (law, ACCENT, "-", "posterior"),
        ):
            ax.plot(*draw.ellipse(*both), color=color, ls=ls, lw=2.2, label=name)
            ax.plot(*draw.ellipse(*both, 2.0), color=color, ls=ls, lw=1.2)
        ax.plot(*np.asarray(law[0]), "o", color=ACCENT, ms=7, mec="w", label="posterior mean")
        ax.plot(*np.asarray(pseudo_inverse), "X", color=INK, ms=8, mec="w", label="$H^+y$")
        ax.set_title(rf"$\sigma_y={sigma_y:g}$", fontsize=11, color=INK)
        ax.set(xlabel="$x_1$", xlim=(-3.4, 4.4), ylim=(-3.4, 3.9), aspect="equal")
    axes[0, 0].set_ylabel("$x_2$")
    draw.legend(figure, axes[0, 0], 5)
    return figure


def langevin_chains(axis: Tensor, density: Tensor, paths: Tensor, stages: Curves) -> Figure:
    """Contours of a density in the plane, a few chains, and many chains after some steps.

    Parameters
    ----------
    axis : Tensor (k,)
        Grid of both coordinates.
    density : Tensor (k, k)
        ``density[i, j]`` at ``(axis[i], axis[j])``.
    paths : Tensor (steps, chains, 2)
    stages : mapping
        Title to the positions (N, 2) of all chains.
    """
    figure, axes = draw.panels(1, 1 + len(stages), width=2.9, height=3.0, sharex=True, sharey=True)
    shares = float(density.max()) * np.array([0.02, 0.1, 0.3, 0.6, 0.9])
    for ax in axes[0]:
        ax.contour(axis, axis, density.T, shares, colors=MUTED, linewidths=0.9)
        ax.set(xlabel="$x_1$", aspect="equal")
    axes[0, 0].set_ylabel("$x_2$")
    styles = looks((ACCENT, "-", "o"), (CONTRAST, "--", "s"), (THIRD, ":", "D"))
    for chain, style in zip(paths.unbind(1), styles, strict=True):
        axes[0, 0].plot(*chain.T, **{**style, "marker": ""}, lw=0.8)
        for end, fill in ((chain[0], "w"), (chain[-1], style["color"])):
            axes[0, 0].plot(*end, **style, mfc=fill, ms=6, zorder=3)
    axes[0, 0].plot([], [], "o", color=INK, mfc="w", ms=6, label="start")
    axes[0, 0].plot([], [], "o", color=INK, ms=6, label="end")
    axes[0, 0].legend(frameon=False, fontsize=9, loc="lower right", handletextpad=0.1)
    axes[0, 0].set_title("three chains", fontsize=10, color=INK)
    for ax, draws in draw.titled(axes[0, 1:], stages):
        ax.plot(*draws.T, ".", color=ACCENT, ms=2.0, alpha=0.5)
    ends = (float(axis[0]), float(axis[-1]))
    axes[0, 0].set(xlim=ends, ylim=ends)
    return figure

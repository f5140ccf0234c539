"""Lecture 14: a prediction that sees y, distances of its relatives, what the SVD does for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddrm_edu.pictures import axes_grid, draw_image

from . import draw
from .draw import Curves, Images, Pair
from .draw import show as show
from .style import ACCENT, CONTRAST, FAINT, INK, LINES, MUTED, THIRD


def one_guess(
    views: Mapping[str, tuple[Mapping[str, Pair], ArrayLike]],
    x_t: ArrayLike,
    prior: ArrayLike,
    y: float,
) -> Figure:
    """Two pixels, the first measured: laws of x_0 without and with y, one panel for each level.

    Parameters
    ----------
    views : mapping
        Title to ``(laws, replaced)``: the laws without and with y, each (mean, covariance), by
        their names, and the prediction with the measured value in its place.
    x_t : array (2,)
    prior : array (2, 2)
        Covariance of the prior, whose mean is 0.
    y : float
    """
    figure, axes = draw.panels(1, len(views), width=3.4, height=3.5, sharey=True)
    for ax, (laws, replaced) in draw.titled(axes[0], views):
        ax.plot(*draw.ellipse([0, 0], prior, 2), color=FAINT, lw=1.5, label="prior")
        ax.axvline(y, color=MUTED, lw=1, ls=":")
        looks = ((CONTRAST, "--", "s"), (ACCENT, "-", "o"))
        for (color, style, marker), (name, (mean, cov)) in zip(looks, laws.items(), strict=True):
            ax.plot(*draw.ellipse(mean, cov, 2), color=color, ls=style, lw=1.8)
            ax.plot(*np.asarray(mean), marker, color=color, ms=8, label=name)
        ax.plot(*np.asarray(replaced), "^", color=THIRD, ms=9, label="$y$ put in its place")
        ax.plot(*np.asarray(x_t), "x", color=INK, ms=8, mew=2, label="$x_t$")
        ax.set(xlabel="pixel 1, measured", aspect="equal", xlim=(-2.4, 2.6), ylim=(-2.4, 2.6))
        draw.note(ax, "$y$", (y, -2.3), (4, 0), color=MUTED)
    axes[0, 0].set_ylabel("pixel 2, not measured")
    draw.legend(figure, axes[0, 0], columns=5, fontsize=9, columnspacing=1.2, handletextpad=0.4)
    return figure


def distances(steps: Sequence[int], left: Curves, right: Curves) -> Figure:
    """Relative W2 to the posterior against the number of steps, two panels.

    Parameters
    ----------
    steps : sequence of int
    left, right : mapping from name to array (len(steps),)
        The first of each is drawn in the same look.
    """
    figure, axes = draw.panels(1, 2, width=4.3, height=4.1, sharey=True)
    titles = ("in the loop of DDPM or DDIM", "with a step of their own")
    for ax, values in draw.titled(axes[0], dict(zip(titles, (left, right), strict=True))):
        draw.curves(ax, steps, values, [LINES[3], *LINES[:3], LINES[4]], lw=1.8, ms=5)
        ax.set(xscale="log", yscale="log", xlabel="steps $N$")
        draw.ticks(ax, x=steps, y=[0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    axes[0, 0].set_ylabel("relative $W_2$ to the posterior")
    return figure


def preconditioned(spectra: Curves, residuals: Curves) -> Figure:
    """Left, the eigenvalues of a system without and with P; right, residuals of iterations on it.

    Parameters
    ----------
    spectra : mapping from name to array (m,)
        Two of them, in rising order.
    residuals : mapping from name to array (steps + 1,)
        Relative to the first one.
    """
    figure, axes = draw.panels(1, 2, width=4.3, height=3.8)
    left, right = axes[0]
    looks = [{**look, "ls": ""} for look in (LINES[3], LINES[0])]
    number = np.arange(1, len(next(iter(spectra.values()))) + 1)
    draw.curves(left, number, spectra, looks, ms=4, mfc="none")
    left.axhline(1, color=MUTED, lw=1, ls=":")
    left.set(yscale="log", xlabel="number", ylabel="eigenvalue")
    lines = [{**look, "marker": ""} for look in (LINES[3], *LINES[:3])]
    most = max(len(values) for values in residuals.values())
    draw.curves(right, np.arange(most), residuals, lines, lw=1.9)
    right.axhline(1e-10, color=MUTED, lw=1, ls=":")
    right.set(yscale="log", xlabel="steps", ylabel="residual", ylim=(1e-12, 30))
    for ax in (left, right):
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return figure


def gallery(pictures: Images, captions: Sequence[str], columns: int = 4) -> Figure:
    """Images under their titles and above their captions, ``columns`` in a row."""
    rows = -(-len(pictures) // columns)
    figure, axes = axes_grid(rows, columns, (1.75 * columns, 2.1 * rows))
    used = draw.in_use(axes.flat, len(pictures))
    for ax, (title, image), caption in zip(used, pictures.items(), captions, strict=True):
        draw_image(ax, image, title, caption)
    return figure

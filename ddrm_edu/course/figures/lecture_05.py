"""Lecture 05: the change of coordinates, singular vectors as images, spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from . import draw
from .draw import Array, Curves, Pairs
from .draw import show as show
from .style import ACCENT, CONTRAST, FAINT, INK, MUTED, THIRD, Look


def chain_correlations(matrices: Mapping[str, Curves], levels: Sequence[str]) -> Figure:
    """Partial correlations between the levels of a chain, one matrix per row and column.

    Parameters
    ----------
    matrices : mapping
        Name of the row, then name of the column, to a matrix (T, T) with entries in [-1, 1].
    levels : sequence of T str
        Names of the variables.
    """
    columns = next(iter(matrices.values()))
    figure, axes = draw.panels(len(matrices), len(columns), width=2.5, height=2.35)
    for row, (given, pictures) in zip(axes, matrices.items(), strict=True):
        for ax, matrix in zip(row, pictures.values(), strict=True):
            shown = np.abs(matrix)
            dark = shown <= 0.6
            image = draw.heat_map(ax, shown, _correlation, dark, cmap="cividis", vmin=0, vmax=1)
            draw.matrix_ticks(ax, levels)
            draw.frameless(ax)
        row[0].set_ylabel(given, fontsize=10, color=INK)
    for ax, name in zip(axes[0], columns, strict=True):
        ax.set_title(name, fontsize=10, color=INK)
    figure.colorbar(image, ax=axes, label="|partial correlation|", shrink=0.7)
    return figure


def _correlation(value: float) -> str:
    """The number as short as its square is small; only a variable and itself have 1."""
    if value < 1e-9 or value > 1 - 1e-9:
        return f"{value:.0f}"
    return "<.01" if value < 0.01 else f"{value:.2f}"


def bound_at_each_y(
    y: Array, right: Array, printed: Array, code_length: Array, density: Array
) -> Figure:
    """Two versions of the bound and the code length at every y, above the law of y.

    Parameters
    ----------
    y, right, printed, code_length, density : arrays (k,)
        Grid, bound over q(x_0 | y), bound over p_data(x_0), -E log p_theta(x_0 | y), p(y).
    """
    figure, axes = draw.panels(2, 1, width=6.0, height=1.9, sharex=True, height_ratios=[3, 1])
    top, bottom = axes[:, 0]
    top.plot(y, printed, color=CONTRAST, ls="--", lw=2, label=r"as printed, $x_0\sim p_{data}$")
    top.plot(y, right, color=ACCENT, lw=2, label=r"corrected, $x_0\sim q(x_0\mid y)$")
    top.plot(y, code_length, color=INK, ls=":", lw=2, label=r"$E[-\log p_\theta(x_0\mid y)]$")
    top.set(ylabel="nats")
    top.legend(frameon=False, loc="upper center", fontsize=9)
    bottom.fill_between(y, 0, density, color=FAINT, lw=0)
    bottom.plot(y, density, color=MUTED, lw=1)
    bottom.set(xlabel="measurement y", ylabel="p(y)", yticks=[], ylim=(0, None))
    return figure


def rotation_scaling_rotation(
    curves: Sequence[Array], arrows: Sequence[Array], titles: Sequence[str]
) -> Figure:
    """A circle and two arrows, as they are mapped step by step.

    Parameters
    ----------
    curves : sequence of arrays (2, k)
    arrows : sequence of arrays (2, 2)
        Columns are the two arrows of each panel.
    titles : sequence of str
    """
    figure, axes = draw.panels(1, len(curves), width=2.3, height=2.2)
    reach = 1.14 * np.max([np.abs(np.asarray(curve)).max(1) for curve in curves], axis=0)
    reach = np.maximum(reach, 0.85 * reach.max())
    for ax, curve, pair, title in zip(axes[0], curves, arrows, titles, strict=True):
        ax.plot(*np.asarray(curve), color=MUTED, lw=1.2)
        for arrow, color, name in zip(np.asarray(pair).T, (ACCENT, CONTRAST), "12", strict=True):
            style = {"arrowstyle": "-|>", "color": color, "lw": 2.2, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", arrow, (0, 0), arrowprops=style)
            away = arrow * (1 + 0.2 / np.linalg.norm(arrow))
            ax.text(*away, name, color=INK, ha="center", va="center", fontsize=10)
        ax.axhline(0, color=FAINT, lw=0.8, zorder=0)
        ax.axvline(0, color=FAINT, lw=0.8, zorder=0)
        ax.set(xlim=reach[0] * np.array([-1, 1]), ylim=reach[1] * np.array([-1, 1]))
        ax.set(aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=11, color=INK)
    draw.spaced(figure, h_pad=0.08)
    return figure


def singular_vectors(rows: Mapping[str, tuple[Array, Sequence[int], Array]]) -> Figure:
    """Right singular vectors as images, one row per operator.

    Parameters
    ----------
    rows : mapping
        Name of the operator to its vectors (k, h, w), their numbers i, counted from 1, and their
        singular values (k,).
    """
    columns = max(len(numbers) for _, numbers, _ in rows.values())
    figure, axes = draw.panels(len(rows), columns, width=1.15, height=1.45)
    for row, (name, (vectors, numbers, values)) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=10, color=INK, labelpad=6)
        each = zip(row, np.asarray(vectors), numbers, np.asarray(values), strict=True)
        for ax, vector, i, s in each:
            peak = np.abs(vector).max()
            ax.imshow(vector, cmap="RdBu", vmin=-peak, vmax=peak, interpolation="nearest")
            size = f"{float(s):.2g}" if s > 1e-3 else _power_of_ten(float(s)) if s > 0 else "0"
            ax.set_xlabel(f"$v_{{{i}}}$: {size}", fontsize=9, color=INK, labelpad=3)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color="#b8b8b8", lw=0.8)
    return figure


def _power_of_ten(value: float) -> str:
    """A small number, written as 3 x 10^-5."""
    digits, exponent = f"{value:.0e}".split("e")
    return rf"${digits}\cdot10^{{{int(exponent)}}}$"


def spectra_and_noise(spectra: Curves, images: Curves, sigma_y: float) -> Figure:
    """Standard deviation of the spectral measurement beside the size of an image's coordinates.

    Parameters
    ----------
    spectra : mapping
        Name to singular values (n,), decreasing, zeros last.
    images : mapping
        Name to the sizes (n,) of the image's coordinates, in the same order.
    sigma_y : float
    """
    figure, axes = draw.panels(1, len(spectra), width=3.1, height=2.9, sharey=True)
    both = {name: (np.asarray(s), images[name]) for name, s in spectra.items()}
    for ax, (s, x) in draw.titled(axes[0], both):
        n, rank = len(s), int((s > 0).sum())
        index = np.arange(1, n + 1)
        ax.plot(index, x, ".", color="#7a7a7a", ms=4, label=r"$|\bar x_0^i|$", zorder=1)
        noise: Look = {"color": ACCENT, "lw": 2.2, "label": r"noise $\sigma_y/s_i$", "zorder": 3}
        ax.plot(index[s > 0], sigma_y / s[s > 0], **noise)
        if rank < n:
            draw.unmeasured(ax, rank + 0.5, n + 0.5)
            box = {"fc": "w", "ec": "none", "pad": 1.5}
            place = ((rank + n) / 2, 22)
            ax.text(*place, "not measured", ha="center", fontsize=9, color=INK, bbox=box)
        ax.set(yscale="log", xlabel="coordinate i, by decreasing $s_i$", ylim=(1e-3, 40))
        ax.set_xlim(0.5, n + 0.5)
    axes[0, 0].set_ylabel("units of the image")
    draw.legend(figure, axes[0, 0], 2)
    draw.spaced(figure, h_pad=0.08)
    return figure


def posterior_ellipses(curves: Curves) -> Figure:
    """Ellipses of laws of two numbers, the first one filled.

    Parameters
    ----------
    curves : mapping
        Name to a closed curve (2, k); at most four.
    """
    figure, ax = draw.panel(width=6.0, height=4.2)
    styles: list[Look] = [
        {"color": "#9a9a9a", "ls": "-", "lw": 1.2},
        {"color": CONTRAST, "ls": "--", "lw": 2.2},
        {"color": ACCENT, "ls": "-", "lw": 4.5, "alpha": 0.45},
        {"color": INK, "ls": ":", "lw": 2.0},
    ]
    for (name, curve), style in zip(curves.items(), styles, strict=False):
        ax.plot(*np.asarray(curve), label=name, **style)
    ax.fill(*np.asarray(next(iter(curves.values()))), color="#f0f0f0", zorder=0)
    ax.set(xlabel="$x^1$", ylabel="$x^2$", aspect="equal")
    left, right = ax.get_xlim()
    ax.set_xlim(left - 0.35 * (right - left), right)
    ax.legend(frameon=False, loc="upper left", fontsize=9.5)
    return figure


def two_noises(scenes: Pairs, axes_names: Sequence) -> Figure:
    """The noise of the diffusion and that of the measurement, in several coordinate systems.

    Parameters
    ----------
    scenes : mapping
        Title to two closed curves (2, k): one standard deviation of the diffusion's noise, and of
        the measurement's.
    axes_names : sequence of (str, str)
    """
    figure, axes = draw.panels(1, len(scenes), width=2.8, height=3.0)
    for (ax, two), names in zip(draw.titled(axes[0], scenes), axes_names, strict=True):
        diffusion, measurement = map(np.asarray, two)
        reach = 1.1 * max(np.abs(diffusion).max(), np.abs(measurement).max())
        ax.axhline(0, color=FAINT, lw=0.8, zorder=0)
        ax.axvline(0, color=FAINT, lw=0.8, zorder=0)
        ax.fill(*measurement, color=CONTRAST, alpha=0.18, lw=0)
        label = "noise of the measurement, $H^+z$"
        ax.plot(*measurement, color=CONTRAST, ls="--", lw=2, label=label)
        ax.plot(*diffusion, color=THIRD, lw=2, label=r"noise of the diffusion, $\sigma_t\epsilon$")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        ax.set(xlabel=names[0], ylabel=names[1])
    draw.legend(figure, axes[0, 0], 2)
    draw.spaced(figure, h_pad=0.08)
    return figure

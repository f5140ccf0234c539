"""Lecture 05: the change of coordinates, singular vectors as images, spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from . import draw
from .draw import Array, Curves, Pairs
from .draw import show as show
from .style import ACCENT, CONTRAST, FAINT, INK, MUTED, THIRD, Look


def sources_of_levels(shares: Mapping[str, tuple[Array, Array]], levels: Sequence[str]) -> Figure:
    """What each level looks at: an arrow for each parent, with its share of the variance.

    Parameters
    ----------
    shares : mapping
        Title of the panel to the shares (T,) of the variance given x_0 that come from ybar and
        from the level above, from the highest level down.
    levels : sequence of T str
        Names of the variables.
    """
    figure, axes = draw.panels(1, len(shares), width=3.4, height=2.5)
    circle = {"boxstyle": "circle,pad=0.25", "lw": 1.3}
    node: Look = {"ha": "center", "va": "center", "fontsize": 12, "color": INK, "zorder": 4}
    arrow: Look = {"arrowstyle": "-|>", "shrinkA": 14, "shrinkB": 15, "mutation_scale": 13}
    word: Look = {"ha": "center", "va": "center", "fontsize": 9, "color": INK, "zorder": 5}
    word["bbox"] = {"fc": "w", "ec": "none", "pad": 0.8}
    last = len(levels) - 1
    for ax, (from_y, from_above) in draw.titled(axes[0], shares):
        top = (last / 2, 1.0)
        ax.text(*top, r"$\bar y$", bbox={**circle, "fc": "w", "ec": ACCENT}, **node)
        for t, name in enumerate(levels):
            ax.text(t, 0, name, bbox={**circle, "fc": "w", "ec": MUTED}, **node)
            if from_y[t] > 0:
                look = {**arrow, "color": ACCENT, "lw": 1.6}
                ax.annotate("", (t, 0), top, arrowprops=look)
                ax.text(t + 0.32 * (top[0] - t), 0.32, _percent(float(from_y[t])), **word)
            if from_above[t] > 0:
                look = {**arrow, "color": THIRD, "lw": 2.4}
                ax.annotate("", (t, 0), (t - 1, 0), arrowprops=look)
                ax.text(t - 0.5, 0.17, _percent(float(from_above[t])), **word)
        if not np.any(np.asarray(from_y) > 0):
            ax.text(last / 2, 0.63, "nothing looks at it", **word)
        ax.set(xlim=(-0.45, last + 0.45), ylim=(-0.3, 1.3))
        ax.axis("off")
    return figure


def _percent(share: float) -> str:
    """A share in per cent, to two digits."""
    return f"{100 * share:.2g} %"


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
    figure, axes = draw.panels(len(rows), columns, width=1.15, height=1.6)
    for row, (name, (vectors, numbers, values)) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=10, color=INK, labelpad=6)
        each = zip(row, np.asarray(vectors), numbers, np.asarray(values), strict=True)
        for ax, vector, i, s in each:
            peak = np.abs(vector).max()
            look: Look = {"cmap": "RdBu", "vmin": -1, "vmax": 1, "interpolation": "nearest"}
            picture = ax.imshow(np.asarray(vector) / peak, **look)
            size = f"{float(s):.2g}" if s > 1e-3 else _power_of_ten(float(s)) if s > 0 else "0"
            ax.set_title(f"$v_{{{i}}}$", fontsize=10, color=INK, pad=3)
            ax.set_xlabel(f"$s_{{{i}}}=${size}", fontsize=9, color=INK, labelpad=3)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color="#b8b8b8", lw=0.8)
    key = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=30, ticks=[-1, 0, 1])
    key.set_label("entry / largest entry of that image", fontsize=9)
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
    figure, axes = draw.panels(1, len(scenes), width=2.8, height=3.3)
    reach = 1.1 * max(float(np.abs(curve).max()) for two in scenes.values() for curve in two)
    for (ax, two), names in zip(draw.titled(axes[0], scenes), axes_names, strict=True):
        diffusion, measurement = map(np.asarray, two)
        ax.axhline(0, color=FAINT, lw=0.8, zorder=0)
        ax.axvline(0, color=FAINT, lw=0.8, zorder=0)
        ax.fill(*measurement, color=CONTRAST, alpha=0.18, lw=0)
        label = "noise of the measurement, $H^+z$"
        ax.plot(*measurement, color=CONTRAST, ls="--", lw=2, label=label)
        ax.plot(*diffusion, color=THIRD, lw=2, label=r"noise of the diffusion, $\sigma_t\epsilon$")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        ax.set(xlabel=names[0], ylabel=names[1])
    draw.legend(figure, axes[0, 0], 2)
    draw.spaced(figure, h_pad=0.08, rect=(0, 0, 1, 0.97))
    return figure

"""Lecture 12: any operator at a glance, its matrix, singular vectors, spectrum, cases, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ddrm_edu.pictures import axes_grid, draw_image
from ddrm_edu.pictures import restoration_grid as restoration_grid

from . import draw
from .draw import Array, Curves, Images, Pairs
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CASES, CONTRAST, INK, MUTED, Look


def matrices_and_spectra(structures: Pairs, *, columns: int = 4) -> Figure:
    """Each structure as a matrix (blue positive, red negative, white 0) above its spectrum.

    Parameters
    ----------
    structures : mapping
        Name to the matrix (m, n) and the singular values (n,), decreasing, zeros last.
    columns : int
        Number of structures in one row of the figure.
    """
    rows = -(-len(structures) // columns)
    figure = plt.figure(figsize=(2.35 * columns, 2.6 * rows))
    edges = {"left": 0.03, "right": 0.99, "top": 0.95, "bottom": 0.05}
    outer = figure.add_gridspec(rows, 1, hspace=0.26, **edges)
    inner: Look = {"height_ratios": [1.8, 1], "hspace": 0.1, "wspace": 0.2}
    grids = [outer[row].subgridspec(2, columns, **inner) for row in range(rows)]
    for k, (name, (matrix, s)) in enumerate(structures.items()):
        row, column = divmod(k, columns)
        ax = figure.add_subplot(grids[row][0, column])
        draw.matrix(ax, matrix, rf"{name}  ${len(matrix)}\times{len(s)}$")
        ax.set_anchor("S")
        ax.xaxis.label.set_visible(False)
        _draw_spectrum(figure.add_subplot(grids[row][1, column]), np.asarray(s, dtype=float))
    return figure


def _draw_spectrum(ax: Axes, s: np.ndarray) -> None:
    """Singular values as stems; those that are 0 as crosses on the axis."""
    index, seen = np.arange(1, len(s) + 1), s > 0
    ax.vlines(index[seen], 0, s[seen], color=ACCENT, lw=1.6)
    ax.plot(index[seen], s[seen], "o", color=ACCENT, ms=3)
    ax.plot(index[~seen], s[~seen], "x", color=MUTED, ms=3.5, mew=0.9, clip_on=False)
    ax.set(xlim=(0, len(s) + 1), ylim=(0, 1.15 * s.max()), xticks=[1, len(s)])
    ax.set_yticks([0, s.max()], ["0", f"{s.max():.2g}"])
    ax.tick_params(labelsize=8, colors=INK, length=2)
    ax.spines[["top", "right"]].set_visible(False)


def vectors_as_images(rows: Mapping[str, tuple[Tensor, Sequence[str]]]) -> Figure:
    """Singular vectors as pictures: 0 is grey, and each is scaled by its own largest entries.

    Parameters
    ----------
    rows : mapping
        Title of the row to vectors (k, c, h, w) and a caption for each.
    """
    columns = max(len(captions) for _, captions in rows.values())
    figure, axes = axes_grid(len(rows), columns, (1.2 * columns + 0.3, 1.42 * len(rows)))
    for row, (title, (vectors, captions)) in zip(axes, rows.items(), strict=True):
        shown = draw.in_use(row, len(captions))
        for ax, vector, caption in zip(shown, vectors, captions, strict=True):
            largest = min(vector.abs().max().item(), 2.5 * vector.square().mean().item() ** 0.5)
            draw_image(ax, (vector / largest).clamp(-1, 1), caption=caption)
            ax.xaxis.label.set(color=INK, fontsize=9)
        row[0].set_ylabel(title, fontsize=10, color=INK, labelpad=6)
    return figure


def spectrum_and_cases(
    s: Array, sigma_y: float, sigmas: Array, counts: Mapping[int, Array]
) -> Figure:
    """Singular values beside the noise, and how many coordinates are in which case at every step.

    Parameters
    ----------
    s : array (n,)
        Singular values, decreasing, zeros last.
    sigma_y : float
        Noise of the measurement, positive.
    sigmas : array (N + 1,)
        Levels of the run, decreasing, the last 0.
    counts : mapping
        Case 1, 2, 3 to the number of its coordinates in each step, (N,).
    """
    figure, axes = draw.panels(1, 2, width=4.7, height=3.2)
    _noise_panel(axes[0, 0], np.asarray(s, dtype=float), sigma_y, float(sigmas[0]))
    _case_panel(axes[0, 1], np.asarray(sigmas, dtype=float)[1:], counts)
    return figure


def _noise_panel(ax: Axes, s: np.ndarray, sigma_y: float, first: float) -> None:
    n, rank = len(s), int((s > 0).sum())
    marker = "o" if rank < 40 else ""
    ax.plot(np.arange(1, rank + 1), s[:rank], color=ACCENT, lw=2.4, marker=marker, ms=4)
    low = min(s[rank - 1], sigma_y / first) / 3
    high = 6 * max(s[0], sigma_y)
    if rank < n:
        draw.unmeasured(ax, rank + 0.5, n, lw=0)
        look: Look = {"fontsize": 9, "color": INK, "bbox": {"fc": "w", "ec": "none", "pad": 1.5}}
        middle = min((rank + n) / 2, 0.82 * n)
        label = f"$s_i=0$: {n - rank} of {n}"
        ax.text(middle, high / 1.5, label, ha="center", va="top", **look)
    noises = ((sigma_y, r"$\sigma_y$", "--"), (sigma_y / first, r"$\sigma_y/\sigma_T$", ":"))
    for level, name, ls in noises:
        ax.axhline(level, color=CONTRAST, ls=ls, lw=1.8, zorder=1)
        edge = {"xycoords": ("axes fraction", "data"), "va": "center"}
        draw.note(ax, name, (1, level), (4, 0), fontsize=10, color=INK, **edge)
    ax.set(yscale="log", ylim=(low, high), xlim=(0, n + 1))
    ax.set(xlabel="coordinate $i$, by decreasing $s_i$", ylabel="singular value $s_i$")


def _case_panel(ax: Axes, levels: np.ndarray, counts: Mapping[int, Array]) -> None:
    steps, base = np.arange(1, len(levels) + 1), np.zeros(len(levels))
    for case in (1, 2, 3):
        look = {"color": CASES[case]["color"], "hatch": CASES[case]["hatch"], "ec": "w"}
        height = np.asarray(counts[case], dtype=float)
        ax.bar(steps, height, 1.0, bottom=base, lw=0.4, label=f"case {case}", **look)
        base = base + height
    shown = np.unique(np.linspace(0, len(levels) - 1, min(6, len(levels))).round().astype(int))
    ax.set_xticks(steps[shown], [f"{levels[k]:.2g}" for k in shown])
    ax.set(xlabel=r"level entered, $\sigma_t$", ylabel="coordinates", xlim=(0.5, len(levels) + 0.5))
    ax.set_ylim(0, base.max())
    ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9.5)


def rays_and_images(rows: Curves, y: Curves, images: Images, captions: Mapping[str, str]) -> Figure:
    """A tomograph: one ray of every direction, the numbers measured along them, and the images.

    Parameters
    ----------
    rows : mapping
        Name of the direction to one row of H as an image (h, w).
    y : mapping
        Name of the direction to its measurements (k,).
    images : mapping
        Title to image (c, h, w) in [-1, 1].
    captions : mapping
        Title to a line of text below the image.
    """
    columns = max(len(rows), len(images))
    figure = plt.figure(figsize=(1.75 * columns, 3.75), layout="constrained")
    grid = figure.add_gridspec(2, columns, height_ratios=[1, 1.75])
    for k, (name, values) in enumerate(y.items()):
        ax = figure.add_subplot(grid[0, k])
        values = np.asarray(values, dtype=float)
        ax.step(np.arange(len(values)), values, where="mid", color=ACCENT, lw=1.3)
        ax.set(xticks=[0, len(values) - 1], ylim=(-1.1, 1.1))
        ax.set_yticks([-1, 0, 1], ["-1", "0", "1"] if k == 0 else [])
        ax.set_title(name, fontsize=10, color=INK)
        ax.set_xlabel("ray", fontsize=9, labelpad=-6)
        ax.tick_params(labelsize=8, length=2)
        ax.spines[["top", "right"]].set_visible(False)
        small = ax.inset_axes((0.66, 0.62, 0.36, 0.36))
        small.imshow(np.asarray(rows[name]), cmap="cividis", interpolation="nearest")
        small.set(xticks=[], yticks=[])
    for k, (title, image) in enumerate(images.items()):
        draw_image(figure.add_subplot(grid[1, k]), image, title, captions.get(title, ""))
    return figure


def lab_bench(images: Images, captions: Mapping[str, str], title: str) -> Figure:
    """One restoration, large: images (c, h, w) in a row with a line of text below each.

    Parameters
    ----------
    images : mapping
        Title to image in [-1, 1]; NaN where nothing was measured.
    captions : mapping
        Title to text.
    title : str
        The setting, in one line.
    """
    figure, axes = axes_grid(1, len(images), (1.95 * len(images), 2.6))
    for ax, (name, image) in zip(axes[0], images.items(), strict=True):
        draw_image(ax, image, name, captions.get(name, ""))
        ax.xaxis.label.set(color=INK, fontsize=9)
    figure.suptitle(title, fontsize=10, color=MUTED)
    return figure

"""Null space, posterior, Langevin dynamics (lecture 01); pictures of suspects (lecture 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt

from .images import draw_image
from .style import ACCENT, CONTRAST, INK, MUTED, THIRD, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

__all__ = [
    "langevin_chains",
    "line_up",
    "noise_amplification",
    "null_space_sums",
    "posterior_in_the_plane",
    "score_precision",
    "step_size_bias",
]


def null_space_sums(rows: Mapping[str, Sequence[Tensor]]) -> Figure:
    """Image plus null-space image gives another image of the same measurement; one row per H.

    Parameters
    ----------
    rows : mapping
        Name of the operator to five images (c, h, w): x, v with H v = 0, x + v, H x, H(x + v).
    """
    titles = ["$x$", "$v$", "$x+v$", "$Hx$", "$H(x+v)$"]
    figure, axes = plt.subplots(
        len(rows), 5, figsize=(7.6, 1.3 * len(rows) + 0.3), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(wspace=0.14)
    for row, (name, images) in enumerate(rows.items()):
        for ax, image, title in zip(axes[row], images, titles, strict=True):
            draw_image(ax, image, title if row == 0 else "")
        axes[row, 0].set_ylabel(name, fontsize=10, color=INK)
        for ax, sign in zip(axes[row], ["+", "=", "", "="], strict=False):
            place = {"xy": (1.1, 0.5), "xycoords": "axes fraction", "ha": "center", "va": "center"}
            ax.annotate(sign, fontsize=15, color=INK, annotation_clip=False, **place)
    return figure


def noise_amplification(
    s: Tensor, signal: Tensor, levels: Sequence[float], images: Mapping[str, Tensor]
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
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    ax = upper.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    index = np.arange(1, len(s) + 1)
    label = "photographs, rms along $v_i$"
    ax.semilogy(index, signal, ".", color=MUTED, ms=2.5, label=label)
    for level, color, ls in zip(levels, (ACCENT, CONTRAST, THIRD), ("-", "--", ":"), strict=False):
        name = rf"noise $\sigma_y/s_i$ for $\sigma_y={level:g}$"
        ax.semilogy(index, level / s, color=color, ls=ls, lw=2, label=name)
    ax.set(xlabel="singular direction $i$", ylabel="standard deviation (pixel units)")
    ax.set_xlim(0, len(s))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=3)
    for place, (title, image) in zip(lower.subplots(1, len(images)), images.items(), strict=True):
        draw_image(place, image, title)
    return figure


def _ellipse(ax: Axes, mean: Tensor, cov: Tensor, **style) -> None:
    """The points at one and at two standard deviations from the mean of N(mean, cov)."""
    angle = np.linspace(0, 2 * np.pi, 200)
    values, axes = np.linalg.eigh(np.asarray(cov))
    root = axes * np.sqrt(np.clip(values, 0, None))
    for k in (1, 2):
        x, y = np.asarray(mean)[:, None] + k * root @ np.stack([np.cos(angle), np.sin(angle)])
        ax.plot(x, y, lw=2.2 if k == 1 else 1.2, **style)
        style.pop("label", None)


def posterior_in_the_plane(
    prior: tuple[Tensor, Tensor],
    h: Tensor,
    y: float,
    pseudo_inverse: Tensor,
    posteriors: Mapping[float, tuple[Tensor, Tensor]],
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
    figure, axes = panels(1, len(posteriors), width=2.9, height=3.6, sharex=True, sharey=True)
    h = np.asarray(h)
    length = np.hypot(*h)
    foot, along = y * h / length**2, np.array([-h[1], h[0]]) / length
    line = foot[:, None] + along[:, None] * np.array([-9.0, 9.0])
    for ax, (sigma_y, law) in zip(axes[0], posteriors.items(), strict=True):
        for k, alpha in ((2, 0.22), (1, 0.3)):
            edge = (k * sigma_y / length * h / length)[:, None]
            band = np.concatenate([line + edge, (line - edge)[:, ::-1]], axis=1)
            ax.fill(*band, color=CONTRAST, alpha=alpha, lw=0)
        ax.plot(*line, color=CONTRAST, lw=1.2, label="$hx=y$, and its noise")
        _ellipse(ax, *prior, color=MUTED, ls="--", label="prior")
        _ellipse(ax, *law, color=ACCENT, ls="-", label="posterior")
        ax.plot(*np.asarray(law[0]), "o", color=ACCENT, ms=7, mec="w", label="posterior mean")
        ax.plot(*np.asarray(pseudo_inverse), "X", color=INK, ms=8, mec="w", label="$H^+y$")
        ax.set_title(rf"$\sigma_y={sigma_y:g}$", fontsize=11, color=INK)
        ax.set(xlabel="$x_1$", xlim=(-3.4, 4.4), ylim=(-3.4, 3.9), aspect="equal")
    axes[0, 0].set_ylabel("$x_2$")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return figure


def score_precision(
    sigma: Tensor, curves: Mapping[str, Tensor], marks: Mapping[str, float]
) -> Figure:
    """How strongly each likelihood score pulls x_t towards y, against the noise level.

    Parameters
    ----------
    sigma : Tensor (N,)
    curves : mapping
        Label to minus the derivative of the score with respect to x_t, (N,).
    marks : mapping
        Label to a level that is marked by a vertical line.
    """
    figure, axes = panels(1, 1, width=6.6, height=3.4)
    ax = axes[0, 0]
    styles = zip((ACCENT, THIRD, CONTRAST), ("-", ":", "--"), strict=True)
    for (label, curve), (color, ls) in zip(curves.items(), styles, strict=True):
        ax.loglog(sigma, curve, color=color, ls=ls, lw=2.2, label=label)
    for label, level in marks.items():
        ax.axvline(level, color=MUTED, lw=0.8)
        corner = {"xytext": (3, 3), "textcoords": "offset points", "color": MUTED}
        ax.annotate(label, (level, ax.get_ylim()[0]), **corner)
    ax.set(xlabel=r"noise level $\sigma_t$", ylabel=r"pull of $y$ on $x_t$")
    ax.set_xlim(float(sigma[0]), float(sigma[-1]))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.6))
    return figure


def langevin_chains(
    axis: Tensor, density: Tensor, paths: Tensor, stages: Mapping[str, Tensor]
) -> Figure:
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
    figure, axes = panels(1, 1 + len(stages), width=2.9, height=3.0, sharex=True, sharey=True)
    shares = float(density.max()) * np.array([0.02, 0.1, 0.3, 0.6, 0.9])
    for ax in axes[0]:
        ax.contour(axis, axis, density.T, shares, colors=MUTED, linewidths=0.9)
        ax.set(xlabel="$x_1$", aspect="equal")
    axes[0, 0].set_ylabel("$x_2$")
    styles = zip((ACCENT, CONTRAST, THIRD), ("-", "--", ":"), "osD", strict=True)
    for chain, (color, ls, marker) in zip(paths.unbind(1), styles, strict=True):
        axes[0, 0].plot(*chain.T, color=color, ls=ls, lw=0.8)
        for end, fill in ((chain[0], "w"), (chain[-1], color)):
            axes[0, 0].plot(*end, marker, color=color, mfc=fill, ms=6, zorder=3)
    axes[0, 0].set_title("three chains, start to end", fontsize=10, color=INK)
    for ax, (title, draws) in zip(axes[0, 1:], stages.items(), strict=True):
        ax.plot(*draws.T, ".", color=ACCENT, ms=2.0, alpha=0.5)
        ax.set_title(title, fontsize=10, color=INK)
    ax.set(xlim=(float(axis[0]), float(axis[-1])), ylim=(float(axis[0]), float(axis[-1])))
    return figure


def step_size_bias(
    share: Tensor, theory: Mapping[str, Tensor], measured: Mapping[str, tuple[Tensor, Tensor]]
) -> Figure:
    """Variance in which Langevin ends, relative to the target's, against the step.

    Parameters
    ----------
    share : Tensor (N,)
        The step as a share of the stability limit, 2 / lambda_max.
    theory : mapping
        Label to relative variance (N,).
    measured : mapping
        The same labels to shares (k,) and relative variances (k,) of simulated chains.
    """
    figure, axes = panels(1, 1, width=6.6, height=3.4)
    ax = axes[0, 0]
    styles = zip((ACCENT, THIRD, CONTRAST), ("-", ":", "--"), "o^s", strict=True)
    for (label, curve), (color, ls, marker) in zip(theory.items(), styles, strict=True):
        ax.plot(share, curve, color=color, ls=ls, lw=2.2)
        dots = {"color": color, "ls": ls, "marker": marker, "ms": 6, "mec": "w", "lw": 2.2}
        ax.plot(*measured[label], **{**dots, "ls": "none"})
        ax.plot([], [], label=label, **dots)
    ax.axhline(1, color=MUTED, lw=0.8)
    ax.axvline(1, color=INK, lw=1)
    ax.annotate("unstable", (1.0, 3.4), (4, 0), textcoords="offset points", color=INK)
    ax.set(xlabel=r"step $\alpha\,/\,(2/\lambda_{\max})$", ylabel="variance / that of the target")
    ax.set(xlim=(0, 1.12), ylim=(0, 4))
    ax.legend(frameon=False, loc="upper left")
    return figure


def line_up(images: Mapping[str, Tensor], columns: int = 5) -> Figure:
    """Pictures with their names above, in reading order.

    Parameters
    ----------
    images : mapping
        Title to image (c, h, w); sizes may differ.
    columns : int
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(1.55 * columns, 1.75 * rows),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
        ax.set_axis_on()
        draw_image(ax, image, title)
    return figure

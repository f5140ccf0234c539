"""Lecture 03: reverse kernels, the terms of the ELBO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from . import draw
from .draw import Curves, Pairs
from .draw import interact as interact
from .draw import show as show
from .style import ACCENT, CONTRAST, INK, LINES, MUTED, THIRD, Look

_MODELS = (
    {"color": ACCENT, "hatch": ""},
    {"color": CONTRAST, "hatch": "//"},
    {"color": THIRD, "hatch": ".."},
)


def reverse_ellipses(
    titles: Sequence[str],
    marginal: Tensor,
    exact: Sequence[Tensor],
    circles: Sequence[Tensor],
    above: Sequence[Tensor],
) -> Figure:
    """Reverse kernels of two pixels as ellipses of two standard deviations, one panel per step.

    Parameters
    ----------
    titles : sequence of str
    marginal : Tensor, shape (k, 2)
        Points of the ellipse of q(x_t).
    exact, circles : sequence of Tensor, each (k, 2)
        The exact kernel, and the isotropic one of variance beta around the same mean.
    above : sequence of Tensor, each (2,)
        The point x_{t+1} from which the step starts.
    """
    figure, axes = draw.panels(1, len(titles), width=3.1, height=3.3, sharex=True, sharey=True)
    draw.spaced(figure, rect=(0, 0, 1, 0.92))
    for ax, title, kernel, circle, x in zip(axes[0], titles, exact, circles, above, strict=True):
        ax.fill(*marginal.T, color=MUTED, alpha=0.18, lw=0, label="$q(x_t)$")
        ax.plot(*circle.T, color=CONTRAST, lw=1.8, ls="--", label=r"variance $\beta_{t+1}$")
        ax.plot(*kernel.T, color=ACCENT, lw=2.2, label="$q(x_t\\mid x_{t+1})$, exact")
        ax.plot(*x, marker="x", color=INK, ms=8, mew=2, ls="", label="$x_{t+1}$")
        ax.set(xlabel="first pixel", aspect="equal", title=title)
    axes[0, 0].set_ylabel("second pixel")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def reverse_kernel(
    x: Tensor, kernels: Pairs, beta: Tensor | None = None, kurtosis: Tensor | None = None
) -> Figure:
    """Exact reverse kernels of a mixture beside the Gaussians of the same mean and variance.

    Parameters
    ----------
    x : Tensor, shape (k,)
    kernels : mapping from a title to a pair of densities, each (k,)
        One panel each: the exact kernel and the Gaussian.
    beta, kurtosis : Tensor, shape (m,), optional
        Excess kurtosis of the exact kernel against the size of the step: one panel more.
    """
    alone = len(kernels) == 1
    size = {"width": 5.4 if alone else 3.3, "height": 2.8}
    figure, axes = draw.panels(1, len(kernels) + (beta is not None), **size)
    for ax, (title, (exact, normal)) in zip(axes[0], kernels.items(), strict=False):
        ax.fill_between(x, exact, color=ACCENT, alpha=0.18, lw=0)
        ax.plot(x, exact, color=ACCENT, lw=2.2, label="exact")
        ax.plot(x, normal, color=INK, lw=1.6, ls="--", label="Gaussian")
        ax.set(xlabel="$x_t$", title=title, ylim=(0, 1.3 * float(max(exact.max(), normal.max()))))
        ax.legend(frameon=False, fontsize=9, loc="upper left")
    axes[0, 0].set_ylabel("density")
    if beta is not None and kurtosis is not None:
        ax = axes[0, -1]
        ax.plot(beta, kurtosis, color=ACCENT, lw=2.2, marker="o", ms=4, markevery=5)
        ax.axhline(0, color=INK, lw=1.6, ls="--")
        draw.note(ax, "Gaussian", (beta[0], 0), (2, 4), fontsize=9)
        ax.set(xscale="log", xlabel=r"step $\beta_{t+1}$", title="excess kurtosis")
    return figure


def bayes_weights(t: Tensor, of_x0: Tensor, of_x: Tensor, ratio: Tensor) -> Figure:
    """The two weights in mu-tilde and the share of beta-tilde in beta, against time.

    Parameters
    ----------
    t : Tensor, shape (k,)
        From 0 on; the axis shows t + 1.
    of_x0, of_x, ratio : Tensor, shape (k,)
    """
    figure, axes = draw.panels(1, 2, width=3.9, height=2.8)
    left, right = axes[0]
    dots: Look = {"marker": "o", "ms": 4, "markevery": list(range(10))}  # times are whole numbers
    draw.curves(left, t + 1, {"of $x_0$": of_x0, "of $x_{t+1}$": of_x}, lw=2.2, **dots)
    left.set(xscale="log", xlabel="$t+1$", title=r"weights in $\tilde\mu$")
    left.legend(frameon=False, fontsize=9, loc="center right")
    right.plot(t + 1, ratio, color=ACCENT, lw=2.2, **dots)
    right.axhline(1, color=MUTED, lw=0.8)
    right.set(xscale="log", xlabel="$t+1$", title=r"$\tilde\beta/\beta_{t+1}$", ylim=(-0.03, 1.08))
    return figure


def bound_bars(
    names: Sequence[str], terms: Curves, log_likelihood: Mapping[str, float], entropy: float
) -> Figure:
    """The negative ELBO term by term, and what it exceeds the negative log-likelihood by.

    Parameters
    ----------
    names : sequence of str
        Names of the k terms.
    terms : mapping from the name of a model to a Tensor of shape (k,)
        Terms of its bound in nats.
    log_likelihood : mapping from the name of a model to a number
        E[-log p(x_0)], that the bound is above of.
    entropy : float
        Of the data, drawn as a line.
    """
    figure, axes = draw.panels(1, 2, width=4.5, height=3.3, width_ratios=[2.1, 1])
    left, right = axes[0]
    place, width = np.arange(len(names)), 0.8 / len(terms)
    for k, (style, (name, values)) in enumerate(zip(_MODELS, terms.items(), strict=False)):
        at = place + (k - (len(terms) - 1) / 2) * width
        left.bar(at, values, width, ec="white", label=name, **style)
        low, high = log_likelihood[name], float(values.sum())
        right.bar(k, low, 0.62, ec="white", **style)
        right.bar(k, high - low, 0.62, bottom=low, color="white", ec=INK, lw=1.2)
        draw.note(right, f"gap {abs(high - low):.2f}", (k, high), (0, 4), ha="center", fontsize=9)
    left.axhline(0, color=INK, lw=0.8)
    left.set_xticks(place, names)
    left.set_ylabel("nats")
    left.legend(frameon=False, fontsize=9, loc="upper center")
    right.set_ylim(top=1.1 * max(float(values.sum()) for values in terms.values()))
    right.axhline(entropy, color=INK, lw=1.4, ls="--", zorder=3)
    right.set_xticks(range(len(terms)), [name.replace(", ", ",\n") for name in terms], fontsize=9)
    right.set_title(r"bound = $E[-\log p_\theta(x_0)]$ + gap", fontsize=10)
    return figure


def excess_against_steps(steps: Sequence[int], excess: Curves, floor: float) -> Figure:
    """What the bound exceeds the entropy of the data by, against the number of steps.

    Parameters
    ----------
    steps : sequence of int, length k
    excess : mapping from a name to a Tensor of shape (k,)
    floor : float
        The limit of the second curve, drawn as a line.
    """
    figure, ax = draw.panel(width=5.4, height=2.9)
    draw.curves(ax, steps, excess, LINES[:2], lw=2)
    ax.set(xscale="log", yscale="log", xlabel="number of steps $T$")
    draw.ticks(ax, x=steps)
    ax.axhline(floor, color=MUTED, lw=1, ls=":")
    draw.note(ax, r"$n\gamma/2$", (steps[0], floor), (0, 3), color=MUTED, fontsize=9)
    ax.set_ylabel("bound minus entropy, nats")
    ax.legend(frameon=False, fontsize=9)
    return figure

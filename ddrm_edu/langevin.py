r"""Unadjusted Langevin dynamics for the posterior (slide 2), and its exact law on Gaussians.

    x <- x + step * score(x) + sqrt(2 step) z,      z ~ N(0, I)

Its stationary law tends to the density behind the score as the step tends to 0, and only then: for
a finite step it is wider, which :func:`stationary_law` states in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from .boundary import checked
from .diffusion import at_step, require_finite_image, require_image
from .gaussian import Gaussian
from .noise import Generators, standard_normal
from .operators.base import SVDOperator
from .validation import (
    LARGEST,
    is_integer,
    require_batch,
    require_finite,
    require_floating,
    require_positive,
)

STEP = (
    "It is the alpha of slide 2; for a Gaussian it has to stay below twice the smallest variance."
)

Score = Callable[[Tensor], Tensor]
"""``score(x)``: gradient of a log density, of the shape of x."""


class HasScore(Protocol):
    """Any prior of images with ``score(x, sigma)``, such as those of ``priors.py``."""

    def score(self, x: Tensor, sigma: float) -> Tensor: ...


@checked
def posterior_score(prior: HasScore, op: SVDOperator, y: Tensor, *, sigma_y: float) -> Score:
    r"""Score of the posterior, :math:`\nabla\log p(x)+H^\top(y-Hx)/\sigma_y^2` (S02.5).

    Both terms belong to clean images, sigma = 0.  At a noise level sigma > 0 the second would be
    another one, since :math:`p(y\mid x_t)` is wider than :math:`p(y\mid x_0)`.

    Parameters
    ----------
    prior : GaussianPrior or GaussianMixture
        Anything with ``score(x, sigma)``.  It needs a density: a singular covariance or a finite
        set of images has none, and then the call of the score says so.
    op : SVDOperator
    y : Tensor, shape (batch, *out_shape)
        Or one measurement, ``(1, *out_shape)``, for all chains.
    sigma_y : float
        Positive: without noise the posterior has no density.

    Returns
    -------
    callable
        ``score(x)`` for x of shape ``(batch, *in_shape)``.

    Raises
    ------
    ValueError
        If the posterior has no density or the prior no score.
    """
    if not hasattr(prior, "score"):
        raise ValueError(
            f"The prior must have a method score(x, sigma), but {type(prior).__name__} has none. "
            "A denoiser alone knows the score at levels sigma > 0 only, by Tweedie's formula."
        )
    require_batch(y, op.out_shape, "y")
    require_finite(y, "y")
    sigma_y = require_positive(
        sigma_y,
        "sigma_y",
        "The score of the posterior needs sigma_y > 0: exact measurements confine x to the plane "
        "H x = y, where Langevin steps in all directions make no sense. Give the noise of y, or "
        "use prior.posterior.",
    )

    if sigma_y < 1 / LARGEST:
        raise ValueError(
            f"sigma_y must be at least {1 / LARGEST:g}, so that 1 / sigma_y^2 is a number, but was "
            f"{sigma_y:.6g}."
        )

    def score(x: Tensor) -> Tensor:
        require_batch(x, op.in_shape, "x")
        if len(y) not in (1, len(x)):
            raise ValueError(
                f"x must have one image for each of the {len(y)} measurements, but has {len(x)}. "
                "For many chains of one y pass y as a batch of one."
            )
        likelihood = op.adjoint(y.to(x) - op(x)) / sigma_y / sigma_y
        return prior.score(x, 0.0) + likelihood

    return score


@checked
def langevin_samples(
    score: Score, x: Tensor, *, step: float, steps: int, generator: Generators = None
) -> Iterator[Tensor]:
    r"""Unadjusted Langevin, :math:`x\leftarrow x+\alpha\nabla\log p(x)+\sqrt{2\alpha}z` (S02.4).

    Parameters
    ----------
    score : callable
        Gradient of the log density to draw from, e.g. :func:`posterior_score`.
    x : Tensor, shape (batch, ...)
        Where the chains start, one for each entry of the batch; not changed.
    step : float
        The slide's :math:`\alpha`, positive.  For a Gaussian with precision P the chain is stable
        below :math:`2/\lambda_{\max}(P)`, and nearly exact only far below it.
    steps : int
        Number of steps.
    generator : torch.Generator or one per image, optional

    Yields
    ------
    Tensor
        x after each step; ``steps`` of them.

    Raises
    ------
    ValueError
        If ``step`` or ``steps`` is not positive; raised by the call itself.

    Examples
    --------
    >>> run = langevin_samples(lambda x: -x, torch.zeros(1000, 1), step=0.1, steps=100)
    >>> for x in run:
    ...     pass
    >>> bool(0.8 < x.var() < 1.3)  # 1 / (1 - 0.05) in the limit, for the target N(0, 1)
    True
    """
    require_floating(x, "x")
    step = require_positive(step, "step", STEP)
    _require_steps(steps)
    if not is_integer(steps):
        raise ValueError("steps must be a whole number of steps, but was infinite.")
    return _chain(score, x, step, steps, generator)


@torch.no_grad()
def _chain(
    score: Score, x: Tensor, step: float, steps: int, generator: Generators
) -> Iterator[Tensor]:
    for t in reversed(range(steps)):
        with at_step(t, steps):
            slope = score(x.clone())
            require_image(slope, x, "The score")
            require_finite_image(slope.to(x.dtype), x, 0.0, "The score")
        x = x + step * slope + math.sqrt(2 * step) * standard_normal(x, generator)
        yield x


@checked
def stationary_law(target: Gaussian, *, step: float) -> Gaussian:
    r"""Law in which unadjusted Langevin ends for a Gaussian target (S02.4).

    :math:`N\big(m,[P(I-\tfrac\alpha2P)]^{-1}\big)` with :math:`P=C^{-1}`: the right mean, and in
    each principal direction a variance too large by the factor :math:`1/(1-\alpha\lambda/2)`.

    Parameters
    ----------
    target : Gaussian
        With a covariance of full rank.
    step : float
        Positive and below :math:`2/\lambda_{\max}(P)`, twice the smallest variance of the target.

    Raises
    ------
    ValueError
        If the chain is unstable at this step; the message gives the admissible range.

    Examples
    --------
    >>> stationary_law(Gaussian([0.0], [[1.0]]), step=0.5).cov
    tensor([[1.3333]], dtype=torch.float64)
    """
    return langevin_law(target, target, step=step, steps=math.inf)


@checked
def langevin_law(target: Gaussian, start: Gaussian, *, step: float, steps: float) -> Gaussian:
    r"""Exact law of x after ``steps`` steps of unadjusted Langevin from ``start`` (S02.4).

    With :math:`A=I-\alpha P` and the stationary covariance S: mean :math:`m+A^k(m_0-m)` and
    covariance :math:`A^kC_0A^k+S(I-A^{2k})`.  Arguments as in :func:`stationary_law`; a start at
    one point x is ``Gaussian(x, zeros)``, and ``steps = math.inf`` gives the stationary law.

    Examples
    --------
    >>> target, start = Gaussian([0.0], [[1.0]]), Gaussian([8.0], [[0.0]])
    >>> langevin_law(target, start, step=0.5, steps=3).mean  # halved by each step
    tensor([1.], dtype=torch.float64)
    """
    _require_steps(steps)
    variances, axes = _stable_directions(target, step)
    share = step / variances  # 1 - share is kept of a deviation in a step, of S 1 - (1 - share)^2k
    kept = axes * (1 - share) ** steps @ axes.T
    lost = -torch.expm1(steps * torch.log1p(-share * (2 - share)))
    fresh = axes * (_stationary(variances, step) * lost).sqrt()
    mean = target.mean + kept @ (start.mean - target.mean)
    return Gaussian(mean, factor=torch.cat([kept @ start.factor, fresh], 1))


def _stationary(variances: Tensor, step: float) -> Tensor:
    """Fixed point of v <- (1 - step / c)^2 v + 2 step for a target of variance c."""
    return variances / (1 - step / variances / 2)


def _require_steps(steps: float) -> None:
    whole = is_integer(steps) and not isinstance(steps, bool)
    if not (whole or (isinstance(steps, float) and steps == math.inf)) or steps < 1:
        raise ValueError(f"steps must be a positive number of steps, but was {steps!r:.40}.")


def _stable_directions(target: Gaussian, step: float) -> tuple[Tensor, Tensor]:
    """Variances and axes of the target, after checking that the step is small enough for all."""
    step = require_positive(step, "step", STEP)
    variances, axes = target.eigenvalues, target.axes
    limit = 2 * variances[0].item()
    if variances[0] <= target.floor:
        raise ValueError(
            "Langevin dynamics needs a target with a density, but the smallest eigenvalue of its "
            f"covariance is {limit / 2:.3g}. Restrict it to the directions in which it varies."
        )
    if step >= limit:
        raise ValueError(
            f"Langevin steps are stable for step in (0, {limit:.6g}), twice the smallest variance "
            f"of the target, but step was {step:.6g}: the chain would grow without bound."
        )
    return variances, axes

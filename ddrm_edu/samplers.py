r"""Restoration methods with a step of their own: relatives of DDRM that no denoiser alone can be.

Most methods are a denoiser that sees y in the loop of DDPM or DDIM (:mod:`ddrm_edu.guidance`).
Those here are not: their correction or their noise depends on the level that is being entered, or
they go back to levels they have left, or several states are carried at once.

============================  =================  =========================  ====================
sampler                       needs of H         of the denoiser, per step  y
============================  =================  =========================  ====================
:func:`markov_ddrm_samples`   SVD                1 evaluation               sigma_y >= 0
:func:`ddnm_plus_samples`     SVD                1 evaluation               sigma_y >= 0
:func:`dps_samples`           H and H^T          1 evaluation, 1 VJP        sigma_y is not used
:func:`pigdm_samples`         SVD                1 evaluation, 1 VJP        sigma_y >= 0
:func:`repaint_samples`       V = I              1 evaluation, more steps   sigma_y = 0
:func:`particle_samples`      SVD                ``particles`` evaluations  sigma_y > 0
============================  =================  =========================  ====================

A VJP is a vector-Jacobian product, one backward pass through the network.  Papers state their
methods in variance-preserving images :math:`\sqrt{\bar\alpha_t}x_t`; here everything is in
:math:`x_t=x_0+\sigma_t\epsilon`, and the docstrings say what a formula becomes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .boundary import checked
from .ddpm import ddim_coefficients
from .ddrm import (
    checked_run,
    ddrm_coefficients,
    ddrm_start_coefficients,
    distinct,
    in_case_1,
    of_all,
    rows_of,
    spectral_samples,
)
from .diffusion import (
    Denoiser,
    EndOfRun,
    Step,
    StepCoefficients,
    at_step,
    combine,
    diffusion_steps,
    predict,
)
from .guidance import PiGDM, SeesY, unit_prior_variance, with_covariance
from .noise import Generators, standard_normal
from .operators import SVDOperator
from .operators.base import require_one_for_all, require_spectrum
from .schedule import decreasing_sigmas
from .validation import (
    LARGEST,
    is_integer,
    require_level,
    require_one_shape,
    require_positive,
    require_unit_interval,
)

# ------------------------------------------------------------- rows of four numbers: DDRM-M, DDNM+


@checked
def markov_ddrm_coefficients(
    s: Tensor, sigma: float | Tensor, sigma_next: float | Tensor, sigma_y: float
) -> StepCoefficients:
    r"""The step of DDRM-M: the reversal of a Markov noising process that passes y_spec.

    Lecture 11 (ledger G13).  At the level sigma_y / s the measurement itself is a sample of the
    process.  A step from above that level that stays above it is case 1 with eta_b = 1; one that
    crosses it is a bridge, case 2 with :math:`\eta^2=1-s^2\sigma_t^2/\sigma_y^2`; below it, and
    where s = 0, it is DDPM's, case 3 with :math:`\eta^2=1-\sigma_t^2/\sigma_{t+1}^2`.  So each row
    is one of slide 11's, in another order than DDRM's.

    Parameters and result as in :func:`ddrm_edu.ddrm_coefficients`.
    """
    s = s.detach().to(torch.float64)
    require_spectrum(s)
    sigma, sigma_next = (torch.as_tensor(level, dtype=s.dtype) for level in (sigma, sigma_next))
    require_one_shape(s=s, sigma=sigma, sigma_next=sigma_next)
    sigma_y = require_level(sigma_y, "sigma_y")
    above = in_case_1(s, sigma, sigma_y)
    kept = (s * sigma_next / sigma_y).clamp(max=1) if sigma_y else torch.ones_like(s)
    rate = torch.where(above, (1 - kept**2).sqrt(), (1 - (sigma_next / sigma) ** 2).sqrt())
    s = torch.where(above, s, 0.0)
    return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=rate, eta_b=1.0)


@checked
@torch.no_grad()
def markov_ddrm_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""DDRM-M: DDRM's rows in the order that a Markov process would have them.

    Lecture 11, section 12 (ledger G13); as far as we know not published elsewhere.  Given x_0 the
    levels below sigma_y / s, and y_spec, are a Markov chain, in which each is the next lower one
    with more noise.  With levels that are refined and a start that is high it samples the posterior
    exactly if H = I and the denoiser is exact, and for every H if the denoiser is
    :math:`E[x_0\mid x_t,y]` of this process.  It has no rates: eta and eta_b follow from the
    levels.

    Needs the SVD; one evaluation a step, as DDRM.

    Parameters
    ----------
    denoiser, op, y, sigmas, sigma_y, generator
        As in :func:`ddrm_edu.ddrm_samples`.

    Yields
    ------
    Step
        N of them; the last has ``sigma = 0``, and its ``x`` is the restored image.

    Raises
    ------
    ValueError
        As :func:`ddrm_edu.ddrm_samples`, by the call itself.

    Examples
    --------
    >>> from ddrm_edu import Denoising, GaussianPrior, NoiseSchedule
    >>> prior, levels = GaussianPrior(torch.zeros(1), torch.ones(1, 1)), NoiseSchedule.linear()
    >>> run = markov_ddrm_samples(
    ...     prior, Denoising((1,)), torch.ones(1, 1), levels.sigmas(20), sigma_y=0.0
    ... )
    >>> [step.x.item() for step in run][-1]  # nothing to restore
    1.0
    """
    levels, s, sigma_y = checked_run(op, y, sigmas, sigma_y)
    s, place = distinct(s)

    def coefficients(s: Tensor, sigma: Tensor, sigma_next: Tensor) -> StepCoefficients:
        return markov_ddrm_coefficients(s, sigma, sigma_next, sigma_y)

    start = ddrm_start_coefficients(s, levels[0], sigma_y)
    return spectral_samples(denoiser, op, y, levels, (s, place), start, coefficients, generator)


@checked
def ddnm_plus_coefficients(
    s: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    sigma_y: float,
    *,
    eta_ddim: float,
) -> StepCoefficients:
    r"""The step of DDNM+: that of DDIM, in which y_spec replaces a share of x0_hat.

    Wang, Yu and Zhang (2023), eq. 17-19, for each coordinate by itself.  With DDIM's weight
    :math:`w=1-w_{xt}` of x0_hat and its noise v the share is

        lambda = min(1, v s / (w sigma_y))   where s > 0,

    and the fresh noise has variance :math:`v^2-(w\lambda\sigma_y/s)^2`, so that the noise of y_spec
    takes the place of some of the step's own.  In the paper v is :math:`\sigma_t` and w is
    :math:`a_t`, both divided by :math:`\sqrt{\bar\alpha_{t-1}}` here.

    Returns
    -------
    StepCoefficients
        Of the shape of ``s`` (broadcast with the levels), in float64.
    """
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=eta_ddim)
    require_one_shape(s=s, sigma=sigma, sigma_next=sigma_next)
    sigma_y = require_level(sigma_y, "sigma_y")
    measured = s > 0
    at_most = c.x0 * torch.where(measured, sigma_y / s, 0.0)  # noise of y_spec, if lambda = 1
    carried = torch.minimum(at_most, c.noise)
    share = torch.where(at_most > 0, carried / at_most, 1.0) * measured
    noise = ((c.noise - carried) * (c.noise + carried)).sqrt()
    return StepCoefficients(c.x0 * (1 - share), c.xt + 0 * share, c.x0 * share, noise)


@checked
@torch.no_grad()
def ddnm_plus_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta_ddim: float = 1.0,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""DDNM+: range-null projection scaled down where y is too noisy for the step's own noise.

    Wang, Yu and Zhang (2023), "Zero-shot image restoration using denoising diffusion null-space
    model", eq. 17-19, with scale and noise per singular value; see :func:`ddnm_plus_coefficients`.
    At sigma_y = 0 it is DDNM (:class:`ddrm_edu.DDNM` in ``ddpm_samples``).

    Needs the SVD; one evaluation a step.

    Notes
    -----
    *Beside DDRM.* DDRM forgets x_t in every measured coordinate, DDNM+ keeps DDIM's share of it.
    DDRM asks whether sigma_y / s is below the level entered; DDNM+ whether the *share* of y that a
    step takes is below the *fresh* noise of the step, for DDPM's steps whether
    :math:`\sqrt{1-\sigma_t^2/\sigma_{t+1}^2}\,\sigma_y/s\le\sigma_t`: a weaker condition, which
    many small steps meet.

    *Its budget.* The noise of y that earlier steps have put into x_t is that of this step, too: the
    two are correlated, which the budget leaves out.  Given x_0 and an exact x0_hat the variance of
    x_t is not :math:`\sigma_t^2`, as the paper asks for, but larger (ledger Y09; the
    :math:`2al\kappa` of X09).  DDRM avoids it: no row of its table takes both y and x_t.

    *The authors' code* (wyhuai/DDNM at 4ab9e12, ``functions/svd_operators.py``, ``Lambda`` and
    ``Lambda_noise``) has another step for operators given by their SVD, which is DDRM's with
    eta_b = 1 if sigma_y > 0: the same numbers in every coordinate (ledger Y10).

    *Without* the time travel that the paper adds for hard tasks; the start is
    :math:`N(0,\sigma_T^2I)`.

    Parameters
    ----------
    denoiser, op, y, sigmas, sigma_y, generator
        As in :func:`ddrm_edu.ddrm_samples`.
    eta_ddim : float
        Of DDIM's step; the paper's formulas are those of 1, DDPM's.  With 0 there is no fresh
        noise that the noise of y could replace, and y is used only where sigma_y = 0.

    Yields
    ------
    Step

    Raises
    ------
    ValueError
        As :func:`ddrm_edu.ddrm_samples`, by the call itself.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = ddnm_plus_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.0)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels, s, sigma_y = checked_run(op, y, sigmas, sigma_y)
    eta_ddim = require_unit_interval(eta_ddim, "eta_ddim")
    s, place = distinct(s)

    def coefficients(s: Tensor, sigma: Tensor, sigma_next: Tensor) -> StepCoefficients:
        return ddnm_plus_coefficients(s, sigma, sigma_next, sigma_y, eta_ddim=eta_ddim)

    start = _plain_start(s, levels)
    return spectral_samples(denoiser, op, y, levels, (s, place), start, coefficients, generator)


def _plain_start(s: Tensor, levels: Tensor) -> StepCoefficients:
    """N(0, sigma_T^2) in every coordinate, whatever was measured."""
    nothing = torch.zeros_like(s)
    return StepCoefficients(x0=nothing + 1, xt=nothing, y=nothing, noise=nothing + levels[0])


# ------------------------------------------------------- DDPM's step and a gradient: DPS, PiGDM


class _Residual(SeesY):
    r""":math:`\hat x_0+\sigma^2J^\top H^\top(y-H\hat x_0)`, perhaps over the residual's length."""

    needs = "H, H^T and gradient"

    def __init__(self, *args: Any, normalised: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.normalised = normalised

    def guided(
        self, x0_hat: Tensor, sigma: float, covariance: Callable[[Tensor], Tensor]
    ) -> Tensor:
        left = self.y.to(x0_hat) - self.op(x0_hat)
        towards = covariance(self.op.adjoint(left).to(x0_hat))
        if self.normalised:
            length = left.flatten(1).norm(dim=1).reshape(-1, *[1] * (x0_hat.ndim - 1))
            towards = (towards / length).where(length > 0, 0.0)  # at y the gradient is 0
        return x0_hat + towards


@checked
def dps_samples(
    denoiser: Denoiser,
    op: Any,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    zeta: float = 1.0,
    normalised: bool = True,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""DPS: DDPM, and after each step a gradient step on :math:`\|y-H\hat x_0(x_t)\|^2`.

    Chung, Kim, McCann, Klasky and Ye (2023), "Diffusion posterior sampling for general noisy
    inverse problems", Algorithm 1 (Gaussian noise), with its
    :math:`\zeta_i=\zeta/\|y-H\hat x_0\|`.  In variance-preserving images it subtracts
    :math:`\zeta_i\nabla\|y-H\hat x_0\|^2`; here, with :math:`J=\partial\hat x_0/\partial x_t`, the
    step adds

    .. math:: 2\zeta_i\sqrt{(1+\sigma_t^2)(1+\sigma_{t-1}^2)}\;J^\top H^\top(y-H\hat x_0).

    The weight depends on the level entered, so DPS is no denoiser that sees y.

    Needs H and H^T only, and the denoiser's gradient: one evaluation and one vector-Jacobian
    product a step.

    Notes
    -----
    *Affine or not.* With ``normalised=True`` the step is not affine in y, and has no exact law.
    With ``normalised=False`` :math:`\zeta_i=\zeta` is fixed, and for a Gaussian prior it is affine;
    a weight that is too large then diverges, as gradient descent does, where the other jumps over
    y and back.

    *More steps do not lead to the posterior.* The pull towards y does not shrink with the step, as
    the fresh noise does, and does not know sigma_y.  One measured coordinate with the prior
    N(0, C), C up to 2, and a fixed weight with 0 < zeta s^2 < 1 tends to y_spec itself, without
    spread (ledger Y08).

    *The authors' code* (DPS2022/diffusion-posterior-sampling at 4962d6e,
    ``guided_diffusion/condition_methods.py``, ``grad_and_value``) takes the gradient of the length,
    not of its square over the length, that is half of the above: its ``scale`` is 2 zeta.  It takes
    one length for the whole batch, this one for each image.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``, differentiable by torch.
    op : SVDOperator, or any object with ``op(x)``, ``op.adjoint(y)``, ``in_shape``, ``out_shape``
    y, sigmas, generator
        As in :func:`ddrm_edu.ddrm_samples`.
    sigma_y : float
        Checked, and not used: the method does not know the noise.
    zeta : float
        Positive; the paper's values are 0.3 to 1 for photographs of 256 x 256 pixels.
    normalised : bool
        Divide the weight by the length of the residual, for each image.

    Yields
    ------
    Step
        Its ``x0_hat`` is the denoiser's own, without the correction.

    Raises
    ------
    ValueError
        By the call itself for wrong arguments; in a step if the denoiser has no gradient.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = dps_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.0)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels = decreasing_sigmas(sigmas)
    guided = _Residual(denoiser, op, y, sigma_y=sigma_y, normalised=normalised)
    zeta = require_positive(zeta, "zeta", "Without a correction DPS is ddpm_samples.")

    def weight(sigma: float, sigma_next: float) -> float:
        return 2 * zeta * math.sqrt((1 + sigma**2) * (1 + sigma_next**2)) / sigma**2

    x = _noise_at(levels[0], guided.y, op, generator)
    return _corrected_steps(guided, x, levels, 1.0, weight, generator)


@checked
def pigdm_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta_ddim: float = 1.0,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""Pseudo-inverse guidance as published: DDIM's step, unguided, and the guidance added to it.

    Song, Vahdat, Mardani and Kautz (2023), "Pseudoinverse-guided diffusion models for inverse
    problems", with :math:`r_t^2=\sigma_t^2/(1+\sigma_t^2)`.  The step adds

    .. math:: r_t^2\,J^\top H^\top(r_t^2HH^\top+\sigma_y^2I)^{-1}(y-H\hat x_0),

    which without noise is :math:`J^\top H^+(y-H\hat x_0)`.  In variance-preserving images that is
    the gradient times :math:`\sqrt{\bar\alpha_s\bar\alpha_t}`, as in the authors' code
    (NVlabs/RED-diff at cdf18c9, ``algos/pgdm.py``, option ``awd``).

    Needs the SVD and the denoiser's gradient: one evaluation and one vector-Jacobian product a
    step.

    Notes
    -----
    *Beside* :class:`ddrm_edu.PiGDM`, a denoiser that sees y.  That one moves x0_hat by
    :math:`\sigma_t^2` of the gradient in the place of :math:`r_t^2`, and the step's own noise
    :math:`(x_t-\hat x_0)/\sigma_t` with it: the image moves by
    :math:`(1-w)\sigma_t^2/r_t^2=(1-w)(1+\sigma_t^2)` times as far, w being DDIM's weight of x_t.
    The published correction does not shrink with the step, so that many steps count y many times:
    for a Gaussian prior a measured coordinate tends to y_spec itself, without spread (ledger Y13).

    *The start* is :math:`N(0,\sigma_T^2I)`; that of the authors' code is
    :math:`N(H^+y,\sigma_T^2I)`.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``, differentiable by torch.
    op, y, sigmas, sigma_y, generator
        As in :func:`ddrm_edu.ddrm_samples`.
    eta_ddim : float
        Of DDIM's step.

    Yields
    ------
    Step
        Its ``x0_hat`` is the denoiser's own, without the guidance.

    Raises
    ------
    ValueError
        By the call itself for wrong arguments; in a step if the denoiser has no gradient.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = pigdm_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.0)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels, _, sigma_y = checked_run(op, y, sigmas, sigma_y)
    eta_ddim = require_unit_interval(eta_ddim, "eta_ddim")
    guided = PiGDM(denoiser, op.to(y), y, sigma_y=sigma_y)

    def weight(sigma: float, sigma_next: float) -> float:
        return unit_prior_variance(sigma) / sigma**2

    x = _noise_at(levels[0], y, op, generator)
    return _corrected_steps(guided, x, levels, eta_ddim, weight, generator)


def _noise_at(sigma: Tensor, y: Tensor, op: Any, generator: Generators) -> Tensor:
    """N(0, sigma^2 I), an image for each measurement."""
    return sigma * standard_normal(y.new_empty(len(y), *op.in_shape), generator)


def _corrected_steps(
    guided: SeesY,
    x: Tensor,
    levels: Tensor,
    eta_ddim: float,
    weight: Callable[[float, float], float],
    generator: Generators,
) -> Generator[Step, Tensor | None, None]:
    """DDIM's steps, each moved by ``weight(sigma, sigma_next)`` of what y adds to x0_hat."""
    table = ddim_coefficients(levels[:-1], levels[1:], eta_ddim=eta_ddim)
    rows = map(StepCoefficients._make, zip(*table, strict=True))
    steps = zip(reversed(range(len(levels) - 1)), levels[:-1], levels[1:], rows, strict=True)
    for t, sigma, sigma_next, c in steps:
        with at_step(t, len(levels) - 1):
            x0_hat, covariance = with_covariance(guided.denoiser, x, sigma.clone())
        with torch.no_grad():
            moved = guided.guided(x0_hat, float(sigma), covariance)
            z = standard_normal(x, generator) if c.noise > 0 else torch.zeros_like(x)
            x = combine(c, x0_hat, x, z, z)
            x = x.add(moved - x0_hat, alpha=weight(float(sigma), float(sigma_next)))
        del moved, z, covariance
        sent = yield Step(t, sigma_next.clone(), x, x0_hat)
        x = x if sent is None else sent.to(x, copy=True)


# ------------------------------------------------------------------- back and forth: RePaint


@checked
@torch.no_grad()
def repaint_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    jump: int = 1,
    resamplings: int = 10,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""RePaint: known pixels are noised, the others denoised, and each level is gone over again.

    Lugmayr, Danelljan, Romero, Yu, Timofte and Van Gool (2022), "RePaint: inpainting using
    denoising diffusion probabilistic models", Algorithm 1; ``jump`` and ``resamplings`` are the
    paper's j and r.  At levels 1, 1 + jump, 1 + 2 jump ... (counted from the clean image) the
    image is noised again, ``jump`` levels up, ``resamplings - 1`` times.

    Needs V = I, that is measured pixels, and no noise in y; no gradient.  One evaluation a step,
    and ``steps + (resamplings - 1) * jump * ((steps - 1) // jump)`` steps in all.

    Notes
    -----
    A step is a row of slide 11's table: case 1 with eta_b = 1 for the known pixels, DDPM's for the
    others.  So with ``resamplings=1`` the steps are those of :func:`markov_ddrm_samples`; the
    start, here :math:`N(0,\sigma_T^2)` for every pixel, is not.

    Resampling brings the two sorts of pixels into harmony at each level.  For a Gaussian prior
    many resamplings lead the mean of the lost pixels u_t to :math:`E[u_t\mid k_t=y]`: as though y
    were the *noisy* known pixels k_t of that level.  At small levels that is right, at others it
    is too close to the prior's mean (ledger Y11).

    The paper's networks predict the variance of their step; here it is DDPM's.

    Parameters
    ----------
    denoiser, op, y, sigmas, generator
        As in :func:`ddrm_edu.ddrm_samples`; ``op`` has V = I, such as :class:`ddrm_edu.Inpainting`.
    sigma_y : float
        0: every level would treat the noise of y as part of the image.
    jump, resamplings : int
        The paper takes 10 and 10 with 250 steps.  ``resamplings=1`` never goes back.

    Yields
    ------
    Step
        One for each evaluation; ``t`` and ``sigma`` go up again after a jump.

    Raises
    ------
    ValueError
        As :func:`ddrm_edu.ddrm_samples`, and for noise in y, an operator that mixes pixels, or a
        jump that is longer than the run; by the call itself.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = repaint_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.0)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels, s, sigma_y = checked_run(op, y, sigmas, sigma_y)
    if not op.pixel_basis:
        raise ValueError(
            "RePaint puts measured pixels in their places, so it needs an operator whose V is the "
            f"identity, such as Inpainting, but op was {op!r}. DDNM does the same for any SVD, "
            "without resampling."
        )
    if sigma_y > 0:
        raise ValueError(
            "RePaint keeps measured pixels as they are, so sigma_y must be 0, but was "
            f"{sigma_y:.6g}. ddnm_plus_samples, markov_ddrm_samples and ddrm_samples know noise."
        )
    for what, value in (("jump", jump), ("resamplings", resamplings)):
        if not is_integer(value) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{what} must be a positive integer, but was {value!r}.")
    steps = len(levels) - 1
    if resamplings > 1 and jump > max(1, steps - 1):
        raise ValueError(
            f"jump must be at most the number of steps less 1, here {steps - 1}, but was {jump}: "
            "there would be no level to jump to. Take a shorter jump or more steps."
        )
    turns = [t for t in range(1, steps - jump + 1, jump) for _ in range(resamplings - 1)]
    y_spec = op.to(y).measure_spec(y)
    x = _noise_at(levels[0], y, op, generator)
    return _there_and_back(denoiser, x, y_spec, levels, distinct(s), turns[::-1], jump, generator)


def _there_and_back(
    denoiser: Denoiser,
    x: Tensor,
    y_spec: Tensor,
    levels: Tensor,
    spectrum: tuple[Tensor, Tensor],
    turns: list[int],
    jump: int,
    generator: Generators,
) -> Iterator[Step]:
    """Down to each of ``turns`` and ``jump`` levels up again, at last down to 0."""
    s, place = spectrum[0], spectrum[1].to(x.device)

    def coefficients(s: Tensor, sigma: Tensor, sigma_next: Tensor) -> StepCoefficients:
        return markov_ddrm_coefficients(s, sigma, sigma_next, 0.0)

    first, last = 0, len(levels) - 1  # places in levels, which t counts from the other end
    for turn in [*turns, 0]:
        passed = levels[first : last - turn + 1]
        rows = rows_of(passed, s, place, coefficients, x.dtype)
        for step in diffusion_steps(denoiser, x, passed, rows, y_spec=y_spec, generator=generator):
            x = step.x
            yield step._replace(t=turn + step.t)
            del step
        if turn:
            first = last - turn - jump
            rise = (levels[first] ** 2 - passed[-1] ** 2).sqrt()
            x = x + rise * standard_normal(x, generator)


# ------------------------------------------------------------- many states: sequential Monte Carlo


class ParticleStep(Step):
    """A step that tells how many particles counted when it was made.

    ``ess (batch,)`` is the effective sample size, one over the sum of the squared weights: from 1,
    all but one are lost, to the number of particles.
    """

    ess: Tensor


@checked
@torch.no_grad()
def particle_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    particles: int = 64,
    spread: float = 1.0,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""Sequential Monte Carlo: a draw of DDPM's own law given y, exact as particles grow.

    DDPM's chain along ``sigmas`` has a law :math:`p_\theta(x_0)`, whatever its denoiser.  This
    sampler draws from

    .. math:: p_\theta(x_0\mid y)\propto p_\theta(x_0)\,N(y;Hx_0,\sigma_y^2I),

    which is *not* the posterior of the prior behind the denoiser unless the steps are many and the
    denoiser is exact (ledger Y12).  It filters, in the manner of MCG-diff (Cardoso, Janati,
    Le Corff and Moulines 2024) and FPS (Dou and Song 2024): between start and end the targets are
    :math:`p_\theta(x_{t:T})\,g_t(x_t)` with

    .. math:: g_t(x)=N\Big(\bar y;\ \frac{c^2}{c^2+\sigma_t^2}\bar x,\
        \frac{\sigma_y^2}{s^2}+\frac{c^2\sigma_t^2}{c^2+\sigma_t^2}\Big)

    in the measured coordinates: p(y | x_t) of a prior :math:`N(0,c^2I)`, and at the end, at level
    0, that of every prior.  These g are the course's; those of the two papers are others, and the
    choice affects how many particles are needed, not the limit.  Each step weights by
    :math:`\int p_\theta(x_t\mid x_{t+1})g_t(x_t)\,dx_t/g_{t+1}(x_{t+1})`, resamples
    (stratified), and moves by the kernel times g, which is Gaussian: nothing is rejected, and no
    gradient is needed.

    Needs the SVD and sigma_y > 0; ``particles`` evaluations a step.

    Notes
    -----
    The error falls like one over the number of particles.  The number that is needed grows
    exponentially with the coordinates that were measured: for pictures, with thousands of them, one
    particle soon counts alone.  ``step.ess`` tells.

    Parameters
    ----------
    denoiser : callable
        Called with ``batch * particles`` images at once.
    op, y, sigmas, sigma_y
        As in :func:`ddrm_edu.ddrm_samples`.
    particles : int
        For each image; with 1 there is nothing to choose from.
    spread : float
        The c above, in the units of x: about the standard deviation of measured coordinates.
    generator : torch.Generator or one per image, optional

    Yields
    ------
    ParticleStep
        One of the particles of each image, all as likely, and ``ess``.

    Raises
    ------
    ValueError
        As :func:`ddrm_edu.ddrm_samples`, and for sigma_y = 0; by the call itself.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = particle_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.1)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels, s, sigma_y = checked_run(op, y, sigmas, sigma_y)
    require_one_for_all(op, "A sampler by particles")
    if sigma_y < 1 / LARGEST:
        raise ValueError(
            "Particles are weighted by the density of y, which sigma_y = 0 does not leave any: "
            "it must be positive. Give the noise that y really has, or a small one."
        )
    if not is_integer(particles) or isinstance(particles, bool) or particles < 1:
        raise ValueError(f"particles must be a positive integer, but was {particles!r}.")
    spread = require_positive(spread, "spread")
    if spread < 1 / LARGEST:
        raise ValueError(
            f"spread must be about the standard deviation of the image, but was {spread:.6g}."
        )
    op = op.to(y)
    y_spec = op.measure_spec(y)[:, None]  # beside the particles, the second dimension
    z = standard_normal(y_spec.expand(-1, int(particles), *op.in_shape), generator)
    return _filtered_steps(denoiser, op, z, y_spec, levels, distinct(s), sigma_y, spread, generator)


def _filtered_steps(
    denoiser: Denoiser,
    op: SVDOperator,
    z: Tensor,
    y_spec: Tensor,
    levels: Tensor,
    spectrum: tuple[Tensor, Tensor],
    sigma_y: float,
    spread: float,
    generator: Generators,
) -> Iterator[Step]:
    """Particles (batch, K, *shape) in spectral coordinates, of which ``z`` is the first noise."""
    s, place = spectrum[0], spectrum[1].to(z.device)
    measured = s > 0
    noise = torch.where(measured, (sigma_y / s) ** 2, 1.0)
    particles, image = z.shape[1], torch.arange(len(z), device=z.device)

    def potential(sigma: Tensor) -> tuple[Tensor, Tensor]:
        """a and q of g = N(ybar; a x, q) for each distinct s, a = 0 where nothing is measured."""
        a = spread**2 / (spread**2 + sigma**2)
        return a * measured, noise + a * sigma**2

    def numbers(*of_s: Tensor) -> tuple[Tensor, ...]:
        return of_all(of_s, place, z.dtype)

    def misfit(x: Tensor, a: Tensor, variance: Tensor) -> Tensor:
        """-2 log N(ybar; a x, variance) without constants, for each particle: (batch, K)."""
        a, precision = numbers(a, measured / variance)
        squares = ((y_spec - a * x) ** 2 * precision).flatten(2)
        return squares.sum(2, dtype=torch.promote_types(x.dtype, torch.float32))

    def moved(mean: Tensor, variance: Tensor, a: Tensor, q: Tensor, z: Tensor) -> Tensor:
        """A draw from N(mean, variance) g, normalised."""
        gain = a * variance / (a**2 * variance + q)
        gain, kept, std = numbers(gain, 1 - a * gain, (variance * (1 - a * gain)).sqrt())
        return gain * y_spec + kept * mean + std * z

    a, q = potential(levels[0])
    x_spec = moved(torch.zeros_like(z), levels[0] ** 2, a, q, z)
    table = ddim_coefficients(levels[:-1], levels[1:], eta_ddim=1.0)
    rows = map(StepCoefficients._make, zip(*table, strict=True))
    steps = zip(reversed(range(len(levels) - 1)), levels[:-1], levels[1:], rows, strict=True)
    end = EndOfRun(levels)
    for t, sigma, sigma_next, c in steps:
        with torch.no_grad():
            x = op.V(x_spec.flatten(0, 1))
            with at_step(t, len(levels) - 1):
                x0_hat = predict(denoiser, x, sigma)
            end.note(x0_hat)
            if not t:
                end.ask()
            x0_spec = op.Vt(x0_hat).reshape(x_spec.shape)
            mean, variance = c.x0.to(x_spec) * x0_spec + c.xt.to(x_spec) * x_spec, c.noise**2
            before = misfit(x_spec, a, q)
            a, q = potential(sigma_next)
            weights = (before - misfit(mean, a, a**2 * variance + q)).div(2).softmax(dim=1)
            parent = _stratified(weights, generator)
            z = standard_normal(mean, generator)
            x_spec = moved(mean[image[:, None], parent], variance, a, q, z)
            # All particles weigh the same now: any one is a draw, and one normal number chooses it.
            u = torch.special.ndtr(standard_normal(weights[:, :1], generator))[:, 0]
            slot = (u * particles).long().clamp(max=particles - 1)
            chosen = op.V(x_spec[image, slot])
            ancestor = x0_hat.reshape(x_spec.shape)[image, parent[image, slot]]
        step = ParticleStep(t, sigma_next.clone(), chosen, ancestor)
        step.ess = 1 / weights.square().sum(dim=1)
        yield step


def _stratified(weights: Tensor, generator: Generators) -> Tensor:
    """Indices (batch, K) drawn by ``weights (batch, K)``, one in each K-th of the probability.

    Its variance is at most that of independent draws (Douc and Cappe 2005), and equal weights keep
    every particle.
    """
    K = weights.shape[1]
    u = torch.special.ndtr(standard_normal(weights, generator))
    points = (torch.arange(K, device=u.device) + u) / K
    edges = weights.cumsum(dim=1)
    return torch.searchsorted(edges / edges[:, -1:], points).clamp(max=K - 1)

r"""The variational bound: KL terms, their weights, Theorem 3.2 (slides 5-8, 10, 17).

The slides call it the ELBO; it is the *negative* ELBO, an upper bound on
:math:`-\log p_\theta(x_0)` (S05.5).  Here it is computed for a Gaussian prior and the denoiser of a
Gaussian prior (the same or another one), exactly.

A reverse kernel of DDPM and DDRM is the inference kernel with :math:`x_\theta` in the place of
:math:`x_0` (S17.2), so the two differ in their means only, by :math:`K(x_0-x_\theta)` with
:math:`K` the step's coefficient of :math:`x_0`.  Every weight of the lecture is therefore one
formula, :math:`w=K^2/2v`, with v the variance of the step's noise.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .boundary import checked
from .ddpm import ddim_coefficients
from .ddrm import Rate, ddrm_coefficients, ddrm_start_coefficients
from .diffusion import StepCoefficients
from .gaussian import Gaussian
from .law import flattened, inference_network, require_gaussian, spectral_law
from .operators.base import SVDOperator
from .priors import GaussianPrior
from .schedule import NoiseSchedule, decreasing_sigmas
from .validation import is_integer, require_positive


class NoiseLoss(NamedTuple):
    """One term of DDPM's bound: ``weight * |eps - eps_theta|^2 + constant``, in nats."""

    weight: float
    constant: float  #: for each pixel; 0 if and only if the variance is beta-tilde


@checked
def noise_loss(schedule: NoiseSchedule, t: int, *, variance: float | None = None) -> NoiseLoss:
    r"""The term :math:`L_t` of slide 6 for the kernel from t + 1 to t, corrected (S06.5, E2).

    .. math:: \frac{\beta_{t+1}^2}{2v\,\alpha_{t+1}(1-\bar\alpha_{t+1})}
              \lVert\epsilon-\epsilon_\theta\rVert^2
              +\frac n2\Big(\frac{\tilde\beta}v-1-\log\frac{\tilde\beta}v\Big)

    Parameters
    ----------
    schedule : NoiseSchedule
    t : int
        From 1 to T - 1; the term of t = 0 is no KL divergence.
    variance : float, optional
        v, that of :math:`p_\theta(x_t\mid x_{t+1})`; by default :math:`\tilde\beta_{t+1}`.

    Raises
    ------
    ValueError
        For a t without a KL term or a variance that is not positive.
    """
    if not is_integer(t) or not 1 <= t < schedule.T:
        raise ValueError(
            f"L_t is a KL divergence for t from 1 to T - 1 = {schedule.T - 1}, but t was {t}. "
            "At t = 0 the exact kernel is a Dirac."
        )
    exact = float(schedule.beta_tilde[t + 1])
    v = require_positive(exact if variance is None else variance, "variance")
    beta, sigma = float(schedule.beta[t + 1]), float(schedule.sigma[t + 1])
    noise = sigma**2 / (1 + sigma**2)  # 1 - alpha_bar, without the subtraction that loses digits
    weight = beta**2 / (2 * v * (1 - beta) * noise)
    return NoiseLoss(weight, (exact / v - 1 - math.log(exact / v)) / 2)


@checked
def step_weights(
    s: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    sigma_y: float,
    *,
    eta: Rate,
    eta_b: Rate,
) -> Tensor:
    r"""Weights w of a step's divergence :math:`\sum_iw_i(\bar x_0-\bar x_\theta)_i^2` (X05).

    The three cases of ledger section 3.1; arguments as in :func:`ddrm_edu.ddrm_coefficients`.
    Infinite where the step adds no noise although it uses the prediction, and 0 where it does
    neither (two equal Diracs, as at the case boundary with eta_b = 1).

    Returns
    -------
    Tensor
        Of the shape of ``s``, float64.

    Examples
    --------
    Theorem 3.2: with its two rules every weight is 1 / (2 sigma_next^2), whatever H.

    >>> s = torch.tensor([1.0, 0.25, 0.0])
    >>> step_weights(s, 0.4, 0.2, 0.1, eta=1.0, eta_b="theorem")
    tensor([12.5000, 12.5000, 12.5000], dtype=torch.float64)
    """
    return _weights(ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b))


class Nelbo(NamedTuple):
    """The terms of the bound, in nats."""

    start: float  #: KL(q(x_T | x_0, y) || p(x_T | y))
    steps: Tensor  #: (N - 1,), the divergences of the levels T - 1, ..., 1
    last: float  #: -E log p(x_0 | x_1, y)

    @property
    def total(self) -> float:
        """The bound: sum of all terms."""
        return self.start + float(self.steps.sum()) + self.last


@checked
def ddrm_nelbo(
    prior: GaussianPrior,
    op: SVDOperator,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta: Rate,
    eta_b: Rate,
    var_0: float,
    denoiser: GaussianPrior | None = None,
) -> Nelbo:
    r"""The conditional bound on :math:`-E\log p_\theta(x_0\mid y)`, term by term.

    Slides 8, 10 and 17 (ledger S08.3, S10.3, S17.1-S17.3), with the expectation over y as well
    (erratum E14).  By Proposition 3.1 :math:`x_{t+1}=x_0+\sigma_{t+1}\epsilon`, so every term is a
    weighted error of the denoiser.

    Parameters
    ----------
    prior : GaussianPrior
        Law of the data.
    op, sigmas, sigma_y, eta, eta_b
        As in :func:`ddrm_edu.ddrm_samples`; all kernels need noise, so ``eta > 0``.
    var_0 : float
        Variance of :math:`p_\theta(x_0\mid x_1,y)=N(x_\theta,v_0I)`.  The sampler's own, 0, would
        make the bound infinite (erratum E7).
    denoiser : GaussianPrior, optional
        Whose exact denoiser predicts; by default that of ``prior``.

    Raises
    ------
    ValueError
        If ``var_0`` is not positive, or for arguments that the sampler refuses.
    """
    levels = decreasing_sigmas(sigmas)
    require_gaussian(prior, op)
    require_gaussian(denoiser or prior, op)
    s = op.spectrum()
    table = functools.partial(ddrm_coefficients, s, sigma_y=sigma_y, eta=eta, eta_b=eta_b)
    return _nelbo(
        spectral_law(prior, op),
        spectral_law(denoiser or prior, op),
        levels,
        lambda *pair: flattened(table(*pair)),
        flattened(ddrm_start_coefficients(s, levels[0], sigma_y)),
        _positive(var_0),
    )


@checked
def ddpm_nelbo(
    prior: GaussianPrior,
    sigmas: Tensor | Sequence[float],
    *,
    eta_ddim: float = 1.0,
    var_0: float,
    denoiser: GaussianPrior | None = None,
) -> Nelbo:
    r"""The bound of slide 5 on :math:`-E\log p_\theta(x_0)`, by terms (S05.5).

    In the coordinates :math:`x_t=x_0+\sigma_t\epsilon`, with the start :math:`N(0,\sigma_T^2I)`;
    arguments as in :func:`ddrm_nelbo` and :func:`ddrm_edu.ddpm_samples`.
    """
    levels = decreasing_sigmas(sigmas)
    data, model = prior.law, (denoiser or prior).law
    table = functools.partial(ddim_coefficients, eta_ddim=eta_ddim)
    zero = torch.zeros_like(levels[0])
    start = StepCoefficients(zero + 1, zero, zero, levels[0])
    return _nelbo(data, model, levels, table, start, _positive(var_0))


@checked
def ddrm_nelbo_direct(
    prior: GaussianPrior,
    op: SVDOperator,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta: Rate,
    eta_b: Rate,
    var_0: float,
    denoiser: GaussianPrior | None = None,
) -> float:
    r"""The same bound from its definition, :math:`E_q[\log q(x_{1:T}\mid x_0,y)-\log p_\theta]`.

    Every log density is averaged over the joint Gaussian law of :math:`(x_0,y,x_T,\dots,x_1)`,
    which :func:`ddrm_edu.law.inference_network` gives without any theorem.  Arguments as in
    :func:`ddrm_nelbo`.
    """
    levels = decreasing_sigmas(sigmas)
    require_gaussian(prior, op)
    s = op.spectrum()
    rates: dict[str, Any] = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
    network = inference_network(spectral_law(prior, op), s, levels, **rates)
    model, N = spectral_law(denoiser or prior, op), len(levels) - 1

    def mean_log_density(of: str, parents: dict, offset: Tensor | float, var: Tensor) -> Tensor:
        """E log N(of; sum of parents + offset, var) under the network."""
        if not (var > 0).all():
            raise ValueError(
                f"The kernel of {of} adds no noise in some coordinate, so it has no density and "
                "the bound is infinite or undefined. Use eta > 0, and stay off the case boundary."
            )
        law = network.joint(of, *parents)
        residual = torch.cat([torch.eye(op.n).double(), *(-map_ for map_ in parents.values())], 1)
        law = law.push(residual, -offset)
        second = law.cov.diagonal() + law.mean**2
        return -(torch.log(2 * math.pi * var) + second / var).sum() / 2

    total = torch.zeros((), dtype=torch.float64)
    start = flattened(ddrm_start_coefficients(s, levels[0], sigma_y))
    known = {"y": start.y.diag()}
    total += mean_log_density(f"x{N}", {"x0": start.x0.diag(), **known}, 0.0, start.noise**2)
    total -= mean_log_density(f"x{N}", known, 0.0, start.noise**2)
    for t in reversed(range(1, N)):
        sigma, sigma_next, above = levels[N - t - 1], levels[N - t], f"x{t + 1}"
        c = flattened(ddrm_coefficients(s, sigma, sigma_next, **rates))
        gain, rest = _denoiser_map(model, sigma)
        known = {"y": c.y.diag()}
        inference = {"x0": c.x0.diag(), above: c.xt.diag(), **known}
        model_kernel = {above: c.x0[:, None] * gain + c.xt.diag(), **known}
        total += mean_log_density(f"x{t}", inference, 0.0, c.noise**2)
        total -= mean_log_density(f"x{t}", model_kernel, c.x0 * (rest @ model.mean), c.noise**2)
    gain, rest = _denoiser_map(model, levels[-2])
    total -= mean_log_density(
        "x0",
        {"x1": gain},
        rest @ model.mean,
        torch.full((op.n,), _positive(var_0), dtype=torch.float64),
    )
    return float(total)


def _nelbo(
    data: Gaussian,
    model: Gaussian,
    levels: Tensor,
    table: Callable[[Tensor, Tensor], StepCoefficients],
    start: StepCoefficients,
    var_0: float,
) -> Nelbo:
    """The three parts of the bound in coordinates in which the kernels are independent."""
    errors = [_squared_errors(data, model, sigma) for sigma in levels[:-1]]
    steps = [
        _weighted(table(sigma, sigma_next), error)
        for (sigma, sigma_next), error in zip(itertools.pairwise(levels[:-1]), errors, strict=False)
    ]
    last = errors[-1].sum() / (2 * var_0) + data.n / 2 * math.log(2 * math.pi * var_0)
    return Nelbo(
        float(_weighted(start, data.cov.diagonal() + data.mean**2)),  # nothing predicts x_0 there
        torch.stack(steps) if steps else torch.zeros(0, dtype=torch.float64),
        float(last),
    )


def _weights(c: StepCoefficients) -> Tensor:
    """KL per squared error of the prediction: K^2 / 2 v, and 0 / 0 = 0."""
    return torch.where(c.x0 == 0, 0.0, c.x0**2 / (2 * c.noise**2))


def _weighted(c: StepCoefficients, squared_errors: Tensor) -> Tensor:
    return torch.where(squared_errors == 0, 0.0, _weights(c) * squared_errors).sum()


def _denoiser_map(model: Gaussian, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Gain G (n, n) of the exact denoiser of ``model``, and I - G without a difference."""
    noisy = model.eigenvalues + sigma**2
    gain, rest = (model.axes * (v / noisy) @ model.axes.T for v in (model.eigenvalues, sigma**2))
    return gain, rest


def _squared_errors(data: Gaussian, model: Gaussian, sigma: Tensor) -> Tensor:
    r"""Mean of :math:`(x_0-x_\theta)_i^2` for :math:`x=x_0+\sigma\epsilon` (S12.1), shape (n,)."""
    gain, rest = _denoiser_map(model, sigma)
    mean, factor = rest @ (data.mean - model.mean), torch.cat([rest @ data.factor, sigma * gain], 1)
    return factor.square().sum(1) + mean**2


def _positive(var_0: float) -> float:
    why = "It is the variance of p(x_0 | x_1, y); with the sampler's own, 0, the bound is infinite"
    return require_positive(var_0, "var_0", f"{why} (erratum E7).")

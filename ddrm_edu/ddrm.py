r"""Denoising diffusion restoration models: coefficients -> step -> loop (slides 10-18).

One step maps the spectral coordinates of x from noise level sigma to sigma_next,

    x_next = c.x0 * x0_hat + c.xt * x + c.y * y_spec + c.noise * z,      z ~ N(0, I),

and all of slide 11 is the table of its four coefficients:

    case                             c.y                    c.xt                 c.noise^2
    1  s > 0, sigma_next >= tau      eta_b                  0                    sigma_next^2
                                                                                 - (eta_b tau)^2
    2  s > 0, sigma_next <  tau      k sigma_next / tau     0                    (eta sigma_next)^2
    3  s = 0                         0                      k sigma_next/sigma   (eta sigma_next)^2

with tau = sigma_y / s (the noise of y_spec), k = sqrt(1 - eta^2) and c.x0 = 1 - c.xt - c.y.
Every row leaves q(x_next | x_0) = N(x_0, sigma_next^2 I): Proposition 3.1, slides 12-16.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .diffusion import Denoiser, Step, StepCoefficients, combine, diffusion_steps
from .noise import Generators, standard_normal
from .operators import SVDOperator
from .schedule import NoiseSchedule, decreasing_sigmas
from .validation import require_batch, require_finite, require_level, require_unit_interval

__all__ = [
    "ddrm_coefficients",
    "ddrm_samples",
    "ddrm_start_coefficients",
    "restore",
]

# s * sigma == sigma_y up to rounding counts as equality: the two sides of the slide's ">=" are
# products of measured numbers, and a singular value that a library computed is off by a few ulp.
EQUALITY_RTOL = 1e-12


def ddrm_coefficients(
    s: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    sigma_y: float,
    *,
    eta: float,
    eta_b: float,
) -> StepCoefficients:
    r"""The table of slide 11: coefficients of the step from level ``sigma`` to ``sigma_next``.

    Slide 11 (ledger S11.2-S11.4).  The boundary belongs to case 1, as on the slide; the lecture's
    condition is on the level that is being entered.

    Parameters
    ----------
    s : Tensor
        Singular values, any shape; zeros are coordinates that were not measured.
    sigma, sigma_next : float
        Levels before and after the step, ``sigma > sigma_next >= 0``; with ``eta = 1`` the first
        may be infinite.
    sigma_y : float
        Standard deviation of the measurement noise.
    eta : float
        Share of fresh noise in cases 2 and 3, in [0, 1].
    eta_b : float
        Weight of the measurement in case 1, from 0 to the smallest ``s sigma_next / sigma_y``
        among its coordinates (at least 1).

    Returns
    -------
    StepCoefficients
        Of the shape and device of ``s``, in float64.

    Raises
    ------
    ValueError
        If a parameter is out of range; for ``eta_b`` the message names the admissible range.

    Examples
    --------
    The three cases in one call, at sigma_y = 0.1 and sigma_next = 0.2:

    >>> s = torch.tensor([1.0, 0.25, 0.0])
    >>> c = ddrm_coefficients(s, 0.4, 0.2, 0.1, eta=0.6, eta_b=1.0)
    >>> c.y
    tensor([1.0000, 0.4000, 0.0000], dtype=torch.float64)
    >>> c.xt
    tensor([0.0000, 0.0000, 0.4000], dtype=torch.float64)
    >>> c.noise
    tensor([0.1732, 0.1200, 0.1200], dtype=torch.float64)
    """
    eta = require_unit_interval(eta, "eta")
    sigma, sigma_next, sigma_y = float(sigma), float(sigma_next), require_level(sigma_y, "sigma_y")
    if not sigma > sigma_next >= 0:
        raise ValueError(
            "A step must go from a larger noise level to a smaller one, "
            f"but was asked to go from {sigma:.6g} to {sigma_next:.6g}. Are the levels increasing?"
        )
    if math.isinf(sigma) and eta != 1:
        raise ValueError(
            f"From infinite noise nothing can be kept, so eta must be 1 there, but was {eta:.6g}. "
            "ddrm_start_coefficients gives the start of a run."
        )
    s = s.detach().to(torch.float64)
    kept = math.sqrt(1 - eta**2)
    measured = s > 0
    above = measured & (s * sigma_next >= sigma_y * (1 - EQUALITY_RTOL))  # case 1
    eta_b = _admissible(eta_b, s, above, sigma_next, sigma_y)

    spread = sigma_y / s.where(above, torch.ones_like(s))  # std of y_spec in case 1
    zero = torch.zeros_like(s)
    # Factored, so that the variance at the boundary is exactly 0 or a rounding error above it;
    # _admissible has already refused every eta_b that would make it truly negative.
    case1 = (sigma_next - eta_b * spread).clamp(min=0) * (sigma_next + eta_b * spread)
    variance = torch.where(above, case1, torch.full_like(s, (eta * sigma_next) ** 2))
    below = measured & ~above
    # sigma_y is positive wherever case 2 applies; where it is 0 the quotient is never used.
    y = torch.where(above, torch.full_like(s, eta_b), zero)
    y = torch.where(below, kept * sigma_next * s / (sigma_y or 1.0), y)
    xt = torch.where(measured, zero, torch.full_like(s, kept * sigma_next / sigma))
    return StepCoefficients(1 - xt - y, xt, y, variance.sqrt())


def _admissible(eta_b: float, s: Tensor, above: Tensor, sigma_next: float, sigma_y: float) -> float:
    """``eta_b`` as a float, after checking that no variance of case 1 becomes negative."""
    eta_b = float(eta_b)
    if 0 <= eta_b <= 1:
        return eta_b  # admissible for every s in case 1: no look at the data, no wait for a GPU
    limit = math.inf
    if sigma_y > 0 and above.any():
        limit = max(1.0, float(s[above].min()) * sigma_next / sigma_y)
    if not 0 <= eta_b <= limit * (1 + EQUALITY_RTOL) or not math.isfinite(eta_b):
        raise ValueError(
            f"eta_b must lie in [0, {limit:.6g}] at the level sigma = {sigma_next:.6g} "
            f"(the smallest s sigma / sigma_y there), but was {eta_b:.6g}: the variance "
            "sigma^2 - (eta_b sigma_y / s)^2 would be negative. Up to 1 it is always admissible."
        )
    return eta_b


def ddrm_start_coefficients(s: Tensor, sigma: float | Tensor, sigma_y: float) -> StepCoefficients:
    r"""The start of the chain at its first level, slides 11 and 17 (ledger S11.1, S17.1).

    It is the step that comes from infinite noise, with :math:`\eta=\eta_b=1`: a measured coordinate
    starts at :math:`N(\bar y^i,\sigma_T^2-\sigma_y^2/s_i^2)`, all others at
    :math:`N(\bar x_0^i,\sigma_T^2)`, where the sampler knows nothing and puts 0 for
    :math:`\bar x_0^i`.  "All others" includes measured coordinates whose own noise exceeds
    :math:`\sigma_T`, a case that the slides leave out (erratum E5, ledger X12).
    """
    return ddrm_coefficients(s, math.inf, sigma, sigma_y, eta=1.0, eta_b=1.0)


@torch.no_grad()
def ddrm_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor,
    *,
    sigma_y: float,
    eta: float = 0.85,
    eta_b: float = 1.0,
    generator: Generators = None,
) -> Iterator[Step]:
    r"""Algorithm 2 (slide 18): a draw of DDRM given y, one ``Step`` per network evaluation.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat`` for x of shape ``(batch, *in_shape)``.
    op : SVDOperator
        The measurement H.
    y : Tensor, shape (batch, *out_shape)
        The measurement :math:`y=Hx+z,\ z\sim N(0,\sigma_y^2I)`; its dtype and device are the run's.
    sigmas : Tensor, shape (N + 1,)
        Decreasing levels that end in 0.
    sigma_y : float
        Standard deviation of the noise in y, in the units of y.
    eta, eta_b : float
        See :func:`ddrm_coefficients`; the defaults are the paper's.
    generator : torch.Generator or one per image, optional

    Yields
    ------
    Step
        N of them; the last has ``sigma = 0``, and its ``x`` is the restored image.

    Raises
    ------
    ValueError
        For wrong shapes, integer or non-finite y, levels that do not end in 0, or parameters out
        of range; raised by the call itself, before the first step is asked for.
    """
    levels = decreasing_sigmas(sigmas)
    require_batch(y, op.out_shape, "y")
    require_finite(y, "y")
    s = op.s.to(y.device)
    op = op.to(y)

    table = functools.partial(ddrm_coefficients, sigma_y=sigma_y, eta=eta, eta_b=eta_b)

    # Bad input is refused now, not after half the run; whether a level admits eta_b depends on the
    # values in s alone, and these are usually few.
    spectrum = s.unique()
    if not ((spectrum >= 0) & spectrum.isfinite()).all():
        raise ValueError(
            f"The singular values of {op!r} must be finite and not negative, but range from "
            f"{spectrum.min():.6g} to {spectrum.max():.6g}. Put a sign into U or V; "
            "check_operator(op) tells what else is wrong."
        )
    for sigma, sigma_next in itertools.pairwise(levels):
        table(spectrum, sigma, sigma_next)

    y_spec = op.measure_spec(y)
    nothing = torch.zeros_like(y_spec)
    start = ddrm_start_coefficients(s, levels[0], sigma_y)
    x_spec = combine(start, nothing, nothing, y_spec, standard_normal(nothing, generator))
    return diffusion_steps(
        denoiser,
        x_spec,
        levels,
        functools.partial(table, s),
        y_spec=y_spec,
        to_pixels=op.V,
        to_spec=op.Vt,
        generator=generator,
    )


def restore(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    *,
    sigma_y: float,
    steps: int = 20,
    eta: float = 0.85,
    eta_b: float = 1.0,
    schedule: NoiseSchedule | None = None,
    generator: Generators = None,
    progress: bool = False,
) -> Tensor:
    """The restored images of a batch of measurements: the last step of :func:`ddrm_samples`.

    Parameters
    ----------
    denoiser, op, y, sigma_y, eta, eta_b, generator
        As in :func:`ddrm_samples`.
    steps : int
        Number of network evaluations, from 1 to the schedule's T.
    schedule : NoiseSchedule, optional
        By default the denoiser's own (``denoiser.schedule``), or else the linear one of DDPM.
    progress : bool
        Show a progress bar, if the run takes more than a second.

    Returns
    -------
    Tensor, shape (batch, *in_shape)
        One draw for each measurement.  With ``sigma_y = 0`` and ``eta_b = 1`` it satisfies
        ``op(x) == y`` to rounding.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, restore
    >>> prior = GaussianPrior(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> op = Inpainting(torch.tensor([True, False]))
    >>> x = restore(prior, op, torch.tensor([[0.5]]), sigma_y=0.0)
    >>> x[0, 0]
    tensor(0.5000)
    """
    if schedule is None:
        schedule = getattr(denoiser, "schedule", None) or NoiseSchedule.linear()
    run = ddrm_samples(
        denoiser,
        op,
        y,
        schedule.sigmas(steps),
        sigma_y=sigma_y,
        eta=eta,
        eta_b=eta_b,
        generator=generator,
    )
    if progress:
        from tqdm.auto import tqdm

        run = tqdm(run, total=steps, desc="DDRM", unit="step", delay=1)
    for step in run:
        last = step
    return last.x

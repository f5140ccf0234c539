r"""Denoising diffusion restoration models: coefficients -> step -> loop (slides 10-18).

One step maps the spectral coordinates of x from noise level sigma to sigma_next::

    x_next = c.x0 * x0_hat + c.xt * x + c.y * y_spec + c.noise * z,      z ~ N(0, I),

and all of slide 11 is the table of its four coefficients::

    case                             c.y                    c.xt                 c.noise^2
    1  s > 0, sigma_next >= tau      eta_b                  0                    sigma_next^2
                                                                                 - (eta_b tau)^2
    2  s > 0, sigma_next <  tau      k sigma_next / tau     0                    (eta sigma_next)^2
    3  s = 0                         0                      k sigma_next/sigma   (eta sigma_next)^2

with tau = sigma_y / s (the noise of y_spec), k = sqrt(1 - eta^2) and c.x0 = 1 - c.xt - c.y.
On slides 11 and 17 x and sigma carry the index t + 1, x_next and sigma_next the index t; y_spec is
their y-bar, and x0_hat stands in the place of slide 11's x-bar_0.
Every row leaves q(x_next | x_0) = N(x_0, sigma_next^2 I): Proposition 3.1, slides 12-16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from .boundary import checked
from .diffusion import Denoiser, Step, StepCoefficients, diffusion_steps, same
from .noise import Generators, standard_normal
from .operators import SVDOperator
from .operators.base import require_singular_values, require_spectrum, require_svd
from .schedule import decreasing_sigmas
from .validation import (
    require_batch,
    require_finite,
    require_level,
    require_one_shape,
    require_unit_interval,
)

# s * sigma == sigma_y up to rounding counts as equality: the two sides of the slide's ">=" are
# products of measured numbers, and a singular value that a library computed is off by a few ulp.
EQUALITY_RTOL = 1e-12

AT_ONCE = 8192  # numbers of the table that are worked out, or gathered, in one call

Rate = float | Tensor | str
"""``eta`` or ``eta_b``: one number, one per coordinate, or the name of a rule."""

Coefficients = Callable[[Tensor, Tensor, Tensor], StepCoefficients]
"""``coefficients(s, sigma, sigma_next)``: the numbers of a step for each singular value."""


@checked
def ddrm_coefficients(
    s: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    sigma_y: float,
    *,
    eta: Rate,
    eta_b: Rate,
) -> StepCoefficients:
    r"""The table of slide 11: coefficients of the step from level ``sigma`` to ``sigma_next``.

    Slide 11 (ledger S11.2-S11.4).  The boundary belongs to case 1, as on the slide; the lecture's
    condition is on the level that is being entered.

    Parameters
    ----------
    s : Tensor
        Singular values, any shape; zeros are coordinates that were not measured.
    sigma, sigma_next : float or Tensor
        Levels before and after the step, ``sigma > sigma_next >= 0``; with ``eta = 1`` the first
        may be infinite.  Tensors broadcast with ``s``: a column of them gives a row for each step.
    sigma_y : float
        Standard deviation of the measurement noise.
    eta : float, Tensor or "tight"
        Share of fresh noise in cases 2 and 3, in [0, 1]; a tensor gives one per coordinate.
        ``"tight"``: :math:`\eta^2=1-s^2\sigma_t^2/\sigma_y^2`, which makes the KL divergence of
        case 2 as small as it can be (ledger X16, G12), and is 1 where s = 0.
    eta_b : float, Tensor or "theorem"
        Weight of the measurement in case 1, from 0 to ``s sigma_next / sigma_y``, which is at
        least 1 there; a single number must be admissible for all its coordinates.
        ``"theorem"``: :math:`\eta_b^\star=2\sigma_t^2/(\sigma_t^2+\sigma_y^2/s^2)` of Theorem 3.2
        (ledger X01, erratum E15), and 1 at ``sigma_next = 0``, of which the theorem does not speak.

    Returns
    -------
    StepCoefficients
        Of the shape and device of ``s`` (broadcast with levels and rates), in float64.

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
    s, sigma_y = s.detach().to(torch.float64), require_level(sigma_y, "sigma_y")
    require_spectrum(s)
    sigma, sigma_next = (
        torch.as_tensor(level, dtype=s.dtype, device=s.device) for level in (sigma, sigma_next)
    )
    require_one_shape(s=s, sigma=sigma, sigma_next=sigma_next)
    down = (sigma > sigma_next) & (sigma_next >= 0)
    if not down.all():
        sigma, sigma_next = (level.expand(down.shape)[~down][0] for level in (sigma, sigma_next))
        raise ValueError(
            "A step must go from a larger noise level to a smaller one, "
            f"but was asked to go from {sigma:.6g} to {sigma_next:.6g}. Are the levels increasing?"
        )
    tau = sigma_y / s  # infinite or NaN where s = 0, and not used there
    ratio = s * sigma_next / (sigma_y or 1.0)  # sigma_next / tau; if sigma_y = 0, case 2 is empty
    eta, k = _eta(eta, ratio if sigma_y else torch.zeros_like(s))
    if sigma.isinf().any() and not torch.as_tensor(eta == 1).all():
        raise ValueError(
            "From infinite noise nothing can be kept, so eta must be 1 there, but was "
            f"{float(torch.as_tensor(eta).min()):.6g}. "
            "ddrm_start_coefficients gives the start of a run."
        )
    eta_b = _eta_b(eta_b, s, sigma_next, sigma_y)

    case_1, case_3 = in_case_1(s, sigma_next, sigma_y), s == 0  # case 2: all others
    y = torch.where(case_1, eta_b, torch.where(case_3, 0.0, k * ratio))
    xt = torch.where(case_3, k * sigma_next / sigma, 0.0)
    # sigma_next^2 - (eta_b tau)^2, factored, so that where eta_b is the largest that is allowed it
    # is exactly 0 or a rounding error above it; _eta_b has refused all that are larger.
    variance_1 = (sigma_next - eta_b * tau).clamp(min=0) * (sigma_next + eta_b * tau)
    variance = torch.where(case_1, variance_1, (eta * sigma_next) ** 2)
    return StepCoefficients(x0=1 - xt - y, xt=xt, y=y, noise=variance.sqrt_())


def in_case_1(s: Tensor, sigma_next: Tensor, sigma_y: float) -> Tensor:
    """Which coordinates are measured well enough: tau = sigma_y / s is at most sigma_next."""
    return (s > 0) & (s * sigma_next >= sigma_y * (1 - EQUALITY_RTOL))


def _eta(eta: Rate, ratio: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """``eta`` and k = sqrt(1 - eta^2) as numbers, or as one of each per coordinate."""
    if isinstance(eta, str):
        _require_rule(eta, "eta", "tight")
        k = ratio.clamp(max=1)
        return (1 - k**2).sqrt(), k
    if isinstance(eta, int | float):
        eta = require_unit_interval(eta, "eta")
        return eta, math.sqrt(1 - eta**2)
    eta = _per_coordinate(eta, "eta", ratio).detach()
    for extreme in (eta.min(), eta.max()) if eta.numel() else ():
        require_unit_interval(extreme, "eta")
    return eta, (1 - eta**2).sqrt()


def _eta_b(eta_b: Rate, s: Tensor, sigma_next: Tensor, sigma_y: float) -> float | Tensor:
    """``eta_b`` as a number or one per coordinate, none of which makes a variance negative."""
    if isinstance(eta_b, int | float) and 0 <= eta_b <= 1:
        return float(eta_b)  # admissible for every s: no look at the data, no wait for a GPU
    case_1 = in_case_1(s, sigma_next, sigma_y)
    if isinstance(eta_b, str):
        _require_rule(eta_b, "eta_b", "theorem")
        signal, noise = (s * sigma_next) ** 2, sigma_y**2
        return torch.where(case_1 & (signal > 0), 2 * signal / (signal + noise), 1.0)
    eta_b = _per_coordinate(eta_b, "eta_b", s).detach()
    limit = torch.full_like(s, math.inf)
    if sigma_y > 0:
        limit = torch.where(case_1, (s * sigma_next / sigma_y).clamp(min=1), limit)
    bad = ~((eta_b >= 0) & (eta_b <= limit * (1 + EQUALITY_RTOL)) & eta_b.isfinite())
    if bad.any():
        bad, *numbers = torch.broadcast_tensors(bad, eta_b, limit, sigma_next)
        rate, limit, level = (number[bad] for number in numbers)
        worst = limit.argmin()
        raise ValueError(
            f"eta_b must lie in [0, {limit[worst]:.6g}] at the level sigma = {level[worst]:.6g} "
            "(the smallest s sigma / sigma_y there), but was "
            f"{rate.max():.6g}: the variance "
            "sigma^2 - (eta_b sigma_y / s)^2 would be negative. Up to 1 it is always admissible."
        )
    return eta_b


def _per_coordinate(rate: float | Tensor, what: str, s: Tensor) -> Tensor:
    """``rate`` as a float64 tensor that broadcasts with ``s``."""
    rate = torch.as_tensor(rate, dtype=torch.float64, device=s.device)
    try:
        fits = len(torch.broadcast_shapes(rate.shape, s.shape)) == s.ndim
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{what} must be one number or one per coordinate, of a shape that broadcasts with "
            f"that of the singular values, {tuple(s.shape)}, but had shape {tuple(rate.shape)}. "
            "Give it the shape of one image, op.in_shape."
        )
    return rate


def _require_rule(rule: str, what: str, known: str) -> None:
    if rule != known:
        raise ValueError(
            f"{what} must be a number, one number per coordinate, or the rule {known!r}, "
            f"but was {rule!r}."
        )


@checked
def ddrm_start_coefficients(s: Tensor, sigma: float | Tensor, sigma_y: float) -> StepCoefficients:
    r"""The start of the chain at its first level, slides 11 and 17 (ledger S11.1, S17.1).

    It is the step that comes from infinite noise, with :math:`\eta=\eta_b=1`: a measured coordinate
    starts at :math:`N(\bar y^i,\sigma_T^2-\sigma_y^2/s_i^2)`, all others at
    :math:`N(\bar x_0^i,\sigma_T^2)`, where the sampler knows nothing and puts 0 for
    :math:`\bar x_0^i`.  "All others" includes measured coordinates whose own noise exceeds
    :math:`\sigma_T`, a case that the slides leave out (erratum E5, ledger X12).
    """
    return ddrm_coefficients(s, math.inf, sigma, sigma_y, eta=1.0, eta_b=1.0)


@checked
@torch.no_grad()
def ddrm_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta: Rate = 0.85,
    eta_b: Rate = 1.0,
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
    eta, eta_b : float, Tensor or str
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

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0, 4.0]), torch.zeros(2, 2))  # one image only
    >>> op, levels = Inpainting(torch.tensor([True, False])), NoiseSchedule.linear().sigmas(5)
    >>> run = ddrm_samples(prior, op, torch.tensor([[3.0]]), levels, sigma_y=0.0)
    >>> [step.x for step in run][-1]
    tensor([[3., 4.]])
    """
    levels, s, sigma_y = checked_run(op, y, sigmas, sigma_y)
    eta, eta_b = (rate.clone() if isinstance(rate, Tensor) else rate for rate in (eta, eta_b))
    s, place = distinct(s, eta, eta_b)
    # Rates out of range are refused now, not after half the run.
    _eta(eta, s)
    _eta_b(eta_b, s, _in_column(levels[1:], s), sigma_y)

    def slide_11(s: Tensor, sigma: Tensor, sigma_next: Tensor) -> StepCoefficients:
        return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)

    start = ddrm_start_coefficients(s, levels[0], sigma_y)
    return spectral_samples(denoiser, op, y, levels, (s, place), start, slide_11, generator)


def checked_run(
    op: SVDOperator, y: Tensor, sigmas: Tensor | Sequence[float], sigma_y: float
) -> tuple[Tensor, Tensor, float]:
    """The run's own levels, all singular values and ``sigma_y``, or a sentence on what is wrong."""
    levels = decreasing_sigmas(sigmas)
    require_svd(op, "op")
    require_batch(y, op.out_shape, "y")
    require_finite(y, "y")
    sigma_y = require_level(sigma_y, "sigma_y")
    require_singular_values(op)
    return levels, op.spectrum(), sigma_y  # in float64, which op.to(y) would round


def spectral_samples(
    denoiser: Denoiser,
    op: SVDOperator,
    y: Tensor,
    levels: Tensor,
    spectrum: tuple[Tensor, Tensor],
    start: StepCoefficients,
    coefficients: Coefficients,
    generator: Generators,
) -> Iterator[Step]:
    """A run whose step is a row of four numbers per spectral coordinate, whatever the table.

    Parameters
    ----------
    spectrum : two Tensors
        The distinct singular values and the place of each coordinate, from :func:`distinct`.
    start : StepCoefficients
        Of the distinct values: the start is ``start.noise * z + start.y * y_spec``.
    coefficients : callable
        ``coefficients(s, sigma, sigma_next)``, the levels in columns for several steps at once.
    """
    s, place = spectrum
    place = place.to(y.device)
    op = op.to(y)
    y_spec = op.measure_spec(y)
    first = StepCoefficients(*of_all(start, place, y.dtype))
    z = standard_normal(y_spec, generator)
    # first.noise * z + first.y * y_spec: 0 takes the place of an x_0 of which nothing is known
    x_spec = z.mul_(first.noise).addcmul_(first.y.to(y.device), y_spec)
    V, Vt = (same, same) if op.pixel_basis else (op.V, op.Vt)
    return diffusion_steps(
        denoiser,
        x_spec,
        levels,
        rows_of(levels, s, place, coefficients, y.dtype),
        y_spec=y_spec,
        to_pixels=V,
        to_spec=Vt,
        generator=generator,
    )


def rows_of(
    levels: Tensor, s: Tensor, place: Tensor, coefficients: Coefficients, dtype: torch.dtype
) -> Iterator[StepCoefficients]:
    """A table step by step; of a few distinct s several steps are worked out at once.

    That is done on the CPU, so that no step waits for a GPU.
    """
    at_once, column = max(1, AT_ONCE // s.numel()), _in_column(levels, s)
    for pair in zip(column[:-1].split(at_once), column[1:].split(at_once), strict=True):
        yield from map(StepCoefficients._make, _rows_of_all(coefficients(s, *pair), place, dtype))


def _in_column(levels: Tensor, s: Tensor) -> Tensor:
    """The levels along a first axis of their own, before those of s."""
    return levels.to(s).reshape(-1, *[1] * s.ndim)


def distinct(s: Tensor, *rates: Rate) -> tuple[Tensor, Tensor]:
    """``values`` and ``place``: values.flatten()[place] is s, up to broadcasting.

    The values are the distinct entries of s, usually few, and place has size 1 along an axis on
    which s does not change.  If coordinates have their own rates, nothing is merged.
    """
    if any(isinstance(rate, Tensor) and rate.ndim for rate in rates):
        return s, torch.arange(s.numel(), device=s.device).reshape(s.shape)
    for axis in range(s.ndim):
        first = s.narrow(axis, 0, 1)
        s = first if torch.equal(first.expand_as(s), s) else s  # the same for all channels, or rows
    return s.unique(return_inverse=True)


def of_all(numbers: Iterable[Tensor], place: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Numbers of all coordinates from those of the distinct s; a single 0 for nothing but 0."""
    return next(_rows_of_all([number[None] for number in numbers], place, dtype))


def _rows_of_all(
    columns: Sequence[Tensor], place: Tensor, dtype: torch.dtype
) -> Iterator[tuple[Tensor, ...]]:
    """For each step, the first axis of every column: column[step].flatten()[place].

    A column that is 0 for every s comes as a single 0, which ``combine`` skips.
    """
    numbers = torch.stack([c.to(dtype) for c in torch.broadcast_tensors(*columns)], 1).flatten(2)
    del columns  # a run would hold them until its next table
    width, nonzero = numbers.shape[1], numbers.any(2).flatten().tolist()
    kept = [which for which, counts in enumerate(nonzero) if counts]
    numbers = numbers.flatten(0, 1)[kept].to(place.device, non_blocking=True)
    zero, index = torch.zeros((), dtype=dtype), place.flatten()
    several = numbers.split(max(1, AT_ONCE // len(index)))
    found = (row for each in several for row in each.index_select(1, index).view(-1, *place.shape))
    each = (next(found) if counts else zero for counts in nonzero)
    yield from zip(*[each] * width, strict=True)

r"""Unconditional sampling: DDPM and DDIM (slides 3-7).

In the coordinates :math:`x_t=x_0+\sigma_t\epsilon` one step of either is a row of DDRM's table with
no measurement (ledger X07).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .boundary import checked
from .diffusion import Denoiser, Step, StepCoefficients, diffusion_steps
from .noise import Generators, standard_normal
from .schedule import decreasing_sigmas
from .validation import require_one_shape, require_unit_interval


@checked
def ddim_coefficients(
    sigma: float | Tensor, sigma_next: float | Tensor, *, eta_ddim: float
) -> StepCoefficients:
    r"""The step of DDIM from level ``sigma`` to ``sigma_next``; ``eta_ddim = 1`` is DDPM's.

    Ledger S05.3 and X07; Song, Meng and Ermon (2021), eq. 12 and 16.  The fresh noise has variance
    :math:`\eta^2\tilde\beta` with :math:`\tilde\beta=\sigma_t^2(1-\sigma_t^2/\sigma_{t+1}^2)`, that
    of the exact kernel :math:`q(x_t\mid x_{t+1},x_0)`; the rest of :math:`\sigma_t^2` is kept from
    the noise already there.  DDRM's eta is relative to :math:`\sigma_t` instead, so that
    :math:`\eta_{DDRM}=\eta_{DDIM}\sqrt{1-\sigma_t^2/\sigma_{t+1}^2}`: a fixed value of one is not a
    fixed value of the other.

    Returns
    -------
    StepCoefficients
        Four float64 tensors of the shape of the levels; ``y`` is 0.
    """
    eta_ddim = require_unit_interval(eta_ddim, "eta_ddim")
    sigma, sigma_next = (
        torch.as_tensor(level, dtype=torch.float64) for level in (sigma, sigma_next)
    )
    require_one_shape(sigma=sigma, sigma_next=sigma_next)
    if not ((sigma > sigma_next) & (sigma_next >= 0) & sigma.isfinite()).all():
        raise ValueError(
            "A step must go from a larger, finite noise level to a smaller one, not below 0, but "
            f"was asked to go from {sigma.flatten()[:3].tolist()} to "
            f"{sigma_next.flatten()[:3].tolist()}. Are the levels increasing?"
        )
    variance = eta_ddim**2 * sigma_next**2 * (1 - (sigma_next / sigma) ** 2)
    xt = (sigma_next**2 - variance).sqrt() / sigma
    return StepCoefficients(1 - xt, xt, torch.zeros_like(xt), variance.sqrt())


@checked
def ddpm_samples(
    denoiser: Denoiser,
    shape: tuple[int, ...],
    sigmas: Tensor | Sequence[float],
    *,
    eta_ddim: float = 1.0,
    generator: Generators = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Iterator[Step]:
    r"""Algorithm 1 (slide 7) along ``sigmas``: unconditional samples, one ``Step`` per level.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``.
    shape : tuple of int
        ``(batch, *image_shape)``.
    sigmas : Tensor, shape (N + 1,)
        Decreasing levels that end in 0, e.g. ``NoiseSchedule.linear().sigmas(50)``.
    eta_ddim : float
        1 is DDPM's ancestral sampling, 0 deterministic DDIM.

    Yields
    ------
    Step
        As in :func:`ddrm_edu.ddrm_samples`; the last one holds the samples.

    Notes
    -----
    The start is :math:`N(0,\sigma_T^2 I)`, as in DDRM (slide 17).  Slide 7 starts at
    :math:`N(0,(1+\sigma_T^2)I)` in these coordinates; the ratio of the two standard deviations
    differs from 1 by :math:`1/(2\sigma_T^2)`, 2e-5 for the schedule of DDPM.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, NoiseSchedule
    >>> prior = GaussianPrior(torch.tensor([3.0]), torch.zeros(1, 1))  # one image only
    >>> run = ddpm_samples(prior, (2, 1), NoiseSchedule.linear().sigmas(5))
    >>> [step.x for step in run][-1]
    tensor([[3.],
            [3.]])
    """
    levels = decreasing_sigmas(sigmas)
    table = ddim_coefficients(levels[:-1], levels[1:], eta_ddim=eta_ddim)
    start = levels[0] * standard_normal(torch.empty(shape, dtype=dtype, device=device), generator)
    rows = map(StepCoefficients._make, zip(*table, strict=True))
    return diffusion_steps(denoiser, start, levels, rows, generator=generator)

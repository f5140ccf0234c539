r"""The law of any sampler, estimated from draws, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .boundary import checked
from .law import AffineLaw, law_of_y_spec, require_gaussian, spectral_law
from .noise import standard_normal
from .operators.base import SVDOperator
from .priors import GaussianPrior
from .probing import Sampler, images_at_once, last_image, require_images, require_sampler
from .validation import is_integer, require_finite, require_level


@dataclass(frozen=True, eq=False)
class EstimatedLaw:
    r"""What is estimated of any sampler's law, with standard errors of one deviation.

    Attributes
    ----------
    law : AffineLaw
        Its mean map :math:`A\bar y+c` is the affine one that fits :math:`E[\bar x\mid y]` best on
        average over y, and ``cov`` the average :math:`E_y\mathrm{Cov}[\bar x\mid y]`.
    A_error, cov_error : Tensor, shape (n, n)
        Of each entry of ``law.A`` and ``law.cov``.
    c_error : Tensor, shape (n,)
    bend, bend_error : float
        :math:`E_y\lVert E[\bar x\mid y]-A\bar y-c\rVert^2`: what no affine map explains.  An
        estimate without bias, which may come out below 0.
    draws : int
        Runs that were used.
    """

    law: AffineLaw
    A_error: Tensor
    c_error: Tensor
    cov_error: Tensor
    bend: float
    bend_error: float
    draws: int


@checked
def monte_carlo_law(
    sampler: Sampler,
    prior: GaussianPrior,
    op: SVDOperator,
    *,
    sigma_y: float,
    draws: int = 10_000,
    at_once: int | None = None,
    generator: torch.Generator | None = None,
) -> EstimatedLaw:
    r"""The law of a sampler that need not be affine, estimated from draws.

    Images are drawn from the prior and measured, and the sampler restores each measurement twice.
    The half difference of the two shows the spread, whatever the mean may be; a regression of their
    mean on y_spec gives the mean map.

    Parameters
    ----------
    sampler, prior, op, sigma_y
        As in :func:`law_of`; any randomness will do, if each image has its own.
    draws : int
        Runs, two for each measurement; more than 4 (rank + 1) of them.
    at_once : int, optional
        Images of a call, at most; by default as many as hold 2^20 numbers.
    generator : torch.Generator, optional
        Draws images and measurements, and is handed to the sampler.

    Returns
    -------
    EstimatedLaw
        The standard errors are those of many draws, whether the mean is affine or not and the noise
        normal or not.  :func:`gap` takes its ``law``, and sees its errors as distances: with
        ``draws`` numbers, the square of the mean part is too large by about (rank + 1) / draws and
        that of the covariance part by (n + 1) / (2 draws), in units of the trace of ``law.cov``
        over the posterior's; the second if the covariance is a multiple of I and right.

    Raises
    ------
    ValueError
        If there are too few draws, or the sampler returns what is no image or not finite.

    Examples
    --------
    >>> from ddrm_edu import Denoising
    >>> prior, op = GaussianPrior(torch.zeros(1), torch.eye(1)), Denoising((1,))
    >>> found = monte_carlo_law(lambda denoiser, op, y, *, generator: y.clamp(-1, 1), prior, op,
    ...     sigma_y=0.5, generator=torch.Generator().manual_seed(0))
    >>> float(found.law.cov)  # it has no noise
    0.0
    >>> found.bend > 10 * found.bend_error  # and its mean is not affine
    True
    """
    require_gaussian(prior, op)
    require_sampler(sampler)
    sigma_y = require_level(sigma_y, "sigma_y")
    seen = (op.spectrum().flatten() > 0).nonzero().flatten()
    if not is_integer(draws) or draws <= 4 * (len(seen) + 1):
        raise ValueError(
            f"draws must be a number above 4 (rank + 1) = {4 * (len(seen) + 1)}, but was {draws}: "
            "with fewer the mean map fits its own noise."
        )
    pairs, batch = draws // 2, images_at_once(at_once, op)
    y = op(prior.sample(pairs, generator=generator))
    y = y + sigma_y * standard_normal(y, generator)
    restored: list[Tensor] = []
    for part in torch.cat([y, y]).split(batch):
        x = last_image(sampler(prior, op, part, generator=generator))
        x = require_images(x, (len(part), *op.in_shape))
        require_finite(x, "What the sampler returned")
        restored.append(op.Vt(x.detach().double()).flatten(1))
    one, two = torch.cat(restored).split(pairs)

    y_spec = op.measure_spec(y).flatten(1)[:, seen]
    centre, spread = y_spec.mean(0), y_spec.std(0)
    spread = spread.where(spread > 0, 1.0)
    columns = torch.cat([torch.ones(pairs, 1).double(), (y_spec - centre) / spread], 1)
    slope = torch.linalg.pinv(columns)  # (1 + rank, pairs), and now for y_spec itself:
    slope[1:] /= spread[:, None]
    slope[0] -= centre @ slope[1:]
    fit = slope @ (one + two) / 2
    mean = fit[0] + y_spec @ fit[1:]
    left = (one + two) / 2 - mean
    fit_error = (slope**2 @ left**2 * pairs / (pairs - len(slope))).sqrt()

    apart = (one - two) / math.sqrt(2)
    cov = apart.T @ apart / pairs
    cov_error = ((apart**2).T @ apart**2 / pairs - cov**2).clamp(min=0).sqrt() / math.sqrt(pairs)
    # The noise of the two is independent but for the fit, which both of them pulled to themselves.
    bends = ((one - mean) * (two - mean)).sum(1) + float(cov.trace()) * len(slope) / pairs / 2

    A, A_error = (torch.zeros(op.n, op.n, dtype=torch.float64) for _ in range(2))
    A[:, seen], A_error[:, seen] = fit[1:].T, fit_error[1:].T
    whole = law_of_y_spec(spectral_law(prior, op), op.spectrum(), sigma_y)
    law = AffineLaw(A, fit[0], (cov + cov.T) / 2, whole, op)
    bend_error = float(bends.std()) / math.sqrt(pairs)
    return EstimatedLaw(
        law, A_error, fit_error[0], cov_error, float(bends.mean()), bend_error, 2 * pairs
    )

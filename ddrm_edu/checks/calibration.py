r"""Is a sampler of p(x | y) honest on average, whatever the prior? Simulation-based calibration.

If x_0 is drawn from the prior, y measured from it, and x_1 .. x_L drawn from p(x | y), then x_0 is
one draw among L + 1 alike, so that the rank of f(x_0, y) among the f(x_l, y) is uniform for any f
(Cook, Gelman and Rubin 2006; Talts et al. 2018, arXiv 1804.06788).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..boundary import checked
from ..metrics import crps
from ..noise import standard_normal
from ..operators import SVDOperator
from ..probing import Sampler, last_image, require_images
from ..validation import is_integer, require_level, require_seed
from .report import Finding, Report
from .scores import FALSE_ALARM, Chance, count_score

SHARE = FALSE_ALARM / 5  # of each of the five claims

DIRECTIONS = 8
"""Random combinations of the pixels that are ranked, beside the distance of H x from y."""


@checked
def check_calibration(
    sampler: Sampler,
    prior: Any,
    op: SVDOperator,
    *,
    sigma_y: float,
    images: int = 1000,
    draws: int = 19,
    seed: int = 0,
) -> Report:
    r"""Compare a sampler with the exact posterior of a prior, Gaussian or not, by its draws alone.

    Images are drawn from the prior and measured, and each measurement is restored ``draws`` times.
    Asked is whether the images cannot be told from the restored ones by their ranks, whether
    intervals between the draws cover them as often as they should, and whether the continuous
    ranked probability score, which only the posterior itself makes as small as it can be, is that
    of exact draws.

    Parameters
    ----------
    sampler : callable
        As in :func:`ddrm_edu.law_of`: ``sampler(prior, op, y, *, generator)`` returns images, or an
        iterator of which the last one counts.
    prior : GaussianPrior, GaussianMixture, EmpiricalPrior
        Or anything else with ``sample(batch, generator=)`` and ``posterior(op, y, sigma_y=)``, of
        which ``sample(generator=)`` is one draw for each y.
    op : SVDOperator
    sigma_y : float
    images : int
        At least 200.
    draws : int
        For each image, at least 9; with 19 an interval between the draws that covers 90 % exists.
    seed : int

    Returns
    -------
    Report
        One finding per claim; an exact sampler fails with a probability below 1e-6.  Compared are
        eight random combinations of the pixels, and the distance of H x from y, without which a
        sampler that does not look at y would pass.

    Raises
    ------
    ValueError
        If there are too few images or draws, or the sampler returns what is no image.

    Notes
    -----
    Necessary, not sufficient: the posterior is seen in few directions, and on average over y.  For
    a Gaussian prior :func:`ddrm_edu.law_of` and :func:`ddrm_edu.gap` say all there is, exactly.

    Examples
    --------
    >>> from ddrm_edu import Denoising, GaussianPrior, NoiseSchedule, ddrm_samples
    >>> prior, op = GaussianPrior(torch.zeros(1, 1, 2), torch.eye(2)), Denoising((1, 1, 2))
    >>> levels = NoiseSchedule.cosine().sigmas(20)
    >>> def exact(denoiser, op, y, *, generator):
    ...     return denoiser.posterior(op, y, sigma_y=0.5).sample(generator=generator)
    >>> def ddrm(denoiser, op, y, *, generator):
    ...     return ddrm_samples(denoiser, op, y, levels, sigma_y=0.5, generator=generator)
    >>> check_calibration(exact, prior, op, sigma_y=0.5).ok
    True
    >>> report = check_calibration(ddrm, prior, op, sigma_y=0.5)
    >>> [finding.name.split(":")[0] for finding in report.failures]
    ['spread', 'distance', 'coverage', 'score']
    """
    sigma_y = require_level(sigma_y, "sigma_y")
    if not (hasattr(prior, "sample") and hasattr(prior, "posterior")):
        raise ValueError(
            "prior must have the methods sample and posterior, as GaussianPrior, GaussianMixture "
            f"and EmpiricalPrior have, but was of type {type(prior).__name__}."
        )
    for what, value, least in (("images", images, 200), ("draws", draws, 9)):
        if not is_integer(value) or value < least:
            raise ValueError(
                f"{what} must be an integer of at least {least}, but was {value!r}: with fewer, "
                "ranks say nothing, or not with the probability that is promised."
            )
    generator = torch.Generator().manual_seed(require_seed(seed))
    x_0 = prior.sample(images, generator=generator).double()
    y = op(x_0)
    y = y + sigma_y * standard_normal(y, generator)

    def restored(one: Sampler) -> Tensor:
        """(draws, images, *in_shape); all at once would need memory for all of them."""
        runs = (last_image(one(prior, op, y.clone(), generator=generator)) for _ in range(draws))
        return torch.stack([require_images(x, tuple(x_0.shape)).double() for x in runs])

    def exact(_: Any, op: SVDOperator, y: Tensor, *, generator: torch.Generator) -> Tensor:
        return prior.posterior(op, y, sigma_y=sigma_y).sample(generator=generator)

    seen_by = _quantities(op, y, generator)
    truth, drawn, best = seen_by(x_0), seen_by(restored(sampler)), seen_by(restored(exact))
    pixels = (truth[:, :-1], drawn[..., :-1])
    findings = (
        *_ranks(truth, drawn, generator),
        _coverage(*pixels),
        _score(*pixels, best[..., :-1]),
    )
    function = getattr(sampler, "func", sampler)
    title = getattr(function, "__name__", type(function).__name__)
    return Report(f"Sampler {title}, {images:,} images, {draws} draws of each", findings)


def _quantities(
    op: SVDOperator, y: Tensor, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """f of images (..., batch, *in_shape): (..., batch, DIRECTIONS + 1), the last one knows y."""
    directions = torch.randn(DIRECTIONS, op.n, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)

    def quantities(x: Tensor) -> Tensor:
        rows = x.reshape(-1, *op.in_shape)
        off = (op(rows).reshape(*x.shape[: -len(op.in_shape)], -1) - y.flatten(1)).norm(dim=-1)
        along = rows.flatten(1) @ directions.T
        return torch.cat([along.reshape(*off.shape, -1), off[..., None]], -1)

    return quantities


def _ranks(truth: Tensor, drawn: Tensor, generator: torch.Generator) -> Iterator[Finding]:
    """Mean and spread of the ranks, which are uniform on 0 .. L."""
    L, N = len(drawn), len(truth)
    tied = torch.rand(truth.shape, generator=generator, dtype=torch.float64)
    below, equal = (drawn < truth).sum(0), (drawn == truth).sum(0)
    rank = below + ((equal + 1) * tied).floor()  # among equals each place is as likely
    off = (rank - L / 2) / math.sqrt(L * (L + 2) / 12)  # mean 0 and variance 1
    # The fourth moment of a uniform number on 0 .. L, in the same units.
    fourth = 3 / 5 * (3 * (L + 1) ** 2 - 7) / ((L + 1) ** 2 - 1)
    mean, square = off.mean(0) * math.sqrt(N), off.square().mean(0)
    share = rank.mean(0) / L

    yield _judged(
        N,
        mean[:-1],
        lambda i: f"of combination {i} of the pixels the mean rank of x_0 is {share[i]:.3f} L",
        "bias: x_0 is as often above as below the draws",
        "The draws are too low or too high on average.",
    )
    yield _judged(
        N,
        (square[:-1] - 1) / math.sqrt((fourth - 1) / N),
        lambda i: f"of combination {i} the variance of ranks is {square[i]:.3g} times what is due",
        "spread: x_0 is as often at the edge of the draws as within them",
        "If it is too large, the draws lie too close together; if too small, too far apart.",
    )
    yield _judged(
        N,
        mean[-1:],
        lambda i: f"the mean rank of ||y - H x_0|| is {share[-1]:.3f} L, due 0.5 L",
        "distance: H x is as far from y for the draws as for x_0",
        "If the rank is too high, the draws fit the noise of y; if too low, they ignore y.",
    )


def _judged(N: int, z: Tensor, told: Callable[[int], str], name: str, cause: str) -> Finding:
    """The claim that all z are standard normal."""
    chance = Chance(N, SHARE)
    chance.add(z, told)
    # Ranks are no means or variances of normal numbers, whose power a finding tells otherwise.
    return dataclasses.replace(chance.finding(name, cause), power=None)


def _coverage(truth: Tensor, drawn: Tensor) -> Finding:
    """How often x_0 lies between the k-th smallest and largest draw: (L + 1 - 2 k) / (L + 1)."""
    L, N = len(drawn), len(truth)
    ordered, scores, words = drawn.sort(0).values, [], []
    for k in dict.fromkeys((1, max(1, round((L + 1) / 4)))):
        share = (L + 1 - 2 * k) / (L + 1)
        inside = ((ordered[k - 1] < truth) & (truth < ordered[L - k])).sum(0)
        # Of finitely many images draws may equal the truth, and edges say nothing.
        inside = torch.where((drawn == truth).any(0).any(0), round(share * N), inside)
        for i, count in enumerate(inside.tolist()):
            scores.append(count_score(count, N, share))
            words.append(
                f"an interval that is due to cover {share:.0%} of all x_0, of combination "
                f"{i}, covers {count / N:.1%}"
            )
    return _judged(
        N,
        torch.cat(scores),
        words.__getitem__,
        "coverage: intervals between the draws cover x_0 as often as they should",
        "Less often: the draws are too sure. More often: they are not sure enough.",
    )


def _score(truth: Tensor, drawn: Tensor, best: Tensor) -> Finding:
    """CRPS of the draws minus that of exact ones, in standard errors; only more is a fault."""

    def crps_of(x: Tensor) -> Tensor:
        """(images, directions): each number is scored as an image of one pixel."""
        numbers = x.reshape(len(x), -1, 1, 1, 1)
        return crps(numbers, truth.reshape(-1, 1, 1, 1)).reshape(truth.shape)

    more, due = crps_of(drawn) - crps_of(best), crps_of(best).mean(0)
    error = more.std(0) / math.sqrt(len(truth))
    z = (more.mean(0) / error.clamp(min=1e-300)).clamp(min=0).where(error > 0, 0.0)
    return _judged(
        len(truth),
        z,
        lambda i: (
            f"of combination {i} it is {float(more.mean(0)[i] / due[i]):.1%} above what is due"
        ),
        "score: the continuous ranked probability score is that of exact draws",
        "It sums up place and spread; the claims above say which of the two is wrong.",
    )

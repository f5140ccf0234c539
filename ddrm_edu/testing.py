"""Hypothesis strategies for problems of restoration, to attack an operator or a sampler with::

    from hypothesis import given
    from ddrm_edu.testing import problems

    @given(problems())
    def test_my_sampler(problem):
        ...

Numbers are generic on purpose: singular values that are spread, repeated, tiny and zero; levels in
no regular scale; noise that puts coordinates into each of the three cases and exactly on the
boundary between two of them.  What is special (all s = 1, sigma_y = 0, eta = 1) hides mistakes.
"""

from __future__ import annotations

import torch
from torch import Tensor

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "ddrm_edu.testing needs Hypothesis, which is not installed. "
        "Install it with: pip install 'ddrm-edu[test]'"
    ) from error

from .checks.runs import Factors, Problem
from .operators import SVDOperator
from .priors import GaussianPrior
from .schedule import NoiseSchedule

_SEEDS = st.integers(0, 2**32 - 1)


def spectra(*, max_size: int = 6) -> st.SearchStrategy[list[float]]:
    """Singular values of one operator, in any order: zero, repeated, tiny or of ordinary size."""
    value = st.one_of(
        st.just(0.0),
        st.sampled_from([0.25, 0.7, 1.0]),  # drawn twice they repeat, and 0.25 is exact in binary
        st.floats(1e-9, 1e-6),
        st.floats(1e-3, 20.0),
    )
    return st.lists(value, min_size=1, max_size=max_size)


@st.composite
def operators(
    draw: st.DrawFn,
    spectrum: st.SearchStrategy[list[float]] | None = None,
) -> SVDOperator:
    """An operator with a prescribed spectrum and random orthogonal factors: wide, tall or square.

    Its ``s`` is exact to the last bit, as that of a computed decomposition never is.
    """
    s = draw(spectra() if spectrum is None else spectrum)
    rank = sum(value > 0 for value in s)
    m = draw(st.integers(max(rank, 1), len(s) + 3))
    return Factors(s, m, torch.Generator().manual_seed(draw(_SEEDS)))


@st.composite
def schedules(draw: st.DrawFn, *, max_T: int = 60) -> NoiseSchedule:
    """A forward process: linear, cosine, or with any beta at all."""
    T = draw(st.integers(1, max_T))
    kind = draw(st.sampled_from(["linear", "cosine", "any"]))
    if kind == "cosine":
        return NoiseSchedule.cosine(T)
    if kind == "linear":
        first = draw(st.floats(1e-4, 0.1))
        return NoiseSchedule.linear(T, first, draw(st.floats(first, 0.5)))
    beta = draw(st.lists(st.floats(1e-4, 0.9), min_size=T, max_size=T))
    return NoiseSchedule(torch.tensor([0.0, *beta], dtype=torch.float64))


@st.composite
def levels(draw: st.DrawFn, *, max_steps: int = 6) -> Tensor:
    """Decreasing sigmas that end in an exact 0: of a schedule, or with steps of any size."""
    if draw(st.booleans()):
        schedule = draw(schedules())
        return schedule.sigmas(draw(st.integers(1, min(max_steps, schedule.T))))
    ratios = draw(st.lists(st.floats(1.01, 30.0), min_size=1, max_size=max_steps))
    last = draw(st.floats(1e-3, 1.0))
    rising = last * torch.tensor([1.0, *ratios[1:]], dtype=torch.float64).cumprod(0)
    return torch.cat([rising.flip(0), torch.zeros(1, dtype=torch.float64)])


@st.composite
def priors(draw: st.DrawFn, shape: tuple[int, ...]) -> GaussianPrior:
    """A Gaussian prior on images of ``shape``, with correlations; sometimes singular."""
    generator = torch.Generator().manual_seed(draw(_SEEDS))
    mean = torch.randn(*shape, generator=generator, dtype=torch.float64)
    n = mean.numel()
    root = torch.randn(n, draw(st.integers(1, n)), generator=generator, dtype=torch.float64)
    floor = draw(st.sampled_from([0.0, 0.05, 1.0]))
    return GaussianPrior(mean, root @ root.T / n + floor * torch.eye(n, dtype=torch.float64))


@st.composite
def problems(draw: st.DrawFn, ops: st.SearchStrategy[SVDOperator] | None = None) -> Problem:
    """An operator, levels and admissible numbers; one time in three exactly on a case boundary.

    There ``s_i * sigma_t == sigma_y`` holds in floating point for some coordinate and level.
    """
    op, sigmas = draw(operators() if ops is None else ops), draw(levels())
    sigma_y = draw(st.just(0.0) | st.floats(1e-4, 30.0))
    positive = [value for value in op.s.flatten().tolist() if value > 0]
    if positive and draw(st.integers(0, 2)) == 0:
        sigma_y = draw(st.sampled_from(positive)) * draw(st.sampled_from(sigmas[:-1].tolist()))
    return Problem(op, sigmas, sigma_y, draw(st.floats(0, 1)), draw(st.floats(0, 1)))

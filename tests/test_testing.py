"""The strategies for students, and the theorems on whatever they draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, find, given
from hypothesis import strategies as st
from laws import AffineLaw, GaussianCase, consistency_error, ddrm_law, largest, orthogonality_error

from ddrm_edu import check_operator, ddrm_coefficients, ddrm_samples
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import inference_network, sampler_law
from ddrm_edu.testing import levels, operators, priors, problems, schedules, spectra

EPS = torch.finfo(torch.float64).eps


@given(problems(), st.integers(0, 2**32 - 1))
def test_every_level_of_every_problem_has_the_marginal_of_plain_noise(problem, seed):
    """S12.1, Proposition 3.1: full covariance, in spectral and in pixel coordinates."""
    op, n = problem.op, problem.op.n
    x0 = torch.as_tensor(np.random.default_rng(seed).standard_normal(n))
    unit = torch.eye(n, dtype=torch.float64)
    known = Gaussian(op.Vt(x0[None])[0], 0 * unit)
    network = inference_network(known, op.s, problem.sigmas, **problem.settings)
    V = op.V(unit).T
    for t, sigma in enumerate(problem.sigmas.flip(0).tolist()):
        if t:
            law = network.joint(f"x{t}")
            # Shares of the variance are subtracted and added again, and x_0 is of size 1.
            assert largest(law.cov / sigma**2 - unit) <= 1e3 * EPS
            assert largest(law.push(V).cov / sigma**2 - unit) <= 1e3 * EPS
            assert largest(law.mean - known.mean) <= 1e3 * EPS


# numpy's singular values are off by more than tiny ones are.
ordinary = st.lists(st.sampled_from([0.0, 0.7]) | st.floats(1e-3, 20.0), min_size=1, max_size=6)


@given(problems(operators(ordinary.filter(any))), st.data())
def test_exact_law_of_every_problem_is_that_of_the_joint_gaussian(problem, data):
    """S18.1: the recursion against brute force in the coordinates of numpy's own SVD."""
    op = problem.op
    # Two roundings of one s are two cases if it lies on a boundary.
    close = (op.s[:, None] * problem.sigmas / (problem.sigma_y or 1.0) - 1).abs() < 1e-9
    assume(not (problem.sigma_y and close.any()))
    prior = data.draw(priors(op.in_shape))
    H = op.matrix().numpy()
    case = GaussianCase(prior.mean.numpy(), prior.cov.numpy(), H, problem.sigma_y)
    want = ddrm_law(case, problem.sigmas, problem.eta, problem.eta_b, only_last=True)
    law = sampler_law(prior, op, problem.sigmas, **problem.settings)
    zero = law.given(torch.zeros(1, op.m, dtype=torch.float64))
    gain = law.given(torch.eye(op.m, dtype=torch.float64)).mean - zero.mean
    got = AffineLaw(zero.mean[0].numpy(), gain.numpy().T, zero.cov.numpy())
    assert largest(got.offset - want.offset) <= 1e-9 * (1 + largest(want.offset))
    assert largest(got.gain - want.gain) <= 1e-9 * (1 + largest(want.gain))
    assert largest(got.cov - want.cov) <= 1e-9 * (1 + largest(want.cov))


@given(problems())
def test_every_noiseless_problem_keeps_its_measurement(problem):
    """S17.3, X06: H x = y for any denoiser, relative to the spread of the singular values."""
    op = problem.op
    seen = op.s[op.s > 0]
    assume(len(seen))
    x0 = torch.as_tensor(np.random.default_rng(0).standard_normal((2, op.n)))
    error = consistency_error(ddrm_samples, op, x0, problem.sigmas, eta=problem.eta)
    assert error <= 100 * EPS * op.n * float(seen.max() / seen.min())


@given(operators())
def test_operators_are_decompositions_with_exactly_the_prescribed_spectrum(op):
    assert check_operator(op).ok
    assert orthogonality_error(op) <= 100 * EPS
    assert op.m >= op.rank


@given(spectra(), st.data())
def test_a_spectrum_can_be_prescribed(s, data):
    op = data.draw(operators(st.just(s)))
    assert op.s.tolist() == s


@given(levels())
def test_levels_decrease_to_an_exact_zero(sigmas):
    assert sigmas.dtype == torch.float64
    assert (sigmas[1:] < sigmas[:-1]).all()
    assert sigmas[-1] == 0


@given(schedules())
def test_schedules_are_schedules(schedule):
    assert ((schedule.beta[1:] > 0) & (schedule.beta[1:] < 1)).all()
    assert schedule.beta[0] == 0


def _cases(problem) -> set[int]:
    s, found = problem.op.s, set()
    for sigma in problem.sigmas[1:-1]:
        above = (s > 0) & (s * sigma >= problem.sigma_y)
        found |= {1} if above.any() else set()
        found |= {2} if ((s > 0) & ~above).any() else set()
        found |= {3} if (s == 0).any() else set()
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        lambda p: _cases(p) == {1, 2, 3},
        lambda p: p.sigma_y > 0 and bool((p.op.s[:, None] * p.sigmas[1:-1] == p.sigma_y).any()),
        lambda p: p.op.m > p.op.n and p.op.rank < p.op.n,
        lambda p: p.sigma_y == 0 and p.op.rank > 1,
        lambda p: p.sigma_y > float(p.op.s.max() * p.sigmas[0]) > 0,
        lambda p: len(p.op.s[p.op.s > 0].unique()) < p.op.rank,
        lambda p: bool(((p.op.s > 0) & (p.op.s < 1e-6)).any()),
    ],
    ids=["all cases", "boundary", "tall, deficient", "noiseless", "E5", "repeated s", "tiny s"],
)
def test_problems_reach_what_hides_mistakes(wanted):
    """Each kind of problem is among those that are drawn."""
    assert wanted(find(problems(), wanted))


def test_a_wrong_boundary_is_found_by_the_drawn_problems():
    """M33: with a strict > some drawn problem breaks Proposition 3.1 or forgets the measurement."""

    def off_at_the_boundary(problem) -> bool:
        for sigma, sigma_next in zip(problem.sigmas[:-2], problem.sigmas[1:-1], strict=True):
            c = ddrm_coefficients(problem.op.s, sigma, sigma_next, **problem.settings)
            strict = (problem.op.s > 0) & (problem.op.s * sigma_next > problem.sigma_y)
            if ((c.y == problem.eta_b) & (problem.op.s > 0) & ~strict & (c.y > 0)).any():
                return True
        return False

    assert off_at_the_boundary(find(problems(), off_at_the_boundary))

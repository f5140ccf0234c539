"""A law that is estimated: its standard errors, its bend, and what they say of known samplers."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from laws import random_case

from ddrm_edu import (
    Denoising,
    Dense,
    EmpiricalPrior,
    GaussianPrior,
    NoiseSchedule,
    ddrm_samples,
    gap,
    law_of,
    monte_carlo_law,
    posterior_law,
    sampler_law,
)

SIGMA_Y, LEVELS = 0.2, NoiseSchedule.linear().sigmas(3)
CASE = random_case(3, 4, 2, SIGMA_Y, seed=7)
PRIOR = GaussianPrior(torch.as_tensor(CASE.mean), torch.as_tensor(CASE.cov))
OP = Dense(CASE.H)
LINE = GaussianPrior(torch.full((1,), 0.3), torch.ones(1, 1)), Denoising((1,))


def ddrm(denoiser, op, y, *, generator):
    return ddrm_samples(denoiser, op, y, LEVELS, sigma_y=SIGMA_Y, eta=0.6, generator=generator)


def exact(denoiser, op, y, *, generator):
    """A draw from the posterior."""
    posterior = denoiser.posterior(op, y, sigma_y=SIGMA_Y)
    root = torch.linalg.cholesky(posterior.cov)
    z = torch.randn(len(y), op.n, generator=generator, dtype=y.dtype)
    return posterior.mean + z @ root.T


def of_seed(sampler, prior, op, seed, **arguments):
    generator = torch.Generator().manual_seed(seed)
    return monte_carlo_law(sampler, prior, op, generator=generator, **arguments)


def scores(found, want) -> torch.Tensor:
    """Errors of all entries in units of their standard errors, without those that are 0."""
    parts = [
        ((found.law.A - want.A)[:, want.A.any(0)], found.A_error[:, want.A.any(0)]),
        (found.law.c - want.c, found.c_error),
        (found.law.cov - want.cov, found.cov_error),
        (torch.tensor([found.bend]), torch.tensor([found.bend_error])),
    ]
    return torch.cat([(error / size).flatten() for error, size in parts])


@pytest.mark.parametrize("at_once", [None, 333])
def test_it_agrees_with_the_exact_law(at_once):
    """S18.1: 19 numbers, each |z| <= 5, which fails once in 90,000."""
    want = sampler_law(PRIOR, OP, LEVELS, sigma_y=SIGMA_Y, eta=0.6)
    found = of_seed(ddrm, PRIOR, OP, 1, sigma_y=SIGMA_Y, draws=20_001, at_once=at_once)
    assert found.draws == 20_000
    assert scores(found, want).abs().max() <= 5
    assert (found.A_error == 0).all(0).tolist() == (OP.s == 0).tolist()
    assert found.A_error.max() <= 0.05
    assert torch.equal(found.law.y_spec.cov, want.y_spec.cov)
    assert torch.equal(found.law.cov, found.law.cov.T)


def test_the_standard_errors_are_those_of_many_estimates():
    """300 estimates: their errors have mean 0 and the size that was stated, within 25 %."""
    want = sampler_law(PRIOR, OP, LEVELS, sigma_y=SIGMA_Y, eta=0.6)
    z = torch.stack(
        [
            scores(of_seed(ddrm, PRIOR, OP, seed, sigma_y=SIGMA_Y, draws=1000), want)
            for seed in range(300)
        ]
    )
    assert (z.mean(0).abs() <= 0.3).all()
    size = z.square().mean(0).sqrt()
    assert ((size >= 0.8) & (size <= 1.25)).all()


def test_a_clipped_mean_and_a_noise_that_grows_with_y_are_told_apart():
    """One coordinate: best line, bend and mean variance by quadrature, |z| <= 5."""
    prior, op = LINE

    def sampler(denoiser, op, y, *, generator):
        z = torch.rand(len(y), 1, generator=generator, dtype=y.dtype) - 0.5  # variance 1 / 12
        return y.clamp(-1, 1) + (1 + y) * z

    y = np.linspace(-12, 12, 200_001)
    weight = np.exp(-((y - 0.3) ** 2) / 2 / 1.25)
    weight /= weight.sum()
    f = y.clip(-1, 1)
    A = (weight @ (f * y) - (weight @ f) * (weight @ y)) / (weight @ y**2 - (weight @ y) ** 2)
    c = weight @ f - A * (weight @ y)
    want = {"A": A, "c": c, "cov": weight @ (1 + y) ** 2 / 12}
    found = of_seed(sampler, prior, op, 3, sigma_y=0.5, draws=100_000)
    for what, value in want.items():
        z = (getattr(found.law, what) - value) / getattr(found, f"{what}_error")
        assert abs(float(z)) <= 5
        assert float(getattr(found, f"{what}_error")) <= 0.02
    bend = weight @ (f - A * y - c) ** 2
    assert abs(found.bend - bend) <= 5 * found.bend_error
    assert found.bend > 20 * found.bend_error


def test_gap_sees_the_errors_as_it_is_said():
    """An exact sampler with few draws: (rank + 1) / draws, and (n + 1) / (2 draws) for cov = I."""
    prior = GaussianPrior(torch.zeros(4), torch.eye(4))
    op, draws = Denoising((4,)), 400
    posterior = posterior_law(prior, op, sigma_y=SIGMA_Y)
    gaps = [
        gap(of_seed(exact, prior, op, seed, sigma_y=SIGMA_Y, draws=draws).law, posterior)
        for seed in range(100)
    ]
    mean, cov = (np.mean([getattr(g, part) ** 2 for g in gaps]) for part in ("mean", "cov"))
    assert mean == pytest.approx(5 / draws, rel=0.2)
    assert cov == pytest.approx(5 / 2 / draws, rel=0.2)


def test_what_law_of_refuses_is_estimated():
    def folded(denoiser, op, y, *, generator):
        return ddrm(lambda x, sigma: denoiser(x, sigma).abs(), op, y, generator=generator)

    with pytest.raises(ValueError, match="monte_carlo_law"):
        law_of(folded, PRIOR, OP, sigma_y=SIGMA_Y)
    one, two = (of_seed(folded, PRIOR, OP, seed, sigma_y=SIGMA_Y, draws=10_000) for seed in (0, 1))
    assert (scores(one, two.law) / 2**0.5).abs().max() <= 5
    unfolded = sampler_law(PRIOR, OP, LEVELS, sigma_y=SIGMA_Y, eta=0.6)
    assert scores(one, unfolded).abs().max() > 30


def test_bad_input_is_refused_in_a_sentence():
    estimate = functools.partial(monte_carlo_law, ddrm, PRIOR, OP, sigma_y=SIGMA_Y)
    for draws in (0, 12, 100.5):
        with pytest.raises(ValueError, match=r"draws must be a number above 4 \(rank \+ 1\) = 12"):
            estimate(draws=draws)
    for at_once in (0, True, 1.5):
        with pytest.raises(ValueError, match="at_once must be"):
            estimate(at_once=at_once)
    with pytest.raises(ValueError, match=r"what it is called with.*unexpected keyword.*partial"):
        monte_carlo_law(lambda denoiser, op, y: y, PRIOR, OP, sigma_y=SIGMA_Y)
    with pytest.raises(ValueError, match="prior must be a GaussianPrior"):
        monte_carlo_law(ddrm, EmpiricalPrior(torch.eye(3)), OP, sigma_y=SIGMA_Y)
    with pytest.raises(ValueError, match="sigma_y"):
        monte_carlo_law(ddrm, PRIOR, OP, sigma_y=-1.0)
    for result, said in (
        (torch.zeros(2, 3), r"images of shape \(100, 3\)"),
        (torch.full((100, 3), torch.nan), "must be finite, but 300 of its 300"),
    ):
        with pytest.raises(ValueError, match=said):
            monte_carlo_law(
                lambda *args, result=result, **_: result, PRIOR, OP, sigma_y=0.1, draws=100
            )

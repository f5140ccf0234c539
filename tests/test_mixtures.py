"""The stored distances of draws from a mixture's posterior are those of the library."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import mixtures  # noqa: E402  the script that wrote the table
from measuring import Continued  # noqa: E402

from ddrm_edu import Dense, GaussianMixture, NoiseSchedule  # noqa: E402

ROWS = Continued(mixtures.RESULTS / "mixtures.csv", mixtures.COLUMNS, mixtures.NUMBERS).rows


def problem(d_x=6, d_y=2):
    return mixtures.drawn(d_x, d_y, torch.Generator().manual_seed(3))


def as_any_mixture(prior):
    d_x = prior.means.shape[1]
    covs = torch.eye(d_x, dtype=torch.float64).expand(25, d_x, d_x)
    return GaussianMixture(prior.log_weights.exp(), prior.means, covs)


def test_equal_covariances_are_those_of_any_mixture():
    prior, op, sigma_y, y = problem()
    generator, whole = torch.Generator().manual_seed(0), as_any_mixture(prior)
    x = 10 * torch.randn(5, 6, generator=generator, dtype=torch.float64)
    ys = y + 5 * torch.randn(5, 2, generator=generator, dtype=torch.float64)
    ours = prior.given(op, ys, sigma_y=sigma_y)
    theirs = whole.given(Dense(op.matrix()), ys, sigma_y=sigma_y)
    for sigma in (0.1, 2.0, 50.0):
        assert (prior(x, sigma) - whole(x, sigma)).abs().max() < 1e-11
        assert (ours(x, sigma) - theirs(x, sigma)).abs().max() < 1e-10


def test_exact_draws_have_the_moments_of_the_posterior():
    prior, op, sigma_y, y = problem()
    generator = torch.Generator().manual_seed(1)
    ys = y.expand(40_000, -1)
    x = prior.posterior_sample(op, ys, sigma_y=sigma_y, generator=generator)
    exact = as_any_mixture(prior).posterior(op, y, sigma_y=sigma_y)
    spread = exact.cov[0].diagonal().sqrt()
    assert ((x.mean(0) - exact.mean[0]).abs() < 5 * spread / 200).all()
    off = x - exact.mean[0]
    products = off[:, :, None] * off[:, None]
    error = products.std(0) / len(x) ** 0.5
    assert ((products.mean(0) - exact.cov[0]).abs() < 5 * error).all()


def test_the_published_problem_is_drawn_in_its_order():
    """Its seed is torch's own generator, whose state stays as it was."""
    before = torch.get_rng_state()
    one, again = mixtures.published(2), mixtures.published(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.y, again.y)
    assert one.sigma_y == pytest.approx(0.399770, abs=1e-5)
    assert one.y[0].tolist() == pytest.approx([-1.5587, 5.3683], abs=1e-3)


def test_a_stored_distance_is_computed_again():
    stored = ROWS["ddnm+", "8", "4", "0", "20", "1000"]
    case = mixtures.drawn(8, 4, torch.Generator().manual_seed(84))
    levels = NoiseSchedule.linear()
    runs = [dict(mixtures.compared(case, k, levels, 20, 1000, ["ddnm+"])) for k in range(6)]
    for number in mixtures.NUMBERS:  # of other draws: within what six runs differ
        got = np.array([run["ddnm+"][number] for run in runs])
        assert abs(got.mean() - float(stored[number])) < 5 * got.std(ddof=1)

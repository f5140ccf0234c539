"""Langevin dynamics for the posterior (slide 2) and its exact law on Gaussians."""

import collections
import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import largest, random_case, relative
from prior_laws import (
    langevin_step_error,
    made,
    monte_carlo_error,
    posterior_score_error,
    random_mixture,
    random_target,
    stationary_error,
    transient_error,
)
from strategies import operators, seeds

from ddrm_edu import Dense, GaussianPrior
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.langevin import langevin_law, langevin_samples, posterior_score, stationary_law
from ddrm_edu.priors import EmpiricalPrior, GaussianMixture

sizes = st.integers(1, 5)
shares = st.floats(0.01, 0.95)  # of the largest stable step


def _stable(target: Gaussian, share: float) -> float:
    return share * 2 * torch.linalg.eigvalsh(target.cov)[0].item()


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


def _last(run):
    return collections.deque(run, maxlen=1).pop()


# ------------------------------------------------------------------------- score of the posterior


@given(st.integers(1, 3), sizes, st.integers(1, 6), seeds, st.floats(0.1, 2))
def test_score_of_the_posterior_is_the_gradient_of_log_p_of_x_and_y(K, n, m, seed, sigma_y):
    """S02.5: prior score plus H^T (y - H x) / sigma_y^2, for wide, square and tall H."""
    H = np.random.default_rng(seed).standard_normal((m, n))
    case = random_mixture(K, n, seed)
    assert posterior_score_error(posterior_score, GaussianMixture, case, H, sigma_y) <= 1e-11


@given(operators(), seeds, st.floats(0.05, 2))
def test_score_of_the_posterior_vanishes_at_the_mean_of_a_gaussian_one(operator, seed, sigma_y):
    """S02.3, S02.5: any operator with image shapes; the slope there is minus the precision."""
    op, H = operator
    case = random_mixture(1, op.n, seed)
    prior = GaussianPrior(case.means[0].reshape(op.in_shape), case.covs[0])
    y = torch.as_tensor(np.random.default_rng(seed).standard_normal((1, *op.out_shape)))
    score = posterior_score(prior, op, y, sigma_y=sigma_y)
    mean = prior.posterior(op, y, sigma_y=sigma_y).mean
    precision = np.linalg.inv(case.covs[0]) + H.T @ H / sigma_y**2
    size = np.abs(precision).max()
    assert largest(score(mean)) <= 1e-9 * size * (1 + largest(mean) + largest(y))
    units = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    slope = (score(mean + units) - score(mean)).flatten(1)  # one y for all chains
    assert relative(slope, -precision) <= 1e-9


def test_likelihood_of_clean_images_is_wrong_at_a_noise_level():
    """S02.5: at level sigma p(y | x_t) is N(H D(x_t), sigma_y^2 I + H Cov[x_0 | x_t] H^T)."""
    case, sigma = random_case(4, 3, 2, 0.3, seed=4), 0.7
    prior = GaussianPrior(case.mean, case.cov)
    x, y = torch.as_tensor(case.mean + 1.0)[None], torch.tensor([[0.4, -0.2, 0.9]])
    y = y.double()
    # Exact: the joint Gaussian law of (x_t, y).
    H, noise = case.H, sigma**2 * np.eye(4)
    network = (
        Gaussian(case.mean, case.cov)
        .joint(np.vstack([np.eye(4), H]), cov=np.diag([sigma**2] * 4 + [case.sigma_y**2] * 3))
        .marginal(slice(4, None))
    )  # of (x_t, y)
    point = x.clone().requires_grad_()
    given_y = lambda x: network.log_density(torch.cat([x, y], dim=1)).sum()  # noqa: E731
    (want,) = torch.autograd.grad(given_y(point), point)

    D = case.cov @ np.linalg.inv(case.cov + noise)
    spread = case.sigma_y**2 * np.eye(3) + H @ (sigma**2 * D) @ H.T
    residual = (y - prior(x, sigma) @ torch.as_tensor(H).T).numpy()
    exact = prior.score(x, sigma).numpy() + residual @ np.linalg.inv(spread) @ H @ D
    naive = prior.score(x, sigma) + Dense(H).adjoint(y - Dense(H)(x)) / case.sigma_y**2
    assert relative(exact, want) <= 1e-11
    assert relative(naive, want) >= 0.1


# ------------------------------------------------------------------------------------ exact laws


@given(sizes, seeds, shares)
def test_one_step_is_the_affine_map_of_slide_2(n, seed, share):
    """S02.4: I - step P on x, covariance 2 step I from the noise."""
    target = random_target(n, seed)
    assert langevin_step_error(langevin_samples, target, _stable(target, share)) <= 1e-12


@given(sizes, seeds, shares)
def test_stationary_law_is_the_fixed_point_of_the_step(n, seed, share):
    """S02.4: against scipy's discrete Lyapunov equation."""
    target = random_target(n, seed)
    assert stationary_error(stationary_law, target, _stable(target, share)) <= 1e-10


@given(sizes, seeds, shares)
def test_stationary_covariance_is_the_formula_of_the_ledger(n, seed, share):
    """S02.4: [P (I - step P / 2)]^-1, as matrices; never smaller than the target's."""
    target = random_target(n, seed)
    step = _stable(target, share)
    P = np.linalg.inv(target.cov.numpy())
    want = np.linalg.inv(P @ (np.eye(n) - step / 2 * P))
    got = stationary_law(target, step=step).cov
    assert relative(got, want) <= 1e-11
    assert torch.linalg.eigvalsh(got - target.cov)[0] > 0


@given(sizes, seeds, shares, st.integers(1, 30))
def test_law_after_k_steps_is_the_recursion_of_mean_and_covariance(n, seed, share, steps):
    """S02.4: from any Gaussian start; the law of the chain at every step, not in the limit only."""
    target, start = random_target(n, seed), random_target(n, seed + 1)
    step = _stable(target, share)
    assert transient_error(langevin_law, target, start, step, steps) <= 1e-11


def test_law_after_many_steps_is_the_stationary_one_and_small_steps_reach_the_target():
    """S02.4: exact only as the step goes to 0, where the excess covariance is step / 2 I."""
    target, start = random_target(3, 1), random_target(3, 2)
    law = langevin_law(target, start, step=0.1, steps=5000)
    limit = stationary_law(target, step=0.1)
    assert largest(law.mean - limit.mean, law.cov - limit.cov) <= 1e-12
    for step in (1e-3, 1e-5):
        excess = stationary_law(target, step=step).cov - target.cov
        assert largest(excess / (step / 2) - torch.eye(3)) <= step / 0.3  # 0.3 <= smallest variance


# ----------------------------------------------------------------------------------- Monte Carlo


def test_chains_have_the_stationary_law():
    """S02.4: N = 100,000 chains of 60 steps, 12 statistics, z <= 5."""
    target = random_target(3, 5)
    step = _stable(target, 0.25)
    x = target.mean.expand(100_000, 3)
    score = lambda x: -torch.linalg.solve(target.cov, (x - target.mean).T).T  # noqa: E731
    x = _last(langevin_samples(score, x, step=step, steps=60, generator=_seeded(0)))
    law = langevin_law(target, Gaussian(target.mean, np.zeros((3, 3))), step=step, steps=60)
    assert monte_carlo_error(x, law.mean, law.cov) <= 5
    # So many chains would see it if the step did not matter.
    assert monte_carlo_error(x, target.mean, target.cov) > 20


def test_langevin_draws_from_the_posterior_of_a_gaussian():
    """S02.3, S02.4: N = 50,000 chains of 100 steps for one y, 20 statistics, z <= 5."""
    case = random_case(4, 3, 2, 0.5, seed=6)
    prior, op, y = (
        GaussianPrior(case.mean, case.cov),
        Dense(case.H),
        torch.tensor([[0.4, -1.0, 0.2]]),
    )
    posterior = prior.posterior(op, y, sigma_y=case.sigma_y)
    target = Gaussian(posterior.mean[0], posterior.cov)
    step = _stable(target, 0.2)
    x = torch.zeros(50_000, 4, dtype=torch.float64)
    score = posterior_score(prior, op, y, sigma_y=case.sigma_y)
    x = _last(langevin_samples(score, x, step=step, steps=100, generator=_seeded(1)))
    law = langevin_law(target, Gaussian(np.zeros(4), np.zeros((4, 4))), step=step, steps=100)
    assert monte_carlo_error(x, law.mean, law.cov) <= 5


class _Bimodal:
    """A posterior with two overlapping modes, and Langevin for it as a matrix on a fine grid."""

    op, y, sigma_y = Dense([[1.0]]), torch.tensor([[0.1]], dtype=torch.float64), 1.0
    prior = GaussianMixture([0.4, 0.6], [[-1.1], [1.2]], [[[0.3]], [[0.25]]])
    score = staticmethod(posterior_score(prior, op, y, sigma_y=sigma_y))
    grid = torch.linspace(-6, 6, 481, dtype=torch.float64)

    @classmethod
    def law(cls, step: float, steps: int) -> tuple[float, float]:
        """Mean and variance after ``steps`` steps from 0: the density pushed through the kernel.

        Kernel width sqrt(2 step) over spacing 0.025 is at least 5, so the sums are exact.
        """
        moved = cls.grid + step * cls.score(cls.grid[:, None])[:, 0]
        kernel = torch.exp(-((cls.grid[:, None] - moved) ** 2) / (4 * step))
        p = (cls.grid.abs() < 1e-9).double()
        for _ in range(steps):
            p = kernel @ p
            p = p / p.sum()
        mean = (p @ cls.grid).item()
        return mean, (p @ (cls.grid - mean) ** 2).item()


def test_chains_for_a_mixture_have_the_law_of_the_markov_kernel():
    """S02.4, S02.5: N = 100,000 chains of 25 steps against the pushed density, z <= 5."""
    step, steps = 0.05, 25
    x = torch.zeros(100_000, 1, dtype=torch.float64)
    run = langevin_samples(_Bimodal.score, x, step=step, steps=steps, generator=_seeded(2))
    mean, variance = _Bimodal.law(step, steps)
    assert monte_carlo_error(_last(run), [mean], [[variance]]) <= 5


def test_langevin_reaches_the_posterior_of_a_mixture_to_first_order_in_the_step():
    """S02.4: the bias of mean and variance halves with the step; no Gaussian is involved."""
    posterior = _Bimodal.prior.posterior(_Bimodal.op, _Bimodal.y, sigma_y=_Bimodal.sigma_y)
    want = np.array([posterior.mean.item(), posterior.cov.item()])
    errors = [np.array(_Bimodal.law(step, int(40 / step))) - want for step in (0.04, 0.02, 0.01)]
    first, second = errors[0] / errors[1], errors[1] / errors[2]
    assert largest(errors[2]) <= 0.01
    # b step + c step^2: the ratio is 2 + O(step), whose excess halves in turn.
    assert largest(second - 2) <= 0.7 * largest(first - 2) <= 0.7 * 0.5


@pytest.mark.parametrize("step", [1e-4, 1e-8, 1e-12, 1e-300])
@pytest.mark.parametrize("steps", [1, 1000])
def test_small_steps_from_a_point_spread_by_twice_their_sum(step, steps):
    """S02.4 in many digits: the difference of stationary covariances would lose 1 / step."""
    target, point = Gaussian([0.0], [[1.0]]), Gaussian([0.0], [[0.0]])
    with mpmath.workdps(400):
        alpha = mpmath.mpf(step)
        want = (1 - (1 - alpha) ** (2 * steps)) / (1 - alpha / 2)
    law = langevin_law(target, point, step=step, steps=steps)
    assert law.cov.item() == pytest.approx(float(want), rel=1e-13, abs=0)


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12])
def test_laws_of_a_target_by_its_factor_know_small_variances(condition):
    """S02.4: direction by direction, on the axes of a nearly singular target."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    variances = np.geomspace(condition, 1, 5)
    target = Gaussian(np.zeros(5), factor=turn * np.sqrt(variances))
    stationary = variances / (1 - 0.25 / variances)
    lost = -np.expm1(6 * np.log1p(-0.5 / variances))
    point = Gaussian(np.zeros(5), np.zeros((5, 5)))
    for law, want in (
        (stationary_law(target, step=0.5), stationary),
        (langevin_law(target, point, step=0.5, steps=3), stationary * lost),
    ):
        assert largest(np.square(turn.T @ law.factor.numpy()).sum(1) / want - 1) <= 1e-12


def test_infinitely_many_steps_lead_to_the_stationary_law():
    target, start = random_target(3, 1), random_target(3, 2)
    law = langevin_law(target, start, step=0.2, steps=math.inf)
    want = stationary_law(target, step=0.2)
    assert largest(law.mean - target.mean, law.cov - want.cov) <= 1e-14


# -------------------------------------------------------------------------------------- contract


def test_chains_start_at_x_and_leave_it_alone():
    """``steps`` of them are yielded, in the dtype of x; one generator per image is one chain."""
    x = torch.ones(3, 1, 2, 2)
    runs = [
        list(langevin_samples(lambda x: -x, start, step=0.1, steps=4, generator=generators))
        for start, generators in ((x, [*map(_seeded, (1, 2, 3))]), (x[1:2], [_seeded(2)]))
    ]
    assert [state.shape for state in runs[0]] == [x.shape] * 4
    assert runs[0][-1].dtype == torch.float32
    assert torch.equal(x, torch.ones(3, 1, 2, 2))
    for batch, alone in zip(*runs, strict=True):
        assert torch.equal(batch[1], alone[0])
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(runs[0]))


@pytest.mark.parametrize("step", [0.0, -0.1, math.inf, math.nan])
def test_step_that_is_not_positive_is_refused(step):
    """By the call itself, before the first state is asked for."""
    target = random_target(2, 0)
    with pytest.raises(ValueError, match="step must be positive"):
        langevin_samples(lambda x: -x, torch.zeros(1, 2), step=step, steps=3)
    with pytest.raises(ValueError, match="step must be positive"):
        stationary_law(target, step=step)


def test_chain_without_steps_or_of_integers_is_refused():
    with pytest.raises(ValueError, match="positive number of steps, but was 0"):
        langevin_samples(lambda x: -x, torch.zeros(1, 2), step=0.1, steps=0)
    for steps in (0, -1, 2.5, math.nan):
        with pytest.raises(ValueError, match=f"number of steps, but was {steps}"):
            langevin_law(random_target(2, 0), random_target(2, 1), step=0.1, steps=steps)
    with pytest.raises(ValueError, match="floating-point"):
        langevin_samples(lambda x: -x, torch.zeros(1, 2, dtype=torch.int64), step=0.1, steps=1)


def test_unstable_step_is_refused_with_the_admissible_range():
    """S02.4: step < 2 / lambda_max(P), which is twice the smallest variance."""
    target = Gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 0.25]])
    for law in (stationary_law, lambda *a, **k: langevin_law(*a, target, steps=2, **k)):
        with pytest.raises(ValueError, match=r"\(0, 0\.5\).*step was 0\.5"):
            law(target, step=0.5)
        assert law(target, step=0.499).cov.isfinite().all()


def test_singular_target_is_refused():
    with pytest.raises(ValueError, match="target with a density"):
        stationary_law(Gaussian([0.0, 0.0], np.ones((2, 2))), step=0.1)


def test_posterior_without_a_density_is_refused():
    """S02.3, S02.5: no noise in y, no density of the prior, or no score at all."""
    op, y, x = Dense([[1.0, 0.5]]), torch.zeros(1, 1), torch.zeros(1, 2)
    regular = GaussianPrior(torch.zeros(2), torch.eye(2))
    with pytest.raises(ValueError, match="needs sigma_y > 0"):
        posterior_score(regular, op, y, sigma_y=0.0)
    with pytest.raises(ValueError, match="singular"):
        posterior_score(GaussianPrior(torch.zeros(2), torch.ones(2, 2)), op, y, sigma_y=0.1)(x)
    with pytest.raises(ValueError, match="finite set of images"):
        posterior_score(EmpiricalPrior(torch.zeros(1, 2)), op, y, sigma_y=0.1)(x)
    with pytest.raises(ValueError, match=r"must have a method score.*function"):
        posterior_score(lambda x, sigma: x, op, y, sigma_y=0.1)


def test_images_and_measurements_that_do_not_fit_are_refused():
    op, y = Dense([[1.0, 0.5]]), torch.zeros(3, 1)
    prior = made(GaussianMixture, random_mixture(2, 2, 0))
    score = posterior_score(prior, op, y, sigma_y=0.1)
    assert score(torch.zeros(3, 2)).shape == (3, 2)
    with pytest.raises(ValueError, match="one image for each of the 3 measurements, but has 2"):
        score(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="x must have shape"):
        score(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="y must have shape"):
        posterior_score(prior, op, torch.zeros(3, 2), sigma_y=0.1)
    with pytest.raises(ValueError, match="y must be finite"):
        posterior_score(prior, op, torch.full((3, 1), math.nan), sigma_y=0.1)


@pytest.mark.parametrize("factor", [1.0, 1.001, 1.5, 30.0])
def test_every_step_from_the_limit_on_is_refused_as_unstable(factor):
    """Twice the smallest variance of the target, here 0.6, and above."""
    target = Gaussian([0.0, 0.0], [[1.7, 0.0], [0.0, 0.3]])
    with pytest.raises(ValueError, match=r"stable for step in \(0, 0.6\)"):
        stationary_law(target, step=0.6 * factor)


def test_what_counts_as_no_variance_is_relative_to_the_largest():
    """1e-10 beside 1e6 is rounding, 1e-10 beside 1e-9 is a variance."""
    with pytest.raises(ValueError, match="density"):
        stationary_law(Gaussian([0.0, 0.0], [[1e6, 0.0], [0.0, 1e-10]]), step=1e-11)
    law = stationary_law(Gaussian([0.0, 0.0], [[1e-9, 0.0], [0.0, 1e-10]]), step=1e-11)
    assert law.cov[1, 1].item() == pytest.approx(1e-10 / 0.95, rel=1e-12)


def test_no_gradient_of_the_score_is_recorded():
    weight = torch.tensor(1.0, requires_grad=True)
    *_, x = langevin_samples(lambda x: -weight * x, torch.zeros(2, 3), step=0.1, steps=3)
    assert not x.requires_grad

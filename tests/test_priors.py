"""Exact priors: denoisers, scores and posteriors (slide 2, ledger section 4).

Gaussian priors come first, then mixtures and finite sets of images.
"""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import largest, posterior_law, random_case, relative
from memory import peak_bytes
from prior_laws import (
    MixtureCase,
    denoiser_error,
    density_error,
    empirical_denoiser_error,
    empirical_posterior_error,
    exact_operators,
    log_mixture,
    made,
    monte_carlo_error,
    posterior_error,
    posterior_errors,
    posterior_in_many_digits,
    posterior_weights_error,
    random_factor,
    random_mixture,
    score_error,
)
from scipy.integrate import quad
from scipy.stats import norm
from strategies import operators, seeds

from ddrm_edu import Denoising, Dense, GaussianPrior, Inpainting, SuperResolution
from ddrm_edu.denoisers import score_from_x0
from ddrm_edu.priors import EmpiricalPrior, GaussianMixture, MixturePosterior

EPS = torch.finfo(torch.float64).eps
CASES = {
    "wide": random_case(6, 4, 4, 0.3, seed=0),
    "tall": random_case(3, 5, 3, 0.2, seed=1),
    "rank-deficient": random_case(5, 5, 2, 0.4, seed=2),
    "square": random_case(4, 4, 4, 0.6, seed=3),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def _prior(case, shape=None):
    mean = torch.as_tensor(case.mean)
    return GaussianPrior(mean if shape is None else mean.reshape(shape), torch.as_tensor(case.cov))


def _draws(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# ------------------------------------------------------------------------------------ denoiser


@cases
@pytest.mark.parametrize("sigma", [0.01, 0.4, 3.0, 157.0])
def test_denoiser_is_the_conditional_mean_of_the_joint_gaussian(case, sigma):
    """Section 4: x and x_0 as one Gaussian vector, conditioned by brute force."""
    n = len(case.mean)
    mix = np.block([[np.eye(n), np.zeros((n, n))], [np.eye(n), sigma * np.eye(n)]])
    sources = np.block(
        [[case.cov, np.zeros((n, n))], [np.zeros((n, n)), np.eye(n)]]
    )  # of x_0 and eps
    joint = mix @ sources @ mix.T
    gain = joint[:n, n:] @ np.linalg.inv(joint[n:, n:])
    x = torch.as_tensor(case.mean) + (1 + sigma) * _draws(0, 3, n)
    want = case.mean + (x.numpy() - case.mean) @ gain.T
    assert relative(_prior(case)(x, sigma), want) <= 1e-12
    assert relative(_prior(case)(x, torch.tensor(sigma)), want) <= 1e-6  # a float32 level


@cases
def test_denoiser_is_tweedies_formula_for_the_density(case):
    """Section 4, S02.5: (x0_hat - x) / sigma^2 is the gradient of log N(x; m, C + sigma^2 I)."""
    sigma, x = 0.7, _draws(1, 3, len(case.mean)).requires_grad_()
    cov = torch.as_tensor(case.cov) + sigma**2 * torch.eye(len(case.mean), dtype=torch.float64)
    density = torch.distributions.MultivariateNormal(torch.as_tensor(case.mean), cov)
    (gradient,) = torch.autograd.grad(density.log_prob(x).sum(), x)
    score = score_from_x0(x.detach(), sigma, _prior(case)(x.detach(), sigma))
    torch.testing.assert_close(score, gradient, atol=1e-11, rtol=0)


def test_denoiser_averages_the_clean_images_behind_a_noisy_one():
    """S02.2: Monte Carlo, N = 200,000: residual x_0 - x0_hat is uncorrelated with x; z <= 5."""
    N, sigma = 200_000, 0.8
    prior, generator = _prior(CASES["square"]), torch.Generator().manual_seed(2)
    x0 = prior.sample(N, generator=generator)
    x = x0 + sigma * torch.randn(N, 4, generator=generator, dtype=torch.float64)
    product = ((x0 - prior(x, sigma))[:, :, None] * (x - prior.mean)[:, None, :]).flatten(1)
    assert largest(product.mean(0) / (product.std(0) / math.sqrt(N))) <= 5


def test_limits_of_the_denoiser_are_the_image_and_the_mean():
    """Section 4: sigma -> 0 gives x, sigma -> inf gives m."""
    prior, x = _prior(CASES["square"]), _draws(3, 2, 4)
    assert torch.equal(prior(x, 0.0), x)
    assert prior(x, 0.0).data_ptr() != x.data_ptr()
    torch.testing.assert_close(prior(x, 1e-7), x, atol=1e-11, rtol=0)
    torch.testing.assert_close(prior(x, 1e7), prior.mean.expand(2, 4), atol=1e-11, rtol=0)


def test_denoiser_of_a_singular_prior_stays_in_its_plane():
    """Section 4: a covariance without full rank is a prior, too."""
    direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    prior = GaussianPrior(torch.zeros(3), 2.5 * torch.outer(direction, direction))
    x0_hat = prior(_draws(4, 5, 3), 0.7)
    along = x0_hat @ direction
    torch.testing.assert_close(x0_hat, along[:, None] * direction, atol=1e-12, rtol=0)


def test_denoiser_acts_on_images_of_any_shape_and_dtype():
    """Row-major flattening; the result has the shape and dtype of x."""
    case = CASES["wide"]
    x = _draws(5, 2, 6)
    want = _prior(case)(x, 0.5)
    got = _prior(case, (1, 2, 3))(x.reshape(2, 1, 2, 3), 0.5)
    assert got.shape == (2, 1, 2, 3)
    torch.testing.assert_close(got.flatten(1), want, atol=1e-13, rtol=0)
    single = _prior(case)(x.float(), 0.5)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), want, atol=1e-5, rtol=0)


# ------------------------------------------------------------------------------------ posterior


@cases
def test_posterior_is_the_information_form(case):
    """S02.3: precision C^-1 + H^T H / sigma_y^2, for sigma_y > 0."""
    n, m = len(case.mean), len(case.H)
    y = _draws(6, 3, m)
    got = _prior(case).posterior(Dense(case.H), y, sigma_y=case.sigma_y)
    precision = np.linalg.inv(case.cov) + case.H.T @ case.H / case.sigma_y**2
    cov = np.linalg.inv(precision)
    source = np.linalg.solve(case.cov, case.mean) + y.numpy() @ case.H / case.sigma_y**2
    assert got.mean.shape == (3, n)
    assert relative(got.cov, cov) <= 1e-10
    assert relative(got.mean, source @ cov.T) <= 1e-10
    assert torch.equal(got.cov, got.cov.T)


@cases
def test_posterior_is_the_conditional_of_the_joint_law(case):
    """S02.1, S02.3: conditioning (x, y) by brute force."""
    y = _draws(7, 2, len(case.H))
    got = _prior(case).posterior(Dense(case.H), y, sigma_y=case.sigma_y)
    want = posterior_law(case)
    assert relative(got.mean, want.offset + y.numpy() @ want.gain.T) <= 1e-10
    assert relative(got.cov, want.cov) <= 1e-10


def _spectral_posterior(case, y):
    """Section 4, in numpy's SVD: only observed coordinates, so that sigma_y = 0 is allowed."""
    U, singular, Vt = np.linalg.svd(case.H)
    seen = np.flatnonzero(singular > 1e-10 * singular.max())
    mean, cov = Vt @ case.mean, Vt @ case.cov @ Vt.T
    y_spec = (y @ U)[:, seen] / singular[seen]
    innovation = cov[np.ix_(seen, seen)] + np.diag((case.sigma_y / singular[seen]) ** 2)
    gain = np.linalg.solve(innovation, cov[seen]).T
    posterior = mean + (y_spec - mean[seen]) @ gain.T
    return posterior @ Vt, Vt.T @ (cov - gain @ cov[seen]) @ Vt


@cases
@pytest.mark.parametrize("sigma_y", [0.0, 0.25])
def test_posterior_is_the_spectral_form_with_or_without_noise(case, sigma_y):
    """Section 4: valid for sigma_y = 0, tall and rank-deficient H included."""
    case = case._replace(sigma_y=sigma_y)
    y = (case.H @ np.random.default_rng(8).standard_normal((len(case.mean), 3))).T
    mean, cov = _spectral_posterior(case, y)
    got = _prior(case).posterior(Dense(case.H), torch.as_tensor(y), sigma_y=sigma_y)
    assert relative(got.mean, mean) <= 1e-9
    # Where all is measured exactly nothing is left: compare with the prior, not with 0.
    assert largest(got.cov.numpy() - cov) <= 1e-9 * largest(case.cov)


@pytest.mark.parametrize("ratio", [0.0, 0.1])
@pytest.mark.parametrize("s", [1e-3, 1e-8, 1e-12])
def test_small_singular_values_count_as_much_as_their_noise_allows(s, ratio):
    """Section 4: only sigma_y / s matters; without noise s = 1e-12 is as good as 1."""
    rng, sigma_y = np.random.default_rng(13), ratio * s
    V, U = (np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2))
    case = CASES["tall"]
    prior, y_spec = _prior(case), rng.standard_normal((2, 2))
    got = prior.posterior(
        Dense(U[:, :2] * [1.0, s] @ V.T[:2]),
        torch.as_tensor(y_spec * [1.0, s] @ U[:, :2].T),
        sigma_y=sigma_y,
    )
    noise = np.diag([sigma_y**2, ratio**2])
    gain = case.cov @ V[:, :2] @ np.linalg.inv(V[:, :2].T @ case.cov @ V[:, :2] + noise)
    mean = case.mean + (y_spec - case.mean @ V[:, :2]) @ gain.T
    bound = 1e-13 / s  # rounding of y, in units of s
    assert largest(got.mean.numpy() - mean) <= bound
    assert largest(got.cov.numpy() - (case.cov - gain @ V[:, :2].T @ case.cov)) <= bound


@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_singular_prior_measured_in_two_ways_has_a_posterior(sigma_y):
    """S02.3: both measurements see the one direction in which the image varies."""
    direction = np.array([0.6, 0.0, 0.8])
    prior = GaussianPrior(torch.zeros(3), 2.5 * torch.as_tensor(np.outer(direction, direction)))
    H = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.5]])
    y = (H @ direction * 1.7)[None]
    got = prior.posterior(Dense(H), torch.as_tensor(y), sigma_y=sigma_y)
    seen = H @ direction  # y = seen * a + noise with a ~ N(0, 2.5)
    share = 1.0 if sigma_y == 0 else 2.5 * seen @ seen / (2.5 * seen @ seen + sigma_y**2)
    assert largest(got.mean[0].numpy() - share * 1.7 * direction) <= 1e-7
    assert largest(got.cov.numpy() - (1 - share) * 2.5 * np.outer(direction, direction)) <= 1e-7


NOISES = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]


@pytest.mark.parametrize("rank", [1, 6, 11, 12, None])
@pytest.mark.parametrize("H", exact_operators(12).values(), ids=exact_operators(12).keys())
def test_posterior_is_exact_at_small_noise(H, rank):
    """S02.3 against 80 digits: 1e-10 by a factor, the rounding of C over sigma_y^2 by ``cov``.

    The textbook's difference of covariances loses all digits here: relative errors of 1e6.
    """
    n, L = 12, random_factor(12, rank)
    known, rounded = GaussianPrior(np.zeros(n), factor=L), GaussianPrior(np.zeros(n), L @ L.T)
    unit = 10 * n * EPS * np.linalg.norm(L, 2) ** 2
    for sigma_y in NOISES:
        for prior, bound in ((known, 1e-10), (rounded, unit / sigma_y**2)):
            errors = posterior_errors(prior.posterior_map, L, H, sigma_y)
            assert max(errors[:3]) <= bound, (sigma_y, errors)
            assert errors.negative <= n * EPS


@pytest.mark.parametrize("rank", [1, 6, 11, 12])
@pytest.mark.parametrize("H", exact_operators(12).values(), ids=exact_operators(12).keys())
def test_exact_measurements_are_the_limit_of_small_noise(H, rank):
    """S02.3: sigma_y = 0 by the same formula; what was measured has no variance left."""
    L = random_factor(12, rank)
    for prior in (GaussianPrior(np.zeros(12), factor=L), GaussianPrior(np.zeros(12), L @ L.T)):
        errors = posterior_errors(prior.posterior_map, L, H, 0.0)
        assert max(errors[:3]) <= 1e-11, errors
        left = torch.as_tensor(H) @ prior.posterior_factor(Dense(H), sigma_y=0.0)[1]
        assert largest(left) <= 1e-14


def test_coordinates_of_very_different_sizes_are_exact_one_by_one():
    """Standard deviations from 100 to 1e-4 in one image: no small variance is lost by the large."""
    L = np.geomspace(1e2, 1e-4, 6)[:, None] * np.random.default_rng(0).standard_normal((6, 6))
    prior = GaussianPrior(np.zeros(6), L @ L.T)
    for sigma_y in NOISES:
        _, want = posterior_in_many_digits(L, np.eye(6), sigma_y)
        _, cov = prior.posterior_map(Denoising((6,)), sigma_y=sigma_y)
        assert largest(cov.numpy().diagonal() / want.diagonal() - 1) <= 1e-11


def test_a_prior_by_a_factor_is_the_prior_of_its_covariance():
    """Denoiser, score, density, axes and draws; also a factor with more columns than rows."""
    rng, x = np.random.default_rng(3), _draws(2, 3, 2, 2)
    mean, wide = rng.standard_normal((2, 2)), rng.standard_normal((4, 7))
    one, other = GaussianPrior(mean, factor=wide), GaussianPrior(mean, wide @ wide.T)
    for name in ("__call__", "score", "log_density"):
        got, want = (getattr(prior, name)(x, 0.3) for prior in (one, other))
        assert relative(got, want) <= 1e-12
    assert one.law.factor.shape == (4, 4)
    assert relative(one.law.factor @ one.law.factor.T, other.cov) <= 1e-14
    assert relative(one.cov, other.cov) <= 1e-14
    assert relative(one.eigenvalues, other.eigenvalues) <= 1e-13
    draws = one.sample(100_000, generator=torch.Generator().manual_seed(0))
    assert monte_carlo_error(draws, mean, one.cov) <= 5


@pytest.mark.parametrize("sigma_y", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("rank", [2, 6])
def test_mixture_weights_are_exact_at_small_noise(rank, sigma_y):
    """G03 in 80 digits: the evidence of components in planes, y explained by both of them."""
    H = exact_operators(8)["wide"]
    factors = [random_factor(8, rank, seed) for seed in (1, 2)]
    means = np.stack([np.zeros(8), factors[0][:, 0] - factors[1][:, 0]])
    y = H @ factors[0][:, 0] + sigma_y * np.array([0.3, -0.8, 0.5, 0.1])
    prior = GaussianMixture([0.4, 0.6], means, np.stack([L @ L.T for L in factors]))
    got = prior.posterior(Dense(H), torch.as_tensor(y[None]), sigma_y=sigma_y).weights[0]
    with mpmath.workdps(80):
        A, noise = mpmath.matrix(H.tolist()), mpmath.mpf(sigma_y) ** 2 * mpmath.eye(4)
        logs = []
        for pi, m, L in zip([0.4, 0.6], means, factors, strict=True):
            root = A * mpmath.matrix(L.tolist())
            cov, miss = root * root.T + noise, mpmath.matrix(y.tolist()) - A * mpmath.matrix(m)
            square = (miss.T * mpmath.inverse(cov) * miss)[0]
            logs.append(mpmath.log(pi) - mpmath.log(mpmath.det(cov)) / 2 - square / 2)
        want = 1 / (1 + mpmath.exp(logs[1] - logs[0]))
    assert 0.01 < want < 0.99
    # y is rounded by 1e-16, that is by 1e-10 standard deviations of the smallest noise.
    assert abs(got[0].item() - float(want)) <= 1e-13 + 1e-15 / sigma_y


def test_noiseless_posterior_satisfies_the_measurement():
    """S02.3: for sigma_y = 0 the posterior lives on {x : H x = y}."""
    case = CASES["rank-deficient"]
    op = Dense(case.H)
    y = op(_draws(9, 2, 5))
    mean, cov = _prior(case).posterior(op, y, sigma_y=0.0)
    torch.testing.assert_close(op(mean), y, atol=1e-10, rtol=0)
    assert largest(case.H @ cov.numpy() @ case.H.T) <= 1e-10


@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_repeated_measurements_count_as_often_as_they_are_made(sigma_y):
    """S09.7: measured k times with noise sigma_y is measured once with sigma_y / sqrt(k)."""
    case = CASES["wide"]
    y = _draws(10, 2, 4)
    prior = _prior(case)
    thrice = prior.posterior(Dense(np.tile(case.H, (3, 1))), y.repeat(1, 3), sigma_y=sigma_y)
    once = prior.posterior(Dense(case.H), y, sigma_y=sigma_y / math.sqrt(3))
    torch.testing.assert_close(thrice.mean, once.mean, atol=1e-9, rtol=0)
    torch.testing.assert_close(thrice.cov, once.cov, atol=1e-9, rtol=0)


@given(operators(), seeds, st.floats(0.05, 3))
def test_posterior_of_any_operator_is_the_information_form(operator, seed, sigma_y):
    """S02.3: structured operators with image shapes, H = 0 and tiny singular values included."""
    op, H = operator
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((op.n, 3))
    cov, mean = A @ A.T + 0.5 * np.eye(op.n), rng.standard_normal(op.n)
    y = torch.as_tensor(rng.standard_normal((2, *op.out_shape)))
    prior = GaussianPrior(torch.as_tensor(mean).reshape(op.in_shape), torch.as_tensor(cov))
    got = prior.posterior(op, y, sigma_y=sigma_y)
    want = np.linalg.inv(np.linalg.inv(cov) + H.T @ H / sigma_y**2)
    source = np.linalg.solve(cov, mean) + y.flatten(1).numpy() @ H / sigma_y**2
    assert got.mean.shape == (2, *op.in_shape)
    assert relative(got.cov, want) <= 1e-8
    assert relative(got.mean.flatten(1), source @ want) <= 1e-8


@given(operators(), seeds, st.sampled_from([0.0, 0.4]))
def test_posterior_is_the_posterior_map_applied_to_the_measurement(operator, seed, sigma_y):
    """Section 4: m + B (y_spec - V^T m); what was not measured has no say."""
    op, H = operator
    case = random_case(op.n, op.m, 1, sigma_y, seed=seed % 1000)
    prior = _prior(case, op.in_shape)
    y = torch.as_tensor(np.random.default_rng(seed).standard_normal((2, op.n)) @ H.T)
    gain, cov = prior.posterior_map(op, sigma_y=sigma_y)
    got = prior.posterior(op, y.reshape(2, *op.out_shape), sigma_y=sigma_y)
    y_spec = op.measure_spec(y.reshape(2, *op.out_shape)).flatten(1)
    mean_spec = op.Vt(prior.mean[None]).flatten(1)
    want = prior.mean.flatten() + (y_spec - mean_spec) @ gain.T
    assert largest(gain[:, op.s.expand(op.in_shape).flatten() == 0]) == 0
    assert torch.equal(got.cov, cov)
    assert relative(got.mean.flatten(1), want) <= 1e-12


def test_posterior_of_an_image_operator_has_the_shapes_of_images():
    """S02.1: mean (batch, *in_shape), cov (n, n), float64 even for a float32 measurement."""
    op = SuperResolution((1, 2, 4), 2)
    prior = GaussianPrior(torch.zeros(1, 2, 4), torch.eye(8))
    mean, cov = prior.posterior(op, torch.ones(3, 1, 1, 2), sigma_y=0.5)
    assert (mean.shape, cov.shape) == ((3, 1, 2, 4), (8, 8))
    assert mean.dtype == cov.dtype == torch.float64
    # Each pixel is 1/4 of a mean of variance 1/4 that is seen with variance 1/4: gain 1/2.
    torch.testing.assert_close(mean, torch.full_like(mean, 0.5), atol=1e-12, rtol=0)


@cases
def test_axes_and_eigenvalues_are_the_covariance(case):
    """Section 4: cov = axes diag(eigenvalues) axes^T with orthogonal axes."""
    prior = _prior(case)
    rebuilt = prior.axes @ prior.eigenvalues.diag() @ prior.axes.T
    assert relative(rebuilt, case.cov) <= 1e-13
    assert largest(prior.axes.T @ prior.axes - torch.eye(len(case.mean))) <= 1e-13
    assert torch.equal(prior.law.mean, prior.mean.flatten())
    assert torch.equal(prior.law.cov, prior.cov)


# --------------------------------------------------------------------------------------- draws


def test_draws_have_the_mean_and_full_covariance_of_the_prior():
    """Section 4: N = 100,000, 27 statistics, z <= 5."""
    N, case = 100_000, CASES["wide"]
    x = _prior(case, (1, 2, 3)).sample(N, generator=torch.Generator().manual_seed(11))
    assert (x.shape, x.dtype) == ((N, 1, 2, 3), torch.float64)
    centred, variance = x.flatten(1).numpy() - case.mean, np.diag(case.cov)
    spread = np.sqrt((np.outer(variance, variance) + case.cov**2) / N)
    z_cov = (centred.T @ centred / N - case.cov) / spread
    assert largest(centred.mean(0) / np.sqrt(variance / N), z_cov) <= 5


def test_a_draw_depends_on_its_own_generator_only():
    """One generator per image."""
    prior = _prior(CASES["wide"])
    seeds = lambda *numbers: [torch.Generator().manual_seed(k) for k in numbers]  # noqa: E731
    batch = prior.sample(3, generator=seeds(1, 2, 3))
    alone = prior.sample(1, generator=seeds(2))
    torch.testing.assert_close(alone[0], batch[1], atol=1e-13, rtol=0)


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("mean", "cov", "words"),
    [
        (torch.zeros(3), torch.eye(2), r"shape \(3, 3\)"),
        (torch.zeros(2), torch.tensor([[1.0, 0.3], [0.1, 1.0]]), "symmetric"),
        (torch.zeros(2), torch.diag(torch.tensor([1.0, -0.2])), "negative eigenvalues"),
        (torch.tensor([0.0, math.nan]), torch.eye(2), "mean must be finite"),
        (torch.zeros(2), torch.full((2, 2), math.inf), "cov must be finite"),
        (torch.zeros(2), None, "one of cov and factor.*but neither"),
    ],
)
def test_arrays_that_are_no_prior_are_refused(mean, cov, words):
    """Section 4: symmetric, without negative eigenvalues, of the size of the mean."""
    with pytest.raises(ValueError, match=words):
        GaussianPrior(mean, cov)


def test_operator_for_another_shape_is_refused():
    """The message gives both shapes, even where the number of entries agrees."""
    prior = GaussianPrior(torch.zeros(2, 2), torch.eye(4))
    op = Inpainting(torch.tensor([True, False, True, True]))
    with pytest.raises(ValueError, match=r"\(4,\).*\(2, 2\)"):
        prior.posterior(op, torch.zeros(1, 3), sigma_y=0.1)


@cases
def test_density_and_score_of_a_gaussian_are_those_of_torch(case):
    """S02.5: one component of a mixture, at sigma = 0 and above."""
    single = MixtureCase(np.ones(1), case.mean[None], case.cov[None])
    gaussian = lambda weights, means, covs: GaussianPrior(means[0], covs[0])  # noqa: E731
    for sigma in (0.0, 0.6):
        assert density_error(gaussian, single, sigma) <= 1e-12
        assert score_error(gaussian, single, sigma) <= 1e-12


@pytest.mark.parametrize("cov", [np.diag([2.0, 0.0]), np.ones((2, 2))])
def test_density_of_a_singular_gaussian_is_refused_at_level_0_only(cov):
    """S02.3: density and score exist as soon as there is noise."""
    prior, x = GaussianPrior(torch.zeros(2), torch.as_tensor(cov)), torch.ones(1, 2)
    for function in (prior.log_density, prior.score):
        with pytest.raises(ValueError, match="no density at sigma = 0"):
            function(x)
        assert function(x, 0.1).isfinite().all()


@given(st.integers(2, 6), seeds)
def test_covariance_that_is_singular_up_to_rounding_has_no_density(n, seed):
    """S02.3: whether rounding makes its smallest eigenvalue or pivot positive must not matter."""
    A = _draws(seed, n, n - 1)
    prior, x = GaussianPrior(torch.zeros(n), A @ A.T), torch.ones(1, n)
    with pytest.raises(ValueError, match="no density at sigma = 0"):
        prior.log_density(x)
    mixture = GaussianMixture(torch.ones(1), prior.mean[None], prior.cov[None])
    with pytest.raises(ValueError, match="no density under a component"):
        mixture.posterior(Dense(np.eye(n)), x, sigma_y=0.0)


# ------------------------------------------------------------------------------------ mixtures

counts, levels = st.integers(1, 4), st.floats(0.3, 3)


@given(counts, st.integers(1, 2), seeds, levels)
def test_mixture_denoiser_is_the_integral_over_clean_images(K, n, seed, sigma):
    """G03: against a sum over a grid whose error is below rounding."""
    assert denoiser_error(GaussianMixture, random_mixture(K, n, seed), sigma, seed=seed) <= 1e-11


def test_mixture_denoiser_is_the_integral_by_quadrature():
    """G03: two modes and a level at which both matter, with scipy's adaptive quadrature."""
    weights, means, stds = np.array([0.3, 0.7]), np.array([-1.0, 1.2]), np.array([0.4, 0.7])
    prior = GaussianMixture(weights, means[:, None], (stds**2)[:, None, None])
    sigma = 0.8
    for x in (-2.0, 0.1, 1.5):
        joint = lambda x0, x=x: weights @ norm.pdf(x0, means, stds) * norm.pdf(x, x0, sigma)  # noqa: E731
        first, mass = (
            quad(f, -8, 8, epsabs=1e-13, epsrel=1e-12)[0]
            for f in (lambda x0, p=joint: x0 * p(x0), joint)
        )
        got = prior(torch.tensor([[x]], dtype=torch.float64), sigma)
        assert abs(got.item() - first / mass) <= 1e-11 / mass


@given(counts, st.integers(1, 5), seeds, st.floats(0, 3))
def test_mixture_has_scipys_density_and_torchs_score(K, n, seed, sigma):
    """S02.5: at any level, sigma = 0 included."""
    case = random_mixture(K, n, seed)
    assert density_error(GaussianMixture, case, sigma, seed=seed) <= 1e-11
    assert score_error(GaussianMixture, case, sigma, seed=seed) <= 1e-10


@given(counts, st.integers(1, 5), seeds, st.floats(0.05, 3))
def test_mixture_denoiser_is_tweedies_formula(K, n, seed, sigma):
    """S02.5: x0_hat = x + sigma^2 times the gradient of the mixture's own log density."""
    prior = made(GaussianMixture, random_mixture(K, n, seed))
    x = (2 * _draws(seed, 3, n)).requires_grad_()
    (gradient,) = torch.autograd.grad(prior.log_density(x, sigma).sum(), x)
    x = x.detach()
    assert largest(prior(x, sigma) - (x + sigma**2 * gradient)) <= 1e-11


@given(counts, st.integers(1, 2), st.integers(1, 3), seeds, st.floats(0.1, 2))
def test_mixture_posterior_is_bayes_rule_on_a_grid(K, n, m, seed, sigma_y):
    """S02.3: mean and full covariance, for wide, square and tall H."""
    H = np.random.default_rng(seed).standard_normal((m, n))
    case = random_mixture(K, n, seed)
    assert posterior_error(GaussianMixture, case, H, sigma_y, seed=seed) <= 1e-10


@given(counts, operators(), seeds, st.floats(0.05, 2))
def test_mixture_weights_are_the_evidence_in_pixels(K, operator, seed, sigma_y):
    """G03: any H as a matrix, H = 0 and redundant rows included, against scipy."""
    H = operator.H
    case = random_mixture(K, H.shape[1], seed)
    # log N(y; ...) is a sum of about n squares of relative rounding eps cond.
    bound = 1e-13 * H.shape[1] * (1 + np.linalg.norm(H, 2) ** 2 / sigma_y**2)
    assert posterior_weights_error(GaussianMixture, case, H, sigma_y, seed=seed) <= bound


@given(operators(), seeds)
def test_mixture_posterior_of_any_operator_has_its_components_posteriors(operator, seed):
    """G03: structured operators with image shapes."""
    op, H = operator
    weights, means, covs = random_mixture(3, op.n, seed)
    prior = GaussianMixture(weights, means.reshape(3, *op.in_shape), covs)
    y = torch.as_tensor(np.random.default_rng(seed).standard_normal((2, *op.out_shape)))
    got = prior.posterior(op, y, sigma_y=0.3)
    assert got.means.shape == (2, 3, *op.in_shape)
    assert largest(got.weights.sum(1) - 1) <= 1e-14
    assert got.mean.shape == (2, *op.in_shape)
    assert got.cov.shape == (2, op.n, op.n)
    for k in range(3):
        want = np.linalg.inv(np.linalg.inv(covs[k]) + H.T @ H / 0.3**2)
        source = np.linalg.solve(covs[k], means[k]) + y.flatten(1).numpy() @ H / 0.3**2
        assert relative(got.covs[k], want) <= 1e-9
        assert relative(got.means[:, k].flatten(1), source @ want) <= 1e-9


@given(st.integers(1, 6), seeds, st.floats(0, 3))
def test_mixture_of_one_component_is_the_gaussian_prior(n, seed, sigma):
    """G03: denoiser, score, density, posterior and moments."""
    case = random_mixture(1, n, seed)
    mixture, gaussian = (
        made(GaussianMixture, case),
        GaussianPrior(*map(torch.as_tensor, case[1:]))
        if False
        else GaussianPrior(torch.as_tensor(case.means[0]), torch.as_tensor(case.covs[0])),
    )
    x, y = _draws(seed, 3, n), _draws(seed + 1, 3, 2)
    op = Dense(np.random.default_rng(seed).standard_normal((2, n)))
    assert relative(mixture(x, sigma), gaussian(x, sigma)) <= 1e-14
    assert relative(mixture.score(x, sigma), gaussian.score(x, sigma)) <= 1e-14
    assert relative(mixture.log_density(x, sigma), gaussian.log_density(x, sigma)) <= 1e-14
    assert relative(mixture.mean, gaussian.mean) <= 1e-14
    assert relative(mixture.cov, gaussian.cov) <= 1e-14
    got, want = (p.posterior(op, y, sigma_y=0.2) for p in (mixture, gaussian))
    assert relative(got.mean, want.mean) <= 1e-14
    assert relative(got.cov, want.cov.expand(3, n, n)) <= 1e-13


@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_repeated_measurements_weigh_the_components_as_often_as_they_are_made(sigma_y):
    """S09.7: k times with noise sigma_y is once with sigma_y / sqrt(k); sigma_y = 0 included."""
    H = CASES["wide"].H
    case = random_mixture(3, 6, seed=1)
    prior = made(GaussianMixture, case._replace(means=0.2 * case.means))
    y = prior.sample(2, generator=torch.Generator().manual_seed(1)) @ torch.as_tensor(H).T
    thrice = prior.posterior(Dense(np.tile(H, (3, 1))), y.repeat(1, 3), sigma_y=sigma_y)
    once = prior.posterior(Dense(H), y, sigma_y=sigma_y / math.sqrt(3))
    assert largest(thrice.weights - once.weights) <= 1e-9
    assert largest(once.weights) < 0.999, "a case in which the weights say something"


def test_noiseless_mixture_posterior_is_the_limit_of_small_noise():
    """S02.3: the weights are densities of y under H C_k H^T, the means satisfy H x = y."""
    case, H = random_mixture(3, 4, seed=6), CASES["square"].H[:2]
    prior, op = made(GaussianMixture, case), Dense(H)
    y = op(prior.sample(2, generator=torch.Generator().manual_seed(2)))
    assert posterior_weights_error(GaussianMixture, case, H, 0.0) <= 1e-11
    noiseless, noisy = (prior.posterior(op, y, sigma_y=sigma_y) for sigma_y in (0.0, 1e-6))
    for got, want in zip(noiseless, noisy, strict=True):
        torch.testing.assert_close(got, want, atol=1e-8, rtol=0)
    assert largest(op(noiseless.mean) - y) <= 1e-11
    assert largest(H @ noiseless.cov.numpy() @ H.T) <= 1e-11


def test_limits_of_the_mixture_denoiser_are_the_image_and_the_mean():
    """G03: nothing overflows, however small or large the level and however far the image."""
    prior = made(GaussianMixture, random_mixture(3, 4, seed=2))
    x = 2 * _draws(6, 3, 4)
    assert torch.equal(prior(x, 0.0), x)
    assert prior(x, 0.0).data_ptr() != x.data_ptr()
    for sigma in (1e-7, 1e-30, 1e-140):
        torch.testing.assert_close(prior(x, sigma), x, atol=1e-12, rtol=0)
    torch.testing.assert_close(prior(x, 1e9), prior.mean.expand(3, 4), atol=1e-8, rtol=0)
    assert prior(1e8 * x, 0.3).isfinite().all()


def test_points_are_told_apart_at_any_level():
    """G03: zero covariances, where densities at tiny levels differ by more than exp(1e200)."""
    points = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
    prior = GaussianMixture(torch.tensor([0.2, 0.3, 0.5]), points, torch.zeros(3, 2, 2))
    x = torch.tensor([[0.1, 0.8], [1.4, 1.7]], dtype=torch.float64)
    for sigma in (1e-2, 1e-8, 1e-100):
        assert torch.equal(prior(x, sigma), points[[0, 2]])


def test_mixture_draws_have_its_mean_and_full_covariance():
    """G03: N = 100,000, 12 statistics, z <= 5."""
    prior = GaussianMixture(*random_mixture(3, 3, seed=3))
    x = prior.sample(100_000, generator=torch.Generator().manual_seed(3))
    assert x.dtype == torch.float64
    assert monte_carlo_error(x, prior.mean, prior.cov) <= 5


def test_mixture_posterior_draws_have_its_mean_and_full_covariance():
    """S02.3: N = 100,000 draws for one y, 12 statistics, z <= 5."""
    prior = GaussianMixture(*random_mixture(3, 3, seed=4))
    posterior = prior.posterior(
        Dense(CASES["tall"].H[:2]), torch.tensor([[0.1, -0.3]]), sigma_y=0.4
    )
    assert largest(posterior.weights) < 0.95
    many = MixturePosterior(
        posterior.weights.expand(100_000, 3), posterior.means.expand(100_000, 3, 3), posterior.covs
    )
    x = many.sample(generator=torch.Generator().manual_seed(4))
    assert monte_carlo_error(x, posterior.mean[0], posterior.cov[0]) <= 5


def test_draws_choose_components_as_often_as_their_weights_say():
    """G03: N = 100,000 of well separated components, weight 0 included; z <= 5."""
    N, weights = 100_000, np.array([0.12, 0.0, 0.55, 0.33])
    prior = GaussianMixture(weights, 100.0 * torch.arange(4.0)[:, None], torch.ones(4, 1, 1))
    x = prior.sample(N, generator=torch.Generator().manual_seed(5))
    share = np.bincount((x[:, 0] / 100).round().int().numpy(), minlength=4) / N
    assert share[1] == 0
    assert largest((share - weights) / np.sqrt(weights * (1 - weights) / N + 1e-12)) <= 5


def test_mixture_acts_on_images_of_any_shape_and_dtype():
    """Row-major flattening; the result has the shape and dtype of x."""
    weights, means, covs = random_mixture(3, 6, seed=5)
    flat, shaped = (
        GaussianMixture(weights, means.reshape(3, *shape), covs) for shape in ((6,), (1, 2, 3))
    )
    x = _draws(5, 2, 6)
    images = x.reshape(2, 1, 2, 3)
    for name in ("__call__", "score", "log_density"):
        want, got = (getattr(p, name)(x, 0.5) for p, x in ((flat, x), (shaped, images)))
        torch.testing.assert_close(got, want.reshape(got.shape), atol=1e-13, rtol=0)
    assert shaped(images, 0.5).shape == images.shape
    single = shaped(images.float(), 0.5)
    assert single.dtype == shaped.score(images.float(), 0.5).dtype == torch.float32
    torch.testing.assert_close(single.double(), shaped(images, 0.5), atol=1e-6, rtol=0)


def test_a_mixture_draw_depends_on_its_own_generator_only():
    """One generator per image chooses the component, too."""
    prior = GaussianMixture(*random_mixture(3, 4, seed=7))
    seeds = lambda *numbers: [torch.Generator().manual_seed(k) for k in numbers]  # noqa: E731
    batch = prior.sample(3, generator=seeds(1, 2, 3))
    alone = prior.sample(1, generator=seeds(2))
    torch.testing.assert_close(alone[0], batch[1], atol=1e-13, rtol=0)


# ---------------------------------------------------------------------------- finite sets of images


@given(st.integers(1, 9), st.integers(1, 6), seeds, st.floats(0.1, 5))
def test_empirical_denoiser_is_bayes_rule_image_by_image(N, n, seed, sigma):
    """G03: softmax of -|x - x_i|^2 / 2 sigma^2."""
    images = np.random.default_rng(seed).standard_normal((N, n))
    assert empirical_denoiser_error(EmpiricalPrior, images, sigma) <= 1e-11


@given(st.integers(2, 6), seeds, st.floats(0.2, 3), st.floats(1e-6, 2))
def test_empirical_prior_is_a_mixture_of_tiny_gaussians(N, seed, sigma, delta):
    """G03: covariances delta^2 I only blur: x0_hat is then E at sqrt(sigma^2 + delta^2), moved
    towards x by delta^2 / (delta^2 + sigma^2)."""
    images, x = _draws(seed, N, 1, 2, 2), _draws(seed + 1, 3, 1, 2, 2)
    mixture = GaussianMixture(
        torch.full((N,), 1 / N), images, delta**2 * torch.eye(4).expand(N, 4, 4).double()
    )
    level, gain = math.hypot(sigma, delta), delta**2 / (delta**2 + sigma**2)
    prior = EmpiricalPrior(images)
    want = (1 - gain) * prior(x, level) + gain * x
    torch.testing.assert_close(mixture(x, sigma), want, atol=1e-11, rtol=0)
    torch.testing.assert_close(
        mixture.log_density(x, sigma), prior.log_density(x, level), atol=1e-11, rtol=0
    )
    torch.testing.assert_close(mixture.score(x, sigma), prior.score(x, level), atol=1e-10, rtol=0)


@given(st.integers(1, 9), st.integers(1, 4), seeds, st.floats(0.1, 3))
def test_empirical_score_is_the_gradient_of_its_density(N, n, seed, sigma):
    """S02.5, Tweedie; the density by scipy."""
    prior = EmpiricalPrior(_draws(seed, N, n))
    x = _draws(seed + 1, 3, n).requires_grad_()
    (gradient,) = torch.autograd.grad(prior.log_density(x, sigma).sum(), x)
    bound = 1e-13 * N * (1 + largest(x.detach()) + largest(prior.images)) / sigma**2
    assert largest(prior.score(x.detach(), sigma) - gradient) <= bound
    points = MixtureCase(np.full(N, 1 / N), prior.images.numpy(), np.zeros((N, n, n)))
    want = log_mixture(points, x.detach().numpy(), sigma)
    assert relative(prior.log_density(x.detach(), sigma), want) <= 1e-11


def test_small_noise_leads_to_the_nearest_image_exactly():
    """G03: from sigma = 0.01 down to 0 no other image counts, and equally near ones share."""
    images = torch.tensor([[0.0, 1.0], [1.0, 0.0], [4.0, 4.0]], dtype=torch.float64)
    prior = EmpiricalPrior(images)
    x = torch.tensor([[0.1, 0.7], [3.0, 2.9], [0.25, 0.25]], dtype=torch.float64)
    want = torch.stack([images[0], images[2], images[:2].mean(0)])
    for sigma in (0.01, 1e-9, 1e-200, 0.0):
        assert torch.equal(prior(x, sigma), want)


def test_large_noise_leads_to_the_mean_of_the_set():
    """G03: sigma -> inf."""
    prior = EmpiricalPrior(_draws(0, 50, 3))
    want = prior.images.mean(0).expand(2, 3)
    torch.testing.assert_close(prior(_draws(1, 2, 3), 1e8), want, atol=1e-13, rtol=0)


def test_image_beside_a_neighbour_far_from_the_origin_is_still_told_from_it():
    """G03: |x - x_i|^2 from differences; |x|^2 - 2 x x_i + |x_i|^2 would lose all digits."""
    images = 1e6 + torch.tensor([[0.0], [1e-3]], dtype=torch.float64)
    got = EmpiricalPrior(images)(images[:1], 5e-4)
    weight = 1 / (1 + math.exp(-2.0))
    want = 1e6 + 1e-3 * (1 - weight)
    assert abs(got.item() - want) <= 1e-9  # rounding of numbers of size 1e6, a few times


def test_large_sets_need_no_array_of_differences():
    """A few times (batch, N) numbers, however large the images; differences would be (4, N, n)."""
    N, batch = 2000, 4
    images = _draws(2, N, 3, 16, 16)
    prior, x = EmpiricalPrior(images), images[:batch].clone()
    few = 8 * 8 * batch * N + 4 * x.nbytes
    assert few < images.nbytes / 20
    assert 8 * batch * N <= peak_bytes(lambda: prior(x, 0.2)) <= few


@given(st.integers(3, 9), st.integers(1, 4), st.integers(1, 5), seeds, st.floats(0.05, 2))
def test_empirical_posterior_is_bayes_rule_image_by_image(N, n, m, seed, sigma_y):
    """S02.3: weights for wide, square and tall H."""
    rng = np.random.default_rng(seed)
    images, H = rng.standard_normal((N, n)), rng.standard_normal((m, n))
    # The exponent |y - H x|^2 / 2 sigma_y^2 is rounded, so the weight is off by as much.
    bound = 1e-14 * (1 + np.linalg.norm(H) ** 2 * n) / sigma_y**2 + 1e-13
    assert empirical_posterior_error(EmpiricalPrior, images, H, sigma_y) <= bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_measurement_leaves_the_images_that_agree_with_it(dtype):
    """S02.3 at sigma_y = 0: two images that differ only where nothing is seen share the weight."""
    op = SuperResolution((1, 4, 4), 2)
    images = _draws(3, 6, 1, 4, 4)
    hidden = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)
    images[4] = images[1] + 0.7 * hidden
    posterior = EmpiricalPrior(images).posterior(op, op(images[[1, 3]].to(dtype)), sigma_y=0.0)
    want = torch.zeros(2, 6, dtype=torch.float64)
    want[0, [1, 4]], want[1, 3] = 0.5, 1.0
    assert torch.equal(posterior.weights, want)
    assert torch.equal(posterior.mean[0], (images[1] + images[4]) / 2)
    noisy = EmpiricalPrior(images).posterior(op, op(images[[1, 3]]), sigma_y=1e-4)
    torch.testing.assert_close(noisy.weights, want, atol=1e-9, rtol=0)


def test_exact_measurement_of_another_image_is_refused():
    """S02.3: no image of the set can have made it."""
    prior, op = EmpiricalPrior(_draws(4, 5, 3)), Dense([[1.0, 0.3, 0.0]])
    y = torch.cat([op(prior.images[:1]), op(prior.images[1:2]) + 1e-3])
    with pytest.raises(ValueError, match=r"only images with H x = y.*misses it by 0\.001"):
        prior.posterior(op, y, sigma_y=0.0)
    assert prior.posterior(op, y, sigma_y=1e-3).weights.isfinite().all()


def test_empirical_draws_are_images_of_the_set_equally_often():
    """G03: N = 100,000 of 7 images, z <= 5; for a posterior as often as its weights say."""
    N, images = 100_000, 10.0 * torch.arange(7.0)[:, None]
    prior = EmpiricalPrior(images)
    drawn = prior.sample(N, generator=torch.Generator().manual_seed(6))
    _frequencies(drawn, np.full(7, 1 / 7))
    z = torch.randn(N, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    share = norm.cdf(z.numpy())  # to rounding, where chance would hide 2 %
    assert np.array_equal(drawn[:, 0].numpy(), 10 * np.floor(7 * share))
    y = torch.full((N, 1), 22.0)
    posterior = prior.posterior(Dense([[1.0]]), y, sigma_y=6.0)
    drawn = posterior.sample(generator=torch.Generator().manual_seed(7))
    _frequencies(drawn, posterior.weights[0].numpy())


def _frequencies(drawn, weights):
    share = np.bincount((drawn[:, 0] / 10).int().numpy(), minlength=len(weights)) / len(drawn)
    assert largest((share - weights) / np.sqrt(weights * (1 - weights) / len(drawn))) <= 5


def test_empirical_prior_keeps_shape_and_dtype():
    """float32 in, float32 out; arrays of numpy are images, too."""
    images = np.random.default_rng(0).standard_normal((4, 2, 3))
    x = torch.zeros(5, 2, 3)
    got = EmpiricalPrior(images)(x, 0.5)
    assert (got.shape, got.dtype) == ((5, 2, 3), torch.float32)
    assert EmpiricalPrior(images).score(x, 0.5).dtype == torch.float32
    assert EmpiricalPrior(images).sample(6).shape == (6, 2, 3)


# ------------------------------------------------------------------------ bad input of the others


@pytest.mark.parametrize(
    ("weights", "means", "covs", "words"),
    [
        ([0.5, 0.5], torch.zeros(3, 2), torch.zeros(2, 2, 2), r"one K.*\(2,\), \(3, 2\)"),
        ([0.5, 0.5], torch.zeros(2), torch.zeros(2, 1, 1), "one K"),
        ([1.0], torch.zeros(1, 2), torch.eye(2), "leading dimension"),
        ([], torch.zeros(0, 2), torch.zeros(0, 2, 2), "one K"),
        ([0.5, 0.4], torch.zeros(2, 2), torch.zeros(2, 2, 2), "sum 0.9"),
        ([1.5, -0.5], torch.zeros(2, 2), torch.zeros(2, 2, 2), "range from -0.5"),
        ([0.5, math.nan], torch.zeros(2, 2), torch.zeros(2, 2, 2), "probabilities"),
        ([0.5, 0.5], torch.zeros(2, 2), torch.zeros(2, 3, 3), r"cov must have shape \(2, 2\)"),
        ([0.5, 0.5], torch.zeros(2, 2), -torch.ones(2, 2, 2), "negative eigenvalues"),
        ([0.5, 0.5], torch.full((2, 2), math.inf), torch.zeros(2, 2, 2), "mean must be finite"),
    ],
)
def test_arrays_that_are_no_mixture_are_refused(weights, means, covs, words):
    """G03: one weight, mean and covariance for each component."""
    with pytest.raises(ValueError, match=words):
        GaussianMixture(torch.tensor(weights), means, covs)


def test_weights_of_float32_are_probabilities():
    """0.1 ten times is not 1 in float32; the weights are normalised exactly."""
    prior = GaussianMixture(torch.full((10,), 0.1), torch.zeros(10, 1), torch.ones(10, 1, 1))
    assert abs(prior.weights.sum().item() - 1) <= 1e-15


def test_exact_measurement_of_singular_components_is_refused():
    """S02.3: y has no density under a component that does not vary where it was measured."""
    prior = GaussianMixture(
        torch.tensor([0.5, 0.5]), torch.eye(2), torch.diag(torch.tensor([1.0, 0.0])).expand(2, 2, 2)
    )
    y = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"no density under a component.*sigma_y = 0"):
        prior.posterior(Dense([[0.0, 1.0]]), y, sigma_y=0.0)
    assert prior.posterior(Dense([[1.0, 0.0]]), y, sigma_y=0.0).mean.isfinite().all()
    assert prior.posterior(Dense([[0.0, 1.0]]), y, sigma_y=0.1).mean.isfinite().all()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(0, 3), r"at least one image.*\(0, 3\)"),
        (torch.zeros(3), "A single image"),
        (torch.full((2, 3), math.nan), "images must be finite"),
    ],
)
def test_arrays_that_are_no_set_of_images_are_refused(images, words):
    with pytest.raises(ValueError, match=words):
        EmpiricalPrior(images)


def test_finite_set_has_no_density_without_noise():
    """S02.5: neither density nor score at sigma = 0."""
    prior = EmpiricalPrior(torch.zeros(1, 2))
    for function in (prior.log_density, prior.score):
        with pytest.raises(ValueError, match="A finite set of images has no density"):
            function(torch.ones(1, 2), 0.0)


PRIORS = {
    "gaussian": GaussianPrior(torch.zeros(2, 2), torch.eye(4)),
    "mixture": GaussianMixture(torch.ones(1), torch.zeros(1, 2, 2), torch.eye(4)[None]),
    "empirical": EmpiricalPrior(torch.zeros(1, 2, 2)),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_every_prior_refuses_wrong_images_levels_and_operators(prior):
    """One contract: shapes and levels are checked by each method."""
    x, op = torch.zeros(1, 2, 2), Inpainting(torch.tensor([[True, False], [True, True]]))
    for function in (prior, prior.log_density, prior.score):
        with pytest.raises(ValueError, match=r"x must have shape \(batch, 2, 2\)"):
            function(torch.zeros(1, 4), 0.5)
        with pytest.raises(ValueError, match="sigma is a standard deviation"):
            function(x, -1.0)
    with pytest.raises(ValueError, match="y must have shape"):
        prior.posterior(op, torch.zeros(1, 4), sigma_y=0.1)
    with pytest.raises(ValueError, match="y must be finite"):
        prior.posterior(op, torch.full((1, 3), math.inf), sigma_y=0.1)
    with pytest.raises(ValueError, match=r"\(3,\).*\(2, 2\)"):
        prior.posterior(Dense(np.eye(3)), torch.zeros(1, 3), sigma_y=0.1)


# ------------------------------------------------------------------ edges that no draw reaches


def _mixture() -> GaussianMixture:
    means = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    return GaussianMixture(torch.tensor([0.3, 0.7]), means, torch.stack([torch.eye(2)] * 2))


def test_density_of_a_mixture_is_that_of_clean_images_by_default():
    mixture, x = _mixture(), _draws(0, 3, 2)
    assert torch.equal(mixture.log_density(x), mixture.log_density(x, 0.0))
    assert not torch.equal(mixture.log_density(x), mixture.log_density(x, 1.0))


def test_images_of_another_shape_are_refused_at_level_0_too():
    """There the denoiser returns its argument without looking at the prior."""
    with pytest.raises(ValueError, match="must have shape"):
        _mixture()(torch.zeros(3, 5), 0.0)


@pytest.mark.parametrize(
    ("K", "others"), [(1, (2, 2)), (3, (2, 2)), (2, (2, 1)), (2, (2, 3)), (2, (1, 2)), (2, (3, 2))]
)
def test_parts_of_a_mixture_must_be_equal_in_number(K, others):
    """Too few or too many weights, means or covariances."""
    weights = torch.full((K,), 1 / K)
    means, covs = torch.zeros(others[0], 2), torch.stack([torch.eye(2)] * others[1])
    with pytest.raises(ValueError, match="weights"):
        GaussianMixture(weights, means, covs)


def test_operators_of_larger_and_smaller_images_are_refused():
    small, large = (GaussianPrior(torch.zeros(n), torch.eye(n)) for n in (2, 3))
    for prior, n in ((small, 3), (large, 2)):
        with pytest.raises(ValueError, match="shape"):
            prior.posterior(Dense(np.eye(n)), torch.zeros(1, n), sigma_y=0.1)


def test_draws_of_a_singular_posterior_are_numbers():
    """Eigenvalues that rounding made negative count as 0."""
    for seed in range(20):
        v = _draws(seed, 6, 2)
        cov = v @ v.T
        posterior = MixturePosterior(torch.ones(4, 1).double(), _draws(seed, 4, 1, 6), cov[None])
        x = posterior.sample(generator=torch.Generator().manual_seed(seed))
        assert x.isfinite().all()


def test_finite_sets_tell_measurements_apart_as_far_as_rounding_allows():
    """The tolerance is that of H x: the size of the images times that of H, neither alone."""
    images = torch.tensor([[1e3, 0.0, 0.0], [1e3, 1e-10, 0.0], [0.0, 1e3, 0.0]]).double()
    prior, op = EmpiricalPrior(images), Dense(1e-3 * np.eye(3))
    weights = prior.posterior(op, op(images[1:2]), sigma_y=0.0).weights
    assert weights.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_finite_sets_find_an_image_whose_measurement_was_computed_otherwise(seed):
    """y from the matrix, H x from its decomposition: equal up to the rounding of large numbers."""
    images, H = 1e4 * _draws(seed, 4, 6), _draws(seed + 50, 5, 6)
    weights = EmpiricalPrior(images).posterior(Dense(H), images[2:3] @ H.T, sigma_y=0.0).weights
    assert weights.tolist() == [[0, 0, 1, 0]]

"""Gaussian priors: the exact denoiser and the exact posterior (slide 2, ledger section 4)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import largest, posterior_law, random_case, relative
from strategies import operators, seeds

from ddrm_edu import Dense, GaussianPrior, Inpainting, SuperResolution
from ddrm_edu.denoisers import score_from_x0

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

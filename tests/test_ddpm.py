"""DDPM and DDIM (slides 3-7): the posterior kernel, Algorithm 1 and its exact law."""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    bures,
    ddim_law,
    ddpm_law_error,
    default_schedule,
    gaussian_eps_network,
    known_noise,
    largest,
    posterior_kernel_error,
    probed_ddpm_law,
    random_case,
    relative,
)

from ddrm_edu import (
    Dense,
    EpsDenoiser,
    GaussianPrior,
    NoiseSchedule,
    ddpm_samples,
    ddrm_coefficients,
    ddrm_samples,
)
from ddrm_edu.ddpm import ddim_coefficients

EPS = torch.finfo(torch.float64).eps
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]
CASE = random_case(4, 1, 1, 0.1, seed=0)  # only its prior is used here
PRIOR = GaussianPrior(torch.as_tensor(CASE.mean), torch.as_tensor(CASE.cov))

# Not closer than a part in 1000, so that 1 - (sigma_next / sigma)^2 keeps 13 digits.
ratios = st.just(0.0) | st.floats(1e-6, 0.999)
pairs = st.tuples(st.floats(0.001, 200), ratios).map(lambda p: (p[0], p[0] * p[1]))


# ----------------------------------------------------------------------------------- the kernel


@given(pairs)
def test_ddpm_step_is_the_exact_posterior_kernel(pair):
    """S05.3: q(x_t | x_{t+1}, x_0) conditioned by brute force from the joint law of the chain."""
    assert posterior_kernel_error(ddim_coefficients, *pair) <= 1e-12


@given(pairs)
def test_ddpm_step_is_the_papers_formula_in_other_coordinates(pair):
    """S05.3: mu-tilde and beta-tilde with x_VP = sqrt(alpha_bar) x_VE; beta of the jump."""
    sigma, sigma_next = pair
    a, b = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    one_minus_a, one_minus_b = sigma**2 * a, sigma_next**2 * b  # without cancellation
    alpha = a / b
    beta = (sigma**2 - sigma_next**2) / (1 + sigma**2)
    x0, xt, y, noise = (number.item() for number in ddim_coefficients(*pair, eta_ddim=1.0))
    assert math.sqrt(b) * x0 == pytest.approx(math.sqrt(b) * beta / one_minus_a, abs=1e-12)
    # mu-tilde's weight of x_{t+1} in VP coordinates, times sqrt(a), is sqrt(b) times that in VE.
    want = math.sqrt(alpha) * one_minus_b / one_minus_a
    assert math.sqrt(b) * xt == pytest.approx(want * math.sqrt(a), abs=1e-12)
    assert b * noise**2 == pytest.approx(one_minus_b / one_minus_a * beta, abs=1e-12)
    assert y == 0


@given(pairs, st.floats(0, 1))
def test_every_ddim_step_keeps_the_marginals(pair, eta_ddim):
    """X07, S12.1: x0 + xt = 1 and the variances add up to sigma_next^2 for every eta_ddim."""
    sigma, sigma_next = pair
    x0, xt, y, noise = (number.item() for number in ddim_coefficients(*pair, eta_ddim=eta_ddim))
    assert x0 + xt + y == pytest.approx(1, abs=4 * EPS)
    variance = (xt * sigma) ** 2 + noise**2
    assert variance == pytest.approx(sigma_next**2, abs=20 * EPS * sigma_next**2)


@given(pairs)
def test_ddim_with_eta_zero_is_deterministic(pair):
    """X07: no fresh noise, all of the old noise is kept: xt = sigma_next / sigma."""
    c = ddim_coefficients(*pair, eta_ddim=0.0)
    assert c.noise.item() == 0
    assert c.xt.item() == pytest.approx(pair[1] / pair[0], rel=4 * EPS, abs=0)


@given(pairs, st.floats(0, 1))
def test_ddrm_with_zero_singular_values_is_ddim(pair, eta_ddim):
    """X07: eta_DDRM = eta_DDIM sqrt(1 - sigma_next^2 / sigma^2), in each step another."""
    sigma, sigma_next = pair
    eta = eta_ddim * math.sqrt(1 - (sigma_next / sigma) ** 2)
    nothing = torch.zeros(1, dtype=torch.float64)
    ddrm = ddrm_coefficients(nothing, sigma, sigma_next, 0.37, eta=eta, eta_b=0.6)
    ddim = ddim_coefficients(sigma, sigma_next, eta_ddim=eta_ddim)
    assert largest(*(a - b for a, b in zip(ddrm[:3], ddim[:3], strict=True))) <= 1e-14
    assert abs(ddrm.noise - ddim.noise).item() <= 1e-14 * sigma_next


def test_a_fixed_eta_of_ddrm_is_not_a_fixed_eta_of_ddim():
    """X07, S19.3: at eta = 0.85 both rows differ visibly."""
    ddrm = ddrm_coefficients(torch.zeros(1), 1.0, 0.9, 0.1, eta=0.85, eta_b=1.0)
    ddim = ddim_coefficients(1.0, 0.9, eta_ddim=0.85)
    assert abs(ddrm.noise - ddim.noise).item() > 0.3


def test_coefficients_are_four_float64_numbers_and_y_is_none():
    """S07.1: nothing was measured; levels may be numbers or tensors."""
    for levels in ((1.7, 0.6), (torch.tensor(1.7).double(), torch.tensor(0.6).double())):
        c = ddim_coefficients(*levels, eta_ddim=0.4)
        assert all(number.shape == () and number.dtype == torch.float64 for number in c)
    assert c.y.item() == 0


@pytest.mark.parametrize("eta_ddim", [-0.1, 1.1, math.nan])
def test_eta_outside_the_unit_interval_is_refused(eta_ddim):
    """X07: by the coefficients, and by the sampler before its first step."""
    with pytest.raises(ValueError, match=r"eta_ddim must lie in \[0, 1\]"):
        ddim_coefficients(1.0, 0.5, eta_ddim=eta_ddim)
    with pytest.raises(ValueError, match=r"eta_ddim must lie in \[0, 1\]"):
        ddpm_samples(PRIOR, (1, 4), LEVELS, eta_ddim=eta_ddim)


# -------------------------------------------------------------------------------------- the law


@pytest.mark.parametrize("eta_ddim", [1.0, 0.6, 0.0])
def test_law_equals_the_bruteforce_recursion(eta_ddim):
    """S07.1: mean and FULL covariance of all steps, cross-time too, against the VP form."""
    assert ddpm_law_error(ddpm_samples, CASE.mean, CASE.cov, LEVELS, eta_ddim=eta_ddim) <= 1e-10


@pytest.mark.parametrize("steps", [1, 2, 12])
def test_law_holds_for_the_levels_of_a_schedule(steps):
    """S07.1: from a first level of 157 down to 0."""
    levels = NoiseSchedule.linear().sigmas(steps, "trailing")
    assert ddpm_law_error(ddpm_samples, CASE.mean, CASE.cov, levels, eta_ddim=1.0) <= 1e-10


def _relative_w2(law, mean, cov):
    n = len(mean)
    squared = np.sum((law.offset[-n:] - mean) ** 2) + bures(law.cov[-n:, -n:], cov)
    return math.sqrt(squared / np.trace(cov))


def test_output_of_ddpm_converges_to_the_data():
    """S04.3, S07.1: the exact law's distance W2 to the data falls to 0 as T grows."""
    mean, cov = np.array([0.4, -0.9]), np.array([[1.0, 0.6], [0.6, 0.5]])
    distances = []
    for steps in (5, 20, 80, 320):
        levels = NoiseSchedule.linear().sigmas(steps, "trailing")
        law = probed_ddpm_law(ddpm_samples, mean, cov, levels, eta_ddim=1.0)
        distances.append(_relative_w2(law, mean, cov))
    assert all(late < early / 2 for early, late in itertools.pairwise(distances))
    assert distances[-1] < 0.02


def test_reverse_kernels_are_isotropic_though_the_exact_ones_are_not():
    """S04.3: with few steps the output of an anisotropic Gaussian is off, by the kernel's shape."""
    mean, cov = np.zeros(2), np.diag([1.0, 0.01])
    law = ddim_law(mean, cov, NoiseSchedule.linear().sigmas(5, "trailing"), 1.0)
    assert _relative_w2(law, mean, cov) > 0.1


def test_samples_have_the_mean_and_covariance_of_the_law():
    """S07.1: Monte Carlo, N = 40,000, all 5 steps jointly; 230 statistics, z <= 5 (p < 2e-4)."""
    N, levels = 40_000, [20.0, 5.0, 1.1, 0.9, 0.2, 0.0]
    law = ddim_law(CASE.mean, CASE.cov, levels, 1.0)
    generator = torch.Generator().manual_seed(1)
    run = ddpm_samples(PRIOR, (N, 4), levels, generator=generator, dtype=torch.float64)
    path = torch.cat([step.x for step in run], dim=1).numpy()
    variance = np.diag(law.cov)
    centred = path - law.offset
    z_mean = centred.mean(0) / np.sqrt(variance / N)
    spread = np.sqrt((np.outer(variance, variance) + law.cov**2) / N)
    assert largest(z_mean, (centred.T @ centred / N - law.cov) / spread) <= 5


# ------------------------------------------------------------------------------------ Algorithm 1


def literal_algorithm_1(net, schedule, times, noise):
    """Slide 7 word by word, in VP coordinates, but started from sigma_T z as documented."""
    abar = schedule.alpha_bar
    x = torch.sqrt(1 - abar[times[0]]) * noise[0]  # the slide: x_T ~ N(0, I)
    for k, (t, before) in enumerate(zip(times, [*times[1:], 0], strict=True)):
        eps = net(x, torch.full((len(x),), t - 1))
        x_theta = (x - torch.sqrt(1 - abar[t]) * eps) / torch.sqrt(abar[t])
        alpha = abar[t] / abar[before]
        beta = 1 - alpha
        mean = torch.sqrt(abar[before]) * beta / (1 - abar[t]) * x_theta
        mean = mean + torch.sqrt(alpha) * (1 - abar[before]) / (1 - abar[t]) * x
        variance = (1 - abar[before]) / (1 - abar[t]) * beta
        x = mean + torch.sqrt(variance) * noise[k + 1]
        yield x / torch.sqrt(abar[before])


@pytest.mark.parametrize("steps", [1, 6, 120])
def test_literal_algorithm_1_with_a_vp_network_is_the_sampler(steps):
    """S07.1, S19.2, X08: for the same noise, at every step; 1 - alpha_bar costs a few digits."""
    schedule = default_schedule()
    net = gaussian_eps_network(CASE.mean, CASE.cov, schedule)
    noise = torch.randn(steps + 1, 2, 4, generator=torch.Generator().manual_seed(2)).double()
    theirs = literal_algorithm_1(net, schedule, schedule.timesteps(steps), noise)
    with known_noise(noise):
        levels = schedule.sigmas(steps)
        mine = ddpm_samples(EpsDenoiser(net, schedule), (2, 4), levels, dtype=torch.float64)
        errors = [relative(step.x, x) for x, step in zip(theirs, mine, strict=True)]
    assert largest(errors) <= 1e-10


def test_start_differs_from_slide_7_by_the_documented_ratio():
    """S04.2: sigma_T against sqrt(1 + sigma_T^2), 2e-5 for the schedule of DDPM."""
    sigma_T = NoiseSchedule.linear().sigma[-1].item()
    assert math.sqrt(1 + sigma_T**2) / sigma_T - 1 == pytest.approx(2.02e-5, rel=1e-2)
    z = torch.ones(3, 2, 4, dtype=torch.float64)
    with known_noise(z):
        seen = []
        run = ddpm_samples(
            lambda x, sigma: seen.append(x.clone()) or x, (2, 4), [7.0, 2.0, 0.0], dtype=z.dtype
        )
        list(run)
    assert torch.equal(seen[0], 7.0 * z[0])


# ------------------------------------------------------------------------------------- one run


def test_steps_count_down_to_the_clean_image():
    """S07.1: one Step per evaluation, shape, dtype and device as asked."""
    steps = list(ddpm_samples(PRIOR, (3, 4), LEVELS, dtype=torch.float64))
    assert [step.t for step in steps] == [6, 5, 4, 3, 2, 1, 0]
    assert [step.sigma.item() for step in steps] == LEVELS[1:]
    assert all(step.x.shape == (3, 4) and step.x.dtype == torch.float64 for step in steps)
    torch.testing.assert_close(steps[-1].x, steps[-1].x0_hat, atol=0, rtol=0)


def test_defaults_are_ddpm_in_float32():
    """S07.1: eta_ddim = 1 and single precision unless asked for otherwise."""
    defaults = inspect.signature(ddpm_samples).parameters
    assert defaults["eta_ddim"].default == 1.0
    *_, last = ddpm_samples(PRIOR, (2, 4), LEVELS)
    assert last.x.dtype == torch.float32


def test_samples_live_on_the_device_asked_for():
    """S07.1: the meta device stands for any other than the CPU."""
    for step in ddpm_samples(lambda x, sigma: x / 2, (2, 4), LEVELS, device="meta"):
        assert step.x.device.type == step.x0_hat.device.type == "meta"
        assert step.sigma.device.type == "cpu"


def test_deterministic_sampling_depends_on_the_start_only():
    """X07: with eta_ddim = 0 the noise of later steps is not used."""
    noise = torch.randn(8, 2, 4, generator=torch.Generator().manual_seed(3)).double()
    results = []
    for later in (1.0, -3.0):
        with known_noise(torch.cat([noise[:1], later * noise[1:]])):
            *_, last = ddpm_samples(PRIOR, (2, 4), LEVELS, eta_ddim=0.0, dtype=torch.float64)
            results.append(last.x)
    assert torch.equal(*results)


def test_one_image_does_not_depend_on_its_batch():
    """One generator per image."""
    seeds = [torch.Generator().manual_seed(k) for k in range(3)]
    *_, batch = ddpm_samples(PRIOR, (3, 4), LEVELS, generator=seeds, dtype=torch.float64)
    alone = torch.Generator().manual_seed(2)
    *_, one = ddpm_samples(PRIOR, (1, 4), LEVELS, generator=[alone], dtype=torch.float64)
    torch.testing.assert_close(one.x[0], batch.x[2], atol=1e-12, rtol=0)


def test_run_of_ddrm_that_measures_nothing_is_a_run_of_ddim():
    """X07: H = 0, the whole run for the same noise."""
    levels, H = [9.0, 2.0, 0.0], np.zeros((1, 4))
    op, eta_ddim = Dense(H), 0.7
    noise = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(4)).double()
    # With H = 0 the spectral coordinates are pixels (up to a rotation of the noise), so V is used.
    rotated = torch.stack([op.V(z) for z in noise])
    with known_noise(rotated):
        *_, ddim = ddpm_samples(PRIOR, (2, 4), levels, eta_ddim=eta_ddim, dtype=torch.float64)
    eta = eta_ddim * math.sqrt(1 - (2 / 9) ** 2)  # of the first step; the last has no noise
    with known_noise(noise):
        y = torch.zeros(2, 1, dtype=torch.float64)
        *_, ddrm = ddrm_samples(PRIOR, op, y, levels, sigma_y=0.3, eta=eta)
    torch.testing.assert_close(ddrm.x, ddim.x, atol=1e-12, rtol=0)

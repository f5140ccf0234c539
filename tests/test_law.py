"""The exact law of a sampler by three routes, its gap to the posterior, and its limits."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    AffineLaw,
    GaussianCase,
    ddim_law,
    ddrm_law,
    largest,
    literal_algorithm_2,
    posterior_law,
    probed_law,
    random_case,
    relative,
)
from strategies import seeds

from ddrm_edu import (
    Denoising,
    Dense,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    SuperResolution,
    ddrm_samples,
)
from ddrm_edu import law as law_module
from ddrm_edu.gaussian import Gaussian

GAP = json.loads((Path(__file__).parent / "data" / "gap_example.json").read_text())
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]
CASES = {
    "wide and rank-deficient": random_case(6, 5, 3, 0.2, seed=0),
    "tall": random_case(3, 5, 3, 0.1, seed=1),
    "tall and rank-deficient": random_case(4, 6, 2, 0.5, seed=5),
    "noiseless": random_case(5, 3, 2, 0.0, seed=3),
    "noisier than the first level": random_case(4, 3, 3, 40.0, seed=4),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
RATES = [(0.85, 1.0), (0.6, 0.7), (0.0, 0.3), (1.0, 0.0)]


def prior_of(case: GaussianCase, shape=None) -> GaussianPrior:
    mean = torch.as_tensor(case.mean)
    return GaussianPrior(mean.reshape(shape or mean.shape), torch.as_tensor(case.cov))


def in_pixels(law: law_module.AffineLaw, op) -> AffineLaw:
    """The law of flattened images given y: offset, gain and covariance, as numpy arrays."""
    zero = law.given(torch.zeros(1, *op.out_shape, dtype=torch.float64))
    unit = law.given(torch.eye(op.m, dtype=torch.float64).reshape(-1, *op.out_shape))
    offset = zero.mean.flatten().numpy()
    gain = unit.mean.flatten(1).numpy().T - offset[:, None]
    return AffineLaw(offset, gain, zero.cov.numpy())


def distance(got: AffineLaw, want: AffineLaw) -> float:
    return largest(
        (got.offset - want.offset) / (1 + largest(want.offset)),
        (got.gain - want.gain) / (1 + largest(want.gain)),
        (got.cov - want.cov) / (np.abs(want.cov).max() or 1),
    )


# ------------------------------------------------------------------------------ three routes


@cases
@pytest.mark.parametrize(("eta", "eta_b"), RATES)
def test_recursion_equals_the_bruteforce_joint_law_and_the_real_sampler(case, eta, eta_b):
    """S18.1, section 4: recursion = joint Gaussian = ddrm_samples fed with unit vectors."""
    op = Dense(case.H)
    law = law_module.sampler_law(
        prior_of(case), op, LEVELS, sigma_y=case.sigma_y, eta=eta, eta_b=eta_b
    )
    got = in_pixels(law, op)
    assert distance(got, ddrm_law(case, LEVELS, eta, eta_b, only_last=True)) <= 1e-11
    probed = probed_law(ddrm_samples, case, LEVELS, eta=eta, eta_b=eta_b).last(op.n)
    assert distance(got, probed) <= 1e-11


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    seeds,
    st.sampled_from([0.0, 0.1, 2.0]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_recursion_equals_the_bruteforce_law_for_any_problem(n, m, seed, sigma_y, eta, eta_b):
    """S18.1: random shapes, ranks, levels and rates."""
    rng = np.random.default_rng(seed)
    case = random_case(n, m, int(rng.integers(1, min(n, m) + 1)), sigma_y, seed=seed)
    levels = [*(np.sort(rng.exponential(3.0, rng.integers(1, 6)))[::-1] + 1e-3).tolist(), 0.0]
    op = Dense(case.H)
    law = law_module.sampler_law(prior_of(case), op, levels, sigma_y=sigma_y, eta=eta, eta_b=eta_b)
    want = ddrm_law(case, levels, eta, eta_b, only_last=True)
    assert distance(in_pixels(law, op), want) <= 1e-10


def test_law_equals_monte_carlo_of_the_literal_pixel_space_algorithm():
    """S18.1: N = 4,000 runs of Algorithm 2 word by word, full covariance, |z| <= 5.

    4 means and 10 covariances: one of as many exceeds 5 with probability below 1e-5.
    """
    N, eta, eta_b = 4_000, 0.6, 0.7
    case, schedule = random_case(4, 3, 2, 0.2, seed=9), NoiseSchedule.linear(40, 2e-3, 0.3)
    op, times = Dense(case.H), schedule.timesteps(4)
    y = torch.as_tensor(np.random.default_rng(0).standard_normal((1, 3)))
    V = op.V(torch.eye(4, dtype=torch.float64)).T.numpy()
    y_spec, s = op.measure_spec(y)[0].numpy(), op.s.numpy()
    noise = np.random.default_rng(1).standard_normal((N, 5, 4))
    gains = {t: _vp_map(case, schedule, t) for t in times}

    def net(x, t):
        gain, offset = gains[int(t[0]) + 1]
        return torch.as_tensor(x.numpy() @ gain.T + offset)

    arguments = (net, V, s, y_spec, schedule, times, case.sigma_y, eta, eta_b)
    x = np.stack([literal_algorithm_2(*arguments, z)[-1] for z in noise])
    law = law_module.sampler_law(
        prior_of(case), op, schedule.sigmas(4), sigma_y=case.sigma_y, eta=eta, eta_b=eta_b
    ).given(y)
    centred, cov = x - law.mean[0].numpy(), law.cov.numpy()
    variance = np.diag(cov)
    assert largest(centred.mean(0) / np.sqrt(variance / N)) <= 5
    spread = np.sqrt((np.outer(variance, variance) + cov**2) / N)
    assert largest((centred.T @ centred / N - cov) / spread) <= 5


def _vp_map(case: GaussianCase, schedule: NoiseSchedule, t: int):
    """The exact noise prediction of a Gaussian at time t as gain and offset (section 4)."""
    a = schedule.alpha_bar[t].item()
    gain = math.sqrt(1 - a) * np.linalg.inv(a * case.cov + (1 - a) * np.eye(len(case.cov)))
    return gain, -gain @ (math.sqrt(a) * case.mean)


@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
@pytest.mark.parametrize(
    "op",
    [
        SuperResolution((1, 2, 4), 2),
        Inpainting([[[True, False, False], [True, True, False]]]),
        Denoising((2, 1, 3)),
    ],
    ids=lambda op: type(op).__name__,
)
def test_law_holds_for_structured_operators_on_images(op, sigma_y):
    """S18.2, S20-S23: spectral coordinates in the operator's own order, pixels in the image's."""
    case = random_case(op.n, op.m, 1, sigma_y, seed=7)._replace(H=op.matrix().numpy())
    law = law_module.sampler_law(
        prior_of(case, op.in_shape), op, LEVELS, sigma_y=sigma_y, eta=0.6, eta_b=0.7
    )
    want = ddrm_law(case, LEVELS, 0.6, 0.7, only_last=True)
    assert distance(in_pixels(law, op), want) <= 1e-11


@pytest.mark.parametrize("eta_ddim", [0.0, 0.4, 1.0])
def test_ddpm_law_is_that_of_the_vp_recursion(eta_ddim):
    """S07.1, X07: Algorithm 1 and DDIM in the coordinates of their authors."""
    case, levels = random_case(4, 4, 4, 0.1, seed=2), [3.1, *LEVELS[4:]]  # 3.1 is no binary number
    got = law_module.ddpm_law(prior_of(case, (2, 2)), levels, eta_ddim=eta_ddim)
    want = ddim_law(case.mean, case.cov, levels, eta_ddim).last(4)
    default = law_module.ddpm_law(prior_of(case, (2, 2)), levels)
    assert (largest(default.cov - got.cov) == 0) == (eta_ddim == 1)
    assert largest(got.mean.numpy() - want.offset) <= 1e-12
    assert relative(got.cov, want.cov) <= 1e-12


def test_a_diagonal_prior_gives_the_same_law_coordinate_by_coordinate(monkeypatch):
    """The two sizes of blocks of the recursion agree, and the small one is really taken."""
    op, rng = Inpainting([True, False, True, True]), np.random.default_rng(0)
    mean, cov = torch.as_tensor(rng.standard_normal(4)), torch.diag(torch.as_tensor(rng.random(4)))
    settings = {"sigma_y": 0.2, "eta": 0.6, "eta_b": 0.7}
    alone = law_module.sampler_law(GaussianPrior(mean, cov), op, LEVELS, **settings)
    # An almost diagonal prior is not diagonal, so its law takes the dense way.
    tilt = 1e-9 * torch.ones(4, 4, dtype=torch.float64)
    dense = law_module.sampler_law(GaussianPrior(mean, cov + tilt), op, LEVELS, **settings)
    for name in ("A", "c", "cov"):
        one, other = getattr(alone, name), getattr(dense, name)
        assert largest(one - other) <= 1e-8
        if name != "c":
            assert (one == one.diag().diag()).all()
            assert not (other == other.diag().diag()).all()


def test_a_small_prior_with_correlations_is_not_taken_for_a_diagonal_one():
    """What counts as rounding is relative to the variances."""
    op = Inpainting([True, False, True])
    cov = 1e-6 * (torch.eye(3, dtype=torch.float64) + 1e-9)
    prior = GaussianPrior(torch.zeros(3), cov)
    law = law_module.sampler_law(prior, op, [2.0, 1e-3, 1e-4, 0.0], sigma_y=1e-4, eta=0.6)
    assert law.cov[0, 2] != 0


def test_no_step_is_lost_where_the_start_is_forgotten():
    """With eta_b = 1 the effect of early levels is exactly 0, and none is computed; 60 levels."""
    case, levels = CASES["wide and rank-deficient"], NoiseSchedule.linear().sigmas(60)
    for eta, eta_b in ((0.85, 1.0), (0.1, 0.4)):
        law = law_module.sampler_law(
            prior_of(case), Dense(case.H), levels, sigma_y=case.sigma_y, eta=eta, eta_b=eta_b
        )
        want = ddrm_law(case, levels, eta, eta_b, only_last=True)
        assert distance(in_pixels(law, Dense(case.H)), want) <= 1e-11


# ------------------------------------------------------------------- the posterior and the gap


@cases
def test_posterior_law_is_the_conditional_of_the_joint_law(case):
    """S02.3: against Bayes' rule in pixels; S09.7: y enters through y_spec alone."""
    op = Dense(case.H)
    law = law_module.posterior_law(prior_of(case), op, sigma_y=case.sigma_y)
    if case.sigma_y:
        assert distance(in_pixels(law, op), posterior_law(case)) <= 1e-10
    y = torch.as_tensor(np.random.default_rng(0).standard_normal((2, op.m)))
    want, got = prior_of(case).posterior(op, y, sigma_y=case.sigma_y), law.given(y)
    assert largest(got.mean - want.mean, got.cov - want.cov) <= 1e-12


@cases
def test_law_of_the_spectral_measurement_is_that_of_its_definition(case):
    """S09.4-S09.6: y_spec = S^+ U^T (H x + z) for x from the prior, mean and full covariance."""
    op = Dense(case.H)
    got = law_module.posterior_law(prior_of(case), op, sigma_y=case.sigma_y).y_spec
    unit = torch.eye(op.m, dtype=torch.float64)
    to_spec = op.measure_spec(unit).T.numpy()
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(op.m)
    assert largest(got.mean.numpy() - to_spec @ case.H @ case.mean) <= 1e-12
    assert relative(got.cov, to_spec @ cov_y @ to_spec.T) <= 1e-12


@pytest.fixture(scope="module")
def worked_example():
    prior = GaussianPrior(*(torch.tensor(GAP[key], dtype=torch.float64) for key in "mC"))
    return prior, Dense(GAP["H"])


@pytest.mark.parametrize("row", GAP["expected"], ids=lambda row: f"{row['steps']} steps")
def test_gap_is_that_of_the_worked_example(worked_example, row):
    """Section 4: relative W2 to six digits, U-shaped in the number of steps."""
    prior, op = worked_example
    settings = {"sigma_y": GAP["sigma_y"], "eta": row["eta"], "eta_b": row["eta_b"]}
    levels = NoiseSchedule.linear().sigmas(row["steps"])
    posterior = law_module.posterior_law(prior, op, sigma_y=GAP["sigma_y"])
    got = law_module.gap(law_module.sampler_law(prior, op, levels, **settings), posterior)
    assert got.relative_w2 == pytest.approx(row["relative_W2"], abs=5.1e-7)
    assert posterior.cov.trace().item() == pytest.approx(GAP["trace_posterior_cov"], rel=1e-12)


def test_the_gap_at_twenty_steps_is_that_of_the_ledger(worked_example):
    """Section 4, G16: KL 0.81 nats, spread 58 %, and an mse below that of the posterior: 0.82."""
    prior, op = worked_example
    law = law_module.sampler_law(prior, op, NoiseSchedule.linear().sigmas(20), sigma_y=0.1)
    posterior = law_module.posterior_law(prior, op, sigma_y=0.1)
    got = law_module.gap(law, posterior)
    assert got.kl == pytest.approx(0.81, abs=0.005)
    assert law.cov.trace() / posterior.cov.trace() == pytest.approx(0.58, abs=0.005)
    assert got.mse_ratio == pytest.approx(0.82, abs=0.005)
    assert got.mean**2 + got.cov**2 == pytest.approx(got.relative_w2**2, rel=1e-12)


def symmetric_points(law: Gaussian) -> torch.Tensor:
    """2 n points whose plain average is the mean under the law of every quadratic function."""
    steps = math.sqrt(law.n) * torch.linalg.cholesky(law.cov).T
    return torch.cat([law.mean + steps, law.mean - steps])


@pytest.mark.parametrize("name", ["tall", "square", "wide"])
def test_gap_is_the_average_over_measurements_of_the_distances_of_two_gaussians(name):
    """W2^2, both KLs and the error are quadratic in y, so a few points average them exactly."""
    shape = {"tall": (3, 5, 3), "square": (4, 4, 4), "wide": (4, 2, 2)}[name]
    case = random_case(*shape, 0.2, seed=5)
    prior, op, other = prior_of(case), Dense(case.H), random_case(*shape, 0.2, seed=6)
    law = law_module.sampler_law(prior_of(other), op, LEVELS, sigma_y=0.2, eta=0.6, eta_b=0.7)
    posterior = law_module.posterior_law(prior, op, sigma_y=0.2)
    seen = np.flatnonzero(op.s.numpy())
    points = torch.zeros(2 * len(seen), op.n, dtype=torch.float64)
    points[:, seen] = symmetric_points(posterior.y_spec.marginal(seen.tolist()))
    pairs = [[Gaussian(one.A @ y + one.c, one.cov) for one in (law, posterior)] for y in points]
    average = lambda distance: np.mean([distance(*pair) for pair in pairs])  # noqa: E731
    spread = posterior.cov.trace().item()
    got = law_module.gap(law, posterior)
    w2 = average(lambda a, b: a.w2(b) ** 2)
    assert got.relative_w2 == pytest.approx(math.sqrt(w2 / spread), rel=1e-9)
    assert got.kl == pytest.approx(average(lambda a, b: a.kl(b)), rel=1e-9)
    assert got.kl_reverse == pytest.approx(average(lambda a, b: b.kl(a)), rel=1e-9)
    shift = average(lambda a, b: float((a.mean - b.mean).square().sum()))
    assert got.mean == pytest.approx(math.sqrt(shift / spread), rel=1e-9)
    mse = shift + law.cov.trace().item() + spread  # of a draw, against a draw of the truth
    assert got.mse_ratio == pytest.approx(mse / (2 * spread), rel=1e-9)
    assert law_module.gap(posterior, posterior).relative_w2 <= 1e-6
    assert law_module.gap(posterior, posterior).mse_ratio == pytest.approx(1)


@pytest.mark.parametrize("sigma_y", [1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("rank", [1, 5, 6])
@pytest.mark.parametrize("form", ["cov", "factor"])
def test_gap_is_exact_at_small_noise(form, rank, sigma_y):
    """With H = I the axes of C are independent: distance and divergence from scalars."""
    levels, settings = [10.0, 1.0, 0.1, 0.01, 0.0], {"sigma_y": sigma_y, "eta": 0.6, "eta_b": 0.9}
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0][:, :rank]
    variances, op = np.geomspace(1, 0.3, rank), Denoising((6,))
    factor = turn * np.sqrt(variances)
    cov = factor @ factor.T
    prior = GaussianPrior(np.zeros(6), **{form: factor if form == "factor" else (cov + cov.T) / 2})
    posterior = law_module.posterior_law(prior, op, sigma_y=sigma_y)
    got = law_module.gap(law_module.sampler_law(prior, op, levels, **settings), posterior)
    w2 = kl = spread = 0.0
    for v in variances:
        scalar = GaussianPrior(torch.zeros(1), [[v]])
        law = law_module.sampler_law(scalar, Denoising((1,)), levels, **settings)
        share, left, variance = (
            v / (v + sigma_y**2),
            v * sigma_y**2 / (v + sigma_y**2),
            law.cov.item(),
        )
        shift = (law.A.item() - share) ** 2 * (v + sigma_y**2)
        w2 += shift + (math.sqrt(variance) - math.sqrt(left)) ** 2
        kl += ((variance + shift) / left - 1 - math.log(variance / left)) / 2
        spread += left
    assert got.relative_w2 == pytest.approx(math.sqrt(w2 / spread), rel=1e-11)
    assert got.kl == pytest.approx(kl, rel=1e-11)
    assert math.isfinite(got.kl_reverse)


def test_without_noise_the_divergence_is_finite_on_the_plane_of_the_measurement():
    """X06: H x = y holds for both laws, which then differ along the null space only."""
    case = CASES["noiseless"]
    prior, op = prior_of(case), Dense(case.H)
    posterior = law_module.posterior_law(prior, op, sigma_y=0.0)
    kept = law_module.sampler_law(prior, op, LEVELS, sigma_y=0.0)
    assert 0 < law_module.gap(kept, posterior).kl < math.inf
    pulled = law_module.sampler_law(prior, op, LEVELS, sigma_y=0.0, eta_b=0.9)
    assert law_module.gap(pulled, posterior).kl == math.inf


# ---------------------------------------------------------------------------- limits (section 4)


def temperature(eta: float) -> float:
    """tau of the limit theorems."""
    return (1 + math.sqrt(1 - eta**2)) / 2


def fine_levels(T: int) -> torch.Tensor:
    """The linear schedule refined: the same range of levels in T steps."""
    return NoiseSchedule.linear(T, 0.1 / T, 20.0 / T).sigmas(T)


@pytest.mark.parametrize("eta", [0.6, 0.85, 1.0])
def test_an_unmeasured_scalar_tends_to_a_lower_temperature(eta):
    """G07: N(m, tau C) as the levels are refined; the error at 4 N steps is a third or less."""
    prior, op = GaussianPrior(torch.tensor([0.4]), torch.tensor([[1.7]])), Dense([[0.0]])
    error = {}
    for T in (1000, 4000):
        law = law_module.sampler_law(prior, op, fine_levels(T), sigma_y=0.1, eta=eta)
        error[T] = abs(law.cov.item() / 1.7 - temperature(eta))
        assert law.c.item() == pytest.approx(0.4, abs=1e-2)
    assert error[4000] < error[1000] / 2
    assert error[4000] < 4e-3


def test_a_measured_scalar_tends_to_the_measurement_or_forgets_it():
    """G08: a Dirac at y_spec for eta < 1, N(m, C/2) for eta = 1; neither is the posterior."""
    prior, op = GaussianPrior(torch.tensor([0.4]), torch.tensor([[1.7]])), Dense([[0.8]])
    distance_from_y, variance = {}, {}
    for T in (1000, 8000):
        law = law_module.sampler_law(prior, op, fine_levels(T), sigma_y=0.3, eta=0.6)
        distance_from_y[T], variance[T] = 1 - law.A.item(), law.cov.item()
    assert distance_from_y[8000] < distance_from_y[1000] / 2 < 0.1
    assert variance[8000] < variance[1000] / 2
    law = law_module.sampler_law(prior, op, fine_levels(8000), sigma_y=0.3, eta=1.0)
    assert abs(law.A.item()) <= 1e-2
    assert law.cov.item() == pytest.approx(1.7 / 2, rel=1e-2)
    posterior = law_module.posterior_law(prior, op, sigma_y=0.3)
    assert 0.05 < posterior.cov.item() < 0.5


@pytest.mark.parametrize("eta", [0.6, 0.85, 1.0])
def test_noiseless_restoration_tends_to_the_posterior_at_a_lower_temperature(eta):
    """G14: N(E[x|y], tau Cov[x|y]) for any C, hence relative W2 -> 1 - sqrt(tau)."""
    case = CASES["noiseless"]
    prior, op = prior_of(case), Dense(case.H)
    posterior = law_module.posterior_law(prior, op, sigma_y=0.0)
    limit, error = 1 - math.sqrt(temperature(eta)), {}
    for T in (500, 2000):
        law = law_module.sampler_law(prior, op, fine_levels(T), sigma_y=0.0, eta=eta)
        error[T] = largest(law.cov - temperature(eta) * posterior.cov)
        gap = law_module.gap(law, posterior).relative_w2
    assert error[2000] < error[500] / 2
    assert gap == pytest.approx(limit, abs=1e-2)  # the means approach more slowly


def test_tight_rates_halve_the_covariance_for_any_operator():
    """G12: eta^2 = 1 - sigma_t^2 / b in case 2 and eta = 1 in case 3: N(E[x|y], Cov[x|y] / 2)."""
    case = CASES["wide and rank-deficient"]
    prior, op = prior_of(case), Dense(case.H)
    posterior = law_module.posterior_law(prior, op, sigma_y=case.sigma_y)
    error = {}
    for T in (1000, 4000):
        law = law_module.sampler_law(
            prior, op, fine_levels(T), sigma_y=case.sigma_y, eta="tight", eta_b=1.0
        )
        error[T] = largest(law.cov - posterior.cov / 2, law.A - posterior.A, law.c - posterior.c)
    assert error[4000] < error[1000] / 2 < 0.1


# ------------------------------------------------------------------------------ the network


@given(seeds, st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.4, 3.0]))
def test_inference_network_has_the_marginals_of_proposition_3_1(seed, eta, eta_b, sigma_y):
    """S12.1: full covariance of every x_t given x_0, and given a random x_0."""
    rng = np.random.default_rng(seed)
    s = torch.as_tensor(rng.choice([0.0, 0.0, 0.3, 0.3, 1.1, 2.0], size=4))
    levels = [*(np.sort(rng.exponential(2.0, 4))[::-1] + 1e-2).tolist(), 0.0]
    x0 = torch.as_tensor(rng.standard_normal(4))
    settings = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
    unit = torch.eye(4, dtype=torch.float64)
    known = law_module.inference_network(Gaussian(x0, 0 * unit), s, levels, **settings)
    root = rng.standard_normal((4, 4))
    random = law_module.inference_network(Gaussian(x0, root @ root.T), s, levels, **settings)
    for t, level in zip(reversed(range(1, 5)), levels, strict=False):
        law = known.joint(f"x{t}")
        seen = (s > 0).double().diag()
        y = random.joint("x0", "y").cov
        assert largest(y[:4, 4:] - torch.as_tensor(root @ root.T) @ seen) <= 1e-12 * largest(y)
        assert largest(law.mean - x0, law.cov / level**2 - unit) <= 1e-12
        both = random.joint("x0", f"x{t}").cov
        assert largest(both[:4, 4:] - both[:4, :4]) <= 1e-12 * largest(both)


def test_covariance_of_two_levels_is_that_of_the_general_linear_family():
    """X09: Cov(x_t, x_{t+1} | x_0) in case 3 is c sigma_t sigma_{t+1}, in case 1 eta_b^2 b."""
    s, eta, eta_b = torch.tensor([2.0, 0.0]), 0.6, 0.7
    x0 = Gaussian([0.3, -0.2], torch.zeros(2, 2))
    network = law_module.inference_network(
        x0, s, [4.0, 1.5, 0.5, 0.0], sigma_y=0.4, eta=eta, eta_b=eta_b
    )
    cov = network.joint("x1", "x2").cov[:2, 2:]
    want = np.diag([eta_b**2 * 0.2**2, math.sqrt(1 - eta**2) * 0.5 * 1.5])
    assert largest(cov.numpy() - want) <= 1e-13


def test_rates_of_the_network_are_the_papers_by_default():
    x0, s = Gaussian([0.3, -0.2], torch.zeros(2, 2)), torch.tensor([2.0, 0.0])
    build = functools.partial(law_module.inference_network, x0, s, [4.0, 1.5, 0.5, 0.0])
    default, explicit = build(sigma_y=0.4), build(sigma_y=0.4, eta=0.85, eta_b=1.0)
    assert largest(default.joint("x1", "x2").cov - explicit.joint("x1", "x2").cov) == 0


def test_laws_are_values_that_cannot_be_changed_and_are_compared_by_identity():
    """Comparing their tensors entry by entry has no single truth value."""
    prior, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Dense([[1.0, 0.0]])
    law, same = (law_module.posterior_law(prior, op, sigma_y=0.1) for _ in range(2))
    assert law == law
    assert law != same
    assert len({law, same}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        law.c = law.c


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda prior, op: law_module.sampler_law(lambda x, s: x, op, LEVELS, sigma_y=0.1),
            "Gauss",
        ),
        (
            lambda prior, op: law_module.sampler_law(prior, Dense([[1.0]]), LEVELS, sigma_y=0),
            "shape",
        ),
        (lambda prior, op: law_module.sampler_law(prior, op, [1.0, 0.5], sigma_y=0.1), "exactly 0"),
        (lambda prior, op: law_module.sampler_law(prior, op, LEVELS, sigma_y=0.1, eta=1.5), "eta"),
        (lambda prior, op: law_module.ddpm_law(lambda x, s: x, LEVELS), "GaussianPrior"),
        (lambda prior, op: law_module.posterior_law(prior, op, sigma_y=-1.0), "sigma_y"),
        (lambda prior, op: law_module.posterior_law(print, op, sigma_y=0.1), "GaussianPrior"),
        (
            lambda prior, op: law_module.sampler_law(prior, Dense([[1.0] * 3]), LEVELS, sigma_y=0),
            "Build both",
        ),
    ],
)
def test_what_has_no_exact_law_is_refused(call, words):
    prior, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Dense([[1.0, 0.0]])
    with pytest.raises(ValueError, match=words):
        call(prior, op)


def test_gaps_that_mean_nothing_are_refused():
    """Laws of other images, and a posterior without any spread."""
    two = GaussianPrior(torch.zeros(2), torch.eye(2))
    law = law_module.posterior_law(two, Dense([[1.0, 0.0]]), sigma_y=0.1)
    one = law_module.posterior_law(
        GaussianPrior(torch.zeros(1), torch.eye(1)), Dense([[1.0]]), sigma_y=0.1
    )
    y = torch.zeros(1, 1, dtype=torch.float64)
    one_y = two.posterior(Dense([[1.0, 0.0]]), y, sigma_y=0.1)
    with pytest.raises(ValueError, match="posterior_law"):
        law_module.gap(law, one_y)
    with pytest.raises(ValueError, match="law must be an AffineLaw"):
        law_module.gap(one_y, law)
    for pair in ((law, one), (one, law)):
        with pytest.raises(ValueError, match="same images"):
            law_module.gap(*pair)
    sure = law_module.posterior_law(two, Denoising((2,)), sigma_y=0.0)
    with pytest.raises(ValueError, match="no spread"):
        law_module.gap(law, sure)
    with pytest.raises(ValueError, match="y must have shape"):
        law.given(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="y must be finite"):
        law.given(torch.full((1, 1), math.nan))
    assert "trace of cov" in repr(law)

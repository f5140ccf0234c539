"""The variational bound: weights, both forms of the bound, Theorem 3.2 (slides 5-8, 10, 17)."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from laws import largest, random_case
from strategies import seeds

from ddrm_edu import Denoising, Dense, GaussianPrior, NoiseSchedule, ddrm_coefficients
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.elbo import (
    ddpm_nelbo,
    ddrm_nelbo,
    ddrm_nelbo_direct,
    noise_loss,
    step_weights,
)
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import gap, posterior_law, sampler_law, spectral_law

LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]
CASES = {
    "wide and rank-deficient": random_case(6, 5, 3, 0.2, seed=0),
    "tall": random_case(3, 5, 3, 0.1, seed=1),
    "noiseless": random_case(5, 3, 2, 0.0, seed=3),
    "noisier than the first level": random_case(4, 3, 3, 40.0, seed=4),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def prior_of(case) -> GaussianPrior:
    return GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))


def another_prior(n: int) -> GaussianPrior:
    """A denoiser that is wrong for the data: Theorem 3.2 and the bound hold for every f."""
    rng = np.random.default_rng(99)
    A = rng.standard_normal((n, n))
    return GaussianPrior(torch.as_tensor(rng.standard_normal(n)), torch.as_tensor(A @ A.T))


# ---------------------------------------------------------------------------------- the weights


@given(
    st.floats(0.05, 3),
    st.floats(0.05, 20),
    st.floats(1.05, 20),
    st.floats(0.01, 5),
    st.floats(0.05, 1),
    st.floats(0, 0.99),
)
def test_weights_are_those_of_the_three_cases(s, sigma_next, ratio, sigma_y, eta, eta_b):
    """X05: one formula of the coefficients gives the three of section 3.1."""
    b, a, c = (sigma_y / s) ** 2, sigma_next**2, math.sqrt(1 - eta**2)
    assume(abs(a / b - 1) > 1e-6)
    got = step_weights(
        torch.tensor([s, 0.0], dtype=torch.float64),
        ratio * sigma_next,
        sigma_next,
        sigma_y,
        eta=eta,
        eta_b=eta_b,
    )
    if a >= b:
        want = (1 - eta_b) ** 2 / (2 * (a - eta_b**2 * b))
    else:
        want = (1 - c * math.sqrt(a / b)) ** 2 / (2 * eta**2 * a)
    assert got[0].item() == pytest.approx(want, rel=1e-8)
    assert got[1].item() == pytest.approx((1 - c / ratio) ** 2 / (2 * eta**2 * a), rel=1e-8)


@given(st.floats(0.05, 3), st.floats(0.05, 20), st.floats(0.01, 5), st.floats(0.05, 1), seeds)
def test_a_weight_is_the_divergence_of_two_gaussians(s, sigma_next, sigma_y, eta, seed):
    """S17.2: KL(q(x_t | ..., x_0) || q(x_t | ..., x_theta)) = w (x_0 - x_theta)^2."""
    x0, x_theta, x, y = np.random.default_rng(seed).standard_normal(4)
    arguments = (torch.tensor([s], dtype=torch.float64), 2 * sigma_next, sigma_next, sigma_y)
    c = ddrm_coefficients(*arguments, eta=eta, eta_b=0.6)
    law = lambda clean: Gaussian(c.x0 * clean + c.xt * x + c.y * y, c.noise**2 * torch.eye(1))  # noqa: E731
    w = step_weights(*arguments, eta=eta, eta_b=0.6).item()
    assert law(x0).kl(law(x_theta)) == pytest.approx(w * (x0 - x_theta) ** 2, rel=1e-7, abs=1e-12)


def test_weights_without_noise_are_infinite_or_nothing():
    """S11.5: eta = 0 cannot be trained by the bound; X04: two equal Diracs do not differ."""
    s = torch.tensor([1.0, 0.1, 0.0])
    w = step_weights(s, 0.4, 0.2, 0.1, eta=0.0, eta_b=1.0)
    assert w.tolist() == [0.0, math.inf, math.inf]
    boundary = step_weights(torch.tensor([0.5]), 0.4, 0.2, 0.1, eta=0.6, eta_b=1.0)
    assert boundary.item() == 0.0


@given(st.floats(0.05, 3), st.floats(0.05, 20), st.floats(1.01, 9), st.floats(0.01, 5))
def test_theorem_3_2_gives_every_coordinate_one_weight(s, sigma_next, ratio, sigma_y):
    """Theorem 3.2: eta = 1 and eta_b* make w = 1 / (2 sigma_t^2) in all three cases."""
    assume(abs(s * sigma_next / sigma_y - 1) > 1e-4)
    w = step_weights(
        torch.tensor([s, 0.0], dtype=torch.float64),
        ratio * sigma_next,
        sigma_next,
        sigma_y,
        eta=1.0,
        eta_b="theorem",
    )
    assert largest(w.numpy() * 2 * sigma_next**2 - 1) <= 1e-6  # (a - b)^2 cancels near a = b


@given(st.floats(0.05, 3), st.floats(0.05, 20), st.floats(1.01, 4), st.floats(0.01, 1))
def test_tight_eta_minimises_the_weight_of_case_2(s, sigma_next, ratio, eta):
    """X16: min over eta of w is (1 / sigma_t^2 - s^2 / sigma_y^2) / 2."""
    sigma_y = ratio * s * sigma_next
    arguments = (torch.tensor([s], dtype=torch.float64), 2 * sigma_next, sigma_next, sigma_y)
    least = step_weights(*arguments, eta="tight", eta_b=1.0).item()
    assert least == pytest.approx((sigma_next**-2 - (s / sigma_y) ** 2) / 2, rel=1e-9)
    assert step_weights(*arguments, eta=eta, eta_b=1.0).item() >= least * (1 - 1e-12)


# ----------------------------------------------------------------------------- DDPM's own weight

SCHEDULES = {"linear": NoiseSchedule.linear(), "coarse": NoiseSchedule.linear(12, 0.02, 0.4)}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("factor", [None, 0.6, 1.7])
def test_noise_loss_is_the_divergence_of_the_two_kernels(schedule, factor):
    """S06.5, E2: KL(q(x_t | x_{t+1}, x_0) || p_theta), q by conditioning the VP chain."""
    eps, eps_theta, x0 = 0.7, -0.4, 1.3
    for t in (1, 2, schedule.T // 2, schedule.T - 1):
        a, a_next = schedule.alpha_bar[t].item(), schedule.alpha_bar[t + 1].item()
        beta = schedule.beta[t + 1].item()
        # (x_t, x_{t+1}) given x_0, its mean 0; then x_t given x_{t+1}
        pair = Gaussian([0.0], [[1 - a]]).joint(math.sqrt(1 - beta), cov=beta)
        exact = pair.conditional([1], [0.0]).cov.item()
        gain = pair.conditional([1], [1.0]).mean.item()
        x = math.sqrt(a_next) * x0 + math.sqrt(1 - a_next) * eps
        x0_theta = (x - math.sqrt(1 - a_next) * eps_theta) / math.sqrt(a_next)
        mean = lambda clean: (  # noqa: E731
            math.sqrt(a) * clean + gain * (x - math.sqrt(a_next) * clean)  # noqa: B023
        )
        v = exact if factor is None else factor * exact
        want = Gaussian([mean(x0)], [[exact]]).kl(Gaussian([mean(x0_theta)], [[v]]))
        loss = noise_loss(schedule, t, variance=None if factor is None else v)
        got = loss.weight * (eps - eps_theta) ** 2 + loss.constant
        assert got == pytest.approx(want, rel=1e-8, abs=1e-11)
        assert schedule.beta_tilde[t + 1].item() == pytest.approx(exact, rel=1e-9)
        assert (loss.constant == 0) == (factor is None)


@pytest.mark.parametrize("beta", [1e-12, 1e-6, 0.3])
def test_noise_loss_keeps_its_digits_however_little_noise_there_is(beta):
    """S06.5: beta / (2 alpha (1 - alpha_bar_t)) for the exact variance, in fractions."""
    schedule, exact = NoiseSchedule([0.0, *[beta] * 4]), Fraction(beta)
    for t in (1, 3):
        want = exact / (2 * (1 - exact) * (1 - (1 - exact) ** t))
        assert noise_loss(schedule, t).weight == pytest.approx(float(want), rel=1e-14)


def test_noise_loss_knows_its_range():
    schedule = SCHEDULES["coarse"]
    for t in (-1, 0, schedule.T, schedule.T + 1):
        with pytest.raises(ValueError, match="from 1 to T - 1 = 11"):
            noise_loss(schedule, t)
    for variance in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="positive"):
            noise_loss(schedule, 3, variance=variance)
    assert schedule.beta_tilde[:2].tolist() == [0.0, 0.0]
    assert schedule.beta_tilde.shape == schedule.beta.shape


# ------------------------------------------------------------------------------------ the bound


@cases
@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 0.9), (1.0, "theorem"), (0.4, 0.2)])
@pytest.mark.parametrize("own", [True, False], ids=["exact denoiser", "another denoiser"])
def test_the_bound_is_the_same_directly_and_term_by_term(case, eta, eta_b, own):
    """S08.3, S10.3: the expectation of log q - log p over the joint law equals the KL terms."""
    denoiser = None if own else another_prior(len(case.mean))
    settings = {"sigma_y": case.sigma_y, "eta": eta, "eta_b": eta_b, "var_0": 0.03}
    settings["denoiser"] = denoiser
    op = Dense(case.H)
    terms = ddrm_nelbo(prior_of(case), op, LEVELS, **settings)
    direct = ddrm_nelbo_direct(prior_of(case), op, LEVELS, **settings)
    assert terms.total == pytest.approx(direct, rel=1e-9)
    assert terms.total == terms.start + terms.steps.sum().item() + terms.last
    assert (terms.steps >= 0).all()
    assert len(terms.steps) == len(LEVELS) - 2


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("rank", [2, 4])
def test_the_two_forms_agree_at_small_levels_and_for_singular_priors(unit, rank):
    """lambda / sigma^2 up to 1e12, and a var_0 that float32 does not hold."""
    rng = np.random.default_rng(0)
    L = rng.standard_normal((4, rank))
    prior, op = GaussianPrior(rng.standard_normal(4), L @ L.T), Dense(rng.standard_normal((2, 4)))
    rates = {"sigma_y": 0.3 * unit, "eta": 0.7, "eta_b": 0.8, "var_0": (unit / 3) ** 2}
    terms = ddrm_nelbo(prior, op, [3.0, 2 * unit, unit, 0.0], **rates).total
    direct = ddrm_nelbo_direct(prior, op, [3.0, 2 * unit, unit, 0.0], **rates)
    assert direct == pytest.approx(terms, rel=1e-11)


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12])
def test_errors_of_the_prediction_are_exact_far_below_the_spread(condition):
    """S12.1: sum of lambda sigma^2 / (lambda + sigma^2), also where two variances are 0."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    variances, level = np.array([1, 0.8, 0.6, 0.5, 0, 0]), condition**-0.5
    factor = turn * np.sqrt(variances)
    error = (variances * level**2 / (variances + level**2)).sum()
    last = error / (2 * level**2) + 3 * math.log(2 * math.pi * level**2)
    rounding = 60 * torch.finfo(torch.float64).eps * condition  # of what cov says, in levels^2
    for prior, bound in (
        (GaussianPrior(np.zeros(6), factor=factor), 1e-13),
        (GaussianPrior(np.zeros(6), factor @ factor.T), 1e-13 + rounding),
    ):
        terms = ddpm_nelbo(prior, [3.0, level, 0.0], var_0=level**2)
        assert terms.last == pytest.approx(last, rel=bound)


def test_rates_per_coordinate_give_the_bound_of_their_coordinates():
    """Coordinates are independent, so with H and C diagonal the bounds of the halves add up."""
    s, cov = [1.5, 0.3, 0.0, 0.7], [1.0, 0.5, 2.0, 0.3]
    prior = GaussianPrior(torch.zeros(4), torch.diag(torch.tensor(cov)))
    eta, eta_b = torch.tensor([0.3, 0.9, 0.5, 0.7]), torch.tensor([0.2, 0.8, 0.0, 1.0])
    # numpy's SVD sorts the coordinates; the order of the rates is that of op.s
    op = Dense(np.diag(s))
    order = [s.index(pytest.approx(value)) for value in op.s.tolist()]
    rates = {"eta": eta[order], "eta_b": eta_b[order]}
    whole = ddrm_nelbo(prior, op, LEVELS, sigma_y=0.2, var_0=0.1, **rates)
    parts = [
        ddrm_nelbo(
            GaussianPrior(torch.zeros(1), torch.tensor([[c]])),
            Dense([[si]]),
            LEVELS,
            sigma_y=0.2,
            var_0=0.1,
            eta=float(e),
            eta_b=float(w),
        )
        for si, c, e, w in zip(s, cov, eta, eta_b, strict=True)
    ]
    assert whole.total == pytest.approx(sum(part.total for part in parts), rel=1e-9)


def test_rates_of_the_shape_of_an_image_are_those_of_its_pixels():
    """The law and both forms of the bound, where s is stored once for all pixels."""
    rng, n = np.random.default_rng(0), 6
    A = rng.standard_normal((n, n))
    mean, cov = torch.as_tensor(rng.standard_normal(n)), torch.as_tensor(A @ A.T)
    image, flat = (1, 2, 3), (n,)
    eta, eta_b = (torch.as_tensor(rng.uniform(0.1, 0.9, n)) for _ in range(2))
    answers = []
    for shape in (image, flat):
        prior, op = GaussianPrior(mean.reshape(shape), cov), Denoising(shape)
        settings = {"sigma_y": 0.3, "eta": eta.reshape(shape), "eta_b": eta_b.reshape(shape)}
        bound = ddrm_nelbo(prior, op, LEVELS, var_0=0.1, **settings).total
        direct = ddrm_nelbo_direct(prior, op, LEVELS, var_0=0.1, **settings)
        law = sampler_law(prior, op, LEVELS, **settings)
        answers.append([bound, direct, *law.A.flatten(), *law.c, *law.cov.flatten()])
    assert largest(np.array(answers[0]) - np.array(answers[1])) <= 1e-9


@cases
@pytest.mark.parametrize("own", [True, False], ids=["exact denoiser", "another denoiser"])
def test_theorem_3_2_holds_term_by_term_for_every_predictor(case, own):
    """X03: the bound is sum of E|x_0 - f(x_{t+1})|^2 / 2 sigma_t^2, whatever H and sigma_y."""
    n, prior = len(case.mean), prior_of(case)
    model = prior if own else another_prior(n)
    got = ddrm_nelbo(
        prior,
        Dense(case.H),
        LEVELS,
        sigma_y=case.sigma_y,
        eta=1.0,
        eta_b="theorem",
        var_0=0.05,
        denoiser=model,
    )
    errors = []
    for sigma in LEVELS[:-1]:  # in pixels, where no operator is known
        gain = model.cov.numpy() @ np.linalg.inv(model.cov.numpy() + sigma**2 * np.eye(n))
        kept = np.eye(n) - gain
        shift = kept @ (case.mean - model.mean.numpy())
        errors.append(np.trace(kept @ case.cov @ kept.T + sigma**2 * gain @ gain.T) + shift @ shift)
    want = [e / (2 * sigma**2) for e, sigma in zip(errors, LEVELS[1:-1], strict=False)]
    assert largest(got.steps.numpy() / want - 1) <= 1e-9
    last = errors[-1] / 0.1 + n / 2 * math.log(2 * math.pi * 0.05)
    assert got.last == pytest.approx(last, rel=1e-12)


@cases
def test_start_of_the_chain_costs_what_was_not_measured(case):
    """S17.1: KL_T = sum of E[x_0^2] / 2 sigma_T^2 over the coordinates that start unobserved."""
    prior, op = prior_of(case), Dense(case.H)
    law = spectral_law(prior, op)
    unseen = (op.s == 0) | (op.s * LEVELS[0] < case.sigma_y)
    want = (law.cov.diagonal() + law.mean**2)[unseen].sum().item() / (2 * LEVELS[0] ** 2)
    got = ddrm_nelbo(prior, op, LEVELS, sigma_y=case.sigma_y, eta=0.7, eta_b=0.5, var_0=0.1).start
    assert got == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("eta_ddim", [0.5, 1.0])
def test_the_bound_of_ddpm_is_an_average_of_log_densities(eta_ddim):
    """S05.5: against log q - log p on N = 20,000 paths of the chain, within 5 standard errors."""
    N, levels, var_0 = 20_000, [9.0, 3.0, 1.1, 0.4, 0.0], 0.2
    case = random_case(3, 3, 3, 0.1, seed=5)
    prior, model = prior_of(case), another_prior(3)
    rng = np.random.default_rng(0)
    x0 = rng.multivariate_normal(case.mean, case.cov, N)
    normal = lambda x, mean, std: scipy.stats.norm.logpdf(x, mean, std).sum(1)  # noqa: E731
    x = x0 + levels[0] * rng.standard_normal((N, 3))
    total = normal(x, x0, levels[0]) - normal(x, 0 * x0, levels[0])
    for sigma, sigma_next in itertools.pairwise(levels[:-1]):
        c = [float(v) for v in ddim_coefficients(sigma, sigma_next, eta_ddim=eta_ddim)]
        x_theta = model(torch.as_tensor(x), sigma).numpy()
        new = c[0] * x0 + c[1] * x + c[3] * rng.standard_normal((N, 3))
        total += normal(new, c[0] * x0 + c[1] * x, c[3])
        total -= normal(new, c[0] * x_theta + c[1] * x, c[3])
        x = new
    total -= normal(x0, model(torch.as_tensor(x), levels[-2]).numpy(), math.sqrt(var_0))
    got = ddpm_nelbo(prior, levels, eta_ddim=eta_ddim, var_0=var_0, denoiser=model)
    assert abs(total.mean() - got.total) <= 5 * total.std() / math.sqrt(N)


@pytest.mark.parametrize("eta_ddim", [0.5, 1.0])
def test_the_bound_of_ddpm_is_its_formula(eta_ddim):
    """S05.5, X15: the terms written out in pixels, to rounding; the default is DDPM."""
    levels, var_0, model = [9.1, 3.3, 1.1, 0.4, 0.0], 0.2, another_prior(3)
    case = random_case(3, 3, 3, 0.1, seed=5)
    got = ddpm_nelbo(prior_of(case), levels, eta_ddim=eta_ddim, var_0=var_0, denoiser=model)

    def error(sigma):
        gain = model.cov.numpy() @ np.linalg.inv(model.cov.numpy() + sigma**2 * np.eye(3))
        kept = np.eye(3) - gain
        shift = kept @ (case.mean - model.mean.numpy())
        return np.trace(kept @ case.cov @ kept.T + sigma**2 * gain @ gain.T) + shift @ shift

    steps = []
    for sigma, new in itertools.pairwise(levels[:-1]):
        v = eta_ddim**2 * new**2 * (1 - new**2 / sigma**2)
        steps.append((1 - math.sqrt(new**2 - v) / sigma) ** 2 / (2 * v) * error(sigma))
    start = (case.mean @ case.mean + np.trace(case.cov)) / (2 * levels[0] ** 2)
    last = error(levels[-2]) / (2 * var_0) + 1.5 * math.log(2 * math.pi * var_0)
    assert got.start == pytest.approx(start, rel=1e-13)
    assert largest(got.steps.numpy() / steps - 1) <= 1e-12
    assert got.last == pytest.approx(last, rel=1e-13)
    default = ddpm_nelbo(prior_of(case), levels, var_0=var_0, denoiser=model)
    assert (default.total == got.total) == (eta_ddim == 1)


def test_what_is_predicted_exactly_costs_nothing_even_without_noise():
    """0 times infinity is 0: two equal Diracs; here a pixel that never varies, at eta = 0."""
    prior = GaussianPrior(torch.zeros(2), torch.tensor([[0.0, 0.0], [0.0, 0.0]]))
    settings = {"sigma_y": 0.1, "eta": 0.0, "eta_b": 0.5, "var_0": 0.1}
    got = ddrm_nelbo(prior, Dense([[1.0, 0.0]]), [2.0, 1.0, 0.5, 0.0], **settings)
    assert got.start == 0
    assert got.steps.tolist() == [0, 0]


def test_priors_and_denoisers_without_a_closed_form_are_refused():
    good, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Dense([[1.0, 0.0]])
    settings = {"sigma_y": 0.1, "eta": 0.5, "eta_b": 0.5, "var_0": 0.1}
    for pair in ((print, good), (good, print)):
        with pytest.raises(ValueError, match="GaussianPrior"):
            ddrm_nelbo(pair[0], op, [2.0, 1.0, 0.0], denoiser=pair[1], **settings)
    with pytest.raises(ValueError, match="GaussianPrior"):
        ddrm_nelbo_direct(print, op, [2.0, 1.0, 0.0], **settings)


def test_the_bound_is_above_the_entropy_and_tight_in_the_limit():
    """S05.5: an upper bound on E[-log p(x_0)] >= entropy; finer levels bring it closer."""
    case = random_case(3, 3, 3, 0.1, seed=5)
    prior = prior_of(case)
    entropy = float(scipy.stats.multivariate_normal(case.mean, case.cov).entropy())
    gaps = []
    for T in (50, 400):
        levels = NoiseSchedule.linear(T, 0.1 / T, 20.0 / T).sigmas(T)
        var_0 = levels[-2].item() ** 2
        gaps.append(ddpm_nelbo(prior, levels, var_0=var_0).total - entropy)
    assert 0 < gaps[1] < gaps[0] / 3


def test_the_bound_does_not_rank_settings():
    """Section 4, answers: the lower bound has the larger true divergence (2.21 against 1.35)."""
    data = json.loads((Path(__file__).parent / "data" / "gap_example.json").read_text())
    prior = GaussianPrior(*(torch.tensor(data[key], dtype=torch.float64) for key in "mC"))
    op, levels = Dense(data["H"]), NoiseSchedule.linear().sigmas(20)
    posterior = posterior_law(prior, op, sigma_y=0.1)
    bound, divergence = {}, {}
    for rates in ((1.0, "theorem"), (0.85, 0.9)):
        settings = {"sigma_y": 0.1, "eta": rates[0], "eta_b": rates[1]}
        bound[rates] = ddrm_nelbo(prior, op, levels, var_0=1e-4, **settings).total
        law = sampler_law(prior, op, levels, **settings)
        divergence[rates] = gap(law, posterior).kl_reverse
    assert bound[1.0, "theorem"] < bound[0.85, 0.9]
    assert divergence[1.0, "theorem"] == pytest.approx(2.21, abs=0.01)
    assert divergence[0.85, 0.9] == pytest.approx(1.35, abs=0.01)


@pytest.mark.parametrize("var_0", [0.0, -0.1, math.inf, math.nan])
def test_a_last_kernel_without_variance_has_no_bound(var_0):
    """E7: sigma_0 = 0 makes p(x_0 | x_1, y) a Dirac."""
    prior, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Denoising((2,))
    settings = {"sigma_y": 0.1, "eta": 0.5, "eta_b": 0.5, "var_0": var_0}
    for bound in (ddrm_nelbo, ddrm_nelbo_direct):
        with pytest.raises(ValueError, match="E7"):
            bound(prior, op, [2.0, 1.0, 0.0], **settings)
    with pytest.raises(ValueError, match="E7"):
        ddpm_nelbo(prior, [2.0, 1.0, 0.0], var_0=var_0)


def test_kernels_without_noise_have_an_infinite_bound():
    """S11.5: eta = 0 is legal for sampling only."""
    prior, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Dense([[1.0, 0.0]])
    settings = {"sigma_y": 0.1, "eta": 0.0, "eta_b": 0.5, "var_0": 0.1}
    assert ddrm_nelbo(prior, op, [2.0, 1.0, 0.0], **settings).total == math.inf
    with pytest.raises(ValueError, match="no density"):
        ddrm_nelbo_direct(prior, op, [2.0, 1.0, 0.0], **settings)
    with pytest.raises(ValueError, match="GaussianPrior"):
        ddrm_nelbo(lambda x, s: x, op, [2.0, 1.0, 0.0], **settings)


def test_a_run_of_one_step_has_no_divergences_between():
    """N = 1: only the start and the last kernel are left."""
    prior, op = GaussianPrior(torch.zeros(2), torch.eye(2)), Dense([[1.0, 0.0]])
    settings = {"sigma_y": 0.1, "eta": 0.5, "eta_b": 0.5, "var_0": 0.1}
    got = ddrm_nelbo(prior, op, [2.0, 0.0], **settings)
    assert got.steps.shape == (0,)
    assert got.steps.dtype == torch.float64
    assert got.total == pytest.approx(ddrm_nelbo_direct(prior, op, [2.0, 0.0], **settings))

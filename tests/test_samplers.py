"""Methods with a step of their own: the papers' formulas in VP images, exact laws, refusals.

Every oracle is written from the paper in variance-preserving images and in plain numpy, where an
image is the matrix by which it depends on (1, y, independent standard normals); the samplers work
in other coordinates.  The two agree in mean and FULL covariance, for every y at once.
"""

import itertools
import math
from unittest import mock

import numpy as np
import pytest
import torch
from laws import (
    AffineLaw,
    GaussianCase,
    known_noise,
    largest,
    law_distance,
    probe,
    random_case,
    relative,
)

from ddrm_edu import (
    DDNM,
    Dense,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    PiGDM,
    ddnm_plus_samples,
    ddpm_law,
    ddpm_samples,
    ddrm_samples,
    dps_samples,
    markov_ddrm_samples,
    particle_samples,
    pigdm_samples,
    repaint_samples,
)
from ddrm_edu import law as law_module
from ddrm_edu import samplers as samplers_module
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import inference_network
from ddrm_edu.restoration import METHODS, restore
from ddrm_edu.samplers import ddnm_plus_coefficients, markov_ddrm_coefficients

LEVELS = [31.0, 12.5, 3.1, 1.4, 0.6, 0.21, 0.02, 0.0]
CASE = random_case(4, 3, 3, 0.3, seed=5)  # s from 1.3 to 0.07: tau from 0.23 to 4.3
SHORT = random_case(4, 5, 2, 0.2, seed=6)  # rank-deficient and tall
MASK = np.array([True, False, True, False])
PIXELS = GaussianCase(CASE.mean, CASE.cov, np.eye(4)[MASK], 0.0)


def prior_of(case):
    return GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))


def law_of(samples, case, levels, draws, op=None, **options) -> AffineLaw:
    """Found by unit vectors: the last image of a sampler that is affine."""
    op = Dense(case.H) if op is None else op

    def run(y):
        *_, last = samples(prior_of(case), op, y, levels, sigma_y=case.sigma_y, **options)
        return [last]

    return probe(run, op.in_shape, op.m, draws)


# --------------------------------------------------------------------- the papers' steps, in VP


class Paper:
    """DDPM and DDIM in VP images of a Gaussian prior, on matrices that act on (1, y, xi ...)."""

    def __init__(self, case, levels, draws):
        self.case, self.n, self.m = case, len(case.mean), len(case.H)
        self.abar = [1 / (1 + float(level) ** 2) for level in levels]
        self.width = 1 + self.m + self.n * draws
        self.y = np.eye(self.m, self.width, 1)
        self.drawn = 0

    def z(self):
        self.drawn += 1
        return np.eye(self.n, self.width, 1 + self.m + self.n * (self.drawn - 1))

    def start(self):
        return math.sqrt(1 - self.abar[0]) * self.z()

    def denoised(self, x, abar):
        """E[x_0 | x] and its Jacobian."""
        n, C = self.n, self.case.cov
        J = math.sqrt(abar) * C @ np.linalg.inv(abar * C + (1 - abar) * np.eye(n))
        mean = self.case.mean[:, None] @ np.eye(1, self.width)
        return mean + J @ (x - math.sqrt(abar) * mean), J

    def ancestral(self, abar, before):
        """Weights of x_0 and x_t and the variance of q(x_{t-1} | x_t, x_0)."""
        alpha = abar / before
        beta = 1 - alpha
        return (
            math.sqrt(before) * beta / (1 - abar),
            math.sqrt(alpha) * (1 - before) / (1 - abar),
            (1 - before) / (1 - abar) * beta,
        )

    def fresh(self, std):
        return std * self.z() if np.any(std > 0) else 0.0

    def law(self, x) -> AffineLaw:
        random = x[:, 1 + self.m :]
        return AffineLaw(x[:, 0], x[:, 1 : 1 + self.m], random @ random.T)


def published_dps(case, levels, zeta):
    """Chung et al. 2023, Algorithm 1 with a fixed zeta_i: minus zeta times the gradient."""
    paper = Paper(case, levels, len(levels) - 1)
    x = paper.start()
    for abar, before in itertools.pairwise(paper.abar):
        x0, J = paper.denoised(x, abar)
        of_x0, of_x, variance = paper.ancestral(abar, before)
        gradient = -2 * J.T @ case.H.T @ (paper.y - case.H @ x0)
        x = of_x0 * x0 + of_x * x + paper.fresh(math.sqrt(variance)) - zeta * gradient
    return paper.law(x)


def published_ddnm_plus(case, levels, eta=1.0):
    """Wang et al. 2023, eq. 17-19 along each singular vector; DDIM's kernel in DDPM's place."""
    paper = Paper(case, levels, len(levels) - 1)
    U, s, Vt = np.linalg.svd(case.H)
    x = paper.start()
    for abar, before in itertools.pairwise(paper.abar):
        x0, _ = paper.denoised(x, abar)
        std = eta * math.sqrt((1 - before) / (1 - abar) * (1 - abar / before))
        of_x = math.sqrt(1 - before - std**2) / math.sqrt(1 - abar)
        a = math.sqrt(before) - of_x * math.sqrt(abar)
        spread = np.full(paper.n, std)
        x0_spec = Vt @ x0
        for i in range(paper.n):
            if i >= len(s) or s[i] < 1e-12:
                continue
            tau = case.sigma_y / s[i]
            scale = 1.0 if std >= a * tau else std / (a * tau)
            spread[i] = math.sqrt(max(std**2 - (a * scale * tau) ** 2, 0))
            x0_spec[i] += scale * (U[:, i] @ paper.y / s[i] - x0_spec[i])
        x = a * Vt.T @ x0_spec + of_x * x
        if np.any(spread > 0):
            x = x + Vt.T @ (spread[:, None] * paper.z())
    return paper.law(x)


def published_pigdm(case, levels, eta=1.0):
    """Song et al. 2023: DDIM with the unguided eps, and g times sqrt(abar_s abar_t) (awd)."""
    paper = Paper(case, levels, len(levels) - 1)
    x = paper.start()
    for abar, before in itertools.pairwise(paper.abar):
        x0, J = paper.denoised(x, abar)
        c1 = eta * math.sqrt((1 - abar / before) * (1 - before) / (1 - abar))
        c2 = math.sqrt(1 - before - c1**2)
        eps = (x - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
        r2 = 1 - abar
        inner = np.linalg.inv(r2 * case.H @ case.H.T + case.sigma_y**2 * np.eye(paper.m))
        g = r2 * J.T @ case.H.T @ inner @ (paper.y - case.H @ x0)
        x = math.sqrt(before) * x0 + c2 * eps + math.sqrt(before * abar) * g + paper.fresh(c1)
    return paper.law(x)


def published_repaint(case, levels, times, draws):
    """Lugmayr et al. 2022, Algorithm 1, along ``times``: each known pixel noised, others denoised.

    ``times`` are places in levels; a step back to more noise is q(x_t | x_{t-1}), once or several.
    """
    paper = Paper(case, levels, draws)
    known, image = np.diag(MASK * 1.0), np.eye(4)[:, MASK] @ paper.y
    x = paper.start()
    for now, then in itertools.pairwise(times):
        abar, before = paper.abar[now], paper.abar[then]
        if then > now:
            x0, _ = paper.denoised(x, abar)
            of_x0, of_x, variance = paper.ancestral(abar, before)
            z = paper.z() if before < 1 else 0.0
            kept = math.sqrt(before) * image + math.sqrt(1 - before) * z
            lost = of_x0 * x0 + of_x * x + math.sqrt(variance) * z
            x = known @ kept + (np.eye(4) - known) @ lost
        else:
            x = math.sqrt(before / abar) * x + math.sqrt(1 - before / abar) * paper.z()
    return paper.law(x)


@pytest.mark.parametrize("zeta", [0.02, 0.3])
@pytest.mark.parametrize("case", [CASE, SHORT], ids=["wide", "tall"])
def test_dps_is_the_papers_algorithm_1_in_other_coordinates(case, zeta):
    """Chung et al. 2023, fixed weight: mean map, offset and covariance."""
    want = published_dps(case, LEVELS, zeta)
    got = law_of(dps_samples, case, LEVELS, len(LEVELS) - 1, zeta=zeta, normalised=False)
    assert law_distance(got, want, 4) <= 1e-9


def test_normalised_dps_divides_by_the_length_of_each_residual():
    """One run against Algorithm 1 word by word in VP images, zeta_i = zeta / |y - H x0_hat|."""
    rng = np.random.default_rng(7)
    noise, y = rng.standard_normal((len(LEVELS) - 1, 2, 4)), rng.standard_normal((2, 3))
    with known_noise(torch.as_tensor(noise)):
        run = dps_samples(
            prior_of(CASE), Dense(CASE.H), torch.as_tensor(y), LEVELS, sigma_y=0.3, zeta=0.4
        )
        got = [step.x.numpy() for step in run]
    for image in range(2):
        paper = Paper(CASE, LEVELS, 0)
        paper.width = 1
        x = math.sqrt(1 - paper.abar[0]) * noise[0, image][:, None]
        for k, (abar, before) in enumerate(itertools.pairwise(paper.abar)):
            x0, J = paper.denoised(x, abar)
            left = y[image][:, None] - CASE.H @ x0
            of_x0, of_x, variance = paper.ancestral(abar, before)
            fresh = math.sqrt(variance) * noise[k + 1, image][:, None] if before < 1 else 0.0
            gradient = -2 * J.T @ CASE.H.T @ left
            x = of_x0 * x0 + of_x * x + fresh - 0.4 / np.linalg.norm(left) * gradient
            assert relative(got[k][image], x[:, 0] / math.sqrt(before)) <= 1e-10


def test_dps_needs_products_with_h_only():
    """An object with op(x) and op.adjoint(y) gives what its operator gives."""

    class Products:
        in_shape, out_shape, H = (4,), (3,), torch.as_tensor(CASE.H)

        def __call__(self, x):
            return x @ self.H.T

        def adjoint(self, y):
            return y @ self.H

    runs = []
    for op in (Products(), Dense(CASE.H)):
        generator = torch.Generator().manual_seed(0)
        y = torch.ones(2, 3, dtype=torch.float64)
        *_, last = dps_samples(prior_of(CASE), op, y, LEVELS, sigma_y=0.0, generator=generator)
        runs.append(last.x)
    assert relative(*runs) <= 1e-12


def test_dps_at_a_residual_of_zero_takes_no_step():
    """0 / 0 counts as 0: a denoiser that already agrees with y is left alone."""
    op, y = Inpainting(torch.tensor([True, False])), torch.full((1, 1), 0.7, dtype=torch.float64)
    at_y = lambda x, sigma: 0 * x + 0.7  # noqa: E731
    *_, last = dps_samples(at_y, op, y, [2.0, 1.0, 0.0], sigma_y=0.0)
    assert torch.equal(last.x, torch.full((1, 2), 0.7, dtype=torch.float64))


@pytest.mark.parametrize("eta", [1.0, 0.6])
@pytest.mark.parametrize("case", [CASE, SHORT], ids=["wide", "tall"])
def test_ddnm_plus_is_the_papers_formula_in_other_coordinates(case, eta):
    """Wang et al. 2023, eq. 17-19, along every singular vector."""
    want = published_ddnm_plus(case, LEVELS, eta)
    got = law_of(ddnm_plus_samples, case, LEVELS, len(LEVELS) - 1, eta_ddim=eta)
    assert law_distance(got, want, 4) <= 1e-9


@pytest.mark.parametrize("eta", [1.0, 0.6, 0.0])
def test_ddnm_plus_without_noise_is_ddnm(eta):
    """y_spec replaces x0_hat wherever it was measured, in the loop of DDIM."""
    case = CASE._replace(sigma_y=0.0)
    op, draws = Dense(case.H), 1 if eta == 0 else len(LEVELS) - 1

    def ddnm(prior, op, y, levels, *, sigma_y):
        guided = DDNM(prior, op, y, sigma_y=sigma_y)
        return ddpm_samples(guided, (len(y), 4), levels, eta_ddim=eta, dtype=y.dtype)

    got = law_of(ddnm_plus_samples, case, LEVELS, draws, op=op, eta_ddim=eta)
    assert law_distance(got, law_of(ddnm, case, LEVELS, draws, op=op), 4) <= 1e-9


def test_ddnm_plus_takes_all_of_y_as_long_as_its_noise_fits_into_the_steps_own():
    """The three kinds of coordinate by hand: s large, small, 0, at sigma 1 -> 0.6."""
    s = torch.tensor([2.0, 0.1, 0.0], dtype=torch.float64)
    c = ddnm_plus_coefficients(s, 1.0, 0.6, 0.3, eta_ddim=1.0)
    w, v = 1 - 0.36, 0.6 * 0.8  # DDPM's weight of x0_hat, and its noise
    share = v / (w * 3.0)
    left = math.sqrt(v**2 - (w * 0.15) ** 2)
    want = [[0, w * (1 - share), w], [0.36] * 3, [w, w * share, 0], [left, 0, v]]
    assert largest(np.stack([number.numpy() for number in c]) - want) <= 1e-15


@pytest.mark.parametrize("eta", [1.0, 0.5])
@pytest.mark.parametrize("case", [CASE, SHORT], ids=["wide", "tall"])
def test_published_pseudo_inverse_guidance_is_the_papers_step_in_other_coordinates(case, eta):
    """Song et al. 2023 with noise: the unguided eps, the gradient times sqrt(abar_s abar_t)."""
    want = published_pigdm(case, LEVELS, eta)
    got = law_of(pigdm_samples, case, LEVELS, len(LEVELS) - 1, eta_ddim=eta)
    assert law_distance(got, want, 4) <= 1e-9


def test_a_step_of_pigdm_moves_the_image_by_the_documented_ratio():
    """(1 - w)(1 + sigma^2) between the denoiser that sees y and the published sampler."""
    op, y = Dense(CASE.H), torch.ones(1, 3, dtype=torch.float64)
    noise, levels = torch.ones(2, 1, 4, dtype=torch.float64), [2.0, 0.5, 0.0]

    def first(samples, *args, **options):
        with known_noise(noise):
            return next(iter(samples(*args, levels, eta_ddim=0.5, **options))).x

    prior, double = prior_of(CASE), {"dtype": torch.float64}
    plain = first(ddpm_samples, prior, (1, 4), **double)
    seen = first(ddpm_samples, PiGDM(prior, op, y, sigma_y=0.3), (1, 4), **double)
    published = first(pigdm_samples, prior, op, y, sigma_y=0.3)
    variance = 0.25 * 0.25 * (1 - 0.25**2)
    w = math.sqrt(0.25 - variance) / 2.0
    assert relative(seen - plain, (1 - w) * 5 * (published - plain)) <= 1e-12


# ---------------------------------------------------------------------------------------- DDRM-M


def lecture_11(s, sigma, below, sigma_y):
    """One coordinate of lecture 11's DDRM-M: weights of x0_hat, x_t and y, and the variance."""
    ratio = below / sigma
    if s == 0 or sigma < sigma_y / s:
        return 1 - ratio**2, ratio**2, 0.0, below**2 * (1 - ratio**2)
    b = (sigma_y / s) ** 2
    if below**2 >= b:
        return 0.0, 0.0, 1.0, below**2 - b
    return 1 - below**2 / b, 0.0, below**2 / b, below**2 * (1 - below**2 / b)


@pytest.mark.parametrize("sigma_y", [0.31, 0.0])
def test_markov_coefficients_are_those_of_lecture_11(sigma_y):
    """G13: case 1 above sigma_y / s, a bridge across it, DDPM's step below and where s = 0."""
    s = [1.7, 0.8, 0.31, 0.04, 0.0]
    as_tensor = torch.tensor(s, dtype=torch.float64)
    for sigma, below in itertools.pairwise([31.0, 12.5, 3.1, 1.0, 0.6, 0.02, 0.0]):
        c = markov_ddrm_coefficients(as_tensor, sigma, below, sigma_y)
        want = np.array([lecture_11(each, sigma, below, sigma_y) for each in s])
        got = np.stack([number.numpy() for number in c._replace(noise=c.noise**2)]).T
        scale = np.array([1, 1, 1, below**2 or 1])
        assert largest((got - want) / scale) <= 1e-12


def markov_network(s, levels, sigma_y, table=markov_ddrm_coefficients):
    """The chain given a generic x_0, in the place of slide 11's."""

    def coefficients(*args, eta, eta_b):
        return table(*args)

    x0 = Gaussian(torch.full_like(s, 0.7), torch.zeros(len(s), len(s)))
    with mock.patch.object(law_module, "ddrm_coefficients", coefficients):
        return inference_network(x0, s, levels, sigma_y=sigma_y)


def test_below_the_noise_of_y_the_levels_are_a_markov_chain():
    """G13: FULL covariance of (y, x_7 .. x_1) given x_0; of two levels the lower one's variance."""
    s, sigma_y = torch.tensor([0.4, 0.1], dtype=torch.float64), 0.31
    names = ["y", *[f"x{t}" for t in range(7, 0, -1)]]
    law = markov_network(s, LEVELS, sigma_y).joint(*names)
    levels = np.array(LEVELS[:-1])
    for i in range(2):
        b = (sigma_y / s[i].item()) ** 2
        variance = np.array([b, *levels**2])
        # Above the noise of y every level is y with noise of its own, so that they share b.
        want = np.minimum(np.minimum.outer(variance, variance), b)
        np.fill_diagonal(want, variance)
        got = law.cov[i::2, i::2].numpy()
        assert largest((got - want) / np.sqrt(np.outer(variance, variance))) <= 1e-12
    assert largest(law.mean - 0.7) <= 1e-12


def test_markov_ddrm_without_noise_is_ddrm_with_the_steps_of_ddpm():
    """sigma_y = 0: eta_b = 1, and eta^2 = 1 - sigma_t^2 / sigma_{t+1}^2 where s = 0."""
    case, levels = CASE._replace(sigma_y=0.0), [9.0, 3.0, 1.0, 0.0]
    markov = law_of(markov_ddrm_samples, case, levels, 3)
    eta = math.sqrt(1 - 1 / 9)  # in the last step, eta does not count
    assert law_distance(markov, law_of(ddrm_samples, case, levels, 3, eta=eta), 4) <= 1e-10


# --------------------------------------------------------------------------------------- RePaint


@pytest.mark.parametrize(
    ("jump", "resamplings", "times"),
    [
        (1, 1, [0, 1, 2, 3, 4, 5]),
        (1, 2, [0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5]),
        (2, 3, [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4, 5]),
        (3, 2, [0, 1, 2, 3, 4, 1, 2, 3, 4, 5]),
    ],
)
def test_repaint_is_the_papers_algorithm_1_in_other_coordinates(jump, resamplings, times):
    """Lugmayr et al. 2022: the whole walk, mean map, offset and covariance."""
    levels = [12.5, 3.1, 1.4, 0.6, 0.21, 0.0]
    op = Inpainting(torch.as_tensor(MASK))
    draws = len(times) - 1  # one at the start, one a move, none in the last
    options = {"jump": jump, "resamplings": resamplings}
    got = law_of(repaint_samples, PIXELS, levels, draws, op=op, **options)
    assert law_distance(got, published_repaint(PIXELS, levels, times, draws), 4) <= 1e-9

    y = torch.ones(1, 2, dtype=torch.float64)
    steps = list(repaint_samples(prior_of(PIXELS), op, y, levels, sigma_y=0.0, **options))
    down = [then for now, then in itertools.pairwise(times) if then > now]
    assert [step.t for step in steps] == [5 - place for place in down]
    assert [step.sigma.item() for step in steps] == [levels[place] for place in down]
    assert len(steps) == 5 + (resamplings - 1) * jump * (4 // jump)


def test_repaint_keeps_known_pixels():
    """Exactly, whatever their singular value, at the end."""
    op = Inpainting(torch.as_tensor(MASK))
    y = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    *_, last = repaint_samples(prior_of(CASE), op, y, LEVELS, sigma_y=0.0)
    assert torch.equal(op(last.x), y)


# ------------------------------------------------------------------------------------- particles

CHAIN = [8.0, 2.0, 0.7, 0.2, 0.0]
OBSERVED = random_case(3, 2, 2, 0.4, seed=8)
Y = OBSERVED.H @ (OBSERVED.mean + np.array([0.3, -0.4, 0.2])) + np.array([0.2, -0.1])


def chains_own_posterior(case, levels, y):
    """p_theta(x_0) p(y | x_0) for DDPM's law of x_0, conditioned by the inverse of a matrix."""
    law = ddpm_law(prior_of(case), levels)
    mean, cov = law.mean.numpy(), law.cov.numpy()
    gain = cov @ case.H.T @ np.linalg.inv(case.H @ cov @ case.H.T + case.sigma_y**2 * np.eye(2))
    return mean + gain @ (y - case.H @ mean), cov - gain @ case.H @ cov


def particle_scores(mean, cov, *, particles, images=20_000, **options):
    """z-scores of mean and FULL covariance of one draw for each of many images with one y."""
    *_, last = particle_samples(
        prior_of(OBSERVED),
        Dense(OBSERVED.H),
        torch.as_tensor(Y).repeat(images, 1),
        CHAIN,
        sigma_y=OBSERVED.sigma_y,
        particles=particles,
        generator=torch.Generator().manual_seed(2),
        **options,
    )
    x, variance = last.x.numpy(), np.diag(cov)
    centred = x - mean
    spread = np.sqrt((np.outer(variance, variance) + cov**2) / images)
    return largest(
        centred.mean(0) / np.sqrt(variance / images),
        (centred.T @ centred / images - cov) / spread,
    )


@pytest.mark.parametrize("spread", [1.0, 0.6, 4.0])
def test_particles_draw_from_the_chains_own_posterior(spread):
    """20,000 images of 128 particles, 9 scores of mean and covariance: z <= 5 (p < 1e-5).

    The bias, about one over the number of particles, is below the Monte Carlo error of 1 / 141.
    """
    posterior = chains_own_posterior(OBSERVED, CHAIN, Y)
    assert particle_scores(*posterior, particles=128, spread=spread) <= 5


def test_particles_do_not_draw_from_the_priors_posterior():
    """With four steps the chain's law is another than the prior's, by more than 20 errors."""
    exact = prior_of(OBSERVED).posterior(
        Dense(OBSERVED.H), torch.as_tensor(Y)[None], sigma_y=OBSERVED.sigma_y
    )
    assert particle_scores(exact.mean[0].numpy(), exact.cov.numpy(), particles=32) > 20


@pytest.mark.parametrize("wrong", ["no weights", "one particle"])
def test_particles_without_their_weights_are_found_out(wrong):
    """Every particle its own parent, or nothing to choose from: off by more than 20 errors."""
    posterior = chains_own_posterior(OBSERVED, CHAIN, Y)
    particles = 1 if wrong == "one particle" else 32

    def everyone(weights, generator):
        return torch.arange(particles).expand(len(weights), particles)

    patch = everyone if wrong == "no weights" else samplers_module._stratified
    with mock.patch.object(samplers_module, "_stratified", patch):
        assert particle_scores(*posterior, particles=particles) > 20


def test_the_effective_sample_size_is_told():
    """From 1 to the number of particles, for each image; a y that is far out costs particles."""
    op, y = Dense(OBSERVED.H), torch.as_tensor(np.stack([Y, Y + 3]))
    run = particle_samples(prior_of(OBSERVED), op, y, CHAIN, sigma_y=0.4, particles=50)
    ess = torch.stack([step.ess for step in run])
    assert ess.shape == (4, 2)
    assert ((ess >= 1) & (ess <= 50 * (1 + 1e-12))).all()
    assert ess[:, 1].min() < 0.5 * ess[:, 0].min()


def test_stratified_resampling_is_unbiased_and_keeps_equal_weights():
    """Counts of 4 particles in 20,000 rows: |mean - 4 w| <= 5 errors; equal weights: themselves."""
    weights = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64).repeat(20_000, 1)
    chosen = samplers_module._stratified(weights, torch.Generator().manual_seed(3))
    counts = torch.nn.functional.one_hot(chosen, 4).sum(1).double()
    assert (counts[:, 0] == 2).all()  # the first half of the probability
    error = counts[:, 1:].std(0) / 20_000**0.5
    assert largest((counts.mean(0) - 4 * weights[0])[1:] / error) <= 5
    assert (counts.var(0) < 4 * weights[0] * (1 - weights[0])).all()  # of independent draws
    equal = torch.full((3, 7), 1 / 7, dtype=torch.float64)
    assert torch.equal(samplers_module._stratified(equal, None), torch.arange(7).expand(3, 7))


# ------------------------------------------------------------------------------ what all promise

OP = Inpainting(torch.tensor([[True, False], [True, True]]), channels=1)
IMAGES = GaussianPrior(torch.zeros(1, 2, 2), torch.eye(4) + 0.5)
SAMPLERS = {
    markov_ddrm_samples: 0.3,
    ddnm_plus_samples: 0.3,
    dps_samples: 0.3,
    pigdm_samples: 0.3,
    repaint_samples: 0.0,
    particle_samples: 0.3,
}
every_sampler = pytest.mark.parametrize(
    ("samples", "sigma_y"), SAMPLERS.items(), ids=lambda value: getattr(value, "__name__", "")
)
SCHEDULE = NoiseSchedule.linear().sigmas(4)


@every_sampler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_ends_with_an_image_in_the_dtype_of_y(samples, sigma_y, dtype):
    """Steps as those of ddrm_samples; nothing of the caller's is changed, no gradient left."""
    y = torch.ones(2, 3, dtype=dtype)
    state = torch.random.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    steps = list(samples(IMAGES, OP, y, SCHEDULE, sigma_y=sigma_y, generator=generator))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(y, torch.ones(2, 3, dtype=dtype))
    assert torch.is_grad_enabled()
    assert (steps[-1].t, steps[-1].sigma.item()) == (0, 0.0)
    for step in steps:
        for image in (step.x, step.x0_hat):
            assert (image.shape, image.dtype) == ((2, 1, 2, 2), dtype)
            assert not image.requires_grad
        assert step.sigma.dtype == torch.float64


@every_sampler
def test_y_may_be_changed_once_the_run_is_made(samples, sigma_y):
    """As for ddrm_samples, the start is drawn and y is read by the call itself."""
    results = []
    for later in (1.0, 5.0):
        y, generator = torch.ones(1, 3, dtype=torch.float64), torch.Generator().manual_seed(0)
        run = samples(IMAGES, OP, y, SCHEDULE, sigma_y=sigma_y, generator=generator)
        y.fill_(later)
        results.append(list(run)[-1].x)
    assert torch.equal(*results)


@every_sampler
def test_an_image_does_not_depend_on_its_batch(samples, sigma_y):
    """One generator per image."""
    y = torch.tensor([[0.1, 0.2, 0.3], [1.0, -1.0, 0.5], [0.4, 0.0, -2.0]], dtype=torch.float64)
    seeds = [torch.Generator().manual_seed(k) for k in range(3)]
    *_, batch = samples(IMAGES, OP, y, SCHEDULE, sigma_y=sigma_y, generator=seeds)
    alone = [torch.Generator().manual_seed(1)]
    *_, one = samples(IMAGES, OP, y[1:2], SCHEDULE, sigma_y=sigma_y, generator=alone)
    assert largest(batch.x[1] - one.x[0]) <= 1e-12


@every_sampler
def test_restore_knows_the_sampler_and_what_it_costs(samples, sigma_y):
    """By its name in METHODS; images denoised, of two measurements in eight steps."""
    (method,) = [method for method in METHODS.values() if method.make is samples]
    seen = []

    def counted(x, sigma):
        seen.append(len(x))
        return IMAGES(x, sigma)

    y, generator = torch.ones(2, 3), torch.Generator().manual_seed(0)
    x = restore(counted, OP, y, sigma_y=sigma_y, method=method.name, steps=8, generator=generator)
    levels = NoiseSchedule.linear().sigmas(8)
    generator.manual_seed(0)
    *_, last = samples(IMAGES, OP, y, levels, sigma_y=sigma_y, generator=generator)
    assert torch.equal(x, last.x)
    # RePaint never goes above its first level again, so that it takes a little less.
    less = 9 if samples is repaint_samples else 0
    assert sum(seen) == 2 * (8 * method.evaluations - less)


@every_sampler
def test_a_denoiser_may_work_in_place(samples, sigma_y):
    """What it does to its argument changes nothing."""

    def in_place(x, sigma):
        return x.mul_(1 / (1 + sigma**2))

    y, results = torch.ones(1, 3, dtype=torch.float64), []
    for denoiser in (in_place, lambda x, sigma: x / (1 + sigma**2)):
        generator = torch.Generator().manual_seed(0)
        run = samples(denoiser, OP, y, SCHEDULE, sigma_y=sigma_y, generator=generator)
        results.append(list(run)[-1].x)
    assert largest(results[0] - results[1]) <= 1e-12


@every_sampler
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"y": torch.ones(2, 4)}, "y must have shape"),
        ({"y": torch.ones(2, 3, dtype=torch.int64)}, "floating-point"),
        ({"y": torch.full((2, 3), math.nan)}, "y must be finite"),
        ({"sigmas": [2.0, 1.0]}, "end in exactly 0"),
        ({"sigma_y": -1.0}, "sigma_y"),
    ],
    ids=["shape", "integers", "nan", "levels", "sigma_y"],
)
def test_bad_input_is_refused_by_the_call_itself(samples, sigma_y, change, sentence):
    """No step has to be asked for."""
    arguments = {"y": torch.ones(2, 3), "sigmas": SCHEDULE, "sigma_y": sigma_y} | change
    with pytest.raises(ValueError, match=sentence):
        samples(IMAGES, OP, **arguments)


@every_sampler
def test_a_denoiser_that_returns_another_shape_is_refused(samples, sigma_y):
    """As every loop does."""
    run = samples(lambda x, sigma: x[:, :, :1], OP, torch.ones(2, 3), SCHEDULE, sigma_y=sigma_y)
    with pytest.raises(ValueError, match="must return an image of the shape it was given"):
        next(iter(run))


@pytest.mark.parametrize("samples", [dps_samples, pigdm_samples])
def test_a_denoiser_without_a_gradient_is_refused(samples):
    """The two that need one say so."""
    run = samples(torch.no_grad()(IMAGES), OP, torch.ones(2, 3), SCHEDULE, sigma_y=0.3)
    with pytest.raises(ValueError, match="differentiable by torch"):
        next(iter(run))


@pytest.mark.parametrize(
    ("samples", "options", "sentence"),
    [
        (repaint_samples, {"sigma_y": 0.1}, "sigma_y must be 0"),
        (repaint_samples, {"op": Dense(np.ones((3, 4)), in_shape=(1, 2, 2))}, "V is the identity"),
        (repaint_samples, {"jump": 4}, "at most the number of steps less 1, here 3"),
        (repaint_samples, {"jump": 0}, "jump must be a positive integer"),
        (repaint_samples, {"resamplings": 2.5}, "resamplings must be a positive integer"),
        (particle_samples, {}, "must be positive"),
        (particle_samples, {"sigma_y": 0.1, "particles": 0}, "particles must be a positive"),
        (particle_samples, {"sigma_y": 0.1, "spread": 0.0}, "spread must be positive"),
        (dps_samples, {"zeta": -1.0}, "zeta must be positive"),
        (dps_samples, {"op": lambda x: x}, "op must"),
        (ddnm_plus_samples, {"eta_ddim": 1.5}, "eta_ddim must lie"),
        (pigdm_samples, {"eta_ddim": math.nan}, "eta_ddim must lie"),
    ],
)
def test_what_a_method_cannot_do_is_refused_in_a_sentence(samples, options, sentence):
    """By the call itself, with the reason."""
    arguments = {"op": OP, "sigma_y": 0.0} | options
    with pytest.raises(ValueError, match=sentence):
        samples(IMAGES, y=torch.ones(2, 3), sigmas=SCHEDULE, **arguments)


def test_a_jump_of_the_longest_length_and_a_run_of_one_step():
    """The bounds of RePaint's jump: allowed, and there is nothing to go back to."""
    y = torch.ones(1, 3)
    assert len(list(repaint_samples(IMAGES, OP, y, SCHEDULE, sigma_y=0.0, jump=3))) == 4 + 9 * 3
    assert len(list(repaint_samples(IMAGES, OP, y, [1.0, 0.0], sigma_y=0.0))) == 1

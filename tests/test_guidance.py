"""Denoisers that see y: against dense algebra, against each other, and as a network's users do."""

import functools
import gc
import itertools
import math

import numpy as np
import prior_laws
import pytest
import scipy.linalg
import torch
from comparing import largest_norm
from guidance_laws import (
    Counted,
    System,
    chebyshev,
    error_of,
    given_x_and_y,
    krylov,
    observed,
    products,
    proximal_gain,
    richardson,
    system,
    tweedie,
)
from hypothesis import given
from hypothesis import strategies as st
from laws import GaussianCase, nonlinear_denoiser, random_case, random_orthogonal
from scipy.stats import multivariate_normal
from strategies import operators, seeds

from ddrm_edu import (
    DDNM,
    CircularBlur,
    Dense,
    DiffPIR,
    EmpiricalPrior,
    ExactDenoiser,
    GaussianMixture,
    GaussianPrior,
    Inpainting,
    MomentMatching,
    NoiseSchedule,
    PiGDM,
    SuperResolution,
    ddpm_samples,
    load_denoiser,
    load_images,
)
from ddrm_edu.guidance import Cost, SeesY, unit_prior_variance, with_covariance

SOLVED = functools.partial(MomentMatching, cg_steps=None)
EVERY = {
    "DDNM": DDNM,
    "DiffPIR": functools.partial(DiffPIR, lambda_=0.7),
    "PiGDM": PiGDM,
    "MomentMatching": MomentMatching,
    "three steps": functools.partial(MomentMatching, cg_steps=3),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
levels = st.sampled_from([1e-3, 0.04, 0.3, 1.0, 2.7, 31.0, 157.0, 1e4])


@st.composite
def cases(draw, sigma_y=(0.0, 0.01, 0.3, 2.0)) -> GaussianCase:
    """Correlated priors with a mean; H wide, tall, square, rank-deficient or zero."""
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 8))
    rank = draw(st.integers(0, min(m, n)))
    return random_case(n, m, rank, draw(st.sampled_from(sigma_y)), draw(seeds))


def of(make, case: GaussianCase, *, op=None):
    """``make`` as a function of numpy's arrays, with the exact denoiser."""
    prior = GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))

    def guide(case, y):
        H = Dense(case.H) if op is None else op
        guided = make(prior, H, torch.as_tensor(y), sigma_y=case.sigma_y)
        return lambda x, sigma: guided(torch.as_tensor(x), sigma).numpy()

    return guide


def spread(case: GaussianCase) -> tuple[float, float]:
    values = np.linalg.eigvalsh(case.cov)
    return float(values[0]), float(values[-1])


# -------------------------------------------------------------------------------- closed forms


@given(cases(), levels)
def test_the_exact_denoiser_is_the_conditional_mean_of_the_joint_gaussian(case, sigma):
    """S02.3, G01: E[x_0 | x_t, y], in 60 digits; 1e-12 is a hundred times what was seen."""
    assert error_of(of(ExactDenoiser, case), case, given_x_and_y, sigma) <= 1e-12


@pytest.mark.parametrize("sigma", [0.2, 1.0, 8.0])
def test_the_exact_denoiser_of_a_mixture_is_bayes_rule(sigma):
    """G03: every component's own mean, weighted by pi_k p_k(x_t, y), joint densities by scipy."""
    mixture = prior_laws.random_mixture(3, 4, seed=1)
    case = random_case(4, 3, 2, 0.3, seed=2)
    prior = prior_laws.made(GaussianMixture, mixture)
    x, y = observed(case._replace(mean=mixture.means[0], cov=mixture.covs[0]), sigma)
    A = np.concatenate([np.eye(4), case.H])
    noise = np.diag([sigma**2] * 4 + [case.sigma_y**2] * 3)
    seen, means, logs = np.concatenate([x, y], 1), [], []
    for weight, mean, cov in zip(*mixture, strict=True):
        means.append(given_x_and_y(case._replace(mean=mean, cov=cov), x, y, sigma))
        law = multivariate_normal(A @ mean, A @ cov @ A.T + noise)
        logs.append(math.log(weight) + law.logpdf(seen))
    shares = np.exp(np.array(logs) - np.max(logs, axis=0))
    want = np.einsum("kb,kbn->bn", shares / shares.sum(0), np.array(means))
    got = ExactDenoiser(prior, Dense(case.H), torch.as_tensor(y), sigma_y=case.sigma_y)
    np.testing.assert_allclose(got(torch.as_tensor(x), sigma), want, atol=1e-10)


@pytest.mark.parametrize(("sigma", "sigma_y"), [(0.3, 0.5), (1.0, 0.05), (7.0, 2.0)])
def test_the_exact_denoiser_of_images_is_bayes_rule(sigma, sigma_y):
    """G03: weights exp(-|x - x_i|^2 / 2 sigma^2 - |y - H x_i|^2 / 2 sigma_y^2), image by image."""
    rng = np.random.default_rng(0)
    images, H = rng.standard_normal((6, 4)), rng.standard_normal((3, 4))
    x, y = images[:2] + 0.4, images[:2] @ H.T - 0.1
    want = []
    for a, b in zip(x, y, strict=True):
        log_p = -((a - images) ** 2).sum(1) / (2 * sigma**2)
        log_p -= ((b - images @ H.T) ** 2).sum(1) / (2 * sigma_y**2)
        p = np.exp(log_p - log_p.max())
        want.append(p @ images / p.sum())
    got = ExactDenoiser(EmpiricalPrior(images), Dense(H), torch.as_tensor(y), sigma_y=sigma_y)
    np.testing.assert_allclose(got(torch.as_tensor(x), sigma), np.array(want), atol=1e-12)


def test_what_y_and_x_say_is_weighed_also_where_each_alone_would_decide():
    """Weights of e^-5000 from y and e^4990 from x are multiplied, not rounded to 0 first."""
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    op, y = Inpainting(torch.tensor([True, False])), torch.zeros(1, 1, dtype=torch.float64)
    x = torch.tensor([[0.0, 0.999]], dtype=torch.float64)  # nearer to the second by 0.998 - 1
    sigma_y = 0.01  # of y: log weight -1 / (2 sigma_y^2) = -5000 for the second
    priors = [
        EmpiricalPrior(points),
        GaussianMixture(torch.tensor([0.5, 0.5]), points, 1e-24 * torch.eye(2).expand(2, 2, 2)),
    ]
    for sigma in (1e-3, 0.01, 0.0101):
        # |x - x_i|^2: 0.999^2 for the first, 1 + 0.001^2 for the second
        log_odds = (0.999**2 - 1 - 0.001**2) / (2 * sigma**2) - 1 / (2 * sigma_y**2)
        want = 1 / (1 + math.exp(min(700.0, -log_odds)))
        for prior in priors:
            got = ExactDenoiser(prior, op, y, sigma_y=sigma_y)(x, sigma)
            assert got[0, 1].item() == pytest.approx(want, abs=1e-9)
    # and the other way round: x knows, y does not
    near = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    for prior in priors:
        got = ExactDenoiser(prior, op, y, sigma_y=sigma_y)(near, 1e-3)
        assert got[0, 1].item() == pytest.approx(1.0, abs=1e-9)  # e^-5000 of y, e^-1000000 of x


def test_without_noise_images_that_y_excludes_have_no_weight():
    """sigma_y = 0: also where x is at one of them, and at any level."""
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
    op, y = Inpainting(torch.tensor([True, False])), torch.zeros(1, 1, dtype=torch.float64)
    guided = ExactDenoiser(EmpiricalPrior(points), op, y, sigma_y=0.0)
    at_the_second = points[1:2]
    for sigma in (1e-200, 1e-3):
        assert torch.equal(guided(at_the_second, sigma), points[:1])
    assert guided(at_the_second, 1e6)[0].tolist() == pytest.approx([0.0, 1.5])


@given(cases(), levels)
def test_moment_matching_is_exact_for_a_gaussian_prior(case, sigma):
    """Y01: when its system is solved, by conjugate gradients or by Chebyshev's iteration."""
    assert error_of(of(SOLVED, case), case, given_x_and_y, sigma) <= 1e-8
    make = functools.partial(SOLVED, iteration="chebyshev", eigenvalues=spread(case))
    assert error_of(of(make, case), case, given_x_and_y, sigma) <= 1e-8


@given(cases(), levels)
def test_richardson_converges_where_no_eigenvalue_of_the_prior_is_above_two(case, sigma):
    """Y04: then every K is below 2 r^2, at every level."""
    case = case._replace(cov=1.8 * case.cov / spread(case)[1])
    make = functools.partial(SOLVED, iteration="richardson")
    assert error_of(of(make, case), case, given_x_and_y, sigma) <= 1e-8


def test_richardson_diverges_where_they_are_and_says_so():
    """K = 3 r^2 / (1 + ...): |1 - lambda| > 1 at large levels; at small ones it converges."""
    prior = GaussianPrior(torch.zeros(2), torch.diag(torch.tensor([3.0, 0.5])))
    op, y = Dense(np.eye(2)), torch.ones(1, 2, dtype=torch.float64)
    guided = SOLVED(prior, op, y, sigma_y=0.1, iteration="richardson")
    x = torch.zeros(1, 2, dtype=torch.float64)
    assert guided(x, 1.0).isfinite().all()
    with pytest.raises(ValueError, match=r"After 1000 steps .* sigma = 50 .*'richardson' needs K"):
        guided(x, 50.0)


@given(cases(), levels, st.integers(1, 5))
def test_iterations_are_those_of_the_textbook(case, sigma, steps):
    """Richardson on w; Chebyshev's polynomial; the best of the Krylov space for the gradients."""
    fixed = functools.partial(MomentMatching, cg_steps=steps)
    make = functools.partial(fixed, iteration="richardson")
    want = lambda *args: richardson(system(*args), steps)  # noqa: E731
    assert error_of(of(make, case), case, want, sigma) <= 1e-9

    make = functools.partial(fixed, iteration="chebyshev", eigenvalues=spread(case))
    _, y = observed(case, sigma)
    bounds = make(
        GaussianPrior(case.mean, case.cov),
        Dense(case.H),
        torch.as_tensor(y),
        sigma_y=case.sigma_y,
    )._bounds(sigma)
    want = lambda *args: chebyshev(system(*args), steps, *bounds)  # noqa: E731
    assert error_of(of(make, case), case, want, sigma) <= 1e-8

    want = lambda *args: krylov(system(*args), steps)  # noqa: E731
    assert error_of(of(fixed, case), case, want, sigma) <= 1e-7


@given(cases(), levels)
def test_pseudo_inverse_guidance_is_its_formula_and_richardsons_first_step(case, sigma):
    """Y03: x0_hat + K H^T P (y - H x0_hat), and bit for bit the first iterate from w = 0."""
    want = lambda *args: richardson(system(*args), 1)  # noqa: E731
    assert error_of(of(PiGDM, case), case, want, sigma) <= 1e-9
    x, y = observed(case, sigma)
    first = functools.partial(MomentMatching, iteration="richardson", cg_steps=1)
    assert np.array_equal(of(PiGDM, case)(case, y)(x, sigma), of(first, case)(case, y)(x, sigma))


@given(cases(), levels)
def test_r2_of_ones_own(case, sigma):
    """A function of sigma; the solution does not depend on it, pseudo-inverse guidance does."""
    r2 = lambda sigma: 0.4 * sigma**2 / (0.4 + sigma**2)  # noqa: E731
    make = functools.partial(PiGDM, r2=r2)
    want = lambda *args: richardson(system(*args, r2=r2(sigma)), 1)  # noqa: E731
    assert error_of(of(make, case), case, want, sigma) <= 1e-9
    make = functools.partial(SOLVED, r2=r2)
    assert error_of(of(make, case), case, given_x_and_y, sigma) <= 1e-8


def test_r2_of_each_coordinate_is_exact_where_the_prior_is_independent_in_them():
    """PiGDM with the variances of an independent prior in the place of r^2."""
    rng = np.random.default_rng(3)
    Q, v = random_orthogonal(4, rng), np.array([2.0, 0.7, 0.1, 0.4])
    H = np.diag([1.3, 0.4, 0.05]) @ Q.T[:3]
    case = GaussianCase(rng.standard_normal(4), Q * v @ Q.T, H, 0.2)
    op = Dense(H)
    of_s = {1.3: 2.0, 0.4: 0.7, 0.05: 0.1, 0.0: 0.4}
    prior_v = torch.tensor([of_s[round(s, 3)] for s in op.s.tolist()])
    make = functools.partial(PiGDM, r2=lambda sigma: prior_v * sigma**2 / (prior_v + sigma**2))
    assert error_of(of(make, case), case, given_x_and_y, 0.8) <= 1e-7  # prior_v is float32


# ---------------------------------------------------------------- when pseudo-inverses are exact


def in_coordinates_of(H: np.ndarray, spectral: np.ndarray, sigma_y: float) -> GaussianCase:
    """A prior whose covariance in H's spectral coordinates is ``spectral``, measured ones first."""
    V = np.linalg.svd(H)[2].T
    mean = np.linspace(-1, 1, len(V))
    return GaussianCase(mean, V @ spectral @ V.T, H, sigma_y)


ROWS = random_case(5, 4, 3, 0.2, seed=7).H  # rank 3: three measured coordinates, two others
BLOCK = random_case(2, 1, 1, 0.1, seed=8).cov


def with_blocks(measured: np.ndarray, across: np.ndarray) -> np.ndarray:
    return np.block([[measured, across], [across.T, BLOCK + across.T @ across]])


def pigdm_error(spectral: np.ndarray, sigma: float, sigma_y: float = 0.2) -> float:
    case = in_coordinates_of(ROWS, spectral, sigma_y)
    return error_of(of(PiGDM, case), case, given_x_and_y, sigma)


def test_pseudo_inverse_guidance_is_exact_for_the_identity_on_the_row_space():
    """Y02, if: any covariance of the null space, uncorrelated with what was measured."""
    for sigma, sigma_y in itertools.product((0.3, 1.0, 20.0), (0.0, 0.2)):
        spectral = with_blocks(np.eye(3), np.zeros((3, 2)))
        assert pigdm_error(spectral, sigma, sigma_y) <= 1e-12


@pytest.mark.parametrize(
    "spectral",
    [
        with_blocks(np.diag([0.5, 1.0, 1.0]), np.zeros((3, 2))),
        with_blocks(np.eye(3) + 0.3 * (np.ones((3, 3)) - np.eye(3)), np.zeros((3, 2))),
        with_blocks(np.eye(3), 0.4 * np.eye(3)[:, :2]),
    ],
    ids=["another variance", "correlated rows", "correlated with the null space"],
)
def test_and_only_for_that(spectral):
    """Y02, only if: each condition alone is needed."""
    assert max(pigdm_error(spectral, sigma) for sigma in (0.3, 1.0, 20.0)) > 1e-3


def test_at_one_level_only_another_prior_will_do():
    """Y02 speaks of all levels: C_mm = I + C_mn (C_nn + sigma^2)^-1 C_nm is exact at this sigma."""
    across, sigma = 0.4 * np.eye(3)[:, :2], 0.7
    measured = np.eye(3) + across @ np.linalg.inv(BLOCK + sigma**2 * np.eye(2)) @ across.T
    spectral = np.block([[measured, across], [across.T, BLOCK]])
    assert np.linalg.eigvalsh(spectral)[0] > 0
    assert pigdm_error(spectral, sigma) <= 1e-12
    assert min(pigdm_error(spectral, level) for level in (0.2, 3.0)) > 1e-4


def test_what_the_prior_knows_already_does_not_count():
    """Y02 asks for a covariance of full rank: a coordinate that is known moves nothing."""
    spectral = with_blocks(np.diag([1.0, 0.0, 1.0]), np.zeros((3, 2)))
    assert pigdm_error(spectral, 0.7) <= 1e-12


# ------------------------------------------------------------------------- without the gradient


@given(operators(), seeds, st.sampled_from([0.02, 0.9, 40.0]))
def test_ddnm_is_range_null_projection(case, seed, sigma):
    """x0_hat + H^+ (y - H x0_hat) by numpy's pseudo-inverse: y_spec where s > 0, else x0_hat."""
    op = case.op
    rng = torch.Generator().manual_seed(seed)
    x, y = (
        torch.randn((2, *shape), generator=rng, dtype=torch.float64)
        for shape in (op.in_shape, op.out_shape)
    )
    guided = DDNM(nonlinear_denoiser, op, y, sigma_y=0.1)
    x0_hat, got = nonlinear_denoiser(x, sigma), guided(x, sigma)
    want = op.Vt(x0_hat)
    want = torch.where(op.spectrum() > 0, op.measure_spec(y), want)
    size = 1 + largest_norm(want)
    assert (op.Vt(got) - want).abs().max() <= 1e-12 * size
    s = op.spectrum().flatten()
    if s.max() > 0 and s[s > 0].min() > 1e-3:
        pinv = np.linalg.pinv(case.H, rcond=1e-5)
        flat = x0_hat.flatten(1).numpy()
        plain = flat + (y.flatten(1).numpy() - flat @ case.H.T) @ pinv.T
        np.testing.assert_allclose(got.flatten(1), plain, atol=1e-8 * float(size))


@given(cases(sigma_y=(0.01, 0.3, 2.0)), levels, st.sampled_from([0.2, 1.0, 6.0]))
def test_diffpir_is_the_posterior_mean_of_independent_pixels(case, sigma, lambda_):
    """N(x0_hat, sigma^2 / lambda I) given y, by the textbook's formula; and the paper's rho."""

    def proximal(case, x, y, sigma):
        x0_hat, _ = tweedie(case, x, sigma)
        gain = proximal_gain(case, sigma**2 / lambda_)
        return x0_hat + (y - x0_hat @ case.H.T) @ gain.T

    def argmin(case, x, y, sigma):  # |y - H x|^2 + rho |x - x0_hat|^2
        x0_hat, _ = tweedie(case, x, sigma)
        rho = lambda_ * case.sigma_y**2 / sigma**2
        normal = case.H.T @ case.H + rho * np.eye(len(case.mean))
        return np.linalg.solve(normal, (y @ case.H + rho * x0_hat).T).T

    make = functools.partial(DiffPIR, lambda_=lambda_)
    assert error_of(of(make, case), case, proximal, sigma) <= 1e-6
    if sigma < 1000:
        assert error_of(of(make, case), case, argmin, sigma) <= 1e-6


def test_by_default_lambda_is_1_and_moment_matching_takes_one_step():
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = observed(case, 0.8)
    for short, whole in (
        (DiffPIR, functools.partial(DiffPIR, lambda_=1.0)),
        (MomentMatching, functools.partial(MomentMatching, cg_steps=1)),
    ):
        assert np.array_equal(of(short, case)(case, y)(x, 0.8), of(whole, case)(case, y)(x, 0.8))


@given(cases(sigma_y=(0.0,)), levels)
def test_without_noise_diffpir_is_ddnm(case, sigma):
    """And tends to it: the difference falls like sigma_y^2."""
    x, y = observed(case, sigma)
    ddnm = of(DDNM, case)(case, y)(x, sigma)
    assert np.array_equal(of(DiffPIR, case)(case, y)(x, sigma), ddnm)
    apart = [
        np.abs(of(DiffPIR, case)(case._replace(sigma_y=sy), y)(x, sigma) - ddnm).max()
        for sy in (1e-3 * sigma, 1e-4 * sigma)
    ]
    assert apart[1] <= max(0.02 * apart[0], 1e-12 * (1 + np.abs(ddnm).max()))


# ---------------------------------------------------------------------------- levels' two ends


@every
def test_ends_of_the_levels(make):
    """Small levels: x itself, but for DDNM; large ones: finite, and the same at 1e4 and 1e5."""
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = observed(case, 1e-6)
    got = of(make, case)(case, y)(x, 1e-6)
    if make is DDNM:
        x0_hat, _ = tweedie(case, x, 1e-6)
        plain = x0_hat + (y - x0_hat @ case.H.T) @ np.linalg.pinv(case.H, rcond=1e-10).T
        np.testing.assert_allclose(got, plain, atol=1e-9)
    else:
        np.testing.assert_allclose(got, x, atol=1e-9)
    far = [of(make, case)(case, y)(0 * x, sigma) for sigma in (1e4, 1e5)]
    np.testing.assert_allclose(*far, atol=1e-6)


def test_from_a_level_that_says_nothing_moment_matching_is_the_posterior_mean():
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = observed(case, 1e-6)
    prior = GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))
    want = prior.posterior(Dense(case.H), torch.as_tensor(y), sigma_y=0.3).mean
    np.testing.assert_allclose(of(SOLVED, case)(case, y)(0 * x, 1e6), want, atol=1e-9)


# ------------------------------------------------------------------------------- H without an SVD


@given(cases(sigma_y=(0.05, 0.3, 2.0)), levels)
def test_h_without_an_svd_has_the_same_solution(case, sigma):
    """Y01 by products with H and H^T only; each step is plain conjugate gradients in y-space."""
    op = products(case.H)
    assert error_of(of(SOLVED, case, op=op), case, given_x_and_y, sigma) <= 1e-8
    for steps in (1, 2):
        make = functools.partial(MomentMatching, cg_steps=steps)
        want = lambda *args, steps=steps: krylov(system(*args, plain=True), steps)  # noqa: E731
        assert error_of(of(make, case, op=op), case, want, sigma) <= 1e-7


@given(cases(sigma_y=(0.05, 0.3, 2.0)), levels, st.sampled_from([0.2, 1.0, 6.0]))
def test_proximal_steps_without_an_svd_are_conjugate_gradients_in_pixels(case, sigma, lambda_):
    """(H^T H + rho I) d = H^T (y - H x0_hat), from d = 0: the best of the Krylov space."""
    op, n = products(case.H), len(case.mean)
    for steps, make in itertools.product(
        (1, 2), (DDNM, functools.partial(DiffPIR, lambda_=lambda_))
    ):
        rho = 0.0 if make is DDNM else lambda_ * case.sigma_y**2 / sigma**2

        def want(case, x, y, sigma, rho=rho, steps=steps):
            x0_hat, _ = tweedie(case, x, sigma)
            normal, slope = case.H.T @ case.H + rho * np.eye(n), (y - x0_hat @ case.H.T) @ case.H
            return krylov(System(x0_hat, np.eye(n), normal, np.eye(n), slope), steps)

        made = functools.partial(make, cg_steps=steps)
        assert error_of(of(made, case, op=op), case, want, sigma) <= 1e-7


@pytest.mark.parametrize("steps", [1, 2])
def test_the_residual_is_that_of_the_system_in_the_worst_image(steps):
    """|b - A w| / |b| with the best w of the Krylov space, image by image."""
    case = random_case(6, 5, 5, 0.1, seed=3)
    x, y = observed(case, 3.0)
    prior, H = GaussianPrior(case.mean, case.cov), torch.as_tensor(case.H)

    plain = system(case, x, y, 3.0, plain=True)
    root = scipy.linalg.sqrtm(system(case, x, y, 3.0).P)
    white = plain._replace(A=root @ plain.A @ root, apart=plain.apart @ root)
    rho = 0.7 * 0.1**2 / 3.0**2
    normal = case.H.T @ case.H + rho * np.eye(6)
    pixels = plain._replace(A=normal, P=np.eye(6), apart=plain.apart @ case.H)
    for make, op, due in (
        (MomentMatching, products(case.H), plain),
        (MomentMatching, Dense(H), white),
        (functools.partial(DiffPIR, lambda_=0.7), products(case.H), pixels),
    ):
        b, size = due.apart, len(due.A)
        w = krylov(due._replace(x0_hat=0 * b, to_x=np.eye(size), P=np.eye(size)), steps)
        left = np.linalg.norm(b - w @ due.A, axis=1) / np.linalg.norm(b, axis=1)
        guided = make(prior, op, torch.as_tensor(y), sigma_y=0.1, cg_steps=steps)
        guided(torch.as_tensor(x), 3.0)
        assert guided.residual == pytest.approx(left.max(), rel=1e-6)
        assert left.max() > 1.1 * left.mean()


def test_without_an_svd_the_proximal_step_goes_on_until_the_residual_is_1e_10():
    """Forty singular values, so that the residual falls little by little."""
    case = random_case(40, 40, 40, 0.1, seed=3)
    x, y = map(torch.as_tensor, observed(case, 3.0))
    prior, op = GaussianPrior(case.mean, case.cov), products(case.H)
    for make in (DDNM, DiffPIR):
        guided = make(prior, op, y, sigma_y=0.1)
        guided(x, 3.0)
        assert 0 < guided.residual <= 1e-10


def test_in_single_precision_a_system_is_solved_to_1e_6():
    """Steps below its rounding unit would each cost a vector-Jacobian product and tell nothing."""
    case = random_case(40, 40, 40, 0.1, seed=3)
    x, y = map(torch.as_tensor, observed(case, 3.0))
    counts = {}
    for dtype in (torch.float32, torch.float64):
        seen = Counted(GaussianPrior(case.mean, case.cov))
        SOLVED(seen, Dense(case.H), y.to(dtype), sigma_y=0.1)(x.to(dtype), 3.0)
        counts[dtype] = seen.vjps
    assert counts[torch.float32] < counts[torch.float64]


def test_preconditioned_steps_do_not_depend_on_the_singular_values():
    """Y04: prior in [0.5, 2], so a condition number of 4 at most, whatever H; A itself has 1,400.

    Conjugate gradients need (1/2) sqrt(4) log(2 / 1e-10) = 24 steps at most for the error in A's
    norm, and 1 more for the residual.
    """
    rng = np.random.default_rng(2)
    Q = random_orthogonal(80, rng)
    H = random_case(80, 80, 80, 0.0, seed=1).H
    case = GaussianCase(np.zeros(80), Q * np.geomspace(0.5, 2, 80) @ Q.T, H, 1e-3)
    x, y = map(torch.as_tensor, observed(case, 30.0))
    counts = {}
    for name, op in {"svd": Dense(H), "products": products(H)}.items():
        seen = Counted(GaussianPrior(case.mean, case.cov))
        SOLVED(seen, op, y, sigma_y=case.sigma_y)(x, 30.0)
        counts[name] = seen.vjps
    assert counts["svd"] <= 25
    assert counts["products"] > 60


# ------------------------------------------------------------------------------- cost and graphs


@every
def test_a_call_costs_what_it_says(make):
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = map(torch.as_tensor, observed(case, 0.8))
    seen = Counted(GaussianPrior(case.mean, case.cov))
    guided = make(seen, Dense(case.H), y, sigma_y=0.3)
    guided(x, 0.8)
    assert Cost(seen.evaluations, seen.vjps) == guided.cost


@every
def test_the_result_has_no_graph_and_nothing_of_the_callers_changes(make):
    """x, y, H, the random state, the mode of gradients; a trainable weight gets no gradient."""
    op = CircularBlur((1, 4, 4), torch.tensor([[0.2, 0.5, 0.3]]))
    weight = torch.tensor(0.6, requires_grad=True)
    denoiser = lambda x, sigma: torch.tanh(weight * x) + 0.1 * x.roll(1, -1)  # noqa: E731
    x = torch.linspace(-2, 2, 32).reshape(2, 1, 4, 4).requires_grad_()
    y = op(x.detach())
    before = [t.detach().clone() for t in (x, y, op.s)], torch.get_rng_state()
    guided = make(denoiser, op, y, sigma_y=0.1)
    assert torch.is_grad_enabled()
    got = guided(x, torch.tensor(0.8))
    assert torch.is_grad_enabled()
    assert not got.requires_grad
    assert weight.grad is None
    assert x.grad is None
    for now, then in zip((x, y, op.s), before[0], strict=True):
        assert torch.equal(now, then)
    assert torch.equal(torch.get_rng_state(), before[1])
    y.zero_()  # the measurement that was given is its own from then on
    assert torch.equal(guided(x, torch.tensor(0.8)), got)


def test_no_graph_is_left_behind():
    """After a call no tensor that a denoiser made is alive."""
    made = []

    def denoiser(x, sigma):
        hidden = torch.tanh(x)
        made.append(torch.utils.weak.WeakTensorKeyDictionary({hidden: None}))
        return 0.5 * hidden

    op, y = Inpainting(torch.tensor([True, False, True])), torch.ones(2, 2)
    result = MomentMatching(denoiser, op, y, sigma_y=0.1, cg_steps=2)(torch.ones(2, 3), 1.0)
    gc.collect()
    assert result.shape == (2, 3)
    assert [len(each) for each in made] == [0]


@every
def test_a_denoiser_may_work_in_place_and_return_its_argument(make):
    op, y = Inpainting(torch.tensor([True, False, True])), torch.ones(2, 2).double()
    x = torch.linspace(-1, 1, 6).double().reshape(2, 3)

    def in_place(x, sigma):
        return x.mul_(0.5)

    got = make(in_place, op, y, sigma_y=0.1)(x, 0.7)
    want = make(lambda x, sigma: 0.5 * x, op, y, sigma_y=0.1)(x, 0.7)
    assert torch.equal(got, want)
    assert torch.equal(x, torch.linspace(-1, 1, 6).double().reshape(2, 3))


@every
def test_gradients_are_found_inside_no_grad_and_inference_mode(make):
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = map(torch.as_tensor, observed(case, 0.8))
    prior, op = GaussianPrior(case.mean, case.cov), Dense(case.H)
    want = make(prior, op, y, sigma_y=0.3)(x, 0.8)
    with torch.no_grad():
        assert torch.equal(make(prior, op, y, sigma_y=0.3)(x, 0.8), want)
    with torch.inference_mode():
        assert torch.equal(make(prior, op, y.clone(), sigma_y=0.3)(x.clone(), 0.8), want)


@every
def test_an_image_does_not_depend_on_its_batch(make):
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = map(torch.as_tensor, observed(case, 0.8, batch=4))
    op = Dense(case.H)
    whole = make(nonlinear_denoiser, op, y, sigma_y=0.3)(x, 0.8)
    for k in range(4):
        one = slice(k, k + 1)
        alone = make(nonlinear_denoiser, op, y[one], sigma_y=0.3)(x[one], 0.8)
        torch.testing.assert_close(alone, whole[one], atol=1e-12, rtol=0)


def test_what_has_converged_rests_while_others_go_on():
    """An image that fits y already stays as it is, whatever is beside it; an empty batch is one."""
    case = random_case(6, 5, 5, 0.1, seed=3)
    x, y = map(torch.as_tensor, observed(case, 3.0, batch=2))
    prior, op = GaussianPrior(case.mean, case.cov), Dense(case.H)
    y[0] = op(prior(x, 3.0))[0]
    got = SOLVED(prior, op, y, sigma_y=0.1)(x, 3.0)
    torch.testing.assert_close(got[0], prior(x, 3.0)[0], atol=1e-13, rtol=0)
    np.testing.assert_allclose(got, given_x_and_y(case, x.numpy(), y.numpy(), 3.0), atol=1e-8)
    for make in (*EVERY.values(), SOLVED, ExactDenoiser):
        assert make(prior, op, y[:0], sigma_y=0.1)(x[:0], 3.0).shape == (0, 6)


def test_the_residual_is_the_largest_of_the_batch():
    case = random_case(6, 5, 5, 0.1, seed=3)
    x, y = map(torch.as_tensor, observed(case, 3.0, batch=4))

    def left(images: slice) -> float:
        guided = MomentMatching(
            GaussianPrior(case.mean, case.cov), Dense(case.H), y[images], sigma_y=0.1
        )
        guided(x[images], 3.0)
        return guided.residual

    each = [left(slice(k, k + 1)) for k in range(4)]
    assert min(each) < 0.9 * max(each)
    assert left(slice(None)) == pytest.approx(max(each))


@every
def test_float32_and_float64_agree(make):
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = map(torch.as_tensor, observed(case, 0.8))
    prior, op = GaussianPrior(case.mean, case.cov), Dense(case.H)
    double = make(prior, op, y, sigma_y=0.3)(x, 0.8)
    single = make(prior, op, y.float(), sigma_y=0.3)(x.float(), 0.8)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(single.double(), double, atol=2e-5, rtol=0)
    solved = SOLVED(prior, op, y.float(), sigma_y=0.3)(x.float(), 0.8)
    want = given_x_and_y(case, x.numpy(), y.numpy(), 0.8)
    np.testing.assert_allclose(solved, want, atol=2e-5)
    # A network in another precision than the run: the run's own counts.
    mixed = make(lambda x, s: 0.5 * x.float(), op, y, sigma_y=0.3)(x, 0.8)
    assert mixed.dtype == torch.float64


def test_the_exact_denoiser_does_not_round_h_to_the_precision_of_y():
    """A y in single precision is the number that it is; rounded, H would be off by 1e-7."""
    case = random_case(6, 5, 3, 0.3, seed=3)
    x, y = map(torch.as_tensor, observed(case, 0.8))
    prior, op, y = GaussianPrior(case.mean, case.cov), Dense(case.H), y.float()
    got, want = (ExactDenoiser(prior, op, each, sigma_y=0.3)(x, 0.8) for each in (y, y.double()))
    torch.testing.assert_close(got, want, atol=1e-13, rtol=0)


def test_a_direction_of_negative_curvature_is_not_taken():
    """x0_hat = -x has K = -sigma^2: no covariance; conjugate gradients leave x0_hat as it is."""
    op, y = Inpainting(torch.tensor([True, False])), torch.ones(1, 1).double()
    x = torch.tensor([[0.3, 0.4]], dtype=torch.float64)
    got = MomentMatching(lambda x, sigma: -x, op, y, sigma_y=0.1, cg_steps=4)(x, 2.0)
    assert torch.equal(got, -x)


def test_the_pullback_is_the_transpose_of_the_jacobian():
    """J of a map that is not symmetric: sigma^2 J^T v, and J of each image alone."""
    A = torch.tensor([[0.2, 1.0, 0.0], [0.0, 0.5, -0.3], [0.7, 0.0, 0.1]], dtype=torch.float64)
    x = torch.linspace(-1, 1, 6).double().reshape(2, 3)
    x0_hat, covariance = with_covariance(lambda x, s: torch.sin(x @ A.T), x, torch.tensor(1.7))
    assert torch.equal(x0_hat, torch.sin(x @ A.T))
    v = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]], dtype=torch.float64)
    for _ in range(2):  # as often as one likes
        got = covariance(v)
        for k in range(2):
            J = torch.cos(x[k] @ A.T)[:, None] * A
            torch.testing.assert_close(got[k], 1.7**2 * J.T @ v[k])


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_tweedies_second_formula_holds_for_every_prior(sigma):
    """sigma^2 J = Cov[x_0 | x_t], for images by Bayes' rule and for a mixture by its posterior."""
    images = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = images[:1] + 0.4
    w = (-(x - images).square().sum(1) / (2 * sigma**2)).softmax(0)
    centred = images - w @ images
    K = torch.einsum("i,ij,ik->jk", w, centred, centred)
    _, covariance = with_covariance(EmpiricalPrior(images), x, torch.tensor(sigma))
    got = torch.cat([covariance(row[None]) for row in torch.eye(3).double()])
    torch.testing.assert_close(got, K, atol=1e-12, rtol=0)

    prior = prior_laws.made(GaussianMixture, prior_laws.random_mixture(3, 3, seed=4))
    posterior = prior.posterior(Dense(np.eye(3)), x, sigma_y=sigma)
    _, covariance = with_covariance(prior, x, torch.tensor(sigma))
    got = torch.cat([covariance(row[None]) for row in torch.eye(3).double()])
    torch.testing.assert_close(got, posterior.cov[0], atol=1e-12, rtol=0)


# ------------------------------------------------------------------------------------ a network


@every
@pytest.mark.parametrize("name", ["natural", "fashion"])
def test_with_a_network(make, name):
    """Finite at every level of a run, the same again bit for bit; the network's schedule."""
    network, x0 = load_denoiser(name), load_images(name)[:1]
    op = SuperResolution(tuple(x0.shape[1:]), 2)
    guided = make(network, op, op(x0), sigma_y=0.05)
    assert guided.schedule is network.schedule
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    for sigma in network.schedule.sigmas(3)[[0, 2]]:
        x = x0 + sigma.float() * noise
        got = guided(x, sigma)
        assert got.isfinite().all()
        assert got.shape == x.shape
        assert not got.requires_grad
        assert torch.equal(guided(x, sigma), got)
        assert not torch.equal(network(x, sigma), got)
    assert torch.equal(torch.get_rng_state(), state)


@every
def test_in_the_loop_of_ddpm(make):
    """A whole run, which a generator reproduces; the loop gives the run's shape and dtype."""
    case = random_case(6, 5, 3, 0.3, seed=3)
    _, y = map(torch.as_tensor, observed(case, 0.8))
    guided = make(GaussianPrior(case.mean, case.cov), Dense(case.H), y, sigma_y=0.3)
    first, again = (
        list(
            ddpm_samples(
                guided,
                (3, 6),
                NoiseSchedule.linear().sigmas(8),
                generator=torch.Generator().manual_seed(1),
                dtype=torch.float64,
            )
        )[-1].x
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert first.isfinite().all()
    y_of = first.numpy() @ case.H.T
    assert np.abs(y_of - y.numpy()).max() < 6 * 0.3


# -------------------------------------------------------------------------------------- refusals

OP, Y, X = Inpainting(torch.tensor([True, False, True])), torch.ones(2, 2), torch.zeros(2, 3)


def half(x, sigma):
    return 0.5 * x


@torch.no_grad()
def without_gradient(x, sigma):
    return 0.5 * x


def constant(x, sigma):
    return torch.ones(x.shape, requires_grad=True) * 1.0


def broken(x, sigma):
    return x * math.nan


def two_channels(x, sigma):
    return torch.cat([x, x], 1)


class Products:
    in_shape, out_shape = (3,), (2,)

    def __init__(self, backward):
        self.adjoint = backward

    def __call__(self, x):
        return x[:, [0, 2]] * 1.0

    @staticmethod
    def transposed(y):
        return torch.stack([y[:, 0], 0 * y[:, 0], y[:, 1]], 1)


MM = MomentMatching
NEGATIVE = Dense(np.eye(2, 3))
NEGATIVE.s = -NEGATIVE.s
WHEN_MADE = {
    "y of another shape": (DDNM, half, OP, torch.ones(2, 3), {}, "y must have shape"),
    "y with a NaN": (PiGDM, half, OP, Y * math.nan, {}, "y must be finite"),
    "y of integers": (DDNM, half, OP, Y.int(), {}, "floating-point"),
    "sigma_y": (DiffPIR, half, OP, Y, {"sigma_y": -0.1}, "sigma_y is a standard deviation"),
    "no denoiser": (DDNM, OP.s, OP, Y, {}, "denoiser must be callable with 2 arguments"),
    "negative s": (PiGDM, half, NEGATIVE, Y, {}, "must be finite and not negative, but range"),
    "no H": (MM, half, torch.eye(3), Y, {}, r"op must be an SVDOperator, or have op\(x\)"),
    "no SVD": (PiGDM, half, Products(Products.transposed), Y, {}, "needs the singular values"),
    "no H^T": (DDNM, half, Products(None), Y, {}, r"have op\(x\), op.adjoint\(y\).*backward=ft"),
    "no transpose": (
        MM,
        half,
        Products(lambda y: Products.transposed(2 * y)),
        Y,
        {},
        "must be the transpose of op, but for some x and y",
    ),
    "transpose of another shape": (MM, half, Products(lambda y: y), Y, {}, "op.adjoint"),
    "lambda_": (DiffPIR, half, OP, Y, {"lambda_": 0.0}, "lambda_ must be positive"),
    "no step": (MM, half, OP, Y, {"cg_steps": 0}, "positive integer, or None"),
    "half a step": (MM, half, OP, Y, {"cg_steps": 1.5}, "positive integer, or None"),
    "iteration": (MM, half, OP, Y, {"iteration": "gmres"}, "'cg', 'richardson' or 'chebyshev'"),
    "no eigenvalues": (MM, half, OP, Y, {"iteration": "chebyshev"}, "eigenvalues=.*needs"),
    "needless eigenvalues": (MM, half, OP, Y, {"eigenvalues": (0.1, 2)}, "no other iteration"),
    "eigenvalues": (
        MM,
        half,
        OP,
        Y,
        {"iteration": "chebyshev", "eigenvalues": (2, 0.1)},
        r"must be \(smallest, largest\)",
    ),
    "Chebyshev without an SVD": (
        MM,
        half,
        Products(Products.transposed),
        Y,
        {"iteration": "chebyshev", "eigenvalues": (0.1, 2)},
        "needs the singular values of H for its fixed coefficients",
    ),
    "no prior": (ExactDenoiser, half, OP, Y, {}, "needs a prior whose posterior is known"),
    "a prior of another shape": (
        ExactDenoiser,
        GaussianPrior(torch.zeros(2), torch.eye(2)),
        OP,
        Y,
        {},
        "prior's have shape",
    ),
}


@pytest.mark.parametrize("name", WHEN_MADE)
def test_refused_when_made(name):
    make, denoiser, op, y, options, words = WHEN_MADE[name]
    with pytest.raises(ValueError, match=words):
        make(denoiser, op, y, **({"sigma_y": 0.1} | options))


WHEN_CALLED = {
    "x of another shape": (DDNM, half, torch.zeros(2, 4), 1.0, {}, "x must have shape"),
    "another batch": (DDNM, half, torch.zeros(3, 3), 1.0, {}, "one image for each of the 2 meas"),
    "sigma = 0": (PiGDM, half, X, 0.0, {}, "sigma must be positive"),
    "sigma is NaN": (DDNM, half, X, math.nan, {}, "sigma must be positive"),
    "no gradient": (PiGDM, without_gradient, X, 1.0, {}, "must be differentiable by torch"),
    "of something else": (MM, constant, X, 1.0, {}, "must be differentiable by torch"),
    "NaN": (
        DDNM,
        broken,
        X,
        1.0,
        {},
        "must return finite numbers .*image 0 of the batch.*sigma = 1,",
    ),
    "NaN with gradient": (MM, broken, X, 1.0, {}, "must return finite numbers"),
    "shape": (DiffPIR, two_channels, X, 1.0, {}, r"\(2, 3\), but returned \(2, 6\)"),
    "shape with gradient": (PiGDM, two_channels, X, 1.0, {}, r"\(2, 3\), but returned \(2, 6\)"),
    "no tensor": (DDNM, lambda x, s: None, X, 1.0, {}, "must return a torch tensor"),
    "r2": (PiGDM, half, X, 1.0, {"r2": lambda sigma: -1.0}, "r2.sigma. must be a variance"),
    "not solvable": (
        SOLVED,
        lambda x, sigma: 0.0 * x,
        X,
        1.0,
        {"sigma_y": 0.0},
        "at sigma_y = 0 a y that the prior allows",
    ),
}


@pytest.mark.parametrize("name", WHEN_CALLED)
def test_refused_when_called(name):
    make, denoiser, x, sigma, options, words = WHEN_CALLED[name]
    guided = make(denoiser, OP, Y, **({"sigma_y": 0.1} | options))
    with pytest.raises(ValueError, match=words):
        guided(x, sigma)


def test_a_method_without_a_formula_says_so():
    with pytest.raises(NotImplementedError):
        SeesY(half, OP, Y, sigma_y=0.1)(X, 1.0)


def test_unit_prior_variance():
    """r^2 = sigma^2 / (1 + sigma^2): x_0 given x_0 + sigma eps under N(0, 1)."""
    assert unit_prior_variance(2.0) == pytest.approx(0.8)

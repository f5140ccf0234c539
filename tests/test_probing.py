"""The law that is found by running a sampler: against two known laws, and what has none."""

from __future__ import annotations

import functools
import itertools
import math
import random

import numpy as np
import pytest
import torch
from laws import random_case

from ddrm_edu import (
    Dense,
    EmpiricalPrior,
    GaussianPrior,
    MomentMatching,
    NoiseSchedule,
    SuperResolution,
    ddpm_law,
    ddpm_samples,
    ddrm_samples,
    dps_samples,
    gap,
    langevin_law,
    langevin_samples,
    law_of,
    posterior_law,
    sampler_law,
)
from ddrm_edu.diffusion import Step
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.langevin import posterior_score
from ddrm_edu.operators.base import dense_map
from ddrm_edu.probing import NoExactLaw


def problem(n: int, m: int, rank: int, sigma_y: float, seed: int):
    case = random_case(n, m, rank, sigma_y, seed)
    return GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov)), Dense(case.H)


PRIOR, OP = problem(4, 5, 2, 0.2, seed=7)  # tall and rank-deficient
SIGMA_Y, LEVELS = 0.2, NoiseSchedule.linear().sigmas(6)


def random_problem(seed: int):
    """Prior, operator, levels and noise: wide or tall, any rank, every fifth prior singular."""
    rng = np.random.default_rng(seed)
    n, m = (int(k) for k in rng.integers(1, 7, 2))
    rank, sigma_y = int(rng.integers(1, min(n, m) + 1)), [0.0, 0.1, 0.5, 3.0][seed % 4]
    prior, op = problem(n, m, rank, sigma_y, seed)
    if seed % 5 == 4:
        prior = GaussianPrior(prior.mean, factor=torch.as_tensor(rng.standard_normal((n, 1))))
    levels = np.sort(rng.exponential(5.0, rng.integers(1, 13)))[::-1] + 1e-3
    return prior, op, [*levels.tolist(), 0.0], sigma_y, rng


def distance(got, want) -> float:
    """Largest difference of mean map, offset and covariance, each on its own scale."""
    parts = ((got.A, want.A), (got.c, want.c), (got.cov, want.cov))
    return max(float((a - b).abs().max()) / max(1.0, float(b.abs().max())) for a, b in parts)


def ddrm(denoiser, op, y, *, generator, sigma_y=SIGMA_Y, levels=LEVELS, **rates):
    return ddrm_samples(denoiser, op, y, levels, sigma_y=sigma_y, generator=generator, **rates)


def ddim(denoiser, op, y, *, generator, levels=LEVELS, eta_ddim=0.7):
    shape, given = (len(y), *op.in_shape), {"generator": generator, "dtype": y.dtype}
    return ddpm_samples(denoiser, shape, levels, eta_ddim=eta_ddim, **given)


def last(run):
    for step in run:
        x = step.x
    return x


# ------------------------------------------------------------------------------- known laws


@pytest.mark.parametrize("seed", range(50))
def test_the_probed_law_of_ddrm_is_that_of_the_recursion(seed):
    """S18.1: step by step and draw by draw, to 1e-10."""
    prior, op, levels, sigma_y, rng = random_problem(seed)
    rates = {"eta": float(rng.uniform()), "eta_b": float(rng.uniform())}
    sampler = functools.partial(ddrm, sigma_y=sigma_y, levels=levels, **rates)
    want = sampler_law(prior, op, levels, sigma_y=sigma_y, **rates)
    for at_once in (None, np.int8(7)):
        got = law_of(sampler, prior, op, sigma_y=sigma_y, at_once=at_once)
        assert distance(got, want) <= 1e-10
        assert torch.equal(got.y_spec.mean, want.y_spec.mean)
        assert torch.equal(got.y_spec.cov, want.y_spec.cov)


@pytest.mark.parametrize("seed", range(50))
def test_the_probed_law_of_ddim_is_that_of_the_recursion(seed):
    """S07.1: no y has any effect, and the covariance is the known one, to 1e-10."""
    prior, op, levels, _, rng = random_problem(seed)
    eta = [0.0, 1.0, float(rng.uniform())][seed % 3]
    want = ddpm_law(prior, levels, eta_ddim=eta).push(dense_map(op.Vt, op.in_shape))
    for at_once in (None, 5):
        sampler = functools.partial(ddim, levels=levels, eta_ddim=eta)
        law = law_of(sampler, prior, op, sigma_y=0.1, at_once=at_once)
        assert law.A.abs().max() <= 1e-12
        assert (law.c - want.mean).abs().max() <= 1e-10
        assert (law.cov - want.cov).abs().max() <= 1e-10 * max(1.0, float(want.cov.abs().max()))


def test_a_thousand_steps_of_a_structured_operator():
    rng = np.random.default_rng(0)
    mean, factor = (torch.as_tensor(rng.standard_normal(k)) for k in ((1, 4, 4), (16, 16)))
    prior, op = GaussianPrior(mean, factor=factor / 4), SuperResolution((1, 4, 4), 2)
    levels = NoiseSchedule.linear().sigmas(1000)
    got = law_of(functools.partial(ddrm, levels=levels), prior, op, sigma_y=SIGMA_Y)
    assert distance(got, sampler_law(prior, op, levels, sigma_y=SIGMA_Y)) <= 1e-10
    posterior = posterior_law(prior, op, sigma_y=SIGMA_Y)
    assert gap(got, posterior).relative_w2 == pytest.approx(
        gap(sampler_law(prior, op, levels, sigma_y=SIGMA_Y), posterior).relative_w2, rel=1e-9
    )


def test_the_law_equals_monte_carlo_of_the_sampler():
    """N = 20,000 true runs for one y, |z| <= 5 for 4 means and 10 covariances (p below 1e-5)."""
    N, random_y = 20_000, torch.randn(1, 5, generator=torch.Generator().manual_seed(3))
    y = random_y.double()
    given = law_of(guided(vjp=True), PRIOR, OP, sigma_y=SIGMA_Y).given(y)
    generator = torch.Generator().manual_seed(4)
    x = last(guided(vjp=True)(PRIOR, OP, y.expand(N, -1), generator=generator))
    centred, cov = x - given.mean, given.cov
    assert (centred.mean(0) / (cov.diagonal() / N).sqrt()).abs().max() <= 5
    spread = ((torch.outer(cov.diagonal(), cov.diagonal()) + cov**2) / N).sqrt()
    assert ((centred.T @ centred / N - cov) / spread).abs().max() <= 5


def test_langevin_dynamics_which_takes_no_states_is_probed_draw_by_draw():
    """S02.4: a generator that ignores what it is sent; its law is known in closed form."""
    step, steps = 0.02, 9

    def sampler(denoiser, op, y, *, generator):
        score, start = posterior_score(PRIOR, op, y, sigma_y=SIGMA_Y), y.new_zeros(len(y), 4)
        return langevin_samples(score, start, step=step, steps=steps, generator=generator)

    law = law_of(sampler, PRIOR, OP, sigma_y=SIGMA_Y)
    y = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    given, posterior = law.given(OP(OP.pinv(y))), PRIOR.posterior(OP, y, sigma_y=SIGMA_Y)
    for mean, exact in zip(given.mean, posterior.mean, strict=True):
        target, start = Gaussian(exact, posterior.cov), Gaussian(torch.zeros(4), torch.zeros(4, 4))
        want = langevin_law(target, start, step=step, steps=steps)
        assert (mean - want.mean).abs().max() <= 1e-10
        assert (given.cov - want.cov).abs().max() <= 1e-10


def guided(*, vjp: bool):
    """DDIM on E[x_0 | x_t, y] of the Gaussian prior, by one vector-Jacobian product or matrices."""
    H, levels = OP.matrix(), [9.0, 2.5, 0.8, 0.11, 0.0]

    def sees_y(denoiser, y):
        def by_vjp(x, sigma):
            with torch.enable_grad():
                leaf = x.detach().requires_grad_()
                x0_hat = denoiser(leaf, sigma)
                rows = [
                    torch.autograd.grad(part.sum(), leaf, retain_graph=True)[0]
                    for part in x0_hat.unbind(1)
                ]
            C, x0_hat = sigma**2 * torch.stack(rows, 1), x0_hat.detach()  # Tweedie's second formula
            noise = SIGMA_Y**2 * torch.eye(5, dtype=torch.float64)
            w = torch.linalg.solve(H @ C @ H.T + noise, (y - x0_hat @ H.T)[..., None])
            return x0_hat + (C @ H.T @ w)[..., 0]

        def by_matrices(x, sigma):
            C = (
                PRIOR.cov.inverse() + torch.eye(4).double() / sigma**2 + H.T @ H / SIGMA_Y**2
            ).inverse()
            known = PRIOR.cov.inverse() @ PRIOR.mean + x / sigma**2 + y @ H / SIGMA_Y**2
            return known @ C

        return by_vjp if vjp else by_matrices

    def sampler(denoiser, op, y, *, generator):
        return ddim(sees_y(denoiser, y), op, y, generator=generator, levels=levels)

    return sampler


def test_a_denoiser_that_differentiates_inside_has_the_law_of_its_closed_form():
    want = law_of(guided(vjp=False), PRIOR, OP, sigma_y=SIGMA_Y)
    for at_once in (None, 4):
        got = law_of(guided(vjp=True), PRIOR, OP, sigma_y=SIGMA_Y, at_once=at_once)
        assert distance(got, want) <= 1e-10
    assert want.A.abs().max() > 0.1
    assert gap(want, posterior_law(PRIOR, OP, sigma_y=SIGMA_Y)).relative_w2 < 0.5


def with_memory(denoiser, op, y, *, generator):
    """A two-step method (Adams and Bashforth): it takes states, but keeps its last direction."""
    x, before = 5 * torch.randn(len(y), 4, generator=generator, dtype=torch.float64), None
    for sigma, after in itertools.pairwise([5.0, 2.0, 1.0, 0.4, 0.1]):
        slope = (x - denoiser(x, torch.tensor(sigma))) / sigma
        x = x + (after - sigma) * (slope if before is None else 1.5 * slope - 0.5 * before)
        x = x + 0.3 * after * torch.randn(len(y), 4, generator=generator, dtype=torch.float64)
        before = slope
        sent = yield Step(0, torch.tensor(after), x + op.pinv(y), slope)
        x = x if sent is None else sent - op.pinv(y)


def test_an_iterator_with_a_memory_is_found_out_and_probed_draw_by_draw():
    got = law_of(with_memory, PRIOR, OP, sigma_y=SIGMA_Y)
    as_image = lambda *args, generator: last(with_memory(*args, generator=generator))  # noqa: E731
    want = law_of(as_image, PRIOR, OP, sigma_y=SIGMA_Y)
    assert distance(got, want) <= 1e-12
    assert distance(want, law_of(as_image, PRIOR, OP, sigma_y=SIGMA_Y, at_once=1)) <= 1e-12


def test_an_iterator_is_run_twice_however_many_steps_it_has():
    calls = []

    class Counting(GaussianPrior):
        def __call__(self, x, sigma):
            calls.append(len(x))
            return super().__call__(x, sigma)

    prior = Counting(PRIOR.mean, PRIOR.cov)
    for steps in (3, 30):
        calls.clear()
        law_of(
            functools.partial(ddrm, levels=NoiseSchedule.linear().sigmas(steps)),
            prior,
            OP,
            sigma_y=SIGMA_Y,
        )
        assert calls == [15] * steps + [6 + OP.rank + 2 * OP.n] * steps


# ------------------------------------------------------------------------------- all kinds of draws


def several_draws(denoiser, op, y, *, generator):
    """N(1, 4 + 9 + 0.25 + 16 + 25 + 5) in each coordinate, by every way to ask for them."""
    zero = y.new_zeros(len(y), 4)
    x = torch.normal(zero + 1, 2.0) + 3 * torch.randn_like(zero)
    x = x + torch.normal(0.0, torch.full_like(zero, 0.5)) + zero.clone().normal_(0, 4)
    x = x + zero.clone().normal_(std=5) + torch.normal(zero) + zero.clone().normal_()
    x = x + torch.randn(zero.shape, generator=generator, dtype=zero.dtype)
    x = x + torch.normal(0.0, 1.0, zero.shape, dtype=zero.dtype)
    return x + torch.distributions.Normal(zero, torch.ones_like(zero)).sample()


@pytest.mark.parametrize("at_once", [None, 1, 3])
def test_every_way_to_draw_normal_numbers_is_seen(at_once):
    law = law_of(several_draws, PRIOR, OP, sigma_y=SIGMA_Y, at_once=at_once)
    variance = 4 + 9 + 0.25 + 16 + 25 + 5
    assert (law.cov - variance * torch.eye(4)).abs().max() <= 1e-12
    assert (OP.V(law.c[None]) - 1).abs().max() <= 1e-12


def test_draws_of_a_step_may_be_several_and_of_any_shape():
    batches = []

    def sampler(denoiser, op, y, *, generator):
        batches.append(len(y))
        x = y.new_zeros(len(y), 4)
        for k in range(5):
            a = torch.randn(len(y), 2, 4, generator=generator, dtype=y.dtype)
            b = torch.randn(len(y), generator=generator, dtype=y.dtype) if k % 2 else y[:, 0] * 0
            x = 0.5 * x + a.sum(1) + b[:, None]
            sent = yield Step(5 - k, torch.tensor(1.0), x, x)
            x = x if sent is None else sent
        torch.randn(len(y), 50, generator=generator)  # too late to count

    cov = torch.zeros(4, 4, dtype=torch.float64)
    for k in range(5):
        cov = cov / 4 + 2 * torch.eye(4) + (k % 2) * torch.ones(4, 4)
    Vt = dense_map(OP.Vt, OP.in_shape)
    for at_once in (None, 6):
        law = law_of(sampler, PRIOR, OP, sigma_y=SIGMA_Y, at_once=at_once)
        assert (law.cov - Vt @ cov @ Vt.T).abs().max() <= 1e-12
        if at_once is None:
            assert batches == [15, 1 + OP.rank + (4 + 9) + 5]


def test_one_image_at_a_time_noise_of_any_shape_is_its_own():
    """A sampler for single images, looped over the batch: refused at first, exact when told."""

    def one(y):
        return y[:1] * 0 + torch.randn(4, dtype=y.dtype) + op.pinv(y[None])[0]

    def looped(denoiser, op, y, *, generator):
        return torch.stack([one(each) for each in y])

    prior, op = PRIOR, OP
    with pytest.raises(NoExactLaw, match=r"draw 0 has shape \(4,\) in a batch of 15"):
        law_of(looped, prior, op, sigma_y=SIGMA_Y)
    law = law_of(looped, prior, op, sigma_y=SIGMA_Y, at_once=1)
    assert (law.cov - torch.eye(4)).abs().max() <= 1e-12
    assert (law.A - torch.diag((op.s > 0).double())).abs().max() <= 1e-12


def test_seeds_and_the_global_generator_are_left_alone():
    def seeding(denoiser, op, y, *, generator):
        torch.manual_seed(0)  # has no effect on the law
        return torch.randn(len(y), 4, dtype=y.dtype)

    before = torch.get_rng_state()
    law = law_of(seeding, PRIOR, OP, sigma_y=SIGMA_Y)
    assert torch.equal(torch.get_rng_state(), before)
    assert (law.cov - torch.eye(4)).abs().max() <= 1e-12


def test_a_sampler_in_single_precision_has_a_law_to_single_precision():
    def single(denoiser, op, y, *, generator):
        return ddrm(denoiser, op, y.float(), generator=generator)

    want = sampler_law(PRIOR, OP, LEVELS, sigma_y=SIGMA_Y)
    assert 1e-10 < distance(law_of(single, PRIOR, OP, sigma_y=SIGMA_Y), want) < 1e-4

    def single_noise(denoiser, op, y, *, generator):
        z = torch.randn(len(y), 4, generator=generator)
        return (z + 1000).double() - 1000 + 0 * op.pinv(y)

    law = law_of(single_noise, PRIOR, OP, sigma_y=SIGMA_Y)
    assert (law.cov - torch.eye(4)).abs().max() <= 1e-3


# ------------------------------------------------------------------------------- what has no law


def clipped(denoiser, op, y, *, generator):
    return ddrm(lambda x, sigma: denoiser(x, sigma).clamp(-1, 1), op, y, generator=generator)


def normalised(denoiser, op, y, *, generator):
    """DPS: the gradient of the norm of the residual, not of its square."""
    x = torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    residual = y - op(denoiser(x, 1.0))
    return x + op.adjoint(residual) / residual.norm(dim=1, keepdim=True)


def truncated(denoiser, op, y, *, generator):
    """One step of conjugate gradients for (H^T H + 0.1) x = H^T y, from 0."""
    act = lambda v: op.adjoint(op(v)) + 0.1 * v  # noqa: E731
    r = op.adjoint(y)
    alpha = (r * r).sum(1, keepdim=True) / (r * act(r)).sum(1, keepdim=True).clamp(min=1e-300)
    return alpha * r + torch.randn(len(y), 4, generator=generator, dtype=y.dtype)


def bent_noise(denoiser, op, y, *, generator):
    z = torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    return op.pinv(y) + z + 1e-3 * z**2


def noise_by_y(denoiser, op, y, *, generator):
    z = torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    return op.pinv(y) + z * (1 + op.pinv(y))


def beside_the_range(denoiser, op, y, *, generator):
    return op.pinv(y) + y[:, :1]


def single_inside(denoiser, op, y, *, generator):
    return op.pinv(y).float().double() + torch.randn(len(y), 4, dtype=y.dtype)


def uniform(denoiser, op, y, *, generator):
    return op.pinv(y) + torch.rand(len(y), 4, generator=generator)


def resampled(denoiser, op, y, *, generator):
    x = torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    weights = (-(x**2).sum(1)).softmax(0)
    return x[torch.multinomial(weights, len(y), replacement=True, generator=generator)]


def dropped(denoiser, op, y, *, generator):
    return torch.nn.functional.dropout(op.pinv(y), 0.5)


def until_it_fits(denoiser, op, y, *, generator):
    x = torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    while (op.pinv(y) - x).abs().max() > 100:
        x = x + torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
        y = y / 10
    return x


def noise_of_numpy(denoiser, op, y, *, generator):
    return op.pinv(y) + torch.as_tensor(np.random.default_rng().standard_normal((len(y), 4)))


def noise_of_python(denoiser, op, y, *, generator):
    return op.pinv(y) + random.gauss(0, 1)


def averaged(denoiser, op, y, *, generator):
    x = op.pinv(y) + torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    return x - x.mean(0)


def rounded_by_batch(denoiser, op, y, *, generator):
    """As products in single precision, which sum up in another order in another batch."""
    x = op.pinv(y) + torch.randn(len(y), 4, generator=generator, dtype=y.dtype)
    return x * (1 + 1e-6 * len(y))


def seeded_numpy(denoiser, op, y, *, generator):
    return op.pinv(y) + torch.as_tensor(np.random.default_rng(0).standard_normal((len(y), 4)))


def shared(denoiser, op, y, *, generator):
    return op.pinv(y) + torch.randn(1, 4, generator=generator, dtype=y.dtype)


def overflowing(denoiser, op, y, *, generator):
    return op.pinv(y) / torch.zeros(1)


def remembering():
    runs = []

    def sampler(denoiser, op, y, *, generator):
        runs.append(1)
        return op.pinv(y) * (1 + 0.1 * len(runs))

    return sampler


def keeps_its_noise():
    kept = []

    def sampler(denoiser, op, y, *, generator):
        kept.append(None if kept else torch.randn(len(y), 4, dtype=y.dtype))
        return op.pinv(y)

    return sampler


def late():
    """Right for a while: the tests before the law see nothing."""
    runs = []

    def sampler(denoiser, op, y, *, generator):
        runs.append(1)
        return op.pinv(y) * (1 + 0.1 * (len(runs) > 2)) + torch.randn(len(y), 4, dtype=y.dtype)

    return sampler


REFUSED = [
    (clipped, "not affine in y:"),
    (normalised, "part of y outside H's range"),
    (bent_noise, "not affine in its noise:"),
    (noise_by_y, "not affine in both together:"),
    (beside_the_range, "part of y outside H's range"),
    (single_inside, "Below 1e-4, float32 inside"),
    (uniform, "draws by torch's rand[.]? "),
    (resampled, "draws by torch's multinomial"),
    (dropped, "draws by torch's bernoulli_"),
    (until_it_fits, "does not draw the same numbers in every run"),
    (keeps_its_noise(), "does not draw the same numbers in every run"),
    (noise_of_numpy, "two equal runs differ. It draws from numpy"),
    (noise_of_python, "two equal runs differ. It draws from numpy or Python"),
    (remembering(), "two equal runs differ.* keeps something from run to run"),
    (late(), "its runs contradict each other"),
    (averaged, "depends on the others of its batch, by .* Is something averaged"),
    (rounded_by_batch, "depends on the others of its batch, by .*e-06 .* float32 inside"),
    (seeded_numpy, "depends on the others of its batch"),
    (shared, r"draw 0 has shape \(1, 4\) in a batch of 15, not noise of its own"),
    (overflowing, "an image is not finite"),
]


@pytest.mark.parametrize(("sampler", "reason"), REFUSED)
def test_a_sampler_without_such_a_law_is_refused_with_the_reason(sampler, reason):
    with pytest.raises(NoExactLaw, match=reason) as error:
        law_of(sampler, PRIOR, OP, sigma_y=SIGMA_Y)
    assert "monte_carlo_law" in str(error.value)
    assert isinstance(error.value, ValueError)


def conjugate_gradients(denoiser, op, y, *, generator):
    """The library's moment matching, stopped after one step."""
    return ddim(MomentMatching(denoiser, op, y, sigma_y=SIGMA_Y), op, y, generator=generator)


def dps(denoiser, op, y, *, generator):
    """The library's, divided by the norm of the residual as published."""
    return dps_samples(denoiser, op, y, LEVELS, sigma_y=SIGMA_Y, generator=generator)


@pytest.mark.parametrize("sampler", [normalised, truncated, dps, conjugate_gradients])
def test_what_is_divided_by_a_norm_of_the_residual_is_not_affine_in_y(sampler):
    """DPS as published and truncated conjugate gradients, where all of y counts."""
    op = Dense([[1.0, 0.3, 0.0, 0.2], [0.0, 0.8, -0.5, 0.1], [0.4, 0.0, 0.0, 0.6]])
    with pytest.raises(NoExactLaw, match="not affine in y:"):
        law_of(sampler, PRIOR, op, sigma_y=SIGMA_Y)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_an_affine_sampler_is_accepted_in_any_unit(scale):
    """Images of 8-bit pixels, or of a thousandth: what is tested has the size of the prior."""
    prior = GaussianPrior(scale * PRIOR.mean, scale**2 * PRIOR.cov)
    levels = [scale * float(sigma) for sigma in LEVELS]
    sampler = functools.partial(ddrm, levels=levels, sigma_y=scale * SIGMA_Y)
    got = law_of(sampler, prior, OP, sigma_y=scale * SIGMA_Y)
    want = sampler_law(prior, OP, levels, sigma_y=scale * SIGMA_Y)
    assert (got.cov - want.cov).abs().max() <= 1e-10 * scale**2
    assert (got.A - want.A).abs().max() <= 1e-10
    clamp = lambda denoiser, op, y, **_: op.pinv(y).clamp(-200 * scale, 200 * scale)  # noqa: E731
    with pytest.raises(NoExactLaw, match="not affine in y:"):
        law_of(clamp, prior, OP, sigma_y=scale * SIGMA_Y)


def test_nothing_measured_and_nothing_drawn():
    law = law_of(ddim, PRIOR, Dense(torch.zeros(2, 4)), sigma_y=SIGMA_Y)
    assert not law.A.any()
    sampler = lambda denoiser, op, y, *, generator: op.pinv(y)  # noqa: E731
    law = law_of(sampler, PRIOR, OP, sigma_y=SIGMA_Y)
    assert not law.cov.any()
    assert not law.c.any()


def test_bad_input_is_refused_in_a_sentence():
    law = functools.partial(law_of, ddrm, PRIOR, OP, sigma_y=SIGMA_Y)
    for at_once in (0, -3, 2.5, True):
        with pytest.raises(ValueError, match="at_once must be a number of images"):
            law(at_once=at_once)
    with pytest.raises(ValueError, match=r"what it is called with.*unexpected keyword.*partial"):
        law_of(lambda denoiser, op, y: y, PRIOR, OP, sigma_y=SIGMA_Y)
    with pytest.raises(ValueError, match="prior must be a GaussianPrior"):
        law_of(ddrm, EmpiricalPrior(torch.eye(4)), OP, sigma_y=SIGMA_Y)
    with pytest.raises(ValueError, match="sigma_y"):
        law_of(ddrm, PRIOR, OP, sigma_y=-1.0)
    for result in (None, 3.0, [], torch.zeros(15, 3), torch.zeros(15, 4, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"images of shape \(15, 4\), or an iterator"):
            law_of(lambda *args, result=result, **kw: result, PRIOR, OP, sigma_y=SIGMA_Y)


def test_math_of_the_tolerance():
    """A bend of 1e-6 is refused; one below the square root of the rounding unit is rounding."""

    def bent(size, denoiser, op, y, *, generator):
        return op.pinv(y) + size * op.pinv(y) ** 2 / 100**2

    with pytest.raises(NoExactLaw):
        law_of(functools.partial(bent, 1e-2), PRIOR, OP, sigma_y=SIGMA_Y)
    eps = torch.finfo(torch.float64).eps
    law_of(functools.partial(bent, math.sqrt(eps) / 100), PRIOR, OP, sigma_y=SIGMA_Y)

"""``restore`` by every method of the table and by a reader's own, and what the table declares."""

import functools
import itertools
import math
import re

import numpy as np
import pytest
import torch
from guidance_laws import Counted, products
from laws import nonlinear_denoiser, random_case

import ddrm_edu
from ddrm_edu import (
    DDNM,
    CircularBlur,
    Dense,
    DiffPIR,
    ExactDenoiser,
    GaussianPrior,
    Inpainting,
    LinearMap,
    MomentMatching,
    NoiseSchedule,
    PiGDM,
    ddpm_samples,
    ddrm_samples,
    load_denoiser,
    load_images,
    psnr,
    restore,
)
from ddrm_edu.restoration import METHODS

CASE = random_case(6, 5, 3, 0.2, seed=4)
PRIOR = GaussianPrior(torch.as_tensor(CASE.mean), torch.as_tensor(CASE.cov))
OP = Dense(CASE.H)
Y = OP(PRIOR.sample(3, generator=torch.Generator().manual_seed(0)))
LEVELS = NoiseSchedule.linear().sigmas(20)
CLASSES = {"ddnm": DDNM, "diffpir": DiffPIR, "pigdm": PiGDM, "moment-matching": MomentMatching}
# RePaint takes measured pixels without noise only: test_samplers.py runs it by its name.
ANY_H = {name: method for name, method in METHODS.items() if name != "repaint"}
every = pytest.mark.parametrize("method", ANY_H.values(), ids=ANY_H)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def run(method, **options):
    options = {"sigma_y": 0.2, "generator": seeded()} | options
    return restore(options.pop("denoiser", PRIOR), OP, Y, method=method, **options)


def in_the_loop(guided, eta_ddim=1.0, levels=LEVELS):
    steps = ddpm_samples(
        guided, (3, 6), levels, eta_ddim=eta_ddim, generator=seeded(), dtype=torch.float64
    )
    return [*steps][-1].x


# ------------------------------------------------------------------------------------ the table


def test_the_table_has_the_methods_by_their_names():
    """Each row is found by its own name, and is the class or the sampler of that name."""
    assert all(method.name == name for name, method in METHODS.items())
    made = {name: method.make for name, method in METHODS.items()}
    assert made.items() >= {"ddrm": ddrm_samples, **CLASSES}.items()


@every
def test_a_run_costs_what_the_table_says(method):
    """Evaluations and vector-Jacobian products for each of 4 steps and each of 3 images."""
    seen = Counted(PRIOR)
    run(method.name, denoiser=seen, steps=4)
    assert seen.images == 3 * 4 * method.evaluations
    assert seen.vjps == 4 * method.vjps


@every
def test_a_method_needs_what_the_table_says(method):
    """Without a gradient, and without an SVD, those refuse that say that they need it."""

    @torch.no_grad()
    def without_gradient(x, sigma):
        return PRIOR(x, sigma)

    if "gradient" in method.needs:
        with pytest.raises(ValueError, match="must be differentiable"):
            run(method.name, denoiser=without_gradient, steps=2)
    else:
        assert run(method.name, denoiser=without_gradient, steps=2).shape == (3, 6)
    op = products(CASE.H)
    if "svd" in method.needs:
        with pytest.raises(
            ValueError, match=f"{re.escape(method.name)} needs the singular values of H"
        ):
            restore(PRIOR, op, Y, sigma_y=0.2, steps=2, method=method.name)
    else:
        assert restore(PRIOR, op, Y, sigma_y=0.2, steps=2, method=method.name).shape == (3, 6)


@every
def test_every_method_restores(method):
    """Finite, of y's dtype, reproducible; y and the global state are as before."""
    before = Y.clone(), torch.get_rng_state()
    x = run(method.name, steps=5)
    assert x.isfinite().all()
    assert x.dtype == Y.dtype
    assert torch.equal(x, run(method.name, steps=5))
    assert not torch.equal(x, run(method.name, steps=5, generator=seeded().manual_seed(4)))
    assert torch.equal(Y, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    single = restore(PRIOR, OP, Y.float(), sigma_y=0.2, steps=5, method=method.name)
    assert single.dtype == torch.float32


# ------------------------------------------------------------------------------- what it runs


def test_ddrm_is_what_it_was():
    """The default, with the paper's rates; S18.1."""
    numbers = {"sigma_y": 0.2, "eta": 0.85, "eta_b": 1.0}
    *_, last = ddrm_samples(PRIOR, OP, Y, LEVELS, generator=seeded(), **numbers)
    for options in ({}, {"method": "ddrm"}, {"method": ddrm_samples}):
        assert torch.equal(run(**({"method": "ddrm"} | options)), last.x)
    numbers = {"sigma_y": 0.2, "eta": "tight", "eta_b": 0.7}
    *_, last = ddrm_samples(PRIOR, OP, Y, LEVELS, generator=seeded(), **numbers)
    assert torch.equal(run("ddrm", eta="tight", eta_b=0.7), last.x)


@pytest.mark.parametrize("name", CLASSES)
def test_a_denoiser_that_sees_y_runs_in_ddpms_loop(name):
    """By name, by class or by a partial; DDPM's steps, unless an eta is given."""
    guided = CLASSES[name](PRIOR, OP, Y, sigma_y=0.2)
    want = in_the_loop(guided)
    assert torch.equal(run(name), want)
    assert torch.equal(run(CLASSES[name]), want)
    assert torch.equal(run(functools.partial(CLASSES[name])), want)
    assert torch.equal(run(name, eta_b=1), want)
    levels = NoiseSchedule.cosine(50).sigmas(7)
    got = run(name, schedule=NoiseSchedule.cosine(50), steps=7)
    assert torch.equal(got, in_the_loop(guided, levels=levels))


@pytest.mark.parametrize("name", CLASSES)
def test_eta_of_a_denoiser_that_sees_y_is_ddrms(name):
    """S11.4: x0_hat + sqrt(1 - eta^2) s' / s (x - x0_hat) + eta s' z; 0 is DDIM."""
    guided = CLASSES[name](PRIOR, OP, Y, sigma_y=0.2)
    for eta in (0.3, 1.0, torch.tensor(0.3, dtype=torch.float64)):
        generator = seeded()
        x = LEVELS[0] * torch.randn(3, 6, generator=generator, dtype=torch.float64)
        for sigma, sigma_next in itertools.pairwise(LEVELS):
            x0_hat = guided(x, sigma)
            kept = (1 - eta**2) ** 0.5 * sigma_next / sigma * (x - x0_hat)
            z = torch.randn(3, 6, generator=generator, dtype=torch.float64) if sigma_next else 0.0
            x = x0_hat + kept + eta * sigma_next * z
        torch.testing.assert_close(run(name, eta=eta), x, atol=1e-10, rtol=0)
    torch.testing.assert_close(run(name, eta=0), in_the_loop(guided, 0.0), atol=1e-10, rtol=0)


def test_without_noise_ddnm_with_fresh_noise_is_ddrm_with_fresh_noise():
    """Y05, eta = 1, V = I so that the noise is the same: the starts differ by y, and fade."""
    op = Inpainting(torch.tensor([True, False, True, False, False, True]))
    y = torch.tensor([[0.4, -1.0, 2.0]], dtype=torch.float64)
    draw = functools.partial(restore, PRIOR, op, y, sigma_y=0.0)
    ddnm, ddrm = (draw(method=name, eta=1.0, generator=seeded()) for name in ("ddnm", "ddrm"))
    torch.testing.assert_close(ddnm, ddrm, atol=1e-3, rtol=0)
    other = draw(method="ddnm", generator=seeded())
    assert (ddnm - other).abs().max() > 0.1


def test_options_of_a_method_are_bound_by_a_partial():
    three = functools.partial(MomentMatching, cg_steps=3)
    assert torch.equal(run(three), in_the_loop(three(PRIOR, OP, Y, sigma_y=0.2)))
    assert torch.equal(run(ExactDenoiser), in_the_loop(ExactDenoiser(PRIOR, OP, Y, sigma_y=0.2)))


def test_methods_of_ones_own():
    """A function that makes a denoiser; samplers that return an image, or steps; with rates."""

    def shrunk(denoiser, op, y, *, sigma_y):
        return lambda x, sigma: denoiser(x, sigma) / (1 + sigma_y)

    assert torch.equal(run(shrunk), in_the_loop(shrunk(PRIOR, OP, Y, sigma_y=0.2)))

    def pinv(denoiser, op, y, *, sigmas, sigma_y, generator):
        assert torch.equal(sigmas, LEVELS)
        return op.pinv(y)

    assert torch.equal(run(pinv), OP.pinv(Y))
    assert torch.equal(run(pinv, progress=True), OP.pinv(Y))

    def gentle(denoiser, op, y, *, sigmas, sigma_y, generator, eta=0.5):
        return ddrm_samples(denoiser, op, y, sigmas, sigma_y=sigma_y, eta=eta, generator=generator)

    assert torch.equal(run(of_ddim), run("ddnm"))
    guided = DDNM(PRIOR, OP, Y, sigma_y=0.2)
    assert torch.equal(run(of_ddim, eta=0.3), in_the_loop(guided, 0.3))
    assert torch.equal(run(gentle), run("ddrm", eta=0.5))
    assert torch.equal(run(gentle, eta=0.9), run("ddrm", eta=0.9))


def test_without_noise_what_was_measured_is_kept():
    """X06 for DDRM; DDNM puts y_spec there, and DiffPIR is DDNM."""
    for name in ("ddrm", "ddnm", "diffpir"):
        x = run(name, sigma_y=0.0, denoiser=nonlinear_denoiser)
        torch.testing.assert_close(OP(x), Y, atol=1e-12, rtol=0)


def test_progress_bar_counts_the_steps_and_changes_nothing(monkeypatch):
    """One tick for each step, the same numbers, only if asked for and a run takes a while."""
    shown, looks = [], []

    def bar(steps, *, total, **look):
        looks.append(look)
        for step in steps:
            shown.append((step.t, total))
            yield step

    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    own = functools.partial(MomentMatching, cg_steps=2)
    for method, name in (("ddrm", "ddrm"), (DDNM, "DDNM"), (own, "MomentMatching")):
        default, quiet = run(method, steps=4), run(method, steps=4, progress=False)
        assert shown == []
        loud = run(method, steps=4, progress=True)
        assert torch.equal(quiet, loud)
        assert torch.equal(quiet, default)
        assert shown == [(3, 4), (2, 4), (1, 4), (0, 4)]
        assert looks == [{"desc": name, "unit": "step", "delay": 1}]
        shown.clear(), looks.clear()


def test_moment_matching_gains_on_a_photograph():
    """Half of the pixels lost, one photograph, 10 steps: 2.7 dB more than DDRM were seen."""
    network, x0 = load_denoiser("natural"), load_images("natural")[1:2]
    rng = torch.Generator().manual_seed(1)
    op = Inpainting((torch.rand(32, 32, generator=rng) > 0.5).expand(3, 32, 32))
    options = {"sigma_y": 0.0, "steps": 10}
    scores = [
        psnr(restore(network, op, op(x0), method=name, generator=seeded(), **options), x0).item()
        for name in ("ddrm", "moment-matching")
    ]
    assert scores[1] > scores[0] + 1.5


# -------------------------------------------------------------------------------------- refusals


def of_ddim(denoiser, op, y, *, sigmas, sigma_y, generator, eta_ddim=1.0):
    """A sampler whose rate is DDIM's."""
    guided = DDNM(denoiser, op, y, sigma_y=sigma_y)
    return ddpm_samples(
        guided, (3, 6), sigmas, eta_ddim=eta_ddim, generator=generator, dtype=torch.float64
    )


REFUSED = {
    "another name": ({"method": "dpss"}, "method must be one of ddrm, .*'dpss'"),
    "no method": ({"method": 3}, "method must be a text or a callable, but was 3"),
    "rule": ({"method": "ddnm", "eta": "loose"}, "or the rule 'tight', but was 'loose'"),
    "rates": ({"method": PiGDM, "eta": torch.ones(6)}, "must be one number, but had shape"),
    "eta": ({"method": "ddnm", "eta": 1.5}, r"eta must lie in \[0, 1\]"),
    "eta_ddim": ({"method": of_ddim, "eta": "tight"}, "eta of of_ddim must be one number in"),
    "eta_b": ({"method": "pigdm", "eta_b": 0.5}, "pigdm takes no eta_b, but it was 0.5"),
    "eta_b by a rule": ({"method": DDNM, "eta_b": "theorem"}, "DDNM takes no eta_b"),
    "eta of a sampler": (
        {"method": lambda denoiser, op, y, *, sigmas, sigma_y, generator: y, "eta": 0.5},
        "takes no eta, but it was 0.5",
    ),
    "no denoiser": (
        {"method": lambda denoiser, op, y, *, sigma_y: op.pinv(y)},
        "must make a denoiser that sees y, a callable .* made a Tensor",
    ),
    "steps": ({"method": "ddnm", "steps": 0}, "steps must be an integer from 1"),
    "sigma_y": ({"method": "ddnm", "sigma_y": -1.0}, "sigma_y is a standard deviation"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name):
    options, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        run(**options)


def test_restore_is_public():
    assert ddrm_edu.restore is restore
    assert restore.__module__ == "ddrm_edu.restoration"


# ----------------------------------------------------------------------------- without an SVD of H

SMALL = (1, 5, 6)
N = math.prod(SMALL)
SMALL_PRIOR = GaussianPrior(
    torch.zeros(SMALL), torch.eye(N).double() / 4 + torch.ones(N, N).double() / 8
)
KEEP = torch.tensor([True, False, True, True, False, True])
BLUR = CircularBlur(SMALL, [[0.1, 0.5, 0.2], [0.0, 0.3, -0.2]])


def masked_blur(x):
    """A blur, then a mask: no structure of the library."""
    return BLUR(x)[..., KEEP.to(x.device)]


BOTH = {
    "function": LinearMap(masked_blur, SMALL),
    "pair": LinearMap(
        masked_blur,
        SMALL,
        backward=lambda y: BLUR.adjoint(y.new_zeros(len(y), *SMALL).index_copy(3, where(), y)),
    ),
}


def where():
    return KEEP.nonzero().flatten()


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "method",
    [
        functools.partial(DDNM, cg_steps=1000),
        functools.partial(DiffPIR, cg_steps=1000),
        functools.partial(DiffPIR, cg_steps=1000, lambda_=3.0),
        functools.partial(MomentMatching, cg_steps=None),
    ],
    ids=["ddnm", "diffpir", "diffpir, lambda 3", "moment-matching"],
)
@pytest.mark.parametrize("sigma_y", [0.05, 0.4])
def test_without_an_svd_the_result_is_that_of_the_svd(name, method, sigma_y):
    """Solved to the end, on a mask after a blur."""
    H = BOTH[name]
    op = Dense(H.matrix(), SMALL, H.out_shape)
    y = op(SMALL_PRIOR.sample(2, generator=seeded())) + 0.1
    options = {"sigma_y": sigma_y, "method": method, "steps": 6}
    want = restore(SMALL_PRIOR, op, y, generator=seeded(), **options)
    got = restore(SMALL_PRIOR, H, y, generator=seeded(), **options)
    assert (got - want).abs().max() <= 1e-8


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if "svd" not in m.needs])
def test_methods_that_need_no_svd_take_maps_of_noise_with_any_h(name):
    """The blur mixes entries, so no SVD stays exact; the whitened products do."""
    sigma = torch.linspace(0.1, 0.5, N).double().reshape(SMALL)
    y, options = torch.ones(2, *SMALL).double(), {"method": name, "steps": 3}
    white = Dense(BLUR.matrix() / sigma.reshape(-1, 1), SMALL, SMALL)
    if name == "moment-matching":
        options["method"] = functools.partial(MomentMatching, cg_steps=None)
        with pytest.raises(ValueError, match="mixes several"):  # a reader's own may need the SVD
            restore(SMALL_PRIOR, BLUR, y, sigma_y=sigma, **options)
        return
    want = restore(SMALL_PRIOR, white, y / sigma, sigma_y=1.0, generator=seeded(), **options)
    for H in (BLUR, LinearMap(BLUR, SMALL)):
        got = restore(SMALL_PRIOR, H, y, sigma_y=sigma, generator=seeded(), **options)
        assert (got - want).abs().max() <= (1e-6 if name == "ddnm" else 1e-8)


def test_an_iteration_that_did_not_end_is_told():
    H = BOTH["function"]
    y = torch.ones(1, *H.out_shape).double()
    method = functools.partial(DiffPIR, cg_steps=1)
    with pytest.warns(UserWarning, match=r"residual of .*cg_steps = 1, .*Take more, .*DiffPIR, cg"):
        restore(SMALL_PRIOR, H, y, sigma_y=1e-3, method=method, steps=2)
    guided = DiffPIR(SMALL_PRIOR, H, y, sigma_y=0.1)
    assert guided.residual == 0.0, "nothing was solved yet"
    guided(torch.zeros(1, *SMALL).double(), 1.0)
    assert 0 < guided.residual <= 1e-10
    with_svd = DiffPIR(SMALL_PRIOR, Dense(H.matrix(), SMALL), y.flatten(1), sigma_y=0.1, cg_steps=1)
    with_svd(torch.zeros(1, *SMALL).double(), 1.0)
    assert with_svd.residual == 0.0


@pytest.mark.parametrize("steps", [0, 2.0, None])
def test_steps_that_are_none_are_refused(steps):
    with pytest.raises(ValueError, match="cg_steps must be a positive integer, but was"):
        DDNM(SMALL_PRIOR, BLUR, torch.ones(1, *SMALL), sigma_y=0.1, cg_steps=steps)


def test_the_refusal_names_the_methods_that_need_h_and_its_transpose():
    H = BOTH["function"]
    with pytest.raises(ValueError, match="'ddnm', 'diffpir', 'moment-matching', 'dps' need H"):
        restore(SMALL_PRIOR, H, torch.ones(1, *H.out_shape), sigma_y=0.1)


def test_a_function_of_numpy_needs_its_transpose_given():
    H = LinearMap(lambda x: np.asarray(x)[..., ::2], SMALL)
    with pytest.raises(ValueError, match=r"torch cannot derive it of f.*backward="):
        restore(SMALL_PRIOR, H, torch.ones(1, 1, 5, 3).double(), sigma_y=0.1, method="diffpir")


def test_a_mask_after_a_blur_is_restored_at_64_x_64():
    """No SVD of 12,288 columns: by products, 6 dB above what fills the holes with 0."""
    shape = (3, 64, 64)
    x0 = torch.nn.functional.interpolate(load_images("natural")[3:4], scale_factor=2.0)
    bell = torch.exp(-(torch.arange(-4, 5).double() ** 2) / 3)
    blur = CircularBlur(shape, torch.outer(bell, bell) / bell.sum() ** 2)
    known = torch.rand(64, 64, generator=seeded()) < 0.6
    H = LinearMap(lambda x: blur(x) * known, shape)
    sigma_y = 0.02
    y = H(x0).float() + sigma_y * torch.randn(1, *shape, generator=seeded()) * known
    x = restore(
        load_denoiser("natural"),
        H,
        y,
        sigma_y=sigma_y,
        method="diffpir",
        steps=8,
        generator=seeded(),
    )
    assert psnr(x, x0) >= psnr(y, x0) + 6
    apart = (H(x) - y)[:, :, known]
    assert apart.square().mean().sqrt() <= 1.5 * sigma_y

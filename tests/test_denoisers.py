"""What networks predict, how it becomes a denoiser (slides 6 and 19), and the samplers' noise."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    default_schedule,
    eps_denoiser_error,
    gaussian_eps_network,
    largest,
    random_case,
    x0_round_trip_error,
)
from strategies import seeds

from ddrm_edu import (
    EpsDenoiser,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    Tiled,
    VDenoiser,
    load_denoiser,
    restore,
)
from ddrm_edu.denoisers import (
    eps_from_x0,
    score_from_x0,
    v_from_x0,
    x0_from_eps,
    x0_from_score,
    x0_from_v,
)
from ddrm_edu.noise import standard_normal

EPS = torch.finfo(torch.float64).eps
levels = st.floats(1e-3, 200)

PREDICTIONS = {
    "eps": (eps_from_x0, x0_from_eps),
    "score": (score_from_x0, x0_from_score),
    "v": (v_from_x0, x0_from_v),
}
predictions = pytest.mark.parametrize("name", PREDICTIONS)


def _draws(seed, count=2, shape=(2, 3)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape, generator=generator, dtype=torch.float64)


# ---------------------------------------------------------------------------------- conversions


@predictions
@given(sigma=levels, seed=seeds)
def test_predictions_and_clean_images_are_one_to_one(name, sigma, seed):
    """S06.2, S19.2: x0 -> prediction -> x0; x is of size sigma, hence the rounding."""
    to_prediction, to_x0 = PREDICTIONS[name]
    x0, eps = _draws(seed)
    x = x0 + sigma * eps
    back = to_x0(x, sigma, to_prediction(x, sigma, x0))
    assert largest(back - x0) <= 50 * EPS * (1 + sigma) * max(1.0, largest(x0, eps))


@given(levels, seeds)
def test_true_eps_gives_the_true_image(sigma, seed):
    """S06.2, S06.4: x = x0 + sigma eps, read in both directions."""
    x0, eps = _draws(seed)
    x = x0 + sigma * eps
    assert largest(x0_from_eps(x, sigma, eps) - x0) <= 50 * EPS * (1 + sigma)
    assert largest(eps_from_x0(x, sigma, x0) - eps) <= 50 * EPS * (1 + 1 / sigma)


def test_prediction_of_x0_is_exact_at_every_level():
    """S06.4, E1: with alpha_bar and not with alpha, which agrees at t = 1 only."""
    assert x0_round_trip_error(x0_from_eps, NoiseSchedule.linear()) <= 50 * EPS


@given(levels, seeds)
def test_v_is_the_rotation_of_image_and_noise(sigma, seed):
    """Salimans and Ho: v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0 for x = x0 + sigma eps."""
    x0, eps = _draws(seed)
    root = (1 + sigma**2) ** 0.5
    v = eps / root - sigma / root * x0
    x = x0 + sigma * eps
    assert largest(x0_from_v(x, sigma, v) - x0) <= 50 * EPS * (1 + sigma)
    assert largest(v_from_x0(x, sigma, x0) - v) <= 50 * EPS * (1 + sigma + 1 / sigma)


@given(levels, seeds)
def test_score_is_minus_eps_over_sigma(sigma, seed):
    """S02.5: the score of N(x0, sigma^2 I) at x is -(x - x0) / sigma^2."""
    x0, eps = _draws(seed)
    score = -eps / sigma
    x = x0 + sigma * eps
    assert largest(x0_from_score(x, sigma, score) - x0) <= 50 * EPS * (1 + sigma)
    assert largest(sigma * score_from_x0(x, sigma, x0) + eps) <= 50 * EPS * (1 + 1 / sigma)


@predictions
def test_conversions_keep_the_dtype_and_take_tensor_levels(name):
    """A 0-dimensional float64 level does not promote a float32 image."""
    for function in PREDICTIONS[name]:
        x, other = (part.float() for part in _draws(1))
        want = function(x, 0.7, other)
        got = function(x, torch.tensor(0.7, dtype=torch.float64), other)
        assert got.dtype == want.dtype == torch.float32
        torch.testing.assert_close(got, want)


# ---------------------------------------------------------------------------------- EpsDenoiser


@pytest.mark.parametrize("first_t", [0, 1])
@pytest.mark.parametrize(
    "schedule", [default_schedule(), NoiseSchedule.cosine(80)], ids=["linear", "cosine"]
)
def test_exact_eps_network_becomes_the_exact_denoiser_on_all_levels(schedule, first_t):
    """S19.2, X08: D_VE(x, sigma) = D_VP(x / sqrt(1 + sigma^2), alpha_bar); counting from 0 or 1."""
    make = lambda net, schedule: EpsDenoiser(net, schedule, first_t=first_t)  # noqa: E731
    assert eps_denoiser_error(make, schedule, first_t=first_t) <= 1e-10


def test_wrapped_network_equals_the_gaussian_prior():
    """S19.2: the two exact denoisers of the library, on images."""
    case, schedule = random_case(6, 1, 1, 0.1, seed=1), default_schedule()
    mean, cov = torch.as_tensor(case.mean), torch.as_tensor(case.cov)
    prior = GaussianPrior(mean.reshape(1, 2, 3), cov)
    denoiser = EpsDenoiser(gaussian_eps_network(case.mean, case.cov, schedule), schedule)
    for sigma in schedule.sigmas(9)[:-1]:
        x = sigma * _draws(2, 2, (1, 2, 3))
        torch.testing.assert_close(denoiser(x, sigma), prior(x, sigma), atol=1e-10, rtol=1e-10)


class Recorder:
    """A network that writes down how it was called and answers with a constant."""

    def __init__(self, answer=0.25, wrap=False, **attributes):
        self.calls, self.answer, self.wrap = [], answer, wrap
        vars(self).update(attributes)

    def __call__(self, x, level):
        self.calls.append((x, level))
        out = torch.full_like(x, self.answer)
        return SimpleNamespace(sample=out) if self.wrap else out


@pytest.mark.parametrize(("first_t", "number"), [(0, 36), (1, 37)])
def test_network_is_called_with_its_own_integer_time_for_each_image(first_t, number):
    """X08: the lecture's t = 37 is the network's 36 if it counts from 0; long, (batch,)."""
    net, schedule = Recorder(), default_schedule()
    EpsDenoiser(net, schedule, first_t=first_t)(torch.zeros(5, 1, 2, 2), schedule.sigma[37])
    (_, t), *_ = net.calls
    assert (t.shape, t.dtype) == ((5,), torch.long)
    assert t.tolist() == [number] * 5


def test_eps_network_sees_the_variance_preserving_image():
    """S18.1, S19.1: x / sqrt(1 + sigma^2); the answer becomes x - sigma eps."""
    net, schedule = Recorder(), default_schedule()
    x, sigma = _draws(3, 1, (2, 1, 2, 2))[0], schedule.sigma[60]
    out = EpsDenoiser(net, schedule)(x, sigma)
    torch.testing.assert_close(net.calls[0][0], x * schedule.alpha_bar[60].sqrt())
    torch.testing.assert_close(out, x - sigma * 0.25)


def test_default_schedule_is_that_of_ddpm():
    """Linear, T = 1000, counting from 0."""
    net = Recorder()
    denoiser = EpsDenoiser(net)
    denoiser(torch.zeros(1, 1, 2, 2), NoiseSchedule.linear().sigma[1000])
    assert torch.equal(denoiser.schedule.beta, NoiseSchedule.linear(1000).beta)
    assert net.calls[0][1].tolist() == [999]


def test_output_objects_of_an_eps_network_are_unwrapped():
    """diffusers returns an object with the tensor in .sample."""
    x = _draws(4, 1, (2, 1, 2, 2))[0]
    assert torch.equal(EpsDenoiser(Recorder(wrap=True))(x, 0.8), EpsDenoiser(Recorder())(x, 0.8))


@pytest.mark.parametrize("kind", [EpsDenoiser, VDenoiser])
@pytest.mark.parametrize(
    "attributes", [{"in_channels": 3}, {"config": SimpleNamespace(in_channels=3)}], ids=str
)
def test_images_with_another_number_of_channels_are_refused(kind, attributes):
    """The message names both numbers; the network is not called. Three channels pass."""
    net = Recorder(**attributes)
    with pytest.raises(ValueError, match=r"3 channels.*\(2, 1, 4, 4\)"):
        kind(net)(torch.zeros(2, 1, 4, 4), 0.8)
    assert net.calls == []
    assert kind(net)(torch.zeros(2, 3, 4, 4), 0.8).shape == (2, 3, 4, 4)


@pytest.mark.parametrize("kind", [EpsDenoiser, VDenoiser])
def test_networks_that_also_predict_a_variance_are_refused(kind):
    """Twice the channels: the message gives both shapes and the cause."""
    double = lambda x, t: x.repeat(1, 2, 1, 1)  # noqa: E731
    with pytest.raises(ValueError, match=r"\(2, 2, 4, 4\).*\(2, 1, 4, 4\).*variance"):
        kind(double)(torch.zeros(2, 1, 4, 4), 0.8)


class Convolution(torch.nn.Module):
    """A float32 network with weights."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-0.3, 0.4, 9).reshape(1, 1, 3, 3))
            self.layer.bias.fill_(0.05)
        self.seen = []

    def forward(self, x, level):
        self.seen.append(x.dtype)
        return self.layer(x)


@pytest.mark.parametrize("kind", [EpsDenoiser, VDenoiser])
def test_network_runs_in_its_own_precision_and_the_result_in_that_of_x(kind):
    """DESIGN: coefficients in float64, the network in its own dtype; both directions."""
    x = _draws(5, 1, (2, 1, 4, 4))[0]
    net = Convolution()
    out = kind(net)(x, 0.8)
    assert (net.seen, out.dtype) == ([torch.float32], torch.float64)
    # Only the network rounded to float32: the sum x - sigma eps did not.
    double = kind(Convolution().double())(x, 0.8)
    torch.testing.assert_close(out, double, atol=1e-5, rtol=0)
    net = Convolution().double()
    assert kind(net)(x.float(), 0.8).dtype == torch.float32
    assert net.seen == [torch.float64]


@pytest.mark.parametrize("kind", [EpsDenoiser, VDenoiser])
def test_image_that_is_denoised_is_left_as_it_was(kind):
    """A denoiser reads x and does not write into it."""
    x = _draws(6, 1, (2, 1, 4, 4))[0]
    before = x.clone()
    kind(Recorder())(x, 0.8)
    assert torch.equal(x, before)


# ------------------------------------------------------------------------------------ VDenoiser


def test_exact_v_network_becomes_the_exact_denoiser_at_any_level():
    """S19.2: v = (eps - sigma E[x0|x]) / sqrt(1 + sigma^2) of a Gaussian, at continuous levels."""
    case = random_case(4, 1, 1, 0.1, seed=3)
    mean, cov = torch.as_tensor(case.mean), torch.as_tensor(case.cov)
    prior = GaussianPrior(mean, cov)

    def net(x_vp, sigma):
        level = sigma[0].double()
        a = 1 / (1 + level**2)
        spread = a * cov + (1 - a) * torch.eye(4, dtype=torch.float64)
        eps = (1 - a).sqrt() * torch.linalg.solve(spread, (x_vp - a.sqrt() * mean).T).T
        x0 = (x_vp - (1 - a).sqrt() * eps) / a.sqrt()
        return a.sqrt() * eps - (1 - a).sqrt() * x0

    for sigma in (0.03125, 0.5, 0.75, 3.0, 80.0):  # numbers that float32 holds exactly
        x = mean + sigma * _draws(7, 1, (3, 4))[0]
        torch.testing.assert_close(VDenoiser(net)(x, sigma), prior(x, sigma), atol=1e-10, rtol=0)


def test_v_network_is_called_with_the_continuous_level_of_each_image():
    """One float32 number per image, the VE level itself."""
    net = Recorder()
    VDenoiser(net)(_draws(8, 1, (5, 1, 2, 2))[0], torch.tensor(0.734, dtype=torch.float64))
    (_, sigma), *_ = net.calls
    assert (sigma.shape, sigma.dtype) == ((5,), torch.float32)
    torch.testing.assert_close(sigma, torch.full((5,), 0.734))


def test_v_network_sees_the_variance_preserving_image():
    """S19.1: x / sqrt(1 + sigma^2); the answer is converted by the definition of v."""
    net, x = Recorder(), _draws(9, 1, (2, 1, 2, 2))[0]
    out = VDenoiser(net)(x, 0.75)
    torch.testing.assert_close(net.calls[0][0], x / 1.25)
    # x0 = cos x_vp - sin v with cos = 1 / 1.25 and sin = 0.75 / 1.25
    torch.testing.assert_close(out, x / 1.25**2 - 0.6 * 0.25)


class IntegerTimeV:
    """The exact v-network of a Gaussian with diffusers' contract: integer t from 0, .sample."""

    dtype = torch.float64

    def __init__(self, case, schedule):
        self.eps_net, self.schedule = gaussian_eps_network(case.mean, case.cov, schedule), schedule

    def __call__(self, x_t, t):
        assert t.dtype == torch.long, "embeds an integer time"
        a, eps = self.schedule.alpha_bar[1 + t[0]], self.eps_net(x_t, t)
        return SimpleNamespace(sample=(eps - (1 - a).sqrt() * x_t) / a.sqrt())


def test_v_network_of_integer_times_is_exact_when_called_as_the_refusal_says():
    """X08: the call is taken out of the message, and gives the exact denoiser on all levels."""
    case, schedule = random_case(6, 1, 1, 0.1, seed=1), default_schedule()
    prior = GaussianPrior(torch.as_tensor(case.mean).reshape(1, 2, 3), torch.as_tensor(case.cov))
    net = IntegerTimeV(case, schedule)
    with pytest.raises(ValueError, match="integer time t") as refusal:
        VDenoiser(Configured(net, _diffusers_version="0.42.1"))
    shown = str(refusal.value).split("trained with: ")[1].removesuffix(".")
    names = {"VDenoiser": VDenoiser, "torch": torch, "net": net, "schedule": schedule}
    denoiser = eval(shown, names)
    assert denoiser.schedule is schedule
    for sigma in schedule.sigmas(9)[:-1]:
        x = sigma * _draws(2, 2, (1, 2, 3))
        torch.testing.assert_close(denoiser(x, sigma), prior(x, sigma), atol=1e-10, rtol=1e-10)


class Configured:
    """A callable with a configuration, as diffusers keeps it."""

    def __init__(self, net, kind=SimpleNamespace, **config):
        self.net, self.config = net, kind(**config)

    def __call__(self, x, level):
        return self.net(x, level)


def _no_call(self, x, level):
    raise AssertionError("refused before any call")


OF_DIFFUSERS = {
    "a namespace that was loaded": Configured(None, _diffusers_version="0.42.1"),
    "a dictionary of a new model": Configured(None, dict, _use_default_values=[]),
    "a class": type(
        "UNet2DModel", (), {"__module__": "diffusers.models.unets.unet_2d", "__call__": _no_call}
    )(),
    "a class derived from one": type(
        "Mine",
        (type("UNet2DModel", (), {"__module__": "diffusers.models", "__call__": _no_call}),),
        {},
    )(),
}


@pytest.mark.parametrize("name", OF_DIFFUSERS)
def test_v_networks_of_diffusers_are_refused(name):
    """sigma would be read as the time: refused before any call; as noise predictor it is right."""
    with pytest.raises(ValueError, match=r"continuous level.*from_diffusers.*first_t=0\)\.$"):
        VDenoiser(OF_DIFFUSERS[name])
    assert EpsDenoiser(OF_DIFFUSERS[name]).net is OF_DIFFUSERS[name]


def test_v_network_that_wraps_its_output_is_refused_at_the_first_call():
    """A lambda hides where the network comes from; unwrapped by its owner it is taken."""
    net, x = Recorder(wrap=True), _draws(4, 1, (2, 1, 2, 2))[0]
    with pytest.raises(ValueError, match=r"object with \.sample.*integer time") as refusal:
        VDenoiser(lambda x_t, t: net(x_t, t))(x, 0.8)
    shown = str(refusal.value).split("does take sigma: ")[1].removesuffix(".")
    unwrapped = eval(shown, {"VDenoiser": VDenoiser, "net": net})
    assert torch.equal(unwrapped(x, 0.8), VDenoiser(Recorder())(x, 0.8))
    assert VDenoiser(Recorder(config={"in_channels": 1}))(x, 0.8).shape == x.shape


# -------------------------------------------------------------------------------- standard_normal


def _generators(*numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


def test_noise_has_the_shape_and_dtype_of_its_model():
    """z ~ N(0, I) of the shape, dtype and device of its argument."""
    for dtype in (torch.float32, torch.float64, torch.float16):
        z = standard_normal(torch.empty(2, 3, 4, dtype=dtype), torch.Generator().manual_seed(0))
        assert (z.shape, z.dtype) == ((2, 3, 4), dtype)


def test_noise_of_an_image_does_not_depend_on_its_batch():
    """One generator per image: the same numbers in any company and any order."""
    like = torch.empty(3, 2, 5)
    z = standard_normal(like, _generators(7, 8, 9))
    assert torch.equal(standard_normal(like[:1], _generators(8))[0], z[1])
    assert torch.equal(standard_normal(like, _generators(9, 8, 7)), z.flip(0))
    assert not torch.equal(z[0], z[1])


def test_noise_of_consecutive_draws_is_independent():
    """S11.7, E19: N = 60,000 pairs of draws of 4 numbers; full covariance of all 8, z <= 5."""
    N, generator = 60_000, torch.Generator().manual_seed(10)
    like = torch.empty(N, 4, dtype=torch.float64)
    z = torch.cat([standard_normal(like, generator) for _ in range(2)], dim=1)
    unit = torch.eye(8, dtype=torch.float64)
    z_cov = (z.T @ z / N - unit) / ((1 + unit) / N).sqrt()
    assert largest(z.mean(0) * N**0.5, z_cov) <= 5


@pytest.mark.parametrize("count", [1, 3, 0])
def test_wrong_number_of_generators_is_refused(count):
    """The message gives both numbers."""
    with pytest.raises(ValueError, match=f"here 2, but {count} were given"):
        standard_normal(torch.empty(2, 4), _generators(*range(count)))


def test_without_a_generator_noise_follows_the_global_seed():
    """torch.manual_seed reproduces it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = standard_normal(torch.empty(2, 4))
        torch.manual_seed(0)
        assert torch.equal(standard_normal(torch.empty(2, 4)), first)


# ------------------------------------------------------------------------------- images of any size


@pytest.mark.parametrize("granularity", [1, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (5, 12), (16, 9)], ids=str)
def test_a_network_sees_multiples_and_the_answer_is_cut_back(granularity, size):
    """Told by the network, or counted from diffusers' blocks; the mirror image by numpy."""
    depth = granularity.bit_length()
    config = SimpleNamespace(in_channels=3, block_out_channels=(32,) * depth)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    more = [(0, 0), (0, 0), *((0, -side % granularity) for side in size)]
    given = np.pad((x / 2**0.5).numpy(), more, mode="symmetric")
    eps = given * np.arange(1, given.shape[-1] + 1)
    want = x.double() - torch.from_numpy(eps).double()[..., : size[0], : size[1]]
    for says in ({"granularity": granularity}, {"config": config}):

        class Net(SimpleNamespace):
            def __call__(self, x, t):
                assert np.allclose(x.numpy(), given)
                return x * torch.arange(1.0, x.shape[-1] + 1)

        denoiser = EpsDenoiser(Net(**says))
        assert denoiser.multiple == granularity
        assert torch.allclose(denoiser(x, 1.0).double(), want, atol=1e-5)


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize(("size", "overlap"), [(16, 4), (16, 8), (24, 15), (100, 1)])
def test_tiles_cover_an_image_and_weigh_one_together(size, overlap, multiple):
    """A denoiser without memory of its neighbours gives the same in tiles, whatever the size."""
    seen = []

    def pointwise(x, sigma):
        seen.append(tuple(x.shape[-2:]))
        return x.square() * sigma

    pointwise.multiple = multiple
    tiled = Tiled(pointwise, size, overlap)
    for shape in [(1, 1), (16, 16), (17, 31), (99, 40), (24, 24), (101, 203)]:
        x = torch.randn(2, 3, *shape, dtype=torch.float64)
        got = tiled(x, 0.7)
        assert torch.allclose(got, x.square() * 0.7, rtol=1e-14, atol=0)
        assert max(map(max, seen)) <= size
        assert len(seen) == tiled.count(*shape)
        assert (len(seen) == 1) == (max(shape) <= size)
        for side in shape:
            cuts = tiled._intervals(side)
            assert all(cut.start % multiple == 0 for cut in cuts)
            assert [cut.stop == side for cut in cuts] == [False] * (len(cuts) - 1) + [True]
            assert all(a.stop - b.start >= overlap for a, b in pairwise(cuts))
        seen.clear()


def test_the_weight_of_a_tile_falls_linearly_towards_its_border():
    """Two tiles that disagree: 0 left and 1 right, in steps of 1 / 5 across four columns."""
    calls = iter([0.0, 1.0])
    tiled = Tiled(lambda x, sigma: torch.full_like(x, next(calls)), 10, 4)
    row = tiled(torch.zeros(1, 1, 1, 16, dtype=torch.float64), 1.0).flatten()
    assert torch.allclose(row[6:10], torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64))
    assert row[:6].eq(0).all()
    assert row[10:].eq(1).all()


def photograph():
    """A part of scikit-image's cup of coffee, (1, 3, 192, 256)."""
    pixels = torch.tensor(skimage.data.coffee()[:192, :256]).permute(2, 0, 1)
    return pixels[None] / 127.5 - 1


# Measured: 0.0025, 0.0049, 0.0131, 0.0246; the network's own error is 0.027, 0.074, 0.12, 0.26.
@pytest.mark.parametrize(
    ("sigma", "bound"), [(0.05, 0.004), (0.3, 0.008), (1.0, 0.02), (5.0, 0.04)]
)
def test_seams_are_small_beside_the_error_of_the_network(sigma, bound):
    """Tiles of 128 against the whole image, as root mean squares."""
    denoiser, x0 = load_denoiser("natural"), photograph()
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    x = x0 + sigma * noise
    whole, tiled = denoiser(x, sigma), Tiled(denoiser, 128, 32)(x, sigma)
    difference = (whole - tiled).square().mean().sqrt()
    loss, loss_tiled = ((each - x0).square().mean().sqrt() for each in (whole, tiled))
    assert difference <= bound
    assert loss_tiled <= 1.01 * loss


def test_measured_pixels_are_kept_exactly_in_tiles():
    """H is that of the whole image; seams touch the network's guess only."""
    x0 = photograph()[..., :100, :150]
    keep = torch.rand(100, 150, generator=torch.Generator().manual_seed(4)) > 0.5
    op = Inpainting(keep, channels=3)
    tiled = Tiled(load_denoiser("natural"), 64, 16)
    x = restore(tiled, op, op(x0), sigma_y=0.0, steps=3)
    assert torch.allclose(op(x), op(x0), rtol=0, atol=1e-6)

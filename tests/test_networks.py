"""Networks of diffusers, saved and loaded, of every prediction type, against closed forms."""

import json
import math
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch
from laws import largest, relative

from ddrm_edu import (
    Denoising,
    EpsDenoiser,
    NoiseSchedule,
    SampleDenoiser,
    VDenoiser,
    from_diffusers,
    load_denoiser,
    restore,
)

KINDS = {"epsilon": EpsDenoiser, "v_prediction": VDenoiser, "sample": SampleDenoiser}
every_kind = pytest.mark.parametrize("kind", KINDS)
MEAN, VARIANCE = 0.3, 0.4


def generator(seed):
    return torch.Generator().manual_seed(seed)


def levels_of(betas):
    """alpha_bar of diffusers' times 0..T-1, in Python's numbers."""
    product, found = 1.0, []
    for beta in betas.tolist():
        product *= 1 - beta
        found.append(product)
    return found


def analytic_x0(x, sigma):
    """E[x_0 | x] of N(MEAN, VARIANCE), pixel by pixel."""
    return MEAN + VARIANCE / (VARIANCE + sigma**2) * (x - MEAN)


class Analytic(torch.nn.Module):
    """What a perfect network of diffusers answers at an integer time, for N(MEAN, VARIANCE)."""

    def __init__(self, kind, betas, copies=1, classes=None):
        super().__init__()
        self.kind, self.alpha_bar = kind, levels_of(betas)
        self.copies, self.seen, self.labels = copies, [], []
        self.config = SimpleNamespace(
            in_channels=3, out_channels=3 * copies, num_class_embeds=classes
        )

    def forward(self, x_t, t, class_labels=None):
        assert t.dtype == torch.long, "embeds an integer time"
        assert t.shape == (len(x_t),)
        self.seen.append(t[0].item())
        self.labels.append(class_labels)
        a = self.alpha_bar[t[0]]
        # Bayes' rule on variance-preserving images: x_t = sqrt(a) x_0 + sqrt(1 - a) eps.
        spread = a * VARIANCE + 1 - a
        x0 = MEAN + math.sqrt(a) * VARIANCE / spread * (x_t - math.sqrt(a) * MEAN)
        eps = math.sqrt(1 - a) / spread * (x_t - math.sqrt(a) * MEAN)
        v = math.sqrt(a) * eps - math.sqrt(1 - a) * x0
        out = {"epsilon": eps, "v_prediction": v, "sample": x0}[self.kind]
        return SimpleNamespace(sample=torch.cat([out] + [out + 7] * (self.copies - 1), dim=1))


def scheduler(kind="epsilon", betas=None, **config):
    """What is read of a scheduler of diffusers: its configuration and its float32 arrays."""
    betas = torch.linspace(1e-4, 0.02, 1000) if betas is None else betas
    config = SimpleNamespace(prediction_type=kind, **config)
    return SimpleNamespace(config=config, betas=betas, alphas_cumprod=(1 - betas).cumprod(0))


# ---------------------------------------------------------------------------- without diffusers


@every_kind
@pytest.mark.parametrize("copies", [1, 2], ids=["eps alone", "and a variance"])
def test_analytic_network_gives_the_analytic_answer_at_all_levels(kind, copies):
    """X08: every integer time once, from T - 1 to 0, and x0_hat of the closed form."""
    parts = scheduler(kind)
    net = Analytic(kind, parts.betas.double(), copies)
    denoiser = from_diffusers(net, parts)
    assert type(denoiser) is KINDS[kind]
    assert denoiser.in_channels == 3
    assert not net.training
    errors = []
    for sigma in denoiser.schedule.sigmas(1000)[:-1]:
        x = MEAN + sigma * torch.randn(2, 3, 2, 2, generator=generator(1), dtype=torch.float64)
        errors.append(relative(denoiser(x, sigma), analytic_x0(x, float(sigma))))
    assert net.seen == list(range(999, -1, -1))
    assert largest(errors) <= 1e-9


@pytest.mark.parametrize(("kind", "taken"), [("epsilon", "v_prediction"), ("sample", "epsilon")])
def test_a_wrong_prediction_type_is_far_off(kind, taken):
    """What the tests above would see."""
    parts = scheduler(taken)
    denoiser = from_diffusers(Analytic(kind, parts.betas.double()), parts)
    sigma = denoiser.schedule.sigma[600]
    x = MEAN + sigma * torch.randn(2, 3, 2, 2, generator=generator(1), dtype=torch.float64)
    assert relative(denoiser(x, sigma), analytic_x0(x, float(sigma))) > 0.1


@every_kind
def test_a_time_that_is_off_by_one_is_seen(kind):
    """first_t = 1 in the place of 0 misses the bound of the test above by six orders."""
    parts = scheduler(kind)
    net, schedule = Analytic(kind, parts.betas.double()), NoiseSchedule.linear()
    x = MEAN + 2 * torch.randn(2, 3, 2, 2, generator=generator(1), dtype=torch.float64)
    sigma = schedule.sigma[400]
    off = KINDS[kind](net, schedule, first_t=1)(x, sigma)
    assert relative(off, analytic_x0(x, float(sigma))) > 1e-3


def test_levels_have_all_digits_of_the_betas():
    """alphas_cumprod in float32 would round sigma_1 = 0.01 in the fourth digit."""
    parts = scheduler()
    schedule = from_diffusers(Analytic("epsilon", parts.betas), parts).schedule
    want = torch.tensor([(1 / a - 1) ** 0.5 for a in levels_of(parts.betas.double())])
    assert torch.allclose(schedule.sigma[1:], want.double(), rtol=1e-6, atol=0)
    rounded = NoiseSchedule.from_alphas_cumprod(parts.alphas_cumprod)
    assert abs(rounded.sigma[1] / schedule.sigma[1] - 1) > 1e-5


@pytest.mark.parametrize("left_out", ["betas", "alphas_cumprod"])
def test_one_of_the_two_arrays_is_enough(left_out):
    """To the rounding of diffusers' own product of t float32 numbers."""
    parts = scheduler()
    net = Analytic("epsilon", parts.betas)
    whole = from_diffusers(net, parts).schedule
    setattr(parts, left_out, None)
    schedule = from_diffusers(net, parts).schedule
    bound = torch.arange(1001) * torch.finfo(torch.float32).eps
    assert ((schedule.alpha_bar - whole.alpha_bar).abs() <= bound).all()


def test_levels_that_were_edited_are_those_of_alphas_cumprod():
    """add_noise of diffusers reads alphas_cumprod, and not betas."""
    parts = scheduler()
    parts.alphas_cumprod = parts.alphas_cumprod**2
    schedule = from_diffusers(Analytic("epsilon", parts.betas), parts).schedule
    torch.testing.assert_close(
        schedule.alpha_bar[1:], parts.alphas_cumprod.double(), rtol=1e-12, atol=0
    )


def test_zero_terminal_snr_drops_the_infinite_level():
    """Lin et al. 2024: T - 1 levels are left, at their own times, and it is said."""
    betas = torch.cat([torch.linspace(0.01, 0.5, 9), torch.ones(1)])
    net = Analytic("v_prediction", betas.double())
    with pytest.warns(UserWarning, match=r"T = 10 .*alpha_bar = 0.*at most at sigma_9 = "):
        denoiser = from_diffusers(net, scheduler("v_prediction", betas))
    assert denoiser.schedule.T == 9
    for t, sigma in enumerate(denoiser.schedule.sigma[1:]):
        x = MEAN + sigma * torch.randn(1, 3, 2, 2, generator=generator(t), dtype=torch.float64)
        assert relative(denoiser(x, sigma), analytic_x0(x, float(sigma))) <= 1e-9
    assert net.seen == list(range(9))


@pytest.mark.parametrize("given", [4, torch.tensor([4]), torch.tensor([4, 0])], ids=str)
def test_class_labels_reach_the_network(given):
    parts = scheduler()
    net = Analytic("epsilon", parts.betas, classes=5)
    from_diffusers(net, parts, class_labels=given)(torch.zeros(2, 3, 2, 2), 1.0)
    want = [4, 4] if isinstance(given, int) or len(given) == 1 else [4, 0]
    assert net.labels[0].tolist() == want
    assert net.labels[0].dtype == torch.long


def test_an_integer_time_denoiser_refuses_levels_beyond_its_training():
    parts = scheduler("v_prediction")
    denoiser = from_diffusers(Analytic("v_prediction", parts.betas), parts)
    with pytest.raises(ValueError, match=r"up to the level sigma_T = 157.*at sigma = 200"):
        denoiser(torch.zeros(1, 3, 2, 2), 200.0)


def changed(net, **config):
    vars(net.config).update(config)
    return net


class OfTexts(Analytic):
    def forward(self, x_t, t, encoder_hidden_states):
        raise AssertionError


BETAS = torch.linspace(1e-4, 0.02, 10)
NET = Analytic("epsilon", BETAS)
REFUSED = {
    "no scheduler": (lambda: from_diffusers(NET), "scheduler that it was trained with"),
    "no prediction type": (
        lambda: from_diffusers(NET, SimpleNamespace(betas=BETAS)),
        "SimpleNamespace does not say what its network predicts",
    ),
    "an unknown one": (lambda: from_diffusers(NET, scheduler("flow")), "says 'flow'"),
    "a schedule of ours": (
        lambda: from_diffusers(NET, NoiseSchedule.linear()),
        "NoiseSchedule does not say",
    ),
    "no levels": (
        lambda: from_diffusers(NET, SimpleNamespace(config={"prediction_type": "epsilon"})),
        "no alphas_cumprod",
    ),
    "continuous times": (
        lambda: from_diffusers(NET, scheduler(timestep_type="continuous")),
        "continuous times",
    ),
    "a Fourier embedding": (
        lambda: from_diffusers(
            changed(Analytic("epsilon", BETAS), time_embedding_type="fourier"), scheduler()
        ),
        "fourier",
    ),
    "texts": (lambda: from_diffusers(OfTexts("epsilon", BETAS), scheduler()), "text"),
    "more channels in than out": (
        lambda: from_diffusers(changed(Analytic("epsilon", BETAS), in_channels=6), scheduler()),
        "takes 6 channels and returns 3",
    ),
    "a function": (lambda: from_diffusers(lambda x, t: x, scheduler()), "was function"),
    "no label": (
        lambda: from_diffusers(Analytic("epsilon", BETAS, classes=5), scheduler()),
        r"5 classes.*from 0 to 4.*None",
    ),
    "a label that is too large": (
        lambda: from_diffusers(Analytic("epsilon", BETAS, classes=5), scheduler(), class_labels=5),
        "was 5",
    ),
    "a label of no class": (
        lambda: from_diffusers(
            Analytic("epsilon", BETAS, classes=5), scheduler(), class_labels=1.5
        ),
        "was 1.5",
    ),
    "a label for a network without": (
        lambda: from_diffusers(NET, scheduler(), class_labels=1),
        "takes none",
    ),
    "other classes": (
        lambda: from_diffusers(
            changed(Analytic("epsilon", BETAS), class_embed_type="timestep"), scheduler()
        ),
        "embeds its classes by 'timestep'",
    ),
    "a label for each of another batch": (
        lambda: from_diffusers(
            Analytic("epsilon", BETAS, classes=5), scheduler(), class_labels=torch.tensor([1, 2])
        )(torch.zeros(3, 3, 2, 2), 1.0),
        "2 entries, but the batch 3 images",
    ),
    "latent diffusion": (
        lambda: from_diffusers(SimpleNamespace(unet=NET, scheduler=scheduler(), vae=NET)),
        "consists of scheduler, unet, vae.*no SVD",
    ),
    "a scheduler as schedule": (
        lambda: EpsDenoiser(NET, scheduler()),
        "of type SimpleNamespace.*from_diffusers reads",
    ),
    "integer times without a schedule": (lambda: VDenoiser(NET, first_t=0), "was NoneType"),
    "half a time": (lambda: EpsDenoiser(NET, first_t=0.5), "was 0.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_not_guessed(name):
    make, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        make()


def test_without_diffusers_a_folder_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ImportError, match=r"pip install 'ddrm-edu\[diffusers\]'"):
        from_diffusers(tmp_path)


def test_the_shipped_network_runs_in_half_precision():
    """Its own rounding is 2^-11 of numbers of size 1, through some twenty layers."""
    whole, half = load_denoiser("fashion"), load_denoiser("fashion")
    half.net.half()
    x = torch.randn(2, 1, 32, 32, generator=generator(1))
    for sigma in (0.1, 1.0, 20.0):
        noisy = x.clamp(-1, 1) + sigma * torch.randn(x.shape, generator=generator(2))
        got = half(noisy, sigma)
        assert got.dtype == torch.float32
        assert relative(got, whole(noisy, sigma)) <= 0.02


# ------------------------------------------------------------------------------- with diffusers


@pytest.fixture(scope="session")
def diffusers():
    return pytest.importorskip("diffusers", reason="the extra 'diffusers' is not installed")


def small(diffusers, **config):
    """A random network of 2 levels, 3 channels and a few thousand weights."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return diffusers.UNet2DModel(
            sample_size=8,
            **{"in_channels": 3, "out_channels": 3, **config},
            block_out_channels=(4, 8),
            layers_per_block=1,
            norm_num_groups=2,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
        )


def by_hand(net, kind, x, t, a, **labels):
    """x0_hat from the definitions, on variance-preserving images."""
    x_t = x * math.sqrt(a)
    with torch.no_grad():
        out = net(x_t, torch.tensor(t), **labels).sample[:, : x.shape[1]]
    if kind == "epsilon":
        return (x_t - math.sqrt(1 - a) * out) / math.sqrt(a)
    return out if kind == "sample" else math.sqrt(a) * x_t - math.sqrt(1 - a) * out


@every_kind
@pytest.mark.parametrize("variance", [False, True], ids=["", "and a variance"])
def test_saved_pipeline_is_read_back(diffusers, tmp_path, kind, variance):
    """A real UNet2DModel: x0_hat at all 40 levels is that of diffusers' own numbers."""
    net = small(diffusers, out_channels=3 * (1 + variance)).eval()
    noise = diffusers.DDPMScheduler(40, beta_end=0.3, prediction_type=kind)
    diffusers.DDPMPipeline(net, noise).save_pretrained(tmp_path)
    state = torch.random.get_rng_state()
    denoiser = from_diffusers(tmp_path, dtype=torch.float64)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert type(denoiser) is KINDS[kind]
    assert (denoiser.in_channels, denoiser.multiple, denoiser.schedule.T) == (3, 2, 40)
    net.double()
    for t, a in enumerate(levels_of(noise.betas.double())):
        sigma = math.sqrt(1 / a - 1)
        x = sigma * torch.randn(2, 3, 8, 8, generator=generator(t), dtype=torch.float64)
        with torch.no_grad():
            got = denoiser(x, sigma)
        assert relative(got, by_hand(net, kind, x, t, a)) <= 1e-5
        if t:  # the next time is another function
            assert relative(got, by_hand(net, kind, x, t - 1, a)) > 1e-5


@every_kind
def test_saved_network_gives_the_analytic_answer_at_all_levels(diffusers, tmp_path, kind):
    """The scheduler is saved and loaded, the network is the closed form."""
    noise = diffusers.DDPMScheduler(1000, prediction_type=kind)
    noise.save_pretrained(tmp_path / "scheduler")
    net = Analytic(kind, noise.betas.double())
    denoiser = from_diffusers(net, tmp_path / "scheduler")
    for sigma in denoiser.schedule.sigma[1:]:
        x = MEAN + sigma * torch.randn(1, 3, 2, 2, generator=generator(3), dtype=torch.float64)
        assert relative(denoiser(x, sigma), analytic_x0(x, float(sigma))) <= 1e-5
    assert net.seen == list(range(1000))


@pytest.mark.parametrize(
    "name", ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler"]
)
def test_levels_are_those_that_diffusers_trains_on(diffusers, name):
    """add_noise of the scheduler, asked for x_t of a picture of ones and no noise."""
    noise = getattr(diffusers, name)(100)
    schedule = from_diffusers(small(diffusers), noise).schedule
    training = diffusers.DDPMScheduler(100)
    for t in (0, 50, 99):
        one = training.add_noise(torch.ones(1), torch.zeros(1), torch.tensor([t]))
        assert schedule.alpha_bar[1 + t].sqrt().item() == pytest.approx(one.item(), rel=1e-6)


def test_a_model_folder_takes_the_scheduler_beside_it_or_one_that_is_given(diffusers, tmp_path):
    """Also the oldest form, in which all parts of a pipeline lie in one folder."""
    noise = diffusers.DDPMScheduler(40, prediction_type="sample")
    diffusers.DDPMPipeline(small(diffusers), noise).save_pretrained(tmp_path / "p")
    x = torch.randn(1, 3, 8, 8, generator=generator(1))
    want = from_diffusers(tmp_path / "p")(x, 0.5)
    unet = tmp_path / "p" / "unet"
    with pytest.raises(ValueError, match="scheduler that it was trained with"):
        from_diffusers(unet)
    for given in (noise, tmp_path / "p" / "scheduler", str(tmp_path / "p")):
        assert torch.equal(from_diffusers(unet, given)(x, 0.5), want)
    shutil.copytree(unet, tmp_path / "flat")
    shutil.copy(tmp_path / "p" / "scheduler" / "scheduler_config.json", tmp_path / "flat")
    assert torch.equal(from_diffusers(tmp_path / "flat")(x, 0.5), want)
    shutil.copy(tmp_path / "p" / "model_index.json", tmp_path / "flat")
    assert torch.equal(from_diffusers(tmp_path / "flat")(x, 0.5), want)
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path / "p")
    assert torch.equal(from_diffusers(pipeline)(x, 0.5), want)


def test_a_scheduler_from_before_there_was_a_choice_means_epsilon(diffusers, tmp_path):
    """As diffusers reads it."""
    diffusers.DDPMPipeline(small(diffusers), diffusers.DDPMScheduler(40)).save_pretrained(tmp_path)
    file = tmp_path / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text())
    del config["prediction_type"]
    file.write_text(json.dumps(config))
    assert type(from_diffusers(tmp_path)) is EpsDenoiser


def test_zero_terminal_snr_of_diffusers(diffusers):
    noise = diffusers.DDIMScheduler(50, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    with pytest.warns(UserWarning, match="zero terminal SNR"):
        denoiser = from_diffusers(small(diffusers), noise)
    assert denoiser.schedule.T == 49
    op = Denoising((3, 9, 5))
    y = torch.zeros(1, 3, 9, 5)
    assert restore(denoiser, op, y, sigma_y=0.5, steps=49).isfinite().all()


def test_labels_of_a_real_network(diffusers):
    noise = diffusers.DDPMScheduler(40)
    net = small(diffusers, num_class_embeds=3).eval()
    x = torch.randn(2, 3, 8, 8, generator=generator(1))
    a = levels_of(noise.betas.double())[20]
    sigma = math.sqrt(1 / a - 1)
    want = by_hand(net, "epsilon", x, 20, a, class_labels=torch.tensor([2, 2]))
    with torch.no_grad():
        two, one = (from_diffusers(net, noise, class_labels=k)(x, sigma) for k in (2, 1))
    assert relative(two, want) <= 1e-5
    assert relative(one, want) > 1e-4


@every_kind
def test_half_precision_and_any_size(diffusers, kind):
    """bfloat16 keeps 8 bits; the result is that of x's dtype, and the image of any size."""
    noise = diffusers.DDPMScheduler(40, prediction_type=kind)
    x = torch.randn(1, 3, 7, 11, generator=generator(1))
    with torch.no_grad():
        whole = from_diffusers(small(diffusers), noise)(x, 0.3)
        half = from_diffusers(small(diffusers), noise, dtype=torch.bfloat16)(x, 0.3)
    assert (half.dtype, half.shape) == (torch.float32, x.shape)
    assert relative(half, whole) <= 0.05


def test_another_model_of_diffusers_is_refused_and_one_of_fewer_times(diffusers):
    """What would fail in the middle of a run, or be told of a wrong cause."""
    parts = diffusers.DDPMScheduler(40)
    with pytest.raises(ValueError, match=r"UNet2DModel is one of pixels.*was AutoencoderKL"):
        from_diffusers(diffusers.AutoencoderKL(block_out_channels=(4,), norm_num_groups=2), parts)
    net = small(diffusers, time_embedding_type="learned", num_train_timesteps=10)
    with pytest.raises(ValueError, match=r"learned 10 times, but the scheduler has T = 40"):
        from_diffusers(net, parts)
    net = small(diffusers, time_embedding_type="learned", num_train_timesteps=40)
    assert from_diffusers(net, parts)(torch.zeros(1, 3, 8, 8), 0.5).isfinite().all()


def test_moving_a_network_says_nothing(diffusers, caplog):
    """diffusers warns of modules that should be kept in float32, of which there are none."""
    caplog.set_level("WARNING")
    denoiser = from_diffusers(
        small(diffusers), diffusers.DDPMScheduler(40), device="cpu", dtype=torch.float16
    )
    assert next(denoiser.net.parameters()).dtype == torch.float16
    assert not caplog.records


WRONG_FOLDERS = {
    "no folder": ("runs/of/nobody", "no such folder"),
    "an empty folder": ("", "folder of a saved pipeline or model"),
}


@pytest.mark.parametrize("name", WRONG_FOLDERS)
def test_folders_that_hold_no_model_are_refused_in_a_sentence(diffusers, tmp_path, name):
    folder, words = WRONG_FOLDERS[name]
    with pytest.raises(ValueError, match=words):
        from_diffusers(folder or tmp_path)


def test_a_folder_of_something_else_is_refused(diffusers, tmp_path):
    """Latent diffusion by its index alone, and a class that is no model."""
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "unet": ["diffusers", "X"]}))
    with pytest.raises(ValueError, match=r"consists of unet, vae"):
        from_diffusers(tmp_path)
    (tmp_path / "model_index.json").unlink()
    (tmp_path / "config.json").write_text('{"_class_name": "DDPMScheduler"}')
    with pytest.raises(ValueError, match=r"hold a model of diffusers.*'DDPMScheduler'"):
        from_diffusers(tmp_path, scheduler())


def test_the_hub_is_asked_through_diffusers_and_its_error_is_a_sentence(
    diffusers, tmp_path, monkeypatch
):
    """Where there is no connection; and where there is one, what it brings is read as a folder."""
    noise = diffusers.DDPMScheduler(40, prediction_type="sample")
    diffusers.DDPMPipeline(small(diffusers), noise).save_pretrained(tmp_path)
    read = diffusers.DiffusionPipeline.load_config
    kind = diffusers.DiffusionPipeline

    def offline(source):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(kind, "load_config", offline)
    with pytest.raises(ValueError, match=r"'owner/name'.*hub gave nothing.*couldn't connect to"):
        from_diffusers("owner/name")
    here = lambda source: read(str(tmp_path))  # noqa: E731
    monkeypatch.setattr(kind, "load_config", here)
    monkeypatch.setattr(kind, "download", lambda source: str(tmp_path))
    assert type(from_diffusers("owner/name")) is SampleDenoiser

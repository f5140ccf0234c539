"""The shipped networks, how they are loaded and how they were trained (slide 24)."""

import csv
import hashlib
import json
import math
import shutil

import numpy as np
import pytest
import torch
from laws import largest

from ddrm_edu import (
    Colorization,
    Denoising,
    Inpainting,
    SuperResolution,
    load_denoiser,
    load_images,
    restore,
)
from ddrm_edu.denoisers import x0_from_v
from ddrm_edu.pretrained import training
from ddrm_edu.pretrained.loading import WEIGHTS
from ddrm_edu.pretrained.unet import UNet

CHANNELS = {"natural": 3, "fashion": 1}
names = pytest.mark.parametrize("name", CHANNELS)


@pytest.fixture(scope="module", params=CHANNELS)
def denoiser(request):
    return load_denoiser(request.param)


def _noise(like, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=generator)


# --------------------------------------------------------------------------------------- loading


@names
def test_both_models_load_and_denoise_images_of_their_channels(name):
    """S06.4: x of (batch, c, 32, 32) gives x0_hat of that shape, finite, without a gradient."""
    denoiser = load_denoiser(name)
    assert denoiser.in_channels == CHANNELS[name]
    x = _noise(torch.empty(2, CHANNELS[name], 32, 32))
    out = denoiser(x, 1.3)
    assert (out.shape, out.dtype) == (x.shape, torch.float32)
    assert out.isfinite().all()
    assert not out.requires_grad


def test_default_model_is_the_natural_one():
    """Three channels, and the schedule that restore uses by default."""
    denoiser = load_denoiser()
    assert "natural" in repr(denoiser)
    assert denoiser.in_channels == 3
    assert denoiser.schedule.T == 1000


def test_denoiser_is_deterministic(denoiser):
    """The same image gives the same prediction, also from a second copy of the network."""
    x = _noise(torch.empty(2, denoiser.in_channels, 32, 32))
    again = load_denoiser(denoiser.card["name"])
    assert torch.equal(denoiser(x, 0.7), denoiser(x, 0.7))
    assert torch.equal(denoiser(x, 0.7), again(x, 0.7))


def test_prediction_for_an_image_does_not_depend_on_its_batch(denoiser):
    """No statistics over the batch; convolutions may round in another order."""
    x = _noise(torch.empty(5, denoiser.in_channels, 32, 32))
    whole = denoiser(x, 0.7)
    for k in (0, 4):
        assert largest(denoiser(x[k : k + 1], 0.7)[0] - whole[k]) <= 1e-5
    assert largest(denoiser(x.flip(0), 0.7).flip(0) - whole) <= 1e-5


@pytest.mark.parametrize("side", [(64, 64), (32, 48)], ids=str)
def test_network_takes_images_of_other_sizes(denoiser, side):
    """No attention and no fixed size: any multiple of 8."""
    x = _noise(torch.empty(1, denoiser.in_channels, *side))
    out = denoiser(x, 2.0)
    assert out.shape == x.shape
    assert out.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 3, 30, 32), (3, 32, 32)], ids=str)
def test_images_that_do_not_fold_are_refused(shape):
    """The message names the multiple and the shape."""
    with pytest.raises(ValueError, match=r"multiples of 8.*Crop or pad"):
        load_denoiser("natural")(torch.zeros(shape), 1.0)


def test_images_of_the_other_model_are_refused():
    """The message names the model that fits."""
    with pytest.raises(ValueError, match=r"1 channels.*load_denoiser\('natural'\) has 3"):
        load_denoiser("fashion")(torch.zeros(1, 3, 32, 32), 1.0)


def test_unknown_names_are_refused():
    """The message lists those that exist."""
    with pytest.raises(ValueError, match=r"no model 'naturel'.*\['fashion', 'natural'\]"):
        load_denoiser("naturel")


@pytest.mark.parametrize("place", [100, -5], ids=["in the header", "in the numbers"])
def test_damaged_weights_are_refused(tmp_path, place):
    """One flipped bit is found by the checksum, before anything is computed with it."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(WEIGHTS / f"fashion{suffix}", tmp_path)
    assert load_denoiser("fashion", folder=tmp_path).in_channels == 1
    weights = tmp_path / "fashion.safetensors"
    content = bytearray(weights.read_bytes())
    content[place] ^= 1
    weights.write_bytes(content)
    with pytest.raises(OSError, match="is damaged"):
        load_denoiser("fashion", folder=tmp_path)


def test_weights_that_were_cut_off_are_refused(tmp_path):
    """A download that stopped halfway."""
    shutil.copy(WEIGHTS / "fashion.json", tmp_path)
    content = (WEIGHTS / "fashion.safetensors").read_bytes()
    (tmp_path / "fashion.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match="download cut off"):
        load_denoiser("fashion", folder=tmp_path)


def test_network_has_no_trainable_weights_left(denoiser):
    """Evaluation mode, float32, no gradient."""
    assert not denoiser.net.training
    for weight in denoiser.net.parameters():
        assert weight.dtype == torch.float32
        assert not weight.requires_grad


def test_float64_images_keep_their_precision_outside_the_network(denoiser):
    """DESIGN: the network runs in float32, the result has the dtype of x."""
    x = _noise(torch.empty(1, denoiser.in_channels, 32, 32))
    double = denoiser(x.double(), 0.7)
    assert double.dtype == torch.float64
    assert largest(double.float() - denoiser(x, 0.7)) <= 1e-4


# --------------------------------------------------------------------------------- what ships


def test_shipped_files_are_small():
    """Both models together below 25 MB, nothing else in the folder."""
    files = sorted(WEIGHTS.iterdir())
    assert [file.name for file in files] == [
        f"{name}.{suffix}" for name in sorted(CHANNELS) for suffix in ("csv", "json", "safetensors")
    ]
    assert sum(file.stat().st_size for file in files) < 25e6


@names
def test_card_agrees_with_weights_and_log(name):
    """The checksum, the number of images, the hours and the last loss are those of the files."""
    card = json.loads((WEIGHTS / f"{name}.json").read_text())
    with open(WEIGHTS / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    last = rows[-1]
    content = (WEIGHTS / f"{name}.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["name"] == name
    assert card["data"] == training.DATA[name]
    assert card["network"]["channels"] == CHANNELS[name]
    assert card["training"]["images_seen"] == int(last["images"])
    assert card["training"]["hours"] == pytest.approx(float(last["hours"]), abs=6e-5)
    assert card["validation_loss"] == float(last["validation_loss"])
    assert list(last) == training.LOG_FIELDS
    seen = [int(row["images"]) for row in rows]
    assert seen == sorted(set(seen))


@names
def test_network_removes_most_of_the_noise(name):
    """At sigma = 0.5 less than a fifth of the noise's energy is left, on pictures it never saw."""
    denoiser, x0, sigma = load_denoiser(name), load_images(name)[:32], 0.5
    x0_hat = denoiser(x0 + sigma * _noise(x0), sigma)
    assert (x0_hat - x0).square().mean().item() < 0.2 * sigma**2


@names
def test_network_knows_how_much_noise_there_is(name):
    """The prediction is best with the level that the image really has."""
    denoiser, x0 = load_denoiser(name), load_images(name)[:16]
    x = x0 + 0.5 * _noise(x0)
    error = {s: (denoiser(x, s) - x0).square().mean().item() for s in (0.25, 0.5, 1.0)}
    assert min(error, key=error.get) == 0.5


TASKS = {
    "denoising": Denoising((3, 32, 32)),
    "inpainting": Inpainting(
        torch.rand(32, 32, generator=torch.Generator().manual_seed(1)) < 0.5, channels=3
    ),
    "super-resolution": SuperResolution((3, 32, 32), 4),
    "colorization": Colorization((3, 32, 32)),
}


@pytest.mark.parametrize("op", TASKS.values(), ids=TASKS.keys())
def test_restoration_in_20_steps_keeps_what_was_measured(op):
    """X06: H x = y to 1e-5 in float32 with the shipped network, noiseless."""
    x0 = load_images("natural")[3:5]
    y = op(x0)
    seeds = [torch.Generator().manual_seed(k) for k in range(2)]
    x = restore(load_denoiser("natural"), op, y, sigma_y=0.0, steps=20, generator=seeds)
    assert x.dtype == torch.float32
    assert ((op(x) - y).norm() / y.norm()).item() <= 1e-5


def test_lost_pixels_are_filled_in_from_what_is_around_them():
    """Slide 24: half of the pixels lost; closer to the truth than grey, the pseudo-inverse."""
    op, x0 = TASKS["inpainting"], load_images("natural")[:4]
    y = op(x0)
    seeds = [torch.Generator().manual_seed(k) for k in range(4)]
    x = restore(load_denoiser("natural"), op, y, sigma_y=0.0, steps=20, generator=seeds)
    assert (x - x0).square().mean() < 0.5 * (op.pinv(y) - x0).square().mean()


# ------------------------------------------------------------------------------------- training


def test_training_pairs_are_those_of_the_denoiser():
    """S19.1: the input is x_VP at level sigma and v its target: x0_from_v(x_VE, sigma, v) = x0."""
    images = 0.3 * _noise(torch.empty(64, 1, 4, 4), seed=1)
    x, sigma, v = training.noised_batch(images, torch.Generator().manual_seed(2))
    level = sigma.double()[:, None, None, None]
    x_ve = x.double() * (1 + level**2).sqrt()
    # float32 pairs: an error of 1e-7 in the angle is one of 1e-7 (1 + sigma^2) in sigma.
    error = (x0_from_v(x_ve, level, v.double()) - images).abs().amax((1, 2, 3)) / (1 + sigma**2)
    assert largest(error) <= 5e-6


def test_training_noise_is_standard_normal():
    """S03.2: eps = cos v + sin x recovered from 2,048 images of 16 numbers; z <= 5."""
    images = 0.3 * _noise(torch.empty(2048, 1, 4, 4), seed=3)
    x, sigma, v = training.noised_batch(images, torch.Generator().manual_seed(4))
    cos = (1 / (1 + sigma.double() ** 2).sqrt())[:, None, None, None]
    eps = (cos * v + (1 - cos**2).sqrt() * x).flatten(1)
    N, unit = len(eps), torch.eye(16, dtype=torch.float64)
    z_cov = (eps.T @ eps / N - unit) / ((1 + unit) / N).sqrt()
    assert largest(eps.mean(0) * math.sqrt(N), z_cov) <= 5


def test_every_batch_sees_all_levels():
    """One angle from each of `batch` equal parts of the range 0.005 to 159."""
    sigma = training.noised_batch(torch.zeros(32, 1, 2, 2), torch.Generator().manual_seed(5))[1]
    share = (sigma.atan() / (math.pi / 2) - 0.003) / 0.993
    assert (share * 32).floor().tolist() == list(range(32))
    assert 0.0046 < sigma.min() < sigma.max() < 160


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (64, 16), (7, 7), (5, 12)])
def test_every_epoch_is_a_permutation_of_all_images(count, batch):
    """No image is left out or seen twice, whatever the batch size; other epochs, other orders."""
    steps = 3 * count
    order = np.concatenate([training.batch_indices(count, batch, k, seed=1) for k in range(steps)])
    assert len(order) == steps * batch
    epochs = order[: len(order) // count * count].reshape(-1, count)
    for epoch in epochs:
        assert sorted(epoch) == list(range(count))
    assert (epochs[0] != epochs[1]).any()


def test_order_of_images_depends_on_the_seed_and_nothing_else():
    """Step k can be computed without the steps before it."""
    first = training.batch_indices(64, 16, 5, seed=1)
    assert (first == training.batch_indices(64, 16, 5, seed=1)).all()
    assert (first != training.batch_indices(64, 16, 5, seed=2)).any()


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    """Its first part does not depend on the total: a run can be prolonged."""
    rate = lambda seen, total: training.learning_rate_factor(seen, total, 10)  # noqa: E731
    assert rate(0, 100_000) == pytest.approx(1 / 300)
    assert rate(1490, 100_000) == pytest.approx(0.5)
    assert rate(3000, 100_000) == rate(70_000, 100_000) == 1
    assert rate(85_000, 100_000) == pytest.approx(0.5)
    assert rate(100_000, 100_000) == 0
    assert rate(50_000, 100_000) == rate(50_000, 200_000)


def test_a_fresh_network_predicts_zero_and_remembers_its_configuration():
    """Zeroed last layers: training starts from the identity of every block."""
    net = UNet(2, (8, 16), 1)
    out = net(_noise(torch.empty(3, 2, 8, 12)), torch.tensor([0.1, 1.0, 9.0]))
    assert torch.equal(out, torch.zeros(3, 2, 8, 12))
    twin = UNet(**json.loads(json.dumps(net.config)))
    assert [w.shape for w in twin.parameters()] == [w.shape for w in net.parameters()]


TINY = {"batch": 16, "widths": (8, 16), "blocks": 1, "progress": False, "checkpoint_minutes": 0.0}


@pytest.fixture
def tiny_data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (80, 1, 8, 8), dtype=np.uint8)
    return images[:64], images[64:]


def _trained(run, tiny_data, total_images=96, **changes):
    return training.train(
        "fashion", run, total_images=total_images, data=tiny_data, **(TINY | changes)
    )


def _losses(weights):
    """Images, training loss and validation loss of the log; the times differ from run to run."""
    return [row.split(",")[:3] for row in weights.with_suffix(".csv").read_text().splitlines()]


def _failing_on_call(function, number):
    calls = []

    def failing(*args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize("step", [1, 3, 5])
def test_interrupted_training_continues_as_if_nothing_had_happened(tmp_path, tiny_data, step):
    """Every random number of step k is a function of (seed, k): the same weights, bit for bit."""
    whole = _trained(tmp_path / "whole", tiny_data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "batch_indices", _failing_on_call(training.batch_indices, step + 1))
        with pytest.raises(KeyboardInterrupt):
            _trained(tmp_path / "parts", tiny_data)
    seen = json.loads((tmp_path / "parts" / "fashion.json").read_text())["training"]["images_seen"]
    assert seen == 16 * step
    parts = _trained(tmp_path / "parts", tiny_data)
    assert parts.read_bytes() == whole.read_bytes()
    assert _losses(parts) == _losses(whole)


def test_steps_since_the_last_checkpoint_are_repeated_alike(tmp_path, tiny_data):
    """A crash while the third checkpoint is written: the half file is not used, nor left behind."""
    whole = _trained(tmp_path / "whole", tiny_data)
    save = torch.save

    def half(obj, path):
        save(obj, path)
        path.write_bytes(path.read_bytes()[:1000])
        raise KeyboardInterrupt

    calls = []

    def third_is_cut_off(obj, path):
        calls.append(path)
        (half if len(calls) == 3 else save)(obj, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", third_is_cut_off)
        with pytest.raises(KeyboardInterrupt):
            _trained(tmp_path / "parts", tiny_data)
    parts = _trained(tmp_path / "parts", tiny_data)
    assert parts.read_bytes() == whole.read_bytes()
    assert _losses(parts) == _losses(whole)


def test_other_settings_do_not_go_on_with_a_run(tmp_path, tiny_data):
    """A checkpoint of another seed or network is refused, and stays as it was."""
    _trained(tmp_path, tiny_data, total_images=32)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    for changes in ({"seed": 7}, {"batch": 8}, {"learning_rate": 0.01}, {"widths": (8, 24)}):
        with pytest.raises(ValueError, match="belongs to a run with"):
            _trained(tmp_path, tiny_data, **changes)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_checkpoints_do_not_change_the_run(tmp_path, tiny_data):
    """One checkpoint at the end or one after each step: the same weights."""
    often = _trained(tmp_path / "often", tiny_data)
    seldom = _trained(tmp_path / "seldom", tiny_data, checkpoint_minutes=60.0)
    assert len(_losses(seldom)) == 2  # the heading and one row
    assert seldom.read_bytes() == often.read_bytes()


def test_a_finished_run_leaves_whole_files_only(tmp_path, tiny_data):
    """Weights, card, log and checkpoint; no partial file; finished runs stay as they are."""
    weights = _trained(tmp_path, tiny_data)
    assert weights == tmp_path / "fashion.safetensors"
    files = ["checkpoint.pt", "fashion.csv", "fashion.json", "fashion.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    before = {name: (tmp_path / name).read_bytes() for name in files}
    _trained(tmp_path, tiny_data)
    assert {name: (tmp_path / name).read_bytes() for name in files} == before


def test_weights_of_an_own_run_load_with_load_denoiser(tmp_path, tiny_data):
    """The folder of a run is what load_denoiser takes; the card says how it was trained."""
    _trained(tmp_path, tiny_data, seed=3)
    denoiser = load_denoiser("fashion", folder=tmp_path)
    assert denoiser.net.config == {"channels": 1, "widths": [8, 16], "blocks": 1}
    assert denoiser.card["training"]["seed"] == 3
    assert denoiser.card["training"]["images_seen"] == 96
    x = _noise(torch.empty(2, 1, 8, 8))
    out = denoiser(x, 0.5)
    assert out.shape == x.shape
    assert out.isfinite().all()


def test_training_changes_with_the_seed_and_not_with_the_global_one(tmp_path, tiny_data):
    """The run's seed alone decides, also if other code drew random numbers before."""
    first = _trained(tmp_path / "a", tiny_data, 48).read_bytes()
    with torch.random.fork_rng():
        torch.rand(5)
        again = _trained(tmp_path / "b", tiny_data, 48).read_bytes()
    other = _trained(tmp_path / "c", tiny_data, 48, seed=1).read_bytes()
    assert first == again
    assert first != other


def test_training_lowers_the_loss(tmp_path):
    """On images that are all alike, 150 steps take the training loss well below that of v = 0."""
    image = np.full((1, 1, 8, 8), 230, dtype=np.uint8)
    data = (image.repeat(64, axis=0), image.repeat(64, axis=0))
    settings = {"learning_rate": 3e-2, "checkpoint_minutes": 60.0}
    weights = _trained(tmp_path, data, total_images=16 * 150, **settings)
    assert float(_losses(weights)[-1][1]) < 0.5

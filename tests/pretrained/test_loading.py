"""The shipped networks: how they are loaded, what ships, and what they can do (slide 24)."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from laws import largest
from strategies import noise_like

from ddrm_edu import (
    Colorization,
    Denoising,
    Inpainting,
    SuperResolution,
    load_denoiser,
    load_images,
    restore,
)
from ddrm_edu.pretrained import training
from ddrm_edu.pretrained.loading import WEIGHTS

CHANNELS = {"natural": 3, "fashion": 1}


names = pytest.mark.parametrize("name", CHANNELS)


# -- loading ---------------------------------------------------------------------------------------


@names
def test_both_models_load_and_denoise_images_of_their_channels(name):
    """S06.4: x of (batch, c, 32, 32) gives x0_hat of that shape, finite, without a gradient."""
    denoiser = load_denoiser(name)
    assert denoiser.in_channels == CHANNELS[name]
    x = noise_like(torch.empty(2, CHANNELS[name], 32, 32))
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
    x = noise_like(torch.empty(2, denoiser.in_channels, 32, 32))
    again = load_denoiser(denoiser.card["name"])
    assert torch.equal(denoiser(x, 0.7), denoiser(x, 0.7))
    assert torch.equal(denoiser(x, 0.7), again(x, 0.7))


def test_loading_leaves_the_global_random_state_alone():
    """The weights are read: none is drawn first."""
    before = torch.get_rng_state()
    load_denoiser("fashion")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_without_its_batch_is_refused():
    with pytest.raises(ValueError, match=r"\(batch, 3, h, w\).*\(3, 32, 32\).*x\[None\]"):
        load_denoiser("natural")(torch.zeros(3, 32, 32), 1.0)


@pytest.mark.parametrize("size", [(30, 32), (25, 41), (1, 1), (3, 70)], ids=str)
def test_an_image_of_any_size_is_seen_with_its_mirror_image(size):
    """By numpy: continued below and to the right to multiples of 8, and cut back."""
    denoiser = load_denoiser("natural")
    x = noise_like(torch.empty(2, 3, *size))
    more = [(0, 0), (0, 0), *((0, -side % 8) for side in size)]
    whole = torch.from_numpy(np.pad(x.numpy(), more, mode="symmetric"))
    want = denoiser(whole, 0.7)[..., : size[0], : size[1]]
    assert denoiser(x, 0.7).shape == x.shape
    assert torch.allclose(denoiser(x, 0.7), want, rtol=0, atol=1e-5)


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
    x = noise_like(torch.empty(1, denoiser.in_channels, 32, 32))
    double = denoiser(x.double(), 0.7)
    assert double.dtype == torch.float64
    assert largest(double.float() - denoiser(x, 0.7)) <= 1e-4


# -- what ships ------------------------------------------------------------------------------------


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
    extra = [training.ENLARGED_FIELD] if "enlarged" in card["training"] else []
    assert list(last) == training.LOG_FIELDS + extra
    seen = [int(row["images"]) for row in rows]
    assert seen == sorted(set(seen))


@names
def test_network_removes_most_of_the_noise(name):
    """At sigma = 0.5 less than a fifth of the noise's energy is left, on pictures it never saw."""
    denoiser, x0, sigma = load_denoiser(name), load_images(name)[:32], 0.5
    x0_hat = denoiser(x0 + sigma * noise_like(x0), sigma)
    assert (x0_hat - x0).square().mean().item() < 0.2 * sigma**2


@names
def test_network_knows_how_much_noise_there_is(name):
    """The prediction is best with the level that the image really has."""
    denoiser, x0 = load_denoiser(name), load_images(name)[:16]
    x = x0 + 0.5 * noise_like(x0)
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

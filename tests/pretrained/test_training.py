"""How the shipped networks were trained: pairs, order, learning rate, and runs that go on."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from laws import largest
from safetensors.torch import load_file
from strategies import noise_like

from ddrm_edu import load_denoiser
from ddrm_edu.denoisers import x0_from_v
from ddrm_edu.pretrained import training
from ddrm_edu.pretrained.unet import UNet


def test_training_pairs_are_those_of_the_denoiser():
    """S19.1: the input is x_VP at level sigma and v its target: x0_from_v(x_VE, sigma, v) = x0."""
    images = 0.3 * noise_like(torch.empty(64, 1, 4, 4), seed=1)
    x, sigma, v = training.noised_batch(images, torch.Generator().manual_seed(2))
    level = sigma.double()[:, None, None, None]
    x_ve = x.double() * (1 + level**2).sqrt()
    # float32 pairs: an error of 1e-7 in the angle is one of 1e-7 (1 + sigma^2) in sigma.
    error = (x0_from_v(x_ve, level, v.double()) - images).abs().amax((1, 2, 3)) / (1 + sigma**2)
    assert largest(error) <= 5e-6


def test_training_noise_is_standard_normal():
    """S03.2: eps = cos v + sin x recovered from 2,048 images of 16 numbers; z <= 5."""
    images = 0.3 * noise_like(torch.empty(2048, 1, 4, 4), seed=3)
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


def test_enlarged_cuts_magnify_by_1_to_4_and_lie_in_the_image():
    """Coordinates as an image: slope 1 / factor, the same along both axes, ends inside (0, 32).

    The cubic kernel (a = -0.75) is off from a straight line by t (2 t - 1) (t - 1) / 2 pixels.
    """
    off = 0.0482
    column = (torch.arange(32) + 0.5).expand(512, 32, 32)
    images = torch.stack([column, column.mT], dim=1) / 16 - 1
    cuts = 16 * (training.enlarged_cuts(images, torch.Generator().manual_seed(6)) + 1)
    along = torch.stack([cuts[:, 0, 16], cuts[:, 1, :, 16]], dim=1)  # (512, 2, 32)
    slope = (along[..., 24] - along[..., 7]) / 17
    factor = 1 / slope.mean(1)
    centre = along[..., 15:17].mean(-1)
    line = centre[..., None] + slope[..., None] * (torch.arange(32) - 15.5)
    assert largest((along - line)[..., 7:25]) <= 3 * off  # its own, the centre's, the slope's
    assert largest(slope[:, 0] - slope[:, 1]) <= 4 * off / 17
    assert 0.98 < factor.min() < 1.1
    assert 3.9 < factor.max() < 4.2
    assert abs(factor.mean().item() - 2.5) <= 5 * math.sqrt(0.75 / 512)  # uniform in (1, 4)
    ends = torch.stack([centre - 16 * slope, centre + 16 * slope])
    assert -0.2 < ends.min() < 0.5
    assert 31.5 < ends.max() < 32.2
    place = (ends[0] / (32 - 32 * slope))[factor > 1.5] - 0.5  # uniform in the square
    assert largest(place.mean(0)) <= 5 * math.sqrt(1 / 12 / len(place))
    assert abs(place.prod(1).mean().item()) <= 5 / 12 / math.sqrt(len(place))


def test_enlarged_cuts_are_each_of_their_own_image_and_stay_in_range():
    """A constant image stays what it is; black and white pixels do not overshoot."""
    level = torch.linspace(-1, 1, 7)[:, None, None, None].expand(7, 3, 8, 8)
    assert largest(training.enlarged_cuts(level, torch.Generator().manual_seed(7)) - level) <= 1e-6
    harsh = noise_like(torch.empty(16, 3, 8, 8)).sign()
    assert largest(training.enlarged_cuts(harsh, torch.Generator().manual_seed(8))) == 1


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


PAIRED = (16, 16)
"""Two channels a group: the bias of a single one has no gradient, only rounding for Adam."""


def _lively(*config):
    """A network none of whose layers starts at 0: its gradients are large, and clipped."""
    net = UNet(*config)
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.5)
    return net


def _by_hand(images, held_out, *, channels, steps, learning_rate, seed):
    """The training of the tiny network, in plain lines: what is kept, seen and measured."""
    torch.manual_seed(seed)
    net = _lively(channels, PAIRED, TINY["blocks"]).to(memory_format=torch.channels_last)
    weights = dict(net.named_parameters())
    adam = torch.optim.AdamW(net.parameters(), 1.0, (0.9, 0.99), eps=1e-8, weight_decay=0.01)
    average, batch, losses, norms = {}, TINY["batch"], [], []

    def loss_of(x, generator):
        u = (torch.arange(len(x)) + torch.rand(len(x), generator=generator)) / len(x)
        angle = (math.pi / 2 * (0.003 + 0.993 * u)).reshape(-1, 1, 1, 1)
        eps = torch.randn(x.shape, generator=generator)
        noisy, v = angle.cos() * x + angle.sin() * eps, angle.cos() * eps - angle.sin() * x
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        return ((net(noisy, angle.tan().flatten()) - v) ** 2).mean()

    order = np.concatenate(
        [np.random.default_rng((seed, e)).permutation(len(images)) for e in range(9)]
    )
    for k in range(steps):
        generator = torch.Generator().manual_seed(1_000_003 * seed + k)
        x = torch.from_numpy(images[order[k * batch :][:batch]]).float() / 127.5 - 1
        flip = torch.rand(batch, generator=generator) < 0.5
        x = torch.where(flip.reshape(-1, 1, 1, 1), x[..., torch.arange(7, -1, -1)], x)
        loss = loss_of(x, generator)
        adam.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in weights.values()]).norm()
        for p in weights.values():
            p.grad *= min(1.0, 1.0 / (norm.item() + 1e-6))
        adam.param_groups[0]["lr"] = (
            learning_rate * min(1, (k + 1) / 300) * min(1, (steps - k) / (0.3 * steps))
        )
        adam.step()
        for key, p in weights.items():
            old = average.get(key, p.detach())  # the first one as it is
            average[key] = 0.999 * old + 0.001 * p.detach()
        losses.append(loss.item())
        norms.append(norm.item())
    now = {key: p.detach().clone() for key, p in weights.items()}
    net.load_state_dict(average, strict=False)
    generator = torch.Generator().manual_seed(1)
    parts = (torch.from_numpy(held_out[:1024]).float() / 127.5 - 1).split(256)
    with torch.no_grad():
        off = [loss_of(part, generator).item() for part in parts]
    return now, average, losses, norms, np.mean(off)


@pytest.mark.parametrize(("name", "channels"), [("fashion", 1), ("natural", 3)])
def test_training_is_what_plain_lines_compute(tmp_path, monkeypatch, name, channels):
    """S19.1: data, flips, noise, loss, clipping, rate, Adam, average and held-out loss.

    Six steps that reach warm-up and decline; the data set comes by its own name and parts.
    """
    rng = np.random.default_rng(3)
    counts = {"train": 40, "test": 1040}
    parts = {
        (of, part): rng.integers(0, 256, (count, c, 8, 8), dtype=np.uint8)
        for of, c in (("fashion", 1), ("natural", 3))
        for part, count in counts.items()
    }
    parts[name, "test"][1024:] = 255  # the first 1,024 are looked at
    monkeypatch.setattr(training, "cifar10", lambda part: parts["natural", part])
    monkeypatch.setattr(training, "fashion_mnist", lambda part: parts["fashion", part])
    monkeypatch.setattr(training, "UNet", _lively)
    settings = TINY | {"checkpoint_minutes": 60.0, "learning_rate": 3.0, "seed": 2}
    settings["widths"] = PAIRED
    weights = training.train(name, tmp_path, total_images=96, **settings)
    now, average, losses, norms, off = _by_hand(
        parts[name, "train"],
        parts[name, "test"],
        channels=channels,
        steps=6,
        learning_rate=3.0,
        seed=2,
    )
    assert max(norms) > 1.2, "no gradient was clipped"
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    exported = load_file(weights)
    for key in now:
        assert largest(now[key] - saved["net"][key]) <= 5e-6
        assert largest(average[key] - saved["average"][f"module.{key}"]) <= 5e-6
        assert torch.equal(exported[key], saved["average"][f"module.{key}"].half())
    _, row = weights.with_suffix(".csv").read_text().splitlines()
    assert [float(word) for word in row.split(",")[:3]] == pytest.approx(
        [96, np.mean(losses), off], abs=2e-5
    )


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


def test_interrupted_training_from_weights_on_enlarged_cuts_continues_too(tmp_path, tiny_data):
    """Which images are enlarged, and how, is a function of (seed, k) as well."""
    _trained(tmp_path / "first", tiny_data, 32)
    changes = {"enlarged": 0.5, "start": load_denoiser("fashion", folder=tmp_path / "first")}
    whole = _trained(tmp_path / "whole", tiny_data, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "batch_indices", _failing_on_call(training.batch_indices, 4))
        with pytest.raises(KeyboardInterrupt):
            _trained(tmp_path / "parts", tiny_data, **changes)
    parts = _trained(tmp_path / "parts", tiny_data, **changes)
    assert parts.read_bytes() == whole.read_bytes()
    assert _losses(parts) == _losses(whole)


def test_share_of_enlarged_images_is_the_one_asked_for(tmp_path, tiny_data, monkeypatch):
    """Of 960 images 30 %, z <= 5; they see all levels; the others are as they were."""
    seen, noised_batch = [], training.noised_batch

    def watched(images, generator):
        if torch.is_grad_enabled():  # a training step, not the validation
            seen.append((images == 9).flatten(1).all(1))
            assert (images[~seen[-1]].abs() <= 1).all()
        return noised_batch(images, generator)

    monkeypatch.setattr(training, "noised_batch", watched)
    monkeypatch.setattr(training, "enlarged_cuts", lambda images, _: torch.full_like(images, 9))
    _trained(tmp_path, tiny_data, total_images=960, enlarged=0.3, checkpoint_minutes=60.0)
    chosen = torch.stack(seen).double()
    assert chosen.shape == (60, 16)
    assert abs(chosen.mean().item() - 0.3) <= 5 * math.sqrt(0.3 * 0.7 / 960)
    assert largest(chosen.mean(0) - 0.3) <= 5 * math.sqrt(0.3 * 0.7 / 60)  # at each level


def test_log_and_card_have_the_loss_on_enlarged_cuts_if_there_were_any(tmp_path, tiny_data):
    """One column and one entry more; the held-out loss on the originals stays where it was."""
    enlarged = _trained(tmp_path / "enlarged", tiny_data, enlarged=0.5)
    plain = _trained(tmp_path / "plain", tiny_data)
    fields = training.LOG_FIELDS
    for weights, names in ((plain, fields), (enlarged, [*fields, training.ENLARGED_FIELD])):
        heading, *_, last = weights.with_suffix(".csv").read_text().splitlines()
        assert heading.split(",") == names
        row = dict(zip(names, map(float, last.split(",")), strict=True))
        card = json.loads(weights.with_suffix(".json").read_text())
        losses = {key: loss for key, loss in card.items() if "loss" in key}
        assert losses == {key: row[key] for key in names if key.startswith("validation_loss")}
    held_out = torch.from_numpy(tiny_data[1]).float() / 127.5 - 1
    cuts = training.enlarged_cuts(held_out, torch.Generator().manual_seed(2))
    # The exported weights are rounded to float16, the loss to 1e-5.
    net = load_denoiser("fashion", folder=tmp_path / "enlarged").net
    assert row["validation_loss"] == pytest.approx(training.validation_loss(net, held_out), 1e-3)
    found = training.validation_loss(net, cuts)
    assert row[training.ENLARGED_FIELD] == pytest.approx(found, 1e-3)


def test_training_starts_from_the_weights_given(tmp_path, tiny_data):
    """With a learning rate of 0 they come out as they went in; the card has their checksum."""
    _trained(tmp_path / "first", tiny_data, 48)
    start = load_denoiser("fashion", folder=tmp_path / "first")
    _trained(tmp_path / "same", tiny_data, 32, learning_rate=0.0, start=start)
    _trained(tmp_path / "other", tiny_data, 32, start=start)
    same, other = (load_denoiser("fashion", folder=tmp_path / run) for run in ("same", "other"))
    weights, kept, moved = (list(of.net.parameters()) for of in (start, same, other))
    assert all(map(torch.equal, weights, kept))
    assert not all(map(torch.equal, weights, moved))
    assert same.card["training"]["start"] == start.card["sha256"]


def test_weights_of_another_network_are_no_start(tmp_path, tiny_data):
    """The message names both networks; nothing is written."""
    with pytest.raises(ValueError, match=r"belong to .*\[48, 64, 96\].* but .*\[8, 16\]"):
        _trained(tmp_path, tiny_data, start=load_denoiser("fashion"))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("enlarged", [-0.1, 1.5, math.nan])
def test_share_that_is_no_share_is_refused(tmp_path, tiny_data, enlarged):
    """Below 0, above 1, not a number."""
    with pytest.raises(ValueError, match=f"from 0 to 1, but was {enlarged:g}"):
        _trained(tmp_path, tiny_data, enlarged=enlarged)


def test_steps_since_the_last_checkpoint_are_repeated_alike(tmp_path, tiny_data):
    """A crash while the third checkpoint is written: the half file is not used, nor left behind."""
    whole = _trained(tmp_path / "whole", tiny_data)
    sync, calls = training.os.fsync, itertools.count()

    def ninth_is_cut_off(file):
        """The first file of the third time that all four are written."""
        if next(calls) == 8:
            os.ftruncate(file, 1000)
            raise KeyboardInterrupt
        sync(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.os, "fsync", ninth_is_cut_off)
        with pytest.raises(KeyboardInterrupt):
            _trained(tmp_path / "parts", tiny_data)
    parts = _trained(tmp_path / "parts", tiny_data)
    assert parts.read_bytes() == whole.read_bytes()
    assert _losses(parts) == _losses(whole)


def test_other_settings_do_not_go_on_with_a_run(tmp_path, tiny_data):
    """A checkpoint of another seed or network is refused, and stays as it was."""
    _trained(tmp_path, tiny_data, total_images=32)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    others = [{"seed": 7}, {"batch": 8}, {"learning_rate": 0.01}, {"widths": (8, 24)}]
    others += [{"enlarged": 0.5}, {"start": load_denoiser("fashion", folder=tmp_path)}]
    for changes in others:
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
    files = [".lock", "checkpoint.pt", "fashion.csv", "fashion.json", "fashion.safetensors"]
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
    x = noise_like(torch.empty(2, 1, 8, 8))
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


# -- what may happen to a run ----------------------------------------------------------------------


def test_an_export_that_was_cut_off_is_made_up_for(tmp_path, tiny_data):
    """Killed between the checkpoint and the export, or within it: old, mixed or missing files."""
    due = {path.name: path.read_bytes() for path in _trained(tmp_path, tiny_data).parent.iterdir()}
    (tmp_path / "fashion.safetensors").unlink()
    (tmp_path / "fashion.json").write_text("{}")
    (tmp_path / "fashion.csv.part").write_text("half")
    _trained(tmp_path, tiny_data)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == due


def test_a_prolonged_run_says_so_in_its_card(tmp_path, tiny_data):
    def training_of(total_images):
        weights = _trained(tmp_path, tiny_data, total_images=total_images)
        card = json.loads(weights.with_suffix(".json").read_text())
        return card["training"]["total_images"], card["training"]["images_seen"]

    assert training_of(64) == (64, 64)
    assert training_of(128) == (128, 128)
    assert training_of(32) == (128, 128), "there was nothing left to do"


def test_two_trainings_in_one_folder_are_refused(tmp_path, tiny_data):
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(OSError, match="Another process trains in"):
        _trained(tmp_path, tiny_data)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]
    _trained(tmp_path, tiny_data, total_images=16)


def test_a_damaged_checkpoint_is_refused_or_does_no_harm(tmp_path, tiny_data):
    """One flipped bit in 40 places: nearly all lie within a checksum, the rest says nothing."""
    checkpoint = _trained(tmp_path, tiny_data, total_images=16).parent / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    state = training._read(checkpoint, "cpu")
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(place) % 8
        checkpoint.write_bytes(bytes(damaged))
        try:
            read = training._read(checkpoint, "cpu")
        except ValueError as error:
            refused += "is damaged, or no checkpoint of ddrm-edu train: " in str(error)
        else:
            same = torch.utils._pytree.tree_map(
                lambda a, b: torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b,
                state,
                read,
            )
            assert all(torch.utils._pytree.tree_leaves(same))
    assert refused >= 20


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"a photograph"], ids=["empty", "cut off", "other"]
)
def test_a_checkpoint_of_something_else_is_refused_and_stays(content, tmp_path, tiny_data):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"no checkpoint of ddrm-edu train: .* Put back a copy"):
        _trained(tmp_path, tiny_data)
    assert (tmp_path / "checkpoint.pt").read_bytes() == content


def test_a_checkpoint_of_another_program_is_refused(tmp_path, tiny_data):
    torch.save({"net": {}, "epoch": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="it has no asked"):
        _trained(tmp_path, tiny_data)


@pytest.mark.parametrize("call", range(1, 5))
def test_a_full_disk_leaves_the_older_files(call, tmp_path, tiny_data, monkeypatch):
    """At the checkpoint, or at one of the three exported files."""
    before = {
        path.name: path.read_bytes()
        for path in _trained(tmp_path, tiny_data, total_images=32).parent.iterdir()
    }
    count = itertools.count()

    def sync(file):
        if next(count) == 2 + call:  # the export of a resumed run comes first, of three files
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.os, "fsync", sync)
    with pytest.raises(OSError, match=r"could not be written .No space left.* Is the disk full"):
        _trained(tmp_path, tiny_data, total_images=48)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = before.keys() - ({"checkpoint.pt"} if call > 1 else set())
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in kept)
    monkeypatch.undo()
    whole = _trained(tmp_path.with_name("whole"), tiny_data, total_images=48)
    assert _trained(tmp_path, tiny_data, total_images=48).read_bytes() == whole.read_bytes()


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path, tiny_data, monkeypatch):
    _trained(tmp_path, tiny_data, total_images=32)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    noised = training.noised_batch

    def no_number(*given):
        x, sigma, v = noised(*given)
        return x, sigma, v * math.nan

    monkeypatch.setattr(training, "noised_batch", no_number)
    with pytest.raises(ValueError, match="the loss is nan, so the weights are lost"):
        _trained(tmp_path, tiny_data)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"total_images": 0}, "total_images must be an integer of at least 1, but was 0"),
        ({"batch": 0}, "batch must be"),
        ({"blocks": -1}, "blocks must be"),
        ({"widths": (0, 8)}, "a width of 0 must be"),
        ({"widths": (12,)}, "multiples of 8"),
        ({"widths": ()}, "widths must be"),
        ({"learning_rate": math.nan}, "learning_rate must be"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_before_anything_is_written(
    changes, words, tmp_path, tiny_data
):
    with pytest.raises(ValueError, match=words):
        _trained(tmp_path / "run", tiny_data, **changes)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_killed_while_it_writes_loses_nothing():
    """Two of the points of ``make kill``: within the checkpoint, and within the export."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(root / "scripts/kill.py"), "--points", "17,29"],
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 of 2 kills lost nothing" in done.stdout, done.stdout + done.stderr

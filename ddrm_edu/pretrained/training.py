"""How the shipped networks were trained: ``ddrm-edu train`` calls :func:`train`.

The loss is the mean squared error of ``v`` (see :mod:`ddrm_edu.denoisers`) on images noised
to a level sigma = tan(angle), the angle uniform in (0, pi/2): a cosine schedule in continuous time.
Every random number of step k is a function of (seed, k) alone, so a run that was stopped,
however rudely, continues as if it had not been.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from ..data import cifar10, fashion_mnist
from ..validation import is_integer
from .unet import GROUPS, LAYOUT, UNet

if TYPE_CHECKING:
    from .loading import PretrainedDenoiser

DATA = {"natural": "CIFAR-10", "fashion": "Fashion-MNIST"}
LOG_FIELDS = ["images", "train_loss", "validation_loss", "images_per_second", "hours"]
ENLARGED_FIELD = "validation_loss_enlarged"  # one more, where cuts were enlarged


def noised_batch(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    r"""Network input, noise level and target of one batch of clean images.

    With :math:`\sigma = \tan\varphi` the variance-preserving image is
    :math:`\cos\varphi\,x_0 + \sin\varphi\,\epsilon` (slide 19) and the target is
    :math:`v = \cos\varphi\,\epsilon - \sin\varphi\,x_0`.

    Returns
    -------
    x, sigma, v : Tensor
        Shapes ``(batch, c, h, w)``, ``(batch,)`` and ``(batch, c, h, w)``.
    """
    batch = len(images)
    # One angle from each of `batch` equal strata: every batch sees all levels.
    u = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    angle = (math.pi / 2 * (0.003 + 0.993 * u)).to(images.device)  # sigma from 0.005 to 159
    eps = torch.randn(images.shape, generator=generator).to(images.device)
    cos, sin = (f(angle)[:, None, None, None] for f in (torch.cos, torch.sin))
    return cos * images + sin * eps, angle.tan(), cos * eps - sin * images


def enlarged_cuts(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random square cut of each image, enlarged bicubically to the size of the image.

    Photographs at their native size are smoother per pixel than small reductions of them; so are
    these cuts, by a factor that is uniform in (1, 4).

    Parameters
    ----------
    images : Tensor
        Shape ``(batch, c, h, w)``, in [-1, 1].

    Returns
    -------
    Tensor
        Of the same shape; clipped to [-1, 1], which bicubic interpolation may leave.
    """
    factor, *place = torch.rand(3, len(images), generator=generator).to(images.device)
    side = 1 / (1 + 3 * factor)  # of the cut, as a share of the image's
    cut = torch.zeros(len(images), 2, 3, device=images.device)
    for axis in range(2):
        cut[:, axis, axis] = side
        cut[:, axis, 2] = (1 - side) * (2 * place[axis] - 1)  # its centre; the image is (-1, 1)
    grid = F.affine_grid(cut, list(images.shape), align_corners=False)
    large = F.grid_sample(images, grid, "bicubic", padding_mode="border", align_corners=False)
    return large.clamp(-1, 1)


def learning_rate_factor(images_seen: int, total: int, batch: int) -> float:
    """Warm-up over 300 steps, then constant, then a straight line to 0 over the last 30 %.

    Up to its last part the schedule does not depend on ``total``: a run can be prolonged
    or shortened while it is under way.
    """
    warm_up = min(1.0, (images_seen / batch + 1) / 300)
    return warm_up * min(1.0, max(0.0, (total - images_seen) / (0.3 * total)))


def train(
    name: str,
    run: Path,
    *,
    total_images: int,
    batch: int = 64,
    learning_rate: float = 1e-3,
    widths: tuple[int, ...] = (64, 96, 128),
    blocks: int = 2,
    seed: int = 0,
    enlarged: float = 0.0,
    start: PretrainedDenoiser | None = None,
    device: str = "cpu",
    checkpoint_minutes: float = 3.0,
    data: tuple[np.ndarray, np.ndarray] | None = None,
    progress: bool = True,
) -> Path:
    """Train (or go on training) one of the two priors and export its weights.

    Parameters
    ----------
    name : {"natural", "fashion"}
        Which data set; see :mod:`ddrm_edu.data`.
    run : Path
        Folder of this run.  If it holds a checkpoint, training continues from there.
    total_images : int
        Images to be seen in all, over all resumed parts of the run.
    enlarged : float
        Probability that an image of a batch is replaced by an enlarged cut of it; see
        :func:`enlarged_cuts`.  The log then has the held-out loss on such cuts as well.
    start : PretrainedDenoiser, optional
        Whose weights a new run begins with, instead of random ones.
    data : pair of uint8 arrays (N, c, h, w), optional
        Training and validation images; by default those of ``name``.

    Returns
    -------
    Path
        The exported ``<name>.safetensors`` (float16, moving average of the weights); beside it
        lie ``<name>.json`` (configuration, sha256) and ``<name>.csv`` (the training log).

    Raises
    ------
    ValueError
        If a number is out of range, if ``start`` is another network than the one asked for, if
        ``run`` holds a checkpoint with other settings or a damaged one, or if the loss is no number
        any more.
    OSError
        If another process trains in ``run``, or a file cannot be written; the older one stays.

    Notes
    -----
    A run may be killed at any moment: a file is whole or not there, and the same call goes on from
    the last checkpoint and writes the exported files anew if they are not those of it.
    """
    from tqdm.auto import tqdm

    if name not in DATA:
        raise ValueError(f"name must be one of {sorted(DATA)}, but was {name!r}.")
    if not 0 <= enlarged <= 1:
        raise ValueError(f"enlarged is a share of the images, from 0 to 1, but was {enlarged:g}.")
    counts = {"total_images": total_images, "batch": batch, "blocks": blocks}
    for what, number in [*counts.items(), *((f"a width of {w!r}", w) for w in widths)]:
        if not is_integer(number) or number < 1:
            raise ValueError(f"{what} must be an integer of at least 1, but was {number!r}.")
    if not widths or any(width % GROUPS for width in widths):
        raise ValueError(
            f"widths must be the channels of each level, multiples of {GROUPS}, but was {widths}."
        )
    if not 0 <= learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a number, not below 0, but was {learning_rate!r}.")
    run = Path(run)
    run.mkdir(parents=True, exist_ok=True)
    with _alone(run):
        fetch = {"natural": cifar10, "fashion": fashion_mnist}[name]
        train_images, validation_images = data or (fetch("train"), fetch("test"))
        pixels = torch.from_numpy(train_images)
        held_out = _to_unit(torch.from_numpy(validation_images[:1024]), device)
        held_out_cuts = enlarged_cuts(held_out, torch.Generator().manual_seed(2))

        torch.manual_seed(seed)
        net = UNet(pixels.shape[1], widths, blocks).to(device, **LAYOUT)
        if start is not None:
            if start.net.config != net.config:
                raise ValueError(
                    f"The weights to start from belong to {start.net.config}, but {net.config} was "
                    "asked for. Ask for the same channels (data), widths and blocks."
                )
            net.load_state_dict(start.net.state_dict())
        average = torch.optim.swa_utils.AveragedModel(
            net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
        )
        averaged = cast(UNet, average.module)
        optimizer = torch.optim.AdamW(net.parameters(), learning_rate, betas=(0.9, 0.99))
        parts: dict[str, Any] = {"net": net, "average": average, "optimizer": optimizer}
        state: dict[str, Any] = {"images": 0, "hours": 0.0, "log": []}
        checkpoint = run / "checkpoint.pt"
        settings: dict[str, Any] = {"batch": batch, "learning_rate": learning_rate, "seed": seed}
        # Named where they are used, so that runs without them have the settings they always had.
        settings |= {"enlarged": enlarged} if enlarged else {}
        settings |= {"start": start.card["sha256"]} if start is not None else {}
        asked = settings | net.config
        if checkpoint.exists():
            saved = _read(checkpoint, device)
            if saved["asked"] != asked:
                raise ValueError(
                    f"{checkpoint} belongs to a run with {saved['asked']}, but now {asked} was "
                    "asked for. Go on with the old settings, or name a new folder."
                )
            for key, part in parts.items():
                part.load_state_dict(saved[key])
            state = saved["state"]
            # The run may have been killed after its checkpoint and before or within its export.
            _export(name, averaged, run, state, settings)

        def keep() -> None:
            elapsed = time.monotonic() - since
            loss = float(torch.stack(losses[-500:]).mean())
            if not math.isfinite(loss):
                raise ValueError(
                    f"After {state['images']:,} images the loss is {loss}, so the weights are "
                    f"lost. Is the learning rate of {learning_rate:g} too high? The last "
                    "checkpoint stays as it was; begin anew in another folder with a lower one."
                )
            state["hours"] += elapsed / 3600
            state["total_images"] = total_images
            row = [
                round(loss, 5),
                round(validation_loss(averaged, held_out), 5),
                round(batch * len(losses) / elapsed, 1),
                round(state["hours"], 4),
            ]
            if enlarged:
                row.append(round(validation_loss(averaged, held_out_cuts), 5))
            state["log"].append([state["images"], *row])
            whole = {key: part.state_dict() for key, part in parts.items()}
            file = io.BytesIO()
            torch.save(whole | {"state": state, "asked": asked}, file)
            _replace({checkpoint: file.getvalue()})
            _export(name, averaged, run, state, settings)

        losses: list[Tensor] = []
        since = time.monotonic()
        bar = tqdm(
            total=total_images,
            initial=state["images"],
            unit="img",
            disable=not progress,
            mininterval=5,
        )
        while state["images"] < total_images:
            step = state["images"] // batch
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_factor(
                    state["images"], total_images, batch
                )
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            images = _to_unit(pixels[batch_indices(len(pixels), batch, step, seed)], device)
            flip = torch.rand(batch, generator=generator) < 0.5
            images[flip] = images[flip].flip(-1)
            if enlarged:
                chosen = torch.rand(batch, generator=generator) < enlarged
                images[chosen] = enlarged_cuts(images, generator)[chosen]
            x, sigma, v = noised_batch(images, generator)
            loss = (net(x.contiguous(**LAYOUT), sigma) - v).square().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(net)
            losses.append(loss.detach())
            state["images"] += batch
            bar.update(batch)
            if (
                time.monotonic() - since > 60 * checkpoint_minutes
                or state["images"] >= total_images
            ):
                keep()
                losses, since = [], time.monotonic()
                bar.set_postfix(validation=state["log"][-1][2])
        bar.close()
        return run / f"{name}.safetensors"


def batch_indices(count: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Indices of batch number ``step``; each epoch is a new permutation, fixed by the seed."""
    first = step * batch
    epochs = range(first // count, (first + batch - 1) // count + 1)
    order = np.concatenate([np.random.default_rng((seed, e)).permutation(count) for e in epochs])
    return order[first - epochs[0] * count :][:batch]


@torch.no_grad()
def validation_loss(net: UNet, images: Tensor) -> float:
    """Mean squared error of ``v`` on held-out images, with the same noise at every call."""
    generator = torch.Generator().manual_seed(1)
    pairs = (noised_batch(part, generator) for part in images.split(256))
    return float(torch.stack([(net(x, s) - v).square().mean() for x, s, v in pairs]).mean())


def _export(
    name: str, net: UNet, folder: Path, state: dict[str, Any], settings: dict[str, Any]
) -> None:
    """Write weights (float16), configuration and log of a network in the form that ships."""
    tensors = {key: t.detach().half().contiguous().cpu() for key, t in net.state_dict().items()}
    weights = save(tensors)
    fields = [*LOG_FIELDS, ENLARGED_FIELD][: len(state["log"][-1])]
    last = dict(zip(fields, state["log"][-1], strict=True))
    card = {
        "name": name,
        "data": DATA[name],
        "network": net.config,
        "training": settings
        | {"total_images": state.get("total_images", state["images"])}
        | {"images_seen": state["images"], "hours": round(state["hours"], 3)},
        **{key: loss for key, loss in last.items() if key.startswith("validation_loss")},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    log = "".join(",".join(map(str, row)) + "\n" for row in [fields, *state["log"]])
    json_card = json.dumps(card, indent=2) + "\n"
    contents = {"safetensors": weights, "json": json_card.encode(), "csv": log.encode()}
    _replace({folder / f"{name}.{suffix}": content for suffix, content in contents.items()})


@contextlib.contextmanager
def _alone(run: Path) -> Iterator[None]:
    """The folder of a run belongs to one process; what a killed one left behind is removed."""
    from filelock import FileLock, Timeout

    lock = FileLock(run / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OSError(
            f"Another process trains in {run}. Wait for it, or name another folder."
        ) from None
    try:
        for part in run.glob("*.part"):
            part.unlink()
        yield
    finally:
        lock.release()


def _read(checkpoint: Path, device: str) -> dict[str, Any]:
    """The checkpoint, after a look at the checksums in it."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is another")
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        missing = {"net", "average", "optimizer", "state", "asked"} - saved.keys()
        if missing:
            raise ValueError(f"it has no {min(missing)}")
    except Exception as error:  # of a file that may hold anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{checkpoint} is damaged, or no checkpoint of ddrm-edu train: {reason}. Put back a "
            "copy, or remove it to begin the run anew; the exported weights beside it are whole."
        ) from error
    return saved


def _replace(contents: dict[Path, bytes]) -> None:
    """Files, each of them whole or as it was; all are written before the first replaces another."""
    parts = {path: path.with_name(path.name + ".part") for path in contents}
    try:
        for path, part in parts.items():
            with open(part, "wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise OSError(
            f"{path} could not be written ({error.strerror or error}); the older file stays as it "
            "was. Is the disk full? With room, the same command goes on from the last checkpoint."
        ) from error
    for path, part in parts.items():
        os.replace(part, path)


def _to_unit(pixels: Tensor, device: str) -> Tensor:
    return pixels.to(device, torch.float32) / 127.5 - 1

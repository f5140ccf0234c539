"""``ddrm-edu evaluate``: from the words of the command line to a folder of results."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..operators.convert import loaded
from ..restoring_files import denoiser_of, device_of
from .grid import Say, grid
from .held_out import held_out
from .running import Rank, run, settings_of
from .scoring import perceptual
from .tables import collected, write_tables


def evaluate(
    images: str,
    out: Path,
    tasks: Sequence[str],
    noises: Sequence[float],
    methods: Sequence[str],
    etas: str,
    steps: Sequence[int],
    *,
    draws: int,
    count: int | None,
    size: int | None,
    chunk: int,
    seed: int,
    model: str,
    device: str,
    lpips: bool,
    only_tables: bool,
    say: Say,
) -> None:
    """Compute what is missing of this process's share, and the tables once nothing is.

    Raises
    ------
    ValueError
        In one sentence, before the run, for whatever cannot be done.
    """
    if only_tables:
        _write(out, say)
        return
    rank = Rank.from_environment(os.environ)
    first = rank.number == 0
    device_of(device)
    if device == "cuda":
        device = f"cuda:{rank.local % torch.cuda.device_count()}"
    truth = held_out(images, count, size)
    if lpips:
        perceptual(truth[:1].clamp(-1, 1), truth[:1].clamp(-1, 1))
    shape = (int(truth.shape[1]), int(truth.shape[2]), int(truth.shape[3]))
    cells = grid(
        tasks, noises, methods, etas.split(","), steps, shape, say if first else lambda line: None
    )
    denoiser, code = _model(model, device)
    channels = getattr(denoiser, "in_channels", None)
    if channels not in (None, shape[0]):
        raise ValueError(
            f"The network {model!r} takes pictures of {channels} channel(s), but {images} have "
            f"{shape[0]}. Take another --model, or other pictures."
        )
    settings = settings_of(
        images, truth, model, code, chunk=chunk, draws=draws, seed=seed, device=device, lpips=lpips
    )
    if first:
        say(f"{len(cells)} cells on {len(truth)} images of shape {shape}, {draws} draw(s) each")
    whole = run(cells, settings, denoiser, truth, out, rank=rank, device=device, say=say)
    if whole:
        _write(out, say if first else lambda line: None)


def _write(out: Path, say: Say) -> None:
    if not (out / "manifest.json").is_file():
        raise ValueError(f"{out} is no folder of an evaluation: it has no manifest.json.")
    if not collected(out)[1]:
        raise ValueError(f"{out} has no cell yet of which all chunks are there. Go on with it.")
    for path in write_tables(out):
        say(f"wrote {path}")


def _model(model: str, device: str) -> tuple[Any, str]:
    """A denoiser, and a text that no other one has: of a file its content's sha256."""
    if ".py:" in model:
        denoiser, module = loaded(model)
        return denoiser, hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    denoiser = denoiser_of(model, device)
    card = getattr(denoiser, "card", None)
    return denoiser, card["sha256"] if card else "unknown"

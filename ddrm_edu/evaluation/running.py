"""The work of an evaluation in chunks that any process can take, stop and go on with.

A cell on a *chunk*, a fixed run of images, is the unit of work: it is computed whole, on one
thread, with noise that belongs to the image, and written by a rename to a file of its own.  So a
unit has the same bits wherever it runs, on processors of one kind; a process that is killed leaves
no half file; and ranks need not talk to each other.  What the numbers depend on stands in
``manifest.json``, and a folder with another manifest is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..baselines import BASELINES
from ..noise import standard_normal
from .grid import Cell, Say, eta_of, method_of, operator_of, restored
from .scoring import scores


class Unit(NamedTuple):
    """A cell on the images ``chunk * size`` to ``(chunk + 1) * size - 1``."""

    cell: Cell
    chunk: int

    @property
    def file(self) -> str:
        return f"{self.cell.stem}.{self.chunk:04d}.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the numbers of every cell depend on; two folders of one manifest have equal bits."""

    images: str  #: where they are from
    images_sha256: str
    count: int
    model: str
    model_sha256: str
    chunk: int
    draws: int
    seed: int
    device: str
    processor: str
    versions: str
    lpips: bool = False


# ------------------------------------------------------------------------------------ one unit


class Counted:
    """A denoiser that counts its evaluations and vector-Jacobian products, for each image."""

    def __init__(self, denoiser: Any, images: int) -> None:
        self._denoiser, self._images = denoiser, images
        self.evaluations, self.vjps = 0.0, 0.0

    def __call__(self, x: Tensor, sigma: Any) -> Tensor:
        share = len(x) / self._images
        self.evaluations += share
        x0_hat = self._denoiser(x, sigma)
        if x0_hat.requires_grad:

            def count(gradient: Tensor) -> None:
                self.vjps += share

            x0_hat.register_hook(count)
        return x0_hat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._denoiser, name)


def noise_of(seed: int, image: int, use: int) -> torch.Generator:
    """The generator of an image's measurement (``use`` 0) or of its draw ``use``: 1, 2, ..."""
    state = np.random.SeedSequence([seed, image, use]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def measured(
    unit: Unit, settings: Settings, denoiser: Any, images: Tensor, device: Any = "cpu"
) -> dict[str, Any]:
    """The numbers of a unit: ``scores`` for each image, and what they cost."""
    cell = unit.cell
    first = unit.chunk * settings.chunk
    truth = images[first : first + settings.chunk]
    numbers = range(first, first + len(truth))
    channels, height, width = truth.shape[1:]
    op = operator_of(cell.task, (channels, height, width))
    y = op(truth)
    z = standard_normal(y, [noise_of(settings.seed, i, 0) for i in numbers])
    y = (y + cell.sigma_y * z).to(device)
    counted = Counted(denoiser, len(truth))
    draws = []
    clock = time.process_time if torch.device(device).type == "cpu" else time.perf_counter
    begin = clock()
    if cell.classical:
        name, options = method_of(cell.method)
        draws.append(BASELINES[name].run(op, y, cell.sigma_y, **options).cpu())
    else:
        rate = eta_of(cell.eta, op)
        for draw in range(1, settings.draws + 1):
            generators = [noise_of(settings.seed, i, draw) for i in numbers]
            x = restored(
                cell.method,
                rate,
                counted,
                op,
                y,
                cell.sigma_y,
                steps=cell.steps,
                generator=generators,
            )
            draws.append(x.cpu())
    seconds = clock() - begin
    runs = len(draws)
    return {
        "cell": cell._asdict(),
        "chunk": unit.chunk,
        "first": first,
        "scores": scores(torch.stack(draws), truth, op, y.cpu(), cell.sigma_y, settings.lpips),
        "evaluations": counted.evaluations / runs,
        "vjps": counted.vjps / runs,
        "seconds": seconds / runs / len(truth),
    }


# ------------------------------------------------------------------------------------- many units


class Rank(NamedTuple):
    """Which of how many processes this is."""

    number: int
    world: int
    local: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Rank:
        """As torchrun tells it (RANK, WORLD_SIZE, LOCAL_RANK), or Slurm, else one process.

        Raises
        ------
        ValueError
            If only one of the two numbers is there, or the rank is not below their number.

        Examples
        --------
        >>> Rank.from_environment({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"})
        Rank(number=2, world=4, local=0)
        """
        for names in (
            ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
            ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
        ):
            number, world, local = (environment.get(name) for name in names)
            if names[0] == "RANK" and (number is None) != (world is None):
                raise ValueError(
                    f"RANK and WORLD_SIZE belong together, but they are {number} and {world}. "
                    "Set both, or neither for one process."
                )
            if number is not None and world is not None:
                rank = cls(int(number), int(world), int(local or 0))
                if not 0 <= rank.number < rank.world:
                    raise ValueError(f"{names[0]} must be below {names[1]}, but they are {rank}.")
                return rank
        return cls(0, 1)


def units(cells: Collection[Cell], settings: Settings) -> list[Unit]:
    chunks = math.ceil(settings.count / settings.chunk)
    return [Unit(cell, chunk) for cell in cells for chunk in range(chunks)]


def settings_of(
    source: str,
    images: Tensor,
    model: str,
    model_sha256: str,
    *,
    chunk: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    lpips: bool = False,
) -> Settings:
    if chunk < 1 or draws < 1:
        raise ValueError(f"--chunk and --draws must be positive, but were {chunk} and {draws}.")
    kind = torch.device(device).type
    name = (
        torch.cuda.get_device_name() if kind == "cuda" else torch.backends.cpu.get_cpu_capability()
    )
    return Settings(
        images=Path(source).name if Path(source).is_dir() else source,
        images_sha256=hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16],
        count=len(images),
        model=model,
        model_sha256=model_sha256[:16],
        chunk=chunk,
        draws=draws,
        seed=seed,
        device=kind,
        processor=f"{platform.machine()} {name}",
        versions=f"ddrm_edu {__version__}, torch {torch.__version__}",
        lpips=lpips,
    )


def claim(folder: Path, settings: Settings) -> None:
    """Make the folder and its manifest, or find the same one there.

    Raises
    ------
    ValueError
        For a folder of other settings, and for one that is not empty and has no manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.json"
    mine = asdict(settings)
    if not manifest.exists():
        if strangers := sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")):
            if not manifest.exists():
                raise ValueError(
                    f"--out expects a new folder or one of an evaluation, but {folder} holds "
                    f"{strangers[0]} and no manifest.json. Give another folder."
                )
        else:
            write_whole(manifest, json.dumps(mine, indent=2) + "\n", new=True)
    there = json.loads(manifest.read_text())
    differing = [name for name in {**mine, **there} if mine.get(name) != there.get(name)]
    if differing:
        told = "; ".join(f"{n} is {mine.get(n)!r}, was {there.get(n)!r}" for n in differing)
        raise ValueError(
            f"{folder} holds an evaluation with other settings, and nothing is overwritten: "
            f"{told}. Give another --out, or the settings it was begun with."
        )
    (folder / "chunks").mkdir(exist_ok=True)


def write_whole(path: Path, text: str, *, new: bool = False) -> None:
    """Whole or not at all; ``new`` leaves a file of this name as it is."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)  # as any file; a temporary one is its owner's only
        if new:
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
        else:
            os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def stored(folder: Path, unit: Unit) -> dict[str, Any] | None:
    """What a unit's file holds; None where it is not there, or not whole (a disk that was full)."""
    try:
        return json.loads((folder / "chunks" / unit.file).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def run(
    cells: Sequence[Cell],
    settings: Settings,
    denoiser: Any,
    images: Tensor,
    folder: Path,
    *,
    rank: Rank = Rank(0, 1),  # noqa: B008  an immutable tuple
    device: Any = "cpu",
    progress: bool = True,
    say: Say = lambda line: None,
) -> bool:
    """Compute this rank's units that are not there yet; True if all units of all ranks are.

    Units go to ranks in turn, so that ranks do not depend on each other; those of a rank that was
    lost are computed when it, or any other number of processes, is started again.
    """
    claim(folder, settings)
    everything = units(cells, settings)
    mine = everything[rank.number :: rank.world]
    missing = [unit for unit in mine if stored(folder, unit) is None]
    if len(missing) < len(mine):
        say(f"{len(mine) - len(missing)} of {len(mine)} chunks are there already")
    with _one_thread(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*leaves the range.*")  # noise does
        for unit in _bar(missing, rank, progress):
            found = measured(unit, settings, denoiser, images, device)
            write_whole(folder / "chunks" / unit.file, json.dumps(found))
    left = sum(stored(folder, unit) is None for unit in everything)
    if left:
        say(
            f"{left} of {len(everything)} chunks are not there yet: other processes are at work, "
            "or were lost; the same command, with any number of processes, computes what is missing"
        )
    return not left


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _bar(missing: Sequence[Unit], rank: Rank, progress: bool) -> Any:
    from tqdm.auto import tqdm

    name = f"rank {rank.number}" if rank.world > 1 else "evaluate"
    return tqdm(missing, desc=name, unit="chunk", position=rank.local, disable=not progress)

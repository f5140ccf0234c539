"""What the scripts of this folder share: taking turns, memory, tables, the machine's name."""

from __future__ import annotations

import csv
import importlib
import math
import platform
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from memory import peak_bytes  # noqa: E402  the meter of the memory tests
from peers.source import stand_in_for_torchvision  # noqa: E402

RESULTS = Path(__file__).parent / "results"
LEAST = 2e-3  # seconds; a call that takes less is repeated

in_folder = click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
on_device = click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
beside = click.option(
    "--official",
    type=click.Path(exists=True, path_type=Path),
    help="Checkout of the authors' code (github.com/bahjat-kawar/ddrm).",
)


def seconds(
    calls: Mapping[str, Callable[[], Any]], rounds: int, device: str = "cpu"
) -> dict[str, float]:
    """Shortest time of each call; they take turns, so that all meet the same neighbours.

    On the CPU it is the processor's time, which leaves out what other programs take from a shared
    machine; on another device the time until its work is done.
    """
    clock = time.process_time if device == "cpu" else _waiting_clock
    timers = {name: timeit.Timer(call, timer=clock) for name, call in calls.items()}
    repeats = {}
    for name, timer in timers.items():
        timer.timeit(1)
        repeats[name] = max(1, int(LEAST / timer.timeit(1)))
    shortest = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for name, timer in timers.items():
            shortest[name] = min(shortest[name], timer.timeit(repeats[name]) / repeats[name])
    return shortest


def _waiting_clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def peak(work: Callable[[], Any], device: str = "cpu") -> int:
    """Bytes alive at the peak of a call, without what was there before."""
    if device == "cpu":
        return peak_bytes(work)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() - before


def machine(device: str = "cpu") -> str:
    """The name of the processor or the device, and the version of torch."""
    if device != "cpu":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def imported(name: str) -> ModuleType | None:
    """A module, or None where it is not installed."""
    stand_in_for_torchvision()
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def table(rows: list[dict[str, Any]]) -> str:
    """A table of Markdown; numbers with three digits."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """All rows, with the columns of any of them."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{v:.4g}" if isinstance(v, float) else v for key, v in row.items()}
            for row in rows
        )


class Continued:
    """Rows of a CSV file, each written as soon as it is there; a file that is there is continued.

    Parameters
    ----------
    path : Path
    columns, numbers : list of str
        What tells rows apart, and what they hold, with six digits.
    """

    def __init__(self, path: Path, columns: list[str], numbers: list[str]) -> None:
        self.path, self.columns, self.numbers = path, columns, numbers
        self.rows: dict[tuple[str, ...], dict[str, str]] = {}
        if path.exists():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    self.rows[tuple(row[name] for name in columns)] = row

    def add(self, key: tuple[str, ...], numbers: Mapping[str, float]) -> None:
        row = dict(zip(self.columns, key, strict=True))
        row |= {name: f"{numbers[name]:.6g}" for name in self.numbers}
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self.columns + self.numbers)
            if not self.rows:
                writer.writeheader()
            writer.writerow(row)
        self.rows[key] = row


def written(text: str, out: Path, name: str) -> None:
    """A page of results, which is printed as well."""
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(text)
    click.echo(text)

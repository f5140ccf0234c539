"""How many threads are worth it, and how those that wait should wait.

    python benchmarks/threads.py

Time of one call of the shipped network for 1, 8 and 64 images of 32 x 32 pixels, with one thread
and with two, and for two under each OMP_WAIT_POLICY: a process each, which take turns.  Writes
``benchmarks/results/threads.md``.  It measures by the clock on the wall, since threads that wait
busily cost processor time but none of the user's: so it says something on a quiet machine only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click
import torch
from measuring import in_folder, machine, table, written

from ddrm_edu import load_denoiser

BATCHES = (1, 8, 64)
SETTINGS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 threads, passive": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    "2 threads, active": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"},
}


def shortest(batch: int, calls: int) -> float:
    """Milliseconds of the quickest of several calls."""
    denoiser, x, best = load_denoiser("natural"), torch.zeros(batch, 3, 32, 32), float("inf")
    for _ in range(calls):
        start = time.perf_counter()
        denoiser(x, 1.0)
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def measured(setting: dict[str, str]) -> list[float]:
    """The times of all batches in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    command = [sys.executable, __file__, "--here"]
    run = subprocess.run(
        command, check=True, env=plain | setting, stdout=subprocess.PIPE, text=True
    )
    return [float(word) for word in run.stdout.split()]


@click.command()
@click.option("--rounds", default=3, help="Times each process takes its turn.")
@click.option("--here", is_flag=True, hidden=True)
@in_folder
def main(rounds: int, here: bool, out: Path) -> None:
    """Measure the table."""
    if here:
        click.echo(" ".join(str(shortest(batch, 200 // batch + 3)) for batch in BATCHES))
        return
    turns = [{name: measured(each) for name, each in SETTINGS.items()} for _ in range(rounds)]
    rows = []
    for name in SETTINGS:
        times = [min(column) for column in zip(*(turn[name] for turn in turns), strict=True)]
        rows.append({"": name} | {f"batch {b}, ms": t for b, t in zip(BATCHES, times, strict=True)})
    head = (
        f"{machine()}, {os.cpu_count()} cores. One call of the shipped network;\nshortest times by "
        f"the clock on the wall, of {rounds} processes each, in turn.\n\n"
    )
    written(head + table(rows), out, "threads.md")


if __name__ == "__main__":
    main()

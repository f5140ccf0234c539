"""Several processes share an evaluation: how much faster it is, and what a kill loses.

    python benchmarks/ranks.py [--ranks 2] [--kills 20]

Writes ``benchmarks/results/ranks.md``.  Speed: seconds until the chunks of one evaluation are all
there, by one process and by several, of one thread each and without the time in which they start;
it needs as many quiet cores.  Kills: one of the ranks is killed at a random time, again and again,
and started anew; then every chunk must be there once, and the table be that of one process, bit for
bit.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from measuring import RESULTS, ROOT, machine, written

WORDS = ["natural", "--task", "inpaint:0.5", "--task", "superres:2", "--sigma-y", "0.05"]
WORDS += ["--method", "ddrm", "--method", "moment-matching"]


def start(folder: Path, rank: int, world: int, *more: str) -> subprocess.Popen[bytes]:
    """One rank, as torchrun would start it."""
    words = [sys.executable, "-m", "ddrm_edu", "evaluate", *WORDS, *more, "-o", str(folder)]
    told = {"RANK": str(rank), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(words, env={**os.environ, **told}, cwd=ROOT, **quiet)


def seconds(world: int, *more: str) -> tuple[float, bytes]:
    """From the first chunk to the last, and the table of images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        ranks = [start(folder, rank, world, *more) for rank in range(world)]
        for rank in ranks:
            if rank.wait():
                raise RuntimeError(f"a rank ended with status {rank.returncode}")
        stamps = sorted(path.stat().st_mtime for path in (folder / "chunks").glob("*.json"))
        # Each rank's first chunk ends one chunk after its start: the others are what is timed.
        return stamps[-1] - stamps[world - 1], (folder / "images.csv").read_bytes()


def killed(world: int, kills: int, *more: str) -> tuple[bytes, int]:
    """The table of images after so many kills of ranks, and how many chunks were there then."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        ranks = {rank: start(folder, rank, world, *more) for rank in range(world)}
        found = 0
        for _ in range(kills):
            time.sleep(rng.uniform(0.5, 8.0))
            rank = rng.randrange(world)
            ranks[rank].kill()
            ranks[rank].wait()
            found = len(list((folder / "chunks").glob("*.json")))
            ranks[rank] = start(folder, rank, world, *more)
        for process in ranks.values():
            process.wait()
        start(folder, 0, 1, *more).wait()  # writes the tables, should the last rank be lost
        return (folder / "images.csv").read_bytes(), found


@click.command(help=__doc__)
@click.option("--ranks", default=2, show_default=True)
@click.option("--kills", default=20, show_default=True)
@click.option("--count", default=32, show_default=True, help="Images.")
@click.option("--chunk", default=4, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path))
def main(ranks: int, kills: int, count: int, chunk: int, rounds: int, out: Path) -> None:
    size = ["--count", str(count), "--chunk", str(chunk)]
    lines = ["# An evaluation by several processes", "", machine() + ".", ""]
    alone, table = seconds(1, *size) if rounds else (0.0, b"")
    if rounds:
        pairs = [(seconds(1, *size), seconds(ranks, *size)) for _ in range(rounds)]
        one, several = (min(pair[place][0] for pair in pairs) for place in (0, 1))
        equal = all(found == table for pair in pairs for _, found in pair)
        lines += [
            f"{count} images in chunks of {chunk}, the shortest of {rounds} runs: one process "
            f"{min(one, alone):.1f} s, {ranks} processes {several:.1f} s, "
            f"{min(one, alone) / several:.2f} times as fast. The tables of images are "
            f"{'equal' if equal else 'NOT EQUAL'}, bit for bit.",
            "",
        ]
    if kills:
        found, there = killed(ranks, kills, *size, "--steps", "5")
        _, want = seconds(1, *size, "--steps", "5")
        lines += [
            f"{kills} kills of one of {ranks} ranks at random times ({there} chunks were there at "
            f"the last): the table is {'equal' if found == want else 'NOT EQUAL'} to that of one "
            "process that nobody killed, bit for bit.",
            "",
        ]
    written("\n".join(lines), out, "ranks.md")


if __name__ == "__main__":
    main()

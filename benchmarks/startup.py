"""How long it takes until something happens: processor time of new processes beside bare torch.

    python benchmarks/startup.py

Writes ``benchmarks/results/startup.md``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
from measuring import in_folder, machine, table, written

PROGRAMS = {
    "import torch": ["-c", "import torch"],
    "import ddrm_edu": ["-c", "import ddrm_edu"],
    "ddrm-edu --help": ["-m", "ddrm_edu", "--help"],
    "the names that restore an image": [
        "-c",
        "from ddrm_edu import Inpainting, load_denoiser, restore",
    ],
    "the shipped network": ["-c", "import ddrm_edu; ddrm_edu.load_denoiser()"],
}


def processor_seconds(arguments: list[str]) -> float:
    """Of one new process of Python, in which torch uses one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--rounds", default=5, help="Times each program takes its turn.")
@in_folder
def main(rounds: int, out: Path) -> None:
    """Measure the table."""
    turns = [
        {name: processor_seconds(each) for name, each in PROGRAMS.items()}
        for _ in range(rounds + 1)  # the first fills the caches and does not count
    ]
    shortest = {name: min(turn[name] for turn in turns[1:]) for name in PROGRAMS}
    bare = shortest["import torch"]
    rows = [
        {"a process that runs": name, "s": time, "in multiples of torch": time / bare}
        for name, time in shortest.items()
    ]
    head = (
        f"{machine()}. Processor time of a new process,\nthe shortest of {rounds} taken in turn, "
        "files in the cache of the system.\n\n"
    )
    written(head + table(rows), out, "startup.md")


if __name__ == "__main__":
    main()

"""Kill a training between every two steps of its writing, go on, and compare (``make kill``).

    python scripts/kill.py [--points 0,7,12] [--out FILE.md]

A tiny run is killed (SIGKILL) in place of each operation that changes a file: the creation of a
file, half of a write, the end of a write, a replacement, a removal.  The same call then goes on,
and its weights and losses must be those of a run that was never killed; a second call changes
nothing.  One table, and exit status 1 if a kill has lost, doubled or changed anything.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ddrm_edu.pretrained import load_denoiser, training

IMAGES = np.random.default_rng(0).integers(0, 256, (80, 1, 8, 8), dtype=np.uint8)
TINY = {"batch": 16, "widths": (8, 16), "blocks": 1, "progress": False, "checkpoint_minutes": 0.0}


def run(folder: Path) -> None:
    """Three steps with a checkpoint after each."""
    data = (IMAGES[:64], IMAGES[64:])
    training.train("fashion", folder, total_images=48, data=data, **TINY)


class Operations:
    """Counts what changes a file in a folder; before operation ``point`` the process dies."""

    def __init__(self, folder: Path, point: int | None) -> None:
        self.folder, self.point, self.log = str(folder), point, []

    def now(self, what: str, path: Any) -> None:
        if not str(path).startswith(self.folder) or str(path).endswith(".lock"):
            return
        if len(self.log) == self.point:
            os.kill(os.getpid(), signal.SIGKILL)
        self.log.append(f"{what} {Path(path).name}")

    def __enter__(self) -> Operations:
        replace, unlink, plain_open = os.replace, Path.unlink, builtins.open

        def replaced(source: Any, target: Any) -> None:
            self.now("replace", target)
            replace(source, target)

        def removed(path: Path, missing_ok: bool = False) -> None:
            self.now("remove", path)
            unlink(path, missing_ok)

        def opened(path: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            if "w" not in mode:
                return plain_open(path, mode, *more, **options)
            self.now("create", path)
            file = plain_open(path, mode, *more, **options)
            write = file.write

            class File:
                """The file, which is written in two halves."""

                def __getattr__(_, name: str) -> Any:
                    return getattr(file, name)

                def __enter__(_) -> Any:
                    return _

                def __exit__(_, *error: Any) -> None:
                    file.close()

                def write(_, content: bytes) -> None:
                    for part in (content[: len(content) // 2], content[len(content) // 2 :]):
                        self.now("write to", path)
                        write(part)
                        file.flush()

            return File()

        os.replace, Path.unlink = replaced, removed
        vars(training)["open"] = opened
        return self

    def __exit__(self, *error: Any) -> None:
        """The patched process ends soon."""


def in_child(work: Callable[[], Any]) -> int:
    """Signal that ended a child process that does the work, 0 if it came to its end."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise click.ClickException("A run ended with an exception; its message stands above.")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def operations(folder: Path) -> list[str]:
    """All of an undisturbed run, in order."""
    path = folder.with_suffix(".operations")

    def work() -> None:
        with Operations(folder, None) as found:
            run(folder)
        path.write_text(json.dumps(found.log))

    in_child(work)
    return json.loads(path.read_text())


def killed_before(folder: Path, point: int) -> None:
    with Operations(folder, point):
        run(folder)


def result(folder: Path) -> tuple[bytes, list[list[str]]]:
    """Weights, and images and losses of the log; hours and speeds differ from run to run."""
    log = (folder / "fashion.csv").read_text().splitlines()
    return (folder / "fashion.safetensors").read_bytes(), [row.split(",")[:3] for row in log]


def fault(folder: Path, point: int, due: tuple[bytes, list[list[str]]]) -> str:
    """What went wrong, or nothing."""
    if in_child(lambda: killed_before(folder, point)) != signal.SIGKILL:
        return "it was not killed"
    in_child(lambda: run(folder))
    if result(folder) != due:
        return "weights or losses differ from those of the whole run"
    load_denoiser("fashion", folder=folder)  # whose checksum is compared
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    in_child(lambda: run(folder))
    if before != {path.name: path.read_bytes() for path in folder.iterdir()}:
        return "a second call changed files"
    if any(name.endswith(".part") for name in before):
        return "parts of files are left"
    return ""


@click.command(help=__doc__)
@click.option("--points", help="Numbers of operations with commas; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table there as well.")
def main(points: str | None, out: Path | None) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name, "whole")
        names = operations(whole)
        due, lines, lost = result(whole), ["| killed before | result |", "|---|---|"], 0
        chosen = map(int, points.split(",")) if points else range(len(names))
        for point in chosen:
            wrong = fault(Path(name, f"run-{point}"), point, due)
            lost += bool(wrong)
            lines.append(f"| {point}: {names[point]} | {wrong or 'nothing lost'} |")
        count = len(lines) - 2
    text = "\n".join([*lines, "", f"{count - lost} of {count} kills lost nothing."]) + "\n"
    click.echo(text)
    if out:
        out.write_text(text)
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()

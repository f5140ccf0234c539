"""Run notebooks, two at a time, each in a kernel of its own.

Each has a process of its own, too: two clients in two threads of one process did not come to an
end now and then, with kernels that had nothing to do, and why is not known.  (Threads share a
garbage collector, which may close the sockets of the one in the thread of the other.)  A kernel at
sockets in a folder needs no free ports, for which all kernels of a machine compete.  A cell that
does not end within its time is an error that names it, so a lost kernel is not waited for.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm
from traitlets.config import Config


def execute(notebook: nbformat.NotebookNode, folder: Path, seconds: int = 300) -> None:
    """Run all cells in ``folder``, each within ``seconds``; the notebook gets their outputs."""
    with TemporaryDirectory(prefix="kernel-") as sockets:
        at = Config()
        at.KernelManager.transport = "ipc"
        at.KernelManager.ip = f"{sockets}/k"
        NotebookClient(
            notebook,
            config=at,
            timeout=seconds,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        ).execute()


def two_at_a_time(work: Callable[[Path], Any], paths: Sequence[Path]) -> list[Any]:
    """What ``work``, a function of a module, gives for each path."""
    processes = multiprocessing.get_context("forkserver")
    with processes.Pool(2, maxtasksperchild=1) as pool:
        return list(tqdm(pool.imap(work, paths), total=len(paths)))

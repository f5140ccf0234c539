"""Run notebooks, two at a time, each in a kernel of its own, without losing a kernel's reply.

nbclient 0.11 (``output_widget.py``, line 63) answers a slider by a message to the kernel while it
waits for the kernel's reply on the same socket.  jupyter_client 8.10 (``session.py``, line 821)
sends around pyzmq's asyncio layer, and such a send may swallow the wake-up for a reply that
has just arrived: the reply is there, the kernel has nothing to do, and the client sleeps until the
time of the cell is over, or for ever.  So `Manager` makes clients that look again every second.

Client and kernel talk over sockets in a folder of their own, which nobody else may enter.  Ports of
the network, the default, are open to every user of the machine, and each kernel warns of that.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from tqdm import tqdm
from traitlets import Type, default

LOOK = 1.0  # seconds
LONGEST = 70  # characters of the folder of a socket, whose name has about 100 in all


class Channel(AsyncZMQSocketChannel):
    """A channel on which no message waits for longer than a second."""

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        """The next message, or `queue.Empty` after ``timeout`` seconds."""
        last = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = last - time.monotonic()
            try:
                return await super().get_msg(timeout=max(0.0, min(LOOK, left)))
            except Empty:
                if left <= LOOK:
                    raise


class Client(AsyncKernelClient):
    """A client of a kernel with such channels."""

    shell_channel_class = Type(Channel)
    iopub_channel_class = Type(Channel)


class Manager(AsyncKernelManager):
    """For nbclient and nbconvert: ``kernel_manager_class=kernels.Manager``."""

    @default("client_factory")
    def _client_factory_default(self) -> type[Client]:
        return Client

    @default("transport")
    def _transport_default(self) -> str:
        return "tcp" if sys.platform == "win32" else "ipc"

    @default("connection_file")
    def _connection_file_default(self) -> str:
        """In a new folder, where the sockets will lie too; it goes with the manager."""
        short = None if len(tempfile.gettempdir()) <= LONGEST else "/tmp"
        folder = tempfile.mkdtemp(prefix="kernel-", dir=short)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return str(Path(folder) / "kernel.json")


def execute(
    notebook: nbformat.NotebookNode, folder: Path, seconds: int = 300, *, allow_errors: bool = False
) -> None:
    """Run all cells in ``folder``, each within ``seconds``; the notebook gets their outputs.

    With ``allow_errors`` a cell that raises does not stop the rest.
    """
    NotebookClient(
        notebook,
        kernel_manager_class=Manager,
        timeout=seconds,
        allow_errors=allow_errors,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def two_at_a_time(work: Callable[[Path], Any], paths: Sequence[Path]) -> list[Any]:
    """What ``work`` gives for each path."""
    with ThreadPoolExecutor(2) as pool:
        return list(tqdm(pool.map(work, paths), total=len(paths)))

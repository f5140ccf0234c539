"""Run a notebook in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(notebook: nbformat.NotebookNode, folder: Path, seconds: int = 600) -> None:
    """Run all cells in ``folder``; outputs are stored in the notebook."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        notebook,
        timeout=seconds,
        record_timing=False,
        resources=resources,
        shutdown_kernel="immediate",
    ).execute()

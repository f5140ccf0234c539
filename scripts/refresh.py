"""Run notebooks from top to bottom and store their new outputs, without times and widget states.

python scripts/refresh.py lectures/07_the_theorem.ipynb ...
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

WIDGET = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> None:
    """Execute one notebook in its folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, record_timing=False, resources=folder).execute()
    notebook.metadata.pop("widgets", None)  # a slider without a kernel moves nothing
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    paths = [Path(name) for name in sys.argv[1:]]
    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(refresh, paths), total=len(paths)))

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
    # A slider without a kernel is a line of raw text; the version of Python is nobody's difference.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            cell.outputs = _joined(kept)
    nbformat.write(notebook, path)


def _joined(outputs: list) -> list:
    """Pieces of one stream as one output: where a kernel cuts it is chance."""
    whole = []
    for output in outputs:
        streams = output.output_type == "stream" and whole and whole[-1].output_type == "stream"
        if streams and whole[-1].name == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


if __name__ == "__main__":
    paths = [Path(name) for name in sys.argv[1:]]
    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(refresh, paths), total=len(paths)))

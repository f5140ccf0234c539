"""Run notebooks from top to bottom and store their new outputs, without times and widget states.

python scripts/refresh.py lectures/07a_the_theorem.ipynb ...
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from kernels import execute, two_at_a_time

WIDGET = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> None:
    """Execute one notebook in its folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path.parent)
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
    two_at_a_time(refresh, [Path(name) for name in sys.argv[1:]])

"""Colours, panels and the way a figure is shown: the same in every lecture."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = ["ACCENT", "CASES", "CONTRAST", "INK", "MUTED", "THIRD", "panels", "show"]

# Okabe and Ito's colours, which colour-blind readers can tell apart; their greys differ too.
INK, MUTED = "#1b1b1b", "#6f6f6f"
ACCENT, CONTRAST, THIRD = "#0072b2", "#e69f00", "#009e73"

#: The three cases of slide 11, in every figure: colour, line style and marker say the same.
CASES = {
    1: {"color": ACCENT, "ls": "-", "marker": "o"},
    2: {"color": CONTRAST, "ls": "--", "marker": "s"},
    3: {"color": THIRD, "ls": ":", "marker": "^"},
}


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 4.2, height: float = 3.0, **options
) -> tuple[Figure, np.ndarray]:
    """A figure and its array (rows, columns) of axes, without the upper and the right frame.

    ``width`` and ``height`` are those of one panel in inches; ``options`` go to ``plt.subplots``.
    """
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        squeeze=False,
        layout="constrained",
        **options,
    )
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def show(figure: Figure, name: str, alt: str) -> None:
    """Show a figure in the notebook with a description for those who cannot see it, and close it.

    It is also written as ``NAME.png`` into the folder ``$DDRM_EDU_FIGURES`` if that is set, so
    that a lecture changes the repository's figures only where it is asked to: ``make figures``.

    Parameters
    ----------
    figure : Figure
    name : str
        ``NN_what_it_shows``, NN the lecture.
    alt : str
        One or two sentences: what is drawn, and what is to be seen in it.
    """
    if folder := os.environ.get("DDRM_EDU_FIGURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        metadata = {"Software": None, "Description": alt}
        figure.savefig(Path(folder) / f"{name}.png", dpi=160, metadata=metadata)
    from IPython.display import display

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
    data = {"image/png": picture.getvalue(), "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)

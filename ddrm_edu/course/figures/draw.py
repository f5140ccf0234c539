"""What the figures are drawn with: panels, curves, notes, images, and the way one is shown."""

from __future__ import annotations

import base64
import functools
import html
import inspect
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from ddrm_edu.pictures import axes_grid, draw_image

from .style import INK, LINES, MUTED, Look

Array = np.ndarray | Tensor
Pair = tuple[Array, Array]  # x and y, or mean and covariance
Curves = Mapping[str, Array]  # by names, as the next two
Pairs = Mapping[str, Pair]
Images = Mapping[str, Tensor]
T = TypeVar("T")
DPI = 150  # of figures in a notebook


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 4.2, height: float = 3.0, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its array (rows, columns) of axes, without the upper and the right frame.

    ``width`` and ``height`` are those of one panel in inches; ``options`` go to ``plt.subplots``.
    """
    figure, axes = axes_grid(rows, columns, (width * columns, height * rows), **options)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panel(*, width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, and its axes."""
    figure, axes = panels(width=width, height=height)
    return figure, axes[0, 0]


def titled(axes: Iterable[Axes], contents: Mapping[str, T]) -> Iterator[tuple[Axes, T]]:
    """Each of the axes with what is to be drawn into it, under its title."""
    for ax, (title, content) in zip(axes, contents.items(), strict=True):
        ax.set_title(title, fontsize=10, color=INK)
        yield ax, content


def curves(
    ax: Axes, x: Any, values: Mapping[str, Any], lines: Sequence[Look] = LINES, **style: Any
) -> None:
    """One line for each name, the first of the looks for the first; values may end before x."""
    for (name, y), look in zip(values.items(), lines[: len(values)], strict=True):
        ax.plot(x[: len(y)], y, label=name, **{**look, **style})


def note(ax: Axes, text: str, at: Any, offset: tuple[float, float] = (0, 0), **style: Any) -> None:
    """Text beside a point of the data, ``offset`` in points of a printer."""
    ax.annotate(text, at, offset, textcoords="offset points", **style)


def ticks(ax: Axes, *, x: Sequence[Any] = (), y: Sequence[Any] = (), form: str = "g") -> None:
    """Ticks at these values of a logarithmic axis and nowhere else, written as plain numbers."""
    if len(x):
        ax.set_xticks(x, [format(float(value), form) for value in x])
    if len(y):
        ax.set_yticks(y, [format(float(value), form) for value in y])
    ax.minorticks_off()


def spaced(figure: Figure, **spacing: Any) -> None:
    """Change how far the panels are apart: ``h_pad``, ``wspace`` ... as matplotlib names them."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(**spacing)


def legend(figure: Figure, ax: Axes, columns: int, where: str = "lower", **style: Any) -> None:
    """One legend for all panels, below or above ("upper") them: that of one of the panels."""
    handles, labels = ax.get_legend_handles_labels()
    style = {"loc": f"outside {where} center", "ncols": columns, "frameon": False, **style}
    figure.legend(handles, labels, **style)


def unmeasured(ax: Axes, first: float, last: float, **style: Any) -> None:
    """Hatch the places on the x axis where nothing was measured."""
    ax.axvspan(first, last, fc="#f2f2f2", ec="#cfcfcf", hatch="///", zorder=0, **style)


def ellipse(mean: ArrayLike, cov: ArrayLike, deviations: float = 1.0) -> np.ndarray:
    """Outline (2, 200) of N(mean, cov) in the plane; the covariance may be singular."""
    (a, b), (_, c) = np.asarray(cov, dtype=float)
    root = np.array([[a**0.5, 0.0], [b / a**0.5, max(c - b**2 / a, 0.0) ** 0.5]])  # Cholesky's
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = deviations * np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(mean, dtype=float)[:, None] + root @ circle


def heat_map(
    ax: Axes,
    matrix: ArrayLike,
    text: Callable[[float], str],
    white: ArrayLike,
    *,
    fontsize: float = 8,
    **options: Any,
) -> AxesImage:
    """A matrix (m, n) as colours with its numbers in them; ``options`` go to ``imshow``.

    ``text`` says what is written for a value, ``white`` (m, n) where it must be white to be read.
    """
    picture = ax.imshow(np.asarray(matrix), **options)
    place: Look = {"ha": "center", "va": "center", "fontsize": fontsize}
    for (i, j), value in np.ndenumerate(np.asarray(matrix)):
        ax.text(j, i, text(value), color="w" if np.asarray(white)[i, j] else INK, **place)
    return picture


def matrix_ticks(ax: Axes, labels: Sequence[object]) -> None:
    """The same label for each row and each column of a matrix."""
    names = [str(label) for label in labels]
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)


def frameless(ax: Axes) -> None:
    """Take the frame and the ticks away, but not their labels."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def matrix(ax: Axes, matrix: ArrayLike, title: str, blocks: tuple[int, int] | None = None) -> None:
    """Draw a matrix with white for 0, blue above it and red below, and lines between blocks."""
    entries = np.asarray(matrix, dtype=float)
    rows, columns = entries.shape
    scale = np.abs(entries).max()
    ax.imshow(entries, cmap="RdBu", vmin=-scale, vmax=scale, interpolation="nearest")
    if blocks:
        for place in range(blocks[0], rows, blocks[0]):
            ax.axhline(place - 0.5, color=MUTED, lw=0.5)
        for place in range(blocks[1], columns, blocks[1]):
            ax.axvline(place - 0.5, color=MUTED, lw=0.5)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10, color=INK)
    ax.set_xlabel(rf"${rows}\times{columns}$", fontsize=8.5, color=MUTED, labelpad=2)
    ax.spines[:].set(visible=True, color=MUTED, linewidth=0.8)


def image_rows(
    rows: Mapping[str, Iterable[Tensor]], titles: Sequence[str], size: tuple[float, float]
) -> tuple[Figure, np.ndarray]:
    """Images (c, h, w) in rows that have names and columns that have titles; ``size`` in inches."""
    figure, axes = axes_grid(len(rows), len(titles), size)
    for i, (name, images) in enumerate(rows.items()):
        for ax, image, title in zip(axes[i], images, titles, strict=True):
            draw_image(ax, image, "" if i else title)
        axes[i, 0].set_ylabel(name, fontsize=10, color=INK)
    return figure, axes


def in_use(axes: Iterable[Axes], number: int) -> list[Axes]:
    """The first ``number`` of the axes; those that are left stay empty."""
    axes = list(axes)  # an iterator could be read only once
    for ax in axes[number:]:
        ax.set_axis_off()
    return axes[:number]


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

    width = round(100 * figure.get_figwidth())  # on the page, in pixels of CSS
    data = {"image/png": _png(figure), "text/plain": alt}
    plt.close(figure)
    display(data, metadata={"image/png": {"alt": alt, "width": width}}, raw=True)


def interact(picture: Callable[..., Figure], **controls: Any) -> None:
    """Sliders, and the figure that ``picture`` draws of what they say.

    ``ipywidgets.interact``, which would show the figure without a description; here that is the
    first line of the docstring of ``picture``, with the values.
    """
    import ipywidgets
    from IPython.display import HTML, display

    first = (inspect.getdoc(picture) or "A figure.").splitlines()[0]

    @functools.wraps(picture)
    def described(**values: Any) -> None:
        figure = picture(**values)
        here = ", ".join(f"{name} = {value}" for name, value in values.items())
        alt = f"{first} Here {here}."
        width, pixels = round(100 * figure.get_figwidth()), base64.b64encode(_png(figure)).decode()
        plt.close(figure)
        source = f'src="data:image/png;base64,{pixels}"'
        display(HTML(f'<img {source} width="{width}" alt="{html.escape(alt)}">'))

    ipywidgets.interact(described, **controls)


def stored(picture: Path) -> Figure:
    """A picture from a file, as it is: a notebook keeps one pixel of it for each."""
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    height, width = pixels.shape[:2]
    figure, axes = axes_grid(1, 1, (width / DPI, height / DPI))
    figure.set_layout_engine("none")
    axes[0, 0].set_position((0, 0, 1, 1))
    axes[0, 0].imshow(pixels, interpolation="nearest")
    axes[0, 0].set_axis_off()
    return figure


def _png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a small PNG: of 256 colours, unless a photograph would look different."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi)
    full = Image.open(picture).convert("RGB")
    widely = Image.Quantize.MAXCOVERAGE
    few = full.quantize(256, method=widely, kmeans=2, dither=Image.Dither.NONE)
    apart = np.abs(np.asarray(few.convert("RGB"), int) - np.asarray(full, int)).max(-1)
    small = io.BytesIO()
    (few if np.quantile(apart, 0.99) <= 24 else full).save(small, format="png", optimize=True)
    return small.getvalue()

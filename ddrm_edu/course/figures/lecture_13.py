"""Lecture 13: pictures of suspects."""

from __future__ import annotations

from matplotlib.figure import Figure

from ddrm_edu.pictures import axes_grid, draw_image

from . import draw
from .draw import Images
from .draw import show as show


def line_up(images: Images, columns: int = 5) -> Figure:
    """Pictures with their names above, in reading order.

    Parameters
    ----------
    images : mapping
        Title to image (c, h, w); sizes may differ.
    columns : int
    """
    rows = -(-len(images) // columns)
    figure, axes = axes_grid(rows, columns, (1.55 * columns, 1.75 * rows))
    for ax, (title, image) in zip(draw.in_use(axes.flat, len(images)), images.items(), strict=True):
        draw_image(ax, image, title)
    return figure

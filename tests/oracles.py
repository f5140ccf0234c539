"""Independent truth: the matrix of every operator, written entry by entry from its definition.

Nothing of the package is used here, and nothing clever: explicit loops over the pixels of row-major
``(C, H, W)`` images.  Whoever doubts a test reads these few lines against the slides.
"""

from __future__ import annotations

import numpy as np


def pixel(shape: tuple[int, int, int], channel: int, row: int, column: int) -> int:
    """Place of a pixel in the image flattened row by row, channel by channel."""
    _, height, width = shape
    return (channel * height + row) * width + column


def inpainting_matrix(mask: np.ndarray) -> np.ndarray:
    """One row of the identity for every measured entry, in row-major order (slide 20, S20.2)."""
    flat = [bool(value) for value in np.asarray(mask).reshape(-1)]
    H = np.zeros((sum(flat), len(flat)))
    row = 0
    for column, measured in enumerate(flat):
        if measured:
            H[row, column] = 1.0
            row += 1
    return H


def super_resolution_matrix(in_shape: tuple[int, int, int], factor: int) -> np.ndarray:
    """Each row averages one ``factor x factor`` block of one channel (slides 21-23, S21.1)."""
    channels, height, width = in_shape
    out = (channels, height // factor, width // factor)
    H = np.zeros((channels * out[1] * out[2], channels * height * width))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                H[pixel(out, c, i // factor, j // factor), pixel(in_shape, c, i, j)] = 1 / factor**2
    return H


def colorization_matrix(in_shape: tuple[int, int, int], weights) -> np.ndarray:
    """Each row is the weighted sum of the channels of one pixel (slide 20, S20.3)."""
    channels, height, width = in_shape
    H = np.zeros((height * width, channels * height * width))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                H[pixel((1, height, width), 0, i, j), pixel(in_shape, c, i, j)] = weights[c]
    return H


def patch_functional_matrix(in_shape: tuple[int, int, int], k: np.ndarray) -> np.ndarray:
    """Each row is the sum of one patch weighted by k, the patches tiling the image (S22.3)."""
    channels, height, width = in_shape
    pc, ph, pw = k.shape
    out = (channels // pc, height // ph, width // pw)
    H = np.zeros((out[0] * out[1] * out[2], channels * height * width))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                row = pixel(out, c // pc, i // ph, j // pw)
                H[row, pixel(in_shape, c, i, j)] = k[c % pc, i % ph, j % pw]
    return H

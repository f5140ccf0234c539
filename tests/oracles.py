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


def diagonal_matrix(weights: np.ndarray) -> np.ndarray:
    """Entry i of y is entry i of x times its weight (S09.1)."""
    flat = np.asarray(weights).reshape(-1)
    H = np.zeros((len(flat), len(flat)))
    for i, weight in enumerate(flat):
        H[i, i] = weight
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


def kronecker_matrix(A: np.ndarray, B: np.ndarray, channels: int) -> np.ndarray:
    """Entry (k, l) of y is the sum of ``A[k, i] X[i, j] B[l, j]``, channel by channel (X10)."""
    (p, h), (q, w) = A.shape, B.shape
    H = np.zeros((channels * p * q, channels * h * w))
    for c in range(channels):
        for k in range(p):
            for row in range(q):
                for i in range(h):
                    for j in range(w):
                        out = pixel((channels, p, q), c, k, row)
                        H[out, pixel((channels, h, w), c, i, j)] = A[k, i] * B[row, j]
    return H


def beyond(place: int, side: int, border: str) -> int:
    """The pixel that stands in for one beyond the border, step by step; -1 for none."""
    while not 0 <= place < side:
        if border == "zero":
            return -1
        if border == "wrap":
            place += side if place < 0 else -side
        elif border == "mirror":  # the last pixel twice
            place = -1 - place if place < 0 else 2 * side - 1 - place
        else:
            place = 0 if place < 0 else side - 1
    return place


def blur_matrix(
    in_shape: tuple[int, int, int], kernel: np.ndarray, *, wrap: bool = False, border: str = "zero"
) -> np.ndarray:
    """Convolution around the tap ((k - 1) // 2, (l - 1) // 2), with some border; wrap is one."""
    border = "wrap" if wrap else border
    channels, height, width = in_shape
    middle = (kernel.shape[0] - 1) // 2, (kernel.shape[1] - 1) // 2
    H = np.zeros((channels * height * width,) * 2)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                for a in range(kernel.shape[0]):
                    for b in range(kernel.shape[1]):
                        row = beyond(i - a + middle[0], height, border)
                        column = beyond(j - b + middle[1], width, border)
                        if row >= 0 and column >= 0:
                            out = pixel(in_shape, c, i, j)
                            H[out, pixel(in_shape, c, row, column)] += kernel[a, b]
    return H


def blur_decimation_matrix(
    in_shape: tuple[int, int, int], kernel: np.ndarray, factor: int
) -> np.ndarray:
    """The rows of the periodic blur that belong to every factor-th pixel."""
    channels, height, width = in_shape
    blur = blur_matrix(in_shape, kernel, wrap=True)
    rows = []
    for c in range(channels):
        for i in range(0, height, factor):
            for j in range(0, width, factor):
                rows.append(blur[pixel(in_shape, c, i, j)])
    return np.stack(rows)


def bicubic_weight(t: float) -> float:
    """The cubic kernel of Keys (1981) with a = -1/2."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def bicubic_rows(n: int, factor: int) -> np.ndarray:
    """Row k weighs the pixels by their distance from the middle of block k, in blocks."""
    rows = np.zeros((n // factor, n))
    for k in range(n // factor):
        for i in range(n):
            rows[k, i] = bicubic_weight((i + 0.5) / factor - (k + 0.5))
        rows[k] /= rows[k].sum()  # what lies beyond the border is left out
    return rows


def fourier_mask_matrix(mask: np.ndarray, *, centred: bool) -> np.ndarray:
    """Cosines and sines of every frequency, on the real and the imaginary part, times its weight.

    Centred: frequencies and pixels are counted from ``(h // 2, w // 2)``.
    """
    height, width = mask.shape
    top, left = (height // 2, width // 2) if centred else (0, 0)
    shape = (2, height, width)
    H = np.zeros((2 * height * width,) * 2)
    for k in range(height):
        for m in range(width):
            for i in range(height):
                for j in range(width):
                    turns = (k - top) * (i - top) / height + (m - left) * (j - left) / width
                    size = mask[k, m] / np.sqrt(height * width)
                    c, s = size * np.cos(2 * np.pi * turns), size * np.sin(2 * np.pi * turns)
                    # exp(-i angle) (a + i b) = (c a + s b) + i (c b - s a)
                    real, imaginary = pixel(shape, 0, k, m), pixel(shape, 1, k, m)
                    a, b = pixel(shape, 0, i, j), pixel(shape, 1, i, j)
                    H[real, a], H[real, b] = c, s
                    H[imaginary, a], H[imaginary, b] = -s, c
    return H


def compressed_sensing_matrix(order: list[int], kept: list[int]) -> np.ndarray:
    """Rows ``kept`` of C_p (x) W_(2^k), whose column j meets pixel ``order[j]`` (X11)."""
    n, size = len(order), 1
    while n % (2 * size) == 0:
        size *= 2
    odd = n // size
    H = np.zeros((len(kept), n))
    for row, k in enumerate(kept):
        for j, place in enumerate(order):
            # Reduced while it is a whole number, since the cosine of a large angle is rounded.
            angle = (k // size) * (2 * (j // size) + 1) % (4 * odd)
            wave = np.cos(np.pi * angle / (2 * odd)) * np.sqrt((1 if k < size else 2) / odd)
            sign = (-1) ** (k % size & j % size).bit_count()
            H[row, place] = wave * sign / np.sqrt(size)
    return H


def block_matrix(
    in_shape: tuple[int, int, int], K: np.ndarray, patch: tuple[int, int, int]
) -> np.ndarray:
    """K times every patch, flattened row by row; its numbers along the channels of y (S23.1)."""
    (channels, height, width), (pc, ph, pw) = in_shape, patch
    out = (channels // pc * len(K), height // ph, width // pw)
    H = np.zeros((out[0] * out[1] * out[2], channels * height * width))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                within = pixel(patch, c % pc, i % ph, j % pw)
                for r in range(len(K)):
                    row = pixel(out, c // pc * len(K) + r, i // ph, j // pw)
                    H[row, pixel(in_shape, c, i, j)] = K[r, within]
    return H


def direct_sum_matrix(in_shape: tuple[int, int, int], parts: list) -> np.ndarray:
    """Matrices side by side, each on its rectangle; parts are (H, size, top, left)."""
    H = np.zeros((sum(len(part) for part, *_ in parts), int(np.prod(in_shape))))
    first = 0
    for part, size, top, left in parts:
        for row in range(len(part)):
            for c in range(size[0]):
                for i in range(size[1]):
                    for j in range(size[2]):
                        place = pixel(in_shape, c, top + i, left + j)
                        H[first + row, place] = part[row, pixel(size, c, i, j)]
        first += len(part)
    return H


def stacked_matrix(parts: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """The rows of every part, times its weight, one part after the other."""
    rows = []
    for H, weight in zip(parts, weights, strict=True):
        for row in H:
            rows.append([weight * entry for entry in row])
    return np.array(rows)


def weighted_matrix(H: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Every row times its weight."""
    return np.array([w * row for w, row in zip(np.reshape(weights, -1), H, strict=True)])


def permutation_matrix(order: list[int]) -> np.ndarray:
    """Entry k of the result is entry ``order[k]`` of the argument."""
    Q = np.zeros((len(order), len(order)))
    for k, place in enumerate(order):
        Q[k, place] = 1.0
    return Q


def transposition_matrix(shape: tuple[int, int, int]) -> np.ndarray:
    """Pixel (i, j) of the result is pixel (j, i) of an argument of this shape."""
    channels, height, width = shape
    Q = np.zeros((channels * height * width,) * 2)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                Q[pixel((channels, width, height), c, j, i), pixel(shape, c, i, j)] = 1.0
    return Q


def cosine_matrix(n: int) -> np.ndarray:
    """The orthonormal cosine transform: row k is a wave of k half periods."""
    Q = np.zeros((n, n))
    for k in range(n):
        for j in range(n):
            wave = np.cos(np.pi * k * (2 * j + 1) / (2 * n))
            Q[k, j] = wave * np.sqrt((1 if k == 0 else 2) / n)
    return Q

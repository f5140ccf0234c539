"""The tasks of ``ddrm-edu restore``: from words of a command line to H."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .boundary import checked
from .files import read_numbers, read_picture
from .operators import (
    BicubicSuperResolution,
    ChangeOfBasis,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    DirectSum,
    Inpainting,
    SeparableBlur,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    as_operator,
)
from .operators.convert import TooLarge, loaded, made, shape_of
from .operators.linear_map import LinearMap, linear_map
from .validation import require_count

TASKS = (
    "denoise",
    "inpaint",
    "superres",
    "colorize",
    "deblur",
    "demosaic",
    "compressed-sensing",
)
WEIGHTS = {"rec601": (0.299, 0.587, 0.114), "mean": (1 / 3, 1 / 3, 1 / 3)}
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
FITTING = {  # options that say something about some tasks only, and whether only with --degrade
    "mask": (("inpaint",), False),
    "factor": (("superres",), False),
    "kernel": (("superres", "deblur"), False),
    "border": (("deblur",), False),
    "pattern": (("demosaic",), False),
    "in_shape": (("compressed-sensing", "FILE.py:NAME"), False),
    "h_seed": (("compressed-sensing",), False),
    "missing": (("inpaint",), True),
    "share": (("compressed-sensing",), True),
    "size": ((*TASKS, "FILE.py:NAME"), True),
}


@checked
@dataclass(frozen=True, kw_only=True)
class Task:
    """What was lost, in the words of the command line."""

    name: str
    mask: Path | None = None
    factor: int = 2
    kernel: str | None = None
    border: str = "wrap"
    weights: str = "rec601"
    pattern: str = "RGGB"
    in_shape: str | None = None
    share: float = 0.25
    h_seed: int = 0
    svd: bool = True  #: of a large own H; without, the method needs H and H^T only

    @property
    def own(self) -> bool:
        """H comes from FILE.py:NAME."""
        return self.name not in TASKS

    @property
    def any_shape(self) -> bool:
        """The measurement is no picture, but an array that H says the shape of."""
        return self.own or self.name == "compressed-sensing"

    def check(self, given: Collection[str] = (), *, degrade: bool = False) -> None:
        """``ValueError`` for words that are wrong whatever the picture; asked before a run.

        ``given`` are the options that somebody gave: none is left aside without a word.
        """
        if self.own and ":" not in self.name:
            raise ValueError(
                f"--task must be one of {', '.join(TASKS)}, or FILE.py:NAME of your own H, but was "
                f"{self.name!r}."
            )
        for option, (names, only_degrade) in FITTING.items():
            name = "FILE.py:NAME" if self.own else self.name
            if option in given and (name not in names or (only_degrade and not degrade)):
                tasks = "" if set(TASKS) < set(names) else f" --task {' or '.join(names)}"
                raise ValueError(
                    f"--{option.replace('_', '-')} belongs to{' --degrade' * only_degrade}{tasks}, "
                    f"and would have no effect here (--task {self.name}). Leave it out."
                )
        if self.name == "superres":
            if self.factor < 1:
                raise ValueError(f"--factor must be a positive integer, but was {self.factor}.")
            if self.kernel not in (None, "mean", "bicubic"):
                raise ValueError(
                    f"--task superres knows the kernels mean and bicubic, but --kernel was "
                    f"{self.kernel!r}. Another reduction is an own H: --task FILE.py:NAME."
                )
        if self.name == "deblur":
            kernel_of(self.kernel)
        color_weights(self.weights, 3)

    def operator(self, shape: tuple[int, int, int], kept: Any = None) -> Any:
        """H of pictures x of this shape (c, h, w); ``kept (h, w)`` are the pixels of inpaint."""
        if self.own:
            return own_operator(self.name, self.in_shape, svd=self.svd)
        if self.name == "inpaint":
            return Inpainting(kept, channels=shape[0])
        if self.name == "superres":
            kind = BicubicSuperResolution if self.kernel == "bicubic" else SuperResolution
            return kind(shape, self.factor)
        if self.name == "colorize":
            return Colorization(shape, color_weights(self.weights, shape[0]))
        if self.name == "deblur":
            kernel = kernel_of(self.kernel)
            if self.border == "wrap":
                return CircularBlur(shape, kernel)
            if self.border == "mirror" and _is_symmetric(kernel):
                return SymmetricBlur(shape, kernel)
            return SeparableBlur(shape, *_factors(kernel, self.border), border=self.border)
        if self.name == "demosaic":
            return Inpainting(bayer(self.pattern, *shape[1:]))
        if self.name == "compressed-sensing":
            measurements = round(self.share * math.prod(shape))
            generator = torch.Generator().manual_seed(self.h_seed)
            return CompressedSensing(shape, measurements, generator=generator)
        return Denoising(shape)


def own_operator(target: str, in_shape: str | None, *, svd: bool = True) -> SVDOperator | LinearMap:
    """The H of FILE.py:NAME, of images (c, h, w); it is tried for linearity, if it is a function.

    Without ``svd`` what is too large to be decomposed is a :class:`LinearMap` with its transpose.

    Raises
    ------
    ValueError
        If there is none, or it is no linear map of images of three dimensions.
    """
    H = made(loaded(target)[0])
    try:
        op: SVDOperator | LinearMap = as_operator(H, shape_of(in_shape))
    except TooLarge:
        if svd:
            raise
        op = linear_map(H, shape_of(in_shape)).with_transpose()
    if len(op.in_shape) != 3:
        raise ValueError(
            f"A network sees images (channels, height, width), but {target} acts on {op.in_shape}. "
            "Give the shape of the images with --in-shape C,H,W."
        )
    return op


def of_grey(op: SVDOperator, weights: Sequence[float]) -> SVDOperator:
    r"""H of the grey version of a colour picture: :math:`H'x=H\sum_cw_cx_c`, with its exact SVD.

    An orthogonal change of colours, the same in each pixel, has :math:`w/\lVert w\rVert` as its
    first row.  H sees the first of the new channels, with :math:`\lVert w\rVert` times its singular
    values; nothing is measured of the others.

    Parameters
    ----------
    op : SVDOperator
        H, on images (1, h, w).
    weights : sequence of float
        One for each colour.

    Examples
    --------
    >>> op = of_grey(SuperResolution((1, 8, 8), 2), (0.2, 0.7, 0.1))
    >>> op
    ChangeOfBasis((3, 8, 8) -> (16,), rank 16)
    """
    w = torch.tensor(weights, dtype=torch.float64)
    channels, (_, height, width) = len(w), op.in_shape
    unit = torch.cat([w[:, None], torch.eye(channels, dtype=torch.float64)], 1)
    colours = torch.linalg.qr(unit).Q.T
    colours[0] = w / w.norm()
    scaled = copy.copy(op)
    scaled.s = op.s * w.norm()
    tall = (1, channels * height, width)  # the new channels, one below the other

    def Q(x: Tensor) -> Tensor:
        return (colours.to(x) @ x.flatten(2)).reshape(-1, *tall)

    def Qt(z: Tensor) -> Tensor:
        planes = z.reshape(-1, channels, height * width)
        return (colours.T.to(z) @ planes).reshape(-1, channels, height, width)

    return ChangeOfBasis(DirectSum(tall, [(scaled, 0, 0)]), Q, Qt, (channels, height, width))


@checked
def color_weights(text: str, channels: int) -> tuple[float, ...]:
    """``rec601``, ``mean`` or one number per channel."""
    if text in WEIGHTS:
        return WEIGHTS[text]
    try:
        weights = tuple(float(word) for word in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != channels or not all(map(math.isfinite, weights)) or not any(weights):
        raise ValueError(
            f"--weights expects {' or '.join(WEIGHTS)}, or {channels} numbers with commas, such as "
            f"0.3,0.6,0.1, but was {text!r}."
        )
    return weights


@checked
def bayer(pattern: str, height: int, width: int) -> Tensor:
    """Which colour a pixel of a camera measures, (3, height, width); ``RGGB`` begins with red."""
    height, width = require_count(height, "height"), require_count(width, "width")
    if pattern not in PATTERNS:
        raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, but was {pattern!r:.40}.")
    mask = torch.zeros(3, height, width, dtype=torch.bool)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        mask["RGB".index(colour), row::2, column::2] = True
    return mask


@checked
def kernel_of(text: str | None) -> np.ndarray:
    """The kernel (k, l) that ``gaussian:SIGMA``, ``motion:LENGTH,ANGLE`` or a file describes.

    A picture is scaled to a sum of 1, black being 0; an NPY file is taken as it is.

    Raises
    ------
    ValueError
        If there is none.
    """
    name, _, numbers = (text or "").partition(":")
    if name in ("gaussian", "motion"):
        try:
            values = [float(word) for word in numbers.split(",")]
            return _gaussian(*values) if name == "gaussian" else _motion(*values)
        except (TypeError, ValueError, OverflowError):
            pass  # told below
    elif text and Path(text).is_file():
        path = Path(text)
        if path.suffix.lower() == ".npy":
            kernel = np.asarray(read_numbers(path), dtype=np.float64)
            if kernel.ndim != 2:
                raise ValueError(
                    f"--kernel expects an array of two dimensions, but {path.name} has the shape "
                    f"{kernel.shape}."
                )
            return kernel
        picture = read_picture(path)
        weights = picture.pixels.mean(0, dtype=np.float64) - picture.low
        if weights.sum() > 0:
            return weights / weights.sum()
    raise ValueError(
        "--task deblur expects --kernel gaussian:SIGMA, motion:LENGTH,ANGLE (positive pixels, and "
        f"degrees) or a file of the kernel (NPY or picture), but it was {text!r}."
    )


def _gaussian(sigma: float) -> np.ndarray:
    """Taps up to four standard deviations away, of sum 1."""
    if not 0 < sigma < 1e4:
        raise ValueError
    place = np.arange(-math.ceil(4 * sigma), math.ceil(4 * sigma) + 1)
    taps = np.exp(-(place**2) / (2 * sigma**2))
    return np.outer(taps, taps) / taps.sum() ** 2


def _motion(length: float, angle: float = 0.0) -> np.ndarray:
    """The share of a line that lies in each pixel; anticlockwise degrees from the horizontal."""
    if not 0 < length < 1e4 or not math.isfinite(angle):
        raise ValueError
    count = 1000 * math.ceil(length)
    place = length * ((np.arange(count) + 0.5) / count - 0.5)
    down, along = -math.sin(math.radians(angle)), math.cos(math.radians(angle))
    rows, columns = (np.rint(place * part).astype(int) for part in (down, along))
    kernel = np.zeros((2 * rows.max() + 1, 2 * columns.max() + 1))
    np.add.at(kernel, (rows + rows.max(), columns + columns.max()), 1 / count)
    return kernel


def _is_symmetric(kernel: np.ndarray) -> bool:
    """Of odd sides, and the same upside down and left to right."""
    mirrored = kernel[::-1], kernel[:, ::-1]
    rounding = 4 * np.finfo(float).eps * np.abs(kernel).max()
    odd = all(side % 2 for side in kernel.shape)
    return odd and all(np.abs(kernel - other).max() <= rounding for other in mirrored)


def _factors(kernel: np.ndarray, border: str) -> tuple[np.ndarray, np.ndarray]:
    """The kernel as an outer product of two lists of weights."""
    U, s, Vt = np.linalg.svd(kernel)
    if len(s) > 1 and s[1] > 1e-6 * s[0]:
        symmetric = ", or symmetric along both axes with --border mirror"
        raise ValueError(
            f"--border {border} is exact and fast only for a kernel that is the product of a "
            f"column and a row, as a Gaussian is{symmetric}, but this one is not. Take --border "
            "wrap, or give your own H: --task FILE.py:NAME."
        )
    return U[:, 0] * s[0], Vt[0]

"""Operators that look at single pixels: V is the identity (slide 20)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..validation import is_integer, positive_shape
from .base import SVDOperator


class PixelOperator(SVDOperator):
    """V = I: the spectral coordinates are the pixels themselves."""

    def V(self, x: Tensor) -> Tensor:
        return x.clone()

    Vt = V

    @property
    def pixel_basis(self) -> bool:
        """True unless a subclass has a V or Vt of its own."""
        return (type(self).V, type(self).Vt) == (PixelOperator.V, PixelOperator.Vt)


class Denoising(PixelOperator):
    """H = I: every pixel is measured, only noise has to be removed (slide 20, ledger S20.1).

    Parameters
    ----------
    in_shape : tuple of int
        Shape of one image, e.g. ``(3, 32, 32)``.
    """

    def __init__(self, in_shape: tuple[int, ...]):
        self.in_shape = self.out_shape = positive_shape(in_shape, "in_shape")
        self.s = torch.ones((1,) * len(self.in_shape), dtype=torch.float64)

    def U(self, x: Tensor) -> Tensor:
        return x.clone()

    def Ut(self, y: Tensor) -> Tensor:
        return y.clone()


class SelectedCoordinates(SVDOperator):
    """y is a list of spectral coordinates, those of the flat indices in ``_kept``."""

    _kept: Tensor

    def U(self, x: Tensor) -> Tensor:
        return x.flatten(1).index_select(1, self._kept.to(x.device))

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), self.n).index_copy_(1, self._kept.to(y.device), y)
        return spec.reshape(-1, *self.in_shape)


class Inpainting(SelectedCoordinates, PixelOperator):
    r"""Some pixels are measured, the others are lost (slide 20, ledger S20.2).

    The slide sorts the measured pixels first by a permutation P.  DDRM treats every coordinate
    by itself, so their order is free: here V = I, and s is the mask.

    Parameters
    ----------
    mask : bool array of shape ``in_shape``, or (h, w) together with ``channels``
        True where the pixel is measured.
    channels : int, optional
        Use the same (h, w) mask for this many channels; then ``in_shape = (channels, h, w)``.

    Notes
    -----
    ``out_shape`` is ``(k,)``: the k measured values in row-major order of the mask.

    Examples
    --------
    >>> op = Inpainting(torch.tensor([[True, False], [False, True]]), channels=1)
    >>> op(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[1., 4.]])
    """

    def __init__(self, mask: Any, channels: int | None = None):
        mask = mask.clone() if isinstance(mask, torch.Tensor) else torch.tensor(np.array(mask))
        if mask.dtype != torch.bool:
            raise ValueError(
                f"mask must be boolean (True = measured), but was {mask.dtype}. "
                "Compare it with a number first, for example mask > 0."
            )
        if channels is not None:
            if mask.ndim != 2 or not is_integer(channels) or channels < 1:
                raise ValueError(
                    "With channels= the mask must be (h, w) and channels a positive integer, "
                    f"but the mask had shape {tuple(mask.shape)} and channels was {channels}. "
                    "A mask of the image's own shape needs no channels=."
                )
            mask = mask.expand(channels, *mask.shape)
        if not mask.any():
            raise ValueError(
                "mask measures no pixel at all (True = measured, False = lost). "
                "Is it inverted? Then pass ~mask."
            )
        self.in_shape = tuple(mask.shape)
        self._kept = mask.flatten().nonzero().squeeze(1)
        self.out_shape = (len(self._kept),)
        self.s = mask.to(torch.float64)

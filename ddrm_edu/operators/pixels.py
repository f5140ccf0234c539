"""Operators that look at single pixels: V is the identity (slide 20)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..validation import boolean_mask, finite_tensor, is_integer, positive_shape
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

    Examples
    --------
    >>> op = Denoising((1, 2, 2))
    >>> op(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
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
        mask = boolean_mask(mask, "mask")
        if mask.dtype != torch.bool:
            raise ValueError(
                f"mask must be boolean (True = measured), but was {mask.dtype}. Numbers that weigh "
                "the pixels are another H, Diagonal(mask); if they only say which pixels are "
                "measured, pass mask != 0."
            )
        mask = mask.expand(_shape_of(mask, "mask", channels))
        if not mask.any():
            raise ValueError(
                "mask measures no pixel at all (True = measured, False = lost). "
                "Is it inverted? Then pass ~mask."
            )
        self.in_shape = tuple(mask.shape)
        self._kept = mask.flatten().nonzero().squeeze(1)
        self.out_shape = (len(self._kept),)
        self.s = mask.to(torch.float64)


class Diagonal(PixelOperator):
    r"""Every pixel is measured with a weight of its own: :math:`y_i=w_ix_i` (ledger S09.1).

    So :math:`s_i=|w_i|`, U carries the sign and V = I: weighted masks, sensitivities, vignettes.
    A pixel of weight 0 is not measured; its place in y stays, and what stands there is ignored.

    Parameters
    ----------
    weights : array of shape ``in_shape``, or (h, w) together with ``channels``
        Real numbers of any sign, not all of them 0.  A boolean mask is one of 1 and 0.
    channels : int, optional
        Use the same (h, w) weights for this many channels; then ``in_shape = (channels, h, w)``.
    per_image : bool
        If True, the first axis of the weights counts the images of a batch, each of which has its
        own: a mask per image, for example.  The operator then takes batches of that size only.

    Notes
    -----
    y has the shape of x, unlike that of :class:`Inpainting`, which lists the measured pixels.
    A weight that is not exactly 0 is measured, however small: where noise drowns it, DDRM knows.

    Raises
    ------
    ValueError
        If the weights are not real and finite, or all 0, or do not fit ``channels``.

    Examples
    --------
    >>> op = Diagonal([[1.0, -0.5, 0.0]])
    >>> op
    Diagonal((1, 3) -> (1, 3), rank 2)
    >>> op.pinv(op(torch.tensor([[[2.0, 4.0, 6.0]]])))
    tensor([[[2., 4., 0.]]])

    Two images of one row, each with other pixels missing:

    >>> Diagonal([[[True, False, True]], [[False, True, True]]], per_image=True)
    Diagonal((1, 3) -> (1, 3), 2 images, rank 4)
    """

    def __init__(self, weights: Any, channels: int | None = None, *, per_image: bool = False):
        weights = finite_tensor(weights, "weights")
        if per_image and (weights.ndim < 2 or not len(weights)):
            raise ValueError(
                "With per_image=True the weights must be (batch, *in_shape), but had shape "
                f"{tuple(weights.shape)}. Weights alike for all images need no per_image."
            )
        images = weights if per_image else weights[None]
        self.in_shape = self.out_shape = positive_shape(
            _shape_of(images[0], "weights", channels), "The shape of weights"
        )
        if not self.in_shape:
            raise ValueError(
                f"weights must be an array of the image's shape, but was the number {weights:g}. "
                "One for all pixels is torch.full(in_shape, weight)."
            )
        if not images.flatten(1).any(1).all():
            which = " of an image" if per_image else ""
            raise ValueError(
                f"weights{which} are zero everywhere, so nothing would be measured. Whole numbers "
                "that were divided as such (//) are a usual cause."
            )
        if channels is not None and per_image:
            weights = weights[:, None]
        self.s, self._sign = weights.abs(), weights.sign()

    def U(self, x: Tensor) -> Tensor:
        return self._sign.to(x) * x  # 0 where nothing is measured

    def Ut(self, y: Tensor) -> Tensor:
        return self._sign.to(y) * y


def _shape_of(array: Tensor, what: str, channels: int | None) -> tuple[int, ...]:
    """Shape of the images on which an array acts, entry by entry, alike in all ``channels``."""
    if channels is None:
        return tuple(array.shape)
    if array.ndim != 2 or not is_integer(channels) or channels < 1:
        raise ValueError(
            f"With channels= the {what} must be (h, w) and channels a positive integer, "
            f"but the {what} had shape {tuple(array.shape)} and channels was {channels}. "
            f"A {what} of the image's own shape needs no channels=."
        )
    return (int(channels), *array.shape)

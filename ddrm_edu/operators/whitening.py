r"""Noise that is not alike everywhere: :math:`D^{-1/2}H` where its SVD stays that of H."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..validation import EPS, finite_tensor, real_tensor
from .base import SVDOperator, require_singular_values, require_svd
from .linear_map import normal_images


class WeightedRows(SVDOperator):
    r"""Every entry of the measurement times a weight, :math:`H'=WH`, where the SVD stays exact.

    If :math:`WU=UW'` with diagonal W and W', then :math:`WH=U\,\mathrm{diag}(w's)\,V^\top` (ledger
    S09.1): U and V stay.  So it is where every entry of y belongs to one spectral coordinate
    (:class:`Denoising`, :class:`Inpainting`, :class:`Diagonal`, :class:`SuperResolution`,
    :class:`Colorization`, :class:`CompressedSensing`, :class:`FourierMask` ...), for any weights,
    and for any operator where all entries of an image, or all that U mixes, have one weight.

    With w = 1 / sigma the noise of ``w * y`` is 1 everywhere, whatever sigma was in each entry.

    Parameters
    ----------
    op : SVDOperator
    weights : array of shape ``op.out_shape``, or (batch, *op.out_shape)
        Not negative; 0 is an entry that was not measured.  Of two or more images each has its own,
        and axes of length 1 are broadcast: (batch, 1, 1, 1) is a weight for each image.

    Raises
    ------
    ValueError
        If the SVD does not stay exact, or the weights do not fit the measurement.

    Examples
    --------
    The right half of a picture is ten times as noisy as the left one:

    >>> from ddrm_edu import Denoising
    >>> sigma = torch.cat([torch.full((1, 4, 2), 0.02), torch.full((1, 4, 2), 0.2)], dim=2)
    >>> op = WeightedRows(Denoising((1, 4, 4)), 1 / sigma)
    >>> op.s[0, 0].round()
    tensor([50., 50.,  5.,  5.], dtype=torch.float64)
    """

    def __init__(self, op: Any, weights: Any):
        require_svd(op, "op")
        require_singular_values(op)
        weights = finite_tensor(weights, "weights")
        self.in_shape, self.out_shape, self._op = op.in_shape, op.out_shape, op
        axes, shape = len(op.out_shape), tuple(weights.shape)
        one = weights.ndim == axes + 1 and len(weights) == 1 and op.batch in (None, 1)
        weights = weights[0] if one else weights
        whole = weights.shape[:-axes] + op.out_shape
        fits = weights.ndim in (axes, axes + 1) and len(weights) > 0
        if not fits or any(a not in (1, b) for a, b in zip(weights.shape, whole, strict=True)):
            raise ValueError(
                f"weights must have the shape of y, {op.out_shape}, or (batch, *{op.out_shape}) "
                f"with axes of length 1 where they are alike, but had shape {shape}."
            )
        if (weights < 0).any() or not weights.any():
            raise ValueError(
                "weights must not be negative, nor all 0, but ranged from "
                f"{weights.min():.6g} to {weights.max():.6g}. A sign belongs into y and H alike."
            )
        self.weights = weights.cpu()
        w_spec = self._in_spectral_order(whole)
        self.s = op.spectrum() * w_spec
        self._lost = bool(((w_spec == 0) & (op.spectrum() > 0)).any())

    def V(self, x: Tensor) -> Tensor:
        return self._op.V(x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._op.Vt(x)

    @property
    def pixel_basis(self) -> bool:
        return self._op.pixel_basis

    def U(self, x: Tensor) -> Tensor:
        return self._op.U(self._seen(x))

    def Ut(self, y: Tensor) -> Tensor:
        return self._seen(self._op.Ut(y))

    def _seen(self, x: Tensor) -> Tensor:
        return torch.where(self.s.to(x.device) > 0, x, 0.0) if self._lost else x

    def _in_spectral_order(self, whole: tuple[int, ...]) -> Tensor:
        r"""w', found from :math:`U^\top W=W'U^\top` for one random y, and tried on two others."""
        op, weights = self._op, self.weights
        batch = op.batch or (whole[0] if len(whole) > len(op.out_shape) else 1)
        values, found = weights.unique(), torch.zeros(())
        for seed in range(3):
            probe = normal_images(op.out_shape, batch, seed).to(op.s.device)
            plain, weighted = (op.Ut(p).cpu() for p in (probe, weights.to(probe) * probe))
            if not seed:  # the nearest of the weights: nothing is rounded
                ratio = (weighted / plain).where(plain != 0, 0.0)
                found = values[torch.bucketize(ratio, (values[1:] + values[:-1]) / 2)]
            rounding = 1000 * EPS * op.m**0.5 * values[-1]
            if not (weighted - found * plain).abs().max() <= rounding:
                raise ValueError(
                    f"The noise, or the weight, of single entries of y can differ only where each "
                    f"belongs to one spectral coordinate, but {op!r} mixes several in each. For a "
                    "small image divide the rows of H and y by sigma: Dense(op.matrix() / "
                    "sigma.reshape(-1, 1), op.in_shape), with sigma_y=1. For a large one "
                    "restore(method='diffpir') or 'moment-matching' needs H and H^T only. Or take "
                    "the largest sigma for all of y: nothing is believed too much then."
                )
        return found if batch > 1 or op.batch else found[0]


class _WeightedMap:
    """``w * op(x)`` and its transpose, for methods that need no more of H."""

    def __init__(self, op: Any, weights: Tensor):
        self.in_shape, self.out_shape = op.in_shape, op.out_shape
        self._op, self._weights = op, weights

    def __call__(self, x: Tensor) -> Tensor:
        Hx = self._op(x)
        return self._weights.to(Hx) * Hx

    def adjoint(self, y: Tensor) -> Tensor:
        Hty: Tensor = self._op.adjoint(self._weights.to(y) * y)
        return Hty


def whitened(op: Any, y: Tensor, sigma_y: Any, *, svd: bool = True) -> tuple[Any, Tensor, Any]:
    """H, y and sigma_y, such that the noise of y is alike everywhere: ``sigma_y`` is one number.

    Without ``svd`` it is enough that the new H has products with H and H^T.

    Parameters
    ----------
    sigma_y : number, or array
        One number comes back as it is.  As many numbers as y has images are one for each; an array
        of the shape of y, of one image of y, or of its last two axes is a map of the noise, in
        which infinity is an entry that was not measured.

    Raises
    ------
    ValueError
        If sigma_y is no such thing, or not positive; or as :class:`WeightedRows`.
    """
    if isinstance(sigma_y, str | bytes) or sigma_y is None:
        return op, y, sigma_y  # which is told by whoever asks for one number
    sigma = real_tensor(sigma_y, "sigma_y").cpu()
    if sigma.ndim == 0:
        return op, y, sigma_y
    sigma = _of_the_shape_of_y(sigma, y)
    if bool((sigma == sigma.flatten()[0]).all()) and sigma.flatten()[0] < math.inf:
        return op, y, sigma.flatten()[0].item()
    if not (sigma > 0).all():
        raise ValueError(
            "Where sigma_y differs, all of it must be positive, but the smallest was "
            f"{sigma.min():.6g}. An entry without noise would count infinitely more than others: "
            "take the rounding of its numbers, such as 1/510 for bytes on the scale [-1, 1], and "
            "for images without noise a call of their own."
        )
    weights = (1 / sigma).to(y)
    try:
        rows: Any = WeightedRows(op, 1 / sigma)
    except ValueError:
        if svd:
            raise
        rows = _WeightedMap(op, weights)
    return rows, torch.where(weights > 0, weights * y, 0.0), 1.0


def _of_the_shape_of_y(sigma: Tensor, y: Tensor) -> Tensor:
    """A map of the noise that broadcasts with y, whichever of the forms it was given in."""
    one, shape = y.shape[1:], tuple(sigma.shape)
    per_image = shape == (len(y),)
    if per_image and shape == one:
        raise ValueError(
            f"sigma_y holds {len(y)} numbers, as many as y has images and each image entries, so "
            f"that it may mean either. Give it the shape ({len(y)}, 1) for the images, or "
            f"(1, {len(y)}) for the entries."
        )
    if per_image:
        return sigma.reshape(-1, *[1] * len(one))
    if shape == one or (len(one) == 3 and shape == one[1:]):
        return sigma.expand(one)
    if sigma.ndim == y.ndim and all(a in (1, b) for a, b in zip(shape, y.shape, strict=True)):
        return sigma
    raise ValueError(
        f"sigma_y must be one number, {len(y)} of them, one for each image, or an array of the "
        f"shape of y, {tuple(y.shape)}, or of one image, {tuple(one)}, but had shape {shape}. "
        "Correlated noise of covariance L L^T is whitened by hand: Dense(torch.linalg.solve(L, H)) "
        "and the y of that, with sigma_y=1."
    )

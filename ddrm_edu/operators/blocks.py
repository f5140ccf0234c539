r"""Operators that average each small patch of the image: the block SVD of slides 21-23.

A patch p is seen through one number :math:`k^\top p`.  With a unit vector
:math:`u = k/\lVert k\rVert` the SVD of the row vector is
:math:`k^\top = \pm\,\lVert k\rVert\,e_1^\top V_k^\top`, where :math:`V_k` is the Householder
reflection that exchanges u and :math:`\pm e_1`.  The reflection costs O(1) per pixel and stores
nothing but u, so no matrix of any size is needed.  A patch that is seen through several numbers has
a small matrix K instead, whose SVD is computed and stored once for all patches.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..validation import finite_tensor, image_shape, is_integer, positive_shape, real_matrix
from .base import SVDOperator
from .dense import Dense

__all__ = ["BlockOperator", "Colorization", "PatchFunctional", "SuperResolution"]


class PatchFunctional(SVDOperator):
    r"""One weighted sum per patch, the patches tiling the image: :math:`H=(I\otimes k^\top)P`.

    Slides 21-23 (ledger S22.3, S23.1).  The permutation P of the slides, which gathers patches,
    is a reshape here: the coordinate that is measured sits at the first pixel of its patch.  The
    second one, which the form of slide 9 would ask for (ledger E9, a remark), is not needed.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of one image.
    k : array of shape (c, h, w)
        Weights of one patch; each side divides that of the image.

    Raises
    ------
    ValueError
        If the patch does not tile the image, or k is zero or not finite.

    Examples
    --------
    Differences of neighbouring columns:

    >>> op = PatchFunctional((1, 2, 4), [[[1.0, -1.0]]])
    >>> op
    PatchFunctional((1, 2, 4) -> (1, 2, 2), rank 4)
    """

    def __init__(self, in_shape: tuple[int, ...], k: Any):
        self.in_shape = image_shape(in_shape)
        k = finite_tensor(k, "k")
        self._patch = tuple(k.shape)
        self.out_shape = _patches_along(self.in_shape, self._patch, "k")
        if not k.any():
            raise ValueError(
                "k is zero everywhere, so nothing would be measured. Give it a weight."
            )

        scale = k.abs().max()  # a norm taken without it would overflow for huge weights
        norm = (k / scale).norm() * scale
        self.s = torch.zeros(self.in_shape, dtype=torch.float64)
        self._first(self.s[None]).fill_(norm)

        # The reflection swaps u and -sign e_1; this sign avoids cancellation in u + sign e_1.
        u = k / scale / (k / scale).norm()
        self._sign = 1.0 if u[0, 0, 0] >= 0 else -1.0
        mirror = u.clone()
        mirror[0, 0, 0] += self._sign
        self._mirror = mirror / (1 + u[0, 0, 0].abs()).sqrt()  # reflection = I - mirror mirror^T

    def V(self, x: Tensor) -> Tensor:
        (C, H, W), (c, h, w) = self.out_shape, self._patch
        # Whole rows of the image stay together, so that every pass runs along memory.
        rows = x.reshape(-1, C, c, H, h, W * w)
        mirror = self._mirror.to(x)[:, :, None].expand(c, h, W, w).reshape(c, 1, h, W * w)
        columns = (rows * mirror).sum((2, 4)).unflatten(-1, (W, w))
        along = sum(columns.unbind(-1))[..., None].expand(-1, -1, -1, -1, w)
        along = along.reshape(-1, C, 1, H, 1, W * w)
        return torch.addcmul(rows, along, mirror, value=-1).reshape(x.shape)

    Vt = V  # a reflection is its own transpose and its own inverse

    def U(self, x: Tensor) -> Tensor:
        return -self._sign * self._first(x)

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), *self.in_shape)
        self._first(spec).copy_(-self._sign * y)
        return spec

    def _first(self, x: Tensor) -> Tensor:
        """View of the first pixel of every patch, of shape ``(batch, *out_shape)``."""
        c, h, w = self._patch
        return x[:, ::c, ::h, ::w]


class SuperResolution(PatchFunctional):
    """Each pixel of y is the mean of a ``factor x factor`` block of x (slides 21-23, ledger S21.1).

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of the large image.
    factor : int
        Divides height and width.  All positive singular values are ``1 / factor`` (S23.2).

    Examples
    --------
    >>> SuperResolution((3, 32, 32), 4)
    SuperResolution((3, 32, 32) -> (3, 8, 8), rank 192)
    """

    def __init__(self, in_shape: tuple[int, ...], factor: int):
        require_factor(factor, image_shape(in_shape))
        weights = torch.full((1, factor, factor), 1 / factor**2, dtype=torch.float64)
        super().__init__(in_shape, weights)


class Colorization(PatchFunctional):
    """Each pixel of y is a weighted sum of the channels of x (slide 20, ledger S20.3).

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of the colour image; y has shape ``(1, height, width)``.
    weights : sequence of float
        One weight per channel; by default the mean of three.

    Examples
    --------
    >>> Colorization((3, 32, 32), weights=(0.299, 0.587, 0.114))
    Colorization((3, 32, 32) -> (1, 32, 32), rank 1024)
    """

    def __init__(self, in_shape: tuple[int, ...], weights: Sequence[float] = (1 / 3, 1 / 3, 1 / 3)):
        channels = image_shape(in_shape)[0]
        k = finite_tensor(weights, "weights")
        if k.shape != (channels,):
            raise ValueError(
                f"weights must hold one number per channel, {channels} in all, "
                f"but had shape {tuple(k.shape)}. A grey image has no colour to restore."
            )
        super().__init__(in_shape, k[:, None, None])
        mirror = self._mirror.flatten()
        self._reflection = torch.eye(channels, dtype=torch.float64) - torch.outer(mirror, mirror)

    def V(self, x: Tensor) -> Tensor:
        return (self._reflection.to(x) @ x.flatten(2)).reshape(x.shape)

    Vt = V


class BlockOperator(SVDOperator):
    r"""The same small matrix on every patch, the patches tiling the image: :math:`H=(I\otimes K)P`.

    Slides 21-23 (ledger S23.1) with a matrix K in the place of the row :math:`k^\top`.  Stored are
    s and the SVD of K, :math:`n+O(p^2)` numbers for patches of p entries (erratum E11).

    Parameters
    ----------
    K : array (q, p)
        Acts on a patch flattened channel by channel and row by row; any rank, wide or tall.
    in_shape : tuple of int
        (channels, height, width) of one image.
    patch : tuple of int, optional
        (channels, height, width) of one patch, whose product is p; each side divides that of the
        image.  By default a patch is one pixel with all its channels.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0, as in :class:`Dense`.

    Notes
    -----
    ``out_shape`` is ``(groups * q, rows, columns)`` for an image of that many patches along its
    channels, rows and columns: the q numbers of a patch lie along the channels of y.
    For one row, :class:`PatchFunctional` is the same map and faster.

    Raises
    ------
    ValueError
        If K is not a finite real matrix, the patch does not tile the image, or K has not one
        column for each entry of a patch.

    Examples
    --------
    Two weighted sums of the three channels of every pixel:

    >>> BlockOperator([[0.3, 0.6, 0.1], [0.5, -0.5, 0.0]], (3, 32, 32))
    BlockOperator((3, 32, 32) -> (2, 32, 32), rank 2048)
    """

    def __init__(
        self,
        K: Any,
        in_shape: tuple[int, ...],
        patch: tuple[int, ...] | None = None,
        *,
        rtol: float | None = None,
    ):
        self.in_shape = image_shape(in_shape)
        patch = (self.in_shape[0], 1, 1) if patch is None else positive_shape(patch, "patch")
        self._counts = _patches_along(self.in_shape, patch, "patch")
        K = real_matrix(K, "K")
        q, p = K.shape
        if p != math.prod(patch):
            raise ValueError(
                f"K must have {math.prod(patch)} columns, one for each entry of a patch of shape "
                f"{patch}, but had {p}. Is K transposed, or does patch= belong to another K?"
            )
        self._patch = patch
        groups, rows, columns = self._counts
        self.out_shape = (groups * q, rows, columns)
        block = Dense(K, rtol=rtol)
        unit = torch.eye(p, dtype=torch.float64, device=K.device)
        self._V, self._U = block.V(unit).T.contiguous(), block.U(unit).T.contiguous()
        self.s = block.s.reshape(patch).repeat(self._counts)

    def V(self, x: Tensor) -> Tensor:
        return self._image(self._V.to(x) @ self._patches(x))

    def Vt(self, x: Tensor) -> Tensor:
        return self._image(self._V.to(x).T @ self._patches(x))

    def U(self, x: Tensor) -> Tensor:
        return (self._U.to(x) @ self._patches(x)).reshape(-1, *self.out_shape)

    def Ut(self, y: Tensor) -> Tensor:
        groups, rows, columns = self._counts
        seen = y.reshape(len(y) * groups, self._U.shape[0], rows * columns)
        return self._image(self._U.to(y).T @ seen)

    def _patches(self, x: Tensor) -> Tensor:
        """All patches as columns, ``(batch * groups, p, rows * columns)``."""
        (C, H, W), (c, h, w) = self._counts, self._patch
        tiles = x.reshape(len(x) * C, c, H, h, W, w).permute(0, 1, 3, 5, 2, 4)
        return tiles.reshape(len(x) * C, c * h * w, H * W)

    def _image(self, columns: Tensor) -> Tensor:
        """The inverse of ``_patches``."""
        (_, H, W), (c, h, w) = self._counts, self._patch
        tiles = columns.reshape(-1, c, h, w, H, W).permute(0, 1, 4, 2, 5, 3)
        return tiles.reshape(-1, *self.in_shape)


def _patches_along(
    image: tuple[int, int, int], patch: tuple[int, ...], what: str
) -> tuple[int, int, int]:
    """How many patches lie along each axis of an image; ``ValueError`` unless they tile it."""
    if len(patch) != 3 or 0 in patch or any(map(operator.mod, image, patch)):
        raise ValueError(
            f"{what} must be of three dimensions (channels, height, width) which divide those of "
            f"the image, but was of shape {patch} for an image of shape {image}. "
            "Crop or pad the image to a multiple of the patch."
        )
    return tuple(map(operator.floordiv, image, patch))


def require_factor(factor: Any, in_shape: tuple[int, int, int]) -> None:
    """Raise ``ValueError`` unless ``factor`` is an integer by which the image can be reduced."""
    _, height, width = in_shape
    if not is_integer(factor) or factor < 1 or height % factor or width % factor:
        raise ValueError(
            f"factor must be a positive integer that divides height {height} and width {width}, "
            f"but was {factor!r}. Crop the image to a multiple of the factor."
        )

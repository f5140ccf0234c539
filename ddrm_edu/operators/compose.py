"""Operators made of operators: regions of an image, other coordinates, fewer measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..boundary import require_arguments
from ..validation import (
    EPS,
    boolean_mask,
    image_shape,
    is_integer,
    positive_shape,
    real_matrix,
    require_batch,
)
from .base import SVDOperator, require_one_for_all, require_singular_values, require_svd
from .linear_map import normal_images


class DirectSum(SVDOperator):
    r"""Rectangles of the image, each measured by an operator of its own.

    Ledger S09.1: with the pixels sorted by rectangle, :math:`H=\mathrm{diag}(H_1,H_2,\dots)`, so
    its SVD is made of theirs.  A pixel in no rectangle is not measured: s = 0, and V is the
    identity there.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width) of one image.
    parts : sequence of (op, top, left)
        ``op`` acts on all channels of the rectangle whose first row is ``top`` and whose first
        column is ``left``; its size is that of ``op.in_shape``.  Rectangles must not overlap.

    Notes
    -----
    ``out_shape`` is ``(m,)``: the measurements of the parts, flattened, one after the other.

    Raises
    ------
    ValueError
        If a part is no operator on images of so many channels, leaves the image, or shares pixels
        with another one.

    Examples
    --------
    The right half of the image was reduced, the rest is only noisy:

    >>> from ddrm_edu import Denoising, SuperResolution
    >>> half = (3, 32, 16)
    >>> op = DirectSum((3, 32, 32), [(Denoising(half), 0, 0), (SuperResolution(half, 4), 0, 16)])
    >>> op
    DirectSum((3, 32, 32) -> (1632,), rank 1632)
    >>> left, right = op.split(op(torch.zeros(1, 3, 32, 32)))
    >>> right.shape
    torch.Size([1, 3, 8, 4])
    """

    def __init__(self, in_shape: tuple[int, ...], parts: Sequence[tuple[SVDOperator, int, int]]):
        self.in_shape = image_shape(in_shape)
        if not isinstance(parts, list | tuple):
            raise ValueError(
                f"parts must be a list of (op, top, left), but was a {type(parts).__name__}."
            )
        self._parts = [_fitting_part(part, self.in_shape) for part in parts]
        if not self._parts:
            raise ValueError(
                "parts is empty, so nothing would be measured. Give at least one (op, top, left)."
            )
        self.out_shape = (sum(op.m for op, _, _ in self._parts),)
        self.s = torch.zeros(self.in_shape, dtype=torch.float64)
        owners = torch.full(self.in_shape, -1)
        for i, part in enumerate(self._parts):
            if (other := int(_region(owners, *part).max())) >= 0:
                raise ValueError(
                    f"The parts must not share pixels, but {_place(*self._parts[other])} overlaps "
                    f"{_place(*part)}. Move or crop one of them."
                )
            _region(owners, *part).fill_(i)
            _region(self.s, *part).copy_(part[0].s)

    def split(self, y: Tensor) -> tuple[Tensor, ...]:
        """The measurement of each part in its own shape, ``(batch, *op.out_shape)``."""
        require_batch(y, self.out_shape, "y")
        pieces = y.split([op.m for op, _, _ in self._parts], dim=1)
        return tuple(
            piece.reshape(-1, *op.out_shape)
            for piece, (op, _, _) in zip(pieces, self._parts, strict=True)
        )

    def V(self, x: Tensor) -> Tensor:
        return self._everywhere(x, lambda op, region: op.V(region))

    def Vt(self, x: Tensor) -> Tensor:
        return self._everywhere(x, lambda op, region: op.Vt(region))

    def U(self, x: Tensor) -> Tensor:
        return torch.cat(
            [op.U(_region(x, op, *corner)).flatten(1) for op, *corner in self._parts], dim=1
        )

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), *self.in_shape)
        for (op, *corner), piece in zip(self._parts, self.split(y), strict=True):
            _region(spec, op, *corner).copy_(op.Ut(piece))
        return spec

    def _everywhere(self, x: Tensor, act: Callable[[SVDOperator, Tensor], Tensor]) -> Tensor:
        """``x`` with every rectangle replaced by what ``act`` makes of it."""
        result = x.clone()
        for op, *corner in self._parts:
            _region(result, op, *corner).copy_(act(op, _region(x, op, *corner)))
        return result


class ChangeOfBasis(SVDOperator):
    r"""H seen from other coordinates: :math:`H'=HQ` with an orthogonal Q.

    From :math:`HQ=U\,\mathrm{diag}(s)\,(Q^\top V)^\top` (ledger S09.1): U and s stay, and
    :math:`V'=Q^\top V`.  So a denoiser that knows images in other coordinates (transposed, flipped,
    as cosine coefficients, in an orthonormal colour space) works with every operator on pixels.

    Parameters
    ----------
    op : SVDOperator
        H, on images of shape ``op.in_shape``.
    Q : callable or array (n, n)
        Orthogonal, ``(batch, *in_shape) -> (batch, *op.in_shape)``; as a matrix it acts on
        flattened images.
    Qt : callable, optional
        The transpose of Q, which is also its inverse; not needed for a matrix.
    in_shape : tuple of int, optional
        Shape of one image in the new coordinates; by default ``op.in_shape``.

    Notes
    -----
    Functions must follow the dtype and device of their argument; ``to`` cannot move what they hold.

    Raises
    ------
    ValueError
        If Q is not orthogonal, or Qt not its transpose; both are tried on random images.

    Examples
    --------
    An operator on wide images, for images that lie on their side:

    >>> from ddrm_edu import SuperResolution
    >>> wide = SuperResolution((1, 4, 6), 2)
    >>> op = ChangeOfBasis(wide, lambda x: x.mT, lambda x: x.mT, in_shape=(1, 6, 4))
    >>> x = torch.rand(2, 1, 6, 4)
    >>> torch.equal(op(x), wide(x.mT))
    True
    """

    def __init__(
        self,
        op: SVDOperator,
        Q: Callable[[Tensor], Tensor] | Any,
        Qt: Callable[[Tensor], Tensor] | Any = None,
        in_shape: tuple[int, ...] | None = None,
    ):
        require_operator(op, "op")
        self._op, self.out_shape = op, op.out_shape
        self.in_shape = positive_shape(in_shape or op.in_shape, "in_shape")
        if math.prod(self.in_shape) != op.n:
            raise ValueError(
                f"An orthogonal Q keeps the number of entries, but in_shape = {self.in_shape} has "
                f"{math.prod(self.in_shape)} and op.in_shape = {op.in_shape} has {op.n}."
            )
        if not callable(Q):
            Q = real_matrix(Q, "Q")
            if Q.shape != (op.n, op.n) or Qt is not None:
                raise ValueError(
                    f"As a matrix Q must have shape {(op.n, op.n)} and needs no Qt, but had shape "
                    f"{tuple(Q.shape)} and Qt was {'given' if Qt is not None else 'left out'}."
                )
            Qt = Q.T
        elif not callable(Qt):
            raise ValueError(
                "Q is a function, so its transpose is needed as a second one, Qt. "
                "For a flip or a transposition it is the same function again."
            )
        self._Q, self._Qt = Q, Qt
        self.s = op.s.expand(op.in_shape).reshape(self.in_shape)
        self._require_orthogonal()

    def V(self, x: Tensor) -> Tensor:
        return self._apply(self._Qt, self._op.V(x.reshape(-1, *self._op.in_shape)), self.in_shape)

    def Vt(self, x: Tensor) -> Tensor:
        return self._op.Vt(self._apply(self._Q, x, self._op.in_shape)).reshape(x.shape)

    def U(self, x: Tensor) -> Tensor:
        return self._op.U(x.reshape(-1, *self._op.in_shape))

    def Ut(self, y: Tensor) -> Tensor:
        return self._op.Ut(y).reshape(-1, *self.in_shape)

    @staticmethod
    def _apply(Q: Any, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        if isinstance(Q, Tensor):
            return (x.flatten(1) @ Q.to(x).T).reshape(-1, *shape)
        return Q(x)

    def _require_orthogonal(self) -> None:
        op_shape = self._op.in_shape
        new, old = (normal_images(shape).to(self.s.device) for shape in (self.in_shape, op_shape))
        there = self._checked(self._Q, "Q", new, op_shape)
        back = self._checked(self._Qt, "Qt", old, self.in_shape)
        claims = {
            "Qt(Q(x)) = x": self._apply(self._Qt, there, self.in_shape) - new,
            "Q(Qt(z)) = z": self._apply(self._Q, back, op_shape) - old,
            # Inner products of random images grow with sqrt(n).
            "<Q x, z> = <x, Qt z>": (_inner(there, old) - _inner(new, back)) / self.n**0.5,
        }
        bound = 1000 * EPS * self.n**0.5
        for claim, difference in claims.items():
            if not (worst := difference.abs().max().item()) <= bound:
                raise ValueError(
                    f"Q must be orthogonal, with Qt its transpose, but {claim} fails by "
                    f"{worst:.3g} on random images. A transform without its normalisation "
                    "(norm='ortho'), a permutation in the place of its inverse, or a matrix in "
                    "single precision are the usual causes; torch.linalg.qr(Q.double()).Q is "
                    "orthogonal to rounding."
                )

    def _checked(self, Q: Any, what: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """``Q(x)``, of the right shape and type, which leaves x alone."""
        before = x.clone()
        if not isinstance(Q, Tensor):
            require_arguments(Q, what, 1)
        result, single = self._apply(Q, x, shape), self._apply(Q, x.float(), shape)
        if not torch.equal(x, before):
            raise ValueError(f"{what} must not write into its argument. Work on x.clone().")
        right = all(
            isinstance(each, Tensor) and each.shape == (len(x), *shape) for each in (result, single)
        )
        if not right or result.layout is not torch.strided or result.device != x.device:
            raise ValueError(
                f"{what} must map a batch of shape {tuple(x.shape)} to {(len(x), *shape)}, but "
                f"gave a {type(result).__name__} of shape {tuple(getattr(result, 'shape', ()))}. "
                "in_shape= is the shape of one image in the new coordinates."
            )
        if (result.dtype, single.dtype) != (torch.float64, torch.float32):
            raise ValueError(
                f"{what} must keep the dtype of its argument, but gave {result.dtype} for float64 "
                f"and {single.dtype} for float32. Convert what it holds with tensor.to(x)."
            )
        return result


class SelectedRows(SVDOperator):
    r"""Some entries of the measurement, where the SVD stays exact: :math:`H'=RH`, R rows of I.

    Exactly if every entry of y belongs to one spectral coordinate, that is, if U is a permutation
    up to signs and zero columns: then R drops coordinates, and nothing else changes.  So it is for
    ``Denoising``, ``Inpainting``, ``SuperResolution``, ``Colorization``, ``PatchFunctional``,
    ``CompressedSensing`` and combinations of them.  Otherwise :math:`RU` has columns that are no
    longer orthogonal, and no cheap SVD is left.

    Parameters
    ----------
    op : SVDOperator
    keep : bool array of shape ``op.out_shape``
        True where the entry of y is kept.

    Notes
    -----
    ``out_shape`` is ``(k,)``: the k kept entries in row-major order.

    Raises
    ------
    ValueError
        If the SVD does not stay exact, or ``keep`` is not a mask of the measurement.

    Examples
    --------
    A reduced image with a hole in it:

    >>> from ddrm_edu import SuperResolution
    >>> keep = torch.ones(3, 8, 8, dtype=torch.bool)
    >>> keep[:, 2:6, 2:6] = False
    >>> SelectedRows(SuperResolution((3, 32, 32), 4), keep)
    SelectedRows((3, 32, 32) -> (144,), rank 144)
    """

    def __init__(self, op: SVDOperator, keep: Any):
        require_operator(op, "op")
        keep = boolean_mask(keep, "keep")
        if keep.dtype != torch.bool or tuple(keep.shape) != op.out_shape or not keep.any():
            raise ValueError(
                f"keep must be a boolean array of the measurement's shape {op.out_shape} with at "
                f"least one True (= kept), but was {keep.dtype} of shape {tuple(keep.shape)} with "
                f"{int((keep != 0).sum())} entries that are not False."
            )
        self.in_shape = op.in_shape
        self._op = op
        self._kept = keep.flatten().nonzero().squeeze(1)
        self.out_shape = (len(self._kept),)
        s = op.s.expand(op.in_shape)
        seen = (s > 0).cpu()
        remains = torch.zeros(op.in_shape, dtype=torch.bool)
        remains[seen] = keep.flatten()[owned_entries(op, seen)]
        self.s = torch.where(remains.to(s.device), s, 0.0)

    def V(self, x: Tensor) -> Tensor:
        return self._op.V(x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._op.Vt(x)

    def U(self, x: Tensor) -> Tensor:
        return self._op.U(self._masked(x)).flatten(1).index_select(1, self._kept.to(x.device))

    def Ut(self, y: Tensor) -> Tensor:
        whole = y.new_zeros(len(y), self._op.m).index_copy(1, self._kept.to(y.device), y)
        return self._masked(self._op.Ut(whole.reshape(-1, *self._op.out_shape)))

    def _masked(self, x: Tensor) -> Tensor:
        """``x`` with exact zeros where s = 0: another coordinate's rounding would leak in."""
        return torch.where(self.s.to(x.device) > 0, x, 0.0)


def require_operator(op: Any, what: str) -> None:
    require_svd(op, what)
    require_one_for_all(op, "An operator made of operators")
    require_singular_values(op)


def _fitting_part(part: Any, image: tuple[int, int, int]) -> tuple[SVDOperator, int, int]:
    """``part`` as (op, top, left) inside an image of this shape."""
    if not isinstance(part, Sequence) or len(part) != 3 or not all(map(is_integer, part[1:])):
        raise ValueError(
            f"Each part must be (op, top, left) with integers top and left, but one was {part!r}."
        )
    op, top, left = part[0], int(part[1]), int(part[2])
    require_operator(op, "The first of each part")
    if len(op.in_shape) != 3 or op.in_shape[0] != image[0]:
        raise ValueError(
            f"Each part sees all channels of its rectangle, so its in_shape must be ({image[0]}, "
            f"height, width), but {op!r} was given. Build the operator for that many channels."
        )
    (_, rows, columns), (_, height, width) = op.in_shape, image
    if not (0 <= top <= height - rows and 0 <= left <= width - columns):
        raise ValueError(
            f"Each part must lie inside the image of {height} rows and {width} columns, but "
            f"{_place(op, top, left)} does not. Rows and columns are counted from 0."
        )
    return op, top, left


def _place(op: SVDOperator, top: int, left: int) -> str:
    _, rows, columns = op.in_shape
    return (
        f"{type(op).__name__} in rows {top} to {top + rows - 1}, "
        f"columns {left} to {left + columns - 1}"
    )


def _region(x: Tensor, op: SVDOperator, top: int, left: int) -> Tensor:
    """View of the rectangle of ``op`` in an image or a batch of images."""
    _, rows, columns = op.in_shape
    return x[..., top : top + rows, left : left + columns]


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b.reshape(a.shape)).flatten(1).sum(1)


def owned_entries(op: SVDOperator, seen: Tensor) -> Tensor:
    """For every coordinate with s > 0 the one entry of y that it makes; ``ValueError`` if more.

    The entries of the probe are random numbers at least 1/2 apart: a U that only moves entries and
    flips signs shows them again, any other one mixes them.
    """
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(2, op.m, generator=generator, dtype=torch.float64)
    sizes = 1.25 + torch.arange(op.m) + draw[0] / 2
    probe = torch.where(draw[1] < 0.5, sizes, -sizes)
    found = op.Ut(probe.reshape(1, *op.out_shape).to(op.s.device))[0].cpu()[seen].abs()
    place = (found.floor().long() - 1).clamp(0, op.m - 1)
    near = (found - sizes[place]).abs() <= 1e-10 * op.m
    if not near.all() or len(place.unique()) < len(place):
        raise ValueError(
            f"Entries of y can be dropped exactly only where each belongs to one spectral "
            f"coordinate, but {op!r} mixes several coordinates in each: without some of its rows, "
            "the columns of U are not orthogonal any more. For a small image use "
            "Dense(op.matrix()[keep.flatten()], op.in_shape), for a large one TruncatedSVD of "
            "those rows; or mask the image in the place of the measurement."
        )
    return place

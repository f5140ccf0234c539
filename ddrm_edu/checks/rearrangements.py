"""Orders in which the numbers of an image can be read: what two operators most often differ by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Order", "Rearrangement", "rearrangements"]

LARGEST_PATCH = 16


class Order(NamedTuple):
    """A permutation of the entries of every image: entry i of the new one is ``index[i]``."""

    index: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, self.index].reshape(x.shape)

    @property
    def undone(self) -> Order:
        """The inverse permutation."""
        return Order(self.index.argsort())


class Rearrangement(NamedTuple):
    """The guess that H(x) = after(op(before(x))), and what it means, in a sentence."""

    before: Order
    after: Order
    cause: str


def rearrangements(
    in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Iterator[Rearrangement]:
    """Every usual way in which an operator can be right but for the order of entries."""
    x, y = _Entries(in_shape), _Entries(out_shape)
    yield from _reversed(x, y)
    yield from _shifted(x, y)
    yield from _transposed(x, y)
    yield from _channels(x, y)
    yield from _patches(x, y)


class _Entries:
    """The entries of images of one shape, and the orders in which they can be read."""

    def __init__(self, shape: tuple[int, ...]):
        self.n = math.prod(shape)
        #: (channels, height, width), or None for a vector
        self.planes = {2: (1, *shape), 3: shape}.get(len(shape))
        self.same = Order(torch.arange(self.n))

    def order(self, permute: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Order:
        return Order(permute(self.same.index.reshape(shape)).flatten())

    def backwards(self, axes: tuple[int, ...]) -> Order | None:
        if self.planes:
            return self.order(lambda grid: grid.flip(axes), self.planes)
        return self.order(lambda entries: entries.flip(0), (self.n,)) if len(axes) == 2 else None

    def by_columns(self) -> Iterator[tuple[str, Order]]:
        """Each plane read column by column; a vector as any image that it could be."""
        sides = [(h, self.n // h) for h in range(2, self.n) if self.n % h == 0]
        if self.planes:
            sides = dict.fromkeys([self.planes[1:], self.planes[:0:-1]])
        for height, width in sides:
            order = self.order(lambda grid: grid.mT, (-1, height, width))
            yield f"{height} x {width}", order


def _reversed(x: _Entries, y: _Entries) -> Iterator[Rearrangement]:
    ways = {
        (-2, -1): "H is your operator on images turned by 180 degrees: the kernel is flipped. A "
        "convolution flips its kernel, torch's conv2d and a sum over x[i + k] do not: use "
        "kernel.flip(0, 1) in one of the two.",
        (-2,): "H is your operator on images that stand upside down: the rows of the image, or "
        "those of the kernel, run the other way.",
        (-1,): "H is your operator on mirrored images: the columns of the image, or those of the "
        "kernel, run the other way.",
    }
    for axes, cause in ways.items():
        before, after = x.backwards(axes), y.backwards(axes)
        if before and after:
            yield Rearrangement(before, after, cause)
        if before:
            yield Rearrangement(before, y.same, cause)


def _shifted(x: _Entries, y: _Entries) -> Iterator[Rearrangement]:
    """Of a circular blur: which entry of a kernel of even length is its centre."""
    steps = [step for step in itertools.product((0, 1, -1), repeat=2) if any(step)]
    turned = x.backwards((-2, -1)), y.backwards((-2, -1))
    for step in steps if x.planes and y.planes else ():
        shift = y.order(lambda grid, step=step: grid.roll(step, (-2, -1)), y.planes)
        cause = (
            f"H is your operator, shifted by {step} pixels: the two take another entry of the "
            "kernel for its centre."
        )
        yield Rearrangement(x.same, shift, cause)
        both = Order(turned[1].index[shift.index])
        yield Rearrangement(turned[0], both, f"{cause} The kernel is flipped as well.")


def _transposed(x: _Entries, y: _Entries) -> Iterator[Rearrangement]:
    for (shape, before), (_, after) in itertools.product(
        x.by_columns(), [*y.by_columns(), ("", y.same)]
    ):
        yield Rearrangement(
            before,
            after.undone,
            f"H is your operator on transposed images: one of the two reads images of {shape} "
            "column by column. Either the factors of a Kronecker product are exchanged (row by "
            "row, A X B^T is kron(A, B)), or something is flattened in order 'F'.",
        )
    for _, after in y.by_columns():
        cause = "The entries of y are listed column by column by one of the two: transpose y."
        yield Rearrangement(x.same, after.undone, cause)


def _channels(x: _Entries, y: _Entries) -> Iterator[Rearrangement]:
    if not x.planes or x.planes[0] == 1:
        return
    for permute, cause in (
        (
            lambda grid: grid.flip(0),
            "The channels come in the opposite order: RGB for one of the two, BGR for the other.",
        ),
        (
            lambda grid: grid.permute(1, 2, 0),
            "The channels come last (height, width, channels) for one of the two and first for the "
            "other. In a batch of images they come first: x.permute(0, 3, 1, 2).",
        ),
    ):
        order = x.order(permute, x.planes)
        for before in (order, order.undone):
            yield Rearrangement(before, y.same, cause)
        if y.planes and y.planes[0] > 1:
            other = y.order(permute, y.planes)
            yield Rearrangement(order, other.undone, cause)
            yield Rearrangement(order.undone, other, cause)


def _patches(x: _Entries, y: _Entries) -> Iterator[Rearrangement]:
    if not x.planes:
        return
    afters = [y.same, *(order.undone for _, order in y.by_columns())] if y.planes else [y.same]
    for h, w in itertools.product(*map(_divisors, x.planes[1:])):
        listed = x.order(lambda grid, h=h, w=w: _listed_by_columns(grid, h, w), x.planes)
        gathered = x.order(lambda grid, h=h, w=w: _gathered(grid, h, w), x.planes)
        cause = (
            f"The pixels of each {h} x {w} patch are listed column by column by one of the two and "
            "row by row by the other."
        )
        for before in (listed, listed.undone) if min(h, w) > 1 else ():
            yield Rearrangement(before, y.same, cause)
        cause = (
            f"The permutation P of slide 21 is missing in one of the two: H is your operator after "
            f"the pixels of each {h} x {w} patch were gathered. Permute in Vt, and back in V."
        )
        for before, after in itertools.product((gathered, gathered.undone), afters):
            yield Rearrangement(before, after, cause)


def _gathered(grid: Tensor, h: int, w: int) -> Tensor:
    """Patch after patch, each row by row."""
    c, height, width = grid.shape
    return grid.reshape(c, height // h, h, width // w, w).transpose(2, 3)


def _listed_by_columns(grid: Tensor, h: int, w: int) -> Tensor:
    """Every patch in its place, its pixels listed column by column."""
    patches = _gathered(grid, h, w)
    return patches.mT.reshape(patches.shape).transpose(2, 3).reshape(grid.shape)


def _divisors(side: int) -> list[int]:
    return [d for d in range(1, min(side, LARGEST_PATCH) + 1) if side % d == 0]

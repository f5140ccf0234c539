"""Lecture 09: the size of a patch, the way back from patches, mixtures of channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddrm_edu.course.answers import numbers
from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.course.operator_cases import examined, stored
from ddrm_edu.operators import Dense, SVDOperator


@question("09.1", "How large may a patch be?", kind="paper", of="side")
@hints(
    "n is the number of pixels, the square of the side.",
    "n + r^4 <= 2 n says r^4 <= n.",
    "r <= n^(1/4), the square root of the side; take the integer below it.",
)
@mistakes(
    lambda side: side,
    "That is r^2 <= n, which a reflection needs. V_k has r^2 x r^2 entries.",
    lambda side: math.isqrt(math.isqrt(side)),
    "The fourth root of n, not of the side: n is the square of the side.",
    lambda side: math.isqrt(side) - 1,
    "Close, but equality is allowed: at most 2 n.",
    lambda side: math.isqrt(2 * side),
    "One n of the 2 n is taken by the permutation: only n is left for r^4.",
    lambda side: round(side**0.5),
    "The root is to be rounded down: a larger r does not fit. Try side = 8.",
    lambda side: math.ceil(side**0.5),
    "A factor above the root does not fit any more: round down.",
    lambda side: side**0.5,
    "The bound is right, but a factor is an integer: the largest one below it.",
)
def largest_factor(answer: Answer) -> Cases:
    for side in (16, 8, 30, 31, 64, 256):
        n = side**2
        want = max(r for r in range(1, side + 1) if n + r**4 <= 2 * n)
        yield f"side = {side}", answer(side), want


def _order(h: int, w: int, r: int) -> Tensor:
    return torch.arange(h * w).reshape(h // r, r, w // r, r).swapaxes(1, 2).flatten()


@question("09.2", "Back from patches to pixels", kind="code", of="h, w, r")
@hints(
    "P as an index vector is torch.arange(h * w), reshaped, two axes swapped, flattened.",
    "The inverse of a permutation is what sorts it: order.argsort().",
    "Or reshape torch.arange(h * w) to (h // r, w // r, r, r) and swap the middle axes.",
)
@mistakes(
    _order,
    "This is P itself. For a 4 x 4 image and r = 2 it is its own inverse, in general it is not.",
    lambda h, w, r: torch.arange(h * w),
    "Nothing is moved here: neighbours in a patch are not neighbours in a row.",
    lambda h, w, r: torch.arange(h * w).reshape(w // r, h // r, r, r).permute(1, 2, 0, 3).flatten(),
    "These patches are listed column by column; the slide lists them row by row.",
    lambda h, w, r: torch.arange(h * w).reshape(h // r, w // r, r, r).permute(0, 3, 1, 2).flatten(),
    "The pixels of a patch are listed column by column here; the slide goes row by row.",
    lambda h, w, r: _order(h, w, r).argsort() + 1,
    "Indices count from 0.",
    lambda h, w, r: _order(h, w, r).flip(0),
    "To list a permutation backwards is not to invert it: argsort does.",
    lambda h, w, r: (
        torch.arange(h * w).reshape(h // r, w // r, r, r).swapaxes(1, 2).reshape(h, w).T.flatten()
    ),
    "The image is to be listed row by row; yours is listed column by column.",
)
def pixels_first(answer: Answer) -> Cases:
    for h, w, r in ((4, 4, 2), (4, 6, 2), (6, 9, 3), (6, 4, 1)):
        want = torch.empty(h * w, dtype=torch.long)
        want[_order(h, w, r)] = torch.arange(h * w)
        got = answer(h, w, r)
        index = numbers(got)  # of shape (h, w) as well, since p[index] is then the image itself
        flat = got if index is None else index.flatten()
        yield f"{h} x {w} pixels, r = {r}", flat, want


class _Mixed(SVDOperator):
    """M on the channels; each option is a mistake."""

    def __init__(
        self,
        M: Tensor,
        shape: tuple[int, ...],
        *,
        thin: bool = False,
        swapped: bool = False,
        large: bool = False,
        squared: bool = False,
        dense: bool = False,
    ) -> None:
        self._U, s, self._Vt = torch.linalg.svd(M)
        if thin:
            self._Vt = torch.cat([self._Vt[: len(M)], 0 * self._Vt[len(M) :]])
        if swapped:
            self._Vt = self._Vt.T.contiguous()
        self.in_shape, self.out_shape = tuple(shape), (len(M), *shape[1:])
        self.s = torch.zeros(shape[0], 1, 1, dtype=torch.float64)
        self.s[: len(M), 0, 0] = s
        if squared:
            self.s = self.s**2
        if dense:
            self._stored = torch.kron(self._Vt, torch.eye(math.prod(shape[1:])).to(M))
        if large:
            self.s = self.s.repeat(1, *shape[1:])

    def V(self, x: Tensor) -> Tensor:
        return torch.einsum("ji,bjhw->bihw", self._Vt.to(x), x)

    def Vt(self, x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", self._Vt.to(x), x)

    def U(self, x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", self._U.to(x), x[:, : len(self._U)])

    def Ut(self, y: Tensor) -> Tensor:
        x = y.new_zeros(len(y), *self.in_shape)
        x[:, : len(self._U)] = torch.einsum("ji,bjhw->bihw", self._U.to(y), y)
        return x


def _dense(M: Tensor, shape: tuple[int, ...], *, interleaved: bool = False) -> Dense:
    """M on the channels by a Kronecker product, in one of its two orders."""
    pixels = torch.eye(math.prod(shape[1:])).to(M)
    H = torch.kron(pixels, M) if interleaved else torch.kron(M, pixels)
    return Dense(H, shape, (len(M), *shape[1:]))


@question("09.3", "Any mixture of channels", kind="code", of="M, shape")
@hints(
    "H = M (x) I, so the SVD of the small matrix M is all that is needed.",
    "V^T x is the c x c matrix V_M^T on the channels of each pixel, s has shape (c, 1, 1).",
    'V^T x = torch.einsum("ij,bjhw->bihw", Vt.to(x), x), with Vt = torch.linalg.svd(M)[2].',
)
@mistakes(
    _dense,
    "The right matrix, but stored: it grows with the square of the image.",
    lambda M, shape: _dense(M, shape, interleaved=True),
    "I (x) M is for images whose channels are interleaved; here the channel comes first.",
    lambda M, shape: _Mixed(M, shape, thin=True),
    "The null space is gone: keep all c rows of V^T (full_matrices=True).",
    lambda M, shape: _Mixed(M, shape, swapped=True),
    "V and V^T are exchanged: torch.linalg.svd returns V^T.",
    lambda M, shape: _Mixed(M, shape, large=True),
    "A singular value for each number of the image is stored: of shape (c, 1, 1) it is broadcast.",
    lambda M, shape: _Mixed(M.abs(), shape),
    "Weights may be negative.",
    lambda M, shape: _Mixed(M, shape, squared=True),
    "s holds squares: the eigenvalues of M M^T. Take their roots.",
    lambda M, shape: _Mixed(M, shape, dense=True),
    "The right operator, but a matrix on all the pixels is stored: c x c numbers are enough.",
)
def mixture_of_channels(answer: Answer) -> Cases:
    for rows, (h, w) in (
        ([[1.0, 2.0]], (1, 1)),
        ([[0.5, -0.2, 0.1], [0.3, 0.4, -0.9]], (2, 3)),
    ):
        M = tensor(rows)
        H = torch.einsum("ac,pq->apcq", M, torch.eye(h * w).to(M)).reshape(len(M) * h * w, -1)
        name = f"M of shape {tuple(M.shape)} and {h} x {w} pixels"
        yield from examined(answer(M, (M.shape[1], h, w)), name, H)
    grown = stored(answer(M, (3, 16, 16))) - stored(answer(M, (3, 4, 4)))
    yield "bytes stored for 16 x 16 pixels beyond those for 4 x 4", grown, 0

"""What is wrong with an operator, found out by trying: the one change after which all laws hold.

A guess is a sentence and the operator that would be right if the sentence were true: the broken
operator itself, its methods exchanged, scaled, transposed, masked or put in another order.  The
first guess that obeys every law is the cause.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..operators import SVDOperator
from ._laws import Law
from .in_words import columns_in_words, differing_entries, lengths_in_words, spectrum_in_words
from .rearrangements import Order, rearrangements

__all__ = ["LARGEST_MATRIX", "explained"]

LARGEST_MATRIX = 1024  # entries of an image up to which a method is written as a matrix
FLOAT32 = torch.finfo(torch.float32).eps
METHODS = ("V", "Vt", "U", "Ut")

Map = Callable[[Tensor], Tensor]


class Guess(NamedTuple):
    """A cause, and the operator that would be right if it were the cause."""

    cause: str
    op: SVDOperator


def explained(
    op: SVDOperator,
    truth: Map | None,
    laws: list[Law],
    holds: Callable[[SVDOperator], bool],
    told: Collection[str],
) -> list[Law]:
    """``laws`` with the cause in the first one that fails, if it can be found.

    Parameters
    ----------
    op : SVDOperator
    truth : callable, optional
        What ``op`` should do to a batch of images.
    laws : list of Law
    holds : callable
        Whether another operator obeys all the laws that can be guessed at.
    told : collection of str
        Names of laws that tell their cause themselves.
    """
    broken = [i for i, law in enumerate(laws) if not law.ok]
    vague = [i for i in broken if laws[i].name not in told]
    if not vague:
        return laws
    if broken[0] < vague[0]:  # a method that adds a constant, say, can break everything else
        changes = dict.fromkeys(vague, "It may come from what failed above: repair that first.")
    else:
        cause = _cause(op, truth, holds)
        others = "It has the same cause." if cause else "It may have the same cause."
        cause = cause or _last_resort(op, truth, [laws[i] for i in vague])
        changes = dict.fromkeys(vague, others) | {vague[0]: cause or laws[vague[0]].advice}
    return [
        dataclasses.replace(law, advice=changes.get(i, law.advice)) for i, law in enumerate(laws)
    ]


def _cause(op: SVDOperator, truth: Map | None, holds: Callable[[SVDOperator], bool]) -> str:
    for guesses in (_own_methods, _exchanged, _scaled, _masked, _transposed, _completed):
        with contextlib.suppress(Exception):  # what a broken operator cannot do is no guess
            for guess in guesses(op):
                if holds(guess.op):
                    return guess.cause
    for guesses in (_other_spectrum, _rearranged, _adjoint) if truth else ():
        with contextlib.suppress(Exception):
            for guess in guesses(op, truth):
                if holds(guess.op):
                    return guess.cause
    return ""


def _last_resort(op: SVDOperator, truth: Map | None, broken: list[Law]) -> str:
    """What can be said without having repaired anything."""
    rounding = FLOAT32 * 100 * op.n**0.5
    if all(FLOAT32 / 100 <= law.error <= rounding for law in broken):
        return (
            "An error of this size is float32's rounding. Decompose H.double(), keep the factors "
            "in float64, and convert them in each method: matrix.to(x)."
        )
    with contextlib.suppress(Exception):
        if truth and len(broken) == 1 and max(op.n, op.m) <= LARGEST_MATRIX:
            due = _matrix(truth, op.in_shape)
            return differing_entries(op.matrix(), due, op.out_shape)
    return ""


# ------------------------------------------------------------------------------------------ guesses


class _Repaired(SVDOperator):
    """An operator with some of its parts replaced."""

    def __init__(self, op: SVDOperator, *, s: Tensor | None = None, **methods: Map):
        self.in_shape, self.out_shape = tuple(op.in_shape), tuple(op.out_shape)
        self.s = op.s if s is None else s.reshape(self.in_shape)
        self._methods = {name: getattr(op, name) for name in METHODS} | methods

    def V(self, x: Tensor) -> Tensor:
        return self._methods["V"](x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._methods["Vt"](x)

    def U(self, x: Tensor) -> Tensor:
        return self._methods["U"](x)

    def Ut(self, y: Tensor) -> Tensor:
        return self._methods["Ut"](y)


def _own_methods(op: SVDOperator) -> Iterator[Guess]:
    derived = ("__call__", "adjoint", "measure_spec", "pinv")
    own = [name for name in derived if getattr(type(op), name) is not getattr(SVDOperator, name)]
    if own:
        cause = (
            f"The class has its own {' and '.join(own)}, which does not fit V, U and s. Delete "
            "it: SVDOperator derives it from them."
        )
        yield Guess(cause, _Repaired(op))


def _exchanged(op: SVDOperator) -> Iterator[Guess]:
    cause = (
        "V and Vt are exchanged. torch.linalg.svd and numpy.linalg.svd return Vh, which is V^T: "
        "for images as rows V(x) = x @ Vh and Vt(x) = x @ Vh.T."
    )
    yield Guess(cause, _Repaired(op, V=op.Vt, Vt=op.V))
    cause = "U and Ut are exchanged. For images as rows U(x) = x @ U.T and Ut(y) = y @ U."
    bare = [_unguarded(op, name) for name in ("U", "Ut")]
    yield Guess(cause, _Repaired(op, U=bare[1], Ut=bare[0]))


def _unguarded(op: SVDOperator, name: str) -> Map:
    """A method without the check of its argument's shape, which may be that of another method."""
    method = getattr(type(op), name)
    return getattr(method, "__wrapped__", method).__get__(op)


def _scaled(op: SVDOperator) -> Iterator[Guess]:
    x, seen, s = _normal(op.in_shape), _seen(op), _spectrum(op)
    measured = op.U(seen * x)
    factors = {
        "V": _length_factor(op.V(x), x),
        "Vt": _length_factor(op.Vt(x), x),
        "U": _length_factor(measured, seen * x),
        "Ut": _length_factor(op.Ut(measured), measured),
    }
    wrong = {name: c for name, c in factors.items() if abs(c - 1) > 1e-9}
    if wrong and all(map(math.isfinite, wrong.values())):
        parts = {name: _divided(getattr(op, name), c) for name, c in wrong.items()}
        cause = lengths_in_words(wrong, op.n)
        yield Guess(f"{cause} Divide it out.", _Repaired(op, **parts))
        c = factors["U"] * factors["Vt"]
        yield Guess(
            f"{cause} Divide it out, and multiply s by {c:.4g}.", _Repaired(op, s=c * s, **parts)
        )

    squares = op.Ut(op.U(seen))[:1]  # of the lengths of U's columns, if Ut is its transpose
    lengths = torch.where(squares > 0, squares, 1.0).sqrt()
    is_h_v = _close(seen * squares, seen * s**2)
    cause = "U is H V here, whose columns are s_i long. " if is_h_v else ""
    yield Guess(
        f"{cause}The columns of U must have length 1: divide each by its length, s_i included.",
        _Repaired(op, U=lambda v: op.U(v / lengths), Ut=lambda y: op.Ut(y) / lengths),
    )


def _length_factor(image: Tensor, x: Tensor) -> float:
    """By how much a map multiplies lengths; NaN if not every length alike."""
    ratios = image.flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    return float(ratios.mean()) if _close(ratios, ratios.mean().expand_as(ratios)) else math.nan


def _divided(method: Map, c: float) -> Map:
    return lambda x: method(x) / c


def _masked(op: SVDOperator) -> Iterator[Guess]:
    seen = _seen(op)
    lost = int((seen == 0).sum())
    where = {
        "U": bool(op.U((1 - seen) * _normal(op.in_shape)).any()),
        "Ut": bool(((1 - seen) * op.Ut(_normal(op.out_shape))).any()),
    }
    names = " and ".join(name for name, wrong in where.items() if wrong)
    cause = (
        f"{names} must be 0 in the {lost} coordinates with s = 0: U's columns there are zeros. "
        "Multiply by (s > 0), before U and after Ut."
    )
    yield Guess(cause, _Repaired(op, U=lambda x: op.U(seen * x), Ut=lambda y: seen * op.Ut(y)))


def _transposed(op: SVDOperator) -> Iterator[Guess]:
    if max(op.n, op.m) > LARGEST_MATRIX:
        return
    shapes = {"V": op.in_shape, "Vt": op.in_shape, "U": op.in_shape, "Ut": op.out_shape}
    for name, other, out in (
        ("V", "Vt", op.in_shape),
        ("Vt", "V", op.in_shape),
        ("U", "Ut", op.out_shape),
        ("Ut", "U", op.in_shape),
    ):
        got, partner = (_matrix(getattr(op, each), shapes[each]) for each in (name, other))
        cause = columns_in_words(name, other, got, partner.T)
        yield Guess(cause, _Repaired(op, **{name: _acting(partner.T, out)}))


def _completed(op: SVDOperator) -> Iterator[Guess]:
    """A thin V, which may still have n columns if the missing ones are zeros."""
    if op.n > LARGEST_MATRIX:
        return
    V = _matrix(op.V, op.in_shape)
    lost, V = int((V.norm(dim=0) < 1e-9).sum()), _filled(V)
    if not lost:
        return
    cause = (
        f"V is thin: {lost} of its {op.n} columns are missing, those of the null space, which DDRM "
        "must fill in. Decompose with full_matrices=True and keep all of Vh."
    )
    yield Guess(cause, _Repaired(op, V=_acting(V, op.in_shape), Vt=_acting(V.T, op.in_shape)))


def _other_spectrum(op: SVDOperator, truth: Map) -> Iterator[Guess]:
    """If U and V are right, U^T H V is diagonal and tells what s should have been."""
    along = lambda x: op.Ut(truth(op.V(x)))  # noqa: E731
    x, due = _normal(op.in_shape), along(torch.ones(1, *op.in_shape, dtype=torch.float64))
    if not _close(along(x), due * x):
        return
    sign = torch.where(due < 0, -1.0, 1.0).to(due)
    due_s = torch.where(due.abs() > 1e-12 * due.abs().max(), due.abs(), 0.0)
    yield Guess(
        spectrum_in_words(_spectrum(op).flatten(), due.flatten()),
        _Repaired(
            op, s=due_s, U=lambda v: op.U(sign * v), Ut=lambda y: (due_s > 0) * sign * op.Ut(y)
        ),
    )


def _rearranged(op: SVDOperator, truth: Map) -> Iterator[Guess]:
    x = _normal(op.in_shape)
    due = truth(x)
    for before, after, cause in rearrangements(tuple(op.in_shape), tuple(op.out_shape)):
        if _close(after(op(before(x))), due):
            yield Guess(cause, _reordered(op, before, after))


def _reordered(op: SVDOperator, before: Order, after: Order) -> SVDOperator:
    return _Repaired(
        op,
        V=lambda x: before.undone(op.V(x)),
        Vt=lambda x: op.Vt(before(x)),
        U=lambda x: after(op.U(x)),
        Ut=lambda y: op.Ut(after.undone(y)),
    )


def _adjoint(op: SVDOperator, truth: Map) -> Iterator[Guess]:
    if op.n != op.m or op.n > LARGEST_MATRIX:
        return
    seen, shape = _seen(op), tuple(op.in_shape)
    V = _filled(_matrix(op.U, shape))
    yield Guess(
        "This is the SVD of H^T: either H was transposed, or U and V are exchanged.",
        _Repaired(
            op,
            V=_acting(V, shape),
            Vt=_acting(V.T, shape),
            U=lambda x: op.V(seen * x).reshape(-1, *op.out_shape),
            Ut=lambda y: seen * op.Vt(y.reshape(-1, *shape)),
        ),
    )


def _filled(columns: Tensor) -> Tensor:
    """A square matrix whose zero columns are filled by an orthonormal basis of the rest."""
    missing = columns.norm(dim=0) < 1e-9
    rest = torch.linalg.svd(columns[:, ~missing]).U[:, int((~missing).sum()) :]
    return columns.index_copy(1, missing.nonzero()[:, 0], rest)


# -------------------------------------------------------------------------------------- small tools


def _normal(shape: tuple[int, ...]) -> Tensor:
    """Three random images, always the same."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn((3, *shape), generator=generator, dtype=torch.float64)


def _spectrum(op: SVDOperator) -> Tensor:
    return op.s.detach().double().cpu().expand(op.in_shape)


def _seen(op: SVDOperator) -> Tensor:
    return (_spectrum(op) > 0).double()[None]


def _close(got: Tensor, want: Tensor) -> bool:
    size = float(want.abs().max()) or 1.0
    return got.shape == want.shape and bool((got - want).abs().max() <= 1e-9 * size)


def _matrix(apply: Map, shape: tuple[int, ...]) -> Tensor:
    """Matrix of a linear map of images, column by column."""
    unit = torch.eye(math.prod(shape), dtype=torch.float64)
    return apply(unit.reshape(-1, *shape)).flatten(1).T.clone()


def _acting(matrix: Tensor, out: tuple[int, ...]) -> Map:
    return lambda x: (x.flatten(1) @ matrix.T.to(x)).reshape(-1, *out)

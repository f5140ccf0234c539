"""What is wrong with an operator, found out by trying: the one change after which all claims hold.

A guess is a sentence and the operator that would be right if the sentence were true: the broken
operator itself, its methods exchanged, scaled, transposed, masked or put in another order.  The
first guess that keeps every claim is the cause.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..operators import SVDOperator
from ..operators.base import dense_map
from ..operators.linear_map import RAISED, normal_images
from .report import Finding
from .scores import apart

LARGEST_MATRIX = 1024  # entries of an image up to which a method is written as a matrix
LARGEST_PATCH = 16
FLOAT32 = torch.finfo(torch.float32).eps
METHODS = ("V", "Vt", "U", "Ut")
RTOL = 1e-9

Map = Callable[[Tensor], Tensor]


class Advice(NamedTuple):
    """The likely cause and what to do about it; read together, they are one text."""

    cause: str
    fix: str = ""


Guesses = Iterator[tuple[Advice, SVDOperator]]
"""What may be wrong, each with the operator that would be right if it were that."""


def explained(
    op: SVDOperator,
    truth: Map | None,
    findings: list[Finding],
    holds: Callable[[SVDOperator], bool],
    told: Collection[str],
) -> list[Finding]:
    """``findings`` with the cause in the first that is broken, if it can be found.

    ``truth`` is what ``op`` should do to a batch of images, ``holds`` whether another operator
    keeps all the claims that can be guessed at; the claims ``told`` tell their cause themselves.
    """
    broken = [i for i, finding in enumerate(findings) if not finding.ok]
    vague = [i for i in broken if findings[i].name not in told]
    if not vague:
        return findings
    if broken[0] < vague[0]:  # a method that adds a constant, say, can break everything else
        above = Advice("It may come from what failed above:", "repair that first.")
        advice = dict.fromkeys(vague, above)
    else:
        cause = _cause(op, truth, holds)
        others = Advice("It has the same cause." if cause else "It may have the same cause.")
        advice = dict.fromkeys(vague[1:], others)
        cause = cause or _last_resort(op, truth, [findings[i] for i in vague])
        if cause:
            advice[vague[0]] = cause
    return [
        dataclasses.replace(finding, **advice[i]._asdict()) if i in advice else finding
        for i, finding in enumerate(findings)
    ]


def _cause(
    op: SVDOperator, truth: Map | None, holds: Callable[[SVDOperator], bool]
) -> Advice | None:
    guessers = (_own_methods, _exchanged, _scaled, _masked, _transposed, _completed)
    all_guesses = [guess(op) for guess in guessers]
    if truth is not None:
        all_guesses += [guess(op, truth) for guess in (_other_spectrum, _rearranged, _adjoint)]
    for guesses in all_guesses:
        with contextlib.suppress(*RAISED):  # what a broken operator cannot do is no guess
            for advice, repaired in guesses:
                if holds(repaired):
                    return advice
    return None


def _last_resort(op: SVDOperator, truth: Map | None, broken: list[Finding]) -> Advice | None:
    """What can be said without having repaired anything."""
    rounding = FLOAT32 * 100 * op.n**0.5
    if all(FLOAT32 / 100 <= finding.error <= rounding for finding in broken):
        return Advice(
            "An error of this size is float32's rounding.",
            "Decompose H.double(), keep the factors in float64, and convert them in each method: "
            "matrix.to(x).",
        )
    with contextlib.suppress(*RAISED):
        if truth and len(broken) == 1 and max(op.n, op.m) <= LARGEST_MATRIX:
            due = dense_map(truth, op.in_shape)
            return _differing_entries(op.matrix(), due, op.out_shape)
    return None


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


def _own_methods(op: SVDOperator) -> Guesses:
    derived = ("__call__", "adjoint", "measure_spec", "pinv")
    own = [name for name in derived if getattr(type(op), name) is not getattr(SVDOperator, name)]
    if own:
        advice = Advice(
            f"The class has its own {' and '.join(own)}, which does not fit V, U and s.",
            "Delete it: SVDOperator derives it from them.",
        )
        yield advice, _Repaired(op)


def _exchanged(op: SVDOperator) -> Guesses:
    advice = Advice(
        "V and Vt are exchanged.",
        "torch.linalg.svd and numpy.linalg.svd return Vh, which is V^T: for images as rows "
        "V(x) = x @ Vh and Vt(x) = x @ Vh.T.",
    )
    yield advice, _Repaired(op, V=op.Vt, Vt=op.V)
    fix = "For images as rows U(x) = x @ U.T and Ut(y) = y @ U."
    U, Ut = (_unguarded(op, name) for name in ("U", "Ut"))
    yield Advice("U and Ut are exchanged.", fix), _Repaired(op, U=Ut, Ut=U)


def _unguarded(op: SVDOperator, name: str) -> Map:
    """A method without the check of its argument's shape, which may be that of another method."""
    method = getattr(type(op), name)
    return getattr(method, "__wrapped__", method).__get__(op)


def _scaled(op: SVDOperator) -> Guesses:
    x, seen, s = _normal(op.in_shape), _seen(op), op.spectrum()
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
        cause, c = _lengths(wrong, op.n), factors["U"] * factors["Vt"]
        yield Advice(cause, "Divide it out."), _Repaired(op, s=s, **parts)
        advice = Advice(cause, f"Divide it out, and multiply s by {c:.4g}.")
        yield advice, _Repaired(op, s=c * s, **parts)

    squares = op.Ut(op.U(seen))[:1]  # of the lengths of U's columns, if Ut is its transpose
    lengths = torch.where(squares > 0, squares, 1.0).sqrt()
    is_h_v = _close(seen * squares, seen * s**2)
    cause = "U is H V here, whose columns are s_i long. " if is_h_v else ""
    cause += "The columns of U must have length 1:"
    repaired = _Repaired(op, U=lambda v: op.U(v / lengths), Ut=lambda y: op.Ut(y) / lengths)
    yield Advice(cause, "divide each by its length, s_i included."), repaired


def _length_factor(image: Tensor, x: Tensor) -> float:
    """By how much a map multiplies lengths; NaN if not every length alike."""
    ratios = image.flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    return float(ratios.mean()) if _close(ratios, ratios.mean().expand_as(ratios)) else math.nan


def _divided(method: Map, c: float) -> Map:
    return lambda x: method(x) / c


def _masked(op: SVDOperator) -> Guesses:
    seen = _seen(op)
    lost = int((seen == 0).sum())
    where = {
        "U": bool(op.U((1 - seen) * _normal(op.in_shape)).any()),
        "Ut": bool(((1 - seen) * op.Ut(_normal(op.out_shape))).any()),
    }
    names = " and ".join(name for name, wrong in where.items() if wrong)
    advice = Advice(
        f"{names} must be 0 in the {lost} coordinates with s = 0: U's columns there are zeros.",
        "Multiply by (s > 0), before U and after Ut.",
    )
    yield advice, _Repaired(op, U=lambda x: op.U(seen * x), Ut=lambda y: seen * op.Ut(y))


def _transposed(op: SVDOperator) -> Guesses:
    if max(op.n, op.m) > LARGEST_MATRIX:
        return
    for name, other in (("V", "Vt"), ("Vt", "V"), ("U", "Ut"), ("Ut", "U")):
        got, partner = (
            dense_map(getattr(op, each), op.out_shape if each == "Ut" else op.in_shape)
            for each in (name, other)
        )
        out = op.out_shape if name == "U" else op.in_shape
        advice = _differing_columns(name, other, got, partner.T)
        yield advice, _Repaired(op, s=op.s, **{name: _acting(partner.T, out)})


def _completed(op: SVDOperator) -> Guesses:
    """A thin V, which may still have n columns if the missing ones are zeros."""
    if op.n > LARGEST_MATRIX:
        return
    V = dense_map(op.V, op.in_shape)
    lost, V = int((V.norm(dim=0) < 1e-9).sum()), _filled(V)
    if not lost:
        return
    advice = Advice(
        f"V is thin: {lost} of its {op.n} columns are missing, those of the null space, which DDRM "
        "must fill in.",
        "Decompose with full_matrices=True and keep all of Vh.",
    )
    yield advice, _Repaired(op, V=_acting(V, op.in_shape), Vt=_acting(V.T, op.in_shape))


def _other_spectrum(op: SVDOperator, truth: Map) -> Guesses:
    """If U and V are right, U^T H V is diagonal and tells what s should have been."""
    along = lambda x: op.Ut(truth(op.V(x)))  # noqa: E731
    x, due = _normal(op.in_shape), along(torch.ones(1, *op.in_shape, dtype=torch.float64))
    if not _close(along(x), due * x):
        return
    sign = torch.where(due < 0, -1.0, 1.0).to(due)
    due_s = torch.where(due.abs() > 1e-12 * due.abs().max(), due.abs(), 0.0)
    Ut = lambda y: (due_s > 0) * sign * op.Ut(y)  # noqa: E731
    repaired = _Repaired(op, s=due_s, U=lambda v: op.U(sign * v), Ut=Ut)
    yield _differing_spectrum(op.spectrum().flatten(), due.flatten()), repaired


def _rearranged(op: SVDOperator, truth: Map) -> Guesses:
    x = _normal(op.in_shape)
    due = truth(x)
    for befores, afters, advice in _rearrangements(tuple(op.in_shape), tuple(op.out_shape)):
        for before, after in itertools.product(befores, afters):
            if _close(after(op(before(x))), due):
                yield advice, _reordered(op, before, after)


def _reordered(op: SVDOperator, before: Order, after: Order) -> SVDOperator:
    return _Repaired(
        op,
        V=lambda x: before.undone(op.V(x)),
        Vt=lambda x: op.Vt(before(x)),
        U=lambda x: after(op.U(x)),
        Ut=lambda y: op.Ut(after.undone(y)),
    )


def _adjoint(op: SVDOperator, truth: Map) -> Guesses:
    if op.n != op.m or op.n > LARGEST_MATRIX:
        return
    seen, shape = _seen(op), tuple(op.in_shape)
    V = _filled(dense_map(op.U, shape))
    advice = Advice("This is the SVD of H^T: either H was transposed, or U and V are exchanged.")
    yield (
        advice,
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


# ------------------------------------------------------- how two arrays differ that should be equal


def _lengths(factors: dict[str, float], n: int) -> str:
    """What it means that methods multiply lengths by ``factors``."""
    words = {name: _factor(c, n) for name, c in factors.items()}
    if len(set(words.values())) == 1:
        many = "multiply" if len(words) > 1 else "multiplies"
        told = f"{' and '.join(words)} {many} every length by {next(iter(words.values()))}"
    else:
        told = "; ".join(f"{name} multiplies every length by {c}" for name, c in words.items())
    lost = "sqrt" in told and f"({n})" in told
    why = ": the normalisation 1 / sqrt(n) of a transform is missing." if lost else "."
    return f"{told}, but an orthogonal map keeps lengths{why}"


def _factor(c: float, n: int) -> str:
    """A factor of lengths, as a root or a fraction where it is one."""
    for value, form in ((c, "{}"), (1 / c, "1 / {}")):
        square = round(value**2)
        if square <= 1 or abs(value**2 / square - 1) > RTOL:
            continue
        root, whole = f"sqrt({square})", math.isqrt(square) ** 2 == square
        if whole and square == n:
            return f"{form.format(math.isqrt(square))} = {form.format(root)}"
        return form.format(math.isqrt(square) if whole else root)
    return f"{c:.4g}"


def _listed(places: Tensor, kind: str = "coordinate", limit: int = 6) -> str:
    """Indices for a sentence: "coordinates 0, 3 and 5"."""
    many = {"coordinate": "coordinates", "entry": "entries"}[kind]
    first = [str(place) for place in places.flatten()[:limit].tolist()]
    if len(places) > limit:
        return f"{many} {', '.join(first)}, ... ({len(places)} in all)"
    if len(first) > 1:
        return f"{many} {', '.join(first[:-1])} and {first[-1]}"
    return f"{kind} {first[0]}"


def _differing_spectrum(s: Tensor, due: Tensor) -> Advice:
    """What ``s (n,)`` is, where ``due = u_i . H v_i``, with its sign, is the truth."""
    size, seen = float(due.abs().max()), due.abs() > 1e-12 * due.abs().max()
    close = lambda a, b: bool((a - b).abs().max() <= RTOL * float(b.abs().max()))  # noqa: E731
    d = due.where(seen, torch.zeros_like(due))
    positive = d.abs().where(seen, torch.ones_like(d))
    flipped = (d < 0).nonzero()[:, 0]
    if size and close(s, d.abs()) and len(flipped) == int(seen.sum()):
        return Advice("This is the SVD of -H:", "U or V needs the other sign, not both.")
    if size and close(s, d.abs()):
        return Advice(
            f"u_i and v_i do not fit together in sign in {_listed(flipped)}: U and V of two "
            "separate decompositions have signs of their own.",
            "Compute u_i = H v_i / s_i.",
        )
    if size and close(s.sort().values, d.abs().sort().values):
        places = ((s - d.abs()).abs() > RTOL * size).nonzero()[:, 0]
        return Advice(
            "The singular values are right but stand in another order than the columns of U and V "
            f"(see {_listed(places)}).",
            "Sort all three together, or none.",
        )
    if close(s, d**2):
        return Advice(
            "s holds the squares of the singular values, as the eigenvalues of H^T H and the "
            "variances are:",
            "take s.sqrt().",
        )
    if close(s**2, d.abs()):
        return Advice("s holds the roots of the singular values: one square root too many.")
    if close(s * seen, seen / positive):
        return Advice("s holds 1 / s_i, the singular values of H^+:", "s must be those of H.")
    ratio = float((s[seen] / positive[seen]).mean()) if seen.any() else math.nan
    if ratio > 0 and close(s, ratio * d.abs()):
        return Advice(f"s is {ratio:.6g} times what it must be:", f"scale s by {1 / ratio:.6g}.")
    spare, cut = ((s > 0) & ~seen).nonzero()[:, 0], ((s == 0) & seen).nonzero()[:, 0]
    if len(spare) and close(s * seen, d.abs()):
        return Advice(
            f"s is not 0 on the null space: H v_i = 0 in {_listed(spare)},",
            "where s must be an exact 0, not a small number and not 1.",
        )
    if len(cut) and close(s.where(s > 0, d.abs()), d.abs()):
        return Advice(
            f"s is 0 although H v_i is not, in {_listed(cut)}: singular values up to "
            f"{d[cut].abs().max():.3g} were cut off.",
            "Lower the relative cut.",
        )
    i = int((s - d.abs()).abs().argmax())
    return Advice(
        f"U and V are right, s is not: in coordinate {i} it is {s[i]:.4g}, but H v_i is "
        f"{d[i].abs():.4g} long."
    )


def _differing_columns(name: str, other: str, got: Tensor, due: Tensor) -> Advice:
    """How the matrix of ``name`` differs from ``due``, the transpose of that of ``other``."""
    one = f"{name} and {other}"
    orders = _differing_orders(one, got, due)
    if orders:
        return orders
    if got.shape == due.shape[::-1] and _close(got, due.T):
        return Advice(
            f"{one} apply the same matrix, but one must be the transpose of the other:",
            "for images as rows x @ Vh and x @ Vh.T, where Vh is what the decomposition returns.",
        )
    if _close(got, due, 1e-4):
        return Advice(
            f"{one} agree to {float((got - due).abs().max()):.0e} only, float32's rounding:",
            "keep the factors in float64 and convert them in the method, matrix.to(x).",
        )
    missing = ((got.norm(dim=0) < RTOL) & (due.norm(dim=0) > RTOL)).nonzero()[:, 0]
    if len(missing) and _close(got * (got.norm(dim=0) > RTOL), due * (got.norm(dim=0) > RTOL)):
        cause = f"{name} leaves out {_listed(missing)}, which {other} does not:"
        return Advice(cause, "keep all n in both.")
    for axis, kind in ((0, "coordinate"), (1, "entry")):
        sign = torch.where((got * due).sum(axis, keepdim=True) < 0, -1.0, 1.0).to(got)
        if _close(got * sign, due):
            places = _listed((sign.flatten() < 0).nonzero()[:, 0], kind)
            cause = f"{one} have different signs in {places}:"
            return Advice(cause, "write the same sign into both.")
    cause = f"{name} is not the transpose of {other};"
    return Advice(cause, f"with {other}'s in its place all claims hold.")


def _differing_orders(one: str, got: Tensor, due: Tensor) -> Advice | None:
    if _is_permutation(got @ due.T):
        return Advice(
            f"{one} put the entries of the image in different places: a permutation that is "
            "applied twice is not undone.",
            "Where one takes x[:, order], the other takes x[:, order.argsort()].",
        )
    got, due = (columns[:, columns.norm(dim=0) > RTOL] for columns in (got, due))
    if got.shape == due.shape and _is_permutation(got.T @ due):
        cause = f"{one} list the coordinates in different orders:"
        return Advice(cause, "use one order for U, V and s.")
    return None


def _differing_entries(got: Tensor, due: Tensor, out_shape: tuple[int, ...]) -> Advice:
    """Where the matrix (m, n) of an operator differs from the true one."""
    wrong = (got - due).abs() > RTOL * due.abs().max()
    rows, columns = wrong.any(1), wrong.any(0)
    border = _width_of_border(rows, out_shape)
    if border:
        return Advice(
            f"It differs from H only at the border of y, {border} pixel{'s' * (border > 1)} deep: "
            "the two treat the border differently (zero, repeated, periodic or mirrored)."
        )
    i, j = divmod(int(wrong.flatten().nonzero()[0]), got.shape[1])
    here, should = apart(got[i, j], due[i, j])
    return Advice(
        f"It is a perfect SVD of another matrix: {int(rows.sum())} of {len(rows)} rows and "
        f"{int(columns.sum())} of {len(columns)} columns differ from H, first H[{i}, {j}], which "
        f"is {here} here and must be {should}."
    )


def _width_of_border(rows: Tensor, out_shape: tuple[int, ...]) -> int:
    """How many pixels from the border the wrong entries of y reach; 0 if also to the middle."""
    if len(out_shape) not in (2, 3):
        return 0
    height, width = out_shape[-2:]
    i, j = rows.reshape(-1, height, width).any(0).nonzero().T
    depth = 1 + int(torch.stack([i, height - 1 - i, j, width - 1 - j]).amin(0).max())
    return depth if depth < (min(height, width) - 1) // 2 else 0


def _is_permutation(matrix: Tensor) -> bool:
    """A single 1 in each row and column up to rounding, not all of them on the diagonal."""
    nearest = matrix.round()
    if not len(matrix) or (matrix - nearest).abs().max() > 1e-6:
        return False
    single = all((nearest.abs().sum(axis) == 1).all() for axis in (0, 1)) and nearest.min() >= 0
    return bool(single and not nearest.diagonal().all())


# ------------------------------------------------ orders in which the numbers of an image are read


@dataclass(frozen=True, eq=False)
class Order:
    """A permutation of the entries of every image: entry i of the new one is ``index[i]``."""

    index: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, self.index].reshape(x.shape)

    @property
    def undone(self) -> Order:
        """The inverse permutation."""
        return Order(self.index.argsort())


class _Entries:
    """The entries of images of one shape, and the orders in which they can be read."""

    def __init__(self, shape: tuple[int, ...]):
        self.is_image = len(shape) in (2, 3)
        #: (channels, height, width); a vector is a single row
        self.planes = (1, *shape)[-3:] if self.is_image else (1, 1, math.prod(shape))
        self.same = self.order(lambda grid: grid)

    def order(self, permute: Map) -> Order:
        return Order(permute(torch.arange(math.prod(self.planes)).reshape(self.planes)).flatten())

    def either_way(self, permute: Map) -> list[Order]:
        order = self.order(permute)
        return [order, order.undone]

    def by_columns(self) -> dict[str, Order]:
        """Each plane read column by column; a vector as any image that it could be."""
        _, h, w = self.planes
        sides = [(h, w), (w, h)]
        if not self.is_image:
            sides = [(h, w // h) for h in range(2, w) if w % h == 0]
        read = lambda grid, h, w: grid.reshape(-1, h, w).mT  # noqa: E731
        return {f"{h} x {w}": self.order(functools.partial(read, h=h, w=w)) for h, w in sides}


Rearrangements = Iterator[tuple[list[Order], list[Order], Advice]]
"""Guesses that H(x) = after(op(before(x))): all before and after of one meaning, and what it is."""


def _rearrangements(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Rearrangements:
    """Every usual way in which an operator can be right but for the order of entries."""
    x, y = _Entries(in_shape), _Entries(out_shape)
    for guesses in (_reversed, _shifted, _by_columns, _channels, _patches):
        yield from guesses(x, y)


def _reversed(x: _Entries, y: _Entries) -> Rearrangements:
    ways = {
        (-2, -1): Advice(
            "H is your operator on images turned by 180 degrees: the kernel is flipped. A "
            "convolution flips its kernel, torch's conv2d and a sum over x[i + k] do not:",
            "use kernel.flip(0, 1) in one of the two.",
        ),
        (-2,): Advice(
            "H is your operator on images that stand upside down: the rows of the image, or those "
            "of the kernel, run the other way."
        ),
        (-1,): Advice(
            "H is your operator on mirrored images: the columns of the image, or those of the "
            "kernel, run the other way."
        ),
    }
    for axes, advice in ways.items():
        flip = functools.partial(torch.flip, dims=axes)
        before, after = (each.order(flip) for each in (x, y))
        yield [before], [after, y.same], advice


def _shifted(x: _Entries, y: _Entries) -> Rearrangements:
    """Of a circular blur: which entry of a kernel of even length is its centre."""
    flip = functools.partial(torch.flip, dims=(-2, -1))
    for step in itertools.product((0, 1, -1), repeat=2):
        if not (any(step) and x.is_image and y.is_image):
            continue
        shift = y.order(functools.partial(torch.roll, shifts=step, dims=(-2, -1)))
        cause = (
            f"H is your operator, shifted by {step} pixels: the two take another entry of the "
            "kernel for its centre."
        )
        yield [x.same], [shift], Advice(cause)
        both = Order(y.order(flip).index[shift.index])
        yield [x.order(flip)], [both], Advice(f"{cause} The kernel is flipped as well.")


def _by_columns(x: _Entries, y: _Entries) -> Rearrangements:
    afters = list(y.by_columns().values())
    for shape, before in x.by_columns().items():
        cause = (
            f"H is your operator on transposed images: one of the two reads images of {shape} "
            "column by column. Either the factors of a Kronecker product are exchanged (row by "
            "row, A X B^T is kron(A, B)), or something is flattened in order 'F'."
        )
        yield [before], [*afters, y.same], Advice(cause)
    cause = "The entries of y are listed column by column by one of the two:"
    yield [x.same], afters, Advice(cause, "transpose y.")


def _channels(x: _Entries, y: _Entries) -> Rearrangements:
    backwards = Advice(
        "The channels come in the opposite order: RGB for one of the two, BGR for the other."
    )
    last = Advice(
        "The channels come last (height, width, channels) for one of the two and first for the "
        "other.",
        "In a batch of images they come first: x.permute(0, 3, 1, 2).",
    )
    ways: list[tuple[Map, Advice]] = [
        (lambda grid: grid.flip(0), backwards),
        (lambda grid: grid.permute(1, 2, 0), last),
    ]
    for permute, advice in ways:
        yield x.either_way(permute), [y.same, *y.either_way(permute)], advice


def _patches(x: _Entries, y: _Entries) -> Rearrangements:
    afters = [y.same, *y.by_columns().values()]
    _, height, width = x.planes
    for h, w in itertools.product(range(1, LARGEST_PATCH + 1), repeat=2):
        if height % h or width % w:
            continue
        listed = x.either_way(functools.partial(_listed_by_columns, h=h, w=w))
        cause = (
            f"The pixels of each {h} x {w} patch are listed column by column by one of the two and "
            "row by row by the other."
        )
        yield listed, [y.same], Advice(cause)
        gathered = x.either_way(functools.partial(_gathered, h=h, w=w))
        cause = (
            f"The permutation P of slide 21 is missing in one of the two: H is your operator after "
            f"the pixels of each {h} x {w} patch were gathered."
        )
        yield gathered, afters, Advice(cause, "Permute in Vt, and back in V.")


def _gathered(grid: Tensor, h: int, w: int) -> Tensor:
    """Patch after patch, each row by row."""
    c, height, width = grid.shape
    return grid.reshape(c, height // h, h, width // w, w).transpose(2, 3)


def _listed_by_columns(grid: Tensor, h: int, w: int) -> Tensor:
    """Every patch in its place, its pixels listed column by column."""
    patches = _gathered(grid, h, w)
    return patches.mT.reshape(patches.shape).transpose(2, 3).reshape(grid.shape)


# -------------------------------------------------------------------------------------- small tools


def _normal(shape: tuple[int, ...]) -> Tensor:
    """Three random images, always the same."""
    return normal_images(shape, seed=1)


def _seen(op: SVDOperator) -> Tensor:
    return (op.spectrum() > 0).double()[None]


def _close(got: Tensor, due: Tensor, rtol: float = RTOL) -> bool:
    size = float(due.abs().max()) or 1.0
    return got.shape == due.shape and bool((got - due).abs().max() <= rtol * size)


def _acting(matrix: Tensor, out: tuple[int, ...]) -> Map:
    return lambda x: (x.flatten(1) @ matrix.T.to(x)).reshape(-1, *out)

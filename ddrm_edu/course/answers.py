"""What an answer is made of: any numbers become float64 tensors, any difference a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

RTOL = 1e-5  # float32 keeps seven digits, and a formula costs one or two of them
FLOOR = 1e-7  # what counts as 0 where 0 is due


class Unfit(Exception):
    """An answer of another kind than the one that is due; the message says both."""


class Crash(Exception):
    """What a student's function raised; the arguments are its type's name and its text."""

    def __str__(self) -> str:
        return f"your function raised {self.args[0]}: {self.args[1]}".rstrip(".: ")


def plain(value: Any) -> Any:
    """Numbers as a float64 tensor, collections of them as a tuple; anything else as it is.

    Numbers are those of Python (int, float, complex without an imaginary part, Fraction, Decimal),
    numpy, torch, sympy and scipy.sparse, of any dtype, on any device, with a gradient or without.
    A single bool stays a bool; an array of them becomes zeros and ones.

    Examples
    --------
    >>> plain({"step": np.float32(0.5), "steps": 7})
    (tensor(0.5000, dtype=torch.float64), tensor(7., dtype=torch.float64))
    """
    if isinstance(value, str | bytes | bool | np.bool_):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, Sequence):
        return tuple(plain(each) for each in value)
    try:
        return _number(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return value


def _number(value: Any) -> Any:
    """A tensor, an array or a number as a float64 tensor; an error if it is none of them."""
    if isinstance(value, Tensor):
        value = value.detach().to_dense().cpu().resolve_conj()
        if value.dtype == torch.bool and value.ndim == 0:
            return bool(value)
        return (_real(value) if value.is_complex() else value).to(torch.float64, copy=True)
    if hasattr(value, "toarray"):  # scipy.sparse
        value = value.toarray()
    if hasattr(value, "__array__"):  # numpy's scalars and matrices, and what turns into an array
        array = np.asarray(value)
        if array.dtype.kind == "O":  # Fractions, numbers of sympy, a row of tensors
            return plain(array.tolist())
        if array.dtype.kind in "USmM":  # words and dates
            return value
        kind = np.complex128 if array.dtype.kind == "c" else np.float64
        return _number(torch.from_numpy(array.astype(kind)))
    if isinstance(value, complex):
        return _real(torch.tensor(value, dtype=torch.complex128))
    if isinstance(value, Number) or hasattr(value, "__float__"):
        return torch.tensor(float(value), dtype=torch.float64)
    return value


def _real(value: Tensor) -> Tensor:
    """A complex tensor whose imaginary part is rounding as a real one; others as they are."""
    value = value.to(torch.complex128)
    if (value.imag.abs() > RTOL * value.abs() + FLOOR).any():
        raise TypeError("complex")
    return value.real


def numbers(value: Any) -> Tensor | None:
    """A plain value as one tensor without axes of length 1; None if it is none."""
    if isinstance(value, Tensor):
        return None if value.is_complex() or value.is_meta else value.squeeze()
    if not isinstance(value, tuple) or not value:
        return None
    rows = [torch.tensor(float(e)) if isinstance(e, bool) else numbers(e) for e in value]
    found = [row.double() for row in rows if row is not None]
    if len(found) < len(rows) or len({row.shape for row in found}) > 1:
        return None
    return torch.stack(found).squeeze()


def parts(value: Any, names: str) -> tuple[Any, ...]:
    """The parts of a plain value, as many as there are names; `Unfit` if it has not as many."""
    count = names.count(",") + 1
    if isinstance(value, tuple) and len(value) == 1 != count:  # one row of a matrix
        value = value[0]
    if isinstance(value, Tensor) and value.ndim and len(value) != count:
        value = value.squeeze()
    several = isinstance(value, tuple) or (isinstance(value, Tensor) and value.ndim > 0)
    if not several or len(value) != count:
        raise Unfit(f"{count} parts are due, ({names}), but your answer is {described(value)}")
    return tuple(value)


def described(value: Any) -> str:
    """A value and its kind in a few words."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, int | float | complex):
        with contextlib.suppress(OverflowError):  # an integer that no float can hold
            return f"{value:.6g} ({type(value).__name__})"
    if isinstance(value, Tensor) and value.ndim == 0 and numbers(value) is not None:
        return f"{float(value):.6g}"
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"a {kind} tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple) and len(value) < 5 and all(isinstance(e, int) for e in value):
        return f"{value} (a tuple)"
    if isinstance(value, tuple | list):
        listed = ", ".join(map(_briefly, value[:4])) + ", ..." * (len(value) > 4)
        return f"a {type(value).__name__} of {len(value)} ({listed})"
    if callable(value) and hasattr(value, "__code__"):
        return "a function"
    return f"an object of type {type(value).__name__}"


def _briefly(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = numeric or (isinstance(value, Tensor) and value.ndim == 0)
    return "number" if is_number else described(value)


_CAUSES: tuple[tuple[Any, str], ...] = (
    (type(None), " (is a `return` missing?)"),
    (str, ": write a formula without quotes"),
    (
        complex | Tensor,
        ": the root of a negative number, or a Fourier transform, is the usual cause",
    ),
    (Iterator, ": write tuple(...) around it"),
)


def misfit(got: Any, want: Any) -> str:
    """Why two plain values cannot be compared, in words; empty if they can."""
    if got is ...:
        return "" if want is ... else "your answer is still three dots"
    if isinstance(got, Exception):
        return str(got)
    if isinstance(want, Exception) or want is ...:
        return "an answer is given where the other has none"
    if isinstance(want, str | bool):
        kind = "a text" if isinstance(want, str) else "True or False"
        alike = isinstance(got, type(want))
        return "" if alike else f"{kind} is due, but your answer is {described(got)}"
    if isinstance(want, tuple) and numbers(want) is None:
        return "" if isinstance(got, tuple) else _not_numbers(got)
    return "" if numbers(got) is not None else _not_numbers(got)


def _not_numbers(got: Any) -> str:
    cause = next((text for kind, text in _CAUSES if isinstance(got, kind)), "")
    if callable(got) and not cause:
        cause = ": call it, f(...)"
    if got is None:
        return f"your answer gives None{cause}"
    return f"your answer is {described(got)}, but real numbers are due{cause}"


def difference(got: Any, want: Any, rtol: float = RTOL) -> str:
    """How plain values that can be compared differ, in words; empty if they do not.

    Numbers may differ by ``rtol`` times the largest one of the leaf that is due, and axes of
    length 1 do not count.  The leaves are the tensors in ``want``; a tuple there is compared part
    by part, whether ``got`` is one too or a tensor with as many rows.
    """
    if isinstance(want, str | bool):
        same = got == want
        return "" if same else f"your answer is {got!r}, but {want!r} is due"
    if isinstance(want, tuple):
        return _of_parts(got, want, rtol)
    one, other = numbers(got), numbers(want)
    if one is None or other is None:
        return "" if one is other is got is want else _not_numbers(got)
    if one.shape != other.shape:
        turned = one.ndim == 2 and one.T.shape == other.shape
        return (
            f"your answer has shape {tuple(one.shape)}, but {tuple(other.shape)} is due"
            f"{' (is it transposed?)' * turned}"
        )
    gap = (one - other).abs().nan_to_num(nan=float("inf")).flatten()
    gap[((one == other) | (one.isnan() & other.isnan())).flatten()] = 0.0
    size = float(other[other.isfinite()].abs().sum() and other[other.isfinite()].abs().max())
    if not gap.numel() or gap.max() <= rtol * size + FLOOR:
        return ""
    worst = int(gap.argmax())
    where = f" at entry {tuple(int(i) for i in torch.unravel_index(gap.argmax(), one.shape))}"
    left, right = _told_apart(float(one.flatten()[worst]), float(other.flatten()[worst]))
    return f"your answer is {left}, but {right} is due{where if one.ndim else ''}"


def _of_parts(got: Any, want: tuple[Any, ...], rtol: float) -> str:
    try:
        given = parts(got, ", ".join("?" * len(want)))
    except Unfit:
        return f"{len(want)} parts are due, but your answer is {described(got)}"
    for place, (one, other) in enumerate(zip(given, want, strict=True), 1):
        text = misfit(one, other) or difference(one, other, rtol)
        if text:
            return f"in part {place} of {len(want)} {text}"
    return ""


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Both with as many digits as it takes to see that they differ."""
    for digits in range(6, 17):
        pair = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


Relation = tuple[Any, str]
RELATIONS: tuple[Relation, ...] = (
    (lambda want: -want, "Every number has the wrong sign."),
    (lambda want: 2 * want, "Every number is twice what is due: where does a factor 1/2 come in?"),
    (lambda want: want / 2, "Every number is half of what is due: where does a factor 2 come in?"),
    (
        lambda want: want**2,
        "Every number is the square of what is due, as a variance is of a standard deviation.",
    ),
    (
        lambda want: want.abs().sqrt(),
        "Every number is the root of what is due, as a standard deviation is of a variance.",
    ),
    (lambda want: 1 / want, "Every number is one over what is due: is a quotient upside down?"),
    (lambda want: want + 1, "Every number is too large by one."),
    (lambda want: want - 1, "Every number is too small by one."),
    (lambda want: want.flip(0) if want.ndim else want, "These are right, but in opposite order."),
    (lambda want: want.T if want.ndim == 2 else want, "These are right, but transposed."),
)


def relation(pairs: Sequence[tuple[Any, Any]]) -> str:
    """What is wrong with all of several answers in the same way, in a sentence; empty if nothing.

    ``pairs`` are what was given and what was due, plain.
    """
    leaves = [(numbers(got), numbers(want)) for got, want in pairs]
    shapes = [
        None if got is None or want is None else (got.shape, want.shape) for got, want in leaves
    ]
    if None in shapes or any(want.ndim > 2 for _, want in leaves if want is not None):
        return _right_parts(pairs)
    known = [(got, want) for got, want in leaves if got is not None and want is not None]
    for change, text in RELATIONS:
        if _related(known, change):
            return text
    if len(known) > 1 and all(got.shape == want.shape for got, want in known):
        got, want = (torch.cat([each[side].flatten() for each in known]) for side in (0, 1))
        largest = int(want.abs().argmax())
        factor, offset = float(got[largest] / want[largest]), float(got[largest] - want[largest])
        if _related(known, lambda want: factor * want):
            return f"Every number is {factor:.6g} times what is due."
        if _related(known, lambda want: want + offset):
            return f"Every number is off by {offset:.6g}."
    return _right_parts(pairs)


def _related(pairs: Sequence[tuple[Tensor, Tensor]], change: Callable[[Tensor], Tensor]) -> bool:
    """True if each answer is the changed one that is due, and two or more do change."""
    changed = 0
    for got, want in pairs:
        due = change(want)
        if not due.isfinite().all() or difference(got, due):
            return False
        changed += bool(difference(due, want))
    return changed >= min(2, len(pairs))


def _right_parts(pairs: Sequence[tuple[Any, Any]]) -> str:
    """Which parts of a tuple are right in all cases, in a sentence; empty if none or no tuple."""
    count = len(pairs[0][1]) if pairs and isinstance(pairs[0][1], tuple) else 0
    right = set(range(count))
    for got, want in pairs if count else ():
        try:
            given, due = (parts(each, ", ".join("?" * count)) for each in (got, want))
        except Unfit:
            return ""
        right -= {k for k in right if misfit(given[k], due[k]) or difference(given[k], due[k])}
    if not right:
        return ""
    listed = " and ".join(str(k + 1) for k in sorted(right))
    several = len(right) > 1
    which = f"Part{'s' * several} {listed} of {count} {'are' if several else 'is'}"
    return f"{which} right in every case."

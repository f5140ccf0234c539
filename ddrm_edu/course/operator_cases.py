"""Cases of an exercise whose answer makes an operator: its matrix, its claims, what it stores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ddrm_edu.checks.operator import CLAIMS, SINGULAR, Trial, linear_truth
from ddrm_edu.operators import SVDOperator

from .answers import RTOL, Unfit, described
from .engine import Cases


def an_operator(op: Any) -> SVDOperator:
    """The answer, if it is an operator; `Unfit` if it is not."""
    if not isinstance(op, SVDOperator):
        raise Unfit(
            f"an operator is due, but your answer is {described(op)}: for a matrix or a function "
            "H write as_operator(H, in_shape, out_shape)"
        )
    return op


def broken(op: SVDOperator, H: Tensor, *, besides: frozenset[str] = frozenset()) -> str:
    """Names of the claims about an operator that are broken by more than float32's rounding."""
    names, trial = [], Trial(op, *linear_truth(op, H), seed=0)
    for ask in CLAIMS.values():  # as check_operator, which looks for the causes as well
        finding = ask(trial)
        if not finding.ok and not finding.error <= RTOL and finding.name not in besides:
            names.append(finding.name)
        if finding.name == SINGULAR and math.isnan(finding.error):  # nothing else can be asked
            break
    return "; ".join(names) or "none"


def examined(op: Any, name: str, H: Tensor) -> Cases:
    """An operator against its matrix and the claims about it."""
    op = an_operator(op)
    yield f"{name}, H as a matrix", op.matrix(), H
    yield f"{name}, broken claims of check_operator", broken(op, H), "none"


def stored(value: Any, seen: set[int] | None = None) -> int:
    """How many bytes of tensors and arrays hang on an object, wherever they hide."""
    seen = set() if seen is None else seen
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        return 0 if _met(storage.data_ptr(), seen) else storage.nbytes()
    if isinstance(value, type) or _met(id(value), seen):
        return 0
    if isinstance(value, np.ndarray):
        return value.nbytes
    inside: list[Any] = list(getattr(value, "__dict__", {}).values())
    if isinstance(value, Mapping):
        inside += value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        inside += value
        if all(isinstance(each, int | float) for each in inside):
            return 8 * len(inside)
    for cell in getattr(value, "__closure__", None) or ():
        inside.append(cell.cell_contents)
    return sum(stored(each, seen) for each in inside)


def _met(key: int, seen: set[int]) -> bool:
    if key in seen:
        return True
    seen.add(key)
    return False

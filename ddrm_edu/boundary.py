"""The door of a public function: each argument is what its annotation says, or a sentence tells.

``@checked`` stands above what users call, functions and classes.  It reads the annotations once,
and looks at the arguments of a call once, before anything is drawn, changed or computed; what an
annotation cannot say, such as a shape that has to fit another argument, the function asks itself.
A number is a number whatever it came in (numpy, Fraction, a tensor of no dimension), so it is
handed on as Python's.  Annotations without a row here, such as ``Any``, are the function's own
business.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .validation import FLOATS, LARGEST, one_number, positive_shape, require_readable

T = TypeVar("T", bound=Callable[..., Any])

Check = Callable[[Any, str], Any]
"""``check(value, what)``: the value as the function wants it, or ``ValueError``."""


def checked(target: T) -> T:
    """``target`` behind its door; of a class, what makes it and its public methods."""
    if not inspect.isclass(target):
        return _behind_a_door(target)
    for name, method in list(vars(target).items()):
        if name in ("__init__", "__call__") or not name.startswith("_"):
            if inspect.isfunction(method):
                setattr(target, name, _behind_a_door(method))
            elif isinstance(method, classmethod):
                setattr(target, name, classmethod(_behind_a_door(method.__func__)))
    return target


def _behind_a_door(function: Any) -> Any:
    parameters = inspect.signature(function).parameters
    checks = {name: _check_of(each.annotation, function) for name, each in parameters.items()}
    if not any(checks.values()):
        return function
    by_place = [
        (name, checks[name])
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]

    rest = next((name for name, each in parameters.items() if each.kind is each.VAR_POSITIONAL), "")
    check_rest = checks.get(rest)

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        given = list(args)
        for place, ((name, check), value) in enumerate(zip(by_place, args, strict=False)):
            if check is not None:
                given[place] = check(value, name)
        if check_rest is not None:
            given[len(by_place) :] = [check_rest(each, rest) for each in args[len(by_place) :]]
        for name, value in kwargs.items():
            check = checks.get(name)
            if check is not None:
                kwargs[name] = check(value, name)
        return function(*given, **kwargs)

    return door


def _check_of(annotation: Any, function: Any) -> Check | None:
    """The check that an annotation asks for; None for one without a row here."""
    if not isinstance(annotation, str):
        return None
    parts = [part for part in _union(_ALIASES.get(annotation, annotation)) if part != "None"]
    if set(parts) == {"torch.device", "str"}:
        parts = ["torch.device"]
    rows = [row for row in (_row_of(part, function) for part in parts) if row is not None]
    if not rows or len(rows) < len(parts):
        return None
    optional = annotation.endswith("| None")
    if len(rows) == 1:
        check = rows[0][1]
        return check if not optional else lambda x, what: x if x is None else check(x, what)
    *first, last = [words for words, _ in rows]

    def any_of(value: Any, what: str) -> Any:
        if value is None and optional:
            return value
        checks = [check for _, check in rows]
        if isinstance(value, Tensor) and _tensor in checks:
            return _tensor(value, what)  # says best what is wrong with it
        for check in checks:
            with contextlib.suppress(ValueError):
                return check(value, what)
        raise ValueError(f"{what} must be {', '.join(first)} or {last}, but was {_given(value)}.")

    return any_of


def _union(annotation: str) -> list[str]:
    """The parts of ``A | B[C | D]``, here two."""
    parts, depth = [""], 0
    for letter in annotation:
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _row_of(part: str, function: Any) -> tuple[str, Check] | None:
    if part in _ROWS:
        return _ROWS[part]
    if part in ("Any", "object", "int"):  # of integers functions know the range, and say more
        return None
    if part.startswith("Callable["):
        arguments = part[len("Callable[") :]
        return _callable_of(None if arguments.startswith("...") else _count(arguments))
    return _instance_of(part, function) if part.isidentifier() else None


def _count(arguments: str) -> int:
    """Number of arguments in ``[A, B[C, D]], E]``, here two."""
    inside, depth, count = "", 0, 1
    for letter in arguments:
        depth += (letter in "[(") - (letter in "])")
        if depth == 0:
            break
        inside += letter
        count += letter == "," and depth == 1
    return count if inside.strip("[ ") else 0


def _given(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, type):
        return f"of type {type(value).__name__} and shape {tuple(shape)}"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return f"{value!r:.40}, of type {type(value).__name__}"


# ------------------------------------------------------------------------------------ the rows


def _tensor(value: Any, what: str) -> Tensor:
    require_readable(value, what)
    if value.dtype == torch.bool:
        raise ValueError(f"{what} must hold numbers, but was torch.bool. Pass {what}.float().")
    return value


def _level(value: Any, what: str) -> float | Tensor:
    """One number for the whole batch; a tensor stays where it is, and is not looked at."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return _tensor(value, what)
    value = _number(value, what)
    if LARGEST < abs(value) < math.inf:
        raise ValueError(
            f"{what} must be at most {LARGEST:g}, so that its square is a number, but was "
            f"{value:.6g}."
        )
    return value


def _levels(value: Any, what: str) -> float | Tensor:
    return _tensor(value, what) if isinstance(value, Tensor) else _level(value, what)


def _array(value: Any, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be a numpy array of real numbers, but was {_given(value)}.")
    return value


def _names(value: Any, what: str) -> Any:
    if not isinstance(value, str | list | tuple | set | frozenset | dict) or not all(
        isinstance(each, str) for each in value
    ):
        raise ValueError(f"{what} must be a list of names, but was {_given(value)}.")
    return value


def _mapping(value: Any, what: str) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{what} must be a dictionary by name, but was {_given(value)}.")
    return value


def _number(value: Any, what: str) -> float:
    return value if type(value) in (float, int) and abs(value) < 1e308 else one_number(value, what)


def _boolean(value: Any, what: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{what} must be True or False, but was {_given(value)}.")
    return bool(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, but was {_given(value)}.")
    return value


def _path(value: Any, what: str) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{what} must be the path of a file, but was {_given(value)}.")
    return Path(value)


def _generator(value: Any, what: str) -> torch.Generator:
    if not isinstance(value, torch.Generator):
        raise ValueError(
            f"{what} must be a torch.Generator, but was {_given(value)}. "
            "torch.Generator().manual_seed(0) makes one; None takes torch's own."
        )
    return value


def require_generators(value: Any, what: str) -> Any:
    """``value``, if it is a torch.Generator, several of them, or None."""
    if value is None or isinstance(value, torch.Generator):
        return value
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, torch.Generator) for each in value
    ):
        raise ValueError(
            f"{what} must be one torch.Generator, a list with one per image, or None for torch's "
            f"own, but was {_given(value)}. torch.Generator().manual_seed(0) makes one."
        )
    return value


def _dtype(value: Any, what: str) -> torch.dtype:
    if not isinstance(value, torch.dtype) or value not in FLOATS:
        raise ValueError(
            f"{what} must be one of torch.float32, float64, float16 and bfloat16, but was "
            f"{_given(value)}."
        )
    return value


def _device(value: Any, what: str) -> torch.device:
    try:
        if isinstance(value, str | torch.device):
            device = torch.device(value)
            torch.empty(0, device=device)  # asks the driver
            return device
        reason = ""
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = " " + str(error).partition("\n")[0].rstrip(".") + "."
    raise ValueError(
        f"{what} must be a device of this machine, such as 'cpu', but was {_given(value)}.{reason}"
    )


def _shape(value: Any, what: str) -> tuple[int, ...]:
    return positive_shape(value, what)


def _callable_of(count: int | None, use: str = "") -> tuple[str, Check]:
    return "a callable", lambda value, what: require_arguments(value, what, count, use)


def require_arguments(value: Any, what: str, count: int | None, use: str = "") -> Any:
    """``value``, if it can be called; with a count, with so many arguments."""
    asked = "callable"
    if count:
        asked += f" with {count} argument{'s' * (count > 1)}"
    if not callable(value) or (count and isinstance(value, type)):
        raise ValueError(f"{what} must be {asked}, but was {_given(value)}. {use}".strip())
    if count and _positional(value) != count:
        require_call(value, f"{what} must be {asked}", *range(count), fix=use)
    return value


def require_call(function: Any, due: str, *args: Any, fix: str = "", **kwargs: Any) -> None:
    """Raise ``ValueError``, with what is ``due`` and the ``fix``, unless it takes the arguments."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(f"{due}, but: {error}. {fix}".strip()) from None
    except ValueError:
        pass  # one of C, which does not say what it takes


def _positional(value: Any) -> int | None:
    """How many arguments a plain function takes; None where its signature has to be asked.

    A bound method shows the code of its function, which counts ``self`` as well.
    """
    if not isinstance(value, FunctionType) or hasattr(value, "__wrapped__"):
        return None
    return None if value.__code__.co_kwonlyargcount else value.__code__.co_argcount


def _function(value: Any, what: str) -> Any:
    """A callable that is no class: calling one makes no image."""
    if isinstance(value, type):
        raise ValueError(f"{what} must be a function, but was {_given(value)}.")
    return require_arguments(value, what, None)


def _instance_of(name: str, function: Any) -> tuple[str, Check] | None:
    """A class of this library, by its name in the module of the function, once it is asked for."""
    kinds: list[Any] = []

    def check(value: Any, what: str) -> Any:
        if not kinds:
            kinds.append(inspect.unwrap(function).__globals__.get(name))
        kind = kinds[0]
        if (
            not inspect.isclass(kind)
            or kind is Any  # under another name
            or getattr(kind, "_is_protocol", False)
            or isinstance(value, kind)
        ):
            if name == "SVDOperator":
                require_readable(value.s, f"The tensor of singular values {what}.s")
            return value
        fix = _MAKES.get(name, "")
        said = f"{what} must be {_article(name)} {name}, but was {_given(value)}. {fix}"
        raise ValueError(said.strip())

    return f"{_article(name)} {name}", check


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOS" and name != "Step" else "a"


_MAKES = {
    "SVDOperator": "Make one of a matrix with Dense, of a function with from_function.",
    "NoiseSchedule": "NoiseSchedule.linear() is DDPM's; from_diffusers reads a scheduler.",
    "GaussianPrior": "GaussianPrior(mean, cov) makes one.",
    "Gaussian": "Gaussian(mean, cov) makes one.",
    "AffineLaw": "sampler_law, posterior_law and law_of make them.",
    "Picture": "read_picture makes one.",
}

_ALIASES = {
    "float | Tensor": "Levels",
    "Tensor | float": "Levels",
    "Rate": "float | Tensor | str",
    "Rate | None": "float | Tensor | str | None",
}

_ROWS: dict[str, tuple[str, Check]] = {
    "Tensor": ("a tensor", _tensor),
    "float": ("one number", _number),
    "bool": ("True or False", _boolean),
    "str": ("a text", _text),
    "Path": ("a path", _path),
    "torch.Generator": ("a torch.Generator", _generator),
    "Generators": ("generators", require_generators),
    "torch.dtype": ("a dtype", _dtype),
    "torch.device": ("a device", _device),
    "tuple[int, ...]": ("a shape", _shape),
    "Level": ("one number", _level),
    "Levels": ("numbers", _levels),
    "np.ndarray": ("an array", _array),
    "Sequence[str]": ("names", _names),
    "Collection[str]": ("names", _names),
    "Mapping[str, Any]": ("a dictionary", _mapping),
    "Denoiser": _callable_of(2, "It is called as x0_hat = denoiser(x, sigma)."),
    "Score": _callable_of(1),
    "Images": _callable_of(1),
    "Sampler": ("a function", lambda value, what: _function(value, what)),
}

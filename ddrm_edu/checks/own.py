"""A reader's own H, in whatever form it comes, as an operator and as the truth about it."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..operators import Dense, SVDOperator, from_function, from_scipy, memory_needed
from ..operators.lowrank import with_shapes
from ..operators.probing import ImageMap
from ..operators.recognise import recognise
from ..validation import positive_shape

__all__ = ["MEMORY_LIMIT", "OwnH", "attribute_of", "loaded", "own", "shape_of"]

EPS = torch.finfo(torch.float64).eps
MEMORY_LIMIT = 2 * 2**30
FORMS = (
    "a matrix (numpy, torch, scipy.sparse or nested lists), an SVDOperator, a scipy "
    "LinearOperator, a linear function of images or a pair of them (forward, adjoint) with "
    "in_shape=, or a function without arguments that makes one of these"
)


@dataclass(frozen=True, eq=False)
class OwnH:
    """Someone's H: what can be tested, and why it cannot, in a sentence."""

    title: str
    op: SVDOperator | None = None
    truth: Any = None  #: a matrix, or a function of batches of images
    adjoint: Callable[[Tensor], Tensor] | None = None  #: that came with it
    refused: str = ""  #: why it is no real linear map of images
    too_large: str = ""  #: why it is not decomposed
    nonlinearity: float = 0.0  #: relative error of its linearity
    eps: float = EPS  #: rounding unit of the numbers that it returns


def own(
    H: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    truth: Any = None,
    rtol: float | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> OwnH:
    """Whatever H is, ready to be tested.

    Raises
    ------
    ValueError
        If H is of no form that can be tested.  An H that is not linear, not real or not finite is
        returned with the reason in ``refused``, one that is too large in ``too_large``.
    """
    in_shape, out_shape = (
        shape if shape is None else positive_shape(shape, name)
        for shape, name in ((in_shape, "in_shape"), (out_shape, "out_shape"))
    )
    H = _made(H)
    options = {"rtol": rtol, "memory_limit": memory_limit}
    if isinstance(H, SVDOperator):
        return OwnH(f"{type(H).__name__}", H, truth)
    try:
        if _is_pair(H):
            return _function(*H, in_shape, out_shape, truth=truth, **options)
        if hasattr(H, "matvec") and _shape(H) is not None:
            return _linear_operator(H, in_shape, out_shape, truth=truth, **options)
        if callable(H):
            return _function(H, None, in_shape, out_shape, truth=truth, **options)
        return _matrix(H, in_shape, out_shape, truth=truth, **options)
    except _Unusable:
        raise
    except ValueError as error:
        return OwnH(type(H).__name__, refused=str(error))
    except Exception as error:  # a reader's function may raise anything
        return OwnH(type(H).__name__, refused=f"it raised {_said(error)}.")


class _Unusable(ValueError):
    """H is of no form that can be tested; nothing is said about what it does."""


def _made(H: Any) -> Any:
    """What a class or a function without arguments makes, or H itself."""
    if isinstance(H, SVDOperator | torch.nn.Module) or not callable(H):
        return H
    if not _takes_no_argument(H):
        if isinstance(H, type):
            raise _Unusable(
                f"{H.__name__} is a class whose __init__ needs arguments. Give an instance, or a "
                "function without arguments that makes one."
            )
        return H
    try:
        made = H()
    except Exception as error:
        raise _Unusable(f"{_name(H)}() raised {_said(error)}.") from error
    if made is None:
        raise _Unusable(f"{_name(H)}() returned None. Does it lack a return?")
    return made


def _takes_no_argument(H: Callable) -> bool:
    try:
        inspect.signature(H).bind()
    except (TypeError, ValueError):  # it needs some, or is a builtin without a signature
        return False
    return True


def _shape(H: Any) -> tuple[int, ...] | None:
    """That of an array or an operator; the modules numpy and torch have functions of this name."""
    shape = getattr(H, "shape", None)
    return shape if isinstance(shape, tuple) else None


def _is_pair(H: Any) -> bool:
    return isinstance(H, tuple | list) and len(H) == 2 and all(map(callable, H))


def _name(H: Any) -> str:
    return getattr(H, "__name__", type(H).__name__)


def _function(forward, backward, in_shape, out_shape, *, truth, rtol, memory_limit) -> OwnH:
    if in_shape is None:
        raise _Unusable(
            f"{_name(forward)} is a function, so the shape of the images it takes must be given: "
            "in_shape=(channels, height, width), or (n,) for vectors."
        )
    f = ImageMap(forward, in_shape, "H")
    out_shape = f.out_shape if out_shape is None else out_shape
    back = backward and ImageMap(backward, out_shape, "the adjoint")
    return _of_image_map(
        f,
        back,
        out_shape,
        lambda: from_function(
            forward, in_shape, out_shape=out_shape, rtol=rtol, memory_limit=memory_limit
        ),
        title=f"function {_name(forward)}",
        truth=truth,
        memory_limit=memory_limit,
    )


def _linear_operator(A, in_shape, out_shape, *, truth, rtol, memory_limit) -> OwnH:
    A, in_shape, out_shape = with_shapes(A, in_shape, out_shape)

    def flat(product):
        return lambda x: product(x.flatten(1).T.numpy()).T

    try:
        back = ImageMap(flat(A.rmatmat), out_shape, "the adjoint")
    except ValueError:  # it has none
        back = None
    return _of_image_map(
        ImageMap(flat(A.matmat), in_shape, "H"),
        back,
        out_shape,
        lambda: from_scipy(A, in_shape, out_shape, rtol=rtol, memory_limit=memory_limit),
        title="LinearOperator",
        truth=truth,
        memory_limit=memory_limit,
    )


def _of_image_map(
    f: ImageMap,
    back: ImageMap | None,
    out_shape: tuple[int, ...],
    build: Callable[[], SVDOperator],
    *,
    title: str,
    truth: Any,
    memory_limit: float,
) -> OwnH:
    f.require_linear()
    facts = {"title": title, "nonlinearity": f.error, "eps": f.eps}
    too_large = _too_large(f.in_shape, out_shape, memory_limit, lambda: recognise(f))
    if too_large:
        return OwnH(too_large=too_large, **facts)
    # What is exact to single precision only is compared as such.
    exact = f.eps <= EPS and f.error <= 1e4 * EPS
    dtype = torch.float64 if exact else torch.float32
    shaped = lambda y, shape: y.reshape(-1, *shape).to(dtype)  # noqa: E731
    return OwnH(
        op=build(),
        truth=(lambda x: shaped(f(x), out_shape)) if truth is None else truth,
        adjoint=back and (lambda y: shaped(back(y), f.in_shape)),
        **facts,
    )


def _matrix(H, in_shape, out_shape, *, truth, rtol, memory_limit) -> OwnH:
    shape = np.shape(H) if isinstance(H, list | tuple) else _shape(H)
    if shape is None:
        raise _Unusable(f"H must be {FORMS}, but was of type {type(H).__name__}.")
    if len(shape) == 2 and 0 not in shape:
        too_large = _too_large((shape[1],), (shape[0],), memory_limit, lambda: None)
        if too_large:
            return OwnH(f"{shape[0]} x {shape[1]} matrix", too_large=too_large)
    op = Dense(H, in_shape, out_shape, rtol=rtol)
    return OwnH(f"{op.m} x {op.n} matrix", op, H if truth is None else truth)


def _too_large(in_shape, out_shape, limit: float, structure: Callable[[], str | None]) -> str:
    needed = memory_needed(tuple(map(int, in_shape)), tuple(map(int, out_shape)))
    if needed <= limit:
        return ""
    advice = structure() or (
        "Use its structure: one weighted sum per patch is a PatchFunctional, one matrix for all "
        "patches a BlockOperator, A X B^T a Kronecker product, a convolution a CircularBlur or a "
        "SeparableBlur; of any other H keep the largest singular values, by TruncatedSVD. Or test "
        "a smaller image."
    )
    return (
        f"A dense decomposition would take about {needed / 2**30:.3g} GiB, and "
        f"{limit / 2**30:.3g} GiB are allowed. {advice}"
    )


# ------------------------------------------------------------------------------------ FILE.py:NAME


def loaded(target: str) -> tuple[Any, ModuleType]:
    """The object that ``FILE.py:NAME`` names, and the module that defines it.

    Raises
    ------
    ValueError
        If the file or the name is missing, or the file cannot be run.
    """
    file, _, name = target.rpartition(":")
    if not file or not name:
        raise ValueError(f"Expected FILE.py:NAME, such as my_h.py:H, but was given {target!r}.")
    path = Path(file).absolute()
    if not path.is_file():
        raise ValueError(f"There is no file {file!r}; the current folder is {Path.cwd()}.")
    module = _module(path)
    return attribute_of(module, name), module


def shape_of(text: str) -> tuple[int, ...]:
    """``"1,16,16"`` as (1, 16, 16)."""
    try:
        return tuple(int(side) for side in text.split(","))
    except ValueError:
        raise ValueError(
            f"The shape of an image is integers with commas, such as 1,16,16, but was {text!r}."
        ) from None


def attribute_of(module: ModuleType, name: str) -> Any:
    """What a module calls ``name``; else ``ValueError`` with the names that it has."""
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        file, known = Path(module.__file__).name, ", ".join(public) or "nothing"
        raise ValueError(f"{file} defines no {name!r}; it defines {known}.")
    return getattr(module, name)


def _module(path: Path) -> ModuleType:
    """The module in a file, which may import its neighbours, as a script may."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None:
        raise ValueError(f"{path.name} is no file of Python code: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path.name} could not be run, it raised {_said(error)}.") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

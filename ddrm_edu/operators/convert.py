"""The one door for "whatever H is": from a matrix, function, operator or file to the SVD."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..boundary import checked
from ..validation import positive_shape
from .base import SVDOperator
from .dense import Dense
from .linear_map import RAISED, LinearMap, NoLinearMap, linear_map, name_of, said
from .lowrank import TruncatedSVD
from .recognise import recognise

GIB = 2**30


class TooLarge(ValueError):
    """A dense decomposition would need more memory than is allowed."""


@checked
def as_operator(
    H: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    rtol: float | None = None,
    memory_limit: float = 2 * GIB,
) -> SVDOperator:
    """The operator of any linear map of images: your own H, in whatever form it comes.

    An operator stays what it is.  A function is tried on random images first, and refused with a
    sentence if it is not linear; then its matrix is built from unit images.  Every matrix is
    decomposed (slide 9, ledger S09.1).

    Parameters
    ----------
    H : matrix, SVDOperator, LinearOperator, function, pair of functions, or maker of one
        A matrix (numpy, torch, scipy.sparse, nested lists) and a scipy or pylops ``LinearOperator``
        act on images flattened row by row.  A function maps batches of images, torch or numpy,
        ``(batch, *in_shape)``; a pair holds it and its adjoint.  A function (or class) without
        arguments is called and makes one of these.
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and one y; needed for functions.  By default ``H.dims`` and ``H.dimsd`` if H
        comes from pylops, else vectors for matrices; an SVDOperator has its own.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0, as in :class:`Dense`.  By
        default ``max(m, n)`` times the rounding unit of what a function returns, or 10 times the
        rounding that was seen when its linearity was tried, if that is more.
    memory_limit : float
        Bytes that a decomposition may take; see :func:`memory_needed`.

    Returns
    -------
    SVDOperator
        H itself if it is one, else :class:`Dense`.

    Raises
    ------
    NoLinearMap
        If H is of no such form.
    TooLarge
        If it needs too much memory; the message names a fast operator that does the same, if one
        was recognised.
    ValueError
        If H cannot be called on a batch, or is not linear, real or finite (the message says in what
        way, and by how much), or a shape does not fit it.

    Examples
    --------
    >>> as_operator([[3.0, 0.0], [0.0, 4.0]])
    Dense((2,) -> (2,), rank 2)
    >>> as_operator(lambda x: x[..., 1:] - x[..., :-1], (1, 4, 4))
    Dense((1, 4, 4) -> (1, 4, 3), rank 12)
    """
    H = made(H)
    if isinstance(H, SVDOperator):
        return H
    f = linear_map(H, in_shape, out_shape)
    f.require_linear()
    needed = memory_needed(f.in_shape, f.out_shape)
    if needed > memory_limit:
        # measured on one core with MKL, n = 256 to 2048
        minutes = 3e-10 * min(f.m, f.n) * f.n * (f.m + f.n) / 60
        advice = recognise(f) or (
            "No structure of this library was recognised: one weighted sum per patch is a "
            "PatchFunctional, one matrix for all patches a BlockOperator, A X B^T a Kronecker "
            "product, a convolution a CircularBlur or a SeparableBlur. For a large image "
            "restore(method='diffpir') needs H and H^T only, as LinearMap(f, in_shape); else take "
            "a smaller one, or keep the largest singular values only, by TruncatedSVD."
        )
        raise TooLarge(
            f"A dense operator from {f.in_shape} to {f.out_shape} needs about {needed / GIB:.3g} "
            f"GiB and for its decomposition roughly {minutes:.2g} minutes on one core, more than "
            f"memory_limit = {memory_limit / GIB:.3g} GiB. {advice}"
        )
    if rtol is None:  # the rounding of f must not pass for singular values
        rtol = max(max(f.n, f.m) * f.eps, 10 * f.error)
    return Dense(f.matrix(), f.in_shape, f.out_shape, rtol=rtol)


@checked
def from_function(
    f: Callable[[Any], Any],
    in_shape: tuple[int, ...],
    *,
    out_shape: tuple[int, ...] | None = None,
    rtol: float | None = None,
    memory_limit: float = 2 * GIB,
) -> SVDOperator:
    """:func:`as_operator` of any linear Python function ``(batch, *in_shape) -> (batch, *out)``.

    f is called at most 13 times for images of up to 1,024 numbers: at most three times to find out
    what it takes, nine times to try its linearity, and once with all unit images, which come in
    batches of 8 MiB.  What is too large is refused before that.

    Raises
    ------
    ValueError
        As :func:`as_operator`.

    Examples
    --------
    >>> def differences(x):
    ...     return x[..., 1:] - x[..., :-1]
    >>> from_function(differences, (1, 4, 4))
    Dense((1, 4, 4) -> (1, 4, 3), rank 12)
    >>> from_function(abs, (1, 4, 4))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ValueError: f is not linear: f(-x) = -f(x) fails ...
    """
    return as_operator(LinearMap(f, in_shape, out_shape), rtol=rtol, memory_limit=memory_limit)


@checked
def from_scipy(
    A: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    rank: int | None = None,
    **options: Any,
) -> SVDOperator:
    """:func:`as_operator` of a scipy or pylops ``LinearOperator`` or a sparse matrix.

    With ``rank`` only so many of the largest singular values are kept, without ever building the
    matrix: by :class:`TruncatedSVD`, whose options are then taken.

    Raises
    ------
    ValueError
        As :func:`as_operator` or :class:`TruncatedSVD`.

    Examples
    --------
    >>> import scipy.sparse
    >>> from_scipy(scipy.sparse.diags_array([1.0, 0.5, 0.0]))
    Dense((3,) -> (3,), rank 2)
    """
    if rank is not None:
        return TruncatedSVD(A, rank, in_shape, out_shape, **options)
    return as_operator(linear_map(A, in_shape, out_shape, name="A"), **options)


@checked
def memory_needed(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> int:
    """Bytes that :func:`as_operator` takes at its peak for images of these shapes.

    The matrix and its copies in the decomposition, LAPACK's workspace, V (n x n), U, and 16 MiB for
    code that is read in and memory that is kept in reserve.

    Examples
    --------
    >>> memory_needed((1, 32, 32), (1, 16, 16)) / 2**20
    35.5
    >>> round(memory_needed((3, 256, 256), (3, 64, 64)) / 2**30)
    381
    """
    n, m = (math.prod(positive_shape(shape, "shape")) for shape in (in_shape, out_shape))
    k = min(m, n)
    return 8 * (5 * m * n + n * n + m * k + 2 * k * k) + 2**24


def made(H: Any) -> Any:
    """What a class or a function without arguments makes, or H itself."""
    if isinstance(H, SVDOperator | torch.nn.Module) or not callable(H):
        return H
    try:
        inspect.signature(H).bind()
    except (TypeError, ValueError):  # it needs arguments, or is a builtin without a signature
        if isinstance(H, type):
            raise NoLinearMap(
                f"{H.__name__} is a class whose __init__ needs arguments. Give an instance, or a "
                "function without arguments that makes one."
            ) from None
        return H
    try:
        made = H()
    except RAISED as error:
        raise NoLinearMap(f"{name_of(H)}() raised {said(error)}") from error
    if made is None:
        raise NoLinearMap(f"{name_of(H)}() returned None. Does it lack a return?")
    return made


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
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path.name} is no file of Python code: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # it may import its neighbours, as a script may
    try:
        spec.loader.exec_module(module)
    except RAISED as error:
        raise ValueError(f"{path.name} could not be run, it raised {said(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return attribute_of(module, name), module


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """``"1,16,16"`` as (1, 16, 16), and nothing as nothing."""
    try:
        return tuple(int(side) for side in text.split(",")) if text else None
    except ValueError:
        raise ValueError(
            f"The shape of an image is integers with commas, such as 1,16,16, but was {text!r}."
        ) from None


def attribute_of(module: ModuleType, name: str | None) -> Any:
    """What a module calls ``name``, if there is one; else ``ValueError`` with the names it has."""
    if not name:
        return None
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        file, known = Path(str(module.__file__)).name, ", ".join(public) or "nothing"
        raise ValueError(f"{file} defines no {name!r}; it defines {known}.")
    return getattr(module, name)

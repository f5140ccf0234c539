"""Every law of the SVD contract, asked of one operator (slide 9)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..operators import SVDOperator
from .report import Law, Report

__all__ = ["check_operator"]


def check_operator(op: SVDOperator, H: Any = None, *, seed: int = 0) -> Report:
    """Test every law that DDRM relies on, in float64, on random images.

    Ledger S09.1-S09.5: V orthogonal, U orthonormal where s > 0, the adjoint, the Penrose equations,
    linearity, independence of the images of a batch, dtype; and, if the truth is given, that
    U diag(s) V^T is H at all.

    Parameters
    ----------
    op : SVDOperator
    H : array (m, n) or callable, optional
        The truth, built independently of ``op``: a matrix that acts on flattened images, or a
        function ``(batch, *in_shape) -> (batch, *out_shape)``.  Without it an operator can pass as
        a perfect SVD of the wrong matrix.
    seed : int
        Of the random images.

    Returns
    -------
    Report
        One entry per law; nothing is raised for a law that fails.

    Examples
    --------
    >>> from ddrm_edu import SuperResolution
    >>> print(check_operator(SuperResolution((1, 4, 4), 2)))  # doctest: +ELLIPSIS
    Operator SuperResolution((1, 4, 4) -> (1, 2, 2), rank 4)
      ok      s: finite, not negative, one per coordinate, ...
    """
    laws = tuple(_laws(op, H, seed))
    title = type(op).__name__ if math.isnan(laws[0].error) else repr(op)  # repr counts s > 0
    return Report(f"Operator {title}", laws)


def _laws(op: SVDOperator, H: Any, seed: int):
    """Yield the laws in an order in which the first failure is the most telling one."""
    first = _law_of_singular_values(op)
    yield first
    if math.isnan(first.error):
        return  # without shapes and singular values nothing else can be computed

    eps = torch.finfo(torch.float64).eps
    bound = 100 * eps * op.n**0.5  # each entry of an orthogonal map sums up to n products
    s = op.s.detach().to(torch.float64).expand(op.in_shape)
    seen = (s > 0).to(torch.float64)
    largest, smallest = s.max().item(), s[s > 0].min().item() if (s > 0).any() else 1.0
    condition = largest / smallest

    generator = torch.Generator().manual_seed(seed)
    draw = lambda shape: torch.randn((3, *shape), generator=generator, dtype=torch.float64)  # noqa: E731
    x, a, y = draw(op.in_shape), draw(op.in_shape), draw(op.out_shape)

    def law(
        name: str, got: Callable[[], Tensor], want: Callable[[], Tensor], advice: str, scale=1.0
    ):
        try:
            return Law(name, _distance(got(), want()), bound * scale, advice)
        except Exception as error:  # a broken operator may raise anything, the report goes on
            return Law(name, float("nan"), bound * scale, f"It raised: {error} {advice}")

    # First, because a method that writes into its argument spoils the other laws' x, a and y, and
    # one that mixes the images of a batch looks like a V that is not orthogonal.
    yield _law_of_arguments(op, x, y)
    yield _law_of_batches(op, x, y, bound)
    yield law(
        "Vt(V(x)) = x",
        lambda: op.Vt(op.V(x)),
        lambda: x,
        "V and Vt are not inverse to each other. Is V thin (null space missing), or are both the "
        "same matrix? torch.linalg.svd returns Vh, which is Vt, not V; ask for full_matrices=True.",
    )
    yield law(
        "V(Vt(x)) = x",
        lambda: op.V(op.Vt(x)),
        lambda: x,
        "V does not reach every image. A thin V forgets the null space: keep all n columns.",
    )
    yield law(
        "<V a, x> = <a, Vt x>",
        lambda: _inner(op.V(a), x),
        lambda: _inner(a, op.Vt(x)),
        "Vt is the inverse of V but not its transpose, so V is not orthogonal. A transform without "
        "its normalisation (a factor 1 / sqrt(n)) is the usual cause.",
    )
    yield law(
        "Ut(U(x)) = x where s > 0, 0 elsewhere",
        lambda: op.Ut(op.U(seen * x)),
        lambda: seen * x,
        "U's columns must be orthonormal where s > 0. Look at the scaling and at the order of the "
        "coordinates: U and s must list them alike.",
    )
    yield law(
        "U(x) ignores coordinates with s = 0",
        lambda: op.U((1 - seen) * x),
        lambda: torch.zeros_like(y),
        "U must be 0 where s = 0. Are the zeros of s in the places that U leaves out?",
    )
    yield law(
        "<U a, y> = <a, Ut y>",
        lambda: _inner(op.U(a), y),
        lambda: _inner(a, op.Ut(y)),
        "Ut is not the transpose of U. Check the sign, the order and the scaling of both.",
    )
    yield law(
        "<H x, y> = <x, adjoint(y)>",
        lambda: _inner(op(x), y),
        lambda: _inner(x, op.adjoint(y)),
        "The adjoint must be V diag(s) U^T. If you wrote adjoint or __call__ yourself, drop them.",
    )
    yield law(
        "H H^+ H = H",
        lambda: op(op.pinv(op(x))),
        lambda: op(x),
        "The pseudo-inverse does not undo H on its range: s^+ must be 1 / s where s > 0, else 0.",
        scale=max(1.0, condition),
    )
    yield law(
        "H^+ H H^+ = H^+",
        lambda: op.pinv(op(op.pinv(y))),
        lambda: op.pinv(y),
        "The pseudo-inverse leaves the row space of H. Singular values near 0 must be exactly 0.",
        scale=max(1.0, condition),
    )
    yield law(
        "H(2 x - 3 a) = 2 H x - 3 H a",
        lambda: op(2 * x - 3 * a),
        lambda: 2 * op(x) - 3 * op(a),
        "The map is not linear. Does it add a constant, clip, or write into its argument?",
    )
    yield _law_of_dtypes(op, x, y)
    if H is not None:
        yield law(
            "U diag(s) V^T = H",
            lambda: op(x),
            lambda: _apply_truth(H, op, x),
            "It is a perfect SVD of another matrix. Check the order of the singular values against "
            "that of the columns, the order of a Kronecker product, and row-major flattening.",
            scale=10,
        )


def _law_of_singular_values(op: SVDOperator) -> Law:
    name = "s: finite, not negative, one per coordinate, no more positive ones than measurements"
    advice = "s must broadcast to in_shape, with exact zeros on the null space."
    try:
        s = op.s.detach().expand(op.in_shape)
        bad = int((~s.isfinite() | (s < 0)).sum()) + max(0, int((s > 0).sum()) - op.m)
    except Exception as raised:  # no shapes, no s, not a tensor, or one that does not broadcast
        return Law(name, float("nan"), 0.0, f"It raised: {raised} {advice}")
    return Law(name, float(bad), 0.0, f"{bad} singular values are wrong. {advice}")


def _law_of_batches(op: SVDOperator, x: Tensor, y: Tensor, bound: float) -> Law:
    name = "a batch is a stack of single images"
    advice = "The method mixes or ignores the first axis: reshape with x.reshape(len(x), ...)."
    errors = []
    for apply, argument in ((op.V, x), (op.Vt, x), (op.U, x), (op.Ut, y)):
        try:
            whole = apply(argument)
        except Exception:  # the laws of this method will tell
            continue
        try:
            errors.append(_distance(torch.cat([apply(one[None]) for one in argument]), whole))
        except Exception as raised:
            return Law(name, float("nan"), bound, f"It raised: {raised} {advice}")
    return Law(name, _largest(errors), bound, advice)


def _law_of_arguments(op: SVDOperator, x: Tensor, y: Tensor) -> Law:
    name = "arguments are left as they were"
    errors = []
    for apply, argument in ((op.V, x), (op.Vt, x), (op.U, x), (op.Ut, y)):
        mine = argument.clone()
        # What a method raises is the other laws' to tell, and an output whose entries share
        # memory cannot be doubled; either way only the argument counts here.
        with contextlib.suppress(Exception):
            apply(mine).mul_(2)  # an output that is a view of its input would be caught here
        errors.append(float((mine - argument).abs().max()))
    advice = "A method writes into its argument or returns a view of it. Work on x.clone()."
    return Law(name, _largest(errors), 0.0, advice)


def _law_of_dtypes(op: SVDOperator, x: Tensor, y: Tensor) -> Law:
    name = "float32 in, float32 out, and the same numbers"
    bound = 100 * torch.finfo(torch.float32).eps * op.n**0.5
    advice = "Convert stored tensors with tensor.to(x) inside the method."
    errors = []
    for apply, argument in ((op.V, x), (op.Vt, x), (op.U, x), (op.Ut, y)):
        try:
            got = apply(argument.float())
            if got.dtype != torch.float32:
                return Law(name, float("nan"), bound, f"float32 came back as {got.dtype}. {advice}")
            errors.append(_distance(got.double(), apply(argument)))
        except Exception as raised:
            return Law(name, float("nan"), bound, f"It raised: {raised} {advice}")
    return Law(name, _largest(errors), bound, advice)


def _apply_truth(H: Any, op: SVDOperator, x: Tensor) -> Tensor:
    if callable(H):
        return H(x)
    matrix = torch.as_tensor(H.toarray() if hasattr(H, "toarray") else H, dtype=x.dtype)
    return (x.flatten(1) @ matrix.T).reshape(-1, *op.out_shape)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of every image of one batch with every image of the other."""
    return a.flatten(1) @ b.flatten(1).T


def _largest(errors: Iterable[float]) -> float:
    """The largest error; NaN if one is NaN (``max`` forgets a NaN that does not come first)."""
    return float(torch.tensor([0.0, *errors], dtype=torch.float64).max())


def _distance(got: Tensor, want: Tensor) -> float:
    """Largest difference, relative to the largest entry of ``want`` (absolute if that is 0)."""
    if got.shape != want.shape:
        raise ValueError(f"shape {tuple(got.shape)} instead of {tuple(want.shape)}.")
    return float((got - want).abs().max() / (want.abs().max().item() or 1.0))

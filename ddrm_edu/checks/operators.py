"""Every law of the SVD contract, asked of one operator (slide 9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..operators import SVDOperator
from ._laws import Law, Report
from .diagnosis import LARGEST_MATRIX, explained
from .methods import (
    ARGUMENTS,
    BATCH,
    DEVICE,
    DTYPE,
    LINEAR,
    RESULTS,
    SINGULAR,
    TINY,
    arguments,
    batches,
    devices,
    dtypes,
    linearity,
    results,
    rounded_zeros,
    singular_values,
)
from .trial import EPS, Trial, distance, sentence

__all__ = ["OPERATOR_LAWS", "check_operator"]

TRUTH = "U diag(s) V^T = H"
OF_THE_CODE = {ARGUMENTS, BATCH, DTYPE, DEVICE}  # how a method treats its argument
TOLD = OF_THE_CODE | {SINGULAR, TINY, LINEAR}  # laws that tell the cause themselves

Ask = Callable[[Trial], Law | str | None]
"""A law, or why it cannot be asked, or None if there is nothing to ask."""


def check_operator(op: SVDOperator, H: Any = None, *, seed: int = 0) -> Report:
    """Test every law that DDRM relies on, in float64, on random images.

    Ledger S09.1-S09.5: V orthogonal, U orthonormal where s > 0, the adjoint, the Penrose equations,
    linearity, independence of the images of a batch, dtype and device; and, if the truth is given,
    that U diag(s) V^T is H at all.

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
        One entry per law; nothing is raised for a law that fails.  What is wrong with the usual
        mistakes is found out by trying: the first law that fails tells the one change after which
        all laws hold.

    Examples
    --------
    >>> from ddrm_edu import Dense, SuperResolution
    >>> print(check_operator(SuperResolution((1, 4, 4), 2)))  # doctest: +ELLIPSIS
    Operator SuperResolution((1, 4, 4) -> (1, 2, 2), rank 4)
      ok      s: finite, not negative, one per coordinate, ...
    >>> H = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    >>> op = Dense(H)
    >>> op.s = op.s**2  # the eigenvalues of H^T H
    >>> print(check_operator(op, H).failures[0].advice)  # doctest: +ELLIPSIS
    s holds the squares of the singular values, ...
    """
    trial = Trial(op, H, seed)
    laws, not_asked = [], []
    for name, ask in LAWS.items():
        answer = ask(trial)
        if isinstance(answer, str):
            not_asked.append(f"{name}: {answer}")
        elif answer is not None:
            laws.append(answer)
        if name == SINGULAR and math.isnan(answer.error):
            break  # without shapes and singular values nothing else can be computed
    title = type(op).__name__ if math.isnan(laws[0].error) else repr(op)  # repr counts s > 0
    if not math.isnan(laws[0].error):
        laws = explained(op, trial.truth, laws, lambda other: _is_repaired(other, H, seed), TOLD)
    return Report(f"Operator {title}", tuple(laws), tuple(not_asked))


def _is_repaired(op: SVDOperator, H: Any, seed: int) -> bool:
    """True if the laws of the mathematics hold; how a method treats its argument is another cause.

    In the order of the laws, the first that fails decides, so that a wrong guess costs little.
    """
    trial = Trial(op, H, seed)
    for name, ask in LAWS.items():
        answer = None if name in OF_THE_CODE else ask(trial)
        if isinstance(answer, Law) and not answer.ok:
            return False
    return True


def _equal(
    name: str,
    got: Callable[[Trial], Tensor],
    want: Callable[[Trial], Tensor],
    advice: str,
    scale: Callable[[Trial], float] = lambda trial: 1.0,
) -> tuple[str, Ask]:
    def ask(trial: Trial) -> Law:
        bound = trial.bound * scale(trial)
        try:
            return Law(name, distance(got(trial), want(trial)), bound, advice)
        except Exception as error:  # a broken operator may raise anything, the report goes on
            return Law(name, math.nan, bound, advice, f"it raised: {sentence(error)}")

    return name, ask


def _truth(trial: Trial) -> Law | None:
    """A truth that answers in single precision is compared as such."""
    if trial.truth is None:
        return None
    advice = "It is a perfect SVD of another matrix."
    if max(trial.op.n, trial.op.m) > LARGEST_MATRIX:
        advice += (
            f" Make the same from smaller images, up to {LARGEST_MATRIX} numbers: then the cause "
            "is looked for."
        )
    try:
        due = trial.truth(trial.x)
        bound = 10 * trial.bound * max(1.0, torch.finfo(due.dtype).eps / EPS)
        return Law(TRUTH, distance(trial.op(trial.x), due.double()), bound, advice)
    except Exception as raised:
        advice = (
            f"The truth must take {trial.op.n} numbers per image (a matrix; a function takes "
            f"images of shape {trial.op.in_shape}) and return {trial.op.m}. Is it transposed, or "
            "is in_shape= missing?"
        )
        return Law(TRUTH, math.nan, 10 * trial.bound, advice, f"it raised: {sentence(raised)}")


def _condition(trial: Trial) -> float:
    return trial.condition


# In an order in which the first failure is the most telling one: a method that writes into its
# argument or mixes the images of a batch would look like a V that is not orthogonal.
LAWS: dict[str, Ask] = dict(
    [
        (SINGULAR, singular_values),
        (TINY, rounded_zeros),
        (RESULTS, results),
        (ARGUMENTS, arguments),
        (LINEAR, linearity),
        (BATCH, batches),
        _equal(
            "Vt(V(x)) = x",
            lambda t: t.op.Vt(t.op.V(t.x)),
            lambda t: t.x,
            "V and Vt are not inverse to each other. Is V thin (null space missing), or are both "
            "the same matrix? torch.linalg.svd returns Vh, which is Vt, not V.",
        ),
        _equal(
            "V(Vt(x)) = x",
            lambda t: t.op.V(t.op.Vt(t.x)),
            lambda t: t.x,
            "V does not reach every image. A thin V forgets the null space: keep all n columns.",
        ),
        _equal(
            "<V a, x> = <a, Vt x>",
            lambda t: _inner(t.op.V(t.a), t.x),
            lambda t: _inner(t.a, t.op.Vt(t.x)),
            "Vt is not the transpose of V, so V is not orthogonal. A transform without its "
            "normalisation (a factor 1 / sqrt(n)) is the usual cause.",
        ),
        _equal(
            "Ut(U(x)) = x where s > 0, 0 elsewhere",
            lambda t: t.op.Ut(t.op.U(t.seen * t.x)),
            lambda t: t.seen * t.x,
            "U's columns must be orthonormal where s > 0. Look at the scaling and at the order of "
            "the coordinates: U and s must list them alike.",
        ),
        _equal(
            "U(x) ignores coordinates with s = 0",
            lambda t: t.op.U((1 - t.seen) * t.x),
            lambda t: torch.zeros_like(t.y),
            "U must be 0 where s = 0. Are the zeros of s in the places that U leaves out?",
        ),
        _equal(
            "<U a, y> = <a, Ut y>",
            lambda t: _inner(t.op.U(t.a), t.y),
            lambda t: _inner(t.a, t.op.Ut(t.y)),
            "Ut is not the transpose of U. Check the sign, the order and the scaling of both.",
        ),
        _equal(
            "<H x, y> = <x, adjoint(y)>",
            lambda t: _inner(t.op(t.x), t.y),
            lambda t: _inner(t.x, t.op.adjoint(t.y)),
            "The adjoint is V diag(s) U^T. If you wrote adjoint or __call__ yourself, drop them.",
        ),
        _equal(
            "H H^+ H = H",
            lambda t: t.op(t.op.pinv(t.op(t.x))),
            lambda t: t.op(t.x),
            "The pseudo-inverse does not undo H: s^+ must be 1 / s where s > 0, else 0.",
            scale=_condition,
        ),
        _equal(
            "H^+ H H^+ = H^+",
            lambda t: t.op.pinv(t.op(t.op.pinv(t.y))),
            lambda t: t.op.pinv(t.y),
            "The pseudo-inverse leaves the row space of H: a singular value that should be 0 is "
            "not exactly 0.",
            scale=_condition,
        ),
        _equal(
            "H(2 x - 3 a) = 2 H x - 3 H a",
            lambda t: t.op(2 * t.x - 3 * t.a),
            lambda t: 2 * t.op(t.x) - 3 * t.op(t.a),
            "The map is not linear. Does it add a constant, clip, or draw noise?",
        ),
        (DTYPE, dtypes),
        (DEVICE, devices),
        (TRUTH, _truth),
    ]
)
OPERATOR_LAWS = tuple(LAWS)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of every image of one batch with every image of the other."""
    return a.flatten(1) @ b.flatten(1).T

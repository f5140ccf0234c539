"""Every claim of the SVD contract, asked of one operator (slide 9)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..operators import LinearMap, SVDOperator
from ..operators.convert import made
from ..operators.linear_map import RAISED, linear_map, normal_images, said
from ..validation import EPS
from .diagnosis import LARGEST_MATRIX, Advice, explained
from .report import Finding, Report

SINGULAR = "s: finite, not negative, one per coordinate, no more positive ones than measurements"
TINY = "s is 0 or larger than rounding"
RESULTS = "V, Vt, U, Ut return real tensors of the right shape and dtype"
ARGUMENTS = "arguments are left as they were"
BATCH = "a batch is a stack of single images"
LINEAR = "V, Vt, U and Ut are linear"
DTYPE = "float32 in, float32 out, and the same numbers"
DEVICE = "results live on the device of the argument"
TRUTH = "U diag(s) V^T = H"
OF_THE_CODE = {ARGUMENTS, BATCH, DTYPE, DEVICE}  # how a method treats its argument
TOLD = OF_THE_CODE | {SINGULAR, TINY, LINEAR}  # claims that tell the cause themselves


def check_operator(op: SVDOperator, H: Any = None, *, seed: int = 0) -> Report:
    """Test everything that DDRM relies on, in float64, on random images.

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
        One finding per claim; nothing is raised for a claim that is broken.  What is wrong with
        the usual mistakes is found out by trying: the first finding that is broken tells the one
        change after which all claims hold.

    Examples
    --------
    >>> from ddrm_edu import Dense, SuperResolution
    >>> print(check_operator(SuperResolution((1, 4, 4), 2)))  # doctest: +ELLIPSIS
    Operator SuperResolution((1, 4, 4) -> (1, 2, 2), rank 4)
      ok      s: finite, not negative, one per coordinate, ...
    >>> H = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    >>> op = Dense(H)
    >>> op.s = op.s**2  # the eigenvalues of H^T H
    >>> failure = check_operator(op, H).failures[0]
    >>> print(failure.cause, failure.fix, sep="\\n")
    s holds the squares of the singular values, as the eigenvalues of H^T H and the variances are:
    take s.sqrt().
    """
    if not isinstance(op, SVDOperator):
        raise ValueError(
            f"op must be an SVDOperator, but was of type {type(op).__name__}. check_H takes "
            "matrices and functions as well."
        )
    trial = Trial(op, *linear_truth(op, H), seed)
    first = _singular_values(trial)
    if math.isnan(first.error):  # without shapes and singular values nothing else can be computed
        return Report(f"Operator {type(op).__name__}", (first,))
    findings = [first, *(ask(trial) for name, ask in CLAIMS.items() if name != SINGULAR)]
    findings = explained(op, trial.truth, findings, lambda other: _is_repaired(trial, other), TOLD)
    return Report(f"Operator {op!r}", tuple(findings))


def _is_repaired(trial: Trial, op: SVDOperator) -> bool:
    """True if the mathematics is right; how a method treats its argument is another cause.

    In the order of the claims the first that is broken decides, so that a wrong guess is cheap.
    """
    repaired = Trial(op, trial.truth, trial.fault, trial.seed)
    return all(ask(repaired).ok for name, ask in CLAIMS.items() if name not in OF_THE_CODE)


def linear_truth(op: SVDOperator, H: Any) -> tuple[LinearMap | None, str]:
    """The truth about ``op`` as a map of images, or else what is wrong with it, in a sentence."""
    if H is None:
        return None, ""
    try:
        H = made(H)
        flat = not callable(H) or hasattr(H, "matvec")  # it acts on flattened images
        return linear_map(H, op.in_shape, op.out_shape if flat else None), ""
    except RAISED as raised:  # a reader's function may raise anything
        return None, said(raised)


class Trial:
    """An operator, the truth about it, and the random images on which both are tried."""

    def __init__(self, op: SVDOperator, truth: LinearMap | None, fault: str, seed: int):
        self.op, self.truth, self.fault, self.seed = op, truth, fault, seed

    @cached_property
    def s(self) -> Tensor:
        return self.op.spectrum()

    @cached_property
    def seen(self) -> Tensor:
        """1 where s > 0, else 0."""
        return (self.s > 0).to(torch.float64)

    @cached_property
    def condition(self) -> float:
        positive = self.s[self.s > 0]
        return float(positive.max() / positive.min()) if len(positive) else 1.0

    @cached_property
    def bound(self) -> float:
        """Rounding: each entry of an orthogonal map sums up to n products."""
        return 100 * EPS * self.op.n**0.5

    # Made anew, because a method that writes into its argument would spoil all that is asked later.
    x = property(lambda self: normal_images(self.op.in_shape, seed=self.seed))
    a = property(lambda self: normal_images(self.op.in_shape, seed=self.seed + 1))
    y = property(lambda self: normal_images(self.op.out_shape, seed=self.seed + 2))

    def methods(self) -> Iterator[tuple[str, Callable[[Tensor], Tensor], Tensor]]:
        """Name, method and an argument of the four methods that a subclass writes."""
        for name in ("V", "Vt", "U", "Ut"):
            yield name, getattr(self.op, name), self.y if name == "Ut" else self.x


Ask = Callable[[Trial], Finding]


# --------------------------------------------------------------------- s, and each method by itself


def _singular_values(trial: Trial) -> Finding:
    try:
        return _about_s(trial.op)
    except RAISED as raised:  # no shapes, or something that is no tensor at all
        fix = (
            "Set in_shape, out_shape (tuples) and s (a tensor) in __init__; s must broadcast to "
            "in_shape."
        )
        return Finding.answered(SINGULAR, f"it raised {said(raised)}", "", fix)


def _about_s(op: SVDOperator) -> Finding:
    shape, n, m = tuple(op.in_shape), op.n, op.m
    s: Any = op.s
    if not isinstance(s, Tensor):
        found = f"s is a {type(s).__module__.split('.')[0]} {type(s).__name__}."
        return Finding.answered(SINGULAR, found, "", "Wrap it: self.s = torch.as_tensor(s).")
    if s.is_complex():
        fix = "Singular values are real: take s.real, and look for a transform that is complex."
        return Finding.answered(SINGULAR, f"s has dtype {s.dtype}.", fix=fix)
    try:
        s = s.detach().double().expand(shape)
    except RuntimeError:
        found = f"s has shape {tuple(s.shape)}, which does not broadcast to in_shape {shape}."
        fix = "s needs one entry for each coordinate of x."
        if s.ndim == 1 and len(s) < n:
            fix += (
                f" A decomposition returns only {len(s)}, the others are exact zeros: "
                f"torch.nn.functional.pad(s, (0, {n - len(s)})).reshape(in_shape)."
            )
        elif s.numel() == n:
            fix += " Write s.reshape(in_shape)."
        return Finding.answered(SINGULAR, found, "", fix)
    unusable, negative = int((~s.isfinite()).sum()), int((s < 0).sum())
    too_many = max(0, int((s > 0).sum()) - m)
    found = cause = fix = ""
    if unusable:
        found = _counted(unusable, n, "NaN or infinite")
        cause = "A division by a singular value that is 0 is the usual cause."
    elif negative:
        found = _counted(negative, n, "negative")
        fix = "A sign belongs into U or V: s.abs(), and -u in the place of u where s < 0."
    elif too_many:
        found = f"{m + too_many} singular values are positive, but there are only {m} measurements."
        fix = "s must be exactly 0 on the null space, with no small number in its place."
    count = unusable + negative + too_many
    return Finding.measured(SINGULAR, count, 0.0, found, cause, fix, within="exactly")


def _rounded_zeros(trial: Trial) -> Finding:
    """Only what no decomposition could tell from 0; a structured operator knows s much better."""
    s, floor = trial.s, 4 * EPS
    tiny = s[(s > 0) & (s <= floor * s.max())]
    return Finding.measured(
        TINY,
        len(tiny),
        0.0,
        _counted(len(tiny), trial.op.n, f"below {floor:.0e} times the largest, but not 0"),
        "They are zeros that a decomposition rounded, and H^+ would multiply y by up to "
        f"{1 / tiny.min() if len(tiny) else 0:.0e}.",
        "Set them to 0: s[s <= max(m, n) * eps * s.max()] = 0, with "
        "eps = torch.finfo(s.dtype).eps.",
        within=f"none below {floor:.0e} s_max",
    )


def _results(trial: Trial) -> Finding:
    op, rank = trial.op, int(trial.seen.sum())
    for name, apply, argument in trial.methods():
        due = (3, *(op.out_shape if name == "U" else op.in_shape))
        try:
            got: Any = apply(argument)
        except RAISED as raised:
            found = f"{name} raised {said(raised)}"
            cause, fix = _why_it_raised(str(raised))
            return Finding.answered(RESULTS, found, cause, fix)
        found = cause = fix = ""
        if not isinstance(got, Tensor):
            kind = type(got)
            found = f"{name} returned no tensor, but {kind.__module__}.{kind.__name__}."
            fix = "Return a torch tensor: torch.as_tensor(result)."
        elif tuple(got.shape) != due:
            found = f"{name} returned shape {tuple(got.shape)}, due {due}."
            cause, fix = _why_the_shape(name, got, due, rank)
        elif got.is_complex():
            found = f"{name} returned complex numbers ({got.dtype})."
            cause = "V must be a real orthogonal map."
            fix = (
                "For the Fourier basis take real and imaginary part together, re - im (the Hartley "
                "transform), as CircularBlur does."
            )
        elif got.dtype != torch.float64:
            found = f"{name} was given torch.float64 and returned {got.dtype}."
            fix = "Convert what you store, not the image: matrix.to(x)."
        if found:
            return Finding.answered(RESULTS, found, cause, fix)
    return Finding.answered(RESULTS, within="all four")


def _why_the_shape(name: str, got: Tensor, due: tuple[int, ...], rank: int) -> tuple[str, str]:
    if got.numel() == math.prod(due):
        return "", f"Reshape at the end: .reshape(-1, {', '.join(map(str, due[1:]))})."
    if name in ("V", "Vt") and got.ndim and got.shape[-1] in (rank, 3 * rank):
        return (
            f"V is thin: it keeps only the {rank} directions with s > 0 and forgets the null "
            "space.",
            "Decompose with full_matrices=True and keep all n columns.",
        )
    if got.ndim == len(due) - 1 or (got.ndim and got.shape[0] == 1):
        return "", "The first axis counts the images of a batch and must be kept."
    return "", "The first axis counts images, the others are one entry for each number of an image."


def _why_it_raised(text: str) -> tuple[str, str]:
    if "dtype" in text or "scalar type" in text:
        return (
            "A stored tensor and the image have different dtypes:",
            "write matrix.to(x), which follows the image's dtype and device.",
        )
    if "shapes cannot be multiplied" in text or "size" in text or "shape" in text:
        return (
            "Sizes do not fit:",
            "images are rows of a batch, so a matrix M acts as x.flatten(1) @ M.T, and V and U "
            "have n columns (U padded with zeros).",
        )
    return "", "The method must take a batch of images and return one."


def _arguments(trial: Trial) -> Finding:
    wrote, shared = [], []
    for name, apply, argument in trial.methods():
        mine = argument.clone()
        # What a method raises is told elsewhere, and an output whose entries share memory cannot
        # be doubled; either way only the argument counts here.
        with contextlib.suppress(*RAISED):
            result = apply(mine)
            if not torch.equal(mine, argument):
                wrote.append(name)
                continue
            result.mul_(2)  # an output that is a view of its input is caught here
        if not torch.equal(mine, argument):
            shared.append(name)
    found = cause = fix = ""
    if wrote:
        found = f"{' and '.join(wrote)} writes into its argument."
        cause = "The image of the caller is changed behind its back."
        fix = "Start with x = x.clone()."
    elif shared:
        found = f"{' and '.join(shared)} returns its argument or a view of it."
        cause = "Whoever changes the result changes the argument."
        fix = "Return x.clone()."
    return Finding.answered(ARGUMENTS, found, cause, fix, within="exactly")


def _batches(trial: Trial) -> Finding:
    advice = Advice(
        "The method mixes or ignores the first axis:", "reshape with x.reshape(len(x), ...)."
    )
    errors, alike = {}, []
    for which, apply, argument in trial.methods():
        try:
            whole = apply(argument.clone())
        except RAISED:  # told elsewhere
            continue
        try:
            single = torch.cat([apply(one[None].clone()) for one in argument])
            errors[which] = _distance(single, whole)
        except RAISED as raised:
            found = f"{which} raised for a batch of one image: {said(raised)}"
            return Finding.answered(BATCH, found, *advice)
        if torch.equal(whole[:1].expand_as(whole), whole):
            alike.append(which)
    wrong = [which for which, error in errors.items() if not error <= trial.bound]
    worst = _largest(errors.values())
    found = " and ".join(wrong)
    if set(wrong) <= set(alike):
        found += " gives all images of a batch the same result."
    else:
        found += f" of three images is not that of each one, but off by {worst:.2g}."
    return Finding.measured(BATCH, worst, trial.bound, found, *advice)


def _linearity(trial: Trial) -> Finding:
    """Of each method alone: it says more than a map that fails as a whole."""
    worst, found, cause, fix = 0.0, "", "", ""
    for which, apply, x in trial.methods():
        a = x.flip(0) * 1.3 + 0.1
        try:
            zero, again = apply(torch.zeros_like(x)).abs().max(), apply(x.clone())
            random = _distance(apply(x.clone()), again)
            error = _distance(apply(2 * x - 3 * a), 2 * again - 3 * apply(a))
        except RAISED:  # told elsewhere
            continue
        size = max(float(zero), random, error)
        if size <= max(worst, trial.bound):
            continue
        worst = size
        if random:
            found = f"{which} gives two results for one image, {random:.2g} apart."
            cause = "It draws random numbers (noise, dropout):"
            fix = "draw them once, in __init__."
        elif zero > trial.bound:
            found = f"{which} of a zero image is not 0 but as large as {zero:.2g}."
            cause = "It adds a constant:"
            fix = "subtract that from y, and let H be the linear rest."
        else:
            found = (
                f"{which}(2 x - 3 a) is not 2 {which}(x) - 3 {which}(a), but off by {error:.2g}."
            )
            cause, fix = "Does it clip, round, take absolute values, or divide by a norm?", ""
    return Finding.measured(LINEAR, worst, trial.bound, found, cause, fix)


def _dtypes(trial: Trial) -> Finding:
    cause, fix = "", "Convert stored tensors inside the method: matrix.to(x)."
    errors = []
    for which, apply, argument in trial.methods():
        found = ""
        try:
            got = apply(argument.float())
            if got.dtype != torch.float32:
                found = f"{which} was given torch.float32 and returned {got.dtype}."
            elif not got.isfinite().all():
                found = f"{which} returns NaN or infinite numbers."
                cause, fix = "Does it overflow?", ""
            else:
                errors.append(_distance(got.double(), apply(argument)))
        except RAISED as raised:
            found = f"{which} raised for float32 images: {said(raised)}"
        if found:
            return Finding.answered(DTYPE, found, cause, fix)
    bound = 100 * torch.finfo(torch.float32).eps * trial.op.n**0.5
    return Finding.measured(DTYPE, _largest(errors), bound, fix=fix)


def _devices(trial: Trial) -> Finding:
    """On torch's device "meta", where tensors have shapes and no numbers: no GPU is needed."""
    found = ""
    for which, apply, argument in trial.methods():
        try:
            with _OneDevice():
                place = apply(argument.to("meta")).device.type
            if place != "meta":
                found = f"{which} answers on the {place} whatever the device of its argument."
        except _MixedDevices as raised:
            found = f"{which} mixes devices in {raised}."
        except RAISED:  # it leaves torch, or looks at the numbers; what else it is, others tell
            return Finding.not_asked(DEVICE, f"{which} can be tried on this device only.")
        if found:
            break
    cause, fix = (
        "A stored tensor stays where it was made.",
        "Write matrix.to(x), or index.to(x.device).",
    )
    return Finding.answered(DEVICE, found, cause, fix, within="all four")


class _MixedDevices(Exception):
    """A function of torch was called with tensors of two devices; the message is its name."""


class _OneDevice(TorchFunctionMode):
    """Refuses what a GPU would refuse; the device "meta" alone refuses only some of it."""

    MAY_MIX = frozenset({"to", "copy_", "type_as", "__getitem__", "__setitem__"})

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", str(function))
        devices = {tensor.device for tensor in _tensors((args, kwargs)) if tensor.ndim}
        if len(devices) > 1 and name not in self.MAY_MIX:
            raise _MixedDevices(name.strip("_"))
        return function(*args, **kwargs)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)


# -------------------------------------------------------------------- the methods with one another


def _equal(
    name: str,
    sides: Callable[[Trial], tuple[Tensor, Tensor]],
    cause: str,
    fix: str = "",
    scale: Callable[[Trial], float] = lambda trial: 1.0,
) -> tuple[str, Ask]:
    def ask(trial: Trial) -> Finding:
        try:
            error, bound = _distance(*sides(trial)), trial.bound * scale(trial)
            return Finding.measured(name, error, bound, "", cause, fix)
        except RAISED as raised:  # a broken operator may raise anything, the report goes on
            return Finding.answered(name, f"it raised {said(raised)}", cause, fix)

    return name, ask


def _truth(trial: Trial) -> Finding:
    """A truth that answers in single precision is compared as such."""
    op, truth, fault = trial.op, trial.truth, trial.fault
    if truth is None and not fault:
        return Finding.not_asked(TRUTH, "H was not given a second time, as truth.")
    if truth is not None:
        cause, fix = "It is a perfect SVD of another matrix.", ""
        if max(op.n, op.m) > LARGEST_MATRIX:
            fix = (
                f"Make the same from smaller images, up to {LARGEST_MATRIX} numbers: then the "
                "cause is looked for."
            )
        bound = 10 * trial.bound * truth.precision / EPS
        try:
            error = _distance(op(trial.x), truth(trial.x))
            return Finding.measured(TRUTH, error, bound, "", cause, fix)
        except RAISED as raised:
            fault = said(raised)
    return Finding.answered(
        TRUTH,
        f"it raised {fault}",
        f"The truth must take {op.n} numbers per image (a matrix; a function takes images of "
        f"shape {op.in_shape}) and return {op.m}.",
        "Is it transposed, or is in_shape= missing?",
    )


# In an order in which the first that is broken is the most telling one: a method that writes into
# its argument or mixes the images of a batch would look like a V that is not orthogonal.
CLAIMS: dict[str, Ask] = dict(
    [
        (SINGULAR, _singular_values),
        (TINY, _rounded_zeros),
        (RESULTS, _results),
        (ARGUMENTS, _arguments),
        (LINEAR, _linearity),
        (BATCH, _batches),
        _equal(
            "Vt(V(x)) = x",
            lambda t: (t.op.Vt(t.op.V(t.x)), t.x),
            "V and Vt are not inverse to each other. Is V thin (null space missing), or are both "
            "the same matrix?",
            "torch.linalg.svd returns Vh, which is Vt, not V.",
        ),
        _equal(
            "V(Vt(x)) = x",
            lambda t: (t.op.V(t.op.Vt(t.x)), t.x),
            "V does not reach every image. A thin V forgets the null space:",
            "keep all n columns.",
        ),
        _equal(
            "<V a, x> = <a, Vt x>",
            lambda t: (_inner(t.op.V(t.a), t.x), _inner(t.a, t.op.Vt(t.x))),
            "Vt is not the transpose of V, so V is not orthogonal. A transform without its "
            "normalisation (a factor 1 / sqrt(n)) is the usual cause.",
        ),
        _equal(
            "Ut(U(x)) = x where s > 0, 0 elsewhere",
            lambda t: (t.op.Ut(t.op.U(t.seen * t.x)), t.seen * t.x),
            "U's columns must be orthonormal where s > 0.",
            "Look at the scaling and at the order of the coordinates: U and s must list them "
            "alike.",
        ),
        _equal(
            "U(x) ignores coordinates with s = 0",
            lambda t: (t.op.U((1 - t.seen) * t.x), torch.zeros_like(t.y)),
            "U must be 0 where s = 0. Are the zeros of s in the places that U leaves out?",
        ),
        _equal(
            "<U a, y> = <a, Ut y>",
            lambda t: (_inner(t.op.U(t.a), t.y), _inner(t.a, t.op.Ut(t.y))),
            "Ut is not the transpose of U.",
            "Check the sign, the order and the scaling of both.",
        ),
        _equal(
            "<H x, y> = <x, adjoint(y)>",
            lambda t: (_inner(t.op(t.x), t.y), _inner(t.x, t.op.adjoint(t.y))),
            "The adjoint is V diag(s) U^T.",
            "If you wrote adjoint or __call__ yourself, drop them.",
        ),
        _equal(
            "H H^+ H = H",
            lambda t: (t.op(t.op.pinv(t.op(t.x))), t.op(t.x)),
            "The pseudo-inverse does not undo H:",
            "s^+ must be 1 / s where s > 0, else 0.",
            scale=lambda t: t.condition,
        ),
        _equal(
            "H^+ H H^+ = H^+",
            lambda t: (t.op.pinv(t.op(t.op.pinv(t.y))), t.op.pinv(t.y)),
            "The pseudo-inverse leaves the row space of H: a singular value that should be 0 is "
            "not exactly 0.",
            scale=lambda t: t.condition,
        ),
        _equal(
            "H(2 x - 3 a) = 2 H x - 3 H a",
            lambda t: (t.op(2 * t.x - 3 * t.a), 2 * t.op(t.x) - 3 * t.op(t.a)),
            "The map is not linear. Does it add a constant, clip, or draw noise?",
        ),
        (DTYPE, _dtypes),
        (DEVICE, _devices),
        (TRUTH, _truth),
    ]
)
OPERATOR_CLAIMS = tuple(CLAIMS)


# -------------------------------------------------------------------------------------- small tools


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of every image of one batch with every image of the other."""
    return a.flatten(1) @ b.flatten(1).T


def _distance(got: Tensor, want: Tensor) -> float:
    """Largest difference, relative to the largest entry of ``want`` (absolute if that is 0)."""
    if got.shape != want.shape:
        raise ValueError(f"shape {tuple(got.shape)} instead of {tuple(want.shape)}.")
    return float((got - want).abs().max() / (want.abs().max().item() or 1.0))


def _largest(errors: Iterable[float]) -> float:
    """The largest error; NaN if one is NaN (``max`` forgets a NaN that does not come first)."""
    return float(torch.tensor([0.0, *errors], dtype=torch.float64).max())


def _counted(count: int, n: int, what: str) -> str:
    return f"{count} of {n} singular values {'is' if count == 1 else 'are'} {what}."

"""What an operator's s and each of its four methods must be like, before they are compared.

These laws tell the cause of a failure themselves.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ._laws import Law
from .trial import EPS, Trial, distance, sentence

__all__ = [
    "arguments",
    "batches",
    "devices",
    "dtypes",
    "linearity",
    "results",
    "rounded_zeros",
    "singular_values",
]

SINGULAR = "s: finite, not negative, one per coordinate, no more positive ones than measurements"
TINY = "s is 0 or larger than rounding"
RESULTS = "V, Vt, U, Ut return real tensors of the right shape and dtype"
ARGUMENTS = "arguments are left as they were"
BATCH = "a batch is a stack of single images"
LINEAR = "V, Vt, U and Ut are linear"
DTYPE = "float32 in, float32 out, and the same numbers"
DEVICE = "results live on the device of the argument"


def singular_values(trial: Trial) -> Law:
    try:
        fault = _fault_of_s(trial)
    except Exception as raised:  # no shapes, or something that is no tensor at all
        return Law(SINGULAR, float("nan"), 0.0, _SET_THEM, f"it raised: {sentence(raised)}")
    return fault or Law(SINGULAR, 0.0, 0.0, "", within="exactly")


_SET_THEM = (
    "Set in_shape, out_shape (tuples) and s (a tensor) in __init__; s must broadcast to in_shape."
)


def _fault_of_s(trial: Trial) -> Law | None:
    op, missing = trial.op, float("nan")
    shape, n, m, s = tuple(op.in_shape), op.n, op.m, op.s
    if not isinstance(s, Tensor):
        what = f"s is a {type(s).__module__.split('.')[0]} {type(s).__name__}."
        return Law(SINGULAR, missing, 0.0, "Wrap it: self.s = torch.as_tensor(s).", what)
    if s.is_complex():
        fix = "Singular values are real: take s.real, and look for a transform that is complex."
        return Law(SINGULAR, missing, 0.0, fix, f"s has dtype {s.dtype}.")
    try:
        s = s.detach().double().expand(shape)
    except RuntimeError:
        what = f"s has shape {tuple(s.shape)}, which does not broadcast to in_shape {shape}."
        fix = "s needs one entry for each coordinate of x."
        if s.ndim == 1 and len(s) < n:
            fix += (
                f" A decomposition returns only {len(s)}, the others are exact zeros: "
                f"torch.nn.functional.pad(s, (0, {n - len(s)})).reshape(in_shape)."
            )
        elif s.numel() == n:
            fix += " Write s.reshape(in_shape)."
        return Law(SINGULAR, missing, 0.0, fix, what)
    unusable, negative = int((~s.isfinite()).sum()), int((s < 0).sum())
    too_many = max(0, int((s > 0).sum()) - m)
    count = float(unusable + negative + too_many)
    if unusable:
        fix = "A division by a singular value that is 0 is the usual cause."
        return Law(SINGULAR, count, 0.0, fix, _counted(unusable, n, "NaN or infinite"))
    if negative:
        fix = "A sign belongs into U or V: s.abs(), and -u in the place of u where s < 0."
        return Law(SINGULAR, count, 0.0, fix, _counted(negative, n, "negative"))
    if too_many:
        what = f"{m + too_many} singular values are positive, but there are only {m} measurements."
        fix = "s must be exactly 0 on the null space, with no small number in its place."
        return Law(SINGULAR, count, 0.0, fix, what)
    return None


def rounded_zeros(trial: Trial) -> Law | None:
    """Only what no decomposition could tell from 0; a structured operator knows s much better."""
    s, floor = trial.s, 4 * EPS
    tiny = s[(s > 0) & (s <= floor * s.max())]
    found = ""
    if len(tiny):
        found = _counted(len(tiny), trial.op.n, f"below {floor:.0e} times the largest, but not 0")
    return Law(
        TINY,
        float(len(tiny)),
        0.0,
        "They are zeros that a decomposition rounded, and H^+ would multiply y by up to "
        f"{1 / tiny.min() if len(tiny) else 0:.0e}. Set them to 0: "
        "s[s <= max(m, n) * eps * s.max()] = 0, with eps = torch.finfo(s.dtype).eps.",
        found,
        within=f"none below {floor:.0e} s_max",
    )


def results(trial: Trial) -> Law:
    op, rank = trial.op, int(trial.seen.sum())
    for name, apply, argument in trial.methods():
        due = (3, *(op.out_shape if name == "U" else op.in_shape))
        try:
            got = apply(argument)
        except Exception as raised:
            return Law(
                RESULTS, math.nan, 0.0, _why_it_raised(raised), f"{name} raised {_quoted(raised)}"
            )
        found, fix = "", ""
        if not isinstance(got, Tensor):
            kind = type(got)
            found = f"{name} returned no tensor, but {kind.__module__}.{kind.__name__}."
            fix = "Return a torch tensor: torch.as_tensor(result)."
        elif tuple(got.shape) != due:
            found = f"{name} returned shape {tuple(got.shape)}, due {due}."
            fix = _why_the_shape(name, got, due, rank)
        elif got.is_complex():
            found = f"{name} returned complex numbers ({got.dtype})."
            fix = (
                "V must be a real orthogonal map. For the Fourier basis take real and imaginary "
                "part together, re - im (the Hartley transform), as CircularBlur does."
            )
        elif got.dtype != torch.float64:
            found = f"{name} was given torch.float64 and returned {got.dtype}."
            fix = "Convert what you store, not the image: matrix.to(x)."
        if found:
            return Law(RESULTS, math.nan, 0.0, fix, found)
    return Law(RESULTS, 0.0, 0.0, "", within="all four")


def _why_the_shape(name: str, got: Tensor, due: tuple[int, ...], rank: int) -> str:
    if got.numel() == math.prod(due):
        return f"Reshape at the end: .reshape(-1, {', '.join(map(str, due[1:]))})."
    if name in ("V", "Vt") and got.ndim and got.shape[-1] in (rank, 3 * rank):
        return (
            f"V is thin: it keeps only the {rank} directions with s > 0 and forgets the null "
            "space. Decompose with full_matrices=True and keep all n columns."
        )
    if got.ndim == len(due) - 1 or (got.ndim and got.shape[0] == 1):
        return "The first axis counts the images of a batch and must be kept."
    return "The first axis counts images, the others are one entry for each number of an image."


def _why_it_raised(raised: Exception) -> str:
    text = str(raised)
    if "dtype" in text or "scalar type" in text:
        return (
            "A stored tensor and the image have different dtypes: write matrix.to(x), which "
            "follows the image's dtype and device."
        )
    if "shapes cannot be multiplied" in text or "size" in text or "shape" in text:
        return (
            "Sizes do not fit: images are rows of a batch, so a matrix M acts as "
            "x.flatten(1) @ M.T, and V and U have n columns (U padded with zeros)."
        )
    return "The method must take a batch of images and return one."


def arguments(trial: Trial) -> Law:
    wrote, shared = [], []
    for name, apply, argument in trial.methods():
        mine = argument.clone()
        # What a method raises is another law's to tell, and an output whose entries share memory
        # cannot be doubled; either way only the argument counts here.
        with contextlib.suppress(Exception):
            result = apply(mine)
            if not torch.equal(mine, argument):
                wrote.append(name)
                continue
            result.mul_(2)  # an output that is a view of its input is caught here
        if not torch.equal(mine, argument):
            shared.append(name)
    found, advice = "", "A method writes into its argument or returns a view of it. Use x.clone()."
    if wrote:
        found = f"{_and(wrote)} writes into its argument."
        advice = "The image of the caller is changed behind its back. Start with x = x.clone()."
    elif shared:
        found = f"{_and(shared)} returns its argument or a view of it."
        advice = "Whoever changes the result changes the argument. Return x.clone()."
    return Law(ARGUMENTS, float(len(wrote + shared)), 0.0, advice, found, within="exactly")


def batches(trial: Trial) -> Law:
    advice = "The method mixes or ignores the first axis: reshape with x.reshape(len(x), ...)."
    errors, alike = {}, []
    for which, apply, argument in trial.methods():
        try:
            whole = apply(argument.clone())
        except Exception:  # another law tells
            continue
        try:
            single = torch.cat([apply(one[None].clone()) for one in argument])
            errors[which] = distance(single, whole)
        except Exception as raised:
            found = f"{which} raised for a batch of one image: {sentence(raised)}"
            return Law(BATCH, math.nan, trial.bound, advice, found)
        if torch.equal(whole[:1].expand_as(whole), whole):
            alike.append(which)
    wrong = [which for which, error in errors.items() if not error <= trial.bound]
    worst, found = _largest(errors.values()), ""
    if wrong:
        found = f"{_and(wrong)} of three images is not that of each one, but off by {worst:.2g}."
        if set(wrong) <= set(alike):
            found = f"{_and(wrong)} gives all images of a batch the same result."
    return Law(BATCH, worst, trial.bound, advice, found)


def linearity(trial: Trial) -> Law:
    """Of each method alone: it says more than a map that fails as a whole."""
    worst, found, advice = 0.0, "", ""
    for which, apply, x in trial.methods():
        a = x.flip(0) * 1.3 + 0.1
        try:
            zero, again = apply(torch.zeros_like(x)).abs().max(), apply(x.clone())
            random = distance(apply(x.clone()), again)
            error = distance(apply(2 * x - 3 * a), 2 * again - 3 * apply(a))
        except Exception:  # another law tells
            continue
        size = max(float(zero), random, error)
        if size <= max(worst, trial.bound):
            continue
        worst = size
        if random:
            found = f"{which} gives two results for one image, {random:.2g} apart."
            advice = "It draws random numbers (noise, dropout): draw them once, in __init__."
        elif zero > trial.bound:
            found = f"{which} of a zero image is not 0 but as large as {zero:.2g}."
            advice = "It adds a constant: subtract that from y, and let H be the linear rest."
        else:
            found = (
                f"{which}(2 x - 3 a) is not 2 {which}(x) - 3 {which}(a), but off by {error:.2g}."
            )
            advice = "Does it clip, round, take absolute values, or divide by a norm?"
    return Law(LINEAR, worst, trial.bound, advice, found)


def dtypes(trial: Trial) -> Law:
    bound = 100 * torch.finfo(torch.float32).eps * trial.op.n**0.5
    advice = "Convert stored tensors inside the method: matrix.to(x)."
    errors = []
    for which, apply, argument in trial.methods():
        found = ""
        try:
            got = apply(argument.float())
            if got.dtype != torch.float32:
                found = f"{which} was given torch.float32 and returned {got.dtype}."
            elif not got.isfinite().all():
                found, advice = f"{which} returns NaN or infinite numbers.", "Does it overflow?"
            else:
                errors.append(distance(got.double(), apply(argument)))
        except Exception as raised:
            found = f"{which} raised for float32 images: {sentence(raised)}"
        if found:
            return Law(DTYPE, math.nan, bound, advice, found)
    return Law(DTYPE, _largest(errors), bound, advice)


def devices(trial: Trial) -> Law | str:
    """On torch's device "meta", where tensors have shapes and no numbers: no GPU is needed."""
    advice = "A stored tensor stays where it was made. Write matrix.to(x), or index.to(x.device)."
    for which, apply, argument in trial.methods():
        try:
            with _OneDevice():
                got = apply(argument.to("meta"))
        except _MixedDevices as raised:
            return Law(DEVICE, math.nan, 0.0, advice, f"{which} mixes devices in {raised}.")
        except Exception:  # it leaves torch, or looks at the numbers; another law tells the rest
            return f"{which} can be tried on this device only."
        if got.device.type != "meta":
            found = f"{which} answers on the {got.device.type} whatever the device of its argument."
            return Law(DEVICE, 1.0, 0.0, advice, found)
    return Law(DEVICE, 0.0, 0.0, "", within="all four")


class _MixedDevices(Exception):
    """A function of torch was called with tensors of two devices; the message is its name."""


class _OneDevice(TorchFunctionMode):
    """Refuses what a GPU would refuse; the device "meta" alone refuses only some of it."""

    MAY_MIX = frozenset({"to", "copy_", "type_as", "__getitem__", "__setitem__"})

    def __torch_function__(self, function, types, args=(), kwargs=None):
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


# -------------------------------------------------------------------------------------- small tools


def _largest(errors: Iterable[float]) -> float:
    """The largest error; NaN if one is NaN (``max`` forgets a NaN that does not come first)."""
    return float(torch.tensor([0.0, *errors], dtype=torch.float64).max())


def _quoted(raised: Exception) -> str:
    return f"{type(raised).__name__}: {sentence(raised)}"


def _counted(count: int, n: int, what: str) -> str:
    return f"{count} of {n} singular values {'is' if count == 1 else 'are'} {what}."


def _and(names: list[str]) -> str:
    return " and ".join(names)

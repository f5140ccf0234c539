"""From words to the cells of an evaluation: task, noise, method, eta and number of steps."""

from __future__ import annotations

import ast
import hashlib
import itertools
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..baselines import BASELINES
from ..operators import Inpainting, SVDOperator
from ..restoration import METHODS, restore
from ..tasks import Task

Say = Callable[[str], None]
OWN = "own"  # the eta that a method has by default


class Cell(NamedTuple):
    """One line of the table; ``eta`` is text, and a baseline has no steps and no eta."""

    task: str
    sigma_y: float
    method: str
    eta: str = ""
    steps: int = 0

    @property
    def classical(self) -> bool:
        return self.method.partition(":")[0] in BASELINES

    @property
    def stem(self) -> str:
        """A name for files: readable, and of no other cell."""
        text = "_".join(map(str, self))
        code = hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:8]
        return f"{re.sub('[^A-Za-z0-9.,-]+', '-', text).strip('-.')[:120]}-{code}"


def operator_of(task: str, shape: tuple[int, int, int]) -> SVDOperator:
    """H of ``denoise``, ``inpaint:SHARE``, ``box:SIDE``, ``superres:FACTOR`` and others.

    ``inpaint`` loses a share of the pixels, chosen with seed 0, ``box`` a square in the middle;
    ``superres:FACTOR:bicubic`` and ``deblur:KERNEL`` have the kernels of ``ddrm-edu restore``;
    ``colorize``, ``demosaic``, ``compressed-sensing:SHARE`` and ``FILE.py:NAME`` are its tasks.

    Raises
    ------
    ValueError
        For other words, and those that do not fit the shape.

    Examples
    --------
    >>> operator_of("inpaint:0.5", (1, 2, 4))
    Inpainting((1, 2, 4) -> (3,), rank 3)
    """
    name, _, words = task.partition(":")
    given = words.split(":") if words else []
    try:
        if name == "inpaint":
            (share,) = map(float, given)
            uniform = torch.rand(shape[1:], generator=torch.Generator().manual_seed(0))
            return Inpainting(uniform >= share, shape[0])
        if name == "box":
            (side,) = map(int, given)
            if not 0 < side < min(shape[1:]):
                raise ValueError
            known = torch.ones(shape[1:], dtype=torch.bool)
            top, left = ((length - side) // 2 for length in shape[1:])
            known[top : top + side, left : left + side] = False
            return Inpainting(known, shape[0])
        if name == "superres":
            factor = int(given[0])
            kernel = given[1] if len(given) > 1 else None
            whole = Task(name=name, factor=factor, kernel=kernel)
        elif name == "deblur":
            whole = Task(name=name, kernel=words)
        elif name == "compressed-sensing":
            (share,) = map(float, given)
            whole = Task(name=name, share=share)
        elif name in ("denoise", "colorize", "demosaic") and not given:
            whole = Task(name=name)
        elif name.endswith(".py"):
            whole = Task(name=task)
        else:
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError(
            "--task must be denoise, inpaint:SHARE, box:SIDE, superres:FACTOR, "
            "superres:FACTOR:bicubic, deblur:gaussian:SIGMA, deblur:motion:LENGTH,ANGLE, "
            "deblur:FILE, colorize, demosaic, compressed-sensing:SHARE or FILE.py:NAME, for images "
            f"of shape {shape}, but was {task!r}."
        ) from None
    whole.check()
    op = whole.operator(shape)
    if op.in_shape != shape:
        raise ValueError(
            f"--task {task} is of images of the shape {op.in_shape}, but the images have {shape}."
        )
    return op


def method_of(text: str) -> tuple[str, dict[str, Any]]:
    """``"moment-matching:cg_steps=3"`` as its name and its options.

    Examples
    --------
    >>> method_of("moment-matching:cg_steps=3")
    ('moment-matching', {'cg_steps': 3})
    """
    name, *words = text.split(":")
    if name not in METHODS and name not in BASELINES:
        raise ValueError(
            f"--method must begin with one of {', '.join([*METHODS, *BASELINES])}, and may go on "
            f"with options, such as moment-matching:cg_steps=3, but was {text!r}."
        )
    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key.isidentifier() or not equals:
            raise ValueError(
                f"Options of --method are KEY=VALUE, one after each colon, but {text!r} has "
                f"{word!r}."
            )
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return name, options


def eta_of(text: str, op: SVDOperator) -> Any:
    """``own``, ``tight``, a number, or ``A/B``: A where H measures (s > 0), B where it does not."""
    if text == OWN:
        return None
    if text == "tight":
        return text
    try:
        rates = [float(word) for word in text.split("/")]
        if len(rates) > 2:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"--eta must be own, tight, a number or two of them, such as 0.85/1 (measured / not "
            f"measured), but was {text!r}."
        ) from None
    if len(rates) == 1:
        return rates[0]
    return torch.where(op.spectrum() > 0, *(torch.tensor(r, dtype=torch.float64) for r in rates))


def grid(
    tasks: Sequence[str],
    noises: Sequence[float],
    methods: Sequence[str],
    etas: Sequence[str],
    steps: Sequence[int],
    shape: tuple[int, int, int],
    say: Say = lambda line: None,
) -> list[Cell]:
    """All cells that exist; ``say`` is told of those that do not, each with its reason.

    A method is asked with a denoiser that costs nothing; what it refuses is left out.

    Raises
    ------
    ValueError
        For words that mean nothing, and if no cell is left.
    """
    for count in steps:
        if count < 1:
            raise ValueError(f"--steps must be positive, but was {count}.")
    cells: list[Cell] = []
    reasons: dict[str, None] = {}
    for task, sigma_y, method in itertools.product(tasks, noises, methods):
        if not 0 <= sigma_y < math.inf:
            raise ValueError(f"--sigma-y must be finite and at least 0, but was {sigma_y:g}.")
        name, _ = method_of(method)
        op = operator_of(task, shape)
        if task == "denoise" and not sigma_y:
            reasons["denoise, sigma_y = 0: there is nothing to do"] = None
        elif name in BASELINES:
            if BASELINES[name].applies(op):
                cells.append(Cell(task, sigma_y, method))
            else:
                reasons[f"{name}, {task}: it knows nothing of this task"] = None
        else:
            for eta in etas:
                if refusal := _refusal(method, eta, op, sigma_y):
                    reasons[f"{method}, eta {eta}: {refusal}"] = None
                else:
                    cells += [Cell(task, sigma_y, method, eta, count) for count in steps]
    for reason in reasons:
        say(f"left out: {reason}")
    if not cells:
        raise ValueError(f"Nothing is left to evaluate: {'; '.join(reasons)}")
    return list(dict.fromkeys(cells))


def _refusal(method: str, eta: str, op: SVDOperator, sigma_y: float) -> str:
    """Why a method does not run, in its own words; nothing if it does."""
    rate = eta_of(eta, op)
    y = torch.zeros(1, *op.out_shape)
    try:
        restored(method, rate, lambda x, sigma: 0.5 * x, op, y, sigma_y, steps=1, generator=None)
    except (ValueError, TypeError) as error:
        return " ".join(str(error).split()).partition(". ")[0][:200]
    return ""


def restored(
    method: str, rate: Any, denoiser: Any, op: Any, y: Tensor, sigma_y: float, **how: Any
) -> Tensor:
    """``restore`` by a method with its options, as a cell names it."""
    name, options = method_of(method)
    chosen = partial(METHODS[name].make, **options) if options else name
    return restore(denoiser, op, y, sigma_y=sigma_y, method=chosen, eta=rate, **how)

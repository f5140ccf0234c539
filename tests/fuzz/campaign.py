"""The campaign: every good call with one argument replaced by each kind of bad one, and what came.

sentence        a ValueError, TypeError ... that the package raises itself, in a sentence
same            the result of the good call
other           another finite result
own error       what the caller's own function raised, as it was
UNCLEAR         an exception from inside torch, numpy or Python
NaN             NaN or infinite numbers from finite ones
CHANGED         an argument is another one after the call
RANDOM STATE    the global random state of torch, numpy or Python moved
TOO LONG        over the limit of processor seconds
out of memory   an absurd size that was asked for
"""

from __future__ import annotations

import dataclasses
import io
import linecache
import math
import random
import re
import signal
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .good_calls import GOOD, INFINITE, SLOW
from .kinds_of_bad import OwnError, kinds

BAD = ("UNCLEAR", "NaN", "CHANGED", "RANDOM STATE", "TOO LONG")
CLASSES = ("sentence", "same", "other", "own error", "out of memory", *BAD)


class TooLong(BaseException):
    """Raised by the alarm."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    target: str
    argument: str
    family: str
    kind: str
    status: str
    told: str = ""


def numbers_in(value: Any, path: str = "", seen: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Copies of all arrays and numbers in a value, by their place."""
    if id(value) in seen or len(seen) > 8:
        return {}
    if isinstance(value, Tensor):
        if value.is_meta:
            return {path: f"meta {tuple(value.shape)}"}
        dense = value.detach()
        return {path: (dense if dense.layout is torch.strided else dense.to_dense()).clone()}
    if isinstance(value, np.ndarray):
        return {path: value.copy()}
    if isinstance(value, bool | int | float | complex | str):
        return {path: value}
    parts: Any = {}
    if isinstance(value, tuple | list):
        parts = dict(enumerate(value))
    elif isinstance(value, dict):
        parts = value
    elif type(value).__module__.partition(".")[0] in ("ddrm_edu", "fuzz", "types"):
        parts = getattr(value, "__dict__", {})
    found: dict[str, Any] = {}
    for name, part in list(parts.items()):
        found |= numbers_in(part, f"{path}.{name}", seen | {id(value)})
    return found


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            return False
        a, b = (x.to(torch.float64) if x.is_floating_point() else x for x in (a, b))
        return bool(torch.allclose(a, b.to(a.dtype), rtol=1e-5, atol=1e-6, equal_nan=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-5)
    return type(a) is type(b) and a == b


def finite(found: dict[str, Any]) -> bool:
    for value in found.values():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
            if not np.isfinite(value).all():
                return False
        elif isinstance(value, Tensor):
            if (value.is_floating_point() or value.is_complex()) and not bool(
                torch.isfinite(value.to(torch.complex128)).all()
            ):
                return False
        elif isinstance(value, float | np.floating) and not math.isfinite(value):
            return False
    return True


def consumed(result: Any) -> Any:
    """The result, an iterator's steps in a list."""
    if hasattr(result, "__next__"):
        return [step for _, step in zip(range(200), result, strict=False)]
    return result


def random_states() -> list[bytes]:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return [
        torch.get_rng_state().numpy().tobytes(),
        kind.encode() + np.asarray(keys).tobytes() + repr(rest).encode(),
        repr(random.getstate()).encode(),
    ]


def told(error: BaseException) -> tuple[bool, str]:
    """Whether the package raised it in a sentence, and what it says."""
    message = " ".join(str(error).split())
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    file = trace.tb_frame.f_code.co_filename
    line = linecache.getline(file, trace.tb_lineno).strip()
    if isinstance(error, AssertionError) and "ddrm_edu/checks" in file:
        return True, message  # a claim that does not hold
    if isinstance(error, FileNotFoundError | IsADirectoryError) and error.filename:
        return True, message  # the system's own sentence, which names the file
    sentence = len(message.split()) >= 6 and re.search(r"[.?!)]$", message) is not None
    wanted = isinstance(error, ValueError | TypeError | OSError | ImportError | AssertionError)
    ours = "ddrm_edu" in file and line.startswith("raise") and wanted and sentence
    place = f"{file.rpartition('/')[2]}:{trace.tb_lineno}"
    return ours, f"{type(error).__name__}: {message[:110]} ({place})"


def attempt(target: str, replaced: str, value: Any, limit: float) -> tuple[str, str, dict]:
    """One call: its class, what it says, and the numbers in its result."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    function, arguments = GOOD[target]()
    if replaced:
        arguments[replaced] = value
    positional = [arguments[key] for key in sorted(arguments) if key.isdigit()]
    named = {key: value for key, value in arguments.items() if not key.isdigit()}
    before = numbers_in(arguments)
    states = random_states()
    drawn = "generator" in arguments and arguments["generator"] is None

    def alarm(*_: Any) -> None:
        raise TooLong

    status, text, found = "", "", {}
    # Processor seconds: what else the machine does is no fault of the call.  Who sleeps is woken.
    clocks = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    old = {number: signal.signal(number, alarm) for number in clocks}
    signal.setitimer(signal.ITIMER_PROF, limit)
    signal.setitimer(signal.ITIMER_REAL, 10 * limit)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            found = numbers_in(consumed(function(*positional, **named)))
    except TooLong:
        return "TOO LONG", f"over {limit:g} s of the processor", {}
    except OwnError:
        status = "own error"
    except MemoryError as error:
        status, text = "out of memory", str(error)[:80]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        ours, text = told(error)
        status = "sentence" if ours else "UNCLEAR"
        if not ours and re.search("can't allocate|exceeds .* maximum|too large", str(error)):
            status = "out of memory"
    finally:
        for number, clock in clocks.items():
            signal.setitimer(clock, 0)
            signal.signal(number, old[number])
    after = numbers_in(arguments)
    changed = [
        place
        for place, was in before.items()
        if place in after and not same(was, after[place]) and not place.startswith(".generator")
    ]
    if changed:
        return "CHANGED", f"{changed[0]} {text}", found
    if not drawn and (moved := random_states()) != states:
        which = [
            n for n, a, b in zip(("torch", "numpy", "random"), states, moved, strict=True) if a != b
        ]
        return "RANDOM STATE", f"{', '.join(which)} {text}", found
    return status or "result", text, found


def outcomes(
    targets: list[str], seed: int = 0, share: float = 1.0, limit: float = 10.0
) -> Iterator[Outcome]:
    """Every call of these targets, or a random share of them."""
    for target in targets:
        rng = random.Random(f"{seed} {target}")  # whatever other targets there are
        status, text, good = attempt(target, "", None, 60.0)
        if status != "result":
            raise AssertionError(f"The good call of {target} is none: {status}, {text}")
        finite_good = finite(good)
        _, arguments = GOOD[target]()
        for argument, value in arguments.items():
            rows = list(kinds(value))
            most = SLOW.get(target, len(rows))
            if share < 1 or most < len(rows):
                count = min(most, max(1, round(share * len(rows))))
                rows = rng.sample(rows, count)
            for family, kind, make in rows:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        bad = make()
                except (RuntimeError, TypeError, NotImplementedError, ValueError, OverflowError):
                    continue  # this value has no such kind: a boolean mask no bfloat16
                given_finite = family != "NaN, inf" and finite(numbers_in(bad))
                given_finite &= not (family == "result" and ("NaN" in kind or "inf" in kind))
                status, text, found = attempt(target, argument, bad, limit)
                if status == "result":
                    if (
                        finite_good
                        and given_finite
                        and not finite(found)
                        and target not in INFINITE
                    ):
                        status = "NaN"
                    else:
                        equal = found.keys() == good.keys() and all(
                            same(found[place], good[place]) for place in good
                        )
                        status = "same" if equal else "other"
                yield Outcome(target, argument, family, kind, status, text)


def table(found: list[Outcome]) -> str:
    """Rows: families of bad arguments; columns: classes."""
    families = sorted({each.family for each in found})
    counts = Counter((each.family, each.status) for each in found)
    lines = [f"| kind of argument | {' | '.join(CLASSES)} |", "|---" * (len(CLASSES) + 1) + "|"]
    for family in families:
        row = " | ".join(f"{counts[family, status]:,}" for status in CLASSES)
        lines.append(f"| {family} | {row} |")
    total = Counter(each.status for each in found)
    row = " | ".join(f"**{total[status]:,}**" for status in CLASSES)
    return "\n".join([*lines, f"| **all {len(found):,}** | {row} |"])

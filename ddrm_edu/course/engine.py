"""What an exercise is, and how an answer is examined.

An exercise is a generator of *cases*, the simplest first: it takes the student's answer and yields
``(description, got, want)``.  An answer is right if got is want in every case.  A wrong one is
recognised by what it gives in all the cases: if that is what a known mistake gives, the student
gets the hint meant for that mistake.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddrm_edu.validation import real_tensor

Answer = Any  # what an exercise asks for: a number, a tensor, most often a function
Cases = Iterator[tuple[str, Any, Any]]
Generator = Callable[[Answer], Cases]


def tensor(numbers: Any) -> Tensor:
    """Numbers, or nested lists of them, in float64."""
    return torch.tensor(numbers, dtype=torch.float64)


def normal(seed: int, *shape: int) -> Tensor:
    """Generic numbers in float64, the same on every machine."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


class Mistake(NamedTuple):
    """A typical wrong answer and the hint that helps who gave it."""

    answer: Answer
    hint: str


class NotYet(AssertionError):
    """An answer that is not right; the message gives a counterexample and a hint."""


class _StillDots(Exception):
    """A function was called whose body is still three dots."""


class Exercise(NamedTuple):
    """One exercise; ``cases(answer)`` yields what the answer gives and what is due."""

    id: str
    title: str
    kind: Literal["paper", "code"]
    cases: Generator
    atol: float
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    def examine(self, answer: Answer, hints: int = 1) -> str:
        """One line of praise, or `NotYet` with a counterexample and ``hints`` hints."""
        responses = []
        for description, got, want in self.responses(answer):
            responses.append(got)
            difference = _difference(got, want, self.atol)
            if difference:
                hint = self._hint_for(answer) or self.hints[0]
                more = "".join(f"\n      Hint: {text}" for text in self.hints[1:hints])
                raise NotYet(
                    f"{self.id}  not yet: {description}: {difference}.\n      Hint: {hint}{more}"
                )
        cases = f"{len(responses)} cases" if len(responses) > 1 else "1 case"
        return f"{self.id}  right    {cases}, max|diff| <= {self.atol:.0e}"

    def responses(self, answer: Answer) -> Cases:
        """The cases; an exception that the answer raises, or its dots, are its last response."""
        description = "in the first case"
        try:
            for case in self.cases(_watched(answer) if callable(answer) else answer):
                yield case
                description = "in the case after: " + case[0]
        except _StillDots:
            yield description, ..., None
        except Exception as error:
            yield description, error, None

    def _hint_for(self, answer: Answer) -> str | None:
        """The hint of the mistake that gives the same as the answer in all the cases."""
        given = [got for _, got, _ in self.responses(answer)]
        for mistake in self.mistakes:
            known = [got for _, got, _ in self.responses(mistake.answer)]
            if len(known) == len(given):
                pairs = zip(given, known, strict=True)
                if not any(_difference(one, other, self.atol) for one, other in pairs):
                    return mistake.hint
        return None


def _watched(answer: Answer) -> Answer:
    """The student's function, but three dots that it returns are an exception."""

    @functools.wraps(answer)
    def watched(*args: Any, **options: Any) -> Any:
        value = answer(*args, **options)
        if value is ...:
            raise _StillDots
        return value

    return watched


EXERCISES: dict[str, Exercise] = {}


def question(
    id: str, title: str, *, kind: Literal["paper", "code"], atol: float = 1e-9
) -> Callable[[Generator], Generator]:
    """Register the decorated generator of cases as an exercise, above `hints` and `mistakes`.

    Parameters
    ----------
    id : str
        ``NN.k``, NN the lecture.
    title : str
    kind : {"paper", "code"}
    atol : float
        Largest admissible difference of any number; for an answer in float32 its rounding.
    """
    if kind not in ("paper", "code"):
        raise ValueError(f"kind must be 'paper' or 'code', not {kind!r}.")
    if id in EXERCISES:
        raise ValueError(f"Exercise {id} exists already; give this one another number.")

    def register(cases: Generator) -> Generator:
        given = vars(cases)
        if missing := [part for part in ("hints", "mistakes") if part not in given]:
            raise ValueError(f"Exercise {id} lacks @{' and @'.join(missing)} below its @question.")
        EXERCISES[id] = Exercise(id, title, kind, cases, atol, given["hints"], given["mistakes"])
        return cases

    return register


def hints(*texts: str) -> Callable[[Generator], Generator]:
    """The hints of an exercise, at least three, from a nudge to nearly the solution."""
    return _with(hints=texts)


def mistakes(*answers_and_hints: Any) -> Callable[[Generator], Generator]:
    """At least three typical mistakes: a wrong answer, the hint meant for it, the next answer ...

    Each answer must be wrong in some case, and no two of them share a hint.
    """
    answers, texts = answers_and_hints[::2], answers_and_hints[1::2]
    if len(answers) != len(texts) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            "mistakes(...) takes an answer, its hint, the next answer, its hint and so on, but an "
            "answer or a hint is missing here."
        )
    return _with(mistakes=tuple(map(Mistake, answers, texts)))


def _with(**parts: Sequence[Any]) -> Callable[[Generator], Generator]:
    """Keep parts of an exercise at its cases until `question` collects them."""

    def keep(cases: Generator) -> Generator:
        vars(cases).update(parts)
        return cases

    return keep


def load(lecture: str) -> list[Exercise]:
    """The exercises of a lecture, named by its two digits."""
    name = f"{__package__}.exercises.lecture_{lecture}"
    if importlib.util.find_spec(name):
        importlib.import_module(name)
    return [each for id, each in sorted(EXERCISES.items()) if id.startswith(f"{lecture}.")]


def exercise(id: str, answer: Answer = ..., *, hints: int = 0) -> None:
    """Examine an answer to exercise ``id``: print that it is right, or fail with a hint.

    Parameters
    ----------
    id : str
        As printed in the lecture, for example ``"07.2"``.
    answer : object
        What the exercise asks for; ``...`` (three dots) if there is no answer yet, which prints
        ``07.2  your turn``.  A function that returns ``...`` is no answer yet either.
    hints : int
        How many hints to show; there are three or more.  A wrong answer always gets the first, or
        a better one if the mistake is a known one.

    Raises
    ------
    NotYet
        If the answer is wrong; the message gives the simplest counterexample found and a hint.
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> exercise("00.1", ...)
    00.1  your turn
    """
    known = {each.id: each for each in load(str(id).split(".")[0])}
    if id not in known:
        listed = ", ".join(known) or "none, because there is no such lecture"
        raise ValueError(
            f"There is no exercise {id!r}. The exercises of that lecture are: {listed}. "
            'Write the number as it is printed, for example exercise("07.2", answer).'
        )
    problem = known[id]
    if answer is ... or _unfinished(problem, answer):
        print(f"{id}  your turn")
        for number, text in enumerate(problem.hints[:hints], 1):
            print(f"      Hint {number}: {text}")
        return
    print(problem.examine(answer, hints))


def _unfinished(problem: Exercise, answer: Answer) -> bool:
    """True for a function whose body is still three dots."""
    first = next(iter(problem.responses(answer)), None) if callable(answer) else None
    return first is not None and first[1] is ...


def _difference(got: Any, want: Any, atol: float) -> str:
    """How the answer differs from what is due, in words; empty if it does not."""
    if got is ...:
        return "" if want is ... else "your answer is still three dots"
    if isinstance(got, Exception):
        same = type(got) is type(want) and str(got) == str(want)
        return "" if same else f"your answer raised {type(got).__name__}: {got}"
    if isinstance(want, Exception):
        return "an answer is given where the other raises"
    if isinstance(want, str | bool) or want is None:
        return "" if got == want else f"your answer is {got!r}, but {want!r} is due"
    if got is None:
        return "your answer gives None (is a `return` missing?)"
    try:
        one = real_tensor(got, "the answer")
    except (TypeError, ValueError, RuntimeError):
        return f"your answer is of type {type(got).__name__}, but real numbers are due"
    other = real_tensor(want, "what is due")
    if one.shape != other.shape:
        return f"your answer has shape {tuple(one.shape)}, but {tuple(other.shape)} is due"
    if isinstance(got, Tensor) and got.dtype == torch.float32:  # a student's default
        atol = max(atol, 1e-5 * float(other.abs().max() if other.numel() else 0.0))
    gap = (one - other).abs().nan_to_num(nan=float("inf")).flatten()
    if not gap.numel() or gap.max() <= atol:
        return ""
    worst = int(gap.argmax())
    where = f" at entry {tuple(int(i) for i in torch.unravel_index(gap.argmax(), one.shape))}"
    pair = [f"{float(side.flatten()[worst]):.6g}" for side in (one, other)]
    return f"your answer is {pair[0]}, but {pair[1]} is due{where if one.ndim else ''}"

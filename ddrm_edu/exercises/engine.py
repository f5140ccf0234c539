"""What an exercise is, and how an answer is examined.

An exercise is a generator of *cases*, the simplest first: it takes the student's answer and yields
``(description, got, want)``.  An answer is right if got is want in every case.  A wrong one is
recognised by what it gives in all the cases: if that is what a known mistake gives, the student
gets the hint meant for that mistake.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..validation import real_tensor

__all__ = ["EXERCISES", "Exercise", "Mistake", "NotYet", "exercise", "load", "question"]

Cases = Iterator[tuple[str, Any, Any]]


class Mistake(NamedTuple):
    """A typical wrong answer and the hint that helps who gave it."""

    answer: Any
    hint: str


class NotYet(AssertionError):
    """An answer that is not right; the message gives a counterexample and a hint."""


class Exercise(NamedTuple):
    """One exercise; ``cases(answer)`` yields what the answer gives and what is due."""

    id: str
    title: str
    kind: str
    cases: Callable[[Any], Cases]
    atol: float
    hints: tuple[str, str, str]
    mistakes: tuple[Mistake, ...]

    def examine(self, answer: Any, hints: int = 1) -> str:
        """One line of praise, or `NotYet` with a counterexample and ``hints`` hints."""
        responses = []
        for description, got, want in self._responses(answer):
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

    def _responses(self, answer: Any) -> Cases:
        """The cases, where an exception that the answer raises is its last response."""
        description = "in the first case"
        try:
            for case in self.cases(answer):
                yield case
                description = "in the case after: " + case[0]
        except Exception as error:
            yield description, error, None

    def _hint_for(self, answer: Any) -> str | None:
        """The hint of the mistake that gives the same as the answer in all the cases."""
        given = [got for _, got, _ in self._responses(answer)]
        for mistake in self.mistakes:
            known = [got for _, got, _ in self._responses(mistake.answer)]
            if len(known) == len(given) and not any(map(_differs(self.atol), given, known)):
                return mistake.hint
        return None


EXERCISES: dict[str, Exercise] = {}


def question(
    id: str,
    title: str,
    *,
    kind: str,
    hints: tuple[str, str, str],
    mistakes: list[tuple[Any, str]],
    atol: float = 1e-9,
) -> Callable[[Callable[[Any], Cases]], Callable[[Any], Cases]]:
    """Register the decorated generator of cases as an exercise.

    Parameters
    ----------
    id : str
        ``NN.k``, NN the lecture.
    title : str
    kind : {"paper", "code"}
    hints : three sentences
        From a nudge to nearly the solution.
    mistakes : list of (answer, hint)
        At least three typical wrong answers; each must be wrong in some case.
    atol : float
        Largest admissible difference of any number; for an answer in float32 its rounding.
    """
    if kind not in ("paper", "code"):
        raise ValueError(f"kind must be 'paper' or 'code', not {kind!r}.")
    if id in EXERCISES:
        raise ValueError(f"Exercise {id} exists already; give this one another number.")

    def register(cases: Callable[[Any], Cases]) -> Callable[[Any], Cases]:
        known = tuple(Mistake(*mistake) for mistake in mistakes)
        EXERCISES[id] = Exercise(id, title, kind, cases, atol, tuple(hints), known)
        return cases

    return register


def load(lecture: str) -> list[Exercise]:
    """The exercises of a lecture, named by its two digits."""
    name = f"{__package__}.lecture_{lecture}"
    if importlib.util.find_spec(name):
        importlib.import_module(name)
    return [each for id, each in sorted(EXERCISES.items()) if id.startswith(f"{lecture}.")]


def exercise(id: str, answer: Any = ..., *, hints: int = 0) -> None:
    """Examine an answer to exercise ``id``: print that it is right, or fail with a hint.

    Parameters
    ----------
    id : str
        As printed in the lecture, for example ``"07.2"``.
    answer : object
        What the exercise asks for; ``...`` (three dots) if there is no answer yet, which prints
        ``07.2  your turn``.  A function that returns ``...`` is no answer yet either.
    hints : {0, 1, 2, 3}
        How many hints to show.  A wrong answer always gets the first, or a better one if the
        mistake is a known one.

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


def _unfinished(problem: Exercise, answer: Any) -> bool:
    """True for a function whose body is still three dots."""
    first = next(iter(problem._responses(answer)), None) if callable(answer) else None
    return first is not None and first[1] is ...


def _differs(atol: float) -> Callable[[Any, Any], bool]:
    return lambda one, other: bool(_difference(one, other, atol))


def _difference(got: Any, want: Any, atol: float) -> str:
    """How the answer differs from what is due, in words; empty if it does not."""
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

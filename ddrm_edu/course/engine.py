"""What an exercise is, and how an answer is examined.

An exercise is a generator of *cases*, the simplest first: it takes the student's answer and yields
``(description, got, want)``.  An answer is right if got is want in every case.  A wrong one is
recognised by what it gives in all the cases: if that is what a known mistake gives, the student
gets the hint meant for that mistake.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .answers import RTOL, Crash, Unfit, described, difference, misfit, parts, plain, relation

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


def _is_dots(value: Any) -> bool:
    """True for three dots, or a tuple with three dots in it."""
    return value is ... or (isinstance(value, tuple) and any(each is ... for each in value))


class Function:
    """A student's function: called with copies, and whatever it returns is made plain.

    ``call`` tells the arguments of the last call.
    """

    def __init__(self, answer: Answer, parameters: str) -> None:
        self.answer, self.parameters, self.call = answer, parameters, ""

    def __call__(self, *arguments: Any) -> Any:
        if not callable(self.answer):
            due = f"a function of ({self.parameters}) is due"
            raise Unfit(f"{due}, but your answer is {described(self.answer)}")
        names = self.parameters.split(", ")
        told = [f"{n} = {described(a)}" for n, a in zip(names, arguments, strict=True)]
        self.call = ", ".join(told)
        try:
            value = self.answer(*copy.deepcopy(arguments))
        except Exception as error:
            raise Crash(type(error).__name__, str(error)) from error
        if _is_dots(value):
            raise _StillDots
        return plain(value)


class Response(NamedTuple):
    """One case: what the answer gives and what is due, both plain, and the arguments used."""

    description: str
    got: Any
    want: Any
    call: str


class Exercise(NamedTuple):
    """One exercise; ``cases(answer)`` yields what the answer gives and what is due."""

    id: str
    lecture: str  # "06", or "07b": a lecture in parts keeps one series of numbers
    title: str
    kind: Literal["paper", "code"]
    cases: Generator
    parameters: str  # of the function that is asked for; empty if it is no function
    words: str  # of which one is asked for as well; most often empty
    rtol: float
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    def examine(self, answer: Answer, hints: int = 1) -> str:
        """One line of praise, or `NotYet` with a counterexample and ``hints`` hints."""
        responses = list(self.responses(answer))
        for each in responses:
            if reason := misfit(each.got, each.want):
                where = f"called with {each.call}" if each.call else each.description
                otherwise = _advice(reason) if each.call else self.hints[0]
            elif reason := difference(each.got, each.want, self.rtol):
                where, otherwise = each.description, self.hints[0]
            else:
                continue
            hint = self.hint_for(responses) or otherwise
            more = "".join(f"\n      Hint: {text}" for text in self.hints[1:hints])
            raise NotYet(f"{self.id}  not yet: {where}: {reason}.\n      Hint: {hint}{more}")
        cases = f"{len(responses)} cases" if len(responses) > 1 else "1 case"
        return f"{self.id}  right    {cases}, relative difference <= {self.rtol:.0e}"

    def responses(self, answer: Answer) -> Iterator[Response]:
        """The cases; what the answer raises, or its dots, are the last response."""
        description, function = "your answer", Function(answer, self.parameters)
        try:
            asked: Answer = function if self.parameters else plain(answer)
            if self.words:
                word, function.answer = parts(plain(answer), "word, function")
                if not isinstance(word, str):
                    raise Unfit(f"one of {self.words} is due first, not {described(word)}")
                asked = word.strip().lower(), function
            for description, got, want in self.cases(asked):
                yield Response(description, plain(got), plain(want), function.call)
                description = "in the case after: " + description
        except _StillDots:
            yield Response(description, ..., None, function.call)
        except (Unfit, Crash) as error:
            yield Response(description, error, None, function.call)
        except Exception as error:  # of our arithmetic with what the answer gave
            text = f"nothing could be computed from your answer, {type(error).__name__}: {error}"
            yield Response(description, Unfit(text), None, function.call)

    def example(self) -> str:
        """Arguments that the function is called with, in words."""
        unfinished: Answer = lambda *_: ...  # noqa: E731
        asked = (self.words.split(", ")[0], unfinished) if self.words else unfinished
        return list(self.responses(asked))[-1].call

    def hint_for(self, responses: Sequence[Response]) -> str:
        """The hint of the mistake that gives the same in all the cases, or of a known relation."""
        for mistake, known in zip(self.mistakes, _known(self), strict=True):
            if len(known) == len(responses) and all(map(self._alike, responses, known)):
                return mistake.hint
        return relation([(each.got, each.want) for each in responses])

    def _alike(self, one: Response, other: Response) -> bool:
        if isinstance(one.got, Crash) and isinstance(other.got, Crash):
            return one.got.args[0].strip("_") == other.got.args[0].strip("_")  # numpy's, torch's
        if isinstance(one.got, Exception) or isinstance(other.got, Exception):
            return type(one.got) is type(other.got) and str(one.got) == str(other.got)
        unlike = misfit(one.got, other.got) or difference(one.got, other.got, self.rtol)
        return not unlike


@functools.cache
def _known(problem: Exercise) -> list[list[Response]]:
    """The responses of the typical mistakes."""
    return [list(problem.responses(mistake.answer)) for mistake in problem.mistakes]


def _advice(reason: str) -> str:
    """What helps against a function that raises, or gives something of another kind."""
    if "must be Tensor" in reason:
        return "Functions of torch take tensors; for numbers use ** 0.5 or the functions of math."
    if "Python scalar" in reason or "size-1 arrays" in reason:
        return "Functions of math take one number; for a tensor use those of torch."
    if "ZeroDivisionError" in reason:
        return "Which of these arguments is 0? Where it is, the formula must not divide by it."
    return "Call it yourself with such arguments, and look at what it gives."


EXERCISES: dict[str, Exercise] = {}


def question(
    id: str,
    title: str,
    *,
    kind: Literal["paper", "code"],
    part: str = "",
    of: str = "",
    words: str = "",
    rtol: float = RTOL,
) -> Callable[[Generator], Generator]:
    """Register the decorated generator of cases as an exercise, above `hints` and `mistakes`.

    Parameters
    ----------
    id : str
        ``NN.k``, NN the lecture.
    title : str
    kind : {"paper", "code"}
    part : str
        ``"a"`` or ``"b"`` if the lecture has parts: the one in which the exercise stands.
    of : str
        Parameters of the function that is asked for, ``"s, c, sigma_y"``; empty if the answer is
        no function.  The cases call it with these arguments and get plain values
        (:func:`ddrm_edu.course.answers.plain`): float64 tensors, and tuples of them.
    words : str
        If the answer is the pair of a word and that function: the words to choose from.
    rtol : float
        Largest admissible difference of a number, relative to the largest one of its leaf.
    """
    if kind not in ("paper", "code"):
        raise ValueError(f"kind must be 'paper' or 'code', not {kind!r}.")
    if id in EXERCISES:
        raise ValueError(f"Exercise {id} exists already; give this one another number.")

    def register(cases: Generator) -> Generator:
        given = vars(cases)
        if missing := [each for each in ("hints", "mistakes") if each not in given]:
            raise ValueError(f"Exercise {id} lacks @{' and @'.join(missing)} below its @question.")
        EXERCISES[id] = Exercise(
            id=id,
            lecture=id.split(".")[0] + part,
            title=title,
            kind=kind,
            cases=cases,
            parameters=of,
            words=words,
            rtol=rtol,
            hints=given["hints"],
            mistakes=given["mistakes"],
        )
        return cases

    return register


def hints(*texts: str) -> Callable[[Generator], Generator]:
    """The hints of an exercise, at least three, from a nudge to nearly the solution."""
    return _with(hints=texts)


def mistakes(*answers_and_hints: Any) -> Callable[[Generator], Generator]:
    """At least five typical mistakes: a wrong answer, the hint meant for it, the next answer ...

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
    """The exercises of a lecture, ``"06"``, or of one part of it, ``"07b"``."""
    name = f"{__package__}.exercises.lecture_{lecture[:2]}"
    if importlib.util.find_spec(name):
        importlib.import_module(name)
    known = sorted(EXERCISES.items())
    return [each for id, each in known if lecture in (each.lecture, id.split(".")[0])]


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
        How many hints to show; there are three or more, and below them an example of the
        arguments and their types.  A wrong answer always gets the first hint, or a better one if
        the mistake is a known one.

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
    if not isinstance(id, str):
        raise ValueError(
            f'id must be a text such as "07.2", but was {id!r:.40}, of type {type(id).__name__}.'
        )
    if isinstance(hints, bool) or not isinstance(hints, int):
        raise ValueError(f"hints must be how many hints to show, but was {hints!r:.40}.")
    known = {each.id: each for each in load(str(id).split(".")[0])}
    if id not in known:
        listed = ", ".join(known) or "none, because there is no such lecture"
        raise ValueError(
            f"There is no exercise {id!r}. The exercises of that lecture are: {listed}. "
            'Write the number as it is printed, for example exercise("07.2", answer).'
        )
    problem = known[id]
    if _is_dots(answer) or _unfinished(problem, answer):
        print(f"{id}  your turn")
        for number, text in enumerate(problem.hints[:hints], 1):
            print(f"      Hint {number}: {text}")
        if hints and problem.parameters:
            print(f"      Your function is called with, for example, {problem.example()}.")
        return
    print(problem.examine(answer, hints))


def _unfinished(problem: Exercise, answer: Answer) -> bool:
    """True for a function whose body is still three dots."""
    first = next(iter(problem.responses(answer)), None) if callable(answer) else None
    return first is not None and first.got is ...

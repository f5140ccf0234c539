"""Answers as students give them: all right ones are accepted, all wrong ones refused and told why.

``student_answers/lecture_NN.py`` holds them.  The first right answer to an exercise is given in
several forms (numpy, float32, lists, ...) as well, the others are other formulas and programs.
"""

from __future__ import annotations

import importlib.util
import re
from collections import namedtuple
from functools import cache
from pathlib import Path

import pytest
import torch
from notebooks import LECTURES

from ddrm_edu.course.answers import plain
from ddrm_edu.course.engine import NotYet, exercise, load

EXERCISES = {each.id: each for lecture in LECTURES for each in load(lecture)}
OPERATORS = {"09.3", "10.2", "12.2", "12.3"}  # an operator has one form


def bank(kind: str) -> dict[str, list]:
    """The answers of one kind, "RIGHT", "WRONG" or "HELD_OUT", by exercise."""
    found = {}
    for path in sorted((Path(__file__).parent / "student_answers").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"student_answers_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= getattr(module, kind, {})
    return found


RIGHT, WRONG, HELD_OUT = bank("RIGHT"), bank("WRONG"), bank("HELD_OUT")


# ------------------------------------------------------------------------- forms of one answer


def leaves(change):
    """A form that changes each tensor of a plain answer and keeps its tuples."""

    def form(value):
        if isinstance(value, tuple):
            return tuple(form(each) for each in value)
        return change(value) if isinstance(value, torch.Tensor) else value

    return form


def named(value):
    """A named tuple of the parts of a tuple; another answer in a list of one."""
    if not isinstance(value, tuple):
        return [value]
    return namedtuple("Parts", [f"part_{k}" for k in range(len(value))])(*value)


FORMS = {
    "numpy": leaves(lambda leaf: leaf.numpy()),
    "float32": leaves(lambda leaf: leaf.float()),
    "numbers of Python": leaves(lambda leaf: leaf.tolist()),
    "axes of length 1": leaves(lambda leaf: leaf[None, ..., None]),
    "a gradient": leaves(lambda leaf: leaf.clone().requires_grad_()),
    "a named tuple": named,
}


def in_form(answer, form):
    """An answer whose numbers come in another form."""
    if callable(answer):
        return lambda *arguments: form(plain(answer(*arguments)))
    if isinstance(answer, tuple) and isinstance(answer[0], str):
        return answer[0], in_form(answer[1], form)
    return form(plain(answer))


def in_single_precision(answer):
    """A function that is computed in float32 from its arguments on."""

    def single(value):
        if isinstance(value, float):
            return torch.tensor(value, dtype=torch.float32)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.float()
        return [single(each) for each in value] if isinstance(value, list) else value

    return lambda *arguments: answer(*map(single, arguments))


def right(id: str) -> dict[str, object]:
    """The right answers to an exercise, by a name."""
    answers = {f"program {k}": answer for k, answer in enumerate(RIGHT[id], 1)}
    if id in OPERATORS:
        return answers
    answers |= {name: in_form(RIGHT[id][0], form) for name, form in FORMS.items()}
    if EXERCISES[id].parameters and not EXERCISES[id].words:
        answers["computed in float32"] = in_single_precision(RIGHT[id][0])
    return answers


ALL_RIGHT = [
    pytest.param(id, answer, id=f"{id}-{name}")
    for id in RIGHT
    for name, answer in right(id).items()
]
ALL_WRONG = [
    pytest.param(id, k, id=f"{id}-{k + 1}")
    for id, answers in WRONG.items()
    for k in range(len(answers))
]


def refused(id: str, answer: object) -> tuple[str, str]:
    """The refusal of a wrong answer to an exercise, and the hint in it."""
    with pytest.raises(NotYet, match=re.escape(id)) as caught:
        exercise(id, answer)
    refusal, _, told = str(caught.value).partition("\n      Hint: ")
    return refusal, told


@cache
def refused_of_the_bank(id: str, k: int) -> tuple[str, str]:
    """The refusal of the k-th wrong answer, from 0, and the hint in it."""
    return refused(id, WRONG[id][k])


def has_its_own(id: str, told: str) -> bool:
    """True if a hint is one of those of the typical mistakes."""
    return told in {mistake.hint for mistake in EXERCISES[id].mistakes}


# ------------------------------------------------------------------------------------- the tests

pytestmark = pytest.mark.filterwarnings("default")  # a student's division by 0 is a warning


def test_every_exercise_has_ten_right_and_eight_wrong_answers():
    assert set(RIGHT) == set(WRONG) == set(EXERCISES)
    assert not [id for id in RIGHT if len(right(id)) < 10]
    assert not [id for id in RIGHT if len(RIGHT[id]) < 4]
    assert not [id for id in WRONG if len(WRONG[id]) < 8]


@pytest.mark.parametrize(("id", "answer"), ALL_RIGHT)
def test_a_right_answer_is_accepted(id, answer, capsys):
    exercise(id, answer)
    assert capsys.readouterr().out.startswith(f"{id}  right")


@pytest.mark.parametrize(("id", "k"), ALL_WRONG)
def test_a_wrong_answer_is_refused_in_words_that_show_a_difference(id, k):
    refusal, told = refused_of_the_bank(id, k)
    assert told
    pair = re.search(r"your answer is (\S+), but (\S+) is due", refusal)
    assert not pair or pair[1] != pair[2], refusal


@pytest.mark.parametrize("id", EXERCISES)
def test_half_of_the_wrong_answers_get_a_hint_of_their_own(id):
    own = [has_its_own(id, refused_of_the_bank(id, k)[1]) for k in range(len(WRONG[id]))]
    assert 2 * sum(own) >= len(own), f"{sum(own)} of {len(own)}"


def test_wrong_answers_that_nobody_foresaw_are_refused_and_some_get_more_than_the_first_hint():
    """Honest about the hints: they fit 22 of 82 answers made up after them, a quarter."""
    told = [
        (EXERCISES[id], refused(id, answer)[1])
        for id, answers in HELD_OUT.items()
        for answer in answers
    ]
    better = [hint for each, hint in told if hint != each.hints[0]]
    assert 5 * len(better) >= len(told), f"{len(better)} of {len(told)}"

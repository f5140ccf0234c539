"""Exercises: solutions are accepted, every known mistake is refused with the hint meant for it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from notebooks import LECTURES, PARTS, SOLUTIONS, exercise_cells

from ddrm_edu.course.engine import NotYet, exercise, load

EXERCISES_OF = {lecture: load(lecture) for lecture in LECTURES}
ALL = [each for exercises in EXERCISES_OF.values() for each in exercises]
MISTAKES = [
    pytest.param(each, mistake, id=f"{each.id}-mistake-{k}")
    for each in ALL
    for k, mistake in enumerate(each.mistakes, 1)
]


@pytest.mark.parametrize("number", PARTS)
def test_a_lecture_has_three_exercises_or_more_on_paper_and_in_code(number):
    """In all its parts together, which share one series of numbers."""
    exercises = load(number)
    assert [each.id for each in exercises] == [f"{number}.{k + 1}" for k in range(len(exercises))]
    assert exercises == [each for part in PARTS[number] for each in EXERCISES_OF[part]]
    assert len(exercises) >= 3
    assert {each.kind for each in exercises} == {"paper", "code"}


@pytest.mark.parametrize("lecture", LECTURES)
def test_every_exercise_stands_in_its_lecture_unsolved_and_in_the_solutions_solved(lecture):
    ids = [each.id for each in EXERCISES_OF[lecture]]
    stubs = exercise_cells(LECTURES[lecture])
    assert list(stubs) == ids
    assert ids
    solved = list(exercise_cells(SOLUTIONS[lecture[:2]]))
    assert solved == [each.id for each in load(lecture[:2])]
    for id, stub in stubs.items():
        assert "..." in stub, f"{id} has no three dots to replace"


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_an_exercise_has_three_hints_and_five_mistakes_or_more(each):
    assert each.title
    assert len(each.hints) == len(set(each.hints)) >= 3
    hints = [mistake.hint for mistake in each.mistakes]
    assert len(set(hints)) >= 5
    assert len(set(hints)) == len(hints), "two mistakes share a hint: is one of them needless?"


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_three_dots_are_nobodys_answer(each, capsys):
    exercise(each.id, ...)
    assert capsys.readouterr().out == f"{each.id}  your turn\n"
    exercise(each.id, ..., hints=2)
    out = capsys.readouterr().out
    assert each.hints[0] in out
    assert each.hints[1] in out
    assert each.hints[2] not in out
    assert ("Your function is called with, for example, " in out) == bool(each.parameters)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_the_solution_is_accepted_and_stands_alone(each, capsys):
    lecture = each.id[:2]
    exec(exercise_cells(SOLUTIONS[lecture])[each.id], {})
    assert capsys.readouterr().out.startswith(f"{each.id}  right")


@pytest.mark.parametrize(("each", "mistake"), MISTAKES)
def test_every_mistake_is_refused_with_the_hint_meant_for_it(each, mistake):
    with pytest.raises(NotYet, match=re.escape(each.id)) as caught:
        exercise(each.id, mistake.answer)
    assert caught.value.args[0].endswith(f"\n      Hint: {mistake.hint}")


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
@pytest.mark.parametrize(
    "answer",
    [None, "no idea", object(), float("nan")],
    ids=["None", "words", "an object", "nan"],
)
def test_an_answer_of_the_wrong_kind_is_refused_in_words(each, answer):
    with pytest.raises(NotYet, match="Hint: "):
        exercise(each.id, answer)


def raises(*arguments):
    raise KeyError("of the student, with a line\nand another one")


def calls_itself(*arguments):
    return calls_itself(*arguments)


ODD = [
    None,
    "no idea",
    b"bytes",
    True,
    np.True_,
    float("nan"),
    float("inf"),
    -1e300,
    10**400,
    1j,
    np.array(["a", "b"]),
    np.array([None, 1], dtype=object),
    (1.0, None),
    [[1.0, 2.0], [3.0]],
    [],
    {},
    object(),
    print,
    torch.ones(2) * 1j,
    torch.empty(2, device="meta"),
    torch.zeros(0),
    torch.full((2, 3, 4), 0.5),
]


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_whatever_a_function_gives_or_raises_is_refused_in_words(each):
    functions = [raises, calls_itself, lambda: 0, iter, *(lambda *_, odd=odd: odd for odd in ODD)]
    answers = functions if each.parameters else ODD
    for answer in answers:
        asked = (each.words.split(", ")[0], answer) if each.words else answer
        with pytest.raises(NotYet, match=r"(?s)not yet: .*\n      Hint: \S"):
            exercise(each.id, asked)

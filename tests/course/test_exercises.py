"""Exercises: solutions are accepted, every known mistake is refused with the hint meant for it."""

from __future__ import annotations

import re

import pytest
import torch
from notebooks import LECTURES, SOLUTIONS, exercise_cells

from ddrm_edu.exercises import NotYet, exercise, load, question
from ddrm_edu.exercises.engine import EXERCISES

EXERCISES_OF = {lecture: load(lecture) for lecture in LECTURES}
ALL = [each for exercises in EXERCISES_OF.values() for each in exercises]
MISTAKES = [
    pytest.param(each, mistake, id=f"{each.id}-mistake-{k}")
    for each in ALL
    for k, mistake in enumerate(each.mistakes, 1)
]


@pytest.mark.parametrize("lecture", LECTURES)
def test_a_lecture_has_three_exercises_on_paper_and_in_code(lecture):
    exercises = EXERCISES_OF[lecture]
    assert [each.id for each in exercises] == [f"{lecture}.{k}" for k in (1, 2, 3)]
    assert {each.kind for each in exercises} == {"paper", "code"}


@pytest.mark.parametrize("lecture", LECTURES)
def test_every_exercise_stands_in_its_lecture_unsolved_and_in_the_solutions_solved(lecture):
    ids = [each.id for each in EXERCISES_OF[lecture]]
    stubs = exercise_cells(LECTURES[lecture])
    assert list(stubs) == ids
    assert list(exercise_cells(SOLUTIONS[lecture])) == ids
    for id, stub in stubs.items():
        assert "..." in stub, f"{id} has no three dots to replace"


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_an_exercise_has_three_hints_and_at_least_three_mistakes(each):
    assert each.title
    assert len(each.hints) == len(set(each.hints)) == 3
    hints = [mistake.hint for mistake in each.mistakes]
    assert len(set(hints)) >= 3
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


def test_an_unknown_number_is_refused_with_the_numbers_that_exist():
    with pytest.raises(ValueError, match=r"There is no exercise '00.9'.* 00.1, 00.2, 00.3"):
        exercise("00.9", 1)
    with pytest.raises(ValueError, match="there is no such lecture"):
        exercise("77.1", 1)


def test_a_number_cannot_be_given_twice_and_kinds_are_paper_and_code():
    load("00")
    options = {"hints": ("a", "b", "c"), "mistakes": []}
    with pytest.raises(ValueError, match=r"Exercise 00\.1 exists already"):
        question("00.1", "Again", kind="paper", **options)
    with pytest.raises(ValueError, match="'paper' or 'code', not 'oral'"):
        question("99.1", "Oral", kind="oral", **options)
    assert "99.1" not in EXERCISES


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda r: 1 / r**2, r"r = 2: your answer is 0.25, but 0.5 is due"),
        (lambda r: 1 / r if r < 4 else 0.0, r"r = 4: your answer is 0, but 0.25 is due"),
        (lambda r: [1 / r], r"your answer has shape \(1,\), but \(\) is due"),
        (lambda r: None, r"your answer gives None \(is a `return` missing\?\)"),
        (lambda r: "1/r", "your answer is of type str, but real numbers are due"),
        (lambda: 0, "your answer raised TypeError: .* takes 0 positional arguments"),
        (lambda r: 1 / (r - 2), "your answer raised ZeroDivisionError"),
        (lambda r: float("nan"), "your answer is nan, but 0.5 is due"),
        (2.0, "'float' object is not callable"),
    ],
)
def test_the_simplest_counterexample_is_put_into_words(answer, words):
    with pytest.raises(NotYet, match=words):
        exercise("00.1", answer)


def test_a_wrong_answer_gets_more_hints_on_request():
    with pytest.raises(NotYet) as caught:
        exercise("00.1", lambda r: r / 7, hints=3)
    for hint in load("00")[0].hints:
        assert hint in caught.value.args[0]


def test_an_answer_in_float32_is_right_to_its_own_rounding(capsys):
    exercise("00.1", lambda r: torch.tensor(1.0) / r)
    assert "right" in capsys.readouterr().out
    with pytest.raises(NotYet, match=r"your answer is 0\.5001"):
        exercise("00.1", lambda r: torch.tensor(1.0002) / r)

"""The engine of the exercises: what it refuses, what it says of a wrong answer."""

from __future__ import annotations

import pytest
import torch

from ddrm_edu.course.engine import EXERCISES, NotYet, exercise, hints, load, mistakes, question


def test_an_unknown_number_is_refused_with_the_numbers_that_exist():
    with pytest.raises(ValueError, match=r"There is no exercise '00.9'.* 00.1, 00.2, 00.3"):
        exercise("00.9", 1)
    with pytest.raises(ValueError, match="there is no such lecture"):
        exercise("77.1", 1)


def test_a_part_of_a_lecture_has_exercises_of_its_own_and_the_lecture_has_all():
    numbers = {name: [each.id for each in load(name)] for name in ("07a", "07b", "07", "07c", "0")}
    assert numbers == {
        "07a": ["07.1", "07.2"],
        "07b": ["07.3", "07.4"],
        "07": ["07.1", "07.2", "07.3", "07.4"],
        "07c": [],
        "0": [],
    }


def test_a_number_cannot_be_given_twice_and_kinds_are_paper_and_code():
    load("00")
    with pytest.raises(ValueError, match=r"Exercise 00\.1 exists already"):
        question("00.1", "Again", kind="paper")
    with pytest.raises(ValueError, match="'paper' or 'code', not 'oral'"):
        question("99.1", "Oral", kind="oral")
    assert "99.1" not in EXERCISES


def test_an_exercise_without_hints_or_mistakes_is_refused():
    register = question("99.1", "Bare", kind="paper")
    with pytest.raises(ValueError, match=r"Exercise 99\.1 lacks @hints and @mistakes below"):
        register(lambda answer: iter(()))
    with pytest.raises(ValueError, match=r"Exercise 99\.1 lacks @mistakes below"):
        register(hints("a", "b", "c")(lambda answer: iter(())))
    assert "99.1" not in EXERCISES


@pytest.mark.parametrize("listed", [(1, "one", 2), (1, 2, "one"), ("one",)])
def test_every_mistake_comes_with_its_hint(listed):
    with pytest.raises(ValueError, match="an answer or a hint is missing"):
        mistakes(*listed)


@pytest.fixture
def of_five_hints():
    """An exercise with five hints and one typical mistake, that no lecture has."""

    @question("98.1", "The double", kind="paper", of="x")
    @hints("one", "two", "three", "four", "five")
    @mistakes(lambda x: x, "that is x itself", lambda x: 3 * x, "that is the triple")
    def double(answer):
        for x in (1.0, 2.5):
            yield f"x = {x}", answer(x), 2 * x

    yield EXERCISES["98.1"]
    del EXERCISES["98.1"]


def test_there_may_be_more_than_three_hints(of_five_hints, capsys):
    exercise("98.1", ..., hints=5)
    assert capsys.readouterr().out.splitlines()[1:] == [
        *(f"      Hint {number}: {text}" for number, text in enumerate(of_five_hints.hints, 1)),
        "      Your function is called with, for example, x = 1 (float).",
    ]
    with pytest.raises(
        NotYet, match=r"one\n *Hint: two\n *Hint: three\n *Hint: four\n *Hint: five$"
    ):
        exercise("98.1", lambda x: x + 0.3, hints=5)
    with pytest.raises(NotYet, match=r"Hint: that is the triple$"):
        exercise("98.1", lambda x: 3.0 * x)


def test_a_function_of_three_dots_is_no_answer_and_dots_in_a_later_case_are_wrong(
    of_five_hints, capsys
):
    exercise("98.1", lambda x: ...)
    assert capsys.readouterr().out == "98.1  your turn\n"
    later = r"called with x = 2.5 \(float\): your answer is still three dots"
    with pytest.raises(NotYet, match=later):
        exercise("98.1", lambda x: 2 * x if x < 2 else ...)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda r: 1 / r**2, r"r = 2: your answer is 0.25, but 0.5 is due"),
        (lambda r: 1 / r if r < 4 else 0.0, r"r = 4: your answer is 0, but 0.25 is due"),
        (lambda r: [1 / r, r], r"your answer has shape \(2,\), but \(\) is due"),
        (lambda r: None, r"called with r = 2 \(int\): your answer gives None \(is a `return` mis"),
        (lambda r: "1/r", r"the text '1/r', but real numbers are due: .* without quotes"),
        (lambda r: True, r"your answer is True, but real numbers are due"),
        (lambda r: 0.5 + 1j, r"is 0.5\+1j \(complex\), but real numbers are due: the root"),
        (lambda r: torch.ones(2) * 1j, r"complex64 tensor .* real numbers are due: the root"),
        (lambda r: (1 / r for _ in "a"), r"of type generator, .*: write tuple\(...\) around it"),
        (lambda r: lambda: 1 / r, r"your answer is a function, .*: call it"),
        (lambda r: [1, "r"], r"a tuple of 2 \(number, the text 'r'\), but real numbers are due"),
        (lambda r: 10**400, r"your answer is an object of type int, but real numbers are due"),
        (lambda: 0, r"called with r = 2 \(int\): your function raised TypeError: .* takes 0 pos"),
        (lambda r: 1 / (r - 2), r"called with r = 2 .* raised ZeroDivisionError.*\n.* is 0\?"),
        (lambda r: torch.sqrt(r), r"(?s)must be Tensor, not int.*for numbers use \*\* 0.5"),
        (lambda r: float("nan"), "your answer is nan, but 0.5 is due"),
        (lambda r: 0.50002, "your answer is 0.50002, but 0.5 is due"),
        (lambda r: 1 / r + 1e-5, "your answer is 0.50001, but 0.5 is due"),
        (2.0, r"a function of \(r\) is due, but your answer is 2 \(float\)"),
        ((1, 2), r"a function of \(r\) is due, but your answer is \(1, 2\)"),
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


def test_a_mistake_that_no_exercise_knows_is_told_if_all_numbers_share_it(of_five_hints):
    with pytest.raises(NotYet, match=r"Hint: Every number has the wrong sign\.$"):
        exercise("98.1", lambda x: -2 * x)
    with pytest.raises(NotYet, match=r"Hint: one$"):  # in one of the cases only
        exercise("98.1", lambda x: -2 * x if x < 2 else x + 0.3)


def test_a_function_cannot_change_the_cases(capsys):
    @question("98.2", "The sum", kind="paper", of="x")
    @hints("one", "two", "three")
    @mistakes(lambda x: x[0], "that is the first")
    def total(answer):
        x = torch.ones(3)
        for _ in range(2):
            yield "the sum", answer(x), x.sum()

    def spoils(x):
        x *= 2
        return x.sum() / 2

    exercise("98.2", spoils)
    assert "right" in capsys.readouterr().out
    del EXERCISES["98.2"]


def test_three_dots_in_a_pair_are_no_answer_yet(capsys):
    exercise("13.1", ("start", ...))
    assert capsys.readouterr().out == "13.1  your turn\n"
    exercise("02.1", lambda a, b: (..., 1 - b / a))
    assert capsys.readouterr().out == "02.1  your turn\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *given: 0, r"2 parts are due, \(word, function\), but your answer is a function"),
        ((1, lambda *given: 0), r"one of start, weights, noise, boundary is due first, not 1"),
        (("start", 5.0), r"a function of \(s, sigma_T, sigma_y\) is due, but your answer is 5"),
        (("noise", lambda *given: 0), r"your answer is 'noise', but 'start' is due"),
    ],
)
def test_a_pair_of_a_word_and_a_function_is_asked_for_in_words(answer, words):
    with pytest.raises(NotYet, match=words):
        exercise("13.1", answer)

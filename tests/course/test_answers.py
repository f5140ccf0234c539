"""What an answer may be made of, and how a difference is told."""

from __future__ import annotations

import math
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import sympy
import torch

from ddrm_edu.course.answers import (
    RELATIONS,
    Unfit,
    difference,
    misfit,
    numbers,
    parts,
    plain,
    relation,
)

HALVES = [
    0.5,
    Fraction(1, 2),
    Decimal("0.5"),
    sympy.Rational(1, 2),
    0.5 + 0j,
    np.float16(0.5),
    np.float32(0.5),
    np.longdouble(0.5),
    np.complex64(0.5),
    np.array(0.5),
    np.array([[0.5]]),
    np.array([Fraction(1, 2)], dtype=object),
    torch.tensor(0.5),
    torch.tensor([[0.5]], dtype=torch.bfloat16),
    torch.tensor(0.5, requires_grad=True),
    torch.nn.Parameter(torch.tensor([0.5])),
    torch.tensor(0.5 + 0j),
    torch.tensor([0.5]).to_sparse(),
    scipy.sparse.csr_array([[0.5]]),
    [0.5],
    ((0.5,),),
    {"x": torch.tensor([0.5])},
]


@pytest.mark.parametrize("half", HALVES, ids=lambda half: type(half).__name__)
def test_a_number_is_a_number_in_whatever_form_it_comes(half):
    got = numbers(plain(half))
    assert got.dtype == torch.float64
    assert got.shape == ()
    assert got.item() == 0.5


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_arrays_are_arrays_in_whatever_form_they_come():
    rows = [[1, 2], [3, 4]]
    Pair = namedtuple("Pair", "first second")
    for given in (
        np.array(rows, dtype=np.int8),
        np.matrix(rows),
        sympy.Matrix(rows),
        torch.tensor(rows),
        scipy.sparse.csr_array(rows),
        [torch.tensor([1, 2]), np.array([3.0, 4.0])],
        Pair((1, 2), [Fraction(3), sympy.Integer(4)]),
        {"first": range(1, 3), "second": torch.tensor([[3.0, 4.0]])},
    ):
        assert torch.equal(numbers(plain(given)), torch.tensor(rows).double()), type(given)


@pytest.mark.parametrize(
    "other",
    [
        "1",
        b"1",
        None,
        ...,
        object(),
        sympy.Symbol("x"),
        1j,
        torch.ones(2) * 1j,
        np.array(["a"]),
        iter("a"),
    ],
)
def test_what_is_no_number_stays_what_it_is(other):
    assert plain(other) is other
    assert numbers(plain(other)) is None
    assert misfit(plain(other), plain(0.5))


def test_an_imaginary_part_counts_unless_it_is_rounding():
    assert numbers(plain(2 + 1e-6j)).item() == 2
    assert numbers(plain(2 + 1e-4j)) is None


def test_bools_are_numbers_in_an_array_only():
    for true in (True, np.True_, torch.tensor(True)):
        assert plain(true) is True
    assert numbers(plain([True, False])).tolist() == [1.0, 0.0]
    assert numbers(plain(np.array([[True], [False]]))).tolist() == [1.0, 0.0]


def test_a_plain_value_shares_no_memory_with_the_answer():
    for given in (torch.zeros(2, dtype=torch.float64), np.zeros(2)):
        plain(given)[0] = 1.0
        assert given[0] == 0


def test_numbers_may_differ_by_the_rounding_of_float32_and_no_more():
    for due in (1e-3, 1.0, 1e6):
        assert not difference(plain(due * (1 + 9e-6)), plain(due))
        assert difference(plain(due * (1 + 2e-4)), plain(due))
    for due in (1.0, 1e6):
        assert difference(plain(due * (1 + 2e-5)), plain(due))
    assert not difference(plain(1e-8), plain(0))
    assert difference(plain(1e-6), plain(0))


def test_each_leaf_of_a_pair_has_a_scale_of_its_own():
    due = plain((1e6, 1e-3))
    for right in ((1e6, 1e-3), np.array([1e6, 1e-3]), torch.tensor([[1e6], [1e-3]])):
        assert not difference(plain(right), due)
    for wrong in ((1e6, 1.1e-3), np.array([1e6, 1.1e-3])):
        text = "in part 2 of 2 your answer is 0.0011, but 0.001 is due"
        assert difference(plain(wrong), due) == text


def test_a_difference_is_told_with_as_many_digits_as_it_takes():
    due = 1 / 3
    text = difference(plain(due + 5e-8), plain(due), rtol=0.0)
    assert not text  # below what counts as 0
    text = difference(plain(due + 1.5e-7), plain(due), rtol=0.0)
    assert text == "your answer is 0.3333335, but 0.3333333 is due"


def test_nan_and_infinity_are_not_what_is_due():
    for bad in (math.nan, math.inf, -math.inf):
        assert difference(plain(bad), plain(0.5)) == f"your answer is {bad}, but 0.5 is due"
        assert not difference(plain([bad, 1.0]), plain(torch.tensor([bad, 1.0])))
    assert difference(plain(math.inf), plain(-math.inf))
    assert difference(plain([0.5, math.inf]), plain(torch.tensor([0.6, math.inf])))


def test_a_wrong_shape_is_told_and_a_transposed_one_is_recognised():
    due = plain(torch.zeros(2, 3))
    text = "your answer has shape (3, 2), but (2, 3) is due (is it transposed?)"
    assert difference(plain(torch.zeros(3, 2)), due) == text
    assert "transposed" not in difference(plain(torch.zeros(6)), due)
    assert not difference(plain(torch.zeros(1, 2, 1, 3)), due)


def test_parts_are_counted():
    for two in ([1, 2], [[1, 2]], np.array([[1], [2]]), torch.tensor([1, 2]), {"f": 1, "v": 2}):
        assert [float(each) for each in parts(plain(two), "f, v")] == [1, 2]
    for other in (1, [1], [1, 2, 3], None, torch.zeros(3)):
        with pytest.raises(Unfit, match=r"2 parts are due, \(f, v\), but your answer is"):
            parts(plain(other), "f, v")


@pytest.mark.parametrize(("change", "text"), RELATIONS, ids=[text for _, text in RELATIONS])
def test_what_all_numbers_have_in_common_is_recognised(change, text):
    one, two = (plain(torch.tensor([[0.3, 0.7], [1.1, k]])) for k in (0.4, 0.9))
    assert relation([(change(one), one), (change(two), two)]) == text
    assert relation([(one, one), (two, two)]) == ""
    assert relation([(change(one), one), (two + 0.1, two)]) == ""
    assert relation([("a", plain(1.0)), (plain(-1.0), plain(1.0))]) == ""
    assert relation([(plain(0.0), plain(0.0)), (plain(-1.7), plain(1.7))]) == ""  # 0 tells nothing


def test_a_common_factor_and_a_common_offset_are_recognised():
    due = [plain(0.3), plain(-1.7)]
    assert relation([(0.25 * want, want) for want in due]) == (
        "Every number is 0.25 times what is due."
    )
    assert relation([(want + 0.3, want) for want in due]) == "Every number is off by 0.3."
    assert relation([(want + k, want) for k, want in enumerate(due, 2)]) == ""
    assert relation([(0.25 * due[0], due[0])]) == ""  # of one number anything can be said


def test_the_parts_that_are_right_in_every_case_are_named():
    due = [plain((0.3, 0.7, 1.1)), plain((0.4, 0.2, 0.9))]
    for wrong, told in (
        ((False, True, False), "Parts 1 and 3 of 3 are right in every case."),
        ((True, False, True), "Part 2 of 3 is right in every case."),
        ((True, True, True), ""),
    ):
        pairs = [
            (tuple(w + k * 0.1 if bad else w for bad, w in zip(wrong, want, strict=True)), want)
            for k, want in enumerate(due, 1)
        ]
        assert relation(pairs) == told
    assert relation([(plain((0.3, 0.8, 1.1)), due[0]), (plain((0.4, 0.2)), due[1])]) == ""

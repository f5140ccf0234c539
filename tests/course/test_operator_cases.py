"""Cases about operators: what they store is counted wherever it hides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddrm_edu import Denoising, Dense
from ddrm_edu.course.answers import Unfit
from ddrm_edu.course.operator_cases import an_operator, broken, examined, stored


class Holder:
    def __init__(self, held):
        self.held = held


LARGE = torch.zeros(100, dtype=torch.float64)


@pytest.mark.parametrize(
    "held",
    [LARGE, LARGE.numpy(), [LARGE], {"a": (LARGE,)}, Holder(Holder(LARGE)), [0.0] * 100],
    ids=["tensor", "array", "list", "dictionary", "object", "numbers"],
)
def test_what_is_stored_is_found(held):
    assert stored(Holder(held)) == 800
    assert stored(Holder(lambda: held)) == 800  # in a closure


def test_a_view_stores_what_it_shows_and_what_is_held_twice_counts_once():
    small, array = torch.zeros(2, 1, dtype=torch.float64), np.zeros(2)
    assert stored(Holder([small.expand(2, 1000), small])) == 16
    assert stored(Holder([array, array])) == 16


def test_an_operator_in_float32_is_as_good_and_a_wrong_one_is_not():
    H = torch.tensor([[0.7, 0.1], [0.3, 0.2]], dtype=torch.float64)
    assert broken(Dense(H.float()), H) == "none"
    assert broken(Dense(H + 1e-3), H) == "U diag(s) V^T = H"
    assert broken(Dense(H + 1e-3), H, besides=frozenset({"U diag(s) V^T = H"})) == "none"
    broken_s = Dense(H)
    broken_s.s = None
    assert broken(broken_s, H).startswith("s: finite, not negative")
    assert [got for _, got, _ in examined(Dense(H), "the matrix", H)][1] == "none"


def test_what_is_no_operator_is_refused_with_the_way_to_make_one():
    with pytest.raises(Unfit, match=r"your answer is a float32 tensor .* as_operator\("):
        an_operator(torch.zeros(2, 2))
    assert isinstance(an_operator(Denoising((1, 2, 2))), Denoising)

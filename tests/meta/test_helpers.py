"""The helpers of the tests do what they promise: what is never drawn or counted proves nothing."""

from __future__ import annotations

import pytest
import torch
from comparing import rank_cut, spectrum
from hypothesis import find, settings
from memory import peak_bytes
from strategies import OPERATORS, matrices, operators

# -- strategies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_strategy_draws_every_class(kind):
    assert type(find(operators(), lambda case: type(case.op) is kind).op) is kind


TRAITS = {
    "wide": lambda H, s: H.shape[0] < H.shape[1],
    "tall": lambda H, s: H.shape[0] > H.shape[1],
    "rank-deficient": lambda H, s: 0 < (s > rank_cut(H) * s[0]).sum() < min(H.shape),
    "repeated": lambda H, s: len(s) > 1 and abs(s[0] - s[1]) < 1e-9 and 0 < s[0] != 1,
    "badly conditioned": lambda H, s: (s[s > rank_cut(H) * s[0]] < 1e-5 * s[0]).any(),
    "a row vector": lambda H, s: H.shape[0] == 1 < H.shape[1],
    "zero": lambda H, s: s[0] == 0,
}


@pytest.mark.parametrize("trait", TRAITS)
def test_strategy_draws_matrices_of_every_kind(trait):
    H = find(
        matrices(), lambda H: TRAITS[trait](H, spectrum(H)), settings=settings(max_examples=2000)
    )
    assert TRAITS[trait](H, spectrum(H))


# -- memory ----------------------------------------------------------------------------------------


def test_peak_bytes_counts_what_is_alive_at_one_time():
    """The meter itself: two of these three arrays are alive at a time, then a third of them."""
    x = torch.ones(1000, 1000)

    def work():
        y = x * 2
        y = y * 2
        return torch.cat([y, y[:500]])

    got, want = peak_bytes(work), 2.5 * x.nbytes
    assert abs(got - want) <= 1000

"""The planted errors of `make bite` still fit the library that they are planted in."""

from __future__ import annotations

import tomllib

import pytest
from notebooks import LECTURES, ROOT

ERRORS = tomllib.loads((ROOT / "tests/bite/errors.toml").read_text())["error"]


def test_there_are_thirty_in_every_part_of_the_library():
    assert len(ERRORS) == 30
    assert len({error["file"] for error in ERRORS}) >= 10


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error["what"])
def test_a_planted_error_has_one_place_and_lectures_that_exist(error):
    assert (ROOT / error["file"]).read_text().count(error["right"]) == 1
    assert error["right"] != error["wrong"]
    assert set(error["first"]) <= set(LECTURES)

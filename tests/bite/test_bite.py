"""The planted errors of `make bite` still fit the library that they are planted in."""

from __future__ import annotations

import tomllib

import pytest
from notebooks import LECTURES, ROOT

LISTS = {
    name: tomllib.loads((ROOT / "tests/bite" / name).read_text())["error"]
    for name in ("errors.toml", "more_errors.toml")
}
ERRORS = [error for errors in LISTS.values() for error in errors]


@pytest.mark.parametrize("errors", LISTS.values(), ids=LISTS)
def test_there_are_thirty_in_every_part_of_the_library(errors):
    assert len(errors) == 30
    assert len({error["file"] for error in errors}) >= 10


def test_no_error_is_planted_twice():
    assert len({(error["file"], error["wrong"]) for error in ERRORS}) == len(ERRORS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error["what"])
def test_a_planted_error_has_one_place_and_lectures_that_exist(error):
    assert (ROOT / error["file"]).read_text().count(error["right"]) == 1
    assert error["right"] != error["wrong"]
    assert set(error["first"]) <= set(LECTURES)

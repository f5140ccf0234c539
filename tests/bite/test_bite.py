"""The planted errors of `make bite` still fit the library that they are planted in."""

from __future__ import annotations

import tomllib

import pytest
from notebooks import LECTURES, ROOT

LISTS = {
    name: tomllib.loads((ROOT / "tests/bite" / name).read_text())["error"]
    for name in ("errors.toml", "more_errors.toml", "rim.toml")
}
ERRORS = [error for errors in LISTS.values() for error in errors]


@pytest.mark.parametrize("name", ["errors.toml", "more_errors.toml"])
def test_there_are_thirty_in_every_part_of_the_library(name):
    assert len(LISTS[name]) == 30
    assert len({error["file"] for error in LISTS[name]}) >= 10


def test_no_error_is_planted_twice():
    planted = {(error["file"], error["right"], error["wrong"]) for error in ERRORS}
    assert len(planted) == len(ERRORS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error["what"])
def test_a_planted_error_has_one_place_and_those_that_must_notice_it(error):
    """It is Python, so that what fails is a check and not an import."""
    text = (ROOT / error["file"]).read_text()
    assert text.count(error["right"]) == 1
    assert error["right"] != error["wrong"]
    compile(text.replace(error["right"], error["wrong"]), error["file"], "exec")
    if "test" in error:
        path, _, name = error["test"].partition("::")
        assert f"\ndef {name.partition('[')[0]}(" in (ROOT / path).read_text()
    else:
        assert set(error["first"]) <= set(LECTURES)

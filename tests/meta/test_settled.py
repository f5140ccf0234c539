"""lectures/SETTLED.md says of each point how it was settled, and where: all of that is there."""

from __future__ import annotations

import ast
import re

import pytest
from notebooks import LECTURES, ROOT, read

PAGE = ROOT / "lectures" / "SETTLED.md"
LINES = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
HEAD = ["lecture", "what was found", "settled how", "where"]
TABLE = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in LINES]
ROWS = [row for row in TABLE if row != HEAD and set("".join(row)) - set("-|")]


def missing(place: str) -> str:
    """What is wrong with a place: a cell ``06#cell-05``, a test ``FILE::test``, or a file."""
    if found := re.fullmatch(r"(\w+)#([\w-]+)", place):
        key, id = found.groups()
        if key not in LECTURES:
            return f"no lecture {key}"
        ids = [cell.id for cell in read(LECTURES[key]).cells]
        return "" if id in ids else f"no cell {id} in {LECTURES[key].name}"
    file, _, test = place.partition("::")
    if not (ROOT / file).is_file():
        return f"no file {file}"
    if test:
        body = ast.parse((ROOT / file).read_text()).body
        functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
        return "" if test in functions else f"no test {test} in {file}"
    return ""


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_point_says_how_it_was_settled_and_where(row):
    assert len(row) == 4, "lecture, what was found, settled how, where"
    number, found, how, where = row
    assert re.fullmatch(r"[\w-]+, \d+", number)
    assert found.strip()
    assert re.match(r"(?:changed|checked by|stands, because \w)", how)
    places = re.findall(r"`([^`]+)`", where)
    assert places
    assert re.sub(r"`[^`]+`", "", where).strip(", ") == "", "places stand in backticks"
    assert [problem for place in places if (problem := missing(place))] == []


def test_the_points_of_a_lecture_are_numbered_from_1():
    assert len(ROWS) == len(LINES) - 2 * TABLE.count(HEAD) > 0  # a heading and a rule each
    numbers: dict[str, list[int]] = {}
    for lecture, number in (row[0].split(", ") for row in ROWS):
        numbers.setdefault(lecture, []).append(int(number))
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values()), numbers


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("99#cell-01", "no lecture 99"),
        ("06#cell-999", "no cell cell-999 in 06_three_cases.ipynb"),
        ("lectures/NOTHING.md", "no file lectures/NOTHING.md"),
        ("tests/meta/test_map.py::test_of_nothing", "no test test_of_nothing in "),
        ("06#cell-05", ""),
        ("tests/meta/test_map.py::test_the_page_names_every_file", ""),
    ],
)
def test_a_place_that_is_not_there_is_told(place, problem):
    assert missing(place).startswith(problem)
    assert bool(missing(place)) == bool(problem)

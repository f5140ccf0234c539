"""tests/README.md leads from a claim to its test: it names every file, and all of it is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from notebooks import ROOT

TESTS = ROOT / "tests"
PAGE = (TESTS / "README.md").read_text()
FILES = {path.relative_to(TESTS).as_posix(): path for path in TESTS.rglob("test_*.py")}
ROWS = re.findall(r"^\| (.+?) \| \[(.+?)\]\((.+?)\) \| `(.+?)` \|$", PAGE, re.MULTILINE)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_the_page_names_every_file():
    assert sorted({file for _, file, _, _ in ROWS}) == sorted(FILES)
    helpers = [path.name for path in TESTS.glob("*.py") if path.name not in (*FILES, "conftest.py")]
    assert [name for name in helpers if f"`{name}`" not in PAGE] == []
    folders = [path.name for path in TESTS.iterdir() if path.is_dir() and path.name[0].isalpha()]
    assert [name for name in folders if f"{name}/" not in PAGE] == []


@pytest.mark.parametrize(("claim", "file", "link", "command"), ROWS, ids=[row[0] for row in ROWS])
def test_a_claim_leads_to_a_test_that_is_there(claim, file, link, command):
    assert link == file
    run = re.fullmatch(r"pytest tests/(\S+)::(\w+)(?: -k (\S+))?", command)
    assert run[1] == file
    functions = {each.name for each in parsed(FILES[file]).body if hasattr(each, "name")}
    assert run[2] in functions


def test_the_table_is_one_and_every_line_of_it_is_read():
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROWS) + 2  # heading and rule
    assert len({claim for claim, *_ in ROWS}) == len(ROWS)


def test_files_that_the_page_names_in_prose_exist():
    for name in re.findall(r"`((?:[\w.]+/)*[\w.]+\.py)`", PAGE):
        assert any((folder / name).exists() for folder in (TESTS, ROOT, TESTS / "operators")), name


@pytest.mark.parametrize("folder", ["tests", "scripts", "benchmarks"])
def test_nothing_is_imported_from_a_test_file(folder):
    """What two files need is a helper, or a change of one test breaks another."""
    names = {path.stem for path in FILES.values()}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            parts = {part for module in modules for part in module.split(".")}
            assert not parts & names, f"{path.name} imports {', '.join(sorted(parts & names))}"

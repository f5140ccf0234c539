"""`make mutants` knows every module of the package, and every file that it names is there."""

from __future__ import annotations

import importlib.util
import tomllib

from notebooks import ROOT

spec = importlib.util.spec_from_file_location("table", ROOT / "scripts" / "mutation_table.py")
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)
LINES = table.tests_of_modules()
SURVIVORS = tomllib.loads((table.KEPT / "survivors.toml").read_text())["survivor"]


def test_every_module_has_a_line_with_its_tests():
    missing = [table.line(m, table.tests_beside(m)) for m in table.modules() if m not in LINES]
    assert missing == [], "run scripts/mutation_table.py, which adds these lines to mutants.toml"


def test_a_line_names_a_module_and_tests_that_exist():
    named = [path for module, tests in LINES.items() for path in (module, *tests)]
    gone = [path for path in named if not (ROOT / path).is_file()]
    assert gone == [], "run scripts/mutation_table.py, which drops them"
    assert all(LINES.values())


def test_the_readme_shows_every_module_with_the_commit_that_it_was_measured_at():
    """`make mutants` writes it, and scripts/mutation_table.py does."""
    text = table.README.read_text()
    assert text == table.report()
    for module in table.modules():
        commit = table.scores().get(module, {"commit": "not measured yet"})["commit"]
        assert f"\n| {module} | {commit} | " in text


def test_a_survivor_is_explained_in_a_module_that_exists():
    for survivor in SURVIVORS:
        assert survivor["module"] in LINES
        assert survivor["verdict"] in ("equivalent", "accepted")
        assert survivor["because"].endswith(".")


def test_a_new_module_gets_the_tests_that_stand_where_it_stands():
    assert table.tests_beside("ddrm_edu/ddrm.py") == ["tests/test_ddrm.py"]
    beside = table.tests_beside("ddrm_edu/operators/some_new_one.py")
    assert beside
    assert all(test.startswith("tests/operators/test_") for test in beside)
    assert table.tests_beside("ddrm_edu/course/figures/lecture_99.py") == (
        table.tests_beside("ddrm_edu/course/some_new_one.py")
    )
    lines = table.completed({"ddrm_edu/gone.py": [], "ddrm_edu/ddrm.py": ["tests/gone.py"]})
    assert lines == table.completed({"ddrm_edu/ddrm.py": ["tests/test_ddrm.py"]})
    assert list(lines) != table.modules()  # those that had a line come first
    assert sorted(lines) == table.modules()

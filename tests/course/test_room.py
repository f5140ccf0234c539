"""The course is a room above the library: it may import the library, nothing imports it."""

from __future__ import annotations

import ast
from pathlib import Path

import ddrm_edu

ROOT = Path(ddrm_edu.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file of the package imports, anywhere in it."""
    package = ["ddrm_edu", *path.relative_to(ROOT).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def test_only_the_root_names_the_course_for_the_exercises_and_the_roof_for_the_marks():
    by = {
        path.relative_to(ROOT).as_posix(): {n for n in imported(path) if ".course" in n}
        for path in MODULES
        if "course" not in path.relative_to(ROOT).parts
    }
    allowed = {"ddrm_edu.course", "ddrm_edu.course.engine", "ddrm_edu.course.engine.exercise"}
    assert by.pop("__init__.py") <= allowed
    commands = {"ddrm_edu.course.grading", "ddrm_edu.course.copies"}
    names = {"ddrm_edu.course.copies.copy_lectures"}
    assert by.pop("cli.py") <= {"ddrm_edu.course", *commands, *names}
    assert not any(by.values()), {name: found for name, found in by.items() if found}


def test_the_course_takes_names_from_the_modules_that_define_them():
    """The root imports the engine: through the root the course would import itself."""
    for path in (ROOT / "course").rglob("*.py"):
        assert "ddrm_edu" not in imported(path), path

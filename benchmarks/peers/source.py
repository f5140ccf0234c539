"""Other packages: whether they are there, their lines, and their classes with a line changed."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import inspect
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import click

VERSIONS = {"azula": "0.11.1", "deepinv": "0.5.0"}


class _Empty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """torchvision as modules in which every name is there and nothing works."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        module = MagicMock(name=spec.name)
        module.__path__, module.__spec__ = [], spec
        return module

    def exec_module(self, module: Any) -> None:
        pass


def stand_in_for_torchvision() -> None:
    """Let those packages be imported where it is missing: it is not called here."""
    if find_spec("torchvision") is None:
        sys.meta_path.append(_Empty())


def require_packages() -> None:
    """Raise a ``click`` error unless those are there whose lines the table names."""
    stand_in_for_torchvision()
    for name, due in VERSIONS.items():
        try:
            found = f"{version(name)} is installed"
        except PackageNotFoundError:
            found = "it is not installed"
        if found != f"{due} is installed":
            wanted = " ".join(f"{package}=={number}" for package, number in VERSIONS.items())
            raise click.ClickException(
                f"{name} {due} is needed, whose lines the table names, but {found}. In an "
                f"environment of its own: pip install {wanted}."
            )


def edited(cls: type, *changes: tuple[str, str]) -> type:
    """The class with some of its source replaced; each text must be there."""
    source = textwrap.dedent(inspect.getsource(cls))
    for old, new in changes:
        assert old in source, f"{cls.__name__} has no {old!r}"
        source = source.replace(old, new)
    space = dict(vars(sys.modules[cls.__module__]))
    exec(source, space)
    return space[cls.__name__]


def lines(cls: type, text: str) -> str:
    """``file, lines`` of the installed source in which ``text`` stands, within the class."""
    source, first = inspect.getsourcelines(cls)
    found = [str(first + k) for k, line in enumerate(source) if text in line]
    assert found, f"{cls.__name__} has no {text!r}"
    file = cls.__module__.replace(".", "/") + ".py"
    return f"`{file}`, line{'s' if len(found) > 1 else ''} {', '.join(found)}"


def code(source: str | Path | Callable[..., Any]) -> list[str]:
    """Lines of a file or a function without blank ones, comments and docstrings."""
    text = source.read_text() if isinstance(source, Path) else inspect.getsource(source)
    tree = ast.parse(textwrap.dedent(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.unparse(tree).splitlines()

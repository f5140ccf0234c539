"""The reference: a page for every public name, in the groups of the stub, and the modules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import ddrm_edu

from . import NOT_SHOWN, ROOT, labels, sources

STUB = ROOT / "ddrm_edu" / "__init__.pyi"


def groups() -> dict[str, list[str]]:
    """The public names under the comment above them."""
    found: dict[str, list[str]] = {}
    for line in STUB.read_text(encoding="utf-8").partition("__all__")[2].splitlines():
        if line.startswith("# "):
            names = found.setdefault(line[2:], [])
        elif words := re.fullmatch(r"from \S+ import (\w+) as \1", line):
            names.append(words[1])
    return found


def undocumented() -> list[str]:
    """Public names, and public methods of public classes, that say nothing of themselves."""
    silent = []
    for name in ddrm_edu.__all__:
        value = getattr(ddrm_edu, name)
        if not inspect.getdoc(value):
            silent.append(name)
        if inspect.isclass(value):
            silent += [
                f"{name}.{member}"
                for member in vars(value)
                if not member.startswith("_")
                and callable(getattr(value, member))
                and not any(inspect.getdoc(vars(c).get(member)) for c in value.__mro__)
            ]
    return silent


def without_example() -> list[str]:
    """Public names whose docstring shows no call."""
    return [
        n for n in ddrm_edu.__all__ if ">>>" not in (inspect.getdoc(getattr(ddrm_edu, n)) or "")
    ]


def modules() -> list[str]:
    """Names of the library's modules, as they are imported."""
    every = pkgutil.walk_packages(ddrm_edu.__path__, "ddrm_edu.")
    names = [each.name for each in every]
    return sorted(n for n in names if not set(n.split(".")[1:]) & set(NOT_SHOWN))


def members(module: str) -> dict[str, object]:
    """What a module defines for others: its classes, functions and documented constants."""
    here = importlib.import_module(module)
    return {
        name: value
        for name, value in vars(here).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
        and inspect.getdoc(value)
    }


def first_line(value: object) -> str:
    """The first sentence of a docstring, as reST."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def cited_ids() -> dict[str, list[str]]:
    """Links to the public names whose docstrings cite each ID."""
    found: dict[str, list[str]] = {}
    for name in ddrm_edu.__all__:
        for id in sorted(set(labels.ID.findall(inspect.getdoc(getattr(ddrm_edu, name)) or ""))):
            found.setdefault(id, []).append(f"[`{name}`](../api/{name}.rst)")
    return found


def used_in(lectures: list[Path]) -> dict[str, list[Path]]:
    """The lectures whose code uses each public name."""
    import nbformat

    found: dict[str, list[Path]] = {name: [] for name in ddrm_edu.__all__}
    for path in lectures:
        cells = nbformat.read(path, as_version=4).cells
        words = {w for c in cells if c.cell_type == "code" for w in re.findall(r"\w+", c.source)}
        for name in words & found.keys():
            found[name].append(path)
    return found


def api_pages(lectures: list[Path]) -> Iterator[tuple[str, str]]:
    """Place and text of each page of the reference."""
    if silent := undocumented():
        raise ValueError(f"Public, but without a docstring: {', '.join(silent)}")
    uses = used_in(lectures)
    index = [_title("Reference", "="), INTRODUCTION]
    for group, names in groups().items():
        title = group[0].upper() + group[1:]
        index.append(_title(title, "-"))
        index += [_row(name) for name in names]
        index.append("\n.. toctree::\n   :hidden:\n\n" + "".join(f"   {n}\n" for n in names) + "\n")
        for name in names:
            yield f"api/{name}.rst", _page(name, title, uses[name])
    index.append(_title("Modules", "-"))
    index.append(".. toctree::\n   :maxdepth: 1\n\n   modules\n")
    yield "api/index.rst", "".join(index)
    yield from module_pages()


INTRODUCTION = """
``from ddrm_edu import NAME`` gives each of these; a name is loaded when it is first asked for.
Images are tensors of shape (batch, channels, height, width) in [-1, 1], and ``sigma`` is always a
standard deviation on that scale.

"""


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n\n"


def _row(name: str) -> str:
    return f":py:obj:`~ddrm_edu.{name}`\n   {first_line(getattr(ddrm_edu, name))}\n\n"


def _page(name: str, group: str, lectures: list[Path]) -> str:
    value = getattr(ddrm_edu, name)
    kind = "class" if inspect.isclass(value) else "function"
    options = "   :members:\n   :show-inheritance:\n" if kind == "class" else ""
    links = ", ".join(f":doc:`{p.stem.partition('_')[0]} </lectures/{p.stem}>`" for p in lectures)
    used = f"Used in lecture{'s' * (len(lectures) > 1)} {links}.\n\n" if links else ""
    used += _tested(value.__module__)
    return (
        f"{_title(name, '=')}``from ddrm_edu import {name}`` · {group} · "
        f"module :py:mod:`{value.__module__}`\n\n"
        f".. auto{kind}:: ddrm_edu.{name}\n{options}\n{used}"
    )


def _tested(module: str) -> str:
    """A link to the tests of a module, where the site shows them."""
    *folders, name = module.split(".")[1:]
    file = ROOT.joinpath("tests", *folders, f"test_{name}.py")
    if file not in sources.linked_files():
        return ""
    place = file.relative_to(ROOT).as_posix()
    return f"Tested by :doc:`{place} </source/{place}>`.\n"


def module_pages() -> Iterator[tuple[str, str]]:
    """Each module: what it says of itself, its public names, and the others in full."""
    public = {id(getattr(ddrm_edu, name)): name for name in ddrm_edu.__all__}
    for module in modules():
        lines = [_title(module, "="), f".. automodule:: {module}\n   :no-members:\n\n"]
        rows, entries = [], []
        for name, value in members(module).items():
            if id(value) in public:
                rows.append(_row(public[id(value)]))
            elif inspect.isclass(value):
                entries.append(
                    f".. autoclass:: {module}.{name}\n   :members:\n   :show-inheritance:\n"
                )
            else:
                entries.append(f".. autofunction:: {module}.{name}\n")
        lines += [_title("Public names", "-"), *rows] if rows else []
        lines += (
            [_title("In this module", "-"), *(f"{entry}\n" for entry in entries)] if entries else []
        )
        yield f"api/modules/{module}.rst", "".join(lines)
    listed = "".join(f"   modules/{module}\n" for module in modules())
    yield "api/modules.rst", f"{_title('Modules', '=')}.. toctree::\n   :maxdepth: 1\n\n{listed}"

"""Source files as pages: a link to a test or a proof leads to its text, a law to its lines."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from . import NOT_SHOWN, ROOT, labels
from .mirror import pages

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"(?<!!)(\[[^][]*\])\((?!\w+:|#)([^()#\s]+)(#[^()\s]*)?\)")
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')  # of HTML, which no link of MyST's finds
LEXERS = {".py": "python", ".v": "coq", ".toml": "toml", ".yml": "yaml", ".cff": "yaml"}


def shown(path: Path) -> str:
    """Place on the site of the page that shows a file."""
    return f"source/{path.relative_to(ROOT).as_posix()}.md"


def label(path: Path, name: str) -> str:
    """Anchor of a function or class in the page of its file."""
    return f"source-{path.relative_to(ROOT).as_posix()}-{name}"


@cache
def linked_files() -> set[Path]:
    """The files that pages link to, and which are no pages themselves."""
    found = set()
    for path in pages().values():
        for _, target, _ in LINK.findall(path.read_text(encoding="utf-8")):
            file = (path.parent / target).resolve()
            if file.is_file() and file.is_relative_to(ROOT):
                found.add(file)
    return {file for file in found if file.suffix in LEXERS or file.suffix == ".csv"}


def source_pages(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Place and text of the page of each file."""
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        yield (
            shown(path),
            f"---\norphan: true\n---\n\n# {name}\n\n{_ways_back(path)}{''.join(_blocks(path))}",
        )


def _ways_back(path: Path) -> str:
    """To the module that a file tests, and to the statements that it names."""
    up = "../" * len(path.relative_to(ROOT).parts)
    ways = []
    if module := _module(path):
        ways.append(f"Tests of [`{module}`]({up}api/modules/{module}.rst).")
    if named := labels.statements(path.read_text(encoding="utf-8")):
        ways.append(f"Statements of the ledger: {labels.entries(named)}.")
    return "".join(f"{way}\n\n" for way in ways)


def _module(tests: Path) -> str | None:
    """The module of the library that stands where a file of tests does."""
    top, *folders, _ = tests.relative_to(ROOT).parts
    module = Path(*folders, f"{tests.stem.removeprefix('test_')}.py")
    shown = top == "tests" and folders[:1] != ["course"] and module.stem not in NOT_SHOWN
    if not (shown and (ROOT / "ddrm_edu" / module).is_file()):
        return None
    return ".".join(["ddrm_edu", *module.with_suffix("").parts])


def _blocks(path: Path) -> Iterator[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    language = LEXERS.get(path.suffix, "text")
    starts: list[tuple[int, str | None]] = [(1, None)]
    seen: set[str] = set()
    if path.suffix == ".py":
        for node in ast.parse("\n".join(lines)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower() not in seen:
                seen.add(node.name.lower())
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                starts.append((first, node.name))
    ends = [start - 1 for start, _ in starts[1:]] + [len(lines)]
    for (start, name), end in zip(starts, ends, strict=True):
        text = "\n".join(lines[start - 1 : end]).rstrip()
        if text:
            anchor = f"({label(path, name)})=\n" if name else ""
            fence = "`" * 8
            yield (
                f"{anchor}{fence}{{code-block}} {language}\n:lineno-start: {start}\n"
                f":class: no-copy\n\n{text}\n{fence}\n\n"
            )


def _lead_to_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links to files and folders of the repository lead to the pages that show them."""
    place = next(
        p
        for p in (f"{docname}.md", f"{docname}.ipynb", f"{docname}.rst")
        if (Path(app.srcdir) / p).exists()
    )
    written = pages().get(place)
    if written is None:
        return

    def led(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        base = Path(os.path.dirname(place)) if place != "index.md" else Path()
        file = (ROOT / base / target).resolve()
        for page in (file, file / "README.md", file / "index.md"):
            if not page.is_relative_to(ROOT):
                continue
            known = page.relative_to(ROOT).as_posix()
            if (Path(app.srcdir) / known).is_file():
                return f"{text}({os.path.relpath(known, base)}{anchor or ''})"
        if file.is_file() and (Path(app.srcdir) / shown(file)).exists():
            return f"{text}({os.path.relpath(shown(file), base)})"
        return match[0]

    source[0] = ANCHOR.sub(r"[]{#\1}", LINK.sub(led, source[0]))
    if place.startswith("benchmarks/") and not source[0].startswith("# "):
        source[0] = f"# {Path(place).stem.replace('-', ' ').capitalize()}\n\n{source[0]}"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _lead_to_pages)

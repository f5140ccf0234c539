"""One click to run: badges and first cells come from the one address in pyproject.toml."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib

import nbformat
import pytest
from notebooks import LECTURES, ROOT

WEIGHTS = (0.2126, 0.7152, 0.0722)  # of red, green and blue in a luminance
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


@pytest.fixture(scope="module")
def badges():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("badges")


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lay(root):
    """A copy of the files that the script writes, with three lectures."""
    (root / "lectures").mkdir()
    (root / "figures").mkdir()
    shutil.copy(ROOT / "README.md", root)
    for path in list(LECTURES.values())[:3]:
        shutil.copy(path, root / "lectures")
    return sorted((root / "lectures").iterdir())


def write(badges, root):
    changed = badges.stale(root)
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return set(changed)


def without(notebook):
    """A notebook as it was before: without badges, first cell and the line that it replaces."""
    cells = [c for c in notebook.cells if "install" not in c.metadata.get("tags", ())]
    title = re.sub(r"^\[!\[Run in .*\n\n", "", cells[0].source, flags=re.MULTILINE)
    return [title, *(c.source.removeprefix("%xmode Minimal\n") for c in cells[1:])]


def test_each_lecture_gets_badges_and_a_first_cell_and_keeps_all_else(badges, tmp_path):
    paths = lay(tmp_path)
    before = [nbformat.read(path, as_version=4) for path in paths]
    write(badges, tmp_path)
    assert write(badges, tmp_path) == set()  # the second time there is nothing to do
    for path, old in zip(paths, before, strict=True):
        new = nbformat.read(path, as_version=4)
        nbformat.validate(new)
        assert without(new) == without(old)
        first, second, *_ = code = code_of(new)
        assert first.metadata.tags == ["install"]
        assert "%xmode" not in second.source
        assert "Exception reporting mode" not in str(new)
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
        results = [(cell, o) for cell in code for o in cell.outputs if "execution_count" in o]
        assert all(o.execution_count == cell.execution_count for cell, o in results)
        shown = [[o for o in c.outputs if o.output_type != "stream"] for c in code[1:]]
        assert len(list(filter(None, shown))) > 3
        title, _, line, _ = new.cells[0].source.splitlines()[:4]
        assert title.startswith(f"# {path.name.split('_')[0]} · ")
        project = ADDRESS.removeprefix("https://github.com/")
        assert f"(https://colab.research.google.com/github/{project}/blob/main/lectures/" in line
        assert f"(https://mybinder.org/v2/gh/{project}/main?labpath=lectures%2F{path.stem}" in line
        for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", line):
            assert (path.parent / picture).is_file()


def test_the_address_moves_everything_and_stands_nowhere_else(badges, tmp_path, monkeypatch):
    paths = lay(tmp_path)
    write(badges, tmp_path)
    monkeypatch.setattr(badges, "address", lambda: "https://github.com/someone/a-fork")
    assert write(badges, tmp_path) == {*paths, tmp_path / "README.md"}
    for path in [*paths, tmp_path / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert ADDRESS not in text
        assert "someone/a-fork" in text


def test_the_first_cell_says_nothing_and_does_nothing_where_the_package_is(badges):
    """It sets short errors, as %xmode does, without its line; and elsewhere it calls pip."""
    cell = badges.CELL.format(address=ADDRESS)
    assert len(cell.splitlines()) <= 30
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
asked = []
shell.run_line_magic = lambda name, line: asked.append((name, line))
shell.run_cell({cell!r}).raise_error()
assert not asked
assert shell.InteractiveTB.mode == "Minimal"
import importlib.util
importlib.util.find_spec = lambda name: None
shell.run_cell({cell!r}).raise_error()
assert asked == [("pip", "install --quiet git+{ADDRESS}")], asked
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_badges_are_pictures_that_say_what_they_do(badges):
    for badge in badges.BADGES:
        svg = badge.svg()
        assert f"<title>{badge.left} {badge.right}</title>" in svg
        assert 'role="img"' in svg
        assert not re.search(r'(href|src)="', svg)
        assert contrast(badge.colour) >= 4.5


def contrast(colour: str) -> float:
    """Of white text on it, as WCAG counts."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 1.05 / (0.05 + sum(w * p for w, p in zip(WEIGHTS, linear, strict=True)))


def test_what_is_in_the_repository_is_what_the_script_writes(badges):
    """The lectures get their badges together: one that lacks them among others is stale."""
    stale = {path for path in badges.stale(ROOT) if path.suffix != ".ipynb"}
    assert stale == set()
    clicked = [p for p in LECTURES.values() if '"install"' in p.read_text(encoding="utf-8")]
    if clicked:
        assert set(badges.stale(ROOT)) == set()

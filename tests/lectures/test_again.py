"""The tool that runs every cell of a lecture once more after the last one."""

from __future__ import annotations

import importlib

import nbformat
import pytest
from notebooks import ROOT


@pytest.fixture(scope="module")
def again():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        return importlib.import_module("again")


@pytest.mark.filterwarnings("ignore")
def test_a_cell_that_needs_what_a_later_one_replaced_is_told(again, tmp_path):
    v4 = nbformat.v4
    sources = [
        "levels = [9.0, 1.0]",
        "top = levels[0]",  # it fails when run again: levels is a number by then
        "assert top < 1, 'a check that fails, and should'",
        "levels = 0.5",
    ]
    path = tmp_path / "01_small.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(each) for each in sources]), path)
    (found,) = again.complaints(path)
    assert found.startswith("01_small.ipynb, In [2]: TypeError: ")
    assert found.endswith("(at first none)")
    fine = [*sources[:2], "other_levels = 0.5"]
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(each) for each in fine]), path)
    assert again.complaints(path) == []

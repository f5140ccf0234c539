"""Every statement of the ledger has one home among the lectures, and is checked there."""

from __future__ import annotations

import importlib.util

import pytest
from ledger.kernel import first_theorems
from ledger.registry import IDS, all_items
from notebooks import ROOT

spec = importlib.util.spec_from_file_location("homes", ROOT / "scripts" / "homes.py")
homes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(homes)
HOMES = homes.homes(IDS)


@pytest.mark.parametrize("id", IDS)
def test_a_statement_has_one_home_and_is_checked_there(id):
    assert len(HOMES[id]) == 1, [home.path.name for home in HOMES[id]]
    assert HOMES[id][0].checks, f"{id} is stated in {HOMES[id][0].path.name} but not checked"


def test_no_lecture_is_home_to_an_id_that_does_not_exist():
    assert set(HOMES) == set(IDS)


def test_the_table_leads_to_the_theorems_that_the_kernel_has_checked():
    rows = {row.split(" | ")[0][2:]: row for row in homes.TABLE.read_text().splitlines()}
    for id, theorem in first_theorems().items():
        assert rows[id].endswith(f"| [{theorem.name}](../proofs/{theorem.file}) |")
        assert (homes.ROOT / "proofs" / theorem.file).exists()
    assert rows["G01"].endswith("|  |")


def test_the_table_in_the_repository_is_the_one_that_the_notebooks_give():
    """`make homes` writes it."""
    assert homes.TABLE.read_text() == homes.table(all_items(), first_theorems())

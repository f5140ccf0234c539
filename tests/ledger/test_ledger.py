"""The ledger is complete, every item holds, and each of its wrong versions is rejected."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ledger.__main__ import main
from ledger.kernel import first_theorems
from ledger.registry import CAUGHT, IDS, WITHDRAWN, Item, all_items

ENTRIES = all_items()
ROOT = Path(__file__).parents[2]


def _name(entry: Item) -> str:
    return f"{entry.id}-{entry.law.__name__}"


def test_every_id_of_the_ledger_has_a_law_with_a_wrong_version():
    """A slide item without a proof or without a rejected wrong version is a gap."""
    assert {entry.id for entry in ENTRIES} == set(IDS)
    assert all(entry.wrong for entry in ENTRIES)


def test_no_law_is_registered_twice_under_one_id():
    """Each line of the table is a statement of its own."""
    names = Counter(map(_name, ENTRIES))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_erratum_states_what_was_printed():
    """E1-E20 but the withdrawn: the printed version is among those that are rejected."""
    errata = [e for e in ENTRIES if e.id.startswith("E") and e.id not in WITHDRAWN]
    assert [entry.id for entry in errata if "as printed" not in entry.wrong] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=_name)
def test_statement_holds_and_its_wrong_versions_do_not(entry):
    """The right version is exact up to its bound, every wrong one is off by at least 1e-3."""
    assert entry.error() <= entry.bound
    hidden = {k: e for k, e in entry.errors_of_wrong_versions().items() if not e >= CAUGHT}
    assert hidden == {}


def test_the_printed_table_names_the_theorem_of_the_kernel_and_counts(capsys):
    """S13.1 has a theorem, G01 has none; the last line counts the IDs that were asked for."""
    names = {id: theorem.name for id, theorem in first_theorems().items()}
    assert (names["S13.1"], names["S12.1"]) == ("hint_1", "Proposition_3_1")
    assert main(["S13.1", "G01"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    at = heading.index("kernel")
    cells = {line[:5].strip(): line[at:].split()[0] for line in lines if re.match(r"[SG]\d", line)}
    assert cells == {"S13.1": "hint_1", "G01": "-"}
    assert lines[-1].startswith("1 of 2 have a proof that Coq's kernel has checked")


def test_the_readme_counts_the_laws_and_the_ids():
    """README.md says what `make verify` prints, and how many statements have a home."""
    text, laws, ids = (ROOT / "README.md").read_text(), len(ENTRIES), len(IDS)
    assert f"| {laws} of {laws} laws hold; {ids} of {ids} ledger IDs have one |" in text
    assert f"(lectures/HOMES.md) lists all {ids}," in text


def test_the_errata_for_students_have_a_section_for_each_erratum():
    """lectures/ERRATA.md: every erratum once, as printed, corrected and proved."""
    text = (ROOT / "lectures" / "ERRATA.md").read_text()
    headings = re.findall(r"^### (E\d+)\. ", text, flags=re.MULTILINE)
    assert sorted(headings) == sorted(id for id in IDS if id.startswith("E"))
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    proof = re.compile(r"^\*(?:Proof|Counterexample)", flags=re.MULTILINE)
    assert [section[:3] for section in sections if not proof.search(section)] == []

"""The proofs have no gaps, the table of theorems is true, wrong versions of statements fail."""

from __future__ import annotations

import importlib.util
import re

import pytest
from ledger.registry import IDS
from notebooks import ROOT

spec = importlib.util.spec_from_file_location("proofs_script", ROOT / "scripts" / "proofs.py")
proofs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(proofs)

needs_coq = pytest.mark.skipif(not proofs.coq_is_here(), reason="Coq is not installed")
WRONG = proofs.wrong_versions()
PROVED = {id for entry in proofs.theorems() for id in entry.ids}


def test_no_gap_no_axiom_and_no_proof_longer_than_a_screen():
    assert proofs.all_forbidden() == []


@pytest.mark.parametrize(
    "source",
    [
        "Lemma a : False.\nProof.\nAdmitted.",
        "Axiom a : False.",
        "Parameter a : nat.",
        "Hypothesis a : False.",
        "Section A.\nEnd A.\nVariable a : False.",
        "Lemma a : False.\nProof.\n  admit.\nAbort.",
        "Proof.\n" + "  ring.\n" * 40 + "Qed.",
    ],
)
def test_a_gap_is_found(source):
    assert proofs.forbidden("a.v", source)


def test_comments_are_no_gaps():
    assert (
        proofs.forbidden("a.v", "(* no Axiom (* nor *) Admitted *) Section A. Variable a : R.")
        == []
    )


def test_the_table_of_theorems_is_the_one_that_the_files_give():
    """`python scripts/proofs.py --table` writes it."""
    assert (proofs.PROOFS / "THEOREMS.md").read_text() == proofs.table()


def test_sixty_ids_of_the_ledger_have_a_proof():
    assert set(IDS) >= PROVED
    assert len(PROVED) >= 60
    assert {"S12.1", "S12.2", "S13.1", "S13.2", "S14.1", "S15.1", "S16.1", "E6"} <= PROVED


def test_every_theorem_says_in_words_what_it_claims():
    silent = [entry.name for entry in proofs.theorems() if not entry.comment]
    assert silent == []


def test_the_page_of_main_statements_assumes_nothing_that_it_does_not_say():
    page = proofs.without_comments((proofs.PROOFS / proofs.PAGE).read_text())
    assert not re.search(r"\b(Section|Variable|Hypothesis|Context|Definition|Notation)\b", page)


def test_there_are_wrong_versions_of_statements_in_every_part():
    assert len(WRONG) >= 15
    assert len({(wrong.file, wrong.wrong) for wrong in WRONG}) == len(WRONG)
    assert len({wrong.file for wrong in WRONG}) >= 6


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.theorem}: {wrong.what}")
def test_a_wrong_version_has_one_place_and_a_refutation_that_exists(wrong):
    assert (proofs.PROOFS / wrong.file).read_text().count(wrong.right) == 1
    assert not wrong.refuted or wrong.refuted in {entry.name for entry in proofs.theorems()}


@pytest.fixture(scope="module")
def built():
    proofs.build()


@needs_coq
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.theorem}: {wrong.what}")
@pytest.mark.usefixtures("built")
def test_a_wrong_version_does_not_compile(wrong):
    """It fails in the proof of the statement that it changes, and nowhere else."""
    assert proofs.failure(wrong) is not None


@needs_coq
@pytest.mark.usefixtures("built")
def test_a_file_that_is_cut_after_a_proof_compiles():
    """One cut in each file: no wrong version fails because of the cut."""
    for file, theorem in {wrong.file: wrong.theorem for wrong in WRONG}.items():
        source = (proofs.PROOFS / file).read_text()
        assert proofs.compile_up_to(file, theorem, source) is None, theorem


@needs_coq
@pytest.mark.usefixtures("built")
def test_the_main_statements_rest_on_axioms_of_the_standard_library_alone():
    known = tuple(proofs.AXIOMS)
    for name, axioms in proofs.axioms_of_the_page().items():
        assert all(any(each.endswith(axiom) for each in known) for axiom in axioms), (name, axioms)

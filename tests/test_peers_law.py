"""``benchmarks/peers_law.py`` without the packages that it compares: its measures and its table."""

from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner
from notebooks import ROOT

from ddrm_edu import gap, sampler_law

sys.path.insert(0, str(ROOT / "benchmarks"))
import peers_law
from peers import problems, source
from peers.ours import OURS

TABLE = (ROOT / "benchmarks" / "results" / "peers_law.md").read_text()
LINES = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| ")]
HEAD, *ROWS = ([cell.strip() for cell in line] for line in LINES)
PROBLEMS = {problem.name: problem for problem in problems.problems()}


def cell(ours: str, problem: str) -> str:
    """Our part of "theirs / ours", which is the same in all rows."""
    (found,) = {row[HEAD.index(problem)].partition(" / ")[2] for row in ROWS if row[4] == ours}
    return found


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("ours", ["pigdm_samples", "PiGDM", "DiffPIR", "ExactDenoiser"])
def test_our_numbers_of_the_table_are_those_of_the_library(ours, problem):
    found = problems.w2(PROBLEMS[problem], OURS[ours](PROBLEMS[problem]))
    assert str(found) == cell(ours, problem)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_the_number_of_ddrm_is_that_of_its_own_law(problem):
    law = sampler_law(problem.prior, problem.op, problem.sigmas, sigma_y=problem.sigma_y)
    assert f"{gap(law, problem.posterior).relative_w2:.3f}" == cell("ddrm_samples", problem.name)


def test_every_difference_has_a_note_about_a_line_of_a_version():
    assert {row[-1] for row in ROWS} <= {"agree", "explained", "differ"}
    notes = dict(re.findall(r'^(\d+)\. <a id="\d+"></a>(.+)$', TABLE, re.MULTILINE))
    for row in ROWS:
        assert {row[2]} <= {f"{name} {version}" for name, version in source.VERSIONS.items()}
        if row[-1] != "agree":
            number = re.fullmatch(r"\[(\d+)\]\(#\1\)", row[0])[1]
            assert notes[number].startswith(f"{row[2]}, {row[1]}: ")
            assert re.search(r"`\S+\.py`, lines? \d+", notes[number])


def test_with_the_same_noise_a_sampler_is_apart_from_another_by_w2_or_more():
    problem = PROBLEMS["rank 3 of 5 x 8"]
    one, two = (OURS[name](problem) for name in ("PiGDM", "ddrm_samples"))
    assert problems.apart(problem, one, one) == 0
    between = problems.between_laws(problem, one, two)
    assert 0.1 < between < 1.1 * problems.apart(problem, one, two)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_an_estimate_is_within_its_error_of_the_exact_number(problem, monkeypatch):
    monkeypatch.setattr(problems, "DRAWS", 2000)
    sampler = OURS["ddrm_samples"](problem)
    exact, found = problems.w2(problem, sampler), problems.estimated(problem, sampler)
    assert exact.error == 0 < found.error < 0.05 * exact.value
    assert abs(found.value - exact.value) < 4 * found.error


def test_a_line_is_changed_where_it_stands():
    changed = source.edited(problems.Distance, (":.3f}", ":.1f}"))
    assert str(changed(0.25)) == "0.2"
    assert str(problems.Distance(0.25)) == "0.250"
    with pytest.raises(AssertionError, match="has no 'not there'"):
        source.edited(problems.Distance, ("not there", ""))


def test_without_a_package_of_that_version_it_says_which(monkeypatch):
    monkeypatch.setattr(source, "VERSIONS", {"azula": "0.0.1"})
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    said = CliRunner().invoke(peers_law.main)
    assert said.exit_code == 1
    assert "azula 0.0.1 is needed" in said.output
    assert "pip install azula==0.0.1" in said.output

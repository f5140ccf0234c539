"""ddrm_coefficients computes the table that Proposition 3.1 is proved for, says Coq.

The rounding that is allowed, 2^-48, is stated in proofs/Bridge.v.  In units of 2^-53, half a
spacing of float64 at 1: a weight k s sigma_t / sigma_y has four rounded inputs and three
operations, and k from eta^2 another 1.5 eta^2 / k^2 < 18 (eta = 24/25); together less than 32.
"""

from __future__ import annotations

import collections
import importlib.util
from fractions import Fraction

import pytest
import torch
from notebooks import ROOT
from proofs.bridge import (
    Problem,
    computed,
    coq_file,
    drawn_problems,
    eta_b_star,
    start_problem,
)
from wrong_tables import COEFFICIENTS, strict_boundary

from ddrm_edu.ddrm import ddrm_coefficients, ddrm_start_coefficients

spec = importlib.util.spec_from_file_location("proofs_script", ROOT / "scripts" / "proofs.py")
proofs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(proofs)

needs_coq = pytest.mark.skipif(not proofs.coq_is_here(), reason="Coq is not installed")

PROBLEMS = drawn_problems(seed=2022)
WRONG = {name: table for name, (_, table) in COEFFICIENTS.items()}
WRONG["M33 strict > at the boundary"] = strict_boundary


def theorem_rate(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """The library with its own rule for eta_b, whatever rate is asked for."""
    return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b="theorem")


def start(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """The library's start at the level that is entered."""
    return ddrm_start_coefficients(s, sigma_next, sigma_y)


def proved(tmp_path, claims) -> None:
    """Coq accepts every claim; otherwise its message names the first that it does not."""
    proofs.build()
    file = tmp_path / "Numbers.v"
    file.write_text(coq_file(claims))
    run = proofs.coqc(file)
    assert run.returncode == 0, run.stderr


def answers(table, problems):
    return [computed(table, problem) for problem in problems]


def test_the_problems_are_of_every_kind():
    """Every row, its boundary, and every number that may be 0."""
    kinds = collections.Counter(problem.case for problem in PROBLEMS)
    assert all(kinds[case] >= 12 for case in ("1", "boundary", "2", "3")), kinds
    for name in ("s", "next", "sigma_y", "eta", "k", "eta_b"):
        assert any(getattr(problem, name) == 0 for problem in PROBLEMS), name
    assert all(problem.eta**2 + problem.k**2 == 1 for problem in PROBLEMS)


@needs_coq
def test_the_library_computes_the_table_of_the_theorem(tmp_path):
    """Every row, boundary included; the rule of Theorem 3.2; the start."""
    at_star = [
        problem._replace(eta_b=eta_b_star(problem.s, problem.next, problem.sigma_y))
        for problem in PROBLEMS
        if problem.case in ("1", "boundary") and problem.next > 0
    ]
    starts = [start_problem(problem) for problem in PROBLEMS if problem.next > 0]
    claims = [
        ("library", PROBLEMS, answers(ddrm_coefficients, PROBLEMS), True),
        ("rule of Theorem 3.2", at_star, answers(theorem_rate, at_star), True),
        ("start", starts, answers(start, starts), True),
    ]
    proved(tmp_path, claims)


@needs_coq
def test_wrong_tables_are_proved_to_be_wrong(tmp_path):
    """All tables of tests/wrong_tables.py, none of which is slide 11's, one theorem each."""
    assert len(WRONG) >= 20
    claims = [(name, PROBLEMS, answers(table, PROBLEMS), False) for name, table in WRONG.items()]
    proved(tmp_path, claims)


@needs_coq
def test_the_comparison_sees_one_wrong_bit_in_thirty_two(tmp_path):
    """Numbers off by 2^-47 are refused, off by 2^-49 they are not: the bound is what it says."""
    problem = Problem(*map(Fraction, (1, 4, 2, 1, "3/5", "4/5", "1/2")))  # exact in float64
    exact = computed(ddrm_coefficients, problem)
    off = [tuple(x + (i == k) * 2.0**-47 for i, x in enumerate(exact)) for k in range(4)]
    near = [tuple(x + (i == k) * 2.0**-49 for i, x in enumerate(exact)) for k in range(3)]
    claims = [(f"off {k}", [problem], [numbers], False) for k, numbers in enumerate(off)]
    claims += [(f"near {k}", [problem], [numbers], True) for k, numbers in enumerate(near)]
    proved(tmp_path, claims)


def test_numbers_that_are_not_finite_never_agree():
    """nan has no place in a proof; it is written as a negative noise, which no row has."""
    nan = (torch.nan, 0.0, 0.0, 1.0)
    text = coq_file([("nan", PROBLEMS[:1], [nan], False)])
    assert "Build_numbers (0 # 1) (0 # 1) (0 # 1) (-1 # 1)" in text

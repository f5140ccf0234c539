"""What a report prints: a line for each claim, and how many hold."""

from __future__ import annotations

import numpy as np

from ddrm_edu import Dense, check_operator

RNG = np.random.default_rng(11)
H = RNG.standard_normal((4, 3)) @ RNG.standard_normal((3, 6))  # wide and of rank 3, s all distinct


def test_the_report_tells_every_claim_and_counts_them():
    report = check_operator(Dense(H), H)
    lines = str(report).splitlines()
    assert lines[0] == "Operator Dense((6,) -> (4,), rank 3)"
    assert [line.split()[0] for line in lines[1:-1]] == ["ok"] * len(report.asked)
    assert lines[-1] == f"{len(report.asked)} of {len(report.asked)} claims hold."

"""What a report prints: a line for each claim, and how many hold."""

from __future__ import annotations

import json
import math

import numpy as np

from ddrm_edu import Dense, check_operator
from ddrm_edu.checks.report import Finding, Power, Report

RNG = np.random.default_rng(11)
H = RNG.standard_normal((4, 3)) @ RNG.standard_normal((3, 6))  # wide and of rank 3, s all distinct


def test_the_report_tells_every_claim_and_counts_them():
    report = check_operator(Dense(H), H)
    lines = str(report).splitlines()
    assert lines[0] == "Operator Dense((6,) -> (4,), rank 3)"
    assert [line.split()[0] for line in lines[1:-1]] == ["ok"] * len(report.asked)
    assert lines[-1] == f"{len(report.asked)} of {len(report.asked)} claims hold."


POWER = Power(100, 3, 1e-6, 0.5, math.nan, 0.25)
HOLDS = Finding.measured("right", 1e-17, 1e-16, "found", "cause", "fix", within="to rounding")
PLAIN = Finding.measured("edge", 2e-7, 2e-7, within="")
CHANCE = Finding.measured("drawn", 3.0, 5.0, power=POWER)
BROKEN = Finding.measured("wrong", 1.0, 0.5, "It is 3, due 2.", "A sign.", "Turn it.", power=POWER)
SILENT = Finding.measured("off", 0.125, 0.02)
NAN = Finding.measured("nothing", math.nan, 1.0)
NOTE = Finding.answered("assumed", "It is not flat.", "A cause.", remark=True)
TRUE = Finding.answered("is so")
FALSE = Finding.answered("is not so", "It is not.")
LEFT = Finding.not_asked("left out", "there is none.")
ALL = (HOLDS, PLAIN, CHANCE, BROKEN, SILENT, NAN, NOTE, TRUE, FALSE, LEFT)
REPORT = Report("Title", ALL)


def test_a_claim_holds_within_its_bound_and_keeps_what_was_found_only_if_it_is_broken():
    assert [f.holds for f in ALL] == [True] * 3 + [False] * 4 + [True] + [False] * 2
    assert [f.ok for f in ALL] == [True] * 3 + [False] * 3 + [True] * 2 + [False, True]
    assert (HOLDS.found, HOLDS.cause, HOLDS.fix) == ("", "", "")
    assert (HOLDS.within, CHANCE.power, BROKEN.power) == ("to rounding", POWER, POWER)
    assert BROKEN.sentence == "It is 3, due 2. A sign. Turn it."
    assert SILENT.sentence == "off by 0.12, due <= 2e-02."
    assert (BROKEN.error, BROKEN.bound) == (1.0, 0.5)
    assert math.isnan(FALSE.error)
    assert (TRUE.error, TRUE.bound) == (0.0, 0.0)


def test_a_report_sorts_its_findings():
    assert not REPORT.ok
    assert Report("Title", (HOLDS, NOTE, LEFT)).ok
    assert REPORT.failures == [BROKEN, SILENT, NAN, FALSE]
    assert REPORT.notes == [NOTE]
    assert REPORT.not_asked == [LEFT]
    assert REPORT.asked == list(ALL[:-1])
    assert REPORT.power == {"drawn": POWER, "wrong": POWER}


def test_the_text_of_each_kind_of_finding():
    assert str(REPORT).splitlines() == [
        "Title",
        "  ok      right  (to rounding)",
        "  ok      edge  (error <= 2e-07)",
        "  ok      drawn  (error <= 5e+00)",
        "  FAILED  wrong: It is 3, due 2. A sign. Turn it.",
        "  FAILED  off: off by 0.12, due <= 2e-02.",
        "  FAILED  nothing: off by nan, due <= 1e+00.",
        "  note    assumed: It is not flat. A cause.",
        "  ok      is so  (error <= 0e+00)",
        "  FAILED  is not so: It is not.",
        "  --      left out: there is none.",
        "4 of 9 assumptions hold.",
    ]
    assert str(Report("Title", (HOLDS, BROKEN, LEFT))).endswith("1 of 2 claims hold.")
    assert str(Report("Title", (LEFT,))).endswith("Nothing was asked.")


def test_machines_get_finite_numbers():
    told = json.loads(json.dumps(REPORT.to_dict(), allow_nan=False))
    assert (told["title"], told["ok"], len(told["findings"])) == ("Title", False, 10)
    assert told["findings"][5]["error"] is None
    power = {"draws": 100, "comparisons": 3, "false_alarm": 1e-6, "mean": 0.5, "variance": None}
    assert told["findings"][2]["power"] == power | {"correlation": 0.25}
    assert told["findings"][3]["found"] == "It is 3, due 2."
    assert told["findings"][6]["remark"] is True

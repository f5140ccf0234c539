"""The bridge from the proofs to the library: numbers computed in float64, handed to Coq.

``proofs/Bridge.v`` holds the table of slide 11 over the rational numbers and a proof that it is
the table of Proposition 3.1.  Here rational problems are drawn, a table is computed in Python, and
a Coq file is written whose theorems say that these very numbers agree with slide 11, or that they
do not.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

import torch

#: eta and sqrt(1 - eta^2), both rational.
PAIRS = [
    (Fraction(a, c), Fraction(b, c))
    for a, b, c in [(0, 1, 1), (1, 0, 1), (3, 4, 5), (4, 3, 5), (5, 12, 13), (24, 7, 25)]
]


class Problem(NamedTuple):
    """One coordinate of one step, in rational numbers; ``k`` is sqrt(1 - eta^2)."""

    s: Fraction
    sigma: Fraction
    next: Fraction
    sigma_y: Fraction
    eta: Fraction
    k: Fraction
    eta_b: Fraction

    @property
    def case(self) -> str:
        """Its row of slide 11; the boundary is case 1, but counted on its own."""
        if self.s == 0:
            return "3"
        if self.s * self.next == self.sigma_y:
            return "boundary"
        return "1" if self.s * self.next > self.sigma_y else "2"


def eta_b_star(s: Fraction, level: Fraction, sigma_y: Fraction) -> Fraction:
    """The rule of Theorem 3.2."""
    return 2 * (s * level) ** 2 / ((s * level) ** 2 + sigma_y**2)


def drawn_problems(seed: int, rounds: int = 6) -> list[Problem]:
    """Problems of every kind, ``rounds`` of each: all rows, their boundary, numbers that are 0.

    eta_b stays at most 5/4, so that a weight's rounding is that of a number of order 1.
    """
    rng = random.Random(seed)

    def number() -> Fraction:
        return Fraction(rng.randint(1, 40), rng.randint(3, 20))

    found = []
    for round_number in range(rounds):
        eta, k = PAIRS[round_number % len(PAIRS)]
        s, level, sigma_y = number(), number(), number()
        above = level + number()
        small = Fraction(rng.randint(1, 4), 5)
        tau = sigma_y / s
        rates = [Fraction(0), Fraction(1, 3), Fraction(3, 4), Fraction(1)]
        rate = rates[round_number % len(rates)]
        found += [
            # case 1: above the boundary, at eta_b*, beyond 1; on the boundary, where eta_b = 1 has
            # no variance left; without noise, and there at the last level
            Problem(s, tau + above, tau + level, sigma_y, eta, k, rate),
            Problem(s, 9 * tau, 2 * tau, sigma_y, eta, k, eta_b_star(s, 2 * tau, sigma_y) * 3 / 4),
            Problem(s, 9 * tau, 2 * tau, sigma_y, eta, k, Fraction(5, 4)),
            Problem(s, tau + above, tau, sigma_y, eta, k, rate),
            Problem(s, tau + above, tau, sigma_y, eta, k, Fraction(1)),
            Problem(s, above, level, Fraction(0), eta, k, rate),
            Problem(s, above, Fraction(0), Fraction(0), eta, k, Fraction(1)),
            # case 2: below the boundary, and at the last level
            Problem(s, tau * small + above, tau * small, sigma_y, eta, k, rate),
            Problem(s, above, Fraction(0), sigma_y, eta, k, rate),
            # case 3, with and without noise in y, and at the last level
            Problem(Fraction(0), above, level, sigma_y, eta, k, rate),
            Problem(Fraction(0), above, level, Fraction(0), eta, k, rate),
            Problem(Fraction(0), above, Fraction(0), sigma_y, eta, k, rate),
        ]
    return found


def start_problem(problem: Problem) -> Problem:
    """The start at the level ``next``: the step that comes from anywhere with eta = eta_b = 1."""
    return problem._replace(eta=Fraction(1), k=Fraction(0), eta_b=Fraction(1))


# ----------------------------------------------------------------------------- computed in Python


def computed(table: Callable, problem: Problem) -> tuple[float, float, float, float]:
    """The four coefficients of a table in float64: x0, xt, y, noise."""
    p = Problem(*map(float, problem))
    s = torch.tensor([p.s], dtype=torch.float64)
    c = table(s, p.sigma, p.next, p.sigma_y, eta=p.eta, eta_b=p.eta_b)
    x0, xt, y, noise = (float(number.reshape(())) for number in c)
    return x0, xt, y, noise


# ----------------------------------------------------------------------------- written for Coq


def _rational(number: Fraction) -> str:
    return f"({number.numerator} # {number.denominator})"


def _numbers(coefficients: tuple[float, ...]) -> str:
    """Numbers that no float is exact for (nan, inf) become a negative noise, which never agrees."""
    if not all(map(math.isfinite, coefficients)):
        coefficients = (0.0, 0.0, 0.0, -1.0)
    return f"Build_numbers {' '.join(_rational(Fraction(x)) for x in coefficients)}"


def _list(name: str, kind: str, entries: Iterable[str]) -> str:
    return f"Definition {name} : list {kind} := [\n  " + ";\n  ".join(entries) + "].\n"


AGREE = "Forall (fun x => agree (fst x) (snd x)) (combine {problems} {numbers})"


def coq_file(claims: Iterable[tuple[str, list[Problem], list[tuple], bool]]) -> str:
    """A file with one theorem for each (name, problems, numbers, whether they agree)."""
    lines = [
        "From Coq Require Import QArith List.",
        "From Ddrm Require Import Bridge.",
        "Import ListNotations.",
        "Open Scope Q_scope.\n",
    ]
    known: dict[int, str] = {}
    for count, (name, problems, numbers, agree) in enumerate(claims):
        if id(problems) not in known:
            known[id(problems)] = f"problems_{count}"
            entries = (f"Build_problem {' '.join(map(_rational, p))}" for p in problems)
            lines.append(_list(known[id(problems)], "problem", entries))
        lines.append(_list(f"numbers_{count}", "numbers", map(_numbers, numbers)))
        claim = AGREE.format(problems=known[id(problems)], numbers=f"numbers_{count}")
        lines.append(f"(* {name} *)")
        if agree:
            lines.append(f"Theorem agrees_{count} : {claim}.")
            lines.append("Proof. apply all_agree_iff; vm_compute; reflexivity. Qed.\n")
        else:
            lines.append(f"Theorem differs_{count} : ~ {claim}.")
            lines.append("Proof. apply differ; vm_compute; reflexivity. Qed.\n")
    return "\n".join(lines)

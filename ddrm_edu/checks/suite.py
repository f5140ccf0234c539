"""The whole suite for a reader's own H: its laws, its assumptions, and what DDRM does with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..schedule import NoiseSchedule, decreasing_sigmas
from ..validation import require_level
from ._laws import Law, Report
from .assumptions import ASSUMPTIONS, assumptions
from .operators import OPERATOR_LAWS, TRUTH, check_operator
from .own import MEMORY_LIMIT, OwnH, own
from .restoring import MARGINAL, RECOVERY, SAMPLER, marginal_laws, recovery_laws, sampler_laws

__all__ = ["SECTIONS", "Reports", "Suite", "check_H"]

OTHERS = "all other laws"
TOO_LARGE = "H is too large, see the assumptions."
LINEAR_MAP = "H is a real linear map of images"
ADJOINT = "the adjoint that came with H is its transpose"

#: What each part of the suite asks, by the names of its laws, before any of them is asked.
SECTIONS: dict[str, tuple[str, ...]] = {
    "operator": (LINEAR_MAP, *OPERATOR_LAWS, ADJOINT),
    "assumptions": ASSUMPTIONS,
    "marginals": MARGINAL,
    "sampler": SAMPLER,
    "recovery": RECOVERY,
}


def check_H(
    H: Any,
    *,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    truth: Any = None,
    sigma_y: float = 0.05,
    sigmas: Any = None,
    rtol: float | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> Reports:
    r"""Test everything that DDRM needs of your own H, and everything that it does with it.

    Five reports: the laws of the operator (:func:`check_operator`); what the lecture takes for
    granted and does not hold here, which is no error (S11.1 with erratum E5, X12); Proposition 3.1
    on the spectrum of H (S12.1); the exact law of the real sampler with a Gaussian prior (S18.1);
    and images measured without noise and restored (S17.3, X06).

    Parameters
    ----------
    H : matrix, SVDOperator, LinearOperator, function, pair of functions, or maker of one
        A matrix (numpy, torch, scipy.sparse, nested lists) acts on images flattened row by row.  A
        function maps batches of images, torch or numpy, ``(batch, *in_shape)``; a pair holds it and
        its adjoint.  A function (or class) without arguments is called and makes one of these.
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and one y; needed for functions, by default vectors for matrices.
    truth : matrix or function, optional
        H built another way, to compare an SVDOperator with; without it, the operator can be a
        perfect SVD of the wrong matrix.
    sigma_y : float
        Standard deviation of the noise in y.
    sigmas : array, optional
        Levels that end in 0; by default 20 steps of the cosine schedule, those of the shipped
        networks.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0.
    memory_limit : float
        Bytes that a dense decomposition may take.

    Returns
    -------
    Reports
        ``print`` them, or ask ``reports.ok``.  Up to n = 256 nothing is left to chance; up to
        n = 1,024 the covariance of the sampler is judged from draws; beyond, what would take long
        is not asked and the reason is given.

    Raises
    ------
    ValueError
        If H is of no form that can be tested, or a number is out of range.

    Examples
    --------
    >>> def differences(x):
    ...     return x[..., 1:] - x[..., :-1]
    >>> reports = check_H(differences, in_shape=(1, 4, 4), sigma_y=0.1)
    >>> reports.ok
    True
    >>> check_H(abs, in_shape=(3,)).failures[0].name
    'H is a real linear map of images'
    """
    mine = own(H, in_shape, out_shape, truth=truth, rtol=rtol, memory_limit=memory_limit)
    suite = Suite(mine, sigma_y=sigma_y, sigmas=sigmas)
    return Reports(mine.title, tuple(map(suite.report, SECTIONS)))


@dataclass(frozen=True)
class Reports:
    """Several reports about one thing; ``print`` them, or ask ``ok``."""

    title: str
    reports: tuple[Report, ...]

    @property
    def ok(self) -> bool:
        """True if every law of every report holds."""
        return all(report.ok for report in self.reports)

    @property
    def failures(self) -> list[Law]:
        """The laws that do not hold."""
        return [law for report in self.reports for law in report.failures]

    @property
    def examined(self) -> bool:
        """False if H was too large for its SVD, so that no law of an operator was asked."""
        return any(law.name in OPERATOR_LAWS for law in self.reports[0].laws)

    def __iter__(self) -> Iterator[Report]:
        return iter(self.reports)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.reports))


class Suite:
    """The reports about one H, each made when it is first asked for."""

    def __init__(self, mine: OwnH, *, sigma_y: float = 0.05, sigmas: Any = None):
        self.mine = mine
        self._sigma_y = require_level(sigma_y, "sigma_y")
        levels = NoiseSchedule.cosine().sigmas(20) if sigmas is None else sigmas
        self._sigmas = decreasing_sigmas(levels)
        self._reports: dict[str, Report] = {}

    def report(self, section: str) -> Report:
        """The report of one of ``SECTIONS``."""
        if section not in self._reports:
            make = self._operator if section == "operator" else lambda: self._collected(section)
            self._reports[section] = make()
        return self._reports[section]

    def _answers(self, section: str) -> Iterator[Law | str]:
        op, sigmas, sigma_y = self.mine.op, self._sigmas, self._sigma_y
        if section == "assumptions":
            return assumptions(self.mine, sigmas, sigma_y)
        if section == "marginals":
            return marginal_laws(op, sigmas, sigma_y)
        if section == "sampler":
            return sampler_laws(op, sigmas, sigma_y)
        return recovery_laws(op, sigmas)

    def _operator(self) -> Report:
        mine, linear = self.mine, Law(LINEAR_MAP, 0.0, 0.0, "", within=self.mine.title)
        if mine.refused:
            linear = replace(linear, error=float("nan"), found=mine.refused)
        if mine.op is None:
            reason = f"{OTHERS}: {self._why_not('marginals')}"
            return Report(f"Operator {mine.title}", (linear,), (reason,))
        report = check_operator(mine.op, mine.truth)
        laws, not_asked = (linear, *report.laws), report.not_asked
        if mine.truth is None:
            not_asked += (f"{TRUTH}: H was not given a second time, as truth.",)
        if mine.adjoint is not None:
            laws += (_adjoint_law(mine),)
        return Report(report.title, laws, not_asked)

    def _collected(self, section: str) -> Report:
        title, reason = section.capitalize(), self._why_not(section)
        try:
            answers = [] if reason else list(self._answers(section))
        except Exception as raised:  # a broken operator may raise anything
            text = " ".join(str(raised).split()).rstrip(".")
            answers, reason = [], f"it raised {type(raised).__name__}: {text}."
        laws = tuple(answer for answer in answers if isinstance(answer, Law))
        not_asked = [
            f"{name}: {answer}"
            for name, answer in zip(SECTIONS[section], answers, strict=False)
            if isinstance(answer, str)
        ]
        if len(answers) < len(SECTIONS[section]):
            not_asked.append(f"{OTHERS}: {reason or TOO_LARGE}")
        return Report(title, laws, tuple(not_asked))

    def _why_not(self, section: str) -> str:
        """Why nothing of a section can be asked."""
        if self.mine.refused:
            return "they wait for an H that is a linear map."
        if section == "assumptions":
            return ""
        if self.mine.op is None:
            return TOO_LARGE
        if any(law.name != ADJOINT for law in self.report("operator").failures):
            return "they wait for the laws of the operator."
        return ""


def _adjoint_law(mine: OwnH) -> Law:
    generator = torch.Generator().manual_seed(5)
    y = torch.randn((3, *mine.op.out_shape), generator=generator, dtype=torch.float64)
    got, due = mine.adjoint(y), mine.op.adjoint(y)
    size = float(due.abs().max()) or 1.0
    bound = 1e-10 if mine.eps < 1e-12 else 1000 * mine.eps * mine.op.n**0.5
    advice = (
        "DDRM does not use it, but whoever does gets another gradient. The dot test is <H x, y> = "
        "<x, H^T y>: look for a mean in the place of a sum, and a kernel that must be flipped."
    )
    scale = float((got * due).sum() / (due * due).sum()) if due.any() else 1.0
    found = ""
    if scale and float((got / scale - due).abs().max()) <= bound * size:
        found = f"it is {scale:.6g} times the transpose."
    error = float((got - due).abs().max()) / size
    return Law(ADJOINT, error, bound, advice, found if error > bound else "")

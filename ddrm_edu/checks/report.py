"""What a check found: a finding for each claim, and the report that lists them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Status = Literal["holds", "broken", "not asked"]


class Power(NamedTuple):
    """How often a claim that is judged by chance errs, either way.

    A true claim fails with a probability of at most ``false_alarm``.  What is off by one of the
    other numbers, or by more, is found with a probability of at least 95 %; infinite where
    none is claimed, so that no error would be found.
    """

    draws: int  #: independent ones
    comparisons: int  #: that share the false alarm
    false_alarm: float
    mean: float  #: of one entry, in its standard deviations
    variance: float  #: of one entry, as a share of it
    correlation: float  #: of two entries that are claimed to be uncorrelated, or of two draws

    def _ipython_display_(self) -> None:
        """Nothing: as the last line of a cell a check shows what it printed, and no more."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one claim.

    Made by :meth:`measured`, :meth:`answered` or :meth:`not_asked`, which set the status.
    """

    name: str  #: what is claimed
    status: Status
    error: float = 0.0  #: largest deviation found; NaN where nothing could be compared
    bound: float = 0.0  #: largest deviation that rounding or chance explains
    found: str = ""  #: where it is broken, what was found and what was due; or why it was not asked
    cause: str = ""  #: the likely cause
    fix: str = ""  #: what to do about it
    within: str = ""  #: the bound in words, if it is not one on the rounding error
    power: Power | None = field(default=None, kw_only=True)  #: of a claim that is judged by chance
    remark: bool = field(
        default=False, kw_only=True
    )  #: an assumption: that it does not hold is told, and is no error

    @classmethod
    def measured(cls, name: str, error: float, bound: float, *told: str, **more: Any) -> Finding:
        """A claim about numbers, which holds if ``error <= bound`` (a NaN is not).

        What is ``told`` (found, cause, fix) is kept of a claim that is broken only.
        """
        status: Status = "broken"
        if error <= bound:
            status, told = "holds", ()
            more = {key: more[key] for key in ("within", "power", "remark") if key in more}
        return cls(name, status, float(error), float(bound), *told, **more)

    @classmethod
    def answered(cls, name: str, fault: str = "", *told: str, **more: Any) -> Finding:
        """A claim that is true or not: broken if ``fault`` says what is wrong."""
        return cls.measured(name, math.nan if fault else 0.0, 0.0, fault, *told, **more)

    @classmethod
    def not_asked(cls, name: str, reason: str) -> Finding:
        """A claim that could not be put to the test."""
        return cls(name, "not asked", found=reason)

    @property
    def holds(self) -> bool:
        """True if it was asked and is so."""
        return self.status == "holds"

    @property
    def ok(self) -> bool:
        """True unless it is broken and had to hold."""
        return self.status != "broken" or self.remark

    @property
    def sentence(self) -> str:
        """What was found, the likely cause and the fix."""
        found = self.found or f"off by {self.error:.2g}, due <= {self.bound:.0e}."
        return " ".join(filter(None, (found, self.cause, self.fix)))

    def __str__(self) -> str:
        if self.status == "holds":
            return f"ok      {self.name}  ({self.within or f'error <= {self.bound:.0e}'})"
        if self.status == "not asked":
            return f"--      {self.name}: {self.found}"
        return f"{'note  ' if self.remark else 'FAILED'}  {self.name}: {self.sentence}"


@dataclass(frozen=True)
class Report:
    """What a check found, claim by claim; ``print`` it, or ask ``report.ok``."""

    title: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if nothing that had to hold is broken."""
        return all(finding.ok for finding in self.findings)

    @property
    def failures(self) -> list[Finding]:
        """What is broken and had to hold."""
        return [finding for finding in self.findings if not finding.ok]

    @property
    def notes(self) -> list[Finding]:
        """The assumptions that do not hold, which is no error."""
        return [finding for finding in self.findings if finding.ok and finding.status == "broken"]

    @property
    def not_asked(self) -> list[Finding]:
        """What could not be put to the test, each with its reason."""
        return [finding for finding in self.findings if finding.status == "not asked"]

    @property
    def asked(self) -> list[Finding]:
        """What was put to the test."""
        return [finding for finding in self.findings if finding.status != "not asked"]

    @property
    def power(self) -> dict[str, Power]:
        """Of each claim that was judged by chance: false alarm, and the least that is found."""
        return {finding.name: finding.power for finding in self.asked if finding.power}

    def to_dict(self) -> dict[str, Any]:
        """The same for machines: strings, lists and finite numbers (None in place of others)."""

        def finite(value: Any) -> Any:
            if isinstance(value, Power):
                return {key: finite(number) for key, number in value._asdict().items()}
            return value if not isinstance(value, float) or math.isfinite(value) else None

        findings = [
            {key.name: finite(getattr(finding, key.name)) for key in dataclasses.fields(finding)}
            for finding in self.findings
        ]
        return {"title": self.title, "ok": self.ok, "findings": findings}

    def __str__(self) -> str:
        asked = self.asked
        held = sum(finding.holds for finding in asked)
        what = "assumptions" if any(finding.remark for finding in asked) else "claims"
        count = f"{held} of {len(asked)} {what} hold." if asked else "Nothing was asked."
        return "\n".join([self.title, *(f"  {finding}" for finding in self.findings), count])

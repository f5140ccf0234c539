"""What a check found: one sentence for each law."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Law", "Report"]


@dataclass(frozen=True)
class Law:
    """One law of a contract, and how far the thing under test is from it."""

    name: str
    error: float  #: largest deviation found, relative to the size of what is compared
    bound: float  #: largest deviation that rounding or chance explains
    advice: str  #: likely cause and fix, for the case that it fails
    found: str = ""  #: where it is broken, what was found and what was due, in words
    within: str = ""  #: the bound in words, if it is not one on the rounding error
    remark: bool = False  #: no law but an assumption: it is told if it fails, as no error

    @property
    def holds(self) -> bool:
        """True if the deviation is within its bound (a NaN is not)."""
        return self.error <= self.bound

    @property
    def ok(self) -> bool:
        """True if it holds, or need not."""
        return self.holds or self.remark

    @property
    def sentence(self) -> str:
        """What was found, the likely cause and the fix."""
        found = self.found or f"off by {self.error:.2g}, due <= {self.bound:.0e}."
        return f"{found} {self.advice}".rstrip()

    def __str__(self) -> str:
        if self.holds:
            return f"ok      {self.name}  ({self.within or f'error <= {self.bound:.0e}'})"
        return f"{'note  ' if self.remark else 'FAILED'}  {self.name}: {self.sentence}"


@dataclass(frozen=True)
class Report:
    """What a check found, law by law; ``print`` it, or ask ``report.ok``."""

    title: str
    laws: tuple[Law, ...]
    not_asked: tuple[str, ...] = ()  #: laws that could not be put to the test, and why

    @property
    def ok(self) -> bool:
        """True if every law holds."""
        return all(law.ok for law in self.laws)

    @property
    def failures(self) -> list[Law]:
        """The laws that do not hold."""
        return [law for law in self.laws if not law.ok]

    @property
    def notes(self) -> list[Law]:
        """The assumptions that do not hold, which is no error."""
        return [law for law in self.laws if law.ok and not law.holds]

    def __str__(self) -> str:
        held = len(self.laws) - len(self.failures) - len(self.notes)
        what = "assumptions" if any(law.remark for law in self.laws) else "laws"
        return "\n".join(
            [
                self.title,
                *(f"  {law}" for law in self.laws),
                *(f"  --      {reason}" for reason in self.not_asked),
                f"{held} of {len(self.laws)} {what} hold." if self.laws else "Nothing was asked.",
            ]
        )

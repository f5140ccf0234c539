"""Executable checks of the lecture's claims, for lectures, tests and students alike."""

from .operators import check_operator
from .report import Law, Report
from .values import check

__all__ = ["Law", "Report", "check", "check_operator"]

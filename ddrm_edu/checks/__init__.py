"""Executable checks of the lecture's claims, for lectures, tests and students alike."""

from .operators import check_operator
from .report import Law, Report
from .samplers import check_sampler
from .values import check, check_mc

__all__ = ["Law", "Report", "check", "check_mc", "check_operator", "check_sampler"]

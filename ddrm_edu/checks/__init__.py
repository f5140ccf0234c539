"""Executable checks of the lecture's claims, for lectures, tests and students alike."""

from ._laws import Law, Report
from .operators import check_operator
from .samplers import check_sampler
from .suite import Reports, check_H
from .values import check, check_mc

__all__ = [
    "Law",
    "Report",
    "Reports",
    "check",
    "check_H",
    "check_mc",
    "check_operator",
    "check_sampler",
]

"""Executable checks of the lecture's claims, for lectures, tests and students alike."""

from ._laws import Law, Report
from .operators import check_operator
from .runs import sampler_of, schedule_of, svd_of
from .sampler import check_sampler
from .scores import check, check_mc
from .suite import Reports, check_H

__all__ = [
    "Law",
    "Report",
    "Reports",
    "check",
    "check_H",
    "check_mc",
    "check_operator",
    "check_sampler",
    "sampler_of",
    "schedule_of",
    "svd_of",
]

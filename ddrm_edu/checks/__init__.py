"""Executable checks of the lecture's claims, for lectures, tests and students alike."""

from .calibration import check_calibration
from .operator import check_operator
from .own_h import Reports, check_H
from .report import Finding, Power, Report
from .runs import sampler_of, svd_of
from .sampler import check_sampler
from .scores import check, check_mc

__all__ = [
    "Finding",
    "Power",
    "Report",
    "Reports",
    "check",
    "check_H",
    "check_calibration",
    "check_mc",
    "check_operator",
    "check_sampler",
    "sampler_of",
    "svd_of",
]

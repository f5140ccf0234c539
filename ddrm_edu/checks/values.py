"""Numbers against numbers: exact ones to rounding, random ones by their standard errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["check"]


def check(name: str, got: Any, want: Any, *, atol: float) -> None:
    """Compare two arrays and print the bound, or fail.

    It prints the bound and not the error, so that the text of a lecture is the same on every
    machine and a changed result is noticed.

    Parameters
    ----------
    name : str
        What is claimed.
    got, want : arrays of one shape, or numbers
    atol : float
        Largest admissible difference of any entry.

    Raises
    ------
    AssertionError
        If an entry differs by more than ``atol`` or is not a number; the message gives the largest
        difference and where it is.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> check("3 times 0.1 is 0.3", 3 * 0.1, 0.3, atol=1e-12)
    ok  3 times 0.1 is 0.3    max|diff| <= 1e-12
    """
    got, want = (torch.as_tensor(value, dtype=torch.float64) for value in (got, want))
    if got.shape != want.shape and want.ndim:
        raise ValueError(
            f"{name}: the two sides must have one shape, but have {tuple(got.shape)} and "
            f"{tuple(want.shape)}."
        )
    difference = (got - want).abs().nan_to_num(nan=float("inf"))
    worst = float(difference.max())
    if worst > atol:
        flat = int(difference.argmax())
        pair = [float(value.expand(got.shape).flatten()[flat]) for value in (got, want)]
        raise AssertionError(
            f"{name}: expected {pair[1]:.6g} but got {pair[0]:.6g} at flat index {flat}; "
            f"max|diff| = {worst:.3g}, allowed {atol:.0e}"
        )
    print(f"ok  {name}    max|diff| <= {atol:.0e}")

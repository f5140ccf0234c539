"""Many comparisons, one law: the worst of them decides and is put into words."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from ._laws import Law
from .values import FALSE_ALARM

__all__ = ["Chance", "Exact"]


class Exact:
    """Differences that must be rounding; remembers the one that is largest for its bound."""

    def __init__(self):
        self.ratio, self.error, self.bound, self.largest, self.found = -1.0, 0.0, 0.0, 0.0, ""

    def add(self, differences: Tensor, bound: float, describe: Callable[[int], str]) -> None:
        """``describe(i)`` is the sentence about entry i of the flattened differences."""
        if not differences.numel():
            return
        worst, i = differences.flatten().abs().nan_to_num(nan=math.inf).max(0)
        self.largest = max(self.largest, bound)
        if worst.item() / bound > self.ratio:
            self.ratio, self.error, self.bound = worst.item() / bound, worst.item(), bound
            self.found = describe(int(i)) if worst > bound else ""

    def law(self, name: str, advice: str) -> Law:
        # Which of many rounding errors is the worst depends on the CPU; what is printed must not.
        bound = self.bound if self.ratio > 1 else self.largest
        return Law(name, self.error, bound, advice, self.found)


class Chance:
    """z-scores that must be standard normal; remembers the largest and how many there were."""

    # Five laws judge by chance; the sixth share covers the one score that is normal only in the
    # limit, the shape of the noise.
    SHARE = FALSE_ALARM / 6

    def __init__(self, draws: int):
        self.draws, self.count, self.worst, self.describe = draws, 0, -1.0, None

    def add(self, z: Tensor, describe: Callable[[int], str]) -> None:
        """``describe(i)`` is the sentence about entry i of the flattened scores."""
        if not z.numel():
            return
        self.count += z.numel()
        worst, i = z.flatten().abs().nan_to_num(nan=math.inf).max(0)
        if worst > self.worst:
            self.worst, self.describe, self.entry = worst.item(), describe, int(i)

    def law(self, name: str, advice: str) -> Law:
        from scipy.stats import norm

        bound = float(norm.isf(self.SHARE / (2 * max(self.count, 1))))
        within = f"N = {self.draws:,}, every |z| <= {bound:.1f}"
        found = ""
        if not self.worst <= bound:
            found = f"{self.describe(self.entry)} (|z| = {self.worst:.0f}, due <= {bound:.1f})."
        return Law(name, max(self.worst, 0.0), bound, advice, found, within)

"""The problems on which a sampler is tested: generic numbers, so that no mistake cancels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..operators import SVDOperator
from .calling import Setting, Subject, schedule_of

__all__ = ["boundary_level", "boundary_setting", "generic_settings"]

# (s, m, levels, sigma_y, eta, eta_b): in each, all coordinates with s > 0 pass from case 1 to case
# 2, but for one that is so weak that it starts unobserved (ledger X12).
_GENERIC = [
    ([1.7, 0.8, 0.8, 0.31, 0.06, 0, 0], 5, [9, 3.4, 3.1, 0.85, 0.3, 0.07, 0], 0.31, 0.6, 0.7),
    ([2.3, 0.9, 0.9, 0.4, 0.02, 7e-4], 9, [20, 5.5, 1.9, 0.4, 0.09, 0.02, 0], 0.05, 0.35, 0.9),
    ([0, 1.1, 0, 0.13, 0.5, 0], 6, [12, 4, 1.7, 0.5, 0.15, 0], 0.2, 0.0, 0.55),
]


class Factors(SVDOperator):
    """The operator of given factors: unlike a computed SVD, s is exact to the last bit."""

    def __init__(self, s: list[float], m: int, generator: torch.Generator):
        n = len(s)
        self.in_shape, self.out_shape = (n,), (m,)
        self.s = torch.tensor(s, dtype=torch.float64)
        self._V = _orthogonal(n, generator)
        self._U = torch.zeros(m, n, dtype=torch.float64)
        seen = self.s > 0
        self._U[:, seen] = _orthogonal(m, generator)[:, : int(seen.sum())]

    def V(self, x: Tensor) -> Tensor:
        return x @ self._V.T.to(x)

    def Vt(self, x: Tensor) -> Tensor:
        return x @ self._V.to(x)

    def U(self, x: Tensor) -> Tensor:
        return x @ self._U.T.to(x)

    def Ut(self, y: Tensor) -> Tensor:
        return y @ self._U.to(y)


def _orthogonal(n: int, generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q


def generic_settings(
    subject: Subject, fixed: dict[str, Any], generator: torch.Generator
) -> list[Setting]:
    """The generic problems, with what the caller fixed in place of their own."""
    settings = []
    for s, m, levels, *numbers in _GENERIC:
        own = dict(zip(("sigma_y", "eta", "eta_b"), numbers, strict=True))
        own |= {"op": Factors(s, m, generator), "sigmas": torch.tensor(levels, dtype=torch.float64)}
        chosen = own | {what: value for what, value in fixed.items() if value is not None}
        if "schedule" in subject.names:  # its levels are those of beta, which rounds
            chosen["sigmas"] = schedule_of(chosen["sigmas"]).sigmas(len(chosen["sigmas"]) - 1)
        if fixed["sigma_y"] is None and (fixed["op"] is not None or fixed["sigmas"] is not None):
            chosen["sigma_y"] = telling_sigma_y(chosen["op"], chosen["sigmas"])
        settings.append(Setting(**chosen))
        _ = settings[-1].coefficients  # an eta_b out of range is refused now, in a sentence
    return settings


def telling_sigma_y(op: SVDOperator, sigmas: Tensor) -> float:
    """Noise for which the median singular value passes from case 1 to case 2 in mid-run."""
    s, positive = op.s[op.s > 0].double(), sigmas[sigmas > 0]
    middle = len(positive) // 2
    level = (positive[max(middle - 1, 0)] * positive[middle]).sqrt()
    return float(s.median() * level) if len(s) else float(level)


def boundary_setting(first: Setting, generator: torch.Generator) -> Setting:
    """s sigma_next == sigma_y exactly at one level, for coordinate 0; 1 is above and 2 below it."""
    level = first.sigmas[boundary_level(first)].item()
    s = [0.25, 0.25 * (1 + 1e-6), 0.25 * (1 - 1e-6), 2.0, 0.0, 0.5]
    return Setting(Factors(s, 6, generator), first.sigmas, 0.25 * level, first.eta, 1.0)


def boundary_level(setting: Setting) -> int:
    return max(1, (setting.T - 1) // 2)

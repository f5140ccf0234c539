"""What the lecture takes for granted about H, and what to do where it does not hold.

None of it is an error: DDRM runs, and its laws hold, but what it does is not what one may expect.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ._laws import Law
from .own import OwnH
from .trial import EPS, Trial

__all__ = ["ASSUMPTIONS", "assumptions"]

SIZE = "H is small enough for a dense decomposition"
LINEAR = "H is linear in double precision"
LOSES = "H measures something and loses something"
START = "every measured coordinate starts at y_spec: sigma_T >= sigma_y / s"
CUT = "no singular value lies near the rank cut"
CONDITION = "H is well conditioned"
ASSUMPTIONS = (SIZE, LINEAR, LOSES, START, CUT, CONDITION)

LARGEST_MATRIX = 1024  # entries of an image up to which the cut singular values are computed again


def assumptions(own: OwnH, sigmas: Tensor, sigma_y: float) -> Iterator[Law | str]:
    """One law for each name of ``ASSUMPTIONS``, or why it was not asked."""
    yield _remark(SIZE, own.too_large, within="or of a structure that needs none")
    if own.op is None:
        return
    s = own.op.s.detach().double().cpu().expand(own.op.in_shape).flatten()
    yield _linear(own)
    yield _loses(s)
    yield _start(s, float(sigmas[0]), sigma_y)
    yield _cut(own, s)
    yield _condition(s, sigma_y)


def _remark(name: str, found: str, advice: str = "", within: str = "") -> Law:
    return Law(name, float(bool(found)), 0.5, advice, found, within, remark=True)


def _linear(own: OwnH) -> Law:
    name = LINEAR
    if own.eps > EPS:
        found = f"H returns numbers with a rounding unit of {own.eps:.0e} (float32)."
        advice = (
            "Everything below that counts as 0, small singular values included. Compute in "
            "float64 if they matter."
        )
        return _remark(name, found, advice)
    if own.nonlinearity > 1e4 * EPS:
        found = f"It is linear up to {own.nonlinearity:.0e} only."
        advice = (
            "Rounding in between (float32, 8-bit)? Singular values below ten times that count as 0."
        )
        return _remark(name, found, advice)
    return _remark(name, "", within=f"to {1e4 * EPS:.0e}")


def _loses(s: Tensor) -> Law:
    rank, n = int((s > 0).sum()), len(s)
    found = advice = ""
    if rank == 0:
        found, advice = "H is 0.", "Then y says nothing, and every image is a draw from the prior."
    elif rank == n:
        found = f"All {n} coordinates are measured."
        advice = (
            "Without noise H^+ y is the image itself, no diffusion model needed; with noise DDRM "
            "denoises."
        )
    return _remark(LOSES, found, advice, f"rank {rank} of n = {n}")


def _start(s: Tensor, sigma_T: float, sigma_y: float) -> Law:
    """E5, X12."""
    late = (s > 0) & (s * sigma_T < sigma_y)
    found = ""
    if late.any():
        found = (
            f"Of {int((s > 0).sum())} measured coordinates {int(late.sum())} have sigma_y / s > "
            f"sigma_T = {sigma_T:.4g} (s from {s[late].min():.2g} to {s[late].max():.2g})."
        )
    advice = (
        "The slides leave this out (E5). DDRM starts them as if they were not measured (X12) and "
        f"uses y later, weakly; from the start with a schedule up to {_needed(s, sigma_y):.3g}."
    )
    return _remark(START, found, advice, f"sigma_T = {sigma_T:.4g}, sigma_y = {sigma_y:.4g}")


def _needed(s: Tensor, sigma_y: float) -> float:
    """The first level at which even the weakest coordinate starts at y_spec."""
    return sigma_y / float(s[s > 0].min()) if (s > 0).any() else 0.0


def _cut(own: OwnH, s: Tensor) -> Law | str:
    """What a decomposition set to 0, and how clear a cut that was."""
    op = own.op
    if own.truth is None:
        return "the truth was not given, so that nobody knows what was cut."
    if max(op.n, op.m) > LARGEST_MATRIX:
        return f"it needs all singular values of a matrix of more than {LARGEST_MATRIX} rows."
    unit = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    values = torch.linalg.svdvals(Trial(op, own.truth, 0).truth(unit).flatten(1))
    rank = int((s > 0).sum())
    kept, cut = values[:rank], values[rank:]
    if not rank or not len(cut):
        return _remark(CUT, "", within="none was cut")
    smallest, largest = float(kept[-1]), float(cut[0])
    gap = smallest / largest if largest else float("inf")
    told = (
        f"{len(cut)} of {len(values)} singular values were set to 0, the largest of them "
        f"{largest:.1e}; the smallest that was kept is {smallest:.1e}"
    )
    if gap >= 1e3:
        return _remark(CUT, "", within=told)
    advice = (
        "Between the two there is no gap, so the rank is a matter of taste: choose rtol where "
        "sigma_y / s is still an acceptable error."
    )
    return _remark(CUT, f"{told}.", advice)


def _condition(s: Tensor, sigma_y: float) -> Law:
    positive = s[s > 0]
    if not len(positive):
        return _remark(CONDITION, "", within="nothing is measured")
    low, high = float(positive.min()), float(positive.max())
    if high / low <= 1e4:
        return _remark(CONDITION, "", within=f"s from {low:.3g} to {high:.3g}")
    drowned = int((sigma_y > positive).sum())
    found = f"The singular values run from {low:.2g} to {high:.2g}, a ratio of {high / low:.1e}."
    advice = (
        "H^+ multiplies what y is off by as much, the rounding of float32 included. "
        f"With this sigma_y the noise sigma_y / s exceeds 1, the size of an image, in {drowned} "
        "coordinates: there DDRM listens to the prior; a larger rtol treats them as lost."
    )
    return _remark(CONDITION, found, advice)

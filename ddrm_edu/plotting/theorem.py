"""The induction of slides 13-16 and the variances that add up (lecture 07)."""

from __future__ import annotations

__all__: list[str] = []

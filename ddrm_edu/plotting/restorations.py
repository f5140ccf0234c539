"""Sweeps, spreads and failures of restorations (lecture 10)."""

from __future__ import annotations

__all__: list[str] = []

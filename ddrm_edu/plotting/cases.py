"""The three cases of slide 11 (lecture 06)."""

from __future__ import annotations

__all__: list[str] = []

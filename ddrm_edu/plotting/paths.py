"""Paths of coordinates through the reverse process (lecture 08)."""

from __future__ import annotations

__all__: list[str] = []

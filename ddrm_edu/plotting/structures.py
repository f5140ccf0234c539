"""Operators without matrices: their structure, memory and time (lecture 09)."""

from __future__ import annotations

__all__: list[str] = []

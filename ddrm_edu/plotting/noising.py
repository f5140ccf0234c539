"""Adding noise: schedules, density strips, images through time (lecture 02)."""

from __future__ import annotations

__all__: list[str] = []

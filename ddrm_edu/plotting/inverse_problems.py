"""Linear inverse problems: null space, posterior, Langevin dynamics (lecture 01)."""

from __future__ import annotations

__all__: list[str] = []

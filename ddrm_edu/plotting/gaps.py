"""What a sampler really samples: its distance from the posterior (lecture 11)."""

from __future__ import annotations

__all__: list[str] = []

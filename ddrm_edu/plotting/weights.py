"""What a network predicts, the weights of its loss, and the law of DDPM samples (lecture 04)."""

from __future__ import annotations

__all__: list[str] = []

"""Removing noise: reverse kernels, the terms of the ELBO (lecture 03)."""

from __future__ import annotations

__all__: list[str] = []

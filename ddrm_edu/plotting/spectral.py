"""The change of coordinates: singular vectors as images, spectra (lecture 05)."""

from __future__ import annotations

__all__: list[str] = []

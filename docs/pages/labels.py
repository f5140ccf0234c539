"""IDs of the ledger in a text, and the anchors of their entries; needs no Sphinx."""

from __future__ import annotations

import re

ID = re.compile(r"(?<![\w.])([SXGYE]\d+(?:\.\d)?)(?!\w|\.\d)")


def label(id: str) -> str:
    """Anchor of an entry."""
    return f"ledger-{id.lower().replace('.', '-')}"

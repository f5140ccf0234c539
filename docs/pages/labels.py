"""IDs of the ledger in a text, and the anchors of entries and slides; needs no Sphinx."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ledger.registry import IDS

ID = re.compile(r"(?<![\w.])([SXGYE]\d+(?:\.\d)?)(?!\w|\.\d)")


def label(id: str) -> str:
    """Anchor of an entry."""
    return f"ledger-{id.lower().replace('.', '-')}"


def slide(number: int, page: str = "our-words") -> str:
    """Anchor of a slide: of what it states in our words, or of its part of the ledger."""
    return f"slide-{number}-{page}"


def statements(text: str) -> list[str]:
    """The IDs of the ledger that a text names, in the order of the ledger."""
    named = set(ID.findall(text))
    return [id for id in IDS if id in named]


def entries(ids: Iterable[str]) -> str:
    """Links to the entries of the ledger."""
    return ", ".join(f"[{id}](#{label(id)})" for id in ids)

"""Which statements of the ledger have a proof that Coq's kernel has checked.

Names and IDs are read from the comments of proofs/*.v; no Coq is needed for it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "scripts" / "proofs.py"


def first_theorems() -> dict[str, Any]:
    """The first theorem about each ID, the whole before a part: its ``name``, ``file`` ..."""
    spec = importlib.util.spec_from_file_location("proofs_script", SCRIPT)
    proofs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(proofs)
    found: dict[str, Any] = {}
    for theorem in sorted(proofs.theorems(), key=proofs.about_a_part):
        for id in theorem.ids:
            found.setdefault(id, theorem)
    return found

"""What an item of the ledger is, and the list of IDs that must have one.

An item is a *law*: a function that takes a formula and returns how far it is from the truth.  It
must find the right version exact and every wrong one clearly off, so that no item can pass by not
looking.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CAUGHT = 1e-3  # a wrong version is off by at least this, in units of what is compared

#: How many numbered statements each slide makes (slide 24 shows pictures only).
STATEMENTS = {2: 5, 3: 3, 4: 3, 5: 5, 6: 7, 7: 1, 8: 3, 9: 7, 10: 3, 11: 7, 12: 2, 13: 4}
STATEMENTS |= {14: 1, 15: 1, 16: 1, 17: 3, 18: 2, 19: 3, 20: 3, 21: 1, 22: 3, 23: 3}

#: S = slide.statement, X = beyond the slides, G = linear-Gaussian theory, E = erratum,
#: Y = denoisers that see y, and restoration methods with a step of their own.
IDS = [f"S{slide:02d}.{k}" for slide, last in STATEMENTS.items() for k in range(1, last + 1)]
IDS += ["S24", *[f"X{k:02d}" for k in range(1, 17)]]
IDS += [f"G{k:02d}" for k in range(1, 18)]
IDS += [f"Y{k:02d}" for k in range(1, 16)]
IDS += [f"E{k}" for k in range(1, 21)]

#: Errata in which the slide is right after all: their laws stay, as remarks.
WITHDRAWN = ("E9", "E16")

MODULES = ["slides_02_04", "slides_05_07", "slides_08_10", "slides_11_16", "slides_17_19"]
MODULES += ["slides_20_24", "theorem_3_2", "beyond", "gaussian_theory", "sees_y", "own_steps"]


class Item(NamedTuple):
    """One statement, the law that decides it, and versions of it."""

    id: str
    statement: str
    law: Callable[[Any], float]
    right: Any
    wrong: Mapping[str, Any]
    bound: float

    def error(self) -> float:
        """How far the right version is from the truth."""
        return float(self.law(self.right))

    def errors_of_wrong_versions(self) -> dict[str, float]:
        """How far each wrong version is from it."""
        return {name: float(self.law(version)) for name, version in self.wrong.items()}

    @property
    def where(self) -> str:
        """File and function that prove it."""
        code = self.law.__code__
        return f"tests/ledger/{Path(code.co_filename).name}::{self.law.__name__}"


ITEMS: list[Item] = []


def item(
    id: str, statement: str, *, right: Any, wrong: Mapping[str, Any], bound: float = 1e-10
) -> Callable[[Callable[[Any], float]], Callable[[Any], float]]:
    """Register the decorated law under an ID; decorators stack, an ID may have several laws.

    Parameters
    ----------
    id : str
        Of ``IDS``.
    statement : str
        The corrected statement in one line of plain text.
    right : formula, or whatever the law takes
        The library's own version where there is one.
    wrong : mapping from description to formula
        At least one; an erratum's first entry is "as printed", unless it was withdrawn.
    bound : float
        Largest error that rounding (or, if the law draws, the stated z-score) explains.
    """
    if id not in IDS or not wrong:
        raise ValueError(f"{id!r} must be an ID of the ledger and have at least one wrong version.")

    def register(law: Callable[[Any], float]) -> Callable[[Any], float]:
        ITEMS.append(Item(id, statement, law, right, wrong, bound))
        return law

    return register


def all_items() -> list[Item]:
    """Every item, in the order of ``IDS``."""
    for name in MODULES:
        importlib.import_module(f"ledger.{name}")
    return sorted(ITEMS, key=lambda entry: IDS.index(entry.id))

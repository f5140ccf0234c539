"""Print the ledger: every item with its error, its best-hidden wrong version and its proof."""

from __future__ import annotations

import sys
import warnings

from .registry import CAUGHT, IDS, Item, all_items

COLUMNS = "{:<6} {:<62} {:>9} {:>9}  {}"


def row(entry: Item) -> tuple[str, bool]:
    """One line of the table, and whether the item is proved and its wrong versions are rejected."""
    error, wrong = entry.error(), min(entry.errors_of_wrong_versions().values())
    ok = error <= entry.bound and wrong >= CAUGHT
    short = entry.statement if len(entry.statement) <= 62 else entry.statement[:61] + "…"
    line = COLUMNS.format(entry.id, short, f"{error:.1e}", f"{wrong:.1e}", entry.where)
    return line if ok else f"{line}  FAILED", ok


def main() -> int:
    warnings.simplefilter("error")
    print(COLUMNS.format("ID", "statement (corrected)", "error", "wrong >=", "proved in"))
    entries = all_items()
    good = 0
    for entry in entries:
        line, ok = row(entry)
        print(line, flush=True)
        good += ok
    without = [id for id in IDS if id not in {entry.id for entry in entries}]
    versions = sum(len(entry.wrong) for entry in entries)
    print(
        f"\n{good} of {len(entries)} laws hold and reject all of their {versions} wrong versions;"
    )
    print(f"{len(IDS) - len(without)} of {len(IDS)} ledger IDs have one.")
    if without:
        print(f"Without a law: {', '.join(without)}")
    return int(bool(without) or good < len(entries))


if __name__ == "__main__":
    sys.exit(main())

"""Print the ledger: every item with its error, its best-hidden wrong version and its proofs.

"kernel" names the theorem of proofs/ that Coq has checked, "proved in" the law that has just run.

``python -m ledger`` prints one line an item; ``python -m ledger E1 S06`` the items whose ID starts
so, with every wrong version and its error.
"""

from __future__ import annotations

import sys
import warnings

from .kernel import first_theorems
from .registry import CAUGHT, IDS, Item, all_items

COLUMNS = "{:<6} {:<72} {:>8} {:>8}  {:<28} {}"
KERNEL = {id: theorem.name for id, theorem in first_theorems().items()}


def lines_of(entry: Item, *, whole: bool) -> tuple[list[str], bool]:
    """Lines of the table, and whether the item is proved and its wrong versions are rejected."""
    error, wrong = entry.error(), entry.errors_of_wrong_versions()
    least = min(wrong.values())
    ok = error <= entry.bound and least >= CAUGHT
    short = entry.statement if len(entry.statement) <= 72 else entry.statement[:71] + "…"
    kernel = KERNEL.get(entry.id, "-")
    line = COLUMNS.format(entry.id, short, f"{error:.0e}", f"{least:.0e}", kernel, entry.where)
    lines = [line if ok else f"{line}  FAILED"]
    if whole:
        width = max(map(len, wrong))
        lines += [f"       {entry.statement}"] * (short != entry.statement)
        lines += [f"       wrong: {name:<{width}}  {off:.1e}" for name, off in wrong.items()]
    return lines, ok


def main(prefixes: list[str]) -> int:
    warnings.simplefilter("error")
    wanted = [id for id in IDS if not prefixes or id.startswith(tuple(prefixes))]
    if not wanted:
        print(f"No ID starts with {' or '.join(prefixes)}. They are: {', '.join(IDS)}.")
        return 2
    print(COLUMNS.format("ID", "statement, corrected", "error", "wrong >=", "kernel", "proved in"))
    entries = [entry for entry in all_items() if entry.id in wanted]
    good = 0
    for entry in entries:
        try:
            lines, ok = lines_of(entry, whole=bool(prefixes))
        except Exception as error:  # the rest of the table is worth seeing
            lines, ok = [f"{entry.id:<6} {entry.where}  FAILED, it raised: {error}"], False
        print("\n".join(lines), flush=True)
        good += ok
    without = [id for id in wanted if id not in {entry.id for entry in entries}]
    versions = sum(len(entry.wrong) for entry in entries)
    print(
        f"\n{good} of {len(entries)} laws hold and reject all of their {versions} wrong versions;"
    )
    print(f"{len(wanted) - len(without)} of {len(wanted)} ledger IDs have one.")
    if without:
        print(f"Without a law: {', '.join(without)}")
    checked = len(KERNEL.keys() & set(wanted))
    print(f"{checked} of {len(wanted)} have a proof that Coq's kernel has checked (make proofs).")
    return int(bool(without) or good < len(entries))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Bad arguments for every public callable, one at a time: is each refused in a sentence?

    .venv/bin/python scripts/fuzz.py                 # all of them, and tests/fuzz/README.md
    .venv/bin/python scripts/fuzz.py --only restore  # the targets with this in their name
    .venv/bin/python scripts/fuzz.py --seed 5 --share 0.3   # a random share, nothing is written

Good calls are those of tests/fuzz/good_calls.py, bad arguments those of kinds_of_bad.py.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz.campaign import BAD, outcomes, table  # noqa: E402
from fuzz.good_calls import GOOD  # noqa: E402

MEMORY = 6 * 2**30  # bytes of address space: what is asked for beyond that fails and is counted
PAGE = ROOT / "tests" / "fuzz" / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="targets with this in their name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds for each call")
    parser.add_argument("--status", nargs="*", default=list(BAD), help="classes to list")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    targets = [name for name in GOOD if options.only in name]
    found = []
    for each in outcomes(targets, options.seed, options.share, options.limit):
        found.append(each)
        if each.status in options.status:
            print(
                f"{each.status:12} {each.target}({each.argument} = {each.kind}): {each.told}",
                flush=True,
            )
    print(table(found))
    bad = sum(each.status in BAD for each in found)
    if not options.only and options.share == 1:
        head, mark, _ = PAGE.read_text().partition("<!-- table -->")
        PAGE.write_text(f"{head}{mark}\n\n{table(found)}\n")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

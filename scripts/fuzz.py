"""Bad arguments for every public callable, one at a time: is each refused in a sentence?

    .venv/bin/python scripts/fuzz.py                 # all of them, and tests/fuzz/README.md
    .venv/bin/python scripts/fuzz.py --only restore  # the targets with this in their name
    .venv/bin/python scripts/fuzz.py --seed 5 --share 0.3   # a random share, nothing is written

Good calls are those of tests/fuzz/good_calls.py, bad arguments those of kinds_of_bad.py.  What came
of each target is kept in ``build/fuzz``, by the text of the package and of the campaign: a run that
was stopped continues where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz.campaign import BAD, Outcome, outcomes, table  # noqa: E402
from fuzz.good_calls import GOOD  # noqa: E402

MEMORY = 6 * 2**30  # bytes of address space: what is asked for beyond that fails and is counted
PAGE = ROOT / "tests" / "fuzz" / "README.md"


def kept_in(options: argparse.Namespace) -> Path:
    """The file with what came so far of this campaign, in which each line is a target."""
    texts = [*ROOT.glob("ddrm_edu/**/*.py"), *ROOT.glob("tests/fuzz/*.py"), Path(__file__)]
    text = b"\0".join(file.read_bytes() for file in sorted(texts))
    name = f"{options.seed}-{options.share}-{options.limit}-{hashlib.sha256(text).hexdigest()[:12]}"
    folder = ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="targets with this in their name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=10.0, help="processor seconds for each call")
    parser.add_argument("--status", nargs="*", default=list(BAD), help="classes to list")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    targets = [name for name in GOOD if options.only in name]
    kept = kept_in(options)
    known = dict(map(json.loads, kept.read_text().splitlines())) if kept.exists() else {}
    found = []
    for target in targets:
        if target in known:
            new = [Outcome(**each) for each in known[target]]
        else:
            new = list(outcomes([target], options.seed, options.share, options.limit))
            with kept.open("a") as file:
                file.write(json.dumps([target, list(map(dataclasses.asdict, new))]) + "\n")
        found += new
        for each in new:
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

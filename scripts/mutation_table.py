"""The table of `make mutants`: the tests of each module of the package, and its score.

    python scripts/mutation_table.py

After a module or a test file was added, moved or removed: gives each new module a line in
``tests/mutation/mutants.toml`` (its tests are those that stand where it stands, since the folders
of tests/ mirror the package), drops what is gone, and writes ``tests/mutation/README.md``.  Lines
that still hold are left as they are.  It needs nothing but Python.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "tests" / "mutation"
CONFIG = KEPT / "mutants.toml"
SCORES = KEPT / "scores.json"  # written by scripts/mutants.py, one module at a time
README = KEPT / "README.md"

Score = dict[str, Any]  # commit, a number for each of COUNTS, the unexplained survivors,
# and of a sample its seed and of how many changes it was drawn


def modules() -> list[str]:
    """Every module of the package but those ``__init__.py`` that only import."""
    files = sorted((ROOT / "ddrm_edu").rglob("*.py"))
    defines = re.compile(r"^(def|class) ", re.MULTILINE)
    return [
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.name != "__init__.py" or defines.search(file.read_text())
    ]


def tests_beside(module: str) -> list[str]:
    """The test file that mirrors the module, or else all those of the folder that does."""
    mirrored = Path("tests", *Path(module).parts[1:])
    own = mirrored.with_name(f"test_{mirrored.name}")
    if (ROOT / own).exists():
        return [own.as_posix()]
    folders = (sorted((ROOT / folder).glob("test_*.py")) for folder in mirrored.parents)
    return [file.relative_to(ROOT).as_posix() for file in next(filter(None, folders))]


def tests_of_modules() -> dict[str, list[str]]:
    """The lines of mutants.toml."""
    return tomllib.loads(CONFIG.read_text())["modules"]


def completed(lines: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same for the modules and test files that are there now; new modules stand last."""
    there = {m: [t for t in tests if (ROOT / t).exists()] for m, tests in lines.items()}
    known = {m: there[m] or tests_beside(m) for m in lines if (ROOT / m).exists()}
    return known | {m: tests_beside(m) for m in modules() if m not in known}


def line(module: str, tests: list[str]) -> str:
    """As it stands in mutants.toml."""
    return f"{json.dumps(module)} = {json.dumps(tests)}"


# ------------------------------------------------------------------------------------- the report

VERDICTS = ["equivalent", "accepted", "unexplained"]
COUNTS = ["changes", "killed", "time-outs", *VERDICTS]
INTRODUCTION = """# Mutation score

Written by `make mutants`.  The score is the share of noticed changes among those that are not
equivalent to the original; `killed` includes the time-outs.  Why a change that no test noticed is
equivalent or accepted stands in `survivors.toml`; those without a reason are listed below.

A module was measured, with its tests, as it was at the commit of its line; `git diff COMMIT --
MODULE` shows what has changed since.  `changes` are all that the tool can make, or, where a seed
stands, a sample that was drawn with it (`--sample N --seed SEED`): "12 of 343 (7)" are the first
twelve that are still Python in the random order of seed 7.
"""


def scores() -> dict[str, Score]:
    """What was measured so far, by module."""
    return json.loads(SCORES.read_text())


def keep(module: str, score: Score) -> None:
    """Note the score of a module in the place of its last one."""
    known = scores() | {module: score}
    kept = {m: known[m] for m in tests_of_modules() if m in known}
    SCORES.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def report() -> str:
    """The table of scores and the unexplained survivors, as Markdown."""
    measured = {m: scores().get(m) for m in tests_of_modules()}
    head = ["module", "commit", *COUNTS, "score"]
    total = sum((Counter({c: s[c] for c in COUNTS}) for s in measured.values() if s), Counter())
    rows = [_row(module, score) for module, score in measured.items()]
    rows.append(_row("all that were measured", {"commit": "", **{c: total[c] for c in COUNTS}}))
    unexplained = [
        f"### {module}, {survivor['place'] or 'top level'}\n\n```diff\n{survivor['lines']}\n```\n"
        for module, score in measured.items()
        for survivor in (score or {}).get("survivors", [])
    ]
    listed = ["\n## Unexplained survivors\n", *(unexplained or ["None.\n"])]
    table = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *rows]
    return "\n".join([INTRODUCTION, *table, *listed])


def _row(module: str, score: Score | None) -> str:
    if score is None:
        cells = ["not measured yet", *[""] * (len(COUNTS) + 1)]
    else:
        judged = score["changes"] - score["equivalent"]
        share = f"{score['killed'] / judged:.1%}" if judged else "nothing to change"
        drawn = f" of {score['of']} ({score['seed']})" if "seed" in score else ""
        tried, *others = (str(score[c]) for c in COUNTS)
        cells = [score["commit"], tried + drawn, *others, share]
    return f"| {module} | " + " | ".join(cells) + " |"


def main() -> None:
    head, _, _ = CONFIG.read_text().partition("[modules]\n")
    lines = [line(module, tests) for module, tests in completed(tests_of_modules()).items()]
    CONFIG.write_text(head + "[modules]\n" + "\n".join(lines) + "\n")
    README.write_text(report())


if __name__ == "__main__":
    main()

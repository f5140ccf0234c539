"""Do the lectures bite?  Plants the errors of a list one by one and runs lectures.

Each error is planted in a copy of the library; the lectures are run against it by nbval, as
`make test` does, until one fails.  The list is tests/bite/errors.toml, whose result is
tests/bite/README.md, or another one beside it, NAME.toml, with the result in NAME.md.  What no
lecture notices, and need not, has a ``reason`` in the list.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "bite"
FILES = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
LECTURES = {path.name.split("_")[0]: path for path in FILES}


def fails(lecture: str, library: Path) -> bool:
    """True if a cell of the lecture differs when it imports the package from ``library``."""
    environment = {**os.environ, "PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}
    where = [sys.executable, "-c", "import ddrm_edu; print(ddrm_edu.__file__)"]
    found = subprocess.run(where, env=environment, cwd=library, capture_output=True, text=True)
    if found.returncode == 0 and not Path(found.stdout.strip()).is_relative_to(library):
        raise RuntimeError(f"The lectures would import {found.stdout}, not the copy in {library}.")
    options = ["-q", "-x", "--nbval", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *options, str(LECTURES[lecture])]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run lecture {lecture}:\n{run.stdout}{run.stderr}")
    return run.returncode == 1


def first_to_fail(error: dict) -> str | None:
    """The lecture that notices the planted error, or None if none of them does."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder).resolve()
        shutil.copytree(ROOT / "ddrm_edu", library / "ddrm_edu")
        file = library / error["file"]
        text = file.read_text()
        if text.count(error["right"]) != 1:
            raise ValueError(f"{error['right']!r} must stand in {error['file']} exactly once.")
        file.write_text(text.replace(error["right"], error["wrong"]))
        order = [*error["first"], *(each for each in LECTURES if each not in error["first"])]
        return next((each for each in order if fails(each, library)), None)


def report(errors: list[dict], noticed: list[str | None], command: str) -> str:
    """The result of ``command`` in Markdown."""
    caught = sum(lecture is not None for lecture in noticed)
    lines = [
        "# Do the lectures bite?",
        "",
        f"Written by `{command}`: one error at a time is planted in the library, and the lectures",
        f"are run until one of them fails. **{caught} of {len(errors)}** errors were noticed.",
        "",
        "| file | error | noticed by lecture |",
        "|---|---|---|",
    ]
    for error, lecture in zip(errors, noticed, strict=True):
        where = f"[{lecture}](../../lectures/{LECTURES[lecture].name})" if lecture else "none"
        if not lecture and "reason" in error:
            where = f"none: {error['reason']}"
        lines.append(f"| `{error['file']}` | {error['what']} | {where} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Plant every error, ``--at-once`` at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", nargs="?", type=Path, default=FOLDER / "errors.toml")
    parser.add_argument("--at-once", type=int, default=2)
    args = parser.parse_args()
    errors = tomllib.loads(args.list.read_text())["error"]
    for lecture in tqdm(LECTURES, desc="lectures as they are"):
        if fails(lecture, ROOT):
            raise SystemExit(f"Lecture {lecture} fails without any planted error; mend it first.")
    with ThreadPoolExecutor(args.at_once) as pool:
        found = pool.map(first_to_fail, errors)
        noticed = list(tqdm(found, total=len(errors), desc="planted errors"))
    if args.list.name == "errors.toml":
        result, command = "README.md", "make bite"
    else:
        result, command = f"{args.list.stem}.md", f"make bite LIST=tests/bite/{args.list.name}"
    (FOLDER / result).write_text(report(errors, noticed, command))
    missed = [error["what"] for error, lecture in zip(errors, noticed, strict=True) if not lecture]
    print(f"{len(errors) - len(missed)} of {len(errors)} errors were noticed. Missed: {missed}")


if __name__ == "__main__":
    main()

"""Do the checks bite?  Plants the errors of a list one by one and runs what must notice them.

Each error is planted in a copy of the library.  One with ``first`` is for the lectures: they are
run against the copy by nbval, as `make test` does, until one fails.  One with ``test`` is for the
tests: that one must fail.  Without an error nothing may.  The list is tests/bite/errors.toml or
another one beside it; its result is a section of tests/bite/README.md.  What nothing notices, and
need not, has a ``reason`` in the list.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
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
OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
# What takes most of the time of a single test; neither the package nor what pytest rewrites.
PRELOADED = ["torch", "scipy.signal", "scipy.stats", "skimage.metrics", "skimage.restoration"]
PRELOADED += ["matplotlib.pyplot", "sympy", "pytest"]
FORKS = multiprocessing.get_context("forkserver")


def lecture_fails(lecture: str, library: Path) -> bool:
    """True if a cell of the lecture differs when it imports the package from ``library``."""
    environment = {**os.environ, "PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}
    where = [sys.executable, "-c", "import ddrm_edu; print(ddrm_edu.__file__)"]
    found = subprocess.run(where, env=environment, cwd=library, capture_output=True, text=True)
    if found.returncode == 0 and not Path(found.stdout.strip()).is_relative_to(library):
        raise RuntimeError(f"The lectures would import {found.stdout}, not the copy in {library}.")
    command = [sys.executable, "-m", "pytest", *OPTIONS, "--nbval", str(LECTURES[lecture])]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run lecture {lecture}:\n{run.stdout}{run.stderr}")
    return run.returncode == 1


def tests_fail(tests: list[str], library: Path, *, quiet: bool) -> bool:
    """True if one of the tests fails in ``library``, a folder with the package and its tests."""
    process = FORKS.Process(target=_pytest, args=(tests, library, quiet))
    process.start()
    process.join()
    if process.exitcode not in (0, 1):
        raise RuntimeError(f"pytest could not run {tests}: it ended with {process.exitcode}.")
    return process.exitcode == 1


def _pytest(tests: list[str], library: Path, quiet: bool) -> None:
    """What a process does that has imported PRELOADED already."""
    import pytest

    os.chdir(library)
    os.environ["PYTHONPATH"] = str(library)  # for the processes that tests start
    sys.path.insert(0, str(library))
    if quiet:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    status = pytest.main([*OPTIONS, "-p", "no:nbval", *tests])
    import ddrm_edu

    here = Path(str(ddrm_edu.__file__)).is_relative_to(library)
    sys.exit(int(status) if here else 99)


def first_to_fail(error: dict) -> str | None:
    """The lecture, or the test, that notices the planted error; None if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder).resolve()
        for name in ("ddrm_edu", "tests"):
            shutil.copytree(ROOT / name, library / name)
        shutil.copy(ROOT / "pyproject.toml", library)
        (library / "lectures").symlink_to(ROOT / "lectures")
        file = library / error["file"]
        text = file.read_text()
        if text.count(error["right"]) != 1:
            raise ValueError(f"{error['right']!r} must stand in {error['file']} exactly once.")
        file.write_text(text.replace(error["right"], error["wrong"]))
        if "test" in error:
            return error["test"] if tests_fail([error["test"]], library, quiet=True) else None
        order = [*error["first"], *(each for each in LECTURES if each not in error["first"])]
        return next((each for each in order if lecture_fails(each, library)), None)


def report(errors: list[dict], noticed: list[str | None], command: str) -> str:
    """The result of ``command`` in Markdown."""
    caught = sum(each is not None for each in noticed)
    if "test" in errors[0]:
        heading, how = "The tests", "the test that is named must fail"
    else:
        heading, how = "The lectures", "the lectures are run until one of them fails"
    lines = [
        f"## {heading}: `{command}`",
        "",
        f"One error at a time is planted in the library, and {how}.",
        f"**{caught} of {len(errors)}** errors were noticed.",
        "",
        "| file | error | noticed by |",
        "|---|---|---|",
    ]
    for error, by in zip(errors, noticed, strict=True):
        lines.append(f"| `{error['file']}` | {error['what']} | {_linked(error, by)} |")
    return "\n".join(lines) + "\n"


def _linked(error: dict, by: str | None) -> str:
    if by is None:
        return f"none: {error['reason']}" if "reason" in error else "none"
    if by in LECTURES:
        return f"[lecture {by}](../../lectures/{LECTURES[by].name})"
    return f"`{by}`"


def keep(section: str) -> None:
    """Put a section into the page, in the place of the older one of the same heading."""
    page = FOLDER / "README.md"
    head, *sections = re.split(r"^(?=## )", page.read_text(), flags=re.MULTILINE)
    of = {each.partition("\n")[0]: each.rstrip() for each in (*sections, section)}
    page.write_text("\n\n".join([head.rstrip(), *of.values()]) + "\n")


def main() -> None:
    """Plant every error, ``--at-once`` at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", nargs="?", type=Path, default=FOLDER / "errors.toml")
    parser.add_argument("--at-once", type=int, default=2)
    args = parser.parse_args()
    errors = tomllib.loads(args.list.read_text())["error"]
    tests = list(dict.fromkeys(error["test"] for error in errors if "test" in error))
    os.environ["OMP_NUM_THREADS"] = "1"
    FORKS.set_forkserver_preload(PRELOADED)
    if tests and tests_fail(tests, ROOT, quiet=False):
        raise SystemExit("A test of the list fails without any planted error; mend it first.")
    for lecture in tqdm([] if tests else LECTURES, desc="lectures as they are"):
        if lecture_fails(lecture, ROOT):
            raise SystemExit(f"Lecture {lecture} fails without any planted error; mend it first.")
    with ThreadPoolExecutor(args.at_once) as pool:
        found = tqdm(pool.map(first_to_fail, errors), total=len(errors), desc="planted errors")
        noticed = []
        for error, by in zip(errors, found, strict=True):
            noticed.append(by)
            if by is None:
                tqdm.write(f"missed: {error['what']}")
    name = args.list.name
    command = "make bite" if name == "errors.toml" else f"make bite LIST=tests/bite/{name}"
    keep(report(errors, noticed, command))
    missed = [error["what"] for error, by in zip(errors, noticed, strict=True) if by is None]
    print(f"{len(errors) - len(missed)} of {len(errors)} errors were noticed. Missed: {missed}")


if __name__ == "__main__":
    main()

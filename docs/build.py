"""Build the site: python docs/build.py [--out FOLDER]; `make site` calls it.

The source folder is put together in build/site/source from the repository's own pages and from what
is generated; Sphinx then builds it, and a warning is an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests"), str(ROOT / "scripts")]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site" / "html")
    parser.add_argument("--jobs", default="2")
    parser.add_argument(
        "--keep", action="store_true", help="what was read and did not change, though programs did"
    )
    asked = parser.parse_args()
    start = time.monotonic()
    from npm import put_mathjax
    from pages import generated, mirror
    from sphinx.cmd.build import build_main

    work = ROOT / "build" / "site"
    if put_mathjax(work / "static") is None:
        sys.exit("site: MathJax is not here yet, and npm was not reached; the site needs it once.")
    mirror.assemble(work / "source", generated.pages())
    words = ["-b", "html", "-c", str(ROOT / "docs"), "-d", str(work / "doctrees"), "-q"]
    words += ["-W", "--keep-going", "-j", asked.jobs, str(work / "source"), str(asked.out)]
    if not asked.keep:  # sources are shown anew only if they are newer than their pages
        shutil.rmtree(asked.out / "_modules", ignore_errors=True)
    failed = build_main(words if asked.keep else ["--fresh-env", "--write-all", *words])
    if not failed:
        files = [file for file in asked.out.rglob("*") if file.is_file()]
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        print(
            f"Made {sum(file.suffix == '.html' for file in files)} pages, {megabytes:.0f} MB, in "
            f"{time.monotonic() - start:.0f} s. Read them in a browser: open "
            f"{os.path.relpath(asked.out / 'index.html')}"
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())

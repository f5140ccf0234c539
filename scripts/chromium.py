"""Where chromium is; with --install Debian's is fetched if there is none.

python3 scripts/chromium.py [--install]    # prints its path, or a sentence that says why not
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
INSTALL = (["apt-get", "update"], ["apt-get", "install", "--yes", "chromium"])
OTHERWISE = (
    "`make browser` looks at the site in chromium, so it cannot be run: install one by hand "
    f"({', '.join(NAMES)} in the path), as root on Debian or Ubuntu: apt-get install chromium."
)


def found() -> str | None:
    """The path of chromium or Chrome, None if there is neither."""
    return next(filter(None, map(shutil.which, (*NAMES, MACOS))), None)


def install() -> None:
    """Fetch Debian's package; SystemExit, in a sentence, if that cannot be done."""
    for command in INSTALL:
        said = " ".join(command)
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
            )
        except FileNotFoundError:
            sys.exit(f"There is no chromium here, and no apt-get to install it. {OTHERWISE}")
        if done.returncode:
            last = (done.stdout.strip().splitlines() or ["nothing"])[-1]
            sys.exit(f"There is no chromium here, and `{said}` failed: {last}\n{OTHERWISE}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="if there is none")
    if parser.parse_args().install and found() is None:
        install()
    print(found() or sys.exit(f"There is no chromium here. {OTHERWISE}"))


if __name__ == "__main__":
    main()

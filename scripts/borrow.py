"""Make an environment that sees the packages of another one, and install what it has beyond them.

python3 scripts/borrow.py build/site-env .venv/bin/python -r docs/requirements.txt
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]


def packages(python: Path) -> Path:
    """The folder in which an interpreter has its packages."""
    return Path(subprocess.check_output([python, *PACKAGES], text=True).strip()).resolve()


def main() -> None:
    """The command line."""
    folder, lender, *wanted = sys.argv[1:]
    own = Path(folder) / "bin" / "python"
    lent = packages(Path(lender))
    venv.create(folder, with_pip=True, clear=True)
    (packages(own) / "lent.pth").write_text(f"import site; site.addsitedir({str(lent)!r})\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    sys.exit(subprocess.run([own, *install]).returncode)


if __name__ == "__main__":
    main()

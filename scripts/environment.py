"""Set up a virtual environment with the pinned versions; pip's words go to a file.

python3 scripts/environment.py .venv lectures,test

Needs nothing but Python.  Two set-ups at once take turns, and the second finds the work done.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11, 5)  # of the pins: soupsieve 4.1 needs it; the package itself runs on 3.11
SHOWN = 30  # last lines of the log, where something failed


@contextmanager
def locked(folder: Path):
    """Wait until no other process is in here with the same folder; its end frees it in any case."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"Waiting for another run that writes to {folder} ...", flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def up_to_date(ready: Path) -> bool:
    """True if the environment was made after the last change of what it is made from."""
    made_from = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    return ready.exists() and ready.stat().st_mtime > max(f.stat().st_mtime for f in made_from)


def set_up(folder: Path, extras: str, log: Path) -> None:
    """Make the environment and fill it; SystemExit with the end of the log if that fails."""
    install = ["-m", "pip", "install", "--disable-pip-version-check", "--constraint"]
    install += [str(ROOT / "constraints.txt"), "--editable", f"{ROOT}[{extras}]"]
    python = folder / "bin" / "python"
    with log.open("w") as file:
        for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), *install]):
            file.write(f"$ {' '.join(command)}\n")
            file.flush()
            if subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode:
                break
        else:
            return
    last = log.read_text(errors="replace").splitlines()[-SHOWN:]
    sys.exit("\n".join([*last, f"The set-up failed, see above; all that was said: {log}"]))


def main() -> None:
    """The command line."""
    if sys.version_info < OLDEST:
        oldest, this = (".".join(map(str, v[:3])) for v in (OLDEST, sys.version_info))
        sys.exit(f"Python {oldest} or later is needed, this is {this}: make PYTHON=python3.12 ...")
    folder, extras = Path(sys.argv[1]), sys.argv[2]
    log, ready = ROOT / "build" / "setup.log", folder / ".ready"
    log.parent.mkdir(exist_ok=True)
    with locked(log.parent):
        if up_to_date(ready):
            return
        print(f"Setting up {folder}: about 2 minutes the first time; log: {log} ...", flush=True)
        start = time.monotonic()
        set_up(folder, extras, log)
        ready.touch()
        print(f"Set up {folder} in {time.monotonic() - start:.0f} s.", flush=True)


if __name__ == "__main__":
    main()

"""Build sdist and wheel, check them, install each in a new environment, and use what came of it.

python scripts/package.py        # make package; writes build/package

The third installation is that of ``pip install git+file://...``, of the commit that is checked out.
Only the build tools and hatchling are fetched: what the package depends on is borrowed from the
environment that runs this, for torch alone is larger than all else that is done here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "package"
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]["package"]
# Of the sdist's own tests those that need its files, and not long.
QUICK = (
    "tests/test_packaging.py",
    "tests/test_schedule.py",
    "tests/test_ddpm.py",
    "tests/course/test_copies.py",
    "tests/lectures/test_lectures.py",
    "tests/meta/test_map.py",
)
SMOKE = r"""
import re
import sys
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path
import torch
import ddrm_edu
from ddrm_edu import SuperResolution, exercise, load_denoiser, load_images, restore

home = Path(ddrm_edu.__file__).parent
assert home.is_relative_to(sys.prefix), home
assert (files("ddrm_edu") / "py.typed").is_file()
readme = metadata("ddrm-edu")["Description"]
assert "/blob/main/lectures/README.md)" in readme
assert not re.search(r"\]\((?!https://|#)", readme), "a relative link would break on PyPI"
x0 = load_images("natural")[:2]
op = SuperResolution((3, 32, 32), factor=2)
y = op(x0)
x = restore(load_denoiser("natural"), op, y, sigma_y=0.0, steps=3)
assert (op(x) - y).norm() < 1e-4 * y.norm()
"""


def run(*command: str | Path, cwd: Path = OUT) -> str:
    """Run a command, and stop with all that it said if it fails."""
    asked = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nFAILED: {' '.join(map(str, command))}")
    return done.stdout


def environment(name: str) -> Path:
    """A new environment that borrows what is installed here, but not this package."""
    folder = OUT / name
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    here = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # Files *.pth of a folder that is named in a *.pth are not read, so neither is the one by which
    # an editable installation of this repository is found.
    (Path(here) / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n", encoding="utf-8")
    return python


def build() -> tuple[Path, Path]:
    """The sdist, and the wheel that is made from it; both as PyPI wants them."""
    run(sys.executable, "-m", "venv", OUT / "tools")
    tools = OUT / "tools" / "bin" / "python"
    run(tools, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
    said = run(tools, "-m", "build", "--outdir", OUT / "dist", ROOT)
    if "would be ignored" in said or "warning" in said.lower():
        sys.exit(f"{said}\nFAILED: the build warns")
    (sdist,) = (OUT / "dist").glob("*.tar.gz")
    (wheel,) = (OUT / "dist").glob("*.whl")
    run(tools, "-m", "twine", "check", "--strict", sdist, wheel)
    for path in (sdist, wheel):
        print(f"built {path.name}: {path.stat().st_size / 2**20:.1f} MiB; twine finds no fault")
    return sdist, wheel


def contents(folder: Path) -> dict[Path, bytes]:
    """All files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def installed(name: str, what: str | Path) -> Path:
    """Install it, and use library, command and lectures from outside the repository."""
    start = time.monotonic()
    python = environment(name)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", what)
    command = python.parent / "ddrm-edu"
    run(python, "-c", SMOKE)
    run(command, "--version")
    copies = {"repository": [sys.executable, "-m", "ddrm_edu"], name: [command]}
    for where, asked in copies.items():
        folder = OUT / "lectures" / where
        shutil.rmtree(folder, ignore_errors=True)
        run(*asked, "lectures", folder, "--solutions", cwd=ROOT if where == "repository" else OUT)
    copied = contents(OUT / "lectures" / name)
    if copied != contents(OUT / "lectures" / "repository"):
        sys.exit(f"FAILED: the lectures that {what} brought are not those of the repository")
    seconds = time.monotonic() - start
    print(f"installed from {name}: works, {len(copied)} files of lectures ({seconds:.0f} s)")
    return python


def main() -> None:
    """All of it; the exit status is 1 at the first thing that does not hold."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    sdist, wheel = build()
    with zipfile.ZipFile(wheel) as file:
        if "ddrm_edu/py.typed" not in file.namelist():
            sys.exit("FAILED: the wheel has no py.typed")
    installed("wheel", wheel)
    python = installed("sdist", sdist)
    with tarfile.open(sdist) as file:
        file.extractall(OUT / "unpacked", filter="data")
    (tree,) = (OUT / "unpacked").iterdir()
    own = [name for name in QUICK if (tree / name).exists()]
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *own, cwd=tree)
    print(f"the sdist's own tests, {len(own)} of their files: {said.splitlines()[-1].strip('= ')}")
    installed("git", f"git+{ROOT.as_uri()}")


if __name__ == "__main__":
    main()

"""What Binder and the container install: environment.yml without what only tests need.

python scripts/binder.py            # writes .binder/requirements.txt
python scripts/binder.py --check    # says whether it is what this script would write

The versions are those of constraints.txt.  torch comes from the index of builds for a CPU: the one
of PyPI brings gigabytes for GPUs, which Binder has not.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILE = ".binder/requirements.txt"
CPU = "https://download.pytorch.org/whl/cpu"
PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # conda's name, and ours


def pins(root: Path) -> dict[str, str]:
    """Version of each package of constraints.txt."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements(root: Path) -> str:
    """The text of the file."""
    with (root / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    lectures = project["dependencies"] + project["optional-dependencies"]["lectures"]
    needed = {canonicalize_name(Requirement(line).name) for line in lectures}
    conda = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    names = [Requirement(line).name for line in conda if isinstance(line, str)]
    there = [name for name in (PYPI.get(name, name) for name in names) if name in needed]
    if missing := needed - set(there):
        raise ValueError(f"environment.yml lacks {', '.join(sorted(missing))}")
    version = pins(root)
    return "\n".join(
        [
            "# Made by scripts/binder.py from environment.yml: what the lectures need.",
            f"--extra-index-url {CPU}",
            *(f"{name}=={version[name]}" for name in sorted(there)),
            "-e .",
            "",
        ]
    )


def main() -> None:
    """Write, or check."""
    text, path = requirements(ROOT), ROOT / FILE
    if sys.argv[1:] != ["--check"]:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        sys.exit(f"{FILE} is not as python scripts/binder.py writes it.")


if __name__ == "__main__":
    main()

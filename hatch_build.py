"""What hatchling cannot read in pyproject.toml: links for PyPI, notebooks in the wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)(\[[^][]*\])\((?!\w+:|#)([^()\s]+)\)")
NOTEBOOKS = "ddrm_edu/course/notebooks"  # of the wheel; ddrm_edu.course.copies reads it
SHIPPED = (  # with the lectures: what they link to, show and read
    "lectures/*.md",
    "lectures/*.ipynb",
    "lectures/solutions/*.ipynb",
    "proofs/*.md",
    "proofs/*.v",
    "benchmarks/results/quality-*.csv",
    "benchmarks/results/photographs.csv",
    "benchmarks/results/photographs-astronaut-noise.jpg",
    "figures/*.svg",
)


def absolute(text: str, address: str) -> str:
    """The README as it reads away from the repository: no link leads into a folder beside it."""

    def link(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        return f"{image}{words}({address}/{'raw' if image else 'blob'}/main/{target})"

    return RELATIVE.sub(link, text)


class Readme(MetadataHookInterface):
    """The description of the package, with links made from ``[project.urls]``."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling, which has read the rest of ``[project]``."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = absolute(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class Notebooks(BuildHookInterface):
    """The lectures, and what they lead to, go into a wheel; an editable install has them anyway."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        for path in (path for pattern in SHIPPED for path in sorted(root.glob(pattern))):
            build_data["force_include"][str(path)] = f"{NOTEBOOKS}/{path.relative_to(root)}"

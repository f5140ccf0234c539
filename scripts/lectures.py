"""Run the lectures from top to bottom, two at a time; write their HTML pages and figures.

python scripts/lectures.py [lectures/07a_the_theorem.ipynb ...] [--pages FOLDER] [--figures FOLDER]

A cell that fails is told with its error, the other lectures run on, and the exit status is 1.  Two
runs that write to the same folder take turns.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nbformat
import numpy as np
from environment import locked
from kernels import execute
from nbconvert import HTMLExporter
from npm import put_mathjax_or_tell
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
LECTURES = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
TEMPLATES = ROOT / "scripts" / "templates"
DRAWING = re.compile(r'src="([^":]+\.svg)"')  # a badge
LINK = re.compile(r'href="([^":#]+\.(?:ipynb|md))')
TITLE = re.compile(r"# (.+)")
COLOURS = re.compile(r"\x1b\[[\d;]*m")  # of a terminal
SECONDS = 900  # for one cell; on a laptop the longest takes 20
SAME = 4  # of 255: what another processor's rounding may do to the edge of a line


class Failed(Exception):
    """A lecture that did not run to its end: the cell and its error."""


def run(path: Path, page: Path) -> float:
    """Run one lecture and write its page, whole or not at all; the seconds that it took."""
    start = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # what was stored is not what happens now
            cell.outputs, cell.execution_count = [], None
    try:
        execute(notebook, path.parent, SECONDS)
    except Exception as error:
        raise Failed(told(notebook, error)) from error
    exporter = HTMLExporter(template_name="described", extra_template_basedirs=[str(TEMPLATES)])
    heading = TITLE.match(notebook.cells[0].source)
    title = heading[1] if heading else path.stem
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    text = DRAWING.sub(lambda found: embedded(path.parent / found[1]), text)
    text = LINK.sub(lambda found: f'href="{led(path.parent / found[1], page)}', text)
    new = page.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(page)
    return time.monotonic() - start


def embedded(drawing: Path) -> str:
    """The drawing inside the page, which is one file; nbconvert's own way refuses SVG."""
    return f'src="data:image/svg+xml;base64,{base64.b64encode(drawing.read_bytes()).decode()}"'


def led(target: Path, page: Path) -> str:
    """Where a link leads from the page of a lecture: to the page of another, or to the file."""
    target = target.resolve()
    if target in LECTURES:
        return f"{target.stem}.html"
    return Path(os.path.relpath(target, page.parent.resolve())).as_posix()


def told(notebook: nbformat.NotebookNode, error: Exception) -> str:
    """The last cell that was begun, and its traceback, or what became of the kernel."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [k for k, cell in enumerate(code) if cell.execution_count is not None]
    if not begun:
        return f"its start:\n{type(error).__name__}: {error}"
    cell = code[begun[-1]]
    errors = [output for output in cell.outputs if output.output_type == "error"]
    trace = "\n".join(errors[-1].traceback) if errors else f"{type(error).__name__}: {error}"
    return f"code cell {begun[-1] + 1}:\n{cell.source}\n\n{COLOURS.sub('', trace)}"


def taken_over(new: Path, old: Path) -> int:
    """Move the figures of ``new`` to ``old``, but leave those that look the same; their number.

    Rounding differs between processors, and a picture that nobody can tell from the old one is
    no change of the repository.
    """
    figures = sorted(new.glob("*.png"))
    for figure in figures:
        known = old / figure.name
        if not (known.exists() and alike(figure, known)):
            whole = known.with_suffix(".new")  # on the disk of `old`, where a move is one step
            shutil.copyfile(figure, whole)
            whole.replace(known)
    return len(figures)


def alike(one: Path, other: Path) -> bool:
    """True if two pictures have the same size and description, and nearly the same pixels."""
    with Image.open(one) as a, Image.open(other) as b:
        if a.size != b.size or a.info.get("Description") != b.info.get("Description"):
            return False
        pixels = [np.asarray(image.convert("RGBA"), int) for image in (a, b)]
    return bool(np.abs(pixels[0] - pixels[1]).max() <= SAME)


@contextmanager
def figures_of_the_kernels() -> Iterator[Path]:
    """A new folder to which every kernel that is started meanwhile writes its figures."""
    with tempfile.TemporaryDirectory(prefix="figures-") as folder:
        before = os.environ.get("DDRM_EDU_FIGURES")
        os.environ["DDRM_EDU_FIGURES"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["DDRM_EDU_FIGURES"]
            if before is not None:
                os.environ["DDRM_EDU_FIGURES"] = before


def writable(folder: Path, option: str) -> None:
    """Make the folder; ValueError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder} ({error.strerror}). Is the source tree read-only? "
            f"Name another folder: {option}"
        ) from None


def run_all(lectures: Sequence[Path], pages: Path, figures: Path) -> int:
    """Run them, say what is done while it is, and what was made; the number that failed."""
    start = time.monotonic()
    print(f"Running {len(lectures)} lectures, two at a time:", flush=True)
    failed = []
    with figures_of_the_kernels() as folder, ThreadPoolExecutor(2) as pool:
        running = {pool.submit(run, path, pages / f"{path.stem}.html"): path for path in lectures}
        for number, each in enumerate(as_completed(running), 1):
            path, count = running[each], f"{number:3}/{len(lectures)}"
            try:
                print(f"{count}  {path.stem}  {each.result():.0f} s", flush=True)
            except Failed as error:
                failed.append(path.stem)
                print(f"{count}  {path.stem}  FAILED in {error}\n", flush=True)
        drawn = taken_over(folder, figures)
    made = len(lectures) - len(failed)
    seconds = time.monotonic() - start
    print(f"Made {made} pages in {pages} and {drawn} figures in {figures}, in {seconds:.0f} s.")
    if failed:
        print(f"{len(failed)} of {len(lectures)} lectures FAILED, see above: {', '.join(failed)}")
    return len(failed)


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lectures", nargs="*", type=Path, help="notebooks; all by default")
    parser.add_argument("--pages", type=Path, default=Path("build/lectures"), metavar="FOLDER")
    parser.add_argument("--figures", type=Path, default=Path("figures"), metavar="FOLDER")
    asked = parser.parse_args(words)
    try:
        writable(asked.pages, "--pages FOLDER, or make BUILD=FOLDER lectures")
        writable(asked.figures, "--figures FOLDER, or make FIGURES=FOLDER lectures")
    except ValueError as error:
        sys.exit(f"lectures: {error}")
    with ExitStack() as turns:
        for folder in sorted({asked.pages.resolve(), asked.figures.resolve()}):
            turns.enter_context(locked(folder))
        failed = run_all(asked.lectures or LECTURES, asked.pages, asked.figures)
    if failed:
        sys.exit(1)
    put_mathjax_or_tell(asked.pages)
    first = asked.pages / f"{(asked.lectures or LECTURES)[0].stem}.html"
    print(f"Read them in a browser: open {first}\nRun them yourself: make lab")


if __name__ == "__main__":
    main()

"""Marks for notebooks that came back: ``ddrm-edu grade FOLDER``.

Each copy has an examiner, which knows the exercises, and a student's process, which does not: it
runs the set-up and the cells of the exercises in a `cage` and answers, over a `wire`, for the
functions in them.  So what a cell prints, redefines or imports counts for nothing; what counts is
what its answer gives for inputs that the examiner chooses.
"""

from __future__ import annotations

import contextlib
import csv
import html
import json
import multiprocessing
import os
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple

from tqdm import tqdm

from .cage import PACKAGE, Cage, Limits, chosen, library
from .engine import Exercise, NotYet, _unfinished, load
from .wire import Gone, Peer

Status = Literal["right", "wrong", "empty", "missing", "error"]
LARGEST = 2**26  # bytes of a notebook
LONGEST = 1_000  # characters of a message
CALL = re.compile(r"""^[^#\n]*\bexercise\(\s*["'](\d\d\.\d+)["']""", re.MULTILINE)
HEADING = re.compile(r"^#+ .*\bexercises\b", re.IGNORECASE | re.MULTILINE)


class Mark(NamedTuple):
    """What one exercise of one copy got, and why."""

    copy: str
    exercise: str
    status: Status
    message: str


def cells_to_run(path: Path) -> tuple[list[str], str]:
    """Sources of the set-up and of the cells of the exercises, and the lecture: "06", "07b" ...

    The set-up is the first code cell, and every one that is tagged ``setup``; one tagged
    ``install`` brings the package where it is missing, and is not run here.  The exercises begin at
    their heading, or at the first call of ``exercise``; from there on all code cells are taken, so
    a student may add some.

    Raises
    ------
    ValueError
        If the file is no notebook, or none of a lecture with exercises.
    """
    if path.is_symlink() or path.stat().st_size > LARGEST:
        raise ValueError(f"the file is a link, or larger than {LARGEST // 2**20} MiB")
    try:
        cells = json.loads(path.read_bytes())["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        tags = [set(cell.get("metadata", {}).get("tags", ())) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the file is no notebook ({type(error).__name__}: {error})") from None
    begun = False
    code: list[str] = []
    for (kind, source), tagged in zip(sources, tags, strict=True):
        begun = begun or bool((HEADING if kind == "markdown" else CALL).search(source))
        if kind != "code" or "install" in tagged:
            continue
        if begun or not code or "setup" in tagged:
            code.append(source)
    called = [id for source in code for id in CALL.findall(source)]
    named = re.findall(r"(?<!\d)\d\d[a-z]?(?=_)", path.name)
    numbers = Counter(id[:2] for id in called).most_common(1)
    lecture = numbers[0][0] if numbers else (named or ["?"])[0]
    parts = {each.lecture for each in load(lecture) if each.id in called}
    if len(parts) == 1:  # exercises of other parts are due in other copies
        lecture = parts.pop()
    if not load(lecture):
        raise ValueError("no lecture can be told: there is no exercise in it, and none by its name")
    return code, lecture


def examined(path: Path, cage: Cage, place: int = 0) -> Iterator[tuple[str, Status, str]]:
    """Exercise, status and message for each exercise of the lecture; see `Mark`."""
    code, lecture = cells_to_run(path)
    problems = {problem.id: problem for problem in load(lecture)}
    found: dict[str, tuple[Status, str]] = {}
    last = time.monotonic() + cage.limits.copy
    fatal: dict[int, str] = {}  # cells after which the process was lost
    while True:
        done = _one_process(code, cage, place, problems, found, fatal, last)
        if done or time.monotonic() > last:
            break
    for id in problems:
        own = [k for k, source in enumerate(code) if id in CALL.findall(source)]
        if id in found:
            status, message = found[id]
        elif lost := [fatal[k] for k in own if k in fatal]:
            status, message = "error", lost[0]
        elif time.monotonic() > last:
            status, message = "error", f"the copy took longer than {cage.limits.copy:g} s"
        elif own:
            status, message = "missing", f'exercise("{id}", ...) was written, but not called'
        else:
            status, message = "missing", f'there is no exercise("{id}", ...) in the copy'
        yield id, status, " ".join(message.split())[:LONGEST]


def _one_process(
    code: Sequence[str],
    cage: Cage,
    place: int,
    problems: dict[str, Exercise],
    found: dict[str, tuple[Status, str]],
    fatal: dict[int, str],
    last: float,
) -> bool:
    """Run the cells that are not fatal in one process; False if some are left to another one."""
    with cage.student(place) as peer:
        peer.last = last
        limits = cage.limits
        peer.ask(
            "start",
            alarm=limits.seconds,
            memory=limits.memory,
            processes=limits.processes,
            files=limits.files,
        )
        trouble = ""
        for number, source in enumerate(code):
            if number in fatal:
                continue
            called = [id for id in CALL.findall(source) if id in problems]
            try:
                given, error = peer.ask("run", source=source)
                given = {id: answer for id, answer in dict(given).items() if id in problems}
                what = ": ".join(map(str, error)) if error else ""
            except Gone:
                fatal[number] = f"the cell's process was lost: {peer.gone}"
                break
            except Exception as garbage:
                fatal[number] = f"the cell's process sent garbage: {garbage}"
                break
            if what:
                trouble = trouble or ("" if called else f" (and the cell before: {what})")
                for id in called:
                    found.setdefault(id, ("error", f"the cell raised {what}{trouble}"))
            for id, answer in given.items():
                found[id] = judged(problems[id], answer, peer)
            if peer.gone:
                fatal[number] = peer.gone
                break
    return number == len(code) - 1


def judged(problem: Exercise, answer: Any, peer: Peer) -> tuple[Status, str]:
    """Status and message of an answer from the other side of the wire."""
    peer.failed = False
    peer.forget()
    status: Status
    try:
        if answer is ... or _unfinished(problem, answer):
            return "empty", ""
        status, message = "right", problem.examine(answer)
    except NotYet as refusal:
        raised = peer.failed and isinstance(list(problem.responses(answer))[-1][1], Exception)
        status, message = "error" if raised else "wrong", str(refusal)
    except Exception as error:
        status, message = "error", f"{type(error).__name__}: {error}"
    if peer.gone:
        status, message = "error", f"the process was lost in a call: {peer.gone}"
    message = re.sub(rf"^{re.escape(problem.id)}\s+(right|not yet:)\s*", "", message)
    return status, message


def _examiner(path: Path, name: str, cage: Cage, place: int, result: Any) -> None:
    """The process of one copy's examiner: what a copy sends can stop this one at most."""
    ours = 2**33 + cage.limits.memory
    with contextlib.suppress(ValueError):  # there is a lower one, or macOS, which knows none
        resource.setrlimit(resource.RLIMIT_AS, (ours, ours))
    try:
        marks = [Mark(name, *each) for each in examined(path, cage, place)]
    except Exception as error:
        marks = [Mark(name, "all", "error", str(error)[:LONGEST] or type(error).__name__)]
    result.send(marks)


def _one_copy(path: Path, name: str, cage: Cage, places: SimpleQueue[int]) -> list[Mark]:
    place = places.get()
    processes = multiprocessing.get_context("forkserver")
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(
        target=_examiner, args=(path, name, cage, place, theirs), daemon=True
    )
    try:
        process.start()
        theirs.close()
        if ours.poll(cage.limits.copy + 120.0):
            return list(ours.recv())
        return [Mark(name, "all", "error", "its examiner took too long")]
    except EOFError:
        return [Mark(name, "all", "error", "its examiner was stopped by what the copy sent")]
    finally:
        process.kill()
        process.join()
        places.put(place)


def grade(
    folder: Path, *, limits: Limits | None = None, jobs: int | None = None, unsafe: bool = False
) -> list[Mark]:
    """Marks of all the notebooks in a folder and below it, each in a process of its own.

    Parameters
    ----------
    folder : Path
    limits : Limits, optional
    jobs : int, optional
        Copies at a time; one for each core if it is left out.
    unsafe : bool
        Run them even where there is no cage, see `ddrm_edu.course.cage`.

    Returns
    -------
    list of Mark
        In the order of the file names.  A copy that cannot be read at all has one, for ``"all"``.

    Raises
    ------
    ValueError
        If the folder has no notebooks, or no cage holds here.
    """
    paths = sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    if not paths:
        raise ValueError(f"There are no notebooks (*.ipynb) in {folder}: is it the right folder?")
    jobs = jobs or os.cpu_count() or 1
    places: SimpleQueue[int] = SimpleQueue()
    for place in range(jobs):
        places.put(place)
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    secrets = [folder.resolve(), PACKAGE.parent / "lectures" / "solutions"]
    with library() as files, ThreadPoolExecutor(jobs) as pool:
        cage = chosen(files, limits or Limits(), secrets, unsafe=unsafe)
        found = pool.map(
            lambda path: _one_copy(path, path.relative_to(folder).as_posix(), cage, places), paths
        )
        return [mark for marks in tqdm(found, total=len(paths), unit="copy") for mark in marks]


def totals(marks: Sequence[Mark]) -> list[tuple[str, Counter[str]]]:
    """For each copy how many exercises have which status."""
    of: dict[str, Counter[str]] = {}
    for mark in marks:
        of.setdefault(mark.copy, Counter())[mark.status] += 1
    return list(of.items())


STATUSES: tuple[Status, ...] = ("right", "wrong", "empty", "missing", "error")


def write(marks: Sequence[Mark], folder: Path) -> list[Path]:
    """Write ``marks.csv`` with a row for each exercise, ``totals.csv`` for each copy, and HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Sequence[Any]]] = {
        "marks.csv": [Mark._fields, *marks],
        "totals.csv": [
            ("copy", *STATUSES),
            *((copy, *(count[status] for status in STATUSES)) for copy, count in totals(marks)),
        ],
    }
    for name, table in rows.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_tame(cell) for cell in row] for row in table)
    (folder / "marks.html").write_text(page(marks), encoding="utf-8")
    return [folder / name for name in (*rows, "marks.html")]


def _tame(cell: Any) -> Any:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def page(marks: Sequence[Mark]) -> str:
    """The marks as one HTML page that needs nothing else."""
    body = []
    for copy, count in totals(marks):
        told = ", ".join(f"{count[status]} {status}" for status in STATUSES if count[status])
        body.append(f'<tr class="copy"><th colspan="3">{html.escape(copy)}: {told}</th></tr>')
        body += [
            f'<tr class="{mark.status}"><td>{html.escape(mark.exercise)}</td>'
            f"<td>{mark.status}</td><td>{html.escape(mark.message)}</td></tr>"
            for mark in marks
            if mark.copy == copy
        ]
    return _PAGE.format(rows="\n".join(body), copies=len(totals(marks)), marks=len(marks))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Marks</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 1em auto; padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; vertical-align: top; padding: .2em .6em; overflow-wrap: anywhere }}
.copy th {{ padding-top: 1.2em; border-bottom: 1px solid }}
.right td {{ background: #e3f4e3 }} .wrong td {{ background: #fdeccf }}
.error td {{ background: #fbdcdc }}
</style>
<h1>{copies} copies, {marks} marks</h1>
<table>
{rows}
</table>
</html>
"""

"""Mutation testing: how many small changes of the library do its tests notice?

    python scripts/mutants.py                      every module of tests/mutation/mutants.toml
    python scripts/mutants.py ddrm_edu/ddpm.py     this one
    python scripts/mutants.py --sample 20 --seed 3    twenty of each, drawn with this seed

The changes come from Cosmic Ray, which also keeps the results: a SQLite session per module in
``build/mutants``, named by the module's text, so an interrupted run continues where it stopped and
``cr-report build/mutants/NAME.sqlite`` reads it.  Cosmic Ray itself would start Python and load
PyTorch once per change.  Here one process loads them, a fork of it collects the tests of a module,
and for each change a fork of that exchanges the code of one function and runs those that call it.
A change of what is executed while modules are loaded gets a fork that loads the package anew.  The
files on disk are never touched; where the system lets a process have mounts of its own (root on
Linux), the changed text lies over the file for the fork and for what it starts; elsewhere the
processes that a test starts run without the change.  After each module its score and the commit
that is checked out go to ``tests/mutation/scores.json``, and from there to ``README.md`` beside it,
which lists the modules that were never measured as well.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import difflib
import functools
import gc
import hashlib
import importlib.machinery
import itertools
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before torch: threads do not fork

import cosmic_ray.plugins
import hypothesis
import mutation_table
import parso
import pytest
import scipy.sparse.linalg
import scipy.stats  # noqa: F401  these are loaded here so that no fork has to
import skimage.metrics  # noqa: F401
import torch
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutants"
MEMORY = 16 * 2**30  # a fork that asks for more gets a MemoryError, which is a red test
BROKEN = 99  # exit status of a fork whose failure says nothing about the tests
ANEW = 98  # exit status of a fork that cannot exchange the code: the package must be loaded anew
CONFIG = tomllib.loads(mutation_table.CONFIG.read_text())


# ------------------------------------------------------------------------------------ the changes


class DropKeyword(Operator):
    """``f(x, generator=g)`` becomes ``f(x, **{})``: a default takes the place of the argument."""

    def mutation_positions(self, node):
        if node.type == "argument" and node.children[1] == "=":
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        return parso.parse(node.get_first_leaf().prefix + "**{}")

    @classmethod
    def examples(cls):
        return ()


class DropCall(Operator):
    """A call whose result nobody uses becomes ``pass``."""

    def mutation_positions(self, node):
        if node.type in ("atom_expr", "power") and node.parent.type == "simple_stmt":
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        return parso.parse(node.get_first_leaf().prefix + "pass")

    @classmethod
    def examples(cls):
        return ()


cosmic_ray.plugins.OPERATOR_PROVIDERS["drop"] = {
    operator.__name__: operator for operator in (DropKeyword, DropCall)
}


Span = tuple[tuple[int, int], tuple[int, int]]  # (line, column) of start and end


def not_numbers(tree: ast.Module) -> list[Span]:
    """Where a change alters no number: signatures but for their defaults, messages, annotations."""
    spans = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            body = node.body[0] if isinstance(node, ast.FunctionDef) else node.body
            defaults = [d for d in node.args.defaults + node.args.kw_defaults if d is not None]
            edges = [span(node)[0], *sorted(e for d in defaults for e in span(d)), span(body)[0]]
            spans += zip(edges[::2], edges[1::2], strict=True)
            if getattr(node, "name", "") in CONFIG["texts"]:
                spans.append(span(node))
        elif isinstance(node, ast.Raise | ast.JoinedStr):
            spans.append(span(node))
        elif isinstance(node, ast.AnnAssign):
            spans.append(span(node.annotation))
    return spans


def span(node: ast.AST) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def possible(module: Path, source: str) -> list[WorkItem]:
    """Every change of what is no text."""
    kept, texts = re.compile(CONFIG["operators"]), not_numbers(ast.parse(source))

    def is_text(item: WorkItem) -> bool:
        (change,) = item.mutations
        return any(start <= change.start_pos < end for start, end in texts)

    every = cosmic_ray.plugins.operator_names
    cosmic_ray.plugins.operator_names = lambda: list(filter(kept.fullmatch, every()))
    items = [item for item in _all_work_items([module], {}) if not is_text(item)]
    cosmic_ray.plugins.operator_names = every
    return items


def changes(module: Path, source: str, sample: int | None, seed: int) -> list[WorkItem]:
    """Those that are still Python: all of them, or as many as ``sample`` drawn at random."""
    items = possible(module, source)
    if sample is not None:
        random.Random(f"{seed} {module}").shuffle(items)
    worth = (item for item in items if is_python(mutated(item, source)))
    return list(itertools.islice(worth, sample))


def is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def mutated(item: WorkItem, source: str) -> str:
    (change,) = item.mutations
    operator = cosmic_ray.plugins.get_operator(change.operator_name)()
    return mutate_code(source, operator, change.occurrence)


def lines_changed(before: str, after: str) -> str:
    """The changed lines alone, ``-`` before and ``+`` after, without their indentation."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines[3:])


# ---------------------------------------------------------------------------------------- one run


class Suite(NamedTuple):
    """The tests of a module."""

    files: list[str]
    seconds: dict[str, float]  # of each test on the unchanged module
    limit: float  # processor seconds after which a change counts as an endless loop
    reached: dict[str, list[str]]  # the functions of the module that each test calls


class Hasty:
    """Pytest plugin: a red test is all we want, not its smallest example, and as soon as can be."""

    def __init__(self, suite: Suite, killers: Counter):
        self.suite = suite
        self.killers = killers  # tests that noticed other changes nearby, and how many

    def pytest_sessionstart(self):
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("ci")
        hypothesis.settings.register_profile("mutants", parent=parent, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items):
        items[:] = hasty(items, self.suite, self.killers)


def hasty(items: list[pytest.Item], suite: Suite, killers: Counter) -> list[pytest.Item]:
    """Those first that noticed other changes nearby, then file by file, the quick ones first."""
    files = {file: place for place, file in enumerate(suite.files)}

    def key(item: pytest.Item):
        file = item.nodeid.partition("::")[0]
        return -killers[item.nodeid], files.get(file, 0), suite.seconds.get(item.nodeid, 0.0)

    return sorted(items, key=key)


class Run:
    """A change on trial: the module's text with it, and a file for what the tests print."""

    def __init__(self, item: WorkItem | None, source: str):  # no item: the module as it is
        self.item, self.source = item, source
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the run

    def printed(self) -> str:
        self.log.seek(0)
        return self.log.read()


OPTIONS = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:nbval", "-p", "no:xdist"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is loaded


def fork(module: Path, run: Run, suite: Suite, killers: Counter) -> int:
    """Test the run's text of ``module`` in a child, whatever stands on disk; its process id."""

    def tests() -> int:
        loader = importlib.machinery.SourceFileLoader
        from_disk = loader.get_code

        def get_code(self, name):
            here = Path(self.path).resolve() == ROOT / module
            return compile(run.source, self.path, "exec") if here else from_disk(self, name)

        loader.get_code = get_code
        return pytest.main([*OPTIONS, *suite.files], plugins=[Hasty(suite, killers)])

    return child(module, run, suite.limit, tests)


def child(module: Path, run: Run, limit: float, tests: Callable[[], int]) -> int:
    """A process of its own, with limits, that ends with what ``tests`` returns; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not without the parent
        os.dup2(run.log.fileno(), 1)
        os.dup2(run.log.fileno(), 2)
        # Processor time, not wall clock: what else the machine does must not kill a change.
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 60))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the changed text leaves nothing behind
        sys.dont_write_bytecode = True
        if run.item:
            lay_over(ROOT / module, run.source)
        code = tests()
        sys.stdout.flush()
        os._exit(code)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(BROKEN)


def lay_over(file: Path, source: str) -> None:
    """Let this process and those that it starts read ``source`` in the file, if the system can."""
    own_mounts, bind, private = (
        0x20000,
        0x1000,
        0x44000,
    )  # recursively private
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(own_mounts):
        return
    mount = ctypes.CDLL(None).mount
    if mount(None, b"/", None, private, None):
        return
    with tempfile.NamedTemporaryFile("w", suffix=".py") as changed:
        changed.write(source)
        changed.flush()
        mount(os.fsencode(changed.name), os.fsencode(file), None, bind, None)


Trial = tuple[Run, int, float]  # the exit status, and the processor seconds that it took


def trials(
    items: Iterable[WorkItem | None], start: Callable[..., tuple[Run, int]], limit: float, jobs: int
) -> Iterator[Trial]:
    """Start each, ``jobs`` at a time; yields them as they end."""
    waiting, running = iter(items), {}
    while True:
        while len(running) < jobs and (item := next(waiting, waiting)) is not waiting:
            run, pid = start(item)
            running[pid] = run, time.monotonic() + 60 + 8 * limit  # the machine has other work too
        if not running:
            return
        for pid, (run, last) in list(running.items()):
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done or time.monotonic() > last:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # who sleeps, and what its tests left behind
            if done:
                del running[pid]
                try:
                    yield run, status, used.ru_utime + used.ru_stime
                finally:
                    run.log.close()
        time.sleep(0.02)


class Nursery:
    """Pytest plugin: the tests are collected once, and each change is tried in a fork of that.

    The fork exchanges the code of the functions that differ.  Changes that it cannot bring about so
    (of what was executed while the modules were loaded) are left to a process that loads them anew.
    """

    def __init__(self, session: Session, jobs: int):
        self.session, self.todo, self.jobs = session, session.todo(), jobs
        self.killers = Killers(session.done())
        self.suite, self.file = session.suite(), str(ROOT / session.module)
        self.told = os.dup(1)  # pytest catches what is printed
        self.executed: set[CodeType] = set()
        sys.setprofile(self.note)

    def note(self, frame, event, _):
        if frame.f_code.co_filename == self.file:
            self.executed.add(frame.f_code)

    pytest_sessionstart = Hasty.pytest_sessionstart

    def pytest_collection_finish(self):
        sys.setprofile(None)

    def pytest_runtestloop(self, session):
        if session.testsfailed:
            raise SystemExit(f"The tests of {self.session.module} cannot be collected.")
        if not self.suite.seconds:
            self.suite = self.session.keep(self.unchanged(session))
        self.functions = [
            f
            for f in gc.get_objects()
            if type(f) is FunctionType and f.__code__.co_filename == self.file
        ]
        gc.freeze()  # forks need not look through it

        def start(item: WorkItem) -> tuple[Run, int]:
            run = Run(item, mutated(item, self.session.source))
            tests = functools.partial(self.changed, session, run)
            return run, child(self.session.module, run, self.suite.limit, tests)

        for run, status, _ in trials(self.todo, start, self.suite.limit, self.jobs):
            if os.waitstatus_to_exitcode(status) not in (ANEW, BROKEN):
                outcome, red = finish(status, run)
                self.killers.note(run.item, red)
                told = self.session.add(run, outcome, red)
                os.write(self.told, told.encode())
        return True

    def unchanged(self, session: pytest.Session) -> Suite:
        """The tests with their times on the unchanged module, on which they must pass."""
        run = Run(None, self.session.source)

        def tests() -> int:
            called: set[CodeType] = set()

            def note(frame, event, _):  # of a function that is entered; its lines do not matter
                if frame.f_code.co_filename == self.file:
                    called.add(frame.f_code)

            for item, after in itertools.zip_longest(session.items, session.items[1:]):
                start = time.process_time()
                called.clear()
                sys.settrace(note)
                threading.settrace(note)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                sys.settrace(None)
                seconds = time.process_time() - start
                line = json.dumps([item.nodeid, seconds, sorted(map(name_of, called))])
                os.write(run.log.fileno(), f"\nTIMED {line}\n".encode())
                if session.testsfailed:
                    os.write(run.log.fileno(), f"\nFAILED {item.nodeid}\n".encode())
                    return 1
            return 0

        def start(_) -> tuple[Run, int]:
            return run, child(self.session.module, run, 3600, tests)

        _, status, used = next(ends := trials([None], start, 3600, 1))
        outcome, red = finish(status, run)
        if outcome is not TestOutcome.SURVIVED:
            raise SystemExit(f"The tests of {self.session.module} are red before any change: {red}")
        timed = list(map(json.loads, re.findall(r"^TIMED (.+)$", run.printed(), re.MULTILINE)))
        ends.close()
        seconds, reached = ({row[0]: row[k] for row in timed} for k in (1, 2))
        return Suite(self.suite.files, seconds, 10 + 3 * used, reached)

    def changed(self, session: pytest.Session, run: Run) -> int:
        """In the fork: exchange the code, run the tests until one is red."""
        pairs = exchanges(
            *(compile(t, self.file, "exec") for t in (self.session.source, run.source))
        )
        if not pairs or any(before in self.executed for before, _ in pairs):
            return ANEW
        for before, after in pairs:
            found = [f for f in self.functions if f.__code__ == before]
            if not found:
                return ANEW
            for function in found:
                function.__code__ = after
        names = {name_of(before) for before, _ in pairs}
        reach = [i for i in session.items if names.intersection(self.suite.reached[i.nodeid])]
        if not reach or str(self.session.module) in CONFIG["elsewhere"]:
            reach = session.items
        items = hasty(reach, self.suite, self.killers.near(run.item))
        for item, after in itertools.zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                os.write(run.log.fileno(), f"\nFAILED {item.nodeid}\n".encode())
                return 1
        return 0


def name_of(code: CodeType) -> str:
    return f"{code.co_qualname}:{code.co_firstlineno}"


def exchanges(before: CodeType, after: CodeType) -> list[tuple[CodeType, CodeType]]:
    """The outermost functions that differ; none if what stands outside of functions differs."""

    def parts(code: CodeType) -> tuple:
        others = [c for c in code.co_consts if not isinstance(c, CodeType)]
        return code.co_code, code.co_names, code.co_varnames, code.co_freevars, repr(others)

    if parts(before) != parts(after):
        return []
    pairs = []
    for old, new in zip(before.co_consts, after.co_consts, strict=True):
        if not isinstance(old, CodeType) or old == new:
            continue
        of_a_function = old.co_flags & 2  # CO_NEWLOCALS: no body of a class
        inner = [(old, new)] if of_a_function else exchanges(old, new)
        if not inner:
            return []
        pairs += inner
    return pairs


def finish(status: int, run: Run) -> tuple[TestOutcome, str]:
    """What became of the change, and the test that noticed it."""
    text = run.printed()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return TestOutcome.SURVIVED, ""
    if code in (-signal.SIGKILL, -signal.SIGXCPU, -signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT):
        return TestOutcome.KILLED, signal.Signals(-code).name
    reds = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE)
    if code in (1, 2) and reds:
        return TestOutcome.KILLED, reds[0]
    raise RuntimeError(f"The tests ended with status {code} and no red test:\n{text}")


class Session:
    """The changes of one module and what became of each, on disk; ``with session:`` opens it."""

    def __init__(self, module: Path, tests: list[str], drawn: str = ""):
        self.module, self.source, self.tests = module, module.read_text(), tests
        folders = {Path("tests"), *(Path(test).parent for test in tests)}
        helpers = {f for folder in folders for f in folder.glob("*.py") if not f.match("test_*")}
        self.now = digest(*(file.read_text() for file in [*sorted(helpers), *map(Path, tests)]))
        key = digest(self.source, CONFIG["operators"], *CONFIG["texts"], *filter(None, [drawn]))
        self.file = BUILD / f"{'-'.join(module.with_suffix('').parts[1:])}-{key}.sqlite"

    def __enter__(self) -> Session:
        self.opened = use_db(str(self.file), WorkDB.Mode.create)
        self.db = self.opened.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self.opened.__exit__(*exception)

    def suite(self) -> Suite:
        """The tests, with their times if those were measured."""
        file = self.file.with_suffix(".json")
        kept = json.loads(file.read_text()) if file.exists() else {}
        if kept.get("tests") != self.now:
            return Suite(self.tests, {}, 3600, {})
        return Suite(self.tests, kept["seconds"], kept["limit"], kept["reached"])

    def keep(self, suite: Suite) -> Suite:
        kept = {**suite._asdict(), "tests": self.now}
        self.file.with_suffix(".json").write_text(json.dumps(kept))
        return suite

    def done(self) -> list[tuple[WorkItem, WorkResult]]:
        """The results that hold today; a change that survived other tests is not done."""
        return [
            (item, result)
            for item, result in self.db.completed_work_items
            if result.test_outcome is TestOutcome.KILLED or result.output == self.now
        ]

    def todo(self) -> list[WorkItem]:
        """The other changes, in the order of the text."""
        done = {item.job_id for item, _ in self.done()}
        left = [item for item in self.db.work_items if item.job_id not in done]
        return sorted(left, key=lambda item: item.mutations[0].start_pos)

    def add(self, run: Run, outcome: TestOutcome, red: str) -> str:
        """Keep what became of a change; the same in a line."""
        diff = lines_changed(self.source, run.source)
        result = WorkResult(WorkerOutcome.NORMAL, red or self.now, outcome, diff)
        self.db.set_result(run.item.job_id, result)
        done, total = len(self.db.completed_work_items), self.db.num_work_items
        return f"{self.module} {done}/{total} {red or 'SURVIVED'}\n" + ("" if red else diff + "\n")


def measure(module: Path, tests: list[str], jobs: int, sample: int | None, seed: int) -> None:
    """Run every change of the module that is not done."""
    drawn = "" if sample is None else f"seed {seed}"
    with Session(module, tests, drawn) as session:
        there = session.db.num_work_items
        if not there or (sample or 0) > there:  # a larger sample begins with a smaller one
            drawn_now = changes(module, session.source, sample, seed)
            session.db.add_work_items(drawn_now[there:])
        if not session.todo():
            return
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        with Session(module, tests, drawn) as session:
            code = pytest.main([*OPTIONS, *tests], plugins=[Nursery(session, jobs)])
        os._exit(bool(code))
    os.waitpid(pid, 0)
    with Session(module, tests, drawn) as session:
        killers, suite = Killers(session.done()), session.suite()
        if not suite.seconds:
            raise RuntimeError(f"{module} was not measured: its tests are red, or cannot be run.")

        def start(item: WorkItem) -> tuple[Run, int]:
            run = Run(item, mutated(item, session.source))
            return run, fork(module, run, suite, killers.near(item))

        for run, status, _ in trials(session.todo(), start, suite.limit, jobs):
            outcome, red = finish(status, run)
            killers.note(run.item, red)
            print(session.add(run, outcome, red), end="", flush=True)


class Killers:
    """Which tests noticed changes, per function: those go first for the next change of it."""

    def __init__(self, results: list[tuple[WorkItem, WorkResult]]):
        self.counts = defaultdict(Counter)
        for item, result in results:
            self.note(item, result.output if result.test_outcome is TestOutcome.KILLED else "")

    def note(self, item: WorkItem, red: str) -> None:
        self.counts[place(item)].update([red] if red else [])

    def near(self, item: WorkItem) -> Counter:
        """Those of the same function count a thousand times those of the module."""
        near = sum(self.counts.values(), Counter())
        for red, count in self.counts[place(item)].items():
            near[red] += 1000 * count
        return near


def place(item: WorkItem) -> str:
    """The function that the change is in."""
    return item.mutations[0].definition_name or ""


def digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


# -------------------------------------------------------------------------------------- the score


class Survivor(NamedTuple):
    """A change that no test noticed; ``lines`` are the changed lines before and after."""

    module: str
    place: str
    lines: str


def explained() -> dict[Survivor, str]:
    """The verdicts of survivors.toml: equivalent or accepted."""
    table = tomllib.loads((mutation_table.KEPT / "survivors.toml").read_text())
    verdicts = {}
    for entry in table.get("survivor", []):
        assert entry["verdict"] in ("equivalent", "accepted"), entry
        for lines in entry["changes"]:
            key = Survivor(entry["module"], entry["place"], lines.strip())
            verdicts[key] = entry["verdict"]
    return verdicts


def score(
    module: Path, tests: list[str], commit: str, sample: int | None, seed: int
) -> mutation_table.Score:
    """What became of the changes of a module, as scores.json keeps it."""
    verdicts = explained()
    with Session(module, tests, "" if sample is None else f"seed {seed}") as session:
        done = sorted(session.done(), key=lambda pair: pair[0].mutations[0].start_pos)
    count = Counter({"changes": len(done)})
    unexplained = []
    for item, result in done:
        if result.test_outcome is TestOutcome.KILLED:
            count["killed"] += 1
            count["time-outs"] += result.output in ("SIGXCPU", "SIGKILL")
            continue
        survivor = Survivor(module.as_posix(), place(item), result.diff)
        count[verdicts.get(survivor, "unexplained")] += 1
        if survivor not in verdicts:
            unexplained.append({"place": survivor.place, "lines": survivor.lines})
    counts = {name: count[name] for name in mutation_table.COUNTS}
    drawn = {} if sample is None else {"of": len(possible(module, session.source)), "seed": seed}
    return {"commit": commit, **drawn, **counts, "survivors": unexplained}


def commit_now() -> str:
    """The commit that is checked out; with a word if the package or its tests differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.check_output(["git", *arguments], text=True)

    edited = git("status", "--porcelain", "ddrm_edu", "tests", ":!tests/mutation")
    return git("rev-parse", "--short", "HEAD").strip() + (" with edits" if edited else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="e.g. ddrm_edu/ddpm.py; by default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--sample", type=int, help="changes of each module; by default all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    arguments = parser.parse_args()

    os.chdir(ROOT)
    torch.testing.assert_close(torch.ones(1), torch.ones(1))  # loads what it needs once
    sys.path.insert(0, str(ROOT))  # this checkout, not another one that is installed
    os.environ["HYPOTHESIS_PROFILE"] = "ci"
    BUILD.mkdir(parents=True, exist_ok=True)
    gc.freeze()  # forks need not look through what was loaded before them
    sample, seed, red = arguments.sample, arguments.seed, []
    for module in arguments.modules or CONFIG["modules"]:
        tests, commit = CONFIG["modules"][module], commit_now()
        try:
            measure(Path(module), tests, arguments.jobs, sample, seed)
        except RuntimeError as error:
            red.append(f"{module}: {error}")
            continue
        mutation_table.keep(module, score(Path(module), tests, commit, sample, seed))
        mutation_table.README.write_text(mutation_table.report())
    print(mutation_table.report())
    sys.exit("\n".join(red))


if __name__ == "__main__":
    main()

"""Mutation testing: how many small changes of the library do its tests notice?

    python scripts/mutants.py                      every module of tests/mutation/mutants.toml
    python scripts/mutants.py ddrm_edu/ddpm.py     this one

The changes come from Cosmic Ray, which also keeps the results: a SQLite session per module in
``build/mutants``, named by the module's text, so an interrupted run continues where it stopped and
``cr-report build/mutants/NAME.sqlite`` reads it.  Cosmic Ray itself would start Python and load
PyTorch once per change; here one process loads them and forks, and a change lives in the fork's
memory only, so the files on disk are never touched.  After each module its score and the commit
that is checked out go to ``tests/mutation/scores.json``, and from there to ``README.md`` beside it,
which lists the modules that were never measured as well.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import hashlib
import importlib.machinery
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
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
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutants"
MEMORY = 16 * 2**30  # a fork that asks for more gets a MemoryError, which is a red test
BROKEN = 99  # exit status of a fork whose failure says nothing about the tests
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


def changes(module: Path, source: str) -> list[WorkItem]:
    """Every change worth a run: not of a text, and still Python."""
    kept, texts = re.compile(CONFIG["operators"]), not_numbers(ast.parse(source))

    def worth(item: WorkItem) -> bool:
        (change,) = item.mutations
        if not kept.fullmatch(change.operator_name):
            return False
        in_text = any(start <= change.start_pos < end for start, end in texts)
        return not in_text and is_python(mutated(item, source))

    return list(filter(worth, _all_work_items([module], {})))


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
        seconds = self.suite.seconds
        items.sort(key=lambda item: (-self.killers[item.nodeid], seconds.get(item.nodeid, 0.0)))


class Run:
    """A change on trial: the module's text with it, and a file for what the tests print."""

    def __init__(self, item: WorkItem | None, source: str):  # no item: the module as it is
        self.item, self.source = item, source
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the run

    def printed(self) -> str:
        self.log.seek(0)
        return self.log.read()


def fork(module: Path, run: Run, suite: Suite, killers: Counter) -> int:
    """Test the run's text of ``module`` in a child, whatever stands on disk; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.dup2(run.log.fileno(), 1)
        os.dup2(run.log.fileno(), 2)
        # Processor time, not wall clock: what else the machine does must not kill a change.
        resource.setrlimit(resource.RLIMIT_CPU, (int(suite.limit), int(suite.limit) + 60))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        loader = importlib.machinery.SourceFileLoader
        from_disk = loader.get_code

        def get_code(self, name):
            here = Path(self.path).resolve() == ROOT / module
            return compile(run.source, self.path, "exec") if here else from_disk(self, name)

        loader.get_code = get_code
        options = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:nbval"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is loaded
        options += [] if run.item else ["--durations=0", "--durations-min=0"]
        code = pytest.main([*options, *suite.files], plugins=[Hasty(suite, killers)])
        sys.stdout.flush()
        os._exit(code)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(BROKEN)


def finish(status: int, run: Run) -> tuple[TestOutcome, str]:
    """What became of the change, and the test that noticed it."""
    text = run.printed()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return TestOutcome.SURVIVED, ""
    if code in (-signal.SIGXCPU, -signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT):
        return TestOutcome.KILLED, signal.Signals(-code).name
    reds = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE)
    if code in (1, 2) and reds:
        return TestOutcome.KILLED, reds[0]
    raise RuntimeError(f"The tests ended with status {code} and no red test:\n{text}")


def measured(module: Path, source: str, tests: list[str]) -> Suite:
    """The tests with their times on the unchanged module, on which they must pass."""
    run, suite = Run(None, source), Suite(tests, {}, 3600)
    _, status, used = os.wait4(fork(module, run, suite, Counter()), 0)
    outcome, red = finish(status, run)
    if outcome is not TestOutcome.SURVIVED:
        raise SystemExit(f"The tests of {module} are red before any change: {red}")
    calls = re.findall(r"^([\d.]+)s call +(.+)$", run.printed(), re.MULTILINE)
    seconds = {test: float(second) for second, test in calls}
    return Suite(tests, seconds, 30 + 5 * (used.ru_utime + used.ru_stime))


class Session:
    """The changes of one module and what became of each, on disk; ``with session:`` opens it."""

    def __init__(self, module: Path, tests: list[str]):
        self.module, self.source = module, module.read_text()
        folders = {Path("tests"), *(Path(test).parent for test in tests)}
        helpers = {f for folder in folders for f in folder.glob("*.py") if not f.match("test_*")}
        self.now = digest(*(file.read_text() for file in [*sorted(helpers), *map(Path, tests)]))
        key = digest(self.source, CONFIG["operators"], *CONFIG["texts"])
        self.file = BUILD / f"{'-'.join(module.with_suffix('').parts[1:])}-{key}.sqlite"

    def __enter__(self) -> Session:
        self.opened = use_db(str(self.file), WorkDB.Mode.create)
        self.db = self.opened.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self.opened.__exit__(*exception)

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

    def add(self, run: Run, outcome: TestOutcome, red: str) -> None:
        diff = lines_changed(self.source, run.source)
        result = WorkResult(WorkerOutcome.NORMAL, red or self.now, outcome, diff)
        self.db.set_result(run.item.job_id, result)


def measure(module: Path, tests: list[str], jobs: int) -> None:
    """Run every change of the module that is not done."""
    with Session(module, tests) as session:
        if not session.db.num_work_items:
            session.db.add_work_items(changes(module, session.source))
        killers = Killers(session.done())
        todo = session.todo()
        if not todo:
            return
        suite = measured(module, session.source, tests)
        finished = trials(session, suite, todo, killers, jobs)
        total = session.db.num_work_items
        for run, outcome, red in tqdm(
            finished, desc=str(module), total=total, initial=total - len(todo)
        ):
            killers.note(run.item, red)
            session.add(run, outcome, red)


def trials(
    session: Session, suite: Suite, todo: list[WorkItem], killers: Killers, jobs: int
) -> Iterator[tuple[Run, TestOutcome, str]]:
    """Try the changes, ``jobs`` at a time; each with its end, as they end."""
    waiting, running = iter(todo), {}
    while True:
        while len(running) < jobs and (item := next(waiting, None)):
            run = Run(item, mutated(item, session.source))
            running[fork(session.module, run, suite, killers.near(item))] = run
        if not running:
            return
        pid, status = os.wait()
        run = running.pop(pid)
        yield run, *finish(status, run)


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


def score(module: Path, tests: list[str], commit: str) -> mutation_table.Score:
    """What became of the changes of a module, as scores.json keeps it."""
    verdicts = explained()
    with Session(module, tests) as session:
        done = sorted(session.done(), key=lambda pair: pair[0].mutations[0].start_pos)
    count = Counter({"changes": len(done)})
    unexplained = []
    for item, result in done:
        if result.test_outcome is TestOutcome.KILLED:
            count["killed"] += 1
            count["time-outs"] += result.output == "SIGXCPU"
            continue
        survivor = Survivor(module.as_posix(), place(item), result.diff)
        count[verdicts.get(survivor, "unexplained")] += 1
        if survivor not in verdicts:
            unexplained.append({"place": survivor.place, "lines": survivor.lines})
    counts = {name: count[name] for name in mutation_table.COUNTS}
    return {"commit": commit, **counts, "survivors": unexplained}


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
    arguments = parser.parse_args()

    os.chdir(ROOT)
    tqdm.monitor_interval = 0  # no second thread, so that forking is safe
    torch.testing.assert_close(torch.ones(1), torch.ones(1))  # loads what it needs once
    sys.path.insert(0, str(ROOT))  # this checkout, not another one that is installed
    os.environ["HYPOTHESIS_PROFILE"] = "ci"
    BUILD.mkdir(parents=True, exist_ok=True)
    gc.freeze()  # forks need not look through what was loaded before them
    for module in arguments.modules or CONFIG["modules"]:
        tests, commit = CONFIG["modules"][module], commit_now()
        measure(Path(module), tests, arguments.jobs)
        mutation_table.keep(module, score(Path(module), tests, commit))
        mutation_table.README.write_text(mutation_table.report())
    print(mutation_table.report())


if __name__ == "__main__":
    main()

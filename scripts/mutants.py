"""Mutation testing: how many small changes of the library do its tests notice?

    python scripts/mutants.py                      every module of tests/mutation/mutants.toml
    python scripts/mutants.py ddrm_edu/ddpm.py     this one

The changes come from Cosmic Ray, which also keeps the results: a SQLite session per module in
``build/mutants``, named by the module's text, so an interrupted run continues where it stopped and
``cr-report build/mutants/NAME.sqlite`` reads it.  Cosmic Ray itself would start Python and load
PyTorch once per change; here one process loads them and forks, and a change lives in the fork's
memory only, so the files on disk are never touched.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import importlib.machinery
import os
import re
import resource
import signal
import sys
import tempfile
import tomllib
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before torch: threads do not fork

import cosmic_ray.plugins
import hypothesis
import parso
import pytest
import scipy.sparse.linalg  # noqa: F401  loaded here so that no fork has to
import torch
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutants"
KEPT = ROOT / "tests" / "mutation"
MEMORY = 16 * 2**30  # a fork that asks for more gets a MemoryError, which is a red test
BROKEN = 99  # exit status of a fork whose failure says nothing about the tests
CONFIG = tomllib.loads((KEPT / "mutants.toml").read_text())


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


class Hasty:
    """Pytest plugin: a red test is all we want, not its smallest example, and as soon as can be."""

    def __init__(self, killers: Counter):
        self.killers = (
            killers  # tests that noticed other changes of the same function, and how many
        )

    def pytest_sessionstart(self):
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("ci")
        hypothesis.settings.register_profile("mutants", parent=parent, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: -self.killers[item.nodeid])


class Run:
    """A change on trial: the module's text with it, and a file for what the tests print."""

    def __init__(self, item: WorkItem | None, source: str):  # no item: the module as it is
        self.item, self.source = item, source
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  finish() closes it


def fork(module: Path, run: Run, tests: list[str], seconds: float, killers: Counter) -> int:
    """Test the run's text of ``module`` in a child, whatever stands on disk; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.dup2(run.log.fileno(), 1)
        os.dup2(run.log.fileno(), 2)
        # Processor time, not wall clock: what else the machine does must not kill a change.
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 60))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        loader = importlib.machinery.SourceFileLoader
        from_disk = loader.get_code

        def get_code(self, name):
            here = Path(self.path).resolve() == ROOT / module
            return compile(run.source, self.path, "exec") if here else from_disk(self, name)

        loader.get_code = get_code
        options = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:nbval"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is loaded
        code = pytest.main([*options, *tests], plugins=[Hasty(killers)])
        sys.stdout.flush()
        os._exit(code)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(BROKEN)


def finish(status: int, run: Run) -> tuple[TestOutcome, str]:
    """What became of the change, and the test that noticed it."""
    with run.log:
        run.log.seek(0)
        text = run.log.read()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return TestOutcome.SURVIVED, ""
    if code in (-signal.SIGXCPU, -signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT):
        return TestOutcome.KILLED, signal.Signals(-code).name
    reds = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE)
    if code in (1, 2) and reds:
        return TestOutcome.KILLED, reds[0]
    raise RuntimeError(f"The tests ended with status {code} and no red test:\n{text}")


def baseline(module: Path, source: str, tests: list[str]) -> float:
    """Processor seconds of the tests on the unchanged module, which must pass."""
    run = Run(None, source)
    pid = fork(module, run, tests, 3600, Counter())
    _, status, used = os.wait4(pid, 0)
    outcome, red = finish(status, run)
    if outcome is not TestOutcome.SURVIVED:
        raise SystemExit(f"The tests of {module} are red before any change: {red}")
    return used.ru_utime + used.ru_stime


def measure(module: Path, tests: list[str], jobs: int) -> list[tuple[WorkItem, WorkResult]]:
    """Run what has no result yet, or survived other tests than today's; all results."""
    source = module.read_text()
    helpers = [file for file in Path("tests").glob("*.py") if not file.match("test_*")]
    now = digest(*(file.read_text() for file in [*sorted(helpers), *map(Path, tests)]))
    key = digest(source, CONFIG["operators"], *CONFIG["texts"])
    session = BUILD / f"{module.stem}-{key}.sqlite"
    with use_db(str(session), WorkDB.Mode.create) as db:
        if not db.num_work_items:
            db.add_work_items(changes(module, source))
        done, killers = set(), defaultdict(Counter)
        for item, result in db.completed_work_items:
            if result.test_outcome is TestOutcome.KILLED:
                killers[place(item)][result.output] += 1
            if result.test_outcome is TestOutcome.KILLED or result.output == now:
                done.add(item.job_id)
        todo = [item for item in db.work_items if item.job_id not in done]
        todo.sort(key=lambda item: item.mutations[0].start_pos, reverse=True)
        limit = 30 + 10 * baseline(module, source, tests) if todo else 0
        running: dict[int, Run] = {}
        with tqdm(total=db.num_work_items, initial=len(done), desc=str(module)) as bar:
            while todo or running:
                while todo and len(running) < jobs:
                    item = todo.pop()
                    run = Run(item, mutated(item, source))
                    running[fork(module, run, tests, limit, killers[place(item)])] = run
                pid, status = os.wait()
                run = running.pop(pid)
                outcome, red = finish(status, run)
                killers[place(run.item)].update([red] if red else [])
                diff = lines_changed(source, run.source)
                result = WorkResult(WorkerOutcome.NORMAL, red or now, outcome, diff)
                db.set_result(run.item.job_id, result)
                bar.update()
        return list(db.completed_work_items)


def place(item: WorkItem) -> str:
    """The function that the change is in."""
    return item.mutations[0].definition_name or ""


def digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


# ------------------------------------------------------------------------------------- the report


class Survivor(NamedTuple):
    """A change that no test noticed; ``lines`` are the changed lines before and after."""

    module: str
    place: str
    lines: str


def explained() -> dict[Survivor, dict[str, str]]:
    """The verdicts of survivors.toml: equivalent or accepted, and why."""
    table = tomllib.loads((KEPT / "survivors.toml").read_text())
    verdicts = {}
    for entry in table.get("survivor", []):
        assert entry["verdict"] in ("equivalent", "accepted"), entry
        for lines in entry["changes"]:
            key = Survivor(entry["module"], entry["place"], lines.strip())
            verdicts[key] = {"verdict": entry["verdict"], "because": entry["because"]}
    return verdicts


def report(results: dict[str, list[tuple[WorkItem, WorkResult]]]) -> str:
    """The table of scores and the list of survivors, as Markdown."""
    verdicts, rows, listed = explained(), [], []
    total = Counter()
    for module, pairs in results.items():
        count = Counter(changes=len(pairs))
        for item, result in sorted(pairs, key=lambda pair: pair[0].mutations[0].start_pos):
            if result.test_outcome is TestOutcome.KILLED:
                count["killed"] += 1
                count["time-outs"] += result.output == "SIGXCPU"
                continue
            survivor = Survivor(module, place(item), result.diff)
            verdict = verdicts.get(survivor, {"verdict": "unexplained", "because": "?"})
            count[verdict["verdict"]] += 1
            where = (
                f"{module}:{item.mutations[0].start_pos[0]}, {survivor.place}: {verdict['verdict']}"
            )
            listed.append(f"### {where}\n\n```diff\n{result.diff}\n```\n\n{verdict['because']}\n")
        rows.append(row(module, count))
        total += count
    table = "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows])
    total_row = row("all", total)
    return f"{INTRODUCTION}\n{table}\n{total_row}\n\n## Survivors\n\n" + "\n".join(listed)


VERDICTS = ["equivalent", "accepted", "unexplained"]
COLUMNS = ["module", "changes", "killed", "time-outs", *VERDICTS, "score"]
INTRODUCTION = """# Mutation score

Written by `make mutants`; the reasons stand in `survivors.toml`.  The score is the share of noticed
changes among those that are not equivalent to the original.  `killed` includes the time-outs.
"""


def row(name: str, count: Counter) -> str:
    score = count["killed"] / max(1, count["changes"] - count["equivalent"])
    return f"| {name} | " + " | ".join(str(count[c]) for c in COLUMNS[1:-1]) + f" | {score:.1%} |"


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
    results = {
        module: measure(Path(module), CONFIG["modules"][module], arguments.jobs)
        for module in arguments.modules or CONFIG["modules"]
    }
    text = report(results)
    if not arguments.modules:
        (KEPT / "README.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""The law of other packages' restoration samplers, beside ours and the exact posterior.

    python benchmarks/peers_law.py

Needs azula 0.11.1 and deepinv 0.5.0 (``pip install azula==0.11.1 deepinv==0.5.0``; torchvision,
which both ask for, is replaced by empty modules if it is not there: nothing here uses it).  Both
run through adapters of a few lines (``peers/of_azula.py``, ``peers/of_deepinv.py``) on Gaussian
problems whose posterior is known, at our noise levels, and with the same noise as ours.  Where the
two differ, what makes the difference is changed, in an argument or in the line of the installed
source, and both run again.  Writes ``benchmarks/results/peers_law.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch
from peers.ours import OURS
from peers.problems import (
    DRAWS,
    RUNS,
    SAME,
    STEPS,
    Distance,
    N,
    Problem,
    Sampler,
    problems,
    w2,
)
from peers.source import VERSIONS, code, require_packages
from tqdm import tqdm

from ddrm_edu import check_sampler

if TYPE_CHECKING:
    from peers.comparisons import Comparison


def row(number: int, one: Comparison, laws: Laws) -> str:
    """A line of the table."""
    cells, before, after = [], 0.0, 0.0
    for problem in one.problems or problems():
        mine = OURS[one.ours](problem)
        theirs = laws.distance(f"{one.name} of {one.package}", problem, one.counted or one.theirs)
        cells.append(f"{theirs} / {laws.distance(one.ours, problem, mine)}")
        before = max(before, one.distance(problem, one.theirs, mine))
        if one.changed:
            theirs, mine = (each(problem) for each in one.changed)
            after = max(after, one.distance(problem, theirs, mine))
    if one.problems:  # the one in the column of inpainting
        cells = ["-", "-", *cells, "-"]
    if before <= one.rounding:
        verdict = "agree"
    else:
        verdict = "explained" if one.changed and after <= one.rounding else "differ"
    parts = [
        f"[{number}](#{number})" if one.note else str(number),
        one.name,
        f"{one.package} {VERSIONS[one.package]}",
        str(len(code(one.adapter))),
        one.ours,
        *cells,
        short(before),
        short(after) if one.changed else "",
        verdict,
    ]
    return f"| {' | '.join(parts)} |"


def short(value: float) -> str:
    return f"{value:.0e}" if value < 1e-3 or value >= 100 else f"{value:.2f}"


class Laws:
    """Distances that were measured, and why some of them are estimates."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Distance] = {}
        self.why: dict[str, str] = {}

    def distance(self, name: str, problem: Problem, sampler: Sampler) -> Distance:
        key = (name, problem.name)
        if key not in self.known:
            self.known[key] = w2(problem, sampler)
        if why := self.known[key].why:
            reason = why.partition(", but ")[2].partition(". ")[0].partition(":")[0]
            self.why.setdefault(name, reason)
        return self.known[key]


def checks(methods: list[Comparison]) -> list[str]:
    """What ``check_sampler`` says of those that it can be asked about, and why not of others."""
    ddrm = next(one for one in methods if one.changed and one.ours == "ddrm_samples")
    asked = {f"{one.name} of {one.package}": one.theirs for one in methods if not one.unasked}
    asked[f"{ddrm.name} of {ddrm.package}, changed as above"] = ddrm.changed[0](problems()[0])
    found = []
    for name, sampler in asked.items():
        answer = check_sampler(sampler, draws=2000)
        count = f"{len(answer.failures)} of its claims are broken, the first of them"
        found.append(
            f"* {name}: "
            + ("every claim holds." if answer.ok else f"{count}: *{answer.failures[0].name}*.")
        )
    reasons: dict[str, list[str]] = {}
    for one in methods:
        if one.unasked:
            reasons.setdefault(one.unasked, []).append(f"{one.name} of {one.package}")
    return found + [f"* Not asked, as {why}: {'; '.join(who)}." for why, who in reasons.items()]


def report(methods: list[Comparison], rows: list[str], laws: Laws) -> str:
    names = [problem.name for problem in problems()]
    columns = ["", "sampler", "package", "lines", "ours", *names, "apart", "changed", ""]
    files = [Path(__file__).parent / "peers" / f"of_{package}.py" for package in VERSIONS]
    notes = [
        f'{number}. <a id="{number}"></a>{one.package} {VERSIONS[one.package]}, {one.name}: '
        + one.note
        for number, one in enumerate(methods, 1)
        if one.note
    ]
    return PAGE.format(
        versions=", ".join(f"{name} {version}" for name, version in VERSIONS.items()),
        torch=torch.__version__,
        steps=STEPS,
        n=N,
        draws=f"{RUNS * DRAWS:,}",
        same=SAME,
        files=", ".join(f"`{file.name}` {len(code(file))}" for file in files),
        head=f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|",
        rows="\n".join(rows),
        problems="; ".join(map(told, problems())),
        notes="\n".join(notes),
        reasons="\n".join(f"* {name}: {why}." for name, why in laws.why.items()),
        checks="\n".join(checks(methods)),
    )


PAGE = """# The law of other packages' samplers

Written by `python benchmarks/peers_law.py`: {versions}, torch {torch}. {steps} linear levels, n =
{n}, Gaussian priors with their exact denoiser, DDPM's noise (eta 1) if not said otherwise.

In the columns of the problems stands the distance of a sampler's law from the posterior, theirs /
ours: W2 in units of the posterior's spread, averaged over y, exact by `law_of`; with ± it is that
of Gaussians of the same first two moments, from {draws} draws. *apart*: root mean square
difference of {same} images with the same y and noise, in the same unit, the largest of the
problems; W2 between the two laws is at most that, but for the error of those draws (for RePaint,
which draws in another order, it is W2 itself). *changed*: the same after the change of which the
note tells. *agree*: apart by rounding only; *explained*: by rounding only after that change;
rounding is up to 1e-10, and up to 1e-5 where deepinv calls the denoiser in float32, 1e-8 where W2
is 2e+05. *lines*: of the adapter; what the adapters of a package share is in the same file, lines
in all: {files}.

{head}
{rows}

The problems: {problems}.

## How they are translated

Here images are x_0 + sigma z. The VP images of azula and deepinv are those times (1 +
sigma^2)^(-1/2): azula is given our levels as a schedule, deepinv's SDE the times at which its own
schedule has them. Both start at N(0, sigma_T^2 I) in our units; in azula that is `init(var=0)`,
its default N(0, (1 + sigma_T^2) I). deepinv's DiffPIR keeps its own levels, and images in [0, 1]:
x = low + width u, where the width is eight of the prior's standard deviations; ours beside it
runs on the same levels, in units of x.

## What makes the difference

Lines are those of the installed source.

{notes}

## Why some laws are estimated

What `law_of` found when it refused, in the first problem in which it did:

{reasons}

## What `check_sampler` says

It asks for DDRM, which only one of them means to be.

{checks}
"""


def told(problem: Problem) -> str:
    s = [f"{value:.2g}" for value in problem.op.s.flatten().tolist() if value > 0]
    return f"*{problem.name}*, s = {', '.join(s)}, sigma_y = {problem.sigma_y}"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results")
def main(out: Path) -> None:
    """Measure the table, which takes some minutes."""
    torch.set_num_threads(1)
    require_packages()
    from peers.comparisons import of_azula, of_deepinv

    methods, laws = of_azula() + of_deepinv(), Laws()
    rows = [row(k, one, laws) for k, one in enumerate(tqdm(methods), 1)]
    out.mkdir(parents=True, exist_ok=True)
    text = report(methods, rows, laws)
    (out / "peers_law.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()

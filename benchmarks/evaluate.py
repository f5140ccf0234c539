"""The committed tables over held-out images, by ``ddrm-edu evaluate``.

    python benchmarks/evaluate.py [--run build/evaluate] [--table evaluate-steps]

Test images of CIFAR-10: 64 with one draw, 16 with eight, and 16 with one draw and more steps.  Goes
on where it was stopped; writes ``benchmarks/results/evaluate.csv``, ``.md`` and ``.png``, and the
same of ``evaluate-draws``; of ``evaluate-steps`` no figure, but what equal costs buy.
"""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path
from typing import NamedTuple

import click
from measuring import RESULTS, ROOT

from ddrm_edu.baselines import BASELINES
from ddrm_edu.evaluation.command import evaluate
from ddrm_edu.evaluation.tables import write_tables


class Part(NamedTuple):
    """Cells that are computed one after another, of all problems or of some."""

    methods: tuple[str, ...]
    etas: str
    steps: tuple[int, ...] = (20,)
    tasks: tuple[str, ...] = ()


PROBLEMS = {
    "inpaint:0.7": 0.0,
    "superres:2": 0.05,
    "denoise": 0.25,
    "deblur:gaussian:1": 0.05,
    "box:12": 0.0,
}
NOISY = tuple(task for task, sigma_y in PROBLEMS.items() if sigma_y)  # elsewhere "tight" is eta 1
CLASSICAL = ("pinv", "wiener", "tv:weight=0.1", "tv:weight=0.25", "tv:weight=0.5", "nlm")
CLASSICAL += ("biharmonic", "bicubic")
BLOCKS = ("superres:2",)  # alone it has both noise where it measures and what it does not measure
SINGLE = (
    Part(CLASSICAL, "own"),
    Part(("ddrm",), "own,1,tight"),
    Part(("moment-matching",), "own,1"),
    Part(("pigdm",), "1"),
    Part(("ddnm+",), "own"),
    Part(("moment-matching",), "1", (10,)),
    Part(("ddrm",), "0.85/1", tasks=BLOCKS),
)
DRAWS = (
    Part(CLASSICAL, "own"),
    Part(("ddrm",), "own,1"),
    Part(("moment-matching",), "own,1"),
)
STEPS = (
    Part(CLASSICAL, "own"),
    Part(("ddrm",), "own,1", (20, 50, 100)),
    Part(("moment-matching",), "1", (10, 20, 25, 50)),
    Part(("ddrm",), "tight", (20, 50, 100), NOISY),
    Part(("ddrm",), "0.85/1", (20, 50, 100), BLOCKS),
    Part(("moment-matching",), "1", (100,)),
)
TABLES = {
    "evaluate": (SINGLE, 64, 1),
    "evaluate-draws": (DRAWS, 16, 8),
    "evaluate-steps": (STEPS, 16, 1),
}
VJP = 2
"""Evaluations that one with its vector-Jacobian product costs in time; column s: .151 / .078."""


def measure(folder: Path, parts: tuple[Part, ...], count: int, draws: int) -> None:
    for methods, etas, steps, tasks in parts:
        for task in tasks or PROBLEMS:
            evaluate(
                "cifar10", folder, [task], [PROBLEMS[task]], methods, etas, steps,
                draws=draws, count=count, size=None, chunk=16, seed=0, model="natural",
                device="cpu", lpips=False, only_tables=False, say=click.echo,
            )  # fmt: skip


def at_equal_costs(rows: list[dict[str, str]]) -> str:
    """What DDRM and moment matching reach for the evaluations of DDRM, and for its seconds."""
    lines = [
        "",
        "## At equal costs",
        "",
        "PSNR in dB of one draw for the cost of so many steps of DDRM: moment matching, eta 1, has",
        f"as many evaluations, or as much time, which is 1/{VJP} of the evaluations. The best",
        "classical method is chosen by these very images. Bold: the best of the row.",
        "",
        "| task | cost | DDRM, eta .85 | DDRM, eta 1 | DDRM, tight | moment matching, equal "
        "evaluations | moment matching, equal seconds | classical |",
        "|---" * 8 + "|",
    ]
    for task in PROBLEMS:
        found = {
            (row["method"], row["eta"], int(row["steps"])): float(row["psnr"])
            for row in rows
            if row["task"] == task
        }
        classical = {key: v for key, v in found.items() if key[0].partition(":")[0] in BASELINES}
        if not classical:
            continue
        rival = max(classical, key=lambda key: classical[key])
        for steps in (20, 50, 100):
            cells = {
                ("ddrm", "own", steps): "",
                ("ddrm", "1", steps): "",
                ("ddrm", "tight", steps): "",
                ("moment-matching", "1", steps): "",
                ("moment-matching", "1", steps // VJP): "",
                rival: f"{rival[0]} ",
            }
            best = max(found.get(key, -math.inf) for key in cells)
            texts = [_told(found.get(key), best, name) for key, name in cells.items()]
            lines.append(f"| {task} | {steps} | {' | '.join(texts)} |")
    return "\n".join([*lines, ""])


def _told(value: float | None, best: float, name: str) -> str:
    if value is None:
        return "-"
    text = f"{name}{value:.2f}"
    return f"**{text}**" if value == best else text


def store(folder: Path, name: str) -> None:
    """The tables of a run where they are committed."""
    write_tables(folder)
    shutil.copy(folder / "table.csv", RESULTS / f"{name}.csv")
    page = (folder / "table.md").read_text()
    if name == "evaluate-steps":
        with (folder / "table.csv").open(newline="") as file:
            page += at_equal_costs(list(csv.DictReader(file)))
    else:
        shutil.copy(folder / "figure.png", RESULTS / f"{name}.png")
    (RESULTS / f"{name}.md").write_text(page)


@click.command(help=__doc__)
@click.option("--run", default=ROOT / "build" / "evaluate", type=click.Path(path_type=Path))
@click.option("--table", "names", multiple=True, type=click.Choice(list(TABLES)))
@click.option("--tables", is_flag=True, help="Only write the tables of what is there.")
def main(run: Path, names: tuple[str, ...], tables: bool) -> None:
    for name in names or TABLES:
        parts, count, draws = TABLES[name]
        if not tables:
            measure(run / name, parts, count, draws)
        store(run / name, name)


if __name__ == "__main__":
    main()

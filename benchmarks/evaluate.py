"""The committed tables over held-out images, by ``ddrm-edu evaluate``.

    python benchmarks/evaluate.py [--run build/evaluate]

64 test images of CIFAR-10 with one draw, and 16 with eight.  Goes on where it was stopped; writes
``benchmarks/results/evaluate.csv``, ``.md`` and ``.png``, and the same of ``evaluate-draws``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from measuring import RESULTS, ROOT

from ddrm_edu.evaluation.command import evaluate
from ddrm_edu.evaluation.tables import write_tables

PROBLEMS = (
    ("inpaint:0.7", 0.0),
    ("superres:2", 0.05),
    ("denoise", 0.25),
    ("deblur:gaussian:1", 0.05),
    ("box:12", 0.0),
)
CLASSICAL = ("pinv", "wiener", "tv:weight=0.1", "tv:weight=0.25", "tv:weight=0.5", "nlm")
CLASSICAL += ("biharmonic", "bicubic")
SINGLE = (
    (CLASSICAL, "own", (20,)),
    (("ddrm",), "own,1,tight", (20,)),
    (("moment-matching",), "own,1", (20,)),
    (("pigdm",), "1", (20,)),
    (("ddnm+",), "own", (20,)),
    (("ddrm",), "own,1", (50, 100)),
    (("moment-matching",), "1", (50,)),
)
"""Methods, eta, steps; the order in which they are computed."""
DRAWS = (
    (CLASSICAL, "own", (20,)),
    (("ddrm",), "own,1", (20,)),
    (("moment-matching",), "own,1", (20,)),
)


def measure(folder: Path, parts: tuple, count: int, draws: int) -> None:
    for methods, etas, steps in parts:
        for task, sigma_y in PROBLEMS:
            evaluate(
                "cifar10", folder, [task], [sigma_y], methods, etas, steps,
                draws=draws, count=count, size=None, chunk=16, seed=0, model="natural",
                device="cpu", lpips=False, only_tables=False, say=click.echo,
            )  # fmt: skip


@click.command(help=__doc__)
@click.option("--run", default=ROOT / "build" / "evaluate", type=click.Path(path_type=Path))
@click.option("--tables", is_flag=True, help="Only write the tables of what is there.")
def main(run: Path, tables: bool) -> None:
    for name, parts, count, draws in (
        ("evaluate", SINGLE, 64, 1),
        ("evaluate-draws", DRAWS, 16, 8),
    ):
        folder = run / name
        if not tables:
            measure(folder, parts, count, draws)
        write_tables(folder)
        for part, end in (("table.csv", ".csv"), ("table.md", ".md"), ("figure.png", ".png")):
            shutil.copy(folder / part, RESULTS / f"{name}{end}")


if __name__ == "__main__":
    main()

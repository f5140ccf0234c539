"""The results of an evaluation: tables of images and of cells, a page and a figure."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .grid import OWN, Cell
from .running import Settings, write_whole


def collected(folder: Path) -> tuple[Settings, dict[Cell, list[dict[str, Any]]]]:
    """The cells of a folder of which every chunk is there, in a fixed order."""
    settings = Settings(**json.loads((folder / "manifest.json").read_text()))
    chunks = math.ceil(settings.count / settings.chunk)
    found: dict[Cell, dict[int, dict[str, Any]]] = {}
    for path in sorted((folder / "chunks").glob("*.json")):
        with contextlib.suppress(json.JSONDecodeError):
            content = json.loads(path.read_text())
            found.setdefault(Cell(**content["cell"]), {})[content["chunk"]] = content
    whole = {
        cell: [parts[chunk] for chunk in range(chunks)]
        for cell, parts in found.items()
        if set(range(chunks)) <= set(parts)
    }
    order = sorted(whole, key=lambda cell: (cell.task, cell.sigma_y, not cell.classical, cell[2:]))
    return settings, {cell: whole[cell] for cell in order}


def image_rows(whole: Mapping[Cell, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each cell and image: nothing in it depends on how the work was shared."""
    rows = []
    for cell, parts in whole.items():
        for part in parts:
            for place in range(len(part["scores"]["psnr"])):
                numbers = {name: values[place] for name, values in part["scores"].items()}
                rows.append({**cell._asdict(), "image": part["first"] + place, **numbers})
    return rows


def table_rows(whole: Mapping[Cell, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each cell: means over images, standard errors, and what an image costs.

    ``gain`` is the PSNR above that of the paper's DDRM with the fewest steps on the same task,
    image by image, so that its standard error is that of the difference.
    """
    values = {
        cell: {
            name: np.concatenate([part["scores"][name] for part in parts])
            for name in parts[0]["scores"]
        }
        for cell, parts in whole.items()
    }
    rows = []
    for cell, parts in whole.items():
        row: dict[str, Any] = cell._asdict()
        for name, numbers in values[cell].items():
            row[name], row[f"{name}_se"] = _mean(numbers)
        if cell.sigma_y:
            row["residual_over_sigma_y"] = row["residual"] / cell.sigma_y
        usual = [c for c in whole if c[:4] == (cell.task, cell.sigma_y, "ddrm", OWN)]
        if usual:
            least = min(usual, key=lambda c: c.steps)
            row["gain"], row["gain_se"] = _mean(values[cell]["psnr"] - values[least]["psnr"])
        for name in ("evaluations", "vjps", "seconds"):
            row[name] = float(np.mean([part[name] for part in parts]))
        rows.append(row)
    return rows


def _mean(numbers: np.ndarray) -> tuple[float, float]:
    """Mean and standard error, of what is a number."""
    numbers = np.asarray(numbers, dtype=float)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return math.nan, math.nan
    with np.errstate(invalid="ignore"):
        error = numbers.std(ddof=1) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.nan
    return float(numbers.mean()), float(error)


# ------------------------------------------------------------------------------------------ files

COLUMNS = {  # of the page: heading, number, its standard error, digits
    "dB": ("psnr", "psnr_se", 2),
    "over DDRM": ("gain", "gain_se", 2),
    "SSIM": ("ssim", None, 3),
    "sharpness": ("sharpness", None, 2),
    "mean of draws, dB": ("mean_psnr", "mean_psnr_se", 2),
    "energy score": ("energy", "energy_se", 4),
    "CRPS": ("crps", None, 4),
    "coverage": ("coverage", None, 3),
    "LPIPS": ("lpips", None, 3),
    "residual": ("residual", None, 4),
    "evaluations": ("evaluations", None, 0),
    "vjp": ("vjps", None, 0),
    "s": ("seconds", None, 3),
}


def write_tables(folder: Path) -> list[Path]:
    """``images.csv``, ``table.csv``, ``table.md`` and ``figure.png`` of what is whole in a folder.

    Several processes may write at once: each file is replaced by a rename, and all write the same.
    """
    settings, whole = collected(folder)
    rows = table_rows(whole)
    write_whole(folder / "images.csv", as_csv(image_rows(whole)))
    write_whole(folder / "table.csv", as_csv(rows))
    write_whole(folder / "table.md", page(settings, rows))
    draw(rows, folder / "figure.png")
    return [folder / name for name in ("images.csv", "table.csv", "table.md", "figure.png")]


def as_csv(rows: list[dict[str, Any]]) -> str:
    """All rows with the columns of any; floats in full, so that equal numbers are equal text."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def introduction(settings: Settings) -> str:
    draws = "one draw" if settings.draws == 1 else f"{settings.draws} draws"
    coverage = (
        "Coverage is the share of truths between the smallest and the largest draw, "
        f"{(settings.draws - 1) / (settings.draws + 1):.3f}\nfor draws of the right law. "
        if settings.draws > 1
        else ""
    )
    return f"""{settings.count} images of {settings.images}, {draws} each by the network
{settings.model!r} ({settings.model_sha256[:12]}); noise belongs to the image, so that all methods
see the same measurements. dB is PSNR, and SSIM that of pictures on [0, 1] with data range 1,
of single draws clipped to the range of a screen; plus-minus is the standard error over images.
"over DDRM" is the PSNR above the paper's DDRM (eta .85) with the fewest steps here, image by image.
Sharpness is the mean difference of neighbouring pixels over that of the truth. Energy score and
CRPS are proper scores of the draws, not clipped, on [-1, 1]: smaller is better, and a single
restoration counts as a law without spread.
{coverage}Residual is the root mean square of
H x - y, over sigma_y where there is noise. Evaluations and vector-Jacobian products (vjp) of the
network are counted; s is the processor's seconds for one image and draw, on one thread. The best
of a column is bold. {settings.processor}; {settings.versions}."""


def page(settings: Settings, rows: list[dict[str, Any]]) -> str:
    """The table as Markdown, a part for each task and noise."""
    lines = ["# Restoration of held-out images", "", introduction(settings), ""]
    for task, sigma_y in dict.fromkeys((row["task"], row["sigma_y"]) for row in rows):
        here = [row for row in rows if (row["task"], row["sigma_y"]) == (task, sigma_y)]
        shown = {
            heading: how
            for heading, how in COLUMNS.items()
            if any(not math.isnan(row.get(how[0], math.nan)) for row in here)
        }
        best = {heading: _best(name, here) for heading, (name, _, _) in shown.items()}
        lines += [f"## {task}, sigma_y = {sigma_y:g}", ""]
        lines += [
            f"| method | eta | steps | {' | '.join(shown)} |",
            "|---" * (3 + len(shown)) + "|",
        ]
        for row in here:
            cells = [row["method"], row["eta"] or "-", str(row["steps"] or "-")]
            for heading, (name, error, digits) in shown.items():
                text = _cell(row, name, error, digits)
                cells.append(f"**{text}**" if row.get(name, math.nan) == best[heading] else text)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any], name: str, error: str | None, digits: int) -> str:
    if name == "residual" and row["sigma_y"]:
        return f"{row['residual_over_sigma_y']:.2f} sigma_y"
    value = row.get(name, math.nan)
    if math.isnan(value):
        return "-"
    if name == "residual":
        return f"{value:.1e}"
    if error is None or math.isnan(row.get(error, math.nan)):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ± {row[error]:.{digits}f}"


def _best(name: str, rows: list[dict[str, Any]]) -> float | None:
    """The best number of a column, where more is better, or less."""
    values = [row[name] for row in rows if not math.isnan(row.get(name, math.nan))]
    if name in ("psnr", "ssim", "mean_psnr"):
        return max(values)
    return min(values) if name in ("energy", "crps", "lpips") else None


RANGE = 8.0
"""dB below the best of a panel: what is worse is told, and would press the others together."""


def _named(method: str, eta: str) -> str:
    return f"{method}, eta {eta}" if eta else method


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """PSNR over the time of one image, a panel for each task and noise."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    problems = list(dict.fromkeys((row["task"], row["sigma_y"]) for row in rows))
    names = list(dict.fromkeys((row["method"], row["eta"]) for row in rows))
    across = min(3, len(problems))
    down = math.ceil(len(problems) / across)
    figure = Figure(figsize=(4.2 * across, 3.6 * down + 1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes[len(problems) :]:
        ax.set_visible(False)
    for ax, (task, sigma_y) in zip(axes, problems, strict=False):
        for place, (method, eta) in enumerate(names):
            here = [
                row
                for row in rows
                if (row["task"], row["sigma_y"], row["method"], row["eta"])
                == (task, sigma_y, method, eta)
            ]
            ax.errorbar(
                [max(row["seconds"], 1e-5) for row in here],
                [row["psnr"] for row in here],
                [row["psnr_se"] for row in here],
                marker="osD^vP*X"[place % 8],
                color=f"C{place % 10}",
                linestyle="-" if eta else "none",
                label=_named(method, eta),
                markersize=5,
                linewidth=1,
                alpha=1 if here else 0,
            )
        ax.set(title=f"{task}, sigma_y = {sigma_y:g}", xscale="log", ylabel="PSNR in dB")
        ax.xaxis.set_minor_formatter(NullFormatter())
        here = [row for row in rows if (row["task"], row["sigma_y"]) == (task, sigma_y)]
        low = max(row["psnr"] for row in here) - RANGE
        below = [
            f"{_named(row['method'], row['eta'])} {row['psnr']:.1f}"
            for row in here
            if row["psnr"] < low
        ]
        ax.set_xlabel("s per image")
        if below:
            ax.set_xlabel(f"s per image\nbelow: {', '.join(below)} dB")
            ax.set_ylim(bottom=low)
    handles, labels = axes[0].get_legend_handles_labels()
    for handle in handles:
        for part in handle.get_children():
            part.set_alpha(1)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    with_suffix = path.with_name(f".{path.stem}.{os.getpid()}.part")
    figure.savefig(with_suffix, dpi=130, format="png")
    with_suffix.replace(path)

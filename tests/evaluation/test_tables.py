"""Means, standard errors, differences, the page and the figure."""

import csv
import math

import numpy as np
import pytest
from PIL import Image

from ddrm_edu.evaluation.grid import Cell
from ddrm_edu.evaluation.held_out import held_out
from ddrm_edu.evaluation.running import run, settings_of
from ddrm_edu.evaluation.tables import collected, image_rows, page, table_rows, write_tables

PLAIN = Cell("superres:2", 0.1, "pinv")
DDRM = Cell("superres:2", 0.1, "ddrm", "own", 20)
MORE = Cell("superres:2", 0.1, "ddrm", "own", 50)


def shrink(x, sigma):
    return x / (1 + sigma**2)


def part(cell, chunk, psnr, **more):
    scores = {"psnr": psnr, "ssim": [0.5] * len(psnr), "residual": [0.2] * len(psnr), **more}
    cost = {"evaluations": cell.steps, "vjps": 0, "seconds": 1.0 + chunk}
    first = 2 * chunk
    return {"cell": cell._asdict(), "chunk": chunk, "first": first, "scores": scores, **cost}


WHOLE = {
    PLAIN: [part(PLAIN, 0, [20.0, 30.0]), part(PLAIN, 1, [25.0])],
    DDRM: [part(DDRM, 0, [21.0, 30.0], energy=[0.1, 0.2]), part(DDRM, 1, [27.0], energy=[0.3])],
    MORE: [part(MORE, 0, [22.0, 32.0], energy=[0.1, 0.1]), part(MORE, 1, [27.0], energy=[0.1])],
}


def test_means_and_errors_are_over_images_and_gains_image_by_image():
    plain, usual, more = table_rows(WHOLE)
    assert plain["psnr"] == 25
    assert plain["psnr_se"] == pytest.approx(np.std([20, 30, 25], ddof=1) / math.sqrt(3))
    assert plain["gain"] == pytest.approx(-1)
    assert plain["gain_se"] == pytest.approx(np.std([-1, 0, -2], ddof=1) / math.sqrt(3))
    assert (usual["gain"], usual["gain_se"]) == (0, 0)
    assert more["gain"] == pytest.approx(1)
    assert usual["residual_over_sigma_y"] == pytest.approx(2)
    assert (plain["seconds"], usual["evaluations"]) == (1.5, 20)
    assert "energy" not in plain
    assert usual["energy"] == pytest.approx(0.2)


def test_images_have_a_row_each():
    rows = image_rows(WHOLE)
    assert [(row["method"], row["image"], row["psnr"]) for row in rows[:3]] == [
        ("pinv", 0, 20.0),
        ("pinv", 1, 30.0),
        ("pinv", 2, 25.0),
    ]
    assert "seconds" not in rows[0]


def test_the_best_of_a_column_is_bold_on_the_page():
    settings = settings_of("natural", held_out("natural", 3), "m", "0", chunk=2, draws=1, seed=0)
    text = page(settings, table_rows(WHOLE))
    assert "## superres:2, sigma_y = 0.1" in text
    (best,) = [line for line in text.splitlines() if line.startswith("| ddrm | own | 50")]
    assert "**27.00 ± 2.89**" in best
    assert "**0.1000 ± 0.0000**" in best
    (plain,) = [line for line in text.splitlines() if line.startswith("| pinv | - | -")]
    assert "| - |" in plain
    assert "**-**" not in text
    assert "2.00 sigma_y" in plain
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_the_files_of_a_run(tmp_path):
    """A constant image has the PSNR that arithmetic gives; everything is written again the same."""
    images = held_out("natural", 3)
    settings = settings_of("natural", images, "stub", "0", chunk=2, draws=2, seed=0)
    cells = [PLAIN, DDRM._replace(steps=2), Cell("inpaint:0.5", 0.0, "biharmonic")]
    assert run(cells, settings, shrink, images, tmp_path, progress=False)
    paths = write_tables(tmp_path)
    assert [path.name for path in paths] == ["images.csv", "table.csv", "table.md", "figure.png"]
    with open(tmp_path / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    with open(tmp_path / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    mine = [float(row["psnr"]) for row in rows if row["method"] == "ddrm"]
    (cell,) = [row for row in table if row["method"] == "ddrm"]
    assert float(cell["psnr"]) == pytest.approx(np.mean(mine))
    with Image.open(tmp_path / "figure.png") as figure:
        assert min(figure.size) > 300
    before = [path.read_bytes() for path in paths[:3]]
    assert write_tables(tmp_path) == paths
    assert [path.read_bytes() for path in paths[:3]] == before
    assert len(collected(tmp_path)[1]) == 3
    assert not list(tmp_path.glob(".*.part"))

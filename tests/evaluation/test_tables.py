"""Means, standard errors, differences, the page and the figure."""

import csv
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ddrm_edu.evaluation.grid import Cell
from ddrm_edu.evaluation.held_out import held_out
from ddrm_edu.evaluation.running import run, settings_of
from ddrm_edu.evaluation.tables import (
    _mean,
    collected,
    draw,
    image_rows,
    introduction,
    page,
    table_rows,
    write_tables,
)

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


def test_a_gain_is_over_the_method_with_its_own_eta_and_the_fewest_steps_of_the_same_problem():
    others = [
        DDRM._replace(eta="1", steps=5),
        DDRM._replace(sigma_y=0.2, steps=5),
        DDRM._replace(task="superres:4", steps=5),
    ]
    whole = {cell: [part(cell, 0, [1.0, 1.0, 1.0])] for cell in others}
    whole |= {MORE: WHOLE[MORE], DDRM: WHOLE[DDRM], PLAIN: WHOLE[PLAIN]}
    gains = {tuple(row[n] for n in Cell._fields): row["gain"] for row in table_rows(whole)}
    assert gains[tuple(PLAIN)] == pytest.approx(-1)
    assert gains[tuple(MORE)] == pytest.approx(1)
    assert gains[tuple(DDRM)] == gains[tuple(others[1])] == gains[tuple(others[2])] == 0
    assert gains[tuple(others[0])] == pytest.approx(-25)


def test_what_is_no_number_does_not_count_and_one_number_has_no_error():
    assert _mean([1.0, math.nan, 4.0]) == (2.5, pytest.approx(1.5))
    assert _mean([2.0, math.nan])[0] == 2
    assert math.isnan(_mean([2.0])[1])
    assert all(map(math.isnan, _mean([math.nan])))


@pytest.mark.parametrize(("sigma_y", "residual"), [(0.0, "2.0e-01"), (0.1, "2.00 sigma_y")])
def test_better_is_more_of_psnr_and_ssim_less_of_scores_and_neither_of_the_others(
    sigma_y, residual
):
    exact = PLAIN._replace(sigma_y=sigma_y)
    other = exact._replace(method="tv")
    one = {"psnr": [20.0], "ssim": [0.5], "mean_psnr": [21.0], "energy": [0.1], "crps": [0.2]}
    two = {"psnr": [22.0], "ssim": [0.7], "mean_psnr": [23.0], "energy": [0.3], "crps": [0.4]}
    same = {"coverage": [0.9], "sharpness": [1.5]}
    whole = {
        exact: [part(exact, 0, **one, **same, lpips=[0.3])],
        other: [part(other, 0, **two, **same, lpips=[0.25])],
    }
    settings = settings_of("natural", held_out("natural", 1), "m", "0", chunk=2, draws=1, seed=0)
    lines = page(settings, table_rows(whole)).splitlines()
    head, first, second = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in lines
        if line.startswith(("| method", "| pinv", "| tv"))
    )
    got = dict(zip(head, zip(first, second, strict=True), strict=True))
    assert got == {
        "method": ("pinv", "tv"),
        "eta": ("-", "-"),
        "steps": ("-", "-"),
        "dB": ("20.00", "**22.00**"),
        "SSIM": ("0.500", "**0.700**"),
        "sharpness": ("1.50", "1.50"),
        "mean of draws, dB": ("21.00", "**23.00**"),
        "energy score": ("**0.1000**", "0.3000"),
        "CRPS": ("**0.2000**", "0.4000"),
        "coverage": ("0.900", "0.900"),
        "LPIPS": ("0.300", "**0.250**"),
        "residual": (residual, residual),
        "evaluations": ("0", "0"),
        "vjp": ("0", "0"),
        "s": ("1.000", "1.000"),
    }


def test_the_page_says_which_share_lies_between_draws_of_the_right_law():
    """Of K + 1 values of one law, the truth's is the smallest or largest with 2 / (K + 1)."""
    images = held_out("natural", 3)
    told = {
        draws: introduction(settings_of("natural", images, "m", "0", chunk=2, draws=draws, seed=0))
        for draws in (1, 4)
    }
    assert "Coverage" not in told[1]  # between one draw and itself lies nothing
    assert "0.600\nfor draws of the right law" in told[4]
    assert "4 draws each" in told[4]


def test_the_figure_shows_psnr_over_seconds_with_its_error(tmp_path, monkeypatch):
    drawn = []
    saved = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda f, *a, **k: drawn.append(f) or saved(f, *a, **k))
    inpainted = Cell("inpaint:0.5", 0.0, "pinv")
    rows = table_rows({**WHOLE, inpainted: [part(inpainted, 0, [10.0, 20.0])]})
    rows[0]["seconds"] = 0.0
    draw(rows, tmp_path / "figure.png")
    (figure,) = drawn
    first, second = figure.axes
    assert first.get_title() == "superres:2, sigma_y = 0.1"
    assert second.get_title() == "inpaint:0.5, sigma_y = 0"
    by_name = {c.get_label(): c for c in first.containers}
    assert set(by_name) == {"pinv", "ddrm, eta own"}
    for name, want in (("pinv", rows[:1]), ("ddrm, eta own", rows[1:3])):
        line, _, (bars,) = by_name[name].lines
        assert list(line.get_xdata()) == [max(row["seconds"], 1e-5) for row in want]
        assert list(line.get_ydata()) == [row["psnr"] for row in want]
        halves = [(s[1, 1] - s[0, 1]) / 2 for s in bars.get_segments()]
        assert halves == pytest.approx([row["psnr_se"] for row in want])
    assert by_name["pinv"].lines[0].get_linestyle() == "None"
    assert by_name["ddrm, eta own"].lines[0].get_linestyle() == "-"
    by_name = {c.get_label(): c for c in second.containers}
    assert list(by_name["pinv"].lines[0].get_ydata()) == [15.0]
    assert list(by_name["ddrm, eta own"].lines[0].get_ydata()) == []
    assert first.get_xscale() == "log"
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


def test_what_is_far_below_the_best_is_told_in_place_of_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda f, name, **k: drawn.append(f) or name.touch())
    for low, told in ((16.5, "s per image"), (5.2, "s per image\nbelow: pinv 5.2 dB")):
        parts = {PLAIN: [part(PLAIN, 0, [low])], DDRM: [part(DDRM, 0, [24.0])]}
        draw(table_rows(parts), tmp_path / "a.png")
        (ax,) = (ax for ax in drawn[-1].axes if ax.get_visible())
        assert ax.get_xlabel() == told
        assert (ax.get_ylim()[0] > low) == (low < 16)


def test_four_problems_are_two_rows_of_panels(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda f, name, **k: drawn.append(f) or name.touch())
    cells = [PLAIN._replace(sigma_y=s) for s in (0.1, 0.2, 0.3, 0.4)]
    draw(table_rows({cell: [part(cell, 0, [20.0, 30.0])] for cell in cells}), tmp_path / "a.png")
    assert [ax.get_visible() for ax in drawn[0].axes] == [True] * 4 + [False] * 2
    places = [tuple(ax.get_subplotspec().get_geometry()) for ax in drawn[0].axes]
    assert places == [(2, 3, k, k) for k in range(6)]


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
    inpainted, plain, usual = collected(tmp_path)[1]
    assert (inpainted, plain, usual) == (cells[2], cells[0], cells[1])  # the classical ones first
    assert not list(tmp_path.glob(".*.part"))
    next((tmp_path / "chunks").glob("*pinv*.0001.json")).unlink()
    assert list(collected(tmp_path)[1]) == [cells[2], cells[1]]

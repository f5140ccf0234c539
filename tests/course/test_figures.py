"""Figures: each stands in the file of its lecture, and colours in one place only."""

from __future__ import annotations

import ast
import importlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from notebooks import LECTURES, PARTS, cells
from PIL import Image

from ddrm_edu import pictures
from ddrm_edu.course.figures import draw, style

FOLDER = Path(draw.__file__).parent
FILES = {path.stem[-2:]: path for path in sorted(FOLDER.glob("lecture_*.py"))}
every_number = pytest.mark.parametrize("number", PARTS)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def used(number: str) -> set[str]:
    """The names that a lecture takes from its figures, in all its parts."""
    code = [cell for part in PARTS[number] for cell in cells(LECTURES[part], "code")]
    source = "\n".join(cell.source for cell in code)
    return set(re.findall(r"\bfigures\.(\w+)\(", source))


@every_number
def test_a_lecture_shows_all_figures_of_its_file_and_no_others(number):
    defined = {
        node.name
        for node in ast.parse(FILES[number].read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    shared = {"show", "stored", "restoration_grid"}
    assert used(number) - shared == defined
    module = importlib.import_module(f"ddrm_edu.course.figures.lecture_{number}")
    assert module.show is draw.show
    for name in used(number) & {"restoration_grid"}:
        assert getattr(module, name) is pictures.restoration_grid


@pytest.mark.parametrize("lecture", LECTURES)
def test_a_lecture_opens_the_file_of_its_figures_only(lecture):
    source = "\n".join(cell.source for cell in cells(LECTURES[lecture], "code"))
    imports = re.findall(r"^from ddrm_edu\.course.*$", source, re.MULTILINE)
    assert imports == [f"from ddrm_edu.course.figures import lecture_{lecture[:2]} as figures"]


@pytest.mark.parametrize("path", [*FILES.values(), Path(draw.__file__)], ids=lambda path: path.stem)
def test_colours_other_than_grey_stand_in_the_style(path):
    for color in re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text()):
        assert len(set(to_rgb(color))) == 1, f"{color} in {path.name} is no grey: name it in style"


def colors(drawn: Artist) -> set[tuple[float, ...]]:
    """The colours (red, green, blue) of all lines and areas of a figure or of its axes."""
    found: list = []
    for artist in drawn.findobj(Artist):
        if isinstance(artist, Line2D):
            found.append(artist.get_color())
        elif isinstance(artist, Patch):
            found += [artist.get_facecolor(), artist.get_edgecolor()]
        elif isinstance(artist, Collection):
            found += [*artist.get_facecolor(), *artist.get_edgecolor()]
    return {to_rgb(color) for color in found}


def cases_of_lecture_06():
    from ddrm_edu.course.figures import lecture_06 as figures

    grid = np.logspace(-1, 1, 5)
    yield figures.case_plane(grid, grid, np.ones((5, 5)), 0.3, [1.0], [0.5])
    names = ["2, 2", "2, 2", "1, 2", "1, 1", "1, 1"]
    yield figures.memory_of_a_coordinate(grid, grid / 20, names, 0.5)


def cases_of_lecture_07():
    from ddrm_edu.course.figures import lecture_07 as figures

    cases = np.array([[1, 1, 2], [3, 3, 3]])
    yield figures.induction_ladder(cases, np.array([1.0, 0.0]), np.array([9.0, 1.0, 0.1]))


def cases_of_lecture_08():
    from ddrm_edu.course.figures import lecture_08 as figures

    ratio = torch.tensor([0.2, 0.7, 2.0])
    yield figures.weights_of_cases(ratio, {"below": ratio}, {"above": ratio})
    levels, one = torch.tensor([9.0, 3.0, 1.0, 0.0]), torch.ones(1)
    cases = torch.tensor([[1], [2], [3]])
    yield figures.coordinate_paths(levels, torch.rand(2, 4, 1), cases, one, one, 0.5 * one, ["s"])


def cases_of_lecture_12():
    from ddrm_edu.course.figures import lecture_12 as figures

    counts = {1: [2, 1], 2: [1, 2], 3: [1, 1]}
    yield figures.spectrum_and_cases([1.0, 0.1, 0.0], 0.2, [9.0, 1.0, 0.0], counts).axes[1]


@pytest.mark.parametrize("case", [1, 2, 3])
@pytest.mark.parametrize(
    "draw_cases",
    [cases_of_lecture_06, cases_of_lecture_07, cases_of_lecture_08, cases_of_lecture_12],
)
def test_the_colour_of_a_case_is_one_entry_of_one_table(draw_cases, case, monkeypatch):
    def shades() -> set[tuple[float, ...]]:
        color = style.CASES[case]["color"]
        return {to_rgb(color), to_rgb(style.tint(color))}

    old, before = shades(), [colors(drawn) for drawn in draw_cases()]
    monkeypatch.setitem(style.CASES[case], "color", "#d11bd1")
    for one, other in zip(before, map(colors, draw_cases()), strict=True):
        assert bool(one & old) == bool(other & shades())
        assert not other & old
    assert any(one & old for one in before)


def test_a_tint_lies_between_the_colour_and_white():
    assert style.tint("#000000", 0.8) == "#cccccc"
    assert style.tint("#ff0000", 0.6) == "#ff9999"
    assert style.tint("#0072b2", 0.0) == "#0072b2"


def test_more_curves_than_looks_are_refused_instead_of_lost():
    _, ax = draw.panel(width=2.0, height=2.0)
    curves = {str(k): [1.0, 2.0] for k in range(len(style.LINES) + 1)}
    with pytest.raises(ValueError, match="shorter"):
        draw.curves(ax, [0, 1], curves)


@pytest.mark.parametrize("cov", [[[2.0, 0.6], [0.6, 0.5]], [[1.0, -0.5], [-0.5, 0.25]]])
def test_an_ellipse_has_the_moments_of_its_law(cov):
    """A circle of radius sqrt(2) has the covariance 1: its outline, then, has that of the law."""
    outline = draw.ellipse([0.3, -1.0], cov, 2**0.5)[:, :-1]  # the last point is the first one
    assert np.allclose(outline.mean(1), [0.3, -1.0])
    assert np.allclose(np.cov(outline, bias=True), cov)


def test_a_stored_picture_is_shown_pixel_for_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (61, 137, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown = Image.open(io.BytesIO(draw._png(draw.stored(tmp_path / "a.png")))).convert("RGB")
    assert np.array_equal(np.asarray(shown), pixels)


def test_a_figure_is_shown_with_its_description_and_written_where_it_is_asked_for(
    tmp_path, monkeypatch
):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    monkeypatch.delenv("DDRM_EDU_FIGURES", raising=False)
    figure, _ = draw.panel(width=2.0, height=2.0)
    draw.show(figure, "99_nothing", alt="An empty panel.")
    assert shown[0]["text/plain"] == "An empty panel."
    assert shown[0]["image/png"].startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)
    monkeypatch.setenv("DDRM_EDU_FIGURES", str(tmp_path / "new"))
    draw.show(draw.panel(width=2.0, height=2.0)[0], "99_nothing", alt="An empty panel.")
    assert b"An empty panel." in (tmp_path / "new" / "99_nothing.png").read_bytes()

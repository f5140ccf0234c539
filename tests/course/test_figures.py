"""Figures: each stands in the file of its lecture, and colours in one place only."""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import io
import re
from pathlib import Path

import figure_calls
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
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
    shared = {"show", "stored", "interact", "restoration_grid"}
    assert used(number) - shared == defined
    module = importlib.import_module(f"ddrm_edu.course.figures.lecture_{number}")
    assert module.show is draw.show
    for name in used(number) & {"restoration_grid"}:
        assert getattr(module, name) is pictures.restoration_grid


@pytest.mark.parametrize("lecture", LECTURES)
def test_a_lecture_opens_the_file_of_its_figures_only(lecture):
    source = "\n".join(cell.source for cell in cells(LECTURES[lecture], "code"))
    imports = re.findall(r"^from ddrm_edu\.course\.figures.*$", source, re.MULTILINE)
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


def test_a_slider_shows_its_figure_described_by_the_values(monkeypatch):
    """Called as by a front-end: once at rest, once more with another value."""
    shown, widgets = [], []

    def ask(function, **controls):
        assert list(inspect.signature(function).parameters) == ["x", "y"]
        widgets.append((function, controls))

    monkeypatch.setattr("ipywidgets.interact", ask)
    monkeypatch.setattr("IPython.display.display", lambda data: shown.append(data.data))
    figures = []

    def picture(x=0.5, y=2):
        """An "empty" panel.

        More is not told.
        """
        figures.append(draw.panel(width=x, height=y)[0])
        return figures[-1]

    draw.interact(picture, x=(0.5, 4.0))
    ((described, controls),) = widgets
    assert controls == {"x": (0.5, 4.0)}
    described(x=1.5)
    assert 'alt="An &quot;empty&quot; panel. Here x = 1.5."' in shown[0]
    assert 'width="150"' in shown[0]
    pixels = base64.b64decode(re.search(r"base64,([^\"]+)", shown[0])[1])
    assert Image.open(io.BytesIO(pixels)).size == (225, 300)
    assert not plt.fignum_exists(figures[0].number)


# ------------------------------------------------------------- what is given is what is drawn


def numbers_of(artist) -> list[np.ndarray]:
    """The numbers that an artist draws, as flat arrays."""
    if isinstance(artist, Line2D):
        return [np.asarray(data, dtype=float) for data in artist.get_data()]
    if isinstance(artist, AxesImage):
        return [np.ma.filled(np.ma.asarray(artist.get_array(), dtype=float), np.nan)]
    if isinstance(artist, Rectangle):
        return [np.array([artist.get_width(), artist.get_height(), *artist.get_xy()])]
    if isinstance(artist, Polygon):
        return list(artist.get_xy().T)
    if isinstance(artist, Collection):
        array = artist.get_array()
        arrays = [] if array is None else [np.asarray(array, dtype=float)]
        if not array_is_mesh(artist):
            arrays += list(np.ma.filled(artist.get_offsets(), np.nan).T)
            arrays += [column for path in artist.get_paths() for column in path.vertices.T]
        return arrays
    return []


def array_is_mesh(artist) -> bool:
    return isinstance(artist, QuadMesh)


class Drawn:
    """All artists of a figure with their numbers and with what they are called."""

    def __init__(self, figure):
        axes = [each for ax in figure.axes for each in (ax, *ax.child_axes)]
        inside = {child: ax for ax in figure.axes for child in ax.child_axes}
        self.parts = []  # place of the axes, names, numbers
        self.texts = []
        for place, ax in enumerate(axes):
            titles = {ax.get_title(), ax.get_ylabel(), *self._of_row(ax, axes)}
            titles |= {inside.get(ax, ax).get_title()}
            notes = [text for text in ax.texts if text.get_text()]
            self.texts += [(text.get_text(), *text.get_position()) for text in notes]
            self.texts += [getattr(text, "xy", ()) for text in notes]
            self.texts += [*titles, ax.get_xlabel()]
            for axis in (ax.xaxis, ax.yaxis):
                self.texts.append((*axis.get_majorticklocs(), *axis.get_majorticklabels()))
            bars = {bar: each.get_label() for each in ax.containers for bar in each}
            for artist in (*ax.lines, *ax.images, *ax.patches, *ax.collections):
                names = titles | {str(artist.get_label()), str(bars.get(artist, ""))}
                if isinstance(artist, Line2D):  # pieces of a curve have its colour
                    same = [each for each in ax.lines if each.get_color() == artist.get_color()]
                    names |= {str(each.get_label()) for each in same}
                numbers = numbers_of(artist)
                if isinstance(artist, Line2D):
                    points = set(zip(*map(tuple, numbers), strict=True))
                    for note in notes:
                        color = to_rgb(note.get_color())
                        same = color == to_rgb(artist.get_color()) != to_rgb(style.INK)
                        if same or tuple(map(float, getattr(note, "xy", ()))) in points:
                            names |= {note.get_text()}
                self.parts.append((place, names - {""}, numbers))

    @staticmethod
    def _of_row(ax, axes) -> set[str]:
        """The name of a row stands beside its first panel."""
        spec = ax.get_subplotspec()
        if spec is None:
            return set()
        row = (spec.get_gridspec(), spec.rowspan.start)
        specs = [(each, each.get_subplotspec()) for each in axes]
        same = [a for a, s in specs if s and (s.get_gridspec(), s.rowspan.start) == row]
        return {each.get_ylabel() for each in same}

    def called(self, names: list[str]):
        """Numbers under all of these names, as far as the figure writes them at all."""
        written = [n for n in names if any(n in each for _, of, _ in self.parts for each in of)]
        return [
            (place, arrays)
            for place, of, arrays in self.parts
            if all(any(n in each for each in of) for n in written)
        ]

    def prints(self) -> str:
        return repr([(place, names, [a.tolist() for a in of]) for place, names, of in self.parts])


def in_order(wanted: np.ndarray, values: np.ndarray) -> bool:
    """All of the wanted numbers stand among the values, in their order; NaN is not drawn."""
    wanted, start = wanted[np.isfinite(wanted)], 0
    for number in wanted:
        at = np.flatnonzero(np.abs(values[start:] - number) <= 1e-6 * max(1, abs(number)))
        if not len(at):
            return False
        start += at[0] + 1
    return True


def found(wanted: np.ndarray, names: list[str], drawn: Drawn, used: list[int]) -> bool:
    """Whether an array is drawn under its names; ``used`` are the panels of images so far."""
    parts = drawn.called(names)
    if wanted.ndim == 4:
        return all(found(image, names, drawn, used) for image in wanted)
    if wanted.ndim == 3 and len(wanted) in (1, 3):  # an image (c, h, w) on [-1, 1]
        shown = np.moveaxis(wanted, 0, -1) / 2 + 0.5
        for place, arrays in parts:
            for array in arrays:
                if array.ndim == 3 and array.shape[:2] == shown.shape[:2]:
                    same = np.abs(array[..., :3] - shown).max() <= 1e-6
                    if same and place not in used and place >= max(used, default=0):
                        used.append(place)
                        return True
    if wanted.ndim == 3:
        return all(found(each, names, drawn, used) for each in wanted)
    if wanted.ndim == 2:
        for _, arrays in parts:
            if any(a.shape == wanted.shape and np.abs(a - wanted).max() <= 1e-6 for a in arrays):
                return True
        return any(
            all(found(line, names, drawn, used) for line in lines) for lines in (wanted, wanted.T)
        )
    bars = [a[i] for _, arrays in parts for a in arrays if a.shape == (4,) for i in (0, 1)]
    flat = [a for _, arrays in parts for a in arrays if a.ndim == 1]
    whole = [np.concatenate(flat)] if flat else []
    pieces = [np.concatenate(flat[k::2]) for k in (0, 1) if flat[k::2]]  # of cut lines x and y
    return any(in_order(wanted, values) for values in [*flat, *pieces, *whole, np.array(bars)])


def leaves(value, names=()):
    """The arrays in an argument, each with the names that lead to it."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*names, f"{name:g}" if isinstance(name, float) else str(name)))
    elif isinstance(value, torch.Tensor):
        yield value.double().numpy(), list(names)
    elif isinstance(value, (list, tuple)) and value:
        if all(isinstance(each, (int, float)) for each in value):
            yield np.array(value, dtype=float), list(names)
        else:
            for each in value:
                yield from leaves(each, names)


def changed(value):
    """The same with every number another one; of whole numbers the first and the last swapped."""
    if isinstance(value, dict):
        return {name: changed(each) for name, each in value.items()}
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point():
            return value.flip(-1)
        matrix = value.shape[-2:] == (2, 2) and torch.equal(value, value.mT)
        return value * 1.13 if matrix else 1.13 * value + 0.013 * (value != 0)
    if isinstance(value, (list, tuple)):
        return type(value)(changed(each) for each in value)
    return (
        1.13 * value if isinstance(value, float) else value + 1 if isinstance(value, int) else value
    )


# what numpy 2 says where matplotlib is handed a tensor
of_tensors = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def drawn_by(name, arguments):
    module = importlib.import_module(f"ddrm_edu.course.figures.lecture_{name[:2]}")
    figure = getattr(module, name[3:])(**figure_calls.fitting(name, arguments))
    seen = Drawn(figure)
    plt.close("all")
    return seen


def test_every_figure_has_a_call():
    defined = {
        f"{number}.{node.name}"
        for number, path in FILES.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert set(figure_calls.CALLS) == defined - {"10.compact"}  # it makes a file smaller


@of_tensors
@pytest.mark.parametrize("name", figure_calls.CALLS)
def test_what_is_given_is_what_is_drawn(name):
    """Each array stands in the picture as it is, under its name, images in their order."""
    arguments, derived = figure_calls.CALLS[name]
    drawn = drawn_by(name, arguments)
    for argument in arguments.keys() - derived:
        used: list[int] = []
        for array, names in leaves(arguments[argument]):
            if names[-1:] and names[-1] in derived:
                continue
            assert found(array, names, drawn, used), f"{argument} {names} is not drawn"
    for curve, array in figure_calls.made(name, arguments).items():
        assert found(array.numpy(), [curve], drawn, []), f"{curve} is not drawn"


@of_tensors
def test_gain_and_variance_of_a_pixel_stand_each_in_its_own_panel():
    """Two panels have curves of the same names: what is drawn somewhere may be in the other one."""
    from ddrm_edu.course.figures import lecture_11 as figures

    arguments, _ = figure_calls.CALLS["11.temperature_limits"]
    _, *panels = figures.temperature_limits(**arguments).axes
    for k, (ax, label) in enumerate(zip(panels, ("gain on $\\bar y$", "variance"), strict=True)):
        assert ax.get_ylabel() == label
        lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.get_lines()}
        for name, path in arguments["paths"].items():
            assert np.array_equal(lines[name], np.asarray(path[k]))


@of_tensors
@pytest.mark.parametrize(
    "name", [name for name, (_, derived) in figure_calls.CALLS.items() if derived]
)
def test_what_is_derived_follows_what_is_given(name):
    """Of some arguments only what is made of them is drawn: other numbers, another picture."""
    arguments, derived = figure_calls.CALLS[name]
    before = drawn_by(name, arguments)
    for argument in derived & arguments.keys():
        after = drawn_by(name, arguments | {argument: changed(arguments[argument])})
        assert after.prints() != before.prints() or after.texts != before.texts, argument

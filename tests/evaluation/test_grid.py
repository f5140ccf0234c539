"""The words of an evaluation: what is in the grid, what is left out, and why."""

import math
import re

import pytest
import torch

from ddrm_edu import BicubicSuperResolution, MomentMatching, SuperResolution, restore
from ddrm_edu.evaluation.grid import Cell, eta_of, grid, method_of, operator_of, restored

SHAPE = (3, 16, 16)
OWN_H = """
from ddrm_edu import SuperResolution
make = SuperResolution((3, 16, 16), 4)
"""


@pytest.mark.parametrize(
    ("task", "rank"),
    [
        ("denoise", 3 * 256),
        ("inpaint:0", 3 * 256),
        ("box:6", 3 * (256 - 36)),
        ("superres:2", 3 * 64),
        ("superres:4:bicubic", 3 * 16),
        ("colorize", 256),
        ("demosaic", 256),
        ("deblur:gaussian:1", 3 * 256),
        ("deblur:motion:3,45", None),
        ("compressed-sensing:0.25", 192),
    ],
)
def test_a_task_is_its_operator(task, rank):
    op = operator_of(task, SHAPE)
    assert op.in_shape == SHAPE
    assert rank is None or int((op.spectrum() > 1e-9).sum()) == rank


def test_kernels_are_those_that_are_named():
    mean, bicubic = operator_of("superres:2", SHAPE), operator_of("superres:2:bicubic", SHAPE)
    assert (type(mean), type(bicubic)) == (SuperResolution, BicubicSuperResolution)
    little, much = (operator_of(f"deblur:gaussian:{sigma}", SHAPE) for sigma in (0.5, 2))
    assert little.spectrum().min() > 100 * much.spectrum().min()


def test_a_box_leaves_a_rim_on_every_side():
    with pytest.raises(ValueError, match="--task must be denoise"):
        operator_of("box:4", (1, 6, 4))
    assert int((operator_of("box:3", (1, 6, 4)).s == 0).sum()) == 9


def test_the_lost_pixels_are_a_share_always_the_same_ones():
    op = operator_of("inpaint:0.7", (3, 64, 64))
    lost = (op.s == 0).double().mean()
    assert abs(float(lost) - 0.7) < 0.03
    uniform = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(op.s[0] > 0, uniform >= 0.7)
    middle = operator_of("box:2", (1, 6, 4)).s.reshape(6, 4) == 0
    assert middle.nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_an_own_operator_comes_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(OWN_H)
    assert operator_of(f"{file}:make", SHAPE).out_shape == (3, 4, 4)
    with pytest.raises(ValueError, match="images of the shape"):
        operator_of(f"{file}:make", (3, 8, 8))


@pytest.mark.parametrize(
    "task", ["", "inpainting:0.5", "inpaint", "inpaint:half", "box:16", "box:0", "superres", "a:b"]
)
def test_other_words_are_refused_with_those_that_are_known(task):
    with pytest.raises(ValueError, match=r"--task must be denoise, inpaint:SHARE.* but was"):
        operator_of(task, SHAPE)


def test_options_of_methods_are_values_of_python():
    assert method_of("ddrm") == ("ddrm", {})
    assert method_of("moment-matching:cg_steps=None:iteration=cg") == (
        "moment-matching",
        {"cg_steps": None, "iteration": "cg"},
    )
    assert method_of("tv:weight=0.5") == ("tv", {"weight": 0.5})
    for wrong in ("tv:weight", "ddrm:=3", "tv:0.5=1"):
        with pytest.raises(ValueError, match="KEY=VALUE"):
            method_of(wrong)
    with pytest.raises(ValueError, match="--method must begin with one of ddrm"):
        method_of("nlmeans")


def test_rates_of_measured_and_unmeasured_coordinates():
    op = operator_of("inpaint:0.5", SHAPE)
    rate = eta_of(".85/1", op)
    assert torch.equal(rate == 1, op.s == 0)
    assert torch.equal(rate == 0.85, op.s > 0)
    assert (eta_of("own", op), eta_of("tight", op), eta_of("0.3", op)) == (None, "tight", 0.3)
    for wrong in ("high", "1/2/3", ""):
        with pytest.raises(ValueError, match="--eta must be own, tight, a number"):
            eta_of(wrong, op)


def test_the_grid_is_the_product_without_what_does_not_exist():
    told = []
    methods = ["pinv", "biharmonic", "bicubic", "nlm", "ddrm", "moment-matching", "dps", "repaint"]
    got = grid(
        ["denoise", "inpaint:0.5", "superres:2"], [0, 0.1], methods, ["own", "1"], [2, 5],
        SHAPE, told.append,
    )  # fmt: skip
    assert len(got) == len(set(got))

    def of(method):
        return {(c.task, c.sigma_y, c.eta, c.steps) for c in got if c.method == method}

    problems = [("denoise", 0.1)]
    problems += [(task, s) for task in ("inpaint:0.5", "superres:2") for s in (0, 0.1)]
    assert of("pinv") == {(*problem, "", 0) for problem in problems}
    assert of("nlm") == {("denoise", 0.1, "", 0)}
    assert of("biharmonic") == {("inpaint:0.5", s, "", 0) for s in (0, 0.1)}
    assert of("bicubic") == {("superres:2", s, "", 0) for s in (0, 0.1)}
    rates = [(eta, steps) for eta in ("own", "1") for steps in (2, 5)]
    every = {(*problem, *rate) for problem in problems for rate in rates}
    assert of("ddrm") == of("moment-matching") == every
    assert of("dps") == {cell for cell in every if cell[2] == "own"}
    assert of("repaint") == {("inpaint:0.5", 0, "own", steps) for steps in (2, 5)}
    assert "left out: denoise, sigma_y = 0: there is nothing to do" in told
    assert any(line.startswith("left out: dps, eta 1: dps takes no eta") for line in told)
    assert all(len(line) < 300 for line in told)


def test_one_step_is_enough_and_a_cell_that_is_asked_for_twice_is_there_once():
    got = grid(["box:2", "box:2"], [0.0], ["ddrm"], ["own"], [1], SHAPE)
    assert got == [Cell("box:2", 0.0, "ddrm", "own", 1)]


def test_nothing_left_and_numbers_out_of_range_are_sentences():
    for arguments, match in (
        ((["denoise"], [0.0], ["ddrm"], ["own"], [2]), "Nothing is left to evaluate: denoise"),
        ((["denoise"], [0.1], ["ddrm"], ["2"], [2]), r"eta must lie in \[0, 1\]"),
        ((["denoise"], [-1.0], ["ddrm"], ["own"], [2]), "--sigma-y must be finite and at least 0"),
        ((["box:2"], [math.inf], ["ddrm"], ["own"], [2]), "--sigma-y must be finite and at least"),
        ((["denoise"], [0.1], ["ddrm"], ["own"], [0]), "--steps must be positive, but was 0"),
    ):
        with pytest.raises(ValueError, match=match):
            grid(*arguments, SHAPE)


def test_a_method_with_options_is_the_callable_with_them():
    op = operator_of("superres:2", SHAPE)
    y = torch.randn(1, *op.out_shape, generator=torch.Generator().manual_seed(0))

    def mine(method):
        generator = torch.Generator().manual_seed(1)
        shrink = lambda x, sigma: x / (1 + sigma**2)  # noqa: E731
        how = {"steps": 3, "generator": generator}
        if callable(method):
            return restore(shrink, op, y, sigma_y=0.1, method=method, **how)
        return restored(method, None, shrink, op, y, 0.1, **how)

    two = mine("moment-matching:cg_steps=2")
    assert torch.equal(two, mine(lambda *a, **k: MomentMatching(*a, cg_steps=2, **k)))
    assert not torch.equal(two, mine("moment-matching"))


def test_a_cell_knows_its_kind():
    assert Cell("denoise", 0.1, "tv:weight=0.5").classical
    assert not Cell("denoise", 0.1, "ddrm", "own", 20).classical


def test_the_name_of_a_cells_files_is_readable_short_and_of_no_other_cell():
    cell = Cell("superres:2", 0.1, "ddrm", "0.85/1", 20)
    assert re.fullmatch(
        r"superres-2_0\.1_ddrm_0\.85-1_20-[0-9a-f]{8}".replace("_", "[-_]"), cell.stem
    )
    assert cell._replace(eta="0.85-1").stem != cell.stem
    long = Cell("x" * 500 + ".py:H", 0.1, "ddrm")
    assert len(long.stem) == 120 + 1 + 8

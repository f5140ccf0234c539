"""Operators made of operators: direct sums, other coordinates, fewer measurements.

The law suite of ``test_base.py`` runs on all three; here is what is special about each.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from memory import peak_bytes
from strategies import random_images, seeds, selected_rows

from ddrm_edu import (
    BlockOperator,
    ChangeOfBasis,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    DirectSum,
    Inpainting,
    Kronecker,
    SelectedRows,
    SuperResolution,
    SVDOperator,
    check_operator,
    load_denoiser,
    load_images,
    restore,
)

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(17)
SHAPE = (3, 8, 12)


# -- direct sums -----------------------------------------------------------------------------------


def halves() -> tuple[SuperResolution, Denoising, DirectSum]:
    reduced, noisy = SuperResolution((3, 8, 4), 2), Denoising((3, 8, 6))
    return reduced, noisy, DirectSum(SHAPE, [(reduced, 0, 8), (noisy, 0, 1)])


def test_each_part_of_a_direct_sum_sees_its_own_rectangle():
    reduced, noisy, op = halves()
    x = random_images(SHAPE, 1)
    right, left = op.split(op(x))
    assert torch.equal(right, reduced(x[..., 8:]))
    assert torch.equal(left, noisy(x[..., 1:7]))


def test_pixels_in_no_rectangle_are_not_measured_and_left_alone():
    _, _, op = halves()
    outside = torch.zeros(SHAPE, dtype=torch.bool)
    outside[..., [0, 7]] = True
    assert not op.s[outside].any()
    x = random_images(SHAPE, 2)
    for method in (op.V, op.Vt):
        assert torch.equal(method(x)[:, outside], x[:, outside])
    y = op(x)
    assert torch.equal(op(torch.where(outside, 9.0, x)), y)
    assert not op.pinv(y)[:, outside].any()


def test_split_takes_an_empty_batch():
    _, _, op = halves()
    assert [piece.shape for piece in op.split(torch.ones(0, op.m))] == [(0, 3, 4, 2), (0, 3, 8, 6)]


def test_direct_sums_may_contain_direct_sums():
    inner = DirectSum(
        (2, 4, 3), [(Denoising((2, 1, 3)), 3, 0), (CircularBlur((2, 2, 3), KERNEL), 0, 0)]
    )
    colours = Colorization((2, 5, 2), (0.4, -1.3))
    op = DirectSum((2, 5, 6), [(inner, 1, 3), (colours, 0, 0)])
    H = np.zeros((op.m, 2, 5, 6))
    H[: inner.m, :, 1:, 3:] = inner.matrix().numpy().reshape(-1, 2, 4, 3)
    H[inner.m :, :, :, :2] = colours.matrix().numpy().reshape(-1, 2, 5, 2)
    assert check_operator(op, H.reshape(op.m, -1)).ok


def test_noiseless_restoration_keeps_what_each_part_measured():
    """The lower half of a picture was reduced, a window of the upper one is lost."""
    shape = (1, 32, 32)
    mask = torch.ones(16, 32, dtype=torch.bool)
    mask[4:12, 10:20] = False
    op = DirectSum(
        shape, [(Inpainting(mask, channels=1), 0, 0), (SuperResolution((1, 16, 32), 4), 16, 0)]
    )
    y = op(load_images("fashion")[:2])
    x = restore(load_denoiser("fashion"), op, y, sigma_y=0.0, steps=3)
    assert (op(x) - y).norm() <= 1e-5 * y.norm()


KERNEL = RNG.standard_normal((2, 3))
PART = Denoising((3, 4, 4))
BAD_PARTS = {
    "none": ([], ["empty"]),
    "overlap": (
        [(PART, 0, 0), (SuperResolution((3, 4, 4), 2), 3, 3)],
        ["Denoising in rows 0 to 3, columns 0 to 3", "SuperResolution in rows 3 to 6, columns 3"],
    ),
    "the same twice": ([(PART, 2, 5), (PART, 2, 5)], ["overlaps Denoising in rows 2 to 5"]),
    "below": ([(PART, 5, 0)], ["8 rows and 12 columns", "rows 5 to 8"]),
    "to the right": ([(PART, 0, 9)], ["columns 9 to 12"]),
    "negative": ([(PART, -1, 0)], ["rows -1 to 2"]),
    "too large": ([(Denoising((3, 9, 2)), 0, 0)], ["rows 0 to 8"]),
    "channels": ([(Denoising((1, 4, 4)), 0, 0)], ["(3, height, width)", "(1, 4, 4)"]),
    "flat": ([(Denoising((4,)), 0, 0)], ["(3, height, width)", "(4,)"]),
    "no operator": ([(np.eye(4), 0, 0)], ["must be an operator", "ndarray", "Dense"]),
    "no place": ([PART], ["(op, top, left)"]),
    "no integer": ([(PART, 0.5, 0)], ["integers", "0.5"]),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_parts_that_do_not_fit_are_refused_in_a_sentence(name):
    parts, words = BAD_PARTS[name]
    with pytest.raises(ValueError, match=r"[.]$") as refused:
        DirectSum(SHAPE, parts)
    for word in words:
        assert word in str(refused.value)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(0, 4))
def test_rectangles_overlap_exactly_if_they_share_a_pixel(height, width, top, left):
    first, second = Denoising((1, 3, 2)), Denoising((1, height, width))
    painted = np.zeros((8, 8), dtype=int)
    painted[2:5, 3:5] += 1
    painted[top : top + height, left : left + width] += 1
    parts = [(first, 2, 3), (second, top, left)]
    if painted.max() > 1:
        with pytest.raises(ValueError, match="must not share pixels"):
            DirectSum((1, 8, 8), parts)
    else:
        assert DirectSum((1, 8, 8), parts).rank == painted.sum()


BIG = (3, 256, 256)


def composed() -> list:
    quarter = (3, 128, 128)
    parts = [(SuperResolution(quarter, 4), 0, 0), (Denoising(quarter), 128, 64)]
    keep = torch.from_numpy(RNG.random((3, 64, 64)) < 0.5)
    return [
        DirectSum(BIG, parts),
        ChangeOfBasis(SuperResolution(BIG, 4), lambda x: x.mT, lambda x: x.mT),
        SelectedRows(SuperResolution(BIG, 4), keep),
    ]


@pytest.mark.parametrize("op", composed(), ids=lambda op: type(op).__name__)
def test_compositions_need_little_memory(op):
    """Two numbers per pixel and one per measurement are stored, and V takes twice the batch."""
    tensors, values = [], [op]
    while values:
        value = values.pop()
        tensors += [value] if isinstance(value, torch.Tensor) else []
        values += value if isinstance(value, list | tuple) else []
        values += vars(value).values() if isinstance(value, SVDOperator) else []
    storages = {each.untyped_storage().data_ptr(): each.nbytes for each in tensors}
    assert sum(storages.values()) <= 8 * (2 * op.n + op.m) + 8192
    x = random_images(BIG, 8, batch=4, dtype=torch.float32)
    for method in (op.V, op.Vt):
        assert peak_bytes(lambda method=method: method(x)) <= 2 * x.nbytes


# -- other coordinates -----------------------------------------------------------------------------


def test_ddrm_does_not_see_a_change_of_basis():
    """The same draws, transposed: V, U and s are those of H, seen from the other side."""
    op, denoiser = SuperResolution((1, 32, 32), 4), load_denoiser("fashion")
    sideways = ChangeOfBasis(op, lambda x: x.mT, lambda x: x.mT)
    y = op(load_images("fashion")[:2])
    options = {"sigma_y": 0.1, "steps": 3, "schedule": denoiser.schedule}
    draw = restore(denoiser, op, y, **options, generator=torch.Generator().manual_seed(4))
    turned = restore(
        lambda x, sigma: denoiser(x.mT, sigma).mT,
        sideways,
        y,
        **options,
        generator=torch.Generator().manual_seed(4),
    )
    assert (turned.mT - draw).abs().max() <= 1e-5


def test_changes_of_basis_may_be_nested_and_summed():
    wide = ChangeOfBasis(
        SuperResolution((2, 4, 6), 2), lambda x: x.mT, lambda x: x.mT, in_shape=(2, 6, 4)
    )
    order = torch.from_numpy(RNG.permutation(48))
    back = order.argsort()
    mixed = ChangeOfBasis(
        wide,
        lambda x: x.flatten(1)[:, order].reshape(-1, 2, 6, 4),
        lambda x: x.flatten(1)[:, back],
        in_shape=(48,),
    )
    assert check_operator(mixed, lambda x: wide(x[:, order].reshape(-1, 2, 6, 4))).ok
    both = DirectSum((2, 6, 8), [(wide, 0, 4)])
    assert check_operator(both, lambda x: wide(x[..., 4:]).flatten(1)).ok


ORDER = torch.tensor([1, 2, 0, 3])
TURN = lambda x: x[:, ORDER]  # noqa: E731
WRONG_BASES = {
    "not normalised": ((lambda x: 2 * x, lambda x: x / 2), ["<Q x, z>", "normalisation"]),
    "scaled both ways": ((lambda x: 2 * x, lambda x: 2 * x), ["Qt(Q(x)) = x", "orthogonal"]),
    "a permutation for its inverse": ((TURN, TURN), ["Qt(Q(x)) = x", "permutation"]),
    "not linear": ((lambda x: x + 1, lambda x: x - 1), ["fails by"]),
    "without a transpose": ((TURN,), ["Qt", "transposition"]),
    "other shape": ((lambda x: x[:, :3], TURN), ["(3, 4)", "(3, 3)", "in_shape="]),
    "no tensor": ((lambda x: x.numpy(), TURN), ["ndarray"]),
    "always double": ((lambda x: x.double(), lambda x: x), ["dtype", "float64 for float32"]),
    "in place": ((lambda x: x.mul_(-1), lambda x: -x), ["must not write"]),
    "single precision": ((torch.linalg.qr(torch.randn(4, 4))[0].numpy(),), ["single precision"]),
    "singular": ((np.diag([1.0, 1.0, 1.0, 0.0]),), ["orthogonal"]),
    "too small": ((np.eye(3),), ["(4, 4)", "(3, 3)"]),
    "matrix with transpose": ((np.eye(4), np.eye(4)), ["needs no Qt"]),
}


@pytest.mark.parametrize("name", WRONG_BASES)
def test_a_basis_that_is_not_orthogonal_is_refused_in_a_sentence(name):
    arguments, words = WRONG_BASES[name]
    with pytest.raises(ValueError, match=r"[.]$") as refused:
        ChangeOfBasis(Dense(np.diag([1.0, 0.5, 0.2, 0.0])), *arguments)
    for word in words:
        assert word in str(refused.value)


def test_a_change_of_basis_keeps_the_number_of_entries():
    with pytest.raises(ValueError, match=r"\(2, 3\) has 6 and .* \(4,\) has 4"):
        ChangeOfBasis(Denoising((4,)), np.eye(4), in_shape=(2, 3))
    with pytest.raises(ValueError, match="must be an SVDOperator"):
        ChangeOfBasis(np.eye(4), np.eye(4))


# -- fewer measurements ----------------------------------------------------------------------------


@given(selected_rows(), seeds)
def test_selected_rows_are_those_rows_of_the_measurement(case, seed):
    op, _ = case
    x = random_images(op.in_shape, seed)
    assert torch.equal(op(x), op._op(x).flatten(1)[:, op._kept])


def test_selecting_rows_of_the_identity_is_inpainting():
    mask = RNG.random((2, 5, 7)) < 0.4
    selected, inpainting = SelectedRows(Denoising(mask.shape), mask), Inpainting(mask)
    x = random_images(mask.shape, 3)
    assert torch.equal(selected.s, inpainting.s)
    assert torch.equal(selected(x), inpainting(x))
    y = selected(x)
    assert torch.equal(selected.pinv(y), inpainting.pinv(y))


def test_rows_of_a_large_measurement_are_told_apart():
    """196,608 probes: their smallest gap must stay far above rounding."""
    shape = (3, 256, 256)
    op = CompressedSensing(shape, 3 * 2**16, generator=torch.Generator().manual_seed(3))
    keep = torch.from_numpy(RNG.random(op.out_shape) < 0.3)
    assert SelectedRows(op, keep).rank == int(keep.sum())


def rotated(angle: float) -> Dense:
    c, s = np.cos(angle), np.sin(angle)
    return Dense(np.array([[c, -s], [s, c]]) @ np.diag([2.0, 1.0]))


MIXING = {
    "a blur": CircularBlur((1, 4, 4), KERNEL),
    "any matrix": Dense(RNG.standard_normal((3, 5))),
    "rows and columns": Kronecker(RNG.standard_normal((2, 3)), RNG.standard_normal((2, 2))),
    "several numbers per patch": BlockOperator(RNG.standard_normal((2, 3)), (3, 2, 2)),
    "one row, twice": Dense(np.array([[1.0, 2.0], [1.0, 2.0]])),
    "a small angle": rotated(1e-6),
    "partly": DirectSum(
        (1, 4, 8), [(Denoising((1, 4, 4)), 0, 0), (CircularBlur((1, 4, 4), KERNEL), 0, 4)]
    ),
}


@pytest.mark.parametrize("name", MIXING)
def test_rows_that_mix_coordinates_cannot_be_selected(name):
    op = MIXING[name]
    keep = np.ones(op.out_shape, dtype=bool)
    keep.flat[0] = False
    with pytest.raises(ValueError, match=r"not orthogonal any more.*Dense\(op.matrix\(\)\[keep"):
        SelectedRows(op, keep)


def test_the_advice_for_rows_that_mix_coordinates_works():
    op = MIXING["a blur"]
    keep = torch.from_numpy(RNG.random(op.out_shape) < 0.6)
    rows = Dense(op.matrix()[keep.flatten()], op.in_shape)
    x = random_images(op.in_shape, 5)
    assert (rows(x) - op(x)[:, keep]).abs().max() <= 100 * EPS * op.n


def test_of_rows_that_were_dropped_not_even_rounding_is_left():
    """U of a computed SVD is a permutation up to rounding; what is not measured is exactly 0."""
    Q = np.linalg.qr(np.random.default_rng(4).standard_normal((6, 4)))[0].T
    op = SelectedRows(Dense(np.diag([3.0, 2.0, 1.5, 1.0]) @ Q), [True, False, True, False])
    lost = op.s == 0
    assert not op.U(random_images((6,), 1) * lost).any()
    assert not op.Ut(random_images((2,), 2))[:, lost].any()


def test_rows_that_are_zero_may_be_kept_and_signs_may_change():
    H = np.array([[0.0, -3.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    for keep in ([True, True, False], [False, True, True], [False, True, False]):
        op = SelectedRows(Dense(H), keep)
        assert check_operator(op, H[keep]).ok


@pytest.mark.parametrize(
    "keep",
    [np.ones((3, 2, 2)), np.ones(12, dtype=bool), np.zeros((3, 2, 2), dtype=bool), [True]],
    ids=["numbers", "flat", "nothing", "one"],
)
def test_keep_must_be_a_mask_of_the_measurement(keep):
    with pytest.raises(ValueError, match=r"keep must be a boolean array .*\(3, 2, 2\)"):
        SelectedRows(SuperResolution((3, 4, 4), 2), keep)


def test_only_operators_can_be_composed():
    with pytest.raises(ValueError, match="from_function"):
        SelectedRows(lambda x: x, [True])

"""Structured operators on images of real size: restored with the shipped network, and memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from memory import peak_bytes, stored_bytes
from strategies import random_images, seeded

from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    BlurDecimation,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Diagonal,
    FourierMask,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SeparableBlur,
    Stacked,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    WeightedRows,
    load_denoiser,
    load_images,
    restore,
)

RNG = np.random.default_rng(59)


# -- restoring real images -------------------------------------------------------------------------


SHAPE = (3, 32, 32)


def bayer_mask(height: int, width: int) -> torch.Tensor:
    """Red, green / green, blue: a camera measures one colour at each pixel."""
    mask = torch.zeros(3, height, width, dtype=torch.bool)
    mask[0, 0::2, 0::2] = mask[1, 0::2, 1::2] = mask[1, 1::2, 0::2] = mask[2, 1::2, 1::2] = True
    return mask


TASKS = {
    "mean over 9 x 9 pixels": SeparableBlur(SHAPE, np.full(9, 1 / 9)),
    "random 21 x 21 kernel": CircularBlur(SHAPE, RNG.random((21, 21)) / 220),
    "Bayer mosaic": Inpainting(bayer_mask(32, 32)),
    "bicubic x 4": BicubicSuperResolution(SHAPE, 4),
    "a third of mixed coordinates": CompressedSensing(SHAPE, 1024, generator=seeded(4)),
}


@pytest.mark.parametrize("op", TASKS.values(), ids=TASKS.keys())
def test_restored_images_agree_with_their_measurement(op):
    """X06: H x = y to rounding in float32 with the shipped network, without noise."""
    x0 = load_images("natural")[3:5]
    y = op(x0)
    generators = [seeded(k) for k in range(2)]
    x = restore(load_denoiser("natural"), op, y, sigma_y=0.0, steps=4, generator=generators)
    eps, largest = torch.finfo(torch.float32).eps, op.s.max().item()
    size = largest * x.flatten(1).norm(dim=1) + y.flatten(1).norm(dim=1)
    residual = (op(x) - y).flatten(1).norm(dim=1)
    assert (residual <= 10 * eps * op.n**0.5 * size).all()
    assert (residual <= 1e-5 * y.flatten(1).norm(dim=1)).all()


# -- memory ----------------------------------------------------------------------------------------


BIG = (3, 256, 256)


def big_operators() -> list[SVDOperator]:
    return [
        SuperResolution(BIG, 4),
        Colorization(BIG, (0.299, 0.587, 0.114)),
        Inpainting(np.random.default_rng(5).random(BIG) < 0.5),
        PatchFunctional(BIG, np.random.default_rng(6).standard_normal((3, 8, 4))),
        Denoising(BIG),
        Diagonal(np.random.default_rng(7).standard_normal(BIG)),
    ]


@pytest.mark.parametrize("method", ["V", "Vt"])
@pytest.mark.parametrize("op", big_operators(), ids=lambda op: type(op).__name__)
def test_v_and_vt_need_at_most_twice_the_batch_in_memory(op, method):
    """S23.3: a reflection costs O(1) per pixel and stores one vector; no matrix of any size."""
    x = random_images(BIG, 7, batch=4, dtype=torch.float32)
    assert x.nbytes <= peak_bytes(lambda: getattr(op, method)(x)) <= 2 * x.nbytes


@pytest.mark.parametrize("op", big_operators(), ids=lambda op: type(op).__name__)
def test_structured_operators_store_at_most_two_numbers_per_pixel(op):
    """S23.3 with E11: O(n) memory, counted in bytes."""
    assert sum(map(stored_bytes, vars(op).values())) <= 2 * 8 * op.n + 8192


def big_structures() -> list[SVDOperator]:
    rng = np.random.default_rng(5)
    return [
        BlockOperator(rng.standard_normal((2, 3)), BIG),
        BlockOperator(rng.standard_normal((5, 32)), BIG, (1, 8, 4)),
        Kronecker(rng.standard_normal((64, 256)), rng.standard_normal((256, 256)), 3),
        SeparableBlur(BIG, np.full(9, 1 / 9)),
        BicubicSuperResolution(BIG, 4),
        CircularBlur(BIG, rng.standard_normal((21, 21))),
        CompressedSensing(BIG, 3 * 2**14, generator=seeded(6)),
        BlurDecimation(BIG, rng.standard_normal((21, 21)), 4),
        FourierMask(rng.random((256, 256)) < 0.3),
        FourierMask(rng.random((255, 257)) < 0.3, centred=True),
        Stacked([CircularBlur(BIG, rng.standard_normal((5, 5))) for _ in range(2)]),
        Stacked([SuperResolution(BIG, 4), Denoising(BIG)]),
        SymmetricBlur(BIG, np.outer([1, 3, 1], [2, 5, 2])),
        WeightedRows(Denoising(BIG), 0.1 + rng.random(BIG)),
    ]


@pytest.fixture(scope="module", params=range(14), ids=lambda k: type(big_structures()[k]).__name__)
def big(request) -> SVDOperator:
    return big_structures()[request.param]


@pytest.mark.parametrize("method", ["V", "Vt"])
def test_v_and_vt_need_at_most_three_times_the_batch_in_memory(big, method):
    x = random_images(big.in_shape, 7, batch=4, dtype=torch.float32)
    assert x.nbytes <= peak_bytes(lambda: getattr(big, method)(x)) <= 3.1 * x.nbytes


def test_structures_store_at_most_four_numbers_per_pixel(big):
    """A dense V alone would hold 196,608 for each."""
    assert sum(map(stored_bytes, vars(big).values())) <= 4 * 8 * big.n + 16384

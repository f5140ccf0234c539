"""What the operators' methods do to memory: passes over the batch, and what is never converted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from passes import passes

from ddrm_edu import Colorization, Dense, Inpainting, PatchFunctional

SHAPE = (3, 32, 32)
MASK = np.random.default_rng(0).random(SHAPE) < 0.5


def batch_of(shape):
    return torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))


def test_the_meter_counts_what_is_written_and_no_views():
    x = torch.ones(10, 10)
    assert passes(lambda: (x * 2).reshape(100)[3:].add_(1.0), 90) == [
        "aten.mul.Tensor",
        "aten.add_.Tensor",
    ]
    assert passes(lambda: x.double().sum(), 100, dtype=torch.float64) == ["aten._to_copy.default"]
    assert passes(lambda: x.double().sum(), 101) == []


def test_inpainting_sorts_its_measurement_in_place():
    """Zeros, and the measured pixels written into them: no copy of the zeros."""
    op = Inpainting(MASK)
    written = passes(lambda: op.Ut(batch_of(op.out_shape)), 4 * op.n)
    assert written == ["aten.new_zeros.default", "aten.index_copy_.default"]


@pytest.mark.parametrize("op", [Inpainting(MASK), Colorization(SHAPE)], ids=repr)
def test_the_spectral_measurement_selects_nothing(op):
    """``where`` on a random mask costs as much as ten copies."""
    assert not any(
        "where" in name for name in passes(lambda: op.measure_spec(batch_of(op.out_shape)), 1)
    )


@pytest.mark.parametrize("weights", [(1 / 3,) * 3, (0.299, 0.587, 0.114), (-0.4, 0.0, 2.0)])
def test_colour_is_one_product_with_a_small_matrix(weights):
    """The reflection of all pixels in one pass, equal to that of a patch of one pixel."""
    op, x = Colorization(SHAPE, weights), batch_of(SHAPE)
    patches = PatchFunctional(SHAPE, np.reshape(weights, (3, 1, 1)))
    for method in ("V", "Vt"):
        torch.testing.assert_close(getattr(op, method)(x), getattr(patches, method)(x))
        written = passes(lambda method=method: getattr(op, method)(x), x.numel())
        assert len(written) == 1, written


@pytest.mark.parametrize("method", ["V", "Vt", "U", "Ut", "__call__", "pinv"])
def test_a_dense_matrix_is_not_converted_in_every_call(method):
    """Images are fewer numbers; the result has their type all the same."""
    op = Dense(np.random.default_rng(1).random((60, 64)))
    of = op.out_shape if method in ("Ut", "pinv") else op.in_shape
    single, double = batch_of(of), batch_of(of).double()
    assert passes(lambda: getattr(op, method)(single), 60 * 60) == []
    got, want = getattr(op, method)(single), getattr(op, method)(double)
    assert (got.dtype, want.dtype) == (torch.float32, torch.float64)
    size = want.abs().max().item()
    torch.testing.assert_close(got.double(), want, atol=1e-7 * size, rtol=1e-6)


@pytest.mark.parametrize("s", [[2.0, 0.0, -0.0, 1e-300], [0.0, 0.0, 0.0, 0.5]])
def test_coordinates_without_a_singular_value_measure_exactly_0(s):
    """Also those with -0, whose quotient has another sign of infinity."""
    op = Dense(np.eye(4))
    op.s = torch.tensor(s, dtype=torch.float64)
    y_spec = op.measure_spec(torch.ones(1, 4, dtype=torch.float64))[0]
    assert (y_spec[op.s == 0] == 0).all()
    assert torch.equal(
        y_spec[op.s > 0], (1 / op.s[op.s > 0]) * op.Ut(torch.ones(1, 4).double())[0][op.s > 0]
    )

"""Any matrix through LAPACK's SVD: which singular values count, shapes, containers, memory."""

from __future__ import annotations

import numpy as np
import torch
from comparing import EPS64, assert_near, pinv_bound, rounding, spectrum, times
from hypothesis import given
from hypothesis import strategies as st
from strategies import argument, matrices, random_images, seeds
from torch import Tensor

from ddrm_edu import Dense


@given(matrices(), st.sampled_from([0.3, 0.01, 1e-5, 1e-9]), seeds)
def test_rtol_of_dense_cuts_where_numpy_pinv_cuts(H, rtol, seed):
    """S09.2: the threshold for singular values near 0 is the caller's to choose."""
    s = spectrum(H)
    cuts_through_rounding = np.abs(s - rtol * s[0]) <= 10 * EPS64 * s[0]
    if s[0] > 0 and cuts_through_rounding.any():
        rtol = rtol * 1.1  # the two decompositions may disagree about s == rtol * s_max
    op = Dense(H, rtol=rtol)
    assert op.rank == np.linalg.matrix_rank(H, rtol=rtol)
    y = argument(op, "out", seed)
    want = times(np.linalg.pinv(H, rcond=rtol), y)
    assert_near(op.pinv(y), want, pinv_bound(H, torch.float64, y, rtol))


def test_without_a_tolerance_every_positive_singular_value_counts():
    """rtol = 0 is admissible: for a matrix that is known to be exact."""
    assert Dense(np.diag([1.0, 1e-30]), rtol=0).rank == 2
    assert Dense(np.diag([1.0, 1e-30])).rank == 1


def test_by_default_values_up_to_max_m_n_rounding_units_count_as_0():
    for shape in ((2, 50), (50, 2)):
        for smaller, rank in ((30, 1), (70, 2)):
            H = np.eye(*shape)
            H[1, 1] = smaller * EPS64
            assert Dense(H).rank == rank


def test_dense_accepts_nested_lists_and_integers():
    op = Dense([[1, 2, -3], [0, 4, 1]])
    want = np.array([[1, 2, -3], [0, 4, 1]])
    assert_near(op.matrix().T, want.T, rounding(torch.float64, 3, np.linalg.norm(want, 2)))


def test_dense_keeps_the_shapes_it_is_given():
    """H acts on images flattened row by row."""
    H = np.random.default_rng(3).standard_normal((6, 24))
    op = Dense(H, in_shape=(2, 3, 4), out_shape=(3, 2))
    x = random_images((2, 3, 4), 4)
    y = op(x)
    assert y.shape == (3, 3, 2)
    for image, measured in zip(x, y, strict=True):
        want = torch.from_numpy(H @ image.numpy().ravel()).reshape(3, 2)
        bound = rounding(torch.float64, 24, np.linalg.norm(H, 2), image.norm())
        assert (measured - want).norm() <= bound


def test_dense_stores_two_square_matrices_at_most():
    H = np.random.default_rng(8).standard_normal((40, 90))
    stored = sum(value.nbytes for value in vars(Dense(H)).values() if isinstance(value, Tensor))
    assert stored <= 8 * (90 * 90 + 40 * 40 + 90)

"""Operators that act on each patch alone: super-resolution, colorization, blocks (slides 20-23)."""

from __future__ import annotations

import numpy as np
import torch
from comparing import EPS64, assert_near, dense_of, largest_norm, rounding, times
from hypothesis import given
from hypothesis import strategies as st
from oracles import colorization_matrix, patch_functional_matrix
from strategies import matrices, random_images, seeds

from ddrm_edu import BlockOperator, Colorization, Dense, PatchFunctional, SuperResolution

RNG = np.random.default_rng(59)


# -- one number per patch --------------------------------------------------------------------------


def test_super_resolution_has_singular_values_one_over_factor():
    """S23.2: s = 1 / r, not 1 / r^2."""
    s = SuperResolution((3, 6, 9), 3).s
    assert (s[s > 0] - 1 / 3).abs().max() <= EPS64
    assert (s > 0).sum() == 3 * 2 * 3


def test_factor_may_be_a_numpy_integer():
    assert SuperResolution((1, 4, 6), np.int64(2)).out_shape == (1, 2, 3)


def test_colorization_of_the_mean_has_singular_values_one_over_root_three():
    """S20.3."""
    op = Colorization((3, 4, 5))
    assert (op.s[op.s > 0] - 3**-0.5).abs().max() <= EPS64
    want = colorization_matrix((3, 4, 5), [1 / 3] * 3)
    assert_near(op.matrix().T, want.T, rounding(torch.float64, op.n, 3**-0.5))


def test_patch_functional_with_equal_weights_is_super_resolution():
    """S22.3."""
    shape, k = (2, 6, 4), torch.full((1, 2, 2), 0.25)
    x = random_images(shape, 2)
    general, special = PatchFunctional(shape, k), SuperResolution(shape, 2)
    assert general.out_shape == special.out_shape
    assert torch.equal(general(x), special(x))
    assert torch.equal(general.Vt(x), special.Vt(x))


# -- any matrix for each patch ---------------------------------------------------------------------


@given(st.data(), seeds)
def test_a_block_of_one_row_is_a_patch_functional_up_to_signs(data, seed):
    """The same H, the same places and sizes of s; U and the seen columns of V up to one sign."""
    patch = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)))
    shape = tuple(2 * side for side in patch)
    k = np.random.default_rng(seed).standard_normal(patch)
    block, special = BlockOperator(k.reshape(1, -1), shape, patch), PatchFunctional(shape, k)
    H = patch_functional_matrix(shape, k)
    x, bound = random_images(shape, seed), rounding(torch.float64, block.n, np.linalg.norm(k))
    assert block.out_shape == special.out_shape
    for op in (block, special):
        assert_near(op(x), times(H, x), bound * largest_norm(x))
    assert (block.s - special.s).abs().max() <= bound
    assert torch.equal(block.s > 0, special.s > 0)
    seen = (special.s > 0).flatten().numpy()
    U, U_special = (dense_of(op.U, shape)[:, seen] for op in (block, special))
    V, V_special = (dense_of(op.V, shape)[:, seen] for op in (block, special))
    sign = np.sign(U[0, 0] * U_special[0, 0])
    assert np.abs(U - sign * U_special).max() <= rounding(torch.float64, block.n)
    assert np.abs(V - sign * V_special).max() <= rounding(torch.float64, block.n)


@given(matrices(), seeds)
def test_a_block_as_large_as_the_image_is_dense(K, seed):
    """One patch: the SVD of K itself, tall, rank-deficient or zero."""
    shape = (1, 1, K.shape[1])
    block, dense = BlockOperator(K, shape, shape), Dense(K, in_shape=shape)
    x = random_images(shape, seed)
    bound = rounding(torch.float64, block.n, np.linalg.norm(K, 2), largest_norm(x))
    assert torch.equal(block.s, dense.s)
    assert_near(block(x).flatten(1), dense(x), bound)
    assert BlockOperator(K, shape, shape, rtol=0.5).rank == Dense(K, rtol=0.5).rank


def test_measured_numbers_of_a_patch_lie_along_the_channels():
    """All first rows of K make the first channel; groups of channels come one after the other."""
    K = RNG.standard_normal((3, 8))
    op = BlockOperator(K, (4, 6, 4), (2, 2, 2))
    x = random_images(op.in_shape, 9)
    y = op(x)
    assert y.shape == (3, 6, 3, 2)
    patch = x[:, 2:4, 4:6, 0:2].flatten(1)
    want = patch @ torch.from_numpy(K).T
    bound = rounding(torch.float64, op.n, np.linalg.norm(K, 2), largest_norm(x))
    assert_near(y[:, 3:6, 2, 0], want, bound)

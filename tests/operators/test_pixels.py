"""What slide 20 says of operators that measure single pixels: denoising and inpainting."""

from __future__ import annotations

import numpy as np
import torch
from oracles import diagonal_matrix, inpainting_matrix
from strategies import random_images

from ddrm_edu import Denoising, Diagonal, Inpainting


def test_denoising_is_the_identity():
    """S20.1."""
    op = Denoising((3, 5, 7))
    x = random_images(op.in_shape, 1)
    assert torch.equal(op(x), x)
    assert torch.equal(op.pinv(x), x)


def test_inpainting_lists_the_measured_pixels_in_row_major_order():
    """S20.2; a mask whose sorting permutation is not its own inverse (M40)."""
    mask = np.array([[[False, True, True, False, True], [True, False, False, False, True]]])
    op = Inpainting(mask)
    x = torch.arange(10.0).reshape(1, *mask.shape)
    assert torch.equal(op(x), torch.tensor([[1.0, 2.0, 4.0, 5.0, 9.0]]))
    assert torch.equal(op.matrix(), torch.from_numpy(inpainting_matrix(mask)))
    assert torch.equal(op.s, torch.from_numpy(mask).double()), "V = I, so s is the mask itself"


def test_a_diagonal_keeps_its_weights_to_the_last_bit():
    """S09.1: s is |w|, the sign is in U, V = I, and y has the shape of x."""
    weights = np.array([[[0.0, -2.5, 1e-12], [3.0, -0.0, 0.1]]])
    op, x = Diagonal(weights), random_images((1, 2, 3), 2)
    assert op.pixel_basis
    assert torch.equal(op.s, torch.from_numpy(np.abs(weights)))
    assert torch.equal(op(x), x * torch.from_numpy(weights))
    assert torch.equal(op.matrix(), torch.from_numpy(diagonal_matrix(weights)))
    assert op.rank == 4
    assert op.pinv(x)[:, torch.from_numpy(weights == 0)].tolist() == [[0.0, 0.0]] * 3


def test_a_diagonal_of_a_mask_is_the_inpainting_with_zeros_in_their_places():
    mask = np.array([[True, False, True], [False, False, True]])
    op, listed, x = Diagonal(mask, 2), Inpainting(mask, 2), random_images((2, 2, 3), 3)
    assert torch.equal(op.spectrum(), listed.spectrum())
    assert torch.equal(op(x).flatten(1)[:, op.spectrum().flatten() > 0], listed(x))
    assert torch.equal(op.pinv(op(x)), listed.pinv(listed(x)))

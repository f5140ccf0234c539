"""What slide 20 says of operators that measure single pixels: denoising and inpainting."""

from __future__ import annotations

import numpy as np
import torch
from oracles import inpainting_matrix
from strategies import random_images

from ddrm_edu import Denoising, Inpainting


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

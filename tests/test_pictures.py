"""Pictures of tensors: what is drawn for values in and out of range, and for lost pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from ddrm_edu.pictures import draw_image, restoration_grid


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def drawn(image: torch.Tensor) -> np.ndarray:
    """The pixels (h, w, 4) that an image becomes."""
    ax = plt.figure().subplots()
    draw_image(ax, image, "a title", "a caption")
    assert (ax.get_title(), ax.get_xlabel()) == ("a title", "a caption")
    return np.asarray(ax.images[0].get_array())


def test_black_is_minus_one_white_is_one_and_what_is_beyond_is_cut():
    pixels = drawn(torch.tensor([[[-1.0, 0.0, 1.0], [-3.0, 0.5, 7.0]]]))
    assert np.allclose(pixels[..., 0], [[0, 0.5, 1], [0, 0.75, 1]])
    assert (pixels[..., :1] == pixels[..., :3]).all()  # grey
    assert (pixels[..., 3] == 1).all()


def test_colours_are_the_channels():
    image = torch.zeros(3, 2, 4)
    image[1] = 1.0
    assert np.allclose(drawn(image), [0.5, 1.0, 0.5, 1.0])


def test_a_pixel_that_was_not_measured_is_transparent():
    image = torch.zeros(3, 2, 2)
    image[2, 0, 1] = torch.nan
    assert drawn(image)[..., 3].tolist() == [[1, 0], [1, 1]]


def test_a_grid_has_a_row_per_task_and_a_column_per_stage():
    images = torch.zeros(2, 1, 4, 4)
    columns = {"truth": images, "DDRM": images}
    figure = restoration_grid(columns, ["cat", "dog"], {"DDRM": ["20 dB", "21 dB"]}, "title")
    axes = np.array(figure.axes).reshape(2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["truth", "DDRM"]
    assert [ax.get_title() for ax in axes[1]] == ["", ""]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["cat", "dog"]
    assert [ax.get_xlabel() for ax in axes[:, 1]] == ["20 dB", "21 dB"]
    assert figure.get_suptitle() == "title"

"""Pictures of tensors: what is drawn for values in and out of range, and for lost pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ddrm_edu.pictures import draw_image, restoration_grid, write_new


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


# -- writing a file ------------------------------------------------------------------------------


def test_a_file_that_appears_during_the_run_is_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"exists already.*--figure, or --force"):
        write_new(tmp_path / "a.png", Figure())
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    write_new(tmp_path / "a.png", Figure(), force=True)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_no_known_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--figure expects.*png.*a\.xyz"):
        write_new(tmp_path / "a.xyz", Figure())


def test_a_file_that_appears_while_the_figure_is_drawn_is_kept(tmp_path):
    class Late(Figure):
        def savefig(self, *arguments, **options):
            super().savefig(*arguments, **options)
            (tmp_path / "a.png").write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a.png", Late())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"mine")]


def test_a_failed_write_leaves_nothing(tmp_path):
    """A full disk: half of the file is written, then an error."""

    class Half(Figure):
        def savefig(self, path, **options):
            path.write_bytes(b"pic")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "a.png", Half())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "start"), [("a", b"\x89PNG"), ("a.jpg", b"\xff\xd8"), ("b.pdf", b"%PDF")]
)
def test_a_figure_is_written_in_the_format_of_its_name(tmp_path, name, start):
    write_new(tmp_path / name, Figure())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(start)

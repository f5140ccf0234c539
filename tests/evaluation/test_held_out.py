"""The images of an evaluation."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.transform import resize

from ddrm_edu import data, load_images
from ddrm_edu.evaluation import held_out as module
from ddrm_edu.evaluation.held_out import held_out, names_of


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_shipped_images_are_the_first_of_those_that_load_images_gives():
    assert torch.equal(held_out("natural", 5), load_images("natural")[:5])
    assert torch.equal(held_out("natural:64"), load_images("natural", 64))
    assert held_out("fashion").shape == (64, 1, 32, 32)
    assert names_of("natural", 2) == ["01-cat-face", "02-astronaut-face"]


def test_a_test_split_gives_64_by_default(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    monkeypatch.setitem(
        module.DATA_SETS, "cifar10", lambda split: pixels[: 100 * (split == "test")]
    )
    assert torch.equal(held_out("cifar10"), torch.from_numpy(data.to_float(pixels[:64])).float())
    assert len(held_out("cifar10", 80)) == 80
    assert names_of("cifar10", 2) == ["00000", "00001"]


def test_a_folder_is_read_in_the_order_of_its_names(folder):
    images = held_out(str(folder))
    assert images.shape == (3, 3, 20, 24)
    pixels = np.asarray(Image.open(folder / "1.png")).transpose(2, 0, 1)
    assert torch.allclose(images[1], torch.from_numpy(data.to_float(pixels)).float(), atol=1e-6)
    assert names_of(str(folder), 2) == ["0.png", "1.png"]
    small = held_out(str(folder), 2, size=10)
    assert small.shape == (2, 3, 10, 10)
    middle = images[:2, :, :, 2:22].reshape(2, 3, 10, 2, 10, 2).mean((3, 5))
    assert float((small - middle).square().mean().sqrt()) < 0.25 * float(middle.std())
    square = images[1, :, :, 2:22].double().numpy()
    smooth = torch.from_numpy(resize(square, (3, 5, 5), anti_aliasing=True)).float()
    assert torch.allclose(held_out(str(folder), 2, size=5)[1], smooth, atol=1e-6)


def test_the_square_is_the_middle_of_a_tall_picture_too(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    middle = torch.from_numpy(data.to_float(pixels[2:22].transpose(2, 0, 1))).float()
    assert torch.allclose(held_out(str(tmp_path), size=20)[0], middle, atol=1e-6)


def test_a_picture_may_be_as_small_as_what_is_asked_for(folder):
    """Nothing is smoothed then: the square in the middle is what it was."""
    images = held_out(str(folder))
    assert torch.allclose(held_out(str(folder), 3, size=20), images[..., 2:22], atol=1e-6)
    assert held_out(str(folder), size=1).shape == (3, 3, 1, 1)
    assert len(held_out("natural", 32)) == 32
    assert len(held_out("natural", 1)) == 1
    with pytest.raises(ValueError, match="--count 0 is not possible"):
        held_out("natural", 0)


def test_what_cannot_be_taken_is_told(folder):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "small.png")
    for arguments, match in (
        (("nowhere",), "there is no folder 'nowhere'"),
        (("natural", 33), "--count 33 is not possible: natural has 32 images"),
        (("natural", None, 16), "--size reduces the pictures of a folder, but natural is none"),
        ((str(folder),), r"must have one shape, but have \(3, 8, 8\), \(3, 20, 24\)"),
        ((str(folder), None, 10), r"--size 10 does not fit small\.png, 8 x 8"),
    ):
        with pytest.raises(ValueError, match=match):
            held_out(*arguments)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match="there are no pictures"):
        held_out(str(tmp_path))

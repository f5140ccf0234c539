"""The tasks of the command line: kernels, colours and masks become H."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from PIL import Image

from ddrm_edu import (
    BicubicSuperResolution,
    CircularBlur,
    Denoising,
    Inpainting,
    SeparableBlur,
    SuperResolution,
    SymmetricBlur,
    check_operator,
)
from ddrm_edu.tasks import TASKS, WEIGHTS, Task, bayer, color_weights, kernel_of, of_grey

SHAPE = (1, 6, 8)
GREY_OPERATORS = {
    "denoise": Denoising(SHAPE),
    "mask": Inpainting(torch.arange(48).reshape(6, 8) % 3 > 0, channels=1),
    "mean": SuperResolution(SHAPE, 2),
    "bicubic": BicubicSuperResolution(SHAPE, 2),
    "black border": SeparableBlur(SHAPE, [0.2, 0.5, 0.3]),
    "circular": CircularBlur(SHAPE, [[0.1, 0.7, 0.2]]),
}


@pytest.mark.parametrize("weights", [(0.299, 0.587, 0.114), (0.0, 1.0, 0.0), (1, -2, 0.5, 3)])
@pytest.mark.parametrize("name", GREY_OPERATORS)
def test_h_of_the_grey_version_has_an_exact_svd(name, weights):
    """Against the matrix of H times the weights of each channel, by numpy."""
    grey = GREY_OPERATORS[name]
    op = of_grey(grey, weights)
    truth = np.hstack([weight * grey.matrix().numpy() for weight in weights])
    assert op.in_shape == (len(weights), 6, 8)
    assert np.abs(op.matrix().numpy() - truth).max() <= 1e-12
    assert op.rank == grey.rank
    report = check_operator(op, truth)
    assert report.ok, report


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_camera_measures_one_colour_in_each_pixel(pattern):
    mask = bayer(pattern, 5, 7).numpy()
    for row in range(5):
        for column in range(7):
            colour = pattern[2 * (row % 2) + column % 2]
            assert mask[:, row, column].tolist() == [colour == each for each in "RGB"]


# -- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.3, 1.5, 4.0])
def test_a_gaussian_kernel_has_its_width_and_sum_one(sigma):
    kernel = kernel_of(f"gaussian:{sigma}")
    place = np.arange(len(kernel)) - len(kernel) // 2
    taps = np.exp(-(place**2) / 2 / sigma**2)
    np.testing.assert_allclose(kernel, np.outer(taps, taps) / taps.sum() ** 2, atol=1e-15)
    assert len(kernel) == 2 * np.ceil(4 * sigma) + 1


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("motion:5", np.full((1, 5), 0.2)),
        ("motion:5,90", np.full((5, 1), 0.2)),
        ("motion:1,30", [[1.0]]),
        ("motion:4.3,0", np.array([[0.65, 1, 1, 1, 0.65]]) / 4.3),
        ("motion:3,45", np.diag([1.5 - 2**-0.5, 2**0.5, 1.5 - 2**-0.5])[::-1] / 3),
        ("motion:3,-45", np.diag([1.5 - 2**-0.5, 2**0.5, 1.5 - 2**-0.5]) / 3),
    ],
)
def test_a_motion_is_a_line_of_sum_one(text, want):
    np.testing.assert_allclose(kernel_of(text), want, rtol=0, atol=1e-3)  # of samples


@pytest.mark.parametrize("angle", [0, 17, 30, 60, 120, 200])
def test_a_motion_blur_is_symmetric_and_as_long_as_it_says(angle):
    kernel = kernel_of(f"motion:15,{angle}")
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)
    place = np.stack(np.indices(kernel.shape)) - (np.array(kernel.shape)[:, None, None] - 1) / 2
    along = np.cos(np.radians(angle)) * place[1] - np.sin(np.radians(angle)) * place[0]
    assert (kernel * along**2).sum() == pytest.approx(15**2 / 12, rel=0.03)  # of a uniform law


def test_a_kernel_may_be_a_file(tmp_path):
    kernel = np.array([[0.0, 1.0, 3.0], [2.0, -1.0, 0.5]])
    np.save(tmp_path / "k.npy", kernel)
    assert (kernel_of(str(tmp_path / "k.npy")) == kernel).all()
    pixels = np.array([[0, 51, 102], [255, 0, 0]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "k.png")
    np.testing.assert_allclose(kernel_of(str(tmp_path / "k.png")), pixels / 408)


def test_a_kernel_that_is_none_is_refused(tmp_path):
    np.save(tmp_path / "k.npy", np.ones(3))
    Image.new("L", (3, 3)).save(tmp_path / "black.png")
    for text in (None, "", "gaussian", "gaussian:0", "gaussian:nan", "gaussian:1,2", "motion:-3"):
        with pytest.raises(ValueError, match="gaussian:SIGMA, motion:LENGTH,ANGLE"):
            kernel_of(text)
    for text in ("motion:a", "motion:3,inf", "box:3", "nowhere.npy", str(tmp_path / "black.png")):
        with pytest.raises(ValueError, match="gaussian:SIGMA, motion:LENGTH,ANGLE"):
            kernel_of(text)
    with pytest.raises(ValueError, match=r"two dimensions.*\(3,\)"):
        kernel_of(str(tmp_path / "k.npy"))


def test_black_beyond_the_border_takes_products_only(tmp_path):
    """By scipy's convolution; a kernel that is no product is refused with two ways out."""
    np.save(tmp_path / "product.npy", np.outer([1, -2.0], [0.5, 3, 1]))
    np.save(tmp_path / "none.npy", np.eye(3))
    x = torch.rand(1, 3, 6, 8, dtype=torch.float64)
    for border, boundary in (("zero", "fill"), ("wrap", "wrap"), ("mirror", "symm")):
        task = Task(name="deblur", kernel=str(tmp_path / "product.npy"), border=border)
        kernel = np.load(tmp_path / "product.npy")
        want = [
            scipy.signal.convolve2d(plane, kernel, mode="same", boundary=boundary)
            for plane in x[0].numpy()
        ]
        np.testing.assert_allclose(task.operator((3, 6, 8))(x)[0], want, atol=1e-12)
    for border in ("zero", "mirror", "replicate"):
        task = Task(name="deblur", kernel=str(tmp_path / "none.npy"), border=border)
        with pytest.raises(
            ValueError, match=rf"--border {border} is .*--border wrap, or give your"
        ):
            task.operator((3, 6, 8))


def test_a_mirrored_border_takes_symmetric_kernels_as_well(tmp_path):
    """Of which a disc is one, and the last pixel is repeated for a product."""
    x = torch.rand(1, 3, 6, 8, dtype=torch.float64)
    for border, mode, kernel, kind in (
        ("mirror", "reflect", [[0, 1, 0], [1, 2, 1], [0, 1, 0]], SymmetricBlur),
        ("mirror", "reflect", [[1, 2, 4]], SeparableBlur),
        ("replicate", "nearest", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], SeparableBlur),
    ):
        np.save(tmp_path / "kernel.npy", np.array(kernel, dtype=float))
        op = Task(name="deblur", kernel=str(tmp_path / "kernel.npy"), border=border).operator(
            (3, 6, 8)
        )
        assert type(op) is kind
        taps = np.array(kernel, dtype=float)
        want = [scipy.ndimage.convolve(plane, taps, mode=mode) for plane in x[0].numpy()]
        np.testing.assert_allclose(op(x)[0], want, atol=1e-12)


# -- words ---------------------------------------------------------------------------------------


def test_weights_are_two_names_or_numbers():
    assert color_weights("rec601", 3) == WEIGHTS["rec601"] == (0.299, 0.587, 0.114)
    assert color_weights("mean", 3) == (1 / 3, 1 / 3, 1 / 3)
    assert color_weights("1,0,-2.5", 3) == (1, 0, -2.5)
    for text in ("1,2", "1,2,3,4", "0,0,0", "a,b,c", "nan,1,1", ""):
        with pytest.raises(ValueError, match="--weights expects rec601 or mean, or 3 numbers"):
            color_weights(text, 3)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Task(name="deblurr"), "one of denoise, inpaint"),
        (Task(name="superres", factor=0), "--factor must be a positive integer"),
        (Task(name="superres", kernel="gaussian:1"), "mean and bicubic"),
        (Task(name="deblur"), "--kernel gaussian:SIGMA"),
        (Task(name="colorize", weights="red"), "--weights expects"),
    ],
)
def test_words_that_are_wrong_for_any_picture_are_refused_at_once(task, words):
    with pytest.raises(ValueError, match=words):
        task.check()


def test_an_option_of_another_task_is_not_left_aside_silently():
    for given, task, degrade, fits in [
        ("mask", "denoise", False, False),
        ("mask", "inpaint", False, True),
        ("kernel", "superres", False, True),
        ("border", "superres", False, False),
        ("missing", "inpaint", False, False),
        ("missing", "inpaint", True, True),
        ("size", "denoise", False, False),
        ("size", "denoise", True, True),
        ("in_shape", "my_h.py:H", False, True),
        ("h_seed", "my_h.py:H", False, False),
        ("share", "compressed-sensing", True, True),
        ("steps", "denoise", False, True),
    ]:
        asked = Task(name=task)
        if fits:
            asked.check({given}, degrade=degrade)
        else:
            with pytest.raises(ValueError, match=rf"--{given.replace('_', '-')} belongs to"):
                asked.check({given}, degrade=degrade)
    assert len(TASKS) == 7


def test_compressed_sensing_is_drawn_from_its_own_seed():
    task = Task(name="compressed-sensing", share=0.5, h_seed=3)
    a, b = task.operator((3, 4, 4)), task.operator((3, 4, 4))
    assert a.out_shape == (24,)
    assert torch.equal(a.matrix(), b.matrix())
    assert not torch.equal(
        a.matrix(), Task(name=task.name, share=0.5, h_seed=4).operator((3, 4, 4)).matrix()
    )


def test_an_own_h_acts_on_images(tmp_path):
    (tmp_path / "my_h.py").write_text(
        "import torch\n"
        "def H(x):\n    return x[..., 1:] - x[..., :-1]\n"
        "matrix = torch.eye(6)\n"
        "def bent(x):\n    return x.abs()\n"
    )
    task = Task(name=f"{tmp_path}/my_h.py:H", in_shape="1,4,6")
    assert task.own
    assert task.operator((1, 1, 1)).out_shape == (1, 4, 5)
    assert Task(name=f"{tmp_path}/my_h.py:matrix", in_shape="1,2,3").operator((1, 1, 1)).n == 6
    with pytest.raises(ValueError, match=r"images \(channels, height, width\).*--in-shape"):
        Task(name=f"{tmp_path}/my_h.py:matrix").operator((1, 1, 1))
    with pytest.raises(ValueError, match="not linear"):
        Task(name=f"{tmp_path}/my_h.py:bent", in_shape="1,4,6").operator((1, 1, 1))

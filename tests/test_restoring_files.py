"""``ddrm-edu restore``: from a measured file to a restored file, what is said, what is refused."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import tifffile
import torch
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image
from skimage.metrics import structural_similarity

import ddrm_edu
from ddrm_edu import (
    CircularBlur,
    CompressedSensing,
    SeparableBlur,
    data,
    load_denoiser,
    load_images,
    pictures,
    psnr,
    restoring_files,
    to_symmetric,
)
from ddrm_edu.cli import main
from ddrm_edu.denoisers import Tiled

TAPS = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
KERNEL = np.outer([0.2, 0.5, 0.3], [0.1, 0.6, 0.2, 0.1])
REC601 = np.array([0.299, 0.587, 0.114])


def run(*arguments):
    return CliRunner().invoke(main, ["restore", *map(str, arguments)])


def good(*arguments):
    __tracebackhide__ = True
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(result, *words):
    """One sentence, status 1."""
    __tracebackhide__ = True
    assert result.exit_code == 1, result.output
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    assert "wrote" not in result.stdout
    for word in words:
        assert word in result.stderr


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def pixels_of(path):
    """An 8-bit file as an image (c, h, w) in [-1, 1]."""
    pixels = np.asarray(Image.open(path), dtype=np.float64)
    return np.moveaxis(np.atleast_3d(pixels), -1, 0) / 127.5 - 1


# ------------------------------------------------------------------ what the library is given


class Library:
    """In the place of a network and of the library's ``restore``: writes down, answers with x."""

    def load_denoiser(self, name, *, device):
        self.model, self.device = name, device
        self.seen = []

        def denoiser(x, sigma):
            self.seen.append(tuple(x.shape))
            return x

        denoiser.in_channels = {"natural": 3, "fashion": 1}[name]
        return denoiser

    def restore(self, denoiser, op, y, **options):
        self.denoiser, self.op, self.y, self.options = denoiser, op, y.clone(), options
        self.state = options.pop("generator").get_state()
        generator = torch.Generator().manual_seed(8)
        self.x = 0.3 * torch.randn(1, *op.in_shape, generator=generator)
        return self.x

    def restoration_grid(self, columns, rows, captions):
        self.columns, self.rows, self.captions = columns, rows, captions
        return Figure()


@pytest.fixture
def library(monkeypatch):
    spy = Library()
    for module, name in [
        (ddrm_edu, "load_denoiser"),
        (ddrm_edu, "restore"),
        (pictures, "restoration_grid"),
    ]:
        monkeypatch.setattr(module, name, getattr(spy, name))
    return spy


@pytest.fixture
def no_network(monkeypatch):
    """The refusal comes first: nothing is even loaded."""

    def load(*arguments, **options):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(ddrm_edu, "load_denoiser", load)


@pytest.fixture
def photograph(tmp_path):
    """A clean picture of 32 x 48 pixels: file and image."""
    whole = data.to_uint8(load_images("natural", 64)[0].numpy())[:, :32, :48]
    Image.fromarray(whole.transpose(1, 2, 0)).save(tmp_path / "cat.png")
    np.save(tmp_path / "kernel.npy", KERNEL)
    return tmp_path / "cat.png", whole / 127.5 - 1


@pytest.fixture
def measured(tmp_path):
    """A picture of 16 x 24 pixels, its grey version, a mask: both files and arrays."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    white = rng.random((16, 24)) < 0.6
    Image.fromarray(colours).save(tmp_path / "y.png")
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(white).save(tmp_path / "mask.png")
    np.save(tmp_path / "kernel.npy", KERNEL)
    return tmp_path, colours.transpose(2, 0, 1) / 127.5 - 1, white


def bayer(height, width):
    mask = np.zeros((3, height, width), bool)
    mask[0, ::2, ::2] = mask[1, ::2, 1::2] = mask[1, 1::2, ::2] = mask[2, 1::2, 1::2] = True
    return mask


def blurred(x, boundary):
    return np.stack(
        [scipy.signal.convolve2d(plane, KERNEL, mode="same", boundary=boundary) for plane in x]
    )


def by_hand(task, kept):
    """H of one image (c, h, w), by numpy and scipy."""
    return {
        "denoise": lambda x: x,
        "inpaint": lambda x: x[:, kept].flatten(),
        "superres": lambda x: x.reshape(len(x), x.shape[1] // 4, 4, -1, 4).mean((2, 4)),
        "colorize": lambda x: np.einsum("c,chw->hw", REC601, x)[None],
        "deblur": lambda x: blurred(x, "wrap"),
        "deblur-zero": lambda x: blurred(x, "fill"),
        "demosaic": lambda x: x[bayer(*x.shape[1:])],
    }[task]


def words_of(task, folder):
    """The options of a task in the tests below."""
    return {
        "superres": ["--factor", 4],
        "deblur": ["--kernel", folder / "kernel.npy"],
        "deblur-zero": ["--kernel", folder / "kernel.npy", "--border", "zero"],
    }.get(task, [])


def scores(x, truth):
    loss = 10 * np.log10(4 / ((x - truth) ** 2).mean())
    alike = structural_similarity(
        truth,
        x,
        data_range=2,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return f"PSNR {loss:.2f} dB  SSIM {alike:.3f}"


ALL = ["denoise", "inpaint", "superres", "colorize", "deblur", "deblur-zero", "demosaic"]


@pytest.mark.parametrize("noise", [None, "0.07", "3.5%"])
@pytest.mark.parametrize("task", ALL)
def test_degrade_measures_and_scores_as_the_formulas_say(
    photograph, library, tmp_path, task, noise
):
    """y = H x + sigma_y z, seed, options, all that is printed, written and drawn: by numpy."""
    path, truth = photograph
    options = ["--degrade", "--seed", 5, "--steps", 7, "--eta", 0.4, "--eta-b", 0.6]
    options += ["--out", tmp_path / "out.png", "--figure", tmp_path / "figure.pdf"]
    options += words_of(task, tmp_path) + (["--missing", 0.3] if task == "inpaint" else [])
    options += [] if noise is None else ["--sigma-y", noise]
    result = good(path, "--task", task.removesuffix("-zero"), *options)

    sigma_y = 0.07 if noise else 0.25 if task == "denoise" else 0
    generator = torch.Generator().manual_seed(5)
    kept = np.ones((32, 48), bool)
    if task == "inpaint":  # drawn before the noise
        kept = torch.rand(32, 48, generator=generator, dtype=torch.float64).numpy() >= 0.3
    H = by_hand(task, kept)
    z = torch.randn(1, *H(truth).shape, generator=generator, dtype=torch.float32)
    y = H(truth) + sigma_y * z[0].numpy()
    assert (library.model, library.device) == ("natural", "cpu")
    assert np.abs(library.y[0].numpy() - y).max() <= 2e-6
    assert library.options.pop("sigma_y") == pytest.approx(sigma_y)
    assert library.options == {"steps": 7, "eta": 0.4, "eta_b": 0.6, "progress": True}
    assert torch.equal(library.state, generator.get_state())

    x = library.x[0].double().numpy()
    written = pixels_of(tmp_path / "out.png")
    assert np.abs(written - x.clip(-1, 1)).max() <= 0.5 / 127.5 + 1e-6
    ideal, rounded = (np.linalg.norm(H(a) - y) / np.linalg.norm(y) for a in (x, written))
    start = library.op.pinv(library.y)[0].double().numpy()
    assert (
        f"\npseudo-inverse  {scores(start, truth)}\nDDRM            {scores(x, truth)}\n"
        f"|H x - y| / |y| = {ideal:.1e}  ({rounded:.1e} as uint8 in the file; "
        f"noise in y: sigma_y = {sigma_y:.3g})\nwrote {tmp_path / 'out.png'}\n"
        f"wrote {tmp_path / 'figure.pdf'}\n"
    ) in result.stdout
    assert result.stdout.startswith(
        "cat.png: 48 x 32 pixels, RGB, 8 bits, 0 to 255; a clean picture\n"
    )
    assert f"\nH: {library.op!r}\n" in result.stdout

    assert list(library.columns) == ["truth", "measurement", "DDRM"]
    seen = library.columns["measurement"][0].numpy()
    if task == "inpaint":
        assert np.isnan(seen).sum() == 3 * (~kept).sum()
    elif task != "demosaic":
        np.testing.assert_allclose(seen, y, rtol=0, atol=2e-6)
    np.testing.assert_allclose(library.columns["truth"][0].numpy(), truth, rtol=0, atol=1e-6)
    assert library.columns["DDRM"][0] is not None
    assert library.captions == {"DDRM": [scores(x, truth).replace("  ", "\n")]}
    assert library.rows == [task.removesuffix("-zero")]
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("task", ALL)
def test_a_measured_file_is_y_itself(measured, library, task):
    """Its scale is changed through H; x has the size of what was measured, or more of it."""
    folder, y, white = measured
    grey = task in ("colorize", "demosaic")
    options = ["--sigma-y", 0.1, *words_of(task, folder)]
    options += ["--mask", folder / "mask.png"] if task == "inpaint" else []
    source = folder / ("grey.png" if grey else "y.png")
    result = good(source, "--task", task.removesuffix("-zero"), *options)
    y = y[:1] if grey else y
    if task == "inpaint":
        y = y[:, white].flatten()
    if task == "demosaic":
        y = np.broadcast_to(y, (3, 16, 24))[bayer(16, 24)]
    if task == "deblur-zero":  # 2 y01 - H 1, and not 2 y01 - 1
        y = y + 1 - blurred(np.ones((3, 16, 24)), "fill")
    assert library.op.in_shape == ((3, 64, 96) if task == "superres" else (3, 16, 24))
    np.testing.assert_allclose(library.y[0].numpy(), y, rtol=0, atol=1e-6)
    assert "PSNR" not in result.stdout
    assert "sigma_y: 0.1 on [-1, 1], 12.8 in the units of the file\n" in result.stdout
    out = source.with_name(f"{source.stem}-{task.removesuffix('-zero')}.png")
    assert result.stdout.endswith(f"wrote {out}\n")
    with Image.open(out) as file:
        assert (file.mode, file.size) == ("RGB", library.op.in_shape[:0:-1])


GREY_TASKS = ["denoise", "inpaint", "superres", "deblur"]


@pytest.mark.parametrize("task", GREY_TASKS)
def test_a_grey_file_is_the_grey_of_a_picture_in_colour(measured, library, task):
    """With a network of colours: H of the weighted sum, and the sum is written."""
    folder, y, white = measured
    options = ["--sigma-y", 0.1, *words_of(task, folder), "--out", folder / "out.png"]
    options += ["--mask", folder / "mask.png"] if task == "inpaint" else []
    result = good(folder / "grey.png", "--task", task, *options)
    assert "grey is 0.299 R + 0.587 G + 0.114 B" in result.stdout
    x = library.x[0].double().numpy()
    grey = np.einsum("c,chw->hw", REC601, x)[None]
    got = library.op(library.x.double())[0].numpy().flatten()
    np.testing.assert_allclose(got, by_hand(task, white)(grey).flatten(), rtol=0, atol=1e-6)
    want = y[:1][:, white] if task == "inpaint" else y[:1]
    np.testing.assert_allclose(library.y.flatten(), want.flatten(), rtol=0, atol=1e-6)
    written = pixels_of(folder / "out.png")
    assert np.abs(written - grey).max() <= 0.5 / 127.5 + 1e-6
    residual = np.linalg.norm(by_hand(task, white)(grey).flatten() - want.flatten())
    assert f"|y| = {residual / np.linalg.norm(want):.1e}" in result.stdout
    result = good(folder / "grey.png", "--task", task, *options, "--weights", "2,1,1", "--force")
    assert "grey is 0.5 R + 0.25 G + 0.25 B" in result.stdout


def test_a_file_and_a_network_of_other_channels_are_refused(measured, library):
    folder, _, _ = measured
    result = run(folder / "y.png", "--task", "denoise", "--model", "fashion", "--sigma-y", 0)
    refused(result, "'fashion' takes pictures of 1 channel(s)", "3 are to be restored")
    for task in ("colorize", "demosaic"):
        result = run(folder / "y.png", "--task", task)
        refused(result, f"--task {task} takes a grey file", "--degrade")
    good(folder / "grey.png", "--task", "denoise", "--model", "fashion", "--sigma-y", 0)
    assert library.op.in_shape == (1, 16, 24)


def test_degrade_says_in_one_line_what_it_cropped_and_reduced(photograph, library, tmp_path):
    path, truth = photograph
    common = ["--degrade", "--force", "--out", tmp_path / "out.png"]
    result = good(path, "--task", "superres", "--factor", 5, *common)
    assert "--degrade: cropped from 48 x 32 to 45 x 30\n" in result.stdout
    assert library.op.in_shape == (3, 30, 45)
    result = good(path, "--task", "denoise", "--size", 16, *common)
    line = "--degrade: the centre of 32 x 32 was reduced to 16 x 16\n"
    assert line in result.stdout
    square = [Image.fromarray(plane[:, 8:40].astype("f4")) for plane in truth]
    small = np.stack([np.asarray(p.resize((16, 16), Image.Resampling.LANCZOS)) for p in square])
    figure = ["--figure", tmp_path / "f.png"]
    good(path, "--task", "denoise", "--size", 16, *figure, *common)
    got = library.columns["truth"][0].numpy()
    assert np.abs(got - small.clip(-1, 1)).max() <= 0.5 / 127.5 + 1e-6
    with Image.open(path) as wide:
        wide.transpose(Image.Transpose.TRANSPOSE).save(tmp_path / "tall.png")
    good(tmp_path / "tall.png", "--task", "denoise", "--size", 16, *figure, *common)
    tall = library.columns["truth"][0].numpy().swapaxes(1, 2)
    assert np.abs(tall - got).max() <= 1.01 / 127.5  # rounding that falls the other way
    result = good(path, "--task", "denoise", "--model", "fashion", *figure, *common)
    assert "--degrade: colours were made grey by Rec. 601\n" in result.stdout
    grey = np.einsum("c,chw->hw", REC601, truth)
    got = library.columns["truth"][0][0].numpy()
    assert np.abs(got - grey).max() <= 0.5 / 127.5 + 1e-6
    refused(run(path, "--task", "denoise", "--size", 33, *common), "larger than the picture (32")
    refused(run(path, "--task", "denoise", "--size", 0, *common), "--size must be positive")
    refused(run(path, "--task", "superres", "--factor", 33, *common), "no room for --factor 33")
    result = run(path, "--task", "inpaint", "--missing", 1, *common)
    refused(result, "--missing must lie in [0, 1), but was 1")


def test_a_mask_has_the_size_of_the_picture_and_is_white_where_measured(measured, library):
    folder, _, white = measured
    Image.fromarray(white[:, :16]).save(folder / "square.png")
    result = run(folder / "y.png", "--task", "inpaint", "--mask", folder / "square.png")
    refused(result, "The mask is 16 x 16 pixels, but the picture 24 x 16")
    refused(run(folder / "y.png", "--task", "inpaint"), "needs --mask", "--degrade --missing")
    deep = np.where(white, 40_000, 30_000).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    good(folder / "y.png", "--task", "inpaint", "--mask", folder / "deep.png")
    assert (library.op.s[0].numpy() == white).all()


# ------------------------------------------------------------------------ measurements of any shape


def test_an_own_h_takes_an_array_or_a_picture_of_its_shape(tmp_path, library):
    """Any linear map, in floats on [0, 1] and in bytes; the scale goes through it."""
    (tmp_path / "my_h.py").write_text(
        "import torch\nfrom ddrm_edu import Dense\n"
        "M = torch.randn(5, 48, generator=torch.Generator().manual_seed(0))\n"
        "def make_H():\n    return Dense(M, (3, 4, 4), (5,))\n"
        "def differences(x):\n    return x[..., 1:] - x[..., :-1]\n"
    )
    M = torch.randn(5, 48, generator=torch.Generator().manual_seed(0)).numpy()
    y01 = np.random.default_rng(1).random(5)
    np.save(tmp_path / "y.npy", y01)
    task = ["--task", f"{tmp_path}/my_h.py:make_H", "--sigma-y", "1%"]
    result = good(tmp_path / "y.npy", *task, "--out", tmp_path / "x.npy")
    np.testing.assert_allclose(library.y[0], 2 * y01 - M.sum(1), rtol=0, atol=1e-5)
    assert library.options["sigma_y"] == pytest.approx(0.02)
    assert "y.npy: an array of shape (5,), taken as the measurement y" in result.stdout
    x = np.load(tmp_path / "x.npy")
    assert (x.dtype, x.shape) == (np.float64, (3, 4, 4))
    np.testing.assert_allclose(x, library.x[0] / 2 + 0.5, atol=1e-6)

    np.save(tmp_path / "batch.npy", y01[None].astype("f4"))
    good(tmp_path / "batch.npy", *task, "--out", tmp_path / "x2.npy")
    assert np.load(tmp_path / "x2.npy").dtype == np.float32
    good(tmp_path / "y.npy", *task, "--range", "-1,1", "--out", tmp_path / "x3.tiff")
    np.testing.assert_allclose(library.y[0], y01, rtol=0, atol=1e-6)
    x3 = tifffile.imread(tmp_path / "x3.tiff").transpose(2, 0, 1)
    np.testing.assert_allclose(x3, library.x[0], atol=1e-6)

    np.save(tmp_path / "six.npy", np.ones(6))
    refused(run(tmp_path / "six.npy", *task), "(5,)", "has (6,)")
    np.save(tmp_path / "int.npy", np.ones(5, int))
    refused(run(tmp_path / "int.npy", *task), "int64", "--range 0,4095")
    np.save(tmp_path / "nan.npy", np.full(5, np.nan))
    refused(run(tmp_path / "nan.npy", *task), "NaN")

    pixels = np.random.default_rng(2).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "d.png")
    task = ["--task", f"{tmp_path}/my_h.py:differences", "--in-shape", "3,4,6"]
    result = good(tmp_path / "d.png", *task)
    assert "0.0023 on [-1, 1], the rounding of the file to integers" in result.stdout
    np.testing.assert_allclose(library.y[0], pixels.transpose(2, 0, 1) / 127.5, rtol=0, atol=1e-6)
    assert (tmp_path / "d-my_h.png").exists()
    np.save(tmp_path / "d.npy", pixels)  # (h, w, c)
    good(tmp_path / "d.npy", *task, "--out", tmp_path / "d2.npy")
    np.testing.assert_allclose(library.y[0], pixels.transpose(2, 0, 1) / 127.5, rtol=0, atol=1e-6)
    refused(run(tmp_path / "d.npy", "--task", f"{tmp_path}/my_h.py:none"), "defines no 'none'")


def test_compressed_sensing_takes_a_list_of_numbers(tmp_path, library):
    op = CompressedSensing((3, 8, 8), 70, generator=torch.Generator().manual_seed(4))
    x01 = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "y.npy", op(x01)[0].numpy())
    task = ["--task", "compressed-sensing", "--in-shape", "3,8,8"]
    good(tmp_path / "y.npy", *task, "--h-seed", 4, "--out", tmp_path / "x.npy")
    np.testing.assert_allclose(library.y, op(2 * x01 - 1), rtol=0, atol=1e-5)
    refused(run(tmp_path / "y.npy", *task[:2]), "needs the shape of the picture, --in-shape C,H,W")
    np.save(tmp_path / "long.npy", np.ones(193))
    refused(run(tmp_path / "long.npy", *task), "193 numbers", "only 192")
    Image.new("RGB", (20, 16), "red").save(tmp_path / "clean.png")
    options = ["--degrade", "--share", 0.5, "--out", tmp_path / "x.png"]
    good(tmp_path / "clean.png", *task[:2], *options)
    assert library.op.out_shape == (480,)


# --------------------------------------------------------------------------------- noise and range


@pytest.mark.parametrize(
    ("text", "level"),
    [("0.1", 0.1), ("0", 0), ("20/255", 40 / 255), ("5%", 0.1), (" 1e-2 ", 0.01), ("0.5/4", 0.25)],
)
def test_noise_is_a_number_on_the_symmetric_scale_or_a_part_of_the_range(text, level):
    assert restoring_files.noise_level(text) == pytest.approx(level)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "inf", "1/0", "5%%", "5%3", "1/2%", "1/2/3", "-3/255", "%"]
)
def test_noise_that_is_none_is_refused_before_anything_else(photograph, no_network, text):
    result = run(photograph[0], "--task", "denoise", f"--sigma-y={text}")
    refused(result, "20/255", "5%", repr(text), "at least 0")


def test_what_was_understood_is_echoed(photograph, library):
    result = good(photograph[0], "--task", "denoise", "--sigma-y", "20/255")
    assert "sigma_y: 20/255 = 0.157 on [-1, 1]\n" in result.stdout


def test_the_noise_of_a_picture_is_estimated(tmp_path, library):
    """scikit-image's estimate of what was added, within a tenth, at any depth; it is said so."""
    pytest.importorskip("pywt")
    smooth = np.linspace(0.3, 0.7, 64)[:, None, None] * np.ones((64, 64, 3))
    noise = 0.05 * np.random.default_rng(0).normal(size=smooth.shape)
    tifffile.imwrite(
        tmp_path / "y.tiff", (65535 * (smooth + noise)).astype("u2"), photometric="rgb"
    )
    result = good(tmp_path / "y.tiff", "--task", "denoise")
    assert library.options["sigma_y"] == pytest.approx(0.1, rel=0.1)
    assert "sigma_y was not given" in result.stdout
    assert "estimated by scikit-image's estimate_sigma" in result.stdout


def test_without_pywavelets_the_noise_must_be_given(photograph, library, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    result = run(photograph[0], "--task", "denoise")
    refused(result, "PyWavelets", "pip install 'ddrm-edu[files]'", "give --sigma-y")


def test_a_deblurred_file_is_exact_up_to_its_rounding_only(measured, library):
    folder, _, _ = measured
    good(folder / "y.png", "--task", "deblur", *words_of("deblur", folder))
    assert library.options["sigma_y"] == pytest.approx(2 / 255 / 12**0.5)
    good(folder / "grey.png", "--task", "colorize")
    assert library.options["sigma_y"] == 0


def noise_of(folder, shape):
    """A map of the noise of a measured file, in its own units, which is saved as NPY and TIFF."""
    sigma = np.random.default_rng(3).uniform(1, 30, shape)
    np.save(folder / "sigma.npy", sigma)
    if sigma.ndim == 2:
        tifffile.imwrite(folder / "sigma.tif", sigma.astype("f4"))
    return sigma


@pytest.mark.parametrize("suffix", ["npy", "tif"])
@pytest.mark.parametrize("task", ["denoise", "inpaint", "superres", "colorize", "demosaic", "grey"])
def test_a_map_of_the_noise_reaches_every_entry_of_y(measured, library, task, suffix):
    """Rows are divided by it: in the units of the file, through the mask, in the order of y."""
    folder, _, white = measured
    grey = task in ("colorize", "demosaic", "grey")
    sigma = noise_of(folder, (16, 24))
    options = words_of(task, folder)
    options += ["--mask", folder / "mask.png"] if task == "inpaint" else []
    source = folder / ("grey.png" if grey else "y.png")
    name = "denoise" if task == "grey" else task
    result = good(source, "--task", name, "--sigma-y", folder / f"sigma.{suffix}", *options)
    due = np.broadcast_to(sigma / 127.5, (1 if task in ("colorize", "grey") else 3, 16, 24))
    due = due[:, white] if task == "inpaint" else due
    due = due[bayer(16, 24)] if task == "demosaic" else due
    got = library.options["sigma_y"].flatten().numpy()
    np.testing.assert_allclose(got, due.flatten(), rtol=1e-6)
    low, high = sigma.min(), sigma.max()
    assert (
        f"sigma_y: sigma.{suffix}, from {low:.3g} to {high:.3g} in the units of the file = "
        f"{low / 127.5:.3g} to {high / 127.5:.3g} on [-1, 1]\n" in result.stdout
    )
    assert f"noise in y: sigma_y = {due.min():.3g} to {due.max():.3g})" in result.stdout


def test_a_map_of_the_noise_has_a_layout_for_each_colour_and_a_scale(measured, library, tmp_path):
    """(c, h, w) and (h, w, c), and the range of the file."""
    folder, _, _ = measured
    sigma = noise_of(folder, (3, 16, 24))
    common = folder / "y.png", "--task", "denoise", "--force"
    good(*common, "--sigma-y", folder / "sigma.npy")
    np.testing.assert_allclose(library.options["sigma_y"][0], sigma / 127.5)
    np.save(folder / "sigma.npy", np.moveaxis(sigma, 0, -1))
    good(*common, "--sigma-y", folder / "sigma.npy", "--range", "0,4095")
    np.testing.assert_allclose(library.options["sigma_y"][0], sigma * 2 / 4095)


def test_degrade_adds_the_noise_of_the_map(photograph, library, tmp_path):
    path, truth = photograph
    sigma = np.full((32, 48), 40.0)
    sigma[:, :24] = 2.0
    sigma[0] = np.inf
    np.save(tmp_path / "sigma.npy", sigma)
    options = ["--degrade", "--sigma-y", tmp_path / "sigma.npy", "--seed", 5]
    result = good(path, "--task", "denoise", *options, "-o", tmp_path / "x.npy")
    assert "infinite in 48 places" in result.stdout
    apart = library.y[0].double().numpy() - truth
    assert np.abs(apart[:, 0]).max() <= 1e-6  # not measured: what stands there does not count
    assert apart[:, 1:, :24].std() == pytest.approx(2 / 127.5, rel=0.05)
    assert apart[:, 1:, 24:].std() == pytest.approx(40 / 127.5, rel=0.05)


def test_a_map_of_the_noise_restores_better_than_one_number(photograph, tmp_path):
    """With the real network: the left half is five times as noisy as the right one."""
    _, truth = photograph
    sigma = np.full((32, 48), 4.0)
    sigma[:, :24] = 60.0
    np.save(tmp_path / "sigma.npy", sigma)
    noise = sigma * np.random.default_rng(0).normal(size=truth.shape)
    y = ((truth + 1) * 127.5 + noise).transpose(1, 2, 0)
    np.save(tmp_path / "y.npy", y.astype("f4"))
    found = {}
    for name in (tmp_path / "sigma.npy", f"{np.sqrt((sigma**2).mean())}/255"):
        out = ["-o", tmp_path / "x.npy", "--range", "0,255", "--force"]
        good(tmp_path / "y.npy", "--task", "denoise", "--sigma-y", name, *out)
        x = np.load(tmp_path / "x.npy").transpose(2, 0, 1) / 127.5 - 1
        found[name] = 10 * np.log10(4 / ((x - truth) ** 2).mean())
    with_map, with_one = found.values()
    assert with_map >= with_one + 1


def test_a_map_of_the_noise_of_a_blur_needs_a_method_without_its_svd(photograph, tmp_path):
    np.save(tmp_path / "sigma.npy", np.linspace(2, 20, 32 * 48).reshape(32, 48))
    common = photograph[0], "--task", "deblur", "--kernel", "gaussian:1", "--sigma-y"
    result = run(*common, tmp_path / "sigma.npy", "-o", tmp_path / "x.png")
    refused(result, "mixes several in each", "'diffpir'")
    method = ["--method", "diffpir", "--steps", 3, "-o", tmp_path / "x.png"]
    good(*common, tmp_path / "sigma.npy", *method)


BAD_MAPS = {
    "negative.npy": (np.full((32, 48), -1.0), "no standard deviations (the least of them is -1)"),
    "nan.npy": (np.full((32, 48), np.nan), "the least of them is NaN"),
    "infinite.npy": (np.full((32, 48), np.inf), "infinite where nothing was measured"),
    "turned.npy": (np.ones((48, 32)), "must have the shape of the measurement, (3, 32, 48) or"),
    "four.npy": (np.ones((4, 32, 48)), "but four.npy has (4, 32, 48)"),
    "one.npy": (np.array(3.0), "but one.npy has ()"),
    "complex.npy": (np.ones((32, 48), complex), "holds complex128"),
    "object.npy": (np.array([None]), "cannot be decoded"),
    "zero.npy": (np.eye(32, 48), "all of it must be positive"),
}


@pytest.mark.parametrize("name", BAD_MAPS)
def test_a_bad_map_of_the_noise_is_refused(photograph, tmp_path, name):
    numbers, words = BAD_MAPS[name]
    np.save(tmp_path / name, numbers, allow_pickle=True)
    refused(run(photograph[0], "--task", "denoise", "--sigma-y", tmp_path / name), words)


def test_a_map_of_the_noise_is_an_array_that_is_there(photograph, no_network, tmp_path):
    common = photograph[0], "--task", "denoise", "--sigma-y"
    refused(run(*common, "absent.npy"), "no file 'absent.npy'")
    refused(run(*common, photograph[0]), "a map of it, a file NPY or TIFF")
    (tmp_path / "fake.tif").write_bytes(photograph[0].read_bytes())
    refused(run(*common, tmp_path / "fake.tif"), "is no NPY or TIFF file", "numpy.save")
    pixels = np.ones((32, 48, 4), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    refused(run(*common, tmp_path / "a.tif"), "alpha channel")


def test_an_own_h_takes_a_map_of_the_shape_of_y(tmp_path, library):
    (tmp_path / "my_h.py").write_text(
        "import torch\nfrom ddrm_edu import Dense\n"
        "def make_H():\n    return Dense(torch.eye(5, 48, dtype=torch.float64), (3, 4, 4), (5,))\n"
    )
    np.save(tmp_path / "y.npy", np.ones(5))
    np.save(tmp_path / "sigma.npy", np.arange(1, 6) / 10)
    np.save(tmp_path / "one.npy", np.array([0.1]))
    task = ["--task", f"{tmp_path}/my_h.py:make_H", "--sigma-y"]
    good(tmp_path / "y.npy", *task, tmp_path / "sigma.npy", "-o", tmp_path / "x.npy")
    np.testing.assert_allclose(library.options["sigma_y"], np.arange(1, 6)[None] / 5)
    result = run(tmp_path / "y.npy", *task, tmp_path / "one.npy", "-o", tmp_path / "z.npy")
    refused(result, "must have the shape of the measurement, (5,), but one.npy has (1,)")


# -------------------------------------------------------------------------------- before the run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "polish"], "--task must be one of denoise"),
        (["--task", "denoise", "--mask", "cat.png"], "--mask belongs to --task inpaint"),
        (["--task", "inpaint", "--missing", 0.2], "--missing belongs to --degrade --task inpaint"),
        (["--task", "denoise", "--size", 20], "--size belongs to --degrade, and"),
        (["--task", "denoise", "--device", "cuda:99"], "--device cuda:99 cannot be used here"),
        (["--task", "denoise", "--device", "toaster"], "--device toaster cannot be used here"),
        (["--task", "denoise", "--range", "1"], "--range is black and white"),
        (["--task", "deblur"], "--kernel gaussian:SIGMA"),
        (["--task", "denoise", "--out", "nodir/x.png"], "there is no folder"),
        (["--task", "denoise", "--out", "x.jpg"], "lose what was measured"),
        (["--task", "denoise", "--out", "cat.png"], "exists already"),
        (["--task", "denoise", "--out", "cat.png", "--force"], "must not be the measurement"),
        (["--task", "denoise", "--figure", "x.xyz"], "--figure expects"),
        (["--task", "denoise", "--figure", "cat.png"], "exists already"),
        (["--task", "nowhere.py:H"], "no file 'nowhere.py'"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_network_is_loaded(
    photograph, no_network, monkeypatch, options, words
):
    monkeypatch.chdir(photograph[0].parent)
    before = contents(photograph[0].parent)
    refused(run("cat.png", *options), words)
    assert contents(photograph[0].parent) == before


def test_the_library_refuses_the_rest(photograph):
    for options, words in [
        (["--eta", 1.5], "eta must lie in [0, 1]"),
        (["--steps", 0], "steps must be an integer from 1"),
        (["--model", "nobody"], "no model 'nobody'"),
        (["--tile", 8], "0 < overlap < size"),
    ]:
        result = run(photograph[0], "--task", "denoise", "--sigma-y", 0.1, *options)
        refused(result, words)


def test_a_model_of_diffusers_restores_a_file(photograph, tmp_path, monkeypatch):
    """--model FOLDER: what the library gives; its infinite last level is told in a line."""
    diffusers = pytest.importorskip("diffusers", reason="the extra 'diffusers' is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = diffusers.UNet2DModel(
            in_channels=3,
            out_channels=3,
            block_out_channels=(4, 8),
            layers_per_block=1,
            norm_num_groups=2,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
        )
    noise = diffusers.DDIMScheduler(30, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    diffusers.DDPMPipeline(net, noise).save_pretrained(tmp_path / "own")
    path, image = photograph
    monkeypatch.chdir(tmp_path)
    result = good(path, "--task", "denoise", "--sigma-y", 0.2, "--steps", 3, "--model", "own")
    assert "warning: The last of T = 30 levels" in result.stdout
    with pytest.warns(UserWarning, match="zero terminal SNR"):
        denoiser = ddrm_edu.from_diffusers("own")
    x = ddrm_edu.restore(
        denoiser,
        ddrm_edu.Denoising(image.shape),
        torch.as_tensor(image, dtype=torch.float32)[None],
        sigma_y=0.2,
        steps=3,
        generator=torch.Generator().manual_seed(0),
    )
    got = pixels_of(tmp_path / "cat-denoise.png")
    assert np.abs(got - x[0].clamp(-1, 1).numpy()).max() <= 1.01 / 255


def test_a_model_that_is_no_folder_or_needs_diffusers_is_refused(photograph, monkeypatch):
    common = photograph[0], "--task", "denoise", "--sigma-y", 0.1
    monkeypatch.setitem(sys.modules, "diffusers", None)
    refused(run(*common, "--model", "owner/name"), "pip install 'ddrm-edu[diffusers]'")


def test_a_missing_file_is_told_by_click(tmp_path):
    result = run(tmp_path / "absent.png", "--task", "denoise")
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_time_and_memory_are_estimated_and_too_much_is_refused(photograph, library, monkeypatch):
    result = good(photograph[0], "--task", "denoise", "--sigma-y", 0, "--steps", 6)
    assert re.search(r"\nabout \d+ s and \d+\.\d GiB in all: 6 steps\n", result.stdout)
    monkeypatch.setattr(restoring_files, "_free_memory", lambda device: 1000.0)
    result = run(photograph[0], "--task", "inpaint", "--degrade")
    refused(result, "needs about", "GiB are free", "--tile 512", "cut the picture into parts")


def test_a_large_picture_is_shown_to_the_network_in_tiles(photograph, library, monkeypatch):
    good(photograph[0], "--task", "denoise", "--sigma-y", 0)
    assert not isinstance(library.denoiser, Tiled)
    result = good(photograph[0], "--task", "denoise", "--sigma-y", 0, "--tile", 16, "--force")
    assert (library.denoiser.size, library.denoiser.overlap) == (16, 2)
    assert "in 12 tiles of 16 x 16" in result.stdout
    monkeypatch.setattr(restoring_files, "UNTILED", 32 * 48 - 1)
    monkeypatch.setattr(restoring_files, "TILE", 24)
    good(photograph[0], "--task", "denoise", "--sigma-y", 0, "--force")
    assert library.denoiser.size == 24


def test_another_method_is_handed_on(photograph, library):
    good(photograph[0], "--task", "denoise", "--sigma-y", 0.1, "--method", "dps")
    assert library.options == {"sigma_y": 0.1, "steps": 20, "method": "dps", "progress": True}
    options = ["--method", "dps", "--eta", 0.5, "--force"]
    good(photograph[0], "--task", "denoise", "--sigma-y", 0.1, *options)
    assert library.options["eta"] == 0.5
    assert "eta_b" not in library.options


def test_warnings_of_the_library_become_lines(measured, library, monkeypatch):
    import warnings

    def restore(denoiser, op, y, **options):
        warnings.warn("y is\n  odd.", stacklevel=1)
        return op.pinv(y)

    monkeypatch.setattr(ddrm_edu, "restore", restore)
    result = good(measured[0] / "y.png", "--task", "denoise", "--sigma-y", 0)
    assert "\nwarning: y is odd.\n" in result.stdout


def test_alpha_grows_with_the_picture(tmp_path, library):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "y.png")
    result = good(tmp_path / "y.png", "--task", "superres", "--factor", 2)
    assert "alpha was enlarged to 16 x 16 by bilinear interpolation" in result.stdout
    want = Image.fromarray(pixels[..., 3].astype("f4")).resize((16, 16), Image.Resampling.BILINEAR)
    with Image.open(tmp_path / "y-superres.png") as file:
        got = np.asarray(file)[..., 3].astype(float)
    assert np.abs(got - np.asarray(want)).max() <= 1
    result = good(tmp_path / "y.png", "--task", "denoise", "--degrade", "--size", 4)
    assert "alpha was left out" in result.stdout


# ------------------------------------------------------------------------------------- folders


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    source = tmp_path / "in"
    source.mkdir()
    for name, size in (("a.png", (8, 8, 3)), ("b.jpg", (9, 7, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(source / name)
    tifffile.imwrite(source / "c.tif", rng.integers(0, 65536, (8, 8, 3)).astype("u2"))
    (source / "notes.txt").write_text("no picture")
    return source


def test_a_folder_is_restored_file_by_file(folder, library, tmp_path):
    result = good(folder, "--task", "denoise", "--sigma-y", "5%", "--out", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.png", "b.png", "c.tif"]
    assert tifffile.imread(tmp_path / "out" / "c.tif").dtype == np.uint16
    last = result.stdout.strip().splitlines()[-1]
    assert re.fullmatch(rf"3 of 3 files in \d+ s, in {tmp_path / 'out'}", last)
    assert "files: 100%" in result.stderr
    again = run(folder, "--task", "denoise", "--sigma-y", "5%", "--out", tmp_path / "out")
    refused(again, "exists already")
    options = ["--sigma-y", "5%", "--out", tmp_path / "out", "--force"]
    good(folder, "--task", "denoise", *options)
    good(folder, "--task", "denoise", "--sigma-y", "5%")
    assert (tmp_path / "in-denoise" / "a.png").exists()


def test_a_bad_file_does_not_stop_the_others(folder, library, tmp_path):
    (folder / "broken.png").write_bytes(b"no picture")
    result = run(folder, "--task", "denoise", "--sigma-y", 0, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert "3 of 4 files" in result.stdout
    assert "broken.png: restore cannot take broken.png: it is no PNG" in result.output
    assert result.stderr.strip().endswith("Error: 1 could not be restored: broken.png.")


def test_a_folder_is_asked_before_the_run(folder, no_network, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    result = run(folder, "--task", "denoise", "--out", tmp_path / "file")
    refused(result, "--out expects a folder")
    refused(run(tmp_path / "empty", "--task", "denoise"), "There is no PNG")
    result = run(folder, "--task", "denoise", "--figure", tmp_path / "f.png")
    refused(result, "--figure draws one picture")
    Image.new("RGB", (8, 8)).save(folder / "b.png")
    refused(run(folder, "--task", "denoise"), "one name, b.png")


def test_an_own_h_that_is_too_large_for_an_svd_takes_a_method_without_one(tmp_path):
    """A blur, then a mask: the command names the method, which restores the file."""
    (tmp_path / "my_h.py").write_text(
        "import torch\nfrom ddrm_edu import CircularBlur\n"
        "blur = CircularBlur((3, 64, 64), torch.full((3, 3), 1 / 9))\n"
        "known = (torch.arange(64)[:, None] + torch.arange(64)) % 3 > 0\n"
        "def H(x):\n    return blur(x) * known\n"
    )
    x01 = torch.nn.functional.interpolate((load_images("natural")[3:4] + 1) / 2, scale_factor=2.0)
    blur = CircularBlur((3, 64, 64), torch.full((3, 3), 1 / 9))
    y01 = blur(x01) * ((torch.arange(64)[:, None] + torch.arange(64)) % 3 > 0)
    np.save(tmp_path / "y.npy", y01[0].numpy())
    task = ["--task", f"{tmp_path}/my_h.py:H", "--in-shape", "3,64,64", "--sigma-y", "1%"]
    refused(run(tmp_path / "y.npy", *task), "GiB", "method='diffpir'")
    made = ["--method", "diffpir", "--steps", "6", "--figure", tmp_path / "f.png"]
    result = good(tmp_path / "y.npy", *task, *made, "--out", tmp_path / "x.npy")
    assert "function H, (3, 64, 64) -> (3, 64, 64), without an SVD" in result.stdout
    assert "more for H, which has no SVD" in result.stdout
    assert (tmp_path / "f.png").exists()
    x = torch.from_numpy(np.load(tmp_path / "x.npy"))[None]
    assert x.dtype == torch.float32
    assert psnr(2 * x - 1, 2 * x01 - 1) >= psnr(2 * y01 - 1, 2 * x01 - 1) + 6


# -------------------------------------------------------------------------- with the real network


def test_a_blurred_16_bit_file_is_restored_as_the_right_scale_says(tmp_path):
    """F2 from a file: blurred in [0, 1] by scipy, black beyond the border, written by tifffile."""
    x0 = load_images("natural")[:1]
    x01, rng = (x0[0].numpy() + 1) / 2, np.random.default_rng(0)
    kernel = np.outer(TAPS, TAPS)
    np.save(tmp_path / "kernel.npy", kernel)
    y01 = np.stack([scipy.signal.convolve2d(plane, kernel, mode="same") for plane in x01])
    y01 = (y01 + 0.01 * rng.normal(size=y01.shape)).clip(0, 1)
    stored = np.rint(65535 * y01).astype(np.uint16)
    tifffile.imwrite(tmp_path / "y.tiff", stored.transpose(1, 2, 0), photometric="rgb")
    options = ["--kernel", tmp_path / "kernel.npy", "--border", "zero", "--sigma-y", "1%"]
    good(tmp_path / "y.tiff", "--task", "deblur", *options, "--out", tmp_path / "x.npy")
    x = torch.from_numpy(np.load(tmp_path / "x.npy").transpose(2, 0, 1) / 32767.5 - 1)[None]

    op = SeparableBlur((3, 32, 32), TAPS)
    y = torch.from_numpy(stored / 65535).float()[None]
    by_hand, wrong = (
        ddrm_edu.restore(
            load_denoiser("natural"),
            op,
            scaled,
            sigma_y=0.02,
            generator=torch.Generator().manual_seed(0),
        )
        for scaled in (to_symmetric(y, op), 2 * y - 1)
    )
    truth = x0.double()
    assert abs(psnr(x, truth) - psnr(by_hand, truth)) <= 0.1
    assert psnr(x, truth) >= 27  # measured 27.9
    assert psnr(wrong, truth) <= psnr(x, truth) - 8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_measured_pixels_are_the_same_numbers_in_the_restored_file(tmp_path, dtype):
    """At a size that is no multiple of 8, without noise."""
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    image = load_images("natural", 64)[1, :, :25, :41].permute(1, 2, 0).numpy()
    pixels = ((image + 1) / 2 * top).astype(dtype)
    white = rng.random((25, 41)) < 0.5
    np.save(tmp_path / "y.npy", np.where(white[..., None], pixels, 0))
    Image.fromarray(white).save(tmp_path / "mask.png")
    options = ["--mask", tmp_path / "mask.png", "--out", tmp_path / "x.npy"]
    good(tmp_path / "y.npy", "--task", "inpaint", "--steps", 3, *options)
    x = np.load(tmp_path / "x.npy")
    assert (x.dtype, x.shape) == (dtype, (25, 41, 3))
    assert (x[white] == pixels[white]).all()
    assert (x[~white] != 0).mean() > 0.9


@pytest.mark.parametrize("task", ["denoise", "superres", "colorize", "deblur", "demosaic"])
def test_every_task_takes_any_size(tmp_path, task):
    name = "grey.png" if task in ("colorize", "demosaic") else "y.png"
    pixels = np.random.default_rng(0).integers(0, 256, (11, 21, 3), dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if name == "grey.png" else pixels).save(tmp_path / name)
    options = {"deblur": ["--kernel", "gaussian:1"], "superres": ["--kernel", "bicubic"]}
    out = tmp_path / "x.png"
    options = ["--sigma-y", 0.1, "--steps", 2, "--out", out, *options.get(task, [])]
    good(tmp_path / name, "--task", task, *options)
    with Image.open(out) as file:
        assert file.size == ((42, 22) if task == "superres" else (21, 11))


def test_the_same_seed_gives_the_same_file(photograph, tmp_path):
    options = ["--task", "inpaint", "--degrade", "--steps", 2]
    for seed, name in ((1, "a.npy"), (1, "b.npy"), (2, "c.npy")):
        good(photograph[0], *options, "--seed", seed, "--out", tmp_path / name)
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


MEMORY = """
import re, sys
import ddrm_edu, ddrm_edu.restoring_files as run
from ddrm_edu.cli import main

def denoiser(x, sigma):
    return x * 0.9

denoiser.in_channels = 3
ddrm_edu.load_denoiser = lambda *names, **options: denoiser
run.NETWORK_BYTES = 0  # it is not what is measured
main(["restore", *sys.argv[1:]], standalone_mode=False)
with open("/proc/self/status") as status:  # ru_maxrss would count the parent's as well
    print("TAKEN", int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the memory")
@pytest.mark.parametrize("task", ["denoise", "degrade", "figure", "deblur", "grey"])
def test_a_run_takes_no_more_memory_than_was_stated(tmp_path, task):
    """Of 1,000 x 1,500 pixels: libraries, run, scores, figure and file, as the system sees it.

    Nor is twice as much stated as is taken, which would turn away what fits.
    """
    shape = (1000, 1500) if task == "grey" else (1000, 1500, 3)
    np.save(tmp_path / "y.npy", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    words = {
        "degrade": ["inpaint", "--degrade"],
        "figure": ["denoise", "--degrade", "--figure", tmp_path / "f.png"],
        "deblur": ["deblur", "--kernel", "gaussian:1"],
        "grey": ["deblur", "--kernel", "gaussian:1"],
    }.get(task, ["denoise"])
    common = tmp_path / "y.npy", "--sigma-y", "0.2", "--steps", "2", "--task"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *common, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    told = float(re.search(r"about .* and ([\d.]+) GiB", done.stdout)[1])
    taken = float(done.stdout.split("TAKEN ")[1])
    assert 0.5 * told <= taken <= told

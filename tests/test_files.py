"""Picture files: every number keeps its meaning, depth and scale, from file to file."""

from __future__ import annotations

import io
import os
import sys

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner
from kinds import (
    ALPHA,
    COLOUR,
    COLOUR16,
    FLOAT,
    GREY,
    GREY16,
    GREY_PROFILE,
    INK,
    REFUSED,
    RESTORED,
    SRGB,
    pillow,
    png16,
    tiff,
    with_alpha,
    write,
)
from PIL import Image, ImageCms

import ddrm_edu
from ddrm_edu import files
from ddrm_edu.cli import main


@pytest.fixture
def negative(monkeypatch):
    """In the place of a network and of ``restore``: the negative of the measured picture."""

    def denoiser(x, sigma):
        return x

    monkeypatch.setattr(ddrm_edu, "load_denoiser", lambda *names, **options: denoiser)
    monkeypatch.setattr(ddrm_edu, "restore", lambda denoiser, op, y, **options: -op.pinv(y))


def run(*arguments):
    return CliRunner().invoke(main, ["restore", *map(str, arguments)])


def numbers_of(path) -> np.ndarray:
    """The array (h, w, c) of a written file; a 16-bit PNG by two readers."""
    if path.suffix == ".npy":
        pixels = np.load(path)
    elif path.suffix in (".tiff", ".tif"):
        pixels = tifffile.imread(path)
    else:
        with Image.open(path) as file:
            deep = ";16B" in str(file.tile[0][3]) and file.mode not in ("I", "I;16")
            pixels = np.asarray(file)
            pixels = pixels.astype(np.uint16) if file.mode == "I" else pixels  # of older Pillows
        if deep:
            codecs = pytest.importorskip("imagecodecs")
            high_bytes, pixels = pixels, codecs.png_decode(path.read_bytes())
            if high_bytes.shape == pixels.shape:
                assert (high_bytes == pixels >> 8).all()
    return pixels[..., None] if pixels.ndim == 2 else pixels


def scale_of(dtype, options) -> tuple[float, float]:
    if options:
        low, high = options[1].split(",")
        return float(low), float(high)
    return 0.0, 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def test_the_table_has_many_kinds():
    assert len(RESTORED) >= 60
    assert len(REFUSED) >= 30


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".npy"])
@pytest.mark.parametrize("name", RESTORED)
def test_a_file_is_restored_in_its_own_numbers(tmp_path, negative, name, suffix):
    """The negative, white - (v - black), by numpy, with depth, scale, orientation and alpha."""
    content, colours, alpha, options = RESTORED[name]
    in_colour = colours.ndim > 2 or alpha is not None
    if colours.dtype != np.uint8 and in_colour and ".png" in (suffix, name[-4:]):
        pytest.importorskip("imagecodecs", reason="PNG of 16 bits in colour")
    if name == "grey16-lzw.tiff":
        pytest.importorskip("imagecodecs", reason="compressed TIFF of 16 bits")
    source, out = write(tmp_path, name, content), tmp_path / f"out{suffix}"
    result = run(source, "--task", "denoise", "--sigma-y", 0, "-o", out, *options)
    assert result.exit_code == 0, result.output
    low, high = scale_of(colours.dtype, options)
    want = low + high - np.atleast_3d(colours).astype(np.float64)
    dtype, rounding = colours.dtype, 0.0
    if suffix == ".png" and dtype not in (np.uint8, np.uint16):
        want, dtype = np.rint(np.clip((want - low) / (high - low), 0, 1) * 65535), np.uint16
        rounding = 1.0  # a step of 65535
    elif dtype.kind == "f":  # the run is in float32, the file perhaps in float16
        rounding = 2 * (high - low) * max(np.finfo(dtype).eps, np.finfo(np.float32).eps)
    elif dtype.itemsize > 2:
        rounding = (high - low) * np.finfo(np.float32).eps + 1
    got = numbers_of(out)
    if name.startswith("chw") or "-chw" in name or name.startswith("1hw"):
        got = numbers_of(out) if suffix != ".npy" else np.moveaxis(np.load(out), 0, -1)
    assert got.dtype == dtype
    channels = want.shape[-1]
    assert got.shape == (*want.shape[:2], channels + (alpha is not None))
    assert np.abs(got[..., :channels] - want).max() <= rounding
    if alpha is not None:
        top = np.iinfo(dtype).max if np.dtype(dtype).kind in "ui" else 1
        assert np.abs(got[..., -1] - alpha * top).max() <= 1e-6
    with_mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    if dtype == np.uint8 and suffix != ".npy":
        with Image.open(out) as file:
            assert file.mode == with_mode[got.shape[-1]]
            assert file.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_in_a_sentence(tmp_path, negative, name):
    """It names the file, says what is wrong, and what to do; nothing is written."""
    content, words = REFUSED[name]
    if name == "half-16.png":
        pytest.importorskip("imagecodecs", reason="PNG of 16 bits in colour")
    source = write(tmp_path, name, content)
    result = run(source, "--task", "denoise", "--sigma-y", 0, "-o", tmp_path / "out.png")
    assert result.exit_code == 1, result.output
    assert len(result.output.strip().splitlines()) == 1
    assert result.output.startswith(f"Error: restore cannot take {name}: it ")
    for word in words:
        assert word in result.output
    assert not (tmp_path / "out.png").exists()


def test_every_mode_of_pillow_is_read_or_refused():
    """Those that no file has are asked for directly."""
    for mode in [*Image.MODES, "LA", "PA", "La", "RGBa", "RGBX"]:
        if mode.startswith("I") or mode == "F":
            continue  # of 16 bits or floats: in the table
        image = Image.new(mode, (3, 2))
        if mode in ("LAB", "HSV", "La", "RGBa"):
            with pytest.raises(files.PictureError, match=f"mode {mode}"):
                files._grey_or_rgb(image, None, "a")
        else:
            assert files._grey_or_rgb(image, None, "a")[0].mode in ("L", "LA", "RGB", "RGBA")


# ------------------------------------------------------------------------------------ profiles


PROFILED = {
    "rgb.png": pillow(Image.fromarray(COLOUR), "PNG", icc_profile=SRGB),
    "rgb.jpg": pillow(Image.fromarray(COLOUR), "JPEG", icc_profile=SRGB),
    "rgb.tiff": pillow(Image.fromarray(COLOUR), "TIFF", icc_profile=SRGB),
    "alpha.webp": pillow(
        Image.fromarray(with_alpha(COLOUR, ALPHA)), "WEBP", lossless=True, icc_profile=SRGB
    ),
    "rgb-16.tiff": tiff(COLOUR16, photometric="rgb", iccprofile=SRGB),
    "grey.png": pillow(Image.fromarray(GREY), "PNG", icc_profile=GREY_PROFILE),
    "grey-16.png": pillow(Image.fromarray(GREY16), "PNG", icc_profile=GREY_PROFILE),
    "float.tiff": tiff(FLOAT.astype("f4"), iccprofile=GREY_PROFILE),
}


def profile_in(path) -> bytes | None:
    if path.suffix == ".tiff":
        with tifffile.TiffFile(path) as file:
            return file.pages.first.tags.valueof(34675)
    with Image.open(path) as file:
        return file.info.get("icc_profile")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("name", PROFILED)
def test_the_colour_profile_is_kept(tmp_path, negative, name, suffix):
    if name == "rgb-16.tiff" and suffix == ".png":
        pytest.importorskip("imagecodecs", reason="PNG of 16 bits in colour")
    out = tmp_path / f"out{suffix}"
    result = run(
        write(tmp_path, name, PROFILED[name]), "--task", "denoise", "--sigma-y", 0, "-o", out
    )
    assert result.exit_code == 0, result.output
    assert profile_in(out) == (GREY_PROFILE if "grey" in name or "float" in name else SRGB)


def test_a_16_bit_png_with_a_profile_is_read_by_pillow_and_imagecodecs(tmp_path):
    """The chunk that is put into it has the place, the name and the check sum of the standard."""
    codecs = pytest.importorskip("imagecodecs")
    like = files.Picture(COLOUR16.transpose(2, 0, 1), 0, 65535, profile=SRGB)
    files.write_picture(tmp_path / "a.png", like.pixels, like)
    with Image.open(tmp_path / "a.png") as file:
        file.load()
        assert file.info["icc_profile"] == SRGB
    assert (codecs.png_decode((tmp_path / "a.png").read_bytes()) == COLOUR16).all()


def test_a_grey_profile_is_left_out_of_colours(tmp_path, monkeypatch):
    def denoiser(x, sigma):
        return x

    denoiser.in_channels = 3
    monkeypatch.setattr(ddrm_edu, "load_denoiser", lambda *names, **options: denoiser)
    monkeypatch.setattr(ddrm_edu, "restore", lambda denoiser, op, y, **options: op.pinv(y))
    source = write(tmp_path, "grey.png", PROFILED["grey.png"])
    result = run(source, "--task", "colorize", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert "profile is left out" in result.output
    assert profile_in(tmp_path / "out.png") is None


def test_inks_with_a_profile_are_turned_into_srgb(tmp_path, monkeypatch):
    """Which profile it was is Pillow's to know: here one that ImageCms is told to read as sRGB."""
    asked = []

    def convert(image, ink, rgb, outputMode):
        asked.append((image.mode, ink.tobytes(), outputMode))
        return Image.fromarray(COLOUR)

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    content = pillow(Image.fromarray(INK, "CMYK"), "TIFF", icc_profile=SRGB)
    picture = files.read_picture(write(tmp_path, "ink.tiff", content))
    assert asked == [("CMYK", SRGB, "RGB")]
    assert (picture.pixels == COLOUR.transpose(2, 0, 1)).all()
    assert picture.profile is not None
    assert picture.profile[16:20] == b"RGB "
    assert picture.notes == ("inks (CMYK) were turned into sRGB by their profile",)


# ---------------------------------------------------------------------------- extras and limits


@pytest.fixture
def without_imagecodecs(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)


def test_without_imagecodecs_a_16_bit_png_is_refused_with_the_way_to_get_it(
    tmp_path, negative, without_imagecodecs
):
    source = write(tmp_path, "a.png", png16(COLOUR16))
    result = run(source, "--task", "denoise", "--sigma-y", 0, "-o", tmp_path / "x.tiff")
    assert result.exit_code == 1
    assert "pip install 'ddrm-edu[files]'" in result.output
    source = write(tmp_path, "a.tiff", tiff(COLOUR16, photometric="rgb"))
    result = run(source, "--task", "denoise", "--sigma-y", 0, "-o", tmp_path / "x.png")
    assert result.exit_code == 1  # before the run, not after
    assert "imagecodecs" in result.output.splitlines()[-1]
    result = run(source, "--task", "denoise", "--sigma-y", 0, "-o", tmp_path / "x.tiff")
    assert result.exit_code == 0, result.output


def test_a_phone_stores_a_second_picture_behind_the_first(tmp_path):
    """MPO: the first is the photograph."""
    content = pillow(
        Image.fromarray(COLOUR), "MPO", save_all=True, append_images=[Image.fromarray(255 - COLOUR)]
    )
    with Image.open(io.BytesIO(content)) as file:
        assert (file.format, file.n_frames) == ("MPO", 2)
        want = np.asarray(file)
    picture = files.read_picture(write(tmp_path, "phone.jpg", content))
    assert (picture.pixels == want.transpose(2, 0, 1)).all()


def test_a_large_deep_tiff_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    for name in ("grey16.tiff", "L.png", "hw-uint8.npy", "L.tiff"):
        with pytest.raises(files.PictureError, match=r"more than 50 pixels.*decompression bomb"):
            files.read_picture(write(tmp_path, name, RESTORED[name][0]))


@pytest.mark.parametrize("values", [(0, 0), (3, 1), (np.nan, 1), (0, np.inf)])
def test_black_is_darker_than_white(tmp_path, negative, values):
    source = write(tmp_path, "a.png", RESTORED["L.png"][0])
    result = run(source, "--task", "denoise", "--range", f"{values[0]},{values[1]}")
    assert result.exit_code == 1
    assert "--range is black and white" in result.output


@pytest.mark.parametrize(("low", "high"), [(-0.3, 1.0), (0.0, 1.3)])
def test_floats_beyond_a_quarter_of_the_range_are_on_another_scale(tmp_path, low, high):
    """Of 98 % of them; noise may reach as far as that."""
    np.save(tmp_path / "a.npy", np.linspace(low, high, 400).reshape(20, 20))
    with pytest.raises(files.PictureError, match="98 % lie in"):
        files.read_picture(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.linspace(-0.24, 1.24, 400).reshape(20, 20))
    assert files.read_picture(tmp_path / "a.npy").high == 1


def test_numbers_are_rounded_and_cut_where_the_file_holds_integers():
    like = files.Picture(GREY16[None], 0, 4095)
    stored, low, high = files.as_stored(np.array([-3.0, 0.4, 0.6, 9e9]), like, "NPY")
    assert stored.tolist() == [0, 0, 1, 4095]
    assert (stored.dtype, low, high) == (np.uint16, 0, 4095)
    like = files.Picture(FLOAT[None].astype("f4"), -1, 1)
    stored, low, high = files.as_stored(np.array([-3.0, 0.4]), like, "TIFF")
    assert stored.tolist() == [-3, np.float32(0.4)]
    stored, low, high = files.as_stored(np.array([-3.0, 0.5]), like, "PNG")
    assert stored.tolist() == [0, round(0.75 * 65535)]
    assert (stored.dtype, low, high) == (np.uint16, 0, 65535)


# ----------------------------------------------------------------------------- whole or not at all


def picture():
    return files.Picture(COLOUR.transpose(2, 0, 1), 0, 255)


@pytest.mark.parametrize("suffix", [".png", ".TIFF", ".npy"])
def test_a_file_that_exists_is_kept_unless_forced(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"exists already.*--force"):
        files.write_picture(path, picture().pixels, picture())
    assert path.read_bytes() == b"mine"
    files.write_picture(path, picture().pixels, picture(), force=True)
    assert (files.read_picture(path).pixels == picture().pixels).all()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_file_that_appears_while_it_is_written_is_kept(tmp_path):
    def late():
        with files.new_file(tmp_path / "a.png") as whole:
            whole.write_bytes(b"ours")
            (tmp_path / "a.png").write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        late()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"mine")]


@pytest.mark.parametrize("force", [False, True])
def test_a_failed_write_leaves_what_was_there(tmp_path, force):
    """A full disk: half of the file is written, then an error."""
    if force:
        (tmp_path / "a.png").write_bytes(b"mine")

    def full():
        with files.new_file(tmp_path / "a.png", force=force) as whole:
            whole.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        full()
    left = [(path.name, path.read_bytes()) for path in tmp_path.iterdir()]
    assert left == ([("a.png", b"mine")] if force else [])


def test_a_folder_and_a_link_are_not_replaced(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "absent.png")
    for name in ("folder.png", "link.png"):
        with pytest.raises(ValueError, match="exists already"):
            files.kind_of_new(tmp_path / name, force=True)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.webp", "a.png.gz"])
def test_only_formats_without_a_loss_are_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png, \.tif, \.tiff, \.npy.*lose what was measured"):
        files.kind_of_new(tmp_path / name)


def test_a_name_without_a_folder_is_one_of_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_picture(files.Path("a.png"), picture().pixels, picture())
    assert os.listdir() == ["a.png"]


def test_a_float32_run_keeps_all_values_of_16_bits():
    """From 0..65535 to [-1, 1] in float32 and back: none is lost."""
    values = torch.arange(65536, dtype=torch.float32)
    x = ddrm_edu.to_symmetric(values, high=65535)
    like = files.Picture(GREY16[None], 0, 65535)
    back = ddrm_edu.from_symmetric(x.double(), high=65535).numpy()
    assert (files.as_stored(back, like, "NPY")[0] == np.arange(65536)).all()


def test_numbers_of_a_file_are_finite_and_there(tmp_path):
    """Of any shape: ``restore --measurement`` and masks are read so."""
    path = tmp_path / "a.npy"
    for numbers in (np.arange(4.0), np.ones((2, 3), bool), np.array(3)):
        np.save(path, numbers)
        assert np.array_equal(files.read_numbers(path), numbers)
    for numbers in (np.array([1.0, np.nan]), np.array([np.inf]), np.zeros((0, 3))):
        np.save(path, numbers)
        with pytest.raises(files.PictureError, match="holds NaN, infinite numbers or nothing"):
            files.read_numbers(path)
    np.save(path, np.array([1j]))
    with pytest.raises(files.PictureError, match="holds complex128"):
        files.read_numbers(path)


def test_the_alpha_of_floats_is_no_whole_number(tmp_path):
    alpha = np.linspace(0, 1, 30).reshape(5, 6).astype(np.float32)
    like = files.Picture(np.zeros((3, 5, 6), np.float32), 0.0, 1.0)
    for name in ("a.npy", "a.tiff"):
        path = tmp_path / name
        files.write_picture(path, np.full((3, 5, 6), 0.3, np.float32), like, alpha=alpha)
        assert np.array_equal(numbers_of(path)[..., 3], alpha)
        assert np.array_equal(files.read_picture(path).alpha, alpha)


@pytest.mark.parametrize("colour", [(10, 200, 200), (200, 10, 10), (200, 200, 10), (10, 10, 200)])
def test_a_palette_is_grey_only_if_all_three_of_its_colours_are_alike(tmp_path, colour):
    """Of two that are alike the third may be smaller or larger."""
    image = Image.new("P", (3, 2))
    image.putpalette([*colour])
    image.save(tmp_path / "a.png")
    pixels = files.read_picture(tmp_path / "a.png").pixels
    assert pixels[:, 0, 0].tolist() == list(colour)

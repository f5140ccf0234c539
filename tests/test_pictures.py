"""Pictures of tensors: what is drawn for values in and out of range, and for lost pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from ddrm_edu import pictures
from ddrm_edu.pictures import draw_image, read_picture, restoration_grid, write_new


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


# -- reading a file ------------------------------------------------------------------------------

# What Image.open may give; the files of the modes that no format stores are replaced by the image.
ACCEPTED = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"]
DEEP = ["I", "I;16", "I;16L", "I;16B", "I;16N", "F"]
NOT_UNDERSTOOD = ["LAB", "HSV", "La", "RGBa"]


def test_table_has_every_mode_of_pillow():
    assert {*Image.MODES} <= {*ACCEPTED, *DEEP, *NOT_UNDERSTOOD}


@pytest.mark.parametrize("mode", ACCEPTED)
def test_modes_of_8_bits_are_accepted(mode):
    image = Image.new(mode, (3, 2))
    if "A" in image.getbands():
        image.putalpha(255)
    assert pictures._upright_8_bit(image, "a").convert("RGB").size == (3, 2)


@pytest.mark.parametrize("mode", DEEP)
def test_modes_of_more_than_8_bits_are_refused(mode):
    with pytest.raises(ValueError, match=rf"8 bits per value.*a\.png.*mode {mode}.*Save it as"):
        pictures._upright_8_bit(Image.new(mode, (3, 2)), "a.png")


@pytest.mark.parametrize("mode", NOT_UNDERSTOOD)
def test_modes_that_are_not_understood_are_refused(mode):
    with pytest.raises(ValueError, match=rf"a\.png has Pillow's mode {mode}.*RGB PNG"):
        pictures._upright_8_bit(Image.new(mode, (3, 2)), "a.png")


GREY = np.arange(0, 252, 3, dtype=np.uint8).reshape(7, 12)
COLOUR = np.stack([GREY, GREY.T.reshape(7, 12), 255 - GREY], -1)
OPAQUE = np.full_like(GREY, 255)
GOOD_FILES = {
    "grey.png": (Image.fromarray(GREY), GREY),
    "grey.bmp": (Image.fromarray(GREY), GREY),
    "grey.tiff": (Image.fromarray(GREY), GREY),
    "palette.gif": (Image.fromarray(GREY), GREY),
    "colour.png": (Image.fromarray(COLOUR), COLOUR),
    "colour.tiff": (Image.fromarray(COLOUR), COLOUR),
    "colour.webp": (Image.fromarray(COLOUR), COLOUR),
    "opaque.png": (Image.fromarray(np.dstack([COLOUR, OPAQUE])), COLOUR),
    "opaque-grey.png": (Image.fromarray(np.dstack([GREY, OPAQUE])), GREY),
    "bits.png": (Image.fromarray(GREY > 90), np.where(GREY > 90, 255, 0)),
    "cmyk.tiff": (
        Image.merge("CMYK", [*Image.fromarray(255 - COLOUR).split(), Image.fromarray(0 * GREY)]),
        COLOUR,
    ),
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_files_of_8_bits_are_read_value_for_value(tmp_path, name):
    """0 -> -1 and 255 -> 1; a grey file is the same grey in every channel."""
    image, want = GOOD_FILES[name]
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    want = np.broadcast_to(want[..., None], (*want.shape, 3)) if want.ndim == 2 else want
    got = read_picture(tmp_path / name, 3)[0].numpy()
    assert abs((got.transpose(1, 2, 0) + 1) * 127.5 - want).max() <= 1e-4


def png_16_bit(colours):
    """A PNG of 16 bits per value by hand, since Pillow writes none in colour."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[colours]
    rows = np.random.default_rng(0).integers(0, 2**16, (8, 8 * colours)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in chunks
    )


def tiff_16_bit(planar):
    """An uncompressed RGB TIFF of 16 bits per value; Pillow opens it as 8 bits, too."""
    pixels = np.random.default_rng(0).integers(0, 2**16, 8 * 8 * 3).astype("<u2").tobytes()
    bits = 8 + 2 + 10 * 12 + 4  # where BitsPerSample lies, then the strips' table, then pixels
    strips, at = 3 if planar else 1, bits + 6 + 24
    size = len(pixels) // strips
    table = struct.pack("<6I", *(at + size * k for k in range(3)), *[size] * 3)
    pointers = (bits + 6, bits + 18) if planar else (at, size)
    entries = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 3, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, strips, pointers[0]),
        (277, 3, 1, 3),
        (278, 4, 1, 8),
        (279, 4, strips, pointers[1]),
        (284, 3, 1, 2 if planar else 1),
    ]
    head = b"II*\0" + struct.pack("<IH", 8, 10)
    ifd = b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0" * 4
    return head + ifd + struct.pack("<3H", 16, 16, 16) + table + pixels


@pytest.fixture(params=["grey.png", "grey16.tiff", "float.tiff", "int.tiff", "16.png", "RGB.tiff"])
def deep(request, tmp_path):
    """Files of more than 8 bits per value; those in colour are opened by Pillow as RGB."""
    path = tmp_path / request.param
    numbers = np.linspace(0, 1, 64).reshape(8, 8)
    arrays = {
        "grey.png": (numbers * 65535).astype(np.uint16),
        "grey16.tiff": (numbers * 65535).astype(np.uint16),
        "float.tiff": numbers.astype(np.float32),
        "int.tiff": (numbers * 1e6).astype(np.int32),
    }
    if path.name in arrays:
        Image.fromarray(arrays[path.name]).save(path)
    else:
        path.write_bytes(png_16_bit(3) if path.suffix == ".png" else tiff_16_bit(False))
        with Image.open(path) as file:
            assert file.mode == "RGB"
    return path


def test_files_of_more_than_8_bits_are_refused(deep):
    with pytest.raises(ValueError, match=rf"8 bits per value.*{deep.name}.*as an 8-bit PNG"):
        read_picture(deep, 3)


@pytest.mark.parametrize("colours", [1, 2, 3, 4])
def test_16_bit_png_of_every_colour_type_is_refused(tmp_path, colours):
    (tmp_path / "a.png").write_bytes(png_16_bit(colours))
    with pytest.raises(ValueError, match="8 bits per value"):
        read_picture(tmp_path / "a.png", 3)


def test_16_bit_tiff_in_planes_is_refused(tmp_path):
    (tmp_path / "a.tiff").write_bytes(tiff_16_bit(True))
    with pytest.raises(ValueError, match="8 bits per value"):
        read_picture(tmp_path / "a.tiff", 3)


def test_bmp_of_16_bits_per_pixel_has_less_than_8_per_value_and_is_accepted(tmp_path):
    """One pixel, 5, 6 and 5 bits per colour: white."""
    head = b"BM" + struct.pack("<IHHI", 70, 0, 0, 66)
    info = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    masks = struct.pack("<3I", 0xF800, 0x7E0, 0x1F)
    (tmp_path / "a.bmp").write_bytes(head + info + masks + b"\xff\xff\0\0")
    assert read_picture(tmp_path / "a.bmp", 3).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_entry_says(tmp_path, orientation, suffix):
    """What an EXIF reader shows: the stored rows and columns by the definition of the tag."""
    stored = np.kron(np.array([[10, 90, 170], [50, 130, 240]], np.uint8), np.ones((16, 16)))
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored.astype(np.uint8)).save(path, exif=exif)
    got = (read_picture(path, 1)[0, 0].numpy() + 1) * 127.5
    assert got.shape == shown.shape
    assert abs(got - shown).max() <= 2  # JPEG, blocks of constant grey


TRANSPARENT = {
    "RGBA": Image.fromarray(np.dstack([COLOUR, 255 - (GREY == 9)]).astype(np.uint8)),
    "LA": Image.fromarray(np.dstack([GREY, OPAQUE - 1])),
    "L": Image.fromarray(GREY),
    "P": Image.fromarray(GREY).convert("P"),
}


@pytest.mark.parametrize("mode", TRANSPARENT)
def test_transparent_pixels_are_refused(tmp_path, mode):
    """In an alpha channel, or as one grey or one palette entry; only if a pixel has it."""
    options = {"transparency": 9} if mode in "LP" else {}
    TRANSPARENT[mode].save(tmp_path / "a.png", **options)
    with pytest.raises(ValueError, match=r"a\.png has transparent ones.*without alpha"):
        read_picture(tmp_path / "a.png", 3)
    if options:
        TRANSPARENT[mode].save(tmp_path / "b.png", transparency=10)  # GREY has multiples of 3 only
        assert read_picture(tmp_path / "b.png", 3).shape == (1, 3, 7, 12)


# -- writing a file ------------------------------------------------------------------------------


def test_a_file_that_appears_during_the_run_is_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match="exists already"):
        write_new(tmp_path / "a.png", Figure())
    assert (tmp_path / "a.png").read_bytes() == b"mine"


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

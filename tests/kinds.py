"""Picture files of many kinds, each with what numpy says is in it; and files that are refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (7, 12, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (7, 12), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (7, 12), dtype=np.uint16)
COLOUR16 = RNG.integers(0, 65536, (7, 12, 3), dtype=np.uint16)
ALPHA16 = RNG.integers(0, 65536, (7, 12), dtype=np.uint16)
FLOAT = RNG.random((7, 12))
FLOATS = RNG.random((7, 12, 3))
PALETTE = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]  # all that is looked at is its colour space
BITS = GREY > 90


def png(rows: bytes, width: int, height: int, depth: int, kind: int, *chunks) -> bytes:
    """A PNG by hand: Pillow writes neither 16 bits in colour nor 2 and 4 bits in grey."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in chunks
    )


def png16(pixels: np.ndarray, *chunks) -> bytes:
    """A PNG of 16 bits per value, of 1 to 4 channels."""
    pixels = np.atleast_3d(pixels)
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    return png(rows, width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], *chunks)


def png4(pixels: np.ndarray) -> bytes:
    """A grey PNG of 4 bits per pixel."""
    rows = b"".join(b"\0" + bytes(16 * a + b for a, b in row.reshape(-1, 2)) for row in pixels)
    return png(rows, *pixels.shape[::-1], 4, 0)


def png_of_bits(values: np.ndarray, bits: int, kind: int, *chunks) -> bytes:
    """A PNG of 1, 2 or 4 bits per pixel, grey (kind 0) or with a palette (3)."""
    each = np.unpackbits(values.astype("u1")[..., None], axis=-1)[..., 8 - bits :]
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in each.reshape(len(values), -1))
    return png(rows, *values.shape[::-1], bits, kind, *chunks)


def pillow(image: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def tiff(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **({"photometric": "minisblack"} | options))
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def paletted(**options) -> bytes:
    image = Image.fromarray(GREY).copy()
    image = image.convert("P")
    image.putpalette(PALETTE.flatten().tolist())
    return pillow(image, "PNG", **options)


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """What is shown of stored rows and columns, by the definition of the EXIF tag."""
    axes = (1, 0, *range(2, stored.ndim))
    return {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(axes),
        6: stored[::-1].transpose(axes),
        7: stored[::-1, ::-1].transpose(axes),
        8: stored[:, ::-1].transpose(axes),
    }[orientation]


def exif(orientation: int) -> Image.Exif:
    entries = Image.Exif()
    entries[0x0112] = orientation
    return entries


def with_alpha(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.concatenate([np.atleast_3d(pixels), alpha[..., None]], -1)


def as_rgb(name: str, data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


INK = RNG.integers(0, 256, (7, 12, 4), dtype=np.uint8)
PLAIN_RGB = np.rint((255 - INK[..., :3].astype(float)) * (255 - INK[..., 3:]) / 255)
JPEG = pillow(Image.fromarray(COLOUR), "JPEG", quality=95)
JPEG_GREY = pillow(Image.fromarray(GREY), "JPEG", quality=95)
T16 = COLOUR16[2, 3]

# name: (file, colours as (h, w) or (h, w, 3), alpha in [0, 1] or None, options)
RESTORED: dict[str, tuple[bytes, np.ndarray, np.ndarray | None, list]] = {
    "L.png": (pillow(Image.fromarray(GREY), "PNG"), GREY, None, []),
    "LA.png": (pillow(Image.fromarray(with_alpha(GREY, ALPHA)), "PNG"), GREY, ALPHA / 255, []),
    "RGB.png": (pillow(Image.fromarray(COLOUR), "PNG"), COLOUR, None, []),
    "RGBA.png": (
        pillow(Image.fromarray(with_alpha(COLOUR, ALPHA)), "PNG"),
        COLOUR,
        ALPHA / 255,
        [],
    ),
    "L-transparent.png": (
        pillow(Image.fromarray(GREY), "PNG", transparency=int(GREY[0, 0])),
        GREY,
        (GREY[0, 0] != GREY).astype(float),
        [],
    ),
    "RGB-transparent.png": (
        pillow(Image.fromarray(COLOUR), "PNG", transparency=tuple(map(int, COLOUR[1, 1]))),
        COLOUR,
        (COLOUR[1, 1] != COLOUR).any(-1).astype(float),
        [],
    ),
    "P.png": (paletted(), PALETTE[GREY], None, []),
    "P-transparent.png": (
        paletted(transparency=int(GREY[0, 0])),
        PALETTE[GREY],
        (GREY[0, 0] != GREY).astype(float),
        [],
    ),
    "1.png": (pillow(Image.fromarray(BITS), "PNG"), np.where(BITS, 255, 0).astype("u1"), None, []),
    "4-bits.png": (png4(GREY // 16), GREY // 16 * 17, None, []),
    "I16.png": (pillow(Image.fromarray(GREY16), "PNG"), GREY16, None, []),
    "I16-transparent.png": (
        png16(GREY16, (b"tRNS", struct.pack(">H", GREY16[0, 0]))),
        GREY16,
        (GREY16[0, 0] != GREY16).astype(float),
        [],
    ),
    "LA16.png": (png16(with_alpha(GREY16, ALPHA16)), GREY16, ALPHA16 / 65535, []),
    "RGB16.png": (png16(COLOUR16), COLOUR16, None, []),
    "RGBA16.png": (png16(with_alpha(COLOUR16, ALPHA16)), COLOUR16, ALPHA16 / 65535, []),
    "RGB16-transparent.png": (
        png16(COLOUR16, (b"tRNS", struct.pack(">3H", *T16))),
        COLOUR16,
        (COLOUR16 != T16).any(-1).astype(float),
        [],
    ),
    "L.tiff": (pillow(Image.fromarray(GREY), "TIFF"), GREY, None, []),
    "RGB-lzw.tiff": (
        pillow(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"),
        COLOUR,
        None,
        [],
    ),
    "RGBA.tiff": (
        pillow(Image.fromarray(with_alpha(COLOUR, ALPHA)), "TIFF"),
        COLOUR,
        ALPHA / 255,
        [],
    ),
    "1.tiff": (
        pillow(Image.fromarray(BITS), "TIFF"),
        np.where(BITS, 255, 0).astype("u1"),
        None,
        [],
    ),
    "CMYK.tiff": (pillow(Image.fromarray(INK, "CMYK"), "TIFF"), PLAIN_RGB.astype("u1"), None, []),
    "grey16.tiff": (tiff(GREY16), GREY16, None, []),
    "RGB16.tiff": (tiff(COLOUR16, photometric="rgb"), COLOUR16, None, []),
    "RGB16-big-endian.tiff": (tiff(COLOUR16, photometric="rgb", byteorder=">"), COLOUR16, None, []),
    "RGB16-planes.tiff": (
        tiff(COLOUR16.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        COLOUR16,
        None,
        [],
    ),
    "RGB16-deflate.tiff": (
        tiff(COLOUR16, photometric="rgb", compression="zlib"),
        COLOUR16,
        None,
        [],
    ),
    "grey16-lzw.tiff": (
        pillow(Image.fromarray(GREY16), "TIFF", compression="tiff_lzw"),
        GREY16,
        None,
        [],
    ),
    "RGB16-big.tiff": (tiff(COLOUR16, photometric="rgb", bigtiff=True), COLOUR16, None, []),
    "RGBA16.tiff": (
        tiff(with_alpha(COLOUR16, ALPHA16), photometric="rgb", extrasamples=["unassalpha"]),
        COLOUR16,
        ALPHA16 / 65535,
        [],
    ),
    "grey16-tiles.tiff": (tiff(GREY16, tile=(16, 16)), GREY16, None, []),
    "white-is-0-16.tiff": (tiff(GREY16, photometric="miniswhite"), 65535 - GREY16, None, []),
    "white-is-0-8.tiff": (tiff(GREY, photometric="miniswhite"), 255 - GREY, None, []),
    "float16.tiff": (tiff(FLOAT.astype("f2")), FLOAT.astype("f2"), None, []),
    "float32.tiff": (tiff(FLOAT.astype("f4")), FLOAT.astype("f4"), None, []),
    "float32-RGB.tiff": (
        tiff(FLOATS.astype("f4"), photometric="rgb"),
        FLOATS.astype("f4"),
        None,
        [],
    ),
    "float64.tiff": (tiff(FLOAT), FLOAT, None, []),
    "float32-on-255.tiff": (
        tiff((FLOAT * 255).astype("f4")),
        (FLOAT * 255).astype("f4"),
        None,
        ["--range", "0,255"],
    ),
    "int16-of-12-bits.tiff": (
        tiff((FLOAT * 4095).astype("i2")),
        (FLOAT * 4095).astype("i2"),
        None,
        ["--range", "0,4095"],
    ),
    "uint16-of-12-bits.tiff": (tiff(GREY16 // 16), GREY16 // 16, None, ["--range", "0,4095"]),
    "int32.tiff": (
        tiff((FLOAT * 1e6).astype("i4")),
        (FLOAT * 1e6).astype("i4"),
        None,
        ["--range", "0,1000000"],
    ),
    "grey.jpg": (JPEG_GREY, np.asarray(Image.open(io.BytesIO(JPEG_GREY))), None, []),
    "RGB.jpg": (JPEG, as_rgb("a.jpg", JPEG), None, []),
    "L.bmp": (pillow(Image.fromarray(GREY), "BMP"), GREY, None, []),
    "RGB.bmp": (pillow(Image.fromarray(COLOUR), "BMP"), COLOUR, None, []),
    "grey.gif": (pillow(Image.fromarray(GREY), "GIF"), GREY, None, []),
    "RGB.webp": (pillow(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR, None, []),
    "RGBA.webp": (
        pillow(Image.fromarray(with_alpha(COLOUR, ALPHA | 1)), "WEBP", lossless=True, exact=True),
        COLOUR,
        (ALPHA | 1) / 255,
        [],
    ),
    "wrong-suffix.jpg": (pillow(Image.fromarray(COLOUR), "PNG"), COLOUR, None, []),
    "hw-uint8.npy": (npy(GREY), GREY, None, []),
    "hwc-uint8.npy": (npy(COLOUR), COLOUR, None, []),
    "chw-uint8.npy": (npy(COLOUR.transpose(2, 0, 1)), COLOUR, None, []),
    "1hw-uint16.npy": (npy(GREY16[None]), GREY16, None, []),
    "hwc-alpha-uint16.npy": (npy(with_alpha(COLOUR16, ALPHA16)), COLOUR16, ALPHA16 / 65535, []),
    "float16.npy": (npy(FLOATS.astype("f2")), FLOATS.astype("f2"), None, []),
    "float32.npy": (npy(FLOATS.astype("f4")), FLOATS.astype("f4"), None, []),
    "float64-chw.npy": (npy(FLOATS.transpose(2, 0, 1)), FLOATS, None, []),
    "big-endian.npy": (npy(COLOUR16.astype(">u2")), COLOUR16, None, []),
    "fortran.npy": (npy(np.asfortranarray(FLOATS)), FLOATS, None, []),
    "noisy-float.npy": (npy(1.2 * FLOATS - 0.1), 1.2 * FLOATS - 0.1, None, []),
    "symmetric-float.npy": (npy(2 * FLOATS - 1), 2 * FLOATS - 1, None, ["--range", "-1,1"]),
    "bool.npy": (npy(BITS), np.where(BITS, 255, 0).astype("u1"), None, []),
    "int64.npy": (npy(GREY.astype("i8")), GREY.astype("i8"), None, ["--range", "0,255"]),
    "1x1.png": (pillow(Image.fromarray(COLOUR[:1, :1]), "PNG"), COLOUR[:1, :1], None, []),
    "one-row.png": (pillow(Image.fromarray(COLOUR[:1]), "PNG"), COLOUR[:1], None, []),
    "one-column-16.png": (png16(COLOUR16[:, :1]), COLOUR16[:, :1], None, []),
}
for orientation in range(1, 9):
    tag = [(274, "H", 1, orientation, False)]
    RESTORED |= {
        f"turned-{orientation}.png": (
            pillow(Image.fromarray(COLOUR), "PNG", exif=exif(orientation)),
            turned(COLOUR, orientation),
            None,
            [],
        ),
        f"turned-{orientation}-16.png": (
            png16(COLOUR16, (b"eXIf", exif(orientation).tobytes()[6:])),
            turned(COLOUR16, orientation),
            None,
            [],
        ),
        f"turned-{orientation}-grey16.png": (
            pillow(Image.fromarray(GREY16), "PNG", exif=exif(orientation)),
            turned(GREY16, orientation),
            None,
            [],
        ),
        f"turned-{orientation}.tiff": (
            pillow(Image.fromarray(COLOUR), "TIFF", exif=exif(orientation)),
            turned(COLOUR, orientation),
            None,
            [],
        ),
        f"turned-{orientation}-16.tiff": (
            tiff(COLOUR16, photometric="rgb", extratags=tag),
            turned(COLOUR16, orientation),
            None,
            [],
        ),
        f"turned-{orientation}.jpg": (
            pillow(Image.fromarray(COLOUR), "JPEG", quality=95, exif=exif(orientation)),
            turned(as_rgb("a.jpg", JPEG), orientation),
            None,
            [],
        ),
    }

for bits in (1, 2, 4):
    few, top = GREY % 2**bits, 2**bits - 1
    opacity = np.arange(0, 256, 255 // top)[::-1].astype("u1")
    RESTORED |= {
        f"grey-{bits}-transparent.png": (
            png_of_bits(few, bits, 0, (b"tRNS", struct.pack(">H", int(few[0, 0])))),
            (few * (255 // top)).astype("u1"),
            (few != few[0, 0]).astype(float),
            [],
        ),
        f"P-{bits}-opacity.png": (
            png_of_bits(
                few,
                bits,
                3,
                (b"PLTE", PALETTE[: top + 1].tobytes()),
                (b"tRNS", opacity.tobytes()),
            ),
            PALETTE[few],
            opacity[few] / 255,
            [],
        ),
    }
INDEXED = Image.fromarray(GREY).convert("P")
INDEXED.putpalette(PALETTE.flatten().tolist())
RESTORED |= {
    "P-transparent.gif": (
        pillow(INDEXED, "GIF", transparency=int(GREY[0, 0])),
        PALETTE[GREY],
        (GREY[0, 0] != GREY).astype(float),
        [],
    ),
    "P.bmp": (pillow(INDEXED, "BMP"), PALETTE[GREY], None, []),
    "P.tiff": (pillow(INDEXED, "TIFF"), PALETTE[GREY], None, []),
    "LA.tiff": (pillow(Image.fromarray(with_alpha(GREY, ALPHA)), "TIFF"), GREY, ALPHA / 255, []),
    "RGBA-planes.tiff": (
        tiff(
            with_alpha(COLOUR, ALPHA).transpose(2, 0, 1).copy(),
            photometric="rgb",
            planarconfig="separate",
            extrasamples=["unassalpha"],
        ),
        COLOUR,
        ALPHA / 255,
        [],
    ),
    "LA16.tiff": (
        tiff(with_alpha(GREY16, ALPHA16), planarconfig="contig", extrasamples=["unassalpha"]),
        GREY16,
        ALPHA16 / 65535,
        [],
    ),
    "turned-6.webp": (
        pillow(Image.fromarray(COLOUR), "WEBP", lossless=True, exif=exif(6)),
        turned(COLOUR, 6),
        None,
        [],
    ),
    "turned-7-planes.tiff": (
        tiff(
            COLOUR.transpose(2, 0, 1).copy(),
            photometric="rgb",
            planarconfig="separate",
            extratags=[(274, "H", 1, 7, False)],
        ),
        turned(COLOUR, 7),
        None,
        [],
    ),
    "big-endian-chw.npy": (npy(COLOUR16.transpose(2, 0, 1).astype(">u2")), COLOUR16, None, []),
}

FRAMES = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
ANIMATED = {"save_all": True, "append_images": FRAMES[1:]}
BOMB = tiff(np.zeros((1000, 7), "u2")).replace(
    struct.pack("<HHII", 256, 4, 1, 7), struct.pack("<HHII", 256, 4, 1, 60_000)
)
BOMB = BOMB.replace(struct.pack("<HHII", 257, 4, 1, 1000), struct.pack("<HHII", 257, 4, 1, 60_000))


def bomb_npy() -> bytes:
    """The header alone claims a large array."""
    return npy(np.zeros((1, 1))).replace(b"(1, 1), ", b"(60000, 60000), ")[:128]


def floats(value: float) -> np.ndarray:
    array = FLOAT.copy()
    array[3, 4] = value
    return array


# name: (file, words of the refusal)
REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "text.png": (b"This is no picture.", ("no PNG", "Save it as one of these")),
    "empty.png": (b"", ("no PNG",)),
    "half.png": (pillow(Image.fromarray(COLOUR), "PNG")[:150], ("cannot be decoded", "cut off")),
    "half-16.png": (png16(COLOUR16)[:300], ("cannot be decoded", "cut off")),
    "half.jpg": (JPEG[:-20], ("cannot be decoded", "cut off")),
    "half.tiff": (pillow(Image.fromarray(COLOUR), "TIFF")[:-100], ("cannot be decoded", "cut off")),
    "half-16.tiff": (tiff(COLOUR16, photometric="rgb")[:-100], ("cannot be decoded", "cut off")),
    "half.npy": (npy(FLOAT)[:-8], ("cannot be decoded", "cut off")),
    "animated.gif": (pillow(FRAMES[0], "GIF", **ANIMATED), ("2 frames", "Save the one")),
    "animated.png": (pillow(FRAMES[0], "PNG", **ANIMATED), ("2 frames", "Save the one")),
    "animated.webp": (pillow(FRAMES[0], "WEBP", **ANIMATED), ("2 frames", "Save the one")),
    "pages.tiff": (pillow(FRAMES[0], "TIFF", **ANIMATED), ("2 pages", "Save the one")),
    "volume-16.tiff": (tiff(np.stack([GREY16] * 5)), ("5 pages", "Save the one")),
    "lab.tiff": (pillow(Image.fromarray(COLOUR, "LAB"), "TIFF"), ("mode LAB", "RGB PNG")),
    "inks-16.tiff": (
        tiff(RNG.integers(0, 9, (7, 12, 4), dtype=np.uint16), photometric="separated"),
        ("SEPARATED", "RGB or grey"),
    ),
    "palette-16.tiff": (
        tiff(GREY16 % 256, photometric="palette", colormap=np.zeros((3, 65536), "u2")),
        ("PALETTE", "RGB or grey"),
    ),
    "premultiplied-16.tiff": (
        tiff(with_alpha(COLOUR16, ALPHA16), photometric="rgb", extrasamples=["assocalpha"]),
        ("premultiplied", "without that channel"),
    ),
    "unnamed-channel-16.tiff": (
        tiff(with_alpha(COLOUR16, ALPHA16), photometric="rgb", extrasamples=["unspecified"]),
        ("does not call alpha",),
    ),
    "unnamed-channel-8.tiff": (
        tiff(with_alpha(COLOUR, ALPHA), photometric="rgb", extrasamples=["unspecified"]),
        ("does not call alpha",),
    ),
    "floats-on-255.tiff": (tiff((FLOAT * 255).astype("f4")), ("--range 0,255", "98 %")),
    "symmetric.npy": (npy(2 * FLOATS - 1), ("--range -1,1", "98 %")),
    "nan.tiff": (tiff(floats(np.nan)), ("NaN", "--mask")),
    "inf.npy": (npy(floats(-np.inf)), ("infinite", "--mask")),
    "int16.tiff": (tiff(GREY.astype("i2")), ("int16", "--range 0,4095")),
    "uint32.npy": (npy(GREY.astype("u4")), ("uint32", "--range 0,4095")),
    "int8.tiff": (tiff((GREY // 2).astype("i1")), ("int8",)),
    "complex.npy": (npy(FLOAT + 1j), ("complex128", "real numbers")),
    "objects.npy": (npy(np.array([[None]], object)), ("cannot be decoded",)),
    "one-axis.npy": (npy(GREY[0]), ("(12,)", "(h, w, c)")),
    "four-axes.npy": (npy(COLOUR[None]), ("(1, 7, 12, 3)", "folder of files")),
    "two-meanings.npy": (npy(COLOUR[:3]), ("(3, 12, 3)", "(h, w, c)")),
    "five-channels.npy": (npy(np.zeros((7, 12, 5), "u1")), ("(7, 12, 5)", "1 or 3 channels")),
    "nothing.npy": (npy(np.zeros((0, 12), "u1")), ("0, 12",)),
    "bomb.png": (png(b"", 60_000, 60_000, 8, 0), ("decompression bomb", "cut it into parts")),
    "bomb-16.tiff": (BOMB, ("decompression bomb", "60000 x 60000")),
    "bomb.npy": (bomb_npy(), ("cannot be decoded", "cut off")),
    "picture.ppm": (pillow(Image.fromarray(COLOUR), "PPM"), ("no PNG", "Save it as")),
    "picture.tga": (pillow(Image.fromarray(COLOUR), "TGA"), ("no PNG", "Save it as")),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name

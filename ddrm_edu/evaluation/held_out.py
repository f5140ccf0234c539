"""The images of an evaluation: shipped ones, test splits, or a folder of somebody's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import cifar10, fashion_mnist, image_names, load_images, to_float
from ..files import READ_SUFFIXES, read_picture
from ..scale import to_symmetric

DATA_SETS = {"cifar10": cifar10, "fashion-mnist": fashion_mnist}


def held_out(source: str, count: int | None = None, size: int | None = None) -> Tensor:
    """Images that the shipped networks have not seen, or those of a folder; (N, c, h, w), float32.

    Parameters
    ----------
    source : str
        ``natural``, ``natural:64``, ``natural:128`` or ``fashion`` (they ship with the package),
        ``cifar10`` or ``fashion-mnist`` (test splits, fetched), or a folder of picture files.
    count : int, optional
        The first so many; all by default, of the test splits 64.
    size : int, optional
        For a folder: the square in the middle is reduced to ``size x size``.

    Raises
    ------
    ValueError
        If there are none, fewer than ``count``, or of several shapes.
    """
    name, _, side = source.partition(":")
    if name in ("natural", "fashion"):
        images = load_images(name, int(side) if side.isdigit() else 32)
    elif source in DATA_SETS:
        pixels = DATA_SETS[source]("test")[: count or 64]
        images = torch.from_numpy(to_float(pixels)).float()
    elif Path(source).is_dir():
        images = _of_folder(Path(source), count, size)
    else:
        raise ValueError(
            f"Images are natural, natural:64, natural:128, fashion, {', '.join(DATA_SETS)} or a "
            f"folder of pictures, but there is no folder {source!r}."
        )
    if size is not None and not Path(source).is_dir():
        raise ValueError(f"--size reduces the pictures of a folder, but {source} is none.")
    if count is not None and not 1 <= count <= len(images):
        raise ValueError(f"--count {count} is not possible: {source} has {len(images)} images.")
    return images[:count]


def _of_folder(folder: Path, count: int | None, size: int | None) -> Tensor:
    from skimage.transform import resize

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES)
    images = []
    for path in paths[:count]:
        picture = read_picture(path)
        image = to_symmetric(
            torch.from_numpy(picture.pixels.astype(np.float64)), low=picture.low, high=picture.high
        )
        if size is not None:
            height, width = image.shape[1:]
            side = min(height, width)
            if not 1 <= size <= side:
                raise ValueError(f"--size {size} does not fit {path.name}, {width} x {height}.")
            top, left = (height - side) // 2, (width - side) // 2
            square = image[:, top : top + side, left : left + side].numpy()
            small = resize(square, (len(square), size, size), anti_aliasing=side > size)
            image = torch.from_numpy(small).clamp(-1, 1)
        images.append(image)
    if len({tuple(image.shape) for image in images}) != 1:
        shapes = sorted({tuple(image.shape) for image in images})
        raise ValueError(
            f"The pictures of {folder} must have one shape, but have "
            f"{', '.join(map(str, shapes)) or 'none: there are no pictures'}. --size N cuts and "
            "reduces each to N x N; grey and colour pictures are two folders."
        )
    return torch.stack(images).float()


def names_of(source: str, count: int) -> list[str]:
    """A name for each image, for the table of single images."""
    name, _, side = source.partition(":")
    if name in ("natural", "fashion"):
        return image_names(name, int(side) if side.isdigit() else 32)[:count]
    if Path(source).is_dir():
        paths = sorted(p for p in Path(source).iterdir() if p.suffix.lower() in READ_SUFFIXES)
        return [path.name for path in paths][:count]
    return [f"{number:05d}" for number in range(count)]

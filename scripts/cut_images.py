"""Cut the small real pictures that ship with the package.

Reads public-domain and CC0 colour photographs that come with scikit-image, cuts squares out of
them, reduces these with anti-aliasing (Lanczos) and writes 8-bit RGB files
``ddrm_edu/images/natural/SIZE/NAME.png``.  Also writes ``ddrm_edu/images/fashion/32.png``, a grey
sheet of the first 64 Fashion-MNIST test images.  Origins and licences: ``images/SOURCES.md``.

Run from anywhere, with the package, scikit-image and pillow installed::

    python scripts/cut_images.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from ddrm_edu.data import fashion_mnist

IMAGES = Path(__file__).resolve().parents[1] / "ddrm_edu" / "images"

# name (folder = side of the result), photograph, first row, first column, side in the photograph
CROPS = [
    ("32/01-cat-face", "chelsea", 0, 95, 300),
    ("32/02-astronaut-face", "astronaut", 5, 137, 180),
    ("32/03-coffee-cup", "coffee", 0, 80, 400),
    ("32/04-rocket", "rocket", 115, 168, 310),
    ("32/05-spiral-galaxy", "hubble_deep_field", 372, 94, 58),
    ("32/06-space-shuttle", "astronaut", 80, 322, 190),
    ("32/07-cat-eye", "chelsea", 64, 121, 100),
    ("32/08-mission-patch", "astronaut", 341, 126, 90),
    ("32/09-helmet", "astronaut", 275, 275, 237),
    ("32/10-spoon", "coffee", 200, 300, 130),
    ("32/11-flag-stars", "astronaut", 0, 0, 72),
    ("32/12-cat-nose", "chelsea", 195, 208, 105),
    ("32/13-bright-star", "hubble_deep_field", 545, 720, 64),
    ("32/14-rocket-nose", "rocket", 112, 287, 70),
    ("32/15-cup-handle", "coffee", 200, 170, 120),
    ("32/16-astronaut-portrait", "astronaut", 0, 0, 512),
    ("32/17-cat-ear", "chelsea", 0, 270, 130),
    ("32/18-lightning-mast", "rocket", 180, 140, 110),
    ("32/19-coffee", "coffee", 72, 203, 165),
    ("32/20-smile", "astronaut", 108, 182, 80),
    ("32/21-orange-galaxy", "hubble_deep_field", 440, 692, 68),
    ("32/22-retina", "retina", 0, 0, 1411),
    ("32/23-floodlights", "rocket", 350, 135, 77),
    ("32/24-cat-right-eye", "chelsea", 98, 278, 80),
    ("32/25-name-tag", "astronaut", 327, 273, 64),
    ("32/26-saucer-edge", "coffee", 240, 400, 150),
    ("32/27-suit-collar", "astronaut", 130, 105, 210),
    ("32/28-launch-pad", "rocket", 325, 277, 102),
    ("32/29-galaxy-group", "hubble_deep_field", 270, 270, 92),
    ("32/30-flag-stripes", "astronaut", 110, 0, 110),
    ("32/31-cup-rim", "coffee", 50, 360, 100),
    ("32/32-fuel-tank", "astronaut", 0, 360, 120),
    ("64/01-cat-face", "chelsea", 0, 95, 300),
    ("64/02-astronaut", "astronaut", 8, 98, 256),
    ("64/03-coffee-cup", "coffee", 8, 150, 290),
    ("64/04-rocket", "rocket", 115, 168, 310),
    ("64/05-space-shuttle", "astronaut", 80, 322, 190),
    ("64/06-galaxies", "hubble_deep_field", 30, 330, 190),
    ("64/07-cat-eye", "chelsea", 45, 105, 135),
    ("64/08-helmet", "astronaut", 275, 275, 237),
    ("128/01-cat-face", "chelsea", 0, 95, 300),
    ("128/02-astronaut", "astronaut", 0, 40, 400),
    ("128/03-coffee-cup", "coffee", 0, 80, 400),
    ("128/04-rocket", "rocket", 107, 160, 320),
]


def cut(photograph: np.ndarray, row: int, column: int, side: int, size: int) -> Image.Image:
    """Square of ``photograph`` from (row, column), ``side`` pixels wide, reduced to ``size``."""
    square = photograph[row : row + side, column : column + side]
    if square.shape != (side, side, 3) or side < size:
        raise ValueError(f"square ({row}, {column}, {side}) leaves the photograph or is too small")
    return Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS)


def tile(images: np.ndarray, rows: int) -> np.ndarray:
    """Sheet of grey images, shape (N, 1, H, W), in ``rows`` rows and in reading order."""
    count, _, height, width = images.shape
    columns = count // rows
    grid = images.reshape(rows, columns, height, width).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width)


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG file and the folder it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def main() -> None:
    photographs = {name: getattr(skimage.data, name)() for _, name, *_ in CROPS}
    for name, photograph, row, column, side in CROPS:
        size = int(name.split("/")[0])
        picture = cut(photographs[photograph], row, column, side, size)
        save(picture, IMAGES / "natural" / f"{name}.png")
    sheet = tile(fashion_mnist("test")[:64], rows=8)
    save(Image.fromarray(sheet), IMAGES / "fashion" / "32.png")


if __name__ == "__main__":
    main()

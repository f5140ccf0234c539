"""Which fast operator a linear function is, found by probing it with a few images.

Every guess has to hold for random images, so that what is recognised is true, up to rounding and to
events of probability 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .linear_map import LinearMap, normal_images
from .transforms import FourierMask, SymmetricBlur

LARGEST_PATCH = 1024  # entries: what shows all units is a single image, or fills 8 MiB at most


MOST_PARTS = 4  # of a stack: each costs a few calls

MOST_RECTANGLES = 8  # of a direct sum, for the same reason

STRIPS = 32, 8  # into which a side of a small image, or of a large one, is cut to find rectangles

SMALL = 2**14  # entries of an image of which f is asked more often

LARGEST_FACTOR = 8  # of a reduction: what shows its kernel is 64 images at most


def recognise(f: LinearMap) -> str | None:
    """A sentence that names the operator of this library which does the same as f, or None.

    f is called at most six times, with one to four images; more show the units of a patch, if
    there are few patches, the kernel of a blur of which few pixels are kept, or rectangles.
    """
    if sentence := _one_structure(f):
        return sentence
    return _stacked(f) or _rectangles(f)


def _one_structure(f: LinearMap) -> str | None:
    guesses = [_pixels, _diagonal]
    if len(f.in_shape) == 3:
        guesses += [_kept_frequencies]
    if len(f.in_shape) == len(f.out_shape) == 3:
        guesses += [
            _frequencies,
            _patches,
            _circular,
            _decimated,
            _mirrored,
            _rows_and_columns,
            _zero_boundary,
        ]
    return next((sentence for guess in guesses if (sentence := guess(f))), None)


def _agrees(f: LinearMap, prediction: Tensor) -> bool:
    return bool((prediction - f.y).abs().max() <= f.rounding * f.y.abs().max())


def _pixels(f: LinearMap) -> str | None:
    """Every measurement is one pixel: the answer to 1, 2, ..., n lists which."""
    order = torch.arange(1.0, f.n + 1, dtype=torch.float64)
    number = f(order.reshape(1, *f.in_shape)).flatten()
    place = number.round().long() - 1
    if not bool(((place >= 0) & (place < f.n)).all()) or len(place.unique()) < f.m:
        return None
    if not _agrees(f, f.x.flatten(1)[:, place].reshape(f.y.shape)):
        return None
    if f.m == f.n and bool((place == order.long() - 1).all()):
        return f"It is the identity, Denoising({f.in_shape})."
    ordered = "" if bool((place.diff() > 0).all()) else "; there y lists them in row-major order"
    return f"Each measurement is one pixel: Inpainting(mask) keeps {f.m} of {f.n}{ordered}."


def _diagonal(f: LinearMap) -> str | None:
    """Every entry is multiplied by a weight, which any image without zeros shows."""
    if f.in_shape != f.out_shape or not f.y.any():
        return None
    if not _agrees(f, f.y[0] / f.x[0] * f.x):
        return None
    return (
        "It multiplies every entry by a weight: "
        f"Diagonal(f(torch.ones({(1, *f.in_shape)}, dtype=torch.float64))[0])."
    )


def _frequencies(f: LinearMap) -> str | None:
    """Every frequency of a complex image has a weight, which any random image shows."""
    if f.in_shape != f.out_shape or f.in_shape[0] != 2 or not f.y.any():
        return None
    for centred in (False, True):
        spectrum = FourierMask(torch.ones(f.in_shape[1:]), centred=centred)(f.x[:1])[0]
        weights = (f.y[0] * spectrum).sum(0) / (spectrum**2).sum(0)  # the real part of y / Fx
        if _agrees(f, FourierMask(weights, centred=centred)(f.x)):
            return (
                "It weighs the frequencies of a complex image, whose parts are the two channels: "
                f"FourierMask(mask{', centred=True' * centred}), where mask holds the weights."
            )
    return None


def _kept_frequencies(f: LinearMap) -> str | None:
    """Every measurement is one number of the spectrum of a complex image, times one scale."""
    if f.in_shape[0] != 2 or not f.y.any():
        return None
    for centred in (False, True):
        spectrum = FourierMask(torch.ones(f.in_shape[1:]), centred=centred)

        ones = torch.ones(1, *f.in_shape, dtype=torch.float64)
        scale = float(f(spectrum.adjoint(ones)).mean())
        if not scale:
            continue
        of_spectrum = partial(_of_spectrum, f, spectrum, scale)
        if _pixels(LinearMap(of_spectrum, f.in_shape, f.out_shape, name=f.name)):
            last = f"; y is {scale:.6g} times that" if abs(scale - 1) > f.rounding else ""
            return (
                "Each measurement is one number of the spectrum of a complex image, whose parts "
                "are the two channels: ChangeOfBasis(Inpainting(mask), F, F.adjoint) with "
                f"F = FourierMask(torch.ones({f.in_shape[1:]}){', centred=True' * centred}) keeps "
                f"{f.m} of {f.n}, in row-major order{last}. FourierMask(mask) leaves "
                "the others in place, as 0, if both parts of a frequency are kept or lost."
            )
    return None


def _of_spectrum(f: LinearMap, spectrum: FourierMask, scale: float, z: Tensor) -> Tensor:
    return f(spectrum.adjoint(z)) / scale


def _patches(f: LinearMap) -> str | None:
    """The same small matrix on every patch of the image; patches tile it."""
    (channels, height, width), (q, rows, columns) = f.in_shape, f.out_shape
    if height % rows or width % columns:
        return None
    h, w = height // rows, width // columns
    entries, patches = channels * h * w, rows * columns
    if entries > LARGEST_PATCH or patches == 1:
        return None
    # Every patch shows another unit: one image tells as many columns of K as it has patches.
    images = -(-entries // patches)
    units = torch.eye(images * patches, entries, dtype=torch.float64)
    units = units.reshape(images, rows, columns, channels, h, w).permute(0, 3, 1, 4, 2, 5)
    answers = f(units.reshape(images, *f.in_shape)).movedim(1, -1).reshape(-1, q)
    K = answers[:entries].T.reshape(q, channels, h, w)
    tiles = f.x.reshape(-1, channels, rows, h, columns, w)
    if not _agrees(f, torch.einsum("bcihjw,qchw->bqij", tiles, K)):
        return None
    alike = torch.einsum("qc,hw->qchw", torch.eye(q, channels).double(), K[0, 0])
    if q == channels and bool((K - alike).abs().max() <= f.rounding * K.abs().max()):
        if h == w and bool((K[0, 0] - 1 / h**2).abs().max() <= f.rounding):
            return f"Each measurement is the mean of a block: SuperResolution({f.in_shape}, {h})."
        return (
            "Each measurement is a weighted sum of one patch of one channel: "
            f"PatchFunctional({f.in_shape}, k) with k of shape (1, {h}, {w})."
        )
    if q == 1:
        return (
            "Each measurement is a weighted sum of one patch: "
            f"PatchFunctional({f.in_shape}, k) with k of shape {(channels, h, w)}."
        )
    return (
        "The same matrix acts on every patch: "
        f"BlockOperator(K, {f.in_shape}, patch={(channels, h, w)}) with K of shape {(q, entries)}."
    )


def _circular(f: LinearMap) -> str | None:
    """A convolution of the periodic image: the answer to a unit image shifts along with it."""
    if not _is_convolution(f, padding=1):
        return None
    _, height, width = f.in_shape
    centre = ((height - 1) // 2, (width - 1) // 2)
    return (
        "It shifts along with the image, periodically: "
        f"CircularBlur({f.in_shape}, torch.roll(f(unit)[0, 0], {centre}, (0, 1))), where unit is "
        "the image with a single 1 at unit[0, 0, 0, 0]."
    )


def _mirrored(f: LinearMap) -> str | None:
    """A weight for each cosine, alike in all channels: a symmetric blur of the mirrored image."""
    if f.in_shape != f.out_shape or not f.y.any():
        return None
    cosines = SymmetricBlur(f.in_shape, [[1.0]])
    seen, spectrum = cosines.Vt(f.y), cosines.Vt(f.x)
    weights = (seen * spectrum).sum((0, 1)) / spectrum.square().sum((0, 1))
    if not _agrees(f, cosines.V(weights * spectrum)):
        return None
    return (
        "It is a blur of the mirrored image by a kernel that is symmetric along both axes: "
        f"SymmetricBlur({f.in_shape}, kernel)."
    )


def _decimated(f: LinearMap) -> str | None:
    """A periodic blur, then every r-th pixel: r^2 unit images show the whole kernel."""
    (channels, height, width), (out_channels, rows, columns) = f.in_shape, f.out_shape
    r = height // rows
    if channels != out_channels or (r * rows, r * columns) != (height, width):
        return None
    if not 1 < r <= LARGEST_FACTOR:
        return None
    units = torch.zeros(-(-r * r // channels) * channels, height, width, dtype=torch.float64)
    for i in range(r * r):  # each channel shows another one
        units[i, -(i // r) % height, -(i % r) % width] = 1.0
    answers = f(units.reshape(-1, *f.in_shape)).reshape(-1, rows, columns)[: r * r]
    response = answers.reshape(r, r, rows, columns).permute(2, 0, 3, 1).reshape(height, width)
    spectrum = torch.fft.rfft2(f.x) * torch.fft.rfft2(response)
    if not _agrees(f, torch.fft.irfft2(spectrum, s=(height, width))[..., ::r, ::r]):
        return None
    return (
        f"It is a periodic blur of which every {_ordinal(r)} pixel is kept: "
        f"BlurDecimation({f.in_shape}, kernel, {r})."
    )


def _ordinal(r: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(r, f"{r}th")


def _rows_and_columns(f: LinearMap) -> str | None:
    r"""A product :math:`AXB^\top`: it maps :math:`uv^\top` to :math:`(Au)(Bv)^\top`, of rank one.

    With two u and two v the four answers are the blocks of a matrix that is of rank one as well.
    """
    (channels, height, width), (out_channels, rows, columns) = f.in_shape, f.out_shape
    if channels != out_channels:
        return None
    u, v = normal_images((height, 1), 2, seed=2), normal_images((1, width), 2, seed=3)
    weights = 1.0 + torch.arange(channels).double()[:, None, None]
    pairs = torch.stack([u[i] @ v[j] for i in range(2) for j in range(2)])
    answers = f(weights * pairs[:, None]) / weights
    if (answers - answers[:, :1]).abs().max() > f.rounding * answers.abs().max():
        return None
    blocks = answers[:, 0].reshape(2, 2, rows, columns).transpose(1, 2)
    s = torch.linalg.svdvals(blocks.reshape(2 * rows, 2 * columns))
    if s[1] > f.rounding * s[0]:
        return None
    return (
        f"It acts on rows and columns separately: Kronecker(A, B, channels={channels}) with "
        "f(u v^T) = (A u)(B v)^T; a blur is SeparableBlur, with border='zero', which is mid-grey "
        "on [-1, 1], 'mirror' or 'replicate', a reduced picture BicubicSuperResolution."
    )


def _zero_boundary(f: LinearMap) -> str | None:
    """A convolution with 0 beyond the border, of a kernel that is no product."""
    if not _is_convolution(f, padding=2):
        return None
    return (
        "It is a blur with 0, which is mid-grey on [-1, 1], beyond the border, whose kernel is no "
        "product of a column and a row, so that it has no fast exact SVD: "
        f"CircularBlur({f.in_shape}, kernel) differs from it near the border only, and "
        "restore(LinearMap(f, in_shape), method='diffpir') needs none."
    )


def _stacked(f: LinearMap) -> str | None:
    """Several measurements, each as large as the image: pixels, or frequencies, or pixels alike."""
    count, rest = divmod(f.m, f.n)
    if rest or not 1 < count <= MOST_PARTS:
        return None
    parts = [LinearMap(partial(_part, f, i), f.in_shape, name=f.name) for i in range(count)]
    is_image = len(f.in_shape) == 3
    for guesses in ((_pixels, _diagonal), (_identity, _frequencies), (_identity, _circular)):
        if not is_image and _identity in guesses:
            continue
        found = [next((s for guess in guesses if (s := guess(part))), None) for part in parts]
        sentences = [f"({i + 1}) {sentence}" for i, sentence in enumerate(found) if sentence]
        if len(sentences) == count:
            return (
                f"It is {count} measurements of one picture, one after the other, which is "
                f"Stacked(parts), with parts: {' '.join(sentences)}"
            )
    return None


def _part(f: LinearMap, i: int, x: Tensor) -> Tensor:
    return f(x).flatten(1)[:, i * f.n : (i + 1) * f.n].reshape(-1, *f.in_shape)


class _Box(NamedTuple):
    """Rows and columns of the image."""

    top: int
    bottom: int
    left: int
    right: int


def _rectangles(f: LinearMap) -> str | None:
    """Rectangles that are measured by operators of their own: cuts that no measurement crosses.

    They are looked for at multiples of 1/32 of a side, of large images of 1/8.
    """
    if len(f.in_shape) != 3 or not f.y.any():
        return None
    _, height, width = f.in_shape
    # What is not cut is told by four images: of the first column and the last one, and of the rows.
    ends = torch.zeros(4, *f.in_shape, dtype=torch.float64)
    ends[0, ..., 0], ends[1, ..., -1] = f.x[0, ..., 0], f.x[0, ..., -1]
    ends[2, :, 0], ends[3, :, -1] = f.x[0, :, 0], f.x[0, :, -1]
    seen = _sees(f, ends)
    for axis in (2, 1):
        first, last = seen[4 - 2 * axis], seen[5 - 2 * axis]
        if (first & last).any():
            continue
        parts = _parts(f, _Box(0, height, 0, width), axis, others=True)
        if parts and 1 < len(parts) <= MOST_RECTANGLES:
            listed = " ".join(
                f"({i + 1}) rows {box.top} to {box.bottom - 1}, columns {box.left} to "
                f"{box.right - 1}: {sentence}"
                for i, (box, sentence) in enumerate(parts)
            )
            corners = ", ".join(
                f"(op{i + 1}, {box.top}, {box.left})" for i, (box, _) in enumerate(parts)
            )
            return (
                f"It measures {len(parts)} rectangles, each in a way of its own, which is "
                f"DirectSum({f.in_shape}, [{corners}]), whose y lists them one after the other; "
                f"with {listed}"
            )
    return None


def _sees(f: LinearMap, images: Tensor) -> Tensor:
    """Which measurements (images, m) are not 0."""
    return f(images).flatten(1).abs() > f.rounding * f.y.abs().max()


def _parts(f: LinearMap, box: _Box, axis: int, *, others: bool) -> list[tuple[_Box, str]] | None:
    """Recognised rectangles of which ``box`` consists, side by side along an axis of the image."""
    found: list[tuple[_Box, str]] = []
    segments = _segments(f, box, axis)
    if len(segments) == 1:
        return None
    for run in _runs(segments):
        if sentence := _of_box(f, _along(box, axis, run[0][0], run[-1][1])):
            found.append((_along(box, axis, run[0][0], run[-1][1]), sentence))
            continue
        whole = _along(box, axis, run[0][0], run[-1][1])
        if others and (within := _parts(f, whole, 3 - axis, others=False)):
            found += within
            continue
        while run:  # segments of one width, but of several structures: the longest of each
            fits = [0, len(run) + 1]
            while fits[1] - fits[0] > 1:
                count = sum(fits) // 2
                known = _of_box(f, _along(box, axis, run[0][0], run[count - 1][1]))
                fits[0 if known else 1] = count
            part = _along(box, axis, run[0][0], run[max(fits[0], 1) - 1][1])
            if not fits[0] or len(found) == MOST_RECTANGLES:
                return None
            found.append((part, _of_box(f, part) or ""))
            run = run[fits[0] :]
    return found


def _along(box: _Box, axis: int, start: int, stop: int) -> _Box:
    if axis == 2:
        return box._replace(left=start, right=stop)
    return box._replace(top=start, bottom=stop)


def _segments(f: LinearMap, box: _Box, axis: int) -> list[tuple[int, int]]:
    """The narrowest pieces along an axis between which no measurement looks over the border."""
    begin, end = (box.left, box.right) if axis == 2 else (box.top, box.bottom)
    width = -(-(end - begin) // STRIPS[f.n > SMALL])
    starts = list(range(begin, end, width))
    images = torch.zeros(len(starts), *f.in_shape, dtype=torch.float64)
    for image, start in zip(images, starts, strict=True):
        strip = _along(box, axis, start, min(start + width, end))
        region = (slice(None), slice(strip.top, strip.bottom), slice(strip.left, strip.right))
        image[region] = f.x[0][region]
    seen = torch.cat([_sees(f, some) for some in images.split(4)])
    before, after = seen.cumsum(0) > 0, seen.flip(0).cumsum(0).flip(0) > 0
    cuts = [
        start
        for i, start in enumerate(starts)
        if not i or not bool((before[i - 1] & after[i]).any())
    ]
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _runs(segments: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Neighbours of one width, which are one structure as a rule."""
    run: list[tuple[int, int]] = []
    for segment in segments:
        if run and segment[1] - segment[0] != run[0][1] - run[0][0]:
            yield run
            run = []
        run.append(segment)
    yield run


def _of_box(f: LinearMap, box: _Box) -> str | None:
    """What f does to one rectangle, which no measurement shares with others."""
    channels, height, width = f.in_shape[0], box.bottom - box.top, box.right - box.left
    shape, rows, columns = (channels, height, width), slice(*box[:2]), slice(*box[2:])
    image = torch.zeros(1, *f.in_shape, dtype=torch.float64)
    image[..., rows, columns] = f.x[:1, ..., rows, columns]
    place = _sees(f, image)[0]
    if not place.any():
        return None

    def measured(x: Tensor, place: Tensor) -> Tensor:
        whole = x.new_zeros(len(x), *f.in_shape)
        whole[..., rows, columns] = x
        return f(whole).flatten(1)[:, place]

    for places, out_shape in _shapes(f, place, shape):
        part = LinearMap(partial(measured, place=places), shape, out_shape, name=f.name)
        if sentence := _one_structure(part):
            return sentence
    return None


def _shapes(
    f: LinearMap, place: Tensor, shape: tuple[int, int, int]
) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Which measurements a rectangle has, and the shapes that they may form."""
    if len(f.out_shape) == 3:  # a rectangle of y, of which some may be 0
        whole = place.reshape(f.out_shape).any(0)
        rows, columns = whole.any(1).nonzero().flatten(), whole.any(0).nonzero().flatten()
        block = torch.zeros(f.out_shape, dtype=torch.bool)
        block[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        sides = (len(block), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
        yield block.flatten(), sides
        return
    count, (channels, height, width) = int(place.sum()), shape
    yield place, (count,)
    for r in range(1, LARGEST_FACTOR + 1):
        if height % r == width % r == 0 and count % (height * width // r**2) == 0:
            planes = count // (height * width // r**2)
            if planes <= channels * r * r:
                yield place, (planes, height // r, width // r)


def _identity(f: LinearMap) -> str | None:
    return f"Denoising({f.in_shape})." if _agrees(f, f.x) else None


def _is_convolution(f: LinearMap, padding: int) -> bool:
    """Whether f is one of the periodic images that are so many times as high and wide."""
    if f.in_shape != f.out_shape:
        return False
    _, height, width = f.in_shape
    i, j, size = height // 2, width // 2, (padding * height, padding * width)
    unit = torch.zeros(1, *f.in_shape, dtype=torch.float64)
    unit[0, 0, i, j] = 1.0
    spectrum = torch.fft.rfft2(f.x, s=size) * torch.fft.rfft2(f(unit)[:, :1], s=size)
    whole = torch.fft.irfft2(spectrum, s=size).roll((-i, -j), (-2, -1))
    return _agrees(f, whole[..., :height, :width])

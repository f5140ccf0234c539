"""``ddrm-edu restore``: from a measured file, or a folder of them, to restored files."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ddrm_edu

from . import files
from .denoisers import Tiled
from .files import Picture
from .noise import standard_normal
from .operators import Denoising, LinearMap, SVDOperator
from .operators.transforms import _largest_crop
from .restoration import METHODS
from .scale import from_symmetric, to_symmetric
from .tasks import Task, color_weights, of_grey

Say = Callable[[str], None]
UNTILED = (
    1024**2
)  # pixels of a picture that a network sees as a whole, unless --tile says otherwise
TILE = 512
NETWORK_BYTES = 300  # per pixel of a tile, measured with the shipped networks: 270 to 306
RUN_BYTES = 58, 90, 140
"""Per number of x, if V = I, if not, and with a change of colours: measured on 1.5 megapixels."""
FIGURE_BYTES = 80
"""Per number of x, more for a figure."""
LATE_BYTES = 2**27
"""Libraries that are imported when the picture is scored or written, and what they compute with."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How ``ddrm-edu restore`` runs, in the words of the command line."""

    task: Task
    sigma_y: str | None = None
    value_range: str | None = None
    degrade: bool = False
    missing: float = 0.5
    size: int | None = None
    model: str = "natural"
    method: str = "ddrm"
    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0
    seed: int = 0
    device: str = "cpu"
    tile: int | None = None
    force: bool = False
    figure: Path | None = None
    given: frozenset[str] = frozenset()
    """The options that somebody gave."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What one file asks: H, y and sigma_y on [-1, 1], and how the answer becomes a file.

    ``op`` acts on what the network sees, ``seen`` on what the file holds, which differs where a
    grey file is restored by a network of colours; ``y`` is the same, in the shapes of both.
    """

    like: Picture
    op: SVDOperator | LinearMap
    seen: SVDOperator | LinearMap
    y: Tensor
    sigma_y: float | Tensor
    truth: Tensor | None = None
    weights: tuple[float, ...] | None = None
    alpha: np.ndarray | None = None


def restore_files(source: Path, out: Path | None, options: Options, say: Say) -> None:
    """Restore one file, or every picture file of a folder.

    Raises
    ------
    ValueError
        In one sentence, for whatever cannot be done; before the run, if it can be known before.
        For a folder at its end, with the number of files that could not be restored.
    """
    options.task.check(options.given, degrade=options.degrade)
    if path := noise_map(options.sigma_y):
        files.read_noise(path)
    noise_level(options.sigma_y)
    range_of(options.value_range)
    device_of(options.device)
    if source.is_dir():
        _restore_folder(source, out, options, say)
        return
    default = source.with_name(f"{source.stem}-{_short(options.task)}{_lossless(source)}")
    out = out or default
    files.kind_of_new(out, force=options.force)
    _require_another_file(source, out)
    if options.figure:
        from .pictures import format_of_new

        format_of_new(options.figure, force=options.force)
    restore_file(source, out, options, _loaded_once(options, say), say, progress=True)


def _restore_folder(source: Path, out: Path | None, options: Options, say: Say) -> None:
    """One file after the other; what cannot be restored is told, and the others go on."""
    from tqdm.auto import tqdm

    if options.figure:
        raise ValueError("--figure draws one picture, but a folder was given. Leave it out.")
    sources = sorted(
        path for path in source.iterdir() if path.suffix.lower() in files.READ_SUFFIXES
    )
    if not sources:
        raise ValueError(f"There is no {files.READ} file in the folder {source}.")
    out = out or source.with_name(f"{source.name}-{_short(options.task)}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out expects a folder, as {source} is one, but {out} is a file.")
    out.mkdir(exist_ok=True)
    names = [out / f"{path.stem}{_lossless(path)}" for path in sources]
    if twice := {path.name for path in names if names.count(path) > 1}:
        raise ValueError(
            f"Files of {source} would be written to one name, {', '.join(sorted(twice))}. Rename "
            "one of each."
        )
    for path, name in zip(sources, names, strict=True):
        files.kind_of_new(name, force=options.force)
        _require_another_file(path, name)
    denoiser, failed, started = _loaded_once(options, tqdm.write), [], time.monotonic()
    for path, name in zip(tqdm(sources, desc="files", unit="file"), names, strict=True):
        lines: list[str] = []
        try:
            restore_file(path, name, options, denoiser, lines.append, progress=False)
            said = next(line for line in lines if line.startswith("|H x"))
            tqdm.write(f"{path.name}: {said}")
        except (ValueError, OSError) as error:
            failed.append(path.name)
            tqdm.write(f"{path.name}: {' '.join(str(error).split())}")
    done = len(sources) - len(failed)
    say(f"{done} of {len(sources)} files in {time.monotonic() - started:.0f} s, in {out}")
    if failed:
        raise ValueError(f"{len(failed)} could not be restored: {', '.join(failed)}.")


def restore_file(
    source: Path,
    out: Path,
    options: Options,
    load: Callable[[], Any],
    say: Say,
    *,
    progress: bool,
) -> None:
    """Read, restore and write one file; ``load`` gives the denoiser when all else is known."""
    kind = files.kind_of_new(out, force=options.force)
    generator = torch.Generator().manual_seed(options.seed)
    problem, denoiser = _problem(source, options, load, generator, say)
    files.require_writer(out, problem.like, 1 if problem.weights else problem.op.in_shape[0])
    height, width = problem.op.in_shape[1:]
    tile = options.tile or (TILE if height * width > UNTILED else None)
    if tile:
        denoiser = Tiled(denoiser, tile, max(1, tile // 8))
    say(_estimate(denoiser, problem.op, options, tile))
    settings: dict[str, Any] = {"eta": options.eta, "eta_b": options.eta_b}
    if options.method != "ddrm":
        given = {name: value for name, value in settings.items() if name in options.given}
        settings = {"method": options.method, **given}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x = ddrm_edu.restore(
            denoiser,
            problem.op,
            problem.y.to(options.device),
            sigma_y=problem.sigma_y,
            steps=options.steps,
            generator=generator,
            progress=progress,
            **settings,
        ).cpu()
    for warning in told:
        say(f"warning: {' '.join(str(warning.message).split())}")
    _finish(x, out, kind, problem, options, say)


def _finish(x: Tensor, out: Path, kind: str, problem: Problem, options: Options, say: Say) -> None:
    """Scores, the file, and the figure."""
    like, y = problem.like, problem.y.reshape(1, *problem.seen.out_shape)
    by = "DDRM" if options.method == "ddrm" else options.method
    if problem.weights:  # back to grey
        x = torch.einsum("c,bchw->bhw", torch.tensor(problem.weights).to(x), x)[:, None]
    if problem.truth is not None:
        if isinstance(problem.seen, SVDOperator):
            say(f"{'pseudo-inverse':<16}{_scores(problem.seen.pinv(y), problem.truth)}")
        say(f"{by:<16}{_scores(x, problem.truth)}")
    values = from_symmetric(x[0], low=like.low, high=like.high).numpy()  # exact to 16 bits
    numbers, low, high = files.as_stored(values, like, kind)
    written = to_symmetric(torch.from_numpy(numbers.astype(np.float32)), low=low, high=high)
    ideal, rounded = (float((problem.seen(a) - y).norm() / y.norm()) for a in (x, written[None]))
    say(
        f"|H x - y| / |y| = {ideal:.1e}  ({rounded:.1e} as {numbers.dtype} in the file; "
        f"noise in y: sigma_y = {_size_of(problem.sigma_y)})"
    )
    alpha = _enlarged(problem.alpha, numbers.shape[1:], say)
    if like.profile and not files.fitting_profile(like, len(numbers)):
        say("the colour profile is left out: it is one of another number of channels")
    files.write_picture(out, numbers, like, alpha=alpha, force=options.force)
    say(f"wrote {out}")
    if options.figure:
        from .pictures import restoration_grid, write_new

        start, shown = problem.seen.adjoint(y), y  # type: ignore[misc] # it has an adjoint
        if isinstance(problem.seen, SVDOperator):
            start, lost = problem.seen.pinv(y), problem.seen.s == 0
            if problem.seen.pixel_basis and lost.any():
                shown = start.masked_fill(lost, float("nan"))
        if shown.ndim != 4 or shown.shape[1] not in (1, 3):
            shown = start
        columns = {"measurement": [shown[0]], by: [x[0]]}
        captions = {}
        if problem.truth is not None:
            columns = {"truth": [problem.truth[0]], **columns}
            captions = {by: [_scores(x, problem.truth).replace("  ", "\n")]}
        figure = restoration_grid(columns, [_short(options.task)], captions)
        write_new(options.figure, figure, force=options.force)
        say(f"wrote {options.figure}")


# ------------------------------------------------------------------------------- from a file to y


def _problem(
    source: Path,
    options: Options,
    load: Callable[[], Any],
    generator: torch.Generator,
    say: Say,
) -> tuple[Problem, Any]:
    task, given = options.task, range_of(options.value_range)
    if task.any_shape and not options.degrade:
        like, op, y = _array(source, task, given)
        say(f"{source.name}: an array of shape {tuple(y.shape[1:])}, taken as the measurement y")
        picture = None
    else:
        picture = files.read_picture(source, given)
        role = "a clean picture" if options.degrade else "taken as the measurement y"
        say(f"{source.name}: {picture}; {role}")
        for note in picture.notes:
            say(f"{source.name}: {note}")
        like = picture
    mask = _mask(task, like, options)

    denoiser = load()
    channels = getattr(denoiser, "in_channels", None) or len(like.pixels)
    weights, truth, alpha = None, None, like.alpha
    if picture is None:
        seen, noise = op, _noise(options, like, y, op, say)
        y = to_symmetric(y, seen, low=like.low, high=like.high)
    else:
        if options.degrade:
            picture, alpha = _degradable(picture, options, channels, say)
        pixels = torch.from_numpy(picture.pixels.astype(np.float32))[None]
        shape, kept = _shape_of_x(task, tuple(pixels.shape[1:]), channels, options), None
        if task.name == "inpaint":
            kept = mask if mask is not None else _random(shape, options, generator)
            _require_mask_of(kept, shape)
        seen = task.operator(shape, kept)
        if options.degrade:
            truth = to_symmetric(pixels, low=like.low, high=like.high)
            del pixels
            y = seen(truth)
            noise = _noise(options, like, None, seen, say)
            y = y + noise_in(noise, y) * standard_normal(y, generator)
        else:
            y = _measured(task, pixels, seen)
            y = to_symmetric(y, seen, low=like.low, high=like.high)
            noise = _noise(options, like, y, seen, say)
    op = seen
    if seen.in_shape[0] == 1 and channels == 3 and isinstance(seen, SVDOperator):
        weights = color_weights(task.weights, 3)
        weights = tuple(weight / sum(weights) for weight in weights)
        say(f"a grey picture and a network of colours: grey is {_sum(weights)}")
        grey = isinstance(seen, Denoising)
        whole = (channels, *seen.in_shape[1:])
        op = ddrm_edu.Colorization(whole, weights) if grey else of_grey(seen, weights)
    elif seen.in_shape[0] != channels:
        raise ValueError(
            f"The network {options.model!r} takes pictures of {channels} channel(s), but "
            f"{seen.in_shape[0]} are to be restored in {source.name}. Take another --model, or "
            "convert the file."
        )
    say(f"H: {seen!r}")
    problem = Problem(
        like=like,
        op=op,
        seen=seen,
        y=y.reshape(len(y), *op.out_shape),
        sigma_y=noise.reshape(1, *op.out_shape) if isinstance(noise, Tensor) else noise,
        truth=truth,
        weights=weights,
        alpha=alpha,
    )
    return problem, denoiser


def _array(
    source: Path, task: Task, given: tuple[float, float] | None
) -> tuple[Picture, Any, Tensor]:
    """The measurement of a compressed sensing or an own H: an array, or a picture of its shape."""
    numbers, like = None, None
    if source.suffix.lower() == ".npy":
        numbers = files.read_numbers(source)
    else:
        like = files.read_picture(source, given)
        numbers = like.pixels
    if task.own:
        op = task.operator((1, 1, 1))
    else:
        from .operators.convert import shape_of

        shape = shape_of(task.in_shape)
        if shape is None or len(shape) != 3:
            raise ValueError(
                "--task compressed-sensing needs the shape of the picture, --in-shape C,H,W, "
                f"because y does not tell it, but it was {task.in_shape!r}."
            )
        n = math.prod(shape)
        whole = Task(**{**vars(task), "share": numbers.size / n})
        if not 1 <= numbers.size <= n:
            raise ValueError(f"y has {numbers.size} numbers, but a picture {shape} only {n}.")
        op = whole.operator(shape)
    shape = numbers.shape
    if shape == (1, *op.out_shape):
        numbers = numbers[0]
    elif numbers.ndim == 3 and (shape[-1], *shape[:-1]) == op.out_shape:
        numbers = np.moveaxis(numbers, -1, 0)
    elif numbers.size == op.m and numbers.ndim != len(op.out_shape):
        numbers = numbers.reshape(op.out_shape)  # a list of the right length
    if numbers.shape != op.out_shape:
        raise ValueError(
            f"y must have the shape {op.out_shape} of a measurement by {op!r}, but {source.name} "
            f"has {shape}."
        )
    if like is None:
        kind = numbers.dtype.kind
        if given is None and kind != "f" and numbers.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"{source.name} holds {numbers.dtype}. Say what is black and white in the picture "
                "that was measured: --range 0,4095."
            )
        top = 1.0 if kind == "f" else float(np.iinfo(numbers.dtype).max)
        low, high = given or (0.0, top)
        pixels = np.zeros(op.in_shape, numbers.dtype)
        like = Picture(pixels, low, high, channels_first=True)
    y = torch.from_numpy(np.array(numbers, dtype=np.float32))[None]
    return like, op, y


def _measured(task: Task, pixels: Tensor, op: SVDOperator) -> Tensor:
    """The picture as y: of a mask, the pixels that were measured."""
    if task.name in ("inpaint", "demosaic"):
        return pixels.expand(-1, *op.in_shape)[:, op.s > 0]
    return pixels


def _shape_of_x(
    task: Task, shape: tuple[int, ...], channels: int, options: Options
) -> tuple[int, int, int]:
    """(c, h, w) of what is restored, from that of the file."""
    c, height, width = shape
    if options.degrade:
        return c, height, width
    if task.name in ("colorize", "demosaic"):
        if c != 1:
            raise ValueError(
                f"--task {task.name} takes a grey file, one number for each pixel, but this one is "
                "in colour. --degrade makes such a measurement of it."
            )
        return channels, height, width
    factor = task.factor if task.name == "superres" else 1
    return c, height * factor, width * factor


def _degradable(
    picture: Picture, options: Options, channels: int, say: Say
) -> tuple[Picture, np.ndarray | None]:
    """The clean picture cropped or reduced to what H takes, its alpha, and a line that says so."""
    task, pixels, alpha = options.task, picture.pixels, picture.alpha
    height, width = pixels.shape[1:]
    done = []
    if len(pixels) == 3 and channels == 1:
        weights = np.array(color_weights("rec601", 3))
        pixels = np.einsum("c,chw->hw", weights, pixels.astype(np.float64))[None]
        pixels = files.as_stored(pixels, picture, "NPY")[0]
        done.append("colours were made grey by Rec. 601")
    if options.size is not None:
        side = min(height, width)
        if not 1 <= options.size <= side:
            raise ValueError(
                f"--size {options.size} is larger than the picture ({side} pixels on its short "
                "side)."
                if options.size > side
                else "--size must be positive."
            )
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[:, top : top + side, left : left + side]
        small = [_resized(plane, (options.size, options.size)) for plane in square]
        pixels = files.as_stored(np.clip(small, picture.low, picture.high), picture, "NPY")[0]
        alpha = None
        done.append(f"the centre of {side} x {side} was reduced to {options.size} x {options.size}")
    height, width = pixels.shape[1:]
    new = height, width
    if task.name == "superres":
        new = height - height % task.factor, width - width % task.factor
    elif task.name == "compressed-sensing":
        crop = _largest_crop(pixels.shape)
        new = crop[1:] if crop else new
    if 0 in new:
        raise ValueError(
            f"The picture of {width} x {height} has no room for --factor {task.factor}."
        )
    if new != (height, width):
        pixels, alpha = (
            pixels[:, : new[0], : new[1]],
            None if alpha is None else alpha[: new[0], : new[1]],
        )
        done.append(f"cropped from {width} x {height} to {new[1]} x {new[0]}")
    if picture.alpha is not None and alpha is None:
        done.append("alpha was left out")
    if done:
        say(f"--degrade: {'; '.join(done)}")
    return files.replaced(picture, pixels=np.ascontiguousarray(pixels)), alpha


def _resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _enlarged(alpha: np.ndarray | None, size: tuple[int, ...], say: Say) -> np.ndarray | None:
    """The alpha channel at the size of the restored picture, by bilinear interpolation."""
    if alpha is None or alpha.shape == size:
        return alpha
    say(f"alpha was enlarged to {size[1]} x {size[0]} by bilinear interpolation")
    image = Image.fromarray(alpha.astype(np.float32))
    large = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(large, dtype=np.float64).clip(0, 1)


def _mask(task: Task, like: Picture, options: Options) -> Tensor | None:
    """The pixels (h, w) that --mask shows as white, if it is asked for."""
    if task.name != "inpaint":
        return None
    if task.mask is None:
        if not options.degrade:
            raise ValueError(
                "--task inpaint needs --mask, a picture that is white where the file was measured "
                "and black where it was lost. --degrade --missing 0.5 loses pixels at random."
            )
        return None
    mask = files.read_picture(task.mask)
    grey = mask.pixels.mean(0, dtype=np.float64)
    return torch.from_numpy(grey > (mask.low + mask.high) / 2)


def _require_mask_of(kept: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(kept.shape) != tuple(shape[1:]):
        raise ValueError(
            f"The mask is {kept.shape[1]} x {kept.shape[0]} pixels, but the picture {shape[2]} x "
            f"{shape[1]}. Save the mask at the size of the picture."
        )


def _random(shape: tuple[int, ...], options: Options, generator: torch.Generator) -> Tensor:
    if not 0 <= options.missing < 1:
        raise ValueError(f"--missing must lie in [0, 1), but was {options.missing:g}.")
    return torch.rand(shape[1:], generator=generator, dtype=torch.float64) >= options.missing


# ------------------------------------------------------------------------------------ understanding


def noise_map(text: str | None) -> Path | None:
    """The file that --sigma-y names, a map of the noise, or None if it is no name of one."""
    path = Path(text or "")
    if path.suffix.lower() not in (".npy", ".tif", ".tiff"):
        return None
    if not path.is_file():
        raise ValueError(f"--sigma-y names a map of the noise, but there is no file {text!r}.")
    return path


def noise_level(text: str | None) -> float | None:
    """``0.1`` on [-1, 1]; ``20/255`` and ``5%`` of the range of the file, which is 2 long there."""
    if text is None or noise_map(text):
        return None
    number, percent, rest = text.strip().partition("%")
    share, slash, of = number.partition("/")
    try:
        level = float(share)
        if slash:
            level = 2 * level / float(of)
        if percent:
            level = 2 * level / 100
    except (ValueError, ZeroDivisionError):
        level = math.nan
    if not 0 <= level < math.inf or rest or (percent and slash):
        raise ValueError(
            "--sigma-y is the standard deviation of the noise, finite and at least 0: a number on "
            "the scale [-1, 1], such as 0.1, a part of the range of the file, such as 20/255 or "
            f"5%, or a map of it, a file NPY or TIFF; but it was {text!r}."
        )
    return level


def _noise(
    options: Options, like: Picture, y: Tensor | None, op: SVDOperator | LinearMap, say: Say
) -> float | Tensor:
    """sigma_y on [-1, 1]: as given, estimated, or the rounding of the file; it is said which."""
    if path := noise_map(options.sigma_y):
        return _mapped(path, options, like, op, say)
    level, task = noise_level(options.sigma_y), options.task
    if level is not None:
        own = level / 2 * (like.high - like.low)
        if options.sigma_y and set("/%") & set(options.sigma_y):
            say(f"sigma_y: {options.sigma_y} = {level:.3g} on [-1, 1]")
        else:
            say(f"sigma_y: {level:.3g} on [-1, 1], {own:.3g} in the units of the file")
        return level
    if task.name == "denoise":
        level = 0.25 if y is None else estimated_noise(y[0])
        how = "of --degrade" if y is None else "estimated by scikit-image's estimate_sigma"
        say(f"sigma_y was not given: {level:.3g} on [-1, 1], {how}")
        return level
    dtype = like.pixels.dtype
    if options.degrade or dtype.kind == "f" or not (task.any_shape or task.name == "deblur"):
        why = "no noise is added" if options.degrade else "the file counts as exact"
        say(f"sigma_y was not given: 0, {why}")
        return 0.0
    level = 2 / (like.high - like.low) / math.sqrt(12)
    say(f"sigma_y was not given: {level:.2g} on [-1, 1], the rounding of the file to integers")
    return level


def _mapped(
    path: Path, options: Options, like: Picture, op: SVDOperator | LinearMap, say: Say
) -> Tensor:
    """A map of the noise in the units of the file, as one of y on [-1, 1].

    Its shape is that of the file which is or would be measured, or of y.
    """
    sigma, task = torch.from_numpy(files.read_noise(path)), options.task
    masked = task.name in ("inpaint", "demosaic")
    whole = (1 if task.name == "demosaic" else op.in_shape[0], *op.in_shape[1:])
    due = whole if masked else op.out_shape
    last = sigma.movedim(-1, 0) if sigma.ndim == 3 else sigma
    shapes = (due, (1, *due[1:]), due[1:]) if len(due) == 3 else (due,)
    fits = next((a for a in (sigma, last) if tuple(a.shape) in shapes), None)
    if fits is None:
        raise ValueError(
            f"The map of the noise must have the shape of the measurement, {due}"
            f"{f' or {due[1:]}' if len(due) == 3 else ''}, but {path.name} has "
            f"{tuple(sigma.shape)}. It is laid out as the picture is shown, rows first."
        )
    known = fits[fits.isfinite()]
    factor = 2 / (like.high - like.low)
    lost = "" if len(known) == fits.numel() else f", infinite in {fits.numel() - len(known)} places"
    say(
        f"sigma_y: {path.name}, from {known.min():.3g} to {known.max():.3g} in the units of the "
        f"file = {factor * known.min():.3g} to {factor * known.max():.3g} on [-1, 1]{lost}"
    )
    sigma = (factor * fits).expand(due)
    if masked and isinstance(op, SVDOperator):
        sigma = sigma.expand(op.in_shape)[op.spectrum() > 0]
    return sigma.reshape(1, *op.out_shape)


def noise_in(sigma_y: float | Tensor, like: Tensor) -> float | Tensor:
    """sigma_y to draw noise with: 0 where nothing is measured, which no noise changes."""
    return sigma_y.nan_to_num(posinf=0.0).to(like) if isinstance(sigma_y, Tensor) else sigma_y


def estimated_noise(image: Tensor) -> float:
    """The noise of an image (c, h, w) by scikit-image: wavelets of the finest scale, median.

    Raises
    ------
    ValueError
        Without the package PyWavelets, or for an image that is too small.
    """
    from skimage.restoration import estimate_sigma

    try:
        sigma = estimate_sigma(image.double().numpy(), channel_axis=0, average_sigmas=True)
    except ImportError as error:
        raise ValueError(
            "--sigma-y was not given, and to estimate it the package PyWavelets is needed: "
            "pip install 'ddrm-edu[files]', or give --sigma-y."
        ) from error
    if not math.isfinite(sigma):
        raise ValueError(
            f"The noise of {tuple(image.shape[1:])} pixels cannot be estimated. Give --sigma-y."
        )
    return float(sigma)


def range_of(text: str | None) -> tuple[float, float] | None:
    """``0,255`` as (0.0, 255.0), black and white; and nothing as nothing."""
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            f"--range is black and white in the numbers of the file, such as 0,255 or -1,1, but "
            f"was {text!r}."
        )
    return low, high


def device_of(text: str) -> torch.device:
    """A device that is there; else ``ValueError``."""
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split()).partition(".")[0]
        raise ValueError(
            f"--device {text} cannot be used here: {reason}. Leave it out, to run on the CPU."
        ) from error
    return device


def _estimate(
    denoiser: Any, op: SVDOperator | LinearMap, options: Options, tile: int | None
) -> str:
    """Time and memory of the run, from one evaluation of a small part; too much is refused."""
    channels, height, width = op.in_shape
    part = torch.zeros(1, channels, min(height, 128), min(width, 128), device=options.device)
    level = torch.tensor(1.0, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(2):  # the first call is slower
            started = time.monotonic()
            denoiser(part, level).sum().item()
    pixels = height * width
    seconds = (time.monotonic() - started) * pixels / part[0, 0].numel() * options.steps
    at_once = min(pixels, tile * tile) if tile else pixels
    kind = 2 if isinstance(op, ddrm_edu.ChangeOfBasis) else 1
    if getattr(op, "pixel_basis", False):
        kind = 0
    of_x = RUN_BYTES[kind] + (FIGURE_BYTES if options.figure else 0)
    needed = NETWORK_BYTES * at_once + of_x * op.n + LATE_BYTES
    free = _free_memory(options.device)
    if needed > free:
        raise ValueError(
            f"The run needs about {needed / 2**30:.2g} GiB more, but {free / 2**30:.2g} GiB are "
            f"free. --tile {TILE} shows the network smaller parts; if that is not enough, cut the "
            "picture into parts."
        )
    at_peak = math.ceil(10 * (needed + _held_memory(options.device)) / 2**30) / 10
    count = denoiser.count(height, width) if tile else 1
    tiles = f", in {count} tiles of {tile} x {tile}" if count > 1 else ""
    clock = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    # What was not measured is said: other networks, and what a gradient keeps of a network.
    beside = " beside the network's own" if _is_saved(options.model) else ""
    method = METHODS.get(options.method)
    beside += " and what gradients keep" if method and method.vjps else ""
    if not isinstance(op, SVDOperator):
        clock += " for the network, more for H, which has no SVD"
    return f"about {clock} and {at_peak:.1f} GiB in all{beside}: {options.steps} steps{tiles}"


def _held_memory(device: str) -> float:
    """What this process has taken already: the libraries, the network, the picture."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    import psutil

    return float(psutil.Process().memory_info().rss)


def _free_memory(device: str) -> float:
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    import psutil

    return float(psutil.virtual_memory().available)


def _is_saved(model: str) -> bool:
    """Whether --model is a folder, or owner/name, and no name of a model that ships."""
    return "/" in model or (model not in ("natural", "fashion") and Path(model).is_dir())


def denoiser_of(model: str, device: str) -> Any:
    """One that ships with the package, by its name; else one that was saved by diffusers."""
    if not _is_saved(model):
        return ddrm_edu.load_denoiser(model, device=device)
    try:
        return ddrm_edu.from_diffusers(model, device=device)
    except ImportError as error:
        raise ValueError(str(error)) from error


def _loaded_once(options: Options, say: Say) -> Callable[[], Any]:
    """The denoiser, loaded when it is first asked for."""
    loaded: list[Any] = []

    def load() -> Any:
        if not loaded:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", UserWarning)
                loaded.append(denoiser_of(options.model, options.device))
            for warning in told:
                say(f"warning: {' '.join(str(warning.message).split())}")
        return loaded[0]

    return load


def _size_of(sigma_y: float | Tensor) -> str:
    if not isinstance(sigma_y, Tensor):
        return f"{sigma_y:.3g}"
    known = sigma_y[sigma_y.isfinite()]
    return f"{known.min():.3g} to {known.max():.3g}"


def _scores(image: Tensor, truth: Tensor) -> str:
    alike = f"  SSIM {ddrm_edu.ssim(image, truth).item():.3f}" if min(truth.shape[2:]) > 10 else ""
    return f"PSNR {ddrm_edu.psnr(image, truth).item():.2f} dB{alike}"


def _sum(weights: tuple[float, ...]) -> str:
    return " + ".join(f"{weight:.3g} {c}" for weight, c in zip(weights, "RGB", strict=True))


def _short(task: Task) -> str:
    return Path(task.name.partition(":")[0]).stem if task.own else task.name


def _lossless(source: Path) -> str:
    """The suffix of a file if a restored picture can have it, else that of PNG."""
    return source.suffix if source.suffix.lower() in files.SUFFIXES else ".png"


def _require_another_file(source: Path, out: Path) -> None:
    if out.exists() and out.samefile(source):
        raise ValueError(f"--out must not be the measurement itself, {source}. Give another name.")

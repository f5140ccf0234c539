r"""What a network predicts, and how it becomes a denoiser (slides 6 and 19).

A *denoiser* is any callable ``denoiser(x, sigma) -> x0_hat`` that estimates the clean image from
:math:`x=x_0+\sigma\epsilon`, with x of shape ``(batch, *image_shape)`` and sigma one level for
the whole batch.  The functions below convert what networks predict into x0_hat and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .boundary import checked
from .diffusion import require_image
from .schedule import NoiseSchedule, to_vp
from .validation import (
    FLOATS,
    LARGEST,
    is_integer,
    require_count,
    require_floating,
    require_one_shape,
)

Level = float | Tensor
"""A level of the whole batch; in the conversions, one that broadcasts with x."""


@checked
def x0_from_eps(x: Tensor, sigma: float | Tensor, eps: Tensor) -> Tensor:
    r""":math:`\hat x_0=x-\sigma\hat\epsilon`; slide 6 (S06.4, erratum E1) in VE coordinates."""
    require_one_shape(x=x, sigma=sigma, eps=eps)
    return x - sigma * eps


@checked
def eps_from_x0(x: Tensor, sigma: float | Tensor, x0_hat: Tensor) -> Tensor:
    r""":math:`\hat\epsilon=(x-\hat x_0)/\sigma` (S06.2)."""
    require_one_shape(x=x, sigma=sigma, x0_hat=x0_hat)
    _require_noise(sigma)
    return (x - x0_hat) / sigma


@checked
def x0_from_score(x: Tensor, sigma: float | Tensor, score: Tensor) -> Tensor:
    r"""Tweedie's formula :math:`\hat x_0=x+\sigma^2\nabla\log p_\sigma(x)`."""
    require_one_shape(x=x, sigma=sigma, score=score)
    return x + sigma**2 * score


@checked
def score_from_x0(x: Tensor, sigma: float | Tensor, x0_hat: Tensor) -> Tensor:
    r""":math:`\nabla\log p_\sigma(x)=(\hat x_0-x)/\sigma^2`, Tweedie's formula read backwards."""
    require_one_shape(x=x, sigma=sigma, x0_hat=x0_hat)
    _require_noise(sigma)
    return (x0_hat - x) / sigma**2


@checked
def x0_from_v(x: Tensor, sigma: float | Tensor, v: Tensor) -> Tensor:
    r""":math:`\hat x_0=(x-\sigma\sqrt{1+\sigma^2}\,\hat v)/(1+\sigma^2)`.

    The network's target is :math:`v=\sqrt{\bar\alpha}\,\epsilon-\sqrt{1-\bar\alpha}\,x_0`
    (Salimans and Ho 2022).
    """
    require_one_shape(x=x, sigma=sigma, v=v)
    return (x - sigma * (1 + sigma**2) ** 0.5 * v) / (1 + sigma**2)


@checked
def v_from_x0(x: Tensor, sigma: float | Tensor, x0_hat: Tensor) -> Tensor:
    r""":math:`\hat v=(x-(1+\sigma^2)\hat x_0)/(\sigma\sqrt{1+\sigma^2})`, its inverse."""
    require_one_shape(x=x, sigma=sigma, x0_hat=x0_hat)
    _require_noise(sigma)
    return (x - (1 + sigma**2) * x0_hat) / (sigma * (1 + sigma**2) ** 0.5)


def _require_noise(sigma: Level) -> None:
    if not isinstance(sigma, Tensor) and abs(sigma) < 1 / LARGEST:
        raise ValueError(
            "At sigma = 0 there is no noise, of which x and x0_hat could tell anything, but sigma "
            f"was {sigma:.6g}. Ask at a level above 0."
        )


class _NetworkDenoiser:
    """A network that sees variance-preserving images, behind the contract of a denoiser.

    The network runs in the dtype of its own weights; the result comes back in that of ``x``.
    An image of any size is continued by its mirror image, below and to the right, to the next
    multiple that the network takes, and the answer is cut back.
    """

    net: Callable[..., Any]
    schedule: NoiseSchedule | None
    value_range = (-1.0, 1.0)
    """Black and white of the pictures that networks are trained on; ``restore`` warns of others."""

    @property
    def in_channels(self) -> int | None:
        """Channels that the network says it takes, or None if it says nothing."""
        # diffusers keeps it in its configuration, and warns who reads it from the network itself.
        config = getattr(self.net, "config", None)
        return getattr(config, "in_channels", None) or getattr(self.net, "in_channels", None)

    @property
    def multiple(self) -> int:
        """Height and width of what the network is given are multiples of it; 1 if it says nothing.

        The shipped network says ``net.granularity``; one of diffusers halves the image once
        between two of its ``block_out_channels``.
        """
        config = getattr(self.net, "config", None)
        levels = getattr(config, "block_out_channels", None)
        return getattr(self.net, "granularity", None) or 2 ** (len(levels or [1]) - 1)

    def _time(self, x: Tensor, sigma: Level, first_t: int) -> Tensor:
        """The integer time of the schedule's level closest to sigma, for each image."""
        assert self.schedule is not None
        noisiest = self.schedule.sigma[-1].item()
        if float(sigma) > 1.05 * noisiest:
            raise ValueError(
                f"The network was trained up to the level sigma_T = {noisiest:.6g}, but was called "
                f"at sigma = {float(sigma):.6g}. Is schedule= the one that it was trained with?"
            )
        t = self.schedule.nearest_t(sigma) - 1 + first_t
        return torch.full((len(x),), t, dtype=torch.long, device=x.device)

    def _predict(self, x: Tensor, sigma: Level, level: Tensor) -> Tensor:
        """The network's output for the VE image ``x``, in the shape and dtype of ``x``."""
        if not 0 < float(sigma) < math.inf:
            raise ValueError(
                f"A network denoises from a level sigma that is positive and finite, but sigma was "
                f"{float(sigma):.6g}. At sigma = 0 the image is clean already."
            )
        if self.in_channels not in (None, x.shape[1]):
            raise ValueError(
                f"The network takes images of {self.in_channels} channels, but x has shape "
                f"{tuple(x.shape)}, that is {x.shape[1]} channels. Load the model that fits: "
                "load_denoiser('natural') has 3 channels, load_denoiser('fashion') has 1."
            )
        parameters = getattr(self.net, "parameters", None)
        weight = next(parameters(), x) if parameters else x
        given = mirrored_to_multiple(to_vp(x, sigma).to(weight.dtype), self.multiple)
        out = self._tensor_of(self.net(given, level))
        if not isinstance(out, Tensor):
            raise ValueError(
                "The network must return a torch tensor, or an object with one in .sample, but "
                f"returned a {type(out).__name__}. Pick it out: lambda x, t: net(x, t)[0]."
            )
        if out.dtype not in FLOATS or out.layout is not torch.strided or out.device.type == "meta":
            raise ValueError(
                "The network must return a dense tensor of real floating-point numbers, but "
                f"returned {out.dtype} ({out.layout}, on {out.device})."
            )
        if out.shape != given.shape:
            raise ValueError(
                f"The network returned shape {tuple(out.shape)} for an image of shape "
                f"{tuple(given.shape)}. A network that also predicts a variance returns twice as "
                "many channels: keep the first half."
            )
        return _cut(out, x).to(x.dtype)

    def _tensor_of(self, out: Any) -> Tensor:
        return getattr(out, "sample", out)  # diffusers wraps its output


def _require_images(x: Tensor) -> None:
    require_floating(x, "x")
    if x.ndim < 2:
        raise ValueError(
            "x must be a batch of images, (batch, channels, height, width), but had shape "
            f"{tuple(x.shape)}."
        )


@checked
class EpsDenoiser(_NetworkDenoiser):
    r"""A variance-preserving noise predictor ``net(x_t, t) -> eps`` as a denoiser.

    Slides 6 and 19 (ledger S06.4, S19.1, S19.2, X08): the network is given
    :math:`x/\sqrt{1+\sigma^2}` and the time whose level is closest to sigma; its answer becomes
    :math:`\hat x_0=x-\sigma\hat\epsilon`.

    Parameters
    ----------
    net : callable
        ``net(x_t, t)`` with ``x_t (batch, c, h, w)`` and integer ``t (batch,)``; diffusers'
        ``UNet2DModel`` fits as it is.
    schedule : NoiseSchedule, optional
        The one that the network was trained with; linear with T = 1000 by default.
    first_t : int
        The number by which the network calls the lecture's t = 1: 0 for DDPM's code, diffusers and
        most others, 1 for a network that counts like the slides.

    Raises
    ------
    ValueError
        When called with an image of another number of channels than the network's, or if the
        network's output has another shape than the image.

    Examples
    --------
    >>> denoiser = EpsDenoiser(lambda x, t: torch.zeros_like(x))  # a network that sees no noise
    >>> denoiser(torch.ones(1, 1, 4, 4), 0.5).unique()
    tensor([1.])
    """

    def __init__(
        self,
        net: Callable[[Tensor, Tensor], Any],
        schedule: NoiseSchedule | None = None,
        *,
        first_t: int = 0,
    ) -> None:
        self.net = net
        self.schedule: NoiseSchedule = _schedule(schedule or NoiseSchedule.linear())
        self.first_t = _integer_time(first_t)

    def __call__(self, x: Tensor, sigma: Level) -> Tensor:
        _require_images(x)
        time = self._time(x, sigma, self.first_t)
        return x0_from_eps(x, sigma, self._predict(x, sigma, time))


@checked
class SampleDenoiser(_NetworkDenoiser):
    r"""A variance-preserving predictor ``net(x_t, t) -> x0_hat`` of the clean image as a denoiser.

    Parameters
    ----------
    net : callable
        ``net(x_t, t)`` with ``x_t (batch, c, h, w)`` and integer ``t (batch,)``.
    schedule : NoiseSchedule
        The one that the network was trained with.
    first_t : int
        As in `EpsDenoiser`.

    Raises
    ------
    ValueError
        As `EpsDenoiser`, and if ``schedule`` is no `NoiseSchedule`.

    Notes
    -----
    diffusers calls this ``prediction_type="sample"``.

    Examples
    --------
    >>> halves = SampleDenoiser(lambda x_t, t: x_t / 2, NoiseSchedule.linear())
    >>> halves(torch.ones(1, 1, 2, 2), 0.75).mean()
    tensor(0.4000)
    """

    def __init__(
        self,
        net: Callable[[Tensor, Tensor], Any],
        schedule: NoiseSchedule,
        *,
        first_t: int = 0,
    ) -> None:
        self.net, self.schedule, self.first_t = net, _schedule(schedule), _integer_time(first_t)

    def __call__(self, x: Tensor, sigma: Level) -> Tensor:
        _require_images(x)
        return self._predict(x, sigma, self._time(x, sigma, self.first_t))


@checked
class VDenoiser(_NetworkDenoiser):
    r"""A variance-preserving predictor of v as a denoiser.

    Parameters
    ----------
    net : callable
        ``net(x_t, sigma)`` with ``x_t (batch, c, h, w)`` and the continuous VE level
        ``sigma (batch,)``; or, if ``first_t`` is given, ``net(x_t, t)`` with integer
        ``t (batch,)``, as in diffusers.
    schedule : NoiseSchedule, optional
        The levels at which a sampler should call it by default; with ``first_t`` it is needed, and
        is the one that the network was trained with.
    first_t : int, optional
        The number by which the network calls the lecture's t = 1: 0 for diffusers.

    Raises
    ------
    ValueError
        For a network of diffusers without ``first_t``, which would read the level as a time: at
        once if it can be told, else when it returns an object with its tensor in ``.sample``.

    Examples
    --------
    A network that takes the integer time t, counted from 0, of the schedule it was trained with:

    >>> net = lambda x_t, t: torch.zeros_like(x_t)
    >>> denoiser = VDenoiser(net, NoiseSchedule.linear(), first_t=0)
    >>> denoiser(torch.ones(1, 1, 2, 2), 1.0).mean()
    tensor(0.5000)
    """

    def __init__(
        self,
        net: Callable[[Tensor, Tensor], Any],
        schedule: NoiseSchedule | None = None,
        *,
        first_t: int | None = None,
    ):
        if first_t is None and _is_of_diffusers(net):
            raise ValueError(_TIME_FOR_LEVEL.format("was given a network of diffusers"))
        self.net = net
        self.schedule = schedule
        self.first_t = first_t
        if first_t is not None:
            self.schedule, self.first_t = _schedule(schedule), _integer_time(first_t)

    def __call__(self, x: Tensor, sigma: Level) -> Tensor:
        _require_images(x)
        if self.first_t is None:
            level = torch.full((len(x),), float(sigma), dtype=torch.float32, device=x.device)
        else:
            level = self._time(x, sigma, self.first_t)
        return x0_from_v(x, sigma, self._predict(x, sigma, level))

    def _tensor_of(self, out: Any) -> Tensor:
        if self.first_t is None and hasattr(out, "sample"):
            raise ValueError(
                _TIME_FOR_LEVEL.format("its network returned an object with .sample, as they do")
                + " If yours does take sigma: VDenoiser(lambda x_t, sigma: net(x_t, sigma).sample)."
            )
        return super()._tensor_of(out)


_TIME_FOR_LEVEL = (
    "VDenoiser calls net(x_t, sigma) with the continuous level sigma, but {}. Networks of "
    "diffusers take the integer time t: they would read sigma = 17.4 as the time 17.4, where t = "
    "750 of the linear schedule is meant, and return v of another level, without an error. Take "
    "from_diffusers(net, scheduler), or say the schedule that it was trained with: "
    "VDenoiser(net, schedule, first_t=0)."
)


def _schedule(schedule: Any) -> NoiseSchedule:
    """``schedule``, if it is one of this library."""
    if not isinstance(schedule, NoiseSchedule):
        raise ValueError(
            "A network that takes integer times needs the NoiseSchedule that it was trained with, "
            f"as schedule=, but this was {type(schedule).__name__}. Take NoiseSchedule.linear() "
            "for DDPM's own; from_diffusers(net, scheduler) reads a scheduler of diffusers."
        )
    return schedule


def _integer_time(first_t: Any) -> int:
    if not is_integer(first_t):
        raise ValueError(
            "first_t is the integer by which the network calls the first noisy level, 0 or 1, but "
            f"was {first_t!r}."
        )
    if not -(2**31) < first_t < 2**31:
        raise ValueError(f"first_t must be 0 or 1 or so, but was {first_t:.6g}.")
    return int(first_t)


def mirrored_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """``x (..., h, w)`` continued by its mirror image to the next multiples of both sides."""
    if x.ndim < 3 or multiple == 1:
        return x
    for axis in (-2, -1):
        side = x.shape[axis]
        if more := -side % multiple:
            place = np.pad(np.arange(side), (0, more), mode="symmetric")  # sides of 1 as well
            x = x.index_select(axis, torch.from_numpy(place).to(x.device))
    return x


def _cut(x: Tensor, like: Tensor) -> Tensor:
    """The first rows and columns of ``x``, as many as ``like`` has."""
    return x if x.shape == like.shape else x[..., : like.shape[-2], : like.shape[-1]]


@checked
class Tiled:
    r"""A denoiser that sees a large image in overlapping tiles, and blends their x0_hat.

    The network is tiled, not the problem: coordinates, H and what was measured are those of the
    whole image, so every fast H stays exact, and with ``sigma_y = 0`` measured values are kept to
    rounding.  Memory for the network is that of one tile.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat`` for images of any size.
    size : int
        Height and width of a tile.  An image that fits into one is not cut.
    overlap : int
        Least number of rows or columns that neighbours share; there the weight of a tile falls
        linearly towards its border.

    Raises
    ------
    ValueError
        Unless ``0 < overlap < size`` and so that tiles can start at multiples of
        ``denoiser.multiple``.

    Notes
    -----
    Tiles start at multiples of ``denoiser.multiple``, where the network would see the same grid in
    the whole image.  What remains different is what lies farther away than the overlap, and what
    the network computes of a whole image, such as the statistics of a group normalisation.

    Examples
    --------
    >>> def halves(x, sigma):
    ...     return x / 2
    >>> x = torch.ones(1, 1, 20, 30)
    >>> bool(torch.allclose(Tiled(halves, size=16, overlap=4)(x, 1.0), x / 2))
    True
    """

    def __init__(
        self, denoiser: Callable[[Tensor, Level], Tensor], size: int, overlap: int
    ) -> None:
        self.multiple = getattr(denoiser, "multiple", 1)
        whole = is_integer(size) and is_integer(overlap) and overlap > 0
        if not whole or size - overlap < self.multiple:
            raise ValueError(
                "Tiles need integers 0 < overlap < size, at least "
                f"{self.multiple} (the network's multiple) apart, but size was {size!r} and "
                f"overlap {overlap!r}. A quarter of the size is a good overlap."
            )
        self.denoiser, self.size, self.overlap = denoiser, size, overlap
        self.schedule = getattr(denoiser, "schedule", None)
        self.in_channels = getattr(denoiser, "in_channels", None)
        self.value_range = getattr(denoiser, "value_range", None)

    def __call__(self, x: Tensor, sigma: Level) -> Tensor:
        _require_images(x)
        rows, columns = (self._intervals(side) for side in x.shape[-2:])
        if len(rows) == len(columns) == 1:
            return self.denoiser(x, sigma)
        x0_hat, total = torch.zeros_like(x), x.new_zeros(x.shape[-2:])
        for down in rows:
            for along in columns:
                weight = torch.outer(self._ramp(down, x), self._ramp(along, x))
                tile = self.denoiser(x[..., down, along].contiguous(), sigma)
                require_image(tile, x[..., down, along])
                x0_hat[..., down, along].addcmul_(tile, weight)
                total[down, along] += weight
        return x0_hat.div_(total)

    def count(self, height: int, width: int) -> int:
        """How many tiles an image of this size is seen in."""
        height, width = require_count(height, "height"), require_count(width, "width")
        return len(self._intervals(height)) * len(self._intervals(width))

    def _intervals(self, side: int) -> list[slice]:
        """Tiles along one side, equally far apart; only the last may be smaller than the others."""
        if side <= self.size:
            return [slice(0, side)]
        farthest = (self.size - self.overlap) // self.multiple * self.multiple
        more = math.ceil((side - self.size) / farthest)
        apart = math.ceil((side - self.size) / more / self.multiple) * self.multiple
        starts = range(0, side - self.size + apart, apart)  # until one reaches the end
        return [slice(start, min(start + self.size, side)) for start in starts]

    def _ramp(self, interval: slice, like: Tensor) -> Tensor:
        """Weights of a tile's rows or columns: 1, but less within ``overlap`` of its borders."""
        place = torch.arange(interval.stop - interval.start, dtype=like.dtype, device=like.device)
        to_border = torch.minimum(place, place.flip(0)) + 1
        return (to_border / (self.overlap + 1)).clamp(max=1)


def _is_of_diffusers(net: object) -> bool:
    """Whether ``net`` is a model of diffusers, which is not imported for that."""
    config = getattr(net, "config", None)
    fields = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    return bool({"_diffusers_version", "_use_default_values"} & set(fields)) or any(
        kind.__module__.partition(".")[0] == "diffusers" for kind in type(net).__mro__
    )

r"""Noise schedules and the two dynamics of slide 19 (slides 3 and 19).

Everywhere else in the library the noise level is :math:`\sigma`, as in
:math:`x_t = x_0 + \sigma_t\epsilon`.  The symbols :math:`\beta` and :math:`\bar\alpha` live here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .boundary import checked
from .validation import LARGEST, is_integer, one_number, real_tensor, require_one_shape


@dataclass(frozen=True, eq=False)
@checked
class NoiseSchedule:
    r"""A forward noising process and its levels, indexed by the lecture's own t = 0..T.

    Slide 3 (ledger S03.1-S03.3): :math:`q(x_t\mid x_{t-1})=N(\sqrt{1-\beta_t}\,x_{t-1},\beta_t I)`,
    hence :math:`q(x_t\mid x_0)=N(\sqrt{\bar\alpha_t}\,x_0,(1-\bar\alpha_t)I)`.

    Parameters
    ----------
    beta : Tensor, shape (T + 1,)
        Variances of the noise added in each step; ``beta[0]`` is 0 (nothing happens before t = 1)
        and all others lie strictly between 0 and 1.

    Raises
    ------
    ValueError
        If ``beta`` is not of that form.

    Notes
    -----
    The arrays ``beta, alpha, alpha_bar, sigma`` are float64 and of shape (T + 1,), with
    ``alpha_bar[0] == 1`` and ``sigma[0] == 0`` exactly (the convention that the slides need
    and do not state, erratum E20).

    Examples
    --------
    >>> schedule = NoiseSchedule.linear()
    >>> schedule
    NoiseSchedule(T=1000, sigma_1=0.01, sigma_T=157.4)
    >>> schedule.timesteps(5)
    [801, 601, 401, 201, 1]
    >>> schedule.sigmas(5)[-1].item()
    0.0
    """

    beta: Tensor

    def __post_init__(self) -> None:
        beta = real_tensor(self.beta, "beta").cpu()
        inside = beta.ndim == 1 and len(beta) > 1 and bool(((beta[1:] > 0) & (beta[1:] < 1)).all())
        if not inside or beta[0] != 0:
            raise ValueError(
                "beta must be one-dimensional with beta[0] = 0 and 0 < beta[t] < 1 for t = 1..T, "
                f"but was given {_summary(beta)}. {_wrong_entry(beta)}"
            )
        object.__setattr__(self, "beta", beta)

    @classmethod
    def linear(cls, T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> NoiseSchedule:
        """Variances on a straight line from ``beta_1`` to ``beta_T`` (Ho et al. 2020)."""
        _require_times(T)
        line = torch.linspace(beta_1, beta_T, T, dtype=torch.float64)
        return cls(torch.cat([torch.zeros(1), line]))

    @classmethod
    def cosine(cls, T: int = 1000, offset: float = 0.008, beta_max: float = 0.999) -> NoiseSchedule:
        r"""Levels with :math:`\bar\alpha_t\propto\cos^2` (Nichol and Dhariwal 2021, eq. 17)."""
        _require_times(T)
        t = torch.arange(T + 1, dtype=torch.float64)
        level = torch.cos((t / T + offset) / (1 + offset) * math.pi / 2) ** 2
        beta = (1 - level[1:] / level[:-1]).clamp(max=beta_max)
        return cls(torch.cat([torch.zeros(1), beta]))

    @classmethod
    def from_sigmas(cls, sigmas: Tensor | Sequence[float]) -> NoiseSchedule:
        r"""The schedule of which ``sigmas(len(sigmas) - 1)`` are these levels, to the last bit.

        Ledger S19.1: :math:`\beta_t=(\sigma_t^2-\sigma_{t-1}^2)/(1+\sigma_t^2)`.  They must be
        :func:`decreasing_sigmas`.
        """
        levels = decreasing_sigmas(sigmas).flip(0)
        rise = levels.diff() * (levels[1:] + levels[:-1])
        schedule = cls(torch.cat([levels[:1], rise / (1 + levels[1:] ** 2)]))
        vars(schedule)["sigma"] = levels  # beta close to 1 would have rounded it
        return schedule

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: Tensor | Sequence[float]) -> NoiseSchedule:
        r"""The schedule with these :math:`\bar\alpha_1,\dots,\bar\alpha_T`, the clean 1 left out.

        ``alphas_cumprod`` is what diffusers and others call them, with :math:`\bar\alpha_1` at the
        index 0.  Where the last one is 0 (zero terminal SNR, Lin et al. 2024), sigma would be
        infinite and x_T knows nothing of the image: this level is dropped, with a warning.

        Raises
        ------
        ValueError
            Unless they decrease strictly, from below 1 to above 0.

        Examples
        --------
        >>> NoiseSchedule.from_alphas_cumprod([0.9, 0.5])
        NoiseSchedule(T=2, sigma_1=0.3333, sigma_T=1)
        """
        level = real_tensor(alphas_cumprod, "alphas_cumprod").cpu()
        if level.ndim == 1 and len(level) > 1 and level[-1] == 0 < level[-2]:
            level = level[:-1]
            sigma = ((1 - level[-1]) / level[-1]).sqrt().item()
            warnings.warn(
                f"The last of T = {len(level) + 1} levels has alpha_bar = 0, that is sigma = "
                "infinity (zero terminal SNR). It is dropped: a run starts at most at "
                f"sigma_{len(level)} = {sigma:.6g}.",
                stacklevel=2,
            )
        before = torch.cat([level.new_ones(1), level.flatten()[:-1]])
        falls = (level > 0) & (level < before) if level.ndim == 1 else torch.zeros(1)
        if not len(falls) or not falls.all():
            wrong = (
                "" if level.ndim != 1 or not len(level) else f" Entry {int(falls.int().argmin())}"
            )
            raise ValueError(
                "alphas_cumprod must be one-dimensional and decrease strictly, from below 1 to "
                f"above 0, but was given {_summary(level)}.{wrong and wrong + ' does not.'} It "
                "starts with the first noisy level: leave out an alpha_bar of 1."
            )
        return cls(torch.cat([level.new_zeros(1), (before - level) / before]))

    @property
    def T(self) -> int:
        """Number of noising steps."""
        return len(self.beta) - 1

    @property
    def alpha(self) -> Tensor:
        r""":math:`\alpha_t = 1 - \beta_t`, shape (T + 1,)."""
        return 1 - self.beta

    @cached_property
    def _log_alpha_bar(self) -> Tensor:
        # A sum of logarithms keeps 1 - alpha_bar accurate where alpha_bar is close to 1.
        return torch.log1p(-self.beta).cumsum(0)

    @cached_property
    def alpha_bar(self) -> Tensor:
        r""":math:`\bar\alpha_t=\prod_{s\le t}\alpha_s`, shape (T + 1,), decreasing from 1."""
        return self._log_alpha_bar.exp()

    @cached_property
    def sigma(self) -> Tensor:
        r""":math:`\sigma_t=\sqrt{(1-\bar\alpha_t)/\bar\alpha_t}`, shape (T + 1,), from 0 up."""
        return torch.expm1(-self._log_alpha_bar).abs().sqrt()  # abs: no -0 at t = 0

    @cached_property
    def beta_tilde(self) -> Tensor:
        r"""Variance of the exact reverse kernel :math:`q(x_{t-1}\mid x_t,x_0)`, shape (T + 1,).

        Ledger S05.3: :math:`\tilde\beta_t=\beta_t\,(1-\bar\alpha_{t-1})/(1-\bar\alpha_t)`, which
        is 0 at t = 1; entry 0 stands for no kernel and is 0.
        """
        noise = torch.expm1(self._log_alpha_bar).abs()  # abs: no -0 at t = 0
        return torch.cat([self.beta[:1], self.beta[1:] * noise[:-1] / noise[1:]])

    def timesteps(self, steps: int, spacing: str = "leading") -> list[int]:
        """The decreasing times t at which a run of ``steps`` network evaluations calls the network.

        Parameters
        ----------
        steps : int
            From 1 to T.
        spacing : {"leading", "trailing"}
            ``"leading"``: t = 1 + floor(j T / steps), as in the DDRM paper; the run ends with the
            network at t = 1 and starts somewhat below T.  ``"trailing"``: t = ceil((j + 1) T /
            steps); the run starts at T itself, which matters when ``steps`` is very small.
        """
        if not is_integer(steps) or isinstance(steps, bool) or not 1 <= steps <= self.T:
            raise ValueError(
                f"steps must be an integer from 1 to T = {self.T}, but was {steps!r}: "
                "a run cannot visit more noise levels than the schedule has."
            )
        steps = int(steps)
        if spacing == "leading":
            return [1 + j * self.T // steps for j in reversed(range(steps))]
        if spacing == "trailing":
            return [-(-j * self.T // steps) for j in range(steps, 0, -1)]
        raise ValueError(f"spacing must be 'leading' or 'trailing', but was {spacing!r}.")

    def sigmas(self, steps: int, spacing: str = "leading") -> Tensor:
        """Decreasing levels of a run with ``steps`` network evaluations, then an exact 0.

        Returns
        -------
        Tensor of float64, shape (steps + 1,)
        """
        return self.sigma[[*self.timesteps(steps, spacing), 0]]

    def nearest_t(self, sigma: float | Tensor) -> int:
        r"""The time t >= 1 whose level is closest to ``sigma`` (ledger X08)."""
        return 1 + int((self.sigma[1:] - one_number(sigma, "sigma")).abs().argmin())

    def __repr__(self) -> str:
        return (
            f"NoiseSchedule(T={self.T}, sigma_1={self.sigma[1]:.4g}, sigma_T={self.sigma[-1]:.4g})"
        )


def _require_times(T: int) -> None:
    if isinstance(T, bool) or not is_integer(T) or T < 1:
        raise ValueError(
            "T, the number of noising steps t = 1..T, must be a whole number, 1 or more, but was "
            f"{T!r:.40}."
        )


@checked
def alpha_bar_of(sigma: Tensor | float) -> Tensor | float:
    r""":math:`\bar\alpha = 1/(1+\sigma^2)` (S19.1)."""
    return 1 / (1 + sigma**2)


@checked
def sigma_of(alpha_bar: Tensor | float) -> Tensor | float:
    r""":math:`\sigma=\sqrt{(1-\bar\alpha)/\bar\alpha}`, the inverse of `alpha_bar_of`."""
    # On another device that would wait for it.
    if not isinstance(alpha_bar, Tensor) or alpha_bar.device.type == "cpu":
        share = torch.as_tensor(alpha_bar)
        if not ((share > 0) & (share <= 1)).all():
            raise ValueError(f"alpha_bar must lie in (0, 1], but was {_summary(share)}.")
    return ((1 - alpha_bar) / alpha_bar) ** 0.5


@checked
def to_vp(x: Tensor, sigma: Tensor | float) -> Tensor:
    r"""Variance-preserving image :math:`x/\sqrt{1+\sigma^2}` of a VE image ``x`` (S19.1)."""
    require_one_shape(x=x, sigma=sigma)
    return x / (1 + sigma**2) ** 0.5


@checked
def to_ve(x: Tensor, sigma: Tensor | float) -> Tensor:
    r"""VE image :math:`x\sqrt{1+\sigma^2}` of a variance-preserving image ``x`` (S19.1)."""
    require_one_shape(x=x, sigma=sigma)
    return x * (1 + sigma**2) ** 0.5


@checked
def decreasing_sigmas(sigmas: Tensor | Sequence[float]) -> Tensor:
    """A float64 copy of ``sigmas`` on the CPU, after checking that a sampler can run along it.

    Raises
    ------
    ValueError
        Unless the levels are finite, strictly decreasing and end in exactly 0.
    """
    levels = real_tensor(sigmas, "sigmas").cpu()
    if levels.ndim != 1 or len(levels) < 2:
        raise ValueError(
            "sigmas must be a list of at least two noise levels, the last of them 0, "
            f"but was given {_summary(levels)}. NoiseSchedule.linear().sigmas(20) makes one."
        )
    if levels[-1] != 0:
        raise ValueError(
            f"sigmas must end in exactly 0, the clean image, but ended in {levels[-1]:.6g}. "
            "The schedule is perhaps cut off or increasing: "
            "append a 0, or take NoiseSchedule.linear().sigmas(20)."
        )
    if not levels.isfinite().all() or not (levels[1:] < levels[:-1]).all():
        raise ValueError(
            "sigmas must be finite and strictly decreasing (the sampler runs from noise to image), "
            f"but was given {_summary(levels)}. Sort them from large to small without repeats."
        )
    if levels[0] > LARGEST or levels[-2] < 1 / LARGEST:
        raise ValueError(
            f"sigmas must lie between {1 / LARGEST:g} and {LARGEST:g}, but for the 0 at the end, "
            f"so that their squares are numbers, but were given {_summary(levels)}."
        )
    return levels


def _summary(array: Tensor) -> str:
    values = array.flatten()[:6].tolist()
    dots = ", ..." if array.numel() > 6 else ""
    return f"shape {tuple(array.shape)}: [{', '.join(f'{v:.4g}' for v in values)}{dots}]"


def _wrong_entry(beta: Tensor) -> str:
    """Which entry of ``beta`` is wrong, and what can be done."""
    if beta.ndim != 1 or len(beta) < 2 or beta[0] != 0:
        return "If your array starts at t = 1, prepend a 0."
    t = 1 + int((~((beta[1:] > 0) & (beta[1:] < 1))).nonzero()[0])
    if beta[t] != 1:
        return f"Here beta[{t}] = {beta[t]:.6g}."
    return (
        f"Here beta[{t}] = 1, so that alpha_bar = 0 and sigma is infinite (zero terminal SNR). A "
        "network's eps says nothing of x_0 there; its v does, but no run can start at an infinite "
        f"level. Leave out the times from there on: beta[:{t}]."
    )

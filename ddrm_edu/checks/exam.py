"""The runs of one sampler on which its laws are judged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .calling import Observed, Setting, Subject
from .problems import generic_settings

__all__ = ["CASES", "Exam", "Run", "SamplerRaised", "about", "level", "where"]

CASES = {
    1: "case 1 (s > 0, sigma_next >= sigma_y / s)",
    2: "case 2 (s > 0, sigma_next < sigma_y / s)",
    3: "case 3 (s = 0)",
}


class SamplerRaised(Exception):
    """The sampler under test raised something; the message says what, and on which problem."""


class Run(NamedTuple):
    """One run with a denoiser that knows the truth; all tensors in spectral coordinates."""

    setting: Setting
    x0: Tensor
    y: Tensor  #: in pixels, as the sampler sees it
    y_spec: Tensor
    seen: Observed

    def beside_the_mean(self, k: int) -> Tensor:
        """What state k holds beside the weighted sum that is due."""
        if k == 0:  # the start knows no image
            return self.seen.states[0] - self.setting.coefficients[0].y * self.y_spec
        c = self.setting.coefficients[k]
        before, after = self.seen.states[k - 1 : k + 1]
        return after - c.x0 * self.x0 - c.xt * before - c.y * self.y_spec

    def innovation(self, k: int) -> Tensor:
        """The noise of state k in units of what is due, only where noise is due."""
        noise = self.setting.coefficients[k].noise
        return self.beside_the_mean(k)[:, noise > 0] / noise[noise > 0]


class Exam:
    """Problems, images, measurements and runs for one sampler."""

    def __init__(self, subject: Subject, fixed: dict[str, Any], draws: int, seed: int):
        self.subject, self.fixed, self.draws = subject, fixed, draws
        self.seeds = itertools.count(seed + 1)  # one each, or runs would share their noise
        self.generator = torch.Generator().manual_seed(seed)
        self.settings = generic_settings(subject, fixed, self.generator)
        self.not_asked: list[str] = []

    def fixed_to(self, what: str, value: float) -> bool:
        """True if the caller left this number to us, or fixed it to ``value``."""
        fixed = self.fixed[what]
        return fixed is None or (isinstance(fixed, int | float) and fixed == value)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def images(self, setting: Setting, batch: int) -> Tensor:
        """Spectral coordinates far from 0 and beyond [-1, 1]; 0 where a run starts unobserved.

        With these zeros the start of the sampler is that of q(x_{1:T} | x_0, y), so that
        Proposition 3.1 holds for what it does.
        """
        sign = torch.where(torch.arange(setting.op.n) % 2 == 0, 1.5, -1.5)
        return (sign + self.normal(batch, setting.op.n)) * (setting.coefficients[0].y > 0)

    def measure(self, setting: Setting, x0: Tensor) -> Tensor:
        """Measurements, in pixels, of images in spectral coordinates."""
        return setting.measure(x0, self.normal(len(x0), setting.op.m))

    def run(
        self,
        setting: Setting,
        x0: Tensor,
        *,
        y: Tensor | None = None,
        seed: int | None = None,
        change: Tensor | None = None,
    ) -> Run:
        """One run; ``change[k]`` (spectral) is added to the truth in call k of the denoiser."""
        y = self.measure(setting, x0) if y is None else y
        truth = setting.pixels(x0)
        moved = None if change is None else [truth + setting.pixels(each) for each in change]
        answer = lambda k, x, sigma: truth.clone() if moved is None else moved[k]  # noqa: E731
        return Run(setting, x0, y, setting.y_spec(y), self.observe(setting, answer, y, seed))

    def observe(
        self, setting: Setting, answer: Callable, y: Tensor, seed: int | None = None
    ) -> Observed:
        """One run with any denoiser; whatever the sampler raises becomes a `SamplerRaised`."""
        seed = next(self.seeds) if seed is None else seed
        try:
            return self.subject.run(setting, answer, y, seed)
        except Exception as error:  # a foreign sampler may raise anything
            what = f"it raised {type(error).__name__}: {str(error).rstrip('.')}."
            rates = f"sigma_y = {setting.sigma_y:.3g}, eta = {setting.eta}, eta_b = {setting.eta_b}"
            raise SamplerRaised(f"on {setting.op!r} with {rates} {what}") from error

    @cached_property
    def runs(self) -> list[Run]:
        """Many images, each with a measurement of its own, in every problem."""
        return [self.run(each, self.images(each, self.draws)) for each in self.settings]


# -------------------------------------------------------------------------------------- sentences


def level(setting: Setting, k: int) -> str:
    return f"sigma_T = {setting.sigmas[0]:.3g}" if k == 0 else f"sigma = {setting.sigmas[k]:.3g}"


def about(setting: Setting, j: int) -> str:
    return f"coordinate {j} (s = {setting.s[j]:.3g})"


def where(setting: Setting, k: int, j: int) -> str:
    """The step to state k, the coordinate and its case: the beginning of a sentence."""
    if k == 0:
        kind = "measured" if setting.coefficients[0].y[j] else "lost"
        if kind == "lost" and setting.s[j] > 0:
            kind = f"sigma_y / s = {setting.spread_of_y()[j]:.3g} > sigma_T"
        return f"start at {level(setting, 0)}, coordinate {j} (s = {setting.s[j]:.3g}, {kind})"
    return (
        f"step from sigma = {setting.sigmas[k - 1]:.3g} to {setting.sigmas[k]:.3g}, "
        f"coordinate {j} (case {setting.case(k)[j]}, s = {setting.s[j]:.3g})"
    )

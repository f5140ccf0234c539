"""The problems on which a sampler is tested, and its runs, watched through its denoiser.

The denoiser that a sampler gets is a spy, which records every image and level that it is shown.  So
all the states of a run are known, even of a sampler that returns nothing but the last image.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..boundary import checked
from ..ddrm import EQUALITY_RTOL, Rate, ddrm_coefficients, ddrm_start_coefficients
from ..diffusion import StepCoefficients, combine
from ..noise import standard_normal
from ..operators import Dense, SVDOperator
from ..operators.base import dense_map
from ..operators.linear_map import RAISED, said
from ..validation import require_seed


class Factors(Dense):
    """The operator of given factors: unlike a computed SVD, s is exact to the last bit.

    Without a generator U and V are unit matrices, and even an SVD of one's own finds s exactly.
    """

    def __init__(self, s: list[float], m: int, generator: torch.Generator | None = None):
        n = len(s)
        self.in_shape, self.out_shape = (n,), (m,)
        self.s = torch.tensor(s, dtype=torch.float64)
        self._V, self._U = _orthogonal(n, generator), torch.zeros(m, n, dtype=torch.float64)
        seen = self.s > 0
        self._U[:, seen] = _orthogonal(m, generator)[:, : int(seen.sum())]


def _orthogonal(n: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return torch.eye(n, dtype=torch.float64)
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q


# --------------------------------------------------------------------------------------- problems


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that a run of DDRM needs but a denoiser, and what is due at each of its steps."""

    op: SVDOperator
    sigmas: Tensor
    sigma_y: float
    eta: Rate
    eta_b: Rate

    @property
    def settings(self) -> dict[str, Any]:
        """``sigma_y``, ``eta`` and ``eta_b``, for ``**problem.settings``."""
        return {"sigma_y": self.sigma_y, "eta": self.eta, "eta_b": self.eta_b}

    @cached_property
    def s(self) -> Tensor:
        """Singular values, float64, shape (n,)."""
        return self.op.spectrum().flatten()

    @property
    def T(self) -> int:
        """Number of network evaluations."""
        return len(self.sigmas) - 1

    @cached_property
    def coefficients(self) -> list[StepCoefficients]:
        """Of the start (S11.1, X12) and of the step to each ``sigmas[k]``, k = 1..T (slide 11)."""
        s = self.op.spectrum()
        table = [ddrm_start_coefficients(s, self.sigmas[0], self.sigma_y)]
        for pair in itertools.pairwise(self.sigmas):
            table.append(ddrm_coefficients(s, *pair, **self.settings))
        flat = lambda number: number.expand(s.shape).flatten()  # noqa: E731
        return [StepCoefficients(*map(flat, c)) for c in table]

    def case(self, k: int) -> Tensor:
        """Row of slide 11 (1, 2 or 3) of every coordinate in the step to ``sigmas[k]``."""
        above = self.s * self.sigmas[k] >= self.sigma_y * (1 - EQUALITY_RTOL)
        return torch.where(self.s == 0, 3, torch.where(above, 1, 2))

    def rounding(self, eps: float) -> float:
        """Largest rounding error of a state: a rotation of n numbers of the size of the noise."""
        spread = max((self.sigma_y / self.s[self.s > 0]).tolist(), default=0.0)  # of y_spec (S09.6)
        return 1000 * eps * self.op.n**0.5 * (1 + float(self.sigmas[0]) + spread)

    def pixels(self, x_spec: Tensor) -> Tensor:
        """Images of spectral coordinates (batch, n)."""
        return self.op.V(x_spec.reshape(-1, *self.op.in_shape))


# (s, m, levels, sigma_y): in each, all coordinates with s > 0 pass from case 1 to case 2, but for
# one that is so weak that it starts unobserved (ledger X12).
GENERIC = [
    ([1.7, 0.8, 0.8, 0.31, 0.06, 0, 0], 5, [9, 3.4, 3.1, 0.85, 0.3, 0.07, 0], 0.31),
    ([2.3, 0.9, 0.9, 0.4, 0.02, 7e-4], 9, [20, 5.5, 1.9, 0.4, 0.09, 0.02, 0], 0.05),
    ([0, 1.1, 0, 0.13, 0.5, 0], 6, [12, 4, 1.7, 0.5, 0.15, 0], 0.2),
]


def boundary_problem(first: Problem) -> tuple[Problem, int]:
    """s sigma_next == sigma_y exactly at one level, for coordinate 0; 1 is above and 2 below it."""
    k = max(1, (first.T - 1) // 2)
    s = [0.25, 0.25 * (1 + 1e-6), 0.25 * (1 - 1e-6), 2.0, 0.0, 0.5]
    level = first.sigmas[k].item()
    return Problem(Factors(s, 6), first.sigmas, 0.25 * level, first.eta, first.eta_b), k


# ------------------------------------------------------------------------------------------- runs


class SamplerRaised(Exception):
    """The sampler under test raised something; the message says what, and on which problem."""


class Normal(NamedTuple):
    """What is to be standard normal, in units of ``size``: of state k, some coordinates."""

    problem: Problem
    k: int
    r: Tensor  #: (N, l)
    place: Tensor  #: (l,)
    size: Tensor  #: (l,)


@dataclass(frozen=True, eq=False)
class Run:
    """One run; all tensors are in spectral coordinates, but for ``y``."""

    problem: Problem
    x0: Tensor
    y: Tensor  #: in pixels, as the sampler sees it
    states: list[Tensor]  #: x_T, ..., x_0, each (batch, n); the last is what was returned
    levels: list[float]  #: at which the denoiser was called
    eps: float  #: rounding unit of the least precise dtype that was seen
    y_changed: bool

    @cached_property
    def y_spec(self) -> Tensor:
        """Spectral measurement (batch, n)."""
        return self.problem.op.measure_spec(self.y).flatten(1)

    def beside_the_mean(self, k: int) -> Tensor:
        """What state k holds beside the weighted sum that is due, if the denoiser knows x_0."""
        c = self.problem.coefficients[k]
        if k == 0:  # the start knows no image
            return self.states[0] - c.y * self.y_spec
        return self.states[k] - c.x0 * self.x0 - c.xt * self.states[k - 1] - c.y * self.y_spec

    def innovation(self, k: int) -> Normal:
        """The noise of state k, only where noise is due."""
        place = self.problem.coefficients[k].noise.nonzero().flatten()
        size = self.problem.coefficients[k].noise[place]
        return Normal(self.problem, k, self.beside_the_mean(k)[:, place] / size, place, size)


class Runs:
    """The runs of one sampler: problems, images, measurements, and noise of its own for each."""

    def __init__(
        self, sampler: Callable[..., Any], draws: int, seed: int, rates: Any, **fixed: Any
    ) -> None:
        self.sampler, self.draws = sampler, draws
        seed = require_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self._seed = seed
        #: What the caller fixed of op, sigmas and sigma_y; the rest is generic.
        self.fixed = {what: value for what, value in fixed.items() if value is not None}
        self.problems: list[Problem] = []
        for s, m, levels, noise in GENERIC:
            own: dict[str, Any] = {"op": Factors(s, m, self.generator)}
            own |= {"sigmas": torch.tensor(levels, dtype=torch.float64)} | self.fixed
            if "sigma_y" not in own:
                own["sigma_y"] = _telling_sigma_y(**own) if self.fixed else noise
            self.problems.append(Problem(**own, **rates))
            _ = self.problems[-1].coefficients  # refuses an eta_b out of range, in a sentence
            if self.fixed.keys() >= {"op", "sigmas"}:  # the others would be the same
                break

    def new_seed(self) -> int:
        """One for each run, or runs would share their noise."""
        self._seed += 1
        return self._seed

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Runs within it have draws and seeds of their own: all later runs are as without it."""
        state, seed = self.generator.get_state(), self._seed
        self.generator.manual_seed(seed + 1 + 2**32)
        self._seed = seed + 2**33
        try:
            yield
        finally:
            self.generator.set_state(state)
            self._seed = seed

    def images(self, problem: Problem, batch: int) -> Tensor:
        """Spectral coordinates far from 0 and beyond [-1, 1]; 0 where a run starts unobserved.

        With these zeros the start of the sampler is that of q(x_{1:T} | x_0, y), so that
        Proposition 3.1 holds for what it does.
        """
        sign = torch.where(torch.arange(problem.op.n) % 2 == 0, 1.5, -1.5)
        return (sign + self.normal(batch, problem.op.n)) * (problem.coefficients[0].y > 0)

    def measure(self, problem: Problem, x0: Tensor) -> Tensor:
        """Measurements, in pixels, of images in spectral coordinates."""
        noise = self.normal(len(x0), *problem.op.out_shape)
        return problem.op(problem.pixels(x0)) + problem.sigma_y * noise

    def run(
        self,
        problem: Problem,
        x0: Tensor,
        *,
        y: Tensor | None = None,
        seed: int | None = None,
        change: Tensor | None = None,
        denoiser: Callable[[Tensor, float], Tensor] | None = None,
    ) -> Run:
        """One run, with a denoiser that knows x0 unless another is given.

        ``change[k]`` (spectral) is added to x0 in call k of the denoiser.  Whatever the sampler
        raises becomes a `SamplerRaised`.
        """
        op, states, levels = problem.op, [], []
        y = self.measure(problem, x0) if y is None else y
        truth, dtypes, mine = problem.pixels(x0), {y.dtype}, y.clone()

        def seen(x: Any, what: str) -> Tensor:
            _require_images(x, (len(y), *op.in_shape), what)
            dtypes.add(x.dtype)
            states.append(op.Vt(x.detach().to(torch.float64, copy=True)).flatten(1))
            return x.detach().clone()

        def spy(x: Any, sigma: Any) -> Tensor:
            x = seen(x, "The denoiser was called with")
            levels.append(_one_level(sigma))
            if denoiser is not None:
                return denoiser(x, levels[-1]).to(x)
            moved = 0.0 if change is None else problem.pixels(change[len(levels) - 1])
            return (truth + moved).to(x)

        generator = torch.Generator().manual_seed(self.new_seed() if seed is None else seed)
        numbers = {"sigmas": problem.sigmas.clone(), "sigma_y": problem.sigma_y}
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.seed()  # noise from anywhere else than the generator is found out
                result = self.sampler(spy, op, mine, **numbers, generator=generator)
                seen(_last_image(result), "The sampler returned")
        except RAISED as error:  # a foreign sampler may raise anything
            rates = f"sigma_y = {problem.sigma_y:.3g}, eta = {problem.eta}, eta_b = {problem.eta_b}"
            raise SamplerRaised(f"on {op!r} with {rates} it raised {said(error)}") from error
        eps = max(torch.finfo(dtype).eps for dtype in dtypes)
        return Run(problem, x0, y, states, levels, eps, not torch.equal(mine, y))

    @cached_property
    def many(self) -> list[Run]:
        """Many images, each with a measurement of its own, in every problem."""
        return [self.run(each, self.images(each, self.draws)) for each in self.problems]

    def steps(self) -> Iterator[tuple[Run, int]]:
        """The many runs, and for each of them the number of every state that a step leads to."""
        return ((run, k) for run in self.many for k in range(1, run.problem.T + 1))


def _telling_sigma_y(op: SVDOperator, sigmas: Tensor) -> float:
    """Noise for which the median singular value passes from case 1 to case 2 in mid-run."""
    s, positive = op.s[op.s > 0].double(), sigmas[sigmas > 0]
    middle = len(positive) // 2
    level = (positive[max(middle - 1, 0)] * positive[middle]).sqrt()
    return float(s.median() * level) if len(s) else float(level)


def _require_images(x: Any, shape: tuple[int, ...], what: str) -> None:
    if not isinstance(x, Tensor) or tuple(x.shape) != shape:
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise ValueError(
            f"{what} {given}, but images of the whole batch were due, {shape}. The denoiser takes "
            "all images of a level in one call."
        )
    if not x.is_floating_point():
        raise ValueError(f"{what} {x.dtype}, but floating-point images were due.")
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{what} {bad} entries that are NaN or infinite.")


def _one_level(sigma: Any) -> float:
    """The level of a call, NaN if the images of a batch are shown at several."""
    levels = torch.as_tensor(sigma, dtype=torch.float64).flatten()
    return levels[0].item() if len(levels) and (levels == levels[0]).all() else float("nan")


def _last_image(result: Any) -> Any:
    """The final image of whatever a sampler returns: an image, a list, an iterator of steps."""
    if isinstance(result, Iterable) and not isinstance(result, Tensor):
        result = next(iter(deque(result, maxlen=1)), None)
    return getattr(result, "x", result)


# ------------------------------------------------------- with what an unusual sampler is wrapped


@checked
def sampler_of(step: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The sampler that takes ``step`` in the library's own start and loop (slide 18).

    Parameters
    ----------
    step : callable
        ``step(x, x0_hat, y_spec, *, s, sigma, sigma_next, sigma_y, generator)``, the next state in
        spectral coordinates, all of shape ``(batch, *in_shape)`` (slide 11).
    """

    def sampler(denoiser: Any, op: SVDOperator, y: Tensor, sigmas: Tensor, **known: Any) -> Tensor:
        s, y_spec = op.s.to(y).expand(op.in_shape), op.measure_spec(y)
        nothing = torch.zeros_like(y_spec)
        start = ddrm_start_coefficients(s, sigmas[0], known["sigma_y"])
        x = combine(start, nothing, nothing, y_spec, standard_normal(nothing, known["generator"]))
        for sigma, sigma_next in itertools.pairwise(sigmas):
            x0_hat = op.Vt(denoiser(op.V(x), sigma))
            x = step(x, x0_hat, y_spec, s=s, sigma=sigma, sigma_next=sigma_next, **known)
        return op.V(x)

    sampler.__name__ = getattr(getattr(step, "func", step), "__name__", "sampler")
    return sampler


@checked
def svd_of(op: SVDOperator) -> tuple[Tensor, Tensor, Tensor]:
    """U (m, n), s (n,) and V^T (n, n) as matrices, float64, where s = 0 included (slide 9)."""
    U, V = (dense_map(columns, op.in_shape) for columns in (op.U, op.V))
    return U, op.spectrum().flatten(), V.T

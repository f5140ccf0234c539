"""How any sampler is called, and how what it does is observed: through its denoiser.

The sampler gets whatever its parameters name, and its denoiser is a spy that records every image
and level that it is shown.  So all the states of a run are known, even of a sampler that returns
nothing but the last image.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..ddrm import Rate, ddrm_coefficients, ddrm_start_coefficients
from ..diffusion import StepCoefficients, combine
from ..noise import standard_normal
from ..operators import SVDOperator
from ..schedule import NoiseSchedule, alpha_bar_of

__all__ = ["Observed", "Setting", "Subject"]

#: What a sampler can be told, and by which parameter names.
TOLD_BY = {
    "op": {"op", "H", "s", "U", "Ut", "V", "Vt"},
    "sigmas": {"sigmas", "schedule"},
    "sigma_y": {"sigma_y"},
    "eta": {"eta"},
    "eta_b": {"eta_b"},
}
NAMES = {"denoiser", "y", "generator", "steps"}.union(*TOLD_BY.values())
STEP_NUMBERS = ("y_spec", "s", "sigma", "sigma_next", "sigma_y", "eta", "eta_b", "z", "generator")
STEP_NAMES = {
    **dict.fromkeys(("x", "x_spec", "xt", "xt_spec"), "x"),
    **dict.fromkeys(("x0_hat", "x0_hat_spec"), "x0_hat"),
    **{name: name for name in STEP_NUMBERS},
}


@dataclass(frozen=True, eq=False)
class Setting:
    """One restoration problem, and what is due at each of its steps (slide 11)."""

    op: SVDOperator
    sigmas: Tensor
    sigma_y: float
    eta: Rate
    eta_b: Rate

    @cached_property
    def s(self) -> Tensor:
        """Singular values, float64, shape (n,)."""
        return self.op.s.detach().double().expand(self.op.in_shape).flatten()

    @property
    def T(self) -> int:
        """Number of network evaluations."""
        return len(self.sigmas) - 1

    @cached_property
    def coefficients(self) -> list[StepCoefficients]:
        """Of the start (S11.1, X12) and of the step to each ``sigmas[k]``, k = 1..T."""
        s = self.op.s.detach().expand(self.op.in_shape)
        rates = {"eta": self.eta, "eta_b": self.eta_b}
        table = [
            ddrm_start_coefficients(s, self.sigmas[0], self.sigma_y),
            *(
                ddrm_coefficients(s, *pair, self.sigma_y, **rates)
                for pair in itertools.pairwise(self.sigmas)
            ),
        ]
        flat = lambda number: number.expand(s.shape).flatten()  # noqa: E731
        return [StepCoefficients(*map(flat, c)) for c in table]

    def case(self, k: int) -> Tensor:
        """Row of slide 11 (1, 2 or 3) of every coordinate in the step to ``sigmas[k]``."""
        above = self.s * self.sigmas[k] >= self.sigma_y * (1 - 1e-12)
        return torch.where(self.s == 0, 3, torch.where(above, 1, 2))

    def spread_of_y(self) -> Tensor:
        """Standard deviation of y_spec given x_0 (S09.6), 0 where s = 0."""
        s = self.s
        return torch.where(s > 0, self.sigma_y / s.where(s > 0, torch.ones_like(s)), 0.0)

    def rounding(self, eps: float) -> float:
        """Largest rounding error of a state: a rotation of n numbers of the size of the noise."""
        size = 10 * (1 + float(self.sigmas[0]) + float(self.spread_of_y().max()))
        return 100 * eps * self.op.n**0.5 * size

    def measure(self, x_spec: Tensor, noise: Tensor) -> Tensor:
        """Measurement of spectral coordinates (batch, n) with standard normal ``noise``."""
        return self.op(self.pixels(x_spec)) + self.sigma_y * noise.reshape(-1, *self.op.out_shape)

    def pixels(self, x_spec: Tensor) -> Tensor:
        """Images of spectral coordinates (batch, n)."""
        return self.op.V(x_spec.reshape(-1, *self.op.in_shape))

    def y_spec(self, y: Tensor) -> Tensor:
        """Spectral measurement (batch, n)."""
        return self.op.measure_spec(y).flatten(1)


class Observed(NamedTuple):
    """One run of a sampler: its states, in spectral coordinates, and how it got to them."""

    states: list[Tensor]  #: x_T, ..., x_0, each (batch, n); the last is what was returned
    levels: list[float]  #: at which the denoiser was called
    eps: float  #: rounding unit of the least precise dtype that was seen
    y_changed: bool


class Subject:
    """A sampler or a single step under test, and what it must be told."""

    def __init__(self, function: Callable):
        self.title = getattr(function, "__name__", type(function).__name__)
        parameters = _parameters(function)
        if {"x0_hat", "x0_hat_spec"} & parameters.keys():
            _refuse_unknown(parameters, STEP_NAMES, "step")
            self.function = _sampler_of_steps(function, parameters)
            told = {*TOLD_BY} & {*parameters, "sigmas"} | ({"op"} if "s" in parameters else set())
            self.title = f"Step {self.title}"
            self.names = {*_parameters(self.function)}
        else:
            _refuse_unknown(parameters, NAMES, "sampler")
            if "denoiser" not in parameters:
                raise ValueError(
                    "A sampler is observed through its denoiser, so one of its parameters must be "
                    f"named denoiser, but they are {_listed(parameters)}. {_WRAP}"
                )
            self.function = function
            told = {what for what, names in TOLD_BY.items() if names & parameters.keys()}
            self.title = f"Sampler {self.title}"
            self.names = {*parameters} & NAMES
        self.told = told  #: which of op, sigmas, sigma_y, eta, eta_b it can be told
        self.positional = [
            name
            for name, parameter in _parameters(self.function).items()
            if parameter.kind is parameter.POSITIONAL_ONLY
        ]
        self.own_generator = bool({"generator", "z"} & parameters.keys())

    def run(self, setting: Setting, answer: Callable, y: Tensor, seed: int) -> Observed:
        """Run the sampler once; ``answer(k, x, sigma)`` is what call k of the denoiser returns."""
        op, states, levels, dtypes = setting.op, [], [], [y.dtype]

        def spy(x: Tensor, sigma: Any) -> Tensor:
            _require_images(x, (len(y), *op.in_shape), "The denoiser was called with")
            states.append(_spectral(x, op))
            levels.append(_one_level(sigma))
            dtypes.append(x.dtype)
            return answer(len(states) - 1, x.detach().clone(), levels[-1]).to(x)

        mine = y.clone()
        arguments = self._arguments(setting, spy, mine, torch.Generator().manual_seed(seed))
        positional = [arguments.pop(name) for name in self.positional if name in arguments]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            # A sampler that takes a generator must not draw from anywhere else.
            # Of the start of a lone step the generator is ours, hence another seed.
            torch.seed() if self.own_generator else torch.manual_seed(seed + 1_000_000_007)
            last = _last_image(self.function(*positional, **arguments))
        _require_images(last, (len(y), *op.in_shape), "The sampler returned")
        states.append(_spectral(last, op))
        eps = max(torch.finfo(dtype).eps for dtype in (*dtypes, last.dtype))
        return Observed(states, levels, eps, not torch.equal(mine, y))

    def _arguments(self, setting: Setting, denoiser, y: Tensor, generator) -> dict[str, Any]:
        """Whatever the sampler names; matrices are built only on demand."""
        op = setting.op
        pixels = lambda: torch.eye(op.n, dtype=y.dtype).reshape(-1, *op.in_shape)  # noqa: E731
        V = lambda: op.V(pixels()).flatten(1).T.contiguous()  # noqa: E731
        U = lambda: op.U(pixels()).flatten(1).T.contiguous()  # noqa: E731
        offers = {
            "denoiser": lambda: denoiser,
            "op": lambda: op,
            "H": lambda: op.matrix().to(y),
            "y": lambda: y,
            "s": lambda: setting.s.to(y),
            "U": U,
            "Ut": lambda: U().T.contiguous(),
            "V": V,
            "Vt": lambda: V().T.contiguous(),
            "sigmas": lambda: setting.sigmas.clone(),
            "schedule": lambda: schedule_of(setting.sigmas),
            "steps": lambda: setting.T,
            "sigma_y": lambda: setting.sigma_y,
            "eta": lambda: setting.eta,
            "eta_b": lambda: setting.eta_b,
            "generator": lambda: generator,
        }
        return {name: offers[name]() for name in offers if name in self.names}


def schedule_of(sigmas: Tensor) -> NoiseSchedule:
    """The schedule whose own levels are ``sigmas``: beta_t = 1 - alpha_bar_t / alpha_bar_{t-1}."""
    alpha_bar = alpha_bar_of(sigmas.double().flip(0))
    beta = 1 - alpha_bar / torch.cat([alpha_bar[:1], alpha_bar[:-1]])
    return NoiseSchedule(beta)


def _sampler_of_steps(step: Callable, parameters: dict[str, inspect.Parameter]) -> Callable:
    """The library's own start and loop around a foreign step."""

    def samples(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
        s, y_spec = op.s.expand(op.in_shape), op.measure_spec(y)
        nothing = torch.zeros_like(y_spec)
        start = ddrm_start_coefficients(s, sigmas[0], sigma_y)
        x = combine(start, nothing, nothing, y_spec, standard_normal(nothing, generator))
        for sigma, sigma_next in itertools.pairwise(sigmas):
            known = {
                "x": x,
                "x0_hat": op.Vt(denoiser(op.V(x), sigma)),
                "y_spec": y_spec,
                "s": s,
                "sigma": sigma,
                "sigma_next": sigma_next,
                "sigma_y": sigma_y,
                "eta": eta,
                "eta_b": eta_b,
                "generator": generator,
            }
            if "z" in parameters:
                known["z"] = standard_normal(x, generator)
            named = [name for name in parameters if name in STEP_NAMES]
            x = step(**{name: known[STEP_NAMES[name]] for name in named})
        return op.V(x)

    return samples


# ------------------------------------------------------------------------------- what it is called

_WRAP = (
    "Wrap it, for example check_sampler(lambda denoiser, op, y, sigmas, sigma_y, eta, eta_b: "
    "mine(y, denoiser, noise=sigma_y))."
)


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters
    return {name: each for name, each in parameters.items() if each.kind not in kinds}


def _refuse_unknown(parameters: dict, known: Iterable[str], what: str) -> None:
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in known and parameter.default is parameter.empty
    ]
    if unknown:
        raise ValueError(
            f"The {what} asks for {_listed(unknown)}, which check_sampler does not know. It can "
            f"give {_listed(sorted(known))}; parameters with defaults are left alone. {_WRAP}"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


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


def _spectral(x: Tensor, op: SVDOperator) -> Tensor:
    return op.Vt(x.detach().double()).flatten(1)


def _last_image(result: Any) -> Any:
    """The final image of whatever a sampler returns: an image, a list, an iterator of steps."""
    if not isinstance(result, Tensor):
        if not isinstance(result, Iterable):
            return result
        last = None
        for last in result:  # noqa: B007
            pass
        result = last
    return getattr(result, "x", result)

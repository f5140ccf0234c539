r"""The exact law of any affine sampler, found by running it, and an estimate for any other.

With the exact denoiser of a Gaussian prior a whole run of most samplers is affine in the measurement
and in the normal numbers that it draws,

    x = c + A y_spec + N z,      z ~ N(0, I),

so a batch of zero and unit vectors in the place of y and z shows all of c, A and N.  Nothing needs
to be known of the sampler: its draws are intercepted where torch dispatches them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .law import AffineLaw, law_of_y_spec, require_gaussian, spectral_law
from .noise import Generators, standard_normal
from .operators.base import AT_ONCE, SVDOperator
from .priors import GaussianPrior
from .validation import EPS, is_integer, require_level

Sampler = Callable[..., Any]
"""``sampler(denoiser, op, y, *, generator) -> x``, or an iterator of steps or images."""

Noise = Callable[[int, int], Tensor]
"""``noise(k, size)``: what draw k of a run, of ``size`` numbers an image, gives; (batch, size)."""


class NoExactLaw(ValueError):
    """``law_of`` refuses a sampler; the message says what it found."""


def law_of(
    sampler: Sampler,
    prior: GaussianPrior,
    op: SVDOperator,
    *,
    sigma_y: float,
    at_once: int | None = None,
) -> AffineLaw:
    r"""Exact law of what ``sampler`` returns with the exact denoiser of a Gaussian prior.

    :math:`p(\bar x\mid\bar y)=N(A\bar y+c,NN^\top)`, as :func:`sampler_law` gives it for DDRM
    (ledger section 4), for any sampler that is affine in y and in its noise.

    Parameters
    ----------
    sampler : callable
        Called as ``sampler(prior, op, y, generator=generator)`` with y of shape
        ``(batch, *out_shape)``, float64; returns the image or an iterator of steps or images, of
        which the last one counts.  Levels, rates and ``sigma_y`` are bound inside.
    prior : GaussianPrior
        Is the sampler's denoiser.
    op : SVDOperator
    sigma_y : float
        Noise of the measurements over which :func:`gap` averages; the sampler does not see it.
    at_once : int, optional
        Images of one call, at most; by default as many as hold 2^20 numbers.  With 1 each draw
        belongs to the one image, whatever its shape, and the images of a batch cannot be mixed.

    Returns
    -------
    AffineLaw

    Raises
    ------
    NoExactLaw
        A ``ValueError``, if there is no such law: the sampler is not affine in y or in its noise;
        depends on the part of y outside H's range; draws other than normal numbers, or as many as
        the data say; mixes the images of a batch; does not repeat itself; or returns what is not
        finite.  :func:`monte_carlo_law` estimates the law of such a sampler.
    ValueError
        For a prior that is not Gaussian or does not fit the operator.

    Notes
    -----
    The normal numbers of ``torch.randn``, ``randn_like``, ``normal`` and ``normal_`` are replaced,
    whoever asks for them and from whichever generator; the one that the sampler is given is a new
    ``torch.Generator``, and seeds that it sets have no effect.  All other randomness of torch is
    refused by name; that of numpy shows when two equal runs differ, unless it is seeded inside the
    sampler.  Affinity is tested at random points on the scales 0.01, 1 and 100, to the square root
    of the rounding unit of the numbers that the sampler draws and returns.

    An iterator that takes another state by ``send``, as those of this package do, is probed step by
    step: what the noise so far has done to x is a factor of its covariance, of n columns, so that
    a run costs one of a batch of 1 + rank + 2 n images, however many steps it has.  Whether it
    does take it is tested, and if not the run is probed draw by draw, in parts of ``at_once``.

    Examples
    --------
    >>> from ddrm_edu import Dense, NoiseSchedule, ddrm_samples, sampler_law
    >>> prior = GaussianPrior(torch.ones(2), torch.tensor([[1.0, 0.7], [0.7, 1.0]]))
    >>> op, levels = Dense([[1.0, 0.3]]), NoiseSchedule.linear().sigmas(20)
    >>> def mine(denoiser, op, y, *, generator):
    ...     return ddrm_samples(denoiser, op, y, levels, sigma_y=0.1, generator=generator)
    >>> law = law_of(mine, prior, op, sigma_y=0.1)
    >>> bool((law.cov - sampler_law(prior, op, levels, sigma_y=0.1).cov).abs().max() < 1e-10)
    True
    """
    require_gaussian(prior, op)
    y_spec = law_of_y_spec(spectral_law(prior, op), op.spectrum(), sigma_y)
    probe = _Probe(sampler, prior, op, at_once)
    probe.require_affine()
    found = probe.step_by_step() if probe.takes_states and at_once is None else None
    c, A, cov = found or probe.draw_by_draw()
    return AffineLaw(A, c, (cov + cov.T) / 2, y_spec, op)


class _Draws(TorchDispatchMode):
    """Gives the normal numbers that a sampler asks for, and refuses any other randomness."""

    def __init__(self, batch: int, noise: Noise) -> None:
        super().__init__()
        self.batch, self.noise = batch, noise
        self.sizes: list[int] = []  # numbers an image, draw by draw
        self.eps = EPS

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return out
        name = func.overloadpacket.__name__
        if name in ("randn", "randn_like"):
            mean, std = 0.0, 1.0
        elif name in ("normal", "normal_", "normal_functional"):
            given = args if name == "normal" else args[1:]
            mean = given[0] if given else kwargs.get("mean", 0.0)
            std = given[1] if len(given) > 1 else kwargs.get("std", 1.0)
        else:
            _refuse(f"the sampler draws by torch's {name}", "Only normal noise has a factor.")
        if self.batch > 1 and out.shape[:1] != (self.batch,):
            _refuse(
                f"draw {len(self.sizes)} has shape {tuple(out.shape)} in a batch of {self.batch}, "
                "not noise of its own for each image",
                "Draw noise of the shape of x, or pass at_once=1, if it is right for one image.",
            )
        z = self.noise(len(self.sizes), out.numel() // self.batch)
        self.sizes.append(z.shape[1])
        self.eps = max(self.eps, torch.finfo(out.dtype).eps)
        return out.copy_(mean + std * z.reshape(out.shape).to(out.device))


class _Probe:
    """One sampler on one problem.

    It is tested at points: 0; two random y in H's range, two random noises and one y outside of H's
    range, each with all else 0; and mixtures of these.
    """

    def __init__(
        self, sampler: Sampler, prior: GaussianPrior, op: SVDOperator, at_once: int | None
    ) -> None:
        self.sampler, self.prior, self.op = sampler, prior, op
        self.sizes: list[int] | None = None  # of all draws, once they are known
        self.ends: list[int] = []  # draws before the end of each step, if it is an iterator
        self.takes_states = False
        self.eps = EPS
        s = op.spectrum().flatten()
        self.seen = (s > 0).nonzero().flatten()
        self.at_once = max(1, AT_ONCE // max(op.n, op.m)) if at_once is None else at_once
        if not is_integer(self.at_once) or self.at_once < 1:
            raise ValueError(f"at_once must be a number of images, at least 1, but was {at_once}.")

        random, spread = torch.Generator().manual_seed(0), prior.eigenvalues[-1].sqrt()
        size = max(float(prior.mean.abs().max()), float(spread)) or 1.0
        self.u = torch.zeros(5, len(self.seen), dtype=torch.float64)  # y_spec of the points but 0
        self.u[:2] = size * torch.randn(2, len(self.seen), generator=random, dtype=torch.float64)
        outside = torch.randn(1, *op.out_shape, generator=random, dtype=torch.float64)
        outside -= op.U(op.Ut(outside))
        self.y = self.measurements(self.u)
        self.y[4:] = outside * (float(self.y.abs().max()) or size)
        rows = [torch.zeros(1, 5, dtype=torch.float64), torch.eye(5, dtype=torch.float64)]
        for scale, which in itertools.product((0.01, 1.0, 100.0), (_IN_Y, _IN_NOISE, _IN_BOTH)):
            weights = torch.randn(1, 5, generator=random, dtype=torch.float64)
            rows.append(scale * weights * torch.tensor(which, dtype=torch.float64))
        self.mixtures = torch.cat(rows)

    def measurements(self, y_spec: Tensor) -> Tensor:
        """y in H's range for the measured coordinates (batch, rank) of y_spec."""
        whole = torch.zeros(len(y_spec), self.op.n, dtype=torch.float64)
        whole[:, self.seen] = y_spec
        return self.op(self.op.V(whole.reshape(-1, *self.op.in_shape)))

    def noise(self, k: int, size: int) -> Tensor:
        """Draw k at the five points, (5, size)."""
        z = torch.zeros(5, size, dtype=torch.float64)
        own = torch.Generator().manual_seed(k + 1)
        z[2:4] = torch.randn(2, size, generator=own, dtype=torch.float64)
        return z

    # -------------------------------------------------------------------------------------- runs

    @contextmanager
    def called(self, y: Tensor, noise: Noise) -> Iterator[tuple[Any, _Draws]]:
        """What the sampler returns, while its draws are ``noise``, which must be those planned."""
        plan = self.sizes

        def planned(k: int, size: int) -> Tensor:
            if plan is not None and plan[k : k + 1] != [size]:
                _refuse(*_OTHER_DRAWS)
            return noise(k, size)

        with torch.random.fork_rng(devices=[]), _Draws(len(y), planned) as draws:
            yield self.sampler(self.prior, self.op, y, generator=torch.Generator()), draws
        if plan is not None and draws.sizes != plan:
            _refuse(*_OTHER_DRAWS)
        self.sizes, self.eps = draws.sizes, max(self.eps, draws.eps)

    def run(self, y: Tensor, noise: Noise) -> Tensor:
        """The last images, (batch, n)."""
        with self.called(y.clone(), noise) as (result, draws):
            self.takes_states, self.ends = isinstance(result, Generator), []
            if not isinstance(result, Tensor):
                for step in result:
                    result = getattr(step, "x", step)
                    self.ends.append(len(draws.sizes))
            return self.images(result, len(y))

    def images(self, x: Any, batch: int) -> Tensor:
        due = (batch, *self.op.in_shape)
        if not isinstance(x, Tensor) or x.shape != due or not x.is_floating_point():
            kind = f"{x.dtype}, {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"The sampler must return images of shape {due}, but gave {kind}.")
        self.eps = max(self.eps, torch.finfo(x.dtype).eps)
        if not x.isfinite().all():
            _refuse("an image is not finite", "Are the levels or its weights out of range?")
        return x.detach().double().flatten(1)

    def at(self, mixtures: Tensor) -> Tensor:
        """Images (batch, n) at mixtures (batch, 5) of the points."""
        parts = mixtures.split(self.at_once)
        combine = lambda part, points: torch.tensordot(part, points, 1)  # noqa: E731
        return torch.cat(
            [
                self.run(combine(part, self.y), lambda k, d, part=part: part @ self.noise(k, d))
                for part in parts
            ]
        )

    # ------------------------------------------------------------------------------------- tests

    def require_affine(self) -> None:
        """Raise `NoExactLaw` unless the sampler is what the law supposes it to be."""
        x = self.at(self.mixtures)
        self.base, self.points = x[0], x[1:6]
        self.unit = float(x[:6].abs().max())
        later = len(x) // 2
        if self.off(self.at(self.mixtures[later:]), x[later:]).any():
            if self.off(self.at(self.mixtures), x).any():
                _refuse(
                    "two equal runs differ",
                    "It draws from numpy or Python, or keeps something from run to run.",
                )
            _refuse(
                "an image depends on the others of its batch",
                "Is something averaged over the batch, or one number shared? If it is right for "
                "one image, pass at_once=1.",
            )
        due = self.base + self.mixtures @ (self.points - self.base)
        if self.off(self.points[4:], self.base).any():
            _refuse(
                "the result depends on the part of y outside H's range",
                "All that y tells about x is y_spec = s^+ U^T y, and an AffineLaw acts on it.",
            )
        wrong, error = self.off(x, due, self.mixtures), (x - due).abs().amax(1)
        for what, which in (("y", _IN_Y), ("its noise", _IN_NOISE), ("both", _IN_BOTH)):
            mine = wrong & ((self.mixtures != 0) == torch.tensor(which, dtype=torch.bool)).all(1)
            if mine.any():
                scale = float(self.mixtures[mine].abs().max())
                _refuse(
                    f"it is not affine in {what}: a superposition, up to {scale:.2g} times a "
                    f"typical point, is off by {float(error[mine].max()):.1e}",
                    "Clipping, a division by a norm, truncated conjugate gradients or a noise "
                    "whose size depends on y are the usual causes; below 1e-4, float32 inside.",
                )

    def off(self, x: Tensor, due: Tensor, mixtures: Tensor | None = None) -> Tensor:
        """Which rows differ by more than rounding."""
        size = 1.0 if mixtures is None else 1 + mixtures.abs().sum(1)
        size = torch.maximum(torch.as_tensor(self.unit * size), due.abs().amax(-1))
        return (x - due).abs().amax(1) > math.sqrt(self.eps) * size

    # --------------------------------------------------------------------------------- the law

    def in_spec(self, rows: Tensor) -> Tensor:
        return self.op.Vt(rows.reshape(-1, *self.op.in_shape)).flatten(1)

    def result(self, base: Tensor, of_y: Tensor, factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c, A and cov from x at 0, what each y does (rank, n), and a factor (any, n)."""
        A = torch.zeros(self.op.n, self.op.n, dtype=torch.float64)
        A[:, self.seen] = self.in_spec(of_y).T
        factor = self.in_spec(factor)
        return self.in_spec(base[None])[0], A, factor.T @ factor

    def draw_by_draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """The law from all unit vectors of y and of every draw, ``at_once`` at a time."""
        assert self.sizes is not None
        rank, n = len(self.seen), self.op.n
        first = [rank + before for before in itertools.accumulate(self.sizes, initial=0)]
        weights = torch.cat([self.u, *(self.noise(k, d) for k, d in enumerate(self.sizes))], 1)
        due = self.base.repeat(5, 1)
        of_y, factor = [torch.zeros(0, n, dtype=torch.float64)], due[:0]
        for rows in torch.arange(first[-1]).split(self.at_once):
            noise = lambda k, d, rows=rows: _units(rows, first[k], d)  # noqa: E731
            effect = self.run(self.measurements(_units(rows, 0, rank)), noise) - self.base
            due += weights[:, rows] @ effect
            of_y.append(effect[rows < rank])
            factor = _compressed(torch.cat([factor, effect[rows >= rank]]))[0]
        if self.off(self.points, due).any():
            _refuse("its runs contradict each other", "Does it keep something from run to run?")
        return self.result(self.base, torch.cat(of_y), factor)

    def step_by_step(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """The same of an iterator, or None if it does not go on from the states that it is sent.

        The rows of the batch: y = 0; each unit vector of y; a factor of the covariance so far, and
        below it each unit vector of the step's noise; the points, which are sent back untouched.
        """
        assert self.sizes is not None
        rank, n, widths, start = len(self.seen), self.op.n, [], 0
        for end in self.ends:
            widths.append(sum(self.sizes[start:end]))
            start = end
        pool = max([*widths[:1], *(n + width for width in widths[1:]), 0])
        rows = torch.arange(1 + rank + pool + 5)
        y = torch.cat([self.measurements(_units(rows[:-5], 1, rank)), self.y])
        used, weights = 0, torch.zeros(5, 0, dtype=torch.float64)  # of the pool, at the points

        def noise(k: int, size: int) -> Tensor:
            nonlocal used, weights
            z, own = _units(rows, 1 + rank + used, size), self.noise(k, size)
            z[-5:] = own
            used, weights = used + size, torch.cat([weights, own], 1)
            return z

        with self.called(y, noise) as (run, _):
            step = next(run)
            while step is not None:
                x = self.images(getattr(step, "x", step), len(y))
                base, factor = x[0], x[1 + rank : 1 + rank + used] - x[0]
                factor, Q = _compressed(factor)
                used, weights = len(factor), weights @ Q
                state = x.clone()
                state[1 + rank : -5] = base
                state[1 + rank : 1 + rank + used] += factor
                try:
                    step = run.send(state.reshape(-1, *self.op.in_shape))
                except StopIteration:
                    step = None
        of_y = x[1 : 1 + rank] - base
        due = base + self.u @ of_y + weights @ factor
        taken = not self.off(self.points[:4], due[:4]).any()
        return self.result(base, of_y, factor) if taken else None


_IN_Y, _IN_NOISE, _IN_BOTH = (1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (1, 1, 1, 1, 0)

_OTHER_DRAWS = (
    "it does not draw the same numbers in every run",
    "Does it draw, or resample, until the data are such, or keep noise from run to run?",
)


def _units(rows: Tensor, first: int, size: int) -> Tensor:
    """(len(rows), size): row ``first + j`` holds unit vector j, all others 0."""
    return (rows[:, None] == torch.arange(first, first + size)).double()


def _compressed(factor: Tensor) -> tuple[Tensor, Tensor]:
    """R (at most n, n) and Q with ``factor = Q @ R`` and ``R.T @ R = factor.T @ factor``."""
    if len(factor) <= factor.shape[1]:
        return factor, torch.eye(len(factor), dtype=factor.dtype)
    Q, R = torch.linalg.qr(factor)
    return R, Q


def _refuse(found: str, cause: str) -> NoReturn:
    raise NoExactLaw(
        "law_of needs a sampler that is affine in y_spec and in normal noise of its own for each "
        f"image, but {found}. {cause} monte_carlo_law estimates the law of any sampler."
    )


# ----------------------------------------------------------------------------- by random draws


@dataclass(frozen=True, eq=False)
class EstimatedLaw:
    r"""What is estimated of any sampler's law, with standard errors of one deviation.

    Attributes
    ----------
    law : AffineLaw
        Its mean map :math:`A\bar y+c` is the affine one that fits :math:`E[\bar x\mid\bar y]` best
        on average over y, and ``cov`` the average :math:`E_y\mathrm{Cov}[\bar x\mid\bar y]`.
    A_error, cov_error : Tensor, shape (n, n)
    c_error : Tensor, shape (n,)
    bend, bend_error : float
        :math:`E_y\lVert E[\bar x\mid\bar y]-A\bar y-c\rVert^2`: what no affine map explains.  An
        estimate without bias, which may come out below 0.
    draws : int
    """

    law: AffineLaw
    A_error: Tensor
    c_error: Tensor
    cov_error: Tensor
    bend: float
    bend_error: float
    draws: int


def monte_carlo_law(
    sampler: Sampler,
    prior: GaussianPrior,
    op: SVDOperator,
    *,
    sigma_y: float,
    draws: int = 10_000,
    at_once: int = 10_000,
    generator: Generators = None,
) -> EstimatedLaw:
    r"""The law of a sampler that need not be affine, estimated from draws.

    Images are drawn from the prior and measured, and the sampler restores each measurement twice.
    The half difference of the two shows the spread, whatever the mean may be; a regression of their
    mean on y_spec gives the mean map.

    Parameters
    ----------
    sampler, prior, op, sigma_y
        As in :func:`law_of`; any randomness will do, but each image has its own.
    draws : int
        Runs, two for each measurement; more than 4 (rank + 1) of them.
    at_once : int
        Images of one call, at most.
    generator : torch.Generator, optional
        Draws images and measurements, and is handed to the sampler.

    Returns
    -------
    EstimatedLaw
        The standard errors hold for large numbers of draws, for a noise of any kind; they do not
        assume that the mean is affine.  :func:`gap` takes its ``law``; there the squares of
        relative W2 and of its mean part are too large by about
        (rank + 1) / draws, in units of the law's trace of cov over the posterior's.

    Raises
    ------
    ValueError
        If there are too few draws, or the sampler returns what is no image or not finite.

    Examples
    --------
    >>> from ddrm_edu import Denoising
    >>> prior, op = GaussianPrior(torch.zeros(1), torch.eye(1)), Denoising((1,))
    >>> found = monte_carlo_law(lambda denoiser, op, y, *, generator: y.clamp(-1, 1), prior, op,
    ...     sigma_y=0.5, generator=torch.Generator().manual_seed(0))
    >>> float(found.law.cov)  # it has no noise
    0.0
    >>> found.bend > 10 * found.bend_error  # and its mean is not affine
    True
    """
    require_gaussian(prior, op)
    sigma_y = require_level(sigma_y, "sigma_y")
    seen = (op.spectrum().flatten() > 0).nonzero().flatten()
    if not is_integer(draws) or draws <= 4 * (len(seen) + 1):
        raise ValueError(
            f"draws must be a number above 4 (rank + 1) = {4 * (len(seen) + 1)}, but was {draws}: "
            "with fewer the mean map fits its own noise."
        )
    pairs = draws // 2
    y = op(prior.sample(pairs, generator=generator))
    y = y + sigma_y * standard_normal(y, generator)
    restored: list[Tensor] = []
    for part in torch.cat([y, y]).split(at_once):
        x = sampler(prior, op, part, generator=generator)
        if not isinstance(x, Tensor):
            for step in x:
                x = getattr(step, "x", step)
        if x.shape != (len(part), *op.in_shape) or not x.isfinite().all():
            raise ValueError(
                f"The sampler must return finite images of shape {(len(part), *op.in_shape)}, but "
                f"gave {tuple(x.shape)}, {int((~x.isfinite()).sum())} entries not finite."
            )
        restored.append(op.Vt(x.detach().double()).flatten(1))
    one, two = torch.cat(restored).split(pairs)

    y_spec = op.measure_spec(y).flatten(1)[:, seen]
    centre, spread = y_spec.mean(0), y_spec.std(0)
    spread = spread.where(spread > 0, 1.0)
    columns = torch.cat([torch.ones(pairs, 1).double(), (y_spec - centre) / spread], 1)
    slope = torch.linalg.pinv(columns)  # (1 + rank, pairs), and now for y_spec itself:
    slope[1:] /= spread[:, None]
    slope[0] -= centre @ slope[1:]
    fit = slope @ (one + two) / 2
    mean = fit[0] + y_spec @ fit[1:]
    left = (one + two) / 2 - mean
    fit_error = (slope**2 @ left**2 * pairs / (pairs - len(slope))).sqrt()

    apart = (one - two) / math.sqrt(2)
    cov = apart.T @ apart / pairs
    cov_error = ((apart**2).T @ apart**2 / pairs - cov**2).clamp(min=0).sqrt() / math.sqrt(pairs)
    # The noise of the two is independent but for the fit, which both of them pulled to themselves.
    bends = ((one - mean) * (two - mean)).sum(1) + float(cov.trace()) * len(slope) / pairs / 2

    A, A_error = (torch.zeros(op.n, op.n, dtype=torch.float64) for _ in range(2))
    A[:, seen], A_error[:, seen] = fit[1:].T, fit_error[1:].T
    law = AffineLaw(
        A, fit[0], cov, law_of_y_spec(spectral_law(prior, op), op.spectrum(), sigma_y), op
    )
    bend_error = float(bends.std()) / math.sqrt(pairs)
    return EstimatedLaw(
        law, A_error, fit_error[0], cov_error, float(bends.mean()), bend_error, 2 * pairs
    )

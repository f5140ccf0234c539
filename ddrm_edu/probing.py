r"""The exact law of any affine sampler, found by running it.

With the exact denoiser of a Gaussian prior a whole run of most samplers is affine in the
measurement and in the normal numbers that it draws,

    x = c + A y_spec + N z,      z ~ N(0, I),

so a batch of zero and unit vectors in the place of y and z shows c, A and N.  Nothing needs to be
known of the sampler: its draws are intercepted where torch dispatches them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .boundary import checked, require_call
from .law import AffineLaw, law_of_y_spec, require_gaussian, spectral_law
from .operators.base import AT_ONCE, SVDOperator
from .priors import GaussianPrior
from .validation import EPS, is_batch, is_integer

Sampler = Callable[..., Any]
"""``sampler(denoiser, op, y, *, generator)``: the image, or an iterator of steps or images."""

Noise = Callable[[int, int], Tensor]
"""``noise(k, size)``: draw k of a run, ``size`` numbers for each image; (batch, size)."""


class NoExactLaw(ValueError):
    """What ``law_of`` raises for a sampler that has no such law; the message says why."""


@checked
def law_of(
    sampler: Sampler,
    prior: GaussianPrior,
    op: SVDOperator,
    *,
    sigma_y: float,
    at_once: int | None = None,
) -> AffineLaw:
    r"""Exact law of what a sampler returns, if its denoiser is the exact one of a Gaussian prior.

    :math:`p(\bar x\mid\bar y)=N(A\bar y+c,NN^\top)`, as :func:`sampler_law` gives it for DDRM
    (ledger section 4), of any sampler that is affine in y and in its noise.

    Parameters
    ----------
    sampler : callable
        Called as ``sampler(prior, op, y, generator=generator)`` with float64 y of shape
        ``(batch, *out_shape)``; returns images ``(batch, *in_shape)``, or an iterator of steps or
        images, of which the last one counts.  Levels, rates and ``sigma_y`` are bound inside.
    prior : GaussianPrior
        The sampler's denoiser.
    op : SVDOperator
    sigma_y : float
        Noise of the measurements over which :func:`gap` averages; the sampler is not told.
    at_once : int, optional
        Images of a call, at most; by default as many as hold 2^20 numbers.  With 1 a draw of any
        shape belongs to the one image, and images cannot be mixed.

    Returns
    -------
    AffineLaw

    Raises
    ------
    NoExactLaw
        A ``ValueError`` that says what was found: the sampler is not affine in y or in its noise;
        depends on the part of y outside H's range; draws what is not normal, or as often as the
        data say; mixes the images of a batch; does not repeat itself; or gives what is not finite.
        :func:`monte_carlo_law` estimates the law of such a sampler.
    ValueError
        For a prior that is not Gaussian or does not fit the operator, and for what is no image.

    Notes
    -----
    The numbers of ``torch.randn``, ``randn_like``, ``normal`` and ``normal_`` are replaced, whoever
    asks for them and from whichever generator, so that seeds have no effect; the generator that the
    sampler is given is a new one on the CPU.  All other randomness of torch is refused by name;
    that of numpy is noticed because equal runs differ, so not if it is seeded inside the sampler.
    Affinity is tested at nine random points on scales 0.01, 1 and 100, to the square root of the
    rounding unit of the numbers that the sampler draws and returns.

    An iterator that goes on from another state when it is sent one (``run.send(x)``), as those of
    this package do, is probed step by step: all that earlier noise has done is a factor of the
    covariance with n columns, so two runs suffice, of batches of 15 and of 6 + rank + 2 n images,
    however many steps there are.  Whether it does so is tested; if not, or if ``at_once`` is given,
    each number that a run draws takes an image.  Nothing is kept between calls.

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
    require_sampler(sampler)
    y_spec = law_of_y_spec(spectral_law(prior, op), op.spectrum(), sigma_y)
    probe = _Probe(sampler, prior, op, images_at_once(at_once, op))
    found = probe.step_by_step() if at_once is None else None
    c, A, cov = found or probe.draw_by_draw()
    return AffineLaw(A, c, cov, y_spec, op)


class _Draws(TorchDispatchMode):
    """Gives the normal numbers that a sampler asks for, and refuses any other randomness."""

    def __init__(self, batch: int, noise: Noise) -> None:
        super().__init__()
        self.batch, self.noise = batch, noise
        self.sizes: list[int] = []  # numbers for each image, draw by draw
        self.eps = EPS

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's compiler, which takes seconds to load, has no part in this

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not _is_random(func):
            return out
        name = func.overloadpacket.__name__
        mean, std = 0.0, 1.0
        if name in ("normal", "normal_", "normal_functional"):
            given = args if name == "normal" else args[1:]
            mean, std = (*given, *(mean, std)[len(given) :])[:2]  # defaults are left out
        elif name not in ("randn", "randn_like"):
            _refuse(f"it draws by torch's {name}", "Only normal noise can be told by its factor.")
        if self.batch > 1 and out.shape[:1] != (self.batch,):
            _refuse(
                f"draw {len(self.sizes)} has shape {tuple(out.shape)} in a batch of {self.batch}, "
                "not noise of its own for each image",
                "Draw noise of the shape of x, or pass at_once=1 if it is right for one image.",
            )
        z = self.noise(len(self.sizes), out.numel() // self.batch)
        self.sizes.append(z.shape[1])
        self.eps = max(self.eps, torch.finfo(out.dtype).eps)
        return out.copy_(mean + std * z.reshape(out.shape).to(out.device))


@functools.cache
def _is_random(func: Any) -> bool:
    """Of a function of torch; remembered, because it is asked at each call of any of them."""
    return torch.Tag.nondeterministic_seeded in func.tags


class _Probe:
    """A sampler on one problem, run and tested at points.

    The points are two random y in H's range, two random noises and a y outside of H's range, each
    with all else 0; the first run is at mixtures of them: 0, each alone, and nine random ones.
    """

    def __init__(
        self, sampler: Sampler, prior: GaussianPrior, op: SVDOperator, at_once: int
    ) -> None:
        self.sampler, self.prior, self.op, self.at_once = sampler, prior, op, at_once
        self.seen = (op.spectrum().flatten() > 0).nonzero().flatten()
        self.plan: list[int] | None = None  # sizes of all draws, once they are known
        self.eps = EPS

        random = torch.Generator().manual_seed(0)
        normal = lambda *shape: torch.randn(shape, generator=random, dtype=torch.float64)  # noqa: E731
        size = float(torch.maximum(prior.mean.abs().max(), prior.eigenvalues[-1].sqrt())) or 1.0
        self.u = torch.zeros(5, len(self.seen), dtype=torch.float64)  # y_spec where s > 0
        self.u[:2] = size * normal(2, len(self.seen))
        self.y = self.measurements(self.u)
        outside = normal(1, *op.out_shape)
        self.y[4:] = (outside - op.U(op.Ut(outside))) * (float(self.y.abs().max()) or size)
        scales = torch.tensor([0.01, 1, 100]).double().repeat_interleave(3)[:, None]
        which = torch.tensor([_IN_Y, _IN_NOISE, _IN_BOTH]).double().repeat(3, 1)
        alone = torch.eye(6, 5, dtype=torch.float64).roll(1, 0)
        self.mixtures = torch.cat([alone, scales * which * normal(9, 5)])

        self.x = self.at(self.mixtures)
        self.base, self.points = self.x[0], self.x[1:6]
        self.unit = float(self.x[:6].abs().max())  # the size of an image

    def measurements(self, y_spec: Tensor) -> Tensor:
        """y in H's range, of those coordinates (batch, rank) of y_spec that are measured."""
        whole = torch.zeros(len(y_spec), self.op.n, dtype=torch.float64)
        whole[:, self.seen] = y_spec
        return self.op(self.op.V(whole.reshape(-1, *self.op.in_shape)))

    def noise(self, k: int, size: int) -> Tensor:
        """Draw k at the points."""
        z, random = torch.zeros(5, size, dtype=torch.float64), torch.Generator().manual_seed(k + 1)
        z[2:4] = torch.randn(2, size, generator=random, dtype=torch.float64)
        return z

    # -------------------------------------------------------------------------------------- runs

    @contextmanager
    def called(self, y: Tensor, noise: Noise) -> Iterator[tuple[Any, _Draws]]:
        """What the sampler returns, whose draws are ``noise`` and must be those of all runs."""
        plan, others = self.plan, "Does it draw, or resample, until the data are such?"

        def planned(k: int, size: int) -> Tensor:
            if plan is not None and plan[k : k + 1] != [size]:
                _refuse("it does not draw the same numbers in every run", others)
            return noise(k, size)

        with torch.random.fork_rng(devices=[]), _Draws(len(y), planned) as draws:
            yield self.sampler(self.prior, self.op, y, generator=torch.Generator()), draws
        if plan is not None and plan != draws.sizes:
            _refuse("it does not draw the same numbers in every run", others)
        self.plan, self.eps = draws.sizes, max(self.eps, draws.eps)

    def run(self, y: Tensor, noise: Noise) -> Tensor:
        """The last images, in pixels, (batch, n)."""
        with self.called(y.clone(), noise) as (result, draws):
            self.takes_states = isinstance(result, Generator)  # perhaps
            self.ends: list[int] = []  # number of draws at the end of each step
            return self.images(last_image(result, lambda: self.ends.append(len(draws.sizes))), y)

    def images(self, x: Any, y: Tensor) -> Tensor:
        """x in float64, (batch, n), which must be an image for each y."""
        x = require_images(x, (len(y), *self.op.in_shape))
        if not x.isfinite().all():
            _refuse("an image is not finite", "Are levels or weights out of range?")
        self.eps = max(self.eps, torch.finfo(x.dtype).eps)
        return x.detach().double().flatten(1)

    def at(self, mixtures: Tensor) -> Tensor:
        """Images at mixtures (batch, 5) of the points."""

        def one(part: Tensor) -> Tensor:
            y = torch.tensordot(part, self.y, 1)
            return self.run(y, lambda k, size: part @ self.noise(k, size))

        return torch.cat([one(part) for part in mixtures.split(self.at_once)])

    # ------------------------------------------------------------------------------------- tests

    def off(self, x: Tensor, due: Tensor, mixtures: Tensor | None = None) -> Tensor:
        """Which images differ by more than rounding."""
        size = torch.ones(len(x)) if mixtures is None else 1 + mixtures.abs().sum(1)
        size = torch.maximum(self.unit * size, due.abs().amax(-1))
        return (x - due).abs().amax(1) > math.sqrt(self.eps) * size

    def fault(self) -> tuple[str, str] | None:
        """What is not affine in the first run, and why it may be so."""
        if self.off(self.points[4:], self.base).any():
            return (
                "the result depends on the part of y outside H's range",
                "What y tells about x is y_spec = s^+ U^T y, on which an AffineLaw acts; a norm of "
                "y - H x, as in DPS, knows the rest of y as well.",
            )
        due = self.base + self.mixtures @ (self.points - self.base)
        wrong, error = self.off(self.x, due, self.mixtures), (self.x - due).abs().amax(1)
        for what, which in (("y", _IN_Y), ("its noise", _IN_NOISE), ("both together", _IN_BOTH)):
            mine = wrong & ((self.mixtures != 0) == torch.tensor(which).bool()).all(1)
            if mine.any():
                return (
                    f"it is not affine in {what}: at random points up to "
                    f"{float(self.mixtures[mine].abs().max()):.2g} times a typical one an image is "
                    f"off by {float(error[mine].max()):.1e}",
                    "Clipping, a division by a norm, truncated conjugate gradients, noise whose "
                    "size depends on y, a choice among particles? Below 1e-4, float32 inside?",
                )
        return None

    def require_repeatable(self) -> None:
        """Raise `NoExactLaw` if an image depends on anything but its own y and noise."""
        later = len(self.x) // 2  # they hold the largest mixtures
        again, due = self.at(self.mixtures[later:]), self.x[later:]
        if not self.off(again, due).any():
            return
        if self.off(self.at(self.mixtures), self.x).any():
            found = "two equal runs differ"
            _refuse(found, "It draws from numpy or Python, or keeps something from run to run.")
        by = float(((again - due).abs().amax(1) / due.abs().amax(1).clamp(min=self.unit)).max())
        _refuse(
            f"an image depends on the others of its batch, by {by:.1e} of its size",
            "Is something averaged over the batch? If one image alone is right, pass at_once=1. "
            "Below 1e-4, float32 inside, whose rounding depends on the size of the batch?",
        )

    # --------------------------------------------------------------------------------- the law

    def draw_by_draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """c, A and cov from all unit vectors of y and of every draw, ``at_once`` at a time."""
        self.require_repeatable()
        if fault := self.fault():
            _refuse(*fault)
        plan, rank = self.plan or [], len(self.seen)
        first = list(itertools.accumulate(plan, initial=rank))
        weights = torch.cat([self.u, *(self.noise(k, size) for k, size in enumerate(plan))], 1)
        due = self.base.repeat(5, 1)
        of_y, factor = [due[:0]], due[:0]
        for rows in torch.arange(first[-1]).split(self.at_once):
            noise = lambda k, size, rows=rows: _units(rows, first[k], size)  # noqa: E731
            effect = self.run(self.measurements(_units(rows, 0, rank)), noise) - self.base
            due += weights[:, rows] @ effect
            of_y.append(effect[rows < rank])
            factor, _ = _compressed(torch.cat([factor, effect[rows >= rank]]))
        if self.off(self.points, due).any():
            _refuse("its runs contradict each other", "Does it keep something from run to run?")
        return self.in_spec(self.base, torch.cat(of_y), factor)

    def step_by_step(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """The same of an affine iterator, or None if it does not go on from what it is sent.

        The rows of the batch: y = 0; each unit vector of y; a factor of the covariance so far, and
        below it each unit vector of the step's noise; the points, which are sent back untouched and
        must come out as in the first run, and where the law says.
        """
        if not self.takes_states or self.fault():
            return None
        starts, rank = [0, *self.ends], len(self.seen)
        widths = [sum((self.plan or [])[a:b]) for a, b in itertools.pairwise(starts)]
        pool = max([widths[0], *(self.op.n + width for width in widths[1:])])
        rows = torch.arange(1 + rank + pool + 5)
        y = torch.cat([self.measurements(_units(rows[:-5], 1, rank)), self.y])
        used, weights = 0, torch.zeros(5, 0, dtype=torch.float64)  # of the pool; at the points

        def noise(k: int, size: int) -> Tensor:
            nonlocal used, weights
            z, own = _units(rows, 1 + rank + used, size), self.noise(k, size)
            z[-5:] = own
            used, weights = used + size, torch.cat([weights, own], 1)
            return z

        with self.called(y, noise) as (run, _):
            step = next(run, None)
            while step is not None:
                x = self.images(getattr(step, "x", step), y)
                base, own = x[0], x[1 + rank : 1 + rank + used]
                factor, Q = _compressed(own - base)
                used, weights = len(factor), weights @ Q
                state = x.clone()
                state[1 + rank : -5] = base
                state[1 + rank : 1 + rank + used] += factor
                at_points = weights
                try:
                    step = run.send(state.reshape(-1, *self.op.in_shape))
                except StopIteration:
                    break
        of_y = x[1 : 1 + rank] - base
        due = base + self.u @ of_y + at_points @ factor
        if (self.off(self.points, due) | self.off(self.points, x[-5:])).any():
            return None
        return self.in_spec(base, of_y, factor)

    def in_spec(self, base: Tensor, of_y: Tensor, factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c, A and cov from the image at 0, the effects of y_spec, and a factor, as rows."""
        rows = torch.cat([base[None], of_y, factor]).reshape(-1, *self.op.in_shape)
        c, of_y, factor = self.op.Vt(rows).flatten(1).split([1, len(of_y), len(factor)])
        A = torch.zeros(self.op.n, self.op.n, dtype=torch.float64)
        A[:, self.seen] = of_y.T
        cov = factor.T @ factor
        return c[0], A, (cov + cov.T) / 2


_IN_Y, _IN_NOISE, _IN_BOTH = (1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (1, 1, 1, 1, 0)


def _units(rows: Tensor, first: int, size: int) -> Tensor:
    """(len(rows), size): row number ``first + j`` holds unit vector j, all others 0."""
    return (rows[:, None] == torch.arange(first, first + size)).double()


def _compressed(factor: Tensor) -> tuple[Tensor, Tensor]:
    """R with at most n rows, and Q, of ``factor = Q @ R``: the covariance R^T R is the same."""
    if len(factor) <= factor.shape[1]:
        return factor, torch.eye(len(factor), dtype=factor.dtype)
    Q, R = torch.linalg.qr(factor)
    return R, Q


def images_at_once(at_once: int | None, op: SVDOperator) -> int:
    if at_once is None:
        return max(1, AT_ONCE // max(op.n, op.m))
    if isinstance(at_once, bool) or not is_integer(at_once) or at_once < 1:
        raise ValueError(
            f"at_once must be a number of images, at least 1, but was {at_once!r:.40}."
        )
    return int(at_once)


def require_sampler(sampler: Sampler) -> None:
    """Raise ``ValueError`` unless it takes what the samplers of a law are called with."""
    due = "sampler must take what it is called with, sampler(denoiser, op, y, generator=generator)"
    fix = "functools.partial binds sigmas and all else."
    require_call(sampler, due, None, None, None, generator=None, fix=fix)


def last_image(result: Any, after_each: Callable[[], None] = lambda: None) -> Any:
    """The image that counts of what a sampler returns: an image, or an iterator of them."""
    if isinstance(result, Iterable) and not isinstance(result, Tensor):
        for step in result:
            result = getattr(step, "x", step)
            after_each()
    return result


def require_images(x: Any, due: tuple[int, ...]) -> Tensor:
    if not is_batch(x, due[1:]) or len(x) != due[0]:
        given = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"The sampler must return floating-point images of shape {due}, or an iterator of "
            f"steps, but gave {given}. Wrap it in a lambda that returns the image alone."
        )
    return x


def _refuse(found: str, cause: str) -> NoReturn:
    raise NoExactLaw(
        "law_of needs a sampler that is affine in y_spec and in normal noise of its own for each "
        f"image, but {found}. {cause} monte_carlo_law estimates the law of any sampler."
    )

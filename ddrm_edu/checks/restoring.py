"""What DDRM does with one operator: the marginals, the exact law of its output, recovery."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import torch
from torch import Tensor

from ..ddrm import ddrm_samples
from ..gaussian import Gaussian
from ..law import AffineLaw, inference_network, sampler_law
from ..noise import standard_normal
from ..operators import SVDOperator
from ..priors import GaussianPrior
from ._laws import Law
from .scores import check_mc

__all__ = ["MARGINAL", "RECOVERY", "SAMPLER", "marginal_laws", "recovery_laws", "sampler_laws"]

MARGINAL = ("q(x_t | x_0) = N(x_0, sigma_t^2 I) at every level (Proposition 3.1)",)
SAMPLER = (
    "the mean of the output of ddrm_samples is the affine map of y that is due",
    "the covariance of the output of ddrm_samples is the one that is due",
)
RECOVERY = (
    "without noise the restored image satisfies H x = y",
    "without noise the restored image is nearer to x_0 than H^+ y",
)

EPS = torch.finfo(torch.float64).eps
COORDINATES = 32  # whose joint law is looked at, of more than that many
EXACT = 256  # entries of an image up to which covariances are found without chance
LARGEST = 1024  # up to which a prior with a full covariance takes a few seconds
STEPS = 4  # network evaluations of a run whose law is computed
DRAWS = 1000
RATES = ((0.85, 1.0), (0.6, 0.7))  # (eta, eta_b): the paper's, and generic ones


def marginal_laws(op: SVDOperator, sigmas: Tensor, sigma_y: float) -> Iterator[Law | str]:
    """S12.1, X12: mean and full covariance of every x_t given x_0, on the spectrum of ``op``."""
    spectrum = op.s.detach().double().cpu().expand(op.in_shape).flatten()
    s = spectrum[_chosen(spectrum)]
    n, T = len(s), len(sigmas) - 1
    x0 = torch.linspace(-1.5, 1.5, n, dtype=torch.float64)
    bound = 100 * EPS * T * n**0.5
    worst, found = 0.0, ""
    for eta, eta_b in RATES:
        dirac = Gaussian(x0, torch.zeros(n, n))
        network = inference_network(dirac, s, sigmas, sigma_y=sigma_y, eta=eta, eta_b=eta_b)
        for t in range(1, T + 1):
            sigma, law = float(sigmas[T - t]), network.joint(f"x{t}")
            mean = float((law.mean - x0).abs().max()) / max(1.0, sigma)
            cov = float((law.cov / sigma**2 - torch.eye(n, dtype=torch.float64)).abs().max())
            if not max(mean, cov) <= max(worst, bound):
                found = f"at sigma = {sigma:.3g}, eta = {eta}, eta_b = {eta_b} "
                found += f"the mean is off by {mean:.2g}, the covariance by {cov:.2g} of its size."
            worst = max(worst, mean, cov)
    within = f"{_how_many(n, len(spectrum))}, {T} levels, full covariance: error <= {bound:.0e}"
    advice = "The coefficients do not fit this spectrum: is some s negative, or not a number?"
    yield Law(MARGINAL[0], worst, bound, advice, found, within)


def _how_many(chosen: int, n: int) -> str:
    if chosen == n:
        return f"all {n} coordinates"
    return f"{chosen} of {n:,} coordinates, extremes included"


def _chosen(s: Tensor) -> Tensor:
    """Places of the largest, the smallest, the lost and some values between, of a long spectrum."""
    order = s.argsort()
    if len(s) <= COORDINATES:
        return order
    zeros = int((s == 0).sum())
    lost = order[:zeros][:4]
    spread = torch.linspace(zeros, len(s) - 1, COORDINATES - len(lost)).round().long()
    seen = order[spread.clamp(max=len(s) - 1)] if zeros < len(s) else order[4:COORDINATES]
    return torch.cat([lost, seen.unique()])


def sampler_laws(op: SVDOperator, sigmas: Tensor, sigma_y: float) -> Iterator[Law | str]:
    """S18.1, section 4: the real sampler with the exact denoiser of a Gaussian prior."""
    if op.n > LARGEST:
        yield from [f"n = {op.n:,} is above {LARGEST:,}: test a smaller image."] * 2
        return
    levels = sigmas[torch.linspace(0, len(sigmas) - 1, min(STEPS + 1, len(sigmas))).long()]
    eta, eta_b = RATES[1]
    run = _Runs(op, levels, {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b})
    yield run.mean_law()
    yield run.exact_covariance_law() if op.n <= EXACT else run.drawn_covariance_law()


class _Runs:
    """Runs of ``ddrm_samples`` whose noise is known, and the law that they should have."""

    def __init__(self, op: SVDOperator, levels: Tensor, settings: dict[str, float]):
        self.op, self.levels, self.settings = op, levels, settings
        generator = torch.Generator().manual_seed(0)
        self.prior = _prior(op, generator)
        self.law: AffineLaw = sampler_law(self.prior, op, levels, **settings)
        x0 = self.prior.sample(3, generator=generator)
        y = op(x0)
        self.y = y + settings["sigma_y"] * standard_normal(y, generator)
        self.y = torch.cat([torch.zeros_like(y[:1]), self.y])

    def outputs(self, y: Tensor, generator) -> Tensor:
        """Restored images in spectral coordinates, flattened."""
        *_, last = ddrm_samples(
            self.prior, self.op, y, self.levels, generator=generator, **self.settings
        )
        return self.op.Vt(last.x).flatten(1)

    def rounding(self, due: Tensor) -> float:
        size = float(self.levels[0]) + float(due.abs().max())
        return 1000 * EPS * self.op.n**0.5 * size / float(due.abs().max() or 1.0)

    def mean_law(self) -> Law:
        """With one noise for all images, what differs between them is the mean."""
        same = [torch.Generator().manual_seed(1) for _ in self.y]
        x = self.outputs(self.y, same)
        due = (self.op.measure_spec(self.y).flatten(1)) @ self.law.A.T
        error = ((x - x[:1]) - (due - due[:1])).abs().max() / (due.abs().max() or 1.0)
        bound = self.rounding(due)
        return Law(SAMPLER[0], float(error), bound, _ADVICE, within=f"error <= {bound:.0e}")

    def exact_covariance_law(self) -> Law:
        """The output is an affine map of the noise, which the seed tells: B with B B^T = cov."""
        n, draws = self.op.n, len(self.levels) - 1  # the last step draws noise and does not use it
        batch = int(1.2 * draws * n) + 20
        zero = torch.zeros(1, *self.op.out_shape, dtype=torch.float64)
        x = self.outputs(zero.expand(batch, *zero.shape[1:]), torch.Generator().manual_seed(2))
        generator = torch.Generator().manual_seed(2)
        like = torch.empty(batch, *self.op.in_shape, dtype=torch.float64)
        z = torch.cat([standard_normal(like, generator).flatten(1) for _ in range(draws)], 1)
        columns = torch.cat([torch.ones(batch, 1, dtype=torch.float64), z], 1)
        maps = torch.linalg.lstsq(columns, x).solution
        unexplained = float((columns @ maps - x).abs().max() / x.abs().max())
        found, due = maps[1:].T @ maps[1:], self.law.cov
        error = max(
            float((found - due).abs().max() / due.abs().max()),
            float((maps[0] - self.law.c).abs().max() / (1 + self.law.c.abs().max())),
            unexplained,
        )
        bound = 10 * self.rounding(due.diagonal().sqrt())
        within = f"full covariance of {n} coordinates, no chance: error <= {bound:.0e}"
        return Law(SAMPLER[1], error, bound, _ADVICE, within=within)

    def drawn_covariance_law(self) -> Law:
        s = self.op.s.detach().double().cpu().expand(self.op.in_shape).flatten()
        place = _chosen(s)
        y = self.y[1:2].expand(DRAWS, *self.y.shape[1:])
        x = self.outputs(y, torch.Generator().manual_seed(3))[:, place]
        mean = (self.op.measure_spec(self.y[1:2]).flatten(1) @ self.law.A.T + self.law.c)[0]
        cov = self.law.cov[place][:, place]
        found = _refused_by_chance(x, mean[place], cov)
        within = f"N = {DRAWS:,}, {_how_many(len(place), self.op.n)}"
        return Law(SAMPLER[1], float(bool(found)), 0.5, _ADVICE, found, within)


_ADVICE = (
    "If the laws of the operator hold, the sampler is at fault and not H: please report it, with H."
)


def _refused_by_chance(x: Tensor, mean: Tensor, cov: Tensor) -> str:
    """The sentence of ``check_mc`` if the draws do not have this law, else nothing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check_mc("output", x, mean=mean, cov=cov)
    except AssertionError as refused:
        return str(refused).removeprefix("output: ")
    return ""


def recovery_laws(op: SVDOperator, sigmas: Tensor) -> Iterator[Law | str]:
    """S17.3, X06: images of a known prior, measured exactly, restored and compared."""
    generator = torch.Generator().manual_seed(4)
    small = op.n <= LARGEST
    prior = (_prior if small else _IsotropicPrior)(op, generator, distance=3.0)
    x0 = prior.sample(64 if small else 2, generator=generator)
    y = op(x0)
    *_, last = ddrm_samples(prior, op, y, sigmas, sigma_y=0.0, generator=generator)
    size, s_max = float(y.abs().max()) or 1.0, float(op.s.max())
    error = float((op(last.x) - y).abs().max()) / size
    bound = 1000 * EPS * op.n**0.5 * max(1.0, s_max * float(last.x.abs().max()) / size)
    advice = "In the last step x_spec = y_spec where s > 0, so the SVD does not fit H or y."
    yield Law(RECOVERY[0], error, bound, advice)
    if op.rank == op.n:
        yield "H loses nothing, so H^+ y is x_0 already."
        return
    ours, plain = ((x - x0).square().sum() for x in (last.x, op.pinv(y)))
    ratio = float(ours / plain)
    advice = "What H loses should come from the prior: does V reach the null space of H?"
    found = f"its mean square error is {ratio:.3g} times that of H^+ y."
    within = f"mean square error {ratio:.0%} of that of H^+ y"
    # What is lost has a mean of 3 and a variance near 0.5, at most about 2: a draw is off by twice
    # the variance, H^+ y by 9 more than it.
    yield Law(RECOVERY[1], ratio, 0.5, advice, found, within)


def _prior(op: SVDOperator, generator: torch.Generator, distance: float = 1.0) -> GaussianPrior:
    """Images with correlations, whose mean is ``distance`` from 0 in every spectral coordinate."""
    A = torch.randn(op.n, op.n, generator=generator, dtype=torch.float64)
    cov = 0.5 * A @ A.T / op.n + 0.05 * torch.eye(op.n, dtype=torch.float64)
    return GaussianPrior(_far_from_zero(op, generator, distance), cov)


class _IsotropicPrior:
    """The same without correlations, for images of any size."""

    def __init__(self, op: SVDOperator, generator: torch.Generator, distance: float):
        self.mean, self.variance = _far_from_zero(op, generator, distance), 0.5

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.mean + self.variance / (self.variance + sigma**2) * (x - self.mean)

    def sample(self, batch: int, *, generator: torch.Generator) -> Tensor:
        mean = self.mean.expand(batch, *self.mean.shape)
        return mean + self.variance**0.5 * standard_normal(mean, generator)


def _far_from_zero(op: SVDOperator, generator: torch.Generator, distance: float) -> Tensor:
    z = torch.randn(1, *op.in_shape, generator=generator, dtype=torch.float64)
    return op.V(distance * z.sign())[0]

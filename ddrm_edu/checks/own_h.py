"""The whole suite for a reader's own H: its claims, its assumptions, and what DDRM does with it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..boundary import checked
from ..ddrm import ddrm_samples
from ..diffusion import Denoiser
from ..gaussian import Gaussian
from ..law import inference_network, sampler_law
from ..noise import standard_normal
from ..operators import LinearMap, SVDOperator, as_operator
from ..operators.convert import TooLarge, made
from ..operators.linear_map import RAISED, NoLinearMap, linear_map, normal_images, said
from ..priors import GaussianPrior
from ..schedule import NoiseSchedule, decreasing_sigmas
from ..validation import EPS, positive_shape, require_level
from .diagnosis import Advice
from .operator import OPERATOR_CLAIMS, check_operator, linear_truth
from .report import Finding, Report
from .scores import mc_finding

MEMORY_LIMIT = 2 * 2**30
COORDINATES = 32  # whose joint law is looked at, of more than that many
EXACT = 256  # entries of an image up to which covariances are found without chance
LARGEST = 1024  # up to which a prior with a full covariance, or all values of s, take seconds
STEPS = 4  # network evaluations of a run whose law is computed
DRAWS = 1000
RATES = ((0.85, 1.0), (0.6, 0.7))  # (eta, eta_b): the paper's, and generic ones

OTHERS = "all other claims"
TOO_LARGE = "H is too large, see the assumptions."
LINEAR_MAP = "H is a real linear map of images"
ADJOINT = "the adjoint that came with H is its transpose"
SIZE = "H is small enough for a dense decomposition"


@checked
def check_H(
    H: Any,
    *,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    truth: Any = None,
    sigma_y: float = 0.05,
    sigmas: Any = None,
    rtol: float | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> Reports:
    r"""Test everything that DDRM needs of your own H, and everything that it does with it.

    Five reports: the claims of the operator (:func:`check_operator`); what the lecture takes for
    granted and does not hold here, which is no error (S11.1 with erratum E5, X12); Proposition 3.1
    on the spectrum of H (S12.1); the exact law of the real sampler with a Gaussian prior (S18.1);
    and images measured without noise and restored (S17.3, X06).

    Parameters
    ----------
    H, in_shape, out_shape, rtol, memory_limit
        As in :func:`ddrm_edu.operators.as_operator`: a matrix, an SVDOperator, a LinearOperator, a
        function of images or a pair of them with ``in_shape``, or what makes one of these.
    truth : matrix or function, optional
        H built another way, to compare an SVDOperator with; without it, the operator can be a
        perfect SVD of the wrong matrix.
    sigma_y : float
        Standard deviation of the noise in y.
    sigmas : array, optional
        Levels that end in 0; by default 20 steps of the cosine schedule, those of the shipped
        networks.

    Returns
    -------
    Reports
        ``print`` them, or ask ``reports.ok``.  Up to n = 256 nothing is left to chance; up to
        n = 1,024 the covariance of the sampler is judged from draws; beyond, what would take long
        is not asked and the reason is given.

    Raises
    ------
    ValueError
        If H is of no form that can be tested, or a number is out of range.

    Examples
    --------
    >>> def differences(x):
    ...     return x[..., 1:] - x[..., :-1]
    >>> reports = check_H(differences, in_shape=(1, 4, 4), sigma_y=0.1)
    >>> reports.ok
    True
    >>> check_H(abs, in_shape=(3,)).failures[0].name
    'H is a real linear map of images'
    """
    mine = own_h(H, in_shape, out_shape, truth=truth, rtol=rtol, memory_limit=memory_limit)
    reports = Reports(mine, sigma_y=sigma_y, sigmas=sigmas)
    _ = reports.reports  # H is called here, and not when they are printed
    return reports


# ------------------------------------------------------------------------------- what is examined


@dataclass(frozen=True, eq=False)
class OwnH:
    """Someone's H, read and examined once: what can be tested, or why it cannot, in a sentence."""

    title: str
    op: SVDOperator | None = None
    map: LinearMap | None = None  #: what H does to images, unless it came as an operator
    truth: Any = None  #: what ``op`` is compared with
    refused: str = ""  #: why it is no real linear map of images
    too_large: str = ""  #: why it is not decomposed


def own_h(
    H: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    truth: Any = None,
    rtol: float | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> OwnH:
    """Whatever H is, ready to be tested.

    Raises
    ------
    ValueError
        If H is of no form that can be tested.  An H that is not linear, not real or not finite is
        returned with the reason in ``refused``, one that is too large in ``too_large``.
    """
    for shape, name in ((in_shape, "in_shape"), (out_shape, "out_shape")):
        if shape is not None:
            positive_shape(shape, name)
    H = made(H)
    title = type(H).__name__
    if isinstance(H, SVDOperator):
        return OwnH(title, H, truth=linear_truth(H, truth)[0] or truth)
    try:
        f = linear_map(H, in_shape, out_shape)
        title = f.title
        op = as_operator(f, rtol=rtol, memory_limit=memory_limit)
    except NoLinearMap:
        raise
    except TooLarge as error:
        return OwnH(title, map=f, too_large=str(error))
    except RAISED as error:  # a reader's function may raise anything
        of_ours = isinstance(error, ValueError)
        return OwnH(title, refused=str(error) if of_ours else f"it raised {said(error)}")
    return OwnH(title, op, f, f if truth is None else linear_truth(op, truth)[0] or truth)


class Reports:
    """What was found out about one H; ``print`` it, or ask ``ok``.

    Each of the reports is made when it is first asked for.
    """

    def __init__(self, mine: OwnH, *, sigma_y: float = 0.05, sigmas: Any = None):
        self.mine = mine
        self.sigma_y = require_level(sigma_y, "sigma_y")
        levels = NoiseSchedule.cosine().sigmas(20) if sigmas is None else sigmas
        self.sigmas = decreasing_sigmas(levels)
        self._made: dict[str, Report] = {}

    def report(self, section: str) -> Report:
        """The report of one of ``SECTIONS``."""
        if section not in self._made:
            make = self._operator if section == "operator" else self._collected
            self._made[section] = make(section)
        return self._made[section]

    @property
    def reports(self) -> tuple[Report, ...]:
        """All of them, in the order of ``SECTIONS``."""
        return tuple(map(self.report, SECTIONS))

    @property
    def ok(self) -> bool:
        """True if nothing that had to hold is broken in any report."""
        return all(report.ok for report in self)

    @property
    def failures(self) -> list[Finding]:
        """What is broken and had to hold."""
        return [finding for report in self for finding in report.failures]

    @property
    def examined(self) -> bool:
        """False if H was too large for its SVD, so that nothing was asked of an operator."""
        return any(finding.name in OPERATOR_CLAIMS for finding in self.report("operator").asked)

    def to_dict(self) -> dict[str, Any]:
        """The same for machines: strings, lists and finite numbers."""
        reports = [report.to_dict() for report in self]
        title, ok, examined = self.mine.title, self.ok, self.examined
        return {"title": title, "ok": ok, "examined": examined, "reports": reports}

    def __iter__(self) -> Iterator[Report]:
        return iter(self.reports)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self))

    def finding(self, section: str, name: str) -> Finding | None:
        """What was found out about one claim, if it applies to this H."""
        found = {finding.name: finding for finding in self.report(section).findings}
        return found.get(name, found.get(OTHERS))

    @property
    def op(self) -> SVDOperator:
        """The operator, of which nothing is asked before there is one."""
        assert self.mine.op is not None
        return self.mine.op

    @cached_property
    def s(self) -> Tensor:
        """Its singular values, flattened."""
        return self.op.spectrum().flatten()

    @cached_property
    def runs(self) -> _Runs:
        """Runs of the sampler at a few of the levels."""
        few = torch.linspace(0, len(self.sigmas) - 1, min(STEPS + 1, len(self.sigmas))).long()
        return _Runs(self.op, self.sigmas[few], self.sigma_y)

    @cached_property
    def recovered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images of a known prior, measured exactly, and what is restored of them: x_0, y, x."""
        generator = torch.Generator().manual_seed(4)
        denoiser: Denoiser
        if self.op.n <= LARGEST:
            denoiser = prior = _prior(self.op, generator, distance=3.0)
            x0 = prior.sample(64, generator=generator)
        else:  # without correlations, with a variance of 1 / 2, for images of any size
            mean = _far_from_zero(self.op, generator, distance=3.0)
            denoiser = lambda x, sigma: (x + 2 * sigma**2 * mean) / (1 + 2 * sigma**2)  # noqa: E731
            x0 = mean + 0.5**0.5 * standard_normal(torch.stack([mean, mean]), generator)
        y = self.op(x0)
        *_, last = ddrm_samples(denoiser, self.op, y, self.sigmas, sigma_y=0.0, generator=generator)
        return x0, y, last.x

    def _operator(self, section: str) -> Report:
        mine = self.mine
        linear = Finding.answered(LINEAR_MAP, mine.refused, within=mine.title)
        if mine.op is None:
            others = Finding.not_asked(OTHERS, self._why_not(section, OTHERS))
            return Report(f"Operator {mine.title}", (linear, others))
        report = check_operator(mine.op, mine.truth)
        return Report(report.title, (linear, *report.findings, *_adjoint(mine)))

    def _collected(self, section: str) -> Report:
        findings: list[Finding] = []
        try:
            for name, ask in CLAIMS[section].items():
                reason = self._why_not(section, name)
                if reason:
                    break
                findings.append(ask(name, self))
        except RAISED as raised:  # a broken operator may raise anything
            reason = f"it raised {said(raised)}"
        if reason:
            findings.append(Finding.not_asked(OTHERS, reason))
        return Report(section.capitalize(), tuple(findings))

    def _why_not(self, section: str, name: str) -> str:
        """Why neither this claim nor those after it can be asked."""
        if self.mine.refused:
            return "they wait for an H that is a linear map."
        if name == SIZE:
            return ""
        if self.mine.op is None:
            return TOO_LARGE
        if section != "assumptions" and any(
            finding.name != ADJOINT for finding in self.report("operator").failures
        ):
            return "they wait for the claims of the operator."
        return ""


def _adjoint(mine: OwnH) -> Iterator[Finding]:
    """Whether the transpose that came with H, if one did, is that of its decomposition."""
    if mine.map is None or mine.op is None or mine.map.array is not None:
        return
    advice = Advice(
        "DDRM does not use it, but whoever does gets another gradient.",
        "The dot test is <H x, y> = <x, H^T y>: look for a mean in the place of a sum, and a "
        "kernel that must be flipped.",
    )
    y = normal_images(mine.op.out_shape, seed=5)
    try:
        if mine.map.adjoint is None:
            return
        got, due = mine.map.adjoint(y), mine.op.adjoint(y)
    except RAISED as raised:
        yield Finding.answered(ADJOINT, f"it raised {said(raised)}", *advice)
        return
    size, eps = float(due.abs().max()) or 1.0, mine.map.eps
    bound = 1e-10 if eps < 1e-12 else 1000 * eps * mine.op.n**0.5
    scale = float((got * due).sum() / (due * due).sum()) if due.any() else 1.0
    found = ""
    if scale and float((got / scale - due).abs().max()) <= bound * size:
        found = f"it is {scale:.6g} times the transpose."
    error = float((got - due).abs().max()) / size
    yield Finding.measured(ADJOINT, error, bound, found, *advice)


# ------------------------------------------------------------------------------------ assumptions
#
# What the lecture takes for granted about H, and what to do where it does not hold.  None of it is
# an error: DDRM runs, and does what it should, but that is not what one may expect.


_remark = functools.partial(Finding.answered, remark=True)


def _size(name: str, own: Reports) -> Finding:
    return _remark(name, own.mine.too_large, within="or of a structure that needs none")


def _linear(name: str, own: Reports) -> Finding:
    f = own.mine.map
    if f is not None and f.eps > EPS:
        return _remark(
            name,
            f"H returns numbers with a rounding unit of {f.eps:.0e} (float32).",
            "Everything below that counts as 0, small singular values included.",
            "Compute in float64 if they matter.",
        )
    if f is not None and f.precision > EPS:
        return _remark(
            name,
            f"It is linear up to {f.error:.0e} only.",
            "Rounding in between (float32, 8-bit)? Singular values below ten times that count as "
            "0.",
        )
    return _remark(name, within=f"to {1e4 * EPS:.0e}")


def _loses(name: str, own: Reports) -> Finding:
    rank, n = int((own.s > 0).sum()), len(own.s)
    found = cause = ""
    if rank == 0:
        found, cause = "H is 0.", "Then y says nothing, and every image is a draw from the prior."
    elif rank == n:
        found = f"All {n} coordinates are measured."
        cause = (
            "Without noise H^+ y is the image itself, no diffusion model needed; with noise DDRM "
            "denoises."
        )
    return _remark(name, found, cause, within=f"rank {rank} of n = {n}")


def _start(name: str, own: Reports) -> Finding:
    """E5, X12."""
    s, sigma_T, sigma_y = own.s, float(own.sigmas[0]), own.sigma_y
    late = (s > 0) & (s * sigma_T < sigma_y)
    if not late.any():
        return _remark(name, within=f"sigma_T = {sigma_T:.4g}, sigma_y = {sigma_y:.4g}")
    return _remark(
        name,
        f"Of {int((s > 0).sum())} measured coordinates {int(late.sum())} have sigma_y / s > "
        f"sigma_T = {sigma_T:.4g} (s from {s[late].min():.2g} to {s[late].max():.2g}).",
        "The slides leave this out (E5). DDRM starts them as if they were not measured (X12) and "
        "uses y later, weakly;",
        # the first level at which even the weakest coordinate starts at y_spec
        f"from the start with a schedule up to {sigma_y / float(s[s > 0].min()):.3g}.",
    )


def _cut(name: str, own: Reports) -> Finding:
    """What a decomposition set to 0, and how clear a cut that was."""
    op, truth, rank = own.op, own.mine.truth, int((own.s > 0).sum())
    if not isinstance(truth, LinearMap):
        reason = "the truth was not given, so that nobody knows what was cut."
        return Finding.not_asked(name, reason)
    if max(op.n, op.m) > LARGEST:
        reason = f"it needs all singular values of a matrix of more than {LARGEST} rows."
        return Finding.not_asked(name, reason)
    values = torch.linalg.svdvals(truth.matrix())
    kept, cut = values[:rank], values[rank:]
    if not rank or not len(cut):
        return _remark(name, within="none was cut")
    smallest, largest = float(kept[-1]), float(cut[0])
    told = (
        f"{len(cut)} of {len(values)} singular values were set to 0, the largest of them "
        f"{largest:.1e}; the smallest that was kept is {smallest:.1e}"
    )
    if not largest or smallest / largest >= 1e3:
        return _remark(name, within=told)
    return _remark(
        name,
        f"{told}.",
        "Between the two there is no gap, so the rank is a matter of taste:",
        "choose rtol where sigma_y / s is still an acceptable error.",
    )


def _condition(name: str, own: Reports) -> Finding:
    positive = own.s[own.s > 0]
    if not len(positive):
        return _remark(name, within="nothing is measured")
    low, high = float(positive.min()), float(positive.max())
    if high / low <= 1e4:
        return _remark(name, within=f"s from {low:.3g} to {high:.3g}")
    return _remark(
        name,
        f"The singular values run from {low:.2g} to {high:.2g}, a ratio of {high / low:.1e}.",
        "H^+ multiplies what y is off by as much, the rounding of float32 included. With this "
        "sigma_y the noise sigma_y / s exceeds 1, the size of an image, in "
        f"{int((own.sigma_y > positive).sum())} coordinates:",
        "there DDRM listens to the prior; a larger rtol treats them as lost.",
    )


# ------------------------------------------------------------------------- what DDRM does with it


def _marginals(name: str, own: Reports) -> Finding:
    """S12.1, X12: mean and full covariance of every x_t given x_0, on the spectrum of H."""
    sigmas, s = own.sigmas, own.s[_chosen(own.s)]
    n, T = len(s), len(sigmas) - 1
    x0 = torch.linspace(-1.5, 1.5, n, dtype=torch.float64)
    bound = 100 * EPS * T * n**0.5
    worst, found = 0.0, ""
    for eta, eta_b in RATES:
        dirac = Gaussian(x0, torch.zeros(n, n))
        network = inference_network(dirac, s, sigmas, sigma_y=own.sigma_y, eta=eta, eta_b=eta_b)
        for t in range(1, T + 1):
            sigma, law = float(sigmas[T - t]), network.joint(f"x{t}")
            mean = float((law.mean - x0).abs().max()) / max(1.0, sigma)
            cov = float((law.cov / sigma**2 - torch.eye(n, dtype=torch.float64)).abs().max())
            if not max(mean, cov) <= max(worst, bound):
                found = f"at sigma = {sigma:.3g}, eta = {eta}, eta_b = {eta_b} "
                found += f"the mean is off by {mean:.2g}, the covariance by {cov:.2g} of its size."
            worst = max(worst, mean, cov)
    how_many = _how_many(n, len(own.s))
    return Finding.measured(
        name,
        worst,
        bound,
        found=found,
        cause="The coefficients do not fit this spectrum: is some s negative, or not a number?",
        within=f"{how_many}, {T} levels, full covariance: error <= {bound:.0e}",
    )


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


class _Runs:
    """Runs of ``ddrm_samples`` whose noise is known, and the law that they should have (S18.1).

    The denoiser is the exact one of a Gaussian prior, so the output is an affine map of y and z.
    """

    def __init__(self, op: SVDOperator, levels: Tensor, sigma_y: float):
        eta, eta_b = RATES[1]
        self.op, self.levels = op, levels
        self.settings = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
        generator = torch.Generator().manual_seed(0)
        self.prior = _prior(op, generator)
        self.law = sampler_law(self.prior, op, levels, **self.settings)
        y = op(self.prior.sample(3, generator=generator))
        y = y + sigma_y * standard_normal(y, generator)
        self.y = torch.cat([torch.zeros_like(y[:1]), y])

    def outputs(self, y: Tensor, generator: Any) -> Tensor:
        """Restored images in spectral coordinates, flattened."""
        *_, last = ddrm_samples(
            self.prior, self.op, y, self.levels, generator=generator, **self.settings
        )
        return self.op.Vt(last.x).flatten(1)

    def rounding(self, due: Tensor) -> float:
        size = float(self.levels[0]) + float(due.abs().max())
        return 1000 * EPS * self.op.n**0.5 * size / float(due.abs().max() or 1.0)

    def mean(self, name: str) -> Finding:
        """With one noise for all images, what differs between them is the mean."""
        same = [torch.Generator().manual_seed(1) for _ in self.y]
        x = self.outputs(self.y, same)
        due = self.op.measure_spec(self.y).flatten(1) @ self.law.A.T
        error = ((x - x[:1]) - (due - due[:1])).abs().max() / (due.abs().max() or 1.0)
        return Finding.measured(name, float(error), self.rounding(due), "", *_AT_FAULT)

    def covariance(self, name: str) -> Finding:
        """Without chance as far as that takes seconds."""
        return (self._exact if self.op.n <= EXACT else self._drawn)(name)

    def _exact(self, name: str) -> Finding:
        """The output is an affine map of the noise, which the seed tells: B with B B^T = cov."""
        n, draws = self.op.n, len(self.levels) - 1  # the noise of the last step has no weight
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
        return Finding.measured(name, error, bound, "", *_AT_FAULT, within=within)

    def _drawn(self, name: str) -> Finding:
        place = _chosen(self.op.spectrum().flatten())
        y = self.y[1:2].expand(DRAWS, *self.y.shape[1:])
        x = self.outputs(y, torch.Generator().manual_seed(3))[:, place]
        mean = (self.op.measure_spec(self.y[1:2]).flatten(1) @ self.law.A.T + self.law.c)[0]
        cov = self.law.cov[place][:, place]
        finding = mc_finding(name, x, mean=mean[place], cov=cov)
        if not finding.holds:
            return dataclasses.replace(finding, **_AT_FAULT._asdict())
        how_many = _how_many(len(place), self.op.n)
        return dataclasses.replace(finding, within=f"N = {DRAWS:,}, {how_many}")


_AT_FAULT = Advice(
    "If the claims of the operator hold, the sampler is at fault and not H:",
    "please report it, with H.",
)


def _of_runs(ask: Callable[[_Runs, str], Finding]) -> Callable[[str, Reports], Finding]:
    def asked(name: str, own: Reports) -> Finding:
        n = own.op.n
        if n > LARGEST:
            return Finding.not_asked(name, f"n = {n:,} is above {LARGEST:,}: test a smaller image.")
        return ask(own.runs, name)

    return asked


def _consistent(name: str, own: Reports) -> Finding:
    """S17.3."""
    _, y, x = own.recovered
    size, s_max = float(y.abs().max()) or 1.0, float(own.op.s.max())
    return Finding.measured(
        name,
        float((own.op(x) - y).abs().max()) / size,
        1000 * EPS * own.op.n**0.5 * max(1.0, s_max * float(x.abs().max()) / size),
        cause="In the last step x_spec = y_spec where s > 0, so the SVD does not fit H or y.",
    )


def _nearer(name: str, own: Reports) -> Finding:
    """X06."""
    op = own.op
    if op.rank == op.n:
        return Finding.not_asked(name, "H loses nothing, so H^+ y is x_0 already.")
    x0, y, x = own.recovered
    ratio = float((x - x0).square().sum() / (op.pinv(y) - x0).square().sum())
    # What is lost has a mean of 3 and a variance near 0.5, at most about 2: a draw is off by twice
    # the variance, H^+ y by 9 more than it.
    return Finding.measured(
        name,
        ratio,
        0.5,
        found=f"its mean square error is {ratio:.3g} times that of H^+ y.",
        cause="What H loses should come from the prior: does V reach the null space of H?",
        within=f"mean square error {ratio:.0%} of that of H^+ y",
    )


def _prior(op: SVDOperator, generator: torch.Generator, distance: float = 1.0) -> GaussianPrior:
    """Images with correlations, whose mean is ``distance`` from 0 in every spectral coordinate."""
    A = torch.randn(op.n, op.n, generator=generator, dtype=torch.float64)
    cov = 0.5 * A @ A.T / op.n + 0.05 * torch.eye(op.n, dtype=torch.float64)
    return GaussianPrior(_far_from_zero(op, generator, distance), cov)


def _far_from_zero(op: SVDOperator, generator: torch.Generator, distance: float) -> Tensor:
    z = torch.randn(1, *op.in_shape, generator=generator, dtype=torch.float64)
    return op.V(distance * z.sign())[0]


CLAIMS: dict[str, dict[str, Callable[[str, Reports], Finding]]] = {
    "assumptions": {
        SIZE: _size,
        "H is linear in double precision": _linear,
        "H measures something and loses something": _loses,
        "every measured coordinate starts at y_spec: sigma_T >= sigma_y / s": _start,
        "no singular value lies near the rank cut": _cut,
        "H is well conditioned": _condition,
    },
    "marginals": {
        "q(x_t | x_0) = N(x_0, sigma_t^2 I) at every level (Proposition 3.1)": _marginals,
    },
    "sampler": {
        "the mean of the output of ddrm_samples is the affine map of y that is due": _of_runs(
            _Runs.mean
        ),
        "the covariance of the output of ddrm_samples is the one that is due": _of_runs(
            _Runs.covariance
        ),
    },
    "recovery": {
        "without noise the restored image satisfies H x = y": _consistent,
        "without noise the restored image is nearer to x_0 than H^+ y": _nearer,
    },
}

#: What each part of the suite asks, by the names of its claims, before any of them is asked.
SECTIONS: dict[str, tuple[str, ...]] = {
    "operator": (LINEAR_MAP, *OPERATOR_CLAIMS, ADJOINT),
    **{section: tuple(claims) for section, claims in CLAIMS.items()},
}

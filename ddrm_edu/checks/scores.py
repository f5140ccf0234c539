"""Numbers against numbers: exact ones to rounding, random ones by their standard errors.

`check` and `check_mc` compare once.  `Exact` and `Chance` make one finding of many comparisons: the
worst of them decides, and is put into words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from ..boundary import checked
from ..validation import EPS, real_tensor, require_covariance, require_finite, require_level
from .report import Finding, Power

FALSE_ALARM = 1e-6
ABSENT = "it does not occur in your problem."


@checked
def check(name: str, got: Any, want: Any, *, atol: float) -> None:
    """Compare two arrays and print the bound, or fail.

    It prints the bound and not the error, so that the text of a lecture is the same on every
    machine and a changed result is noticed.

    Parameters
    ----------
    name : str
        What is claimed.
    got, want : arrays of one shape, or numbers
    atol : float
        Largest admissible difference of any entry.

    Raises
    ------
    AssertionError
        If an entry differs by more than ``atol`` or is not a number; the message gives the largest
        difference and where it is.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> check("3 times 0.1 is 0.3", 3 * 0.1, 0.3, atol=1e-12)
    ok  3 times 0.1 is 0.3    max|diff| <= 1e-12
    """
    atol = require_level(atol, "atol")
    got, want = real_tensor(got, "got"), real_tensor(want, "want")
    if got.shape != want.shape and want.ndim:
        raise ValueError(
            f"{name}: the two sides must have one shape, but have {tuple(got.shape)} and "
            f"{tuple(want.shape)}."
        )
    difference = (got - want).abs()
    worst = float(difference.max())  # NaN if any entry is
    if not worst <= atol:
        flat = int(difference.argmax())
        pair = [float(value.expand(got.shape).flatten()[flat]) for value in (got, want)]
        raise AssertionError(
            f"{name}: expected {pair[1]:.6g} but got {pair[0]:.6g} at flat index {flat}; "
            f"max|diff| = {worst:.3g}, allowed {atol:.0e}"
        )
    print(f"ok  {name}    max|diff| <= {atol:.0e}")


@checked
def check_mc(
    name: str, samples: Any, *, mean: Any = None, cov: Any = None, false_alarm: float = FALSE_ALARM
) -> Power:
    r"""Compare random draws with a claimed mean and full covariance and print the bound, or fail.

    Every entry becomes a z-score, a standard normal number if the claim is true; the bound on the
    largest is that for which a true claim fails with a probability below ``false_alarm``, all
    entries together (Bonferroni).

    Parameters
    ----------
    name : str
        What is claimed.
    samples : array, shape (N, d) or (N,)
        Independent draws.
    mean : array, shape (d,), or number, optional
    cov : array, shape (d, d), or number, optional
        At least one of the two.
    false_alarm : float
        Probability that a true claim fails, between 0 and 1.

    Returns
    -------
    Power
        The same probability, and the smallest errors of one mean, variance and correlation that
        these draws would have found with 95 %: both error rates of the statement.

    Raises
    ------
    AssertionError
        If an entry is further from the claim than chance allows; the message gives the entry, what
        was found, what was due and its z-score.
    ValueError
        If the shapes do not fit, ``cov`` is no covariance matrix, ``samples`` are too few for a
        mean without a covariance, or ``false_alarm`` is not between 0 and 1.

    Notes
    -----
    With ``cov`` the draws are claimed to be normal, and every score is exact at any N: an entry of
    the mean is normal, a variance is chi-square, and given the column j the covariance (i, j) is
    the regression of i on j, which is normal again.  For large N these are the familiar standard
    errors, C_ii / N for the mean and (C_ii C_jj + C_ij^2) / N for a covariance.

    With ``mean`` alone nothing is claimed about the law of the draws, so that any function of them
    can be averaged; the standard error is then estimated and the level holds in the limit of large
    N, at least 1,000 here.

    Where a variance is claimed to be 0 the draws must be constant up to rounding.

    Examples
    --------
    >>> x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> power = check_mc("randn is standard normal", x, mean=[0, 0], cov=[[1, 0], [0, 1]])
    ok  randn is standard normal    N = 20,000: every |z| <= 5.2, false alarm < 1e-6
    >>> f"{power.mean:.3f} {power.variance:.3f} {power.correlation:.3f}"
    '0.048 0.070 0.048'
    """
    finding = mc_finding(name, samples, mean=mean, cov=cov, false_alarm=false_alarm)
    if not finding.holds:
        raise AssertionError(f"{name}: {finding.sentence}")
    print(f"ok  {name}    {finding.within}")
    return cast(Power, finding.power)  # which all of these findings have


def mc_finding(
    name: str, samples: Any, *, mean: Any = None, cov: Any = None, false_alarm: float = FALSE_ALARM
) -> Finding:
    """What `check_mc` finds, neither printed nor raised; its parameters and ``ValueError``."""
    if not 0 < false_alarm < 1:
        raise ValueError(
            f"{name}: false_alarm must be a probability between 0 and 1, but was {false_alarm}. "
            "With 0 every claim would pass, with 1 none; 1e-6 is the default."
        )
    x, mean, cov = _claim(name, samples, mean, cov)
    N, d = x.shape
    deviation = x - (x.mean(0) if mean is None else mean)
    chance, entries, parts = Chance(N, false_alarm), [], []
    if mean is not None:
        off, variance = x.mean(0) - mean, deviation.var(0) if cov is None else cov.diagonal()
        error, rounding = (variance / N).sqrt(), 1000 * EPS * mean.abs().clamp(min=1.0)
        met = torch.where(off.abs() <= rounding, 0.0, math.inf)  # what must be met to rounding
        entries += [f"mean [{i}]" for i in range(d)]
        parts.append(
            torch.stack([x.mean(0), mean, torch.where(error > rounding, off / error, met)])
        )
    if cov is not None:
        varies = _what_varies(deviation, cov)
        if varies:
            return Finding.answered(name, varies)
        count, upper = N if mean is not None else N - 1, torch.triu_indices(d, d)
        z, S = covariance_scores(deviation, cov, count), deviation.T @ deviation / count
        entries += [f"covariance [{i}, {j}]" for i, j in upper.T.tolist()]
        parts.append(torch.stack([S, cov, z])[:, *upper])
    found, due, z = torch.cat(parts, 1)
    chance.add(
        z,
        lambda i: (
            f"{entries[i]} is {found[i]:.6g} but should be {due[i]:.6g}, off by "
            f"{found[i] - due[i]:.2g}"
        ),
    )
    level = f"false alarm < {false_alarm:.0e}".replace("e-0", "e-")
    sentence = (
        f"{chance.sentence()}; z = {chance.worst:.1f}, where chance allows {chance.bound:.1f} "
        f"({chance.count} comparisons, N = {N:,}, {level})."
    )
    within = f"N = {N:,}: every |z| <= {chance.bound:.1f}, {level}"
    power = chance.power
    if cov is None:
        power = power._replace(variance=math.inf, correlation=math.inf)
    if mean is None:
        power = power._replace(mean=math.inf)
    return Finding.measured(
        name, abs(chance.worst), chance.bound, sentence, within=within, power=power
    )


def _claim(name: str, samples: Any, mean: Any, cov: Any) -> tuple[Tensor, Any, Any]:
    """Draws, mean and covariance as float64 tensors of shapes (N, d), (d,) and (d, d)."""
    if mean is None and cov is None:
        raise ValueError(f"{name}: nothing is claimed. Pass mean=, cov= or both.")
    x = real_tensor(samples, "samples")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"samples must have shape (N, d) with N >= 2, but had {tuple(x.shape)}. "
            "Flatten images: samples.flatten(1)."
        )
    require_finite(x, "samples")
    N, d = x.shape
    if cov is None and N < 1000:
        raise ValueError(
            f"{name}: a mean without a covariance needs at least 1,000 draws, but N = {N}: its "
            "standard error is estimated, and its law is normal only in the limit. Draw more, or "
            "pass cov= if the draws are claimed to be normal."
        )
    claims: dict[str, Any] = {"mean": mean, "cov": cov}
    for what, shape in (("mean", (d,)), ("cov", (d, d))):
        if claims[what] is None:
            continue
        value = real_tensor(claims[what], what)
        value = value.reshape(shape) if value.ndim == 0 and d == 1 else value
        if value.shape != shape:
            raise ValueError(
                f"{name}: {what} must have shape {shape} for draws with {d} entries, but "
                f"had {tuple(value.shape)}."
            )
        require_finite(value, what)
        claims[what] = value
    if cov is not None:
        require_covariance(claims["cov"], d)
    return x, claims["mean"], claims["cov"]


def _what_varies(deviation: Tensor, cov: Tensor) -> str:
    """What is claimed to be constant and is not: coordinates, and combinations of them."""
    eigenvalues, axes = torch.linalg.eigh((cov + cov.T) / 2)
    unresolved = len(cov) * EPS * max(eigenvalues[-1].item(), 0.0)  # a variance below it is 0
    # A mean and a draw are each rounded at the size of the numbers that they were made of.
    rounding = 1000 * EPS * max(deviation.abs().max().item(), 1.0)
    constant = cov.diagonal() == 0
    off = deviation[:, constant].abs()
    if off.numel() and off.max() > rounding:
        i = int(constant.nonzero().flatten()[off.amax(0).argmax()])
        return (
            f"entry {i} has variance 0 by the claim, but differs from its mean by "
            f"{off.max():.3g} in some draw."
        )
    off = (deviation @ axes[:, eigenvalues <= unresolved]).abs()
    if off.numel() and off.max() > 10 * unresolved**0.5 + rounding:
        return (
            "by the claim a combination of the entries is constant (cov is singular), but "
            f"it varies by {off.max():.3g} in some draw."
        )
    return ""


# ------------------------------------------------------- scores that are N(0, 1) if a claim is true


def variance_scores(sum_of_squares: Tensor, count: int) -> Tensor:
    """z-scores of sums of ``count`` squared standard normals, by their chi-square law.

    Beyond 37 the tail is smaller than the smallest number.  There the root of the likelihood ratio
    stands in for the score, which it resembles: the largest of many scores must be the worst one.
    """
    from scipy.stats import chi2, norm

    upper, lower = (torch.as_tensor(tail(sum_of_squares, count)) for tail in (chi2.sf, chi2.cdf))
    z = torch.as_tensor(norm.isf(torch.minimum(upper, lower).clamp(min=1e-300)))
    ratio = sum_of_squares / count
    root = (count * (ratio - 1 - ratio.log())).clamp(min=0).sqrt()
    return torch.where(z < 37, z, z.maximum(root)) * torch.where(upper < lower, 1.0, -1.0)


def count_score(found: int, draws: int, chance: float) -> Tensor:
    """z-score (1,) of an event of probability ``chance`` that ``found`` of ``draws`` show.

    By the binomial law, of which only whole numbers occur: true claims fail more rarely than said.
    """
    from scipy.stats import binom, norm

    upper, lower = binom.sf(found - 1, draws, chance), binom.cdf(found, draws, chance)
    z = norm.isf(max(min(upper, lower, 0.5), 1e-300))
    return torch.tensor([z if upper < lower else -z], dtype=torch.float64)


def cross_scores(r: Tensor, given: Tensor) -> Tensor:
    """z-scores (k, l) of the claim that r (N, k) is standard normal whatever given (N, l) is.

    Given the column u, sum(r u) / ||u|| is exactly N(0, 1).  A column of zeros says nothing.
    """
    norms = given.norm(dim=0)
    return (r.T @ given / norms).where(norms > 0, 0.0)


def covariance_scores(deviation: Tensor, cov: Tensor, count: int) -> Tensor:
    """z-scores (d, d) of the claim that the rows are N(0, cov); only i <= j are filled in.

    A variance is chi-square.  For i < j the residual r = x_i - x_j C_ij / C_jj is independent of
    x_j under the claim, so that sum(r x_j) is a `cross_scores`.
    """
    S, variance = deviation.T @ deviation, cov.diagonal()
    slope = cov / variance  # entry (i, j): of the regression of i on j
    rest = variance[:, None] - slope * cov
    spread = (rest * S.diagonal()).clamp(min=0).sqrt()
    # A pair that is one random variable has no residual; its combination must be constant instead.
    tested = (rest > 1e-12 * variance[:, None]) & (spread > 0)
    z = ((S - slope * S.diagonal()) / spread).where(tested, 0.0).triu(1)
    return z + variance_scores(S.diagonal() / variance, count).where(variance > 0, 0.0).diag()


# -------------------------------------------------------------- one finding from many comparisons


class Exact:
    """Differences that must be rounding; remembers the one that is largest for its bound."""

    def __init__(self) -> None:
        self.ratio, self.error, self.bound, self.largest, self.found = -1.0, 0.0, 0.0, 0.0, ""

    def add(self, off: Tensor, bound: float, describe: Callable[[int, float], str]) -> None:
        """Differences (..., l); ``describe(i, error)`` tells the largest of column i."""
        if not off.numel():
            return
        columns = off.reshape(-1, off.shape[-1]).abs().amax(0).nan_to_num(nan=math.inf)
        worst, i = columns.max().item(), int(columns.argmax())
        self.largest = max(self.largest, bound)
        if worst / bound > self.ratio:
            self.ratio, self.error, self.bound = worst / bound, worst, bound
            self.found = describe(i, worst) if worst > bound else ""

    def finding(self, name: str, cause: str = "", fix: str = "") -> Finding:
        """The claim that all differences were rounding."""
        if self.ratio < 0:
            return Finding.not_asked(name, ABSENT)
        # Which of many rounding errors is the worst depends on the CPU; what is printed must not.
        bound = self.bound if self.ratio > 1 else self.largest
        return Finding.measured(name, self.error, bound, self.found, cause, fix)


class Chance:
    """z-scores that must be standard normal; remembers the largest and how many there were."""

    # Five findings about a sampler judge by chance; the sixth share covers the one score that is
    # normal only in the limit, the shape of the noise.
    SHARE = FALSE_ALARM / 6

    def __init__(self, draws: int, share: float | None = None):
        self.draws, self.share = draws, self.SHARE if share is None else share
        self.count, self.worst = 0, 0.0
        self.sentence: Callable[[], str] = str  #: about the largest score

    def add(self, z: Tensor, describe: str | Callable[[int], str]) -> None:
        """Scores of any shape; ``describe(i)`` is the sentence about entry i of them, flattened."""
        if not z.numel():
            return
        z = z.flatten().nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
        i = int(z.abs().argmax())
        if abs(z[i]) > abs(self.worst) or not self.count:
            self.worst = z[i].item()
            self.sentence = lambda: describe if isinstance(describe, str) else describe(i)
        self.count += len(z)

    @property
    def bound(self) -> float:
        """The largest |z| that chance allows, all comparisons together (Bonferroni)."""
        from scipy.stats import norm

        return float(norm.isf(self.share / (2 * max(self.count, 1))))

    @property
    def power(self) -> Power:
        """What these comparisons find, 95 % of the time, if it is there."""
        from scipy.stats import chi2, norm

        tail, missed = self.share / (2 * max(self.count, 1)), 0.05
        beyond = float(norm.isf(tail) + norm.isf(missed)) / self.draws**0.5
        ratio = chi2.isf(tail, self.draws) / chi2.isf(1 - missed, self.draws)
        return Power(self.draws, self.count, self.share, beyond, float(ratio) - 1, beyond)

    def finding(self, name: str, cause: str = "", fix: str = "") -> Finding:
        """The claim that all scores were standard normal."""
        if not self.count:
            return Finding.not_asked(name, ABSENT)
        worst, bound, found = abs(self.worst), self.bound, ""
        if worst > bound:
            found = f"{self.sentence()} (|z| = {worst:.0f}, due <= {bound:.1f})."
        within = f"N = {self.draws:,}, every |z| <= {bound:.1f}"
        return Finding.measured(
            name, worst, bound, found, cause, fix, within=within, power=self.power
        )


def apart(found: Tensor | float, due: Tensor | float, rounding: float = 0.0) -> tuple[str, str]:
    """Both numbers with as many digits, four at least, as show that they are not the same."""
    found, due = float(found), float(due)
    found = next((exact for exact in (due, 0.0) if abs(found - exact) <= rounding), found)
    pairs = [(f"{found:.{digits}g}", f"{due:.{digits}g}") for digits in range(4, 18)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])

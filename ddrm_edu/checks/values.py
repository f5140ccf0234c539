"""Numbers against numbers: exact ones to rounding, random ones by their standard errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..validation import real_tensor, require_covariance, require_finite
from .report import Finding

__all__ = ["check", "check_mc", "mc_finding"]

FALSE_ALARM = 1e-6


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
    got, want = real_tensor(got, "got"), real_tensor(want, "want")
    if got.shape != want.shape and want.ndim:
        raise ValueError(
            f"{name}: the two sides must have one shape, but have {tuple(got.shape)} and "
            f"{tuple(want.shape)}."
        )
    difference = (got - want).abs().nan_to_num(nan=float("inf"))
    worst = float(difference.max())
    if worst > atol:
        flat = int(difference.argmax())
        pair = [float(value.expand(got.shape).flatten()[flat]) for value in (got, want)]
        raise AssertionError(
            f"{name}: expected {pair[1]:.6g} but got {pair[0]:.6g} at flat index {flat}; "
            f"max|diff| = {worst:.3g}, allowed {atol:.0e}"
        )
    print(f"ok  {name}    max|diff| <= {atol:.0e}")


def check_mc(
    name: str, samples: Any, *, mean: Any = None, cov: Any = None, false_alarm: float = FALSE_ALARM
) -> None:
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
        Probability that a true claim fails.

    Raises
    ------
    AssertionError
        If an entry is further from the claim than chance allows; the message gives the entry, what
        was found, what was due and its z-score.
    ValueError
        If the shapes do not fit, ``cov`` is no covariance matrix, or ``samples`` are too few for a
        mean without a covariance.

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
    >>> check_mc("randn is standard normal", x, mean=[0, 0], cov=[[1, 0], [0, 1]])
    ok  randn is standard normal    N = 20,000: every |z| <= 5.2, false alarm < 1e-6
    """
    finding = mc_finding(name, samples, mean=mean, cov=cov, false_alarm=false_alarm)
    if not finding.holds:
        raise AssertionError(f"{name}: {finding.found}")
    print(f"ok  {name}    {finding.within}")


def mc_finding(
    name: str, samples: Any, *, mean: Any = None, cov: Any = None, false_alarm: float = FALSE_ALARM
) -> Finding:
    """What :func:`check_mc` prints or raises: the largest z-score of all, and its bound.

    Raises
    ------
    ValueError
        As :func:`check_mc`.
    """
    from scipy.stats import norm

    x, mean, cov = _claim(name, samples, mean, cov)
    N, d = x.shape
    centre = x.mean(0) if mean is None else mean
    deviation = x - centre
    scores = []
    if mean is not None:
        variance = deviation.var(0) if cov is None else cov.diagonal()
        scores += [(f"mean [{i}]", *row) for i, row in _means(x, mean, variance)]
    if cov is not None:
        varies = _not_constant(deviation, cov)
        if varies:
            return Finding.answered(name, varies)
        z = covariance_scores(deviation, cov, N if mean is not None else N - 1)
        S = deviation.T @ deviation / (N if mean is not None else N - 1)
        scores += [
            (f"covariance [{i}, {j}]", S[i, j].item(), cov[i, j].item(), z[i, j].item())
            for i in range(d)
            for j in range(i, d)
        ]
    bound = float(norm.isf(false_alarm / (2 * len(scores))))
    entry, found, due, worst = max(scores, key=lambda score: abs(score[-1]))
    level = f"false alarm < {false_alarm:.0e}".replace("e-0", "e-")
    fault = (
        f"{entry} is {found:.6g} but should be {due:.6g}, off by {found - due:.2g}; "
        f"z = {worst:.1f}, where chance allows {bound:.1f} ({len(scores)} comparisons, "
        f"N = {N:,}, {level})."
    )
    return Finding.measured(
        name,
        abs(worst),
        bound,
        found="" if abs(worst) <= bound else fault,
        within=f"N = {N:,}: every |z| <= {bound:.1f}, {level}",
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
    shapes = {"mean": (d,), "cov": (d, d)}
    claims = {"mean": mean, "cov": cov}
    for what, value in claims.items():
        if value is None:
            continue
        value = real_tensor(value, what)
        value = value.reshape(shapes[what]) if value.ndim == 0 and d == 1 else value
        if value.shape != shapes[what]:
            raise ValueError(
                f"{name}: {what} must have shape {shapes[what]} for draws with {d} entries, but "
                f"had {tuple(value.shape)}."
            )
        require_finite(value, what)
        claims[what] = value
    if cov is not None:
        require_covariance(claims["cov"], d)
    return x, claims["mean"], claims["cov"]


def _not_constant(deviation: Tensor, cov: Tensor) -> str:
    """What varies and must not: a coordinate, or a combination of them, without variance."""
    eps = torch.finfo(torch.float64).eps
    d, size = len(cov), deviation.abs().max().item()
    constant = cov.diagonal() == 0
    off = deviation[:, constant].abs()
    # A mean and a draw are each rounded at the size of the numbers that they were made of.
    if off.numel() and off.max() > 1000 * eps * max(size, 1.0):
        i = int(constant.nonzero().flatten()[off.max(0).values.argmax()])
        return (
            f"entry {i} has variance 0 by the claim, but differs from its mean by "
            f"{off.max():.3g} in some draw."
        )
    eigenvalues, axes = torch.linalg.eigh((cov + cov.T) / 2)
    unresolved = d * eps * max(eigenvalues[-1].item(), 0.0)  # a variance below it counts as 0
    off = (deviation @ axes[:, eigenvalues <= unresolved]).abs()
    if off.numel() and off.max() > 10 * unresolved**0.5 + 1000 * eps * max(size, 1.0):
        return (
            "by the claim a combination of the entries is constant (cov is singular), but "
            f"it varies by {off.max():.3g} in some draw."
        )
    return ""


def _means(x: Tensor, mean: Tensor, variance: Tensor):
    """(index, (found, due, z)) of every mean; a mean without variance must be met to rounding."""
    for i, (due, var) in enumerate(zip(mean.tolist(), variance.tolist(), strict=True)):
        found = x[:, i].mean().item()
        off, error = found - due, (var / len(x)) ** 0.5
        rounding = 1000 * torch.finfo(torch.float64).eps * max(abs(due), 1.0)
        if error > rounding:
            yield i, (found, due, off / error)
        else:
            yield i, (found, due, 0.0 if abs(off) <= rounding else float("inf"))


# ------------------------------------------------------- scores that are N(0, 1) if a claim is true


def variance_scores(sum_of_squares: Tensor, count: int | Tensor) -> Tensor:
    """z-scores of sums of ``count`` squared standard normals, by their chi-square law.

    Scores beyond 37 are cut there, where the tail is smaller than the smallest number.
    """
    from scipy.stats import chi2, norm

    upper = norm.isf(chi2.sf(sum_of_squares, count).clip(1e-300))
    lower = norm.isf(chi2.cdf(sum_of_squares, count).clip(1e-300))
    return torch.as_tensor(upper).where(torch.as_tensor(upper) > 0, -torch.as_tensor(lower))


def cross_scores(r: Tensor, given: Tensor) -> Tensor:
    """z-scores (k, l) of the claim that r (N, k) is standard normal whatever given (N, l) is.

    Given the column u, sum(r u) / ||u|| is exactly N(0, 1).  A column of zeros says nothing.
    """
    norms = given.norm(dim=0)
    return (r.T @ given / norms.where(norms > 0, torch.ones_like(norms))).where(norms > 0, 0.0)


def covariance_scores(deviation: Tensor, cov: Tensor, count: int) -> Tensor:
    """z-scores (d, d) of the claim that the rows are N(0, cov); only i <= j are filled in.

    A variance is chi-square.  For i < j the residual r = x_i - x_j C_ij / C_jj is independent of
    x_j under the claim, so that sum(r x_j) is a `cross_scores`.
    """
    S, variance = deviation.T @ deviation, cov.diagonal()
    known = variance > 0
    one = torch.ones_like(variance)
    variance_or_1 = variance.where(known, one)
    slope = cov / variance_or_1  # entry (i, j): of the regression of i on j
    rest = variance[:, None] - slope * cov
    # A pair that is one random variable has no residual; its combination must be constant instead.
    tested = (rest > 1e-12 * variance[:, None]) & known & known[:, None]
    spread = (rest * S.diagonal()).clamp(min=0).sqrt()
    tested &= spread > 0
    z = (S - slope * S.diagonal()) / spread.where(tested, torch.ones_like(spread))
    z = z.where(tested, torch.zeros_like(z)).triu(1)
    scores = variance_scores(S.diagonal() / variance_or_1, count)
    return z + torch.diag(scores.where(known, torch.zeros_like(scores)))

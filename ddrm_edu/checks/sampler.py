"""Every claim of DDRM, asked of one sampler (slides 10-18).

What can be compared exactly is: two runs with one seed and other inputs have the same noise, which
cancels in the difference of their states, so that the weights of a step are found to rounding.  The
noise itself is judged by z-scores.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..boundary import checked
from ..ddrm import Rate
from ..law import sampler_law
from ..operators import SVDOperator
from ..priors import GaussianPrior
from ..schedule import decreasing_sigmas
from ..validation import require_count
from .report import Finding, Report
from .runs import Normal, Problem, Run, Runs, SamplerRaised, boundary_problem
from .scores import (
    Chance,
    Exact,
    apart,
    count_score,
    covariance_scores,
    cross_scores,
    variance_scores,
)


@checked
def check_sampler(
    sampler: Callable[..., Any],
    *,
    eta: Rate = 0.85,
    eta_b: Rate = 1.0,
    op: SVDOperator | None = None,
    sigmas: Any = None,
    sigma_y: float | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Report:
    r"""Test whether a sampler is DDRM: every claim of slides 10-18, on problems with known answers.

    It is called as ``sampler(denoiser, op, y, *, sigmas, sigma_y, generator)`` with float64
    tensors, and returns the image, a list of images or an iterator of steps or images, the last of
    them the restored one.  An unusual sampler is wrapped in a lambda of this form, in which

    ==========================================  ================================================
    rates are bound                             ``mine(..., eta=0.6, eta_b=0.7)``
    matrices take the place of the operator     ``op.matrix()``; ``U, s, Vt = svd_of(op)``
    a schedule takes that of the levels         ``NoiseSchedule.from_sigmas(sigmas)``
    torch's global noise that of the generator  ``torch.manual_seed(generator.initial_seed())``
    a single step is tested                     ``sampler_of(step)``, the library's own loop
    ==========================================  ================================================

    with ``svd_of`` and ``sampler_of`` of ``ddrm_edu.checks``.  A method other than DDRM breaks
    claims by right; :func:`ddrm_edu.law_of` finds its exact law, if it is affine.

    Parameters
    ----------
    sampler : callable
    eta, eta_b : float, Tensor or str
        The rates that the sampler has built in.  One that can be told its rates is to be asked with
        generic ones as well, such as 0.6 and 0.7: some mistakes cancel at 0 and 1.
    op, sigmas, sigma_y : optional
        What else it has built in or is to be tested with; by default generic problems: wide, tall
        and rank-deficient operators with spread, repeated, tiny and zero singular values.
    draws : int, optional
        Images of a run, at least 1,000; by default 100,000, fewer for an ``op`` of more than ten
        coordinates.  ``report.power`` tells of each claim that is judged by chance how often it
        fails if it is true, and which errors are found 19 times out of 20; by default noise with a
        variance that is 4 % off in one coordinate of one step or 0.6 % in all of one case of slide
        11, and correlations of 2.5 %.  Weights are found to rounding with any number, noise that is
        cut off at four standard deviations with 20,000 draws.
    seed : int

    Returns
    -------
    Report
        One finding per claim, the first failure the most telling one; nothing is raised for a claim
        that is broken.  A correct sampler fails with a probability below 1e-6.

    Raises
    ------
    ValueError
        If the sampler cannot be called in this way, or ``eta_b`` is out of range.

    Examples
    --------
    >>> from ddrm_edu import ddrm_samples
    >>> report = check_sampler(ddrm_samples, draws=1000)
    >>> report.ok
    True
    >>> def too_quiet(x, x0_hat, y_spec, *, s, sigma, sigma_next, sigma_y, generator):
    ...     from ddrm_edu.diffusion import combine
    ...     from ddrm_edu import ddrm_coefficients
    ...     c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=0.85, eta_b=1.0)
    ...     z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    ...     return combine(c, x0_hat, x, y_spec, z / 2**0.5)
    >>> from ddrm_edu.checks import sampler_of
    >>> check_sampler(sampler_of(too_quiet), draws=1000).failures[0].name
    'noise of a step: N(0, 1) in the units of slide 11'
    """
    title = _title_of(sampler)
    if draws is None:
        draws = 100_000 if op is None else min(100_000, max(1000, 1_000_000 // op.n))
    if draws is not None:
        draws = require_count(draws, "draws")
    if draws < 1000:
        raise ValueError(
            f"draws must be at least 1,000, but was {draws}: with fewer images nothing smaller "
            "than a gross error is found."
        )
    levels = None if sigmas is None else decreasing_sigmas(sigmas)
    rates = {"eta": eta, "eta_b": eta_b}
    runs = Runs(sampler, draws, seed, rates, op=op, sigmas=levels, sigma_y=sigma_y)
    findings: list[Finding] = []
    try:
        findings.extend(_findings(runs))  # what was judged before an exception stays in the list
    except SamplerRaised as error:
        cause = "The claims that would follow wait for this one."
        findings.append(Finding.answered("it runs in every problem", str(error), cause=cause))
    return Report(f"Sampler {title}, N = {draws:,}", tuple(findings))


def _title_of(sampler: Callable[..., Any]) -> str:
    """The sampler's name; ``ValueError`` if it cannot be called as is due."""
    known = dict.fromkeys(("sigmas", "sigma_y", "generator"))
    function = getattr(sampler, "func", sampler)  # of a functools.partial
    title = getattr(function, "__name__", type(function).__name__)
    try:
        inspect.signature(sampler).bind("denoiser", "op", "y", **known)
    except TypeError as error:
        raise ValueError(
            "check_sampler calls sampler(denoiser, op, y, sigmas=..., sigma_y=..., generator=...), "
            f"but {title} cannot be called so: {error}. Wrap it, for example check_sampler("
            "lambda denoiser, op, y, *, sigmas, sigma_y, generator: "
            "mine(op.matrix(), y, denoiser, noise=sigma_y)), and bind its rates: "
            "check_sampler(functools.partial(mine, eta=0.6, eta_b=0.7), eta=0.6, eta_b=0.7). "
            "svd_of(op) and sampler_of(step) of ddrm_edu.checks help, and "
            "NoiseSchedule.from_sigmas(sigmas)."
        ) from error
    except ValueError:  # it has no signature: its first run will tell
        pass
    return title


def _findings(runs: Runs) -> Iterator[Finding]:
    """Yield the findings in an order in which the first failure is the most telling one."""
    for needed, reason in (
        (_running, "they need runs that end well."),
        (_calls, "with other calls the states are not known."),
    ):
        finding = needed(runs)
        yield finding
        if not math.isfinite(finding.error):
            yield Finding.not_asked("all other claims", reason)
            return
    yield from (_own_noise(runs), _start(runs))
    yield from _weights(runs)
    for claim in (_noise, _fresh, _marginals, _boundary, _lost, _noiseless, _output):
        yield claim(runs)


CASES = {
    1: "case 1 (s > 0, sigma_next >= sigma_y / s)",
    2: "case 2 (s > 0, sigma_next < sigma_y / s)",
    3: "case 3 (s = 0)",
}


def _where(problem: Problem, k: int, j: int) -> str:
    """The step to state k, the coordinate and its case: the beginning of a sentence."""
    if k == 0:
        weak = f"sigma_y / s = {problem.sigma_y / problem.s[j]:.3g} > sigma_T"
        kind = "measured" if problem.coefficients[0].y[j] else weak if problem.s[j] else "lost"
        head = f"start at sigma_T = {problem.sigmas[0]:.3g}"
        return f"{head}, coordinate {j} (s = {problem.s[j]:.3g}, {kind})"
    return (
        f"step from sigma = {problem.sigmas[k - 1]:.3g} to {problem.sigmas[k]:.3g}, "
        f"coordinate {j} (case {problem.case(k)[j]}, s = {problem.s[j]:.3g})"
    )


def _told(problem: Problem, k: int, place: Tensor, text: str) -> Callable[[int, float], str]:
    """The sentence about entry i of the coordinates ``place`` of state k, and how far it is off."""
    return lambda i, off: f"{_where(problem, k, int(place[i]))}: {text.format(off)}"


# -------------------------------------------------------------------------- whether and how it runs


def _running(runs: Runs) -> Finding:
    name, fault, fix = "it runs: finite images, y left alone, one seed one result", "", ""
    for problem in runs.problems:
        x0 = runs.images(problem, 4)
        y = runs.measure(problem, x0)
        try:
            three = [runs.run(problem, x0, y=y, seed=seed) for seed in (1, 1, 2)]
        except SamplerRaised as error:
            fault, fix = str(error), "The other claims wait for this one."
            break
        one, same, other = (torch.stack(run.states) for run in three)
        if three[0].y_changed:
            fault, fix = "it wrote into y.", "Work on y.clone()."
        elif not torch.equal(one, same):
            fault = "the same seed gave another result."
            fix = "Draw all noise from generator=, or torch.manual_seed(generator.initial_seed())."
        elif torch.equal(one, other):
            fault = "another seed gave the same result."
            fix = "Seed nothing inside of the sampler."
    return Finding.answered(name, fault, fix=fix, within="two runs alike, a third not")


def _calls(runs: Runs) -> Finding:
    """S18.1, E13: x_theta is predicted from the level of the x that is shown."""
    name = "the denoiser is called once at each level, in order"
    exact = Exact()
    for run in runs.many:
        found, due = torch.tensor(run.levels, dtype=torch.float64), run.problem.sigmas[:-1]
        if len(found) != len(due):
            what = f"{len(found)} calls found, {len(due)} due."
            fix = "One call per step, and none for the clean image: sigmas ends in 0."
            return Finding.measured(name, math.inf, 0.0, found=what, fix=fix)
        sentence = "call {} was at sigma = {:.9g}, due {:.9g}."
        told = lambda i, _, a=found, b=due, s=sentence: s.format(i + 1, a[i], b[i])  # noqa: E731
        exact.add(found / due - 1, 4 * run.eps, told)
    fix = "Its level is that of the x that it is shown, sigma_{t+1} on slide 11."
    return exact.finding(name, fix=fix)


def _own_noise(runs: Runs) -> Finding:
    """Equal images with equal measurements: only the noise tells them apart."""
    alike = 0
    for problem in runs.problems:
        x0 = runs.images(problem, 1)
        y = runs.measure(problem, x0)
        run = runs.run(problem, x0.expand(4, -1), y=y.expand(4, *y.shape[1:]).clone())
        for c, state in zip(problem.coefficients, run.states, strict=True):
            noisy = state[:, c.noise > 0]
            alike += int((torch.pdist(noisy) == 0).sum()) if noisy.shape[1] else 0
    return Finding.measured(
        "each image of a batch has noise of its own",
        alike,
        0.0,
        f"{alike} pairs of states of different images are equal, none should be.",
        fix="Draw noise of the shape of x, batch included: torch.randn(x.shape).",
        within="none equal",
    )


# ---------------------------------------------------------- the start and each step (slides 11, 17)


def _compare_normal(
    chance: Chance, part: Normal, whose: str, correlation: Tensor | None = None, **given: Tensor
) -> None:
    """Is ``part`` normal, whatever the columns of ``given`` (N, n) are?

    ``whose`` says what has this mean and variance.  With ``correlation`` (l, l) the covariances of
    the coordinates are compared, too.
    """
    problem, k, r, place, size = part
    columns = torch.cat([torch.ones_like(r[:, :1]), *given.values()], 1)
    if correlation is None:
        pairs, z = torch.arange(len(size)).expand(2, -1), variance_scores((r**2).sum(0), len(r))
    else:
        pairs = torch.triu_indices(len(size), len(size))
        z = covariance_scores(r, correlation, len(r))[*pairs]

    def covariance(i: int) -> str:
        a, b = pairs[:, i].tolist()
        what = "variance" if a == b else f"covariance with coordinate {place[b]}"
        unit, one = size[a] * size[b], 1.0 if correlation is None else correlation[a, b]
        found, due = apart(unit * (r[:, a] @ r[:, b]) / len(r), unit * one)
        return f"{_where(problem, k, int(place[a]))}: {what}{whose} found {found}, due {due}"

    def mean(i: int) -> str:
        a, b = divmod(i, columns.shape[1])
        off = size[a] * (r[:, a] @ columns[:, b]) / columns[:, b].square().sum()
        what = f"mean{whose}"
        if b > 0:
            which, j = divmod(b - 1, problem.op.n)
            what = f"weight of coordinate {j} of {list(given)[which]} in the mean{whose}"
        return f"{_where(problem, k, int(place[a]))}: {what} is off by {off:.4g}"

    chance.add(z, covariance)
    chance.add(cross_scores(r, columns), mean)


def _start(runs: Runs) -> Finding:
    """S11.1, S17.1 and X12: the law of x_T given y, of which only the mean knows y."""
    chance = Chance(runs.draws)
    for run in runs.many:
        _compare_normal(chance, run.innovation(0), " of x_T given y", y_spec=run.y_spec, x_0=run.x0)
    _compare_pooled(chance, "all starts", [run.innovation(0).r.flatten() for run in runs.many])
    return chance.finding(
        "start: x_T = y_spec + N(0, sigma_T^2 - sigma_y^2 / s^2), or N(0, sigma_T^2)",
        "y_spec = s^+ U^T y holds noise of size sigma_y / s already (slide 17); where that exceeds "
        "sigma_T, start as where s = 0. If nothing happens where s = 0, V is thin; if all is too "
        "small by sqrt(1 + sigma_T^2), the denoiser was shown a VP image (slide 19).",
    )


class _PairOfRuns:
    """Two runs with the same noise; every input of every step differs between them, or y alone.

    The noise cancels in the difference of the states, which is a weighted sum of the differences
    of x0_hat, x_{t+1} and y_spec: the weights of slide 11, to rounding.
    """

    def __init__(self, runs: Runs, problem: Problem, *, same_x0_hat: bool = False, batch: int = 32):
        self.problem, self.batch, seed = problem, batch, runs.new_seed()
        x0, other = runs.images(problem, batch), runs.images(problem, batch)
        self.dx0 = runs.normal(problem.T, *x0.shape) * (not same_x0_hat)
        self.one = runs.run(problem, x0, seed=seed)
        y = runs.measure(problem, other)
        two = runs.run(problem, x0, y=y, seed=seed, change=self.dx0)
        self.dy = two.y_spec - self.one.y_spec
        self.dx = [b - a for a, b in zip(self.one.states, two.states, strict=True)]
        self.bound = problem.rounding(max(self.one.eps, two.eps))

    def compare(self, exact: Exact, k: int, coordinates: Tensor) -> None:
        """Step k against the table, only where ``coordinates`` (n,) is true."""
        c, place = self.problem.coefficients[k], coordinates.nonzero().flatten()
        due = c.x0 * self.dx0[k - 1] + c.xt * self.dx[k - 1] + c.y * self.dy
        off = (self.dx[k] - due)[:, place]
        exact.add(off, self.bound, lambda i, error: self._sentence(k, int(place[i]), error))

    def _sentence(self, k: int, j: int, off: float) -> str:
        """Weights found by least squares, of those inputs that differ between the runs."""
        c, got, head = self.problem.coefficients[k], self.dx[k][:, j], _where(self.problem, k, j)
        if self.batch == 1:
            return f"{head}: off by {off:.2g} in a batch of one image, though right in larger ones."
        parts = {"x0_hat": (self.dx0[k - 1][:, j], c.x0[j]), "y_spec": (self.dy[:, j], c.y[j])}
        if k > 1:  # else, where x_T = y_spec + noise, its difference is that of y_spec
            parts["x"] = (self.dx[k - 1][:, j], c.xt[j])
        parts = {name: part for name, part in parts.items() if part[0].abs().max() > self.bound}
        columns = torch.stack([column for column, _ in parts.values()], 1)
        found = torch.linalg.lstsq(columns, got[:, None]).solution[:, 0]
        if (columns @ found - got).abs().max() > 1e-3 * got.abs().max():
            return (
                f"{head}: it is no weighted sum of x0_hat, x and y_spec. Is x0_hat clipped, or "
                "mixed with other coordinates or images?"
            )
        weights = ", ".join(
            "{} {} (due {})".format(name, *apart(weight, due, self.bound))
            for weight, (name, (_, due)) in zip(found, parts.items(), strict=True)
        )
        fine = f", off by {off:.0e} in all. Is some number float32?" if off < 1e-5 else "."
        return f"{head}: weights found are {weights}{fine}"


def _weights(runs: Runs) -> Iterator[Finding]:
    """S11.2-S11.4: the weights of each case, and the whole state where no noise is due."""
    pairs = [_PairOfRuns(runs, problem) for problem in runs.problems]
    with runs.aside():
        alone = [_PairOfRuns(runs, problem, batch=1) for problem in runs.problems]
    causes = {
        1: "It is (1 - eta_b) x0_hat + eta_b y_spec, x_{t+1} not used (slide 11).",
        2: "It is x0_hat + sqrt(1 - eta^2) sigma_next (y_spec - x0_hat) / (sigma_y / s).",
        3: "It is x0_hat + sqrt(1 - eta^2) sigma_next (x - x0_hat) / sigma; y has no part in it.",
    }
    rates = "eta = {eta}, eta_b = {eta_b}".format(**runs.problems[0].settings)
    for case, name in CASES.items():
        exact = Exact()
        for these in (pairs, alone):
            for pair in these if exact.ratio <= 1 else ():
                for k in range(1, pair.problem.T + 1):
                    pair.compare(exact, k, pair.problem.case(k) == case)
        if exact.ratio <= 1:  # a wrong weight says more than the wrong state that it leads to
            for run, k in runs.steps():
                _compare_noiseless_state(exact, run, k, run.problem.case(k) == case)
        name = f"step of {name}: weights, and no noise if none is due"
        yield exact.finding(name, causes[case], f"Or are other rates built in than {rates}?")


def _compare_noiseless_state(exact: Exact, run: Run, k: int, coordinates: Tensor) -> None:
    """Where no noise is due (eta = 0, sigma_next = 0) the state itself is due."""
    problem = run.problem
    place = (coordinates & (problem.coefficients[k].noise == 0)).nonzero().flatten()
    told = _told(problem, k, place, "no noise is due here, but the worst state is off by {:.2g}.")
    exact.add(run.beside_the_mean(k)[:, place], problem.rounding(run.eps), told)


def _noise(runs: Runs) -> Finding:
    """S11.2-S11.4: mean, size and shape of the fresh noise."""
    chance = Chance(runs.draws)
    pooled: dict[int, list[Tensor]] = {case: [] for case in CASES}
    for run, k in runs.steps():
        noise = run.innovation(k)
        _compare_normal(chance, noise, "")
        for case, parts in pooled.items():
            parts.append(noise.r[:, run.problem.case(k)[noise.place] == case].flatten())
    for case, parts in pooled.items():
        _compare_pooled(chance, f"all steps of {CASES[case]}", parts)
    _compare_alone(chance, runs)
    return chance.finding(
        "noise of a step: N(0, 1) in the units of slide 11",
        "Its variance is sigma_next^2 - eta_b^2 sigma_y^2 / s^2 in case 1 and eta^2 sigma_next^2 "
        "in cases 2 and 3, with sigma_next the level that is entered.",
    )


def _compare_pooled(chance: Chance, what: str, parts: list[Tensor]) -> None:
    """Size and shape of the noise of many steps and problems together."""
    r = torch.cat(parts)
    if not len(r):
        return
    square, head = (r**2).sum(), f"{what} together"
    ratio = square / len(r)
    size = f"{head}: the variance is {ratio:.4f} times what is due"
    chance.add(variance_scores(square[None], len(r)), size)
    # E cos z = e^(-1/2), and its mean has the variance below if z is divided by its own size; the
    # cosine is bounded, so that it is near its normal limit at any number that is used here.
    e = math.exp(-1)
    found, due = (r / ratio.sqrt()).cos().mean(), math.exp(-0.5)
    spread = (((1 - e) ** 2 - e) / (2 * len(r))) ** 0.5
    shape = f"{head}: not normal, E cos z is {found:.4f}, due {due:.4f}"
    chance.add((found - due)[None] / spread, shape)
    beyond = int((r.abs() > FAR * (1 + 1e-6)).sum())  # what is cut off there is there to rounding
    share = math.erfc(FAR / 2**0.5)
    tail = f"{head}: {beyond} of {len(r):,} numbers lie beyond {FAR:g} standard deviations, due "
    chance.add(count_score(beyond, len(r), share), f"{tail}{share:.1e} of them")


FAR = 4.0
"""Standard deviations beyond which numbers are counted: noise may be cut off there."""


def _compare_alone(chance: Chance, runs: Runs) -> None:
    """The noise of images that are sampled one by one, all steps together."""
    problem, parts = runs.problems[0], []
    with runs.aside():
        for _ in range(40):
            run = runs.run(problem, runs.images(problem, 1))
            parts += [run.innovation(k).r.flatten() for k in range(1, problem.T + 1)]
    r = torch.cat(parts)
    ratio = float((r**2).mean()) if len(r) else 1.0
    alone = f"in batches of one image: the variance of the noise is {ratio:.3g} times what is due"
    if len(r):
        chance.add(variance_scores((r**2).sum()[None], len(r)), alone)


def _fresh(runs: Runs) -> Finding:
    """S11.7 and E19: the noise of a step is independent of all that was there before."""
    chance = Chance(runs.draws)
    for run in runs.many:
        seen = run.problem.s > 0
        earlier = {"the image": run.x0, "the noise of y": run.y_spec - run.x0 * seen}
        for k in range(run.problem.T + 1):
            sigma = f"{run.problem.sigmas[k]:.3g}"
            source = f"of the step to sigma = {sigma}" if k else f"at the start (sigma_T = {sigma})"
            r, at = run.innovation(k).r, f"the noise {source} is correlated"
            if twins := _twins(r, run.eps):
                whose = f"the noise {source} of images {twins[0]} and {twins[1]} of the batch"
                chance.add(torch.tensor([math.inf]), f"{whose} is the same, perhaps up to its sign")
            for what, columns in earlier.items():
                chance.add(cross_scores(r, columns), f"{at} with {what}")
            unit, n = torch.eye(r.shape[1], dtype=torch.float64), r.shape[1]
            coordinates = covariance_scores(r, unit, len(r))[*torch.triu_indices(n, n, 1)]
            chance.add(coordinates, f"{at} between coordinates of an image")
            half = len(r) // 2
            for one, two in ((r[: 2 * half : 2], r[1::2]), (r[:half], r[half : 2 * half])):
                chance.add(cross_scores(one, two), f"{at} between images of the batch")
            earlier[f"that {source}"] = r
    return chance.finding(
        "noise is fresh: independent over steps, coordinates and images, and of y",
        "Draw new noise of the shape of x, torch.randn(x.shape), in every step. One number for all "
        "coordinates leaves every variance right and Proposition 3.1 wrong.",
    )


def _twins(r: Tensor, eps: float) -> tuple[int, int] | None:
    """Two images, rows of r (N, l), with the same noise up to its sign, if there are any.

    Neighbours in the order of one combination of their entries are compared: twins stand there, up
    to rounding.  Where few numbers make an image, rounding could make twins, and none are looked
    for: their directions come within an angle a with a probability of about a^(l - 1).
    """
    near = 1e-4 if eps > 1e-12 else 1e-9  # of 1 - cos, which is half the angle squared
    if r.shape[1] < 2 or len(r) * (2 * near) ** ((r.shape[1] - 1) / 2) > 1e-9:
        return None
    unit = r / r.norm(dim=1, keepdim=True)
    order = (unit @ torch.arange(1.0, r.shape[1] + 1, dtype=r.dtype).sqrt()).abs().argsort()
    cosines = (unit[order[1:]] * unit[order[:-1]]).sum(1).abs()
    i = int(cosines.argmax())
    one, two = sorted(order[i : i + 2].tolist())
    return (one, two) if 1 - cosines[i] < near else None


# ---------------------------------------------------------------------- what follows from the steps


def _marginals(runs: Runs) -> Finding:
    """S12.1, S12.2, E19: mean and FULL covariance of every state given x_0."""
    chance = Chance(runs.draws)
    for run, k in runs.steps():  # to state k, from state k - 1
        problem, n = run.problem, run.problem.op.n
        size, unit = problem.sigmas[k - 1].expand(n), torch.eye(n, dtype=torch.float64)
        part = Normal(problem, k - 1, (run.states[k - 1] - run.x0) / size, torch.arange(n), size)
        _compare_normal(chance, part, " of x_t given x_0", unit, x_0=run.x0)
    return chance.finding(
        "marginals: q(x_t | x_0) = N(x_0, sigma_t^2 I) at every step (Proposition 3.1)",
        "These are the images that the network was trained on. The claims above say which weight "
        "or noise is wrong; if all hold, the coordinates are mixed between x_spec and V x_spec.",
    )


def _boundary(runs: Runs) -> Finding:
    """X04: where s sigma_next == sigma_y a coordinate is in case 1, and just below it in case 2."""
    name = "boundary: s sigma_next == sigma_y belongs to case 1"
    if runs.fixed.keys() & {"op", "sigma_y"} or runs.problems[0].T < 2:
        return Finding.not_asked(name, "it needs an op, a sigma_y and a level of its own.")
    (problem, k), exact = boundary_problem(runs.problems[0]), Exact()
    near = torch.arange(problem.op.n) < 3
    try:
        pair = _PairOfRuns(runs, problem)
    except SamplerRaised as error:
        return Finding.answered(name, str(error))
    pair.compare(exact, k, near)
    _compare_noiseless_state(exact, pair.one, k, near)  # with eta_b = 1 it is y_spec itself
    return exact.finding(
        name,
        fix="Write >= as on slide 11, and multiply, s * sigma_next >= sigma_y: with > the last "
        "noiseless step forgets what was measured.",
    )


def _lost(runs: Runs) -> Finding:
    """X13, E4: y says nothing about a coordinate with s = 0."""
    exact = Exact()
    for problem in runs.problems:
        pair, lost = _PairOfRuns(runs, problem, same_x0_hat=True), (problem.s == 0).nonzero()[:, 0]
        for k, dx in enumerate(pair.dx):
            told = _told(problem, k, lost, "another y changes it by {:.2g}.")
            exact.add(dx[:, lost], pair.bound, told)
    return exact.finding(
        "coordinates with s = 0 do not depend on y",
        "Their s^+ is 0, not 1 / s or a large number, and their column of U is 0.",
    )


def _noiseless(runs: Runs) -> Finding:
    """S17.3, X06, E7: what was measured is kept, whatever the denoiser says."""
    name, exact = "without noise, eta_b = 1: H x = y whatever the denoiser says", Exact()
    anything = lambda x, sigma: torch.tanh(1.7 * x.flip(-1) + 0.3) * 0.8 + 0.1 * x.cos()  # noqa: E731
    for problem in runs.problems:
        problem = dataclasses.replace(problem, sigma_y=0.0)
        if runs.fixed.get("sigma_y") or not (problem.coefficients[-1].y[problem.s > 0] == 1).all():
            return Finding.not_asked(name, "your sigma_y or eta_b is another.")
        try:
            run = runs.run(problem, runs.images(problem, 32), denoiser=anything)
        except SamplerRaised as error:
            return Finding.answered(name, str(error), fix="Does it divide by sigma_y or s?")
        op, y = problem.op, run.y.flatten(1)
        off = (op(problem.pixels(run.states[-1])).flatten(1) - y).norm(dim=1) / y.norm(dim=1)
        told = lambda i, error, op=op: f"on {op!r}, ||H x - y|| is {error:.2g} of ||y||."  # noqa: E731
        exact.add(off, 1000 * run.eps * op.n**0.5, told)
    return exact.finding(
        name, "In the last step sigma_next = 0 >= sigma_y / s = 0 is case 1: x_spec = y_spec."
    )


def _output(runs: Runs) -> Finding:
    """S18.1, section 4: with the exact denoiser of a Gaussian prior the output is Gaussian."""
    chance = Chance(runs.draws)
    for problem in runs.problems:
        op, n = problem.op, problem.op.n
        A = runs.normal(n, n)
        cov = A @ A.T / n + 0.05 * torch.eye(n, dtype=torch.float64)
        prior = GaussianPrior(runs.normal(n).reshape(op.in_shape), cov)
        law = sampler_law(prior, op, problem.sigmas, **problem.settings)
        x0 = op.Vt(prior.sample(runs.draws, generator=runs.generator)).flatten(1)
        run = runs.run(problem, x0, denoiser=prior)
        place = (law.cov.diagonal() > 1e-12).nonzero().flatten()  # rounding is no matter of chance
        size = law.cov.diagonal()[place].sqrt()
        off = (run.states[-1] - run.y_spec @ law.A.T - law.c)[:, place] / size
        unit = law.cov[place][:, place] / size / size[:, None]
        part = Normal(problem, problem.T, off, place, size)
        _compare_normal(chance, part, " given y", unit, y_spec=run.y_spec)
    return chance.finding(
        "output: the exact law of DDRM for a Gaussian prior, mean map and full covariance",
        "If all claims above hold, something is done to x0_hat: is it clipped, averaged over the "
        "batch, or the prediction of another step?",
    )

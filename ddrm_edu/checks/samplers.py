"""Every law of DDRM, asked of one sampler (slides 10-18).

All the states of a run are seen through the denoiser (see ``calling``).  What can be compared
exactly is: two runs with one seed and other inputs have the same noise, which cancels in the
difference of their states, so that the weights of a step are found to rounding.  The noise itself
is judged by z-scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..ddrm import Rate
from ..operators import SVDOperator
from ..schedule import decreasing_sigmas
from ._laws import Law, Report
from .calling import TOLD_BY, Observed, Setting, Subject
from .exam import Exam, SamplerRaised
from .outcome import boundary_laws, lost_law, marginal_law, noiseless_laws, output_law
from .steps import fresh_law, noise_law, start_law, weight_laws
from .tally import Exact

__all__ = ["check_sampler"]


def check_sampler(
    sampler: Callable,
    *,
    op: SVDOperator | None = None,
    sigmas: Any = None,
    sigma_y: float | None = None,
    eta: Rate | None = None,
    eta_b: Rate | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Report:
    r"""Test whether a sampler is DDRM: every claim of slides 10-18, on problems with known answers.

    The sampler is called with whatever its parameters *name*, so it need not have this library's
    signature:

    =====================================  =====================================================
    ``denoiser``                           ``denoiser(x, sigma) -> x0_hat``; required
    ``y``                                  measurements, ``(batch, *op.out_shape)``, float64
    ``op``; or ``H s U Ut V Vt``           the operator; or its parts as matrices, U with n columns
    ``sigmas``; or ``schedule steps``      decreasing levels that end in 0; or their schedule
    ``sigma_y eta eta_b``                  numbers
    ``generator``                          a ``torch.Generator``; else torch's global one is seeded
    =====================================  =====================================================

    It returns the image, a list of images or an iterator of steps or images, the last of them the
    restored one.  A function with a parameter ``x0_hat`` is a single step in spectral coordinates,
    ``step(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z)`` or some of these
    (``generator`` in place of ``z``), and is tested within the library's own start and loop.

    Parameters
    ----------
    sampler : callable
    op, sigmas, sigma_y, eta, eta_b : optional
        What the sampler has built in or is to be tested with; by default generic problems: wide,
        tall and rank-deficient operators with spread, repeated, tiny and zero singular values.
    draws : int, optional
        Images of a run, at least 1,000; by default 100,000, fewer for an ``op`` of more than ten
        coordinates.  The default finds noise that is 0.6 % too large in one case of slide 11,
        or 2 % in one coordinate of one step, and correlations of 2.5 %; weights are found to
        rounding with any number.
    seed : int

    Returns
    -------
    Report
        One entry per law, the first failure the most telling one; nothing is raised for a law that
        fails.  A correct sampler fails with a probability below 1e-6.

    Raises
    ------
    ValueError
        If the sampler asks for what is not known, or has something built in that is not given.

    Examples
    --------
    >>> from ddrm_edu import ddrm_samples
    >>> report = check_sampler(ddrm_samples, draws=1000)
    >>> report.ok
    True
    >>> def too_quiet(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    ...     from ddrm_edu.diffusion import combine
    ...     from ddrm_edu import ddrm_coefficients
    ...     c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    ...     return combine(c, x0_hat, x, y_spec, z / 2**0.5)
    >>> check_sampler(too_quiet, draws=1000).failures[0].name
    'noise of a step: N(0, 1) in the units of slide 11'
    """
    if draws is None:
        draws = 100_000 if op is None else min(100_000, max(1000, 1_000_000 // op.n))
    if draws < 1000:
        raise ValueError(
            f"draws must be at least 1,000, but was {draws}: with fewer images nothing smaller "
            "than a gross error is found."
        )
    fixed = {"op": op, "sigmas": sigmas, "sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
    if sigmas is not None:
        fixed["sigmas"] = decreasing_sigmas(sigmas)
    subject = Subject(sampler)
    _require_told(subject, fixed)
    title = f"{subject.title}, N = {draws:,}"
    exam = Exam(subject, fixed, draws, seed)
    laws: list[Law] = []
    try:
        laws.extend(_laws(exam))  # what was judged before an exception stays in the list
    except SamplerRaised as error:
        name, advice = "it runs in every problem", "The laws that would follow wait for this one."
        laws.append(Law(name, float("nan"), 0.0, advice, str(error)))
    return Report(title, tuple(laws), tuple(exam.not_asked))


def _require_told(subject: Subject, fixed: dict[str, Any]) -> None:
    for what, value in fixed.items():
        if value is None and what not in subject.told:
            names = ", ".join(sorted(TOLD_BY[what]))
            raise ValueError(
                f"{subject.title} has no parameter for {what} (known names: {names}), so it has "
                f"one built in, without which nobody knows what is due. Name the parameter, or "
                f"pass check_sampler(..., {what}=...)."
            )


def _laws(exam: Exam) -> Iterator[Law]:
    """Yield the laws in an order in which the first failure is the most telling one."""
    first = _law_of_running(exam)
    yield first
    if not first.ok:
        exam.not_asked.append("all other laws: they need runs that end well.")
        return
    calls = _law_of_calls(exam)
    yield calls
    if calls.error == float("inf"):
        exam.not_asked.append("all other laws: with other calls the states are not known.")
        return
    yield _law_of_own_noise(exam)
    yield start_law(exam)
    yield from weight_laws(exam)
    yield noise_law(exam)
    yield fresh_law(exam)
    yield marginal_law(exam)
    yield from boundary_laws(exam)
    yield lost_law(exam)
    yield from noiseless_laws(exam)
    yield output_law(exam)


def _law_of_running(exam: Exam) -> Law:
    name = "it runs: finite images, y left alone, one seed one result"
    for setting in exam.settings:
        try:
            found, advice = _running_fault(exam, setting)
        except SamplerRaised as error:
            found, advice = str(error), "The other laws wait for this one."
        if found:
            return Law(name, 1.0, 0.0, advice, found)
    return Law(name, 0.0, 0.0, "", within="two runs alike, a third not")


def _running_fault(exam: Exam, setting: Setting) -> tuple[str, str]:
    """What is wrong with three small runs, and the advice; empty if nothing is."""
    x0 = exam.images(setting, 4)
    y = exam.measure(setting, x0)
    one, same, other = (exam.run(setting, x0, y=y, seed=seed).seen for seed in (1, 1, 2))
    if one.y_changed:
        return "it wrote into y.", "Work on y.clone()."
    if not _equal(one, same):
        return (
            "the same seed gave another result.",
            "Draw all noise from generator= if you name it, else from torch's global generator.",
        )
    if _equal(one, other):
        return "another seed gave the same result.", "Seed nothing inside of the sampler."
    return "", ""


def _equal(one: Observed, two: Observed) -> bool:
    return len(one.states) == len(two.states) and all(map(torch.equal, one.states, two.states))


def _law_of_calls(exam: Exam) -> Law:
    """S18.1, E13: x_theta is predicted from the level of the x that is shown."""
    name = "the denoiser is called once at each level, in order"
    exact = Exact()
    for run in exam.runs:
        found, due = torch.tensor(run.seen.levels, dtype=torch.float64), run.setting.sigmas[:-1]
        if len(found) != len(due):
            what = f"{len(found)} calls found, {len(due)} due."
            advice = "One call per step, and none for the clean image: sigmas ends in 0."
            return Law(name, float("inf"), 0.0, advice, what)

        def describe(i: int, found=found, due=due) -> str:
            return f"call {i + 1} was at sigma = {found[i]:.9g}, due {due[i]:.9g}."

        exact.add(found / due - 1, 4 * run.seen.eps, describe)
    return exact.law(name, "Its level is that of the x that it is shown, sigma_{t+1} on slide 11.")


def _law_of_own_noise(exam: Exam) -> Law:
    """Equal images with equal measurements: only the noise tells them apart."""
    alike = 0
    for setting in exam.settings:
        x0 = exam.images(setting, 1)
        y = exam.measure(setting, x0)
        four = y.expand(4, *y.shape[1:]).clone()
        run = exam.run(setting, x0.expand(4, -1), y=four)
        a, b = torch.combinations(torch.arange(4)).T
        for c, state in zip(run.setting.coefficients, run.seen.states, strict=True):
            noisy = state[:, c.noise > 0]
            alike += int((noisy[a] == noisy[b]).all(1).sum()) if noisy.shape[1] else 0
    advice = "Draw noise of the shape of x, batch included: torch.randn(x.shape)."
    found = f"{alike} pairs of states of different images are equal, none should be."
    name = "each image of a batch has noise of its own"
    return Law(name, float(alike), 0.0, advice, found, "none equal")

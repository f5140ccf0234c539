"""What follows from the steps: marginals, exact measurements, the law of the output."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ..law import sampler_law
from ..priors import GaussianPrior
from ._laws import Law
from .calling import Setting
from .exam import Exam, Run, SamplerRaised, about, where
from .problems import boundary_level, boundary_setting
from .steps import PairOfRuns
from .tally import Chance, Exact
from .values import covariance_scores, cross_scores

__all__ = ["boundary_laws", "lost_law", "marginal_law", "noiseless_laws", "output_law"]


def marginal_law(exam: Exam) -> Law:
    """S12.1, S12.2, E19: mean and FULL covariance of every state given x_0."""
    chance = Chance(exam.draws)
    for run in exam.runs:
        for k in range(run.setting.T):
            _compare_marginal(chance, run, k)
    return chance.law(
        "marginals: q(x_t | x_0) = N(x_0, sigma_t^2 I) at every step (Proposition 3.1)",
        "These are the images that the network was trained on. The laws above say which weight or "
        "noise is wrong; if they all hold, the coordinates are mixed between x_spec and V x_spec.",
    )


def _compare_marginal(chance: Chance, run: Run, k: int) -> None:
    setting, sigma, n = run.setting, run.setting.sigmas[k], run.setting.op.n
    r = (run.seen.states[k] - run.x0) / sigma
    upper, S = torch.triu_indices(n, n), r.T @ r / len(r)

    def covariance(i: int) -> str:
        a, b = upper[:, i].tolist()
        what = "variance" if a == b else f"covariance with coordinate {b}"
        found, due = S[a, b] * sigma**2, sigma**2 * (a == b)
        return f"{where(setting, k, a)}: {what} of x_t given x_0 found {found:.4g}, due {due:.4g}"

    def mean(i: int) -> str:
        a, b = divmod(i, n + 1)
        what = f"depends on coordinate {b - 1} of x_0" if b else f"is {r[:, a].mean() * sigma:.4g}"
        return f"{where(setting, k, a)}: the mean of x_t - x_0 {what}, due 0"

    unit = torch.eye(n, dtype=torch.float64)
    chance.add(covariance_scores(r, unit, len(r))[*upper], covariance)
    chance.add(cross_scores(r, torch.cat([torch.ones_like(run.x0[:, :1]), run.x0], 1)), mean)


def boundary_laws(exam: Exam) -> Iterator[Law]:
    """X04: at s sigma_next == sigma_y with eta_b = 1 the state is y_spec; just below it is not."""
    name = "boundary: s sigma_next == sigma_y belongs to case 1"
    first = exam.settings[0]
    free = exam.fixed["op"] is None and exam.fixed["sigma_y"] is None
    if not free or not exam.fixed_to("eta_b", 1) or first.T < 2:
        exam.not_asked.append(f"{name}: it needs an op and a sigma_y of its own, and eta_b = 1.")
        return
    if not {"op", "s"} & exam.subject.names:
        exam.not_asked.append(f"{name}: the s that a sampler computes from H is not exact.")
        return
    setting, k, exact = boundary_setting(first, exam.generator), boundary_level(first), Exact()
    try:
        pair = PairOfRuns(exam, setting)
    except SamplerRaised as error:
        yield Law(name, float("nan"), 0.0, "", str(error))
        return
    pair.compare(exact, k, torch.arange(setting.op.n) < 3)
    off = (pair.one.seen.states[k] - pair.one.y_spec)[:, 0].abs().max()
    exact.add(
        off[None],
        pair.bound,
        lambda i: f"{where(setting, k, 0)}: x_t must be y_spec itself, but is off by {off:.2g}.",
    )
    yield exact.law(
        name,
        "Write >= as on slide 11, and multiply, s * sigma_next >= sigma_y: with > the last "
        "noiseless step forgets what was measured.",
    )


def lost_law(exam: Exam) -> Law:
    """X13, E4: y says nothing about a coordinate with s = 0."""
    exact = Exact()
    for setting in exam.settings:
        x0, seed = exam.images(setting, 32), next(exam.seeds)
        one = exam.run(setting, x0, seed=seed)
        two = exam.run(setting, x0, y=exam.measure(setting, -3 * x0), seed=seed)
        for k in range(setting.T + 1):
            _compare_lost(exact, one, two, k)
    return exact.law(
        "coordinates with s = 0 do not depend on y",
        "Their s^+ is 0, not 1 / s or a large number, and their column of U is 0.",
    )


def _compare_lost(exact: Exact, one: Run, two: Run, k: int) -> None:
    setting = one.setting
    lost = (setting.s == 0).nonzero().flatten()
    off = (one.seen.states[k] - two.seen.states[k])[:, lost].abs().amax(0)

    def describe(i: int) -> str:
        return f"{where(setting, k, int(lost[i]))}: another y changes it by {off[i]:.2g}."

    exact.add(off, setting.rounding(one.seen.eps), describe)


def noiseless_laws(exam: Exam) -> Iterator[Law]:
    """S17.3, X06, E7: what was measured is kept, whatever the denoiser says."""
    name = "without noise, eta_b = 1: H x = y whatever the denoiser says"
    if not exam.fixed_to("sigma_y", 0) or not exam.fixed_to("eta_b", 1):
        exam.not_asked.append(f"{name}: your sigma_y or eta_b is another.")
        return
    exact = Exact()
    for setting in exam.settings:
        setting = dataclasses.replace(setting, sigma_y=0.0, eta_b=1.0)
        y = exam.measure(setting, exam.images(setting, 32))
        try:
            seen = exam.observe(setting, _any_denoiser, y)
        except SamplerRaised as error:
            yield Law(name, float("nan"), 0.0, "Does it divide by sigma_y or s?", str(error))
            return
        _compare_measurement(exact, setting, y, setting.pixels(seen.states[-1]), seen.eps)
    yield exact.law(
        name, "In the last step sigma_next = 0 >= sigma_y / s = 0 is case 1: x_spec = y_spec."
    )


def _any_denoiser(k: int, x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(1.7 * x.flip(-1) + 0.3) * 0.8 + 0.1 * x.cos()


def _compare_measurement(exact: Exact, setting: Setting, y: Tensor, x: Tensor, eps: float) -> None:
    off = (setting.op(x) - y).flatten(1).norm(dim=1) / y.flatten(1).norm(dim=1)
    bound = 1000 * eps * setting.op.n**0.5
    exact.add(off, bound, lambda i: f"on {setting.op!r}, ||H x - y|| is {off[i]:.2g} of ||y||.")


def output_law(exam: Exam) -> Law:
    """S18.1, section 4: with the exact denoiser of a Gaussian prior the output is Gaussian."""
    chance = Chance(exam.draws)
    for setting in exam.settings:
        op, n = setting.op, setting.op.n
        A = exam.normal(n, n)
        cov = A @ A.T / n + 0.05 * torch.eye(n, dtype=torch.float64)
        prior = GaussianPrior(exam.normal(n).reshape(op.in_shape), cov)
        law = sampler_law(
            prior,
            op,
            setting.sigmas,
            sigma_y=setting.sigma_y,
            eta=setting.eta,
            eta_b=setting.eta_b,
        )
        x0 = op.Vt(prior.sample(exam.draws, generator=exam.generator)).flatten(1)
        y = exam.measure(setting, x0)
        seen = exam.observe(setting, lambda k, x, sigma, prior=prior: prior(x, sigma), y)
        y_spec = setting.y_spec(y)
        _compare_output(chance, setting, seen.states[-1], y_spec, y_spec @ law.A.T + law.c, law.cov)
    return chance.law(
        "output: the exact law of DDRM for a Gaussian prior, mean map and full covariance",
        "If all laws above hold, something is done to x0_hat: is it clipped, averaged over the "
        "batch, or the prediction of another step?",
    )


def _compare_output(
    chance: Chance, setting: Setting, x: Tensor, y_spec: Tensor, mean: Tensor, cov: Tensor
) -> None:
    place = (cov.diagonal() > 1e-12).nonzero().flatten()  # rounding is no matter of chance
    off, cov = (x - mean)[:, place], cov[place][:, place]
    S, upper = off.T @ off / len(off), torch.triu_indices(*cov.shape)
    given = torch.cat([torch.ones_like(y_spec[:, :1]), y_spec], 1)

    def covariance(i: int) -> str:
        a, b = upper[:, i].tolist()
        what = "variance" if a == b else f"covariance with coordinate {place[b]}"
        head = about(setting, int(place[a]))
        return f"{head}: {what} given y found {S[a, b]:.4g}, due {cov[a, b]:.4g}"

    def drift(i: int) -> str:
        a, b = divmod(i, given.shape[1])
        what = f"depends otherwise on coordinate {b - 1} of y_spec" if b else "is off by "
        what += "" if b else f"{off[:, a].mean():.4g}"
        return f"{about(setting, int(place[a]))}: the mean given y {what}"

    chance.add(covariance_scores(off, cov, len(off))[*upper], covariance)
    chance.add(cross_scores(off / cov.diagonal().sqrt(), given), drift)

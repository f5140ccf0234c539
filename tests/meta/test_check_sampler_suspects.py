"""check_sampler finds every wrong sampler, and the first claim that fails is the one to look at.

The suspects are one plain Algorithm 2 in pixels, written with matrices and without the library,
in which every place where a mistake is made is a piece that can be replaced.  The pieces as they
stand pass (the last test), so that what fails is the replacement alone.  They have generic rates
built in, and once more the paper's, which hide one of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from ddrm_edu.checks import check_sampler, svd_of

FEW, MANY = 4000, 100_000
GENERIC, PAPER = {"eta": 0.6, "eta_b": 0.7}, {"eta": 0.85, "eta_b": 1.0}

RUNS = "it runs"
CALLS = "the denoiser is called"
OWN = "each image of a batch"
START = "start"
CASE_1, CASE_2, CASE_3 = "step of case 1", "step of case 2", "step of case 3"
NOISE = "noise of a step"
FRESH = "noise is fresh"
MARGINALS = "marginals"
BOUNDARY = "boundary"
LOST = "coordinates with s = 0"
NOISELESS = "without noise"
OUTPUT = "output"


# ------------------------------------------------------------------- Algorithm 2, piece by piece


def _inverse(s):
    return torch.where(s > 0, 1 / s.where(s > 0, torch.ones_like(s)), 0.0)


def _start(s, sigma, sigma_y, y_spec, z):
    variance = sigma**2 - (sigma_y * _inverse(s)) ** 2
    seen = (s > 0) & (s * sigma >= sigma_y)
    return torch.where(seen, y_spec, 0.0) + torch.where(seen, variance, sigma**2).sqrt() * z


RIGHT = {
    "rates": lambda eta, eta_b, sigma_y: (eta, eta_b, sigma_y),
    "levels": lambda sigmas: sigmas,
    "axes": lambda V, s: V,
    "values": lambda s: s,
    "y_spec": lambda y, U, s: y @ U * _inverse(s),
    "start": _start,
    "shown": lambda x, sigma, sigma_next: (x, sigma),
    "predicted": lambda x0_hat, memory: x0_hat,
    "first": lambda s, sigma, sigma_next, sigma_y: (s > 0) & (s * sigma_next >= sigma_y),
    "second": lambda s, first: (s > 0) & ~first,
    "kept": lambda eta: math.sqrt(1 - eta**2),
    "weight_1": lambda eta_b: eta_b,
    "weight_2": lambda kept, sigma_next, s, sigma_y: kept * sigma_next * s / sigma_y,
    "weight_3": lambda kept, sigma, sigma_next, eta: kept * sigma_next / sigma,
    "var_1": lambda sigma_next, eta_b, tau: sigma_next**2 - eta_b**2 * tau**2,
    "std_2": lambda eta, sigma, sigma_next: eta * sigma_next,
    "std_3": lambda eta, sigma, sigma_next: eta * sigma_next,
    "noise": lambda draw, memory, k: draw(),
    "residual": lambda x, sigma: 0.0,
    "lost": lambda y, y_spec, s: 0.0,
}


def sampler(built_in: dict[str, float], **wrong: Callable) -> Callable:
    """Algorithm 2 with its rates built in, and some of its pieces replaced."""
    p = SimpleNamespace(**RIGHT | wrong)

    def algorithm_2(denoiser, op, y, *, sigmas, sigma_y, generator):
        eta, eta_b, sigma_y = p.rates(*built_in.values(), sigma_y)
        U, s, Vt = svd_of(op)
        s, V, memory = p.values(s), p.axes(Vt.T, s), {}
        y_spec = p.y_spec(y, U, s)
        draw = lambda: torch.randn(y_spec.shape, generator=generator, dtype=y.dtype)  # noqa: E731
        x = p.start(s, float(sigmas[0]), sigma_y, y_spec, p.noise(draw, memory, 0)) @ V.T
        levels = p.levels(sigmas).tolist()
        for k, (sigma, sigma_next) in enumerate(itertools.pairwise(levels), 1):
            x0_hat = p.predicted(denoiser(*p.shown(x, sigma, sigma_next)), memory) @ V
            x_spec, z = x @ V, p.noise(draw, memory, k)
            first = p.first(s, sigma, sigma_next, sigma_y)
            second = p.second(s, first)
            third, kept, tau = ~first & ~second, p.kept(eta), sigma_y * _inverse(s)
            new = x0_hat + p.residual(x_spec - x0_hat, sigma)
            first_, second_, third_ = (case.to(s) for case in (first, second, third))
            w1 = p.weight_1(eta_b) * first_  # a number times a bool would be float32
            w2 = p.weight_2(kept, sigma_next, s, sigma_y or 1.0) * second_
            w3 = p.weight_3(kept, sigma, sigma_next, eta) * third_
            new = new + (w1 + w2) * (y_spec - x0_hat) + w3 * (x_spec - x0_hat)
            variance = torch.where(first, p.var_1(sigma_next, eta_b, tau), 0.0)
            std = torch.where(first, variance.clamp(min=0).sqrt(), 0.0)
            std = torch.where(second, p.std_2(eta, sigma, sigma_next), std)
            std = torch.where(third, p.std_3(eta, sigma, sigma_next), std)
            x = (new + std * z + p.lost(y, y_spec, s)) @ V.T
        return x

    return algorithm_2


# --------------------------------------------------------------------------------- wrong pieces


def _clamped_start(s, sigma, sigma_y, y_spec, z):
    """E5 forgotten, the negative variance hidden by a clamp."""
    variance = (sigma**2 - (sigma_y * _inverse(s)) ** 2).clamp(min=0)
    return y_spec + variance.sqrt() * z


def _loud_start(s, sigma, sigma_y, y_spec, z):
    return torch.where((s > 0) & (s * sigma >= sigma_y), y_spec, 0.0) + sigma * z


def _blind_start(s, sigma, sigma_y, y_spec, z):
    return sigma * z


def _start_from_y_where_nothing_is_known(s, sigma, sigma_y, y_spec, z):
    return _start(s, sigma, sigma_y, y_spec, z) + (s == 0) * y_spec.sum(1, keepdim=True)


def _start_that_knows_other_coordinates(s, sigma, sigma_y, y_spec, z):
    """Two that cancel on average, and add 6 % to the variance: what is wrong is that it knows."""
    x, tau = _start(s, sigma, sigma_y, y_spec, z), sigma_y * _inverse(s)
    size = (2 + tau[1] ** 2 + tau[4] ** 2).sqrt()
    x[:, 2] += 0.25 * sigma * (y_spec[:, 1] + y_spec[:, 4]) / size
    return x


def _reused(draw, memory, k):
    """One draw for the start and one for all steps."""
    memory[k] = draw() if k < 2 else memory[1]
    return memory[k]


def _start_again(draw, memory, k):
    memory[k] = memory[0] if k == 1 else draw()
    return memory[k]


def _halves(draw, memory, k):
    """Antithetic pairs: the second half of the batch gets the noise of the first, negated."""
    z = draw()
    half = len(z) // 2
    z[half : 2 * half] = -z[:half]
    return z


def _with_memory(rho):
    def noise(draw, memory, k):
        z = draw()
        memory[k] = z if k == 0 else rho * memory[k - 1] + math.sqrt(1 - rho**2) * z
        return memory[k]

    return noise


def _with_neighbour(rho):
    def noise(draw, memory, k):
        z = draw()
        z[:, 0] = rho * z[:, 1] + math.sqrt(1 - rho**2) * z[:, 0]
        return z

    return noise


def _one_entry(factor):
    def noise(draw, memory, k):
        z = draw()
        if k == 2:
            z[:, 0] *= factor
        return z

    return noise


def _uniform(draw, memory, k):
    """Mean 0 and variance 1, but no normal law."""
    z = draw()
    return math.sqrt(12) * (0.5 * torch.erfc(-z / math.sqrt(2)) - 0.5)


def _stale(x0_hat, memory):
    """The prediction of the step before."""
    memory["x0_hat"], last = x0_hat, memory.get("x0_hat", x0_hat)
    return last


def _ddim_eta(kept, sigma, sigma_next, eta):
    """DDIM's eta in place of DDRM's (X07): the marginals stay right."""
    return math.sqrt(1 - eta**2 * (1 - (sigma_next / sigma) ** 2)) * sigma_next / sigma


def _ddim_std(eta, sigma, sigma_next):
    return eta * sigma_next * math.sqrt(1 - (sigma_next / sigma) ** 2)


def scaled(piece: str, factor: float) -> dict[str, Callable]:
    """One piece of the right algorithm, off by a factor."""
    return {piece: lambda *args: RIGHT[piece](*args) * factor}


def _scaled_case_1(factor):
    return {"var_1": lambda sigma_next, eta_b, tau: factor * RIGHT["var_1"](sigma_next, eta_b, tau)}


GROSS = {
    "M26 noise divided by sqrt 2": (
        NOISE,
        {"noise": lambda draw, m, k: draw() / (2**0.5 if k else 1)},
    ),
    "M26 noise divided by sqrt 2, start too": (START, scaled("noise", 2**-0.5)),
    "M33 strict > at the boundary": (
        BOUNDARY,
        {"first": lambda s, sigma, sigma_next, sigma_y: (s > 0) & (s * sigma_next > sigma_y)},
    ),
    "boundary with a tolerance of 1e-5": (
        BOUNDARY,
        {"first": lambda s, sigma, level, sigma_y: (s > 0) & (s * level >= sigma_y * (1 - 1e-5))},
    ),
    "boundary above the level": (
        BOUNDARY,
        {"first": lambda s, sigma, level, sigma_y: (s > 0) & (s * level >= sigma_y * (1 + 1e-5))},
    ),
    "M33 noiseless last step as DDIM": (
        NOISELESS,
        {
            "first": lambda s, sigma, level, sigma_y: (
                (s > 0) & (s * level >= sigma_y) & (level > 0)
            ),
            "second": lambda s, first: (s > 0) & ~first,
        },
    ),
    "X13 s = 0 routed to case 2": (CASE_3, {"second": lambda s, first: ~first}),
    "M24 noise eta sigma_{t+1} in case 2": (
        CASE_2,
        {"std_2": lambda eta, sigma, level: eta * sigma},
    ),
    "M24 noise eta sigma_{t+1} in case 3": (
        CASE_3,
        {"std_3": lambda eta, sigma, level: eta * sigma},
    ),
    "noise reused across steps": (FRESH, {"noise": _reused}),
    "noise of the start used again": (FRESH, {"noise": _start_again}),
    "M27 one number for all coordinates": (
        FRESH,
        {"noise": lambda draw, memory, k: (z := draw())[:, :1].expand_as(z)},
    ),
    "the same noise for all images": (
        OWN,
        {"noise": lambda draw, memory, k: (z := draw())[:1].expand_as(z)},
    ),
    "antithetic halves of the batch": (FRESH, {"noise": _halves}),
    "denoiser called at the next level": (
        CALLS,
        {"shown": lambda x, sigma, level: (x, level or 1e-3)},
    ),
    "denoiser called at sigma^2": (CALLS, {"shown": lambda x, sigma, level: (x, sigma**2)}),
    "denoiser shown VP images": (
        START,
        {"shown": lambda x, sigma, level: (x / math.sqrt(1 + sigma**2), sigma)},
    ),
    "eta and eta_b exchanged": (CASE_1, {"rates": lambda eta, eta_b, sy: (eta_b, eta, sy)}),
    "M21 sqrt(1 - eta)": (CASE_2, {"kept": lambda eta: math.sqrt(1 - eta)}),
    "M19 eta_b not squared in the variance": (
        NOISE,
        {"var_1": lambda level, eta_b, tau: level**2 - eta_b * tau**2},
    ),
    "y ignored": (START, {"y_spec": lambda y, U, s: 0 * (y @ U)}),
    "y ignored at the start alone": (START, {"start": _blind_start}),
    "M10 y_spec = U^T y": (START, {"y_spec": lambda y, U, s: y @ U}),
    "V and V^T swapped": (START, {"axes": lambda V, s: V.T}),
    "M13 thin V": (START, {"axes": lambda V, s: V * (s > 0)}),
    "sigma_y used as a variance": (
        START,
        {"rates": lambda eta, eta_b, sigma_y: (eta, eta_b, sigma_y**0.5)},
    ),
    "x0_hat clipped to [-1, 1]": (
        CASE_1,
        {"predicted": lambda x0_hat, memory: x0_hat.clamp(-1, 1)},
    ),
    "last level not 0": (
        CASE_2,
        {"levels": lambda sigmas: torch.cat([sigmas[:-1], sigmas[-2:-1] / 10])},
    ),
    "last level left out": (CALLS, {"levels": lambda sigmas: sigmas[:-1]}),
    "start that knows other coordinates": (START, {"start": _start_that_knows_other_coordinates}),
    "s = 0 starts from y": (START, {"start": _start_from_y_where_nothing_is_known}),
    "clamped start where sigma_T < sigma_y / s": (START, {"start": _clamped_start}),
    "start without - sigma_y^2 / s^2": (START, {"start": _loud_start}),
    "S16.1 division by sigma forgotten": (
        CASE_3,
        {"weight_3": lambda kept, sigma, level, eta: kept * level},
    ),
    "case chosen by the level that is left": (
        CASE_2,
        {"first": lambda s, sigma, level, sigma_y: (s > 0) & (s * sigma >= sigma_y)},
    ),
    "DDIM's eta for DDRM's": (CASE_3, {"weight_3": _ddim_eta, "std_3": _ddim_std}),
    "eta_b halved, consistently": (
        CASE_1,
        {"rates": lambda eta, eta_b, sigma_y: (eta, eta_b / 2, sigma_y)},
    ),
    "prediction of the step before": (CASE_1, {"predicted": _stale}),
    "y of the next image": (START, {"y_spec": lambda y, U, s: RIGHT["y_spec"](y.roll(1, 0), U, s)}),
    "y leaks into what is lost": (
        CASE_3,
        {"lost": lambda y, y_spec, s: 0.1 * (s == 0) * y_spec.sum(1, keepdim=True)},
    ),
    "weak coordinates thrown away": (
        CASE_2,
        {"values": lambda s: s.where(s > 1e-3 * s.max(), torch.zeros_like(s))},
    ),
    "noise uniform, of variance 1": (START, {"noise": _uniform}),
    "case 1 keeps some of the old state": (CASE_1, {"residual": lambda r, sigma: 0.01 * r}),
}

SUBTLE = {  # the sizes that the docstring of check_sampler promises
    "all noise 0.4 % too large": (
        NOISE,
        {"noise": lambda draw, memory, k: draw() * (1.004 if k else 1)},
    ),
    "noise of case 1 0.6 % too small": (NOISE, _scaled_case_1(0.994**2)),
    "noise of case 2 0.6 % too large": (NOISE, scaled("std_2", 1.006)),
    "noise of case 3 0.6 % too large": (NOISE, scaled("std_3", 1.006)),
    "noise of one coordinate in one step 2 % too large": (NOISE, {"noise": _one_entry(1.02)}),
    "start 2 % too wide": (
        START,
        {"start": lambda s, sigma, sigma_y, y_spec, z: _start(s, sigma, sigma_y, y_spec, 1.02 * z)},
    ),
    "noise remembers 2.5 % of the step before": (FRESH, {"noise": _with_memory(0.025)}),
    "noise shares 2.5 % with a neighbour": (FRESH, {"noise": _with_neighbour(0.025)}),
    "noise shifted by 3 % of its size": (NOISE, {"noise": lambda d, m, k: d() + 0.03 * (k > 0)}),
}

EXACT = {  # seen to rounding, with any number of draws
    "weight of y off by 1e-6": (CASE_1, scaled("weight_1", 1 + 1e-6)),
    "s in half precision": (CASE_2, scaled("weight_2", 1 + 2**-11)),
    "x0_hat shrunk by 1e-6": (
        CASE_1,
        {"predicted": lambda x0_hat, memory: x0_hat * (1 - 1e-6)},
    ),
    "1e-6 of the batch's mean in x0_hat": (
        CASE_1,
        {"predicted": lambda x0_hat, memory: x0_hat + 1e-6 * x0_hat.mean(0)},
    ),
    "level off by 1e-6": (CALLS, {"shown": lambda x, sigma, level: (x, sigma * (1 + 1e-6))}),
    "noise of size 1e-6 in the last step": (
        CASE_2,
        {"std_2": lambda eta, sigma, level: eta * level or 1e-6},
    ),
}


#: Seen with the paper's rates alone, because H x = y is asked where eta_b = 1.
NOISELESS_ONLY = {"M33 noiseless last step as DDIM"}
#: Hidden by the paper's rates: without its square eta_b = 1 is the same.
HIDDEN = {"M19 eta_b not squared in the variance"}


def first_failure(wrong: dict[str, Callable], draws: int, rates: dict[str, float]) -> str:
    report = check_sampler(sampler(rates, **wrong), draws=draws, **rates)
    assert report.failures, str(report)
    return str(report.failures[0])


@pytest.mark.parametrize("name", [name for name in GROSS if name not in NOISELESS_ONLY])
def test_a_wrong_sampler_fails_first_the_claim_that_it_breaks(name):
    claim, wrong = GROSS[name]
    assert first_failure(wrong, FEW, GENERIC).startswith(f"FAILED  {claim}")


@pytest.mark.parametrize("name", [name for name in GROSS if name not in HIDDEN])
def test_with_the_rates_of_the_paper_it_fails_as_well(name):
    """At eta_b = 1 a wrong x0_hat does not show in case 1; then case 2 is the first to fail."""
    claim, wrong = GROSS[name]
    found = first_failure(wrong, 1000, PAPER)
    assert found.startswith(
        (f"FAILED  {claim}", f"FAILED  {CASE_2 if 'predicted' in wrong else claim}")
    )


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("y leaks into what is lost", {MARGINALS, LOST, OUTPUT}),
        ("M10 y_spec = U^T y", {CASE_1, CASE_2, MARGINALS, BOUNDARY, OUTPUT}),
        ("M27 one number for all coordinates", {MARGINALS, OUTPUT}),
        ("M21 sqrt(1 - eta)", {CASE_3, MARGINALS, OUTPUT}),
        ("x0_hat clipped to [-1, 1]", {CASE_2, CASE_3, OUTPUT}),
        ("s = 0 starts from y", {LOST, MARGINALS}),
    ],
)
def test_claims_that_follow_from_the_first_one_fail_as_well(name, claims):
    """No claim is idle because another one is always broken before it."""
    wrong = GROSS[name][1]
    report = check_sampler(sampler(GENERIC, **wrong), draws=FEW, **GENERIC)
    broken = [finding.name for finding in report.failures]
    for claim in claims:
        assert any(other.startswith(claim) for other in broken), (claim, broken)


@pytest.mark.parametrize(
    ("names", "rates"), [(HIDDEN, PAPER), (NOISELESS_ONLY, GENERIC)], ids=["paper", "generic"]
)
def test_special_rates_hide_what_is_found_with_others(names, rates):
    for name in names:
        assert check_sampler(sampler(rates, **GROSS[name][1]), draws=FEW, **rates).ok


@pytest.mark.parametrize(("claim", "wrong"), EXACT.values(), ids=EXACT)
def test_wrong_weights_are_found_to_rounding(claim, wrong):
    found = first_failure(wrong, 1000, GENERIC)
    assert found.startswith(f"FAILED  {claim}")


def test_a_difference_in_the_sixth_digit_is_shown():
    """A weight that is off must not be printed like the one that is due."""
    found = first_failure(EXACT["weight of y off by 1e-6"][1], 1000, GENERIC)
    assert "x0_hat 0.299999 (due 0.3), y_spec 0.700001 (due 0.7), x 0 (due 0)" in found


@pytest.mark.parametrize(("claim", "wrong"), SUBTLE.values(), ids=SUBTLE)
def test_small_errors_of_the_noise_are_found_with_the_default_draws(claim, wrong):
    assert first_failure(wrong, MANY, GENERIC).startswith(f"FAILED  {claim}")


@pytest.mark.parametrize("rates", [GENERIC, PAPER], ids=["generic", "paper"])
def test_the_pieces_as_they_stand_are_right(rates):
    report = check_sampler(sampler(rates), **rates)
    assert report.ok, str(report)
    assert len(report.asked) == (14 if rates is PAPER else 13)

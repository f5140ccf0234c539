"""What is judged by chance says both error rates, and they are those that are measured.

And what no mean and no covariance shows: images that share their noise, noise that is cut off, and
what is wrong for one image alone.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

from ddrm_edu import ddrm_coefficients, ddrm_samples
from ddrm_edu.checks import check_mc, check_sampler, sampler_of
from ddrm_edu.checks.scores import Chance, count_score
from ddrm_edu.diffusion import combine

# -- check_mc --------------------------------------------------------------------------------------


def found(make, repeats: int = 300, N: int = 400, **claim) -> float:
    """Share of draws ``make(rng, N)`` for which the claim N(0, I) fails."""
    failures = 0
    for seed in range(repeats):
        try:
            check_mc("", make(np.random.default_rng(seed), N), **claim)
        except AssertionError:
            failures += 1
    return failures / repeats


@pytest.fixture
def power(capsys):
    draws = np.random.default_rng(0).standard_normal((400, 3))
    return check_mc("claim", draws, mean=np.zeros(3), cov=np.eye(3))


@pytest.mark.parametrize("times", [1.0, 0.5])
@pytest.mark.parametrize("what", ["mean", "variance", "correlation"])
def test_an_error_of_the_size_that_is_said_is_found_19_times_of_20(power, what, times, capsys):
    """And one of half the size is not: it is the smallest that is found so often."""

    def make(rng, N):
        x = rng.standard_normal((N, 3))
        if what == "mean":
            x[:, 1] += times * power.mean
        elif what == "variance":
            x[:, 1] *= math.sqrt(1 + times * power.variance)
        else:
            rho = times * power.correlation
            x[:, 1] = math.sqrt(1 - rho**2) * x[:, 1] + rho * x[:, 2]
        return x

    share = found(make, mean=np.zeros(3), cov=np.eye(3))
    # 300 repetitions: three standard deviations of a share of 0.95 are 0.038
    assert share >= 0.91 if times == 1 else share < 0.5


def test_both_error_rates_are_told(power):
    assert power.false_alarm == 1e-6
    assert (power.draws, power.comparisons) == (400, 9)
    bound = stats.norm.isf(1e-6 / 18) + stats.norm.isf(0.05)
    assert power.mean == pytest.approx(bound / 20, rel=1e-12)


def test_more_draws_and_a_higher_false_alarm_find_smaller_errors(capsys):
    draws = np.random.default_rng(0).standard_normal((1600, 3))
    claim = {"mean": np.zeros(3), "cov": np.eye(3)}
    few, many = check_mc("", draws[:400], **claim), check_mc("", draws, **claim)
    assert many.mean == pytest.approx(few.mean / 2, rel=1e-12)
    assert many.variance < few.variance
    assert check_mc("", draws[:400], **claim, false_alarm=1e-3).mean < few.mean


def test_what_is_not_claimed_has_no_power(capsys):
    draws = np.random.default_rng(0).standard_normal((1000, 2))
    mean, cov = check_mc("", draws, mean=[0, 0]), check_mc("", draws, cov=np.eye(2))
    assert [number == math.inf for number in mean[3:]] == [False, True, True]
    assert [number == math.inf for number in cov[3:]] == [True, False, False]


@pytest.mark.parametrize("false_alarm", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_a_false_alarm_that_is_no_probability_is_refused(false_alarm):
    """With 0 a mean that is off by 50 would pass."""
    with pytest.raises(ValueError, match="between 0 and 1, but was"):
        check_mc("claim", np.zeros((10, 1)), cov=[[1.0]], false_alarm=false_alarm)


def test_a_check_in_the_last_line_of_a_cell_shows_what_it_printed_and_no_more(power):
    from IPython.core.formatters import DisplayFormatter

    assert DisplayFormatter().format(power) == ({}, {})


def test_counts_are_judged_by_the_binomial_law():
    assert float(count_score(3, 10, 0.3)) == 0.0  # P(X <= 3) and P(X >= 3) are above 1/2
    assert float(count_score(9, 10, 0.3)) == pytest.approx(
        stats.norm.isf(stats.binom.sf(8, 10, 0.3))
    )
    assert float(count_score(0, 100, 0.3)) == pytest.approx(-stats.norm.isf(0.7**100))
    assert 30 < float(count_score(10**6, 10**6, 0.3)) < math.inf


# -- check_sampler ---------------------------------------------------------------------------------


def with_noise(changed):
    """DDRM with ``changed(z)`` in the place of the noise of every step."""

    def step(x, x0_hat, y_spec, *, s, sigma, sigma_next, sigma_y, generator):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=0.85, eta_b=1.0)
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return combine(c, x0_hat, x, y_spec, changed(z))

    return sampler_of(step)


def two_apart(z):
    """Images i and i + 2 of every four have opposite noise."""
    of_four = z.clone()[: len(z) // 4 * 4].reshape(-1, 4, *z.shape[1:])
    of_four[:, 2:] = -of_four[:, :2]
    return torch.cat([of_four.reshape(-1, *z.shape[1:]), z[len(z) // 4 * 4 :]])


def one_pair(z):
    z = z.clone()
    z[min(17, len(z) - 1)] = -z[0] if len(z) > 1 else z[0]
    return z


@pytest.mark.parametrize(
    ("changed", "draws", "words"),
    [
        (two_apart, 1000, "images .* of the batch is the same"),
        (one_pair, 1000, "of images 0 and 17 of the batch is the same"),
        (lambda z: z.clamp(-4, 4), 20_000, "0 of .* lie beyond 4 standard"),
        (lambda z: z * 1.3 if len(z) == 1 else z, 1000, "batches of one image: the variance"),
    ],
    ids=["opposite", "one pair", "cut off", "alone"],
)
def test_what_no_mean_and_no_covariance_shows_is_found(changed, draws, words):
    report = check_sampler(with_noise(changed), draws=draws)
    assert len(report.failures) == 1
    assert re.search(words, report.failures[0].found), report.failures[0].found


def test_weights_that_are_wrong_for_one_image_alone_are_found():
    """As those of a sampler that squeezes a batch of one."""

    def sampler(denoiser, op, y, **known):
        *_, last = ddrm_samples(denoiser, op, y, **known)
        return last.x if len(y) > 1 else last.x * (1 + 1e-6)

    report = check_sampler(sampler, draws=1000)
    assert "in a batch of one image, though right in larger ones" in report.failures[0].found


def test_float32_noise_is_no_twin_of_other_noise():
    assert check_sampler(with_noise(lambda z: z.float().to(z)), draws=2000).ok


def test_a_report_tells_the_power_of_each_claim_that_is_judged_by_chance():
    report = check_sampler(ddrm_samples, draws=1000)
    assert len(report.power) == 5
    for power in report.power.values():
        assert power.false_alarm == Chance.SHARE
        assert 0 < power.mean == power.correlation < power.variance
    told = report.to_dict()["findings"]
    assert sum(finding["power"] is not None for finding in told) == 5
    assert {finding["power"]["draws"] for finding in told if finding["power"]} == {1000}


def test_noise_of_one_coordinate_of_one_step_is_found_as_often_as_is_said():
    """The variance of a single number per image, off by what the report says: 12 runs."""
    claim = "noise of a step: N(0, 1) in the units of slide 11"
    power = check_sampler(ddrm_samples, draws=1000).power[claim]

    def step(x, x0_hat, y_spec, *, s, sigma, sigma_next, sigma_y, generator):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=0.85, eta_b=1.0)
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        if abs(float(sigma_next) - 0.85) < 1e-9:
            z[:, 5] *= math.sqrt(1 + power.variance)
        return combine(c, x0_hat, x, y_spec, z)

    broken = 0
    for seed in range(12):
        report = check_sampler(sampler_of(step), draws=1000, seed=1000 * seed)
        broken += any(finding.name == claim for finding in report.failures)
    assert broken >= 10  # P(9 or fewer of 12 at 95 %) = 0.02

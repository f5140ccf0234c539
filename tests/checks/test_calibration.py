"""check_calibration passes exact draws from any prior's posterior, and finds what is wrong."""

from __future__ import annotations

import math

import pytest
import torch

from ddrm_edu import (
    Denoising,
    Dense,
    EmpiricalPrior,
    ExactDenoiser,
    GaussianMixture,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    check_calibration,
    ddpm_samples,
)
from ddrm_edu.checks import calibration

draw = torch.Generator().manual_seed(3)
A = torch.randn(4, 4, generator=draw, dtype=torch.float64)
SHAPE = (1, 2, 2)
GAUSSIAN = GaussianPrior(torch.tensor([[[1.0, -2.0], [0.0, 0.5]]]), A @ A.T / 4)
MIXTURE = GaussianMixture(
    torch.tensor([0.3, 0.7]),
    torch.tensor([[2.0, 2.0, -1.0, 0.0], [-2.0, 0.0, 1.0, 1.0]]).reshape(2, *SHAPE),
    torch.stack([A @ A.T / 8, torch.eye(4, dtype=torch.float64) / 2]),
)
IMAGES = EmpiricalPrior(torch.randn(30, *SHAPE, generator=draw, dtype=torch.float64))
PRIORS = {"Gaussian": GAUSSIAN, "mixture": MIXTURE, "empirical": IMAGES}
MASK = torch.tensor([[True, False], [False, True]])
SIGMA_Y = 0.4


def exact(prior, op, y, *, generator):
    return prior.posterior(op, y, sigma_y=SIGMA_Y).sample(generator=generator)


def broken(change):
    """Exact draws and the mean of the posterior, through ``change(x, mean)``."""

    def sampler(prior, op, y, *, generator):
        posterior = prior.posterior(op, y, sigma_y=SIGMA_Y)
        return change(posterior.sample(generator=generator), posterior.mean)

    return sampler


def failures(sampler, prior=GAUSSIAN, op=None, **options):
    op = Inpainting(MASK, 1) if op is None else op
    report = check_calibration(sampler, prior, op, sigma_y=SIGMA_Y, **options)
    return [finding.name.split(":")[0] for finding in report.failures]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_exact_draws_pass(prior, seed):
    for op in (Inpainting(MASK, 1), Denoising(SHAPE)):
        assert failures(exact, prior, op, images=300, seed=seed) == []


def test_true_claims_fail_as_often_as_is_said(monkeypatch):
    """With 5 % for each of the five claims, which hang together."""
    monkeypatch.setattr(calibration, "SHARE", 0.05)
    rate = sum(bool(failures(exact, images=200, draws=9, seed=seed)) for seed in range(60))
    assert 1 <= rate <= 20  # P(more than 20 of 60 at 22.6 %, the most) = 0.02


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (lambda x, mean: mean + 0.7 * (x - mean), "spread"),
        (lambda x, mean: mean + 1.4 * (x - mean), "spread"),
        (lambda x, mean: x + 0.4, "bias"),
        (lambda x, mean: mean, "spread"),
        (lambda x, mean: 2 * mean - x, None),  # as likely as x, since the posterior is Gaussian
    ],
    ids=["too sure", "not sure enough", "too high", "one image", "mirrored"],
)
def test_what_is_wrong_is_told_apart(change, first):
    found = failures(broken(change))
    assert found[:1] == ([first] if first else [])


def test_a_sampler_that_does_not_look_at_y_is_found_by_its_distance_from_y():
    """Draws from the prior have uniform ranks in every combination of the pixels."""

    def blind(prior, op, y, *, generator):
        return prior.sample(len(y), generator=generator)

    report = check_calibration(blind, GAUSSIAN, Inpainting(MASK, 1), sigma_y=SIGMA_Y)
    assert "of ||y - H x_0||" in report.failures[0].found


def test_a_good_sampler_passes_where_its_gap_is_small_and_a_bad_one_does_not():
    """DDPM on the exact denoiser that sees y; with few steps its spread is not the posterior's."""

    def steps(number):
        levels = NoiseSchedule.linear().sigmas(number)

        def sampler(prior, op, y, *, generator):
            denoiser = ExactDenoiser(prior, op, y, sigma_y=SIGMA_Y)
            shape = (len(y), *op.in_shape)
            return ddpm_samples(denoiser, shape, levels, generator=generator, dtype=y.dtype)

        return sampler

    assert failures(steps(200), MIXTURE, images=300, draws=9) == []
    assert failures(steps(3), MIXTURE, images=1000)


def test_a_tall_operator_and_the_part_of_y_outside_its_range_are_no_obstacle():
    H = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    prior = GaussianPrior(torch.zeros(4), A @ A.T)
    assert failures(exact, prior, Dense(H), images=300) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({"images": 199}, "images must be .* 200"), ({"draws": 8}, "draws must be .* 9")],
)
def test_too_little_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        failures(exact, **options)


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="must return floating-point images"):
        failures(broken(lambda x, mean: x[0]))
    with pytest.raises(ValueError, match="sigma_y"):
        check_calibration(exact, GAUSSIAN, Denoising(SHAPE), sigma_y=math.nan)


def test_the_same_seed_gives_the_same_report_and_leaves_the_global_noise_alone():
    before = torch.random.get_rng_state()
    one, two = (
        check_calibration(exact, GAUSSIAN, Denoising(SHAPE), sigma_y=SIGMA_Y, images=200, seed=seed)
        for seed in (5, 5)
    )
    assert one == two
    assert torch.equal(before, torch.random.get_rng_state())

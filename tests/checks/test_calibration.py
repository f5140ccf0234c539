"""check_calibration passes exact draws from any prior's posterior, and finds what is wrong."""

from __future__ import annotations

import math

import numpy as np
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
from ddrm_edu.checks.scores import count_score

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
    """With 5 % for each of the five claims, which depend on each other."""
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


# -- each score, against loops ---------------------------------------------------------------------

L, N = 9, 200
TRUTH, DRAWN, BEST = (
    torch.randn(*shape, generator=draw, dtype=torch.float64)
    for shape in ((N, 3), (L, N, 3), (L, N, 3))
)


@pytest.fixture
def judged(monkeypatch):
    """What is handed to the judge, claim by claim: number of images, scores, words."""
    seen = {}

    def note(number, z, told, name, cause):
        seen[name.split(":")[0]] = (number, z, [told(i) for i in range(len(z))])

    monkeypatch.setattr(calibration, "_judged", note)
    return seen


def test_ranks_are_scored_by_the_moments_of_a_uniform_number(judged):
    list(calibration._ranks(TRUTH, DRAWN, draw))
    rank = np.array(
        [[int((DRAWN[:, n, i] < TRUTH[n, i]).sum()) for i in range(3)] for n in range(N)]
    )
    whole = np.arange(L + 1)
    off = (rank - whole.mean()) / whole.std()
    squares = ((whole - whole.mean()) / whole.std()) ** 2
    mean = off.mean(0) * math.sqrt(N)
    spread = ((off**2).mean(0) - 1) / (squares.std() / math.sqrt(N))
    for claim, want in (("bias", mean[:2]), ("distance", mean[2:]), ("spread", spread[:2])):
        number, z, words = judged[claim]
        assert number == N
        assert z.tolist() == pytest.approx(want.tolist())
        assert len(words) == len(want)
    share = rank.mean(0) / L
    assert (
        f"of combination 1 of the pixels the mean rank of x_0 is {share[1]:.3f} L"
        in judged["bias"][2]
    )
    assert judged["distance"][2] == [
        f"the mean rank of ||y - H x_0|| is {share[2]:.3f} L, due 0.5 L"
    ]
    square = (off**2).mean(0)[0]
    assert f"variance of ranks is {square:.3g} times what is due" in judged["spread"][2][0]


def test_among_equals_each_rank_is_as_likely(judged):
    """All draws are the truth: a score far from 0 would be a bias of the ranks themselves."""
    truth = torch.zeros(20_000, 2, dtype=torch.float64)
    list(calibration._ranks(truth, truth.expand(L, -1, -1), draw))
    for _, z, _ in judged.values():
        assert z.abs().max() < 5


def test_coverage_is_scored_by_the_binomial_law(judged):
    calibration._coverage(TRUTH, DRAWN)
    number, z, words = judged["coverage"]
    want, told = [], []
    for k, share in ((1, 0.8), (2, 0.6)):  # of ten places alike, without the outer one or two
        for i in range(3):
            ordered = DRAWN[:, :, i].sort(0).values
            inside = (ordered[k - 1] < TRUTH[:, i]) & (TRUTH[:, i] < ordered[L - k])
            want.append(float(count_score(int(inside.sum()), N, share)))
            told.append(
                f"cover {share:.0%} of all x_0, of combination {i}, covers {inside.sum() / N:.1%}"
            )
    assert number == N
    assert z.tolist() == pytest.approx(want)
    for sentence, end in zip(words, told, strict=True):
        assert sentence.endswith(end)


def test_where_a_draw_is_the_truth_coverage_says_nothing(judged):
    equal = DRAWN.clone()
    equal[3, 7, 1] = TRUTH[7, 1]
    calibration._coverage(TRUTH, equal)
    _, z, _ = judged["coverage"]
    assert z[[1, 4]].abs().max() < 0.3  # of the combination with the equal one
    assert z[[0, 2, 3, 5]].abs().max() > 0.3


def test_the_score_is_the_fair_crps_beside_that_of_exact_draws(judged):
    calibration._score(TRUTH, DRAWN + 0.5, BEST)

    def fair(x):
        pairs = (x[:, None] - x[None]).abs().sum((0, 1)) / (L * (L - 1))
        return (x - TRUTH).abs().mean(0) - pairs / 2

    more = fair(DRAWN + 0.5) - fair(BEST)
    number, z, words = judged["score"]
    assert number == N
    assert z.tolist() == pytest.approx((more.mean(0) / more.std(0) * math.sqrt(N)).tolist())
    assert z.min() > 0
    share = float(more.mean(0)[1] / fair(BEST).mean(0)[1])
    assert words[1] == f"of combination 1 it is {share:.1%} above what is due"
    calibration._score(TRUTH, 0.9 * TRUTH + 0.1 * BEST, BEST)
    assert judged["score"][1].tolist() == [0, 0, 0]  # better than exact draws is no fault
    calibration._score(TRUTH, BEST, BEST)
    assert judged["score"][1].tolist() == [0, 0, 0]

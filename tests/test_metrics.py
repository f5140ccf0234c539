"""PSNR and SSIM: formulas, limits, one number per image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from strategies import random_images, seeds

from ddrm_edu import metrics, psnr, ssim
from ddrm_edu.metrics import coverage, crps, energy_score, sharpness

DTYPES = [torch.float32, torch.float64]
ranges = st.sampled_from([1.0, 2.0, 255.0])


def pair(seed: int, *shape: int, dtype=torch.float64, noise: float = 0.3):
    """A batch of images and a noisy copy of it."""
    truth = random_images(shape, seed, dtype=dtype).clamp(-1, 1)
    return truth + noise * random_images(shape, seed + 1, dtype=dtype), truth


@given(seeds, ranges, st.sampled_from(DTYPES))
def test_psnr_is_the_formula(seed, data_range, dtype):
    """10 log10(range^2 / mean squared error), float64 whatever the dtype of the images."""
    x, truth = pair(seed, 3, 5, 7, dtype=dtype)
    error = (x.double() - truth.double()).numpy() ** 2
    want = 10 * np.log10(data_range**2 / error.mean(axis=(1, 2, 3)))
    got = psnr(x, truth, data_range=data_range)
    assert (got.dtype, got.shape) == (torch.float64, (3,))
    assert np.abs(got.numpy() - want).max() <= 1e-12 * np.abs(want).max()


def test_psnr_of_equal_images_is_infinite_and_of_others_finite():
    x, truth = pair(1, 3, 4, 4)
    x[1] = truth[1]
    assert psnr(x, truth).isinf().tolist() == [False, True, False]
    assert psnr(x[1], truth[1]).item() == float("inf")


def test_psnr_is_in_the_units_of_images_from_minus_one_to_one_by_default():
    """The darkest image against the brightest: the error is the whole range, 0 dB."""
    bright = torch.ones(1, 4, 4)
    assert psnr(bright, -bright).item() == pytest.approx(0, abs=1e-12)
    assert psnr(torch.full((1, 2, 2), 0.2), torch.zeros(1, 2, 2)).item() == pytest.approx(20)


def test_ssim_of_equal_images_is_one():
    x, _ = pair(2, 3, 12, 16)
    assert (ssim(x, x) - 1).abs().max() <= 1e-12
    y, truth = pair(3, 1, 11, 13)
    assert ssim(y, truth).max() < 0.99


@given(seeds)
def test_psnr_and_ssim_are_symmetric(seed):
    x, truth = pair(seed, 2, 11, 14)
    for metric in (psnr, ssim):
        assert (metric(x, truth) - metric(truth, x)).abs().max() <= 1e-12


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ssim_equals_scikit_image_with_a_gaussian_window(channels):
    """Wang et al. 2004: window of 11 pixels, sigma 1.5, population covariance; mean of channels."""
    x, truth = pair(4, channels, 17, 23)
    want = [
        structural_similarity(
            a.numpy(),
            b.numpy(),
            data_range=2.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(x, truth, strict=True)
    ]
    assert np.abs(ssim(x, truth).numpy() - want).max() <= 1e-12


def test_ssim_is_the_mean_of_its_formula_over_inner_windows():
    """Independent of scikit-image: means and covariances under an 11 x 11 Gaussian, by loops."""
    x, truth = (images[0, 0].numpy() for images in pair(5, 1, 13, 15))
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    values = []
    for i in range(13 - 10):
        for j in range(15 - 10):
            a, b = x[i : i + 11, j : j + 11], truth[i : i + 11, j : j + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            cov = (window * (a - mean_a) * (b - mean_b)).sum()
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            values.append(luminance * (2 * cov + c2) / (var_a + var_b + c2))
    got = ssim(torch.tensor(x)[None], torch.tensor(truth)[None]).item()
    assert abs(got - np.mean(values)) <= 1e-10


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_is_a_stack_of_single_images(metric, dtype):
    x, truth = pair(6, 3, 12, 13, dtype=dtype)
    got = metric(x, truth)
    singles = [metric(*images) for images in zip(x, truth, strict=True)]
    assert all(single.shape == () for single in singles)
    assert torch.equal(got, torch.stack(singles))
    assert len(set(got.tolist())) == 3, "three different images, three different numbers"


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_metrics_leave_their_arguments_alone_and_need_no_gradient(metric):
    x, truth = pair(7, 1, 12, 12)
    before = x.clone(), truth.clone()
    with_gradient = metric(x.requires_grad_(), truth)
    assert not with_gradient.requires_grad
    assert torch.equal(x.detach(), before[0])
    assert torch.equal(truth, before[1])


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_worse_images_score_less(metric):
    scores = [metric(*pair(8, 3, 16, 16, noise=noise)).mean().item() for noise in (0.1, 0.3, 0.9)]
    assert scores == sorted(scores, reverse=True)


# -- draws -----------------------------------------------------------------------------------------


def brute_score(draws, truth, norm):
    """Means over all draws and all pairs of different ones, by loops."""
    K = len(draws)
    apart = sum(norm(x - truth) for x in draws) / K
    pairs = sum(norm(draws[i] - draws[j]) for i in range(K) for j in range(K) if i != j)
    return apart - (0.5 * pairs / (K * (K - 1)) if K > 1 else 0)


@given(seeds, st.integers(1, 5))
def test_energy_score_and_crps_are_their_definitions(seed, K):
    truth = random_images((3, 4, 5), seed)
    draws = torch.stack([random_images((3, 4, 5), seed + 1 + k) for k in range(K)])
    for image in range(3):
        images, one = draws[:, image].double().numpy(), truth[image].double().numpy()
        euclid = brute_score(images, one, lambda x: np.sqrt((x**2).mean()))
        absolute = brute_score(images, one, lambda x: np.abs(x).mean())
        assert energy_score(draws, truth)[image].item() == pytest.approx(euclid, rel=1e-9)
        assert crps(draws, truth)[image].item() == pytest.approx(absolute, rel=1e-9)


def test_crps_of_normal_draws_is_the_closed_form_and_the_right_spread_is_the_best():
    """Gneiting and Raftery (2007), eq. 21: 1/sqrt(pi) on average for the truth's own law."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(1, 1, 300, 300, generator=generator, dtype=torch.float64)
    z = torch.randn(8, 1, 1, 300, 300, generator=generator, dtype=torch.float64)
    found = {spread: crps(spread * z, truth).item() for spread in (0.6, 1.0, 1.5)}
    assert found[1.0] == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)
    assert found[1.0] == min(found.values())


@pytest.mark.parametrize("K", [2, 4, 8])
def test_coverage_of_the_truths_own_law_is_that_of_ranks(K):
    generator = torch.Generator().manual_seed(K)
    truth = torch.randn(1, 1, 200, 200, generator=generator)
    draws = torch.randn(K, 1, 1, 200, 200, generator=generator)
    assert coverage(draws, truth).item() == pytest.approx((K - 1) / (K + 1), abs=0.012)
    assert coverage(0.5 * draws, truth).item() < (K - 1) / (K + 1) - 0.1


def test_coverage_counts_the_pixels_that_are_asked_for():
    truth = torch.zeros(2, 1, 2, 2)
    draws = torch.stack([torch.full((2, 1, 2, 2), value) for value in (-1.0, 1.0)])
    truth[0, 0, 0, 0] = 5
    where = torch.tensor([[[True, False], [True, False]]])
    assert coverage(draws, truth).tolist() == [0.75, 1]
    assert coverage(draws, truth, where).tolist() == [0.5, 1]
    assert coverage(draws, truth, where & False).isnan().all()


def test_sharpness_is_one_for_the_truth_and_follows_contrast_and_blur():
    truth = random_images((3, 16, 16), 1)
    assert sharpness(truth + 0.3, truth).tolist() == pytest.approx([1, 1, 1])
    assert sharpness(0.4 * truth, truth).tolist() == pytest.approx([0.4, 0.4, 0.4])
    assert sharpness(torch.zeros_like(truth), truth).tolist() == [0, 0, 0]
    assert sharpness(truth, torch.zeros_like(truth)).tolist() == [math.inf] * 3
    assert sharpness(torch.ones_like(truth), torch.zeros_like(truth)).tolist() == [1, 1, 1]
    step = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])[None, None]
    assert sharpness(step, torch.tensor([[1.0, 0, 0], [0, 0, 0]])[None, None]).item() == 1


@pytest.mark.parametrize("score", [energy_score, crps, coverage])
def test_draws_of_another_shape_are_refused(score):
    truth = torch.zeros(2, 3, 8, 8)
    for draws in (truth, truth[0, 0, 0, 0], *(torch.zeros(k, 3 - k, 3, 8, 8) for k in (0, 2))):
        with pytest.raises(ValueError, match=r"Draws must have the shape \(K, batch, c, h, w\)"):
            score(draws, truth)
    with pytest.raises(ValueError, match="coverage needs at least 2 draws"):
        coverage(torch.zeros(1, 2, 3, 8, 8), truth)


@pytest.mark.parametrize(
    ("draws", "truth"),
    [
        ((2, 3, 1, 4, 4), (3, 1, 4, 5)),
        ((0, 3, 1, 4, 4), (3, 1, 4, 4)),
        ((3, 1, 4, 4), (1, 4, 4)),
        ((2, 2, 3, 1, 4, 4), (2, 3, 1, 4, 4)),
    ],
)
def test_draws_and_truth_of_other_shapes_are_refused(draws, truth):
    for score in (crps, energy_score, coverage):
        with pytest.raises(ValueError, match=r"Draws must have the shape \(K, batch, c, h, w\)"):
            score(torch.zeros(draws), torch.zeros(truth))


@pytest.mark.parametrize("at_once", [50, 10_000])
def test_scores_do_not_depend_on_how_much_is_looked_at_at_a_time(monkeypatch, at_once):
    """Pieces of 50 numbers, of images of 432; skimage and one formula look at all of it."""
    monkeypatch.setattr(metrics, "AT_ONCE", at_once)
    x, truth = random_images((3, 12, 12), 1), random_images((3, 12, 12), 2)
    error = (x - truth).square().mean((1, 2, 3))
    assert psnr(x, truth).tolist() == pytest.approx((10 * (4 / error).log10()).tolist())
    options = {"data_range": 2.0, "channel_axis": 0, "gaussian_weights": True, "sigma": 1.5}
    due = [
        structural_similarity(b.numpy(), a.numpy(), use_sample_covariance=False, **options)
        for a, b in zip(x, truth, strict=True)
    ]
    assert ssim(x, truth).tolist() == pytest.approx(due)

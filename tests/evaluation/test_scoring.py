"""What is measured of restored images."""

import math
import sys
import types

import pytest
import torch

from ddrm_edu import psnr, ssim
from ddrm_edu.evaluation.grid import operator_of
from ddrm_edu.evaluation.scoring import perceptual, scores
from ddrm_edu.metrics import coverage, crps, energy_score, sharpness

GENERATOR = torch.Generator().manual_seed(3)
TRUTH = torch.rand(2, 3, 16, 16, generator=GENERATOR).double() * 2 - 1
DRAWS = TRUTH + 0.3 * torch.randn(4, 2, 3, 16, 16, generator=GENERATOR).double()


def test_scores_are_those_of_the_metrics_on_the_scales_that_are_stated():
    op = operator_of("superres:2", (3, 16, 16))
    y = op(TRUTH) + 0.1
    got = scores(DRAWS, TRUTH, op, y, 0.1)
    shown = DRAWS.clamp(-1, 1)
    single = torch.stack([psnr(x, TRUTH) for x in shown]).mean(0)
    assert got["psnr"] == pytest.approx(single.tolist())
    unit = torch.stack([ssim(x / 2 + 0.5, TRUTH / 2 + 0.5, data_range=1) for x in shown]).mean(0)
    old = torch.stack([ssim(x, TRUTH, data_range=2) for x in shown]).mean(0)
    assert got["ssim"] == pytest.approx(unit.tolist())
    assert got["ssim_symmetric"] == pytest.approx(old.tolist())
    assert max(abs(a - b) for a, b in zip(got["ssim"], got["ssim_symmetric"], strict=True)) > 1e-4
    assert got["mean_psnr"] == pytest.approx(psnr(DRAWS.mean(0).clamp(-1, 1), TRUTH).tolist())
    assert min(got["mean_psnr"]) > max(got["psnr"]) + 2
    assert got["energy"] == pytest.approx(energy_score(DRAWS, TRUTH).tolist())
    assert got["coverage"] == pytest.approx(coverage(DRAWS, TRUTH).tolist())
    assert got["spread"] == pytest.approx([0.3, 0.3], rel=0.1)
    assert got["crps"] == pytest.approx(crps(DRAWS, TRUTH).tolist())
    sharp = torch.stack([sharpness(x, TRUTH) for x in shown]).mean(0)
    assert got["sharpness"] == pytest.approx(sharp.tolist())
    mean = DRAWS.mean(0).clamp(-1, 1) / 2 + 0.5
    assert got["mean_ssim"] == pytest.approx(ssim(mean, TRUTH / 2 + 0.5, data_range=1).tolist())
    spread = [float(DRAWS.std(0)[k].square().mean().sqrt()) for k in range(2)]
    assert got["spread"] == pytest.approx(spread)
    residual = [float((op(x) - y)[0].square().mean().sqrt()) for x in DRAWS]
    assert got["residual"][0] == pytest.approx(sum(residual) / 4)


def test_pixels_that_were_measured_exactly_do_not_count_for_the_coverage():
    """Only the lost ones: they are a set that the truth has no say in."""
    op = operator_of("inpaint:0.4", (3, 16, 16))
    kept = torch.where(op.spectrum() > 0, TRUTH, DRAWS)
    got = scores(kept, TRUTH, op, op(TRUTH), 0.0)["coverage"]
    assert got == pytest.approx(coverage(DRAWS, TRUTH, op.spectrum() == 0).tolist())
    noisy = scores(kept, TRUTH, op, op(TRUTH), 0.1)["coverage"]
    assert min(noisy) > max(got)


def test_one_draw_has_no_spread_and_small_images_no_ssim():
    op = operator_of("denoise", (3, 8, 8))
    truth = TRUTH[..., :8, :8]
    got = scores(DRAWS[:1, ..., :8, :8], truth, op, truth, 0.1)
    assert {"mean_psnr", "coverage", "spread", "ssim_symmetric", "lpips"}.isdisjoint(got)
    assert all(map(math.isnan, got["ssim"]))
    rms = (DRAWS[0, ..., :8, :8] - truth).flatten(1).square().mean(1).sqrt()
    assert got["energy"] == pytest.approx(rms.tolist())


def test_from_eleven_pixels_on_there_is_ssim_whose_window_has_as_many():
    op = operator_of("denoise", (3, 11, 12))
    truth = TRUTH[..., :11, :12]
    got = scores(DRAWS[:2, ..., :11, :12], truth, op, truth, 0.1)
    assert all(map(math.isfinite, got["ssim"] + got["mean_ssim"] + got["ssim_symmetric"]))
    small = operator_of("denoise", (3, 16, 10))
    got = scores(DRAWS[:2, ..., :10], TRUTH[..., :10], small, TRUTH[..., :10], 0.1)
    assert all(map(math.isnan, got["ssim"] + got["mean_ssim"]))
    assert "ssim_symmetric" not in got


def test_lpips_is_torchmetrics_where_it_is_and_a_sentence_where_it_is_not(monkeypatch):
    for name in ("torchmetrics", "torchmetrics.functional", "torchmetrics.functional.image"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"--lpips needs torchmetrics .* Leave it out"):
        perceptual(TRUTH, TRUTH)
    fake = types.ModuleType("torchmetrics.functional.image")
    distance = lambda a, b: (a - b).abs().mean()  # noqa: E731
    fake.learned_perceptual_image_patch_similarity = distance
    for name in ("torchmetrics", "torchmetrics.functional", "torchmetrics.functional.image"):
        monkeypatch.setitem(sys.modules, name, fake)
    op = operator_of("denoise", (3, 16, 16))
    got = scores(DRAWS[:1], TRUTH, op, TRUTH, 0.1, lpips=True)["lpips"]
    want = (DRAWS[0].clamp(-1, 1) - TRUTH).abs().flatten(1).mean(1)
    assert got == pytest.approx(want.tolist(), rel=1e-5)

"""Several measurements of one picture.  The law suite of ``test_base.py`` runs on it as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from strategies import random_images, seeded

from ddrm_edu import (
    CircularBlur,
    Denoising,
    Dense,
    FourierMask,
    GaussianPrior,
    SeparableBlur,
    Stacked,
    SuperResolution,
    load_denoiser,
    load_images,
    psnr,
    restore,
)
from ddrm_edu.operators.base import dense_map

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(14)
SHAPE = (3, 8, 12)


def test_measurements_are_joined_with_their_weights_and_split_without():
    parts = [SuperResolution(SHAPE, 4), Denoising(SHAPE)]
    op, x = Stacked(parts, [2.0, 0.5]), random_images(SHAPE, 1)
    ys = [part(x) for part in parts]
    assert torch.equal(op.join(*ys), torch.cat([2 * ys[0].flatten(1), ys[1].flatten(1) / 2], 1))
    assert (op.join(*ys) - op(x)).abs().max() <= 100 * EPS
    for back, y in zip(op.split(op.join(*ys)), ys, strict=True):
        assert torch.equal(back, y)


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda op, y: op.join(y), "each of 2 parts, but was given 1"),
        (lambda op, y: op.join(y, y), r"Measurement 1 must have shape \(batch, 3, 2, 3\)"),
        (
            lambda op, y: op.join(torch.zeros(1, 3, 2, 3), y),
            "of the same images, but the batches had the sizes 1, 2",
        ),
        (
            lambda op, y: op.join(torch.zeros(2, 3, 2, 3), y.to("meta")),
            "Measurement 2 must hold numbers, but lies on the device meta",
        ),
        (lambda op, y: op.split(y), r"y must have shape \(batch, 306\)"),
    ],
)
def test_wrong_measurements_are_told(give, words):
    op = Stacked([SuperResolution(SHAPE, 4), Denoising(SHAPE)])
    with pytest.raises(ValueError, match=words):
        give(op, torch.zeros(2, *SHAPE))


@pytest.mark.parametrize(
    ("parts", "weights", "words"),
    [
        ([Denoising((4,)), torch.eye(4)], None, "Each part must be an operator .* was a Tensor"),
        ([], None, "on images of one shape, at least one, but were none"),
        ([Denoising((4,)), Denoising((5,))], None, "on images of one shape"),
        ([Denoising((4,))] * 2, [1.0], "one number for each of 2 parts, but held 1"),
        ([Denoising((4,))] * 2, [1.0, 2.0, 3.0], "one number for each of 2 parts, but held 3"),
        ([Denoising((4,))] * 2, [1.0, 0.0], "weights must be positive numbers"),
        ([Denoising((4,))] * 2, [[1.0, 2.0]], "weights must be positive numbers"),
    ],
)
def test_what_cannot_be_stacked_is_told(parts, weights, words):
    with pytest.raises(ValueError, match=words):
        Stacked(parts, weights)


@pytest.mark.parametrize(
    "parts",
    [
        [SeparableBlur(SHAPE, [0.2, 0.5, 0.3]), Denoising(SHAPE), SeparableBlur(SHAPE, [1.0])],
        [FourierMask(RNG.random((8, 12)) < 0.3), FourierMask(RNG.standard_normal((8, 12)))],
        [Denoising((12,)), Dense(RNG.standard_normal((5, 12))), Denoising((12,))],
        [Dense(np.diag([1.0, 0.0, 2.0])), Dense(np.diag([0.5, 3.0, 0.0]))],
        [Dense(np.diag([0.1, 0.3, 0.2])), Dense(np.diag([0.2, 0.1, 0.4]))],
    ],
    ids=["separable", "k-space", "dense and the identity", "in two orders", "small ones"],
)
def test_a_common_basis_is_found(parts):
    """Also where the singular values of one stand in another order in the V of the other."""
    weights = [1 / 0.3, 1 / 0.05, 2.0][: len(parts)]
    op, x = Stacked(parts, weights), random_images(parts[0].in_shape, 2)
    want = torch.cat([w * part(x).flatten(1) for w, part in zip(weights, parts, strict=True)], 1)
    scale = float(op.s.max()) * x.flatten(1).norm(dim=1).max()
    assert (op(x) - want).abs().max() <= 100 * EPS * scale
    rows = [w * part.matrix() for w, part in zip(weights, parts, strict=True)]
    Vt = dense_map(op.Vt, op.in_shape)
    diagonal = Vt @ sum(H.T @ H for H in rows) @ Vt.T
    assert (
        diagonal - torch.diag(op.spectrum().flatten() ** 2)
    ).abs().max() <= 1e-12 * op.s.max() ** 2


def test_different_noise_levels_are_whitened_into_one():
    """The posterior given both measurements, by their precisions: the sharper one counts more."""
    n, sigmas = 6, (0.1, 0.7)
    cov = torch.from_numpy(np.cov(RNG.standard_normal((n, 30))))
    mean, H = torch.linspace(-1, 1, n).double(), torch.from_numpy(RNG.standard_normal((4, n)))
    y1, y2 = random_images((4,), 3), random_images((n,), 4)
    op = Stacked([Dense(H), Denoising((n,))], [1 / sigma for sigma in sigmas])
    got = GaussianPrior(mean, cov).posterior(op, op.join(y1, y2), sigma_y=1.0)
    P = torch.linalg.inv(cov)
    posterior = torch.linalg.inv(P + H.T @ H / 0.1**2 + torch.eye(n).double() / 0.7**2)
    want = (P @ mean + y1 @ H / 0.1**2 + y2 / 0.7**2) @ posterior
    assert (got.mean - want).abs().max() <= 1e-9
    assert (got.cov - posterior).abs().max() <= 1e-9


def test_a_noisy_sharp_and_a_clear_blurred_picture_help_each_other():
    """Each alone is worse by more than a decibel."""
    x0 = load_images("natural")[5:7]
    shape, network = (3, 32, 32), load_denoiser("natural")
    parts, sigmas = [CircularBlur(shape, torch.full((7, 7), 1 / 49)), Denoising(shape)], (0.02, 0.4)
    ys = [
        part(x0) + s * torch.randn(x0.shape, generator=seeded(i))
        for i, (part, s) in enumerate(zip(parts, sigmas, strict=True))
    ]
    op = Stacked(parts, [1 / s for s in sigmas])

    def score(op, y, sigma_y):
        x = restore(network, op, y, sigma_y=sigma_y, steps=10, generator=seeded(3))
        return float(psnr(x, x0).mean())

    alone = [score(part, y, s) for part, y, s in zip(parts, ys, sigmas, strict=True)]
    assert score(op, op.join(*ys), 1.0) >= max(alone) + 1.0

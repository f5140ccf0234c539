"""Weights of the measurement, and of each image of a batch.

The law suite of ``test_base.py`` runs on operators that are alike for all images; here each image
has its own, and ``restore`` takes a noise level for each image or each entry of y.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from strategies import random_images, seeded

from ddrm_edu import (
    CircularBlur,
    Colorization,
    Denoising,
    Dense,
    Diagonal,
    FourierMask,
    GaussianPrior,
    Inpainting,
    SuperResolution,
    WeightedRows,
    load_denoiser,
    load_images,
    psnr,
    restore,
    sampler_law,
    to_symmetric,
)
from ddrm_edu.operators.whitening import whitened
from ddrm_edu.restoration import METHODS

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(41)
SHAPE = (3, 6, 4)
WEIGHTS = RNG.standard_normal((2, *SHAPE)) * (RNG.random((2, *SHAPE)) < 0.6)


def each(many, ones, y, call):
    """What a batch with weights of its own gives, and each image by itself."""
    whole = call(many, y)
    single = torch.cat([call(op, y[i : i + 1]) for i, op in enumerate(ones)])
    return whole, single


PER_IMAGE = {
    "weights": (Diagonal(WEIGHTS, per_image=True), [Diagonal(w) for w in WEIGHTS]),
    "one plane for all channels": (
        Diagonal(WEIGHTS[:, 0], 3, per_image=True),
        [Diagonal(w[0], 3) for w in WEIGHTS],
    ),
    "k-space": (
        FourierMask(WEIGHTS[:, 0], per_image=True, centred=True),
        [FourierMask(w[0], centred=True) for w in WEIGHTS],
    ),
    "a level for each image": (
        WeightedRows(CircularBlur(SHAPE, [[0.2, 0.8]]), [[[[0.5]]], [[[3.0]]]]),
        [WeightedRows(CircularBlur(SHAPE, [[0.2, 0.8]]), np.full(SHAPE, w)) for w in (0.5, 3.0)],
    ),
    "a map for each image": (
        WeightedRows(SuperResolution(SHAPE, 2), np.abs(WEIGHTS[:, :, :3, :2])),
        [WeightedRows(SuperResolution(SHAPE, 2), np.abs(w[:, :3, :2])) for w in WEIGHTS],
    ),
    "a map of a mask for each image": (
        WeightedRows(Diagonal(WEIGHTS, per_image=True), 0.1 + WEIGHTS[1] ** 2),
        [WeightedRows(Diagonal(w), 0.1 + WEIGHTS[1] ** 2) for w in WEIGHTS],
    ),
}
per_image = pytest.mark.parametrize("name", PER_IMAGE)


@per_image
def test_each_image_of_a_batch_is_measured_by_its_own_operator(name):
    many, ones = PER_IMAGE[name]
    assert many.batch == 2
    assert torch.equal(many.spectrum(), torch.stack([op.spectrum() for op in ones]))
    assert many.rank == sum(op.rank for op in ones)
    assert "2 images, rank" in repr(many)
    for method, shape in (
        ("__call__", many.in_shape),
        ("adjoint", many.out_shape),
        ("pinv", many.out_shape),
        ("U", many.in_shape),
        ("Ut", many.out_shape),
        ("V", many.in_shape),
        ("Vt", many.in_shape),
    ):
        for dtype in (torch.float64, torch.float32):
            x = random_images(shape, 3, batch=2, dtype=dtype)
            got, want = each(many, ones, x, lambda op, x, m=method: getattr(op, m)(x))
            assert torch.equal(got, want), method
            assert (got.dtype, many.to(dtype).s.dtype) == (dtype, dtype)


@per_image
@pytest.mark.parametrize("method", ["ddrm", "ddnm", "diffpir", "ddnm+", "ddrm-markov", "pigdm"])
def test_each_image_of_a_batch_is_restored_as_by_itself(name, method):
    many, ones = PER_IMAGE[name]
    n = many.n
    prior = GaussianPrior(torch.zeros(many.in_shape), torch.eye(n) * 0.5 + torch.ones(n, n) / 2)
    y = random_images(many.out_shape, 5, batch=2)

    def run(op, y, *seeds):
        draws = [seeded(seed) for seed in seeds]
        return restore(prior, op, y, sigma_y=0.3, steps=3, method=method, generator=draws)

    single = [run(op, y[i : i + 1], i) for i, op in enumerate(ones)]
    assert (run(many, y, 0, 1) - torch.cat(single)).abs().max() <= 1e-11


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_a_mask_for_each_image_or_says_why_not(name):
    op = Diagonal(np.abs(WEIGHTS) > 0, per_image=True)
    prior = GaussianPrior(torch.zeros(SHAPE), torch.eye(op.n) / 2)
    y = op(random_images(SHAPE, 5, batch=2))
    sigma_y = 0.0 if name == "repaint" else 0.1
    options = {"sigma_y": sigma_y, "steps": 12, "method": name, "generator": seeded(0)}
    if name == "particles":
        with pytest.raises(ValueError, match=r"all images alike.*one for each image"):
            restore(prior, op, y, **options)
    else:
        assert restore(prior, op, y, **options).isfinite().all()


@pytest.mark.parametrize(
    "ask",
    [
        lambda op: op(torch.zeros(3, *SHAPE)),
        lambda op: op.matrix(),
        lambda op: op.as_scipy() @ np.zeros(op.n),
    ],
)
def test_a_batch_of_another_size_is_told(ask):
    with pytest.raises(ValueError, match=r"measures 2 images, .* was given"):
        ask(Diagonal(WEIGHTS, per_image=True))


def test_closed_forms_take_one_operator_for_all_images():
    op = Diagonal(WEIGHTS, per_image=True)
    prior = GaussianPrior(torch.zeros(SHAPE), torch.eye(op.n))
    with pytest.raises(ValueError, match="A law in closed form takes an operator"):
        sampler_law(prior, op, torch.tensor([1.0, 0.0]), sigma_y=0.1)
    with pytest.raises(ValueError, match="A law in closed form takes an operator"):
        prior.posterior(op, torch.zeros(2, *SHAPE), sigma_y=0.1)


def test_the_scale_of_a_batch_goes_through_each_of_its_operators():
    many, ones = PER_IMAGE["weights"]
    got, want = each(
        many, ones, many(random_images(SHAPE, 1, batch=2)), lambda op, y: to_symmetric(y, op)
    )
    assert torch.equal(got, want)


# -- a noise level for each image or entry ---------------------------------------------------------


def test_an_unmeasured_entry_has_weight_0_and_its_number_is_ignored():
    sigma = torch.full((6, 4), 0.2)
    sigma[2:4] = torch.inf
    op, y, one = whitened(Denoising(SHAPE), torch.full((1, *SHAPE), 7.0), sigma)
    assert (one, op.rank) == (1.0, 48)
    assert not y[:, :, 2:4].any()
    assert (y[:, :, :2] == 35.0).all()
    assert not op.pinv(y + 1)[:, :, 2:4].any()


def test_an_operator_whose_numbers_cannot_be_read_has_no_weights():
    with pytest.raises(ValueError, match=r"singular values op.s must hold numbers, .* meta"):
        WeightedRows(Denoising(SHAPE).to("meta"), torch.ones(SHAPE))


def test_a_map_alike_everywhere_is_its_number():
    op, y = CircularBlur(SHAPE, [[0.5, 0.5]]), torch.zeros(2, *SHAPE)
    for sigma in (torch.full(SHAPE, 0.5), [0.5, 0.5], np.full((1, 1, 6, 4), 0.5), 0.5):
        same, _, level = whitened(op, y, sigma)
        assert (same, level) == (op, 0.5)
    assert whitened(op, y, [0.0, 0.0])[2] == 0.0


@pytest.mark.parametrize("form", ["y", "image", "plane", "axis"])
def test_a_noise_map_gives_the_posterior_of_independent_noise(form):
    """Against the formula with a dense covariance of the noise."""
    sigma = torch.from_numpy(0.1 + RNG.random((2, 1, 2, 2)))
    sigma = {
        "y": sigma,
        "image": sigma[0],
        "plane": sigma[0, 0],
        "axis": sigma[:, :, :1, :1].reshape(2),
    }[form]
    shape, cov = (1, 4, 4), torch.from_numpy(np.cov(RNG.standard_normal((16, 60))))
    op, y = SuperResolution(shape, 2), random_images((1, 2, 2), 4, batch=2)
    if form == "axis":
        maps = sigma.reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    else:
        maps = sigma.expand(2, 1, 2, 2)
    prior, H = GaussianPrior(torch.zeros(shape), cov), op.matrix()
    for i in range(2):
        D = torch.diag(maps[i].flatten() ** 2)
        want = cov @ H.T @ torch.linalg.solve(H @ cov @ H.T + D, y[i].flatten())
        white, y_white, one = whitened(op, y[i : i + 1], maps[i])
        got = prior.posterior(white, y_white, sigma_y=one).mean
        assert (got.flatten() - want).abs().max() <= 1e-10
    many, y_many, one = whitened(op, y, sigma)
    pinv = many.pinv(y_many)
    assert (pinv - op.pinv(y)).abs().max() <= 1e-13
    assert one == 1.0


@pytest.mark.parametrize(
    ("sigma_y", "words"),
    [
        (None, "sigma_y must be one number, but was None"),
        (0.1 + 0j, "sigma_y must be real, but was complex"),
        (torch.full((1, 4, 4), 0.1 + 1j), "sigma_y must be real, but was complex"),
        ([0.1, 0.2j], "sigma_y must be real, but was complex"),
        ({1.0}, "sigma_y must be an array of real numbers, but was a set"),
        ("0.1", "sigma_y must be one number, but was '0.1'"),
        ([0.1, 0.2, 0.3], r"2 of them, one for each image, .*had shape \(3,\)"),
        (torch.rand(6, 3), r"had shape \(6, 3\)"),
        ([0.0, 0.1], "smallest was 0.*1/510"),
        ([-0.1, 0.1], "smallest was -0.1"),
        ([float("nan"), 0.1], "smallest was nan"),
        (object(), "sigma_y must be an array of real numbers, but"),
        (torch.rand(6, 4, device="meta"), "sigma_y must hold numbers, .*meta"),
        (torch.rand(SHAPE), "mixes several in each.*largest sigma for all"),
    ],
)
def test_what_is_no_noise_level_is_refused(sigma_y, words):
    op, y = CircularBlur(SHAPE, [[0.5, 0.4]]), torch.zeros(2, *SHAPE)
    prior = GaussianPrior(torch.zeros(SHAPE), torch.eye(op.n))
    with pytest.raises(ValueError, match=words):
        restore(prior, op, y, sigma_y=sigma_y)


def test_as_many_images_as_entries_is_refused_as_two_meanings():
    op = Dense(np.eye(2))
    prior = GaussianPrior(torch.zeros(2), torch.eye(2))
    with pytest.raises(ValueError, match=r"\(2, 1\) for the images, or \(1, 2\)"):
        restore(prior, op, torch.zeros(2, 2), sigma_y=[0.1, 0.2])
    levels = torch.tensor([[0.1], [0.2]])
    assert whitened(op, torch.ones(2, 2), levels)[1].round().tolist() == [[10, 10], [5, 5]]


@pytest.mark.parametrize("give", [list, tuple])
def test_several_operators_are_told_the_two_ways(give):
    ops = give([Inpainting(np.ones((1, 2, 2)) > 0), Colorization((3, 2, 2))])
    with pytest.raises(ValueError, match=rf"{give.__name__} of 2.*Stacked.*per_image=True"):
        restore(lambda x, sigma: x, ops, torch.zeros(2, 4), sigma_y=0.1)


def test_masks_of_four_axes_are_told_of_the_batch():
    with pytest.raises(ValueError, match=r"four axes.*counts images.*per_image=True"):
        Inpainting(np.ones((4, 3, 2, 2)) > 0)(torch.zeros(4, 3, 2, 2))
    with pytest.raises(ValueError, match=r"missing: pass x\[None\]"):
        Inpainting(np.ones((3, 2, 2)) > 0)(torch.zeros(3, 2, 2))


def test_a_noise_map_restores_better_than_any_single_level():
    """One half of the picture has eight times the noise of the other."""
    x0, network = load_images("natural")[:4], load_denoiser("natural")
    sigma = torch.full((32, 32), 0.05)
    sigma[:, 16:] = 0.4
    y = x0 + sigma * torch.randn(x0.shape, generator=seeded(0))

    def score(sigma_y):
        op = Denoising((3, 32, 32))
        x = restore(network, op, y, sigma_y=sigma_y, steps=10, generator=seeded(1))
        return float(psnr(x, x0).mean())

    alone = [score(level) for level in (0.05, 0.1, 0.2, 0.4)]
    assert score(sigma) >= max(alone) + 1.0

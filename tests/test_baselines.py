"""Classical restorations: against matrices, closed forms and the library they come from."""

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle
from skimage.transform import resize

from ddrm_edu import (
    CircularBlur,
    Colorization,
    Denoising,
    Inpainting,
    SuperResolution,
    load_images,
    psnr,
)
from ddrm_edu.baselines import (
    BASELINES,
    COLOUR_COVARIANCE,
    _power_law,
    bicubic,
    nlm,
    tv,
    wiener,
)
from ddrm_edu.evaluation.grid import operator_of

GENERATOR = torch.Generator().manual_seed(5)


def correlation(lag, side=512):
    """Of a power-law spectrum, by a sum over frequencies."""
    f = np.fft.fftfreq(side)
    power = (0.014**2 + f[:, None] ** 2 + f[None] ** 2) ** (-2.75 / 2)
    waves = np.cos(2 * np.pi * (f[:, None] * lag[0] + f[None] * lag[1]))
    return (power * waves).sum() / power.sum()


def test_the_covariance_is_stationary_with_the_stated_spectrum_and_colours():
    shape = (3, 5, 4)
    covariance = _power_law(shape)
    C = covariance(torch.eye(60, dtype=torch.float64).reshape(60, *shape)).reshape(60, 60)
    assert float((C - C.T).abs().max()) < 1e-12
    assert float(torch.linalg.eigvalsh(C)[0]) > 0
    C = C.reshape(3, 5, 4, 3, 5, 4)
    for colours in ((0, 0), (0, 2), (1, 1)):
        c, d = colours
        assert float(C[c, 2, 1, d, 2, 1]) == pytest.approx(COLOUR_COVARIANCE[c][d])
        for lag in ((0, 1), (2, 0), (3, 2)):
            got = float(C[c, 3, 1, d, 3 - lag[0], 1 + lag[1]]) / COLOUR_COVARIANCE[c][d]
            assert got == pytest.approx(correlation(lag), abs=0.03)


def test_grey_pictures_have_the_mean_of_the_colours_and_the_same_spectrum():
    """On the grid of the correlation, which is 256 wide, to rounding."""
    delta = torch.zeros(1, 1, 5, 4, dtype=torch.float64)
    delta[..., 3, 1] = 1
    column = _power_law((1, 5, 4))(delta)[0, 0]
    grey = np.mean(COLOUR_COVARIANCE)
    for lag in ((0, 0), (0, 2), (1, 1), (3, 1)):
        got = float(column[3 - lag[0], 1 + lag[1]])
        assert got == pytest.approx(grey * correlation(lag, 256), rel=1e-9)


@pytest.mark.parametrize("task", ["denoise", "inpaint:0.5", "superres:2", "deblur:gaussian:1"])
@pytest.mark.parametrize("sigma_y", [0.02, 0.3])
def test_wiener_is_the_posterior_mean_by_matrices(task, sigma_y):
    shape = (3, 6, 6)
    op = operator_of(task, shape)
    y = torch.randn(2, *op.out_shape, generator=GENERATOR, dtype=torch.float64)
    unit = torch.eye(108, dtype=torch.float64).reshape(108, *shape)
    C = _power_law(shape)(unit).reshape(108, 108)
    H = op(unit).reshape(108, -1).T
    S = H @ C @ H.T + sigma_y**2 * torch.eye(len(H), dtype=torch.float64)
    want = (C @ H.T @ torch.linalg.solve(S, y.reshape(2, -1).T)).T.reshape(2, *shape)
    assert float((wiener(op, y, sigma_y) - want).abs().max()) < 1e-3 * float(want.abs().max())


def test_total_variation_of_noise_is_scikit_images():
    y = load_images("natural")[:2]
    op = Denoising((3, 32, 32))
    for image, got in zip(y, tv(op, y, 0.2, weight=0.5), strict=True):
        want = denoise_tv_chambolle(image.double().numpy(), 0.1, channel_axis=0)
        assert np.abs(got.numpy() - want).max() < 1e-6
    assert torch.equal(tv(op, y, 0.2), tv(op, y, 0.2, weight=0.25))


def test_without_noise_a_standard_deviation_of_0_005_stands_for_it():
    y = load_images("natural")[:1]
    op = Denoising((3, 32, 32))
    for method in (tv, wiener):
        assert torch.equal(method(op, y, 0.0), method(op, y, 0.005))
        assert not torch.equal(method(op, y, 0.0), method(op, y, 0.006))


def test_non_local_means_are_scikit_images_with_patches_of_3_within_7():
    y = load_images("natural")[:1]
    y = y + 0.1 * torch.randn(y.shape, generator=GENERATOR)
    options = {"patch_size": 3, "patch_distance": 7, "h": 0.08, "sigma": 0.1}
    want = denoise_nl_means(y[0].double().numpy(), channel_axis=0, **options)
    assert np.abs(nlm(Denoising((3, 32, 32)), y, 0.1)[0].numpy() - want).max() < 1e-6


def test_wiener_of_a_filter_needs_few_steps_on_a_large_picture():
    """Preconditioned by the filter of pictures that wrap; without it 300 steps leave a tenth."""
    op = operator_of("deblur:gaussian:1.6", (3, 96, 96))
    y = op(load_images("natural", 128)[:1, :, :96, :96].double())
    y = y + 0.02 * torch.randn(y.shape, generator=GENERATOR, dtype=torch.float64)
    few, many = wiener(op, y, 0.02, steps=40), wiener(op, y, 0.02, steps=300)
    assert float((few - many).norm() / many.norm()) < 1e-3
    assert 0.5 < float((op(few) - y).square().mean().sqrt()) / 0.02 < 1.2


@pytest.mark.parametrize("task", ["inpaint:0.5", "superres:2", "deblur:gaussian:1"])
def test_total_variation_lowers_what_it_minimises(task):
    """The objective falls below that of its start and of its neighbours."""
    generator = torch.Generator().manual_seed(1)  # of its own: the inner solver stops early on some
    op = operator_of(task, (1, 16, 16))
    truth = load_images("natural")[:1].mean(1, keepdim=True)[..., 8:24, 8:24].double()
    y = op(truth) + 0.05 * torch.randn(1, *op.out_shape, generator=generator, dtype=torch.float64)

    def objective(x):
        down, along = x.diff(dim=-2), x.diff(dim=-1)
        squares = torch.nn.functional.pad(down, (0, 0, 0, 1)).square()
        squares = squares + torch.nn.functional.pad(along, (0, 1)).square()
        return 0.5 * float((op(x) - y).square().sum()) + 0.025 * float(squares.sqrt().sum())

    x = tv(op, y, 0.05, weight=0.5, steps=200)
    assert objective(x) < objective(op.pinv(y))
    assert objective(x) < objective(truth)
    for step in (0.99, 1.01):
        assert objective(x) < objective(step * x)
    for _ in range(5):
        move = 0.01 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        assert objective(x) < objective(x + move)


@pytest.mark.parametrize(
    ("op", "names"),
    [
        (Denoising((3, 32, 32)), {"nlm"}),
        (Inpainting(torch.rand(32, 32, generator=GENERATOR) > 0.5, 3), {"biharmonic"}),
        (Inpainting(torch.ones(32, 32, dtype=torch.bool), 3), set()),
        (SuperResolution((3, 32, 32), 2), {"bicubic"}),
        (operator_of("superres:2:bicubic", (3, 32, 32)), {"bicubic"}),
        (operator_of("demosaic", (3, 32, 32)), set()),
        (Colorization((3, 32, 32)), set()),
        (CircularBlur((3, 32, 32), torch.ones(3, 3).double() / 9), set()),
    ],
)
def test_each_is_for_the_tasks_that_it_knows_and_helps_there(op, names):
    """All but for the loss of colours come nearer to the truth than the pseudo-inverse."""
    got = {name for name, baseline in BASELINES.items() if baseline.applies(op)}
    assert got == names | {"pinv", "wiener", "tv"}
    truth = load_images("natural")[:4]
    y = op(truth)
    y = y + 0.05 * torch.randn(y.shape, generator=GENERATOR)
    plain = psnr(op.pinv(y), truth).mean()
    better = names if isinstance(op, Colorization) else names | {"wiener"}
    for name in better:
        x = BASELINES[name].run(op, y, 0.05)
        assert x.shape == truth.shape
        assert x.dtype == torch.float32
        assert psnr(x, truth).mean() > plain


def test_bicubic_keeps_a_ramp():
    ramp = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    op = SuperResolution((3, 16, 16), 2)
    x = bicubic(op, op(ramp), 0.0)
    assert float((x - ramp)[..., 4:-4].abs().max()) < 0.01


def test_bicubic_is_scikit_images_of_third_order():
    y = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    how = {"order": 3, "mode": "edge", "anti_aliasing": False}
    want = resize(y[0].double().numpy(), (3, 16, 16), **how)
    got = bicubic(SuperResolution((3, 16, 16), 2), y, 0.0)[0].numpy()
    assert np.abs(got - want).max() < 1e-6

"""What people of the field need, one test each: it works, or it is refused with a way that works.

The needs were counted in public reports and requests; lecture 12 and the docstrings say how.
"""

from __future__ import annotations

import functools
import math
import time

import numpy as np
import pytest
import scipy.ndimage
import torch
from click.testing import CliRunner
from memory import peak_bytes
from PIL import Image
from skimage.transform import radon
from strategies import noise_like, seeded

from ddrm_edu import (
    BicubicSuperResolution,
    BlurDecimation,
    CircularBlur,
    Denoising,
    Dense,
    Diagonal,
    DiffPIR,
    DirectSum,
    EpsDenoiser,
    FourierMask,
    GaussianPrior,
    Inpainting,
    LinearMap,
    NoiseSchedule,
    SelectedRows,
    SeparableBlur,
    Stacked,
    SuperResolution,
    SymmetricBlur,
    VDenoiser,
    cli,
    from_function,
    load_denoiser,
    load_images,
    psnr,
    restore,
    to_symmetric,
)
from ddrm_edu.operators.convert import TooLarge
from ddrm_edu.tasks import bayer

SHAPE = (3, 32, 32)
X0 = load_images("natural")[:2]
NETWORK = load_denoiser("natural")
RNG = np.random.default_rng(26)
KEEP = torch.from_numpy(RNG.random((32, 32)) < 0.6)


def standard_normal(x, sigma):
    """The denoiser of the prior N(0, I), for images of any shape."""
    return x / (1 + sigma**2)


def restored(op, y, sigma_y=0.0, denoiser=NETWORK, steps=5, **options):
    return restore(denoiser, op, y, sigma_y=sigma_y, steps=steps, generator=seeded(0), **options)


def assert_fits(op, y, x, rtol=1e-5):
    """Without noise a restored image has the measurement that was given."""
    assert x.isfinite().all()
    assert (op(x) - y).abs().max() <= rtol * y.abs().max()


def noisy(y, sigma_y):
    return y + sigma_y * noise_like(y, seed=1)


def run(*words):
    done = CliRunner().invoke(cli.main, ["restore", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_01_reducing_only_a_region_of_the_picture():
    half = (3, 32, 16)
    op = DirectSum(SHAPE, [(Denoising(half), 0, 0), (SuperResolution(half, 4), 0, 16)])
    assert_fits(op, op(X0), restored(op, op(X0)))


def test_02_a_random_kernel_with_any_border_also_of_large_images():
    kernel = RNG.random((21, 21)) / 220
    op = CircularBlur((3, 256, 256), kernel)
    assert (op.rank, op.s.numel()) == (op.n, 256 * 256)
    symmetric = kernel + kernel[::-1] + kernel[:, ::-1] + kernel[::-1, ::-1]
    mirrored = SymmetricBlur((1, 64, 65), symmetric)
    x = torch.from_numpy(RNG.random((64, 65)))
    want = scipy.ndimage.convolve(x.numpy(), symmetric, mode="reflect")
    assert (mirrored(x[None, None])[0, 0] - torch.from_numpy(want)).abs().max() <= 1e-12
    with pytest.raises(ValueError, match=r"SeparableBlur.*border='mirror'.*method='diffpir'"):
        SymmetricBlur((1, 64, 65), kernel)
    taps = torch.from_numpy(kernel).expand(1, 1, -1, -1)
    black = functools.partial(torch.nn.functional.conv2d, weight=taps, padding="same")
    with pytest.raises(TooLarge, match=r"no fast exact SVD.*LinearMap.*method='diffpir'"):
        from_function(black, (1, 32, 32), memory_limit=10)
    op, x = LinearMap(lambda x: black(x.double()), (1, 32, 32)), X0[:, :1]
    assert restored(op, op(x).float(), 0.05, standard_normal, method="diffpir").isfinite().all()


def test_03_a_blur_then_a_mask():
    blur = CircularBlur(SHAPE, torch.full((3, 3), 1 / 9))
    op = LinearMap(lambda x: blur(x) * KEEP, SHAPE)
    y = (noisy(op(X0), 0.02) * KEEP).float()
    x = restored(op, y, 0.02, method="diffpir", eta=1.0)
    assert (psnr(x, X0) >= psnr(y, X0) + 6).all()


def test_04_one_mask_for_each_image():
    masks = torch.stack([KEEP, ~KEEP])
    op = Diagonal(masks, channels=3, per_image=True)
    assert_fits(op, op(X0), restored(op, op(X0)))
    for give in (list, tuple):
        with pytest.raises(ValueError, match=r"Stacked.*per_image=True"):
            restored(give(Inpainting(mask, 3) for mask in masks), op(X0))


def test_05_a_weighted_mask():
    weights = torch.from_numpy(RNG.random((32, 32)) + 0.1)
    op = Diagonal(weights, channels=3)
    assert_fits(op, op(X0), restored(op, op(X0)))
    with pytest.raises(ValueError, match=r"another H, Diagonal\(mask\)"):
        Inpainting(weights, channels=3)


def test_06_any_size():
    op = Denoising((3, 25, 41))
    x = restored(op, torch.zeros(1, 3, 25, 41), 0.1)
    assert x.shape == (1, 3, 25, 41)


def test_07_y_on_another_scale_with_its_noise():
    blur = SeparableBlur(SHAPE, [0.2, 0.5, 0.3])
    for low, high in ((0, 1), (0, 255), (0, 65535)):
        own = (X0 + 1) / 2 * (high - low) + low
        assert (to_symmetric(blur(own), blur, low=low, high=high) - blur(X0)).abs().max() <= 1e-4
    with pytest.warns(UserWarning, match=r"to_symmetric\(y, op, low=, high=\)"):
        restored(Denoising(SHAPE), (X0 + 1) * 127.5, 0.1, steps=1)


def test_08_a_degraded_file_becomes_a_restored_file(tmp_path):
    y, x = tmp_path / "y.png", tmp_path / "x.png"
    Image.fromarray(RNG.integers(0, 256, (20, 28, 3), dtype=np.uint8)).save(y)
    said = run(y, "--task", "denoise", "--sigma-y", "20/255", "--steps", 1, "-o", x)
    assert "0.157 on [-1, 1]" in said
    with Image.open(x) as picture:
        assert (picture.size, picture.mode) == ((28, 20), "RGB")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_09_files_of_16_bits_and_of_floats(tmp_path, dtype):
    """Neither white nor black: measured without noise, the numbers of the file come back."""
    tifffile, (y, x) = pytest.importorskip("tifffile"), (tmp_path / "y.tif", tmp_path / "x.tif")
    largest = 1 if dtype == np.float32 else 65535
    stored = (largest * RNG.random((16, 16, 3))).astype(dtype)
    tifffile.imwrite(y, stored, photometric="rgb")
    run(y, "--task", "denoise", "--sigma-y", 0, "--steps", 1, "-o", x)
    got = tifffile.imread(x)
    assert got.dtype == dtype
    assert np.abs(got.astype(float) - stored).max() <= 1e-6 * largest


def test_10_networks_of_six_channels():
    six = EpsDenoiser(lambda x, t: torch.cat([0 * x, 0 * x], dim=1))
    with pytest.raises(ValueError, match="keep the first half"):
        six(X0, 1.0)
    three = EpsDenoiser(lambda x, t: torch.cat([0 * x, 0 * x], dim=1)[:, :3])
    assert torch.equal(three(X0, 1.0), X0)


def test_11_class_conditional_networks():
    def net(x, t, label):
        return label[:, None, None, None] * x

    denoiser = EpsDenoiser(lambda x, t: net(x, t, torch.full((len(x),), 0)))
    assert restored(Denoising(SHAPE), X0, 0.1, denoiser, steps=2).shape == X0.shape


def test_12_integer_times_without_an_error_of_one():
    times = []
    schedule = NoiseSchedule.linear()
    denoiser = EpsDenoiser(lambda x, t: times.append(int(t[0])) or 0 * x, schedule)
    for t in (1, 500, 1000):
        denoiser(X0, schedule.sigma[t])
    assert times == [0, 499, 999]


def test_13_networks_that_predict_v():
    """v of the prior N(0, I) is 0: x0_hat = sqrt(alpha_bar) x_t = x / (1 + sigma^2)."""
    times = []
    net = lambda x, t: times.append((t.dtype, int(t[0]))) or 0 * x  # noqa: E731
    schedule = NoiseSchedule.linear()
    denoiser = VDenoiser(net, schedule, first_t=0)
    sigma = schedule.sigma[250]
    assert (denoiser(X0, sigma) - X0 / (1 + sigma**2)).abs().max() <= 1e-6
    assert times == [(torch.int64, 249)]


def test_14_zero_terminal_snr():
    with pytest.warns(UserWarning, match="zero terminal SNR.*is dropped"):
        schedule = NoiseSchedule.from_alphas_cumprod([0.9, 0.5, 0.1, 0.0])
    assert schedule.sigma[-1] == pytest.approx(3.0)


def test_15_complex_images_by_a_fourier_mask():
    mask = RNG.random((128, 128)) < 0.3
    op = FourierMask(mask, centred=True)
    y = op(torch.from_numpy(RNG.standard_normal((2, 2, 128, 128))))
    assert_fits(op, y, restored(op, y, denoiser=standard_normal), 1e-12)
    with pytest.raises(ValueError, match=r"two channels.*FourierMask"):
        restored(op, torch.complex(y[:, 0], y[:, 1]))
    many = FourierMask(np.stack([mask, ~mask]), per_image=True)
    assert_fits(many, many(y), restored(many, many(y), denoiser=standard_normal), 1e-12)


def test_16_tomography():
    """scikit-image's projections of 12 x 12 pixels from 8 sides."""
    angles = np.linspace(0, 180, 8, endpoint=False)

    def scan(x):
        return np.stack([radon(image[0], angles, circle=False) for image in np.asarray(x)])

    op = from_function(scan, (1, 12, 12))
    y = op(torch.from_numpy(RNG.standard_normal((1, 1, 12, 12))))
    assert_fits(op, y, restored(op, y, denoiser=standard_normal), 1e-6)


@pytest.mark.parametrize(
    ("op", "gain"),
    [(BicubicSuperResolution(SHAPE, 2), 2), (SeparableBlur(SHAPE, np.full(5, 0.2)), 10)],
    ids=["bicubic", "blur"],
)
def test_17_noise_after_a_reduction_or_a_blur(op, gain):
    """Decibels above the pseudo-inverse, which enlarges the noise."""
    y = noisy(op(X0), 0.15)
    x = restored(op, y, 0.15, steps=10, eta=1.0)
    assert (psnr(x, X0) >= psnr(op.pinv(y), X0) + gain).all()


def test_18_a_blur_then_every_third_pixel():
    op = BlurDecimation((1, 33, 36), RNG.random((5, 5)) / 12, 3)
    y = op(torch.from_numpy(RNG.standard_normal((1, 1, 33, 36))))
    assert_fits(op, y, restored(op, y, denoiser=standard_normal), 1e-10)


def test_19_means_and_holes_in_either_order():
    then_holes = SelectedRows(SuperResolution(SHAPE, 2), torch.rand(3, 16, 16) < 0.7)
    assert_fits(then_holes, then_holes(X0), restored(then_holes, then_holes(X0)))
    pool = functools.partial(torch.nn.functional.avg_pool2d, kernel_size=2)
    then_means = LinearMap(lambda x: pool(x * KEEP), SHAPE)
    y = then_means(X0).float()
    x = restored(then_means, y, method="ddnm")
    assert (then_means(x) - y).abs().max() <= 1e-4


def test_20_a_noise_map():
    sigma = torch.linspace(0.05, 0.5, 32).expand(32, 32)
    y = X0 + sigma * noise_like(X0)
    x = restored(Denoising(SHAPE), y, sigma, steps=10)
    alike = restored(Denoising(SHAPE), y, 0.5, steps=10)
    assert (psnr(x, X0) > psnr(alike, X0) + 0.5).all()
    for nothing in (None, "0.1"):
        with pytest.raises(ValueError, match="sigma_y must be one number"):
            restored(Denoising(SHAPE), y, nothing)


def test_21_volumes():
    mask = torch.from_numpy(RNG.random((4, 6, 5)) < 0.5)  # slices count as channels
    op = Inpainting(mask)
    y = op(torch.from_numpy(RNG.standard_normal((2, 4, 6, 5))))
    assert_fits(op, y, restored(op, y, denoiser=standard_normal), 1e-12)
    with pytest.raises(ValueError, match=r"slices of a volume count as channels.*LinearMap"):
        SuperResolution((1, 4, 6, 4), 2)
    halves = LinearMap(lambda x: x[:, :, ::2] + x[:, :, 1::2], (1, 4, 6, 5))
    y = halves(torch.ones(1, 1, 4, 6, 5)).float()
    x = restored(halves, y, denoiser=standard_normal, method="ddnm")
    assert (halves(x) - y).abs().max() <= 1e-4


def test_22_a_gap_in_a_signal():
    """A smooth prior fills it; a structure for pictures says what a signal is to it."""
    t = torch.arange(60).double()
    cov = torch.exp(-((t[:, None] - t) ** 2) / 200) + 1e-6 * torch.eye(60)
    signal, known = torch.sin(t / 8)[None], (t < 25) | (t >= 30)
    op = Inpainting(known)
    prior = GaussianPrior(torch.zeros(60), cov)
    x = restored(op, op(signal), denoiser=prior, steps=100, method="ddnm")
    assert (x - signal).abs().max() <= 0.2
    with pytest.raises(ValueError, match=r"a signal \(1, 1, n\)"):
        CircularBlur((60,), [[0.5, 0.5]])


def test_23_correlated_noise():
    n, H = 6, torch.from_numpy(RNG.standard_normal((4, 6)))
    L = torch.linalg.cholesky(torch.eye(4).double() + 0.5)
    white = Dense(torch.linalg.solve(L, H))
    y = torch.from_numpy(RNG.standard_normal((1, 4)))
    prior = GaussianPrior(torch.zeros(n), torch.eye(n))
    got = prior.posterior(white, torch.linalg.solve(L, y.T).T, sigma_y=1.0).mean
    want = y @ torch.linalg.solve(H @ H.T + L @ L.T, H)
    assert (got - want).abs().max() <= 1e-12
    with pytest.raises(ValueError, match=r"Correlated noise .*solve\(L, H\)"):
        restored(Dense(H), y, L @ L.T, prior)


def test_24_several_measurements_of_one_picture():
    parts = [CircularBlur(SHAPE, torch.full((5, 5), 1 / 25)), Denoising(SHAPE)]
    op = Stacked(parts, weights=[1 / 0.02, 1 / 0.3])
    y = op.join(noisy(parts[0](X0), 0.02), noisy(X0, 0.3))
    x = restored(op, y, 1.0, steps=10, eta=1.0)
    assert (psnr(x, X0) >= psnr(op.pinv(y), X0) + 1).all()
    with pytest.raises(ValueError, match=r"BlockOperator.*diffpir"):
        Stacked([SuperResolution(SHAPE, 2), parts[0]])


def test_25_demosaicing():
    op = Inpainting(bayer("GRBG", 32, 32))
    assert_fits(op, op(X0), restored(op, op(X0)))


def test_26_memory_and_time_at_large_sizes():
    op, y = CircularBlur((3, 512, 512), RNG.random((21, 21))), torch.zeros(1, 3, 512, 512)
    needed = peak_bytes(lambda: restored(op, y, 0.1, standard_normal, steps=2))
    assert needed <= 14 * y.nbytes
    blur = CircularBlur((3, 256, 256), RNG.random((7, 7)))
    begin = time.process_time()
    with pytest.raises(TooLarge, match=r"GiB.*LinearMap\(f, in_shape\)"):
        from_function(lambda x: blur(x)[..., ::2, 1:], (3, 256, 256))
    assert time.process_time() - begin <= 2
    assert math.isfinite(DiffPIR(standard_normal, op, y, sigma_y=0.1).residual)

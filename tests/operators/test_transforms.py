"""Circular blurs and compressed sensing against the transforms of numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.ndimage
import torch
from comparing import assert_near, convolved, largest_norm, rounding
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import image_shapes, random_images, seeded, seeds
from torch.profiler import ProfilerActivity, profile

from ddrm_edu import (
    BlurDecimation,
    CircularBlur,
    CompressedSensing,
    FourierMask,
    SelectedRows,
    SeparableBlur,
    SuperResolution,
    SymmetricBlur,
    from_function,
)

RNG = np.random.default_rng(59)


# -- circular blurs --------------------------------------------------------------------------------


KERNELS = {
    "21 x 21 random": RNG.standard_normal((21, 21)),
    "even": RNG.standard_normal((4, 6)),
    "one row": RNG.standard_normal((1, 5)),
    "as large as the image": RNG.standard_normal((24, 31)),
    "larger than the image": RNG.standard_normal((40, 33)),
}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("shape", [(2, 24, 31), (1, 25, 32), (1, 4, 5)], ids=str)
def test_circular_blur_is_scipys_convolution_that_wraps(shape, kernel):
    """Centred at ((k - 1) // 2, (l - 1) // 2); a large kernel wraps around several times."""
    op, x = CircularBlur(shape, kernel), random_images(shape, 4)
    bound = rounding(torch.float64, op.n, np.abs(kernel).sum(), largest_norm(x))
    assert_near(op(x), convolved(x, kernel, "wrap"), bound)


@given(image_shapes(max_side=7), seeds)
def test_v_of_a_circular_blur_is_the_hartley_transform(shape, seed):
    """Re F x - Im F x with the whole spectrum, which the method itself never computes."""
    op = CircularBlur(shape, [[1.0]])
    x = random_images(shape, seed)
    spectrum = np.fft.fft2(x.numpy(), norm="ortho")
    bound = rounding(torch.float64, op.n, largest_norm(x))
    assert_near(op.V(x), spectrum.real - spectrum.imag, bound)
    assert torch.equal(op.V(x), op.Vt(x))
    assert_near(op.V(op.V(x)), x, bound)


@example((1, 6, 3), (6, 6), 24511)  # where the hypot of two conjugate numbers is not the same
@given(image_shapes(max_side=7), st.tuples(st.integers(1, 9), st.integers(1, 9)), seeds)
def test_singular_values_of_a_circular_blur_belong_to_frequencies(shape, taps, seed):
    """s is the modulus of the kernel's transform, the same to the last bit at k and -k."""
    kernel = np.random.default_rng(seed).standard_normal(taps)
    s = CircularBlur(shape, kernel).s
    point = np.zeros(shape[1:])
    for (i, j), weight in np.ndenumerate(kernel):
        point[i % shape[1], j % shape[2]] += weight
    bound = rounding(torch.float64, point.size, np.abs(kernel).sum())
    assert np.abs(s.numpy() - np.abs(np.fft.fft2(point))).max() <= bound
    assert torch.equal(s, s.flip(0, 1).roll((1, 1), (0, 1)))


def test_a_shift_is_measured_completely():
    """Its singular values are 1, but U and V are not the same."""
    kernel = np.zeros((3, 5))
    kernel[2, 0] = 1.0
    op, x = CircularBlur((1, 6, 7), kernel), random_images((1, 6, 7), 5)
    bound = rounding(torch.float64, op.n, largest_norm(x))
    assert (op.s - 1).abs().max() <= rounding(torch.float64, 1)
    assert_near(op(x), x.roll((1, -2), (-2, -1)), bound)
    assert_near(op.pinv(x), x.roll((-1, 2), (-2, -1)), bound)


def test_frequencies_that_the_kernel_cancels_are_exactly_lost():
    """A mean over 5 of 105 rows is blind at multiples of 21, though the FFT finds 1e-16 there."""
    op = CircularBlur((3, 105, 105), np.full((5, 7), 1 / 35))
    rows, columns = (torch.arange(105) % period == 0 for period in (21, 15))
    rows[0] = columns[0] = False
    assert torch.equal(op.s == 0, rows[:, None] | columns)
    assert op.rank == 3 * (105 - 4) * (105 - 6)
    assert CircularBlur((3, 105, 105), np.full((5, 7), 1 / 35), rtol=0.5).rank < op.rank


@pytest.mark.parametrize("scale", [2.0**-30, 1.0, 2.0**30])
def test_rounding_is_told_from_a_weak_kernel(scale):
    """Weights that cancel leave 1e-16 of their size; a kernel of that size may be meant so."""
    rest = np.array([[100.1, 200.2, -300.3]]) * scale
    assert abs(rest.sum()) > 0
    with pytest.raises(ValueError, match="cancel where they meet"):
        CircularBlur((1, 4, 1), rest)
    assert CircularBlur((1, 4, 1), [[abs(rest.sum())]]).rank == 4


@pytest.mark.parametrize("method", ["V", "Vt", "U", "Ut"])
def test_each_method_of_a_circular_blur_makes_one_fft(method):
    op, x = CircularBlur((3, 8, 10), KERNELS["even"]), random_images((3, 8, 10), 6)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        getattr(op, method)(x)
    transforms = [e.name for e in recorded.events() if e.name.startswith("aten::_fft")]
    assert transforms == ["aten::_fft_r2c"]


# -- blurs of the mirrored image ---------------------------------------------------------------


@pytest.mark.parametrize("sides", [(1, 1), (3, 5), (9, 1), (21, 7)], ids=str)
@pytest.mark.parametrize("shape", [(2, 24, 31), (1, 25, 32), (1, 11, 4)], ids=str)
def test_symmetric_blur_is_scipys_convolution_of_the_mirrored_image(shape, sides):
    """scipy mirrors again and again where the kernel is larger than the image."""
    kernel = RNG.standard_normal(sides)
    kernel = kernel + kernel[::-1]
    kernel = kernel + kernel[:, ::-1]
    op, x = SymmetricBlur(shape, kernel), random_images(shape, 4)
    bound = rounding(torch.float64, op.n, np.abs(kernel).sum(), largest_norm(x))
    planes = x.reshape(-1, *shape[1:]).numpy()
    want = [scipy.ndimage.convolve(plane, kernel, mode="reflect") for plane in planes]
    assert_near(op(x), np.stack(want), bound)


@given(image_shapes(max_side=9), seeds)
def test_vt_of_a_symmetric_blur_is_scipys_cosine_transform(shape, seed):
    op, x = SymmetricBlur(shape, [[1.0]]), random_images(shape, seed)
    want = scipy.fft.dctn(x.numpy(), axes=(-2, -1), norm="ortho")
    assert_near(op.Vt(x), want, rounding(torch.float64, op.n, largest_norm(x)))


def test_a_product_is_the_same_blur_by_rows_and_columns():
    column, row = np.array([1.0, 3.0, 1.0]), np.array([0.5, -1.0, 2.0, -1.0, 0.5])
    by_cosines = SymmetricBlur((2, 7, 9), np.outer(column, row))
    by_matrices = SeparableBlur((2, 7, 9), column, row, border="mirror")
    x = random_images((2, 7, 9), 5)
    assert (by_cosines(x) - by_matrices(x)).abs().max() <= 1e-13 * 20
    assert (by_cosines.pinv(x) - by_matrices.pinv(x)).abs().max() <= 1e-9


# -- circular blurs of which few pixels are kept ---------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize(
    ("shape", "factor"),
    [((2, 24, 30), 3), ((1, 25, 35), 5), ((3, 8, 12), 4), ((1, 4, 8), 4), ((1, 9, 7), 1)],
    ids=str,
)
def test_blur_decimation_is_scipys_convolution_at_every_rth_pixel(shape, factor, kernel):
    """Odd and even counts of blocks: some are their own mirror image, most belong in pairs."""
    op, x = BlurDecimation(shape, kernel, factor), random_images(shape, 4)
    bound = rounding(torch.float64, op.n, np.abs(kernel).sum(), largest_norm(x))
    assert_near(op(x), convolved(x, kernel, "wrap")[..., ::factor, ::factor], bound)


def test_singular_values_of_a_blur_decimation_belong_to_blocks_of_frequencies():
    """s^2 is the mean of |lambda|^2 over the r^2 frequencies that are added up."""
    kernel = RNG.standard_normal((4, 5))
    op = BlurDecimation((2, 12, 18), kernel, 3)
    point = np.zeros((12, 18))
    point[:4, :5] = kernel
    power = np.abs(np.fft.fft2(point)) ** 2
    want = np.sqrt(power.reshape(3, 4, 3, 6).sum((0, 2))) / 3
    s = op.s.numpy()
    assert np.abs(s[:4, :6] - want).max() <= rounding(torch.float64, 216, np.abs(kernel).sum())
    assert np.count_nonzero(s) == 24
    assert op.rank == op.m


def test_a_mean_of_blocks_is_super_resolution():
    """The kernel of r x r equal weights, shifted to the block: the same s, H and H^+."""
    shape, r = (1, 6, 9), 3
    kernel = np.zeros((5, 5))
    kernel[:3, :3] = 1 / 9  # its centre is (2, 2): pixels i to i + 2 are seen
    op, known, x = (
        BlurDecimation(shape, kernel, r),
        SuperResolution(shape, r),
        random_images(shape, 5),
    )
    bound = rounding(torch.float64, op.n, largest_norm(x))
    sorted_ = lambda op: op.spectrum().flatten().sort().values  # noqa: E731
    assert_near(op(x), known(x), bound)
    assert_near(op.pinv(op(x)), known.pinv(known(x)), bound)
    assert (sorted_(op) - sorted_(known)).abs().max() <= bound


def test_blocks_of_frequencies_that_the_kernel_cancels_are_lost():
    """Differences of the pixels that are kept: their mean is lost, a whole block of frequencies."""
    op = BlurDecimation((1, 3, 12), [[1.0, 0.0, 0.0, -1.0]], 3)
    assert op.rank == 3
    assert op.s[0, 0] == 0
    # Its singular values are 0, sqrt 2, 2, sqrt 2.
    assert BlurDecimation((1, 3, 12), [[1.0, 0.0, 0.0, -1.0]], 3, rtol=0.8).rank == 1


# -- frequencies of complex images -----------------------------------------------------------------


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("plane", [(4, 6), (5, 7), (8, 3), (1, 9), (97, 101)], ids=str)
def test_a_fourier_mask_is_numpys_transform_times_the_mask(plane, centred):
    """Even, odd and prime sides; the shifts of both differ where a side is odd."""
    mask, x = RNG.random(plane) < 0.5, random_images((2, *plane), 7)
    mask[0, 0] = True
    op, image = FourierMask(mask, centred=centred), x[:, 0].numpy() + 1j * x[:, 1].numpy()
    axes = (-2, -1)
    if centred:
        image = np.fft.ifftshift(image, axes)
    k_space = np.fft.fft2(image, norm="ortho")
    if centred:
        k_space = np.fft.fftshift(k_space, axes)
    want = np.stack([mask * k_space.real, mask * k_space.imag], 1)
    assert_near(op(x), want, rounding(torch.float64, op.n, largest_norm(x)))
    assert op.out_shape == op.in_shape
    assert op.rank == 2 * mask.sum()
    assert not op.pixel_basis


def test_complex_images_are_told_the_way():
    """Neither .float() nor .real, which would lose the imaginary part."""
    op, x = FourierMask(np.ones((3, 4))), torch.ones(1, 3, 4, dtype=torch.complex64)
    with pytest.raises(ValueError, match=r"two channels.*FourierMask") as refused:
        op(x)
    assert "torch.stack([x.real, x.imag], dim=1)" in str(refused.value)
    assert op(torch.stack([x.real, x.imag], dim=1)).shape == (1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"two channels.*MRI.*FourierMask\(mask\)"):
        from_function(lambda x: torch.fft.fft2(torch.as_tensor(x)), (1, 3, 4))


def test_what_stands_where_no_frequency_is_measured_is_ignored():
    """y may be the whole k-space or the masked one, and SelectedRows lists what was measured."""
    mask = torch.from_numpy(RNG.random((5, 6)) < 0.4)
    op, y = FourierMask(mask), random_images((2, 5, 6), 8)
    assert torch.equal(op.pinv(y), op.pinv(mask * y))
    both, x = mask.expand(2, 5, 6), random_images((2, 5, 6), 9)
    assert torch.equal(SelectedRows(op, both)(x), op(x)[:, both])


# -- compressed sensing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1, 16, 32), (3, 8, 16), (5, 12, 3), (1, 7, 9), (1, 1, 1), (3, 1, 1)]
)
def test_compressed_sensing_is_scipys_hadamard_matrix_between_random_orders(shape):
    """X11: W / sqrt(n) if n is a power of two, C_p (x) W with scipy's DCT otherwise."""
    n = int(np.prod(shape))
    twos = n & -n
    dct = scipy.fft.dct(np.eye(n // twos), axis=0, norm="ortho")
    transform = np.kron(dct, scipy.linalg.hadamard(twos) / np.sqrt(twos))
    m, generator = max(1, n // 3), seeded(8)
    order, kept = torch.randperm(n, generator=generator), torch.randperm(n, generator=generator)
    op, x = CompressedSensing(shape, m, generator=seeded(8)), random_images(shape, 7)
    bound = rounding(torch.float64, n, largest_norm(x))
    assert_near(op.Vt(x), x.flatten(1)[:, order].numpy() @ transform.T, bound)
    assert_near(op(x), (x.flatten(1)[:, order].numpy() @ transform.T)[:, np.sort(kept[:m])], bound)
    assert op.s.unique().tolist() == ([0.0, 1.0] if m < n else [1.0])


def test_large_images_are_mixed_by_the_same_transform():
    """Five factors at 3 x 64 x 64; a row of H against the Hadamard matrix, by parity of bits."""
    op = CompressedSensing((3, 64, 64), 2000, generator=seeded(9))
    x = random_images(op.in_shape, 8, batch=2)
    shuffled = x.flatten(1)[:, torch.randperm(op.n, generator=seeded(9))].unflatten(1, (3, 4096))
    waves = scipy.fft.dct(shuffled.numpy(), axis=1, norm="ortho")
    want = waves @ scipy.linalg.hadamard(4096) / 64
    assert_near(op.Vt(x), want, rounding(torch.float64, op.n, largest_norm(x)))


def test_measurements_are_drawn_by_the_generator_alone():
    """The same seed gives the same H, another seed another H; torch's own state is left alone."""
    state = torch.get_rng_state()
    first, again, other = (
        CompressedSensing((1, 4, 4), 5, generator=seeded(seed)).matrix() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(1)
    assert torch.equal(CompressedSensing((1, 4, 4), 5).matrix(), first)


def odd_part(number: int) -> int:
    while number % 2 == 0:
        number //= 2
    return number


@pytest.mark.parametrize(
    "shape", [(3, 224, 224), (3, 150, 130), (6, 5, 9), (1, 1, 95), (1, 95, 1)], ids=str
)
def test_a_refused_image_is_told_the_largest_crop_that_works(shape):
    with pytest.raises(ValueError, match="odd part of at most 64") as refused:
        CompressedSensing(shape, 1)
    crop = tuple(int(part) for part in str(refused.value).split("to (")[1].split(")")[0].split(","))
    assert CompressedSensing(crop, 1).in_shape == crop
    channels, height, width = shape
    sizes = {i * j for i in range(1, height + 1) for j in range(1, width + 1)}
    largest = max(size for size in sizes if odd_part(channels * size) <= 64)
    assert crop[0] == channels
    assert crop[1] * crop[2] == largest
    assert crop[1] <= height
    assert crop[2] <= width


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((3, 256, 256), [3, 16, 16, 16, 16]),
        ((1, 32, 32), [32, 32]),
        ((1, 4, 16), [8, 8]),
        ((9, 7, 1), [63]),
        ((1, 1, 1), [1]),
    ],
    ids=str,
)
def test_the_transform_is_a_product_of_few_small_matrices(shape, sizes):
    """At most 32 rows each besides the odd one, in as few factors as that takes."""
    assert [len(factor) for factor in CompressedSensing(shape, 1)._factors] == sizes

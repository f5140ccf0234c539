r"""Kronecker products, blurs, transforms and blocks against libraries that compute the same.

The law suite of test_operators.py compares every class with a matrix written entry by entry; here
scipy, torch and Pillow are asked, on images of real size where they can be, and the promises that
only one class makes are kept.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
import scipy.sparse
import torch
from comparing import assert_near, dense_of, largest_norm, rounding, times
from hypothesis import example, given
from hypothesis import strategies as st
from memory import peak_bytes, stored_bytes
from oracles import blur_matrix, kronecker_matrix, patch_functional_matrix
from PIL import Image
from strategies import (
    OPERATORS,
    image_shapes,
    matrices,
    operators,
    random_images,
    seeds,
    small_matrices,
)
from torch.profiler import ProfilerActivity, profile

from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    CircularBlur,
    CompressedSensing,
    Dense,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SeparableBlur,
    SVDOperator,
    check_operator,
    load_denoiser,
    load_images,
    restore,
)

RNG = np.random.default_rng(59)
STRUCTURES = [
    BlockOperator,
    Kronecker,
    SeparableBlur,
    BicubicSuperResolution,
    CircularBlur,
    CompressedSensing,
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convolved(x: torch.Tensor, kernel: np.ndarray, boundary: str) -> np.ndarray:
    """scipy's convolution of every channel of every image."""
    planes = x.double().reshape(-1, *x.shape[-2:]).numpy()
    blurred = [
        scipy.signal.convolve2d(plane, kernel, mode="same", boundary=boundary) for plane in planes
    ]
    return np.stack(blurred).reshape(x.shape)


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_check_operator_finds_no_fault(kind):
    """All its laws, with the independent matrix, as a student would ask."""

    @given(OPERATORS[kind]())
    def holds(case):
        report = check_operator(case.op, case.H)
        assert report.ok, report
        assert case.op.s.dtype == torch.float64

    holds()


# -- Kronecker products ----------------------------------------------------------------------------


@given(st.data(), seeds)
def test_kronecker_is_a_x_b_transposed(data, seed):
    """X10: no factor is transposed, and A mixes rows, B columns; also for tall and wide factors."""
    p, h, q, w = (data.draw(st.integers(1, 7)) for _ in range(4))
    A, B = data.draw(small_matrices(p, h)), data.draw(small_matrices(q, w))
    op = Kronecker(A, B, channels=2)
    x = random_images(op.in_shape, seed)
    norms = np.linalg.norm(A, 2), np.linalg.norm(B, 2)
    assert op.out_shape == (2, p, q)
    bound = rounding(torch.float64, op.n, *norms, largest_norm(x))
    assert_near(op(x), A @ x.numpy() @ B.T, bound)
    H = np.kron(np.eye(2), np.kron(A, B))
    assert_near(op(x), times(H, x), bound)


def test_the_rank_is_cut_on_products_of_singular_values():
    """Each factor has full rank; the product 1e-20 of two small values is rounding to H."""
    op = Kronecker(np.diag([1.0, 1e-10]), np.diag([1.0, 1e-10, 0.5]))
    assert op.rank == np.linalg.matrix_rank(op.matrix().numpy()) == 5
    lost = op.s == 0
    assert lost.tolist() == [[False, False, False], [False, False, True]]
    assert not op.U(lost * random_images(op.in_shape, 1)).any()
    assert not op.Ut(random_images(op.out_shape, 2))[..., lost].any()


def test_what_is_not_measured_cannot_spoil_what_is():
    """U leaves coordinates with s = 0 out; it does not multiply them by 0."""
    op = Kronecker(np.diag([1.0, 1e-10]), np.diag([1.0, 1e-10, 0.5]))
    spec = random_images(op.in_shape, 1)
    want = op.U(spec)
    spec[:, op.s[None] == 0] = torch.inf
    assert torch.equal(op.U(spec), want)


def test_rtol_moves_the_cut():
    """S09.2: the threshold is relative and the caller's to choose, 0 included; s == cut is cut."""
    A, B = np.diag([4.0, 1.0]), np.diag([2.0, 1.0])
    ranks = [Kronecker(A, B, rtol=rtol).rank for rtol in (0, 0.12, 0.125, 0.25, 0.5)]
    assert ranks == [4, 4, 3, 2, 1]
    assert Kronecker(np.diag([1, 1e-30]), [[1.0]], rtol=0).rank == 2
    by_default = [Kronecker(np.diag([1, s]), np.eye(64)).rank for s in (2e-14, 1e-14)]
    assert by_default == [128, 64], "66 rounding units are 1.5e-14"
    kernel = [0.25, 0.5, 0.25]
    full, cut = SeparableBlur((1, 9, 9), kernel), SeparableBlur((1, 9, 9), kernel, rtol=0.3)
    assert cut.rank == (full.s > 0.3 * full.s.max()).sum() < full.rank == 81


@pytest.mark.parametrize("container", [np.array, torch.tensor, np.ndarray.tolist])
def test_factors_come_in_any_container(container):
    A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 2))
    want = kronecker_matrix(A, B, 1)
    for sparse in (np.asarray, scipy.sparse.csr_array, scipy.sparse.coo_matrix):
        op = Kronecker(container(A), sparse(B))
        assert_near(op.matrix().T, want.T, rounding(torch.float64, op.n, np.linalg.norm(want, 2)))


# -- separable blurs -------------------------------------------------------------------------------

TAPS = [1, 2, 3, 4, 7, 8, 9, 20, 21]


@pytest.mark.parametrize("columns", [1, 4, 9])
@pytest.mark.parametrize("rows", TAPS)
def test_separable_blur_is_scipys_convolution_with_the_outer_product(rows, columns):
    """X10: odd and even kernels, symmetric in nothing, also longer than a side of the image."""
    k, other = RNG.standard_normal(rows), RNG.standard_normal(columns)
    op = SeparableBlur((2, 8, 11), k, other)
    x = random_images(op.in_shape, rows)
    norm = np.abs(k).sum() * np.abs(other).sum()
    bound = rounding(torch.float64, op.n, norm, largest_norm(x))
    assert_near(op(x), convolved(x, np.outer(k, other), "fill"), bound)


def test_one_kernel_serves_both_directions():
    k, x = RNG.standard_normal(4), random_images((1, 6, 7), 3)
    assert torch.equal(SeparableBlur((1, 6, 7), k)(x), SeparableBlur((1, 6, 7), k, k)(x))


def test_every_tap_of_the_kernel_is_used():
    """A point in the middle becomes the kernel, both ends of it included."""
    for taps in (9, 8):
        k = np.arange(1.0, taps + 1)
        x = torch.zeros(1, 1, 1, 31, dtype=torch.float64)
        x[..., 15] = 1.0
        first = 15 - (taps - 1) // 2
        y = SeparableBlur((1, 1, 31), [1.0], k)(x)[0, 0, 0, first : first + taps]
        assert np.abs(y.numpy() - k).max() <= rounding(torch.float64, 31, k.sum())


# -- bicubic reduction -----------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_bicubic_reduction_is_that_of_torch(factor):
    x = random_images((3, 24, 48), factor)
    size = (24 // factor, 48 // factor)
    want = torch.nn.functional.interpolate(x, size, mode="bicubic", antialias=True)
    op = BicubicSuperResolution((3, 24, 48), factor)
    assert_near(op(x), want, rounding(torch.float64, op.n, 2, largest_norm(x)))


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_bicubic_reduction_is_that_of_pillow(factor):
    """Its images of floating-point numbers are float32."""
    x = random_images((1, 24, 48), factor, batch=1)
    image = Image.fromarray(x[0, 0].float().numpy())
    want = np.array(image.resize((48 // factor, 24 // factor), Image.Resampling.BICUBIC))
    op = BicubicSuperResolution((1, 24, 48), factor)
    assert_near(op(x), want, rounding(torch.float32, op.n, 2, largest_norm(x)))


def test_bicubic_reduction_keeps_constants():
    """Weights that are cut off at the border are normalised again."""
    y = BicubicSuperResolution((2, 8, 12), 4)(torch.full((1, 2, 8, 12), 0.7, dtype=torch.float64))
    assert (y - 0.7).abs().max() <= rounding(torch.float64, 8 * 12)


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


def test_rank_of_a_blur_is_the_product_of_the_ranks_of_its_factors():
    """The mean over 9 pixels of a row of 32 forgets 4 of them, dark borders and all."""
    row = blur_matrix((1, 1, 32), np.full((1, 9), 1 / 9), wrap=False)
    rank = np.linalg.matrix_rank(row)
    assert SeparableBlur((3, 32, 32), np.full(9, 1 / 9)).rank == 3 * rank**2 < 3 * 32**2


@pytest.mark.parametrize("method", ["V", "Vt", "U", "Ut"])
def test_each_method_of_a_circular_blur_makes_one_fft(method):
    op, x = CircularBlur((3, 8, 10), KERNELS["even"]), random_images((3, 8, 10), 6)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        getattr(op, method)(x)
    transforms = [e.name for e in recorded.events() if e.name.startswith("aten::_fft")]
    assert transforms == ["aten::_fft_r2c"]


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


# -- blocks ----------------------------------------------------------------------------------------


@given(st.data(), seeds)
def test_a_block_of_one_row_is_a_patch_functional_up_to_signs(data, seed):
    """The same H, the same places and sizes of s; U and the seen columns of V up to one sign."""
    patch = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)))
    shape = tuple(2 * side for side in patch)
    k = np.random.default_rng(seed).standard_normal(patch)
    block, special = BlockOperator(k.reshape(1, -1), shape, patch), PatchFunctional(shape, k)
    H = patch_functional_matrix(shape, k)
    x, bound = random_images(shape, seed), rounding(torch.float64, block.n, np.linalg.norm(k))
    assert block.out_shape == special.out_shape
    for op in (block, special):
        assert_near(op(x), times(H, x), bound * largest_norm(x))
    assert (block.s - special.s).abs().max() <= bound
    assert torch.equal(block.s > 0, special.s > 0)
    seen = (special.s > 0).flatten().numpy()
    U, U_special = (dense_of(op.U, shape)[:, seen] for op in (block, special))
    V, V_special = (dense_of(op.V, shape)[:, seen] for op in (block, special))
    sign = np.sign(U[0, 0] * U_special[0, 0])
    assert np.abs(U - sign * U_special).max() <= rounding(torch.float64, block.n)
    assert np.abs(V - sign * V_special).max() <= rounding(torch.float64, block.n)


@given(matrices(), seeds)
def test_a_block_as_large_as_the_image_is_dense(K, seed):
    """One patch: the SVD of K itself, tall, rank-deficient or zero."""
    shape = (1, 1, K.shape[1])
    block, dense = BlockOperator(K, shape, shape), Dense(K, in_shape=shape)
    x = random_images(shape, seed)
    bound = rounding(torch.float64, block.n, np.linalg.norm(K, 2), largest_norm(x))
    assert torch.equal(block.s, dense.s)
    assert_near(block(x).flatten(1), dense(x), bound)
    assert BlockOperator(K, shape, shape, rtol=0.5).rank == Dense(K, rtol=0.5).rank


def test_measured_numbers_of_a_patch_lie_along_the_channels():
    """All first rows of K make the first channel; groups of channels come one after the other."""
    K = RNG.standard_normal((3, 8))
    op = BlockOperator(K, (4, 6, 4), (2, 2, 2))
    x = random_images(op.in_shape, 9)
    y = op(x)
    assert y.shape == (3, 6, 3, 2)
    patch = x[:, 2:4, 4:6, 0:2].flatten(1)
    want = patch @ torch.from_numpy(K).T
    bound = rounding(torch.float64, op.n, np.linalg.norm(K, 2), largest_norm(x))
    assert_near(y[:, 3:6, 2, 0], want, bound)


# -- copies on other devices and in other precisions -----------------------------------------------


class Nested(SVDOperator):
    """An operator made of others, kept as an attribute, in a list and in a tuple in a list."""

    def __init__(self):
        self.in_shape = self.out_shape = (2,)
        self.s = torch.ones(2, dtype=torch.float64)
        self.one = Dense([[1.0, 2.0], [0.5, 0.0]])
        self.listed = [self.one, [torch.ones(2).double(), (self.one, "name")]]
        self.place = torch.tensor([1, 0])

    def V(self, x):
        return x.clone()

    Vt = U = Ut = V


def test_to_reaches_the_parts_of_parts():
    op = Nested()
    moved = op.to(torch.float32)
    parts = [moved, moved.one, moved.listed[0], moved.listed[1][1][0]]
    assert [part.s.dtype for part in parts] == [torch.float32] * 4
    assert moved.one._V.dtype == torch.float32
    assert moved.listed[1][0].dtype == torch.float32
    assert (type(moved.listed[1][1]), moved.listed[1][1][1]) == (tuple, "name")
    assert moved.place.dtype == torch.int64
    assert [part.s.dtype for part in (op, op.one, op.listed[1][1][0])] == [torch.float64] * 3


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_a_converted_copy_holds_no_float64_number(kind):
    """Then a call in float32 converts nothing."""

    @given(OPERATORS[kind]())
    def holds(case):
        moved = case.op.to(torch.float32)
        for value in vars(moved).values():
            for part in value if isinstance(value, list) else [value]:
                assert getattr(part, "dtype", None) != torch.float64

    holds()


@given(operators())
def test_to_another_device_keeps_whole_numbers(case):
    """The device without memory stands for any other one."""
    moved = case.op.to("meta")
    assert moved.s.device.type == "meta"
    assert moved.s.dtype == torch.float64
    x = torch.zeros(2, *case.op.in_shape, device="meta")
    assert moved.V(x).shape == x.shape
    assert moved.U(x).shape == (2, *case.op.out_shape)


# -- restoring real images -------------------------------------------------------------------------

SHAPE = (3, 32, 32)


def bayer_mask(height: int, width: int) -> torch.Tensor:
    """Red, green / green, blue: a camera measures one colour at each pixel."""
    mask = torch.zeros(3, height, width, dtype=torch.bool)
    mask[0, 0::2, 0::2] = mask[1, 0::2, 1::2] = mask[1, 1::2, 0::2] = mask[2, 1::2, 1::2] = True
    return mask


TASKS = {
    "mean over 9 x 9 pixels": SeparableBlur(SHAPE, np.full(9, 1 / 9)),
    "random 21 x 21 kernel": CircularBlur(SHAPE, RNG.random((21, 21)) / 220),
    "Bayer mosaic": Inpainting(bayer_mask(32, 32)),
    "bicubic x 4": BicubicSuperResolution(SHAPE, 4),
    "a third of mixed coordinates": CompressedSensing(SHAPE, 1024, generator=seeded(4)),
}


@pytest.mark.parametrize("op", TASKS.values(), ids=TASKS.keys())
def test_restored_images_agree_with_their_measurement(op):
    """X06: H x = y to rounding in float32 with the shipped network, without noise."""
    x0 = load_images("natural")[3:5]
    y = op(x0)
    generators = [seeded(k) for k in range(2)]
    x = restore(load_denoiser("natural"), op, y, sigma_y=0.0, steps=4, generator=generators)
    eps, largest = torch.finfo(torch.float32).eps, op.s.max().item()
    size = largest * x.flatten(1).norm(dim=1) + y.flatten(1).norm(dim=1)
    residual = (op(x) - y).flatten(1).norm(dim=1)
    assert (residual <= 10 * eps * op.n**0.5 * size).all()
    assert (residual <= 1e-5 * y.flatten(1).norm(dim=1)).all()


# -- memory ----------------------------------------------------------------------------------------

BIG = (3, 256, 256)


def big_structures() -> list[SVDOperator]:
    rng = np.random.default_rng(5)
    return [
        BlockOperator(rng.standard_normal((2, 3)), BIG),
        BlockOperator(rng.standard_normal((5, 32)), BIG, (1, 8, 4)),
        Kronecker(rng.standard_normal((64, 256)), rng.standard_normal((256, 256)), 3),
        SeparableBlur(BIG, np.full(9, 1 / 9)),
        BicubicSuperResolution(BIG, 4),
        CircularBlur(BIG, rng.standard_normal((21, 21))),
        CompressedSensing(BIG, 3 * 2**14, generator=seeded(6)),
    ]


@pytest.fixture(scope="module", params=range(7), ids=lambda k: type(big_structures()[k]).__name__)
def big(request) -> SVDOperator:
    return big_structures()[request.param]


@pytest.mark.parametrize("method", ["V", "Vt"])
def test_v_and_vt_need_at_most_three_times_the_batch_in_memory(big, method):
    x = random_images(BIG, 7, batch=4, dtype=torch.float32)
    assert x.nbytes <= peak_bytes(lambda: getattr(big, method)(x)) <= 3.1 * x.nbytes


def test_structures_store_at_most_four_numbers_per_pixel(big):
    """A dense V alone would hold 196,608 for each."""
    assert sum(map(stored_bytes, vars(big).values())) <= 4 * 8 * big.n + 16384


def test_tall_factors_need_no_square_of_their_rows():
    """U has as many columns as H has rank, and a full one is not computed on the way either."""
    tall = np.ones((10_000, 2))
    for A, B in ((tall, np.eye(3)), (np.eye(3), tall), (tall, tall)):
        op = Kronecker(A, B)
        large = (len(A) > 3) + (len(B) > 3)
        assert sum(map(stored_bytes, vars(op).values())) <= 8 * 10_000 * large + 2000
        assert peak_bytes(lambda A=A, B=B: Kronecker(A, B)) <= 20 * 8 * 10_000 * large


# -- refusals --------------------------------------------------------------------------------------

REFUSED = {
    "A a vector": (Kronecker, (np.ones(3), np.eye(2)), "A must be a matrix"),
    "B not finite": (Kronecker, (np.eye(2), [[1.0, np.nan]]), "B must be finite.*1 of its 2"),
    "channels 0": (Kronecker, (np.eye(2), np.eye(2), 0), "channels must be a positive .* was 0"),
    "channels half": (Kronecker, (np.eye(2), np.eye(2), 1.5), "channels must .* was 1.5"),
    "grey without channels": (SeparableBlur, ((8, 8), [1.0]), r"\(channels, height, width\)"),
    "kernel of two axes": (SeparableBlur, (SHAPE, np.ones((3, 3))), r"\(3, 3\).*CircularBlur"),
    "kernel empty": (SeparableBlur, (SHAPE, []), r"kernel_rows must be a list .* shape \(0,\)"),
    "kernel a number": (SeparableBlur, (SHAPE, 0.5), r"kernel_rows must be a list .* shape \(\)"),
    "kernel zero": (SeparableBlur, (SHAPE, [1.0], [0.0, 0.0]), "kernel_cols is zero everywhere"),
    "kernel infinite": (SeparableBlur, (SHAPE, [1, np.inf]), "kernel_rows must be finite"),
    "factor 5": (BicubicSuperResolution, (SHAPE, 5), "height 32 and width 32, but was 5"),
    "factor 0": (BicubicSuperResolution, (SHAPE, 0), "positive integer .* was 0"),
    "factor 2.0": (BicubicSuperResolution, (SHAPE, 2.0), "positive integer .* was 2.0"),
    "blur of a list": (CircularBlur, (SHAPE, [1.0, 2.0]), r"kernel must be a matrix"),
    "blur zero": (CircularBlur, (SHAPE, np.zeros((3, 3))), "zero everywhere"),
    "blur cancels": (CircularBlur, ((1, 4, 1), [[0.1, 0.2, -0.3]]), "cancel .* 4 x 1 pixels"),
    "blur complex": (CircularBlur, (SHAPE, [[1j]]), "must be real"),
    "measures 0": (CompressedSensing, (SHAPE, 0), "from 1 to .* here 3072, but was 0"),
    "measures all + 1": (CompressedSensing, (SHAPE, 3073), "from 1 to .* but was 3073"),
    "measures half": (CompressedSensing, (SHAPE, 0.5), r"was 0.5. A fraction f .* int\(f \* 3072"),
    "67 channels": (CompressedSensing, ((67, 8, 8), 1), "Measure fewer channels"),
    "K too wide": (BlockOperator, (np.ones((2, 4)), SHAPE), "K must have 3 columns.*had 4"),
    "K too narrow": (BlockOperator, (np.ones((2, 2)), SHAPE), "K must have 3 columns.*had 2"),
    "K a vector": (BlockOperator, (np.ones(3), SHAPE), r"K must be a matrix .* \(3,\)"),
    "K not finite": (BlockOperator, ([[np.nan, 0, 0]], SHAPE), "K must be finite"),
    "patch that does not tile": (
        BlockOperator,
        (np.ones((1, 5)), SHAPE, (1, 5, 1)),
        r"\(1, 5, 1\) for an image of shape \(3, 32, 32\)",
    ),
    "patch of two axes": (BlockOperator, (np.ones((1, 4)), SHAPE, (3, 32)), "patch must be"),
    "patch of four axes": (BlockOperator, (np.ones((1, 4)), SHAPE, (3, 1, 1, 1)), "patch must be"),
    "patch 0": (BlockOperator, (np.ones((1, 4)), SHAPE, (0, 2, 2)), "patch must be .* positive"),
}


@pytest.mark.parametrize(("kind", "arguments", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_structure_cannot_be_made_of(kind, arguments, words):
    """A sentence that says what was expected and what was given."""
    with pytest.raises(ValueError, match=words) as refused:
        kind(*arguments)
    assert str(refused.value)[-1] in ".?"


@pytest.mark.parametrize("rtol", [-0.1, 1.0, 1.5, float("nan")])
def test_a_cut_that_would_leave_nothing_is_refused(rtol):
    for kind, arguments in (
        (Kronecker, (np.eye(2), np.eye(2))),
        (SeparableBlur, (SHAPE, [1.0])),
        (CircularBlur, (SHAPE, [[1.0]])),
        (BlockOperator, (np.eye(3), SHAPE)),
    ):
        with pytest.raises(ValueError, match=rf"rtol must lie in \[0, 1\), but was {rtol:g}"):
            kind(*arguments, rtol=rtol)

r"""One law suite for every operator, against matrices written entry by entry (slides 9, 20-23).

Tolerances are derived, from two sources of rounding.  Applying a map built from orthogonal factors
in arithmetic with unit ``eps`` errs by about ``eps * sqrt(n)`` times the norms of what it
multiplies.  The float64 decomposition of a matrix is that of a matrix 50 eps away, because LAPACK's
iteration stops there (dbdsqr: u^(7/8) with u = 2^-53, which is 49 times 2^-52); the pseudo-inverse
magnifies this by the condition number.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from comparing import EPS64, assert_near, dense_of, largest_norm, rounding, times
from hypothesis import find, given, settings
from hypothesis import strategies as st
from memory import peak_bytes, stored_bytes
from oracles import colorization_matrix, inpainting_matrix, patch_functional_matrix
from strategies import OPERATORS, dtypes, matrices, operators, random_images, seeds
from torch import Tensor

from ddrm_edu import (
    Colorization,
    Denoising,
    Dense,
    Inpainting,
    PatchFunctional,
    SuperResolution,
    SVDOperator,
)
from ddrm_edu.operators.base import dense_map

METHODS = {"V": "in", "Vt": "in", "U": "in", "Ut": "out"}
DERIVED = {"__call__": "in", "adjoint": "out", "pinv": "out", "measure_spec": "out"}
RNG = np.random.default_rng(9)


def argument(op: SVDOperator, side: str, seed: int, *, batch=3, dtype=torch.float64) -> Tensor:
    shape = op.in_shape if side == "in" else op.out_shape
    return random_images(shape, seed, batch=batch, dtype=dtype)


def spectrum(H: np.ndarray) -> np.ndarray:
    """All n singular values of H in decreasing order, zeros for the null space."""
    s = np.linalg.svd(H, compute_uv=False)[: H.shape[1]]
    return np.concatenate([s, np.zeros(H.shape[1] - len(s))])


def rank_cut(H: np.ndarray) -> float:
    """numpy.linalg.matrix_rank's relative cut, which is also the default of Dense."""
    return max(H.shape) * EPS64


def for_every_operator(*strategies):
    """The law is tried on each class by itself: drawn from all of them, a class may not come up."""

    def decorate(law):
        @pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
        def test(kind):
            few = settings(max_examples=settings.default.max_examples // 6)
            few(given(OPERATORS[kind](), *strategies)(law))()

        test.__doc__ = law.__doc__
        return test

    return decorate


# -- the strategy itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_strategy_draws_every_class(kind):
    assert type(find(operators(), lambda case: type(case.op) is kind).op) is kind


TRAITS = {
    "wide": lambda H, s: H.shape[0] < H.shape[1],
    "tall": lambda H, s: H.shape[0] > H.shape[1],
    "rank-deficient": lambda H, s: 0 < (s > rank_cut(H) * s[0]).sum() < min(H.shape),
    "repeated": lambda H, s: len(s) > 1 and abs(s[0] - s[1]) < 1e-9 and 0 < s[0] != 1,
    "badly conditioned": lambda H, s: (s[s > rank_cut(H) * s[0]] < 1e-5 * s[0]).any(),
    "a row vector": lambda H, s: H.shape[0] == 1 < H.shape[1],
    "zero": lambda H, s: s[0] == 0,
}


@pytest.mark.parametrize("trait", TRAITS)
def test_strategy_draws_matrices_of_every_kind(trait):
    H = find(
        matrices(), lambda H: TRAITS[trait](H, spectrum(H)), settings=settings(max_examples=2000)
    )
    assert TRAITS[trait](H, spectrum(H))


# -- H, its transpose and its pseudo-inverse -------------------------------------------------------


@for_every_operator(dtypes, seeds)
def test_call_equals_the_independent_matrix(case, dtype, seed):
    """S09.1, S20.1-S20.3, S21.1, S22.3: U diag(s) V^T is the H of the definition."""
    op, H = case
    x = argument(op, "in", seed, dtype=dtype)
    y = op(x)
    assert y.shape == (3, *op.out_shape)
    assert_near(y, times(H, x), rounding(dtype, op.n, spectrum(H)[0], largest_norm(x)))


@for_every_operator()
def test_matrix_equals_the_independent_matrix(case):
    """S09.1."""
    op, H = case
    matrix = op.matrix()
    assert (matrix.dtype, matrix.shape) == (torch.float64, H.shape)
    assert_near(matrix.T, H.T, rounding(torch.float64, op.n, spectrum(H)[0]))


@for_every_operator(dtypes, seeds)
def test_adjoint_equals_the_transposed_matrix(case, dtype, seed):
    """S09.1: H^T = V diag(s) U^T."""
    op, H = case
    y = argument(op, "out", seed, dtype=dtype)
    bound = rounding(dtype, max(op.m, op.n), spectrum(H)[0], largest_norm(y))
    assert_near(op.adjoint(y), times(H.T, y), bound)


def pinv_bound(H: np.ndarray, dtype: torch.dtype, y: Tensor, rcond: float) -> float:
    """Rounding of the product, and of the two float64 decompositions magnified by the condition."""
    s = spectrum(H)
    kept = s[s > rcond * s[0]]
    if not len(kept):
        return 0.0
    condition, norms = kept[0] / kept[-1], (1 / kept[-1], largest_norm(y))
    n = max(H.shape)
    return rounding(dtype, n, *norms) + rounding(torch.float64, n, condition, *norms)


@for_every_operator(dtypes, seeds)
def test_pinv_equals_numpy_pinv(case, dtype, seed):
    """S09.2."""
    op, H = case
    y = argument(op, "out", seed, dtype=dtype)
    want = times(np.linalg.pinv(H, rcond=rank_cut(H)), y)
    assert_near(op.pinv(y), want, pinv_bound(H, dtype, y, rank_cut(H)))


@given(matrices(), st.sampled_from([0.3, 0.01, 1e-5, 1e-9]), seeds)
def test_rtol_of_dense_cuts_where_numpy_pinv_cuts(H, rtol, seed):
    """S09.2: the threshold for singular values near 0 is the caller's to choose."""
    s = spectrum(H)
    cuts_through_rounding = np.abs(s - rtol * s[0]) <= 10 * EPS64 * s[0]
    if s[0] > 0 and cuts_through_rounding.any():
        rtol = rtol * 1.1  # the two decompositions may disagree about s == rtol * s_max
    op = Dense(H, rtol=rtol)
    assert op.rank == np.linalg.matrix_rank(H, rtol=rtol)
    y = argument(op, "out", seed)
    want = times(np.linalg.pinv(H, rcond=rtol), y)
    assert_near(op.pinv(y), want, pinv_bound(H, torch.float64, y, rtol))


@for_every_operator(seeds)
def test_penrose_equations_hold(case, seed):
    """S09.2: the four equations that define H^+, as matrices."""
    op, H = case
    s = spectrum(H)
    kept = s[s > rank_cut(H) * s[0]]
    condition = kept[0] / kept[-1] if len(kept) else 1.0
    forward, backward = op.matrix().numpy(), dense_of(op.pinv, op.out_shape)
    largest, largest_pinv = (kept[0], 1 / kept[-1]) if len(kept) else (0.0, 0.0)
    eps = rounding(torch.float64, max(op.m, op.n), condition)
    assert np.linalg.norm(forward @ backward @ forward - forward, 2) <= eps * largest
    assert np.linalg.norm(backward @ forward @ backward - backward, 2) <= eps * largest_pinv
    for projection in (forward @ backward, backward @ forward):
        assert np.linalg.norm(projection - projection.T, 2) <= eps


# -- the factors -----------------------------------------------------------------------------------


@for_every_operator(dtypes, seeds)
def test_v_and_vt_are_inverse_to_each_other(case, dtype, seed):
    """S09.3: x = V V^T x, in both orders, and lengths are kept."""
    op = case.op
    x = argument(op, "in", seed, dtype=dtype)
    bound = rounding(dtype, op.n, largest_norm(x))
    assert_near(op.V(op.Vt(x)), x, bound)
    assert_near(op.Vt(op.V(x)), x, bound)
    lengths = [images.double().flatten(1).norm(dim=1) for images in (op.Vt(x), x)]
    assert (lengths[0] - lengths[1]).abs().max() <= bound


@for_every_operator()
def test_vt_is_the_transpose_of_v_and_ut_that_of_u(case):
    """S09.1, S09.3: the full V is orthogonal, null space included."""
    op = case.op
    V, Vt = dense_of(op.V, op.in_shape), dense_of(op.Vt, op.in_shape)
    U, Ut = dense_of(op.U, op.in_shape), dense_of(op.Ut, op.out_shape)
    bound = rounding(torch.float64, op.n)
    assert np.linalg.norm(V.T @ V - np.eye(op.n), 2) <= bound
    assert np.linalg.norm(Vt - V.T, 2) <= bound
    assert np.linalg.norm(Ut - U.T, 2) <= bound


@for_every_operator(dtypes, seeds)
def test_ut_after_u_keeps_what_is_measured_and_drops_the_rest(case, dtype, seed):
    """S09.1: U^T U = diag(s > 0), since U is padded by zero columns."""
    op = case.op
    x = argument(op, "in", seed, dtype=dtype)
    assert_near(op.Ut(op.U(x)), (op.s > 0) * x, rounding(dtype, op.n, largest_norm(x)))


@for_every_operator(seeds)
def test_u_after_ut_projects_on_the_range_of_h(case, seed):
    """S09.1: U U^T = H H^+."""
    op, H = case
    y = argument(op, "out", seed)
    projection = H @ np.linalg.pinv(H, rcond=rank_cut(H))
    bound = spectrum(H)[0] * pinv_bound(H, torch.float64, y, rank_cut(H))
    assert_near(op.U(op.Ut(y)), times(projection, y), bound)


@for_every_operator(dtypes, seeds)
def test_u_and_ut_are_exactly_zero_where_s_is_zero(case, dtype, seed):
    """S13.3 corrected by E4: what is not measured is 0 in the spectral measurement."""
    op = case.op
    lost = (op.s == 0).expand(op.in_shape)
    assert not op.U(lost * argument(op, "in", seed, dtype=dtype)).any()
    y = argument(op, "out", seed, dtype=dtype)
    assert not op.Ut(y)[:, lost].any()
    assert not op.measure_spec(y)[:, lost].any()


@for_every_operator()
def test_singular_values_equal_numpy_svd(case):
    """S09.1, S23.2: zeros included, sorted; their own order is the operator's to choose."""
    op, H = case
    s = op.s.expand(op.in_shape).flatten().sort(descending=True).values.numpy()
    want = spectrum(H)
    assert np.abs(s - want).max() <= rounding(torch.float64, op.n, want[0])
    assert op.rank == np.linalg.matrix_rank(H)
    assert (s == 0).sum() == op.n - op.rank, "zeros must be exact"


@for_every_operator()
def test_spectrum_has_one_singular_value_for_each_entry_of_x(case):
    """Whatever ``s`` itself looks like: float64, on the CPU, of the shape of an image."""
    for op in (case[0], case[0].to(torch.float32)):
        s = op.spectrum()
        assert (s.dtype, s.device.type, tuple(s.shape)) == (torch.float64, "cpu", op.in_shape)
        assert torch.equal(s, op.s.double() * torch.ones(op.in_shape))


@for_every_operator()
def test_dense_map_has_the_columns_of_v(case):
    """S09.1: V diag(s^2) V^T = H^T H."""
    op, H = case
    V = dense_map(op.V, op.in_shape)
    squares = V * op.spectrum().flatten() ** 2 @ V.T
    assert_near(squares, H.T @ H, rounding(torch.float64, op.n, *spectrum(H)[[0, 0]]))


@for_every_operator(seeds)
def test_measure_spec_shows_the_measured_coordinates_and_scaled_noise(case, seed):
    """S09.5 corrected by E3: Sigma^+ U^T (H x + z) = Sigma^+ Sigma V^T x + Sigma^+ U^T z."""
    op, H = case
    x, z = argument(op, "in", seed), argument(op, "out", seed + 1)
    seen = op.s > 0
    inverse = torch.where(seen, 1 / op.s.where(seen, torch.ones(()).double()), 0)
    want = seen * op.Vt(x) + inverse * op.Ut(z)
    y = torch.from_numpy(times(H, x)).reshape(z.shape) + z
    assert_near(op.measure_spec(y), want, pinv_bound(H, torch.float64, y, rank_cut(H)))


@for_every_operator(st.floats(0.01, 3.0))
def test_measurement_noise_is_independent_over_coordinates(case, sigma_y):
    """S09.6: the FULL covariance of the noise in y_spec is diag(sigma_y^2 / s^2)."""
    op = case.op
    to_spec = dense_of(op.measure_spec, op.out_shape)
    s = op.s.expand(op.in_shape).flatten().numpy()
    std = np.divide(sigma_y, s, out=np.zeros_like(s), where=s > 0)
    got, want = sigma_y**2 * to_spec @ to_spec.T, np.diag(std**2)
    # Entry (i, j) is a product of two rows of norms std_i and std_j.
    scale = np.outer(std, std)
    assert (np.abs(got - want) <= rounding(torch.float64, op.n) * scale).all()


# -- batches, types, containers --------------------------------------------------------------------


@for_every_operator(dtypes, seeds)
def test_a_batch_is_a_stack_of_single_images(case, dtype, seed):
    op, H = case
    s = spectrum(H)
    largest = max(1.0, s[0], *(1 / s[s > rank_cut(H) * s[0]]))
    for name, side in (METHODS | DERIVED).items():
        x = argument(op, side, seed, batch=4, dtype=dtype)
        method = getattr(op, name)
        want = torch.cat([method(image[None]) for image in x])
        assert_near(method(x), want, rounding(dtype, op.n, largest, largest_norm(x)))


@for_every_operator()
def test_an_empty_batch_stays_empty(case):
    op = case.op
    for name, side in (METHODS | DERIVED).items():
        result = getattr(op, name)(argument(op, side, 0, batch=0))
        other = {"__call__": op.out_shape, "U": op.out_shape}.get(name, op.in_shape)
        assert result.shape == (0, *other)


@for_every_operator(dtypes, seeds)
def test_results_have_the_dtype_of_the_argument_and_leave_it_alone(case, dtype, seed):
    op = case.op
    for name, side in (METHODS | DERIVED).items():
        x = argument(op, side, seed, dtype=dtype)
        before = x.clone()
        result = getattr(op, name)(x)
        assert (name, result.dtype) == (name, dtype)
        assert torch.equal(x, before), f"{name} wrote into its argument"
        shared = x.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
        assert not shared, f"{name} returns its argument or a view of it"


@for_every_operator(dtypes, seeds)
def test_strided_arguments_give_the_same_numbers(case, dtype, seed):
    """Images in channels-last order or cut from larger arrays are common."""
    op, H = case
    s = spectrum(H)
    largest = max(1.0, s[0], *(1 / s[s > rank_cut(H) * s[0]]))
    for name, side in (METHODS | DERIVED).items():
        x = argument(op, side, seed, dtype=dtype)
        order = tuple(reversed(range(x.ndim)))
        strided = x.permute(order).contiguous().permute(order)  # first axis fastest
        method = getattr(op, name)
        assert_near(method(strided), method(x), rounding(dtype, op.n, largest, largest_norm(x)))


@for_every_operator(seeds)
def test_to_makes_a_converted_copy_and_leaves_the_original(case, seed):
    op, H = case
    before = {name: value for name, value in vars(op).items() if isinstance(value, Tensor)}
    copies = {name: value.clone() for name, value in before.items()}
    moved = op.to(torch.float32)
    assert type(moved) is type(op)
    assert moved is not op
    assert (moved.in_shape, moved.out_shape, moved.rank) == (op.in_shape, op.out_shape, op.rank)
    assert moved.s.dtype == torch.float32
    for name, value in before.items():
        assert getattr(op, name) is value
        assert torch.equal(value, copies[name])
    x = argument(op, "in", seed, dtype=torch.float32)
    assert_near(moved(x), op(x), rounding(torch.float32, op.n, spectrum(H)[0], largest_norm(x)))


@for_every_operator(seeds)
def test_as_scipy_acts_like_the_matrix(case, seed):
    op, H = case
    linear = op.as_scipy()
    assert (linear.shape, linear.dtype) == (H.shape, np.float64)
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((op.n, 4)), rng.standard_normal((op.m, 4))
    n, largest = max(op.m, op.n), spectrum(H)[0]
    bounds = [rounding(torch.float64, n, largest, np.linalg.norm(a)) for a in (x, y)]
    assert np.linalg.norm(linear.matmat(x) - H @ x) <= bounds[0]
    assert np.linalg.norm(linear.rmatmat(y) - H.T @ y) <= bounds[1]
    for column in (x[:, 0], x[:, :1]):
        got = linear.matvec(column)
        assert got.shape == (op.m, *column.shape[1:])
        assert np.linalg.norm(got - H @ column) <= bounds[0]
    for column in (y[:, 0], y[:, :1]):
        got = linear.rmatvec(column)
        assert got.shape == (op.n, *column.shape[1:])
        assert np.linalg.norm(got - H.T @ column) <= bounds[1]


def test_as_scipy_computes_in_float64_whatever_it_is_given():
    """Whole numbers and single precision, as scipy hands them on."""
    op = Dense(np.array([[0.1, 2.0, 0.0], [0.0, 1.0, -3.0]]))
    linear = op.as_scipy()
    for dtype in (np.int64, np.float32):
        for vector in (np.array([1, 2, 3], dtype=dtype), np.eye(3, dtype=dtype)):
            got = linear @ vector
            assert got.dtype == np.float64
            np.testing.assert_allclose(got, op.matrix().numpy() @ vector, rtol=1e-14, atol=1e-14)


def test_without_a_tolerance_every_positive_singular_value_counts():
    """rtol = 0 is admissible: for a matrix that is known to be exact."""
    assert Dense(np.diag([1.0, 1e-30]), rtol=0).rank == 2
    assert Dense(np.diag([1.0, 1e-30])).rank == 1


def _twice(**methods) -> type[SVDOperator]:
    """A class of operators that double, with some methods replaced (None: left out)."""
    own = dict.fromkeys(METHODS, lambda self, x: x.clone()) | methods
    return type("Twice", (SVDOperator,), {k: v for k, v in own.items() if v})


@pytest.mark.parametrize("name", METHODS)
def test_an_operator_without_one_of_the_four_methods_cannot_be_made(name):
    _twice()()
    with pytest.raises(TypeError, match=rf"abstract method '?{name}'?"):
        _twice(**{name: None})()


def test_subclasses_of_operators_tell_their_other_bases():
    """A class may be an operator and something else that also wants to know its subclasses."""
    seen = []

    class Registered:
        def __init_subclass__(cls, tag, **kwargs):
            super().__init_subclass__(**kwargs)
            seen.append(tag)

    class Both(Denoising, Registered, tag="both"):
        pass

    assert seen == ["both"]
    assert Both((2,)).rank == 2


def test_spectral_measurement_is_0_where_s_is_whatever_ut_says():
    """S09.2: s^+ is 0 on the null space, also for a U that is orthogonal and not cut there."""
    op = _twice()()
    op.in_shape = op.out_shape = (3,)
    op.s = torch.tensor([2.0, 0.0, 0.5])
    assert op.measure_spec(torch.ones(1, 3)).tolist() == [[0.5, 0.0, 2.0]]
    assert op.pinv(torch.ones(1, 3)).tolist() == [[0.5, 0.0, 2.0]]


@for_every_operator()
def test_repr_names_class_shapes_and_rank(case):
    op, H = case
    text = repr(op)
    for part in (type(op).__name__, op.in_shape, op.out_shape, f"rank {np.linalg.matrix_rank(H)}"):
        assert str(part) in text


@pytest.mark.gpu
@for_every_operator(seeds)
def test_operators_follow_the_device_of_their_argument(case, seed):
    op, H = case
    x = argument(op, "in", seed)
    bound = rounding(torch.float64, op.n, spectrum(H)[0], largest_norm(x))
    for same in (op, op.to("cuda")):
        y = same(x.cuda())
        assert y.device.type == "cuda"
        assert_near(y.cpu(), op(x), bound)
        assert same.pinv(y).device.type == "cuda"


# -- what the slides say about each ----------------------------------------------------------------


def test_denoising_is_the_identity():
    """S20.1."""
    op = Denoising((3, 5, 7))
    x = random_images(op.in_shape, 1)
    assert torch.equal(op(x), x)
    assert torch.equal(op.pinv(x), x)


def test_inpainting_lists_the_measured_pixels_in_row_major_order():
    """S20.2; a mask whose sorting permutation is not its own inverse (M40)."""
    mask = np.array([[[False, True, True, False, True], [True, False, False, False, True]]])
    op = Inpainting(mask)
    x = torch.arange(10.0).reshape(1, *mask.shape)
    assert torch.equal(op(x), torch.tensor([[1.0, 2.0, 4.0, 5.0, 9.0]]))
    assert torch.equal(op.matrix(), torch.from_numpy(inpainting_matrix(mask)))
    assert torch.equal(op.s, torch.from_numpy(mask).double()), "V = I, so s is the mask itself"


def test_super_resolution_has_singular_values_one_over_factor():
    """S23.2: s = 1 / r, not 1 / r^2."""
    s = SuperResolution((3, 6, 9), 3).s
    assert (s[s > 0] - 1 / 3).abs().max() <= EPS64
    assert (s > 0).sum() == 3 * 2 * 3


def test_colorization_of_the_mean_has_singular_values_one_over_root_three():
    """S20.3."""
    op = Colorization((3, 4, 5))
    assert (op.s[op.s > 0] - 3**-0.5).abs().max() <= EPS64
    want = colorization_matrix((3, 4, 5), [1 / 3] * 3)
    assert_near(op.matrix().T, want.T, rounding(torch.float64, op.n, 3**-0.5))


def test_patch_functional_with_equal_weights_is_super_resolution():
    """S22.3."""
    shape, k = (2, 6, 4), torch.full((1, 2, 2), 0.25)
    x = random_images(shape, 2)
    general, special = PatchFunctional(shape, k), SuperResolution(shape, 2)
    assert general.out_shape == special.out_shape
    assert torch.equal(general(x), special(x))
    assert torch.equal(general.Vt(x), special.Vt(x))


def test_dense_accepts_nested_lists_and_integers():
    op = Dense([[1, 2, -3], [0, 4, 1]])
    want = np.array([[1, 2, -3], [0, 4, 1]])
    assert_near(op.matrix().T, want.T, rounding(torch.float64, 3, np.linalg.norm(want, 2)))


FLIPPED = RNG.standard_normal((2, 6))[:, ::-1]  # as a kernel is flipped for a convolution
READ_ONLY = np.broadcast_to(RNG.standard_normal(6), (2, 6))


@pytest.mark.parametrize(
    "H",
    [FLIPPED, READ_ONLY, FLIPPED.astype(">f8"), FLIPPED.astype(np.longdouble)],
    ids=["flipped", "read-only", "big-endian", "long double"],
)
def test_any_numpy_array_is_accepted(H):
    """Not only arrays that share their memory with torch; a warning fails this test, too."""
    want = H.astype(np.float64)
    bound = rounding(torch.float64, 6, np.linalg.norm(want, 2))
    assert_near(Dense(H).matrix().T, want.T, bound)
    k = patch_functional_matrix((1, 2, 6), want[None])
    assert_near(PatchFunctional((1, 2, 6), H[None]).matrix().T, k.T, rounding(torch.float64, 12, 5))
    mask = want > 0
    assert torch.equal(Inpainting(mask).s, torch.tensor(mask.tolist()).double())


def test_factor_may_be_a_numpy_integer():
    assert SuperResolution((1, 4, 6), np.int64(2)).out_shape == (1, 2, 3)


def test_dense_keeps_the_shapes_it_is_given():
    """H acts on images flattened row by row."""
    H = np.random.default_rng(3).standard_normal((6, 24))
    op = Dense(H, in_shape=(2, 3, 4), out_shape=(3, 2))
    x = random_images((2, 3, 4), 4)
    y = op(x)
    assert y.shape == (3, 3, 2)
    for image, measured in zip(x, y, strict=True):
        want = torch.from_numpy(H @ image.numpy().ravel()).reshape(3, 2)
        bound = rounding(torch.float64, 24, np.linalg.norm(H, 2), image.norm())
        assert (measured - want).norm() <= bound


# -- a student's own operator ----------------------------------------------------------------------


class Halve(SVDOperator):
    """What a student writes: no checks, no conversions."""

    def __init__(self, n: int):
        self.in_shape = self.out_shape = (n,)
        self.s = torch.full((n,), 0.5)

    def V(self, x):
        """Mine."""
        return x.clone()

    def Vt(self, x):
        return x.clone()

    def U(self, x):
        return x.clone()

    def Ut(self, y):
        return y.clone()


class HalveBackwards(Halve):
    def V(self, x):
        return x.flip(1)

    def Vt(self, x):
        return x.flip(1)


@pytest.mark.parametrize("op", [Halve(4), HalveBackwards(4)], ids=repr)
@pytest.mark.parametrize("method", [*METHODS, *DERIVED])
def test_a_subclass_gets_its_methods_guarded(op, method):
    """Without the guard (4,) and (4, 4) would broadcast or pass silently."""
    for wrong in (torch.ones(4), torch.ones(2, 5), torch.ones(2, 4, 1), torch.ones(2, 4).int()):
        with pytest.raises(ValueError, match=r"must (have shape|hold floating-point)"):
            getattr(op, method)(wrong)
    assert getattr(op, method)(torch.ones(2, 4)).shape == (2, 4)


def test_a_guarded_method_keeps_its_name_and_docstring():
    assert (Halve.V.__name__, Halve.V.__doc__) == ("V", "Mine.")


def test_an_operator_without_its_four_methods_cannot_be_made():
    class Unfinished(SVDOperator):
        def V(self, x):
            return x

    with pytest.raises(TypeError, match="Ut"):
        Unfinished()


# -- memory ----------------------------------------------------------------------------------------

BIG = (3, 256, 256)


def big_operators() -> list[SVDOperator]:
    return [
        SuperResolution(BIG, 4),
        Colorization(BIG, (0.299, 0.587, 0.114)),
        Inpainting(np.random.default_rng(5).random(BIG) < 0.5),
        PatchFunctional(BIG, np.random.default_rng(6).standard_normal((3, 8, 4))),
        Denoising(BIG),
    ]


def test_peak_bytes_counts_what_is_alive_at_one_time():
    """The meter itself: two of these three arrays are alive at a time, then a third of them."""
    x = torch.ones(1000, 1000)

    def work():
        y = x * 2
        y = y * 2
        return torch.cat([y, y[:500]])

    got, want = peak_bytes(work), 2.5 * x.nbytes
    assert abs(got - want) <= 1000


@pytest.mark.parametrize("method", ["V", "Vt"])
@pytest.mark.parametrize("op", big_operators(), ids=lambda op: type(op).__name__)
def test_v_and_vt_need_at_most_twice_the_batch_in_memory(op, method):
    """S23.3: a reflection costs O(1) per pixel and stores one vector; no matrix of any size."""
    x = random_images(BIG, 7, batch=4, dtype=torch.float32)
    assert x.nbytes <= peak_bytes(lambda: getattr(op, method)(x)) <= 2 * x.nbytes


@pytest.mark.parametrize("op", big_operators(), ids=lambda op: type(op).__name__)
def test_structured_operators_store_at_most_two_numbers_per_pixel(op):
    """S23.3 with E11: O(n) memory, counted in bytes."""
    assert sum(map(stored_bytes, vars(op).values())) <= 2 * 8 * op.n + 8192


def test_dense_stores_two_square_matrices_at_most():
    H = np.random.default_rng(8).standard_normal((40, 90))
    stored = sum(value.nbytes for value in vars(Dense(H)).values() if isinstance(value, Tensor))
    assert stored <= 8 * (90 * 90 + 40 * 40 + 90)

r"""One law suite for every operator, against matrices written entry by entry (slides 9, 20-23).

Tolerances are derived, from two sources of rounding.  Applying a map built from orthogonal factors
in arithmetic with unit ``eps`` errs by about ``eps * sqrt(n)`` times the norms of what it
multiplies.  The float64 decomposition of a matrix is that of a matrix 50 eps away, because LAPACK's
iteration stops there (dbdsqr: u^(7/8) with u = 2^-53, which is 49 times 2^-52); the pseudo-inverse
magnifies this by the condition number.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from comparing import (
    assert_near,
    dense_of,
    largest_norm,
    pinv_bound,
    rank_cut,
    rounding,
    spectrum,
    times,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import patch_functional_matrix
from strategies import OPERATORS, argument, dtypes, operators, seeds
from torch import Tensor

from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    BlurDecimation,
    CircularBlur,
    CompressedSensing,
    Denoising,
    Dense,
    Diagonal,
    FourierMask,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SeparableBlur,
    Stacked,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    WeightedRows,
    check_operator,
)
from ddrm_edu.operators.base import dense_map

METHODS = {"V": "in", "Vt": "in", "U": "in", "Ut": "out"}


DERIVED = {"__call__": "in", "adjoint": "out", "pinv": "out", "measure_spec": "out"}


RNG = np.random.default_rng(9)


STRUCTURES = [
    Diagonal,
    BlockOperator,
    Kronecker,
    SeparableBlur,
    BicubicSuperResolution,
    CircularBlur,
    SymmetricBlur,
    BlurDecimation,
    FourierMask,
    CompressedSensing,
    Stacked,
    WeightedRows,
]


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


@for_every_operator(dtypes, seeds)
def test_pinv_equals_numpy_pinv(case, dtype, seed):
    """S09.2."""
    op, H = case
    y = argument(op, "out", seed, dtype=dtype)
    want = times(np.linalg.pinv(H, rcond=rank_cut(H)), y)
    assert_near(op.pinv(y), want, pinv_bound(H, dtype, y, rank_cut(H)))


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


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
def test_check_operator_finds_no_fault(kind):
    """All its laws, with the independent matrix, as a student would ask."""

    @given(OPERATORS[kind]())
    def holds(case):
        report = check_operator(case.op, case.H)
        assert report.ok, report
        assert case.op.s.dtype == torch.float64

    holds()


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


@for_every_operator(seeds)
def test_the_gradient_of_a_map_is_its_transpose(case, seed):
    """Guidance by a residual needs it, and who trains through H."""
    op, H = case
    pairs = {"__call__": "adjoint", "adjoint": "__call__", "V": "Vt", "Vt": "V"}
    for name, transpose in (pairs | {"U": "Ut", "Ut": "U"}).items():
        x = argument(op, (METHODS | DERIVED)[name], seed).requires_grad_()
        y = getattr(op, name)(x)
        other = argument(op, "in" if y.shape[1:] == op.in_shape else "out", seed + 1)
        (gradient,) = torch.autograd.grad(y, x, other)
        bound = rounding(torch.float64, max(op.m, op.n), max(1.0, spectrum(H)[0]))
        assert_near(gradient, getattr(op, transpose)(other), bound * largest_norm(other))


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
        got = linear @ column
        assert got.shape == (op.m, *column.shape[1:])
        assert np.linalg.norm(got - H @ column) <= bounds[0]
    for column in (y[:, 0], y[:, :1]):
        got = linear.H @ column
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


@for_every_operator()
def test_repr_names_class_shapes_and_rank(case):
    op, H = case
    text = repr(op)
    for part in (type(op).__name__, op.in_shape, op.out_shape, f"rank {np.linalg.matrix_rank(H)}"):
        assert str(part) in text


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


# -- copies on other devices and in other precisions -----------------------------------------------


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
    assert "rank unknown" in repr(moved)
    assert moved.s.dtype == torch.float64
    x = torch.zeros(2, *case.op.in_shape, device="meta")
    assert moved.V(x).shape == x.shape
    assert moved.U(x).shape == (2, *case.op.out_shape)


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


# -- a student's own operator ----------------------------------------------------------------------


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


def test_one_over_s_has_the_digits_of_s_and_is_rounded_to_those_of_y():
    """S09.2, in float32: the nearest number to 1 / s, not to that of an s that was rounded."""
    op = Denoising((199,))
    op.s = torch.arange(1, 200, dtype=torch.float64) / 7
    assert torch.equal(op.measure_spec(torch.ones(1, 199)), (1 / op.s).float()[None])


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


# -- refusals --------------------------------------------------------------------------------------


SHAPE = (3, 32, 32)


REFUSED = {
    "weights 0": (Diagonal, (np.zeros((2, 3)),), "weights are zero everywhere"),
    "weights not finite": (Diagonal, ([1.0, np.nan],), "weights must be finite.*1 of its 2"),
    "weights complex": (Diagonal, ([1j],), "weights must be real"),
    "weights one number": (Diagonal, (0.5,), r"image's shape, but was the number 0.5"),
    "weights empty": (Diagonal, ([],), r"shape of weights must be .* was \(0,\)"),
    "weights of a signal, channels": (Diagonal, (np.ones(3), 2), r"weights must be \(h, w\)"),
    "weights for 0 channels": (Diagonal, (np.ones((2, 2)), 0), "channels was 0"),
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
    "border": (
        partial(SeparableBlur, border="black"),
        (SHAPE, [1.0]),
        "one of zero, mirror, replicate, wrap, but was 'black'",
    ),
    "border cancels": (
        partial(SeparableBlur, border="replicate"),
        ((1, 4, 1), [1.0], [1.0, -1.0]),
        "cancel where they meet at the border.*4 x 1 pixels",
    ),
    "mirror, even sides": (SymmetricBlur, (SHAPE, np.ones((2, 3))), r"odd sides .*\(2, 3\)"),
    "mirror, not symmetric": (
        SymmetricBlur,
        (SHAPE, [[1.0, 2.0, 0.0]]),
        "left to right.*border='mirror'.*diffpir",
    ),
    "mirror, upside down": (SymmetricBlur, (SHAPE, [[1.0], [2.0], [0.0]]), "upside down"),
    "mirror, zero": (SymmetricBlur, (SHAPE, np.zeros((3, 3))), "zero everywhere"),
    "mirror cancels": (SymmetricBlur, ((1, 4, 1), [[1.0, -2.0, 1.0]]), "cancel .* 4 x 1 pixels"),
    "mirror of a list": (SymmetricBlur, (SHAPE, [1.0, 2.0, 1.0]), "kernel must be a matrix"),
    "kept 5th": (BlurDecimation, (SHAPE, [[1.0]], 5), "factor must .* width 32, but was 5"),
    "kept 0th": (BlurDecimation, (SHAPE, [[1.0]], 0), "positive integer .* was 0"),
    "kept, of a list": (BlurDecimation, (SHAPE, [1.0, 2.0], 2), "kernel must be a matrix"),
    "kept, zero": (BlurDecimation, (SHAPE, np.zeros((3, 3)), 2), "zero everywhere"),
    "kept, not finite": (BlurDecimation, (SHAPE, [[np.nan]], 2), "kernel must be finite"),
    "kept, grey": (BlurDecimation, ((8, 8), [[1.0]], 2), r"\(channels, height, width\)"),
    "mask of k-space, three axes": (FourierMask, (np.ones((2, 4, 4)),), r"mask .* \(2, 4, 4\)"),
    "mask of k-space, lines": (FourierMask, (np.ones(4),), r"shape \(4,\).*lines\.expand"),
    "mask of k-space, nothing": (FourierMask, (np.zeros((4, 4)) > 0,), "no frequency.*~mask"),
    "mask of k-space, complex": (FourierMask, ([[1j]],), "mask must be real"),
    "mask of k-space, infinite": (FourierMask, ([[np.inf]],), "mask must be finite"),
    "weights per image, all 0": (
        partial(Diagonal, per_image=True),
        (np.eye(2)[:, :1, None],),
        "of an image are zero everywhere",
    ),
    "weights per image, one": (
        partial(Diagonal, per_image=True),
        (np.ones(3),),
        r"\(batch, \*in_shape\), but had shape \(3,\)",
    ),
    "mask of k-space, batch": (FourierMask, (np.ones((4, 4, 4)),), "takes per_image=True"),
    "rows of a function": (WeightedRows, (abs, [1.0]), "op must be an operator"),
    "rows of a blur": (
        WeightedRows,
        (CircularBlur((1, 2, 3), [[1.0, 2.0]]), np.arange(1.0, 7.0).reshape(1, 2, 3)),
        "mixes several in each.*sigma_y=1.*largest sigma",
    ),
    "rows, another shape": (
        WeightedRows,
        (Denoising((2, 3)), np.ones(3)),
        r"shape of y, \(2, 3\).*had shape \(3,\)",
    ),
    "rows, negative": (WeightedRows, (Denoising((2,)), [1.0, -1.0]), "ranged from -1 to 1"),
    "rows, zero": (WeightedRows, (Denoising((2,)), [0.0, 0.0]), "nor all 0"),
    "rows, infinite": (WeightedRows, (Denoising((2,)), [1.0, np.inf]), "weights must be finite"),
    "rows of a list": (
        WeightedRows,
        ([Denoising((2,))] * 2, [1.0, 1.0]),
        "list of 2.*Stacked.*per_image=True",
    ),
    "batch in a sum": (
        Stacked,
        ([Diagonal(np.ones((2, 3)), per_image=True)],),
        "measures all images alike, .*2 images.*Make one for each image",
    ),
    "stack of nothing": (Stacked, ([],), "at least one, but were none"),
    "stack of functions": (Stacked, ([abs],), "Each part must be an operator .* builtin"),
    "stack of a function": (Stacked, (abs,), "Each part must be an operator"),
    "stack of two sizes": (
        Stacked,
        ([Denoising((2,)), Denoising((3,))],),
        r"one shape.*Denoising\(\(2,\).*DirectSum",
    ),
    "stack without a common V": (
        Stacked,
        ([SuperResolution(SHAPE, 2), CircularBlur(SHAPE, [[1.0, 2.0]])],),
        "all of SuperResolution, CircularBlur are diagonal.*needs H and H",
    ),
    "stack, weights": (Stacked, ([Denoising((2,))], [1, 2]), "each of 1 parts, but held 2"),
    "stack, weight 0": (Stacked, ([Denoising((2,))], [0.0]), r"positive.*\[0.0\].*1 / sigma_i"),
    "stack, weight infinite": (Stacked, ([Denoising((2,))], [np.inf]), "weights must be finite"),
    "stack, one number": (Stacked, ([Denoising((2,))], 2.0), "positive numbers, one for each"),
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
        (SymmetricBlur, (SHAPE, [[1.0]])),
        (BlurDecimation, (SHAPE, [[1.0]], 2)),
        (BlockOperator, (np.eye(3), SHAPE)),
    ):
        with pytest.raises(ValueError, match=rf"rtol must lie in \[0, 1\), but was {rtol:g}"):
            kind(*arguments, rtol=rtol)

"""Whatever acts linearly on images is called in one way, and examined once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from strategies import random_images

from ddrm_edu import Dense, SuperResolution, from_function
from ddrm_edu.operators import LinearMap, as_operator
from ddrm_edu.operators.linear_map import NoLinearMap, linear_map

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(17)
WIDE = RNG.standard_normal((6, 24))
SHAPE = (1, 4, 6)


class Counted:
    """A function of images that counts its calls, those with black images apart."""

    def __init__(self, f):
        self.f, self.calls, self.black = f, 0, 0

    def __call__(self, x):
        self.calls += 1
        self.black += bool((np.asarray(x) == 0).all())
        return self.f(x)


def float32_only(x):
    if x.dtype != torch.float32:
        raise TypeError("float32, please")
    return x[..., 1:]


FUNCTIONS = {
    "torch": lambda x: x[..., 1:] - x[..., :-1],
    "numpy": lambda x: np.ascontiguousarray(x.astype(float)[..., ::-1]),
    "float32": float32_only,
    "means": lambda x: torch.nn.functional.avg_pool2d(x, 2),
    "sum": lambda x: x.sum((1, 2, 3)),
}


# -- how often H is called -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 6), (1, 16, 16), (1, 32, 32)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_called_at_most_fifteen_times(name, shape):
    for convert in (from_function, as_operator):
        f = Counted(FUNCTIONS[name])
        convert(f, shape)
        assert f.calls <= 15


def test_linearity_is_tried_once():
    """Only f(0) = 0 shows black images."""
    f = Counted(FUNCTIONS["torch"])
    examined = linear_map(f, SHAPE)
    assert f.black == 0
    for _ in range(3):
        examined.require_linear()
        as_operator(examined)
    assert f.black == 1


def test_a_map_that_is_not_linear_is_refused_every_time():
    bent = linear_map(lambda x: x.abs(), SHAPE)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"H\(-x\) = -H\(x\)"):
            bent.require_linear()


def test_a_matrix_is_linear_without_being_asked():
    known = linear_map(WIDE)
    known.require_linear()
    assert known.error == 0


# -- every form ------------------------------------------------------------------------------------

TORCH = torch.from_numpy(WIDE)


def forward(x):
    return x.flatten(1) @ TORCH.T.to(x)


def backward(y):
    return (y @ TORCH.to(y)).reshape(-1, *SHAPE)


FORMS = {
    "numpy": (WIDE, {}),
    "float32": (WIDE.astype(np.float32).astype(np.longdouble), {}),
    "integers": (np.arange(12).reshape(3, 4), {}),
    "torch": (TORCH, {}),
    "nested lists": (WIDE.tolist(), {}),
    "sparse": (scipy.sparse.csr_array(WIDE), {}),
    "coordinates": (scipy.sparse.coo_array(WIDE), {}),
    "LinearOperator": (aslinearoperator(WIDE), {}),
    "pair": ((forward, backward), {"in_shape": SHAPE}),
    "operator": (Dense(WIDE, SHAPE), {}),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_acts_as_its_matrix_and_its_transpose(name):
    H, options = FORMS[name]
    f = linear_map(H, **options)
    matrix = f.matrix()
    assert matrix.dtype == torch.float64
    x, y = random_images(f.in_shape, 1), random_images(f.out_shape, 2)
    bound = 100 * EPS * 24**0.5 * matrix.norm()
    assert f(x).shape[1:] == f.out_shape
    assert (f(x).flatten(1) - x.flatten(1) @ matrix.T).abs().max() <= bound
    assert f.adjoint(y).shape[1:] == f.in_shape
    assert (f.adjoint(y).flatten(1) - y.flatten(1) @ matrix).abs().max() <= bound
    assert (f.adjoint.matrix() - matrix.T).abs().max() <= bound
    again = linear_map(f)
    assert again is f


def test_shapes_may_be_given_for_what_acts_on_vectors():
    for H in (WIDE, aslinearoperator(WIDE), (forward, backward)):
        f = linear_map(H, SHAPE, (1, 2, 3))
        assert f(torch.ones(2, *SHAPE)).shape == (2, 1, 2, 3)
        assert f.adjoint(torch.ones(2, 1, 2, 3)).shape == (2, *SHAPE)


def test_no_transpose_is_none_and_a_broken_one_is_told_when_it_is_used():
    assert linear_map(forward, SHAPE).adjoint is None
    assert linear_map(LinearOperator((6, 24), lambda v: WIDE @ v)).adjoint is None

    def lost(v):
        raise OSError("no such file")

    broken = linear_map(LinearOperator((6, 24), lambda v: WIDE @ v, rmatvec=lost, dtype=float))
    assert as_operator(broken).rank == 6
    with pytest.raises(ValueError, match=r"the adjoint must take .* no such file"):
        _ = broken.adjoint


def test_a_careless_map_is_compared_in_single_precision():
    single = torch.finfo(torch.float32).eps
    assert linear_map(forward, SHAPE).precision == EPS
    assert linear_map(lambda x: forward(x.float()), SHAPE).precision == single
    careless = LinearMap(lambda x: (forward(x) + 1e6) - 1e6, SHAPE)
    careless.require_linear()
    assert careless.precision == single


@pytest.mark.parametrize(
    ("H", "options", "words"),
    [
        ("H", {}, "but was of type str"),
        (np, {}, "but was of type module"),
        (None, {}, "but was of type NoneType"),
        (forward, {}, "forward is a function, so the shape"),
        (SuperResolution, {}, "SuperResolution is a function"),
        ((forward,), {}, "must hold two functions"),
        ((WIDE, WIDE.T), {}, "must hold two functions"),
        ((forward, backward), {}, "in_shape=(channels, height, width)"),
    ],
)
def test_what_is_no_linear_map_is_told_apart(H, options, words):
    with pytest.raises(NoLinearMap, match=r"\.$") as refused:
        linear_map(H, **options)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("H", "options", "words"),
    [
        (1j * WIDE, {}, "H must be real"),
        (scipy.sparse.csr_array(1j * WIDE), {}, "H must be real"),
        (np.zeros((2, 3, 4)), {}, "matrix of shape (m, n)"),
        (np.zeros((0, 3)), {}, "matrix of shape (m, n)"),
        ([[1, 2], [3]], {}, "array of real numbers"),
        (np.array([["a"]]), {}, "array of real numbers"),
        (WIDE, {"in_shape": (5, 5)}, "holds 25 numbers, but H has 24 columns"),
        (WIDE, {"out_shape": (7,)}, "holds 7 numbers, but H has 6 rows"),
        (forward, {"in_shape": SHAPE, "out_shape": (7,)}, "but H returns 6 for each image"),
        (forward, {"in_shape": (1, 0)}, "positive integers"),
    ],
)
def test_what_does_not_fit_is_a_sentence(H, options, words):
    with pytest.raises(ValueError, match=r"[.?]$|array of real") as refused:
        linear_map(H, **options)
    assert not isinstance(refused.value, NoLinearMap)
    assert words in str(refused.value)


# -- the transpose that torch derives --------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[..., 1:] - x[..., :-1],
        lambda x: x.flatten(1) @ torch.from_numpy(WIDE).to(x).T,
        lambda x: torch.fft.rfft2(x).real,
        float32_only,
    ],
    ids=["differences", "a matrix", "a transform", "single precision"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_derives_the_transpose(f, dtype):
    H = LinearMap(f, SHAPE).with_transpose()
    assert H.with_transpose() is H, "it has one now"
    y = random_images(H.out_shape, 3, dtype=dtype)
    want = y.double().flatten(1) @ H.matrix()
    eps = 1e-5 if dtype == torch.float32 or f is float32_only else 1e-13
    assert (H.adjoint(y).flatten(1) - want).abs().max() <= eps * want.abs().max()
    with torch.no_grad(), torch.inference_mode():
        assert H.adjoint(y).shape == (3, *SHAPE)


def test_a_transpose_that_came_with_it_is_kept():
    H = LinearMap(lambda x: 2 * x, SHAPE, backward=lambda y: 2 * y)
    assert H.with_transpose() is H

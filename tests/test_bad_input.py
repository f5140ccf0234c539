"""Every refusal is a ValueError that says what was expected and what was given, and harms nothing.

One table: the call, and the words that its message must hold.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from ddrm_edu import (
    ChangeOfBasis,
    Colorization,
    Denoising,
    Dense,
    DirectSum,
    EpsDenoiser,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    PatchFunctional,
    SelectedRows,
    Stacked,
    SuperResolution,
    Tiled,
    VDenoiser,
    WeightedRows,
    ddpm_samples,
    ddrm_coefficients,
    ddrm_samples,
    from_symmetric,
    load_denoiser,
    load_images,
    psnr,
    restore,
    ssim,
    to_symmetric,
)
from ddrm_edu.data import cifar10, fashion_mnist, image_names, to_float
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.noise import standard_normal
from ddrm_edu.samplers import markov_ddrm_coefficients
from ddrm_edu.schedule import decreasing_sigmas

NAN, INF = math.nan, math.inf
RNG = np.random.default_rng(21)


def numbers(*shape: int) -> Tensor:
    return torch.from_numpy(RNG.standard_normal(shape))


def broken(tensor: Tensor, value: float) -> Tensor:
    """The tensor with one bad entry, not the first."""
    tensor.flatten()[-1] = value
    return tensor


def case(name: str, words: tuple, function, *arguments, **options):
    """One row of the table."""
    return pytest.param(function, arguments, options, words, id=name)


def snapshot(value, path: str = "") -> dict[str, Tensor | np.ndarray]:
    """Copies of all tensors and arrays in a value, those of operators included, by their place."""
    if isinstance(value, (Tensor, np.ndarray)):
        return {path: value.clone() if isinstance(value, Tensor) else value.copy()}
    parts = {}
    if isinstance(value, (tuple, list)):
        parts = dict(enumerate(value))
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        parts = vars(value)
    copies = {}
    for name, part in parts.items():
        copies |= snapshot(part, f"{path}.{name}")
    return copies


def check_refusal(function, arguments, options, words):
    touched = [getattr(function, "__self__", None), *arguments, *options.values()]
    before = snapshot(touched)
    with pytest.raises(ValueError, match=r"[.?]$") as refused:
        function(*arguments, **options)
    message = str(refused.value)
    for word in words:
        assert str(word) in message, f"{word!r} is missing in: {message}"
    assert len(message.split()) >= 8, "a sentence, not a code word"
    after = snapshot(touched)  # perhaps more: a schedule computes its levels when first asked
    for path, old in before.items():
        torch.testing.assert_close(after[path], old, rtol=0, atol=0, equal_nan=True)


# -- making an operator ----------------------------------------------------------------------------

H = RNG.standard_normal((2, 6))
with_nan, with_inf = (np.where(np.eye(2, 6) > 0, bad, H) for bad in (NAN, INF))

OPERATORS = [
    case("H with NaN", ("H must be finite", "2 of its 12 entries"), Dense, with_nan),
    case("H with inf", ("H must be finite", "2 of its 12 entries"), Dense, torch.tensor(with_inf)),
    case("sparse H with NaN", ("H must be finite", "NaN"), Dense, scipy.sparse.csr_array(with_nan)),
    case("complex H", ("H must be real", "complex"), Dense, H * 1j),
    case("complex sparse H", ("must be real", "complex"), Dense, scipy.sparse.csr_array(H * 1j)),
    case("H of one dimension", ("matrix of shape (m, n)", "shape (6,)"), Dense, H[0]),
    case("H of three dimensions", ("(m, n)", "(1, 2, 6)", "flatten"), Dense, torch.tensor(H[None])),
    case("H a number", ("matrix of shape (m, n)", "shape ()"), Dense, 3.0),
    case("H without columns", ("m, n >= 1", "shape (2, 0)"), Dense, np.zeros((2, 0))),
    case(
        "in_shape that does not fit",
        ("in_shape = (1, 2, 2) holds 4 numbers", "H has 6 columns"),
        Dense,
        H,
        in_shape=(1, 2, 2),
    ),
    case(
        "out_shape that does not fit",
        ("out_shape = (1, 3) holds 3 numbers", "H has 2 rows", "transposed"),
        Dense,
        H,
        out_shape=(1, 3),
    ),
    case(
        "mask of numbers",
        ("boolean", "torch.float64", "Diagonal(mask)", "mask != 0"),
        Inpainting,
        np.eye(3),
    ),
    case("mask of 0 and 1", ("boolean", "torch.int64"), Inpainting, [[0, 1], [1, 1]]),
    case("mask without True", ("no pixel", "~mask"), Inpainting, np.zeros((2, 3), dtype=bool)),
    case(
        "channels= with a mask of three dimensions",
        ("(h, w)", "shape (1, 3, 3)", "channels was 2"),
        Inpainting,
        np.ones((1, 3, 3), dtype=bool),
        channels=2,
    ),
    case(
        "channels= with a mask of one dimension",
        ("(h, w)", "shape (3,)", "channels was 2"),
        Inpainting,
        np.ones(3, dtype=bool),
        channels=2,
    ),
    case(
        "no channels",
        ("positive integer", "channels was 0"),
        Inpainting,
        np.ones((3, 3), dtype=bool),
        channels=0,
    ),
    *(
        case(
            f"factor {factor!r}",
            ("positive integer", "height 6", "width 8", f"was {factor!r}"),
            SuperResolution,
            (3, 6, 8),
            factor,
        )
        for factor in (4, 3, 0, -2, 2.0, "2", None)
    ),
    *(
        case(f"{kind.__name__} of {shape}", ("(channels, height, width)", shape), kind, shape, what)
        for kind, what in (
            (SuperResolution, 2),
            (Colorization, (0.2, 0.3, 0.5)),
            (PatchFunctional, np.ones((1, 1, 1))),
        )
        for shape in ((8, 8), (1, 3, 8, 8))
    ),
    *(
        case(
            f"{kind.__name__} of {shape}",
            ("positive integers", f"was {shape!r}"),
            kind,
            shape,
            *more,
        )
        for kind, *more in ((SuperResolution, 2), (Denoising,), (Colorization, (0.2, 0.3, 0.5)))
        for shape in ((3, 0, 8), (3, -2, 8), (3, 4.5, 8), 5)
    ),
    *(
        case(f"in_shape {shape}", ("positive integers", f"was {shape!r}"), Dense, np.eye(4), shape)
        for shape in ((-2, -2), (4.0,), 4)
    ),
    *(
        case(
            f"rtol {rtol}",
            ("rtol must lie in [0, 1)", f"was {rtol:g}"),
            Dense,
            np.eye(4),
            rtol=rtol,
        )
        for rtol in (NAN, 1.0, 1.5, 2.0, -0.5)
    ),
    case(
        "weights of another length",
        ("one number per channel, 3", "shape (2,)"),
        Colorization,
        (3, 4, 4),
        (0.5, 0.5),
    ),
    case("default weights, grey image", ("1 in all", "(3,)"), Colorization, (1, 4, 4)),
    case("weights a matrix", ("3 in all", "(3, 1)"), Colorization, (3, 4, 4), np.ones((3, 1))),
    case("weights all zero", ("zero", "weight"), Colorization, (3, 4, 4), (0.0, 0.0, 0.0)),
    case(
        "weights with NaN",
        ("weights must be finite", "1 of its 3"),
        Colorization,
        (3, 4, 4),
        (0.5, NAN, 0.5),
    ),
    case(
        "weights with inf",
        ("weights must be finite", "1 of its 3"),
        Colorization,
        (3, 4, 4),
        (0.5, INF, 0.5),
    ),
    case(
        "complex weights",
        ("real", "complex"),
        Colorization,
        (3, 4, 4),
        np.array([1, 1j, 2]),
    ),
    case(
        "k of two dimensions",
        ("three dimensions", "shape (2, 2)", "(1, 4, 4)"),
        PatchFunctional,
        (1, 4, 4),
        np.ones((2, 2)),
    ),
    *(
        case(
            f"k of {len(shape)} dimensions that would divide",
            ("three dimensions", f"shape {shape}", "(1, 4, 4)"),
            PatchFunctional,
            (1, 4, 4),
            np.ones(shape),
        )
        for shape in ((1, 2), (1, 2, 2, 1))
    ),
    case(
        "k that does not tile",
        ("divide", "shape (1, 3, 2)", "(1, 4, 4)", "Crop or pad"),
        PatchFunctional,
        (1, 4, 4),
        np.ones((1, 3, 2)),
    ),
    case("k zero", ("zero everywhere",), PatchFunctional, (1, 4, 4), np.zeros((1, 2, 2))),
    case(
        "k with NaN",
        ("k must be finite", "1 of its 4"),
        PatchFunctional,
        (1, 4, 4),
        [[[1, 2], [3, NAN]]],
    ),
    case(
        "k empty",
        ("three dimensions", "(1, 0, 2)"),
        PatchFunctional,
        (1, 4, 4),
        np.ones((1, 0, 2)),
    ),
]


@pytest.mark.parametrize(("function", "arguments", "options", "words"), OPERATORS)
def test_an_operator_cannot_be_made_of(function, arguments, options, words):
    check_refusal(function, arguments, options, words)


# -- applying an operator --------------------------------------------------------------------------

EXAMPLES = [
    Dense(RNG.standard_normal((4, 18)), in_shape=(3, 2, 3), out_shape=(2, 2)),
    Denoising((3, 2, 5)),
    Inpainting(RNG.random((3, 2, 5)) < 0.6),
    SuperResolution((3, 2, 4), 2),
    Colorization((3, 2, 5), (0.2, -0.3, 0.7)),
    PatchFunctional((3, 2, 6), RNG.standard_normal((3, 1, 2))),
]
SIDES = {"V": "in", "Vt": "in", "U": "in", "Ut": "out"}
SIDES |= {"__call__": "in", "adjoint": "out", "pinv": "out", "measure_spec": "out"}


def arguments_refused(shape: tuple[int, ...]):
    """(name, argument, words) for an operator's side of the given shape."""
    wanted = f"(batch, {', '.join(map(str, shape))})"
    longer = (*shape[:-1], shape[-1] + 1)
    good = numbers(2, *shape)
    yield "no batch", good[0], (wanted, f"had {shape}", "x[None]")
    yield "two batches", good[None], (wanted, f"had {(1, 2, *shape)}")
    yield "one column more", numbers(2, *longer), (wanted, f"had {(2, *longer)}")
    yield "a number", torch.tensor(0.5), (wanted, "had ()")
    yield "integers", (100 * good).int(), ("floating-point", "torch.int32", "127.5")
    yield "8-bit", (9 * good).abs().to(torch.uint8), ("floating-point", "torch.uint8", "127.5")
    yield "booleans", good > 0, ("floating-point", "torch.bool")
    yield "complex", good * 1j, ("real numbers", "torch.complex128")
    yield "numpy", good.numpy(), ("torch tensor", wanted, "ndarray", "torch.as_tensor")
    yield "a list", good.tolist(), ("torch tensor", "list")
    if len(set(shape)) > 1:
        turned = good.movedim(1, -1)
        yield "channels last", turned, (wanted, f"had {tuple(turned.shape)}", "axes")


@pytest.mark.parametrize("op", EXAMPLES, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("method", SIDES)
def test_an_operator_refuses(op, method):
    shape = op.in_shape if SIDES[method] == "in" else op.out_shape
    for _, argument, words in arguments_refused(shape):
        check_refusal(getattr(op, method), (argument,), {}, (type(op).__name__, *words))


# -- sampling --------------------------------------------------------------------------------------

OP = Dense(np.diag([1.0, 0.4, 0.0])[:2], in_shape=(3,))
PRIOR = GaussianPrior(torch.zeros(3), torch.diag(torch.tensor([1.0, 2.0, 0.5])))
SIGMAS = torch.tensor([2.0, 0.5, 0.0])
Y = numbers(2, 2)
GENERATORS = [torch.Generator().manual_seed(k) for k in range(3)]
GOOD = {"sigma_y": 0.1}


def two_runs(name, words, *, denoiser=PRIOR, y=Y, sigmas=SIGMAS, **options):
    """The same refusal by ``restore`` and, before the first step, by ``ddrm_samples``."""
    options = GOOD | options
    yield case(f"restore: {name}", words, restore, denoiser, OP, y, **options)
    yield case(f"ddrm_samples: {name}", words, ddrm_samples, denoiser, OP, y, sigmas, **options)


@pytest.mark.parametrize(("value", "words"), [(-0.4, "from -0.4"), (NAN, "nan"), (INF, "inf")])
def test_impossible_singular_values_are_refused_before_the_first_step(value, words):
    op = Dense(np.diag([1.0, 0.4, 0.0])[:2])
    op.s[1] = value
    with pytest.raises(ValueError, match=f"finite and not negative.*{words}"):
        ddrm_samples(PRIOR, op, Y, SIGMAS, sigma_y=0.1)


SAMPLING = [
    row
    for name, words, options in [
        (
            "y of another shape",
            ("y must have shape (batch, 2)", "had (2, 3)"),
            {"y": numbers(2, 3)},
        ),
        ("y without a batch", ("y must have shape (batch, 2)", "had (2,)", "x[None]"), {"y": Y[0]}),
        ("integer y", ("y must hold floating-point", "torch.int64"), {"y": Y.long()}),
        ("no sigma_y", ("sigma_y must be one number", "None"), {"sigma_y": None}),
        ("sigma_y as text", ("sigma_y must be one number", "'0.1'", "float()"), {"sigma_y": "0.1"}),
        ("a map", ("sigma_y must be one number", "(3, 1)"), {"sigma_y": torch.ones(3, 1)}),
        ("y of numpy", ("y must be a torch tensor", "ndarray"), {"y": Y.numpy()}),
        ("y with NaN", ("y must be finite", "1 of its 4"), {"y": broken(Y.clone(), NAN)}),
        ("y with inf", ("y must be finite", "1 of its 4"), {"y": broken(Y.clone(), -INF)}),
        ("sigma_y negative", ("sigma_y", "at least 0", "was -0.1"), {"sigma_y": -0.1}),
        ("sigma_y NaN", ("sigma_y", "finite", "was nan"), {"sigma_y": NAN}),
        ("sigma_y infinite", ("sigma_y", "finite", "was inf"), {"sigma_y": INF}),
        ("sigma_y tensor", ("sigma_y", "was -2"), {"sigma_y": torch.tensor(-2.0)}),
        ("eta negative", ("eta must lie in [0, 1]", "was -0.01"), {"eta": -0.01}),
        ("eta above 1", ("eta must lie in [0, 1]", "was 1.2"), {"eta": 1.2}),
        ("eta NaN", ("eta must lie in [0, 1]", "was nan"), {"eta": NAN}),
        ("eta_b negative", ("eta_b must lie in [0, ", "was -0.3"), {"eta_b": -0.3}),
        ("eta_b too large", ("eta_b must lie in [0, ", "was 1e+06", "negative"), {"eta_b": 1e6}),
        ("eta_b NaN", ("eta_b must lie in [0, ", "was nan"), {"eta_b": NAN}),
        ("eta_b infinite", ("eta_b must lie in [0, ", "was inf"), {"eta_b": INF, "sigma_y": 0.0}),
        ("three generators", ("one per image, here 2", "3 were given"), {"generator": GENERATORS}),
        ("no generators", ("one per image, here 2", "0 were given"), {"generator": []}),
    ]
    for row in two_runs(name, words, **options)
] + [
    case(
        "eta_b beyond its range at the second level",
        ("[0, 2]", "sigma = 0.5", "was 2.5"),  # the smallest s sigma / sigma_y is 0.4 * 0.5 / 0.1
        ddrm_samples,
        PRIOR,
        OP,
        Y,
        SIGMAS,
        sigma_y=0.1,
        eta_b=2.5,
    ),
    *(
        case(
            f"steps {steps!r}",
            ("integer from 1 to T = 1000", f"was {steps!r}"),
            restore,
            PRIOR,
            OP,
            Y,
            sigma_y=0.1,
            steps=steps,
        )
        for steps in (0, -1, 1001, 2.5, True, "20")
    ),
    case(
        "a prior of another shape",
        ("x must have shape (batch, 2)", "had (2, 3)"),
        restore,
        GaussianPrior(torch.zeros(2), torch.eye(2)),
        OP,
        Y,
        sigma_y=0.1,
    ),
    case(
        "a denoiser that returns another shape",
        ("shape it was given, (2, 3)", "returned (2, 6)"),
        restore,
        lambda x, sigma: torch.cat([x, x], dim=1),
        OP,
        Y,
        sigma_y=0.1,
    ),
    case(
        "a step upwards",
        ("larger", "from 0.5 to 0.7"),
        ddrm_coefficients,
        OP.s,
        0.5,
        0.7,
        0.1,
        eta=0.5,
        eta_b=0.5,
    ),
    case(
        "a step nowhere",
        ("larger", "from 0.5 to 0.5"),
        ddrm_coefficients,
        OP.s,
        0.5,
        0.5,
        0.1,
        eta=0.5,
        eta_b=0.5,
    ),
    case(
        "a negative level",
        ("noise level", "to -0.1"),
        ddrm_coefficients,
        OP.s,
        0.5,
        -0.1,
        0.1,
        eta=0.5,
        eta_b=0.5,
    ),
    case(
        "a level NaN",
        ("noise level", "to nan"),
        ddrm_coefficients,
        OP.s,
        0.5,
        NAN,
        0.1,
        eta=0.5,
        eta_b=0.5,
    ),
    case(
        "something kept from infinite noise",
        ("eta must be 1", "was 0.5"),
        ddrm_coefficients,
        OP.s,
        INF,
        0.5,
        0.1,
        eta=0.5,
        eta_b=1.0,
    ),
    case(
        "a start at infinity",
        ("noise level", "from inf to inf"),
        ddrm_start_coefficients,
        OP.s,
        INF,
        0.1,
    ),
    case(
        "eta_ddim above 1",
        ("eta_ddim must lie in [0, 1]", "was 1.5"),
        ddim_coefficients,
        0.5,
        0.2,
        eta_ddim=1.5,
    ),
    case(
        "DDPM with eta_ddim below 0",
        ("eta_ddim must lie in [0, 1]", "was -1"),
        ddpm_samples,
        PRIOR,
        (2, 3),
        SIGMAS,
        eta_ddim=-1,
    ),
    case(
        "DDPM along increasing levels",
        ("end in exactly 0", "ended in 2"),
        ddpm_samples,
        PRIOR,
        (2, 3),
        SIGMAS.flip(0),
    ),
    case(
        "noise from too many generators",
        ("one per image, here 2", "3 were given"),
        standard_normal,
        numbers(2, 3),
        GENERATORS,
    ),
]


@pytest.mark.parametrize(("function", "arguments", "options", "words"), SAMPLING)
def test_sampling_refuses(function, arguments, options, words):
    """Raised by the call, before the network runs once."""
    check_refusal(function, arguments, options, words)


def test_bad_parameters_are_refused_before_the_network_runs():
    calls = []

    def denoiser(x, sigma):
        calls.append(sigma)
        return x

    for options in ({"eta": 2.0}, {"eta_b": 1e6}, {"sigma_y": NAN}, {"generator": GENERATORS}):
        with pytest.raises(ValueError, match="but "):
            restore(denoiser, OP, Y, **(GOOD | options))
    assert not calls


# -- levels and schedules --------------------------------------------------------------------------

BETA = [0.0, 0.1, 0.2, 0.3]

SCHEDULES = [
    *(
        case(f"{name}: {function.__name__}", words, function, *prefix, sigmas, **options)
        for name, words, sigmas in [
            ("no zero at the end", ("end in exactly 0", "ended in 0.1"), [3.0, 1.0, 0.1]),
            ("increasing", ("end in exactly 0", "ended in 3", "increasing"), [0.0, 1.0, 3.0]),
            ("not sorted", ("strictly decreasing", "[1, 3, 0]"), [1.0, 3.0, 0.0]),
            ("repeated", ("strictly decreasing", "[3, 1, 1, 0]"), [3.0, 1.0, 1.0, 0.0]),
            ("negative", ("strictly decreasing", "[3, -1, 0]"), [3.0, -1.0, 0.0]),
            ("with NaN", ("finite", "[3, nan, 0]"), [3.0, NAN, 0.0]),
            ("NaN at the end", ("exactly 0", "nan"), [3.0, 1.0, NAN]),
            ("with inf", ("finite", "[inf, 1, 0]"), [INF, 1.0, 0.0]),
            ("a lonely 0", ("at least two", "shape (1,)"), [0.0]),
            ("empty", ("at least two", "shape (0,)"), []),
            ("a matrix", ("list", "shape (1, 2)"), [[1.0, 0.0]]),
            ("a number", ("list", "shape ()"), 0.0),
        ]
        for function, prefix, options in [
            (decreasing_sigmas, (), {}),
            (ddrm_samples, (PRIOR, OP, Y), GOOD),
            (ddpm_samples, (PRIOR, (2, 3)), {}),
        ]
    ),
    *(
        case(
            f"beta {name}",
            ("beta[0] = 0", "0 < beta[t] < 1", given),
            NoiseSchedule,
            torch.tensor(beta),
        )
        for name, given, beta in [
            ("from t = 1", "[0.1, 0.2, 0.3]", BETA[1:]),
            ("a matrix", "shape (1, 4)", [BETA]),
            ("with 1", "[0, 0.1, 1]", [0.0, 0.1, 1.0]),
            ("with 0", "[0, 0.1, 0]", [0.0, 0.1, 0.0]),
            ("negative", "[0, -0.1]", [0.0, -0.1]),
            ("with NaN", "[0, nan]", [0.0, NAN]),
            ("NaN at first", "[nan, 0.1]", [NAN, 0.1]),
            ("without a step", "shape (1,)", [0.0]),
            ("empty", "shape (0,)", []),
            ("a number", "shape ()", 0.1),
        ]
    ),
    case(
        "a long beta is cut short",
        ("shape (10,)", "0.5, ..."),
        NoiseSchedule,
        torch.full((10,), 0.5),
    ),
    *(
        case(
            f"{method} of {steps!r} steps",
            ("from 1 to T = 3", f"was {steps!r}"),
            getattr(NoiseSchedule(BETA), method),
            steps,
        )
        for method in ("timesteps", "sigmas")
        for steps in (0, 4, -1, 2.5, True, None)
    ),
    case(
        "spacing unknown",
        ("'leading' or 'trailing'", "was 'linspace'"),
        NoiseSchedule(BETA).timesteps,
        2,
        "linspace",
    ),
    case("a linear schedule without steps", ("t = 1..T", "was 0"), NoiseSchedule.linear, 0),
    case("a linear schedule up to 1", ("< 1", "shape (4,)"), NoiseSchedule.linear, 3, 0.1, 1.0),
]


@pytest.mark.parametrize(("function", "arguments", "options", "words"), SCHEDULES)
def test_levels_and_schedules_refuse(function, arguments, options, words):
    check_refusal(function, arguments, options, words)


# -- denoisers and priors --------------------------------------------------------------------------


class Net:
    """A network that says how many channels it takes."""

    def __init__(self, in_channels=None, copies=1):
        self.in_channels, self.copies = in_channels, copies

    def __call__(self, x, level):
        return torch.cat([0.3 * x] * self.copies, dim=1)


def natural(x, sigma):
    return load_denoiser("natural")(x, sigma)


def fashion(x, sigma):
    return load_denoiser("fashion")(x, sigma)


ASYMMETRIC = torch.tensor([[2.0, 0.5, 0.0], [0.1, 2.0, 0.0], [0.0, 0.0, 1.0]])
INDEFINITE = torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
MEAN, COV = torch.zeros(3), torch.eye(3)

DENOISERS = [
    *(
        case(
            f"{kind.__name__}: another number of channels",
            ("3 channels", "(2, 1, 8, 8)", "1 channels", "load_denoiser"),
            kind(Net(3)),
            numbers(2, 1, 8, 8),
            1.0,
        )
        for kind in (EpsDenoiser, VDenoiser)
    ),
    *(
        case(
            f"{kind.__name__}: a network that predicts a variance",
            ("(2, 6, 8, 8)", "(2, 3, 8, 8)", "first half"),
            kind(Net(copies=2)),
            numbers(2, 3, 8, 8),
            1.0,
        )
        for kind in (EpsDenoiser, VDenoiser)
    ),
    *(
        case(
            f"{kind.__name__}: integer images",
            ("floating-point", "torch.int64"),
            kind(Net()),
            torch.full((2, 3, 8, 8), 9),
            1.0,
        )
        for kind in (EpsDenoiser, VDenoiser)
    ),
    *(
        case(
            f"{kind.__name__}: level {sigma}",
            ("positive and finite", f"was {sigma:.6g}"),
            kind(Net()),
            numbers(2, 3, 8, 8),
            sigma,
        )
        for kind in (EpsDenoiser, VDenoiser)
        for sigma in (0.0, -0.3, NAN)
    ),
    case(
        "EpsDenoiser: noisier than its training",
        ("up to the level sigma_T = 157", "at sigma = 200"),
        EpsDenoiser(Net()),
        numbers(2, 3, 8, 8),
        200.0,
    ),
    case(
        "natural: a grey image",
        ("3 channels", "(2, 1, 32, 32)"),
        natural,
        numbers(2, 1, 32, 32),
        1.0,
    ),
    case(
        "fashion: a colour image",
        ("1 channels", "(2, 3, 32, 32)"),
        fashion,
        numbers(2, 3, 32, 32),
        1.0,
    ),
    case(
        "natural: a single image",
        ("(batch, 3, h, w)", "(3, 32, 36)", "x[None]"),
        natural,
        numbers(3, 32, 36),
        1.0,
    ),
    case("tiles: no overlap", ("0 < overlap < size", "overlap 0"), Tiled, natural, 64, 0),
    case("tiles: no integer", ("integers", "64.0"), Tiled, natural, 64.0, 8),
    case(
        "tiles: too close",
        ("at least 8", "size was 64", "58"),
        Tiled,
        load_denoiser("natural"),
        64,
        58,
    ),
    case("scale: integers", ("floating-point", "uint8"), to_symmetric, torch.zeros(3).byte()),
    case("scale: no range", ("low < high", "1 to 1"), to_symmetric, numbers(3), low=1.0, high=1.0),
    case("scale: infinite", ("finite", "0 to inf"), from_symmetric, numbers(3), high=torch.inf),
    case(
        "scale: y of another shape",
        ("(batch, 3, 4, 4)", "(1, 3, 4, 5)"),
        to_symmetric,
        numbers(1, 3, 4, 5),
        Denoising((3, 4, 4)),
    ),
    case(
        "natural: no batch", ("(batch, 3, h, w)", "(3, 32, 32)"), natural, numbers(3, 32, 32), 1.0
    ),
    case(
        "fashion: integer images",
        ("floating-point", "torch.uint8"),
        fashion,
        torch.zeros(1, 1, 32, 32, dtype=torch.uint8),
        1.0,
    ),
    case(
        "fashion: numpy",
        ("torch tensor", "ndarray"),
        fashion,
        np.zeros((1, 1, 32, 32)),
        1.0,
    ),
    case("no such model", ("'faces'", "'fashion'", "'natural'"), load_denoiser, "faces"),
    case(
        "cov of another size", ("(3, 3)", "3 entries", "(2, 2)"), GaussianPrior, MEAN, torch.eye(2)
    ),
    case("cov a vector", ("(3, 3)", "(3,)"), GaussianPrior, MEAN, torch.ones(3)),
    case(
        "mean with NaN",
        ("mean must be finite", "1 of its 3"),
        GaussianPrior,
        broken(torch.zeros(3), NAN),
        COV,
    ),
    case(
        "cov with inf",
        ("cov must be finite", "1 of its 9"),
        GaussianPrior,
        MEAN,
        broken(torch.eye(3), INF),
    ),
    case("cov not symmetric", ("symmetric", "asymmetry is 0.4"), GaussianPrior, MEAN, ASYMMETRIC),
    case(
        "cov indefinite",
        ("negative eigenvalues", "smallest eigenvalue -1"),
        GaussianPrior,
        MEAN,
        INDEFINITE,
    ),
    case(
        "cov complex",
        ("real", "complex"),
        GaussianPrior,
        MEAN,
        COV * (1 + 1j),
    ),
    case(
        "prior: another shape",
        ("x must have shape (batch, 3)", "(2, 4)"),
        PRIOR,
        numbers(2, 4),
        1.0,
    ),
    case("prior: no batch", ("(batch, 3)", "(3,)", "x[None]"), PRIOR, numbers(3), 1.0),
    case(
        "prior: integer images",
        ("floating-point", "torch.int64"),
        PRIOR,
        torch.ones(2, 3).long(),
        1.0,
    ),
    case("prior: numpy", ("torch tensor", "ndarray"), PRIOR, np.ones((2, 3)), 1.0),
    case(
        "posterior: an operator of another shape",
        ("images of shape (4,)", "the prior's have shape (3,)"),
        PRIOR.posterior,
        Dense(np.ones((2, 4))),
        Y,
        sigma_y=0.1,
    ),
    case(
        "posterior: y of another shape",
        ("(batch, 2)", "(2, 5)"),
        PRIOR.posterior,
        OP,
        numbers(2, 5),
        sigma_y=0.1,
    ),
    case(
        "posterior: y with NaN",
        ("y must be finite",),
        PRIOR.posterior,
        OP,
        broken(Y.clone(), NAN),
        sigma_y=0.1,
    ),
    case(
        "posterior: integer y",
        ("floating-point", "torch.int64"),
        PRIOR.posterior,
        OP,
        Y.long(),
        sigma_y=0.1,
    ),
    case(
        "posterior: sigma_y negative",
        ("sigma_y", "at least 0", "-1"),
        PRIOR.posterior,
        OP,
        Y,
        sigma_y=-1.0,
    ),
    case(
        "sample: another number of generators",
        ("one per image, here 2", "3 were given"),
        PRIOR.sample,
        2,
        generator=GENERATORS,
    ),
]


@pytest.mark.parametrize(("function", "arguments", "options", "words"), DENOISERS)
def test_denoisers_and_priors_refuse(function, arguments, options, words):
    check_refusal(function, arguments, options, words)


# -- metrics and pictures --------------------------------------------------------------------------

IMAGE = numbers(2, 3, 16, 16)

PICTURES = [
    *(
        row
        for metric in (psnr, ssim)
        for row in [
            case(
                f"{metric.__name__}: two shapes",
                ("one shape", "(2, 3, 16, 16)", "(2, 3, 16, 17)"),
                metric,
                IMAGE,
                numbers(2, 3, 16, 17),
            ),
            case(
                f"{metric.__name__}: a batch and one image",
                ("one shape", "(2, 3, 16, 16)", "(3, 16, 16)"),
                metric,
                IMAGE,
                IMAGE[0],
            ),
            case(
                f"{metric.__name__}: no channels",
                ("(c, h, w)", "(16, 16) and (16, 16)"),
                metric,
                IMAGE[0, 0],
                IMAGE[0, 0],
            ),
            case(
                f"{metric.__name__}: 8-bit pixels",
                ("truth must hold floating-point numbers", "was torch.uint8", "127.5"),
                metric,
                IMAGE,
                IMAGE.abs().to(torch.uint8),
            ),
            case(
                f"{metric.__name__}: numpy",
                ("torch tensor", "ndarray"),
                metric,
                IMAGE.numpy(),
                IMAGE.numpy(),
            ),
        ]
    ),
    case(
        "ssim: an image below the window",
        ("11 x 11", "(10, 16)", "psnr"),
        ssim,
        IMAGE[..., :10, :],
        IMAGE[..., :10, :],
    ),
    case(
        "ssim: numbers",
        ("(batch, c, h, w)", "()"),
        ssim,
        torch.tensor(0.5),
        torch.tensor(0.5),
    ),
    case("no such pictures", ("'cats' of size 32", "'natural'", "'fashion'"), load_images, "cats"),
    case("no such size", ("'natural' of size 33", "32, 64 and 128"), load_images, "natural", 33),
    case(
        "no fashion of that size",
        ("'fashion' of size 64", "in size 32"),
        load_images,
        "fashion",
        64,
    ),
    case(
        "names of no such size",
        ("'natural' of size 16", "32, 64 and 128"),
        image_names,
        "natural",
        16,
    ),
    case("to_float of floats", ("uint8", "float64"), to_float, IMAGE.numpy()),
    case("to_float of wide integers", ("uint8", "int64"), to_float, np.arange(5)),
    case("CIFAR-10 split", ("'train' or 'test'", "'validation'"), cifar10, "validation"),
    case("Fashion-MNIST split", ("'train' or 'test'", "'t10k'"), fashion_mnist, "t10k"),
]


@pytest.mark.parametrize(("function", "arguments", "options", "words"), PICTURES)
def test_metrics_and_pictures_refuse(function, arguments, options, words):
    check_refusal(function, arguments, options, words)


class OddSpectrum(Denoising):
    """One singular value is none."""

    def __init__(self, value: float):
        super().__init__((1, 2, 2))
        self.s = torch.tensor([[[1.0, value], [0.5, 0.0]]], dtype=torch.float64)


PAIR = {"eta": 0.5, "eta_b": 1.0}
SAME = torch.ones(1, 2, 2)
SEEN_BY = {
    "slide 11": lambda op: ddrm_coefficients(op.s, 2.0, 1.0, 0.1, **PAIR),
    "start": lambda op: ddrm_start_coefficients(op.s, 2.0, 0.1),
    "DDRM-M": lambda op: markov_ddrm_coefficients(op.s, 2.0, 1.0, 0.1),
    "a run": lambda op: restore(lambda x, sigma: x, op, SAME[None], sigma_y=0.1),
    "SelectedRows": lambda op: SelectedRows(op, SAME.bool()),
    "DirectSum": lambda op: DirectSum((1, 2, 2), [(op, 0, 0)]),
    "ChangeOfBasis": lambda op: ChangeOfBasis(op, lambda x: x.mT, lambda x: x.mT),
    "Stacked": lambda op: Stacked([op, Denoising((1, 2, 2))]),
    "WeightedRows": lambda op: WeightedRows(op, SAME),
}


@pytest.mark.parametrize("value", [NAN, -1.0, INF])
@pytest.mark.parametrize("name", SEEN_BY)
def test_a_singular_value_that_is_none_is_refused_wherever_s_is_read(name, value):
    """None of them counts as a coordinate that was not measured."""
    with pytest.raises(ValueError, match="must be finite and not negative, but range from"):
        SEEN_BY[name](OddSpectrum(value))


def test_a_spectrum_of_nan_is_not_divided_away():
    assert OddSpectrum(NAN).pinv(SAME[None]).isnan().sum() == 1

"""A device that is not there: every operator and every step, type-checked for CUDA without one.

Under torch's ``FakeTensorMode`` tensors "on cuda" have a shape, a dtype and a device, but no
numbers; an operation on tensors of two devices is refused, as CUDA would refuse it.  What stays on
the CPU is computed as ever.  So these tests find what was left on the wrong device, a dtype that
changes there, and steps that wait for the host.  They say nothing about numbers and speed, for
which ``test_gpu.py`` is.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import OPERATORS, dtypes
from torch import Tensor
from torch._subclasses.fake_tensor import (
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ddrm_edu import (
    ChangeOfBasis,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    EmpiricalPrior,
    EpsDenoiser,
    GaussianMixture,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    SeparableBlur,
    SuperResolution,
    ddpm_samples,
    ddrm_coefficients,
    ddrm_samples,
    load_denoiser,
    restore,
)
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.langevin import langevin_samples, posterior_score

CUDA = torch.device("cuda", 0)
LOOKS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default}
TRANSFORMS = {
    torch.ops.aten._fft_c2c.default,
    torch.ops.aten._fft_c2r.default,
    torch.ops.aten._fft_r2c.default,
}


def _view(x: Tensor, index: Any) -> Tensor:
    """``x[index]``."""
    indices = index if isinstance(index, tuple) else (index,)
    if any(isinstance(each, Tensor) for each in indices):
        assert all(isinstance(each, Tensor) or each == slice(None) for each in indices)
        chosen = [each if isinstance(each, Tensor) else None for each in indices]
        return torch.ops.aten.index.Tensor(x, chosen)
    view = torch.empty_strided(x.shape, x.stride(), device="meta")[index]
    return x.as_strided(view.shape, view.stride(), x.storage_offset() + view.storage_offset())


def _copy(x: Tensor, source: Tensor) -> Tensor:
    """``x.copy_(source)`` without numbers; both have to be on the device already."""
    torch.ops.aten.copy.default(x, source)
    return x


class _NoDriver(TorchFunctionMode):
    """What asks for a driver even if tensors are only pretended: ``x[index]``, ``copy_``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], FakeTensor):
            if func is Tensor.__getitem__:
                return _view(*args)
            if func is Tensor.__setitem__:
                _copy(_view(*args[:2]), torch.as_tensor(args[2]))
                return None
            if func is Tensor.copy_:
                return _copy(*args)
        return func(*args, **(kwargs or {}))


def _zeros(each: Any) -> Any:
    """On the CPU instead of what is pretended."""
    if isinstance(each, FakeTensor):
        return torch.empty_strided(each.shape, each.stride(), dtype=each.dtype).zero_()
    return each


class PretendedDevice(TorchDispatchMode):
    """Tensors on cuda without numbers, real ones on the CPU; notes where one waits for the other.

    A number of the device that the host asks for, such as "is all of y finite?", is 1, and noted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __enter__(self) -> Self:
        self._modes = ExitStack()
        self._pretending = self._modes.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        self._modes.enter_context(_NoDriver())
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._modes.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        devices = {each.device.type for each in leaves if isinstance(each, Tensor)}
        devices |= {each.type for each in leaves if isinstance(each, torch.device)}
        if "cuda" not in devices and not any(isinstance(each, FakeTensor) for each in leaves):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func in LOOKS:
            self.waits.append(str(func))
            return 1
        copied = func is torch.ops.aten._to_copy.default and len(devices) > 1
        if copied and not kwargs.get("non_blocking"):
            self.waits.append(str(func))
        if copied and not isinstance(args[0], FakeTensor):  # torch 2.4 would ask for a driver
            args = (self._pretending.from_tensor(args[0]), *args[1:])
        if func in TRANSFORMS:  # of which torch 2.4 cannot pretend
            with unset_fake_temporarily():
                out = func(*tree_map(_zeros, args), **kwargs)
            return torch.empty_strided(out.shape, out.stride(), dtype=out.dtype, device=CUDA)
        return func(*args, **kwargs)


@pytest.fixture
def device():
    with PretendedDevice() as device:
        yield device


def half(x, sigma):
    return x * 0.5


def on_cuda(shape, dtype=torch.float32):
    return torch.randn(shape, dtype=dtype, device=CUDA)


def assert_there(result, shape, dtype):
    assert isinstance(result, FakeTensor)
    assert (result.device, result.shape, result.dtype) == (CUDA, shape, dtype)


# ------------------------------------------------------------------------- the device that is not


@pytest.mark.parametrize(
    "mixed",
    [
        lambda there, here: there * here,
        lambda there, here: torch.addcmul(there, here, there),
        lambda there, here: here @ there.T,
        lambda there, here: torch.where(here > 0, there, 0.0),
        lambda there, here: there.index_select(0, torch.tensor([0])),
        lambda there, here: there.unique(),  # of a size that numbers decide
        lambda there, here: there[here > 0],
    ],
)
def test_two_devices_in_one_operation_are_refused(mixed, device):
    """And so are results whose shape depends on numbers of the device."""
    there, here = on_cuda((2, 3)), torch.ones(2, 3)
    mixed(here, here)
    with pytest.raises(RuntimeError):
        mixed(there, here)


def test_waiting_is_noted(device):
    x = on_cuda((2, 3))
    x.to(torch.float64).clone()
    torch.ones(3).to(CUDA, non_blocking=True)
    assert device.waits == []
    bool(x.isfinite().all())
    x.cpu()
    torch.ones(3).to(x)
    assert len(device.waits) == 3


# ---------------------------------------------------------------------------------- operators


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
@settings(max_examples=4)
@given(data=st.data())
def test_every_operator_works_where_its_argument_is(kind, data):
    """S09: V, V^T, U, U^T, H, H^T and both pseudo-inverses; moved once, it never waits."""
    op, dtype = data.draw(OPERATORS[kind]()).op, data.draw(dtypes)
    there = dict.fromkeys(("Ut", "adjoint", "pinv", "measure_spec"), op.out_shape)
    there |= dict.fromkeys(("V", "Vt", "U", "__call__"), op.in_shape)
    with PretendedDevice() as device:
        moved = op.to(CUDA)
        for each in (op, moved):
            device.waits.clear()
            for method, shape in there.items():
                result = getattr(each, method)(on_cuda((3, *shape), dtype))
                to = op.out_shape if method in ("U", "__call__") else op.in_shape
                assert_there(result, (3, *to), dtype)
        if kind is not ChangeOfBasis:  # whose functions hold what they like
            assert device.waits == []


class Forgetful(Denoising):
    """Its weights follow nobody."""

    def V(self, x):
        return torch.ones(self.in_shape) * x


def test_an_operator_that_stays_behind_is_refused(device):
    op = Forgetful((3, 2, 2))
    assert op.V(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)
    with pytest.raises(RuntimeError, match="cuda"):
        op.to(CUDA).V(on_cuda((1, 3, 2, 2)))


# ------------------------------------------------------------------------------- steps and runs

SHAPE, LEVELS = (3, 8, 8), NoiseSchedule.linear().sigmas(5)
TASKS = {
    "denoising": Denoising(SHAPE),
    "inpainting": Inpainting(np.random.default_rng(0).random(SHAPE) < 0.5),
    "super-resolution": SuperResolution(SHAPE, 4),
    "colorization": Colorization(SHAPE),
    "circular blur": CircularBlur(SHAPE, np.random.default_rng(1).random((3, 3))),
    "separable blur": SeparableBlur(SHAPE, [0.3, 0.4, 0.3]),
    "compressed sensing": CompressedSensing(SHAPE, 70, generator=torch.Generator().manual_seed(0)),
    "dense": Dense(np.random.default_rng(2).random((5, 192)), SHAPE),
}
PLANE = torch.linspace(0.1, 0.9, 64, dtype=torch.float64).reshape(8, 8)
RATES = {
    "numbers": {"eta": 0.85, "eta_b": 1.0},
    "rules": {"eta": "tight", "eta_b": "theorem"},
    "one per coordinate": {"eta": PLANE, "eta_b": PLANE},
}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("op", TASKS.values(), ids=TASKS.keys())
def test_a_run_of_ddrm_looks_at_y_once_and_then_waits_at_its_end_only(op, rates, device):
    """S18.1: "is y finite?" is asked by the call itself; the network could keep the device busy."""
    y = on_cuda((2, *op.out_shape))
    run = ddrm_samples(half, op, y, LEVELS, sigma_y=0.1, **rates)
    asked = [wait for wait in device.waits if "_to_copy" not in wait]
    assert asked == ["aten._local_scalar_dense.default"]
    device.waits.clear()
    steps = [next(run) for _ in LEVELS[2:]]
    assert device.waits == []
    steps += run
    assert device.waits == ["aten._local_scalar_dense.default"]  # was every x0_hat finite?
    for step in steps:
        assert_there(step.x, (2, *SHAPE), torch.float32)
        assert_there(step.x0_hat, (2, *SHAPE), torch.float32)
        assert step.sigma.device.type == "cpu"


@pytest.mark.parametrize("where", [CUDA, "cpu"], ids=str)
def test_rates_may_live_on_either_device(where, device):
    """Numbers that come from the device are waited for; the images stay there."""
    op = TASKS["super-resolution"]
    y, eta = on_cuda((2, *op.out_shape)), PLANE.to(where)
    *_, last = ddrm_samples(half, op, y, LEVELS, sigma_y=0.1, eta=eta)
    assert_there(last.x, (2, *SHAPE), torch.float32)


@pytest.mark.parametrize("eta_ddim", [0.0, 0.6, 1.0])
def test_a_run_of_ddpm_waits_at_its_end_only(eta_ddim, device):
    """S07.1."""
    for step in ddpm_samples(half, (2, *SHAPE), LEVELS, eta_ddim=eta_ddim, device=CUDA):
        assert_there(step.x, (2, *SHAPE), torch.float32)
        assert not device.waits or not step.t  # was every x0_hat finite?
    assert device.waits == ["aten._local_scalar_dense.default"]


@pytest.mark.parametrize("op", TASKS.values(), ids=TASKS.keys())
def test_langevin_dynamics_stays_on_the_device(op, device):
    """S02.4 and S02.5 for a Gaussian prior."""
    prior = GaussianPrior(torch.zeros(SHAPE), torch.eye(192))
    score = posterior_score(prior, op, on_cuda((2, *op.out_shape)), sigma_y=0.3)
    for x in langevin_samples(score, on_cuda((2, *SHAPE)), step=1e-3, steps=3):
        assert_there(x, (2, *SHAPE), torch.float32)


PRIORS = {
    "Gaussian": lambda: GaussianPrior(torch.zeros(SHAPE), torch.eye(192)),
    "mixture": lambda: GaussianMixture(
        [0.3, 0.7], torch.ones(2, *SHAPE), torch.eye(192).expand(2, 192, 192)
    ),
    "images": lambda: EmpiricalPrior(torch.randn(5, *SHAPE)),
    "a network of noise": lambda: EpsDenoiser(lambda x, t: x * t[:, None, None, None]),
    "the shipped network": lambda: load_denoiser("natural", device=CUDA),
}


@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.filterwarnings("ignore:H.. y leaves the range")  # there are no numbers: it is told 1
def test_denoisers_work_where_the_images_are(make, dtype, device):
    """S06.4: restored by each of them, with a generator for each image, which live on the CPU."""
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    op = TASKS["super-resolution"]
    x = restore(
        make(), op, on_cuda((2, *op.out_shape), dtype), sigma_y=0.1, steps=3, generator=generators
    )
    assert_there(x, (2, *SHAPE), dtype)


def test_coefficients_follow_the_device_of_s(device):
    """Slide 11: float64 there."""
    s = on_cuda((7,))
    for c in (
        ddrm_coefficients(s, 2.0, 0.7, 0.1, eta=1.0, eta_b=0.7),
        ddrm_coefficients(s, 2.0, 0.7, 0.1, eta="tight", eta_b="theorem"),
        ddrm_start_coefficients(s, 2.0, 0.1),
    ):
        for number in c:
            assert_there(number, (7,), torch.float64)

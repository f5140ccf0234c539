"""On a CUDA device: the same numbers, no waiting for the host, and the speed (``make gpu``)."""

import json
import re
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from ddrm_edu import (
    Colorization,
    Denoising,
    Dense,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    SuperResolution,
    ddpm_samples,
    ddrm_coefficients,
    ddrm_samples,
    load_denoiser,
    load_images,
    restore,
)
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.restoration import METHODS

pytestmark = pytest.mark.gpu

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _tasks(channels: int, side: int) -> dict:
    mask = torch.rand(side, side, generator=torch.Generator().manual_seed(1)) < 0.5
    return {
        "denoising": Denoising((channels, side, side)),
        "inpainting": Inpainting(mask, channels=channels),
        "super-resolution": SuperResolution((channels, side, side), 4),
        "colorization": Colorization((channels, side, side), (0.299, 0.587, 0.114)),
    }


SMALL, FULL = _tasks(3, 8), _tasks(3, 32)
OPERATORS = {**SMALL, "dense": Dense(torch.randn(5, 8, generator=torch.Generator().manual_seed(2)))}
every_task = pytest.mark.parametrize("task", SMALL)
every_operator = pytest.mark.parametrize("op", OPERATORS.values(), ids=OPERATORS.keys())


@pytest.fixture(scope="module")
def network():
    return load_denoiser("natural", device="cuda")


@pytest.fixture
def full_precision():
    """float32 as such: TF32, the default of convolutions, keeps three digits only."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def _seeds(count: int) -> list[torch.Generator]:
    """CPU generators, which give the same noise on both devices."""
    return [torch.Generator().manual_seed(k) for k in range(count)]


def _prior(shape: tuple[int, ...]) -> GaussianPrior:
    generator = torch.Generator().manual_seed(3)
    n = torch.Size(shape).numel()
    A = torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5
    mean = torch.randn(shape, generator=generator, dtype=torch.float64)
    return GaussianPrior(mean, A @ A.T + 0.05 * torch.eye(n, dtype=torch.float64))


# ------------------------------------------------------------------------------ the same numbers


@every_task
@pytest.mark.parametrize("sigma_y", [0.0, 0.1])
def test_float64_restoration_is_that_of_the_cpu(task, sigma_y):
    """S18.1: for the same noise, to 1e-10, with an exact denoiser; generic eta and eta_b."""
    op, prior = SMALL[task], _prior((3, 8, 8))
    y = op(prior.sample(3, generator=_seeds(3))) + sigma_y
    numbers = {"sigma_y": sigma_y, "steps": 20, "eta": 0.6, "eta_b": 0.9}
    cpu = restore(prior, op, y, generator=_seeds(3), **numbers)
    gpu = restore(prior, op, y.cuda(), generator=_seeds(3), **numbers)
    assert gpu.device.type == "cuda"
    assert gpu.dtype == torch.float64
    torch.testing.assert_close(gpu.cpu(), cpu, atol=1e-10, rtol=0)


@every_task
@pytest.mark.parametrize("sigma_y", [0.0, 0.1])
@pytest.mark.usefixtures("full_precision")
def test_float32_restoration_with_the_network_is_that_of_the_cpu(task, sigma_y, network):
    """S18.1: 20 steps of the network, to 1e-4; on one CPU two batch sizes differ by 1e-6."""
    op = FULL[task]
    y = op(load_images("natural")[:3]) + sigma_y
    numbers = {"sigma_y": sigma_y, "steps": 20}
    cpu = restore(load_denoiser("natural"), op, y, generator=_seeds(3), **numbers)
    gpu = restore(network, op, y.cuda(), generator=_seeds(3), **numbers)
    assert gpu.device.type == "cuda"
    assert gpu.dtype == torch.float32
    torch.testing.assert_close(gpu.cpu(), cpu, atol=1e-4, rtol=0)


@every_task
@pytest.mark.parametrize("method", METHODS)
def test_float64_restoration_by_any_method_is_that_of_the_cpu(task, method):
    """For the same noise, to 1e-8, with an exact denoiser; gradients included."""
    op, prior = SMALL[task], _prior((3, 8, 8))
    y = op(prior.sample(3, generator=_seeds(3))) + 0.1
    run = partial(restore, prior, op, sigma_y=0.1, steps=6, method=method)
    cpu, gpu = (run(each, generator=_seeds(3)) for each in (y, y.cuda()))
    assert gpu.device.type == "cuda"
    torch.testing.assert_close(gpu.cpu(), cpu, atol=1e-8, rtol=1e-8)


def test_unconditional_samples_are_those_of_the_cpu():
    """S07.1: DDPM for the same noise, to 1e-10."""
    prior, levels = _prior((1, 4, 4)), NoiseSchedule.linear().sigmas(20)
    results = []
    for device in ("cpu", "cuda"):
        *_, last = ddpm_samples(
            prior, (3, 1, 4, 4), levels, generator=_seeds(3), dtype=torch.float64, device=device
        )
        assert last.x.device.type == device
        results.append(last.x.cpu())
    torch.testing.assert_close(*results, atol=1e-10, rtol=0)


@every_task
def test_noiseless_measurements_are_kept(task, network):
    """X06: H x = y to 1e-5 in float32, with TF32 convolutions or without: H is no convolution."""
    op = FULL[task]
    y = op(load_images("natural")[:8].cuda())
    generator = torch.Generator("cuda").manual_seed(0)
    x = restore(network, op, y, sigma_y=0.0, generator=generator)
    assert ((op(x) - y).norm() / y.norm()).item() <= 1e-5


# ---------------------------------------------------------------------------------- the device


@every_operator
def test_operators_follow_the_device_of_their_argument(op):
    """S09: V, V^T, U, U^T, H and its pseudo-inverse, moved beforehand or not."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, *op.in_shape, generator=generator, dtype=torch.float64)
    y = torch.randn(2, *op.out_shape, generator=generator, dtype=torch.float64)
    moved = op.to("cuda")
    assert moved.s.device.type == "cuda"
    assert op.s.device.type == "cpu"  # a copy was moved, not the original
    for name, argument in dict.fromkeys(("V", "Vt", "U", "__call__"), x).items():
        _same_on_both(getattr(op, name), getattr(moved, name), argument)
    for name, argument in dict.fromkeys(("Ut", "adjoint", "pinv", "measure_spec"), y).items():
        _same_on_both(getattr(op, name), getattr(moved, name), argument)


def _same_on_both(method, moved_method, argument):
    want = method(argument)
    for got in (method(argument.cuda()), moved_method(argument.cuda())):
        assert got.device.type == "cuda"
        torch.testing.assert_close(got.cpu(), want, atol=1e-12, rtol=1e-12)


def test_coefficients_follow_the_device_of_s():
    """Slide 11: float64 on the device, the numbers of the CPU."""
    s = torch.tensor([1.7, 0.31, 0.04, 0.0], dtype=torch.float64)
    for function in (
        lambda s: ddrm_coefficients(s, 2.0, 0.7, 0.1, eta=0.6, eta_b=0.7),
        lambda s: ddrm_coefficients(s, 2.0, 0.7, 0.1, eta=0.6, eta_b=1.3),
        lambda s: ddrm_start_coefficients(s, 2.0, 0.1),
    ):
        for got, want in zip(function(s.cuda()), function(s), strict=True):
            assert got.device.type == "cuda"
            assert got.dtype == torch.float64
            torch.testing.assert_close(got.cpu(), want, atol=1e-15, rtol=1e-15)


@every_task
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_steps_do_not_wait_for_the_host(task, network):
    """The GPU's queue never runs empty: no step reads a number back or copies from the host."""
    op = FULL[task]
    y = op(load_images("natural")[:4].cuda()) + 0.1
    generator = torch.Generator("cuda").manual_seed(0)
    levels = NoiseSchedule.linear().sigmas(6)
    run = ddrm_samples(network, op, y, levels, sigma_y=0.1, generator=generator)
    next(run)  # libraries are initialised and kernels loaded in the first step
    torch.cuda.set_sync_debug_mode("error")
    try:
        rest = list(run)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [step.t for step in rest] == [4, 3, 2, 1, 0]
    assert rest[-1].x.isfinite().all()


# ------------------------------------------------------------------------------------- the speed


@pytest.fixture(scope="module")
def measurements():
    """Collects a row for each task and writes them to benchmarks/results at the end."""
    rows = {}
    yield rows
    device = torch.cuda.get_device_name()
    report = {
        "device": device,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "network": "natural",
        "batch": 256,
        "steps": 20,
        "dtype": "float32",
        "tasks": rows,
    }
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"gpu-{slug}.json").write_text(json.dumps(report, indent=2) + "\n")


@every_task
def test_speed_and_memory_at_batch_256(task, network, measurements, capsys):
    """Slide 24 at scale: 256 images at once, 20 steps; the result still satisfies H x = y."""
    op, batch, steps = FULL[task], 256, 20
    x0 = load_images("natural").cuda().repeat(batch // 32, 1, 1, 1)
    y = op(x0)
    generator = torch.Generator("cuda").manual_seed(0)
    numbers = {"sigma_y": 0.0, "generator": generator}
    restore(network, op, y, steps=2, **numbers)  # warm-up

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    x = restore(network, op, y, steps=steps, **numbers)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    row = {
        "images_per_second": round(batch / seconds, 1),
        "seconds": round(seconds, 4),
        "peak_memory_MiB": round(torch.cuda.max_memory_allocated() / 2**20, 1),
    }
    measurements[task] = row
    with capsys.disabled():
        print(f"\n{task}: {row['images_per_second']} images/s, {row['peak_memory_MiB']} MiB")

    assert x.shape == (batch, 3, 32, 32)
    assert x.isfinite().all()
    assert ((op(x) - y).norm() / y.norm()).item() <= 1e-5

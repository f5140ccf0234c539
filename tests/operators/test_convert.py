"""From functions and scipy operators to the SVD: what is linear is built, what is not is refused.

What is recognised above the memory limit is checked by building the operator that the sentence
names.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pylops
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
import torch
from hypothesis import given, settings
from oracles import colorization_matrix, inpainting_matrix, super_resolution_matrix
from pylops.utils import dottest
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsqr
from strategies import operators, random_images, seeds

import ddrm_edu
from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    BlurDecimation,
    CircularBlur,
    Colorization,
    Denoising,
    Dense,
    Diagonal,
    DirectSum,
    FourierMask,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SeparableBlur,
    SuperResolution,
    SymmetricBlur,
    TruncatedSVD,
    check_operator,
    from_function,
    from_scipy,
    memory_needed,
)
from ddrm_edu.operators import LinearMap, as_operator, base
from ddrm_edu.operators.convert import TooLarge
from ddrm_edu.operators.linear_map import NoLinearMap

EPS = torch.finfo(torch.float64).eps
RNG = np.random.default_rng(31)
SHAPE = (2, 3, 4)
MATRIX = RNG.standard_normal((5, 24))


# -- linear functions ------------------------------------------------------------------------------

SCRATCH = torch.empty(24, *SHAPE, dtype=torch.float64)

# Each with the matrix that it must have, written without the function.
LINEAR = {
    "torch": (lambda x: x.flatten(1) @ torch.from_numpy(MATRIX.T), MATRIX),
    "numpy": (lambda x: x.astype(float).reshape(len(x), -1) @ MATRIX.T, MATRIX),
    "several axes": (lambda x: (x.reshape(-1, 24) @ MATRIX.T).reshape(-1, 5, 1), MATRIX),
    "one number": (lambda x: x.sum((1, 2, 3)), np.ones((1, 24))),
    "writes into its argument": (lambda x: x.mul_(2.0), 2 * np.eye(24)),
    "returns its argument": (lambda x: x, np.eye(24)),
    "returns what it writes into again": (lambda x: SCRATCH[: len(x)].copy_(x), np.eye(24)),
    "reversed, numpy": (lambda x: x[:, ::-1, ::-1, ::-1], np.eye(24)[::-1]),
    "wants a gradient": (lambda x: x * torch.ones(1, requires_grad=True), np.eye(24)),
    "masked": (lambda x: x[:, torch.ones(SHAPE) > 0], np.eye(24)),
    "zero": (lambda x: 0 * x, np.zeros((24, 24))),
    "large": (lambda x: 1e12 * x, 1e12 * np.eye(24)),
    "tiny": (lambda x: 1e-12 * x, 1e-12 * np.eye(24)),
    "means of blocks": (
        lambda x: torch.nn.functional.avg_pool2d(x[:, :, :2], 2),
        super_resolution_matrix((2, 2, 4), 2) @ np.kron(np.eye(2), np.eye(12)[:8]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_function_becomes_its_matrix(name, monkeypatch):
    f, H = LINEAR[name]
    monkeypatch.setattr(base, "AT_ONCE", 7 * 24)  # 24 unit images in four calls
    op = from_function(f, SHAPE)
    assert type(op) is Dense
    assert op.in_shape == SHAPE
    bound = 100 * EPS * np.linalg.norm(H, 2) * 24**0.5
    assert np.abs(op.matrix().numpy() - H).max() <= bound
    assert op.rank == np.linalg.matrix_rank(H)


@settings(max_examples=30)
@given(operators(), seeds)
def test_every_operator_is_found_again_from_its_call(case, seed):
    """The function of an operator is linear, and its matrix is that of the definition."""
    op, H = case
    again = from_function(op, op.in_shape)
    assert again.out_shape == op.out_shape
    x = random_images(op.in_shape, seed)
    bound = 200 * EPS * op.n**0.5 * max(1.0, np.linalg.norm(H, 2)) * x.flatten(1).norm(dim=1).max()
    assert np.abs(again(x).flatten(1).numpy() - x.flatten(1).numpy() @ H.T).max() <= bound


def test_the_shape_of_the_measurement_may_be_given():
    op = from_function(LINEAR["torch"][0], SHAPE, out_shape=(5, 1, 1))
    assert op.out_shape == (5, 1, 1)
    with pytest.raises(ValueError, match="out_shape"):
        from_function(LINEAR["torch"][0], SHAPE, out_shape=(6,))


def test_a_convolution_of_scipy_on_single_images_is_wrapped_as_the_message_says():
    """One function of the docstrings of scipy, channel by channel, against its own matrix."""
    kernel = RNG.standard_normal((3, 2))

    def blur(image):
        return np.stack([scipy.signal.convolve2d(plane, kernel, mode="same") for plane in image])

    with pytest.raises(ValueError, match=r"single image.*np\.stack") as refused:
        from_function(blur, (2, 5, 6))
    assert "lambda x: np.stack([f(image) for image in x])" in str(refused.value)
    op = from_function(lambda x: np.stack([blur(image) for image in x]), (2, 5, 6))
    x = random_images((2, 5, 6), 1)
    want = np.stack([blur(image) for image in x.numpy()])
    assert np.abs(op(x).numpy() - want).max() <= 1000 * EPS


def test_single_precision_does_not_pass_for_singular_values():
    """A map of rank 3 computed in float32: its rounding is not measured."""
    left, right = (torch.from_numpy(RNG.standard_normal((3, 20))).float() for _ in range(2))
    op = from_function(lambda x: x @ left.T @ right, (20,))
    assert op.rank == 3
    H = (left.T @ right).T.double()
    assert (op.matrix() - H).abs().max() <= 20 * torch.finfo(torch.float32).eps * H.norm()
    assert from_function(lambda x: x @ left.T @ right, (20,), rtol=0).rank > 3


def test_a_careless_function_is_linear_up_to_its_own_rounding():
    """Cancellation costs six digits here; what is left of the zeros is not measured."""
    left, right = (torch.from_numpy(RNG.standard_normal((3, 20))) for _ in range(2))
    op = from_function(lambda x: (x @ left.T @ right + 1e6 * x) - 1e6 * x, (20,))
    assert op.rank == 3
    assert (op.matrix() - (left.T @ right).T).abs().max() <= 1e6 * 20 * EPS


# -- functions that are not linear -----------------------------------------------------------------

DRAWS = np.random.default_rng(5)
NONLINEAR = {
    "affine": (lambda x: 2 * x + 0.25, ["f(0) = 0", "by 0.25", "constant", "from y"]),
    "absolute value": (lambda x: x.abs(), ["f(-x) = -f(x)", "absolute value"]),
    "numpy's absolute value": (abs, ["f(-x) = -f(x)"]),
    "ReLU": (torch.relu, ["f(-x) = -f(x)", "ReLU"]),
    "square": (lambda x: x**2, ["f(-x) = -f(x)", "square"]),
    "clip": (lambda x: x.clamp(-5, 5), ["f(1000 x) = 1000 f(x)", "Clipping"]),
    "clip of grey levels": (lambda x: np.clip(x, -255, 255), ["f(1000 x) = 1000 f(x)"]),
    "cube": (lambda x: x**3, ["f(1000 x) = 1000 f(x)", "power"]),
    "rounding": (lambda x: (127.5 * x).round() / 127.5, ["= 1000 f(x)", "f(1000 x)"]),
    "threshold": (lambda x: x * (x.abs() > 1e-3), ["f(x / 1000)", "threshold"]),
    "median": (lambda x: x.median(-2).values, ["f(x + z) = f(x) + f(z)", "median"]),
    "normalised": (lambda x: x / x.flatten(1).norm(dim=1)[:, None, None, None] * 3,
                   ["f(0) = 0 fails by nan", "size of the image itself"]),
    "signs": (lambda x: x.sign(), ["f(1000 x) = 1000 f(x)"]),
    "dropout": (lambda x: torch.nn.functional.dropout(x, 0.5), ["f(x) = f(x)", "dropout"]),
    "noise": (lambda x: x + DRAWS.standard_normal(x.shape), ["f(x) = f(x)", "sigma_y"]),
    "batch means": (lambda x: x - x.mean(0), ["mixes the images of a batch", "np.stack"]),
    "all axes": (lambda x: scipy.ndimage.gaussian_filter(x, 1.0), ["mixes the images of a batch"]),
    "not finite": (lambda x: x / 0, ["must be finite", "NaN or infinite"]),
    "complex": (torch.fft.fft2, ["real", "complex128", ".real"]),
    "one answer per batch": (lambda x: x.sum(), ["takes a single image"]),
    "other first axis": (lambda x: x.permute(1, 0, 2, 3), ["but returned the shape (2, 3, 3, 4)"]),
    "wrong in_shape": (lambda x: x.reshape(-1, 5, 5), ["but raised", "in_shape = (2, 3, 4)"]),
    "raises": (lambda x: 1 / 0, ["but raised ZeroDivisionError: division by zero."]),
    "depends on the batch": (lambda x: x[:3].sum((2, 3)) if len(x) > 3 else x.sum((2, 3)),
                             ["must return one measurement of shape (2,) for each of 24"]),
    "half precision": (lambda x: x.half(), ["float16", "single or double"]),
    "single precision inside": (lambda x: (x.float() / 3).double(), ["rounding, as a rule"]),
    "other on sparse images": (lambda x: x * ((x != 0).sum((1, 2, 3)) != 1)[:, None, None, None],
                               ["answers to unit images do not add up"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NONLINEAR)
def test_a_function_that_is_not_linear_is_refused_in_a_sentence(name):
    f, words = NONLINEAR[name]
    with pytest.raises(ValueError, match=r"[.?]$") as refused:
        from_function(f, SHAPE)
    for word in words:
        assert word in str(refused.value), str(refused.value)


def test_unit_images_come_in_batches_of_eight_mebibytes(monkeypatch):
    """All 1,024 of an image of 32 x 32 at once; of larger ones fewer, but at least one."""
    for numbers, batches in ((2**20, [1024]), (2**19, [512, 512]), (1, [1] * 1024)):
        counts = []
        monkeypatch.setattr(base, "AT_ONCE", numbers)
        base.dense_map(lambda x, counts=counts: counts.append(len(x)) or x[..., :1], (1, 32, 32))
        assert counts == batches


def test_the_message_for_an_affine_function_is_right():
    f = lambda x: 2 * x + 0.25  # noqa: E731
    assert torch.equal(from_function(lambda x: f(x) - f(0 * x), (3,)).s, torch.full((3,), 2.0))


# -- memory ----------------------------------------------------------------------------------------


def test_above_the_memory_limit_nothing_is_built():
    calls = []

    def f(x):
        calls.append(len(x))
        return x.cumsum(-1)

    with pytest.raises(ValueError, match=r"about 10\.1 GiB .* roughly \S+ minutes .* = 2 GiB"):
        from_function(f, (1, 96, 128))
    assert len(calls) <= 15, "ten to try whether it is linear, five to look for a structure"
    assert sum(calls) <= 35, "the matrix would need 12,288 unit images"
    assert from_function(f, (1, 4, 4)).rank == 16
    with pytest.raises(ValueError, match=r"memory_limit = 9\.54e-07 GiB"):
        from_function(f, (1, 4, 4), memory_limit=1024)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")
def test_memory_needed_is_what_a_process_takes():
    """The growth of a process's peak memory, LAPACK's workspace included.

    The second of two equal calls: the first reads code from files, which is not the work's memory
    but up to 20 MiB (and again after a fork).  Every large array is a mapping of its own that goes
    back when it is freed; by default malloc and MKL keep some of them, more or fewer in every run.
    The 16 MiB of the formula stay for both.
    """
    shapes = [(1200, 1200), (300, 2000), (2000, 300)]
    code = f"""
        import re, torch
        from ddrm_edu import from_function
        torch.set_num_threads(1)
        def peak():
            return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
        for m, n in {shapes}:
            H = torch.randn(m, n, dtype=torch.float64)
            for _ in range(2):
                open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from here
                before = peak()
                from_function(lambda x: x @ H.T, (n,))
            print(peak() - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    keep_nothing = {"MALLOC_MMAP_THRESHOLD_": "131072", "MKL_DISABLE_FAST_MM": "1"}
    output = subprocess.run(
        command, capture_output=True, check=True, text=True, env=os.environ | keep_nothing
    ).stdout
    for (m, n), grown in zip(shapes, map(int, output.split()), strict=True):
        arrays = memory_needed((n,), (m,)) - 2**24
        # LAPACK's workspace depends on the processor: from 0.76 (EPYC) to 0.98 of it was seen.
        assert 2 / 3 * arrays <= grown <= arrays


# -- what is recognised ----------------------------------------------------------------------------

IMAGE = (3, 8, 12)
KERNEL = RNG.standard_normal((3, 5))
MASK = RNG.random(IMAGE) < 0.5
COLUMN, ROW = RNG.standard_normal((3, 1)), RNG.standard_normal((1, 5))
A, B = RNG.standard_normal((6, 8)), RNG.standard_normal((5, 12))
K = RNG.standard_normal((4, 3 * 2 * 3))
WEIGHTS = RNG.standard_normal((8, 12))
DISC = np.array([[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 0.0]])


def zero_boundary(kernel: np.ndarray):
    def f(x):
        planes = x.reshape(-1, *x.shape[-2:])
        return np.stack([scipy.signal.convolve2d(p, kernel, mode="same") for p in planes]).reshape(
            x.shape
        )

    return f


def periodic(x):
    return scipy.ndimage.convolve(np.asarray(x), KERNEL[None, None], mode="wrap")


def window(x):
    """A picture of which one region was reduced, its means spread over the blocks."""
    y = torch.as_tensor(x).clone()
    means = torch.nn.functional.avg_pool2d(y[..., 2:6, 4:8], 2)
    y[..., 2:6, 4:8] = means.repeat_interleave(2, -1).repeat_interleave(2, -2)
    return y


def k_space(x, norm=None):
    """Some frequencies of a complex image, real and imaginary parts side by side."""
    whole = torch.fft.fft2(torch.complex(x[:, 0].double(), x[:, 1].double()), norm=norm)
    return torch.view_as_real(whole[:, torch.from_numpy(MASK[0])])


RECOGNISED = {
    "the identity": (lambda x: 1.0 * x, IMAGE, "Denoising((3, 8, 12))"),
    "a mask": (
        lambda x: x[:, torch.from_numpy(MASK)],
        IMAGE,
        f"Inpainting(mask) keeps {MASK.sum()} of 288.",
    ),
    "a mask, backwards": (
        lambda x: x[:, torch.from_numpy(MASK)].flip(1),
        IMAGE,
        "in row-major order.",
    ),
    "a mask of a signal": (lambda x: x[:, ::3], (20,), "Inpainting(mask) keeps 7 of 20"),
    "means": (
        lambda x: torch.nn.functional.avg_pool2d(x, 4),
        IMAGE,
        "SuperResolution((3, 8, 12), 4).",
    ),
    "means of one channel": (
        lambda x: x.reshape(-1, 1, 4, 2, 6, 2).mean((3, 5)),
        (1, 8, 12),
        "SuperResolution((1, 8, 12), 2).",
    ),
    "differences": (
        lambda x: x[..., ::2] - x[..., 1::2],
        IMAGE,
        "PatchFunctional((3, 8, 12), k) with k of shape (1, 1, 2).",
    ),
    "grey": (
        lambda x: 0.3 * x[:, :1] + 0.6 * x[:, 1:2] + 0.1 * x[:, 2:],
        IMAGE,
        "PatchFunctional((3, 8, 12), k) with k of shape (3, 1, 1).",
    ),
    "a small matrix": (
        BlockOperator(K, IMAGE, (3, 2, 3)),
        IMAGE,
        "BlockOperator(K, (3, 8, 12), patch=(3, 2, 3)) with K of shape (4, 18).",
    ),
    "a periodic blur": (
        periodic,
        IMAGE,
        "CircularBlur((3, 8, 12), torch.roll(f(unit)[0, 0], (3, 5), (0, 1)))",
    ),
    "a product blur": (zero_boundary(COLUMN @ ROW), IMAGE, "SeparableBlur"),
    "rows and columns": (lambda x: A @ np.asarray(x) @ B.T, IMAGE, "Kronecker(A, B, channels=3)"),
    "bicubic": (BicubicSuperResolution(IMAGE, 4), IMAGE, "BicubicSuperResolution"),
    "a blur that is no product": (zero_boundary(KERNEL), IMAGE, "no fast exact SVD"),
    "a sum along rows": (lambda x: x.cumsum(-1), IMAGE, "Kronecker"),
    "differences of neighbours": (lambda x: x[..., 1:] - x[..., :-1], IMAGE, "Kronecker"),
    "a column of answers": (
        lambda x: (torch.from_numpy(A) @ x * torch.arange(12)).sum(-1, keepdim=True),
        IMAGE,
        "Kronecker",
    ),
    "one number, spread": (
        lambda x: (
            (x.double() * torch.from_numpy(WEIGHTS)).sum((2, 3), keepdim=True)
            * torch.from_numpy(COLUMN @ ROW)
        ),
        IMAGE,
        "No structure",
    ),
    "channels summed, then rows": (
        lambda x: x.sum(1, keepdim=True).flatten(2).cumsum(2).reshape(-1, 1, 8, 12),
        IMAGE,
        "No structure",
    ),
    "a weight for each pixel": (
        lambda x: x * torch.from_numpy(WEIGHTS),
        IMAGE,
        "Diagonal(f(torch.ones((1, 3, 8, 12), dtype=torch.float64))[0]).",
    ),
    "a mirrored blur": (
        lambda x: scipy.ndimage.convolve(np.asarray(x), DISC[None, None], mode="reflect"),
        IMAGE,
        "SymmetricBlur((3, 8, 12), kernel).",
    ),
    "a replicated blur": (
        lambda x: scipy.ndimage.convolve(np.asarray(x), (COLUMN @ ROW)[None, None], mode="nearest"),
        IMAGE,
        "mid-grey on [-1, 1], 'mirror' or 'replicate'",
    ),
    "a periodic blur, every fourth pixel": (
        lambda x: periodic(x)[..., ::4, ::4],
        IMAGE,
        "every 4th pixel is kept: BlurDecimation((3, 8, 12), kernel, 4).",
    ),
    "every second pixel of other channels": (
        lambda x: (x.roll(1, 1) + x.roll(1, 2))[..., ::2, ::2] + x[..., 1::2, 1::2],
        IMAGE,
        "No structure",
    ),
    "two masks of one picture": (
        lambda x: torch.stack([x * torch.from_numpy(MASK), x * torch.from_numpy(WEIGHTS)], 1),
        IMAGE,
        "2 measurements of one picture, one after the other, which is Stacked(parts)",
    ),
    "a picture and its blur": (
        lambda x: np.concatenate([np.asarray(x), periodic(x)], 1),
        IMAGE,
        "Stacked(parts), with parts: (1) Denoising((3, 8, 12)). (2) It shifts along",
    ),
    "k-space of two scans": (
        lambda x: torch.cat([FourierMask(MASK[0])(x), FourierMask(~MASK[0])(x)], 1),
        (2, 8, 12),
        "Stacked(parts), with parts: (1) It weighs the frequencies",
    ),
    "two masks of a signal": (lambda x: torch.cat([x, 2 * x], 1), (20,), "Stacked(parts)"),
    "a blur and a mask": (
        lambda x: np.concatenate([periodic(x), np.asarray(x) * WEIGHTS], 1),
        IMAGE,
        "No structure",
    ),
    "k-space": (
        FourierMask(MASK[0]),
        (2, 8, 12),
        "FourierMask(mask), where mask holds",
    ),
    "k-space in the middle": (
        FourierMask(WEIGHTS[:7, :9], centred=True),
        (2, 7, 9),
        "FourierMask(mask, centred=True), where mask holds",
    ),
    "k-space, only what was measured": (
        k_space,
        (2, 8, 12),
        "ChangeOfBasis(Inpainting(mask), F, F.adjoint) with F = FourierMask(torch.ones((8, 12)))",
    ),
    "two kernels, side by side": (
        DirectSum(
            IMAGE,
            [(CircularBlur((3, 8, 5), KERNEL), 0, 0), (CircularBlur((3, 8, 7), KERNEL), 0, 5)],
        ),
        IMAGE,
        "DirectSum((3, 8, 12), [(op1, 0, 0), (op2, 0, 5)])",
    ),
    "a blur above a blur, y an image": (
        lambda x: torch.cat(
            [
                CircularBlur((3, 4, 12), KERNEL)(x[:, :, :4]),
                SymmetricBlur((3, 4, 12), DISC)(x[:, :, 4:]),
            ],
            2,
        ),
        IMAGE,
        "(op2, 4, 0)]), whose y lists them one after the other; with (1) rows 0 to 3, columns 0 to "
        "11: It shifts along",
    ),
    "a window in a picture": (
        window,
        IMAGE,
        "DirectSum((3, 8, 12), [(op1, 0, 0), (op2, 0, 4), (op3, 2, 4), (op4, 6, 4), (op5, 0, 8)])",
    ),
    "quadrants": (
        DirectSum(
            IMAGE,
            [
                (Denoising((3, 4, 6)), 0, 0),
                (SuperResolution((3, 4, 6), 2), 0, 6),
                (Inpainting(MASK[:, 4:, :6]), 4, 0),
                (Colorization((3, 4, 6)), 4, 6),
            ],
        ),
        IMAGE,
        "DirectSum((3, 8, 12), [(op1, 0, 0), (op2, 0, 6), (op3, 4, 6)])",  # one mask on the left
    ),
    "patches and other patches": (
        DirectSum(
            IMAGE,
            [
                (PatchFunctional((3, 8, 8), RNG.standard_normal((3, 2, 2))), 0, 0),
                (PatchFunctional((3, 8, 4), RNG.standard_normal((3, 2, 2))), 0, 8),
            ],
        ),
        IMAGE,
        "(2) rows 0 to 7, columns 8 to 11: Each measurement is a weighted sum of one patch",
    ),
    "a known and an unknown half": (
        lambda x: torch.cat([x[..., :6].flatten(1), x[..., 6:].flatten(1).cumsum(1)], 1),
        IMAGE,
        "No structure",
    ),
    "a mirrored and a black border": (
        DirectSum(
            (1, 8, 20),
            [
                (SymmetricBlur((1, 8, 8), DISC), 0, 0),
                (SeparableBlur((1, 8, 12), [0.2, 0.5, 0.3]), 0, 8),
            ],
        ),
        (1, 8, 20),
        "(1) rows 0 to 7, columns 0 to 7: It is a blur of the mirrored image",
    ),
    "a mask and a decimated blur": (
        DirectSum(
            IMAGE,
            [(Inpainting(MASK[..., :4]), 0, 0), (BlurDecimation((3, 8, 8), KERNEL, 2), 0, 4)],
        ),
        IMAGE,
        "every 2nd pixel is kept: BlurDecimation((3, 8, 8), kernel, 2).",
    ),
    "two scans": (
        DirectSum(
            (2, 8, 12), [(FourierMask(MASK[0, :, :5]), 0, 0), (FourierMask(MASK[1, :, 5:]), 0, 5)]
        ),
        (2, 8, 12),
        "DirectSum((2, 8, 12), [(op1, 0, 0), (op2, 0, 5)])",
    ),
    "weights of a signal": (lambda x: x * torch.arange(20), (20,), "Diagonal(f(torch"),
    "one number of all": (lambda x: x.sum((1, 2, 3)).reshape(-1, 1, 1, 1), IMAGE, "No structure"),
    "nothing": (
        lambda x: x.flatten(1).cumsum(1),
        IMAGE,
        "No structure of this library was recognised",
    ),
    "two kernels": (
        lambda x: np.concatenate([periodic(np.asarray(x)[:, :1]), np.asarray(x)[:, 1:]], 1),
        IMAGE,
        "No structure",
    ),
    "a shuffle of channels": (lambda x: x.roll(1, 1).cumsum(-1), IMAGE, "No structure"),
    "other means in each channel": (
        lambda x: (
            torch.nn.functional.avg_pool2d(x, 2)
            * torch.tensor([1.0, 2.0, 3.0])[:, None, None].double()
        ),
        IMAGE,
        "BlockOperator",
    ),
    "another weight in each channel": (
        lambda x: x * torch.tensor([1.0, -2.0, 0.0])[:, None, None].double(),
        IMAGE,
        "Diagonal",
    ),
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_above_the_limit_the_message_names_the_operator_that_fits(name):
    f, shape, words = RECOGNISED[name]
    with pytest.raises(ValueError, match=r"[.]$") as refused:
        from_function(f, shape, memory_limit=10)
    assert words in str(refused.value)


def advice(name: str) -> str:
    f, shape, _ = RECOGNISED[name]
    with pytest.raises(ValueError, match="GiB") as refused:
        from_function(f, shape, memory_limit=10)
    return re.search(r"\w+\(.*\)", str(refused.value).split("GiB. ")[1])[0]


@pytest.mark.parametrize(
    "name", ["a periodic blur", "a weight for each pixel", "means", "the identity"]
)
def test_the_operator_that_the_message_names_does_the_same(name):
    f, shape, _ = RECOGNISED[name]
    unit = torch.zeros(1, *shape, dtype=torch.float64)
    unit[0, 0, 0, 0] = 1.0
    names = {"f": lambda x: torch.as_tensor(f(x)), "unit": unit, "torch": torch}
    op = eval(advice(name), vars(ddrm_edu) | names)
    x = random_images(shape, 6)
    want = torch.as_tensor(f(x))
    assert (op(x) - want).abs().max() <= 1000 * EPS * want.abs().max()


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_kept_frequencies_are_the_change_of_basis_that_is_named(norm):
    """Whatever the scale of the transform; y may list them in another order."""
    f = functools.partial(k_space, norm=norm)
    with pytest.raises(ValueError, match="GiB") as refused:
        from_function(f, (2, 8, 12), memory_limit=10)
    scale = re.search(r"y is ([\d.e-]+) times that", str(refused.value))
    scale = float(scale[1]) if scale else 1.0
    F = FourierMask(torch.ones(8, 12))
    mask = torch.from_numpy(MASK[0]).expand(2, -1, -1)
    op = ddrm_edu.ChangeOfBasis(Inpainting(mask), F, F.adjoint)
    x = random_images((2, 8, 12), 3)
    want = f(x).mT.flatten(1)  # real parts first
    assert (scale * op(x) - want).abs().max() <= 1e-5 * want.abs().max()


def test_each_rectangle_is_told_with_its_own_structure():
    """In the order of the corners: columns first, then the rows within."""
    f, shape, _ = RECOGNISED["quadrants"]
    with pytest.raises(ValueError, match="GiB") as refused:
        from_function(f, shape, memory_limit=10)
    told = re.split(r"\(\d\) rows", str(refused.value))[1:]
    words = ["one pixel", "SuperResolution((3, 4, 6), 2)", "k of shape (3, 1, 1)"]
    assert len(told) == 3
    for part, word in zip(told, words, strict=True):
        assert word in part


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: torch.nn.functional.avg_pool2d(x, 8), "SuperResolution((3, 256, 256), 8)"),
        (
            lambda x: torch.einsum("bcihjw->bij", x.reshape(-1, 3, 16, 16, 16, 16))[:, None],
            "PatchFunctional((3, 256, 256), k) with k of shape (3, 16, 16)",
        ),
        (lambda x: x.roll(3, -1) - x, "CircularBlur"),
        (lambda x: x.cumsum(-1).cumsum(-2) + x, "No structure of this library was recognised"),
    ],
    ids=["means", "large patches", "a periodic blur", "nothing"],
)
def test_a_large_image_is_refused_after_few_looks(f, words):
    """Patches of 192 and 768 entries, all in one image: a slow function is not called for each."""
    images = []

    def counted(x):
        images.append(len(x))
        return f(x)

    with pytest.raises(TooLarge) as refused:
        from_function(counted, (3, 256, 256))
    assert words in str(refused.value)
    assert (len(images) <= 16, sum(images) <= 36) == (True, True), images


@pytest.mark.parametrize(
    "op",
    [
        Denoising((2, 5, 3)),
        Inpainting(RNG.random((2, 5, 3)) < 0.5),
        Diagonal(RNG.standard_normal((2, 5, 3))),
        SuperResolution((2, 4, 6), 2),
        Colorization((2, 3, 5), (0.4, -1.3)),
        PatchFunctional((2, 4, 6), RNG.standard_normal((1, 4, 3))),
        BlockOperator(RNG.standard_normal((2, 4)), (2, 4, 6), (2, 1, 2)),
        Kronecker(RNG.standard_normal((3, 4)), RNG.standard_normal((2, 6)), 2),
        SeparableBlur((2, 6, 5), RNG.standard_normal(3), RNG.standard_normal(2)),
        CircularBlur((2, 5, 6), RNG.standard_normal((3, 4))),
        SymmetricBlur((2, 5, 6), DISC),
        BlurDecimation((2, 6, 9), RNG.standard_normal((5, 4)), 3),
        BlurDecimation((1, 8, 4), RNG.standard_normal((5, 3)), 2),
        FourierMask(RNG.standard_normal((5, 3))),
        FourierMask(RNG.random((4, 6)) < 0.5, centred=True),
    ],
    ids=lambda op: type(op).__name__,
)
def test_every_structure_of_the_library_is_recognised(op):
    with pytest.raises(ValueError, match="GiB") as refused:
        from_function(op, op.in_shape, memory_limit=10)
    name = {"Colorization": "PatchFunctional"}.get(type(op).__name__, type(op).__name__)
    assert name in str(refused.value).split("GiB. ")[1]


# -- scipy and pylops ------------------------------------------------------------------------------

SPARSE = scipy.sparse.random_array((7, 12), density=0.4, rng=np.random.default_rng(2))


@pytest.mark.parametrize(
    "container",
    [np.array, scipy.sparse.csr_array, scipy.sparse.coo_array, aslinearoperator, pylops.MatrixMult],
    ids=["array", "csr", "coo", "LinearOperator", "pylops"],
)
def test_scipy_operators_become_dense_ones(container):
    H = SPARSE.toarray()
    op = from_scipy(container(H), in_shape=(3, 4))
    assert (op.in_shape, op.out_shape) == ((3, 4), (7,))
    assert check_operator(op, H).ok


def test_shapes_come_from_pylops():
    """A second difference along the last axis, against a matrix written out."""
    operator = pylops.SecondDerivative((3, 5), axis=1, kind="forward")
    op = from_scipy(operator)
    assert (op.in_shape, op.out_shape) == ((3, 5), (3, 5))
    second = np.zeros((5, 5))
    for i in range(3):
        second[i, i : i + 3] = [1.0, -2.0, 1.0]
    assert check_operator(op, np.kron(np.eye(3), second)).ok


def test_a_rank_makes_a_truncated_operator_of_a_scipy_operator():
    op = from_scipy(aslinearoperator(SPARSE), (3, 4), rank=6)
    assert type(op) is TruncatedSVD
    assert (op.in_shape, op.rank) == ((3, 4), 6)
    with pytest.raises(ValueError, match="larger largest_loss"):
        from_scipy(SPARSE, rank=2)
    assert from_scipy(SPARSE, rank=2, largest_loss=1.0).rank == 2


def test_what_is_no_real_operator_is_refused():
    for A, words in (
        (1j * SPARSE, "must be real"),
        (lambda x: x, "in_shape="),
        (aslinearoperator(np.eye(2) * np.nan), "must be finite"),
        (LinearOperator((3, 3), matvec=np.abs, dtype=float), r"A\(-x\) = -A\(x\)"),
    ):
        with pytest.raises(ValueError, match=words):
            from_scipy(A)
    with pytest.raises(ValueError, match="holds 9 numbers, but H has 12 columns"):
        from_scipy(SPARSE, in_shape=(3, 3))


@settings(max_examples=20)
@given(operators())
def test_pylops_finds_the_adjoint_of_every_operator_right(case):
    """An independent dot test: <H x, y> = <x, H^T y>."""
    op, H = case
    linear = op.as_pylops()
    assert (linear.shape, linear.dims, linear.dimsd) == (H.shape, op.in_shape, op.out_shape)
    assert dottest(linear, op.m, op.n, rtol=1e-9, atol=1e-12)


def test_pylops_takes_images_and_solves_with_them():
    op = SuperResolution((1, 6, 4), 2)
    linear, x = op.as_pylops(), random_images(op.in_shape, 7)[0]
    y = linear @ x.numpy()
    assert y.shape == op.out_shape
    assert np.abs(y - op(x[None])[0].numpy()).max() <= 10 * EPS
    solution = lsqr(linear, y.ravel(), atol=1e-14, btol=1e-14)[0]
    want = op.pinv(torch.from_numpy(y)[None]).flatten().numpy()
    assert np.abs(solution - want).max() <= 1e-10


def test_without_pylops_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pylops", None)
    with pytest.raises(ImportError, match=r"pip install pylops.*as_scipy"):
        Denoising((2,)).as_pylops()


def test_masks_and_colours_of_numpy_code_equal_the_definitions():
    """What a student writes first, against matrices entry by entry."""
    mask = RNG.random((3, 4, 2)) < 0.5
    weights = RNG.standard_normal(3)
    for f, H in (
        (lambda x: np.asarray(x)[:, mask], inpainting_matrix(mask)),
        (lambda x: np.einsum("bchw,c->bhw", x, weights), colorization_matrix(mask.shape, weights)),
    ):
        assert check_operator(from_function(f, mask.shape), H).ok


# -- the one door ----------------------------------------------------------------------------------


def make_matrix():
    return MATRIX


class Doubled(Dense):
    def __init__(self, factor=2.0):
        super().__init__(factor * MATRIX, SHAPE)


def leave():
    sys.exit("bye")


def lost():
    raise OSError("no such camera")


BY_MATRIX = LINEAR["torch"][0]
DOORS = {
    "numpy": (MATRIX, {}, MATRIX),
    "torch": (torch.from_numpy(MATRIX), {}, MATRIX),
    "single precision": (MATRIX.astype(np.float32), {}, MATRIX.astype(np.float32)),
    "nested lists": (MATRIX.tolist(), {}, MATRIX),
    "sparse": (scipy.sparse.csr_array(MATRIX), {}, MATRIX),
    "LinearOperator": (aslinearoperator(MATRIX), {}, MATRIX),
    "pylops": (pylops.MatrixMult(MATRIX), {}, MATRIX),
    "function of torch": (BY_MATRIX, {"in_shape": SHAPE}, MATRIX),
    "function of numpy": (LINEAR["numpy"][0], {"in_shape": SHAPE}, MATRIX),
    "pair": ((BY_MATRIX, lambda y: y), {"in_shape": SHAPE}, MATRIX),
    "module": (torch.nn.Identity(), {"in_shape": SHAPE}, np.eye(24)),
    "maker": (make_matrix, {}, MATRIX),
    "maker of a function": (lambda: BY_MATRIX, {"in_shape": SHAPE}, MATRIX),
    "class": (Doubled, {}, 2 * MATRIX),
    "map": (LinearMap(BY_MATRIX, SHAPE), {}, MATRIX),
}


@pytest.mark.parametrize("name", DOORS)
def test_whatever_h_is_becomes_an_operator(name):
    H, options, matrix = DOORS[name]
    op = as_operator(H, **options)
    assert check_operator(op, matrix).ok
    assert op.in_shape == options.get("in_shape", op.in_shape)


def test_an_operator_stays_what_it_is():
    op = SuperResolution((1, 4, 6), 2)
    assert as_operator(op) is op
    assert as_operator(lambda: op) is op


def test_shapes_and_the_cut_are_passed_through_the_door():
    op = as_operator(MATRIX, SHAPE, (1, 5, 1))
    assert (op.in_shape, op.out_shape) == (SHAPE, (1, 5, 1))
    values = np.diag([1.0, 1e-3, 1e-9])
    assert as_operator(values).rank == 3
    assert as_operator(values, rtol=1e-6).rank == 2


@pytest.mark.parametrize(
    ("H", "words"),
    [
        (leave, "leave() raised SystemExit: bye."),
        (lost, "lost() raised OSError: no such camera."),
        (lambda: None, "returned None. Does it lack a return?"),
        (Dense, "Dense is a class whose __init__ needs arguments"),
        (3, "but was of type int"),
    ],
)
def test_what_is_no_h_is_told_in_a_sentence(H, words):
    with pytest.raises(NoLinearMap, match=r"[.?]$") as refused:
        as_operator(H)
    assert words in str(refused.value)


def test_every_form_is_too_large_in_the_same_words():
    """A matrix is looked at for a structure, too."""
    forms = (MATRIX, aslinearoperator(MATRIX), BY_MATRIX)
    for H in forms:
        with pytest.raises(TooLarge, match=r"needs about .* GiB\. No structure .*TruncatedSVD\."):
            as_operator(H, SHAPE, memory_limit=1000)
    with pytest.raises(TooLarge, match=r"It is the identity, Denoising\(\(1, 3, 8\)\)\.$"):
        as_operator(np.eye(24), (1, 3, 8), memory_limit=1000)
    with pytest.raises(ValueError, match="must be finite"):
        as_operator(np.full((2, 3), np.nan))

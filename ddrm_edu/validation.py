"""Sentences for bad input: what was expected, what was given, the likely cause, the fix."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
"""Rounding unit of the numbers in which all coefficients, operators and laws are computed."""


FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
"""The dtypes of images: those that torch computes in."""

LARGEST = 1e100
"""Of numbers whose squares and products are to be numbers of double precision."""


_LARGEST_OF = {torch.float64: LARGEST, torch.float32: 1e18}


def largest_of(dtype: torch.dtype) -> float:
    """The largest number of this dtype that is taken for one of an image; never infinity."""
    return _LARGEST_OF.get(dtype) or torch.finfo(dtype).max


def real_tensor(values: Any, what: str) -> Tensor:
    """``values`` (nested list, numpy array, torch tensor, scipy.sparse) as a new float64 tensor."""
    if hasattr(values, "toarray"):  # scipy.sparse
        values = values.toarray()
    if isinstance(values, Tensor):
        _require_numbers(values, what)
        values = values.detach()
        tensor = values if values.layout is torch.strided else values.to_dense()
    elif isinstance(values, str | bytes | set | dict) or np.ma.is_masked(values):
        raise ValueError(
            f"{what} must be an array of real numbers, but was a {type(values).__name__}"
            f"{' with masked entries: fill them in' if np.ma.is_masked(values) else ''}."
        )
    else:
        try:
            array = np.asarray(values)
            if array.dtype.kind not in "biufcO":
                raise TypeError(f"it has the dtype {array.dtype}")
            kind = np.complex128 if array.dtype.kind == "c" else np.float64
            tensor = torch.from_numpy(np.array(array, dtype=kind))  # a copy torch can always read
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            said = str(error).rstrip(".")
            raise ValueError(f"{what} must be an array of real numbers, but: {said}.") from error
    if tensor.is_complex():
        raise ValueError(
            f"{what} must be real, but was complex. Write a complex map on the real and imaginary "
            "parts, one after the other."
        )
    return tensor.to(torch.float64, copy=True)


def finite_tensor(values: Any, what: str) -> Tensor:
    """``real_tensor`` without NaN or infinite numbers."""
    tensor = real_tensor(values, what)
    require_finite(tensor, what)
    return tensor


def real_matrix(values: Any, what: str) -> Tensor:
    """``values`` as a finite float64 tensor of two dimensions, whatever container it came in."""
    matrix = finite_tensor(values, what)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"{what} must be a matrix of shape (m, n) with m, n >= 1, but had shape "
            f"{tuple(matrix.shape)}. For images flatten both sides and pass in_shape= and "
            "out_shape=."
        )
    return matrix


def is_integer(value: Any) -> TypeGuard[int]:
    """True for an integer of Python or numpy, of at most 64 bits, as torch counts with."""
    return isinstance(value, Integral) and -(2**63) <= int(value) < 2**63


def positive_shape(shape: Any, what: str) -> tuple[int, ...]:
    """``shape`` as a tuple of positive integers."""
    if not isinstance(shape, Sequence | torch.Size) or not all(
        is_integer(side) and side > 0 for side in shape
    ):
        raise ValueError(
            f"{what} must be a tuple of positive integers, such as (3, 32, 32), but was {shape!r}."
        )
    return tuple(int(side) for side in shape)


def image_shape(shape: Any) -> tuple[int, int, int]:
    """``shape`` as (channels, height, width)."""
    sides = positive_shape(shape, "in_shape")
    if len(sides) != 3:
        raise ValueError(
            f"in_shape must be (channels, height, width), but was {sides}. "
            "A single grey image has shape (1, height, width), and a signal (1, 1, n). The slices "
            "of a volume count as channels where each is measured alike. Denoising, Inpainting, "
            "Diagonal, Dense and LinearMap take images of any shape."
        )
    channels, height, width = sides
    return channels, height, width


def _require_numbers(x: Tensor, what: str) -> None:
    if x.device.type == "meta":
        raise ValueError(
            f"{what} must hold numbers, but lies on the device meta, which holds none. "
            "Make it on the CPU, or on the device of the network."
        )


def require_readable(x: Any, what: str, of_shape: str = "") -> None:
    """Raise ``ValueError`` unless ``x`` is a tensor of real numbers that torch computes with."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{what} must be a torch tensor{of_shape}, but was a {type(x).__name__}. "
            "Wrap it with torch.as_tensor."
        )
    if x.is_complex():
        raise ValueError(
            f"{what} must hold real numbers, but was {x.dtype}. Pass its real and imaginary parts "
            "as two channels, torch.stack([x.real, x.imag], dim=1) for x of shape (batch, height, "
            "width); FourierMask(mask) measures such images, as in MRI."
        )
    _require_numbers(x, what)
    if x.layout is not torch.strided:
        raise ValueError(
            f"{what} must be a dense tensor, but its layout was {x.layout}. Pass x.to_dense()."
        )
    if x.is_floating_point() and x.dtype not in FLOATS:
        raise ValueError(
            f"{what} must hold numbers of 16 bits or more, but was {x.dtype}, in which torch "
            "stores numbers and does not compute. Pass x.float()."
        )


def require_floating(x: Any, what: str, of_shape: str = "") -> None:
    """Raise ``ValueError`` unless ``x`` is a floating-point tensor; its shape is not looked at."""
    require_readable(x, what, of_shape)
    if not x.is_floating_point():
        raise ValueError(
            f"{what} must hold floating-point numbers, but was {x.dtype}. Images live on the scale "
            "[-1, 1]: convert 8-bit pixels with x.float() / 127.5 - 1."
        )


def is_batch(x: Any, shape: tuple[int, ...]) -> bool:
    """True for a floating-point tensor of shape ``(batch, *shape)``."""
    return (
        isinstance(x, Tensor)
        and x.dtype in FLOATS
        and x.ndim > 0
        and tuple(x.shape[1:]) == tuple(shape)
        and x.layout is torch.strided
    )


def require_batch(x: Any, shape: tuple[int, ...], what: str) -> None:
    """Raise ``ValueError`` unless ``x`` is a floating-point tensor of shape ``(batch, *shape)``."""
    if is_batch(x, shape):
        return
    wanted = f"(batch, {', '.join(map(str, shape))})"
    require_floating(x, what, f" of shape {wanted}")
    if tuple(x.shape) == tuple(shape) and len(shape) > 3:
        fix = (
            "The operator was made for single images of four axes. If the first one counts images, "
            "each with a mask or weights of its own, make it with Diagonal(weights, "
            "per_image=True), whose y has the shape of x; else pass x[None]."
        )
    elif tuple(x.shape) == tuple(shape):
        fix = "The batch dimension is missing: pass x[None]."
    elif x.ndim == len(shape) + 1 and sorted(x.shape[1:]) == sorted(shape):
        fix = "The axes are in another order: images are (batch, channels, height, width)."
    else:
        fix = "Build the operator for this shape, or crop or reshape the tensor to it."
    raise ValueError(f"{what} must have shape {wanted}, but had {tuple(x.shape)}. {fix}")


def require_finite(x: Tensor, what: str) -> None:
    """Raise ``ValueError`` if ``x`` holds NaN or infinite numbers."""
    most = largest_of(x.dtype)
    if not x.numel():
        return
    low, high = x.detach().aminmax()
    largest = torch.maximum(-low, high)  # one number: a GPU is waited for once
    if largest <= most:
        return
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(
            f"{what} must be finite, but {bad} of its {x.numel()} entries are NaN or infinite. "
            "A division by zero or a missing value upstream is the usual cause; "
            "for missing pixels use Inpainting, whose y holds only the measured ones."
        )
    raise ValueError(
        f"{what} must hold numbers of at most {most:g} in size, so that their squares are numbers "
        f"in {x.dtype}, but the largest was {float(largest):.6g}. Images live on the scale [-1, 1]."
    )


def require_count(value: Any, what: str) -> int:
    """``value`` as an int; ``ValueError`` unless it is a whole number that is not negative."""
    if isinstance(value, bool) or not is_integer(value) or value < 0:
        raise ValueError(f"{what} must be a whole number, 0 or more, but was {value!r:.40}.")
    return int(value)


def require_seed(seed: Any) -> int:
    """``seed`` as an int; ``ValueError`` unless a generator of torch takes it."""
    if isinstance(seed, bool) or not is_integer(seed):
        raise ValueError(f"seed must be a whole number of 64 bits, but was {seed!r:.40}.")
    return int(seed)


def boolean_mask(values: Any, what: str) -> Tensor:
    """``values`` (nested list, numpy array, torch tensor) as a new tensor on the CPU.

    Whether it is a mask is asked of its dtype and shape; what holds no numbers becomes a NaN.
    """
    if isinstance(values, Tensor):
        _require_numbers(values, what)
        tensor = values.detach().to("cpu", copy=True)
        tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    else:
        try:
            array = np.array(values) if not np.ma.is_masked(values) else np.array(None)
        except ValueError:  # lists of different lengths
            array = np.array(None)
        wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind, array.dtype)
        array = array.astype(np.dtype(wide).newbyteorder("="))
        tensor = torch.tensor(array) if array.dtype.kind in "biufc" else torch.tensor(math.nan)
    return tensor


def require_one_shape(**shapes: Any) -> None:
    """Raise ``ValueError`` unless the tensors, or numbers, broadcast with one another."""
    found = {name: each for name, each in shapes.items() if isinstance(each, Tensor)}
    try:
        torch.broadcast_tensors(*found.values())  # views; broadcast_shapes is Python, and slow
    except RuntimeError:
        told = ", ".join(f"{name} {tuple(each.shape)}" for name, each in found.items())
        raise ValueError(
            f"The shapes must fit one another, as torch broadcasts them, but were: {told}. "
            "A level of each image or step is a column, with sides of 1 for all other axes."
        ) from None


def require_covariance(cov: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (n,), none negative, and axes (n, n) of a covariance; else ``ValueError``."""
    if cov.shape != (n, n):
        raise ValueError(
            f"cov must have shape ({n}, {n}) for a mean with {n} entries, "
            f"but had {tuple(cov.shape)}."
        )
    require_finite(cov, "cov")
    eigenvalues, axes = torch.linalg.eigh((cov + cov.T) / 2)
    smallest, largest = (eigenvalues[[0, -1]] if n else eigenvalues.new_zeros(2)).tolist()
    asymmetry = (cov - cov.T).abs().max().item() if n else 0.0
    rounding = 1e-10 * max(largest, 0.0)
    if asymmetry > rounding or smallest < -rounding:
        raise ValueError(
            "cov must be symmetric without negative eigenvalues, but its asymmetry is "
            f"{asymmetry:.3g} and its smallest eigenvalue {smallest:.3g}. "
            "For a matrix A of any kind, A @ A.T is a covariance."
        )
    return eigenvalues.clamp(min=0), axes  # rounding only, as just checked


def one_number(value: Any, what: str) -> float:
    """``value`` as a float; ``ValueError`` unless it is one number: text is none, nor is None."""
    if isinstance(value, float | int):
        with contextlib.suppress(OverflowError):
            return float(value)
    elif not isinstance(value, str | bytes | bytearray):
        with contextlib.suppress(TypeError, ValueError, RuntimeError, NotImplementedError):
            return float(value.item() if isinstance(value, Tensor | np.ndarray) else value)
    shape = getattr(value, "shape", ())
    shape = shape if isinstance(shape, tuple) else ()
    given = f"of shape {tuple(shape)}" if shape else f"{value!r:.40}"
    raise ValueError(
        f"{what} must be one number, but was {given}, of type {type(value).__name__}. "
        "Convert text by float(). A sigma_y that differs from image to image, or within one, is "
        "for restore(sigma_y=) alone."
    )


def require_level(sigma: float | Tensor, what: str) -> float:
    """``sigma`` as a float; ``ValueError`` unless it is finite and not negative."""
    sigma = one_number(sigma, what)
    if not math.isfinite(sigma) or sigma < 0:
        raise ValueError(
            f"{what} is a standard deviation in the units of the image, so it must be finite and "
            f"at least 0, but was {sigma:.6g}. For exact measurements pass 0."
        )
    if sigma > LARGEST:
        raise ValueError(
            f"{what} must be at most {LARGEST:g}, so that its square is a number, but was "
            f"{sigma:.6g}. Images live on the scale [-1, 1]."
        )
    return sigma


def require_positive(value: float | Tensor, what: str, why: str = "") -> float:
    """``value`` as a float; ``ValueError`` unless it is positive and finite."""
    value = one_number(value, what)
    if not 0 < value < math.inf:
        raise ValueError(f"{what} must be positive and finite, but was {value:.6g}. {why}".strip())
    if value > LARGEST:
        raise ValueError(
            f"{what} must be at most {LARGEST:g}, so that its square is a number, but was "
            f"{value:.6g}."
        )
    return value


def require_rtol(rtol: float | None, default: float) -> float:
    """``rtol`` as a float, or the default in the place of None; ``ValueError`` outside [0, 1)."""
    rtol = default if rtol is None else one_number(rtol, "rtol")
    if not 0 <= rtol < 1:
        raise ValueError(
            f"rtol must lie in [0, 1), but was {rtol:g}: singular values up to rtol times the "
            "largest count as 0, and with 1 nothing would be left."
        )
    return rtol


def require_unit_interval(value: float | Tensor, what: str) -> float:
    """``value`` as a float; ``ValueError`` unless it lies in [0, 1]."""
    value = one_number(value, what)
    if not 0 <= value <= 1:
        raise ValueError(
            f"{what} must lie in [0, 1], but was {value:.6g}: "
            f"sqrt(1 - {what}^2) is the weight of what is kept from the step before."
        )
    return value

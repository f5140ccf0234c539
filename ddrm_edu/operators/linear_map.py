"""Whatever acts linearly on images, called in one way and examined once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..validation import EPS, positive_shape, real_matrix, require_finite
from .dense import fitting

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["LinearMap", "NoLinearMap", "linear_map", "name_of", "normal_images"]

SINGLE = torch.finfo(torch.float32).eps
FORMS = (
    "a matrix (numpy, torch, scipy.sparse or nested lists), an SVDOperator, a scipy "
    "LinearOperator, a linear function of images or a pair of them (forward, adjoint) with "
    "in_shape=, or a function without arguments that makes one of these"
)

# Tried in this order: most functions take several of them, and float64 is the best to have.
_CALLS: tuple[Callable[[Tensor], Any], ...] = (
    lambda x: x.clone(),
    lambda x: x.float(),
    lambda x: x.numpy().copy(),
)


def normal_images(shape: tuple[int, ...], batch: int = 3, seed: int = 0) -> Tensor:
    """Images of independent standard normal numbers, float64, the same in every call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64)


class NoLinearMap(ValueError):
    """H is of no form that could be a linear map; nothing is said about what it does."""


class LinearMap:
    """A linear map of batches of images, float64 to float64, whatever computes it.

    Parameters
    ----------
    f : callable
        ``(batch, *in_shape) -> (batch, *out_shape)``, on torch tensors (double or single
        precision) or numpy arrays, whichever it takes.
    in_shape, out_shape : tuple of int
        Of one image and of one measurement; by default the latter is that of what f returns.
    name, title : str
        What the messages call it, and what a report does.
    backward : callable, optional
        The transpose that came with f, called as f is.
    array : matrix, optional
        The matrix of which f is the product: then it is linear, and need not be asked for it.

    Attributes
    ----------
    n, m : int
        Number of entries of an image and of a measurement.
    eps : float
        Rounding unit of what f returns.
    error : float
        The largest relative error of the claims of linearity, once they were tried.

    Raises
    ------
    ValueError
        If f cannot be called on a batch, or answers in half precision.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...] | None = None,
        *,
        name: str = "f",
        title: str = "",
        backward: Callable[[Any], Any] | None = None,
        array: Any = None,
    ):
        self.in_shape = positive_shape(in_shape, "in_shape")
        self.name, self.title = name, title or f"function {name_of(f)}"
        self._f, self._backward, self.array = f, backward, array
        self._call, y = self._working_call()
        self.eps = torch.finfo(y.dtype).eps if y.is_floating_point() else EPS
        if self.eps > SINGLE:
            raise ValueError(
                f"{name} must return single or double precision, but returned {y.dtype}. In half "
                "precision rounding cannot be told from a function that is not linear."
            )
        self._returned = returned = tuple(y.shape[1:]) or (1,)
        self.out_shape = returned if out_shape is None else positive_shape(out_shape, "out_shape")
        self.n, self.m = math.prod(self.in_shape), math.prod(self.out_shape)
        if self.m != math.prod(returned):
            raise ValueError(
                f"out_shape = {self.out_shape} holds {self.m} numbers, but {name} returns "
                f"{math.prod(returned)} for each image."
            )
        self._y = y.to(torch.float64).reshape(-1, *self.out_shape)  # what it made of the first x
        self.error, self._examined = 0.0, array is not None

    def __call__(self, x: Tensor) -> Tensor:
        y = self._output(x)
        if not y.ndim or len(y) != len(x) or y.numel() != len(x) * self.m:
            raise ValueError(
                f"{self.name} must return one measurement of shape {self.out_shape} for each of "
                f"{len(x)} images, but returned {tuple(y.shape)}. {self._wrap()}"
            )
        return y.to(torch.float64).reshape(-1, *self.out_shape)

    @cached_property
    def adjoint(self) -> LinearMap | None:
        """The map that came with it as its transpose, if one did; whether it is, is not tried."""
        if self._backward is None:
            return None
        name = {"f": "ft", "A": "A^T"}.get(self.name, "the adjoint")
        rows = None if self.array is None else self.array.T
        return LinearMap(self._backward, self._returned, self.in_shape, name=name, array=rows)

    def matrix(self, batch: int = 256) -> Tensor:
        """H (m, n), from ``batch`` unit images at a time, and the proof that it does the same.

        Raises
        ------
        ValueError
            If ``batch`` is not positive, or the columns do not add up to what H does to an image.
        """
        if self.array is not None:
            return real_matrix(self.array, self.name)
        if batch < 1:
            raise ValueError(f"batch must be at least 1, the images in one call, but was {batch}.")
        H = torch.empty(self.m, self.n, dtype=torch.float64)
        for start in range(0, self.n, batch):
            count = min(batch, self.n - start)
            unit = torch.zeros(count, self.n, dtype=torch.float64)
            unit[:, start : start + count].fill_diagonal_(1.0)
            H[:, start : start + count] = self(unit.reshape(-1, *self.in_shape)).flatten(1).T
        y = self._y.flatten(1)
        worst = (normal_images(self.in_shape).flatten(1) @ H.T - y).abs().max().item()
        if not worst <= self.rounding * (y.abs().max().item() or 1.0):
            raise ValueError(
                f"{self.name} is not linear: its answers to unit images do not add up to those to "
                f"random images, by {worst:.3g}. It treats images with few bright pixels, or those "
                "of a large batch, differently."
            )
        return H

    @property
    def precision(self) -> float:
        """The rounding unit at which it can be compared; what is careless counts as single."""
        return EPS if self.eps <= EPS and self.error <= 1e4 * EPS else SINGLE

    @property
    def rounding(self) -> float:
        """The largest relative error that passes for rounding, of a careless function as well."""
        return max(1e-8, 1000 * self.eps * max(self.n, self.m) ** 0.5)

    @property
    def smallest(self) -> float:
        """The size, relative to the largest, of singular values that may be rounding."""
        return max(max(self.n, self.m) * self.eps, 10 * self.error)

    def require_linear(self) -> None:
        """Raise ``ValueError`` that says which claim fails, by how much, and why as a rule.

        It is tried once: a map that passed is not asked again.
        """
        if self._examined:
            return
        f, y = self.name, self._y
        x, z = normal_images(self.in_shape), normal_images(self.in_shape, seed=1)
        require_finite(y, f"What {f} returns")
        self._require(
            f"{f}(x) = {f}(x)",
            self(x) - y,
            y,
            "Two calls with the same x differ: it draws random numbers (dropout, noise, a random "
            "mask). Draw them once, outside; noise belongs to y, and restore is told its sigma_y.",
        )
        self._require(
            f"{f}(0) = 0",
            self(0 * x),
            y,
            f"It adds a constant, so it is affine. Take lambda x: {f}(x) - {f}(0 * x), and "
            "subtract the constant from y, too.",
        )
        self._require(
            f"{f}(images)[i] = {f}(images[i])",
            torch.cat([self(image[None]) for image in x]) - y,
            y,
            f"It mixes the images of a batch. {self._wrap()}",
        )
        for factor, law, cause in (
            (-1.0, f"{f}(-x) = -{f}(x)", "An absolute value, a ReLU or a square does this."),
            (1e3, f"{f}(1000 x) = 1000 {f}(x)", "Clipping, saturation or a power does this."),
            (1e-3, f"{f}(x / 1000) = {f}(x) / 1000", "Rounding to grey levels, a threshold or "
             "a gamma curve does this."),
        ):  # fmt: skip
            self._require(law, self(factor * x) / factor - y, y, cause)
        self._require(
            f"{f}(x + z) = {f}(x) + {f}(z)",
            self(x + z) - y - self(z),
            y,
            "A median, a maximum or a division by the image's own size does this.",
        )
        self._examined = True

    def _require(self, law: str, difference: Tensor, y: Tensor, cause: str) -> None:
        size = y.abs().max().item()
        worst = difference.abs().max().item()
        if worst <= self.rounding * (size or 1.0):
            self.error = max(self.error, worst / (size or 1.0))
            return
        if math.isnan(worst):
            cause = "It divides by something that is 0 there, such as the size of the image itself."
        elif worst < 1e-4 * size:
            cause = (
                "So small an error is rounding, as a rule: compute in double precision, or "
                "return the single precision in which you compute."
            )
        raise ValueError(
            f"{self.name} is not linear: {law} fails by {worst:.3g} on random images, where "
            f"{self.name}(x) reaches {size:.3g}. {cause}"
        )

    def _working_call(self) -> tuple[Callable[[Tensor], Any], Tensor]:
        """The form of image that f takes, and its answer to the first random images."""
        x = normal_images(self.in_shape)
        error, answer = None, None
        for call in _CALLS:
            try:
                y = _tensor(self._f(call(x)))
            except Exception as raised:  # a student's function may raise anything
                error = error or raised
                continue
            if y.ndim and len(y) == len(x):
                return call, self._real(y)
            answer = f"returned the shape {tuple(y.shape)}"
        if self._takes_single_images(x[0]):
            raise ValueError(f"{self.name} takes a single image, not a batch. {self._wrap()}")
        raise ValueError(
            f"{self.name} must take a batch of images of shape {tuple(x.shape)} (torch or numpy) "
            f"and return as many measurements, but {answer or f'raised: {error}'}. "
            f"Is in_shape = {self.in_shape} the shape of one image?"
        ) from error

    def _takes_single_images(self, image: Tensor) -> bool:
        for call in _CALLS:
            try:
                _tensor(self._f(call(image)))
            except Exception:
                continue
            return True
        return False

    def _wrap(self) -> str:
        return (
            "A function of a single image becomes one of a batch by "
            f"lambda x: np.stack([{self.name}(image) for image in x])."
        )

    @torch.no_grad()
    def _output(self, x: Tensor) -> Tensor:
        images = x.reshape(len(x), *self.in_shape)  # of another shape after a change of out_shape
        return self._real(_tensor(self._f(self._call(images))))

    def _real(self, y: Tensor) -> Tensor:
        if y.is_complex():
            raise ValueError(
                f"{self.name} must return real numbers, but returned {y.dtype}. Return .real, or "
                "the real and the imaginary part as two channels."
            )
        return y


def _tensor(y: Any) -> Tensor:
    """``y`` on the CPU; numpy arrays with any strides are copied."""
    return y.detach().cpu() if isinstance(y, Tensor) else torch.from_numpy(np.array(y))


# --------------------------------------------------------------------------------- whatever H is


def linear_map(
    H: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    name: str = "H",
) -> LinearMap:
    """A matrix, an operator, a function of images or a pair of them as a linear map.

    Parameters
    ----------
    H : matrix, SVDOperator, LinearOperator, function or pair of functions
        A matrix (numpy, torch, scipy.sparse, nested lists) and a scipy or pylops operator act on
        images flattened row by row; a pair holds a function of batches and its adjoint.
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and one y; needed for functions.  By default those of an SVDOperator or a
        pylops operator, else ``(n,)`` and ``(m,)``.
    name : str
        What the messages call H.

    Raises
    ------
    NoLinearMap
        If H is of no such form, or a function without ``in_shape``.
    ValueError
        If H is complex, cannot be called, or the shapes do not fit it.
    """
    from scipy.sparse.linalg import aslinearoperator

    if isinstance(H, LinearMap):
        return H
    # The modules numpy and torch have functions named shape and matvec.
    shape: Any = getattr(H, "shape", () if isinstance(H, tuple | list) else None)
    is_array = isinstance(shape, tuple)
    is_product = is_array and hasattr(H, "matvec")
    is_pair = shape == () and any(callable(each) or getattr(each, "ndim", 0) > 1 for each in H)
    if is_pair and not (len(H) == 2 and all(map(callable, H))):
        raise NoLinearMap(
            f"A pair must hold two functions of batches of images, {name} and its transpose."
        )
    if is_pair or (callable(H) and not is_product):
        f, backward = H if is_pair else (H, getattr(H, "adjoint", None))
        in_shape = in_shape or getattr(f, "in_shape", None)
        if in_shape is None:
            raise NoLinearMap(
                f"{name_of(f)} is a function, so the shape of the images it takes must be given: "
                "in_shape=(channels, height, width), or (n,) for vectors."
            )
        return LinearMap(f, in_shape, out_shape, name=name, backward=backward)
    if not is_array:
        raise NoLinearMap(f"{name} must be {FORMS}, but was of type {type(H).__name__}.")
    if not is_product:
        is_plain = isinstance(H, np.ndarray) and np.can_cast(H.dtype, np.float64)
        if not (is_plain or hasattr(H, "toarray")) or len(shape) != 2 or 0 in shape:
            H = real_matrix(H, name).numpy()  # what is sparse stays so
    A = aslinearoperator(H)
    if np.dtype(A.dtype or float).kind == "c":
        raise ValueError(
            f"{name} must be real, but was complex. Write a complex map on the real and imaginary "
            "parts, one after the other."
        )
    m, n = A.shape
    return LinearMap(
        _of_images(A.matmat),
        fitting("in_shape", in_shape or getattr(H, "dims", None), n, "columns"),
        fitting("out_shape", out_shape or getattr(H, "dimsd", None), m, "rows"),
        name=name,
        title="LinearOperator" if is_product else f"{m} x {n} matrix",
        backward=_of_images(A.rmatmat) if _knows_transpose(A) else None,
        array=None if is_product else H,
    )


def name_of(f: Any) -> str:
    """What a function is called where it was defined, or the class of an object."""
    return str(getattr(f, "__name__", type(f).__name__))


def _of_images(product: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], np.ndarray]:
    """A product with columns as a function of images."""
    return lambda x: product(x.flatten(1).T.numpy()).T


def _knows_transpose(A: LinearOperator) -> bool:
    """What else is wrong with it is told when it is used."""
    try:
        A.rmatvec(np.zeros(A.shape[0]))  # rmatmat without it fails in some way or other
    except NotImplementedError:
        return False
    except Exception:
        pass
    return True

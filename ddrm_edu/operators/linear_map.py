"""Whatever acts linearly on images, called in one way and examined once."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..boundary import checked
from ..validation import (
    EPS,
    positive_shape,
    real_matrix,
    require_batch,
    require_finite,
    require_seed,
)
from .base import dense_map
from .dense import fitting

SINGLE = torch.finfo(torch.float32).eps

RAISED = (Exception, SystemExit)
"""What a reader's code may raise: a ``sys.exit()`` in it must not end a check unheard."""

Form = Callable[[Tensor], Any]
Deviation = Callable[["LinearMap", Tensor, Tensor], Tensor]

# Tried in this order: most functions take several of them, and float64 is the best to have.
_CALLS: tuple[Form, ...] = (
    lambda x: x.clone(),
    lambda x: x.float(),
    lambda x: x.numpy().copy(),
)


def _scaled(by: float) -> Deviation:
    return lambda f, x, y: f(by * x) / by - y


# A claim, how far f is from it at images x with y = f(x), and what breaks it as a rule.
_CLAIMS: tuple[tuple[str, Deviation, str], ...] = (
    (
        "{f}(x) = {f}(x)",
        lambda f, x, y: f(x) - y,
        "Two calls with the same x differ: it draws random numbers (dropout, noise, a random "
        "mask). Draw them once, outside; noise belongs to y, and restore is told its sigma_y.",
    ),
    (
        "{f}(0) = 0",
        lambda f, x, y: f(0 * x),
        "It adds a constant, so it is affine. Take lambda x: {f}(x) - {f}(0 * x), and subtract "
        "the constant from y, too.",
    ),
    (
        "{f}(images)[i] = {f}(images[i])",
        lambda f, x, y: torch.cat([f(image[None]) for image in x]) - y,
        "It mixes the images of a batch. {wrap}",
    ),
    ("{f}(-x) = -{f}(x)", _scaled(-1), "An absolute value, a ReLU or a square does this."),
    ("{f}(1000 x) = 1000 {f}(x)", _scaled(1e3), "Clipping, saturation or a power does this."),
    (
        "{f}(x / 1000) = {f}(x) / 1000",
        _scaled(1e-3),
        "Rounding to grey levels, a threshold or a gamma curve does this.",
    ),
    (
        "{f}(x + z) = {f}(x) + {f}(z)",  # z: the other images, whose answers are known
        lambda f, x, y: f(x + x.roll(1, 0)) - y - y.roll(1, 0),
        "A median, a maximum or a division by the image's own size does this.",
    ),
)


def normal_images(shape: tuple[int, ...], batch: int = 3, seed: int = 0) -> Tensor:
    """Images of independent standard normal numbers, float64, the same in every call."""
    generator = torch.Generator().manual_seed(require_seed(seed))
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64)


class NoLinearMap(ValueError):
    """H is of no form that could be a linear map; nothing is said about what it does."""


@checked
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
    x, y : Tensor
        Three random images and what f makes of them.
    eps : float
        Rounding unit of what f returns.
    error : float
        The largest relative error of the claims of linearity, once they were tried.

    Raises
    ------
    ValueError
        If f cannot be called on a batch, or answers in half precision.

    Examples
    --------
    >>> H = LinearMap(lambda x: x[..., 1:] - x[..., :-1], (4,))
    >>> H(torch.tensor([[1.0, 3.0, 6.0, 10.0]]))
    tensor([[2., 3., 4.]], dtype=torch.float64)
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
        self.x = normal_images(self.in_shape)
        self._call, y = self._working_call()
        if y.is_complex():
            raise ValueError(
                f"{name} must return real numbers, but returned {y.dtype}. Return .real, or the "
                "real and the imaginary part as two channels. If some frequencies of complex "
                "images are measured, as in MRI, it is FourierMask(mask), whose images and y have "
                "these two channels."
            )
        self.eps = torch.finfo(y.dtype).eps if y.is_floating_point() else EPS
        if self.eps > SINGLE:
            raise ValueError(
                f"{name} must return single or double precision, but returned {y.dtype}. In half "
                "precision rounding cannot be told from a function that is not linear."
            )
        self._returned = tuple(y.shape[1:]) or (1,)
        self.out_shape = positive_shape(out_shape or self._returned, "out_shape")
        self.n, self.m = math.prod(self.in_shape), math.prod(self.out_shape)
        if self.m != math.prod(self._returned):
            raise ValueError(
                f"out_shape = {self.out_shape} holds {self.m} numbers, but {name} returns "
                f"{math.prod(self._returned)} for each image."
            )
        self.y = y.to(torch.float64).reshape(-1, *self.out_shape)
        self.error, self._examined = 0.0, array is not None

    def __call__(self, x: Tensor) -> Tensor:
        require_batch(x, self.in_shape, "x")
        with torch.no_grad():
            y = _tensor(self._f(self._call(x)))
        if not y.ndim or len(y) != len(x) or y.numel() != len(x) * self.m:
            raise ValueError(
                f"{self.name} must return one measurement of shape {self.out_shape} for each of "
                f"{len(x)} images, but returned {tuple(y.shape)}. {self._wrap()}"
            )
        return y.to(torch.float64).reshape(-1, *self.out_shape)

    def __repr__(self) -> str:
        return f"{self.title}, {self.in_shape} -> {self.out_shape}, without an SVD"

    @cached_property
    def adjoint(self) -> LinearMap | None:
        """The map that came with it as its transpose, if one did; whether it is, is not tried."""
        if (backward := self._backward) is None:
            return None
        return LinearMap(
            lambda y: backward(y.reshape(len(y), *self._returned)),
            self.out_shape,
            self.in_shape,
            name={"f": "ft", "A": "A^T"}.get(self.name, "the adjoint"),
            array=None if self.array is None else self.array.T,
        )

    def with_transpose(self) -> LinearMap:
        """The same map with an :attr:`adjoint`: that which it has, or the one that torch derives.

        The vector-Jacobian product of a linear function of torch is its transpose, in the dtype and
        on the device of its argument.

        Raises
        ------
        ValueError
            If it has none, and no gradient leads through the function.
        """
        if self._backward is not None:
            return self
        self._pulled_back(self.y[:1])  # refused now, or never
        return LinearMap(
            self._f,
            self.in_shape,
            self.out_shape,
            name=self.name,
            title=self.title,
            backward=self._pulled_back,
            array=self.array,
        )

    def _pulled_back(self, y: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x = y.new_zeros(len(y), *self.in_shape).requires_grad_()
            try:
                Hx = self._f(self._call(x))
                (Hty,) = torch.autograd.grad(Hx, x, y.to(Hx).reshape(Hx.shape))
            except RAISED as error:  # a student's function may raise anything
                raise ValueError(
                    f"H^T is needed, and torch cannot derive it of {self.name}, which must be "
                    "written in torch, without numpy, .detach() and torch.no_grad(). Else give it, "
                    f"too: LinearMap({self.name}, in_shape, backward=...)."
                ) from error
        return Hty

    def matrix(self) -> Tensor:
        """H (m, n), from unit images, and the proof that it does the same.

        Raises
        ------
        ValueError
            If the columns do not add up to what H does to an image.
        """
        if self.array is not None:
            if isinstance(self.array, np.ndarray):  # checked when it came
                return torch.from_numpy(self.array)
            return real_matrix(self.array, self.name)
        H = dense_map(self, self.in_shape)
        self._require(
            "{f}(x) = H x",
            (self.x.flatten(1) @ H.T).reshape(self.y.shape) - self.y,
            "Its answers to unit images do not add up to that: it treats images with few bright "
            "pixels, or those of a large batch, differently.",
        )
        return H

    @property
    def _size(self) -> float:
        return float(self.y.abs().max()) or 1.0

    @property
    def precision(self) -> float:
        """The rounding unit at which it can be compared; what is careless counts as single."""
        return EPS if self.eps <= EPS and self.error <= 1e4 * EPS else SINGLE

    @property
    def rounding(self) -> float:
        """The largest relative error that passes for rounding, of a careless function as well."""
        return max(1e-8, 1000 * self.eps * max(self.n, self.m) ** 0.5)

    def require_linear(self) -> None:
        """Raise ``ValueError`` that says which claim fails, by how much, and why as a rule.

        It is tried once: a map that passed is not asked again.
        """
        require_finite(self.y, f"What {self.name} returns")
        for claim, deviation, cause in () if self._examined else _CLAIMS:
            self._require(claim, deviation(self, self.x, self.y), cause)
        self._examined = True

    def _require(self, claim: str, deviation: Tensor, cause: str) -> None:
        worst = float(deviation.abs().max()) / self._size
        if worst <= self.rounding:
            self.error = max(self.error, worst)
            return
        if math.isnan(worst):
            cause = "It divides by something that is 0 there, such as the size of the image itself."
        elif worst < 1e-4:
            cause = (
                "So small an error is rounding, as a rule: compute in double precision, or "
                "return the single precision in which you compute."
            )
        text = (
            f"{{f}} is not linear: {claim} fails by {worst * self._size:.3g} on random images, "
            f"where {{f}}(x) reaches {self.y.abs().max():.3g}. {cause}"
        )
        raise ValueError(text.format(f=self.name, wrap=self._wrap()))

    def _working_call(self) -> tuple[Form, Tensor]:
        """The form of image that f takes, and its answer to the random images."""
        error, fault = None, ""
        for call in _CALLS:
            try:
                y = _tensor(self._f(call(self.x)))
            except RAISED as raised:  # a student's function may raise anything
                error = error or raised
                continue
            if y.ndim and len(y) == len(self.x):
                return call, y
            fault = f"returned the shape {tuple(y.shape)}."
        if any(self._takes(call, self.x[0]) for call in _CALLS):
            raise ValueError(f"{self.name} takes a single image, not a batch. {self._wrap()}")
        raise ValueError(
            f"{self.name} must take a batch of images of shape {tuple(self.x.shape)} (torch or "
            f"numpy) and return as many measurements, but {fault or f'raised {said(error)}'} "
            f"Is in_shape = {self.in_shape} the shape of one image?"
        ) from error

    def _wrap(self) -> str:
        return (
            "A function of a single image becomes one of a batch by "
            f"lambda x: np.stack([{self.name}(image) for image in x])."
        )

    def _takes(self, call: Form, image: Tensor) -> bool:
        with suppress(*RAISED):
            _tensor(self._f(call(image)))
            return True
        return False


def _tensor(y: Any) -> Tensor:
    """A copy of ``y`` on the CPU: f may write into it again, and torch lacks strides of numpy."""
    if isinstance(y, Tensor):
        y = y.detach() if y.layout is torch.strided else y.detach().to_dense()
        return y.cpu().clone()
    return torch.from_numpy(np.array(y))


# --------------------------------------------------------------------------------- whatever H is


def linear_map(
    H: Any,
    in_shape: tuple[int, ...] | None = None,
    out_shape: tuple[int, ...] | None = None,
    *,
    name: str = "H",
) -> LinearMap:
    """Whatever :func:`ddrm_edu.operators.as_operator` takes, but a maker, as a linear map.

    ``name`` is what the messages call H.

    Raises
    ------
    NoLinearMap
        If H is of no such form, or a function without ``in_shape``.
    ValueError
        If H is complex, cannot be called, or the shapes do not fit it.
    """
    from scipy.sparse import issparse
    from scipy.sparse.linalg import aslinearoperator

    if isinstance(H, LinearMap):
        return H
    is_list = isinstance(H, tuple | list)
    # The modules numpy and torch have functions named shape and matvec.
    is_array = is_list or isinstance(getattr(H, "shape", None), tuple)
    is_product = is_array and hasattr(H, "matvec")
    is_pair = is_list and any(callable(each) or getattr(each, "ndim", 0) > 1 for each in H)
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
        raise NoLinearMap(
            f"{name} must be a matrix (numpy, torch, scipy.sparse or nested lists), an "
            "SVDOperator, a scipy LinearOperator, a linear function of images or a pair of them "
            "(forward, adjoint) with in_shape=, or a function without arguments that makes one of "
            f"these, but was of type {type(H).__name__}."
        )
    is_plain = issparse(H) and np.can_cast(H.dtype, float) and H.ndim == 2 and all(H.shape)
    if not (is_product or is_plain):
        H = real_matrix(H, name).numpy()  # what is sparse stays so
    A = aslinearoperator(H)
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


def require_transpose(op: Any, like: Tensor) -> None:
    """``ValueError`` unless ``op`` has H and H^T, each the other's transpose; ``like``: a y."""
    callables = callable(op) and callable(getattr(op, "adjoint", None))
    if not (callables and hasattr(op, "in_shape") and hasattr(op, "out_shape")):
        raise ValueError(
            "op must be an SVDOperator, or have op(x), op.adjoint(y), in_shape and out_shape, but "
            f"was a {type(op).__name__}. as_operator(H, in_shape) decomposes any small H, and "
            "LinearMap(f, in_shape, backward=ft) makes such an object of two functions, or of one "
            "that is written in torch."
        )
    require_batch(like, op.out_shape, "y")
    x, y = (
        _irregular(shape).to(like).expand(len(like), *shape)
        for shape in (op.in_shape, op.out_shape)
    )
    Hx, Hty = op(x).to(like), op.adjoint(y).to(like)
    require_batch(Hx, op.out_shape, "op(x)")
    require_batch(Hty, op.in_shape, "op.adjoint(y)")
    products, scale = (Hx * y).sum(), max(Hx.norm() * y.norm(), x.norm() * Hty.norm())
    if not (products - (x * Hty).sum()).abs() <= 1e3 * torch.finfo(like.dtype).eps * scale:
        raise ValueError(
            "op.adjoint must be the transpose of op, but for some x and y the product "
            f"<H x, y> is {products:.6g} and <x, H^T y> is {(x * Hty).sum():.6g}. "
            "check_operator((op, op.adjoint), in_shape) tells more."
        )


def _irregular(shape: tuple[int, ...]) -> Tensor:
    """One image without symmetry, and without a draw, which ``law_of`` would take for noise."""
    return torch.arange(1, math.prod(shape) + 1).double().square().sin().reshape(1, *shape)


def name_of(f: Any) -> str:
    """What a function is called where it was defined, or the class of an object."""
    return str(getattr(f, "__name__", type(f).__name__))


def _of_images(product: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], np.ndarray]:
    """A product with columns as a function of images."""
    return lambda x: product(x.flatten(1).T.numpy()).T


def _knows_transpose(A: Any) -> bool:
    """What else is wrong with it is told when it is used."""
    with suppress(*RAISED):
        try:
            A.rmatvec(np.zeros(A.shape[0]))  # rmatmat without it fails in some way or other
        except NotImplementedError:
            return False
    return True


def said(error: BaseException | None) -> str:
    """What was raised, its class included, as the end of a sentence."""
    text = " ".join([f"{type(error).__name__}:", *str(error).split()]).removesuffix(":")
    return text if text.endswith((".", "!", "?")) else f"{text}."

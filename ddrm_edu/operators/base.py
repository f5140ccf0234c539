r"""The contract of every linear operator: its singular value decomposition (slide 9).

:math:`H = U\,\mathrm{diag}(s)\,V^\top` with the slide's U padded by zero columns to n columns
(or cut to its first n), so that s has one entry per coordinate of x, zeros included.
Nothing outside an operator ever slices, pads or permutes.
"""

from __future__ import annotations

import copy
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from ..boundary import checked
from ..validation import FLOATS, LARGEST, is_batch, require_batch, require_readable

if TYPE_CHECKING:
    import numpy as np
    import pylops
    from scipy.sparse.linalg import LinearOperator

AT_ONCE = 2**20  # numbers in the unit images of one call: 8 MiB
_DOMAIN = {"V": "in_shape", "Vt": "in_shape", "U": "in_shape", "Ut": "out_shape"}


def _guarded(method: Callable[[Any, Tensor], Tensor], name: str) -> Callable[[Any, Tensor], Tensor]:
    """``method`` behind a check of its argument's shape and type."""

    @functools.wraps(method)
    def guarded(self: SVDOperator, x: Tensor) -> Tensor:
        shape = getattr(self, _DOMAIN[name])
        if not is_batch(x, shape):  # asked in every step of every run: no sentence is made up yet
            require_batch(x, shape, f"The argument of {type(self).__name__}.{name}")
        if self.batch is not None and self.batch != len(x):
            raise ValueError(
                f"{type(self).__name__} measures {self.batch} images, each in a way of its own, "
                f"but {name} was given {len(x)}. Make it for as many images as y has, or one of "
                "the weights of a single image for a call of its own."
            )
        return method(self, x)

    return guarded


def _moved(value: Any, *args: Any, **kwargs: Any) -> Any:
    """``value`` with all the tensors in it moved; integers keep their dtype."""
    if isinstance(value, SVDOperator):
        return value.to(*args, **kwargs)
    if isinstance(value, list | tuple):
        return type(value)(_moved(each, *args, **kwargs) for each in value)
    if isinstance(value, Tensor):
        device = torch.empty(0).to(*args, **kwargs).device
        return value.to(*args, **kwargs) if value.is_floating_point() else value.to(device)
    return value


class SVDOperator(ABC):
    r"""A linear map H of images, given by its singular value decomposition.

    A subclass sets three attributes and writes four methods; the rest follows.

    Attributes
    ----------
    in_shape, out_shape : tuple of int
        Shapes of one x and of one y, e.g. ``(3, 32, 32)`` and ``(3, 8, 8)``.
    s : Tensor
        Singular values, broadcastable to ``in_shape``, exact zeros on the null space.  Their order
        is free, because DDRM treats every coordinate by itself.  With one axis more, the first,
        each image of a batch has its own, and the operator takes batches of that size only.

    Notes
    -----
    The methods take any batch size and follow the dtype and device of their argument:

    ======  ==============================================================================
    V, Vt   ``(batch, *in_shape) -> (batch, *in_shape)``; orthogonal, inverse to each other
    U       ``(batch, *in_shape) -> (batch, *out_shape)``; its columns are 0 where s = 0
    Ut      ``(batch, *out_shape) -> (batch, *in_shape)``; the transpose of U, 0 where s = 0
    ======  ==============================================================================

    ``ddrm_edu.check_operator`` tests all of this.  Every subclass, a reader's own included, gets
    its four methods wrapped by a check of shape and type, so a wrong array never broadcasts.

    Examples
    --------
    An operator that sees every coordinate doubled:

    >>> class Twice(SVDOperator):
    ...     def __init__(self, n):
    ...         self.in_shape = self.out_shape = (n,)
    ...         self.s = torch.full((n,), 2.0, dtype=torch.float64)
    ...     def V(self, x): return x.clone()
    ...     def Vt(self, x): return x.clone()
    ...     def U(self, x): return x.clone()
    ...     def Ut(self, y): return y.clone()
    >>> Twice(3)
    Twice((3,) -> (3,), rank 3)
    >>> Twice(3)(torch.ones(1, 3))
    tensor([[2., 2., 2.]])
    """

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    s: Tensor

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _DOMAIN.keys() & vars(cls).keys():
            setattr(cls, name, _guarded(vars(cls)[name], name))
        for name in vars(cls).keys() & {"__init__"}:
            setattr(cls, name, checked(vars(cls)[name]))

    @abstractmethod
    def V(self, x: Tensor) -> Tensor:
        r"""Image :math:`V\bar x` of spectral coordinates."""

    @abstractmethod
    def Vt(self, x: Tensor) -> Tensor:
        r"""Spectral coordinates :math:`\bar x = V^\top x` of an image (S09.3)."""

    @abstractmethod
    def U(self, x: Tensor) -> Tensor:
        r"""Measurement :math:`U\bar x` of spectral coordinates; ignores those with s = 0."""

    @abstractmethod
    def Ut(self, y: Tensor) -> Tensor:
        r"""Spectral coordinates :math:`U^\top y` of a measurement; 0 where s = 0."""

    def __call__(self, x: Tensor) -> Tensor:
        r"""Noiseless measurement :math:`Hx = U\,\mathrm{diag}(s)\,V^\top x` (S09.1).

        Takes ``(batch, *in_shape)``, returns ``(batch, *out_shape)``.
        """
        x_spec = self.Vt(x)
        return self.U(self.s.to(x_spec) * x_spec)

    def adjoint(self, y: Tensor) -> Tensor:
        r""":math:`H^\top y = V\,\mathrm{diag}(s)\,U^\top y`, of shape ``(batch, *in_shape)``."""
        y_spec = self.Ut(y)
        return self.V(self.s.to(y_spec) * y_spec)

    def measure_spec(self, y: Tensor) -> Tensor:
        r"""Spectral measurement :math:`\bar y = \Sigma^+U^\top y`, of shape ``(batch, *in_shape)``.

        Ledger S09.4-S09.6: :math:`\bar y^i\mid x_0\sim N(\bar x_0^i,\sigma_y^2/s_i^2)` where
        :math:`s_i>0`, and 0 where :math:`s_i=0` (slide 9 corrected by errata E3 and E4).
        """
        y_spec = self.Ut(y)
        inverse = 1 / self.s.to(y_spec.device)
        inverse = inverse.nan_to_num(nan=math.nan, posinf=0.0, neginf=0.0)  # 1 / -0 too
        return inverse.to(y_spec) * y_spec

    def pinv(self, y: Tensor) -> Tensor:
        r"""Minimum-norm least-squares solution :math:`H^+y=V\,\mathrm{diag}(s^+)\,U^\top y`."""
        return self.V(self.measure_spec(y))

    @property
    def n(self) -> int:
        """Number of entries of x."""
        return math.prod(self.in_shape)

    @property
    def m(self) -> int:
        """Number of entries of y."""
        return math.prod(self.out_shape)

    @property
    def batch(self) -> int | None:
        """How many images it measures, each with singular values of its own; None: all alike."""
        s = getattr(self, "s", None)
        return len(s) if isinstance(s, Tensor) and s.ndim > len(self.in_shape) else None

    @property
    def rank(self) -> int:
        """Number of coordinates with s > 0; of a batch, of all its images together."""
        return int((self.s.expand(self._spectral_shape) > 0).sum())

    @property
    def _spectral_shape(self) -> tuple[int, ...]:
        return self.in_shape if self.batch is None else (self.batch, *self.in_shape)

    @property
    def pixel_basis(self) -> bool:
        """True if V = I, so that a run may leave it out."""
        return False

    def spectrum(self) -> Tensor:
        """All singular values, one for each entry of x: of shape ``in_shape``, float64, on the CPU.

        ``s`` itself may be broadcast, and lives where the operator does.  Where each image has its
        own, the shape is ``(batch, *in_shape)``.
        """
        return self.s.detach().double().cpu().expand(self._spectral_shape)

    def matrix(self) -> Tensor:
        """H as a dense float64 matrix of shape (m, n), column by column; for small n."""
        return dense_map(self, self.in_shape, self.s.device)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """A copy whose tensors live on another device or have another dtype (as ``Tensor.to``).

        Calling an operator never needs this, it only saves the conversion in every call.
        """
        try:
            dtype = torch.empty(0, dtype=torch.float64).to(*args, **kwargs).dtype
        except (TypeError, RuntimeError, ValueError, AssertionError, OverflowError) as error:
            said = str(error).partition("\n")[0].rstrip(".")
            raise ValueError(
                f"{type(self).__name__}.to takes a floating-point dtype, a device of this machine, "
                f"or both, but was given {args or kwargs}: {said}."
            ) from None
        if dtype not in FLOATS:
            raise ValueError(
                f"An operator computes in floating-point numbers of 16 bits or more, but was asked "
                f"for {dtype}, which would truncate its singular values."
            )
        moved = copy.copy(self)
        for name, value in vars(self).items():
            setattr(moved, name, _moved(value, *args, **kwargs))
        return moved

    def as_scipy(self) -> LinearOperator:
        """H as a ``scipy.sparse.linalg.LinearOperator`` of shape (m, n) acting on flat vectors."""
        from scipy.sparse.linalg import LinearOperator

        def flat(apply: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Callable:
            # (length,) or (length, k), as scipy calls matvec and matmat
            def act(vectors: np.ndarray) -> np.ndarray:
                rows = torch.as_tensor(vectors.T.copy(), dtype=torch.float64).reshape(-1, *shape)
                return apply(rows).flatten(1).T.reshape(-1, *vectors.shape[1:]).numpy()

            return act

        forward, backward = flat(self, self.in_shape), flat(self.adjoint, self.out_shape)
        return LinearOperator(
            (self.m, self.n),
            matvec=forward,
            rmatvec=backward,
            matmat=forward,
            rmatmat=backward,
            dtype="float64",
        )

    def as_pylops(self) -> pylops.LinearOperator:
        """H as a ``pylops.LinearOperator``, which takes and gives flat vectors and single images.

        Raises
        ------
        ImportError
            If the package pylops is not installed.
        """
        try:
            import pylops
        except ImportError as error:
            raise ImportError(
                "as_pylops needs the package pylops: pip install pylops. as_scipy() gives the same "
                "operator and needs nothing more."
            ) from error
        return pylops.LinearOperator(self.as_scipy(), dims=self.in_shape, dimsd=self.out_shape)

    def __repr__(self) -> str:
        images = "" if self.batch is None else f"{self.batch} images, "
        shapes = f"{self.in_shape} -> {self.out_shape}"
        rank = "unknown" if self.s.device.type == "meta" else self.rank
        return f"{type(self).__name__}({shapes}, {images}rank {rank})"


def require_svd(op: Any, what: str) -> None:
    """Raise ``ValueError`` unless ``op`` is an :class:`SVDOperator`."""
    if isinstance(op, list | tuple) and op and all(isinstance(each, SVDOperator) for each in op):
        raise ValueError(
            f"{what} must be one operator, but was a {type(op).__name__} of {len(op)}. If they "
            "measure the same picture, Stacked(parts) is one; masks or weights of each image of a "
            "batch are Diagonal(weights, per_image=True); else restore each image by itself."
        )
    if not isinstance(op, SVDOperator):
        raise ValueError(
            f"{what} must be an operator of this library, but was a {type(op).__name__}. "
            "Make one of a matrix with Dense, of a function with from_function."
        )


def require_one_for_all(op: SVDOperator, what: str) -> None:
    """Raise ``ValueError`` if ``op`` measures each image of a batch in a way of its own."""
    if op.batch is not None:
        raise ValueError(
            f"{what} takes an operator that measures all images alike, but was given {op!r}, whose "
            "singular values differ from image to image. Make one for each image, of its weights."
        )


def in_single(x: Tensor) -> Tensor:
    """``x`` in float32 at least, for algorithms that torch does not have in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def require_singular_values(op: SVDOperator) -> None:
    """Raise ``ValueError`` unless the numbers in ``op.s`` are finite and not negative."""
    require_readable(op.s, "The tensor of singular values op.s")
    require_spectrum(op.s, op)


def require_spectrum(s: Tensor, op: SVDOperator | None = None) -> None:
    """Raise ``ValueError`` unless the singular values ``s`` are finite and not negative."""
    s = s.detach()
    if not ((s >= 0) & (s <= LARGEST)).all():
        of_what = "" if op is None else f"of {op!r} "
        more = "" if op is None else "; check_operator(op) tells what else is wrong"
        raise ValueError(
            f"The singular values {of_what}must be finite and not negative, but range from "
            f"{s.min():.6g} to {s.max():.6g}. Put a sign into U or V{more}."
        )


def dense_map(
    apply: Callable[[Tensor], Tensor],
    in_shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Matrix of a linear map of images, such as ``op.V``: float64, its columns from unit images."""
    unit = torch.eye(math.prod(in_shape), dtype=torch.float64, device=device)
    parts = unit.split(max(1, AT_ONCE // len(unit)))
    rows = [apply(part.reshape(-1, *in_shape)).flatten(1) for part in parts]
    return torch.cat(rows).T.contiguous()

"""Any Python function on images, called in one way, and tried for linearity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..validation import positive_shape, require_finite

__all__ = ["ImageMap", "normal_images"]

# Tried in this order: most functions take several of them, and float64 is the best to have.
_FORMS: tuple[Callable[[Tensor], Any], ...] = (
    lambda x: x.clone(),
    lambda x: x.float(),
    lambda x: x.numpy().copy(),
)


def normal_images(shape: tuple[int, ...], batch: int = 3, seed: int = 0) -> Tensor:
    """Images of independent standard normal numbers, float64, the same in every call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64)


class ImageMap:
    """A function of batches of images as a map from float64 tensors to float64 tensors.

    Parameters
    ----------
    f : callable
        ``(batch, *in_shape) -> (batch, *out_shape)``, on torch tensors (double or single
        precision) or numpy arrays, whichever it takes.
    in_shape : tuple of int
    name : str
        What the messages call it.

    Attributes
    ----------
    out_shape : tuple of int
        Of one measurement; ``(1,)`` if f returns one number per image.
    eps : float
        Rounding unit of what f returns.
    error : float
        The largest relative error of the laws that hold, once they were tried.

    Raises
    ------
    ValueError
        If f cannot be called on a batch, or answers in half precision.
    """

    def __init__(self, f: Callable[[Any], Any], in_shape: tuple[int, ...], name: str):
        self.in_shape = positive_shape(in_shape, "in_shape")
        self._f, self.name = f, name
        self._form = self._working_form()
        y = self._output(normal_images(self.in_shape))
        self.out_shape = tuple(y.shape[1:]) or (1,)
        self.eps = torch.finfo(y.dtype if y.is_floating_point() else torch.float64).eps
        if self.eps > torch.finfo(torch.float32).eps:
            raise ValueError(
                f"{name} must return single or double precision, but returned {y.dtype}. In half "
                "precision rounding cannot be told from a function that is not linear."
            )
        self.error = 0.0
        self.n, self.m = math.prod(self.in_shape), math.prod(self.out_shape)

    def __call__(self, x: Tensor) -> Tensor:
        y = self._output(x)
        if not y.ndim or len(y) != len(x) or y.numel() != len(x) * self.m:
            raise ValueError(
                f"{self.name} must return one measurement of shape {self.out_shape} for each of "
                f"{len(x)} images, but returned {tuple(y.shape)}. {self._wrap()}"
            )
        return y.to(torch.float64).reshape(-1, *self.out_shape)

    @property
    def rounding(self) -> float:
        """The largest relative error that passes for rounding, of a careless function as well."""
        return max(1e-8, 1000 * self.eps * max(self.n, self.m) ** 0.5)

    @property
    def smallest(self) -> float:
        """The size, relative to the largest, of singular values that may be rounding."""
        return max(max(self.n, self.m) * self.eps, 10 * self.error)

    def require_linear(self) -> None:
        """Raise ``ValueError`` that says which law fails, by how much, and why as a rule."""
        f = self.name
        x, z = normal_images(self.in_shape), normal_images(self.in_shape, seed=1)
        y = self(x)
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

    def _working_form(self) -> Callable[[Tensor], Any]:
        x = normal_images(self.in_shape)
        error, answer = None, None
        for form in _FORMS:
            try:
                y = _tensor(self._f(form(x)))
            except Exception as raised:  # a student's function may raise anything
                error = error or raised
                continue
            if y.ndim and len(y) == len(x):
                return form
            answer = f"returned the shape {tuple(y.shape)}"
        if self._takes_single_images(x[0]):
            raise ValueError(f"{self.name} takes a single image, not a batch. {self._wrap()}")
        raise ValueError(
            f"{self.name} must take a batch of images of shape {tuple(x.shape)} (torch or numpy) "
            f"and return as many measurements, but {answer or f'raised: {error}'}. "
            f"Is in_shape = {self.in_shape} the shape of one image?"
        ) from error

    def _takes_single_images(self, image: Tensor) -> bool:
        for form in _FORMS:
            try:
                _tensor(self._f(form(image)))
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
        y = _tensor(self._f(self._form(x)))
        if y.is_complex():
            raise ValueError(
                f"{self.name} must return real numbers, but returned {y.dtype}. Return .real, or "
                "the real and the imaginary part as two channels."
            )
        return y


def _tensor(y: Any) -> Tensor:
    """``y`` on the CPU; numpy arrays with any strides are copied."""
    return y.detach().cpu() if isinstance(y, Tensor) else torch.from_numpy(np.array(y))

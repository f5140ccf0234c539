"""One operator, the truth about it, and the random images on which both are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..operators import SVDOperator
from ..validation import real_tensor

__all__ = ["EPS", "Trial", "distance", "sentence"]

EPS = torch.finfo(torch.float64).eps


class Trial:
    """An operator, the truth about it, and the random images on which both are tried."""

    def __init__(self, op: SVDOperator, H: Any, seed: int):
        self.op, self._H, self._seed = op, H, seed
        self.truth = None if H is None else self._apply_truth

    @cached_property
    def s(self) -> Tensor:
        return self.op.s.detach().double().cpu().expand(self.op.in_shape)

    @cached_property
    def seen(self) -> Tensor:
        """1 where s > 0, else 0."""
        return (self.s > 0).to(torch.float64)

    @cached_property
    def condition(self) -> float:
        positive = self.s[self.s > 0]
        return float(positive.max() / positive.min()) if len(positive) else 1.0

    @cached_property
    def bound(self) -> float:
        """Rounding: each entry of an orthogonal map sums up to n products."""
        return 100 * EPS * self.op.n**0.5

    @cached_property
    def _images(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(self._seed)
        shapes = [self.op.in_shape, self.op.in_shape, self.op.out_shape]
        draw = lambda shape: torch.randn((3, *shape), generator=generator, dtype=torch.float64)  # noqa: E731
        return [draw(shape) for shape in shapes]

    # Copies, because a method that writes into its argument would spoil all other laws.
    x = property(lambda self: self._images[0].clone())
    a = property(lambda self: self._images[1].clone())
    y = property(lambda self: self._images[2].clone())

    def methods(self) -> Iterator[tuple[str, Callable[[Tensor], Tensor], Tensor]]:
        """Name, method and an argument of the four methods that a subclass writes."""
        for name in ("V", "Vt", "U", "Ut"):
            yield name, getattr(self.op, name), self.y if name == "Ut" else self.x

    @cached_property
    def _matrix(self) -> Tensor:
        matrix = real_tensor(self._H, "H")
        m, n = self.op.m, self.op.n
        if matrix.shape != (m, n):
            hint = "Is it transposed?" if matrix.shape == (n, m) else "It acts on flattened images."
            raise ValueError(
                f"H must have shape ({m}, {n}) for this operator, but has {tuple(matrix.shape)}. "
                f"{hint}"
            )
        return matrix

    def _apply_truth(self, x: Tensor) -> Tensor:
        if callable(self._H):
            return torch.as_tensor(self._H(x))
        return (x.flatten(1) @ self._matrix.T).reshape(-1, *self.op.out_shape)


def distance(got: Tensor, want: Tensor) -> float:
    """Largest difference, relative to the largest entry of ``want`` (absolute if that is 0)."""
    if got.shape != want.shape:
        raise ValueError(f"shape {tuple(got.shape)} instead of {tuple(want.shape)}.")
    return float((got - want).abs().max() / (want.abs().max().item() or 1.0))


def sentence(raised: Exception) -> str:
    """What was raised in one line that ends in a full stop."""
    text = " ".join(str(raised).split()) or type(raised).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."

r"""Several measurements of one picture: the rows of H are those of several maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..validation import EPS, finite_tensor, require_batch, require_readable
from .base import SVDOperator
from .compose import require_operator
from .linear_map import normal_images


class Stacked(SVDOperator):
    r"""Several measurements of one picture, :math:`y_i=H_ix+z_i`, as one (ledger S09.1).

    Where the :math:`H_i=U_i\,\mathrm{diag}(s_i)\,V^\top` share their V, with weights w_i

    .. math:: \begin{pmatrix}w_1H_1\\w_2H_2\\\vdots\end{pmatrix}=U\,\mathrm{diag}(s)\,V^\top,\qquad
              s=\sqrt{\textstyle\sum_iw_i^2s_i^2},\qquad
              U=\begin{pmatrix}U_1\,\mathrm{diag}(w_1s_1/s)\\U_2\,\mathrm{diag}(w_2s_2/s)\\\vdots
              \end{pmatrix}.

    Noise of standard deviation sigma_i in y_i becomes noise of 1 in y with w_i = 1 / sigma_i.

    Parameters
    ----------
    parts : sequence of SVDOperator
        Of images of one shape.  All H_i^T H_i must be diagonal in the V of one of them: masks and
        weights are, with each other, circular blurs by any kernels, Fourier masks, separable blurs
        by one kernel, and :class:`Denoising` with everything.
    weights : sequence of float, optional
        w_i, positive; 1 for all by default.

    Notes
    -----
    ``out_shape`` is ``(m,)``: the measurements, flattened, each times its weight, one after the
    other, as :meth:`join` makes it.

    Raises
    ------
    ValueError
        If there is no common V, or the parts are no operators on images of one shape, or a weight
        is not positive.

    Examples
    --------
    The same picture blurred, with little noise, and sharp, with much:

    >>> from ddrm_edu import CircularBlur, Denoising
    >>> blur = CircularBlur((3, 32, 32), torch.full((3, 3), 1 / 9))
    >>> op = Stacked([blur, Denoising((3, 32, 32))], weights=[1 / 0.01, 1 / 0.3])
    >>> op
    Stacked((3, 32, 32) -> (6144,), rank 3072)
    >>> y = op.join(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))  # for sigma_y = 1
    """

    def __init__(self, parts: Sequence[SVDOperator], weights: Sequence[float] | None = None):
        self._parts = list(parts) if isinstance(parts, Sequence) else [parts]
        for part in self._parts:
            require_operator(part, "Each part")
        if not self._parts or len({part.in_shape for part in self._parts}) > 1:
            given = ", ".join(map(repr, self._parts)) or "none"
            raise ValueError(
                f"parts must be operators on images of one shape, at least one, but were {given}. "
                "Regions of one image, each with an operator of its own, are a DirectSum."
            )
        self._weights = _positive([1.0] * len(self._parts) if weights is None else weights)
        if len(self._weights) != len(self._parts):
            raise ValueError(
                f"weights must hold one number for each of {len(self._parts)} parts, but held "
                f"{len(self._weights)}."
            )
        self.in_shape = self._parts[0].in_shape
        self.out_shape = (sum(part.m for part in self._parts),)
        self._basis, self._same, values = _common_basis(self._parts)
        scaled = [w * s for w, s in zip(self._weights, values, strict=True)]
        weighted = torch.stack(torch.broadcast_tensors(*scaled))
        size = weighted.amax() or 1.0  # squares of tiny or huge numbers would leave float64
        self.s = (weighted / size).square().sum(0).sqrt() * size
        self._shares = [part / self.s.where(self.s > 0, 1.0) for part in weighted]

    def join(self, *ys: Tensor) -> Tensor:
        """y of the measurements of the parts, each of shape ``(batch, *part.out_shape)``.

        Raises
        ------
        ValueError
            If there are not as many as parts, or one has another shape.
        """
        if len(ys) != len(self._parts):
            raise ValueError(
                f"join takes one measurement for each of {len(self._parts)} parts, but was given "
                f"{len(ys)}."
            )
        for i, (part, y) in enumerate(zip(self._parts, ys, strict=True)):
            require_batch(y, part.out_shape, f"Measurement {i + 1}")
            require_readable(y, f"Measurement {i + 1}")
        if len({len(y) for y in ys}) > 1:
            raise ValueError(
                "join takes measurements of the same images, but the batches had the sizes "
                f"{', '.join(str(len(y)) for y in ys)}. Measure each image by every part."
            )
        return self._flat([w * y for w, y in zip(self._weights, ys, strict=True)])

    def split(self, y: Tensor) -> tuple[Tensor, ...]:
        """The measurements of the parts, without their weights: the inverse of :meth:`join`."""
        require_batch(y, self.out_shape, "y")
        pieces = zip(self._weights, self._pieces(y), strict=True)
        return tuple(piece / w for w, piece in pieces)

    def V(self, x: Tensor) -> Tensor:
        return self._parts[self._basis].V(x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._parts[self._basis].Vt(x)

    @property
    def pixel_basis(self) -> bool:
        return self._parts[self._basis].pixel_basis

    def U(self, x: Tensor) -> Tensor:
        ys = []
        for part, same, share in zip(self._parts, self._same, self._shares, strict=True):
            own = share.to(x) * x
            ys.append(part.U(own if same else part.Vt(self.V(own))))
        return self._flat(ys)

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), *self.in_shape)
        pieces = self._pieces(y)
        for part, same, share, piece in zip(
            self._parts, self._same, self._shares, pieces, strict=True
        ):
            own = part.Ut(piece)
            spec.addcmul_(share.to(y), own if same else self.Vt(part.V(own)))
        return spec

    @staticmethod
    def _flat(ys: list[Tensor]) -> Tensor:
        return torch.cat([y.flatten(1) for y in ys], dim=1)

    def _pieces(self, y: Tensor) -> list[Tensor]:
        pieces = y.split([part.m for part in self._parts], dim=1)
        return [
            piece.reshape(-1, *part.out_shape)
            for part, piece in zip(self._parts, pieces, strict=True)
        ]


def _positive(weights: Any) -> list[float]:
    weights = finite_tensor(weights, "weights")
    if weights.ndim != 1 or not (weights > 0).all():
        raise ValueError(
            "weights must be positive numbers, one for each part, but were "
            f"{weights.tolist()}. For noise of standard deviation sigma_i they are 1 / sigma_i; "
            "a measurement without noise has none: take the rounding of its numbers for sigma_i."
        )
    return weights.tolist()


def _common_basis(parts: list[SVDOperator]) -> tuple[int, list[bool], list[Tensor]]:
    """Which part has a V in which all are diagonal, which others have it, and their s there."""
    for k, candidate in enumerate(parts):
        found = [_seen_from(candidate, part) for part in parts]
        values = [values for _, values in found if values is not None]
        if len(values) == len(parts):
            return k, [same for same, _ in found], values
    names = ", ".join(type(part).__name__ for part in parts)
    raise ValueError(
        f"There is no V in which all of {names} are diagonal, so their stack has no exact SVD that "
        "is made of theirs. For a small image use Dense(torch.cat([part.matrix() for part in "
        "parts]), in_shape); several weighted sums of the same patches are one BlockOperator; for "
        "a large one restore(method='diffpir') or 'moment-matching' needs H and H^T only, as a "
        "LinearMap of f and its transpose."
    )


def _seen_from(basis: SVDOperator, part: SVDOperator) -> tuple[bool, Tensor | None]:
    r"""Whether ``part`` has the V of ``basis``, and its singular values in that order, or None.

    With :math:`Q=V_i^\top V` the map is :math:`U_iQ\,\mathrm{diag}(s')\,V^\top` if
    :math:`Q^\top\mathrm{diag}(s_i)\,Q` is a diagonal, s'; every guess is tried on random images.
    """
    s = part.s.detach().double().cpu()
    if part is basis or (part.pixel_basis and basis.pixel_basis):
        return True, s
    x = normal_images(part.in_shape, 3, seed=4).to(part.s.device)
    rounding = 1000 * EPS * part.n**0.5
    if float((part.V(x) - basis.V(x)).abs().max()) <= rounding:
        return True, s
    x[0] = x[0].sign()  # what comes back from it shows s', the others try it
    back = basis.Vt(part.V(part.s * part.Vt(basis.V(x)))).cpu()
    seen, values = (back[0] * x[0].cpu()).contiguous(), s.unique()  # s' is s in another order
    place = torch.bucketize(seen, (values[1:] + values[:-1]) / 2)
    nearest = values[place]
    agrees = (back - nearest * x.cpu()).abs().max() <= rounding * s.max()
    return False, nearest if bool(agrees) else None

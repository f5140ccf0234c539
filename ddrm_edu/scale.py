r"""The scale of a measurement: from a file's own numbers to [-1, 1], through H.

Networks know pictures in [-1, 1], files hold [0, 1], 0..255 or 0..65535.  For a picture the change
is :math:`x=(2v-(a+b)\,1)/(b-a)`, with black a and white b.  A *measurement* :math:`y=Hv+z` of
it is not a picture, and changes with H:

.. math:: y' = Hx + \frac{2z}{b-a} = \frac{2y-(a+b)\,H1}{b-a}.

Only where the rows of H sum to 1 (masks, means, circular blurs of unit sum) is that the same
formula.  For a blur with black beyond the border, or a sum of channels, it is not: there 0 is
mid-grey on [-1, 1], but black on [0, 1].
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from .boundary import checked
from .operators import LinearMap, SVDOperator
from .validation import require_batch, require_floating, require_level

AT_ONCE = 2**20  # numbers that are in float64 at a time


@checked
def to_symmetric(
    y: Tensor, op: SVDOperator | LinearMap | None = None, *, low: float = 0.0, high: float = 1.0
) -> Tensor:
    r"""The measurement y of a picture in [low, high] as that of the same picture in [-1, 1].

    :math:`(2y-(a+b)\,H1)/(b-a)` with a = ``low`` and b = ``high``: H of the new picture, because
    the change of scale goes through H.  ``2 * y - 1`` is right only where the rows of H sum to 1.

    Parameters
    ----------
    y : Tensor, shape (batch, *out_shape)
        Floating-point, in the units of the picture.
    op : SVDOperator or LinearMap, optional
        H; without it y is the picture itself.
    low, high : float
        Black and white of the picture: 0 and 255 for bytes, 0 and 65535 for 16 bits.

    Returns
    -------
    Tensor, of the shape, dtype and device of y
        To restore it, the noise is on this scale as well: ``sigma_y * 2 / (high - low)``.

    Raises
    ------
    ValueError
        For a y of another shape or of integers, or a range that is none.

    Examples
    --------
    A sum of three channels, each half-way between black and white:

    >>> from ddrm_edu import Colorization
    >>> op = Colorization((3, 1, 1), weights=(1.0, 1.0, 1.0))
    >>> y = torch.tensor([[[[1.5]]]], dtype=torch.float64)
    >>> to_symmetric(y, op).round(decimals=6).abs()  # 2 * y - 1 would be 2
    tensor([[[[0.]]]], dtype=torch.float64)
    """
    require_range(low, high)
    if op is None:
        require_floating(y, "y")
        ones = y.new_ones(())
    else:
        require_batch(y, op.out_shape, "y")
        images = getattr(op, "batch", None) or 1
        ones = op(torch.ones(images, *op.in_shape, dtype=y.dtype, device=y.device))
    return (2 * y).sub_((low + high) * ones).div_(high - low)


@checked
def from_symmetric(x: Tensor, *, low: float = 0.0, high: float = 1.0) -> Tensor:
    """A picture in [-1, 1] on the scale [low, high]: the inverse of ``to_symmetric(x)``.

    Raises
    ------
    ValueError
        For integers, or a range that is none.

    Examples
    --------
    >>> from_symmetric(torch.tensor([-1.0, 0.0, 1.0]), high=255)
    tensor([  0.0000, 127.5000, 255.0000])
    """
    require_range(low, high)
    require_floating(x, "x")
    return (x * (high - low) + (low + high)) / 2


def require_range(low: float, high: float) -> None:
    """Raise ``ValueError`` unless low < high, both finite."""
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            f"The range of a picture goes from black to white, low < high, both finite, but was "
            f"{low:g} to {high:g}. Bytes have 0 and 255."
        )


def warn_if_out_of_range(op: SVDOperator, y: Tensor, sigma_y: float) -> None:
    r"""Warn if :math:`H^+y` leaves [-1, 1] by more than H and noise of sigma_y explain.

    Without noise :math:`H^+y` is what H keeps of a picture on [-1, 1].  It leaves that range by no
    more than what H loses, whose mean square is at most 1 less that of :math:`H^+y`, and not at all
    if H loses nothing.  Noise adds :math:`\frac1n\sum\sigma_y^2/s_i^2`; half as much again is
    allowed, and :math:`0.1^2`.  More than that was on another scale (0..255 in the place of
    [-1, 1], or changed without H), or holds more noise than sigma_y says, which small singular
    values enlarge.  A y on [0, 1] is not noticed where it could be that of a bright picture.
    """
    s = op.s.detach().double().cpu()
    noise = require_level(sigma_y, "sigma_y")
    s = (s if op.batch else s[None]).flatten(1)  # for each image, or for all; it may be broadcast
    explained = (noise / s.where(s > 0, math.inf)).square().mean(1)
    kept = op.pinv(y).flatten(1)
    squares = [
        torch.stack([piece.square().sum(1), (piece.abs() - 1).clamp(min=0).square().sum(1)])
        for piece in map(torch.Tensor.double, kept.split(AT_ONCE, 1))
    ]
    power, beyond = (torch.stack(squares).sum(0) / kept.shape[1]).cpu()
    found = beyond - (1 - power).clamp(min=0) * (s == 0).any(1)
    if (too_far := found - 1.5 * explained > 0.01).any():
        worst = found.where(too_far, 0.0).argmax()
        left, due = (float(a.expand_as(found)[worst].sqrt()) for a in (found, explained))
        warnings.warn(
            f"H^+ y leaves the range [-1, 1] of pictures by {left:.3g} (root mean "
            "square) more than what H loses of a picture explains, and noise of sigma_y = "
            f"{noise:.3g} explains {due:.3g} of it. "
            "Is y on another scale, [0, 1] or 0..255? to_symmetric(y, op, low=, high=) changes it "
            "through H. Or is there more noise in y than sigma_y, rounding included?",
            stacklevel=3,
        )

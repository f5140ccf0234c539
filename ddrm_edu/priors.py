"""Priors whose denoiser and posterior are known in closed form (slide 2 and beyond)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .noise import Generators, standard_normal
from .operators import SVDOperator
from .validation import real_tensor, require_batch, require_finite, require_level

__all__ = ["GaussianPosterior", "GaussianPrior"]


class GaussianPosterior(NamedTuple):
    """p(x | y) for each measurement of a batch: one mean each, one covariance for all."""

    mean: Tensor  #: (batch, *shape)
    cov: Tensor  #: (n, n)


class GaussianPrior:
    r"""Images drawn from N(mean, cov), with the exact denoiser and the exact posterior.

    Ledger section 4: :math:`E[x_0\mid x_t]=m+C(C+\sigma_t^2I)^{-1}(x_t-m)`.  The prior itself is a
    denoiser, ``prior(x, sigma)``.

    Parameters
    ----------
    mean : Tensor of any shape
        Its shape is that of one image, with n entries in all.
    cov : Tensor, shape (n, n)
        Covariance of the image flattened row by row; symmetric, no negative eigenvalue.

    Raises
    ------
    ValueError
        If the shapes do not fit or ``cov`` is not a covariance matrix.

    Examples
    --------
    >>> prior = GaussianPrior(torch.zeros(1), torch.tensor([[4.0]]))
    >>> prior(torch.tensor([[5.0]]), 1.0)  # 4 / (4 + 1) of what is seen
    tensor([[4.]])
    """

    def __init__(self, mean: Tensor, cov: Tensor):
        self.mean = real_tensor(mean, "mean")
        self.cov = real_tensor(cov, "cov")
        self.shape = tuple(self.mean.shape)
        n = self.mean.numel()
        if self.cov.shape != (n, n):
            raise ValueError(
                f"cov must have shape ({n}, {n}) for a mean with {n} entries, "
                f"but had {tuple(self.cov.shape)}."
            )
        require_finite(self.mean, "mean")
        require_finite(self.cov, "cov")
        self._eigenvalues, self._axes = torch.linalg.eigh(self.cov)
        smallest, largest = self._eigenvalues[[0, -1]].tolist()
        asymmetry = (self.cov - self.cov.T).abs().max().item()
        rounding = 1e-10 * max(largest, 0.0)
        if asymmetry > rounding or smallest < -rounding:
            raise ValueError(
                "cov must be symmetric without negative eigenvalues, but its asymmetry is "
                f"{asymmetry:.3g} and its smallest eigenvalue {smallest:.3g}. "
                "For a matrix A of any kind, A @ A.T is a covariance."
            )
        self._eigenvalues = self._eigenvalues.clamp(min=0)  # rounding only, as just checked

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Exact denoiser :math:`E[x_0\mid x_t=x]` at level ``sigma``, of the shape of ``x``."""
        require_batch(x, self.shape, "x")
        variance = require_level(sigma, "sigma") ** 2
        if variance == 0:
            return x.clone()
        gain = self._eigenvalues / (self._eigenvalues + variance)
        axes, mean = self._axes.to(x), self.mean.to(x)
        centred = (x - mean).flatten(1) @ axes
        return mean + (centred * gain.to(x) @ axes.T).reshape(x.shape)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws from the prior, float64, of shape ``(batch, *shape)``."""
        z = standard_normal(self.mean.expand(batch, *self.shape).flatten(1), generator)
        return self.mean + (z * self._eigenvalues.sqrt() @ self._axes.T).reshape(-1, *self.shape)

    def posterior(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> GaussianPosterior:
        r"""The exact :math:`p(x\mid y)` for :math:`y=Hx+z` (S02.3); ``sigma_y = 0`` is allowed.

        Parameters
        ----------
        op : SVDOperator
            With ``in_shape`` equal to the prior's shape.
        y : Tensor, shape (batch, *out_shape)

        Returns
        -------
        GaussianPosterior
            ``mean (batch, *shape)`` and ``cov (n, n)``, float64.
        """
        require_batch(y, op.out_shape, "y")
        require_finite(y, "y")
        sigma_y = require_level(sigma_y, "sigma_y")
        if tuple(op.in_shape) != self.shape:
            raise ValueError(
                f"The operator acts on images of shape {tuple(op.in_shape)}, "
                f"but the prior's have shape {self.shape}. Build both for one shape."
            )
        # In the spectral coordinates that were measured, where no small s is ever squared.
        s = op.s.to(self.cov).expand(self.shape).flatten()
        seen = s > 0
        unit = torch.eye(len(s), dtype=torch.float64).to(s).reshape(-1, *self.shape)
        Vt = op.Vt(unit).flatten(1).T[seen]
        cross = self.cov @ Vt.T
        cov_y = Vt @ cross + torch.diag((sigma_y / s[seen]) ** 2)
        # pinv, because without noise a singular prior leaves cov_y singular; scaled to a diagonal
        # of ones, because otherwise it takes precise coordinates beside noisy ones for zeros.
        scale = cov_y.diagonal().clamp(min=torch.finfo(s.dtype).tiny).rsqrt()
        gain = cross * scale @ torch.linalg.pinv(scale[:, None] * cov_y * scale, hermitian=True)
        gain = gain * scale
        residual = op.measure_spec(y.to(self.mean)).flatten(1)[:, seen] - Vt @ self.mean.flatten()
        mean = self.mean + (residual @ gain.T).reshape(-1, *self.shape)
        cov = self.cov - gain @ cross.T
        return GaussianPosterior(mean, (cov + cov.T) / 2)

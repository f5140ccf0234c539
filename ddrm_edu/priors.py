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

    Attributes
    ----------
    eigenvalues : Tensor, shape (n,)
        Variances along the principal axes, in increasing order.
    axes : Tensor, shape (n, n)
        The principal axes as columns: ``cov = axes @ diag(eigenvalues) @ axes.T``.

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
        self.eigenvalues, self.axes = torch.linalg.eigh(self.cov)
        smallest, largest = self.eigenvalues[[0, -1]].tolist()
        asymmetry = (self.cov - self.cov.T).abs().max().item()
        rounding = 1e-10 * max(largest, 0.0)
        if asymmetry > rounding or smallest < -rounding:
            raise ValueError(
                "cov must be symmetric without negative eigenvalues, but its asymmetry is "
                f"{asymmetry:.3g} and its smallest eigenvalue {smallest:.3g}. "
                "For a matrix A of any kind, A @ A.T is a covariance."
            )
        self.eigenvalues = self.eigenvalues.clamp(min=0)  # rounding only, as just checked

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Exact denoiser :math:`E[x_0\mid x_t=x]` at level ``sigma``, of the shape of ``x``."""
        require_batch(x, self.shape, "x")
        variance = require_level(sigma, "sigma") ** 2
        if variance == 0:
            return x.clone()
        gain = self.eigenvalues / (self.eigenvalues + variance)
        axes, mean = self.axes.to(x), self.mean.to(x)
        centred = (x - mean).flatten(1) @ axes
        return mean + (centred * gain.to(x) @ axes.T).reshape(x.shape)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws from the prior, float64, of shape ``(batch, *shape)``."""
        z = standard_normal(self.mean.expand(batch, *self.shape).flatten(1), generator)
        return self.mean + (z * self.eigenvalues.sqrt() @ self.axes.T).reshape(-1, *self.shape)

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
        gain, cov = self.posterior_map(op, sigma_y=sigma_y)
        residual = op.measure_spec(y.to(self.mean)) - op.Vt(self.mean[None])
        mean = self.mean + (residual.flatten(1) @ gain.T).reshape(-1, *self.shape)
        return GaussianPosterior(mean, cov)

    def posterior_map(self, op: SVDOperator, *, sigma_y: float) -> tuple[Tensor, Tensor]:
        r"""Gain and covariance of the posterior, which are the same for every y.

        Ledger section 4: :math:`E[x\mid y]=m+B(\bar y-V^\top m)`, in the spectral coordinates
        that were measured, where no small singular value is ever squared.

        Returns
        -------
        gain : Tensor, shape (n, n)
            B, from spectral coordinates to the flattened image; its columns are 0 where s = 0.
        cov : Tensor, shape (n, n)
            :math:`\mathrm{Cov}[x\mid y]` of the flattened image.
        """
        seen, Vt, var_y = _measured(self, op, sigma_y)
        cross = self.cov @ Vt.T
        cov_y = Vt @ cross + torch.diag(var_y)
        # pinv, because without noise a singular prior leaves cov_y singular; scaled to a diagonal
        # of ones, because otherwise it takes precise coordinates beside noisy ones for zeros.
        scale = cov_y.diagonal().clamp(min=torch.finfo(cov_y.dtype).tiny).rsqrt()
        gain = torch.zeros_like(self.cov)
        gain[:, seen] = scale * (
            cross * scale @ torch.linalg.pinv(scale[:, None] * cov_y * scale, hermitian=True)
        )
        cov = self.cov - gain[:, seen] @ cross.T
        return gain, (cov + cov.T) / 2


def _measured(
    prior: GaussianPrior, op: SVDOperator, sigma_y: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Which spectral coordinates have s > 0, their rows of V^T, and the variance of y_spec there.

    Dense, float64, after checking that the operator fits the prior.
    """
    sigma_y = require_level(sigma_y, "sigma_y")
    if tuple(op.in_shape) != prior.shape:
        raise ValueError(
            f"The operator acts on images of shape {tuple(op.in_shape)}, "
            f"but the prior's have shape {prior.shape}. Build both for one shape."
        )
    s = op.s.to(prior.mean).expand(prior.shape).flatten()
    seen = s > 0
    unit = torch.eye(len(s), dtype=torch.float64).to(s).reshape(-1, *prior.shape)
    return seen, op.Vt(unit).flatten(1).T[seen], (sigma_y / s[seen]) ** 2

r"""Denoisers that see y: guesses of :math:`E[x_0\mid x_t,y]`, for the loop of DDPM and DDIM.

A denoiser knows :math:`\hat x_0=E[x_0\mid x_t]` only.  If :math:`p(x_0\mid x_t)` were
:math:`N(\hat x_0,K)`, the measurement y = H x_0 + z would move its mean to

    x0_hat + K H^T (H K H^T + sigma_y^2 I)^-1 (y - H x0_hat),

and the methods differ in the K that they put there:

    DDNM            K = v I with v -> infinity: what was measured is replaced
    DiffPIR         K = sigma^2 / lambda I
    PiGDM           K = sigma^2 J^T on the left, r^2 I in the inverse;  J = d x0_hat / d x
    MomentMatching  K = sigma^2 J^T, as far as its iteration has solved the system
    ExactDenoiser   no approximation, for the priors in closed form

Tweedie's second formula says that :math:`\sigma^2J=\mathrm{Cov}[x_0\mid x_t]`, so for a Gaussian
prior moment matching is exact (ledger Y01); for others p(x_0 | x_t) is not Gaussian.

Each object is a denoiser itself: ``ddpm_samples(DDNM(denoiser, op, y, sigma_y=0), shape, sigmas)``
runs from noise to an image that fits y.  Do not hand one to ``ddrm_samples``: DDRM's step uses y
as well, so that y would count twice (ledger Y07 has the law of what comes out).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .boundary import checked
from .denoisers import Level
from .diffusion import Denoiser, require_finite_image, require_image
from .operators import SVDOperator
from .operators.base import require_singular_values
from .operators.linear_map import LinearMap, require_transpose
from .schedule import NoiseSchedule
from .validation import (
    LARGEST,
    is_integer,
    real_tensor,
    require_batch,
    require_finite,
    require_floating,
    require_level,
    require_one_shape,
    require_positive,
)

MOST_STEPS = 1000  # of an iteration that is to converge
CONVERGED = 1e-10  # relative residual at which it has, in double precision

Images = Callable[[Tensor], Tensor]
"""A linear map of batches of images."""


class Cost(NamedTuple):
    """What one call takes: evaluations of the denoiser, and vector-Jacobian products.

    ``vjps`` is None where it depends on the numbers: until an iteration has converged.
    """

    evaluations: int
    vjps: int | None


@checked
def unit_prior_variance(sigma: float) -> float:
    r""":math:`r^2=\sigma^2/(1+\sigma^2)`: variance of x_0 given x_t under the prior N(0, I)."""
    sigma = require_level(sigma, "sigma")
    return sigma**2 / (1 + sigma**2)


@checked
def with_covariance(denoiser: Denoiser, x: Tensor, sigma: Tensor) -> tuple[Tensor, Images]:
    r"""``x0_hat`` and the map :math:`v\mapsto\sigma^2J^\top v` with :math:`J=d\hat x_0/dx`.

    One forward pass; each call of the map is one vector-Jacobian product.  For
    :math:`\hat x_0=E[x_0\mid x_t]` the map is :math:`\mathrm{Cov}[x_0\mid x_t]` (Tweedie's second
    formula); the J of a network is not symmetric, and its transpose is what is meant here.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``, differentiable by torch, each image by itself.
    x : Tensor, shape (batch, *image_shape)
        Not changed; no graph leads to it or out of here, but the map keeps its own while it lives.
    sigma : Tensor, 0-dimensional

    Returns
    -------
    x0_hat : Tensor, of the shape of x
    covariance : callable

    Raises
    ------
    ValueError
        If no gradient leads from x0_hat to x, or the denoiser returns NaN or another shape.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior
    >>> prior = GaussianPrior(torch.zeros(1), torch.tensor([[4.0]]))
    >>> x0_hat, covariance = with_covariance(prior, torch.tensor([[5.0]]), torch.tensor(1.0))
    >>> covariance(torch.ones(1, 1))  # 4 - 4^2 / (4 + 1)
    tensor([[0.8000]])
    """
    require_floating(x, "x")
    require_level(sigma, "sigma")
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        x0_hat = denoiser(leaf.clone(), sigma.clone())  # clones: it may work in place
    require_image(x0_hat, x)
    require_finite_image(x0_hat.detach().to(x.dtype), x, sigma)
    no_gradient = ValueError(
        "The denoiser must be differentiable by torch, but its x0_hat does not depend on x by any "
        "graph. Does it run under torch.no_grad(), detach its result, or compute in numpy? DDNM "
        "and DiffPIR need no gradient."
    )
    if not x0_hat.requires_grad:
        raise no_gradient

    def covariance(v: Tensor) -> Tensor:
        require_floating(v, "v")
        if v.shape != x.shape:
            raise ValueError(
                f"v must have the shape of x, {tuple(x.shape)}, but had {tuple(v.shape)}."
            )
        (pulled,) = torch.autograd.grad(
            x0_hat, leaf, v.to(x0_hat), retain_graph=True, allow_unused=True
        )
        if pulled is None:
            raise no_gradient
        return float(sigma) ** 2 * pulled

    return x0_hat.detach().to(x.dtype), covariance


# ------------------------------------------------------------------------------ what all share


@checked
class SeesY:
    r"""A denoiser that sees y: ``guided(x, sigma) -> x0_hat``, for x of the batch of y.

    A subclass writes :meth:`guided`.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma) -> x0_hat``, which does not see y.
    op : SVDOperator
        The measurement H.  :class:`DDNM`, :class:`DiffPIR` and :class:`MomentMatching` need H and
        H^T only: they take a :class:`ddrm_edu.LinearMap` as well, or any object with ``op(x)``,
        ``op.adjoint(y)``, ``in_shape`` and ``out_shape``.
    y : Tensor, shape (batch, *out_shape)
        The measurement :math:`y=Hx_0+z,\ z\sim N(0,\sigma_y^2I)`.
    sigma_y : float
        Standard deviation of the noise in y, in the units of y; 0 is allowed.

    Attributes
    ----------
    needs : str
        What the method needs: of the denoiser its gradient, of H its SVD or products only.
    cost : Cost
        What one call takes.
    schedule : NoiseSchedule or None
        The denoiser's own.

    Raises
    ------
    ValueError
        For y of another shape, integer or not finite, a sigma_y out of range, or an H that has not
        what the method needs; when called, for x of another shape or batch.
    """

    needs = "svd"
    cost = Cost(evaluations=1, vjps=0)
    op: Any

    def __init__(self, denoiser: Denoiser, op: Any, y: Tensor, *, sigma_y: float) -> None:
        name = type(self).__name__
        if not callable(denoiser):
            raise ValueError(
                f"{name} takes (denoiser, op, y), the denoiser a callable denoiser(x, sigma), but "
                f"was given a {type(denoiser).__name__}."
            )
        has_svd = isinstance(op, SVDOperator)
        if not has_svd and "svd" in self.needs:
            raise ValueError(
                f"{name} needs the singular values of H, but op was a {type(op).__name__}. "
                "as_operator(H, in_shape) decomposes H; DDNM, DiffPIR and MomentMatching need H "
                "and H^T only."
            )
        if isinstance(op, LinearMap):
            op = op.with_transpose()
        if not has_svd:
            require_transpose(op, y)
        require_batch(y, op.out_shape, "y")
        require_finite(y, "y")
        self.denoiser, self.op, self.y = denoiser, op, y.detach().clone()
        self.sigma_y = require_level(sigma_y, "sigma_y")
        self._left = torch.zeros(0)
        if has_svd:
            require_singular_values(op)
            self.s = op.s.detach().double().cpu()  # in float64, which op.to(y) may round
            self.op = op.to(y)
            self.y_spec = self.op.measure_spec(self.y)

    @property
    def schedule(self) -> NoiseSchedule | None:
        return getattr(self.denoiser, "schedule", None)

    @property
    def residual(self) -> float:
        """Of the iteration in the last call, over what it began with; the largest of the batch.

        0 if there was none, because the SVD of H says the solution.
        """
        return float(self._left.max()) if len(self._left) else 0.0

    @torch.no_grad()
    def __call__(self, x: Tensor, sigma: Level) -> Tensor:
        """The guess of E[x_0 | x_t = x, y] at a level sigma > 0, of the shape and dtype of x."""
        require_batch(x, self.op.in_shape, "x")
        if len(x) != len(self.y):
            raise ValueError(
                f"x must have one image for each of the {len(self.y)} measurements, but has "
                f"{len(x)}. For several draws of one y repeat it: y.expand({len(x)}, ...)."
            )
        require_positive(sigma, "sigma", "At sigma = 0 the image is clean already.")
        return self._mean(x, torch.as_tensor(sigma, dtype=torch.float64, device="cpu"))

    def _mean(self, x: Tensor, sigma: Tensor) -> Tensor:
        if self.cost.vjps != 0:
            x0_hat, covariance = with_covariance(self.denoiser, x, sigma)
        else:
            x0_hat, covariance = self.denoiser(x.clone(), sigma.clone()), _no_gradient
            require_image(x0_hat, x)
            require_finite_image(x0_hat.to(x.dtype), x, sigma)
        return self.guided(x0_hat.to(x.dtype), float(sigma), covariance)

    def guided(self, x0_hat: Tensor, sigma: float, covariance: Images) -> Tensor:
        r"""What x0_hat becomes, given y; ``covariance`` is :math:`v\mapsto\sigma^2J^\top v`."""
        raise NotImplementedError

    def _apart(self, x0_hat: Tensor) -> Tensor:
        """y_spec - x0_hat in spectral coordinates, which means nothing where s = 0."""
        require_batch(x0_hat, self.op.in_shape, "x0_hat")
        if x0_hat.device.type == "cpu":  # elsewhere that would wait for the device
            require_finite(x0_hat, "x0_hat")
        if len(x0_hat) != len(self.y):
            raise ValueError(
                f"x0_hat must hold one image for each of the {len(self.y)} measurements, but holds "
                f"{len(x0_hat)}."
            )
        return self.y_spec.to(x0_hat) - self.op.Vt(x0_hat)


def _no_gradient(v: Tensor) -> Tensor:
    raise NotImplementedError("A method whose cost has no vector-Jacobian products asked for one.")


# ------------------------------------------------------------------------- without the gradient


@checked
class _Proximal(SeesY):
    r"""The mean of :math:`N(\hat x_0,vI)` given y, with :math:`\rho=\sigma_y^2/v`.

    In spectral coordinates :math:`(s^2\bar y+\rho\hat x_0)/(s^2+\rho)`.  Without an SVD of H it is
    :math:`\hat x_0+d`, where d minimises
    :math:`\lVert y-H\hat x_0-Hd\rVert^2+\rho\lVert d\rVert^2`, by conjugate gradients from d = 0
    (Hestenes and Stiefel 1952), which for rho = 0 tend to :math:`H^+(y-H\hat x_0)`.

    Parameters
    ----------
    cg_steps : int
        Most steps of that iteration, which ends before if the residual :math:`H^T(y-Hx)-\rho d` is
        1e-10 of the first (in single precision 1e-6) in each image; ``residual`` tells it.  At
        large levels, where rho is small, more steps are needed and matter less.  It has no effect
        with an SVD.
    """

    needs = "H, H^T"

    def __init__(
        self, denoiser: Denoiser, op: Any, y: Tensor, *, sigma_y: float, cg_steps: int = 100
    ) -> None:
        if not (is_integer(cg_steps) and cg_steps > 0):
            raise ValueError(f"cg_steps must be a positive integer, but was {cg_steps!r}.")
        super().__init__(denoiser, op, y, sigma_y=sigma_y)
        self.cg_steps = cg_steps

    def _weight(self, sigma: float) -> float:
        """rho at this level."""
        raise NotImplementedError

    def guided(self, x0_hat: Tensor, sigma: float, covariance: Images) -> Tensor:
        rho = self._weight(sigma)
        if not isinstance(self.op, SVDOperator):
            return x0_hat + self._nearest(x0_hat, rho)
        gain = self.s**2 / (self.s**2 + rho) if rho else (self.s > 0).double()
        return x0_hat + self.op.V(gain.to(x0_hat) * self._apart(x0_hat))

    def _nearest(self, x0_hat: Tensor, rho: float) -> Tensor:
        def forward(x: Tensor) -> Tensor:
            return self.op(x).to(x0_hat)

        def downhill(left: Tensor, d: Tensor) -> Tensor:
            return self.op.adjoint(left).to(x0_hat) - rho * d

        d, left = torch.zeros_like(x0_hat), self.y.to(x0_hat) - forward(x0_hat)
        p = slope = downhill(left, d)
        length = first = _dot(slope, slope)
        enough = max(CONVERGED, 8 * torch.finfo(d.dtype).eps) ** 2 * first
        for _ in range(self.cg_steps):
            H_p = forward(p)
            a = _ratio(length, _dot(H_p, H_p) + rho * _dot(p, p))
            d, left = d + a * p, left - a * H_p
            slope = downhill(left, d)
            before, length = length, _dot(slope, slope)
            going = ~(length <= enough)
            if not going.any():
                break
            p = going * (slope + _ratio(length, before) * p)  # what has converged rests
        self._left = _ratio(length, first).sqrt()
        return d


@checked
class DDNM(_Proximal):
    r"""Denoising diffusion null-space model: :math:`\hat x_0+H^+(y-H\hat x_0)`.

    Wang, Yu and Zhang (2023), "Zero-shot image restoration using denoising diffusion null-space
    model".  In spectral coordinates y_spec where s > 0, x0_hat where s = 0.  With the steps of DDPM
    it is the published algorithm; noise in y is not attended to, which their DDNM+
    (:func:`ddrm_edu.ddnm_plus_samples`) does.  At sigma_y = 0 its steps are DDRM's with eta_b = 1,
    but that the noise of measured coordinates is kept as that of the others is, where DDRM's is
    fresh: with eta = 1 for both, and but for the start, they are one (ledger Y05).

    Parameters
    ----------
    cg_steps : int
        For an H without SVD, at most so many conjugate gradient steps.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting
    >>> prior = GaussianPrior(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> guided = DDNM(prior, Inpainting(torch.tensor([True, False])), torch.ones(1, 1), sigma_y=0.0)
    >>> guided(torch.zeros(1, 2), 1.0)
    tensor([[1., 0.]])
    """

    def _weight(self, sigma: float) -> float:
        return 0.0


@checked
class DiffPIR(_Proximal):
    r"""Proximal step: the mean of :math:`N(\hat x_0,\sigma^2/\lambda\,I)` given y.

    Zhu, Zhang, Liang, Cao, Wen, Timofte and Van Gool (2023), "Denoising diffusion models for
    plug-and-play image restoration".  In spectral coordinates
    :math:`(s^2\bar y+\rho\hat x_0)/(s^2+\rho)` with :math:`\rho=\lambda\sigma_y^2/\sigma^2`; at
    sigma_y = 0 it is :class:`DDNM`, else biased as ledger Y06 says.  The paper's zeta, its share
    of fresh noise, is the square of DDRM's eta.

    Parameters
    ----------
    lambda_ : float
        The paper's lambda, positive: how much narrower p(x_0 | x_t) is than sigma.
    cg_steps : int
        For an H without SVD, at most so many conjugate gradient steps.

    Examples
    --------
    A mask after a blur has no fast SVD; its transpose is found by torch:

    >>> from ddrm_edu import CircularBlur, GaussianPrior, LinearMap
    >>> blur = CircularBlur((1, 4, 4), [[0.5, 0.3, 0.2]])
    >>> H = LinearMap(lambda x: blur(x)[..., ::3], (1, 4, 4))
    >>> prior = GaussianPrior(torch.zeros(1, 4, 4), torch.eye(16))
    >>> guided = DiffPIR(prior, H, torch.ones(1, 1, 4, 2), sigma_y=0.1)
    >>> guided(torch.zeros(1, 1, 4, 4), 1.0).shape, guided.residual < 1e-5
    (torch.Size([1, 1, 4, 4]), True)
    """

    def __init__(
        self,
        denoiser: Denoiser,
        op: Any,
        y: Tensor,
        *,
        sigma_y: float,
        lambda_: float = 1.0,
        cg_steps: int = 100,
    ) -> None:
        super().__init__(denoiser, op, y, sigma_y=sigma_y, cg_steps=cg_steps)
        self.lambda_ = require_positive(lambda_, "lambda_")

    def _weight(self, sigma: float) -> float:
        ratio = self.sigma_y / sigma if sigma else LARGEST
        return self.lambda_ * min(ratio, LARGEST) ** 2


# ---------------------------------------------------------------------------- with the gradient


class Measured(NamedTuple):
    """What H K H^T + sigma_y^2 is made of, for any K, and what it acts on, in some coordinates."""

    forward: Images
    adjoint: Images
    noise: Tensor | float  #: sigma_y^2
    apart: Tensor  #: y - H x0_hat


@checked
class PiGDM(SeesY):
    r"""Pseudo-inverse guidance: :math:`\hat x_0+\sigma^2J^\top H^\top P(y-H\hat x_0)`.

    With :math:`P=(r^2HH^\top+\sigma_y^2I)^{-1}`, a division in spectral coordinates.  Song, Vahdat,
    Mardani and Kautz (2023), "Pseudoinverse-guided diffusion models for inverse problems".

    It is moment matching with r^2 I for K in the inverse, and so the first Richardson step of
    :class:`MomentMatching` (ledger Y03).  For a Gaussian prior of full rank it is exact at all
    levels if, and only if, the covariance is the identity on H's row space and uncorrelated with
    the null space (Y02).  Where K has eigenvalues above 2 r^2, it moves too far, past y.  The
    published sampler moves the noise of its step by the unguided x0_hat:
    :func:`ddrm_edu.pigdm_samples`.

    Parameters
    ----------
    r2 : callable, optional
        ``r2(sigma)``: the variance of x_0 given x_t, a number or one per coordinate; by default
        :math:`\sigma^2/(1+\sigma^2)`, that of the prior N(0, I).

    Examples
    --------
    >>> from ddrm_edu import Denoising, GaussianPrior
    >>> prior = GaussianPrior(torch.zeros(1), torch.ones(1, 1))
    >>> guided = PiGDM(prior, Denoising((1,)), torch.ones(1, 1), sigma_y=1.0)
    >>> guided(torch.zeros(1, 1), 1.0)  # exact for this prior
    tensor([[0.3333]])
    """

    needs = "svd and gradient"
    cost = Cost(evaluations=1, vjps=1)

    def __init__(
        self,
        denoiser: Denoiser,
        op: Any,
        y: Tensor,
        *,
        sigma_y: float,
        r2: Callable[[float], Any] = unit_prior_variance,
    ) -> None:
        super().__init__(denoiser, op, y, sigma_y=sigma_y)
        self.r2 = r2

    def guided(self, x0_hat: Tensor, sigma: float, covariance: Images) -> Tensor:
        white = self._measured(x0_hat, sigma)
        moved = covariance(white.adjoint(white.apart))
        require_image(moved, x0_hat, "covariance")
        return x0_hat + moved

    def _measured(self, x0_hat: Tensor, sigma: float) -> Measured:
        r"""In coordinates in which :math:`HKH^\top+\sigma_y^2I` is the identity if K = r^2 I.

        So the preconditioner :math:`P=(r^2s^2+\sigma_y^2)^{-1}` is built in, half on each side.
        """
        std, g = self._white(sigma)
        g, noise = g.to(x0_hat), ((self.sigma_y / std) ** 2).to(x0_hat)
        return Measured(
            forward=lambda x: g * self.op.Vt(x),
            adjoint=lambda w: self.op.V(g * w),
            noise=noise,
            apart=g * self._apart(x0_hat),
        )

    def _white(self, sigma: float) -> tuple[Tensor, Tensor]:
        """Standard deviation of the numbers U^T (y - H x0_hat) if K = r^2 I, and s over it."""
        sigma = require_level(sigma, "sigma")
        r2 = real_tensor(self.r2(sigma), "r2(sigma)").cpu()
        if not ((r2 > 0) & r2.isfinite()).all():
            raise ValueError(
                "r2(sigma) must be a variance, positive and finite, but at sigma = "
                f"{sigma:.6g} ranged from {r2.min():.6g} to {r2.max():.6g}."
            )
        require_one_shape(r2=r2, s=self.s)
        std = (r2 * self.s**2 + self.sigma_y**2).sqrt()
        std = std.where(std > 0, 1.0)  # 0 is a number that was not measured
        return std, self.s / std


@checked
class MomentMatching(PiGDM):
    r"""Moment matching: :math:`\hat x_0+KH^\top w`, :math:`(HKH^\top+\sigma_y^2I)w=y-H\hat x_0`.

    With Tweedie's covariance :math:`K=\sigma^2J^\top`.  Boys et al. (2023), "Tweedie moment
    projected diffusions for inverse problems", who for images put a diagonal for H K H^T; Rozet et
    al. (2024), "Learning diffusion priors from observations by expectation maximization", whose
    conjugate gradients have no preconditioner.  For a Gaussian prior the solution is
    :math:`E[x_0\mid x_t,y]` (ledger Y01).  One vector-Jacobian product per step.

    With an SVD of H each iteration is preconditioned by
    :math:`P=(r^2s^2+\sigma_y^2)^{-1}`: whatever H and sigma_y, the eigenvalues are then those of K
    over r^2, or closer to 1 (Y04).  Any other H is taken without, by conjugate gradients only.

    Parameters
    ----------
    op : SVDOperator, or an object with ``op(x)``, ``op.adjoint(y)``, ``in_shape``, ``out_shape``
    cg_steps : int or None
        Steps of the iteration; None solves the system (residual 1e-10 of the first, in single
        precision 1e-6, for each image).
    iteration : {"cg", "richardson", "chebyshev"}
        ``"cg"``: conjugate gradients, the fewest steps; for pictures.  The others have fixed
        coefficients, so that a sampler stays affine in x and y for a Gaussian prior and has an
        exact law (Y15).  ``"richardson"``: :math:`w\leftarrow w+P(r-Aw)`, whose first step from
        w = 0 is :class:`PiGDM`; it converges if K < 2 r^2, e.g. for a prior with eigenvalues up
        to 2.
        ``"chebyshev"`` needs ``eigenvalues`` and converges for any.
    eigenvalues : (float, float), optional
        For ``"chebyshev"``: bounds of the eigenvalues of the prior's covariance.
    r2 : callable, optional
        As for :class:`PiGDM`; it makes P, and the solution does not depend on it.

    Raises
    ------
    ValueError
        As :class:`SeesY`, and if an iteration that is to converge does not within 1,000 steps.

    Notes
    -----
    K of a network is not symmetric, as conjugate gradients assume, and may have negative
    eigenvalues: an image takes no further step along a direction in which it has.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting
    >>> prior = GaussianPrior(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> op, y = Inpainting(torch.tensor([True, False])), torch.ones(1, 1)
    >>> guided = MomentMatching(prior, op, y, sigma_y=0.0, cg_steps=None)
    >>> guided(torch.zeros(1, 2), 1e3)  # from x_t that says nothing: E[x_0 | y]
    tensor([[1.0000, 0.9000]])
    """

    needs = "H, H^T and gradient"

    def __init__(
        self,
        denoiser: Denoiser,
        op: Any,
        y: Tensor,
        *,
        sigma_y: float,
        cg_steps: int | None = 1,
        iteration: str = "cg",
        eigenvalues: tuple[float, float] | None = None,
        r2: Callable[[float], Any] = unit_prior_variance,
    ) -> None:
        if iteration not in ("cg", "richardson", "chebyshev"):
            raise ValueError(
                f"iteration must be 'cg', 'richardson' or 'chebyshev', but was {iteration!r}."
            )
        if not (cg_steps is None or (is_integer(cg_steps) and cg_steps > 0)):
            raise ValueError(
                "cg_steps must be a positive integer, or None to solve the system, but was "
                f"{cg_steps!r}. Without a step it would be the denoiser itself."
            )
        super().__init__(denoiser, op, y, sigma_y=sigma_y, r2=r2)
        if iteration != "cg" and not isinstance(op, SVDOperator):
            raise ValueError(
                f"{iteration!r} needs the singular values of H for its fixed coefficients, but op "
                f"was a {type(op).__name__}. as_operator(H, in_shape) decomposes H; 'cg' does "
                "without."
            )
        if (iteration == "chebyshev") != (eigenvalues is not None):
            raise ValueError(
                "eigenvalues=(smallest, largest) of the prior's covariance are what 'chebyshev', "
                f"and no other iteration, needs, but for {iteration!r} they were {eigenvalues}."
            )
        if eigenvalues is not None:
            low, high = (require_level(value, "each of eigenvalues") for value in eigenvalues)
            if not low <= high:
                raise ValueError(
                    f"eigenvalues must be (smallest, largest), but were {eigenvalues}."
                )
        self.cg_steps, self.iteration, self.eigenvalues = cg_steps, iteration, eigenvalues
        self.cost = Cost(evaluations=1, vjps=cg_steps)

    def guided(self, x0_hat: Tensor, sigma: float, covariance: Images) -> Tensor:
        """Along directions p, each of them K H^T p of the way that is left to go."""
        forward, adjoint, noise, left = self._measured(x0_hat, sigma)
        p, first = left, _norm(left)
        enough = max(CONVERGED, 8 * torch.finfo(left.dtype).eps) * first
        going = torch.ones_like(first, dtype=torch.bool)
        for a, b in itertools.islice(self._rates(sigma), self.cg_steps or MOST_STEPS):
            step = covariance(adjoint(p))
            require_image(step, x0_hat, "covariance")
            A_p, before = forward(step) + noise * p, left
            a = _ratio(_dot(left, left), _dot(p, A_p)) if a is None else a
            x0_hat, left = x0_hat + a * step, left - a * A_p
            b = _ratio(_dot(left, left), _dot(before, before)) if b is None else b
            p = left + b * p
            if self.cg_steps is None:  # what has converged rests
                going = ~(_norm(left) <= enough)
                left, p = going * left, going * p
                if not going.any():
                    break
        self._left = _ratio(_norm(left), first)
        if self.cg_steps is None and going.any():
            raise _did_not_converge(self.residual, sigma)
        return x0_hat

    def _rates(self, sigma: float) -> Iterator[tuple[Any, Any]]:
        """Length of each step and what it keeps of its direction; None: of conjugate gradients."""
        if self.iteration == "chebyshev":
            return _chebyshev(*self._bounds(sigma))
        rates = (None, None) if self.iteration == "cg" else (1.0, 0.0)
        return itertools.repeat(rates)

    def _bounds(self, sigma: float) -> tuple[float, float]:
        r"""Of the eigenvalues of :math:`P^{1/2}(HKH^\top+\sigma_y^2I)P^{1/2}`, ledger Y04."""
        assert self.eigenvalues is not None
        std, g = self._white(sigma)
        low, high = (value * sigma**2 / (value + sigma**2) for value in self.eigenvalues)
        noise = ((self.sigma_y / std) ** 2).where(g > 0, 1.0)  # K cannot matter where g = 0
        return float((low * g**2 + noise).min()), float((high * g**2 + noise).max())

    def _measured(self, x0_hat: Tensor, sigma: float) -> Measured:
        if isinstance(self.op, SVDOperator):
            return super()._measured(x0_hat, sigma)
        return Measured(
            forward=lambda x: self.op(x).to(x0_hat),
            adjoint=lambda y: self.op.adjoint(y).to(x0_hat),
            noise=self.sigma_y**2,
            apart=self.y.to(x0_hat) - self.op(x0_hat).to(x0_hat),
        )


def _did_not_converge(residual: float, sigma: float) -> ValueError:
    return ValueError(
        f"After {MOST_STEPS} steps the residual must be {CONVERGED:g} of the first, but at sigma = "
        f"{sigma:.6g} was {residual:.3g}. Conjugate gradients need a K that is symmetric, which "
        "that of a network is not, and at sigma_y = 0 a y that the prior allows; 'richardson' "
        "needs K < 2 r^2. Take a number of steps, such as cg_steps=3."
    )


def _chebyshev(low: float, high: float) -> Iterator[tuple[float, float]]:
    """Lengths and shares of Chebyshev's iteration for eigenvalues from ``low`` to ``high``.

    Saad (2003), "Iterative methods for sparse linear systems", section 12.3.
    """
    centre, radius = (high + low) / 2, (high - low) / 2
    a, part = 1 / centre, 2
    while True:
        b = (radius * a) ** 2 / part
        yield a, b
        a, part = 1 / (centre - b / a), 4


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One number for each image, of a shape that broadcasts with images."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def _norm(a: Tensor) -> Tensor:
    return _dot(a, a).sqrt()


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b where b is positive, else 0."""
    return (a / b).where(b > 0, 0.0)


# -------------------------------------------------------------------------------- closed forms


@checked
class ExactDenoiser(SeesY):
    r"""The exact :math:`E[x_0\mid x_t,y]` of a Gaussian, a mixture or a finite set of images.

    The posterior given y is a law of the same kind, with weights and means of its own for each y
    (ledger G01, G03); this is its denoiser.

    Parameters
    ----------
    denoiser : GaussianPrior, GaussianMixture, EmpiricalPrior
        Anything with ``given(op, y, sigma_y=)``, which makes the denoiser.

    Examples
    --------
    >>> from ddrm_edu import GaussianPrior, Inpainting
    >>> prior = GaussianPrior(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> op, y = Inpainting(torch.tensor([True, False])), torch.ones(1, 1)
    >>> ExactDenoiser(prior, op, y, sigma_y=0.0)(torch.zeros(1, 2), 1e3)
    tensor([[1.0000, 0.9000]])
    """

    needs = "svd and a prior in closed form"

    def __init__(self, denoiser: Any, op: SVDOperator, y: Tensor, *, sigma_y: float) -> None:
        if not hasattr(denoiser, "given"):
            raise ValueError(
                "ExactDenoiser needs a prior whose posterior is known: GaussianPrior, "
                "GaussianMixture or EmpiricalPrior, or an object with given(op, y, sigma_y=), but "
                f"was given a {type(denoiser).__name__}. MomentMatching takes any denoiser."
            )
        super().__init__(denoiser, op, y, sigma_y=sigma_y)
        self._given: Denoiser = denoiser.given(op, self.y, sigma_y=self.sigma_y)

    def _mean(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._given(x, sigma)

r"""Priors whose denoiser and posterior are known in closed form (slide 2 and beyond).

Each is a denoiser, ``prior(x, sigma)``, and has ``score(x, sigma)``, ``log_density(x, sigma)``,
``sample(batch)``, ``posterior(op, y, sigma_y=)`` and, a denoiser again, ``given(op, y, sigma_y=)``.
Density and score at a level sigma are those of :math:`x_t=x_0+\sigma\epsilon`, so the three are
one object seen three times: Tweedie's formula
:math:`E[x_0\mid x_t]=x_t+\sigma^2\nabla\log p_\sigma(x_t)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .boundary import checked
from .denoisers import score_from_x0
from .diffusion import Denoiser
from .gaussian import Gaussian, Readings
from .noise import Generators, standard_normal
from .operators.base import (
    SVDOperator,
    dense_map,
    require_one_for_all,
    require_singular_values,
)
from .validation import (
    LARGEST,
    finite_tensor,
    real_tensor,
    require_batch,
    require_count,
    require_finite,
    require_level,
)


class GaussianPosterior(NamedTuple):
    """p(x | y) for each measurement of a batch: one mean each, one covariance for all."""

    mean: Tensor  #: (batch, *shape)
    cov: Tensor  #: (n, n)

    def sample(self, *, generator: Generators = None) -> Tensor:
        """One draw for each measurement, of shape ``(batch, *shape)``."""
        variances, axes = torch.linalg.eigh(self.cov)
        z = standard_normal(self.mean.flatten(1), generator)
        return self.mean + (z * variances.clamp(min=0).sqrt() @ axes.T).reshape(self.mean.shape)


@checked
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
    factor : Tensor, shape (n, r)
        In the place of ``cov``, as for :class:`Gaussian`: ``cov = factor @ factor.T``.

    Attributes
    ----------
    law : Gaussian
        The same of the flattened image, whose ``cov``, ``eigenvalues`` and ``axes`` (n,), (n, n)
        are also the prior's.

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

    def __init__(self, mean: Any, cov: Any = None, *, factor: Any = None) -> None:
        self.mean = real_tensor(mean, "mean")
        self.shape = tuple(self.mean.shape)
        self.law = Gaussian(self.mean.flatten(), cov, factor=factor)
        self.cov, self.eigenvalues, self.axes = self.law.cov, self.law.eigenvalues, self.law.axes

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

    def log_density(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        r""":math:`\log N(x;m,C+\sigma^2I)`, float64, of shape ``(batch,)``.

        Raises
        ------
        ValueError
            If ``cov`` is singular and sigma is 0: such a prior has no density.
        """
        _require_images(x, self.shape)
        return self.law.log_density(x.flatten(1), sigma)

    def score(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        r""":math:`\nabla\log p_\sigma(x)=-(C+\sigma^2I)^{-1}(x-m)`, of the shape of ``x`` (S02.5).

        As ``log_density``, it exists at sigma = 0 only if ``cov`` has full rank.
        """
        require_batch(x, self.shape, "x")
        centred, variances = self.law.along_axes(x.flatten(1), sigma)
        return -(centred / variances @ self.axes.to(centred).T).reshape(x.shape).to(x)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws from the prior, float64, of shape ``(batch, *shape)``."""
        batch = require_count(batch, "batch")
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
        that were measured, where no small singular value is ever squared.  The covariance is
        :math:`FF^\top` with a factor F from :class:`Readings`.  For a prior given by its factor its
        trace has a relative error of about :math:`\varepsilon s_1\sqrt{\lambda_1}/\sigma_y`, for
        one given by ``cov``, whose rounding counts, up to
        :math:`10n\varepsilon\lambda_1/\sigma_y^2`.

        Returns
        -------
        gain : Tensor, shape (n, n)
            B, from spectral coordinates to the flattened image; its columns are 0 where s = 0.
        cov : Tensor, shape (n, n)
            :math:`\mathrm{Cov}[x\mid y]` of the flattened image.
        """
        gain, factor = self.posterior_factor(op, sigma_y=sigma_y)
        cov = factor @ factor.T
        return gain, (cov + cov.T) / 2

    def posterior_factor(self, op: SVDOperator, *, sigma_y: float) -> tuple[Tensor, Tensor]:
        """Gain (n, n) and a factor (n, r) of the covariance, as in ``posterior_map``."""
        seen, _, readings = self._measured(op, sigma_y)
        gain = torch.zeros_like(self.cov)
        gain[:, seen] = readings.gain(self.law.factor)
        return gain, readings.left(self.law.factor)

    def given(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> Denoiser:
        r"""Exact denoiser that sees y, :math:`E[x_0\mid x_t,y]`: that of the posterior of each y.

        Returns
        -------
        callable
            ``denoiser(x, sigma)`` for x of shape ``(batch, *shape)``, of the batch of y.
        """
        require_batch(y, op.out_shape, "y")
        return _given(torch.zeros(len(y), 1).double(), [self], op, y, sigma_y)

    def _log_evidence(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> Tensor:
        r"""log p(y) up to a number that is the same for every prior of images; shape (batch,).

        The law of the measured coordinates of y-bar, :math:`N(V^\top m, V^\top CV+b)`; whatever
        else there is in y is noise, independent of the image (S09.7).
        """
        seen, mean, readings = self._measured(op, sigma_y)
        if not (readings.std > 0).all():
            raise ValueError(
                "The measurement has no density under a component whose covariance is singular "
                f"where it was measured, and sigma_y = {float(sigma_y):.3g} adds no noise that "
                "counts. Give a larger sigma_y; for a finite set of images use EmpiricalPrior."
            )
        return readings.log_density(op.measure_spec(y.to(self.mean)).flatten(1)[:, seen] - mean)

    def _measured(self, op: SVDOperator, sigma_y: float) -> tuple[Tensor, Tensor, Readings]:
        """Where s > 0 (n,), and mean (k,) and readings of the k coordinates of y_spec there."""
        sigma_y = require_level(sigma_y, "sigma_y")
        require_fit(op, self.shape)
        s = op.spectrum().flatten()
        seen = s > 0
        Vt = dense_map(op.Vt, self.shape)[seen]
        return seen, Vt @ self.mean.flatten(), Readings(Vt @ self.law.factor, s[seen], sigma_y)


def require_fit(op: SVDOperator, shape: tuple[int, ...]) -> None:
    require_singular_values(op)
    require_one_for_all(op, "A law in closed form")
    if tuple(op.in_shape) != shape:
        raise ValueError(
            f"The operator acts on images of shape {tuple(op.in_shape)}, "
            f"but the prior's have shape {shape}. Build both for one shape."
        )


@checked
class MixturePosterior(NamedTuple):
    r"""p(x | y) under a Gaussian mixture: another mixture, whose weights depend on y (G03)."""

    weights: Tensor  #: (batch, K)
    means: Tensor  #: (batch, K, *shape)
    covs: Tensor  #: (K, n, n), the same for every measurement

    @property
    def mean(self) -> Tensor:
        r""":math:`E[x\mid y]`, of shape ``(batch, *shape)``."""
        return torch.einsum("bk,bk...->b...", self.weights, self.means)

    @property
    def cov(self) -> Tensor:
        r""":math:`\mathrm{Cov}[x\mid y]`, within the components and between them: (batch, n, n)."""
        apart = (self.means - self.mean[:, None]).flatten(2)
        within = torch.einsum("bk,kij->bij", self.weights, self.covs)
        return within + torch.einsum("bk,bki,bkj->bij", self.weights, apart, apart)

    def sample(self, *, generator: Generators = None) -> Tensor:
        """One draw for each measurement, of shape ``(batch, *shape)``."""
        batch, _, *shape = self.means.shape
        n = self.covs.shape[-1]
        # One number chooses the component, so that a draw depends on its own generator only.
        z = standard_normal(self.means.new_empty(batch, 1 + n), generator)
        chosen = _choice(self.weights, z[:, 0])
        variances, axes = torch.linalg.eigh(self.covs)
        roots = axes * variances.clamp(min=0).sqrt()[:, None, :]
        noise = torch.einsum("kij,bj->bki", roots, z[:, 1:])
        rows = torch.arange(batch, device=z.device)
        return self.means[rows, chosen] + noise[rows, chosen].reshape(-1, *shape)


@checked
class GaussianMixture:
    r"""Images drawn from :math:`\sum_k\pi_kN(m_k,C_k)`, with the exact denoiser and posterior.

    Ledger section 4 (G03): the components' own denoisers, weighted by the responsibilities
    :math:`r_k\propto\pi_kN(x_t;m_k,C_k+\sigma^2I)`.

    Parameters
    ----------
    weights : Tensor, shape (K,)
        Probabilities of the components; they sum to 1.
    means : Tensor, shape (K, *shape)
    covs : Tensor, shape (K, n, n)
        One covariance each, as in :class:`GaussianPrior`; a zero matrix is a single image.

    Attributes
    ----------
    components : list of GaussianPrior
    mean : Tensor, shape ``shape``
    cov : Tensor, shape (n, n)
        Moments of the whole mixture.

    Raises
    ------
    ValueError
        If the shapes do not fit, the weights are no probabilities, or a component is no Gaussian.

    Examples
    --------
    Two points, far apart for the noise: the nearer one is restored.

    >>> points = torch.tensor([[-1.0], [1.0]])
    >>> prior = GaussianMixture(torch.tensor([0.5, 0.5]), points, torch.zeros(2, 1, 1))
    >>> prior(torch.tensor([[0.7]]), 0.1)
    tensor([[1.]])
    """

    def __init__(self, weights: Any, means: Any, covs: Any) -> None:
        weights, means = real_tensor(weights, "weights"), real_tensor(means, "means")
        covs = real_tensor(covs, "covs")
        fit = weights.shape == means.shape[:1] == covs.shape[:-2]
        if not fit or means.ndim < 2 or means.numel() == 0:
            raise ValueError(
                "weights must have shape (K,), means (K, *shape) and covs (K, n, n) with one K, "
                f"but they had {tuple(weights.shape)}, {tuple(means.shape)}, {tuple(covs.shape)}. "
                "A single component still needs the leading dimension."
            )
        total = weights.sum().item()
        if not (weights >= 0).all() or not abs(total - 1) <= 1e-6:  # rounding of float32
            raise ValueError(
                "weights must be probabilities, not negative and with sum 1, but range from "
                f"{weights.min():.6g} to {weights.max():.6g} with sum {total:.6g}. "
                "Divide them by their sum."
            )
        self.weights, self.means, self.covs = weights / total, means, covs
        self.components = [GaussianPrior(*part) for part in zip(means, covs, strict=True)]
        self.shape = tuple(means.shape[1:])
        whole = self._before_measurement(1)
        self.mean, self.cov = whole.mean[0], whole.cov[0]

    def responsibilities(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Probability of each component given x at level ``sigma``; float64, ``(batch, K)``."""
        return self._log_joint(x, sigma).softmax(dim=1)

    def _log_joint(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        densities = [part.log_density(x, sigma) for part in self.components]
        return self.weights.log().to(x.device) + torch.stack(densities, dim=1)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Exact denoiser :math:`E[x_0\mid x_t=x]` at level ``sigma``, of the shape of ``x``."""
        require_batch(x, self.shape, "x")
        if require_level(sigma, "sigma") ** 2 == 0:
            return x.clone()
        return self._weighted([part(x.double(), sigma) for part in self.components], x, sigma)

    def log_density(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        r""":math:`\log\sum_k\pi_kN(x;m_k,C_k+\sigma^2I)`, float64, of shape ``(batch,)``."""
        return self._log_joint(x, sigma).logsumexp(dim=1)

    def score(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        r""":math:`\nabla\log p_\sigma(x)`, of the shape of ``x`` (S02.5).

        As ``log_density``, it exists at sigma = 0 only if every covariance has full rank.
        """
        return self._weighted([part.score(x.double(), sigma) for part in self.components], x, sigma)

    def _weighted(self, parts: list[Tensor], x: Tensor, sigma: float | Tensor) -> Tensor:
        """What the components say about x, weighted by their responsibilities; in x's dtype."""
        weights = self.responsibilities(x, sigma)
        return torch.einsum("bk,kb...->b...", weights, torch.stack(parts)).to(x)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws from the prior, float64, of shape ``(batch, *shape)``."""
        return self._before_measurement(require_count(batch, "batch")).sample(generator=generator)

    def posterior(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> MixturePosterior:
        r"""The exact :math:`p(x\mid y)` for :math:`y=Hx+z` (S02.3, G03).

        The components' own posteriors, weighted by
        :math:`\pi_kN(y;Hm_k,HC_kH^\top+\sigma_y^2I)`.

        Parameters
        ----------
        op : SVDOperator
            With ``in_shape`` equal to the prior's shape.
        y : Tensor, shape (batch, *out_shape)
        sigma_y : float
            May be 0 if every component has full rank where it is measured.

        Returns
        -------
        MixturePosterior
            ``weights (batch, K)``, ``means (batch, K, *shape)`` and ``covs (K, n, n)``, float64;
            ``mean``, ``cov`` and ``sample`` are those of the whole mixture.
        """
        parts = [part.posterior(op, y, sigma_y=sigma_y) for part in self.components]
        weights = self._log_weights(op, y, sigma_y).softmax(dim=1)
        means = torch.stack([part.mean for part in parts], dim=1)
        return MixturePosterior(weights, means, torch.stack([part.cov for part in parts]))

    def given(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> Denoiser:
        r"""Exact denoiser that sees y, :math:`E[x_0\mid x_t,y]`, as :meth:`GaussianPrior.given`."""
        require_batch(y, op.out_shape, "y")
        require_finite(y, "y")
        return _given(self._log_weights(op, y, sigma_y), self.components, op, y, sigma_y)

    def _log_weights(self, op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
        """Of the components given y, up to a number for each y; float64, ``(batch, K)``."""
        evidence = [part._log_evidence(op, y, sigma_y=sigma_y) for part in self.components]
        return self.weights.log() + torch.stack(evidence, dim=1)

    def _before_measurement(self, batch: int) -> MixturePosterior:
        """The prior as the posterior of ``batch`` measurements that say nothing."""
        weights, means = (a.expand(batch, *a.shape) for a in (self.weights, self.means))
        return MixturePosterior(weights, means, self.covs)


def _require_images(x: Tensor, shape: tuple[int, ...]) -> None:
    require_batch(x, shape, "x")
    if x.device.type == "cpu":  # elsewhere that would wait for the device
        require_finite(x, "x")


def _require_one_each(x: Tensor, shape: tuple[int, ...], measurements: int) -> None:
    """Raise ``ValueError`` unless ``x`` is a batch of one image for each measurement."""
    _require_images(x, shape)
    if len(x) != measurements:
        raise ValueError(
            f"x must have one image for each of the {measurements} measurements, but has {len(x)}."
        )


def _given(
    log_weights: Tensor, parts: Sequence[GaussianPrior], op: SVDOperator, y: Tensor, sigma_y: float
) -> Denoiser:
    """E[x_0 | x_t, y] of Gaussian components, whose weights given y are ``log_weights (batch, K)``.

    The posterior of each y is a mixture again; its components have means of their own for each y,
    and share their covariances.
    """
    means = torch.stack([part.posterior(op, y, sigma_y=sigma_y).mean for part in parts])
    factors = [part.posterior_factor(op, sigma_y=sigma_y)[1] for part in parts]
    centred = [GaussianPrior(torch.zeros(op.in_shape), factor=factor) for factor in factors]

    def denoiser(x: Tensor, sigma: float | Tensor) -> Tensor:
        _require_one_each(x, op.in_shape, len(y))
        if require_level(sigma, "sigma") == 0:
            return x.clone()
        centres = means.to(x.device)
        apart = list(zip(centred, x.double() - centres, strict=True))
        logs = torch.stack([part.log_density(d, sigma) for part, d in apart], dim=1)
        hats = centres + torch.stack([part(d, sigma) for part, d in apart])
        weights = (log_weights.to(x.device) + logs).softmax(dim=1)
        return torch.einsum("bk,kb...->b...", weights, hats).to(x)

    return denoiser


@checked
class EmpiricalPosterior(NamedTuple):
    r"""p(x | y) on a finite set of images: a probability for each of them."""

    weights: Tensor  #: (batch, N)
    images: Tensor  #: (N, *shape)

    @property
    def mean(self) -> Tensor:
        r""":math:`E[x\mid y]`, of shape ``(batch, *shape)``."""
        return torch.tensordot(self.weights, self.images, 1)

    def sample(self, *, generator: Generators = None) -> Tensor:
        """One image for each measurement, of shape ``(batch, *shape)``."""
        z = standard_normal(self.weights[:, :1], generator)
        return self.images[_choice(self.weights, z[:, 0])]


@checked
class EmpiricalPrior:
    r"""The uniform law on N given images: what a network that learns them by heart would be.

    Ledger section 4 (G03) with N components and :math:`C_k=0`:
    :math:`E[x_0\mid x_t]=\sum_iw_ix_i` with :math:`w_i\propto e^{-\|x_t-x_i\|^2/2\sigma^2}`.

    Parameters
    ----------
    images : Tensor, shape (N, *shape)

    Raises
    ------
    ValueError
        If there are no images or they are not finite.

    Notes
    -----
    A call needs memory for ``(batch, N)`` numbers beside the images, and is exact for any level:
    as sigma goes to 0 the answer is the nearest image, which is also what sigma = 0 returns.

    Examples
    --------
    >>> prior = EmpiricalPrior(torch.tensor([[-1.0], [1.0]]))
    >>> prior(torch.tensor([[0.7], [0.0]]), 0.1)
    tensor([[1.],
            [0.]])
    """

    def __init__(self, images: Any) -> None:
        self.images = finite_tensor(images, "images")
        if self.images.ndim < 2 or self.images.numel() == 0:
            raise ValueError(
                "images must have shape (N, *shape) with at least one image, "
                f"but had {tuple(self.images.shape)}. A single image x is x[None]."
            )
        self.shape = tuple(self.images.shape[1:])

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Exact denoiser :math:`E[x_0\mid x_t=x]` at level ``sigma``, of the shape of ``x``."""
        weights = _log_near(self._distances(x), require_level(sigma, "sigma")).softmax(dim=1)
        return torch.tensordot(weights, self.images.to(x.device), 1).to(x)

    def _distances(self, x: Tensor) -> Tensor:
        _require_images(x, self.shape)
        return _distances(x.double(), self.images.to(x.device))

    def log_density(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r""":math:`\log\frac1N\sum_iN(x;x_i,\sigma^2I)`, float64, ``(batch,)``; sigma > 0."""
        sigma = _smoothing(sigma)
        exponents = -((self._distances(x) / sigma) ** 2) / 2
        scale = math.prod(self.shape) * math.log(math.sqrt(2 * math.pi) * sigma)
        return exponents.logsumexp(dim=1) - scale - math.log(len(self.images))

    def score(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r""":math:`\nabla\log p_\sigma(x)=(E[x_0\mid x]-x)/\sigma^2`, of the shape of ``x``."""
        return score_from_x0(x.double(), _smoothing(sigma), self(x.double(), sigma)).to(x)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Images of the set, drawn with replacement, float64, of shape ``(batch, *shape)``."""
        z = standard_normal(self.images.new_empty(require_count(batch, "batch"), 1), generator)
        index = (torch.special.ndtr(z[:, 0]) * len(self.images)).long()
        return self.images[index.clamp(max=len(self.images) - 1)]

    def posterior(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> EmpiricalPosterior:
        r"""The exact :math:`p(x\mid y)\propto e^{-\|y-Hx_i\|^2/2\sigma_y^2}` (S02.3).

        Parameters
        ----------
        op : SVDOperator
            With ``in_shape`` equal to the images' shape.
        y : Tensor, shape (batch, *out_shape)
        sigma_y : float
            With 0 the images that satisfy H x = y, up to rounding in the dtype of ``y``, share the
            probability equally.

        Raises
        ------
        ValueError
            If ``sigma_y = 0`` and no image satisfies H x = y.
        """
        return EmpiricalPosterior(self._log_weights(op, y, sigma_y).softmax(dim=1), self.images)

    def given(self, op: SVDOperator, y: Tensor, *, sigma_y: float) -> Denoiser:
        r"""Exact denoiser that sees y, :math:`E[x_0\mid x_t,y]`, as :meth:`GaussianPrior.given`."""
        log_weights = self._log_weights(op, y, sigma_y)

        def denoiser(x: Tensor, sigma: float | Tensor) -> Tensor:
            _require_one_each(x, self.shape, len(y))
            logs, distances = log_weights.to(x.device), self._distances(x)
            distances = distances.where(logs > -math.inf, math.inf)  # of images that y allows
            near = _log_near(distances, require_level(sigma, "sigma"))
            weights = (logs + near).softmax(dim=1)
            return torch.tensordot(weights, self.images.to(x.device), 1).to(x)

        return denoiser

    def _log_weights(self, op: SVDOperator, y: Tensor, sigma_y: float) -> Tensor:
        """Of the images given y, up to a number for each y; float64, ``(batch, N)``."""
        require_batch(y, op.out_shape, "y")
        require_finite(y, "y")
        sigma_y = require_level(sigma_y, "sigma_y")
        require_fit(op, self.shape)
        measured = torch.cat([op(part) for part in self.images.split(1024)])  # bounds its memory
        distances = _distances(y.to(measured), measured)
        if sigma_y == 0:
            distances = self._exactly(op, y, distances)
        return _log_near(distances, sigma_y)

    def _exactly(self, op: SVDOperator, y: Tensor, distances: Tensor) -> Tensor:
        """``distances`` with 0 where an image explains y up to rounding; each y needs one."""
        longest = self.images.flatten(1).norm(dim=1).max() * op.s.max().to(self.images)
        error = op.n * torch.finfo(y.dtype).eps * longest  # rounding of a sum of n products
        distances = distances.where(distances > error, 0.0)
        missed = distances.min(dim=1).values.max().item()
        if missed > 0:
            raise ValueError(
                "Without noise only images with H x = y are possible, but for some y the closest "
                f"image misses it by {missed:.3g}. Was y made from an image of this set? If it "
                "has noise, give its sigma_y."
            )
        return distances


def _choice(weights: Tensor, z: Tensor) -> Tensor:
    """An index for each row of ``weights (batch, K)``, drawn by one standard normal number each."""
    u = torch.special.ndtr(z) * weights.sum(dim=1)
    return (u[:, None] >= weights.cumsum(dim=1)).sum(dim=1).clamp(max=weights.shape[1] - 1)


def _distances(x: Tensor, images: Tensor) -> Tensor:
    """Euclidean distances (batch, N), from differences: products would cancel near an image."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(x.flatten(1), images.flatten(1), compute_mode=exact)


def _log_near(distances: Tensor, sigma: float) -> Tensor:
    """``-distances^2 / 2 sigma^2``, 0 for the nearest; for sigma = 0 all others are impossible."""
    nearest = distances.min(dim=1, keepdim=True).values
    excess = distances**2 - nearest**2
    return -torch.where(excess > 0, excess / (2 * sigma * sigma), 0.0)


def _smoothing(sigma: float | Tensor) -> float:
    sigma = require_level(sigma, "sigma")
    if sigma < 1 / LARGEST:
        raise ValueError(
            "A finite set of images has no density, so a level sigma > 0 is needed, but sigma was "
            f"{sigma:.6g}. Only the density smoothed by noise exists."
        )
    return sigma

r"""The exact law of a sampler's output for a Gaussian prior, and its gap to the posterior.

With the exact denoiser of :math:`N(m,C)` every step is affine in the state, the measurement and the
fresh noise (ledger section 4): with :math:`K,L,M,N` the step's coefficients and
:math:`G=C(C+\sigma^2I)^{-1}`,

    x_next = F x + K (I - G) m + M y_spec + N^(1/2) z,      F = K G + L,

so mean map and covariance of the output follow by a recursion, without a single draw.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .boundary import checked
from .ddpm import ddim_coefficients
from .ddrm import Rate, ddrm_coefficients, ddrm_start_coefficients
from .diffusion import StepCoefficients
from .gaussian import Gaussian, GaussianNetwork, bures, expected_kl, factor_of
from .operators.base import SVDOperator, dense_map
from .priors import GaussianPosterior, GaussianPrior, require_fit
from .schedule import decreasing_sigmas
from .validation import EPS, require_batch, require_finite, require_level


@checked
@dataclass(frozen=True, eq=False)
class AffineLaw:
    r"""A law of images given measurements, :math:`p(\bar x\mid\bar y)=N(A\bar y+c,\text{cov})`.

    Everything is in spectral coordinates, flattened, in the operator's own order.

    Attributes
    ----------
    A : Tensor, shape (n, n)
        Mean map; its columns are 0 where s = 0.
    c : Tensor, shape (n,)
    cov : Tensor, shape (n, n)
        The same for every measurement.
    y_spec : Gaussian
        Law of :math:`\bar y`, over which :func:`gap` averages.
    op : SVDOperator
        Whose coordinates they are.
    """

    A: Tensor
    c: Tensor
    cov: Tensor
    y_spec: Gaussian
    op: SVDOperator

    def given(self, y: Tensor) -> GaussianPosterior:
        """The law for each measurement of a batch ``(batch, *out_shape)``, in pixels, float64."""
        require_batch(y, self.op.out_shape, "y")
        require_finite(y, "y")
        mean = self.op.measure_spec(y.double()).flatten(1) @ self.A.T + self.c
        to_pixels = dense_map(self.op.V, self.op.in_shape)
        mean = self.op.V(mean.reshape(-1, *self.op.in_shape))
        return GaussianPosterior(mean, to_pixels @ self.cov @ to_pixels.T)

    def __repr__(self) -> str:
        return f"AffineLaw({self.op!r}, trace of cov={self.cov.trace():.4g})"


@checked
def sampler_law(
    prior: GaussianPrior,
    op: SVDOperator,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta: Rate = 0.85,
    eta_b: Rate = 1.0,
) -> AffineLaw:
    r"""Exact law of the output of Algorithm 2 with the exact denoiser of a Gaussian prior.

    Slide 18 (ledger S18.1, section 4).  Arguments as in :func:`ddrm_edu.ddrm_samples`.

    Returns
    -------
    AffineLaw
        Its ``y_spec`` is the law of the measurements of images drawn from ``prior``.

    Raises
    ------
    ValueError
        For a prior that is not Gaussian or has another shape than the operator's images, and for
        every argument that the sampler refuses.

    Notes
    -----
    If the prior's covariance is diagonal in the spectral coordinates they are treated one by one,
    O(n) a step; otherwise a step costs three products of n x n matrices.

    Examples
    --------
    A scalar that is not measured: with more and more steps its variance tends to the temperature
    (1 + sqrt(1 - eta^2)) / 2, here 0.9, and not to the prior's 1 (ledger G07).

    >>> from ddrm_edu import Dense, NoiseSchedule
    >>> prior = GaussianPrior(torch.zeros(1), torch.ones(1, 1))
    >>> levels = NoiseSchedule.linear().sigmas(1000)
    >>> law = sampler_law(prior, Dense([[0.0]]), levels, sigma_y=0.1, eta=0.6)
    >>> round(law.cov.item(), 2)
    0.89
    """
    levels = decreasing_sigmas(sigmas)
    require_gaussian(prior, op)
    s = op.spectrum()
    table = functools.partial(ddrm_coefficients, s, sigma_y=sigma_y, eta=eta, eta_b=eta_b)
    start = ddrm_start_coefficients(s, levels[0], sigma_y)
    x_spec = spectral_law(prior, op)
    A, c, cov = _recursion(x_spec, levels, table, start)
    return AffineLaw(A, c, cov, law_of_y_spec(x_spec, s, sigma_y), op)


@checked
def ddpm_law(
    prior: GaussianPrior, sigmas: Tensor | Sequence[float], *, eta_ddim: float = 1.0
) -> Gaussian:
    r"""Exact law of the samples of Algorithm 1 (``eta_ddim = 1``) or DDIM, in flattened pixels.

    Slide 7 (ledger S07.1); arguments as in :func:`ddrm_edu.ddpm_samples`.

    Examples
    --------
    >>> from ddrm_edu import NoiseSchedule
    >>> prior = GaussianPrior(torch.zeros(1), torch.tensor([[4.0]]))
    >>> law = ddpm_law(prior, NoiseSchedule.linear().sigmas(1000))
    >>> round(law.cov.item(), 2)  # with finitely many steps not yet the prior's 4
    3.97
    """
    levels = decreasing_sigmas(sigmas)
    require_gaussian(prior)
    table = functools.partial(ddim_coefficients, eta_ddim=eta_ddim)
    zero = torch.zeros_like(levels[0])
    start = StepCoefficients(zero + 1, zero, zero, levels[0])
    _, c, cov = _recursion(prior.law, levels, table, start)
    return Gaussian(c, cov)


@checked
def posterior_law(prior: GaussianPrior, op: SVDOperator, *, sigma_y: float) -> AffineLaw:
    r"""The exact posterior :math:`p(\bar x\mid\bar y)` in the form of :func:`sampler_law`.

    Slide 2 (ledger S02.3, S09.7, section 4).

    Examples
    --------
    >>> from ddrm_edu import Dense
    >>> prior = GaussianPrior(torch.zeros(1), torch.ones(1, 1))
    >>> round(posterior_law(prior, Dense([[1.0]]), sigma_y=1.0).cov.item(), 6)
    0.5
    """
    require_gaussian(prior, op)
    x_spec, to_spec = spectral_law(prior, op), dense_map(op.Vt, op.in_shape)
    A, factor = (to_spec @ each for each in prior.posterior_factor(op, sigma_y=sigma_y))
    y_spec = law_of_y_spec(x_spec, op.spectrum(), sigma_y)
    return AffineLaw(A, x_spec.mean - A @ x_spec.mean, factor @ factor.T, y_spec, op)


@checked
def inference_network(
    x0: Gaussian,
    s: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    sigma_y: float,
    eta: Rate = 0.85,
    eta_b: Rate = 1.0,
) -> GaussianNetwork:
    r"""The chain :math:`q(\bar x_{1:T},\bar y\mid x_0)\,p(x_0)` of slide 11 as a network.

    Ledger S08.1, S10.1, S11.1-S11.7: variables ``"x0"``, ``"y"``, ``"xT"``, ..., ``"x1"``, named
    ``"x7"`` and so on for a run of 7 levels above 0, all in spectral coordinates.  Every marginal
    and cross-covariance of slides 12-16 is ``network.joint(...)``.

    Parameters
    ----------
    x0 : Gaussian
        Law of :math:`\bar x_0`; a Dirac, ``Gaussian(x0, zeros)``, conditions on one image.
    s : Tensor
        Singular values, of any shape with n entries; rates per coordinate have the same.
    sigmas : Tensor, shape (N + 1,)
        Decreasing levels that end in 0; the last one is :math:`x_0` itself and adds no variable.

    Examples
    --------
    >>> x0 = Gaussian([2.0, -1.0], torch.zeros(2, 2))
    >>> s = torch.tensor([1.0, 0.0])
    >>> network = inference_network(x0, s, [3.0, 0.5, 0.0], sigma_y=0.2, eta=0.6, eta_b=0.7)
    >>> network.joint("x1").cov  # sigma_1^2 I (Proposition 3.1)
    tensor([[0.2500, 0.0000],
            [0.0000, 0.2500]], dtype=torch.float64)
    """
    levels = decreasing_sigmas(sigmas)
    start = flattened(ddrm_start_coefficients(s, levels[0], sigma_y))
    network = GaussianNetwork()
    network.add("x0", offset=x0.mean, cov=x0.cov)
    network.add("y", {"x0": (s > 0).flatten()}, cov=_var_of_y_spec(s, sigma_y))
    t = len(levels) - 1
    network.add(f"x{t}", {"x0": start.x0, "y": start.y}, cov=start.noise**2)
    for sigma, sigma_next in itertools.pairwise(levels[:-1]):
        c = flattened(ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b))
        parents = {"x0": c.x0, f"x{t}": c.xt, "y": c.y}
        t -= 1
        network.add(f"x{t}", parents, cov=c.noise**2)
    return network


class Gap(NamedTuple):
    r"""How far a sampler is from the posterior, on average over measurements.

    All but the divergences are ratios: lengths in units of the posterior's own spread
    :math:`\sqrt{\mathrm{tr}\,\mathrm{Cov}[x\mid y]}`, so that
    ``relative_w2**2 == mean**2 + cov**2``.
    """

    relative_w2: float  #: sqrt(E_y W_2^2 / tr Cov[x | y])
    mean: float  #: the part of it that comes from the means
    cov: float  #: the part of it that comes from the covariances
    kl: float  #: E_y KL(sampler || posterior), nats; infinite if the sampler leaves its plane
    kl_reverse: float  #: E_y KL(posterior || sampler), nats
    mse_ratio: float  #: E|sample - x_0|^2 over that of a draw from the posterior (below 1: G16)


@checked
def gap(law: AffineLaw, posterior: AffineLaw) -> Gap:
    r"""Distance of a sampler's law from the posterior, averaged over y (ledger section 4).

    :math:`E_yW_2^2=\lVert\Delta A\mu_{\bar y}+\Delta c\rVert^2+\mathrm{tr}\,\Delta A\,
    \mathrm{Cov}\,\bar y\,\Delta A^\top+\mathrm{Bures}^2(S_0,S^*)`.

    Parameters
    ----------
    law : AffineLaw
        From :func:`sampler_law`; its prior may be a wrong one.
    posterior : AffineLaw
        From :func:`posterior_law`, in the same coordinates; the average is over its ``y_spec``.

    Examples
    --------
    >>> from ddrm_edu import Dense, NoiseSchedule
    >>> prior, op = GaussianPrior(torch.zeros(1), torch.ones(1, 1)), Dense([[1.0]])
    >>> law = sampler_law(prior, op, NoiseSchedule.linear().sigmas(20), sigma_y=1.0)
    >>> round(gap(law, posterior_law(prior, op, sigma_y=1.0)).relative_w2, 2)
    0.46
    """
    for what, one in (("law", law), ("posterior", posterior)):
        if not isinstance(one, AffineLaw):
            raise ValueError(
                f"{what} must be an AffineLaw, which knows every y, but was a "
                f"{type(one).__name__}. sampler_law(prior, op, ...) and posterior_law(prior, op, "
                "...) give the two."
            )
    if law.A.shape != posterior.A.shape:
        raise ValueError(
            f"Both laws must be about the same images, but have {len(law.c)} and "
            f"{len(posterior.c)} coordinates. Compute both with one operator."
        )
    dA, dc, y = law.A - posterior.A, law.c - posterior.c, posterior.y_spec
    shift = dA @ y.mean + dc
    apart = torch.cat([shift[:, None], dA @ y.factor], 1)  # E of (m - m')(m - m')^T: its square
    spread = float(posterior.cov.trace())
    own, exact = factor_of(law.cov), factor_of(posterior.cov)
    mean, cov = float(apart.square().sum()), float(bures(own, exact))
    if spread == 0:
        raise ValueError(
            "The posterior has no spread at all: the measurement determines the image, and a "
            "relative distance means nothing. Compare the means of the two laws instead."
        )
    error = float(law.cov.trace()) + mean + spread
    return Gap(
        relative_w2=math.sqrt((mean + cov) / spread),
        mean=math.sqrt(mean / spread),
        cov=math.sqrt(cov / spread),
        kl=expected_kl(apart, own, exact),
        kl_reverse=expected_kl(apart, exact, own),
        mse_ratio=error / (2 * spread),
    )


def _recursion(
    prior: Gaussian,
    levels: Tensor,
    table: Callable[[Tensor, Tensor], StepCoefficients],
    start: StepCoefficients,
) -> tuple[Tensor, Tensor, Tensor]:
    """A (n, n), c (n,) and cov (n, n) after all steps, in the coordinates of the coefficients.

    The work is done on a batch of independent blocks: one of n coordinates, or, if the prior's
    covariance is diagonal, n of one coordinate each.
    """
    n, cov, diagonal = prior.n, prior.cov, prior.cov.diagonal()
    alone = (cov - diagonal.diag()).abs().max() <= n * EPS * diagonal.max()
    shape = (n, 1) if alone else (1, n)
    axes = torch.ones(n, 1, 1, dtype=cov.dtype) if alone else prior.axes[None]
    eigenvalues = (diagonal if alone else prior.eigenvalues).reshape(shape)

    row = lambda c: c.flatten().expand(n).reshape(shape[0], 1, shape[1])  # noqa: E731
    m = prior.mean.reshape(*shape, 1)
    # Backwards from the output: "effect" is that of the state after a step on the output.  Where
    # it has died away, everything before is forgotten and need not be computed.
    effect = torch.eye(shape[1], dtype=cov.dtype).repeat(shape[0], 1, 1)
    A, S, c = torch.zeros_like(effect), torch.zeros_like(effect), torch.zeros_like(m)
    scratch = torch.zeros_like(effect)
    for sigma, sigma_next in reversed(list(itertools.pairwise(levels))):
        K, L, M, N = (row(number) for number in table(sigma, sigma_next))
        variances = (eigenvalues + sigma**2)[:, None]
        gain = _gram(torch.mul(axes, (eigenvalues[:, None] / variances).sqrt(), out=scratch))
        A.addcmul_(effect, M)
        _add_gram(S, torch.mul(effect, N, out=scratch))
        used = torch.mul(effect, K, out=scratch)
        c += used @ (axes * (sigma**2 / variances) @ (axes.mT @ m))  # (I - gain) m
        # Entries on their way to subnormal numbers would slow a product tenfold.
        effect = torch.nn.functional.hardshrink(effect.mul_(L).baddbmm_(used, gain), 1e-150)
        if effect.abs().max() < 1e-20:
            break
    A.addcmul_(effect, row(start.y))
    _add_gram(S, effect * row(start.noise))
    whole = (lambda blocks: blocks.flatten().diag()) if alone else (lambda blocks: blocks[0])
    return whole(A), c.flatten(), whole(S.tril() + S.tril(-1).mT)


def _gram(blocks: Tensor) -> Tensor:
    """``blocks @ blocks.mT``, by numpy, which computes one half of a symmetric product only."""
    array = blocks.numpy()
    return torch.from_numpy(array @ array.swapaxes(1, 2))


def _add_gram(S: Tensor, blocks: Tensor) -> None:
    """Add ``blocks @ blocks.mT`` to the lower triangle of S, in place: half of the work."""
    from scipy.linalg.blas import dsyrk

    if len(S) > 1:  # blocks of one number
        S += blocks**2
    else:
        dsyrk(1.0, blocks[0].numpy().T, 1.0, S[0].numpy().T, trans=1, overwrite_c=1)


def flattened(c: StepCoefficients) -> StepCoefficients:
    """Coefficients of images as those of vectors."""
    return StepCoefficients(*(number.flatten() for number in c))


def law_of_y_spec(x_spec: Gaussian, s: Tensor, sigma_y: float) -> Gaussian:
    """y_spec = x_spec + N(0, (sigma_y / s)^2) where s > 0, and 0 elsewhere (S09.4-S09.6)."""
    seen, noise = (s > 0).flatten().double(), _var_of_y_spec(s, sigma_y).sqrt().diag()
    return Gaussian(seen * x_spec.mean, factor=torch.cat([seen[:, None] * x_spec.factor, noise], 1))


def spectral_law(prior: GaussianPrior, op: SVDOperator) -> Gaussian:
    r"""Law of :math:`\bar x_0=V^\top x_0`, flattened (S09.3)."""
    return prior.law.turned(dense_map(op.Vt, op.in_shape))


def _var_of_y_spec(s: Tensor, sigma_y: float) -> Tensor:
    """Variance sigma_y^2 / s^2 of y_spec given x_0, and 0 where s = 0 (S09.6), shape (n,)."""
    s = s.flatten().double()
    std = require_level(sigma_y, "sigma_y") / s.where(s > 0, torch.ones_like(s))
    return torch.where(s > 0, std**2, 0.0)


def require_gaussian(prior: GaussianPrior, op: SVDOperator | None = None) -> None:
    if not isinstance(prior, GaussianPrior):
        raise ValueError(
            f"An exact law is known for a GaussianPrior only, but prior was a "
            f"{type(prior).__name__}: with any other denoiser the output is not Gaussian. "
            "Draw samples and use check_mc instead."
        )
    if op is not None:
        require_fit(op, prior.shape)

r"""Gaussian laws and what the proofs of slides 13-16 do with them, exactly and in float64.

A linear-Gaussian model is a :class:`GaussianNetwork`: each variable is an affine map of earlier
ones plus independent noise.  The inference chain of slide 11 is one; every marginal, conditional
and cross-covariance that the lecture claims can be read off it by brute force.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .noise import Generators, standard_normal
from .validation import EPS, finite_tensor, real_tensor, require_covariance, require_level

__all__ = ["Gaussian", "GaussianNetwork", "hint_1", "hint_2"]


@dataclass(frozen=True, eq=False, init=False)
class Gaussian:
    r"""The law :math:`N(\text{mean},\text{cov})` of a vector of n numbers.

    Parameters
    ----------
    mean : array (n,)
    cov : array (n, n)
        Symmetric without negative eigenvalues; it may be singular, a Dirac has ``cov = 0``.

    Attributes
    ----------
    eigenvalues : Tensor, shape (n,)
        Variances along the principal axes, in increasing order.
    axes : Tensor, shape (n, n)
        The principal axes as columns: ``cov = axes @ diag(eigenvalues) @ axes.T``.

    Raises
    ------
    ValueError
        If the shapes do not fit or ``cov`` is not a covariance.

    Examples
    --------
    >>> x = Gaussian([1.0, 0.0], [[2.0, 1.0], [1.0, 2.0]])
    >>> x.conditional([0], [3.0]).mean  # 0 + 1/2 (3 - 1)
    tensor([1.], dtype=torch.float64)
    """

    mean: Tensor
    cov: Tensor
    eigenvalues: Tensor
    axes: Tensor

    def __init__(self, mean: Any, cov: Any) -> None:
        mean, cov = finite_tensor(mean, "mean"), real_tensor(cov, "cov")
        if mean.ndim != 1:
            raise ValueError(
                f"mean must be one vector, of shape (n,), but had shape {tuple(mean.shape)}. "
                "Flatten images first; GaussianPrior keeps their shape."
            )
        eigenvalues, axes = require_covariance(cov, len(mean))
        cov = (cov + cov.T) / 2
        vars(self).update(mean=mean, cov=cov, eigenvalues=eigenvalues, axes=axes)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.mean)

    def push(self, A: Any, offset: Any = 0.0, cov: Any = 0.0) -> Gaussian:
        r"""Law of :math:`Ax+b+e` with :math:`e\sim N(0,\text{cov})` independent of x.

        ``A`` and ``cov`` may be matrices, vectors (their diagonals) or numbers (times the
        identity); ``offset`` a vector or a number.
        """
        A = _matrix(A, self.n, "A")
        return Gaussian(
            A @ self.mean + _vector(offset, len(A), "offset"),
            A @ self.cov @ A.T + _matrix(cov, len(A), "cov"),
        )

    def joint(self, A: Any, offset: Any = 0.0, cov: Any = 0.0) -> Gaussian:
        r"""Law of the pair :math:`(x,\ Ax+b+e)`, one below the other; arguments as in ``push``."""
        A = _matrix(A, self.n, "A")
        both = torch.cat([torch.eye(self.n).to(A), A])
        noise = torch.block_diag(torch.zeros(self.n, self.n).to(A), _matrix(cov, len(A), "cov"))
        zeros = torch.zeros(self.n).to(A)
        return self.push(both, torch.cat([zeros, _vector(offset, len(A), "offset")]), noise)

    def marginal(self, index: Sequence[int] | slice) -> Gaussian:
        """Law of the coordinates in ``index``, in that order."""
        picked = torch.arange(self.n)[index]
        return Gaussian(self.mean[picked], self.cov[picked][:, picked])

    def conditional(self, index: Sequence[int] | slice, value: Any) -> Gaussian:
        r"""Law of all other coordinates, in their order, given that those of ``index`` are known.

        :math:`m_a+C_{ab}C_{bb}^+(v-m_b)` and :math:`C_{aa}-C_{ab}C_{bb}^+C_{ba}`.

        Raises
        ------
        ValueError
            If ``value`` cannot occur: a singular law knows some combinations of its coordinates.
        """
        given = torch.arange(self.n)[index]
        rest = torch.tensor(sorted(set(range(self.n)) - set(given.tolist())), dtype=torch.long)
        centred = _vector(value, len(given), "value") - self.mean[given]
        scale, correlation = standardised(self.cov[given][:, given])
        inverse = torch.linalg.pinv(correlation, hermitian=True)
        scaled = scale * centred
        impossible = _largest(scaled - correlation @ inverse @ scaled)
        if impossible > 1e-8 * (1 + _largest(scaled)):  # the root of rounding: a rank was decided
            raise ValueError(
                f"The given values cannot occur under this law: they miss it by {impossible:.3g} "
                "standard deviations where it leaves no freedom, because some coordinates "
                "determine others. Draw the values from the law itself, or add noise to it."
            )
        gain = self.cov[rest][:, given] * scale @ inverse * scale
        cov = self.cov[rest][:, rest] - gain @ self.cov[given][:, rest]
        return Gaussian(self.mean[rest] + gain @ centred, cov)

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws, float64, of shape ``(batch, n)``."""
        z = standard_normal(torch.empty(batch, self.n, dtype=torch.float64), generator)
        return self.mean + z @ _root(self.eigenvalues, self.axes)

    def along_axes(self, x: Tensor, sigma: float | Tensor = 0.0) -> tuple[Tensor, Tensor]:
        r"""``x (batch, n)`` less the mean in the principal axes, and the variances there; float64.

        The variances are those of x with noise, :math:`N(\text{mean},\text{cov}+\sigma^2I)`.

        Raises
        ------
        ValueError
            If sigma is 0 and ``cov`` singular: such a law has no density.
        """
        variance = require_level(sigma, "sigma") ** 2
        smallest, largest = self.eigenvalues[[0, -1]].tolist()
        if variance == 0 and smallest <= rounding(self.n) * largest:
            raise ValueError(
                "A Gaussian with a singular covariance has no density at sigma = 0, but the "
                f"eigenvalues of cov range from {smallest:.3g} to {largest:.3g}. Ask for a level "
                "sigma > 0, add a small multiple of the identity to cov, or drop the coordinates "
                "that others determine."
            )
        centred = (x.double() - self.mean.to(x.device)) @ self.axes.to(x.device)
        return centred, self.eigenvalues.to(x.device) + variance

    def log_density(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        r"""Log density :math:`\log N(x;\text{mean},\text{cov}+\sigma^2I)` of each row of x.

        Takes ``(batch, n)``, returns float64 ``(batch,)``; needs a regular ``cov`` or a sigma > 0.
        """
        centred, variances = self.along_axes(x, sigma)
        scale = variances.log().sum() + self.n * math.log(2 * math.pi)
        return -((centred**2 / variances).sum(1) + scale) / 2

    def kl(self, other: Gaussian) -> float:
        r"""Kullback-Leibler divergence :math:`D_{KL}(\text{self}\,\Vert\,\text{other})` in nats.

        Singular laws are compared on the plane on which ``other`` lives; if ``self`` leaves that
        plane or fills less than all of it, the divergence is infinite.
        """
        _require_same_size(self, other)
        difference = self.mean - other.mean
        return expected_kl(torch.outer(difference, difference), self.cov, other.cov)

    def w2(self, other: Gaussian) -> float:
        """Wasserstein-2 distance, in the units of x (Gelbrich's formula)."""
        _require_same_size(self, other)
        squared = (self.mean - other.mean).square().sum() + bures(self.cov, other.cov)
        return float(squared.sqrt())

    def __repr__(self) -> str:
        return f"Gaussian(n={self.n}, trace of cov={self.cov.trace():.4g})"


class GaussianNetwork:
    r"""Variables that are affine maps of earlier ones plus independent Gaussian noise.

    Every variable is kept as its affine map of independent standard normals (its mean is the first
    column), so that any covariance is one product, however deep the network.

    Examples
    --------
    Case 1 of slide 11 for one coordinate, with everything but :math:`x_0` integrated out:

    >>> net = GaussianNetwork()
    >>> net.add("x0", offset=[5.0])
    >>> net.add("y", {"x0": 1.0}, cov=0.25)
    >>> net.add("xt", {"x0": 0.3, "y": 0.7}, cov=1.0 - 0.7**2 * 0.25)
    >>> net.joint("xt")  # N(x_0, sigma_t^2) with sigma_t = 1
    Gaussian(n=1, trace of cov=1)
    """

    def __init__(self) -> None:
        self._maps: dict[str, Tensor] = {}  # (n, 1 + standard normals so far)

    def add(
        self,
        name: str,
        parents: Mapping[str, Any] | None = None,
        *,
        offset: Any = 0.0,
        cov: Any = 0.0,
    ) -> None:
        r"""Add :math:`x=\sum_p A_p\,p+b+e`, with :math:`e\sim N(0,\text{cov})` fresh.

        Parameters
        ----------
        name : str
            Not used before.
        parents : mapping from name to matrix, optional
            A vector stands for a diagonal matrix, a number for a multiple of the identity.
        offset : vector or number
            For a variable without parents its mean, whose length is that of the variable.
        cov : matrix, vector (its diagonal) or number (times the identity)
        """
        parents = dict(parents or {})
        unknown = [parent for parent in parents if parent not in self._maps]
        if unknown or name in self._maps:
            raise ValueError(
                f"A variable must have a new name and parents that were added before it, but "
                f"{name!r} has the parents {list(parents)} while the network holds "
                f"{list(self._maps)}. Add the variables in the order in which they are drawn."
            )
        maps = {p: _matrix(A, len(self._maps[p]), f"matrix of {p}") for p, A in parents.items()}
        offset = real_tensor(offset, "offset")
        sizes = {len(A) for A in maps.values()} | ({len(offset)} if offset.ndim else set())
        if len(sizes) != 1:
            raise ValueError(
                f"All terms of {name!r} must have one length, but have {sorted(sizes) or 'none'}: "
                "a variable without parents takes its length from offset=, its mean."
            )
        n = sizes.pop()
        cov = _matrix(cov, n, "cov")
        root = _root(*require_covariance(cov, n))
        fresh = root if cov.any() else cov[:, :0]
        known = _widened(_vector(offset, n, "offset")[:, None], self._width)
        for parent, A in maps.items():
            known = known + A @ _widened(self._maps[parent], self._width)
        self._maps[name] = torch.cat([known, fresh], 1)

    def joint(self, *names: str) -> Gaussian:
        """Law of the named variables, one below the other; all others are integrated out."""
        stacked = torch.cat([_widened(self._maps[name], self._width) for name in names])
        return Gaussian(stacked[:, 0], stacked[:, 1:] @ stacked[:, 1:].T)

    def conditional(self, names: Sequence[str], given: Mapping[str, Any]) -> Gaussian:
        """Law of the variables in ``names`` given values of others."""
        law = self.joint(*given, *names)
        values = [_vector(v, len(self._maps[name]), name) for name, v in given.items()]
        known = torch.cat(values)
        return law.conditional(slice(len(known)), known)

    @property
    def _width(self) -> int:
        return max((each.shape[1] for each in self._maps.values()), default=1)


def hint_1(V1: float, alpha: float, V2: float, *, gamma: float = 0.0) -> tuple[float, float]:
    r"""Hint 1 of slide 13: the law of :math:`z_2` given :math:`z_0`, as (factor of z0, variance).

    Ledger S13.1: :math:`p(z_1\mid z_0)=N(z_0,V_1)` and
    :math:`p(z_2\mid z_1,z_0)=N(\alpha z_1+\gamma z_0,V_2)` give
    :math:`p(z_2\mid z_0)=N((\alpha+\gamma)z_0,\ \alpha^2V_1+V_2)`.

    The slide states it for :math:`\gamma=0`, that is for :math:`z_2\perp z_0\mid z_1`.  ``gamma``
    is a shortcut (ledger E16, a remark): it does at once what slide 14 does by hint 1 for
    :math:`\eta_b\bar y` and then hint 2 for the sum.

    Examples
    --------
    Case 1 with eta_b = 0.7, where the mean is 0.3 x_0 + 0.7 y: the factor of x_0 is 1.

    >>> hint_1(V1=0.25, alpha=0.75, V2=1.0, gamma=0.25)
    (1.0, 1.140625)
    """
    if V1 < 0 or V2 < 0:
        raise ValueError(f"V1 and V2 are variances, so at least 0, but were {V1:g} and {V2:g}.")
    return alpha + gamma, alpha**2 * V1 + V2


def hint_2(pair: Gaussian) -> Gaussian:
    r"""Hint 2 of slide 13: the law of :math:`z_1+z_2`, for independent :math:`z_1,z_2`.

    Ledger S13.2: :math:`N(\mu_1+\mu_2,\ V_1+V_2)`.  The slide omits the condition (erratum E6);
    here it is checked, which is possible because in a *jointly* Gaussian pair independence is
    the absence of correlation.

    Parameters
    ----------
    pair : Gaussian
        Joint law of :math:`(z_1,z_2)`, one below the other, of 2 k coordinates.

    Raises
    ------
    ValueError
        If the two are correlated; the message gives the largest correlation.
    """
    if pair.n % 2:
        raise ValueError(
            f"The pair must stack two vectors of one length, but has {pair.n} coordinates."
        )
    k = pair.n // 2
    std = pair.cov.diagonal().sqrt()
    correlation = _largest(pair.cov[:k, k:] / torch.outer(std[:k], std[k:]).clamp(min=1e-300))
    if correlation > pair.n * EPS:
        raise ValueError(
            "Hint 2 needs independent summands, but theirs are correlated: the largest correlation "
            f"is {correlation:.3g}. The variance of the sum is then V1 + V2 + C12 + C12^T: "
            "push the joint law through [I I] instead."
        )
    return Gaussian(pair.mean[:k] + pair.mean[k:], pair.cov[:k, :k] + pair.cov[k:, k:])


def bures(A: Tensor, B: Tensor) -> Tensor:
    r"""Covariance part of :math:`W_2^2`: :math:`\mathrm{tr}(A+B-2(A^{1/2}BA^{1/2})^{1/2})`."""
    root = _root(*torch.linalg.eigh(A))
    cross = torch.linalg.eigvalsh(root @ B @ root).clamp(min=0).sqrt().sum()
    return (A.trace() + B.trace() - 2 * cross).clamp(min=0)


def expected_kl(second: Tensor, cov: Tensor, other: Tensor) -> float:
    r"""Mean of :math:`D_{KL}(N(m,\text{cov})\Vert N(m',\text{other}))` over random means.

    ``second`` is :math:`E[(m-m')(m-m')^\top]`; the covariances may be singular.
    """
    values, axes = torch.linalg.eigh(other)
    plane = values > rounding(len(values)) * values[-1]
    inside, outside = axes[:, plane], axes[:, ~plane]
    if _largest(outside.T @ (cov + second) @ outside) > rounding(len(values)) * float(values[-1]):
        return math.inf
    own = torch.linalg.eigvalsh(inside.T @ cov @ inside)
    if len(own) and own[0] <= rounding(len(own)) * own[-1]:
        return math.inf
    trace = ((inside.T @ (cov + second) @ inside).diagonal() / values[plane]).sum()
    return float((trace - len(own) + values[plane].log().sum() - own.log().sum()) / 2)


def standardised(cov: Tensor) -> tuple[Tensor, Tensor]:
    """1 / std of each coordinate (1 where it is 0), and ``cov`` scaled to a diagonal of ones by it.

    Otherwise a decomposition takes small variances beside large ones for zeros.
    """
    variances = cov.diagonal()
    scale = torch.where(variances > 0, variances, 1.0).rsqrt()
    return scale, scale[:, None] * cov * scale


def rounding(n: int) -> float:
    """Eigenvalues below this share of the largest are rounding."""
    return 10 * n * EPS


def _root(eigenvalues: Tensor, axes: Tensor) -> Tensor:
    """Symmetric square root; eigenvalues that rounding made negative count as 0."""
    return axes * eigenvalues.clamp(min=0).sqrt() @ axes.T


def _matrix(value: Any, n: int, what: str) -> Tensor:
    """``value`` as a matrix with n columns: a vector is a diagonal, a number times the identity."""
    matrix = finite_tensor(value, what)
    if matrix.ndim == 0:
        matrix = matrix * torch.eye(n, dtype=torch.float64)
    elif matrix.ndim == 1:
        matrix = matrix.diag()
    if matrix.ndim != 2 or matrix.shape[1] != n:
        raise ValueError(
            f"{what} must have {n} columns (or be a vector of {n} numbers, its diagonal, or one "
            f"number), but had shape {tuple(matrix.shape)}. Is it transposed?"
        )
    return matrix


def _vector(value: Any, n: int, what: str) -> Tensor:
    vector = finite_tensor(value, what)
    if vector.shape not in ((), (n,)):
        raise ValueError(f"{what} must hold {n} numbers, but had shape {tuple(vector.shape)}.")
    return vector.expand(n)


def _widened(matrix: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(matrix, (0, width - matrix.shape[1]))


def _largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0


def _require_same_size(a: Gaussian, b: Gaussian) -> None:
    if a.n != b.n:
        raise ValueError(
            f"Both laws must have the same number of coordinates, but have {a.n} and {b.n}."
        )

r"""Gaussian laws and what the proofs of slides 13-16 do with them, exactly and in float64.

A linear-Gaussian model is a :class:`GaussianNetwork`: each variable is an affine map of earlier
ones plus independent noise.  The inference chain of slide 11 is one; every marginal, conditional
and cross-covariance that the lecture claims can be read off it by brute force.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .boundary import checked
from .noise import Generators, standard_normal
from .validation import (
    EPS,
    LARGEST,
    boolean_mask,
    finite_tensor,
    one_number,
    real_tensor,
    require_batch,
    require_count,
    require_covariance,
    require_finite,
    require_level,
)


@checked
@dataclass(frozen=True, eq=False, init=False)
class Gaussian:
    r"""The law :math:`N(\text{mean},\text{cov})` of a vector of n numbers.

    Parameters
    ----------
    mean : array (n,)
    cov : array (n, n), optional
        Symmetric without negative eigenvalues; it may be singular, a Dirac has ``cov = 0``.
    factor : array (n, r), optional
        In the place of ``cov``: any L with ``cov = L @ L.T``.  It knows every variance to all
        digits; ``cov`` has rounded away those below 1e-16 of the largest.

    Attributes
    ----------
    factor : Tensor, shape (n, r), r <= n
        Of a law given by ``cov`` it leaves out what is rounding: combinations of the standardised
        coordinates with a variance of at most 10 n eps.
    eigenvalues : Tensor, shape (n,)
        Variances along the principal axes, in increasing order.
    axes : Tensor, shape (n, n)
        The principal axes as columns: ``cov = axes @ diag(eigenvalues) @ axes.T``.

    Raises
    ------
    ValueError
        If the shapes do not fit, ``cov`` is not a covariance, or not just one of the two is given.

    Examples
    --------
    >>> x = Gaussian([1.0, 0.0], [[2.0, 1.0], [1.0, 2.0]])
    >>> x.conditional([0], [3.5]).mean  # 0 + 1/2 (3.5 - 1)
    tensor([1.2500], dtype=torch.float64)
    """

    mean: Tensor
    _columns: Tensor | None  # the factor, if the law was given by one

    def __init__(self, mean: Any, cov: Any = None, *, factor: Any = None) -> None:
        mean = finite_tensor(mean, "mean")
        if mean.ndim != 1:
            raise ValueError(
                f"mean must be one vector, of shape (n,), but had shape {tuple(mean.shape)}. "
                "Flatten images first; GaussianPrior keeps their shape."
            )
        if (cov is None) == (factor is None):
            raise ValueError(
                "A Gaussian law needs one of cov and factor, where cov = factor @ factor.T, but "
                f"{'neither' if cov is None else 'both'} was given. Pass the factor if you have it."
            )
        if factor is None:
            cov = real_tensor(cov, "cov")
            principal = require_covariance(cov, len(mean))
            vars(self).update(cov=(cov + cov.T) / 2, _principal=principal)
        else:
            factor = finite_tensor(factor, "factor")
            if factor.ndim != 2 or len(factor) != len(mean):
                raise ValueError(
                    f"factor must have shape ({len(mean)}, r) for a mean with {len(mean)} entries, "
                    f"but had {tuple(factor.shape)}. Is it transposed?"
                )
        vars(self).update(mean=mean, _columns=factor)

    @cached_property
    def cov(self) -> Tensor:
        columns = self.factor if self._columns is None else self._columns
        product = columns @ columns.T
        return (product + product.T) / 2

    @cached_property
    def factor(self) -> Tensor:
        if self._columns is None:
            return factor_of(self.cov)
        wide = self._columns.shape[1] > self.n
        return torch.linalg.qr(self._columns.T).R.T if wide else self._columns

    @cached_property
    def _principal(self) -> tuple[Tensor, Tensor]:
        axes, std, _ = torch.linalg.svd(self.factor)
        return _widened(std[None] ** 2, self.n)[0].flip(0), axes.flip(1)

    @property
    def eigenvalues(self) -> Tensor:
        return self._principal[0]

    @property
    def axes(self) -> Tensor:
        return self._principal[1]

    @property
    def floor(self) -> float:
        """Eigenvalues up to this one are rounding: of the covariance, or of the factor, squared."""
        power = 1 if self._columns is None else 2
        return rounding(self.n) ** power * _largest(self.eigenvalues)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.mean)

    def push(self, A: Any, offset: Any = 0.0, cov: Any = 0.0) -> Gaussian:
        r"""Law of :math:`Ax+b+e` with :math:`e\sim N(0,\text{cov})` independent of x.

        ``A`` and ``cov`` may be matrices, vectors (their diagonals) or numbers (times the
        identity); ``offset`` a vector or a number.  The law has a factor if this one was given by
        one.
        """
        A = _matrix(A, self.n, "A")
        mean, noise = A @ self.mean + _vector(offset, len(A), "offset"), _noise(cov, len(A))
        if self._columns is None:
            return Gaussian(mean, A @ self.cov @ A.T + noise.cov)
        return Gaussian(mean, factor=torch.cat([A @ self.factor, noise.factor], 1))

    def turned(self, Q: Tensor) -> Gaussian:
        """Law of Q x for an orthogonal Q (n, n), whose eigenvalues are those of x."""
        law = Gaussian(Q @ self.mean, factor=Q @ self.factor)
        vars(law).update(_principal=(self.eigenvalues, Q @ self.axes))
        return law

    def joint(self, A: Any, offset: Any = 0.0, cov: Any = 0.0) -> Gaussian:
        r"""Law of the pair :math:`(x,\ Ax+b+e)`, one below the other; arguments as in ``push``."""
        A = _matrix(A, self.n, "A")
        both = torch.cat([torch.eye(self.n).to(A), A])
        noise = torch.block_diag(torch.zeros(self.n, self.n).to(A), _matrix(cov, len(A), "cov"))
        zeros = torch.zeros(self.n).to(A)
        return self.push(both, torch.cat([zeros, _vector(offset, len(A), "offset")]), noise)

    def marginal(self, index: Sequence[int] | slice) -> Gaussian:
        """Law of the coordinates in ``index``, in that order."""
        picked = _places(index, self.n)
        if self._columns is None:
            return Gaussian(self.mean[picked], self.cov[picked][:, picked])
        return Gaussian(self.mean[picked], factor=self.factor[picked])

    def conditional(self, index: Sequence[int] | slice, value: Any) -> Gaussian:
        r"""Law of all other coordinates, in their order, given that those of ``index`` are known.

        :math:`m_a+C_{ab}C_{bb}^+(v-m_b)` and :math:`C_{aa}-C_{ab}C_{bb}^+C_{ba}`, without that
        difference: see :class:`Readings`.

        Raises
        ------
        ValueError
            If ``value`` cannot occur: a singular law knows some combinations of its coordinates.
        """
        given = _places(index, self.n)
        rest = torch.tensor(sorted(set(range(self.n)) - set(given.tolist())), dtype=torch.long)
        centred = _vector(value, len(given), "value") - self.mean[given]
        readings = Readings(self.factor[given])
        impossible = _largest(readings.contradiction(centred))
        # A covariance leaves open whether directions of that deviation are free or rounding.
        unsure = 1e-8 if self._columns is not None else math.sqrt(rounding(self.n))
        if impossible > unsure * (1 + _largest(readings.weights * centred)):
            raise ValueError(
                f"The given values cannot occur under this law: they miss it by {impossible:.3g} "
                "standard deviations where it leaves no freedom, because some coordinates "
                "determine others. Draw the values from the law itself, or add noise to it."
            )
        mean = self.mean[rest] + readings.gain(self.factor[rest]) @ centred
        return Gaussian(mean, factor=readings.left(self.factor[rest]))

    def sample(self, batch: int, *, generator: Generators = None) -> Tensor:
        """Draws, float64, of shape ``(batch, n)``."""
        batch = require_count(batch, "batch")
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
        if variance == 0 and smallest <= self.floor:
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
        require_batch(x, (self.n,), "x")
        if x.device.type == "cpu":  # elsewhere that would wait for the device
            require_finite(x, "x")
        centred, variances = self.along_axes(x, sigma)
        scale = variances.log().sum() + self.n * math.log(2 * math.pi)
        return -((centred**2 / variances).sum(1) + scale) / 2

    def kl(self, other: Gaussian) -> float:
        r"""Kullback-Leibler divergence :math:`D_{KL}(\text{self}\,\Vert\,\text{other})` in nats.

        Singular laws are compared on the plane on which ``other`` lives; if ``self`` leaves that
        plane or fills less than all of it, the divergence is infinite.
        """
        _require_same_size(self, other)
        return expected_kl((self.mean - other.mean)[:, None], self.factor, other.factor)

    def w2(self, other: Gaussian) -> float:
        """Wasserstein-2 distance, in the units of x (Gelbrich's formula)."""
        _require_same_size(self, other)
        squared = (self.mean - other.mean).square().sum() + bures(self.factor, other.factor)
        return float(squared.sqrt())

    def __repr__(self) -> str:
        return f"Gaussian(n={self.n}, trace of cov={self.cov.trace():.4g})"


@checked
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
        self._width = 1

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
        known = _widened(_vector(offset, n, "offset")[:, None], self._width)
        for parent, A in maps.items():
            known = known + A @ _widened(self._maps[parent], self._width)
        self._maps[name] = torch.cat([known, _noise(cov, n).factor], 1)
        self._width = self._maps[name].shape[1]

    def joint(self, *names: str) -> Gaussian:
        """Law of the named variables, one below the other; all others are integrated out."""
        unknown = [name for name in names if name not in self._maps]
        if unknown or not names:
            raise ValueError(
                f"The network holds the variables {list(self._maps)}, but was asked for "
                f"{list(names)}. Give at least one of its names."
            )
        stacked = torch.cat([_widened(self._maps[name], self._width) for name in names])
        return Gaussian(stacked[:, 0], factor=stacked[:, 1:])

    def conditional(self, names: Sequence[str], given: Mapping[str, Any]) -> Gaussian:
        """Law of the variables in ``names`` given values of others."""
        law = self.joint(*given, *names)
        if not given or not names:
            raise ValueError(
                "A conditional law is that of some variables given others, but names was "
                f"{list(names)} and given {list(given)}."
            )
        values = [_vector(v, len(self._maps[name]), name) for name, v in given.items()]
        known = torch.cat(values)
        return law.conditional(slice(len(known)), known)


def hint_1(V1: Any, alpha: Any, V2: Any, *, gamma: Any = 0.0) -> tuple[Any, Any]:
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
    V1, alpha, V2, gamma = (
        value if hasattr(value, "free_symbols") else one_number(value, what)  # or of sympy
        for what, value in (("V1", V1), ("alpha", alpha), ("V2", V2), ("gamma", gamma))
    )
    if any(isinstance(V, float | int) and V < 0 for V in (V1, V2)):
        raise ValueError(f"V1 and V2 are variances, so at least 0, but were {V1:g} and {V2:g}.")
    for what, value in (("V1", V1), ("alpha", alpha), ("V2", V2)):
        if isinstance(value, int | float) and abs(value) > LARGEST:  # symbols have no size
            raise ValueError(
                f"{what} must be at most {LARGEST:g} in size, so that its square is a number, but "
                f"was {value:.6g}."
            )
    return alpha + gamma, alpha**2 * V1 + V2


@checked
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


class Readings:
    r"""Readings :math:`y=We+(\sigma/w)z` of standard normal e (r,) with independent noise z (k,).

    With the SVD :math:`\mathrm{diag}(w)\,W=PDQ^\top` the law of e given y has the covariance
    :math:`(I+QD^2Q^\top/\sigma^2)^{-1}=Q\,\mathrm{diag}\big(\sigma^2/(\sigma^2+d^2)\big)Q^\top`:
    no covariance is inverted or subtracted, and at :math:`\sigma=0` the directions with d > 0 are
    known exactly.

    Parameters
    ----------
    rows : Tensor, shape (k, r)
        W.
    weights : Tensor, shape (k,), optional
        w, positive.  Without noise they have no say: each reading then counts in units of its own
        standard deviation (one of less than 10 r eps of the largest is a constant), and those with
        :math:`d\le10\max(k,r)\,\varepsilon\,d_{\max}` tell nothing new.
    sigma : float
    """

    def __init__(self, rows: Tensor, weights: Tensor | None = None, sigma: float = 0.0) -> None:
        size = max(rows.shape)
        if weights is None or sigma == 0:
            std = rows.norm(dim=1)
            varies = std > rounding(size) * _largest(std)
            rows, weights = rows.where(varies[:, None], 0.0), 1 / std.where(varies, 1.0)
        self.P, d, Qt = torch.linalg.svd(weights[:, None] * rows)
        self.Q, self.weights = Qt.T, weights
        if sigma == 0:
            d = d.where(d > rounding(size) * _largest(d), 0.0)
        spread = torch.hypot(_widened(d[None], size)[0], d.new_tensor(sigma))
        self.std = spread[: len(self.P)]  # of the weighted readings along P
        self._left = torch.where(spread > 0, sigma / spread, 1.0)[: len(self.Q)]  # of e along Q
        self._slope = torch.where(d > 0, d / self.std[: len(d)] ** 2, 0.0)

    def gain(self, L: Tensor) -> Tensor:
        """B (n, k) of E[L e | y] = B y, for L (n, r)."""
        Q, P = (axes[:, : len(self._slope)] for axes in (self.Q, self.P))
        return L @ Q * self._slope @ P.T * self.weights

    def left(self, L: Tensor) -> Tensor:
        """Factor (n, r) of the covariance of L e given y."""
        return L @ self.Q * self._left

    def contradiction(self, y: Tensor) -> Tensor:
        """What of the weighted readings y (k,) no e can explain, where they have no noise."""
        impossible = self.P[:, self.std == 0]
        return impossible @ (impossible.T @ (self.weights * y))

    def log_density(self, y: Tensor) -> Tensor:
        """Of each row of y (batch, k), up to the powers of 2 pi; every ``std`` must be positive."""
        along = (self.weights * y) @ self.P / self.std
        return (self.weights / self.std).log().sum() - along.square().sum(1) / 2


def bures(L: Tensor, M: Tensor) -> Tensor:
    r"""Covariance part of :math:`W_2^2`: :math:`\min_O\lVert L-MO\rVert^2` over orthogonal O.

    L and M (n, any) are factors of the two covariances A and B, and the minimum is
    :math:`\mathrm{tr}(A+B-2(A^{1/2}BA^{1/2})^{1/2})`.
    """
    U, _, Vt = torch.linalg.svd(L.T @ M)
    width = max(L.shape[1], M.shape[1])
    return (_widened(L @ U, width) - _widened(M @ Vt.T, width)).square().sum()


def expected_kl(apart: Tensor, own: Tensor, other: Tensor) -> float:
    r"""Mean of :math:`D_{KL}(N(m,AA^\top)\Vert N(m',BB^\top))` over random means.

    ``apart`` is a factor of :math:`E[(m-m')(m-m')^\top]`, ``own`` and ``other`` are A and B, whose
    covariances may be singular.
    """
    n, std = len(other), other.norm(dim=1)
    unit = 1 / std.where(std > rounding(n) * _largest(std), _largest(std) or 1.0)
    axes, d, _ = torch.linalg.svd(unit[:, None] * other)
    d = d[d > rounding(n) * _largest(d)]
    plane, beside = axes[:, : len(d)].T / d[:, None] * unit, axes[:, len(d) :].T * unit
    outside = (beside @ torch.cat([own, apart], 1)).square().sum(1)
    stretch = torch.linalg.svdvals(plane @ own)  # principal deviations, in units of the other's
    fills = len(stretch) == len(d) and bool((stretch > rounding(n) * _largest(stretch)).all())
    if _largest(outside) > rounding(n) or not fills:
        return math.inf
    terms = stretch**2 - 1 - 2 * stretch.log()
    return float((terms.sum() + (plane @ apart).square().sum()) / 2)


def factor_of(cov: Tensor) -> Tensor:
    """L (n, rank) with ``cov = L @ L.T``, from the eigenvectors of the correlations.

    A decomposition of ``cov`` itself would take small variances beside large ones for zeros.
    """
    std = cov.diagonal().clamp(min=0).sqrt()
    std = std.where(std > 0, 1.0)
    values, axes = torch.linalg.eigh(cov / std[:, None] / std)
    kept = values > rounding(len(cov))
    return std[:, None] * axes[:, kept] * values[kept].sqrt()


def rounding(n: int) -> float:
    """Eigenvalues below this share of the largest are rounding."""
    return 10 * n * EPS


def _root(eigenvalues: Tensor, axes: Tensor) -> Tensor:
    """Symmetric square root; eigenvalues that rounding made negative count as 0."""
    return axes * eigenvalues.clamp(min=0).sqrt() @ axes.T


def _noise(cov: Any, n: int) -> Gaussian:
    """N(0, cov) in n dimensions, after checking that there is such a law."""
    return Gaussian(torch.zeros(n), _matrix(cov, n, "cov"))


def _places(index: Sequence[int] | slice, n: int) -> Tensor:
    """The coordinates that ``index`` picks of n."""
    if isinstance(index, slice):
        with contextlib.suppress(TypeError):
            return torch.arange(n)[index]
        raise ValueError(f"index must be a slice of whole numbers, but was {index}.")
    places = boolean_mask(index, "index")
    if places.dtype == torch.bool and places.shape == (n,):
        return torch.arange(n)[places]
    whole = places.is_complex() or places.ndim != 1 or places.dtype == torch.bool
    if whole or (places != places.nan_to_num(n).clamp(-n, n - 1).long()).any():
        raise ValueError(
            f"index must hold whole numbers, the places of some of {n} coordinates, or be a mask "
            f"of so many booleans, but was {index!r:.60}."
        )
    return torch.arange(n)[places.long()]


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

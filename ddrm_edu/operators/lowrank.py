r"""The largest singular values of a large operator, with all of V (slide 9).

V has n columns, but only the first k need to be stored: a product of k Householder reflections is
an orthogonal map of all of R^n whose first k columns are the given ones, and costs O(n k).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..validation import EPS, is_integer, require_level, require_rtol
from .base import SVDOperator, in_single
from .linear_map import LinearMap, linear_map

PROBES = 32


class TruncatedSVD(SVDOperator):
    r"""The part :math:`H_k` of H with the k largest singular values; stores (m + n) k numbers.

    Slide 9 (ledger S09.1-S09.4) for an H that is neither small nor of a known structure, such as a
    blur that varies over the image.  The triplets come from ``scipy.sparse.linalg.svds``, which
    only multiplies with H and its transpose; V is completed by Householder reflections.

    Parameters
    ----------
    A : LinearOperator, sparse matrix, array, SVDOperator or pair of functions
        H, of shape (m, n) on flattened images.  A pair ``(f, ft)`` holds H and its transpose as
        functions of batches of images, ``(batch, *in_shape) -> (batch, *out_shape)`` and back.
    rank : int
        How many singular values to keep, from 1 to min(m, n).
    in_shape, out_shape : tuple of int, optional
        Shapes of one x and of one y; by default those of an SVDOperator or of a pylops operator,
        else ``(n,)`` and ``(m,)``.  A pair of functions needs ``in_shape``.
    largest_loss : float
        The part of the energy :math:`\lVert H\rVert_F^2` that may be cut off; 1 allows all.
    rtol : float, optional
        Singular values up to ``rtol`` times the largest count as 0, as in :class:`Dense`.
    seed : int
        Of the start vector and the probes.  The same seed gives the same operator, unless the cut
        goes through equal singular values: which of them are kept is up to rounding.

    Attributes
    ----------
    discarded : float
        :math:`\lVert H-H_k\rVert_F^2`, the energy cut off: exact if ``2 rank + 1 >= min(m, n)``,
        otherwise from 32 Gaussian probes z, of which
        :math:`E\lVert(H-H_k)z\rVert^2=\lVert H-H_k\rVert_F^2`.
    discarded_error : float
        The standard error of ``discarded``; 0 if it is exact.
    loss : float
        ``discarded`` as a part of the whole energy.

    Raises
    ------
    ValueError
        If more than ``largest_loss`` is cut off, A is not a finite real linear operator with its
        transpose, or a shape or the rank does not fit.

    Notes
    -----
    What is cut off cannot be restored by the measurement any more, only by the prior; singular
    values well below sigma_y / x_std say next to nothing anyway.  It does not disturb what is kept,
    since :math:`U_k^\top(H-H_k)=0`: DDRM reads y through :math:`U_k^\top y` alone, for which
    sigma_y stays as it is.  A method that compares y with :math:`H_kx` itself sees the difference
    as noise, of the size ``noise_level``; with ``sigma_y = 0``, :math:`H_kx=y` cannot hold.

    Examples
    --------
    >>> import scipy.sparse
    >>> H = scipy.sparse.diags_array(0.5 ** torch.arange(100).double().numpy())
    >>> op = TruncatedSVD(H, 6, in_shape=(1, 10, 10))
    >>> op
    TruncatedSVD((1, 10, 10) -> (100,), rank 6)
    >>> abs(op.loss - 4**-6) < 1e-4  # an estimate
    True
    """

    def __init__(
        self,
        A: Any,
        rank: int,
        in_shape: tuple[int, ...] | None = None,
        out_shape: tuple[int, ...] | None = None,
        *,
        largest_loss: float = 0.01,
        rtol: float | None = None,
        seed: int = 0,
    ):
        A = linear_map(A, in_shape, out_shape, name="f" if isinstance(A, tuple) else "A")
        self.in_shape, self.out_shape, smaller = A.in_shape, A.out_shape, min(A.m, A.n)
        if not is_integer(rank) or not 1 <= rank <= smaller:
            raise ValueError(
                f"rank must be an integer from 1 to min(m, n) = {smaller}, but was {rank!r}."
            )
        rtol = require_rtol(rtol, max(A.m, A.n) * EPS)
        U, s, V, self.discarded, self.discarded_error = _largest_part(A, rank, seed)
        energy = self.discarded + float(s @ s)
        self.loss = self.discarded / energy
        if not self.loss <= largest_loss:
            raise ValueError(
                f"With rank {rank} of {smaller} the part {self.loss:.3g} of the energy ||H||_F^2 "
                f"would be cut off (standard error {self.discarded_error / energy:.1g}), more than "
                f"largest_loss = {largest_loss:g}. The singular values kept fall from {s[0]:.3g} "
                f"to {s[-1]:.3g} only: raise the rank, or pass a larger largest_loss."
            )
        kept = int((s > rtol * s[0]).sum())
        self.s = torch.cat([s[:kept], s.new_zeros(A.n - kept)]).reshape(self.in_shape)
        # V_k = Q R with R = diag(+-1) up to rounding; the signs go to U.
        self._reflectors, self._scales = torch.geqrf(V[:, :kept])
        signs = self._reflectors.diagonal().sign()
        self._U = U[:, :kept] * signs

    def V(self, x: Tensor) -> Tensor:
        return self._reflect(x, transpose=False)

    def Vt(self, x: Tensor) -> Tensor:
        return self._reflect(x, transpose=True)

    def U(self, x: Tensor) -> Tensor:
        seen = x.flatten(1)[:, : self._U.shape[1]]
        return (seen @ self._U.to(x).T).reshape(-1, *self.out_shape)

    def Ut(self, y: Tensor) -> Tensor:
        spec = y.new_zeros(len(y), self.n)
        spec[:, : self._U.shape[1]] = y.flatten(1) @ self._U.to(y)
        return spec.reshape(-1, *self.in_shape)

    def noise_level(self, sigma_y: float, x_std: float) -> float:
        r"""Standard deviation of an entry of :math:`y-H_kx`: the noise and what was cut off.

        :math:`\sqrt{\sigma_y^2+x_{std}^2\,\lVert H-H_k\rVert_F^2/m}`, the root mean square over
        images x of independent entries.  The energy of real images lies in few coordinates, most of
        them kept; for them ``(H(x) - op(x)).square().mean()`` over some examples is smaller than
        its share in this sum.

        Parameters
        ----------
        sigma_y : float
            Standard deviation of the noise in y.
        x_std : float
            Root mean square of the entries of x, such as 0.5 for images on [-1, 1].

        Returns
        -------
        float
            A cautious ``sigma_y`` for :func:`ddrm_edu.restore`, and the one with which methods
            that compare y with :math:`H_kx` have to reckon.
        """
        sigma_y, x_std = require_level(sigma_y, "sigma_y"), require_level(x_std, "x_std")
        return math.sqrt(sigma_y**2 + x_std**2 * self.discarded / self.m)

    def _reflect(self, x: Tensor, *, transpose: bool) -> Tensor:
        wide = in_single(x)
        reflectors, scales = self._reflectors.to(wide), self._scales.to(wide)
        columns = torch.ormqr(reflectors, scales, wide.flatten(1).T, transpose=transpose)
        return columns.T.reshape(x.shape).to(x)


def _require_transpose(A: LinearMap) -> LinearMap:
    """The transpose of A; ``ValueError`` unless it is right and both are linear, finite, not 0."""
    At = A.adjoint
    if At is None:
        raise ValueError(
            "A knows no transpose. Give LinearOperator its rmatvec, or TruncatedSVD a pair of "
            "functions (f, ft); a single function goes to from_function."
        )
    for each in (A, At):
        each.require_linear()
    if not A.y.any():
        raise ValueError("A is zero, so nothing would be measured.")
    x, there, y, back = (each.flatten(1) for each in (A.x, A.y, At.x, At.y))
    off = (there @ y.T - x @ back.T).abs().max().item()
    if off > 1e-6 * there.norm(dim=1).max() * y.norm(dim=1).max():  # single precision passes
        raise ValueError(
            f"<A x, y> = <x, A^T y> fails by {off:.3g} on random vectors: "
            "rmatvec (or the second of the pair) is not the transpose of A. Is it the inverse, or "
            "a blur with another boundary, or one whose kernel was not flipped?"
        )
    return At


def _largest_part(
    A: LinearMap, rank: int, seed: int
) -> tuple[Tensor, Tensor, Tensor, float, float]:
    """U_k, s_k in decreasing order, V_k, the energy of the rest, and its standard error."""
    from scipy.sparse.linalg import LinearOperator, svds

    At = _require_transpose(A)
    if min(A.m, A.n) <= 2 * rank + 1:  # the whole matrix has no more numbers than svds would need
        H = A.matrix() if A.n <= A.m else At.matrix().T
        U, s, Vt = torch.linalg.svd(H, full_matrices=False)
        return U[:, :rank], s[:rank], Vt[:rank].T, float(s[rank:] @ s[rank:]), 0.0

    def flat(f: LinearMap) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: f(torch.from_numpy(x).reshape(-1, *f.in_shape)).flatten().numpy()

    rng = np.random.default_rng(seed)
    double = LinearOperator((A.m, A.n), matvec=flat(A), rmatvec=flat(At), dtype="float64")
    triplets = svds(double, k=rank, v0=rng.standard_normal(min(A.m, A.n)))
    U, s, Vt = (torch.from_numpy(each.copy()) for each in triplets)
    order = s.argsort(descending=True)
    U, s, V = U[:, order], s[order], Vt[order].T
    probes = torch.from_numpy(rng.standard_normal((A.n, PROBES)).T.copy())
    left = A(probes.reshape(-1, *A.in_shape)).flatten(1) - probes @ V * s @ U.T
    energies = left.square().sum(1)
    return U, s, V, float(energies.mean()), float(energies.std() / math.sqrt(PROBES))

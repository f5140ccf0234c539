"""Slides 8-10: conditional chains and their bound, singular values, diffusion in their space.

Brute force here means: every variable is a matrix acting on (1, independent standard normals), in
pixel coordinates, so that a density or a divergence is one product of full matrices.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from laws import GaussianCase, largest, random_case, relative, slide_11

from ddrm_edu import Dense, GaussianPrior, ddrm_coefficients
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.elbo import ddrm_nelbo
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import inference_network, sampler_law, spectral_law

from .registry import item

# Wide and rank-deficient: singular values 1.3, 0.3, 0.07 and two zeros.  All three cases occur.
CASE = random_case(5, 4, 3, 0.2, seed=21)
LEVELS, T, VAR_0 = [4.1, 1.2, 0.9, 0.3, 0.0], 4, 0.37
RATES = {"sigma_y": CASE.sigma_y, "eta": 0.6, "eta_b": 0.7}
OP = Dense(CASE.H)
PRIOR = GaussianPrior(torch.as_tensor(CASE.mean), torch.as_tensor(CASE.cov))
N = OP.n


def matrix_of(apply, size: int) -> np.ndarray:
    """The matrix of a linear map of batches."""
    return apply(torch.eye(size, dtype=torch.float64)).T.numpy()


VT = matrix_of(OP.Vt, N)
# 25 coordinates at most, times eps, times the condition number of their joint law, 1.3e3: 7e-12.
ROUNDING = 1e-11
SHAPES = [(3, 5, 3), (6, 4, 2), (4, 4, 4), (1, 4, 1), (4, 6, 2)]  # (m, n, rank)
MATRICES = [random_case(n, m, rank, 0.2, seed=m + n).H for m, n, rank in SHAPES]

# ------------------------------------------------------------------------------- brute force


class Chain(NamedTuple):
    """Variables as matrices acting on (1, normals of x_0, normals of z, xi_T, ..., xi_1)."""

    x0: np.ndarray
    y: np.ndarray
    steps: list[np.ndarray]  # x_T, ..., x_1
    noise: list[np.ndarray]  # covariance of the fresh noise of each of them
    by_x0: list[np.ndarray]  # matrix by which the mean of each depends on the prediction

    @property
    def above_x0(self) -> np.ndarray:
        return np.concatenate(self.steps)


WIDTH = 1 + N + OP.m + N * T
ONE, OF_X0 = np.eye(1, WIDTH), np.eye(N, WIDTH, 1)
OF_Z, XI_FROM = np.eye(OP.m, WIDTH, 1 + N), 1 + N + OP.m


def exact_denoiser(x: np.ndarray, sigma: float) -> np.ndarray:
    """E[x_0 | x_t = x] under the prior, on rows."""
    gain = np.linalg.solve(CASE.cov + sigma**2 * np.eye(N), CASE.cov).T
    return gain @ x + (CASE.mean - gain @ CASE.mean)[:, None] @ ONE


def brute_chain(x0: np.ndarray, y: np.ndarray, predict) -> Chain:
    """Slide 11 in pixels, with ``predict(x, sigma)`` for x_0: the data (q) or a denoiser (p)."""
    s = np.pad(np.linalg.svd(CASE.H)[1], (0, N - OP.m))
    s = np.where(s > 1e-12, s, 0)
    b = np.array([(CASE.sigma_y / si) ** 2 if si else 0.0 for si in s])
    seen = (s > 0) & (b < LEVELS[0] ** 2)
    y_spec = VT @ np.linalg.pinv(CASE.H, rcond=1e-12) @ y
    tables = [np.array([1.0 * ~seen, 0 * s, 1.0 * seen, LEVELS[0] ** 2 - seen * b])]
    for pair in itertools.pairwise(LEVELS[:-1]):
        tables.append(np.array([slide_11(si, *pair, CASE.sigma_y, 0.6, 0.7) for si in s]).T)
    # Nothing predicts x_0 where the chain starts: there q has x_0 itself and p has 0 (slide 17).
    x, prediction, steps = 0 * x0, x0, []
    for k, (sigma, (weight, old, of_y, variance)) in enumerate(zip(LEVELS, tables, strict=False)):
        xi = np.eye(N, WIDTH, XI_FROM + k * N)
        mean = weight[:, None] * (VT @ prediction) + old[:, None] * (VT @ x)
        x = VT.T @ (mean + of_y[:, None] * y_spec + np.sqrt(variance)[:, None] * xi)
        prediction = predict(x, sigma)
        steps.append(x)
    noise, by_x0 = ([VT.T * table[k] @ VT for table in tables] for k in (3, 0))
    return Chain(x0, y, steps, noise, by_x0)


@functools.cache
def inference_chain() -> Chain:
    """The chain q of slide 11 with x_0 from the prior and y = H x_0 + z."""
    x0 = CASE.mean[:, None] @ ONE + np.linalg.cholesky(CASE.cov) @ OF_X0
    return brute_chain(x0, CASE.H @ x0 + CASE.sigma_y * OF_Z, lambda x, sigma: x0)


@functools.cache
def model_chain() -> Chain:
    """The chain p_theta of slide 17 given y, whose rows are OF_Z here."""
    return brute_chain(0 * OF_X0, OF_Z, exact_denoiser)


def log_normal(x: np.ndarray, cov: np.ndarray, second: np.ndarray | None = None) -> float:
    """log N(x; 0, cov), or its mean if ``second`` is E[x x^T]."""
    second = np.outer(x, x) if second is None else second
    logdet = np.linalg.slogdet(2 * math.pi * cov)[1]
    return -(logdet + np.trace(np.linalg.solve(cov, second))) / 2


def model_law() -> tuple[np.ndarray, np.ndarray]:
    """p_theta(x_T, ..., x_1, x_0 | y): rows without fresh noise, and the full covariance."""
    chain = model_chain()
    last = exact_denoiser(chain.steps[-1], LEVELS[-2])
    rows = np.concatenate([chain.above_x0, last])
    random = rows[:, XI_FROM:]
    cov = random @ random.T
    cov[-N:, -N:] += VAR_0 * np.eye(N)
    return rows, cov


RNG = np.random.default_rng(5)
X0 = CASE.mean + RNG.standard_normal(N)
Y = CASE.H @ X0 + CASE.sigma_y * RNG.standard_normal(OP.m)
POINT = [X0 + level * RNG.standard_normal(N) for level in LEVELS[:-1]]  # x_T, ..., x_1
Y_SPEC = VT @ np.linalg.pinv(CASE.H, rcond=1e-12) @ Y


def pixel_log_q() -> float:
    """log q(x_T, ..., x_1 | x_0, y) at POINT, from one full covariance matrix."""
    chain = brute_chain(X0[:, None] @ ONE, Y[:, None] @ ONE, lambda x, sigma: X0[:, None] @ ONE)
    mean, random = chain.above_x0[:, 0], chain.above_x0[:, XI_FROM:]
    return log_normal(np.concatenate(POINT) - mean, random @ random.T)


def pixel_log_p() -> float:
    """log p_theta(x_T, ..., x_1, x_0 | y) at POINT and X0, from one full covariance matrix."""
    rows, cov = model_law()
    mean = rows[:, 0] + rows[:, 1 + N : XI_FROM] @ Y
    return log_normal(np.concatenate([*POINT, X0]) - mean, cov)


# ------------------------------------------------------------------------------- slide 8


def library_network():
    return inference_network(spectral_law(PRIOR, OP), OP.s, LEVELS, **RATES)


def log_conditional(network, name: str, given, B: np.ndarray) -> float:
    """Library: log q(name | given) at the point whose spectral coordinates are B x."""
    points = {f"x{T - k}": x for k, x in enumerate(POINT)} | {"x0": X0}
    values = {key: torch.as_tensor(B @ x) for key, x in points.items()}
    values["y"] = torch.as_tensor(Y_SPEC)
    law = network.conditional([name], {key: values[key] for key in given})
    return float(law.log_density(values[name][None]))


@item(
    "S08.1",
    "q(x_1:T | x_0, y) = q(x_T | x_0, y) prod_{t=1..T-1} q(x_t | x_{t+1}, x_0, y)",
    right=lambda above: ["x0", "y", *above],
    wrong={
        "y not among the conditions": lambda above: ["x0", *above],
        "x_0 not among the conditions": lambda above: ["y", *above],
        "all levels independent given x_0 and y": lambda above: ["x0", "y"],
    },
    bound=ROUNDING,
)
def factors_of_q(given) -> float:
    """The product of the library's conditionals against one density of all levels in pixels."""
    network, total = library_network(), 0.0
    for t in range(T, 0, -1):
        above = [f"x{t + 1}"] if t < T else []
        total += log_conditional(network, f"x{t}", given(above), VT)
    return largest(total - pixel_log_q())


@item(
    "S08.1",
    "x_3 and x_1 are independent given x_2, x_0 and y, but not without y",
    right=["x0", "y", "x2"],
    wrong={
        "y integrated out: forward in t the chain is not Markov": ["x0", "x2"],
        "the level between not known": ["x0", "y"],
    },
    bound=ROUNDING,
)
def markov_given_y(given) -> float:
    """Largest partial correlation of x_3 and x_1 in the library's joint law."""
    network = library_network()
    values = {name: network.joint(name).mean for name in given}
    cov = network.conditional(["x3", "x1"], values).cov
    std = cov.diagonal().sqrt()
    return largest(cov[:N, N:] / torch.outer(std[:N], std[N:]))


def spectral_log_start(B: np.ndarray, *, sees_y: bool = True) -> float:
    """Library: log p(x_T | y) in the coordinates B x."""
    c = ddrm_start_coefficients(OP.s, LEVELS[0], CASE.sigma_y)
    if not sees_y:
        c = ddrm_start_coefficients(0 * OP.s, LEVELS[0], CASE.sigma_y)
    return log_normal(B @ POINT[0] - (c.y.numpy() * Y_SPEC), np.diag(c.noise.numpy() ** 2))


def spectral_log_step(t: int, B: np.ndarray, *, sees_y: bool = True) -> float:
    """Library: log p_theta(x_t | x_{t+1}, y) in the coordinates B x; N(x_theta, VAR_0 I) for t=0"""
    above, x = B @ POINT[T - 1 - t], B @ (POINT[T - t] if t else X0)
    sigma, sigma_next = LEVELS[T - 1 - t], LEVELS[T - t]
    law = Gaussian(torch.as_tensor(B @ CASE.mean), torch.as_tensor(B @ CASE.cov @ B.T))
    x0_hat = GaussianPrior(law.mean, law.cov)(torch.as_tensor(above)[None], sigma)[0].numpy()
    s = OP.s if sees_y else 0 * OP.s
    weight, old, of_y, std = (
        number.numpy() for number in ddrm_coefficients(s, sigma, sigma_next, **RATES)
    )
    variance = std**2 if t else VAR_0 * np.ones(N)
    return log_normal(x - weight * x0_hat - old * above - of_y * Y_SPEC, np.diag(variance))


@item(
    "S08.2",
    "p_theta(x_0:T | y) = p(x_T | y) prod_{t=0..T-1} p_theta(x_t | x_{t+1}, y)",
    right=lambda start, step: start(VT) + sum(step(t, VT) for t in range(T)),
    wrong={
        "product from t = 1": lambda start, step: start(VT) + sum(step(t, VT) for t in range(1, T)),
        "start at N(0, sigma_T^2) without y": lambda start, step: (
            start(VT, sees_y=False) + sum(step(t, VT) for t in range(T))
        ),
        "reverse kernels without y": lambda start, step: (
            start(VT) + sum(step(t, VT, sees_y=False) for t in range(T))
        ),
    },
    bound=ROUNDING,
)
def factors_of_p(product) -> float:
    """The product of the library's kernels against one density of all levels in pixels."""
    return largest(product(spectral_log_start, spectral_log_step) - pixel_log_p())


def brute_bound(data: Chain) -> float:
    """E_q[log q(x_1:T | x_0, y) - log p_theta(x_0:T | y)] from full joint matrices, no KL terms."""
    random = data.above_x0[:, XI_FROM:]
    entropy = np.linalg.slogdet(2 * math.pi * math.e * random @ random.T)[1] / 2
    rows, cov = model_law()
    mean = rows[:, :1] @ ONE + rows[:, 1 + N : XI_FROM] @ data.y
    residual = np.concatenate([data.above_x0, data.x0]) - mean
    return -entropy - log_normal(mean, cov, residual @ residual.T)


@functools.cache
def library_bound():
    return ddrm_nelbo(PRIOR, OP, LEVELS, var_0=VAR_0, **RATES)


def with_y_fixed() -> float:
    """The expectation over q(x_0:T) alone: y is a number, and x_0 does not know it."""
    x0 = inference_chain().x0
    return brute_bound(brute_chain(x0, Y[:, None] @ ONE, lambda x, sigma: x0))


def with_y_of_another_image() -> float:
    """y of the right law, but independent of x_0."""
    x0, cov_y = inference_chain().x0, CASE.H @ CASE.cov @ CASE.H.T + 0.04 * np.eye(OP.m)
    y = (CASE.H @ CASE.mean)[:, None] @ ONE + np.linalg.cholesky(cov_y) @ OF_Z
    return brute_bound(brute_chain(x0, y, lambda x, sigma: x0))


@item(
    "S08.3",
    "bound = E_{q(x_0:T, y)}[KL_T + sum_{t=1..T-1} KL_t - log p_theta(x_0 | x_1, y)]",
    right=lambda: library_bound().total,
    wrong={
        "KL_1 left out": lambda: library_bound().total - float(library_bound().steps[-1]),
        "KL_T left out": lambda: library_bound().total - library_bound().start,
        "log p(x_0 | x_1, y) left out": lambda: library_bound().total - library_bound().last,
        "y of another image": with_y_of_another_image,
    },
    bound=ROUNDING,
)
@item(
    "E14",
    "slides 8, 10: the expectation is over y as well, E_{q(x_0:T, y)}",
    right=lambda: library_bound().total,
    wrong={"as printed": with_y_fixed, "y of another image": with_y_of_another_image},
    bound=ROUNDING,
)
def conditional_bound(value) -> float:
    """The library's sum of terms against the definition, by full joint matrices in pixels."""
    return relative(value(), brute_bound(inference_chain()))


@item(
    "S08.3",
    "the bound exceeds E[-log p_theta(x_0 | y)] by E KL(q || p) of x_1:T given x_0 and y",
    right=lambda code_length, excess: code_length + excess,
    wrong={
        "a lower bound": lambda code_length, excess: code_length - excess,
        "no gap": lambda code_length, excess: code_length,
    },
    bound=ROUNDING,
)
def excess_of_the_bound(sum_of) -> float:
    """The library's bound against -log p(x_0 | y) of its own sampler and a brute-force KL."""
    data, (rows, cov) = inference_chain(), model_law()
    law = sampler_law(PRIOR, OP, LEVELS, **RATES)
    known = law.A.numpy() @ VT @ np.linalg.pinv(CASE.H, rcond=1e-12)
    miss = VT @ data.x0 - law.c.numpy()[:, None] @ ONE - known @ data.y
    code_length = -log_normal(law.c.numpy(), law.cov.numpy() + VAR_0 * np.eye(N), miss @ miss.T)

    gain = np.linalg.solve(cov[-N:, -N:], cov[-N:, :-N]).T  # p_theta(x_1:T | x_0, y)
    mean = rows[:, :1] @ ONE + rows[:, 1 + N : XI_FROM] @ data.y
    model = mean[:-N] + gain @ (data.x0 - mean[-N:])
    model_cov = cov[:-N, :-N] - gain @ cov[-N:, :-N]
    random = data.above_x0[:, XI_FROM:]
    shift = data.above_x0[:, :XI_FROM] - model[:, :XI_FROM]
    trace = np.trace(np.linalg.solve(model_cov, random @ random.T + shift @ shift.T))
    logdet = np.linalg.slogdet(model_cov)[1] - np.linalg.slogdet(random @ random.T)[1]
    return relative(sum_of(code_length, (trace - len(gain) + logdet) / 2), library_bound().total)


# ------------------------------------------------------------------------------- slide 9


def library_svd(H: np.ndarray):
    op = Dense(H)
    return matrix_of(op.U, op.n), op.s.numpy(), matrix_of(op.V, op.n)


def thin_svd(H: np.ndarray):
    """numpy's ``full_matrices=False``, padded with zeros to the shapes that are asked for."""
    U, s, Vt = np.linalg.svd(H, full_matrices=False)
    s = np.where(s > 1e-12, s, 0)
    missing = ((0, 0), (0, H.shape[1] - len(s)))
    return np.pad(U * (s > 0), missing), np.pad(s, missing[1]), np.pad(Vt.T, missing)


def of_library(change):
    return lambda H: change(*library_svd(H))


@item(
    "S09.1",
    "H = U Sigma V^T with orthogonal U (m x m), V (n x n) and s_1 >= ... >= s_k > 0",
    right=library_svd,
    wrong={
        "thin V: the null space is lost": thin_svd,
        "V and V^T exchanged": of_library(lambda U, s, V: (U, s, V.T)),
        "eigenvalues of H^T H for s": of_library(lambda U, s, V: (U, s**2, V)),
        "scale moved from Sigma into U": of_library(lambda U, s, V: (U * s, 1.0 * (s > 0), V)),
        "increasing order": of_library(lambda U, s, V: (U[:, ::-1], s[::-1], V[:, ::-1])),
    },
    bound=1e-13,  # n eps with n = 6, and the constant of LAPACK
)
def decomposition(svd) -> float:
    """Wide, tall, square, one row, rank-deficient: all that slide 9 says, s by eigenvalues."""
    errors = []
    for H, (_, n, rank) in zip(MATRICES, SHAPES, strict=True):
        U, s, V = svd(H)
        squares = np.linalg.eigvalsh(H.T @ H)[::-1] * (np.arange(n) < rank)
        errors += [relative(U * s @ V.T, H), V @ V.T - np.eye(n), V.T @ V - np.eye(n)]
        errors += [U.T @ U - np.diag(np.arange(n) < rank), s**2 - squares, (s > 0).sum() - rank]
    return largest(*errors)


def by_numpy(H: np.ndarray) -> np.ndarray:
    """Every singular value inverted, those that are rounding as well."""
    U, s, Vt = np.linalg.svd(H, full_matrices=False)
    return Vt.T / s @ U.T


@item(
    "S09.2",
    "Sigma^+ inverts s_i > 0 and leaves 0, so V Sigma^+ U^T is the pseudo-inverse",
    right=lambda H: matrix_of(Dense(H).pinv, len(H)),
    wrong={
        "Sigma^T for Sigma^+": lambda H: matrix_of(Dense(H).adjoint, len(H)),
        "rounding inverted as well": by_numpy,
        "regularised, s / (s^2 + 0.01)": lambda H: (
            np.linalg.inv(H.T @ H + 0.01 * np.eye(H.shape[1])) @ H.T
        ),
    },
    bound=1e-12,  # eps times s_max / s_min = 20 and a few products
)
def penrose(inverse_of) -> float:
    """The four conditions of Penrose, which only the pseudo-inverse satisfies."""
    errors = []
    for H in MATRICES:
        P = inverse_of(H)
        left, right = P @ H, H @ P
        errors += [relative(H @ P @ H, H), relative(P @ H @ P, P)]
        errors += [left - left.T, right - right.T]
    return largest(*errors)


@item(
    "S09.3",
    "xbar = V^T x: an isometry, in whose coordinates H^T H = diag(s^2)",
    right=lambda op: matrix_of(op.Vt, op.n),
    wrong={
        "V instead of V^T": lambda op: matrix_of(op.V, op.n),
        "V^T twice": lambda op: np.linalg.matrix_power(matrix_of(op.Vt, op.n), 2),
        "coordinates in units of s": lambda op: (
            np.where(op.s > 0, op.s, 1)[:, None] * matrix_of(op.Vt, op.n)
        ),
    },
    bound=1e-13,
)
def spectral_coordinates(change) -> float:
    """Orthogonality and diagonalisation, both against matrices made from H."""
    errors = []
    for H in MATRICES:
        op = Dense(H)
        B = change(op)
        errors += [B @ B.T - np.eye(op.n), B.T @ B - np.eye(op.n)]
        errors.append(B @ H.T @ H @ B.T - np.diag(np.linalg.norm(H @ B.T, axis=0) ** 2))
        errors.append(np.linalg.norm(H @ B.T, axis=0) - op.s.numpy())
    return largest(*errors)


def spectral_measurement(version) -> float:
    """ybar of y = H x_0 + z against V^T H^+ y, the pseudo-inverse by numpy."""
    errors = []
    for k, H in enumerate(MATRICES):
        op, rng = Dense(H), np.random.default_rng(k)
        x0, z = rng.standard_normal((2, op.n)), 0.3 * rng.standard_normal((2, op.m))
        want = (x0 @ H.T + z) @ np.linalg.pinv(H, rcond=1e-12).T @ matrix_of(op.V, op.n)
        got = version(op, torch.as_tensor(x0), torch.as_tensor(z))
        errors.append(relative(got, want))
    return largest(*errors)


@item(
    "S09.4",
    "ybar = Sigma^+ U^T y, and ybar^i = 0 where s_i = 0",
    right=lambda op, x0, z: op.measure_spec(op(x0) + z),
    wrong={
        "Sigma^+ forgotten": lambda op, x0, z: op.Ut(op(x0) + z),
        "Sigma^T for Sigma^+": lambda op, x0, z: op.s * op.Ut(op(x0) + z),
        "V^T forgotten: back in pixels": lambda op, x0, z: op.pinv(op(x0) + z),
    },
    bound=1e-12,
)
def measurement_in_spectral_space(version) -> float:
    """Against V^T H^+ y, the pseudo-inverse by numpy."""
    return spectral_measurement(version)


@item(
    "S09.5",
    "ybar = Sigma^+ Sigma xbar_0 + Sigma^+ U^T z",
    right=lambda op, x0, z: (op.s > 0) * op.Vt(x0) + op.measure_spec(z),
    wrong={
        "noise not divided by s": lambda op, x0, z: (op.s > 0) * op.Vt(x0) + op.Ut(z),
        "Sigma xbar_0": lambda op, x0, z: op.s * op.Vt(x0) + op.measure_spec(z),
    },
    bound=1e-12,
)
@item(
    "E3",
    "slide 9: the first term is Sigma^+ Sigma xbar_0, which is xbar_0 only if k = n",
    right=lambda op, x0, z: (op.s > 0) * op.Vt(x0) + op.measure_spec(z),
    wrong={"as printed": lambda op, x0, z: op.Vt(x0) + op.measure_spec(z)},
    bound=1e-12,
)
def parts_of_the_spectral_measurement(version) -> float:
    """The two parts together against V^T H^+ y, the pseudo-inverse by numpy."""
    return spectral_measurement(version)


def library_measurement(x0_spec, s, sigma_y) -> Gaussian:
    """q(ybar | x_0) in the library's network."""
    known = Gaussian(x0_spec, torch.zeros(len(s), len(s)))
    network = inference_network(known, s, [50.0, 0.0], sigma_y=sigma_y, eta=0.6, eta_b=0.7)
    return network.joint("y")


def measurement_with(cov):
    """The right mean and ``cov(s, sigma_y)``, s being 1 where it is 0 and seen the mask."""

    def version(x0_spec, s, sigma_y) -> Gaussian:
        seen = (s > 0).double()
        C = cov(s.where(s > 0, torch.ones(())).double(), sigma_y)
        return Gaussian(seen * x0_spec, seen[:, None] * (C.diag() if C.ndim == 1 else C) * seen)

    return version


@item(
    "S09.6",
    "ybar^i | x_0 ~ N(xbar_0^i, sigma_y^2 / s_i^2) where s_i > 0, independent over i",
    right=library_measurement,
    wrong={
        "variance sigma_y^2 / s": measurement_with(lambda s, sigma_y: sigma_y**2 / s),
        "variance sigma_y^2 s^2": measurement_with(lambda s, sigma_y: (sigma_y * s) ** 2),
        "standard deviation for the variance": measurement_with(lambda s, sigma_y: sigma_y / s),
        "one noise for all coordinates": measurement_with(
            lambda s, sigma_y: torch.outer(sigma_y / s, sigma_y / s)
        ),
    },
    bound=1e-12,
)
def law_of_the_measurement(version) -> float:
    """Mean and FULL covariance against V^T H^+ (H x_0 + z), by numpy."""
    errors = []
    for k, H in enumerate(MATRICES):
        op, x0 = Dense(H), np.random.default_rng(k).standard_normal(H.shape[1])
        to_spec = matrix_of(op.Vt, op.n) @ np.linalg.pinv(H, rcond=1e-12)
        got = version(torch.as_tensor(matrix_of(op.Vt, op.n) @ x0), op.s, 0.3)
        errors += [relative(got.mean, to_spec @ H @ x0)]
        errors += [relative(got.cov, 0.09 * to_spec @ to_spec.T)]
    return largest(*errors)


def joint_posterior(case: GaussianCase, statistic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain on y and covariance of x given ``statistic @ y``, from the joint Gaussian law."""
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
    seen = statistic @ cov_y @ statistic.T
    gain = case.cov @ case.H.T @ statistic.T @ np.linalg.pinv(seen, rcond=1e-12) @ statistic
    return gain, case.cov - gain @ case.H @ case.cov


@item(
    "S09.7",
    "p(x | y) = p(x | ybar): ybar is sufficient, also with redundant measurements",
    right=lambda op: matrix_of(op.measure_spec, op.m),
    wrong={
        "as many entries of y as the rank": lambda op: np.eye(op.rank, op.m),
        "small singular values cut off": lambda op: (
            (op.s > 0.2 * op.s.max()).numpy()[:, None] * matrix_of(op.measure_spec, op.m)
        ),
    },
    bound=ROUNDING,
)
def sufficiency(statistic) -> float:
    """Posterior gain and full covariance given the statistic against those given all of y."""
    errors = []
    for seed, (m, n, rank) in enumerate([(4, 5, 3), (7, 4, 4), (6, 4, 2)]):
        case = random_case(n, m, rank, 0.2, seed=seed)
        got = joint_posterior(case, statistic(Dense(case.H)))
        want = joint_posterior(case, np.eye(m))
        errors += [relative(g, w) for g, w in zip(got, want, strict=True)]
    return largest(*errors)


# ------------------------------------------------------------------------------- slide 10

WRONG_COORDINATES = {
    "V for V^T": VT.T,
    "V^T with axes of length 1.1": 1.1 * VT,
    "pixels taken for spectral coordinates": np.eye(N),
}


@item(
    "S10.1",
    "q(xbar_1:T | x_0, y) has the same factors and density: |det V| = 1",
    right=VT,
    wrong=WRONG_COORDINATES,
    bound=ROUNDING,
)
def spectral_q(B) -> float:
    """Library, spectral, conditions on xbar_{t+1} = B x_{t+1}; brute force, all in pixels."""
    network = library_network()
    total = log_conditional(network, f"x{T}", ["x0", "y"], B)
    for t in range(1, T):
        total += log_conditional(network, f"x{t}", ["x0", "y", f"x{t + 1}"], B)
    return largest(total - pixel_log_q())


@item(
    "S10.2",
    "p_theta(xbar_0:T | y) has the same factors and density as in pixels",
    right=VT,
    wrong=WRONG_COORDINATES,
    bound=ROUNDING,
)
def spectral_p(B) -> float:
    """The library's kernels at B x against one density of all levels in pixels."""
    total = spectral_log_start(B) + sum(spectral_log_step(t, B) for t in range(T))
    return largest(total - pixel_log_p())


def pixel_terms() -> np.ndarray:
    """KL_T, ..., KL_1 and -E log p(x_0 | x_1, y) of Gaussians with full covariances in pixels.

    The two kernels of a step share their covariance, and their means differ by the prediction.
    """
    data, terms = inference_chain(), []
    guesses = [0 * data.x0, *map(exact_denoiser, data.steps, LEVELS)]
    for guess, by_x0, cov in zip(guesses, data.by_x0, data.noise, strict=False):
        shift = by_x0 @ (data.x0 - guess)
        terms.append(np.trace(np.linalg.solve(cov, shift @ shift.T)) / 2)
    miss = data.x0 - guesses[-1]
    return np.array([*terms, -log_normal(miss[:, 0], VAR_0 * np.eye(N), miss @ miss.T)])


def bound_of(H: np.ndarray, prior: GaussianPrior = PRIOR) -> np.ndarray:
    bound = ddrm_nelbo(prior, Dense(H), LEVELS, var_0=VAR_0, **RATES)
    return np.array([bound.start, *bound.steps.tolist(), bound.last])


@item(
    "S10.3",
    "the spectral bound equals the pixel bound term by term",
    right=lambda: bound_of(CASE.H),
    wrong={
        "V forgotten: pixels weighted as spectral coordinates": lambda: bound_of(CASE.H @ VT.T),
        "V and V^T exchanged": lambda: bound_of(CASE.H @ VT.T @ VT.T),
        "axes of length 1.1": lambda: bound_of(
            CASE.H, GaussianPrior(1.1 * PRIOR.mean, 1.21 * PRIOR.cov)
        ),
    },
    bound=ROUNDING,
)
def spectral_bound(terms) -> float:
    """Every term of the library's bound, on its own scale, against full covariances in pixels."""
    want = pixel_terms()
    return largest((terms() - want) / np.abs(want))

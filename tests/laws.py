"""Laws of the samplers: each takes the implementation under test and returns its largest error.

The ordinary tests ask that the error be rounding; ``meta/test_wrong_versions.py`` hands wrong
versions to the same functions and asks that the error be large.  Every reference here is brute
force in numpy, written from the slides and not from the library: a random variable is the matrix
by which it depends on independent standard normals, so that its full covariance is one product.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from ddrm_edu import Dense, EpsDenoiser, GaussianPrior, NoiseSchedule, ddrm_samples
from ddrm_edu import ddpm as ddpm_module
from ddrm_edu import ddrm as ddrm_module
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu import samplers as samplers_module
from ddrm_edu.diffusion import StepCoefficients

# ------------------------------------------------------------------------------------ errors


def largest(*differences) -> float:
    """Largest absolute entry of all arrays; infinite if any entry is not a number."""
    size = max(float(np.abs(np.asarray(d, dtype=np.float64)).max(initial=0.0)) for d in differences)
    broken = any(np.isnan(np.asarray(d, dtype=np.float64)).any() for d in differences)
    return math.inf if broken else size


def relative(got, want) -> float:
    """Largest difference over the largest entry of ``want``."""
    got, want = (np.asarray(array, dtype=np.float64) for array in (got, want))
    assert got.shape == want.shape, f"shape {got.shape} instead of {want.shape}"
    return largest(got - want) / (largest(want) or 1.0)


def random_orthogonal(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


# ------------------------------------------------------------------------------ coefficients


def slide_11(
    s: float, sigma: float, sigma_next: float, sigma_y: float, eta: float, eta_b: float
) -> tuple[float, float, float, float]:
    """Weights of x_0, x_{t+1} and y-bar and the variance, read off slide 11 for one coordinate."""
    c = math.sqrt(1 - eta**2)
    if s == 0:
        return 1 - c * sigma_next / sigma, c * sigma_next / sigma, 0.0, (eta * sigma_next) ** 2
    if sigma_next >= sigma_y / s:
        return 1 - eta_b, 0.0, eta_b, sigma_next**2 - eta_b**2 * (sigma_y / s) ** 2
    weight = c * sigma_next / (sigma_y / s)
    return 1 - weight, 0.0, weight, (eta * sigma_next) ** 2


def table_error(coefficients, s, sigma, sigma_next, sigma_y, *, eta, eta_b) -> float:
    """S11.2-S11.4: distance of the coefficients from slide 11; noise as variance over sigma_t^2."""
    got = numbers(coefficients, s, sigma, sigma_next, sigma_y, eta, eta_b)
    got[3] = got[3] ** 2
    want = np.array([slide_11(si, sigma, sigma_next, sigma_y, eta, eta_b) for si in s]).T
    scale = np.array([1, 1, 1, sigma_next**2 or 1])[:, None]
    return largest((got - want) / scale)


def identity_error(coefficients, s, sigma, sigma_next, sigma_y, *, eta, eta_b) -> float:
    """S14.1-S16.1: x0 + xt + y = 1, and the variances of the parts add up to sigma_t^2."""
    x0, xt, y, noise = numbers(coefficients, s, sigma, sigma_next, sigma_y, eta, eta_b)
    spread = noise_of_measurement(s, sigma_y)
    carried = np.zeros_like(xt) if (xt == 0).all() else xt * sigma  # sigma may be infinite
    variance = carried**2 + (y * spread) ** 2 + noise**2
    # The two sources of old noise are correlated (X09), so they may never be mixed.
    return largest(x0 + xt + y - 1, xt * y, variance / (sigma_next**2 or 1) - (sigma_next > 0))


def numbers(coefficients, s, sigma, sigma_next, sigma_y, eta, eta_b) -> np.ndarray:
    """What ``coefficients`` returns as a (4, n) array; eta_b may be a function of s."""
    s = torch.as_tensor(np.asarray(s, dtype=np.float64))
    parts = s.split(1) if callable(eta_b) else [s]
    columns = []
    for part in parts:
        weight = eta_b(part.item(), sigma_next, sigma_y) if callable(eta_b) else eta_b
        c = coefficients(part, sigma, sigma_next, sigma_y, eta=eta, eta_b=weight)
        columns.append(_as_array(c, part))
    return np.concatenate(columns, axis=1)


def _as_array(c: StepCoefficients, s: Tensor) -> np.ndarray:
    assert all(number.dtype == torch.float64 for number in c), "coefficients must be float64"
    return np.stack([number.expand(s.shape).numpy() for number in c])


def noise_of_measurement(s, sigma_y: float) -> np.ndarray:
    """Standard deviation sigma_y / s of y-bar given x_0 (S09.6), and 0 where y-bar = 0."""
    s = np.asarray(s, dtype=np.float64)
    return np.divide(sigma_y, s, out=np.zeros_like(s), where=s > 0)


def theorem_eta_b(s: float, sigma_next: float, sigma_y: float) -> float:
    """eta_b of Theorem 3.2, between 1 and 2 (X01, E15); 1 where case 1 does not apply."""
    if s == 0 or s * sigma_next < sigma_y or sigma_next == 0:
        return 1.0
    return 2 * sigma_next**2 / (sigma_next**2 + (sigma_y / s) ** 2)


# ---------------------------------------------------------------- Proposition 3.1 (slides 12-16)


def marginal_error(coefficients, start, s, sigmas, sigma_y, *, eta, eta_b, seed=0) -> float:
    """S12.1, S12.2: distance of every q(x_t | x_0) from N(x_0, sigma_t^2 I), in units of sigma_t.

    The joint Gaussian law of (y-bar, x_T, ..., x_0) given x_0 as one linear network: each variable
    is a matrix acting on (x_0, z, xi_T, ..., xi_0).  Means and FULL covariances, in spectral and
    in pixel coordinates, for random orthogonal U and V.
    """
    rng = np.random.default_rng(seed)
    s, sigmas = np.asarray(s, dtype=np.float64), [float(level) for level in sigmas]
    n, N = len(s), len(sigmas) - 1
    U, V = random_orthogonal(n, rng), random_orthogonal(n, rng)

    inputs = 2 + N + 1  # x_0, z, and one xi for each level
    block = lambda k: np.eye(n, inputs * n, k * n)  # noqa: E731
    x0_spec = V.T @ block(0)
    observed = (s > 0)[:, None]
    y_spec = observed * x0_spec + noise_of_measurement(s, sigma_y)[:, None] * (U.T @ block(1))

    c = _as_array(start(torch.as_tensor(s), sigmas[0], sigma_y), torch.as_tensor(s))
    x_spec = _push(c, x0_spec, np.zeros_like(x0_spec), y_spec, block(2))
    errors = [_distance_from_noised(x_spec, V, sigmas[0])]
    for t, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        c = numbers(coefficients, s, sigma, sigma_next, sigma_y, eta, eta_b)
        x_spec = _push(c, x0_spec, x_spec, y_spec, block(3 + t))
        errors.append(_distance_from_noised(x_spec, V, sigma_next))
    return largest(errors)


def _push(c, x0, xt, y, z) -> np.ndarray:
    return sum(weight[:, None] * part for weight, part in zip(c, (x0, xt, y, z), strict=True))


def _distance_from_noised(x_spec: np.ndarray, V: np.ndarray, sigma: float) -> float:
    n, scale = len(V), sigma**2 or 1.0
    errors = []
    for x, x0 in ((x_spec, V.T), (V @ x_spec, np.eye(n))):
        mean, random = x[:, :n], x[:, n:]
        errors += [mean - x0, (random @ random.T - sigma**2 * np.eye(n)) / scale]
    return largest(*errors)


# ------------------------------------------------------------- the exact law of a sampler's output


class GaussianCase(NamedTuple):
    """x ~ N(mean, cov) and y = H x + z, z ~ N(0, sigma_y^2 I), as numpy arrays."""

    mean: np.ndarray
    cov: np.ndarray
    H: np.ndarray
    sigma_y: float


class AffineLaw(NamedTuple):
    """x = offset + gain y + N(0, cov), the images of all steps stacked, cross-time parts too."""

    offset: np.ndarray
    gain: np.ndarray
    cov: np.ndarray

    def last(self, n: int) -> AffineLaw:
        """The law of the final image."""
        return AffineLaw(self.offset[-n:], self.gain[-n:], self.cov[-n:, -n:])


def random_case(n: int, m: int, rank: int, sigma_y: float, seed: int) -> GaussianCase:
    """A prior with correlations and an H of any shape and rank with spread singular values."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    s = np.zeros((m, n))
    s[range(rank), range(rank)] = np.geomspace(1.3, 0.07, rank)
    H = random_orthogonal(m, rng) @ s @ random_orthogonal(n, rng).T
    return GaussianCase(rng.standard_normal(n), A @ A.T / n + 0.05 * np.eye(n), H, sigma_y)


def ddrm_law(
    case: GaussianCase, sigmas, eta: float, eta_b: float, *, only_last: bool = False
) -> AffineLaw:
    """Section 4: the exact law of Algorithm 2 with the exact denoiser, given y."""
    m, n = case.H.shape
    width = 1 + m + n * len(sigmas)  # every x_t is a matrix acting on (1, y, xi_T, ..., xi_0)
    one, y = np.eye(1, width), np.eye(m, width, 1)

    def exact(x: np.ndarray, sigma: float) -> np.ndarray:
        gain = np.linalg.solve(case.cov + sigma**2 * np.eye(n), case.cov).T
        return gain @ x + (case.mean - gain @ case.mean)[:, None] @ one

    path = slide_18(case.H, case.sigma_y, sigmas, eta, eta_b, y=y, denoiser=exact)
    return _law_of(path[-n:] if only_last else path, m)


def noising_law(case: GaussianCase, sigmas, eta: float, eta_b: float, x0: np.ndarray) -> AffineLaw:
    """The exact law of Algorithm 2 given x_0, when y = H x_0 + z and the denoiser knows x_0."""
    m, n = case.H.shape
    width = 1 + m + n * len(sigmas)  # (1, z, xi_T, ..., xi_0)
    known = x0[:, None] @ np.eye(1, width)
    y = case.H @ known + case.sigma_y * np.eye(m, width, 1)
    path = slide_18(case.H, case.sigma_y, sigmas, eta, eta_b, y=y, denoiser=lambda x, sigma: known)
    return _law_of(path, 0)


def slide_18(H, sigma_y, sigmas, eta, eta_b, *, y, denoiser) -> np.ndarray:
    """Algorithm 2 on matrices: images of all steps stacked, the last n columns per level being xi.

    In the spectral coordinates of numpy's SVD, whatever those of the operator under test are.
    """
    (m, n), sigmas = H.shape, [float(level) for level in sigmas]
    U, singular, Vt = np.linalg.svd(H)
    s = np.zeros(n)
    s[: len(singular)] = np.where(singular > 1e-12 * singular.max(), singular, 0)
    pinv = np.zeros((n, m))
    pinv[range(len(singular)), range(len(singular))] = [1 / si if si else 0 for si in s[:m]]
    width = y.shape[1]
    xi = lambda k: np.eye(n, width, width - n * (len(sigmas) - k))  # noqa: E731
    y_spec = pinv @ U.T @ y

    seen = (s > 0) & (s * sigmas[0] >= sigma_y)
    spread = np.sqrt(sigmas[0] ** 2 - np.where(seen, noise_of_measurement(s, sigma_y), 0) ** 2)
    x = seen[:, None] * y_spec + spread[:, None] * xi(0)
    path = []
    for t, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        prediction = Vt @ denoiser(Vt.T @ x, sigma)
        table = [slide_11(si, sigma, sigma_next, sigma_y, eta, eta_b) for si in s]
        x0, xt, y_weight, variance = np.array(table).T
        x = _push((x0, xt, y_weight, np.sqrt(variance)), prediction, x, y_spec, xi(t + 1))
        path.append(Vt.T @ x)
    return np.concatenate(path)


def _law_of(path: np.ndarray, m: int) -> AffineLaw:
    offset, gain, random = path[:, 0], path[:, 1 : 1 + m], path[:, 1 + m :]
    return AffineLaw(offset, gain, random @ random.T)


def row_by_row(coefficients: Callable) -> Callable:
    """A table of one step as one of several: the sampler asks for all its steps at once."""

    def table(s, sigma, sigma_next, *args, **rates) -> StepCoefficients:
        if not isinstance(sigma, Tensor):  # the start, which is a single step
            return coefficients(s, sigma, sigma_next, *args, **rates)
        pairs = zip(sigma, sigma_next, strict=True)
        steps = [coefficients(s, *pair, *args, **rates) for pair in pairs]
        return StepCoefficients(*map(torch.stack, zip(*steps, strict=True)))

    return table


@contextlib.contextmanager
def known_noise(noise: Tensor) -> Iterator[None]:
    """Samplers draw ``noise[0], noise[1], ...`` in turn, in spectral coordinates."""
    rest = iter(noise)

    def given(like: Tensor, generator=None) -> Tensor:
        return next(rest).reshape(like.shape).to(like, copy=True)  # the sampler's own, as always

    with contextlib.ExitStack() as stack:
        for module in (diffusion_module, ddrm_module, ddpm_module, samplers_module):
            stack.enter_context(mock.patch.object(module, "standard_normal", given))
        yield


def probe(
    run: Callable[[Tensor], Iterator], shape: tuple[int, ...], m: int, draws: int
) -> AffineLaw:
    """The law of a sampler that is affine in y and in its noise, found by feeding it unit vectors.

    ``run(y)`` yields steps for y of shape (batch, m); the images of one batch are the answers to
    y = 0, to each unit vector as y, and to each unit vector as noise.
    """
    n = math.prod(shape)
    batch = 1 + m + draws * n
    y = torch.zeros(batch + 1, m, dtype=torch.float64)
    y[1 : 1 + m] = torch.eye(m, dtype=torch.float64)
    noise = torch.zeros(draws, batch + 1, n, dtype=torch.float64)
    for k in range(draws):
        noise[k, 1 + m + k * n : 1 + m + (k + 1) * n] = torch.eye(n, dtype=torch.float64)
    rng = torch.Generator().manual_seed(3)
    mixture = torch.randn(batch - 1, generator=rng, dtype=torch.float64)
    y[-1], noise[:, -1] = mixture[:m], mixture[m:].reshape(draws, n)

    with known_noise(noise):
        path = torch.cat([step.x.flatten(1) for step in run(y)], dim=1).numpy()
    offset, mixed, columns = path[0], path[-1], path[1:-1] - path[0]
    assert relative(mixed, offset + mixture.numpy() @ columns) < 1e-9, "the sampler is not affine"
    return _law_of(np.concatenate([offset[:, None], columns.T], axis=1), m)


def law_distance(got: AffineLaw, want: AffineLaw, n: int) -> float:
    """Largest difference of offset, gain and FULL covariance, each step on its own scale."""
    assert got.cov.shape == want.cov.shape, f"{got.cov.shape} instead of {want.cov.shape}"
    std = np.sqrt(np.diag(want.cov)).reshape(-1, n).max(axis=1).repeat(n).clip(1e-3)
    size = np.abs(want.offset).reshape(-1, n).max(axis=1).repeat(n) + std
    gains = np.abs(want.gain).max(initial=0.0) or 1.0
    return largest(
        (got.offset - want.offset) / size,
        (got.gain - want.gain) / gains,
        (got.cov - want.cov) / np.outer(std, std),
    )


def probed_law(samples, case: GaussianCase, sigmas, *, eta, eta_b, op=None) -> AffineLaw:
    """The law of ``samples``, a function like ``ddrm_samples``, with the exact denoiser."""
    op = Dense(case.H) if op is None else op
    prior = GaussianPrior(
        torch.as_tensor(case.mean).reshape(op.in_shape), torch.as_tensor(case.cov)
    )

    def run(y: Tensor) -> Iterator:
        y = y.reshape(-1, *op.out_shape)
        return samples(prior, op, y, sigmas, sigma_y=case.sigma_y, eta=eta, eta_b=eta_b)

    return probe(run, op.in_shape, op.m, len(sigmas))


def sampler_law_error(samples, case: GaussianCase, sigmas, *, eta, eta_b, op=None) -> float:
    """S18.1: distance of the law of all of a sampler's steps, given y, from the exact one."""
    got = probed_law(samples, case, sigmas, eta=eta, eta_b=eta_b, op=op)
    return law_distance(got, ddrm_law(case, sigmas, eta, eta_b), len(case.mean))


def posterior_law(case: GaussianCase) -> AffineLaw:
    """S02.3: p(x | y), from the joint Gaussian law of (x, y)."""
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
    gain = np.linalg.solve(cov_y, case.H @ case.cov).T
    return AffineLaw(
        case.mean - gain @ case.H @ case.mean, gain, case.cov - gain @ case.H @ case.cov
    )


def relative_w2(law: AffineLaw, case: GaussianCase) -> float:
    """sqrt(E_y W2^2 / tr Cov[x|y]) between the last step and the posterior (section 4)."""
    got, want = law.last(len(case.mean)), posterior_law(case)
    cov_y = case.H @ case.cov @ case.H.T + case.sigma_y**2 * np.eye(len(case.H))
    gain = got.gain - want.gain
    mean = gain @ case.H @ case.mean + got.offset - want.offset
    squared = mean @ mean + np.trace(gain @ cov_y @ gain.T) + bures(got.cov, want.cov)
    return math.sqrt(squared / np.trace(want.cov))


def bures(A: np.ndarray, B: np.ndarray) -> float:
    """Covariance part of the squared Wasserstein-2 distance of two Gaussians."""
    root = _root(A)
    return float(np.trace(A) + np.trace(B) - 2 * np.trace(_root(root @ B @ root)))


def _root(A: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((A + A.T) / 2)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


# --------------------------------------------------------------------- DDPM, DDIM (slides 3-7)


def ddim_law(mean: np.ndarray, cov: np.ndarray, sigmas, eta_ddim: float) -> AffineLaw:
    """The exact law of DDIM with the exact denoiser, in the VP form of its authors."""
    n, sigmas = len(mean), [float(level) for level in sigmas]
    width = 1 + n * len(sigmas)
    one = np.eye(1, width)
    x = sigmas[0] * np.eye(n, width, 1)
    path = []
    for t, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        a, b = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)  # alpha-bar before and after the step
        precision = np.linalg.inv(a * cov + (1 - a) * np.eye(n))
        vp = math.sqrt(a) * x
        eps = math.sqrt(1 - a) * precision @ (vp - math.sqrt(a) * mean[:, None] @ one)
        x0 = (vp - math.sqrt(1 - a) * eps) / math.sqrt(a)
        variance = eta_ddim**2 * (1 - b) / (1 - a) * (1 - a / b)
        vp = math.sqrt(b) * x0 + math.sqrt(max(1 - b - variance, 0)) * eps
        vp = vp + math.sqrt(variance) * np.eye(n, width, 1 + (t + 1) * n)
        x = vp / math.sqrt(b)
        path.append(x)
    return _law_of(np.concatenate(path), 0)


def ddpm_law_error(samples, mean: np.ndarray, cov: np.ndarray, sigmas, *, eta_ddim: float) -> float:
    """S07.1: distance of the law of all steps of ``samples``, like ddpm_samples, from the exact."""
    got = probed_ddpm_law(samples, mean, cov, sigmas, eta_ddim=eta_ddim)
    return law_distance(got, ddim_law(mean, cov, sigmas, eta_ddim), len(mean))


def probed_ddpm_law(samples, mean, cov, sigmas, *, eta_ddim: float) -> AffineLaw:
    """The law of ``samples``, a function like ``ddpm_samples``, with the exact denoiser."""
    prior = GaussianPrior(torch.as_tensor(mean), torch.as_tensor(cov))

    def run(y: Tensor) -> Iterator:
        shape = (len(y), len(mean))
        return samples(prior, shape, sigmas, eta_ddim=eta_ddim, dtype=torch.float64)

    return probe(run, (len(mean),), 0, len(sigmas))


def posterior_kernel_error(coefficients, sigma: float, sigma_next: float) -> float:
    """S05.3: distance of the DDPM step from q(x_t | x_{t+1}, x_0), conditioned by brute force.

    Given x_0 the VE chain is x_t = x_0 + sigma_t e and
    x_{t+1} = x_t + sqrt(sigma_{t+1}^2 - sigma_t^2) e'.
    """
    joint = np.array([[sigma_next**2, sigma_next**2], [sigma_next**2, sigma**2]])
    weight = joint[0, 1] / joint[1, 1]
    variance = joint[0, 0] - joint[0, 1] ** 2 / joint[1, 1]
    c = [float(number) for number in coefficients(sigma, sigma_next, eta_ddim=1.0)]
    scale = sigma_next**2 or 1.0
    return largest(c[0] - (1 - weight), c[1] - weight, c[2], (c[3] ** 2 - variance) / scale)


# ----------------------------------------------------- variance-preserving form (slides 3, 6, 19)


def schedule_error(alpha_bar: Callable[[Tensor], Tensor], beta: Tensor) -> float:
    """S03.3, E20: relative distance of alpha-bar from the product of 1 - beta, to 50 digits."""
    got = alpha_bar(beta)
    if got.shape != beta.shape or got[0] != 1:
        return largest(float(got[0]) - 1, len(got) - len(beta))
    return largest(
        [float(g / w) - 1 for g, w in zip(map(_exact, got), exact_alpha_bar(beta), strict=True)]
    )


def exact_alpha_bar(beta: Tensor) -> list[Decimal]:
    """prod (1 - beta_s) in 50-digit decimal arithmetic, for t = 0..T."""
    with localcontext() as context:
        context.prec = 50
        factors = [1 - _exact(b) for b in beta]
        return list(itertools.accumulate(factors, lambda a, b: a * b))


def _exact(number: Tensor) -> Decimal:
    return Decimal(float(number))


def jump_kernel_error(jump: Callable[[Tensor, Tensor, float], Tensor], schedule) -> float:
    """S03.2: distance of x_t = jump(x_0, eps, sigma_t) from t steps of q(x_t | x_{t-1})."""
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    weight, variance, errors = 1.0, 0.0, []
    for beta, sigma in zip(schedule.beta[1:].tolist(), schedule.sigma[1:].tolist(), strict=True):
        weight, variance = math.sqrt(1 - beta) * weight, (1 - beta) * variance + beta
        errors.append(jump(one, zero, sigma).item() - weight)
        errors.append(jump(zero, one, sigma).item() ** 2 - variance)
    return largest(errors)


def x0_round_trip_error(x0_from_eps, schedule) -> float:
    """S06.4, E1: with the true eps the prediction is x_0, at every level of the schedule."""
    rng = torch.Generator().manual_seed(4)
    x0, eps = torch.randn(2, 64, generator=rng, dtype=torch.float64)
    # x0 is recovered from x = x0 + sigma eps, whose rounding is that of a number of size sigma.
    return largest(
        [
            largest(x0_from_eps(x0 + sigma * eps, sigma, eps) - x0) / (1 + sigma)
            for sigma in schedule.sigma.tolist()
        ]
    )


def noise_loss_error(loss, schedule, factor: float) -> float:
    """S06.5, E2: relative distance of L_t from the divergence of the two kernels of x_t.

    The exact kernel by conditioning the VP chain on x_{t+1}; the model's has the variance
    factor * beta-tilde and the same mean with eps_theta in the place of eps.
    """
    eps, eps_theta, x0, errors = 0.7, -0.4, 1.3, []
    for t in range(1, schedule.T):
        a, a_next = schedule.alpha_bar[t].item(), schedule.alpha_bar[t + 1].item()
        beta = schedule.beta[t + 1].item()
        gain = math.sqrt(1 - beta) * (1 - a) / (1 - a_next)  # Cov(x_t, x_{t+1}) / Var x_{t+1}
        exact = (1 - a) - gain * math.sqrt(1 - beta) * (1 - a)
        x = math.sqrt(a_next) * x0 + math.sqrt(1 - a_next) * eps
        x0_theta = (x - math.sqrt(1 - a_next) * eps_theta) / math.sqrt(a_next)
        shift = (math.sqrt(a) - gain * math.sqrt(a_next)) * (x0 - x0_theta)
        v = factor * exact
        want = (exact / v - 1 - math.log(exact / v) + shift**2 / v) / 2
        got = loss(schedule, t, v)
        errors.append((got.weight * (eps - eps_theta) ** 2 + got.constant) / want - 1)
    return largest(errors)


def gaussian_eps_network(mean: np.ndarray, cov: np.ndarray, schedule, *, first_t: int = 0):
    """The exact eps-network of N(mean, cov) at integer times, in VP coordinates (section 4)."""
    mean, cov = torch.as_tensor(mean), torch.as_tensor(cov)

    def net(x: Tensor, t: Tensor) -> Tensor:
        a = schedule.alpha_bar[t[0] - first_t + 1]
        assert (t == t[0]).all(), "one time for the whole batch"
        spread = a * cov + (1 - a) * torch.eye(len(cov), dtype=torch.float64)
        centred = x.flatten(1) - a.sqrt() * mean
        eps = (1 - a).sqrt() * torch.linalg.solve(spread, centred.T).T
        return eps.reshape(x.shape)

    return net


def eps_denoiser_error(make: Callable, schedule, *, first_t: int = 0) -> float:
    """S19.2, X08: distance of ``make(net, schedule)`` from E[x_0 | x_t] on all levels."""
    case = random_case(3, 3, 3, 0.1, seed=8)
    net = gaussian_eps_network(case.mean, case.cov, schedule, first_t=first_t)
    denoiser, rng = make(net, schedule), np.random.default_rng(9)
    errors = []
    for sigma in schedule.sigma[1:]:
        x = case.mean + float(sigma) * rng.standard_normal((2, 3))
        gain = case.cov @ np.linalg.inv(case.cov + float(sigma) ** 2 * np.eye(3))
        want = case.mean + (x - case.mean) @ gain.T
        errors.append(relative(denoiser(torch.as_tensor(x), sigma), want))
    return largest(errors)


def literal_algorithm_2(
    net, V, s, y_spec, schedule, timesteps, sigma_y, eta, eta_b, noise, *, to_ve=None
) -> list[np.ndarray]:
    """Algorithm 2 (slide 18) word by word for one image, with a VP network (slide 19).

    The image is kept in variance-preserving pixels, as a network sees it, and every coordinate is
    treated by itself.  ``to_ve`` divides by sqrt(alpha-bar); as an argument it can be forgotten.
    """
    to_ve = to_ve or (lambda x, a: x / math.sqrt(a))
    levels = [(t, schedule.sigma[t].item(), schedule.alpha_bar[t].item()) for t in [*timesteps, 0]]
    n, sigma_T = len(s), levels[0][1]
    x_spec = np.zeros(n)
    for i in range(n):
        if s[i] > 0 and sigma_T >= sigma_y / s[i]:
            std = math.sqrt(sigma_T**2 - (sigma_y / s[i]) ** 2)
            x_spec[i] = y_spec[i] + std * noise[0][i]
        else:
            x_spec[i] = sigma_T * noise[0][i]
    x_vp = V @ x_spec * math.sqrt(levels[0][2])
    path = []
    for k, ((t, sigma, a), (_, sigma_next, a_next)) in enumerate(itertools.pairwise(levels)):
        eps = net(torch.as_tensor(x_vp)[None], torch.tensor([t - 1]))[0].numpy()
        x_theta = V.T @ ((x_vp - math.sqrt(1 - a) * eps) / math.sqrt(a))
        x_t = V.T @ to_ve(x_vp, a)
        new = np.zeros(n)
        for i in range(n):
            x0, xt, y, variance = slide_11(s[i], sigma, sigma_next, sigma_y, eta, eta_b)
            new[i] = x0 * x_theta[i] + xt * x_t[i] + y * y_spec[i]
            new[i] += math.sqrt(variance) * noise[k + 1][i]
        x_vp = V @ new * math.sqrt(a_next)
        path.append(x_vp / math.sqrt(a_next))
    return path


def vp_error(algorithm_2, case: GaussianCase, schedule, steps: int, *, eta, eta_b) -> float:
    """X08: distance, step by step, of a VP Algorithm 2 from ``ddrm_samples``; same noise."""
    m, n = case.H.shape
    op = Dense(case.H)
    rng = np.random.default_rng(11)
    y, noise = rng.standard_normal((1, m)), rng.standard_normal((steps + 1, n))
    net = gaussian_eps_network(case.mean, case.cov, schedule)
    V = op.V(torch.eye(n, dtype=torch.float64)).T.numpy()
    y_spec = op.measure_spec(torch.as_tensor(y))[0].numpy()
    times, numbers_ = schedule.timesteps(steps), (case.sigma_y, eta, eta_b)
    theirs = algorithm_2(net, V, op.s.numpy(), y_spec, schedule, times, *numbers_, noise)
    with known_noise(torch.as_tensor(noise)[:, None]):
        mine = ddrm_samples(
            EpsDenoiser(net, schedule),
            op,
            torch.as_tensor(y),
            schedule.sigmas(steps),
            sigma_y=case.sigma_y,
            eta=eta,
            eta_b=eta_b,
        )
        return largest([relative(x, step.x[0]) for x, step in zip(theirs, mine, strict=True)])


# -------------------------------------------------------------------------- operators in a sampler


def orthogonality_error(op) -> float:
    """S09.3: distance of V^T V and V V^T from I, as matrices."""
    unit = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    V, Vt = (f(unit).flatten(1).T.numpy() for f in (op.V, op.Vt))
    return largest(V @ V.T - np.eye(op.n), V.T @ V - np.eye(op.n), Vt - V.T)


def matrix_error(op, H: np.ndarray) -> float:
    """S09.1: distance of U diag(s) V^T from an independent H."""
    unit = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    return relative(op(unit).flatten(1).T, H)


def spectral_measurement_error(op, H: np.ndarray) -> float:
    """S09.4-S09.6: y-bar given x_0 has mean V^T x_0 where s > 0 and cov sigma_y^2 diag(1 / s^2)."""
    s = op.s.expand(op.in_shape).flatten().numpy()
    unit = torch.eye(op.m, dtype=torch.float64).reshape(-1, *op.out_shape)
    to_spec = op.measure_spec(unit).flatten(1).T.numpy()
    pixels = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    x0_spec = op.Vt(pixels).flatten(1).T.numpy()
    variance = noise_of_measurement(s, 1.0) ** 2
    return largest(
        to_spec @ H - (s > 0)[:, None] * x0_spec,
        relative(to_spec @ to_spec.T, np.diag(variance)),
    )


def nonlinear_denoiser(x: Tensor, sigma) -> Tensor:
    """Any function of the image at all: what was measured may not depend on it."""
    return torch.tanh(1.7 * x.flip(-1) + 0.3) * 0.8 + 0.1 * x.cos()


def consistency_error(samples, op, x0: Tensor, sigmas, *, eta, eta_b=1.0) -> float:
    """X06, S17.3: ||H x - y|| / ||y|| of noiseless restoration, the worst image of the batch."""
    y = op(x0)
    generator = torch.Generator().manual_seed(12)
    numbers_ = {"sigma_y": 0.0, "eta": eta, "eta_b": eta_b, "generator": generator}
    *_, last = samples(nonlinear_denoiser, op, y, sigmas, **numbers_)
    residual = (op(last.x) - y).flatten(1).norm(dim=1) / y.flatten(1).norm(dim=1)
    return largest(residual)


def default_schedule() -> NoiseSchedule:
    """The schedule of most tests: short, but with the range of levels of a long one."""
    return NoiseSchedule.linear(T=120, beta_1=1e-3, beta_T=0.15)

r"""Beyond the slides: no noise, DDIM and VP, the linear family, other operators, special cases.

Bounds: 1e-14 is fifty roundings of a number of order 1; 1e-12 where matrices are inverted or
nearly equal numbers subtracted.
"""

from __future__ import annotations

import functools
import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.signal
import torch
from laws import (
    ddpm_law_error,
    eps_denoiser_error,
    exact_alpha_bar,
    largest,
    literal_algorithm_2,
    marginal_error,
    noise_of_measurement,
    numbers,
    random_case,
    relative,
    vp_error,
)

from ddrm_edu import Dense, EpsDenoiser, NoiseSchedule
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu.ddrm import ddrm_coefficients, ddrm_start_coefficients
from ddrm_edu.diffusion import diffusion_steps
from ddrm_edu.gaussian import GaussianNetwork
from ddrm_edu.law import sampler_law

from .registry import item
from .scenes import (
    ETA,
    ETA_B,
    KEPT,
    LEVELS,
    PROBLEMS,
    RATES,
    SCHEDULE,
    SIGMA_Y,
    S,
    case_2,
    case_3,
    column,
    network_of,
    prior_of,
    table,
)

# ----------------------------------------------------------- X06: measurements without noise

PAIRS = list(itertools.pairwise([3.1, 0.6, 0.02, 0.0]))


@item(
    "X06",
    "sigma_y = 0: N((1-eta_b) x_theta + eta_b ybar, sigma_t^2) where s > 0, and eta_b* = 2",
    right=ddrm_coefficients,
    wrong={
        "measured coordinates with eta^2 sigma_t^2": table(
            lambda s, *_: s > 0, noise=lambda c, sigma_next, **_: 0 * c.noise + ETA * sigma_next
        ),
        "strict >: the last step is case 3": table(
            lambda s, sigma, sigma_next, sigma_y: (s > 0) & (sigma_next == 0),
            x0=lambda c, **_: 0 * c.x0 + 1,
            y=lambda c, **_: 0 * c.y,
        ),
        "variance (1 - eta_b^2) sigma_t^2": table(
            lambda s, *_: s > 0,
            noise=lambda c, sigma_next, **_: sigma_next * (1 - c.y**2).clamp(min=0).sqrt(),
        ),
        "infinitely precise y counts as 1": table(
            lambda s, *_: s > 0, x0=lambda c, **_: 0 * c.x0, y=lambda c, **_: 0 * c.y + 1
        ),
    },
    bound=1e-11,  # with noise: b / a = 6e-14 at s = 0.04, sigma_t = 0.02, a few times
)
def table_without_noise(coefficients) -> float:
    """At sigma_y = 0, and as the limit of sigma_y = 2e-10 wherever sigma_t > 0."""
    errors = []
    for (sigma, sigma_next), eta_b in itertools.product(PAIRS, (ETA_B, "theorem")):
        share = ETA_B if eta_b == ETA_B else (2.0 if sigma_next else 1.0)
        xt = KEPT * sigma_next / sigma
        seen = [1 - share, 0.0, share, 1.0]
        want = np.array([seen if s > 0 else [1 - xt, xt, 0.0, ETA**2] for s in S]).T
        for sigma_y in (0.0, 2e-10 if sigma_next else 0.0):
            got = numbers(coefficients, S, sigma, sigma_next, sigma_y, ETA, eta_b)
            scale = sigma_next**2
            errors += [got[:3] - want[:3], (got[3] ** 2 - want[3] * scale) / (scale or 1)]
    return largest(*errors)


NOISELESS = random_case(6, 5, 3, 0.0, seed=3)


@item(
    "X06",
    "sigma_y = 0, eta_b = 1: what was measured is kept exactly, H x_0 = y",
    right=functools.partial(sampler_law, eta=ETA, eta_b=1.0),
    wrong={
        "eta_b = 0.9": functools.partial(sampler_law, eta=ETA, eta_b=0.9),
        "eta_b = 2 in the last step too": functools.partial(sampler_law, eta=ETA, eta_b=2.0),
        "y known to 0.1": lambda prior, op, levels, sigma_y: sampler_law(
            prior, op, levels, sigma_y=0.1, eta=ETA, eta_b=1.0
        ),
    },
    bound=1e-12,
)
def measurement_is_kept(law_of) -> float:
    """H of the library's law given y: gain I on the range of H, no offset, no covariance."""
    case, op = NOISELESS, Dense(NOISELESS.H)
    law = law_of(prior_of(case), op, LEVELS, sigma_y=0.0)
    y = case.H @ np.random.default_rng(4).standard_normal((6, 3))  # noiseless measurements
    given = law.given(torch.as_tensor(y.T.copy()))
    H_cov = case.H @ given.cov.numpy() @ case.H.T
    return largest(relative(case.H @ given.mean.numpy().T, y), H_cov)


# ------------------------------------------------------------------------- X07, X08: DDIM, DDPM


def ddim_by_ddrm(eta_of):
    """ddpm_samples made of DDRM's steps without a measurement, eta = eta_of(eta_ddim, ratio)."""

    def samples(denoiser, shape, sigmas, *, eta_ddim, dtype):
        zeros, levels = torch.zeros(shape[1:], dtype=torch.float64), torch.as_tensor(sigmas)

        def coefficients(sigma, sigma_next):
            eta = eta_of(eta_ddim, float(sigma_next / sigma))
            return ddrm_coefficients(zeros, sigma, sigma_next, SIGMA_Y, eta=eta, eta_b=ETA_B)

        start = ddrm_start_coefficients(zeros, levels[0], SIGMA_Y)
        x = start.noise * diffusion_module.standard_normal(torch.empty(shape, dtype=dtype))
        steps = (coefficients(*pair) for pair in itertools.pairwise(levels))
        return diffusion_steps(denoiser, x, levels, steps)

    return samples


@item(
    "X07",
    "H = 0: DDRM is DDIM with eta = eta_ddim sqrt(1 - (s_t/s_{t+1})^2); DDPM: eta_ddim = 1",
    right=ddim_by_ddrm(lambda eta, ratio: eta * math.sqrt(1 - ratio**2)),
    wrong={
        "the same eta": ddim_by_ddrm(lambda eta, ratio: eta),
        "ratio not squared": ddim_by_ddrm(lambda eta, ratio: eta * math.sqrt(1 - ratio)),
        "root forgotten": ddim_by_ddrm(lambda eta, ratio: eta * (1 - ratio**2)),
        "ratio of alpha-bar": ddim_by_ddrm(lambda eta, ratio: eta * ratio),
    },
    bound=1e-12,
)
def ddim_without_measurement(samples) -> float:
    """The law of all steps, cross-time too, against DDIM as its authors state it, in VP form."""
    case = random_case(3, 1, 1, 0.0, seed=6)
    levels = SCHEDULE.sigmas(6)
    return largest(
        [
            ddpm_law_error(samples, case.mean, case.cov, levels, eta_ddim=eta_ddim)
            for eta_ddim in (0.0, 0.7, 1.0)
        ]
    )


def with_network(change):
    """Algorithm 2 word by word whose network is called with other arguments."""
    return lambda net, *args: literal_algorithm_2(change(net), *args)


@item(
    "X08",
    "Algorithm 2 in VP images equals the one in VE images step by step: x_t / sqrt(abar_t)",
    right=literal_algorithm_2,
    wrong={
        "x_t not divided by sqrt(abar_t)": functools.partial(
            literal_algorithm_2, to_ve=lambda x, a: x
        ),
        "divided by abar_t": functools.partial(literal_algorithm_2, to_ve=lambda x, a: x / a),
        "network called at the time below": with_network(
            lambda net: lambda x, t: net(x, (t - 1).clamp(min=0))
        ),
    },
    bound=1e-12,
)
def vp_implementation(algorithm_2) -> float:
    """Word by word in VP images, with an eps-network, against the library; eta is not 1."""
    return largest(
        [vp_error(algorithm_2, case, SCHEDULE, 6, eta=ETA, eta_b=ETA_B) for case in PROBLEMS[:2]]
    )


def rescaled(factor):
    """EpsDenoiser whose network sees another image."""
    return lambda net, schedule: EpsDenoiser(
        lambda x, t: net(x * factor(schedule.alpha_bar[t[0] + 1]), t), schedule
    )


@item(
    "X08",
    "the network is called as eps(x / sqrt(1 + sigma^2), t(sigma)) with the training index",
    right=EpsDenoiser,
    wrong={
        "next index": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, (t + 1).clamp(max=schedule.T - 1)), schedule
        ),
        "VE image": rescaled(lambda abar: abar**-0.5),
        "scaled twice": rescaled(lambda abar: abar**0.5),
        "every second index": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, t // 2), schedule
        ),
    },
    bound=1e-11,  # x_0 = x - sigma eps cancels at sigma = 80
)
def network_call(make) -> float:
    """Wrapped network of a Gaussian against E[x_0 | x_t] in VE form, at every level."""
    return eps_denoiser_error(make, SCHEDULE)


@item(
    "X08",
    "t(sigma) = argmin over t >= 1 of |sigma_t - sigma|",
    right=lambda schedule, sigma: schedule.nearest_t(sigma),
    wrong={
        "next level above": lambda schedule, sigma: int((schedule.sigma < sigma).sum()),
        "next level below": lambda schedule, sigma: int((schedule.sigma <= sigma).sum()) - 1,
        "counted from 0": lambda schedule, sigma: schedule.nearest_t(sigma) - 1,
        "closest in sigma^2": lambda schedule, sigma: (
            int((schedule.sigma[1:] ** 2 - sigma**2).abs().argmin()) + 1
        ),
    },
    bound=1e-12,
)
def timestep_of_a_level(nearest) -> float:
    """Off the grid: how much farther than the closest level in 50-digit decimals, in spacings."""
    schedule = NoiseSchedule.linear(12, 0.02, 0.6)
    with localcontext() as context:
        context.prec = 50
        exact = [((1 - a) / a).sqrt() for a in exact_alpha_bar(schedule.beta)]
        errors = []
        for (below, above), share in itertools.product(
            itertools.pairwise(exact[1:]), (0.02, 0.49, 0.505, 0.98)
        ):
            sigma = float(below) + share * float(above - below)
            got = abs(exact[nearest(schedule, sigma)] - Decimal(sigma))
            least_distance = min(abs(level - Decimal(sigma)) for level in exact[1:])
            errors.append(float((got - least_distance) / (above - below)))
    return largest(errors)


# ---------------------------------------------------------------------- X09: the linear family


def general_kernel(a, k, b, sigma, sigma_next, kappa):
    """Variance and next kappa of N(x_0 + a (ybar - x_0) + l (x_{t+1} - x_0), v)."""
    variance = sigma_next**2 - a**2 * b - k**2 * sigma**2 - 2 * a * k * kappa
    return variance, a * b + k * kappa


WRONG_KERNELS = {
    "kappa dropped": lambda a, k, b, sigma, sigma_next, kappa: general_kernel(
        a, k, b, sigma, sigma_next, 0.0
    ),
    "counted once": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa / 2)[0],
        a * b + k * kappa,
    ),
    "kappa not carried on": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa)[0],
        a * b,
    ),
    "kappa of the start throughout": lambda a, k, b, sigma, sigma_next, kappa: (
        general_kernel(a, k, b, sigma, sigma_next, kappa)[0],
        b,
    ),
}


@item(
    "X09",
    "mean x_0 + a (ybar-x_0) + k (x_{t+1}-x_0): v = s_t^2 - a^2 b - k^2 s_{t+1}^2 - 2 a k kappa",
    right=general_kernel,
    wrong=WRONG_KERNELS,
    bound=1e-13,
)
def linear_family(kernel) -> float:
    """FULL covariance of (ybar, x_t) given x_0 at every level of a generic chain, by a network."""
    b, pairs = 0.4**2, list(itertools.pairwise([3.0, 1.7, 1.1, 0.8, 0.5]))
    shares = [(0.3, 0.2), (0.25, 0.15), (0.5, 0.1), (0.2, 0.3)]
    network, kappa, errors = GaussianNetwork(), b, []
    network.add("x0", offset=[0.7])
    network.add("y", {"x0": 1.0}, cov=b)
    network.add("x5", {"y": 1.0}, cov=3.0**2 - b)
    for t, ((a, k), (sigma, sigma_next)) in enumerate(zip(shares, pairs, strict=True)):
        v, kappa = kernel(a, k, b, sigma, sigma_next, kappa)
        network.add(f"x{4 - t}", {"x0": 1 - a - k, "y": a, f"x{5 - t}": k}, cov=v)
        law = network.joint("y", f"x{4 - t}")
        want = np.array([[b, kappa], [kappa, sigma_next**2]])
        errors += [relative(law.cov, want), law.mean.numpy() - 0.7]
    return largest(*errors)


@item(
    "X09",
    "DDRM's cases are its corners: (a, k) = (eta_b, 0), (c s_t/tau, 0), (0, c s_t/s_{t+1})",
    right=ddrm_coefficients,
    wrong={
        "case 2 keeps x_{t+1} as well": table(
            case_2,
            xt=lambda c, sigma, sigma_next, **_: 0 * c.xt + KEPT * sigma_next / sigma,
            x0=lambda c, sigma, sigma_next, **_: c.x0 - KEPT * sigma_next / sigma,
        ),
        "fresh noise eta sigma_{t+1} in case 3": table(
            case_3, noise=lambda c, sigma, **_: 0 * c.noise + ETA * sigma
        ),
        "c = sqrt(1 - eta) in case 2": table(
            case_2, y=lambda c, **_: c.y / KEPT * math.sqrt(1 - ETA)
        ),
    },
    bound=1e-13,
)
def corners_of_the_family(coefficients) -> float:
    """v and kappa of the family at the table's shares, kappa against the library's own network."""
    network = network_of(coefficients, S, LEVELS, **RATES)
    spread = noise_of_measurement(S, SIGMA_Y)
    b, kappa, errors = spread**2, spread**2, []
    for k, (sigma, sigma_next) in enumerate(itertools.pairwise(LEVELS[:-1])):
        got = numbers(coefficients, S, sigma, sigma_next, SIGMA_Y, ETA, ETA_B)
        variance, new = general_kernel(got[2], got[1], b, sigma, sigma_next, kappa)
        kappa = np.where(S > 0, new, 0)
        name, n = f"x{len(LEVELS) - 2 - k}", len(S)
        cross = network.joint("y", name).cov[:n, n:].numpy()
        scale = sigma_next * np.where(spread > 0, spread, 1)
        errors += [(got[3] ** 2 - variance) / sigma_next**2, (cross - np.diag(kappa)) / scale]
    return largest(*errors)


# ------------------------------------------------- X10, X11: operators of two factors, butterflies


def kronecker_svd(first: np.ndarray, second: np.ndarray):
    """U, s and V^T of X -> A X B^T for images flattened row by row; s decreasing."""
    (Ua, sa, Va), (Ub, sb, Vb) = np.linalg.svd(first), np.linalg.svd(second)
    s = np.kron(sa, sb)
    order = np.argsort(-s, kind="stable")
    return np.kron(Ua, Ub)[:, order], s[order], np.kron(Va, Vb)[order]


def kronecker_unsorted(first, second):
    s = kronecker_svd(first, second)[1]
    (Ua, _, Va), (Ub, _, Vb) = np.linalg.svd(first), np.linalg.svd(second)
    return np.kron(Ua, Ub), s, np.kron(Va, Vb)


def blur_matrix(kernel: np.ndarray, size: int) -> np.ndarray:
    """Convolution of a row of ``size`` pixels, dark beyond its ends."""
    return np.stack([np.convolve(row, kernel, mode="same") for row in np.eye(size)], axis=1)


def transposed(triple):
    U, s, Vt = triple
    return U, s, Vt.T


@item(
    "X10",
    "blur X -> A X B^T of rows of pixels is A (x) B: U, s, V are Kronecker products, s sorted",
    right=kronecker_svd,
    wrong={
        "B (x) A, columns of pixels": lambda first, second: kronecker_svd(second, first),
        "s sorted, U and V not": kronecker_unsorted,
        "V for V^T": lambda first, second: transposed(kronecker_svd(first, second)),
        "B for B^T": lambda first, second: kronecker_svd(first, second.T),
    },
    bound=1e-13,
)
def separable_blur(svd) -> float:
    """scipy's convolution of each pixel of a 4 x 6 image with a kernel that has no symmetry."""
    h, w, kernel_h, kernel_w = 4, 6, np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.6, 0.25])
    units = np.eye(h * w).reshape(-1, h, w)
    kernel = np.outer(kernel_h, kernel_w)
    H = np.stack([scipy.signal.convolve2d(x, kernel, mode="same").ravel() for x in units], axis=1)
    U, s, Vt = svd(blur_matrix(kernel_h, h), blur_matrix(kernel_w, w))
    orthogonal = [M @ M.T - np.eye(h * w) for M in (U, Vt)]
    return largest(U * s @ Vt - H, s - np.linalg.svd(H)[1], *orthogonal)


def by_factors(apply):
    """X -> A X B^T through the two small decompositions alone, and how many numbers they hold."""

    def blur(first, second, image):
        factors = [*np.linalg.svd(first), *np.linalg.svd(second)]
        return apply(image, *factors), sum(factor.size for factor in factors if factor.ndim == 2)

    return blur


@item(
    "X10",
    "its U and V are held as factors, 2 (h^2 + w^2) numbers, never as h w x h w matrices",
    right=by_factors(
        lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.outer(sa, sb) * (Va @ X @ Vb.T)) @ Ub.T
    ),
    wrong={
        "factors exchanged": by_factors(
            lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.outer(sa, sb) * (Va @ X @ Vb)) @ Ub
        ),
        "s_A + s_B": by_factors(
            lambda X, Ua, sa, Va, Ub, sb, Vb: Ua @ (np.add.outer(sa, sb) * (Va @ X @ Vb.T)) @ Ub.T
        ),
        "by the dense matrix": lambda first, second, image: (
            first @ image @ second.T,
            2 * np.kron(first, second).size,
        ),
    },
    bound=1e-13,
)
def factors_of_a_blur(blur) -> float:
    """scipy's convolution of an image, and the count of numbers."""
    h, w, kernel_h, kernel_w = 4, 6, np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.6, 0.25])
    image = np.random.default_rng(7).standard_normal((h, w))
    want = scipy.signal.convolve2d(image, np.outer(kernel_h, kernel_w), mode="same")
    got, count = blur(blur_matrix(kernel_h, h), blur_matrix(kernel_w, w), image)
    return largest(relative(got, want), count / (2 * (h**2 + w**2)) - 1)


def butterflies(x: np.ndarray, *, stop: int | None = None) -> np.ndarray:
    """Walsh-Hadamard transform in log2(n) passes of sums and differences, times 1 / sqrt(n)."""
    n, half = len(x), 1
    for _ in range(stop or int(math.log2(n))):
        pairs = x.reshape(-1, 2, half)
        x = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        half *= 2
    return x / math.sqrt(n)


def back(x: np.ndarray, perm: np.ndarray) -> np.ndarray:
    """V of a permutation, then butterflies: butterflies, then every entry back to its place."""
    result = np.empty_like(x)
    result[perm] = butterflies(x)
    return result


HADAMARD = (lambda x, perm: butterflies(x[perm]), back)


@item(
    "X11",
    "Walsh-Hadamard sensing: V^T = W P / sqrt(n) by butterflies, all s = 1, V = P^T W / sqrt(n)",
    right=HADAMARD,
    wrong={
        "divided by n": (
            lambda x, perm: butterflies(x[perm]) / math.sqrt(len(x)),
            lambda x, perm: back(x, perm) * math.sqrt(len(x)),
        ),
        "not normalised": (
            lambda x, perm: butterflies(x[perm]) * math.sqrt(len(x)),
            lambda x, perm: back(x, perm) / math.sqrt(len(x)),
        ),
        "last pass forgotten": (lambda x, perm: butterflies(x[perm], stop=3), back),
        "P for P^T on the way back": (HADAMARD[0], lambda x, perm: butterflies(x)[perm]),
        "inverse permutation": (
            lambda x, perm: butterflies(x[np.argsort(perm)]),
            lambda x, perm: back(x, np.argsort(perm)),
        ),
    },
    bound=1e-14,
)
def walsh_hadamard(transforms) -> float:
    """scipy's dense Hadamard matrix; V V^T = I; five of sixteen rows have five s = 1."""
    n, m = 16, 5
    perm = np.random.default_rng(8).permutation(n)
    Vt, V = (np.stack([f(unit, perm) for unit in np.eye(n)], axis=1) for f in transforms)
    dense = scipy.linalg.hadamard(n)[:, np.argsort(perm)] / math.sqrt(n)
    s = np.linalg.svd(Vt[:m])[1]
    return largest(Vt - dense, V @ Vt - np.eye(n), s - 1)


# ---------------------------------------------------------- X12-X14: start, small s, eta = 1


def start_as(change):
    """The start as printed, where sigma_T < sigma_y / s, with its variance changed."""

    def start(s, sigma, sigma_y):
        c, sigma = ddrm_start_coefficients(s, sigma, sigma_y), float(sigma)
        hidden = (s > 0) & (s * sigma < sigma_y)
        x0, y, variance = change(sigma, torch.where(s > 0, sigma_y / s, 0.0) ** 2)
        new = c._replace(x0=x0 + 0 * s, y=y + 0 * s, noise=(variance + 0 * s).sqrt())
        return c._replace(
            **{k: torch.where(hidden, getattr(new, k), getattr(c, k)) for k in c._fields}
        )

    return start


@item(
    "X12",
    "sigma_T < sigma_y/s: the coordinate starts like an unmeasured one, N(xbar_0, sigma_T^2)",
    right=ddrm_start_coefficients,
    wrong={
        "negative variance clamped": start_as(lambda sigma, b: (0, 1, (sigma**2 - b).clamp(min=0))),
        "its absolute value": start_as(lambda sigma, b: (0, 1, (sigma**2 - b).abs())),
        "at ybar with sigma_T^2": start_as(lambda sigma, b: (0, 1, sigma**2)),
        "at x_0 without noise": start_as(lambda sigma, b: (1, 0, 0.0)),
    },
    bound=1e-12,
)
def start_below_the_noise(start) -> float:
    """Proposition 3.1 for a chain from sigma_T = 2 while sigma_y / s is up to 7.75."""
    return marginal_error(
        ddrm_coefficients, start, S, [2.0, 0.9, 0.35, 0.1, 0.0], SIGMA_Y, eta=ETA, eta_b=ETA_B
    )


def correlations(coefficients, s: float) -> tuple[float, float]:
    """Of x_t with x_{t+1} given x_0, and Var x_t / sigma_t^2, one coordinate in cases 2 or 3."""
    network = network_of(coefficients, column(s), [4.0, 1.5, 0.5, 0.0], **RATES)
    cov = network.joint("x1", "x2").cov
    share = cov[0, 1] / (cov[0, 0] * cov[1, 1]).sqrt()
    return share.item(), cov[0, 0].item() / 0.5**2


def zero_as_case_2(s, *args, **kwargs):
    """s = 0 kept among the singular values: case 2 with ybar = 0 for a measurement."""
    return ddrm_coefficients(s.clamp(min=1e-8), *args, **kwargs)


@item(
    "X13",
    "s = 0 is case 3, never case 2: corr(x_t, x_{t+1} | x_0) = sqrt(1 - eta^2), all noise kept",
    right=ddrm_coefficients,
    wrong={
        "s = 0 as case 2": zero_as_case_2,
        "s = 0 without its old noise": table(
            case_3, xt=lambda c, **_: 0 * c.xt, x0=lambda c, **_: 0 * c.x0 + 1
        ),
        "ybar = 0 pulls towards 0": table(
            case_3,
            y=lambda c, **_: 0 * c.y + KEPT,
            x0=lambda c, **_: 0 * c.x0 + 1 - KEPT,
            xt=lambda c, **_: 0 * c.xt,
        ),
    },
    bound=1e-14,
)
def unmeasured_coordinate(coefficients) -> float:
    """Exact law of two levels where s = 0, mean included."""
    share, variance = correlations(coefficients, 0.0)
    mean = network_of(coefficients, column(0.0), [4.0, 1.5, 0.5, 0.0], **RATES).joint("x1").mean
    return largest(share - KEPT, variance - 1, mean.item() + 1.3)


@item(
    "X13",
    "s -> 0 of case 2 is not case 3: corr(x_t, x_{t+1} | x_0) tends to 1 - eta^2, not its root",
    right=1 - ETA**2,
    wrong={
        "continuous in s": KEPT,
        "independent levels": 0.0,
        "eta^2": ETA**2,
    },
    bound=1e-13,
)
def limit_of_small_s(limit) -> float:
    """The library's network at s = 1e-6 and 1e-9, both levels of which are in case 2."""
    found = [correlations(ddrm_coefficients, s) for s in (1e-6, 1e-9)]
    return largest([(share - limit, variance - 1) for share, variance in found])


def shares_exchanged(s, sigma, sigma_next, sigma_y, *, eta, eta_b):
    """The roles of eta and sqrt(1 - eta^2) exchanged."""
    c = math.sqrt(1 - eta**2)
    return ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=c, eta_b=eta_b)


@item(
    "X14",
    "eta = 1: cases 2 and 3 use neither y nor x_{t+1}; case 1 still uses y",
    right=ddrm_coefficients,
    wrong={
        "eta = 0.99": lambda *args, eta, eta_b: ddrm_coefficients(*args, eta=0.99, eta_b=eta_b),
        "eta and sqrt(1 - eta^2) exchanged": shares_exchanged,
        "case 1 forgets y too": table(
            lambda s, sigma, sigma_next, sigma_y: s * sigma_next >= sigma_y,
            x0=lambda c, **_: 0 * c.x0 + 1,
            y=lambda c, **_: 0 * c.y,
            noise=lambda c, sigma_next, **_: 0 * c.noise + sigma_next,
        ),
    },
    bound=1e-14,
)
def nothing_is_kept(coefficients) -> float:
    """FULL covariance of (ybar, x_{t+1}, x_t) given x_0 at each step: ybar's share in case 1."""
    network = network_of(coefficients, S, LEVELS, sigma_y=SIGMA_Y, eta=1.0, eta_b=ETA_B)
    tau, n, errors = noise_of_measurement(S, SIGMA_Y), len(S), []
    for t in range(1, len(LEVELS) - 1):
        sigma, above = LEVELS[-1 - t], LEVELS[-2 - t]
        cov = network.joint("y", f"x{t + 1}", f"x{t}").cov.numpy()
        kept, kept_above = (
            np.where((S > 0) & (S * x >= SIGMA_Y), ETA_B, 0) for x in (sigma, above)
        )
        if above == LEVELS[0]:
            kept_above = S.numpy() > 0  # the start keeps all of ybar
        want = np.hstack(
            [np.diag(kept * tau**2), np.diag(kept * kept_above * tau**2), sigma**2 * np.eye(n)]
        )
        scale = sigma * np.concatenate([np.where(tau > 0, tau, 1), np.full(n, above), [sigma] * n])
        errors.append((cov[2 * n :] - want) / scale)
    return largest(*errors)

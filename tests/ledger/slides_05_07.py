"""Slides 5-7: the bound of DDPM, its terms, the prediction of x_0, Algorithm 1.

The truth is brute force in the slides' variance-preserving coordinates (see ``slides_02_04``), the
library works in others.  The data and the model have different laws, so that no term vanishes.
"""

from __future__ import annotations

import functools
import itertools
import math
from unittest import mock

import numpy as np
import sympy
import torch
from laws import (
    ddpm_law_error,
    default_schedule,
    eps_denoiser_error,
    exact_alpha_bar,
    known_noise,
    largest,
    noise_loss_error,
    nonlinear_denoiser,
    random_case,
    relative,
)
from scipy.stats import multivariate_normal, norm
from torch.distributions import Normal, kl_divergence

from ddrm_edu import Dense, EpsDenoiser, NoiseSchedule, ddpm_samples
from ddrm_edu import ddpm as ddpm_module
from ddrm_edu import law as law_module
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.denoisers import eps_from_x0, x0_from_eps
from ddrm_edu.diffusion import Step, combine
from ddrm_edu.elbo import ddpm_nelbo, noise_loss
from ddrm_edu.gaussian import GaussianNetwork, expected_kl, factor_of
from ddrm_edu.law import ddpm_law, sampler_law
from ddrm_edu.schedule import to_ve, to_vp

from .gaussian_theory import COUNTS, EXTRAPOLATION, limit
from .registry import item
from .scenes import prior_of, symbolic
from .slides_02_04 import (
    ABAR,
    BETA,
    POINT,
    PRIOR,
    ROUNDING,
    SHORT,
    SOLVED,
    VAR_0,
    N,
    T,
    exact_prediction,
    eye,
    kernel_given_x0,
    model_chain,
)
from .slides_02_04 import DATA as MODEL

DATA = random_case(N, 2, 2, 0.3, seed=9)
LEVELS = SHORT.sigma.flip(0)
SCHEDULE = default_schedule()


def noised() -> list[np.ndarray]:
    """x_0, ..., x_T of slide 3 acting on (1, normals of x_0, xi_1, ..., xi_T)."""
    width = 1 + N * (T + 1)
    x = DATA.mean[:, None] @ np.eye(1, width) + np.linalg.cholesky(DATA.cov) @ np.eye(N, width, 1)
    path = [x]
    for t in range(1, T + 1):
        x = math.sqrt(1 - BETA[t]) * x + math.sqrt(BETA[t]) * np.eye(N, width, 1 + N * t)
        path.append(x)
    return path


PATH = noised()
FRESH = 1 + N  # first column of the noise that the chain adds to x_0


def forward_network() -> GaussianNetwork:
    """The same chain, and y = H x_0 + z, as the library's network."""
    network = GaussianNetwork()
    network.add("x0", offset=DATA.mean, cov=DATA.cov)
    network.add("y", {"x0": DATA.H}, cov=DATA.sigma_y**2)
    for t in range(1, T + 1):
        network.add(f"x{t}", {f"x{t - 1}": math.sqrt(1 - BETA[t])}, cov=BETA[t])
    return network


def library_kernel(t: int) -> tuple[float, float, float]:
    """The library's q(x_t | x_{t+1}, x_0) in VP: weights of x_0 and x_{t+1} and the variance."""
    sigma, sigma_next = SHORT.sigma[t + 1], SHORT.sigma[t]
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0)
    weights = to_vp(c.x0, sigma_next), to_vp(to_ve(c.xt, sigma), sigma_next)
    return *map(float, weights), float(to_vp(c.noise, sigma_next) ** 2)


# ------------------------------------------------------------------ slide 5: Bayes for the chain


def log_normal(x, mean, variance: float) -> float:
    return float(norm.logpdf(x, mean, math.sqrt(variance)).sum())


def log_reverse(t: int, *, variance=None, x0=POINT[0]) -> float:
    """The library's log q(x_t | x_{t+1}, x_0) at POINT."""
    of_x0, of_x, exact = library_kernel(t)
    return log_normal(POINT[t], of_x0 * x0 + of_x * POINT[t + 1], variance or exact)


def log_jump(t: int) -> float:
    """The library's log q(x_t | x_0) at POINT."""
    sigma = SHORT.sigma[t]
    mean = to_vp(torch.as_tensor(POINT[0]), sigma).numpy()
    return log_normal(POINT[t], mean, float(to_vp(sigma, sigma) ** 2))


@item(
    "S05.1",
    "q(x_{t+1} | x_t, x_0) = q(x_t | x_{t+1}, x_0) q(x_{t+1} | x_0) / q(x_t | x_0)",
    right=lambda reverse, above, below: reverse + above - below,
    wrong={
        "the two marginals exchanged": lambda reverse, above, below: reverse - above + below,
        "no marginals": lambda reverse, above, below: reverse,
        "not divided": lambda reverse, above, below: reverse + above,
        "q(x_{t+1} | x_t, x_0) = q(x_{t+1} | x_0)": lambda reverse, above, below: above,
    },
    bound=SOLVED,
)
def bayes_for_the_chain(density) -> float:
    """The library's three densities against the Markov kernel of slide 3."""
    errors = []
    for t in range(1, T):
        beta = BETA[t + 1]
        want = log_normal(POINT[t + 1], math.sqrt(1 - beta) * POINT[t], beta)
        errors.append(density(log_reverse(t), log_jump(t + 1), log_jump(t)) - want)
    return largest(errors)


@item(
    "S05.2",
    "q(x_1:T | x_0) = q(x_T | x_0) prod_{t=1..T-1} q(x_t | x_{t+1}, x_0)",
    right=lambda start, kernel: start(T) + sum(kernel(t) for t in range(1, T)),
    wrong={
        "beta for beta-tilde": lambda start, kernel: (
            start(T) + sum(kernel(t, variance=BETA[t + 1]) for t in range(1, T))
        ),
        "q(x_1 | x_0) in front": lambda start, kernel: (
            start(1) + sum(kernel(t) for t in range(1, T))
        ),
        "product to T - 2": lambda start, kernel: (
            start(T) + sum(kernel(t) for t in range(1, T - 1))
        ),
        "x_0 not among the conditions": lambda start, kernel: (
            start(T)
            + sum(
                kernel(t, x0=exact_prediction(POINT[t + 1][:, None], t + 1)[:, 0])
                for t in range(1, T)
            )
        ),
    },
    bound=SOLVED,
)
def telescoped(product) -> float:
    """The library's kernels against one density of all levels from one full covariance matrix."""
    rows = np.concatenate(PATH[1:])[:, FRESH:]
    mean = np.concatenate([math.sqrt(a) * POINT[0] for a in ABAR[1:]])
    want = multivariate_normal(mean, rows @ rows.T).logpdf(np.concatenate(POINT[1:]))
    return largest(product(log_jump, log_reverse) - want)


def root(x) -> float:
    return math.sqrt(x)


@item(
    "S05.3",
    "q(x_t | x_{t+1}, x_0) = N(mu-tilde, beta-tilde I), which the slides omit",
    right=library_kernel,
    wrong={
        "beta for beta-tilde": lambda t: (*library_kernel(t)[:2], BETA[t + 1]),
        "weights exchanged": lambda t: (*library_kernel(t)[1::-1], library_kernel(t)[2]),
        "abar_{t+1} for abar_t in the weight of x_0": lambda t: (
            root(ABAR[t + 1]) * BETA[t + 1] / (1 - ABAR[t + 1]),
            *library_kernel(t)[1:],
        ),
        "alpha_{t+1} without its root": lambda t: (
            library_kernel(t)[0],
            (1 - BETA[t + 1]) * (1 - ABAR[t]) / (1 - ABAR[t + 1]),
            library_kernel(t)[2],
        ),
    },
    bound=ROUNDING,
)
def exact_reverse_kernel(kernel) -> float:
    """Against the conditional of (x_t, x_{t+1}) of the chain given x_0; the last one is a Dirac."""
    errors = []
    for t in range(T):
        below, above = PATH[t][:, FRESH:], PATH[t + 1][:, FRESH:]
        gain = np.linalg.solve(above @ above.T, above @ below.T).T
        cov = below @ below.T - gain @ above @ below.T
        weight = root(ABAR[t]) * np.eye(N) - root(ABAR[t + 1]) * gain
        of_x0, of_x, variance = (number * np.eye(N) for number in kernel(t))
        errors += [of_x0 - weight, of_x - gain, variance - cov]
    return largest(*errors)


# abar_t, beta_{t+1} and abar_{t+1} for any p, q > 0, so that all of them lie between 0 and 1.
P, Q = sympy.symbols("p q", positive=True)
A, B, ABOVE = 1 / (1 + P), Q / (1 + P + Q), 1 / (1 + P + Q)
MU_TILDE = (
    sympy.sqrt(A) * B / (1 - ABOVE),
    sympy.sqrt(1 - B) * (1 - A) / (1 - ABOVE),
    (1 - A) / (1 - ABOVE) * B,
)


@item(
    "S05.3",
    "mu-tilde and beta-tilde complete the square in x_t of q(x_{t+1} | x_t) q(x_t | x_0)",
    right=MU_TILDE,
    wrong={
        "beta for beta-tilde": (*MU_TILDE[:2], B),
        "fraction of beta-tilde inverted": (*MU_TILDE[:2], (1 - ABOVE) / (1 - A) * B),
        "abar_{t+1} for abar_t": (sympy.sqrt(ABOVE) * B / (1 - ABOVE), *MU_TILDE[1:]),
    },
    bound=0.0,
)
def square_completed_symbolically(kernel) -> float:
    """Coefficients of x_t^2, x_t x_0 and x_t x_{t+1} in the logarithm of the product."""
    of_x0, of_x, variance = kernel
    return largest(
        symbolic(1 / variance - (1 - B) / B - 1 / (1 - A)),
        symbolic(of_x0 / variance - sympy.sqrt(A) / (1 - A)),
        symbolic(of_x / variance - sympy.sqrt(1 - B) / B),
    )


@item(
    "S05.3",
    "beta-tilde_t = beta_t (1 - abar_{t-1}) / (1 - abar_t), and 0 at t = 1",
    right=lambda schedule: schedule.beta_tilde,
    wrong={
        "beta": lambda schedule: schedule.beta,
        "fraction off by one": lambda schedule: torch.cat(
            [schedule.beta_tilde[:2], schedule.beta[2:] * schedule.beta_tilde[1:-1]]
        ),
        "beta-tilde_2 at t = 1": lambda schedule: schedule.beta_tilde[
            [0, 2, *range(2, schedule.T + 1)]
        ],
    },
    bound=ROUNDING,
)
def variances_of_the_schedule(of_schedule) -> float:
    """Relative to beta, against 50-digit decimal arithmetic."""
    errors = []
    for schedule in (SHORT, SCHEDULE, NoiseSchedule.linear()):
        abar, got = exact_alpha_bar(schedule.beta), of_schedule(schedule)
        for t in range(1, schedule.T + 1):
            share = float((1 - abar[t - 1]) / (1 - abar[t]))
            errors.append(float(got[t] / schedule.beta[t]) - share)
    return largest(errors)


# ------------------------------------------------------------------ slide 5: the bound


@functools.cache
def library_bound():
    """Data of one law, a denoiser that is exact for another."""
    return ddpm_nelbo(prior_of(DATA), LEVELS, var_0=VAR_0, denoiser=PRIOR)


def mean_log_density(cov: np.ndarray, residual: np.ndarray) -> float:
    """E log N(residual; 0, cov) for a residual acting on (1, normals)."""
    logdet = np.linalg.slogdet(2 * math.pi * cov)[1]
    return -(logdet + np.trace(np.linalg.solve(cov, residual @ residual.T))) / 2


def model_law() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of p_theta(x_T, ..., x_0), which starts where the library starts."""
    rows = model_chain(1 - ABAR[T])
    return rows[:, :1], rows[:, 1:] @ rows[:, 1:].T


def centred(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return rows - mean @ np.eye(1, rows.shape[1])


def brute_bound() -> float:
    """E_q[log q(x_1:T | x_0) - log p_theta(x_0:T)] from full joint matrices, no KL terms."""
    mean, cov = model_law()
    noise = np.concatenate(PATH[:0:-1])[:, FRESH:]
    log_q = -np.linalg.slogdet(2 * math.pi * math.e * noise @ noise.T)[1] / 2
    return log_q - mean_log_density(cov, centred(np.concatenate(PATH[::-1]), mean))


@item(
    "S05.5",
    "-ELBO = E_q[KL_T + sum_{t=1..T-1} KL_t - log p_theta(x_0 | x_1)]",
    right=lambda: library_bound().total,
    wrong={
        "sum from t = 2": lambda: library_bound().total - float(library_bound().steps[-1]),
        "KL_T left out": lambda: library_bound().total - library_bound().start,
        "log p(x_0 | x_1) left out": lambda: library_bound().total - library_bound().last,
        "sum of the other sign": lambda: (
            library_bound().total - 2 * float(library_bound().steps.sum())
        ),
    },
    bound=SOLVED,
)
def bound_by_terms(value) -> float:
    """The library's sum of terms against the definition, by full joint matrices."""
    return relative(value(), brute_bound())


@item(
    "S05.5",
    "an UPPER bound on -log p_theta(x_0): the excess is E KL(q || p) of x_1:T given x_0",
    right=lambda code_length, excess: code_length + excess,
    wrong={
        "a lower bound": lambda code_length, excess: code_length - excess,
        "no gap": lambda code_length, excess: code_length,
        "the excess alone": lambda code_length, excess: excess,
    },
    bound=SOLVED,
)
def excess_of_the_bound(sum_of) -> float:
    """The library's bound against -log p(x_0) of its own sampler and a brute-force KL."""
    law = ddpm_law(PRIOR, LEVELS)
    miss = centred(PATH[0], law.mean.numpy()[:, None])
    code_length = -mean_log_density(law.cov.numpy() + VAR_0 * np.eye(N), miss)

    mean, cov = model_law()
    gain = np.linalg.solve(cov[-N:, -N:], cov[-N:, :-N]).T  # p_theta(x_1:T | x_0)
    kept = cov[:-N, :-N] - gain @ cov[-N:, :-N]
    above = np.concatenate(PATH[:0:-1])
    shift = centred(above, mean[:-N]) - gain @ centred(PATH[0], mean[-N:])
    noise = above[:, FRESH:] @ above[:, FRESH:].T
    # shift holds the noise of q as well: its second moment is that of the means plus q's own.
    trace = np.trace(np.linalg.solve(kept, shift @ shift.T))
    logdet = np.linalg.slogdet(kept)[1] - np.linalg.slogdet(noise)[1]
    return relative(sum_of(code_length, (trace - len(gain) + logdet) / 2), library_bound().total)


def entropy(cov) -> float:
    return np.linalg.slogdet(2 * math.pi * math.e * np.asarray(cov))[1] / 2


@item(
    "S05.5",
    "with exact reverse kernels and p(x_T) = q(x_T) the bound is the entropy of the data",
    right=lambda C: entropy(C),
    wrong={
        "0": lambda C: 0.0,
        "entropy of N(0, I)": lambda C: entropy(np.eye(len(C))),
        "entropy of x_T": lambda C: entropy(ABAR[T] * C + (1 - ABAR[T]) * np.eye(len(C))),
        "entropy of independent pixels": lambda C: entropy(np.diag(np.diag(C))),
    },
    bound=SOLVED,
)
def bound_of_the_exact_model(of_cov) -> float:
    """The slide's terms, every kernel a conditional of the library's network of the chain."""
    network = forward_network()
    known = {name: network.joint(name).mean for name in ["x0", *[f"x{t}" for t in range(1, T + 1)]]}

    def cov(name: str, *given: str) -> torch.Tensor:
        if not given:
            return network.joint(name).cov
        return network.conditional([name], {key: known[key] for key in given}).cov

    def mean_kl(q: torch.Tensor, p: torch.Tensor) -> float:
        """The means differ by what x_0 adds, of covariance p - q."""
        return expected_kl(*map(factor_of, (p - q, q, p)))

    total = mean_kl(cov(f"x{T}", "x0"), cov(f"x{T}"))
    for t in range(1, T):
        total += mean_kl(cov(f"x{t}", f"x{t + 1}", "x0"), cov(f"x{t}", f"x{t + 1}"))
    return relative(of_cov(DATA.cov), total + entropy(cov("x0", "x1")))


# ------------------------------------------------------------------ slide 6: reparametrisation


@item(
    "S06.1",
    "x_t(x_0, eps) = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps",
    right=lambda x0, eps, t: to_vp(x0 + SHORT.sigma[t] * eps, SHORT.sigma[t]),
    wrong={
        "1 - abar_t without the root": lambda x0, eps, t: root(ABAR[t]) * x0 + (1 - ABAR[t]) * eps,
        "alpha_t for abar_t": lambda x0, eps, t: root(1 - BETA[t]) * x0 + root(BETA[t]) * eps,
        "x_0 not shrunk": lambda x0, eps, t: x0 + SHORT.sigma[t] * eps,
    },
    bound=ROUNDING,
)
def reparametrised(noised_image) -> float:
    """Law of the pair (x_0, x_t) for data of full covariance, against t steps of the chain."""
    errors, units = [], eye(1 + 2 * N)
    x0 = torch.as_tensor(PATH[0][:, : 1 + N].T)  # one image for the mean, one for each normal
    x0, eps = torch.cat([x0, torch.zeros(N, N).double()]), units[:, 1 + N :]
    for t in range(1, T + 1):
        got = np.concatenate([x0.numpy().T, noised_image(x0, eps, t).numpy().T])
        want = np.concatenate([PATH[0], PATH[t]])
        errors.append(relative(got[:, 0], want[:, 0]))
        errors.append(relative(got[:, 1:] @ got[:, 1:].T, want[:, 1:] @ want[:, 1:].T))
    return largest(errors)


def images() -> torch.Tensor:
    """x_0 and eps."""
    return torch.as_tensor(np.random.default_rng(2).standard_normal((2, 4, N)))


def at_level(x0: torch.Tensor, eps: torch.Tensor, t: int) -> torch.Tensor:
    return root(ABAR[t]) * x0 + root(1 - ABAR[t]) * eps


@item(
    "S06.2",
    "x_0 = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)",
    right=lambda x, eps, t: x0_from_eps(to_ve(x, SHORT.sigma[t]), SHORT.sigma[t], eps),
    wrong={
        "1 - abar_t without the root": lambda x, eps, t: (x - (1 - ABAR[t]) * eps) / root(ABAR[t]),
        "abar_t without the root": lambda x, eps, t: (x - root(1 - ABAR[t]) * eps) / ABAR[t],
        "VE formula on a VP image": lambda x, eps, t: x0_from_eps(x, SHORT.sigma[t], eps),
    },
    bound=ROUNDING,
)
def inverted(x0_of) -> float:
    """The inverse of x_t(x_0, eps), whose numbers are those of the 50-digit product."""
    x0, eps = images()
    return largest(*[x0_of(at_level(x0, eps, t), eps, t) - x0 for t in range(T + 1)])


@item(
    "S06.2",
    "eps = (x_t - sqrt(abar_t) x_0) / sqrt(1 - abar_t), the same read backwards",
    right=lambda x, x0, t: eps_from_x0(to_ve(x, SHORT.sigma[t]), SHORT.sigma[t], x0),
    wrong={
        "1 - abar_t without the root": lambda x, x0, t: (x - root(ABAR[t]) * x0) / (1 - ABAR[t]),
        "x_t - x_0": lambda x, x0, t: (x - x0) / root(1 - ABAR[t]),
        "VE formula on a VP image": lambda x, x0, t: eps_from_x0(x, SHORT.sigma[t], x0),
    },
    bound=ROUNDING,
)
def noise_recovered(eps_of) -> float:
    """At every level above 0."""
    x0, eps = images()
    errors = [eps_of(at_level(x0, eps, t), x0, t) - eps for t in range(1, T + 1)]
    return largest(*errors)


# ------------------------------------------------------------------ slide 6: L_t


def mean_loss(t: int, seen: int) -> float:
    """E KL of N(mu-tilde(x_{t+1}, x_0), beta-tilde) and the same with x_theta(x_seen)."""
    of_x0, _, variance = kernel_given_x0(t)
    shift = of_x0 * (PATH[0] - exact_prediction(PATH[seen], seen))
    return float((shift**2).sum() / (2 * variance))


STEPS = range(T - 1, 0, -1)  # as the library lists its terms


@item(
    "S06.3",
    "L_t = E_q[KL(q(x_t | x_{t+1}, x_0) || p_theta(x_t | x_{t+1}))]",
    right=lambda: library_bound().steps,
    wrong={
        "prediction from x_t": lambda: [mean_loss(t, t) for t in STEPS],
        "beta for beta-tilde": lambda: [
            mean_loss(t, t + 1) * kernel_given_x0(t)[2] / BETA[t + 1] for t in STEPS
        ],
        "one level lower": lambda: library_bound().steps.roll(1),
        "x_theta itself for mu-tilde": lambda: [
            mean_loss(t, t + 1) / kernel_given_x0(t)[0] ** 2 for t in STEPS
        ],
    },
    bound=SOLVED,
)
def terms_of_the_bound(losses) -> float:
    """Each term against torch's divergence of the two kernels, averaged over (x_0, x_{t+1}).

    The divergence is quadratic in both, so that the average over 2 k points, those of ``values``,
    is that over the Gaussian.
    """
    errors = []
    for got, t in zip(losses(), STEPS, strict=True):
        of_x0, of_x, variance = kernel_given_x0(t)
        means = [
            values(of_x0 * x0 + of_x * PATH[t + 1])
            for x0 in (PATH[0], exact_prediction(PATH[t + 1], t + 1))
        ]
        q, p = (Normal(mean, math.sqrt(variance)) for mean in means)
        errors.append(float(got) / kl_divergence(q, p).sum(1).mean().item() - 1)
    return largest(errors)


def values(rows: np.ndarray) -> torch.Tensor:
    """A variable at 2 k points whose mean and covariance are those of its k normals."""
    k = rows.shape[1] - 1
    return torch.as_tensor((rows[:, :1] + root(k) * np.hstack([rows[:, 1:], -rows[:, 1:]])).T)


@item(
    "E12",
    "slide 6: no y on the slide of DDPM, q(x_t | x_{t+1}, x_0) and p_theta(x_t | x_{t+1})",
    right=lambda above: [above],
    wrong={
        "as printed": lambda above: [above, "y"],
        "y for x_{t+1}": lambda above: ["y"],
    },
    bound=SOLVED,
)
def no_measurement(conditions) -> float:
    """L_t of the best prediction under these conditions, against the library's DDPM.

    In q the y would change nothing, x_t and y being independent given x_0.
    """
    network, losses = forward_network(), ddpm_nelbo(prior_of(DATA), LEVELS, var_0=VAR_0).steps
    errors = []
    for got, t in zip(losses, STEPS, strict=True):
        of_x0, _, variance = kernel_given_x0(t)
        above = f"x{t + 1}"
        known = {name: network.joint(name).mean for name in ("x0", "y", above)}
        q = network.conditional([f"x{t}"], known).cov
        errors.append(q - variance * eye(N))
        seen = {name: known[name] for name in conditions(above)}
        miss = float(network.conditional(["x0"], seen).cov.trace())
        errors.append(of_x0**2 * miss / (2 * variance) / float(got) - 1)
    return largest(*errors)


# ------------------------------------------------------------------ slide 6: prediction of x_0


def library_prediction(x, eps, t: int):
    """x_{theta,t} from the VP image x_{t+1}."""
    sigma = SHORT.sigma[t + 1]
    return x0_from_eps(to_ve(x, sigma), sigma, eps)


def predicted(divisor, noise=lambda t: root(1 - ABAR[t + 1])):
    return lambda x, eps, t: (x - noise(t) * eps) / divisor(t)


WRONG_PREDICTIONS = {
    "alpha_{t+1} for abar_{t+1} throughout": predicted(
        lambda t: root(1 - BETA[t + 1]), lambda t: root(BETA[t + 1])
    ),
    "abar_t for abar_{t+1}": predicted(lambda t: root(ABAR[t]), lambda t: root(1 - ABAR[t])),
    "not divided": predicted(lambda t: 1.0),
}
AS_PRINTED = {"as printed": predicted(lambda t: root(1 - BETA[t + 1]))}


@item(
    "S06.4",
    "x_{theta,t} = (x_{t+1} - sqrt(1 - abar_{t+1}) eps_theta) / sqrt(abar_{t+1})",
    right=library_prediction,
    wrong=WRONG_PREDICTIONS | {"slide 6: divided by sqrt(alpha_{t+1})": AS_PRINTED["as printed"]},
    bound=ROUNDING,
)
@item(
    "E1",
    "slide 6: x_{theta,t} is divided by sqrt(abar_{t+1}), not by sqrt(alpha_{t+1})",
    right=library_prediction,
    wrong=AS_PRINTED | WRONG_PREDICTIONS,
    bound=ROUNDING,
)
def true_noise_gives_x0(predict) -> float:
    """With eps_theta = eps it is x_0; the slide's divisor would be right for t = 0 alone."""
    x0, eps = images()
    errors = [predict(at_level(x0, eps, t + 1), eps, t) - x0 for t in range(T)]
    return largest(*errors)


@item(
    "S06.4",
    "and E[x_0 | x_{t+1}], if eps_theta = E[eps | x_{t+1}]",
    right=library_prediction,
    wrong=WRONG_PREDICTIONS | {"slide 6: divided by sqrt(alpha_{t+1})": AS_PRINTED["as printed"]},
    bound=SOLVED,
)
def best_noise_gives_the_mean(predict) -> float:
    """Both conditional means by the library's network of (x_0, eps, x_{t+1})."""
    errors = []
    for t in range(T):
        network = GaussianNetwork()
        network.add("x0", offset=DATA.mean, cov=DATA.cov)
        network.add("eps", offset=np.zeros(N), cov=1.0)
        a = ABAR[t + 1]
        network.add("x", {"x0": root(a), "eps": root(1 - a)})
        x = torch.as_tensor(POINT[t + 1])
        eps, x0 = (network.conditional([name], {"x": x}).mean for name in ("eps", "x0"))
        errors.append(relative(predict(x, eps, t), x0))
    return largest(errors)


class PrintedDivisor(EpsDenoiser):
    """Slide 6 word by word, behind the library's contract of a denoiser."""

    def __call__(self, x, sigma):
        t, x0_hat = self.schedule.nearest_t(sigma), super().__call__(x, sigma)
        return x0_hat * (self.schedule.alpha_bar[t] / self.schedule.alpha[t]).sqrt()


class Unscaled(EpsDenoiser):
    """The network's answer taken for x_0 without the factor sigma."""

    def __call__(self, x, sigma):
        return x - (x - super().__call__(x, sigma)) / sigma


@item(
    "S06.4",
    "the same for a noise network: EpsDenoiser is the exact denoiser if the network is exact",
    right=EpsDenoiser,
    wrong={
        "slide 6: divided by sqrt(alpha_{t+1})": PrintedDivisor,
        "x - eps": Unscaled,
        "network called at t - 1": lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, (t - 1).clamp(min=0)), schedule
        ),
    },
    bound=SOLVED,
)
def network_as_denoiser(make) -> float:
    """Against m + C (C + sigma^2 I)^-1 (x - m), at every level of a schedule."""
    return eps_denoiser_error(make, SCHEDULE)


# ------------------------------------------------------------------ slide 6: weight of the loss


def library_loss(schedule, t, v):
    return noise_loss(schedule, t, variance=v)


def changed(weight=lambda schedule, t, v: 1.0, constant=1.0):
    """The library's loss, its weight and its constant multiplied."""

    def loss(schedule, t, v):
        right = library_loss(schedule, t, v)
        factor = float(weight(schedule, t, v))
        return right._replace(weight=factor * right.weight, constant=constant * right.constant)

    return loss


def alpha_above(schedule, t, v):
    return schedule.alpha[t + 1]


@item(
    "S06.5",
    "L_t = E[beta^2 / (2 v alpha (1 - abar)) |eps - eps_theta|^2] + const, all at t + 1",
    right=library_loss,
    wrong={
        "alpha_{t+1} dropped": changed(alpha_above),
        "constant dropped": changed(constant=0.0),
        "abar_{t+1} for alpha_{t+1}": changed(
            lambda schedule, t, v: schedule.alpha[t + 1] / schedule.alpha_bar[t + 1]
        ),
        "VE level sigma_{t+1}^2 for v": changed(
            lambda schedule, t, v: v / schedule.sigma[t + 1] ** 2
        ),
        "standard deviation for v": changed(lambda schedule, t, v: root(v)),
    },
    bound=SOLVED,
)
@item(
    "E2",
    "slide 6: the weight of L_t lacks 1 / alpha_{t+1}, and L_t a constant unless v = beta-tilde",
    right=library_loss,
    wrong={
        "as printed": changed(alpha_above, constant=0.0),
        "weight as printed": changed(alpha_above),
        "constant as printed": changed(constant=0.0),
    },
    bound=SOLVED,
)
def noise_loss_is_the_divergence(loss) -> float:
    """Against the divergence of the two kernels, v from narrower to wider than beta-tilde."""
    return max(
        noise_loss_error(loss, schedule, factor)
        for schedule in (SHORT, SCHEDULE)
        for factor in (0.6, 1.0, 1.7)
    )


V = sympy.Symbol("v", positive=True)


@item(
    "S06.5",
    "|mu-tilde - mu_theta|^2 / 2 v = beta^2 / (2 v alpha (1 - abar)) |eps - eps_theta|^2",
    right=B**2 / (2 * V * (1 - B) * (1 - ABOVE)),
    wrong={
        "abar_{t+1} for alpha_{t+1}": B**2 / (2 * V * ABOVE * (1 - ABOVE)),
        "beta for its square": B / (2 * V * (1 - B) * (1 - ABOVE)),
        "abar_t in the bracket": B**2 / (2 * V * (1 - B) * (1 - A)),
    },
    bound=0.0,
)
@item(
    "E2",
    "because abar_t / abar_{t+1} = 1 / alpha_{t+1}, which the slide takes for 1",
    right=B**2 / (2 * V * (1 - B) * (1 - ABOVE)),
    wrong={"as printed": B**2 / (2 * V * (1 - ABOVE))},
    bound=0.0,
)
def weight_of_the_noise_symbolically(weight) -> float:
    """The weight of x_0 in mu-tilde times that of eps in x_theta, squared."""
    shift = MU_TILDE[0] * sympy.sqrt(1 - ABOVE) / sympy.sqrt(ABOVE)
    return symbolic(weight - shift**2 / (2 * V))


@item(
    "S06.5",
    "the constant n/2 (r - 1 - log r), r = beta-tilde / v, is positive unless v = beta-tilde",
    right=lambda r: (r - 1 - sympy.log(r)) / 2,
    wrong={
        "log dropped": lambda r: (r - 1) / 2,
        "r inverted": lambda r: (1 / r - 1 + sympy.log(r)) / 2,
        "no constant": lambda r: sympy.Integer(0),
    },
    bound=0.0,
)
def constant_symbolically(constant) -> float:
    """It vanishes at r = 1, and its derivative is (1 - 1/r) / 2: negative before, positive after.

    The derivative is that of the divergence of N(0, beta-tilde) and N(0, v) in beta-tilde.
    """
    r = sympy.Symbol("r", positive=True)
    slope = sympy.diff(constant(r), r) - (1 - 1 / r) / 2
    return largest(symbolic(slope), symbolic(sympy.sympify(constant(sympy.Integer(1)))))


# ------------------------------------------------------------------ slide 6: mean and chain


def library_mean(x, eps, t: int):
    """mu_theta through the library's x_theta and its step."""
    sigma, sigma_next = SHORT.sigma[t + 1], SHORT.sigma[t]
    c, x = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0), to_ve(x, sigma)
    return to_vp(combine(c, x0_from_eps(x, sigma, eps), x, 0.0, 0 * x), sigma_next)


def mean_with(divisor, weight):
    """(x - weight eps) / divisor, both of (beta, abar) at t + 1."""
    at = lambda t: (BETA[t + 1], ABAR[t + 1])  # noqa: E731
    return lambda x, eps, t: (x - weight(*at(t)) * eps) / divisor(*at(t))


@item(
    "S06.6",
    "mu_theta = (x - beta / sqrt(1 - abar) eps_theta) / sqrt(alpha) = mu-tilde(x, x_theta)",
    right=library_mean,
    wrong={
        "1 / sqrt(abar)": mean_with(lambda b, a: root(a), lambda b, a: b / root(1 - a)),
        "1 - abar without the root": mean_with(lambda b, a: root(1 - b), lambda b, a: b / (1 - a)),
        "sqrt(beta)": mean_with(lambda b, a: root(1 - b), lambda b, a: root(b)),
        "alpha without the root": mean_with(lambda b, a: 1 - b, lambda b, a: b / root(1 - a)),
    },
    bound=ROUNDING,
)
def mean_of_the_reverse_kernel(mean) -> float:
    """Against the conditional mean of x_t given x_{t+1} and x_0 = x_theta, for t from 0."""
    errors, (x, eps) = [], images()
    for t in range(T):
        x0 = (x - root(1 - ABAR[t + 1]) * eps) / root(ABAR[t + 1])
        of_x0, of_x, _ = kernel_given_x0(t)
        errors.append(relative(mean(x, eps, t), of_x0 * x0 + of_x * x))
    return largest(errors)


@item(
    "S06.6",
    "mu-tilde(x, x_theta) = x / sqrt(alpha) - beta / sqrt(alpha (1 - abar)) eps_theta",
    right=(1 / sympy.sqrt(1 - B), B / sympy.sqrt((1 - B) * (1 - ABOVE))),
    wrong={
        "1 / sqrt(abar)": (1 / sympy.sqrt(ABOVE), B / sympy.sqrt(ABOVE * (1 - ABOVE))),
        "sqrt(beta)": (1 / sympy.sqrt(1 - B), sympy.sqrt(B) / sympy.sqrt(1 - B)),
        "1 - abar_t": (1 / sympy.sqrt(1 - B), B / sympy.sqrt((1 - B) * (1 - A))),
    },
    bound=0.0,
)
def mean_symbolically(weights) -> float:
    """Coefficients of x and of -eps in mu-tilde(x, x_theta)."""
    of_x, of_eps = weights
    return largest(
        symbolic(of_x - MU_TILDE[1] - MU_TILDE[0] / sympy.sqrt(ABOVE)),
        symbolic(of_eps - MU_TILDE[0] * sympy.sqrt(1 - ABOVE) / sympy.sqrt(ABOVE)),
    )


def ancestral(change):
    """Algorithm 1 with ``change(c, levels, x0_hat, before, x, z) -> (x0_hat used, next x)``."""

    def samples(denoiser, shape, sigmas, *, eta_ddim=1.0, dtype=torch.float64):
        sigmas = torch.as_tensor(sigmas, dtype=torch.float64)
        draw = lambda: ddpm_module.standard_normal(torch.empty(shape, dtype=dtype))  # noqa: E731
        x, before = sigmas[0] * draw(), None
        for k, levels in enumerate(itertools.pairwise(sigmas)):
            c, x0_hat = ddim_coefficients(*levels, eta_ddim=eta_ddim), denoiser(x, levels[0])
            before = x0_hat if before is None else before
            used, x = change(c, levels, x0_hat, before, x, draw())
            before = x0_hat
            yield Step(len(sigmas) - 2 - k, levels[1], x, used)

    return samples


def lagging(c, levels, x0_hat, before, x, z):
    """q(x_{t-1} | x_t, x_{theta,t}) with slide 6's x_{theta,t}, predicted from x_{t+1}."""
    return before, combine(c, before, x, 0.0, z)


def jump(c, levels, x0_hat, before, x, z):
    """q(x_t | x_theta) for q(x_t | x_{t+1}, x_theta)."""
    return x0_hat, x0_hat + levels[1] * z


def with_std(std):
    """Fresh noise of the standard deviation ``std(c, sigma, sigma_next)`` in VE."""

    def change(c, levels, x0_hat, before, x, z):
        return x0_hat, combine(c._replace(noise=std(c, *levels)), x0_hat, x, 0.0, z)

    return ancestral(change)


def std_of_beta(c, sigma, sigma_next):
    """beta_{t+1} = 1 - abar_{t+1} / abar_t, over abar_t."""
    return ((1 + sigma_next**2) * (1 - (1 + sigma_next**2) / (1 + sigma**2))).sqrt()


WRONG_SAMPLERS = {
    "jump from x_theta, x_{t+1} forgotten": ancestral(jump),
    "no fresh noise": with_std(lambda c, *_: 0 * c.noise),
    "noise in the last step": with_std(lambda c, *_: c.noise.clamp(min=0.1)),
    "beta for beta-tilde": with_std(std_of_beta),
}


@item(
    "S06.7",
    "x_T -> x_{theta,T-1} -> x_{T-1} -> ... -> x_{theta,0} = x_0, by theta and q in turn",
    right=ddpm_samples,
    wrong=WRONG_SAMPLERS | {"prediction of the step before": ancestral(lagging)},
    bound=SOLVED,
)
def chain_of_samples(samples) -> float:
    """Every x_{theta,t} and x_t of one run, for any denoiser at all, against the slide in VP."""
    noise = torch.as_tensor(np.random.default_rng(6).standard_normal((T + 1, 2, N)))
    with known_noise(noise):
        run = list(samples(nonlinear_denoiser, (2, N), LEVELS, dtype=torch.float64))
    x, errors = root(1 - ABAR[T]) * noise[0], [run[-1].x - run[-1].x0_hat]
    for t, step in zip(reversed(range(T)), run, strict=True):
        x_theta = nonlinear_denoiser(x / root(ABAR[t + 1]), None)
        of_x0, of_x, variance = kernel_given_x0(t) if t else (1.0, 0.0, 0.0)
        x = of_x0 * x_theta + of_x * x + root(variance) * noise[T - t]
        errors += [step.t - t, step.x0_hat - x_theta, step.x * root(ABAR[t]) - x]
    return largest(*errors)


# ------------------------------------------------------------------ slide 7: Algorithm 1


@item(
    "S07.1",
    "Algorithm 1: x_{t-1} ~ q(x_{t-1} | x_t, x_0 = x_theta) with x_theta predicted from x_t",
    right=ddpm_samples,
    wrong=WRONG_SAMPLERS,
    bound=SOLVED,
)
@item(
    "E13",
    "slides 6, 7: the step from x_t takes the prediction from x_t, slide 6's x_{theta,t-1}",
    right=ddpm_samples,
    wrong={"as printed": ancestral(lagging)},
    bound=SOLVED,
)
def algorithm_1(samples) -> float:
    """The law of all steps, cross-time covariances included, against that of the form in VP."""
    return ddpm_law_error(samples, MODEL.mean, MODEL.cov, LEVELS, eta_ddim=1.0)


def refined(steps: int) -> torch.Tensor:
    """Levels from 1e3 to 0 whose spacing is smooth, so that errors are a series in 1 / steps."""
    return 1e3 * (1 - torch.arange(steps + 1, dtype=torch.float64) / steps) ** 8


def with_noise(factor: float):
    def law(levels):
        def coefficients(*pair, eta_ddim):
            c = ddim_coefficients(*pair, eta_ddim=eta_ddim)
            return c._replace(noise=factor * c.noise)

        with mock.patch.object(law_module, "ddim_coefficients", coefficients):
            return ddpm_law(PRIOR, levels)

    return law


def ddrm_without_measurement(eta: float):
    """DDRM's eta is not DDIM's (X07)."""

    def law(levels):
        got = sampler_law(PRIOR, Dense(np.zeros((1, N))), levels, sigma_y=0.1, eta=eta)
        return got.given(torch.zeros(1, 1).double())

    return law


@item(
    "S07.1",
    "with more and more steps its samples have the law of the data",
    right=lambda levels: ddpm_law(PRIOR, levels),
    wrong={
        "noise divided by sqrt(2)": with_noise(root(0.5)),
        "noise 1 % too small": with_noise(0.99),
        "DDRM with H = 0 and eta = 1": ddrm_without_measurement(1.0),
    },
    bound=EXTRAPOLATION,
)
def law_of_many_steps(law) -> float:
    """The library's exact law, extrapolated: mean and FULL covariance against those of the data."""
    found = [law(refined(steps)) for steps in COUNTS]
    flat = [np.concatenate([got.mean.numpy().ravel(), got.cov.numpy().ravel()]) for got in found]
    want = np.concatenate([MODEL.mean, MODEL.cov.ravel()])
    return relative(limit(flat, [1 / steps for steps in COUNTS]), want)

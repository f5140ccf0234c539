r"""Denoisers that see y: what each of them is for a Gaussian prior, and how far from exact.

In spectral coordinates, measured ones m and others n: K = Cov[x_0 | x_t], d = ybar - x0_hat and
T = diag(sigma_y^2 / s^2).  The truth is x0_hat + K_:m (K_mm + T)^-1 d.

Bounds: 1e-10 where systems are solved; limits are extrapolated as in ``gaussian_theory.py``.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import scipy.linalg
import torch
from guidance_laws import (
    chebyshev,
    error_of,
    given_x_and_y,
    krylov,
    observed,
    richardson,
    system,
    tweedie,
)
from laws import (
    GaussianCase,
    known_noise,
    largest,
    nonlinear_denoiser,
    numbers,
    probe,
    random_case,
    relative,
)

from ddrm_edu import (
    DDNM,
    Dense,
    DiffPIR,
    ExactDenoiser,
    GaussianPrior,
    MomentMatching,
    PiGDM,
    ddpm_samples,
    ddrm_samples,
    law_of,
)
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.law import sampler_law

from .gaussian_theory import (
    EXTRAPOLATION,
    Y,
    at_y,
    flat,
    in_pixels,
    limit_case,
    posterior_at,
    posterior_of,
    quiet_limit,
    seen_posterior,
    tight_limit,
)
from .registry import item
from .scenes import ETA, ETA_B, LEVELS, PROBLEMS, S, prior_of

SIGMAS = (0.3, 2.0, 9.0)
WITH_AND_WITHOUT_NOISE = [*PROBLEMS, PROBLEMS[0]._replace(sigma_y=0.0)]


def guide(make):
    """``make`` as a function of numpy's arrays, with the exact denoiser of the case."""

    def of(case: GaussianCase, y: np.ndarray):
        op = Dense(case.H)
        guided = make(prior_of(case), op, torch.as_tensor(y), sigma_y=case.sigma_y)
        return lambda x, sigma: guided(torch.as_tensor(x), sigma).numpy()

    return of


# ------------------------------------------------------------------------- Y01: moment matching


class StdForVariance(MomentMatching):
    """K = sigma J^T."""

    def guided(self, x0_hat, sigma, covariance):
        return super().guided(x0_hat, sigma, lambda v: covariance(v) / sigma)


SOLVED = functools.partial(MomentMatching, cg_steps=None)


@item(
    "Y01",
    "Gaussian prior: x0_hat + K H^T (H K H^T + sigma_y^2)^-1 (y - H x0_hat) is E[x_0 | x_t, y]",
    right=SOLVED,
    wrong={
        "one step": MomentMatching,
        "r^2 for K in the inverse": PiGDM,
        "sigma^2 for K": DiffPIR,
        "sigma J^T for sigma^2 J^T": functools.partial(StdForVariance, cg_steps=None),
        "y without noise": lambda prior, op, y, *, sigma_y: SOLVED(prior, op, y, sigma_y=0.0),
    },
)
def moment_matching(make) -> float:
    """Against the joint Gaussian law of (x_0, x_t, y) in 60 digits, three levels."""
    return max(
        error_of(guide(make), case, given_x_and_y, sigma)
        for case, sigma in itertools.product(WITH_AND_WITHOUT_NOISE, SIGMAS)
    )


# ------------------------------------------------------------ Y02: pseudo-inverse guidance, exact


def with_covariance_of(measured, across, null) -> GaussianCase:
    """A prior with these blocks in the spectral coordinates of an H of rank 3 in 5 dimensions."""
    case = random_case(5, 4, 3, 0.2, seed=7)
    V = np.linalg.svd(case.H)[2].T
    spectral = np.block([[measured, across], [across.T, null]])
    assert np.linalg.eigvalsh(spectral)[0] > 0
    return case._replace(mean=np.linspace(-1, 1, 5), cov=V @ spectral @ V.T)


EYE, NONE = np.eye(3), np.zeros((3, 2))
SOME, NULL = 0.4 * np.eye(3)[:, :2], random_case(2, 1, 1, 0.1, seed=8).cov


@item(
    "Y02",
    "PiGDM = E[x_0 | x_t, y] at all levels iff C_mm = I and C_mn = 0 (C of full rank, Gaussian)",
    right=lambda: with_covariance_of(EYE, NONE, NULL),
    wrong={
        "C_mm another multiple of I": lambda: with_covariance_of(0.5 * EYE, NONE, NULL),
        "variances of 1, correlated": lambda: with_covariance_of(0.7 * EYE + 0.3, NONE, NULL),
        "C_mm = I, correlated with the null space": lambda: with_covariance_of(EYE, SOME, NULL),
        "right at one level: C_mm = I + C_mn (C_nn + sigma^2)^-1 C_nm": lambda: with_covariance_of(
            EYE + SOME @ np.linalg.inv(NULL + SIGMAS[0] ** 2 * np.eye(2)) @ SOME.T, SOME, NULL
        ),
    },
)
def pseudo_inverse_guidance(prior) -> float:
    """The largest error at three levels."""
    return max(error_of(guide(PiGDM), prior(), given_x_and_y, sigma) for sigma in SIGMAS)


@item(
    "Y02",
    "its error is K H^T P (H K H^T - r^2 H H^T) A^-1 (y - H x0_hat), A = H K H^T + sigma_y^2",
    right=lambda to_x, P, excess, A: to_x @ P @ excess @ np.linalg.inv(A),
    wrong={
        "A for its inverse": lambda to_x, P, excess, A: to_x @ P @ excess @ A,
        "P twice: of first order in K - r^2": lambda to_x, P, excess, A: to_x @ P @ excess @ P,
        "the other sign": lambda to_x, P, excess, A: -to_x @ P @ excess @ np.linalg.inv(A),
    },
)
def error_of_pseudo_inverse_guidance(formula) -> float:
    """PiGDM less E[x_0 | x_t, y]; with K of full rank it is 0 for all y iff H K H^T = r^2 H H^T."""
    errors = []
    for case, sigma in itertools.product(PROBLEMS, SIGMAS):
        x, y = observed(case, sigma)
        problem, K = system(case, x, y, sigma), tweedie(case, x, sigma)[1]
        excess = case.H @ (K - sigma**2 / (1 + sigma**2) * np.eye(len(K))) @ case.H.T
        want = guide(PiGDM)(case, y)(x, sigma) - given_x_and_y(case, x, y, sigma)
        gain = formula(problem.to_x, problem.P, excess, problem.A)
        errors.append(problem.apart @ gain.T - want)
    return largest(*errors)


def of_excess(D, v):
    """s^4 / (1 + s^2) D (1 + s^2 + D)^-1 with v = s^2."""
    return v**2 / (1 + v) * D @ np.linalg.inv((1 + v) * np.eye(len(D)) + D)


def beside_one(mm, mn, nn, v):
    """D: C_mm less the one that is right at this level, v = s^2."""
    return mm - np.eye(len(mm)) - mn @ np.linalg.inv(nn + v * np.eye(len(nn))) @ mn.T


@item(
    "Y02",
    "K_mm - r^2 = s^4/(1+s^2) D (1+s^2+D)^-1, D = C_mm - I - C_mn (C_nn+s^2)^-1 C_nm: 0 iff D = 0",
    right=lambda mm, mn, nn, v: of_excess(beside_one(mm, mn, nn, v), v),
    wrong={
        "C_mm - I: the null space forgotten": lambda mm, mn, nn, v: of_excess(
            mm - np.eye(len(mm)), v
        ),
        "C_mm given x_0 in the null space: without s^2": lambda mm, mn, nn, v: of_excess(
            beside_one(mm, mn, nn, 0.0), v
        ),
        "D to first order": lambda mm, mn, nn, v: (v / (1 + v)) ** 2 * beside_one(mm, mn, nn, v),
        "s for s^2": lambda mm, mn, nn, v: of_excess(beside_one(mm, mn, nn, v**0.5), v**0.5),
    },
)
def only_if_of_pseudo_inverse_guidance(formula) -> float:
    """K by Tweedie's formula.  D rises with s along C_nm unless C_mn = 0: so two levels decide."""
    errors = []
    for case, sigma, m in itertools.product(PROBLEMS, SIGMAS, (1, 3)):
        mm, mn, nn = case.cov[:m, :m], case.cov[:m, m:], case.cov[m:, m:]
        K = sigma**2 * np.linalg.solve(case.cov + sigma**2 * np.eye(len(case.cov)), case.cov)
        r2 = sigma**2 / (1 + sigma**2)
        errors.append(K[:m, :m] - r2 * np.eye(m) - formula(mm, mn, nn, sigma**2))
    return largest(*errors)


# ------------------------------------------------------- Y03: one family, from one to the other


def conjugate_gradients(case, x, y, sigma, steps):
    make = functools.partial(MomentMatching, cg_steps=steps)
    return guide(make)(case, y)(x, sigma)


def from_p(case, x, y, sigma, steps):
    return richardson(system(case, x, y, sigma), steps + 1)


def without_p(case, x, y, sigma, steps):
    problem = system(case, x, y, sigma)
    return richardson(problem._replace(P=np.eye(len(problem.P))), steps)


@item(
    "Y03",
    "w <- w + P (r - A w) from w = 0: PiGDM after one step, moment matching in the limit",
    right=lambda case, x, y, sigma, steps: richardson(system(case, x, y, sigma), steps),
    wrong={
        "conjugate gradients": conjugate_gradients,
        "from w = P r": from_p,
        "P of r^2 = 1": lambda case, x, y, sigma, steps: richardson(
            system(case, x, y, sigma, r2=1.0), steps
        ),
        "without P": without_p,
    },
    bound=1e-9,
)
def one_family(iterate) -> float:
    """k = 1 against PiGDM, k = 2 and 3 against the class, and the limit against the exact one."""
    errors = []
    for case, sigma in itertools.product(PROBLEMS, SIGMAS[:2]):
        case = case._replace(cov=case.cov / np.linalg.eigvalsh(case.cov)[-1])  # it converges: Y04
        x, y = observed(case, sigma)
        for steps in (1, 2, 3):
            make = functools.partial(MomentMatching, iteration="richardson", cg_steps=steps)
            make = PiGDM if steps == 1 else make
            errors.append(
                relative(iterate(case, x, y, sigma, steps), guide(make)(case, y)(x, sigma))
            )
        errors.append(relative(iterate(case, x, y, sigma, 800), given_x_and_y(case, x, y, sigma)))
    return max(errors)


# --------------------------------------------------------- Y04: eigenvalues, preconditioned


def ratio(value: float, sigma: float) -> float:
    """k / r^2 for an eigenvalue of the prior."""
    return value * (1 + sigma**2) / (value + sigma**2)


def between(low, high):
    return lambda least, most, sigma: (min(1.0, low(least, sigma)), max(1.0, high(most, sigma)))


@item(
    "Y04",
    "P^1/2 (H K H^T + sigma_y^2) P^1/2 has eigenvalues from min(1, k/r^2) to max(1, k'/r^2), any H",
    right=between(ratio, ratio),
    wrong={
        "the prior's own eigenvalues": between(*[lambda value, sigma: value] * 2),
        "k and k' for k/r^2": between(
            *[lambda value, sigma: value * sigma**2 / (value + sigma**2)] * 2
        ),
        "always from k/r^2": lambda least, most, sigma: (ratio(least, sigma), ratio(most, sigma)),
        "sigma for sigma^2": between(*[lambda value, sigma: ratio(value, math.sqrt(sigma))] * 2),
    },
)
def preconditioned_eigenvalues(bounds) -> float:
    """Never outside, k and k' of the least and largest eigenvalue of C; and attained: H = I."""
    errors = []
    for seed, sigma in itertools.product(range(6), SIGMAS):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(2, 7, 2)
        case = random_case(n, m, min(m, n) - seed % 2, 0.4 * (seed % 3), seed)
        if seed == 5:
            case = case._replace(cov=1.5 * np.eye(n) + 0.1 * case.cov)  # all above 1
        if seed == 4:
            case = case._replace(H=np.eye(n), sigma_y=0.0)
        least, *_, most = np.linalg.eigvalsh(case.cov)
        K = (case.cov @ np.linalg.inv(case.cov + sigma**2 * np.eye(n))) * sigma**2
        U = scipy.linalg.orth(case.H, rcond=1e-10)
        H, noise = U.T @ case.H, case.sigma_y**2 * np.eye(U.shape[1])
        P_inverse = sigma**2 / (1 + sigma**2) * H @ H.T + noise
        found = scipy.linalg.eigh(H @ K @ H.T + noise, P_inverse, eigvals_only=True)
        low, high = bounds(least, most, sigma)
        errors += [max(0.0, low - found[0]), max(0.0, found[-1] - high)]
        if seed == 4:
            assert least < 1 < most
            errors += [abs(low - found[0]), abs(high - found[-1])]
    return max(errors)


@item(
    "Y04",
    "in one coordinate (k s^2 + sigma_y^2)/(r^2 s^2 + sigma_y^2): nearer to 1 where y has noise",
    right=lambda k, r2, s, sigma_y: (k * s**2 + sigma_y**2) / (r2 * s**2 + sigma_y**2),
    wrong={
        "k/r^2": lambda k, r2, s, sigma_y: k / r2 + 0 * s,
        "without P": lambda k, r2, s, sigma_y: k * s**2 + sigma_y**2,
        "sigma_y for sigma_y^2": lambda k, r2, s, sigma_y: (
            (k * s**2 + sigma_y) / (r2 * s**2 + sigma_y)
        ),
    },
)
def bounds_of_chebyshev(formula) -> float:
    """What the library gives Chebyshev's iteration: the least and the largest over coordinates."""
    s, errors = np.array([1.7, 0.8, 0.31, 0.04]), []
    op, prior = Dense(np.diag(s)), GaussianPrior(np.zeros(4), np.eye(4))
    for sigma, sigma_y in itertools.product(SIGMAS, (0.0, 0.3)):
        guided = MomentMatching(
            prior,
            op,
            torch.zeros(1, 4).double(),
            sigma_y=sigma_y,
            iteration="chebyshev",
            eigenvalues=(0.2, 3.1),
        )
        r2, k = sigma**2 / (1 + sigma**2), [v * sigma**2 / (v + sigma**2) for v in (0.2, 3.1)]
        want = formula(k[0], r2, s, sigma_y).min(), formula(k[1], r2, s, sigma_y).max()
        errors.append(np.array(guided._bounds(sigma)) - want)
    return largest(*errors)


# ------------------------------------------------- Y15: which iterations leave a sampler affine


def ends_of(case: GaussianCase) -> tuple[float, float]:
    least, *_, most = np.linalg.eigvalsh(case.cov)
    return float(least), float(most)


def fixed(iteration: str, steps: int, case: GaussianCase):
    """Moment matching by so many steps of the library's."""
    bounds = {"eigenvalues": ends_of(case)} if iteration == "chebyshev" else {}
    return functools.partial(MomentMatching, iteration=iteration, cg_steps=steps, **bounds)


def in_the_library(iteration: str, steps: int):
    return lambda case, *at: guide(fixed(iteration, steps, case))(case, at[1])(at[0], at[2])


def solved_but(missing: int):
    """Conjugate gradients, a step for each eigenvalue of PA on H's range, but so many."""

    def steps(case, *at):
        return conjugate_gradients(case, *at, np.linalg.matrix_rank(case.H) - missing)

    return steps


@item(
    "Y15",
    "Richardson's and Chebyshev's steps are affine in (x, y); CG's iff they solve it for every y",
    right=[in_the_library("richardson", 3), in_the_library("chebyshev", 3), solved_but(0)],
    wrong={
        "CG, one step": [in_the_library("cg", 1)],
        "CG, two steps": [in_the_library("cg", 2)],
        "CG, the last step left out": [solved_but(1)],
    },
)
def what_is_affine(versions) -> float:
    """At three points (x, y) and at their sum with weights of sum 1, some negative."""
    weights, errors = np.array([1.7, -0.4, -0.3]), []
    for case, sigma in itertools.product(PROBLEMS, SIGMAS):
        x, y = (np.vstack([rows, weights @ rows]) for rows in observed(case, sigma))
        for version in versions:
            *three, at_sum = version(case, x, y, sigma)
            errors.append(weights @ np.stack(three) - at_sum)
    return largest(*errors)


def gain_of(iterate, case: GaussianCase, sigma: float, *options) -> np.ndarray:
    """M of x0_hat + M (y - H x0_hat), from the unit vectors in the place of y - H x0_hat."""
    m, n = case.H.shape
    problem = system(case, np.zeros((m, n)), np.zeros((m, m)), sigma)
    return iterate(problem._replace(x0_hat=np.zeros((m, n)), apart=np.eye(m)), *options).T


def textbook(iteration, case, sigma, steps):
    """Richardson on w, or Chebyshev's polynomial between the bounds of Y04."""
    if iteration == "richardson":
        return gain_of(richardson, case, sigma, steps)
    s2 = np.linalg.eigvalsh(case.H.T @ case.H).clip(min=0)
    r2, noise = sigma**2 / (1 + sigma**2), case.sigma_y**2
    k = [value * sigma**2 / (value + sigma**2) for value in ends_of(case)]
    low, high = ((each * s2 + noise) / (r2 * s2 + noise) for each in k)
    return gain_of(chebyshev, case, sigma, steps, low.min(), high.max())


def law_by_hand(case: GaussianCase, levels, eta: float, gains) -> np.ndarray:
    """Gain on y, offset and covariance after DDIM's steps with x0_hat + M (y - H x0_hat)."""
    m, n = case.H.shape
    A, c, cov = np.zeros((n, m)), np.zeros(n), levels[0] ** 2 * np.eye(n)
    for (sigma, below), M in zip(itertools.pairwise(levels), gains, strict=True):
        B = np.linalg.solve(case.cov + sigma**2 * np.eye(n), case.cov).T  # x0_hat = B x + ...
        left, rest = np.eye(n) - M @ case.H, (np.eye(n) - B) @ case.mean
        fresh = eta * below * math.sqrt(1 - (below / sigma) ** 2)
        kept = math.sqrt(below**2 - fresh**2) / sigma
        F = kept * np.eye(n) + (1 - kept) * left @ B
        A, c = F @ A + (1 - kept) * M, F @ c + (1 - kept) * left @ rest
        cov = F @ cov @ F.T + fresh**2 * np.eye(n)
    return flat(A, c, cov)


def solved_outright(problem):
    return problem.moved(np.linalg.solve(problem.A, problem.apart.T).T)


def in_the_loop(make, denoiser, op, y, *, generator, levels, sigma_y):
    guided = make(denoiser, op, y, sigma_y=sigma_y)
    options = {"eta_ddim": ETA, "generator": generator, "dtype": y.dtype}
    return ddpm_samples(guided, (len(y), *op.in_shape), levels, **options)


@item(
    "Y15",
    "their law in DDIM's loop: x0_hat + K H^T p_k(PA) P (y - H x0_hat), the iteration's p_k",
    right=textbook,
    wrong={
        "the system solved": lambda _, case, sigma, steps: gain_of(solved_outright, case, sigma),
        "one step more": lambda *at: textbook(*at[:3], at[3] + 1),
        "CG, as if unit vectors told its law": lambda _, *at: gain_of(krylov, *at),
        "Richardson's for both": lambda _, *at: textbook("richardson", *at),
    },
)
def law_of_fixed_steps(gain) -> float:
    """Found by running the library's loop on unit vectors; eta 0.6, one step and three."""
    errors, levels = [], [9.0, 2.0, 0.7, 0.1, 0.0]
    iterations = itertools.product(("richardson", "chebyshev"), (1, 3))
    for case, (iteration, steps) in itertools.product(PROBLEMS, iterations):
        known = {"sigma_y": case.sigma_y}
        run = functools.partial(in_the_loop, fixed(iteration, steps, case), levels=levels, **known)
        found = in_pixels(law_of(run, prior_of(case), Dense(case.H), **known))
        gains = [gain(iteration, case, sigma, steps) for sigma in levels[:-1]]
        errors.append(relative(law_by_hand(case, levels, ETA, gains), found))
    return max(errors)


# ----------------------------------------------------------------------- Y05: DDNM beside DDRM


def ddnm_rows(s, sigma, sigma_next, eta, eta_measured):
    """Weights of x0_hat, x and y, and the noise: case 3, with y for x0_hat where s > 0."""
    seen = s > 0
    rate = np.where(seen, eta_measured, eta)
    kept = np.sqrt(1 - rate**2) * sigma_next / sigma
    return np.stack([~seen * (1 - kept), kept, seen * (1 - kept), rate * sigma_next])


def of_ddrm(s, sigma, sigma_next, eta, eta_measured):
    return numbers(ddrm_coefficients, torch.as_tensor(s), sigma, sigma_next, 0.0, eta, 1.0)


def without_measurement(s, sigma, sigma_next, eta, eta_measured):
    return ddnm_rows(0 * s, sigma, sigma_next, eta, eta_measured)


@item(
    "Y05",
    "sigma_y = 0: DDNM is case 3 with y for x0_hat where s > 0; with eta = 1 there DDRM, eta_b = 1",
    right=ddnm_rows,
    wrong={
        "DDRM's rows": of_ddrm,
        "DDIM's rows, y forgotten": without_measurement,
        "eta 0 for both where s > 0": lambda s, a, b, eta, _: ddnm_rows(s, a, b, eta, 0.0),
        "DDIM's eta for DDRM's": lambda s, a, b, eta, eta_measured: ddnm_rows(
            s, a, b, eta / math.sqrt(1 - (b / a) ** 2), eta_measured
        ),
    },
    bound=1e-11,
)
def ddnm_and_ddrm(rows) -> float:
    """A step of ddpm_samples with DDNM, eta_ddim = 0.6, and the table of slide 11 at eta_m = 1.

    DDRM's eta is eta_ddim sqrt(1 - (sigma_next / sigma)^2) (X07); DDNM has it in all coordinates.
    """
    rng = np.random.default_rng(0)
    s, errors = S.numpy(), []
    Q = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    op = Dense(s[:, None] * Q.T)
    place = op.spectrum().numpy()
    for sigma, sigma_next in itertools.pairwise([3.1, 0.6, 0.02]):
        eta = 0.6 * math.sqrt(1 - (sigma_next / sigma) ** 2)
        want = of_ddrm(place, sigma, sigma_next, eta, 1.0)
        errors.append(rows(place, sigma, sigma_next, eta, 1.0) - want)

        noise = torch.as_tensor(rng.standard_normal((3, 2, 7)))
        y = op(torch.as_tensor(rng.standard_normal((2, 7))))
        guided = DDNM(nonlinear_denoiser, op, y, sigma_y=0.0)
        with known_noise(noise):
            levels = [sigma, sigma_next, 0.0]
            first = next(ddpm_samples(guided, (2, 7), levels, eta_ddim=0.6, dtype=torch.float64))
        x = sigma * noise[0]
        parts = [nonlinear_denoiser(x, sigma), x, op.pinv(y), noise[1]]
        weights = rows(place, sigma, sigma_next, eta, eta)
        # the loop's noise is one number for all coordinates, so it may be turned
        step = sum(w * op.Vt(part).numpy() for w, part in zip(weights, parts, strict=True))
        errors.append(op.Vt(first.x).numpy() - step)
    return largest(*errors)


# ----------------------------------------------------------------------------- Y06: DiffPIR's bias


class Spectral:
    """K, T and d of the head of this file, at one level."""

    def __init__(self, case: GaussianCase, x: np.ndarray, y: np.ndarray, sigma: float):
        op = Dense(case.H)
        turned = lambda x: op.Vt(torch.as_tensor(x)).numpy()  # noqa: E731
        x0_hat, K = tweedie(case, x, sigma)
        K = turned(turned(K).T)
        seen = op.spectrum().numpy() > 0
        s = op.spectrum().numpy()[seen]
        self.op, self.seen, self.turned = op, seen, turned
        self.K, self.K_nm, self.T = (
            K[seen][:, seen],
            K[~seen][:, seen],
            np.diag((case.sigma_y / s) ** 2),
        )
        self.d = (op.measure_spec(torch.as_tensor(y)).numpy() - turned(x0_hat))[:, seen]


def bias(at: Spectral, v: float, *, null: bool = True, T=True) -> np.ndarray:
    """Measured coordinates first."""
    inv = np.linalg.inv
    apart = inv(at.K + at.T) - inv(v * np.eye(len(at.T)) + at.T)
    measured = at.T @ apart if T else apart
    return np.concatenate([at.d @ measured.T, -null * at.d @ (at.K_nm @ inv(at.K + at.T)).T], 1)


@item(
    "Y06",
    "DiffPIR less exact: T [(K_mm + T)^-1 - (v + T)^-1] d where s > 0, -K_nm (K_mm + T)^-1 d else",
    right=lambda at, sigma, lambda_: bias(at, sigma**2 / lambda_),
    wrong={
        "v = lambda sigma^2": lambda at, sigma, lambda_: bias(at, lambda_ * sigma**2),
        "the null space is moved as it should": lambda at, sigma, lambda_: bias(
            at, sigma**2 / lambda_, null=False
        ),
        "without T": lambda at, sigma, lambda_: bias(at, sigma**2 / lambda_, T=False),
        "v = r^2": lambda at, sigma, lambda_: bias(at, sigma**2 / (1 + sigma**2)),
    },
)
def bias_of_diffpir(formula) -> float:
    """v = sigma^2 / lambda; without noise T = 0: then only what was not measured is wrong."""
    errors = []
    for case, sigma, lambda_ in itertools.product(WITH_AND_WITHOUT_NOISE, SIGMAS, (0.4, 3.0)):
        x, y = observed(case, sigma)
        make = functools.partial(DiffPIR, lambda_=lambda_)
        at = Spectral(case, x, y, sigma)
        found = guide(make)(case, y)(x, sigma) - given_x_and_y(case, x, y, sigma)
        found = at.turned(found)
        found = np.concatenate([found[:, at.seen], found[:, ~at.seen]], 1)
        errors.append(formula(at, sigma, lambda_) - found)
    return largest(*errors)


# ----------------------------------------------------------------- Y07: DDRM's step sees y again


def posterior_as_prior(case: GaussianCase, y: torch.Tensor, **changed) -> GaussianPrior:
    seen = prior_of(case).posterior(
        Dense(case.H), y[None], sigma_y=changed.get("sigma_y", case.sigma_y)
    )
    return GaussianPrior(seen.mean[0], seen.cov)


def plain_law_of(prior, case, y, *, eta, eta_b):
    """DDRM's own law given y, for a prior."""
    law = sampler_law(prior, Dense(case.H), LEVELS, sigma_y=case.sigma_y, eta=eta, eta_b=eta_b)
    given = law.given(y[None])
    return given.mean[0].numpy(), given.cov.numpy()


def itself(case, y, **rates):
    """p(x | y)."""
    posterior = posterior_as_prior(case, y)
    return posterior.mean.numpy(), posterior.cov.numpy()


@item(
    "Y07",
    "DDRM with E[x_0 | x_t, y] has the law of plain DDRM for the prior p(x | y): y counts twice",
    right=lambda case, y, **rates: plain_law_of(posterior_as_prior(case, y), case, y, **rates),
    wrong={
        "y once: DDRM for the prior": lambda case, y, **rates: plain_law_of(
            prior_of(case), case, y, **rates
        ),
        "p(x | y) itself": itself,
        "y three times": lambda case, y, **rates: plain_law_of(
            posterior_as_prior(case, y, sigma_y=case.sigma_y / math.sqrt(2)), case, y, **rates
        ),
    },
)
def ddrm_that_sees_y(law) -> float:
    """Mean and FULL covariance of the real sampler with ExactDenoiser, probed by unit vectors."""
    errors = []
    for case in PROBLEMS:
        prior, op = prior_of(case), Dense(case.H)
        m, n = case.H.shape

        def run(y, prior=prior, op=op, case=case):
            guided = ExactDenoiser(prior, op, y, sigma_y=case.sigma_y)
            rates = {"eta": ETA, "eta_b": ETA_B}
            return ddrm_samples(guided, op, y, LEVELS, sigma_y=case.sigma_y, **rates)

        found = probe(run, (n,), m, len(LEVELS)).last(n)
        y = np.linspace(-1.0, 1.5, m)
        mean, cov = law(case, torch.as_tensor(y), eta=ETA, eta_b=ETA_B)
        errors += [found.offset + found.gain @ y - mean, found.cov - cov]
    return largest(*errors)


@functools.cache
def tight_limit_of_seen() -> np.ndarray:
    """Mean and covariance at the measurement Y of ``gaussian_theory``, infinitely many steps."""
    case, prior = limit_case(1.2), seen_posterior(limit_case(1.2))

    def law_at(levels) -> np.ndarray:
        law = sampler_law(
            prior, Dense(case.H), levels, sigma_y=case.sigma_y, eta="tight", eta_b=1.0
        ).given(Y)
        return np.concatenate([law.mean[0].numpy(), law.cov.numpy().ravel()])

    return quiet_limit(law_at, top=1.0, power=0.25)


def twice(case: GaussianCase, temperature: float, times: int = 2) -> np.ndarray:
    """p(x | y measured so many times), its covariance times a temperature."""
    case = case._replace(sigma_y=case.sigma_y / math.sqrt(times))
    return at_y(posterior_at(case, temperature))


@item(
    "Y07",
    "eta tight, infinitely many steps: N(E, Cov / 2) of x given two measurements, both equal to y",
    right=lambda case: twice(case, 0.5),
    wrong={
        "one measurement: G12": lambda case: at_y(tight_limit()),
        "the whole covariance": lambda case: twice(case, 1.0),
        "three measurements": lambda case: twice(case, 0.5, times=3),
        "the posterior": lambda case: twice(case, 1.0, times=1),
    },
    bound=EXTRAPOLATION,
)
def twice_in_the_limit(law) -> float:
    """By G12, with p(x | y) as prior; the exact law of up to 384 steps, extrapolated."""
    return largest(tight_limit_of_seen() - law(limit_case(1.2)))


def two_readings(v, tau, sigma, m, y):
    """Mean and variance of x_0 after one step from the start N(y, sigma^2 - tau^2)."""
    a, b, g = (w / (1 / v + 1 / sigma**2 + 1 / tau**2) for w in (1 / v, 1 / sigma**2, 1 / tau**2))
    return a * m + (b + g) * y, b**2 * (sigma**2 - tau**2)


def once(v, tau, sigma, m, y):
    """As plain DDRM: the step alone sees y."""
    b = v / (v + sigma**2)
    return (1 - b) * m + b * y, b**2 * (sigma**2 - tau**2)


@item(
    "Y07",
    "one coordinate, one step from sigma_T: mean of readings y, y with noise tau^2, sigma_T^2",
    right=two_readings,
    wrong={
        "y once: plain DDRM": once,
        "the posterior's mean": lambda v, tau, sigma, m, y: (
            (m / v + y / tau**2) / (1 / v + 1 / tau**2),
            two_readings(v, tau, sigma, m, y)[1],
        ),
        "start N(y, sigma^2)": lambda v, tau, sigma, m, y: (
            two_readings(v, tau, sigma, m, y)[0],
            two_readings(v, 0.0 * tau + 1e-9, sigma, m, y)[1],
        ),
    },
)
def one_step_that_sees_y(formula) -> float:
    """The real sampler, probed, for one pixel with s = 0.8."""
    errors = []
    for sigma, v in itertools.product((1.3, 5.0), (0.6, 2.1)):
        case = GaussianCase(np.array([0.4]), np.array([[v]]), np.array([[0.8]]), 0.5)
        prior, op = prior_of(case), Dense(case.H)

        def run(y, prior=prior, op=op, sigma=sigma):
            guided = ExactDenoiser(prior, op, y, sigma_y=0.5)
            return ddrm_samples(guided, op, y, [sigma, 0.0], sigma_y=0.5)

        law = probe(run, (1,), 1, 2).last(1)
        mean, variance = formula(v, 0.5 / 0.8, sigma, 0.4, 1.7)
        errors += [law.offset + law.gain @ [0.8 * 1.7] - mean, law.cov - variance]
    return largest(*errors)


# --------------------------------------------- Y14: where DDIM that sees y ends, and how fast

TOP, LAST = 4.0, 0.4  # the first level and the last one above 0
RUNS = (20, 40, 80, 160)


@functools.cache
def runs_that_see_y() -> list[np.ndarray]:
    """Gain on y, offset and covariance of DDIM (eta 0) with E[x_0 | x_t, y], RUNS steps."""
    case = limit_case(0.6)
    known = {"sigma_y": case.sigma_y}

    def run(denoiser, op, y, *, generator, N):
        guided = ExactDenoiser(denoiser, op, y, **known)
        levels = [*np.geomspace(TOP, LAST, N + 1), 0.0]
        options = {"generator": generator, "dtype": y.dtype}
        return ddpm_samples(guided, (len(y), 4), levels, eta_ddim=0.0, **options)

    prior, op = prior_of(case), Dense(case.H)
    laws = [law_of(functools.partial(run, N=N), prior, op, **known) for N in RUNS]
    return [in_pixels(law) for law in laws]


def forgotten(v, top, last):
    """Share of a deviation from the posterior's mean that is left of the start."""
    return v / np.sqrt((v + top**2) * (v + last**2))


def floor_of(share, *, mean: bool = True) -> np.ndarray:
    """The law if this share of the start N(0, TOP^2) is left along each axis of the posterior."""
    law = posterior_of(limit_case(0.6))
    v, Q = np.linalg.eigh(law.cov)
    left = Q * share(v) @ Q.T
    kept = np.eye(4) - mean * left
    return flat(kept @ law.gain, kept @ law.offset, TOP**2 * left @ left)


@item(
    "Y14",
    "DDIM that sees y, more steps: N((1-f) E, (s_T f)^2), f = v / sqrt((v + s_T^2)(v + s_1^2))",
    right=floor_of(lambda v: forgotten(v, TOP, LAST)),
    wrong={
        "the posterior": floor_of(lambda v: np.sqrt(v) / TOP, mean=False),
        "the mean is reached": floor_of(lambda v: forgotten(v, TOP, LAST), mean=False),
        "the start alone: last level 0": floor_of(lambda v: forgotten(v, TOP, 0.0)),
        "the last level alone: s_T infinite": floor_of(
            lambda v: v / (TOP * np.sqrt(v + LAST**2)), mean=False
        ),
        "the last step forgotten": floor_of(lambda v: np.sqrt((v + LAST**2) / (v + TOP**2))),
    },
    bound=1e-7,  # what is left of the extrapolation, 5e-9
)
def floor_of_ddim(law) -> float:
    """Each axis of the posterior, variance v; the exact laws of 20 to 160 steps, extrapolated."""
    limit = np.polyfit([1 / N for N in RUNS], np.stack(runs_that_see_y()), 3)[-1]
    return largest(limit - law)


def shortfall(v, top, last):
    """N times the relative shortfall of the share f, to first order."""
    p_T, p_1 = (level**2 / (v + level**2) for level in (top, last))
    return math.log(top / last) * (p_T - p_1) / 4


@item(
    "Y14",
    "levels even in log s: N steps leave the share f (1 - (p_T - p_1) log(s_T/s_1) / 4N), slope -1",
    right=shortfall,
    wrong={
        "steps of second order": lambda v, top, last: 0 * v,
        "the sum for the integral only": lambda v, top, last: 2 * shortfall(v, top, last),
        "the other sign": lambda v, top, last: -shortfall(v, top, last),
        "without p_T - p_1": lambda v, top, last: np.full_like(v, math.log(top / last) / 4),
    },
    bound=1e-7,
)
def speed_of_ddim(formula) -> float:
    """p = s^2 / (v + s^2); N (1 - std / floor) of the same laws along each axis, extrapolated."""
    v, Q = np.linalg.eigh(posterior_of(limit_case(0.6)).cov)
    floor = TOP * forgotten(v, TOP, LAST)
    covs = [each[-16:].reshape(4, 4) for each in runs_that_see_y()]
    found = [
        N * (1 - np.sqrt(np.diag(Q.T @ S @ Q)) / floor) for N, S in zip(RUNS, covs, strict=True)
    ]
    return largest(
        np.polyfit([1 / N for N in RUNS], np.stack(found), 3)[-1] - formula(v, TOP, LAST)
    )

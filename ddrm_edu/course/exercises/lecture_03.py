"""Exercises of lecture 03: a reverse variance, a long reverse step, the price of the start."""

from __future__ import annotations

import math

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.gaussian import Gaussian, GaussianNetwork
from ddrm_edu.schedule import NoiseSchedule

_BETA = tensor([0, 0.1, 0.25, 0.05, 0.3, 0.15, 0.4])
_ALPHA_BAR = NoiseSchedule(_BETA).alpha_bar


def _chain(mean: float, V: float) -> GaussianNetwork:
    """The forward chain of one pixel."""
    network = GaussianNetwork()
    network.add("x0", offset=[mean], cov=V)
    for t in range(1, len(_BETA)):
        network.add(f"x{t}", {f"x{t - 1}": (1 - _BETA[t]).sqrt()}, cov=_BETA[t])
    return network


@question("03.1", "Between the two variances of DDPM", kind="paper", of="V, alpha_bar, beta")
@hints(
    "First the variance of x_t; then condition on x_{t+1} = sqrt(1 - beta) x_t + noise.",
    "Precisions add: 1 / S with S = alpha_bar V + 1 - alpha_bar, and (1 - beta) / beta.",
    "beta S / ((1 - beta) S + beta) with S = alpha_bar V + 1 - alpha_bar.",
)
@mistakes(
    lambda V, a, b: (1 - a) / (1 - (1 - b) * a) * b,
    "That is beta-tilde, the variance if x_0 is known as well. Here it varies by V.",
    lambda V, a, b: b,
    "That is the variance of the forward step. It is the answer for one value of V only.",
    lambda V, a, b: b * V / ((1 - b) * V + b),
    "x_t has another variance than x_0: alpha_bar V + 1 - alpha_bar.",
    lambda V, a, b: (a * V + 1 - a) - (1 - b) * (a * V + 1 - a) ** 2,
    "Divide the squared covariance by the variance of x_{t+1}, which is 1 only if V is.",
    lambda V, a, b: (b * (a * V + 1 - a) / ((1 - b) * (a * V + 1 - a) + b)) ** 0.5,
    "That is the standard deviation.",
    lambda V, a, b: b * (a * V + 1 - a) / (a * V + 1 - a + b),
    "x_{t+1} is sqrt(1 - beta) x_t + noise: its factor is missing.",
    lambda V, a, b: (1 - b) * (a * V + 1 - a) + b,
    "That is the variance of x_{t+1}.",
    lambda V, a, b: a * V + 1 - a,
    "That is the variance of x_t before x_{t+1} is known.",
)
def reverse_variance(answer: Answer) -> Cases:
    for V, t in ((1.0, 2), (0.3, 1), (2.5, 4)):
        law = _chain(0.0, V).conditional([f"x{t}"], {f"x{t + 1}": [0.7]})
        a, b = _ALPHA_BAR[t].item(), _BETA[t + 1].item()
        yield f"V = {V}, alpha_bar = {a:.4g}, beta = {b:.4g}", answer(V, a, b), law.cov[0, 0]


def _long(
    a: float, b: float, x0: float | None = None, xt: float | None = None, v: float | None = None
) -> tuple[float, ...]:
    """The numbers of exercise 03.2, with another one where it is given."""
    ratio = b / a
    right = (
        math.sqrt(a) * (1 - ratio) / (1 - b),
        math.sqrt(ratio) * (1 - a) / (1 - b),
        (1 - a) / (1 - b) * (1 - ratio),
    )
    return tuple(r if w is None else w for r, w in zip(right, (x0, xt, v), strict=True))


@question("03.2", "A reverse step over several levels", kind="code", of="alpha_bar_s, alpha_bar_t")
@hints(
    "The derivation of S05.3 uses only that x_{t+1} is a multiple of x_t plus noise.",
    "From s to t the factor is sqrt(alpha_bar_t / alpha_bar_s): exercise 02.1.",
    "In S05.3 put alpha_bar_s, alpha_bar_t / alpha_bar_s and 1 - alpha_bar_t / alpha_bar_s for "
    "alpha_bar_t, alpha_{t+1} and beta_{t+1}.",
)
@mistakes(
    lambda a, b: (_long(a, b)[1], _long(a, b)[0], _long(a, b)[2]),
    "The weights are exchanged: at s = 0 the result must be x_0.",
    lambda a, b: _long(a, b, v=1 - b / a),
    "The means are right. The variance is that of the forward step from s to t.",
    lambda a, b: _long(a, b, x0=math.sqrt(b) * (1 - b / a) / (1 - b)),
    "The weight of x_0 has the root of alpha_bar_s, the level entered, not of alpha_bar_t.",
    lambda a, b: _long(a, b, xt=b / a * (1 - a) / (1 - b)),
    "The weight of x_t is missing a square root.",
    lambda a, b: _long(a, b, v=math.sqrt(_long(a, b)[2])),
    "The weights are right. The third number is a standard deviation, and v is the variance.",
    lambda a, b: _long(a, b, v=1 - a),
    "The weights are right. 1 - alpha_bar_s is the variance of x_s if x_t is not known.",
    lambda a, b: (math.sqrt(a), 0.0, 1 - a),
    "That is q(x_s | x_0): x_t is known here as well.",
    lambda a, b: _long(a, b, xt=math.sqrt(b) * (1 - a) / (1 - b)),
    "The factor from s to t is sqrt(alpha_bar_t / alpha_bar_s), not sqrt(alpha_bar_t).",
)
def long_reverse_step(answer: Answer) -> Cases:
    network = _chain(0.0, 1.0)
    for s, t in ((1, 2), (3, 4), (1, 5)):  # s = 0 would refuse a sum of precisions
        a, b = _ALPHA_BAR[[s, t]].tolist()
        got = answer(a, b)
        of_x0, of_xt = (
            network.conditional([f"x{s}"], {"x0": [1.0 - k], f"x{t}": [float(k)]}) for k in (0, 1)
        )
        want = of_x0.mean, of_xt.mean, of_xt.cov[0]
        yield f"s = {s}, t = {t}: (c_0, c_t, v)", got, want


@question("03.3", "The price of the start", kind="paper", of="m, V, alpha_bar")
@hints(
    "Compare with the bound for the start q(x_T): which terms change?",
    "Only L_T changes, by E log q(x_T) - E log p(x_T), and that is a divergence.",
    "It is KL(N(sqrt(alpha_bar) m, S) || N(0, 1)) with S = alpha_bar V + 1 - alpha_bar.",
)
@mistakes(
    lambda m, V, a: (a * (m**2 + V) - a - math.log(1 - a)) / 2,
    "That is all of L_T. A part of it was there with the right start too: the information that x_T "
    "has about x_0.",
    lambda m, V, a: (a * V + 1 - a - 1 - math.log(a * V + 1 - a)) / 2,
    "The mean of x_T is not 0.",
    lambda m, V, a: ((1 + a * m**2) / (a * V + 1 - a) - 1 + math.log(a * V + 1 - a)) / 2,
    "That is the divergence in the other direction: the mean is over q, the truth.",
    lambda m, V, a: 0.0,
    "Exact kernels do not repair a wrong start: it is right only as alpha_bar_T -> 0.",
    lambda m, V, a: a * V + 1 - a + a * m**2 - 1 - math.log(a * V + 1 - a),
    "The divergence of two Gaussians has a factor 1/2.",
    lambda m, V, a: (a * V + 1 - a + a * m**2 - 1 + math.log(a * V + 1 - a)) / 2,
    "The sign of the logarithm: a divergence is 0 if the two laws are equal, and never negative.",
    lambda m, V, a: (a * V + 1 - a + a**0.5 * m - 1 - math.log(a * V + 1 - a)) / 2,
    "The mean, sqrt(alpha_bar) m, enters with its square.",
    lambda m, V, a: (V + m**2 - 1 - math.log(V)) / 2,
    "That compares the data themselves with noise. Little is left of them in x_T.",
)
def price_of_the_start(answer: Answer) -> Cases:
    noise = Gaussian(tensor([0.0]), tensor([[1.0]]))
    for m, V, t in ((0.0, 2.0, 6), (0.7, 0.4, 6), (-1.1, 1.7, 3)):
        law = _chain(m, V).joint(f"x{t}")
        a = _ALPHA_BAR[t].item()
        yield f"m = {m}, V = {V}, alpha_bar = {a:.4g}", answer(m, V, a), law.kl(noise)

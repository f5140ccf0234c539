"""Exercises of lecture 13: three more suspects, each to be named and repaired."""

from __future__ import annotations

import torch
from torch import Tensor

from ddrm_edu.checks.operator import DEVICE
from ddrm_edu.course.answers import Unfit, described, numbers
from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, normal, question, tensor
from ddrm_edu.course.operator_cases import broken
from ddrm_edu.ddrm import ddrm_coefficients, ddrm_start_coefficients
from ddrm_edu.diffusion import combine
from ddrm_edu.operators import SVDOperator


@question(
    "13.1",
    "A start that is too wide",
    kind="paper",
    of="s, sigma_T, sigma_y",
    words="start, weights, noise, boundary",
)
@hints(
    "x_T is a sum of two noises, that of y_spec and that of the draw. Are they independent?",
    "y_spec given x_0 has the variance sigma_y^2 / s^2 (S09.6).",
    "The first wrong thing is the start, and the variance is sigma_T^2 + sigma_y^2 / s^2.",
)
@mistakes(
    ("noise", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2 / s**2),
    "The variance is right. But the noise of every *step* is right, too: name what comes before "
    "the first step.",
    ("start", lambda s, sigma_T, sigma_y: 0 * s + sigma_T**2),
    "That is the variance of x_T given y. Given x_0, y_spec is random as well.",
    ("start", lambda s, sigma_T, sigma_y: sigma_T**2 - sigma_y**2 / s**2),
    "That is what the sampler should have drawn with, not what it leads to.",
    ("start", lambda s, sigma_T, sigma_y: 0 * s + sigma_T**2 + sigma_y**2),
    "y_spec is divided by s, and so is its noise.",
    ("start", lambda s, sigma_T, sigma_y: (sigma_T + sigma_y / s) ** 2),
    "Of independent noises the variances add up, not the standard deviations.",
    ("start", lambda s, sigma_T, sigma_y: (sigma_T**2 + sigma_y**2 / s**2) ** 0.5),
    "That is the standard deviation.",
    ("start", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2 * s**2),
    "y_spec is y divided by s: small s makes large noise.",
    ("weights", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2 / s**2),
    "The variance is right. But no weight is wrong: name what comes before the first step.",
)
def wide_start(answer: Answer) -> Cases:
    word, variance = answer
    yield "the claim that breaks first", word, "start"
    for value, sigma_T, sigma_y in ((1.0, 2.0, 1.0), (0.4, 9.0, 0.6), (1.7, 5.0, 0.25)):
        s = tensor([value])
        right = ddrm_start_coefficients(s, sigma_T, sigma_y)
        excess = sigma_T**2 - right.noise**2  # what the sampler forgot to subtract
        name = f"s = {value}, sigma_T = {sigma_T}, sigma_y = {sigma_y}"
        yield name, variance(s, sigma_T, sigma_y), sigma_T**2 + excess


def _step(kept: Answer, of_noise: Answer, strict: bool = False) -> Answer:
    """The step of the exercise with another weight, share of noise or boundary."""

    def step(
        x: Tensor, x0_hat: Tensor, y_spec: Tensor, s: Tensor,
        sigma: float, sigma_next: float, sigma_y: float, eta: float, eta_b: float, z: Tensor
    ) -> Tensor:  # fmt: skip
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=0.0, eta_b=eta_b)
        first = (s > 0) & (s * sigma_next >= sigma_y)
        if strict:
            first = s * sigma_next > sigma_y
            c = c._replace(y=torch.where(first | (s == 0), c.y, s * sigma_next / sigma_y))
        to_y = torch.where(first, c.y, kept(eta) * c.y)
        to_x = torch.where(first, c.xt, kept(eta) * c.xt)
        std = torch.where(first, c.noise, of_noise(eta) * sigma_next)
        return x0_hat + to_y * (y_spec - x0_hat) + to_x * (x - x0_hat) + std * z

    return step


_SUSPECT = _step(lambda eta: (1 - eta) ** 0.5, lambda eta: eta)
_REPAIRED = _step(lambda eta: (1 - eta**2) ** 0.5, lambda eta: eta)


@question(
    "13.2",
    "A step that passes at the defaults of two papers",
    kind="code",
    of="x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z",
    words="start, weights, noise, boundary",
)
@hints(
    "In cases 2 and 3 the share that is kept and the share that is fresh must add up to 1.",
    "The fresh noise has the variance eta^2 sigma_next^2. What must the kept one have?",
    "kept = (1 - eta**2) ** 0.5 * sigma_next: a weight of the mean is wrong, not the noise.",
)
@mistakes(
    ("noise", _REPAIRED),
    "The step is repaired. But the noise was eta sigma_next before, too: what else is in a step?",
    ("weights", _SUSPECT),
    "The word is right, and the step is still the suspect's: compare (1 - eta) with slide 11 at "
    "eta = 0.6.",
    ("weights", _step(lambda eta: (1 - eta) ** 0.5, lambda eta: eta**0.5)),
    "The two shares add up to 1 now, and Proposition 3.1 holds. But it is the step of another eta, "
    "its root: the lecture's noise is eta sigma_next.",
    ("weights", _step(lambda eta: 1 - eta**2, lambda eta: eta)),
    "1 - eta^2 is the share of the variance; a weight is its root.",
    ("boundary", _REPAIRED),
    "The step is repaired. The boundary was never wrong: >= is what slide 11 says.",
    ("weights", _step(lambda eta: (1 - eta**2) ** 0.5, lambda eta: eta, strict=True)),
    "The weights are repaired, but s sigma_next = sigma_y is case 1 on slide 11: keep >=.",
    ("weights", _step(lambda eta: 1 - eta, lambda eta: eta)),
    "Variances add up, not standard deviations: keep sqrt(1 - eta^2), not 1 - eta.",
    ("weights", _step(lambda eta: (1 - eta**2) ** 0.5, lambda eta: eta**0.5)),
    "The weights are repaired. But the noise was right, and is not any more.",
)
def weights_of_a_step(answer: Answer) -> Cases:
    word, step = answer
    yield "the claim that breaks first", word, "weights"
    s = tensor([1.3, 0.5, 0.08, 0.0])
    x, x0_hat, y_spec, z = normal(0, 4, 3, 4)
    for case, part, levels in (
        ("case 3", s[3:], (2.0, 0.9, 0.2)),
        ("case 2", s[2:3], (2.0, 0.9, 0.2)),
        ("the boundary", s[1:2], (2.0, 0.75, 0.375)),
        ("all cases", s, (2.0, 0.9, 0.2)),
    ):
        for eta, eta_b in ((1.0, 1.0), (0.6, 0.7), (0.85, 0.9)):
            own = [each[:, : len(part)] for each in (x, x0_hat, y_spec)]
            fresh = z[:, : len(part)]
            c = ddrm_coefficients(part, *levels, eta=eta, eta_b=eta_b)
            mean, whole = (combine(c, own[1], own[0], own[2], each) for each in (0 * fresh, fresh))
            up, down = (
                numbers(step(*own, part, *levels, eta, eta_b, sign * fresh)) for sign in (1, -1)
            )
            if up is None or down is None:
                raise Unfit("the step is to return a tensor, as the suspect's does")
            # z and -z have one law: the mean and the size of the noise count, not its sign.
            yield f"{case}, eta = {eta}, mean of the step", (up + down) / 2, mean
            yield (
                f"{case}, eta = {eta}, size of its noise",
                ((up - down) / 2).abs(),
                (whole - mean).abs(),
            )


class _Reordered(SVDOperator):
    """The operator of the exercise, with the V of an answer."""

    def __init__(self, order: Tensor, k: int, V: Answer) -> None:
        n = len(order)
        self.in_shape, self.out_shape, self.order, self._answer = (n,), (k,), order, V
        self.s = (torch.arange(n) < k).double()

    def V(self, x: Tensor) -> Tensor:
        given = self._answer(x.double(), self.order)  # a matrix may answer in its own dtype
        rows = numbers(given)
        if rows is None or rows.numel() != x.numel():
            raise Unfit(f"V is to return a batch of vectors, but yours gives {described(given)}")
        return rows.reshape(x.shape).to(x)

    def Vt(self, x: Tensor) -> Tensor:
        return x[:, self.order]

    def U(self, x: Tensor) -> Tensor:
        return x[:, : self.out_shape[0]].clone()

    def Ut(self, y: Tensor) -> Tensor:
        return torch.nn.functional.pad(y, (0, self.in_shape[0] - self.out_shape[0]))


@question(
    "13.3",
    "A permutation",
    kind="code",
    of="x, order",
    words="inverse, linear, batch, truth",
)
@hints(
    "Try order = [1, 2, 0] on the vector (10, 20, 30): what is Vt, and what is V of that?",
    "V must undo Vt: where Vt takes entry order[i] to place i, V takes entry i to order[i].",
    "V is x[:, order.argsort()]: argsort of a permutation is its inverse. The claim is inverse.",
)
@mistakes(
    ("truth", lambda x, order: x[:, order.argsort()]),
    "V is repaired. But U diag(s) V^T uses Vt alone, which is as intended: it is right all along.",
    ("inverse", lambda x, order: x[:, order]),
    "That is the suspect's V. A permutation that is applied twice is the identity only if it is "
    "its own inverse.",
    ("inverse", lambda x, order: x[:, order.flip(0)]),
    "flip lists the permutation backwards. That is not its inverse.",
    ("inverse", lambda x, order: x.clone()),
    "Then V does nothing, and Vt is not undone.",
    ("batch", lambda x, order: x[:, order.argsort()]),
    "V is repaired. But indexing columns never mixed the images of a batch.",
    ("linear", lambda x, order: x[:, order.argsort()]),
    "V is repaired. But to reorder a vector is linear, in whatever order.",
    ("inverse", lambda x, order: x[:, order[order]]),
    "Applied twice, a permutation is the identity only if it is its own inverse.",
)
def inverse_permutation(answer: Answer) -> Cases:
    word, V = answer
    yield "the claim that breaks first", word, "inverse"
    for places in ([1, 0], [1, 2, 0], [3, 0, 4, 2, 1]):
        order = torch.tensor(places)
        x = normal(1, 2, len(order))
        yield f"order = {places}, V of Vt of x", V(x[:, order], order), x
        op = _Reordered(order, len(order) - 1, V)
        claims = broken(op, torch.eye(len(order))[order[:-1]], besides=frozenset({DEVICE}))
        yield f"order = {places}, broken claims of check_operator", claims, "none"

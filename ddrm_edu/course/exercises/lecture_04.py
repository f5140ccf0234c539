"""Exercises of lecture 04: the weight in the image's unit, the score from v, a step of DDIM."""

from __future__ import annotations

import math

from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.denoisers import score_from_x0, x0_from_eps, x0_from_v
from ddrm_edu.schedule import to_ve, to_vp


@question(
    "04.1", "The weight in the unit of the image", kind="paper", part="a", of="sigma, sigma_next"
)
@hints(
    "The two kernels differ in their means only: by K (x_0 - x_theta) at the variance v.",
    "In the coordinates x_0 + sigma eps, K = 1 - sigma'^2 / sigma^2 and "
    "v = sigma'^2 (1 - sigma'^2 / sigma^2).",
    "So w = K^2 / (2 v) = (1 - sigma'^2 / sigma^2) / (2 sigma'^2): divide it out.",
)
@mistakes(
    lambda sigma, sigma_next: 1 / sigma_next**2 - 1 / sigma**2,
    "The divergence of two Gaussians of one variance v is the squared distance over 2 v.",
    lambda sigma, sigma_next: (1 - sigma_next**2 / sigma**2) ** 2 / 2,
    "That is K^2 / 2. The divergence also divides by the variance of the kernel.",
    lambda sigma, sigma_next: (1 / sigma**2 - 1 / sigma_next**2) / 2,
    "A divergence is not negative: which of the two levels has the larger signal-to-noise?",
    lambda sigma, sigma_next: sigma**2 * (1 / sigma_next**2 - 1 / sigma**2) / 2,
    "That is the weight of the error of the noise: x_0 - x_theta is sigma times as large.",
    lambda sigma, sigma_next: (1 - sigma_next**2 / sigma**2) ** 2 / (2 * sigma_next**2),
    "The variance of the kernel is beta-tilde, not the whole sigma'^2.",
)
def weight_in_the_unit_of_the_image(answer: Answer) -> Cases:
    for sigma, sigma_next in ((2.0, 1.0), (0.7, 0.6), (157.0, 3.1)):
        c = ddim_coefficients(sigma, sigma_next, eta_ddim=1.0)
        want = float(c.x0**2 / (2 * c.noise**2))
        yield f"sigma = {sigma:g}, sigma' = {sigma_next:g}", answer(sigma, sigma_next), want


def _x0_hat(x: Tensor, sigma: float, v: Tensor) -> Tensor:
    return (x - sigma * math.sqrt(1 + sigma**2) * v) / (1 + sigma**2)


@question("04.2", "The score of a velocity network", kind="code", part="a", of="x, sigma, v")
@hints(
    "First find x0_hat from x and v, then apply Tweedie's formula.",
    "x and v are two equations for x_0 and eps: x = x_0 + sigma eps and "
    "sqrt(1 + sigma^2) v = eps - sigma x_0.",
    "x0_hat = (x - sigma sqrt(1 + sigma^2) v) / (1 + sigma^2); score = (x0_hat - x) / sigma^2.",
)
@mistakes(
    _x0_hat,
    "That is the predicted image. The score is (x0_hat - x) / sigma^2.",
    lambda x, sigma, v: (x - _x0_hat(x, sigma, v)) / sigma**2,
    "The score points towards the data, from x to x0_hat: the sign is wrong.",
    lambda x, sigma, v: (_x0_hat(x, sigma, v) - x) / sigma,
    "That is minus the predicted noise: the score is -eps / sigma.",
    lambda x, sigma, v: (x - sigma * v - x) / sigma**2,
    "v is not eps: x_0 = x - sigma eps, and v contains x_0 as well.",
    lambda x, sigma, v: ((x - sigma * v) / math.sqrt(1 + sigma**2) - x) / sigma**2,
    "x_0 = sqrt(abar) x_t - sqrt(1 - abar) v takes the slides' x_t, but here x is x_0 + sigma eps: "
    "divide it by sqrt(1 + sigma^2) first.",
    lambda x, sigma, v: -(x - math.sqrt(1 + sigma**2) / sigma * v) / (1 + sigma**2),
    "The sign of v: v = sqrt(abar) eps - sqrt(1 - abar) x_0, and more noise means a lower score.",
)
def score_of_a_velocity_network(answer: Answer) -> Cases:
    x = tensor([[0.4, -1.3, 2.2]])
    v = tensor([[-0.6, 0.9, 0.15]])
    for sigma in (1.0, 0.3, 2.5):
        want = score_from_x0(x, sigma, x0_from_v(x, sigma, v))
        got = answer(x, sigma, v)
        yield f"sigma = {sigma:g}, x = [0.4, -1.3, 2.2], v = [-0.6, 0.9, 0.15]", got, want


def _std(abar: float, abar_next: float) -> float:
    return math.sqrt((1 - abar_next) / (1 - abar) * (1 - abar / abar_next))


def _right(abar: float, abar_next: float, eta: float) -> float:
    return eta * _std(abar, abar_next)


def _step(
    std: Answer = _right, kept: Answer | None = None, *, fresh: float = 1.0, shrunk: bool = True
) -> Answer:
    """DDIM with another deviation of its noise, weight of eps, share of fresh noise or scale."""

    def step(
        x: Tensor, eps: Tensor, abar: float, abar_next: float, eta: float, z: Tensor
    ) -> Tensor:
        x0_hat = (x - math.sqrt(1 - abar) * eps) / math.sqrt(abar)
        noise = std(abar, abar_next, eta)
        weight = kept(abar_next) if kept else math.sqrt(1 - abar_next - noise**2)
        return (math.sqrt(abar_next) if shrunk else 1.0) * x0_hat + weight * eps + fresh * noise * z

    return step


@question(
    "04.3",
    "DDIM in the coordinates of the slides",
    kind="code",
    part="b",
    of="x, eps, abar, abar_next, eta, z",
)
@hints(
    "x_t is again sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, but the noise is partly old.",
    "The old noise, eps, and the fresh one, z, share the variance 1 - abar_t.",
    "With v = eta^2 beta-tilde: x_t = sqrt(abar_t) x_theta + sqrt(1 - abar_t - v) eps + sqrt(v) z.",
)
@mistakes(
    _step(kept=lambda abar_next: math.sqrt(1 - abar_next)),
    "The two noises together have more than the variance 1 - abar_t: keep less of eps.",
    _step(lambda abar, abar_next, eta: math.sqrt(eta) * _std(abar, abar_next)),
    "The variance is eta^2 beta-tilde, but yours is eta beta-tilde.",
    _step(lambda abar, abar_next, eta: eta * math.sqrt(1 - abar_next)),
    "Your fresh noise has the variance eta^2 (1 - abar_t). That is DDRM's eta; DDIM's is relative "
    "to beta-tilde.",
    _step(fresh=0.0),
    "The fresh noise z is missing, though you made room for it.",
    _step(shrunk=False),
    "The slides' x_t contains sqrt(abar_t) x_0, not x_0 itself.",
    _step(kept=lambda abar_next: math.sqrt(1 - abar_next), fresh=0.0),
    "That is the step for eta = 0: the share of eta is missing.",
)
def ddim_in_the_coordinates_of_the_slides(answer: Answer) -> Cases:
    x = tensor([0.4, -1.3])
    eps = tensor([-0.6, 0.9])
    z = tensor([1.2, 0.5])
    for abar, abar_next, eta in ((0.5, 0.8, 0.0), (0.5, 0.8, 0.6), (0.1, 0.45, 1.0)):
        sigma, sigma_next = math.sqrt(1 / abar - 1), math.sqrt(1 / abar_next - 1)
        c = ddim_coefficients(sigma, sigma_next, eta_ddim=eta)
        ve = to_ve(x, sigma)
        want = to_vp(c.x0 * x0_from_eps(ve, sigma, eps) + c.xt * ve + c.noise * z, sigma_next)
        got = answer(x, eps, abar, abar_next, eta, z)
        yield f"abar = {abar:g}, abar_next = {abar_next:g}, eta = {eta:g}", got, want

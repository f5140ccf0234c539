"""Exercises of lecture 05: repeated detectors, noise of the pseudo-inverse, a common cause."""

from __future__ import annotations

import math

import torch

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, normal, question, tensor
from ddrm_edu.gaussian import Gaussian, GaussianNetwork
from ddrm_edu.operators import Dense


@question("05.1", "The same detector r times", kind="paper", of="r, length, sigma_y")
@hints(
    "First find the positive singular value: what is H^T H?",
    "H^T H = r a a^T, whose only positive eigenvalue is r times the square of the length.",
    "s_1 = sqrt(r) length, and the noise of ybar^1 has standard deviation sigma_y / s_1.",
)
@mistakes(
    lambda r, length, sigma_y: sigma_y / length,
    "That is one detector. Repeated measurements average their noise: where is r?",
    lambda r, length, sigma_y: sigma_y / (r * length),
    "r is an eigenvalue of H^T H there, and s_1 is its square root.",
    lambda r, length, sigma_y: sigma_y**2 / (r * length**2),
    "That is the variance; the standard deviation is asked for.",
    lambda r, length, sigma_y: math.sqrt(r) * length * sigma_y,
    "ybar has the noise divided by s_1, not multiplied by it.",
    lambda r, length, sigma_y: sigma_y / math.sqrt(r),
    "That is the noise of the mean of y. It is divided by the length of the row as well.",
    lambda r, length, sigma_y: math.sqrt(r) * sigma_y / length,
    "Repeating a measurement makes the noise smaller.",
    lambda r, length, sigma_y: sigma_y / (math.sqrt(r) * length**2),
    "The length is divided by once: H^T H has length^2, and s_1 is the root.",
)
def repeated_detector(answer: Answer) -> Cases:
    for r, row in ((1, [0.8, 0.0]), (3, [1.2, -0.5]), (5, [0.3, 0.4, -1.2])):
        H = tensor([row] * r)
        length = float(tensor(row).norm())
        noise = 0.3 / Dense(H).s.max()
        yield f"r = {r}, length = {length:.2f}, sigma_y = 0.3", answer(r, length, 0.3), noise


@question("05.2", "The noise of the pseudo-inverse", kind="code", of="H, sigma_y")
@hints(
    "H^+ y = H^+ H x_0 + H^+ z, and the covariance of a matrix times z is that matrix on both "
    "sides of the covariance of z.",
    "It is sigma_y^2 H^+ (H^+)^T = sigma_y^2 V Sigma^+ Sigma^+T V^T.",
    "P = torch.linalg.pinv(H), which cuts off singular values that are rounding; then "
    "sigma_y**2 * P @ P.T.",
)
@mistakes(
    lambda H, sigma_y: sigma_y**2 * torch.linalg.inv(H.T @ H),
    "(H^T H)^-1 is right if H has full column rank; here H^T H may be singular.",
    lambda H, sigma_y: sigma_y**2 * H.T @ H,
    "That amplifies what was measured well. The noise is divided by s, not multiplied.",
    lambda H, sigma_y: sigma_y * torch.linalg.pinv(H) @ torch.linalg.pinv(H).T,
    "A covariance has the square of sigma_y.",
    lambda H, sigma_y: sigma_y**2 * torch.linalg.pinv(H).T @ torch.linalg.pinv(H),
    "That is (m, m), a covariance of measurements. Exchange the two factors.",
    lambda H, sigma_y: sigma_y**2 * torch.linalg.pinv(H) @ H,
    "H^+ H is the projection on what was measured. Where is the amplification by 1 / s?",
    lambda H, sigma_y: (sigma_y**2 * torch.linalg.pinv(H) @ torch.linalg.pinv(H).T).diagonal(),
    "These are the variances of the pixels. A covariance is a matrix.",
    lambda H, sigma_y: sigma_y**2 * torch.eye(H.shape[1], dtype=H.dtype),
    "That is the noise if H is orthogonal. H^+ amplifies each direction by 1 / s.",
)
def noise_of_the_pseudo_inverse(answer: Answer) -> Cases:
    for m, n, rank in ((3, 2, 2), (2, 4, 2), (5, 4, 2)):
        H = normal(m, m, rank) @ normal(10 + n, rank, n)
        op, sigma_y = Dense(H), 0.3
        to_pixels = op.pinv(torch.eye(m, dtype=torch.float64)).T
        noise = Gaussian(torch.zeros(m), torch.eye(m, dtype=torch.float64) * sigma_y**2)
        yield f"H of shape ({m}, {n}), rank {rank}", answer(H, sigma_y), noise.push(to_pixels).cov


@question("05.3", "Who does not know y", kind="paper", of="a1, a2, a3, b, sigma_2")
@hints(
    "Write x_1, x_2, x_3 given x_0 as combinations of xi_y, xi_1, xi_2, xi_3.",
    "Cov(x_i, x_j | x_0) = a_i a_j b for different levels, and Var(x_2 | x_0) = sigma_2^2.",
    "Cov(x_3, x_1 | x_2, x_0) = C_31 - C_32 C_21 / C_22.",
)
@mistakes(
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b,
    "That is the covariance before x_2 is known.",
    lambda a1, a2, a3, b, sigma_2: 0.0,
    "They are independent if y is known as well. Here it is a common cause.",
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / (sigma_2**2 + b)),
    "Var(x_2 | x_0) is sigma_2^2 in all: the noise of ybar is a part of it.",
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 + a2**2 * b / sigma_2**2),
    "Knowing x_2 explains a part of the covariance: it is subtracted.",
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / (sigma_2**2 - a2**2 * b)),
    "sigma_2^2 - a_2^2 b is the variance of x_2 given y too; here y is not known.",
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2 * b / sigma_2**2),
    "x_2 enters with two covariances, a_3 a_2 b and a_2 a_1 b: a_2 is squared.",
    lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 * b / sigma_2),
    "Divide by the variance of x_2, sigma_2^2.",
)
def who_does_not_know_y(answer: Answer) -> Cases:
    for a1, a2, a3, b, sigmas in (
        (0.5, 0.0, 0.8, 0.2, (0.9, 1.4, 3.0)),
        (0.7, 0.9, 1.1, 0.3, (0.8, 1.2, 2.5)),
        (0.4, 1.6, 0.3, 0.5, (1.1, 1.3, 1.9)),
    ):
        network = GaussianNetwork()
        network.add("x0", offset=[0.0])
        network.add("y", {"x0": 1.0}, cov=b)
        for name, a, sigma in zip(("x1", "x2", "x3"), (a1, a2, a3), sigmas, strict=True):
            network.add(name, {"x0": 1 - a, "y": a}, cov=sigma**2 - a**2 * b)
        cov = network.conditional(["x3", "x1"], {"x0": [0.0], "x2": [0.0]}).cov
        description = f"a = ({a1}, {a2}, {a3}), b = {b}, sigma_2 = {sigmas[1]}"
        yield description, answer(a1, a2, a3, b, sigmas[1]), cov[0, 1]

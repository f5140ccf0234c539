"""Lecture 08: steps of case 1, the last kernel's variance, the memory of the chain."""

from __future__ import annotations

import itertools
import math

import torch

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.ddrm import ddrm_coefficients
from ddrm_edu.elbo import ddrm_nelbo
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.law import inference_network
from ddrm_edu.operators import Inpainting
from ddrm_edu.priors import GaussianPrior

_LEVELS = tensor([9.0, 2.0, 0.75, 0.5, 0.125, 0.0])


@question(
    "08.1", "How long does a coordinate listen?", kind="code", part="a", of="s, sigma_y, sigmas"
)
@hints(
    "Case 1 asks for s > 0 and s sigma_t >= sigma_y, with sigma_t the level after the step.",
    "The levels that are entered are sigmas[1:], the final 0 among them.",
    "int(((sigmas[1:] * s >= sigma_y) & (s > 0)).sum()).",
)
@mistakes(
    lambda s, sigma_y, sigmas: int(((sigmas[1:] * s > sigma_y) & (s > 0)).sum()),
    "The boundary belongs to case 1: >=, also in the last step of a noiseless run.",
    lambda s, sigma_y, sigmas: int(((sigmas[:-1] * s >= sigma_y) & (s > 0)).sum()),
    "The condition is on the level that is entered, not on the one that is left.",
    lambda s, sigma_y, sigmas: int(((sigmas * s >= sigma_y) & (s > 0)).sum()),
    "The start at sigmas[0] is no step: N + 1 levels make N steps.",
    lambda s, sigma_y, sigmas: int((sigmas[1:] * s >= sigma_y).sum()),
    "With s = 0 nothing was measured: that is case 3 even if sigma_y = 0.",
    lambda s, sigma_y, sigmas: int(((sigmas[1:] >= sigma_y * s) & (s > 0)).sum()),
    "The deviation of y-bar is sigma_y / s: the smaller s, the noisier the measurement.",
    lambda s, sigma_y, sigmas: int(((sigmas[1:] >= sigma_y) & (s > 0)).sum()),
    "ybar has the deviation sigma_y / s: where is s?",
    lambda s, sigma_y, sigmas: int(((sigmas[1:] * s < sigma_y) & (s > 0)).sum()),
    "These are the steps of case 2.",
)
def steps_in_case_1(answer: Answer) -> Cases:
    for s, sigma_y in ((1.0, 0.3), (0.5, 0.25), (0.4, 0.3), (0.7, 0.0), (0.0, 0.3), (0.0, 0.0)):
        steps = [
            ddrm_coefficients(torch.tensor(s), *pair, sigma_y, eta=0.5, eta_b=1.0).y == 1
            for pair in itertools.pairwise(_LEVELS)
        ]
        yield f"s = {s}, sigma_y = {sigma_y}", answer(s, sigma_y, _LEVELS), int(sum(steps))


@question("08.2", "The best variance for the last kernel", kind="paper", part="a", of="error, n")
@hints(
    "Write the term as a function of v_0 and set its derivative to 0.",
    "The term is error / (2 v) + n / 2 log(2 pi v); it is smallest at v = error / n.",
    "Put v = error / n back: the first part becomes n / 2.",
)
@mistakes(
    lambda error, n: error / n,
    "That is where the term is smallest. Put it back into the term: how small is it?",
    lambda error, n: n / 2 * math.log(2 * math.pi * error / n),
    "The quadratic part is not 0 at the best v_0: it is n / 2.",
    lambda error, n: n / 2 + n / 2 * math.log(2 * math.pi * error),
    "The best v_0 is the mean squared error of one pixel: divide by n.",
    lambda error, n: 0.5 + 0.5 * math.log(2 * math.pi * error / n),
    "That is the share of one pixel. There are n of them.",
    lambda error, n: n / 2 + n / 2 * math.log(error / n),
    "The density of a Gaussian has the factor 1 / sqrt(2 pi v): where is 2 pi?",
    lambda error, n: n + n * math.log(2 * math.pi * error / n),
    "The logarithm of a Gaussian density has a factor 1/2 in both of its parts.",
    lambda error, n: -n / 2 - n / 2 * math.log(2 * math.pi * error / n),
    "The term is *minus* the expected logarithm of the density.",
)
def smallest_last_term(answer: Answer) -> Cases:
    for variance, n in ((1.0, 1), (0.25, 3)):
        op = Inpainting(torch.arange(n) < 1)
        prior = GaussianPrior(torch.zeros(n), variance * torch.eye(n))
        error = n * variance * 0.5**2 / (variance + 0.5**2)
        levels, var_0 = tensor([4.0, 0.5, 0.0]), error / n
        bound = ddrm_nelbo(prior, op, levels, sigma_y=0.1, eta=0.85, eta_b=0.9, var_0=var_0)
        yield f"error = {error:g}, n = {n}", answer(error, n), bound.last


@question("08.3", "How far back does a state remember?", kind="paper", part="b", of="case, eta, k")
@hints(
    "Write x_t - x_0 as a sum: what it shares with the state before, and fresh noise.",
    "In case 2 every state has the share sqrt(1 - eta^2) of the one noise of y-bar.",
    "In case 3 each step multiplies the correlation by sqrt(1 - eta^2), k steps in all.",
)
@mistakes(
    lambda case, eta, k: math.sqrt(1 - eta**2) ** k,
    "Right for case 3. In case 2 the states see y-bar, not each other: k does not matter.",
    lambda case, eta, k: 1 - eta**2,
    "Right for case 2. In case 3 every step forgets a little more: k matters.",
    lambda case, eta, k: (1 - eta**2) if case == 2 else (1 - eta**2) ** k,
    "Case 2 is right. In case 3 one step keeps the share sqrt(1 - eta^2), not 1 - eta^2.",
    lambda case, eta, k: math.sqrt(1 - eta**2) if case == 2 else (1 - eta**2) ** (k / 2),
    "Case 3 is right. In case 2 both states have the share sqrt(1 - eta^2) of y-bar's noise: "
    "multiply the two.",
    lambda case, eta, k: (1 - eta**2) if case == 3 else (1 - eta**2) ** (k / 2),
    "The two cases are exchanged: in case 3 there is no y-bar, and a state looks at the one above.",
    lambda case, eta, k: (1 - eta) ** 2 if case == 2 else (1 - eta) ** k,
    "What is kept is sqrt(1 - eta^2), not 1 - eta: variances add up.",
    lambda case, eta, k: 0.0 if case == 2 else (1 - eta**2) ** (k / 2),
    "Case 3 is right. In case 2 the states are independent given y, but y is not given.",
)
def correlation_of_states(answer: Answer) -> Cases:
    levels = tensor([5.0, 2.0, 1.1, 0.7, 0.2, 0.0])
    for case, eta, k in ((3, 0.6, 1), (2, 0.6, 1), (3, 0.85, 3), (2, 0.85, 2)):
        s = tensor([0.1 if case == 2 else 0.0])
        x0 = Gaussian(torch.zeros(1), torch.zeros(1, 1))
        chain = inference_network(x0, s, levels, sigma_y=0.3, eta=eta, eta_b=1.0)
        cov = chain.joint("x1", f"x{1 + k}").cov
        want = cov[0, 1] / (cov[0, 0] * cov[1, 1]).sqrt()
        yield f"case {case}, eta = {eta}, k = {k}", answer(case, eta, k), want

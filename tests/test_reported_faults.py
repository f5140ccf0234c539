"""Faults that were reported of other packages, as wrong versions of our own: exact laws find them.

deepinv, pull request 1343 (August 2026): the rate of the noise level of its variance-preserving
equation lacked a factor 2, and sampling never converged.  Pull request 1413 (September 2026): a
wrapper that shows denoisers made for images on [0, 1] the images of a sampler on [-1, 1] was
ignored by mistake.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ddrm_edu import Denoising, GaussianPrior, NoiseSchedule, ddpm_samples, gap, law_of
from ddrm_edu.law import posterior_law

A = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SHAPE = (1, 2, 2)
PRIOR = GaussianPrior(torch.tensor([[[0.3, -0.4], [0.0, 0.1]]]), A @ A.T / 4)
NOTHING = Denoising(SHAPE)  # y is not looked at; sigma_y is so large that it says nothing
SIGMA_Y = 1e6


def distance(sampler) -> float:
    """Relative W2 between what the sampler draws and the prior."""
    law = law_of(sampler, PRIOR, NOTHING, sigma_y=SIGMA_Y)
    return gap(law, posterior_law(PRIOR, NOTHING, sigma_y=SIGMA_Y)).relative_w2


def flow(steps: int, rate: float = 1.0):
    """Euler steps of the flow of the variance-preserving equation, from t = 1 to 1e-3.

    With a(t) = exp(-b(t) / 2) and sigma = sqrt(1 / a^2 - 1), x' = a' x / a + a sigma' (x / a -
    x0_hat) / sigma; ``rate`` is that of sigma'.
    """
    b, slope = (lambda t: 0.1 * t + 9.95 * t**2), (lambda t: 0.1 + 19.9 * t)
    times = torch.linspace(1, 1e-3, steps + 1, dtype=torch.float64).tolist()

    def sampler(denoiser, op, y, *, generator):
        x = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        for t, t_next in itertools.pairwise(times):
            a = math.exp(-b(t) / 2)
            sigma = math.sqrt(1 / a**2 - 1)
            sigma_slope = rate * slope(t) / (2 * a**2 * sigma)
            move = -slope(t) / 2 * x + a * sigma_slope * (x / a - denoiser(x / a, sigma)) / sigma
            x = x + (t_next - t) * move
        return x

    return sampler


def test_a_noise_level_that_moves_half_as_fast_never_converges():
    right, wrong = ([distance(flow(steps, rate)) for steps in (100, 400)] for rate in (1.0, 0.5))
    assert right[1] < right[0] / 2
    assert wrong[1] > 0.9 * wrong[0]
    assert wrong[1] > 100 * right[1]


def on_0_to_1(x, sigma):
    """The same denoiser for images (x + 1) / 2, as other packages have them."""
    return (PRIOR(2 * x - 1, 2 * sigma) + 1) / 2


def wrapped(x, sigma):
    return 2 * on_0_to_1((x + 1) / 2, sigma / 2) - 1


@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_a_denoiser_on_another_scale_is_shown_its_own(sigma):
    x = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert (wrapped(x, sigma) - PRIOR(x, sigma)).abs().max() < 1e-14
    assert (on_0_to_1(x, sigma) - PRIOR(x, sigma)).abs().max() > 0.1


def test_a_wrapper_of_the_scale_that_is_left_out_gives_another_law():
    levels = NoiseSchedule.linear().sigmas(200)

    def with_denoiser(denoiser):
        def sampler(_, op, y, *, generator):
            shape = (len(y), *op.in_shape)
            return ddpm_samples(denoiser, shape, levels, generator=generator, dtype=y.dtype)

        return sampler

    right = distance(with_denoiser(PRIOR))
    assert distance(with_denoiser(wrapped)) == pytest.approx(right, abs=1e-9)
    assert distance(with_denoiser(on_0_to_1)) > 10 * right

"""Wrong versions are caught: each is handed to the law that the ordinary tests ask of the library.

A test that passes proves nothing unless it can fail.  Every row below is a small change that a
student or a hasty implementer makes (numbers M.. are those of the ledger, section 5); the
law named in the row must see it clearly, and must find the library's own version exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from laws import (
    GaussianCase,
    consistency_error,
    ddpm_law_error,
    ddrm_law,
    default_schedule,
    eps_denoiser_error,
    jump_kernel_error,
    law_distance,
    literal_algorithm_2,
    marginal_error,
    matrix_error,
    noise_loss_error,
    orthogonality_error,
    posterior_kernel_error,
    probed_law,
    random_case,
    row_by_row,
    sampler_law_error,
    schedule_error,
    spectral_measurement_error,
    vp_error,
    x0_round_trip_error,
)
from oracles import (
    blur_decimation_matrix,
    blur_matrix,
    fourier_mask_matrix,
    inpainting_matrix,
    stacked_matrix,
    super_resolution_matrix,
    weighted_matrix,
)
from wrong_tables import (
    COEFFICIENTS,
    ETAS,
    LEVELS,
    SIGMA_Y,
    S,
    coefficients_with,
    identities,
    marginals,
    marginals_without_noise,
    pairs,
    strict_boundary,
    table,
)

from ddrm_edu import (
    BlurDecimation,
    Denoising,
    Dense,
    Diagonal,
    EpsDenoiser,
    FourierMask,
    NoiseSchedule,
    Stacked,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    WeightedRows,
    ddpm_samples,
    ddrm_coefficients,
    ddrm_samples,
)
from ddrm_edu import ddrm as ddrm_module
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu.ddpm import ddim_coefficients
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.denoisers import x0_from_eps
from ddrm_edu.diffusion import StepCoefficients, diffusion_steps
from ddrm_edu.elbo import noise_loss
from ddrm_edu.schedule import to_vp

CAUGHT, EXACT = 1e-3, 1e-10

CASE = random_case(6, 5, 3, 0.2, seed=0)
SCHEDULE = default_schedule()


class Row(NamedTuple):
    """A wrong version, the right one, and the law that tells them apart."""

    law: Callable[[Callable], float]
    wrong: Callable
    right: Callable


# ---------------------------------------------------------------- laws with all arguments but one


def marginals_from(start) -> float:
    return marginal_error(ddrm_coefficients, start, S, LEVELS, SIGMA_Y, **ETAS)


def law_of_output(samples) -> float:
    return sampler_law_error(samples, CASE, LEVELS, **ETAS)


def law_of_ddpm(samples) -> float:
    return ddpm_law_error(samples, CASE.mean, CASE.cov, LEVELS, eta_ddim=1.0)


def consistency(samples) -> float:
    op = Dense(CASE.H)
    x0 = torch.randn(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return consistency_error(samples, op, x0, LEVELS, eta=0.6)


def posterior_kernel(coefficients) -> float:
    return max(posterior_kernel_error(coefficients, *pair) for pair in pairs())


def alpha_bar(of_beta) -> float:
    return schedule_error(of_beta, NoiseSchedule.linear(50, 0.01, 0.3).beta)


def jump_kernel(jump) -> float:
    return jump_kernel_error(jump, SCHEDULE)


def x0_round_trip(x0_from_eps) -> float:
    return x0_round_trip_error(x0_from_eps, SCHEDULE)


def eps_denoiser(make) -> float:
    return eps_denoiser_error(make, SCHEDULE)


def noise_weight(loss) -> float:
    return noise_loss_error(lambda schedule, t, variance: loss(schedule, t), SCHEDULE, 1.0)


def noise_loss_of_a_wider_kernel(loss) -> float:
    return noise_loss_error(loss, SCHEDULE, 1.4)


def vp_equals_ve(algorithm) -> float:
    return vp_error(algorithm, CASE, SCHEDULE, 6, **ETAS)


# ------------------------------------------------------------------------------ wrong starts


def start_without_the_noise_of_y(s, sigma, sigma_y):
    c = ddrm_start_coefficients(s, sigma, sigma_y)
    return c._replace(noise=torch.full_like(c.noise, float(sigma)))


def start_at_every_measurement(s, sigma, sigma_y):
    """E5 forgotten, the negative variance hidden by a clamp."""
    spread = torch.where(s > 0, sigma_y / s, 0)
    y = (s > 0).double()
    return StepCoefficients(1 - y, 0 * y, y, (sigma**2 - spread**2).clamp(min=0).sqrt())


def marginals_from_a_low_level(start) -> float:
    return marginal_error(ddrm_coefficients, start, S, [2.0, 0.7, 0.0], SIGMA_Y, **ETAS)


# -------------------------------------------------------------------------------- wrong samplers


def sampler_with(coefficients) -> Callable:
    """ddrm_samples on another table."""

    def samples(*args, **kwargs):
        with mock.patch.object(ddrm_module, "ddrm_coefficients", row_by_row(coefficients)):
            yield from ddrm_samples(*args, **kwargs)

    return samples


def _with_noise(change: Callable) -> Callable:
    """ddrm_samples with its noise changed: ``change(draw, like)``, where draw() is the next one."""

    def samples(*args, **kwargs):
        true = diffusion_module.standard_normal  # the known noise of the law, or the real one

        def noise(like, generator=None):
            return change(lambda: true(like, generator), like)

        with (
            mock.patch.object(diffusion_module, "standard_normal", noise),
            mock.patch.object(ddrm_module, "standard_normal", noise),
        ):
            yield from ddrm_samples(*args, **kwargs)

    return samples


def one_number_for_all_coordinates(draw, like):
    return draw()[:, :1].repeat(1, like.shape[1])


def noise_reused(*args, **kwargs):
    memory = []

    def first_draw_again(draw, like):
        memory.append(draw() if len(memory) < 2 else memory[-1])  # start, then one for all steps
        return memory[-1]

    yield from _with_noise(first_draw_again)(*args, **kwargs)


def start_noise_reused(*args, **kwargs):
    memory = []

    def start_draw_again(draw, like):
        memory.append(memory[0] if len(memory) == 1 else draw())
        return memory[-1]

    yield from _with_noise(start_draw_again)(*args, **kwargs)


def no_noise_after_the_start(*args, **kwargs):
    draws = itertools.count()
    silent = lambda draw, like: draw() * (next(draws) == 0)  # noqa: E731
    yield from _with_noise(silent)(*args, **kwargs)


def denoiser_at(change: Callable) -> Callable:
    """ddrm_samples whose denoiser is called with another image or level: ``change(x, sigma)``."""

    def samples(denoiser, op, y, sigmas, **kwargs):
        return ddrm_samples(lambda x, s: denoiser(*change(x, s)), op, y, sigmas, **kwargs)

    return samples


def _level_below(x, sigma):
    place = LEVELS.index(float(sigma))
    return x, (LEVELS[place + 1] or 1e-3)


def measurement_as(change: Callable) -> Callable:
    """ddrm_samples on another y or claim about its noise: ``change(y, sigma_y, op)``."""

    def samples(denoiser, op, y, sigmas, *, sigma_y, **kwargs):
        y, sigma_y = change(y, sigma_y, op)
        return ddrm_samples(denoiser, op, y, sigmas, sigma_y=sigma_y, **kwargs)

    return samples


def noise_in_pixels_of_the_spectrum(*args, **kwargs):
    """V forgotten on the way to the network: spectral coordinates shown as an image."""
    true = diffusion_steps

    def without_v(denoiser, x_spec, levels, coefficients, **kwargs):
        kwargs |= {"to_pixels": lambda x: x, "to_spec": lambda x: x}
        return true(denoiser, x_spec, levels, coefficients, **kwargs)

    with mock.patch.object(ddrm_module, "diffusion_steps", without_v):
        yield from ddrm_samples(*args, **kwargs)


def transposed_v(*args, **kwargs):
    true = diffusion_steps

    def swapped(denoiser, x_spec, levels, coefficients, *, to_pixels, to_spec, **kwargs):
        kwargs |= {"to_pixels": to_spec, "to_spec": to_pixels}
        return true(denoiser, x_spec, levels, coefficients, **kwargs)

    with mock.patch.object(ddrm_module, "diffusion_steps", swapped):
        yield from ddrm_samples(*args, **kwargs)


def prediction_clipped(denoiser, *args, **kwargs):
    """Clipping to [-1, 1], as many codes do: the sampler is no longer affine."""
    return ddrm_samples(lambda x, s: denoiser(x, s).clamp(-1, 1), *args, **kwargs)


SAMPLERS = {
    "M26 injected noise divided by sqrt 2": (
        law_of_output,
        _with_noise(lambda draw, like: draw() / math.sqrt(2)),
    ),
    "M27 one scalar noise broadcast over the coordinates": (
        law_of_output,
        _with_noise(one_number_for_all_coordinates),
    ),
    "noise reused in every step": (law_of_output, noise_reused),
    "noise of the start used again in the first step": (law_of_output, start_noise_reused),
    "no noise after the start": (law_of_output, no_noise_after_the_start),
    "denoiser called at the level that is entered": (law_of_output, denoiser_at(_level_below)),
    "denoiser called at the variance": (law_of_output, denoiser_at(lambda x, s: (x, s**2))),
    "denoiser given the variance-preserving image": (
        law_of_output,
        denoiser_at(lambda x, s: (to_vp(x, s), s)),
    ),
    "measurement ignored": (
        law_of_output,
        measurement_as(lambda y, sigma_y, op: (torch.zeros_like(y), sigma_y)),
    ),
    "noise of the measurement doubled": (
        law_of_output,
        measurement_as(lambda y, sigma_y, op: (y, 2 * sigma_y)),
    ),
    "sigma_y given as a variance": (
        law_of_output,
        measurement_as(lambda y, sigma_y, op: (y, sigma_y**2)),
    ),
    "eta and eta_b exchanged": (
        law_of_output,
        lambda *args, eta, eta_b, **kwargs: ddrm_samples(*args, eta=eta_b, eta_b=eta, **kwargs),
    ),
    "V forgotten": (law_of_output, noise_in_pixels_of_the_spectrum),
    "V and its transpose exchanged": (law_of_output, transposed_v),
    "M19 in the sampler": (
        law_of_output,
        sampler_with(
            coefficients_with(variance_1=lambda level, eta_b, tau: level**2 - eta_b * tau**2)
        ),
    ),
    "X13 in the sampler": (
        law_of_output,
        sampler_with(coefficients_with(case_2=lambda s: s >= 0)),
    ),
    "M33 strict > at the boundary": (consistency, sampler_with(strict_boundary)),
    "noiseless measurement only pulled towards": (
        consistency,
        lambda *args, eta_b, **kwargs: ddrm_samples(*args, eta_b=0.99, **kwargs),
    ),
    "last level not 0 but 0.01": (
        consistency,
        lambda denoiser, op, y, sigmas, **kwargs: itertools.islice(
            ddrm_samples(denoiser, op, y, [*sigmas[:-1], 0.01, 0.0], **kwargs), len(sigmas) - 1
        ),
    ),
}


# ------------------------------------------------------------------------------ DDPM and the rest


def ddpm_with(coefficients) -> Callable:
    """ddpm_samples on another step."""

    def samples(denoiser, shape, sigmas, *, eta_ddim, dtype):
        start = sigmas[0] * diffusion_module.standard_normal(torch.empty(shape, dtype=dtype))
        levels = torch.tensor(sigmas, dtype=torch.float64)
        table = (coefficients(*pair, eta_ddim=eta_ddim) for pair in itertools.pairwise(levels))
        return diffusion_steps(denoiser, start, levels, table)

    return samples


def forward_variance(sigma, sigma_next, *, eta_ddim):
    """beta for beta-tilde (S05.2), in VE sigma_{t+1}^2 - sigma_t^2; noise in the last step, too."""
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=eta_ddim)
    return c._replace(noise=(torch.as_tensor(sigma) ** 2 - torch.as_tensor(sigma_next) ** 2).sqrt())


def ddrm_eta_for_ddim(sigma, sigma_next, *, eta_ddim):
    """X07: DDRM's eta in the place of DDIM's."""
    c = ddrm_coefficients(torch.zeros(()), sigma, sigma_next, 0.0, eta=eta_ddim, eta_b=1.0)
    return StepCoefficients(*c)


def no_noise(sigma, sigma_next, *, eta_ddim):
    c = ddim_coefficients(sigma, sigma_next, eta_ddim=eta_ddim)
    return c._replace(noise=torch.zeros_like(c.noise))


def _alpha_bar_without_its_one(beta):
    shifted = torch.cumprod(1 - beta[1:], 0)
    return torch.cat([shifted, shifted[-1:]])


def x0_with_alpha(x, sigma, eps):
    """M01: the slide's sqrt(alpha_{t+1}) for sqrt(alpha_bar_{t+1}), in VP coordinates."""
    t = SCHEDULE.nearest_t(sigma) if sigma else 0
    vp, alpha_bar_t = to_vp(x, sigma), SCHEDULE.alpha_bar[t]
    return (vp - (1 - alpha_bar_t).sqrt() * eps) / SCHEDULE.alpha[t].sqrt()


def residual_in_mixed_coordinates(*args):
    """M29: the VP image is not divided by sqrt(alpha_bar) before V^T."""
    return literal_algorithm_2(*args, to_ve=lambda x, a: x)


def literal_with_another_time(*args):
    """X08: the network called one step off its training index."""
    net, *rest = args
    return literal_algorithm_2(lambda x, t: net(x, (t - 1).clamp(min=0)), *rest)


def without_alpha(schedule, t):
    """M02, E2: the weight printed on slide 6."""
    loss = noise_loss(schedule, t)
    return loss._replace(weight=loss.weight * float(schedule.alpha[t + 1]))


def without_constant(schedule, t, variance):
    """E2: the slide's "=" holds up to a constant that vanishes for v = beta-tilde only."""
    return noise_loss(schedule, t, variance=variance)._replace(constant=0.0)


OTHERS = {
    "M02 weight of the noise loss without 1 / alpha": Row(noise_weight, without_alpha, noise_loss),
    "E2 constant of the noise loss dropped": Row(
        noise_loss_of_a_wider_kernel,
        without_constant,
        lambda schedule, t, variance: noise_loss(schedule, t, variance=variance),
    ),
    "beta in the place of beta-tilde": Row(
        law_of_ddpm, ddpm_with(forward_variance), ddpm_with(ddim_coefficients)
    ),
    "DDPM without fresh noise": Row(law_of_ddpm, ddpm_with(no_noise), ddpm_samples),
    "X07 DDRM's eta taken for DDIM's": Row(law_of_ddpm, ddpm_with(ddrm_eta_for_ddim), ddpm_samples),
    "X07 DDRM's eta is not the posterior kernel": Row(
        posterior_kernel, ddrm_eta_for_ddim, ddim_coefficients
    ),
    "S05.2 beta is not the posterior kernel's variance": Row(
        posterior_kernel, forward_variance, ddim_coefficients
    ),
    "M01 sqrt(alpha) for sqrt(alpha_bar)": Row(x0_round_trip, x0_with_alpha, x0_from_eps),
    "M04 alpha_bar without alpha_bar_0 = 1": Row(
        alpha_bar, _alpha_bar_without_its_one, lambda beta: NoiseSchedule(beta).alpha_bar
    ),
    "S03.3 product of beta": Row(
        alpha_bar,
        lambda beta: torch.cat([torch.ones(1), beta[1:].cumprod(0)]),
        lambda beta: NoiseSchedule(beta).alpha_bar,
    ),
    "S03.2 square roots missing in the jump": Row(
        jump_kernel,
        lambda x0, eps, sigma: (x0 + sigma**2 * eps) / (1 + sigma**2),
        lambda x0, eps, sigma: to_vp(x0 + sigma * eps, sigma),
    ),
    "S03.2 square root missing at the noise only": Row(
        jump_kernel,
        lambda x0, eps, sigma: to_vp(x0, sigma) + sigma**2 / (1 + sigma**2) * eps,
        lambda x0, eps, sigma: to_vp(x0 + sigma * eps, sigma),
    ),
    "X08 network one step late": Row(
        eps_denoiser,
        lambda net, schedule: EpsDenoiser(
            lambda x, t: net(x, (t + 1).clamp(max=schedule.T - 1)), schedule
        ),
        EpsDenoiser,
    ),
    "S19.1 network given the VE image": Row(
        eps_denoiser,
        lambda net, schedule: (
            lambda x, sigma: EpsDenoiser(net, schedule)(x * (1 + sigma**2) ** 0.5, sigma)
        ),
        EpsDenoiser,
    ),
    "M29 residual in mixed coordinates": Row(
        vp_equals_ve, residual_in_mixed_coordinates, literal_algorithm_2
    ),
    "X08 network at a neighbouring time": Row(
        vp_equals_ve, literal_with_another_time, literal_algorithm_2
    ),
}


# ------------------------------------------------------------------------------- wrong operators


class UndividedMeasurement(Dense):
    """M10: y-bar = U^T y."""

    def measure_spec(self, y):
        return self.Ut(y)


class ThinV(Dense):
    """M13: coordinates of the null space dropped."""

    def V(self, x):
        return super().V(x * (self.s > 0))

    def Vt(self, x):
        return super().Vt(x) * (self.s > 0)


class Permuted(SVDOperator):
    """Inpainting as on slide 20: kept pixels first, by a permutation."""

    def __init__(self, order: list[int], kept: int):
        self._order = torch.tensor(order)
        self.in_shape, self.out_shape = (len(order),), (kept,)
        self.s = (torch.arange(len(order)) < kept).double()

    def Vt(self, x):
        return x[:, self._order]

    def V(self, x):
        return torch.empty_like(x).index_copy_(1, self._order, x)

    def U(self, x):
        return x[:, : self.out_shape[0]].clone()

    def Ut(self, y):
        return torch.cat([y, y.new_zeros(len(y), self.n - self.m)], dim=1)


class InversePermuted(Permuted):
    """M40: P for its transpose."""

    Vt, V = Permuted.V, Permuted.Vt


class RotatedPatches(SVDOperator):
    """Slide 23 with V_k of an SVD routine, its null space turned, so that V_k is not symmetric."""

    def __init__(self, in_shape: tuple[int, int, int], factor: int):
        channels, height, width = in_shape
        self._grid = (channels, height // factor, factor, width // factor, factor)
        r2 = factor**2
        _, _, vt = np.linalg.svd(np.full((1, r2), 1 / r2))
        turn = np.linalg.qr(np.random.default_rng(0).standard_normal((r2 - 1, r2 - 1)))[0]
        vt[1:] = turn @ vt[1:]
        vt *= np.sign(vt[0, 0])
        self._vt = torch.as_tensor(vt)
        self.in_shape, self.out_shape = in_shape, (channels, height // factor, width // factor)
        self.s = torch.zeros(in_shape, dtype=torch.float64)
        self.s.view(-1, r2)[:, 0] = 1 / factor  # coordinates are listed patch by patch

    def Vt(self, x):
        patches = x.reshape(-1, *self._grid).permute(0, 1, 2, 4, 3, 5)
        return (patches.reshape(-1, len(self._vt)) @ self._vt.T).reshape(x.shape)

    def V(self, x):
        c, h, r, w, _ = self._grid
        patches = (x.reshape(-1, len(self._vt)) @ self._vt).reshape(-1, c, h, w, r, r)
        return patches.permute(0, 1, 2, 4, 3, 5).reshape(x.shape)

    def U(self, x):
        return x.reshape(len(x), -1, len(self._vt))[:, :, 0].reshape(len(x), *self.out_shape)

    def Ut(self, y):
        spec = y.new_zeros(y.numel(), len(self._vt))
        spec[:, 0] = y.flatten()
        return spec.reshape(len(y), *self.in_shape)


class TransposedBlocks(RotatedPatches):
    """M36: blocks V_k in the place of V_k^T."""

    def __init__(self, in_shape, factor):
        super().__init__(in_shape, factor)
        self._vt = self._vt.T.contiguous()


class TransposedV(Dense):
    """Both V and V^T of an SVD routine confused."""

    Vt, V = Dense.V, Dense.Vt


class TurnedBackwards(BlurDecimation):
    """The phase of every pair with the other sign."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._sin = -self._sin


class LongColumns(Stacked):
    """The U of the parts one below the other, without their shares."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._shares = [(share > 0).double() for share in self._shares]


class MisplacedWeights(WeightedRows):
    """The singular values of two patches with each other's weights."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.s = self.s.roll(2, -1)


class UnsignedBlur(SymmetricBlur):
    """The modulus of an eigenvalue in the place of the eigenvalue."""

    U, Ut = SymmetricBlur.V, SymmetricBlur.Vt


class UnscaledFourier(FourierMask):
    """The transform without norm="ortho"."""

    def Vt(self, x):
        return super().Vt(x) * self.s.numel() ** 0.5

    def V(self, x):
        return super().V(x) / self.s.numel() ** 0.5


class OtherOrder(Dense):
    """Singular values in another order than the coordinates (an invented mistake)."""

    def __init__(self, H):
        super().__init__(H)
        self.s = self.s.flip(0) if bool((self.s > 0).all()) else self.s.sort().values


KRON_A = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
KRON_B = np.array([[0.7, 0.3, 0.0, 0.0], [0.0, 0.2, 0.5, 0.3], [0.4, 0.0, 0.0, 0.6]])
ORDER = [2, 0, 3, 4, 1]  # not its own inverse
KEPT = np.eye(5)[ORDER[:3]]
BELL = np.array([[1.0, 2.0, 4.0, 2.0, 1.0]])
DISC = np.array([[1.0, -0.5, 1.0], [0.0, 0.3, 0.0], [1.0, -0.5, 1.0]])
KERNEL = np.array([[0.5, 0.3, -0.2], [0.1, 0.8, 0.1]])
SQUARE = random_case(4, 4, 4, 0.0, seed=1).H


def blur_of_rows_and_columns() -> np.ndarray:
    """X10: row-major vec(A X B^T), column by column from the two-sided product itself."""
    units = np.eye(12).reshape(12, 3, 4)
    return np.stack([(KRON_A @ unit @ KRON_B.T).ravel() for unit in units], axis=1)


def is_matrix(H: np.ndarray) -> Callable:
    """The law that an operator is this matrix."""
    return lambda op: matrix_error(op, H)


def measures(H: np.ndarray) -> Callable:
    """The law of y-bar given x_0 for this matrix."""
    return lambda op: spectral_measurement_error(op, H)


OPERATORS = {
    "M10 y-bar without Sigma^+": Row(measures(CASE.H), UndividedMeasurement(CASE.H), Dense(CASE.H)),
    "M13 thin V": Row(orthogonality_error, ThinV(CASE.H), Dense(CASE.H)),
    "M36 blocks V_k instead of V_k^T": Row(
        is_matrix(super_resolution_matrix((2, 4, 6), 2)),
        TransposedBlocks((2, 4, 6), 2),
        RotatedPatches((2, 4, 6), 2),
    ),
    "M36 the library's own blocks": Row(
        is_matrix(super_resolution_matrix((2, 4, 6), 2)),
        TransposedBlocks((2, 4, 6), 2),
        SuperResolution((2, 4, 6), 2),
    ),
    "M38 Kronecker product in the other order": Row(
        is_matrix(blur_of_rows_and_columns()),
        Dense(np.kron(KRON_B, KRON_A)),
        Dense(np.kron(KRON_A, KRON_B)),
    ),
    "M40 permutation for its inverse": Row(
        is_matrix(KEPT), InversePermuted(ORDER, 3), Permuted(ORDER, 3)
    ),
    "V and V^T confused": Row(is_matrix(SQUARE), TransposedV(SQUARE), Dense(SQUARE)),
    "singular values in another order": Row(is_matrix(SQUARE), OtherOrder(SQUARE), Dense(SQUARE)),
    "mean over a block not divided by its size": Row(
        is_matrix(4 * super_resolution_matrix((1, 4, 4), 2) / 2),
        SuperResolution((1, 4, 4), 2),
        Dense(2 * super_resolution_matrix((1, 4, 4), 2), (1, 4, 4), (1, 2, 2)),
    ),
    "a weight's sign lost": Row(
        is_matrix(np.diag([2.0, -0.5, 0.0])), Diagonal([2.0, 0.5, 0.0]), Diagonal([2.0, -0.5, 0.0])
    ),
    "a Fourier transform that is not orthonormal": Row(
        orthogonality_error,
        UnscaledFourier(np.ones((3, 4))),
        FourierMask(np.ones((3, 4))),
    ),
    "conjugate frequencies not turned in pairs": Row(
        is_matrix(blur_decimation_matrix((1, 6, 4), KERNEL, 2)),
        TurnedBackwards((1, 6, 4), KERNEL, 2),
        BlurDecimation((1, 6, 4), KERNEL, 2),
    ),
    "every second pixel, from the next one": Row(
        is_matrix(blur_decimation_matrix((1, 6, 4), KERNEL, 2)),
        BlurDecimation((1, 6, 4), np.pad(KERNEL, ((2, 0), (0, 0))), 2),
        BlurDecimation((1, 6, 4), KERNEL, 2),
    ),
    "weights of a stack forgotten": Row(
        is_matrix(stacked_matrix([np.diag([2.0, 0.5]), np.eye(2)], [3.0, 0.7])),
        Stacked([Diagonal([2.0, 0.5]), Denoising((2,))]),
        Stacked([Diagonal([2.0, 0.5]), Denoising((2,))], [3.0, 0.7]),
    ),
    "columns of a stack not of length 1": Row(
        measures(stacked_matrix([np.diag([2.0, 0.5]), np.eye(2)], [3.0, 0.7])),
        LongColumns([Diagonal([2.0, 0.5]), Denoising((2,))], [3.0, 0.7]),
        Stacked([Diagonal([2.0, 0.5]), Denoising((2,))], [3.0, 0.7]),
    ),
    "weights of rows in the order of y": Row(
        is_matrix(weighted_matrix(super_resolution_matrix((1, 2, 4), 2), [3.0, 0.5])),
        MisplacedWeights(SuperResolution((1, 2, 4), 2), [[[3.0, 0.5]]]),
        WeightedRows(SuperResolution((1, 2, 4), 2), [[[3.0, 0.5]]]),
    ),
    "the last pixel again and again, not its mirror": Row(
        is_matrix(blur_matrix((1, 4, 5), BELL, border="mirror")),
        Dense(blur_matrix((1, 4, 5), BELL, border="replicate"), (1, 4, 5), (1, 4, 5)),
        SymmetricBlur((1, 4, 5), BELL),
    ),
    "a negative eigenvalue without its sign": Row(
        is_matrix(blur_matrix((1, 4, 5), DISC, border="mirror")),
        UnsignedBlur((1, 4, 5), DISC),
        SymmetricBlur((1, 4, 5), DISC),
    ),
    "k-space that is not centred": Row(
        is_matrix(fourier_mask_matrix(np.ones((3, 4)), centred=True)),
        FourierMask(np.ones((3, 4))),
        FourierMask(np.ones((3, 4)), centred=True),
    ),
    "lost and kept pixels exchanged": Row(
        is_matrix(inpainting_matrix(np.array([True, False, True, False]))),
        Dense(inpainting_matrix(~np.array([True, False, True, False]))),
        Dense(inpainting_matrix(np.array([True, False, True, False]))),
    ),
}


# ----------------------------------------------------------------------------------- the tests

WRONG = {
    **{name: Row(law, wrong, ddrm_coefficients) for name, (law, wrong) in COEFFICIENTS.items()},
    **{name: Row(law, wrong, ddrm_samples) for name, (law, wrong) in SAMPLERS.items()},
    **OTHERS,
    **OPERATORS,
    "start with the noise of y counted twice": Row(
        marginals_from, start_without_the_noise_of_y, ddrm_start_coefficients
    ),
    "E5 start at measurements that are noisier than the level": Row(
        marginals_from_a_low_level, start_at_every_measurement, ddrm_start_coefficients
    ),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG.keys())
def test_wrong_version_is_caught_and_the_right_one_is_exact(row):
    """Section 5: error of the wrong version >= 1e-3, of the right one <= 1e-10, by one law."""
    assert row.law(row.wrong) >= CAUGHT
    assert row.law(row.right) <= EXACT


@pytest.mark.parametrize("law", [marginals, identities, table, marginals_without_noise])
def test_the_table_that_the_wrong_versions_change_is_right(law):
    """The rows differ from slide 11 by what they say, and by nothing else."""
    assert law(coefficients_with()) <= EXACT
    assert law_of_output(sampler_with(coefficients_with())) <= EXACT
    assert law_of_output(_with_noise(lambda draw, like: draw())) <= EXACT


def test_clipping_the_prediction_is_not_affine():
    """The law refuses a sampler whose output is no Gaussian."""
    with pytest.raises(AssertionError, match="not affine"):
        law_of_output(prediction_clipped)


# Where a wrong version hides (last columns of the ledger's table): why numbers are generic.
BLIND = {
    "M19 at eta_b = 1": (
        COEFFICIENTS["M19 case 1 subtracts eta_b times tau^2, not squared"][1],
        {"eta": 0.6, "eta_b": 1.0},
        S,
    ),
    "M21 at eta = 1": (
        COEFFICIENTS["M21 sqrt(1 - eta) instead of sqrt(1 - eta^2)"][1],
        {"eta": 1.0, "eta_b": 0.7},
        S,
    ),
    "M24 at eta = 0": (
        COEFFICIENTS["M24 fresh noise of size eta sigma_{t+1} in case 3"][1],
        {"eta": 0.0, "eta_b": 0.7},
        S,
    ),
    "M17 at s = 1": (
        COEFFICIENTS["M17 noise of y multiplied by s instead of divided"][1],
        ETAS,
        [1.0, 1.0, 1.0],
    ),
}


@pytest.mark.parametrize(("wrong", "etas", "s"), BLIND.values(), ids=BLIND.keys())
def test_special_numbers_hide_what_generic_ones_show(wrong, etas, s):
    """Section 5, rule (a): the same law sees nothing at the numbers that are tempting to use."""
    start = ddrm_start_coefficients
    assert marginal_error(wrong, start, s, LEVELS, SIGMA_Y, **etas) <= EXACT
    assert marginals(wrong) >= CAUGHT


def test_variances_alone_do_not_show_noise_that_is_shared():
    """M27, rule (b): one scalar for all coordinates gets every variance right, no covariance."""
    mean, cov, H = np.array([0.3, -1.0, 0.5]), np.diag([1.0, 0.4, 2.0]), np.diag([1.7, 0.6, 0.0])
    case = GaussianCase(mean, cov, H, SIGMA_Y)
    shared = _with_noise(one_number_for_all_coordinates)
    got, want = probed_law(shared, case, LEVELS, **ETAS), ddrm_law(case, LEVELS, *ETAS.values())
    np.testing.assert_allclose(np.diag(got.cov), np.diag(want.cov), rtol=EXACT)
    assert law_distance(got, want, 3) >= CAUGHT

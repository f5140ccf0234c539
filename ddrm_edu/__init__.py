"""Denoising diffusion restoration models, proved, executed and attacked.

Restoring an image from y = H x + z with a pretrained diffusion model (Kawar, Elad, Ermon and Song,
NeurIPS 2022), after the lecture by T. Badmaev of 18 March 2022:

>>> import torch
>>> from ddrm_edu import SuperResolution, load_denoiser, load_images, restore
>>> x0 = load_images("fashion")[:2]
>>> op = SuperResolution((1, 32, 32), factor=2)
>>> y = op(x0)
>>> x = restore(load_denoiser("fashion"), op, y, sigma_y=0.0, steps=5)
>>> bool((op(x) - y).norm() < 1e-5 * y.norm())
True
"""

from .checks import check, check_H, check_mc, check_operator, check_sampler
from .course.engine import exercise
from .data import load_images
from .ddpm import ddim_coefficients, ddpm_samples
from .ddrm import ddrm_coefficients, ddrm_samples, ddrm_start_coefficients, restore
from .denoisers import EpsDenoiser, VDenoiser
from .diffusion import Step, StepCoefficients
from .elbo import ddpm_nelbo, ddrm_nelbo, ddrm_nelbo_direct, noise_loss, step_weights
from .gaussian import Gaussian, GaussianNetwork, hint_1, hint_2
from .langevin import langevin_law, langevin_samples, posterior_score, stationary_law
from .law import AffineLaw, ddpm_law, gap, inference_network, posterior_law, sampler_law
from .metrics import psnr, ssim
from .operators import (
    BicubicSuperResolution,
    BlockOperator,
    ChangeOfBasis,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    DirectSum,
    Inpainting,
    Kronecker,
    PatchFunctional,
    SelectedRows,
    SeparableBlur,
    SuperResolution,
    SVDOperator,
    TruncatedSVD,
    from_function,
    from_scipy,
    memory_needed,
)
from .pretrained import load_denoiser
from .priors import (
    EmpiricalPosterior,
    EmpiricalPrior,
    GaussianMixture,
    GaussianPosterior,
    GaussianPrior,
    MixturePosterior,
)
from .schedule import NoiseSchedule

__version__ = "0.1.0"

__all__ = [
    "AffineLaw",
    "BicubicSuperResolution",
    "BlockOperator",
    "ChangeOfBasis",
    "CircularBlur",
    "Colorization",
    "CompressedSensing",
    "Denoising",
    "Dense",
    "DirectSum",
    "EmpiricalPosterior",
    "EmpiricalPrior",
    "EpsDenoiser",
    "Gaussian",
    "GaussianMixture",
    "GaussianNetwork",
    "GaussianPosterior",
    "GaussianPrior",
    "Inpainting",
    "Kronecker",
    "MixturePosterior",
    "NoiseSchedule",
    "PatchFunctional",
    "SVDOperator",
    "SelectedRows",
    "SeparableBlur",
    "Step",
    "StepCoefficients",
    "SuperResolution",
    "TruncatedSVD",
    "VDenoiser",
    "check",
    "check_H",
    "check_mc",
    "check_operator",
    "check_sampler",
    "ddim_coefficients",
    "ddpm_law",
    "ddpm_nelbo",
    "ddpm_samples",
    "ddrm_coefficients",
    "ddrm_nelbo",
    "ddrm_nelbo_direct",
    "ddrm_samples",
    "ddrm_start_coefficients",
    "exercise",
    "from_function",
    "from_scipy",
    "gap",
    "hint_1",
    "hint_2",
    "inference_network",
    "langevin_law",
    "langevin_samples",
    "load_denoiser",
    "load_images",
    "memory_needed",
    "noise_loss",
    "posterior_law",
    "posterior_score",
    "psnr",
    "restore",
    "sampler_law",
    "ssim",
    "stationary_law",
    "step_weights",
]

"""The public names, in groups: type checkers read this list, and ``__init__.py`` at run time.

One name a line.  Everything else is reached through its module, such as ``ddrm_edu.gaussian``.
"""
# isort: skip_file

__version__: str
__all__: list[str]

# H by its singular value decomposition: the contract and the structures
from .operators import SVDOperator as SVDOperator
from .operators import Denoising as Denoising
from .operators import Inpainting as Inpainting
from .operators import Diagonal as Diagonal
from .operators import SuperResolution as SuperResolution
from .operators import BicubicSuperResolution as BicubicSuperResolution
from .operators import Colorization as Colorization
from .operators import CircularBlur as CircularBlur
from .operators import SymmetricBlur as SymmetricBlur
from .operators import BlurDecimation as BlurDecimation
from .operators import FourierMask as FourierMask
from .operators import SeparableBlur as SeparableBlur
from .operators import CompressedSensing as CompressedSensing
from .operators import PatchFunctional as PatchFunctional
from .operators import BlockOperator as BlockOperator
from .operators import Kronecker as Kronecker
from .operators import Dense as Dense
from .operators import TruncatedSVD as TruncatedSVD
from .operators import DirectSum as DirectSum
from .operators import Stacked as Stacked
from .operators import ChangeOfBasis as ChangeOfBasis
from .operators import SelectedRows as SelectedRows
from .operators import WeightedRows as WeightedRows

# H from something else, and what that takes
from .operators import as_operator as as_operator
from .operators import from_function as from_function
from .operators import from_scipy as from_scipy
from .operators import LinearMap as LinearMap
from .operators import memory_needed as memory_needed

# what is known of images: networks, closed forms, pictures
from .pretrained import load_denoiser as load_denoiser
from .denoisers import EpsDenoiser as EpsDenoiser
from .denoisers import SampleDenoiser as SampleDenoiser
from .denoisers import VDenoiser as VDenoiser
from .networks import from_diffusers as from_diffusers
from .denoisers import Tiled as Tiled
from .priors import GaussianPrior as GaussianPrior
from .priors import GaussianMixture as GaussianMixture
from .priors import EmpiricalPrior as EmpiricalPrior
from .data import load_images as load_images

# restoring, and the samplers under it
from .schedule import NoiseSchedule as NoiseSchedule
from .restoration import restore as restore
from .ddrm import ddrm_samples as ddrm_samples
from .ddrm import ddrm_coefficients as ddrm_coefficients
from .ddpm import ddpm_samples as ddpm_samples
from .langevin import langevin_samples as langevin_samples
from .scale import to_symmetric as to_symmetric
from .scale import from_symmetric as from_symmetric
from .metrics import psnr as psnr
from .metrics import ssim as ssim

# denoisers that see y, for ddpm_samples
from .guidance import DDNM as DDNM
from .guidance import DiffPIR as DiffPIR
from .guidance import PiGDM as PiGDM
from .guidance import MomentMatching as MomentMatching
from .guidance import ExactDenoiser as ExactDenoiser
from .samplers import dps_samples as dps_samples
from .samplers import ddnm_plus_samples as ddnm_plus_samples
from .samplers import pigdm_samples as pigdm_samples
from .samplers import repaint_samples as repaint_samples
from .samplers import particle_samples as particle_samples
from .samplers import markov_ddrm_samples as markov_ddrm_samples

# the exact law of what a sampler returns, and how far it is from the posterior
from .law import sampler_law as sampler_law
from .law import ddpm_law as ddpm_law
from .law import posterior_law as posterior_law
from .law import gap as gap
from .probing import law_of as law_of
from .montecarlo import monte_carlo_law as monte_carlo_law
from .langevin import langevin_law as langevin_law
from .langevin import stationary_law as stationary_law

# checks of your own work
from .checks import check as check
from .checks import check_mc as check_mc
from .checks import check_operator as check_operator
from .checks import check_H as check_H
from .checks import check_sampler as check_sampler
from .checks import check_calibration as check_calibration
from .course.engine import exercise as exercise

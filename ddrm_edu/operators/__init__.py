"""Linear operators given by their singular value decomposition (slides 9 and 20-23)."""

from .base import SVDOperator
from .blocks import BlockOperator, Colorization, PatchFunctional, SuperResolution
from .dense import Dense
from .kronecker import BicubicSuperResolution, Kronecker, SeparableBlur
from .pixels import Denoising, Inpainting
from .transforms import CircularBlur, CompressedSensing

__all__ = [
    "BicubicSuperResolution",
    "BlockOperator",
    "CircularBlur",
    "Colorization",
    "CompressedSensing",
    "Denoising",
    "Dense",
    "Inpainting",
    "Kronecker",
    "PatchFunctional",
    "SVDOperator",
    "SeparableBlur",
    "SuperResolution",
]

"""Linear operators given by their singular value decomposition (slides 9 and 20-23)."""

from .base import SVDOperator
from .blocks import Colorization, PatchFunctional, SuperResolution
from .dense import Dense
from .pixels import Denoising, Inpainting

__all__ = [
    "Colorization",
    "Denoising",
    "Dense",
    "Inpainting",
    "PatchFunctional",
    "SVDOperator",
    "SuperResolution",
]

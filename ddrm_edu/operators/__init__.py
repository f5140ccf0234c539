"""Linear operators given by their singular value decomposition (slides 9 and 20-23)."""

from .base import SVDOperator
from .blocks import BlockOperator, Colorization, PatchFunctional, SuperResolution
from .compose import ChangeOfBasis, DirectSum, SelectedRows
from .convert import as_operator, from_function, from_scipy, memory_needed
from .dense import Dense
from .kronecker import BicubicSuperResolution, Kronecker, SeparableBlur
from .linear_map import LinearMap
from .lowrank import TruncatedSVD
from .pixels import Denoising, Diagonal, Inpainting
from .stacked import Stacked
from .transforms import (
    BlurDecimation,
    CircularBlur,
    CompressedSensing,
    FourierMask,
    SymmetricBlur,
)
from .whitening import WeightedRows

__all__ = [
    "BicubicSuperResolution",
    "BlockOperator",
    "BlurDecimation",
    "ChangeOfBasis",
    "CircularBlur",
    "Colorization",
    "CompressedSensing",
    "Denoising",
    "Dense",
    "Diagonal",
    "DirectSum",
    "FourierMask",
    "Inpainting",
    "Kronecker",
    "LinearMap",
    "PatchFunctional",
    "SVDOperator",
    "SelectedRows",
    "SeparableBlur",
    "Stacked",
    "SuperResolution",
    "SymmetricBlur",
    "TruncatedSVD",
    "WeightedRows",
    "as_operator",
    "from_function",
    "from_scipy",
    "memory_needed",
]

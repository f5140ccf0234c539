"""The two small diffusion models that ship with the package, loaded offline (slide 24)."""

from .loading import load_denoiser

__all__ = ["load_denoiser"]

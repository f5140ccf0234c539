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

import importlib.util

__version__ = "0.2.0"

# A name is imported when it is first asked for (PEP 562), because torch takes seconds and the
# command line often needs none of it.  The names stand in __init__.pyi, which type checkers read as
# well, one a line: "from .home import name as name".
with open(f"{__file__}i", encoding="utf-8") as _stub:
    _HOME = {words[3]: words[1] for words in map(str.split, _stub) if words[:1] == ["from"]}

__all__ = sorted(_HOME)

# Where names of version 0.1 are now.
_MOVED = {
    "plotting": "course.figures",
    "exercises": "course.exercises",
    "ddim_coefficients": "ddpm.ddim_coefficients",
    "ddrm_start_coefficients": "ddrm.ddrm_start_coefficients",
    "Step": "diffusion.Step",
    "StepCoefficients": "diffusion.StepCoefficients",
    "ddpm_nelbo": "elbo.ddpm_nelbo",
    "ddrm_nelbo": "elbo.ddrm_nelbo",
    "ddrm_nelbo_direct": "elbo.ddrm_nelbo_direct",
    "noise_loss": "elbo.noise_loss",
    "step_weights": "elbo.step_weights",
    "Gaussian": "gaussian.Gaussian",
    "GaussianNetwork": "gaussian.GaussianNetwork",
    "hint_1": "gaussian.hint_1",
    "hint_2": "gaussian.hint_2",
    "posterior_score": "langevin.posterior_score",
    "AffineLaw": "law.AffineLaw",
    "inference_network": "law.inference_network",
    "EmpiricalPosterior": "priors.EmpiricalPosterior",
    "GaussianPosterior": "priors.GaussianPosterior",
    "MixturePosterior": "priors.MixturePosterior",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
        globals()[name] = value  # from now on it is found without this function
        return value
    if name in _MOVED:
        home, _, last = f"{__name__}.{_MOVED[name]}".rpartition(".")
        # No AttributeError, of which "from ddrm_edu import ..." would drop the sentence.
        raise ImportError(
            f"{__name__}.{name} is now {home}.{last}: from {home} import {last}", name=__name__
        )
    if importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    homes = {home.lstrip(".").split(".")[0] for home in [*_HOME.values(), *_MOVED.values()]}
    return sorted({*globals(), *_HOME, *homes})

"""A good call of every public callable, and what "public" means.

``GOOD[name]()`` makes a new ``(function, arguments)``: no call sees what another one spoilt.
Arguments named "0", "1" ... are positional.
"""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ddrm_edu as d
from ddrm_edu import (
    checks,
    ddpm,
    ddrm,
    denoisers,
    elbo,
    files,
    gaussian,
    guidance,
    langevin,
    law,
    metrics,
    noise,
    operators,
    samplers,
    schedule,
    tasks,
)
from ddrm_edu.restoration import METHODS

Call = tuple[Callable[..., Any], dict[str, Any]]

MODULES = {  # the modules that a user imports from, and what is public there only to neighbours
    "checks": ("Finding", "Report", "Reports"),
    "ddpm": (),
    "ddrm": ("checked_run", "spectral_samples", "rows_of", "distinct", "of_all", "in_case_1"),
    "denoisers": ("mirrored_to_multiple",),
    "elbo": (),
    "files": (
        "PictureError",
        "new_file",
        "replaced",
        "kind_of_new",
        "require_writer",
        "as_stored",
        "fitting_profile",
        "require_new",
    ),
    "gaussian": ("Readings", "bures", "expected_kl", "factor_of", "rounding"),
    "guidance": ("Cost", "Measured", "SeesY"),
    "langevin": ("HasScore",),
    "law": ("flattened", "law_of_y_spec", "spectral_law", "require_gaussian"),
    "metrics": (),
    "montecarlo": ("EstimatedLaw",),
    "networks": ("prediction_type", "schedule_of"),
    "noise": (),
    "operators": ("SVDOperator",),
    "priors": ("require_fit",),
    "samplers": ("ParticleStep",),
    "scale": ("require_range", "warn_if_out_of_range"),
    "schedule": (),
    "tasks": ("own_operator", "of_grey"),
}
INNER_METHODS = {  # of a class, for its neighbours
    "Gaussian": ("turned", "along_axes"),
    "GaussianPrior": (
        "posterior_factor",
        "turned",
        "along_axes",
        "marginal",
        "joint",
        "push",
        "conditional",
        "kl",
        "w2",
    ),
    "Reports": ("report", "finding"),
    "Report": (),
}


def public_names() -> Iterator[str]:
    """Every public callable: functions, classes, and the methods of classes that take arguments."""
    found: dict[int, tuple[str, Any]] = {}
    for name in d.__all__:
        found[id(getattr(d, name))] = name, getattr(d, name)
    for module, inner in MODULES.items():
        there = importlib.import_module(f"ddrm_edu.{module}")
        names = getattr(there, "__all__", None) or [
            name
            for name, value in vars(there).items()
            if getattr(value, "__module__", None) == there.__name__
        ]
        for name in names:
            value = getattr(there, name)
            if name.startswith("_") or name in inner or not callable(value):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                found.setdefault(id(value), (name, value))
    for name, value in found.values():
        if name == "SVDOperator" or not callable(value):
            continue
        if not inspect.isclass(value):
            yield name
            continue
        if not issubclass(value, tuple) and len(inspect.signature(value).parameters) > 0:
            yield name
        inner = INNER_METHODS.get(name, ())
        for key in sorted(set(dir(value))):
            if (key.startswith("_") and key != "__call__") or key in inner:
                continue
            method = inspect.getattr_static(value, key)
            method = getattr(method, "__func__", method)
            if not inspect.isfunction(method) or not method.__module__.startswith("ddrm_edu"):
                continue
            if len(inspect.signature(method).parameters) > 1:
                yield f"{name}.{key}"


# ----------------------------------------------------------------------------------- good values

RNG = np.random.default_rng(7)
_H = RNG.standard_normal((2, 4))
_HALF = RNG.standard_normal((4, 4)) / 2
_KERNEL = [0.25, 0.5, 0.25]
_IMAGES = torch.from_numpy(RNG.uniform(-0.9, 0.9, (3, 1, 4, 4)))
_PICTURES = torch.from_numpy(RNG.uniform(-0.9, 0.9, (2, 3, 12, 12)))
LEVELS = [3.0, 1.0, 0.3, 0.0]


def sigmas() -> Tensor:
    return torch.tensor(LEVELS, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def x_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def prior() -> d.GaussianPrior:
    return d.GaussianPrior(torch.zeros(4), torch.from_numpy(_HALF @ _HALF.T + np.eye(4) / 3))


def mixture() -> d.GaussianMixture:
    return d.GaussianMixture([0.4, 0.6], [[0.0] * 4, [1.0] * 4], [np.eye(4) / 2, np.eye(4)])


def empirical() -> d.EmpiricalPrior:
    return d.EmpiricalPrior(x_of(5, 4, seed=4))


def op() -> d.Dense:
    return d.Dense(_H)


def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + sigma**2)


def y() -> Tensor:
    return x_of(2, 2, seed=3)


def measured() -> dict[str, Any]:
    return {"op": op(), "y": y(), "sigma_y": 0.2}


def run_of(**more: Any) -> dict[str, Any]:
    return {"denoiser": denoiser, **measured(), "sigmas": sigmas(), "generator": seeded(), **more}


def law_pair() -> tuple[Any, Any]:
    return (
        d.sampler_law(prior(), op(), sigmas(), sigma_y=0.2),
        d.posterior_law(prior(), op(), sigma_y=0.2),
    )


def gauss() -> gaussian.Gaussian:
    return gaussian.Gaussian([0.3, -0.2], [[1.0, 0.3], [0.3, 0.5]])


def network() -> gaussian.GaussianNetwork:
    made = gaussian.GaussianNetwork()
    made.add("a", offset=[0.5, 1.0], cov=np.eye(2))
    made.add("b", {"a": [[1.0, 2.0]]}, cov=[[0.5]])
    return made


def coefficients() -> dict[str, Any]:
    return {
        "s": torch.tensor([1.0, 0.4, 0.0], dtype=torch.float64),
        "sigma": 0.5,
        "sigma_next": 0.2,
        "sigma_y": 0.1,
    }


def rates() -> dict[str, Any]:
    return {"eta": 0.6, "eta_b": 0.9}


def eps_net(x: Tensor, t: Tensor) -> Tensor:
    return 0.5 * x


class Net(torch.nn.Module):
    """A network like those of diffusers: it says its channels, and takes an integer time."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(in_channels=1, out_channels=1, num_class_embeds=3)
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, t: Tensor, class_labels: Any = None) -> Any:
        return SimpleNamespace(sample=self.weight * x)


def scheduler() -> Any:
    config = SimpleNamespace(prediction_type="epsilon", num_train_timesteps=10)
    betas = torch.linspace(1e-3, 0.2, 10)
    return SimpleNamespace(
        config=config, betas=betas, alphas_cumprod=(1 - betas).cumprod(0), num_train_timesteps=10
    )


def spoken(function: Callable[..., Any]) -> Callable[..., Any]:
    """Calls what was made, too, at one image of two entries a side."""

    def made_and_called(x: Tensor, sigma: float, **arguments: Any) -> Any:
        made = function(**arguments)
        return made, made(x, sigma)

    return made_and_called


def folder() -> Path:
    global _FOLDER
    if _FOLDER is None:
        _FOLDER = tempfile.TemporaryDirectory(prefix="fuzz")
        from PIL import Image

        pixels = (255 * (_PICTURES[0].permute(1, 2, 0).numpy() + 1) / 2).astype(np.uint8)
        Image.fromarray(pixels).save(Path(_FOLDER.name) / "good.png")
        np.save(Path(_FOLDER.name) / "good.npy", np.abs(_H))
    return Path(_FOLDER.name)


_FOLDER: tempfile.TemporaryDirectory | None = None


def sampler(denoiser: Any, op: Any, y: Any, *, sigmas: Any, sigma_y: Any, generator: Any) -> Any:
    return d.ddrm_samples(denoiser, op, y, sigmas, sigma_y=sigma_y, generator=generator)


def bound_sampler(denoiser: Any, op: Any, y: Any, *, generator: Any) -> Any:
    return d.ddrm_samples(denoiser, op, y, torch.tensor(LEVELS), sigma_y=0.2, generator=generator)


def differences(x: Tensor) -> Tensor:
    return x - x.roll(-1, -1)


# ------------------------------------------------------------------------------------- operators

SHAPE = (1, 4, 4)
OPERATORS: dict[str, Callable[[], Call]] = {
    "Denoising": lambda: (d.Denoising, {"in_shape": SHAPE}),
    "Inpainting": lambda: (d.Inpainting, {"mask": np.eye(4) > 0, "channels": 1}),
    "Diagonal": lambda: (
        d.Diagonal,
        {"weights": np.linspace(-1, 1, 16).reshape(4, 4), "channels": 1},
    ),
    "SuperResolution": lambda: (d.SuperResolution, {"in_shape": SHAPE, "factor": 2}),
    "BicubicSuperResolution": lambda: (d.BicubicSuperResolution, {"in_shape": SHAPE, "factor": 2}),
    "Colorization": lambda: (d.Colorization, {"in_shape": (3, 2, 2), "weights": (0.3, 0.5, 0.2)}),
    "CircularBlur": lambda: (
        d.CircularBlur,
        {"in_shape": SHAPE, "kernel": np.outer(_KERNEL, _KERNEL), "rtol": 1e-9},
    ),
    "BlurDecimation": lambda: (
        d.BlurDecimation,
        {"in_shape": SHAPE, "kernel": np.outer(_KERNEL, _KERNEL), "factor": 2, "rtol": 1e-9},
    ),
    "FourierMask": lambda: (d.FourierMask, {"mask": RNG.random((4, 4)) > 0.5, "centred": False}),
    "SeparableBlur": lambda: (
        d.SeparableBlur,
        {"in_shape": SHAPE, "kernel_rows": _KERNEL, "kernel_cols": list(_KERNEL), "rtol": 1e-9},
    ),
    "CompressedSensing": lambda: (
        d.CompressedSensing,
        {"in_shape": SHAPE, "measurements": 6, "generator": seeded()},
    ),
    "PatchFunctional": lambda: (d.PatchFunctional, {"in_shape": SHAPE, "k": np.ones((1, 2, 2))}),
    "BlockOperator": lambda: (
        d.BlockOperator,
        {"K": _H, "in_shape": SHAPE, "patch": (1, 2, 2), "rtol": 1e-9},
    ),
    "Kronecker": lambda: (d.Kronecker, {"A": _H, "B": _H.copy(), "channels": 1, "rtol": 1e-9}),
    "Dense": lambda: (
        d.Dense,
        {"H": _H.copy(), "in_shape": (1, 2, 2), "out_shape": (2,), "rtol": 1e-9},
    ),
    "TruncatedSVD": lambda: (
        d.TruncatedSVD,
        {
            "A": _HALF.copy(),
            "rank": 3,
            "in_shape": (4,),
            "out_shape": (4,),
            "largest_loss": 1.0,
            "rtol": 1e-9,
            "seed": 0,
        },
    ),
    "DirectSum": lambda: (
        d.DirectSum,
        {
            "in_shape": SHAPE,
            "parts": [(d.Denoising((1, 2, 2)), 0, 0), (d.SuperResolution((1, 2, 2), 2), 2, 2)],
        },
    ),
    "ChangeOfBasis": lambda: (
        d.ChangeOfBasis,
        {
            "op": d.SuperResolution((1, 2, 4), 2),
            "Q": lambda x: x.mT,
            "Qt": lambda x: x.mT,
            "in_shape": (1, 4, 2),
        },
    ),
    "Stacked": lambda: (
        d.Stacked,
        {"parts": [d.CircularBlur(SHAPE, [[0.5, 0.3]]), d.Denoising(SHAPE)], "weights": [2.0, 0.5]},
    ),
    "SymmetricBlur": lambda: (d.SymmetricBlur, {"in_shape": SHAPE, "kernel": [[0.2, 0.6, 0.2]]}),
    "WeightedRows": lambda: (
        d.WeightedRows,
        {"op": d.Denoising((4,)), "weights": np.array([1.0, 2.0, 0.5, 1.0])},
    ),
    "SelectedRows": lambda: (
        d.SelectedRows,
        {"op": d.Denoising((4,)), "keep": np.array([True, False, True, True])},
    ),
    "LinearMap": lambda: (
        operators.LinearMap,
        {"f": differences, "in_shape": (4,), "out_shape": (4,)},
    ),
}


def made(name: str) -> Any:
    function, arguments = OPERATORS[name]()
    return function(**arguments)


def _methods_of_operators() -> Iterator[tuple[str, Callable[[], Call]]]:
    sides = {"V": "in", "Vt": "in", "U": "in", "__call__": "in"}
    sides |= {"Ut": "out", "adjoint": "out", "measure_spec": "out", "pinv": "out"}
    for name in OPERATORS:
        if name == "LinearMap":
            continue
        for method, side in sides.items():

            def call(name: str = name, method: str = method, side: str = side) -> Call:
                op = made(name)
                shape = op.in_shape if side == "in" else op.out_shape
                return getattr(op, method), {"0": x_of(2, *shape)}

            yield f"{name}.{method}", call
        yield f"{name}.to", lambda name=name: (made(name).to, {"0": torch.float32})


# ------------------------------------------------------------------------------------- the table


def _restore(method: str) -> Call:
    arguments = run_of(method=method, steps=3, schedule=d.NoiseSchedule.linear(10))
    del arguments["sigmas"]
    if method == "repaint":
        arguments |= {"op": d.Inpainting([True, False, True, False]), "sigma_y": 0.0}
    if method in ("ddrm", "ddnm"):
        arguments |= {"eta": 0.7}
    return d.restore, arguments


def _priors(name: str, make: Callable[[], Any]) -> Iterator[tuple[str, Callable[[], Call]]]:
    at = {"x": "x", "sigma": 0.7}

    def bound(method: str, **arguments: Any) -> Callable[[], Call]:
        def call() -> Call:
            fresh = {k: x_of(2, 4) if v == "x" else v for k, v in arguments.items()}
            if "generator" in fresh:
                fresh["generator"] = seeded()
            return getattr(make(), method), fresh

        return call

    for method in ("__call__", "log_density", "score"):
        yield f"{name}.{method}", bound(method, **at)
    yield f"{name}.sample", bound("sample", batch=3, generator=None)
    yield f"{name}.posterior", lambda: (make().posterior, measured())
    yield (
        f"{name}.given",
        lambda: (
            lambda x, sigma, **m: make().given(**m)(x, sigma),
            {"x": x_of(2, 4), "sigma": 0.7, **measured()},
        ),
    )


def _guided(kind: type, **options: Any) -> Iterator[tuple[str, Callable[[], Call]]]:
    name, known = kind.__name__, prior if kind is guidance.ExactDenoiser else lambda: denoiser
    if kind is guidance.MomentMatching:
        known = prior

    def arguments() -> dict[str, Any]:
        return {"denoiser": known(), **measured(), **options}

    yield name, lambda: (spoken(kind), {"x": x_of(2, 4), "sigma": 0.7, **arguments()})
    yield f"{name}.__call__", lambda: (kind(**arguments()), {"0": x_of(2, 4), "1": 0.7})
    yield (
        f"{name}.guided",
        lambda: (
            kind(**arguments()).guided,
            {"x0_hat": x_of(2, 4), "sigma": 0.7, "covariance": lambda v: 0.3 * v},
        ),
    )


def _draws() -> dict[str, Any]:
    return {"draws": x_of(3, 2, *SHAPE), "truth": x_of(2, *SHAPE, seed=1)}


def _pictures() -> dict[str, Any]:
    return {"x": _PICTURES.clone(), "truth": _PICTURES.clone() / 2}


def _units(third: str) -> dict[str, Any]:
    return {"x": x_of(2, 1, 2, 2), "sigma": 0.7, third: x_of(2, 1, 2, 2, seed=1)}


def _networked(kind: type, **options: Any) -> dict[str, Any]:
    at = {"x": x_of(2, 1, 4, 4), "sigma": 0.3}
    return {**at, "net": eps_net, "schedule": d.NoiseSchedule.linear(10), **options}


def _tiled() -> d.Tiled:
    return d.Tiled(denoiser, 4, 2)


def _posterior_score(x: Tensor, **arguments: Any) -> Tensor:
    return langevin.posterior_score(**arguments)(x)


def _checked_h() -> dict[str, Any]:
    return {"H": differences, "in_shape": (1, 4, 4), "sigma_y": 0.05, "sigmas": sigmas()}


GOOD: dict[str, Callable[[], Call]] = {
    **OPERATORS,
    **dict(_methods_of_operators()),
    "LinearMap.__call__": lambda: (made("LinearMap"), {"0": x_of(2, 4)}),
    "DirectSum.split": lambda: (made("DirectSum").split, {"y": x_of(2, 5)}),
    "TruncatedSVD.noise_level": lambda: (
        made("TruncatedSVD").noise_level,
        {"sigma_y": 0.1, "x_std": 0.5},
    ),
    "as_operator": lambda: (
        d.as_operator,
        {"H": _H.copy(), "in_shape": (4,), "out_shape": (2,), "rtol": 1e-9, "memory_limit": 1e9},
    ),
    "from_function": lambda: (
        d.from_function,
        {
            "f": differences,
            "in_shape": (1, 2, 4),
            "out_shape": (1, 2, 4),
            "rtol": 1e-9,
            "memory_limit": 1e9,
        },
    ),
    "from_scipy": lambda: (
        d.from_scipy,
        {"A": _H.copy(), "in_shape": (4,), "out_shape": (2,), "rank": 2},
    ),
    "memory_needed": lambda: (d.memory_needed, {"in_shape": (1, 4, 4), "out_shape": (3,)}),
    # networks and denoisers
    "load_denoiser": lambda: (d.load_denoiser, {"name": "natural", "device": torch.device("cpu")}),
    "load_images": lambda: (d.load_images, {"name": "natural", "size": 32}),
    "EpsDenoiser": lambda: (spoken(d.EpsDenoiser), _networked(d.EpsDenoiser, first_t=0)),
    "SampleDenoiser": lambda: (spoken(d.SampleDenoiser), _networked(d.SampleDenoiser, first_t=0)),
    "VDenoiser": lambda: (spoken(d.VDenoiser), _networked(d.VDenoiser, first_t=0)),
    "EpsDenoiser.__call__": lambda: (d.EpsDenoiser(eps_net), {"x": x_of(2, 1, 4, 4), "sigma": 0.7}),
    "SampleDenoiser.__call__": lambda: (
        d.SampleDenoiser(eps_net, d.NoiseSchedule.linear()),
        {"x": x_of(2, 1, 4, 4), "sigma": 0.7},
    ),
    "VDenoiser.__call__": lambda: (d.VDenoiser(eps_net), {"x": x_of(2, 1, 4, 4), "sigma": 0.7}),
    "from_diffusers": lambda: (
        d.from_diffusers,
        {
            "source": Net().eval(),
            "scheduler": scheduler(),
            "class_labels": 1,
            "device": torch.device("cpu"),
            "dtype": torch.float64,
        },
    ),
    "Tiled": lambda: (
        spoken(d.Tiled),
        {"x": x_of(1, 1, 6, 6), "sigma": 0.7, "denoiser": denoiser, "size": 4, "overlap": 2},
    ),
    "Tiled.__call__": lambda: (_tiled(), {"x": x_of(1, 1, 6, 6), "sigma": 0.7}),
    "Tiled.count": lambda: (_tiled().count, {"height": 9, "width": 6}),
    "x0_from_eps": lambda: (denoisers.x0_from_eps, _units("eps")),
    "eps_from_x0": lambda: (denoisers.eps_from_x0, _units("x0_hat")),
    "x0_from_score": lambda: (denoisers.x0_from_score, _units("score")),
    "score_from_x0": lambda: (denoisers.score_from_x0, _units("x0_hat")),
    "x0_from_v": lambda: (denoisers.x0_from_v, _units("v")),
    "v_from_x0": lambda: (denoisers.v_from_x0, _units("x0_hat")),
    # priors
    "GaussianPrior": lambda: (
        d.GaussianPrior,
        {"mean": [0.5, 0.0], "cov": [[1.0, 0.2], [0.2, 0.5]]},
    ),
    "GaussianMixture": lambda: (
        d.GaussianMixture,
        {"weights": [0.4, 0.6], "means": x_of(2, 2), "covs": np.stack([np.eye(2)] * 2)},
    ),
    "EmpiricalPrior": lambda: (d.EmpiricalPrior, {"images": x_of(5, 4)}),
    **dict(_priors("GaussianPrior", prior)),
    **dict(_priors("GaussianMixture", mixture)),
    **dict(_priors("EmpiricalPrior", empirical)),
    "GaussianPrior.posterior_map": lambda: (prior().posterior_map, {"op": op(), "sigma_y": 0.2}),
    "GaussianMixture.responsibilities": lambda: (
        mixture().responsibilities,
        {"x": x_of(2, 4), "sigma": 0.7},
    ),
    "GaussianPosterior.sample": lambda: (
        prior().posterior(**measured()).sample,
        {"generator": seeded()},
    ),
    "MixturePosterior.sample": lambda: (
        mixture().posterior(**measured()).sample,
        {"generator": seeded()},
    ),
    "EmpiricalPosterior.sample": lambda: (
        empirical().posterior(**measured()).sample,
        {"generator": seeded()},
    ),
    # schedules and steps
    "NoiseSchedule": lambda: (d.NoiseSchedule, {"beta": torch.tensor([0.0, 0.1, 0.3])}),
    "NoiseSchedule.linear": lambda: (
        d.NoiseSchedule.linear,
        {"T": 20, "beta_1": 1e-3, "beta_T": 0.1},
    ),
    "NoiseSchedule.cosine": lambda: (
        d.NoiseSchedule.cosine,
        {"T": 20, "offset": 0.01, "beta_max": 0.99},
    ),
    "NoiseSchedule.from_sigmas": lambda: (d.NoiseSchedule.from_sigmas, {"sigmas": sigmas()}),
    "NoiseSchedule.from_alphas_cumprod": lambda: (
        d.NoiseSchedule.from_alphas_cumprod,
        {"alphas_cumprod": [0.9, 0.5, 0.1]},
    ),
    "NoiseSchedule.timesteps": lambda: (
        d.NoiseSchedule.linear(20).timesteps,
        {"steps": 4, "spacing": "leading"},
    ),
    "NoiseSchedule.sigmas": lambda: (
        d.NoiseSchedule.linear(20).sigmas,
        {"steps": 4, "spacing": "trailing"},
    ),
    "NoiseSchedule.nearest_t": lambda: (d.NoiseSchedule.linear(20).nearest_t, {"sigma": 0.1}),
    "alpha_bar_of": lambda: (schedule.alpha_bar_of, {"sigma": 0.7}),
    "sigma_of": lambda: (schedule.sigma_of, {"alpha_bar": 0.7}),
    "to_vp": lambda: (schedule.to_vp, {"x": x_of(2, 4), "sigma": 0.7}),
    "to_ve": lambda: (schedule.to_ve, {"x": x_of(2, 4), "sigma": 0.7}),
    "decreasing_sigmas": lambda: (schedule.decreasing_sigmas, {"sigmas": sigmas()}),
    "standard_normal": lambda: (noise.standard_normal, {"like": x_of(2, 4), "generator": seeded()}),
    "ddim_coefficients": lambda: (
        ddpm.ddim_coefficients,
        {"sigma": 0.5, "sigma_next": 0.2, "eta_ddim": 0.5},
    ),
    "ddrm_coefficients": lambda: (d.ddrm_coefficients, {**coefficients(), **rates()}),
    "ddrm_start_coefficients": lambda: (
        ddrm.ddrm_start_coefficients,
        {k: v for k, v in coefficients().items() if k != "sigma_next"},
    ),
    "markov_ddrm_coefficients": lambda: (samplers.markov_ddrm_coefficients, coefficients()),
    "ddnm_plus_coefficients": lambda: (
        samplers.ddnm_plus_coefficients,
        {**coefficients(), "eta_ddim": 0.5},
    ),
    # samplers
    **{f"restore {method}": lambda method=method: _restore(method) for method in METHODS},
    "ddpm_samples": lambda: (
        d.ddpm_samples,
        {
            "denoiser": denoiser,
            "shape": (2, 4),
            "sigmas": sigmas(),
            "eta_ddim": 0.5,
            "generator": seeded(),
            "dtype": torch.float64,
            "device": torch.device("cpu"),
        },
    ),
    "ddrm_samples": lambda: (d.ddrm_samples, run_of(**rates())),
    "markov_ddrm_samples": lambda: (d.markov_ddrm_samples, run_of()),
    "ddnm_plus_samples": lambda: (d.ddnm_plus_samples, run_of(eta_ddim=0.5)),
    "pigdm_samples": lambda: (d.pigdm_samples, run_of(eta_ddim=0.5)),
    "dps_samples": lambda: (d.dps_samples, run_of(zeta=0.5, normalised=True)),
    "repaint_samples": lambda: (
        d.repaint_samples,
        run_of(op=d.Inpainting([True, False, True, False]), sigma_y=0.0, jump=1, resamplings=2),
    ),
    "particle_samples": lambda: (d.particle_samples, run_of(particles=4, spread=1.0)),
    "langevin_samples": lambda: (
        d.langevin_samples,
        {"score": lambda x: -x, "x": x_of(2, 4), "step": 0.1, "steps": 3, "generator": seeded()},
    ),
    "posterior_score": lambda: (
        _posterior_score,
        {"x": x_of(2, 4), "prior": prior(), **measured()},
    ),
    # denoisers that see y
    **dict(_guided(guidance.DDNM)),
    **dict(_guided(guidance.DiffPIR, lambda_=1.5)),
    **dict(_guided(guidance.PiGDM, r2=guidance.unit_prior_variance)),
    **dict(_guided(guidance.MomentMatching, cg_steps=2, iteration="cg")),
    **{k: v for k, v in _guided(guidance.ExactDenoiser) if not k.endswith(".guided")},
    "ExactDenoiser.guided": lambda: (
        guidance.DDNM(denoiser, **measured()).guided,
        {"x0_hat": x_of(2, 4), "sigma": 0.7, "covariance": lambda v: 0.3 * v},
    ),
    "unit_prior_variance": lambda: (guidance.unit_prior_variance, {"sigma": 0.7}),
    "with_covariance": lambda: (
        lambda v, **a: guidance.with_covariance(**a)[1](v),
        {"v": x_of(2, 4), "denoiser": denoiser, "x": x_of(2, 4), "sigma": torch.tensor(0.7)},
    ),
    # laws
    "Gaussian": lambda: (gaussian.Gaussian, {"mean": [0.5, 0.0], "cov": [[1.0, 0.2], [0.2, 0.5]]}),
    "Gaussian.push": lambda: (gauss().push, {"A": [[1.0, 2.0]], "offset": [0.5], "cov": [[0.3]]}),
    "Gaussian.joint": lambda: (gauss().joint, {"A": [[1.0, 2.0]], "offset": [0.5], "cov": [[0.3]]}),
    "Gaussian.marginal": lambda: (gauss().marginal, {"index": [1]}),
    "Gaussian.conditional": lambda: (gauss().conditional, {"index": [1], "value": [0.4]}),
    "Gaussian.sample": lambda: (gauss().sample, {"batch": 3, "generator": seeded()}),
    "Gaussian.log_density": lambda: (gauss().log_density, {"x": x_of(2, 2), "sigma": 0.3}),
    "Gaussian.kl": lambda: (gauss().kl, {"other": gaussian.Gaussian([0.0, 0.0], np.eye(2))}),
    "Gaussian.w2": lambda: (gauss().w2, {"other": gaussian.Gaussian([0.0, 0.0], np.eye(2))}),
    "GaussianNetwork.add": lambda: (
        network().add,
        {"name": "c", "parents": {"a": [[1.0, 2.0]]}, "offset": [0.1], "cov": [[0.3]]},
    ),
    "GaussianNetwork.joint": lambda: (network().joint, {"0": "a", "1": "b"}),
    "GaussianNetwork.conditional": lambda: (
        network().conditional,
        {"names": ["a"], "given": {"b": [0.3]}},
    ),
    "hint_1": lambda: (gaussian.hint_1, {"V1": 0.5, "alpha": 2.0, "V2": 0.3, "gamma": 0.1}),
    "hint_2": lambda: (gaussian.hint_2, {"pair": gaussian.Gaussian([0.0, 1.0], np.eye(2))}),
    "sampler_law": lambda: (
        d.sampler_law,
        {"prior": prior(), "op": op(), "sigmas": sigmas(), "sigma_y": 0.2, **rates()},
    ),
    "ddpm_law": lambda: (d.ddpm_law, {"prior": prior(), "sigmas": sigmas(), "eta_ddim": 0.5}),
    "posterior_law": lambda: (d.posterior_law, {"prior": prior(), "op": op(), "sigma_y": 0.2}),
    "inference_network": lambda: (
        lambda **a: law.inference_network(**a).joint("x1"),
        {
            "x0": gauss(),
            "s": torch.tensor([1.0, 0.0]),
            "sigmas": sigmas(),
            "sigma_y": 0.2,
            **rates(),
        },
    ),
    "gap": lambda: (d.gap, dict(zip(("law", "posterior"), law_pair(), strict=True))),
    "AffineLaw": lambda: (law.AffineLaw, vars(law_pair()[0]).copy()),
    "AffineLaw.given": lambda: (law_pair()[0].given, {"y": y()}),
    "law_of": lambda: (
        d.law_of,
        {"sampler": bound_sampler, "prior": prior(), "op": op(), "sigma_y": 0.2, "at_once": 8},
    ),
    "monte_carlo_law": lambda: (
        d.monte_carlo_law,
        {
            "sampler": bound_sampler,
            "prior": prior(),
            "op": op(),
            "sigma_y": 0.2,
            "draws": 200,
            "at_once": 50,
            "generator": seeded(),
        },
    ),
    "langevin_law": lambda: (
        d.langevin_law,
        {"target": gauss(), "start": gauss(), "step": 0.1, "steps": 3},
    ),
    "stationary_law": lambda: (d.stationary_law, {"target": gauss(), "step": 0.1}),
    "noise_loss": lambda: (
        elbo.noise_loss,
        {"schedule": d.NoiseSchedule.linear(10), "t": 3, "variance": 0.01},
    ),
    "step_weights": lambda: (elbo.step_weights, {**coefficients(), **rates()}),
    "ddrm_nelbo": lambda: (
        elbo.ddrm_nelbo,
        {
            "prior": prior(),
            "op": op(),
            "sigmas": sigmas(),
            "sigma_y": 0.2,
            **rates(),
            "var_0": 0.1,
            "denoiser": prior(),
        },
    ),
    "ddrm_nelbo_direct": lambda: (
        elbo.ddrm_nelbo_direct,
        {
            "prior": prior(),
            "op": op(),
            "sigmas": sigmas(),
            "sigma_y": 0.2,
            **rates(),
            "var_0": 0.1,
            "denoiser": prior(),
        },
    ),
    "ddpm_nelbo": lambda: (
        elbo.ddpm_nelbo,
        {"prior": prior(), "sigmas": sigmas(), "eta_ddim": 0.5, "var_0": 0.1, "denoiser": prior()},
    ),
    # pictures and numbers
    "Stacked.join": lambda: (made("Stacked").join, {"0": x_of(2, *SHAPE), "1": x_of(2, *SHAPE)}),
    "Stacked.split": lambda: (made("Stacked").split, {"0": x_of(2, *made("Stacked").out_shape)}),
    "energy_score": lambda: (metrics.energy_score, _draws()),
    "crps": lambda: (metrics.crps, _draws()),
    "coverage": lambda: (metrics.coverage, _draws()),
    "sharpness": lambda: (metrics.sharpness, {"x": x_of(2, *SHAPE), "truth": x_of(2, *SHAPE)}),
    "psnr": lambda: (d.psnr, {**_pictures(), "data_range": 2.0}),
    "ssim": lambda: (d.ssim, {**_pictures(), "data_range": 2.0}),
    "to_symmetric": lambda: (
        d.to_symmetric,
        {"y": x_of(2, 2).abs(), "op": op(), "low": 0.0, "high": 1.0},
    ),
    "from_symmetric": lambda: (d.from_symmetric, {"x": x_of(2, 2), "low": 0.0, "high": 1.0}),
    "read_picture": lambda: (
        files.read_picture,
        {"path": folder() / "good.png", "value_range": (0.0, 255.0)},
    ),
    "read_noise": lambda: (files.read_noise, {"path": folder() / "good.npy"}),
    "read_numbers": lambda: (files.read_numbers, {"path": folder() / "good.npy"}),
    "kind_of": lambda: (files.kind_of, {"path": Path("a.png")}),
    "write_picture": lambda: (
        files.write_picture,
        {
            "path": folder() / "new.png",
            "pixels": np.full((3, 12, 12), 99, np.uint8),
            "like": files.read_picture(folder() / "good.png"),
            "force": True,
        },
    ),
    "Picture": lambda: (files.Picture, {"pixels": np.zeros((3, 2, 2)), "low": 0.0, "high": 1.0}),
    "Task": lambda: (
        lambda **a: tasks.Task(**a).operator((3, 4, 4)),
        {
            "name": "superres",
            "factor": 2,
            "kernel": "box",
            "weights": "mean",
            "share": 0.25,
            "h_seed": 0,
        },
    ),
    "Task.check": lambda: (
        tasks.Task(name="denoise").check,
        {"given": ["sigma_y"], "degrade": False},
    ),
    "Task.operator": lambda: (tasks.Task(name="denoise").operator, {"shape": (3, 4, 4)}),
    "color_weights": lambda: (tasks.color_weights, {"text": "rec601", "channels": 3}),
    "bayer": lambda: (tasks.bayer, {"pattern": "RGGB", "height": 4, "width": 4}),
    "kernel_of": lambda: (tasks.kernel_of, {"text": "gaussian:1.5"}),
    # checks
    "check": lambda: (
        d.check,
        {
            "name": "a claim",
            "got": [1.0, 2.0],
            "want": x_of(2) * 0 + torch.tensor([1.0, 2.0]),
            "atol": 1e-9,
        },
    ),
    "check_mc": lambda: (
        d.check_mc,
        {
            "name": "a claim",
            "samples": x_of(2000, 2),
            "mean": [0.0, 0.0],
            "cov": np.eye(2),
            "false_alarm": 1e-6,
        },
    ),
    "check_operator": lambda: (d.check_operator, {"op": op(), "H": _H.copy(), "seed": 0}),
    "check_H": lambda: (d.check_H, _checked_h()),
    "check_sampler": lambda: (
        d.check_sampler,
        {
            "sampler": sampler,
            "eta": 0.85,
            "eta_b": 1.0,
            "op": op(),
            "sigmas": sigmas(),
            "sigma_y": 0.2,
            "draws": 1000,
            "seed": 0,
        },
    ),
    "check_calibration": lambda: (
        d.check_calibration,
        {
            "sampler": lambda prior, op, y, *, generator: prior.sample(len(y), generator=generator),
            "prior": prior(),
            "op": op(),
            "sigma_y": 0.2,
            "images": 200,
            "draws": 9,
            "seed": 0,
        },
    ),
    "svd_of": lambda: (checks.svd_of, {"op": op()}),
    "sampler_of": lambda: (checks.sampler_of, {"step": lambda *a, **k: None}),
    "exercise": lambda: (d.exercise, {"id": "00.1", "hints": 1}),
}
SLOW = {
    "check_sampler": 4,
    "check_calibration": 6,
    "check_H": 6,
    "load_denoiser": 10,
    "from_diffusers": 60,
}
"""Calls that are made of these at most, for each argument: a single one takes long."""

INFINITE = (  # where infinity, or NaN, is the right answer, and documented
    *("psnr",),  # of equal images
    *("sharpness",),  # beside a truth that is the same everywhere
    *("check_mc",),  # the smallest mean, or variance, that is found where none is claimed
    *("step_weights", "ddrm_nelbo", "ddrm_nelbo_direct", "ddpm_nelbo"),  # of steps without noise
    *("check_operator", "check_H", "check_sampler"),  # the errors in a report of broken laws
)

r"""From a measurement to an image by any method: ``restore`` and the table of what it knows.

A method is a *sampler*, with a step of its own, or a *denoiser that sees y*, which runs in the loop
of DDPM and DDIM.  Either may be a reader's own.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .boundary import checked, require_call
from .ddpm import ddpm_samples
from .ddrm import Rate, ddrm_coefficients, ddrm_samples
from .diffusion import Denoiser, Step, StepCoefficients, diffusion_steps
from .guidance import DDNM, DiffPIR, MomentMatching, PiGDM
from .noise import Generators, standard_normal
from .operators import LinearMap, SVDOperator
from .operators.base import require_svd
from .operators.whitening import whitened
from .samplers import (
    ddnm_plus_samples,
    dps_samples,
    markov_ddrm_samples,
    particle_samples,
    pigdm_samples,
    repaint_samples,
)
from .scale import warn_if_out_of_range
from .schedule import NoiseSchedule
from .validation import require_batch


class Method(NamedTuple):
    """A restoration method: how it is made, what it needs and costs, and whose it is."""

    name: str
    make: Callable[..., Any]  #: a sampler, or what makes a denoiser that sees y
    needs: str  #: of H its "svd" or "H, H^T" only; of the denoiser its "gradient"
    evaluations: int  #: of the denoiser, for each image and step (RePaint: at most)
    vjps: int  #: vector-Jacobian products, for each step
    paper: str


def _that_sees_y(name: str, make: type[Any], paper: str) -> Method:
    return Method(name, make, make.needs, make.cost.evaluations, make.cost.vjps, paper)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("ddrm", ddrm_samples, "svd", 1, 0, "Kawar, Elad, Ermon and Song 2022"),
        Method("ddrm-markov", markov_ddrm_samples, "svd", 1, 0, "lecture 11"),
        _that_sees_y("ddnm", DDNM, "Wang, Yu and Zhang 2023"),
        _that_sees_y("diffpir", DiffPIR, "Zhu et al. 2023"),
        _that_sees_y("pigdm", PiGDM, "Song, Vahdat, Mardani and Kautz 2023"),
        _that_sees_y("moment-matching", MomentMatching, "Boys et al. 2023; Rozet et al. 2024"),
        Method("ddnm+", ddnm_plus_samples, "svd", 1, 0, "Wang, Yu and Zhang 2023"),
        Method("pigdm-published", pigdm_samples, "svd and gradient", 1, 1, "Song et al. 2023"),
        Method("dps", dps_samples, "H, H^T and gradient", 1, 1, "Chung et al. 2023"),
        Method("repaint", repaint_samples, "svd, V = I, sigma_y = 0", 10, 0, "Lugmayr et al. 2022"),
        Method("particles", particle_samples, "svd, sigma_y > 0", 64, 0, "Cardoso et al. 2024"),
    )
}
"""What ``restore(method=NAME)`` knows, with the options that are the class's defaults."""


LINEAR = NoiseSchedule.linear()
"""The schedule of a denoiser that names none."""

LARGE_RESIDUAL = 1e-3
"""Of conjugate gradients, over what they began with: beyond it a run tells."""


@checked
def restore(
    denoiser: Denoiser,
    op: Any,
    y: Tensor,
    *,
    sigma_y: Any,
    method: str | Callable[..., Any] = "ddrm",
    steps: int = 20,
    eta: Rate | None = None,
    eta_b: Rate = 1.0,
    schedule: NoiseSchedule | None = None,
    generator: Generators = None,
    progress: bool = False,
) -> Tensor:
    """The restored images of a batch of measurements: the last step of the method's sampler.

    Parameters
    ----------
    denoiser, op, y, generator
        As in :func:`ddrm_samples`.  "ddnm", "diffpir", "moment-matching" and "dps" take an ``op``
        without an SVD as well, such as ``LinearMap(f, in_shape)`` of any linear function of torch:
        the first two solve for x by conjugate gradients, which is told where it did not end.
    sigma_y : float, or array
        Standard deviation of the noise in y, in the units of y: one number, one for each image of
        the batch, or a map of the shape of y or of one of its images, infinite where nothing was
        measured.  What differs is whitened by :class:`ddrm_edu.WeightedRows`: the rows of H and y
        are divided by it, if the SVD of H stays exact.
    method : str or callable
        A name in ``ddrm_edu.restoration.METHODS``, or a callable of one of two kinds.  One with a
        parameter ``sigmas`` is a sampler: ``method(denoiser, op, y, *, sigmas, sigma_y,
        generator)`` returns the image or an iterator of steps.  Any other makes a denoiser that
        sees y, ``method(denoiser, op, y, sigma_y=)``, such as :class:`ddrm_edu.DDNM` or
        ``functools.partial(MomentMatching, cg_steps=3)``; it runs in the loop of
        :func:`ddpm_samples`.
    steps : int
        Number of levels, from 1 to the schedule's T; the method's ``evaluations`` are for each.
    eta : float, Tensor or str, optional
        Share of fresh noise in each level, as in :func:`ddrm_coefficients`; of a sampler that has
        ``eta_ddim`` instead, that one.  By default the method's own: 0.85 for DDRM, as in its
        paper, and for a denoiser that sees y DDPM's, which is sqrt(1 - (sigma_next / sigma)^2).
        Of these only DDPM's tends to the right law with more steps; ``eta=1`` tends to half of its
        covariance (ledger G07), and so to images nearer to the mean and of a higher PSNR (G16).
    eta_b : float, Tensor or str
        For DDRM, see :func:`ddrm_coefficients`.
    schedule : NoiseSchedule, optional
        By default the denoiser's own (``denoiser.schedule``), or else the linear one of DDPM.
    progress : bool
        Show a progress bar, if the run takes more than a second.

    Returns
    -------
    Tensor, shape (batch, *in_shape)
        One draw for each measurement.  DDRM with ``sigma_y = 0`` and ``eta_b = 1``, and DDNM,
        satisfy ``op(x) == y`` to rounding.

    Raises
    ------
    ValueError
        If there is no such method, a rate is given to a method that has none, or the method refuses
        what it was given.

    Examples
    --------
    >>> import torch
    >>> from ddrm_edu import GaussianPrior, Inpainting, restore
    >>> prior = GaussianPrior(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> op = Inpainting(torch.tensor([True, False]))
    >>> for method in ("ddrm", "ddnm"):
    ...     print(restore(prior, op, torch.tensor([[0.5]]), sigma_y=0.0, method=method)[0, 0])
    tensor(0.5000)
    tensor(0.5000)
    """
    if isinstance(op, list | tuple):
        require_svd(op, "op")
    name, sampler = _sampler(method)
    svd = not isinstance(method, str) or "svd" in METHODS[name].needs
    if isinstance(method, str) and svd and not isinstance(op, SVDOperator):
        ways = [repr(way.name) for way in METHODS.values() if "svd" not in way.needs]
        raise ValueError(
            f"{name} needs the singular values of H, but op was a {type(op).__name__}. "
            f"as_operator(H, in_shape) decomposes H; {', '.join(ways)} need H and H^T only."
        )
    if isinstance(op, LinearMap):
        op = op.with_transpose()
    op, y, sigma_y = whitened(op, y, sigma_y, svd=svd)
    if schedule is None:
        schedule = getattr(denoiser, "schedule", None) or LINEAR
    if isinstance(op, SVDOperator) and getattr(denoiser, "value_range", None):
        require_batch(y, op.out_shape, "y")
        warn_if_out_of_range(op, y, sigma_y)
    run = sampler(
        denoiser,
        op,
        y,
        sigmas=schedule.sigmas(steps),
        sigma_y=sigma_y,
        generator=generator,
        **_rates(name, sampler, eta, eta_b),
    )
    if isinstance(run, Tensor):
        return run
    if progress:
        from tqdm.auto import tqdm

        run = tqdm(run, total=steps, desc=name, unit="step", delay=1)
    x = y
    for step in run:
        x = step.x
        del step  # its x0_hat is not kept while the network runs
    return x


def _sampler(method: str | Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """What a method is called, and its sampler."""
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(
                f"method must be one of {', '.join(METHODS)}, or a callable, but was {method!r}."
            )
        name, make = method, METHODS[method].make
    elif callable(method):
        whole = method.func if isinstance(method, partial) else method
        name, make = getattr(whole, "__name__", type(whole).__name__), method
    else:
        raise ValueError(
            f"method must be one of {', '.join(METHODS)}, or a callable, but was of type "
            f"{type(method).__name__}."
        )
    return name, make if "sigmas" in _parameters(make) else partial(_in_the_loop, make)


def _in_the_loop(
    make: Callable[..., Any],
    denoiser: Denoiser,
    op: Any,
    y: Tensor,
    *,
    sigmas: Tensor,
    sigma_y: float,
    generator: Generators,
    eta: Rate | None = None,
) -> Iterator[Step]:
    """DDPM's steps with the denoiser that ``make`` makes, which sees y; or DDRM's where s = 0."""
    way = "method(denoiser, op, y, sigma_y=sigma_y)"
    due = f"A method without a parameter sigmas is called as {way}"
    require_call(make, due, denoiser, op, y, sigma_y=sigma_y)
    guided = make(denoiser, op, y, sigma_y=sigma_y)
    if not callable(guided):
        raise ValueError(
            "A method without a parameter sigmas must make a denoiser that sees y, a callable "
            f"(x, sigma) -> x0_hat, but made a {type(guided).__name__}. A sampler has sigmas among "
            "its parameters: method(denoiser, op, y, *, sigmas, sigma_y, generator)."
        )
    shape = (len(y), *op.in_shape)
    if eta is None:
        steps = ddpm_samples(
            guided, shape, sigmas, generator=generator, dtype=y.dtype, device=y.device
        )
        return _told(steps, guided)
    if isinstance(eta, Tensor) and eta.ndim:
        raise ValueError(
            "eta of a denoiser that sees y must be one number, but had shape "
            f"{tuple(eta.shape)}: rates of coordinates are DDRM's."
        )
    unmeasured = torch.zeros(len(sigmas) - 1)
    table = ddrm_coefficients(unmeasured, sigmas[:-1], sigmas[1:], 0.0, eta=eta, eta_b=1.0)
    rows = map(StepCoefficients._make, zip(*table, strict=True))
    start = sigmas[0] * standard_normal(y.new_empty(shape), generator)
    steps = diffusion_steps(guided, start, sigmas, rows, generator=generator)
    return _told(steps, guided)


def _told(steps: Iterator[Step], guided: Any) -> Iterator[Step]:
    """The same steps; after the last it is told if conjugate gradients had not ended there."""
    yield from steps
    if isinstance(guided, DDNM | DiffPIR) and guided.residual > LARGE_RESIDUAL:
        warnings.warn(
            f"Without an SVD of H, conjugate gradients had a residual of {guided.residual:.2g} of "
            f"the first in the last step, after cg_steps = {guided.cg_steps}, where "
            f"{LARGE_RESIDUAL:g} or less was expected: x fits y less well than it could. Take "
            f"more, method=functools.partial({type(guided).__name__}, cg_steps=1000), or DiffPIR "
            "with a sigma_y that is not smaller than the noise.",
            stacklevel=3,
        )


def _rates(
    name: str, sampler: Callable[..., Any], eta: Rate | None, eta_b: Rate
) -> dict[str, Rate]:
    """The rates that were given, by the names that the sampler has for them."""
    known = _parameters(sampler)
    rates: dict[str, Rate] = {}
    if eta is not None:
        key = next((key for key in ("eta", "eta_ddim") if key in known), None)
        if key is None:
            raise ValueError(f"{name} takes no eta, but it was {eta}. Leave it out.")
        if key == "eta_ddim" and not isinstance(eta, int | float):
            raise ValueError(f"eta of {name} must be one number in [0, 1], but was {eta!r}.")
        rates[key] = eta
    if "eta_b" in known:
        rates["eta_b"] = eta_b
    elif not (isinstance(eta_b, int | float) and eta_b == 1):
        raise ValueError(
            f"{name} takes no eta_b, but it was {eta_b}: it weighs the measurement in DDRM's first "
            "case only. Leave it out."
        )
    return rates


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The names of what a callable takes."""
    if not isinstance(function, FunctionType):  # not every callable can be remembered
        return _names_in_signature(function)
    if function not in _KNOWN:
        _KNOWN[function] = _names_in_signature(function)
    return _KNOWN[function]


_KNOWN: WeakKeyDictionary[FunctionType, frozenset[str]] = WeakKeyDictionary()
"""Reading a signature takes as long as a step of a small image; what a closure holds is let go."""


def _names_in_signature(function: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        raise ValueError(
            f"method must say what it takes, but {function!r:.60} has no signature. Wrap it in a "
            "function: method(denoiser, op, y, *, sigmas, sigma_y, generator)."
        ) from None

"""Networks that were trained with diffusers, as denoisers.

What the answer of a network means, the times it is called with and the levels they stand for are
written in two files of a saved pipeline.  They are read here, and never guessed.

A model of OpenAI's guided-diffusion, as the DDRM paper used, has no such files, and its code makes
it: ``model(x_t, t)`` takes integer times from 0, returns the noise in the first three of its six
channels, and was trained on linear levels.  Loaded from your own file it is

    denoiser = EpsDenoiser(lambda x, t: model(x, t)[:, :3])
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .boundary import checked
from .denoisers import EpsDenoiser, SampleDenoiser, VDenoiser
from .schedule import NoiseSchedule
from .validation import is_integer

KINDS = {"epsilon": EpsDenoiser, "v_prediction": VDenoiser, "sample": SampleDenoiser}


@checked
def from_diffusers(
    source: Any,
    scheduler: Any = None,
    *,
    class_labels: int | Tensor | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> EpsDenoiser | VDenoiser | SampleDenoiser:
    r"""A network trained with diffusers as ``denoiser(x, sigma) -> x0_hat``.

    Read are: what the network predicts (``prediction_type``: epsilon, v_prediction or sample), the
    levels it was trained on (``betas``, ``alphas_cumprod``), whether it also predicts a variance
    (twice as many channels: the second half is left out) and whether it takes class labels.  It is
    called with the integer time whose level is closest to sigma, counted from 0.

    Parameters
    ----------
    source : path, str, or object
        Folder of a saved pipeline, or of a saved model; ``"owner/name"`` on the Hugging Face hub,
        which diffusers downloads; a pipeline; or a model, ``net(x_t, t)`` with ``net.config``.
    scheduler : path, str, or object, optional
        The scheduler that the network was trained with, if ``source`` does not contain it.
    class_labels : int or integer Tensor, optional
        Of a network with classes: one for all images, or one for each, shape ``(batch,)``.
    device, dtype : optional
        Where the network is moved to, and its precision (``torch.float16``).

    Returns
    -------
    EpsDenoiser, VDenoiser or SampleDenoiser
        Its ``schedule`` holds the levels; its network is in evaluation mode.

    Raises
    ------
    ValueError
        If something of this is missing, unknown or contradictory, or if the network does not act on
        pixels (latent diffusion), needs a text, or takes other levels than integer times (flow
        matching, EDM, ``time_embedding_type="fourier"``).
    ImportError
        Where a folder or a name is to be loaded without the package diffusers.

    Notes
    -----
    A saved scheduler without ``prediction_type`` is one from before there was a choice; diffusers
    reads it as epsilon, and so does this.  Zero terminal SNR: the level T is infinite, and is
    dropped with a warning (`NoiseSchedule.from_alphas_cumprod`).  ``clip_sample`` and
    ``thresholding`` of the scheduler are not applied: x0_hat is what the network says.

    Examples
    --------
    ``from_diffusers("runs/ddpm")`` reads a folder that ``pipeline.save_pretrained`` wrote.  Objects
    are taken as well, here two that only look like those of diffusers:

    >>> from types import SimpleNamespace as Namespace
    >>> class Net(torch.nn.Module):
    ...     config = Namespace(in_channels=3, out_channels=3)
    ...     def forward(self, x_t, t):
    ...         return Namespace(sample=0 * x_t)
    >>> config = Namespace(prediction_type="v_prediction")
    >>> betas = torch.linspace(1e-4, 0.02, 1000)
    >>> denoiser = from_diffusers(Net(), Namespace(config=config, betas=betas))
    >>> type(denoiser).__name__
    'VDenoiser'
    >>> denoiser(torch.ones(1, 3, 8, 8), 1.0).mean()
    tensor(0.5000)
    """
    if isinstance(source, str | Path):
        source, scheduler = _loaded(str(source), scheduler)
    elif hasattr(source, "scheduler"):
        _require_pixels({name for name, part in vars(source).items() if part is not None})
        source, scheduler = source.unet, scheduler or source.scheduler
    if isinstance(scheduler, str | Path):
        scheduler = _loaded_scheduler(str(scheduler))
    if scheduler is None:
        raise ValueError(
            "A network alone does not say what it predicts, nor the levels of its times. Give the "
            "scheduler that it was trained with: from_diffusers(net, scheduler)."
        )
    if not hasattr(source, "config") or not isinstance(source, torch.nn.Module):
        raise ValueError(
            "source must be the folder of a saved pipeline or model of diffusers, an owner/name on "
            f"the hub, or one of their models with its config, but was {type(source).__name__}. "
            "Another network becomes a denoiser by EpsDenoiser(net, schedule), VDenoiser or "
            "SampleDenoiser."
        )
    kind = prediction_type(scheduler)
    net = _Network(source, class_labels)
    source.eval()
    if device is not None and torch.device(device).type == "meta":
        raise ValueError("device must be one that holds numbers, but was meta. Take 'cpu'.")
    if device is not None or dtype is not None:
        # A model's own .to warns of modules that it would keep in float32, be there none.
        torch.nn.Module.to(source, device=device, dtype=dtype)
    schedule = schedule_of(scheduler)
    times = _entry(source, "num_train_timesteps")
    if _entry(source, "time_embedding_type") == "learned" and (times or 0) < schedule.T:
        raise ValueError(
            f"The network learned {times} times, but the scheduler has T = {schedule.T} levels. "
            "Give the one that it was trained with."
        )
    return KINDS[kind](net, schedule, first_t=0)


def prediction_type(scheduler: Any) -> str:
    """``"epsilon"``, ``"v_prediction"`` or ``"sample"``, as the scheduler says."""
    kind = _entry(scheduler, "prediction_type")
    if kind not in KINDS:
        said = "does not say what its network predicts" if kind is None else f"says {kind!r}"
        raise ValueError(
            f"The scheduler must say prediction_type='epsilon', 'v_prediction' or 'sample', but "
            f"{type(scheduler).__name__} {said}. It cannot be told from the network: make the "
            "scheduler of the training, for example DDPMScheduler(prediction_type='epsilon')."
        )
    return kind


def schedule_of(scheduler: Any) -> NoiseSchedule:
    """The levels of a diffusers scheduler, in float64.

    Raises
    ------
    ValueError
        If its times are not integers that stand for levels of a variance-preserving process.
    """
    cumprod: Any
    betas, cumprod = (getattr(scheduler, name, None) for name in ("betas", "alphas_cumprod"))
    continuous = _entry(scheduler, "timestep_type") == "continuous"
    if (betas is None and cumprod is None) or continuous:
        raise ValueError(
            f"{type(scheduler).__name__} has no alphas_cumprod: its network takes continuous "
            "levels and not integer times (flow matching, EDM, variance exploding). Write "
            "denoiser(x, sigma) -> x0_hat of such a network yourself; any callable will do."
            if not continuous
            else "The network takes continuous times (timestep_type='continuous'). Write "
            "denoiser(x, sigma) -> x0_hat of it yourself; any callable will do."
        )
    if betas is not None:  # float32 keeps their digits, but not those of 1 - alphas_cumprod
        exact = (1 - torch.as_tensor(betas, dtype=torch.float64)).cumprod(0)
        if cumprod is None or _alike(exact, torch.as_tensor(cumprod).double()):
            cumprod = exact
    return NoiseSchedule.from_alphas_cumprod(cumprod)


def _alike(one: Tensor, other: Tensor) -> bool:
    """To the rounding of a product of float32 numbers."""
    bound = len(one) * torch.finfo(torch.float32).eps
    return one.shape == other.shape and bool((one - other.to(one.device)).abs().max() <= bound)


class _Network:
    """A model of diffusers as ``net(x_t, t)``: with its labels, and without a variance."""

    def __init__(self, model: Any, class_labels: int | Tensor | None) -> None:
        self.model, self.config, self.parameters = model, model.config, model.parameters
        channels, out = (_entry(model, name) for name in ("in_channels", "out_channels"))
        if out not in (channels, 2 * (channels or 0)):
            raise ValueError(
                f"The network takes {channels} channels and returns {out}. A denoiser of images "
                "returns as many as it takes, or twice as many if it also predicts a variance; "
                "this one is given something beside the image."
            )
        if "encoder_hidden_states" in inspect.signature(model.forward).parameters:
            raise ValueError(
                f"{type(model).__name__} needs the encoding of a text beside the image. Bind it: "
                "net = lambda x_t, t: unet(x_t, t, encoder_hidden_states=...).sample, and then "
                "EpsDenoiser(net, schedule) or its siblings."
            )
        kinds = [kind.__name__ for kind in type(model).__mro__ if _is_of_diffusers(kind)]
        if kinds and "UNet2DModel" not in kinds:
            raise ValueError(
                f"Of the models of diffusers UNet2DModel is one of pixels, called with an image "
                f"and an integer time, but this was {kinds[0]}. Bind what else yours takes: net = "
                "lambda x_t, t: model(...).sample, and then EpsDenoiser(net, schedule) or its "
                "siblings."
            )
        if _entry(model, "time_embedding_type") == "fourier":
            raise ValueError(
                "The network takes continuous levels (time_embedding_type='fourier') and not "
                "integer times. Write denoiser(x, sigma) -> x0_hat of it yourself; any callable "
                "will do."
            )
        if _entry(model, "class_embed_type") is not None:
            raise ValueError(
                f"The network embeds its classes by {_entry(model, 'class_embed_type')!r}. Bind "
                "them: net = lambda x_t, t: unet(x_t, t, class_labels=...).sample, and then "
                "EpsDenoiser(net, schedule) or its siblings."
            )
        self.labels = _labels(class_labels, _entry(model, "num_class_embeds"))

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        options = {}
        if self.labels is not None:
            if len(self.labels) not in (1, len(x)):
                raise ValueError(
                    f"class_labels has {len(self.labels)} entries, but the batch {len(x)} images. "
                    "Give one for all, or one for each."
                )
            options["class_labels"] = self.labels.to(x.device).expand(len(x))
        out = self.model(x, t, **options)
        return getattr(out, "sample", out)[:, : x.shape[1]]


def _labels(given: Any, classes: int | None) -> Tensor | None:
    """The labels (1,) or (batch,), if the network takes some."""
    if classes is None:
        if given is not None:
            raise ValueError("class_labels were given, but the network takes none. Leave them out.")
        return None
    whole = is_integer(given) or (isinstance(given, Tensor) and not given.is_floating_point())
    labels = torch.as_tensor(given, dtype=torch.long).reshape(-1) if whole else torch.tensor([-1])
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The network was trained with {classes} classes. Say which one is to be seen, "
            f"class_labels= an integer from 0 to {classes - 1} or a tensor of them, one for each "
            f"image; it was {given!r}."
        )
    return labels


def _is_of_diffusers(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "diffusers"


def _entry(thing: Any, name: str) -> Any:
    """An entry of the configuration, which is a mapping or an object."""
    config = getattr(thing, "config", None)
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


# ------------------------------------------------------------------------------------------ loading


def _loaded(source: str, scheduler: Any) -> tuple[Any, Any]:
    """Model and scheduler of a folder, or of the hub; a given scheduler is left as it is."""
    diffusers = _diffusers()
    folder = Path(source)
    if not folder.is_dir():
        folder = _downloaded(source, diffusers)
    if not (folder / "model_index.json").is_file():
        beside = folder / "scheduler_config.json"
        scheduler = folder if scheduler is None and beside.is_file() else scheduler
        return _component(folder, "model"), scheduler
    parts = _said(diffusers.DiffusionPipeline.load_config, str(folder))
    # [library, class] each; [None, None] for what the pipeline can do without.
    names = {name for name, of in parts.items() if isinstance(of, list | tuple) and of[0]}
    _require_pixels(names)
    if scheduler is None:
        scheduler = _loaded_scheduler(str(_place(folder, "scheduler")))
    return _component(_place(folder, "unet"), "model"), scheduler


def _loaded_scheduler(source: str) -> Any:
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(
            f"scheduler= must be a scheduler of diffusers or the folder of a saved one, but there "
            f"is no folder {source!r}."
        )
    if (folder / "model_index.json").is_file():
        folder = _place(folder, "scheduler")
    return _component(folder, "scheduler")


def _place(folder: Path, name: str) -> Path:
    """Where a pipeline keeps a part: in a folder of that name; the oldest, beside all others."""
    return folder / name if (folder / name).is_dir() else folder


def _component(folder: Path, what: str) -> Any:
    """The ``"model"`` or ``"scheduler"`` that was saved there, of a class of diffusers itself."""
    diffusers = _diffusers()
    reader: Any
    base: Any
    reader, base = {
        "model": (diffusers.UNet2DModel, diffusers.ModelMixin),
        "scheduler": (diffusers.DDPMScheduler, diffusers.SchedulerMixin),
    }[what]
    name = _said(reader.load_config, str(folder)).get("_class_name")
    kind = getattr(diffusers, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ValueError(
            f"{folder} was expected to hold a {what} of diffusers, but its configuration says "
            f"{name!r}."
        )
    load: Any = kind.from_pretrained  # type: ignore[attr-defined] # of the mixins
    if what == "model":
        load = partial(load, low_cpu_mem_usage=False)  # else diffusers asks for accelerate
    # The weights that a new network draws are replaced at once; the caller's random state stays.
    with torch.random.fork_rng(devices=[]):
        return _said(load, str(folder))


def _require_pixels(names: set[str]) -> None:
    """Refuse a pipeline whose network does not see pixels alone."""
    latent = sorted(names & {"vae", "vqvae", "movq", "text_encoder", "transformer"})
    if latent or "unet" not in names:
        raise ValueError(
            "A pipeline of a unet that acts on pixels was expected, but this one consists of "
            f"{', '.join(sorted(name for name in names if name[0] != '_'))}. In a latent diffusion "
            "model H does not act on what the network sees, so DDRM has no SVD to work with; take "
            "a DDPM of pixels."
        )


def _downloaded(source: str, diffusers: Any) -> Path:
    """The files of ``"owner/name"`` on the hub, fetched by diffusers."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise ValueError(
            f"{source!r} was expected to be the folder of a saved pipeline or model of diffusers, "
            "or its owner/name on the Hugging Face hub, but there is no such folder. Is it spelled "
            "right, and relative to where this was started?"
        )
    names = _said(diffusers.DiffusionPipeline.load_config, source)
    _require_pixels({name for name, of in names.items() if isinstance(of, list | tuple) and of[0]})
    return Path(_said(diffusers.DiffusionPipeline.download, source))


def _said(load: Any, source: str) -> Any:
    """``load(source)``, its errors as one sentence."""
    try:
        return load(source)
    except Exception as error:  # loaders raise whatever the libraries under them do
        reason = " ".join(str(error).split())
        place = (
            "it could not be read"
            if Path(source).exists()
            else ("there is no such folder, and the Hugging Face hub gave nothing under this name")
        )
        raise ValueError(
            f"{source!r} was expected to be the folder of a saved pipeline or model of diffusers, "
            f"or its owner/name on the hub, but {place}. diffusers says: {reason[:300]}"
        ) from error


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(
            "To load a saved network the package diffusers is needed: pip install "
            f"'ddrm-edu[diffusers]'. ({error})"
        ) from error
    return diffusers

"""Shipped weights -> denoiser."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..boundary import checked
from ..denoisers import VDenoiser
from ..schedule import NoiseSchedule
from ..validation import require_floating
from .unet import LAYOUT, UNet

WEIGHTS = Path(__file__).parent / "weights"


class PretrainedDenoiser(VDenoiser):
    """A shipped network as ``denoiser(x, sigma) -> x0_hat`` for images in [-1, 1].

    Attributes
    ----------
    net : UNet
    schedule : NoiseSchedule
        Levels that :func:`ddrm_edu.restore` uses by default: those of the cosine schedule, which
        restore better in 20 steps than the linear ones (``benchmarks/results``).
    card : dict
        Data set, configuration, training and checksum of the weights.
    """

    net: UNet
    schedule: NoiseSchedule

    def __init__(self, net: UNet, card: dict[str, Any]) -> None:
        super().__init__(net, NoiseSchedule.cosine())
        self.card = card

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        require_floating(x, "x")
        if x.ndim != 4:
            raise ValueError(
                f"The shipped network takes x of shape (batch, {self.in_channels}, h, w), but x "
                f"had shape {tuple(x.shape)}. A single image is x[None]."
            )
        return super().__call__(x, sigma)

    def to(self, device: torch.device | str) -> PretrainedDenoiser:
        """This denoiser with its network moved to ``device``."""
        self.net.to(device)
        return self

    def __repr__(self) -> str:
        return f"PretrainedDenoiser({self.card['name']!r}, {self.in_channels} channels)"


@checked
def load_denoiser(
    name: str = "natural", *, device: torch.device | str = "cpu", folder: Path | str | None = None
) -> PretrainedDenoiser:
    """A pretrained denoiser; needs no network.

    Parameters
    ----------
    name : {"natural", "fashion"}
        ``"natural"``: 32 x 32 colour photographs (trained on CIFAR-10).
        ``"fashion"``: 32 x 32 grey pieces of clothing (trained on Fashion-MNIST).
    device : torch.device or str
    folder : path, optional
        Where ``<name>.safetensors`` and ``<name>.json`` lie, by default inside the package; give
        the folder of your own ``ddrm-edu train`` run to load its weights.

    Raises
    ------
    ValueError
        If there is no such model.
    OSError
        If the weights are damaged (their checksum differs from the recorded one).

    Examples
    --------
    >>> denoiser = load_denoiser("fashion")
    >>> denoiser(torch.zeros(1, 1, 32, 32), 1.0).shape
    torch.Size([1, 1, 32, 32])
    """
    from safetensors.torch import load

    folder = Path(folder or WEIGHTS)
    weights, card_file = folder / f"{name}.safetensors", folder / f"{name}.json"
    if not weights.exists() or not card_file.exists():
        known = sorted(path.stem for path in folder.glob("*.safetensors"))
        raise ValueError(
            f"There is no model {name!r} in {folder}; there are {known}. "
            "Train one with: ddrm-edu train NAME --run FOLDER, then pass folder=FOLDER."
        )
    card, content = json.loads(card_file.read_text()), weights.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != card["sha256"]:
        raise OSError(
            f"{weights} is damaged: its sha256 is {found[:12]}..., but {card_file.name} records "
            f"{card['sha256'][:12]}... Was the download cut off? Fetch the file again."
        )
    # The weights that a new network draws are replaced at once; the caller's random state stays.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        net = UNet(**card["network"])
    net.load_state_dict({key: value.float() for key, value in load(content).items()})
    net.requires_grad_(False)
    return PretrainedDenoiser(net.eval().to(device, **LAYOUT), card)

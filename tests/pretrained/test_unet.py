"""The network itself, fresh and as it ships: sizes of images, batches, configuration."""

from __future__ import annotations

import json

import pytest
import torch
from laws import largest
from strategies import noise_like

from ddrm_edu.pretrained.unet import UNet


@pytest.mark.parametrize("side", [(64, 64), (32, 48)], ids=str)
def test_network_takes_images_of_other_sizes(denoiser, side):
    """No attention and no fixed size: any multiple of 8."""
    x = noise_like(torch.empty(1, denoiser.in_channels, *side))
    out = denoiser(x, 2.0)
    assert out.shape == x.shape
    assert out.isfinite().all()


def test_prediction_for_an_image_does_not_depend_on_its_batch(denoiser):
    """No statistics over the batch; convolutions may round in another order."""
    x = noise_like(torch.empty(5, denoiser.in_channels, 32, 32))
    whole = denoiser(x, 0.7)
    for k in (0, 4):
        assert largest(denoiser(x[k : k + 1], 0.7)[0] - whole[k]) <= 1e-5
    assert largest(denoiser(x.flip(0), 0.7).flip(0) - whole) <= 1e-5


def test_a_fresh_network_predicts_zero_and_remembers_its_configuration():
    """Zeroed last layers: training starts from the identity of every block."""
    net = UNet(2, (8, 16), 1)
    out = net(noise_like(torch.empty(3, 2, 8, 12)), torch.tensor([0.1, 1.0, 9.0]))
    assert torch.equal(out, torch.zeros(3, 2, 8, 12))
    twin = UNet(**json.loads(json.dumps(net.config)))
    assert [w.shape for w in twin.parameters()] == [w.shape for w in net.parameters()]

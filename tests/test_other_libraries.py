"""The page ``docs/other_libraries.md``: every block runs, and what it makes is right."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import stand_in_deepinv
import torch

from ddrm_edu import EpsDenoiser, psnr

PAGE = Path(__file__).parents[1] / "docs" / "other_libraries.md"
SECTIONS = dict(re.findall(r"## (.+)\n((?:(?!\n## )[\s\S])*)", PAGE.read_text()))
START = PAGE.read_text().partition("\n## ")[0]


def run(text: str, names: dict) -> dict:
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.fixture(scope="module")
def names():
    """What the first block makes, and every other needs."""
    missing = find_spec("deepinv") is None
    if missing:
        sys.modules["deepinv"] = stand_in_deepinv.module()
    yield run(START, {"__name__": "page"})
    if missing:
        del sys.modules["deepinv"]


def test_the_page_has_a_section_for_each_library():
    assert [title.partition(":")[0].partition(" ")[0] for title in SECTIONS] == [
        *("scipy", "PyLops", "deepinv", "deepinv", "torch", "diffusers", "guided-diffusion")
    ]


def test_scipy_both_ways(names):
    run(SECTIONS["scipy: LinearOperator and sparse matrices"], names)
    assert np.abs(names["op"].matrix().numpy() - names["thirds"].toarray()).max() <= 1e-14
    x = names["solution"].reshape(3, 32, 32)
    assert np.abs(x - names["x0"][0].numpy()).max() <= 0.1, "solved, but for what a blur hides"


def test_pylops_both_ways_and_without_an_svd(names):
    run(SECTIONS["PyLops"], names)
    assert (names["op"].in_shape, names["op"].rank) == ((8, 8), 48)
    assert names["x"].shape == (2, 3, 32, 32)
    left = names["H"](names["x"]) - names["y"]
    assert left.square().mean().sqrt() <= 0.06


def test_deepinv_physics_in(names):
    run(SECTIONS["deepinv: physics in"], names)
    assert names["y"].shape == (2, 3, 28, 28)
    scores = psnr(names["x"], names["x0"])
    assert (scores >= 20).all(), "not on the scale [0, 1]"
    assert (names["H"](names["x"]) - names["y"]).square().mean().sqrt() <= 0.03


def test_an_operator_as_physics_of_deepinv(names):
    run(SECTIONS["deepinv: SVDOperator out"], names)
    blur, x0 = names["blur"], names["x0"]
    assert (names["y"] - blur(x0)).abs().max() <= 1e-5
    assert (names["physics"].A_adjoint(x0) - blur.adjoint(x0)).abs().max() <= 1e-5
    assert (names["back"] - x0).abs().max() <= 1e-2


@pytest.mark.skipif(sys.platform != "linux", reason="the page's workers are forked")
def test_batches_of_a_data_loader(names):
    run(SECTIONS["torch: batches from a DataLoader"], names)
    op = names["Measured"].op
    assert (op(names["x"]) - op(names["x0"])).abs().max() <= 1e-5


def test_a_network_of_diffusers(names):
    pytest.importorskip("diffusers")
    run(SECTIONS["diffusers"], names)
    known = names["known"]
    assert (names["x"][:, :, known] - names["x0"][:, :, known]).abs().max() <= 1e-5


def test_a_model_of_guided_diffusion(names):
    """Six channels, integer times, the keyword y: the exact noise of the prior N(0, I)."""
    run(SECTIONS["guided-diffusion (OpenAI), as the DDRM paper used"], names)
    assert names["x"].shape == (2, 3, 32, 32)
    times = []

    class Exact(torch.nn.Module):
        def forward(self, x, timesteps, y=None):
            assert timesteps.dtype == torch.int64
            times.append(int(timesteps[0]))
            variance = 1 - names["denoiser"].schedule.alpha_bar[timesteps[0] + 1]
            return torch.cat([variance.sqrt() * x, torch.full_like(x, 1e6)], dim=1)

    model = Exact()
    wrapped = EpsDenoiser(lambda x, t: model(x, t)[:, :3])
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for t in (0, 250, 999):
        sigma = wrapped.schedule.sigma[t + 1]  # the slides count from 1
        x0_hat = wrapped(x, sigma)
        assert (x0_hat - x / (1 + sigma**2)).abs().max() <= 1e-5
    assert times == [0, 250, 999]

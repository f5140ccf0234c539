"""A run stops where a denoiser returns no image, and says in which step, level and image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddrm_edu import Inpainting, ddpm_samples, langevin_samples, restore
from ddrm_edu.diffusion import EndOfRun, WrongImage
from ddrm_edu.restoration import METHODS

OP = Inpainting([True, False, True])
LEVELS = torch.tensor([2.0, 0.5, 0.0])


def run(method, denoiser, steps=4):
    sigma_y = 0.0 if method == "repaint" else 0.1
    generator = torch.Generator().manual_seed(0)
    y = torch.ones(3, 2)
    return restore(
        denoiser, OP, y, sigma_y=sigma_y, method=method, steps=steps, generator=generator
    )


def half(x, sigma):
    return x / 2


class BreaksAt:
    """Half of x; from the third call on, an entry of the last image is ``entry``."""

    def __init__(self, entry):
        self.entry, self.calls = entry, 0

    def __call__(self, x, sigma):
        self.calls += 1
        kept = torch.ones_like(x)
        if self.calls >= 3:
            kept[-1, -1] = self.entry
        return x / 2 * kept


@pytest.mark.parametrize("entry", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_stops_at_the_first_image_that_is_none(method, entry):
    """Level sigma = 1.4 is the third of four of the linear schedule."""
    with pytest.raises(WrongImage, match="must return finite numbers") as stopped:
        run(method, BreaksAt(entry))
    said = str(stopped.value)
    image = 3 * 64 - 1 if method == "particles" else 2
    assert f"image {image} of the batch" in said
    assert "1 of 3 were NaN" in said
    step = 2 if method == "repaint" else 3  # which goes back and forth
    assert f"That was step {step} of" in said or method == "repaint"
    assert "at the level sigma = " in said


WRONG = {
    "a tuple": (lambda x: (x, x), "must return a torch tensor, but returned a tuple"),
    "an array": (
        lambda x: x.detach().numpy(),
        "must return a torch tensor, but returned a ndarray",
    ),
    "None": (lambda x: None, "but returned a NoneType"),
    "another shape": (lambda x: x[:, :1], r"of the shape it was given, .* but returned \(\d+, 1\)"),
    "complex": (lambda x: x * 1j, "real floating-point numbers, but returned torch.complex64"),
    "integers": (lambda x: x.long(), "but returned torch.int64"),
    "booleans": (lambda x: x > 0, "but returned torch.bool"),
    "sparse": (lambda x: x.to_sparse(), "torch.sparse_coo"),
    "meta": (lambda x: x.to("meta"), "on meta"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("method", METHODS)
def test_a_run_refuses_what_is_no_image(method, name):
    change, words = WRONG[name]
    with pytest.raises(WrongImage, match=rf"{words}.* That was step 1 of \d"):
        run(method, lambda x, sigma: change(x / 2))


def test_it_is_told_if_the_denoiser_was_given_such_numbers():
    levels = torch.tensor([1e50, 1.0, 0.0], dtype=torch.float64)  # infinite in single precision
    with pytest.raises(WrongImage, match=r"given such numbers itself.* step 1 of 2"):
        list(ddpm_samples(half, (1, 3), levels))


def test_a_score_that_grows_without_bound_stops_its_chain():
    chain = langevin_samples(lambda x: x**3, torch.full((2, 1), 1e5), step=1.0, steps=50)
    with pytest.raises(WrongImage, match=r"The score must return finite .* That was step 2 of 50"):
        list(chain)


def test_a_score_may_work_in_place():
    def in_place(x):
        return x.mul_(-1)

    def careful(x):
        return -x

    start = torch.ones(2, 3)
    runs = [
        list(
            langevin_samples(
                f, start, step=0.1, steps=3, generator=torch.Generator().manual_seed(1)
            )
        )
        for f in (in_place, careful)
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=0)
    assert (start == 1).all()


def test_elsewhere_than_on_the_cpu_the_first_wrong_step_is_found_at_the_end():
    """The notes are made by hand: they are the device's, which is not there."""
    end = EndOfRun(torch.tensor([4.0, 2.0, 1.0, 0.0]))
    end.ask()
    end._fine = [
        torch.tensor([True, True]),
        torch.tensor([True, False]),
        torch.tensor([False, False]),
    ]
    with pytest.raises(WrongImage, match=r"image 1 of the batch .of 2,.* sigma = 2,.* step 2 of 3"):
        end.ask()
    end._fine = [torch.tensor([True, True])] * 3
    end.ask()

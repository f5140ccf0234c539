"""The loop that DDPM, DDIM and DDRM share, on its own (Algorithms 1 and 2)."""

from __future__ import annotations

import pytest
import torch
from laws import known_noise

from ddrm_edu.diffusion import StepCoefficients, diffusion_steps

LEVELS = torch.tensor([3.0, 0.7, 0.0], dtype=torch.float64)
START = torch.tensor([[0.4, -1.3, 2.2]], dtype=torch.float64)


ROW = StepCoefficients(*torch.tensor([0.3, 0.45, 0.6, 0.2], dtype=torch.float64))
"""Generic weights that do not add up to one, so that none can hide in another."""


def test_without_a_measurement_its_weight_multiplies_zero():
    """S07.1: unconditional steps are those of a measurement 0."""
    noise = torch.tensor([[[0.7, -0.2, 1.1]], [[-0.5, 0.3, 0.9]]], dtype=torch.float64)
    runs = []
    for y_spec in ({}, {"y_spec": torch.zeros_like(START)}):
        with known_noise(noise):
            steps = diffusion_steps(lambda x, sigma: x / 2, START, LEVELS, [ROW, ROW], **y_spec)
            runs.append(torch.stack([step.x for step in steps]))
    assert torch.equal(*runs)


@pytest.mark.parametrize("shape", [(1, 2), (1, 4), (1, 3, 1), (2, 3), (1,)], ids=str)
def test_denoisers_that_change_the_shape_are_refused(shape):
    """Larger and smaller: either would broadcast or fail far from its cause."""
    steps = diffusion_steps(
        lambda x, sigma: torch.zeros(shape, dtype=x.dtype), START, LEVELS, [ROW, ROW]
    )
    with pytest.raises(ValueError, match=r"of the shape it was given, \(1, 3\)"):
        next(steps)


def test_a_run_goes_on_from_the_state_that_it_is_sent():
    """And keeps nothing else: it is the run from there, in turned coordinates too."""
    turn = torch.linalg.qr(torch.arange(9.0, dtype=torch.float64).reshape(3, 3) ** 2 % 7).Q
    noise = torch.tensor([[[0.7, -0.2, 1.1]], [[-0.5, 0.3, 0.9]]], dtype=torch.float64)
    coordinates = {"to_pixels": lambda x: x @ turn, "to_spec": lambda x: x @ turn.T}

    def run(start, levels, noise):
        with known_noise(noise):
            rows = [ROW] * (len(levels) - 1)
            yield from diffusion_steps(lambda x, _: x / 2, start, levels, rows, **coordinates)

    other = torch.tensor([[3.0, 0.1, -0.4]], dtype=torch.float64)
    (due,) = run(other @ turn.T, LEVELS[1:], noise[1:])
    steps = run(START, LEVELS, noise)
    first = next(steps).x.clone()
    sent = other.clone()
    assert torch.allclose(steps.send(sent).x, due.x, rtol=0, atol=1e-15)
    assert torch.equal(sent, other)
    steps = run(START, LEVELS, noise)
    untouched = [step.x for step in run(START, LEVELS, noise)]
    assert torch.equal(next(steps).x, first)
    assert torch.allclose(steps.send(first).x, untouched[1], rtol=0, atol=1e-15)

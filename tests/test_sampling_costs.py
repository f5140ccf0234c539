"""What a run costs and whom it touches: passes over memory, draws, bytes; nothing of the caller's.

Time is measured by ``benchmarks/restore.py``; here is counted what makes it, which no neighbour on
the machine can change.
"""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
import pytest
import torch
from laws import nonlinear_denoiser
from memory import peak_bytes
from passes import passes

from ddrm_edu import (
    CircularBlur,
    Colorization,
    Denoising,
    Dense,
    Inpainting,
    SeparableBlur,
    SuperResolution,
    SVDOperator,
    ddpm_samples,
    ddrm_samples,
    restore,
)
from ddrm_edu import ddrm as ddrm_module
from ddrm_edu import diffusion as diffusion_module

SHAPE = (3, 64, 64)
MASK = torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) < 0.5
TASKS = {
    "denoising": Denoising(SHAPE),
    "inpainting": Inpainting(MASK, channels=3),
    "super-resolution": SuperResolution(SHAPE, 4),
    "colorization": Colorization(SHAPE),
    "circular blur": CircularBlur(SHAPE, np.random.default_rng(0).random((9, 9))),
    "separable blur": SeparableBlur(SHAPE, np.full(9, 1 / 9)),
}
tasks = pytest.mark.parametrize("name", TASKS)
LEVELS = torch.tensor([9.0, 2.1, 0.8, 0.2, 0.05, 0.0], dtype=torch.float64)


def half(x, sigma):
    return x * 0.5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def measured(op, batch=4, dtype=torch.float32):
    return torch.randn(batch, *op.out_shape, generator=seeded(1)).to(dtype)


# ----------------------------------------------------------------------- bytes, passes, draws


@tasks
def test_a_run_needs_few_copies_of_its_batch(name):
    """At most 6 batches where V = I, 9 elsewhere, of 4 images."""
    op = TASKS[name]
    y, limit = measured(op), 6 if name in ("denoising", "inpainting") else 9
    peak = peak_bytes(lambda: restore(half, op, y, sigma_y=0.05, steps=6))
    assert 3 <= peak / (4 * 4 * op.n) <= limit


def per_step(op, entries, **options) -> float:
    """Passes over at least so many entries that one more step costs."""
    counts = []
    for steps in (10, 20):
        run = lambda steps=steps: restore(half, op, measured(op), sigma_y=0.05, steps=steps)  # noqa: E731
        counts.append(len(passes(run, entries, **options)))
    return (counts[1] - counts[0]) / 10


@pytest.mark.parametrize(("name", "limit"), [("denoising", 8), ("inpainting", 9)])
def test_a_step_passes_few_times_over_the_batch(name, limit):
    """Two copies for the denoiser, its own pass, the noise, and at most four terms."""
    assert 5 <= per_step(TASKS[name], 4 * TASKS[name].n) <= limit


@tasks
def test_the_table_is_worked_out_for_distinct_singular_values_only(name):
    """Float64 numbers in a float32 run are no more than s has distinct entries, step by step."""
    op = TASKS[name]
    few = len(op.s.unique())
    steps = ddrm_samples(half, op, measured(op), LEVELS, sigma_y=0.05)
    next(steps)  # the start, which looks at all of s, is past
    assert (
        passes(lambda: list(steps), max(8 * 8192, few * len(LEVELS)) + 1, dtype=torch.float64) == []
    )


RATES = {"one": {}, "one per coordinate": {"eta": torch.rand(SHAPE, generator=seeded(2))}}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES.keys())
@tasks
def test_nothing_is_drawn_for_a_last_step(name, rates):
    """A draw for the start and one for each step that leads to a level above 0."""
    op, draws = TASKS[name], []
    true = diffusion_module.standard_normal

    def counted(like, generator=None):
        draws.append(like.shape)
        return true(like, generator)

    with (
        mock.patch.object(diffusion_module, "standard_normal", counted),
        mock.patch.object(ddrm_module, "standard_normal", counted),
    ):
        list(ddrm_samples(half, op, measured(op), LEVELS, sigma_y=0.07, **rates))
    assert draws == [(4, *SHAPE)] * (len(LEVELS) - 1)


@pytest.mark.parametrize(("eta_ddim", "draws"), [(0.0, 0), (0.3, 4)])
def test_deterministic_steps_draw_nothing(eta_ddim, draws):
    """DDIM with eta = 0 after its start."""
    true = diffusion_module.standard_normal
    with mock.patch.object(diffusion_module, "standard_normal", wraps=true) as drawn:
        list(ddpm_samples(half, (2, 3), LEVELS, eta_ddim=eta_ddim))
    assert drawn.call_count == draws


# -------------------------------------------------------------------------- nothing of the caller's


def in_place(x, sigma):
    """The same numbers as ``half``, written into the argument."""
    return x.mul_(0.5)


def spoils_its_argument(x, sigma):
    result = x * 0.5
    x.fill_(torch.nan)
    return result


class ReusesItsOutput:
    """One buffer for all calls."""

    def __init__(self):
        self.buffer = None

    def __call__(self, x, sigma):
        self.buffer = torch.empty_like(x) if self.buffer is None else self.buffer
        return torch.mul(x, 0.5, out=self.buffer)


class KeepsAll:
    """Spoils all that it was given and gave, one call later."""

    def __init__(self):
        self.kept = []

    def __call__(self, x, sigma):
        for each in self.kept:
            each.fill_(torch.nan)
        result = x * 0.5
        self.kept = [x, result]
        return result


def spoils_the_level(x, sigma):
    sigma.fill_(torch.nan)
    return x * 0.5


UNRULY = [in_place, spoils_its_argument, ReusesItsOutput, KeepsAll, spoils_the_level]
SMALL = {
    "V = I": Inpainting(torch.tensor([[True, False, True], [True, True, False]]), channels=1),
    "another V": SuperResolution((1, 4, 4), 2),
    "no operator": None,
}


def run_of(kind, denoiser):
    op = SMALL[kind]
    if op is None:
        return ddpm_samples(denoiser, (2, 5), LEVELS, generator=seeded())
    return ddrm_samples(denoiser, op, measured(op, 2), LEVELS, sigma_y=0.1, generator=seeded())


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("make", UNRULY, ids=lambda make: make.__name__)
def test_a_denoiser_may_do_as_it_likes_with_its_tensors(make, kind):
    """States, predictions and levels of all steps, looked at after the run, bit for bit."""
    denoiser = make() if isinstance(make, type) else make
    for got, want in zip(list(run_of(kind, denoiser)), list(run_of(kind, half)), strict=True):
        assert got.t == want.t
        for mine, due in zip(got[1:], want[1:], strict=True):
            assert torch.equal(mine, due)


@pytest.mark.parametrize("kind", SMALL)
def test_steps_do_not_change_after_they_were_yielded(kind):
    steps, then = [], []
    for step in run_of(kind, half):
        steps.append(step)
        then.append([each.clone() for each in step[1:]])
    for step, copies in zip(steps, then, strict=True):
        assert all(map(torch.equal, step[1:], copies))


@pytest.mark.parametrize("what", ["y", "sigmas", "eta", "eta_b"])
def test_what_the_caller_changes_later_does_not_change_a_run(what):
    """All arguments are read by the call itself, though steps are taken later."""
    op = SMALL["another V"]

    def arguments():
        rates = {"eta": torch.full(op.in_shape, 0.6), "eta_b": torch.full(op.in_shape, 0.8)}
        return {"y": measured(op, 2), "sigmas": LEVELS.clone()} | rates

    def run(given):
        return ddrm_samples(half, op, **given, sigma_y=0.1, generator=seeded())

    changed = arguments()
    steps = run(changed)
    changed[what].fill_(0.123)
    for got, want in zip(steps, run(arguments()), strict=True):
        assert torch.equal(got.x, want.x)


class Mirrored(Inpainting):
    """A subclass whose V is no longer the identity."""

    def V(self, x):
        return x.flip(-1)

    Vt = V


class Careless(SVDOperator):
    """H = I by methods that return their argument."""

    def __init__(self):
        self.in_shape = self.out_shape = (4,)
        self.s = torch.ones(4, dtype=torch.float64)

    def V(self, x):
        return x

    Vt = U = Ut = V


def test_a_subclass_of_a_pixel_operator_keeps_its_own_v():
    mask = torch.tensor([[[True, True, False]]])
    op = Mirrored(mask)
    y = torch.tensor([[1.0, 2.0]])
    x = restore(half, op, y, sigma_y=0.0, steps=3)
    torch.testing.assert_close(x[0, 0, 0, 1:], torch.tensor([2.0, 1.0]))


def test_methods_that_return_their_argument_do_no_harm():
    y = measured(Careless(), 2)
    mine = ddrm_samples(half, Careless(), y, LEVELS, sigma_y=0.3, generator=seeded())
    due = ddrm_samples(half, Denoising((4,)), y, LEVELS, sigma_y=0.3, generator=seeded())
    before = y.clone()
    for got, want in zip(list(mine), list(due), strict=True):
        assert torch.equal(got.x, want.x)
        assert torch.equal(got.x0_hat, want.x0_hat)
    assert torch.equal(y, before)


# ------------------------------------------------------------------------- the numbers are the same


def test_an_image_is_the_same_in_every_batch_to_1e_5():
    """Noise is equal to the last bit; a network's products may round differently."""
    for op in (*TASKS.values(), Dense(np.random.default_rng(1).random((3, 8)))):
        y = measured(op)
        generators = lambda first, count: [seeded(first + k) for k in range(count)]  # noqa: E731
        run = {"sigma_y": 0.05, "steps": 4}
        whole = restore(nonlinear_denoiser, op, y, generator=generators(0, 4), **run)
        for k in (0, 3):
            part = restore(nonlinear_denoiser, op, y[k : k + 1], generator=generators(k, 1), **run)
            torch.testing.assert_close(part[0], whole[k], atol=1e-5, rtol=0)


def test_many_levels_and_many_singular_values_are_worked_out_in_parts():
    """More rows of the table than are worked out at once: the numbers are those of single steps."""
    op = Dense(np.diag(np.linspace(0.1, 1.0, 60)))  # 60 distinct s, 68 rows at once
    levels = torch.linspace(5.0, 0.0, 301, dtype=torch.float64)
    asked = []
    true = ddrm_module.ddrm_coefficients

    def recorded(s, sigma, sigma_next, *args, **rates):
        if isinstance(sigma, torch.Tensor):
            asked.extend(zip(sigma.flatten().tolist(), sigma_next.flatten().tolist(), strict=True))
        return true(s, sigma, sigma_next, *args, **rates)

    y = measured(op, 1, torch.float64)
    with mock.patch.object(ddrm_module, "ddrm_coefficients", recorded):
        steps = list(ddrm_samples(half, op, y, levels, sigma_y=0.05, generator=seeded()))
    assert asked == list(itertools.pairwise(levels.tolist()))
    assert len(steps) == 300

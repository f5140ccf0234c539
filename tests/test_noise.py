"""Noise is the same to the last bit whatever the batch, threads and process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

from ddrm_edu.noise import standard_normal

SHAPES = [(3,), (1, 4, 4), (3, 33, 31)]  # torch draws fewer than 16 numbers in another way
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def seeds(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + k) for k in range(count)]


@shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_noise_is_what_torch_draws_in_the_dtype_of_the_run(shape, dtype):
    """So that a sampler written by hand has the noise of the library."""
    like = torch.empty(5, *shape, dtype=dtype)
    by_hand = torch.randn(5, *shape, generator=seeds(1, 3)[0], dtype=dtype)
    assert torch.equal(standard_normal(like, seeds(1, 3)[0]), by_hand)


@shapes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_sees_the_noise_of_float32(shape, dtype):
    like = torch.empty(5, *shape)
    for generators in (lambda: torch.Generator().manual_seed(3), lambda: seeds(5)):
        single = standard_normal(like, generators())
        assert single.dtype == torch.float32
        assert torch.equal(standard_normal(like.to(dtype), generators()), single.to(dtype))


@shapes
def test_noise_of_an_image_does_not_depend_on_its_batch(shape):
    """One generator per image: alone, among others, in another order."""
    whole = standard_normal(torch.empty(6, *shape), seeds(6))
    for k in range(6):
        assert torch.equal(standard_normal(torch.empty(1, *shape), seeds(1, k))[0], whole[k])
    backwards = standard_normal(torch.empty(6, *shape), seeds(6)[::-1])
    assert torch.equal(backwards.flip(0), whole)
    assert len(whole.flatten(1).unique(dim=0)) == 6


SCRIPT = """
import hashlib, torch
from ddrm_edu.noise import standard_normal
z = standard_normal(torch.empty(2, 3, 129, 64), torch.Generator().manual_seed(7))
print(hashlib.sha256(z.numpy().tobytes()).hexdigest())
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_noise_does_not_depend_on_the_process_and_its_threads(threads):
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    z = standard_normal(torch.empty(2, 3, 129, 64), torch.Generator().manual_seed(7))
    assert run.stdout.strip() == hashlib.sha256(z.numpy().tobytes()).hexdigest()


def test_plain_code_draws_the_same_noise_up_to_its_last_digits():
    """The promise of bits holds for processors with AVX2: without it, at most 2.3e-6 apart."""
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    script = SCRIPT.replace(
        "hashlib.sha256(z.numpy().tobytes()).hexdigest()", "z.flatten().tolist()"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    z = standard_normal(torch.empty(2, 3, 129, 64), torch.Generator().manual_seed(7))
    assert (torch.tensor(json.loads(run.stdout)) - z.flatten()).abs().max() <= 5e-6


def test_noise_belongs_to_who_asked_for_it():
    """Drawn anew each time, in memory of its own: a sampler writes into it."""
    like, generator = torch.zeros(2, 4), torch.Generator().manual_seed(0)
    first, second = (standard_normal(like, generator) for _ in range(2))
    kept = second.clone()
    first.zero_()
    assert torch.equal(second, kept)
    assert not like.any()


def test_noise_is_standard_normal():
    """Mean, variance and tails of 2,000,000 numbers, z <= 5; float32 does not cut at 4 or 5."""
    z = standard_normal(torch.empty(2_000_000, dtype=torch.float64), seeds(1)[0])
    N = len(z)
    assert abs(z.mean()) <= 5 / N**0.5
    assert abs(z.var() - 1) <= 5 * (2 / N) ** 0.5
    for bound in (1.0, 2.0, 3.0, 4.0):
        p = torch.special.erfc(torch.tensor(bound / 2**0.5)).item()
        share = (z.abs() > bound).double().mean().item()
        assert abs(share - p) <= 5 * (p * (1 - p) / N) ** 0.5
    assert z.abs().max() > 4.5


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, torch.float8_e5m2])
def test_noise_of_a_dtype_that_would_cut_it_off_is_refused(dtype):
    with pytest.raises(ValueError, match=r"like must be of a dtype that holds normal numbers"):
        standard_normal(torch.empty(2, 3).to(dtype))


@pytest.mark.parametrize("generator", [3, "seed", [3, 4]])
def test_a_seed_is_no_generator(generator):
    with pytest.raises(ValueError, match=r"generator must be one torch\.Generator.*manual_seed"):
        standard_normal(torch.empty(2, 3), generator)

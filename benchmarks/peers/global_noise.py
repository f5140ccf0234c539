"""torch's global noise in the place of a generator, for samplers that take none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def global_noise(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's global generator goes on where ``generator`` is; afterwards as before."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())

"""Bytes that an operation takes at its peak, and those that an object keeps."""

from __future__ import annotations

import sys

import numpy as np
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ddrm_edu import SVDOperator


def peak_bytes(work) -> int:
    """Most bytes alive at a time that ``work()`` asked of PyTorch's CPU allocator, with its result.

    The profiler reports every allocation and release, those inside kernels too; a
    TorchDispatchMode would see the tensors that come out of operations, not their scratch space.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        result = work()  # kept alive until the recording ends
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    del result
    return int(np.cumsum([0, *changes]).max())


def stored_bytes(value) -> int:
    """Bytes behind an attribute: of a tensor's whole storage, of a list, of an operator's parts."""
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, SVDOperator):
        return sum(map(stored_bytes, vars(value).values()))
    assert isinstance(value, (tuple, list, int, float)), f"what does a {type(value)} hold?"
    parts = value if isinstance(value, (tuple, list)) else ()
    return sys.getsizeof(value) + sum(map(stored_bytes, parts))

"""What an operation does to memory: which tensors of some size it writes, and in which type."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[str, Tensor]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        returns = function._schema.returns
        view = any(each.alias_info and not each.alias_info.is_write for each in returns)
        if not view and function != torch.ops.aten._unsafe_view.default:
            found = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
            self.written += [(str(function), each) for each in found]
        return result


def passes(work: Callable[[], object], entries: int, dtype=None) -> list[str]:
    """Names of the operations of ``work()`` that wrote at least so many entries, views left out."""
    with _Recorder() as recorder:
        work()
    return [
        name
        for name, each in recorder.written
        if each.numel() >= entries and dtype in (None, each.dtype)
    ]

"""Measures how much a computation raises the memory of tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Runs ``work`` and returns by how many bytes it raised the memory of tensors at its peak.

    On a GPU, the allocator reports the peak. On a CPU, the results of operations are counted; what a kernel allocates
    and frees within one operation is not seen.
    """
    if device.type != "cuda":
        with _Live() as live:
            work()
        return int(live.peak)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


def held_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Runs ``work`` and returns by how many bytes the memory of tensors is higher while its result is held."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        result = work()
        after = torch.cuda.memory_allocated(device)
        del result
        return int(after - before)
    with _Live() as live:
        result = work()
        held = int(live.now)
        del result
    return held


class _Live(TorchDispatchMode):
    """Counts the storages that were created under it and still exist."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs)):
            self._sizes.setdefault(storage._cdata, 0)  # it existed before
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            self._note(storage)
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]

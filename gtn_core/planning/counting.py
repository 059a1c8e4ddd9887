"""Counts what a computation does, operation by operation: arithmetic, and bytes read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


@dataclass
class Count:
    """The counts of a computation.

    Attributes:
        flops: Floating-point operations of matrix products and convolutions; a multiply-add counts as two.
        bytes: Bytes that operations read and write, if each reads every input once and finds none in a cache. Views are
            free.
    """

    flops: int = 0
    bytes: int = 0


def count(work: Callable[[], object]) -> Count:
    """Runs ``work`` once and counts what it does, including backward passes."""
    counting = _Counting()
    with counting:
        work()
    return counting.count


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = Count()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.count.flops += formula(*args, **kwargs, out_val=out)
        read, written = list(_tensors((args, kwargs))), list(_tensors(out))
        held = {tensor.untyped_storage()._cdata for tensor in read}
        if func._schema.is_mutable or any(tensor.untyped_storage()._cdata not in held for tensor in written):
            self.count.bytes += sum(tensor.numel() * tensor.element_size() for tensor in (*read, *written))
        return out


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))

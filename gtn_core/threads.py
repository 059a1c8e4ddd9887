"""The number of CPU threads that torch computes on, a setting of the whole process; restored after a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def threads_put_back() -> Iterator[None]:
    """Restores the number of threads after the block; also a decorator."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Computes on one thread in the block: fastest for small networks, with results that do not depend on the cores."""
    with threads_put_back():
        torch.set_num_threads(1)
        yield

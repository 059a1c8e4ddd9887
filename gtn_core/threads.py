"""How many CPU threads torch computes on: a setting of the whole process, which a block puts back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def threads_put_back() -> Iterator[None]:
    """Puts back, after the block, the number of threads that there was before; also a decorator."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Computes on one thread within the block: small networks are fastest so, and their results do not hang on the cores."""
    with threads_put_back():
        torch.set_num_threads(1)
        yield

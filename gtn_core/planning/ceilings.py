"""Measures how fast this machine can be at all: on large matrix products, and on a large copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gtn_core.planning.timing import fastest

PRODUCTS = 10
"""Products (or copies) per timing on a GPU, which queues them without synchronising after each."""


@dataclass(frozen=True)
class Ceilings:
    """The fastest of a few runs each.

    Attributes:
        flops: Floating-point operations per second of a square matrix product.
        bytes: Bytes per second of a copy, reads and writes both counted.
    """

    flops: float
    bytes: float


def measure_ceilings(device: torch.device, dtype: torch.dtype, *, side: int, mib: int) -> Ceilings:
    """Measures a matrix product and a copy.

    Args:
        device: Device to measure.
        dtype: Dtype of the matrices.
        side: Number of rows and columns of the matrices.
        mib: Size of the copied tensor in MiB; larger than any cache.
    """
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.ones(mib << 18, device=device)
    target = torch.empty_like(source)
    count, product = PRODUCTS if device.type == "cuda" else 1, torch.empty_like(a)

    def multiply() -> None:
        for _ in range(count):
            torch.mm(a, b, out=product)

    def copy() -> None:
        for _ in range(count):
            target.copy_(source)

    return Ceilings(2 * side**3 * count / fastest(multiply, device), 2 * source.nbytes * count / fastest(copy, device))


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Disables TF32 for float32 products and convolutions in the block; cuDNN uses it by default, cuBLAS does not."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before

"""How fast this machine can be at all, measured: large matrix products, and a large copy."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gtn_core.timing import fastest


@dataclass(frozen=True)
class Ceilings:
    """The best of a few runs each.

    Attributes:
        flops: Arithmetic per second of a square matrix product.
        bytes: Bytes per second of a copy, read and written.
    """

    flops: float
    bytes: float


def measure_ceilings(device: torch.device, dtype: torch.dtype, *, side: int, mib: int) -> Ceilings:
    """Measures both.

    Args:
        device: Where.
        dtype: Of the matrices.
        side: Rows and columns of the matrices.
        mib: Size of what is copied; larger than any cache.
    """
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.ones(mib << 18, device=device)
    target = torch.empty_like(source)
    product = fastest(lambda: torch.mm(a, b), device)
    copy = fastest(lambda: target.copy_(source), device)
    return Ceilings(2 * side**3 / product, 2 * source.nbytes / copy)

"""The core, independent of any task: learners, the inner loop and its adjoint, the outer loop.

The names in ``__all__`` are public and imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtn_core.lazy_names import lazy_names

if TYPE_CHECKING:
    from gtn_core.config import resolve
    from gtn_core.distributed import World, join
    from gtn_core.errors import GTNError, UsageError
    from gtn_core.norms import BatchNorm
    from gtn_core.run_folder import RunFolder
    from gtn_core.seeding import Streams

_HOMES = {
    "BatchNorm": "gtn_core.norms",
    "GTNError": "gtn_core.errors",
    "RunFolder": "gtn_core.run_folder",
    "Streams": "gtn_core.seeding",
    "UsageError": "gtn_core.errors",
    "World": "gtn_core.distributed",
    "join": "gtn_core.distributed",
    "resolve": "gtn_core.config",
}

__all__ = [
    "BatchNorm",
    "GTNError",
    "RunFolder",
    "Streams",
    "UsageError",
    "World",
    "join",
    "resolve",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

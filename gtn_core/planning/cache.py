"""The file that remembers which plan was fastest, per machine, torch version, thread count and size of the step."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gtn_core.errors import GTNError
from gtn_core.second_order import Batch
from gtn_core.whole_file import replacing

log = logging.getLogger(__name__)


FORMAT = 3
"""Version of what is remembered; part of every key."""


def default_cache() -> Path:
    """Returns the path of the file that remembers plans, in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "gtn" / "plans.json"


def cache_key(name: str, steps_timed: Sequence[tuple[Tensor, Batch]], *more: object) -> str:
    """Returns the key under which a choice is remembered.

    Args:
        name: What was timed.
        steps_timed: Parameters and batch of each step that was timed.
        more: Whatever else the choice depends on.
    """
    phi = steps_timed[0][0]
    facts = (
        FORMAT,
        name,
        torch.cuda.get_device_name(phi.device) if phi.is_cuda else processor(),
        torch.__version__,
        torch.get_num_threads(),
        [(tuple(phi.shape), [tuple(part.shape) for part in batch]) for phi, batch in steps_timed],
        *more,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def processor() -> str:
    """Returns the name of the processor's model."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read_cache(cache: Path | None) -> dict[str, object]:
    """Returns what is remembered, by key; empty if there is no file, or if it is damaged."""
    with contextlib.suppress(OSError, ValueError):  # not text, or not JSON
        content = json.loads(cache.read_text(encoding="utf-8")) if cache else {}
        if isinstance(content, dict):
            return content
    return {}


def add_to_cache(cache: Path | None, key: str, choice: dict[str, object]) -> None:
    """Adds a choice to those that other runs have left in the file meanwhile; a failure is only logged."""
    if cache is None:
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        known = {**read_cache(cache), key: choice}
        with replacing(cache) as file:
            file.write(json.dumps(known, indent=1).encode())
    except (OSError, GTNError) as error:  # a plan that is not remembered is only chosen again
        log.info("could not cache the plan: %s", error)

"""How an environment was made, as its header tells: stages and cost, after those of the file that it started from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOLD = ("stages", "metrics", "config", "command", "seed", "version", "start")
"""Header entries that say how an environment was made; the others say what it is."""


def stages_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the stages in the order in which they ran; one that this project did not write has only a ``name``."""
    stages = document.get("stages") or []
    own = stages if isinstance(stages, list) else [stages]
    return [*_before(document, stages_of, []), *(s if isinstance(s, Mapping) else {"name": str(s)} for s in own)]


def cost_of(document: Mapping[str, Any]) -> dict[str, float]:
    """Returns ``real_steps`` and ``cpu_seconds`` of the whole meta-training; those that the header lacks are absent."""
    metrics = document.get("metrics")
    metrics = metrics if isinstance(metrics, Mapping) else {}
    own = {"real_steps": metrics.get("meta_real_steps"), "cpu_seconds": metrics.get("meta_cpu_seconds")}
    before = _before(document, cost_of, {"real_steps": 0, "cpu_seconds": 0.0})
    return {
        name: value + before[name] for name, value in own.items() if isinstance(value, int | float) and name in before
    }


def _before(document: Mapping[str, Any], asked: Any, nothing: Any) -> Any:
    """Applies ``asked`` to the header of the file that this one started from; returns ``nothing`` if there is none."""
    start = document.get("start")
    return asked(start) if isinstance(start, Mapping) else nothing

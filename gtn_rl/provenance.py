"""How an environment was made, as its header tells it: stages and cost, those of the file that it started from first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOLD = ("stages", "metrics", "config", "command", "seed", "version", "start")
"""Entries of a header that say how it was made; the others say what the environment is."""


def stages_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the stages in the order in which they ran; one that is not of ours has a ``name`` alone."""
    stages = document.get("stages") or []
    own = stages if isinstance(stages, list) else [stages]
    return [*_before(document, stages_of, []), *(s if isinstance(s, Mapping) else {"name": str(s)} for s in own)]


def cost_of(document: Mapping[str, Any]) -> dict[str, float]:
    """Returns ``real_steps`` and ``cpu_seconds`` of the whole meta-training; one that the header does not know is absent."""
    metrics = document.get("metrics")
    metrics = metrics if isinstance(metrics, Mapping) else {}
    own = {"real_steps": metrics.get("meta_real_steps"), "cpu_seconds": metrics.get("meta_cpu_seconds")}
    before = _before(document, cost_of, {"real_steps": 0, "cpu_seconds": 0.0})
    return {
        name: value + before[name] for name, value in own.items() if isinstance(value, int | float) and name in before
    }


def _before(document: Mapping[str, Any], asked: Any, nothing: Any) -> Any:
    """Asks the same of the file that this one started from."""
    start = document.get("start")
    return asked(start) if isinstance(start, Mapping) else nothing

"""What the real task says of a teacher: the steps that it takes to solve there, and when the teacher has paid for itself."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def solve_times(results: Sequence[Mapping[str, Any]], budget: int) -> dict[str, Any]:
    """Sums up how many real steps agents took to solve the real task.

    Args:
        results: Of agents that trained on the real task.
        budget: Steps after which an agent gave up; such an agent is censored: it would have taken more.

    Returns:
        ``agents``; ``solved`` of them; ``steps``: of each agent, None where censored; ``median_steps``: the median with
        censored agents last, None if it is censored itself; ``mean_cpu_seconds_solved`` of the training until then, over
        the agents that solved it; ``budget``.
    """
    steps = [result["solved_at"] for result in results]
    seconds = [result["solved_cpu_seconds"] for result in results if result["solved_at"] is not None]
    middle = statistics.median_high([float("inf") if step is None else float(step) for step in steps])
    return {
        "agents": len(steps),
        "solved": len(seconds),
        "steps": steps,
        "median_steps": None if middle == float("inf") else int(middle),
        "mean_cpu_seconds_solved": statistics.fmean(seconds) if seconds else None,
        "budget": budget,
    }


def meta_cost(
    document: Mapping[str, Any], times: Mapping[str, Any], taught: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Computes from how many agents on a teacher is cheaper than training each of them on the real task.

    Args:
        document: Header of the teacher's file; ``metrics`` may hold ``meta_real_steps`` and ``meta_cpu_seconds``.
        times: What ``solve_times`` says.
        taught: Results of agents that the teacher taught.

    Returns:
        ``meta_real_steps`` and ``agents_by_real_steps``: that cost over the median steps to solve the real task; at most so many
        (``agents_by_real_steps_at_most``, over the budget) where the median is censored. ``meta_cpu_seconds`` and
        ``agents_by_cpu_seconds``: that cost over what an agent saves, training until solved on the real task less all of its
        training on the teacher; None where it saves nothing, absent where no agent solved the real task. Empty if
        the file says nothing of the cost.
    """
    metrics = document.get("metrics") or {}
    found: dict[str, Any] = {}
    if (steps := metrics.get("meta_real_steps")) is not None:
        key = "agents_by_real_steps" if times["median_steps"] else "agents_by_real_steps_at_most"
        found |= {"meta_real_steps": steps, key: steps / (times["median_steps"] or times["budget"])}
    if (seconds := metrics.get("meta_cpu_seconds")) is not None:
        found["meta_cpu_seconds"] = seconds
        if times["mean_cpu_seconds_solved"] is not None:
            own = statistics.fmean(result["checkpoints"][-1]["cpu_seconds"] for result in taught)
            saved = times["mean_cpu_seconds_solved"] - own
            found["agents_by_cpu_seconds"] = seconds / saved if saved > 0 else None
    return found

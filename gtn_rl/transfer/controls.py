"""A teacher compared with the real task: the steps that it takes to solve there, and when the teacher pays for itself."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def solve_times(results: Sequence[Mapping[str, Any]], budget: int) -> dict[str, Any]:
    """Summarises how many training steps agents took to solve the real task.

    Args:
        results: Results of agents that trained alike.
        budget: Steps after which an agent gave up; such an agent is censored: it would have needed more.

    Returns:
        ``agents``: their number; ``solved``: how many of them solved the task; ``steps``: of each agent, None if
        censored; ``median_steps``: the median with censored agents last, None if it is itself censored;
        ``cpu_seconds_per_solved``: training time of all agents, until solved or to the end, per agent that solved the
        task, None if none did; ``budget``.
    """
    steps = [result["solved_at"] for result in results]
    solved = sum(step is not None for step in steps)
    spent = [(result["solved_cpu_seconds"], result["checkpoints"][-1]["cpu_seconds"]) for result in results]
    seconds = sum(whole if until is None else until for until, whole in spent)
    middle = statistics.median_high([float("inf") if step is None else float(step) for step in steps])
    return {
        "agents": len(steps),
        "solved": solved,
        "steps": steps,
        "median_steps": None if middle == float("inf") else int(middle),
        "cpu_seconds_per_solved": seconds / solved if solved else None,
        "budget": budget,
    }


def pay_off(
    cost: Mapping[str, float],
    real: Mapping[str, Any],
    taught: Mapping[str, Any],
    *,
    on_real_dynamics: bool,
) -> dict[str, Any]:
    """Computes from how many agents on a teacher is cheaper than training each on the real task until it is solved.

    Agents that solve the task are counted; the processor time of those that fail, on either side, is part of the cost.

    Args:
        cost: Cost of the teacher, from ``provenance.cost_of``.
        real: Result of ``solve_times`` for agents that trained on the real task.
        taught: Result of ``solve_times`` for agents that the teacher taught.
        on_real_dynamics: Whether taught agents step the real task, as with a learned reward.

    Returns:
        ``agents_by_real_steps``: the cost divided by the real steps that an agent saves, or instead
        ``agents_by_real_steps_at_most`` if the median on the real task is censored; and ``agents_by_cpu_seconds``. None
        means that the teacher never pays; an absent key, that it is unknown.
    """
    solved = taught["solved"]
    found: dict[str, Any] = {}
    if "real_steps" in cost:
        key = "agents_by_real_steps" if real["median_steps"] else "agents_by_real_steps_at_most"
        own = taught["median_steps"] if on_real_dynamics else 0
        saved = 0 if own is None or not solved else (real["median_steps"] or real["budget"]) - own
        found[key] = cost["real_steps"] / saved if saved > 0 else None
    if "cpu_seconds" in cost and real["solved"]:
        saving = real["cpu_seconds_per_solved"] - taught["cpu_seconds_per_solved"] if solved else 0.0
        found["agents_by_cpu_seconds"] = cost["cpu_seconds"] / saving if saving > 0 else None
    return found

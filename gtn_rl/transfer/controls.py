"""What the real task says of a teacher: the steps that it takes to solve there, and when the teacher has paid for itself."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def solve_times(results: Sequence[Mapping[str, Any]], budget: int) -> dict[str, Any]:
    """Sums up how many steps of training agents took until they solved the real task.

    Args:
        results: Of agents that trained alike.
        budget: Steps after which an agent gave up; such an agent is censored: it would have taken more.

    Returns:
        ``agents``; ``solved`` of them; ``steps``: of each agent, None where censored; ``median_steps``: the median with
        censored agents last, None if it is censored itself; ``cpu_seconds_per_solved``: of all agents' training, until solved
        or to its end, for each of those that solved it, None where none did; ``budget``.
    """
    steps = [result["solved_at"] for result in results]
    solved = sum(step is not None for step in steps)
    seconds = sum(result["solved_cpu_seconds"] or result["checkpoints"][-1]["cpu_seconds"] for result in results)
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
    """Computes from how many agents on a teacher is cheaper than training each of them on the real task until it is solved.

    An agent is one that solves the task: where only some do, on either, the processor time of those that fail is paid for, too.

    Args:
        cost: Of the teacher; what ``provenance.cost_of`` says.
        real: What ``solve_times`` says of agents that trained on the real task.
        taught: The same of agents that the teacher taught.
        on_real_dynamics: Whether taught agents step the real task, as with a learned reward.

    Returns:
        ``agents_by_real_steps``, the cost over the real steps that an agent saves; instead ``agents_by_real_steps_at_most`` where
        those of the real task are censored; and ``agents_by_cpu_seconds``. None: it never pays. Absent: not known.
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

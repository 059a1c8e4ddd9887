"""The outcome of a transfer study: its agents' results, grouped by role, algorithm and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gtn_core.errors import DivergedError
from gtn_rl.environments import Environment
from gtn_rl.provenance import cost_of
from gtn_rl.tasks import threshold_of
from gtn_rl.transfer.agents import REAL, TEACHER, AgentJob
from gtn_rl.transfer.controls import pay_off, solve_times
from gtn_rl.transfer.plan import TransferPlan
from gtn_rl.transfer.statistics import Summary, summarise

Done = tuple[AgentJob, dict[str, Any]]
"""A job and its result."""


@dataclass(frozen=True)
class Point:
    """The results of a group of agents after a number of steps.

    Attributes:
        steps: Number of steps.
        updates: Gradient updates, mean over agents.
        cpu_seconds: Processor time of the training, mean over agents.
        deterministic: Summary of the agents' mean returns with their most likely actions.
        stochastic: The same with sampled actions; None if not measured.
    """

    steps: int
    updates: float
    cpu_seconds: float
    deterministic: Summary
    stochastic: Summary | None


@dataclass(frozen=True)
class Curve:
    """The results of a group of agents at each of its stops.

    Attributes:
        role: What the agents learned from.
        algorithm: The algorithm's name.
        settings: One of ``SETTINGS``.
        points: One point per stop.
    """

    role: str
    algorithm: str
    settings: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Transfer:
    """The outcome of a study of one environment.

    Attributes:
        env: The environment.
        task: The real task.
        threshold: Mean return from which it is solved; None if no threshold is set.
        plan: The plan of the study.
        curves: One per role, algorithm and settings, the teacher's first.
        solving: For each algorithm and settings: ``algorithm``, ``settings``, ``controls.solve_times`` of agents that
            trained on the real task (``real``) and of those that the teacher taught (``taught``), and the entries of
            ``controls.pay_off``.
        cost: Cost of the teacher, from ``provenance.cost_of``.
        agents: Total number of agents.
        diverged: Titles of those that diverged.
        wall_seconds: Wall-clock time of all agents, added up.
    """

    env: Environment
    task: str
    threshold: float | None
    plan: TransferPlan
    curves: tuple[Curve, ...]
    solving: tuple[dict[str, Any], ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    agents: int = 0
    diverged: tuple[str, ...] = ()
    wall_seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Returns the outcome as JSON values."""
        return {
            "env": self.env.name,
            "digest": self.env.digest,
            "task": self.task,
            "threshold": self.threshold,
            "plan": asdict(self.plan),
            "curves": [asdict(curve) for curve in self.curves],
            "solving": list(self.solving),
            "meta_cost": dict(self.cost),
            "agents": self.agents,
            "diverged": list(self.diverged),
            "wall_seconds": round(self.wall_seconds, 1),
        }


def conclude(env: Environment, task: str, plan: TransferPlan, done: Sequence[Done]) -> Transfer:
    """Computes a study's figures from its agents' results.

    From its divergence on, an agent does not solve the task, and its score is the lowest return of all episodes of the
    study, whatever agent played them.

    Raises:
        DivergedError: No agent has played an episode, since all of them diverged before.
    """
    threshold = threshold_of(task)
    diverged = tuple(job.title for job, result in done if result.get("diverged_at") is not None)
    worst = _lowest_return(result for _, result in done)
    groups: dict[tuple[str, str, str], list[Done]] = defaultdict(list)
    for job, result in done:
        groups[job.role, job.algorithm, job.settings].append((job, result))
    curves = tuple(
        Curve(role, name, kind, tuple(_points([result for _, result in agents], agents[0][0].steps, threshold, worst)))
        for (role, name, kind), agents in groups.items()
    )
    cost = cost_of(env.document)
    solving = tuple(
        _solving(env, plan, cost, name, kind, {role: groups[role, name, kind] for role in (REAL, TEACHER)})
        for role, name, kind in groups
        if role == REAL and threshold is not None
    )
    seconds = sum(result["wall_seconds"] for _, result in done)
    return Transfer(env, task, threshold, plan, curves, solving, cost, len(done), diverged, seconds)


def _lowest_return(results: Iterable[Mapping[str, Any]]) -> float:
    stops = [stop for result in results for stop in result["checkpoints"]]
    played = [stop[kind]["minimum"] for stop in stops for kind in ("deterministic", "stochastic") if stop[kind]]
    if not played:
        raise DivergedError("every agent of the study diverged before it could play the real task")
    return float(min(played))


def _solving(
    env: Environment,
    plan: TransferPlan,
    cost: Mapping[str, float],
    algorithm: str,
    settings: str,
    agents: Mapping[str, Sequence[Done]],
) -> dict[str, Any]:
    """Compares agents trained on the real task with those that the teacher taught."""
    real, taught = ([result for _, result in agents[role]] for role in (REAL, TEACHER))
    times = solve_times(real, max(plan.control_steps, max(plan.steps)))
    taught_times = solve_times(taught, max(plan.steps))
    pays = pay_off(cost, times, taught_times, on_real_dynamics=env.document.get("form") == "reward")
    return {"algorithm": algorithm, "settings": settings, "real": times, "taught": taught_times, **pays}


def _points(
    results: Sequence[dict[str, Any]], steps: Sequence[int], threshold: float | None, worst: float
) -> Iterator[Point]:
    for step in steps:
        stops = [stop for result in results for stop in result["checkpoints"] if stop["steps"] == step]
        sampled = [_mean(stop["stochastic"]) for stop in stops if stop["stochastic"] or not stop["deterministic"]]
        yield Point(
            steps=step,
            updates=sum(stop["updates"] for stop in stops) / len(stops),
            cpu_seconds=sum(stop["cpu_seconds"] for stop in stops) / len(stops),
            deterministic=summarise([_mean(stop["deterministic"]) for stop in stops], threshold, worst),
            stochastic=summarise(sampled, threshold, worst) if sampled else None,
        )


def _mean(figures: Mapping[str, float] | None) -> float | None:
    """Returns the mean of an agent's returns; None if it had diverged."""
    return figures["mean"] if figures else None

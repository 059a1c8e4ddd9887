"""The plan of a transfer study: which agents train on what, checked before any work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gtn_core.counts import require_counts
from gtn_core.errors import UsageError, unknown_name
from gtn_core.seeding import Streams
from gtn_rl.environments import Environment, find_environment, require_same_spaces
from gtn_rl.sb3.algorithms import algorithm, fitting_algorithms, require_fit
from gtn_rl.tasks import threshold_of
from gtn_rl.transfer.agents import CLONING, REAL, TEACHER, UNTRAINED, AgentJob
from gtn_rl.transfer.cloning import can_be_cloned
from gtn_rl.transfer.settings import SETTINGS, hyperparameters
from gtn_rl.transfer.untrained import can_be_untrained, write_untrained
from gtn_rl.transfer.zoo import interpret


@dataclass(frozen=True)
class TransferPlan:
    """What to train and how to judge it.

    Attributes:
        algorithms: Names of algorithms; empty for the default ones that fit the action space.
        settings: Some of ``SETTINGS``, at least one; each counts once.
        agents: Number of agents for each algorithm and settings.
        steps: Numbers of environment steps at which they are judged.
        episodes: Real episodes per judgement.
        controls: Whether to run the controls.
        control_steps: Real steps after which an agent on the real task gives up.
        seed: Root seed of all randomness.
        workers: Number of processes.
    """

    algorithms: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("default",)
    agents: int = 20
    steps: tuple[int, ...] = (1000, 3000, 10_000, 50_000)
    episodes: int = 100
    controls: bool = True
    control_steps: int = 200_000
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", tuple(dict.fromkeys(self.settings)))


def check(env: Environment, task: str, plan: TransferPlan) -> None:
    """Checks, before any work, that nothing will fail later.

    Raises:
        UsageError: An algorithm or setting is unknown or does not fit the environment, there are no settings or no
            steps, the real task has other spaces, or a number is not a positive integer.
        GTNError: An algorithm's package is not installed.
    """
    require_same_spaces(env, find_environment(task))
    if not plan.steps:
        raise UsageError("steps must hold at least one number of steps")
    for steps in plan.steps:
        require_counts(steps=steps)
    require_counts(**{key: getattr(plan, key) for key in ("agents", "episodes", "control_steps", "workers")})
    if not plan.settings:
        raise UsageError(f"settings must name at least one of {', '.join(SETTINGS)}")
    for name in plan.settings:
        if name not in SETTINGS:
            raise unknown_name("kind of settings", name, SETTINGS)
    for name in _algorithms(env, plan):
        entry = algorithm(name)
        require_fit(entry, env.action_space, env.name)
        for kind in plan.settings:
            interpret(hyperparameters(kind, entry, env.listed_as(task), Streams(plan.seed), 0), entry)


def jobs_of(env: Environment, task: str, plan: TransferPlan, folder: Path) -> Iterator[AgentJob]:
    """Yields the study's jobs, the teacher's agents first, and writes the untrained teachers that they need."""
    real, threshold = find_environment(task), threshold_of(task)
    steps, streams, names = tuple(sorted(set(plan.steps))), Streams(plan.seed), env.listed_as(task)

    def job(role: str, where: Environment, name: str, kind: str, number: int, budget: int | None = None) -> AgentJob:
        entry = None if role == CLONING else algorithm(name)
        return AgentJob(
            role=role,
            env=where.name,
            digest=where.digest,
            task=task,
            algorithm=name,
            settings=kind,
            number=number,
            seed=plan.seed,
            steps=steps,
            episodes=plan.episodes,
            threshold=threshold,
            budget=budget,
            task_digest=real.digest,
            hyperparameters=hyperparameters(kind, entry, names, streams, number) if entry else {},
            library=entry.library if entry else None,
        )

    groups = [(name, kind, i) for name in _algorithms(env, plan) for kind in plan.settings for i in range(plan.agents)]
    for name, kind, number in groups:
        yield job(TEACHER, env, name, kind, number)
    if plan.controls and can_be_cloned(env):
        for number in range(plan.agents):
            yield job(CLONING, env, CLONING, "default", number)
    if plan.controls and can_be_untrained(env):
        untrained = [_untrained(env, folder, plan.seed, number) for number in range(plan.agents)]
        for name, kind, number in groups:
            yield job(UNTRAINED, untrained[number], name, kind, number)
    if plan.controls and env.full_id != task:
        budget = None if threshold is None else max(plan.control_steps, steps[-1])
        for name, kind, number in groups:
            yield job(REAL, real, name, kind, number, budget)


def _algorithms(env: Environment, plan: TransferPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in plan.algorithms or fitting_algorithms(env.action_space)))


def _untrained(env: Environment, folder: Path, seed: int, number: int) -> Environment:
    """Writes one agent's untrained teacher, the same file on every call."""
    path = folder / "untrained" / f"{number}.safetensors"
    path.parent.mkdir(exist_ok=True)
    write_untrained(env, path, Streams(seed).seed("untrained teacher", number))
    return find_environment(str(path))

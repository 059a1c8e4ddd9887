"""One agent of a transfer study: its job and its result, both made of JSON values, and how it is trained and judged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gtn_core.errors import GTNError
from gtn_core.seeding import Streams
from gtn_rl.environments import Environment, find_environment
from gtn_rl.sb3.algorithms import algorithm
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.transfer.cloning import clone
from gtn_rl.transfer.evaluator import Evaluator, evaluator_of
from gtn_rl.transfer.real_returns import Act, acting
from gtn_rl.transfer.statistics import figures
from gtn_rl.transfer.training import AgentDivergedError, Stop, make_agent, train
from gtn_rl.transfer.zoo import interpret

TEACHER, REAL, UNTRAINED, CLONING = "teacher", "real task", "untrained teacher", "behaviour cloning"
ROLES = (TEACHER, REAL, UNTRAINED, CLONING)

_open: dict[tuple[str, str | None, int], Evaluator] = {}
"""The real task of this process's latest job, kept because creating a hundred copies takes a while; see
``close_real_task``."""


@dataclass(frozen=True)
class AgentJob:
    """Everything that determines how one agent turns out.

    Attributes:
        role: One of ``ROLES``: what the agent learns from.
        env: The environment that it trains in, by a name for ``find_environment``.
        digest: Digest of that environment's content, see ``Environment.digest``.
        task: The real task, by a name for ``find_environment``.
        algorithm: The algorithm's name; for ``CLONING``, that role's name.
        settings: One of ``SETTINGS``.
        number: The agent's number, from 0; together with ``seed`` it seeds everything.
        seed: The study's root seed.
        steps: Numbers of steps at which it is judged, ascending.
        episodes: Real episodes per judgement.
        threshold: Mean return from which the real task is solved.
        budget: Steps up to which it continues to train until it solves the real task; None to stop at the last of
            ``steps``.
        task_digest: Digest of the real task's content, likewise.
        hyperparameters: Its hyper-parameters, in rl-zoo3's form (JSON values); empty for the defaults.
        library: What trains it, from ``Algorithm.library``; None for ``CLONING``, and in files from before this field
            existed.
    """

    role: str
    env: str
    digest: str | None
    task: str
    algorithm: str
    settings: str
    number: int
    seed: int
    steps: tuple[int, ...]
    episodes: int
    threshold: float | None
    budget: int | None = None
    task_digest: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    library: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the job as JSON values."""
        return {**asdict(self), "steps": list(self.steps)}

    @property
    def identity(self) -> str:
        """The job as one string; a file is identified by its content, wherever it is."""
        values = self.to_json()
        if self.digest:
            values["env"] = None
        if self.task_digest:
            values["task"] = None
        else:  # as in files from before this field existed
            del values["task_digest"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AgentJob:
        """Restores a job from the result of ``to_json``."""
        return cls(**{**values, "steps": tuple(values["steps"])})

    @property
    def title(self) -> str:
        """The agent's name for display."""
        agent = "" if self.role == CLONING else f"{self.algorithm}, {self.settings}, "
        return f"{self.role}: {agent}agent {self.number}"


def run_job(job: AgentJob) -> dict[str, Any]:
    """Trains and judges one agent.

    The caller's random states do not change. The real task stays open for the next job, see ``close_real_task``.

    Returns:
        ``checkpoints``: for each stop ``steps``, ``taken``, ``updates``, ``cpu_seconds``, and ``deterministic`` and
        ``stochastic``, each the mean, standard deviation, minimum and maximum over the real episodes or None;
        ``solved_at``: steps taken at the first stop at which the deterministic mean reached the threshold, else None;
        ``solved_cpu_seconds``: processor time of the training until then; ``diverged_at``: steps after which the
        agent's networks were found not to be finite, else None; ``wall_seconds``, judging included. An agent that
        diverged has None for both kinds of returns at every later stop.

    Raises:
        UsageError: The algorithm does not fit the environment, or a setting is refused.
        UnusableOutputsError: The environment gives observations for which sound networks have outputs that are not finite.
        GTNError: The environment's file has changed since the job was made.
    """
    began = time.perf_counter()
    run = _clone if job.role == CLONING else _train
    with own_randomness(Streams(job.seed).seed("job", job.number)):
        result = run(job)
    return {**result, "wall_seconds": round(time.perf_counter() - began, 2)}


def stops_of(job: AgentJob) -> list[int]:
    """Returns where an agent is judged: its ``steps`` and, with a budget, also a geometric grid with ratio sqrt(2)."""
    stops = set(job.steps)
    if job.budget is not None:
        first = min(1000, job.budget)
        count = math.floor(2 * math.log2(job.budget / first))
        stops |= {round(first * 2 ** (k / 2)) for k in range(count + 1)} | {job.budget}
    return sorted(stops)


def _train(job: AgentJob) -> dict[str, Any]:
    env, entry, streams = _unchanged(job.env, job.digest), algorithm(job.algorithm), Streams(job.seed)
    settings = interpret(job.hyperparameters, entry)
    agent = make_agent(entry, env, settings, streams.seed(f"agent/{entry.name}", job.number) % 2**31)
    solved: dict[str, Any] = {"solved_at": None, "solved_cpu_seconds": None}
    diverged_at: int | None = None
    checkpoints: list[dict[str, Any]] = []

    def visit(stop: Stop) -> bool:
        wanted = stop.steps in job.steps
        kinds = (True, False) if wanted and entry.noise else (True,)
        coins = streams.seed("exploration", job.number, stop.steps)
        played = {quiet: _judge(job, stop, acting(agent, deterministic=quiet, seed=coins)) for quiet in kinds}
        sampled = played.get(False) if entry.noise else played[True]
        checkpoints.append(_checkpoint(stop, played[True], sampled))
        enough = job.threshold is not None and played[True]["mean"] >= job.threshold
        if enough and solved["solved_at"] is None:
            solved.update(solved_at=stop.taken, solved_cpu_seconds=round(stop.cpu_seconds, 3))
        return job.budget is None or stop.steps < job.steps[-1] or solved["solved_at"] is None

    assert agent.env is not None
    with closing(agent.env):
        try:
            train(agent, stops_of(job), visit, laid_out_for=job.steps[-1])
        except AgentDivergedError as error:
            if error.stop is None:
                raise
            diverged_at, missed = error.stop.taken, stops_of(job)[len(checkpoints) :]
            checkpoints += [_checkpoint(replace(error.stop, steps=steps), None, None) for steps in missed]
    return {"checkpoints": checkpoints, **solved, "diverged_at": diverged_at}


def _clone(job: AgentJob) -> dict[str, Any]:
    """Clones the teacher's greedy actions, in as many contexts as an agent would take steps."""
    checkpoints: list[dict[str, Any]] = []
    env = _unchanged(job.env, job.digest)
    for steps in job.steps:
        cloned = clone(env, steps, Streams(job.seed).seed("cloning", job.number))
        stop = Stop(steps, steps, cloned.updates, cloned.cpu_seconds)
        checkpoints.append(_checkpoint(stop, _judge(job, stop, cloned.act), None))
    return {"checkpoints": checkpoints, "solved_at": None, "solved_cpu_seconds": None, "diverged_at": None}


def _checkpoint(
    stop: Stop, deterministic: dict[str, float] | None, stochastic: dict[str, float] | None
) -> dict[str, Any]:
    measured = {"deterministic": deterministic, "stochastic": stochastic}
    return {**asdict(stop), "cpu_seconds": round(stop.cpu_seconds, 3), **measured}


def _unchanged(name: str, digest: str | None) -> Environment:
    """Returns the environment that a job names.

    Raises:
        GTNError: Its content has changed, so that results would mix two environments.
    """
    env = find_environment(name)
    if env.digest != digest:
        raise GTNError(
            f"{name} has changed since this study began; run the same command again to start over with its new content"
        )
    return env


def _judge(job: AgentJob, stop: Stop, act: Act) -> dict[str, float]:
    """Plays the real episodes; agents with one number meet the same initial states at a stop, whatever taught them."""
    seed = Streams(job.seed).seed("real episodes", job.number, stop.steps)
    return figures(_real_task(job).returns(act, seed))


def _real_task(job: AgentJob) -> Evaluator:
    """Returns a job's real task, which stays open until a job has another one, or until ``close_real_task``."""
    wanted = (job.task, job.task_digest, job.episodes)
    if wanted not in _open:
        made = evaluator_of(_unchanged(job.task, job.task_digest), job.episodes)
        close_real_task()
        _open[wanted] = made
    return _open[wanted]


def close_real_task() -> None:
    """Closes the real task that this process's latest job has left open for the next."""
    while _open:
        _open.popitem()[1].close()

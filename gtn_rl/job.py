"""Meta-training of an environment as the outer loop sees it: which agent judges a generation, and who judges the teacher."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from gtn_core.distributed import SingleProcess, World, first, share_out
from gtn_core.outer_job import Validation
from gtn_core.seeding import Streams
from gtn_rl.agents import AgentFamily, InnerAgent
from gtn_rl.agents.named import families
from gtn_rl.config import WARM_STARTS, RLConfig
from gtn_rl.distillation import draw_student
from gtn_rl.harvest import start_from_greedy
from gtn_rl.judging import Greedy, TransferTrial, episode_length, real_returns
from gtn_rl.learned_teacher import LearnedTeacher
from gtn_rl.learned_variants import LearnedVariants
from gtn_rl.model import Model
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec

Save = Callable[[Validation, int], None]
"""``(validation, outer step)``: stores the teacher, the best so far."""

Vary = Callable[[InnerAgent], Sequence[InnerAgent]]
"""What else is judged by beside an agent with the usual hyper-parameters, that one included."""


INSTEAD: Mapping[str, Callable[[np.random.Generator, float], InnerAgent]] = {
    "greedy": lambda random, progress: Greedy(),
    "distil": draw_student,
}
"""What the warm starts run in place of an agent that is trained inside, drawn by chance as the stage proceeds from 0 to 1."""


def as_usual(agent: InnerAgent) -> Sequence[InnerAgent]:
    """Returns the agent alone."""
    return (agent,)


@dataclass(frozen=True)
class Judge:
    """Judges a teacher by fresh agents with their usual hyper-parameters, on episodes that no fitness has seen.

    The agents of one kind differ in their initial weights, and where ``vary`` says so in their settings.

    Attributes:
        config: All settings.
        task: The real task.
        streams: The run's randomness.
        vary: Which agents of a kind judge.
        world: The processes that share out the kinds; each returns all figures.
    """

    config: RLConfig
    task: BatchedTask
    streams: Streams
    vary: Vary = as_usual
    world: World = field(default_factory=SingleProcess)

    def __call__(self, environment: Callable[[int], LearnedVariants]) -> Validation:
        """Returns the mean real return over all agents, and the figures of each kind.

        Args:
            environment: Returns what is judged, as many times as it is told.
        """
        return self.with_first(environment)[0]

    def with_first(self, environment: Callable[[int], LearnedVariants]) -> tuple[Validation, Validation]:
        """Returns the validation by all agents, and that by the first that ``vary`` makes of each kind alone.

        Args:
            environment: See ``__call__``.
        """
        kinds = judges(self.config, self.task.spec)
        told = share_out(self.world, kinds, lambda kind: self._judged(*kind, environment))
        by_kind = {name: found for (name, _), found in zip(kinds, told, strict=True)}
        return _validation(by_kind), _validation({name: found[:1] for name, found in by_kind.items()})

    def _judged(
        self, name: str, family: AgentFamily, environment: Callable[[int], LearnedVariants]
    ) -> list[dict[str, float]]:
        """Returns, of each that ``vary`` makes of one kind, what its agents achieve and what that takes."""
        return [self._figures(name, agent, environment) for agent in self.vary(family.usual(self.task.spec))]

    def _figures(self, name: str, agent: InnerAgent, environment: Callable[[int], LearnedVariants]) -> dict[str, float]:
        started, settings = time.process_time(), self.config.agents
        variants = environment(settings.validation_seeds)
        policies = agent.train(variants, self.streams.torch(f"validation-{name}"))
        random = self.streams.numpy(f"validation-episodes-{name}")
        returns, taken = real_returns(
            self.task, policies, settings.validation_seeds, settings.validation_episodes, random
        )
        if variants.real_steps:  # its episodes are the real task's
            length = taken / returns.numel()
        else:
            length = episode_length(variants, policies, self.streams.torch(f"validation-length-{name}"))
        agents = returns.mean(dim=1)
        return {
            "mean": float(agents.mean()),
            "minimum": float(agents.min()),
            "length": length,
            "real_steps": taken + variants.real_steps,
            "cpu_seconds": time.process_time() - started,
        }


def _validation(by_kind: Mapping[str, Sequence[Mapping[str, float]]]) -> Validation:
    """Sums up the figures of as many agents each, by the names of their kinds."""
    means = {name: sum(one["mean"] for one in found) / len(found) for name, found in by_kind.items()}
    metrics: dict[str, float] = {}
    for name, found in by_kind.items():
        metrics |= {f"real/{name}": means[name], f"real/{name}_minimum": min(one["minimum"] for one in found)}
    every = [one for found in by_kind.values() for one in found]
    metrics["inner/episode_length"] = sum(one["length"] for one in every) / len(every)
    metrics["cost/real_steps"] = float(sum(one["real_steps"] for one in every))
    metrics["perf/cpu_seconds"] = sum(one["cpu_seconds"] for one in every)
    return Validation(sum(means.values()) / len(means), metrics)


class EvolutionJob:
    """Episodes and validation of one stage; see ``gtn_core.outer_job.Job``.

    Args:
        config: All settings.
        task: The real task.
        teacher: What is trained.
        streams: The stage's own randomness.
        judge: Validates.
        save: Stores the best teacher.
        stage: Its name, which says what stands in place of the agents trained inside, and how it is validated.
    """

    def __init__(
        self,
        config: RLConfig,
        task: BatchedTask,
        teacher: LearnedTeacher,
        streams: Streams,
        judge: Judge,
        save: Save,
        *,
        stage: str = "bilevel",
    ) -> None:
        self.config, self.task, self.teacher, self.streams = config, task, teacher, streams
        self.judge, self.save, self.stage = judge, save, stage
        self.learners = learners(config, task.spec)

    def episode(self, iteration: int, progress: float) -> TransferTrial:
        """See ``Job.episode``: kinds of agents take turns, their hyper-parameters are drawn for each generation."""
        return TransferTrial(
            self.task, self._agent(iteration, progress), self.streams, iteration, self.config.agents.episodes
        )

    def _agent(self, iteration: int, progress: float) -> InnerAgent:
        random = self.streams.numpy("agent", iteration)
        if self.stage in INSTEAD:
            return INSTEAD[self.stage](random, progress)
        _, family = self.learners[iteration % len(self.learners)]
        return family.draw(self.task.spec, random)

    def validate(self) -> Validation:
        """See ``Job.validate``."""
        if self.stage == "greedy":
            return self._validate_greedy()
        return self.judge(self._bandits if self.stage in WARM_STARTS else self.teacher.model)

    def _validate_greedy(self) -> Validation:
        """Judges by agents that learn the greedy policy from its own rewards, in states that it meets when it errs.

        Many policies are equally good and not equally easy to learn; what counts is how good those are that learn it.
        """
        mean, steps, seconds = first(self.judge.world, self._greedy_figures)
        self.judge.world.broadcast_(self.teacher.state_dict().values())
        judged = self.judge(self._bandits)
        metrics = {**judged.metrics, "real/greedy": mean}
        metrics["cost/real_steps"] += steps
        metrics["perf/cpu_seconds"] += seconds
        return Validation(judged.score, metrics)

    def _greedy_figures(self) -> tuple[float, int, float]:
        """Starts initial states anew from where the greedy policy goes; returns its mean return, real steps and CPU-seconds."""
        started, settings = time.process_time(), self.config.environment
        with torch.no_grad():
            policies = Greedy().train(self.teacher.model(), torch.Generator())
        episodes = 4 * self.config.agents.validation_episodes
        returns, steps = real_returns(self.task, policies, 1, episodes, self.streams.numpy("validation-greedy"))
        random = self.judge.streams.numpy("harvest-greedy")  # the one that the stage's end draws from
        steps += start_from_greedy(self.task, self.teacher, settings, random).real_steps
        return float(returns.mean()), steps, time.process_time() - started

    def _bandits(self, copies: int) -> LearnedVariants:
        """Returns where the greedy policy is learned with the least effort; a reward has no place but the real task."""
        variants = self.teacher.model(copies)
        return variants.one_step() if isinstance(variants, Model) else variants

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """See ``Job.save_teacher``."""
        self.save(validation, iteration)


def learners(config: RLConfig, spec: TaskSpec) -> tuple[tuple[str, AgentFamily], ...]:
    """Returns the kinds of agents that a teacher is meta-trained on, with their names.

    Raises:
        UsageError: A name stands for no kind, or for one that does not take the task's actions.
    """
    return families(config.agents.names, spec, config.agents.sb3_steps)


def judges(config: RLConfig, spec: TaskSpec) -> tuple[tuple[str, AgentFamily], ...]:
    """Returns the kinds of agents that a teacher is validated on, with their names.

    Raises:
        UsageError: As ``learners``.
    """
    return families(config.agents.judges or config.agents.names, spec, config.agents.sb3_steps)

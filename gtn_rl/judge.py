"""Validation of a teacher by fresh agents, with hyper-parameters that users meet, on episodes unseen by any fitness."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from gtn_core.distributed import SingleProcess, World, share_out
from gtn_core.errors import DivergedError
from gtn_core.outer_job import Validation
from gtn_core.seeding import Streams
from gtn_rl.agents import AgentFamily, InnerAgent
from gtn_rl.agents.named import families
from gtn_rl.config import RLConfig
from gtn_rl.fitness import episode_lengths, real_returns
from gtn_rl.models.learned_variants import LearnedVariants
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec

log = logging.getLogger(__name__)

Panel = Sequence[tuple[InnerAgent, int]]
"""Agents that judge, each with a number of seeds; the one with the usual hyper-parameters comes first."""

Choose = Callable[[InnerAgent, int], Panel]
"""``(usual agent of a kind, validation_seeds)`` -> the panel of this kind."""

Figures = Mapping[str, float]
"""Results of some agents of one kind in one environment: their number, their returns, and the cost."""


def as_usual(agent: InnerAgent, seeds: int) -> Panel:
    """Returns a panel of the usual agent alone."""
    return ((agent, seeds),)


@dataclass(frozen=True)
class Verdict:
    """How well agents do in an environment.

    Attributes:
        all: Over all agents.
        usual: Over the agents with their usual hyper-parameters only.
    """

    all: Validation
    usual: Validation


@dataclass(frozen=True)
class Judge:
    """Judges environments by agents that differ in their initial weights and, if ``choose`` says so, in their settings.

    Attributes:
        config: All settings.
        task: The real task.
        streams: The run's random streams.
        choose: Chooses the agents of each kind.
        world: The processes among which the kinds are divided; each process returns all figures.
        logs: Whether to log which agents are in training, as for a stage that has nothing else to report for minutes.
    """

    config: RLConfig
    task: BatchedTask
    streams: Streams
    choose: Choose = as_usual
    world: World = field(default_factory=SingleProcess)
    logs: bool = False

    def __call__(
        self, environment: Callable[[int], LearnedVariants], before_kind: Callable[[], None] = lambda: None
    ) -> Validation:
        """Returns the mean real return, in which every kind of agent has the same weight, and the figures of each kind.

        Args:
            environment: Maps a number of agents to as many copies of the environment.
            before_kind: Called before each kind of agent; see ``Job.validate``.

        Raises:
            DivergedError: No agent of a kind has a finite return.
        """
        return self.each(environment, 1, before_kind)[0].all

    def each(
        self, environments: Callable[[int], LearnedVariants], count: int, before_kind: Callable[[], None] = lambda: None
    ) -> list[Verdict]:
        """Judges several environments, whose agents train as one population and meet the same randomness in each.

        Args:
            environments: Maps a number n to n copies of each environment, one environment after the other.
            count: Number of environments.
            before_kind: Called before each kind of agent; see ``Job.validate``.

        Raises:
            DivergedError: No agent of a kind has a finite return.
        """
        kinds = judges(self.config, self.task.spec)
        told = share_out(
            self.world, kinds, lambda kind: self._judged(*kind, environments, count), before_round=before_kind
        )
        by_kind = {name: found for (name, _), found in zip(kinds, told, strict=True)}
        return [_verdict({name: found[i] for name, found in by_kind.items()}) for i in range(count)]

    def _judged(
        self, name: str, family: AgentFamily, environments: Callable[[int], LearnedVariants], count: int
    ) -> list[list[Figures]]:
        """Returns, for each environment, the figures of each agent in the panel of one kind."""
        panel = self.choose(family.usual(self.task.spec), self.config.agents.validation_seeds)
        by_agent = []
        for i, (agent, seeds) in enumerate(panel):
            if self.logs:
                log.info("agents in training: %d of %s (group %d of %d)", seeds * count, name, i + 1, len(panel))
            by_agent.append(self._figures(name, agent, seeds, environments, count))
        return [list(found) for found in zip(*by_agent, strict=True)]

    def _figures(
        self, name: str, agent: InnerAgent, seeds: int, environments: Callable[[int], LearnedVariants], count: int
    ) -> list[Figures]:
        started, episodes = time.process_time(), self.config.agents.validation_episodes
        variants = environments(seeds)
        policies = agent.train(variants, self.streams.torch(f"validation-{name}"))
        random = self.streams.numpy(f"validation-episodes-{name}")
        returns, lengths = real_returns(self.task, policies, variants.size, episodes, random)
        returns, taken = _finite(returns, name), int(lengths.sum())
        if not variants.real_steps:  # otherwise, episodes are those of the real task
            lengths = episode_lengths(variants, policies, self.streams.torch(f"validation-length-{name}"))
        cost = {
            "real_steps": (taken + variants.real_steps) / count,
            "cpu_seconds": (time.process_time() - started) / count,
        }
        by_environment = returns.mean(dim=1).view(count, -1)
        mean_lengths = lengths.double().reshape(count, -1).mean(dim=1).tolist()
        return [
            {"agents": seeds, "mean": float(agents.mean()), "minimum": float(agents.min()), "length": length, **cost}
            for agents, length in zip(by_environment, mean_lengths, strict=True)
        ]


def _finite(returns: Tensor, name: str) -> Tensor:
    """Replaces non-finite returns ``(P, E)``, as of agents that diverged, by the lowest finite one.

    Raises:
        DivergedError: None is finite.
    """
    finite = returns.isfinite()
    if finite.all():
        return returns
    if not finite.any():
        raise DivergedError(f"no agent of {name} has a finite return on the real task")
    log.warning(
        "%d of %d episodes of %s have no finite return; counted as the worst", (~finite).sum(), finite.numel(), name
    )
    return returns.where(finite, returns[finite].min())


def _verdict(by_kind: Mapping[str, Sequence[Figures]]) -> Verdict:
    return Verdict(_validation(by_kind), _validation({name: found[:1] for name, found in by_kind.items()}))


def _validation(by_kind: Mapping[str, Sequence[Figures]]) -> Validation:
    """Summarises figures by kind; within a kind, every agent has the same weight."""
    means = {name: _mean(found, "mean") for name, found in by_kind.items()}
    metrics: dict[str, float] = {}
    for name, found in by_kind.items():
        metrics |= {f"real/{name}": means[name], f"real/{name}_minimum": min(one["minimum"] for one in found)}
    every = [one for found in by_kind.values() for one in found]
    metrics["inner/episode_length"] = _mean(every, "length")
    metrics["cost/real_steps"] = float(sum(one["real_steps"] for one in every))
    metrics["perf/cpu_seconds"] = sum(one["cpu_seconds"] for one in every)
    return Validation(sum(means.values()) / len(means), metrics)


def _mean(figures: Sequence[Figures], name: str) -> float:
    return sum(one["agents"] * one[name] for one in figures) / sum(one["agents"] for one in figures)


def learners(config: RLConfig, spec: TaskSpec) -> tuple[tuple[str, AgentFamily], ...]:
    """Returns the kinds of agents that a teacher is meta-trained on, with their names.

    Raises:
        UsageError: A name stands for no kind, or for one that does not accept the task's actions.
        GTNError: A package that an agent needs is not installed.
    """
    return families(config.agents.names, spec, config.agents.sb3_steps)


def judges(config: RLConfig, spec: TaskSpec) -> tuple[tuple[str, AgentFamily], ...]:
    """Returns the kinds of agents that a teacher is validated on, with their names, each once.

    Raises:
        UsageError: See ``learners``.
        GTNError: See ``learners``.
    """
    names = tuple(dict.fromkeys(config.agents.judges or config.agents.names))
    return families(names, spec, config.agents.sb3_steps)

"""How well policies do on the real task: the returns of a population, and the trial that gives an outer step its fitness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gtn_core.estimators import Teacher
from gtn_core.seeding import Streams
from gtn_rl.agents import InnerAgent, Policies
from gtn_rl.models.learned_variants import LearnedVariants
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.models.variants import Variants
from gtn_rl.tasks.actions import normalise
from gtn_rl.tasks.protocol import BatchedTask
from gtn_rl.tasks.rollout import rollout


def real_returns(
    task: BatchedTask, policies: Policies, members: int, episodes: int, random: np.random.Generator, shift: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Runs P policies for some episodes of the real task each.

    Args:
        task: The real task.
        policies: P policies, which act greedily.
        members: P.
        episodes: E, the number of episodes per policy.
        random: Draws the initial states, which are the same for every policy.
        shift: Subtracted from the reward of every step.

    Returns:
        Undiscounted returns, and the episodes' lengths in steps, both ``(P, E)``.
    """

    def act(observations: Tensor, alive: Tensor) -> Tensor:
        by_member = observations.view(-1, members, observations.shape[1]).transpose(0, 1)
        return policies.act(by_member).transpose(0, 1).flatten(0, 1)

    result = rollout(task, act, members * episodes, random, group=members, alike=True)
    returns = result.returns - shift * result.lengths
    return returns.view(episodes, members).T, result.lengths.view(episodes, members).T


@torch.no_grad()
def episode_lengths(variants: Variants, policies: Policies, generator: torch.Generator, copies: int = 64) -> Tensor:
    """Returns the mean length of the first episodes in each of P variants under its own policy, ``(P,)``, in steps.

    Args:
        variants: The environments.
        policies: P policies, which act greedily.
        generator: Draws the initial states.
        copies: Episodes per variant, run in parallel.
    """
    running, device = variants.copies(copies, generator), variants.mean.device
    lengths = torch.zeros(variants.size, copies, device=device)
    going_on = torch.ones_like(lengths, dtype=torch.bool)
    while going_on.any():
        lengths += going_on
        actions = policies.act(running.observations())
        transition = running.step(actions if variants.spec.discrete else normalise(variants.spec, actions))
        going_on &= ~transition.ended.to(device)
    return lengths.mean(dim=1)


@dataclass
class TransferTrial:
    """The fitness of an outer step: trains the same fresh agent in every candidate and evaluates it on the real task.

    Attributes:
        task: The real task.
        agent: The agent to train.
        streams: The stage's random streams.
        index: Selects the draw of initial weights, experience and real episodes.
        episodes: Real episodes per candidate.
        shift: Subtracted from the reward of every real step.
        values: See ``Trial.values``.
    """

    task: BatchedTask
    agent: InnerAgent
    streams: Streams
    index: int
    episodes: int
    shift: float = 0.0
    values: dict[str, float] = field(default_factory=dict)

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """See ``Trial.fitness``: the mean return, ``(P,)``."""
        assert isinstance(teacher, LearnedTeacher)
        with torch.no_grad():
            variants = teacher.variants(candidates)
        policies = self.agent.train(variants, self.streams.torch("inner-agent", self.index))
        random = self.streams.numpy("real-episodes", self.index)
        returns, lengths = real_returns(self.task, policies, len(candidates), self.episodes, random, self.shift)
        self.values["cost/real_steps"] = float(lengths.sum()) + variants.real_steps
        return returns.mean(dim=1).to(candidates)


@dataclass(frozen=True)
class Greedy:
    """The untrained agent that takes the action rated highest by the reward: an upper bound on what a bandit can teach.

    Attributes:
        gain: Factor on continuous actions; see ``LearnedVariants.targets``.
    """

    gain: float = 1.0

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        assert isinstance(variants, LearnedVariants)
        learned = variants

        def outputs(observations: Tensor) -> Tensor:
            x = (observations - learned.mean) / learned.std
            return learned.table(x) if learned.spec.discrete else learned.targets(x, self.gain)

        return Policies(learned.spec, outputs)


def greedy_policies(teacher: LearnedTeacher, gain: float = 1.0) -> Policies:
    """Returns the greedy policy of a teacher's reward (P = 1); see ``Greedy``."""
    with torch.no_grad():
        return Greedy(gain).train(teacher.model(), torch.Generator())


def greedy_return(
    task: BatchedTask, teacher: LearnedTeacher, episodes: int, random: np.random.Generator, gain: float = 1.0
) -> tuple[float, int]:
    """Returns the mean real return of a teacher's greedy policy, and the real steps taken; see ``real_returns``."""
    returns, lengths = real_returns(task, greedy_policies(teacher, gain), 1, episodes, random)
    return float(returns.mean()), int(lengths.sum())

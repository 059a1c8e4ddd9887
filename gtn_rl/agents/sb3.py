"""Agents of Stable-Baselines3 and sb3-contrib as inner agents, trained one after the other; both are imported lazily."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.errors import DivergedError
from gtn_rl.agents.protocol import AGENTS, Policies
from gtn_rl.models.variants import Variants
from gtn_rl.sb3.algorithms import ALGORITHMS, Algorithm, algorithm
from gtn_rl.sb3.divergence import divergence_told, require_finite
from gtn_rl.sb3.fresh_agent import fresh_agent
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.sb3.variation import varied
from gtn_rl.tasks.actions import normalise
from gtn_rl.tasks.protocol import TaskSpec

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

STEPS = 10_000
"""Default number of environment steps of an agent."""


@dataclass(frozen=True)
class SB3Agent:
    """An agent of Stable-Baselines3, which trains in one environment at a time, on the CPU.

    Attributes:
        algorithm: A name in ``gtn_rl.sb3.algorithms``.
        steps: Environment steps; on-policy agents complete the rollout in which they reach this number.
        arguments: Keyword arguments of the algorithm's class; the others have their defaults, except that no rollout is
            longer than ``steps``.
    """

    algorithm: str
    steps: int = STEPS
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``; the outputs of an agent that diverges are NaN."""
        seeds = variants.draw(lambda source: torch.randint(2**31, (), generator=source), generator).tolist()
        policies = [self._trained(functools.partial(variants.env, p), seed) for p, seed in enumerate(seeds)]

        def outputs(observations: Tensor) -> Tensor:
            seen = observations.cpu().numpy()
            each = [_outputs(variants.spec, policy, mine) for policy, mine in zip(policies, seen, strict=True)]
            return torch.stack(each).to(observations)

        return Policies(variants.spec, outputs)

    def _trained(self, make_env: Callable[[], gym.Env], seed: int) -> BasePolicy | None:
        """Trains one agent and returns its policy, without the replay buffer; None if it diverges."""
        from stable_baselines3.common.env_util import make_vec_env

        with own_randomness(seed):
            env = make_vec_env(make_env, 1, seed)
            try:
                agent = fresh_agent(algorithm(self.algorithm), "MlpPolicy", env, seed, **self._arguments())
                with divergence_told(agent.policy):
                    agent.learn(self.steps)
                require_finite(agent.policy)
            except DivergedError:
                return None
            finally:
                env.close()
        return agent.policy

    def _arguments(self) -> dict[str, Any]:
        given = dict(self.arguments)
        usual = inspect.signature(algorithm(self.algorithm).load()).parameters.get("n_steps")
        if usual is not None:
            given["n_steps"] = min(given.get("n_steps", usual.default), self.steps)
        return given


def _outputs(spec: TaskSpec, policy: BasePolicy | None, observations: np.ndarray) -> Tensor:
    """Returns one agent's outputs for observations ``(n, d)``, ``(n, m)``; NaN if it has diverged."""
    if policy is not None:
        with contextlib.suppress(DivergedError), divergence_told(policy):
            actions = torch.from_numpy(policy.predict(observations, deterministic=True)[0])
            return F.one_hot(actions, spec.action_size).float() if spec.discrete else normalise(spec, actions.float())
    return torch.full((len(observations), spec.action_size), math.nan)


@dataclass(frozen=True)
class SB3Family:
    """Draws agents of one algorithm around its defaults.

    Attributes:
        algorithm: A name in ``gtn_rl.sb3.algorithms``.
        steps: Environment steps of the agents.
    """

    algorithm: str
    steps: int = STEPS

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> SB3Agent:
        """See ``AgentFamily.draw``: learning rate, batch size, width and depth vary (``gtn_rl.sb3.variation``)."""
        return SB3Agent(self.algorithm, self.steps, varied(self._entry, random))

    def usual(self, spec: TaskSpec) -> SB3Agent:
        """See ``AgentFamily.usual``."""
        return SB3Agent(self.algorithm, self.steps)

    def fits(self, spec: TaskSpec) -> bool:
        """See ``AgentFamily.fits``."""
        return self._entry.takes(spec.action_space)

    @property
    def _entry(self) -> Algorithm:
        return algorithm(self.algorithm)


for _entry in ALGORITHMS.values():
    if not _entry.recurrent:  # a policy of this protocol only sees the latest observation
        AGENTS.register(f"sb3-{_entry.name}")(SB3Family(_entry.name))

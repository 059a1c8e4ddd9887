"""Agents of Stable-Baselines3 and sb3-contrib as inner agents, one after the other; neither is imported before it is needed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from torch import Tensor
from torch.nn import functional as F

from gtn_envs import SyntheticEnv, Weights, make_weights
from gtn_rl.agents.protocol import AGENTS, Policies, normalise
from gtn_rl.model import Model
from gtn_rl.sb3.algorithms import ALGORITHMS, Algorithm, algorithm
from gtn_rl.sb3.fresh_agent import fresh_agent
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.sb3.variation import varied
from gtn_rl.tasks.protocol import TaskSpec

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

STEPS = 10_000
"""Environment steps of an agent, unless said otherwise."""


@dataclass(frozen=True)
class SB3Agent:
    """An agent of Stable-Baselines3, which trains in one environment and on the CPU.

    Attributes:
        algorithm: A name of ``gtn_rl.sb3.algorithms``.
        steps: Environment steps; on-policy agents finish the rollout that reaches them.
        arguments: Of the algorithm's class; the rest is its default, but no rollout is longer than ``steps``.
    """

    algorithm: str
    steps: int = STEPS
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def train(self, model: Model, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        seeds = model.draw(lambda source: torch.randint(2**31, (), generator=source), generator).tolist()
        policies = [self._trained(variant(model, p), seed) for p, seed in enumerate(seeds)]

        def outputs(observations: Tensor) -> Tensor:
            seen = observations.cpu().numpy()
            acted = [policy.predict(mine, deterministic=True)[0] for policy, mine in zip(policies, seen, strict=True)]
            actions = torch.from_numpy(np.stack(acted)).to(observations.device)
            if model.spec.discrete:
                return F.one_hot(actions, model.spec.action_size).to(observations)
            return normalise(model.spec, actions.to(observations))

        return Policies(model.spec, outputs)

    def _trained(self, weights: Weights, seed: int) -> BasePolicy:
        """Trains one agent; what remains is its policy, without the replay memory."""
        from stable_baselines3.common.env_util import make_vec_env

        limit = weights.max_episode_steps
        assert limit is not None  # a variant is a whole environment
        with own_randomness(seed):
            env = make_vec_env(lambda: TimeLimit(SyntheticEnv(weights), limit), 1, seed)
            agent = fresh_agent(algorithm(self.algorithm), "MlpPolicy", env, seed, **self._arguments())
            agent.learn(self.steps)
        return agent.policy

    def _arguments(self) -> dict[str, Any]:
        given = dict(self.arguments)
        usual = inspect.signature(algorithm(self.algorithm).load()).parameters.get("n_steps")
        if usual is not None:
            given["n_steps"] = min(given.get("n_steps", usual.default), self.steps)
        return given


@dataclass(frozen=True)
class SB3Family:
    """Draws agents of one algorithm around its defaults.

    Attributes:
        algorithm: A name of ``gtn_rl.sb3.algorithms``.
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


def variant(model: Model, member: int) -> Weights:
    """Returns one of a model's environments in memory, with observations and actions as the protocol has them.

    That is, flat, and discrete ones from 0, which is all that Stable-Baselines3 takes.
    """
    spec = model.spec
    seen = spaces.Box(spec.observation_low, spec.observation_high)
    does = spaces.Discrete(spec.action_size) if spec.discrete else spaces.Box(spec.action_low, spec.action_high)
    tensors = {name: tensor.cpu().numpy() for name, tensor in model.tensors(member).items()}
    return make_weights(tensors, {**model.document(), "observation_space": seen, "action_space": does})


for _entry in ALGORITHMS.values():
    if not _entry.recurrent:  # a policy of this protocol sees the latest observation alone
        AGENTS.register(f"sb3-{_entry.name}")(SB3Family(_entry.name))

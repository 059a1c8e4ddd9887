"""A learned environment as a teacher: its parameters, a population of its variants, and the file it becomes.

``gtn_envs`` runs what this module trains; the equations are the same and ``docs/environments.md`` states them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import gymnasium as gym
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from torch import Tensor, nn

from gtn_core.errors import UsageError
from gtn_core.estimators import Teacher
from gtn_envs import SyntheticEnv, make_weights
from gtn_rl.model_copies import CopiesApart, CopiesInStep
from gtn_rl.networks import Layers, as_layers, forward, orthogonal
from gtn_rl.tasks.protocol import TaskSpec
from gtn_rl.variants import Copies

PROBES = 256
"""Contexts that a reward's scale is normalised on."""

PARTS = ("reward", "initial", "transition", "termination")
"""What of a teacher can be meta-learned, each a parameter group."""


@dataclass(frozen=True)
class Model:
    """P variants of a learned environment, in normalised states x = (s - mean) / std.

    Attributes:
        spec: The real task, for spaces.
        mean: Shape ``(d,)``.
        std: Shape ``(d,)``.
        means: Centres of the initial states, ``(P, K, d)``.
        log_std: Logarithm of their spread, ``(P, 1, d)``.
        reward: The reward network.
        scale: Factor of its output, ``(P, 1, 1)``.
        transition: The network of the change of x; ``None`` for a bandit.
        max_episode_steps: L; 1 for a bandit.
        low: Lower bounds of x, ``(d,)``.
        high: Upper bounds of x, ``(d,)``.
        termination: The network whose output above 0 ends an episode in the state after a step; ``None``: the time limit alone.
        activation: Of every network, ``tanh`` or ``relu``.
        regret: Whether the reward of a discrete action is what it falls short of the best one's.
        limit_terminates: Whether an episode of ``max_episode_steps`` is terminated, not truncated.
        alike: Whether the agents of all variants meet the same chance, as candidates that are compared should; otherwise each
            is an agent of its own. See ``draw``.
    """

    spec: TaskSpec
    mean: Tensor
    std: Tensor
    means: Tensor
    log_std: Tensor
    reward: Layers
    scale: Tensor
    transition: Layers | None
    max_episode_steps: int
    low: Tensor
    high: Tensor
    termination: Layers | None = None
    activation: str = "tanh"
    regret: bool = False
    limit_terminates: bool = False
    alike: bool = True

    @property
    def size(self) -> int:
        """P, the number of variants."""
        return len(self.means)

    @property
    def bandit(self) -> bool:
        """See ``Variants.bandit``."""
        return self.transition is None

    @property
    def real_steps(self) -> int:
        """See ``Variants.real_steps``: none."""
        return 0

    def draw(self, sample: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """See ``Variants.draw``: one draw for all where they are ``alike``, else one each."""
        if self.alike:
            drawn = sample(generator)
            return drawn.to(self.means.device).expand(self.size, *drawn.shape)
        return torch.stack([sample(generator) for _ in range(self.size)]).to(self.means.device)

    def members(self, initial: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """See ``Variants.members``."""
        return self.draw(initial, generator).to(self.means, copy=True).requires_grad_()

    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> Copies:
        """See ``Variants.copies``."""
        kind = CopiesInStep if self.termination is None else CopiesApart
        return kind(self, count, generator, stagger=stagger)

    def env(self, member: int) -> gym.Env[Any, Any]:
        """See ``Variants.env``; it stays in memory."""
        spec = self.spec
        seen = spaces.Box(spec.observation_low, spec.observation_high)
        does = spaces.Discrete(spec.action_size) if spec.discrete else spaces.Box(spec.action_low, spec.action_high)
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.tensors(member).items()}
        weights = make_weights(tensors, {**self.document(), "observation_space": seen, "action_space": does})
        env = SyntheticEnv(weights)
        return env if self.limit_terminates else TimeLimit(env, self.max_episode_steps)

    def initial(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws n initial states of each variant, all from the same noise, shape ``(P, n, d)``."""
        which = torch.randint(self.means.shape[1], (n,), generator=generator)
        noise = torch.randn(n, self.means.shape[2], generator=generator)
        return self.initial_from(which.to(self.means.device), noise.to(self.means))

    def initial_from(self, which: Tensor, noise: Tensor) -> Tensor:
        """Returns the initial states of given centres ``(n,)`` and noise ``(n, d)``, shape ``(P, n, d)``."""
        return self._bounded(self.means[:, which] + self.log_std.exp() * noise)

    def initial_at(self, members: Tensor, which: Tensor, noise: Tensor) -> Tensor:
        """Returns initial states of given members ``(k,)``, from centres ``(k,)`` and noise ``(k, d)``, shape ``(k, d)``."""
        return self._bounded(self.means[members, which] + self.log_std[members, 0].exp() * noise)

    def observe(self, x: Tensor) -> Tensor:
        """Returns observations in the task's own units."""
        return self.mean + self.std * x

    def table(self, x: Tensor) -> Tensor:
        """Returns the reward of every action, ``(P, n, m)``; for discrete actions."""
        table = self.scale * forward(self.reward, x, self.activation)
        return table - table.amax(dim=2, keepdim=True) if self.regret else table

    def targets(self, x: Tensor) -> Tensor:
        """Returns the normalised actions that the reward points at, ``(P, n, m)``; for continuous actions."""
        return forward(self.reward, x, self.activation).tanh()

    def rewards(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns rewards ``(P, n)`` of actions ``(P, n)`` (discrete) or normalised ``(P, n, m)``."""
        if self.spec.discrete:
            return self.table(x).gather(2, actions.unsqueeze(2)).squeeze(2)
        return -self.scale.squeeze(2) * (actions - self.targets(x)).square().sum(dim=2)

    def step(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns the states after actions as in ``rewards``, ``(P, n, d)``."""
        assert self.transition is not None
        features = nn.functional.one_hot(actions, self.spec.action_size).to(x) if self.spec.discrete else actions
        change = forward(self.transition, torch.cat([x, features], dim=2), self.activation)
        return self._bounded(x + change)

    def terminated(self, x: Tensor) -> Tensor:
        """Says where the episode is over in the state after a step, bool, ``(P, n)``."""
        assert self.termination is not None
        return forward(self.termination, x, self.activation).squeeze(2) > 0

    def tensors(self, member: int) -> dict[str, Tensor]:
        """Returns what a file of ``gtn_envs`` holds of one variant."""
        tensors = {
            "observation.mean": self.mean,
            "observation.std": self.std,
            "initial.means": self.means[member],
            "initial.log_std": self.log_std[member, 0],
            "reward.scale": self.scale[member, 0, 0],
        }
        networks = {"reward": self.reward, "transition": self.transition, "termination": self.termination}
        for name, layers in networks.items():
            for i, (weight, bias) in enumerate(layers or ()):
                tensors |= {f"{name}.{i}.weight": weight[member], f"{name}.{i}.bias": bias[member, 0]}
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def document(self) -> dict[str, Any]:
        """Returns what such a file's header says of the computation, spaces left to the caller."""
        return {
            "form": "bandit" if self.bandit else "mdp",
            "task": self.spec.id,
            "max_episode_steps": self.max_episode_steps,
            "limit_terminates": self.limit_terminates,
            "regret": self.regret,
            "activation": self.activation,
        }

    def one_step(self) -> Model:
        """Returns the bandit of the same initial states and rewards."""
        return replace(self, transition=None, termination=None, max_episode_steps=1, limit_terminates=False)

    def _bounded(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)


class EnvironmentTeacher(Teacher):
    """A synthetic environment whose parts are meta-learned.

    Args:
        spec: The real task.
        mean: Centre of its observations, shape ``(d,)``.
        std: Their spread, ``(d,)``, positive.
        centres: Initial states to start from, in the task's units, ``(K, d)``.
        seed: Seed of the networks' initial weights.
        hidden: Widths of the reward network.
        transition_hidden: Widths of the transition network; ``None`` makes a bandit.
        termination_hidden: Widths of the termination network of a Markov decision process; ``None`` ends its episodes by their
            time limit alone.
        max_episode_steps: L of a Markov decision process.
        jitter: Spread of initial states around their centres, in units of ``std``.
        activation: Of every network, ``tanh`` or ``relu``.
        regret: Whether the reward of a discrete action is what it falls short of the best one's, which leaves the greedy
            policy the best one whatever the transitions are.
        limit_terminates: Whether a Markov decision process's episodes are terminated by their time limit, not truncated, so that
            no value is bootstrapped beyond it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: TaskSpec,
        mean: Tensor,
        std: Tensor,
        centres: Tensor,
        *,
        seed: int,
        hidden: Sequence[int] = (32,),
        transition_hidden: Sequence[int] | None = None,
        termination_hidden: Sequence[int] | None = None,
        max_episode_steps: int = 1,
        jitter: float = 0.1,
        activation: str = "tanh",
        regret: bool = False,
        limit_terminates: bool = False,
    ) -> None:
        super().__init__()
        if (transition_hidden is None) != (max_episode_steps == 1):
            raise UsageError("a bandit's episodes have 1 step, those of a Markov decision process more")
        if transition_hidden is None and termination_hidden is not None:
            raise UsageError("every step of a bandit ends an episode; it has no termination network")
        self.spec, self.max_episode_steps, self.activation = spec, max_episode_steps, activation
        self.regret = regret and spec.discrete  # a distance to an action is a regret already
        self.limit_terminates = limit_terminates and transition_hidden is not None
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("std", std.float().clone())
        generator = torch.Generator().manual_seed(seed)
        d, m = spec.observation_size, spec.action_size
        self.initial = nn.ParameterList(
            [
                nn.Parameter((centres.float() - self.mean) / self.std),
                nn.Parameter(torch.full((d,), math.log(jitter))),
            ]
        )
        self.reward = nn.ParameterList(_network((d, *hidden, m), generator))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.transition = None
        if transition_hidden is not None:
            network = _network((d + m, *transition_hidden, d), generator)
            self.transition = nn.ParameterList(network)
        self.termination = None
        if termination_hidden is not None:
            self.termination = nn.ParameterList(_network((d, *termination_hidden, 1), generator))

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """See ``Teacher.parameter_groups``; one group a part, in the order of ``PARTS``."""
        networks = ([*(network or ())] for network in (self.transition, self.termination))
        parts = [[*self.reward, self.log_scale], [*self.initial], *networks]
        return [(1.0, part) for part in parts]

    def learn_only(self, parts: Sequence[str]) -> None:
        """Chooses what is meta-learned; the rest stays as it is."""
        for name, (_, parameters) in zip(PARTS, self.parameter_groups(), strict=True):
            for parameter in parameters:
                parameter.requires_grad_(name in parts)

    def variants(self, candidates: Tensor) -> Model:
        """Returns the environments that vectors ``(P, D)`` in theta's place make."""
        pieces = iter(candidates.split([p.numel() for p in self.trained()], dim=1))
        size = len(candidates)

        def values(parameter: nn.Parameter) -> Tensor:
            if parameter.requires_grad:
                return next(pieces).view(size, *parameter.shape)
            return parameter.detach().expand(size, *parameter.shape)

        # The order of PARTS, which is that of theta.
        reward = as_layers([values(p) for p in self.reward])
        log_scale = values(self.log_scale)
        means, log_std = (values(p) for p in self.initial)
        transition, termination = (
            None if network is None else as_layers([values(p) for p in network])
            for network in (self.transition, self.termination)
        )
        model = Model(
            spec=self.spec,
            mean=self.mean,
            std=self.std,
            means=means,
            log_std=log_std.unsqueeze(1),
            reward=reward,
            scale=torch.ones(size, 1, 1).to(candidates),
            transition=transition,
            termination=termination,
            max_episode_steps=self.max_episode_steps,
            activation=self.activation,
            regret=self.regret,
            limit_terminates=self.limit_terminates,
            low=(torch.from_numpy(self.spec.observation_low).to(self.mean) - self.mean) / self.std,
            high=(torch.from_numpy(self.spec.observation_high).to(self.mean) - self.mean) / self.std,
        )
        return _normalised(model, log_scale)

    def set_centres(self, states: Tensor) -> None:
        """Moves the centres of the initial states to given states in the task's units, ``(K, d)``."""
        with torch.no_grad():
            self.initial[0].copy_((states - self.mean) / self.std)

    def model(self, copies: int = 1) -> Model:
        """Returns the environment as it is, ``copies`` times, for as many agents of their own."""
        return replace(self.variants(self.theta().expand(copies, -1)), alike=False)

    def tensors(self) -> dict[str, Tensor]:
        """Returns what a file of ``gtn_envs`` holds, its reward normalised."""
        return self.model().tensors(0)

    def document(self, **facts: Any) -> dict[str, Any]:
        """Returns the header of such a file, spaces left to ``gtn_envs``."""
        return {**self.model().document(), **facts}


def _network(sizes: Sequence[int], generator: torch.Generator) -> list[nn.Parameter]:
    """Returns weights ``(in, out)`` and biases ``(out,)`` in turn."""
    parameters = []
    for a, b in pairwise(sizes):
        parameters += [nn.Parameter(orthogonal(a, b, generator)), nn.Parameter(torch.zeros(b))]
    return parameters


@torch.no_grad()
def _normalised(model: Model, log_scale: Tensor) -> Model:
    """Gives a reward per action mean 0 over the actions and standard deviation ``exp(log_scale)`` over contexts and actions.

    An agent's advantages then have that scale whatever the network's weights are. A continuous reward is a distance and has
    the scale alone.
    """
    scale = log_scale.exp().view(-1, 1, 1)
    reward = model.reward
    if model.spec.discrete:
        weight, bias = reward[-1]
        reward = [*reward[:-1], (weight - weight.mean(2, keepdim=True), bias - bias.mean(2, keepdim=True))]
        x = model.initial(PROBES, torch.Generator().manual_seed(0))
        spread = forward(reward, x, model.activation).square().mean(dim=(1, 2), keepdim=True).sqrt()
        scale = scale / spread.clamp(min=1e-6)
    return replace(model, reward=reward, scale=scale)

"""A learned environment as a teacher: its parameters, a population of its variants, and its file.

``gtn_envs`` runs what this module trains; the equations are the same, and are stated in ``docs/environments.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import torch
from gymnasium.wrappers import TimeLimit
from torch import Tensor, nn

from gtn_core.errors import UsageError
from gtn_envs import SyntheticEnv
from gtn_rl.models.environment_copies import CopiesApart, CopiesInStep
from gtn_rl.models.learned_variants import LearnedVariants, network_tensors, normalised
from gtn_rl.models.networks import Layers, as_layers, forward
from gtn_rl.models.teacher import LearnedTeacher, network
from gtn_rl.models.variants import Copies
from gtn_rl.tasks.actions import with_actions
from gtn_rl.tasks.protocol import TaskSpec

PROBES = 256
"""Number of contexts on which a reward's scale is normalised."""


@dataclass(frozen=True, kw_only=True)
class Model(LearnedVariants):
    """P variants of a learned environment.

    Attributes:
        means: Centres of the initial states, ``(P, K, d)``, normalised like x.
        log_std: Log standard deviation around them, ``(P, 1, d)``.
        transition: Network that gives the change of x; ``None`` for a bandit.
        low: Lower bounds of x, ``(d,)``.
        high: Upper bounds of x, ``(d,)``.
        termination: Network that ends an episode where its output for the state after a step is above 0; ``None`` if
            only the time limit does.
        limit_terminates: Whether the time limit ``max_episode_steps`` terminates an episode instead of truncating it.
    """

    means: Tensor
    log_std: Tensor
    transition: Layers | None
    low: Tensor
    high: Tensor
    termination: Layers | None = None
    limit_terminates: bool = False

    @property
    def bandit(self) -> bool:
        """See ``Variants.bandit``."""
        return self.transition is None

    @property
    def real_steps(self) -> int:
        """See ``Variants.real_steps``: none."""
        return 0

    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> Copies:
        """See ``Variants.copies``."""
        kind = CopiesInStep if self.termination is None else CopiesApart
        return kind(self, count, generator, stagger=stagger)

    def env(self, member: int) -> gym.Env[Any, Any]:
        """See ``Variants.env``; nothing is written to disk."""
        env = SyntheticEnv(self.weights(member))
        return env if self.limit_terminates or self.bandit else TimeLimit(env, self.max_episode_steps)

    def initial(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws n initial states of each variant, all from the same noise, shape ``(P, n, d)``."""
        which = torch.randint(self.means.shape[1], (n,), generator=generator)
        noise = torch.randn(n, self.means.shape[2], generator=generator)
        return self.initial_from(which.to(self.means.device), noise.to(self.means))

    def initial_from(self, which: Tensor, noise: Tensor) -> Tensor:
        """Returns initial states given centres ``(n,)`` and noise ``(n, d)``, shape ``(P, n, d)``."""
        return self._bounded(self.means[:, which] + self.log_std.exp() * noise)

    def initial_at(self, members: Tensor, which: Tensor, noise: Tensor) -> Tensor:
        """Returns initial states of members ``(k,)`` given centres ``(k,)`` and noise ``(k, d)``, shape ``(k, d)``."""
        return self._bounded(self.means[members, which] + self.log_std[members, 0].exp() * noise)

    def step(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns the next states, ``(P, n, d)``, given actions as in ``rewards``."""
        assert self.transition is not None
        return self._bounded(x + forward(self.transition, with_actions(self.spec, x, actions), self.activation))

    def terminated(self, x: Tensor) -> Tensor:
        """Returns whether the states after a step end their episodes, bool, ``(P, n)``."""
        assert self.termination is not None
        return forward(self.termination, x, self.activation).squeeze(2) > 0

    def tensors(self, member: int) -> dict[str, Tensor]:
        """See ``LearnedVariants.tensors``."""
        tensors = {"initial.means": self.means[member], "initial.log_std": self.log_std[member, 0]}
        for name, layers in (("transition", self.transition), ("termination", self.termination)):
            tensors |= network_tensors(name, layers or [], member)
        return super().tensors(member) | {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def document(self) -> dict[str, Any]:
        """See ``LearnedVariants.document``."""
        return {
            "form": "bandit" if self.bandit else "mdp",
            "task": self.spec.id,
            "max_episode_steps": self.max_episode_steps,
            "limit_terminates": self.limit_terminates,
            "regret": self.regret,
            "activation": self.activation,
            **({"reward_reads_action": True} if self.reward_reads_action else {}),
        }

    def one_step(self) -> Model:
        """Returns the bandit with the same initial states and rewards."""
        return replace(self, transition=None, termination=None, max_episode_steps=1, limit_terminates=False)

    def _bounded(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)


def bandits(teacher: LearnedTeacher[Any], copies: int) -> LearnedVariants:
    """Returns ``copies`` of a teacher in the form that its greedy policy is easiest to learn in: a bandit.

    A learned reward has no place but the real task and is returned as it is.
    """
    variants: LearnedVariants = teacher.model(copies)
    return variants.one_step() if isinstance(variants, Model) else variants


class EnvironmentTeacher(LearnedTeacher[Model]):
    """A synthetic environment whose parts are meta-learned.

    Args:
        spec: The real task.
        mean: Mean of its observations, shape ``(d,)``.
        std: Standard deviation of its observations, ``(d,)``, positive.
        centres: Initial centres of the initial states, in the task's units, ``(K, d)``.
        seed: Seed of the networks' initial weights.
        hidden: Hidden widths of the reward network.
        transition_hidden: Hidden widths of the transition network; ``None`` makes a bandit.
        termination_hidden: Hidden widths of an MDP's termination network; with ``None``, only the time limit ends
            episodes.
        max_episode_steps: Time limit of an MDP's episodes; 1 for a bandit.
        jitter: Initial standard deviation around the centres, in units of ``std``.
        activation: Activation of every network, ``tanh`` or ``relu``.
        regret: Whether a discrete action's reward is relative to the best action's, which makes the greedy policy
            optimal whatever the transitions are.
        limit_terminates: Whether an MDP's time limit terminates episodes instead of truncating them, so that no value
            is bootstrapped beyond it.
        reward_reads_action: Whether the reward is the output of a network that reads the action, too; it is not
            normalised, since it is to be fitted to the real one.
        scale: Initial size of the reward; of a fitted one, as a multiple of the real one's.

    Raises:
        UsageError: A bandit has a time limit above 1 or a termination network, or an MDP has a time limit of 1.
    """

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
        reward_reads_action: bool = False,
        scale: float = 1.0,
    ) -> None:
        if (transition_hidden is None) != (max_episode_steps == 1):
            raise UsageError("a bandit's episodes have 1 step, those of a Markov decision process more")
        if transition_hidden is None and termination_hidden is not None:
            raise UsageError("every step of a bandit ends an episode; it has no termination network")
        d, m = spec.observation_size, spec.action_size
        generator = torch.Generator().manual_seed(seed)
        reward = network((d + m, *hidden, 1) if reward_reads_action else (d, *hidden, m), generator)
        super().__init__(spec, mean, std, reward, activation=activation, regret=regret, scale=scale)
        self.max_episode_steps, self.reward_reads_action = max_episode_steps, reward_reads_action
        self.limit_terminates = limit_terminates and transition_hidden is not None
        self.initial = nn.ParameterList(
            [
                nn.Parameter((centres.float() - self.mean) / self.std),
                nn.Parameter(torch.full((d,), math.log(jitter))),
            ]
        )
        self.transition = None
        if transition_hidden is not None:
            self.transition = nn.ParameterList(network((d + m, *transition_hidden, d), generator))
        self.termination = None
        if termination_hidden is not None:
            self.termination = nn.ParameterList(network((d, *termination_hidden, 1), generator))

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """See ``LearnedTeacher.parts``."""
        others = {"initial": self.initial, "transition": self.transition, "termination": self.termination}
        return super().parts() | {name: [*(part or ())] for name, part in others.items()}

    def variants(self, candidates: Tensor) -> Model:
        """Returns the environments that candidate vectors ``(P, D)`` make in place of theta."""
        size, values = len(candidates), self.values(candidates)
        (log_scale,) = values["scale"]
        means, log_std = values["initial"]
        transition, termination = (as_layers(values[name]) or None for name in ("transition", "termination"))
        model = Model(
            spec=self.spec,
            mean=self.mean,
            std=self.std,
            means=means,
            log_std=log_std.unsqueeze(1),
            reward=as_layers(values["reward"]),
            scale=log_scale.exp().view(size, 1, 1),
            transition=transition,
            termination=termination,
            max_episode_steps=self.max_episode_steps,
            activation=self.activation,
            regret=self.regret,
            reward_reads_action=self.reward_reads_action,
            limit_terminates=self.limit_terminates,
            low=(torch.from_numpy(self.spec.observation_low).to(self.mean) - self.mean) / self.std,
            high=(torch.from_numpy(self.spec.observation_high).to(self.mean) - self.mean) / self.std,
        )
        if self.reward_reads_action:
            return model
        return normalised(model, log_scale, model.initial(PROBES, torch.Generator().manual_seed(0)))

    @torch.no_grad()
    def spread_evenly(self) -> None:
        """Gives every entry of the initial states the same spread in the task's units: the geometric mean of their ``std``.

        An agent's first updates follow the mean of advantage times observation, to which an entry that hardly varies
        contributes little, however much it matters to the advantage.
        """
        wider = self.std.log().mean() - self.std.log()
        means, log_std = self.initial
        means.mul_(wider.exp())
        log_std.add_(wider)

    @torch.no_grad()
    def set_centres(self, states: Tensor, spread: Tensor | None = None) -> None:
        """See ``LearnedTeacher.set_centres``: the states become the centres of the initial states."""
        means, log_std = self.initial
        means.copy_((states - self.mean) / self.std)
        if spread is not None:
            log_std.copy_((spread / self.std).log())

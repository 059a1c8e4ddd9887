"""What all teachers of reinforcement learning share: a reward network, parts that are meta-learned, and a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Generic

import torch
from torch import Tensor, nn

from gtn_core.estimators import Teacher
from gtn_rl.models.learned_variants import Some
from gtn_rl.models.networks import orthogonal
from gtn_rl.tasks.protocol import TaskSpec


class LearnedTeacher(Teacher, Generic[Some]):
    """A learned reward, and whatever else a subclass learns.

    Args:
        spec: The real task.
        mean: Mean of its observations, shape ``(d,)``.
        std: Standard deviation of its observations, ``(d,)``, positive.
        reward: Weights and biases of the reward network, alternating.
        activation: Activation of every network, ``tanh`` or ``relu``.
        regret: Whether a discrete action's reward is relative to the best action's, which makes the greedy policy
            optimal whatever the transitions are.
        scale: Initial size of the reward.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: TaskSpec,
        mean: Tensor,
        std: Tensor,
        reward: Sequence[nn.Parameter],
        *,
        activation: str = "tanh",
        regret: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.spec, self.activation = spec, activation
        self.regret = regret and spec.discrete  # a distance to the best action already is a regret
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("std", std.float().clone())
        self.reward = nn.ParameterList(reward)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Returns the parts that can be meta-learned, by name, in the order of theta."""
        return {"reward": [*self.reward], "scale": [self.log_scale]}

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """See ``Teacher.parameter_groups``: one group per part."""
        return [(1.0, part) for part in self.parts().values()]

    def learn_only(self, parts: Sequence[str]) -> None:
        """Sets which parts are meta-learned; the rest stays as it is."""
        for name, part in self.parts().items():
            for parameter in part:
                parameter.requires_grad_(name in parts)

    def values(self, candidates: Tensor) -> dict[str, list[Tensor]]:
        """Returns the parts, each ``(P, ...)``, that candidate vectors ``(P, D)`` make in place of theta."""
        pieces = iter(candidates.split([p.numel() for p in self.trained()], dim=1))
        size = len(candidates)

        def value(parameter: nn.Parameter) -> Tensor:
            if parameter.requires_grad:
                return next(pieces).view(size, *parameter.shape)
            return parameter.detach().expand(size, *parameter.shape)

        return {name: [value(parameter) for parameter in part] for name, part in self.parts().items()}

    def variants(self, candidates: Tensor) -> Some:
        """Returns the variants that candidate vectors ``(P, D)`` make in place of theta."""
        raise NotImplementedError

    def set_centres(self, states: Tensor, spread: Tensor | None = None) -> None:
        """Replaces the states of the real task that the teacher was made from.

        Args:
            states: The new states, in the task's units, ``(K, d)``.
            spread: Standard deviation of initial states around them, ``(d,)``; ``None`` leaves it as it is.
        """
        raise NotImplementedError

    def resize(self, factor: float) -> None:
        """Multiplies the size of the reward by a factor."""
        with torch.no_grad():
            self.log_scale.add_(math.log(factor))

    def soften(self, gain: float) -> None:
        """Multiplies continuous actions by a gain before the hyperbolic tangent; see ``LearnedVariants.targets``."""
        with torch.no_grad():
            for parameter in [*self.reward][-2:]:  # the last layer's weights and biases
                parameter.mul_(gain)

    def model(self, copies: int = 1, sizes: Sequence[float] = (1.0,)) -> Some:
        """Returns the teacher as it is as ``copies * len(sizes)`` variants: for each size of the reward, one per agent.

        Args:
            copies: Number of agents.
            sizes: Factors on the reward's size.
        """
        variants = self.variants(self.theta().expand(copies * len(sizes), -1))
        factors = torch.tensor(sizes).repeat_interleave(copies).to(variants.scale)
        return replace(variants, agents=copies, scale=variants.scale * factors.view(-1, 1, 1))

    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors of a ``gtn_envs`` file, with the reward normalised."""
        return self.model().tensors(0)

    def document(self, **facts: Any) -> dict[str, Any]:
        """Returns the header of such a file, with ``facts`` added; ``gtn_envs`` adds the spaces."""
        return {**self.model().document(), **facts}


def network(sizes: Sequence[int], generator: torch.Generator) -> list[nn.Parameter]:
    """Returns orthogonal weights ``(in, out)`` and zero biases ``(out,)``, alternating."""
    parameters = []
    for a, b in pairwise(sizes):
        parameters += [nn.Parameter(orthogonal(a, b, generator)), nn.Parameter(torch.zeros(b))]
    return parameters

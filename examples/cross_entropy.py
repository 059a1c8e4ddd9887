"""An inner agent of one's own: the cross-entropy method (Rubinstein, 1999) over linear policies, in all variants at once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents import Policies
from gtn_rl.agents.copies import Copies
from gtn_rl.model import Model
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class CrossEntropy:
    """The hyper-parameters: rounds, candidates of each, copies that try one, and the share that the next round starts from."""

    rounds: int = 20
    candidates: int = 64
    copies: int = 64
    elite: float = 0.25

    def train(self, model: Model, generator: torch.Generator) -> Policies:
        """Returns P policies, one trained in each of the model's variants."""
        spec, size = model.spec, (model.spec.observation_size + 1, model.spec.action_size)  # with a bias
        centre, spread = torch.zeros(()), torch.ones(())
        for _ in range(self.rounds):
            noise = model.draw(lambda source: torch.randn(self.candidates, *size, generator=source), generator)
            tried = centre + spread * noise  # (P, C, d + 1, m)
            best = self._rewards(model, tried, generator).topk(int(self.elite * self.candidates), dim=1).indices
            chosen = tried.gather(1, best[..., None, None].expand(-1, -1, *size))
            centre, spread = chosen.mean(dim=1, keepdim=True), chosen.std(dim=1, keepdim=True)
        return Policies(spec, lambda observations: features(model, observations) @ centre[:, 0])

    def _rewards(self, model: Model, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Returns what each of C candidates collects in one episode's steps, the mean over its copies, (P, C)."""
        copies, rewards = Copies(model, self.candidates * self.copies, generator), []
        for _ in range(model.max_episode_steps):
            seen = features(model, copies.observations()).unflatten(1, (self.candidates, self.copies))
            outputs = (seen @ weights).flatten(1, 2)  # (P, C * copies, m)
            actions = outputs.argmax(dim=2) if model.spec.discrete else outputs.clamp(-1, 1)
            rewards.append(copies.step(actions).reward.unflatten(1, (self.candidates, self.copies)))
        return torch.stack(rewards).sum(dim=0).mean(dim=2)


def features(model: Model, observations: Tensor) -> Tensor:
    """Returns standardised observations with a 1 appended, (..., d + 1)."""
    x = (observations - model.mean) / model.std
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)


class CrossEntropyFamily:
    """Where such agents come from."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> CrossEntropy:
        """Returns an agent with hyper-parameters drawn anew, once a generation."""
        return CrossEntropy(rounds=int(random.integers(10, 30)), copies=int(random.choice([16, 64])))

    def usual(self, spec: TaskSpec) -> CrossEntropy:
        """Returns the agent that a teacher is validated on."""
        return CrossEntropy()

    def fits(self, spec: TaskSpec) -> bool:
        """Says that it takes discrete and continuous actions."""
        return True

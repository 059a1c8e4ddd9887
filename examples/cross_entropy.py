"""A custom inner agent: the cross-entropy method (Rubinstein, 1999) over linear policies, batched over all variants."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl import Policies, TaskSpec, Variants


@dataclass(frozen=True)
class CrossEntropy:
    """The agent and its hyper-parameters.

    Attributes:
        rounds: Rounds of the method.
        candidates: Candidates per round, C.
        copies: Environment copies that evaluate each candidate.
        elite: Fraction of the candidates from which the next round's distribution is fitted.
    """

    rounds: int = 20
    candidates: int = 64
    copies: int = 64
    elite: float = 0.25

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """Returns P policies, one trained in each variant."""
        spec, size = variants.spec, (variants.spec.observation_size + 1, variants.spec.action_size)  # with a bias
        centre, spread = torch.zeros(()), torch.ones(())
        for _ in range(self.rounds):
            noise = variants.draw(lambda source: torch.randn(self.candidates, *size, generator=source), generator)
            tried = centre + spread * noise  # (P, C, d + 1, m)
            best = self._rewards(variants, tried, generator).topk(int(self.elite * self.candidates), dim=1).indices
            chosen = tried.gather(1, best[..., None, None].expand(-1, -1, *size))
            centre, spread = chosen.mean(dim=1, keepdim=True), chosen.std(dim=1, keepdim=True)
        return Policies(spec, lambda observations: features(variants, observations) @ centre[:, 0])

    def _rewards(self, variants: Variants, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the reward of each of C candidates over one episode's steps, averaged over its copies, (P, C)."""
        copies, rewards = variants.copies(self.candidates * self.copies, generator), []
        for _ in range(variants.max_episode_steps):
            seen = features(variants, copies.observations()).unflatten(1, (self.candidates, self.copies))
            outputs = (seen @ weights).flatten(1, 2)  # (P, C * copies, m)
            actions = outputs.argmax(dim=2) if variants.spec.discrete else outputs.clamp(-1, 1)
            rewards.append(copies.step(actions).reward.unflatten(1, (self.candidates, self.copies)))
        return torch.stack(rewards).sum(dim=0).mean(dim=2)


def features(variants: Variants, observations: Tensor) -> Tensor:
    """Returns standardised observations with a 1 appended, (..., d + 1)."""
    x = (observations - variants.mean) / variants.std
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)


class CrossEntropyFamily:
    """Provides the agents for meta-training and validation."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> CrossEntropy:
        """Returns an agent with newly drawn hyper-parameters; called once per generation."""
        return CrossEntropy(rounds=int(random.integers(10, 30)), copies=int(random.choice([16, 64])))

    def usual(self, spec: TaskSpec) -> CrossEntropy:
        """Returns the agent that a teacher is validated on."""
        return CrossEntropy()

    def fits(self, spec: TaskSpec) -> bool:
        """Returns whether the agent supports a task; it takes both discrete and continuous actions."""
        return True

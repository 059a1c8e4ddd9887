"""Copies of the real task that an agent steps for a learned reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gtn_rl.models.episodes import Episodes, StartsAhead
from gtn_rl.models.variants import Transition
from gtn_rl.tasks.actions import denormalise

if TYPE_CHECKING:
    from gtn_rl.models.reward import RewardedTask


class RewardedCopies:
    """E copies of the real task for each of P rewards; copy e of member p is the task's copy ``p * E + e``.

    Args:
        variants: The rewards, and their task.
        count: E, the number of copies for each reward.
        generator: Seeds the stream of episode starts.
        stagger: Whether the first episodes are truncated at different times.
    """

    def __init__(
        self, variants: RewardedTask, count: int, generator: torch.Generator, *, stagger: bool = False
    ) -> None:
        self.count, self._variants, task = count, variants, variants.task
        self._starts = StartsAhead(count, task.starts, generator)
        limit = variants.max_episode_steps
        self._episodes = Episodes(variants.size, count, limit, stagger=stagger, device=task.device)
        numbers, copies = self._episodes.number.flatten(), torch.arange(count).repeat(variants.size)
        self._state = task.begin(self._starts.at(numbers, copies.to(task.device)))
        self._seen = self._observed()

    def observations(self) -> Tensor:
        """See ``Copies.observations``."""
        return self._seen

    def step(self, actions: Tensor) -> Transition:
        """See ``Copies.step``."""
        variants, spec, shape = self._variants, self._variants.spec, (self._variants.size, self.count)
        taken = (actions if spec.discrete else denormalise(spec, actions)).flatten(0, 1)
        self._state, real, terminated, cut_off = variants.task.step(self._state, taken)
        variants.meter.add(len(taken))
        seen, last = self._seen, self._observed()
        self._seen, terminated = last, terminated.view(shape)
        truncated = self._episodes.step(terminated, None if cut_off is None else cut_off.view(shape))
        x, after = ((states - variants.mean) / variants.std for states in (seen, last))
        reward = variants.judged(x, actions, real.view(shape).to(x), after, terminated)
        transition = Transition(reward, terminated, truncated, last)
        over = transition.ended.flatten().nonzero().squeeze(1)
        if len(over):
            starts = self._starts.at(self._episodes.number.flatten()[over], over % self.count)
            self._state = variants.task.restart(self._state, over.cpu().numpy(), starts)
            self._seen = self._observed()
        return transition

    def _observed(self) -> Tensor:
        return self._variants.task.observe(self._state).view(self._variants.size, self.count, -1)

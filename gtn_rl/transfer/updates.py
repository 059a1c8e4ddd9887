"""The number of gradient updates of an agent: the steps of its torch optimizers."""

from __future__ import annotations

from typing import Any

import torch

PARTS = ("", "policy", "actor", "critic")
"""Where Stable-Baselines3 keeps optimizers: on the algorithm itself, and on these attributes of it."""


class UpdateCounter:
    """Counts every optimizer step of an agent from now on.

    Stable-Baselines3's own ``_n_updates`` counts epochs for PPO, rollouts for A2C and mini-batches for the others.
    TRPO's policy step and ARS's step use no optimizer and are not counted.

    Args:
        model: An agent of Stable-Baselines3.
    """

    def __init__(self, model: Any) -> None:
        self._steps: dict[str, int] = {}
        self._handles = [self._watch(name, optimizer) for name, optimizer in _optimizers(model).items()]

    @property
    def updates(self) -> int:
        """Steps so far of the optimizer that took the most; a joint step of SAC's three counts once."""
        return max(self._steps.values(), default=0)

    def close(self) -> None:
        """Stops counting, and removes the hooks, which would otherwise be saved with the agent."""
        for handle in self._handles:
            handle.remove()

    def _watch(self, name: str, optimizer: torch.optim.Optimizer) -> Any:
        self._steps[name] = 0

        def count(*_: Any) -> None:
            self._steps[name] += 1

        return optimizer.register_step_post_hook(count)


def _optimizers(model: Any) -> dict[str, torch.optim.Optimizer]:
    """Returns the agent's optimizers, each once, by where they are kept."""
    found: dict[str, torch.optim.Optimizer] = {}
    for part in PARTS:
        owner = getattr(model, part, None) if part else model
        for attribute, value in vars(owner).items() if owner is not None else ():
            if isinstance(value, torch.optim.Optimizer) and not any(value is other for other in found.values()):
                found[part or attribute.removesuffix("_optimizer")] = value
    return found

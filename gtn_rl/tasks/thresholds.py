"""Mean returns from which real tasks count as solved."""

from __future__ import annotations

import gymnasium as gym

SOLVED = {
    "CartPole-v1": 475.0,
    "Acrobot-v1": -100.0,
    "MountainCar-v0": -110.0,
    "Pendulum-v1": -200.0,
    "LunarLander-v3": 200.0,
    "HalfCheetah-v5": 4800.0,
    "Hopper-v5": 3800.0,
}
"""Mean returns from which tasks count as solved; they take precedence over Gymnasium's own ``reward_threshold``."""


def threshold_of(task: str) -> float | None:
    """Returns the mean return from which a real task counts as solved; None if no threshold is set."""
    bare = task.rpartition(":")[2]
    if bare in SOLVED:
        return SOLVED[bare]
    spec = gym.registry.get(bare)
    return None if spec is None or spec.reward_threshold is None else float(spec.reward_threshold)

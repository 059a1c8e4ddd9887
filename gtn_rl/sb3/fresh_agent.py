"""Creates fresh agents of Stable-Baselines3; settings that they refuse become errors for the user."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gtn_core.errors import UsageError
from gtn_rl.sb3.algorithms import Algorithm

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv


def fresh_agent(entry: Algorithm, policy: str, venv: VecEnv, seed: int, **arguments: Any) -> BaseAlgorithm:
    """Creates an agent.

    Args:
        entry: The algorithm.
        policy: The policy's name.
        venv: The training environment; closed if the agent cannot be created.
        seed: Seed in [0, 2**31), which also seeds the global random states.
        **arguments: Keyword arguments of the algorithm's class; ``device`` is the CPU by default.

    Raises:
        UsageError: The algorithm refuses a setting.
        GTNError: The algorithm's package is not installed.
    """
    cls: Any = entry.load()
    try:
        with warnings.catch_warnings():
            # A shorter last mini-batch is fine.
            warnings.filterwarnings("ignore", message="You have specified a mini-batch size", category=UserWarning)
            agent: BaseAlgorithm = cls(policy, venv, seed=seed, **{"device": "cpu", **arguments})
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        venv.close()
        raise UsageError(f"{entry.name} rejects its settings: {error}") from error
    return agent

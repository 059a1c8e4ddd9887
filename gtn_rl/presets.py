"""Presets: layers of settings per task and kind of environment, over the defaults of ``gtn_rl.config``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Settings = Mapping[str, Any]
HORIZON: Settings = {"limit_terminates": True, "regret": True}
"""An MDP whose greedy policy is the best one, and whose values are small: few noisy steps suffice to learn them."""

Preset = Callable[[str], Settings]
"""Kind of environment -> settings."""


def _stages(kind: str, *stages: Settings) -> list[Settings]:
    """Puts fitting the transitions where an MDP needs it: once states are harvested, before agents train inside."""
    if kind != "mdp":
        return list(stages)
    before = [stage for stage in stages if stage["name"] == "greedy"]
    after = [stage for stage in stages if stage["name"] != "greedy"]
    return [*before, {"name": "fit"}, *after]


def _from_scratch(kind: str) -> Settings:
    """Bi-level evolution alone: for tasks where even a poor agent's return tells good candidates from bad ones."""
    # Small enough to step faster than Gymnasium's own vectorised CartPole.
    small = {"hidden": [16], "transition_hidden": [16], "activation": "relu", **HORIZON}
    return {
        "environment": {"kind": kind, **(small if kind == "mdp" else {})},
        "stages": _stages(kind, {"name": "bilevel", "sigma": 0.1, "validations": 5}),
        "minutes": 10.0,
    }


def _warm(kind: str) -> Settings:
    """The greedy warm start first: for tasks where an agent trained at random learns nothing at all."""
    return {
        "environment": {"kind": kind, "jitter": 0.2, **({**HORIZON, "episode_steps": 3} if kind == "mdp" else {})},
        "agents": {"validation_seeds": 3},
        "stages": _stages(
            kind,
            {"name": "greedy", "sigma": 0.3, "share": 1.0, "parts": ["reward"], "validations": 6},
            {"name": "bilevel", "sigma": 0.05, "share": 1.0, "validations": 5},
        ),
        "minutes": 10.0,
    }


GENERAL: Preset = _warm
"""What a task without a preset of its own starts from."""

PRESETS: dict[str, dict[str, Preset]] = {
    "fast": {
        "CartPole-v1": _from_scratch,
        "Acrobot-v1": _warm,
        "MountainCar-v0": _warm,
        "Pendulum-v1": _warm,
        "LunarLander-v3": _warm,
        "HalfCheetah-v5": _warm,
        "Hopper-v5": _warm,
    }
}

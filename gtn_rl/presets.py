"""Presets: layers of settings per task and kind of environment, over the defaults of ``gtn_rl.config``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Settings = Mapping[str, Any]
Preset = Callable[[str, bool], Settings]
"""Kind of environment, and whether it starts from another's file -> settings."""

HORIZON: Settings = {"limit_terminates": True, "regret": True}
"""An MDP whose greedy policy is the best one, and whose values are small: few noisy steps suffice to learn them."""


def _stages(kind: str, *stages: Settings) -> list[Settings]:
    """Adds what a kind needs beside evolution.

    An MDP's transitions are fitted once states are harvested, before agents train inside. The size of the reward is chosen
    last; trials on the real task's own dynamics would cost too many real steps.
    """
    if kind == "reward":
        return list(stages)
    if kind == "bandit":
        return [*stages, {"name": "scale"}]
    before = [stage for stage in stages if stage["name"] == "greedy"]
    after = [stage for stage in stages if stage["name"] != "greedy"]
    return [*before, {"name": "fit"}, *after, {"name": "scale"}]


def _from_scratch(kind: str, started: bool) -> Settings:
    """Bi-level evolution alone: for tasks where even a poor agent's return tells good candidates from bad ones."""
    # Small enough to step faster than Gymnasium's own vectorised CartPole.
    small = {"hidden": [16], "transition_hidden": [16], "activation": "relu", **HORIZON}
    return {
        "environment": {"kind": kind, **(small if kind == "mdp" else {})},
        "stages": _stages(kind, {"name": "bilevel", "sigma": 0.1, "validations": 5}),
        "minutes": 10.0,
    }


def _warm(kind: str, started: bool, population: int = 64) -> Settings:
    """The greedy warm start first, unless it starts from a file: where an agent trained at random learns nothing at all."""
    greedy = {"name": "greedy", "sigma": 0.3, "parts": ["reward"], "validations": 6, "population": population}
    bilevel = {"name": "bilevel", "sigma": 0.05, "validations": 5, "population": population}
    own = {"mdp": {**HORIZON, "episode_steps": 3}, "reward": {"regret": True}}
    return {
        "environment": {"kind": kind, "jitter": 0.2, **own.get(kind, {})},
        "agents": {"validation_seeds": 3},
        "stages": _stages(kind, *([] if started else [greedy]), bilevel),
        "minutes": 10.0,
    }


def _narrow(kind: str, started: bool) -> Settings:
    """Warm, for tasks where one path leads to the goal: initial states stay close to it, and are many."""
    preset = _warm(kind, started)
    return {**preset, "environment": {**preset["environment"], "exploration": 0.1, "centres": 256}}


def _wide(kind: str, started: bool) -> Settings:
    """Warm, for continuous actions that swing from bound to bound: a far-reaching search, and many wide initial states."""
    preset = _warm(kind, started)
    stages = [{**stage, "sigma": 1.0} if stage["name"] == "greedy" else stage for stage in preset["stages"]]
    environment = {**preset["environment"], "jitter": 0.3, "centres": 512}
    return {**preset, "environment": environment, "stages": stages}


def _walker(kind: str, started: bool) -> Settings:
    """Warm, with few and cheap real episodes, as a step of MuJoCo is slow and its returns vary little."""
    agents = {"names": ["ppo", "td3"], "episodes": 1, "validation_seeds": 2, "validation_episodes": 4}
    return {**_warm(kind, started, population=32), "agents": agents}


GENERAL: Preset = _warm
"""What a task without a preset of its own starts from."""

PRESETS: dict[str, dict[str, Preset]] = {
    "fast": {
        "CartPole-v1": _from_scratch,
        "Acrobot-v1": _warm,
        "MountainCar-v0": _narrow,
        "Pendulum-v1": _wide,
        "LunarLander-v3": _warm,
        "HalfCheetah-v5": _walker,
        "Hopper-v5": _walker,
    }
}

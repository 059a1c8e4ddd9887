"""Small, valid, random environments of every form and action type, and data streams of every order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from gtn_envs import DataStream, make_stream

OBSERVATIONS = {
    "CartPole-v1": gym.make("CartPole-v1").observation_space,
    "Pendulum-v1": gym.make("Pendulum-v1").observation_space,
    "Grid-v0": spaces.Box(np.float64(-0.7), np.float64(np.pi), (2, 3), np.float64),
}
"""By task: one with discrete actions, one with a Box, one invented: float64, not flat, bounds inexact in float32."""
ACTIONS: dict[str, spaces.Space[Any]] = {
    "CartPole-v1": spaces.Discrete(2),
    "Pendulum-v1": spaces.Box(-2.0, 2.0, (1,), np.float32),
    "Grid-v0": spaces.Discrete(3, start=5),
}
HIDDEN = {"transition": (16,), "reward": (16,), "termination": (8,)}


def mlp(rng: np.random.Generator, name: str, sizes: list[int], gain: float = 0.5) -> dict[str, np.ndarray]:
    tensors = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        tensors[f"{name}.{i}.weight"] = rng.normal(0, gain / np.sqrt(inputs), (inputs, outputs)).astype(np.float32)
        tensors[f"{name}.{i}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    return tensors


def environment(
    form: str = "mdp",
    task: str = "CartPole-v1",
    seed: int = 0,
    termination: bool = True,
    hidden: dict[str, tuple[int, ...]] = HIDDEN,
    **fields: Any,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the tensors and the document of a random environment whose states stay near where they start."""
    rng = np.random.default_rng(seed)
    d = int(np.prod(OBSERVATIONS[task].shape))
    actions = ACTIONS[task]
    m = int(actions.n) if isinstance(actions, spaces.Discrete) else int(np.prod(actions.shape))
    tensors = {
        "observation.mean": rng.normal(0, 0.05, d).astype(np.float32),
        "observation.std": rng.uniform(0.2, 0.6, d).astype(np.float32),
    }
    document = {
        "form": form,
        "task": task,
        "observation_space": OBSERVATIONS[task],
        "action_space": actions,
        "activation": "tanh",
        "stages": [{"form": form, "seed": seed}],
        "metrics": {"return": 1.5},
        **fields,
    }
    potential = document.get("reward_mode") == "potential"
    if form != "reward":
        tensors["initial.means"] = rng.normal(0, 0.3, (5, d)).astype(np.float32)
        tensors["initial.log_std"] = rng.normal(-2, 0.1, d).astype(np.float32)
        document.setdefault("max_episode_steps", 20 if form == "mdp" else 1)
    else:
        document.setdefault("reward_mode", "state-action")
    reads_action = document.get("reward_reads_action", False)
    sizes = [d + m if reads_action else d, *hidden["reward"], 1 if potential or reads_action else m]
    tensors |= mlp(rng, "reward", sizes)
    if not potential:
        tensors["reward.scale"] = np.float32(1.7)
    if form == "mdp":
        tensors |= mlp(rng, "transition", [d + m, *hidden["transition"], d])
        if termination:
            tensors |= mlp(rng, "termination", [d, *hidden["termination"], 1], gain=4.0)
            tensors[f"termination.{len(hidden['termination'])}.bias"] -= 0.4
    return tensors, document


VARIANTS: dict[str, dict[str, Any]] = {
    "GTN-TestDiscrete-v0": {"task": "CartPole-v1"},
    "GTN-TestBox-v0": {"task": "Pendulum-v1", "activation": "relu", "seed": 1},
    "GTN-TestGrid-v0": {"task": "Grid-v0", "seed": 2},
    "GTN-TestEndless-v0": {"task": "CartPole-v1", "termination": False, "seed": 3},
    "GTN-TestUnequal-v0": {
        "task": "CartPole-v1",
        "seed": 4,
        "hidden": {"transition": (12, 10), "reward": (), "termination": ()},
    },
    "GTN-TestDeep-v0": {
        "task": "Pendulum-v1",
        "seed": 5,
        "hidden": {"transition": (12, 10), "reward": (6, 5), "termination": (4, 4)},
    },
    "GTN-TestLinear-v0": {
        "task": "CartPole-v1",
        "activation": "relu",
        "seed": 12,
        "hidden": {"transition": (), "reward": (16,), "termination": (8,)},
    },
    "GTN-TestHorizon-v0": {"task": "CartPole-v1", "seed": 13, "regret": True, "limit_terminates": True},
    "GTN-TestShortHorizon-v0": {
        "task": "Pendulum-v1",
        "seed": 14,
        "termination": False,
        "limit_terminates": True,
        "max_episode_steps": 4,
    },
    "GTN-TestRegretBandit-v0": {"form": "bandit", "task": "CartPole-v1", "seed": 15, "regret": True},
    "GTN-TestBandit-v0": {"form": "bandit", "task": "CartPole-v1", "seed": 6},
    "GTN-TestBoxBandit-v0": {"form": "bandit", "task": "Pendulum-v1", "seed": 7},
    "GTN-TestActionReward-v0": {"task": "Pendulum-v1", "seed": 19, "reward_reads_action": True},
    "GTN-TestDiscreteActionReward-v0": {"task": "CartPole-v1", "seed": 21, "reward_reads_action": True},
    "GTN-TestDiscreteActionRewardBandit-v0": {
        "form": "bandit",
        "task": "CartPole-v1",
        "seed": 23,
        "reward_reads_action": True,
    },
    "GTN-TestActionRewardBandit-v0": {
        "form": "bandit",
        "task": "Pendulum-v1",
        "seed": 17,
        "reward_reads_action": True,
        "hidden": {"reward": ()},
    },
}
REWARDS: dict[str, dict[str, Any]] = {
    "GTN-TestReward-v0": {"form": "reward", "task": "CartPole-v1", "seed": 8},
    "GTN-TestBoxReward-v0": {"form": "reward", "task": "Pendulum-v1", "seed": 9},
    "GTN-TestActionRewardAlone-v0": {"form": "reward", "task": "Pendulum-v1", "seed": 18, "reward_reads_action": True},
    "GTN-TestPotential-v0": {
        "form": "reward",
        "task": "CartPole-v1",
        "seed": 10,
        "reward_mode": "potential",
        "gamma": 0.99,
    },
}


def stream(
    steps: int = 4,
    batch: int = 6,
    shape: tuple[int, int, int] = (8, 8, 1),
    soft: bool = True,
    seed: int = 0,
    **fields: Any,
) -> DataStream:
    """Returns a data stream of random images in three classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (steps, batch, *shape), dtype=np.uint8)
    logits = rng.normal(0, 1 if soft else 1000, (steps, batch, 3))
    labels = np.exp(logits - logits.max(-1, keepdims=True))
    labels /= labels.sum(-1, keepdims=True)
    names, statistics = ["ant", "bee", "cat"], {"mean": [0.4] * shape[-1], "std": [0.2] * shape[-1]}
    return make_stream(images, labels, {"task": "animals", "class_names": names, **statistics, **fields})


STREAMS: dict[str, dict[str, Any]] = {
    "GTN-TestStream-v0": {"seed": 20},
    "GTN-TestBatchesStream-v0": {"seed": 21, "order": "shuffled-batches", "soft": False, "steps": 3, "batch": 7},
    "GTN-TestShuffledStream-v0": {"seed": 22, "order": "all-shuffled", "shape": (5, 4, 3)},
}
REAL_STREAM = "GTN-Digits-Real-v0"  # the only real data set that needs no download


def singles(id: str, count: int, **arguments: Any) -> list[Callable[[], gym.Env[Any, Any]]]:
    """Returns the constructors of single environments that match the ``count`` copies of a vector environment."""
    if id in (*STREAMS, REAL_STREAM):
        return [lambda i=i: gym.make(id, share=(i, count), **arguments) for i in range(count)]  # type: ignore[misc]
    return [lambda: gym.make(id, **arguments)] * count

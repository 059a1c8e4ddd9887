"""The three ways to choose an agent's hyper-parameters in a transfer study: default, varied, tuned."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.config import read_yaml
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_rl.transfer.algorithms import Algorithm
from gtn_rl.transfer.zoo import select

SETTINGS = ("default", "varied", "tuned")

TUNED = Path(__file__).with_name("tuned.yaml")

WIDTHS: dict[str, Any] = {
    **{name: [64, 64] for name in ("ppo", "a2c", "trpo", "ppo_lstm", "dqn", "qrdqn", "ars")},
    **{name: [256, 256] for name in ("sac", "tqc")},
    **{name: [400, 300] for name in ("td3", "ddpg")},
    "crossq": {"pi": [256, 256], "qf": [1024, 1024]},
}
"""Hidden layers that each algorithm's MLP policy has by default."""

SPREAD = 3.0  # varied settings lie between a third and three times the default


def hyperparameters(kind: str, entry: Algorithm, tasks: Sequence[str], streams: Streams, index: int) -> dict[str, Any]:
    """Returns the hyper-parameters of one agent, in rl-zoo3's form (JSON values).

    Args:
        kind: ``default``: what Stable-Baselines3 does when told nothing. ``varied``: learning rate, batch size and width
            each times a factor log-uniform in [1/3, 3], and one layer fewer, as many, or one more. ``tuned``: what
            ``tuned.yaml`` says.
        entry: The algorithm.
        tasks: Names of the task, for ``tuned``, the best first.
        streams: Where the varied settings are drawn.
        index: The agent's number, which selects its draws.

    Raises:
        UsageError: ``tuned.yaml`` has nothing for the algorithm.
    """
    if kind == "tuned":
        content = read_yaml(TUNED)
        if entry.name not in content:
            raise UsageError(f"there are no tuned settings of {entry.name}; there are of: {', '.join(content)}")
        return select(content, entry.name, tasks, TUNED.name)
    return _varied(entry, streams.numpy(f"settings/varied/{entry.name}", index)) if kind == "varied" else {}


def _varied(entry: Algorithm, random: np.random.Generator) -> dict[str, Any]:
    rate, batch, width = np.exp(random.uniform(-np.log(SPREAD), np.log(SPREAD), size=3))
    deeper = int(random.integers(-1, 2))
    defaults = inspect.signature(entry.load()).parameters
    drawn: dict[str, Any] = {"learning_rate": float(defaults["learning_rate"].default * rate)}
    for name in ("batch_size", "n_steps"):  # A2C's batch is what it collects
        if name in defaults:
            drawn[name] = max(1, round(defaults[name].default * batch))
            break
    drawn["policy_kwargs"] = {"net_arch": _architecture(WIDTHS[entry.name], width, deeper)}
    return drawn


def _architecture(base: Any, width: float, deeper: int) -> Any:
    """Scales the widths, and drops the last layer or repeats it."""
    if isinstance(base, Mapping):
        return {name: _architecture(part, width, deeper) for name, part in base.items()}
    layers = [max(1, round(units * width)) for units in base]
    return layers[:-1] if deeper < 0 else layers + layers[-1:] * deeper

"""Hyper-parameters drawn around an algorithm's defaults: learning rate, batch size, width and depth."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from gtn_rl.sb3.algorithms import Algorithm

WIDTHS: dict[str, Any] = {
    **{name: [64, 64] for name in ("ppo", "a2c", "trpo", "ppo_lstm", "dqn", "qrdqn", "ars")},
    **{name: [256, 256] for name in ("sac", "tqc")},
    **{name: [400, 300] for name in ("td3", "ddpg")},
    "crossq": {"pi": [256, 256], "qf": [1024, 1024]},
}
"""Default hidden widths of each algorithm's MLP policy."""

SPREAD = 3.0
"""Varied settings lie between a third of the default and three times the default."""


def varied(entry: Algorithm, random: np.random.Generator) -> dict[str, Any]:
    """Draws keyword arguments of an algorithm's class, all of them JSON values.

    Learning rate, batch size and width are the defaults times one log-uniform factor in [1/3, 3] each; there is one
    hidden layer fewer, the same number, or one more.

    Raises:
        GTNError: The algorithm's package is not installed.
    """
    rate, batch, width = np.exp(random.uniform(-np.log(SPREAD), np.log(SPREAD), size=3))
    deeper = int(random.integers(-1, 2))
    defaults = inspect.signature(entry.load()).parameters
    drawn: dict[str, Any] = {"learning_rate": float(defaults["learning_rate"].default * rate)}
    for name in ("batch_size", "n_steps"):  # A2C's batch is its rollout
        if name in defaults:
            drawn[name] = max(1, round(defaults[name].default * batch))
            break
    drawn["policy_kwargs"] = {"net_arch": _architecture(WIDTHS[entry.name], width, deeper)}
    return drawn


def _architecture(base: Any, width: float, deeper: int) -> Any:
    """Scales the widths, and drops or repeats the last layer."""
    if isinstance(base, Mapping):
        return {name: _architecture(part, width, deeper) for name, part in base.items()}
    layers = [max(1, round(units * width)) for units in base]
    return layers[:-1] if deeper < 0 else layers + layers[-1:] * deeper

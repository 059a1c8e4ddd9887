"""The three ways to choose an agent's hyper-parameters in a transfer study: default, varied, tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtn_core.config import read_yaml
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_rl.sb3.algorithms import Algorithm
from gtn_rl.sb3.variation import varied
from gtn_rl.transfer.zoo import select

SETTINGS = ("default", "varied", "tuned")

TUNED = Path(__file__).with_name("tuned.yaml")


def hyperparameters(kind: str, entry: Algorithm, tasks: Sequence[str], streams: Streams, index: int) -> dict[str, Any]:
    """Returns the hyper-parameters of one agent, in rl-zoo3's form (JSON values).

    Args:
        kind: ``default``: the defaults of Stable-Baselines3. ``varied``: drawn around these (``gtn_rl.sb3.variation``).
            ``tuned``: from ``tuned.yaml``.
        entry: The algorithm.
        tasks: Names of the task to look up for ``tuned``, best first.
        streams: Random streams for the varied settings.
        index: The agent's number, which selects its draws.

    Raises:
        UsageError: ``tuned.yaml`` has nothing for the algorithm, or nothing for any name of the task.
    """
    if kind == "tuned":
        content = read_yaml(TUNED)
        if entry.name not in content:
            raise UsageError(f"no tuned settings for {entry.name}; available for: {', '.join(content)}")
        return select(content, entry.name, tasks, TUNED.name)
    return varied(entry, streams.numpy(f"settings/varied/{entry.name}", index)) if kind == "varied" else {}

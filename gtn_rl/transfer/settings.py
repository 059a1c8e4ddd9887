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

TUNED = Path(__file__).with_name("tuned")
"""Folder of the tuned settings: one file per algorithm, which rl-zoo3 reads, too."""


def hyperparameters(kind: str, entry: Algorithm, tasks: Sequence[str], streams: Streams, index: int) -> dict[str, Any]:
    """Returns the hyper-parameters of one agent, in rl-zoo3's form (JSON values).

    Args:
        kind: ``default``: the defaults of Stable-Baselines3. ``varied``: drawn around these (``gtn_rl.sb3.variation``).
            ``tuned``: from ``tuned_file``.
        entry: The algorithm.
        tasks: Names of the task to look up for ``tuned``, best first.
        streams: Random streams for the varied settings.
        index: The agent's number, which selects its draws.

    Raises:
        UsageError: There are no tuned settings for the algorithm, or none for any name of the task.
    """
    if kind == "tuned":
        file = tuned_file(entry)
        return select(read_yaml(file), entry.name, tasks, str(file))
    return varied(entry, streams.numpy(f"settings/varied/{entry.name}", index)) if kind == "varied" else {}


def tuned_file(entry: Algorithm) -> Path:
    """Returns the file of an algorithm's tuned settings, by task.

    Raises:
        UsageError: There is none.
    """
    file = TUNED / f"{entry.name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(other.stem for other in TUNED.glob("*.yaml")))
        raise UsageError(f"no tuned settings for {entry.name}; available for: {known}")
    return file

"""What the user said of a meta-training beside the settings of its config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Given:
    """The options that are no settings of the config, or go before them.

    Attributes:
        minutes: Budget, or ``None``.
        iterations: Budget, or ``None``.
        seed: Root of randomness, or ``None``.
        threads: CPU threads, or ``None``.
        device: Where, or ``None``.
        data_dir: Folder of image files, or ``None``; supervised only.
        kind: Kind of environment, or ``None``; reinforcement learning only.
        estimator: Estimator of the outer gradient, or ``None``; reinforcement learning only.
        start: A teacher or environment to start from, or ``None``.
    """

    minutes: float | None = None
    iterations: int | None = None
    seed: int | None = None
    threads: int | None = None
    device: str | None = None
    data_dir: Path | None = None
    kind: str | None = None
    estimator: str | None = None
    start: str | None = None

    @property
    def budget(self) -> dict[str, Any]:
        """Returns the budget, if one was given.

        Raises:
            UsageError: Two were.
        """
        if self.minutes is not None and self.iterations is not None:
            raise UsageError("give one budget: either --iterations or --minutes")
        return only_given({"minutes": self.minutes, "iterations": self.iterations})


def only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries that hold something."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


def refuse(given: Mapping[str, Any], why: str) -> None:
    """Raises UsageError where something was given that has no meaning for this kind of meta-training."""
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise UsageError(f"{', '.join(extra)} has no meaning here: {why}")

"""Options of a meta-training that are not settings of its config or override them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Given:
    """The command's own options; ``None`` where an option was not given.

    Attributes:
        minutes: Budget in minutes.
        iterations: Budget in outer steps.
        seed: Root seed.
        threads: CPU threads.
        device: Device to compute on.
        data_dir: Folder of the image files; images only.
        kind: Kind of environment; environments only.
        estimator: Estimator of the outer gradient; environments only.
        start: Teacher or environment to start from.
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
        """The budget, ``{"minutes": ...}`` or ``{"iterations": ...}``; empty if none was given.

        Raises:
            UsageError: Both were given.
        """
        if self.minutes is not None and self.iterations is not None:
            raise UsageError("give one budget: either --iterations or --minutes")
        return only_given({"minutes": self.minutes, "iterations": self.iterations})


def only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries that are neither ``None`` nor an empty dictionary."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


def refuse(given: Mapping[str, Any], why: str) -> None:
    """Raises UsageError if any of these options was given, since it has no meaning for this kind of meta-training."""
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise UsageError(f"{', '.join(extra)} does not apply here: {why}")

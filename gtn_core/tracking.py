"""Curves and pictures of a run: ``metrics.jsonl`` for programs, TensorBoard events for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from gtn_core.errors import GTNError
from gtn_core.run_folder import RunFolder

Picture = NDArray[np.uint8]
"""An RGB picture, shape ``(height, width, 3)``."""


class Tracker(Protocol):
    """Takes what a run has to show."""

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Takes values by tag, e.g. ``"real/validation_accuracy"``."""

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """Takes a picture, shape ``(height, width, 3)``."""

    def close(self) -> None:
        """Writes what is still held back."""


class NoTracker:
    """Shows nothing: for the processes beside the first."""

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Does nothing."""

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class RunTracker:
    """Writes to a run folder.

    Args:
        run: The folder.
        after: Iteration that a resumed run continues after; later entries are dropped, as they will come again. ``None`` starts
            from nothing.
        settings: The resolved config, shown as TensorBoard's hyper-parameters.
    """

    def __init__(self, run: RunFolder, *, after: int | None = None, settings: Mapping[str, Any] | None = None) -> None:
        try:
            run.drop_metrics_after(-1 if after is None else after)
            self._rows = run.metrics.open("a", encoding="utf-8")
            self._writer = SummaryWriter(str(run.tensorboard), purge_step=0 if after is None else after + 1)
        except OSError as error:
            raise GTNError(f"cannot write to {run.path}: {error.strerror}") from error
        if settings and after is None:
            text = "\n".join(f"- `{key}`: {value}" for key, value in flatten(settings).items())
            self._writer.add_text("hyperparameters", text)

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """See ``Tracker.scalars``."""
        try:
            self._rows.write(json.dumps({"iteration": iteration, **values}) + "\n")
            self._rows.flush()
        except OSError as error:
            raise GTNError(f"cannot write {self._rows.name}: {error.strerror}") from error
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, iteration)

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """See ``Tracker.picture``."""
        self._writer.add_image(tag, picture, iteration, dataformats="HWC")

    def close(self) -> None:
        """See ``Tracker.close``."""
        try:
            self._rows.close()
        finally:
            self._writer.close()


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings as one dictionary of dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat

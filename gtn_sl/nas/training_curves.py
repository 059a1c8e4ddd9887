"""Logging of one long training to TensorBoard and ``metrics.jsonl``: loss, learning rate and final accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.run_folder import RunFolder
from gtn_core.tracking import RunTracker
from gtn_sl.nas.final_training import Trained

EVERY = 25
"""Steps per point of the curves; the loss is averaged over them."""


class TrainingCurves:
    """Logs the steps of one training.

    Args:
        folder: Folder of this training; curves of an earlier attempt are replaced.
        settings: Settings of the training, as JSON values.

    Raises:
        GTNError: The files cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._tracker = RunTracker(RunFolder(folder), settings=settings)
        self._steps: list[tuple[float, float]] = []  # loss and learning rate of each since the last point

    def add(self, step: int, loss: float, lr: float) -> None:
        """Logs a step; see ``final_training.AfterStep``."""
        self._steps.append((loss, lr))
        if len(self._steps) == EVERY:
            self._point(step)

    def end(self, trained: Trained) -> None:
        """Logs the last steps, and the accuracies of the trained network."""
        if self._steps:
            self._point(trained.steps)
        accuracies = {"real/validation_accuracy": trained.validation, "real/test_accuracy": trained.test}
        self._tracker.scalars(trained.steps, accuracies)

    def _point(self, step: int) -> None:
        losses, rates = zip(*self._steps, strict=True)
        self._tracker.scalars(step, {"train/loss": float(np.mean(losses)), "train/lr": rates[-1]})
        self._steps.clear()

    def close(self) -> None:
        """Flushes and closes the files."""
        self._tracker.close()

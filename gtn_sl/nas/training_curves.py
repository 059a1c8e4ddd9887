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
        self._losses: list[float] = []
        self._lr = 0.0

    def add(self, step: int, loss: float, lr: float) -> None:
        """Logs a step; see ``final_training.AfterStep``."""
        self._losses.append(loss)
        self._lr = lr
        if len(self._losses) == EVERY:
            self._point(step)

    def end(self, trained: Trained) -> None:
        """Logs the last steps, and the accuracies of the trained network."""
        if self._losses:
            self._point(trained.steps)
        accuracies = {"real/validation_accuracy": trained.validation, "real/test_accuracy": trained.test}
        self._tracker.scalars(trained.steps, accuracies)

    def _point(self, step: int) -> None:
        self._tracker.scalars(step, {"train/loss": float(np.mean(self._losses)), "train/lr": self._lr})
        self._losses.clear()

    def close(self) -> None:
        """Flushes and closes the files."""
        self._tracker.close()

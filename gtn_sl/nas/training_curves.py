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

    def add(self, step: int, loss: float, lr: float) -> None:
        """Logs a step; see ``final_training.AfterStep``."""
        self._losses.append(loss)
        if len(self._losses) == EVERY:
            self._tracker.scalars(step, {"train/loss": float(np.mean(self._losses)), "train/lr": lr})
            self._losses.clear()

    def end(self, trained: Trained) -> None:
        """Logs the accuracies of the trained network."""
        accuracies = {"real/validation_accuracy": trained.validation, "real/test_accuracy": trained.test}
        self._tracker.scalars(trained.steps, accuracies)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._tracker.close()

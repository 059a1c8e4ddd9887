"""One long training in TensorBoard and as ``metrics.jsonl``: loss and learning rate as it goes, accuracies at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.run_folder import RunFolder
from gtn_core.tracking import RunTracker
from gtn_sl.nas.final_training import Trained

EVERY = 25
"""Steps that a point of the curves is the mean of."""


class TrainingCurves:
    """Takes the steps of one training.

    Args:
        folder: Of this training alone; curves of an earlier try are replaced.
        settings: How it is trained, as JSON values.

    Raises:
        GTNError: The files cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._tracker = RunTracker(RunFolder(folder), settings=settings)
        self._losses: list[float] = []

    def add(self, step: int, loss: float, lr: float) -> None:
        """Takes a step; see ``final_training.AfterStep``."""
        self._losses.append(loss)
        if len(self._losses) == EVERY:
            self._tracker.scalars(step, {"train/loss": float(np.mean(self._losses)), "train/lr": lr})
            self._losses.clear()

    def end(self, trained: Trained) -> None:
        """Takes what came of it."""
        accuracies = {"real/validation_accuracy": trained.validation, "real/test_accuracy": trained.test}
        self._tracker.scalars(trained.steps, accuracies)

    def close(self) -> None:
        """Writes what is still held back."""
        self._tracker.close()

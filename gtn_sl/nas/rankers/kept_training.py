"""Training that a ranker does once for all architectures: kept as a file, so that it goes on where it stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from gtn_core.checkpoint import load_checkpoint, load_document, save_checkpoint
from gtn_core.errors import CheckpointError
from gtn_core.folder import make_folder

log = logging.getLogger(__name__)

KIND = "prepared-ranker"
FILE = "prepared.safetensors"

SAVE_EVERY = 30.0
"""CPU-seconds between two files."""


class Training(Protocol):
    """What is trained, step by step; a step is a function of its number and of the state before it.

    Attributes:
        steps: How many there are.
    """

    steps: int

    def step(self, number: int) -> float:
        """Takes a step; returns its loss."""

    def state(self) -> dict[str, Tensor]:
        """Returns everything that the next step depends on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to a state."""


def train_kept(training: Training, title: str, folder: Path | None) -> None:
    """Takes the steps that a folder does not hold already; a damaged file counts as none, and it is said.

    Args:
        training: What is trained.
        title: What to call it.
        folder: Where the state is kept; ``None`` keeps nothing.

    Raises:
        DivergedError: A loss is not finite.
        GTNError: The file cannot be written.
    """
    done, before = _restore(training, folder)
    if done:
        log.info("%s: goes on after step %d of %d", title, done, training.steps)
    started = saved = time.process_time()
    for number in range(done, training.steps):
        loss = training.step(number)
        last, now = number + 1 == training.steps, time.process_time()
        if last or now - saved >= SAVE_EVERY:
            log.info("%s: step %d of %d, loss %.3f", title, number + 1, training.steps, loss)
            _save(training, number + 1, before + now - started, folder)
            saved = now


def spent_on(folder: Path) -> float:
    """Returns the CPU-seconds of the training that a folder holds."""
    try:
        return float(load_document(folder / FILE, KIND)["cpu_seconds"])
    except (CheckpointError, KeyError):
        return 0.0


def _restore(training: Training, folder: Path | None) -> tuple[int, float]:
    """Returns the steps that are done, and the CPU-seconds that they took."""
    if folder is None or not (folder / FILE).exists():
        return 0, 0.0
    try:
        state, document = load_checkpoint(folder / FILE, KIND)
        steps, seconds = int(document["steps"]), float(document["cpu_seconds"])
        training.restore(state)
    except (CheckpointError, KeyError) as error:
        log.warning("%s is damaged and left out, so that it is made again: %s", folder / FILE, error)
        return 0, 0.0
    return steps, seconds


def _save(training: Training, steps: int, cpu_seconds: float, folder: Path | None) -> None:
    if folder is None:
        return
    make_folder(folder)
    document = {"kind": KIND, "steps": steps, "cpu_seconds": cpu_seconds}
    save_checkpoint(folder / FILE, training.state(), document)

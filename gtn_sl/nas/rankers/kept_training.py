"""Training that a ranker does once for all architectures, checkpointed so that it can be resumed."""

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
"""CPU-seconds between checkpoints."""


class Training(Protocol):
    """A training in steps, each a deterministic function of its number and the state before it.

    Attributes:
        steps: Number of steps.
    """

    steps: int

    def step(self, number: int) -> float:
        """Takes a step and returns its loss.

        Raises:
            DivergedError: The loss is not finite.
        """

    def state(self) -> dict[str, Tensor]:
        """Returns everything that the next step depends on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores a state.

        Raises:
            CheckpointError: The state does not fit.
        """


def train_kept(training: Training, title: str, folder: Path | None) -> None:
    """Trains to the end, resuming from the folder's checkpoint; a damaged one is ignored with a warning.

    Args:
        training: The training.
        title: Name of the training in log messages.
        folder: Folder of the checkpoint; ``None`` keeps none.

    Raises:
        DivergedError: A loss is not finite.
        GTNError: The checkpoint cannot be written.
    """
    done, before = _restore(training, folder)
    if done:
        log.info("%s: resuming after step %d of %d", title, done, training.steps)
    started = saved = time.process_time()
    for number in range(done, training.steps):
        loss = training.step(number)
        last, now = number + 1 == training.steps, time.process_time()
        if last or now - saved >= SAVE_EVERY:
            log.info("%s: step %d of %d, loss %.3f", title, number + 1, training.steps, loss)
            _save(training, number + 1, before + now - started, folder)
            saved = now


def spent_on(folder: Path) -> float:
    """Returns the CPU-seconds spent up to a folder's checkpoint; 0 if there is none or it is damaged."""
    try:
        return float(load_document(folder / FILE, KIND)["cpu_seconds"])
    except (CheckpointError, KeyError):
        return 0.0


def _restore(training: Training, folder: Path | None) -> tuple[int, float]:
    """Returns the number of finished steps and their CPU-seconds."""
    if folder is None or not (folder / FILE).exists():
        return 0, 0.0
    try:
        state, document = load_checkpoint(folder / FILE, KIND)
        steps, seconds = int(document["steps"]), float(document["cpu_seconds"])
        training.restore(state)
    except (CheckpointError, KeyError) as error:
        log.warning("%s is damaged; ignoring it and regenerating: %s", folder / FILE, error)
        return 0, 0.0
    return steps, seconds


def _save(training: Training, steps: int, cpu_seconds: float, folder: Path | None) -> None:
    if folder is None:
        return
    make_folder(folder)
    document = {"kind": KIND, "steps": steps, "cpu_seconds": cpu_seconds}
    save_checkpoint(folder / FILE, training.state(), document)

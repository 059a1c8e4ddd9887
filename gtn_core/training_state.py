"""The state that a resumed run continues from: teacher, outer optimizer, estimator and counters in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gtn_core.checkpoint import load_document, load_into, pack_optimizer, save_checkpoint, unpack_optimizer
from gtn_core.distributed import World
from gtn_core.distributed.files import read_first
from gtn_core.errors import CheckpointError
from gtn_core.estimators import Estimator, Teacher
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder

KIND = "training-state"

EstimatorState = tuple[Mapping[str, torch.Tensor], Mapping[str, Any]]
"""What ``Estimator.state`` returns: tensors, and JSON values."""


def save_state(
    run: RunFolder,
    teacher: Teacher,
    optimizer: torch.optim.Optimizer,
    estimator: EstimatorState,
    progress: Mapping[str, Any],
) -> None:
    """Writes a run's state, replacing the previous one.

    Args:
        run: The run folder.
        teacher: The teacher.
        optimizer: The outer optimizer.
        estimator: The estimator's state.
        progress: The loop's counters, JSON values.

    Raises:
        GTNError: The state cannot be written; the previous one is unchanged.
    """
    moments, values = pack_optimizer(optimizer)
    own, counters = estimator
    parts = {"teacher": teacher.state_dict(), "optimizer": moments, "estimator": own}
    tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    document = {"kind": KIND, "optimizer": values, "estimator": counters, "progress": dict(progress)}
    save_checkpoint(run.state, tensors, document)


def load_state(
    world: World, run: RunFolder, teacher: Teacher, optimizer: torch.optim.Optimizer, estimator: Estimator
) -> Progress:
    """Restores teacher, optimizer and estimator from the saved state on every process; process 0 reads it.

    Returns:
        The run's progress.

    Raises:
        CheckpointError: There is no state, or it belongs to another run.
    """
    tensors, document = read_first(world, run.state, KIND)

    def part(name: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}

    load_into(teacher, part("teacher"), run.state)
    try:
        unpack_optimizer(optimizer, part("optimizer"), document["optimizer"])
        estimator.load_state(part("estimator"), document["estimator"])
        return Progress.of(document["progress"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{run.state} is not a saved state of this kind of run: {error}") from error


def saved_progress(run: RunFolder) -> Progress:
    """Returns the progress of the saved state, from which a resumed run would continue.

    Raises:
        CheckpointError: There is no state, or the file is not one.
    """
    document = load_document(run.state, KIND)
    try:
        return Progress.of(document["progress"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{run.state} does not record the run's progress: {error}") from error

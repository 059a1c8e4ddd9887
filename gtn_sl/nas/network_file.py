"""A trained network of a search space as one ``.safetensors`` file: its architecture stands in the header."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gtn_core.checkpoint import load_checkpoint, load_into, save_checkpoint
from gtn_core.errors import CheckpointError, GTNError
from gtn_sl.data import TASKS, ImageTask
from gtn_sl.nas.candidate import Candidate, find_candidate

KIND = "network"


@dataclass(frozen=True)
class NetworkFile:
    """A trained network.

    Attributes:
        module: In evaluation mode, with the statistics that it was tested with.
        candidate: Its architecture.
        task: What it classifies.
        metrics: How good it is.
    """

    module: nn.Module
    candidate: Candidate
    task: ImageTask
    metrics: Mapping[str, Any]


def save_network(path: Path, module: nn.Module, candidate: Candidate, task: str, metrics: Mapping[str, Any]) -> None:
    """Writes a trained network.

    Args:
        path: A ``.safetensors`` file; an existing one is replaced in one step.
        module: The network.
        candidate: Its architecture.
        task: Name of what it classifies.
        metrics: JSON values.
    """
    document = {
        "kind": KIND,
        "architecture": f"{candidate.space.name}:{candidate.encoding}",
        "task": task,
        "metrics": dict(metrics),
        "version": importlib.metadata.version("generative-teaching-networks"),
    }
    save_checkpoint(path, module.state_dict(), document)


def load_network(path: str | Path) -> NetworkFile:
    """Reads a trained network.

    Raises:
        CheckpointError: The file is absent, damaged or foreign, or does not fit its own header.
    """
    path = Path(path)
    tensors, document = load_checkpoint(path, KIND)
    try:
        candidate, task = find_candidate(document["architecture"]), TASKS[document["task"]]
        metrics = document["metrics"]
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks {error}, or names what is unknown: {error}") from error
    except GTNError as error:
        raise CheckpointError(f"{path}: the header makes no network: {error}") from error
    module = candidate.module(task, 0)
    load_into(module, tensors, path)
    return NetworkFile(module.eval(), candidate, task, metrics)

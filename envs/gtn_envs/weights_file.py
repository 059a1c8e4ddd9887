"""Reads and writes a learned environment as one ``.safetensors`` file; a file is read once and fully validated."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gtn_envs.document_file import read_document, read_tensors, require_suffix, resolve, state_of, write
from gtn_envs.errors import WeightsError
from gtn_envs.valid_weights import Weights, make_weights, validate


def save_environment(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.ArrayLike], document: Mapping[str, Any]
) -> None:
    """Validates an environment and writes it, atomically replacing any file at ``path``.

    Args:
        path: Path of the file; it must end in ``.safetensors``.
        tensors: Tensors by their names in the format; stored as float32.
        document: See ``make_weights``.

    Raises:
        WeightsError: The path has another suffix, the environment is invalid, or the file cannot be written.
    """
    path = Path(path)
    require_suffix(path)
    weights = make_weights(tensors, document, path)
    write(path, weights.tensors, weights.document)


def load_environment(weights: str | os.PathLike[str] | Weights) -> Weights:
    """Reads and validates a file; an unchanged file is read only once and shared.

    Args:
        weights: Path of a ``.safetensors`` file or of a run folder, the name of a shipped environment, or an environment
            in memory, which is returned unchanged.

    Raises:
        WeightsError: One line that names the file and the problem: it is missing, truncated, not one of ours, or of
            another kind or format version; a field of the document is invalid; or a tensor is missing, unexpected, not
            finite, or of another shape or dtype.
    """
    if isinstance(weights, Weights):
        return weights
    path = resolve(weights)
    return _load(path, state_of(path))


@functools.lru_cache(maxsize=64)
def _load(path: Path, state: tuple[int, int, int]) -> Weights:
    """Reads ``path``; ``state`` only serves to notice a changed file."""
    return validate(path, read_document(path), read_tensors(path))


def load_playable(weights: str | os.PathLike[str] | Weights) -> Weights:
    """Reads an environment that can be stepped; see ``load_environment``.

    Raises:
        WeightsError: See ``load_environment``; or the file holds a reward for the real task.
    """
    loaded = load_environment(weights)
    if loaded.form == "reward":
        raise WeightsError(f"{loaded.source} is a reward for {loaded.task}, not an environment: use LearnedReward")
    return loaded

"""One learned environment, one ``.safetensors`` file: read once, validated whole."""

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
    """Validates an environment and writes it, replacing what stood at ``path`` in one step.

    Args:
        path: Where to.
        tensors: By the names of the format; stored as float32.
        document: As ``make_weights`` takes it.

    Raises:
        WeightsError: It is not a valid environment, or the file cannot be written.
    """
    path = Path(path)
    require_suffix(path)
    weights = make_weights(tensors, document, path)
    write(path, weights.tensors, weights.document)


def load_environment(weights: str | os.PathLike[str] | Weights) -> Weights:
    """Reads and validates a file; a file that has not changed is read once and shared.

    Args:
        weights: The path of a ``.safetensors`` file, the name of an environment that comes with the package, or an
            environment that is in memory already, which is returned as it is.

    Raises:
        WeightsError: One line that names the file and what is wrong: absent, truncated, foreign, another format or kind, a
            field of the document, or a tensor that is missing, left over, not finite, or of another shape or dtype.
    """
    if isinstance(weights, Weights):
        return weights
    path = resolve(weights)
    return _load(path, state_of(path))


@functools.lru_cache(maxsize=64)
def _load(path: Path, state: tuple[int, int, int]) -> Weights:
    """Reads ``path``; ``state`` only tells one state of the file from another."""
    return validate(path, read_document(path), read_tensors(path))


def load_playable(weights: str | os.PathLike[str] | Weights) -> Weights:
    """Returns what ``load_environment`` does, of an environment to play in.

    Raises:
        WeightsError: See ``load_environment``; or it is a reward for the real task.
    """
    loaded = load_environment(weights)
    if loaded.form == "reward":
        raise WeightsError(f"{loaded.source} is a reward for {loaded.task}, not an environment: use LearnedReward")
    return loaded

"""One file format for teachers, training states and learners: safetensors with one JSON document in the header.

Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gtn_core.errors import CheckpointError
from gtn_core.whole_file import replacing

FORMAT = 1
"""Version of the document's layout; readers reject a newer one."""

_KEY = "gtn"  # key of the document in the safetensors metadata


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON document to one file.

    Args:
        path: The file; an existing one is replaced atomically.
        tensors: Tensors by name; those that share memory are stored separately.
        document: What a reader needs to interpret the tensors; must hold ``kind``.

    Raises:
        GTNError: The file cannot be written.
    """
    metadata = {_KEY: json.dumps({"format": FORMAT, **document}, sort_keys=True)}
    plain = {name: _own_copy(tensor) for name, tensor in tensors.items()}
    with replacing(path) as file:
        file.write(save(plain, metadata))


def _own_copy(tensor: Tensor) -> Tensor:
    """Returns a contiguous copy on the CPU that shares no memory, since the format rejects tied weights."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def load_document(path: Path, kind: str) -> dict[str, Any]:
    """Reads the JSON document of a checkpoint without its tensors.

    Args:
        path: The file.
        kind: Expected kind of the file, e.g. ``"teacher"``.

    Raises:
        CheckpointError: The file is missing, truncated, not one of ours, of another kind, or of a newer format version.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise CheckpointError(f"{path} is not a GTN file: its safetensors header has no {_KEY!r} entry")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # also for an integer of thousands of digits
        raise CheckpointError(f"{path}: the header's {_KEY!r} entry is not JSON: {error}") from error
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise CheckpointError(f"{path}: the header's {_KEY!r} entry has no integer 'format'")
    if document["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {document['format']}, but this version reads at most {FORMAT}; upgrade it"
        )
    if document.get("kind") != kind:
        raise CheckpointError(f"{path} holds a {document.get('kind')!r}, not a {kind!r}")
    return document


def load_checkpoint(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads the tensors and document of a checkpoint; raises as ``load_document`` does."""
    document = load_document(path, kind)
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118 (not a mapping)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copies tensors into a module of the same architecture.

    Raises:
        CheckpointError: A tensor is missing, unexpected, or of another shape; the message names it.
    """
    expected = module.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"{path} lacks the tensor {name!r}")
        if name not in expected:
            raise CheckpointError(f"{path} holds the tensor {name!r}, which its architecture does not have")
        if tensors[name].shape != expected[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
            raise CheckpointError(f"{path}: tensor {name!r} has shape {found}, but its architecture needs {wanted}")
    module.load_state_dict(dict(tensors))


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Splits an optimizer's state into tensors and JSON values."""
    state = optimizer.state_dict()["state"]
    tensors = {f"{i}.{key}": v for i, slot in state.items() for key, v in slot.items() if isinstance(v, Tensor)}
    values = {f"{i}.{key}": v for i, slot in state.items() for key, v in slot.items() if not isinstance(v, Tensor)}
    return tensors, values


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """Restores the state that ``pack_optimizer`` returned; learning rates remain those of the given optimizer."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values}.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value.clone() if isinstance(value, Tensor) else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise CheckpointError(f"file {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        size = path.stat().st_size
        raise CheckpointError(f"{path} ({size:,} bytes) is truncated or not a safetensors file: {error}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error

"""Reads and writes a data stream as one ``.safetensors`` file; a file is read once and fully validated."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from gtn_envs.document_file import read_document, read_tensors, require_suffix, resolve, state_of, write
from gtn_envs.valid_stream import DataStream, validate_stream


def save_stream(path: str | os.PathLike[str], stream: DataStream) -> None:
    """Writes a stream, atomically replacing any file at ``path``.

    Args:
        path: Path of the file; it must end in ``.safetensors``.
        stream: The stream, e.g. from ``make_stream``.

    Raises:
        WeightsError: The path has another suffix, or the file cannot be written.
    """
    path = Path(path)
    require_suffix(path)
    write(path, stream.tensors, stream.document)


def load_stream(stream: str | os.PathLike[str] | DataStream) -> DataStream:
    """Reads and validates a file; an unchanged file is read only once and shared.

    Args:
        stream: Path of a ``.safetensors`` file, the name of a shipped stream, or a stream in memory, which is returned
            unchanged.

    Raises:
        WeightsError: One line that names the file and the problem: it is missing, truncated, not one of ours, or of
            another kind or format version; a field of the document is invalid; or a tensor is missing, unexpected, or
            has invalid values, shape or dtype.
    """
    if isinstance(stream, DataStream):
        return stream
    path = resolve(stream)
    return _load(path, state_of(path))


@functools.lru_cache(maxsize=16)
def _load(path: Path, state: tuple[int, int, int]) -> DataStream:
    """Reads ``path``; ``state`` only serves to notice a changed file."""
    return validate_stream(path, read_document(path), read_tensors(path))

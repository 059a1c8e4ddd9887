"""One data stream, one ``.safetensors`` file: read once, validated whole."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from gtn_envs.document_file import read_document, read_tensors, require_suffix, resolve, state_of, write
from gtn_envs.valid_stream import DataStream, validate_stream


def save_stream(path: str | os.PathLike[str], stream: DataStream) -> None:
    """Writes a stream, replacing what stood at ``path`` in one step.

    Args:
        path: Where to; it ends in ``.safetensors``.
        stream: What ``make_stream`` returns.

    Raises:
        WeightsError: The file cannot be written.
    """
    path = Path(path)
    require_suffix(path)
    write(path, stream.tensors, stream.document)


def load_stream(stream: str | os.PathLike[str] | DataStream) -> DataStream:
    """Reads and validates a file; a file that has not changed is read once and shared.

    Args:
        stream: The path of a ``.safetensors`` file, the name of a stream that comes with the package, or a stream that is in
            memory already, which is returned as it is.

    Raises:
        WeightsError: One line that names the file and what is wrong: absent, truncated, foreign, another format or kind, a
            field of the document, or a tensor that is missing, left over, or of other values, shape or dtype.
    """
    if isinstance(stream, DataStream):
        return stream
    path = resolve(stream)
    return _load(path, state_of(path))


@functools.lru_cache(maxsize=16)
def _load(path: Path, state: tuple[int, int, int]) -> DataStream:
    """Reads ``path``; ``state`` only tells one state of the file from another."""
    return validate_stream(path, read_document(path), read_tensors(path))

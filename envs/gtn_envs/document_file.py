"""Reads and writes files of this package of any kind: tensors, with a JSON document in the header. No pickle."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gtn_envs.document import check_kind
from gtn_envs.errors import WeightsError
from gtn_envs.shipped import SHIPPED, shipped_ids

_KEY = "gtn"  # key of the document in the safetensors metadata


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a file's document without its tensors; checks only its kind and format version.

    Args:
        path: A file, a run folder, or the name of a shipped environment or data stream.

    Raises:
        WeightsError: The file is missing, truncated, not one of ours, or of another kind or format version.
    """
    path = Path(path) if _is_file(Path(path)) else resolve(path)
    with _opened(path) as file:
        text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise WeightsError(f"{path} is not a GTN file: its safetensors header has no {_KEY!r} entry")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # also for an integer of thousands of digits
        raise WeightsError(f"{path}: the header's {_KEY!r} entry is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise WeightsError(f"{path}: the header's {_KEY!r} entry is a JSON {type(document).__name__}, not an object")
    check_kind(path, document)
    return document


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads all tensors of a file.

    Raises:
        WeightsError: The file is missing, truncated or not a safetensors file, or numpy lacks a tensor's dtype.
    """
    with _opened(path) as file:
        return {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def require_suffix(path: Path) -> None:
    """Raises ``WeightsError`` unless a path ends in ``.safetensors``, which tells paths from names."""
    if path.suffix != ".safetensors":
        raise WeightsError(f"the file {path} must end in .safetensors")


def write(path: Path, tensors: Mapping[str, npt.NDArray[Any]], document: Mapping[str, Any]) -> None:
    """Writes a file, atomically replacing any file at ``path``; the tensors must be in C order.

    Raises:
        WeightsError: The document cannot be encoded as JSON, or the file cannot be written.
    """
    try:
        text = json.dumps(document, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: the document cannot be written as JSON: {error}") from error
    _replace(path, save(dict(tensors), {_KEY: text}))


def file_in(path: Path) -> Path:
    """Returns the teacher's file if a path is a run folder that holds one, else the path itself."""
    inside = path / "teacher.safetensors"
    return inside if _is_file(inside) else path


def resolve(name: str | os.PathLike[str]) -> Path:
    """Returns the absolute path of a ``.safetensors`` file: the one named, a shipped one, or a run folder's.

    A shipped environment takes precedence over a run folder of its name.

    Raises:
        WeightsError: The name is neither the path of a file nor that of a run folder or of a shipped environment.
    """
    path = Path(name)
    if path.suffix == ".safetensors":
        if _is_file(path):
            return path.absolute()
        raise WeightsError(f"file {path} does not exist")
    named = path.parent == Path()
    shipped = SHIPPED / f"{os.fspath(name)}.safetensors"
    if named and _is_file(shipped):
        return shipped.absolute()
    inside = file_in(path)
    if inside != path:
        return inside.absolute()
    if not named:
        raise WeightsError(
            f"{path} is neither a .safetensors file, nor a run folder with a teacher.safetensors, nor a shipped environment"
        )
    near = difflib.get_close_matches(os.fspath(name), shipped_ids(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(shipped_ids()) or 'none'}"
    raise WeightsError(
        f"unknown shipped environment {os.fspath(name)!r} ({hint}); a file's path must end in .safetensors"
    )


def state_of(path: Path) -> tuple[int, int, int]:
    """Returns modification time, size and inode of a file, so that an unchanged file need not be read again.

    Raises:
        WeightsError: The file is missing.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # not a valid file name
        return False


def _tensor(path: Path, file: Any, name: str) -> npt.NDArray[Any]:
    try:
        tensor: npt.NDArray[Any] = file.get_tensor(name)
    except (TypeError, AttributeError) as error:  # bfloat16 or float8
        dtype = file.get_slice(name).get_dtype()
        raise WeightsError(f"{path}: tensor {name!r} has dtype {dtype}, which NumPy does not support") from error
    return tensor


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not _is_file(path):
        raise WeightsError(f"file {path} does not exist")
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        size = path.stat().st_size
        raise WeightsError(f"{path} ({size:,} bytes) is truncated or not a safetensors file: {error}") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Writes a temporary file next to ``path``, flushes it to disk and renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror or error}") from error

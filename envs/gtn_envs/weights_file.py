"""One learned environment, one ``.safetensors`` file: its tensors, and a JSON document in the header. Nothing unpickles."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gtn_envs.errors import WeightsError
from gtn_envs.valid_weights import Weights, check_kind, make_weights, validate

SHIPPED = Path(__file__).parent / "weights"
"""The folder of the environments that come with the package, one ``<id>.safetensors`` each."""
_KEY = "gtn"  # of the document in the safetensors metadata


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
    if path.suffix != ".safetensors":
        raise WeightsError(f"the file {path} has to be called <name>.safetensors")
    weights = make_weights(tensors, document, path)
    try:
        text = json.dumps(weights.document, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: the document is not JSON: {error}") from error
    _replace(path, save(dict(weights.tensors), {_KEY: text}))


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
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    return _load(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a file's document and no tensor; checks its format and kind, and nothing else.

    Raises:
        WeightsError: The file is absent, truncated, foreign, or of another format or kind.
    """
    path = Path(path)
    with _opened(path) as file:
        text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise WeightsError(f"{path} is a safetensors file, but not one of ours: its header has no {_KEY!r} entry")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path}: the header's {_KEY!r} entry is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise WeightsError(f"{path}: the header's {_KEY!r} entry is a JSON {type(document).__name__}, not an object")
    check_kind(path, document)
    return document


def resolve(weights: str | os.PathLike[str]) -> Path:
    """Returns the absolute path of a ``.safetensors`` file, or of an environment that comes with the package.

    Raises:
        WeightsError: It is neither the path of a file nor a name that the package ships.
    """
    path = Path(weights)
    if path.suffix != ".safetensors":
        path = SHIPPED / f"{os.fspath(weights)}.safetensors"
    if path.is_file():
        return path.absolute()
    if path.parent != SHIPPED:
        raise WeightsError(f"there is no file {path}")
    known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.safetensors"))) or "none"
    raise WeightsError(
        f"no shipped environment is called {path.stem!r} (there are: {known}); a path ends in .safetensors"
    )


@functools.lru_cache(maxsize=64)
def _load(path: Path, identity: tuple[int, int, int]) -> Weights:
    """Reads ``path``; ``identity`` only tells one state of the file from another."""
    document = read_document(path)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    return validate(path, document, tensors)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        size = path.stat().st_size
        raise WeightsError(f"{path} ({size:,} bytes) is truncated or not a safetensors file: {error}") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Writes a temporary file beside ``path``, flushes it to the disk and renames it."""
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

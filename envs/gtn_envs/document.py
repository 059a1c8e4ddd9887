"""The JSON document in the header of every file of this package: its kinds, and the checks that all files share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtn_envs.errors import WeightsError

TEACHER = "teacher"
"""``kind`` in the file of an image teacher, which is not an environment but can be exported as one."""
FORMAT = 1
"""Version of the layout; readers reject any other."""
ENVIRONMENT, STREAM = "synthetic-environment", "stream"
KINDS = (ENVIRONMENT, STREAM)
"""What a file can hold: a learned environment (``valid_weights``), or a data stream (``valid_stream``)."""


def check_kind(source: Path | str, document: Mapping[str, Any], kinds: tuple[str, ...] = KINDS) -> None:
    """Raises ``WeightsError`` unless a document is of one of these kinds and of the supported format version."""
    if document.get("kind") == TEACHER and STREAM in kinds:
        raise WeightsError(
            f"{source} is an image teacher, not an environment; convert it with gtn-cli export-dataset {source} --out FILE"
        )
    one_of(source, document, "kind", kinds)
    one_of(source, document, "format", (FORMAT,))


def one_of(source: Path | str, document: Mapping[str, Any], key: str, accepted: tuple[Any, ...]) -> Any:
    """Returns a field of a document after checking its value.

    Args:
        source: Where the document is from, for the error message.
        document: The document.
        key: Name of the field.
        accepted: Accepted values.

    Raises:
        WeightsError: The field is missing or has another value.
    """
    value = document.get(key)
    if isinstance(value, bool) or value not in accepted:  # True == 1, but is not accepted as one
        choices = " or ".join(repr(choice) for choice in accepted)
        raise WeightsError(f"{source}: {key!r} is {value!r}, expected {choices}")
    return value


def as_tensor(source: Path | str, name: str, given: npt.ArrayLike, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """Returns a given tensor as an array of ``dtype``, or of its own if that is None; not a copy if it is one already.

    Raises:
        WeightsError: It is not an array of numbers.
    """
    try:
        return np.asarray(given, dtype)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{source}: tensor {name!r} is not an array of numbers: {error}") from error

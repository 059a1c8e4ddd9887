"""The JSON document in the header of every file of this package: which kinds there are, and the checks that all share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gtn_envs.errors import WeightsError

TEACHER = "teacher"
"""What the file of a teacher of images says of itself; it is no environment, but one can be made of it."""
FORMAT = 1
"""Version of the layout; a reader refuses any other."""
ENVIRONMENT, STREAM = "synthetic-environment", "stream"
KINDS = (ENVIRONMENT, STREAM)
"""What a file can hold: a learned environment (``valid_weights``), or a data stream (``valid_stream``)."""


def check_kind(source: Path | str, document: Mapping[str, Any], kinds: tuple[str, ...] = KINDS) -> None:
    """Raises ``WeightsError`` unless a document is of one of these kinds and of a format that this package reads."""
    if document.get("kind") == TEACHER and STREAM in kinds:
        raise WeightsError(
            f"{source} is a teacher of images and no environment: gtn-cli export-dataset {source} --out FILE makes one of it"
        )
    one_of(source, document, "kind", kinds)
    one_of(source, document, "format", (FORMAT,))


def one_of(source: Path | str, document: Mapping[str, Any], key: str, accepted: tuple[Any, ...]) -> Any:
    """Returns a field of a document.

    Args:
        source: For the message.
        document: Where to look.
        key: The field.
        accepted: Its values.

    Raises:
        WeightsError: It has another value, or none.
    """
    value = document.get(key)
    if isinstance(value, bool) or value not in accepted:  # True is no 1 here
        choices = " or ".join(repr(choice) for choice in accepted)
        raise WeightsError(f"{source}: {key!r} is {value!r}, expected {choices}")
    return value

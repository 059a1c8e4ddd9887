"""Specifications, ``name@key=value,key=value``: a registered config class and its settings that are not the default.

Search spaces, rankers and searches are written this way on the command line, in result files and in learner names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from gtn_core.config import parse_assignments, resolve
from gtn_core.errors import UnknownNameError, UsageError
from gtn_core.registry import Registry

T = TypeVar("T")


def parse(registry: Registry[type[T]], text: str) -> T:
    """Creates the object that a specification describes.

    Args:
        registry: Classes by name, each a ``gtn_core.config.config``.
        text: The specification, e.g. ``"nb201@channels=8,cells=1"``.

    Raises:
        UsageError: The name or a key is unknown, or a value is invalid.
    """
    name, _, settings = text.partition("@")
    cls = registry[name]
    try:
        return resolve(cls, parse_assignments(settings.split(",")) if settings else {})
    except UsageError as error:
        kind = UnknownNameError if isinstance(error, UnknownNameError) else UsageError
        raise kind(f"{registry.kind} {text!r}: {error}") from None


def each_of(texts: str | Iterable[str]) -> tuple[str, ...]:
    """Returns texts as a tuple; a single one is not taken for the sequence of its letters."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


def specify(registry: Registry[type[T]], thing: T) -> str:
    """Returns an object's shortest specification: its registered name and the settings that are not the default."""
    name = next(name for name, cls in registry.items() if cls is type(thing))
    changed = [
        f"{field.name}={_written(value)}"
        for field in dataclasses.fields(thing)  # type: ignore[arg-type]
        if (value := getattr(thing, field.name)) != field.default
    ]
    return f"{name}@{','.join(changed)}" if changed else name


def summary(cls: type[Any]) -> str:
    """Returns the first line of a class's docstring."""
    return next(iter((cls.__doc__ or "").strip().splitlines()), "")


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)

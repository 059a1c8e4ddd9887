"""Configs: frozen, validated dataclasses, made from layers of nested dictionaries. Tasks define their own."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as _dataclass
from pydantic_core import PydanticCustomError, to_jsonable_python
from typing_extensions import dataclass_transform

from gtn_core.errors import UsageError, unknown_name

T = TypeVar("T")

NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises: besides its own errors those of Python's constructors, e.g. of a date in month 13, or of nesting."""


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not true or false")
    return value


NotBool = BeforeValidator(_refuse_bool)
"""Part of every number's type: to pydantic, true and false are the numbers 1 and 0."""

Integer = Annotated[int, NotBool]
Real = Annotated[float, NotBool, Field(allow_inf_nan=False)]
Positive = Annotated[Integer, Field(gt=0)]
AtLeastTwo = Annotated[Integer, Field(ge=2)]
Threads = Annotated[Integer, Field(gt=0, le=4096)]
Natural = Annotated[Integer, Field(ge=0)]
LARGEST = 1e30
"""Largest real number that a setting takes: well inside float32."""
PositiveReal = Annotated[Real, Field(gt=0, le=LARGEST)]
NaturalReal = Annotated[Real, Field(ge=0, le=LARGEST)]
BelowOne = Annotated[Real, Field(gt=0, lt=1)]
Share = Annotated[Real, Field(ge=0, le=1)]
Decay = Annotated[Real, Field(ge=0, lt=1)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass that validates its values and rejects unknown keys; a field's docstring describes it.

    Its constructor raises a UsageError for what it rejects, as ``resolve`` does.
    """
    settings = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    made = _dataclass(frozen=True, kw_only=True, config=settings)(cls)
    validate = made.__init__

    @functools.wraps(validate)
    def explain(self: Any, *args: Any, **values: Any) -> None:
        try:
            validate(self, *args, **values)
        except ValidationError as error:
            raise _explain(cls, error) from None

    made.__init__ = explain  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


def resolve(cls: type[T], *layers: Mapping[str, Any]) -> T:
    """Builds a config from nested dictionaries, later ones overriding earlier ones.

    Raises:
        UsageError: A key is unknown (the message suggests the nearest one) or a value is invalid.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer)
    try:
        return TypeAdapter(cls).validate_python(merged)
    except ValidationError as error:
        raise _explain(cls, error) from None


def to_dict(value: Any) -> dict[str, Any]:
    """Returns a config as nested dictionaries of JSON values."""
    dumped: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return dumped


def changed_settings(before: Any, after: Any) -> list[str]:
    """Returns the dotted names of settings that differ between two configs of a class, e.g. ``stages.0.sigma``."""
    old, new = (dict(_leaves(to_dict(value))) for value in (before, after))
    return [name for name in {**old, **new} if (name in old, old.get(name)) != (name in new, new.get(name))]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields dotted name and value of everything in nested dictionaries, and in lists of them."""
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        value = {str(index): entry for index, entry in enumerate(value)}
    if not isinstance(value, dict):
        yield name, value
        return
    for key, entry in value.items():
        yield from _leaves(entry, f"{name}.{key}".lstrip("."))


@dataclasses.dataclass(frozen=True)
class Described:
    """A setting of a config class, described for users.

    Attributes:
        name: Name of the field; dotted within a nested config, as ``parse_assignments`` takes it.
        value: Its default or, in a config, its value, as YAML; ``None`` if it has no default.
        text: Its docstring; without one, that of the nearest base class that has one.
    """

    name: str
    value: str | None
    text: str


def describe(cls: type[Any]) -> list[Described]:
    """Returns the settings of a config class with their defaults, in the order of its fields."""
    described = []
    for field in dataclasses.fields(cls):
        infos = [base.__pydantic_fields__.get(field.name) for base in cls.__mro__ if dataclasses.is_dataclass(base)]  # type: ignore[attr-defined]
        text = next((info.description for info in infos if info and info.description), "")
        has_default = field.default is not dataclasses.MISSING
        described.append(
            Described(field.name, _written(field.default) if has_default else None, " ".join(text.split()))
        )
    return described


def described_values(value: Any, prefix: str = "") -> Iterator[Described]:
    """Yields the settings of a config and of those nested in it, with their values.

    For a list of configs, yields the settings of its entries that differ from their defaults, as ``parse_assignments``
    takes them, and then all settings that an entry may have, with their defaults, as ``stages[].sigma``.
    """
    for setting in describe(type(value)):
        found, name = getattr(value, setting.name), prefix + setting.name
        if dataclasses.is_dataclass(found):
            yield from described_values(found, f"{name}.")
        elif found and isinstance(found, tuple) and dataclasses.is_dataclass(found[0]):
            yield Described(name, _written([_told(entry) for entry in found]), setting.text)
            yield from _described_defaults(type(found[0]), f"{name}[].")
        else:
            yield Described(name, _written(found), setting.text)


def _described_defaults(cls: type[Any], prefix: str) -> Iterator[Described]:
    for field, setting in zip(dataclasses.fields(cls), describe(cls), strict=True):
        if dataclasses.is_dataclass(field.default):
            yield from _described_defaults(type(field.default), f"{prefix}{setting.name}.")
        else:
            yield dataclasses.replace(setting, name=prefix + setting.name)


def _told(value: Any) -> dict[str, Any]:
    """Returns the settings of a config that differ from their defaults."""
    told = {}
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if found != field.default:
            told[field.name] = _told(found) if dataclasses.is_dataclass(found) else found
    return told


def _written(value: Any) -> str:
    """Returns a value as one line of YAML."""
    written = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True, sort_keys=False, width=math.inf)
    return written.removesuffix("\n").removesuffix("\n...")


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turns ``["outer.lr=0.01", "learner.widths=[8,16,32]"]`` into a nested dictionary; values are YAML.

    Raises:
        UsageError: An assignment has no ``=``, a part of its key is empty, or its value is not YAML.
    """
    result: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        parts = key.split(".")
        if not equals or not all(parts):
            raise UsageError(f"expected KEY=VALUE, e.g. outer.lr=0.01, got {assignment!r}")
        try:
            value = yaml.safe_load(text)
        except NOT_YAML:
            raise UsageError(f"the value of {key!r} is not valid YAML: {text!r}") from None
        for part in reversed(parts):
            value = {part: value}
        result = _merge(result, value)
    return result


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a nested dictionary from a YAML file.

    Raises:
        UsageError: The file cannot be read, is not YAML, or does not hold a dictionary.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the config {path}: {error.strerror}") from error
    except NOT_YAML as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must contain a mapping of keys to values, got a {type(content).__name__}")
    return content


def write_yaml(value: Any, write: Callable[[bytes], object]) -> None:
    """Passes a config as YAML to ``write``, its keys in the order of its fields."""
    write(yaml.safe_dump(to_dict(value), sort_keys=False).encode())


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explain(cls: type[Any], error: ValidationError) -> UsageError:
    """Turns pydantic's first error into one line with the field's dotted name, its value and what is accepted."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "unexpected_keyword_argument":
        known = [".".join([*path[:-1], field]) for field in _fields(cls, path[:-1])]
        return unknown_name("config key", ".".join(path), known)
    listed = first["type"] == "string_type" and path[-1].isdigit()
    hint = "; quote an entry that contains a comma, as in [a, 'b:1,2']" if listed else ""
    return UsageError(f"config key {'.'.join(path)!r}: {first['msg']}, got {first['input']!r}{hint}")


def _fields(cls: type[Any], path: Iterable[str]) -> list[str]:
    """Returns the field names of the config class at a path of field names and list indices."""
    for part in path:
        if part.isdigit():
            continue
        hint = typing.get_type_hints(cls)[part]
        options = [hint, *typing.get_args(hint)]  # a part may be declared as `Part | None`, or as `tuple[Part, ...]`
        cls = next(option for option in options if isinstance(option, type) and dataclasses.is_dataclass(option))
    return [field.name for field in dataclasses.fields(cls)]

"""The contents of a data stream: its document, its images and labels, and their validation.

The format is described in docs/data-streams.md. Nothing here reads or writes files, or plays a stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtn_envs.document import FORMAT, STREAM, as_tensor, check_kind, one_of
from gtn_envs.episode_orders import GIVEN, ORDERS
from gtn_envs.errors import WeightsError

CHANNELS = (1, 3)
"""Grey images, or red, green and blue."""

_DTYPES = {"images": np.uint8, "labels": np.float16, "lr": np.float32, "momentum": np.float32}
_OPTIONAL = ("lr", "momentum")
_TOLERANCE = 0.01  # of a label's sum: more than rounding ten probabilities, or a thousand, to float16 can cause


@dataclass(frozen=True, eq=False)
class DataStream:
    """T batches of B labelled images, validated: read from a file, or made by ``make_stream``.

    Attributes:
        source: Path of the file, or the name used in error messages.
        document: The whole JSON document, including provenance that nothing here interprets.
        images: uint8 (T, B, H, W, C), read-only.
        labels: Class probabilities, float16 (T, B, classes), read-only.
        lr: The teacher's learning rate of each inner step, float32 (T,); None if there is none.
        momentum: The teacher's momentum of each inner step, float32 (T,); None if there is none.
    """

    source: Path | str
    document: Mapping[str, Any]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float16]
    lr: npt.NDArray[np.float32] | None = None
    momentum: npt.NDArray[np.float32] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes the place of pickle's own, which loses that the tensors are read-only."""
        self.__dict__.update(state)
        for tensor in self.tensors.values():
            tensor.flags.writeable = False  # shared by every copy of the environment

    @property
    def path(self) -> Path | None:
        """Path of the file; None for a stream that was never in one."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def task(self) -> str:
        """The real task's name, e.g. ``"digits"``."""
        return str(self.document["task"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return tuple(self.document["class_names"])

    @property
    def order(self) -> str:
        """The order that the stream was made for, a key of ``episode_orders.ORDERS``."""
        return str(self.document.get("order", GIVEN))

    @property
    def steps(self) -> int:
        """T, the number of batches."""
        return len(self.images)

    @property
    def batch_size(self) -> int:
        """B, the number of images in a batch."""
        return int(self.images.shape[1])

    @property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All tensors by their names in the file."""
        named: dict[str, npt.NDArray[Any] | None] = {"images": self.images, "labels": self.labels}
        named |= {"lr": self.lr, "momentum": self.momentum}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def __len__(self) -> int:
        """Number of images, T * B."""
        return self.steps * self.batch_size


def make_stream(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    document: Mapping[str, Any],
    *,
    lr: npt.ArrayLike | None = None,
    momentum: npt.ArrayLike | None = None,
    source: Path | str = "the stream",
) -> DataStream:
    """Makes a stream from arrays and a document, without a file.

    Args:
        images: uint8 (T, B, H, W, C).
        labels: Class probabilities (T, B, classes); stored as float16.
        document: ``task``, ``class_names``, ``mean`` and ``std``, optionally ``order``, and anything else to be stored.
        lr: The teacher's learning rate of each inner step, (T,).
        momentum: The teacher's momentum of each inner step, (T,).
        source: Name of the stream in error messages.

    Raises:
        WeightsError: The document or an array is invalid.
    """
    given = {"images": images, "labels": labels, "lr": lr, "momentum": momentum}
    # Images must be bytes already: rounding floats here would hide that a caller has forgotten to convert them.
    types = {**_DTYPES, "images": None}
    tensors = {name: as_tensor(source, name, array, types[name]) for name, array in given.items() if array is not None}
    return validate_stream(source, {"format": FORMAT, "kind": STREAM, **document}, tensors)


def validate_stream(
    source: Path | str, document: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]
) -> DataStream:
    """Validates a document and every tensor; the stream holds read-only copies of the tensors.

    Args:
        source: Path or name, for the error message.
        document: The whole document.
        tensors: Tensors by name.

    Raises:
        WeightsError: One line that names the file, the field or tensor, what was found and what was expected.
    """
    check_kind(source, document, (STREAM,))
    if not isinstance(document.get("task"), str):
        raise WeightsError(f"{source}: 'task' is {document.get('task')!r}, expected the real task's name")
    names = document.get("class_names")
    if not isinstance(names, list | tuple) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise WeightsError(f"{source}: 'class_names' is {names!r}, expected a list of at least two names")
    if "order" in document:
        one_of(source, document, "order", tuple(ORDERS))
    _check_tensors(source, tensors, len(names))
    for key in ("mean", "std"):
        _check_statistics(source, document, key, tensors["images"].shape[-1])
    frozen = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    for tensor in frozen.values():
        tensor.flags.writeable = False  # shared by every copy of the environment
    return DataStream(source, document, **frozen)


def rewards_of(stream: DataStream, *, soft: bool) -> npt.NDArray[np.float32]:
    """Returns the reward of each class for each image, float32 (T * B, classes).

    Args:
        stream: The stream.
        soft: Whether a class's reward is its probability; otherwise 1 for the likeliest class, the label, and 0 for
            others.
    """
    probabilities = stream.labels.reshape(len(stream), -1).astype(np.float32)
    if soft:
        return probabilities
    rewards = np.zeros_like(probabilities)
    rewards[np.arange(len(stream)), probabilities.argmax(1)] = 1.0
    return rewards


def _check_tensors(source: Path | str, tensors: Mapping[str, npt.NDArray[Any]], classes: int) -> None:
    for name in sorted(_DTYPES.keys() | tensors.keys()):
        if name not in tensors and name not in _OPTIONAL:
            raise WeightsError(f"{source} lacks the tensor {name!r}")
        if name in tensors and name not in _DTYPES:
            raise WeightsError(f"{source} holds the tensor {name!r}, which the format does not have")
        if name in tensors and tensors[name].dtype != _DTYPES[name]:
            expected = np.dtype(_DTYPES[name])
            raise WeightsError(f"{source}: tensor {name!r} has dtype {tensors[name].dtype}, expected {expected}")
    images = tensors["images"]
    if images.ndim != 5 or images.shape[-1] not in CHANNELS or not images.size:
        raise WeightsError(f"{source}: tensor 'images' has shape {images.shape}, expected (T, B, H, W, 1 or 3)")
    expected_shapes = {"labels": (*images.shape[:2], classes), "lr": images.shape[:1], "momentum": images.shape[:1]}
    for name, shape in expected_shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise WeightsError(f"{source}: tensor {name!r} has shape {tensors[name].shape}, expected {shape}")
    for problem in _wrong_values(tensors):
        raise WeightsError(f"{source}: tensor {problem}")


def _wrong_values(tensors: Mapping[str, npt.NDArray[Any]]) -> Iterator[str]:
    """Yields what is wrong with the values; the first problem is enough."""
    labels = tensors["labels"].astype(np.float32)
    sums = labels.sum(-1)
    if not (labels >= 0).all():  # also rejects NaN
        yield f"'labels' holds {labels.min()}, expected probabilities of at least 0"
    elif not (np.abs(sums - 1) <= _TOLERANCE).all():
        yield f"'labels' holds a label that sums to {sums.flat[np.abs(sums - 1).argmax()]:.2g}, expected 1"
    for name, bound in (("lr", np.inf), ("momentum", 1.0)):
        values = tensors.get(name)
        if values is not None and not ((values >= 0) & (values < bound)).all():
            yield f"{name!r} holds a value outside [0, {bound:g})"


def _check_statistics(source: Path | str, document: Mapping[str, Any], key: str, channels: int) -> None:
    values = document.get(key)
    numbers = isinstance(values, list | tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and _is_finite(v) and (v > 0 or key == "mean")
        for v in values
    )
    if not numbers or len(values or ()) != channels:
        kind = "numbers" if key == "mean" else "numbers above 0"
        raise WeightsError(f"{source}: {key!r} is {values!r}, expected {channels} {kind}, one per channel")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False

"""Curves and pictures of a run: ``metrics.jsonl`` for programs, TensorBoard events for people."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from gtn_core.errors import GTNError
from gtn_core.run_folder import RunFolder

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
"""An RGB picture, shape ``(height, width, 3)``."""

UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""Errors of ``fsync`` on pipes, devices and some file systems."""

FLUSH_SECONDS = 10
"""Seconds of TensorBoard's curves, at most, that are lost with a killed process; ``metrics.jsonl`` loses none."""


class Tracker(Protocol):
    """Receives the values and pictures that a run logs."""

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Logs values by tag, e.g. ``"real/validation_accuracy"``."""

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """Logs a picture, shape ``(height, width, 3)``."""

    def flush(self, iteration: int) -> None:
        """Writes to disk what was logged up to an iteration whose state will now be saved: it is not logged again."""

    def close(self) -> None:
        """Writes what is still buffered."""


@dataclass(frozen=True)
class Stage:
    """One of several consecutive outer loops in one run.

    Attributes:
        name: Name of the stage in its rows and of its curves in TensorBoard.
        start: Outer steps of the stages before it, which are added to its own.
    """

    name: str
    start: int


class RunTracker:
    """Writes to a run folder.

    Args:
        run: The run folder.
        after: Iteration after which a resumed run, or stage, continues; later entries are dropped, since they are
            logged again. ``None`` starts from nothing.
        settings: The resolved config, shown as TensorBoard's hyper-parameters.
        stage: In a run with stages, the one that is tracked: its rows name it, and its curves are a TensorBoard run.

    Raises:
        GTNError: The folder cannot be written to.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        after: int | None = None,
        settings: Mapping[str, Any] | None = None,
        stage: Stage | None = None,
    ) -> None:
        self._start, self._failed = stage.start if stage else 0, False
        self._named = {"stage": stage.name} if stage else {}
        last = self._start + (-1 if after is None else after)
        events = run.tensorboard / stage.name if stage else run.tensorboard
        try:
            run.drop_metrics_after(last, stage.name if stage else None)
            self._rows = run.metrics.open("a", encoding="utf-8")
            self._writer = SummaryWriter(str(events), purge_step=last + 1, flush_secs=FLUSH_SECONDS)
        except OSError as error:
            raise GTNError(f"cannot write to {run.path}: {error.strerror}") from error
        if settings and after is None:
            text = "\n".join(f"- `{key}`: {value}" for key, value in flatten(settings).items())
            self._writer.add_text("hyperparameters", text)

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """See ``Tracker.scalars``."""
        try:
            row = {"iteration": self._start + iteration, **self._named, **values}
            self._rows.write(json.dumps(row) + "\n")
            self._rows.flush()
        except OSError as error:
            raise GTNError(f"cannot write {self._rows.name}: {error.strerror}") from error
        with self._events():
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, self._start + iteration)

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """See ``Tracker.picture``."""
        with self._events():
            self._writer.add_image(tag, picture, self._start + iteration, dataformats="HWC")

    def flush(self, iteration: int) -> None:
        """See ``Tracker.flush``."""
        try:
            os.fsync(self._rows.fileno())
        except OSError as error:
            if error.errno not in UNSYNCABLE:
                raise GTNError(f"cannot write {self._rows.name}: {error.strerror}") from error
        with self._events():
            self._writer.flush()

    def close(self) -> None:
        """See ``Tracker.close``."""
        try:
            self._rows.close()
        except OSError as error:
            raise GTNError(f"cannot write {self._rows.name}: {error.strerror}") from error
        finally:
            with self._events():
                self._writer.close()

    @contextlib.contextmanager
    def _events(self) -> Iterator[None]:
        """Warns once if TensorBoard's files cannot be written, and continues, since the rows have everything."""
        try:
            yield
        except OSError as error:
            if not self._failed:
                where = (self._writer.log_dir, error.strerror, self._rows.name)
                log.warning("cannot write %s: %s; curves are now written to %s only", *where)
            self._failed = True


class StandbyTracker:
    """Keeps the last iteration's values on a process other than the first, in case it must save in place of that one.

    The first may have gone after the others had all values of an iteration, and before it wrote any of them.

    Args:
        run: The run folder.
        stage: See ``RunTracker``.
    """

    def __init__(self, run: RunFolder, *, stage: Stage | None = None) -> None:
        self._run, self._stage = run, stage
        self._iteration = -1
        self._rows: list[Mapping[str, float]] = []
        self._pictures: list[tuple[str, Picture]] = []

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """See ``Tracker.scalars``."""
        self._begin(iteration)
        self._rows.append(values)

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """See ``Tracker.picture``."""
        self._begin(iteration)
        self._pictures.append((tag, picture))

    def flush(self, iteration: int) -> None:
        """Writes what the first process has not written of an iteration; the caller must hold the run's lock."""
        missing = self._missing() if iteration == self._iteration else []
        if not missing:
            return
        tracker = RunTracker(self._run, after=iteration, stage=self._stage)
        try:
            for values in missing:
                tracker.scalars(iteration, values)
            for tag, picture in self._pictures:
                tracker.picture(iteration, tag, picture)
            tracker.flush(iteration)
        finally:
            tracker.close()

    def close(self) -> None:
        """Does nothing: the first process has written everything."""

    def _begin(self, iteration: int) -> None:
        if iteration != self._iteration:
            self._iteration, self._rows, self._pictures = iteration, [], []

    def _missing(self) -> list[Mapping[str, float]]:
        stage = self._stage or Stage("", 0)
        there = [
            row.keys()
            for row in self._run.metric_rows()
            if row["iteration"] == stage.start + self._iteration and row.get("stage", "") == stage.name
        ]
        return [values for values in self._rows if not any(values.keys() <= keys for keys in there)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings as one dictionary with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat

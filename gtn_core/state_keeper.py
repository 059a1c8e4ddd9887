"""Saves the state of an outer loop; the one on disk is always of a whole step, whichever process dies, and whenever."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from gtn_core.distributed import World
from gtn_core.errors import GTNError
from gtn_core.run_folder import RunFolder
from gtn_core.tracking import Tracker
from gtn_core.training_state import EstimatorState, saved_progress

Standing = tuple[EstimatorState, dict[str, Any]]
"""What a state holds besides teacher and optimizer: the estimator's state, and the counters."""


class StateKeeper:
    """Saves a loop's state: between its steps, at once if it is told to end, and in place of a process that has gone.

    Args:
        run: Run folder for the state.
        tracker: Its rows are written to disk before the state that follows them.
        world: The processes that train together; process 0 writes.
        standing: Returns the current standing of the loop.
        write: Writes the state of a standing, together with teacher and optimizer as they are.
    """

    def __init__(
        self,
        run: RunFolder,
        tracker: Tracker,
        world: World,
        standing: Callable[[], Standing],
        write: Callable[[Standing], None],
    ) -> None:
        self._run, self._tracker, self._world = run, tracker, world
        self._standing, self._write = standing, write
        self._saved_at = 0.0
        self._whole: Standing | None = None  # None while what would be saved is changing
        self._save_soon = False

    def begin(self) -> None:
        """Takes the current standing of the loop as that of a whole step."""
        self._saved_at = time.monotonic()
        self._whole = self._standing()

    def seconds_since_saved(self) -> float:
        """Returns the seconds since the last save, or since the beginning."""
        return time.monotonic() - self._saved_at

    def save(self) -> None:
        """Writes the state, on process 0."""
        self._saved_at = time.monotonic()
        with self.changing():  # the file is being replaced
            if self._world.rank == 0:
                self._write_after_its_rows(self._standing())

    def save_for_the_lost(self) -> None:
        """Saves the state; if process 0 is the one that has gone, in its place, since the run's lock is then free."""
        if self._world.rank == 0:
            self.save()
        else:
            with self.changing():
                self._write_in_its_stead(self._standing())

    def save_whole_step(self) -> None:
        """Saves the last whole step at once, or, while what would be saved is changing, as soon as that has ended."""
        if self._whole is None:
            self._save_soon = True
            return
        if self._world.size > 1:  # mostly from a launcher; the log is avoided, as it may be in mid-line
            done = self._whole[1]["iteration"]
            with contextlib.suppress(OSError):  # stderr may no longer have a reader
                os.write(2, f"process {self._world.rank} received SIGTERM; saving outer step {done}\n".encode())
        if self._world.rank == 0:  # does not flush its tracker, which may be in the middle of a row
            with contextlib.suppress(GTNError):  # the previous state is unchanged
                self._write(self._whole)
        else:
            self._write_in_its_stead(self._whole)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """While teacher, optimizer or the saved file change, a signal saves nothing; the result is saved afterwards."""
        self._whole = None
        try:
            yield
        finally:
            self._whole = self._standing()
            if self._save_soon:
                self._save_soon = False
                self.save_whole_step()

    def _write_in_its_stead(self, standing: Standing) -> None:
        now = standing[1]["iteration"]
        with contextlib.suppress(GTNError, OSError), self._run.lock():
            saved = saved_progress(self._run).iteration
            if saved < now:
                self._write_after_its_rows(standing)
            elif saved == now:  # by a signal, which may have come before the row was written
                self._tracker.flush(saved)

    def _write_after_its_rows(self, standing: Standing) -> None:
        try:
            self._tracker.flush(standing[1]["iteration"])
        finally:
            self._write(standing)

"""When an outer loop's state is saved: what is on the disk is always a whole step, whoever dies and whenever."""

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
"""What a state holds beside teacher and optimizer: that of the estimator, and the counters."""


class StateKeeper:
    """Saves where a loop stands: between its steps, at once where it is told to end, and for another process that has gone.

    Args:
        run: Where the state lies.
        tracker: Whose rows are on the disk before the state that follows them.
        world: The processes that train together; the first writes.
        standing: Says where the loop stands.
        write: Writes the state of a standing, and with it teacher and optimizer as they are.
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
        self._whole: Standing | None = None  # none while what would be saved is changing
        self._save_soon = False

    def begin(self) -> None:
        """Takes where the loop stands now for a whole step."""
        self._saved_at = time.monotonic()
        self._whole = self._standing()

    def seconds_since_saved(self) -> float:
        """Returns the seconds since the last save, or since the beginning."""
        return time.monotonic() - self._saved_at

    def save(self) -> None:
        """Writes the state; process 0 does."""
        self._saved_at = time.monotonic()
        with self.changing():  # the file is being replaced
            if self._world.rank == 0:
                self._write_after_its_rows(self._standing())

    def save_for_the_lost(self) -> None:
        """Saves, in the stead of process 0 where that is the one that has gone: then the run's lock is free."""
        if self._world.rank == 0:
            self.save()
        else:
            with self.changing():
                self._write_in_its_stead(self._standing())

    def save_whole_step(self) -> None:
        """Saves the last whole step in the middle of whatever is under way, or once that no longer changes what is saved."""
        if self._whole is None:
            self._save_soon = True
            return
        if self._world.size > 1:  # a launcher's, mostly; not by the log, which may be in the middle of a line
            done = self._whole[1]["iteration"]
            with contextlib.suppress(OSError):  # nobody may read it any more
                os.write(2, f"process {self._world.rank} was told to end; outer step {done} is being saved\n".encode())
        if self._world.rank == 0:  # whose tracker may be in the middle of a row
            with contextlib.suppress(GTNError):  # what was saved before still stands
                self._write(self._whole)
        else:
            self._write_in_its_stead(self._whole)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """While teacher, optimizer or the saved file change, a signal saves nothing; afterwards what stands then."""
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
            elif saved == now:  # by a signal, which may have come before the row
                self._tracker.flush(saved)

    def _write_after_its_rows(self, standing: Standing) -> None:
        try:
            self._tracker.flush(standing[1]["iteration"])
        finally:
            self._write(standing)

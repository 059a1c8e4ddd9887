"""The cost of a meta-training so far, accumulated over its stages and over the processes of a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gtn_core.cpu_time import cpu_seconds
from gtn_core.distributed import SingleProcess, World, first
from gtn_core.run_folder import RunFolder
from gtn_core.tracking import Picture, RunTracker, Stage, StandbyTracker, Tracker

REAL_STEPS, CPU_SECONDS = "cost/real_steps", "cost/cpu_seconds"


@dataclass(frozen=True)
class Cost:
    """A cost.

    Attributes:
        real_steps: Steps of a real environment, including validation; 0 if the task has none.
        cpu_seconds: Processor time, including that of the processes that step the real task.
    """

    real_steps: int = 0
    cpu_seconds: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Cost:
        """Returns the cost in a row of ``CostTracker``."""
        return cls(int(row.get(REAL_STEPS, 0)), float(row[CPU_SECONDS]))

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.real_steps + other.real_steps, self.cpu_seconds + other.cpu_seconds)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.real_steps - other.real_steps, self.cpu_seconds - other.cpu_seconds)


def cost_tracker(
    world: World,
    run: RunFolder,
    before: Callable[[], Cost],
    *,
    after: int | None = None,
    settings: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
) -> CostTracker:
    """Returns the tracker of a run's curves: on process 0 it writes to the run folder, on the others it stands by.

    Args:
        world: The processes that train together.
        run: The run folder.
        before: Returns the cost until now; called on process 0, after removing the rows that a resumed run will log
            again.
        after: See ``RunTracker``.
        settings: See ``RunTracker``.
        stage: See ``RunTracker``.
    """
    made: list[Tracker] = []

    def make() -> tuple[int, float]:
        made.append(RunTracker(run, after=after, settings=settings, stage=stage))
        spent = before()
        return spent.real_steps, spent.cpu_seconds

    spent = Cost(*first(world, make))
    return CostTracker(made[0] if made else StandbyTracker(run, stage=stage), spent, world)


class CostTracker:
    """Adds the cost so far to every row; the real steps that a row took itself are replaced by the total.

    Args:
        tracker: Receives the rows.
        before: Cost until now.
        world: The processes whose processor time counts; all of them log the same rows.
    """

    def __init__(self, tracker: Tracker, before: Cost, world: World | None = None) -> None:
        self.total, self._world = before, world or SingleProcess()
        self._tracker, self._clock = tracker, cpu_seconds()

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """See ``Tracker.scalars``."""
        now = cpu_seconds()
        spent = now - self._clock
        self._clock = now
        try:
            spent = sum(self._world.gather(spent))
        finally:  # the step was taken, even if another process has gone since
            self.total += Cost(int(values.get(REAL_STEPS, 0)), spent)
            so_far: dict[str, float] = {CPU_SECONDS: round(self.total.cpu_seconds, 2)}
            if REAL_STEPS in values or self.total.real_steps:
                so_far[REAL_STEPS] = self.total.real_steps
            self._tracker.scalars(iteration, {**values, **so_far})

    def picture(self, iteration: int, tag: str, picture: Picture) -> None:
        """See ``Tracker.picture``."""
        self._tracker.picture(iteration, tag, picture)

    def flush(self, iteration: int) -> None:
        """See ``Tracker.flush``."""
        self._tracker.flush(iteration)

    def close(self) -> None:
        """See ``Tracker.close``."""
        self._tracker.close()

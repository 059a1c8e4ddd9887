"""What a meta-training has cost so far, counted on over its stages and over the processes that a resumed run ran in."""

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
    """An expense.

    Attributes:
        real_steps: Steps of a real environment, validation included; 0 where the task has none.
        cpu_seconds: Processor time, that of the processes which step the real task included.
    """

    real_steps: int = 0
    cpu_seconds: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Cost:
        """Returns what a row of ``CostTracker`` says."""
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
    """Returns what takes a run's curves, on process 0 to its folder, on the others to stand by for it.

    Args:
        world: The processes that train together.
        run: Where.
        before: What had been spent before now; asked on process 0, once the rows that a resumed run will log again are gone.
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
    """Puts the cost so far into every row: where a row says what real steps it took itself, it comes to say all up to it.

    Args:
        tracker: Takes the rows.
        before: What had been spent before now.
        world: The processes whose processor time counts; all give the same rows.
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
        finally:  # a step was taken, even where another process has gone since
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

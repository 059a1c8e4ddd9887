"""The gradient of an outer step: the mean over the episodes of all processes, without those that diverged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gtn_core.distributed import SplitTrial, World, gathered
from gtn_core.errors import DivergedError
from gtn_core.estimators import Estimate, Estimator, Teacher, Trial
from gtn_core.estimators.trial_in_parts import Room, TrialInParts
from gtn_core.logged_values import merged_values
from gtn_core.memory.allocation import is_out_of_memory, release_memory
from gtn_core.outer_job import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """The outcome of an outer step's episodes; the same on every process.

    Attributes:
        good: Number of episodes that did not diverge.
        used: Number of episode numbers that were used up.
        values: Values to log.
        error: Process 0's message about the last of its episodes that diverged; ``None`` if none did.
        seconds: Process 0's clock, in seconds.
    """

    good: int
    used: int
    values: dict[str, float]
    error: str | None
    seconds: float


@dataclass(frozen=True)
class StepGradient:
    """Estimates the gradient of outer steps.

    If the estimator splits candidates, all processes judge parts of the same episodes, and each computes the same
    gradient from the fitness of all. Otherwise each process has its own episodes, and their gradients are summed.

    Attributes:
        teacher: The teacher.
        parameters: Its trained parameters.
        job: Makes episodes.
        estimator: Estimates the gradient of an episode.
        world: The processes.
        count: Number of episodes of each process.
        room: How many candidates fit into this process's memory at a time.
    """

    teacher: Teacher
    parameters: Sequence[nn.Parameter]
    job: Job
    estimator: Estimator
    world: World
    count: int
    room: Room = field(default_factory=Room)

    def leave(self, start: int, share: float, clock: Callable[[], float]) -> StepReport:
        """Leaves the mean gradient in the parameters' ``grad``, if any episode was good.

        Args:
            start: Number of the step's first episode.
            share: Share of the run that is done.
            clock: Returns the seconds of the run so far.
        """
        same = self.estimator.splits_candidates
        sharers = 1 if same else self.world.size
        own = start + (0 if same else self.world.rank * self.count)
        sums = [torch.zeros_like(p) for p in self.parameters]

        def report() -> dict[str, Any]:
            cpu_start = time.process_time()
            told = self._add_gradients(sums, range(own, own + self.count), share)
            return {**told, "cpu_seconds": time.process_time() - cpu_start, "seconds": clock()}

        told = gathered(self.world, report)
        rows = [row for other in told[:sharers] for row in other["rows"]]
        if rows:
            if not same:
                self.world.sum_(sums)
            for parameter, total in zip(self.parameters, sums, strict=True):
                parameter.grad = total / len(rows)
        used = sharers * self.count
        costs = {"inner/diverged": float(used - len(rows)), "perf/cpu_seconds": sum(o["cpu_seconds"] for o in told)}
        return StepReport(len(rows), used, {**merged_values(rows), **costs}, told[0]["error"], told[0]["seconds"])

    def _add_gradients(self, sums: list[Tensor], episodes: range, share: float) -> dict[str, Any]:
        """Adds the gradients of good episodes to ``sums``; returns their values to log, and the last error."""
        rows: list[Mapping[str, float]] = []
        error = None
        for episode in episodes:
            try:
                rows.append(self._add_gradient(sums, episode, share))
            except DivergedError as diverged:
                error = str(diverged)
                log.info("episode %d left out: %s", episode, diverged)
        return {"rows": rows, "error": error}

    def _add_gradient(self, sums: list[Tensor], episode: int, share: float) -> Mapping[str, float]:
        """Adds an episode's gradient to ``sums``, or nothing if it is not finite, and returns the values to log."""
        trial, estimate = self._estimate(episode, share)
        gradients = [(total, p.grad) for total, p in zip(sums, self.parameters, strict=True) if p.grad is not None]
        if gradients and not gradient_norm(gradient for _, gradient in gradients).isfinite():
            raise DivergedError("the meta-gradient or its norm is not finite")
        for total, gradient in gradients:
            total += gradient
        return {**estimate.values, **trial.values}

    def _estimate(self, episode: int, share: float) -> tuple[Trial, Estimate]:
        """Leaves an episode's gradient in the parameters' ``grad``."""

        def fresh() -> Trial:
            for parameter in self.parameters:
                parameter.grad = None
            if not self.estimator.splits_candidates:
                return self.job.episode(episode, share)

            def whole() -> Trial:
                return TrialInParts(self.job.episode(episode, share), self.room)

            return SplitTrial(whole, self.world) if self.world.size > 1 else whole()

        return estimated(self.estimator, self.teacher, fresh, f"episode {episode}")


def estimated(estimator: Estimator, teacher: Teacher, fresh: Callable[[], Trial], what: str) -> tuple[Trial, Estimate]:
    """Estimates the gradient of a trial; if memory runs out, tries again with less of it.

    Args:
        estimator: Adds the gradient to the ``grad`` of the teacher's parameters.
        teacher: The teacher.
        fresh: Makes the trial for each attempt, and clears the gradient that the previous one has left.
        what: Name of the trial in the warning.
    """
    while True:
        trial = None
        try:
            trial = fresh()
            return trial, estimator.estimate(teacher, trial)
        except Exception as error:
            changed = estimator.shrink(trial) if is_out_of_memory(error) else None
            if changed is None:
                raise
        log.warning("%s: out of memory; now %s", what, changed)
        del trial  # the error, with all that its traceback holds, is gone, too
        release_memory()


def gradient_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Returns the norm of a gradient given in parts, a scalar; infinite if the squares overflow."""
    norm: Tensor = torch.stack([part.norm() for part in gradients]).norm()
    return norm

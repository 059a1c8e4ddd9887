"""A trial whose candidates are divided among several processes; only their fitness is exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gtn_core.distributed.agreement import gathered
from gtn_core.distributed.world import World
from gtn_core.logged_values import merged_values

if TYPE_CHECKING:
    from gtn_core.estimators import Teacher, Trial


class SplitTrial:
    """Judges candidates as the whole trial would, bit for bit, whatever the number of processes.

    The last candidate is judged by all processes, and process 0's result counts. The reason is rounding: a population
    trains as one batch, and a processor handles the last elements of a tensor by other instructions than those that
    fill its vectors, so that the end of a part would differ from the undivided population. So every part ends with the
    same candidate, and is never a batch of one, which is handled differently again. A process for which no other
    candidate is left judges none.

    Args:
        make: Makes the trial, the same on every process, when the first candidates are judged: where it fails, the
            others are told as they are of a failure to judge.
        world: The processes.
    """

    def __init__(self, make: Callable[[], Trial], world: World) -> None:
        self.make, self.world = make, world
        self._trial: Trial | None = None
        self._values: Mapping[str, float] = {}

    @property
    def values(self) -> Mapping[str, float]:
        """See ``Trial.values``; costs are summed over all processes."""
        return self._values

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """See ``Trial.fitness``."""
        parts = candidates[:-1].tensor_split(self.world.size)

        def judge() -> tuple[list[float], dict[str, float]]:
            self._trial = trial = self._trial or self.make()
            own = torch.cat([parts[self.world.rank], candidates[-1:]])
            if self.world.rank and len(own) == 1:
                return [], {}
            fitness = trial.fitness(teacher, own).tolist()
            return fitness, dict(trial.values)

        answers = gathered(self.world, judge)
        self._values = merged_values([values for _, values in answers])
        judged = [value for fitness, _ in answers for value in fitness[:-1]]
        return candidates.new_tensor([*judged, answers[0][0][-1]])

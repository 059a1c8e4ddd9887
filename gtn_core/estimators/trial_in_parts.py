"""Judges a population's candidates all at once, or as many at a time as fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gtn_core.logged_values import merged_values
from gtn_core.memory.allocation import is_out_of_memory, release_memory

if TYPE_CHECKING:
    from gtn_core.estimators import Teacher, Trial

log = logging.getLogger(__name__)


@dataclass
class Room:
    """What is known about the memory.

    Attributes:
        most: Candidates to judge at a time, besides the last one; ``None`` for all.
    """

    most: int | None = None


@dataclass
class TrialInParts:
    """Judges candidates as the whole trial would, in parts if memory is short; see ``SplitTrial`` for how parts end.

    Attributes:
        trial: The trial.
        room: Remembers how many candidates fit.
        values: See ``Trial.values``; costs are summed over all parts.
    """

    trial: Trial
    room: Room
    values: Mapping[str, float] = field(default_factory=dict)

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """See ``Trial.fitness``."""
        found, rows = list[Tensor](), list[Mapping[str, float]]()
        rest, last = candidates[:-1], candidates[-1:]
        while not found or len(rest):
            count = min(self.room.most or len(rest), len(rest))
            try:
                fitness = self.trial.fitness(teacher, torch.cat([rest[:count], last]))
            except Exception as error:
                if count < 2 or not is_out_of_memory(error):
                    raise
                fitness = None
            if fitness is None:  # outside the handler, so that the error no longer holds tensors
                self.room.most = count // 2
                log.warning("out of memory; now judging %d candidates at a time instead of %d", count // 2, count)
                release_memory()
                continue
            rows.append(dict(self.trial.values))
            found.append(fitness)
            rest = rest[count:]
        self.values = merged_values(rows)
        return torch.cat([*(part[:-1] for part in found), found[0][-1:]])

"""A schedule that is not learned: a learning rate that falls along a cosine, and one momentum."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field

from gtn_core.annealing import half_cosine
from gtn_core.inner_schedule import MAX_MOMENTUM, Schedule

Momentum = Annotated[float, Field(gt=0, lt=MAX_MOMENTUM)]
"""A momentum that ``cosine_schedule`` accepts."""


def cosine_schedule(steps: int, lr: float, momentum: float) -> Schedule:
    """Returns a schedule that is not learned, whose learning rate falls from ``lr`` towards 0 along a cosine."""
    schedule = Schedule(steps, lr, momentum, learned=False)
    with torch.no_grad():
        for step in range(steps):
            schedule.log_lr[step] += math.log(half_cosine(step / steps))
    return schedule

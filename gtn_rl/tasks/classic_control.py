"""Batched classic control: turns the physics of one task into a ``BatchedTask``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gtn_rl.tasks.protocol import Starts, Step, TaskSpec

Row = Any
"""One number per copy, (n,): a numpy array or a torch tensor."""

Rows = tuple[Row, ...]


@dataclass(frozen=True)
class Physics:
    """A task as three pure functions of rows, written once for numpy and torch; ``xp`` is either module.

    Attributes:
        sample: (generator, n) -> the rows of initial states, numpy.
        observe: (xp, rows) -> the rows of the observations.
        step: (xp, rows, actions) -> (next rows, reward, terminated); actions are (n,) integers or (n, m) float32.
    """

    sample: Callable[[np.random.Generator, int], Rows]
    observe: Callable[[Any, Rows], Rows]
    step: Callable[[Any, Rows, Row], tuple[Rows, Row, Row]]


class ClassicControl:
    """A ``BatchedTask`` that computes the physics for all copies at once.

    On the CPU the physics runs in numpy: at some hundred copies its calls cost a third of torch's. A state is a tuple
    of rows (n,), with the precision that it has in Gymnasium.

    Args:
        spec: The task's spec.
        physics: The task's physics.
        device: Device of the tensors.
    """

    def __init__(self, spec: TaskSpec, physics: Physics, device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self._physics = physics
        self._xp: Any = np if device.type == "cpu" else torch

    def reset(self, n: int, generator: np.random.Generator, repeat: int = 1) -> Rows:
        """See ``BatchedTask.reset``."""
        return self.begin(tuple(np.repeat(row, repeat) for row in self.starts(n // repeat, generator)))

    def starts(self, n: int, generator: np.random.Generator) -> Starts:
        """See ``BatchedTask.starts``: rows of initial states."""
        return self._physics.sample(generator, n)

    def begin(self, starts: Starts) -> Rows:
        """See ``BatchedTask.begin``."""
        return starts if self._xp is np else tuple(torch.as_tensor(row.copy(), device=self.device) for row in starts)

    def restart(self, state: Rows, copies: np.ndarray, starts: Starts) -> Rows:
        """See ``BatchedTask.restart``."""
        rows = tuple(row.copy() if self._xp is np else row.clone() for row in state)
        where = copies if self._xp is np else torch.from_numpy(copies).to(self.device)
        for row, first in zip(rows, self.begin(starts), strict=True):
            row[where] = first
        return rows

    def observe(self, state: Rows) -> torch.Tensor:
        """See ``BatchedTask.observe``."""
        rows = self._physics.observe(self._xp, state)
        if self._xp is torch:
            return torch.stack(rows, 1).float()
        observations = np.empty((len(rows[0]), len(rows)), np.float32)
        for i, row in enumerate(rows):
            observations[:, i] = row
        return torch.from_numpy(observations)

    def step(self, state: Rows, actions: torch.Tensor) -> Step:
        """See ``BatchedTask.step``."""
        if self._xp is torch:
            return Step(*self._physics.step(torch, state, actions), None)
        rows, reward, terminated = self._physics.step(np, state, actions.numpy())
        return Step(rows, torch.from_numpy(reward), torch.from_numpy(terminated), None)

    def select(self, state: Rows, keep: torch.Tensor) -> Rows:
        """See ``BatchedTask.select``."""
        index = keep.numpy() if self._xp is np else keep
        return tuple(row[index] for row in state)

    def close(self) -> None:
        """Does nothing; there is nothing to free."""

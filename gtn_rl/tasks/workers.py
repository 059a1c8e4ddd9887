"""Any Gymnasium environment as a ``BatchedTask``: its copies are stepped in this process or by worker processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

from gtn_core.errors import WHERE, GTNError, UsageError
from gtn_rl.tasks.crew import Crew
from gtn_rl.tasks.env_worker import Arrays, EnvBlock, Layout, arrays_in, nbytes
from gtn_rl.tasks.protocol import Starts, Step, TaskSpec


@dataclass(frozen=True, eq=False)
class PoolState:
    """The latest state of a pool, which the environments themselves hold.

    Attributes:
        time: Number of resets, steps and selections so far; tells an old state from the latest.
        rows: (k,), the rows of the shared arrays that are its copies; None for all.
    """

    time: int
    rows: np.ndarray | None


class EnvPool:
    """A ``BatchedTask`` that steps Gymnasium's own environments.

    Copy i starts with the i-th seed of ``generator.integers(2**31, size=n)``, so results do not depend on the number of
    workers. Copies whose episodes have ended are not stepped.

    Args:
        spec: The task's spec.
        env_spec: Spec for ``gymnasium.make``.
        device: Device of the tensors.
        workers: Number of processes; 0 for this process, None for one per CPU.

    Raises:
        UsageError: ``workers`` is negative.
    """

    def __init__(self, spec: TaskSpec, env_spec: EnvSpec, device: torch.device, workers: int | None = None) -> None:
        if workers is not None and workers < 0:
            raise UsageError(f"workers must be 0 (this process) or more, got {workers}")
        self.spec = spec
        self.device = device
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        self._env_spec = env_spec
        self._crew: Crew | None = None
        self._block: EnvBlock | None = None
        self._arrays: Arrays | None = None
        self._time = 0

    def reset(self, n: int, generator: np.random.Generator, repeat: int = 1) -> PoolState:
        """See ``BatchedTask.reset`` and ``begin``."""
        (seeds,) = self.starts(n // repeat, generator)
        return self.begin((np.repeat(seeds, repeat),))

    def starts(self, n: int, generator: np.random.Generator) -> Starts:
        """See ``BatchedTask.starts``: seeds."""
        return (generator.integers(2**31, size=n),)

    def begin(self, starts: Starts) -> PoolState:
        """See ``BatchedTask.begin``.

        Raises:
            GTNError: A worker, or an environment, failed.
        """
        (seeds,), spec, n = starts, self.spec, len(starts[0])
        layout = Layout(n, spec.observation_size, 1 if spec.discrete else spec.action_size, spec.discrete)
        self._arrays = None  # even if this fails: the crew resizes the memory of the old state
        if self.workers == 0:
            self._block = self._block or EnvBlock(self._env_spec)
            arrays = arrays_in(bytearray(nbytes(layout)), layout)
            with self._user_errors():
                self._block.reset(seeds, arrays)
        else:
            if self._crew is None or self._crew.closed:
                self._crew = Crew(spec.id, self._env_spec, self.workers)
            arrays = self._crew.reset(layout, seeds)
        self._arrays = arrays
        return self._next(None)

    def restart(self, state: PoolState, copies: np.ndarray, starts: Starts) -> PoolState:
        """See ``BatchedTask.restart``.

        Raises:
            GTNError: A worker, or an environment, failed.
            RuntimeError: The state is not the latest.
        """
        arrays = self._latest(state)
        rows = copies if state.rows is None else state.rows[copies]
        if self._crew is not None:
            self._crew.restart(rows, starts[0])
        elif self._block is not None:
            with self._user_errors():
                self._block.restart(rows, starts[0], arrays)
        return self._next(state.rows)

    def observe(self, state: PoolState) -> torch.Tensor:
        """See ``BatchedTask.observe``; raises RuntimeError if the state is not the latest."""
        return self._tensor(self._latest(state).observations, state)

    def step(self, state: PoolState, actions: torch.Tensor) -> Step:
        """See ``BatchedTask.step``.

        Raises:
            GTNError: A worker, or an environment, failed.
            RuntimeError: The state is not the latest.
        """
        arrays = self._latest(state)
        taken = actions.cpu().numpy().reshape(len(actions), -1)
        arrays.actions[slice(None) if state.rows is None else state.rows] = taken
        if self._crew is not None:
            self._crew.step()
        elif self._block is not None:
            with self._user_errors():
                self._block.step(arrays)
        rewards, terminated, truncated = arrays.rewards, arrays.terminated, arrays.truncated
        return Step(self._next(state.rows), *(self._tensor(part, state) for part in (rewards, terminated, truncated)))

    def select(self, state: PoolState, keep: torch.Tensor) -> PoolState:
        """See ``BatchedTask.select``; raises RuntimeError if the state is not the latest."""
        arrays, index = self._latest(state), keep.cpu().numpy()
        rows = index if state.rows is None else state.rows[index]
        kept = np.zeros_like(arrays.active)
        kept[rows] = True
        arrays.active[~kept] = False
        return self._next(rows)

    def close(self) -> None:
        """Ends the workers and closes the environments; a later ``reset`` starts them again."""
        if self._crew is not None:
            self._crew.close()
        if self._block is not None:
            self._block.close()
        self._crew = self._block = self._arrays = None

    @contextlib.contextmanager
    def _user_errors(self) -> Iterator[None]:
        """Turns an exception of an environment in this process into the error that a worker would cause."""
        try:
            yield
        except Exception as error:
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise GTNError(f"{self.spec.id} failed: {what} ({WHERE})") from error

    def _tensor(self, array: np.ndarray, state: PoolState) -> torch.Tensor:
        return torch.from_numpy(array.copy() if state.rows is None else array[state.rows]).to(self.device)

    def _latest(self, state: PoolState) -> Arrays:
        if self._arrays is None or state.time != self._time:
            raise RuntimeError(f"{self.spec.id} runs in Gymnasium's environments, which keep only the latest state")
        return self._arrays

    def _next(self, rows: np.ndarray | None) -> PoolState:
        self._time += 1
        return PoolState(self._time, rows)

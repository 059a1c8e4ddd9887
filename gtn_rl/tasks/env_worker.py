"""A block of Gymnasium environments that are stepped in turn, and the loop of a worker process that serves one.

The process runs this file by its path and imports neither torch nor this package, so it starts in half a second.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np


class Layout(NamedTuple):
    """What determines the shapes of the arrays that the processes share.

    Attributes:
        copies: n, the number of copies.
        observation_size: d, the number of entries of a flattened observation.
        action_size: Entries of an action: m, or 1 for discrete actions.
        discrete: Whether actions are integers.
    """

    copies: int
    observation_size: int
    action_size: int
    discrete: bool


class Arrays(NamedTuple):
    """The arrays that the processes share, each with one row per copy.

    Attributes:
        actions: (n, m), int64 or float64.
        rewards: (n,), float64.
        observations: (n, d), float32.
        terminated: (n,), bool.
        truncated: (n,), bool.
        active: (n,), bool: cleared by a worker when the copy's episode ends, and by the parent when the copy is
            dropped.
    """

    actions: np.ndarray
    rewards: np.ndarray
    observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    active: np.ndarray

    def rows(self, part: slice) -> Arrays:
        """Returns views of the copies in a slice."""
        return Arrays(*(array[part] for array in self))


def nbytes(layout: Layout) -> int:
    """Returns the size of the arrays in bytes."""
    n, d, m, _ = layout
    return n * (8 * m + 8 + 4 * d + 3)


def arrays_in(buffer: Any, layout: Layout) -> Arrays:
    """Returns the arrays as views of a buffer of at least ``nbytes(layout)``; 8-byte types come first, so all align."""
    n, d, m, discrete = layout
    kinds: list[tuple[type, tuple[int, ...]]] = [(np.int64 if discrete else np.float64, (n, m)), (np.float64, (n,))]
    kinds += [(np.float32, (n, d)), *[(np.bool_, (n,))] * 3]
    arrays: list[np.ndarray] = []
    for kind, shape in kinds:
        arrays.append(np.ndarray(shape, kind, buffer, sum(array.nbytes for array in arrays)))
    return Arrays(*arrays)


class EnvBlock:
    """Some copies of one environment, created when they are first needed and kept for later episodes.

    Args:
        spec: Spec for ``gymnasium.make``. Its time limit is left out, since the rollout applies it.
    """

    def __init__(self, spec: gym.envs.registration.EnvSpec) -> None:
        self._spec = spec
        self._envs: list[gym.Env] = []

    def reset(self, seeds: np.ndarray, arrays: Arrays) -> None:
        """Starts an episode in each copy, with seeds (n,)."""
        while len(self._envs) < len(seeds):
            with _silent_stderr() if self._envs else contextlib.nullcontext():  # MuJoCo warns again for each copy
                self._envs.append(gym.make(self._spec, max_episode_steps=-1, disable_env_checker=True))
        self.restart(np.arange(len(seeds)), seeds, arrays)

    def restart(self, copies: np.ndarray, seeds: np.ndarray, arrays: Arrays) -> None:
        """Starts new episodes in the copies at positions (k,), with seeds (k,)."""
        for i, seed in zip(copies.tolist(), seeds.tolist(), strict=True):
            arrays.observations[i] = np.ravel(self._envs[i].reset(seed=seed)[0])
        arrays.terminated[copies] = arrays.truncated[copies] = False
        arrays.active[copies] = True

    def step(self, arrays: Arrays) -> None:
        """Steps each active copy once; the others get reward 0."""
        space = self._envs[0].action_space
        if isinstance(space, gym.spaces.Discrete):
            actions = (arrays.actions[:, 0] + space.start).tolist()
        else:
            assert isinstance(space, gym.spaces.Box)
            actions = arrays.actions.astype(space.dtype).reshape(-1, *space.shape)
        rewards, observations, terminated, truncated, active = arrays[1:]
        rewards[:] = 0
        for i in active.nonzero()[0].tolist():
            observation, rewards[i], terminated[i], truncated[i], _ = self._envs[i].step(actions[i])
            observations[i] = np.ravel(observation)
            if terminated[i] or truncated[i]:
                active[i] = False

    def close(self) -> None:
        """Closes every environment."""
        while self._envs:
            self._envs.pop().close()


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hides what is written to standard error, including by C libraries."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def serve(connection: Connection, memory: int) -> None:
    """Answers the parent's messages until it closes the pipe.

    The first message is a pickled function that returns the spec. From then on, an empty message means a step; any
    other holds the pickled arguments of a reset, ``(layout, part, seeds)``, or of a restart, ``(copies, seeds)``. The
    answer is empty on success; otherwise it describes the failure in one line, followed by a traceback.

    Args:
        connection: The pipe to the parent.
        memory: File descriptor of the shared memory.
    """
    block, arrays = EnvBlock(pickle.loads(connection.recv_bytes())()), None
    while True:
        message = connection.recv_bytes()
        try:
            told: Any = pickle.loads(message) if message else ()
            if len(told) == 3:
                layout, part, seeds = told
                arrays = arrays_in(mmap.mmap(memory, nbytes(Layout(*layout))), Layout(*layout)).rows(part)
                block.reset(seeds, arrays)
            else:
                assert arrays is not None
                if told:
                    copies, seeds = told
                    block.restart(copies, seeds, arrays)
                else:
                    block.step(arrays)
            answer = b""
        except Exception as error:
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            answer = f"{what}\n{traceback.format_exc()}".encode()
        connection.send_bytes(answer)


if __name__ == "__main__":
    try:
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
    except (EOFError, ConnectionError):
        os._exit(0)  # the parent is gone or done: nothing to save

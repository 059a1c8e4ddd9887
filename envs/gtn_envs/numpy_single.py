"""Steps, rewards and potentials of one copy in numpy, in few operations: on small arrays, each costs the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array


class NumpySingle:
    """Runs a program on one state in float32. Discrete actions are numbered from 0, Box actions are flat and raw.

    A call's results depend on its arguments alone; only work buffers are kept between calls.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        tanh = program.activation == "tanh"
        self._networks = _Network(program.levels, program.size, program.features, tanh)
        self._termination = None
        if program.termination is not None:
            self._termination = _Network(program.termination, program.size, 0, tanh)
        self._bounded = bool(np.isfinite([program.low, program.high]).any())
        self._features = list(np.eye(program.features + 1, program.features, -1, np.float32))  # of discrete actions

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles allocate their own buffers, since views of an array would come back as separate arrays."""
        return NumpySingle, (self.program,)

    def step(self, state: Array, action: Any) -> tuple[Array, float, bool]:
        """Takes one step.

        Args:
            state: (d,); not modified, and returned itself only without a transition.
            action: An integer, or an array (m,).

        Returns:
            Next state (d,), reward, and whether the copy terminated.
        """
        program = self.program
        if not program.transition:
            return state, self.reward(state, action), True
        size = program.size
        out = self._networks(state, self._features[action] if program.discrete else action)
        if program.reward_reads_action:
            reward = out.item(size)
        elif program.discrete:
            reward = self._action_reward(out[size:], action)
        else:
            reward = self._target_reward(out[size:], action)
        next_state = out[:size]
        if self._bounded:
            np.maximum(next_state, program.low, out=next_state)
            np.minimum(next_state, program.high, out=next_state)
        if self._termination is None:
            return next_state, reward, False
        return next_state, reward, self._termination(next_state).item() > 0

    def reward(self, state: Array, action: Any) -> float:
        """Returns the reward of an action (see ``step``) in a state (d,); only without a transition."""
        if self.program.reward_reads_action:
            return self._networks(state, self._features[action] if self.program.discrete else action).item()
        heads = self._networks(state)
        return self._action_reward(heads, action) if self.program.discrete else self._target_reward(heads, action)

    def potential(self, state: Array) -> float:
        """Returns the potential of a state (d,); only for the reward form in the mode ``potential``."""
        return self._networks(state).item()

    def _action_reward(self, heads: Array, action: int) -> float:
        reward = heads.item(action)
        return reward - max(heads.tolist()) if self.program.regret else reward

    def _target_reward(self, heads: Array, action: Array) -> float:
        """Returns -scale * |a_n - tanh(heads)|^2, where a_n is the action normalised to [-1, 1]."""
        program = self.program
        gaps = action * program.action_gain
        gaps += program.action_offset
        gaps -= np.tanh(heads)
        return -program.scale * float(gaps.dot(gaps))


class _Network:
    """The levels of a program, and a buffer for the inputs of each: the previous units, features, a 1 and a state."""

    def __init__(self, levels: tuple[Array, ...], size: int, features: int, tanh: bool) -> None:
        *hidden, self._last = levels
        inputs = size + 1 + features
        rooms = [np.zeros(width + inputs, np.float32) for width in [len(level) for level in hidden] or [0]]
        self._states, self._features = [], []
        for room in rooms:
            action, one, state = np.split(room[-inputs:], [features, features + 1])
            one[:] = 1
            self._states.append(state)
            self._features.append(action)
        sources = [rooms[0][-inputs:], *rooms]
        self._hidden = [
            (level, source, room[:-inputs], None if tanh else np.zeros(len(level), np.float32))
            for level, source, room in zip(hidden, sources, rooms, strict=False)
        ]
        self._source = rooms[-1]

    def __call__(self, state: Array, features: Array | None = None) -> Array:
        """Returns the outputs (out,) as a new array."""
        for place in self._states:
            place[...] = state
        if features is not None:
            for place in self._features:
                place[...] = features
        for level, source, target, zeros in self._hidden:
            level.dot(source, target)
            if zeros is None:
                np.tanh(target, out=target)
            else:
                np.maximum(target, zeros, out=target)  # twice as fast as with a scalar
        out: Array = self._last.dot(self._source)
        return out

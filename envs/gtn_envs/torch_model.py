"""The same steps as ``numpy_batch`` in torch, on any device; differentiable. torch is imported only when one is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class TorchModel:
    """Runs a program on a device; float32 throughout. Discrete actions are numbered from 0, Box actions are flat and raw.

    Args:
        program: What to run.
        device: Where, e.g. ``"cuda"``; the CPU if None.
    """

    def __init__(self, program: Program, device: str | torch.device | None = None) -> None:
        import torch

        self.program = program
        self.device = torch.device(device or "cpu")
        self._networks = [self._level(matrix, program.features) for matrix in program.levels]
        self._termination = [self._level(matrix, 0) for matrix in program.termination or ()]
        self._gain, self._offset = self._tensor(program.action_gain), self._tensor(program.action_offset)
        self._bounded = bool(np.isfinite([program.low, program.high]).any())
        self._low, self._high = self._tensor(program.low), self._tensor(program.high)
        self._activate = torch.tanh_ if program.activation == "tanh" else torch.relu_

    def step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Takes one step of a batch.

        Args:
            states: (n, d).
            actions: (n,) integers, or (n, m).

        Returns:
            Next states (n, d), rewards (n,), and whether each copy terminated (n,).
        """
        import torch

        program = self.program
        out = self._run(self._networks, states, actions)
        heads = out[:, program.size :] if program.transition else out
        if program.discrete:
            rewards = heads.gather(1, actions[:, None].long())[:, 0]
        else:
            gaps = actions * self._gain + self._offset - torch.tanh(heads)
            rewards = -program.scale * (gaps * gaps).sum(-1)
        if not program.transition:
            return states.clone(), rewards, torch.ones_like(rewards, dtype=torch.bool)
        next_states = out[:, : program.size].contiguous()  # for the same bits from the same state, always
        if self._bounded:
            next_states = next_states.clamp(self._low, self._high)
        if not self._termination:
            return next_states, rewards, torch.zeros_like(rewards, dtype=torch.bool)
        return next_states, rewards, self._run(self._termination, next_states, actions)[:, 0] > 0

    def _run(self, levels: list[_Level], states: Tensor, actions: Tensor) -> Tensor:
        """Returns the last level's outputs (n, out)."""
        import torch

        units = states[:, :0]
        for i, level in enumerate(levels):
            hidden = self._activate(units) if i else units
            out = level.shift[actions] if level.by_action else level.shift
            for operand, matrix in ((hidden, level.units), (states, level.state), (actions, level.action)):
                if matrix is not None:
                    out = torch.addmm(out, operand, matrix)
            units = out
        return units

    def _level(self, matrix: Array, features: int) -> _Level:
        """Cuts a level's matrix (out, units + inputs) into parts, and drops those that it does not use."""
        d = self.program.size
        units, action, one, state = np.split(matrix.T, [-d - 1 - features, -d - 1, -d])
        first, reads_action = not len(units), bool(action.any())
        by_action = reads_action and self.program.discrete
        return _Level(
            units=None if first else self._tensor(units),
            state=self._tensor(state) if first or state.any() else None,
            action=self._tensor(action) if reads_action and not by_action else None,
            shift=self._tensor(np.vstack([one, one + action]) if by_action else one[0]),
            by_action=by_action,
        )

    def _tensor(self, array: Array) -> Tensor:
        import torch

        return torch.tensor(array, device=self.device)


@dataclass(frozen=True)
class _Level:
    """A level's parts: matrices for the units of the level before, states and Box actions, and what is added to their sum.

    Attributes:
        units: (units, out); None in the first level.
        state: (d, out); None where it is zero, but in the first level.
        action: (m, out); None where it is zero, or actions are discrete.
        shift: (out,), or (m, out) with a row for each discrete action if ``by_action``.
        by_action: See ``shift``.
    """

    units: Tensor | None
    state: Tensor | None
    action: Tensor | None
    shift: Tensor
    by_action: bool

"""Steps many copies at once in numpy.

Copies are columns, in pieces of at most ``PIECE``: each number of the observation is a contiguous row, so that every
operation runs along memory, and a matrix product is small enough for BLAS not to repack its operands.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array

PIECE = 512
"""Copies per matrix product; timings are in benchmarks/README.md."""


class NumpyBatch:
    """Runs a program on n states in float32. Discrete actions are numbered from 0, Box actions are flat and raw.

    A call's results depend on its arguments alone; only work buffers are kept between calls.

    Args:
        program: Program to run.
        copies: n.
    """

    def __init__(self, program: Program, copies: int) -> None:
        self.program = program
        self._cut = _Cut(copies)
        tanh = program.activation == "tanh"
        self._networks = _Network(program.levels, program.size, program.features, tanh, self._cut)
        self._termination = None
        if program.termination is not None:
            self._termination = _Network(program.termination, program.size, 0, tanh, self._cut)
        # Repeated for each copy: numpy's maximum and minimum are several times slower with one number per row.
        self._low, self._high = (
            np.repeat(bound[:, None], copies, 1) if np.isfinite(bound).any() else None
            for bound in (program.low, program.high)
        )
        self._numbers = np.arange(1, program.features + 1)[:, None]
        piece, column = np.divmod(np.arange(copies), self._cut.width)
        outputs = len(program.levels[-1])
        self._first_head = (piece * outputs + program.size * program.transition) * self._cut.width + column

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles allocate their own buffers, since views of an array would come back as separate arrays."""
        return NumpyBatch, (self.program, self._cut.copies)

    def step(self, states: Array, actions: npt.NDArray[Any]) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Takes one step in each copy.

        Args:
            states: (n, d); fastest in Fortran order, as they are returned.
            actions: (n,) integers, or (n, m).

        Returns:
            Next states (n, d), rewards (n,), and whether each copy terminated (n,).
        """
        program, cut = self.program, self._cut
        out = self._networks(states.T, self._features(actions))  # (pieces, outputs, width)
        rewards = self._rewards(out, actions)
        if not program.transition:
            return states.copy("F"), rewards, np.ones(cut.copies, np.bool_)
        next_states = cut.together(out[:, : program.size])
        if self._low is not None:
            np.maximum(next_states, self._low, out=next_states)
        if self._high is not None:
            np.minimum(next_states, self._high, out=next_states)
        if self._termination is None:
            return next_states.T, rewards, np.zeros(cut.copies, np.bool_)
        return next_states.T, rewards, cut.together(self._termination(next_states))[0] > 0

    def _features(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Returns the action features (features, n)."""
        if not self.program.features:
            return None
        features: npt.NDArray[Any] = actions == self._numbers if self.program.discrete else actions.T
        return features

    def _rewards(self, out: Array, actions: npt.NDArray[Any]) -> Array:
        program = self.program
        if program.reward_reads_action:
            given: Array = self._cut.together(out[:, program.size * program.transition :])[0]
            return given
        if program.discrete:
            chosen: Array = out.reshape(-1).take(self._first_head + actions * self._cut.width)
            if program.regret:
                heads = self._cut.together(out[:, program.size * program.transition :])
                chosen -= functools.reduce(np.maximum, heads)  # several times as fast as heads.max(0)
            return chosen
        targets = self._cut.together(out[:, program.size * program.transition :])
        _tanh(targets)
        gaps = actions.T * program.action_gain[:, None]
        gaps += program.action_offset[:, None]
        gaps -= targets
        rewards: Array = np.einsum("ij,ij->j", gaps, gaps)
        rewards *= np.float32(-program.scale)
        return rewards


class _Cut:
    """Arranges copies 0 to n - 1 as columns of equally wide pieces; the end of the last piece may be unused."""

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.pieces = -(-copies // PIECE)
        self.width = -(-copies // self.pieces)
        self._whole, self._rest = divmod(copies, self.width)

    def apart(self, rows: npt.NDArray[Any], into: Array) -> None:
        """Writes rows (k, n) into pieces (pieces, k, width)."""
        into[: self._whole] = self._cut(rows)
        if self._rest:
            into[-1, :, : self._rest] = rows[:, -self._rest :]

    def together(self, pieces: Array) -> Array:
        """Returns pieces (pieces, k, width) as new rows (k, n)."""
        rows = np.empty((pieces.shape[1], self.copies), np.float32)
        self._cut(rows)[...] = pieces[: self._whole]
        if self._rest:
            rows[:, -self._rest :] = pieces[-1, :, : self._rest]
        return rows

    def _cut(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns a view of the columns that fill whole pieces, (whole pieces, k, width)."""
        whole = rows[:, : self._whole * self.width].reshape(len(rows), self._whole, self.width)
        view: npt.NDArray[Any] = whole.swapaxes(0, 1)
        return view


class _Network:
    """The levels of a program, and a buffer for the inputs of each: the previous units, features, a 1 and states."""

    def __init__(self, levels: tuple[Array, ...], size: int, features: int, tanh: bool, cut: _Cut) -> None:
        *hidden, self._last = levels
        inputs = size + 1 + features
        widths = [len(level) for level in hidden] or [0]
        rooms = [np.zeros((cut.pieces, width + inputs, cut.width), np.float32) for width in widths]
        for room in rooms:
            room[:, -size - 1] = 1
        self._cut = cut
        self._states = [room[:, -size:] for room in rooms]
        self._features = [room[:, -inputs : -size - 1] for room in rooms]
        sources = [rooms[0][:, -inputs:], *rooms]
        self._hidden = [
            (level, source, room[:, :-inputs], None if tanh else np.zeros((len(level), cut.width), np.float32))
            for level, source, room in zip(hidden, sources, rooms, strict=False)
        ]
        self._source = rooms[-1]

    def __call__(self, states: Array, features: npt.NDArray[Any] | None = None) -> Array:
        """Returns the outputs (pieces, out, width) for states (d, n) and features (features, n)."""
        for place in self._states:
            self._cut.apart(states, place)
        if features is not None:
            for place in self._features:
                self._cut.apart(features, place)
        for level, source, target, zeros in self._hidden:
            np.matmul(level, source, out=target)
            if zeros is None:
                _tanh(target)
            else:
                np.maximum(target, zeros, out=target)  # five times as fast as with a scalar
        out: Array = np.matmul(self._last, self._source)
        return out


def _tanh(x: Array) -> None:
    """Computes tanh in place: numpy's own if vectorised for AVX-512, else 1 - 2 / (exp(2x) + 1), within 2e-7 of it.

    numpy's own takes a third of the time of the formula with AVX-512, and five times as long with AVX2.
    """
    if _own_tanh_is_fast():
        np.tanh(x, out=x)
        return
    with np.errstate(over="ignore"):  # an infinite exponential gives 1
        x *= 2
        np.exp(x, out=x)
    x += 1
    np.divide(-2, x, out=x)
    x += 1


@functools.cache
def _own_tanh_is_fast() -> bool:
    introspect = getattr(np.lib, "introspect", None)  # since numpy 2.0
    if introspect is None:
        return False
    chosen = introspect.opt_func_info("^tanh$", "float32")["tanh"].get("ff", {})
    return chosen.get("current", "") in ("AVX512_SKX", "X86_V4")  # one target, renamed in numpy 2.4

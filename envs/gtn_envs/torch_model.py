"""The same steps as ``numpy_model`` in torch, on any device; differentiable. torch is imported only when one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gtn_envs.folding import Network, Program

if TYPE_CHECKING:
    import numpy.typing as npt
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
        self._networks = [self._tensors(network) for network in program.networks]
        self._termination = None if program.termination is None else self._tensors(program.termination)
        self._gain, self._offset = self._tensor(program.action_gain), self._tensor(program.action_offset)
        self._low = None if program.low is None else self._tensor(program.low)
        self._high = None if program.high is None else self._tensor(program.high)
        self._means, self._std = self._tensor(program.initial_means), self._tensor(program.initial_std)
        self._activation = torch.tanh if program.activation == "tanh" else torch.relu

    def initial(self, components: Tensor, noise: Tensor) -> Tensor:
        """Returns initial states (..., d) from component numbers (...) and standard normal noise (..., d)."""
        return self._clipped(self._means[components] + self._std * noise)

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
        out = torch.cat([self._run(network, states, actions) for network in self._networks], -1)
        heads = out[:, program.size :] if program.transition else out
        if program.discrete:
            rewards = heads.gather(1, actions[:, None].long())[:, 0]
        else:
            gaps = actions * self._gain + self._offset - torch.tanh(heads)
            rewards = -program.scale * (gaps * gaps).sum(-1)
        if not program.transition:
            return states.clone(), rewards, torch.ones_like(rewards, dtype=torch.bool)
        next_states = self._clipped(states + out[:, : program.size])
        if self._termination is None:
            return next_states, rewards, torch.zeros_like(rewards, dtype=torch.bool)
        return next_states, rewards, self._run(self._termination, next_states, None)[:, 0] > 0

    def _run(self, network: tuple[Any, ...], states: Tensor, actions: Tensor | None) -> Tensor:
        state, bias, action, later, by_action = network
        hidden: Tensor = states @ state + (bias[actions] if by_action == "row" else bias)
        if action is not None:
            hidden = hidden + actions @ action
        for weight, shift in later:
            hidden = self._activation(hidden) @ weight + shift
        return hidden

    def _clipped(self, states: Tensor) -> Tensor:
        return states if self._low is None and self._high is None else states.clamp(self._low, self._high)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        import torch

        return torch.tensor(array, device=self.device)

    def _tensors(self, network: Network) -> tuple[Any, ...]:
        action = None if network.action is None else self._tensor(network.action)
        later = [(self._tensor(weight), self._tensor(bias)) for weight, bias in network.later]
        return self._tensor(network.state), self._tensor(network.bias), action, later, network.by_action

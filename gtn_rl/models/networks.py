"""Multilayer perceptrons of a whole population: one flat vector per member, one batched matrix product per layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]
"""Weights ``(P, in, out)`` and biases ``(P, 1, out)`` of each layer, from input to output."""

Network = Callable[[Tensor], Tensor]
"""Maps ``(P, n, in)`` to ``(P, n, out)`` for a whole population."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


@dataclass(frozen=True)
class MLP:
    """The shape of a perceptron.

    Attributes:
        sizes: Widths from input to output.
        activation: Activation between layers, ``tanh`` or ``relu``.
        gains: Gain of each layer's orthogonal initial weights, with biases of 0; ``None`` draws weights and biases as
            ``torch.nn.Linear`` does.
    """

    sizes: tuple[int, ...]
    activation: str
    gains: tuple[float, ...] | None = None

    @property
    def parameters(self) -> int:
        """Number of parameters: the length of the flat vector."""
        return sum(self._lengths)

    @cached_property
    def _lengths(self) -> list[int]:
        """Numbers of weights and biases, alternating."""
        return [length for a, b in pairwise(self.sizes) for length in (a * b, b)]

    @cached_property
    def _shapes(self) -> list[tuple[int, int]]:
        """Shapes of the weights."""
        return list(pairwise(self.sizes))

    def layers(self, phi: Tensor) -> Layers:
        """Returns flat vectors ``(P, parameters)`` as layers, which are views of them."""
        # The derivative of one split is one concatenation; that of each slice would be a whole vector of zeros.
        pieces = torch.split_with_sizes(phi, self._lengths, dim=1)  # Tensor.split calls this, with more overhead
        return [
            (weight.view(-1, *shape), bias.unsqueeze(1))
            for weight, bias, shape in zip(pieces[::2], pieces[1::2], self._shapes, strict=True)
        ]

    def initial(self, generator: torch.Generator) -> Tensor:
        """Returns newly drawn weights and biases as a flat vector, shape ``(parameters,)``."""
        if self.gains is None:
            return torch.cat([_uniform(a, b, generator) for a, b in pairwise(self.sizes)])
        pieces = []
        for a, b, gain in zip(self.sizes, self.sizes[1:], self.gains, strict=False):
            pieces += [gain * orthogonal(a, b, generator).flatten(), torch.zeros(b)]
        return torch.cat(pieces)

    def of(self, phi: Tensor) -> Network:
        """Returns the network with flat vectors ``(P, parameters)``, which are split into layers once.

        In-place changes of phi, such as an optimizer's, change the network.
        """
        layers = self.layers(phi)
        return lambda x: forward(layers, x, self.activation)

    def __call__(self, phi: Tensor, x: Tensor) -> Tensor:
        """Maps ``(P, n, in)`` to ``(P, n, out)``, with flat vectors phi ``(P, parameters)``."""
        return self.of(phi)(x)


def actor_critic(inputs: int, outputs: int, hidden: Sequence[int], activation: str, head_gain: float) -> MLP:
    """Returns the perceptron of an on-policy agent, initialised as in Stable-Baselines3: hidden gain sqrt(2)."""
    gains = (*[math.sqrt(2)] * len(hidden), head_gain)
    return MLP((inputs, *hidden, outputs), activation, gains)


def off_policy(inputs: int, outputs: int, hidden: Sequence[int]) -> MLP:
    """Returns the perceptron of an off-policy agent, initialised as in Stable-Baselines3: by torch's defaults."""
    return MLP((inputs, *hidden, outputs), "relu")


def as_layers(values: Sequence[Tensor]) -> Layers:
    """Pairs weights ``(P, in, out)`` with biases ``(P, out)``, given alternately."""
    return [(weight, bias.unsqueeze(1)) for weight, bias in zip(values[::2], values[1::2], strict=True)]


def forward(layers: Layers, x: Tensor, activation: str) -> Tensor:
    """Maps ``(P, n, in)`` to ``(P, n, out)``."""
    act = ACTIVATIONS[activation]
    for weight, bias in layers[:-1]:
        x = act(torch.baddbmm(bias, x, weight))
    weight, bias = layers[-1]
    return torch.baddbmm(bias, x, weight)


def _uniform(inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    """Draws a layer's parameters uniformly within 1 / sqrt(inputs) of 0, shape ``((inputs + 1) * outputs,)``."""
    return (2 * torch.rand((inputs + 1) * outputs, generator=generator) - 1) / math.sqrt(inputs)


def orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Returns a random matrix with orthonormal rows or columns, whichever are fewer, shape ``(rows, columns)``."""
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    return q.contiguous() if rows >= columns else q.T.contiguous()

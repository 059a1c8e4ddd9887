"""Multilayer perceptrons of a whole population: one flat vector a member, one batched matrix product a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]
"""Weights ``(P, in, out)`` and biases ``(P, 1, out)``, from the input on."""

Network = Callable[[Tensor], Tensor]
"""A whole population's map of ``(P, n, in)`` to ``(P, n, out)``."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


@dataclass(frozen=True)
class MLP:
    """The shape of a perceptron.

    Attributes:
        sizes: Widths from input to output.
        activation: ``tanh`` or ``relu``, between layers.
        gains: Gain of each layer's orthogonal initial weights, biases starting at 0; ``None`` draws weights and biases as
            ``torch.nn.Linear`` does.
    """

    sizes: tuple[int, ...]
    activation: str
    gains: tuple[float, ...] | None = None

    @property
    def parameters(self) -> int:
        """Length of the flat vector."""
        return sum(self._lengths)

    @cached_property
    def _lengths(self) -> list[int]:
        """Lengths of weights and biases in turn."""
        return [length for a, b in pairwise(self.sizes) for length in (a * b, b)]

    @cached_property
    def _shapes(self) -> list[tuple[int, int]]:
        """Shapes of the weights."""
        return list(pairwise(self.sizes))

    def layers(self, phi: Tensor) -> Layers:
        """Returns views of flat vectors ``(P, parameters)`` as layers."""
        # One split, whose derivative is one concatenation; that of a slice would fill a whole vector with zeros.
        pieces = torch.split_with_sizes(phi, self._lengths, dim=1)  # which Tensor.split calls, late
        return [
            (weight.view(-1, *shape), bias.unsqueeze(1))
            for weight, bias, shape in zip(pieces[::2], pieces[1::2], self._shapes, strict=True)
        ]

    def initial(self, generator: torch.Generator) -> Tensor:
        """Returns a flat vector of fresh weights and biases, shape ``(parameters,)``."""
        if self.gains is None:
            return torch.cat([_uniform(a, b, generator) for a, b in pairwise(self.sizes)])
        pieces = []
        for a, b, gain in zip(self.sizes, self.sizes[1:], self.gains, strict=False):
            pieces += [gain * orthogonal(a, b, generator).flatten(), torch.zeros(b)]
        return torch.cat(pieces)

    def of(self, phi: Tensor) -> Network:
        """Returns the map with flat vectors ``(P, parameters)``, which are split into layers once.

        What is changed in phi in place, by an optimizer, changes the map.
        """
        layers = self.layers(phi)
        return lambda x: forward(layers, x, self.activation)

    def __call__(self, phi: Tensor, x: Tensor) -> Tensor:
        """Maps ``(P, n, in)`` to ``(P, n, out)`` with flat vectors ``(P, parameters)``."""
        return self.of(phi)(x)


def actor_critic(inputs: int, outputs: int, hidden: Sequence[int], activation: str, head_gain: float) -> MLP:
    """Returns the perceptron of an on-policy agent, initialised as Stable-Baselines3 does: hidden gain the root of 2."""
    gains = (*[math.sqrt(2)] * len(hidden), head_gain)
    return MLP((inputs, *hidden, outputs), activation, gains)


def off_policy(inputs: int, outputs: int, hidden: Sequence[int]) -> MLP:
    """Returns the perceptron of an off-policy agent, initialised as Stable-Baselines3 leaves it: as torch does."""
    return MLP((inputs, *hidden, outputs), "relu")


def as_layers(values: Sequence[Tensor]) -> Layers:
    """Pairs weights ``(P, in, out)`` and biases ``(P, out)``, given in turn."""
    return [(weight, bias.unsqueeze(1)) for weight, bias in zip(values[::2], values[1::2], strict=True)]


def forward(layers: Layers, x: Tensor, activation: str) -> Tensor:
    """Maps ``(P, n, in)`` to ``(P, n, out)``."""
    act = ACTIVATIONS[activation]
    for weight, bias in layers[:-1]:
        x = act(torch.baddbmm(bias, x, weight))
    weight, bias = layers[-1]
    return torch.baddbmm(bias, x, weight)


def _uniform(inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    """Draws a layer's weights and biases within one over the root of its inputs, shape ``((inputs + 1) * outputs,)``."""
    return (2 * torch.rand((inputs + 1) * outputs, generator=generator) - 1) / math.sqrt(inputs)


def orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Returns a random matrix with orthonormal rows or columns, whichever are fewer, shape ``(rows, columns)``."""
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    return q.contiguous() if rows >= columns else q.T.contiguous()

"""Weights shared by the architectures of a space: tensors are identified by name and by the part they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gtn_core.learner import Learner


def shared_names(module: nn.Module) -> list[str]:
    """Returns the shared name of each parameter within a search space, in the order of ``module.parameters()``.

    A choice is an element of a module list, e.g. the operation on an edge. Two architectures share a parameter if it
    has the same name in both and all parameters of the innermost list element around it have the same names and shapes.
    The norm after a 1x1 convolution therefore differs from that after a 3x3 convolution in the same place.
    """
    elements = [
        f"{name}.{index}"
        for name, child in module.named_modules()
        if isinstance(child, nn.ModuleList)
        for index in range(len(child))
    ]
    shapes = {name: "x".join(map(str, parameter.shape)) for name, parameter in module.named_parameters()}
    parts = {name: _innermost(name, elements) for name in shapes}
    makes: dict[str, list[str]] = defaultdict(list)
    for name, part in parts.items():
        makes[part].append(f"{name.removeprefix(part)}:{shapes[name]}")
    return [f"{name} of {','.join(makes[part])}" for name, part in parts.items()]


def _innermost(name: str, elements: Sequence[str]) -> str:
    """Returns the innermost list element that holds a parameter, or the parameter's own name if there is none."""
    return max((element for element in elements if name.startswith(f"{element}.")), key=len, default=name)


@dataclass(frozen=True)
class Borrowed:
    """An architecture with shared weights.

    Attributes:
        learner: The architecture as a pure learner.
        names: Shared names of its parameters.
        phi: The parameters, shape ``(D,)``.
        momenta: The optimizer's momentum buffer, shape ``(D,)``.
    """

    learner: Learner
    names: Sequence[str]
    phi: Tensor
    momenta: Tensor


class SharedWeights:
    """Tensors and their optimizer momenta by shared name; the set grows as more architectures are trained."""

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}
        self._momenta: dict[str, Tensor] = {}

    def lend(self, learner: Learner, names: Sequence[str]) -> Borrowed:
        """Returns an architecture with the shared values of its parameters; others keep their initial values."""
        initial = dict(zip(names, learner.parameters(learner.initial()).values(), strict=True))
        still = {name: torch.zeros_like(tensor) for name, tensor in initial.items()}
        return Borrowed(
            learner, names, _flat({**initial, **self._values}, names), _flat({**still, **self._momenta}, names)
        )

    def take_back(self, borrowed: Borrowed, phi: Tensor, momenta: Tensor) -> None:
        """Stores an architecture's updated parameters and momenta, each of shape ``(D,)``."""
        for kept, vector in ((self._values, phi), (self._momenta, momenta)):
            pieces = borrowed.learner.parameters(vector).values()
            kept.update((name, piece.clone()) for name, piece in zip(borrowed.names, pieces, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Returns all values and momenta in one dictionary."""
        values = {f"value/{name}": tensor for name, tensor in self._values.items()}
        return {**values, **{f"momentum/{name}": tensor for name, tensor in self._momenta.items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores what ``state`` returned."""
        for kind, kept in (("value/", self._values), ("momentum/", self._momenta)):
            kept.clear()
            kept.update((key.removeprefix(kind), tensor) for key, tensor in state.items() if key.startswith(kind))


def _flat(tensors: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.cat([tensors[name].reshape(-1) for name in names])

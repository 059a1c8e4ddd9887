"""A learner as a pure function of one flat parameter vector phi, made from any module without running buffers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gtn_core.device import send
from gtn_core.errors import UsageError
from gtn_core.norms import differentiate_statistics, statistic_names
from gtn_core.seeding import seeded

Statistics = tuple[Tensor, ...]
"""Outputs of a training step, besides its loss, that evaluation needs, e.g. the batch means of mean-only batch norm."""

Layout = Literal["contiguous", "channels_last"]


class Learner:
    """Turns a module into ``apply(phi, inputs) -> outputs``, with its batch statistics as an explicit input and output.

    S such learners can run side by side: phi then has the shape ``(S, D)``, and what belongs to a learner has S as its
    first axis.

    Args:
        module: Any module whose forward pass is a deterministic function of its parameters and input. It is copied. A
            parameter that several layers share occurs in phi once.
        layout: Memory layout of images and of the activations that follow from them.

    Raises:
        UsageError: The module keeps running statistics, has one of torch's batch norms or a layer that draws random
            numbers (draws in its own code are not detected), has a frozen parameter, or has no parameters.

    Attributes:
        size: D, the length of phi.
    """

    def __init__(self, module: nn.Module, layout: Layout = "contiguous") -> None:
        _refuse_impure(module)
        self._module = copy.deepcopy(module)
        first = {parameter: name for name, parameter in module.named_parameters()}
        self._shapes = {name: parameter.shape for parameter, name in first.items()}
        self._tied = {
            name: first[parameter]
            for prefix, child in module.named_modules()
            for name, parameter in child.named_parameters(prefix, recurse=False, remove_duplicate=False)
            if name != first[parameter]
        }
        self._sizes = [shape.numel() for shape in self._shapes.values()]
        self.layout = layout
        self.size = sum(self._sizes)
        self._statistics = statistic_names(self._module)
        differentiate_statistics(self._module, True)
        self._buffers = dict(self._module.named_buffers())  # a training step replaces the statistics

    def initial(self) -> Tensor:
        """Returns the module's own initial parameters, shape ``(D,)``."""
        return torch.cat([p.detach().reshape(-1) for p in self._module.parameters()])

    def fan_in(self) -> Tensor:
        """Returns the fan-in of each parameter (the inputs that its output sums), shape ``(D,)``; 1 for vectors."""
        counts = [float(shape[1:].numel()) for shape in self._shapes.values()]
        return torch.tensor(counts).repeat_interleave(torch.tensor(self._sizes))

    def parameters(self, phi: Tensor) -> dict[str, Tensor]:
        """Returns views of phi (shape ``(D,)``) by parameter name, as ``module.load_state_dict`` takes them."""
        pieces = phi.split(self._sizes)
        return {name: piece.view(shape) for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)}

    def apply(self, phi: Tensor, inputs: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, Statistics]:
        """Runs the module.

        Args:
            phi: Parameters, shape ``(D,)``, or ``(S, D)`` for S learners that all see the same inputs.
            inputs: A batch, e.g. images ``(N, C, H, W)``.
            statistics: Batch statistics to evaluate with; ``None`` takes (and returns) those of this batch.

        Returns:
            The module's outputs, and the statistics used; for S learners, each with a leading axis of length S.
        """
        if phi.dim() == 1:
            return self._apply(phi, inputs, statistics)
        return vmap(self._apply, in_dims=(0, None, None if statistics is None else 0))(phi, inputs, statistics)

    def _apply(self, phi: Tensor, inputs: Tensor, statistics: Statistics | None) -> tuple[Tensor, Statistics]:
        if self.layout == "channels_last" and inputs.dim() == 4:
            inputs = inputs.to(memory_format=torch.channels_last)  # contiguous() would not change one-channel images
        parameters = self.parameters(phi)
        tied = {name: parameters[first] for name, first in self._tied.items()}
        state: dict[str, Tensor] = {**parameters, **tied, **self._buffers_on(phi.device)}
        module = self._module
        if module.training != (statistics is None):
            module.train(statistics is None)
        if statistics is not None:
            state.update(zip(self._statistics, statistics, strict=True))
        outputs = functional_call(module, state, (inputs,), tie_weights=False)
        return outputs, tuple(state[name] for name in self._statistics)

    def module(self, phi: Tensor, statistics: Statistics) -> nn.Module:
        """Returns an ordinary module in evaluation mode that holds ``phi`` and ``statistics``."""
        module = copy.deepcopy(self._module)
        state = self.parameters(phi.detach()) | dict(zip(self._statistics, statistics, strict=True))
        module.load_state_dict({name: tensor.detach().clone() for name, tensor in state.items()}, strict=False)
        differentiate_statistics(module, False)
        return module.to(phi.device).eval()

    def _buffers_on(self, device: torch.device) -> dict[str, Tensor]:
        for name, tensor in self._buffers.items():
            if tensor.device != device:
                self._buffers[name] = send(tensor, device)
        return self._buffers


def fresh_learner(build: Callable[[], nn.Module], seed: int, layout: Layout = "contiguous") -> tuple[Learner, Tensor]:
    """Builds a learner whose initial parameters depend on ``seed`` alone.

    Args:
        build: Makes the module, drawing its parameters from torch's global generator (which is restored afterwards).
        seed: Seed of those draws.
        layout: See ``Learner``.

    Returns:
        The learner, and its initial parameters, shape ``(D,)``.
    """
    with seeded(seed):
        learner = Learner(build(), layout)
    return learner, learner.initial()


def _refuse_impure(module: nn.Module) -> None:
    if not any(True for _ in module.parameters()):
        raise UsageError(f"{type(module).__name__} has no parameters to learn")
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            raise UsageError(
                f"the parameter {name!r} is frozen, but all parameters of a learner are trained; make it a buffer"
            )
    for name, child in module.named_modules():
        where = f"{type(child).__name__} at {name!r}" if name else type(child).__name__
        tracks = getattr(child, "track_running_stats", False)
        if tracks or isinstance(child, nn.modules.batchnorm._BatchNorm):
            what = "keeps running statistics" if tracks else "uses batch statistics in evaluation"
            raise UsageError(
                f"{where} {what}, which a pure learner cannot; use gtn_core.norms.BatchNorm or MeanOnlyBatchNorm"
            )
        if _draws(child):
            raise UsageError(
                f"{where} draws random numbers, which the adjoint cannot repeat; set its dropout to 0 or remove it"
            )


def _draws(layer: nn.Module) -> bool:
    """Returns whether one of torch's layers draws random numbers in training."""
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        return layer.p > 0
    if isinstance(layer, nn.MultiheadAttention | nn.RNNBase):
        return layer.dropout > 0
    return isinstance(layer, nn.RReLU | nn.FractionalMaxPool2d | nn.FractionalMaxPool3d)

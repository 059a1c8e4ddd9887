"""A ranker that judges architectures with parameters predicted by a graph hypernetwork."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.annealing import half_cosine
from gtn_core.checkpoint import load_into, pack_optimizer, unpack_optimizer
from gtn_core.config import Positive, PositiveReal, config
from gtn_core.errors import DivergedError
from gtn_core.learner import Learner
from gtn_core.seeding import Streams, seeded
from gtn_sl.data import ImageTask
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.given_weights import GivenWeights
from gtn_sl.nas.rankers.graph_hypernetwork import GraphHypernetwork
from gtn_sl.nas.rankers.kept_training import FILE
from gtn_sl.nas.rankers.network_graph import network_graph
from gtn_sl.nas.rankers.protocol import RANKERS, Setting
from gtn_sl.nas.rankers.short_training import PLAN, Measure
from gtn_sl.nas.spaces import Space

CLIP = 1.0
"""Maximum gradient norm."""

DRAWN = 16
"""Random architectures, besides one per choice, from which the kinds of nodes in a space are collected."""


@RANKERS.register("hypernetwork")
@config
class Hypernetwork(GivenWeights):
    """Judges architectures with parameters that a graph hypernetwork predicts, without training them."""

    training_steps: Positive = 2000
    """Training steps of the hypernetwork, each on an architecture drawn from the space."""
    batch_size: Positive = 64
    """Images per step."""
    lr: PositiveReal = 0.005
    """Adam's initial learning rate, which decays to 0 with a cosine."""
    width: Positive = 32
    """Length of a node's state."""
    rounds: Positive = 4
    """Rounds of message passing between the nodes of a graph."""
    measure: Measure = "accuracy"
    """Measure on validation data: ``accuracy`` or ``loss``."""

    def training(self, setting: Setting) -> HypernetworkTraining:
        """See ``GivenWeights.training``."""
        return HypernetworkTraining(self, setting)


class Predicted(NamedTuple):
    """An architecture as a pure learner, and its predicted parameters, shape ``(D,)``."""

    learner: Learner
    phi: Tensor


class HypernetworkTraining:
    """The hypernetwork and its training; see ``kept_training.Training``.

    Args:
        ranker: The settings.
        setting: Space, task and training images.
    """

    def __init__(self, ranker: Hypernetwork, setting: Setting) -> None:
        self.steps, self._batch_size, self._setting = ranker.training_steps, ranker.batch_size, setting
        self._streams, self._lr = Streams(setting.seed), ranker.lr
        self._net = self._fresh(ranker)
        self._optimizer = torch.optim.Adam(self._net.parameters(), ranker.lr)

    def network(self, candidate: Candidate) -> Predicted:
        """Returns an architecture with its predicted parameters."""
        module = candidate.module(self._setting.task, 0)
        shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
        return Predicted(Learner(module, PLAN.layout), self._net(network_graph(module), shapes))

    def step(self, number: int) -> float:
        """Trains on one batch with one random architecture; see ``kept_training.Training``."""
        space = self._setting.space
        drawn = Candidate(space, space.sample(self._streams.numpy("hypernetwork-architecture", number)))
        learner, phi = self.network(drawn)
        images, labels = self._setting.batch(self._batch_size, self._streams.seed("hypernetwork-batch", number))
        logits, _ = learner.apply(phi, images)
        loss = F.cross_entropy(logits, labels)
        if not math.isfinite(value := float(loss.detach())):
            raise DivergedError(f"the hypernetwork's loss is {value} at step {number}: try a smaller lr")
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr * half_cosine(number / self.steps)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), CLIP)
        self._optimizer.step()
        return value

    def state(self) -> dict[str, Tensor]:
        """See ``kept_training.Training``."""
        net = {f"net/{name}": tensor for name, tensor in self._net.state_dict().items()}
        return {**net, **{f"adam/{name}": tensor for name, tensor in pack_optimizer(self._optimizer)[0].items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See ``kept_training.Training``."""
        net, adam = (
            {name.removeprefix(kind): tensor for name, tensor in state.items() if name.startswith(kind)}
            for kind in ("net/", "adam/")
        )
        load_into(self._net, net, Path(FILE))
        unpack_optimizer(self._optimizer, adam, {})

    def _fresh(self, ranker: Hypernetwork) -> GraphHypernetwork:
        kinds, roles, kernel = _vocabulary(self._setting.space, self._setting.task, self._streams)
        with seeded(self._streams.seed("hypernetwork")):
            return GraphHypernetwork(sorted(kinds), sorted(roles), kernel, ranker.width, ranker.rounds)


def _vocabulary(space: Space, task: ImageTask, streams: Streams) -> tuple[set[str], set[str], int]:
    """Returns the kinds of nodes and the parameter roles in a space, and the side of its largest kernel."""
    kinds, roles, kernel = set[str](), set[str](), 1
    for candidate in _typical(space, streams):
        module = candidate.module(task, 0)
        kinds |= set(network_graph(module).kinds)
        for name, parameter in module.named_parameters():
            roles.add(name.rpartition(".")[2])
            kernel = max(kernel, *parameter.shape[2:], 1)
    return kinds, roles, kernel


def _typical(space: Space, streams: Streams) -> Iterator[Candidate]:
    """Yields, for each option, an architecture with it (or the last one) everywhere, then ``DRAWN`` random ones."""
    for choice in range(max(space.choices)):
        yield Candidate(space, tuple(min(choice, count - 1) for count in space.choices))
    random = streams.numpy("hypernetwork-vocabulary")
    for _ in range(DRAWN):
        yield Candidate(space, space.sample(random))

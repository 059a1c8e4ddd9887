"""Long training of one architecture on real data, used for ground truths and for the winners of searches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.annealing import half_cosine
from gtn_core.config import NaturalReal, Positive, PositiveReal, Share, config
from gtn_core.errors import DivergedError
from gtn_core.seeding import Streams
from gtn_sl.data import AUGMENTATIONS, TaskData, shuffled_epochs
from gtn_sl.evaluation import accuracy_of
from gtn_sl.nas.auxiliary import AuxiliaryHead
from gtn_sl.nas.candidate import Candidate

AfterStep = Callable[[int, float, float], object]
"""Called with ``(steps done, loss of the last batch, its learning rate)``."""


@config
class FinalTraining:
    """How a network is trained: SGD with Nesterov momentum, linear warm-up and cosine decay to zero."""

    epochs: PositiveReal = 5.0
    """Passes over the training images; may be fractional."""
    batch_size: Positive = 128
    """Images per step."""
    lr: PositiveReal = 0.1
    """Learning rate after the warm-up."""
    momentum: Share = 0.9
    """Momentum."""
    weight_decay: NaturalReal = 5e-4
    """Weight decay of all parameters."""
    warm_up: Share = 0.1
    """Fraction of the steps over which the learning rate grows from 0."""
    augmentation: str = "none"
    """Data augmentation; see ``gtn_sl.data.augmentation``."""
    auxiliary: NaturalReal = 0.0
    """Weight of the loss of an auxiliary classifier at two thirds of the depth; 0 for none."""
    label_smoothing: Share = 0.0
    """Fraction of a label's probability that is spread over all classes."""
    clip: PositiveReal = 5.0
    """Largest gradient norm; larger gradients are scaled down to it."""
    statistics_images: Positive = 2048
    """Training images that provide the batch statistics with which the trained network is evaluated."""


@dataclass(frozen=True)
class Trained:
    """A trained network and its accuracy.

    Attributes:
        module: The network, in evaluation mode.
        validation: Accuracy on the validation split.
        test: Accuracy on the test split.
        train_loss: Mean training loss over the last tenth of the steps.
        steps: Number of steps.
        images: Number of training images seen, repeats included.
    """

    module: nn.Module
    validation: float
    test: float
    train_loss: float
    steps: int
    images: int


def train_finally(
    candidate: Candidate,
    data: TaskData,
    settings: FinalTraining,
    seed: int,
    after_step: AfterStep | None = None,
) -> Trained:
    """Trains one network; the result is a function of the arguments alone.

    Args:
        candidate: The architecture.
        data: The real task; only its train split is trained on.
        settings: How the network is trained.
        seed: Seed of the initial parameters, the order of the images and their augmentation.
        after_step: Called after each step.

    Raises:
        DivergedError: A training loss is not finite, or the trained network's outputs are NaN.
    """
    streams = Streams(seed)
    module = candidate.module(data.task, streams.seed("final-training-network"))
    head = AuxiliaryHead(module, data.task, streams.seed("auxiliary-head")) if settings.auxiliary else None
    losses = _steps(module, head, data, settings, streams, after_step)
    if head is not None:
        head.take_off()
    _take_statistics(module, data, settings.statistics_images)

    def classify(images: Tensor) -> Tensor:
        logits: Tensor = module(data.normalise(images).contiguous(memory_format=torch.channels_last))
        return logits

    return Trained(
        module,
        accuracy_of(classify, data.validation),
        accuracy_of(classify, data.test),
        float(losses[-max(1, len(losses) // 10) :].mean()),
        len(losses),
        len(losses) * settings.batch_size,
    )


def _steps(
    module: nn.Module,
    head: AuxiliaryHead | None,
    data: TaskData,
    settings: FinalTraining,
    streams: Streams,
    after_step: AfterStep | None,
) -> Tensor:
    """Takes all steps and returns their losses, shape ``(steps,)``."""
    total = max(1, round(settings.epochs * len(data.train) / settings.batch_size))
    parameters = [*module.parameters(), *(head.parameters() if head else ())]
    optimizer = torch.optim.SGD(
        parameters, settings.lr, settings.momentum, weight_decay=settings.weight_decay, nesterov=settings.momentum > 0
    )
    augment, variation = AUGMENTATIONS[settings.augmentation], streams.torch("augmentation")
    black, _ = data.task.value_range
    order = shuffled_epochs(len(data.train), total * settings.batch_size, streams.torch("order"))
    losses = torch.empty(total)
    for step, chosen in enumerate(order.split(settings.batch_size)):
        images = augment(data.normalise(data.train.images[chosen]), variation, black)
        labels = data.train.labels[chosen]
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _share_of_rate(step / total, settings.warm_up)
        optimizer.zero_grad()
        logits = module(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        whole = loss if head is None else loss + settings.auxiliary * head.loss(labels, settings.label_smoothing)
        whole.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        losses[step] = loss.detach()
        if not math.isfinite(losses[step]):
            raise DivergedError(f"the loss is {float(losses[step])} at step {step} of {total}")
        if after_step is not None:
            after_step(step + 1, float(losses[step]), optimizer.param_groups[0]["lr"])
    return losses


def _share_of_rate(done: float, warm_up: float) -> float:
    if done < warm_up:
        return min(1.0, (done + 1e-3) / warm_up)
    return half_cosine((done - warm_up) / (1 - warm_up))


def _take_statistics(module: nn.Module, data: TaskData, count: int) -> None:
    """Sets a module's batch statistics to those of the first training images and puts it into evaluation mode."""
    with torch.no_grad():
        module(data.normalise(data.train.images[:count]).contiguous(memory_format=torch.channels_last))
    module.eval()

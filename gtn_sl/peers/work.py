"""The work that every method is given: a convolutional learner, a teacher's data, a schedule and a real batch."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import WeightNormConv2d, WeightNormLinear
from gtn_core.learner import Learner, Statistics
from gtn_core.norms import MeanOnlyBatchNorm, differentiate_statistics
from gtn_core.second_order import Batch
from gtn_core.seeding import seeded
from gtn_sl.learners import architecture

WIDTHS = {"narrow": (16, 32, 64), "wide": (64, 128, 256)}
FORMS = ("plain", "folded", "named")
LAYOUTS = ("contiguous", "channels_last")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}
"""Type of parameters and data; bf16 means autocast around the forward pass, with float32 parameters."""

CLASSES = 10


@dataclass(frozen=True)
class Task:
    """What one measurement measures; ``dataclasses.asdict`` of it is its row in the JSON report.

    Attributes:
        method: A name in ``METHODS``.
        learner: A name in ``WIDTHS``; if the form is ``named``, that of an architecture, e.g. ``base_fc:16,32,64``.
        form: ``plain`` (convolution, then pooling), ``folded`` (our ``base_fc``: pooling within the convolution) or
            ``named``.
        steps: Number of inner steps, T.
        batch: Synthetic images per step, B.
        precision: A name in ``PRECISIONS``.
        layout: A name in ``LAYOUTS``.
        image: Shape of an image, (C, H, W), H and W multiples of four.
        device: Device to compute on.
        real: Size of the batch of real data; ``None`` for B.
    """

    method: str
    learner: str
    form: str
    steps: int
    batch: int
    precision: str
    layout: str
    image: tuple[int, int, int] = (1, 28, 28)
    device: str = "cpu"
    real: int | None = None


class Gradients(NamedTuple):
    """The meta-gradient, one tensor per kind of input.

    Attributes:
        x: Gradient with respect to the images, shape ``(T, B, C, H, W)``.
        y: With respect to the soft labels, shape ``(T, B, 10)``.
        lr: With respect to the learning rates, shape ``(T,)``.
        momentum: With respect to the momenta, shape ``(T,)``, or ``()`` if a method has one momentum for all steps.
        phi: With respect to the initial parameters, shape ``(D,)``.
    """

    x: Tensor
    y: Tensor
    lr: Tensor
    momentum: Tensor
    phi: Tensor


class Work:
    """The inputs of one meta-gradient, drawn from a fixed seed, and its two losses.

    Args:
        task: What to build.
        shared_momentum: Whether all steps share one momentum, instead of one that grows from step to step.
    """

    def __init__(self, task: Task, *, shared_momentum: bool = False) -> None:
        self.task, dtype = task, PRECISIONS[task.precision]
        random = torch.Generator().manual_seed(0)
        with seeded(0):
            self._module = build(task).to(task.device, dtype)
        T, B = task.steps, task.batch
        momentum = torch.full((), 0.5) if shared_momentum else torch.linspace(0.3, 0.6, T)

        def put(tensor: Tensor) -> Tensor:
            return tensor.to(task.device, dtype)

        self.x = put(torch.randn(T, B, *task.image, generator=random, dtype=dtype)).requires_grad_()
        self.y = put(torch.randn(T, B, CLASSES, generator=random, dtype=dtype).softmax(-1)).requires_grad_()
        self.lr = put(torch.linspace(0.01, 0.02, T, dtype=dtype)).requires_grad_()
        self.momentum = put(momentum).requires_grad_()
        N = task.real or B
        self._real_x = put(torch.randn(N, *task.image, generator=random, dtype=dtype))
        self._real_y = torch.randint(CLASSES, (N,), generator=random).to(task.device)

    @property
    def steps(self) -> int:
        """Number of inner steps, T."""
        return self.task.steps

    def module(self) -> nn.Module:
        """Returns a new learner, always with the same initial parameters, in training mode."""
        module = copy.deepcopy(self._module)
        differentiate_statistics(module, True)
        return module if self.task.layout == "contiguous" else module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def call(self, forward: Callable[[Tensor], Any], x: Tensor) -> Any:
        """Runs ``forward(x)`` in the task's precision and layout."""
        if self.task.layout == "channels_last":
            x = x.to(memory_format=torch.channels_last)  # `contiguous` would leave one-channel images as they are
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.task.precision == "bf16"):
            return forward(x)

    @functools.cached_property
    def learner(self) -> Learner:
        """The learner as a pure function, made once."""
        return Learner(self.module())

    def step_loss(self, phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics]:
        """Returns the loss of an inner step of ``learner``, and its statistics."""
        logits, statistics = self.call(functools.partial(self.learner.apply, phi), batch[0])
        return self.inner_loss(logits, batch[1]), statistics

    def inner_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the cross-entropy with soft labels."""
        return -(labels * logits.to(labels.dtype).log_softmax(-1)).sum(-1).mean()

    def meta_loss(self, forward: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns the cross-entropy of ``forward`` on real data; ``forward`` must use the last synthetic statistics."""
        return F.cross_entropy(self.call(forward, self._real_x).to(self.x.dtype), self._real_y)


def build(task: Task) -> nn.Module:
    """Returns the task's learner with fresh parameters."""
    if task.form != "plain":
        name = task.learner if task.form == "named" else "base_fc:" + ",".join(map(str, WIDTHS[task.learner]))
        return architecture(name).module(task.image, CLASSES)
    conv1, conv2, fc = WIDTHS[task.learner]
    channels, height, width = task.image
    return nn.Sequential(
        *_block(channels, conv1),
        *_block(conv1, conv2),
        nn.Flatten(),
        WeightNormLinear(conv2 * (height // 4) * (width // 4), fc),
        MeanOnlyBatchNorm(fc),
        nn.LeakyReLU(0.1),
        WeightNormLinear(fc, CLASSES),
    )


def _block(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        WeightNormConv2d(channels_in, channels_out, 3),
        nn.AvgPool2d(3, stride=2, padding=1),
        MeanOnlyBatchNorm(channels_out),
        nn.LeakyReLU(0.1),
    ]

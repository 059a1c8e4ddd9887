"""How a step is computed on this machine: layout, precision, back-end, kept graphs. ``planning.choice`` chooses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from gtn_core.config import Natural, config
from gtn_core.learner import Layout
from gtn_core.planning.execution import Execution
from gtn_core.second_order import Backend, Batch, InnerLoss

Precision = Literal["float32", "bfloat16"]


@config
class StepPlan:
    """How a step and its adjoint are computed; every plan computes the same thing, up to its precision."""

    layout: Layout = "contiguous"
    """Memory layout of images and feature maps."""
    precision: Precision = "float32"
    """Arithmetic of the learner; parameters and optimizer state are float32 in either case."""
    backend: Backend = "reverse"
    """How second-order terms are computed for steps without a kept graph."""
    keep_last_k: Natural = 0
    """Number of last steps whose graph is kept from the forward pass; saves time and costs memory."""
    execution: Execution = "eager"
    """How the calls of steps without a kept graph are run; ``captured`` needs a GPU."""
    judge_chunk: Natural = 0
    """Number of real images that a learner is judged on at a time; 0 for all. Fewer take less memory."""

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Returns the context in which a learner's forward pass runs."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def describe(self) -> str:
        """Returns the plan in a few words."""
        execution = "" if self.execution == "eager" else f" {self.execution}"
        return f"{self.layout} {self.precision} {self.backend}{execution}, {self.keep_last_k} graphs kept"


Probe = Callable[[StepPlan], tuple[InnerLoss, Tensor, Batch]]
"""``plan -> (inner loss, phi, a batch)``: one inner step, built for the plan."""


def has_bfloat16_units(device: torch.device) -> bool:
    """Returns whether bfloat16 is worth timing: emulated, a step can take as long as a hundred in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public ones
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def cosine(a: list[Tensor], b: list[Tensor]) -> float:
    """Returns the cosine between two gradients, each a list of tensors."""
    x, y = (torch.cat([tensor.flatten().double() for tensor in side]) for side in (a, b))
    return float(torch.nn.functional.cosine_similarity(x, y, dim=0))

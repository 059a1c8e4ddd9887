"""How the calls of an inner step are run: operation by operation, as a compiled function, or as a CUDA graph.

Both calls of a step are pure functions of tensors, including gradients and second-order terms. So they can be traced as
a whole, where compiling *through* a double backward is not possible, or captured as a CUDA graph, which is launched at
once. Either is done once for every inner loss and for every shape of its inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Literal, Protocol

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from gtn_core.errors import DeviceError
from gtn_core.learner import Statistics
from gtn_core.memory.allocation import clear_on_release
from gtn_core.registry import Registry
from gtn_core.second_order import Backend, Batch, InnerLoss, Step, first_order, second_order

Execution = Literal["eager", "compiled", "captured"]

Flat = Callable[..., tuple[Tensor, ...]]
"""A function of tensors only."""

Prepare = Callable[[Flat, tuple[Tensor, ...]], Flat]
"""``(function, inputs) -> an equivalent function``, faster for inputs like these."""

WARM_UP = 3
"""Runs before a capture, in which libraries allocate memory and choose their kernels."""


class StepCalls(Protocol):
    """The two calls of an inner step; see ``first_order`` and ``second_order``."""

    def first(self, phi: Tensor, batch: Batch, *, keep: bool = False) -> Step:
        """See ``first_order``."""

    def second(
        self, phi: Tensor, batch: Batch, u: Tensor, w: Statistics, q: Tensor | None, backend: Backend, step: Step | None
    ) -> tuple[Tensor, Batch]:
        """See ``second_order``."""


class EagerCalls:
    """Runs operation by operation."""

    def __init__(self, loss: InnerLoss) -> None:
        self._loss = loss

    def first(self, phi: Tensor, batch: Batch, *, keep: bool = False) -> Step:
        """See ``first_order``."""
        return first_order(self._loss, phi, batch, keep=keep)

    def second(
        self, phi: Tensor, batch: Batch, u: Tensor, w: Statistics, q: Tensor | None, backend: Backend, step: Step | None
    ) -> tuple[Tensor, Batch]:
        """See ``second_order``."""
        return second_order(self._loss, phi, batch, u, w, q, backend=backend, step=step)


class PreparedCalls(EagerCalls):
    """Runs functions prepared for inputs of the same shapes; steps whose graph is kept run eagerly.

    Args:
        loss: The inner loss.
        prepare: Prepares a function.
    """

    def __init__(self, loss: InnerLoss, prepare: Prepare) -> None:
        super().__init__(loss)
        self._prepare = prepare
        self._ready: dict[Hashable, Flat] = {}
        self._has_progress = False

    def first(self, phi: Tensor, batch: Batch, *, keep: bool = False) -> Step:
        """See ``first_order``."""
        if keep:
            return super().first(phi, batch, keep=True)
        value, grad, *rest = self._run(("first",), self._flat_first, (phi, *batch))
        progress = rest.pop() if self._has_progress else None
        return Step(value, grad, tuple(rest), progress, None)

    def second(
        self, phi: Tensor, batch: Batch, u: Tensor, w: Statistics, q: Tensor | None, backend: Backend, step: Step | None
    ) -> tuple[Tensor, Batch]:
        """See ``second_order``."""
        if step is not None and step.graph is not None:
            return super().second(phi, batch, u, w, q, backend, step)
        n, has_progress = len(batch), q is not None

        def flat(phi: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
            w, q = (more[n + 1 : -1], more[-1]) if has_progress else (more[n + 1 :], None)
            by_phi, by_batch = second_order(self._loss, phi, more[:n], more[n], w, q, backend=backend)
            return by_phi, *by_batch

        inputs = (phi, *batch, u, *w, *([] if q is None else [q]))
        by_phi, *by_batch = self._run(("second", backend, n, has_progress), flat, inputs)
        return by_phi, tuple(by_batch)

    def _flat_first(self, phi: Tensor, *batch: Tensor) -> tuple[Tensor, ...]:
        step = first_order(self._loss, phi, batch)
        self._has_progress = step.progress is not None
        return step.loss, step.grad, *step.statistics, *([] if step.progress is None else [step.progress])

    def _run(self, name: tuple[Hashable, ...], function: Flat, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        key = (*name, *((x.shape, x.stride(), x.dtype, x.device) for x in inputs))
        if key not in self._ready:
            self._ready[key] = self._prepare(function, inputs)
        return self._ready[key](*inputs)


def traced(function: Flat, inputs: tuple[Tensor, ...]) -> fx.GraphModule:
    """Returns all that a function does with inputs like these, including its gradients, as one graph of operations."""
    function(*inputs)  # keeps out of the graph what is made at first use, e.g. constants on the device
    graph = make_fx(function)(*(x.detach() for x in inputs))
    graph.graph.eliminate_dead_code()  # forward-mode differentiation leaves shape checks behind
    graph.recompile()
    return graph


def compiled(function: Flat, inputs: tuple[Tensor, ...], *, compiler: str = "inductor") -> Flat:
    """Traces and compiles a function; ``compiler`` is a back-end of ``torch.compile``."""
    run = torch.compile(traced(function, inputs), backend=compiler, fullgraph=True, dynamic=False)

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(run(*inputs))

    return call


def captured(function: Flat, inputs: tuple[Tensor, ...]) -> Flat:
    """Captures a CUDA graph; inputs are copied to the buffers that it reads, and results are copied out.

    Raises:
        DeviceError: The inputs are not on a GPU.
    """
    device = inputs[0].device
    if device.type != "cuda":
        raise DeviceError(f"steps can be captured only on a GPU, not on {device}; set compute.plan.execution=eager")
    with torch.cuda.device(device):
        fixed = [x.detach().clone() for x in inputs]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                function(*fixed)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = function(*fixed)

    def replay(*inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.cuda.device(device), torch.no_grad():
            torch._foreach_copy_(fixed, list(inputs))
            graph.replay()
            return tuple(result.clone() for result in results)

    return replay


EXECUTIONS: Registry[Callable[[InnerLoss], StepCalls]] = Registry("execution")
EXECUTIONS.register("eager")(EagerCalls)
EXECUTIONS.register("compiled")(lambda loss: PreparedCalls(loss, compiled))
EXECUTIONS.register("captured")(lambda loss: PreparedCalls(loss, captured))


def step_calls(loss: InnerLoss, execution: Execution) -> StepCalls:
    """Returns the calls of an inner loss; caches those prepared for the last two losses until memory is released."""
    return EagerCalls(loss) if execution == "eager" else _prepared(loss, execution)


@functools.lru_cache(maxsize=2)
def _prepared(loss: InnerLoss, execution: Execution) -> StepCalls:
    return EXECUTIONS[execution](loss)


clear_on_release(_prepared.cache_clear)  # each captured graph has memory of its own

"""Predicts how much memory an outer step takes, and what it gives up if that is too much.

An inner loop keeps parameters, optimizer state and batch of every step, and the graphs of the last k. On top of these
comes what one call needs while it runs. Each call is measured once, at its actual size; T, k and the number of real
samples judged at a time then enter by arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_core.inner_optim import InnerOptimizer
from gtn_core.learner import Statistics
from gtn_core.memory.peak import held_bytes, peak_bytes
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import Batch, InnerLoss, first_order, second_order

SPARE = 0.6
"""Share of free memory that an outer step may use: glibc's allocator was seen to hold half as much again."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes of an inner step under one plan.

    Attributes:
        history: What the backward sweep needs of a step: parameters, state, and the gradient if the optimizer reads it.
        batch: The step's batch.
        graph: What a kept graph holds.
        forward: Peak of a step without a graph.
        forward_kept: Peak of a step whose graph is kept, including the graph.
        backward: Peak of the adjoint of a step whose graph must be rebuilt.
        backward_kept: Peak of the adjoint of a step with a kept graph, without the graph.
    """

    history: int
    batch: int
    graph: int
    forward: int
    forward_kept: int
    backward: int
    backward_kept: int


@dataclass(frozen=True)
class OuterMemory:
    """Bytes of an outer step.

    Attributes:
        step: Bytes of an inner step.
        steps: T.
        base: What is held throughout: real batches, the sum of the teacher's gradients, the learner.
        theta: The teacher's gradients of this episode, held from the first differentiated batch on.
        teacher: Peak of generating a batch a second time and differentiating it, including these gradients.
        judge_fixed: Peak of judging a learner, without the part that each sample adds.
        judge_sample: What each real sample adds to it.
        samples: Number of real samples in the largest batch.
    """

    step: StepMemory
    steps: int
    base: int
    theta: int
    teacher: int
    judge_fixed: int
    judge_sample: float
    samples: int

    def peak(self, keep_last_k: int, judge_chunk: int = 0) -> int:
        """Returns by how many bytes an outer step raises memory at its peak.

        Args:
            keep_last_k: Number of last steps whose graph is kept; capped at T.
            judge_chunk: Number of real samples judged at a time; 0 for all.
        """
        step, k = self.step, min(keep_last_k, self.steps)
        each = step.history + step.batch
        whole = self.base + (self.steps + 1) * each  # at the turn from forward to backward
        adjoints = 2 * step.history + step.batch
        calls = [
            max(0, k - 1) * step.graph + (step.forward_kept if k else step.forward),
            k * step.graph + self._judge(judge_chunk),
            adjoints + (k * step.graph + step.backward_kept if k else step.backward),
            adjoints + max(0, k - 1) * step.graph + self.teacher,
        ]
        if self.steps > 1:  # the second batch of the backward sweep
            calls.append(adjoints + max(0, k - 2) * step.graph + self.teacher + self.theta - each)
        if k < self.steps:  # the first step whose graph must be rebuilt
            calls.append(adjoints + step.backward - k * each + (self.theta if k else 0))
        return whole + max(calls)

    def _judge(self, chunk: int) -> int:
        samples = min(chunk or self.samples, self.samples)
        return int(self.judge_fixed + self.judge_sample * samples)


def fit(memories: Iterable[OuterMemory], plan: StepPlan, budget: int) -> StepPlan:
    """Returns the plan with as many graphs kept, and as many real samples judged at a time, as a budget allows.

    Args:
        memories: The memory of each learner that may be drawn; the largest counts.
        plan: How steps are computed; its own values of these two are ignored.
        budget: Bytes that an outer step may take.
    """
    memories = list(memories)

    def peak(k: int, chunk: int) -> int:
        return max(memory.peak(k, chunk) for memory in memories)

    chunk, k = 0, memories[0].steps
    while k and peak(k, 0) > budget:
        k -= 1
    if not k:
        half = max(memory.samples for memory in memories) // 2
        while half and peak(0, chunk) > max(budget, peak(0, 1)):
            chunk, half = half, half // 2
    return dataclasses.replace(plan, keep_last_k=k, judge_chunk=chunk)


def measure_step(loss: InnerLoss, optimizer: InnerOptimizer, phi: Tensor, batch: Batch, plan: StepPlan) -> StepMemory:
    """Measures the memory of each call of an inner step.

    Args:
        loss: The inner loss, built for the plan.
        optimizer: Inner optimizer.
        phi: Parameters, shape ``(D,)``.
        batch: A batch of the actual size.
        plan: Determines the back-end.
    """
    device, state = phi.device, optimizer.init(phi)
    kept = first_order(loss, phi, batch, keep=True)

    def back(step: object) -> Callable[[], object]:
        return lambda: second_order(loss, phi, batch, phi, (), backend=plan.backend, step=step)  # type: ignore[arg-type]

    vectors = [phi, *state, *([phi] if optimizer.pull_back_needs_grad else [])]
    return StepMemory(
        history=sum(vector.nbytes for vector in vectors),
        batch=sum(part.nbytes for part in batch),
        graph=held_bytes(lambda: first_order(loss, phi, batch, keep=True), device),
        forward=peak_bytes(lambda: first_order(loss, phi, batch), device),
        forward_kept=peak_bytes(lambda: first_order(loss, phi, batch, keep=True), device),
        backward=peak_bytes(back(None), device),
        backward_kept=peak_bytes(back(kept), device),
    )


def measure_judge(
    judge: Callable[[Tensor, Statistics, Batch], Tensor], phi: Tensor, statistics: Statistics, batch: Batch
) -> tuple[int, float]:
    """Returns the peak bytes of judging a learner, as a fixed part and a part per sample, from a batch and half of it.

    Args:
        judge: ``(phi, statistics, batch) -> mean loss``.
        phi: Parameters, shape ``(D,)``.
        statistics: Batch statistics to evaluate with.
        batch: Real samples, at least two.
    """

    def peak(samples: int) -> int:
        part = tuple(tensor[:samples] for tensor in batch)

        def work() -> object:
            inputs = tuple(x.detach().requires_grad_() for x in (phi, *statistics))
            value = judge(inputs[0], inputs[1:], part)
            return torch.autograd.grad(value, inputs, materialize_grads=True, allow_unused=True)

        return peak_bytes(work, phi.device)

    samples = len(batch[0])
    half, whole = peak(samples // 2), peak(samples)
    each = (whole - half) / (samples - samples // 2)
    return max(0, int(whole - each * samples)), each

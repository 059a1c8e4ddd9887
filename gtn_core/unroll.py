"""The inner loop and its exact adjoint, a reverse sweep over stored parameters instead of one graph across all steps.

A loss may be the sum over S learners side by side, on the same batches; phi then has the shape ``(S, D)``, and so has
its gradient, one row per learner.

The forward pass keeps ``(phi_t, state_t)`` of every step and no graph. The backward sweep carries ``v = dL/dphi_t`` and
the adjoint of the optimizer's state; each step needs one call of ``second_order``. ``docs/adjoint.md`` derives it. The
results are gradients with respect to the teacher's data, the schedule and the initial parameters, so that the teacher
that made the data can be differentiated afterwards, batch by batch. In a closed loop a batch depends on the learner's
progress in the step before, and a third adjoint comes back through the teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gtn_core.errors import DivergedError
from gtn_core.inner_optim import InnerOptimizer, State
from gtn_core.learner import Statistics
from gtn_core.meta_loss import MetaLoss, parts_of
from gtn_core.planning.execution import Execution, step_calls
from gtn_core.second_order import Backend, Batch, InnerLoss, Step

TakeBatchGradient = Callable[[int, Tensor | None, Batch], Tensor | None]
"""``(t, progress that batch t was made for, gradients wrt batch t) -> gradient wrt that progress``, or ``None``."""


@dataclass(frozen=True)
class InnerLoop:
    """An inner loop: a learner, its optimizer and schedule, and the batches that it is trained on.

    Attributes:
        loss: Loss of an inner step.
        optimizer: Inner optimizer.
        phi: Initial parameters, shape ``(D,)``, or ``(S, D)`` for learners side by side.
        batch_at: ``(t, progress) -> batch`` of step t, called once per step, in order and without a graph. The progress
            is that returned by step t - 1; ``None`` before the first step, and if the loss returns none.
        lr: Learning rates, shape ``(T,)``.
        momentum: Momenta, shape ``(T,)``.
    """

    loss: InnerLoss
    optimizer: InnerOptimizer
    phi: Tensor
    batch_at: Callable[[int, Tensor | None], Batch]
    lr: Tensor
    momentum: Tensor

    @property
    def steps(self) -> int:
        """T, the number of inner steps."""
        return len(self.lr)


@dataclass
class Trajectory:
    """The result of a forward pass.

    Attributes:
        phi: Parameters before each step and after the last, each ``(D,)``, or ``(S, D)`` for learners side by side;
            only the last if no history was kept.
        states: Optimizer states, aligned with ``phi``.
        statistics: Statistics returned by step t, at index ``t``; only the last if no history was kept.
        losses: Inner loss before each step, the mean over learners side by side, shape ``(T,)``.
        batches: Batch t and the progress that it was made for, at index ``t``; empty if no history was kept.
        grads: Gradient of step t, at index ``t``; empty if no history was kept, or if the optimizer's pull-back does
            not read it.
        kept: Steps with a kept graph, by t.
    """

    phi: list[Tensor]
    states: list[State]
    statistics: list[Statistics]
    losses: Tensor
    batches: list[tuple[Batch, Tensor | None]] = field(default_factory=list)
    grads: list[Tensor] = field(default_factory=list)
    kept: dict[int, Step] = field(default_factory=dict)

    @property
    def final(self) -> Tensor:
        """The trained parameters, shape ``(D,)`` or ``(S, D)``."""
        return self.phi[-1]


@dataclass
class MetaGradient:
    """The results of the adjoint.

    Attributes:
        meta_loss: Weighted sum of the meta-losses.
        meta_losses: Each meta-loss, by the number of inner steps that it was taken after.
        losses: Inner losses, shape ``(T,)``.
        phi: Gradient with respect to the initial parameters, of their shape.
        lr: Gradient with respect to the learning rates, shape ``(T,)``.
        momentum: Gradient with respect to the momenta, shape ``(T,)``.
    """

    meta_loss: Tensor
    meta_losses: dict[int, Tensor]
    losses: Tensor
    phi: Tensor
    lr: Tensor
    momentum: Tensor


def run(
    loop: InnerLoop,
    *,
    history: bool = False,
    keep_last_k: int = 0,
    execution: Execution = "eager",
    after_step: Callable[[int, Tensor, Statistics], None] | None = None,
) -> Trajectory:
    """Trains a learner for T inner steps.

    Args:
        loop: The inner loop.
        history: Whether to keep what ``meta_gradient`` needs.
        keep_last_k: Number of last steps whose graph is kept; each saves the backward sweep a forward and a backward
            pass.
        execution: How the step's calls are run; see ``gtn_core.planning.execution``.
        after_step: Called with ``(steps done, phi, statistics)`` after each step.

    Raises:
        DivergedError: An inner loss is not finite.
    """
    phi, state = loop.phi.detach(), loop.optimizer.init(loop.phi.detach())
    trail = Trajectory([phi], [state], [], torch.empty(0))
    losses: list[Tensor] = []
    progress: Tensor | None = None
    calls = step_calls(loop.loss, execution)
    with torch.no_grad():
        for t in range(loop.steps):
            batch = loop.batch_at(t, progress)
            step = calls.first(phi, batch, keep=history and t >= loop.steps - keep_last_k)
            phi, state = loop.optimizer.update(phi, step.grad, state, loop.lr[t].detach(), loop.momentum[t].detach())
            losses.append(step.loss)
            if not history:
                for passed in (trail.phi, trail.states, trail.statistics):
                    passed.clear()
            else:
                trail.batches.append((batch, progress))
                if step.graph is not None:
                    trail.kept[t] = step
                if loop.optimizer.pull_back_needs_grad:
                    trail.grads.append(step.grad)
            trail.phi.append(phi)
            trail.states.append(state)
            trail.statistics.append(step.statistics)
            progress = step.progress
            if after_step is not None:
                after_step(t + 1, phi, step.statistics)
    trail.losses = torch.stack(losses) / (len(phi) if phi.dim() > 1 else 1)
    _refuse_divergence(trail.losses)
    return trail


def meta_gradient(
    loop: InnerLoop,
    meta_loss: MetaLoss,
    weights: Mapping[int, float],
    take_batch_gradient: TakeBatchGradient,
    *,
    backend: Backend = "reverse",
    keep_last_k: int = 0,
    execution: Execution = "eager",
    judge_chunk: int = 0,
) -> MetaGradient:
    """Runs the inner loop and differentiates the meta-loss through all of it.

    Args:
        loop: The inner loop.
        meta_loss: Judges a learner, by the same statistics as in evaluation: those of its last step.
        weights: Weight of the meta-loss by steps done, e.g. ``{T: 1.0}``; other keys are intermediate losses.
        take_batch_gradient: Receives the gradient with respect to each batch, t running from T - 1 down to 0. In a
            closed loop it returns the gradient with respect to the progress that the batch was made for, from which the
            sweep continues.
        backend: How second-order terms are computed for steps without a kept graph.
        keep_last_k: See ``run``.
        execution: See ``run``.
        judge_chunk: Number of real samples judged at a time; 0 for all.

    Raises:
        DivergedError: An inner loss or the meta-loss is not finite.
        ValueError: A meta-loss is requested outside steps ``1..T``, or none is requested.
    """
    if not weights or not all(1 <= t <= loop.steps for t in weights):
        raise ValueError(f"meta-losses must be taken after 1 to {loop.steps} steps, got {sorted(weights)}")
    trail = run(loop, history=True, keep_last_k=keep_last_k, execution=execution)
    calls = step_calls(loop.loss, execution)
    meta_losses: dict[int, Tensor] = {}
    phi_adjoint = torch.zeros_like(loop.phi)
    state_adjoint = tuple(torch.zeros_like(s) for s in trail.states[-1])
    progress_adjoint: Tensor | None = None
    d_lr, d_momentum = torch.zeros_like(loop.lr), torch.zeros_like(loop.momentum)
    for t in reversed(range(loop.steps)):
        statistics_adjoint: Statistics = ()
        if t + 1 in weights:
            meta_losses[t + 1], by_phi, statistics_adjoint = _judge(
                meta_loss, trail.phi[t + 1], trail.statistics[t], t + 1, weights[t + 1], judge_chunk
            )
            phi_adjoint = phi_adjoint + by_phi
        phi, (batch, progress) = trail.phi[t], trail.batches.pop()
        pulled = loop.optimizer.pull_back(
            phi,
            trail.grads.pop() if trail.grads else None,
            trail.states[t],
            loop.lr[t].detach(),
            loop.momentum[t].detach(),
            trail.states[t + 1],
            phi_adjoint,
            state_adjoint,
        )
        by_phi, by_batch = calls.second(
            phi, batch, pulled.grad, statistics_adjoint, progress_adjoint, backend, trail.kept.pop(t, None)
        )
        progress_adjoint = take_batch_gradient(t, progress, by_batch)
        phi_adjoint, state_adjoint = pulled.phi + by_phi, pulled.state
        d_lr[t], d_momentum[t] = pulled.lr, pulled.momentum
        trail.phi.pop(), trail.states.pop(), trail.statistics.pop()
    _refuse_bad_judgement(meta_losses)
    total = torch.stack([weights[t] * loss for t, loss in meta_losses.items()]).sum()
    return MetaGradient(total, meta_losses, trail.losses, phi_adjoint, d_lr, d_momentum)


def _judge(
    meta_loss: MetaLoss, phi: Tensor, statistics: Statistics, steps: int, weight: float, chunk: int
) -> tuple[Tensor, Tensor, Statistics]:
    """Returns the meta-loss and its weighted gradients with respect to phi and the statistics, summed over its parts."""
    inputs = tuple(x.detach().requires_grad_() for x in (phi, *statistics))
    total, sums = phi.new_zeros(()), list[Tensor]()
    for share, part in parts_of(meta_loss, steps, chunk):
        with torch.enable_grad():
            value = share * part(inputs[0], inputs[1:])
            grads = torch.autograd.grad(weight * value, inputs, materialize_grads=True, allow_unused=True)
        total = total + value.detach()
        sums = [a + b for a, b in zip(sums, grads, strict=True)] if sums else list(grads)
    return total, sums[0], tuple(sums[1:])


def _refuse_bad_judgement(meta_losses: Mapping[int, Tensor]) -> None:
    """Raises ``DivergedError`` if a meta-loss is not finite; called once, since a check synchronises with a GPU."""
    steps = sorted(meta_losses)
    values = torch.stack([meta_losses[t] for t in steps])
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        first = int(bad[0])
        raise DivergedError(f"the meta-loss after inner step {steps[first]} is {values[first].item()}")


def _refuse_divergence(losses: Tensor) -> None:
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        t = int(bad[0])
        raise DivergedError(f"the inner loss is {losses[t].item()} at inner step {t} of {len(losses)}")

"""The one expensive call of the adjoint: a Hessian-vector product together with the mixed partials, in two ways.

Both return, for a loss ``l(phi, batch)`` with statistics ``s(phi, batch)`` and progress ``p(phi, batch)``, the gradient
of ``<grad_phi l, u> + <s, w> + <p, q>`` with respect to ``(phi, batch)``, with u, w and q held fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gtn_core.learner import Statistics

Batch = tuple[Tensor, ...]
"""What one inner step trains on, e.g. images and soft labels."""

InnerLoss = Callable[[Tensor, Batch], tuple[Tensor, Statistics] | tuple[Tensor, Statistics, Tensor]]
"""``(phi, batch) -> (scalar loss, statistics)``: the loss of one inner step, a pure function.

In a closed loop a third result is the learner's progress, any tensor, on which the next batch may depend.
"""

Backend = Literal["reverse", "forward"]
"""``reverse``: reverse-over-reverse, through autograd's double backward. ``forward``: forward-over-reverse."""


class Graph(NamedTuple):
    """The differentiable part of a step: its inputs, phi and batch, and its outputs."""

    inputs: tuple[Tensor, ...]
    grad: Tensor
    statistics: Statistics
    progress: Tensor | None


class Step(NamedTuple):
    """The first-order part of an inner step.

    Attributes:
        loss: The loss, scalar.
        grad: Gradient with respect to phi, shape ``(D,)``.
        statistics: Batch statistics from the forward pass.
        progress: The learner's progress; ``None`` if the loss does not return it.
        graph: The step with its graph for ``second_order``; ``None`` if it was not kept.
    """

    loss: Tensor
    grad: Tensor
    statistics: Statistics
    progress: Tensor | None
    graph: Graph | None


def first_order(loss: InnerLoss, phi: Tensor, batch: Batch, *, keep: bool = False) -> Step:
    """Evaluates the loss and its gradient with respect to phi.

    Args:
        loss: The inner loss.
        phi: Parameters, shape ``(D,)``.
        batch: The step's batch.
        keep: Whether to keep the graph that ``second_order`` needs (the memory of about nine forward passes).
    """
    with torch.enable_grad():
        phi = phi.detach().requires_grad_()
        batch = tuple(part.detach().requires_grad_(keep) for part in batch)
        value, statistics, progress = _call(loss, phi, batch)
        (grad,) = torch.autograd.grad(value, phi, create_graph=keep)
    graph = Graph((phi, *batch), grad, statistics, progress) if keep else None
    seen = None if progress is None else progress.detach()
    return Step(value.detach(), grad.detach(), tuple(s.detach() for s in statistics), seen, graph)


def second_order(
    loss: InnerLoss,
    phi: Tensor,
    batch: Batch,
    u: Tensor,
    w: Statistics,
    q: Tensor | None = None,
    *,
    backend: Backend,
    step: Step | None = None,
) -> tuple[Tensor, Batch]:
    """Returns the gradient of ``<grad_phi l, u> + <s, w> + <p, q>`` with respect to phi and each tensor of the batch.

    Args:
        loss: The inner loss l, with statistics s and progress p.
        phi: Parameters, shape ``(D,)``.
        batch: The step's batch.
        u: Adjoint of the gradient, shape ``(D,)``.
        w: Adjoints of the statistics; empty if nothing reads them.
        q: Adjoint of the progress; ``None`` if nothing reads it.
        backend: How to compute it; ignored if the step's graph was kept.
        step: The step with its graph; without a kept graph, the step is computed again.
    """
    if step is not None and step.graph is not None:
        return _through_graph(step.graph, u, w, q)
    if backend == "forward":
        return _forward_over_reverse(loss, phi, batch, u, w, q)
    graph = first_order(loss, phi, batch, keep=True).graph
    assert graph is not None
    return _through_graph(graph, u, w, q)


def _call(loss: InnerLoss, phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics, Tensor | None]:
    """Evaluates the loss; the last result is ``None`` in an open loop."""
    result = loss(phi, batch)
    return (*result, None) if len(result) == 2 else result


def _read(
    statistics: Statistics, progress: Tensor | None, w: Statistics, q: Tensor | None
) -> list[tuple[Tensor, Tensor]]:
    """Pairs the outputs that are read later, besides the gradient, with their adjoints; omits constant statistics."""
    pairs = [(s, adjoint) for s, adjoint in zip(statistics, w, strict=True) if s.requires_grad] if w else []
    if q is not None:
        assert progress is not None, "got an adjoint of a progress that the loss does not return"
        pairs.append((progress, q))
    return pairs


def _through_graph(graph: Graph, u: Tensor, w: Statistics, q: Tensor | None) -> tuple[Tensor, Batch]:
    outputs, adjoints = zip((graph.grad, u), *_read(graph.statistics, graph.progress, w, q), strict=True)
    by_phi, *by_batch = torch.autograd.grad(
        outputs, graph.inputs, grad_outputs=adjoints, materialize_grads=True, allow_unused=True
    )
    return by_phi, tuple(by_batch)


def _forward_over_reverse(
    loss: InnerLoss, phi: Tensor, batch: Batch, u: Tensor, w: Statistics, q: Tensor | None
) -> tuple[Tensor, Batch]:
    """Differentiates ``grad (l + a (<s, w> + <p, q>))`` in the direction ``(phi, a) -> (u, 1)`` at ``a = 0``."""
    with torch.enable_grad(), forward_ad.dual_level():
        phi = phi.detach().requires_grad_()
        batch = tuple(part.detach().requires_grad_() for part in batch)
        dual = forward_ad.make_dual(phi, u)
        value, statistics, progress = _call(loss, dual, batch)
        if read := _read(statistics, progress, w, q):
            a = forward_ad.make_dual(torch.zeros_like(value), torch.ones_like(value))
            value = value + a * sum((output * adjoint).sum() for output, adjoint in read)
        grads = torch.autograd.grad(value, (dual, *batch), allow_unused=True)
        tangents = [None if g is None else forward_ad.unpack_dual(g).tangent for g in grads]
    adjoints = [torch.zeros_like(x) if t is None else t.detach() for x, t in zip((phi, *batch), tangents, strict=True)]
    return adjoints[0], tuple(adjoints[1:])

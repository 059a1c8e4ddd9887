"""The one expensive call of the adjoint: a Hessian-vector product together with the mixed partials, in two ways.

Both return, for a loss ``l(phi, batch)`` with statistics ``s(phi, batch)``, the gradient by ``(phi, batch)`` of
``<grad_phi l, u> + <s, w>``, with u and w held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gtn_core.learner import Statistics

Batch = tuple[Tensor, ...]
"""What one inner step learns from, e.g. images and soft labels."""

InnerLoss = Callable[[Tensor, Batch], tuple[Tensor, Statistics]]
"""``(phi, batch) -> (scalar loss, statistics)``: the loss of one inner step, a pure function."""

Backend = Literal["reverse", "forward"]
"""``reverse``: reverse-over-reverse, through autograd's double backward. ``forward``: forward-over-reverse."""


class Step(NamedTuple):
    """The first-order part of an inner step.

    Attributes:
        loss: Scalar.
        grad: Gradient by phi, shape ``(D,)``.
        statistics: What the forward pass put out.
        graph: The differentiable ``(inputs, outputs)`` of the step where it was kept, for ``second_order``.
    """

    loss: Tensor
    grad: Tensor
    statistics: Statistics
    graph: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None


def first_order(loss: InnerLoss, phi: Tensor, batch: Batch, *, keep: bool = False) -> Step:
    """Evaluates the loss and its gradient by phi.

    Args:
        loss: The inner loss.
        phi: Parameters, shape ``(D,)``.
        batch: The step's batch.
        keep: Whether to keep the graph that ``second_order`` needs (memory of about nine forward passes).
    """
    with torch.enable_grad():
        phi = phi.detach().requires_grad_()
        batch = tuple(part.detach().requires_grad_(keep) for part in batch)
        value, statistics = loss(phi, batch)
        (grad,) = torch.autograd.grad(value, phi, create_graph=keep)
    graph = ((phi, *batch), (grad, *statistics)) if keep else None
    return Step(value.detach(), grad.detach(), tuple(s.detach() for s in statistics), graph)


def second_order(
    loss: InnerLoss,
    phi: Tensor,
    batch: Batch,
    u: Tensor,
    w: Statistics,
    *,
    backend: Backend,
    step: Step | None = None,
) -> tuple[Tensor, Batch]:
    """Returns the gradient of ``<grad_phi l, u> + <s, w>`` by phi, and by each tensor of the batch.

    Args:
        loss: The inner loss l, with statistics s.
        phi: Parameters, shape ``(D,)``.
        batch: The step's batch.
        u: Adjoint of the gradient, shape ``(D,)``.
        w: Adjoints of the statistics; empty where nothing reads them.
        backend: Which way to take, unless a kept graph makes the question idle.
        step: A step with its graph kept; computed again where there is none.
    """
    if step is not None and step.graph is not None:
        return _through_graph(step.graph, u, w)
    if backend == "forward":
        return _forward_over_reverse(loss, phi, batch, u, w)
    graph = first_order(loss, phi, batch, keep=True).graph
    assert graph is not None
    return _through_graph(graph, u, w)


def _through_graph(
    graph: tuple[tuple[Tensor, ...], tuple[Tensor, ...]], u: Tensor, w: Statistics
) -> tuple[Tensor, Batch]:
    inputs, outputs = graph
    adjoints = torch.autograd.grad(
        outputs[: 1 + len(w)], inputs, grad_outputs=(u, *w), materialize_grads=True, allow_unused=True
    )
    return adjoints[0], tuple(adjoints[1:])


def _forward_over_reverse(
    loss: InnerLoss, phi: Tensor, batch: Batch, u: Tensor, w: Sequence[Tensor]
) -> tuple[Tensor, Batch]:
    """Differentiates ``grad (l + a <s, w>)`` in the direction ``(phi, a) -> (u, 1)`` at ``a = 0``."""
    with torch.enable_grad(), forward_ad.dual_level():
        phi = phi.detach().requires_grad_()
        batch = tuple(part.detach().requires_grad_() for part in batch)
        dual = forward_ad.make_dual(phi, u)
        value, statistics = loss(dual, batch)
        if w:
            a = forward_ad.make_dual(torch.zeros_like(value), torch.ones_like(value))
            value = value + a * sum((s * adjoint).sum() for s, adjoint in zip(statistics, w, strict=True))
        grads = torch.autograd.grad(value, (dual, *batch), allow_unused=True)
        tangents = [None if g is None else forward_ad.unpack_dual(g).tangent for g in grads]
    adjoints = [torch.zeros_like(x) if t is None else t.detach() for x, t in zip((phi, *batch), tangents, strict=True)]
    return adjoints[0], tuple(adjoints[1:])
